"""Tanh of a jet, forward and backward.

Everything but y = tanh(v) has the slope s = 1 - y^2 as a factor: a first derivative v_k becomes h_k = s v_k, and one of
second order, v_Q, whose form is Q = sum_k c_k d_k^2, becomes h_Q = s v_Q - 2 y s sum_k c_k v_k^2. The gradients need
these results alone, and not the argument. With g for the gradients in the results, those in the argument are
s g_0 - 2 y (sum_k g_k h_k + sum_Q g_Q h_Q) - 2 sum_Q g_Q sum_k c_k h_k^2, s g_k - 4 y h_k sum_Q c_k g_Q and s g_Q.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from qml.jets.orders import Components, Form, ProductBuffers


def tanh_forward(argument: Components, out: Components, products: ProductBuffers) -> None:
    """Write the components of tanh of the argument into `out`, which may be `argument`."""
    torch.tanh(argument.values, out=out.values)
    for form, before, after in zip(out.orders.forms, argument.each_second, out.each_second, strict=True):
        total, scale = weighted_products(form, argument.each_first, argument.each_first, out=products.total)
        torch.addcmul(before, total, out.value, value=-2.0 * scale, out=after)
    if argument is out and out.each_derivative:
        times_slope(out.derivatives, out.value, out=out.derivatives)
    elif out.each_derivative:
        times_slope(argument.firsts, out.value, out=out.firsts)
        times_slope(out.seconds, out.value, out=out.seconds)


def tanh_backward(result: Components, gradient: Components, out: Components, products: ProductBuffers) -> None:
    """Write the gradient in the argument's components into `out`, from that in the result's; it may be `gradient`."""
    total, terms = products.total, tuple(zip(result.orders.second_order_terms, products.terms, strict=True))
    for index, (slope, component) in enumerate(zip(gradient.each_derivative, result.each_derivative, strict=True)):
        total.addcmul_(slope, component) if index else torch.mul(slope, component, out=total)
    for (second, first, _), product in terms:
        torch.mul(result.each_first[first], gradient.each_second[second], out=product)
    times_slope(gradient.data, result.value, out=out.data)
    if result.others is not None and gradient.others is not None and out.others is not None:
        times_slope(gradient.others, result.others, out=out.others)
    if result.each_derivative:
        out.value.addcmul_(result.value, total, value=-2.0)
    for (_, first, scale), product in terms:
        out.value.addcmul_(result.each_first[first], product, value=-2.0 * scale)
        out.each_first[first].addcmul_(result.value, product, value=-4.0 * scale)


def weighted_products(
    form: Form, left: Sequence[Tensor], right: Sequence[Tensor], *, out: Tensor | None = None
) -> tuple[Tensor, float]:
    """Return sum_k c_k left_k right_k as a tensor and a factor of it, which is c of the form's first term."""
    (lead, scale), *rest = form
    total = torch.mul(left[lead], right[lead], out=out)
    for first, coefficient in rest:
        total.addcmul_(left[first], right[first], value=coefficient / scale)
    return total, scale


def times_slope(factor: Tensor, value: Tensor, *, out: Tensor) -> Tensor:
    """Multiply `factor` by 1 - value^2, the slope of tanh where it is `value`, by torch's own kernel for it."""
    return torch.ops.aten.tanh_backward.grad_input(factor, value, grad_input=out)
