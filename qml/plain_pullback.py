"""Autograd functions that torch's transforms do not know: backward passes of plain operations, and one `torch.vmap`."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._functorch.pyfunctorch import retrieve_current_functorch_interpreter
from torch._functorch.vmap import lazy_load_decompositions


def plain_pullback(
    function: Callable[..., Tensor | tuple[Tensor, ...]],
    leaves: Sequence[Tensor | None],
    needed: Sequence[bool],
    gradients: Sequence[Tensor],
) -> list[Tensor | None]:
    """Return gradients of `leaves` by autograd through `function`; None where `needed` is False.

    The gradients are partial derivatives, though leaves may depend on each other: the inputs of a layer that is called
    twice depend on its weights. So `function` receives aliases, at which autograd stops.

    Args:
        function: of the leaves, by plain operations.
        leaves: what the autograd function saved.
        needed: which gradients are wanted.
        gradients: of the function's results.
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        aliases = [None if leaf is None else leaf.view_as(leaf) for leaf in leaves]
        results = function(*aliases)
    asked = [alias for alias, wanted in zip(aliases, needed, strict=True) if wanted and alias is not None]
    computed = iter(torch.autograd.grad(results, asked, gradients, create_graph=create_graph, materialize_grads=True))
    return [next(computed) if wanted else None for wanted in needed]


def mapped(function: Callable[..., Tensor], size: int, *tensors: Tensor) -> Tensor:
    """Map over the first dimension of tensors and result as `torch.vmap`, whose checks cost more than small functions.

    Args:
        function: of one entry of each tensor, to one tensor; what is random is refused.
        size: of the first dimension.
        tensors: all mapped over.
    """
    functorch = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]
    lazy_load_decompositions()
    level = functorch._vmap_increment_nesting(size, "error")
    try:
        result = function(*(functorch._add_batch_dim(part, 0, level) for part in tensors))
        return functorch._remove_batch_dim(result, level, size, 0)
    finally:
        functorch._vmap_decrement_nesting()


def in_groups(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Call a function once for all that one `torch.vmap` maps over, see `qml.checks.in_one_vmap`.

    Args:
        function: of tensors with one more dimension in front, of size 1 where nothing is mapped over; so is its result.
        tensors: as they are inside of `torch.vmap`.
    """
    interpreter: Any = retrieve_current_functorch_interpreter()
    level = interpreter.level()
    functorch = torch._C._functorch  # pyright: ignore[reportAttributeAccessIssue]
    parts = [functorch._unwrap_batched(part, level) for part in tensors]
    with interpreter.lower():
        result = function(*(_mapped_first(part, place) for part, place in parts))
        if interpreter.batch_size() == 0:
            result = result[:0]
    if len(result) < interpreter.batch_size():
        result = result.expand(interpreter.batch_size(), *result.shape[1:])
    return functorch._add_batch_dim(result, 0, level)


def _mapped_first(values: Tensor, place: int | None) -> Tensor:
    """Return a tensor with the dimension that is mapped over in front, or one of size 1 where there is none."""
    if place is None:
        return values[None]
    values = values if place == 0 else values.movedim(place, 0)
    if len(values):
        return values
    return torch.cat([values, values.new_zeros(1, *values.shape[1:])])  # functions take no group less than one
