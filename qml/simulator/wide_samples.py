"""Samples of many qubits: independent parts apart, and wide parts from the tree of a contraction."""

from collections.abc import Callable

import torch
from torch import Tensor

from circuits import Circuit
from circuits.gates import Measure
from qml.simulator.engine import levels_of, probabilities
from qml.simulator.marginals import independent_components, joint_bits
from qml.simulator.memory import MemoryNeed
from qml.simulator.network import network_of
from qml.simulator.network_sampling import SamplingTree, draw_outcomes, sampling_tree
from qml.simulator.routes.contraction import LARGEST_COST, LARGEST_WIDTH
from qml.simulator.routes.register import require_possible
from qml.simulator.routes.too_wide import TooWideRoute

MAX_JOINT_OUTCOMES = 20  # qubits whose outcomes are drawn from the probabilities of all of them
ENTRIES_AT_ONCE = 2**22  # of the largest tables of shots that run side by side

Draw = Callable[[Tensor, int], Tensor]
"""A function that draws bits (batch, shots, k) from probabilities (batch, 2**k)."""


def sample_bits(
    circuit: Circuit,
    data: Tensor,
    weights: Tensor,
    qubits: tuple[int, ...],
    draw: Draw,
    generator: torch.Generator | None,
    *,
    levels: int,
) -> Tensor:
    """Draw bits of `qubits`, int8 (batch, shots, k): those of independent qubits apart, so that these may be many.

    Args:
        circuit: one that records no bits on its way.
        data: (batch, inputs).
        weights: (weights,).
        qubits: which are read.
        draw: how bits are drawn, and how many.
        generator: of random numbers.
        levels: 2 for state vectors, 4 for density matrices.

    Raises:
        ValueError: a part that neither a register nor a contraction reaches; a post-selection that cannot succeed.
    """
    components = independent_components(circuit, qubits, levels)
    nothing = draw(data.new_ones(data.shape[0], 1), 0)
    shots = nothing.shape[1]

    def of_part(part: Circuit, inputs: Tensor, angles: Tensor, read: tuple[int, ...]) -> Tensor:
        part_levels = levels_of(part, circuit, levels)
        register = MemoryNeed(part.n_qubits, part_levels, len(inputs), inputs.dtype.to_complex(), inputs.device)
        if len(read) <= MAX_JOINT_OUTCOMES or register.fits():
            return draw(probabilities(part, inputs, angles, read, levels=part_levels, method="auto"), len(read))
        tree = part.derived(f"sampling tree of {read}", lambda: sampling_tree(network_of(part, (), read), LARGEST_COST))
        if tree is None or tree.plan.order.width > LARGEST_WIDTH:
            TooWideRoute(part.n_qubits, part_levels, None if tree is None else tree.plan.order).refuse(inputs)
        rows = [_drawn(tree, inputs[k : k + 1], angles, shots, generator) for k in range(len(inputs))]
        return torch.stack(rows)

    if components is None:
        return of_part(circuit, data, weights, qubits)
    return joint_bits(components, len(qubits), nothing, data, weights, of_part)


def _drawn(tree: SamplingTree, row: Tensor, weights: Tensor, shots: int, generator: torch.Generator | None) -> Tensor:
    """Draw bits of one sample, (shots, k), some shots at a time."""
    step = max(1, ENTRIES_AT_ONCE >> tree.plan.order.width)
    parts = []
    for start in range(0, shots, step):
        bits, chance = draw_outcomes(tree, row, weights, min(step, shots - start), generator)
        require_possible(chance[None].to(row.dtype), levels=2)
        parts.append(bits)
    return torch.cat(parts) if parts else row.new_zeros(0, len(tree.readers), dtype=torch.int8)


def with_copied_bits(circuit: Circuit) -> tuple[Circuit, tuple[int, ...]]:
    """Replace measurements on the way by copies to fresh qubits; return the circuit and the qubit of every bit.

    (Nielsen and Chuang, Quantum Computation and Quantum Information (2010), section 4.4.)
    """
    return circuit.derived("measurements copied to fresh qubits", lambda: _copied(circuit))


def _copied(circuit: Circuit) -> tuple[Circuit, tuple[int, ...]]:
    n_measured = sum(isinstance(op.gate, Measure) for op in circuit.operations)
    result, fresh, places = Circuit(circuit.n_qubits + n_measured), circuit.n_qubits, dict[int, int]()
    for op in circuit.operations:
        if isinstance(op.gate, Measure):
            result.cx(op.qubits[0], fresh)
            places[op.gate.bit], fresh = fresh, fresh + 1
        else:
            result.append(op.gate, op.qubits, controls=op.controls, angles=op.angles)
    return result, tuple(places[bit] for bit in range(circuit.n_bits))
