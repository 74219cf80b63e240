"""Programs of strangers with loops, functions and constants: seconds, and a ValueError with a line or a circuit."""

import random
import re
import time

import pytest

from circuits import computed_from_openqasm, from_openqasm

HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
SEEDS = [
    "const int n = 2; gate g(a) p { rx(n*a) p; } qubit[4] q; bit[2] c; let a = q[1:2] ++ q[{3}]; h a;"
    "c = measure q[:1]; int i = 0; while (c[0] == 0 && i < 3) { i += 1; if (i == 2) continue; x q[-1];"
    "c[0] = measure q[0]; } end; g(1) q;",
    "input float x; input float y; qubit[2] q; bit c; float z = sin(x) / (1 + y**2); rx(z) q[0]; ry(sqrt(x*y)) q[1];"
    "for float f in {0.1, x - x} { rz(f) q[0]; if (c) break; } rx(2**x) q[0]; ry(arccos(x) ** -2) q[1];",
    "qubit[3] q; bit[3] c; c = measure q; for int i in [0:2] { int j = i % 2 << 1; if (c[0:1] == 2) { end; }"
    "switch (j) { case 0, 1 { x q[i]; } default { h q[0]; } } if (c[i]) continue; y q[2]; } x q[0x1 & 3];",
]  # fmt: skip
WORDS = """if ( ) { } [ ] , ; : ++ + - * / % ** << >> & | ^ && || ! ~ == != < <= > >= = += *= <<= let a b q r c n i j
x y 0 1 2 3 -1 0x1F 0b10 0o7 1.5 1e9 pi true for while break continue end int uint float bool angle in switch case
default const sin log sqrt arcsin pow mod popcount floor int[4] measure -> reset rx h cx gate ctrl @ inv @ pow(2) @
input output bit[2] qubit[2] else box delay[1ns] barrier $0 "01" case"""
TOKENS = WORDS.split()
KINDS = (from_openqasm, computed_from_openqasm)


def require_read_or_refused(text: str) -> bool:
    """Tell whether a program is read; any error but a ValueError with a line ends the test."""
    results = []
    for read in KINDS:
        try:
            read(text, max_operations=3000, max_qubits=500)
        except ValueError as error:
            assert re.search(r"line \d+", str(error)), (text, error)  # noqa: PT017
            assert len(str(error)) < 600  # noqa: PT017
            results.append(False)
        else:
            results.append(True)
    return any(results)


def test_mutated_programs_are_read_or_refused_with_a_line() -> None:
    chance, n_read = random.Random(7), 0
    for number in range(400):
        pieces = re.findall(r"\w+|\s+|[^\w\s]", SEEDS[number % len(SEEDS)])
        for _ in range(chance.choice((1, 1, 2, 3))):
            place = chance.randrange(len(pieces))
            others = ("", chance.choice(pieces), chance.choice(TOKENS), pieces[place] * chance.randint(2, 9))
            pieces[place] = chance.choice(others)
        n_read += require_read_or_refused(HEADER + "".join(pieces))
    assert 20 <= n_read <= 380  # both happen


def test_random_tokens_are_read_or_refused_with_a_line() -> None:
    chance = random.Random(8)
    start = "input float x; input float y; qubit[3] q; bit[3] c; const int n = 2; int i = 1; float j = 0.5; h q[0];"
    for _ in range(600):
        body = " ".join(chance.choice(TOKENS) for _ in range(chance.randint(3, 25)))
        require_read_or_refused(f"{HEADER}{start} {body};")
    for _ in range(400):
        angle = " ".join(chance.choice(["x", "y", "n", "1", "0", *TOKENS[11:32], "sin(", ")", "("]) for _ in range(8))
        require_read_or_refused(f"{HEADER}{start} rx({angle}) q[0];")


@pytest.mark.parametrize("seed", SEEDS)
def test_the_programs_that_are_mutated_are_valid(seed: str) -> None:
    assert require_read_or_refused(HEADER + seed)


def growing(count: int, line: str) -> str:
    return "".join(line.format(k, k + 1) for k in range(count))


BITS = "qubit[40] q; bit[40] c; c = measure q;"
HOSTILE = {
    "functions that double": "float f0 = x;" + growing(40, "float f{1} = sin(f{0}) + cos(f{0});"),
    "functions that double in a gate": (
        "gate g0(t) p { rx(t) p; }" + growing(40, "gate g{1}(t) p {{ g{0}(sin(t) + cos(t)) p; }}") + "g40(x) q[0];"
    ),
    "products of sums of functions": f"float f = {' + '.join(f'sin({k}*x)' for k in range(300))}; rx(f * f * f) q[0];",
    "powers of sums of functions": f"float f = {' + '.join(f'exp({k}*y)' for k in range(9))}; rx(f ** 32) q[0];",
    "deep functions": f"rx({'sin(' * 200}x{')' * 200}) q[0];",
    "long functions": f"rx({'log(' * 34}{' + '.join(f'{k}*x*y' for k in range(900))}{')' * 34}) q[0];",
    "long roots": f"float f = sqrt({' + '.join(f'x**{k % 32}*y' for k in range(400))});" + "rx(f / f * f) q[0];" * 400,
    "breaks under many conditions": (
        f"{BITS} for int i in [0:39] {{ for int j in [0:39] {{ if (c[i]) break; }} }}"
        "for int k in [0:39] { for int l in [0:39] { if (c[l]) { if (c[k]) continue; h q[l]; } } }"
    ),
    "ends under many conditions": BITS + "for int i in [0:39] { if (c[i]) { end; } h q[i]; c[i] = measure q[i]; }" * 3,
    "a counter without an end": f"{BITS} int i = 0; while (c[0]) {{ i += 1; }}",
    "a loop in loops": (
        "int i = 0; while (i < 99) { int j = 0; while (j < 99) { j += 1; for int k in [0:99] x q[0]; } i += 1; }"
    ),
    "counters that change": f"{growing(300, 'int n{0} = 0;')} while (n0 < 9999) {{ n0 += 1; n1 += 1; }}",
    "aliases": "let a0 = q;" + growing(3000, "let a{1} = a{0}[{{0, 1}}];") + "rx(x) a3000[0:2];",
    "joined aliases": f"let a = {' ++ '.join(['q'] * 2000)};",
    "sets": f"h q[{{{', '.join(['0'] * 5000)}}}];",
    "nested slices": f"h q{'[0:1]' * 5000}[5];",
    "wide slices": "qubit[400] w; let e = w[{0}] ++ w[1:399];" + "h e[0:399];" * 60,
    "shifts": f"rx({'1 << ' * 2000}1) q[0];",
    "comparisons": f"rx({'1 < ' * 3000}1 && ) q[0];",
    "negations": f"rx({'!' * 5000}) q[0];",
    "commas": f"rx(pow({'mod(' * 3000}) q[0];",
    "digits": f"rx(0x{'f' * 20_000}) q[0];",
    "binary digits": f"rx(0b{'1' * 20_000}) q[0];",
    "a wide number": "uint[99999999999999999999] n = 1;",
    "casts": f"rx({'int[4](' * 3000}1) q[0];",
    "switches on numbers": "int i = 5; " + "switch (i) { case 5 { } } " * 100 + "switch (i) { case 5 { x q[9]; } }",
    "hidden names": "".join("if (true) { int i = 1; " for _ in range(300)),
}  # fmt: skip


@pytest.mark.plain  # the checks of arguments take more than half of the time that is limited here
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_programs_are_refused_soon(name: str) -> None:
    text = f"{HEADER}input float x; input float y; {'' if BITS in HOSTILE[name] else 'qubit[2] q;'} {HOSTILE[name]}"
    started = time.process_time()
    with pytest.raises(ValueError, match=r"line \d+") as refusal:
        computed_from_openqasm(text, max_operations=20_000, max_qubits=500)
    assert len(str(refusal.value)) < 700
    assert time.process_time() - started < 10.0
