"""The Bloch vector through a program of rotations, and the gradient back.

Edges of a layer lie along the last two dimensions, (inputs, outputs); points at which they are evaluated along the
first. Rotations that know no input act on (inputs, outputs) alone until the first upload, so they cost nothing beside
the rest. Written without in-place operations: under autograd it can be differentiated to any order.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from qml.nn._daruan.program import Program, Rotation

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


class Step(NamedTuple):
    """A rotation as it was taken: the vector behind it in its plane (the observable, behind the last upload)."""

    cosine: Tensor
    sine: Tensor
    first: Component
    second: Component


class Tape(NamedTuple):
    """What the way back needs.

    Attributes:
        steps: one a rotation.
        suffix: how many rotations follow the last upload; they turn the observable instead of the vector.
        observable: u.
        vector: v, with <Z> = u' v.
    """

    steps: list[Step]
    suffix: int
    observable: list[Component]
    vector: list[Component]


def expectation(program: Program, angles: Angles) -> Tensor:
    """<Z> of every edge at every point, shape (points, inputs, outputs)."""
    return run(program, angles)[0]


def run(program: Program, angles: Angles) -> tuple[Tensor, Tape]:
    """<Z> and the tape."""
    suffix = _suffix(program)
    last = len(program.rotations) - suffix
    steps: list[Step] = []
    vector: list[Component] = list(program.start)
    for rotation in program.rotations[:last]:
        first, second = _plane(rotation.axis)
        cosine, sine = _cos_sin(rotation, angles)
        vector = _rotated(vector, rotation.axis, cosine, sine)
        steps.append(Step(cosine, sine, vector[first], vector[second]))
    behind: list[Step] = []
    observable: list[Component] = [0, 0, 1]
    for rotation in reversed(program.rotations[last:]):  # u' R v = (R' u)' v
        first, second = _plane(rotation.axis)
        cosine, sine = _cos_sin(rotation, angles)
        behind.append(Step(cosine, sine, observable[first], observable[second]))
        observable = _rotated(observable, rotation.axis, cosine, -sine)
    value: Component = 0
    for one, other in zip(observable, vector, strict=True):
        value = _plus(value, one, other, 1)
    if not isinstance(value, Tensor):
        raise ValueError("A program must upload its input before it is read.")
    return value, Tape(steps + behind[::-1], suffix, observable, vector)


def pull_back(
    program: Program, angles: Angles, tape: Tape, gradient: Tensor, *, of_points: bool = True
) -> list[Tensor | None]:
    """Gradients of points (None unless asked for), weights, scale and shift from that of <Z>."""
    sums = Sums(angles, of_points=of_points)
    last = len(program.rotations) - tape.suffix
    total = [_summed(_times(gradient, value)) for value in tape.vector]
    for rotation, step in zip(program.rotations[last:], tape.steps[last:], strict=True):
        first, second = _plane(rotation.axis)
        total = _rotated(total, rotation.axis, step.cosine, step.sine)
        sums.add(rotation, _wedge(total[first], total[second], step.first, step.second))
    covector: list[Component] = [_times(gradient, value) for value in tape.observable]
    first_upload = next(index for index, rotation in enumerate(program.rotations) if rotation.upload)
    for index in reversed(range(last)):
        rotation, step = program.rotations[index], tape.steps[index]
        first, second = _plane(rotation.axis)
        sums.add(rotation, _wedge(step.first, step.second, covector[first], covector[second]))
        if index:
            covector = _rotated(covector, rotation.axis, step.cosine, -step.sine)
        if index == first_upload:  # before it nothing depends on the point
            covector = [_summed(value) for value in covector]
    return sums.results()


class Sums:
    """Gradients with respect to angles, added up over points and spread over the slots they came from."""

    def __init__(self, angles: Angles, *, of_points: bool) -> None:
        self._angles, self._of_points = angles, of_points
        self._points: Tensor | None = None
        self._weights: list[Tensor | None] = [None] * len(angles.weights)
        n_uploads = 0 if angles.scale is None else len(angles.scale)
        self._scale: list[Tensor | None] = [None] * n_uploads
        self._shift: list[Tensor | None] = [None] * n_uploads

    def add(self, rotation: Rotation, slope: Component) -> None:
        """The derivative by the angle of one rotation: of every point and edge, or summed over points before."""
        if not isinstance(slope, Tensor):
            return
        total: Any = _summed(slope)
        for slot, factor in rotation.weights:
            _accumulate(self._weights, slot, _times(total, factor))
        if rotation.upload:
            self._add_upload(*rotation.upload, slope, total)

    def _add_upload(self, slot: int, factor: float, slope: Tensor, total: Tensor) -> None:
        angles = self._angles
        if angles.arccos:
            slope = slope * arccos_slope(preactivation(angles, slot))
            total = slope.sum(0)
        if angles.scale is not None:
            _accumulate(self._shift, slot, _times(total, factor))
            _accumulate(self._scale, slot, _times((slope * angles.points).sum(0), factor))
            slope = slope * angles.scale[slot] if self._of_points else slope
        if self._of_points:
            added = _times(slope, factor)
            self._points = added if self._points is None else self._points + added

    def results(self) -> list[Tensor | None]:
        """In the order of the fields of `Angles`."""
        angles = self._angles
        points = None if self._points is None else self._points.sum_to_size(angles.points.shape)
        weights = _stacked(self._weights, angles.weights)
        if angles.scale is None or angles.shift is None:
            return [points, weights, None, None]
        return [points, weights, _stacked(self._scale, angles.scale), _stacked(self._shift, angles.shift)]


def preactivation(angles: Angles, slot: int) -> Tensor:
    """scale * x + shift of one upload."""
    if angles.scale is None or angles.shift is None:
        return angles.points
    return torch.addcmul(angles.shift[slot], angles.scale[slot], angles.points)


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
        return torch.addcmul(start, _times(angles.scale[slot], factor), angles.points)
    value = preactivation(angles, slot)
    upload = _times(arccos(value) if angles.arccos else value, factor)
    return upload if isinstance(offset, float) and offset == 0.0 else upload + offset


def _suffix(program: Program) -> int:
    """How many rotations follow the last upload."""
    return next(count for count, rotation in enumerate(reversed(program.rotations)) if rotation.upload)


def _plane(axis: int) -> tuple[int, int]:
    """The two axes that a rotation turns, the first towards the second."""
    return (axis + 1) % 3, (axis + 2) % 3


def _rotated(vector: list[Component], axis: int, cosine: Tensor, sine: Tensor) -> list[Component]:
    first, second = _plane(axis)
    result = list(vector)
    result[first] = _plus(_times(cosine, vector[first]), sine, vector[second], -1)
    result[second] = _plus(_times(cosine, vector[second]), sine, vector[first], 1)
    return result


def _wedge(v_first: Component, v_second: Component, u_first: Component, u_second: Component) -> Component:
    """The derivative of u' R v by the angle of R, from u and R v in the plane of R."""
    return _plus(_times(u_second, v_first), u_first, v_second, -1)


def _plus(value: Component, first: Component, second: Component, sign: int) -> Component:
    """value + sign * first * second."""
    if isinstance(first, Tensor) and isinstance(second, Tensor) and isinstance(value, Tensor):
        return torch.addcmul(value, first, second, value=sign)
    product = _times(_times(first, second), sign)
    if not isinstance(value, Tensor) and value == 0:
        return product
    return value if not isinstance(product, Tensor) and product == 0 else value + product


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


def _summed(value: Component) -> Component:
    """Over points."""
    return value.sum(0) if isinstance(value, Tensor) and value.ndim == 3 else value


def _accumulate(sums: list[Tensor | None], slot: int, value: Tensor) -> None:
    before = sums[slot]
    sums[slot] = value if before is None else before + value


def _stacked(sums: list[Tensor | None], like: Tensor) -> Tensor:
    """The sums of every slot, zeros for slots that make no difference."""
    shape = like.shape[1:]
    return torch.stack([like.new_zeros(shape) if value is None else value.sum_to_size(shape) for value in sums])
