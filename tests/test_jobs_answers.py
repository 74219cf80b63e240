"""What a service answers: kept as it came, refused where it is no result, and never lost."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import qml.jobs.database
from circuits import Circuit, Z, weight
from qml.backends import Aer
from qml.jobs import DirectRunner, DurableRunner, JobFailed, Pub, PubResult, Store, Submission, answers, codec
from qml.jobs.plain import NESTING_LIMIT, as_json
from qml.remote import replies_of
from tests.stand_in import Cloud, Killed, Process

PUB = Pub(b"circuit", np.zeros((2, 1)), ((("ZI", 1.0),), (("XX", 0.5), ("IZ", -0.25))), shots=3)
ESTIMATE = Submission("estimator", (PUB,))
SAMPLE = Submission("sampler", (Pub(b"circuit", np.zeros((2, 1)), shots=3),))
VALUES = np.array([[0.25, -0.5], [1.0, 0.75]])
ERRORS = np.full((2, 2), 0.01)
BITS = np.array([[[0, 1], [1, 1], [0, 0]], [[1, 0], [0, 1], [1, 1]]], np.uint8)


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs the disk to be real."""
    monkeypatch.setattr(qml.jobs.database, "SYNCHRONOUS", "OFF")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "jobs.sqlite") as store:
        store.add_run("run", now=0.0, backend="stand-in")
        yield store


def answering(results: Any) -> Cloud:
    """A cloud that hands these results out once."""
    cloud = Cloud(once=True)
    plain = cloud.result

    def result(job_id: str) -> Any:
        plain(job_id)
        return results

    cloud.result = result
    return cloud


def result_of(arrays: Any, metadata: Any = None) -> PubResult:
    """A result with anything in it: the tests' type checks would not let it through its constructor."""
    result = PubResult({})
    object.__setattr__(result, "arrays", arrays)
    object.__setattr__(result, "metadata", {} if metadata is None else metadata)
    return result


def runner(cloud: Cloud, store: Store) -> DurableRunner:
    return Process(store.path, cloud).runner(store, "run")


def estimate(**arrays: Any) -> list[PubResult]:
    return [result_of({"evs": VALUES, "stds": ERRORS} | arrays)]


def changed(array: np.ndarray, value: float) -> np.ndarray:
    array = array.astype(float)
    array[0, 1] = value
    return array


@pytest.mark.parametrize(
    ("submission", "results", "message"),
    [
        (ESTIMATE, estimate(evs=changed(VALUES, np.nan)), "must be finite, but `evs` holds NaN"),
        (ESTIMATE, estimate(evs=changed(VALUES, -np.inf)), "must be finite"),
        (ESTIMATE, estimate(evs=changed(VALUES, 1e6)), "within 10 times .* but one is 1e\\+06 .* at most 0.75"),
        (ESTIMATE, estimate(evs=changed(VALUES, -8.0)), "one is -8 for an observable of at most 0.75"),
        (ESTIMATE, estimate(evs=VALUES + 0.5j), "must be real, but `evs` has imaginary parts"),
        (ESTIMATE, estimate(evs=VALUES.astype(str)), "must be finite|must hold real numbers|must have shape"),
        (ESTIMATE, estimate(evs=VALUES > 0), "must hold real numbers, but `evs` holds bool"),
        (ESTIMATE, estimate(evs=VALUES[0]), "must have shape"),
        (ESTIMATE, estimate(evs=VALUES[..., None]), "must have shape"),
        (ESTIMATE, estimate(evs=[[0.0, 0.0], [0.0]]), "must have shape"),
        (ESTIMATE, estimate(evs=None), "must have shape"),
        (
            ESTIMATE,
            estimate(stds=changed(ERRORS, -0.1)),
            "standard deviations .* must not be negative, but one is -0.1",
        ),
        (ESTIMATE, estimate(stds=changed(ERRORS, np.nan)), "must be finite, but `stds`"),
        (ESTIMATE, [result_of({"stds": ERRORS})], "must answer pub 0 with values"),
        (ESTIMATE, [result_of({"meas": BITS})], "must answer pub 0 with values"),
        (ESTIMATE, [], "must answer 1 pubs, but it answered 0"),
        (ESTIMATE, None, "must answer pub 0 with values"),
        (ESTIMATE, "an error page", "must answer pub 0 with values"),
        (ESTIMATE, {"evs": [0.0]}, "must answer pub 0 with values"),
        (SAMPLE, [result_of({"meas": BITS * 2})], "must hold bits, 0 or 1, but `meas` holds other values"),
        (SAMPLE, [result_of({"meas": np.full((2, 3, 2), np.nan)})], "must hold bits"),
        (SAMPLE, [result_of({"meas": -BITS.astype(np.int8)})], "must hold bits"),
        (SAMPLE, [result_of({"meas": BITS[:, :2]})], "must have shape"),
        (SAMPLE, [result_of({"meas": BITS[..., 0]})], "must have shape"),
        (SAMPLE, [result_of({"meas": np.array(["01", "10"])})], "must have shape"),
    ],
)
def test_what_is_no_result_fails_and_is_kept(store: Store, submission: Submission, results: Any, message: str) -> None:
    cloud = answering(results)
    for _ in range(2):  # the second time without a call
        with pytest.raises(JobFailed, match=message) as caught:
            runner(cloud, store).run(submission)
        assert "The reply is kept: `qml jobs replies run --out FILE.npz` writes it." in str(caught.value)
        assert "`qml jobs resume --again` sends" in str(caught.value)
    (chunk,) = store.chunks("run")
    assert (chunk.state, chunk.has_reply) == ("failed", True)
    reply = store.reply(chunk.tag)
    assert reply is not None
    kept = codec.unpack_results(reply)
    assert len(kept) == (len(results) if isinstance(results, list) else 1)
    assert [job.handed_out for job in cloud.jobs.values()] == [1]
    if isinstance(results, list) and results and isinstance(results[0].arrays.get("evs"), np.ndarray):
        evs = results[0].arrays["evs"]
        if evs.dtype.kind in "fc":
            np.testing.assert_array_equal(replies_of(store, "run")[f"{chunk.tag}/0/evs"], evs)
    if isinstance(results, list) and all(hasattr(a, "shape") for r in results for a in r.arrays.values()):
        direct = answering(results)
        with pytest.raises(JobFailed, match=message):
            DirectRunner(direct, sleep=direct.sleep).run(submission)


def test_a_refused_job_is_paid_again_only_when_asked(store: Store) -> None:
    cloud = answering(estimate(evs=VALUES * np.nan))
    with pytest.raises(JobFailed):
        runner(cloud, store).run(ESTIMATE)
    assert store.allow_again("run", now=0.0) == 1
    right = answering(estimate())
    right.jobs = cloud.jobs
    np.testing.assert_array_equal(runner(right, store).run(ESTIMATE)[0].arrays["evs"], VALUES)
    assert len(cloud.jobs) == 2


class Stubborn:
    """An object that has no text."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("metadata", "kept"),
    [
        ({"n": np.int64(3), "x": np.float32(0.5), "yes": np.bool_(True)}, {"n": 3, "x": 0.5, "yes": True}),
        ({"at": dt.datetime(2024, 1, 2, 3)}, {"at": "2024-01-02T03:00:00"}),
        ({"day": dt.date(2024, 1, 2)}, {"day": "2024-01-02"}),
        ({"z": 1 + 2j, "bytes": b"\x00\xff"}, {"z": "(1+2j)", "bytes": "b'\\x00\\xff'"}),
        ({"factors": np.arange(3), "pair": (1, {2})}, {"factors": [0, 1, 2], "pair": [1, [2]]}),
        ({3: "three", ("a", 1): None}, {"3": "three", "('a', 1)": None}),
        ({"shots": np.array([1 + 1j, 2])}, {"shots": ["(1+1j)", "(2+0j)"]}),
        ({"long": 10**5000}, {"long": hex(10**5000)}),
        ({"half": "\ud800"}, {"half": "\ud800"}),
    ],
)  # fmt: skip
def test_metadata_are_kept_whatever_is_in_them(store: Store, metadata: Any, kept: Any) -> None:
    cloud = answering([result_of({"evs": VALUES, "stds": ERRORS}, metadata)])
    for _ in range(2):
        (result,) = runner(cloud, store).run(ESTIMATE)
        np.testing.assert_array_equal(result.arrays["evs"], VALUES)
        assert result.metadata == kept | {"options": {}}


@pytest.mark.parametrize("value", [object(), Stubborn(), SimpleNamespace(a=1), range(3), type, np.ones(2, "V4")])
def test_objects_in_metadata_become_text(store: Store, value: Any) -> None:
    cloud = answering([result_of({"evs": VALUES, "stds": ERRORS}, {"raw": value})])
    (result,) = runner(cloud, store).run(ESTIMATE)
    np.testing.assert_array_equal(result.arrays["evs"], VALUES)
    assert result.metadata["raw"]


def test_lists_in_themselves_come_to_an_end() -> None:
    loop: list[Any] = []
    loop.append(loop)
    kept = as_json(loop)
    for _ in range(NESTING_LIMIT - 1):
        (kept,) = kept
    assert kept == ["[[...]]"]


@pytest.mark.parametrize(
    "arrays",
    [
        {"evs": VALUES.astype(complex), "stds": ERRORS},
        {"evs": VALUES.astype(np.longdouble), "stds": ERRORS},
        {"evs": VALUES.astype(">f8"), "stds": ERRORS.astype(np.float32).astype(">f4")},
        {"evs": VALUES.tolist(), "stds": ERRORS.tolist()},
        {"evs": torch.from_numpy(VALUES), "stds": torch.from_numpy(ERRORS)},
        {"evs": np.asfortranarray(VALUES), "stds": ERRORS, "spread": ERRORS * 1j},
    ],
)
def test_arrays_of_any_kind_become_real_numbers(store: Store, arrays: dict[str, Any]) -> None:
    cloud = answering([result_of(arrays)])
    for _ in range(2):
        (result,) = runner(cloud, store).run(ESTIMATE)
        assert result.arrays["evs"].dtype == np.float64
        np.testing.assert_array_equal(result.arrays["evs"], VALUES)
        if "spread" in arrays:
            np.testing.assert_array_equal(result.arrays["spread"], arrays["spread"])


def test_mitigated_values_may_lie_a_little_beyond(store: Store) -> None:
    cloud = answering(estimate(evs=VALUES * 1.2))
    np.testing.assert_array_equal(runner(cloud, store).run(ESTIMATE)[0].arrays["evs"], VALUES * 1.2)


def test_a_reply_outlives_a_death_before_it_was_checked(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qml.jobs.store.is_gone", lambda owner, lease, now: True)
    cloud = answering(estimate())

    def die(submission: Submission, results: list[PubResult]) -> list[PubResult]:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(answers, "checked", die)
        with pytest.raises(Killed):
            runner(cloud, store).run(ESTIMATE)
    np.testing.assert_array_equal(runner(cloud, store).run(ESTIMATE)[0].arrays["evs"], VALUES)
    assert [job.handed_out for job in cloud.jobs.values()] == [1]


def test_results_that_an_earlier_version_took_for_some_are_refused(store: Store) -> None:
    cloud = answering(estimate())
    runner(cloud, store).run(ESTIMATE)
    bad = codec.pack_results(estimate(evs=VALUES * np.nan))
    store._change("UPDATE chunks SET results = ?", bad)
    with pytest.raises(JobFailed, match="must be finite"):
        runner(cloud, store).run(ESTIMATE)
    (chunk,) = store.chunks("run")
    assert (chunk.state, store.reply(chunk.tag)) == ("failed", bad)


def test_a_primitive_that_answers_nan_is_refused_without_records(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Aer()
    nothing = [result_of({"evs": np.full((1, 1), np.nan), "stds": np.zeros((1, 1))})]
    monkeypatch.setattr(Aer, "run", lambda self, submission: nothing)
    with pytest.raises(JobFailed, match="must be finite"):
        backend.expectation(Circuit(1).ry(weight(0), 0), torch.zeros(1, 0), torch.tensor([0.5]), [Z(0)])


def test_a_deviation_that_a_service_cannot_tell_may_be_infinite() -> None:
    (result,) = answers.checked(ESTIMATE, estimate(stds=changed(ERRORS, np.inf)))
    assert np.isinf(result.arrays["stds"]).sum() == 1
