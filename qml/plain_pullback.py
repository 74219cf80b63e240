"""Backward passes made of plain operations, for autograd functions whose own pullback is of first order only."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


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
