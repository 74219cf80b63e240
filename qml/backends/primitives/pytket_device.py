"""A backend of pytket as a device of a Qiskit provider: circuits are compiled by pytket, and jobs are its handles."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from circuits.plain_checks import has_members
from qml.backends.convert.qiskit import MEASURED
from qml.jobs import JobNotFound

LEVEL = 2  # of optimisation, which is pytket's own default


class PytketDevice:
    """The device of a backend of pytket, for `Provider(pytket_device(...), transpiled=False)`.

    Args:
        backend: a `pytket.backends.Backend` that counts.
    """

    max_circuits = None
    target = None  # circuits come in the gates of every simulator, and pytket compiles them

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        info = backend.backend_info
        self.name = f"pytket:{getattr(info, 'device_name', None) or type(backend).__name__}"

    def run(self, run_input: Any, *, shots: int) -> "PytketJob":
        """Compile circuits of Qiskit, and send them as one job."""
        from pytket.extensions.qiskit import qiskit_to_tk

        circuits = list(run_input) if isinstance(run_input, Sequence) else [run_input]
        compiled = self.backend.get_compiled_circuits([qiskit_to_tk(circuit) for circuit in circuits], LEVEL)
        return PytketJob(self.backend, tuple(self.backend.process_circuits(compiled, n_shots=shots)))


class DurablePytketDevice(PytketDevice):
    """The device of a backend of pytket whose handles outlive the process."""

    def retrieve_job(self, job_id: str) -> "PytketJob":
        """Return a job by its id, the texts of its handles."""
        from pytket.backends import ResultHandle

        try:
            handles = tuple(ResultHandle.from_str(text) for text in json.loads(job_id))
        except (TypeError, ValueError) as error:
            raise JobNotFound(f"{job_id!r} is no job of {self.name}.") from error
        return PytketJob(self.backend, handles)


@dataclass(frozen=True)
class PytketJob:
    """Circuits that were sent to a backend of pytket.

    Args:
        backend: of pytket.
        handles: of its circuits.
    """

    backend: Any
    handles: tuple[Any, ...]

    def job_id(self) -> str:
        """Return the texts of the handles."""
        return json.dumps([str(handle) for handle in self.handles])

    def status(self) -> str:
        """Return the state of the circuits that is farthest from their end, by Qiskit's name."""
        try:
            names = {self.backend.circuit_status(handle).status.name for handle in self.handles}
        except NotImplementedError:  # an emulator in this process: its results are computed when they are asked for
            return "DONE"
        for name, state in STATES:
            if name in names:
                return state
        return "DONE"

    def result(self) -> "PytketCounts":
        """Return the counts of all circuits, and wait for them."""
        return PytketCounts([_words(self.backend.get_result(handle)) for handle in self.handles])

    def cancel(self) -> None:
        """Stop the circuits that have not ended."""
        for handle in self.handles:
            self.backend.cancel(handle)


STATES = (
    ("ERROR", "ERROR"), ("CANCELLED", "CANCELLED"), ("CANCELLING", "CANCELLED"), ("SUBMITTED", "QUEUED"),
    ("QUEUED", "QUEUED"), ("RETRYING", "QUEUED"), ("RUNNING", "RUNNING"),
)  # fmt: skip
"""pytket's states of a circuit that has no result, and Qiskit's of a job with such a circuit."""


@dataclass(frozen=True)
class PytketCounts:
    """Counts as a result of Qiskit has them."""

    counts: list[dict[str, int]]

    def get_counts(self) -> list[dict[str, int]]:
        """Return the counts of each circuit, by words whose last letter is bit 0."""
        return self.counts


def _words(result: Any) -> dict[str, int]:
    bits = sorted((bit for bit in result.c_bits if bit.reg_name == MEASURED), key=lambda bit: bit.index[0])
    counts = result.get_counts(cbits=bits[::-1])
    return {"".join(map(str, outcome)): int(count) for outcome, count in counts.items()}


def pytket_device(backend: Any) -> PytketDevice:
    """Return the device of a backend of pytket.

    Raises:
        TypeError: it is no backend of pytket.
        ValueError: it gives no counts, such as a simulator of state vectors.
    """
    if not has_members(backend, "process_circuits", "get_compiled_circuits", "supports_counts", "persistent_handles"):
        raise TypeError(f"Argument `backend` must be a backend of pytket, but is {type(backend).__name__}.")
    if not backend.supports_counts:
        raise ValueError(
            f"Argument `backend` must give counts, but {type(backend).__name__} does not. Use AerBackend() of "
            "pytket-qiskit, or a device."
        )
    return (DurablePytketDevice if backend.persistent_handles else PytketDevice)(backend)
