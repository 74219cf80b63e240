"""Layers x torch habits: what every layer is held to. `tools.conformance_table` writes the table of the docs from it.

A layer joins with one entry of LAYERS. A habit is a function that raises where the layer does not have it; what a layer
is allowed to lack stands in EXCEPTIONS with its reason, and must then really fail.
"""

import copy
import json
import pickle
import random
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from circuits import Circuit, X, Z, ansatzes, feature_maps
from circuits import data as data_slot
from circuits import weight as weight_slot
from circuits.polynomials import affine
from circuits.polynomials import inputs as polynomial_inputs
from qml.nn import (
    DARUAN,
    HQKAN,
    HQKANLSTM,
    QKAN,
    QKANGRU,
    QKANLSTM,
    QLSTM,
    QRNN,
    Angles,
    CircuitCentricClassifier,
    DataReuploadingClassifier,
    DressedQuantumCircuit,
    IQPClassifier,
    QCNNClassifier,
    QKANLayer,
    QNNClassifier,
    QRNNClassifier,
    QRNNRegressor,
    QuantumBoltzmannClassifier,
    QuantumLayer,
    QuantumMetricLearner,
    Quanvolution,
    SeparableClassifier,
    TreeTensorClassifier,
)

SAME = 1e-12  # the same operations in float64, perhaps in another order
SINGLE = 1e-5  # float32 against float64
STEP = 1e-5  # of central differences in float64
DIFFERENCE = 1e-7  # their error: STEP**2 times a third derivative, and rounding / STEP


@dataclass(frozen=True)
class Example:
    """A layer as the habits use it.

    Args:
        make: the layer from a dtype and a generator.
        inputs: inputs from a batch shape, a dtype and a generator.
    """

    make: Callable[[torch.dtype, torch.Generator], nn.Module]
    inputs: Callable[[tuple[int, ...], torch.dtype, torch.Generator], Tensor]

    def layer(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The layer with weights that do not depend on the dtype."""
        made = self.make(torch.float64, seeded(1))
        return made.to(dtype)

    def batch(self, shape: tuple[int, ...] = (3,), dtype: torch.dtype = torch.float64) -> Tensor:
        """Inputs that do not depend on the dtype."""
        values = self.inputs(shape, torch.float64, seeded(2))
        return values.to(dtype) if values.is_floating_point() else values


def features(n: int) -> Callable[..., Tensor]:
    """Uniform in [0, 1)."""
    return lambda shape, dtype, generator: torch.rand(*shape, n, dtype=dtype, generator=generator)


def words(n_bits: int, length: int) -> Callable[..., Tensor]:
    """Integer words, batch first."""
    return lambda shape, dtype, generator: torch.randint(2**n_bits, (*shape, length), generator=generator)


def made(layer: Any, *arguments: Any, n_features: int | None = None, n_steps: int = 0, **options: Any) -> Example:
    """A layer of features, or with `n_steps` of series of one feature."""
    shape = (n_steps, 1) if n_steps else (n_features or 2,)
    return Example(
        lambda dtype, g: layer(*arguments, **options, dtype=dtype, generator=g),
        lambda batch, dtype, g: torch.rand(*batch, *shape, dtype=dtype, generator=g),
    )


def quantum_layer(dtype: torch.dtype, generator: torch.Generator) -> QuantumLayer:
    """A circuit with data before and behind its weights."""
    circuit = Circuit(3).ry(data_slot(0), 0).cx(0, 1).rx(weight_slot(0), 2).cx(1, 2).rz(data_slot(1), 2)
    circuit.ry(weight_slot(1), 2)
    return QuantumLayer(circuit, [Z(2), X(0) @ Z(1)], dtype=dtype, generator=generator)


def angles_layer(dtype: torch.dtype, generator: torch.Generator) -> QuantumLayer:
    """A feature map of products with trained scales, and an ansatz."""
    options: dict[str, Any] = {"dtype": dtype, "generator": generator}
    circuit = feature_maps.iqp(2).circuit.compose(ansatzes.real_amplitudes(2, 1))
    angles = Angles([*affine(2), polynomial_inputs(2)[0] * polynomial_inputs(2)[1] - 0.5], is_scaled=True, **options)
    return QuantumLayer(circuit, [Z(0), X(0) @ Z(1)], angles=angles, **options)


LAYERS: dict[str, Example] = {
    "QNNClassifier": Example(lambda dtype, g: QNNClassifier(3, "zxy", dtype=dtype, generator=g), features(3)),
    "QuantumLayer": Example(quantum_layer, features(2)),
    "Angles, QuantumLayer": Example(angles_layer, features(2)),
    "CircuitCentricClassifier": made(CircuitCentricClassifier, 3, 2, n_features=3),
    "DataReuploadingClassifier": made(DataReuploadingClassifier, 4, 2, n_readouts=2, n_features=4),
    "DressedQuantumCircuit": made(DressedQuantumCircuit, 3, 3, n_qubits=2, n_features=3),
    "IQPClassifier": made(IQPClassifier, 3, 2, n_features=3),
    "QCNNClassifier": made(QCNNClassifier, 4, n_features=4),
    "QuantumBoltzmannClassifier": made(QuantumBoltzmannClassifier, 3, n_visible=2, n_features=3),
    "QuantumMetricLearner": made(QuantumMetricLearner, 2, 2, n_examples=3, n_features=2),
    "Quanvolution": Example(
        lambda dtype, g: Quanvolution(1, 2, (1, 2), padding=(0, 1), dtype=dtype, generator=g),
        lambda batch, dtype, g: torch.rand(*batch, 1, 2, 3, dtype=dtype, generator=g),
    ),
    "SeparableClassifier": made(SeparableClassifier, 3, n_features=3),
    "TreeTensorClassifier": made(TreeTensorClassifier, 5, n_features=5),
    "DARUAN": made(DARUAN, 2),
    "QKANLayer": made(QKANLayer, 2, 3),
    "QKAN": made(QKAN, [2, 3, 1]),
    "HQKAN": made(HQKAN, 5, 2, n_features=5),
    "QKANLSTM": made(QKANLSTM, 1, 2, batch_first=True, n_steps=3),
    "HQKANLSTM": made(HQKANLSTM, 1, 2, batch_first=True, n_steps=3),
    "QKANGRU": made(QKANGRU, 1, 2, batch_first=True, n_steps=3),
    "QLSTM": made(QLSTM, 1, 2, batch_first=True, n_steps=3),
    "QRNN": Example(lambda dtype, g: QRNN(1, 2, batch_first=True, dtype=dtype, generator=g), words(1, 4)),
    "QRNNRegressor": made(QRNNRegressor, 1, 2, batch_first=True, n_steps=3),
    "QRNNClassifier": made(QRNNClassifier, 1, 2, 3, batch_first=True, n_steps=3),
}

RECURRENT = ("QKANLSTM", "HQKANLSTM", "QKANGRU", "QLSTM", "QRNN", "QRNNRegressor", "QRNNClassifier")
AS_LSTM = "one batch dimension or none, as nn.LSTM"
AMPLITUDES = "inputs as amplitudes have no OpenQASM text, which exported programs hold"
FIXED_BATCH = "the batch size is fixed by the export"
READS_VALUES = "it looks at values on its way, which make_fx refuses"
EXCEPTIONS: dict[tuple[str, str], str] = {
    **{(layer, "N-d batch"): AS_LSTM for layer in RECURRENT},
    ("Quanvolution", "N-d batch"): "one batch dimension or none, as nn.Conv2d",
    ("QRNN", "export"): FIXED_BATCH,
    ("CircuitCentricClassifier", "export"): AMPLITUDES,
    ("QRNN", "make_fx"): READS_VALUES,
    ("QRNNRegressor", "make_fx"): READS_VALUES,
    ("QRNNClassifier", "make_fx"): READS_VALUES,
    ("TreeTensorClassifier", "export"): AMPLITUDES,
}


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def run(layer: nn.Module, inputs: Tensor) -> Tensor:
    """The first output. Outcomes of a QRNN are those that were read, so that nothing is drawn."""
    if isinstance(layer, QRNN):
        return layer(inputs, targets=inputs)[0]
    result = layer(inputs)
    return result[0] if isinstance(result, tuple) else result


def gradients(layer: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Of the sum of squares of the output, by all parameters."""
    parameters = list(layer.parameters())
    return list(torch.autograd.grad(run(layer, inputs).square().sum(), parameters))


def equal(actual: Any, expected: Any, atol: float = SAME) -> None:
    """Same shapes and values."""
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)


# --- habits -----------------------------------------------------------------------------------------------------------


def float64_and_float32(example: Example) -> None:
    """Both, each answered in its own."""
    double, single = (run(example.layer(dtype), example.batch(dtype=dtype)) for dtype in (torch.float64, torch.float32))
    assert (double.dtype, single.dtype) == (torch.float64, torch.float32)
    equal(single.double(), double, SINGLE)


def empty_batch(example: Example) -> None:
    """No samples, zero gradients."""
    layer = example.layer()
    output = run(layer, example.batch((0,)))
    assert output.shape[0] == 0
    for grad in gradients(layer, example.batch((0,))):
        equal(grad, torch.zeros_like(grad))


def nd_batch(example: Example) -> None:
    """Any leading shape, and none."""
    layer, inputs = example.layer(), example.batch((2, 3))
    flat = run(layer, inputs.flatten(0, 1))
    equal(run(layer, inputs), flat.unflatten(0, (2, 3)))
    equal(run(layer, inputs[1, 2]), flat[5])


def non_contiguous(example: Example) -> None:
    """Strides do not matter."""
    layer, inputs = example.layer(), example.batch((4,))
    strided = torch.stack([inputs, inputs], -1)[..., 0].movedim(0, -1).contiguous().movedim(-1, 0)
    assert not strided.is_contiguous()
    equal(run(layer, strided), run(layer, inputs))


def state_dict(example: Example) -> None:
    """Weights move into a fresh layer, and into one without values; no constant suffers from a visit to bfloat16."""
    layer, other = example.layer(), example.make(torch.float64, seeded(9))
    expected = run(layer, example.batch())
    other.load_state_dict(layer.state_dict())
    equal(run(other, example.batch()), expected)
    other.to(torch.bfloat16).double().load_state_dict(layer.state_dict())
    equal(run(other, example.batch()), expected)
    bare = other.to("meta").to_empty(device="cpu")
    with torch.no_grad():
        for values in (*bare.parameters(), *bare.buffers()):
            values.fill_(7)  # `to_empty` leaves whatever the memory held
    bare.load_state_dict(layer.state_dict())
    equal(run(bare, example.batch()), expected)


def deep_copy(example: Example) -> None:
    """A copy has weights of its own."""
    layer = example.layer()
    other = copy.deepcopy(layer)
    expected = run(layer, example.batch()).detach().clone()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1.0)
    equal(run(other, example.batch()), expected)


def pickled(example: Example) -> None:
    """A layer survives pickling, after it has run."""
    layer = example.layer()
    expected = run(layer, example.batch())
    equal(run(pickle.loads(pickle.dumps(layer)), example.batch()), expected)


def vmap(example: Example) -> None:
    """torch.func.vmap over samples, and over stacked weights."""
    layer, inputs = example.layer(), example.batch((3,))
    expected = run(layer, inputs)
    equal(torch.func.vmap(lambda sample: run(layer, sample[None])[0])(inputs), expected)
    weights = {name: torch.stack([p.detach(), p.detach() + 0.1]) for name, p in layer.named_parameters()}
    each = torch.func.vmap(lambda values: called(layer, values, inputs))(weights)
    equal(each[0], expected)


def hessian(example: Example) -> None:
    """Second derivatives by torch.func, equal to those of a double backward pass."""
    layer, inputs = example.layer(), example.batch((2,))
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    name = next(iter(weights))

    def loss(values: Tensor) -> Tensor:
        return called(layer, weights | {name: values}, inputs).square().sum()

    found = torch.func.hessian(loss)(weights[name])
    equal(found, torch.autograd.functional.hessian(loss, weights[name]), 1e-9)  # sums of many products


def autocast(example: Example) -> None:
    """Inputs in bfloat16, as layers under autocast hand them on; circuits keep their precision, forwards and backwards.

    The reference is float64 on the same rounded inputs. What is classical around a circuit keeps 8 bits.
    """
    layer, inputs = example.layer(torch.float32), example.batch(dtype=torch.float32)
    rounded = inputs.to(torch.bfloat16) if inputs.is_floating_point() else inputs
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = run(layer, rounded)
        loss = output.float().square().sum()
    found = torch.autograd.grad(loss, list(layer.parameters()))
    exact, exact_inputs = example.layer(), rounded.double() if inputs.is_floating_point() else inputs
    equal(output.double(), run(exact, exact_inputs), 2e-2)
    for one, other in zip(found, gradients(exact, exact_inputs), strict=True):
        equal(one.double(), other, 4e-2 * max(1.0, float(other.abs().max())))


def half_precision(example: Example) -> None:
    """A module in bfloat16 works near float64, or refuses in words, whatever the batch."""
    layer = example.layer(torch.bfloat16)
    for batch in (3, 1000):
        inputs = example.batch((batch,), torch.bfloat16)
        try:
            output = run(layer, inputs)
        except (TypeError, ValueError) as error:
            if "must" not in str(error):
                raise
            continue
        exact = run(example.layer(), inputs.double() if inputs.is_floating_point() else inputs)
        equal(output.double(), exact, 0.1)


def gradients_at_once(example: Example) -> None:
    """`autograd.grad(is_grads_batched=True)` is one gradient after another."""
    layer = example.layer()
    parameters, outputs = list(layer.parameters()), run(layer, example.batch((2,))).flatten()
    rows = torch.eye(len(outputs), dtype=outputs.dtype)
    found = torch.autograd.grad(outputs, parameters, rows, is_grads_batched=True, retain_graph=True)
    for index, row in enumerate(rows):
        alone = torch.autograd.grad(outputs, parameters, row, retain_graph=True)
        for many, one in zip(found, alone, strict=True):
            equal(many[index], one)


def jacobians(example: Example) -> None:
    """`torch.func.jacrev` and `jacfwd` by the first parameter are rows of gradients."""
    layer, inputs = example.layer(), example.batch((2,))
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    name = next(iter(weights))

    def outputs(values: Tensor) -> Tensor:
        return called(layer, weights | {name: values}, inputs)

    expected = torch.autograd.functional.jacobian(outputs, weights[name])
    for transform in (torch.func.jacrev, torch.func.jacfwd):
        equal(transform(outputs)(weights[name]), expected)


def vectorised_hessian(example: Example) -> None:
    """`autograd.functional.hessian(vectorize=True)` by the first parameter is a difference of gradients."""
    layer, inputs = example.layer(), example.batch((2,))
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    name = next(iter(weights))

    def loss(values: Tensor) -> Tensor:
        return called(layer, weights | {name: values}, inputs).square().sum()

    point = weights[name]
    found = torch.autograd.functional.hessian(loss, point, vectorize=True).reshape(point.numel(), -1)
    direction = torch.rand(point.shape, dtype=point.dtype, generator=seeded(3)) - 0.5
    ends = [torch.autograd.functional.jacobian(loss, point + sign * STEP * direction) for sign in (1, -1)]
    equal(found @ direction.flatten(), ((ends[0] - ends[1]) / (2 * STEP)).flatten(), DIFFERENCE)


def forward_mode(example: Example) -> None:
    """Tangents of inputs and parameters within `forward_ad.dual_level` are central differences."""
    layer, inputs = example.layer(), example.batch((2,))
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    generator = seeded(3)
    along = {name: torch.rand(p.shape, dtype=p.dtype, generator=generator) - 0.5 for name, p in weights.items()}
    of_inputs = (
        torch.rand(inputs.shape, dtype=torch.float64, generator=generator) if inputs.is_floating_point() else None
    )

    def moved(size: float) -> Tensor:
        values = {name: p + size * along[name] for name, p in weights.items()}
        return called(layer, values, inputs if of_inputs is None else inputs + size * of_inputs)

    with forward_ad.dual_level():
        duals = {name: forward_ad.make_dual(p, along[name]) for name, p in weights.items()}
        output = called(layer, duals, inputs if of_inputs is None else forward_ad.make_dual(inputs, of_inputs))
        tangent = forward_ad.unpack_dual(output).tangent
    assert tangent is not None
    equal(tangent, (moved(STEP) - moved(-STEP)) / (2 * STEP), DIFFERENCE)


def threads(example: Example) -> None:
    """Four threads that share a layer get the values and gradients of one."""
    layer, sizes = example.layer(), (2, 3, 5)
    right = {size: [run(layer, example.batch((size,))), *gradients(layer, example.batch((size,)))] for size in sizes}
    wrong: list[str] = []

    def work(first: int) -> None:
        try:
            for turn in range(first, first + 3):
                inputs = example.batch((sizes[turn % 3],))
                for one, other in zip([run(layer, inputs), *gradients(layer, inputs)], right[len(inputs)], strict=True):
                    equal(one, other)
        except Exception as error:  # noqa: BLE001 - it is raised again below, by the thread that asked
            wrong.append(str(error))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        workers = [threading.Thread(target=work, args=(first,)) for first in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong, wrong[0]


def eval_gradients(example: Example) -> None:
    """eval() turns nothing off that a gradient needs."""
    layer = example.layer()
    expected = gradients(layer, example.batch())
    for found, wanted in zip(gradients(layer.eval(), example.batch()), expected, strict=True):
        equal(found, wanted)


def no_global_seeding(example: Example) -> None:
    """Making and running a layer leaves every global generator alone."""
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002 - it is read only
    run(example.layer(), example.batch()).sum().backward()
    equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert random.getstate() == before[2]


def compiled(example: Example) -> None:
    """torch.compile(fullgraph=True), forward and backward: circuits are operators of one graph."""
    torch._dynamo.reset()
    layer, inputs = example.layer(), example.batch()
    expected = run(layer, inputs), gradients(layer, inputs)

    def loss(values: Tensor) -> Tensor:
        return run(layer, 1 * values)

    output = torch.compile(loss, backend="aot_eager", fullgraph=True)(inputs)
    equal(output, expected[0])
    found = torch.autograd.grad(output.square().sum(), list(layer.parameters()))
    for grad, wanted in zip(found, expected[1], strict=True):
        equal(grad, wanted)


def exported(example: Example) -> None:
    """torch.export with a batch of any size, for inference."""

    class Runner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = example.layer()

        def forward(self, inputs: Tensor) -> Tensor:
            return run(self.layer, inputs)

    runner = Runner()
    program = torch.export.export(runner, (example.batch((3,)),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    equal(program.module()(example.batch((5,))), runner(example.batch((5,))))


def recorded(example: Example) -> None:
    """`make_fx` with real tensors records values and gradients, and the graph is right for other weights and inputs."""
    layer, shape = example.layer(), (3,)
    weights = {name: p.detach() for name, p in layer.named_parameters()}
    moved = {name: p + 0.3 for name, p in weights.items()}
    other = example.inputs(shape, torch.float64, seeded(7))

    def values_and_gradients(values: dict[str, Tensor], inputs: Tensor) -> list[Tensor]:
        leaves = {name: value.detach().requires_grad_() for name, value in values.items()}
        output = called(layer, leaves, inputs)
        return [output.detach(), *torch.autograd.grad(output.square().sum(), list(leaves.values()))]

    graph = make_fx(values_and_gradients)(weights, example.batch(shape))
    for found, expected in zip(graph(moved, other), values_and_gradients(moved, other), strict=True):
        equal(found, expected)


def distributed(example: Example) -> None:
    """DDP in two processes gives the gradient of the whole batch; see `tests.test_conformance`."""
    layer, inputs = example.layer(), example.batch((4,))
    expected = [grad / 2 for grad in gradients(layer, inputs)]  # DDP averages over the two processes

    class Runner(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, inputs: Tensor) -> Tensor:
            return run(self.layer, inputs)

    twin = nn.parallel.DistributedDataParallel(Runner())
    share = inputs.chunk(2)[torch.distributed.get_rank()]
    twin(share).square().sum().backward()
    for parameter, wanted in zip(layer.parameters(), expected, strict=True):
        equal(parameter.grad, wanted)


def called(layer: nn.Module, weights: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """The layer with other weights."""
    if isinstance(layer, QRNN):
        return torch.func.functional_call(layer, weights, (inputs,), {"targets": inputs})[0]
    result = torch.func.functional_call(layer, weights, (inputs,))
    return result[0] if isinstance(result, tuple) else result


IN_PROCESS: dict[str, Callable[[Example], None]] = {
    "float32, float64": float64_and_float32,
    "empty batch": empty_batch,
    "N-d batch": nd_batch,
    "non-contiguous": non_contiguous,
    "state_dict": state_dict,
    "deepcopy": deep_copy,
    "pickle": pickled,
    "vmap": vmap,
    "hessian": hessian,
    "jacobians": jacobians,
    "batched gradients": gradients_at_once,
    "vectorised hessian": vectorised_hessian,
    "forward mode": forward_mode,
    "autocast": autocast,
    "bfloat16 module": half_precision,
    "threads": threads,
    "eval-mode gradients": eval_gradients,
}
# The type checks that pytest wraps around every function cannot be traced and draw random numbers themselves, and DDP
# needs two processes.
IN_OWN_PROCESS: dict[str, Callable[[Example], None]] = {
    "no global seeding": no_global_seeding,
    "compile": compiled,
    "export": exported,
    "make_fx": recorded,
    "DDP": distributed,
}
HABITS = IN_PROCESS | IN_OWN_PROCESS


def verdicts(habit: str) -> dict[str, str]:
    """For each layer nothing, or what went wrong."""
    result = {}
    for name, example in LAYERS.items():
        try:
            HABITS[habit](example)
            result[name] = ""
        except Exception as error:  # noqa: BLE001 - whatever it is, the test that asked shows it
            result[name] = f"{type(error).__name__}: {error}"[:2000]
    return result


if __name__ == "__main__":
    sys.stdout.write(json.dumps(verdicts(sys.argv[1])))
