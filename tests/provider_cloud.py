"""A Qiskit provider whose jobs are files of a folder, so that they outlive the process that sent them.

Run as a program it is the command line with this device as the backend `folder:PATH`, for processes that are killed.
"""

import json
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qiskit import qpy
from qiskit.circuit import QuantumCircuit
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit.providers.basic_provider import BasicSimulator
from qiskit.transpiler import Target

from qml.backends import Provider


class Reply:
    """The reply of a server, as the errors of `requests` carry it."""

    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


class ClientError(Exception):
    """An error of a client that is neither Python's nor Qiskit's."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"the server answered {status_code}")
        self.response = Reply(status_code)


class Timeout(OSError):
    """Named as that of `requests`, which is no `TimeoutError`."""


class FolderJob(JobV1):
    """A job of the folder. Its files: the circuits; what is known of it."""

    def __init__(self, device: "FolderDevice", job_id: str) -> None:
        super().__init__(device, job_id)
        self.device = device

    def submit(self) -> None:
        """Nothing is left to do."""

    def known(self) -> dict[str, Any]:
        """Read what is known of the job."""
        path = self.device.folder / f"{self.job_id()}.json"
        if not path.exists():
            raise ClientError(404)
        return json.loads(path.read_text())

    def status(self) -> JobStatus:
        """Read the state; every look brings a job nearer to its end."""
        self.device.fault("status")
        known = self.known()
        if known["looks"] > 0:
            self.device.note(self.job_id(), known | {"looks": known["looks"] - 1})
            return JobStatus.QUEUED
        return JobStatus[known["end"]]

    def result(self) -> Any:
        """Run the circuits, always with the same seed."""
        self.device.fault("result")
        known = self.known()
        if known["end"] == "ERROR":
            raise LookupError("the ions were lost")
        with (self.device.folder / f"{self.job_id()}.qpy").open("rb") as file:
            circuits = qpy.load(file)
        return BasicSimulator().run(circuits, shots=known["shots"], seed_simulator=known["seed"]).result()

    def cancel(self) -> None:
        """Stop it."""
        self.device.note(self.job_id(), self.known() | {"end": "CANCELLED", "looks": 0})


class FolderDevice(BackendV2):
    """A device whose `run` writes a job into a folder; `faults` names what goes wrong at its next calls."""

    looks = 2  # at a job before it has ended
    end = "DONE"

    def __init__(self, folder: str | Path) -> None:
        super().__init__(name="folder")
        self.folder = Path(folder)
        self.faults: dict[str, list[BaseException | None]] = {"before": [], "after": [], "status": [], "result": []}

    @property
    def target(self) -> Target:
        """Return the gates of Qiskit's own simulator."""
        return BasicSimulator().target

    @property
    def max_circuits(self) -> int:
        """Return a number that is met in the tests."""
        return 4

    @classmethod
    def _default_options(cls) -> Options:
        return Options()

    def fault(self, moment: str) -> None:
        """Raise the next fault of a moment, if there is one."""
        fault = self.faults[moment].pop(0) if self.faults[moment] else None
        if fault is not None:
            raise fault

    def note(self, job_id: str, known: dict[str, Any]) -> None:
        """Write down what is known of a job."""
        (self.folder / f"{job_id}.json").write_text(json.dumps(known))

    def run(self, run_input: QuantumCircuit | Sequence[QuantumCircuit], **options: Any) -> FolderJob:
        """Write a job down. A reply may be lost after that."""
        self.fault("before")
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        job_id, number = uuid.uuid4().hex, len(self.sent)
        with (self.folder / f"{job_id}.qpy").open("wb") as file:
            qpy.dump(circuits, file)
        looks = 10**6 if (self.folder / "patience").exists() else self.looks
        self.note(job_id, {"shots": options["shots"], "seed": number, "looks": looks, "end": self.end})
        if (self.folder / "halt").exists():  # a test kills the process here
            (self.folder / "halted").touch()
            sys.stdin.read()
        self.fault("after")
        return FolderJob(self, job_id)

    def retrieve_job(self, job_id: str) -> FolderJob:
        """Return a job by its id."""
        job = FolderJob(self, job_id)
        job.known()
        return job

    @property
    def sent(self) -> list[str]:
        """Return the ids of all jobs that were ever sent."""
        return sorted(path.stem for path in self.folder.glob("*.json"))


def backend_of(device: str) -> Provider:
    """Return the backend of the name `folder:PATH`."""
    return Provider(FolderDevice(device), shots=2000)


if __name__ == "__main__":
    from qml.backends.resolve import BACKENDS, NamedBackend
    from qml.commands.main import main

    BACKENDS["folder"] = NamedBackend(backend_of, "device", required=True)
    main()
