"""The third and fourth derivatives along a direction: what rules add to a jet's components, and to their gradients.

With v_n the n-th derivative of the argument along a direction, Faa di Bruno's formula gives those of y = f(v) as
y_3 = f' v_3 + 3 f'' v_1 v_2 + f''' v_1^3 and y_4 = f' v_4 + f'' (4 v_1 v_3 + 3 v_2^2) + 6 f''' v_1^2 v_2 + f'''' v_1^4.
The rules multiply all components by f' themselves; these functions add the rest in place. A direction without a fourth
derivative takes the first of the two formulas alone.
"""

from collections.abc import Sequence

from torch import Tensor

from qml.jets.orders import Orders

Derivatives = Sequence[Tensor]
"""The derivatives of an activation from the second on: to the fourth, and for gradients to the fifth."""


def add_activation(result: Tensor, data: Tensor, orders: Orders, derivatives: Derivatives) -> None:
    """Add to the result's components of third and fourth order what f'' and higher derivatives give.

    Args:
        result: components of f(v), (components, ...).
        data: components of v, whose last dimensions broadcast to those of the result.
        orders: of both.
        derivatives: of f at the value.
    """
    second, third, fourth = derivatives[:3]
    for places in orders.tower_places:
        v1, v2, v3 = (data[place] for place in places[:3])
        square = v1 * v1
        result[places[2]].addcmul_(second, v1 * v2, value=3.0).addcmul_(third, v1 * square)
        if len(places) > 3:
            bends = (4 * v1 * v3).addcmul_(v2, v2, value=3.0)
            result[places[3]].addcmul_(second, bends).addcmul_(third, square * v2, value=6.0)
            result[places[3]].addcmul_(fourth, square * square)


def add_activation_gradient(
    result: Tensor, data: Tensor, gradient: Tensor, orders: Orders, derivatives: Derivatives
) -> None:
    """Add to the gradient in the argument's components what flows back by `add_activation`."""
    second, third, fourth, fifth = derivatives
    for places in orders.tower_places:
        v1, v2, v3 = (data[place] for place in places[:3])
        g3, square = gradient[places[2]], v1 * v1
        of_first = (3 * second * v2).addcmul_(third, square, value=3.0)
        result[places[0]].addcmul_(g3, of_first)
        result[places[1]].addcmul_(g3, second * v1, value=3.0)
        result[0].addcmul_(g3, (3 * third * v1 * v2).addcmul_(fourth * v1, square))
        if len(places) > 3:
            g4, cube = gradient[places[3]], square * v1
            of_first = (4 * second * v3).addcmul_(third * v1, v2, value=12.0).addcmul_(fourth, cube, value=4.0)
            result[places[0]].addcmul_(g4, of_first)
            result[places[1]].addcmul_(g4, (second * v2).addcmul_(third, square), value=6.0)
            result[places[2]].addcmul_(g4, second * v1, value=4.0)
            bends = (4 * v1 * v3).addcmul_(v2, v2, value=3.0)
            of_value = (third * bends).addcmul_(fourth * square, v2, value=6.0).addcmul_(fifth * v1, cube)
            result[0].addcmul_(g4, of_value)


def add_product(result: Tensor, left: Tensor, right: Tensor, orders: Orders) -> None:
    """Add to the components of a product what Leibniz's rule gives beside a_0 b_n + a_n b_0."""
    for places in orders.tower_places:
        (a1, a2, a3), (b1, b2, b3) = ([part[place] for place in places[:3]] for part in (left, right))
        result[places[2]].addcmul_(a1, b2, value=3.0).addcmul_(a2, b1, value=3.0)
        if len(places) > 3:
            result[places[3]].addcmul_(a1, b3, value=4.0).addcmul_(a3, b1, value=4.0).addcmul_(a2, b2, value=6.0)


def add_product_gradient(result: Tensor, gradient: Tensor, other: Tensor, orders: Orders) -> None:
    """Add to the gradient in one factor what flows back by `add_product`; `other` is the other factor."""
    for places in orders.tower_places:
        b1, b2, b3 = (other[place] for place in places[:3])
        g3 = gradient[places[2]]
        result[places[0]].addcmul_(g3, b2, value=3.0)
        result[places[1]].addcmul_(g3, b1, value=3.0)
        if len(places) > 3:
            g4 = gradient[places[3]]
            result[places[0]].addcmul_(g4, b3, value=4.0)
            result[places[1]].addcmul_(g4, b2, value=6.0)
            result[places[2]].addcmul_(g4, b1, value=4.0)
