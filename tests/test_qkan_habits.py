"""The QKAN family in other hands: in-place operations, precisions, meta device, threads, jit, NaN in parameters."""

import math
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn

from qml import edges
from qml.nn import DARUAN, HQKAN, QKAN, JHCGNet, QKANLayer, losses
from tests.minimal_backend import OracleBackend

Make = Callable[..., nn.Module]
LAYERS: dict[str, Make] = {
    "DARUAN": partial(DARUAN, 3),
    "QKANLayer": partial(QKANLayer, 3, 3),
    "one output": partial(QKANLayer, 3, 1, train_postactivation=False, base=None),
    "fixed": partial(QKANLayer, 3, 2, train_preactivation=False),
    "QKAN": partial(QKAN, [3, 2, 2]),
    "HQKAN": partial(HQKAN, 3, 2),
}
REFUSED = (TypeError, ValueError, TypeCheckError)  # the tests' type checks come first where they run


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs_of(batch: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(batch, 3, generator=seeded(1), dtype=dtype)


# --- in-place operations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 5, 40, 4000])  # point by point and by a series, in NumPy and in torch
@pytest.mark.parametrize("name", [*LAYERS, "on a backend"])
def test_outputs_may_be_changed_in_place(name: str, batch: int) -> None:
    made = partial(QKANLayer, 3, 1, base=None, train_postactivation=False, backend=OracleBackend())
    layer = (LAYERS | {"on a backend": made})[name](generator=seeded())
    inputs = inputs_of(min(batch, 5) if name == "on a backend" else batch).requires_grad_()
    leaves = [inputs, *layer.parameters()]
    right = torch.autograd.grad(layer(inputs).mul(2.0).relu().square().sum(), leaves)
    changed = nn.functional.relu(layer(inputs).mul_(2.0), inplace=True)
    for found, expected in zip(torch.autograd.grad(changed.square().sum(), leaves), right, strict=True):
        torch.testing.assert_close(found, expected)
    with torch.no_grad():
        before = layer(inputs)
        layer(inputs).add_(1.0)
        torch.testing.assert_close(layer(inputs), before)


@pytest.mark.parametrize("batch", [5, 40])
@pytest.mark.parametrize("name", LAYERS)
def test_inputs_and_parameters_that_were_changed_after_the_call_are_noticed(name: str, batch: int) -> None:
    layer, inputs = LAYERS[name](generator=seeded()), inputs_of(batch).requires_grad_()
    inner = inputs * 1.0
    outputs = layer(inner)
    inner.add_(1.0)
    with pytest.raises(RuntimeError, match=r"modified (by an )?inplace"):
        outputs.sum().backward()
    outputs = layer(inputs)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1.0)
    with pytest.raises(RuntimeError, match=r"modified (by an )?inplace"):
        outputs.sum().backward()


# --- precisions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [2, 4000])
@pytest.mark.parametrize("name", LAYERS)
def test_modules_in_half_precision_are_refused_by_every_method(name: str, batch: int, half: torch.dtype) -> None:
    layer, inputs = LAYERS[name]().to(half), inputs_of(batch).to(half)
    for method in ("forward", "edge_outputs", "importance", "regularisation"):
        if hasattr(layer, method):
            with pytest.raises(TypeError, match=r"must be in float32 or float64.*torch\.autocast"):
                getattr(layer, method)(inputs)
    with pytest.raises(ValueError, match=r"`dtype` must be torch\.float32 or torch\.float64"):
        LAYERS[name](dtype=half)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("batch", [3, 4000])
@pytest.mark.parametrize("name", LAYERS)
def test_circuits_keep_float32_under_autocast_forwards_and_backwards(name: str, batch: int, half: torch.dtype) -> None:
    """The reference is float64. What is classical around a circuit, in HQKAN, keeps the 8 or 11 bits of autocast."""
    layer, inputs = LAYERS[name](generator=seeded()), inputs_of(batch).to(half)
    allowed = 0.05 if name == "HQKAN" else 2e-5
    with torch.autocast("cpu", dtype=half):
        outputs = layer(inputs)
    found = torch.autograd.grad(outputs.float().square().mean(), list(layer.parameters()))
    exact = layer.double()(inputs.double())
    right = torch.autograd.grad(exact.square().mean(), list(layer.parameters()))
    torch.testing.assert_close(outputs.double(), exact, rtol=0, atol=allowed)
    for one, other in zip(found, right, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=0, atol=allowed)


# --- meta device and jit ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["to_empty", "assign", "reset"])
@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_made_on_the_meta_device_gives_the_answers_of_the_weights_it_takes(name: str, how: str) -> None:
    layer, inputs = LAYERS[name](generator=seeded()), inputs_of(40)
    with torch.no_grad():
        for module in layer.modules():
            if isinstance(module, QKANLayer):
                module.mask[0, 1] = 0.0
    with torch.device("meta"):
        other = LAYERS[name]()
    assert all(value.is_meta for value in other.state_dict().values())
    assert other(inputs_of(40).to("meta")).shape == layer(inputs).shape
    with pytest.raises(ValueError, match="`inputs` must be on meta"):
        other(inputs)
    if how == "assign":
        other.load_state_dict(layer.state_dict(), assign=True)
    else:
        other = other.to_empty(device="cpu")
        if how == "to_empty":
            other.load_state_dict(layer.state_dict())
        else:
            masks = [module.mask for module in other.modules() if isinstance(module, QKANLayer)]
            assert all(bool((mask == 1).all()) for mask in masks)
            return
    for _ in range(2):  # made, and kept
        with torch.no_grad():
            torch.testing.assert_close(other(inputs), layer(inputs), rtol=0, atol=0)
    torch.testing.assert_close(other(inputs), layer(inputs), rtol=0, atol=0)


def test_affine_maps_are_made_where_torch_makes_everything() -> None:
    with torch.device("meta"):
        layer = HQKAN(3, 2)
    assert all(value.is_meta for value in layer.state_dict().values())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.parametrize("name", LAYERS)
def test_torch_jit_is_refused_with_what_to_use_instead(name: str) -> None:
    layer = LAYERS[name]()
    with pytest.raises(TypeError, match=r"torch\.export.*torch\.jit\.trace"):
        torch.jit.trace(layer, inputs_of(4))
    with pytest.raises(TypeError, match=r"torch\.export.*torch\.jit\.script"):
        torch.jit.script(nn.Sequential(layer))


# --- threads ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def quick_switches() -> Iterator[None]:
    """Threads take turns every 10 microseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
@pytest.mark.parametrize("shared", [True, False])
def test_threads_get_the_values_and_gradients_of_one_thread(shared: bool) -> None:
    made = {name: make(generator=seeded(), dtype=torch.float64) for name, make in LAYERS.items()}
    jobs = [(name, batch) for name in LAYERS for batch in (3, 40, 3000)]

    def answers(layers: dict[str, nn.Module], name: str, batch: int) -> list[Tensor]:
        layer, inputs = layers[name], inputs_of(batch, torch.float64).requires_grad_()
        outputs = layer(inputs)
        found = torch.autograd.grad(outputs.square().sum(), [inputs, *layer.parameters()])
        with torch.no_grad():
            return [outputs, layer(inputs), *found]

    right = {job: answers(made, *job) for job in jobs}
    wrong: list[str] = []

    def work(number: int) -> None:
        own = made if shared else {name: make(generator=seeded(), dtype=torch.float64) for name, make in LAYERS.items()}
        for turn in range(2 * len(jobs)):
            job = jobs[(turn * (2 * number + 1)) % len(jobs)]
            pairs = zip(answers(own, *job), right[job], strict=True)
            if not all(torch.equal(one, other) for one, other in pairs):
                wrong.append(f"{job} in thread {number}")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- what is not finite -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [2, 40])
@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", LAYERS)
def test_parameters_that_are_not_finite_are_refused_by_name(name: str, value: float, batch: int) -> None:
    layer = LAYERS[name](generator=seeded())
    for key, parameter in layer.named_parameters():
        before = parameter.detach().clone()
        with torch.no_grad():
            parameter.view(-1)[0] = value
            own = key.rsplit(".", 1)[-1]  # a layer in a network names its own parameter
            for _ in range(2):
                with pytest.raises(ValueError, match=rf"Parameter `[\w.]*{own}` of \w+ must be finite"):
                    layer(inputs_of(batch))
        with pytest.raises(ValueError, match=rf"Parameter `[\w.]*{own}` of \w+ must be finite"):
            layer(inputs_of(batch))
        with torch.no_grad():
            parameter.copy_(before)
    layer(inputs_of(batch))


def test_results_that_overflow_are_no_fault_of_the_parameters() -> None:
    layer = QKANLayer(3, 2)
    assert bool(layer(torch.full((2, 3), 3e38)).isinf().any())


def test_spectra_and_formulas_of_nan_are_refused() -> None:
    layer = QKANLayer(2, 1)
    with torch.no_grad():
        layer.weights[0, 0, 0] = math.nan
    for call in (layer.spectrum, layer.to_sympy, lambda: layer.prune(torch.rand(4, 2), 0.1)):
        with pytest.raises(ValueError, match="Parameter `weights` of QKANLayer must be finite"):
            call()


# --- arguments --------------------------------------------------------------------------------------------------------

ODD: dict[str, Any] = {
    "a list": [[0.1, 0.2, 0.3]],
    "an array": np.ones((4, 3), dtype=np.float32),
    "None": None,
    "a number": 3,
    "integers": torch.ones(4, 3, dtype=torch.long),
    "booleans": torch.ones(4, 3, dtype=torch.bool),
    "complex numbers": torch.ones(4, 3, dtype=torch.complex64),
    "float64": torch.ones(4, 3, dtype=torch.float64),
    "bfloat16": torch.ones(4, 3, dtype=torch.bfloat16),
    "meta": torch.ones(4, 3, device="meta"),
    "sparse": torch.ones(4, 3).to_sparse(),
    "one feature too many": torch.ones(4, 4),
    "no dimension": torch.tensor(1.0),
}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", [*LAYERS, "JHCGNet"])
def test_inputs_of_another_kind_are_refused_by_name(name: str, odd: str) -> None:
    classical = partial(JHCGNet, 3, 2, nn.Linear(2, 2), latent=(2, 2))
    layer = (LAYERS | {"JHCGNet": classical})[name]()
    for method in ("forward", "edge_outputs", "importance", "regularisation", "prune"):
        if hasattr(layer, method):
            more = (0.1,) if method == "prune" and isinstance(layer, QKANLayer) else ()
            with pytest.raises(REFUSED, match="inputs"):
                getattr(layer, method)(ODD[odd], *more)


@pytest.mark.plain  # annotations say int and float
def test_numbers_of_numpy_work() -> None:
    two, layer = np.int64(2), QKANLayer(np.int64(3), np.int32(2), reps=np.int64(4), groups=np.int8(2))
    assert (layer.in_features, layer.out_features, layer.reps, layer.groups) == (3, 2, 4, 2)
    assert all(type(value) is int for value in (layer.in_features, layer.out_features, layer.groups))
    assert QKAN(np.array([3, 2])).widths == (3, 2)
    assert HQKAN(two, two, latent=(two, two)).latent == (2, 2)
    assert DARUAN(two).extended(np.int64(5)).reps == 5
    assert layer.prune(inputs_of(4), np.float32(0.0)) == 6
    labels, prediction = torch.tensor([1.0, -1.0]), torch.tensor([0.5, 0.5])
    assert losses.logistic_loss(prediction, labels, scale=np.float64(2.0)).ndim == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: QKAN(3), r"`widths` must be a sequence of sizes, but is int\. Pass widths=\[inputs, outputs\]"),
        (lambda: QKAN("32"), "`widths` must be a sequence"),
        (lambda: QKAN([3, 2.0]), "`widths` must be an int"),
        (lambda: HQKAN(2, 2, latent=2), r"`latent` must be a sequence of sizes.*\(inputs, outputs\)"),
        (lambda: HQKAN(2, 2, latent=(2, 2, 2)), "`latent` must hold two sizes"),
        (lambda: JHCGNet(2, 2, QKAN([2, 2]), latent=2), "`latent` must be a sequence of sizes"),
        (lambda: JHCGNet(2, 2, 3, latent=(2, 2)), r"`core` must be a torch\.nn\.Module"),
        (lambda: JHCGNet(2, 2, QKAN([2, 2]), latent=(2, 2), bias="no"), "`bias` must be True or False"),
        (lambda: QKANLayer(2, 2, reps="3"), "`reps` must be an int"),
        (lambda: QKANLayer(2, 2, groups=1.0), "`groups` must be an int"),
        (lambda: QKANLayer(2, 2, train_preactivation="no"), "`train_preactivation` must be True or False"),
        (lambda: QKANLayer(2, 2, train_postactivation=1), "`train_postactivation` must be True or False"),
        (lambda: QKANLayer(2, 2, ansatz=3), "`ansatz` must be a name or a Circuit"),
        (lambda: QKANLayer(2, 2, base=["silu"]), "`base` must be a function, None or one of silu"),
        (lambda: QKANLayer(2, 2, readout=np.ones(2)), "`readout` must be one of"),
        (lambda: QKANLayer(2, 2, dtype="float32"), "`dtype` must be"),
        (lambda: QKANLayer(2, 2, generator=0), r"`generator` must be a torch\.Generator.*manual_seed"),
        (lambda: DARUAN(2).reset_parameters(0), "`generator` must be"),
        (lambda: DARUAN(2).extended("5"), "`reps` must be an int"),
        (lambda: DARUAN(2).to_backend("native", width=2.0), "`width` must be an int"),
        (lambda: QKANLayer(2, 2).to_sympy("xy"), "`variables` must be a list of 2 names or sympy expressions"),
        (lambda: QKANLayer(2, 2).to_sympy([None, "y"]), r"`variables\[0\]` must be a name or a sympy expression"),
        (lambda: QKANLayer(2, 2).to_sympy(["x", "x"]), "`variables` must hold different names"),
        (lambda: QKAN([2, 2]).formula(["x"]), "`inputs` must hold 2 expressions"),
        (lambda: QKAN([2, 2]).formula(tolerance=1), "`tolerance` must be a share below 1"),
        (lambda: QKANLayer(2, 2).prune(torch.rand(3, 2), 99.0), "`threshold` must leave an edge in every layer"),
        (lambda: QKANLayer(2, 2).to_sympy(tolerance=-1.0), "`tolerance` must be at least 0"),
        (lambda: QKANLayer(2, 2).prune(torch.rand(3, 2), "0.1"), "`threshold` must be a number"),
        (lambda: QKANLayer(2, 2).prune(torch.rand(0, 2), 0.1), "`inputs` must hold at least one sample"),
        (lambda: QKANLayer(2, 2).regularisation(torch.rand(3, 2), entropy="1"), "`entropy` must be a number"),
        (lambda: QKAN([2, 2]).prune(torch.rand(3, 2), edge=math.nan), "`edge` must be finite"),
        (lambda: QKANLayer(2, 2).fit([1.0]), r"`edges` must be a qml\.edges\.Sampled"),
        (lambda: QKANLayer(2, 2).fit(edges.Sampled(*[np.ones((2, 3))] * 4)), "`edges` must have low of shape"),
        (lambda: QKAN.from_network(QKAN([2, 2]), [[0.1, 0.2]]), r"`inputs` must be a torch\.Tensor"),
        (lambda: QKAN.from_network(QKAN([2, 2]), torch.rand(9, 2).double()), "`inputs` must be torch.float32"),
        (lambda: QKAN.from_network(QKAN([2, 2]), torch.rand(9, 2), reps="3"), "`reps` must be an int"),
        (lambda: JHCGNet(2, 2, nn.LSTM(2, 2), latent=(2, 2))(torch.rand(3, 2)), "`core` must give a tensor"),
        (lambda: JHCGNet(2, 2, nn.Linear(2, 3), latent=(2, 2))(torch.rand(3, 2)), "`core` must give 2 features"),
    ],
)
def test_arguments_of_another_kind_are_refused_by_name(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(REFUSED, match=rf"{message}|Type-check error"):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: losses.hinge_loss([0.5], y), r"`prediction` must be a torch\.Tensor"),
        (lambda p, y: losses.hinge_loss(p, y.tolist()), r"`labels` must be a torch\.Tensor"),
        (lambda p, y: losses.farhi_neven_loss(p * math.nan, y), "`prediction` must be finite"),
        (lambda p, y: losses.farhi_neven_loss(p, y.long()), "`labels` must be floating"),
        (lambda p, y: losses.farhi_neven_loss(p.to("meta"), y), "`labels` must be on meta as `prediction`"),
        (lambda p, y: losses.logistic_loss(p, y, scale="4"), "`scale` must be a number"),
        (lambda p, y: losses.hinge_loss(p, y, margin=None), "`margin` must be a number"),
        (lambda p, y: losses.superposition_loss(0.1, p), r"`positive` must be a torch\.Tensor"),
        (lambda p, y: losses.word_loss(p, y.abs()), "`targets` must be integer"),
        (lambda p, y: losses.word_loss(p.long(), y.long()), "`probabilities` must be floating"),
        (lambda p, y: losses.floored_likelihood_loss(p, y.long(), floor="0"), "`floor` must be a number"),
        (lambda p, y: losses.floored_likelihood_loss(p, y.long(), floor=0.0), "`floor` must be above 0"),
    ],
)
def test_losses_refuse_by_name(call: Callable[[Tensor, Tensor], Any], message: str) -> None:
    with pytest.raises(REFUSED, match=rf"{message}|Type-check error"):
        call(torch.tensor([0.5, -0.2]), torch.tensor([1.0, -1.0]))
