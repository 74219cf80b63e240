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
    """What fills a program's slots.

    Args:
        points: inputs, shape (points, inputs or 1, 1).
        weights: shape (n_weights, inputs, outputs).
        scale, shift: the pre-activation scale * x + shift, shape (n_uploads, inputs, outputs); None for x itself.
        arccos: whether the arccosine of the pre-activation, cut to [-1, 1], is uploaded.
    """

    points: Tensor
    weights: Tensor
    scale: Tensor | None
    shift: Tensor | None
    arccos: bool = False


def expectation(program: ActivationProgram, angles: Angles) -> Tensor:
    """<Z> of every edge at every point, shape (points, inputs, outputs)."""
    last = 1 + max(place for place, rotation in enumerate(program.rotations) if rotation.upload)
    vector: list[Component] = list(program.start)
    for rotation in program.rotations[:last]:
        vector = _rotated(vector, rotation.axis, *_cos_sin(rotation, angles))
    observable: list[Component] = [0, 0, 1]
    for rotation in reversed(program.rotations[last:]):  # u' R v = (R' u)' v
        cosine, sine = _cos_sin(rotation, angles)
        observable = _rotated(observable, rotation.axis, cosine, -sine)
    value: Component = 0
    for one, other in zip(observable, vector, strict=True):
        value = _plus(value, one, other, 1)
    if not isinstance(value, Tensor):
        raise ValueError("A program must upload its input before it is read.")
    return value


def preactivation(angles: Angles, slot: int) -> Tensor:
    """scale * x + shift of one upload."""
    if angles.scale is None or angles.shift is None:
        return angles.points
    return _multiply_add(angles.shift[slot], angles.scale[slot], angles.points)


def arccos(values: Tensor) -> Tensor:
    """The arccosine of values cut to [-1, 1]; the gradient is 0 where they are cut, and finite at the ends."""
    inside = values.abs() < 1
    return torch.where(inside, values, 0).acos().where(inside, values.detach().clamp(-1, 1).acos())


def arccos_slope(values: Tensor) -> Tensor:
    """The derivative of `arccos`."""
    inside = values.abs() < 1
    return torch.where(inside, -torch.rsqrt(1 - torch.where(inside, values, 0).square()), 0)


def _cos_sin(rotation: Rotation, angles: Angles) -> tuple[Tensor, Tensor]:
    angle = rotation_angle(rotation, angles)
    return angle.cos(), angle.sin()


def rotation_angle(rotation: Rotation, angles: Angles) -> Tensor:
    """The angle: shape (inputs, outputs), or with the points in front where the rotation uploads."""
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
    """The two axes that a rotation turns, the first towards the second."""
    return (axis + 1) % 3, (axis + 2) % 3


def _rotated(vector: list[Component], axis: int, cosine: Tensor, sine: Tensor) -> list[Component]:
    first, second = _plane(axis)
    result = list(vector)
    result[first] = _plus(_times(cosine, vector[first]), sine, vector[second], -1)
    result[second] = _plus(_times(cosine, vector[second]), sine, vector[first], 1)
    return result


def _plus(value: Component, first: Component, second: Component, sign: int) -> Component:
    """value + sign * first * second."""
    if isinstance(first, Tensor) and isinstance(second, Tensor) and isinstance(value, Tensor):
        return _multiply_add(value, first, second, sign)
    product = _times(_times(first, second), sign)
    if not isinstance(value, Tensor) and value == 0:
        return product
    return value if not isinstance(product, Tensor) and product == 0 else value + product


def _multiply_add(value: Tensor, first: Tensor, second: Tensor, sign: int = 1) -> Tensor:
    """value + sign * first * second.

    In two operations where they are traced: `torch.func.linearize` ends the process in the forward-mode derivative of
    `addcmul` if a factor does not depend on the input (torch 2.13).
    """
    if checks.in_trace():
        return value + sign * (first * second)
    return torch.addcmul(value, first, second, value=sign)


def _times(first: Any, second: Any) -> Any:
    """The product, for nothing where a factor is 0 or 1."""
    for one, other in ((first, second), (second, first)):
        if not isinstance(one, Tensor):
            if one == 0:
                return 0
            if one == 1:
                return other
            if one == -1:
                return -other
    return first * second
