"""A search for a job whose id was lost."""

from qml.jobs.retry import Retry
from qml.jobs.rows import Chunk
from qml.jobs.service import Service


def find_patiently(service: Service, chunk: Chunk, retry: Retry) -> list[str]:
    """Return the ids of the jobs of a chunk that was being sent; if there is none, ask once more after a pause.

    The pause has its full length: only a clock that may have stepped could tell how long ago sending began.
    """
    job_ids = retry.call(service.find, chunk.tag)
    if not job_ids and service.keeps_jobs and retry.settle > 0:
        retry.sleep(retry.settle)
        job_ids = retry.call(service.find, chunk.tag)
    return job_ids
