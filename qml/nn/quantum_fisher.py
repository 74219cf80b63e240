"""The quantum Fisher information of a circuit in its weights, from state vectors."""

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit
from qml import checks
from qml.backends import Native
from qml.backends.inputs import require_circuit

MAX_TANGENT_NUMBERS = 2**24  # of the derivatives of states that are held at once


def quantum_fisher(
    circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
) -> Float[Tensor, "batch weights weights"]:
    r"""Compute the quantum Fisher information matrix of the circuit's pure state, for each sample.

    F_ij = 4 Re( <d_i psi | d_j psi> - <d_i psi | psi> <psi | d_j psi> ). A quarter of it is the Fubini-Study metric.
    The derivatives of the state are forward-mode tangents, all weights in one batch; the cost is that of n_weights
    states a sample, and of one product of matrices.

    Args:
        circuit: a circuit without measurement, noise and reset.
        data: what fills its data slots, shape (batch, n_data).
        weights: what fills its weight slots, shape (n_weights,).

    Returns:
        Symmetric and positive semidefinite matrices, detached from the graph.

    Raises:
        ValueError: another shape, values that are not finite, a circuit with mixed states.

    Reference:
        Stokes et al., arXiv:1909.02108, equation 6; Meyer, arXiv:2103.15191, equation 10.

    Example:
        >>> import torch
        >>> from circuits import Circuit, weight
        >>> circuit = Circuit(1).rx(weight(0), 0).rz(weight(1), 0)
        >>> quantum_fisher(circuit, torch.zeros(1, 0), torch.tensor([torch.pi / 2, 0.3]))[0].round()
        tensor([[1., 0.],
                [0., 1.]])
    """
    require_circuit(circuit)
    checks.require_tensor(data, "data")
    checks.require_tensor(weights, "weights")
    weights, data, backend = weights.detach(), data.detach(), Native()
    rows = max(1, MAX_TANGENT_NUMBERS // (max(1, circuit.n_weights) * 2**circuit.n_qubits))
    parts = [_of_rows(circuit, part, weights, backend) for part in data.split(rows)]
    return torch.cat(parts)


def _of_rows(circuit: Circuit, data: Tensor, weights: Tensor, backend: Native) -> Tensor:
    n_weights = circuit.n_weights
    states = backend.state(circuit, data, weights)
    if len(data) == 0 or n_weights == 0:
        return data.new_zeros(len(data), n_weights, n_weights)
    tangents: Tensor = torch.func.jacfwd(lambda values: torch.view_as_real(backend.state(circuit, data, values)))(
        weights
    )
    moves = torch.view_as_complex(tangents.movedim(-1, 1).contiguous())  # (batch, weights, amplitudes)
    overlaps = moves.conj() @ states[:, :, None]  # <d_i psi | psi>
    gram = moves.conj() @ moves.mT - overlaps @ overlaps.mH
    return 4.0 * gram.real
