"""The Bloch vector through a program of rotations, as plain operations.

Edges of a layer lie along the last two dimensions, (inputs, outputs); points at which they are evaluated along the
first. Rotations that know no input act on (inputs, outputs) alone until the first upload, so they cost nothing beside
the rest. Written without in-place operations: under autograd and torch.func it can be differentiated to any order.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from qml import checks
from qml.nn.qkan.points.program import ActivationProgram, Rotation

Component = Tensor | int  # 0, 1 and -1 stay numbers as long as they can


@dataclass(frozen=True)
class Angles:
    """The tensors that fill the slots which a program names.

    Args:
        points: inputs, shape (points, inputs or 1, 1).
        weights: shape (n_weights, inputs, outputs).
        scale, shift: the pre-activation scale * x + shift, shape (n_uploads, inputs, outputs); None for x itself.
        arccos: True to upload the arccosine of the pre-activation, cut to [-1, 1].
    """

    points: Tensor
    weights: Tensor
    scale: Tensor | None
    shift: Tensor | None
    arccos: bool = False


def expectation(program: ActivationProgram, angles: Angles) -> Tensor:
    """Compute <Z> of every edge at every point, shape (points, inputs, outputs)."""
    last = 1 + max(place for place, rotation in enumerate(program.rotations) if rotation.upload)
    vector: list[Component] = list(program.start)
    for rotation in program.rotations[:last]:
        vector = _rotated(vector, rotation.axis, *_cos_sin(rotation, angles))
    observable: list[Component] = [0, 0, 1]
    for rotation in reversed(program.rotations[last:]):  # u' R v = (R' u)' v
        cosine, sine = _cos_sin(rotation, angles)
        observable = _rotated(observable, rotation.axis, cosine, -sine)
    value: Component = 0
    for row, entry in zip(observable, vector, strict=True):
        value = _plus(value, row, entry, 1)
    if not isinstance(value, Tensor):
        raise ValueError("A program must upload its input before it is read.")
    return value


def preactivation(angles: Angles, slot: int) -> Tensor:
    """Compute scale * x + shift of one upload."""
    if angles.scale is None or angles.shift is None:
        return angles.points
    return _multiply_add(angles.shift[slot], angles.scale[slot], angles.points)


def arccos(values: Tensor) -> Tensor:
    """Compute the arccosine of values cut to [-1, 1]; the gradient is 0 where they are cut, and finite at the ends."""
    inside = values.abs() < 1
    return torch.where(inside, values, 0).acos().where(inside, values.detach().clamp(-1, 1).acos())


def arccos_slope(values: Tensor) -> Tensor:
    """Compute the derivative of `arccos`."""
    inside = values.abs() < 1
    return torch.where(inside, -torch.rsqrt(1 - torch.where(inside, values, 0).square()), 0)


def _cos_sin(rotation: Rotation, angles: Angles) -> tuple[Tensor, Tensor]:
    angle = rotation_angle(rotation, angles)
    return angle.cos(), angle.sin()


def rotation_angle(rotation: Rotation, angles: Angles) -> Tensor:
    """Compute a rotation's angle, shape (inputs, outputs), with the points in front where it uploads."""
    offset: Tensor | float = rotation.constant
    for slot, factor in rotation.weights:
        weight = _times(angles.weights[slot], factor)
        offset = weight if isinstance(offset, float) and offset == 0.0 else weight + offset
    if rotation.upload is None:
        return offset if isinstance(offset, Tensor) else angles.weights.new_full((1, 1), offset)
    slot, factor = rotation.upload
    if not angles.arccos and angles.scale is not None and angles.shift is not None:
        start = _times(angles.shift[slot], factor) + offset
        return _multiply_add(start, _times(angles.scale[slot], factor), angles.points)
    value = preactivation(angles, slot)
    upload = _times(arccos(value) if angles.arccos else value, factor)
    return upload if isinstance(offset, float) and offset == 0.0 else upload + offset


def _plane(axis: int) -> tuple[int, int]:
    """Return the two axes that a rotation turns, the first towards the second."""
    return (axis + 1) % 3, (axis + 2) % 3


def _rotated(vector: list[Component], axis: int, cosine: Tensor, sine: Tensor) -> list[Component]:
    first, second = _plane(axis)
    result = list(vector)
    result[first] = _plus(_times(cosine, vector[first]), sine, vector[second], -1)
    result[second] = _plus(_times(cosine, vector[second]), sine, vector[first], 1)
    return result


def _plus(value: Component, first: Component, second: Component, sign: int) -> Component:
    """Compute value + sign * first * second."""
    if isinstance(first, Tensor) and isinstance(second, Tensor) and isinstance(value, Tensor):
        return _multiply_add(value, first, second, sign)
    product = _times(_times(first, second), sign)
    if not isinstance(value, Tensor) and value == 0:
        return product
    return value if not isinstance(product, Tensor) and product == 0 else value + product


def _multiply_add(value: Tensor, first: Tensor, second: Tensor, sign: int = 1) -> Tensor:
    """Compute value + sign * first * second.

    In two operations where they are traced: `torch.func.linearize` ends the process in the forward-mode derivative of
    `addcmul` if a factor does not depend on the input (torch 2.13).
    """
    if checks.in_trace():
        return value + sign * (first * second)
    return torch.addcmul(value, first, second, value=sign)


def _times(first: Any, second: Any) -> Any:
    """Multiply, without an operation where a factor is 0, 1 or -1."""
    for factor, other in ((first, second), (second, first)):
        if not isinstance(factor, Tensor):
            if factor == 0:
                return 0
            if factor == 1:
                return other
            if factor == -1:
                return -other
    return first * second
