"""A lost job that the user names: its id is written down as if the service's reply had come."""

from circuits.plain_checks import as_text
from qml.jobs.errors import JobNotFound, JobPending, JobsNotSearchable
from qml.jobs.owner import describe, new_owner
from qml.jobs.retry import Retry
from qml.jobs.rows import Chunk
from qml.jobs.runner import LEASE_SECONDS
from qml.jobs.service import Service
from qml.jobs.store import Store


def adopt_job(service: Service, store: Store, run_id: str, job_id: str, *, retry: Retry | None = None) -> None:
    """Write down the id of a job that was sent while the reply with its id was lost.

    A run that stopped with `JobsNotSearchable` then goes on with this job. A service that finds jobs by tags is asked
    whether the job is the lost one. Of another service it can only be checked that it knows the job; whether the
    number of circuits, shots and bits is right shows when its results come, and circuits themselves are not compared.

    Args:
        service: the service that has the job.
        store: the records.
        run_id: the run.
        job_id: the job, as the provider's own list of jobs names it.
        retry: attempts.

    Raises:
        ValueError: a run without a lost job, a job that belongs to another one, or that is not the lost one; a run that
            is cancelled at that moment, whose job is cancelled too.
        JobNotFound: the service does not know the job.
        JobPending: another process works on the run.
        ServiceUnavailable: no answer after all attempts.
        TypeError: an id that is no str.
    """
    job_id, retry, owner = as_text(job_id, "job_id"), retry or Retry(), new_owner()
    holder = store.claim(run_id, owner, now=retry.clock(), lease=LEASE_SECONDS)
    if holder is not None:
        raise JobPending(f"Run {run_id} is being worked on by {describe(holder)}. Name the job when that has ended.")
    try:
        chunk = _lost(store, run_id)
        if (other := store.run_with_job(job_id, store.run(run_id).backend)) is not None:
            raise ValueError(f"Argument `job_id` must be a job of no run yet, but {job_id} is one of run {other}.")
        _require_job(service, chunk, job_id, retry)
        if not store.set_sent(chunk.tag, job_id, now=retry.clock()):
            store.note_job(chunk.tag, job_id)
            retry.call(service.cancel, job_id)
            problem = f"{run_id} was cancelled, and so is its job"
            raise ValueError(f"Argument `run_id` must be a run that goes on, but {problem}.")
    finally:
        store.release(run_id, owner)


def _lost(store: Store, run_id: str) -> Chunk:
    """Return the chunk whose job's id was lost; a run stops at the first one."""
    lost = [chunk for chunk in store.chunks(run_id) if chunk.state == "sending"]
    if len(lost) != 1:
        raise ValueError(
            f"Argument `job_id` must be left out for run {run_id}, which has {len(lost)} jobs whose ids were lost, "
            "not 1. See `qml jobs status`."
        )
    return lost[0]


def _require_job(service: Service, chunk: Chunk, job_id: str, retry: Retry) -> None:
    try:
        found = retry.call(service.find, chunk.tag)
    except JobsNotSearchable:
        found = None
    if found is not None:
        if job_id not in found:
            known = ", ".join(found) or "none"
            raise ValueError(
                f"Argument `job_id` must be a job of {service.name} with the tag {chunk.tag}, but is {job_id}; jobs "
                f"with this tag: {known}. Leave it out: the service finds its jobs itself."
            )
        return
    try:
        retry.call(service.status, job_id)
    except JobNotFound as error:
        raise JobNotFound(
            f"Job {job_id} is unknown to {service.name} ({error}). Nothing was changed: look at the provider's list of "
            "jobs, and at the account."
        ) from error
