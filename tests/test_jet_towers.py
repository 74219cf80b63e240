"""Third and fourth derivatives along a direction: jets beside nested reverse passes, and beside closed forms."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml.backends import Native
from qml.jets import Jet, Orders
from qml.jets.orders import Tower
from qml.jets.rules import ACTIVATIONS, TANH, Activation
from qml.nn import QKANLayer, QuantumLayer
from qml.pinn import MLP, Box, EdgeJets, Face, FourierFeatures, ModifiedMLP, Pinn, Problem, Separable
from qml.pinn import edges as edges_module
from qml.pinn.derivatives import DerivativePlan, carried_by_jets
from qml.pinn.training.jacobian import Residuals, layers_suffice
from qml.pinn.training.loss import LossParts
from tests.helpers import assert_close
from tests.pinn_checks import assert_jets_are_nested_passes

DOUBLE = torch.float64
OPERATORS = {
    "beam": {"u_xxxx": 1.0, "u_xx": 2.0, "u_xt": 0.2, "u_xxx": -0.5, "u_t": 3.0},
    "steep": {"v_ttt": 2.0},
}
ASKED = ("u", "u_t", "u_xx", "u_xxx", "u_xxxx", "u_xt", "v_ttt", "v_x", *OPERATORS)
ORDERS = Orders(2, (((1, 1.0),), ((0, 1.0),)), (Tower(0, 1, 4), Tower(1, 0, 3)))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def equation(u: Tensor, u_t: Tensor, u_x: Tensor, u_xxxx: Tensor, v_xxx: Tensor, steep: Tensor, beam: Tensor) -> Tensor:
    return u_t + u * u_x + u_xxxx * steep + v_xxx**2 + beam


def problem(**options: Any) -> Problem:
    """Two fields on a rectangle, whose equation is of fourth order in x and of third in t."""

    def face(field: str, axis: str, index: int) -> Face:
        residual = {"u": lambda u: u, "v": lambda v: v}[field]
        return Face(f"{field} {axis} {index}", {axis: 0.0}, residual)

    conditions = tuple(face(field, axis, index) for field in "uv" for axis in "xt" for index in range(4))
    return Problem(
        name="tall",
        domain=Box({"x": (0.0, 1.0), "t": (0.0, 0.5)}),
        fields=("u", "v"),
        equations={"tall": equation},
        conditions=conditions,
        operators=OPERATORS,
        **options,
    )


TRUNKS: dict[str, Callable[[], nn.Module]] = {
    "tanh": lambda: MLP(2, (6, 5), 2, dtype=DOUBLE, generator=seeded()),
    "sin": lambda: MLP(2, (6, 5), 2, activation="sin", dtype=DOUBLE, generator=seeded()),
    "modified": lambda: ModifiedMLP(2, 5, 2, 2, dtype=DOUBLE, generator=seeded()),
    "separable": lambda: Separable.of_mlps(2, (5,), 4, 2, dtype=DOUBLE, generator=seeded()),
    "fourier": lambda: nn.Sequential(
        FourierFeatures(2, 4, scale=2.0, dtype=DOUBLE, generator=seeded()),
        MLP(8, (6,), 2, dtype=DOUBLE, generator=seeded()),
    ),
    "torch": lambda: nn.Sequential(nn.Linear(2, 5), nn.Sigmoid(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double(),
}


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("constructed", [False, True])
def test_jets_and_nested_passes_agree_in_values_and_in_gradients_of_weights(trunk: str, constructed: bool) -> None:
    made = (
        problem(
            trial=lambda x, t, u, v: ((1 - x**2) * u + t / (2 + x), torch.exp(-t) * v * x - torch.cos(x) / 3),
            features=lambda x, t: (torch.sin(x) + 2 * t, x * t - torch.atan(x / (1 + t))),
        )
        if constructed
        else problem()
    )
    network = TRUNKS[trunk]()
    points = torch.as_tensor(made.domain.sample(5, 1))
    assert_jets_are_nested_passes(lambda derivatives: Pinn(made, network, derivatives=derivatives), points, ASKED)


def test_the_derivatives_of_a_known_function_are_its_closed_forms() -> None:
    made = problem(trial=lambda x, t, u, v: (torch.sin(3 * x) * torch.exp(2 * t) + 0 * u, x**4 * t**3 + 0 * v))
    model = Pinn(made, TRUNKS["tanh"]())
    points = torch.as_tensor(made.domain.sample(7, 1))
    x, t = points.unbind(1)
    found = model.evaluate(points, ("u_xxx", "u_xxxx", "v_ttt", "v_xxxx", "beam"))
    wave, slope = torch.sin(3 * x) * torch.exp(2 * t), torch.cos(3 * x) * torch.exp(2 * t)
    assert_close(found["u_xxx"], -27 * slope, 1e-12)
    assert_close(found["u_xxxx"], 81 * wave, 1e-12)
    assert_close(found["v_ttt"], 6 * x**4, 1e-12)
    assert_close(found["v_xxxx"], 24 * t**3, 1e-12)
    assert_close(found["beam"], (81 - 18 + 6) * wave + (0.2 * 6 + 13.5) * slope, 1e-11)


@pytest.mark.parametrize("name", [*ACTIVATIONS, "tanh"])
def test_five_derivatives_of_an_activation_are_each_that_of_the_one_before(name: str) -> None:
    activation: Activation = TANH if name == "tanh" else ACTIVATIONS[name]
    last = 0.9 if name == "asin" else 1.7
    x = torch.linspace(0.3, last, 9, dtype=DOUBLE, requires_grad=True)

    def at(place: Tensor) -> list[Tensor]:
        value, slope = activation.value_and_slope(place)
        return [value, slope, *activation.from_second(place, value, slope)]

    for low, high in pairwise(at(x)):
        if not low.requires_grad:  # those of relu above its slope
            assert not high.any()
            continue
        derivative = torch.autograd.grad(low.sum(), x, retain_graph=True, allow_unused=True, materialize_grads=True)[0]
        assert_close(high, derivative, 1e-11 * (1 + float(high.detach().abs().max())))


@pytest.mark.parametrize("name", ["tanh", "sin", "reciprocal", "product"])
def test_rules_have_their_gradients(name: str) -> None:
    """Finite differences through every component, those of the towers included."""
    size = ORDERS.n_components
    assert size == 8
    start = torch.rand(size, 3, dtype=DOUBLE, generator=seeded()) + 0.4
    other = torch.rand(size, 3, dtype=DOUBLE, generator=seeded()).requires_grad_()

    def function(left: Tensor, right: Tensor) -> Tensor:
        if name == "product":
            return (Jet(left, ORDERS) * Jet(right, ORDERS)).data
        result: Any = getattr(torch, name)(Jet(left, ORDERS))
        return result.data + 0 * right

    assert torch.autograd.gradcheck(function, (start.requires_grad_(), other))


@pytest.mark.parametrize(("series_limit", "n_layers"), [(256, 2), (16, 1)])
def test_qkan_layers_carry_towers(series_limit: int, n_layers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the series, and by forward mode where it would be too long; derivatives of a series lose some digits."""
    monkeypatch.setattr(edges_module, "SERIES_SIZE_LIMIT", series_limit)
    layers = [EdgeJets(QKANLayer(2, 2, reps=1, dtype=DOUBLE, generator=seeded())) for _ in range(n_layers)]
    network, made = nn.Sequential(*layers), problem()
    points = torch.as_tensor(made.domain.sample(2, 1))
    results = []
    for derivatives in ("jets", "nested"):
        model = Pinn(made, network, derivatives=derivatives)
        values = model.evaluate(points, ASKED)
        loss = torch.stack([value.square().sum() for value in values.values()]).sum()
        results.append((values, torch.autograd.grad(loss, list(network.parameters()))))
    (jets, of_jets), (nested, of_nested) = results
    for name in ASKED:
        assert_close(jets[name], nested[name], 1e-7 * (1 + float(nested[name].detach().abs().max())))
    for one, right in zip(of_jets, of_nested, strict=True):
        assert_close(one, right, 1e-6 * (1 + float(right.abs().max())))


def test_circuits_refuse_towers_and_take_nested_passes() -> None:
    drawn = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).rx(weight(0), 0).ry(data(0), 1)
    layer = QuantumLayer(drawn, [Z(0), Z(1)], dtype=DOUBLE, generator=seeded())
    jet = torch.zeros(ORDERS.n_components, 3, 2, dtype=DOUBLE)
    with pytest.raises(NotImplementedError, match="second order at most"):
        layer.jet(jet, ORDERS)
    with pytest.raises(NotImplementedError, match="second order at most"):
        Native().expectation_jet(drawn, jet, layer.weights, [Z(0)], ORDERS)
    made = problem()
    model, nested = Pinn(made, layer), Pinn(made, layer, derivatives="nested")
    points = torch.as_tensor(made.domain.sample(3, 1))
    found, expected = (item.evaluate(points, ASKED) for item in (model, nested))
    for name in ASKED:
        assert_close(found[name], expected[name], 1e-10)
    assert model.derivatives == "jets"  # which the derivatives up to the second still take
    assert not layers_suffice(model)
    assert layers_suffice(Pinn(made, TRUNKS["tanh"]()))


def test_the_jacobian_of_the_fourth_order_is_that_of_nested_passes() -> None:
    made, network = problem(), TRUNKS["tanh"]()
    found = []
    for derivatives in ("auto", "nested"):
        model = Pinn(made, network, derivatives=derivatives)
        loss = LossParts(model, made.domain.sample(9, 1), n_condition_points=3, seed=0)
        found.append(Residuals(loss, {}).values_and_jacobian()[1])
    assert_close(found[0], found[1], 1e-10 * float(found[1].abs().max()))


def test_what_is_carried_once_and_what_is_refused() -> None:
    made = problem()
    items = [made.derivative(name) for name in ("u_xxx", "u_xxxx", "v_xx", "u_t", "beam")]
    orders = DerivativePlan(made.coordinates, tuple(item for item in items if item is not None)).orders
    # Directions t, x and x + t; forms u_xx and that of the operator; a tower along x.
    assert (orders.n_first, orders.n_second, [tower.order for tower in orders.towers]) == (3, 2, [4])
    assert [carried_by_jets(item) for item in items if item is not None] == [True] * 5
    for name in ("u_xxtt", "u_xxt", "u_xxxxx"):
        item = made.derivative(name)
        assert item is not None
        assert not carried_by_jets(item)
    with pytest.raises(ValueError, match="`towers` must hold"):
        Orders(1, (((0, 2.0),),), (Tower(0, 0, 4),))
    with pytest.raises(ValueError, match="`towers` must hold"):
        Orders(1, (((0, 1.0),),), (Tower(0, 0, 5),))
    points = np.zeros((2, 2))
    assert Pinn(made, TRUNKS["tanh"]()).evaluate(points, ("u_xxtt",))["u_xxtt"].shape == (2,)  # by nested passes
