"""The components of a jet: which derivatives they are, and views of them."""

from dataclasses import dataclass
from functools import cached_property

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
