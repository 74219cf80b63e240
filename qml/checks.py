"""Argument checks that every room of this package shares; they are made once, at the public border.

A check named `as_...` returns the argument in the form that the code behind it works with; a check named `require_...`
only refuses. Each raises TypeError for a wrong kind and ValueError for a wrong value, and names the argument.
"""

import importlib.util
import math
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

PRECISIONS = (torch.float32, torch.float64)
FLOATING = (torch.float16, torch.bfloat16, *PRECISIONS)  # what torch computes with; it has no sums of 8-bit numbers
_TRACERS = (torch._C._TorchDispatchModeKey.PROXY, torch._C._TorchDispatchModeKey.FAKE)
_EXPORT = (
    "A layer with circuits must be exported by torch.export.export, but was given to {}, which cannot follow its "
    "checks of values and would keep those of one example. Use torch.export.export(layer, (inputs,))."
)


def as_int(value: Any, name: str, minimum: float | int, why: str = "") -> int:
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


def as_ints(values: Any, name: str, minimum: float | int, *, at_least: int = 1) -> tuple[int, ...]:
    """`values` as a tuple of `at_least` ints or more, each of at least `minimum`; one int alone is refused."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
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
    at_least: float | int = -math.inf,
    above: float | int = -math.inf,
    at_most: float | int = math.inf,
    below: float | int = math.inf,
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


def as_interval(value: Any, name: str) -> tuple[float, float]:
    """`value` as (left, right), two finite numbers, the left one below the right one."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"Argument `{name}` must be (left, right), but is {_shown(value)}.")
    ends = tuple(as_number(end, f"{name}[{place}]") for place, end in enumerate(value))
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(f"Argument `{name}` must be (left, right) with left below right, but is {value!r}.")
    return ends


def as_widths(values: Any, name: str) -> tuple[int, ...]:
    """`values` as the units of hidden layers, at least one layer of at least one unit; a number alone is one layer."""
    single = isinstance(values, (int, np.integer)) and not isinstance(values, (bool, np.bool_))
    return as_ints((values,) if single else values, name, 1)


def settle_numbers(
    options: object, *, ints: tuple[str, ...] = (), floats: tuple[str, ...] = (), optional: tuple[str, ...] = ()
) -> None:
    """Make the fields of a frozen dataclass plain ints and floats, where an `optional` one may be None.

    Ranges are checked by the class's own rules.
    """
    for names, settled in ((ints, lambda value, name: as_int(value, name, -math.inf)), (floats, as_number)):
        for name in names:
            value = getattr(options, name)
            if value is not None or name not in optional:
                object.__setattr__(options, name, settled(value, name))


def as_flag(value: Any, name: str) -> bool:
    """`value` as a bool; anything else than True and False is refused, since "no" counts as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"Argument `{name}` must be True or False, but is {_shown(value)}.")
    return bool(value)


def require_kind(value: Any, name: str, kind: type, fix: str = "") -> None:
    """Refuse what is not an instance of `kind`; `fix` is a sentence with a space in front."""
    if not isinstance(value, kind):
        raise TypeError(f"Argument `{name}` must be a {kind.__name__}, but is {_shown(value)}.{fix}")


def require_function(value: Any, name: str, maps: str) -> None:
    """Refuse what cannot be called; `maps` says from what to what."""
    if not callable(value):
        raise TypeError(f"Argument `{name}` must be a function {maps}, but is {_shown(value)}.")


def require_choice(value: Any, name: str, choices: tuple[Any, ...]) -> None:
    """Refuse a value that is not among `choices`."""
    if not any(value is choice or (isinstance(value, type(choice)) and value == choice) for choice in choices):
        raise ValueError(f"Argument `{name}` must be one of {', '.join(map(repr, choices))}, but is {value!r}.")


def require_precision(dtype: Any, name: str = "dtype") -> None:
    """Refuse a dtype of parameters that is neither float32, float64 nor None (torch's default)."""
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype in PRECISIONS):
        raise ValueError(f"Argument `{name}` must be torch.float32 or torch.float64, but is {dtype}.")


def require_tensor(value: Any, name: str) -> None:
    """Refuse what is not a dense tensor with values."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Argument `{name}` must be a torch.Tensor, but is {_shown(value)}. Convert it with torch.as_tensor."
        )
    if value.layout != torch.strided:
        raise TypeError(f"Argument `{name}` must be dense, but is {value.layout}. Pass {name}.to_dense().")
    if value.is_nested:
        raise TypeError(f"Argument `{name}` must be dense, but is nested. Pass {name}.to_padded_tensor(0.0).")


def as_inputs(inputs: Any, like: Tensor, name: str = "inputs") -> Tensor:
    """`inputs` as a dense tensor of the dtype and on the device of `like`, a parameter or table of the layer.

    Under autocast floating inputs are converted to the layer's own precision, in which it computes. Elsewhere another
    dtype is refused, as `torch.nn.Linear` refuses it. Values are not looked at; see `require_finite`.

    Raises:
        TypeError: no tensor, a sparse one, or another dtype; a layer whose parameters are in half precision; a call by
            `torch.jit.trace`.
        ValueError: another device.
    """
    require_full_precision(like)
    return as_like(inputs, like, name)


def as_like(inputs: Any, like: Tensor, name: str = "inputs") -> Tensor:
    """`as_inputs` for layers that compute in any floating precision, as classical ones do."""
    require_tensor(inputs, name)
    if torch.jit.is_tracing():
        raise TypeError(_EXPORT.format("torch.jit.trace"))
    require_device(inputs, like, name)
    if inputs.dtype == like.dtype:
        return inputs
    if inputs.is_floating_point() and in_autocast(inputs):
        return inputs.to(like.dtype)
    raise TypeError(
        f"Argument `{name}` must be {like.dtype} as the layer's parameters, but is {inputs.dtype}. "
        f"Convert it with {name}.to({like.dtype}), or the layer with layer.to({name}.dtype) if that is floating."
    )


def require_device(inputs: Tensor, like: Tensor, name: str) -> None:
    """Refuse inputs on another device than a layer, of which `like` is a parameter or table."""
    if inputs.device != like.device:
        raise ValueError(
            f"Argument `{name}` must be on {like.device}, where the layer is, but is on {inputs.device}. "
            "Move one of them with .to(device)."
        )


def require_same_device(value: Tensor, other: Tensor, name: str, of: str) -> None:
    """Refuse a tensor on another device than the argument that is called `of`."""
    if value.device != other.device:
        raise ValueError(
            f"Argument `{name}` must be on {other.device} as `{of}` is, but is on {value.device}. Move one of them "
            "with .to(device)."
        )


def require_full_precision(parameter: Tensor) -> None:
    """Refuse a layer whose parameters are neither float32 nor float64."""
    if parameter.dtype not in PRECISIONS:
        raise TypeError(
            f"The layer must be in float32 or float64, but its parameters are {parameter.dtype}, which circuits are "
            "not computed in. Convert it with layer.float(), and run it under torch.autocast for mixed precision."
        )


def refuse_scripting(module: nn.Module) -> nn.Module:
    """The method `__prepare_scriptable__` of a layer, which `torch.jit.script` calls first."""
    raise TypeError(_EXPORT.format("torch.jit.script"))


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
    if values.numel() and not values.is_meta and not hides_values():
        numbers = torch.view_as_real(values.detach().resolve_conj()) if values.is_complex() else values.detach()
        low, high = (bound.item() for bound in numbers.aminmax())
        require_finite_bounds(low, high, name)


def require_values(module: nn.Module) -> None:
    """Refuse a layer on the meta device, whose parameters have shapes only."""
    if any(parameter.is_meta for parameter in module.parameters()):
        raise ValueError(
            "The layer must have values, but is on the meta device. Call layer.to_empty(device=...) and load weights."
        )


def require_finite_parameters(module: nn.Module) -> None:
    """Refuse NaN and infinity in parameters and buffers, by the name of the one that holds them."""
    for name, values in (*module.named_parameters(), *module.named_buffers()):
        if not bool(values.detach().isfinite().all()):
            raise ValueError(
                f"Parameter `{name}` of {type(module).__name__} must be finite, but holds NaN or infinity. Load other "
                "weights, or train with a smaller step."
            )


def require_finite_result(result: Tensor, module: nn.Module) -> None:
    """Refuse parameters that are not finite, at the price of one look at what the layer made of finite inputs.

    A result that overflows though all parameters are finite passes, as it does in torch's own layers. As inputs are,
    parameters are not looked at within torch.func, torch.compile or on "meta".
    """
    if result.is_meta or hides_values() or math.isfinite(result.detach().sum().item()):
        return
    require_finite_parameters(module)


def require_generator(value: Any, name: str = "generator") -> None:
    """Refuse what is neither a torch.Generator nor None, a bare seed above all."""
    if value is not None and not isinstance(value, torch.Generator):
        raise TypeError(
            f"Argument `{name}` must be a torch.Generator or None, but is {_shown(value)}. Pass "
            "torch.Generator().manual_seed(seed)."
        )


def in_autocast(values: Tensor) -> bool:
    """Whether autocast is on for the device of `values`."""
    kind = values.device.type
    return kind != "meta" and torch.is_autocast_enabled(kind)  # torch knows no autocast on "meta", and raises


def full_precision(data: Tensor) -> AbstractContextManager:
    """Amplitudes keep the precision of the inputs: autocast to 16 bits stays outside."""
    return torch.autocast(data.device.type, enabled=False) if in_autocast(data) else nullcontext()


def in_transform() -> bool:
    """Whether values cannot be looked at: inside torch.func transforms or torch.compile."""
    return torch.compiler.is_compiling() or in_functorch()


def in_trace() -> bool:
    """Whether operations are recorded, as `torch.func.linearize` does, or tensors are fake and have no values.

    Not inside torch.compile, which has its own word and does not look into this one.
    """
    if torch.compiler.is_compiling() or not torch._C._len_torch_dispatch_stack():
        return False
    return any(torch._C._get_dispatch_mode(kind) is not None for kind in _TRACERS)  # pyright: ignore


def hides_values() -> bool:
    """Whether nobody can look at values: in transforms, and where operations are recorded."""
    return in_transform() or in_trace()


def needs_plain_operations() -> bool:
    """Whether only plain tensor operations are followed: where values hide, and by forward-mode derivatives."""
    return hides_values() or in_forward_mode()


def needs_plain_pullback(gradient: Tensor) -> bool:
    """Whether a backward pass must be made of plain operations.

    It must where a derivative of it is wanted, of either mode, and where many gradients come at once, by torch.func or
    by `is_grads_batched`.
    """
    if torch.is_grad_enabled() or in_functorch() or in_forward_mode():
        return True
    return torch._C._functorch.is_legacy_batchedtensor(gradient)  # pyright: ignore[reportAttributeAccessIssue]


def in_forward_mode() -> bool:
    """Whether a level of `torch.autograd.forward_ad` is open, in which tensors may carry tangents."""
    return forward_ad._current_level >= 0


def in_functorch() -> bool:
    """Whether torch.func transforms are active, which need plain tensor operations."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore[reportAttributeAccessIssue]


def _shown(value: Any) -> str:
    """The kind of a value, with the value itself where it is short."""
    kind = type(value).__name__
    return f"{kind} ({value!r})" if isinstance(value, (str, bool, int, float)) and len(repr(value)) < 40 else kind


def _bounds(at_least: float | int, above: float | int, at_most: float | int, below: float | int) -> str:
    """The bounds of a number in words."""
    low = f"at least {at_least:g}" if at_least > above else f"above {above:g}" if above > -math.inf else ""
    high = f"at most {at_most:g}" if at_most < below else f"below {below:g}" if below < math.inf else ""
    return f"be {' and '.join(part for part in (low, high) if part)}"


def require_installed(module: str, complaint: str, extra: str) -> None:
    """Refuse to go on without an optional package.

    Args:
        module: the name under which the package is imported.
        complaint: the first sentence of the error, without its full stop: what needs the package.
        extra: of this package, which installs the other one.

    Raises:
        ImportError: the package is not installed; the message holds the command that installs it.
    """
    if importlib.util.find_spec(module) is None:
        raise ImportError(f'{complaint}. Install it with: pip install "qml-circuits[{extra}]"')
