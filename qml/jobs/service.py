"""The contract of a service that runs submissions: a cloud, a simulator on this machine, or a stand-in in the tests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from circuits.plain_checks import has_members
from qml.jobs.layout import LayoutReport
from qml.jobs.submission import PubResult, Submission

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True)
class CircuitCost:
    """The resources that one execution of a compiled circuit needs, and the registers that it returns.

    Args:
        n_qubits: qubits that it acts on.
        depth: longest path of operations.
        two_qubit_gates: operations on two qubits or more.
        seconds: time of one execution on the device, its repetition delay included; 0.0 for a simulator that stands for
            no device; None if it is not known.
        registers: name and number of bits of each classical register.
        layout: the qubits of the device that it uses, and their errors; None without a device.
        device_qubits: the device's number of each of the compiled circuit's qubits; empty without a device.
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
    """A service that runs submissions as jobs with ids; any call may raise, and a reply may be lost on its way back.

    Errors say what may be done next (`qml.jobs.errors`): after `ServiceUnavailable` (and Python's `ConnectionError` and
    `TimeoutError`) the call is repeated, after `SubmissionTooLarge` the submission is halved, and any other error ends
    the job.
    """

    @property
    def name(self) -> str:
        """Return the service's name in the records, for example `"ibm_torino"`."""
        ...

    @property
    def keeps_jobs(self) -> bool:
        """Return True if jobs outlive this process. Otherwise a job that is gone is sent again: it cost nothing."""
        ...

    def circuit_cost(self, circuit: bytes) -> CircuitCost:
        """Return the cost of one execution of a pub's circuit, without sending anything."""
        ...

    def submit(self, submission: Submission, tags: Sequence[str]) -> str:
        """Send a submission, and return the job's id."""
        ...

    def find(self, tag: str) -> list[str]:
        """Return the ids of all jobs that carry the tag, so that a job whose id was lost can be found again."""
        ...

    def status(self, job_id: str) -> JobStatus:
        """Return the job's state; raise `JobNotFound` for an id that the service does not know."""
        ...

    def result(self, job_id: str) -> list[PubResult]:
        """Return the results of a finished job, one for each pub. A service may return them only once.

        A job that failed, or whose results are gone, raises `JobFailed` with the reason.
        """
        ...

    def cancel(self, job_id: str) -> None:
        """Stop a job; nothing happens to one that has ended."""
        ...


@runtime_checkable
class Runner(Protocol):
    """A runner that turns a submission into results: at once, or durably through records."""

    def run(self, submission: Submission) -> list[PubResult]:
        """Return the results, one for each pub, in order."""
        ...


def sends_jobs(backend: object) -> bool:
    """Tell whether an object is a `SubmittingBackend`, without evaluating a property, which may contact an account."""
    return has_members(backend, "service", "with_runner")


@runtime_checkable
class SubmittingBackend(Protocol):
    """A backend whose circuits become submissions, as `qml submit` and `qml estimate` require.

    A simulator in this process makes its service with `qml.jobs.LocalService`. Test a backend with `sends_jobs`:
    `isinstance` evaluates `service` on Python 3.11, which may contact an account.
    """

    @property
    def service(self) -> Service:
        """Return the service of the submissions: the same object at each call, or one that finds the same jobs."""
        ...

    def with_runner(self, runner: Runner) -> Any:
        """Return the same backend with `runner` for all its submissions, whose order depends on inputs alone.

        A layer that runs again with the same inputs must make the same submissions in the same order: a durable run
        recognises them by their `Pub.key`, values, shots and options.
        """
        ...
