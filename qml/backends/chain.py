"""Expectation values with arithmetic around them, in one operation of autograd where the compiled kernel runs them."""

from torch import Tensor

from circuits import Circuit, Observable
from qml.backends.protocol import Backend
from qml.simulator import engine
from qml.simulator.jit.chain import After, Before


def chained(
    backend: Backend,
    circuit: Circuit,
    weights: Tensor,
    observables: tuple[Observable, ...],
    before: tuple[Before, tuple[Tensor, ...]],
    after: tuple[After, tuple[Tensor, ...]],
) -> Tensor:
    """Compute `after.plain(values, *tensors)` of expectation values with the data `before.plain(*tensors)`.

    Args:
        backend: on which the circuit runs.
        circuit: what runs.
        weights: (weights,).
        observables: whose expectation values are computed.
        before: arithmetic, and its tensors, of which the first is (batch, inputs).
        after: arithmetic, and its further tensors.
    """
    (first, given), (last, further) = before, after
    inputs = given[0]
    is_batch = inputs.ndim == 2 and inputs.shape[0] > 1 and weights.shape == (circuit.n_weights,)
    if is_batch and backend.capabilities.closed_form and getattr(backend, "compiled", None) is None:
        route = engine.kernel_route(circuit, inputs, observables)
        if route is not None:
            return route.chained(circuit, weights, before, after)
    return last.plain(backend.expectation(circuit, first.plain(*given), weights, observables), *further)
