"""The table of where each peer stops: its times where it runs, and in a word the reason where it does not."""

from collections.abc import Mapping, Sequence

from qml.bench.bench import Bench
from qml.bench.table import BenchRow

CASE_WIDTH, CELL_WIDTH = 16, 26
OUT_OF_MEMORY = ("memory", "alloc", "resource_exhausted")  # in the words of NumPy, C++, Rust and XLA
REASONS = {
    "takes longer than": "over {seconds:.0f} s",
    "is not installed": "not installed",
    "truncates": "wrong by truncation",
}


def stops(
    bench: Bench,
    cases: Sequence[str],
    peers: Sequence[str],
    rows: Sequence[BenchRow],
    left_out: Mapping[tuple[str, str], str],
) -> list[str]:
    """Write the lines of the table: a case a line, ours first; times are those of the first call and of a later one.

    Args:
        bench: The bench, whose limits the peers were held to.
        cases: The cases of its run.
        peers: The peers of its run.
        rows: The rows that were measured.
        left_out: Reasons by case and peer.
    """
    memory = (bench.limits.memory or 0) / 2**30
    lines = [
        f"Where each one stops, at {memory:.0f} GiB or {bench.limits.seconds:.0f} s of a first call (first / later):"
    ]
    lines.append(_line("case", ["ours", *peers]))
    by_case = {case: {row.peer: row for row in rows if row.case == case} for case in cases}
    for case, of_peers in by_case.items():
        any_row = next(iter(of_peers.values()), None)
        cells = ["-" if any_row is None else _times(any_row.first_call_ms, any_row.ours_ms)]
        for peer in peers:
            row = of_peers.get(peer)
            if row is not None and row.peer_first_call_ms is not None and row.peer_ms is not None:
                cells.append(_times(row.peer_first_call_ms, row.peer_ms))
            else:
                cells.append(_word(left_out.get((case, peer), ""), bench.limits.seconds))
        lines.append(_line(case, cells))
    return lines


def _word(reason: str, seconds: float | int) -> str:
    for part, word in REASONS.items():
        if part in reason:
            return word.format(seconds=seconds)
    if any(word in reason.lower() for word in OUT_OF_MEMORY):
        return "out of memory"
    return "refused" if reason else "-"


def _times(first_ms: float | int, later_ms: float | int) -> str:
    return f"{_seconds(first_ms)} / {_seconds(later_ms)}"


def _seconds(milliseconds: float | int) -> str:
    return f"{milliseconds:.3g} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.3g} s"


def _line(case: str, cells: Sequence[str]) -> str:
    return f"{case:<{CASE_WIDTH}}" + "".join(f"{cell:>{CELL_WIDTH}}" for cell in cells)
