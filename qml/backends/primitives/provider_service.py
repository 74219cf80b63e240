"""Submissions as jobs of any Qiskit backend with `run`: bound circuits go out, counts come back."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qml.backends.convert.qiskit import MEASURED
from qml.backends.primitives.client_errors import NotAccepted, client_errors
from qml.backends.primitives.submissions import circuit_cost, loaded
from qml.jobs import (
    CircuitCost,
    JobError,
    JobFailed,
    JobNotFound,
    JobsNotSearchable,
    JobStatus,
    PubResult,
    Submission,
    SubmissionTooLarge,
)

JOB_STATUS: dict[str, JobStatus] = {
    "INITIALIZING": "queued",
    "QUEUED": "queued",
    "VALIDATING": "queued",
    "RUNNING": "running",
    "DONE": "done",
    "ERROR": "failed",
    "CANCELLED": "cancelled",
}
RETRIEVING = ("retrieve_job", "restore_job")
"""The methods by which devices find a job by its id; the first one that a device has is taken."""


class ProviderService:
    """A service that runs submissions of a sampler on a Qiskit backend of any provider.

    Each pub must have one row: it becomes one circuit of the job. Providers know no tags, so that a job whose id was
    lost between sending it and writing it down cannot be found again: such a run stops, and says so.

    Errors of the provider's client are read by `client_errors`: no reply, or one that says "later", is waited for; a
    reply that refuses a job, and a job that failed on the device, are failures of that job alone.

    Args:
        device: a `BackendV2` with `run`; with `retrieve_job` its jobs outlive this process, and with `restore_job`
            too, where each is written down by its own method `persist`.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._jobs: dict[str, Any] = {}  # of this process
        self._tagged: dict[str, list[str]] = {}  # the same, by tag
        self._not_accepted: set[str] = set()  # tags of submissions of which the server said that it made no job

    @property
    def name(self) -> str:
        """Return the device's name."""
        return str(self._device.name)

    @property
    def keeps_jobs(self) -> bool:
        """Tell whether the provider finds a job by its id."""
        return any(hasattr(self._device, name) for name in RETRIEVING)

    def circuit_cost(self, circuit: bytes) -> CircuitCost:
        """See `Service.circuit_cost`."""
        if self._device.target is None:  # it compiles circuits itself, in a way that is not known here
            return replace(circuit_cost(circuit), seconds=None)
        return circuit_cost(circuit, self._device)

    def submit(self, submission: Submission, tags: Sequence[str]) -> str:
        """Send the circuits of a submission as one job and return the job's id; tags stay in this process."""
        if any(len(pub.values) != 1 for pub in submission.pubs):
            raise ValueError("Argument `submission` must have pubs of one row each for a provider, but has more.")
        most = getattr(self._device, "max_circuits", None)
        if most is not None and len(submission.pubs) > most:
            raise SubmissionTooLarge(f"{self.name} takes {most} circuits a job, not {len(submission.pubs)}.")
        circuits = [loaded(pub.circuit).assign_parameters(pub.values[0].tolist()) for pub in submission.pubs]
        shots = max(pub.shots or 0 for pub in submission.pubs)
        self._not_accepted.difference_update(tags)
        try:
            with client_errors("submit"):
                job = self._device.run(circuits if len(circuits) > 1 else circuits[0], shots=shots)
        except NotAccepted:
            self._not_accepted.update(tags)
            raise
        job_id = str(job.job_id() or "")
        if not job_id:
            raise JobFailed(
                f"{self.name} must give each job an id, but gave none. Look at the provider's list of jobs."
            )
        if self.keeps_jobs and not hasattr(self._device, "retrieve_job"):
            job.persist()  # what `restore_job` reads
        self._jobs[job_id] = job
        for tag in tags:
            self._tagged.setdefault(tag, []).append(job_id)
        return job_id

    def find(self, tag: str) -> list[str]:
        """Return the ids of this process's jobs with the tag.

        Raises:
            JobsNotSearchable: there are none, and jobs of other processes may live on.
        """
        if tag in self._not_accepted:
            return []
        if tag not in self._tagged and self.keeps_jobs:
            raise JobsNotSearchable(
                f"A job may have been sent to {self.name} whose id was lost, and the provider finds no jobs by tags. "
                "Look at the provider's list of jobs. If it is there, `qml jobs resume --job ID` takes it up; if not, "
                "`qml jobs cancel` and `qml jobs resume --again` send it (once more, at its price, if it was there)."
            )
        return self._tagged.get(tag, [])

    def status(self, job_id: str) -> JobStatus:
        """Return the status of a job."""
        with client_errors("job"):
            status = self._job(job_id).status()
        name = str(getattr(status, "name", status)).upper()
        if name not in JOB_STATUS:
            raise JobFailed(f"{self.name} must answer with a status that Qiskit knows, but answered {name!r}.")
        return JOB_STATUS[name]

    def result(self, job_id: str) -> list[PubResult]:
        """Return the bits of each circuit, in an order that the job's id fixes."""
        answer = self._answer(job_id)
        if not getattr(answer, "success", True):
            raise JobFailed(f"Job {job_id} on {self.name} failed: {getattr(answer, 'status', 'no reason given')}.")
        seed = int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:8], "big")
        random, counts = np.random.default_rng(seed), answer.get_counts()
        return [_bits(item, random) for item in (counts if isinstance(counts, list) else [counts])]

    def cancel(self, job_id: str) -> None:
        """Stop a job, unless it has ended."""
        if self.status(job_id) in ("queued", "running"):
            with client_errors("job"):
                self._job(job_id).cancel()

    def _answer(self, job_id: str) -> Any:
        """Return Qiskit's result of a job; clients raise errors of many kinds for a job that failed on the device."""
        try:
            with client_errors("job"):
                return self._job(job_id).result()
        except (JobError, ConnectionError, TimeoutError):
            raise
        except Exception as error:  # code of strangers: the cause is chained
            if self.status(job_id) != "failed":
                raise
            raise JobFailed(f"Job {job_id} on {self.name} failed: {type(error).__name__}: {error}") from error

    def _job(self, job_id: str) -> Any:
        if job_id in self._jobs:
            return self._jobs[job_id]
        if not self.keeps_jobs:
            raise JobNotFound(f"{self.name} keeps no jobs beyond the process that sent them, so that {job_id} is gone.")
        retrieve = getattr(self._device, next(name for name in RETRIEVING if hasattr(self._device, name)))
        with client_errors("job"):
            self._jobs[job_id] = retrieve(job_id)
        return self._jobs[job_id]


def _bits(counts: dict[str, int], random: np.random.Generator) -> PubResult:
    """Return the shots one by one in a random order, so that some of them are as good as all."""
    words = [word.replace(" ", "")[::-1] for word in counts]
    if not all(set(word) <= {"0", "1"} for word in words) or len({len(word) for word in words}) != 1:
        raise JobFailed(f"Counts must have bit strings of one length as keys, but have {sorted(counts)[:3]}.")
    values = np.array([[int(bit) for bit in word] for word in words], dtype=np.uint8)
    shots = np.repeat(values, [int(count) for count in counts.values()], axis=0)
    return PubResult({MEASURED: random.permutation(shots)[None]}, {"client": "counts"})
