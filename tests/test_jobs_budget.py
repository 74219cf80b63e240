"""What a run may cost, over its whole life; clocks that step; arguments of the wrong kind."""

import dataclasses
import json
import math
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qml.jobs.database
import qml.jobs.store
from circuits.plain_checks import as_float, as_text, as_texts, has_members
from qml.jobs import (
    Budget,
    BudgetReached,
    CircuitCost,
    DurableRunner,
    JobFailed,
    JobPending,
    Pub,
    Retry,
    Store,
    Submission,
    SubmissionLimits,
    cancel_run,
    sends_jobs,
)
from qml.jobs.owner import new_owner
from tests.stand_in import Cloud, Killed, Process, answers

SUBMISSION = Submission("estimator", (Pub(b"circuit", np.arange(12.0).reshape(6, 2), ((("Z", 1.0),),), shots=100),))


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs the disk to be real."""
    monkeypatch.setattr(qml.jobs.database, "SYNCHRONOUS", "OFF")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "jobs.sqlite") as store:
        yield store


def add(store: Store, **limits: Any) -> None:
    store.add_run("run", now=0.0, backend="stand-in", budget=Budget(**limits))


def runner(cloud: Cloud, store: Store, **options: Any) -> DurableRunner:
    return Process(store.path, cloud).runner(store, "run", **options)


def assert_right(results: list) -> None:
    np.testing.assert_array_equal(results[0].arrays["evs"], answers(SUBMISSION)[0].arrays["evs"])


def test_the_halves_of_a_job_count(store: Store) -> None:
    add(store, jobs=3)  # of two rows each
    cloud = Cloud(largest=1)
    with pytest.raises(BudgetReached, match=r"at most 3 jobs, but sent 0 and needs 4 more.*--max-jobs 4` raises"):
        runner(cloud, store).run(SUBMISSION)
    assert not cloud.jobs  # a part of a submission is of no use
    store.set_budget("run", Budget(jobs=6))
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 6
    assert store.spent("run") == (6, 0.0)


def test_what_was_sent_is_collected_before_the_run_stops(store: Store) -> None:
    add(store, jobs=4)
    cloud = Cloud()
    first = runner(cloud, store)
    assert_right(first.run(SUBMISSION))
    with pytest.raises(BudgetReached, match="sent 3 and needs 3 more"):
        first.run(SUBMISSION)
    assert len(cloud.jobs) == 3
    cloud.largest = 1
    store.set_budget("run", Budget(jobs=7))
    plain, sizes = cloud.submit, iter([2, 2, 1, 1])

    def shrinking(submission: Submission, tags: tuple[str, ...]) -> str:
        cloud.largest = next(sizes)
        return plain(submission, tags)

    cloud.submit = shrinking
    second = runner(cloud, store)
    second.run(SUBMISSION)
    store.set_budget("run", Budget(jobs=6))
    with pytest.raises(BudgetReached, match="at most 6 jobs, but sent 5 and needs 2 more"):
        second.run(SUBMISSION)
    done = [chunk.state for chunk in store.chunks("run", 1)]
    assert done.count("done") == 2
    assert "sent" not in done


@pytest.mark.parametrize("moment", ["before", "inside", "after"])
def test_it_holds_whenever_a_process_dies(store: Store, monkeypatch: pytest.MonkeyPatch, moment: str) -> None:
    monkeypatch.setattr(qml.jobs.store, "is_gone", lambda owner, lease, now: True)
    add(store, jobs=3)
    for number in range(1, 18, 2 if moment == "inside" else 3):
        cloud = Cloud(fails=lambda submission: submission.pubs[0].values[0, 0] == 4.0)
        path = store.path.with_name(f"{number}.sqlite")
        with Store(path) as own:
            add(own, jobs=3)
        for dies in ((number, moment), None):
            process = Process(path, cloud, [], dies)
            with process.store() as own:
                try:
                    process.runner(own, "run").run(SUBMISSION)
                except (Killed, JobFailed):
                    continue
                finally:
                    process.dead, cloud.killed = False, False
        with Store(path) as own, pytest.raises(BudgetReached, match="sent 3 and needs 1 more"):
            own.allow_again("run", now=0.0)
        assert len(cloud.jobs) == 3


@pytest.mark.parametrize("fault", ["lose", "late", "die after", "interrupt after"])
def test_a_job_whose_reply_was_lost_counts_once(store: Store, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setattr(qml.jobs.store, "is_gone", lambda owner, lease, now: True)
    add(store, jobs=3)
    cloud = Cloud({0: fault})  # pyright: ignore[reportArgumentType]
    for _ in range(2):
        try:
            assert_right(runner(cloud, store).run(SUBMISSION))
        except (Killed, KeyboardInterrupt):
            continue
    assert (len(cloud.jobs), store.spent("run")[0]) == (3, 3)


def test_a_job_that_was_cancelled_while_it_was_sent_counts(store: Store) -> None:
    add(store, jobs=3)
    cloud = Cloud(looks=10**6)
    plain = cloud.submit

    def submit(submission: Submission, tags: tuple[str, ...]) -> str:
        with Store(store.path) as other:
            cancel_run(cloud, other, "run", retry=cloud.retry())
        return plain(submission, tags)

    cloud.submit = submit
    with pytest.raises(JobFailed):
        runner(cloud, store).run(SUBMISSION)
    assert store.spent("run")[0] == len(cloud.jobs) == 1
    with pytest.raises(BudgetReached, match="sent 1 and needs 3 more"):
        store.allow_again("run", now=0.0)


def test_seconds_are_limited_too(store: Store) -> None:
    add(store, seconds=5.0)  # each job: 2 s, and 200 executions of 1 ms
    cloud = Cloud()
    with pytest.raises(
        BudgetReached, match=r"at most 5 s .* take about 4.4 s, and the next one 2.2 s.*--max-seconds N"
    ):
        runner(cloud, store).run(SUBMISSION)
    assert [chunk.state for chunk in store.chunks("run")] == ["done", "done", "planned"]
    assert store.spent("run") == (2, pytest.approx(4.4))
    with pytest.raises(BudgetReached):
        runner(cloud, store).run(SUBMISSION)
    store.set_budget("run", Budget(seconds=7.0))
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 3


def test_seconds_that_nobody_knows_are_not_spent(store: Store) -> None:
    add(store, seconds=5.0)
    cloud = Cloud()
    cloud.circuit_cost = lambda circuit: CircuitCost(1, 1, 0)
    with pytest.raises(BudgetReached, match="does not say how long its gates take"):
        runner(cloud, store).run(SUBMISSION)
    assert not cloud.jobs


def test_a_store_of_the_first_version_gets_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with Store(path) as store:
        add(store)
        cloud = Cloud()
        right = runner(cloud, store).run(SUBMISSION)
    connection = sqlite3.connect(path)
    for table, column in (("runs", "max_jobs"), ("runs", "max_seconds"), ("chunks", "reply"), ("chunks", "seconds")):
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    with Store(path) as store:
        assert store.run("run").budget == Budget()
        np.testing.assert_array_equal(runner(Cloud(), store).run(SUBMISSION)[0].arrays["evs"], right[0].arrays["evs"])
    with Store(path) as store:
        store.set_budget("run", Budget(jobs=3))
        assert store.run("run").budget == Budget(jobs=3)


# ---- clocks


@pytest.mark.parametrize("step", [1e6, 31.0, -1e6])
@pytest.mark.parametrize("fault", ["late", "lose"])
def test_a_step_of_the_clock_sends_nothing_twice(store: Store, fault: str, step: float) -> None:
    add(store)
    cloud = Cloud({0: fault})  # pyright: ignore[reportArgumentType]
    stepped = Retry(
        sleep=cloud.sleep,
        clock=lambda: cloud.time + (step if cloud.jobs else 0.0),  # it steps while the first job is sent
        generator=random.Random(0),
    )
    found = DurableRunner(cloud, store, "run", retry=stepped, limits=SubmissionLimits(executions=250)).run(SUBMISSION)
    assert_right(found)
    assert len(cloud.jobs) == 3


@pytest.mark.parametrize("step", [1e6, -1e6])
def test_a_step_of_the_clock_between_two_processes_sends_nothing_twice(
    store: Store, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    monkeypatch.setattr(qml.jobs.store, "is_gone", lambda owner, lease, now: True)
    add(store)
    cloud = Cloud({0: "late", 1: "interrupt before"})
    with pytest.raises(KeyboardInterrupt):
        runner(cloud, store).run(SUBMISSION)
    stepped = Retry(sleep=cloud.sleep, clock=lambda: cloud.time + step, generator=random.Random(0))
    assert_right(
        DurableRunner(cloud, store, "run", retry=stepped, limits=SubmissionLimits(executions=250)).run(SUBMISSION)
    )
    assert len(cloud.jobs) == 3


def test_an_owner_elsewhere_is_watched_before_it_is_taken_for_gone(store: Store) -> None:
    add(store)
    cloud = Cloud()
    elsewhere = json.dumps(json.loads(new_owner()) | {"machine": "elsewhere/"})
    assert store.claim("run", elsewhere, now=cloud.time - 1000.0, lease=900.0) is None  # its clock is behind
    renewals, plain = [], cloud.sleep

    def sleep(seconds: float) -> None:
        plain(seconds)
        if len(renewals) < 3:
            renewals.append(seconds)
            store.claim("run", elsewhere, now=cloud.time - 1000.0, lease=900.0)

    cloud.sleep = sleep
    patient = runner(cloud, store)
    with pytest.raises(JobPending, match="being worked on by process"):
        runner(cloud, store, wait=False).run(SUBMISSION)
    assert not cloud.jobs
    assert_right(patient.run(SUBMISSION))
    assert len(renewals) == 3


# ---- arguments


def made(kind: type, /, **fields: Any) -> Any:
    """An object of a frozen dataclass, without the type checks that the tests add to its constructor."""
    result = object.__new__(kind)
    for field in dataclasses.fields(kind):
        factory = field.default_factory
        default = field.default if isinstance(factory, type(dataclasses.MISSING)) else factory()
        object.__setattr__(result, field.name, fields.get(field.name, default))
    kind.__post_init__(result)  # pyright: ignore[reportAttributeAccessIssue]
    return result


ONE = Pub(b"circuit", np.zeros((1, 1)))
FIELDS: list[tuple[type, dict[str, Any], str, str, str]] = [
    (SubmissionLimits, {}, "payload", "payload", "an int"),
    (SubmissionLimits, {}, "executions", "executions", "an int"),
    (Retry, {}, "attempts", "attempts", "an int"),
    (Retry, {}, "first", "first", "a number"),
    (Retry, {}, "longest", "longest", "a number"),
    (Retry, {}, "poll", "poll", "a number"),
    (Retry, {}, "settle", "settle", "a number"),
    (Submission, {"kind": "sampler", "pubs": (ONE,)}, "overhead", "overhead", "an int"),
    (Budget, {}, "jobs", "max_jobs", "an int"),
    (Budget, {}, "seconds", "max_seconds", "a number"),
    (Pub, {"circuit": b"", "values": np.zeros((1, 1))}, "shots", "shots", "an int"),
]
OPTIONAL = ("max_jobs", "max_seconds", "shots")


@pytest.mark.parametrize(("kind", "others", "field", "name", "rule"), FIELDS)
@pytest.mark.parametrize("value", ["3", None, True, [3], 3j, np.bool_(True), np.array([3])])
def test_numbers_are_numbers(kind: type, others: dict[str, Any], field: str, name: str, rule: str, value: Any) -> None:
    if value is None and name in OPTIONAL:
        assert getattr(made(kind, **others, **{field: None}), field) is None
        return
    with pytest.raises(TypeError, match=f"Argument `{name}` must be {rule}, but is {type(value).__name__}"):
        made(kind, **others, **{field: value})


@pytest.mark.parametrize(("kind", "others", "field", "name", "rule"), FIELDS)
def test_numpys_numbers_are_numbers(kind: type, others: dict[str, Any], field: str, name: str, rule: str) -> None:
    found = getattr(made(kind, **others, **{field: np.int64(3)}), field)
    assert (found, type(found)) == (3, float if rule == "a number" else int)
    if rule != "a number":
        with pytest.raises(TypeError, match=f"Argument `{name}` must be {rule}, but is float"):
            made(kind, **others, **{field: 3.0})


def test_nan_is_no_time() -> None:
    for value in (math.nan, math.inf, -1.0):
        with pytest.raises(ValueError, match="`poll` must be a time of at least 0 s"):
            Retry(poll=value)
    for value in (math.nan, 0.0, -math.inf):
        with pytest.raises(ValueError, match="`max_seconds` must be positive, but is"):
            Budget(seconds=value)


def test_parts_of_submissions_are_of_their_kinds() -> None:
    for fields, error, message in (
        ({"kind": "both"}, ValueError, "`kind` must be 'estimator' or 'sampler', but is 'both'"),
        ({"pubs": [ONE]}, TypeError, "`pubs` must be a tuple, but is list"),
        ({"pubs": (3,)}, TypeError, "`pubs` must be a Pub, but is int"),
        ({"options": "seed"}, TypeError, "`options` must be a Mapping, but is str"),
    ):
        with pytest.raises(error, match=message):
            made(Submission, **{"kind": "sampler", "pubs": (ONE,)} | fields)
    for name in ("sleep", "clock", "generator"):
        with pytest.raises(TypeError, match=f"`{name}` must be "):
            made(Retry, **{name: 3})


def test_a_run_with_numpys_numbers_is_the_same(store: Store) -> None:
    store.add_run("run", now=0.0, backend="stand-in", budget=made(Budget, jobs=np.int64(3), seconds=np.float32(100.0)))
    assert store.run("run").budget == Budget(jobs=3, seconds=100.0)
    limits = made(SubmissionLimits, executions=np.uint8(250))
    terms = ((("Z", np.float64(1.0)),),)
    pub = made(Pub, circuit=b"circuit", values=np.arange(12.0).reshape(6, 2), observables=terms, shots=np.int64(100))
    cloud = Cloud()
    assert_right(runner(cloud, store, limits=limits).run(Submission("estimator", (pub,))))
    assert len(cloud.jobs) == 3


def test_texts_are_texts() -> None:
    assert as_texts(["a", "b"], "tags") == ("a", "b")
    for values in ("ab", b"ab", 3, None, [1]):
        with pytest.raises(TypeError, match=r"Argument `tags` must (be a list of|hold) str, but"):
            as_texts(values, "tags")
    for value, error in ((3, TypeError), ("", ValueError)):
        with pytest.raises(error, match="Argument `run` must"):
            as_text(value, "run")
    assert as_float(np.float32(0.5), "x") == 0.5


def test_runners_say_what_they_need(store: Store) -> None:
    add(store)
    runner_of: Any = getattr(DurableRunner.__init__, "__wrapped__", DurableRunner.__init__)
    made = object.__new__(DurableRunner)
    for arguments, message in (
        ((3, store, "run"), "`service` must be a Service, but is int"),
        ((Cloud(), "jobs.sqlite", "run"), "`store` must be a Store, but is str"),
        ((Cloud(), store, 3), "`run_id` must be a str, but is int"),
    ):
        with pytest.raises(TypeError, match=message):
            runner_of(made, *arguments)


def test_asking_whether_something_sends_jobs_evaluates_nothing() -> None:
    class Costly:
        @property
        def service(self) -> Any:
            raise AssertionError("the account was contacted")

        def with_runner(self, runner: Any) -> Any:
            return self

    assert sends_jobs(Costly())
    assert not sends_jobs(object())
    assert has_members(Costly(), "service")
    assert not has_members(Costly(), "service", "other")
