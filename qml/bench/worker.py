"""A process of its own for each library, so that thread pools and memory of one never disturb another.

The parent drives a worker step by step; while one works, the others wait for a message.
"""

import importlib
import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import numpy as np
import torch

from qml.bench.bench import Step
from qml.bench.catalogue import load
from qml.bench.machine import Machine, measure_machine, measure_traffic

OURS = "ours"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
STOP_SECONDS = 5.0


class WorkerError(RuntimeError):
    """A worker failed, ended or took too long.

    Attributes:
        side: `"ours"` or the name of the peer.
    """

    def __init__(self, side: str, message: str) -> None:
        super().__init__(message)
        self.side = side


class Worker:
    """The parent's handle of a worker process, to be used in a `with` statement.

    Args:
        module: the module that holds the bench.
        side: `"ours"` or the name of a peer.
        case: the case to work on.
        threads: how many threads the library may use.
    """

    def __init__(self, module: str, side: str, case: str, *, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._side = side
        self._connection, theirs = context.Pipe()
        arguments = (theirs, module, side, case, threads)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()  # the worker reads an end of file and leaves
        self._process.join(0 if kind else STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()

    def ask(self, request: str, *arguments: object, limit: float) -> Any:
        """The worker's answer to a request (a method of `_Servant`), within `limit` seconds."""
        try:
            self._connection.send((request, arguments))
            if not self._connection.poll(limit):
                self._process.kill()
                raise WorkerError(self._side, f"a step took longer than {limit:.0f} s")
            answer, error = self._connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as failure:
            self._process.join(STOP_SECONDS)
            message = f"its process ended with exit code {self._process.exitcode}"
            raise WorkerError(self._side, message) from failure
        if error is not None:
            raise WorkerError(self._side, error)
        return answer


def serve(connection: Connection, module: str, side: str, case: str, threads: int) -> None:
    """Answer the parent's requests until it closes the connection. Runs in the worker process."""
    _limit_threads(threads)
    warnings.simplefilter("ignore")  # a peer's deprecations are not this package's
    with open(os.devnull, "w") as silence:  # noqa: PTH123 - a peer's print belongs to no table
        os.dup2(silence.fileno(), 1)
    servant = _Servant(module, side, case)
    while True:
        try:
            request, arguments = connection.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            connection.send((getattr(servant, request)(*arguments), None))
        except Exception as error:  # noqa: BLE001 - whatever a peer raises is reported beside its name
            connection.send((None, f"{type(error).__name__}: {error}".splitlines()[0]))


class _Servant:
    """What a worker can do; its methods are the requests."""

    def __init__(self, module: str, side: str, case: str) -> None:
        self._module, self._side, self._case = module, side, case
        self._step: Step = dict
        self._last = math.inf  # seconds of the last step

    def first(self) -> tuple[float, dict[str, np.ndarray]]:
        """Seconds of building the step and running it once, imports left out, and what it computed."""
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
        """Times of steps for about `seconds`, at least one; a short step first runs untimed."""
        if self._last < seconds:
            self._step()
        times: list[float] = []
        while not times or sum(times) < seconds:
            times.append(_timed(self._step))
        self._last = times[-1]
        return times

    def traffic(self) -> tuple[int, int]:
        """Floating-point operations in matrix products, and bytes moved, of one step."""
        return measure_traffic(self._step)

    def machine(self) -> Machine:
        """The machine's measured peaks."""
        return measure_machine()


def _timed(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _limit_threads(threads: int) -> None:
    """Hold every library to so many threads: by variable, by torch's setting and by the cores it may use."""
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    torch.set_num_threads(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
