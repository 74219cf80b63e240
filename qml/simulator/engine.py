"""The entry of the simulator: expectation values, probabilities and states of a circuit for a batch of data.

Every function asks for the route to its answer, which is planned once, and lets it run (`qml.simulator.routes`).
"""

import torch
from torch import Tensor

from circuits import Circuit, Observable
from qml.jets import Orders
from qml.simulator.execution import Method
from qml.simulator.idle import without_idle, without_unread
from qml.simulator.plan import Request, batch_step
from qml.simulator.readout import Terms
from qml.simulator.routes import DISTRIBUTIONS, EXPECTATIONS, JETS


def expectation(
    circuit: Circuit,
    data: Tensor,
    weights: Tensor,
    observables: tuple[Observable, ...],
    *,
    levels: int,
    method: Method,
) -> Tensor:
    """Compute expectation values; data (batch, inputs), weights (weights,) to (batch, observables)."""
    circuit, terms = without_idle(circuit, _terms(observables))
    route = EXPECTATIONS.find(circuit, _request(data, levels, terms), data)
    return route.expectation(data, weights, method=method)


def expectation_jet(
    circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...], orders: Orders
) -> Tensor:
    """Compute expectation values and their derivatives, (components, batch, observables); see `qml.simulator.jets`.

    Args:
        circuit: of unitary gates.
        data: (components, batch, inputs).
        weights: (weights,), or one vector a sample, (batch, weights).
        observables: what is read.
        orders: of the components.

    Raises:
        NotImplementedError: a circuit that projects, or whose amplitudes are data, or one too wide for a state vector.
    """
    circuit, terms = without_idle(circuit, _terms(observables))
    request = Request(2, terms, shared_data=False, batch=batch_step(data.shape[0] * data.shape[1]))
    route = JETS.find(circuit, request, data)
    # One row that was expanded to all samples needs no states of its own for each.
    is_one_row = weights.ndim == 2 and (len(weights) == 1 or weights.stride(0) == 0)
    if weights.ndim == 2 and not (is_one_row and route.takes_rows(data)):
        constant = torch.cat([weights[None], weights.new_zeros(data.shape[0] - 1, *weights.shape)])
        data, weights = torch.cat([data, constant], -1), weights.new_empty(0)
        route = JETS.find(circuit.weights_as_data(), request, data)
    return route.jets(data, weights, orders)


def probabilities(
    circuit: Circuit, data: Tensor, weights: Tensor, qubits: tuple[int, ...], *, levels: int, method: Method
) -> Tensor:
    """Compute the probabilities of the outcomes of `qubits`, the first the most significant; (batch, 2**k)."""
    circuit, qubits = without_unread(circuit, qubits)
    route = DISTRIBUTIONS.find(circuit, _request(data, levels, None), data)
    return route.probabilities(data, weights, qubits, method=method)


def success_probability(circuit: Circuit, data: Tensor, weights: Tensor, *, levels: int, method: Method) -> Tensor:
    """Compute the probability that every post-selection succeeds; (batch,)."""
    circuit, terms = without_idle(circuit, (((1.0, ()),),))
    route = DISTRIBUTIONS.find(circuit, _request(data, levels, terms), data)
    return route.success_probability(data, weights, method=method)


def final_state(circuit: Circuit, data: Tensor, weights: Tensor) -> Tensor:
    """Compute the normalised state vector; (batch, 2**n)."""
    return DISTRIBUTIONS.find(circuit, _request(data, 2, None), data).state(data, weights)


def _request(data: Tensor, levels: int, terms: Terms | None) -> Request:
    return Request(levels, terms, shared_data=data.shape[0] == 1, batch=batch_step(data.shape[0]))


def _terms(observables: tuple[Observable, ...]) -> Terms:
    """Return the weighted Pauli strings of every observable."""
    return tuple(observable.terms for observable in observables)
