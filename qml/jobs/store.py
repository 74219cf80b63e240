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
from typing import Any, Literal

from circuits.plain_checks import as_number, as_text, as_texts
from qml.jobs.budget import Budget
from qml.jobs.codec import damaged
from qml.jobs.database import Database
from qml.jobs.errors import StoreError
from qml.jobs.owner import is_elsewhere, is_gone
from qml.jobs.rows import CHUNK_COLUMNS, NO_LIMITS, RUN_COLUMNS, Chunk, RunRecord, chunk_of, run_of
from qml.jobs.spending import SPENT, above_jobs, columns_of, require_budget
from qml.jobs.split import Parts
from qml.jobs.submission import JSONValue

TRANSACTION_BYTES = 1_000_000  # of a transaction, in addition to its results


@dataclass(frozen=True)
class Stored:
    """A submission as it was written down before it was sent."""

    fingerprint: str
    payload: bytes


class Store:
    """The records of jobs in one SQLite file.

    Args:
        path: the file; None for `jobs.sqlite` in the user's data folder.

    Raises:
        StoreError: see `qml.jobs.database.Database`; every method may raise it.
        TypeError: a path that is neither a str nor a Path.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        if path is not None and not isinstance(path, str | Path):
            raise TypeError(f"Argument `path` must be a path or None, but is {type(path).__name__}.")
        self.path = default_path() if path is None else Path(path)
        self._database = Database(self.path, own=self.path == default_path())

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
        budget: Budget | None = None,
    ) -> None:
        """Enter a new run; `inputs` are the bytes that its submissions can be made from again.

        Raises:
            ValueError: a run with this id exists already, or an argument is empty.
            TypeError: an argument of another kind.
        """
        limits = columns_of(NO_LIMITS if budget is None else budget)
        made = (as_text(run_id, "run_id"), as_number(now, "now"), as_text(backend, "backend"), model_hash)
        columns = (*made, _json(dict(options or {}), "options"), json.dumps(as_texts(tags, "tags")), inputs, *limits)
        with self._database.writing() as connection:
            if connection.execute("SELECT 1 FROM runs WHERE run_id = ?", (run_id,)).fetchone():
                raise ValueError(f"Argument `run_id` must be new, but {run_id!r} is a run already. Resume it.")
            connection.execute(
                "INSERT INTO runs (run_id, created, backend, model_hash, options, tags, inputs, max_jobs, max_seconds) "
                "VALUES (?,?,?,?,?,?,?,?,?)",
                columns,
            )

    def forget_run(self, run_id: str) -> None:
        """Take out a run that has no submission yet; any other one stays."""
        self._change(
            "DELETE FROM runs WHERE run_id = ? AND NOT EXISTS (SELECT 1 FROM submissions WHERE run_id = runs.run_id)",
            run_id,
        )

    def runs(self) -> list[RunRecord]:
        """Return all runs, the oldest first."""
        return [run_of(row) for row in self._database.rows(f"SELECT {RUN_COLUMNS} FROM runs ORDER BY created, run_id")]

    def run(self, run_id: str) -> RunRecord:
        """Return the run with this id.

        Raises:
            ValueError: no run has this id.
        """
        rows = self._database.rows(f"SELECT {RUN_COLUMNS} FROM runs WHERE run_id = ?", run_id)
        if not rows:
            if any(run.run_id == run_id for run in self.runs()):  # the table does not agree with its index
                raise damaged(f"run {run_id!r} is gone")
            raise ValueError(f"Argument `run_id` must be a run of {self.path}, but {run_id!r} is none.")
        return run_of(rows[0])

    def inputs(self, run_id: str) -> bytes | None:
        """Return the bytes that the run's submissions can be made from again."""
        return self._value("SELECT inputs FROM runs WHERE run_id = ?", run_id)

    def outputs(self, run_id: str) -> bytes | None:
        """Return the outputs of the whole run, once it has ended."""
        return self._value("SELECT outputs FROM runs WHERE run_id = ?", run_id)

    def set_outputs(self, run_id: str, outputs: bytes | None) -> None:
        """Store the outputs of the whole run; None removes outputs that turned out to be no result."""
        self._change("UPDATE runs SET outputs = ? WHERE run_id = ?", outputs, run_id)

    def set_budget(self, run_id: str, budget: Budget) -> None:
        """Change the run's budget; limits that are None stay as they are."""
        self._change(
            "UPDATE runs SET max_jobs = coalesce(?, max_jobs), max_seconds = coalesce(?, max_seconds) WHERE run_id = ?",
            *columns_of(budget), run_id,
        )  # fmt: skip

    def spent(self, run_id: str) -> tuple[int, float]:
        """Return the number of jobs that were sent, and the estimated seconds of the device that they take."""
        n_jobs, seconds = self._database.rows(SPENT, run_id, "")[0]
        return n_jobs, seconds

    def claim(self, run_id: str, owner: str, *, now: float, lease: float, watched: float | None = None) -> str | None:
        """Let only `owner` send the run's chunks; return None, or the living owner that has claimed it already.

        An owner on another machine counts as gone only if its lease is over by the clock `now` and is still `watched`,
        the lease that was read some time ago: clocks differ, and step.
        """
        with self._database.writing() as connection:
            row = connection.execute("SELECT owner, lease FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if row is None:
                raise damaged(f"run {run_id!r} is gone")
            holder, until = row["owner"], row["lease"] if isinstance(row["lease"], int | float) else 0.0
            if holder not in (None, owner):
                renewed = is_elsewhere(holder) and until != watched
                if renewed or not is_gone(holder, until, now):
                    return holder
            connection.execute("UPDATE runs SET owner = ?, lease = ? WHERE run_id = ?", (owner, now + lease, run_id))
            return None

    def lease(self, run_id: str) -> float | None:
        """Return the time until which the run's owner has claimed it, by the owner's clock; None without an owner."""
        return self._value("SELECT lease FROM runs WHERE run_id = ?", run_id)

    def release(self, run_id: str, owner: str) -> None:
        """Give the claim of an owner back."""
        self._change("UPDATE runs SET owner = NULL, lease = NULL WHERE run_id = ? AND owner = ?", run_id, owner)

    # ---- submissions

    def open_submission(
        self, run_id: str, sequence: int, new: Stored, plan: Sequence[Parts], *, now: float
    ) -> Stored | None:
        """Store a submission and its planned chunks, or return the stored submission that has this number already."""
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
        """Tell whether a submission with this number is stored."""
        query = "SELECT 1 FROM submissions WHERE run_id = ? AND sequence = ?"
        return bool(self._database.rows(query, run_id, sequence))

    def payloads(self, run_id: str) -> list[bytes]:
        """Return all submissions of a run as they were stored, in their order."""
        query = "SELECT payload FROM submissions WHERE run_id = ? ORDER BY sequence"
        payloads = [row["payload"] for row in self._database.rows(query, run_id)]
        if not all(isinstance(payload, bytes) for payload in payloads):
            raise damaged("a submission is text")
        return payloads

    # ---- chunks

    def chunks(self, run_id: str, sequence: int | None = None) -> list[Chunk]:
        """Return the chunks that were not replaced, in the order of their submissions and rows."""
        query = f"SELECT {CHUNK_COLUMNS} FROM chunks WHERE run_id = ? AND state != 'replaced'"
        narrow = "" if sequence is None else " AND sequence = ?"
        rows = self._database.rows(query + narrow, run_id, *(() if sequence is None else (sequence,)))
        return sorted(map(chunk_of, rows), key=lambda chunk: (chunk.sequence, chunk.parts))

    def chunk(self, tag: str) -> Chunk:
        """Return the chunk with this tag, in any state."""
        rows = self._database.rows(f"SELECT {CHUNK_COLUMNS} FROM chunks WHERE tag = ?", tag)
        if not rows:
            raise damaged(f"job {tag!r} is gone")
        return chunk_of(rows[0])

    def results(self, tag: str) -> bytes:
        """Return the results of a chunk that is done."""
        blob = self._value("SELECT results FROM chunks WHERE tag = ? AND state = 'done'", tag)
        if blob is None:
            raise ValueError(f"Argument `tag` must be that of a chunk that is done, but {tag!r} is not.")
        return blob

    def begin_sending(self, tag: str, owner: str, *, now: float, seconds: float | None = None) -> bool:
        """Note that the chunk is about to be sent; return False if another owner has the run or it was cancelled.

        Args:
            tag: the chunk's tag.
            owner: the owner that sends it.
            now: the time.
            seconds: estimated seconds of the device; None if they are not limited.

        Raises:
            BudgetReached: this job and the unsent jobs of its submission are more than the run may send.
        """
        with self._database.writing() as connection:
            row = connection.execute(f"SELECT {CHUNK_COLUMNS} FROM chunks WHERE tag = ?", (tag,)).fetchone()
            chunk = chunk_of(row)
            require_budget(connection, chunk, seconds)
            return connection.execute(
                "UPDATE chunks SET state = 'sending', sent = ?, seconds = ?, changed = ? WHERE tag = ? AND state IN "
                "('planned', 'sending') AND EXISTS (SELECT 1 FROM runs WHERE runs.run_id = chunks.run_id AND owner = ? "
                "AND cancelled IS NULL)",
                (now, seconds, now, tag, owner),
            ).rowcount > 0  # fmt: skip

    def set_sent(self, tag: str, job_id: str, *, now: float) -> bool:
        """Store the job's id; return False if the chunk has another job by now, or was cancelled."""
        return self._change(
            "UPDATE chunks SET state = 'sent', job_id = ?, changed = ? WHERE tag = ? AND state = 'sending'",
            job_id, now, tag,
        )  # fmt: skip

    def run_with_job(self, job_id: str, backend: str) -> str | None:
        """Return the run on a backend that has a job, or None."""
        query = "SELECT run_id FROM chunks JOIN runs USING (run_id) WHERE job_id = ? AND backend = ?"
        rows = self._database.rows(query, job_id, backend)
        return rows[0]["run_id"] if rows else None

    def note_job(self, tag: str, job_id: str) -> None:
        """Store the job of a chunk that was cancelled while it was being sent: it counts as sent."""
        self._change("UPDATE chunks SET job_id = ? WHERE tag = ? AND job_id IS NULL", job_id, tag)

    def set_reply(self, tag: str, reply: bytes) -> None:
        """Store the service's reply unchanged, before anything else is done with it."""
        self._change("UPDATE chunks SET reply = ? WHERE tag = ?", reply, tag)

    def reply(self, tag: str) -> bytes | None:
        """Return the stored reply of a chunk, for `qml.jobs.codec.unpack_results`; None if there is none."""
        return self._value("SELECT reply FROM chunks WHERE tag = ?", tag)

    def set_done(self, tag: str, results: bytes, *, now: float) -> None:
        """Store the results in place of the reply that they were made of."""
        self._change(
            "UPDATE chunks SET state = 'done', results = ?, reply = NULL, reason = NULL, changed = ? WHERE tag = ? AND "
            "state IN ('sent', 'failed', 'cancelled')",
            results, now, tag,
        )  # fmt: skip

    def set_refused(self, tag: str, reason: str, *, now: float) -> None:
        """Mark stored results as refused; they are kept as the service's reply."""
        self._change(
            "UPDATE chunks SET state = 'failed', reason = ?, reply = results, results = NULL, changed = ? "
            "WHERE tag = ? AND state = 'done'",
            reason, now, tag,
        )  # fmt: skip

    def set_ended(self, tag: str, state: Literal["failed", "cancelled"], reason: str, *, now: float) -> None:
        """Mark an open chunk as failed or cancelled."""
        self._change(
            "UPDATE chunks SET state = ?, reason = ?, changed = ? WHERE tag = ? AND state IN ('planned', 'sending', "
            "'sent')",
            state, reason, now, tag,
        )  # fmt: skip

    def plan_again(self, tag: str, *, now: float) -> None:
        """Plan a chunk anew whose job is known to have vanished without costs."""
        self._change(
            "UPDATE chunks SET state = 'planned', job_id = NULL, changed = ? WHERE tag = ? AND state = 'sent'", now, tag
        )

    def replace(self, chunk: Chunk, pieces: Sequence[Parts], reason: str, *, now: float) -> None:
        """Plan new chunks, with tags of their own, in place of this one; the old row stays as history."""
        with self._database.writing() as connection:
            done = connection.execute(
                "UPDATE chunks SET state = 'replaced', reason = ?, changed = ? WHERE tag = ? AND state = ?",
                (reason, now, chunk.tag, chunk.state),
            )
            for parts in pieces if done.rowcount else ():
                _insert_chunk(connection, chunk.run_id, chunk.sequence, parts, now)

    def cancel_run(self, run_id: str, *, now: float) -> None:
        """Cancel the run, so that nothing more of it is sent."""
        with self._database.writing() as connection:
            connection.execute("UPDATE runs SET cancelled = ? WHERE run_id = ?", (now, run_id))
            connection.execute(
                "UPDATE chunks SET state = 'cancelled', reason = 'before it was sent', changed = ? WHERE run_id = ? "
                "AND state = 'planned'",
                (now, run_id),
            )

    def allow_again(self, run_id: str, *, now: float) -> int:
        """Plan every failed or cancelled chunk anew, under new tags, and return their number.

        Raises:
            BudgetReached: they are more jobs than the run may still send.
        """
        ended = [chunk for chunk in self.chunks(run_id) if chunk.state in ("failed", "cancelled")]
        limit, n_sent = self.run(run_id).budget.jobs, self.spent(run_id)[0]
        if limit is not None and n_sent + len(ended) > limit:
            raise above_jobs(run_id, limit, n_sent, len(ended))
        self._change("UPDATE runs SET cancelled = NULL WHERE run_id = ?", run_id)
        for chunk in ended:
            self.replace(chunk, [chunk.parts], f"sent again: {chunk.reason}", now=now)
        return len(ended)

    def require_space(self, n_bytes: int) -> None:
        """Refuse to fetch results that could not be written: a service may return them only once."""
        free = shutil.disk_usage(self.path.parent).free
        needed = 4 * n_bytes + TRANSACTION_BYTES  # the reply and the results, each with its journal
        if free < needed:
            raise StoreError(
                f"The disk of {self.path} must have {needed} bytes free for the next results, but has {free}. Free "
                "some space, then go on with `qml jobs resume`: nothing was fetched."
            )

    def _change(self, statement: str, *values: object) -> bool:
        with self._database.writing() as connection:
            return connection.execute(statement, values).rowcount > 0

    def _value(self, query: str, key: str) -> Any:
        rows = self._database.rows(query, key)
        return rows[0][0] if rows else None


def default_path() -> Path:
    """Return the path of `jobs.sqlite` in the folder that the operating system keeps for this user's data."""
    import platformdirs

    return platformdirs.user_data_path("qml-circuits", appauthor=False) / "jobs.sqlite"


def _insert_chunk(connection: sqlite3.Connection, run_id: str, sequence: int, parts: Parts, now: float) -> None:
    tag = f"qml-{uuid.uuid4().hex}"
    connection.execute(
        "INSERT INTO chunks (tag, run_id, sequence, parts, state, changed) VALUES (?, ?, ?, ?, 'planned', ?)",
        (tag, run_id, sequence, json.dumps(parts), now),
    )


def _json(value: Any, name: str) -> str:
    try:
        return json.dumps(value)
    except (RecursionError, TypeError, ValueError) as error:
        raise TypeError(f"Argument `{name}` must hold JSON values, but holds others ({error}).") from error
