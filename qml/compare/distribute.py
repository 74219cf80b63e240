"""Cells of a comparison on several processes, or on the machines of a Dask cluster.

A worker makes the data of a task itself, from the task's name and options: only those, and what a cell yields, travel.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from qml.checks import as_int
from qml.compare.engine import Cell, Plan, RunCells
from qml.compare.registry import TASKS, find_task
from qml.compare.task import Option, Outcome

NEEDS = 'Parallel comparisons need distributed. Install it with: pip install "qml-circuits[cluster]"'
CONNECT_SECONDS = 10


@contextmanager
def workers(n_workers: int) -> Iterator[RunCells]:
    """Processes of this machine, one thread each.

    Args:
        n_workers: at least 1.

    Raises:
        ValueError: no workers.
        ImportError: distributed is not installed.
    """
    n_workers = as_int(n_workers, "workers", 1, " Pass the number of cores.")
    distributed = _distributed()
    with (
        distributed.LocalCluster(
            n_workers=n_workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs="ERROR"
        ) as own,
        distributed.Client(own) as client,
    ):
        yield lambda plan, cells: _run(client, plan, cells)


@contextmanager
def cluster(address: str) -> Iterator[RunCells]:
    """The workers of a running Dask scheduler; this package must be installed where they are.

    Args:
        address: of the scheduler, as in `"tcp://host:8786"`.

    Raises:
        ValueError: no scheduler answers there.
        ImportError: distributed is not installed.
    """
    distributed = _distributed()
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"Argument `scheduler` must be the address of a Dask scheduler, but none answers at {address!r}: {error}. "
            "Start one with `dask scheduler`, and workers with `dask worker`."
        ) from error
    with client:
        yield lambda plan, cells: _run(client, plan, cells)


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise ImportError(NEEDS) from error
    return distributed


def _run(client: Any, plan: Plan, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Outcome]]:
    from distributed import as_completed

    if TASKS.get(plan.task.name) is not plan.task:
        raise ValueError(
            f"Task {plan.task.name!r} must be in the registry to run on workers, which find it by its name. Run it "
            "without workers."
        )
    options = tuple(sorted(plan.options.items()))
    futures = {
        client.submit(train_cell, plan.task.name, options, plan.preset_name, *cell, pure=False): cell for cell in cells
    }
    try:
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:  # after an error or Ctrl-C the others need not go on
        client.cancel(list(futures))


def train_cell(task: str, options: tuple[tuple[str, Option], ...], preset: str, model: str, seed: int) -> Outcome:
    """One cell, in whatever process it is called."""
    found = find_task(task)
    split = found.split(_prepared(task, options), seed)
    return found.models(dict(options))[model].train(split, seed, found.presets[preset], _say_nothing)


@lru_cache(1)
def _prepared(task: str, options: tuple[tuple[str, Option], ...]) -> Any:
    return find_task(task).prepare(dict(options))


def _say_nothing(share: float, text: str) -> None:
    """Progress within a cell does not travel."""
