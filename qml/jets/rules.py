"""The rules of torch's functions for jets: activations, products, linear layers and joins, with their derivatives."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx
from torch.nn import functional

from qml.jets.jet import RULES, Array, Jet, JetError, Number
from qml.jets.orders import Components, Orders, ProductBuffers
from qml.jets.tanh import tanh_backward, tanh_forward, weighted_products
from qml.jets.towers import add_activation, add_activation_gradient, add_product, add_product_gradient


class Activation(NamedTuple):
    """A function of one variable with five derivatives: f and f' of x, the others of x, f and f'."""

    value_and_slope: Callable[[Tensor], tuple[Tensor, Tensor]]
    second: Callable[[Tensor, Tensor, Tensor], Tensor]
    third: Callable[[Tensor, Tensor, Tensor], Tensor]
    fourth: Callable[[Tensor, Tensor, Tensor], Tensor]
    fifth: Callable[[Tensor, Tensor, Tensor], Tensor]

    def from_second(self, argument: Tensor, value: Tensor, slope: Tensor) -> tuple[Tensor, ...]:
        """Return the derivatives from the second to the fifth."""
        return tuple(
            function(argument, value, slope) for function in (self.second, self.third, self.fourth, self.fifth)
        )


def _sigmoid(argument: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.sigmoid(argument)
    return value, value - value * value


def _atan(argument: Tensor) -> tuple[Tensor, Tensor]:
    return torch.atan(argument), torch.reciprocal(1 + argument * argument)


def _reciprocal(argument: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.reciprocal(argument)
    return value, -value * value


def _exp(argument: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.exp(argument)
    return value, value


def _tanh(argument: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.tanh(argument)
    return value, 1 - value * value


def _of_value(_argument: Tensor, value: Tensor, _slope: Tensor) -> Tensor:
    return value


def _zeros(_argument: Tensor, value: Tensor, _slope: Tensor) -> Tensor:
    return torch.zeros_like(value)


def _rsqrt(argument: Tensor) -> tuple[Tensor, Tensor]:
    value = torch.rsqrt(argument)
    return value, -0.5 * value**3


def _erf(argument: Tensor) -> tuple[Tensor, Tensor]:
    return torch.erf(argument), 2 / math.sqrt(math.pi) * torch.exp(-argument * argument)


def _log(argument: Tensor) -> tuple[Tensor, Tensor]:
    return torch.log(argument), torch.reciprocal(argument)


def _asin(argument: Tensor) -> tuple[Tensor, Tensor]:
    return torch.asin(argument), torch.rsqrt(1 - argument * argument)


ACTIVATIONS = {
    "sigmoid": Activation(
        _sigmoid,
        lambda x, f, slope: slope * (1 - 2 * f),
        lambda x, f, slope: slope * (1 - 6 * slope),
        lambda x, f, slope: slope * (1 - 2 * f) * (1 - 12 * slope),
        lambda x, f, slope: slope * (1 - 30 * slope + 120 * slope**2),
    ),
    "sin": Activation(
        lambda x: (torch.sin(x), torch.cos(x)),
        lambda x, f, slope: -f,
        lambda x, f, slope: -slope,
        lambda x, f, slope: f,
        lambda x, f, slope: slope,
    ),
    "cos": Activation(
        lambda x: (torch.cos(x), -torch.sin(x)),
        lambda x, f, slope: -f,
        lambda x, f, slope: -slope,
        lambda x, f, slope: f,
        lambda x, f, slope: slope,
    ),
    "exp": Activation(_exp, _of_value, _of_value, _of_value, _of_value),
    # The argument is the tangent of the value.
    "atan": Activation(
        _atan,
        lambda x, f, slope: -torch.sin(2 * f) * slope,
        lambda x, f, slope: slope * (torch.sin(2 * f) ** 2 - 2 * torch.cos(2 * f) * slope),
        lambda x, f, slope: 6 * slope**2 * torch.sin(4 * f),
        lambda x, f, slope: 24 * slope**2 * torch.cos(f) * torch.cos(5 * f),
    ),
    "reciprocal": Activation(
        _reciprocal,
        lambda x, f, slope: 2 * f**3,
        lambda x, f, slope: -6 * f**4,
        lambda x, f, slope: 24 * f**5,
        lambda x, f, slope: -120 * f**6,
    ),
    "rsqrt": Activation(
        _rsqrt,
        lambda x, f, slope: 3 / 4 * f**5,
        lambda x, f, slope: -15 / 8 * f**7,
        lambda x, f, slope: 105 / 16 * f**9,
        lambda x, f, slope: -945 / 32 * f**11,
    ),
    "erf": Activation(
        _erf,
        lambda x, f, slope: -2 * x * slope,
        lambda x, f, slope: (4 * x * x - 2) * slope,
        lambda x, f, slope: (12 - 8 * x * x) * x * slope,
        lambda x, f, slope: (16 * x**4 - 48 * x * x + 12) * slope,
    ),
    "log": Activation(
        _log,
        lambda x, f, slope: -(slope**2),
        lambda x, f, slope: 2 * slope**3,
        lambda x, f, slope: -6 * slope**4,
        lambda x, f, slope: 24 * slope**5,
    ),
    "asin": Activation(
        _asin,
        lambda x, f, slope: x * slope**3,
        lambda x, f, slope: (1 + 2 * x * x) * slope**5,
        lambda x, f, slope: (9 + 6 * x * x) * x * slope**7,
        lambda x, f, slope: (9 + 72 * x * x + 24 * x**4) * slope**9,
    ),
    # The slope jumps at 0, where all higher derivatives are taken as 0.
    "abs": Activation(lambda x: (torch.abs(x), torch.sign(x)), _zeros, _zeros, _zeros, _zeros),
    "relu": Activation(lambda x: (torch.relu(x), (x > 0).to(x.dtype)), _zeros, _zeros, _zeros, _zeros),
}
TANH = Activation(  # for jets with towers; `_Tanh` is quicker without
    _tanh,
    lambda x, f, slope: -2 * f * slope,
    lambda x, f, slope: slope * (4 - 6 * slope),
    lambda x, f, slope: slope * f * (24 * slope - 8),
    lambda x, f, slope: slope * (16 - 120 * slope + 120 * slope**2),
)


class _Apply(torch.autograd.Function):
    """An activation f that is applied to all components.

    From the value v_0, the derivatives v_k along directions and v_Q of the form sum_k c_k d_k^2 come f(v_0), f' v_k and
    f' v_Q + f'' sum_k c_k v_k^2.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, data: Tensor, orders: Orders, activation: Activation) -> Tensor:
        value, slope = activation.value_and_slope(data[0])
        result = torch.empty_like(data)
        result[0] = value
        torch.mul(data[1:], slope, out=result[1:])
        if orders.forms:
            out, firsts = Components(result, orders), Components(data, orders).each_first
            second = activation.second(data[0], value, slope)
            for form, component in zip(orders.forms, out.each_second, strict=True):
                total, scale = weighted_products(form, firsts, firsts)
                component.addcmul_(total, second, value=scale)
        if orders.towers:
            add_activation(result, data, orders, activation.from_second(data[0], value, slope))
        ctx.save_for_backward(data, value, slope)
        ctx.kept = orders, activation  # pyright: ignore[reportAttributeAccessIssue]
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        data, value, slope = ctx.saved_tensors
        orders, activation = ctx.kept
        second = activation.second(data[0], value, slope)
        result = torch.empty_like(data)
        torch.mul(gradient, slope, out=result)
        if orders.n_components > 1:
            result[0].addcmul_(second, sum_of_products(data[1:], gradient[1:]))
        if orders.forms:
            firsts, of_seconds = Components(data, orders).each_first, Components(gradient, orders).each_second
            third = activation.third(data[0], value, slope)
            for index, first, scale in orders.second_order_terms:
                product = firsts[first] * of_seconds[index]
                result[1 + first].addcmul_(product, second, value=2.0 * scale)
                result[0].addcmul_(third, product.mul_(firsts[first]), value=scale)
        if orders.towers:
            add_activation_gradient(result, data, gradient, orders, activation.from_second(data[0], value, slope))
        return result, None, None


class _Tanh(torch.autograd.Function):
    """The function `_Apply` for tanh, which takes fewer passes and saves the result alone."""

    @staticmethod
    def forward(ctx: FunctionCtx, data: Tensor, orders: Orders) -> Tensor:
        result = torch.empty(data.shape, dtype=data.dtype, device=data.device)
        ctx.orders = orders  # pyright: ignore[reportAttributeAccessIssue]
        argument, out = (Components(part, orders) for part in (data, result))
        tanh_forward(argument, out, ProductBuffers.like(out))
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        (saved,) = ctx.saved_tensors
        of_argument = torch.empty_like(saved)
        result, of_result, out = (Components(part, ctx.orders) for part in (saved, gradient, of_argument))
        tanh_backward(result, of_result, out, ProductBuffers.like(out))
        return of_argument, None


def require_first_order() -> None:
    """Refuse a second derivative in weights: backward passes of jets are not recorded."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "Jets have derivatives in weights of first order only, but a second one was asked for (create_graph=True). "
            "Build the Pinn with derivatives='nested'."
        )


def sum_of_products(left: Tensor, right: Tensor) -> Tensor:
    """Sum products over the first dimension, without memory for all of them."""
    total = left[0] * right[0]
    for index in range(1, len(left)):
        total.addcmul_(left[index], right[index])
    return total


class _Product(torch.autograd.Function):
    """The product of two jets by the product rule.

    Its components are a_0 b_0, a_0 b_k + a_k b_0 and, for a form Q, a_0 b_Q + 2 sum_k c_k a_k b_k + a_Q b_0.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, left: Tensor, right: Tensor, orders: Orders) -> Tensor:
        result = left * right[0]
        result[1:].addcmul_(right[1:], left[0])
        for index, first, scale in orders.second_order_terms:
            result[1 + orders.n_first + index].addcmul_(left[1 + first], right[1 + first], value=2.0 * scale)
        add_product(result, left, right, orders)
        ctx.save_for_backward(left, right)
        ctx.orders = orders  # pyright: ignore[reportAttributeAccessIssue]
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        left, right = ctx.saved_tensors
        return _transposed(gradient, right, ctx.orders), _transposed(gradient, left, ctx.orders), None


def _transposed(gradient: Tensor, other: Tensor, orders: Orders) -> Tensor:
    """Return the gradient in one factor of a product."""
    result = gradient * other[0]
    if orders.n_components > 1:
        result[0].add_(sum_of_products(gradient[1:], other[1:]))
    for index, first, scale in orders.second_order_terms:
        result[1 + first].addcmul_(gradient[1 + orders.n_first + index], other[1 + first], value=2.0 * scale)
    add_product_gradient(result, gradient, other, orders)
    return result


class _Shift(torch.autograd.Function):
    """The sum of a jet and a bias, in place: only the value changes."""

    @staticmethod
    def forward(ctx: FunctionCtx, data: Tensor, bias: Tensor) -> Tensor:
        data[0] += bias
        ctx.mark_dirty(data)
        return data

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        require_first_order()
        return gradient, gradient[0].flatten(0, -2).sum(0)


def _linear(jet: Jet, weight: Tensor, bias: Tensor | None = None) -> Jet:
    product = functional.linear(jet.data, weight)
    return jet.like(product if bias is None else _Shift.apply(product, bias))  # pyright: ignore[reportArgumentType]


def _rule_of(activation: Activation) -> Callable[..., Jet]:
    def apply(jet: Jet, inplace: bool = False) -> Jet:  # as relu is called; the result is the same
        return jet.like(_Apply.apply(jet.data, jet.orders, activation))  # pyright: ignore[reportArgumentType]

    return apply


def _tanh_of(jet: Jet) -> Jet:
    if jet.orders.towers:
        return jet.like(_Apply.apply(jet.data, jet.orders, TANH))  # pyright: ignore[reportArgumentType]
    return jet.like(_Tanh.apply(jet.data, jet.orders))  # pyright: ignore[reportArgumentType]


def _add(left: "Array | Number", right: "Array | Number") -> Jet:
    if not isinstance(left, Jet):
        left, right = right, left
    if not isinstance(left, Jet):
        raise TypeError("One of the two terms must be a jet.")
    if isinstance(right, Jet):
        return left.like(left.data + right.data)
    return left.like(torch.cat([(left.data[:1] + right), left.data[1:]]))


def _subtract(left: Tensor, right: Jet) -> Jet:
    return _add(-right, left)


def _multiply(left: "Array | Number", right: "Array | Number") -> Jet:
    if not isinstance(left, Jet):
        left, right = right, left
    if not isinstance(left, Jet):
        raise TypeError("One of the two factors must be a jet.")
    if isinstance(right, Jet):
        if left.shape != right.shape:
            raise JetError(f"Jets must have equal shapes to be multiplied, but have {left.shape} and {right.shape}.")
        return left.like(_Product.apply(left.data, right.data, left.orders))  # pyright: ignore[reportArgumentType]
    return left.like(left.data * right)


def _divide(left: "Array | Number", right: "Array | Number") -> Jet:
    if not isinstance(right, Jet):
        if not isinstance(left, Jet):
            raise TypeError("One of the two parts of a quotient must be a jet.")
        return left.like(left.data / right)
    inverse: Any = torch.reciprocal(right)  # pyright: ignore[reportArgumentType]
    return left * inverse


def _joined(join: Callable[..., Tensor]) -> Callable[..., Jet]:
    def joined(parts: Sequence[Array], dim: int = 0) -> Jet:
        jets = [part for part in parts if isinstance(part, Jet)]
        if len(jets) < len(parts):
            raise JetError("Jets can only be joined with jets.")
        return jets[0].like(join([jet.data for jet in jets], dim if dim < 0 else dim + 1))

    return joined


def _chunk(jet: Jet, chunks: int, dim: int = 0) -> tuple[Jet, ...]:
    return tuple(jet.like(part) for part in jet.data.chunk(chunks, dim if dim < 0 else dim + 1))


RULES |= {
    "chunk": _chunk,
    "linear": _linear,
    "add": _add,
    "sub": _subtract,
    "rsub": lambda jet, other: _add(-jet, other),
    "mul": _multiply,
    "div": _divide,
    "cat": _joined(torch.cat),
    "stack": _joined(torch.stack),
    "tanh": _tanh_of,
    **{name: _rule_of(activation) for name, activation in ACTIVATIONS.items()},
}
