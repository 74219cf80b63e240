"""Values and derivatives of a propagation whose structure is fixed."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from qml.checks import in_full_precision, needs_plain_operations, needs_plain_pullback
from qml.plain_pullback import plain_pullback
from qml.simulator.pauli.steps import Keep, PauliStep, Rotation, Transfer, Trigonometry


def pulled(
    steps: Sequence[PauliStep], final: Tensor, cosines: Tensor, sines: Tensor, *, first_order_only: bool = False
) -> Tensor:
    """Return the expectation values of the first table.

    Args:
        steps: in the order backwards in time.
        final: (strings, samples), expectation values of the last table.
        cosines: of all angles, (angles, samples).
        sines: likewise.
        first_order_only: whether a second derivative is refused: the steps themselves depend on the angles.
    """
    if needs_plain_operations():
        return _plain(steps, final, cosines, sines)
    return _Pull.apply(steps, first_order_only, final, cosines, sines)


def pushed(
    steps: Sequence[PauliStep], first: Tensor, final: Tensor, cosines: Tensor, sines: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return expectation values, estimates and bounds of their errors, (observables, samples) each.

    The bound is the sum of all moduli |c| that are dropped. The estimate is the sum over steps of the root of the sum
    of c^2 v, times a factor: signs within a step count as random, while what several steps drop may all add up, as it
    does in deep circuits of equal angles. Here v is the mean square of the expectation value of the most similar
    strings that are kept: for a string that a rotation would make, that of its source; 1 where none are known.

    Args:
        steps: in the order backwards in time.
        first: (strings, observables, samples), coefficients of the first table.
        final: (strings, samples), expectation values of the last table.
        cosines: of all angles, (angles, samples).
        sines: likewise.
    """
    trig = Trigonometry(cosines.unbind(0), sines.unbind(0))
    coefficients = first.clone()
    estimates, bounds = (torch.zeros_like(first[0]) for _ in range(2))
    for step, peers in zip(steps, _peers(steps, final, trig), strict=True):
        drops = None
        if isinstance(step, Rotation):
            coefficients, own = step.push_in_place(coefficients, trig)
            drops = None if peers is None else step.drops(own, trig, peers)
        else:
            if isinstance(step, Keep) and peers is not None:
                drops = step.drops(coefficients, peers)
            coefficients = step.push(coefficients, trig)
        if drops is not None:
            bounds += drops.moduli
            estimates += drops.squares.sqrt()
    return (coefficients * final[:, None]).sum(0), estimates, bounds


def _peers(steps: Sequence[PauliStep], final: Tensor, trig: Trigonometry) -> list[Tensor | None]:
    """Return, for every step that drops strings, mean squares of the expectation values of strings like them.

    Squares move as if angles had random signs: those of a sum are the sum of squares.
    """
    squared = Trigonometry(tuple(c.square() for c in trig.cosines), tuple(s.square() for s in trig.sines))
    values, peers = final.square(), []
    for step in reversed(steps):
        peers.append(None if isinstance(step, Transfer) else step.peers(values))
        if isinstance(step, Transfer):
            parts = step.entries(trig).square() * values.index_select(0, step.targets)
            values = values.new_zeros(step.n_before, *parts.shape[1:]).index_add(0, step.sources, parts)
        else:
            values = step.squared().pull(values, squared) if isinstance(step, Rotation) else step.pull(values, trig)
    return peers[::-1]


def _plain(steps: Sequence[PauliStep], final: Tensor, cosines: Tensor, sines: Tensor) -> Tensor:
    trig, values = Trigonometry(cosines.unbind(0), sines.unbind(0)), final
    for step in reversed(steps):
        values = step.pull(values, trig)
    return values


class _Pull(torch.autograd.Function):
    """The same in place, with a pullback of first order; higher ones go through plain operations."""

    @staticmethod
    def forward(
        ctx: Any, steps: Sequence[PauliStep], first_order_only: bool, final: Tensor, cosines: Tensor, sines: Tensor
    ) -> Tensor:
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
            ctx.steps, ctx.tape, ctx.first_order_only = steps, tape, first_order_only
            ctx.save_for_backward(final, cosines, sines)
        return values.clone()

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        (grad,) = grads
        final, cosines, sines = ctx.saved_tensors
        steps = ctx.steps
        if ctx.first_order_only and torch.is_grad_enabled():
            raise RuntimeError(
                "Second derivatives must not be asked of PauliPropagation(min_coefficient=...), whose strings depend "
                "on the angles. Use max_weight, max_sines or max_frequency, or Native()."
            )
        if needs_plain_pullback(grad):
            leaves, needed = (final, cosines, sines), ctx.needs_input_grad[2:]
            return None, None, *plain_pullback(lambda *tensors: _plain(steps, *tensors), leaves, needed, (grad,))
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
        return None, None, coefficients, of_cosines, of_sines
