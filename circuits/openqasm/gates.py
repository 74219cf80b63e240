"""The gates of OpenQASM 3's standard library as steps."""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from circuits import gates, steps
from circuits.openqasm.limits import refused
from circuits.openqasm.syntax import Token, tokens_of
from circuits.steps import LinearAngle, LinearStep

LETTERS = "abcdefghijklmnopqrstuvwxyz"
FIXED = {name: gates.Fixed(name) for name in ("x", "y", "z", "h", "s", "sdg", "t", "tdg", "swap")}
ROTATIONS = {f"r{pauli.lower()}": gates.PauliRotation(pauli) for pauli in "XYZ"}
PHASES = ("p", "phase", "u1")
CONTROLLED = {
    "cx": "x", "CX": "x", "cy": "y", "cz": "z", "ch": "h", "cswap": "swap", "ccx": "cx", "cp": "p",
    "cphase": "p", "crx": "rx", "cry": "ry", "crz": "rz", "cu": "U",
}  # fmt: skip
N_ANGLES = {
    **dict.fromkeys((*ROTATIONS, *PHASES, "cp", "cphase", "crx", "cry", "crz", "gphase"), 1),
    "u2": 2, "u3": 3, "U": 3, "cu": 4,
}  # fmt: skip
N_QUBITS = {
    **dict.fromkeys((*FIXED, *ROTATIONS, *PHASES, "id", "sx", "u2", "u3", "U"), 1),
    **dict.fromkeys(CONTROLLED, 2), "swap": 2, "cswap": 3, "ccx": 3,
}  # fmt: skip
QUARTER = LinearAngle(math.pi / 2)


def rotation_definition(pauli: str) -> str:
    """Write the gate `r<letters>(theta)`: exp(-i theta P / 2) by a ladder of CX gates around one RZ."""
    qubits = LETTERS[: len(pauli)] if len(pauli) <= len(LETTERS) else [f"q{k}" for k in range(len(pauli))]
    before, after = [], []
    for letter, qubit in zip(pauli, qubits, strict=True):
        before += {"X": [f"h {qubit};"], "Y": [f"rx(pi/2) {qubit};"], "Z": []}[letter]
        after += {"X": [f"h {qubit};"], "Y": [f"rx(-pi/2) {qubit};"], "Z": []}[letter]
    ladder = [f"cx {upper}, {lower};" for upper, lower in pairwise(qubits)]
    body = " ".join([*before, *ladder, f"rz(theta) {qubits[-1]};", *reversed(ladder), *after])
    return f"gate r{pauli.lower()}(theta) {', '.join(qubits)} {{ {body} }}"


def defined_rotation(
    name: str, parameters: list[str], qubits: list[str], body: Sequence[Token]
) -> gates.PauliRotation | None:
    """Return the rotation that `rotation_definition` writes so, None for any other definition."""
    letters = name[1:].upper()
    if name[:1] != "r" or len(letters) < 2 or len(letters) != len(qubits) or not set(letters) <= set("XYZ"):
        return None
    definition = (parameters, qubits, [token.text for token in body])
    return gates.PauliRotation(letters) if definition == _rotation_parts(letters) else None


@lru_cache(maxsize=256)
def _rotation_parts(letters: str) -> tuple[list[str], list[str], list[str]]:
    """Return the parameters, the qubits and the body of `rotation_definition`."""
    written = [token.text for token in tokens_of(rotation_definition(letters))]
    opening = written.index("{")
    qubits = written[written.index(")") + 1 : opening : 2]
    return ["theta"], qubits, written[opening + 1 : written.index("}")]


def require_counts(token: Token, counts: tuple[int, int], needed: tuple[int, int]) -> None:
    """Refuse another number of angles or qubits than the gate has."""
    if counts != needed:
        raise refused(
            token.line,
            f"give {token.text!r} {needed[0]} angles and {needed[1]} qubits",
            f"{counts[0]} and {counts[1]}",
        )


def standard_gate(
    token: Token, angles: tuple[LinearAngle, ...], qubits: tuple[int, ...], *, is_phased: bool
) -> list[LinearStep]:
    """Return the steps of a gate of the language or of its library.

    Args:
        token: its name.
        angles: in radians.
        qubits: where it acts.
        is_phased: whether U has a further phase exp(i theta / 2), as in version 3.1.
    """
    require_counts(token, (len(angles), len(qubits)), (N_ANGLES.get(token.text, 0), N_QUBITS.get(token.text, 0)))
    return _standard(token.text, angles, qubits, is_phased=is_phased)


def _standard(  # noqa: PLR0911 - one return a kind of gate
    name: str, angles: tuple[LinearAngle, ...], qubits: tuple[int, ...], *, is_phased: bool
) -> list[LinearStep]:
    if name in FIXED:
        return [LinearStep(FIXED[name], qubits)]
    if name in ROTATIONS:
        return [LinearStep(ROTATIONS[name], qubits, angles=angles)]
    if name in PHASES:
        return [LinearStep(gates.Phase(), qubits, angles=angles)]
    if name == "gphase":
        return [LinearStep(steps.GLOBAL_PHASE, angles=angles)]
    if name in CONTROLLED:
        inner = _standard(CONTROLLED[name], angles[:3], qubits[1:], is_phased=False)
        phase = [LinearStep(gates.Phase(), qubits[:1], angles=angles[3:])] if name == "cu" else []
        return steps.controlled(inner, qubits[:1]) + phase
    if name == "U":
        phase = [LinearStep(steps.GLOBAL_PHASE, angles=(angles[0].scaled(0.5),))] if is_phased else []
        return [LinearStep(gates.U3(), qubits, angles=angles), *phase]
    if name == "sx":  # sqrt(X) = exp(i pi/4) RX(pi/2)
        half = QUARTER.scaled(0.5)
        return [LinearStep(ROTATIONS["rx"], qubits, angles=(QUARTER,)), LinearStep(steps.GLOBAL_PHASE, angles=(half,))]
    return [] if name == "id" else _euler((QUARTER, *angles)[-3:], qubits)


def _euler(angles: Sequence[LinearAngle], qubits: tuple[int, ...]) -> list[LinearStep]:
    """Return the u3 (u2: theta = pi/2) of the library, which differs from U by exp(-i (phi + lambda) / 2)."""
    theta, phi, lam = angles
    parts = (("rz", lam), ("ry", theta), ("rz", phi))
    return [LinearStep(ROTATIONS[name], qubits, angles=(angle,)) for name, angle in parts]
