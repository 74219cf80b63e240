"""The hubs of a circuit: the qubits that every two-qubit gate leaves alone along one Pauli axis.

Between hubs and the other qubits, the spokes, go all two-qubit gates of the circuit; none joins two hubs or two spokes.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np

from circuits.gates import PAULIS
from qml.simulator.linear import NEGLIGIBLE, Linear
from qml.simulator.map_matrices import AXIS_BASES, Axis, matrices_of, with_matrices

MAX_HUBS = 6  # pairs of sectors grow as 4**hubs
T = TypeVar("T")


class KindMemo:
    """A memory of results by the kind of a map: a circuit has thousands of gates and a few kinds."""

    def __init__(self) -> None:
        self._known: dict[tuple, object] = {}

    def __call__(self, key: tuple, linear: Linear, make: Callable[[], T]) -> T:
        if linear.kind is None:
            return make()
        full = (linear.kind, *key)
        if full not in self._known:
            self._known[full] = make()
        return self._known[full]  # pyright: ignore[reportReturnType]


def find_hubs(maps: list[Linear], n_qubits: int, memo: KindMemo) -> dict[int, Axis] | None:
    """Find the hubs, and for each the axis along which all its two-qubit gates leave it alone.

    In every component of the graph of two-qubit gates, hubs are the smaller side of its two-colouring with such axes.

    Returns:
        Hub qubits and their axes; None where a component has no such side, and for no or too many hubs.
    """
    neighbours: dict[int, set[int]] = {qubit: set() for qubit in range(n_qubits)}
    axes: dict[int, set[Axis]] = {qubit: set(AXIS_BASES) for qubit in range(n_qubits)}
    for linear in maps:
        if len(linear.sites) == 2:
            first, second = linear.sites
            neighbours[first].add(second)
            neighbours[second].add(first)
            for k, qubit in enumerate(linear.sites):
                axes[qubit] &= memo(("axes", k), linear, partial(_axes, linear, k))
    hubs: dict[int, Axis] = {}
    seen: set[int] = set()
    for qubit in range(n_qubits):
        if qubit in seen or not neighbours[qubit]:
            continue
        sides = _two_colour(qubit, neighbours)
        if sides is None:
            return None
        seen |= sides[0] | sides[1]
        fitting = [side for side in sides if all(axes[member] for member in side)]
        if not fitting:
            return None
        hubs |= {member: sorted(axes[member])[0] for member in min(fitting, key=len)}
    return hubs if 0 < len(hubs) <= MAX_HUBS else None


def _axes(linear: Linear, place: int) -> set[Axis]:
    """Return the Pauli axes on one of the two sites with which the map commutes at every angle."""
    axes: set[Axis] = set()
    for letter in AXIS_BASES:
        pauli = np.kron(PAULIS[letter], PAULIS["I"]) if place == 0 else np.kron(PAULIS["I"], PAULIS[letter])
        if all(np.abs(pauli @ matrix - matrix @ pauli).max() < NEGLIGIBLE for matrix in matrices_of(linear)):
            axes.add(letter)
    return axes


def _two_colour(start: int, neighbours: dict[int, set[int]]) -> tuple[set[int], set[int]] | None:
    colour, stack = {start: 0}, [start]
    while stack:
        qubit = stack.pop()
        for other in neighbours[qubit]:
            if other not in colour:
                colour[other] = 1 - colour[qubit]
                stack.append(other)
            elif colour[other] == colour[qubit]:
                return None
    sides = ({q for q, c in colour.items() if c == side} for side in (0, 1))
    return next(sides), next(sides)


def without_idle_site(linear: Linear, memo: KindMemo) -> Linear:
    """Reduce a two-site map that leaves one of its sites alone to a one-site map."""
    if len(linear.sites) != 2:
        return linear
    idle, reduced = memo(("idle",), linear, lambda: _idle_site(linear))
    return linear if idle is None else with_matrices(linear, (linear.sites[1 - idle],), reduced)


def _idle_site(linear: Linear) -> tuple[int | None, list[np.ndarray]]:
    for k in range(2):
        reduced = [_trace_out(matrix, k) for matrix in matrices_of(linear)]
        lifted = [np.kron(r, PAULIS["I"]) if k == 1 else np.kron(PAULIS["I"], r) for r in reduced]
        if all(np.abs(a - b).max() < NEGLIGIBLE for a, b in zip(lifted, matrices_of(linear), strict=True)):
            return k, reduced
    return None, []


def _trace_out(matrix: np.ndarray, place: int) -> np.ndarray:
    tensor = matrix.reshape(2, 2, 2, 2)
    return np.einsum("abad->bd" if place == 0 else "abcb->ac", tensor) / 2
