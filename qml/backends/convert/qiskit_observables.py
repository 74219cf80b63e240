"""Observables to and from Qiskit's SparsePauliOp."""

from typing import Any

from circuits import Observable
from circuits.observables import PauliFactors, real_coefficient

try:
    from qiskit.quantum_info import Pauli, SparsePauliOp
except ImportError as error:
    raise ImportError(
        'Observables in Qiskit\'s form need qiskit. Install it with: pip install "qiskit>=2.1"'
    ) from error

ROUNDING = 1e-12  # the imaginary part that Qiskit's arithmetic leaves beside a real coefficient


def observable_from_qiskit(operator: Any) -> Observable:
    """Convert a `SparsePauliOp`, a `Pauli` or a string of letters into our form, Qiskit's qubit k into our qubit k.

    Qiskit's strings read the last qubit first: "XZ" is X on qubit 1 and Z on qubit 0.

    Args:
        operator: the operator, as Qiskit's estimators take it.

    Raises:
        TypeError: another object, such as a list of pairs.
        ValueError: a coefficient that is not real, or that still holds a parameter.

    Example:
        >>> observable_from_qiskit("XZ")
        1*Z0 X1
    """
    if not isinstance(operator, SparsePauliOp | Pauli | str):
        raise TypeError(
            'Argument `operator` must be a SparsePauliOp, a Pauli or a string such as "XZ", but is a '
            f"{type(operator).__name__}. Convert it with SparsePauliOp(...) or SparsePauliOp.from_list(...)."
        )
    operator = operator if isinstance(operator, SparsePauliOp) else SparsePauliOp(operator)
    return Observable(
        tuple((_coefficient(value), _factors(letters)) for letters, value in operator.to_list(array=False))
    )


def observable_to_qiskit(observable: Observable, n_qubits: int) -> SparsePauliOp:
    """Convert an observable into a `SparsePauliOp` on `n_qubits`, our qubit k into Qiskit's qubit k.

    Raises:
        ValueError: the observable acts on a qubit that is not there.
    """
    terms = [
        ("".join(letter for _, letter in factors), [qubit for qubit, _ in factors], value)
        for value, factors in observable.terms
    ]
    missing = [qubit for qubit in observable.qubits if qubit >= n_qubits]
    if missing:
        raise ValueError(
            f"Argument `n_qubits` must be above {missing[-1]}, on which the observable acts, but is {n_qubits}."
        )
    return SparsePauliOp.from_sparse_list(terms, n_qubits)


def _factors(letters: str) -> PauliFactors:
    return tuple((qubit, letter) for qubit, letter in enumerate(reversed(letters)) if letter != "I")


def _coefficient(value: Any) -> float:
    try:
        number = complex(value)
    except TypeError as error:
        raise ValueError(
            f"Argument `operator` must have numbers as coefficients, but has {value}. Bind its parameters first, with "
            "operator.assign_parameters(...)."
        ) from error
    return real_coefficient(number.real if abs(number.imag) <= ROUNDING * abs(number) else number)
