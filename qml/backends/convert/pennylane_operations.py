"""Single PennyLane operations as steps whose angles are linear in the operation's parameters.

An operation is read at a few random points. Where all of them give the same gates, and each angle is a linear function
of the parameters, the steps hold for every value, so that a program reads an operation once and runs it often.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from circuits import Slot
from circuits.gates import Array, ExponentialGate
from circuits.steps import LinearAngle, LinearStep
from qml.backends.convert.pennylane import LINEARITY_TOLERANCE, PennyLaneReader

try:
    import pennylane
    from pennylane import generator
    from pennylane.exceptions import DecompositionUndefinedError
    from pennylane.ops.functions import bind_new_parameters
    from pennylane.tape import QuantumScript
except ImportError as error:
    raise ImportError(
        'Circuits in PennyLane\'s form need pennylane. Install it with: pip install "pennylane>=0.43"'
    ) from error

N_POINTS = 4  # at which an operation is read: two for the slope of each angle, and two that check it
MAX_DENSE = 64  # parameters of an operation whose angles may depend on several of them
GRID = 2.0**-10  # of the points: differences of such numbers are exact
DIGITS = 9  # to which a coefficient is rounded if it lies within LINEARITY_TOLERANCE of a number of so many digits


def operation_steps(op: Any) -> list[LinearStep]:
    """Return the steps of one operation on qubits 0, 1, ... (its wires in order), its angles constants.

    Raises:
        ValueError: the operation is one that our circuits do not know.
    """
    return PennyLaneReader(QuantumScript([op]), list(op.wires)).operation(op, pure=False)


def linear_steps(op: Any) -> tuple[LinearStep, ...] | None:
    """Return the steps of an operation for all values of its parameters, or None where there are no such steps.

    The slot `data(k)` stands for the k-th number of the operation's parameters, all of them flattened in order.

    Args:
        op: an operation whose parameters have no batch axis.
    """
    shapes = [np.shape(value) for value in op.data]
    n_numbers = sum(int(np.prod(shape)) for shape in shapes)
    try:
        if n_numbers == 0:
            return tuple(operation_steps(op))
        read = [operation_steps(_at(op, shapes, point)) for point in _points(N_POINTS, n_numbers)]
        if not _alike(read):
            return _generated(_at(op, shapes, _points(1, n_numbers)[0]))
        angles = _sparse_angles(read, n_numbers)
        if angles is None and n_numbers <= MAX_DENSE:
            read = [operation_steps(_at(op, shapes, point)) for point in _points(n_numbers + N_POINTS, n_numbers)]
            angles = _dense_angles(read, n_numbers) if _alike(read) else None
    except (ValueError, DecompositionUndefinedError):
        return None
    if angles is None or len({slot for angle in angles for slot, _ in angle.terms}) < n_numbers:
        return None  # a number without effect may be a copy of one that an operation keeps elsewhere
    values = iter(angles)
    return tuple(
        LinearStep(step.gate, step.qubits, step.controls, tuple(next(values) for _ in step.angles)) for step in read[0]
    )


@dataclass(frozen=True)
class Generated(ExponentialGate):
    """The gate exp(i t G) of an operation that has a generator G, but no decomposition."""

    name: str
    n_qubits: int
    matrix: Array

    @property
    def generator(self) -> np.ndarray:
        """Return -G."""
        return -self.matrix.values


def _generated(op: Any) -> tuple[LinearStep, ...] | None:
    """Return the step of an operation of one angle by its generator, where it can be written in no other way."""
    if op.has_decomposition or not op.has_generator or not op.has_matrix or len(op.data) != 1:
        return None
    base, factor = cast(Any, generator(op, format="prefactor"))
    matrix = factor * np.asarray(cast(Any, pennylane.matrix)(base, wire_order=op.wires))
    gate = Generated(op.name, len(op.wires), Array.of(matrix))
    angle = float(np.asarray(op.data[0]))
    if not np.allclose(gate.matrix_at(angle), np.asarray(op.matrix(op.wires)), atol=LINEARITY_TOLERANCE):
        return None
    return (LinearStep(gate, tuple(range(len(op.wires))), angles=(LinearAngle.of(Slot("data", 0)),)),)


def _points(n_points: int, n_numbers: int) -> np.ndarray:
    return np.random.default_rng(0).integers(-3000, 3000, (n_points, n_numbers)) * GRID


def _at(op: Any, shapes: Sequence[tuple[int, ...]], point: np.ndarray) -> Any:
    """Return the same operation with the numbers of a point as its parameters."""
    values, start = [], 0
    for shape in shapes:
        size = int(np.prod(shape))
        part = point[start : start + size].reshape(shape)
        values.append(part if shape else part.item())
        start += size
    return bind_new_parameters(op, values)


def _alike(read: Sequence[Sequence[LinearStep]]) -> bool:
    shapes = [[(step.qubits, step.controls, step.gate) for step in steps] for steps in read]
    return all(shape == shapes[0] for shape in shapes)


def _values(read: Sequence[Sequence[LinearStep]]) -> np.ndarray:
    """Return the angles at each point, (points, angles)."""
    return np.array([[angle.constant for step in steps for angle in step.angles] for steps in read])


def _sparse_angles(read: Sequence[Sequence[LinearStep]], n_numbers: int) -> list[LinearAngle] | None:
    """Return angles that depend on one number each, or None where an angle depends on several."""
    points, values = _points(N_POINTS, n_numbers), _values(read)
    moves = points[1:] - points[0]
    result: list[LinearAngle] = []
    for column in values.T:
        changes = column[1:] - column[0]
        if np.abs(changes).max() < LINEARITY_TOLERANCE:
            result.append(LinearAngle(float(column[0])))
            continue
        slopes = changes[0] / np.where(moves[0] == 0.0, np.nan, moves[0])
        errors = np.abs(moves * slopes - changes[:, None]).max(0)
        if not np.nanmin(errors) < LINEARITY_TOLERANCE:
            return None
        number = int(np.nanargmin(errors))
        slope = _rounded(slopes[number])
        constant = _rounded(column[0] - slope * points[0, number])
        result.append(LinearAngle(constant, ((Slot("data", number), slope),)))
    return result


def _dense_angles(read: Sequence[Sequence[LinearStep]], n_numbers: int) -> list[LinearAngle] | None:
    """Return angles that depend on any of the numbers, or None where one is not linear."""
    points, values = _points(len(read), n_numbers), _values(read)
    system = np.concatenate([np.ones((len(points), 1)), points], 1)
    solution = np.linalg.lstsq(system, values, rcond=None)[0]
    if not np.abs(system @ solution - values).max() < LINEARITY_TOLERANCE:
        return None
    rounded = [[_rounded(value) for value in column] for column in solution.T]
    return [
        LinearAngle(constant, tuple((Slot("data", k), slope) for k, slope in enumerate(slopes) if slope != 0.0))
        for constant, *slopes in rounded
    ]


def _rounded(value: float) -> float:
    """Return a number without the rounding of the division that it comes from."""
    short = round(float(value), DIGITS)
    return short if abs(short - value) < LINEARITY_TOLERANCE * 1e-3 else float(value)
