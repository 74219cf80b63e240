"""The entry of the simulator: expectation values, probabilities and states of a circuit for a batch of data.

Every function asks for the route to its answer, which is planned once, and lets it run (`qml.simulator.routes`).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from circuits import Circuit, Observable
from qml.checks import hides_values, in_one_vmap, is_traced, needs_plain_operations, require_all_finite
from qml.jets import Orders
from qml.simulator.asked import asked
from qml.simulator.execution import Method
from qml.simulator.idle import without_idle, without_unread
from qml.simulator.jit.values import settled
from qml.simulator.linear import is_mixed
from qml.simulator.marginals import certain, independent_components, joint_probabilities
from qml.simulator.memory import MemoryNeed
from qml.simulator.pauli.options import PauliPropagation
from qml.simulator.plan import Request, batch_step
from qml.simulator.readout import Terms
from qml.simulator.routes import COMPILED, DISTRIBUTIONS, EXPECTATIONS, JETS, PROPAGATIONS, STATES
from qml.simulator.routes.choice import ANY_BATCH
from qml.simulator.routes.kernel import KernelRoute
from qml.simulator.routes.propagation import Bounded, PropagationRoute

NORM: Terms = (((1.0, ()),),)
SINGLE_REGISTER = 20  # qubits: for wider circuits other routes to probabilities are looked for


def expectation(
    circuit: Circuit,
    data: Tensor,
    weights: Tensor,
    observables: tuple[Observable, ...],
    *,
    levels: int,
    method: Method,
    compiled: bool | None = False,
) -> Tensor:
    """Compute expectation values; data (batch, inputs), weights (weights,) to (batch, observables)."""
    known = asked(circuit, observables)
    is_plain = method == "autograd" or (needs_plain_operations() and not in_one_vmap())
    allowed = False if is_plain else settled(compiled, data)
    batch, only_registers = data.shape[0], method == "adjoint"
    request = known.request(
        levels, batch_step(batch), shared=batch == 1, only_registers=only_registers, compiled=allowed
    )
    active = circuit if known.narrow is None else known.narrow
    route = (COMPILED if allowed else EXPECTATIONS).find(active, request, data)
    if not isinstance(route, KernelRoute):  # which finds it out by itself
        _require_finite(data, weights)
    return route.expectation(data, weights, method=method)


def kernel_route(circuit: Circuit, data: Tensor, observables: Sequence[Observable]) -> KernelRoute | None:
    """Return the route of expectation values if it is the compiled kernel's, and may run for a batch here and now.

    Args:
        circuit: what runs.
        data: of its batch size, dtype and device.
        observables: what is read.
    """
    if is_traced() or not data.is_cpu or data.shape[0] < 2 or is_mixed(circuit):
        return None
    if not isinstance(observables, tuple):  # requests are recognised by a tuple's identity, and a list may change
        return None
    if needs_plain_operations() and not in_one_vmap():
        return None
    known = asked(circuit, observables)
    if not known.fit:  # whoever asks for values in the usual way is told
        return None
    request = known.request(2, batch_step(data.shape[0]), shared=False, only_registers=False, compiled=None)
    route = EXPECTATIONS.find(circuit if known.narrow is None else known.narrow, request, data)
    return route if isinstance(route, KernelRoute) else None


def propagated(
    circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...], options: PauliPropagation
) -> Tensor:
    """Compute expectation values by Pauli propagation, (batch, observables)."""
    _require_finite(data, weights)
    return _propagation(circuit, data, observables, options).expectation(data, weights, method="auto")


def propagated_with_error(
    circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...], options: PauliPropagation
) -> Bounded:
    """Compute expectation values by Pauli propagation, with estimates and bounds of their errors."""
    return _propagation(circuit, data, observables, options).bounded(data, weights)


def _propagation(
    circuit: Circuit, data: Tensor, observables: tuple[Observable, ...], options: PauliPropagation
) -> PropagationRoute:
    request = Request(2, _terms(observables), shared_data=False, batch=ANY_BATCH, propagation=options)
    return PROPAGATIONS.find(circuit, request, data)


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
    components = independent_components(circuit, qubits, levels)

    def of_part(part: Circuit, inputs: Tensor, angles: Tensor, read: tuple[int, ...]) -> Tensor:
        part, read = without_unread(part, read)
        request = _request(inputs, levels_of(part, circuit, levels), None)
        if part.n_qubits > SINGLE_REGISTER:
            request = replace(request, outcomes=read)
        return DISTRIBUTIONS.find(part, request, inputs).probabilities(inputs, angles, read, method=method)

    if components is None:
        return of_part(circuit, data, weights, qubits)
    outcomes = MemoryNeed(len(qubits), 2, data.shape[0], data.dtype, data.device, register=f"{len(qubits)} read qubits")
    outcomes.require()
    return joint_probabilities(components, len(qubits), data, weights, of_part)


def success_probability(circuit: Circuit, data: Tensor, weights: Tensor, *, levels: int, method: Method) -> Tensor:
    """Compute the probability that every post-selection succeeds; (batch,)."""
    components = independent_components(circuit, (), levels)

    def of_part(part: Circuit, inputs: Tensor, angles: Tensor, _: tuple[int, ...]) -> Tensor:
        part, terms = without_idle(part, NORM)
        request = _request(inputs, levels_of(part, circuit, levels), terms)
        if part.n_qubits > SINGLE_REGISTER:
            request = replace(request, outcomes=())
        return DISTRIBUTIONS.find(part, request, inputs).success_probability(inputs, angles, method=method)[:, None]

    if components is None:
        return of_part(circuit, data, weights, ())[:, 0]
    chances = [component.evaluate(of_part, data, weights) for component in components]
    return torch.cat([certain(data, weights), *chances], 1).prod(1)


def final_state(circuit: Circuit, data: Tensor, weights: Tensor, *, compiled: bool | None = False) -> Tensor:
    """Compute the normalised state vector; (batch, 2**n)."""
    request = _request(data, 2, None)
    if not needs_plain_operations() or in_one_vmap():
        request = replace(request, compiled=settled(compiled, data))
    return STATES.find(circuit, request, data).state(data, weights)


def _require_finite(data: Tensor, weights: Tensor) -> None:
    if not hides_values():
        require_all_finite(data=data, weights=weights)


def _request(data: Tensor, levels: int, terms: Terms | None, **options: Any) -> Request:
    return Request(levels, terms, shared_data=data.shape[0] == 1, batch=batch_step(data.shape[0]), **options)


def _terms(observables: tuple[Observable, ...]) -> Terms:
    """Return the weighted Pauli strings of every observable."""
    return tuple(observable.terms for observable in observables)


def levels_of(part: Circuit, circuit: Circuit, levels: int) -> int:
    """Return the levels of a part: one without noise, of a circuit that has some, is a state vector."""
    return 2 if is_mixed(circuit) and not is_mixed(part) else levels
