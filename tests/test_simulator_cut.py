"""Circuits in two halves: the same numbers and derivatives as the register as a whole."""

from typing import Any

import pytest
import torch
from hypothesis import assume, given
from torch import Tensor

from circuits import Circuit, X, Y, Z, data, weight
from qml.backends import Native
from qml.simulator.cut import Cut, best_cut
from qml.simulator.plan import Request
from qml.simulator.routes import EXPECTATIONS
from qml.simulator.routes.halves import HalvesRoute
from qml.simulator.routes.register import RegisterRoute
from tests import oracle
from tests.helpers import assert_close, tensors, tolerance
from tests.strategies import (
    CONTROLLED,
    FIXED,
    ROTATIONS,
    STRINGS,
    TWO_QUBIT_ROTATIONS,
    Case,
    Recipe,
    build,
    examples,
    recipes,
)

KINDS = (*FIXED, *ROTATIONS, *TWO_QUBIT_ROTATIONS, *CONTROLLED, *STRINGS, "u3")
# Two float64 gradients that differ by the order of summation only.
SAME_GRADIENT = 1e-9


def request(case: Case) -> Request:
    return Request(2, tuple(o.terms for o in case.observables), len(case.data) == 1, max(1, len(case.data)))


def cut_values(cut: Cut, values: Tensor, weights: Tensor, method: Any = "auto") -> Tensor:
    return HalvesRoute(cut).expectation(values, weights, method=method)


def layered(n_qubits: int, n_layers: int, entangler: str = "cx") -> Circuit:
    """Rotations by data, then layers of RY RZ and a ring of CX, or of two-qubit rotations."""
    circuit, n = Circuit(n_qubits), 0
    for qubit in range(n_qubits):
        circuit.ry(data(qubit), qubit)
    for _ in range(n_layers):
        for qubit in range(n_qubits):
            circuit.ry(weight(n), qubit).rz(weight(n + 1), qubit)
            n += 2
        for qubit in range(n_qubits):
            pair = qubit, (qubit + 1) % n_qubits
            if entangler == "cx":
                circuit.cx(*pair)
            else:
                getattr(circuit, entangler)(weight(n), *pair)
                n += 1
    return circuit


def inputs_of(circuit: Circuit, batch: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    values = torch.randn(batch, circuit.n_data, generator=generator, dtype=dtype)
    return values.requires_grad_(), torch.randn(circuit.n_weights, generator=generator, dtype=dtype).requires_grad_()


@examples(150)
@given(recipes(KINDS, preparations=(), min_batch=1))
def test_every_cut_circuit_gives_the_values_of_the_oracle(recipe: Recipe) -> None:
    case = build(recipe)
    cut = best_cut(case.circuit, request(case))
    assume(cut is not None)
    expected = oracle.expectation(case.circuit, case.data, case.weights, case.observables)
    assert_close(cut_values(cut, *tensors(case)), expected, tolerance(case, torch.float64))


@pytest.mark.parametrize("entangler", ["cx", "rxx", "ryy", "rzz"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("method", ["auto", "autograd", "adjoint"])
def test_values_and_gradients_equal_those_of_the_whole_register(entangler: str, batch: int, method: Any) -> None:
    circuit = layered(5, 2, entangler)
    observables = [Z(0) @ Z(4) + 0.5 * X(2), Y(1) @ Y(3), Y(2) @ X(0), 2.0 * Y(4)]
    cut = best_cut(circuit, Request(2, tuple(o.terms for o in observables), batch == 1, batch))
    assert cut is not None
    inputs = inputs_of(circuit, batch)
    expected, values = Native().expectation(circuit, *inputs, observables), cut_values(cut, *inputs, method)
    assert_close(values, expected, 1e-12)
    cotangent = torch.randn(values.shape, generator=torch.Generator().manual_seed(1), dtype=values.dtype)
    gradients = [torch.autograd.grad(result, inputs, cotangent) for result in (values, expected)]
    for found, wanted in zip(*gradients, strict=True):
        assert_close(found, wanted, SAME_GRADIENT)


def test_real_halves_stay_real_and_read_pairs_of_y() -> None:
    circuit = Circuit(4)
    for qubit in range(4):
        circuit.ry(data(qubit), qubit)
    circuit.cx(1, 2).ry(weight(0), 1).ry(weight(1), 2).cx(2, 1)
    observables = [Y(1) @ Y(2), Y(0) @ Z(3), X(1) @ Z(2)]
    cut = best_cut(circuit, Request(2, tuple(o.terms for o in observables), False, 3))
    assert cut is not None
    assert all(plan.is_real for plan in cut.halves)
    inputs = inputs_of(circuit, 3)
    assert_close(cut_values(cut, *inputs), Native().expectation(circuit, *inputs, observables), 1e-12)
    assert torch.autograd.gradcheck(lambda *args: cut_values(cut, *args), inputs)


@pytest.mark.parametrize("check", [torch.autograd.gradcheck, torch.autograd.gradgradcheck])
def test_derivatives_are_those_of_finite_differences(check: Any) -> None:
    circuit = layered(3, 2)
    cut = best_cut(circuit, Request(2, (Z(0).terms, (Y(1) @ X(2)).terms), False, 2))
    assert cut is not None
    assert check(lambda *args: cut_values(cut, *args), inputs_of(circuit, 2))


def test_adjoint_refuses_a_second_derivative() -> None:
    circuit = layered(4, 2)
    cut = best_cut(circuit, Request(2, (Z(0).terms,), False, 2))
    assert cut is not None
    inputs = inputs_of(circuit, 2)
    with pytest.raises(RuntimeError, match="only once differentiable"):
        torch.autograd.grad(cut_values(cut, *inputs, "adjoint").sum(), inputs[1], create_graph=True)


def test_the_planner_cuts_wide_shallow_circuits_and_leaves_deep_ones_whole() -> None:
    terms = (Z(0).terms,)
    shallow, deep = layered(18, 3), layered(18, 12)
    request = Request(2, terms, True, 1, only_registers=True)
    chosen = EXPECTATIONS.planned(shallow, request)[0]
    assert isinstance(chosen, HalvesRoute)
    # two rings are left, the last moves into the observable
    assert (chosen.cut.n_own, chosen.cut.n_branches) == ((9, 9), 4)
    for circuit in (deep, layered(6, 2)):  # the second is too small to be worth it
        assert isinstance(EXPECTATIONS.planned(circuit, request)[0], RegisterRoute)


def test_thirty_qubits_equal_the_closed_form_although_no_state_vector_would_fit() -> None:
    """A chain of CX after RY(x_j) on qubits in |0>: <Z> of the last is prod cos x_j."""
    circuit, n = Circuit(30), 30
    for qubit in range(n):
        circuit.ry(data(qubit), qubit)
    for qubit in range(n - 1):
        circuit.cx(qubit, qubit + 1)
    for qubit in range(n):
        circuit.ry(weight(0), qubit)
    angles = (0.02 * torch.arange(n, dtype=torch.float64)[None]).requires_grad_()
    result = Native().expectation(circuit, angles, torch.zeros(1, dtype=torch.float64), [Z(n - 1)])
    assert_close(result, angles.cos().prod(1, keepdim=True), 1e-12)
    (grad,) = torch.autograd.grad(result, angles)
    assert_close(grad, -angles.tan() * result, 1e-12)


def test_one_copy_serves_all_gates_until_its_qubit_changes() -> None:
    circuit = Circuit(4).h(0).cz(0, 2).rzz(weight(0), 0, 3).rz(weight(1), 0).cx(0, 2).ry(weight(2), 0).cx(0, 3)
    circuit.ry(weight(3), 0).ry(weight(3), 2).ry(weight(3), 3)
    cut = best_cut(circuit, Request(2, (Z(0).terms, Z(2).terms, Z(3).terms), True, 1))
    assert cut is not None
    assert cut.n_branches == 2


@pytest.mark.parametrize(
    "circuit",
    [
        Circuit(2).ry(weight(0), 0).swap(0, 1).ry(weight(0), 1),  # diagonal in no axis
        Circuit(2).prepare([1.0, 0.0], [0]).cx(0, 1).ry(weight(0), 1),
        Circuit(2).cx(0, 1).post_select(1, 0).ry(weight(0), 1),
    ],
    ids=["swap", "preparation", "post-selection"],
)
def test_what_cannot_be_cut_is_left_whole(circuit: Circuit) -> None:
    assert best_cut(circuit, Request(2, (X(0).terms, X(1).terms), True, 1)) is None
