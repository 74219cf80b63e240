"""OpenQASM 2 in and out, judged by the NumPy oracle and by Qiskit's reader and exporter."""

import numpy as np
import pytest
from hypothesis import given
from qiskit import QuantumCircuit, qasm2, quantum_info
from qiskit.circuit import library

from circuits import Circuit, channels, data, from_openqasm, to_openqasm
from circuits.multi_controlled import with_few_controls
from circuits.openqasm.gates import COUNTS_2
from qml.backends.convert.qiskit import reverse_qubits
from tests import oracle, strategies
from tests.helpers import assert_close
from tests.strategies import examples

ALGEBRA = 1e-12  # products of some dozen matrices in float64
HEADER = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
UNITARY_KINDS = strategies.UNITARY_KINDS


def unitary(text: str) -> np.ndarray:
    return oracle.unitary_of(from_openqasm(text))


def qiskit_unitary(circuit: QuantumCircuit) -> np.ndarray:
    matrix = quantum_info.Operator(circuit).data
    return reverse_qubits(reverse_qubits(matrix, axis=0), axis=1)


def by_qiskit(text: str) -> np.ndarray:
    return qiskit_unitary(qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS))


def bound(recipe: strategies.Recipe) -> Circuit:
    circuit, random = strategies.build(recipe).circuit, np.random.default_rng(7)
    return circuit.bind(random.normal(size=circuit.n_data), random.normal(size=circuit.n_weights))


# --- there and back -----------------------------------------------------------------------------------------


def test_the_text_is_what_the_specification_says() -> None:
    circuit = Circuit(3).h(0).ry(0.5, 1).pauli_rotation(0.25, "ZX", (2, 0)).x(2, controls=(0, 1)).p(0.5, 1, controls=0)
    circuit.measure(1).reset(2).exp_pauli(0.25, "I", 0)
    assert to_openqasm(circuit, version=2) == (
        HEADER + "gate rzx(theta) a, b { h b; cx a, b; rz(theta) b; cx a, b; h b; }\n"
        "qreg q[3];\n"
        "creg c[1];\n"
        "h q[0];\n"
        "ry(0.5) q[1];\n"
        "rzx(0.25) q[2], q[0];\n"
        "ccx q[0], q[1], q[2];\n"
        "cu1(0.5) q[0], q[1];\n"
        "measure q[1] -> c[0];\n"
        "reset q[2];\n"
        "u1(0.25) q[0];\n"
        "x q[0];\n"
        "u1(0.25) q[0];\n"
        "x q[0];\n"
    )


@examples(30)
@given(strategies.recipes(UNITARY_KINDS, preparations=("constant",), max_qubits=4, max_steps=4))
def test_a_round_trip_keeps_the_state(recipe: strategies.Recipe) -> None:
    circuit = bound(recipe)
    text = to_openqasm(circuit, version=2)
    assert_close(oracle.state_of(from_openqasm(text)), oracle.state_of(circuit), ALGEBRA * 10)


@examples(30)
@given(strategies.recipes(UNITARY_KINDS, preparations=(), max_qubits=4, max_steps=4))
def test_qiskit_reads_the_same_unitary_global_phase_included(recipe: strategies.Recipe) -> None:
    circuit = bound(recipe)
    assert_close(by_qiskit(to_openqasm(circuit, version=2)), oracle.unitary_of(circuit), ALGEBRA * 10)


@examples(20)
@given(strategies.recipes(UNITARY_KINDS, preparations=(), max_qubits=3, max_steps=5))
def test_what_qiskit_exports_is_read(recipe: strategies.Recipe) -> None:
    foreign = qasm2.loads(to_openqasm(bound(recipe), version=2))
    text = qasm2.dumps(foreign)
    assert_close(unitary(text), by_qiskit(text), ALGEBRA * 10)


@pytest.mark.parametrize(("kind", "n_controls"), [
    ("x", 3), ("x", 6), ("y", 2), ("h", 4), ("tdg", 3), ("swap", 3), ("p", 5), ("u3", 2), ("rx", 4), ("exp_zy", 2),
    ("exp_zy", 4), ("exp_i", 4), ("unitary", 2),
])  # fmt: skip
def test_gates_under_many_controls_become_gates_under_few(kind: str, n_controls: int) -> None:
    n_qubits = n_controls + 2
    circuit, (target, other, *controls) = (
        Circuit(n_qubits),
        np.random.default_rng(n_controls).permutation(n_qubits).tolist(),
    )
    options = {"controls": controls}
    if kind in ("p", "rx"):
        getattr(circuit, kind)(0.7, target, **options)
    elif kind == "u3":
        circuit.u3(0.7, -0.2, 0.4, target, **options)
    elif kind == "swap":
        circuit.swap(target, other, **options)
    elif kind.startswith("exp"):
        pauli = kind.removeprefix("exp_").upper()
        circuit.exp_pauli(0.7, pauli, (target, other)[: len(pauli)], **options)
    elif kind == "unitary":
        circuit.unitary(strategies.random_unitary(4, np.random.default_rng(1)), (target, other), **options)
    else:
        getattr(circuit, kind)(target, **options)
    assert_close(by_qiskit(to_openqasm(circuit, version=2)), oracle.unitary_of(circuit), ALGEBRA * 10)


def test_many_controls_cost_their_square() -> None:
    counts = []
    for n_controls in (20, 40, 80):
        (operation,) = Circuit(n_controls + 1).x(n_controls, controls=range(n_controls))
        parts = list(with_few_controls(operation))
        assert max(len(part.controls) for part in parts) == 2
        counts.append(len(parts))
    assert counts[1] < 5 * counts[0]
    assert counts[2] < 5 * counts[1]


def test_what_version_2_cannot_say_is_refused() -> None:
    for circuit, message in (
        (Circuit(1).rx(data(0), 0), r"no inputs, but has data\(0\)\. Call Circuit\.bind first"),
        (Circuit(1).post_select(0, 1), "post-selection to be written"),
        (Circuit(1).noise(channels.bit_flip(0.1), 0), "free of noise"),
    ):
        with pytest.raises(ValueError, match=message):
            to_openqasm(circuit, version=2)
    with pytest.raises(ValueError, match="`version` must be"):
        to_openqasm(Circuit(1), version=1)


# --- programs of others -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in COUNTS_2 if name != "u0"])
def test_a_gate_of_the_library_is_qiskits(name: str) -> None:
    n_angles, n_qubits = COUNTS_2[name]
    angles = f"({', '.join(['0.3', '-0.4', '0.7', '0.2'][:n_angles])})" if n_angles else ""
    qubits = ", ".join(f"q[{k}]" for k in (3, 1, 0, 2, 4)[:n_qubits])
    text = f"{HEADER}qreg q[5];\n{name}{angles} {qubits};"
    assert_close(unitary(text), by_qiskit(text), ALGEBRA)


def test_builtin_gates_need_no_library() -> None:
    text = "OPENQASM 2.0; qreg q[2]; U(0.1, 0.2, 0.3) q[1]; CX q[1], q[0];"
    assert_close(unitary(text), by_qiskit(text), ALGEBRA)
    with pytest.raises(ValueError, match=r'Begin the text with: include "qelib1.inc";'):
        from_openqasm("OPENQASM 2.0; qreg q[1]; x q[0];")


def test_definitions_broadcasting_and_functions_are_read() -> None:
    text = f"""// an adder's carry, as sets of benchmarks write it
    {HEADER}
    gate majority a,b,c
    {{
      cx c,b; cx c,a; // comments in between
      ccx a,b,c;
    }}
    gate turn(theta,phi) a, b {{ barrier a,b; u3(theta/2, -phi, ln(exp(phi))^2) a; cu1(-(theta+pi)/4) a,b; }}
    gate nothing() a {{ }}
    qreg cin[1]; qreg a[3];
    qreg b[3]; creg ans[4];
    h a; cx a,b; cx cin[0],b;
    majority cin[0],b[0],a[0];
    turn(sin(pi/3), 2^3) a[1],cin[0];
    nothing() a; nothing b[0]; id a; u0(1) b;
    barrier a,b[1],cin;
    rz(-1.5e-1*sqrt(2)) b; u2(.5,3.) a;
    """
    assert_close(unitary(text), by_qiskit(text.replace("u0(1) b;", "")), ALGEBRA)


def test_a_program_may_bring_its_own_form_of_a_gate_of_the_library() -> None:
    text = f"{HEADER}gate rzz(t) a,b {{ cx a,b; u1(t) b; cx a,b; }} gate h a {{ x a; }} qreg q[2]; rzz(0.5) q[0],q[1];"
    expected = Circuit(2).cx(0, 1).p(0.5, 1).cx(0, 1)
    assert_close(unitary(text), oracle.unitary_of(expected), ALGEBRA)
    assert_close(unitary(f"{text} h q[1];"), oracle.unitary_of(expected.x(1)), ALGEBRA)
    # The definition of rzx says h, which is no Hadamard gate here.
    own = to_openqasm(Circuit(2).rzx(0.5, 0, 1), version=2).replace("gate rzx", "gate h a { x a; }\ngate rzx")
    assert_close(unitary(own), oracle.unitary_of(Circuit(2).x(1).cx(0, 1).rz(0.5, 1).cx(0, 1).x(1)), ALGEBRA)


REFUSED = {
    "opaque magic(a) u,v; magic(0.5) q[0],q[1];": r"gates with a definition, but line 4 has the opaque gate 'magic'",
    "if (c=1) x q[0];": r"have '\)' here, but line 4 has '='",
    "ctrl @ x q[0],q[1];": r"OpenQASM 2 only, but line 4 has 'ctrl'",
    "qubit r;": r"OpenQASM 2 only, but line 4 has 'qubit'",
    "for uint i in [0:1] { x q[0]; }": "OpenQASM 2 only, but line 4 has 'for'",
    "gphase(0.5);": "OpenQASM 2 only, but line 4 has 'gphase'",
    "cphase(0.5) q[0],q[1];": "line 4 has the gate 'cphase'",
    "rx(2**3) q[0];": r"line 4 has '\*\*'",
    "rx(log(3)) q[0];": "line 4 has 'log'",
    "rx(a) q[0];": "declared names and numbers as angles, but line 4 has 'a'",
    'include "other.inc";': r"include qelib1.inc only, but line 4 has 'other.inc'",
    "if (c==1) { x q[0]; }\nelse x q[1];": "OpenQASM 2 only, but line 5 has 'else'",
    "OPENQASM 2.0;": "say its version first, but line 4",
    "x q;\nx r;": "declared qubits, but line 5 has 'r'",
    "measure q -> d;": "measure into declared bits, but line 4 has 'd'",
    "creg c[2];": "declare a name once, but line 4",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[line]):
        from_openqasm(f"{HEADER}qreg q[2]; creg c[2];\n{line}")


def test_opaque_gates_may_be_declared_as_long_as_nobody_uses_them() -> None:
    assert from_openqasm(f"{HEADER}opaque magic(a,b) u,v; opaque wait t; qreg q[1]; x q[0];") == Circuit(1).x(0)


@pytest.mark.parametrize("version", ["1.0", "2.5", "4.0", "20"])
def test_other_versions_are_refused(version: str) -> None:
    with pytest.raises(ValueError, match=r"be OpenQASM 2\.0 or 3, but line 1"):
        from_openqasm(f"OPENQASM {version}; qreg q[1];")


def test_standard_gates_of_qiskit_that_the_library_lacks_come_with_their_definitions() -> None:
    circuit = QuantumCircuit(5)
    circuit.iswap(0, 2)
    circuit.ecr(1, 0)
    circuit.append(library.XXPlusYYGate(0.3, 0.0), [2, 1])
    circuit.mcx([0, 1, 2, 3], 4)
    circuit.append(library.QFTGate(3), [4, 0, 2])
    circuit.append(library.RYGate(0.4).control(3, ctrl_state=2, annotated=False), [1, 0, 4, 2])
    text = qasm2.dumps(circuit)
    assert_close(unitary(text), by_qiskit(text), 1e-11)  # Qiskit writes angles with 17 digits, some hundred of them
