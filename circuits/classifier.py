"""The quantum neural network classifier of Farhi and Neven, and circuits that compute a label exactly.

The data qubits are 0..n-1, the read-out qubits follow. The prediction is <Y_r>: +1 and -1 are the two labels.
Bits are 0 and 1, z = 1 - 2 bit is +1 and -1, and a data slot holds pi * bit.

Reference:
    Farhi and Neven, "Classification with quantum neural networks on near term processors", arXiv:1802.06002.
"""

import math
from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

import numpy as np

from circuits import _checks, feature_maps
from circuits.circuit import Circuit
from circuits.gates import PauliRotation
from circuits.slots import weight

MAX_LABEL_QUBITS = 14  # a table of 2**14 labels may give as many gates
SPECTRUM_TOLERANCE = 1e-12


def classifier_circuit(n_inputs: int, pattern: str = "zxzxzx", *, n_readouts: int = 1) -> Circuit:
    """Encode bits by n data slots (each pi * bit), then append `classifier_ansatz`."""
    ansatz = classifier_ansatz(n_inputs, pattern, n_readouts=n_readouts)
    return _encoded(n_inputs, ansatz)


def classifier_ansatz(n_inputs: int, pattern: str = "zxzxzx", *, n_readouts: int = 1) -> Circuit:
    """Return gates exp(i theta P_j X_r) for each letter P of the pattern, from each data qubit j to each read-out r.

    Every gate joins one data qubit to one X_r, and the circuit factorises (up to six read-outs): see the simulator.

    Args:
        n_inputs: number of data qubits n.
        pattern: letters x, y, z, one a layer; "zxzxzx" is the ZX, XX, ZX, XX, ZX, XX of the MNIST task.
        n_readouts: number of read-out qubits, one a class or one in all.

    Returns:
        A circuit on n + n_readouts qubits. Weight (layer * n_readouts + readout) * n + j is the angle of data
        qubit j.

    Raises:
        ValueError: an empty pattern, or other letters.
    """
    _checks.as_int(n_inputs, "n_inputs", minimum=1)
    _checks.as_int(n_readouts, "n_readouts", minimum=1)
    if not pattern or not set(pattern.lower()) <= set("xyz"):
        raise ValueError(
            f'Argument `pattern` must be letters x, y and z, one a layer, such as "zx", but is {pattern!r}.'
        )
    circuit = Circuit(n_inputs + n_readouts)
    places = product(pattern.upper(), range(n_inputs, n_inputs + n_readouts), range(n_inputs))
    for index, (letter, readout, qubit) in enumerate(places):
        circuit.exp_pauli(weight(index), letter + "X", (qubit, readout))
    return circuit


def label_circuit(n_inputs: int, label: Any) -> Circuit:
    """Return the circuit with <Y_r> = label(bits), exactly, for any Boolean label.

    exp(i pi/4 l(Z) X_r), where l(Z) = sum_S c_S Z_S over subsets S of the data qubits: one gate exp(i pi/4
    c_S Z_S X_r) for each coefficient that is not zero. They commute. A general label has 2**n of them, a
    parity has one.

    Args:
        n_inputs: number of data qubits, at most 14.
        label: +1 or -1 for each of the 2**n bit strings in basis order, or a function of a tuple of bits.

    Raises:
        ValueError: too many qubits, a table of another length, values other than +1 and -1.

    Reference:
        The paper's section on representing any label function; the sum over subsets is the label's Walsh
        transform.
    """
    _checks.as_int(n_inputs, "n_inputs", minimum=1)
    if n_inputs > MAX_LABEL_QUBITS:
        raise ValueError(
            f"Argument `n_inputs` must be at most {MAX_LABEL_QUBITS} for a table of labels, but is "
            f"{n_inputs}. Use parity_circuit or majority_circuit, or write the label as few products of Z "
            "yourself."
        )
    spectrum = _walsh(_label_table(n_inputs, label), n_inputs)
    circuit = Circuit(n_inputs + 1)
    for index in np.flatnonzero(np.abs(spectrum) > SPECTRUM_TOLERANCE):
        subset = tuple(qubit for qubit in range(n_inputs) if index >> (n_inputs - 1 - qubit) & 1)
        angle = math.pi / 4 * float(spectrum[index])
        circuit.exp_pauli(angle, "Z" * len(subset) + "X", (*subset, n_inputs))
    return _encoded(n_inputs, circuit)


def parity_circuit(n_inputs: int, subset: Iterable[int]) -> Circuit:
    """Return the circuit with <Y_r> = +1 where an even number of the subset's bits are 1, and -1 elsewhere.

    `parity_ansatz` at theta_j = pi/2 on the subset and 0 elsewhere.

    Args:
        n_inputs: number of data qubits.
        subset: the data qubits that count, at least one.
    """
    angles = np.zeros(n_inputs)
    angles[list(_subset(n_inputs, subset))] = math.pi / 2
    return _encoded(n_inputs, parity_ansatz(n_inputs).bind(weights=angles))


def parity_ansatz(n_inputs: int) -> Circuit:
    """Return exp(i pi/4 X_r) prod_j exp(-i theta_j B_j X_r) with B = (1 - Z)/2: <Y_r> = cos(2 sum_j theta_j bit_j).

    Weight j is theta_j, and is used by two gates, exp(-i theta_j X_r / 2) and exp(i theta_j Z_j X_r / 2).
    Hard to learn for many qubits: the gradient is exponentially small.

    Reference:
        The paper's section on subset parity.
    """
    circuit = Circuit(n_inputs + 1).exp_pauli(math.pi / 4, "X", n_inputs)
    for qubit in range(n_inputs):
        circuit.append(PauliRotation("X", factor=-0.5), n_inputs, angles=(weight(qubit),))
        circuit.append(PauliRotation("ZX", factor=0.5), (qubit, n_inputs), angles=(weight(qubit),))
    return circuit


def majority_circuit(n_inputs: int, subset: Iterable[int]) -> Circuit:
    """Return the circuit with <Y_r> = sin(beta sum_j z_j) over the subset: its sign is the subset's majority.

    beta = 0.9 pi / n. +1 stands for a majority of zeros (z = +1). A tie gives 0. To learn it, train
    `classifier_ansatz(n, "z")`.

    Args:
        n_inputs: number of data qubits.
        subset: the data qubits that vote, at least one.

    Reference:
        The paper's section on subset majority: prod_j exp(i (beta/2) a_j Z_j X_r).
    """
    members = _subset(n_inputs, subset)
    circuit = Circuit(n_inputs + 1)
    for qubit in members:
        circuit.exp_pauli(0.45 * math.pi / n_inputs, "ZX", (qubit, n_inputs))
    return _encoded(n_inputs, circuit)


def _encoded(n_inputs: int, circuit: Circuit) -> Circuit:
    return Circuit(circuit.n_qubits).compose(feature_maps.basis(n_inputs)).compose(circuit)


def _subset(n_inputs: int, subset: Iterable[int]) -> tuple[int, ...]:
    members = _checks.as_qubits(subset, _checks.as_int(n_inputs, "n_inputs", minimum=1), "subset")
    if not members:
        raise ValueError("Argument `subset` must hold at least one data qubit, but is empty.")
    return members


def _label_table(n_inputs: int, label: Any) -> np.ndarray:
    if isinstance(label, Callable):
        label = [label(bits) for bits in product((0, 1), repeat=n_inputs)]
    table = np.asarray(label)
    if table.shape != (2**n_inputs,):
        raise ValueError(f"Argument `label` must have shape ({2**n_inputs},), but has shape {table.shape}.")
    if not np.isin(table, (-1, 1)).all():
        wrong = table[~np.isin(table, (-1, 1))][0]
        raise ValueError(f"Argument `label` must be +1 or -1 everywhere, but is {wrong} somewhere. Use 1 - 2 * bit.")
    return table.astype(float)


def _walsh(table: np.ndarray, n_inputs: int) -> np.ndarray:
    """Return the coefficients c_S of l(z) = sum_S c_S prod_{j in S} z_j, S as a bit mask in basis order."""
    spectrum = table.reshape((2,) * n_inputs)
    for axis in range(n_inputs):
        zero, one = np.take(spectrum, 0, axis), np.take(spectrum, 1, axis)
        spectrum = np.stack([(zero + one) / 2, (zero - one) / 2], axis)
    return spectrum.reshape(-1)
