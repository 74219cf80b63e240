"""Computed angles before a circuit: values, derivatives, habits of a torch module, files, refusals."""

import copy
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, ComputedCircuit, Polynomial, X, Z, ansatzes, data, feature_maps, weight
from circuits.functions import FUNCTIONS
from circuits.polynomials import affine, function_of, inputs, weight_of
from qml.jets import Jet, JetError
from qml.jets.orders import Orders
from qml.nn import Angles, QuantumLayer, load_layer, save_layer
from tests import oracle
from tests.helpers import assert_close

ALGEBRA = 1e-12
DOUBLE = torch.float64
ORDERS = Orders(2, (((0, 1.5), (1, -0.7)), ((1, 2.0),)))


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def polynomials() -> list[Polynomial]:
    first, second = inputs(2)
    return [
        (math.pi - first) * (math.pi - second),
        weight_of(0) * first + weight_of(1),
        Polynomial.of(0.25),
        first**3 * second - weight_of(1) ** 2 * second + 1.0,
        second,
    ]


def module(**options: Any) -> Angles:
    return Angles(polynomials(), **({"dtype": DOUBLE, "generator": seeded()} | options))


def layer(**options: Any) -> QuantumLayer:
    circuit = Circuit(2).ry(data(0), 0).rx(data(1), 1).cx(0, 1).rz(data(2), 0).ry(data(3), 1).rx(weight(0), 0)
    circuit.ry(data(4), 0).cx(1, 0)
    return QuantumLayer(circuit, [Z(0), X(1)], angles=module(**options), dtype=DOUBLE, generator=seeded())


def test_angles_are_those_of_the_polynomials() -> None:
    angles = module(is_scaled=True)
    samples = torch.randn(3, 4, 2, dtype=DOUBLE, generator=seeded())
    with torch.no_grad():
        angles.scale.copy_(torch.tensor([1.0, -2.0, 0.5, 3.0, 1.0]))  # pyright: ignore
    weights = angles.weights.detach().numpy()
    expected = np.stack([item.values(samples.numpy(), weights) for item in polynomials()], -1)
    assert_close(angles(samples), expected * [1.0, -2.0, 0.5, 3.0, 1.0], ALGEBRA)
    assert angles(samples[:0]).shape == (0, 4, 5)
    assert angles(samples[0, 0]).shape == (5,)
    single = module().float()(samples.float())
    assert_close(single.double(), expected, 1e-4)
    with pytest.raises(AssertionError, match="Mismatched elements"):
        assert_close(angles(samples), expected, ALGEBRA)


def functions() -> list[Polynomial]:
    first, second = inputs(2)
    inner = 0.3 * first * weight_of(0) + 0.4 + 0.1 * second
    result = [function_of(name, inner) for name in FUNCTIONS]
    result.append(function_of("sin", function_of("exp", first) * result[0]) / (2.0 + second) ** 2 + first * second)
    return result


def test_functions_in_angles_have_values_and_all_derivatives() -> None:
    angles = Angles(functions(), dtype=DOUBLE, initial=[0.5])
    samples = torch.rand(2, 2, dtype=DOUBLE, generator=seeded()).requires_grad_()
    expected = np.stack([item.values(samples.detach().numpy(), [0.5]) for item in functions()], -1)
    assert_close(angles(samples).detach(), expected, ALGEBRA)
    assert_close(torch.vmap(angles)(samples).detach(), expected, ALGEBRA)
    assert_close(Angles(functions(), initial=[0.5])(samples.float().detach()).detach(), expected, 1e-5)

    def outputs(values: Tensor, weights: Tensor) -> Tensor:
        return torch.func.functional_call(angles, {"weights": weights}, (values,))

    arguments = samples, angles.weights.detach().requires_grad_()
    assert torch.autograd.gradcheck(outputs, arguments)
    assert torch.autograd.gradgradcheck(outputs, arguments)
    direction = torch.tensor([[1.0, 0.3], [-0.4, 1.0]], dtype=DOUBLE)
    components = torch.zeros(ORDERS.n_components, 2, 2, dtype=DOUBLE)
    components[0], components[1], components[2] = samples.detach(), direction[0], direction[1]
    jet = angles(Jet(components, ORDERS)).data
    assert_close(jet[0], angles(samples), ALGEBRA)
    line = direction[1].expand(2, 2)
    first = torch.func.jvp(angles, (samples.detach(),), (line,))[1]
    second = torch.func.jvp(lambda x: torch.func.jvp(angles, (x,), (line,))[1], (samples.detach(),), (line,))[1]
    assert_close(jet[2], first, ALGEBRA)
    assert_close(jet[4], 2.0 * second, 1e-11)  # the form of the second direction alone


def test_functions_are_shared_and_stay_in_files(tmp_path: Path) -> None:
    angles = Angles([*functions(), *functions()], dtype=DOUBLE, initial=[0.5])
    assert angles.make_tables(angles.weights)["coefficients 0"].shape[0] == len(FUNCTIONS) + 2  # exp and reciprocal
    samples = torch.rand(3, 2, dtype=DOUBLE, generator=seeded())
    save_layer(angles, tmp_path / "angles.safetensors")
    again = load_layer(tmp_path / "angles.safetensors")
    assert again.config()["polynomials"] == angles.polynomials  # pyright: ignore
    for other in (again, copy.deepcopy(angles), pickle.loads(pickle.dumps(angles))):
        assert torch.equal(other(samples), angles(samples))
        assert hash(other.polynomials) == hash(angles.polynomials)  # pyright: ignore


@pytest.mark.parametrize(
    ("function", "value", "message"),
    [
        ("log", 0.0, r"must give log\(x0\) a real and finite value, but it is log of 0"),
        ("sqrt", -1.0, r"sqrt\(x0\) a real and finite value, but it is sqrt of -1"),
        ("reciprocal", 0.0, r"1/\(x0\) a real and finite value, but it is 1 divided by 0"),
        ("arcsin", 1.5, r"arcsin\(x0\)"),
        ("exp", 1e4, r"exp\(x0\) .* exp of 10000"),
        ("sin", math.nan, r"sin\(x0\) .* sin of a number that is not finite"),
    ],
)
def test_inputs_without_a_value_are_refused_with_the_function(function: str, value: float, message: str) -> None:
    (first,) = inputs(1)
    polynomial = function_of(function, first)
    angles, samples = Angles([polynomial + 1.0], dtype=DOUBLE), torch.tensor([[0.5], [value]], dtype=DOUBLE)
    with pytest.raises(ValueError, match=message):
        angles(samples)
    with pytest.raises(ValueError, match=message):
        polynomial.values(samples.numpy())
    with pytest.raises(ValueError, match=r"must give \S+ a real"):
        angles(Jet(torch.stack([samples, samples * 0 + 1, samples, samples, samples]), ORDERS))
    assert not torch.vmap(angles)(samples).isfinite().all()  # where values cannot be read, the angle is none


def test_an_end_without_a_derivative_is_refused_where_one_is_asked_for() -> None:
    (first,) = inputs(1)
    for name, value in (("sqrt", 0.0), ("arcsin", 1.0), ("arccos", -1.0)):
        angles, samples = Angles([function_of(name, first)], dtype=DOUBLE), torch.tensor([[value]], dtype=DOUBLE)
        assert_close(angles(samples), function_of(name, first).values(samples.numpy())[:, None], ALGEBRA)
        with pytest.raises(ValueError, match=rf"must give the derivative of {name}\(x0\) a real and finite value"):
            angles(samples.requires_grad_())
    samples = torch.zeros(1, 1, dtype=DOUBLE, requires_grad=True)
    Angles([function_of("abs", first)], dtype=DOUBLE)(samples).sum().backward()
    assert samples.grad is not None
    assert not samples.grad.any()  # as torch has it


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: function_of("sinh", inputs(1)[0]), "`name` must be one of 'sin', 'cos'"),
        (lambda: function_of("log", 0), "log of 0"),
        (lambda: nested(33, 1), "at most 32 functions inside each other and 10000 parts, but has 33 levels"),
        (lambda: nested(20, 2), "10000 parts, but has 1.* parts"),
    ],
)
def test_functions_that_are_too_large_are_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def nested(depth: int, width: int) -> Polynomial:
    (value,) = inputs(1)
    for _ in range(depth):
        value = sum((function_of(name, value) for name in ("sin", "cos")[:width]), Polynomial(()))
    return value


def test_the_first_weights_are_uniform_or_given() -> None:
    assert module(initial=[1.0, 0.0]).weights.tolist() == [1.0, 0.0]
    drawn = Angles(affine(500), generator=seeded()).weights.detach()
    assert math.pi > float(drawn.max()) > 3.0 > -3.0 > float(drawn.min()) >= -math.pi
    assert Angles(inputs(2), n_inputs=4).n_inputs == 4


def test_derivatives_pass_gradcheck() -> None:
    circuit = layer(is_scaled=True)
    samples = torch.randn(1, 2, dtype=DOUBLE, generator=seeded()).requires_grad_()
    parameters = dict(circuit.named_parameters())
    assert set(parameters) == {"weights", "angles.weights", "angles.scale"}

    def outputs(values: Tensor, *own: Tensor) -> Tensor:
        return torch.func.functional_call(circuit, dict(zip(parameters, own, strict=True)), (values,))

    arguments = (samples, *(value.detach().requires_grad_() for value in parameters.values()))
    assert torch.autograd.gradcheck(outputs, arguments)
    assert torch.autograd.gradgradcheck(outputs, arguments)


def test_a_layer_of_a_feature_map_agrees_with_the_oracle() -> None:
    computed = feature_maps.zz(3).compose(ansatzes.real_amplitudes(3, 1))
    circuit = QuantumLayer(computed, [Z(0), X(2)], dtype=DOUBLE, generator=seeded())
    samples = torch.rand(4, 3, dtype=DOUBLE, generator=seeded())
    weights = circuit.weights.detach().numpy()
    expected = oracle.expectation(computed.circuit, computed.data(samples.numpy()), weights, [Z(0), X(2)])
    assert_close(circuit(samples), expected, ALGEBRA)


def test_any_module_may_compute_the_angles() -> None:
    circuit = ansatzes.qaoa_embedding(3)
    for angles in (
        nn.Linear(2, 3),
        nn.Sequential(nn.Linear(2, 3), nn.Tanh()),
        nn.Sequential(nn.Tanh(), nn.Linear(2, 3)),
    ):
        made = QuantumLayer(circuit, [Z(0)], angles=angles, generator=seeded())
        values = torch.rand(5, 2, generator=seeded())
        plain = QuantumLayer(circuit, [Z(0)], generator=seeded())
        assert_close(made(values).detach(), plain(angles(values)).detach(), 1e-6)
        rows = torch.rand(5, circuit.n_weights)
        assert_close(made(values, rows).detach(), plain(angles(values), rows).detach(), 1e-6)


def test_jets_go_through_angles() -> None:
    circuit = layer(is_scaled=True)
    points = torch.rand(3, 2, dtype=DOUBLE, generator=seeded()).requires_grad_()
    components = torch.zeros(ORDERS.n_components, 3, 2, dtype=DOUBLE)
    directions = torch.tensor([[1.0, 0.3], [-0.4, 1.0]], dtype=DOUBLE)
    components[0], components[1], components[2] = points.detach(), directions[0], directions[1]
    found = circuit(Jet(components, ORDERS)).data

    def along(step: Tensor) -> Tensor:
        return circuit(points.detach() + step @ directions)

    zero = torch.zeros(2, dtype=DOUBLE)
    first = torch.autograd.functional.jacobian(along, zero)
    assert_close(found[0], circuit(points), ALGEBRA)
    assert_close(found[1], first[..., 0], 1e-10)
    assert_close(found[2], first[..., 1], 1e-10)
    for place, terms in enumerate(ORDERS.forms):
        total = torch.zeros(3, 2, dtype=DOUBLE)
        for direction, factor in terms:
            line = directions[direction]
            second = torch.func.jvp(
                lambda t, line=line: torch.func.jvp(lambda u: circuit(points.detach() + u * line), (t,), (t * 0 + 1,))[
                    1
                ],
                (torch.zeros((), dtype=DOUBLE),),
                (torch.ones((), dtype=DOUBLE),),
            )[1]
            total = total + factor * second
        assert_close(found[3 + place], total, 1e-9)
    by_linear = QuantumLayer(Circuit(1).rx(data(0), 0), [Z(0)], angles=nn.Linear(2, 1), dtype=DOUBLE).double()
    assert by_linear(Jet(components, ORDERS)).data.shape == (ORDERS.n_components, 3, 1)
    other = QuantumLayer(Circuit(1).rx(data(0), 0), [Z(0)], angles=nn.Sequential(nn.Linear(2, 1), nn.Softplus()))
    with pytest.raises(JetError, match="no rule for"):
        other.double()(Jet(components, ORDERS))


def test_copies_states_and_files_keep_the_angles(tmp_path: Path) -> None:
    circuit, samples = layer(is_scaled=True, initial=[0.5, 100.0]), torch.rand(3, 2, dtype=DOUBLE, generator=seeded())
    with torch.no_grad():
        circuit.angles.scale.mul_(1.25)  # pyright: ignore
    expected = circuit(samples)
    for other in (copy.deepcopy(circuit), pickle.loads(pickle.dumps(circuit))):
        assert torch.equal(other(samples), expected)
    save_layer(circuit, tmp_path / "layer.safetensors")
    again = load_layer(tmp_path / "layer.safetensors")
    assert torch.equal(again(samples), expected)
    assert again.config()["angles"].polynomials == tuple(polynomials())  # pyright: ignore
    save_layer(circuit.angles, tmp_path / "angles.safetensors")  # pyright: ignore
    assert torch.equal(load_layer(tmp_path / "angles.safetensors")(samples), circuit.angles(samples))  # pyright: ignore
    with pytest.raises(TypeError, match=r"must be one of Angles, .* but is Linear"):
        save_layer(
            QuantumLayer(Circuit(1).rx(data(0), 0), [Z(0)], angles=nn.Linear(2, 1)), tmp_path / "other.safetensors"
        )


def bad_layer(angles: Any, circuit: Any = None) -> QuantumLayer:
    return QuantumLayer(Circuit(2).rx(data(0), 0).rx(data(1), 1) if circuit is None else circuit, [Z(0)], angles=angles)


class Folded(nn.Module):
    """A module that does not say how many angles it returns."""

    def forward(self, values: Tensor) -> Tensor:
        return values[..., :1]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Angles(inputs(2), n_inputs=1), r"`n_inputs` must be at least 2, but is 1\. The polynomials use"),
        (lambda: Angles([weight_of(1)]), r"must number its weights 0\.\.1 without gaps, but uses 1 of them"),
        (lambda: module(initial=[1.0]), "`initial` must hold 2 weights, but holds 1"),
        (lambda: module()(torch.zeros(3, 3, dtype=DOUBLE)), r"`inputs` must have shape \(\.\.\., 2\)"),
        (lambda: bad_layer(nn.Linear(3, 3)), "`angles` must compute 2 angles, one for each data slot, but computes 3"),
        (lambda: bad_layer(Angles(inputs(3))), "must compute 2 angles, .* but computes 3"),
        (lambda: bad_layer(Folded())(torch.zeros(3, 4)), r"returns shape \(3, 2\) here, but it returns \(3, 1\)"),
        (lambda: bad_layer(Angles(inputs(2)), feature_maps.iqp(2)), "`angles` must be None for a ComputedCircuit"),
    ],
)
def test_bad_angles_are_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


def test_tables_beyond_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qml.nn.angles.MAX_TABLE", 39)
    with pytest.raises(ValueError, match=r"must fit into a table of 39 numbers, but needs 5 x 4 x 4"):
        module()


@pytest.mark.plain
def test_other_types_are_refused() -> None:
    with pytest.raises(TypeError, match="`polynomials` must be a Polynomial, but is str"):
        Angles(["x0"])  # pyright: ignore
    with pytest.raises(TypeError, match=r"`angles` must be a torch\.nn\.Module, but is int"):
        bad_layer(3)
    assert isinstance(feature_maps.iqp(2), ComputedCircuit)
