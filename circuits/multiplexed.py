"""Rotations whose angle depends on the basis state of other qubits, as plain gates.

Reference:
    Mottonen, Vartiainen, Bergholm and Salomaa, "Transformation of quantum states using uniformly controlled
    rotations", arXiv:quant-ph/0407010. There k controls cost 2**k rotations and 2**k CNOT gates; here a
    multiplexer whose angles are all zero costs nothing.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from circuits.circuit import Circuit


def multiplexed_rotation(
    circuit: Circuit, angles: np.ndarray, *, axis: Literal["Y", "Z"], target: int, controls: Sequence[int]
) -> Circuit:
    """Append the rotation of `target` by `angles[k]` where the controls read k, the first most significant.

    Args:
        circuit: where the gates go; it is returned.
        angles: shape (2**len(controls),).
        axis: `"Y"` or `"Z"`.
        target: the rotated qubit.
        controls: any number of qubits; with none it is a plain rotation.
    """
    side = 2 ** len(controls)
    if angles.shape != (side,):
        raise ValueError(f"Argument `angles` must have shape ({side},), but has shape {angles.shape}.")
    if not np.any(angles):
        return circuit
    gray = np.arange(side) ^ (np.arange(side) >> 1)
    flips = np.bitwise_count(gray[:, None] & np.arange(side)[None, :])
    mixed = (1 - 2 * (flips.astype(int) % 2)) @ angles / side
    for place, angle in enumerate(mixed):
        circuit.pauli_rotation(float(angle), axis, target)
        changed = int(gray[place] ^ gray[(place + 1) % side])
        if changed:
            circuit.cx(controls[len(controls) - changed.bit_length()], target)
    return circuit


def prepare_by_rotations(circuit: Circuit, amplitudes: np.ndarray, qubits: Sequence[int]) -> Circuit:
    """Append gates that take |0...0> on `qubits` to the normalised amplitudes, their global phase included.

    Real amplitudes need RY alone; complex ones RY, then RZ and one global phase. The cost is 2**n rotations
    and CNOT gates for real amplitudes, and twice that for complex ones.

    Args:
        circuit: where the gates go; it is returned.
        amplitudes: shape (2**len(qubits),), norm 1.
        qubits: the first most significant.
    """
    n_qubits = len(qubits)
    is_real = not np.any(np.imag(amplitudes))
    leaves = np.real(amplitudes) if is_real else np.abs(amplitudes)
    for level in range(n_qubits):
        branches = leaves.reshape(2**level, 2, -1)
        sizes = branches[..., 0] if branches.shape[-1] == 1 else np.linalg.norm(branches, axis=-1)
        angles = 2.0 * np.arctan2(sizes[:, 1], sizes[:, 0])
        multiplexed_rotation(circuit, angles, axis="Y", target=qubits[level], controls=qubits[:level])
    if is_real:
        return circuit
    return diagonal_by_rotations(circuit, np.where(leaves > 0.0, np.angle(amplitudes), 0.0), qubits)


def diagonal_by_rotations(circuit: Circuit, phases: np.ndarray, qubits: Sequence[int]) -> Circuit:
    """Append gates for diag(exp(i phases)), the global phase included: RZ and CX gates, and exp(i t I).

    Args:
        circuit: where the gates go; it is returned.
        phases: radians, shape (2**len(qubits),).
        qubits: the first most significant.
    """
    for level in reversed(range(len(qubits))):
        pairs = phases.reshape(-1, 2)
        differences, phases = pairs[:, 1] - pairs[:, 0], pairs.mean(axis=1)
        multiplexed_rotation(circuit, differences, axis="Z", target=qubits[level], controls=qubits[:level])
    return circuit.exp_pauli(float(phases[0]), "I", qubits[0]) if phases[0] else circuit
