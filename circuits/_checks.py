"""Argument checks of this package, made once at the public border."""

import math
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np

from circuits.plain_checks import (  # noqa: F401 - modules of circuits get all checks here
    as_flag,
    as_int,
    as_ints,
    as_number,
    as_text,
    as_texts,
    require_choice,
    require_kind,
)
from circuits.slots import Angle, Slot

UNITARITY_TOLERANCE = 1e-6  # admits matrices that were computed in float32
PAULI_LETTERS = frozenset("IXYZ")


def as_qubits(qubits: Any, n_qubits: int, name: str = "qubits") -> tuple[int, ...]:
    """Return `qubits` (one or several) as a tuple of distinct indices below `n_qubits`."""
    if type(qubits) is tuple and len(qubits) == 1 and type(qubits[0]) is int and 0 <= qubits[0] < n_qubits:
        return qubits  # most calls are of this form, and circuits are built of many
    if isinstance(qubits, (int, np.integer)):
        qubits = (qubits,)
    if not isinstance(qubits, Iterable):
        fix = " The angle comes before the qubit, as in rx(angle, qubit)." if isinstance(qubits, (Slot, float)) else ""
        raise TypeError(f"Argument `{name}` must be an int or several ints, but is {type(qubits).__name__}.{fix}")
    items = tuple(qubits)
    for item in items:
        if isinstance(item, (bool, np.bool_)) or not isinstance(item, (int, np.integer)):
            raise TypeError(f"Argument `{name}` must hold ints, but holds {item!r}.")
        if not 0 <= item < n_qubits:
            raise ValueError(
                f"Argument `{name}` must lie in 0..{n_qubits - 1} for a circuit of {n_qubits} qubits, "
                f"but holds {item}. Build a wider circuit or choose another qubit."
            )
    result = tuple(int(item) for item in items)
    if len(set(result)) != len(result):
        raise ValueError(
            f"Argument `{name}` must not repeat a qubit, but is {result}. Give each qubit (controls included) once."
        )
    return result


def as_angle(angle: Any, name: str = "angle") -> Angle:
    """Return `angle` as a finite float, or unchanged if it is a slot."""
    if isinstance(angle, Slot):
        return angle
    if getattr(angle, "requires_grad", False):
        raise TypeError(
            f"Argument `{name}` must be a plain number, but is a tensor that requires gradients, which a constant "
            "would lose. Use weight(i) or data(i) and pass the tensor when the circuit runs."
        )
    if isinstance(angle, complex) or not hasattr(angle, "__float__"):
        raise TypeError(
            f"Argument `{name}` must be a real number, data(i) or weight(i), but is {type(angle).__name__}."
        )
    value = float(angle)
    if not math.isfinite(value):
        raise ValueError(f"Argument `{name}` must be finite, but is {value}. Check where the angle comes from.")
    return value


def as_pauli(pauli: Any, name: str = "pauli") -> str:
    """Return `pauli`, which must be a non-empty string over I, X, Y, Z."""
    if not isinstance(pauli, str):
        raise TypeError(f"Argument `{name}` must be a str, but is {type(pauli).__name__}.")
    if not pauli or not set(pauli) <= PAULI_LETTERS:
        raise ValueError(f"Argument `{name}` must be a non-empty string over I, X, Y, Z, but is {pauli!r}.")
    return pauli


def as_unitary(matrix: Any, n_qubits: int, name: str = "matrix") -> np.ndarray:
    """Return `matrix` as a complex unitary of side `2**n_qubits`."""
    result = as_finite_matrix(matrix, n_qubits, name)
    error = float(np.abs(result @ result.conj().T - np.eye(len(result))).max())
    if error > UNITARITY_TOLERANCE:
        raise ValueError(
            f"Argument `{name}` must be unitary, but U U^dagger differs from 1 by {error:.2g}. "
            "Take the unitary factor of its polar decomposition, or use Circuit.kraus for a noisy operation."
        )
    return result


def as_finite_matrix(matrix: Any, n_qubits: int, name: str) -> np.ndarray:
    """Return `matrix` as a finite complex array of side `2**n_qubits`."""
    result = np.array(matrix, dtype=np.complex128)
    side = 2**n_qubits
    if result.shape != (side, side):
        raise ValueError(
            f"Argument `{name}` must have shape ({side}, {side}) on {n_qubits} qubits, but has shape {result.shape}."
        )
    if not np.isfinite(result).all():
        raise ValueError(f"Argument `{name}` must be finite, but holds NaN or infinity.")
    return result


def as_probability(value: Any, name: str) -> float:
    """Return `value` as a float in [0, 1]."""
    result = as_angle(value, name)
    if isinstance(result, Slot) or not 0.0 <= result <= 1.0:
        raise ValueError(f"Argument `{name}` must be a number in [0, 1], but is {result!r}.")
    return result


def as_amplitudes(amplitudes: Any, n_qubits: int, name: str = "amplitudes") -> np.ndarray:
    """Return `amplitudes` as a normalised complex vector of length `2**n_qubits`."""
    result = np.array(amplitudes, dtype=np.complex128)
    if result.shape != (2**n_qubits,):
        raise ValueError(
            f"Argument `{name}` must have shape ({2**n_qubits},) on {n_qubits} qubits, but has shape {result.shape}. "
            "Pad with zeros or choose as many qubits as the vector needs."
        )
    norm = float(np.linalg.norm(result))
    if not math.isfinite(norm):
        raise ValueError(f"Argument `{name}` must be finite, but holds NaN or infinity.")
    if abs(norm - 1.0) > UNITARITY_TOLERANCE:
        raise ValueError(f"Argument `{name}` must have norm 1, but has norm {norm:.6g}. Divide it by its norm.")
    return result / norm


def require_no_gaps(kind: str, indices: Iterable[int]) -> int:
    """Return the number of slots of one kind; refuse indices with gaps, which must be used from 0 up."""
    used = set(indices)
    n_missing = max(used, default=-1) + 1 - len(used)
    if n_missing:
        missing = list(islice((index for index in range(max(used)) if index not in used), 5))
        shown = ", ".join(map(str, missing)) + (", ..." if n_missing > len(missing) else "")
        raise ValueError(
            f"{kind.capitalize()} slots must be numbered 0..{max(used)} without gaps, but {kind}({shown}) is used "
            f"nowhere. Renumber the slots, or use the missing ones."
        )
    return len(used)


def require_length(values: Sequence[Any], length: int, name: str, meaning: str, fix: str = "") -> None:
    """Refuse a sequence of another length than `length`; `fix` is a sentence with a space in front."""
    if len(values) != length:
        raise ValueError(f"Argument `{name}` must hold {length} {meaning}, but holds {len(values)}.{fix}")
