"""Tanh of a jet, forward and back, and what a jet carries.

Everything but y = tanh(v) has the slope s = 1 - y^2 as a factor: a first derivative v_k becomes h_k = s v_k, and one of
second order, v_Q, whose form is Q = sum_k c_k d_k^2, becomes h_Q = s v_Q - 2 y s sum_k c_k v_k^2. The gradients need
these results alone, and not the argument: with g for what comes from above they are s g_0 - 2 y (sum_k g_k h_k +
sum_Q g_Q h_Q) - 2 sum_Q g_Q sum_k c_k h_k^2, s g_k - 4 y h_k sum_Q c_k g_Q and s g_Q.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from qml.jets.orders import Components, Form, Scratch


def tanh_forward(argument: Components, out: Components, scratch: Scratch) -> None:
    """The components of tanh of the argument's; `out` may be `argument`."""
    torch.tanh(argument.values, out=out.values)
    for form, before, after in zip(out.orders.forms, argument.seconds_apart, out.seconds_apart, strict=True):
        bent, scale = bend(form, argument.firsts_apart, argument.firsts_apart, out=scratch.total)
        torch.addcmul(before, bent, out.value, value=-2.0 * scale, out=after)
    if argument is out and out.derivatives_apart:
        times_slope(out.derivatives, out.value, out=out.derivatives)
    elif out.derivatives_apart:
        times_slope(argument.firsts, out.value, out=out.firsts)
        times_slope(out.seconds, out.value, out=out.seconds)


def tanh_backward(result: Components, gradient: Components, out: Components, scratch: Scratch) -> None:
    """The gradient in the components of the argument, from that in those of the result; `out` may be `gradient`."""
    total, bends = scratch.total, tuple(zip(result.orders.bends, scratch.crossed, strict=True))
    for index, (above, found) in enumerate(zip(gradient.derivatives_apart, result.derivatives_apart, strict=True)):
        total.addcmul_(above, found) if index else torch.mul(above, found, out=total)
    for (second, first, _), crossed in bends:
        torch.mul(result.firsts_apart[first], gradient.seconds_apart[second], out=crossed)
    times_slope(gradient.data, result.value, out=out.data)
    if result.others is not None and gradient.others is not None and out.others is not None:
        times_slope(gradient.others, result.others, out=out.others)
    if result.derivatives_apart:
        out.value.addcmul_(result.value, total, value=-2.0)
    for (_, first, scale), crossed in bends:
        out.value.addcmul_(result.firsts_apart[first], crossed, value=-2.0 * scale)
        out.firsts_apart[first].addcmul_(result.value, crossed, value=-4.0 * scale)


def bend(
    form: Form, left: Sequence[Tensor], right: Sequence[Tensor], *, out: Tensor | None = None
) -> tuple[Tensor, float]:
    """sum_k c_k left_k right_k as a tensor and its factor, which is c of the form's first term."""
    (lead, scale), *rest = form
    total = torch.mul(left[lead], right[lead], out=out)
    for first, other in rest:
        total.addcmul_(left[first], right[first], value=other / scale)
    return total, scale


def times_slope(factor: Tensor, value: Tensor, *, out: Tensor) -> Tensor:
    """`factor` times 1 - value^2, the slope of tanh where it is `value`, by torch's own pass for it."""
    return torch.ops.aten.tanh_backward.grad_input(factor, value, grad_input=out)
