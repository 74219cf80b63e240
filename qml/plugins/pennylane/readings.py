"""Measurements of exact results: what each asks of the simulator, and how its answer becomes PennyLane's result."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from pennylane.exceptions import DeviceError
from pennylane.measurements import ExpectationMP, ProbabilityMP, StateMeasurement, VarianceMP
from pennylane.ops.qubit.observables import BasisStateProjector
from pennylane.wires import Wires
from torch import Tensor

from circuits import Observable
from qml.plugins.pennylane.observables import (
    Places,
    is_trained_sum,
    require_constant,
    sentence_key,
    sentence_of,
    sum_observable,
    word_observable,
)
from qml.plugins.pennylane.structure import NotKeyedError, value_key
from qml.plugins.pennylane.untyped import math

ONE = Observable(((1.0, ()),))


@runtime_checkable
class Answers(Protocol):
    """Answers of the simulator about one tape; each is computed where a reading asks for it."""

    def means(self) -> Tensor:
        """Return the expectation values of all observables of the questions, (batch, observables)."""
        ...

    def probabilities(self, number: int) -> Tensor:
        """Return the probabilities of the question with this number, (batch, outcomes)."""
        ...

    def of_state(self, measurement: Any) -> Tensor:
        """Return what a measurement makes of the state vector, or of the density matrix of its wires."""
        ...


@dataclass
class Questions:
    """Questions that the readings of a tape put to the simulator.

    Attributes:
        observables: whose expectation values are computed.
        distributions: pairs of gates that rotate into the basis of a measurement, and the wires that are read.
    """

    observables: list[Observable] = field(default_factory=list)
    distributions: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = field(default_factory=list)

    def mean(self, observable: Observable) -> int:
        """Ask for an expectation value; return its number."""
        self.observables.append(observable)
        return len(self.observables) - 1

    def distribution(self, rotations: Sequence[Any], wires: Sequence[Any]) -> int:
        """Ask for probabilities; return their number."""
        self.distributions.append((tuple(rotations), tuple(wires)))
        return len(self.distributions) - 1


Reading = Callable[[Answers, Any], Tensor]
"""Computes the result of a measurement from the simulator's answers and the measurement, as it stands in this tape."""


def measurement_key(measurement: Any) -> Hashable:
    """Return what tells measurements apart.

    Raises:
        NotKeyedError: the measurement acts on all wires of a device, or cannot be compared.
    """
    observable = measurement.obs
    if observable is None and not measurement.wires:
        raise NotKeyedError("Measurements must name their wires.")
    kind = type(measurement)
    if observable is None:
        options = tuple((name, str(value)) for name, value in vars(measurement).items() if name in STATE_OPTIONS)
        eigenvalues = measurement.eigvals() if isinstance(measurement, VALUE_MEASUREMENTS) else None
        values = () if eigenvalues is None else tuple(np.asarray(eigenvalues).tolist())
        return kind, measurement.wires.labels, values, options, _subsystems(measurement)
    if observable.pauli_rep is not None:
        trained = isinstance(measurement, ExpectationMP) and is_trained_sum(observable)
        return kind, trained, sentence_key(observable.pauli_rep, with_values=not trained)
    require_constant(observable)
    return kind, value_key(observable)


VALUE_MEASUREMENTS = (ExpectationMP, VarianceMP, ProbabilityMP)
STATE_OPTIONS = ("log_base",)


def _subsystems(measurement: Any) -> Hashable:
    parts = measurement.raw_wires
    return tuple(tuple(Wires(part)) for part in parts) if isinstance(parts, list) else None


def reading_of(measurement: Any, places: Places, questions: Questions) -> Reading:
    """Return the reading of a measurement, and add to the questions what it asks.

    Raises:
        DeviceError: a measurement that has no exact result here.
    """
    if not isinstance(measurement, VALUE_MEASUREMENTS):
        if not isinstance(measurement, StateMeasurement):
            raise DeviceError(f"Measurement {measurement} is not supported by qml.native without shots.")
        return lambda answers, current: answers.of_state(current)
    observable = measurement.obs
    if observable is not None and not isinstance(measurement, ProbabilityMP):
        reading = _of_observable(measurement, places, questions)
        if reading is not None:
            return reading
    return _of_distribution(measurement, questions)


def _of_observable(measurement: Any, places: Places, questions: Questions) -> Reading | None:
    """Return the reading of Pauli strings; None where the observable is none."""
    observable = measurement.obs
    sentence = sentence_of(observable)
    if sentence is None:
        return None
    if isinstance(measurement, VarianceMP):
        whole = sum_observable(sentence, places)
        square = ONE if len(sentence) == 1 and _is_unit(whole) else sum_observable(sentence @ sentence, places)
        first, second = questions.mean(whole), questions.mean(square)
        return lambda answers, _: answers.means()[:, second] - answers.means()[:, first].square()
    if not is_trained_sum(observable):
        number = questions.mean(sum_observable(sentence, places))
        return lambda answers, _: answers.means()[:, number]
    numbers = [questions.mean(word_observable(word, places)) for word in sentence]

    def weighted(answers: Answers, current: Any) -> Tensor:
        values = answers.means()[:, numbers]
        coefficients = [
            torch.as_tensor(value, device=values.device).real.to(values.dtype)
            for value in current.obs.pauli_rep.values()
        ]
        return values @ torch.stack(coefficients)

    return weighted


def _is_unit(observable: Observable) -> bool:
    return abs(observable.terms[0][0]) == 1.0


def _of_distribution(measurement: Any, questions: Questions) -> Reading:
    """Return the reading of a measurement in the basis of its eigenvectors."""
    observable = measurement.obs
    rotations = [] if isinstance(observable, BasisStateProjector) else measurement.diagonalizing_gates()
    number = questions.distribution(rotations, measurement.wires.labels)
    if isinstance(measurement, ProbabilityMP):
        return lambda answers, _: answers.probabilities(number)
    eigenvalues = _eigenvalues(measurement)

    def mean(answers: Answers, _: Any) -> Tensor:
        probabilities = answers.probabilities(number)
        return probabilities @ torch.as_tensor(eigenvalues, dtype=probabilities.dtype, device=probabilities.device)

    def variance(answers: Answers, _: Any) -> Tensor:
        probabilities = answers.probabilities(number)
        values = torch.as_tensor(eigenvalues, dtype=probabilities.dtype, device=probabilities.device)
        return probabilities @ values.square() - (probabilities @ values).square()

    return mean if isinstance(measurement, ExpectationMP) else variance


def _eigenvalues(measurement: Any) -> np.ndarray:
    observable = measurement.obs
    if isinstance(observable, BasisStateProjector):
        bits = [int(bit) for bit in np.asarray(observable.data[0])]
        values = np.zeros(2 ** len(bits))
        values[int("".join(map(str, bits)), 2)] = 1.0
        return values
    return np.real(math.toarray(measurement.eigvals()))
