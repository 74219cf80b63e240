"""Qiskit's loops, `break`, `continue` and variables in the converter and the primitives, against all branches."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.classical import expr, types

from circuits import Circuit
from qml.backends import Native
from qml.backends.convert.qiskit import from_qiskit
from qml.plugins.qiskit import Estimator, NativeBackend, Sampler, program
from qml.plugins.qiskit.reading import DynamicReader
from tests import loop_programs as programs
from tests.helpers import assert_close

START: programs.Steps = [("gate", "ry", 0.8, (0,)), ("gate", "ry", 1.7, (1,))]
SIGNS = np.array([1.0, -1.0])
UINT = types.Uint(8)


def random_program(seed: int, count: int = 3) -> programs.Steps:
    return [*START, *programs.random_steps(np.random.default_rng(seed), count, ends=False)]


def of_qubits(circuit: Circuit) -> np.ndarray:
    none = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    return Native().probabilities(circuit, *none, qubits=[0, 1])[0].numpy()


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_loops_are_converted_exactly(first: int) -> None:
    for seed in range(first, first + 10):
        steps = random_program(seed)
        expected = programs.qubit_probabilities(programs.branches_of(steps, counts_by="x"))
        assert_close(of_qubits(from_qiskit(programs.as_qiskit(steps))), expected, 1e-10)


def check_primitives(steps: programs.Steps) -> None:
    circuit, exact = programs.as_qiskit(steps), programs.branches_of(steps, counts_by="x")
    bits = Sampler(default_shots=None).run([circuit]).result()[0].data.c.probabilities
    assert_close(bits, programs.bit_probabilities(exact), 1e-10)
    joint = programs.qubit_probabilities(exact).reshape(2, 2)
    expected = [SIGNS @ joint.sum(1), SIGNS @ joint.sum(0), SIGNS @ joint @ SIGNS]
    assert_close(Estimator().run([(circuit, ["IZ", "ZI", "ZZ"])]).result()[0].data.evs, np.array(expected), 1e-10)


@pytest.mark.parametrize("seed", [0, 2, 3, 4, 6, 7])
def test_random_loops_in_the_primitives_are_exact(seed: int) -> None:
    check_primitives(random_program(seed, 2))


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_loops_with_wires_that_are_used_again_are_exact(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(circuit: QuantumCircuit, _: object) -> Any:
        reader = DynamicReader(recycles=True)
        return reader, reader.read(circuit)

    monkeypatch.setattr(program, "_read", read)
    monkeypatch.setattr(program, "_programs", type(program._programs)())
    check_primitives(random_program(seed, 2))


def until_success(bound: int) -> QuantumCircuit:
    """A circuit that measures RY(1)|0> until it reads 1, at most `bound` times."""
    circuit = QuantumCircuit(1, 1)
    runs = circuit.add_var("runs", expr.lift(0, UINT))
    with circuit.while_loop(expr.logic_and(expr.logic_not(circuit.clbits[0]), expr.less(runs, bound))):
        circuit.reset(0)
        circuit.ry(1.0, 0)
        circuit.measure(0, 0)
        circuit.store(runs, expr.add(runs, expr.lift(1, UINT)))
    return circuit


def with_break(bound: int) -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(bound)):
        circuit.reset(0)
        circuit.ry(1.0, 0)
        circuit.measure(0, 0)
        with circuit.if_test((0, 1)):
            circuit.break_loop()
    return circuit


@pytest.mark.parametrize("make", [until_success, with_break])
def test_trials_until_success_have_the_closed_form(make: Callable[[int], QuantumCircuit]) -> None:
    success = np.sin(0.5) ** 2
    for bound in (1, 3):
        share = 1 - (1 - success) ** bound
        circuit = make(bound)
        counts = Sampler(default_shots=None).run([circuit]).result()[0].data.c.get_counts()
        assert counts["1"] == pytest.approx(share, abs=1e-12)
        assert float(Estimator().run([(circuit, "Z")]).result()[0].data.evs) == pytest.approx(1 - 2 * share, abs=1e-12)
        none = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
        converted = from_qiskit(circuit)
        assert float(Native().probabilities(converted, *none, qubits=[0])[0, 1]) == pytest.approx(share, abs=1e-12)


def test_the_backend_takes_loops_through_the_transpiler() -> None:
    backend = NativeBackend()
    circuit, share = transpile(until_success(2), backend, optimization_level=1), 1 - np.cos(0.5) ** 4
    counts = backend.run(circuit, shots=1000, seed_simulator=1).result().get_counts()
    assert abs(counts["1"] / 1000 - share) < 5 * np.sqrt(share * (1 - share) / 1000)


def test_circuits_that_differ_in_a_loops_condition_are_told_apart() -> None:
    values = [Sampler(default_shots=None).run([until_success(bound)]).result()[0].data.c for bound in (1, 2)]
    assert values[0].get_counts()["1"] < values[1].get_counts()["1"]


def counted(circuit: QuantumCircuit, number: Any, kind: Any = UINT) -> Any:
    return circuit.add_var("i", expr.lift(number, kind))


def by_variables() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 1)
    number = counted(circuit, 3)
    circuit.store(number, expr.mul(number, 2))
    with circuit.if_test(expr.equal(number, 6)):
        circuit.x(0)
    with circuit.while_loop(expr.greater(number, 3)):
        circuit.store(number, expr.sub(number, 1))
        with circuit.if_test(expr.equal(number, 4)):
            circuit.continue_loop()
        circuit.x(1)
    with circuit.switch(number) as case:
        with case(3):
            circuit.cx(0, 1)
        with case(case.DEFAULT):
            circuit.h(0)
    return circuit


def test_variables_that_are_known_leave_plain_gates() -> None:
    assert from_qiskit(by_variables()) == Circuit(2).x(0).x(1).x(1).cx(0, 1)
    assert float(Estimator().run([(by_variables(), "ZZ")]).result()[0].data.evs) == pytest.approx(-1.0 * -1.0)


def test_the_variable_of_a_loop_is_its_own() -> None:
    circuit = QuantumCircuit(2, 1)
    number = counted(circuit, 0)
    with circuit.for_loop(range(1, 3), number), circuit.if_test(expr.equal(number, 2)):
        circuit.x(0)
    with circuit.if_test(expr.equal(number, 0)):  # of the circuit, not of the loop
        circuit.x(1)
    assert from_qiskit(circuit) == Circuit(2).x(0).x(1)


def endless() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.while_loop((0, 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    return circuit


def counts_without_a_bound() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    number = counted(circuit, 0, types.Uint(16))
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.while_loop((0, 1)):
        circuit.store(number, expr.add(number, expr.lift(1, types.Uint(16))))
    return circuit


def measured_variable() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.add_var("flag", expr.lift(circuit.clbits[0]))
    return circuit


def variable_of_a_branch() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    number = counted(circuit, 0)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.store(number, 1)
    with circuit.if_test(expr.equal(number, 1)):
        circuit.x(0)
    return circuit


def bit_that_is_stored() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    circuit.store(circuit.clbits[0], True)
    return circuit


REFUSED = {
    "endless": (endless, "while_loop, whose number of runs depends on what is measured"),
    "measured variable": (measured_variable, "store into the variable 'flag' of what is measured"),
    "variable of a branch": (variable_of_a_branch, "have one value in all branches, but one reads the variable 'i'"),
    "stored bit": (bit_that_is_stored, "store into .* no variable"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_known_branches_is_refused_by_name(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        Estimator().run([(make(), "Z")]).result()
    with pytest.raises(ValueError, match=message):
        from_qiskit(make())


def test_a_loop_that_counts_without_a_bound_is_refused_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qml.backends.convert.qiskit_flow.MAX_ITERATIONS", 50)
    with pytest.raises(ValueError, match="while_loop of more than 50 iterations"):
        from_qiskit(counts_without_a_bound())


def test_conditions_are_converted_with_their_bits_and_phases() -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.ry(0.7, 0)
    circuit.measure(0, 1)
    with circuit.if_test((1, 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.h(1)
    circuit.measure(1, 0)
    converted = from_qiskit(circuit)
    expected = Circuit(2).ry(0.7, 0).x(1, controls=0).x(0).h(1, controls=0).x(0).measure(0, bit=1).measure(1, bit=0)
    assert [op for op in converted if not op.is_mid_circuit] == [op for op in expected if not op.is_mid_circuit]
    assert {(op.gate, op.qubits) for op in converted if op.is_mid_circuit} == {
        (op.gate, op.qubits) for op in expected if op.is_mid_circuit
    }
