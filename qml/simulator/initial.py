"""The state at the start of a plan: a product of one-site vectors and of prepared amplitudes, built without gates."""

import numpy as np
import torch
from torch import Tensor

from qml.simulator.compiled import ChainRound, Compiled
from qml.simulator.expressions import as_tensor
from qml.simulator.linear import Preparation

NORM_TOLERANCE = 1e-3  # float32 features that were normalised by the user; the state is renormalised exactly


def initial_state(compiled: Compiled, data: Tensor, values: list[Tensor]) -> Tensor:
    """The product state, shape (levels**sites, batch or 1).

    Args:
        compiled: the plan.
        data: shape (batch, slots).
        values: the results of the plan's program.
    """
    plan = compiled.plan
    factors = []
    if plan.chains:
        factors.append(_kron_sites(_site_vectors(compiled, data, values)))
    factors.extend(_prepared(compiled, preparation, data) for preparation in plan.preparations)
    state = factors[0]
    for factor in factors[1:]:
        state = _kron(state, factor)
    return state.to(compiled.dtype)


def _site_vectors(compiled: Compiled, data: Tensor, values: list[Tensor]) -> Tensor:
    """Shape (sites, levels, batch or 1)."""
    levels, n_sites = compiled.plan.request.levels, len(compiled.plan.chains)
    zero = torch.zeros(levels, dtype=data.dtype, device=data.device)
    zero[0] = 1.0
    if levels == 4:
        zero[3] = 1.0  # |0><0| = (1 + Z) / 2
    vectors = zero[None, :, None].expand(n_sites, levels, 1)
    for chain_round in compiled.rounds:
        if chain_round.sites is None:
            vectors = _apply_round(chain_round, vectors, data, values)
            continue
        changed = _apply_round(chain_round, vectors.index_select(0, chain_round.sites), data, values)
        dtype = torch.promote_types(changed.dtype, vectors.dtype)
        spread = vectors.to(dtype).expand(-1, -1, changed.shape[-1])
        vectors = spread.index_copy(0, chain_round.sites, changed.to(dtype))
    return vectors


def _apply_round(chain_round: ChainRound, vectors: Tensor, data: Tensor, values: list[Tensor]) -> Tensor:
    if chain_round.fetch is not None:
        sources = [values[group].dtype for group in chain_round.fetch.groups]
        dtype = max([*sources, vectors.dtype], key=lambda kind: kind.is_complex)
        return torch.bmm(chain_round.fetch(values, dtype), vectors.to(dtype))
    constants, tables = chain_round.constants, chain_round.tables
    if constants is None or tables is None:
        raise ValueError("A round of one-site maps must have shared matrices or data maps.")
    dtype = torch.promote_types(constants.dtype, vectors.dtype)
    m, terms, levels, _ = constants.shape
    parts = torch.bmm(constants.to(dtype).view(m, terms * levels, levels), vectors.to(dtype))
    coefficients = tables.coefficients(data)
    if parts.shape[-1] == 1:  # every sample starts from the same vector: one product gives all
        flat = parts.view(m, terms, levels).mT
        if flat.is_complex():
            return torch.complex(torch.bmm(flat.real, coefficients), torch.bmm(flat.imag, coefficients))
        return torch.bmm(flat, coefficients)
    return (parts.view(m, terms, levels, -1) * coefficients[:, :, None]).sum(1)


def _kron_sites(vectors: Tensor) -> Tensor:
    """Pairs of neighbouring sites until one vector is left; (sites, levels, batch) to (levels**sites, batch)."""
    tail = None
    while len(vectors) > 1:
        if len(vectors) % 2:
            tail = vectors[-1] if tail is None else _kron(vectors[-1], tail)
            vectors = vectors[:-1]
        n_pairs, side, batch = len(vectors) // 2, vectors.shape[1], vectors.shape[2]
        pairs = vectors[0::2, :, None, :] * vectors[1::2, None, :, :]
        vectors = pairs.reshape(n_pairs, side * side, batch)
    return vectors[0] if tail is None else _kron(vectors[0], tail)


def _kron(first: Tensor, second: Tensor) -> Tensor:
    return (first[:, None] * second[None]).reshape(first.shape[0] * second.shape[0], -1)


def _prepared(compiled: Compiled, preparation: Preparation, data: Tensor) -> Tensor:
    if preparation.amplitudes is not None:
        values = preparation.amplitudes
        if compiled.plan.request.levels == 4:
            values = _bloch_of(torch.as_tensor(values)[:, None])[:, 0].numpy()
        real_values = not np.abs(values.imag).max() > 0
        dtype = data.dtype if real_values else data.dtype.to_complex()
        return as_tensor(values, dtype, data.device)[:, None]
    index = torch.as_tensor([slot.index for slot in preparation.slots], device=data.device)
    amplitudes = data.mT.index_select(0, index)
    if preparation.is_complex:
        half = len(amplitudes) // 2
        amplitudes = torch.complex(amplitudes[:half], amplitudes[half:])
    return _bloch_of(amplitudes) if compiled.plan.request.levels == 4 else amplitudes


def _bloch_of(amplitudes: Tensor) -> Tensor:
    """The Pauli components tr(P |a><a|) of a batch of state vectors; (2**k, batch) to (4**k, batch), real."""
    n_qubits = amplitudes.shape[0].bit_length() - 1
    batch = amplitudes.shape[-1]
    rho = amplitudes[:, None] * amplitudes[None].conj()
    rho = rho.reshape(*(2,) * (2 * n_qubits), batch)
    order = [place for k in range(n_qubits) for place in (k, n_qubits + k)]
    rho = rho.permute(*order, 2 * n_qubits).reshape(4**n_qubits, batch).to(amplitudes.dtype.to_complex())
    # rows: tr(P rho) in terms of rho_00, rho_01, rho_10, rho_11
    rows = [[1, 0, 0, 1], [0, 1, 1, 0], [0, 1j, -1j, 0], [1, 0, 0, -1]]
    table = torch.tensor(rows, dtype=rho.dtype, device=rho.device)
    for k in range(n_qubits):
        rho = torch.matmul(table, rho.reshape(4**k, 4, -1)).reshape(4**n_qubits, batch)
    return rho.real
