"""Conditions on measured bits, loops, boxes, delays and powers of OpenQASM programs, judged branch by branch."""

import itertools
import operator
import random
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, qasm2, qasm3, quantum_info
from qiskit.circuit import library

from circuits import Circuit, Z, computed_from_openqasm, from_openqasm
from circuits.gates import Measure
from circuits.openqasm.conditions import ALWAYS, NEVER, Condition, Logic, outcome
from circuits.openqasm.powers import principal_power
from qml.backends import Native
from qml.backends.convert.qiskit import reverse_qubits
from tests import branches, oracle, strategies
from tests.helpers import assert_close

ALGEBRA = 1e-12  # products of some dozen matrices in float64
HEADER_2 = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def unitary(text: str) -> np.ndarray:
    return oracle.unitary_of(from_openqasm(text))


def probabilities(circuit: Circuit, n_qubits: int) -> np.ndarray:
    """Those of the first qubits, the program's own."""
    density = np.diag(oracle.density_of(circuit)).real.reshape((2,) * circuit.n_qubits)
    return density.sum(tuple(range(n_qubits, circuit.n_qubits))).reshape(-1)


def bits_of(circuit: Circuit) -> dict[str, float]:
    """The distribution of the classical bits: every measurement copied to a qubit of its own, the last one counts."""
    n_qubits, places = circuit.n_qubits, dict[int, int]()
    wide = Circuit(n_qubits + sum(isinstance(op.gate, Measure) for op in circuit))
    for op in circuit:
        if isinstance(op.gate, Measure):
            places[op.gate.bit] = n_qubits
            wide.cx(op.qubits[0], n_qubits)
            n_qubits += 1
        else:
            wide.append(op.gate, op.qubits, controls=op.controls, angles=op.angles)
    values = np.diag(oracle.density_of(wide)).real
    result: dict[str, float] = {}
    for index, value in enumerate(values):
        written = format(index, f"0{wide.n_qubits}b")
        key = "".join(written[places[bit]] for bit in range(circuit.n_bits))
        result[key] = result.get(key, 0.0) + value
    return result


def require_same(text: str, expected: QuantumCircuit, *, with_bits: bool = True) -> Circuit:
    """Refuse a difference in the distribution of the qubits or of the bits."""
    circuit = from_openqasm(text)
    assert_close(probabilities(circuit, expected.num_qubits), branches.distribution(expected), 1e-10)
    if with_bits:
        ours, theirs = bits_of(circuit), branches.bit_distribution(expected)
        for key in ours.keys() | theirs.keys():
            assert ours.get(key, 0.0) == pytest.approx(theirs.get(key, 0.0), abs=1e-10)
    return circuit


# --- conditions ---------------------------------------------------------------------------------------------


PROGRAMS_2 = {
    "teleportation": (
        "qreg q[3]; creg c0[1]; creg c1[1]; creg c2[1]; u3(0.3,0.2,0.1) q[0]; h q[1]; cx q[1],q[2]; cx q[0],q[1];"
        "h q[0]; measure q[0] -> c0[0]; measure q[1] -> c1[0]; if(c0==1) z q[2]; if(c1==1) x q[2];"
        "measure q[2] -> c2[0];",
        3,  # no gate comes between a measurement and its use: no fresh qubit
    ),
    "a phase bit by bit": (
        "qreg q[2]; creg c[3]; x q[1]; h q[0]; cu1(5.5) q[0],q[1]; measure q[0] -> c[0]; reset q[0]; h q[0];"
        "cu1(2.75) q[0],q[1]; if(c==1) u1(-pi/2) q[0]; h q[0]; measure q[0] -> c[1]; reset q[0]; h q[0];"
        "if(c==1) u1(-pi/4) q[0]; if(c==2) u1(-pi/2) q[0]; if(c==3) u1(-3*pi/4) q[0]; h q[0]; measure q[0] -> c[2];",
        4,
    ),
    "a register": (
        "qreg q[3]; creg c[2]; h q; measure q[0] -> c[0]; measure q[2] -> c[1]; if(c==2) ry(0.7) q[1];"
        "if(c==0) h q[0];",
        4,
    ),
    "the measured qubit itself": ("qreg q[1]; creg c[1]; h q[0]; measure q[0] -> c[0]; if(c==1) x q[0];", 2),
    "resets and measurements": (
        "qreg q[2]; creg c[1]; creg d[1]; ry(0.4) q[0]; ry(1.4) q[1]; measure q[0] -> c[0];"
        "if(c==1) reset q[1]; if(c==0) measure q[1] -> d[0]; if(d==1) x q[0];",
        4,
    ),
    "a bit written again under a condition on itself": (
        "qreg q[2]; creg c[1]; ry(0.4) q[0]; ry(1.4) q[1]; measure q[0] -> c[0]; if(c==1) measure q[1] -> c[0];"
        "if(c==1) x q[0];",
        3,
    ),
    "bits that nobody wrote": ("qreg q[1]; creg c[2]; if(c==0) x q[0]; if(c==1) h q[0]; if(c==7) h q[0];", 1),
    "a control that was measured": (
        "qreg q[2]; creg c[1]; h q[0]; measure q[0] -> c[0]; if(c==0) cx q[0],q[1]; if(c==1) cx q[0],q[1];", 2,
    ),
    "two measurements of one state": (
        "qreg q[2]; creg c[1]; creg d[2]; h q[0]; measure q[0] -> c[0]; measure q[0] -> d[0]; if(c==1) h q[1];"
        "if(d==0) x q[1]; if(d==1) t q[1];",
        2,
    ),
    "whole registers": (
        "qreg q[2]; creg c[2]; h q; measure q -> c; if(c==3) x q; if(c==1) ry(0.3) q;", 4,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS_2)
def test_conditions_of_version_2_are_exact(name: str) -> None:
    body, n_qubits = PROGRAMS_2[name]
    text = HEADER_2 + body
    with_bits = name not in ("bits that nobody wrote", "two measurements of one state", "a phase bit by bit")
    circuit = require_same(text, qasm2.loads(text), with_bits=with_bits)
    assert circuit.n_qubits == n_qubits


PROGRAMS_3 = {
    "else": "h q[0]; c[0] = measure q[0]; if (c[0]) { x q[1]; ry(0.3) q[2]; } else { h q[1]; }",
    "else if": "h q; c = measure q; if (c == 3) { x q[0]; } else if (c == 1) ry(0.3) q[1]; else {h q[2]; rx(1) q[0];}",
    "not": "h q[0]; c[0] = measure q[0]; if (!c[0]) { x q[0]; }",
    "nested": "h q; c = measure q; if (c[0]) { if (!c[1]) { ry(0.3) q[2]; } else { c[2] = measure q[1]; } x q[0]; }",
    "a bit that changes inside": "h q; c[0] = measure q[0]; if (c[0]) { h q[0]; c[0] = measure q[0]; x q[1]; }",
    "phases count": "h q; c[0] = measure q[0]; if (c[0]) { ctrl @ gphase(0.7) q[1]; h q[1]; }",
    "active reset": "ry(1) q; c[1] = measure q[1]; if (c[1]) x q[1]; c[1] = measure q[1]; h q[1];",
    "compare": "ry(1) q; c = measure q; if (c != 5) { x q[0]; } if (c < 3) { h q[1]; } if (c >= 6) ry(0.4) q[2];",
    "logic": (
        "ry(1) q; c = measure q; if ((c[0] || c[1]) && !(c[2] == 1)) x q[0]; if (((c[0] ^ c[2]) == true) != 0) h q[1];"
    ),
}


def by_hand(name: str) -> QuantumCircuit:  # noqa: PLR0915 - one short program after the other
    """The same programs in Qiskit's own words."""
    circuit = QuantumCircuit(3, 3)
    c = circuit.clbits
    register = circuit.cregs[0]
    if name == "else":
        circuit.h(0)
        circuit.measure(0, 0)
        with circuit.if_test((c[0], 1)) as otherwise:
            circuit.x(1)
            circuit.ry(0.3, 2)
        with otherwise:
            circuit.h(1)
    elif name == "else if":
        circuit.h(range(3))
        circuit.measure(range(3), range(3))
        with circuit.if_test((register, 3)) as otherwise:
            circuit.x(0)
        with otherwise:
            with circuit.if_test((register, 1)) as again:
                circuit.ry(0.3, 1)
            with again:
                circuit.h(2)
                circuit.rx(1, 0)
    elif name == "not":
        circuit.h(0)
        circuit.measure(0, 0)
        with circuit.if_test((c[0], 0)):
            circuit.x(0)
    elif name == "nested":
        circuit.h(range(3))
        circuit.measure(range(3), range(3))
        with circuit.if_test((c[0], 1)):
            with circuit.if_test((c[1], 0)) as otherwise:
                circuit.ry(0.3, 2)
            with otherwise:
                circuit.measure(1, 2)
            circuit.x(0)
    elif name == "a bit that changes inside":
        circuit.h(range(3))
        circuit.measure(0, 0)
        with circuit.if_test((c[0], 1)):
            circuit.h(0)
            circuit.measure(0, 0)
            circuit.x(1)
    elif name == "phases count":
        circuit.h(range(3))
        circuit.measure(0, 0)
        with circuit.if_test((c[0], 1)):
            circuit.p(0.7, 1)
            circuit.h(1)
    elif name == "active reset":
        circuit.ry(1, range(3))
        circuit.measure(1, 1)
        with circuit.if_test((c[1], 1)):
            circuit.x(1)
        circuit.measure(1, 1)
        circuit.h(1)
    else:
        cases = {
            "compare": [(0, "x", {0, 1, 2, 3, 4, 6, 7}), (1, "h", {0, 1, 2}), (2, "ry", {6, 7})],
            "logic": [(0, "x", {1, 2, 3}), (1, "h", {1, 3, 4, 6})],
        }[name]
        circuit.ry(1, range(3))
        circuit.measure(range(3), range(3))
        for qubit, gate, values in cases:
            for value in values:
                with circuit.if_test((register, value)):
                    getattr(circuit, gate)(*([0.4] if gate == "ry" else []), qubit)
    return circuit


@pytest.mark.parametrize("name", PROGRAMS_3)
def test_conditions_of_version_3_are_exact(name: str) -> None:
    text = f"{HEADER}qubit[3] q; bit[3] c;\n{PROGRAMS_3[name]}"
    require_same(text, by_hand(name), with_bits=False)


def random_program(chance: random.Random) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.ry(0.5, 0)
    circuit.ry(1.5, 1)

    def part(depth: int) -> None:
        for _ in range(chance.randint(1, 3)):
            kind, (first, second) = chance.randrange(6), chance.sample(range(2), 2)
            if kind == 0:
                circuit.ry(chance.uniform(-3, 3), first)
            elif kind == 1:
                circuit.cx(first, second)
            elif kind == 2:
                circuit.measure(first, chance.randrange(2))
            elif kind == 3 and depth:
                circuit.reset(first)
            elif depth < 2:
                which = chance.choice([circuit.cregs[0], *circuit.clbits])
                with circuit.if_test((which, chance.randrange(2 if which in circuit.clbits else 4))) as otherwise:
                    part(depth + 1)
                if chance.random() < 0.5:
                    with otherwise:
                        part(depth + 1)

    while len(circuit.data) < 9:
        part(0)
    return circuit


def small_programs() -> list[QuantumCircuit]:
    programs = [random_program(random.Random(seed)) for seed in range(40)]
    return [program for program in programs if from_openqasm(qasm3.dumps(program)).n_qubits <= 6]


SMALL_PROGRAMS = small_programs()


@pytest.mark.parametrize("number", range(12))
def test_random_programs_that_qiskit_writes_are_read_exactly(number: int) -> None:
    expected = SMALL_PROGRAMS[number]
    circuit = from_openqasm(qasm3.dumps(expected))
    none = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    got = Native().probabilities(circuit, *none, qubits=[0, 1])[0].numpy()
    assert_close(got, branches.distribution(expected), 1e-10)


def test_conditions_say_what_they_say_in_words() -> None:
    logic = Logic(lambda _: None)
    bits = [outcome(0), NEVER, outcome(1), ALWAYS]

    def holds(condition: Condition, values: tuple[int, ...]) -> bool:
        held = [case for case in condition if all(values[number] == value for number, value in case)]
        assert len(held) <= 1  # cases exclude each other
        return bool(held)

    for values in itertools.product((0, 1), repeat=2):
        register = values[0] + 4 * values[1] + 8
        for number in range(-1, 18):
            for word, function in (
                ("==", operator.eq), ("!=", operator.ne), ("<", operator.lt), ("<=", operator.le), (">", operator.gt),
                (">=", operator.ge),
            ):  # fmt: skip
                assert holds(logic.compared(bits, word, number), values) == function(register, number)


REFUSED = {
    "if (d == 1) x q[0];": "conditions on declared bits, but line 4 has 'd'",
    "if (c[2]) x q[0];": r"index in 0\.\.1 for c, but line 4 has 2",
    "if (c == a) x q[0];": "a whole number here",
    "if (c + 1 == 2) x q[0];": r"have '\)' here, but line 4 has '\+'",
    'if (c == "012") x q[0];': "compare with 2 digits 0 and 1",
    'if (c == "0") x q[0];': "compare with 2 digits 0 and 1",
    "if (c == 1.5) x q[0];": "a whole number here",
    "if ((c == 1) == c[0]) x q[0];": "compare what is in brackets with true or false, but line 4 has 'c'",
    "if c x q[0];": r"have '\(' here, but line 4 has 'c'",
    "if (c == 1": r"have '\)' here, but line 4 has 'the end of the text'",
    "if (c == 1) { x q[0];": "close every block, but line 4 has 'if' without an end",
    "x q[0]; }": r"line 4 has '}'",
    "if (c == 1) { qubit r; }": "outside of blocks, but line 4 has 'qubit'",
    "for uint i in [0:1] { bit d; }": "outside of blocks, but line 4 has 'bit'",
    "for uint i in [0:1] { gate g u { } }": "outside of blocks, but line 4 has 'gate'",
    "if (c == 0) { } else { } else { }": "line 4 has 'else'",
    "c[0] = measure q[0]; if (c[0]) {\n@qml.post_select 1\nc[1] = measure q[1]; }": "outside of conditions, but line 6",
    "for uint i in [0:0:3] x q[0];": "steps other than 0",
    "for uint i in [0] x q[0];": r"ranges \[first:last\] or \[first:step:last\], but line 4 has 1 numbers",
    "for uint i in [0:a] x q[0];": "a whole number here",
    "for uint i in c x q[0];": r"have '\[' here",
    "for uint i in [0:2] x q[i];": r"index in 0\.\.1 for q, but line 4 has 2",
    "for uint q in [0:2] x q[0];": "declare a name once, but line 4 has 'q' again",
    "for uint i in [0:1] { int i; int i; }": "declare a name once, but line 4 has 'i' again",
    "for uint i in [0:1] { } rx(i) q[0];": "declared names and numbers as angles, but line 4 has 'i'",
    "for uint i in [1:2] rx(i/2) q[0];": "divide whole numbers without a remainder, but line 4",
    "for uint i in [1:0] { x q[0];": "close every block",
    "c = measure q; while (c[0]) x q[0];": "line 4 has a `while` on measured bits, which has no bound",
    "break;": "have `break` in loops only",
    "if (c[0]) { continue; }": "have `continue` in loops only",
    "const float b = a;": "constants without inputs, but line 4 has 'b'",
    "int b = a;": "constants without inputs, but line 4 has 'b'",
    "int b = 1.5;": "whole numbers to integers, but line 4 has 1.5 for 'b'",
    "const float b = 2; b = 3;": "line 4",
    "pow(a) @ x q[0];": "a number here, but line 4 has an input",
    "pow(0.5) @ rx(a) q[0];": r"gates of constants under powers that are not whole.*Put the power into the angle",
    "delay q[0];": r"have '\[' here",
    "delay[10ns] r;": "declared qubits, but line 4 has 'r'",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[line]):
        from_openqasm(f"{HEADER}qubit[2] q; bit[2] c; input float a;\n{line}")


# --- loops, boxes, delays, names ----------------------------------------------------------------------------


def test_loops_are_written_out() -> None:
    text = f"""{HEADER}
    qubit[4] q; const uint n = 4;
    for uint i in [0:n - 1] {{
      h q[i];
      for int j in [i + 1:3] cp(pi/2**(j - i)) q[j], q[i];
    }}
    for uint i in [0:1] {{ const float half = i/2.0; swap q[i], q[n - 1 - i]; rx(half) q[2*i]; }}
    for uint k in {{3, 0}} x q[k];
    for uint k in [3:-2:0] {{ y q[k]; }}
    for uint k in [1:0] {{ for uint l in {{1, 2}} if (c == 1) {{ x q[0]; }} else {{ z q[0]; }} }}
    for uint _ in [1:3] t q[1];
    """
    expected = Circuit(4)
    for i in range(4):
        expected.h(i)
        for j in range(i + 1, 4):
            expected.p(np.pi / 2 ** (j - i), i, controls=j)
    expected.swap(0, 3).rx(0.0, 0).swap(1, 2).rx(0.5, 2).x(3).x(0).y(3).y(1).t(1).t(1).t(1)
    assert from_openqasm(text) == expected


def test_conditions_in_loops_are_those_of_their_round() -> None:
    body = "ry(i + 0.5) q[0]; c[i] = measure q[0]; if (c[i]) x q[1];"
    text = f"{HEADER}qubit[2] q; bit[2] c; for uint i in [0:1] {{ {body} }}"
    circuit = QuantumCircuit(2, 2)
    for i in range(2):
        circuit.ry(i + 0.5, 0)
        circuit.measure(0, i)
        with circuit.if_test((circuit.clbits[i], 1)):
            circuit.x(1)
    require_same(text, circuit)


def test_qubits_of_a_device_are_numbered_as_they_are_called() -> None:
    assert from_openqasm(f"{HEADER}bit c; h $2; cx $2, $0; c = measure $0;") == Circuit(3).h(2).cx(2, 0).measure(0)
    for text, message in {
        "qubit q; x $0;": r"declared qubits, but line 3 has '\$0'",
        "x $0; qubit q;": r"but line 3 has 'q' after \$0",
        "x $a;": r"by \$ and a number, but line 3 has '\$a'",
        f"x ${'9' * 5000};": "by . and a number",
        "x $999999;": "`max_qubits` must allow",
        "gate g u { x $0; } g $0;": r"declared qubits, but line 3 has '\$0'",
    }.items():
        with pytest.raises(ValueError, match=message):
            from_openqasm(f"{HEADER}{text}")


def test_boxes_and_delays_leave_their_gates_and_nothing() -> None:
    text = "box { x q[0]; delay[100ns] q; box[1.5us] { h q[1]; } } delay[20dt] q[1], q[0]; delay[1ms];"
    assert from_openqasm(f"{HEADER}qubit[2] q; {text}") == Circuit(2).x(0).h(1)


def test_numbers_with_names_may_hold_inputs() -> None:
    text = (
        f"{HEADER}input float a; input float b; float[64] s = a - 2*b; angle t = s + pi; int n = 3; qubit q; rx(n*t) q;"
    )
    circuit = from_openqasm(text)
    assert_close(
        oracle.unitary_of(circuit, [], [0.3, 0.1]), oracle.unitary_of(Circuit(1).rx(3 * (0.1 + np.pi), 0)), 1e-12
    )
    computed = computed_from_openqasm(text.replace("a - 2*b", "a*b"), data=["a"])
    expected = Circuit(1).rx(3 * (0.03 + np.pi), 0)
    assert_close(oracle.unitary_of(computed.bind([0.3], [0.1])), oracle.unitary_of(expected), ALGEBRA)


# --- powers -------------------------------------------------------------------------------------------------


POWERS = {
    "pow(0.5) @ x q[1];": library.XGate().power(0.5),
    "pow(-1/3) @ h q[1];": library.HGate().power(-1 / 3),
    "pow(0.25) @ rx(3) q[1];": library.RXGate(3).power(0.25),
    "pow(0.5) @ swap q[1], q[0];": library.SwapGate().power(0.5),
    "inv @ pow(0.5) @ x q[1];": library.SXdgGate(),
    "pow(0.5) @ inv @ x q[1];": library.SXGate(),  # at the cut of the principal power, inverse and root do not commute
    "pow(0.5) @ pow(2) @ x q[1];": library.IGate(),
    "ctrl @ pow(0.5) @ x q[1], q[0];": library.CSXGate(),
    "pow(0.5) @ ctrl @ x q[1], q[0];": library.CSXGate(),
    "root(0.5) q[1];": library.SXGate(),
    "inv @ roots q[1], q[0];": library.CSXGate().inverse(),
}


@pytest.mark.parametrize("line", POWERS)
def test_powers_that_are_not_whole_are_principal_powers(line: str) -> None:
    own = "gate root(k) u { pow(k) @ x u; } gate roots u, v { ctrl @ pow(1/2) @ x u, v; }\n"
    circuit = QuantumCircuit(2)
    circuit.append(POWERS[line], [1, 0][: POWERS[line].num_qubits])
    matrix = quantum_info.Operator(circuit).data
    expected = reverse_qubits(reverse_qubits(matrix, axis=0), axis=1)
    assert_close(unitary(f"{HEADER}{own}qubit[2] q;\n{line}"), expected, ALGEBRA)


@pytest.mark.parametrize("side", [1, 2, 8])
def test_principal_powers_multiply(side: int) -> None:
    matrix = strategies.random_unitary(side, np.random.default_rng(side))
    root = principal_power(matrix, [1 / 3])
    assert_close(root @ root @ root, matrix, ALGEBRA)
    assert_close(principal_power(np.eye(side) * -1.0, [0.5]), np.eye(side) * 1j, ALGEBRA)


# --- hostile texts ------------------------------------------------------------------------------------------


OPERATIONS, QUBITS, DEPTH = (rf"Argument `{name}` must allow" for name in ("max_operations", "max_qubits", "max_depth"))
CHAIN = "".join(f"gate p{k + 1} u {{ pow(0.5) @ p{k} u; }} " for k in range(99))
HOSTILE = {
    "a long loop": ("for uint i in [0:999999999999] { }", OPERATIONS),
    "loops in loops": ("for uint i in [0:9999] { for uint j in [0:9999] { } }", OPERATIONS),
    "gates in loops in loops": ("for uint i in [0:99999] { for uint j in [0:9] { x q[0]; } }", OPERATIONS),
    "a long body": ("for uint i in [0:99999] { " + "barrier q; " * 500 + "}", OPERATIONS),
    "a loop beyond all numbers": ("for uint i in [-1e300:1e300] x q[0];", OPERATIONS),
    "blocks in blocks": ("if (true) { " * 9999, DEPTH),
    "boxes in boxes": ("box { " * 9999, DEPTH),
    "statements in statements": ("if (true) " * 9999, DEPTH),
    "brackets in conditions": (f"if ({'(' * 9999}", DEPTH),
    "cases that double": (
        f"h q; c = measure q; if ({' && '.join(f'(c[{k}] || c[{k + 1}] && c[{k + 2}])' for k in range(90))}) x q[0];",
        OPERATIONS,
    ),
    "comparisons of a wide register": ("h q; w = measure q; if (w != 5) if (w != 6) x q[0];", OPERATIONS),
    "fresh qubits": ("for uint i in [0:99] { c[0] = measure q[0]; if (c[0]) { x q[0]; reset q; } }", QUBITS),
    "powers in powers": (f"gate p0 u {{ x u; }} {CHAIN} p99 q[0];", "more than 16 such powers"),
    "a power of many qubits": (
        f"pow(0.5) @ ctrl(3) @ x q[0], q[1], q[2], q[3]; pow(0.5) @ wide {', '.join(f'q[{k}]' for k in range(9))};",
        "on at most 5 qubits",
    ),
    "a large power": ("pow(1e300) @ x q[0];", "powers of at most 1000"),
    "a large fraction": ("pow(1000.5) @ x q[0];", "powers of at most 1000"),
    "powers of long gates": (
        "for uint i in [0:9999] pow(0.5) @ long q[0], q[1], q[2], q[3], q[4];", OPERATIONS,
    ),
}  # fmt: skip


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_texts_that_would_grow_without_bounds_are_refused_soon(name: str) -> None:
    body, message = HOSTILE[name]
    gates = (
        f"gate wide {', '.join(f'q{k}' for k in range(9))} {{ x q0; }}"
        f"gate long a, b, c, d, e {{ {'cx a, b; h c; cx d, e; ' * 300} }}"
    )
    text = f"{HEADER}{gates} qubit[99] q; bit[99] c; bit[99] w;\n{body}"
    with pytest.raises(ValueError, match=message) as refusal:
        from_openqasm(text, max_qubits=250, max_operations=30_000)
    assert re.search(r"line \d+", str(refusal.value))
    assert len(str(refusal.value)) < 500


def test_long_but_harmless_texts_are_read() -> None:
    assert from_openqasm(f"{HEADER}qubit q; bit c; {'if (c) ' * 250} x q;") == Circuit(1)
    assert from_openqasm(f"{HEADER}qubit q; bit c; if ({'!' * 10_001}c) x q;") == Circuit(1).x(0)
    assert from_openqasm(f"{HEADER}qubit q; for uint i in [1:9000] x q;") == from_openqasm(
        f"{HEADER}qubit q; {'x q;' * 9000}"
    )
    wide = f"{HEADER_2}qreg q[1]; creg c[2000]; if(c=={2**1999}) x q[0]; if(c==0) h q[0];"
    assert from_openqasm(wide) == Circuit(1).h(0)


SEEDS = [
    PROGRAMS_2["a phase bit by bit"][0],
    PROGRAMS_2["resets and measurements"][0],
    "qubit[3] q; bit[3] c; " + PROGRAMS_3["nested"] + PROGRAMS_3["logic"] + "for uint i in [0:2] { rx(pi/2**i) q[i]; }",
    "qubit[3] q; bit[3] c; box { " + PROGRAMS_3["else if"] + "} pow(0.5) @ x q[1]; delay[1ns] q; if (c < 2) x q[0];",
]
ODD = [
    "}",
    "{",
    "else",
    "if",
    "for",
    "in",
    "[",
    ":",
    "]",
    "(c",
    "==",
    "!",
    "&&",
    "99999",
    "-1",
    "0.5",
    "box",
    "measure",
    ";",
    "c[0]",
]


def test_mutated_programs_are_read_or_refused_with_a_line() -> None:
    chance, n_read = random.Random(20), 0
    for number in range(300):
        seed = number % len(SEEDS)
        pieces = re.findall(r"\w+|\s+|[^\w\s]", SEEDS[seed])
        for _ in range(chance.choice((1, 1, 2, 4))):
            place, change = chance.randrange(len(pieces)), chance.randrange(4)
            pieces[place] = ("", chance.choice(pieces), chance.choice(ODD), pieces[place] * chance.randint(2, 20))[
                change
            ]
        text = (HEADER_2 if seed < 2 else HEADER) + "".join(pieces)
        try:
            from_openqasm(text, max_operations=2000)
        except ValueError as error:
            assert re.search(r"line \d+", str(error)), (text, error)  # noqa: PT017 - any other error ends the test
        else:
            n_read += 1
    assert 25 <= n_read <= 275  # both happen


@pytest.mark.parametrize(
    ("condition", "meaning"),
    [
        ("(c) == 1", lambda c, d: c == 1),
        ("((c)) >= 2", lambda c, d: c >= 2),
        ("(c) != 0", lambda c, d: c != 0),
        ("!(c == 1)", lambda c, d: c != 1),
        ("!!(c == 1)", lambda c, d: c == 1),
        ("!c", lambda c, d: c == 0),
        ("(!c) == true", lambda c, d: c == 0),
        ("c && d", lambda c, d: c and d),
        ("(c) || (d)", lambda c, d: c or d),
        ("c == 1 & d == 2", lambda c, d: c == 1 and d == 2),
        ("c[0] ^ d[1]", lambda c, d: (c & 1) ^ (d >> 1)),
        ("~c[0] & d[0]", lambda c, d: not c & 1 and d & 1),
    ],
)
def test_conditions_on_registers_mean_what_the_language_says(
    condition: str, meaning: Callable[[int, int], object]
) -> None:
    nothing = torch.zeros(1, 0, dtype=torch.float64)
    for c, d in itertools.product(range(4), repeat=2):
        flips = "".join(f"x q[{k}];" for k in range(4) if (c + 4 * d) >> k & 1)
        text = f"OPENQASM 3.0; qubit[5] q; bit[2] c; bit[2] d; {flips}"
        text = text.replace("x q", "U(pi, 0, pi) q") + "".join(f"c[{k}] = measure q[{k}];" for k in range(2))
        text += "".join(f"d[{k}] = measure q[{k + 2}];" for k in range(2)) + f"if ({condition}) U(pi, 0, pi) q[4];"
        value = Native().expectation(from_openqasm(text), nothing, nothing[0], [Z(4)]).item()
        assert value == pytest.approx(-1.0 if meaning(c, d) else 1.0, abs=1e-9), (c, d)


@pytest.mark.parametrize("condition", ["~c", "c & d", "c | d", "(c ^ d) == 1", "(c & d) == 1", "~c == 1", "!c == 1"])
def test_operators_on_whole_registers_are_refused(condition: str) -> None:
    text = "OPENQASM 3.0; qubit[4] q; bit[2] c; bit[2] d; c[0] = measure q[0]; d[0] = measure q[1];"
    text += f"if ({condition}) U(pi, 0, pi) q[3];"
    with pytest.raises(ValueError, match=r"whole register|into brackets"):
        from_openqasm(text)
