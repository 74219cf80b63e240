"""Random programs with loops, written in OpenQASM and for Qiskit, and their results by following every branch.

    ("gate", name, angle, qubits)   an angle is None or a number
    ("measure", qubit, bit)
    ("reset", qubit)
    ("if", condition, steps, steps)  the second steps may be None
    ("for", count, steps)            the steps may hold ("turn", qubit), RY by half the loop's variable
    ("while", condition, bound, steps)  runs as long as the condition holds, at most `bound` times; ("count", qubit) in
                                     its steps is RX by the number of the run
    ("break",), ("continue",), ("end",)

A condition is ("bit", bit, value) or ("register", value).
"""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr, types

from tests.qiskit_branches import X, _applied, _gate, rotation

Steps = list[tuple[Any, ...]]
N_QUBITS, N_BITS = 2, 2
HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\nqubit[2] q; bit[2] c;\n'


def random_steps(
    random: np.random.Generator, count: int, *, depth: int = 2, loop: str = "", ends: bool = True
) -> Steps:
    """Return steps; `loop` is the kind of the loop around them, `ends` whether they may hold `end`."""
    kinds = ["gate"] * 4 + ["measure", "measure", "reset"] + (["if", "if", "for", "while"] if depth else [])
    kinds += ["leave"] * 2 if loop else []
    steps: Steps = []
    for _ in range(count):
        kind = str(random.choice(kinds))
        qubit, inner = int(random.integers(N_QUBITS)), {"depth": depth - 1, "ends": ends}
        if kind == "gate":
            name = str(random.choice(["h", "x", "ry", "cx", "cry"]))
            angle = float(random.normal()) if name in ("ry", "cry") else None
            steps.append(("gate", name, angle, (qubit, 1 - qubit) if name in ("cx", "cry") else (qubit,)))
            if loop:
                steps.append(("turn" if loop == "for" else "count", qubit))
        elif kind == "measure":
            steps.append(("measure", qubit, int(random.integers(N_BITS))))
        elif kind == "reset":
            steps.append(("reset", qubit))
        elif kind == "if":
            block = random_steps(random, 2, loop=loop, **inner)
            otherwise = random_steps(random, 1, loop=loop, **inner) if random.random() < 0.4 else None
            steps.append(("if", _condition(random), block, otherwise))
        elif kind == "for":
            steps.append(("for", 2, random_steps(random, 2, loop="for", **inner)))
        elif kind == "while":
            steps.append(("while", _condition(random), 2, random_steps(random, 2, loop="while", **inner)))
        else:
            leave = ["break", "continue", "end"] if ends else ["break", "continue"]
            steps.append(("if", _condition(random), [(str(random.choice(leave)),)], None))
    return steps


def _condition(random: np.random.Generator) -> tuple[Any, ...]:
    if random.random() < 0.7:
        return "bit", int(random.integers(N_BITS)), int(random.integers(2))
    return "register", int(random.integers(4))


# --- in OpenQASM ----------------------------------------------------------------------------------------------------


def as_text(steps: Steps) -> str:
    return HEADER + "\n".join(_lines(steps, "", count()))


def _lines(  # noqa: C901 - one case a kind of step
    steps: Steps, loop: str, numbers: Iterator[int]
) -> Iterator[str]:
    """The lines of steps; `loop` is the variable of the loop around them."""
    for step in steps:
        kind = step[0]
        if kind == "gate":
            angle = "" if step[2] is None else f"({step[2]!r})"
            yield f"{step[1]}{angle} {', '.join(f'q[{qubit}]' for qubit in step[3])};"
        elif kind == "measure":
            yield f"c[{step[2]}] = measure q[{step[1]}];"
        elif kind == "reset":
            yield f"reset q[{step[1]}];"
        elif kind == "turn":
            yield f"ry({loop}/2.0) q[{step[1]}];"
        elif kind == "count":
            yield f"rx({loop}) q[{step[1]}];"
        elif kind == "if":
            yield from (f"if ({_test(step[1])}) {{", *_lines(step[2], loop, numbers), "}")
            if step[3] is not None:
                yield from ("else {", *_lines(step[3], loop, numbers), "}")
        elif kind == "for":
            name = f"i{next(numbers)}"
            yield from (f"for int {name} in [0:{step[1] - 1}] {{", *_lines(step[2], name, numbers), "}")
        elif kind == "while":
            name = f"i{next(numbers)}"
            head = f"int {name} = 0; while ({_test(step[1])} && {name} < {step[2]}) {{ {name} += 1;"
            yield from (head, *_lines(step[3], name, numbers), "}")
        else:
            yield f"{kind};"


def _test(condition: tuple[Any, ...]) -> str:
    return f"c[{condition[1]}] == {condition[2]}" if condition[0] == "bit" else f"c == {condition[1]}"


# --- for Qiskit -----------------------------------------------------------------------------------------------------


def as_qiskit(steps: Steps) -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(N_QUBITS, "q"), ClassicalRegister(N_BITS, "c"))
    _write(circuit, steps, None, count())
    return circuit


def _write(  # noqa: C901 - one case a kind of step
    circuit: QuantumCircuit, steps: Steps, loop: Any, numbers: Iterator[int]
) -> None:
    (register,) = circuit.cregs
    for step in steps:
        kind = step[0]
        if kind == "gate":
            getattr(circuit, step[1])(*([] if step[2] is None else [step[2]]), *step[3])
        elif kind == "measure":
            circuit.measure(step[1], step[2])
        elif kind == "reset":
            circuit.reset(step[1])
        elif kind == "turn":
            circuit.ry(loop / 2, step[1])
        elif kind == "count":
            circuit.x(step[1])  # parameters cannot hold variables
        elif kind == "if":
            with circuit.if_test(_qiskit_test(step[1], register)) as otherwise:
                _write(circuit, step[2], loop, numbers)
            if step[3] is not None:
                with otherwise:
                    _write(circuit, step[3], loop, numbers)
        elif kind == "for":
            parameter = Parameter(f"i{next(numbers)}")
            with circuit.for_loop(range(step[1]), parameter):
                _write(circuit, step[2], parameter, numbers)
        elif kind == "while":
            runs = circuit.add_var(f"i{next(numbers)}", expr.lift(0, types.Uint(8)))
            target, wanted = _qiskit_test(step[1], register)
            holds = expr.equal(target, wanted) if step[1][0] == "register" else expr.lift(target)
            holds = expr.logic_not(holds) if step[1][0] == "bit" and not wanted else holds
            with circuit.while_loop(expr.logic_and(holds, expr.less(runs, step[2]))):
                circuit.store(runs, expr.add(runs, expr.lift(1, types.Uint(8))))
                _write(circuit, step[3], None, numbers)
        else:
            getattr(circuit, f"{kind}_loop")()


def _qiskit_test(condition: tuple[Any, ...], register: ClassicalRegister) -> Any:
    return (register[condition[1]], condition[2]) if condition[0] == "bit" else (register, condition[1])


# --- by following every branch --------------------------------------------------------------------------------------

Branch = tuple[np.ndarray, tuple[int, ...], str]
"""A state whose squared norm is the branch's probability; the bits; the statement that leaves a loop, if any."""


def branches_of(steps: Steps, *, counts_by: str = "rx") -> list[Branch]:
    """The branches; `counts_by` says what ("count", qubit) is: RX by the number of the run, or X as in Qiskit."""
    start = np.zeros((2,) * N_QUBITS, dtype=complex)
    start[(0,) * N_QUBITS] = 1.0
    return list(_followed([(start, (0,) * N_BITS, "")], steps, 0, counts_by))


def _followed(live: list[Branch], steps: Steps, run: int, counts_by: str) -> list[Branch]:
    for step in steps:
        live = [after for branch in live for after in ([branch] if branch[2] else _after(branch, step, run, counts_by))]
    return live


def _after(branch: Branch, step: tuple[Any, ...], run: int, counts_by: str) -> Iterator[Branch]:
    state, bits, _ = branch
    kind = step[0]
    if kind == "gate":
        yield _gate(state, step, {}), bits, ""
    elif kind in ("turn", "count"):
        matrix = rotation("ry", run / 2) if kind == "turn" else X if counts_by == "x" else rotation("rx", run)
        yield _applied(matrix, state, step[1]), bits, ""
    elif kind in ("measure", "reset"):
        for outcome in (0, 1):
            part = _applied(np.diag([1.0 - outcome, outcome]), state, step[1])
            if np.linalg.norm(part) < 1e-12:
                continue
            if kind == "reset":
                yield (_applied(X, part, step[1]) if outcome else part), bits, ""
            else:
                yield part, tuple(outcome if place == step[2] else bit for place, bit in enumerate(bits)), ""
    elif kind == "if":
        yield from _followed([branch], step[2] if _holds(step[1], bits) else step[3] or [], run, counts_by)
    elif kind in ("for", "while"):
        yield from _looped(branch, step, counts_by)
    else:
        yield state, bits, kind


def _looped(branch: Branch, step: tuple[Any, ...], counts_by: str) -> Iterator[Branch]:
    live, is_while = [branch], step[0] == "while"
    for run in range(step[2] if is_while else step[1]):
        going = [each for each in live if not is_while or _holds(step[1], each[1])]
        yield from (each for each in live if is_while and not _holds(step[1], each[1]))
        ended = _followed(going, step[3] if is_while else step[2], run + is_while, counts_by)
        yield from ((state, bits, "" if left == "break" else left) for state, bits, left in ended if left in LEFT)
        live = [(state, bits, "") for state, bits, left in ended if left not in LEFT]
    yield from live


LEFT = ("break", "end")


def _holds(condition: tuple[Any, ...], bits: tuple[int, ...]) -> bool:
    if condition[0] == "bit":
        return bits[condition[1]] == condition[2]
    return sum(bit << place for place, bit in enumerate(bits)) == condition[1]


def qubit_probabilities(branches: list[Branch]) -> np.ndarray:
    """Probabilities of the qubits' basis states, qubit 0 the most significant."""
    return np.asarray(sum(np.abs(state) ** 2 for state, _, _ in branches)).reshape(-1)


def bit_probabilities(branches: list[Branch]) -> np.ndarray:
    """Probabilities of the values of the register, bit 0 the lowest."""
    result = np.zeros(2**N_BITS)
    for state, bits, _ in branches:
        result[sum(bit << place for place, bit in enumerate(bits))] += np.linalg.norm(state) ** 2
    return result
