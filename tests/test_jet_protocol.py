"""Which modules take jets: promises that a class makes, that a subclass keeps with `forward` and loses without it."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml.jets import EdgeSeries, JetLayer, JetModule, RowWeightsModule, fulfils
from qml.nn import QKANLayer, QuantumLayer
from qml.pinn import MLP, Box, EdgeJets, Face, Pinn, Problem
from qml.pinn.derivatives import accepts_jets
from qml.pinn.training.jacobian import Residuals, takes_weights_by_row
from qml.pinn.training.loss import LossParts
from tests.helpers import assert_close

DOUBLE = torch.float64
NAMES = ("u", "u_x", "u_xx")
SAME = 1e-10  # the same derivatives in float64 by another way


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(4)


class Renamed(QuantumLayer):
    """A subclass with nothing of its own that counts."""

    def extra_repr(self) -> str:
        return "renamed"


class Clipped(QuantumLayer):
    """A subclass with a `forward` of its own that says nothing of jets, and has no rule for them."""

    def forward(self, inputs: Any, weights: Tensor | None = None) -> Any:
        return super().forward(torch.erf(inputs), weights)


class Doubled(QuantumLayer):
    """A subclass with a `forward` of its own that would take jets, and does not say so."""

    def forward(self, inputs: Any, weights: Tensor | None = None) -> Any:
        return 2.0 * super().forward(inputs, weights)


class DoubledTwice(QuantumLayer):
    """A subclass with `forward` and `jet`: a jet through this `forward` would be doubled by both."""

    def forward(self, inputs: Any, weights: Tensor | None = None) -> Any:
        return 2.0 * super().forward(inputs, weights)

    def jet(self, inputs: Tensor, orders: Any, weights: Tensor | None = None) -> Tensor:
        return 2.0 * super().jet(inputs, orders, weights)


class Promised(Doubled, JetModule):
    """A subclass that says that the inherited `forward` takes jets."""


class Squared(QuantumLayer, JetModule):
    """A `forward` that takes jets, and that has a use of its own for the weights."""

    def forward(self, inputs: Any, weights: Tensor | None = None) -> Any:
        return super().forward(inputs, weights) * self.weights.square().sum()


class Grandchild(Promised):
    pass


class Scaling:
    """A mixin whose `forward` stands before that of the class it is mixed into."""

    def forward(self, inputs: Any) -> Any:
        return 3.0 * super().forward(torch.erf(inputs))  # pyright: ignore[reportAttributeAccessIssue]


class Mixed(Scaling, MLP):  # pyright: ignore[reportIncompatibleMethodOverride]
    pass


def layer(kind: type[QuantumLayer]) -> QuantumLayer:
    circuit = Circuit(2).ry(data(0), 0).rx(data(1), 1).cx(0, 1).ry(weight(0), 1).rx(weight(1), 0).cx(1, 0)
    return kind(circuit, [Z(0), Z(1)], dtype=DOUBLE, generator=seeded())


def trunk(kind: type[QuantumLayer]) -> nn.Module:
    first, last = nn.Linear(2, 2, dtype=DOUBLE), nn.Linear(2, 1, dtype=DOUBLE)
    with torch.no_grad():
        for part in (*first.parameters(), *last.parameters()):
            part.normal_(generator=seeded())
    return nn.Sequential(first, layer(kind), last)


def problem() -> Problem:
    return Problem(
        name="test",
        domain=Box({"x": (0.0, 1.0), "t": (0.0, 1.0)}),
        fields=("u",),
        equations={"heat": lambda u, u_t, u_xx: u_t - u_xx + u * u},
        conditions=(
            Face("start", {"t": 0.0}, lambda u, x: u - x),
            Face("left", {"x": 0.0}, lambda u: u),
            Face("right", {"x": 1.0}, lambda u: u - 1),
        ),
    )


@pytest.mark.parametrize(
    ("kind", "takes_jets", "by_row"),
    [
        (QuantumLayer, True, True),
        (Renamed, True, True),
        (Clipped, False, False),
        (Doubled, False, False),
        (DoubledTwice, False, False),
        (Promised, True, False),
        (Squared, True, False),
        (Grandchild, True, False),
    ],
)
def test_a_subclass_keeps_a_promise_with_forward(kind: type[QuantumLayer], takes_jets: bool, by_row: bool) -> None:
    module = layer(kind)
    assert isinstance(module, JetLayer)
    assert accepts_jets(module) == fulfils(module, JetModule) == takes_jets
    assert takes_weights_by_row(module) == fulfils(module, RowWeightsModule) == by_row


@pytest.mark.parametrize("kind", [Renamed, Clipped, Doubled, DoubledTwice, Promised, Squared, Grandchild])
def test_no_subclass_gets_a_wrong_derivative(kind: type[QuantumLayer]) -> None:
    network = trunk(kind)
    model, nested = Pinn(problem(), network), Pinn(problem(), network, derivatives="nested")
    assert model.derivatives == ("jets" if accepts_jets(network) else "nested")
    points = torch.rand(5, 2, dtype=DOUBLE, generator=seeded())
    values, expected = model.evaluate(points, NAMES), nested.evaluate(points, NAMES)
    for name in NAMES:
        assert_close(values[name], expected[name], SAME)
    x = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(x).sum(), x)
    assert_close(values["u_x"], gradient[:, 0], SAME)


@pytest.mark.parametrize("kind", [Renamed, Clipped, Doubled, Promised, Squared])
def test_no_subclass_gets_a_wrong_jacobian(kind: type[QuantumLayer]) -> None:
    loss = LossParts(Pinn(problem(), trunk(kind)), problem().domain.sample(6, 1), n_condition_points=3, seed=2)
    residuals = Residuals(loss, {})
    _, jacobian = residuals.values_and_jacobian()
    values = torch.cat([value for _, value, _ in residuals.apart()])
    parts = loss.parts()
    assert_close(values[:6].square().mean(), parts["heat"], SAME)
    gradients = torch.autograd.grad(parts["heat"], residuals.parameters, allow_unused=True, materialize_grads=True)
    expected = torch.cat([part.flatten() for part in gradients])
    scaled = residuals.values()
    assert_close(2.0 * scaled[:6] @ jacobian[:6], expected, SAME * (1 + float(expected.abs().max())))


@pytest.mark.parametrize("derivatives", ["jets", "auto"])
def test_a_forward_that_comes_from_a_mixin_is_not_covered(derivatives: str) -> None:
    network = Mixed(2, (5,), dtype=DOUBLE, generator=seeded())
    assert not accepts_jets(network)
    if derivatives == "jets":
        with pytest.raises(ValueError, match="Mixed has no rule for jets"):
            Pinn(problem(), network, derivatives=derivatives)
    else:
        assert Pinn(problem(), network).derivatives == "nested"


def test_children_are_asked_unless_they_never_meet_a_jet() -> None:
    edges = QKANLayer(2, 1, reps=2, dtype=DOUBLE, generator=seeded())
    assert isinstance(edges, EdgeSeries)
    assert not accepts_jets(edges)
    assert accepts_jets(EdgeJets(edges))
    assert accepts_jets(nn.Sequential(EdgeJets(edges), layer(Renamed)))
    assert not accepts_jets(nn.Sequential(EdgeJets(edges), layer(Clipped)))

    class Holding(JetModule):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.inner = inner

        def forward(self, inputs: Any) -> Any:
            return self.inner(inputs)

    class Renaming(EdgeJets):
        pass

    assert accepts_jets(Renaming(edges))
    assert accepts_jets(Holding(layer(QuantumLayer)))
    assert not accepts_jets(Holding(layer(Clipped)))


def test_a_forward_that_is_replaced_on_one_module_is_not_covered() -> None:
    module = layer(QuantumLayer)
    plain = module.forward
    module.forward = lambda inputs, weights=None: plain(torch.erf(inputs))  # pyright: ignore
    assert not accepts_jets(module)
    assert not takes_weights_by_row(module)
    assert accepts_jets(layer(QuantumLayer))


def test_a_contract_is_not_fulfilled_by_modules_without_a_forward() -> None:
    assert not fulfils(JetModule(), JetModule)
    assert not fulfils(nn.Linear(1, 1), JetModule)


MAKERS: tuple[Callable[[], nn.Module], ...] = (lambda: layer(Renamed), lambda: MLP(2, 3, dtype=DOUBLE))


@pytest.mark.parametrize("make", MAKERS, ids=["circuit", "mlp"])
def test_a_parametrisation_keeps_the_promise(make: Callable[[], nn.Module]) -> None:
    """torch makes a subclass of the module's class, whose weight is a property; the values are those it gives."""

    class Halved(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return 0.5 * values

    module = make()
    target, name = (module, "weights") if isinstance(module, QuantumLayer) else (module.layers[0], "weight")  # pyright: ignore[reportIndexIssue]
    nn.utils.parametrize.register_parametrization(target, name, Halved())  # pyright: ignore[reportArgumentType]
    network = nn.Sequential(module, nn.Linear(2, 1, dtype=DOUBLE)) if isinstance(module, QuantumLayer) else module
    points = torch.rand(4, 2, dtype=DOUBLE, generator=seeded())
    model = Pinn(problem(), network)
    expected = Pinn(problem(), network, derivatives="nested").evaluate(points, NAMES)
    for found, value in model.evaluate(points, NAMES).items():
        assert_close(value, expected[found], SAME)
    assert not takes_weights_by_row(module)
