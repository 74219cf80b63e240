"""Rows of the tables of runs and chunks, read with checks because a file may be damaged anywhere."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from circuits.plain_checks import as_number, as_text, as_texts, require_kind
from qml.jobs.budget import Budget
from qml.jobs.codec import damaged
from qml.jobs.split import Part, Parts
from qml.jobs.submission import JSONValue

ChunkState = Literal["planned", "sending", "sent", "done", "failed", "cancelled", "replaced"]
OPEN_STATES: tuple[ChunkState, ...] = ("planned", "sending", "sent")
RUN_COLUMNS = (
    "run_id, created, backend, model_hash, options, tags, inputs IS NOT NULL AS has_inputs, "
    "outputs IS NOT NULL AS has_outputs, owner, cancelled, max_jobs, max_seconds"
)
NO_LIMITS = Budget()
CHUNK_COLUMNS = "tag, run_id, sequence, parts, state, job_id, reason, sent, reply IS NOT NULL AS has_reply"


@dataclass(frozen=True)
class RunRecord:
    """A row of the table of runs without its large columns; times are seconds since 1970."""

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
    budget: Budget = NO_LIMITS


@dataclass(frozen=True)
class Chunk:
    """A row of the table of chunks without its results; `sent` is the time at which sending began.

    `has_reply` is True as long as the service's reply is stored unchanged and has not been turned into results.
    """

    tag: str
    run_id: str
    sequence: int
    parts: Parts
    state: ChunkState
    job_id: str | None
    reason: str | None
    sent: float | None
    has_reply: bool = False


def run_of(row: sqlite3.Row) -> RunRecord:
    """Read the run of a row with the columns `RUN_COLUMNS`.

    Raises:
        StoreError: a row that is damaged.
    """
    try:
        options, tags = json.loads(row["options"]), as_texts(json.loads(row["tags"]), "tags")
        budget = Budget(row["max_seconds"], row["max_jobs"])
        identity = (as_text(row["run_id"], "run"), as_number(row["created"], "created"), row["backend"])
        whole = (bool(row["has_inputs"]), bool(row["has_outputs"]))
        require_kind(options, "options", dict)
        require_kind(row["backend"], "backend", str)
        return RunRecord(*identity, row["model_hash"], options, tags, *whole, row["owner"], row["cancelled"], budget)
    except (RecursionError, TypeError, ValueError) as error:
        raise damaged(error) from error


def chunk_of(row: sqlite3.Row) -> Chunk:
    """Read the chunk of a row with the columns `CHUNK_COLUMNS`.

    Raises:
        StoreError: a row that is damaged.
    """
    try:
        listed = json.loads(row["parts"])
        require_kind(listed, "parts", list)
        parts = tuple(Part(*map(int, part)) for part in listed)
        require_kind(row["sequence"], "sequence", int)
        if row["state"] not in get_args(ChunkState):
            raise ValueError(f"a job cannot be {row['state']!r}")
    except (RecursionError, TypeError, ValueError) as error:
        raise damaged(error) from error
    place = (row["tag"], row["run_id"], row["sequence"], parts)
    return Chunk(*place, row["state"], row["job_id"], row["reason"], row["sent"], bool(row["has_reply"]))
