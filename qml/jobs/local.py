"""A simulator in this process as a service, so that its runs are recorded like those of a cloud."""

import uuid
from collections.abc import Callable, Sequence

from qml.jobs.errors import JobNotFound
from qml.jobs.service import CircuitCost, JobStatus
from qml.jobs.submission import PubResult, Submission


class LocalService:
    """A service that runs a submission when it is submitted; its jobs end with the process, and are then run again.

    Args:
        name: the service's name in the records.
        run: function that returns the results of a submission.
        cost: function that returns the cost of one execution of a circuit.

    Example:
        >>> import numpy as np
        >>> from qml.jobs import CircuitCost, DirectRunner, LocalService, Pub, PubResult, Submission
        >>> def run(submission):
        ...     return [PubResult({"evs": np.cos(pub.values)}) for pub in submission.pubs]
        >>> service = LocalService("cosine", run, lambda circuit: CircuitCost(1, 1, 0))
        >>> pub = Pub(b"ry", np.zeros((2, 1)), ((("Z", 1.0),),))
        >>> DirectRunner(service).run(Submission("estimator", (pub,)))[0].arrays["evs"].tolist()
        [[1.0], [1.0]]
    """

    keeps_jobs = False

    def __init__(
        self, name: str, run: Callable[[Submission], list[PubResult]], cost: Callable[[bytes], CircuitCost]
    ) -> None:
        self.name = name
        self._run, self._cost = run, cost
        self._jobs: dict[str, tuple[tuple[str, ...], list[PubResult]]] = {}

    def circuit_cost(self, circuit: bytes) -> CircuitCost:
        """Return the cost of one execution, see `Service.circuit_cost`."""
        return self._cost(circuit)

    def submit(self, submission: Submission, tags: Sequence[str]) -> str:
        """Run the submission now, and let errors of the simulator through."""
        job_id = f"local-{uuid.uuid4().hex}"
        self._jobs[job_id] = (tuple(tags), self._run(submission))
        return job_id

    def find(self, tag: str) -> list[str]:
        """Return the ids of this process's jobs with the tag."""
        return [job_id for job_id, (tags, _) in self._jobs.items() if tag in tags]

    def status(self, job_id: str) -> JobStatus:
        """Return "done", the state of every job that this process has."""
        self._known(job_id)
        return "done"

    def result(self, job_id: str) -> list[PubResult]:
        """Return the results of a job, and forget them."""
        results = self._known(job_id)
        del self._jobs[job_id]
        return results

    def cancel(self, job_id: str) -> None:
        """Do nothing, because every job has ended."""
        self._known(job_id)

    def _known(self, job_id: str) -> list[PubResult]:
        if job_id not in self._jobs:
            raise JobNotFound(f"{self.name} has no job {job_id} in this process.")
        return self._jobs[job_id][1]
