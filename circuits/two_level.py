"""An arbitrary unitary as plain gates, for devices and file formats that take no matrices.

Reference:
    Nielsen and Chuang, Quantum Computation and Quantum Information (2010), sections 4.5.1 and 4.5.2: Givens
    rotations between neighbours of a Gray code, each a controlled one-qubit gate. Simple and exact, not
    short: about 4**n / 2 controlled gates. A transpiler does better; this is for the few qubits for which a
    matrix is written down at all.
"""

import math

import numpy as np

from circuits.circuit import Circuit
from circuits.multiplexed import diagonal_by_rotations

NEGLIGIBLE_ENTRY = 1e-15  # rounding; smaller entries are zero already


def unitary_by_gates(matrix: np.ndarray) -> Circuit:
    """Return controlled RZ and RY, X and CX with the given unitary, global phase included: shape (2**n, 2**n)."""
    n_qubits = len(matrix).bit_length() - 1
    work = np.array(matrix, dtype=complex)
    places = np.arange(len(matrix))
    order = places ^ (places >> 1)  # neighbours differ in one bit
    rotations = []
    for column in range(len(matrix) - 1):
        for row in range(len(matrix) - 1, column, -1):
            upper, lower = order[row - 1], order[row]
            pair = work[[upper, lower], order[column]]
            size = float(np.linalg.norm(pair))
            if abs(pair[1]) <= NEGLIGIBLE_ENTRY:
                continue
            givens = np.array([[pair[0].conj(), pair[1].conj()], [-pair[1], pair[0]]]) / size
            work[[upper, lower]] = givens @ work[[upper, lower]]
            rotations.append((int(upper), int(lower), givens.conj().T))
    circuit = diagonal_by_rotations(Circuit(n_qubits), np.angle(np.diag(work)), range(n_qubits))
    for upper, lower, givens in reversed(rotations):
        _rotate_pair(circuit, upper, lower, givens)
    return circuit


def _rotate_pair(circuit: Circuit, upper: int, lower: int, matrix: np.ndarray) -> None:
    """Append a matrix of determinant 1 on two basis states that differ in one bit: RZ RY RZ under controls."""
    n_qubits = circuit.n_qubits
    bit = (upper ^ lower).bit_length() - 1
    target = n_qubits - 1 - bit
    if upper > lower:  # the matrix is written for |upper>, |lower>; the gate for |0>, |1>
        matrix = matrix[::-1, ::-1]
    controls = [qubit for qubit in range(n_qubits) if qubit != target]
    zeros = [qubit for qubit in controls if not upper >> (n_qubits - 1 - qubit) & 1]
    theta = 2.0 * math.atan2(abs(matrix[1, 0]), abs(matrix[0, 0]))
    total, difference = np.angle(matrix[1, 1]), np.angle(matrix[1, 0])
    for qubit in zeros:
        circuit.x(qubit)
    for pauli, angle in (("Z", float(total - difference)), ("Y", theta), ("Z", float(total + difference))):
        if angle != 0.0:
            circuit.pauli_rotation(angle, pauli, target, controls=controls)
    for qubit in zeros:
        circuit.x(qubit)
