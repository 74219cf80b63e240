"""The route in pieces: every Pauli string on its light cone, every cone in its components (see `qml.simulator.cones`).

Each piece takes a route of its own. Copies of a piece run side by side where they are small: in the compiled kernel as
groups of samples with weights of their own, in other routes as samples whose weights are data. The values of pieces are
multiplied and added.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from circuits import Circuit
from qml.simulator.cones import Cones, Piece, find_cones
from qml.simulator.execution import Method
from qml.simulator.linear import is_mixed
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request, batch_step
from qml.simulator.readout import Terms
from qml.simulator.routes.choice import RouteChoice
from qml.simulator.routes.contraction import find_contraction
from qml.simulator.routes.factorised import find_factorised
from qml.simulator.routes.halves import find_halves
from qml.simulator.routes.kernel import MIN_WIDE_BATCH, KernelRoute, find_kernel
from qml.simulator.routes.register import find_register, require_possible
from qml.simulator.routes.route import ExpectationRoute
from qml.simulator.tables import TableCache

AMPLITUDES_AT_ONCE = 2**22  # of copies of a piece that run as one batch
FEW_FACTORS = 8  # products of more are taken in double precision
NORM = (((1.0, ()),),)

ONE_PIECE: RouteChoice[ExpectationRoute] = RouteChoice(
    find_factorised,
    find_contraction,
    find_kernel,
    find_register,
    find_halves,
    refusal="Expectation values need a route of the simulator, but there is none to this circuit's {n_qubits} qubits.",
)
"""The candidates for a circuit that is not taken to pieces."""


class Products(NamedTuple):
    """Strings with the same number of factors.

    Attributes:
        columns: (strings, factors), which values are multiplied.
        observables: (strings,), the observable that each belongs to.
        coefficients: (strings,).
    """

    columns: Tensor
    observables: Tensor
    coefficients: Tensor


class PiecesRoute:
    """A simulation of all pieces; see `ExpectationRoute`."""

    is_final = True

    def __init__(self, cones: Cones, request: Request) -> None:
        self.cones, self._request = cones, request
        self._products: TableCache[tuple[torch.dtype, torch.device], list[Products]] = TableCache()

    @property
    def cost(self) -> float:
        """Count the amplitudes that are moved."""
        return self.cones.cost

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return nothing: every piece asks for its own."""
        return ()

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute the values of all pieces, and of the observables from those."""
        cones = self.cones
        for number, copy in cones.conditions:
            piece = cones.pieces[number]
            inputs, angles = _inputs(piece, copy, data, weights)
            with torch.no_grad():
                require_possible(self._chance(piece.circuit, inputs, angles), levels=self._levels(piece.circuit))
        values = [self._values(piece, data, weights, method) for piece in cones.pieces if piece.strings]
        known = torch.cat([data.new_zeros(data.shape[0], 0), *values], 1)
        answer = data.new_zeros(data.shape[0], cones.n_observables) + 0.0 * (data.sum(1, keepdim=True) + weights.sum())
        for products in self._products.get((data.dtype, data.device), lambda: products_of(cones, data)):
            terms = _multiplied(known, products.columns) * products.coefficients
            answer = answer.index_add(1, products.observables, terms)
        return answer

    def _levels(self, circuit: Circuit) -> int:
        """Return the levels of a site: a piece without noise, of a circuit that has some, is a state vector."""
        return self._request.levels if self.cones.is_pure or is_mixed(circuit) else 2

    def _request_for(self, circuit: Circuit, data: Tensor, terms: Terms) -> Request:
        request = self._request
        return Request(
            self._levels(circuit),
            terms,
            shared_data=data.shape[0] == 1,
            batch=batch_step(data.shape[0]),
            only_registers=request.only_registers,
            compiled=request.compiled,
        )

    def _evaluate(self, circuit: Circuit, data: Tensor, weights: Tensor, piece: Piece, method: Method) -> Tensor:
        return self._route(circuit, data, piece).expectation(data, weights, method=method)

    def _route(self, circuit: Circuit, data: Tensor, piece: Piece) -> ExpectationRoute:
        return ONE_PIECE.find(circuit, self._request_for(circuit, data, piece.terms), data)

    def _chance(self, circuit: Circuit, data: Tensor, weights: Tensor) -> Tensor:
        """Compute the probability that the post-selections of a piece succeed, (batch, 1)."""
        route = find_register(circuit, self._request_for(circuit, data, NORM))
        return route.success_probability(data, weights, method="auto")[:, None]

    def _values(self, piece: Piece, data: Tensor, weights: Tensor, method: Method) -> Tensor:
        """Compute the values of all strings on all copies, (batch, copies x strings)."""
        n_copies, batch = len(piece.data_slots), data.shape[0]
        step = AMPLITUDES_AT_ONCE // (self._levels(piece.circuit) ** piece.circuit.n_qubits * batch)
        if n_copies == 1 or step <= 1:
            inputs = (_inputs(piece, copy, data, weights) for copy in range(n_copies))
            return torch.cat([self._evaluate(piece.circuit, *pair, piece, method) for pair in inputs], 1)
        route = self._route(piece.circuit, data, piece) if batch >= MIN_WIDE_BATCH and piece.circuit.n_weights else None
        parts = []
        for start in range(0, n_copies, step):
            chosen = slice(start, start + step)
            of_data = data[:, torch.tensor(piece.data_slots[chosen], dtype=torch.int64, device=data.device)]
            of_weights = weights[torch.tensor(piece.weight_slots[chosen], dtype=torch.int64, device=data.device)]
            if isinstance(route, KernelRoute):
                values = route.copies(of_data.movedim(1, 0), of_weights, method=method).movedim(0, 1)
                parts.append(values.flatten(1))
                continue
            rows = torch.cat([of_data, of_weights.expand(batch, *of_weights.shape)], 2)
            n_samples = batch * rows.shape[1]
            flat = rows.reshape(n_samples, rows.shape[2])
            values = self._evaluate(piece.circuit.weights_as_data(), flat, weights[:0], piece, method)
            parts.append(values.reshape(batch, rows.shape[1] * values.shape[1]))
        return torch.cat(parts, 1)


def find_pieces(circuit: Circuit, request: Request) -> PiecesRoute | None:
    """Plan the pieces of a circuit; None where they would cost as much as the circuit."""
    cones = None if request.terms is None else find_cones(circuit, request.terms, request.levels)
    return None if cones is None else PiecesRoute(cones, request)


def _inputs(piece: Piece, copy: int, data: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    return data[:, list(piece.data_slots[copy])], weights[list(piece.weight_slots[copy])]


def _multiplied(known: Tensor, columns: Tensor) -> Tensor:
    """Multiply columns (strings, factors) of values, to (batch, strings)."""
    n_strings, n_factors = columns.shape
    if n_factors == 0:
        return known.new_ones(known.shape[0], n_strings)
    if n_factors <= FEW_FACTORS:
        first, *others = (known[:, column] for column in columns.unbind(1))
        return math.prod(others, start=first)
    return known[:, columns].double().prod(-1).to(known.dtype)


def products_of(cones: Cones, like: Tensor) -> list[Products]:
    """Sort all strings by their numbers of factors."""
    starts, n_values = {}, 0
    for number, piece in enumerate(cones.pieces):
        starts[number] = n_values
        n_values += len(piece.strings) * len(piece.data_slots)
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
        places = torch.tensor(columns, dtype=torch.int64, device=like.device).reshape(len(entries), size)
        result.append(
            Products(
                places,
                torch.tensor(observables, dtype=torch.int64, device=like.device),
                torch.tensor(coefficients, dtype=like.dtype, device=like.device),
            )
        )
    return result
