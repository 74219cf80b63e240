"""Observables: real-weighted sums of Pauli strings."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from circuits import _checks

Number = float | int | complex
PauliFactors = tuple[tuple[int, str], ...]  # ((qubit, letter), ...), sorted, without identities

PRODUCTS = {"XY": (1j, "Z"), "YZ": (1j, "X"), "ZX": (1j, "Y"), "YX": (-1j, "Z"), "ZY": (-1j, "X"), "XZ": (-1j, "Y")}


@dataclass(frozen=True)
class Observable:
    """A weighted sum of Pauli strings, sum_k c_k P_k.

    Built from `X(q)`, `Y(q)`, `Z(q)` and `pauli_string` with `+`, `-`, `*` by a number and `@` between strings.

    Args:
        terms: pairs (coefficient, ((qubit, letter), ...)); equal strings are added up.

    Example:
        >>> from circuits import X, Z
        >>> 0.5 * (Z(0) @ Z(1)) - X(2)
        0.5*Z0 Z1 - 1*X2
    """

    terms: tuple[tuple[float, PauliFactors], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", _merged(self.terms))

    @cached_property
    def qubits(self) -> tuple[int, ...]:
        """Return the qubits on which it acts, ascending."""
        return tuple(sorted({qubit for _, factors in self.terms for qubit, _ in factors}))

    @property
    def is_diagonal(self) -> bool:
        """Tell whether only I and Z occur, so that it can be read off computational-basis samples."""
        return all(letter == "Z" for _, factors in self.terms for _, letter in factors)

    def __add__(self, other: "Observable | float | int") -> "Observable":
        if isinstance(other, Observable):
            return Observable(self.terms + other.terms)
        number = real_coefficient(other)
        return Observable((*self.terms, (number, ()))) if number else self  # `sum` starts from 0

    __radd__ = __add__

    def __neg__(self) -> "Observable":
        return -1.0 * self

    def __sub__(self, other: "Observable | float | int") -> "Observable":
        return self + (-other)

    def __rsub__(self, other: float | int) -> "Observable":
        return (-self) + other

    def __mul__(self, scale: float | int) -> "Observable":
        if isinstance(scale, Observable):
            raise TypeError("Observables are multiplied with @, as in Z(0) @ Z(1); * is for numbers.")
        return Observable(tuple((real_coefficient(scale) * value, factors) for value, factors in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float | int) -> "Observable":
        if isinstance(divisor, Observable):
            raise TypeError("An observable must be divided by a number, but the divisor is an Observable.")
        return self * (1.0 / real_coefficient(divisor))

    def __matmul__(self, other: "Observable") -> "Observable":
        """Return the operator product; refuse it where it is not Hermitian (X @ Y on one qubit is i Z)."""
        if not isinstance(other, Observable):
            return NotImplemented
        terms = []
        for left, left_factors in self.terms:
            for right, right_factors in other.terms:
                phase, factors = _multiply(left_factors, right_factors)
                terms.append((left * right * phase, factors))
        return Observable(_merged(terms))

    def __repr__(self) -> str:
        parts = []
        for value, factors in self.terms:
            string = " ".join(f"{letter}{qubit}" for qubit, letter in factors) or "I"
            parts.append(f"{'- ' if value < 0 else '+ '}{abs(value):g}*{string}")
        text = " ".join(parts) or "0"
        return text[2:] if text.startswith("+ ") else text.replace("- ", "-", 1)


def X(qubit: int) -> Observable:
    """Return Pauli X on `qubit`."""
    return pauli_string("X", (qubit,))


def Y(qubit: int) -> Observable:
    """Return Pauli Y on `qubit`."""
    return pauli_string("Y", (qubit,))


def Z(qubit: int) -> Observable:
    """Return Pauli Z on `qubit`."""
    return pauli_string("Z", (qubit,))


def pauli_string(pauli: str, qubits: Iterable[int] | None = None) -> Observable:
    """Return the Pauli string whose k-th letter acts on the k-th of `qubits` (default 0, 1, 2, ...).

    Example:
        >>> pauli_string("ZIX")
        1*Z0 X2
    """
    pauli = _checks.as_pauli(pauli)
    places = tuple(range(len(pauli))) if qubits is None else tuple(qubits)
    _checks.require_length(places, len(pauli), "qubits", f"qubits for the string {pauli!r}")
    places = _checks.as_qubits(places, max(places, default=0) + 1)
    return Observable(((1.0, tuple(zip(places, pauli, strict=True))),))


def observable(terms: Mapping[str, float | int]) -> Observable:
    """Return the sum of full-length Pauli strings with their weights, as `{"ZZI": 0.5, "IIX": -1.0}`."""
    return Observable(tuple((weight, pauli_string(string).terms[0][1]) for string, weight in terms.items()))


def _merged(terms: Iterable[tuple[Number, PauliFactors]]) -> tuple[tuple[float, PauliFactors], ...]:
    """Add up equal strings; only the sums need be real."""
    sums: dict[PauliFactors, Number] = {}
    for coefficient, factors in terms:
        key = _sorted_factors(factors)
        sums[key] = sums.get(key, 0.0) + coefficient
    return tuple((real_coefficient(value), key) for key, value in sums.items())


def _sorted_factors(factors: Iterable[tuple[int, str]]) -> PauliFactors:
    letters = sorted((qubit, letter) for qubit, letter in factors if letter != "I")
    for qubit, letter in letters:
        if qubit < 0 or letter not in "XYZ":
            raise ValueError(f"An observable's factor must be (qubit >= 0, X, Y or Z), but is {(qubit, letter)}.")
    if len({qubit for qubit, _ in letters}) != len(letters):
        raise ValueError(f"A Pauli string must name a qubit once, but has factors {tuple(letters)}.")
    return tuple(letters)


def _multiply(left: PauliFactors, right: PauliFactors) -> tuple[complex, PauliFactors]:
    phase, letters = 1.0 + 0.0j, dict(left)
    for qubit, letter in right:
        if qubit not in letters:
            letters[qubit] = letter
        elif letters[qubit] == letter:
            del letters[qubit]
        else:
            step, letters[qubit] = PRODUCTS[letters[qubit] + letter]
            phase *= step
    return phase, tuple(letters.items())


def real_coefficient(value: Number) -> float:
    """Return a coefficient as a finite float; refuse one with an imaginary part."""
    if isinstance(value, complex):
        if value.imag != 0.0:
            raise ValueError(f"An observable must have real coefficients, but a coefficient is {value}.")
        value = value.real
    value = float(value)
    if not math.isfinite(value):
        raise ValueError(f"An observable must have finite coefficients, but a coefficient is {value}.")
    return value
