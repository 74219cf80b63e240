"""Derivatives of circuits along directions in one pass, against the oracle, reverse passes and rows one by one."""

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor, nn

from circuits import Circuit, Observable, X, Y, Z, data, weight
from qml.backends import Aer, Native
from qml.jets.orders import Orders
from qml.nn import QuantumLayer
from qml.pinn import Jet, JetError, Pinn, find_problem
from qml.simulator import weight_rows
from qml.simulator.routes import stepwise
from tests import oracle
from tests.helpers import assert_close
from tests.named import CASES, UNITARY_CASES
from tests.pinn_checks import pure
from tests.strategies import Case, build, examples, recipes

DOUBLE = torch.float64
ORDERS = Orders(2, (((0, 1.5), (1, -0.7)), ((1, 2.0),)))
# Central differences of eighth order at distance 0.05 of waves of frequencies up to some 8: (8 * 0.05)**8 / 630.
STEP, DIFFERENCES = 0.05, 1e-5
FIRST = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
SECOND = {0: -205 / 72, 1: 8 / 5, 2: -1 / 5, 3: 8 / 315, 4: -1 / 560}


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def components(orders: Orders, values: np.ndarray | Tensor, size: float = 0.5) -> Tensor:
    """A jet with these values."""
    value = torch.as_tensor(values, dtype=DOUBLE)
    rest = size * torch.randn(orders.n_components - 1, *value.shape, dtype=DOUBLE, generator=seeded())
    return torch.cat([value[None], rest])


def by_differences(case: Case, jet: Tensor, orders: Orders) -> np.ndarray:
    """The components of expectation values, from the oracle's values on lines through the data."""
    value, *moved = jet.numpy()

    def along(direction: np.ndarray, stencil: dict[int, float], *, odd: bool) -> np.ndarray:
        total = 0.0
        for k, factor in stencil.items():
            for sign in (1, -1) if k else (1,):
                there = oracle.expectation(case.circuit, value + sign * k * STEP * direction, *case[2:])
                total = total + (sign if odd else 1) * factor * there
        return np.asarray(total)

    firsts = [along(direction, FIRST, odd=True) / STEP for direction in moved]
    for second, first, scale in orders.second_order_terms:
        bent = along(moved[first], SECOND, odd=False) / STEP**2
        firsts[orders.n_first + second] = firsts[orders.n_first + second] + scale * bent
    return np.stack([oracle.expectation(*case), *firsts])


def run(case: Case, jet: Tensor, weights: Tensor, orders: Orders = ORDERS) -> Tensor:
    """Whether another way is quicker or not."""
    with mock.patch.object(stepwise, "MAX_UNSPLIT_QUBITS", 99):
        return Native().expectation_jet(case.circuit, jet, weights, case.observables, orders)


@pytest.mark.parametrize(
    "name", [name for name, case in UNITARY_CASES.items() if not name.startswith(("amplitudes_from", "complex_am"))]
)
def test_components_are_differences_of_the_oracles_values(name: str) -> None:
    case = UNITARY_CASES[name]
    jet = components(ORDERS, case.data)
    found = run(case, jet, torch.tensor(case.weights))
    assert_close(found, by_differences(case, jet, ORDERS), DIFFERENCES)
    assert_close(found[0], oracle.expectation(*case), 1e-12 * 10)


@pytest.mark.slow
@given(recipes(preparations=("constant",), max_qubits=4, max_steps=10))
@examples(25)
def test_components_of_any_circuit_are_those_of_forward_mode(recipe: tuple) -> None:
    """Of values, of their gradients, and of the gradients of each row."""
    case = build(recipe)
    jet, weights = components(ORDERS, case.data), torch.tensor(case.weights)
    rows = weights.expand(len(case.data), -1).clone()
    found = run(case, jet, weights)
    assert found.shape == (ORDERS.n_components, len(case.data), len(case.observables))
    if not len(case.data):
        return
    expected = by_forward_mode(case, jet, rows, ORDERS)
    size = 1 + float(expected.abs().max())
    assert_close(found, expected, 1e-10 * size)
    mixture = torch.randn(found.shape, dtype=DOUBLE, generator=seeded())

    def gradients(function: Callable[[Tensor, Tensor], Tensor], weights: Tensor) -> tuple[Tensor, ...]:
        given = jet.clone().requires_grad_(), weights.clone().requires_grad_()
        total = (mixture * function(*given)).sum() + 0.0 * sum(part.sum() for part in given)
        return torch.autograd.grad(total, given)

    of_jet, of_rows = gradients(lambda jet, rows: by_forward_mode(case, jet, rows, ORDERS), rows)
    for mine, other in zip(gradients(lambda *at: run(case, *at), weights), (of_jet, of_rows.sum(0)), strict=True):
        assert_close(mine, other, 1e-9 * (1 + float(other.abs().max())) if other.numel() else 1.0)
    shared = weights.expand(len(case.data), -1).requires_grad_()
    (mine,) = torch.autograd.grad((mixture * run(case, jet, shared)).sum() + 0.0 * shared.sum(), [shared])
    assert_close(mine, of_rows, 1e-9 * (1 + float(of_rows.abs().max())) if of_rows.numel() else 1.0)


def by_forward_mode(case: Case, jet: Tensor, rows: Tensor, orders: Orders) -> Tensor:
    """The same by nested forward mode through the plain simulator, with weights of every row as data."""
    value, *moved = jet
    circuit = case.circuit.weights_as_data()

    def values(at: Tensor) -> Tensor:
        joined = torch.cat([at, rows], -1)
        return Native().expectation(circuit, joined, joined.new_empty(0), case.observables)

    def along(function: Callable[[Tensor], Tensor], direction: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda at: torch.func.jvp(function, (at,), (direction,))[1]

    found = [along(values, direction)(value) for direction in moved]
    for second, first, scale in orders.second_order_terms:
        bent = along(along(values, moved[first]), moved[first])(value)
        found[orders.n_first + second] = found[orders.n_first + second] + scale * bent
    return torch.stack([values(value), *found])


def layer(**options: object) -> QuantumLayer:
    circuit = Circuit(2).ry(data(0), 0).rx(data(1), 1).cx(0, 1).ry(weight(0), 1).rz(weight(1), 0).rx(data(0), 0)
    circuit.ry(weight(2), 0, controls=1).rz(data(1), 1, controls=0).cx(1, 0)
    observables = [Z(0), X(1) @ Y(0), 0.3 * Z(0) - 0.5 * X(1)]
    return QuantumLayer(circuit, observables, **({"dtype": DOUBLE, "generator": seeded()} | options))  # pyright: ignore


@pytest.mark.parametrize("orders", [ORDERS, pure(2, 1), pure(1, 1), pure(2, 0), pure(0, 0)], ids=str)
def test_gradients_of_all_components_pass_gradcheck(orders: Orders) -> None:
    circuit = layer()
    jet = components(orders, torch.rand(2, 2, dtype=DOUBLE, generator=seeded())).requires_grad_()
    rows = torch.rand(2, 3, dtype=DOUBLE, generator=seeded(), requires_grad=True)
    assert torch.autograd.gradcheck(lambda jet, rows: circuit.jet(jet, orders, rows), (jet, rows))
    circuit(torch.zeros(1, 2, dtype=DOUBLE))
    own = circuit.weights
    assert torch.autograd.gradcheck(lambda jet, _: circuit.jet(jet, orders), (jet, own))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0,), (2, 0)])
def test_any_leading_shape_is_kept(shape: tuple[int, ...]) -> None:
    circuit = layer()
    jet = components(ORDERS, torch.rand(*shape, 2, dtype=DOUBLE, generator=seeded())).requires_grad_()
    rows = circuit.weights.detach().expand(*shape, -1).requires_grad_()
    for found in (circuit.jet(jet, ORDERS), circuit.jet(jet, ORDERS, rows)):
        assert found.shape == (ORDERS.n_components, *shape, 3)
    assert_close(found[0], circuit(jet[0]), 1e-12)
    gradients = torch.autograd.grad(found.sum(), [jet, rows])
    assert [part.shape for part in gradients] == [jet.shape, rows.shape]


def test_rows_of_weights_that_are_one_row_give_the_gradients_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """With derivatives of matrices held or not, in pieces or at once; rows that differ are told from those."""
    circuit = layer()
    jet = components(ORDERS, torch.rand(9, 2, dtype=DOUBLE, generator=seeded()))
    shared = circuit.weights.detach().expand(9, -1)
    found = []

    def gradient(rows: Tensor) -> None:
        rows = rows.requires_grad_()
        values = circuit.jet(jet, ORDERS, rows)
        found.append((values.detach(), *torch.autograd.grad(values.square().sum(), [rows])))

    gradient(shared.clone())
    gradient(shared.detach())
    monkeypatch.setattr(weight_rows, "MAX_PIECE_ENTRIES", 64)
    gradient(shared.detach())
    monkeypatch.setattr(weight_rows, "MAX_SLOPE_ENTRIES", 0)
    gradient(shared.detach())
    for values, rows in found[1:]:
        assert_close(values, found[0][0], 1e-12)
        assert_close(rows, found[0][1], 1e-10)
    other = shared.clone()
    other[4] += 0.5
    assert float((circuit.jet(jet, ORDERS, other)[:, 4] - found[0][0][:, 4]).abs().max()) > 0.01
    assert_close(circuit.jet(jet, ORDERS, other)[:, :4], found[0][0][:, :4], 1e-12)


def test_single_precision_and_readout_errors_are_kept() -> None:
    jet = components(ORDERS, torch.rand(4, 2, dtype=DOUBLE, generator=seeded()))
    exact = layer().jet(jet, ORDERS).detach()
    single = layer().float().jet(jet.float(), ORDERS).detach()
    assert single.dtype == torch.float32
    assert_close(single.double(), exact, 1e-4)
    noisy = layer(backend=Native(readout_error=(0.1, 0.2)))
    assert_close(noisy.jet(jet, ORDERS)[0], noisy(jet[0]), 1e-12)
    assert float((noisy.jet(jet, ORDERS).detach() - exact).abs().max()) > 0.01


@pytest.mark.parametrize("name", ["amplitudes_from_data", "post_selection", "resets", "depolarizing_noise"])
def test_circuits_without_a_rule_are_refused(name: str) -> None:
    case = CASES[name]
    with pytest.raises(NotImplementedError, match="Derivatives along directions need"):
        run(case, components(ORDERS, case.data), torch.tensor(case.weights))


def test_what_has_no_rule_is_refused_and_bad_input_named(monkeypatch: pytest.MonkeyPatch) -> None:
    jet = components(ORDERS, torch.rand(4, 2, dtype=DOUBLE, generator=seeded()))
    probabilities = QuantumLayer(layer().circuit, probabilities_of=[0], dtype=DOUBLE, generator=seeded())
    others = (Native(method="adjoint"), Native(representation="density"), Aer())
    for refused in (*(layer(backend=other) for other in others), probabilities):
        with pytest.raises(NotImplementedError, match="Derivatives along directions need"):
            refused.jet(jet, ORDERS)
        with pytest.raises(JetError, match="Jets have no rule for this QuantumLayer: Derivatives along"):
            refused(Jet(jet, ORDERS))
    with pytest.raises(ValueError, match="must have shape"):
        layer().jet(jet[..., :1], ORDERS)
    with pytest.raises(ValueError, match="`weights` must have shape"):
        layer().jet(jet, ORDERS, torch.zeros(4, 2, dtype=DOUBLE))
    with pytest.raises(ValueError, match="must be finite"):
        layer().jet(jet.sub(1.0).log(), ORDERS)
    total = layer()(Jet(jet.requires_grad_(), ORDERS)).data.square().sum()
    rows = torch.zeros(1, 3, dtype=DOUBLE).expand(4, -1).requires_grad_()
    for value, leaf in ((total, jet), (layer().jet(jet.detach(), ORDERS, rows).sum(), rows)):
        with pytest.raises(RuntimeError, match="gradients of first order only"):
            torch.autograd.grad(value, [leaf], create_graph=True)
    case = Case(layer().circuit, np.zeros((4, 2)), np.zeros(3), [Z(0)])
    for wrong, weights, message in (
        (jet[:3], torch.zeros(3, dtype=DOUBLE), r"`data` must have shape \(5, batch, 2\)"),
        (jet, torch.zeros(5, 3, dtype=DOUBLE), r"`weights` must have shape \(3,\) or \(4, 3\)"),
        (jet, torch.full((4, 3), math.nan, dtype=DOUBLE), "`weights` must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            run(case, wrong, weights)
    monkeypatch.setattr("qml.simulator.memory.available_bytes", lambda device: 2**20)
    with pytest.raises(ValueError, match="must fit into memory"):
        run(case, jet.repeat(1, 40_000, 1), torch.zeros(3, dtype=DOUBLE))


@pytest.mark.parametrize("n_qubits", [2, 4, 9])
def test_wide_circuits_and_those_that_factorise_are_left_to_nested_passes(n_qubits: int) -> None:
    drawn = Circuit(n_qubits)
    for qubit in range(n_qubits):
        drawn.ry(data(qubit % 2), qubit).rz(weight(qubit), qubit).ry(weight(qubit), qubit)
    if n_qubits == 9:
        for qubit in range(n_qubits):
            drawn.cx(qubit, (qubit + 1) % n_qubits)
    trunk = QuantumLayer(drawn, [Z(0)], dtype=DOUBLE, generator=seeded())
    jet = components(ORDERS, torch.rand(2, 2, dtype=DOUBLE, generator=seeded()))
    if n_qubits == 2:
        assert Pinn(find_problem("burgers"), trunk).derivatives == "jets"
        return
    with pytest.raises(
        NotImplementedError, match=f"8 qubits at most that does not factorise, but this one has {n_qubits}"
    ):
        trunk.jet(jet, ORDERS)
    assert Pinn(find_problem("burgers"), trunk).derivatives == "nested"


def test_a_layer_that_moves_to_another_backend_takes_nested_passes_from_then_on() -> None:
    drawn = nn.Sequential(layer(), nn.Linear(3, 1, dtype=DOUBLE))
    free, fixed = (Pinn(find_problem("burgers"), drawn, derivatives=by) for by in ("auto", "jets"))
    points = torch.rand(2, 2, dtype=DOUBLE, generator=seeded())
    before = free.evaluate(points, ["u", "u_x"])
    drawn[0].to_backend("pennylane:default.qubit")
    after = free.evaluate(points, ["u", "u_x"])
    assert free.derivatives == "nested"
    for name, values in before.items():
        assert_close(after[name], values, 1e-6)
    with pytest.raises(JetError, match="backend Native"):
        fixed.evaluate(points, ["u_x"])


def test_a_backend_that_computes_something_else_is_not_bypassed() -> None:
    class Doubled(Native):
        def expectation(self, *arguments: Any) -> Tensor:
            return 2.0 * super().expectation(*arguments)

    with pytest.raises(NotImplementedError, match="backend Native"):
        layer(backend=Doubled()).jet(components(ORDERS, torch.rand(2, 2, dtype=DOUBLE)), ORDERS)


def test_a_backend_that_inherits_its_values_keeps_its_jets() -> None:
    class Logged(Native):
        """Another class with the same values."""

    jet = components(ORDERS, torch.rand(2, 2, dtype=DOUBLE, generator=seeded()))
    assert_close(layer(backend=Logged()).jet(jet, ORDERS), layer().jet(jet, ORDERS), 0.0)
    trunk = nn.Sequential(layer(backend=Logged()), nn.Linear(3, 1, dtype=DOUBLE))
    assert Pinn(find_problem("burgers"), trunk).derivatives == "jets"
    trunk[0].to_backend(Native(representation="density"))
    assert Pinn(find_problem("burgers"), trunk).derivatives == "nested"


def test_autocast_stays_outside() -> None:
    trunk = nn.Sequential(nn.Linear(2, 2), layer(dtype=torch.float32), nn.Linear(3, 1))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Pinn(find_problem("burgers"), trunk).derivatives == "jets"
        assert layer().jet(components(ORDERS, torch.rand(2, 2)).bfloat16(), ORDERS).dtype == DOUBLE


COMPILED = """
import torch
from qml.pinn import Pinn, find_problem
from tests.test_circuit_jets import layer
trunk = torch.nn.Sequential(layer(), torch.nn.Linear(3, 1, dtype=torch.float64))
model, points = Pinn(find_problem("burgers"), trunk), torch.rand(3, 2, dtype=torch.float64)
results = []
for run in (torch.compile(model.evaluate, backend="eager"), model.evaluate):
    found = run(points, ["u_x", "u_xx"])
    results.append([*found.values(), *torch.autograd.grad(found["u_xx"].square().sum(), trunk.parameters(),
        allow_unused=True, materialize_grads=True)])
for compiled, eager in zip(*results, strict=True):
    torch.testing.assert_close(compiled, eager, rtol=0, atol=1e-12)
print(model.derivatives)
"""


def test_compiled_derivatives_are_the_eager_ones() -> None:
    """In a process of its own: the type checks that pytest wraps around every function cannot be compiled."""
    run = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False)
    assert run.stdout.split() == ["jets"], run.stderr[-2000:]


@pytest.mark.parametrize(("trunk", "expected"), [("native", "jets"), ("aer", "nested")])
def test_a_circuit_is_a_trunk_by_jets_on_the_built_in_simulator_alone(trunk: str, expected: str) -> None:
    drawn = nn.Sequential(layer(backend=trunk), nn.Linear(3, 1, dtype=DOUBLE))
    assert Pinn(find_problem("burgers"), drawn).derivatives == expected


@pytest.mark.parametrize("observable", [Z(0), Y(0) @ X(1)])
def test_circuits_of_real_gates_agree_too(observable: Observable) -> None:
    circuit = Circuit(2).ry(data(0), 0).cx(0, 1).ry(weight(0), 1).ry(data(1), 1, controls=0).ry(weight(1), 0)
    case = Case(circuit, np.array([[0.3, -0.8], [1.1, 0.4]]), np.array([0.5, -0.2]), [observable])
    jet = components(ORDERS, case.data)
    assert_close(run(case, jet, torch.tensor(case.weights)), by_differences(case, jet, ORDERS), DIFFERENCES)
