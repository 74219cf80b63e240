"""The contract with whatever runs submissions: a cloud, a simulator on this machine, or a stand-in in the tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from circuits.plain_checks import has_members
from qml.jobs.layout import LayoutReport
from qml.jobs.submission import PubResult, Submission

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class CircuitCost:
    """What one execution of a compiled circuit needs, and what it gives.

    Args:
        n_qubits: qubits that it acts on.
        depth: longest path of operations.
        two_qubit_gates: operations on two qubits or more.
        seconds: time of one execution on the device, its repetition delay included; 0.0 for a simulator that stands for
            no device; None where it is not known.
        registers: name and number of bits of each classical register.
        layout: where it runs on a device and with which errors; None where there is no device.
        device_qubits: the device's number of each of the compiled circuit's qubits; empty where there is no device.
    """

    n_qubits: int
    depth: int
    two_qubit_gates: int
    seconds: float | None = None
    registers: tuple[tuple[str, int], ...] = ()
    layout: LayoutReport | None = None
    device_qubits: tuple[int, ...] = ()


@runtime_checkable
class Service(Protocol):
    """Runs submissions as jobs with names; any call may raise, and a reply may be lost after the deed is done.

    Errors say what may be done next (`qml.jobs.errors`): `ServiceUnavailable` (as Python's `ConnectionError` and
    `TimeoutError`) is tried again, `SubmissionTooLarge` is halved, everything else ends the job.
    """

    @property
    def name(self) -> str:
        """What the records call it, for example `"ibm_torino"`."""
        ...

    @property
    def keeps_jobs(self) -> bool:
        """Whether jobs outlive this process. Where not, a job that is gone is sent again: it cost nothing."""
        ...

    def circuit_cost(self, circuit: bytes) -> CircuitCost:
        """What one execution of a pub's circuit needs; nothing is sent."""
        ...

    def submit(self, submission: Submission, tags: Sequence[str]) -> str:
        """Send it; the job's id."""
        ...

    def find(self, tag: str) -> list[str]:
        """The ids of all jobs that carry the tag, so that a job whose id was lost can be found again."""
        ...

    def status(self, job_id: str) -> JobStatus:
        """Where the job is; raises `JobNotFound` for an id that the service does not know."""
        ...

    def result(self, job_id: str) -> list[PubResult]:
        """The results of a finished job, one for each pub. A service may hand them out only once.

        Raises `JobFailed` with the reason for a job that failed, or whose results are gone.
        """
        ...

    def cancel(self, job_id: str) -> None:
        """Stop it; nothing happens to a job that has ended."""
        ...


@runtime_checkable
class Runner(Protocol):
    """Turns a submission into results: at once, or durably through records."""

    def run(self, submission: Submission) -> list[PubResult]:
        """The results, one for each pub, in order."""
        ...


def sends_jobs(backend: object) -> bool:
    """Whether something is a `SubmittingBackend`; no property is evaluated, so that no account is contacted."""
    return has_members(backend, "service", "with_runner")


@runtime_checkable
class SubmittingBackend(Protocol):
    """A backend whose circuits become submissions: what `qml submit` and `qml estimate` ask of it.

    A simulator in this process makes its service with `qml.jobs.LocalService`. Ask with `sends_jobs` whether something
    is one: `isinstance` evaluates `service` on Python 3.11, which may contact an account.
    """

    @property
    def service(self) -> Service:
        """Where its submissions go. The same object at each call, or one that finds the same jobs."""
        ...

    def with_runner(self, runner: Runner) -> Any:
        """The same backend with all its submissions handed to `runner`, in an order that depends on inputs alone.

        A layer that runs again with the same inputs must make the same submissions in the same order: their `Pub.key`,
        values, shots and options are what a durable run recognises them by.
        """
        ...
