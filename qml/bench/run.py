"""`qml bench NAME`: choose, time, print, write."""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from rich.console import Console
from rich.live import Live

from qml.bench.catalogue import BENCHES, choose, load
from qml.bench.compare import Plan, compare_case
from qml.bench.machine import Machine
from qml.bench.table import Row, add_row, make_table, summary, write_json
from qml.bench.worker import OURS, Worker

THREADS = 2
MACHINE_LIMIT = 120.0


def run(
    name: str,
    *,
    cases: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    json_path: str | PathLike[str] | None = None,
    threads: int = THREADS,
    console: Console | None = None,
) -> list[Row]:
    """Time ours beside every installed peer, print a row for each case and peer, and write them as JSON.

    Each library runs in a process of its own, held to `threads` threads. Ours and a peer take turns, and while
    one is timed nothing else runs. A peer's loss and gradient must agree with ours before its time counts.

    Args:
        name: the bench, a key of `BENCHES`.
        cases: cases to time; `None` is all.
        peers: peers to time; `None` is all.
        json_path: file to write; it is replaced after every row, so an interrupted run keeps what it has.
        threads: threads of each library.
        console: where to print; `None` is the terminal.

    Raises:
        ValueError: a bench, case or peer that does not exist.
        ResultMismatchError: a peer computed something else than ours.
        WorkerError: our own step failed.
    """
    module = BENCHES[choose("name", [name], BENCHES)[0]]
    bench = load(module)
    chosen_cases, chosen_peers = choose("case", cases, bench.cases), choose("peer", peers, bench.peers)
    console = console or Console()
    console.print(f"{name}: {bench.title}; {threads} threads", markup=False)
    with Worker(module, OURS, chosen_cases[0], threads=threads) as worker:
        machine = worker.ask("machine", limit=MACHINE_LIMIT)
    console.print(_describe(machine))
    rows: list[Row] = []
    table = make_table()
    with Live(table, console=console, auto_refresh=False) as live:
        note = partial(console.print, markup=False)
        plan = Plan(bench, module, chosen_peers, threads, machine, note)
        for case in chosen_cases:
            for row in compare_case(plan, case):
                rows.append(row)
                add_row(table, row)
                live.refresh()
                if json_path is not None:
                    write_json(rows, Path(json_path))
    for line in summary(bench, rows):
        console.print(line, markup=False)
    return rows


def _describe(machine: Machine) -> str:
    return (
        f"This machine: matrix product {machine.float32_gflops:.0f} GFLOP/s in float32, "
        f"{machine.complex64_gflops:.0f} in complex64; copy {machine.copy_gbytes:.1f} GB/s."
    )
