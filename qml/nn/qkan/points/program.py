"""A one-qubit circuit as rotations of the Bloch vector about the coordinate axes.

<Z> of one qubit needs three real numbers, the Bloch vector, and every one-qubit gate rotates it. Gates that only
exchange axes (H, X, S, ...) are moved to the beginning, where they turn |0>'s vector; other constant gates become up
to three rotations by constants. Neighbours about one axis are merged, and what commutes with the read-out is dropped.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from circuits import Circuit, Slot
from circuits.gates import PAULIS, ExponentialGate, PauliRotation, gate_matrix
from circuits.generators import pauli_terms
from circuits.operation import Operation

EXACT = 1e-12  # rounding of products of a few 3x3 matrices
AXES = "XYZ"


@dataclass(frozen=True)
class Rotation:
    """A right-handed rotation of the Bloch vector about a coordinate axis.

    Its angle is constant + sum_k factor_k weights[k] + factor * (pre-activation of a data slot).

    Attributes:
        axis: 0, 1, 2 for x, y, z.
        weights: pairs (weight slot, factor).
        upload: (data slot, factor), or None.
        constant: radians.
    """

    axis: int
    weights: tuple[tuple[int, float], ...] = ()
    upload: tuple[int, float] | None = None
    constant: float = 0.0

    def merged(self, other: "Rotation") -> "Rotation | None":
        """Return both as one rotation; None where axes differ or both upload."""
        if self.axis != other.axis or (self.upload and other.upload):
            return None
        return Rotation(
            self.axis, self.weights + other.weights, self.upload or other.upload, self.constant + other.constant
        )


@dataclass(frozen=True)
class ActivationProgram:
    """A one-qubit circuit compiled into rotations; see `compile_activation`.

    Attributes:
        start: the Bloch vector before the first rotation, entries -1, 0, 1.
        rotations: in order; the first uploads or depends on weights.
        n_uploads: data slots.
        n_weights: weight slots, those that make no difference included.
        degree: the sum of the uploads' integer factors: with the pre-activation x, <Z> is a trigonometric polynomial of
            this degree. None where a factor is no integer.
    """

    start: tuple[int, int, int]
    rotations: tuple[Rotation, ...]
    n_uploads: int
    n_weights: int
    degree: int | None


def compile_activation(circuit: Circuit) -> ActivationProgram:
    """Compile a one-qubit unitary circuit into rotations.

    Raises:
        ValueError: <Z> does not depend on the input.
    """
    frame = np.eye(3, dtype=int)  # the exchanges of axes so far, still to be moved to the beginning
    rotations: list[Rotation] = []
    for op in reversed(circuit.operations):
        for part in reversed(op.elementary()):
            for step in reversed(list(_steps(part))):
                if isinstance(step, np.ndarray):
                    frame = frame @ step
                else:
                    rotations.append(_turned(step, frame))
    start = frame @ np.array([0, 0, 1])
    kept = _simplified(rotations[::-1], int(np.flatnonzero(start)[0]))
    if not any(rotation.upload for rotation in kept):
        raise ValueError(
            "Argument `ansatz` must measure something of its input, but <Z> of the circuit does not depend on it. "
            "Put a rotation about another axis between the data and the end."
        )
    factors = [rotation.upload[1] for rotation in kept if rotation.upload]
    whole = all(abs(factor - round(factor)) < EXACT for factor in factors)
    degree = sum(abs(round(factor)) for factor in factors) if whole else None
    x, y, z = (int(value) for value in start)
    return ActivationProgram((x, y, z), tuple(kept), circuit.n_data, circuit.n_weights, degree)


def _steps(op: Operation) -> Iterator[Rotation | np.ndarray]:
    """An elementary operation as an exchange of axes (a signed permutation) or rotations."""
    if isinstance(op.gate, ExponentialGate):
        (angle,) = op.angles
        # exp(-i t G) turns about the vector of G's Pauli coefficients; P(t), for one, is RZ(t) but for a phase
        factors = {letter: 2.0 * value for letter, value in pauli_terms(op.gate.generator).items() if letter != "I"}
        if not factors:
            return
        if len(factors) > 1:  # about no coordinate axis: about one between two constant gates
            for part in op.parts():
                yield from _steps(part)
            return
        ((letter, factor),) = factors.items()
        axis = AXES.index(letter)
        if not isinstance(angle, Slot):
            yield from _constant_steps(_rotation_matrix(axis, factor * float(angle)))
        elif angle.kind == "weight":
            yield Rotation(axis, weights=((angle.index, factor),))
        else:
            yield Rotation(axis, upload=(angle.index, factor))
        return
    yield from _constant_steps(_bloch_matrix(op.matrix()))


def _constant_steps(matrix: np.ndarray) -> Iterator[Rotation | np.ndarray]:
    """A constant rotation as an exchange of axes, or by its angles about z, y and z."""
    rounded = np.rint(matrix)
    if np.abs(matrix - rounded).max() < EXACT:
        yield rounded.astype(int)
        return
    sine = math.hypot(matrix[2, 0], matrix[2, 1])
    middle = math.atan2(sine, matrix[2, 2])
    if sine < math.sqrt(EXACT):  # about z alone, possibly after a half turn about y
        flip = 1.0 if matrix[2, 2] > 0 else -1.0
        angles = (math.atan2(matrix[1, 0] * flip, matrix[0, 0] * flip), middle, 0.0)
    else:
        angles = (math.atan2(matrix[1, 2], matrix[0, 2]), middle, math.atan2(matrix[2, 1], -matrix[2, 0]))
    for axis, angle in zip((2, 1, 2), reversed(angles), strict=True):
        if angle != 0.0:
            yield Rotation(axis, constant=angle)


def _bloch_matrix(unitary: np.ndarray) -> np.ndarray:
    """R with R_ij = tr(P_i U P_j U')/2: what a gate does to the Bloch vector."""
    paulis = [PAULIS[axis] for axis in AXES]
    return np.array([[np.trace(p @ unitary @ q @ unitary.conj().T).real / 2 for q in paulis] for p in paulis])


def _rotation_matrix(axis: int, angle: float) -> np.ndarray:
    return _bloch_matrix(gate_matrix(PauliRotation(AXES[axis]), (angle,)))


def _turned(rotation: Rotation, frame: np.ndarray) -> Rotation:
    """Return the rotation F R F' that follows the exchange F where R preceded it, as F R = (F R F') F."""
    column = frame[:, rotation.axis]
    axis = int(np.flatnonzero(column)[0])
    if column[axis] > 0:
        return replace(rotation, axis=axis)
    upload = (rotation.upload[0], -rotation.upload[1]) if rotation.upload else None
    weights = tuple((slot, -factor) for slot, factor in rotation.weights)
    return Rotation(axis, weights, upload, -rotation.constant)


def _simplified(rotations: list[Rotation], start_axis: int) -> list[Rotation]:
    """Merge neighbours; drop rotations of the first vector about itself and, at the end, those that leave <Z>."""
    kept: list[Rotation] = []
    for rotation in rotations:
        merged = kept[-1].merged(rotation) if kept else None
        if merged is not None:
            kept[-1] = merged
        elif kept or rotation.axis != start_axis:
            kept.append(rotation)
    while kept and kept[-1].axis == 2:
        kept.pop()
    return kept
