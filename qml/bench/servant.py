"""The other side of `worker`: the program of a worker's process."""

import ctypes
import importlib
import math
import os
import pickle
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from qml.bench.bench import Step
from qml.bench.catalogue import load
from qml.bench.machine import Machine, measure_machine, measure_traffic

MEMORY_STEPS = 5
MEMORY_SECONDS = 5.0  # no further step once so many have passed


def serve() -> None:
    """Answer the requests on standard input, on the former standard output, until the input ends."""
    module, side, case, threads, memory = sys.argv[1:]
    _limit_threads(int(threads))
    _limit_memory(int(memory))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when a worker ends
    warnings.simplefilter("ignore")  # a peer's deprecations are not this package's
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # a peer's print belongs to no table
        servant = Servant(module, side, case)
        while True:
            try:
                request, arguments = pickle.load(sys.stdin.buffer)
            except EOFError:
                return
            pickle.dump(_answer(getattr(servant, request), arguments), answers)
            answers.flush()


class Servant:
    """A servant that does the worker's requests, which are its methods."""

    def __init__(self, module: str, side: str, case: str) -> None:
        self._module, self._side, self._case = module, side, case
        self._step: Step = dict
        self._last = math.inf  # seconds of the last step
        self._now = time.process_time if load(module).on_one_core else time.perf_counter

    def first(self) -> tuple[float, dict[str, np.ndarray]]:
        """Build the step and run it once; return the seconds, imports left out, and its results."""
        bench = load(self._module)
        peer = bench.peers.get(self._side)
        for name in peer.modules if peer else ():
            importlib.import_module(name)
        prepare = peer.prepare if peer else bench.ours
        start = time.perf_counter()
        self._step = prepare(self._case)
        values = self._step()
        seconds = time.perf_counter() - start
        return seconds, {name: np.array(value) for name, value in values.items()}

    def burst(self, seconds: float) -> list[float]:
        """Time steps for about `seconds`, at least one; a short step first runs untimed."""
        if self._last < seconds:
            self._step()
        times: list[float] = []
        while not times or sum(times) < seconds:
            start = self._now()
            self._step()
            times.append(self._now() - start)
        self._last = times[-1]
        return times

    def traffic(self) -> tuple[int, int]:
        """Count floating-point operations in matrix products, and bytes moved, of one step."""
        return measure_traffic(self._step)

    def memory(self) -> float | None:
        """Measure the memory of a step at its peak beyond that resident between steps, in 1e6 bytes.

        The median of a few steps, fewer where they are slow. The first step is not among them, since it also loads code
        and starts threads; and free memory is handed back to the system before each, since a step that finds memory of
        the one before would seem to need none.
        """
        peaks: list[float | None] = []
        start = time.perf_counter()
        while len(peaks) < MEMORY_STEPS and (not peaks or time.perf_counter() - start < MEMORY_SECONDS):
            peaks.append(self._peak_of_step())
        measured = [peak for peak in peaks if peak is not None]
        return median(measured) if measured else None

    def _peak_of_step(self) -> float | None:
        _hand_back()
        before = _restart_peak()
        self._step()
        after = _resident("VmHWM")
        return None if before is None or after is None else (after - before) / 1e6

    def machine(self) -> Machine:
        """Measure the machine's peaks."""
        return measure_machine()


def _answer(method: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[Any, str | None]:
    try:
        return method(*arguments), None
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is reported beside its name
        return None, f"{type(error).__name__}: {error}".splitlines()[0]


def _hand_back() -> None:
    """Give free memory back to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def _restart_peak() -> int | None:
    """Forget the peak of resident memory so far (Linux); return the bytes that are resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return None
    return _resident("VmRSS")


def _resident(field: str) -> int | None:
    """Read a field of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    return None


def _limit_memory(n_bytes: int) -> None:
    """Limit the memory that this process may ask for, on Linux; 0 is no limit."""
    if n_bytes and sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (n_bytes, n_bytes))


def _limit_threads(threads: int) -> None:
    """Limit the threads that the variables of `worker` do not reach: torch's, and all others by the cores allowed."""
    torch.set_num_threads(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
