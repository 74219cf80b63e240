"""Any PennyLane device."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch

from circuits import Circuit, Observable
from circuits.lazy import suggestion
from qml.backends.shift.deferred import defer
from qml.backends.shift.evaluation import Means, Part
from qml.backends.shift.rows import RowBackend

SEED_LIMIT = 2**31 - 1
DEVICES_WITH_CHANNELS = ("default.mixed",)


@dataclass(frozen=True, eq=False)
class PennyLane(RowBackend):
    """The backend that runs circuits on a PennyLane device, given by its name or as an object.

    Gradients are the shift rule of this package, one batch of tapes a pass; PennyLane differentiates nothing.
    Mid-circuit operations are deferred to further wires; on `default.mixed` resets and measurements are channels and
    need no wire.

    Args:
        device: a name such as `"default.qubit"` or `"lightning.qubit"`, of which a device is made as wide as a circuit
            needs; or a device, which must have enough wires.
        shots: runs of each circuit and basis; None for exact values.
        generator: of the seeds of samples, where the device is given by its name.

    Raises:
        ValueError: a device has too few wires or no noise channels; a generator is given for a device object.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z
        >>> from qml.backends import PennyLane
        >>> PennyLane("lightning.qubit").expectation(Circuit(1).x(0), torch.zeros(1, 0), torch.zeros(0), [Z(0)])
        tensor([[-1.]])
    """

    device: Any = "default.qubit"
    _: KW_ONLY
    generator: torch.Generator | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.generator is not None:
            self._require_name()
        if isinstance(self.device, str):
            _make_device(self.device, 1, None)  # an unknown name is refused where it is written

    @property
    def name(self) -> str:
        """Return `"pennylane:"` and the device's name."""
        return f"pennylane:{self.device if isinstance(self.device, str) else self.device.name}"

    @property
    def _channels(self) -> bool:
        return self.name.partition(":")[2] in DEVICES_WITH_CHANNELS

    def _means_of_rows(self, circuit: Circuit, parts: Sequence[Part], observables: Sequence[Observable]) -> list[Means]:
        import pennylane as pl

        device, wires = self._wires(circuit.n_qubits, None)
        strings = sorted({factors for observable in observables for _, factors in observable.terms if factors})
        read = [
            pl.expval(cast(Any, pl.prod(*(getattr(pl, letter)(wires[q]) for q, letter in factors))))
            for factors in strings
        ]
        coefficients = np.zeros((len(strings) + 1, len(observables)))
        for column, observable in enumerate(observables):
            for coefficient, factors in observable.terms:
                coefficients[strings.index(factors) if factors else -1, column] += coefficient
        if not strings:
            return [(np.repeat(coefficients, len(rows), axis=0), None) for rows, _ in parts]
        executed = self._execute(circuit, wires, device, [(rows, None) for rows, _ in parts], read)
        results: list[Means] = []
        for groups, (rows, _) in zip(executed, parts, strict=True):
            columns = [np.atleast_2d(np.asarray(group).reshape(len(read), -1).T) for group in groups]
            values = np.broadcast_to(np.concatenate(columns), (len(rows), len(read)))
            results.append((values @ coefficients[:-1] + coefficients[-1], None))
        return results

    def _bits_of_rows(
        self, circuit: Circuit, parts: Sequence[Part], generator: torch.Generator | None
    ) -> list[np.ndarray]:
        import pennylane

        deferred = defer(circuit, channels=self._channels, record=True)
        device, wires = self._wires(deferred.circuit.n_qubits, generator)
        read = [pennylane.sample(wires=[wires[qubit] for qubit in deferred.recorded])]
        executed = self._execute(deferred.circuit, wires, device, parts, read)
        return [
            np.stack([np.asarray(group) for group in groups]).reshape(len(rows), -1, circuit.n_bits).astype(np.uint8)
            for groups, (rows, _) in zip(executed, parts, strict=True)
        ]

    def _execute(
        self, circuit: Circuit, wires: list[Any], device: Any, parts: Sequence[Part], read: list[Any]
    ) -> list[list[Any]]:
        """Return the results of each part's tapes, all from one call; a part is one broadcast tape where that works."""
        import pennylane
        from pennylane.tape import QuantumScript, make_qscript

        from qml.backends.convert.pennylane import to_pennylane

        function = to_pennylane(circuit, wires=wires)
        # default.mixed (0.45) has no decomposition of a broadcast gate under several controls.
        singly = self._channels and any(len(op.controls) > 1 for op in circuit.operations)
        tapes, counts = [], []
        for rows, shots in parts:
            if circuit.n_data == 0 and shots is not None:  # one circuit with all the shots
                groups, count = [rows[0]], shots * len(rows)
            else:
                groups, count = list(rows) if singly or len(rows) == 1 else [rows], shots
            counts.append(len(groups))
            for group in groups:
                operations = make_qscript(function)(group).operations
                tapes.append(QuantumScript(operations, read, shots=count))
        results = iter(pennylane.execute(tapes, device, diff_method=None))
        return [[next(results) for _ in range(count)] for count in counts]

    def _wires(self, n_qubits: int, generator: torch.Generator | None) -> tuple[Any, list[Any]]:
        """Return the device and the labels of its first wires."""
        if generator is not None:
            self._require_name()
        if isinstance(self.device, str):
            source = generator or self.generator
            seed = None if source is None else int(torch.randint(SEED_LIMIT, (), generator=source))
            return _make_device(self.device, n_qubits, seed), list(range(n_qubits))
        labels = list(range(n_qubits)) if self.device.wires is None else list(self.device.wires)
        if len(labels) < n_qubits:
            raise ValueError(
                f"Circuits for {self.name} must have at most {len(labels)} qubits, but this one has {n_qubits} (wires "
                "of mid-circuit operations and packed copies included). Take a device with more wires."
            )
        return self.device, labels[:n_qubits]

    def _require_name(self) -> None:
        if not isinstance(self.device, str):
            raise ValueError(
                "Argument `generator` must be None for a device object, which has a seed of its own. Give the device's "
                "name, or seed the device."
            )


def _make_device(name: str, n_qubits: int, seed: int | None) -> Any:
    return _fresh_device(name, n_qubits, seed) if seed is not None else _unseeded_device(name, n_qubits)


@lru_cache(maxsize=64)
def _unseeded_device(name: str, n_qubits: int) -> Any:
    return _fresh_device(name, n_qubits, None)


def _fresh_device(name: str, n_qubits: int, seed: int | None) -> Any:
    try:
        import pennylane
    except ImportError as error:
        raise ImportError(
            'Backend PennyLane needs pennylane. Install it with: pip install "pennylane>=0.43"'
        ) from error
    names = set(pennylane.plugin_devices)
    if name not in names:
        raise ValueError(
            f"Argument `device` must be one of {', '.join(sorted(names))}, but is {name!r}.{suggestion(name, names)}"
        )
    options = {} if seed is None else {"seed": seed}
    return pennylane.device(name, wires=n_qubits, **options)
