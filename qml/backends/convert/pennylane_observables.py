"""Observables to and from PennyLane."""

from collections.abc import Sequence
from typing import Any

from circuits import Observable
from circuits.observables import real_coefficient
from circuits.plain_checks import require_kind

try:
    from pennylane.measurements import ExpectationMP
    from pennylane.operation import Operator
    from pennylane.pauli import PauliSentence, PauliWord, pauli_sentence
except ImportError as error:
    raise ImportError(
        'Observables in PennyLane\'s form need pennylane. Install it with: pip install "pennylane>=0.43"'
    ) from error


def observable_from_pennylane(operator: Any, *, wires: Sequence[Any] | None = None) -> Observable:
    """Convert a PennyLane observable made of Pauli operators into our form.

    Args:
        operator: Pauli operators, and their products, sums and multiples, or the measurement `expval` of one.
        wires: the labels that become qubits 0, 1, ... (default: wire k becomes qubit k).

    Raises:
        TypeError: not an operator, such as the measurement `probs`.
        ValueError: an operator that is not given by Pauli operators, such as a Hermitian matrix; a coefficient that is
            not real; a wire that is not in `wires`, or without `wires` is no number.

    Example:
        >>> import pennylane as pl
        >>> observable_from_pennylane(pl.X(0) @ pl.Z(2) - 0.5 * pl.Y(1))
        1*X0 Z2 - 0.5*Y1
    """
    operator = operator.obs if isinstance(operator, ExpectationMP) else operator
    require_kind(operator, "operator", Operator, " Pass what stands within expval(...).")
    try:
        sentence = pauli_sentence(operator)
    except ValueError as error:
        raise ValueError(
            f"Argument `operator` must be made of Pauli operators, but holds {operator}. Write it as a sum of their "
            "products, as pennylane.pauli_decompose does with a matrix."
        ) from error
    places = {wire: place for place, wire in enumerate(wires)} if wires is not None else None
    return Observable(
        tuple(
            (real_coefficient(complex(value)), tuple((_place(wire, places), letter) for wire, letter in word.items()))
            for word, value in sentence.items()
        )
    )


def observable_to_pennylane(observable: Observable, *, wires: Sequence[Any] | None = None) -> Any:
    """Convert an observable into a PennyLane operator, our qubit k into wire k, or into the k-th of `wires`."""
    labels = range(max(observable.qubits, default=0) + 1) if wires is None else wires
    sentence = PauliSentence(
        {PauliWord({labels[qubit]: letter for qubit, letter in factors}): value for value, factors in observable.terms}
    )
    return sentence.operation(wire_order=[labels[qubit] for qubit in observable.qubits] or [labels[0]])


def _place(wire: Any, places: dict[Any, int] | None) -> int:
    if places is None and isinstance(wire, int) and wire >= 0:
        return wire
    if places is None or wire not in places:
        raise ValueError(
            f"Argument `operator` must act on wires that `wires` names, or on numbers, but acts on {wire!r}. Pass "
            "wires=, with a label for each qubit."
        )
    return places[wire]
