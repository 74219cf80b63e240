"""Levenberg-Marquardt: the Jacobian of the residuals, the steps, and the accuracy they reach."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, X, Z, data, weight
from qml.baselines import KANLayer
from qml.jets import JetModule, RowWeightsModule
from qml.nn import DARUAN, QKANLayer, QuantumLayer
from qml.pinn import (
    MLP,
    Box,
    Causal,
    DivergenceError,
    EdgeJets,
    Face,
    Integral,
    ModifiedMLP,
    Observations,
    Periodic,
    Pinn,
    Problem,
    Training,
    find_problem,
    recipe_of,
    relative_l2,
    train,
)
from qml.pinn.training import jacobian as jacobian_module
from qml.pinn.training.checkpoint import load_checkpoint
from qml.pinn.training.jacobian import Residuals, layers_suffice
from qml.pinn.training.loss import LossParts
from qml.pinn.training.marquardt import Marquardt
from tests.helpers import assert_close
from tests.pinn_checks import assert_a_stop_changes_nothing

DOUBLE = torch.float64
# Derivatives of a few layers of a few units in float64, of the order of 1 to 100.
ROUNDING = 1e-10


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everything() -> Problem:
    """Two fields, a scalar, and every kind of condition."""
    return Problem(
        name="everything",
        domain=Box({"x": (0.0, 1.0), "t": (0.0, 2.0)}),
        fields=("u", "v"),
        equations={
            "one": lambda u, v, u_t, u_xx, k: u_t - k * u_xx + u * v,
            "two": lambda diffusion, u_x, x: diffusion + x * u_x,
        },
        operators={"diffusion": {"v_t": 1.0, "v_xx": -1.0}},
        conditions=(
            Periodic("periodic", "x", ("u", "u_x")),
            Periodic("periodic v", "x", ("v", "v_x")),
            Observations("seen", "u_t", np.array([[0.1, 0.2], [0.9, 1.5], [0.4, 2.0]]), np.array([1.0, -2.0, 0.5])),
            Face("start u", {"t": 0.0}, lambda u, x: u - torch.sin(x)),
            Face("start v", {"t": 0.0}, lambda v: v - 0.3),
            Face("flux", {"x": 0.0}, lambda u_x, k, t: k * u_x - t),
            Integral("amount", lambda u: u**2, 1.0, n_nodes=4),
        ),
        scalars={"k": 0.7},
    )


TRUNKS = {
    "mlp": lambda: MLP(2, (5, 4), 2, dtype=DOUBLE, generator=seeded()),
    "modified": lambda: ModifiedMLP(2, 4, 2, 2, dtype=DOUBLE, generator=seeded()),
}


def loss_of(model: Pinn, **options: object) -> LossParts:
    points = model.problem.domain.sample(32, 1)
    return LossParts(model, points, n_condition_points=4, seed=0, **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("causal", [None, Causal(n_slices=3, epsilons=(0.5,))])
def test_the_jacobian_is_that_of_reverse_passes_entry_by_entry(trunk: str, causal: Causal | None) -> None:
    model = Pinn(everything(), TRUNKS[trunk]())
    assert layers_suffice(model)
    residuals = Residuals(loss_of(model, causal=causal), {"flux": 3.0})
    values, jacobian = residuals.values_and_jacobian()
    by_rows = Residuals(loss_of(model, causal=causal), {"flux": 3.0})
    by_rows.by_layers = False
    other_values, other = by_rows.values_and_jacobian()
    assert_close(values, other_values, ROUNDING)
    assert_close(jacobian, other, ROUNDING * float(other.abs().max()))
    assert_close(values, residuals.values(), ROUNDING)
    parts = residuals.loss.parts()
    # With causal weights the vector holds one part's weights each, taken from that part; the sum is of both.
    total = sum((3.0 if name == "flux" else 1.0) * part for name, part in parts.items())
    if causal is None:
        assert float(values @ values) == pytest.approx(float(total.detach()), rel=ROUNDING)
        gradient = torch.autograd.grad(total, residuals.parameters, allow_unused=True, materialize_grads=True)
        flat = torch.cat([part.flatten() for part in gradient])
        assert_close(2 * jacobian.T @ values, flat, ROUNDING * float(flat.abs().max()))


class Warped(nn.Module):
    """A trunk whose weights are in no layer of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.randn(6, 2, dtype=DOUBLE, generator=seeded()))
        self.out = nn.Parameter(torch.randn(2, 6, dtype=DOUBLE, generator=seeded(4)))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.erf(inputs @ self.matrix.T) @ self.out.T


def circuit() -> nn.Module:
    """Two angles, uploaded before and after an entangling gate."""
    drawn = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).rx(weight(0), 0).ry(data(0), 1).rz(weight(1), 1)
    layer = QuantumLayer(drawn, [Z(0), X(1)], dtype=DOUBLE, generator=seeded())
    return nn.Sequential(nn.Linear(2, 2, dtype=DOUBLE), layer, nn.Linear(2, 2, dtype=DOUBLE))


def tied() -> nn.Module:
    """One layer at two places, and one activation."""
    bend, layer = nn.Softsign(), nn.Linear(2, 2, dtype=DOUBLE)
    return nn.Sequential(layer, bend, nn.Linear(2, 2, dtype=DOUBLE), bend, layer)


def hooked() -> nn.Module:
    """A sequence whose hook doubles what comes out, and one activation at two places."""
    bend = nn.Softsign()
    first, second, last = (nn.Linear(2, 2, dtype=DOUBLE) for _ in range(3))
    inner = nn.Sequential(first, bend, second, bend)
    inner.register_forward_hook(lambda *given: 2.0 * given[2])
    return nn.Sequential(inner, last)


class Using(JetModule):
    """A circuit, and what else a module may do with its weights: hold them, give rows, or multiply by one of them."""

    def __init__(self, use: str) -> None:
        super().__init__()
        self.use, self.inner = use, circuit()
        if use == "held":
            self.own = self.inner[1].weights

    def forward(self, inputs: Tensor) -> Tensor:
        first, layer, last = self.inner
        angles = first(inputs)
        if self.use == "given":
            values = layer(angles, layer.weights.expand(*angles.shape[:-1], -1))
        else:
            values = layer(inputs=angles)
        return last(values) * torch.sin(self.own[0] if self.use == "held" else layer.weights[0])


class Gained(QuantumLayer, JetModule, RowWeightsModule):
    """A layer that promises to take weights by row, but has another parameter."""

    def __init__(self, layer: QuantumLayer) -> None:
        super().__init__(layer.circuit, layer.observables, dtype=DOUBLE, generator=seeded())
        self.gain = nn.Parameter(torch.tensor(1.3, dtype=DOUBLE))

    def forward(self, inputs: Any, weights: Tensor | None = None) -> Any:
        return super().forward(inputs, weights) * self.gain


def gained() -> nn.Module:
    """A layer whose gain is no weight of the circuit."""
    first, layer, last = circuit()
    return nn.Sequential(first, Gained(layer), last)


def held_outside() -> nn.Module:
    """A module beside the circuit has its weights too."""
    inner = circuit()
    return nn.Sequential(inner, Scaled(inner[1].weights))


class Scaled(JetModule):
    """The inputs times the sine of a weight."""

    def __init__(self, weights: nn.Parameter) -> None:
        super().__init__()
        self.weights = weights

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * torch.sin(self.weights[0])


OTHERS = {
    **{use: partial(Using, use) for use in ("held", "given", "multiplied")},
    "held outside": held_outside,
    "gained": gained,
    "two circuits": lambda: nn.Sequential(*circuit(), *circuit()),
    "warped": Warped,
    "tied": tied,
    "hooked": hooked,
    "circuit": circuit,
    "qkan": lambda: EdgeJets(QKANLayer(2, 2, reps=2, dtype=DOUBLE, generator=seeded())),
    "daruan": lambda: nn.Sequential(DARUAN(2, reps=2, dtype=DOUBLE, generator=seeded()), nn.Linear(2, 2, dtype=DOUBLE)),
    "kan": lambda: KANLayer(2, 2, grid=4, domain=(-1.0, 3.0), dtype=DOUBLE, generator=seeded()),
}


def assert_each_row_is_a_gradient(residuals: Residuals) -> None:
    """Every residual of every part by a reverse pass of its own, at the weights that all rows share."""
    model, terms = residuals.model, residuals.loss.terms()
    found = residuals.apart()
    for term in terms:
        values = model.evaluate(term.points, term.names)
        for name, function in term.functions.items():
            expected = function(**values)
            other, residual, jacobian = next(found)
            assert other == name
            assert_close(residual, expected, ROUNDING)
            rows = [
                torch.cat([part.flatten() for part in parts])
                for entry in expected
                for parts in [gradients_or_zeros(entry, residuals.parameters)]
            ]
            assert_close(jacobian, torch.stack(rows), ROUNDING * (1 + float(jacobian.abs().max())))


def gradients_or_zeros(entry: Tensor, parameters: Sequence[nn.Parameter]) -> Sequence[Tensor]:
    if not entry.requires_grad:
        return [torch.zeros_like(part) for part in parameters]
    return torch.autograd.grad(entry, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)


@pytest.mark.parametrize(
    ("trunk", "few", "derivatives"),
    [
        *product(OTHERS, [7, 16], ["auto"]),
        pytest.param("circuit", 16, "nested", marks=pytest.mark.slow),
        pytest.param("two circuits", 16, "nested", marks=pytest.mark.slow),
    ],
)
def test_other_trunks_have_weights_of_their_own_at_every_row(
    trunk: str, few: int, derivatives: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jacobian_module, "N_PROBE_ROWS", few)
    if few == 7:
        monkeypatch.setattr(jacobian_module, "ROWS_MEMORY_LIMIT", 0)  # the few at once, and the rest of 32
    model = Pinn(everything(), OTHERS[trunk](), derivatives=derivatives)
    residuals = Residuals(loss_of(model), {})
    assert residuals.by_layers == (derivatives == "auto" and trunk in ("circuit", "two circuits"))
    before = dict(model.named_modules()), model.derivatives
    assert_each_row_is_a_gradient(residuals)
    assert (dict(model.named_modules()), model.derivatives) == before


def test_rows_at_once_are_as_many_as_memory_allows() -> None:
    """The graph of a circuit of twice the qubits takes more memory, and fewer rows at once."""
    found = []
    for n_qubits in (2, 4):
        drawn = Circuit(n_qubits)
        for qubit in range(n_qubits):
            drawn.ry(data(qubit % 2), qubit).ry(weight(qubit), qubit).cx(qubit, (qubit + 1) % n_qubits)
        layer = QuantumLayer(drawn, [Z(0)], dtype=DOUBLE, generator=seeded())
        model = Pinn(find_problem("burgers"), layer)
        loss = LossParts(model, model.problem.domain.sample(20, 1), n_condition_points=4, seed=0)
        residuals = Residuals(loss, {})
        residuals.values_and_jacobian()
        found.append(residuals._at_once["u", "u_x", "diffusion"])
    assert found[0] > 3 * found[1] > 1000


def test_nested_forward_mode_and_chosen_weights_give_their_rows() -> None:
    model = Pinn(everything(), Warped(), derivatives="forward")
    assert_each_row_is_a_gradient(Residuals(loss_of(model), {}))
    model = Pinn(everything(), Warped())
    trunk = model.trunk
    assert isinstance(trunk, Warped)
    assert_each_row_is_a_gradient(Residuals(loss_of(model), {}, only=[model.scalars["k"], trunk.out]))
    for part in model.trunk.parameters():
        part.requires_grad_(False)
    for frozen in (model, Pinn(everything(), TRUNKS["mlp"]().requires_grad_(False))):
        assert_each_row_is_a_gradient(Residuals(loss_of(frozen), {}))


def test_a_trunk_that_fails_is_left_as_it_was() -> None:
    class Fussy(Warped):
        def forward(self, inputs: Tensor) -> Tensor:
            if torch._C._functorch.is_batchedtensor(inputs):
                raise KeyError("not by rows")
            return super().forward(inputs)

    model = Pinn(everything(), Fussy())
    trunk = model.trunk
    with pytest.raises(KeyError, match="not by rows"):
        Residuals(loss_of(model), {}).values_and_jacobian()
    assert model.trunk is trunk
    assert model.on_scalar is None
    assert model.derivatives == "nested"


def test_a_linear_problem_is_solved_as_by_linear_least_squares() -> None:
    """u'' + u = x with an affine trunk: no exact solution, one minimum; numpy finds it from the columns."""
    problem = Problem(
        name="linear",
        domain=Box({"x": (-1.0, 1.0)}),
        fields=("u",),
        equations={"e": lambda u, u_xx, x: u_xx + u - x**2},
        conditions=(Face("left", {"x": -1.0}, lambda u: u), Face("right", {"x": 1.0}, lambda u: u - 2)),
    )
    model = Pinn(problem, nn.Linear(1, 1, dtype=DOUBLE))
    training = Training(n_adam=0, n_marquardt=60, n_points=9, collocation="quadrature")
    solution = train(model, training, seed=0)
    nodes = problem.domain.quadrature(9)[0][:, 0]
    rows = np.concatenate([np.stack([nodes, np.ones(9)], 1) / 3, [[-1.0, 1.0]], [[1.0, 1.0]]])
    expected, *_ = np.linalg.lstsq(rows, np.concatenate([nodes**2 / 3, [0.0], [2.0]]), rcond=None)
    found = torch.cat([part.detach().flatten() for part in model.parameters()])
    # Where a step no longer lowers the loss, the weights are right to the root of the rounding of the loss.
    assert_close(found, expected, 1e-6)
    assert solution.history["step"][-1] < 60  # it stops by itself


def test_a_step_is_that_of_the_damped_normal_equations_from_either_side() -> None:
    for n_points in (3, 40):  # fewer residuals than weights, and more
        model = Pinn(find_problem("heat"), MLP(2, (6,), dtype=DOUBLE, generator=seeded()))
        loss = LossParts(model, model.problem.domain.sample(n_points, 1), n_condition_points=2, seed=0)
        stepper = Marquardt(Residuals(loss, {}))
        values, jacobian = stepper.residuals.values_and_jacobian()
        before = torch.cat([part.detach().flatten() for part in model.parameters()])
        stepper.damping = 1.0  # large enough for the first trial to be taken
        assert stepper.step()
        after = torch.cat([part.detach().flatten() for part in model.parameters()])
        expected = np.linalg.solve(
            jacobian.numpy().T @ jacobian.numpy() + np.eye(jacobian.shape[1]), jacobian.numpy().T @ values.numpy()
        )
        assert_close(before - after, expected, ROUNDING)


# The energies' errors that are asked for; with the recipes' own number of steps they are ten times smaller.
@pytest.mark.parametrize(
    ("name", "psi", "energy"),
    [("infinite-well-energy", 1e-4, 1e-5), ("barrier", 1e-3, 1e-4), ("finite-well-states", 5e-3, 1e-3)],
)
def test_wells_are_solved_to_the_accuracy_asked_for(name: str, psi: float, energy: float) -> None:
    problem = find_problem(name)
    recipe = recipe_of(problem)
    model = Pinn(recipe.posed(problem), recipe.trunk(problem, seeded(0)))
    solution = train(model, replace(recipe.training, n_marquardt=90, polish=None), seed=0)
    assert relative_l2(model, problem.domain.grid(201)) < psi
    for key, value in solution.scalars.items():
        assert abs(value / problem.reference_scalars[key] - 1) < energy


@pytest.mark.slow
@pytest.mark.parametrize(("name", "n_steps"), [("poisson", 120), ("lorenz", 200)])
def test_waves_with_a_front_and_a_chaotic_system_are_solved(name: str, n_steps: int) -> None:
    """A plain network stays at an error of 1 and more: frequencies, exact conditions and causal weights make it."""
    problem = find_problem(name)
    recipe = recipe_of(problem)
    model = Pinn(recipe.posed(problem), recipe.trunk(problem, seeded(0)))
    train(model, replace(recipe.training, n_marquardt=n_steps, polish=None), seed=0)
    assert relative_l2(model, model.problem.domain.grid(501)) < 1e-3  # of Poisson's equation the odd half
    plain = Pinn(problem, MLP(1, (16, 16), len(problem.fields), dtype=DOUBLE, generator=seeded(0)))
    train(plain, Training(n_adam=0, n_marquardt=60, n_points=40, collocation="quadrature"), seed=0)
    assert relative_l2(plain, problem.domain.grid(501)) > 0.5


def test_a_stopped_run_goes_on_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    def fresh(seed: int) -> Pinn:
        return Pinn(find_problem("infinite-well"), MLP(1, (8,), dtype=DOUBLE, generator=seeded(seed)))

    training = Training(n_adam=4, n_marquardt=12, n_points=8, collocation="quadrature", checkpoint_every=5)
    whole = fresh(0)
    train(whole, training, seed=1)

    assert_a_stop_changes_nothing(fresh, training, whole, tmp_path)


def test_a_loss_that_is_not_finite_is_named() -> None:
    problem = Problem(
        name="broken",
        domain=Box({"x": (0.0, 1.0)}),
        fields=("u",),
        equations={"bad": lambda u_x, u: torch.log(u - u - 1) + u_x},
        conditions=(Face("start", {"x": 0.0}, lambda u: u),),
    )
    with pytest.raises(DivergenceError, match="`bad` is nan"):
        train(Pinn(problem, MLP(1, (3,), dtype=DOUBLE)), Training(n_adam=0, n_marquardt=3, n_points=4), seed=0)


def test_the_last_good_checkpoint_survives_a_loss_that_is_not_finite(tmp_path: Path) -> None:
    calls: list[int] = []

    def later(u: Tensor, u_x: Tensor) -> Tensor:
        calls.append(len(calls))
        return u_x - u + (math.nan if len(calls) > 70 else 0.0)

    problem = Problem(
        name="later",
        domain=Box({"x": (0.0, 1.0)}),
        fields=("u",),
        equations={"growth": later},
        conditions=(Face("start", {"x": 0.0}, lambda u: u - 1.0),),
    )
    path = tmp_path / "run.safetensors"
    model = Pinn(problem, MLP(1, (3,), dtype=DOUBLE, generator=seeded()))
    with pytest.raises(DivergenceError, match=r"`growth` is nan; the last good checkpoint is .*run\.safetensors"):
        train(model, Training(n_adam=0, n_marquardt=90, n_points=4), seed=0, checkpoint=path)
    assert load_checkpoint(path).progress["step"] == 20
