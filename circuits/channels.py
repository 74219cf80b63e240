"""Kraus operators of the standard noise channels on one or two qubits.

Definitions: Nielsen and Chuang, Quantum Computation and Quantum Information (2010), section 8.3. The depolarising
channel uses Qiskit's convention: rho -> (1 - p) rho + p 1/2**n, so that p = 1 is the fully mixed state.
"""

from itertools import product
from typing import Any

import numpy as np

from circuits import _checks
from circuits.gates import PAULIS, Array, Channel, pauli_matrix


def depolarizing(probability: float | int, *, n_qubits: int = 1) -> Channel:
    """Return the depolarising channel rho -> (1 - p) rho + p 1/2**n, with p in [0, 1]."""
    probability = _checks.as_probability(probability, "probability")
    n_qubits = _checks.as_int(n_qubits, "n_qubits", minimum=1)
    strings = list(product("IXYZ", repeat=n_qubits))
    weights = np.full(len(strings), probability / 4**n_qubits)
    weights[0] += 1.0 - probability
    operators = [
        np.sqrt(share) * pauli_matrix("".join(letters)) for letters, share in zip(strings, weights, strict=True)
    ]
    return Channel(Array.of(np.stack(operators)), "depolarizing", probability)


def amplitude_damping(gamma: float | int) -> Channel:
    """Return energy relaxation |1> -> |0> with probability gamma in [0, 1]."""
    gamma = _checks.as_probability(gamma, "gamma")
    keep = np.diag([1.0, np.sqrt(1.0 - gamma)])
    decay = np.array([[0.0, np.sqrt(gamma)], [0.0, 0.0]])
    return Channel(Array.of(np.stack([keep, decay])), "amplitude_damping", gamma)


def phase_damping(gamma: float | int) -> Channel:
    """Return a loss of coherence: off-diagonal elements shrink by sqrt(1 - gamma), gamma in [0, 1]."""
    gamma = _checks.as_probability(gamma, "gamma")
    keep = np.diag([1.0, np.sqrt(1.0 - gamma)])
    return Channel(Array.of(np.stack([keep, np.diag([0.0, np.sqrt(gamma)])])), "phase_damping", gamma)


def bit_flip(probability: float | int) -> Channel:
    """Return the channel that applies X with the given probability in [0, 1]."""
    probability = _checks.as_probability(probability, "probability")
    operators = [np.sqrt(1.0 - probability) * PAULIS["I"], np.sqrt(probability) * PAULIS["X"]]
    return Channel(Array.of(np.stack(operators)), "bit_flip", probability)


def kraus(operators: Any) -> Channel:
    """Return the channel rho -> sum_k K_k rho K_k^dagger.

    Args:
        operators: Kraus operators, shape (operators, 2**n, 2**n).

    Raises:
        ValueError: they are not square, not finite, or sum_k K_k^dagger K_k is not the identity.
    """
    values = np.array(operators, dtype=np.complex128)
    side = values.shape[-1]
    if values.ndim != 3 or values.shape[1] != side or side < 2 or side & (side - 1):
        raise ValueError(f"Argument `operators` must have shape (operators, 2**n, 2**n), but has shape {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError("Argument `operators` must be finite, but holds NaN or infinity.")
    error = float(np.abs(np.einsum("kji,kjl->il", values.conj(), values) - np.eye(side)).max())
    if error > _checks.UNITARITY_TOLERANCE:
        raise ValueError(
            f"Argument `operators` must preserve the trace, but sum K^dagger K differs from 1 by {error:.2g}. "
            "Add the missing Kraus operator, or rescale."
        )
    return Channel(Array.of(values), "kraus")
