"""Running a plan: the plain path that autograd follows, and one autograd function with a pullback of its own.

The function gives first derivatives from stored states (or, in the adjoint mode, from states recomputed backwards, so
that memory does not grow with depth). Where a derivative of the derivative is asked for, it is taken through the plain
path instead, so that any order is right.
"""

from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from qml.simulator.compiled import Compiled
from qml.simulator.readout import Readout
from qml.simulator.steps import Step

Memory = Literal["store", "adjoint", "adjoint only"]


def run_plain(compiled: Compiled, readout: Readout, state: Tensor, arguments: tuple[Tensor, ...]) -> Tensor:
    """All steps and the readout as ordinary tensor operations; shape (rows, batch)."""
    for step in compiled.steps:
        state = step.forward(state, _matrix(step, arguments))
    return readout.forward(state)


def evolve_plain(compiled: Compiled, state: Tensor, arguments: tuple[Tensor, ...]) -> Tensor:
    """All steps as ordinary tensor operations; the final state."""
    for step in compiled.steps:
        state = step.forward(state, _matrix(step, arguments))
    return state


class Evolve(torch.autograd.Function):
    """run_plain with its own first derivative."""

    @staticmethod
    def forward(
        ctx: Any, compiled: Compiled, readout: Readout, memory: Memory, state: Tensor, *arguments: Tensor
    ) -> Tensor:
        """See `run_plain`."""
        ctx.compiled, ctx.readout, ctx.memory = compiled, readout, memory
        ctx.states = {}
        initial = state
        keep = memory == "store" and any(ctx.needs_input_grad)
        for number, step in enumerate(compiled.steps):
            if keep and step.needs_input and _wants_grad(ctx, step):
                ctx.states[number] = state
            state = step.forward(state, _matrix(step, arguments))
        ctx.final = state if any(ctx.needs_input_grad) else None
        ctx.save_for_backward(initial, *arguments)
        return readout.forward(state)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The pullback, or, where its own derivative is wanted, autograd through the plain path."""
        (grad,) = grads
        saved = ctx.saved_tensors
        if torch.is_grad_enabled():
            if ctx.memory == "adjoint only":
                raise RuntimeError(
                    'A second derivative must not be asked of Native(method="adjoint"), which is only once '
                    'differentiable. Use Native() or Native(method="autograd"), which have any order.'
                )
            return None, None, None, *_differentiable(ctx, grad, saved)
        state, *arguments = saved
        return None, None, None, *_pullback(ctx, grad, state, tuple(arguments))


def _wants_grad(ctx: FunctionCtx, step: Step) -> bool:
    return step.reference is not None and ctx.needs_input_grad[4 + step.reference[0]]  # pyright: ignore[reportAttributeAccessIssue]


def _matrix(step: Step, arguments: tuple[Tensor, ...]) -> Tensor | None:
    return None if step.reference is None else arguments[step.reference[0]][step.reference[1]]


def _differentiable(ctx: Any, grad: Tensor, saved: tuple[Tensor, ...]) -> list[Tensor | None]:
    wanted = [needed for needed in ctx.needs_input_grad[3:]]
    inputs = [tensor for tensor, needed in zip(saved, wanted, strict=True) if needed]
    with torch.enable_grad():
        value = run_plain(ctx.compiled, ctx.readout, saved[0], saved[1:])
    found = iter(torch.autograd.grad(value, inputs, grad, create_graph=True, allow_unused=True))
    return [next(found) if needed else None for needed in wanted]


def _pullback(ctx: Any, grad: Tensor, initial: Tensor, arguments: tuple[Tensor, ...]) -> list[Tensor | None]:
    steps = ctx.compiled.steps
    gradients: list[Tensor | None] = [
        torch.zeros_like(argument) if ctx.needs_input_grad[4 + k] else None for k, argument in enumerate(arguments)
    ]
    state, mu = ctx.final, ctx.readout.pullback(grad, ctx.final)
    first = 0 if ctx.needs_input_grad[3] else _first_needed(ctx, steps)
    for number in range(len(steps) - 1, first - 1, -1):
        step = steps[number]
        matrix = _matrix(step, arguments)
        wants = _wants_grad(ctx, step)
        if ctx.memory == "store":
            state = ctx.states.get(number)
        else:
            state = step.inverse(state, matrix)
        mu, gradient = step.pullback(mu, state if wants else None, matrix)
        if wants and gradient is not None and step.reference is not None:
            total = gradients[step.reference[0]]
            if total is not None:
                total[step.reference[1]] += gradient
    state_gradient = None
    if ctx.needs_input_grad[3]:
        state_gradient = mu.conj_physical() if mu.is_complex() else mu
        if state_gradient.shape[-1] != initial.shape[-1]:
            state_gradient = state_gradient.sum(-1, keepdim=True)
    return [state_gradient, *gradients]


def _first_needed(ctx: Any, steps: list[Step]) -> int:
    for number, step in enumerate(steps):
        if _wants_grad(ctx, step):
            return number
    return len(steps)
