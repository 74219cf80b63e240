"""Looking for a job whose id was lost."""

from qml.jobs.retry import Retry
from qml.jobs.rows import Chunk
from qml.jobs.service import Service


def find_patiently(service: Service, chunk: Chunk, retry: Retry) -> list[str]:
    """The jobs of a chunk that was being sent; where there is none, asked again when it would have turned up.

    The pause between both is whole: how long ago the sending began is told by a clock that may have stepped since.
    """
    found = retry.call(service.find, chunk.tag)
    if not found and service.keeps_jobs and retry.settle > 0:
        retry.sleep(retry.settle)
        found = retry.call(service.find, chunk.tag)
    return found
