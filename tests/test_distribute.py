"""Comparisons on real workers: the same records as on one process."""

from dataclasses import replace
from pathlib import Path

import pytest

from qml.compare import TASKS, Record, make_plan, run_plan
from qml.compare.distribute import cluster, train_cell, workers

# distributed closes its event loops and sockets by the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def without_times(records: list[Record]) -> list[tuple[str, int, float, int]]:
    return [(r.model, r.seed, r.outcome.value, r.outcome.n_parameters) for r in records]


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_the_records_of_one_process(tmp_path: Path) -> None:
    import distributed

    plan = make_plan(TASKS["majority"], preset="demo", n_seeds=2, models=["exact", "logistic"])
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as own:
        assert len(own.workers) == 2
        with cluster(own.scheduler_address) as run_cells:
            found = run_plan(replace(plan, folder=tmp_path), run_cells=run_cells)
    assert without_times(found) == without_times(run_plan(plan))
    assert without_times(run_plan(replace(plan, folder=tmp_path))) == without_times(found)  # all are stored


def test_an_error_on_a_worker_comes_back_and_finished_cells_stay(tmp_path: Path) -> None:
    import distributed

    plan = make_plan(TASKS["majority"], preset="demo", n_seeds=1, models=["exact"], folder=tmp_path)
    with workers(1) as run_cells:
        assert len(distributed.get_client().scheduler_info()["workers"]) == 1  # whatever the number of cores
        run_plan(plan, run_cells=run_cells)
        broken = replace(plan, models={"nobody": plan.models["exact"]}, folder=None)
        with pytest.raises(KeyError, match="nobody"):
            run_plan(broken, run_cells=run_cells)
    assert len((tmp_path / "results.jsonl").read_text().splitlines()) == 1


def test_a_cell_does_not_depend_on_the_process(tmp_path: Path) -> None:
    plan = make_plan(TASKS["majority"], preset="demo", n_seeds=1, models=["exact"])
    alone = train_cell("majority", tuple(plan.options.items()), "demo", "exact", 0)
    assert alone.value == run_plan(plan)[0].outcome.value


def test_a_task_of_ones_own_is_refused_on_workers() -> None:
    task = replace(TASKS["majority"], name="mine")
    plan = make_plan(task, preset="demo", n_seeds=1, models=["exact"])
    with workers(1) as run_cells, pytest.raises(ValueError, match="must be in the registry"):
        run_plan(plan, run_cells=run_cells)


def test_bad_places_to_run_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="`workers` must be at least 1"), workers(0):
        pass
    monkeypatch.setattr("qml.compare.distribute.CONNECT_SECONDS", 0.5)
    with pytest.raises(ValueError, match="none answers at"), cluster("tcp://127.0.0.1:9"):
        pass
