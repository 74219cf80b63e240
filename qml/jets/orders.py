"""The components of a jet: which derivatives they are, and views of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from torch import Tensor

Form = tuple[tuple[int, float], ...]


class Tower(NamedTuple):
    """The pure derivatives above the second along one direction.

    Attributes:
        first: the direction, counted from 0.
        second: the component of second order whose form is the square of this direction alone, counted from 0.
        order: of the highest derivative, 3 or 4.
    """

    first: int
    second: int
    order: int


@dataclass(frozen=True)
class Orders:
    """The derivatives that a jet carries beside its value: some along directions, and sums of second ones.

    A component of second order is sum_k c_k d_k^2, with d_k the derivative along direction k, plus derivatives of first
    order. An operator as the Laplacian thus moves as one component, whatever the number of its terms.

    Args:
        n_first: number of directions.
        forms: of each component of second order its directions k, counted from 0, with their c_k; at least one each.
        towers: directions with pure derivatives of third, or third and fourth order, which are the last components.

    Raises:
        ValueError: a tower of another order, or one without its second derivative.

    Reference:
        Li et al., forward Laplacian, arXiv:2307.08214. Higher orders along one direction are Taylor-mode
        differentiation: Griewank, Walther, Evaluating Derivatives, 2008, chapter 13.
    """

    n_first: int
    forms: tuple[Form, ...]
    towers: tuple[Tower, ...] = ()

    def __post_init__(self) -> None:
        for first, second, order in self.towers:
            if order not in (3, 4) or second >= len(self.forms) or self.forms[second] != ((first, 1.0),):
                raise ValueError(
                    "Argument `towers` must hold (direction, component of its square, 3 or 4), but holds "
                    f"{(first, second, order)} beside the forms {self.forms}."
                )

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.n_first, self.forms, self.towers))

    @cached_property
    def n_second(self) -> int:
        """Return the number of components of second order."""
        return len(self.forms)

    @cached_property
    def n_components(self) -> int:
        """Return the number of components, the value included."""
        return 1 + self.n_first + self.n_second + sum(tower.order - 2 for tower in self.towers)

    @cached_property
    def tower_places(self) -> tuple[tuple[int, ...], ...]:
        """Return for each tower the components of its first, second, third (and fourth) derivative."""
        places, start = [], 1 + self.n_first + self.n_second
        for first, second, order in self.towers:
            higher = range(start, start + order - 2)
            places.append((1 + first, 1 + self.n_first + second, *higher))
            start = higher.stop
        return tuple(places)

    @cached_property
    def second_order_terms(self) -> tuple[tuple[int, int, float], ...]:
        """Return (component of second order, direction, c) for every term of all forms."""
        return tuple((index, *term) for index, form in enumerate(self.forms) for term in form)


class Components:
    """Views of the components [value, first derivatives, second-order sums], each made when it is asked for.

    Args:
        data: (n_components, ...).
        orders: of the components.
        rows: (others + batch, units), values at other points and then the first component; None for this alone.
    """

    def __init__(self, data: Tensor, orders: Orders, rows: Tensor | None = None) -> None:
        self.data, self.orders, self._rows = data, orders, rows

    @cached_property
    def values(self) -> Tensor:
        """Return `rows`, or the first component where there are no other points."""
        return self.value if self._rows is None else self._rows

    @cached_property
    def others(self) -> Tensor | None:
        """Return the values at the other points; None where there are none."""
        return None if self._rows is None else self._rows[: self._rows.shape[0] - self.value.shape[0]]

    @cached_property
    def value(self) -> Tensor:
        """Return the first component."""
        return self.data[0]

    @cached_property
    def derivatives(self) -> Tensor:
        """Return the components of all orders, without the value."""
        return self.data[1:]

    @cached_property
    def each_derivative(self) -> tuple[Tensor, ...]:
        """Return the components of all orders, without the value, as a tuple."""
        return self.derivatives.unbind()

    @cached_property
    def firsts(self) -> Tensor:
        """Return the components of first order."""
        return self.derivatives[: self.orders.n_first]

    @cached_property
    def each_first(self) -> tuple[Tensor, ...]:
        """Return the components of first order as a tuple."""
        return self.each_derivative[: self.orders.n_first]

    @cached_property
    def seconds(self) -> Tensor:
        """Return the components of second order."""
        return self.derivatives[self.orders.n_first : self.orders.n_first + self.orders.n_second]

    @cached_property
    def each_second(self) -> tuple[Tensor, ...]:
        """Return the components of second order as a tuple."""
        return self.each_derivative[self.orders.n_first : self.orders.n_first + self.orders.n_second]


class ProductBuffers:
    """Memory for the products of components that a rule forms on the way.

    Args:
        memory: (n_parts, ...), with the shape of a component.

    Attributes:
        total: memory for a sum of products.
        terms: memory for one product a term of second order.
    """

    def __init__(self, memory: Tensor) -> None:
        self.total, *self.terms = memory.unbind()

    @classmethod
    def like(cls, components: Components) -> "ProductBuffers":
        """Allocate memory for one pass over such components."""
        value = components.value
        return cls(value.new_empty(cls.n_parts(components.orders), *value.shape))

    @staticmethod
    def n_parts(orders: Orders) -> int:
        """Return the number of tensors that the memory must hold."""
        return 1 + len(orders.second_order_terms)
