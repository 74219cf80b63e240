"""OpenQASM programs that were written to do harm, or by nobody: little time, and a ValueError with a line."""

import random
import re
import time
from collections.abc import Callable

import numpy as np
import pytest
from jaxtyping import TypeCheckError

from circuits import Circuit, from_openqasm, weight
from tests import oracle
from tests.helpers import assert_close

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def chain(length: int, body: str, first: str = "x q;") -> str:
    """Gate definitions, each of the one before."""
    later = (f"gate a{k + 1} q {{ {body.format(f'a{k}')} }}\n" for k in range(length))
    return f"gate a0 q {{ {first} }}\n{''.join(later)}qubit q;\n"


def names(count: int) -> str:
    return ", ".join(f"q{k}" for k in range(count))


def elements(count: int) -> str:
    return "+".join(f"a[{k}]" for k in range(count))


OPERATIONS, QUBITS, DEPTH = (rf"Argument `{name}` must allow" for name in ("max_operations", "max_qubits", "max_depth"))
AT_ONCE = {
    "doubling gates": (chain(26, "{0} q; {0} q;") + "a26 q;", OPERATIONS),
    "doubling inverses": (chain(26, "inv @ {0} q; {0} q;") + "a26 q;", OPERATIONS),
    "doubling gates of nothing": (chain(26, "{0} q; {0} q;", "") + "a26 q;", OPERATIONS),
    "gates in gates": (chain(3000, "{0} q;") + "a3000 q;", DEPTH),
    "powers of powers": ("qubit q; pow(1000) @ pow(1000) @ x q;", OPERATIONS),
    "powers by a parameter": (f"gate g(n) q {{ {'pow(n) @ ' * 5}x q; }} qubit q; g(1000) q;", OPERATIONS),
    "powers of nothing": (f"qubit q; {'pow(1000) @ ' * 1000}id q;", OPERATIONS),
    "registers": ("".join(f"qubit[999999] q{k};" for k in range(200)), QUBITS),
    "bits": ("qubit q;" + "".join(f"bit[60000] c{k};" for k in range(200)), QUBITS),
    "a register beyond all numbers": (f"qubit[{'9' * 300}] q;", QUBITS),
    "parentheses": (f"qubit q; rx({'(' * 2000}1{')' * 2000}) q;", DEPTH),
    "functions of functions": (f"qubit q; rx({'sin(' * 2000}1{')' * 2000}) q;", DEPTH),
    "elements of elements": (f"input array[float, 2] a; qubit q; rx({'a[' * 2000}0{']' * 2000}) q;", DEPTH),
    "towers": (f"qubit q; rx({'**'.join(['2'] * 2000)}) q;", "finite real angles"),
    "a number in a name": ("input float weight_99999999; qubit q; rx(weight_99999999) q;", "number its inputs below"),
    "a long number in a name": (f"input float weight_{'9' * 5000}; qubit q;", "number its inputs below"),
    "a long size of an array": (f"input array[float, {'9' * 5000}] a; qubit q;", "size of an array"),
    "controls beyond all numbers": ("qubit q; ctrl(1e300) @ x q;", "must name 1000"),
    "comments without end": ("qubit q; /* " * 20_000, "close every comment"),
    "a string without end": (f'include "{"x" * 20_000}', "close every comment and string"),
    "inputs without end": ("input float[" * 2000 + "]", "have a name here"),
    "long names": (f"qubit q; x {'r' * 100_000};", "declared qubits"),
    "an input times almost nothing": ("input float a; qubit q; rx(5e-324*a) q;", "have inputs times at least"),
    "brackets that cross": ("input array[float, 2] a; qubit q; rx(a[(0])) q;", r"have '\)' here"),
}  # fmt: skip
ON_THE_WAY = {  # after 2000 operations
    "resets": "qubit[999] q;" + "reset q;" * 3,
    "measurements": "qubit[999] q; bit[999] c;" + "c = measure q;" * 3,
    "many controls": (
        f"gate g {names(999)}, p {{ ctrl(999) @ x {names(999)}, p; }} qubit {'; qubit '.join(names(999).split(', '))};"
        f"qubit[999] p; g {names(999)}, p;"
    ),
    "gates under many controls": (
        f"gate h2 q {{ x q; }} gate g {names(99)}, p {{ ctrl(99) @ h2 {names(99)}, p; }} qubit[99] q; qubit[999] p;"
        f"pow(2) @ g {', '.join(f'q[{k}]' for k in range(99))}, p;"
    ),
    "sums": f"input array[float, 999] a; qubit[999] q; rx({elements(999)}) q;",
    "sums in gates": (
        f"gate f(t) q {{ }} gate g(t) q {{ {'f(2*t) q;' * 99} }} input array[float, 999] a; qubit q;"
        f"g({elements(999)}) q;"
    ),
    "sums of sums": (
        f"gate g(t) q {{ rx({'+'.join(['t'] * 99)}) q; }} input array[float, 999] a; qubit q; g({elements(999)}) q;"
    ),
    "long angles in gates": f"gate g(t) q {{ rx({'+'.join(['sin(t)'] * 99)}) q; }} qubit q; {'g(1) q;' * 999}",
    "chains of gates": chain(99, "{0} q;") + "a99 q;" * 99,
}  # fmt: skip


def require_refusal(text: str, message: str, *, max_operations: int | None = None) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        from_openqasm(HEADER + text, max_operations=max_operations)
    assert re.search(r"line \d+", str(refusal.value))
    assert len(str(refusal.value)) < 500


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", AT_ONCE)
def test_a_program_that_would_grow_without_bounds_is_refused_at_once(name: str) -> None:
    require_refusal(*AT_ONCE[name])


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ON_THE_WAY)
def test_what_a_program_grows_to_is_counted_on_the_way(name: str) -> None:
    require_refusal(ON_THE_WAY[name], OPERATIONS, max_operations=2000)
    require_refusal(ON_THE_WAY[name], OPERATIONS, max_operations=len(ON_THE_WAY[name]) // 10)


READ = {
    "inverses": (f"qubit q; {'inv@' * 10_001}s q;", Circuit(1).sdg(0)),
    "minus signs": (f"qubit q; rx({'-' * 10_001}1) q;", Circuit(1).rx(-1.0, 0)),
    "signs": (f"qubit q; rx({'-+' * 10_001}1) q;", Circuit(1).rx(-1.0, 0)),
    "factors of **": (f"qubit q; rx({'**'.join(['1'] * 2000)}) q;", Circuit(1).rx(1.0, 0)),
    "parentheses": (f"qubit q; rx({'(' * 250}1{')' * 250}) q;", Circuit(1).rx(1.0, 0)),
    "gates in gates": (chain(250, "{0} q;") + "a250 q;", Circuit(1).x(0)),
    "powers of zero": (f"qubit q; {'pow(1000) @ ' * 5000}pow(0) @ x q; h q;", Circuit(1).h(0)),
    "controls": (
        f"qubit[999] q; {'ctrl@' * 998}x {', '.join(f'q[{k}]' for k in range(999))};",
        Circuit(999).x(998, controls=range(998)),
    ),
    "arrays": (
        "".join(f"input array[float, 1000000] a{k};" for k in range(999)) + "qubit q; rx(a1[1]) q;",
        Circuit(1).rx(weight(1_000_001), 0),
    ),
    "gates that nobody calls": (chain(999, "{0} q; {0} q;") + "x q;", Circuit(1).x(0)),
    "barriers": ("qubit[99999] q; " + "barrier q, q;" * 999 + "h q[1];", Circuit(99999).h(1)),
    "annotations": ("qubit q;" + "\n@a b" * 2000 + "\nx q;", Circuit(1).x(0)),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_long_but_harmless_programs_are_read(name: str) -> None:
    text, expected = READ[name]
    assert from_openqasm(HEADER + text) == expected


def test_a_sum_of_many_inputs_is_a_rotation_by_each() -> None:
    count = 3000
    inputs = "".join(f"input float a{k};" for k in range(count))
    circuit = from_openqasm(f"{HEADER}{inputs} qubit q; rx({'+'.join(f'a{k}' for k in range(count))}) q;")
    assert circuit == from_openqasm(f"{HEADER}{inputs} qubit q; {' '.join(f'rx(a{k}) q;' for k in range(count))}")


# --- the limits ---------------------------------------------------------------------------------------------


def test_every_limit_is_an_argument_that_its_error_names() -> None:
    with pytest.raises(
        ValueError, match=r"`max_operations` must .* but is 9, and line 3 has more operations. Pass a larger"
    ):
        from_openqasm(f"{HEADER}qubit q; pow(10) @ x q;", max_operations=9)
    assert len(from_openqasm(f"{HEADER}qubit q; pow(10) @ x q;", max_operations=10)) == 10
    with pytest.raises(ValueError, match=r"`max_operations` must .* but is 3, and line 4 has more operations"):
        from_openqasm(f"{HEADER}qubit q; gate g a {{ x a; y a; z a; }}\ng q;", max_operations=3)
    assert len(from_openqasm(f"{HEADER}qubit q; gate g a {{ x a; y a; z a; }} g q;", max_operations=4)) == 3
    with pytest.raises(ValueError, match=r"`max_operations` must .* but is 5, and line 3"):
        from_openqasm(f"{HEADER}qubit[3] q; bit[3] c; c = measure q; reset q;", max_operations=5)
    with pytest.raises(ValueError, match=r"`max_qubits` must .* but is 4, and line 4 has more qubits"):
        from_openqasm(f"{HEADER}qubit[2] p;\nqubit[3] q;", max_qubits=4)
    with pytest.raises(ValueError, match=r"`max_qubits` must .* but is 4, and line 3 has more bits"):
        from_openqasm(f"{HEADER}qubit[2] p; bit[5] c;", max_qubits=4)
    assert from_openqasm(f"{HEADER}qubit[2] p;\nqubit[3] q;", max_qubits=5) == Circuit(5)
    with pytest.raises(ValueError, match=r"`max_depth` must .* but is 2, and line 5 has more levels of gates in gates"):
        from_openqasm(HEADER + chain(2, "{0} q;") + "a2 q;", max_depth=2)
    assert len(from_openqasm(HEADER + chain(2, "{0} q;") + "a2 q;", max_depth=3)) == 1
    with pytest.raises(ValueError, match=r"`max_depth` must .* but is 2, and line 3 has more levels of brackets"):
        from_openqasm(f"{HEADER}qubit q; rx(((sin(1)))) q;", max_depth=2)


def test_limits_can_be_raised_far_beyond_pythons_stack() -> None:
    assert len(from_openqasm(HEADER + chain(1500, "{0} q;") + "a1500 q;", max_depth=1501)) == 1
    nested = f"{HEADER}qubit q; rx({'(' * 1500}2{')' * 1500}) q;"
    assert from_openqasm(nested, max_depth=1500) == Circuit(1).rx(2.0, 0)


def test_the_default_number_of_operations_grows_with_the_text_so_that_statements_alone_never_reach_it() -> None:
    hostile = "qubit q; pow(1000) @ pow(1000) @ x q;"
    require_refusal(hostile, "but is 250000,")
    require_refusal(hostile + " " * 300_000, f"but is {len(HEADER + hostile) + 300_000},")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_operations": 0}, "`max_operations` must be at least 1"),
        ({"max_qubits": -1}, "`max_qubits` must be at least 1"),
        ({"max_depth": 0}, "`max_depth` must be at least 1"),
        ({"max_depth": 2.5}, "max_depth"),
        ({"max_qubits": "9"}, "max_qubits"),
        ({"data": "a"}, "`data` must hold names"),
        ({"data": [1]}, "data"),
        ({"text": b"OPENQASM 3.0;"}, "text"),
        ({"text": None}, "text"),
    ],
)
def test_arguments_of_the_wrong_kind_are_refused_by_name(options: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"text": f"{HEADER}input float a; qubit q; rx(a) q;", **options}
    reader: Callable[..., Circuit] = from_openqasm
    with pytest.raises((TypeError, ValueError, TypeCheckError), match=message):
        reader(**arguments)


# --- time ---------------------------------------------------------------------------------------------------


GROWING: dict[str, Callable[[int], str]] = {
    "statements": lambda n: "qubit[3] q;" + "rx(pi/2) q[1];" * n,
    "modifiers": lambda n: f"qubit q; {'inv@' * (9 * n)}x q;",
    "sums": lambda n: f"input array[float, 99999] a; qubit q; rx({'+'.join(f'a[{k}]' for k in range(n))}) q;",
    "differences": lambda n: f"input float a; input float b; qubit q; rx(a{'-(b)' * n}) q;",
    "definitions": lambda n: "qubit q;" + "".join(f"gate a{k} q {{ x q; }} a{k} q;" for k in range(n)),
    "registers": lambda n: "".join(f"qubit q{k}; bit[2] c{k};" for k in range(n)),
    "inputs": lambda n: "".join(f"input float a{k};" for k in range(n)) + "qubit q;",
    "parameters": lambda n: f"gate g({names(n)}) q {{ }} qubit q; g({','.join(['1'] * n)}) q;",
    "qubits": lambda n: f"gate g {names(n)} {{ x q0; }} qubit[{n}] q; g {', '.join(f'q[{k}]' for k in range(n))};",
    "annotations": lambda n: "qubit q;" + "\n@a b" * n + "\nx q;",
    "controls": lambda n: f"qubit[{n + 1}] q; {'negctrl@' * n}x {', '.join(f'q[{k}]' for k in range(n + 1))};",
}  # fmt: skip


def seconds(text: str) -> float:
    times = []
    for _ in range(2):
        started = time.process_time()
        from_openqasm(HEADER + text)
        times.append(time.process_time() - started)
    return min(times)


@pytest.mark.parametrize("name", GROWING)
def test_time_grows_linearly_with_the_text(name: str) -> None:
    short, long = (seconds(GROWING[name](n)) for n in (100, 1600))
    assert long < 16 * 4 * short + 0.01  # 16 times the text; quadratic would be 256 times


def test_a_gap_in_the_numbers_of_slots_is_found_without_counting_through_it() -> None:
    circuit = Circuit(1).rx(weight(10**12), 0).rx(weight(1), 0)
    with pytest.raises(
        ValueError, match=r"numbered 0\.\.1000000000000 without gaps, but weight\(0, 2, 3, 4, 5, \.\.\.\)"
    ):
        _ = circuit.n_weights


# --- chance -------------------------------------------------------------------------------------------------


SEEDS = [
    """OPENQASM 3.0; include "stdgates.inc";
    input float[64] weight_0; input angle b; input array[float[64], 3] data;
    const float c = 2*sin(pi/6) - 1e-3;
    gate half(x, y) u, v { rx(x/2 - y) u; barrier u, v; cx u, v; gphase(-x); pow(2) @ inv @ s v; }
    gate twice(t) u, v { half(2*t + pi, t) v, u; ctrl @ p(-t**2) u, v; }
    qubit[3] q; qubit r; bit[3] m;
    twice(c) q[1], r; /* a
    comment */ h q; cx r, q; ctrl(2) @ ry(-weight_0*3 + data[2]/4) q[0], q[1], r; // another
    negctrl @ half(0.3, b) q[2], r, q[0];
    m = measure q; reset r;""",
    """OPENQASM 3.1;
include "stdgates.inc";
input float data_0;
input float data_1;
gate rzx(theta) a, b { h b; cx a, b; rz(theta) b; cx a, b; h b; }
qreg q[2]; creg c[2]; bit[1] post_select;
rzx(-2.0*data_0) q[1], q[0]; U(0.1, data_1, +0.3) q[0];
@qml.post_select 1
post_select[0] = measure q[0];
measure q[1] -> c[0]; cu(1, 2, 3, 4) q[1], q[0]; u2(.5, 1_0.0e-1) q[1];
pow(-3) @ t q[0]; barrier; barrier q;""",
]  # fmt: skip
ODD = [
    "9" * 30, "1e400", "-", "(", ")", "[", "]", "{", "}", ";", ",", "@", "**", "/", "/*", "*/", '"', "'", "\n", "\0",
    "π", "²", "٣", "$0", "inv @", "ctrl(0) @", "pow(999) @", "ctrl(2) @", "gate", "input", "data_7", "weight_00",
    "array[float, 2] w", "measure", "=", "->", "#pragma x", "@qml.post_select 0", "for", "q[0]", "[0:1]", "true", "0",
    "const", "include", "\ud800", "float[",
]  # fmt: skip


def mutated(text: str, chance: random.Random) -> str:
    """A program with some pieces removed, repeated, exchanged or replaced."""
    pieces = re.findall(r"\w+|\s+|[^\w\s]", text)
    for _ in range(chance.choice((1, 1, 2, 4))):
        first, second = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        change = chance.randrange(6)
        if change == 0:
            pieces[first] = ""
        elif change == 1:
            pieces[first] = pieces[second]
        elif change == 2:
            pieces[first], pieces[second] = pieces[second], pieces[first]
        elif change == 3:
            pieces[first] = chance.choice(ODD)
        elif change == 4:
            pieces[first] += f" {chance.choice(ODD)} "
        else:
            pieces[first] *= chance.randint(2, 30)
    mixed = "".join(pieces)
    return mixed[: chance.randrange(len(mixed))] if chance.random() < 0.1 else mixed


def test_mutated_programs_are_read_or_refused_with_a_line() -> None:
    chance = random.Random(20)
    n_read = 0
    for number in range(500):
        text = mutated(SEEDS[number % len(SEEDS)], chance)
        try:
            from_openqasm(text, max_operations=2000)
        except ValueError as error:
            assert re.search(r"line \d+", str(error)), (text, error)  # noqa: PT017 - any other error ends the test
        else:
            n_read += 1
    assert 25 <= n_read <= 475  # both happen


@pytest.mark.parametrize("text", SEEDS)
def test_the_programs_that_are_mutated_are_valid(text: str) -> None:
    assert len(from_openqasm(text)) > 9


# --- what a rewritten reader must not lose -------------------------------------------------------------------


ANGLES = {
    "1 - 2 - 3": -4.0, "2*3/4*5": 7.5, "-2**2": -4.0, "2**-1": 0.5, "2**3**2/100": 5.12, "2**-1**2": 0.5,
    "-2*-3": 6.0, "- -3": 3.0, "(1 + 2)*3": 9.0, "-(1 - 3)": 2.0, "sin(pi/6)*2": 1.0, "cos(-(pi - pi))": 1.0,
    "sqrt(2)**2": 2.0, "1 + -+-2": 3.0, "τ/π": 2.0, "euler": np.e, "1_0.5e-1": 1.05, ".5": 0.5, "2*pi/3": 2 * np.pi / 3,
    "exp(log(3) - 1)": 3 / np.e, "true + 2*false": 1.0, "-2**-(1 + 1)*8": -2.0, "8/2/2": 2.0, "+5": 5.0,
    "1 - (2 - (3 - 4))": -2.0, "2 - -1": 3.0,
}  # fmt: skip


@pytest.mark.parametrize("angle", ANGLES)
def test_operators_bind_as_in_the_language(angle: str) -> None:
    circuit = from_openqasm(f"{HEADER}qubit q; rx({angle}) q;")
    (found,) = circuit.operations[0].angles
    assert found == pytest.approx(ANGLES[angle], abs=1e-14)


def test_modifiers_inside_and_around_definitions_commute_with_them() -> None:
    body = "rx(t) u; ctrl @ s u, v; negctrl @ ry(2*t) u, v; gphase(t/3); U(t, 0.2, -t) v; cu(0.1, t, 0.3, 0.4) v, u;"
    outer = "gate h2(t) u, v { inv @ g(t - 1) v, u; pow(2) @ g(-t) u, v; }"
    gate = f"{HEADER}gate g(t) u, v {{ {body} }} {outer} qubit[4] q;"

    def matrix(call: str) -> np.ndarray:
        return oracle.unitary_of(from_openqasm(f"{gate} {call}"))

    inner = matrix("g(-0.7) q[2], q[3];")
    plain = matrix("h2(0.7) q[2], q[3];")
    assert_close(plain, inner @ inner @ matrix("inv @ g(-0.3) q[3], q[2];"), 1e-12)
    assert_close(matrix("inv @ h2(0.7) q[2], q[3];"), plain.conj().T, 1e-12)
    assert_close(matrix("pow(-3) @ h2(0.7) q[2], q[3];"), np.linalg.matrix_power(plain.conj().T, 3), 1e-12)
    block = plain[:4, :4]
    expected = np.eye(16, dtype=complex)
    expected[8:12, 8:12] = block @ block  # the first control reads 1, the second 0
    for call in (
        "ctrl @ negctrl @ pow(2) @ h2(0.7)",
        "pow(2) @ ctrl @ negctrl @ h2(0.7)",
        "ctrl @ pow(-2) @ negctrl @ inv @ h2(0.7)",
    ):
        assert_close(matrix(f"{call} q[0], q[1], q[2], q[3];"), expected, 1e-12)


def test_elements_of_an_array_become_data_one_by_one() -> None:
    text = (
        HEADER
        + "input array[float, 4] a; input float b; qubit q;"
        + "".join(f"rx(a[{k}]) q;" for k in range(4))
        + "rx(b) q;"
    )

    def slots(*chosen: str) -> list[str]:
        return [repr(op.angles[0]) for op in from_openqasm(text, data=chosen)]

    assert slots("a[2]", "a[0]") == ["data(1)", "weight(0)", "data(0)", "weight(1)", "weight(2)"]
    assert slots("b", "a") == ["data(1)", "data(2)", "data(3)", "data(4)", "data(0)"]
    assert slots("a[1]", "a") == ["data(1)", "data(0)", "data(2)", "data(3)", "weight(0)"]
    for wrong in (["a[4]"], ["a[1]", "a[1]"], ["a", "a[1]"], ["c"], ["a[01]"], ["a", "a"], [f"a[{'9' * 5000}]"]):
        with pytest.raises(ValueError, match=r"must name inputs of the program, \['a\[0\.\.3\]', 'b'\], but names"):
            slots(*wrong)


def test_a_slot_is_declared_once_whether_alone_or_in_an_array() -> None:
    for text in (
        "input float data_1; input array[float, 2] data;",
        "input array[float, 2] _data; input array[float, 3] data;",
        "input float a; input array[float, 2] a;",
    ):
        with pytest.raises(ValueError, match="declare an input once, but line 3"):
            from_openqasm(f"{HEADER}{text} qubit q;")
