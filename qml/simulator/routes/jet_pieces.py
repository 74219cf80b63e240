"""The route of jets of wide circuits: every component of the light cones on a register of its own.

The value of a string is the product of the values of its components; its derivatives follow by the product rule.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from circuits import Circuit
from qml.jets import Orders
from qml.simulator.cones import Cones, Piece, find_cones
from qml.simulator.draft import draft_circuit
from qml.simulator.light_cone import projections
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request, batch_step
from qml.simulator.routes.pieces import AMPLITUDES_AT_ONCE, Products, products_of
from qml.simulator.routes.stepwise import MAX_JET_QUBITS, StepwiseRoute
from qml.simulator.tables import TableCache


class PlannedPiece(NamedTuple):
    """A piece and the route of its jets; the weights of several copies are data of as many samples."""

    piece: Piece
    route: StepwiseRoute
    is_copied: bool


class JetPiecesRoute:
    """A simulation of jets of all pieces; see `JetRoute`."""

    is_final = True

    def __init__(self, cones: Cones, request: Request) -> None:
        self._cones = cones
        self._planned = [_planned(piece, request) for piece in cones.pieces if piece.strings]
        self._products: TableCache[tuple[torch.dtype, torch.device], list[Products]] = TableCache()

    @property
    def cost(self) -> float:
        """Count the amplitudes that are moved."""
        return self._cones.cost

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return nothing: every piece asks for its own."""
        return ()

    def takes_rows(self, data: Tensor) -> bool:
        """Tell whether the derivatives of all matrices of all pieces may be held."""
        return all(
            planned.is_copied or planned.route.takes_rows(data[:, :, list(planned.piece.data_slots[0])])
            for planned in self._planned
        )

    def jets(self, data: Tensor, weights: Tensor, orders: Orders) -> Tensor:
        """Compute the components of expectation values."""
        known = [data.new_zeros(*data.shape[:2], 0)]
        known += [_values(planned, data, weights, orders) for planned in self._planned]
        joined = torch.cat(known, 2)
        answer = joined.new_zeros(*data.shape[:2], self._cones.n_observables)
        answer = answer + 0.0 * (data.sum(2, keepdim=True) + weights.sum())
        for products in self._products.get((data.dtype, data.device), lambda: products_of(self._cones, data)):
            terms = _multiplied(joined, products.columns, orders) * products.coefficients
            answer = answer.index_add(2, products.observables, terms)
        return answer


def find_jet_pieces(circuit: Circuit, request: Request) -> JetPiecesRoute | None:
    """Plan the pieces of a wide circuit of unitary gates; None where one is too wide, or the circuit is narrow."""
    if request.terms is None or circuit.n_qubits <= MAX_JET_QUBITS or projections(circuit):
        return None
    cones = find_cones(circuit, request.terms, request.levels)
    if cones is None or any(piece.circuit.n_qubits > MAX_JET_QUBITS for piece in cones.pieces):
        return None
    return JetPiecesRoute(cones, request)


def _planned(piece: Piece, request: Request) -> PlannedPiece:
    n_copies = len(piece.data_slots)
    circuit = piece.circuit.weights_as_data() if n_copies > 1 else piece.circuit
    batch = batch_step(request.batch * n_copies)
    own = Request(request.levels, piece.terms, shared_data=False, batch=batch, only_steps=True)
    return PlannedPiece(piece, StepwiseRoute(draft_circuit(circuit, own)), n_copies > 1)


def _values(planned: PlannedPiece, data: Tensor, weights: Tensor, orders: Orders) -> Tensor:
    """Compute the values of all strings on all copies of a piece, (components, batch, copies x strings)."""
    piece, route, is_copied = planned
    if not is_copied:
        inputs, angles = data[:, :, list(piece.data_slots[0])], weights[..., list(piece.weight_slots[0])]
        return route.jets(inputs, angles, orders)
    n_components, batch = data.shape[:2]
    step = max(1, AMPLITUDES_AT_ONCE // (2**piece.circuit.n_qubits * batch * n_components))
    parts = []
    for start in range(0, len(piece.data_slots), step):
        chosen = slice(start, start + step)
        of_data = data[:, :, torch.tensor(piece.data_slots[chosen], dtype=torch.int64, device=data.device)]
        of_weights = weights[..., torch.tensor(piece.weight_slots[chosen], dtype=torch.int64, device=data.device)]
        constant = of_weights.expand(1, batch, *of_weights.shape[-2:])
        constant = torch.cat([constant, constant.new_zeros(n_components - 1, *constant.shape[1:])])
        rows = torch.cat([of_data, constant], 3).flatten(1, 2)
        values = route.jets(rows, weights.new_empty(0), orders)
        parts.append(values.reshape(n_components, batch, -1))
    return torch.cat(parts, 2)


def _multiplied(known: Tensor, columns: Tensor, orders: Orders) -> Tensor:
    """Multiply columns (strings, factors) of jets, to (components, batch, strings)."""
    n_strings, n_factors = columns.shape
    if n_factors == 0:
        ones = known.new_ones(1, known.shape[1], n_strings)
        return torch.cat([ones, ones.new_zeros(known.shape[0] - 1, *ones.shape[1:])])
    parts = known[:, :, columns]
    while parts.shape[3] > 1:
        half = parts.shape[3] // 2
        products = _product(parts[..., :half], parts[..., half : 2 * half], orders)
        parts = torch.cat([products, parts[..., 2 * half :]], 3)
    return parts[..., 0]


def _product(left: Tensor, right: Tensor, orders: Orders) -> Tensor:
    """Multiply two jets, their components in front."""
    components = [left[0] * right[0], *(left[0] * right[1:] + left[1:] * right[0])]
    for second, first, scale in orders.second_order_terms:
        place = 1 + orders.n_first + second
        components[place] = components[place] + 2.0 * scale * left[1 + first] * right[1 + first]
    return torch.stack(components)
