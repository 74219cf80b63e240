"""Argument checks that every room of this package shares; they are made once, at the public border.

A check named `as_...` returns the argument in the form that the code behind it works with; a check named `require_...`
only refuses. Each raises TypeError for a wrong kind and ValueError for a wrong value, and names the argument.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

PRECISIONS = (torch.float32, torch.float64)
FLOATING = (torch.float16, torch.bfloat16, *PRECISIONS)  # what torch computes with; it has no sums of 8-bit numbers


def as_int(value: Any, name: str, minimum: int, why: str = "") -> int:
    """`value` as an int of at least `minimum`. NumPy's integers are taken; booleans and floats are refused.

    Args:
        value: the argument.
        name: what the caller calls it.
        minimum: the least value that is allowed.
        why: a sentence behind the refusal of a smaller value, with a space in front.
    """
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"Argument `{name}` must be an int, but is {_shown(value)}.")
    if value < minimum:
        raise ValueError(f"Argument `{name}` must be at least {minimum}, but is {value}.{why}")
    return int(value)


def as_ints(values: Any, name: str, minimum: int, *, at_least: int = 1) -> tuple[int, ...]:
    """`values` as a tuple of `at_least` ints or more, each of at least `minimum`; one int alone is refused."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        fix = f" Pass [{values}]." if isinstance(values, (int, np.integer)) else ""
        raise TypeError(f"Argument `{name}` must be a sequence of ints, but is {_shown(values)}.{fix}")
    result = tuple(as_int(value, f"{name}[{place}]", minimum) for place, value in enumerate(values))
    if len(result) < at_least:
        raise ValueError(f"Argument `{name}` must hold at least {at_least} ints, but holds {len(result)}.")
    return result


def as_number(
    value: Any,
    name: str,
    *,
    at_least: float = -math.inf,
    above: float = -math.inf,
    at_most: float = math.inf,
    below: float = math.inf,
) -> float:
    """`value` as a finite float within the bounds. NumPy's numbers are taken; booleans and strings are refused."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"Argument `{name}` must be a number, but is {_shown(value)}.")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"Argument `{name}` must be finite, but is {number}.")
    if not (at_least <= number <= at_most and above < number < below):
        raise ValueError(f"Argument `{name}` must {_bounds(at_least, above, at_most, below)}, but is {number:g}.")
    return number


def as_flag(value: Any, name: str) -> bool:
    """`value` as a bool; anything else than True and False is refused, since "no" counts as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"Argument `{name}` must be True or False, but is {_shown(value)}.")
    return bool(value)


def require_choice(value: Any, name: str, choices: tuple[Any, ...]) -> None:
    """Refuse a value that is not among `choices`."""
    if value not in choices:
        raise ValueError(f"Argument `{name}` must be one of {', '.join(map(repr, choices))}, but is {value!r}.")


def require_precision(dtype: Any, name: str = "dtype") -> None:
    """Refuse a dtype of parameters that is neither float32, float64 nor None (torch's default)."""
    if dtype is not None and dtype not in PRECISIONS:
        raise ValueError(f"Argument `{name}` must be torch.float32 or torch.float64, but is {dtype}.")


def require_tensor(value: Any, name: str) -> None:
    """Refuse what is not a dense tensor with values."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Argument `{name}` must be a torch.Tensor, but is {_shown(value)}. Convert it with torch.as_tensor."
        )
    if value.layout != torch.strided:
        raise TypeError(f"Argument `{name}` must be dense, but is {value.layout}. Pass {name}.to_dense().")


def as_inputs(inputs: Any, like: Tensor, name: str = "inputs") -> Tensor:
    """`inputs` as a dense tensor of the dtype and on the device of `like`, a parameter or table of the layer.

    Under autocast floating inputs are converted to the layer's own precision, in which it computes. Elsewhere another
    dtype is refused, as `torch.nn.Linear` refuses it. Values are not looked at; see `require_finite`.

    Raises:
        TypeError: no tensor, a sparse one, or another dtype; a layer whose parameters are in half precision.
        ValueError: another device.
    """
    require_tensor(inputs, name)
    require_place(inputs, like, name)
    if inputs.dtype == like.dtype:
        return inputs
    if inputs.is_floating_point() and torch.is_autocast_enabled(inputs.device.type):
        return inputs.to(like.dtype)
    raise TypeError(
        f"Argument `{name}` must be {like.dtype} as the layer's parameters, but is {inputs.dtype}. "
        f"Convert it with {name}.to({like.dtype}), or the layer with layer.to({name}.dtype) if that is floating."
    )


def require_place(inputs: Tensor, like: Tensor, name: str = "inputs") -> None:
    """Refuse a layer in half precision, of which `like` is a parameter or table, and inputs on another device.

    Raises:
        TypeError: the layer is in half precision.
        ValueError: another device.
    """
    require_layer_precision(like)
    require_device(inputs, like, name)


def require_layer_precision(like: Tensor) -> None:
    """Refuse a layer in half precision, of which `like` is a parameter or table."""
    if like.dtype not in PRECISIONS:
        raise TypeError(
            f"The layer must be in float32 or float64, but its parameters are {like.dtype}, which circuits are not "
            "computed in. Convert it with layer.float(), and run it under torch.autocast for mixed precision."
        )


def require_device(inputs: Tensor, like: Tensor, name: str) -> None:
    """Refuse inputs on another device than a layer, of which `like` is a parameter or table."""
    if inputs.device != like.device:
        raise ValueError(
            f"Argument `{name}` must be on {like.device}, where the layer is, but is on {inputs.device}. "
            f"Move one of them with .to(device)."
        )


def require_last_dimension(inputs: Tensor, size: int, name: str) -> None:
    """Refuse a tensor whose last dimension is not `size`."""
    if inputs.ndim < 1 or inputs.shape[-1] != size:
        raise ValueError(
            f"Argument `{name}` must have shape (..., {size}), but has shape {tuple(inputs.shape)}. Pass that many "
            "features, or build the layer for as many as there are."
        )


def require_finite_bounds(low: float, high: float, name: str) -> None:
    """Refuse a tensor whose least or largest value is not finite."""
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"Argument `{name}` must be finite, but holds NaN or infinity. Check where it comes from.")


def require_finite(values: Tensor, name: str) -> None:
    """Refuse NaN and infinity, where values can be looked at: not within torch.func, torch.compile or on "meta"."""
    if values.numel() and values.device.type != "meta" and not in_transform():
        low, high = (bound.item() for bound in values.detach().aminmax())
        require_finite_bounds(low, high, name)


def in_transform() -> bool:
    """Whether values cannot be looked at: inside torch.func transforms or torch.compile."""
    return torch.compiler.is_compiling() or in_functorch()


def in_forward_mode() -> bool:
    """Whether `torch.autograd.forward_ad.dual_level` is active, where functions with their own pullback fail."""
    return torch.autograd.forward_ad._current_level >= 0


def in_functorch() -> bool:
    """Whether torch.func transforms are active, which need plain tensor operations."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore[reportAttributeAccessIssue]


def _shown(value: Any) -> str:
    """The kind of a value, with the value itself where it is short."""
    kind = type(value).__name__
    return f"{kind} ({value!r})" if isinstance(value, (str, bool, int, float)) and len(repr(value)) < 40 else kind


def _bounds(at_least: float, above: float, at_most: float, below: float) -> str:
    """The bounds of a number in words."""
    low = f"at least {at_least:g}" if at_least > above else f"above {above:g}" if above > -math.inf else ""
    high = f"at most {at_most:g}" if at_most < below else f"below {below:g}" if below < math.inf else ""
    return f"be {' and '.join(part for part in (low, high) if part)}"
