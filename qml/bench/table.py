"""Rows of a bench: as JSON, as lines of a table, and summed up."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qml.bench.bench import Bench


@dataclass(frozen=True)
class BenchRow:
    """A row of the table: ours beside a peer at a case, or alone (fields of the peer are `None`). Times are medians.

    Args:
        case: the size, such as `"8,64"`.
        ours_ms: a step of ours, in milliseconds.
        peer: name of the peer.
        peer_ms: a step of the peer.
        ratio: `peer_ms / ours_ms`.
        first_call_ms: building our step and running it once, imports left out.
        peer_first_call_ms: first call of the peer; a just-in-time compiler's work is in here.
        ours_min_ms: our fastest step.
        ours_max_ms: our slowest step.
        peer_min_ms: the peer's fastest step.
        peer_max_ms: the peer's slowest step.
        n_repeats: steps of ours behind the median.
        peer_n_repeats: steps of the peer behind the median.
        matmul_peak_fraction: operations in our matrix products a second, over the machine's float32 peak.
        bandwidth_fraction: bytes our operators read and write a second, over the machine's copy bandwidth;
            above 1 where caches serve them.
        max_error: largest difference between ours and the peer's, in units of the largest entry; `None` for a peer
            that does other work.
        peak_mb: memory of a step of ours at its peak beyond that resident between steps, in 1e6 bytes;
            code, threads, parameters and what a library keeps for its next step are not in it (this package keeps at
            most 256 MiB of idle buffers in the process). `None` where the system does not tell.
        peer_peak_mb: memory of a step of the peer.
    """

    case: str
    ours_ms: float
    peer: str | None
    peer_ms: float | None
    ratio: float | None
    first_call_ms: float
    peer_first_call_ms: float | None
    ours_min_ms: float
    ours_max_ms: float
    peer_min_ms: float | None
    peer_max_ms: float | None
    n_repeats: int
    peer_n_repeats: int | None
    matmul_peak_fraction: float | None
    bandwidth_fraction: float | None
    max_error: float | None
    peak_mb: float | None
    peer_peak_mb: float | None


def write_json(rows: Sequence[BenchRow], path: Path) -> None:
    """Write the rows as a JSON list; the file is replaced whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


COLUMNS = {
    "ours ms": 10,
    "peer ms": 10,
    "ratio": 9,
    "first ms": 10,
    "peer first": 12,
    "matmul": 10,
    "memory": 10,
    "peak MB": 10,
    "peer MB": 10,
}
CASE_WIDTH = 23


def header() -> str:
    """Return the line above the rows."""
    return f"{'case':<{CASE_WIDTH}}{'peer':<16}" + "".join(f"{title:>{width}}" for title, width in COLUMNS.items())


def line(row: BenchRow) -> str:
    """Write a row as a line, so that it can be shown as soon as it is measured."""
    cells = (
        _number(row.ours_ms),
        _number(row.peer_ms),
        _number(row.ratio, "x"),
        _number(row.first_call_ms),
        _number(row.peer_first_call_ms),
        _percent(row.matmul_peak_fraction),
        _percent(row.bandwidth_fraction),
        _number(row.peak_mb),
        _number(row.peer_peak_mb),
    )
    widths = zip(cells, COLUMNS.values(), strict=True)
    return f"{row.case:<{CASE_WIDTH}}{row.peer or '-':<16}" + "".join(f"{cell:>{width}}" for cell, width in widths)


def summary(bench: Bench, rows: Sequence[BenchRow]) -> list[str]:
    """Summarise the fastest torch-facing peers in a line, and each peer of another framework or work in one."""
    lines = []
    fastest: dict[str, BenchRow] = {}
    others: dict[str, list[BenchRow]] = {}
    for row in rows:
        if row.peer is None or row.peer_ms is None:
            continue
        if not (bench.peers[row.peer].torch_facing and bench.peers[row.peer].same_work):
            others.setdefault(row.peer, []).append(row)
        elif row.case not in fastest or row.peer_ms < (fastest[row.case].peer_ms or math.inf):
            fastest[row.case] = row
    if fastest:
        lines.append(_mean_line("the fastest torch-facing peer", list(fastest.values())))
    lines += [_mean_line(peer, of_peer) for peer, of_peer in others.items()]
    return lines


def _mean_line(name: str, rows: Sequence[BenchRow]) -> str:
    ratios = {row.case: row.ratio for row in rows if row.ratio}
    mean = math.exp(sum(map(math.log, ratios.values())) / len(ratios))
    worst = min(rows, key=lambda row: row.ratio or math.inf)
    return (
        f"Against {name}: its time is {_number(mean)} times ours (geometric mean of {len(ratios)} cases), "
        f"at least {_number(worst.ratio)} times (case {worst.case}, {worst.peer})."
    )


def _number(value: float | None, unit: str = "") -> str:
    if value is None:
        return "-"
    return f"{value:.0f}{unit}" if value >= 1000 else f"{value:.3g}{unit}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2g}%"
