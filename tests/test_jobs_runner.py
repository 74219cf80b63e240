"""What the runner does with failures, cancellations, sizes and other processes."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import qml.jobs.store
from qml.jobs import (
    DirectRunner,
    DurableRunner,
    JobError,
    JobFailed,
    JobNotFound,
    JobPending,
    LocalService,
    Pub,
    PubResult,
    Retry,
    Service,
    ServiceUnavailable,
    Store,
    Submission,
    SubmissionLimits,
    adopt_job,
    cancel_run,
    codec,
    split,
)
from qml.jobs.store import Stored
from tests.stand_in import Cloud, Killed, Process, answers

ROWS = np.arange(12.0).reshape(6, 2)
SUBMISSION = Submission("estimator", (Pub(b"circuit", ROWS, ((("Z", 1.0),),), shots=100),))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "jobs.sqlite") as store:
        store.add_run("run", now=0.0, backend="stand-in", tags=("mine",))
        yield store


def runner(cloud: Cloud, store: Store, **options: object) -> DurableRunner:
    """At most two rows a job."""
    return Process(store.path, cloud).runner(store, "run", **options)


def assert_right(results: list[PubResult], submission: Submission = SUBMISSION) -> None:
    for result, right in zip(results, answers(submission), strict=True):
        np.testing.assert_array_equal(result.arrays["evs"], right.arrays["evs"])


def states(store: Store) -> list[str]:
    return [chunk.state for chunk in store.chunks("run")]


def test_the_stand_in_is_a_service() -> None:
    assert isinstance(Cloud(), Service)


def test_every_job_carries_its_own_tag_the_runs_and_the_users(store: Store) -> None:
    cloud = Cloud()
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert [job.tags[1:] for job in cloud.jobs.values()] == [("run", "mine")] * 3
    assert [job.tags[0] for job in cloud.jobs.values()] == [chunk.tag for chunk in store.chunks("run")]


def test_everything_is_written_before_it_is_sent(store: Store) -> None:
    cloud, seen = Cloud(), []
    plain = cloud.submit

    def look(submission: Submission, tags: tuple[str, ...]) -> str:
        with Store(store.path) as other:
            seen.append(other.chunk(tags[0]).state)
            payload = other.open_submission("run", 0, Stored("", b""), (), now=0.0).payload
        assert qml.jobs.codec.unpack_submission(payload).pubs[0].circuit == b"circuit"
        return plain(submission, tags)

    cloud.submit = look
    runner(cloud, store).run(SUBMISSION)
    assert seen == ["sending"] * 3


def test_a_second_run_with_the_same_id_replays_without_a_call(store: Store) -> None:
    cloud = Cloud()
    runner(cloud, store).run(SUBMISSION)
    n_calls = len(cloud.calls)
    again = runner(cloud, store)
    assert_right(again.run(SUBMISSION))
    assert len(cloud.calls) == n_calls
    again.run(SUBMISSION)  # the second submission of the run, equal to the first: sent
    assert len(cloud.jobs) == 6


@pytest.mark.parametrize("change", ["values", "options"])
def test_another_submission_in_a_known_place_is_refused(store: Store, change: str) -> None:
    cloud = Cloud()
    runner(cloud, store).run(SUBMISSION)
    pub = Pub(b"circuit", ROWS + (0.01 if change == "values" else 0.0), ((("Z", 1.0),),), shots=100)
    other = Submission("estimator", (pub,), {"seed": 1} if change == "options" else {})
    with pytest.raises(ValueError, match="Submission 0 of run run must be the one that was written"):
        runner(cloud, store).run(other)
    assert len(cloud.jobs) == 3


def test_values_that_differ_by_rounding_replay(store: Store) -> None:
    cloud = Cloud()
    runner(cloud, store).run(SUBMISSION)
    rounded = Pub(b"circuit", ROWS * (1 + 1e-7), ((("Z", 1.0),),), shots=100)
    assert_right(runner(cloud, store).run(Submission("estimator", (rounded,))))
    assert len(cloud.jobs) == 3


def test_a_failed_chunk_does_not_lose_the_others(store: Store) -> None:
    cloud = Cloud(fails=lambda submission: submission.pubs[0].values[0, 0] == 4.0)
    with pytest.raises(JobFailed, match=r"2 of 3 jobs of submission 0 of run run have results.*cryostat is warm.*--ag"):
        runner(cloud, store).run(SUBMISSION)
    assert states(store) == ["done", "failed", "done"]
    with pytest.raises(JobFailed):  # nothing is sent again unasked
        runner(cloud, store).run(SUBMISSION)
    assert len(cloud.jobs) == 3
    cloud.fails = lambda submission: False
    assert store.allow_again("run", now=0.0) == 1
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 4
    assert len({job.tags[0] for job in cloud.jobs.values()}) == 4


def test_a_service_that_refuses_one_chunk_gets_the_others(store: Store) -> None:
    cloud = Cloud()
    plain = cloud.submit

    def picky(submission: Submission, tags: tuple[str, ...]) -> str:
        if submission.pubs[0].values[0, 0] == 0.0:
            raise JobError("qubit 3 is out of order")
        return plain(submission, tags)

    cloud.submit = picky
    with pytest.raises(JobFailed, match="stand-in refused it: qubit 3 is out of order"):
        runner(cloud, store).run(SUBMISSION)
    assert states(store) == ["failed", "done", "done"]


def test_an_error_that_nobody_knows_leaves_a_run_that_can_be_taken_up(store: Store) -> None:
    cloud = Cloud()
    plain = cloud.submit

    def submit(submission: Submission, tags: tuple[str, ...]) -> str:
        plain(submission, tags)
        raise LookupError("a reply in another form")

    cloud.submit = submit
    with pytest.raises(LookupError):
        runner(cloud, store).run(SUBMISSION)
    cloud.submit = plain
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 3


def test_outages_are_waited_for_with_growing_pauses(store: Store) -> None:
    cloud = Cloud(dict.fromkeys(range(4), "refuse"))
    pauses = []
    cloud.sleep = lambda seconds: pauses.append(seconds) or setattr(cloud, "time", cloud.time + seconds)
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 3
    assert all(0.5 <= pause <= 1.0 for pause in pauses[:1])
    assert max(pauses) <= 30.0


def test_pauses_double_scatter_and_are_bounded() -> None:
    pauses = Retry(first=1.0, longest=30.0).pauses()
    bounds = [1, 2, 4, 8, 16, 30, 30, 30]
    drawn = [next(pauses) for _ in bounds]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(drawn, bounds, strict=True))
    assert len(set(drawn)) == len(drawn)


def test_patience_and_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="`attempts` must be at least 1, but is 0"):
        Retry(attempts=0)
    with pytest.raises(ValueError, match="`settle` must be a time of at least 0 s, but is nan"):
        Retry(settle=float("nan"))
    with pytest.raises(ValueError, match="`executions` must be at least 1, but is 0"):
        SubmissionLimits(executions=0)


def test_a_long_outage_ends_with_a_run_that_can_be_taken_up(store: Store) -> None:
    cloud = Cloud(dict.fromkeys(range(100), "refuse"))
    with pytest.raises(ServiceUnavailable, match=r"did not answer in 6 attempts \(too many requests\).*jobs resume"):
        runner(cloud, store).run(SUBMISSION)
    cloud.faults = {}
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 3


def test_sent_and_left_alone(store: Store) -> None:
    cloud = Cloud()
    with pytest.raises(JobPending, match="Only 0 of 3 jobs"):
        runner(cloud, store, wait=False).run(SUBMISSION)
    assert states(store) == ["sent"] * 3
    with pytest.raises(JobPending):
        runner(cloud, store, send=False, wait=False).run(SUBMISSION)
    assert_right(runner(cloud, store, send=False).run(SUBMISSION))
    waiting = runner(cloud, store, send=False)
    waiting.run(SUBMISSION)
    with pytest.raises(JobPending, match="Submission 1 of run run is not sent yet"):
        waiting.run(SUBMISSION)
    assert len(cloud.jobs) == 3


def test_results_that_are_handed_out_once_are_kept(store: Store) -> None:
    cloud = Cloud(once=True)
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert [job.handed_out for job in cloud.jobs.values()] == [1, 1, 1]


def test_results_that_were_lost_on_the_way_are_not_paid_again_unasked(store: Store) -> None:
    cloud = Cloud({4: "lose"}, once=True, looks=0)
    with pytest.raises(JobFailed, match="handed out already"):
        runner(cloud, store).run(SUBMISSION)
    assert cloud.calls[4] == "result"
    assert states(store) == ["failed", "done", "done"]
    assert len(cloud.jobs) == 3


def test_a_job_that_the_account_does_not_know_stops_only_itself(store: Store) -> None:
    cloud = Cloud()
    with pytest.raises(JobPending):
        runner(cloud, store, wait=False).run(SUBMISSION)
    hidden = cloud.jobs.pop("job-1")
    with pytest.raises(JobNotFound, match=r"Job job-1 is unknown to stand-in .*Check the account"):
        runner(cloud, store).run(SUBMISSION)
    assert states(store) == ["done", "sent", "done"]
    cloud.jobs["job-1"] = hidden
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 3


@pytest.mark.parametrize(
    "results", [[], [PubResult({"evs": np.zeros((1, 1))})], [PubResult({"bits": np.zeros((2, 1))})]]
)
def test_answers_of_a_wrong_form_are_failures(store: Store, results: list[PubResult]) -> None:
    cloud = Cloud()
    cloud.result = lambda job_id: results
    with pytest.raises(JobFailed, match=r"must answer|must have shape"):
        runner(cloud, store).run(SUBMISSION)


def test_a_single_row_that_is_too_large_fails_alone(store: Store) -> None:
    cloud = Cloud(largest=0)
    with pytest.raises(JobFailed, match="refuses the size of a single row"):
        runner(cloud, store).run(SUBMISSION)
    assert states(store) == ["failed"] * 6


def test_a_row_above_the_limits_is_refused_before_anything_is_written(store: Store) -> None:
    with pytest.raises(ValueError, match="One row of a circuit must fit into a job of 10 executions"):
        runner(Cloud(), store, limits=SubmissionLimits(executions=10)).run(SUBMISSION)
    assert not store.chunks("run")


def test_cancelling_stops_what_is_open_and_keeps_what_is_done(store: Store) -> None:
    cloud = Cloud(looks=10**6)
    with pytest.raises(JobPending):
        runner(cloud, store, wait=False).run(SUBMISSION)
    cloud.jobs["job-0"].status = "done"
    cancel_run(cloud, store, "run", retry=cloud.retry())
    assert states(store) == ["sent", "cancelled", "cancelled"]
    with pytest.raises(JobFailed, match=r"1 of 3 jobs.*cancelled: job job-1 was cancelled"):
        runner(cloud, store).run(SUBMISSION)
    assert states(store) == ["done", "cancelled", "cancelled"]
    assert len(cloud.jobs) == 3
    store.allow_again("run", now=0.0)
    cloud.looks = 0
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert len(cloud.jobs) == 5


def test_a_job_cancelled_at_the_service_is_not_sent_again(store: Store) -> None:
    cloud = Cloud()
    with pytest.raises(JobPending):
        runner(cloud, store, wait=False).run(SUBMISSION)
    cloud.cancel("job-2")
    with pytest.raises(JobFailed, match="2 of 3 jobs"):
        runner(cloud, store).run(SUBMISSION)
    assert len(cloud.jobs) == 3


def test_cancelling_waits_for_a_job_that_turns_up_late(store: Store) -> None:
    cloud = Cloud({0: "late", 1: "interrupt before"}, looks=10**6)
    with pytest.raises(KeyboardInterrupt):
        runner(cloud, store).run(SUBMISSION)
    assert states(store) == ["sending", "planned", "planned"]
    cancel_run(cloud, store, "run", retry=cloud.retry())
    assert states(store) == ["cancelled"] * 3
    assert [job.status for job in cloud.jobs.values()] == ["cancelled"]


@pytest.mark.parametrize("known", [True, False])
def test_cancelling_a_chunk_whose_sender_died(store: Store, monkeypatch: pytest.MonkeyPatch, *, known: bool) -> None:
    monkeypatch.setattr(qml.jobs.store, "is_gone", lambda owner, lease, now: True)
    cloud = Cloud({0: "interrupt after" if known else "interrupt before"}, looks=10**6)
    with pytest.raises(KeyboardInterrupt):
        runner(cloud, store).run(SUBMISSION)
    assert states(store) == ["sending", "planned", "planned"]
    cancel_run(cloud, store, "run", retry=cloud.retry())
    assert states(store) == ["cancelled"] * 3
    assert all(job.status == "cancelled" for job in cloud.jobs.values())
    with pytest.raises(JobFailed):
        runner(cloud, store).run(SUBMISSION)


def test_a_cancellation_while_it_is_being_sent_stops_the_job(store: Store) -> None:
    cloud = Cloud(looks=10**6)
    plain = cloud.submit

    def submit(submission: Submission, tags: tuple[str, ...]) -> str:
        with Store(store.path) as other:
            cancel_run(cloud, other, "run", retry=cloud.retry())
        return plain(submission, tags)

    cloud.submit = submit
    with pytest.raises(JobFailed, match="0 of 3 jobs"):
        runner(cloud, store).run(SUBMISSION)
    assert [job.status for job in cloud.jobs.values()] == ["cancelled"]
    assert states(store) == ["cancelled"] * 3


def test_two_jobs_of_one_tag_become_one(store: Store) -> None:
    cloud = Cloud({0: "interrupt after"}, looks=0)
    with pytest.raises(KeyboardInterrupt):
        runner(cloud, store).run(SUBMISSION)
    cloud.submit(cloud.jobs["job-0"].submission, cloud.jobs["job-0"].tags)  # by somebody else's hand
    assert_right(runner(cloud, store).run(SUBMISSION))
    assert (
        [job.status for job in cloud.jobs.values()] == ["cancelled", "done", "done", "done"]
        or [job.status for job in cloud.jobs.values()] == ["done", "cancelled", "done", "done"]
        or len(cloud.jobs) == 4
    )


def test_two_runners_at_once_send_every_chunk_once(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    with Store(path) as store:
        store.add_run("run", now=0.0, backend="stand-in")
    cloud, found = Cloud(looks=3), []
    cloud.sleep = time.sleep
    patient = Retry(first=0.01, poll=0.01, longest=0.02, settle=0.1)

    def work() -> None:
        with Store(path) as own:
            found.append(
                DurableRunner(cloud, own, "run", limits=SubmissionLimits(executions=100), retry=patient).run(SUBMISSION)
            )

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for results in found:
        assert_right(results)
    assert len(cloud.jobs) == 6


def test_an_owner_who_was_replaced_sends_nothing_more(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qml.jobs.store, "is_gone", lambda owner, lease, now: False)
    cloud = Cloud()
    plain = cloud.submit

    def submit(submission: Submission, tags: tuple[str, ...]) -> str:
        taken = 'UPDATE runs SET owner = \'{"machine": "elsewhere/", "pid": 7}\''
        store._change(taken)
        return plain(submission, tags)

    cloud.submit = submit
    with pytest.raises(JobError, match="was taken over by process 7 on elsewhere"):
        runner(cloud, store).run(SUBMISSION)
    assert len(cloud.jobs) == 1
    assert states(store) == ["sent", "planned", "planned"]


def test_the_watcher_sees_every_state(store: Store) -> None:
    seen: set[str] = set()
    runner(Cloud(), store, watch=lambda chunks: seen.update(chunk.state for chunk in chunks)).run(SUBMISSION)
    assert seen == {"planned", "sent", "done"}


def test_direct_runs_leave_no_records_and_wait() -> None:
    cloud = Cloud(looks=3)
    assert_right(DirectRunner(cloud, sleep=cloud.sleep).run(SUBMISSION))
    cloud = Cloud(fails=lambda submission: True)
    with pytest.raises(JobFailed):
        DirectRunner(cloud, sleep=cloud.sleep).run(SUBMISSION)
    cloud = Cloud(looks=10**6)
    with pytest.raises(JobError, match="Job job-0 on stand-in was cancelled"):
        DirectRunner(cloud, sleep=lambda seconds: cloud.cancel("job-0")).run(SUBMISSION)


def test_a_local_simulator_is_a_service_whose_results_are_kept(store: Store) -> None:
    runs = []

    def run(submission: Submission) -> list[PubResult]:
        runs.append(submission)
        return answers(submission)

    local = LocalService("local", run, Cloud().circuit_cost)
    assert isinstance(local, Service)
    limits = SubmissionLimits(executions=250)
    for service in (local, LocalService("local", run, Cloud().circuit_cost)):
        assert_right(DurableRunner(service, store, "run", limits=limits).run(SUBMISSION))
    assert len(runs) == 3
    assert local.circuit_cost(b"circuit").depth == 7
    with pytest.raises(JobNotFound, match="local has no job x in this process"):
        local.cancel("x")


def test_a_simulator_gets_a_submission_whole_and_so_a_seed_gives_what_it_gives_at_once(store: Store) -> None:
    pub = Pub(b"circuit", np.zeros((300, 1)), ((("Z", 1.0),),), shots=100_000)
    submission = Submission("estimator", (pub,))
    DurableRunner(LocalService("local", answers, Cloud().circuit_cost), store, "run").run(submission)
    assert len(store.chunks("run")) == 1
    cloud = Cloud()
    DurableRunner(cloud, store, "run", retry=cloud.retry()).run(submission)  # replayed as it was sent
    runner_of_cloud = DurableRunner(cloud, store, "run", retry=cloud.retry())
    runner_of_cloud.run(submission)
    runner_of_cloud.run(submission)
    assert len(cloud.jobs) == 3


def test_a_local_run_that_was_killed_is_run_again(store: Store) -> None:
    def interrupted(submission: Submission) -> list[PubResult]:
        if submission.pubs[0].values[0, 0] == 4.0:
            raise KeyboardInterrupt
        return answers(submission)

    for run in (interrupted, interrupted):
        local = LocalService("local", run, Cloud().circuit_cost)
        with pytest.raises(KeyboardInterrupt):
            DurableRunner(local, store, "run", limits=SubmissionLimits(executions=250)).run(SUBMISSION)
    local = LocalService("local", answers, Cloud().circuit_cost)
    assert_right(DurableRunner(local, store, "run").run(SUBMISSION))


def test_chunks_keep_to_both_limits_and_cover_every_row_once() -> None:
    pubs = tuple(Pub(bytes(100), np.zeros((rows, 3)), ((("Z", 1.0), ("X", 1.0)),), shots=10) for rows in (1, 17, 5))
    submission = Submission("estimator", pubs)
    for limits in (
        SubmissionLimits(payload=400),
        SubmissionLimits(executions=60),
        SubmissionLimits(payload=300, executions=100),
        SubmissionLimits(),
    ):
        chunks = split.plan(submission, limits)
        rows = [(part.pub, row) for parts in chunks for part in parts for row in range(part.start, part.stop)]
        assert rows == [(k, row) for k, pub in enumerate(pubs) for row in range(len(pub.values))]
        for parts in chunks:
            piece = split.take(submission, parts)
            assert sum(20 * len(pub.values) for pub in piece.pubs) <= limits.executions
            assert sum(len(pub.circuit) + pub.values.nbytes for pub in piece.pubs) <= limits.payload
    assert len(split.plan(submission, SubmissionLimits())) == 1


def test_strings_that_agree_on_each_qubit_are_measured_together() -> None:
    labels = ("ZZI", "IZZ", "XII", "IXX", "ZIZ", "III")
    pub = Pub(b"", np.zeros((1, 1)), (tuple((label, 1.0) for label in labels),), shots=7)
    assert split.n_settings(pub) == 2
    assert split.executions_of_row(pub, Submission("estimator", (pub,))) == 14
    assert split.executions_of_row(pub, Submission("estimator", (pub,), overhead=3)) == 42
    assert split.executions_of_row(pub, Submission("sampler", (pub,))) == 7


def test_what_mitigation_runs_counts_towards_the_size_of_a_job_and_is_written_down() -> None:
    pub = Pub(b"", np.zeros((10, 1)), ((("Z", 1.0),),), shots=10)
    submission = Submission("estimator", (pub,), overhead=3)
    assert len(split.plan(submission, SubmissionLimits(executions=100))) == 4  # three rows of 30 executions a job
    assert codec.unpack_submission(codec.pack_submission(submission)).overhead == 3
    with pytest.raises(ValueError, match="`overhead` must be at least 1, but is 0"):
        Submission("estimator", (pub,), overhead=0)


def test_shots_that_twirling_adds_are_left_out() -> None:
    """A paid job is not thrown away because it has more shots than it must."""
    bits = np.arange(2 * 8 * 1, dtype=np.uint8).reshape(2, 8, 1)
    submission = Submission("sampler", (Pub(b"", np.zeros((2, 1)), shots=5),))
    (trimmed,) = split.trim(submission, [PubResult({"measured": bits})])
    np.testing.assert_array_equal(trimmed.arrays["measured"], bits[:, :5])
    split.require_fit(submission, [trimmed])
    with pytest.raises(JobFailed, match="must have shape"):  # fewer are too few
        split.require_fit(submission, split.trim(submission, [PubResult({"measured": bits[:, :4]})]))


def test_different_metadata_of_chunks_is_kept() -> None:
    pub = Pub(b"", np.zeros((2, 1)), ((("Z", 1.0),),))
    submission = Submission("estimator", (pub,), {"resilience_level": 1})
    halves = split.halve((split.Part(0, 0, 2),))
    assert halves == (((0, 0, 1),), ((0, 1, 2),))
    pieces = [(parts, [PubResult({"evs": np.full((1, 1), k)}, {"k": k})]) for k, parts in enumerate(halves)]
    (whole,) = split.assemble(submission, pieces[::-1])
    assert whole.metadata == {"chunks": [{"k": 0}, {"k": 1}], "options": {"resilience_level": 1}}
    np.testing.assert_array_equal(whole.arrays["evs"], [[0], [1]])


def test_a_named_job_must_carry_the_lost_tag_where_the_service_finds_tags(store: Store) -> None:
    cloud = Cloud(faults={0: "die after"})
    with pytest.raises(Killed):
        runner(cloud, store).run(SUBMISSION)
    cloud.killed = False
    (lost,) = cloud.jobs
    cloud.submit(SUBMISSION, ("another",))
    with pytest.raises(ValueError, match=f"must be a job of stand-in with the tag .* but is job-1; .*: {lost}"):
        adopt_job(cloud, store, "run", "job-1")
    holder = runner(cloud, store)
    assert store.claim("run", holder._owner, now=0.0, lease=1e9) is None
    with pytest.raises(JobPending, match="is being worked on by process"):
        adopt_job(cloud, store, "run", lost)
    store.release("run", holder._owner)
    adopt_job(cloud, store, "run", lost)
    assert store.chunks("run")[0].job_id == lost
    assert_right(runner(cloud, store).run(SUBMISSION))


def test_a_named_job_of_a_run_that_is_cancelled_meanwhile_is_cancelled_too(store: Store) -> None:
    cloud = Cloud(faults={0: "die after"})
    with pytest.raises(Killed):
        runner(cloud, store).run(SUBMISSION)
    cloud.killed = False
    (lost,), find = cloud.jobs, cloud.find

    def cancelled_meanwhile(tag: str) -> list[str]:
        store.set_ended(tag, "cancelled", "by the user", now=0.0)
        return find(tag)

    cloud.find = cancelled_meanwhile
    with pytest.raises(ValueError, match="must be a run that goes on, but run was cancelled, and so is its job"):
        adopt_job(cloud, store, "run", lost)
    assert store.chunks("run")[0].job_id == lost
    assert cloud.jobs[lost].status == "cancelled"
