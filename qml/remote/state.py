"""What the records say about a run, in few words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qml.jobs import Chunk, JobError, RunRecord, Service, Store


@dataclass(frozen=True)
class RunState:
    """A run and how far it is.

    Args:
        run: its record.
        chunks: its jobs.
        n_sent: jobs that were sent, those that were sent once more among them.
        word: `done` (its predictions are there), `stored` (all results are, of a run that another program began),
            `failed`, `cancelled`, `running` (jobs are at the service) or `open` (something is still to be sent).
    """

    run: RunRecord
    chunks: tuple[Chunk, ...]
    word: str
    n_sent: int = 0

    @property
    def n_done(self) -> int:
        """Jobs whose results are stored."""
        return sum(chunk.state == "done" for chunk in self.chunks)


def run_state(store: Store, run: RunRecord) -> RunState:
    """How far a run is."""
    chunks = tuple(store.chunks(run.run_id))
    return RunState(run, chunks, _word(run, chunks), store.spent(run.run_id)[0])


def live_states(service: Service, chunks: Sequence[Chunk]) -> dict[str, str]:
    """What the service says about the jobs that have no results here, by the tags of their chunks."""
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
