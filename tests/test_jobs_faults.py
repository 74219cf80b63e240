"""A fault at every step of the state machine: no job lost, none sent twice, the results right."""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from itertools import count, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qml.jobs.database
import qml.jobs.store
from qml.jobs import PubResult, Store, Submission
from tests.stand_in import FAULTS, Cloud, Fault, Killed, Process, answers, first_submission, whole_run
from tests.strategies import examples

TRANSACTION_FAULTS = ("before", "inside", "after")
MOST_RESTARTS = 4


@pytest.fixture(autouse=True)
def fast_and_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs the disk to be real, and every earlier process of this thread has died."""
    monkeypatch.setattr(qml.jobs.database, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(qml.jobs.store, "is_gone", lambda owner, lease, now: True)


def recorded(submission: Submission) -> list[PubResult]:
    """What the service answers, with the options that are recorded beside it."""
    options = {"options": dict(submission.options)}
    return [replace(result, metadata={**result.metadata, **options}) for result in answers(submission)]


RIGHT = whole_run(recorded)
N_CHUNKS = 5  # 500 and 100 executions in jobs of at most 250, then two jobs of one submission, sent twice


def assert_right(results: list[PubResult]) -> None:
    for result, right in zip(results, RIGHT, strict=True):
        assert result.metadata == right.metadata
        for name, array in right.arrays.items():
            np.testing.assert_array_equal(result.arrays[name], array)


def assert_each_sent_once(cloud: Cloud, n_chunks: int = N_CHUNKS) -> None:
    living = [job.tags[0] for job in cloud.jobs.values() if job.status != "cancelled"]
    assert len(living) == n_chunks
    assert Counter(living).most_common(1)[0][1] == 1
    assert len(cloud.jobs) == n_chunks, "a job was sent twice and cancelled"


def run_with_restarts(path: Path, cloud: Cloud, transactions: list[None], dies: tuple | None = None) -> int:
    """The run, taken up again after every death; how many processes it took."""
    for n_processes in count(1):
        process = Process(path, cloud, transactions, dies)
        try:
            with process.store() as store:
                if not store.runs():
                    store.add_run("run", now=cloud.time, backend="stand-in")
                assert_right(whole_run(process.runner(store, "run").run))
        except (Killed, KeyboardInterrupt):
            assert n_processes <= MOST_RESTARTS
        else:
            return n_processes
    raise AssertionError


def counts(path: Path) -> tuple[int, int]:
    """How many calls and transactions the run takes without faults."""
    cloud, transactions = Cloud(), []
    assert run_with_restarts(path, cloud, transactions) == 1
    assert_each_sent_once(cloud)
    return len(cloud.calls), len(transactions)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_every_call_loses_and_repeats_nothing(tmp_path: Path, fault: Fault) -> None:
    n_calls, _ = counts(tmp_path / "plain.sqlite")
    for number in range(n_calls):
        cloud = Cloud({number: fault})
        run_with_restarts(tmp_path / f"{number}.sqlite", cloud, [])
        assert_each_sent_once(cloud)


@pytest.mark.parametrize("moment", TRANSACTION_FAULTS)
def test_a_death_at_every_transaction_loses_and_repeats_nothing(tmp_path: Path, moment: str) -> None:
    _, n_transactions = counts(tmp_path / "plain.sqlite")
    for number in range(n_transactions):
        cloud = Cloud()
        assert run_with_restarts(tmp_path / f"{number}.sqlite", cloud, [], (number, moment)) == 2
        assert_each_sent_once(cloud)


@examples(100)
@given(faults=st.dictionaries(st.integers(0, 40), st.sampled_from(FAULTS), max_size=4))
def test_several_faults_in_one_run_lose_and_repeat_nothing(
    tmp_path_factory: pytest.TempPathFactory, faults: dict[int, Fault]
) -> None:
    cloud = Cloud(faults)
    run_with_restarts(tmp_path_factory.mktemp("several") / "jobs.sqlite", cloud, [])
    assert_each_sent_once(cloud)


def test_sizes_that_are_refused_are_halved_whatever_happens(tmp_path: Path) -> None:
    for number, fault in product(range(0, 40, 6), FAULTS):
        cloud = Cloud({number: fault}, largest=1)
        run_with_restarts(tmp_path / f"{number}-{fault}.sqlite", cloud, [])
        assert_each_sent_once(cloud, n_chunks=7 + 2 + 2)


def test_a_simulator_that_forgets_its_jobs_runs_them_again(tmp_path: Path) -> None:
    n_calls, _ = counts(tmp_path / "plain.sqlite")
    for number in range(n_calls):
        cloud = Cloud({number: "die after"}, keeps_jobs=False)
        process = Process(tmp_path / f"{number}.sqlite", cloud)
        with process.store() as store:
            store.add_run("run", now=0.0, backend="stand-in")
            run = process.runner(store, "run").run
            with pytest.raises(Killed):
                whole_run(run)
        cloud.forget()
        run_with_restarts(process.path, cloud, [])


def test_the_check_for_jobs_sent_twice_can_fail(tmp_path: Path) -> None:
    cloud = Cloud()
    run_with_restarts(tmp_path / "jobs.sqlite", cloud, [])
    cloud.submit(first_submission(), cloud.jobs["job-0"].tags)
    with pytest.raises(AssertionError):
        assert_each_sent_once(cloud)


def test_a_careless_runner_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without looking for the job whose reply was lost, it is sent twice, and the test sees it."""
    monkeypatch.setattr(qml.jobs.DurableRunner, "_adopt", lambda self, chunk: False)
    cloud = Cloud({0: "lose"})
    run_with_restarts(tmp_path / "jobs.sqlite", cloud, [])
    with pytest.raises(AssertionError):
        assert_each_sent_once(cloud)


# ---- processes that are really killed


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.file_cloud", str(folder)]
    return subprocess.Popen(command, cwd=Path(__file__).parent.parent)


def assert_complete(folder: Path) -> None:
    tags = [json.loads(path.read_text())[0] for path in folder.glob("*.job")]
    assert len(tags) == len(set(tags)) == N_CHUNKS
    with Store(folder / "jobs.sqlite") as store:
        assert_right(whole_run(Process(store.path, Cloud()).runner(store, "run").run))  # replayed: the cloud is empty


def test_processes_killed_at_any_time_lose_and_repeat_nothing(tmp_path: Path) -> None:
    generator = random.Random(0)
    for number in range(6):
        folder = tmp_path / str(number)
        folder.mkdir()
        for _ in range(4):
            (folder / "started").unlink(missing_ok=True)
            with start(folder) as process:
                while not (folder / "started").exists() and process.poll() is None:
                    time.sleep(0.001)
                time.sleep(generator.random() * 0.25)
                process.kill()
        with start(folder) as process:
            assert process.wait() == 0
        assert_complete(folder)


def test_processes_at_once_share_the_work(tmp_path: Path) -> None:
    processes = [start(tmp_path) for _ in range(3)]
    processes[0].kill()
    assert [process.wait() for process in processes[1:]] == [0, 0]
    processes[0].wait()
    assert_complete(tmp_path)
