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
    n_qubits = len(axes)
    if states.shape[-1] != 2**n_qubits:
        raise ValueError(
            f"Argument `states` must have shape (batch, {2**n_qubits}) for {n_qubits} axes, but has shape "
            f"{tuple(states.shape)}. Pass one axis a qubit."
        )
    total = states.new_zeros(len(states)).real
    for qubit, axis in enumerate(axes):
        spin = torch.einsum("a,aij->ij", axis.to(states.dtype), PAULIS.to(states.dtype))
        split = states.reshape(len(states), 2**qubit, 2, -1)
        total = total + torch.einsum("blir,ij,bljr->b", split.conj(), spin, split).real
    return total
