"""Submissions to a device and their results, in plain bytes and arrays that outlive any process.

No SDK is imported here: a circuit is the bytes in which its SDK serialises it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from circuits.plain_checks import as_int, as_shots, require_kind

PauliSum = tuple[tuple[str, float], ...]
"""Weighted Pauli labels over all qubits of the serialised circuit, each in the order of its SDK."""

JSONValue = str | int | float | bool | None | list["JSONValue"] | dict[str, "JSONValue"]


@dataclass(frozen=True, eq=False)
class Pub:
    """A circuit, broadcast over many rows of parameter values.

    Args:
        circuit: the serialised circuit, already in the gates and on the qubits of the device.
        values: parameter values, one row a run, float64, shape (rows, parameters).
        observables: the observables that an estimator measures; empty for a sampler.
        shots: runs for every row (and, for an estimator, every observable); None for an exact result.
        key: hash of the circuit before compilation and of the observables, which is the same in every process. A
            resumed run is recognised by it, as compiled bytes differ (parameters have random names, layouts follow the
            day's calibration). If it is empty, the bytes are compared.

    Raises:
        TypeError: a circuit, a key or shots of another kind.
        ValueError: values of another shape or dtype, or with NaN or infinity; fewer shots than 1.
    """

    circuit: bytes
    values: np.ndarray
    observables: tuple[PauliSum, ...] = ()
    shots: int | None = None
    key: str = ""

    def __post_init__(self) -> None:
        values = self.values
        if not isinstance(values, np.ndarray) or values.dtype != np.float64 or values.ndim != 2 or not len(values):
            given = f"{values.dtype} {values.shape}" if isinstance(values, np.ndarray) else type(values).__name__
            raise ValueError(f"Argument `values` must be float64 of shape (rows >= 1, parameters), but is {given}.")
        if not np.isfinite(values).all():
            raise ValueError("Argument `values` must be finite, but holds NaN or infinity.")
        require_kind(self.circuit, "circuit", bytes)
        require_kind(self.key, "key", str)
        if self.shots is not None:
            object.__setattr__(self, "shots", as_shots(self.shots))


@dataclass(frozen=True, eq=False)
class PubResult:
    """The results of one `Pub`.

    Args:
        arrays: for an estimator "evs" and "stds", shape (rows, observables), float64; for a sampler one array of bits
            for each classical register by its name, shape (rows, shots, bits), uint8, bit k of the register at place k.
        metadata: the service's remarks about the run (mitigation that was applied, noise factors), as JSON.
    """

    arrays: Mapping[str, np.ndarray]
    metadata: Mapping[str, JSONValue] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Submission:
    """The arguments of one call of a primitive, which are stored before they are sent.

    Args:
        kind: the primitive that runs it.
        pubs: at least one.
        options: options of the primitive (mitigation, dynamical decoupling, twirling), as JSON.
        overhead: runs that mitigation makes for each run that is asked for, at least 1.

    Raises:
        TypeError: an argument of another kind.
        ValueError: another kind of primitive, no pubs, an overhead below 1.
    """

    kind: Literal["estimator", "sampler"]
    pubs: tuple[Pub, ...]
    options: Mapping[str, JSONValue] = field(default_factory=dict)
    overhead: int = 1

    def __post_init__(self) -> None:
        if self.kind not in ("estimator", "sampler"):
            raise ValueError(f"Argument `kind` must be 'estimator' or 'sampler', but is {self.kind!r}.")
        require_kind(self.pubs, "pubs", tuple)
        if not self.pubs:
            raise ValueError("Argument `pubs` must hold at least one, but is empty.")
        for pub in self.pubs:
            require_kind(pub, "pubs", Pub)
        require_kind(self.options, "options", Mapping)
        object.__setattr__(self, "overhead", as_int(self.overhead, "overhead", 1))
