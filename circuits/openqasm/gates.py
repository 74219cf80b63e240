"""The gates of the standard libraries of OpenQASM 3 (stdgates.inc) and 2 (qelib1.inc) as steps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
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
Counts = dict[str, tuple[int, int]]  # of angles and qubits, by the name of a gate
COUNTS_3: Counts = {
    **dict.fromkeys((*FIXED, "id", "sx"), (0, 1)), **dict.fromkeys((*ROTATIONS, *PHASES), (1, 1)),
    **dict.fromkeys(("cx", "CX", "cy", "cz", "ch", "swap"), (0, 2)), "ccx": (0, 3), "cswap": (0, 3),
    **dict.fromkeys(("cp", "cphase", "crx", "cry", "crz"), (1, 2)), "u2": (2, 1), "u3": (3, 1), "cu": (4, 2),
}  # fmt: skip
COUNTS_2: Counts = {
    **{name: count for name, count in COUNTS_3.items() if name not in ("CX", "cphase", "phase")},
    "u": (3, 1), "u0": (1, 1), "sxdg": (0, 1), "csx": (0, 2), "cu1": (1, 2), "cu3": (3, 2), "rxx": (1, 2),
    "rzz": (1, 2), "rccx": (0, 3), "rc3x": (0, 4), "c3x": (0, 4), "c3sqrtx": (0, 4), "c4x": (0, 5),
}  # fmt: skip
QUARTER = LinearAngle(math.pi / 2)


@dataclass(frozen=True)
class Dialect:
    """A version of the language.

    Args:
        version: 2 or 3.
        builtin: gates that it has without a library.
        file: the name of its library.
        library: the gates of the library.
    """

    version: int
    builtin: Counts
    file: str
    library: Counts

    def counts(self, name: str) -> tuple[int, int]:
        """Return the numbers of angles and qubits of a gate."""
        return self.builtin[name] if name in self.builtin else self.library[name]


VERSION_3 = Dialect(3, {"U": (3, 1), "gphase": (1, 0)}, "stdgates.inc", COUNTS_3)
VERSION_2 = Dialect(2, {"U": (3, 1), "CX": (0, 2)}, "qelib1.inc", COUNTS_2)


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
    token: Token, angles: tuple[LinearAngle, ...], qubits: tuple[int, ...], dialect: Dialect, *, is_phased: bool
) -> list[LinearStep]:
    """Return the steps of a gate of the language or of its library.

    Args:
        token: its name.
        angles: in radians.
        qubits: where it acts.
        dialect: the version of the language.
        is_phased: whether U has a further phase exp(i theta / 2), as in version 3.1.
    """
    require_counts(token, (len(angles), len(qubits)), dialect.counts(token.text))
    if dialect.version == 2 and token.text in ONLY_IN_VERSION_2:
        return _of_version_2(token.text, angles, qubits)
    return _standard(token.text, angles, qubits, is_phased=is_phased)


def _standard(
    name: str, angles: tuple[LinearAngle, ...], qubits: tuple[int, ...], *, is_phased: bool = False
) -> list[LinearStep]:
    if name in CONTROLLED:
        inner = _standard(CONTROLLED[name], angles[:3], qubits[1:])
        phase = [LinearStep(gates.Phase(), qubits[:1], angles=angles[3:])] if name == "cu" else []
        return steps.controlled(inner, qubits[:1]) + phase
    if name == "U":
        phase = [LinearStep(steps.GLOBAL_PHASE, angles=(angles[0].scaled(0.5),))] if is_phased else []
        return [LinearStep(gates.U3(), qubits, angles=angles), *phase]
    if name == "sx":  # sqrt(X) = exp(i pi/4) RX(pi/2)
        half = QUARTER.scaled(0.5)
        return [LinearStep(ROTATIONS["rx"], qubits, angles=(QUARTER,)), LinearStep(steps.GLOBAL_PHASE, angles=(half,))]
    if name in ("u2", "u3"):
        return _euler((QUARTER, *angles)[-3:], qubits)
    if name == "gphase":
        return [LinearStep(steps.GLOBAL_PHASE, angles=angles)]
    gate = FIXED.get(name) or ROTATIONS.get(name) or gates.Phase()
    return [] if name == "id" else [LinearStep(gate, qubits, angles=angles)]


def _euler(angles: Sequence[LinearAngle], qubits: tuple[int, ...]) -> list[LinearStep]:
    """Return the u3 (u2: theta = pi/2) of the library, which differs from U by exp(-i (phi + lambda) / 2)."""
    theta, phi, lam = angles
    parts = (("rz", lam), ("ry", theta), ("rz", phi))
    return [LinearStep(ROTATIONS[name], qubits, angles=(angle,)) for name, angle in parts]


# Gates of version 2 whose meaning there is another one, or that version 3 lacks: a number of controls, and a gate.
ONLY_IN_VERSION_2 = {
    "u": (0, "U"), "u3": (0, "U"), "cu3": (1, "U"), "cu1": (1, "p"), "csx": (1, "sx"), "c3sqrtx": (3, "sx"),
    "c3x": (3, "x"), "c4x": (4, "x"), "u2": None, "u0": None, "sxdg": None, "rxx": None, "rzz": None, "rccx": None,
    "rc3x": None,
}  # fmt: skip


def _of_version_2(name: str, angles: tuple[LinearAngle, ...], qubits: tuple[int, ...]) -> list[LinearStep]:
    known = ONLY_IN_VERSION_2[name]
    if known is not None:
        n_controls, inner = known
        return steps.controlled(_standard(inner, angles, qubits[n_controls:]), qubits[:n_controls])
    if name == "u2":  # as Qiskit reads it, U(pi/2, phi, lambda): a global phase apart, which version 2 cannot see
        return [LinearStep(gates.U3(), qubits, angles=(QUARTER, *angles))]
    if name in ("rxx", "rzz"):
        return [LinearStep(gates.PauliRotation(name[1:].upper()), qubits, angles=angles)]
    if name == "sxdg":
        return steps.inverted(_standard("sx", (), qubits), refuse=ValueError)
    return [] if name == "u0" else _relative_toffoli(qubits)


def _relative_toffoli(qubits: tuple[int, ...]) -> list[LinearStep]:
    """Return the rccx on three qubits, the rc3x on four: Toffoli gates up to phases of basis states.

    Reference:
        Maslov, arXiv:1508.03273, figures 3 and 4.
    """
    *controls, target = qubits

    def ladder(*parts: int | str) -> list[LinearStep]:
        """Return gates on the target: a letter's, or a CX from a control."""
        return [
            LinearStep(FIXED["x"], (target,), (controls[part],))
            if isinstance(part, int)
            else LinearStep(FIXED[part], (target,))
            for part in parts
        ]

    if len(controls) == 2:
        return ladder("h", "t", 1, "tdg", 0, "t", 1, "tdg", "h")
    outer = ("h", "t", 2, "tdg", "h")
    return ladder(*outer, 0, "t", 1, "tdg", 0, "t", 1, "tdg", *outer)
