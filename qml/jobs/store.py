"""The records of runs, submissions and chunks. Every change is one transaction and checks the state that it changes.

A run is all that one call of a layer sends: numbered submissions, each of one or more chunks. A chunk is one job:

    planned -> sending -> sent -> done
                              |-> failed, cancelled

A chunk that was cut in two, or is sent once more, is kept as `replaced`.
"""

import json
import shutil
import sqlite3
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qml.jobs.database import Database
from qml.jobs.errors import StoreError
from qml.jobs.owner import is_gone
from qml.jobs.split import Part, Parts
from qml.jobs.submission import JSONValue

ChunkState = Literal["planned", "sending", "sent", "done", "failed", "cancelled", "replaced"]
OPEN: tuple[ChunkState, ...] = ("planned", "sending", "sent")
MARGIN = 1_000_000  # bytes of a transaction beside its results


@dataclass(frozen=True)
class Run:
    """A row of the runs, without the large columns; times in seconds since 1970."""

    run_id: str
    created: float
    backend: str
    model_hash: str
    options: Mapping[str, JSONValue]
    tags: tuple[str, ...]
    has_inputs: bool
    has_outputs: bool
    owner: str | None
    cancelled: float | None


@dataclass(frozen=True)
class Chunk:
    """A row of the chunks, without its results; `sent` is when the sending began."""

    tag: str
    run_id: str
    sequence: int
    parts: Parts
    state: ChunkState
    job_id: str | None
    reason: str | None
    sent: float | None


@dataclass(frozen=True)
class Stored:
    """A submission as it was written down before it was sent."""

    fingerprint: str
    payload: bytes


class Store:
    """Records of jobs in one SQLite file.

    Args:
        path: the file; None for `jobs.sqlite` in the user's data folder.

    Raises:
        StoreError: see `qml.jobs.database.Database`; from every method.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        self.path = default_path() if path is None else Path(path)
        self._database = Database(self.path)

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    # ---- runs

    def add_run(
        self,
        run_id: str,
        *,
        now: float,
        backend: str,
        model_hash: str = "",
        options: Mapping[str, JSONValue] | None = None,
        tags: Sequence[str] = (),
        inputs: bytes | None = None,
    ) -> None:
        """Write a new run; `inputs` is whatever makes its submissions again."""
        columns = (run_id, now, backend, model_hash, json.dumps(dict(options or {})), json.dumps(list(tags)), inputs)
        with self._database.writing() as connection:
            if connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone():
                raise ValueError(f"Argument `run_id` must be new, but {run_id!r} is a run already. Resume it.")
            connection.execute(
                "INSERT INTO runs (run_id, created, backend, model_hash, options, tags, inputs) VALUES (?,?,?,?,?,?,?)",
                columns,
            )

    def runs(self) -> list[Run]:
        """All runs, the oldest first."""
        return [_run(row) for row in self._database.rows(f"SELECT {RUN} FROM runs ORDER BY created, run_id")]

    def run(self, run_id: str) -> Run:
        """One run.

        Raises:
            ValueError: no run of this id.
        """
        rows = self._database.rows(f"SELECT {RUN} FROM runs WHERE run_id = ?", run_id)
        if not rows:
            raise ValueError(f"Argument `run_id` must be a run of {self.path}, but {run_id!r} is none.")
        return _run(rows[0])

    def inputs(self, run_id: str) -> bytes | None:
        """What makes the run's submissions again."""
        return self._blob("SELECT inputs FROM runs WHERE run_id = ?", run_id)

    def outputs(self, run_id: str) -> bytes | None:
        """What came out of the whole run, once it has ended."""
        return self._blob("SELECT outputs FROM runs WHERE run_id = ?", run_id)

    def set_outputs(self, run_id: str, outputs: bytes) -> None:
        """Write what came out of the whole run."""
        self._change("UPDATE runs SET outputs = ? WHERE run_id = ?", outputs, run_id)

    def claim(self, run_id: str, owner: str, *, now: float, lease: float) -> str | None:
        """Let only `owner` send the run's chunks; None, or the living owner who has it already."""
        with self._database.writing() as connection:
            row = connection.execute("SELECT owner, lease FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            holder = row["owner"]
            if holder is not None and holder != owner and not is_gone(holder, row["lease"], now):
                return holder
            connection.execute("UPDATE runs SET owner = ?, lease = ? WHERE run_id = ?", (owner, now + lease, run_id))
            return None

    def release(self, run_id: str, owner: str) -> None:
        """Give a claim back."""
        self._change("UPDATE runs SET owner = NULL, lease = NULL WHERE run_id = ? AND owner = ?", run_id, owner)

    # ---- submissions

    def open_submission(
        self, run_id: str, sequence: int, new: Stored, plan: Sequence[Parts], *, now: float
    ) -> Stored | None:
        """Write a submission and its planned chunks; where this number is taken, the submission that has it."""
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT fingerprint, payload FROM submissions WHERE run_id = ? AND sequence = ?", (run_id, sequence)
            ).fetchone()
            if row is not None:
                return Stored(row["fingerprint"], row["payload"])
            connection.execute(
                "INSERT INTO submissions VALUES (?, ?, ?, ?, ?)", (run_id, sequence, new.fingerprint, new.payload, now)
            )
            for parts in plan:
                _insert_chunk(connection, run_id, sequence, parts, now)
            return None

    def has_submission(self, run_id: str, sequence: int) -> bool:
        """Whether a submission of this number was written."""
        query = "SELECT 1 FROM submissions WHERE run_id = ? AND sequence = ?"
        return bool(self._database.rows(query, run_id, sequence))

    def payloads(self, run_id: str) -> list[bytes]:
        """All submissions of a run as they were written, in their order."""
        query = "SELECT payload FROM submissions WHERE run_id = ? ORDER BY sequence"
        return [row["payload"] for row in self._database.rows(query, run_id)]

    # ---- chunks

    def chunks(self, run_id: str, sequence: int | None = None) -> list[Chunk]:
        """The chunks that count, in the order of their submissions and rows."""
        query = f"SELECT {CHUNK} FROM chunks WHERE run_id = ? AND state != 'replaced'"
        narrow = "" if sequence is None else " AND sequence = ?"
        rows = self._database.rows(query + narrow, run_id, *(() if sequence is None else (sequence,)))
        return sorted(map(_chunk, rows), key=lambda chunk: (chunk.sequence, chunk.parts))

    def chunk(self, tag: str) -> Chunk:
        """One chunk, whatever its state."""
        (row,) = self._database.rows(f"SELECT {CHUNK} FROM chunks WHERE tag = ?", tag)
        return _chunk(row)

    def results(self, tag: str) -> bytes:
        """The results of a chunk that is done."""
        blob = self._blob("SELECT results FROM chunks WHERE tag = ? AND state = 'done'", tag)
        if blob is None:
            raise ValueError(f"Argument `tag` must be that of a chunk that is done, but {tag!r} is not.")
        return blob

    def begin_sending(self, tag: str, owner: str, *, now: float) -> bool:
        """Note that the chunk is about to be sent; False where it is not the owner's to send, or was cancelled."""
        return self._change(
            "UPDATE chunks SET state = 'sending', sent = ?, changed = ? WHERE tag = ? AND state IN ('planned', "
            "'sending') AND EXISTS (SELECT 1 FROM runs WHERE runs.run_id = chunks.run_id AND owner = ? AND cancelled "
            "IS NULL)",
            now, now, tag, owner,
        )  # fmt: skip

    def set_sent(self, tag: str, job_id: str, *, now: float) -> bool:
        """Note the job's id; False where the chunk is another job's by now."""
        return self._change(
            "UPDATE chunks SET state = 'sent', job_id = ?, changed = ? WHERE tag = ? AND state = 'sending'",
            job_id, now, tag,
        )  # fmt: skip

    def set_done(self, tag: str, results: bytes, *, now: float) -> None:
        """Keep the results."""
        self._change(
            "UPDATE chunks SET state = 'done', results = ?, reason = NULL, changed = ? WHERE tag = ? AND state "
            "IN ('sent', 'failed', 'cancelled')",
            results, now, tag,
        )  # fmt: skip

    def set_ended(self, tag: str, state: Literal["failed", "cancelled"], reason: str, *, now: float) -> None:
        """Note that an open chunk will have no results."""
        self._change(
            "UPDATE chunks SET state = ?, reason = ?, changed = ? WHERE tag = ? AND state IN ('planned', 'sending', "
            "'sent')",
            state, reason, now, tag,
        )  # fmt: skip

    def plan_again(self, tag: str, *, now: float) -> None:
        """Send a chunk once more whose job is known to have vanished without costs."""
        self._change(
            "UPDATE chunks SET state = 'planned', job_id = NULL, changed = ? WHERE tag = ? AND state = 'sent'", now, tag
        )

    def replace(self, chunk: Chunk, pieces: Sequence[Parts], reason: str, *, now: float) -> None:
        """Plan new chunks, with tags of their own, instead of one; the old row stays as history."""
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE chunks SET state = 'replaced', reason = ?, changed = ? WHERE tag = ? AND state = ?",
                (reason, now, chunk.tag, chunk.state),
            )
            for parts in pieces if done.rowcount else ():
                _insert_chunk(connection, chunk.run_id, chunk.sequence, parts, now)

    def cancel_run(self, run_id: str, *, now: float) -> None:
        """Let nothing more of the run be sent."""
        with self._database.writing() as connection:
            connection.execute("UPDATE runs SET cancelled = ? WHERE run_id = ?", (now, run_id))
            connection.execute(
                "UPDATE chunks SET state = 'cancelled', reason = 'before it was sent', changed = ? WHERE run_id = ? "
                "AND state = 'planned'",
                (now, run_id),
            )

    def allow_again(self, run_id: str, *, now: float) -> int:
        """Plan every failed or cancelled chunk anew, under new tags; how many there were."""
        ended = [chunk for chunk in self.chunks(run_id) if chunk.state in ("failed", "cancelled")]
        self._change("UPDATE runs SET cancelled = NULL WHERE run_id = ?", run_id)
        for chunk in ended:
            self.replace(chunk, [chunk.parts], f"sent again: {chunk.reason}", now=now)
        return len(ended)

    def require_space(self, n_bytes: int) -> None:
        """Refuse to ask for results that could not be written: a service may hand them out only once."""
        free = shutil.disk_usage(self.path.parent).free
        needed = 2 * n_bytes + MARGIN  # the row and the journal
        if free < needed:
            raise StoreError(
                f"The disk of {self.path} must have {needed} bytes free for the next results, but has {free}. Free "
                "some space, then go on with `qml jobs resume`: nothing was fetched."
            )

    def _change(self, statement: str, *values: object) -> bool:
        with self._database.writing() as connection:
            return connection.execute(statement, values).rowcount > 0

    def _blob(self, query: str, key: str) -> bytes | None:
        rows = self._database.rows(query, key)
        return rows[0][0] if rows else None


RUN = (
    "run_id, created, backend, model_hash, options, tags, inputs IS NOT NULL AS has_inputs, "
    "outputs IS NOT NULL AS has_outputs, owner, cancelled"
)
CHUNK = "tag, run_id, sequence, parts, state, job_id, reason, sent"


def default_path() -> Path:
    """`jobs.sqlite` in the folder that the operating system keeps for this user's data."""
    import platformdirs

    return platformdirs.user_data_path("qml-circuits", appauthor=False) / "jobs.sqlite"


def _insert_chunk(connection: sqlite3.Connection, run_id: str, sequence: int, parts: Parts, now: float) -> None:
    tag = f"qml-{uuid.uuid4().hex}"
    connection.execute(
        "INSERT INTO chunks (tag, run_id, sequence, parts, state, changed) VALUES (?, ?, ?, ?, 'planned', ?)",
        (tag, run_id, sequence, json.dumps(parts), now),
    )


def _run(row: sqlite3.Row) -> Run:
    options, tags = json.loads(row["options"]), tuple(json.loads(row["tags"]))
    identity = (row["run_id"], row["created"], row["backend"], row["model_hash"])
    whole = (bool(row["has_inputs"]), bool(row["has_outputs"]))
    return Run(*identity, options, tags, *whole, row["owner"], row["cancelled"])


def _chunk(row: sqlite3.Row) -> Chunk:
    parts = tuple(Part(*part) for part in json.loads(row["parts"]))
    place = (row["tag"], row["run_id"], row["sequence"], parts)
    return Chunk(*place, row["state"], row["job_id"], row["reason"], row["sent"])
