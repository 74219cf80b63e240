"""Inputs as amplitudes: padded by a constant and normalised."""

import torch
from torch import Tensor


def padded_amplitudes(inputs: Tensor, n_qubits: int) -> Tensor:
    """Pad rows to 2**n_qubits numbers by the constant 2**-n_qubits, and divide them by their norms.

    The constant lets the circuit see the length of a row, and its sign. Where nothing is padded it sees neither.

    Raises:
        ValueError: If a row is zero and nothing is padded.
    """
    size = 2**n_qubits
    padding = inputs.new_full((len(inputs), size - inputs.shape[1]), 1.0 / size)
    rows = torch.cat([inputs, padding], dim=1)
    return rows / rows.norm(dim=1, keepdim=True)
