"""Cells of a comparison on several processes, or on the machines of a Dask cluster.

A worker makes the data of a task itself, from its name and options: only those, and the outcome of a cell, travel.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from qml.checks import as_int
from qml.compare.engine import Cell, ComparisonPlan, RunCells
from qml.compare.registry import TASKS, find_task
from qml.compare.task import Option, Outcome

MISSING_DISTRIBUTED = 'Parallel comparisons need distributed. Install it with: pip install "qml-circuits[cluster]"'
CONNECT_SECONDS = 10


@contextmanager
def workers(n_workers: int) -> Iterator[RunCells]:
    """Start processes of this machine, one thread each, that run cells.

    Args:
        n_workers: Number of processes, at least 1.

    Raises:
        ValueError: If there are no workers.
        ImportError: If distributed is not installed.
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
    """Run cells on the workers of a running Dask scheduler; this package must be installed where they are.

    Args:
        address: Address of the scheduler, as in `"tcp://host:8786"`.

    Raises:
        ValueError: If no scheduler answers there.
        ImportError: If distributed is not installed.
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
        raise ImportError(MISSING_DISTRIBUTED) from error
    return distributed


def _run(client: Any, plan: ComparisonPlan, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Outcome]]:
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
    """Train one cell in the process that calls it."""
    registered = find_task(task)
    split = registered.split(_prepared(task, options), seed)
    return registered.models(dict(options))[model].train(split, seed, registered.presets[preset], _say_nothing)


@lru_cache(1)
def _prepared(task: str, options: tuple[tuple[str, Option], ...]) -> Any:
    return find_task(task).prepare(dict(options))


def _say_nothing(share: float, text: str) -> None:
    """Drop the progress within a cell, which does not travel."""
