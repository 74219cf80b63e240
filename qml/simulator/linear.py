"""A circuit as linear maps on sites, which the planner fuses and the engine applies.

A state vector is a register of sites with two levels; a density matrix is one with four, its components along I, X, Y,
Z on every qubit (the Pauli transfer picture: real numbers only, channels and resets are matrices like any gate).
Every map has the form

    M(t) = constant + sum_f [cos(f t) C_f + sin(f t) S_f]

with constant matrices and a few frequencies f.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from circuits import Circuit, Operation, Slot
from circuits.gates import (
    ExponentialGate,
    Fixed,
    Gate,
    KrausGate,
    PauliRotation,
    StatePreparation,
    UnitaryGate,
    gate_matrix,
    trigonometric_form,
)

MAX_DENSE_QUBITS = {2: 4, 4: 3}  # wider gates become Controlled maps (two levels) or are refused (four levels)
NEGLIGIBLE = 1e-14  # rounding in matrices whose entries are at most about 1
# <I>, <X>, <Y>, <Z> from rho_00, rho_01, rho_10, rho_11, and back
TO_PAULI = np.array([[1, 0, 0, 1], [0, 1, 1, 0], [0, 1j, -1j, 0], [1, 0, 0, -1]])
FROM_PAULI = TO_PAULI.conj().T / 2


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear map on some sites.

    Attributes:
        sites: where it acts, the first the most significant.
        constant: shape (levels**k, levels**k).
        terms: (frequency, cosine matrix, sine matrix) of every frequency; empty for a constant map.
        slot: where the angle comes from; None for a constant map.
        controls: further two-level sites that must read 1 (only for gates too wide to be held as a matrix).
        kind: equal for maps with equal matrices; None where that is not known.
    """

    sites: tuple[int, ...]
    constant: np.ndarray
    terms: tuple[tuple[float, np.ndarray, np.ndarray], ...] = ()
    slot: Slot | None = None
    controls: tuple[int, ...] = ()
    kind: Hashable = None

    @cached_property
    def all_sites(self) -> tuple[int, ...]:
        return self.controls + self.sites

    @cached_property
    def is_real(self) -> bool:
        parts = [self.constant, *(part for _, *pair in self.terms for part in pair)]
        return all(np.abs(np.imag(part)).max() < NEGLIGIBLE for part in parts)

    @cached_property
    def table(self) -> np.ndarray | None:
        """Return the rows to gather, if the map only permutes basis states: out[i] = in[table[i]]."""
        return None if self.slot is not None else _permutation(self.constant)


@dataclass(frozen=True, eq=False)
class Preparation:
    """Amplitudes that some sites start with: constants, or the numbers of the data slots that hold them."""

    sites: tuple[int, ...]
    amplitudes: np.ndarray | None
    slots: tuple[Slot, ...]
    is_complex: bool


def is_mixed(circuit: Circuit) -> bool:
    """Tell whether a circuit has reset, measurement or noise, and so needs a density matrix."""
    return circuit.derived(
        "mixed", lambda: any(op.is_noise or op.gate.name in ("reset", "measure") for op in circuit.operations)
    )


def linear_maps(circuit: Circuit, levels: int) -> tuple[list[Preparation], list[Linear]]:
    """Return the preparations of a circuit, and its other operations as maps on two-level or four-level sites."""
    preparations: list[Preparation] = []
    maps: list[Linear] = []
    for operation in circuit.operations:
        if isinstance(operation.gate, StatePreparation):
            preparations.append(_preparation(operation))
        else:
            for part in _without_idle_letters(operation).elementary():
                maps.extend(_two_level(part) if levels == 2 else _four_level(part))
    return preparations, maps


def _preparation(operation: Operation) -> Preparation:
    gate = operation.gate
    if not isinstance(gate, StatePreparation):
        raise TypeError(f"A preparation must prepare amplitudes, but is {operation.name}.")
    amplitudes = None if gate.amplitudes is None else gate.amplitudes.values
    return Preparation(operation.qubits, amplitudes, operation.slots, gate.is_complex)


def _without_idle_letters(operation: Operation) -> Operation:
    """Restrict a Pauli rotation to the qubits where its string is not I; a string of I only keeps one letter."""
    gate = operation.gate
    if not isinstance(gate, PauliRotation) or "I" not in gate.pauli:
        return operation
    active = [(letter, qubit) for letter, qubit in zip(gate.pauli, operation.qubits, strict=True) if letter != "I"]
    active = active or [("I", operation.qubits[0])]
    pauli = "".join(letter for letter, _ in active)
    return replace(operation, gate=replace(gate, pauli=pauli), qubits=tuple(qubit for _, qubit in active))


def _two_level(operation: Operation) -> list[Linear]:
    gate = operation.gate
    if isinstance(gate, KrausGate):
        (operator,) = gate.kraus_operators  # a post-selection; all others have four levels
        return [Linear(operation.qubits, operator.astype(complex))]
    if isinstance(gate, PauliRotation) and gate.n_qubits > MAX_DENSE_QUBITS[2] - 1:
        return [linear for part in _ladder(operation, gate) for linear in _two_level(part)]
    n_dense_controls = MAX_DENSE_QUBITS[2] - gate.n_qubits
    if len(operation.controls) <= n_dense_controls:
        return [_unitary_map(gate, operation.all_qubits, operation.angles, len(operation.controls))]
    return [replace(_unitary_map(gate, operation.qubits, operation.angles, 0), controls=operation.controls)]


def _unitary_map(gate: Gate, sites: tuple[int, ...], angles: tuple, n_controls: int) -> Linear:
    if not isinstance(gate, UnitaryGate) or (angles and not isinstance(gate, ExponentialGate)):
        raise TypeError(f"Argument `gate` must be unitary and elementary, but is {gate}.")
    if not isinstance(gate, ExponentialGate):
        return Linear(sites, gate_matrix(gate, (), n_controls), kind=(gate, n_controls))
    form = trigonometric_form(gate, n_controls)
    if not isinstance(angles[0], Slot):
        return Linear(sites, form.matrix(angles[0]))
    terms = ((form.frequency, form.cosine, form.sine),)
    return Linear(sites, form.constant, terms, angles[0], kind=(gate, n_controls))


def _ladder(operation: Operation, gate: PauliRotation) -> list[Operation]:
    """Write a long Pauli rotation as basis changes, a chain of CX and one RZ (Nielsen and Chuang, section 4.7.3)."""
    active = list(zip(operation.qubits, gate.pauli, strict=True))
    to_z: list[Operation] = []
    for qubit, letter in active:
        if letter == "Y":
            to_z.append(Operation(Fixed("sdg"), (qubit,)))
        if letter in "XY":
            to_z.append(Operation(Fixed("h"), (qubit,)))
    chain = [Operation(Fixed("x"), (second,), (first,)) for (first, _), (second, _) in pairwise(active)]
    middle = replace(operation, gate=replace(gate, pauli="Z"), qubits=(active[-1][0],))
    undo = [replace(op, gate=Fixed("s")) if op.gate.name == "sdg" else op for op in reversed(to_z)]
    return [*to_z, *chain, middle, *reversed(chain), *undo]


# --- four levels: the Pauli transfer picture --------------------------------------------------------------------------


def _four_level(operation: Operation) -> list[Linear]:
    gate, sites = operation.gate, operation.all_qubits
    if isinstance(gate, KrausGate):
        return [Linear(sites, transfer_matrix(gate.kraus_operators))]
    limit = MAX_DENSE_QUBITS[4]
    if isinstance(gate, PauliRotation) and gate.n_qubits + len(operation.controls) > limit:
        parts = _ladder(operation, gate)
        if len(parts) > 1:
            return [linear for part in parts for linear in _four_level(part)]
    if len(sites) > limit + 2:
        raise ValueError(
            f"Density-matrix simulation must have gates on at most {limit + 2} qubits, but {operation.name} acts on "
            f"{len(sites)}. Break the gate into smaller ones."
        )
    linear = _unitary_map(gate, sites, operation.angles, len(operation.controls))
    return [transfer_map(linear)]


def transfer_map(linear: Linear) -> Linear:
    """Return the Pauli transfer form of a two-level map: U . U^dagger, its angle dependence expanded in frequencies."""
    if linear.slot is None:
        return Linear(linear.sites, transfer_matrix(linear.constant[None]))
    ((frequency, cosine, sine),) = linear.terms
    parts = {0.0: linear.constant, frequency: (cosine - 1j * sine) / 2, -frequency: (cosine + 1j * sine) / 2}
    sums: dict[float, np.ndarray] = {}
    for left, a in parts.items():
        for right, b in parts.items():
            if np.abs(a).max() > NEGLIGIBLE and np.abs(b).max() > NEGLIGIBLE:
                sums[left - right] = sums.get(left - right, 0.0) + _transfer(a, b)
    terms = []
    for step, matrix in sums.items():
        if step > 0:
            terms.append((step, 2.0 * np.real(matrix) + 0j, -2.0 * np.imag(matrix) + 0j))
    slot = linear.slot if terms else None  # a rotation about the identity is a phase that rho does not see
    return Linear(linear.sites, np.real(sums[0.0]) + 0j, tuple(terms), slot)


def transfer_matrix(kraus: np.ndarray) -> np.ndarray:
    """Return the Pauli transfer matrix of rho -> sum_k K rho K^dagger, from (operators, 2**k, 2**k) to (4**k, 4**k)."""
    return np.sum([np.real(_transfer(operator, operator)) for operator in kraus], axis=0) + 0j


def _transfer(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return tr(P_a L P_b R^dagger) / 2**k for all pairs of Pauli strings, site by site from L and conj(R)."""
    k = left.shape[0].bit_length() - 1
    pairs = np.multiply.outer(left, right.conj()).reshape((2,) * (4 * k))  # row, column of L, row, column of R
    rows = [place for site in range(k) for place in (site, 2 * k + site)]
    columns = [place for site in range(k) for place in (k + site, 3 * k + site)]
    result = pairs.transpose(rows + columns).reshape(4**k, 4**k)
    for site in range(k):
        result = (TO_PAULI @ result.reshape(4**site, 4, -1)).reshape(4**k, 4**k)
    result = result.T
    for site in range(k):
        result = (FROM_PAULI.T @ result.reshape(4**site, 4, -1)).reshape(4**k, 4**k)
    return result.T


def _permutation(matrix: np.ndarray) -> np.ndarray | None:
    table = np.argmax(np.abs(matrix), axis=1)
    exact = np.zeros_like(matrix)
    exact[np.arange(len(table)), table] = 1.0
    return table if np.array_equal(exact, matrix) else None
