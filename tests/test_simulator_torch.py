"""The native backend among torch's own tools: func transforms, compile, copies, devices, and no hidden effects."""

import copy
import gc
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml import buffers
from qml.backends import Native
from tests import oracle
from tests.helpers import assert_close, tensors
from tests.named import BUILDERS, CASES, named_case
from tests.strategies import Case

NAMES = ["data_and_weights_by_turns", "controlled_rotations", "amplitudes_from_data", "post_selection", "damping_noise"]
SAME = 1e-10  # the same float64 algebra in another order


def function_of(case: Case, backend: Any = None) -> Callable[[Tensor, Tensor], Tensor]:
    chosen = backend or Native()
    return lambda values, weights: chosen.expectation(case.circuit, values, weights, case.observables)


def loss_of(case: Case) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda values, weights: function_of(case)(values, weights).square().sum()


# --- torch.func -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_func_grad_is_the_gradient(name: str) -> None:
    case = CASES[name]
    found = torch.func.grad(loss_of(case), argnums=(0, 1))(*tensors(case))
    inputs = [tensor.requires_grad_() for tensor in tensors(case)]
    for ours, expected in zip(found, torch.autograd.grad(loss_of(case)(*inputs), inputs), strict=True):
        assert_close(ours, expected, SAME)


@pytest.mark.parametrize("name", NAMES)
def test_vmap_over_weights_is_one_call_for_each(name: str) -> None:
    case = CASES[name]
    values, weights = tensors(case)
    many = torch.stack([weights, weights + 0.3, -weights])
    found = torch.func.vmap(function_of(case), in_dims=(None, 0))(values, many)
    assert_close(found, torch.stack([function_of(case)(values, each) for each in many]), SAME)


@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "controlled_rotations", "damping_noise"])
def test_vmap_over_samples_is_the_batch(name: str) -> None:
    case = CASES[name]
    values, weights = tensors(case)
    found = torch.func.vmap(lambda row: function_of(case)(row[None], weights)[0])(values)
    assert_close(found, function_of(case)(values, weights), SAME)


def test_vmap_of_grad_gives_gradients_of_each_sample() -> None:
    case = CASES["data_and_weights_by_turns"]
    values, weights = tensors(case)

    def loss(each: Tensor, row: Tensor) -> Tensor:
        return function_of(case)(row[None], each).square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, values)
    for row, gradient in zip(values, found, strict=True):
        leaf = weights.clone().requires_grad_()
        assert_close(gradient, torch.autograd.grad(loss(leaf, row), leaf)[0], SAME)


@pytest.mark.parametrize("name", NAMES)
def test_jacrev_is_jacfwd(name: str) -> None:
    case = CASES[name]
    for argument in (0, 1):
        backward = torch.func.jacrev(function_of(case), argnums=argument)(*tensors(case))
        forward = torch.func.jacfwd(function_of(case), argnums=argument)(*tensors(case))
        assert_close(backward, forward, SAME)


@pytest.mark.parametrize("name", NAMES)
def test_hessian_is_twice_autograd(name: str) -> None:
    case = CASES[name]
    values, weights = tensors(case)
    found = torch.func.hessian(loss_of(case), argnums=1)(values, weights)
    expected = torch.autograd.functional.hessian(lambda each: loss_of(case)(values, each), weights)
    assert_close(found, expected, 1e-8)  # second derivatives of sums of squares, of magnitude 10
    assert_close(found, found.mT, 1e-8)


def test_functional_call_runs_a_layer() -> None:
    layer = Layer(CASES["data_and_weights_by_turns"])
    values = tensors(CASES["data_and_weights_by_turns"])[0]
    parameters = {"weights": torch.full((9,), 0.3, dtype=torch.float64)}
    found = torch.func.functional_call(layer, parameters, (values,))
    layer.load_state_dict(parameters)
    assert_close(found, layer(values), SAME)


# --- torch.compile --------------------------------------------------------------------------------------------------


COMPILED = """
import sys
import torch
from qml.backends import Native
from tests.named import CASES
from tests.test_simulator_torch import SAME, loss_of, tensors

for name in sys.argv[1:]:
    torch._dynamo.reset()
    # "aot_eager" traces forward and backward as the default compiler does, and needs no C++ compiler.
    results = []
    for run in (torch.compile(loss_of(CASES[name]), backend="aot_eager"), loss_of(CASES[name])):
        inputs = [tensor.requires_grad_() for tensor in tensors(CASES[name])]
        value = run(*inputs)
        results.append([value, *torch.autograd.grad(value, inputs)])
    for ours, eager in zip(*results, strict=True):
        torch.testing.assert_close(ours, eager, rtol=0, atol=SAME)
    print("same", name)
"""


def test_compiled_function_is_the_eager_one() -> None:
    """In a process of its own: the type checks that pytest wraps around every function cannot be compiled."""
    names = ["data_and_weights_by_turns", "damping_noise", "controlled_rotations"]
    run = subprocess.run([sys.executable, "-c", COMPILED, *names], capture_output=True, text=True, check=False)
    assert run.stdout.splitlines() == [f"same {name}" for name in names], run.stderr[-2000:]


# --- copies ---------------------------------------------------------------------------------------------------------


class Layer(nn.Module):
    """A layer with a circuit in it."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.circuit, self.observables, self.backend = case.circuit, case.observables, Native()
        self.weights = nn.Parameter(torch.tensor(case.weights))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.backend.expectation(self.circuit, inputs, self.weights, self.observables)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
@pytest.mark.parametrize("backend", [Native(), Native(method="adjoint", representation="state")])
def test_backend_is_a_value(backend: Native, duplicate: Callable[[Native], Native]) -> None:
    assert duplicate(backend) == backend
    assert hash(duplicate(backend)) == hash(backend)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))])
@pytest.mark.parametrize("name", NAMES)
def test_layer_survives_copies_after_it_ran(name: str, duplicate: Callable[[Layer], Layer]) -> None:
    layer = Layer(CASES[name])
    values = tensors(CASES[name])[0]
    before = layer(values)
    twin = duplicate(layer)
    assert_close(twin(values), before, 0.0)
    with torch.no_grad():
        twin.weights += 0.5
    assert_close(layer(values), before, 0.0)


def test_layer_follows_its_dtype() -> None:
    layer = Layer(CASES["data_and_weights_by_turns"])
    values = tensors(CASES["data_and_weights_by_turns"])[0]
    expected = layer(values)
    single = layer.float()(values.float())
    assert single.dtype == torch.float32
    assert_close(single, expected, 5e-6)
    assert_close(layer.double()(values), expected, 5e-6)  # the weights were rounded to float32 and back


# --- no hidden effects ----------------------------------------------------------------------------------------------


def test_nothing_touches_the_global_generators() -> None:
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - the global one is the point
    for name in NAMES:
        case = CASES[name]
        inputs = [tensor.requires_grad_() for tensor in tensors(case)]
        function_of(case)(*inputs).sum().backward()
        Native().probabilities(case.circuit, *tensors(case))
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # noqa: NPY002


def test_default_dtype_does_not_matter() -> None:
    case = named_case(BUILDERS[6])
    expected = oracle.expectation(*case)
    torch.set_default_dtype(torch.float64)
    try:
        assert_close(function_of(case)(*tensors(case, torch.float32)), expected, 1e-5)
    finally:
        torch.set_default_dtype(torch.float32)
    assert_close(function_of(case)(*tensors(case, torch.float64)), expected, SAME)


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    function_of(CASES["resets"])(*tensors(CASES["resets"]))
    assert capsys.readouterr() == ("", "")


# --- memory ---------------------------------------------------------------------------------------------------------


def layered(n_layers: int) -> Circuit:
    """Data and weights by turns, so that nothing can be fused across layers."""
    circuit = Circuit(6)
    for layer in range(n_layers):
        for qubit in range(6):
            circuit.ry(data(qubit), qubit).rx(weight(layer % 4), qubit)
        for qubit in range(6):
            circuit.cx(qubit, (qubit + 1) % 6)
    return circuit


def states_alive(n_layers: int, backend: Native) -> int:
    """How many tensors as large as the state (64 amplitudes, 50 samples) live between forward and backward."""
    values, weights = torch.full((50, 6), 0.3, requires_grad=True), torch.full((4,), 0.2, requires_grad=True)
    gc.collect()
    outputs = backend.expectation(layered(n_layers), values, weights, [Z(0)])
    kept = sum(1 for found in gc.get_objects() if type(found) is Tensor and found.numel() == 64 * 50)
    outputs.sum().backward()
    return kept


@pytest.fixture
def no_idle_scratch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only memory in use is counted, not what the pool keeps for the next call."""
    monkeypatch.setattr(buffers, "POOL", buffers.BufferPool(idle_bytes_limit=0))


@pytest.mark.usefixtures("no_idle_scratch")
def test_memory_of_the_adjoint_method_does_not_grow_with_depth() -> None:
    shallow, deep = (states_alive(n_layers, Native(method="adjoint")) for n_layers in (4, 24))
    assert deep == shallow


@pytest.mark.usefixtures("no_idle_scratch")
def test_stored_states_grow_with_depth() -> None:
    """The measurement above can fail: the method that stores states is seen to store them."""
    shallow, deep = (states_alive(n_layers, Native(compiled=False)) for n_layers in (4, 24))
    assert deep >= shallow + 20


# --- devices --------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("method", ["auto", "autograd"])
def test_results_on_a_gpu_are_those_on_the_processor(method: Any, dtype: torch.dtype) -> None:
    for case in CASES.values():
        results = []
        for device in ("cpu", "cuda"):
            inputs = [tensor.to(device).requires_grad_() for tensor in tensors(case, dtype)]
            values = function_of(case, Native(method=method))(*inputs)
            assert values.device.type == device
            results.append([values])
            if values.requires_grad:  # by plain operations a circuit without data and weights does not
                found = torch.autograd.grad(values.square().sum(), inputs, allow_unused=True, materialize_grads=True)
                results[-1] += found
        for cpu, gpu in zip(*results, strict=True):
            assert_close(gpu, cpu, 1e-10 if dtype == torch.float64 else 2e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_inputs_on_two_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="must be on one device, but are on cuda:0 and cpu"):
        Native().expectation(Circuit(1).ry(data(0), 0), torch.zeros(1, 1, device="cuda"), torch.zeros(0), [Z(0)])
