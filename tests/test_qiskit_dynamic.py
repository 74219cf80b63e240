"""Dynamic circuits in Qiskit's form: every branch counts with its exact weight, judged by NumPy and by Aer."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr, types
from qiskit.quantum_info import Kraus
from qiskit_aer import AerSimulator
from scipy.stats import chisquare

from circuits.gates import Reset
from qml.plugins.qiskit import Estimator, Sampler, program
from qml.plugins.qiskit.estimator import expectations
from qml.plugins.qiskit.observables import observable_of
from qml.plugins.qiskit.program import program_of
from qml.plugins.qiskit.reading import DynamicReader
from qml.plugins.qiskit.sampler import probabilities_of
from tests import qiskit_branches as branches
from tests.strategies import examples

FALSE_ALARM = 1e-6  # of one chi-square test
LABELS = ("ZZI", "IXY", "ZIZ", "+1r", "lX-")


def check(steps: branches.Steps) -> None:
    """Expectation values and probabilities of all bits equal those of the branches."""
    circuit = branches.as_qiskit(steps)
    values = {"a": 0.7, "b": -1.9}
    exact = branches.branches_of(steps, values)
    rows = torch.tensor([[values[parameter.name] for parameter in circuit.parameters]] * 2, dtype=torch.float64)
    runs = program_of(circuit)
    chosen = [observable_of({label: 1.0}, runs) for label in LABELS]
    expected = [branches.expectation(exact, label) for label in LABELS]
    np.testing.assert_allclose(expectations(runs, rows, chosen), [expected] * 2, atol=1e-10)
    ours = probabilities_of(runs, rows, range(branches.N_BITS))
    np.testing.assert_allclose(ours, [branches.bit_probabilities(exact)] * 2, atol=1e-10)


@examples(8)
@given(st.integers(0, 2**32 - 1))
def test_random_dynamic_circuits_equal_the_sum_over_their_branches(seed: int) -> None:
    check(branches.random_steps(np.random.default_rng(seed), 5, depth=1))


@pytest.mark.slow
@examples(25)
@given(st.integers(0, 2**32 - 1))
def test_random_branches_in_branches_equal_the_sum_over_all(seed: int) -> None:
    check(branches.random_steps(np.random.default_rng(seed), 6))


@examples(8)
@given(st.integers(0, 2**32 - 1))
def test_wires_that_are_used_again_give_the_same(seed: int) -> None:
    steps = branches.random_steps(np.random.default_rng(seed), 4, depth=1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(program, "_read", lambda circuit, noise: read_recycling(circuit))
        patched.setattr(program, "_programs", type(program._programs)())
        check(steps)


def read_recycling(circuit: QuantumCircuit) -> Any:
    reader = DynamicReader(recycles=True)
    return reader, reader.read(circuit)


def test_the_oracle_of_branches_can_fail() -> None:
    steps: branches.Steps = [("gate", "h", None, (0,)), ("measure", 0, 0), ("if", ("bit", 0, 1), [], None)]
    check(steps)
    wrong = [*steps[:2], ("if", ("bit", 0, 1), [("gate", "x", None, (1,))], None)]
    exact = branches.branches_of(wrong, {})
    assert branches.expectation(exact, "IZI") == pytest.approx(0.0)
    assert branches.expectation(branches.branches_of(steps, {}), "IZI") == pytest.approx(1.0)


def test_many_resets_of_few_qubits_use_their_wires_again() -> None:
    circuit = QuantumCircuit(2, 1)
    for _ in range(20):
        circuit.ry(0.3, 0)
        circuit.cx(0, 1)
        circuit.reset(0)
    runs = program_of(circuit)
    assert runs.circuit.n_qubits == 2
    assert sum(isinstance(op.gate, Reset) for op in runs.circuit) == 20
    few = program_of(circuit_with_one_reset())
    assert few.circuit.is_unitary
    assert few.circuit.n_qubits == 3
    # <Z> of qubit 1 flips with probability sin^2(0.15) each time.
    value = Estimator().run([(circuit, "ZI")]).result()[0].data.evs
    assert value == pytest.approx(np.cos(0.3) ** 20, abs=1e-12)


def circuit_with_one_reset() -> QuantumCircuit:
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.reset(0)
    return circuit


def test_samples_of_a_dynamic_circuit_equal_aers() -> None:
    steps: branches.Steps = [
        ("gate", "ry", 0.7, (0,)),
        ("gate", "cry", 1.3, (0, 1)),
        ("measure", 0, 0),
        ("measure", 1, 1),
        (
            "if",
            ("register", 2),
            [("gate", "ry", 1.1, (2,)), ("measure", 2, 0)],
            [("reset", 1), ("gate", "h", None, (1,))],
        ),
        ("switch", [1, 3], [[("gate", "ry", 0.3, (2,))], [("gate", "x", None, (2,))]], [("gate", "h", None, (2,))]),
        ("measure", 2, 2),
        ("measure", 1, 1),
    ]
    check(steps)
    circuit, shots = branches.as_qiskit(steps), 8_000
    counts = [
        Sampler(seed=5).run([circuit], shots=shots).result()[0].data.c.get_int_counts(),
        AerSimulator(seed_simulator=6).run(circuit, shots=shots).result().get_counts().int_outcomes(),
    ]
    expected = shots * branches.bit_probabilities(branches.branches_of(steps, {}))
    for observed in counts:
        seen = np.array([observed.get(value, 0) for value in range(8)])
        assert not seen[expected == 0.0].any()
        possible = expected > 0.0
        assert chisquare(seen[possible], expected[possible]).pvalue > FALSE_ALARM


def test_values_at_a_measured_qubit_are_dephased() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.ry(0.4, 0)
    circuit.measure(0, 0)
    assert Estimator().run([(circuit, ["Z", "X", "+"])]).result()[0].data.evs == pytest.approx([np.cos(0.4), 0.0, 0.5])


def test_a_kraus_instruction_in_a_branch_acts_where_the_bit_says() -> None:
    damping = Kraus([np.diag([1.0, np.sqrt(0.7)]), np.array([[0.0, np.sqrt(0.3)], [0.0, 0.0]])])
    circuit = QuantumCircuit(2, 1)
    circuit.ry(1.0, 0)
    circuit.x(1)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.append(damping.to_instruction(), [1])
    chance = np.sin(0.5) ** 2
    value = Estimator().run([(circuit, "ZI")]).result()[0].data.evs
    assert value == pytest.approx(-(1.0 - chance) - chance * 0.4)


def test_loose_bits_and_overlapping_registers_are_told_apart() -> None:
    bits = [Clbit(), Clbit()]
    low, both = ClassicalRegister(bits=bits[:1], name="low"), ClassicalRegister(bits=bits, name="both")
    circuit = QuantumCircuit(QuantumRegister(2, "q"), bits, low, both)
    circuit.x(0)
    circuit.measure(0, bits[0])
    with circuit.if_test((bits[0], 1)):
        circuit.x(1)
    circuit.measure(1, bits[1])
    data = Sampler().run([circuit], shots=3).result()[0].data
    assert data.low.get_counts() == {"1": 3}
    assert data.both.get_counts() == {"11": 3}


def test_conditions_of_one_form_on_other_bits_are_other_circuits() -> None:
    def circuit(bit: int, value: int) -> QuantumCircuit:
        result = QuantumCircuit(2, 2)
        result.x(0)
        result.measure([0, 1], [0, 1])
        with result.if_test(expr.equal(result.cregs[0], value) if bit < 0 else (bit, value)):
            result.x(1)
        return result

    flipped = {(0, 1): True, (1, 1): False, (0, 0): False, (1, 0): True, (-1, 1): True, (-1, 2): False}
    pubs = [(circuit(bit, value), "ZI") for bit, value in flipped]
    values = [float(each.data.evs) for each in Estimator().run(pubs).result()]
    assert values == pytest.approx([-1.0 if each else 1.0 for each in flipped.values()])


def while_loop() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.while_loop((0, 0)):
        circuit.h(0)
        circuit.measure(0, 0)
    return circuit


def wide_condition() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 13)
    with circuit.if_test((circuit.cregs[0], 1)):
        circuit.x(0)
    return circuit


def quotient() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 2)
    ratio = expr.div(circuit.cregs[0], expr.lift(2, types.Uint(2)))
    with circuit.if_test(expr.equal(ratio, 1)):
        circuit.x(0)
    return circuit


def long_loop() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 1)
    with circuit.for_loop(range(20_000)):
        circuit.x(0)
    return circuit


def real_number() -> QuantumCircuit:
    circuit = QuantumCircuit(1, 2)
    with circuit.if_test(expr.less(expr.cast(circuit.cregs[0], types.Float()), 1.5)):
        circuit.x(0)
    return circuit


REFUSED = {
    "while_loop": (while_loop, "while_loop, whose number of runs depends"),
    "13 bits": (wide_condition, "at most 12 bits"),
    "div": (quotient, "operations bit_and"),
    "real number": (real_number, "truth values and whole numbers"),
    "long loop": (long_loop, "for_loop of 20000 iterations"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_finite_branches_is_refused_by_name(name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message):
        Estimator().run([(make(), "Z")]).result()
