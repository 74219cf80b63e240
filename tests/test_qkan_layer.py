"""DARUAN and QKANLayer: the circuits on the simulator, derivatives, contracts of a torch layer."""

import copy
import math
import pickle
import subprocess
import sys
from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, vmap

from circuits import Circuit, Z, data, weight
from circuits.daruan import ANSATZES
from qml.backends import Native
from qml.nn import DARUAN, QKANLayer
from qml.nn.qkan.points import evaluate, slopes, small
from qml.nn.qkan.series import bases
from qml.nn.qkan.series.bases import Chebyshev, Fourier, chebyshev, series_length
from tests.helpers import PROMISED, assert_close

OWN = Circuit(1).ry(weight(0), 0).rz(data(1), 0).t(0).rx(data(0), 0).ry(weight(1), 0)
# Sums of up to 5 activations times factors near 1, and a Chebyshev series: as many roundings as that.
SUM = 10


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randomised(module: nn.Module, seed: int = 1) -> Any:
    """Every parameter moved away from its start, so that none is 0 or 1."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype), alpha=0.4)
    return module


def from_circuits(layer: QKANLayer, inputs: Tensor) -> Tensor:
    """The layer's formula with every activation run on the simulator, in float64."""
    layer, inputs = copy.deepcopy(layer).double(), inputs.double()
    columns = []
    for j in range(layer.out_features):
        total = torch.zeros(len(inputs), dtype=torch.float64)
        for i in range(layer.in_features):
            place = (j, i) if layer.groups is None else (i % layer.groups,)
            angles = inputs[:, i, None].expand(-1, layer.reps)
            if layer.input_weight is not None and layer.input_bias is not None:
                angles = angles * layer.input_weight[place] + layer.input_bias[place]
            if layer.ansatz == "px":
                angles = angles.clamp(-1, 1).acos()
            value = Native().expectation(layer.circuit, angles, layer.weights[place], [Z(0)])[:, 0]
            if layer.output_weight is not None and layer.output_bias is not None:
                value = layer.output_weight[j, i] * (value + layer.output_bias[j, i])
            if layer.base_weight is not None:
                value = value + layer.base_weight[j, i] * nn.functional.silu(inputs[:, i])
            total = total + layer.mask[j, i] * value
        columns.append(total)
    return torch.stack(columns, 1)


def test_outputs_that_share_circuits_start_different() -> None:
    outputs = QKANLayer(5, 2, groups=2, generator=seeded())(torch.randn(9, 5, generator=seeded(2)))
    assert (outputs[:, 0] - outputs[:, 1]).abs().min() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", [{}, {"train_preactivation": False}, {"groups": 2, "base": None}])
@pytest.mark.parametrize("ansatz", [*ANSATZES, OWN])
@pytest.mark.parametrize("batch", [3, 64])  # point by point, and by a series
def test_layer_is_the_sum_of_its_circuits(
    ansatz: str | Circuit, options: dict[str, Any], batch: int, dtype: torch.dtype
) -> None:
    layer = randomised(QKANLayer(5, 2, ansatz=ansatz, dtype=dtype, generator=seeded(), **options))
    with torch.no_grad():
        layer.mask[1, 2] = 0.0
    inputs = torch.randn(batch, 5, generator=seeded(2), dtype=dtype)
    assert_close(layer(inputs).double(), from_circuits(layer, inputs), SUM * PROMISED[dtype])


def test_a_batch_of_a_plain_layer_uses_a_series_and_few_samples_do_not() -> None:
    layer = QKANLayer(3, 2, generator=seeded())
    inputs = torch.randn(64, 3, generator=seeded(1))
    assert isinstance(layer._basis_for(inputs, closed_form=True), Chebyshev)
    assert layer._basis_for(inputs[:5], closed_form=True) is None
    assert layer._basis_for(1e6 * inputs, closed_form=True) is None
    assert layer._basis_for(inputs * 0, closed_form=True) is not None
    assert QKANLayer(3, 2, train_preactivation=False)._basis_for(inputs[:5], closed_form=True) == Fourier(3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_of_a_series_are_those_of_the_points(dtype: torch.dtype) -> None:
    layer = randomised(QKANLayer(5, 4, dtype=dtype, generator=seeded()))
    inputs = torch.randn(100, 5, generator=seeded(2), dtype=dtype, requires_grad=True)
    probes = torch.randn(100, 4, generator=seeded(3), dtype=dtype)
    leaves = [inputs, *layer.parameters()]
    series = torch.autograd.grad((probes * layer(inputs)).sum(), leaves)
    layer._basis_for = lambda *_, **__: None
    points = torch.autograd.grad((probes * layer(inputs)).sum(), leaves)
    for one, other in zip(series, points, strict=True):
        # sums over 100 samples, whose rounding grows with the sum of their sizes (about 100)
        assert_close(one, other, 100 * SUM * (1e-7 if dtype == torch.float32 else 1e-15))


@pytest.mark.parametrize("options", [{}, {"train_preactivation": False}, {"groups": 2}])
@pytest.mark.parametrize("ansatz", [*ANSATZES, OWN])
@pytest.mark.parametrize("kept", [evaluate.MAX_KEPT_SLOPES, 0])  # slopes kept for the way back, or computed again
@pytest.mark.parametrize("batch", [5, 40])
def test_many_activations_at_once_are_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch, ansatz: str | Circuit, options: dict[str, Any], kept: int, batch: int
) -> None:
    layer = randomised(QKANLayer(3, 4, ansatz=ansatz, dtype=torch.float64, generator=seeded(), **options))
    inputs = torch.randn(batch, 3, dtype=torch.float64, generator=seeded(2)).mul_(0.4).requires_grad_()
    results = []
    for limit, chunk in (
        (small.MAX_NUMPY_ACTIVATIONS, slopes.CHUNK),
        (0, 7 * 12),
    ):  # NumPy; torch in chunks of seven points
        monkeypatch.setattr(small, "MAX_NUMPY_ACTIVATIONS", limit)
        monkeypatch.setattr(slopes, "CHUNK", chunk)
        monkeypatch.setattr(evaluate, "MAX_KEPT_SLOPES", kept)
        outputs = layer(inputs)
        leaves = [inputs, *layer.parameters()]
        results.append([outputs, *torch.autograd.grad(outputs.square().sum(), leaves)])
    for few, many in zip(*results, strict=True):
        assert_close(many, few, 1e-12)  # float64 algebra, summed over the batch


def test_inference_follows_parameters_however_they_change() -> None:
    layer = randomised(QKANLayer(3, 2, generator=seeded()))
    inputs = torch.randn(40, 3, generator=seeded(1))
    for _ in range(2):
        with torch.no_grad():
            first, again = layer(inputs), layer(inputs)
        assert_close(again, first, 0)
        assert_close(first, layer(inputs).detach(), 0)
        layer.weights.data[0, 0, 0] += 0.5  # leaves no trace in the parameter's version
        layer.input_weight.data[0, 0, 0] += 0.5
    with torch.inference_mode():
        layer(inputs)
    layer.double()
    with torch.no_grad():
        assert layer(inputs.double()).dtype == torch.float64
    layer(inputs.double()).sum().backward()


@pytest.mark.parametrize("options", [{}, {"train_preactivation": False}, {"ansatz": "mix"}, {"groups": 2}])
@pytest.mark.parametrize("batch", [2, 40])
def test_derivatives_are_right_to_second_order(options: dict[str, Any], batch: int) -> None:
    layer = randomised(QKANLayer(2, 1, reps=2, dtype=torch.float64, generator=seeded(), **options))
    names = [name for name, _ in layer.named_parameters()]
    inputs = 0.7 * torch.randn(batch, 2, dtype=torch.float64, generator=seeded(2)).requires_grad_()

    def call(x: Tensor, *values: Tensor) -> Tensor:
        return functional_call(layer, dict(zip(names, values, strict=True)), (x,))[:3]

    values = [
        inputs.detach().clone().requires_grad_(),
        *(p.detach().clone().requires_grad_() for p in layer.parameters()),
    ]
    assert torch.autograd.gradcheck(call, values, fast_mode=batch > 2)
    assert torch.autograd.gradgradcheck(call, values, fast_mode=True)


@pytest.mark.parametrize("ansatz", ["px", "real", "rpz", OWN])
def test_darauns_derivatives_are_right_to_second_order(ansatz: str | Circuit) -> None:
    module = DARUAN(3, ansatz=ansatz, dtype=torch.float64, generator=seeded())
    with torch.no_grad():
        module.input_weight *= 0.3  # the arccosine stays clear of its ends
    values = [torch.randn(4, 3, dtype=torch.float64, generator=seeded(1)).clamp(-1.5, 1.5).requires_grad_()]
    values += [p.detach().clone().requires_grad_() for p in module.parameters()]
    names = [name for name, _ in module.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Tensor:
        return functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(call, values)
    assert torch.autograd.gradgradcheck(call, values, fast_mode=True)


def test_daruan_is_one_circuit_a_feature() -> None:
    module = randomised(DARUAN(3, dtype=torch.float64, generator=seeded()))
    inputs = torch.randn(2, 4, 3, dtype=torch.float64, generator=seeded(1))
    for feature in range(3):
        angles = inputs[..., feature].flatten()[:, None] * module.input_weight[feature] + module.input_bias[feature]
        expected = Native().expectation(module.circuit, angles, module.weights[feature], [Z(0)])
        assert_close(module(inputs)[..., feature].flatten(), expected[:, 0], 1e-12)  # float64 algebra


def test_the_published_readout_is_the_difference_of_moduli() -> None:
    module = randomised(DARUAN(1, readout="amplitudes", dtype=torch.float64, generator=seeded()))
    inputs = torch.randn(7, 1, dtype=torch.float64, generator=seeded(1))
    angles = inputs * module.input_weight[0] + module.input_bias[0]
    state = Native().state(module.circuit, angles, module.weights[0])
    assert_close(module(inputs)[:, 0], state[:, 0].abs() - state[:, 1].abs(), 1e-12)  # float64 algebra
    module.readout = "z"
    assert_close(module(inputs)[:, 0], state[:, 0].abs() ** 2 - state[:, 1].abs() ** 2, 1e-12)


@pytest.mark.parametrize("shape", [(), (5,), (2, 30), (0,), (2, 0, 4)])
@pytest.mark.parametrize("trained", [True, False])
def test_any_leading_shape_is_kept(shape: tuple[int, ...], trained: bool) -> None:
    layer = QKANLayer(6, 4, train_preactivation=trained)
    outputs = layer(torch.rand(*shape, 6))
    assert outputs.shape == (*shape, 4)
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    assert DARUAN(6)(torch.rand(*shape, 6)).shape == (*shape, 6)


@pytest.mark.parametrize("value", [1e6, -1e6, 0.0, 1e-45, 1e30, -1.0, 1.0])
@pytest.mark.parametrize("ansatz", list(ANSATZES))
@pytest.mark.parametrize("trained", [True, False])
def test_extreme_inputs_give_finite_values_and_gradients(value: float, ansatz: str, trained: bool) -> None:
    layer = QKANLayer(2, 2, ansatz=ansatz, train_preactivation=trained, base=None, generator=seeded())
    for batch in (1, 64):
        inputs = torch.full((batch, 2), value, requires_grad=True)
        outputs = layer(inputs)
        outputs.sum().backward()
        assert torch.isfinite(outputs).all()
        assert torch.isfinite(inputs.grad).all()
        assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


def test_copies_give_the_same_numbers_and_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    layer = QKANLayer(6, 3, base="identity", generator=seeded())
    assert torch.equal(before, torch.random.get_rng_state())
    inputs = torch.rand(6, 40, generator=seeded(1)).mT
    restored = QKANLayer(6, 3, base="identity")
    restored.load_state_dict(layer.state_dict())
    expected = layer(inputs.contiguous())
    for twin in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), restored):
        assert_close(twin(inputs), expected, 0)


@pytest.mark.parametrize("trained", [True, False])
def test_transforms_of_torch_func_equal_autograd(trained: bool) -> None:
    layer = randomised(QKANLayer(2, 1, reps=1, train_preactivation=trained, dtype=torch.float64, generator=seeded()))
    parameters = {name: value.detach() for name, value in layer.named_parameters()}
    inputs = torch.randn(30, 2, dtype=torch.float64, generator=seeded(1))

    def loss(p: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(layer, p, (x,)).square().mean()

    each = vmap(grad(loss), (None, 0))(parameters, inputs[:, None])
    layer(inputs).square().mean().backward()
    for name, parameter in layer.named_parameters():
        assert_close(each[name].mean(0), parameter.grad, 1e-12)  # float64 algebra
    point = inputs[0]
    plain = torch.autograd.functional.hessian(lambda x: layer(x).sum(), point)
    assert_close(hessian(lambda x: layer(x).sum())(point), plain, 1e-12)


COMPILED = """
import torch
from qml.nn import QKANLayer
layer = QKANLayer(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
inputs = torch.rand(40, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
results = []
for run in (torch.compile(layer, backend="aot_eager", fullgraph=True), layer):
    value = run(inputs)
    results.append([value, *torch.autograd.grad(value.square().sum(), layer.parameters())])
for compiled, eager in zip(*results, strict=True):
    torch.testing.assert_close(compiled, eager, rtol=0, atol=1e-11)  # float64 algebra, summed over the batch
print("same")
"""


def test_compiled_layer_is_the_eager_one() -> None:
    """In a process of its own: the type checks that pytest wraps around every function cannot be compiled."""
    run = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["same"], run.stderr[-2000:]


def test_autocast_keeps_the_precision_of_the_circuits() -> None:
    layer = QKANLayer(3, 2, base=None, generator=seeded())
    inputs = torch.rand(40, 3, generator=seeded(1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = layer(inputs)
    assert values.dtype == torch.float32
    assert_close(values, layer(inputs), SUM * PROMISED[torch.float32])


def test_a_layer_learns_a_sine() -> None:
    layer = QKANLayer(1, 1, dtype=torch.float64, generator=seeded())
    inputs = torch.linspace(-3, 3, 60, dtype=torch.float64)[:, None]
    targets = torch.sin(2 * inputs)
    nn.init.zeros_(layer.weights)
    assert (layer(inputs) - targets).square().mean() > 0.4
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.05)
    with torch.no_grad():
        layer.weights += 0.1 * torch.randn(layer.weights.shape, generator=seeded(1), dtype=torch.float64)
    for _ in range(80):
        optimizer.zero_grad()
        loss = (layer(inputs) - targets).square().mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bandwidth", [0.01, 1.0, 9.0, 60.0])
def test_a_chebyshev_series_holds_the_fastest_oscillation_to_rounding(bandwidth: float, dtype: torch.dtype) -> None:
    # Rounding of arguments up to 2 bandwidth at the nodes and at the points, and of a sum of `size` terms.
    allowed = torch.finfo(dtype).eps * (20.0 + 4.0 * bandwidth)
    basis = chebyshev(-2.0, 1.0, bandwidth, dtype)
    assert basis is not None
    points = torch.linspace(-2, 1, 301, dtype=torch.float64)
    nodes = basis.nodes(points)
    coefficients = basis.from_nodes(points) @ torch.cos(bandwidth * nodes)
    values = coefficients @ basis.features(points)
    assert_close(values, torch.cos(bandwidth * points), allowed)
    steepness = (basis.derivative(points) @ coefficients) @ basis.features(points)
    expected = -bandwidth * torch.sin(bandwidth * points)
    assert_close(steepness, expected, 10 * allowed * max(1.0, bandwidth))  # as much steeper as the polynomials are
    # Either recurrence loses a few roundings a step, more of them near the ends of the interval.
    assert_close(basis.plain_features(points), basis.features(points), 1e-15 * basis.size**2)
    many = points.repeat(20)[: bases.MAX_NUMPY_INPUTS + 300]  # by torch instead of NumPy
    assert_close(basis.features(many)[:, :301], basis.features(points), 1e-15 * basis.size**2)


def test_the_length_of_a_series_grows_with_bandwidth_and_precision() -> None:
    assert series_length(10.0, 1e-7) < series_length(10.0, 1e-16) < series_length(50.0, 1e-16)
    assert series_length(1e7, 1e-7) is None
    assert series_length(math.inf, 1e-7) is None


def test_bad_arguments_are_refused() -> None:
    for name, arguments in (("in_features", (0, 1)), ("out_features", (1, 0))):
        with pytest.raises(ValueError, match=f"`{name}` must be at least 1, but is 0"):
            QKANLayer(*arguments)
    for options, message in (
        ({"reps": 0}, "`reps` must be at least 1"),
        ({"groups": 0}, "`groups` must be at least 1"),
        ({"ansatz": "zz"}, "`ansatz` must be one of pz"),
        ({"ansatz": Circuit(2).ry(data(0), 0)}, "must be a circuit of one qubit, but has 2"),
        ({"ansatz": Circuit(1).h(0).rz(data(0), 0)}, "must measure something of its input"),
        ({"base": "relu6"}, "`base` must be a function, None or one of silu"),
        ({"dtype": torch.float16}, "`dtype` must be torch.float32 or torch.float64"),
    ):
        with pytest.raises(ValueError, match=message):
            QKANLayer(2, 2, **options)
    misspelt: Any = "x"
    with pytest.raises((ValueError, TypeCheckError), match="'z', 'amplitudes'"):  # the tests' type checks come first
        QKANLayer(2, 2, readout=misspelt)
    with pytest.raises(ValueError, match="`n_features` must be at least 1"):
        DARUAN(0)
    layer = QKANLayer(4, 2)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 4\), but has shape \(3, 5\)"):
        layer(torch.rand(3, 5))
    for module, value in ((layer, math.nan), (layer, math.inf), (DARUAN(4), math.nan)):
        with pytest.raises(ValueError, match="`inputs` must be finite"):
            module(torch.full((3, 4), value))


def test_the_layer_has_no_bias_as_a_linear_layer_without_one() -> None:
    layer = QKANLayer(2, 3)
    assert layer.bias is None
    assert "bias" not in layer.state_dict()
    assert all(name != "bias" for name, _ in layer.named_parameters())


@pytest.mark.parametrize("base", ["silu", None])
@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("batch", [3, 100])
def test_shared_circuits_with_fixed_weights_reach_every_output(batch: int, trained: bool, base: str | None) -> None:
    options: dict[str, Any] = {"groups": 2, "train_postactivation": False, "train_preactivation": trained, "base": base}
    layer = QKANLayer(3, 2, dtype=torch.float64, generator=seeded(), **options)
    inputs = torch.randn(batch, 3, dtype=torch.float64, generator=seeded(1))
    assert_close(layer(inputs), from_circuits(layer, inputs), 1e-12)  # float64 algebra


def test_a_series_is_the_layer() -> None:
    layer = randomised(QKANLayer(3, 2, dtype=torch.float64, generator=seeded()))
    inputs = 2 * torch.rand(50, 3, dtype=torch.float64, generator=seeded(1)) - 1
    series = layer.series_on(-1.0, 1.0, most=100)
    assert series is not None
    values = torch.einsum("kbi,kij->bj", series.basis.plain_features(inputs), series.coefficients)
    assert series.base is not None
    assert_close(values + series.bias + series.base(inputs) @ series.base_weight, layer(inputs), 1e-12)
    assert layer.series_on(-1.0, 1.0, most=2) is None
    assert layer.to_backend(Native(method="adjoint")).series_on(-1.0, 1.0, most=100) is None
