"""OpenQASM 3 out and in, judged by the NumPy oracle and by Qiskit's exporter."""

import numpy as np
import pytest
from hypothesis import given
from qiskit import QuantumCircuit, qasm3, quantum_info
from qiskit.circuit import ParameterVector, library

from circuits import Circuit, channels, data, from_openqasm, to_openqasm, weight
from circuits.two_level import unitary_by_gates
from qml.backends.convert.qiskit import reverse_qubits
from tests import oracle, strategies
from tests.helpers import assert_close
from tests.strategies import examples

ALGEBRA = 1e-12  # products of some dozen matrices in float64
HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
UNITARY_KINDS = tuple(kind for kind in strategies.UNITARY_KINDS if kind not in ("u3", "unitary"))


def values_of(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(7)
    return random.normal(size=circuit.n_data), random.normal(size=circuit.n_weights)


def unitary(text: str) -> np.ndarray:
    return oracle.unitary_of(from_openqasm(text))


# --- there and back -----------------------------------------------------------------------------------------


def test_the_text_is_what_the_specification_says() -> None:
    circuit = Circuit(3).ry(data(0), 0).exp_pauli(weight(0), "ZX", (2, 0)).rx(0.5, 1, controls=(2, 0)).cx(2, 1)
    circuit.measure(1).reset(2).post_select(0, 1).exp_pauli(0.25, "I", 0)
    assert to_openqasm(circuit) == (
        HEADER + "input float[64] data_0;\n"
        "input float[64] weight_0;\n"
        "gate rzx(theta) a, b { h b; cx a, b; rz(theta) b; cx a, b; h b; }\n"
        "qubit[3] q;\n"
        "bit[1] c;\n"
        "bit[1] post_select;\n"
        "ry(data_0) q[0];\n"
        "rzx(-2.0*weight_0) q[2], q[0];\n"
        "ctrl(2) @ rx(0.5) q[2], q[0], q[1];\n"
        "cx q[2], q[1];\n"
        "c[0] = measure q[1];\n"
        "reset q[2];\n"
        "@qml.post_select 1\n"
        "post_select[0] = measure q[0];\n"
        "gphase(0.25);\n"
    )
    assert from_openqasm(to_openqasm(circuit)) == circuit


@examples(100)
@given(strategies.recipes(UNITARY_KINDS, preparations=(), max_qubits=4, max_steps=6))
def test_a_round_trip_keeps_unitary_and_slots(recipe: strategies.Recipe) -> None:
    circuit = strategies.build(recipe).circuit
    back = from_openqasm(to_openqasm(circuit))
    samples, weights = values_of(circuit)
    assert (back.n_data, back.n_weights) == (circuit.n_data, circuit.n_weights)
    expected = oracle.unitary_of(circuit, samples, weights)
    assert_close(oracle.unitary_of(back, samples, weights), expected, ALGEBRA)
    assert to_openqasm(back) == to_openqasm(circuit)


@pytest.mark.parametrize("pauli", ["ZX", "YX", "XYZ", "YYZX"])
def test_the_definition_of_a_rotation_is_that_rotation(pauli: str) -> None:
    qubits = tuple(range(len(pauli)))[::-1]
    circuit = Circuit(len(pauli)).pauli_rotation(0.7, pauli, qubits)
    own, foreign = to_openqasm(circuit), to_openqasm(circuit).replace(f"r{pauli.lower()}", "foreign")
    assert from_openqasm(own) == circuit
    assert len(from_openqasm(foreign)) > 1  # inlined, since the reader does not know the name
    assert_close(unitary(foreign), oracle.unitary_of(circuit), ALGEBRA)


@examples(60)
@given(strategies.recipes(preparations=("constant",), max_qubits=4, max_steps=4))
def test_matrices_and_amplitudes_are_written_as_gates(recipe: strategies.Recipe) -> None:
    circuit = strategies.build(recipe).circuit
    samples, weights = values_of(circuit)
    back = oracle.state_of(from_openqasm(to_openqasm(circuit)), samples, weights)
    assert_close(back, oracle.state_of(circuit, samples, weights), ALGEBRA * 10)


@examples(60)
@given(strategies.recipes((*UNITARY_KINDS, *strategies.MID_CIRCUIT_KINDS), preparations=(), max_qubits=4))
def test_resets_measurements_and_post_selections_survive(recipe: strategies.Recipe) -> None:
    circuit = strategies.build(recipe).circuit
    kept = [op for op in circuit if op.is_mid_circuit]
    assert [op for op in from_openqasm(to_openqasm(circuit)) if op.is_mid_circuit] == kept


@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_a_unitary_by_gates_is_exact_in_its_global_phase(n_qubits: int) -> None:
    matrix = strategies.random_unitary(2**n_qubits, np.random.default_rng(n_qubits))
    assert_close(oracle.unitary_of(unitary_by_gates(matrix)), matrix, ALGEBRA)
    permutation = np.roll(np.eye(2**n_qubits), 1, axis=0) * 1j
    assert_close(oracle.unitary_of(unitary_by_gates(permutation)), permutation, ALGEBRA)


def test_a_matrix_used_twice_is_defined_once() -> None:
    matrix = strategies.random_unitary(4, np.random.default_rng(0))
    circuit = Circuit(3).unitary(matrix, (0, 2)).unitary(matrix, (2, 1), controls=0)
    text = to_openqasm(circuit)
    assert text.count("gate unitary") == 1
    assert_close(unitary(text), oracle.unitary_of(circuit), ALGEBRA)


# --- programs of others -------------------------------------------------------------------------------------


def qiskit_unitary(circuit: QuantumCircuit) -> np.ndarray:
    matrix = quantum_info.Operator(circuit).data
    return reverse_qubits(reverse_qubits(matrix, axis=0), axis=1)


def test_what_qiskit_exports_is_read() -> None:
    inputs, trained = ParameterVector("data", 2), ParameterVector("weight", 1)
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.rzz(inputs[1], 2, 0)
    circuit.u(0.1, 0.2, trained[0], 1)
    circuit.cu(0.1, 0.2, 0.3, 0.4, 2, 1)
    circuit.append(library.RYGate(inputs[0]).control(2, annotated=False), [2, 0, 1])
    circuit.mcx([0, 1], 2)
    circuit.barrier()
    circuit.sx(1)
    circuit.iswap(0, 2)
    text = qasm3.dumps(circuit)
    values = {inputs[0]: 0.3, inputs[1]: -0.8, trained[0]: 1.1}
    expected = qiskit_unitary(circuit.assign_parameters(values))
    assert_close(oracle.unitary_of(from_openqasm(text), [0.3, -0.8], [1.1]), expected, 1e-9)


STANDARD_GATES = {
    "id q[1];": library.IGate(),
    "x q[1];": library.XGate(),
    "y q[1];": library.YGate(),
    "z q[1];": library.ZGate(),
    "h q[1];": library.HGate(),
    "s q[1];": library.SGate(),
    "sdg q[1];": library.SdgGate(),
    "t q[1];": library.TGate(),
    "tdg q[1];": library.TdgGate(),
    "sx q[1];": library.SXGate(),
    "rx(0.3) q[1];": library.RXGate(0.3),
    "ry(0.3) q[1];": library.RYGate(0.3),
    "rz(0.3) q[1];": library.RZGate(0.3),
    "p(0.3) q[1];": library.PhaseGate(0.3),
    "phase(0.3) q[1];": library.PhaseGate(0.3),
    "u1(0.3) q[1];": library.PhaseGate(0.3),
    "U(0.1, 0.2, 0.3) q[1];": library.UGate(0.1, 0.2, 0.3),
    "cx q[1], q[0];": library.CXGate(),
    "CX q[1], q[0];": library.CXGate(),
    "cy q[1], q[0];": library.CYGate(),
    "cz q[1], q[0];": library.CZGate(),
    "ch q[1], q[0];": library.CHGate(),
    "cp(0.3) q[1], q[0];": library.CPhaseGate(0.3),
    "cphase(0.3) q[1], q[0];": library.CPhaseGate(0.3),
    "crx(0.3) q[1], q[0];": library.CRXGate(0.3),
    "cry(0.3) q[1], q[0];": library.CRYGate(0.3),
    "crz(0.3) q[1], q[0];": library.CRZGate(0.3),
    "swap q[1], q[0];": library.SwapGate(),
    "ccx q[1], q[2], q[0];": library.CCXGate(),
    "cswap q[1], q[2], q[0];": library.CSwapGate(),
    "cu(0.1, 0.2, 0.3, 0.4) q[1], q[0];": library.CUGate(0.1, 0.2, 0.3, 0.4),
}


@pytest.mark.parametrize("line", STANDARD_GATES)
def test_a_gate_of_the_standard_library_is_qiskits(line: str) -> None:
    gate = STANDARD_GATES[line]
    circuit = QuantumCircuit(3)
    circuit.append(gate, [1, 0] if gate.num_qubits == 2 else [1, 2, 0][: gate.num_qubits])
    assert_close(unitary(f"{HEADER}qubit[3] q;\n{line}"), qiskit_unitary(circuit), ALGEBRA)


def test_u_has_a_further_phase_in_version_3_1_and_u3_has_half_angles() -> None:
    plain = unitary("OPENQASM 3.0; qubit q; U(0.4, 0.2, 0.3) q;")
    phased = unitary("OPENQASM 3.1; qubit q; U(0.4, 0.2, 0.3) q;")
    assert_close(phased, np.exp(0.2j) * plain, ALGEBRA)
    library_u3 = unitary(f"{HEADER}qubit q; u3(0.4, 0.2, 0.3) q;")
    assert_close(library_u3, np.exp(-0.25j) * plain, ALGEBRA)
    assert_close(unitary(f"{HEADER}qubit q; u2(0.2, 0.3) q;"), unitary(f"{HEADER}qubit q; u3(pi/2, 0.2, 0.3) q;"), 0)


def test_modifiers_definitions_and_broadcasting_are_inlined() -> None:
    text = f"""{HEADER}
    /* two registers,
       five qubits */
    qubit[2] a; qubit[3] b;
    gate half(x) u, v {{ rx(x/2) u; barrier u, v; barrier; cx u, v; gphase(-x); }}
    gate twice(y) u, v {{ half(2*y + pi) v, u; inv @ half(y) u, v; }}
    const float angle_0 = 2*sin(pi/6);  // 1
    twice(angle_0) a[1], b[2];
    ctrl @ negctrl @ half(-0.3e0) b[0], a[0], b[1], b[2];
    h b;
    cx a[0], b;
    pow(3) @ s a;
    pow(-2) @ inv @ t b[1];
    """

    def half(circuit: Circuit, x: float, u: int, v: int, controls: tuple[int, ...] = ()) -> Circuit:
        circuit.rx(x / 2, u, controls=controls).x(v, controls=(*controls, u))
        return circuit.exp_pauli(-x, "I", u, controls=controls)

    def undo(circuit: Circuit, x: float, u: int, v: int) -> Circuit:
        return circuit.exp_pauli(x, "I", u).cx(u, v).rx(-x / 2, u)

    expected = Circuit(5)
    undo(half(expected, 2 + np.pi, 4, 1), 1.0, 1, 4)
    half(expected.x(0), -0.3, 3, 4, (2, 0)).x(0)
    expected.h(2).h(3).h(4).cx(0, 2).cx(0, 3).cx(0, 4).sdg(0).sdg(1).s(3)
    assert_close(unitary(text), oracle.unitary_of(expected), ALGEBRA)


def test_inputs_become_slots_by_name_and_order() -> None:
    text = HEADER + (
        "input angle[32] z; input float weight_1; input array[float[64], 2] data; input float[64] a;\n"
        "input float[64] _weight_0_; qubit q; rx(z) q; ry(weight_1) q; rz(data[1]) q; rx(data[0]) q;\n"
        "p(a) q; rx(_weight_0_) q;"
    )
    expected = Circuit(1).rx(weight(2), 0).ry(weight(1), 0).rz(data(1), 0).rx(data(0), 0).p(weight(3), 0)
    assert from_openqasm(text) == expected.rx(weight(0), 0)
    assert from_openqasm(text, data=["a"]).operations[4].angles == (data(2),)


def test_angles_linear_in_inputs_are_held_exactly() -> None:
    text = f"""{HEADER}
    input float a; input float b; qubit[2] q;
    rx(2*a - b/3 + pi) q[0]; ctrl @ p(-(a + 1)*2) q[0], q[1];
    """
    circuit = from_openqasm(text)
    expected = Circuit(2).rx(2 * 0.3 + 0.5 / 3 + np.pi, 0).p(-2.6, 1, controls=0)
    assert_close(oracle.unitary_of(circuit, [], [0.3, -0.5]), oracle.unitary_of(expected), ALGEBRA)


def test_both_forms_of_measurement_are_read() -> None:
    text = f"""{HEADER}
    qreg q[2]; creg c[2]; bit[3] unused;
    measure q[1] -> c[0]; c[1] = measure q[0]; bit[2] d = measure q;
    """
    expected = Circuit(2).measure(1, bit=0).measure(0, bit=1).measure(0, bit=2).measure(1, bit=3)
    assert from_openqasm(text) == expected


def test_annotations_of_others_change_nothing() -> None:
    assert from_openqasm(f"{HEADER}qubit q;\n@vendor.hint fast\nctrl@x q;\n".replace("ctrl@x", "x")) == Circuit(1).x(0)
    assert from_openqasm(f"{HEADER}qubit[2] q;\nctrl@x q[0], q[1];") == Circuit(2).cx(0, 1)


# --- refusals -----------------------------------------------------------------------------------------------


REFUSED = {
    "c = measure q; while (c == 1) x q;": r"line 5 has a `while` on measured bits",
    "def f(qubit p) { x p; }": r"line 5 has 'def'",
    "#pragma fast": r"line 5 has '#pragma fast'",
    "duration d = 100ns;": r"line 5 has 'duration'",
    "wobble q;": r"line 5 has the gate 'wobble'",
    "rx(2) q, r;": r"line 5 has 'r'",
    "rx q;": r"give 'rx' 1 angles and 1 qubits, but line 5 has 0 and 1",
    "x q[3];": r"index in 0\.\.0 for q, but line 5 has 3",
    "rx(a*a) q;": r"linear in the inputs, but line 5 has an input under '\*'",
    "rx(sin(a)) q;": r"an input under 'sin'",
    "rx(1/a) q;": r"an input under '/'",
    "rx(1/0) q;": r"a division by zero",
    "rx(b) q;": r"declared names and numbers as angles, but line 5 has 'b'",
    "x q": r"have ';' here, but line 5 has 'the end of the text'",
    "x x;": r"declared qubits, but line 5 has 'x'",
    "qubit q;": r"declare a name once, but line 5 has 'q' again",
    "gate x u { }": r"define a gate once, but line 5 has 'x' again",
    "measure q;": r"measure into a bit",
    "c[1] = measure q;": r"index in 0\.\.0 for c, but line 5 has 1",
    "@qml.post_select 2\nc = measure q;": r"0 or 1 after @qml.post_select, but line 5 has '2'",
    "@qml.post_select 1\nx q;": r"a measurement after @qml.post_select, but line 6",
    "pow(0.5) @ rx(a) q;": r"gates of constants under powers that are not whole, but line 5 has an input there",
    "x q; ?": r"be OpenQASM, but line 5 has '\?'",
    'include "other.inc";': r"include stdgates.inc only, but line 5 has 'other.inc'",
    "cx q, q;": r"name a qubit once in a gate, but line 5 has 'cx' on \[0, 0\]",
    "gate loop u { loop u; } loop q;": r"the gate 'loop'",
    "ctrl(0) @ x q;": r"at least one control, but line 5 has ctrl\(0\)",
    "ctrl(-1) @ x q;": r"at least one control, but line 5 has ctrl\(-1\)",
    "negctrl(0) @ x q;": r"at least one control, but line 5 has negctrl\(0\)",
    "ctrl(2) @ gphase(0.3) q;": r"name 2 controls for 'gphase', but line 5 has 1 qubit",
    "inv(2) @ x q;": r"line 5 has '\('",
    "pow @ x q;": r"have '\(' here, but line 5 has '@'",
    "pow(1000000000) @ x q;": r"powers of at most 1000.*, but line 5 has pow\(1000000000\).*Put the power into an",
    "pow(-1001) @ x q;": r"powers of at most 1000.*, but line 5 has pow\(-1001\)",
    "gate g u, u { x u; }": r"name each qubit and parameter once, but line 5 has 'u' again",
    "gate g(b, b) u { rx(b) u; }": r"name each qubit and parameter once, but line 5 has 'b' again",
    "gate g(u) u { rx(u) u; }": r"name each qubit and parameter once, but line 5 has 'u' again",
    "gate g u v { x u; }": r"have ',' here, but line 5 has 'v'",
    "gate g(2) u { x u; }": r"have a name here, but line 5 has '2'",
    "rx(sqrt(-1)) q;": r"finite real angles, but line 5 has sqrt of -1\.0",
    "rx(log(0)) q;": r"finite real angles, but line 5 has log of 0\.0",
    "rx(exp(1000)) q;": r"finite real angles, but line 5 has exp of 1000\.0",
    "rx(10**400) q;": r"finite real angles, but line 5 has \*\* of 10\.0 and 400\.0",
    "rx(0**-1) q;": r"finite real angles, but line 5 has \*\* of 0\.0 and -1\.0",
    "rx((-1)**0.5) q;": r"finite real angles, but line 5 has \*\* of -1\.0 and 0\.5",
    "rx(1e400) q;": r"finite real angles, but line 5 has '1e400'",
    "rx(1e300*1e300*a) q;": r"finite real angles, but line 5 has one too large for a float",
    "rx(1e300*1e300 - 1e300*1e300) q;": r"finite real angles, but line 5 has one too large for a float",
    "x q[1e400];": r"finite real angles, but line 5 has '1e400'",
    "input float a;": r"declare an input once, but line 5 has 'a' after 'a'",
    "input float data_1; input float data_01;": r"an input once, but line 5 has 'data_01' after 'data_1'",
    "const float a = 1;": r"declare a name once, but line 5 has 'a' again",
    "const float q = 1;": r"declare a name once, but line 5 has 'q' again",
    "input array[float[64], 2.5] v;": r"the size of an array, but line 5 has '2\.5'",
    "input array[float[64], 1000000000] v;": r"the size of an array, but line 5 has '1000000000'",
    "input array[;": r"have a name here, but line 5 has ';'",
    "input array v;": r"have '\[' here, but line 5 has 'v'",
    "input array[bit, 2] v;": r"inputs of type float or angle, but line 5 has 'bit'",
    "input float[64];": r"have a name here, but line 5 has ';'",
    "input float v w;": r"have ';' here, but line 5 has 'w'",
    "barrier q\nx q;": r"have ',' here, but line 6 has 'x'",
    "barrier w;": r"declared qubits, but line 5 has 'w'",
    "gate g u { barrier u x u; } g q;": r"have ',' here, but line 5 has 'x'",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[line]):
        from_openqasm(f"{HEADER}input float a;\nqubit q; bit c;\n{line}")


def test_powers_up_to_the_limit_are_written_out_and_those_of_powers_count_together() -> None:
    assert len(from_openqasm(f"{HEADER}qubit q; pow(-1000) @ t q;")) == 1000
    assert len(from_openqasm(f"{HEADER}qubit q; pow(0) @ t q; x q;")) == 1
    powers = "gate b u { pow(1000) @ x u; } gate c u { pow(1000) @ b u; } gate d u { pow(1000) @ c u; }"
    with pytest.raises(ValueError, match=r"`max_operations` must allow .* but is 250000, and line 5 has more"):
        from_openqasm(f"{HEADER}{powers}\nqubit q;\nd q;")
    with pytest.raises(ValueError, match=r"`max_operations` must allow .* but is 250000, and line 3 has more"):
        from_openqasm(f"{HEADER}qubit q; pow(1000) @ pow(1000) @ pow(1000) @ x q;")


def test_the_whole_text_is_checked() -> None:
    with pytest.raises(ValueError, match=r"be OpenQASM 2\.0 or 3, but line 1 has version 4\.0"):
        from_openqasm("OPENQASM 4.0;")
    with pytest.raises(ValueError, match="declare qubits"):
        from_openqasm(HEADER)
    with pytest.raises(ValueError, match=r'Begin the text with: include "stdgates.inc";'):
        from_openqasm("OPENQASM 3.0; qubit q; x q;")
    with pytest.raises(ValueError, match=r"name inputs of the program, \[\], but names 'a'"):
        from_openqasm(f"{HEADER}qubit q;", data=["a"])


def test_noise_and_unbound_amplitudes_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="must be free of noise"):
        to_openqasm(Circuit(1).noise(channels.bit_flip(0.1), 0))
    with pytest.raises(ValueError, match=r"Call Circuit\.bind first"):
        to_openqasm(Circuit(1).prepare_slots([data(0), data(1)]))
