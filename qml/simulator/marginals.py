"""Outcomes of some qubits of a wide circuit: the components of their light cone are independent of each other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from circuits import Circuit
from qml.simulator import cones
from qml.simulator.cones import components_of, isolated
from qml.simulator.light_cone import light_cone, projections

Evaluate = Callable[[Circuit, Tensor, Tensor, tuple[int, ...]], Tensor]
"""What a circuit gives for data (batch, inputs), weights (weights,) and qubits of it, one row a sample."""


@dataclass(frozen=True, eq=False)
class Component:
    """A circuit on a register of its own.

    Attributes:
        circuit: its qubits and slots are numbered from 0.
        data_slots, weight_slots: the slots of the whole circuit that fill its own.
        measured: its qubits that are read; none where it only post-selects.
        places: for each of these its place among the qubits that were asked for.
    """

    circuit: Circuit
    data_slots: tuple[int, ...]
    weight_slots: tuple[int, ...]
    measured: tuple[int, ...]
    places: tuple[int, ...]

    def evaluate(self, function: Evaluate, data: Tensor, weights: Tensor) -> Tensor:
        """Call a function of circuit, data, weights and qubits with those of this component."""
        return function(self.circuit, data[:, list(self.data_slots)], weights[list(self.weight_slots)], self.measured)


def independent_components(circuit: Circuit, qubits: tuple[int, ...], levels: int) -> tuple[Component, ...] | None:
    """Find the components that the outcomes of some qubits depend on, or None where they cost as much as the whole.

    Components that post-select without being read stand in it too: they must be possible.
    """
    if circuit.n_qubits <= cones.NARROW:
        return None
    return circuit.derived(
        f"components that {qubits} depend on, {levels} levels", lambda: _find_components(circuit, qubits, levels)
    )


def _find_components(circuit: Circuit, qubits: tuple[int, ...], levels: int) -> tuple[Component, ...] | None:
    cone = light_cone(circuit, [], qubits)
    place = {qubit: k for k, qubit in enumerate(qubits)}
    projecting = frozenset(projections(circuit))
    components, cost = [], 0.0
    for numbers in components_of(circuit.operations, cone.operations):
        alone = isolated(circuit.operations, numbers)
        measured = tuple(qubit for qubit in alone.register if qubit in place)
        if measured or not projecting.isdisjoint(numbers):
            own = tuple(alone.register[qubit] for qubit in measured)
            places = tuple(place[qubit] for qubit in measured)
            components.append(Component(alone.circuit(), alone.data_slots, alone.weight_slots, own, places))
            cost += alone.cost(levels)
    whole = len(circuit) * float(levels) ** min(circuit.n_qubits, cones.LARGEST_EXPONENT)
    return tuple(components) if cost < cones.GAIN * whole else None


def joint_probabilities(
    components: Sequence[Component], n_qubits: int, data: Tensor, weights: Tensor, evaluate: Evaluate
) -> Tensor:
    """Multiply the distributions of all components, (batch, 2**n_qubits); qubits in none of them read 0."""
    joint, order = certain(data, weights), []
    for component in components:
        own = component.evaluate(evaluate, data, weights)
        joint = (joint[:, :, None] * own[:, None, :]).flatten(1)
        order.extend(component.places)
    untouched = [place for place in range(n_qubits) if place not in order]
    if untouched:
        zeros = torch.nn.functional.pad(joint[:, :, None], (0, 2 ** len(untouched) - 1))
        joint = zeros.flatten(1)
        order.extend(untouched)
    axes = [1 + order.index(place) for place in range(n_qubits)]
    return joint.reshape(-1, *(2,) * n_qubits).permute(0, *axes).reshape(data.shape[0], 2**n_qubits)


def certain(data: Tensor, weights: Tensor) -> Tensor:
    """Return a probability of 1 for every sample, (batch, 1), whose derivatives are 0 and exist."""
    return 1.0 + 0.0 * (data.sum(1, keepdim=True) + weights.sum())


def joint_bits(
    components: Sequence[Component], n_qubits: int, nothing: Tensor, data: Tensor, weights: Tensor, sample: Evaluate
) -> Tensor:
    """Draw the bits of every component apart, int8 (batch, shots, n_qubits); qubits in none of them read 0.

    Args:
        components: of the circuit.
        n_qubits: how many qubits are read.
        nothing: bits of no qubit, (batch, shots, 0).
        data: (batch, inputs).
        weights: (weights,).
        sample: draws the bits of one component.
    """
    bits = nothing.new_zeros(*nothing.shape[:2], n_qubits)
    for component in components:
        bits[:, :, list(component.places)] = component.evaluate(sample, data, weights)
    return bits
