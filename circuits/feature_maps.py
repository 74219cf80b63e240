"""Encodings: circuits that put data into qubits.

Slots hold angles or amplitudes; what computes them from features (pi * bit, a normalisation) is done outside,
by torch in a layer, or by `amplitudes_of` here for NumPy arrays. Maps whose angles are products of inputs (`zz`,
`pauli`, `iqp`) or functions of one (`chebyshev`) say so beside the circuit, in a `ComputedCircuit`. `separable` and
`heisenberg` are those of kernels.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from circuits import _checks
from circuits.chebyshev_map import chebyshev  # noqa: F401 - public here
from circuits.circuit import Circuit
from circuits.kernel_maps import heisenberg, separable  # noqa: F401 - public here
from circuits.multiplexed import prepare_by_rotations
from circuits.product_maps import iqp, pauli, zz  # noqa: F401 - public here
from circuits.slots import data

AXES = {"x": "X", "y": "Y", "z": "Z"}


def basis(n_qubits: int) -> Circuit:
    """Encode bits as basis states: RX(data(k)) on qubit k, where the slot holds pi * bit.

    A batch may mix bit strings. RX(pi)|0> is -i|1>, so that the state is |bits> times (-i)**(number of ones):
    a global phase, which nothing measures, for each string by itself. For superpositions of strings use
    `label_superposition`.
    """
    return angle(n_qubits, axis="x")


def basis_state(bits: Iterable[Any]) -> Circuit:
    """Prepare the constant basis state |bits>: X gates where a bit is 1; without a phase.

    Args:
        bits: 0 or 1 for each qubit, or a string such as "0110".
    """
    row = _bit_rows([bits])[0]
    circuit = Circuit(len(row))
    for qubit in np.flatnonzero(row):
        circuit.x(int(qubit))
    return circuit


def angle(n_qubits: int, *, axis: str | Sequence[float] = "x") -> Circuit:
    """Encode one feature a qubit as a rotation by data(k) about an axis.

    A rotation about z would leave |0> as it is, so that `axis="z"` starts with a Hadamard on each qubit.

    Args:
        n_qubits: number of qubits and of data slots.
        axis: `"x"`, `"y"`, `"z"`, or a direction of three numbers (its length does not matter, and |0> is
            taken as it is): exp(-i data(k) (n_x X + n_y Y + n_z Z) / 2).
    """
    circuit = Circuit(n_qubits)
    if not isinstance(axis, str):
        return _about_direction(circuit, axis)
    if axis not in AXES:
        raise ValueError(f'Argument `axis` must be "x", "y", "z" or three numbers, but is {axis!r}.')
    for qubit in range(n_qubits):
        if axis == "z":
            circuit.h(qubit)
        circuit.pauli_rotation(data(qubit), AXES[axis], qubit)
    return circuit


def _about_direction(circuit: Circuit, direction: Sequence[float]) -> Circuit:
    vector = np.array(direction, dtype=float)
    if vector.shape != (3,) or not np.isfinite(vector).all() or not vector.any():
        raise ValueError(f"Argument `axis` must be three finite numbers, not all 0, but is {direction!r}.")
    polar = math.atan2(math.hypot(vector[0], vector[1]), vector[2])
    azimuth = math.atan2(vector[1], vector[0])
    for qubit in range(circuit.n_qubits):
        circuit.rz(-azimuth, qubit).ry(-polar, qubit).rz(data(qubit), qubit).ry(polar, qubit).rz(azimuth, qubit)
    return circuit


def amplitude(n_qubits: int, *, is_complex: bool = False) -> Circuit:
    """Encode each sample as amplitudes: `2**n_qubits` data slots, or twice as many, real parts then imaginary parts.

    The slots must hold a vector of norm 1: see `amplitudes_of`, and `slots_of` for complex ones. Devices that
    take no amplitudes need `prepare_decomposed`, one sample at a time.
    """
    n_slots = 2**n_qubits * (2 if is_complex else 1)
    return Circuit(n_qubits).prepare_slots([data(k) for k in range(n_slots)])


def amplitudes_of(values: Any, *, n_qubits: int | None = None) -> np.ndarray:
    """Pad vectors with zeros to a power of two and divide them by their norm.

    Args:
        values: real or complex, shape (..., features).
        n_qubits: number of qubits (default: the fewest that hold the features).

    Returns:
        Shape (..., 2**n_qubits), norm 1 along the last axis.

    Raises:
        ValueError: a vector that is zero, not finite, or too long for the qubits.
    """
    array = np.asarray(values)
    array = array.astype(np.result_type(array.dtype, np.float32))  # integers and booleans become floats
    n_features = array.shape[-1] if array.ndim else 0
    if n_features == 0:
        raise ValueError(f"Argument `values` must have shape (..., features), but has shape {array.shape}.")
    places = max(1, (n_features - 1).bit_length()) if n_qubits is None else n_qubits
    side = 2 ** _checks.as_int(places, "n_qubits", minimum=1)
    if n_features > side:
        raise ValueError(
            f"Argument `values` must have at most {side} features for {n_qubits} qubits, but has "
            f"{n_features}. Take {(n_features - 1).bit_length()} qubits."
        )
    norms = np.linalg.norm(array, axis=-1, keepdims=True)
    if not np.isfinite(norms).all():
        raise ValueError("Argument `values` must be finite, but holds NaN or infinity.")
    if not norms.all():
        raise ValueError(
            "Argument `values` must hold no zero vector, but holds one: it has no direction. Leave it out, "
            "or add a constant feature."
        )
    padding = [(0, 0)] * (array.ndim - 1) + [(0, side - n_features)]
    return np.pad(array / norms, padding)


def slots_of(amplitudes: Any) -> np.ndarray:
    """Return complex amplitudes as data for `amplitude(n, is_complex=True)`: (..., side) -> (..., 2 side)."""
    return np.concatenate([np.real(amplitudes), np.imag(amplitudes)], axis=-1)


def state(amplitudes: Any) -> Circuit:
    """Prepare a constant state by its amplitudes, padded with zeros and normalised: shape (features,)."""
    values = _one_state(amplitudes)
    return Circuit(values.size.bit_length() - 1).prepare(values)


def product(states: Any) -> Circuit:
    """Prepare a constant product state: qubit k in the state `states[k]`, normalised; shape (n_qubits, 2)."""
    values = np.asarray(states)
    if values.ndim != 2 or values.shape[1] != 2:
        raise ValueError(f"Argument `states` must have shape (n_qubits, 2), but has shape {values.shape}.")
    circuit = Circuit(len(values))
    for qubit, pair in enumerate(amplitudes_of(values)):
        circuit.prepare(pair, (qubit,))
    return circuit


def label_superposition(strings: Any, *, phases: Any = None) -> Circuit:
    """Prepare the uniform superposition of labelled bit strings, sum_k exp(i phase_k) |string_k> / sqrt(m).

    The states |+1> and |-1> of Farhi and Neven, over the strings with each label.

    Args:
        strings: m different bit strings, as texts such as "0110" or as an array of bits of shape (m,
            n_qubits).
        phases: one phase a string in radians, shape (m,) (default: all 0).

    Raises:
        ValueError: no string, a repeated string, strings of different lengths, anything but 0 and 1.

    Reference:
        Farhi and Neven, arXiv:1802.06002, the section on superpositions of strings, with the phases left
        free.
    """
    rows = _bit_rows(list(strings))
    angles = np.zeros(len(rows)) if phases is None else np.asarray(phases, dtype=float)
    if angles.shape != (len(rows),) or not np.isfinite(angles).all():
        raise ValueError(f"Argument `phases` must hold {len(rows)} finite numbers, but is {phases!r}.")
    indices = rows @ (1 << np.arange(rows.shape[1])[::-1])
    if len(set(indices.tolist())) != len(rows):
        raise ValueError("Argument `strings` must not repeat a string, but does. Leave out the repetitions.")
    amplitudes = np.zeros(2 ** rows.shape[1], dtype=complex)
    amplitudes[indices] = np.exp(1j * angles) / math.sqrt(len(rows))
    return Circuit(rows.shape[1]).prepare(amplitudes)


def prepare_decomposed(amplitudes: Any) -> Circuit:
    """Prepare the state of `state(amplitudes)` by RY, RZ and CX gates, for devices that take no amplitudes.

    Exact, the global phase included. Costs 2**n rotations and CX gates for real amplitudes, twice that for
    complex ones.

    Args:
        amplitudes: padded with zeros and normalised, shape (features,).

    Reference:
        Mottonen et al., arXiv:quant-ph/0407010: the second half of their circuit, which starts from |0...0>.
    """
    values = _one_state(amplitudes)
    n_qubits = values.size.bit_length() - 1
    return prepare_by_rotations(Circuit(n_qubits), values, range(n_qubits))


def _one_state(amplitudes: Any) -> np.ndarray:
    values = amplitudes_of(amplitudes)
    if values.ndim != 1:
        raise ValueError(f"Argument `amplitudes` must have shape (features,), but has shape {values.shape}.")
    return values


def _bit_rows(strings: list[Any]) -> np.ndarray:
    rows = [[int(bit) if bit in ("0", "1") else bit for bit in string] for string in strings]
    if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
        raise ValueError("Argument `strings` must hold at least one bit string, all equally long and not empty.")
    array = np.array(rows)
    if not np.isin(array, (0, 1)).all():
        raise ValueError("Argument `strings` must hold only 0 and 1, but holds something else.")
    return array.astype(int)
