"""The file of records: what is refused, what is kept, and what comes back."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

import qml.jobs.database
from qml.jobs import JobFailed, Pub, PubResult, Store, StoreError, Submission, codec
from qml.jobs.owner import _since_boot, describe, is_gone, new_owner
from qml.jobs.split import Part
from qml.jobs.store import Stored, default_path

SUBMISSION = Submission(
    "estimator",
    (
        Pub(b"\x00circuit\xff", np.array([[0.1, -0.0], [1e-300, 3.0]]), ((("ZI", 1.0), ("IX", -0.5)),), 100, "key"),
        Pub(b"\x00circuit\xff", np.zeros((3, 0)), ((("II", 1.0),),)),
    ),
    {"seed": 3, "nested": {"list": [1, None, True, "ü"]}},
)


def filled(path: Path) -> Store:
    """A store with a run, a submission and a chunk that was sent."""
    store = Store(path)
    store.add_run("run", now=1.0, backend="stand-in", tags=("mine",), options={"shots": 10}, inputs=b"inputs")
    payload = codec.pack_submission(SUBMISSION)
    store.open_submission(
        "run", 0, Stored(codec.fingerprint(SUBMISSION), payload), [(Part(0, 0, 2), Part(1, 0, 3))], now=2.0
    )
    (chunk,) = store.chunks("run", 0)
    store.claim("run", "owner", now=2.0, lease=10.0)
    assert store.begin_sending(chunk.tag, "owner", now=3.0)
    assert store.set_sent(chunk.tag, "job", now=4.0)
    return store


def read_all(path: Path) -> None:
    """Whatever the commands read of a store, and a transaction."""
    with Store(path) as store:
        for run in store.runs():
            store.chunks(run.run_id)
            store.spent(run.run_id)
            store.inputs(run.run_id)
            for payload in store.payloads(run.run_id):
                codec.unpack_submission(payload)
            store.allow_again(run.run_id, now=0.0)


def test_submissions_come_back_as_they_were() -> None:
    back = codec.unpack_submission(codec.pack_submission(SUBMISSION))
    assert (back.kind, back.options) == (SUBMISSION.kind, SUBMISSION.options)
    for pub, right in zip(back.pubs, SUBMISSION.pubs, strict=True):
        assert pub.values.tobytes() == right.values.tobytes()
        assert pub.values.shape == right.values.shape
        kept = (right.circuit, right.observables, right.shots, right.key)
        assert (pub.circuit, pub.observables, pub.shots, pub.key) == kept
    assert codec.fingerprint(back) == codec.fingerprint(SUBMISSION)


def test_results_come_back_as_they_were() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (2, 5, 3), dtype=np.uint8)
    results = [PubResult({"evs": np.eye(2)[:, ::-1]}, {"note": "a.b"}), PubResult({"c.d": bits, "meas": bits})]
    for result, right in zip(codec.unpack_results(codec.pack_results(results)), results, strict=True):
        assert result.metadata == right.metadata
        assert set(result.arrays) == set(right.arrays)
        for name, array in right.arrays.items():
            np.testing.assert_array_equal(result.arrays[name], array)


def test_bits_of_shots_are_kept_small() -> None:
    bits = np.random.default_rng(0).integers(0, 2, (4, 4096, 20), dtype=np.uint8)
    assert len(codec.pack_results([PubResult({"meas": bits})])) < bits.nbytes / 4


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"seed": 4}},
        {"kind": "sampler"},
        {"pubs": SUBMISSION.pubs[:1]},
        {"pubs": (Pub(b"other", SUBMISSION.pubs[0].values), SUBMISSION.pubs[1])},
    ],
)
def test_fingerprints_tell_submissions_apart(change: dict) -> None:
    other = Submission(**{"kind": "estimator", "pubs": SUBMISSION.pubs, "options": SUBMISSION.options} | change)
    assert codec.fingerprint(other) != codec.fingerprint(SUBMISSION)


def test_a_key_stands_for_the_compiled_bytes() -> None:
    first, second = (
        Submission("estimator", (Pub(compiled, np.ones((1, 1)), (((label, 1.0),),), key="same"),), {"qubits": [label]})
        for compiled, label in ((b"layout 1", "ZI"), (b"layout 2", "IZ"))
    )
    assert codec.fingerprint(first) == codec.fingerprint(second)
    assert codec.same_values(first, second)
    unnamed = Submission("estimator", (Pub(b"", np.ones((1, 1))),), {"qubits": [1]})
    other = Submission("estimator", (Pub(b"", np.ones((1, 1))),), {"qubits": [2]})
    assert codec.fingerprint(unnamed) != codec.fingerprint(other)
    moved = Submission("estimator", (Pub(b"layout 1", np.ones((1, 1)) + 1e-4, ((("ZI", 1.0),),), key="same"),))
    assert not codec.same_values(first, moved)


def test_a_store_keeps_everything_over_processes(tmp_path: Path) -> None:
    path = tmp_path / "Größe é 量子" / "jobs.sqlite"
    with filled(path) as store:
        tag = store.chunks("run")[0].tag
        store.set_done(tag, b"results", now=5.0)
        store.set_outputs("run", b"outputs")
    with Store(path) as store:
        (run,) = store.runs()
        assert (run.run_id, run.backend, run.tags, run.options) == ("run", "stand-in", ("mine",), {"shots": 10})
        assert run.has_outputs
        (chunk,) = store.chunks("run")
        assert (chunk.state, chunk.job_id, chunk.sent, chunk.parts) == ("done", "job", 3.0, ((0, 0, 2), (1, 0, 3)))
        assert (store.results(tag), store.inputs("run"), store.outputs("run")) == (b"results", b"inputs", b"outputs")
    assert [item.name for item in path.parent.iterdir()] == ["jobs.sqlite"]


def test_states_only_change_forwards(tmp_path: Path) -> None:
    with filled(tmp_path / "jobs.sqlite") as store:
        tag = store.chunks("run")[0].tag
        assert not store.begin_sending(tag, "owner", now=5.0)
        assert not store.set_sent(tag, "another job", now=5.0)
        store.set_done(tag, b"results", now=6.0)
        store.set_ended(tag, "failed", "too late", now=7.0)
        store.set_done(tag, b"other results", now=8.0)
        assert (store.chunks("run")[0].state, store.results(tag)) == ("done", b"results")


def test_only_the_owner_sends_and_nobody_after_a_cancellation(tmp_path: Path) -> None:
    with Store(tmp_path / "jobs.sqlite") as store:
        store.add_run("run", now=1.0, backend="stand-in")
        store.open_submission("run", 0, Stored("", b""), [(Part(0, 0, 1),)], now=2.0)
        (chunk,) = store.chunks("run")
        assert not store.begin_sending(chunk.tag, "nobody", now=3.0)
        assert store.claim("run", "a", now=3.0, lease=10.0) is None
        assert not store.begin_sending(chunk.tag, "b", now=3.0)
        assert store.begin_sending(chunk.tag, "a", now=3.0)
        store.cancel_run("run", now=4.0)
        assert not store.begin_sending(chunk.tag, "a", now=5.0)


@pytest.mark.parametrize("damage", [slice(0, 16), slice(100, 4096), slice(16, 60)])
def test_a_corrupt_file_is_kept_and_a_new_one_begun(tmp_path: Path, damage: slice) -> None:
    path = tmp_path / "jobs.sqlite"
    filled(path).close()
    whole = bytearray(path.read_bytes())
    whole[damage] = b"\xff" * (damage.stop - damage.start)
    content = bytes(whole)
    for number in (1, 2):
        path.write_bytes(content)
        with pytest.raises(StoreError, match=rf"is corrupt. It is kept as jobs.sqlite.corrupt-{number}, and the next"):
            Store(path).runs()
        assert (tmp_path / f"jobs.sqlite.corrupt-{number}").read_bytes() == content
        assert not path.exists()
    filled(path).close()


def test_a_file_that_was_cut_short_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    filled(path).close()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="is corrupt"):
        Store(path).runs()
    assert (tmp_path / "jobs.sqlite.corrupt-1").read_bytes() == whole[: len(whole) // 2]


def test_pages_that_are_damaged_are_seen_when_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    filled(path).close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is corrupt"), Store(path) as store:
        store.runs()
    assert (tmp_path / "jobs.sqlite.corrupt-1").read_bytes() == content


def test_one_damaged_record_leaves_the_others_readable() -> None:
    for blob in (b"", b"nonsense", codec.pack_submission(SUBMISSION)[:-10]):
        with pytest.raises(StoreError, match="A record is damaged"):
            codec.unpack_submission(blob)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE mine (x)")
    connection.commit()
    connection.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="is a database of another program"):
        Store(path)
    assert path.read_bytes() == before
    with pytest.raises(ValueError, match=r"`store` must name a file ending in .sqlite, .sqlite3, .db, but is data.npy"):
        Store("data.npy")


@pytest.mark.parametrize(
    "content",
    [
        b"\x00the database of another program" * 300,
        b"garbage",
        b"SQLite format 3\x00" + b"\xff" * 4096,
        b"SQLite format 3\x00",
        b"BEGIN TRANSACTION;\nCREATE TABLE chunks (\n    tag TEXT PRIMARY KEY,\n",  # a dump of ours is text
        b"\n",
    ],
)
def test_what_cannot_be_recognised_is_not_touched(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "passwords.db"
    path.write_bytes(content)
    path.with_name("passwords.db-journal").write_bytes(b"of another program")
    with pytest.raises(StoreError, match=r"is left as it is\. Name another file with --store"):
        Store(path)
    assert path.read_bytes() == content
    assert sorted(item.name for item in tmp_path.iterdir()) == ["passwords.db", "passwords.db-journal"]


def test_a_file_of_another_program_is_not_touched_however_broken(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.executescript("PRAGMA application_id = 7; CREATE TABLE mine (x); INSERT INTO mine VALUES (1);")
    connection.close()
    broken = path.read_bytes()[:5000]
    path.write_bytes(broken)
    with pytest.raises(StoreError, match="is a database of another program, and is left as it is"):
        Store(path)
    assert path.read_bytes() == broken
    assert [item.name for item in tmp_path.iterdir()] == ["other.db"]


def test_the_users_own_file_is_rescued_even_where_nothing_is_left_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qml.jobs.store.default_path", lambda: tmp_path / "jobs.sqlite")
    (tmp_path / "jobs.sqlite").write_bytes(bytes(5000))
    with pytest.raises(StoreError, match=r"is corrupt\. It is kept as jobs.sqlite.corrupt-1"):
        Store()
    Store().close()


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE chunks", "PRAGMA user_version = 0", "PRAGMA user_version = -3", "UPDATE runs SET tags = 5"],
)
def test_our_file_with_another_schema_is_a_store_error(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "jobs.sqlite"
    filled(path).close()
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="damaged"):
        read_all(path)


@pytest.mark.parametrize(
    "change",
    [
        "runs SET tags = '[['", "runs SET tags = '[1]'", "runs SET options = '[]'", "runs SET options = x'ff'",
        "runs SET created = 'never'", "runs SET backend = x'00ff'", "runs SET max_jobs = 'many'",
        "runs SET max_jobs = -1", "chunks SET parts = '[[1,2,'",
        "chunks SET parts = '[[0]]'", "chunks SET parts = '{}'", "chunks SET parts = 'null'",
        "chunks SET sequence = 'x'", "submissions SET payload = 'text'", "submissions SET payload = x'00'",
        f"runs SET options = '{'[' * 20000}'", f"runs SET tags = '{'[' * 20000}{']' * 20000}'",
    ],
)  # fmt: skip
def test_a_damaged_row_is_a_store_error(tmp_path: Path, change: str) -> None:
    path = tmp_path / "jobs.sqlite"
    filled(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE {change}")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="damaged"):
        read_all(path)


def test_a_file_damaged_anywhere_is_read_or_a_store_error(tmp_path: Path) -> None:
    path, generator = tmp_path / "jobs.sqlite", random.Random(0)
    filled(path).close()
    whole = path.read_bytes()
    n_errors = 0
    for number in range(120):
        content = bytearray(whole)
        first = generator.randrange(len(whole))
        last = min(len(whole), first + generator.choice([1, 16, 700, 4096]))
        content[first:last] = [generator.randbytes(last - first), bytes(last - first), b""][number % 3]
        path.write_bytes(content)
        try:
            read_all(path)
        except StoreError:
            n_errors += 1
        for extra in tmp_path.iterdir():
            extra.unlink()
    assert n_errors > 30


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jobs.sqlite"
    filled(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match=r"has version 99, but this program reads 2. Update qml-circuits"):
        Store(path)
    assert path.exists()


def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path) -> None:
    with filled(tmp_path / "jobs.sqlite") as store:
        tag = store.chunks("run")[0].tag
        store._database._connection.execute("PRAGMA max_page_count = 1")  # SQLite's own way to be full
        with pytest.raises(StoreError, match=r"the disk is full. Free some space, then go on with `qml jobs resume`"):
            store.set_done(tag, bytes(100_000), now=5.0)
        assert store.chunks("run")[0].state == "sent"
        store._database._connection.execute("PRAGMA max_page_count = 100000")
        store.set_done(tag, bytes(100_000), now=5.0)


def test_no_results_are_asked_for_that_have_no_space(tmp_path: Path) -> None:
    with Store(tmp_path / "jobs.sqlite") as store:
        store.require_space(1000)
        with pytest.raises(StoreError, match=r"must have \d+ bytes free for the next results.*nothing was fetched"):
            store.require_space(shutil.disk_usage(tmp_path).free)


def test_a_locked_file_is_said_to_be_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qml.jobs.database, "PATIENCE", 0.05)
    path = tmp_path / "jobs.sqlite"
    with filled(path) as store:
        other = sqlite3.connect(path)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process has kept it locked"):
            store.set_outputs("run", b"")
        other.close()
        store.set_outputs("run", b"")


def test_folders_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"The folder of .* cannot be made"):
        Store(tmp_path / "file" / "jobs.sqlite")
    (tmp_path / "folder.sqlite").mkdir()
    with pytest.raises(StoreError, match="cannot be opened or made"):
        Store(tmp_path / "folder.sqlite")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"cannot be opened or made|read-only"):
        Store(tmp_path / "jobs.sqlite")
    tmp_path.chmod(0o700)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = filled(tmp_path / "jobs.sqlite")
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.runs()


def test_run_ids_are_unique_and_known(tmp_path: Path) -> None:
    with filled(tmp_path / "jobs.sqlite") as store:
        with pytest.raises(ValueError, match="`run_id` must be new, but 'run' is a run already"):
            store.add_run("run", now=1.0, backend="stand-in")
        with pytest.raises(ValueError, match=r"must be a run of .*, but 'walk' is none"):
            store.run("walk")
        with pytest.raises(ValueError, match="must be that of a chunk that is done"):
            store.results(store.chunks("run")[0].tag)


def test_owners_are_looked_up_here_and_waited_for_elsewhere() -> None:
    me = new_owner()
    assert not is_gone(me, lease=0.0, now=1e12)
    assert describe(me).startswith(f"process {os.getpid()} on ")
    earlier = json.loads(me)
    earlier |= {"started": earlier["started"] - 100.0, "since_boot": "another boot/1"}  # its number was given again
    assert is_gone(json.dumps(earlier), lease=1e12, now=0.0)
    assert is_gone(json.dumps(earlier | {"since_boot": None}), lease=1e12, now=0.0)
    elsewhere = json.dumps(json.loads(me) | {"machine": "elsewhere/"})
    assert is_gone(elsewhere, lease=1.0, now=2.0)
    assert not is_gone(elsewhere, lease=2.0, now=1.0)
    assert describe(elsewhere) == f"process {os.getpid()} on elsewhere"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_process_that_was_killed_is_gone_before_its_parent_asks() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    started = psutil.Process(child.pid).create_time()
    owner = json.loads(new_owner()) | {"pid": child.pid, "started": started, "since_boot": _since_boot(child.pid)}
    assert not is_gone(json.dumps(owner), lease=0.0, now=1.0)
    child.kill()
    until = time.monotonic() + 30
    while not is_gone(json.dumps(owner), lease=1e12, now=0.0):
        assert time.monotonic() < until
        time.sleep(0.01)
    child.wait()
    assert is_gone(json.dumps(owner), lease=1e12, now=0.0)


def test_a_process_is_known_by_the_kernels_time_not_by_a_clock_that_steps() -> None:
    stepped = json.loads(new_owner())
    stepped["started"] += 3600.0  # as it is read after a step of the clock
    assert not is_gone(json.dumps(stepped), lease=0.0, now=1e12)
    for owner in ("", "[]", "{}", '{"machine": 3, "pid": 7}', '{"machine": "x", "pid": "y"}'):
        with pytest.raises(StoreError, match="A record is damaged"):
            is_gone(owner, lease=0.0, now=0.0)


def test_the_default_file_is_in_the_users_data_folder() -> None:
    assert default_path().name == "jobs.sqlite"
    assert default_path().parent.name == "qml-circuits"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros(3), r"must be float64 of shape \(rows >= 1, parameters\), but is float64 \(3,\)"),
        (np.zeros((1, 1), np.float32), r"but is float32 \(1, 1\)"),
        (np.zeros((0, 2)), r"but is float64 \(0, 2\)"),
        (np.array([[np.nan]]), "must be finite"),
    ],
)
def test_values_are_checked_at_the_door(values: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Pub(b"", values)


def test_submissions_are_not_empty_and_shots_positive() -> None:
    with pytest.raises(ValueError, match="`pubs` must hold at least one"):
        Submission("estimator", ())
    with pytest.raises(ValueError, match="`shots` must be at least 1, but is 0"):
        Pub(b"", np.zeros((1, 1)), shots=0)


def test_failures_are_errors_of_their_own() -> None:
    assert issubclass(JobFailed, RuntimeError)
