"""Values and derivatives of a propagation whose structure is fixed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qml.checks import needs_plain_operations, needs_plain_pullback
from qml.plain_pullback import plain_pullback
from qml.simulator.pauli.steps import Keep, PauliStep, Rotation, Transfer, Trigonometry


def pulled(steps: Sequence[PauliStep], final: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    """Return the expectation values of the first table.

    Args:
        steps: in the order backwards in time.
        final: (strings, samples), expectation values of the last table.
        cosines, sines: (angles, samples).
    """
    if needs_plain_operations():
        return _plain(steps, final, cosines, sines)
    return _Pull.apply(steps, final, cosines, sines)


def pushed(
    steps: Sequence[PauliStep], first: Tensor, final: Tensor, cosines: Tensor, sines: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return expectation values, estimates and bounds of their errors, (observables, samples) each.

    The bound is the sum of all moduli |c| that are dropped. The estimate is the root of the sum of c^2 v, where v is the
    mean square of the expectation values of the strings that remain at that step, if different paths of strings add
    without correlation (see `docs/simulator.md`).

    Args:
        steps: in the order backwards in time.
        first: (strings, observables, samples), coefficients of the first table.
        final: (strings, samples), expectation values of the last table.
        cosines, sines: (angles, samples).
    """
    trig = Trigonometry(cosines.unbind(0), sines.unbind(0))
    squares = _mean_squares(steps, final, trig)
    coefficients = first.clone()
    estimates, bounds = (torch.zeros_like(first[0]) for _ in range(2))
    for step, mean_square in zip(steps, squares, strict=True):
        if isinstance(step, Rotation):
            coefficients, own = step.push_in_place(coefficients, trig)
            drops = step.drops(own, trig)
        else:
            drops = step.drops(coefficients) if isinstance(step, Keep) else None
            coefficients = step.push(coefficients, trig)
        if drops is not None:
            bounds += drops.moduli
            estimates += drops.squares * mean_square
    return (coefficients * final[:, None]).sum(0), estimates.sqrt(), bounds


def _mean_squares(steps: Sequence[PauliStep], final: Tensor, trig: Trigonometry) -> list[Tensor]:
    """For every step, the mean square of the expectation values of the strings after it, (samples,)."""
    squared = Trigonometry(tuple(c.square() for c in trig.cosines), tuple(s.square() for s in trig.sines))
    values, means = final.square(), []
    for step in reversed(steps):
        means.append(values.mean(0) if len(values) else values.sum(0))
        if isinstance(step, Rotation):
            values = step.squared().pull(values, squared)
        elif isinstance(step, Transfer):
            parts = step.entries(trig).square() * values.index_select(0, step.targets)
            values = values.new_zeros(step.n_before, *parts.shape[1:]).index_add(0, step.sources, parts)
        else:
            means[-1] = means[-1] if len(values) else torch.ones_like(means[-1])
            values = step.pull(values, trig)
    return means[::-1]


def _plain(steps: Sequence[PauliStep], final: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    trig, values = Trigonometry(cosines.unbind(0), sines.unbind(0)), final
    for step in reversed(steps):
        values = step.pull(values, trig)
    return values


class _Pull(torch.autograd.Function):
    """The same in place, with a pullback of first order; higher ones go through plain operations."""

    @staticmethod
    def forward(ctx: Any, steps: Sequence[PauliStep], final: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
        trig, values = Trigonometry(cosines.unbind(0), sines.unbind(0)), final.clone()
        needs_grad = any(ctx.needs_input_grad)
        tape: list[Any] = [None] * len(steps)
        for number in range(len(steps) - 1, -1, -1):
            step, saved = steps[number], None
            if isinstance(step, Rotation):
                values, saved = step.pull_in_place(values, trig)
            else:
                saved = values if isinstance(step, Transfer) and step.terms else None
                values = step.pull(values, trig)
            if needs_grad:
                tape[number] = saved
        if needs_grad:
            ctx.steps, ctx.tape = steps, tape
            ctx.save_for_backward(final, cosines, sines)
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        (grad,) = grads
        final, cosines, sines = ctx.saved_tensors
        steps = ctx.steps
        if needs_plain_pullback(grad):
            leaves, needed = (final, cosines, sines), ctx.needs_input_grad[1:]
            return None, *plain_pullback(lambda *tensors: _plain(steps, *tensors), leaves, needed, (grad,))
        trig, coefficients = Trigonometry(cosines.unbind(0), sines.unbind(0)), grad.clone()
        of_cosines, of_sines = torch.zeros_like(cosines), torch.zeros_like(sines)
        for step, saved in zip(steps, ctx.tape, strict=True):
            if isinstance(step, Rotation):
                coefficients, own = step.push_in_place(coefficients, trig)
                if step.angle is not None:
                    slopes = step.slopes(own, saved)
                    of_cosines[step.angle] += slopes[0]
                    of_sines[step.angle] += slopes[1]
                continue
            if isinstance(step, Transfer) and step.terms:
                for angle, of_cosine, of_sine in step.slopes(coefficients, saved):
                    of_cosines[angle] += of_cosine
                    of_sines[angle] += of_sine
            coefficients = step.push(coefficients, trig)
        return None, coefficients, of_cosines, of_sines
