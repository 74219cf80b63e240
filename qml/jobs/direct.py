"""A runner that keeps no records."""

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from qml.jobs import answers, split
from qml.jobs.errors import JobError
from qml.jobs.service import Service
from qml.jobs.submission import PubResult, Submission

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 10.0  # seconds between two looks at a job


@dataclass(frozen=True)
class DirectRunner:
    """A runner for simulators that sends a submission as one job and waits for it.

    Nothing is written down, and nothing is tried again.

    Args:
        service: the service that runs the jobs.
        sleep: function that waits for a number of seconds.

    Raises:
        JobError: any error of the service, a job that was cancelled, or an answer that is no result.
    """

    service: Service
    sleep: Callable[[float], None] = time.sleep

    def run(self, submission: Submission) -> list[PubResult]:
        """Return the results, one for each pub, in order, with the submission's options in their metadata."""
        job_id = self.service.submit(submission, (f"qml-{uuid.uuid4().hex}",))
        pause = FIRST_PAUSE
        while (status := self.service.status(job_id)) in ("queued", "running"):
            self.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        if status == "cancelled":
            raise JobError(f"Job {job_id} on {self.service.name} was cancelled. Run it again.")
        return split.with_options(submission, answers.checked(submission, self.service.result(job_id)))
