"""The contract with whatever runs submissions: a cloud, a simulator on this machine, or a stand-in in the tests."""

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

from qml.jobs.submission import PubResult, Submission

JobStatus = Literal["queued", "running", "done", "failed", "cancelled"]


@runtime_checkable
class Service(Protocol):
    """Runs submissions as jobs with names; any call may raise, and a reply may be lost after the deed is done."""

    @property
    def name(self) -> str:
        """What the records call it, for example `"ibm_torino"`."""
        ...

    def submit(self, submission: Submission, tags: Sequence[str]) -> str:
        """Send it; the job's id."""
        ...

    def find(self, tag: str) -> list[str]:
        """The ids of all jobs that carry the tag, so that a job whose id was lost can be found again."""
        ...

    def status(self, job_id: str) -> JobStatus:
        """Where the job is."""
        ...

    def result(self, job_id: str) -> list[PubResult]:
        """The results of a finished job, one for each pub. A service may hand them out only once."""
        ...

    def cancel(self, job_id: str) -> None:
        """Stop it, if it has not ended."""
        ...


@runtime_checkable
class Runner(Protocol):
    """Turns a submission into results: at once, or durably through records."""

    def run(self, submission: Submission) -> list[PubResult]:
        """The results, one for each pub, in order."""
        ...
