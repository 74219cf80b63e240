"""Cancelling the jobs of a run."""

from qml.jobs.errors import JobNotFound, JobsNotSearchable
from qml.jobs.retry import Retry
from qml.jobs.rows import Chunk
from qml.jobs.search import find_patiently
from qml.jobs.service import Service
from qml.jobs.store import Store


def cancel_run(service: Service, store: Store, run_id: str, *, retry: Retry | None = None) -> None:
    """Stop all of a run's jobs that have not ended; results that are ready can still be fetched.

    Raises:
        ServiceUnavailable: no answer after all attempts; may be called again.
    """
    retry = retry or Retry()
    store.cancel_run(run_id, now=retry.clock())
    for chunk in store.chunks(run_id):
        if chunk.state == "sending":
            try:
                job_ids = find_patiently(service, chunk, retry)
            except JobsNotSearchable:  # the user has been told so when the run stopped
                job_ids = []
            for job_id in job_ids:
                if not store.set_sent(chunk.tag, job_id, now=retry.clock()):
                    store.note_job(chunk.tag, job_id)
                    retry.call(service.cancel, job_id)
    for chunk in store.chunks(run_id):
        if chunk.state == "sending":
            store.set_ended(chunk.tag, "cancelled", "before its job was known", now=retry.clock())
        elif chunk.state == "sent":
            _cancel_job(service, store, chunk, retry)


def _cancel_job(service: Service, store: Store, chunk: Chunk, retry: Retry) -> None:
    job_id = chunk.job_id or ""
    try:
        retry.call(service.cancel, job_id)
        status = retry.call(service.status, job_id)
    except JobNotFound:
        status = "cancelled"
    if status == "cancelled":
        store.set_ended(chunk.tag, "cancelled", f"job {job_id} was cancelled", now=retry.clock())
