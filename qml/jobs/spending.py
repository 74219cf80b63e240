"""Costs of the jobs that a run has sent, compared with its budget in the transaction that begins to send a job."""

import sqlite3

from circuits.plain_checks import require_kind
from qml.jobs.budget import Budget
from qml.jobs.errors import BudgetReached
from qml.jobs.rows import Chunk

WAS_SENT = "(job_id IS NOT NULL OR state = 'sending')"  # a job is known, or there may be one
SPENT = f"SELECT count(*), total(seconds) FROM chunks WHERE run_id = ? AND tag != ? AND {WAS_SENT}"
PLANNED = "SELECT count(*) FROM chunks WHERE run_id = ? AND sequence = ? AND tag != ? AND state = 'planned'"
LARGEST_SQLITE_INT = 2**63 - 1  # 64 bits, signed


def columns_of(budget: Budget) -> tuple[int | None, float | None]:
    """Return the columns `max_jobs` and `max_seconds` of a budget."""
    require_kind(budget, "budget", Budget)
    return None if budget.jobs is None else min(budget.jobs, LARGEST_SQLITE_INT), budget.seconds


def require_budget(connection: sqlite3.Connection, chunk: Chunk, seconds: float | None) -> None:
    """Refuse to send a chunk that exceeds the run's budget, or whose submission would exceed it.

    Raises:
        BudgetReached: the chunk or its submission exceeds the budget.
    """
    limits = connection.execute("SELECT max_jobs, max_seconds FROM runs WHERE run_id = ?", (chunk.run_id,)).fetchone()
    n_sent, spent = connection.execute(SPENT, (chunk.run_id, chunk.tag)).fetchone()
    n_missing = 1 + connection.execute(PLANNED, (chunk.run_id, chunk.sequence, chunk.tag)).fetchone()[0]
    if limits["max_jobs"] is not None and n_sent + n_missing > limits["max_jobs"]:
        raise above_jobs(chunk.run_id, limits["max_jobs"], n_sent, n_missing)
    if limits["max_seconds"] is not None and seconds is not None and spent + seconds > limits["max_seconds"]:
        raise BudgetReached(
            f"Budget: run {chunk.run_id} may take at most {limits['max_seconds']:g} s of the device, but its jobs take "
            f"about {spent:.3g} s, and the next one {seconds:.3g} s. It was not sent; all that was is kept. "
            f"`qml jobs resume {chunk.run_id} --max-seconds N` raises the limit."
        )


def above_jobs(run_id: str, limit: int, n_sent: int, n_missing: int) -> BudgetReached:
    """Return the error for more jobs than a run may send."""
    return BudgetReached(
        f"Budget: run {run_id} may send at most {limit} jobs, but sent {n_sent} and needs {n_missing} more. They were "
        f"not sent; all that was is kept. `qml jobs resume {run_id} --max-jobs {n_sent + n_missing}` raises the limit."
    )
