"""Many series through a large network: in slices whose states stay in a core's cache."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

# Of a sparse product every entry of the matrix loads a row of states, and a row of 16 doubles is two cache lines. With
# 2000 units such a slice (256 KiB) stays in a second-level cache, and the product runs at 20 GFLOP/s on two cores; all
# 64 series at once (1 MiB) come from the third level, at 13.
SERIES_A_SLICE = 16
CACHE_BYTES = 2**18  # of all states, below which slices win nothing


def pays(units: int, batch: int, like: Tensor) -> bool:
    """Tell whether slices are faster than all series at once."""
    return like.device.type == "cpu" and batch > SERIES_A_SLICE and units * batch * like.itemsize > CACHE_BYTES


def run_slices(
    matrix: Float[Tensor, "units units"],
    input_weight: Float[Tensor, "units columns"],
    inputs: Float[Tensor, "batch time inputs"],
    state: Float[Tensor, "batch units"],
    leak_rate: float,
    activate: Callable[[Tensor], Tensor],
) -> tuple[Float[Tensor, "time units batch"], Float[Tensor, "batch units"]]:
    """Compute all states of s_t = (1 - a) s_{t-1} + a f(W_in (1, u_t) + W s_{t-1}) and the last, without derivatives.

    Args:
        matrix: W, sparse.
        input_weight: W_in, the bias first.
        inputs: u.
        state: s before the first step.
        leak_rate: a.
        activate: f, which may overwrite its argument.
    """
    batch, time, _ = inputs.shape
    n_slices = math.ceil(batch / SERIES_A_SLICE)
    width = math.ceil(batch / n_slices)

    def sliced(values: Tensor) -> Tensor:
        """Cut (..., rows, batch) into (..., slices, rows, width); the last slice is filled up with zeros."""
        filled = pad(values, (0, n_slices * width - batch))
        return filled.unflatten(-1, (n_slices, width)).movedim(-2, -3).contiguous()

    bias, weight = input_weight[:, :1], input_weight[:, 1:].expand(n_slices, -1, -1)
    now = sliced(state.mT)
    driven = torch.empty_like(now)
    states = now.new_empty(time, len(input_weight), n_slices * width)
    places = states.unflatten(-1, (n_slices, width)).movedim(2, 1)
    for step, place in zip(sliced(inputs.permute(1, 2, 0)), places, strict=True):
        torch.baddbmm(bias, weight, step, out=driven)
        for part, before in zip(driven, now, strict=True):
            torch.addmm(part, matrix, before, out=part)
        driven = activate(driven)
        if leak_rate == 1.0:
            now, driven = driven, now
        else:
            torch.lerp(now, driven, leak_rate, out=now)
        place.copy_(now)
    return states[..., :batch], now.transpose(0, 1).flatten(1)[:, :batch].mT
