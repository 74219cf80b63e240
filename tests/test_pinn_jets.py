"""Derivatives: jets beside nested reverse passes, and both beside closed forms."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from qml.jets import JetModule, Orders
from qml.pinn import MLP, Box, Face, FourierFeatures, Jet, JetError, ModifiedMLP, Pinn, Problem
from qml.pinn.derivatives import DerivativePlan, accepts_jets
from tests.helpers import assert_close
from tests.pinn_checks import assert_jets_are_nested_passes, pure

OPERATORS = {
    "along": {"u_x": 1.5, "u_y": -2.0},
    "steep": {"v_x": 3.0},
    "laplacian": {"u_xx": 1.0, "u_yy": 1.0},
    "laplacian_v": {"v_yy": 1.0, "v_xx": 1.0},
    "mixed": {"u_xy": -3.0, "u_x": 0.7, "u_yy": 0.5, "u_y": -1.1, "u_xx": 2.0},
    "saddle": {"v_xy": 2.0},
}
ASKED = ("u", "u_x", "u_y", "u_xx", "u_yy", "u_xy", "v", "v_x", "v_yy", "v_xy", *OPERATORS)
DOUBLE = torch.float64
FORMS = Orders(3, (((0, 1.5), (2, -0.7)), ((1, 2.0),)))


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def problem(**options: object) -> Problem:
    """Two fields on a rectangle, with an equation that asks for every derivative up to the second."""

    def equation(
        u: Tensor, u_x: Tensor, u_y: Tensor, u_xx: Tensor, u_yy: Tensor, u_xy: Tensor, v_xx: Tensor, v_y: Tensor
    ) -> Tensor:
        return u * u_x + u_y + u_xx - u_yy + u_xy + v_xx + v_y

    sides = [("left", {"x": -1.0}), ("right", {"x": 2.0}), ("bottom", {"y": 0.0}), ("top", {"y": 0.5})]
    return Problem(
        name="test",
        domain=Box({"x": (-1.0, 2.0), "y": (0.0, 0.5)}),
        fields=("u", "v"),
        equations={"all": equation},
        conditions=tuple(Face(name, at, lambda u, v: u + v) for name, at in sides),
        operators={**OPERATORS, "fourth": {"u_xxyy": 0.5, "u_x": -1.0}},
        **options,  # pyright: ignore[reportArgumentType]
    )


TRUNKS: dict[str, Callable[[], nn.Module]] = {
    "tanh": lambda: MLP(2, (7, 5), 2, dtype=DOUBLE, generator=seeded()),
    "sin": lambda: MLP(2, (7, 5), 2, activation="sin", dtype=DOUBLE, generator=seeded()),
    "modified": lambda: ModifiedMLP(2, 6, 3, 2, dtype=DOUBLE, generator=seeded()),
    "fourier": lambda: nn.Sequential(
        FourierFeatures(2, 4, scale=2.0, dtype=DOUBLE, generator=seeded()),
        MLP(8, (6,), 2, dtype=DOUBLE, generator=seeded()),
    ),
    "torch": lambda: nn.Sequential(nn.Linear(2, 5), nn.Sigmoid(), nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).double(),
    "linear": lambda: nn.Linear(2, 2).double(),
}


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("constructed", [False, True])
def test_jets_and_nested_passes_agree_in_values_and_in_gradients_of_weights(trunk: str, constructed: bool) -> None:
    made = (
        problem(
            trial=lambda x, y, u, v: ((1 - x**2) * u + y / (2 + x), torch.exp(-y) * v * x - torch.cos(x) / 3),
            features=lambda x, y: (torch.sin(x) + 2 * y, x * y - torch.atan(x / (1 + y))),
        )
        if constructed
        else problem()
    )
    network = TRUNKS[trunk]()
    points = torch.as_tensor(made.domain.sample(5, 1))
    assert_jets_are_nested_passes(lambda derivatives: Pinn(made, network, derivatives=derivatives), points, ASKED)


@pytest.mark.parametrize("derivatives", ["jets", "nested", "forward"])
def test_an_operator_is_the_sum_of_its_terms(derivatives: str) -> None:
    model = Pinn(problem(), TRUNKS["tanh"](), derivatives=derivatives)
    points = torch.as_tensor(model.problem.domain.sample(5, 1))
    for name, terms in OPERATORS.items():
        parts = model.evaluate(points, list(terms))
        expected = torch.stack([scale * parts[term] for term, scale in terms.items()]).sum(0)
        assert_close(model.evaluate(points, [name])[name], expected, 1e-12)


@pytest.mark.parametrize("function", [nn.SiLU, nn.Mish])
def test_forward_mode_needs_no_graph(function: Callable[[], nn.Module]) -> None:
    """Of these functions torch has a second derivative by forward mode only while it records."""
    network = nn.Sequential(nn.Linear(2, 5), function(), nn.Linear(5, 2)).double()
    forward, nested = (Pinn(problem(), network, derivatives=by) for by in ("forward", "nested"))
    points = torch.as_tensor(forward.problem.domain.sample(5, 1))
    expected = nested.evaluate(points, ASKED)
    with torch.no_grad():
        found = forward.evaluate(points, ASKED)
    for name in ASKED:
        assert_close(found[name], expected[name], 1e-12)


def test_an_operator_is_one_component() -> None:
    """Whatever the number of its terms; and what two fields have in common is carried once."""
    made = problem()

    def carried(*names: str) -> tuple[int, int]:
        items = tuple(item for name in names if (item := made.derivative(name)) is not None)
        orders = DerivativePlan(made.coordinates, items).orders
        return orders.n_first, orders.n_second

    assert carried("along") == (1, 0)
    assert carried("u", "laplacian") == (2, 1)
    assert carried("laplacian", "laplacian_v", "u_x") == (2, 1)
    assert carried("u_xx", "u_yy") == (2, 2)
    assert carried("mixed") == (3, 1)


def test_derivatives_are_those_of_a_function_known_in_closed_form() -> None:
    class Wave(JetModule):
        def forward(self, inputs: object) -> object:
            x, y = (inputs.column(0), inputs.column(1)) if isinstance(inputs, Jet) else inputs.unbind(-1)  # pyright: ignore[reportAttributeAccessIssue]
            wave = torch.sin(2 * x + 3 * y)
            return torch.stack([wave, wave * x], -1)

    points = torch.tensor([[0.3, 0.1], [1.7, 0.4]], dtype=DOUBLE)
    x, phase = points[:, 0], 2 * points[:, 0] + 3 * points[:, 1]
    expected = {"u_x": 2 * phase.cos(), "u_xy": -6 * phase.sin(), "u_yy": -9 * phase.sin()}
    expected["v_xy"] = 3 * phase.cos() - 6 * x * phase.sin()
    trunk = Wave()
    trunk.register_parameter("unused", nn.Parameter(torch.zeros(1, dtype=DOUBLE)))
    for derivatives in ("jets", "nested"):
        values = Pinn(problem(), trunk, derivatives=derivatives).evaluate(points, list(expected))
        for name, value in expected.items():
            assert_close(values[name], value, 1e-12)
    third = Pinn(problem(), trunk).evaluate(points, ["u_xxy", "u_yxx", "u_xxyy"])
    assert_close(third["u_xxy"], -12 * phase.cos(), 1e-11)
    assert_close(third["u_yxx"], third["u_xxy"], 0)
    assert_close(third["u_xxyy"], 36 * phase.sin(), 1e-11)
    fourth = Pinn(problem(), trunk).evaluate(points, ["fourth"])["fourth"]
    assert_close(fourth, 18 * phase.sin() - 2 * phase.cos(), 1e-11)


def test_gradients_of_the_rules_pass_gradcheck() -> None:
    data = torch.randn(6, 3, 2, dtype=DOUBLE, generator=seeded()).requires_grad_()
    other = torch.randn(6, 3, 2, dtype=DOUBLE, generator=seeded()).requires_grad_()
    weight = torch.randn(4, 2, dtype=DOUBLE, generator=seeded()).requires_grad_()
    bias = torch.randn(4, dtype=DOUBLE, generator=seeded()).requires_grad_()

    def inverse_root(jet: Jet) -> Jet:
        return torch.rsqrt(jet * jet + 0.5)  # pyright: ignore[reportArgumentType, reportReturnType]

    plain = (torch.tanh, torch.sin, torch.cos, torch.exp, torch.sigmoid, torch.atan, torch.reciprocal, torch.erf)

    def inverse_sine(jet: Jet) -> Jet:
        return torch.asin(torch.sin(jet) * 0.7)  # pyright: ignore[reportArgumentType, reportReturnType]

    def logarithm(jet: Jet) -> Jet:
        return torch.log(jet * jet + 0.5)  # pyright: ignore[reportArgumentType, reportReturnType]

    for rule in (*plain, torch.abs, inverse_root, inverse_sine, logarithm):
        for first, second in ((3, 2), (5, 0), (4, 1)):
            assert torch.autograd.gradcheck(lambda part: rule(Jet(part, pure(first, second))).data, data)  # noqa: B023
        assert torch.autograd.gradcheck(lambda part: rule(Jet(part, FORMS)).data, data)  # noqa: B023
    assert torch.autograd.gradcheck(lambda a, b: (Jet(a, FORMS) * Jet(b, FORMS)).data, (data, other))
    assert torch.autograd.gradcheck(lambda a, b: (Jet(a, pure(3, 2)) * Jet(b, pure(3, 2))).data, (data, other))
    assert torch.autograd.gradcheck(
        lambda a, w, b: nn.functional.linear(Jet(a, pure(3, 2)), w, b).data,  # pyright: ignore[reportArgumentType]
        (data, weight, bias),
    )


def test_jets_of_single_numbers_pass_too() -> None:
    jet = Jet(torch.tensor([0.3, 1.0, 0.0], dtype=DOUBLE), pure(1, 1))
    y = torch.tanh(jet.value)
    assert_close(torch.tanh(jet).data, torch.stack([y, 1 - y**2, -2 * y * (1 - y**2)]), 1e-15)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]


def test_constants_join_from_either_side() -> None:
    jet = Jet(torch.randn(4, 3, dtype=DOUBLE, generator=seeded()), pure(2, 1))
    constant = torch.tensor([1.0, -2.0, 3.0], dtype=DOUBLE)
    doubled = jet.data * constant
    assert_close((constant * jet).data, doubled, 0)
    assert_close((jet * constant).data, doubled, 0)
    shifted = torch.cat([jet.data[:1] + constant, jet.data[1:]])
    assert_close((constant + jet).data, shifted, 0)
    assert_close((jet - (-constant)).data, shifted, 0)
    assert_close((constant - (-jet)).data, shifted, 0)
    assert_close((2 - (1 - jet)).data[0], 1 + jet.value, 1e-15)
    assert_close((jet**3).data, (jet * jet * jet).data, 0)
    assert_close((jet / constant).data, jet.data / constant, 1e-15)


def test_coefficients_of_very_different_sizes_pass_in_single_precision() -> None:
    spread = {"u_xx": 1e-25, "u_yy": 1e20}
    posed = replace(problem(), operators={**problem().operators, "spread": spread})
    model = Pinn(posed, MLP(2, (7, 5), 2, generator=seeded()))
    values = model.evaluate(torch.rand(4, 2), ["spread", "u_yy"])
    assert_close(values["spread"], 1e20 * values["u_yy"], 1e14)


def test_quotients_undo_products() -> None:
    jet = Jet(torch.randn(4, 3, dtype=DOUBLE, generator=seeded()), pure(2, 1))
    other = Jet(2 + torch.rand(4, 3, dtype=DOUBLE, generator=seeded()), pure(2, 1))
    assert_close((jet * other / other).data, jet.data, 1e-12)
    assert_close((2 / other).data, 2 * torch.reciprocal(other).data, 1e-15)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
    constant = torch.tensor([1.0, -2.0, 3.0], dtype=DOUBLE)
    assert_close((constant / other).data, (constant * torch.reciprocal(other)).data, 1e-15)  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue, reportOperatorIssue]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (torch.digamma, "no rule for torch's `digamma`"),
        (lambda jet: jet**0.5, "positive integers, but the exponent is 0.5"),
        (lambda jet: torch.stack([jet, torch.ones(3)]), "only be joined with jets"),
        (lambda jet: jet.erf(), "no `erf`"),
        (lambda jet: torch.div(jet, 2.0, rounding_mode="floor"), "no rule for torch's `div` with rounding_mode"),
        (lambda jet: jet * Jet(torch.ones(4, 1), pure(2, 1)), "equal shapes to be multiplied"),
    ],
)
def test_what_jets_cannot_do_is_refused(act: Callable[[Jet], object], message: str) -> None:
    with pytest.raises(JetError, match=message):
        act(Jet(torch.ones(4, 3), pure(2, 1)))


def test_a_second_derivative_in_weights_is_refused() -> None:
    model = Pinn(problem(), TRUNKS["tanh"]())
    loss = model.evaluate(torch.rand(2, 2, dtype=DOUBLE), ["u_xx"])["u_xx"].sum()
    weights = list(model.trunk.parameters())
    with pytest.raises(RuntimeError, match="of first order only, but a second one was asked for"):
        torch.autograd.grad(loss, weights, create_graph=True, allow_unused=True)


def test_other_modules_take_the_nested_path_and_forced_jets_are_refused() -> None:
    class Own(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return super().forward(input).digamma()

    trunk = Own(2, 2, dtype=DOUBLE)
    assert not accepts_jets(trunk)
    assert Pinn(problem(), trunk).derivatives == "nested"
    with pytest.raises(ValueError, match="but is 'jets': Own has no rule for jets"):
        Pinn(problem(), trunk, derivatives="jets")
    plain = nn.Linear(2, 2, dtype=DOUBLE)
    odd = problem(features=lambda x, y: (torch.digamma(x + 3), y))
    assert Pinn(odd, plain).derivatives == "nested"
    with pytest.raises(ValueError, match="no rule for torch's `digamma`"):
        Pinn(odd, plain, derivatives="jets")


def test_a_field_without_a_graph_is_refused() -> None:
    class Detached(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return torch.as_tensor(np.asarray(super().forward(input).detach()))

    model = Pinn(problem(), Detached(2, 2, dtype=DOUBLE))
    with pytest.raises(ValueError, match="Field `u` must depend on its coordinates by differentiable functions"):
        model.evaluate(torch.rand(2, 2, dtype=DOUBLE), ["u_x"])


@pytest.mark.parametrize(
    ("trunk", "message"),
    [
        (nn.Linear(2, 3).double(), "one output a field"),
        (nn.Sequential(nn.Linear(2, 50), nn.Dropout(0.5), nn.Linear(50, 2)).double(), "must treat every row by itself"),
    ],
)
def test_a_trunk_that_does_not_fit_is_refused(trunk: nn.Module, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pinn(problem(), trunk)
