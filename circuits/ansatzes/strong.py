"""Strongly entangling layers: general rotations, and entangling gates whose distance grows from layer to layer."""

from collections.abc import Sequence
from itertools import count

from circuits import _checks
from circuits.ansatzes.patterns import require_neighbours
from circuits.circuit import Circuit
from circuits.slots import weight


def strongly_entangling(
    n_qubits: int, n_layers: int = 1, *, entangler: str = "cx", ranges: Sequence[int] | None = None
) -> Circuit:
    """Return layers of a general rotation a qubit, followed by gates that join qubit k with qubit k + range.

    The rotation is RZ(c) RY(b) RZ(a), a acting first. In layer l the range is (l mod (n - 1)) + 1.

    Args:
        n_qubits: number of qubits n, at least 2.
        n_layers: number of layers, at least 1.
        entangler: `"cx"`, `"cy"` or `"cz"`.
        ranges: the distance in each layer, no multiple of n.

    Returns:
        A circuit with 3 n n_layers weights, number (layer * n + qubit) * 3 + place for a, b, c: PennyLane's
        `StronglyEntanglingLayers`, its weights of shape (n_layers, n, 3) flattened.

    Raises:
        ValueError: one qubit alone, an unknown entangler, ranges of another number or at multiples of n.

    Reference:
        Schuld et al., arXiv:1804.00633, figure 4.

    Example:
        >>> strongly_entangling(3, 2).n_weights
        18
    """
    n_qubits = require_neighbours(n_qubits)
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    _checks.require_choice(entangler, "entangler", ("cx", "cy", "cz"))
    distances = _distances(ranges, n_qubits, n_layers)
    circuit, numbers = Circuit(n_qubits), count()
    for distance in distances:
        for qubit in range(n_qubits):
            for axis in "ZYZ":
                circuit.pauli_rotation(weight(next(numbers)), axis, qubit)
        for qubit in range(n_qubits):
            getattr(circuit, entangler)(qubit, (qubit + distance) % n_qubits)
    return circuit


def _distances(ranges: Sequence[int] | None, n_qubits: int, n_layers: int) -> tuple[int, ...]:
    if ranges is None:
        return tuple(layer % (n_qubits - 1) + 1 for layer in range(n_layers))
    distances = _checks.as_ints(ranges, "ranges", 1)
    _checks.require_length(distances, n_layers, "ranges", "distances, one for each layer")
    for distance in distances:
        if distance % n_qubits == 0:
            raise ValueError(
                f"Argument `ranges` must hold no multiple of {n_qubits}, which joins a qubit with itself, but holds "
                f"{distance}."
            )
    return distances
