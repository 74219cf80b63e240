"""The published read-out |a| - |b| of a state (a, b): the circuit on two complex amplitudes, in plain torch.

No device measures it; it is here so that results can be compared with the published package.
"""

import torch
from torch import Tensor

from circuits import Circuit, Slot
from circuits.gates import trigonometric_form
from qml.nn.qkan.points.bloch import Angles, arccos, preactivation


def amplitude_difference(circuit: Circuit, angles: Angles) -> Tensor:
    """|a| - |b| of every edge at every point, shape (points, inputs, outputs)."""
    complex_type = angles.weights.dtype.to_complex()
    one = angles.weights.new_ones((), dtype=complex_type)
    state = [one, torch.zeros_like(one)]
    for op in circuit.operations:
        for part in op.elementary():
            matrix = _matrix(part, angles, complex_type)
            state = [row[0] * state[0] + row[1] * state[1] for row in matrix]
    return _modulus(state[0]) - _modulus(state[1])


def _matrix(op, angles: Angles, dtype: torch.dtype) -> list[list[Tensor | complex]]:  # noqa: ANN001
    if not op.angles:
        return op.matrix().tolist()
    form = trigonometric_form(op.gate)
    angle = op.angles[0]
    if not isinstance(angle, Slot):
        return form.matrix(float(angle)).tolist()
    if angle.kind == "weight":
        value = angles.weights[angle.index]
    else:
        value = preactivation(angles, angle.index)
        value = arccos(value) if angles.arccos else value
    cosine, sine = (form.frequency * value).cos().to(dtype), (form.frequency * value).sin().to(dtype)
    parts = [part.tolist() for part in form[:3]]
    return [[parts[0][i][j] + parts[1][i][j] * cosine + parts[2][i][j] * sine for j in (0, 1)] for i in (0, 1)]


def _modulus(values: Tensor) -> Tensor:
    """|a|, with the gradient 0 where a is 0."""
    squares = values.real.square() + values.imag.square()
    positive = squares > 0
    return torch.where(positive, torch.where(positive, squares, 1).sqrt(), 0)
