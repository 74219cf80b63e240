"""What constants settle in OpenQASM 3: operators and casts, constants in gates, scopes, aliases, slices and sets."""

import numpy as np
import pytest

from circuits import Circuit, from_openqasm
from tests import oracle
from tests.helpers import assert_close

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'

ANGLES = {
    "7 % 4": 3, "n & 3": 2, "n | 1": 7, "n ^ 3": 5, "1 << 3": 8, "n >> 1": 3, "0x1F": 31, "0b1_01": 5, "0O17": 15,
    "pow(2, 3)": 8, "mod(7, 4)": 3, "ceiling(1.2)": 2, "floor(-1.2)": -2, "popcount(7)": 3, "int(2.7)": 2,
    "-int[8](-2.7)": 2, "uint[8](3)": 3, "bool(3)": 1, "float[32](2)": 2, "3 > 2": 1, "!(3 > 2) || 1 == 1": 1,
    "1 + 2 << 1": 6, "5 & 3 == 1": 0, "n / m": 2, "!true": 0, "3 <= 2": 0, "1 != 2 && 2 >= 2": 1, "6 | 1 ^ 3 & 2": 7,
    "2 + mod(pow(2, 2) + 1, n - 2)": 3, "7 % 4 * 2": 6, "(n & 4) / 2.0": 2,
}  # fmt: skip


@pytest.mark.parametrize("angle", ANGLES)
def test_operators_on_constants_mean_what_the_language_says(angle: str) -> None:
    (operation,) = from_openqasm(f"{HEADER}const uint n = 6; const int m = 3; qubit q; rx({angle}) q;")
    assert operation.angles == (pytest.approx(ANGLES[angle], abs=1e-14),)


PROGRAMS = {
    "constants in a gate": (
        "const int n = 2; const float t = pi/8; gate g(a) p { rx(n*a + t) p; } qubit q; g(0.3) q;",
        Circuit(1).rx(0.6 + np.pi / 8, 0),
    ),
    "a parameter hides a constant": (
        "const int n = 2; gate g(n) p { rx(n) p; } gate f(t) p { g(t/n) p; } qubit q; g(0.3) q; f(0.5) q;",
        Circuit(1).rx(0.3, 0).rx(0.25, 0),
    ),
    "a loop's variable hides a constant": (
        "const int i = 5; qubit q; for int i in [1:2] { rx(i) q; } ry(i) q;",
        Circuit(1).rx(1, 0).rx(2, 0).ry(5, 0),
    ),
    "a name in a block hides one outside": (
        "int i = 4; qubit q; if (i == 4) { int i = 1; i += 1; rx(i) q; } i += 1; rz(i) q;",
        Circuit(1).rx(2, 0).rz(5, 0),
    ),
    "names in loops are new in every run": (
        "qubit[2] q; for int i in [0:1] { int j = 2*i; j += 1; rx(j) q[i]; }",
        Circuit(2).rx(1, 0).rx(3, 1),
    ),
    "values that are not whole": ("qubit q; for float f in {0.1, -pi} rx(f) q;", Circuit(1).rx(0.1, 0).rx(-np.pi, 0)),
    "all assignments": (
        "int i = 3; float x = 0.5; x *= i + 1; i *= 5; i %= 7; i <<= 2; i |= 3; i ^= 1; i -= 2; x = x / 4; qubit q;"
        "rx(i) q; ry(x) q; bool b = true; b = i > 100; if (!b) z q; i = 9; i /= 3; i **= 2; rz(i) q; i >>= 1; i &= 5;"
        "rz(i) q;",
        Circuit(1).rx(4, 0).ry(0.5, 0).z(0).rz(9, 0).rz(4, 0),
    ),
    "aliases": (
        "qubit[4] q; let a = q[1:2]; h a; let b = q[0:2:3]; x b; let c = q[{3, 0}]; y c[0]; let d = q[0] ++ q[2:3];"
        "cz d[1], d[2]; let e = d[-1]; s e; cx a, c;",
        Circuit(4).h(1).h(2).x(0).x(2).y(3).z(3, controls=2).s(3).cx(1, 3).cx(2, 0),
    ),
    "slices": (
        "qubit[4] q; bit[4] c; h q[3:-1:2]; cx q[:1], q[2:]; rx(0.3) q[{0, -1}]; reset q[1:2];"
        "c[0:1] = measure q[{3, 1}]; measure q[0] -> c[-1];",
        Circuit(4).h(3).h(2).cx(0, 2).cx(1, 3).rx(0.3, 0).rx(0.3, 3).reset(1).reset(2)
        .measure(3, bit=0).measure(1, bit=1).measure(0, bit=3),
    ),
    "the end": ("qubit q; h q; end; x q; ] nonsense", Circuit(1).h(0)),
    "outputs": ("output bit c; qubit q; c = measure q;", Circuit(1).measure(0)),
    "bodies that are skipped": (
        "qubit[2] q; while (false) { x q[{0, 1}]; if (true) { y q; } } for int i in [1:0] { x q[{0, 1}]; } h q[0];",
        Circuit(2).h(0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_that_constants_settle_are_their_circuits(name: str) -> None:
    text, expected = PROGRAMS[name]
    assert from_openqasm(HEADER + text) == expected
    if expected.is_unitary:
        assert_close(oracle.unitary_of(from_openqasm(HEADER + text)), oracle.unitary_of(expected), 1e-12)


REFUSED = {
    "rx(-n % 4) q[0];": "whole numbers from 0 to 2..53 around and as the value of '%', but line 3 has -6 % 4",
    "rx(1 % 0) q[0];": "as the value of '%', but line 3 has 1 % 0",
    "rx(1.5 & 2) q[0];": "as the value of '&', but line 3 has 1.5 & 2",
    "rx(1 << 60) q[0];": "as the value of '<<'",
    "rx(uint[2](9)) q[0];": r"cast to uint\[2\] what fits into it, but line 3 has 9",
    "rx(uint(-1)) q[0];": r"cast to uint\[32\] what fits",
    "rx(int[2.5](1)) q[0];": "the width of a cast, but line 3 has '2.5'",
    "rx(0xFFFFFFFFFFFFFFFFF) q[0];": r"whole numbers up to 2\*\*53",
    "rx(0x) q[0];": "line 3 has 'x'",
    "rx(~n) q[0];": "declared names and numbers as angles, but line 3 has '~'",
    "rx(pow(2)) q[0];": "give 'pow' two numbers",
    "rx(sin(1, 2)) q[0];": r"have '\)' here, but line 3 has ','",
    "rx(n / 4) q[0];": "divide whole numbers without a remainder",
    "rx(late) q[0]; const int late = 1;": "declared names and numbers",
    "gate g p { rx(late) p; } const int late = 1; g q[0];": "numbers as angles, but line 3 has 'late'",
    "float v = 1; gate g p { rx(v) p; } g q[0];": "declared names and numbers as angles, but line 3 has 'v'",
    "x q[2:1];": r"have slices of places in 0\.\.3, at least one, but line 3 has \[2:1:1\]",
    "x q[0:4];": r"have slices of places in 0\.\.3",
    "x q[0:0:2];": "steps other than 0",
    "x q[{0, 0}];": "name a place once in a set",
    "x q[-5];": r"index in 0\.\.3 for q, but line 3 has -5",
    "let a = q[0:1] ++ q[1];": "name a qubit once in an alias, but line 3 has 'a'",
    "let q = q[0];": "declare a name once",
    "if (true) { let a = q; }": "outside of blocks",
    "let a = r;": "declared qubits, but line 3 has 'r'",
    "cx q[0:1], q[0:2];": "broadcast over registers of one size",
    "int i = 1.5;": "whole numbers to integers",
    "int i = 7; i /= 2;": "divide whole numbers|whole numbers to integers",
    "bool b = true; b += 1;": "keep a bool within its",
    "uint[128] big = 1 << 62;": "as the value of '<<'",
    "output float x;": "have outputs of type bit",
    "if (n == 6 == true) x q[0];": r"have '\)' here",
    "if (!n == 3) x q[0];": "put what '!' acts on into brackets",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_what_constants_do_not_settle_is_refused_with_its_line(line: str) -> None:
    with pytest.raises(ValueError, match=REFUSED[line]):
        from_openqasm(f"{HEADER}const uint n = 6; qubit[4] q; {line}")


@pytest.mark.parametrize("angle", ["0x1F", "7 % 4", "1 << 2", "floor(1.5)", "1 == 1", "!1", "int(2)", "pow(2, 3)"])
def test_version_2_has_none_of_it(angle: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        from_openqasm(f'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; rx({angle}) q[0];')


CONDITIONS = {
    "n & 1": False, "(n & 1) == 0": True, "n & 4": True, "(n | 1) == 7 && c[0] == 0": True, "n ^ 6": False,
    "2 * (n + 1) == 14": True, "((n - 1)) == 5": True, "c[0] == (n & 1)": True, "n > 5 & true": True,
    "(n & 3) == 2 && !c[0]": True, "(n & 3) == 3 || c[0]": False, "(n + 1) * 2 == 14 && !c[0]": True,
    "((n - 1) % 2 + 1) == 2 && (c[0] == 0)": True, "n & 1 == 1": False, "!(n & 1)": True,
    "!(n - 6)": True, "!-n": False,
}  # fmt: skip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_conditions_on_numbers_are_computed_bit_by_bit(condition: str) -> None:
    circuit = from_openqasm(f"{HEADER}const uint n = 6; qubit q; bit[1] c; if ({condition}) x q;")
    assert len(circuit.operations) == CONDITIONS[condition]


NOT_HELD = (
    "if (!(d) == 1) x q;", "if (!n + 1) x q;", "if (!(n) - 1) x q;",
    "if (~n) x q;", "if (n & c[0]) x q;", "if (c[0] | 2) x q;", "if (n & 0.5) x q;", "rx(popcount(7) / n) q;",
    "rx(0x3 / n) q;", "rx(1_1 / n) q;", "uint[2] m = d;", "int[3] m; m = d;", "for uint[2] i in [0:4] rx(i) q;",
    "for int[3] i in {1, -5} rx(i) q;", "uint[2] m = uint[4](d);",
)  # fmt: skip


@pytest.mark.parametrize("statement", NOT_HELD)
def test_what_a_type_does_not_hold_is_refused(statement: str) -> None:
    with pytest.raises(ValueError, match="but line 3 has"):
        from_openqasm(f"{HEADER}const uint n = 6; qubit q; bit[1] c; bit[3] d; {statement}")
