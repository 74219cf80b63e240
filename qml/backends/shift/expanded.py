"""Circuits in the form that devices take: every use of a slot is a parameter of its own, and no amplitudes are left.

Then a forward pass, all shifted runs of a backward pass, and the two sides of a random direction are rows of angles for
one and the same circuit, which is translated once.

Amplitudes become uniformly controlled rotations (Mottonen et al., arXiv:quant-ph/0407010). Expectation values are
quadratic in the amplitudes, q(a) = |a|^2 f(a / |a|), where f is what a device measures; hence
dq/da_k = (q(a + e_k) - q(a - e_k)) / 2, exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from circuits import Circuit, Operation, Slot
from circuits import data as data_slot
from circuits.gates import StatePreparation

Angles = np.ndarray


@dataclass(frozen=True)
class Use:
    """A use of a slot by one gate.

    Args:
        slot: the slot.
        frequency: expectation values are sums of cos(k frequency t) and sin(k frequency t), k = 0..order; 0 marks an
            amplitude, in which they are quadratic.
        order: the highest k.
    """

    slot: Slot
    frequency: float
    order: int = 1

    def shifts(self) -> tuple[tuple[float, float], ...]:
        """Return pairs (shift, coefficient) whose sum of coefficient * value(t + shift) is the derivative at t.

        Two terms for order 1 and four for order 2, as controlled rotations have.

        Reference:
            Wierichs, Izaac, Wang and Lin, "General parameter-shift rules for quantum gradients", arXiv:2107.12390,
            equation 11 for equidistant frequencies; here in units of the base frequency, shifts in [-pi, pi].
        """
        if self.frequency == 0.0:
            return ((1.0, 0.5), (-1.0, -0.5))
        count = 2 * self.order
        result = []
        for mu in range(1, count + 1):
            point = (2 * mu - 1) * np.pi / count
            coefficient = (-1) ** (mu - 1) * self.frequency / (2 * count * np.sin(point / 2) ** 2)
            result.append(((point if point <= np.pi else point - 2 * np.pi) / self.frequency, coefficient))
        return tuple(result)


@dataclass(frozen=True)
class Amplitudes:
    """Columns of a point that are amplitudes, and become angles of rotations.

    Args:
        columns: the amplitudes' columns; all real parts, then all imaginary parts.
        n_qubits: on how many qubits.
        is_complex: whether there are imaginary parts.
    """

    columns: tuple[int, ...]
    n_qubits: int
    is_complex: bool

    def values(self, points: np.ndarray) -> np.ndarray:
        """Return the amplitudes, (rows, 2**n_qubits)."""
        values = points[:, self.columns]
        if not self.is_complex:
            return values
        half = values.shape[1] // 2
        return values[:, :half] + 1j * values[:, half:]


@dataclass(frozen=True, eq=False)
class Expanded:
    """A circuit whose data slots are used once each, and how a point of its slots becomes a row of angles.

    A point has one column for each use, in the order of `uses`; a row has one for each slot of `circuit`.

    Args:
        circuit: data slots 0, 1, ... only, each used once, no amplitudes from slots.
        uses: every use of the original's slots.
        preparations: which columns of a point are amplitudes. Their angles come last in a row.
    """

    circuit: Circuit
    uses: tuple[Use, ...]
    preparations: tuple[Amplitudes, ...]

    def points(self, data: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the slots' values at each use, (batch, uses); weights (n_weights,), or a row for each sample."""
        sources = {"data": data, "weight": np.broadcast_to(weights, (len(data), weights.shape[-1]))}
        columns = [sources[use.slot.kind][:, use.slot.index] for use in self.uses]
        return np.stack(columns, axis=1) if columns else np.zeros((len(data), 0))

    def rows(self, points: np.ndarray) -> tuple[Angles, np.ndarray]:
        """Return the angles of the circuit (points, slots), and the factors of its results (points,)."""
        if not self.preparations:
            return points, np.ones(len(points))
        plain = [column for column, use in enumerate(self.uses) if use.frequency > 0.0]
        parts, scale = [points[:, plain]], np.ones(len(points))
        for preparation in self.preparations:
            amplitudes = preparation.values(points)
            scale = scale * (np.abs(amplitudes) ** 2).sum(1)
            parts.append(preparation_angles(amplitudes))
        return np.concatenate(parts, axis=1), scale


def expand(circuit: Circuit) -> Expanded:
    """Return the expanded form of a circuit, made once and kept with it."""
    return circuit.derived("expanded", lambda: _expand(circuit))


def _expand(circuit: Circuit) -> Expanded:
    uses: list[Use] = []
    prepared: list[tuple[Operation, tuple[int, ...]]] = []
    plain: list[tuple[Operation, bool]] = []  # the operation, and whether its angle is the next column
    for operation in circuit.operations:
        if operation.is_preparation and operation.slots:
            start = len(uses)
            uses += [Use(slot, 0.0) for slot in operation.slots]
            prepared.append((operation, tuple(range(start, len(uses)))))
            continue
        for part in operation.elementary():
            if part.slots:
                frequencies = part.frequencies()
                if frequencies.order == 0:  # a global phase
                    continue
                uses += [Use(slot, *frequencies) for slot in part.slots]
            plain.append((part, bool(part.slots)))
    result, n_angles = Circuit(circuit.n_qubits), sum(has_slot for _, has_slot in plain)
    preparations = []
    for operation, columns in prepared:  # first, which changes nothing: they are on fresh qubits
        gate = operation.gate
        if isinstance(gate, StatePreparation):
            preparations.append(Amplitudes(columns, gate.n_qubits, gate.is_complex))
            n_angles += append_preparation(result, operation.qubits, start=n_angles, is_complex=gate.is_complex)
    column = 0
    for part, has_slot in plain:
        angles = (data_slot(column),) if has_slot else part.angles
        result.append(part.gate, part.qubits, controls=part.controls, angles=angles)
        column += has_slot
    return Expanded(result, tuple(uses), tuple(preparations))


def append_preparation(circuit: Circuit, qubits: Sequence[int], *, start: int, is_complex: bool) -> int:
    """Append gates that prepare any amplitudes, up to a global phase, by angles from slot `start` on; their number."""
    place = start
    levels = [("Y", level) for level in range(len(qubits))]
    levels += [("Z", level) for level in reversed(range(len(qubits)))] if is_complex else []
    for axis, level in levels:
        side = 2**level
        gray = np.arange(side) ^ (np.arange(side) >> 1)
        for step in range(side):
            circuit.pauli_rotation(data_slot(place), axis, qubits[level])
            place += 1
            changed = int(gray[step] ^ gray[(step + 1) % side])
            if changed:
                circuit.cx(qubits[level - changed.bit_length()], qubits[level])
    return place - start


def preparation_angles(amplitudes: np.ndarray) -> np.ndarray:
    """Return the angles of `append_preparation` for amplitudes of any norm, (rows, angles)."""
    rows, side = amplitudes.shape
    n_qubits = side.bit_length() - 1
    is_complex = np.iscomplexobj(amplitudes)
    leaves = np.abs(amplitudes) if is_complex else amplitudes
    angles = []
    for level in range(n_qubits):
        branches = leaves.reshape(rows, 2**level, 2, -1)
        sizes = branches[..., 0] if branches.shape[-1] == 1 else np.linalg.norm(branches, axis=-1)
        angles.append(_mixed(2.0 * np.arctan2(sizes[..., 1], sizes[..., 0])))
    phases = np.angle(amplitudes)
    for _ in range(n_qubits if is_complex else 0):
        pairs = phases.reshape(rows, -1, 2)
        angles.append(_mixed(pairs[..., 1] - pairs[..., 0]))
        phases = pairs.mean(axis=-1)
    return np.concatenate(angles, axis=1)


def _mixed(angles: np.ndarray) -> np.ndarray:
    """Return the angles between the CNOT gates of a uniformly controlled rotation, in the Gray code's order."""
    side = angles.shape[1]
    gray = np.arange(side) ^ (np.arange(side) >> 1)
    signs = 1 - 2 * (np.bitwise_count(gray[:, None] & np.arange(side)[None, :]).astype(int) % 2)
    return angles @ signs.T / side
