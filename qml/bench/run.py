"""`qml bench NAME`: choose, time, print, write."""

from collections.abc import Sequence
from functools import partial
from os import PathLike
from pathlib import Path

from rich.console import Console

from qml.bench.catalogue import BENCHES, choose, load
from qml.bench.compare import BenchPlan, compare_case
from qml.bench.machine import Machine
from qml.bench.stops import stops
from qml.bench.table import BenchRow, header, line, summary, write_json
from qml.bench.worker import OURS, Worker

THREADS = 2
MACHINE_LIMIT = 120.0
BUSY_LOAD = 0.7  # processes that want a core beside ours; above it a note is printed


def run(
    name: str,
    *,
    cases: Sequence[str] | None = None,
    peers: Sequence[str] | None = None,
    json_path: str | PathLike[str] | None = None,
    threads: int | None = None,
    console: Console | None = None,
) -> list[BenchRow]:
    """Time ours beside every installed peer, print a row for each case and peer, and write them as JSON.

    Each library runs in a process of its own, held to its threads. Ours and a peer take turns, and
    while one is timed the others wait. A peer's loss and gradient must agree with ours before it is timed.

    Args:
        name: The bench, a key of `BENCHES`.
        cases: Cases to time; `None` is all.
        peers: Peers to time; `None` is all.
        json_path: File to write; it is replaced after every row, so that an interrupted run keeps its rows.
        threads: Threads of each library; `None` is one for a bench on one core, and 2 for others.
        console: The console to print to; `None` is the terminal.

    Raises:
        ValueError: If a bench, case or peer does not exist.
        ResultMismatchError: If a peer computed other results than ours.
        WorkerError: If our own step failed.
    """
    module = BENCHES[choose("name", [name], BENCHES)[0]]
    bench = load(module)
    chosen_cases, chosen_peers = choose("cases", cases, bench.cases), choose("peers", peers, bench.peers)
    say = partial((console or Console()).print, markup=False, highlight=False, soft_wrap=True)
    threads = (1 if bench.on_one_core else THREADS) if threads is None else threads
    cores = f"{threads} thread{'' if threads == 1 else 's'}{', processor time' if bench.on_one_core else ''}"
    say(f"{name}: {bench.title}; {cores}.")
    with Worker(module, OURS, chosen_cases[0], threads=threads) as worker:
        machine = worker.ask("machine", limit=MACHINE_LIMIT)
    say(_describe(machine))
    say(header())
    rows: list[BenchRow] = []
    plan = BenchPlan(bench, module, chosen_peers, threads, machine, note=say)
    for case in chosen_cases:
        for row in compare_case(plan, case):
            rows.append(row)
            say(line(row))
            if json_path is not None:
                write_json(rows, Path(json_path))
    lines = [note for case in chosen_cases for note in bench.notes(case)] + summary(bench, rows)
    if bench.limits.memory is not None:
        lines += stops(bench, chosen_cases, chosen_peers, rows, plan.left_out)
    for text in lines:
        say(text)
    return rows


def _describe(machine: Machine) -> str:
    text = (
        f"This machine: matrix product {machine.float32_gflops:.0f} GFLOP/s in float32, "
        f"{machine.complex64_gflops:.0f} in complex64; copy {machine.copy_gbytes:.1f} GB/s."
    )
    if machine.load > BUSY_LOAD:
        text += f" Its load is {machine.load:.1f}: other programs are running, and times will scatter."
    return text
