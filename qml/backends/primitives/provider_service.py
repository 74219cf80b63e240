"""Submissions as jobs of any Qiskit backend with `run`: bound circuits go out, counts come back."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from qml.backends.convert.qiskit import MEASURED
from qml.backends.primitives.submissions import circuit_cost, loaded
from qml.jobs import (
    CircuitCost,
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


class ProviderService:
    """A service that runs submissions of a sampler on a Qiskit backend of any provider.

    Each pub must have one row: it becomes one circuit of the job. Providers know no tags, so that a job whose id was
    lost between sending it and writing it down cannot be found again: such a run stops, and says so.

    Args:
        device: a `BackendV2` with `run`; with `retrieve_job`, its jobs outlive this process.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self._jobs: dict[str, Any] = {}  # of this process
        self._tagged: dict[str, list[str]] = {}  # the same, by tag

    @property
    def name(self) -> str:
        """Return the device's name."""
        return str(self._device.name)

    @property
    def keeps_jobs(self) -> bool:
        """Tell whether the provider finds a job by its id."""
        return hasattr(self._device, "retrieve_job")

    def circuit_cost(self, circuit: bytes) -> CircuitCost:
        """See `Service.circuit_cost`."""
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
        job = self._device.run(circuits if len(circuits) > 1 else circuits[0], shots=shots)
        job_id = str(job.job_id())
        self._jobs[job_id] = job
        for tag in tags:
            self._tagged.setdefault(tag, []).append(job_id)
        return job_id

    def find(self, tag: str) -> list[str]:
        """Return the ids of this process's jobs with the tag.

        Raises:
            JobsNotSearchable: there are none, and jobs of other processes may live on.
        """
        if tag not in self._tagged and self.keeps_jobs:
            raise JobsNotSearchable(
                f"A job may have been sent to {self.name} whose id was lost, and the provider finds no jobs by tags. "
                "Look at the provider's list of jobs; `qml jobs cancel` and `qml jobs resume --again` send it once "
                "more, at its price."
            )
        return self._tagged.get(tag, [])

    def status(self, job_id: str) -> JobStatus:
        """Return the status of a job."""
        status = self._job(job_id).status()
        name = str(getattr(status, "name", status)).upper()
        if name not in JOB_STATUS:
            raise JobFailed(f"{self.name} must answer with a status that Qiskit knows, but answered {name!r}.")
        return JOB_STATUS[name]

    def result(self, job_id: str) -> list[PubResult]:
        """Return the bits of each circuit, in an order that the job's id fixes."""
        answer = self._job(job_id).result()
        if not getattr(answer, "success", True):
            raise JobFailed(f"Job {job_id} on {self.name} failed: {getattr(answer, 'status', 'no reason given')}.")
        seed = int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:8], "big")
        random, counts = np.random.default_rng(seed), answer.get_counts()
        return [_bits(item, random) for item in (counts if isinstance(counts, list) else [counts])]

    def cancel(self, job_id: str) -> None:
        """Stop a job, unless it has ended."""
        if self.status(job_id) in ("queued", "running"):
            self._job(job_id).cancel()

    def _job(self, job_id: str) -> Any:
        if job_id in self._jobs:
            return self._jobs[job_id]
        if not self.keeps_jobs:
            raise JobNotFound(f"{self.name} keeps no jobs beyond the process that sent them, so that {job_id} is gone.")
        self._jobs[job_id] = self._device.retrieve_job(job_id)
        return self._jobs[job_id]


def _bits(counts: dict[str, int], random: np.random.Generator) -> PubResult:
    """Return the shots one by one in a random order, so that some of them are as good as all."""
    words = [word.replace(" ", "")[::-1] for word in counts]
    if not all(set(word) <= {"0", "1"} for word in words) or len({len(word) for word in words}) != 1:
        raise JobFailed(f"Counts must have bit strings of one length as keys, but have {sorted(counts)[:3]}.")
    values = np.array([[int(bit) for bit in word] for word in words], dtype=np.uint8)
    shots = np.repeat(values, [int(count) for count in counts.values()], axis=0)
    return PubResult({MEASURED: random.permutation(shots)[None]}, {"client": "counts"})
