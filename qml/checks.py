"""Argument checks that every room of this package shares; they are made once, at the public border.

Here are those of tensors, modules and torch's modes; those that need no torch are in `circuits.plain_checks`, by whose
conventions all of them are named.
"""

import importlib.util
import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from circuits.plain_checks import (  # noqa: F401 - rooms that use torch get all checks here
    as_flag,
    as_float,
    as_int,
    as_interval,
    as_ints,
    as_number,
    as_shots,
    as_text,
    as_texts,
    as_widths,
    has_members,
    require_choice,
    require_function,
    require_kind,
    settle_numbers,
    shown,
)

PRECISIONS = (torch.float32, torch.float64)
FLOATING = (torch.float16, torch.bfloat16, *PRECISIONS)  # dtypes of torch's sums, which it has not for 8-bit numbers
_TRACERS = (torch._C._TorchDispatchModeKey.PROXY, torch._C._TorchDispatchModeKey.FAKE)
_UNCHANGED = nullcontext()
_EXPORT = (
    "This layer must be exported by torch.export.export, but was given to {}, which cannot follow its checks of values "
    "and would keep the choices and steps of one example. Use torch.export.export(layer, (inputs,))."
)


def require_precision(dtype: Any, name: str = "dtype") -> None:
    """Refuse a dtype of parameters that is neither float32, float64 nor None (torch's default)."""
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype in PRECISIONS):
        raise ValueError(f"Argument `{name}` must be torch.float32 or torch.float64, but is {dtype}.")


def require_tensor(value: Any, name: str) -> None:
    """Refuse anything but a dense tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"Argument `{name}` must be a torch.Tensor, but is {shown(value)}. Convert it with torch.as_tensor."
        )
    if value.layout != torch.strided:
        raise TypeError(f"Argument `{name}` must be dense, but is {value.layout}. Pass {name}.to_dense().")
    if value.is_nested:
        raise TypeError(f"Argument `{name}` must be dense, but is nested. Pass {name}.to_padded_tensor(0.0).")


def as_inputs(inputs: Any, like: Tensor, name: str = "inputs") -> Tensor:
    """Return `inputs` as a dense tensor of the dtype and on the device of `like`, a parameter or table of the layer.

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
    """Check inputs as `as_inputs` does, for layers that compute in any floating precision, as classical ones do."""
    require_tensor(inputs, name)
    refuse_tracing()
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


def refuse_tracing() -> None:
    """Refuse a call by `torch.jit.trace`."""
    if torch.jit.is_tracing():
        raise TypeError(_EXPORT.format("torch.jit.trace"))


def refuse_scripting(module: nn.Module) -> nn.Module:
    """Refuse `torch.jit.script`, which calls a layer's method `__prepare_scriptable__`, this function, first."""
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
    """Refuse NaN and infinity if values can be read: not within torch.func, torch.compile or on "meta"."""
    if values.numel() and not values.is_meta and not hides_values():
        numbers = torch.view_as_real(values.detach().resolve_conj()) if values.is_complex() else values.detach()
        low, high = (bound.item() for bound in numbers.aminmax())
        require_finite_bounds(low, high, name)


def require_all_finite(**tensors: Tensor) -> None:
    """Refuse NaN and infinity in real tensors on one device, by the name of the first that holds them.

    Their values must not be hidden (`hides_values`).
    """
    total = sum(values.detach().sum() for values in tensors.values())
    if math.isfinite(float(total)):  # finite only if all terms are
        return
    for name, values in tensors.items():
        if not bool(values.detach().isfinite().all()):
            raise ValueError(f"Argument `{name}` must be finite, but holds NaN or infinity. Check where it comes from.")


def is_finite(values: Tensor) -> bool:
    """Return False if there is NaN or infinity and values can be read: not on "meta" or inside torch.func."""
    if values.is_meta or in_transform():
        return True
    # a sum is finite only if all terms are, and is cheaper than a look at each of them
    return math.isfinite(values.sum().item()) or bool(values.isfinite().all())


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
    """Refuse parameters that are not finite, at the price of one look at the layer's result for finite inputs.

    A result that overflows although all parameters are finite passes, as it does in torch's own layers. Like inputs,
    parameters are not read within torch.func, torch.compile or on "meta".
    """
    if result.is_meta or hides_values() or math.isfinite(result.detach().sum().item()):
        return
    require_finite_parameters(module)


def require_generator(value: Any, name: str = "generator") -> None:
    """Refuse anything but a torch.Generator or None, in particular a bare seed."""
    if value is not None and not isinstance(value, torch.Generator):
        raise TypeError(
            f"Argument `{name}` must be a torch.Generator or None, but is {shown(value)}. Pass "
            "torch.Generator().manual_seed(seed)."
        )


def in_autocast(values: Tensor) -> bool:
    """Tell whether autocast is on for the device of `values`."""
    if not torch._C._is_any_autocast_enabled():
        return False
    kind = values.device.type
    return kind != "meta" and torch.is_autocast_enabled(kind)  # torch knows no autocast on "meta", and raises


def full_precision(data: Tensor) -> AbstractContextManager:
    """Switch autocast off within this context, so that amplitudes keep the precision of the inputs."""
    return torch.autocast(data.device.type, enabled=False) if in_autocast(data) else _UNCHANGED


def in_full_precision(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Make the backward pass of an autograd function compute in the precision of its gradient, under autocast too.

    torch switches autocast off in no backward pass of its own accord: one that is called inside of the context would
    multiply matrices in 16 bits.
    """

    @wraps(backward)
    def run(ctx: Any, *gradients: Tensor) -> Any:
        with full_precision(gradients[0]):
            return backward(ctx, *gradients)

    return run


def is_traced() -> bool:
    """Tell whether torch.compile or torch.export traces this thread.

    torch's own flag, `torch.compiler.is_compiling`, is one for all threads: while one compiles, others run circuits.
    """
    return torch.compiler.is_dynamo_compiling() or (
        torch.compiler.is_exporting() and bool(torch._C._len_torch_dispatch_stack())
    )


def in_transform() -> bool:
    """Tell whether values cannot be read: inside torch.func transforms or torch.compile."""
    return is_traced() or in_functorch()


def hides_values_of(values: Tensor) -> bool:
    """Tell whether the values of a tensor cannot be read: in torch.compile, or where `torch.func.vmap` maps it.

    What no vmap maps can be read inside other transforms, such as the targets of a gradient by parameters.
    """
    if is_traced():
        return True
    while torch._C._functorch.is_gradtrackingtensor(values):  # pyright: ignore
        values = torch._C._functorch.get_unwrapped(values)  # pyright: ignore
    return torch._C._functorch.is_functorch_wrapped_tensor(values)  # pyright: ignore


def in_trace() -> bool:
    """Tell whether operations are recorded, as by `torch.func.linearize`, or tensors are fake and have no values.

    Return False inside torch.compile, which cannot trace this question and has one of its own (`in_transform`).
    """
    if is_traced() or not torch._C._len_torch_dispatch_stack():
        return False
    return any(torch._C._get_dispatch_mode(kind) is not None for kind in _TRACERS)  # pyright: ignore


def hides_values() -> bool:
    """Tell whether values cannot be read: in transforms, and while operations are recorded."""
    return in_transform() or in_trace()


def needs_plain_operations() -> bool:
    """Tell whether only plain tensor operations work: while values are hidden, and in forward-mode derivatives."""
    return hides_values() or in_forward_mode()


def needs_plain_pullback(gradient: Tensor) -> bool:
    """Tell whether a backward pass must consist of plain operations.

    It must if it is to be differentiated in either mode, and if many gradients come at once, by torch.func or by
    `is_grads_batched`.
    """
    if torch.is_grad_enabled() or in_functorch() or in_forward_mode():
        return True
    return torch._C._functorch.is_legacy_batchedtensor(gradient)  # pyright: ignore[reportAttributeAccessIssue]


def in_forward_mode() -> bool:
    """Tell whether a level of `torch.autograd.forward_ad` is open, in which tensors may carry tangents."""
    return forward_ad._current_level >= 0


def in_functorch() -> bool:
    """Tell whether torch.func transforms are active, which need plain tensor operations."""
    return torch._C._functorch.peek_interpreter_stack() is not None  # pyright: ignore[reportAttributeAccessIssue]


def in_one_vmap() -> bool:
    """Tell whether a single `torch.vmap` is active and no other transform, so that an own rule for it can run."""
    if is_traced() or not in_functorch() or in_trace() or in_forward_mode():
        return False
    levels = torch._C._functorch.get_interpreter_stack()  # pyright: ignore[reportAttributeAccessIssue]
    return len(levels) == 1 and levels[0].key() == torch._C._functorch.TransformType.Vmap  # pyright: ignore


def is_installed(module: str) -> bool:
    """Tell whether a module can be found; its parents are imported, but not the module itself."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # a parent
        return False


def require_installed(module: str, complaint: str, extra: str) -> None:
    """Refuse to go on without an optional package.

    Args:
        module: the name under which the package is imported.
        complaint: the first sentence of the error, without its full stop: what needs the package.
        extra: of this package, which installs the other one.

    Raises:
        ImportError: the package is not installed; the message holds the command that installs it.
    """
    if not is_installed(module):
        raise ImportError(f'{complaint}. Install it with: pip install "qml-circuits[{extra}]"')
