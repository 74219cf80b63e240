"""Gate calls of OpenQASM 3: the standard library, definitions, modifiers and broadcasting."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from circuits import gates, steps
from circuits._openqasm_syntax import Cursor, Expression, Token, refused, tokens_of
from circuits.steps import Linear, Step

LETTERS = "abcdefghijklmnopqrstuvwxyz"
FIXED = ("x", "y", "z", "h", "s", "sdg", "t", "tdg", "swap")
ROTATIONS = {"rx": "X", "ry": "Y", "rz": "Z"}
PHASES = ("p", "phase", "u1")
CONTROLLED = {
    "cx": "x", "CX": "x", "cy": "y", "cz": "z", "ch": "h", "cswap": "swap", "ccx": "cx", "cp": "p",
    "cphase": "p", "crx": "rx", "cry": "ry", "crz": "rz", "cu": "U",
}  # fmt: skip
N_ANGLES = {
    **dict.fromkeys((*ROTATIONS, *PHASES, "cp", "cphase", "crx", "cry", "crz"), 1),
    "u2": 2, "u3": 3, "U": 3, "cu": 4,
}  # fmt: skip
N_QUBITS = {
    **dict.fromkeys((*FIXED, *ROTATIONS, *PHASES, "id", "sx", "u2", "u3", "U"), 1),
    **dict.fromkeys(CONTROLLED, 2), "swap": 2, "cswap": 3, "ccx": 3,
}  # fmt: skip
QUARTER = Linear(math.pi / 2)
MAX_POWER = 1000  # pow(k) @ writes the gate k times
MAX_STEPS = 10**6  # of powers of powers


class Definition(NamedTuple):
    """A gate of the program, and the gates that were known where it stands."""

    parameters: list[str]
    qubits: list[str]
    body: list[Token]
    known: "dict[str, Definition]"


class Scope(NamedTuple):
    """What names mean: numbers, registers of qubits, gates; and the program's dialect."""

    values: dict[str, Linear]
    qubits: dict[str, list[int]]
    gates: dict[str, Definition]
    has_library: bool
    is_phased: bool  # the U of version 3.1 has a further phase exp(i theta / 2)


def rotation_definition(pauli: str) -> str:
    """The gate `r<letters>(theta)`: exp(-i theta P / 2) by a ladder of CX gates around one RZ."""
    qubits = LETTERS[: len(pauli)] if len(pauli) <= len(LETTERS) else [f"q{k}" for k in range(len(pauli))]
    before, after = [], []
    for letter, qubit in zip(pauli, qubits, strict=True):
        before += {"X": [f"h {qubit};"], "Y": [f"rx(pi/2) {qubit};"], "Z": []}[letter]
        after += {"X": [f"h {qubit};"], "Y": [f"rx(-pi/2) {qubit};"], "Z": []}[letter]
    ladder = [f"cx {upper}, {lower};" for upper, lower in pairwise(qubits)]
    body = " ".join([*before, *ladder, f"rz(theta) {qubits[-1]};", *reversed(ladder), *after])
    return f"gate r{pauli.lower()}(theta) {', '.join(qubits)} {{ {body} }}"


def read_call(cursor: Cursor, scope: Scope) -> list[Step]:
    """The steps of one gate call, broadcast over registers."""
    modifiers = _modifiers(cursor, scope)
    token = cursor.here
    name = cursor.name()
    angles = _angles(cursor, scope) if cursor.accept("(") else []
    operands = [] if cursor.here.text == ";" else [read_operand(cursor, scope)]
    while cursor.accept(","):
        operands.append(read_operand(cursor, scope))
    cursor.expect(";")
    sizes = {len(operand) for operand in operands} - {1}
    if len(sizes) > 1:
        raise refused(token.line, "broadcast over registers of one size", f"sizes {sorted(sizes)}")
    result = []
    for k in range(max(sizes, default=1)):
        qubits = [operand[k % len(operand)] for operand in operands]
        if len(set(qubits)) != len(qubits):
            raise refused(token.line, "name a qubit once in a gate", f"{name!r} on {qubits}")
        result += _modified(token, angles, qubits, modifiers, scope)
    return result


def _modifiers(cursor: Cursor, scope: Scope) -> list[tuple[str, int]]:
    result = []
    while cursor.here.text in ("ctrl", "negctrl", "inv", "pow"):
        line, name, number = cursor.here.line, cursor.name(), 1
        if name == "pow" or (name != "inv" and cursor.here.text == "("):
            cursor.expect("(")
            number = Expression(cursor, scope.values).integer()
            cursor.expect(")")
        if name != "pow" and number < 1:
            raise refused(line, "have at least one control", f"{name}({number})", "Leave the modifier out for none.")
        if name == "pow" and abs(number) > MAX_POWER:
            raise _power_refused(line, f"pow({number})")
        cursor.expect("@")
        result.append((name, number))
    return result


def _power_refused(line: int, value: str) -> ValueError:
    rule = f"have powers of at most {MAX_POWER} and {MAX_STEPS} operations"
    return refused(line, rule, value, "Put the power into an angle: rx(2000*a) for pow(2000) @ rx(a).")


def _angles(cursor: Cursor, scope: Scope) -> list[Linear]:
    if cursor.accept(")"):
        return []
    result = [Expression(cursor, scope.values).sum()]
    while cursor.accept(","):
        result.append(Expression(cursor, scope.values).sum())
    cursor.expect(")")
    return result


def read_operand(cursor: Cursor, scope: Scope) -> list[int]:
    """The qubits of a register, or one of them."""
    token = cursor.here
    name = cursor.name()
    if name not in scope.qubits:
        raise refused(token.line, "use declared qubits", repr(name))
    register = scope.qubits[name]
    if not cursor.accept("["):
        return register
    index = Expression(cursor, scope.values).integer()
    cursor.expect("]")
    if not 0 <= index < len(register):
        raise refused(token.line, f"have an index in 0..{len(register) - 1} for {name}", f"{index}")
    return [register[index]]


def skip_barrier(cursor: Cursor, scope: Scope) -> None:
    """Read what follows the word `barrier`; a barrier leaves nothing."""
    if cursor.accept(";"):
        return
    read_operand(cursor, scope)
    while not cursor.accept(";"):
        cursor.expect(",")
        read_operand(cursor, scope)


def _modified(
    token: Token, angles: list[Linear], qubits: list[int], modifiers: list[tuple[str, int]], scope: Scope
) -> list[Step]:
    n_controls = sum(number for name, number in modifiers if name in ("ctrl", "negctrl"))
    if len(qubits) < n_controls:
        raise refused(token.line, f"name {n_controls} controls for {token.text!r}", f"{len(qubits)} qubit(s)")
    controls = qubits[:n_controls]
    result = _gate(token, angles, qubits[n_controls:], scope)
    for name, number in reversed(modifiers):
        if name in ("ctrl", "negctrl"):
            chosen, controls = controls[len(controls) - number :], controls[: len(controls) - number]
            result = steps.controlled(result, chosen, values=[int(name == "ctrl")] * number)
        elif name == "inv" or number < 0:
            result = steps.inverted(result, refuse=lambda kind: refused(token.line, "invert gates only", kind))
        if name == "pow":
            if abs(number) > 1 and len(result) * abs(number) > MAX_STEPS:
                raise _power_refused(token.line, f"pow({number}) of {len(result)} operations")
            result = result * abs(number)
    return result


def _gate(token: Token, angles: list[Linear], qubits: list[int], scope: Scope) -> list[Step]:
    name = token.text
    if name == "gphase":
        _require_counts(token, (len(angles), len(qubits)), (1, 0))
        return [Step(steps.GLOBAL_PHASE, angles=(angles[0],))]
    if name in scope.gates:
        return _defined(token, angles, qubits, scope)
    if name not in N_QUBITS or not (scope.has_library or name == "U"):
        fix = "" if name not in N_QUBITS else 'Begin the text with: include "stdgates.inc";'
        raise refused(token.line, "use defined gates", f"the gate {name!r}", fix or "Define it before its use.")
    _require_counts(token, (len(angles), len(qubits)), (N_ANGLES.get(name, 0), N_QUBITS[name]))
    return _standard(name, tuple(angles), tuple(qubits), is_phased=scope.is_phased)


def _require_counts(token: Token, found: tuple[int, int], needed: tuple[int, int]) -> None:
    if found != needed:
        raise refused(
            token.line,
            f"give {token.text!r} {needed[0]} angles and {needed[1]} qubits",
            f"{found[0]} and {found[1]}",
        )


def _defined(token: Token, angles: list[Linear], qubits: list[int], scope: Scope) -> list[Step]:
    definition = scope.gates[token.text]
    needed = (len(definition.parameters), len(definition.qubits))
    _require_counts(token, (len(angles), len(qubits)), needed)
    if scope.has_library and _is_our_rotation(token.text, definition):
        return [Step(gates.PauliRotation(token.text[1:].upper()), tuple(qubits), angles=(angles[0],))]
    places = {name: [qubit] for name, qubit in zip(definition.qubits, qubits, strict=True)}
    values = dict(zip(definition.parameters, angles, strict=True))
    inner = scope._replace(values=values, qubits=places, gates=definition.known)
    cursor = Cursor(definition.body)
    result: list[Step] = []
    while cursor.here.kind != "end":
        if cursor.accept("barrier"):
            skip_barrier(cursor, inner)
        else:
            result += read_call(cursor, inner)
    return result


def _is_our_rotation(name: str, definition: Definition) -> bool:
    letters = name[1:].upper()
    if name[:1] != "r" or len(letters) < 2 or not set(letters) <= set("XYZ"):
        return False
    found = (definition.parameters, definition.qubits, [token.text for token in definition.body[:-1]])
    return found == _rotation_parts(letters)


@lru_cache(maxsize=256)
def _rotation_parts(letters: str) -> tuple[list[str], list[str], list[str]]:
    """The parameters, the qubits and the body of `rotation_definition`."""
    written = [token.text for token in tokens_of(rotation_definition(letters))]
    opening = written.index("{")
    qubits = written[written.index(")") + 1 : opening : 2]
    return ["theta"], qubits, written[opening + 1 : written.index("}")]


def _standard(  # noqa: PLR0911 - one return a kind of gate
    name: str, angles: tuple[Linear, ...], qubits: tuple[int, ...], *, is_phased: bool
) -> list[Step]:
    if name in FIXED:
        return [Step(gates.Fixed(name), qubits)]
    if name in ROTATIONS:
        return [Step(gates.PauliRotation(ROTATIONS[name]), qubits, angles=angles)]
    if name in PHASES:
        return [Step(gates.Phase(), qubits, angles=angles)]
    if name in CONTROLLED:
        inner = _standard(CONTROLLED[name], angles[:3], qubits[1:], is_phased=False)
        phase = [Step(gates.Phase(), qubits[:1], angles=angles[3:])] if name == "cu" else []
        return steps.controlled(inner, qubits[:1]) + phase
    if name == "U":
        phase = [Step(steps.GLOBAL_PHASE, angles=(angles[0].scaled(0.5),))] if is_phased else []
        return [Step(gates.U3(), qubits, angles=angles), *phase]
    if name == "sx":  # sqrt(X) = exp(i pi/4) RX(pi/2)
        half = QUARTER.scaled(0.5)
        return [
            Step(gates.PauliRotation("X"), qubits, angles=(QUARTER,)),
            Step(steps.GLOBAL_PHASE, angles=(half,)),
        ]
    return [] if name == "id" else _euler((QUARTER, *angles)[-3:], qubits)


def _euler(angles: Sequence[Linear], qubits: tuple[int, ...]) -> list[Step]:
    """The u3 (u2: theta = pi/2) of the library, which differs from U by exp(-i (phi + lambda) / 2)."""
    theta, phi, lam = angles
    parts = (("Z", lam), ("Y", theta), ("Z", phi))
    return [Step(gates.PauliRotation(pauli), qubits, angles=(angle,)) for pauli, angle in parts]
