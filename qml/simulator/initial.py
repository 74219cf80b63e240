"""The state at the start of a plan: a product of one-site vectors and of prepared amplitudes, built without gates."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from qml.simulator.compiled import Compiled
from qml.simulator.linear import TO_PAULI, Preparation
from qml.simulator.matrix_groups import Evaluated
from qml.simulator.rounds import DataRound, SharedRound
from qml.simulator.tables import as_tensor


@dataclass(eq=False)
class InitialTape:
    """A record for the pullback of the initial state: the vectors before each round and each Kronecker level."""

    rounds: list[tuple[Tensor, Tensor | None]] = field(default_factory=list)
    levels: list[Tensor] = field(default_factory=list)
    factors: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    products: list[tuple[Tensor, Tensor]] = field(default_factory=list)


def initial_state(compiled: Compiled, data: Tensor, evaluated: Evaluated, tape: InitialTape | None = None) -> Tensor:
    """Build the product state, shape (levels**sites, batch or 1).

    Args:
        compiled: the plan.
        data: shape (batch, slots).
        evaluated: the results of the plan's program.
        tape: filled for `pullback` if given.
    """
    plan = compiled.plan
    factors = []
    if plan.chains:
        factors.append(_kron_sites(site_vectors(compiled, data, evaluated, tape), tape))
    factors.extend(_prepared(compiled, preparation, data) for preparation in plan.preparations)
    state = factors[0]
    for factor in factors[1:]:
        if tape is not None:
            tape.factors.append((state, factor))
        state = _kron(state, factor)
    return state.to(compiled.dtype)


def pullback(
    compiled: Compiled,
    tape: InitialTape,
    mu: Tensor,
    evaluated: Evaluated,
    grads: list[Tensor | None],
    data_grad: Tensor | None,
) -> None:
    """Add mu of the shared one-site matrices to `grads`, and the gradient of the data to `data_grad`.

    Not for four-level plans whose amplitudes come from data: those are not linear in them.
    """
    mu = _pull_prepared(compiled, tape, mu, data_grad)
    if not compiled.plan.chains:
        return
    mu = _pull_kron_sites(mu, tape)
    wanted = [k for k, r in enumerate(compiled.rounds) if isinstance(r, SharedRound) or data_grad is not None]
    for number in range(len(compiled.rounds) - 1, min(wanted, default=len(compiled.rounds)) - 1, -1):
        chain_round, (before, coefficients) = compiled.rounds[number], tape.rounds[number]
        mu_after = mu if chain_round.sites is None else mu.index_select(0, chain_round.sites)
        if isinstance(chain_round, SharedRound):
            mu_before = chain_round.pullback(mu_after, before, evaluated, grads)
            if number == wanted[0]:
                return
        else:
            mu_before = _pull_data_round(chain_round, mu_after, before, coefficients, data_grad)
        if mu_before.shape[-1] != before.shape[-1]:
            mu_before = mu_before.sum(-1, keepdim=True)
        if chain_round.sites is None:
            mu = mu_before
        else:
            if mu.shape[-1] != mu_before.shape[-1]:
                mu = mu.sum(-1, keepdim=True)
            mu = mu.index_copy(0, chain_round.sites, mu_before.to(mu.dtype))


def _pull_data_round(
    data_round: DataRound, mu: Tensor, before: Tensor, coefficients: Tensor | None, data_grad: Tensor | None
) -> Tensor:
    """Compute mu before the round, and add the gradient of the data to `data_grad`."""
    if coefficients is None:
        raise ValueError("A round of data maps must have left its coefficients, but has not.")
    mu_before, coefficient_grad = data_round.pullback(mu, before, coefficients)
    if data_grad is not None:
        data_round.tables.pullback(coefficient_grad, coefficients, data_grad)
    return mu_before


# --- one-site vectors -------------------------------------------------------------------------------------------------


def site_vectors(compiled: Compiled, data: Tensor, evaluated: Evaluated, tape: InitialTape | None = None) -> Tensor:
    """Compute the states of all sites, one by one; shape (sites, levels, batch or 1)."""
    vectors = compiled.start
    for chain_round in compiled.rounds:
        chosen = vectors if chain_round.sites is None else vectors.index_select(0, chain_round.sites)
        changed, coefficients = chain_round.forward(chosen, data, evaluated)
        if tape is not None:
            tape.rounds.append((chosen, coefficients))
        if chain_round.sites is None:
            vectors = changed
        else:
            dtype = torch.promote_types(changed.dtype, vectors.dtype)
            batch = max(changed.shape[-1], vectors.shape[-1])
            spread = vectors.to(dtype).expand(-1, -1, batch)
            vectors = spread.index_copy(0, chain_round.sites, changed.to(dtype).expand(-1, -1, batch))
    return vectors


# --- Kronecker products -----------------------------------------------------------------------------------------------


def _kron_sites(vectors: Tensor, tape: InitialTape | None) -> Tensor:
    """Join pairs of neighbouring sites until one vector is left; (sites, levels, batch) to (levels**sites, batch)."""
    tail = None
    while len(vectors) > 1:
        if tape is not None:
            tape.levels.append(vectors)
        if len(vectors) % 2:
            tail = vectors[-1] if tail is None else _taped_kron(vectors[-1], tail, tape)
            vectors = vectors[:-1]
        n_pairs, side, batch = len(vectors) // 2, vectors.shape[1], vectors.shape[2]
        pairs = vectors[0::2, :, None, :] * vectors[1::2, None, :, :]
        vectors = pairs.reshape(n_pairs, side * side, batch)
    return vectors[0] if tail is None else _taped_kron(vectors[0], tail, tape)


def _taped_kron(first: Tensor, second: Tensor, tape: InitialTape | None) -> Tensor:
    if tape is not None:
        tape.products.append((first, second))
    return _kron(first, second)


def _kron(first: Tensor, second: Tensor) -> Tensor:
    return (first[:, None] * second[None]).reshape(first.shape[0] * second.shape[0], -1)


def _pull_kron_sites(mu: Tensor, tape: InitialTape) -> Tensor:
    """Compute mu of the one-site vectors, (sites, levels, batch), from mu of their product."""
    tails: list[Tensor] = []  # mu of what was left over where the number of vectors was odd
    products = list(tape.products)
    n_tails = sum(len(vectors) % 2 for vectors in tape.levels)
    if len(products) == n_tails and n_tails:
        mu, tail_mu = _pull_kron(mu, *products.pop())
        tails.append(tail_mu)
    mu = mu[None]
    for vectors in reversed(tape.levels):
        even = vectors[: len(vectors) // 2 * 2]
        first, second = _pull_pair(mu.reshape(len(even) // 2, -1, mu.shape[-1]), even[0::2], even[1::2])
        mu = torch.stack([first, second], 1).reshape(len(even), -1, mu.shape[-1])
        if len(vectors) % 2:
            last = tails.pop()
            if products:
                last, tail_mu = _pull_kron(last, *products.pop())
                tails.append(tail_mu)
            mu = torch.cat([mu, last[None]])
    return mu


def _pull_kron(mu: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mu of both factors of one Kronecker product; (a * b, batch) to (a, batch), (b, batch)."""
    of_first, of_second = _pull_pair(mu[None], first[None], second[None])
    return of_first[0], of_second[0]


def _pull_pair(mu: Tensor, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mu of both Kronecker factors; (pairs, a * b, batch) to (pairs, a, batch), (pairs, b, batch)."""
    pairs, a, b, batch = len(mu), first.shape[1], second.shape[1], mu.shape[-1]
    mu = mu.reshape(pairs, a, b, batch)
    if batch == 1:
        square = mu[..., 0]
        return torch.bmm(square, second.to(mu.dtype)), torch.bmm(square.mT, first.to(mu.dtype))
    return (mu * second[:, None]).sum(2), (mu * first[:, :, None]).sum(1)


# --- given amplitudes -------------------------------------------------------------------------------------------------


def _prepared(compiled: Compiled, preparation: Preparation, data: Tensor) -> Tensor:
    if preparation.amplitudes is not None:
        values = preparation.amplitudes
        if compiled.plan.request.levels == 4:
            values = _bloch_of(torch.as_tensor(values.copy())[:, None])[:, 0].numpy()
        dtype = data.dtype.to_complex() if np.abs(np.imag(values)).max() > 0 else data.dtype
        return as_tensor(values, dtype, data.device)[:, None]
    index = torch.as_tensor([slot.index for slot in preparation.slots], device=data.device)
    amplitudes = data.mT.index_select(0, index)
    if preparation.is_complex:
        half = len(amplitudes) // 2
        amplitudes = torch.complex(amplitudes[:half], amplitudes[half:])
    return _bloch_of(amplitudes) if compiled.plan.request.levels == 4 else amplitudes


def _pull_prepared(compiled: Compiled, tape: InitialTape, mu: Tensor, data_grad: Tensor | None) -> Tensor:
    """Compute mu of the one-site vectors' product; add the gradient of amplitudes that are data to `data_grad`."""
    preparations = list(compiled.plan.preparations)
    for before, factor in reversed(tape.factors):
        mu, factor_mu = _pull_kron(mu, before, factor)
        _add_amplitude_grad(preparations.pop(), factor_mu, data_grad)
    if preparations:
        _add_amplitude_grad(preparations.pop(), mu, data_grad)
    return mu


def _add_amplitude_grad(preparation: Preparation, mu: Tensor, data_grad: Tensor | None) -> None:
    if data_grad is None or preparation.amplitudes is not None:
        return
    index = torch.as_tensor([slot.index for slot in preparation.slots], device=mu.device)
    parts = torch.cat([mu.real, -mu.imag]) if preparation.is_complex else (mu.real if mu.is_complex() else mu)
    data_grad.index_add_(1, index, parts.mT.expand(len(data_grad), -1))


def _bloch_of(amplitudes: Tensor) -> Tensor:
    """Compute the Pauli components tr(P |a><a|) of a batch of state vectors; (2**k, batch) to (4**k, batch), real."""
    n_qubits = amplitudes.shape[0].bit_length() - 1
    batch = amplitudes.shape[-1]
    rho = amplitudes[:, None] * amplitudes[None].conj()
    rho = rho.reshape(*(2,) * (2 * n_qubits), batch)
    order = [place for k in range(n_qubits) for place in (k, n_qubits + k)]
    rho = rho.permute(*order, 2 * n_qubits).reshape(4**n_qubits, batch).to(amplitudes.dtype.to_complex())
    table = torch.tensor(TO_PAULI, dtype=rho.dtype, device=rho.device)
    for k in range(n_qubits):
        rho = torch.matmul(table, rho.reshape(4**k, 4, -1)).reshape(4**n_qubits, batch)
    return rho.real
