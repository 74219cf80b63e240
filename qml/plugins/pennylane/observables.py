"""PennyLane's observables as weighted Pauli strings."""

import operator
from collections.abc import Hashable
from functools import reduce
from typing import Any

import numpy as np
from pennylane.exceptions import DeviceError
from pennylane.ops import Prod, SProd, Sum
from pennylane.pauli import PauliSentence, PauliWord

from circuits import Observable
from qml.plugins.pennylane.structure import NotKeyedError, is_trained
from qml.plugins.pennylane.untyped import math, pennylane

MAX_MATRIX_WIRES = 4  # of an observable given by its matrix that is written as Pauli strings
MAX_TERMS = 4096  # of an observable that is written as Pauli strings
IMAGINARY_TOLERANCE = 1e-9

Places = dict[Any, int]
"""Numbers of qubits by labels of wires."""


def sentence_of(  # noqa: PLR0911 - one return a kind of observable
    observable: Any,
) -> PauliSentence | None:
    """Return an observable as a sum of Pauli words; None where it is no Pauli sum and too wide to be made one."""
    if observable.pauli_rep is not None:
        return observable.pauli_rep
    if isinstance(observable, (Prod, Sum)):
        parts = [sentence_of(operand) for operand in observable.operands]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            return None
        if isinstance(observable, Sum):
            return reduce(operator.add, known)
        if np.prod([len(part) for part in known]) > MAX_TERMS:
            return None
        return reduce(operator.matmul, known)
    if isinstance(observable, SProd):
        base = sentence_of(observable.base)
        return None if base is None else base * observable.scalar
    if len(observable.wires) > MAX_MATRIX_WIRES or not (observable.has_matrix or observable.has_sparse_matrix):
        return None
    return _decomposed(observable)


def _decomposed(observable: Any) -> PauliSentence:
    matrix = (
        observable.matrix(wire_order=observable.wires)
        if observable.has_matrix
        else observable.sparse_matrix(wire_order=observable.wires).toarray()
    )
    sentence = pennylane.pauli_decompose(
        math.toarray(matrix), wire_order=observable.wires, pauli=True, check_hermitian=False
    )
    return PauliSentence({word: value for word, value in sentence.items() if abs(value) > 0.0})


def is_trained_sum(observable: Any) -> bool:
    """Tell whether a gradient is being taken in the coefficients of a sum of Pauli words."""
    return observable.pauli_rep is not None and any(is_trained(value) for value in observable.data)


def require_constant(observable: Any) -> None:
    """Refuse an observable in whose matrix a gradient is being taken."""
    if observable.pauli_rep is None and any(is_trained(value) for value in observable.data):
        raise DeviceError(
            f"Observables of qml.native must have constant matrices, but a gradient is taken in the matrix of "
            f"{observable.name}. Write it as a Hamiltonian, whose coefficients can be trained."
        )


def word_observable(word: PauliWord, places: Places) -> Observable:
    """Return a Pauli word as an observable."""
    return Observable(((1.0, _factors(word, places)),))


def sum_observable(sentence: PauliSentence, places: Places) -> Observable:
    """Return a Pauli sum with constant coefficients as an observable."""
    return Observable(tuple((real_number(value), _factors(word, places)) for word, value in sentence.items()))


def sentence_key(sentence: PauliSentence, *, with_values: bool) -> Hashable:
    """Return what tells Pauli sums apart, with their coefficients or without."""
    if with_values:
        return tuple((tuple(word.items()), real_number(value)) for word, value in sentence.items())
    return tuple(tuple(word.items()) for word in sentence)


def real_number(value: Any) -> float:
    """Return a coefficient as a number.

    Raises:
        NotKeyedError: its value is unknown while a function is traced.
        DeviceError: it has an imaginary part.
    """
    if math.is_abstract(value):
        raise NotKeyedError("Coefficients that are traced have no value.")
    number = complex(np.asarray(math.unwrap([value])[0]).item())
    if abs(number.imag) > IMAGINARY_TOLERANCE * max(1.0, abs(number)):
        raise DeviceError(
            f"Observables of qml.native must be Hermitian, but a coefficient of a Pauli word is {number}. Take the "
            "real and the imaginary part apart."
        )
    return number.real


def _factors(word: PauliWord, places: Places) -> tuple[tuple[int, str], ...]:
    return tuple(sorted((places[wire], letter) for wire, letter in word.items()))
