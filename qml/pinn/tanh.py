"""Tanh of a jet, forward and back, and what a jet carries.

Everything but y = tanh(v) has the slope s = 1 - y^2 as a factor: a first derivative v_k becomes h_k = s v_k, and one of
second order, v_Q, whose form is Q = sum_k c_k d_k^2, becomes h_Q = s v_Q - 2 y s sum_k c_k v_k^2. The gradients need
these results alone, and not the argument: with g for what comes from above they are s g_0 - 2 y (sum_k g_k h_k +
sum_Q g_Q h_Q) - 2 sum_Q g_Q sum_k c_k h_k^2, s g_k - 4 y h_k sum_Q c_k g_Q and s g_Q.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Form = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Orders:
    """What a jet carries beside its value: derivatives along directions, and sums of second ones.

    A component of second order is sum_k c_k d_k^2, with d_k the derivative along direction k, plus derivatives of first
    order. An operator as the Laplacian thus moves as one component, whatever the number of its terms.

    Args:
        n_first: directions.
        forms: of each component of second order: its directions k, counted from 0, with their c_k; at least one each.

    Reference:
        Li et al., forward Laplacian, arXiv:2307.08214.
    """

    n_first: int
    forms: tuple[Form, ...]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.n_first, self.forms))

    @cached_property
    def n_second(self) -> int:
        """Components of second order."""
        return len(self.forms)

    @cached_property
    def n_components(self) -> int:
        """With the value."""
        return 1 + self.n_first + self.n_second

    @cached_property
    def bends(self) -> tuple[tuple[int, int, float], ...]:
        """(component of second order, direction, c) of all forms."""
        return tuple((index, *term) for index, form in enumerate(self.forms) for term in form)


class Components:
    """Views of components, taken when they are asked for: [value, first derivatives, those of second order].

    Args:
        data: (n_components, ...).
        orders: of the components.
        rows: (others + batch, units), values at other points and then the first component; None for this alone.
    """

    def __init__(self, data: Tensor, orders: Orders, rows: Tensor | None = None) -> None:
        self.data, self.orders, self._rows = data, orders, rows

    @cached_property
    def values(self) -> Tensor:
        """`rows`, or the first component."""
        return self.value if self._rows is None else self._rows

    @cached_property
    def others(self) -> Tensor | None:
        """What stands in `values` before the first component; None where there is nothing."""
        return None if self._rows is None else self._rows[: self._rows.shape[0] - self.value.shape[0]]

    @cached_property
    def value(self) -> Tensor:
        """The first component."""
        return self.data[0]

    @cached_property
    def derivatives(self) -> Tensor:
        """The other components, of both orders."""
        return self.data[1:]

    @cached_property
    def derivatives_apart(self) -> tuple[Tensor, ...]:
        """They one by one."""
        return self.derivatives.unbind()

    @cached_property
    def firsts(self) -> Tensor:
        """Those of first order."""
        return self.derivatives[: self.orders.n_first]

    @cached_property
    def firsts_apart(self) -> tuple[Tensor, ...]:
        """They one by one."""
        return self.derivatives_apart[: self.orders.n_first]

    @cached_property
    def seconds(self) -> Tensor:
        """Those of second order."""
        return self.derivatives[self.orders.n_first :]

    @cached_property
    def seconds_apart(self) -> tuple[Tensor, ...]:
        """They one by one."""
        return self.derivatives_apart[self.orders.n_first :]


class Scratch:
    """Memory for products on the way.

    Args:
        memory: (n_parts, ...), with the shape of a component.
    """

    def __init__(self, memory: Tensor) -> None:
        self.total, *self.crossed = memory.unbind()

    @classmethod
    def like(cls, components: Components) -> "Scratch":
        """New memory for one pass."""
        value = components.value
        return cls(value.new_empty(cls.n_parts(components.orders), *value.shape))

    @staticmethod
    def n_parts(orders: Orders) -> int:
        """Components that it holds."""
        return 1 + len(orders.bends)


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
