"""Dynamic circuits for Qiskit from plain steps, and their exact results by following every branch with NumPy.

    ("gate", name, angle, qubits)      an angle is None, a number, or the name of a parameter
    ("measure", qubit, bit)
    ("reset", qubit)
    ("if", condition, steps, steps)    the second steps may be None
    ("switch", values, blocks, steps)  the register's values, a block of steps for each, and the default's
    ("for", count, steps)

A condition is ("bit", bit, value), ("register", value), or ("expression", number) for one of EXPRESSIONS.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr

Steps = list[tuple[Any, ...]]
Branch = tuple[np.ndarray, tuple[int, ...]]
"""A state whose squared norm is the branch's probability, of shape (2,) * n_qubits, qubit 0 first; the bits."""

I2, X, Y, Z = np.eye(2), np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
LETTERS = {
    "I": I2, "X": X, "Y": Y, "Z": Z, "0": (I2 + Z) / 2, "1": (I2 - Z) / 2, "+": (I2 + X) / 2, "-": (I2 - X) / 2,
    "r": (I2 + Y) / 2, "l": (I2 - Y) / 2,
}  # fmt: skip
FIXED = {"x": X, "h": (X + Z) / np.sqrt(2), "s": np.diag([1, 1j])}
EXPRESSIONS: list[tuple[Callable[[Any], Any], Callable[[int], bool]]] = [
    (lambda register: expr.less(register, 2), lambda value: value < 2),
    (lambda register: expr.logic_not(register[0]), lambda value: not value & 1),
    (lambda register: expr.bit_xor(register[0], register[1]), lambda value: bool((value ^ value >> 1) & 1)),
    (lambda register: expr.greater_equal(expr.bit_not(register), 5), lambda value: (~value & 7) >= 5),
    (lambda register: expr.logic_or(register[2], expr.equal(register, 1)), lambda value: value >= 4 or value == 1),
]
N_QUBITS, N_BITS = 3, 3


def rotation(name: str, angle: float) -> np.ndarray:
    return np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * {"rx": X, "ry": Y, "rz": Z}[name]


def random_steps(random: np.random.Generator, count: int, depth: int = 2) -> Steps:
    steps: Steps = []
    kinds = ["gate"] * 5 + ["measure", "measure", "reset"] + (["if", "if", "switch", "for"] if depth else [])
    for _ in range(count):
        kind = random.choice(kinds)
        if kind == "gate":
            name = str(random.choice(["x", "h", "s", "rx", "ry", "rz", "cx", "cry"]))
            angle = random.choice(["a", "b"]) if random.random() < 0.4 else float(random.normal())
            qubits = tuple(int(q) for q in random.permutation(N_QUBITS)[: 2 if name in ("cx", "cry") else 1])
            steps.append(("gate", name, angle if name[-2:] in ("rx", "ry", "rz") else None, qubits))
        elif kind == "measure":
            steps.append(("measure", int(random.integers(N_QUBITS)), int(random.integers(N_BITS))))
        elif kind == "reset":
            steps.append(("reset", int(random.integers(N_QUBITS))))
        elif kind == "if":
            otherwise = random_steps(random, 2, depth - 1) if random.random() < 0.6 else None
            steps.append(("if", random_condition(random), random_steps(random, 3, depth - 1), otherwise))
        elif kind == "switch":
            values = [int(v) for v in random.permutation(8)[:2]]
            blocks = [random_steps(random, 2, depth - 1) for _ in values]
            steps.append(("switch", values, blocks, random_steps(random, 2, depth - 1)))
        else:
            steps.append(("for", 2, random_steps(random, 2, depth - 1)))
    return steps


def random_condition(random: np.random.Generator) -> tuple[Any, ...]:
    kind = random.integers(3)
    if kind == 0:
        return "bit", int(random.integers(N_BITS)), int(random.integers(2))
    if kind == 1:
        return "register", int(random.integers(2**N_BITS))
    return "expression", int(random.integers(len(EXPRESSIONS)))


# --- for Qiskit -----------------------------------------------------------------------------------------------------


def as_qiskit(steps: Steps) -> QuantumCircuit:
    circuit = QuantumCircuit(QuantumRegister(N_QUBITS, "q"), ClassicalRegister(N_BITS, "c"))
    _write(circuit, steps, {"a": Parameter("a"), "b": Parameter("b")})
    return circuit


def _write(circuit: QuantumCircuit, steps: Steps, parameters: Mapping[str, Parameter]) -> None:
    (register,) = circuit.cregs
    for step in steps:
        if step[0] == "gate":
            angles = [] if step[2] is None else [parameters.get(step[2], step[2])]
            getattr(circuit, step[1])(*angles, *step[3])
        elif step[0] == "measure":
            circuit.measure(step[1], step[2])
        elif step[0] == "reset":
            circuit.reset(step[1])
        elif step[0] == "if":
            with circuit.if_test(_condition(step[1], register)) as otherwise:
                _write(circuit, step[2], parameters)
            if step[3] is not None:
                with otherwise:
                    _write(circuit, step[3], parameters)
        elif step[0] == "switch":
            with circuit.switch(register) as case:
                for value, block in zip(step[1], step[2], strict=True):
                    with case(value):
                        _write(circuit, block, parameters)
                with case(case.DEFAULT):
                    _write(circuit, step[3], parameters)
        else:
            with circuit.for_loop(range(step[1])):
                _write(circuit, step[2], parameters)


def _condition(condition: tuple[Any, ...], register: ClassicalRegister) -> Any:
    if condition[0] == "bit":
        return register[condition[1]], condition[2]
    if condition[0] == "register":
        return register, condition[1]
    return EXPRESSIONS[condition[1]][0](register)


# --- by following every branch --------------------------------------------------------------------------------------


def branches_of(steps: Steps, values: Mapping[str, float]) -> list[Branch]:
    start = np.zeros((2,) * N_QUBITS, dtype=complex)
    start[(0,) * N_QUBITS] = 1.0
    return list(_followed([(start, (0,) * N_BITS)], steps, values))


def _followed(branches: list[Branch], steps: Steps, values: Mapping[str, float]) -> list[Branch]:
    for step in steps:
        branches = [after for branch in branches for after in _after(branch, step, values)]
    return branches


def _after(branch: Branch, step: tuple[Any, ...], values: Mapping[str, float]) -> Iterator[Branch]:
    state, bits = branch
    number = sum(bit << place for place, bit in enumerate(bits))
    if step[0] == "gate":
        yield _gate(state, step, values), bits
    elif step[0] in ("measure", "reset"):
        for outcome in (0, 1):
            part = _applied(np.diag([1.0 - outcome, outcome]), state, step[1])
            if np.linalg.norm(part) < 1e-12:
                continue
            if step[0] == "reset":
                yield (_applied(X, part, step[1]) if outcome else part), bits
            else:
                yield part, tuple(outcome if place == step[2] else bit for place, bit in enumerate(bits))
    elif step[0] == "if":
        kind, *test = step[1]
        holds = {
            "bit": lambda: bits[test[0]] == test[1],
            "register": lambda: number == test[0],
            "expression": lambda: EXPRESSIONS[test[0]][1](number),
        }[kind]()
        yield from _followed([branch], step[2] if holds else step[3] or [], values)
    elif step[0] == "switch":
        blocks = dict(zip(step[1], step[2], strict=True))
        yield from _followed([branch], blocks.get(number, step[3]), values)
    else:
        yield from _followed([branch], step[2] * step[1], values)


def _gate(state: np.ndarray, step: tuple[Any, ...], values: Mapping[str, float]) -> np.ndarray:
    _, name, angle, qubits = step
    base = name.removeprefix("c")
    matrix = FIXED[base] if angle is None else rotation(base, values.get(angle, angle))
    if base == name:
        return _applied(matrix, state, qubits[0])
    zero, one = (_applied(np.diag([1.0 - bit, bit]), state, qubits[0]) for bit in (0, 1))
    return zero + _applied(matrix, one, qubits[1])


def _applied(matrix: np.ndarray, state: np.ndarray, qubit: int) -> np.ndarray:
    return np.moveaxis(np.tensordot(matrix, state, (1, qubit)), 0, qubit)


def expectation(branches: list[Branch], label: str) -> float:
    total = 0.0
    for state, _ in branches:
        changed = state
        for qubit, letter in enumerate(reversed(label)):
            changed = _applied(LETTERS[letter], changed, qubit)
        total += float(np.vdot(state, changed).real)
    return total


def bit_probabilities(branches: list[Branch]) -> np.ndarray:
    """Probabilities of the values of the register, bit 0 the lowest."""
    result = np.zeros(2**N_BITS)
    for state, bits in branches:
        result[sum(bit << place for place, bit in enumerate(bits))] += np.linalg.norm(state) ** 2
    return result
