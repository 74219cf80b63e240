"""Qiskit's observables as weighted Pauli strings on the wires of a program."""

from collections.abc import Mapping
from typing import Any

from circuits import Observable
from qml.plugins.qiskit.program import Program

MAX_TERMS = 2**14  # of one observable, once projectors and read-out errors are written as Pauli strings
IMAGINARY_TOLERANCE = 1e-9
# Each letter of Qiskit as a constant, and a multiple of a Pauli letter.
LETTERS = {
    "I": (1.0, 0.0, "Z"), "X": (0.0, 1.0, "X"), "Y": (0.0, 1.0, "Y"), "Z": (0.0, 1.0, "Z"),
    "0": (0.5, 0.5, "Z"), "1": (0.5, -0.5, "Z"), "+": (0.5, 0.5, "X"), "-": (0.5, -0.5, "X"),
    "r": (0.5, 0.5, "Y"), "l": (0.5, -0.5, "Y"),
}  # fmt: skip

Terms = dict[tuple[tuple[int, str], ...], float]
"""Coefficients of Pauli strings."""


def observable_of(labels: Mapping[str, Any], program: Program) -> Observable:
    """Return an observable of a program.

    Args:
        labels: coefficients by labels over I, X, Y, Z, 0, 1, +, -, r, l, Qiskit's qubit 0 last.
        program: what runs.

    Raises:
        ValueError: a coefficient with an imaginary part, or more than `MAX_TERMS` Pauli strings.
    """
    total: Terms = {}
    for label, coefficient in labels.items():
        for factors, value in _expanded(label, program).items():
            total[factors] = total.get(factors, 0.0) + value * _real(coefficient, label)
    return Observable(tuple((value, factors) for factors, value in total.items()))


def _expanded(label: str, program: Program) -> Terms:
    """Return a label as Pauli strings on the wires."""
    terms: Terms = {(): 1.0}
    for qubit, letter in enumerate(reversed(label)):
        if letter == "I":
            continue
        constant, slope, pauli, wire = _factor(letter, qubit, program)
        longer: Terms = {}
        for factors, value in terms.items():
            if constant != 0.0:
                longer[factors] = longer.get(factors, 0.0) + constant * value
            if slope != 0.0:
                longer[(*factors, (wire, pauli))] = slope * value
        terms = longer
        if len(terms) > MAX_TERMS:
            raise ValueError(
                f"An observable must have at most {MAX_TERMS} Pauli strings, but {label!r} has more once projectors "
                "and read-out errors are written out. Ask the Sampler for probabilities."
            )
    return {tuple(sorted(factors)): value for factors, value in terms.items()}


def _factor(letter: str, qubit: int, program: Program) -> tuple[float, float, str, int]:
    """Return a letter at a qubit as a constant and a multiple of a Pauli letter on a wire."""
    constant, slope, pauli = LETTERS[letter]
    if program.noise is not None:
        wrong_zero, wrong_one = program.noise.reading_errors(qubit)
        constant, slope = constant + slope * (wrong_one - wrong_zero), slope * (1.0 - wrong_zero - wrong_one)
    wire = program.wires.get(qubit)
    if wire is None:  # in |0>
        return (constant + slope if pauli == "Z" else constant), 0.0, pauli, -1
    if pauli != "Z" and qubit in program.dephased:
        return constant, 0.0, pauli, wire
    return constant, slope, pauli, wire


def _real(coefficient: Any, label: str) -> float:
    number = complex(coefficient)
    if abs(number.imag) > IMAGINARY_TOLERANCE * max(1.0, abs(number)):
        raise ValueError(
            f"Argument `observables` must be Hermitian, but the coefficient of {label} is {number}. Take the real and "
            "the imaginary part apart."
        )
    return number.real
