"""Activations at given points, with a backward pass of their own."""

from typing import Any

import torch
from torch import Tensor

from qml.nn._checks import in_transform
from qml.nn._daruan.bloch import Angles, expectation, pull_back, run
from qml.nn._daruan.program import Program

TAPE_LIMIT = 2**19  # values of <Z>: above it the way back computes the vectors again instead of keeping them


def evaluate(program: Program, angles: Angles) -> Tensor:
    """<Z> of every edge at every point, shape (points, inputs, outputs), differentiable to any order."""
    if in_transform():
        return expectation(program, angles)
    return _Evaluate.apply(program, angles.arccos, angles.points, angles.weights, angles.scale, angles.shift)


class _Evaluate(torch.autograd.Function):
    """First derivatives from a tape of plain tensors; further ones through the operations themselves."""

    @staticmethod
    def forward(
        ctx: Any,
        program: Program,
        arccos: bool,
        points: Tensor,
        weights: Tensor,
        scale: Tensor | None,
        shift: Tensor | None,
    ) -> Tensor:
        angles = Angles(points, weights, scale, shift, arccos)
        value, tape = run(program, angles)
        ctx.save_for_backward(points, weights, scale, shift)
        ctx.program, ctx.arccos = program, arccos
        ctx.tape = tape if value.numel() <= TAPE_LIMIT and any(ctx.needs_input_grad) else None
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        points, weights, scale, shift = ctx.saved_tensors
        angles = Angles(points, weights, scale, shift, ctx.arccos)
        if torch.is_grad_enabled():  # a second derivative is wanted
            return None, None, *_differentiable(ctx, angles, gradient)
        tape = ctx.tape or run(ctx.program, angles)[1]
        return None, None, *pull_back(ctx.program, angles, tape, gradient, of_points=ctx.needs_input_grad[2])


def _differentiable(ctx: Any, angles: Angles, gradient: Tensor) -> list[Tensor | None]:
    leaves = [angles.points, angles.weights, angles.scale, angles.shift]
    asked = [leaf for leaf, needed in zip(leaves, ctx.needs_input_grad[2:], strict=True) if needed]
    found = iter(
        torch.autograd.grad(
            expectation(ctx.program, angles), asked, gradient, create_graph=True, materialize_grads=True
        )
    )
    return [next(found) if needed else None for needed in ctx.needs_input_grad[2:]]
