"""Estimates, runs and jobs as tables, and as JSON."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from qml.jobs import LayoutReport
from qml.remote.estimate import Estimate
from qml.remote.state import RunState
from qml.terminal import verbatim

COLOURS = {"done": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "open": "cyan", "sent": "cyan"}


def estimate_table(size: Estimate) -> Table:
    """Return a table with a line for each quantity."""
    table = Table("", "", box=box.SIMPLE, show_header=False, title=verbatim(f"On {size.backend}, before sending"))
    rows = {
        "jobs": f"{size.jobs}",
        "circuits": f"{size.circuits}",
        "shots, all circuits": f"{size.shots}" if size.shots else "none: exact values",
        "qubits": f"{size.n_qubits}",
        "depth, deepest circuit": f"{size.depth}",
        "two-qubit gates, most": f"{size.two_qubit_gates}",
        "seconds of the device": "unknown" if size.seconds is None else f"{size.seconds:.3g}",
    }
    if size.layout is not None:
        rows |= _layout_rows(size.layout)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _layout_rows(report: LayoutReport) -> dict[str, str]:
    fidelity = report.expected_fidelity
    return {
        "qubits of the device": ", ".join(map(str, report.qubits)),
        "errors of two-qubit gates": _range(report.two_qubit_errors),
        "errors of read-outs": _range(report.readout_errors),
        "expected fidelity": "unknown"
        if fidelity is None
        else f"{fidelity:.3g}, the product of 1 - error over all gates and read-outs",
    }


def _range(errors: Sequence[float]) -> str:
    return f"{errors[0]:.3g} to {errors[-1]:.3g}" if errors else "none known"


def estimate_json(size: Estimate) -> dict[str, Any]:
    """Return the same as JSON, with `"layout"` only for a device."""
    values = asdict(size)
    del values["layout"]
    return values if size.layout is None else values | {"layout": size.layout.as_json()}


def runs_table(states: Sequence[RunState]) -> Table:
    """Return a table with a line for each run."""
    table = Table(box=box.SIMPLE)
    for name in ("run", "begun", "backend", "state", "jobs", "tags"):
        table.add_column(name, no_wrap=name in ("run", "state"), overflow="fold")
    for state in states:
        run = state.run
        jobs = f"{state.n_done} of {len(state.chunks)}"
        table.add_row(
            verbatim(run.run_id), when(run.created), verbatim(run.backend), coloured(state.word), jobs,
            verbatim(", ".join(run.tags)),
        )  # fmt: skip
    return table


def run_table(state: RunState, live: Mapping[str, str]) -> Table:
    """Return a table with a line for each job of a run."""
    title = verbatim(f"{state.run.run_id} on {state.run.backend}: {state.word}{_limits(state)}")
    table = Table(box=box.SIMPLE, title=title)
    for name in ("submission", "rows", "state", "job", "remark"):
        table.add_column(name, no_wrap=name == "state", overflow="fold")
    for chunk in state.chunks:
        n_rows = sum(part.stop - part.start for part in chunk.parts)
        remark = live.get(chunk.tag) or chunk.reason or ""
        cells = (coloured(chunk.state), verbatim(chunk.job_id or ""), verbatim(remark))
        table.add_row(str(chunk.sequence), str(n_rows), *cells)
    return table


def run_json(state: RunState, live: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return a run and its jobs as JSON."""
    run = state.run
    jobs = [
        {
            "submission": chunk.sequence,
            "rows": sum(part.stop - part.start for part in chunk.parts),
            "state": chunk.state,
            "job": chunk.job_id,
            "tag": chunk.tag,
            "service": (live or {}).get(chunk.tag),
            "reason": chunk.reason,
        }
        for chunk in state.chunks
    ]
    columns = {"run": run.run_id, "state": state.word, "backend": run.backend, "begun": when(run.created)}
    budget = {"max_jobs": run.budget.jobs, "max_seconds": run.budget.seconds, "jobs_sent": state.n_sent}
    more = {"model": run.model_hash, "options": dict(run.options), "tags": list(run.tags), "jobs": jobs}
    return columns | budget | more


def coloured(word: str) -> Text:
    """Return a state in its colour."""
    return verbatim(word, style=COLOURS.get(word, ""))


def when(seconds: float) -> str:
    """Return a time as this machine's clock shows it."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
    except (OverflowError, OSError, ValueError):
        return "unknown"  # a damaged record


def _limits(state: RunState) -> str:
    limit = state.run.budget.jobs
    return "" if limit is None else f"; {state.n_sent} of at most {limit} jobs sent"
