"""Expectation values from light cones: each piece is simulated, and the values of pieces are multiplied and added."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from circuits import Circuit
from qml.simulator.cones import Cones, Piece
from qml.simulator.readout import Terms

AMPLITUDES_AT_ONCE = 2**22  # of copies of a piece that run as one batch
FEW_FACTORS = 8  # products of more are taken in double precision

Evaluate = Callable[[Circuit, Tensor, Tensor, Terms], Tensor]
"""Expectation values (batch, observables) of a circuit for data (batch, inputs) and weights (weights,)."""


@dataclass(frozen=True, eq=False)
class _Products:
    """Strings with the same number of factors: which values are multiplied, and where the products go."""

    columns: Tensor
    observables: Tensor
    coefficients: Tensor


def cone_expectation(
    cones: Cones, data: Tensor, weights: Tensor, evaluate: Evaluate, require_possible: Callable[..., None]
) -> Tensor:
    """Compute the expectation values of all observables, (batch, observables).

    Args:
        cones: of the circuit.
        data: (batch, inputs).
        weights: (weights,).
        evaluate: simulates one piece.
        require_possible: refuses (circuit, data, weights) whose post-selections cannot succeed.
    """
    batch = data.shape[0]
    for number, copy in cones.conditions:
        piece = cones.pieces[number]
        with torch.no_grad():
            require_possible(piece.circuit, *_inputs(piece, copy, data, weights))
    values, starts, n_values = [], {}, 0
    for number, piece in enumerate(cones.pieces):
        if piece.strings:
            values.append(_piece_values(piece, data, weights, evaluate))
            starts[number] = n_values
            n_values += values[-1].shape[1]
    known = torch.cat(values, 1) if values else data.new_zeros(batch, 0)
    answer = data.new_zeros(batch, cones.n_observables) + 0.0 * (data.sum() + weights.sum())
    for products in _products(cones, starts, data):
        terms = _multiplied(known, products.columns) * products.coefficients
        answer = answer.index_add(1, products.observables, terms)
    return answer


def _multiplied(known: Tensor, columns: Tensor) -> Tensor:
    """Products of columns (strings, factors) of values, (batch, strings)."""
    n_factors = columns.shape[1]
    if n_factors == 0:
        return known.new_ones(known.shape[0], columns.shape[0])
    factors = [known[:, column] for column in columns.unbind(1)] if n_factors <= FEW_FACTORS else None
    if factors is not None:
        return math.prod(factors[1:], start=factors[0])
    return known[:, columns].double().prod(-1).to(known.dtype)


def _products(cones: Cones, starts: dict[int, int], like: Tensor) -> list[_Products]:
    """All strings, sorted by their numbers of factors."""
    by_size: dict[int, list[tuple[int, float, tuple[int, ...]]]] = {}
    for observable, coefficient, factors in cones.terms:
        columns = tuple(
            starts[factor.piece] + factor.copy * len(cones.pieces[factor.piece].strings) + factor.string
            for factor in factors
        )
        by_size.setdefault(len(columns), []).append((observable, coefficient, columns))
    result = []
    for size, entries in by_size.items():
        observables, coefficients, columns = zip(*entries, strict=True)
        result.append(
            _Products(
                torch.tensor(columns, dtype=torch.int64, device=like.device).reshape(len(entries), size),
                torch.tensor(observables, dtype=torch.int64, device=like.device),
                torch.tensor(coefficients, dtype=like.dtype, device=like.device),
            )
        )
    return result


def _inputs(piece: Piece, copy: int, data: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return data[:, list(piece.data_slots[copy])], weights[list(piece.weight_slots[copy])]


def _piece_values(piece: Piece, data: Tensor, weights: Tensor, evaluate: Evaluate) -> Tensor:
    """The values of all strings on all copies, (batch, copies x strings)."""
    n_copies, batch = len(piece.data_slots), data.shape[0]
    if n_copies == 1:
        return evaluate(piece.circuit, *_inputs(piece, 0, data, weights), piece.terms)
    step = max(1, AMPLITUDES_AT_ONCE // (2**piece.circuit.n_qubits * batch))
    parts = []
    for start in range(0, n_copies, step):
        chosen = slice(start, start + step)
        of_data = data[:, torch.tensor(piece.data_slots[chosen], dtype=torch.int64, device=data.device)]
        of_weights = weights[torch.tensor(piece.weight_slots[chosen], dtype=torch.int64, device=data.device)]
        rows = torch.cat([of_data, of_weights.expand(batch, *of_weights.shape)], 2)
        n_rows = batch * rows.shape[1]
        flat = rows.reshape(n_rows, rows.shape[2])
        values = evaluate(piece.circuit.weights_as_data(), flat, weights[:0], piece.terms)
        parts.append(values.reshape(batch, rows.shape[1] * values.shape[1]))
    return torch.cat(parts, 1)
