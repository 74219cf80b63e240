"""Quantum states as data: their amplitudes, and labels that are signs of an observable."""

import torch
from jaxtyping import Complex, Float
from torch import Tensor

PAULIS = torch.tensor([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]], dtype=torch.complex64)


def random_states(
    n_states: int, n_qubits: int, *, generator: torch.Generator | None = None
) -> Complex[Tensor, "batch amplitudes"]:
    """Pure states drawn uniformly (Haar): normalised complex Gaussian vectors.

    Shape:
        (n_states, 2**n_qubits), qubit 0 the most significant bit of the index.
    """
    parts = torch.randn(n_states, 2**n_qubits, 2, generator=generator)
    vectors = torch.view_as_complex(parts)
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def hidden_axes(n_qubits: int, *, generator: torch.Generator | None = None) -> Float[Tensor, "qubits 3"]:
    """One direction of the Bloch sphere a qubit, uniform: unit vectors (x, y, z)."""
    vectors = torch.randn(n_qubits, 3, generator=generator)
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def single_spins(states: Complex[Tensor, "batch amplitudes"]) -> Float[Tensor, "batch qubits 3"]:
    """<X>, <Y>, <Z> of every qubit.

    Shape:
        (batch, 2**n_qubits), qubit 0 the most significant bit, to (batch, n_qubits, 3), in [-1, 1].
    """
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
    states: Complex[Tensor, "batch amplitudes"], axes: Float[Tensor, "qubits 3"]
) -> Float[Tensor, " batch"]:
    """The expectation of sum_j n_j . sigma_j, each qubit's spin along its own axis n_j.

    Args:
        states: Normalised amplitudes, qubit 0 the most significant bit.
        axes: A unit vector (x, y, z) a qubit.

    Shape:
        (batch, 2**n_qubits) and (n_qubits, 3) to (batch), in [-n_qubits, n_qubits].
    """
    spins = single_spins(states)
    if len(axes) != spins.shape[1]:
        raise ValueError(
            f"Argument `axes` must hold one axis for each of {spins.shape[1]} qubits, but holds "
            f"{len(axes)}. Pass as many axes as the states have qubits."
        )
    return (spins * axes).sum((-2, -1))
