"""What an operation does to Pauli strings as they move backwards, P -> U^dagger P U."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from circuits import Operation, Slot
from circuits.gates import Fixed, Gate, PauliRotation, Phase, PostSelect, StatePreparation
from qml.simulator.light_cone import alone, constants_of
from qml.simulator.linear import MAX_DENSE_QUBITS, NEGLIGIBLE, linear_maps

WIDEST_OPERATION = MAX_DENSE_QUBITS[4] + 2  # qubits of an operation that is not a rotation about one string
WIDEST_PREPARATION = 5
ROUNDING = 100 * NEGLIGIBLE
CONSTANT_ROTATIONS = {"t": np.pi / 4, "tdg": -np.pi / 4}
HELP = "Use Native(), which takes it where the circuit's light cone fits."


@dataclass(frozen=True)
class RotationRule:
    """A rotation exp(-i angle G / 2): cos(angle) P + sin(angle) i G P for a string P that anticommutes with G.

    Attributes:
        letters: of G, by qubit.
        slot: the angle is `factor` times the slot's value.
        factor: without a slot, the angle itself.
    """

    letters: tuple[tuple[int, str], ...]
    slot: Slot | None
    factor: float


@dataclass(frozen=True, eq=False)
class Entries:
    """The entries of a transfer matrix that are not 0, row by row: a row is a string's letters, a column its image's.

    Attributes:
        starts: (4**k + 1,), where the entries of each row begin.
        columns: (entries,).
        constant: (entries,); an entry is constant + sum_f [cos(f t) cosine_f + sin(f t) sine_f].
        terms: (frequency f, cosine (entries,), sine (entries,)).
        is_signed_permutation: whether strings become strings, with signs.
        is_diagonal: whether strings are only multiplied by numbers.
    """

    starts: np.ndarray
    columns: np.ndarray
    constant: np.ndarray
    terms: tuple[tuple[float, np.ndarray, np.ndarray], ...]
    is_signed_permutation: bool
    is_diagonal: bool


@dataclass(frozen=True, eq=False)
class TransferRule:
    """Any other operation, by its transfer matrix on some qubits."""

    qubits: tuple[int, ...]
    entries: Entries
    slot: Slot | None


Rule = RotationRule | TransferRule


def require_known(operation: Operation) -> None:
    """Refuse an operation through which strings are not moved.

    Raises:
        NotImplementedError: with the operation's name and what takes it.
    """
    gate = operation.gate
    reason = None
    if isinstance(gate, PostSelect):
        reason = "has a post-selection, which divides by a norm"
    elif isinstance(gate, StatePreparation) and gate.amplitudes is None:
        reason = "prepares amplitudes that are data"
    elif isinstance(gate, StatePreparation) and gate.n_qubits > WIDEST_PREPARATION:
        reason = f"prepares amplitudes of {gate.n_qubits} qubits, where {WIDEST_PREPARATION} are the most"
    elif len(operation.all_qubits) > WIDEST_OPERATION and not (
        isinstance(gate, PauliRotation) and not operation.controls
    ):
        n_qubits = len(operation.all_qubits)
        reason = f"acts with `{operation.name}` on {n_qubits} qubits, where {WIDEST_OPERATION} are the most"
    if reason is not None:
        raise NotImplementedError(
            f"Pauli propagation needs unitary gates, channels, resets and measurements on few qubits, but the circuit "
            f"{reason}. {HELP}"
        )


def rules_of(operation: Operation) -> tuple[Rule, ...]:
    """Return what an operation does, its parts in the order of time."""
    rules: list[Rule] = []
    for part in operation.elementary():
        rules.extend(_rules_of_part(part))
    return tuple(rules)


def _rules_of_part(part: Operation) -> tuple[Rule, ...]:
    gate = part.gate
    if not part.controls:
        if isinstance(gate, Fixed) and gate.name in CONSTANT_ROTATIONS:
            return (RotationRule(((part.qubits[0], "Z"),), None, CONSTANT_ROTATIONS[gate.name]),)
        if isinstance(gate, (PauliRotation, Phase)):
            pauli, factor = ("Z", 1.0) if isinstance(gate, Phase) else (gate.pauli, -2.0 * gate.factor)
            letters = tuple(pair for pair in zip(part.qubits, pauli, strict=True) if pair[1] != "I")
            angle = part.angles[0]
            if isinstance(angle, Slot):
                return (RotationRule(letters, angle, factor),) if letters else ()
            return (RotationRule(letters, None, factor * angle),) if letters else ()
    local = _local_rules(gate, len(part.controls), constants_of(part))
    return tuple(
        TransferRule(
            tuple(part.all_qubits[site] for site in sites), entries, None if number is None else part.slots[number]
        )
        for sites, entries, number in local
    )


@lru_cache(maxsize=4096)
def _local_rules(
    gate: Gate, n_controls: int, constants: tuple[float | None, ...]
) -> tuple[tuple[tuple[int, ...], Entries, int | None], ...]:
    """The maps of an operation on qubits 0, 1, ...; made once for all that differ in qubits and slots."""
    return tuple(
        (linear.sites, _entries(linear.constant, linear.terms), None if linear.slot is None else linear.slot.index)
        for linear in linear_maps(alone(gate, n_controls, constants), 4)[1]
    )


def _entries(constant: np.ndarray, terms: tuple[tuple[float, np.ndarray, np.ndarray], ...]) -> Entries:
    size = np.abs(constant)
    for _, cosine, sine in terms:
        size = size + np.abs(cosine) + np.abs(sine)
    rows, columns = np.nonzero(size > ROUNDING)
    values = np.real(constant)[rows, columns]
    values = np.where(np.abs(values - np.round(values)) < ROUNDING, np.round(values), values)
    parts = tuple((f, np.real(cosine)[rows, columns], np.real(sine)[rows, columns]) for f, cosine, sine in terms)
    n_rows = len(constant)
    starts = np.searchsorted(rows, np.arange(n_rows + 1))
    fixed = not terms
    return Entries(
        starts,
        columns,
        values,
        parts,
        is_signed_permutation=fixed and len(rows) == n_rows == len(set(columns)) and bool((np.abs(values) == 1).all()),
        is_diagonal=fixed and bool((rows == columns).all()),
    )
