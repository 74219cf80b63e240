"""Ours and each peer at one case: the same results first, then times taken in turns."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from statistics import median

import numpy as np

from qml.bench.bench import Bench
from qml.bench.machine import Machine
from qml.bench.table import BenchRow
from qml.bench.worker import OURS, Worker, WorkerError

TURNS = 7
TURN_SECONDS = 0.3
PAIR_SECONDS = 60.0  # no further turn once ours and a peer have taken so long
FIRST_CALL_LIMIT = 300.0  # of ours
STEP_LIMIT = 120.0
TOLERANCE = 1e-4
FLOAT32_NOISE = 1e-6  # absolute; decides where the reference itself is zero

Values = Mapping[str, np.ndarray]


class ResultMismatchError(RuntimeError):
    """An error that a peer computed other results than ours."""


@dataclass(frozen=True)
class BenchPlan:
    """The arguments of `compare_case` that all cases share.

    Args:
        bench: The bench.
        module: The module that holds it.
        peers: The chosen peers.
        threads: Threads of each library.
        machine: The measured peaks.
        note: Told the reason for each peer that is left out.
        left_out: The same reasons by case and peer, filled in as they come.
    """

    bench: Bench
    module: str
    peers: list[str]
    threads: int
    machine: Machine
    note: Callable[[str], None]
    left_out: dict[tuple[str, str], str] = field(default_factory=dict)


def compare_case(plan: BenchPlan, case: str) -> Iterator[BenchRow]:
    """Yield a row for each peer that runs; a row of ours alone where none does.

    Raises:
        ResultMismatchError: If a peer's loss or gradient differs from ours.
        WorkerError: If our own step failed.
    """
    with Worker(plan.module, OURS, case, threads=plan.threads, memory=plan.bench.limits.memory) as ours:
        first_seconds, reference = ours.ask("first", limit=FIRST_CALL_LIMIT)
        traffic = ours.ask("traffic", limit=FIRST_CALL_LIMIT)
        own = _Own(case, ours, 1e3 * first_seconds, reference, traffic, ours.ask("memory", limit=STEP_LIMIT))
        n_rows = 0
        for peer in plan.peers:
            reason = _reason_to_skip(plan.bench, case, peer)
            if reason is None:
                try:
                    yield _against(own, plan, peer)
                    n_rows += 1
                except WorkerError as error:
                    if error.side == OURS:
                        raise
                    reason = str(error)
                except ResultMismatchError as error:
                    if not plan.bench.peers[peer].truncates:
                        raise
                    reason = f"it truncates. {error}"
            if reason:
                plan.left_out[case, peer] = reason
                plan.note(f"{case}: {peer} is left out: {reason}.")
        if not n_rows:
            yield _row(own, plan.machine, _turns(ours))


@dataclass(frozen=True)
class _Own:
    case: str
    worker: Worker
    first_ms: float
    reference: Values
    traffic: tuple[int, int]
    peak_mb: float | None


def _reason_to_skip(bench: Bench, case: str, peer: str) -> str | None:
    """Return the reason why a peer is not timed at a case; "" where it is none of the case's peers."""
    missing = bench.peers[peer].missing()
    if peer in bench.cases[case].left_out:
        return bench.cases[case].left_out[peer]
    if peer not in bench.cases[case].peers:
        return ""
    if missing:
        return f"{', '.join(missing)} is not installed, see pip install {bench.peers[peer].install}"
    return None


def _against(own: _Own, plan: BenchPlan, peer: str) -> BenchRow:
    limits, results = plan.bench.limits, plan.bench.peers[peer].results
    with Worker(plan.module, peer, own.case, threads=plan.threads, memory=limits.memory) as theirs:
        first_seconds, values = theirs.ask("first", limit=limits.seconds)
        error = None
        if plan.bench.peers[peer].same_work:
            reference = {name: own.reference[name] for name in results or own.reference}
            error = compare_values(reference, values, f"Peer {peer} in case {own.case}")
        peak_mb = theirs.ask("memory", limit=STEP_LIMIT)
        times = _turns(own.worker, theirs)
    row = _row(own, plan.machine, times, peer=peer, peer_first_ms=1e3 * first_seconds)
    return replace(row, max_error=error, peer_peak_mb=peak_mb)


def _turns(*workers: Worker) -> list[list[float]]:
    """Time each worker, in seconds, in short bursts by turns, so that a drift of the machine hits all."""
    times: list[list[float]] = [[] for _ in workers]
    start = time.perf_counter()
    for _ in range(TURNS):
        for worker, so_far in zip(workers, times, strict=True):
            so_far.extend(worker.ask("burst", TURN_SECONDS, limit=STEP_LIMIT))
        if time.perf_counter() - start > PAIR_SECONDS:
            break
    return times


def compare_values(reference: Values, values: Values, who: str) -> float:
    """Return the largest difference in units of the reference's largest entry; refuse one above the tolerance."""
    if set(values) != set(reference):
        raise ResultMismatchError(f"{who} must compute {sorted(reference)}, but computes {sorted(values)}.")
    worst = 0.0
    for name, expected in reference.items():
        if values[name].shape != expected.shape:
            raise ResultMismatchError(
                f"{who} must compute `{name}` of shape {expected.shape}, but gives {values[name].shape}."
            )
        scale = float(np.abs(expected).max(initial=0.0))
        difference = float(np.abs(values[name] - expected).max(initial=0.0))
        if not difference <= TOLERANCE * scale + FLOAT32_NOISE:  # written so that NaN is refused too
            raise ResultMismatchError(
                f"{who} must compute the same `{name}` as ours to {TOLERANCE:g} of its largest entry "
                f"{scale:.4g}, but differs by {difference:.4g}. One of the two is wrong: no time is shown."
            )
        worst = max(worst, difference / scale if scale else difference)
    return worst


def _row(
    own: _Own,
    machine: Machine,
    times: list[list[float]],
    *,
    peer: str | None = None,
    peer_first_ms: float | None = None,
) -> BenchRow:
    ours = [1e3 * seconds for seconds in times[0]]
    theirs = [1e3 * seconds for part in times[1:] for seconds in part]
    operations, moved = (amount / (median(ours) / 1e3) / 1e9 for amount in own.traffic)
    return BenchRow(
        case=own.case,
        ours_ms=median(ours),
        peer=peer,
        peer_ms=median(theirs) if theirs else None,
        ratio=median(theirs) / median(ours) if theirs else None,
        first_call_ms=own.first_ms,
        peer_first_call_ms=peer_first_ms,
        ours_min_ms=min(ours),
        ours_max_ms=max(ours),
        peer_min_ms=min(theirs, default=None),
        peer_max_ms=max(theirs, default=None),
        n_repeats=len(ours),
        peer_n_repeats=len(theirs) if theirs else None,
        matmul_peak_fraction=operations / machine.float32_gflops,
        bandwidth_fraction=moved / machine.copy_gbytes,
        max_error=None,
        peak_mb=own.peak_mb,
        peer_peak_mb=None,
    )
