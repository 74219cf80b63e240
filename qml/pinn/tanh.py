"""Tanh of a jet, forward and back.

Everything but y = tanh(v) has the slope s = 1 - y^2 as a factor: the components are y, s v_k and s v_kk - 2 y s v_k^2
for the first and second derivatives v_k, v_kk of the argument. The gradients need these results alone, and not the
argument: with g for what comes from above and h for the components, they are s g_0 - 2 y sum_k g_k h_k -
2 sum_k h_k^2 g_kk, s g_k - 4 y h_k g_kk and s g_kk.
"""

from functools import cached_property

import torch
from torch import Tensor


class Components:
    """Views of components, taken when they are asked for: [value, first derivatives, second derivatives].

    Args:
        data: (1 + n_first + n_second, ...).
        n_first: directions.
        n_second: how many of them, from the first on, have second derivatives.
        rows: (others + batch, units), values at other points and then the first component; None for this alone.
    """

    def __init__(self, data: Tensor, n_first: int, n_second: int, rows: Tensor | None = None) -> None:
        self.data, self.n_first, self.n_second, self._rows = data, n_first, n_second, rows

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
    def firsts(self) -> Tensor:
        """Those of first order."""
        return self.data[1 : 1 + self.n_first]

    @cached_property
    def bent(self) -> Tensor:
        """Those of first order along directions that have second ones."""
        return self.data[1 : 1 + self.n_second]

    @cached_property
    def bent_apart(self) -> tuple[Tensor, ...]:
        """`bent` one by one."""
        return self.bent.unbind()

    @cached_property
    def seconds(self) -> Tensor:
        """Those of second order."""
        return self.data[1 + self.n_first :]


class Scratch:
    """Memory for products on the way.

    Args:
        memory: (n_parts, ...), with the shape of a component.
        n_first: directions.
        n_second: how many of them have second derivatives.
    """

    def __init__(self, memory: Tensor, n_first: int, n_second: int) -> None:
        self.products, self.crossed, total = memory.split([n_first + n_second, n_second, 1])
        self.total, self.crossed_apart = total[0], self.crossed.unbind()

    @classmethod
    def like(cls, components: Components) -> "Scratch":
        """New memory for one pass."""
        value, sizes = components.value, (components.n_first, components.n_second)
        return cls(value.new_empty(cls.n_parts(*sizes), *value.shape), *sizes)

    @staticmethod
    def n_parts(n_first: int, n_second: int) -> int:
        """Components that it holds."""
        return n_first + 2 * n_second + 1


def tanh_forward(argument: Components, out: Components, scratch: Scratch) -> None:
    """The components of tanh of the argument's."""
    torch.tanh(argument.values, out=out.values)
    if out.n_first:
        times_slope(argument.derivatives, out.value, out=out.derivatives)
    if out.n_second:
        squares = torch.mul(out.bent, argument.bent, out=scratch.crossed)
        out.seconds.addcmul_(squares, out.value, value=-2.0)


def tanh_backward(result: Components, gradient: Components, out: Components, scratch: Scratch) -> None:
    """The gradient in the components of the argument, from that in those of the result; `out` may be `gradient`."""
    if result.n_first:
        torch.mul(gradient.derivatives, result.derivatives, out=scratch.products)
        torch.sum(scratch.products, 0, out=scratch.total)
    if result.n_second:
        torch.mul(result.bent, gradient.seconds, out=scratch.crossed)
    times_slope(gradient.data, result.value, out=out.data)
    if result.others is not None and gradient.others is not None and out.others is not None:
        times_slope(gradient.others, result.others, out=out.others)
    if result.n_first:
        out.value.addcmul_(result.value, scratch.total, value=-2.0)
    if result.n_second:
        for slope, crossed in zip(result.bent_apart, scratch.crossed_apart, strict=True):
            out.value.addcmul_(slope, crossed, value=-2.0)
        out.bent.addcmul_(result.value, scratch.crossed, value=-4.0)


def times_slope(factor: Tensor, value: Tensor, *, out: Tensor) -> Tensor:
    """`factor` times 1 - value^2, the slope of tanh where it is `value`, by torch's own pass for it."""
    return torch.ops.aten.tanh_backward.grad_input(factor, value, grad_input=out)
