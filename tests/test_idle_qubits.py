"""Qubits on which nothing acts cost nothing, and what does not fit into memory is refused before it is made."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from circuits import Circuit, X, Y, Z, data, weight
from circuits.channels import depolarizing
from qml.backends import Native
from qml.simulator import memory
from qml.simulator.cut import best_cut
from qml.simulator.idle import without_idle
from qml.simulator.plan import Request
from qml.simulator.routes.halves import HalvesRoute
from tests import oracle
from tests.helpers import assert_close
from tests.strategies import examples
from tests.test_simulator_cut import inputs_of, layered

SAME = 1e-12  # float64 algebra
DATA = torch.tensor([[0.3, -1.1], [0.9, 0.4]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.7, -0.2, 1.4], dtype=torch.float64)


def three_on(n_qubits: int, places: tuple[int, int, int]) -> Circuit:
    """A ring of three qubits of a wider register, which neither factorises nor falls into halves."""
    first, second, third = places
    circuit = Circuit(n_qubits).ry(data(0), first).ry(weight(0), second).cx(first, second).rx(weight(1), third)
    circuit.cx(second, third).rx(data(1), first).cx(third, first).rzz(weight(2), first, second)
    return circuit.rx(0.4, second)


@examples(30)
@given(st.permutations(range(5)), st.booleans(), st.booleans())
def test_idle_qubits_change_no_number(order: list[int], mixed: bool, projected: bool) -> None:
    circuit = three_on(5, (order[0], order[1], order[2]))
    circuit = circuit.noise(depolarizing(0.1), order[0]) if mixed else circuit
    circuit = circuit.post_select(order[1], 1) if projected else circuit
    observables = [Z(q) for q in range(5)] + [X(order[0]) @ Z(order[3]), Y(order[4]), X(order[1]) - 2 * Y(order[3]) + 3]
    native = Native()
    assert_close(
        native.expectation(circuit, DATA, WEIGHTS, observables),
        oracle.expectation(circuit, DATA, WEIGHTS, observables),
        SAME,
    )
    qubits = [order[3], order[1], order[0]]
    assert_close(
        native.probabilities(circuit, DATA, WEIGHTS, qubits),
        oracle.probabilities(circuit, DATA, WEIGHTS, qubits),
        SAME,
    )
    success = [oracle.success_probability(circuit, sample, WEIGHTS) for sample in DATA]
    assert_close(native.success_probability(circuit, DATA, WEIGHTS), np.array(success), SAME)


def test_three_qubits_of_sixty_are_three_qubits() -> None:
    narrow, wide = three_on(3, (0, 1, 2)), three_on(60, (0, 30, 59))
    observables = [Z(0), X(0) @ Y(30), Z(7), X(7), Z(59) @ Z(8)]
    expected = oracle.expectation(narrow, DATA, WEIGHTS, [Z(0), X(0) @ Y(1), 0 * Z(0) + 1, 0 * Z(0), Z(2)])
    assert_close(Native().expectation(wide, DATA, WEIGHTS, observables), expected, SAME)
    outcomes = oracle.probabilities(narrow, DATA, WEIGHTS, [2, 0])
    assert_close(Native().probabilities(wide, DATA, WEIGHTS, [59, 0]), outcomes, SAME)


def test_gradients_reach_the_angles_of_the_narrow_circuit() -> None:
    def value(wide: bool, weights: torch.Tensor) -> torch.Tensor:
        circuit = three_on(60, (0, 30, 59)) if wide else three_on(3, (0, 1, 2))
        return Native().expectation(circuit, DATA, weights, [X(0) @ Z(59 if wide else 2)]).sum()

    wide, narrow = (torch.func.grad(lambda w, k=k: value(k, w))(WEIGHTS) for k in (True, False))
    assert_close(wide, narrow, SAME)


def test_a_circuit_without_idle_qubits_stays_itself() -> None:
    circuit, terms = three_on(3, (0, 1, 2)), (((1.0, ((0, "Z"),)),),)
    assert without_idle(circuit, terms) == (circuit, terms)
    assert without_idle(circuit, terms)[0] is circuit


def test_an_empty_circuit_reads_its_start() -> None:
    nothing = torch.zeros(2, 0)
    values = Native().expectation(Circuit(50), nothing, torch.zeros(0), [Z(3), X(4), Z(0) @ Z(49)])
    assert_close(values, torch.tensor([[1.0, 0.0, 1.0]] * 2), 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_both_halves_of_a_cut_circuit_are_counted(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, observable = layered(20, 2), Z(3) @ Z(16)
    inputs, weights = (values.detach() for values in inputs_of(circuit, 1, dtype))
    cut = best_cut(circuit, Request(2, (observable.terms,), shared_data=True, batch=1))
    assert cut is not None
    state = 2 ** cut.halves[0].n_sites * dtype.to_complex().itemsize
    monkeypatch.setattr(memory, "UNASKED_BYTES", 1)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 5 * state)  # would do for one half
    with pytest.raises(ValueError, match="each half of a circuit of 20 qubits") as refusal:
        HalvesRoute(cut).expectation(inputs, weights, method="auto")
    assert ("float32 or" in str(refusal.value)) == (dtype == torch.float64)  # no advice to do what was done already
    assert "smaller batch" not in str(refusal.value)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 20 * state)
    assert HalvesRoute(cut).expectation(inputs, weights, method="auto").shape == (1, 1)


def test_limits_of_a_container_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 400000\ninactive_file 200000\n")
    monkeypatch.setattr(memory, "CONTAINER_FILES", ((tmp_path, "memory.max", "memory.current"),))
    assert memory.available_bytes(torch.device("cpu")) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.available_bytes(torch.device("cpu")) > 500_000
