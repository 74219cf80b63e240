"""Submissions as jobs of IBM's Runtime client, by either of its two lines."""

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from qml.backends.primitives.client_errors import TOO_LARGE_STATUS, TRANSIENT_STATUS
from qml.backends.primitives.region import region
from qml.backends.primitives.submissions import circuit_cost, loaded, read_results, run_primitive
from qml.backends.primitives.transpile import QUBITS
from qml.jobs import (
    CircuitCost,
    JobFailed,
    JobNotFound,
    JobStatus,
    PubResult,
    ServiceUnavailable,
    Submission,
    SubmissionTooLarge,
)

try:
    from qiskit.exceptions import QiskitError
    from qiskit_ibm_runtime.exceptions import (
        IBMError,
        RuntimeJobFailureError,
        RuntimeJobMaxTimeoutError,
        RuntimeJobNotFound,
    )
except ImportError as error:
    raise ImportError(
        'Backend IBM needs qiskit-ibm-runtime. Install it with: pip install "qml-circuits[ibm]"'
    ) from error

try:
    from qiskit_ibm_runtime.executor_estimator import Estimator
    from qiskit_ibm_runtime.executor_sampler import Sampler
except ImportError:  # before 0.50, where these are the only line
    from qiskit_ibm_runtime import EstimatorV2 as Estimator
    from qiskit_ibm_runtime import SamplerV2 as Sampler

JOB_STATUS: dict[str, JobStatus] = {
    "INITIALIZING": "queued",
    "QUEUED": "queued",
    "VALIDATING": "queued",
    "RUNNING": "running",
    "DONE": "done",
    "COMPLETED": "done",
    "ERROR": "failed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}
HTTP_STATUS = re.compile(r"\b([45]\d\d)\b")


class RuntimeService:
    """A service that runs submissions as jobs on a device of the cloud.

    Args:
        device: the client's backend object.
        batch: whether jobs go into one batch.
    """

    keeps_jobs = True

    def __init__(self, device: Any, *, batch: bool = False) -> None:
        self._device, self._batch, self._mode = device, batch, None

    @property
    def name(self) -> str:
        """Return the device's name."""
        return self._device.name

    def circuit_cost(self, circuit: bytes) -> CircuitCost:
        """See `Service.circuit_cost`; times are the device's own."""
        return circuit_cost(circuit, self._device)

    def submit(self, submission: Submission, tags: Sequence[str]) -> str:
        """Send a submission as a job and return the job's id."""
        with _client_errors():
            return run_primitive(_primitive(submission, self._execution_mode(), tags), submission).job_id()

    def find(self, tag: str) -> list[str]:
        """Find the ids of all jobs with the tag."""
        with _client_errors():
            return [job.job_id() for job in self._device.service.jobs(job_tags=[tag], limit=None)]

    def status(self, job_id: str) -> JobStatus:
        """Return the status of a job."""
        with _client_errors():
            status = self._device.service.job(job_id).status()
        return JOB_STATUS[getattr(status, "name", str(status)).upper()]

    def result(self, job_id: str) -> list[PubResult]:
        """Return the results of a finished job."""
        with _client_errors():
            job = self._device.service.job(job_id)
            return read_results(job.result())

    def cancel(self, job_id: str) -> None:
        """Stop a job, unless it has ended."""
        if self.status(job_id) not in ("queued", "running"):
            return
        with _client_errors():
            self._device.service.job(job_id).cancel()

    def _execution_mode(self) -> Any:
        if not self._batch:
            return self._device
        from qiskit_ibm_runtime import Batch

        self._mode = self._mode or Batch(backend=self._device)
        return self._mode


def run_locally(device: Any, submission: Submission) -> list[PubResult]:
    """Run a submission in the client's local testing mode, on those qubits of a fake device that it uses.

    Raises:
        ValueError: an option has no effect in this mode of the client's old line, before 0.50.
    """
    qubits = tuple(loaded(submission.pubs[0].circuit).metadata[QUBITS])
    options = dict(submission.options)
    if Estimator.__module__.startswith("qiskit_ibm_runtime.estimator") and options.get("resilience_level") == 0:
        del options["resilience_level"]  # the old line then mitigates nothing, and complains even of a zero
    primitive = _primitive(replace(submission, options=options), region(device, qubits), ())
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*no effect in local testing mode.*")
        try:
            return read_results(run_primitive(primitive, submission).result(), submission)
        except UserWarning as warning:
            raise ValueError(
                f"Options of a fake device must be those that the client applies to it, but it says: {warning} "
                'Install its new line with: pip install "qiskit-ibm-runtime>=0.50"'
            ) from warning


def _primitive(submission: Submission, mode: Any, tags: Sequence[str]) -> Any:
    options: dict[str, Any] = dict(submission.options)
    if tags:
        options["environment"] = {"job_tags": list(tags)}
    return (Estimator if submission.kind == "estimator" else Sampler)(mode=mode, options=options)


@contextmanager
def _client_errors() -> Iterator[None]:
    """Raise the client's errors as those of `qml.jobs.errors`, which say what may be done next."""
    try:
        yield
    except RuntimeJobNotFound as error:
        raise JobNotFound(str(error)) from error
    except (RuntimeJobFailureError, RuntimeJobMaxTimeoutError) as error:
        raise JobFailed(str(error)) from error
    except (IBMError, QiskitError) as error:
        match = HTTP_STATUS.search(str(error))
        status = int(match.group(1)) if match else getattr(error, "status_code", 0)
        if status in TOO_LARGE_STATUS:
            raise SubmissionTooLarge(str(error)) from error
        if status in TRANSIENT_STATUS or status == -1:  # -1: no reply
            raise ServiceUnavailable(str(error)) from error
        if status == 404:
            raise JobNotFound(str(error)) from error
        raise
