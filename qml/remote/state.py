"""The state of a run, by the records and by its service."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qml.jobs import Chunk, JobError, RunRecord, Service, Store


@dataclass(frozen=True)
class RunState:
    """A run with its jobs and its state.

    Args:
        run: the run's record.
        chunks: the run's jobs.
        n_sent: number of jobs that were sent, repeated ones included.
        word: `done` (predictions are stored), `stored` (all results are, for a run that another program began),
            `failed`, `cancelled`, `running` (jobs are at the service) or `open` (jobs are still to be sent).
    """

    run: RunRecord
    chunks: tuple[Chunk, ...]
    word: str
    n_sent: int = 0

    @property
    def n_done(self) -> int:
        """Return the number of jobs whose results are stored."""
        return sum(chunk.state == "done" for chunk in self.chunks)


def run_state(store: Store, run: RunRecord) -> RunState:
    """Return the state of a run."""
    chunks = tuple(store.chunks(run.run_id))
    return RunState(run, chunks, _word(run, chunks), store.spent(run.run_id)[0])


def live_states(service: Service, chunks: Sequence[Chunk]) -> dict[str, str]:
    """Ask the service for the states of jobs without stored results, and return them by the tags of their chunks."""
    return {chunk.tag: _live(service, chunk.job_id or "") for chunk in chunks if chunk.state == "sent"}


def _live(service: Service, job_id: str) -> str:
    try:
        return service.status(job_id)
    except (JobError, ConnectionError, TimeoutError) as error:
        return f"no answer: {error}"


def _word(run: RunRecord, chunks: Sequence[Chunk]) -> str:
    if run.has_outputs:
        return "done"
    counts = Counter(chunk.state for chunk in chunks)
    if run.cancelled is not None:
        return "cancelled"
    if counts["failed"] or counts["cancelled"]:
        return "failed" if counts["failed"] else "cancelled"
    if chunks and not run.has_inputs and counts["done"] == len(chunks):
        return "stored"
    return "running" if counts["sent"] and not counts["planned"] and not counts["sending"] else "open"
