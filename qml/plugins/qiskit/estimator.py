"""The estimator: expectation values of all circuits, observables and parameters, in as few runs as possible."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from qiskit.primitives import BaseEstimatorV2, DataBin, PrimitiveJob, PrimitiveResult, PubResult
from qiskit.primitives.containers.estimator_pub import EstimatorPub
from torch import Tensor

from circuits import Observable
from qml.plugins.qiskit.noise import DeviceNoise
from qml.plugins.qiskit.observables import observable_of
from qml.plugins.qiskit.program import NATIVE, Program, program_of, rows_of

Seed = int | np.random.Generator | None
Key = tuple[tuple[str, complex], ...]
"""An observable: its labels and coefficients, sorted."""


class Estimator(BaseEstimatorV2):
    """Qiskit's estimator on the built-in simulator: exact expectation values of circuits at many parameters.

    A circuit is converted once a structure; all parameter values of a run for which the same observables are asked run
    as one batch, across PUBs. Measurements, resets and conditions on measured bits on the way are exact: values are
    means over all branches. With `noise` a circuit must be transpiled for the device; values then include its gate and
    read-out errors.

    Args:
        default_precision: the standard deviation of Gaussian noise on every value, for PUBs and runs that say nothing;
            0 for exact values.
        seed: of that noise, at the beginning of every PUB, as in Qiskit's `StatevectorEstimator`, whose noise it
            equals; a generator goes on from PUB to PUB.
        noise: the name of a fake device, a Qiskit backend whose properties are taken, or an Aer `NoiseModel`.

    Raises:
        ValueError: a precision that is negative or not finite, an unknown device.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qml.plugins.qiskit import Estimator
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.h(0), circuit.cx(0, 1)
        >>> Estimator().run([(circuit, ["ZZ", "XI"])]).result()[0].data.evs.tolist()
        [1.0, 0.0]
    """

    def __init__(self, *, default_precision: float | int = 0.0, seed: Seed = None, noise: Any = None) -> None:
        self._default_precision = _as_precision(default_precision, "default_precision")
        self._seed = seed
        self._noise = noise if noise is None or isinstance(noise, DeviceNoise) else DeviceNoise(noise)

    @property
    def default_precision(self) -> float:
        """Return the precision of PUBs and runs that say nothing."""
        return self._default_precision

    @property
    def seed(self) -> Seed:
        """Return the seed of the Gaussian noise."""
        return self._seed

    @property
    def noise(self) -> DeviceNoise | None:
        """Return the device's noise."""
        return self._noise

    def run(
        self, pubs: Iterable[Any], *, precision: float | int | None = None
    ) -> PrimitiveJob[PrimitiveResult[PubResult]]:
        """Start a run.

        Args:
            pubs: tuples (circuit, observables, parameter values, precision), of which the last two may be missing.
                Parameter values and observables are broadcast against each other.
            precision: of PUBs that have none.

        Returns:
            A job whose result holds for each PUB the values `data.evs` and their standard deviations `data.stds`.
        """
        chosen = self._default_precision if precision is None else _as_precision(precision, "precision")
        coerced = [EstimatorPub.coerce(pub, chosen) for pub in pubs]
        job = PrimitiveJob(self._run, coerced)
        job._submit()
        return job

    def _run(self, pubs: list[EstimatorPub]) -> PrimitiveResult[PubResult]:
        table = ValueTable(self._noise)
        asked = [table.ask(pub) for pub in pubs]
        table.compute()
        results = []
        for pub, places in zip(pubs, asked, strict=True):
            values = table.answer(places)
            precision = pub.precision or 0.0
            if precision > 0.0:
                random = np.random.default_rng(self._seed)  # a generator stays as it is
                values = np.asarray(random.normal(values, precision))
            data = DataBin(evs=values, stds=np.full_like(values, precision), shape=values.shape)
            metadata = {"target_precision": precision, "circuit_metadata": pub.circuit.metadata}
            results.append(PubResult(data, metadata=metadata))
        return PrimitiveResult(results, metadata={"version": 2})


@dataclass(eq=False)
class Rows:
    """The parameter values at which a program runs, each once, with the observables that are asked there."""

    program: Program
    numbers: dict[bytes, int] = field(default_factory=dict)
    values: list[Tensor] = field(default_factory=list)
    asked: list[set[int]] = field(default_factory=list)

    def number(self, row: Tensor) -> int:
        """Return the number of a row of parameter values."""
        key = row.numpy().tobytes()
        if key not in self.numbers:
            self.numbers[key] = len(self.values)
            self.values.append(row)
            self.asked.append(set())
        return self.numbers[key]


@dataclass(frozen=True)
class Places:
    """The places of a PUB's values: rows and observables, broadcast to its shape."""

    rows: Rows
    numbers: np.ndarray
    observables: np.ndarray


class ValueTable:
    """The expectation values of a run, each computed once.

    Rows at which the same observables are asked run together.

    Args:
        noise: of the device.
    """

    def __init__(self, noise: DeviceNoise | None) -> None:
        self._noise = noise
        self._by_circuit: dict[int, Rows] = {}
        self._by_program: dict[int, Rows] = {}
        self._keys: dict[Key, int] = {}
        self._values: dict[tuple[int, int, int], float] = {}

    def ask(self, pub: EstimatorPub) -> Places:
        """Ask for the values of a PUB, and return their places."""
        rows = self._rows_of(pub.circuit)
        values = rows_of(pub.parameter_values.as_array(pub.circuit.parameters))
        numbers = np.array([rows.number(row) for row in values], dtype=np.int64).reshape(pub.parameter_values.shape)
        observables = self._observables(np.asarray(pub.observables))
        places = Places(rows, *np.broadcast_arrays(numbers, observables))
        for row, observable in zip(places.numbers.flat, places.observables.flat, strict=True):
            rows.asked[row].add(int(observable))
        return places

    def _rows_of(self, circuit: Any) -> Rows:
        if id(circuit) not in self._by_circuit:
            program = program_of(circuit, self._noise)
            self._by_circuit[id(circuit)] = self._by_program.setdefault(id(program), Rows(program))
        return self._by_circuit[id(circuit)]

    def _observables(self, observables: np.ndarray) -> np.ndarray:
        numbers = [self._keys.setdefault(observable_key(item), len(self._keys)) for item in observables.flat]
        return np.array(numbers, dtype=np.int64).reshape(observables.shape)

    def compute(self) -> None:
        """Compute all that has been asked for."""
        keys = list(self._keys)
        for rows in self._by_program.values():
            groups: dict[Hashable, list[int]] = {}
            for number, asked in enumerate(rows.asked):
                groups.setdefault(frozenset(asked), []).append(number)
            for group in groups.values():
                asked = sorted(rows.asked[group[0]])
                if not asked:
                    continue
                chosen = [observable_of(dict(keys[number]), rows.program) for number in asked]
                values = expectations(rows.program, torch.stack([rows.values[k] for k in group]), chosen).numpy()
                for column, observable in enumerate(asked):
                    for line, row in enumerate(group):
                        self._values[id(rows), row, observable] = float(values[line, column])

    def answer(self, places: Places) -> np.ndarray:
        """Return the values of a PUB in its shape."""
        values = [
            self._values[id(places.rows), int(row), int(observable)]
            for row, observable in zip(places.numbers.flat, places.observables.flat, strict=True)
        ]
        return np.array(values, dtype=np.float64).reshape(places.numbers.shape)


def observable_key(labels: Mapping[str, Any]) -> Key:
    """Return an observable as a key."""
    return tuple(sorted((label, complex(value)) for label, value in labels.items()))


def expectations(program: Program, parameters: Tensor, observables: Sequence[Observable]) -> Tensor:
    """Return expectation values, (rows, observables), without gradients.

    Args:
        program: what runs.
        parameters: (rows, parameters).
        observables: of the program.
    """
    results = []
    with torch.no_grad():
        for part in parameters.split(program.max_rows):
            circuit, data, weights = program.split(program.expressions.values(part))
            results.append(NATIVE.expectation(circuit, data, weights, observables).expand(len(part), -1))
    return torch.cat(results)


def _as_precision(value: float | int, name: str) -> float:
    if not isinstance(value, (int, float, np.number)) or not math.isfinite(value) or value < 0:
        raise ValueError(f"Argument `{name}` must be a number of at least 0, 0 for exact values, but is {value!r}.")
    return float(value)
