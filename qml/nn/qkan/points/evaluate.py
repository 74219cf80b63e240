"""Activations at given points, with a backward pass of their own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qml import checks
from qml.checks import full_precision, needs_plain_pullback
from qml.nn.qkan.points import small
from qml.nn.qkan.points.bloch import Angles, expectation
from qml.nn.qkan.points.program import ActivationProgram
from qml.nn.qkan.points.slopes import Edges, as_planes, gradients, make_edges, values_and_slopes
from qml.plain_pullback import plain_pullback

MAX_KEPT_SLOPES = 2**23  # 32 MiB in float32: of more the backward pass recomputes them


def evaluate(
    program: ActivationProgram,
    points: Tensor,
    weights: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    *,
    arccos: bool,
) -> Tensor:
    """Compute <Z> of every edge at every point, shape (points, inputs, outputs), differentiable to any order.

    Args:
        program: the rotations.
        points: shape (points, inputs or 1, 1).
        weights: as a module holds them, shape (outputs, inputs, n_weights) or (inputs, n_weights).
        scale: of the pre-activation scale * x + shift, shape (outputs, inputs, n_uploads) or (inputs, n_uploads); None
            for x itself.
        shift: of the pre-activation.
        arccos: True to upload the arccosine of the pre-activation.
    """
    if checks.needs_plain_operations():
        return expectation(program, as_angles(points, weights, scale, shift, arccos=arccos))
    leaves = (points, weights, scale, shift)
    wanted = torch.is_grad_enabled() and any(leaf is not None and leaf.requires_grad for leaf in leaves)
    with full_precision(weights):
        return (
            _Evaluate.apply(program, arccos, *leaves) if wanted else _computed(program, arccos, leaves, wanted=False)[0]
        )


def as_angles(points: Tensor, weights: Tensor, scale: Tensor | None, shift: Tensor | None, *, arccos: bool) -> Angles:
    """Return points and parameters, as a module holds them, as `Angles`."""
    scale, shift = (None if part is None else as_planes(part) for part in (scale, shift))
    return Angles(points, as_planes(weights), scale, shift, arccos)


class _Evaluate(torch.autograd.Function):
    """Activations whose first derivatives come from slopes, computed beside the values; others use plain operations."""

    @staticmethod
    def forward(ctx: Any, program: ActivationProgram, arccos: bool, *leaves: Any) -> Tensor:
        values, ctx.slopes, ctx.edges = _computed(program, arccos, leaves, wanted=True)
        ctx.save_for_backward(*leaves)
        ctx.arccos = arccos
        return values

    @staticmethod
    def backward(ctx: Any, *results: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = results
        with full_precision(gradient):
            pull = _differentiable if needs_plain_pullback(gradient) else _pullback
            return None, None, *pull(ctx, gradient)


def _computed(
    program: ActivationProgram, arccos: bool, leaves: Sequence[Any], *, wanted: bool
) -> tuple[Tensor, Tensor | None, Edges | small.SmallEdges]:
    """Compute values, their slopes where wanted and not too many, and the edges that both belong to."""
    points, weights, scale, shift = leaves
    if small.is_small(points, weights):
        with np.errstate(invalid="ignore", over="ignore"):  # layers refuse what is not finite
            few = small.make_edges(program, weights, scale, shift, arccos=arccos)
            return *small.values_and_slopes(few, points, slopes=wanted), few
    edges = make_edges(program, weights, scale, shift, arccos=arccos)
    kept = wanted and edges.n_rows * points.shape[0] * edges.offsets.shape[1:].numel() <= MAX_KEPT_SLOPES
    return *values_and_slopes(edges, points, slopes=kept), edges


def _pullback(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    points, weights, scale, shift = ctx.saved_tensors
    engine: Any = small.gradients if isinstance(ctx.edges, small.SmallEdges) else gradients
    of_points, planes = engine(ctx.edges, points, ctx.slopes, gradient, of_points=ctx.needs_input_grad[2])
    sizes = [part.shape[-1] for part in (weights, shift, scale) if part is not None]
    parts = [part.permute(2, 1, 0).reshape(*weights.shape[:-1], -1) for part in planes.split(sizes)]
    of_weights, of_shift, of_scale = parts if len(parts) == 3 else (parts[0], None, None)
    return [of_points, of_weights, of_scale, of_shift]


def _differentiable(ctx: Any, gradient: Tensor) -> list[Tensor | None]:
    def values(*leaves: Any) -> Tensor:
        return expectation(ctx.edges.program, as_angles(*leaves, arccos=ctx.arccos))

    return plain_pullback(values, ctx.saved_tensors, ctx.needs_input_grad[2:], [gradient])
