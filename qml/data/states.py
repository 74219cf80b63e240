"""Quantum states as data: their amplitudes, and labels that are signs of an observable."""

from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from qml import checks

PAULIS = torch.tensor([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=torch.complex64)


def random_states(
    n_states: int, n_qubits: int, *, generator: torch.Generator | None = None
) -> Complex[Tensor, "batch amplitudes"]:
    """Draw pure states uniformly (Haar): normalised complex Gaussian vectors.

    Shape:
        (n_states, 2**n_qubits), qubit 0 the most significant bit of the index.
    """
    n_states, n_qubits = checks.as_int(n_states, "n_states", 0), checks.as_int(n_qubits, "n_qubits", 0)
    parts = torch.randn(n_states, 2**n_qubits, 2, generator=generator)
    vectors = torch.view_as_complex(parts)
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def hidden_axes(n_qubits: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "qubits 3"]:
    """Draw one direction of the Bloch sphere a qubit, uniformly: unit vectors (x, y, z)."""
    n_qubits = checks.as_int(n_qubits, "n_qubits", 0)
    vectors = torch.randn(n_qubits, 3, generator=generator)
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def single_spins(states: Any) -> Float[Tensor, "batch qubits 3"]:
    """Compute <X>, <Y>, <Z> of every qubit.

    Shape:
        (batch, 2**n_qubits), qubit 0 the most significant bit, to (batch, n_qubits, 3), in [-1, 1].
    """
    states = _as_states(states)
    batch, n_amplitudes = states.shape
    n_qubits = n_amplitudes.bit_length() - 1
    if n_amplitudes != 2**n_qubits:
        raise ValueError(
            "Argument `states` must have shape (batch, 2**n_qubits), but has shape "
            f"{(batch, n_amplitudes)}. Pad the amplitudes with zeros up to a power of two."
        )
    paulis = PAULIS.to(states)
    split = [states.reshape(batch, 2**qubit, 2, -1) for qubit in range(n_qubits)]
    return torch.stack([torch.einsum("blir,aij,bljr->ba", part.conj(), paulis, part).real for part in split], dim=1)


def spin_projection(
    states: Any,  # tensors, checked below
    axes: Any,
) -> Float[Tensor, " batch"]:
    """Compute the expectation of sum_j n_j . sigma_j, each qubit's spin along its own axis n_j.

    Args:
        states: Normalised amplitudes, qubit 0 the most significant bit.
        axes: A unit vector (x, y, z) a qubit.

    Shape:
        (batch, 2**n_qubits) and (n_qubits, 3) to (batch), in [-n_qubits, n_qubits].
    """
    spins = single_spins(states)
    checks.require_tensor(axes, "axes")
    if axes.ndim != 2 or axes.shape[1] != 3 or not axes.is_floating_point():
        raise ValueError(
            f"Argument `axes` must be floating of shape (qubits, 3), but is {axes.dtype} of shape {tuple(axes.shape)}."
        )
    checks.require_finite(axes, "axes")
    if len(axes) != spins.shape[1]:
        raise ValueError(
            f"Argument `axes` must hold one axis for each of {spins.shape[1]} qubits, but holds "
            f"{len(axes)}. Pass as many axes as the states have qubits."
        )
    return (spins * axes).sum((-2, -1))


def _as_states(states: Any) -> Complex[Tensor, "batch amplitudes"]:
    """Return amplitudes as a complex tensor of two dimensions; real ones are taken as they are."""
    checks.require_tensor(states, "states")
    if states.ndim != 2 or not (states.is_complex() or states.is_floating_point()):
        raise ValueError(
            f"Argument `states` must be complex of shape (batch, 2**n_qubits), but is {states.dtype} of shape "
            f"{tuple(states.shape)}."
        )
    if not bool(torch.isfinite(states).all()):
        raise ValueError("Argument `states` must be finite, but holds NaN or infinity.")
    return states if states.is_complex() else torch.complex(states, torch.zeros_like(states))
