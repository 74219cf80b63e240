"""`switch` on measured bits, numbers that statements change, and `while` loops with a known number of runs."""

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3

from circuits import from_openqasm
from tests import oracle
from tests.test_openqasm_control import HEADER, require_same

START = "qubit[3] q; bit[2] c; ry(0.7) q[0]; ry(1.9) q[1]; c[0] = measure q[0]; c[1] = measure q[1];\n"


def started() -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "c"))
    circuit.ry(0.7, 0)
    circuit.ry(1.9, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


@pytest.mark.parametrize("target", ["c", "int(c)", "uint[2](c)", "n"])
def test_a_switch_is_its_cases_under_conditions(target: str) -> None:
    text = HEADER + START + ("int n = c;\n" if target == "n" else "")
    text += f"switch ({target}) {{ case 1, 2 {{ rx(0.4) q[2]; x q[0]; }} case 3 {{ h q[2]; }}"
    text += " default { ry(-0.3) q[2]; } }"
    expected = started()
    register = expected.cregs[0]
    for value in (1, 2):
        with expected.if_test((register, value)):
            expected.rx(0.4, 2)
            expected.x(0)
    with expected.if_test((register, 3)):
        expected.h(2)
    with expected.if_test((register, 0)):
        expected.ry(-0.3, 2)
    require_same(text, expected)


def test_a_case_that_writes_the_register_leaves_the_choice() -> None:
    with_write = HEADER + START + "switch (c) { case 3 { reset q[1]; c[1] = measure q[1]; } case 1 { x q[2]; } }"
    without = HEADER + START + "switch (c) { case 3 { reset q[1]; } case 1 { x q[2]; } }"
    densities = [np.diag(oracle.density_of(from_openqasm(text))).real for text in (with_write, without)]
    sizes = [int(np.log2(len(density))) for density in densities]
    kept = [density.reshape(8, 2 ** (size - 3)).sum(1) for density, size in zip(densities, sizes, strict=True)]
    np.testing.assert_allclose(kept[0], kept[1], atol=1e-12)


def test_qiskits_switches_are_read() -> None:
    circuit = started()
    with circuit.switch(circuit.cregs[0]) as case:
        with case(1, 2):
            circuit.rx(0.4, 2)
        with case(case.DEFAULT):
            circuit.h(2)
    ifs = started()
    for value in (1, 2):
        with ifs.if_test((ifs.cregs[0], value)):
            ifs.rx(0.4, 2)
    for value in (0, 3):
        with ifs.if_test((ifs.cregs[0], value)):
            ifs.h(2)
    require_same(qasm3.dumps(circuit), ifs)


@pytest.mark.parametrize(
    ("loop", "angles"),
    [
        ("int i = 0; while (i < 3) { rx(0.1 * i) q[0]; i += 1; }", [0.0, 0.1, 0.2]),
        ("int i = 5; while (i != 1) { i = i - 2; rx(i) q[0]; }", [3.0, 1.0]),
        ("uint i; i = 2; while (i > 0) i -= 1; rx(i) q[0];", [0.0]),
        ("int i = 4; while (i < 3) { rx(9) q[0]; i += 1; } rx(i) q[0];", [4.0]),
        ("int i = 0; int j; while (i < 2) { j = 0; while (j < 2) { rx(i + j) q[0]; j += 1; } i += 1; }", [0, 1, 1, 2]),
        ("int i = 1; for int k in [0:2] { i = 2 * i; } rx(i) q[0];", [8.0]),
    ],
)  # fmt: skip
def test_a_loop_over_known_numbers_is_written_out(loop: str, angles: list[float]) -> None:
    circuit = from_openqasm(f"{HEADER}qubit q;\n{loop}".replace("q[0]", "q"))
    assert [op.angles[0] for op in circuit] == pytest.approx(angles)


REFUSED = {
    "while (c[0]) x q[0];": "number of runs is known, .*but line 4 has a `while` on measured bits, which has no bound",
    "while (!c[0]) x q[0];": "a `while` on measured bits",
    "while (true) x q[0];": "but line 4 has a `while` that never ends",
    "int i = 0; while (i < 3 || c[0] == 1) { if (i < 3) { i += 1; } }": "a `while` on measured bits",
    "while (true) { c = measure q; if (c == 3) break; }": "a `while` on measured bits, which has no bound",
    "int i = 0; while (i < a) i += 1;": "have a number here, but line 4 has an input",
    "int i = 0; while (i < 3) { x q[0];": "close every block, but line 4 has 'while'",
    "int i = 0; while (i < 2) { if (c[0]) i += 1; }": "numbers that are the same in all branches on bits, but line 4",
    "int i = 0; if (c[0]) { i = 1; } rx(i) q[0];": "the same in all branches on bits, but line 4 has 'i'",
    "int i = 0; if (c[0]) { i = 1; } else { i += 1; }": "add to numbers that are known, but line 4 has 'i'",
    "for int k in [0:1] { int i = k; if (c[0]) continue; i = 2; } int i; if (c[0]) i = c;": "copy registers outside",
    "uint i = 0; i -= 1;": "keep an uint within its 32 bits, but line 4 has -1",
    "int i = 2147483647; i += 1;": "keep an int within its 32 bits",
    "int i; i += 1;": "add to numbers that are known, but line 4 has 'i'",
    "int i; rx(i) q[0];": "declared names and numbers as angles, but line 4 has 'i'",
    "int[4] i = 0; i = 8;": "keep an int within its 4 bits, but line 4 has 8",
    "bool b = 2;": "keep a bool within",
    "uint[0] i;": "have a whole number up to 128 as the width of uint",
    "const int i = 0; i = 1;": "line 4 has",
    "int i = 0; int i;": "declare a name once, but line 4 has 'i' again",
    "switch (a) { case 0 { } }": "a whole number here",
    "switch (q) { case 0 { } }": "switch on a register of bits",
    "int n; switch (n) { case 0 { } }": "switch on a register of bits",
    "switch (c[2]) { case 0 { } }": r"index in 0\.\.1 for c",
    "switch (int[2](c)) { case 0 { } }": r"cast 2 bits to a number that holds them, but line 4 has int\[2\]",
    "switch (c) { x q[0]; }": "hold cases, and at most one default behind them, in a `switch`, but line 4 has 'x'",
    "switch (c) { default { } case 0 { } }": "at most one default behind them",
    "switch (c) { case 0 { } case 1, 0 { } }": "name a value in one case of a `switch`",
    "switch (c) case 0 { }": "have '{' after the target",
    "switch (c) { case 0 x q[0]; }": "have '{' behind a case",
    "switch (c) { case a { } }": "a whole number here",
    "switch (c) { case 0 { }": "close every block, but line 4 has 'switch'",
    "case 0 { }": "line 4 has 'case'",
    "switch (c) { case 0 { break; } }": "have `break` in loops only",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_what_has_no_bound_or_no_meaning_is_refused_with_its_line(line: str) -> None:
    text = f"{HEADER}qubit[2] q; bit[2] c; input float a; c = measure q;\n{line}"
    with pytest.raises(ValueError, match=REFUSED[line]):
        from_openqasm(text)


def test_loops_and_switches_of_strangers_are_bounded() -> None:
    endless = f"{HEADER}qubit q;\nint i = 0; while (i < 1) {{ i = 0; }}"
    with pytest.raises(ValueError, match="line 4 has a `while` that never ends"):
        from_openqasm(endless, max_operations=1000)
    grows = f"{HEADER}qubit q;\nint i = 0; while (i < 100000) {{ i += 1; x q; }}"
    with pytest.raises(ValueError, match="`max_operations`"):
        from_openqasm(grows, max_operations=1000)
    cases = " ".join(f"case {k} {{ x q[0]; }}" for k in range(300))
    wide = f"{HEADER}qubit[60] q; bit[60] c; c = measure q;\nswitch (c) {{ {cases} default {{ x q[1]; }} }}"
    with pytest.raises(ValueError, match="`max_operations`"):
        from_openqasm(wide, max_operations=10_000)
    nested = "switch (c) { case 1 { " * 60 + "x q[0];" + "} }" * 60
    with pytest.raises(ValueError, match="`max_depth`"):
        from_openqasm(f"{HEADER}qubit[1] q; bit[1] c; c = measure q;\n{nested}", max_depth=32)
