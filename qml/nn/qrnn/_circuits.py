"""Quantum neurons and recurrent cells as circuits on a backend that has no closed form of them.

The history of a sequence is the angles of the in/out qubits in all steps so far, shape (batch, steps, 2, input_size):
those that were read, and those of the outcomes that were post-selected. A step runs the circuit of its whole history.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from circuits import Circuit
from circuits.neuron import recurrent_circuit
from qml import checks
from qml.backends import Backend, resolve


class CellSizes(NamedTuple):
    """The sizes of a cell that `circuits.neuron.recurrent_circuit` takes."""

    input_size: int
    hidden_size: int
    n_stages: int
    order: int
    degree: int
    rounds: int
    bias: bool


def cell_circuit(sizes: CellSizes, n_steps: int, *, measured: bool = False) -> Circuit:
    """Return a new circuit of `n_steps` of a cell."""
    return recurrent_circuit(
        sizes.input_size,
        sizes.hidden_size,
        n_steps,
        n_stages=sizes.n_stages,
        order=sizes.order,
        degree=sizes.degree,
        rounds=sizes.rounds,
        bias=sizes.bias,
        measured=measured,
    )


@lru_cache(maxsize=32)
def shared_circuit(sizes: CellSizes, n_steps: int) -> Circuit:
    """Return the same circuit at every call, with what backends derived from it; it must not grow."""
    return cell_circuit(sizes, n_steps)


def as_post_selecting(backend: Backend | str) -> Backend:
    """Resolve a backend, which must post-select qubits inside a circuit: a neuron keeps runs whose ancillas read 0.

    Raises:
        TypeError: no backend.
        ValueError: an unknown name, a backend that cannot post-select.
    """
    target = resolve(backend)
    if not target.capabilities.mid_circuit:
        raise ValueError(
            f"Backend {target.name} must post-select qubits inside a circuit (capability `mid_circuit`) to run quantum "
            "neurons, but does not. Use 'native', 'pennylane' or 'aer'."
        )
    return target


def as_history(state: Tensor | None, like: Tensor, sizes: tuple[int, int], backend: Backend) -> Tensor:
    """Return the given history, checked, or that of no steps.

    Args:
        state: the history, or None.
        like: a tensor of its dtype and device.
        sizes: batch and input_size.
        backend: where steps run, for errors.
    """
    batch, input_size = sizes
    if state is None:
        return like.new_zeros(batch, 0, 2, input_size)
    state = checks.as_inputs(state, like, "state")
    if state.ndim != 4 or state.shape[0] != batch or state.shape[2:] != (2, input_size):
        raise ValueError(
            f"Argument `state` must be the angles that steps on {backend!r} returned, of shape ({batch}, steps, 2, "
            f"{input_size}), but has shape {tuple(state.shape)}. Call to_backend('native') to go on from amplitudes."
        )
    if not checks.in_transform() and not bool(state.isfinite().all()):
        raise ValueError(
            "Argument `state` must hold finite angles, but holds NaN, which fills up the shorter ones of sequences of "
            "different lengths. Go on with sequences of one length, or call to_backend('native')."
        )
    return state


def extended(history: Tensor, read: Tensor, outcomes: Tensor) -> Tensor:
    """Append a step's angles, (batch, input_size) each, to a history."""
    return torch.cat([history, torch.stack([read, outcomes], 1)[:, None]], 1)


def side_by_side(histories: list[Tensor]) -> Tensor:
    """Join histories of different lengths into one batch, the missing steps filled up with NaN."""
    longest = max(history.shape[1] for history in histories)
    missing = [(0, 0, 0, 0, 0, longest - history.shape[1]) for history in histories]
    return torch.cat(
        [
            torch.nn.functional.pad(history, pad, value=torch.nan)
            for history, pad in zip(histories, missing, strict=True)
        ]
    )
