"""`qml estimate`, `qml submit` and `qml jobs`, and what stands behind them."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn
from typer.testing import CliRunner, Result

import qml.jobs.runner
from qml import remote
from qml.backends import IBM, Aer
from qml.backends.resolve import resolve
from qml.commands.main import app
from qml.jobs import DurableRunner, JobFailed, PubResult, Retry, Store, Submission, codec
from qml.nn import (
    HQKAN,
    QKAN,
    QKANLSTM,
    QNNClassifier,
    QRNNClassifier,
    QRNNRegressor,
    QuantumNeuron,
    save_layer,
    save_model,
)
from tests import sending_backend
from tests.sending_backend import SERVICES, Sending
from tests.stand_in import Cloud

INPUTS = np.random.default_rng(0).random((6, 3)).astype(np.float32)


class Sky(Cloud):
    """The cloud with the right answers."""

    def result(self, job_id: str) -> list[PubResult]:
        super().result(job_id)
        return sending_backend.simulate(self.jobs[job_id].submission)

    circuit_cost = staticmethod(sending_backend.cost)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a model and data, where the backend `sending` exists and pauses are short."""
    names = importlib.import_module("qml.backends.resolve")
    monkeypatch.setitem(names.BACKENDS, "sending", names.NamedBackend(Sending))
    monkeypatch.setattr(qml.jobs.runner, "Retry", partial(Retry, first=0.001, longest=0.001, poll=0.001, settle=0.0))
    monkeypatch.chdir(tmp_path)
    save_layer(layer(), "model.safetensors")
    np.save("data.npy", INPUTS)
    yield tmp_path
    SERVICES.clear()


def layer() -> QNNClassifier:
    return QNNClassifier(3, "zx", generator=torch.Generator().manual_seed(1))


def right() -> np.ndarray:
    with torch.no_grad():
        return layer()(torch.from_numpy(INPUTS)).numpy()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def submit(*more: object) -> Result:
    return run("submit", "model.safetensors", "data.npy", "--backend", "sending", "--store", "jobs.sqlite", *more)


def jobs(command: str, *arguments: object) -> Result:
    return run("jobs", command, *arguments, "--store", "jobs.sqlite")


def state(*arguments: object) -> dict[str, Any]:
    result = jobs("list", "--json")
    assert result.exit_code == 0, result.output
    (only,) = json.loads(result.stdout)
    return only


# ---- estimate


def estimated(*more: object) -> dict[str, Any]:
    result = run("estimate", "model.safetensors", "data.npy", "--backend", "sending", "--json", *more)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_an_estimate_counts_what_is_sent(folder: Path) -> None:
    size = estimated("--shots", "100")
    assert size == {
        "backend": "sending", "jobs": 1, "circuits": 6, "shots": 600, "n_qubits": 4, "depth": 9, "two_qubit_gates": 6,
        "seconds": pytest.approx(2.0 + 600 * 1e-3),
    }  # fmt: skip
    assert {"data.npy", "model.safetensors"} == {path.name for path in folder.iterdir()}
    result = submit("--shots", "100")
    assert result.exit_code == 0, result.output
    assert len(state()["jobs"]) == size["jobs"]


def hybrid() -> nn.Sequential:
    generator = torch.Generator().manual_seed(2)
    model = nn.Sequential(
        nn.Linear(3, 3), nn.Sigmoid(), nn.Dropout(0.9), layer(), nn.Flatten(0), nn.Unflatten(0, (-1, 1))
    )
    with torch.no_grad():
        for value in model.parameters():
            value.uniform_(-1, 1, generator=generator)
    return model


def test_whole_models_are_estimated_and_submitted_in_eval_mode(folder: Path) -> None:
    model = hybrid()
    save_model(model, "model.safetensors")
    assert estimated("--shots", "100")["shots"] == 600
    assert remote.estimate(model, torch.from_numpy(INPUTS), IBM("fake_manila", shots=10), backward=True).jobs == 2
    result = submit("--json")
    assert result.exit_code == 0, result.output
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(INPUTS))
    np.testing.assert_allclose(json.loads(result.stdout)["outputs"], expected, rtol=0, atol=1e-6)  # float32
    save_model(nn.Linear(3, 1), "model.safetensors")
    result = submit()
    assert result.exit_code == 2
    assert "model.safetensors must hold a layer that runs on any backend, but is a Linear without one" in result.stderr


def test_a_model_that_begins_with_an_embedding_gets_whole_numbers() -> None:
    model = nn.Sequential(nn.Embedding(5, 3), layer())
    assert remote.as_tensor(np.array([[0.0, 4.0]]), model).dtype == torch.int64
    with pytest.raises(ValueError, match="must be whole numbers for a model that begins with an embedding"):
        remote.as_tensor(np.array([[0.5]]), model)


def test_an_estimate_without_shots_says_so(folder: Path) -> None:
    assert estimated()["shots"] == 0
    result = run("estimate", "model.safetensors", "data.npy", "--backend", "sending")
    assert "none: exact values" in result.output
    assert "On sending, before sending" in result.output


def test_an_estimate_counts_chunks_and_several_submissions() -> None:
    backend = Sending(shots=100_000)
    size = remote.estimate(layer(), torch.rand(250, 3), backend)
    assert (size.jobs, size.circuits, size.shots) == (3, 250, 25_000_000)


NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int, int]]] = {
    "QKAN": (lambda: QKAN([2, 1], reps=1), (3, 2), (1, 2)),  # jobs of a forward pass, and with a backward pass
    "HQKAN": (lambda: HQKAN(4, 2, reps=1), (3, 4), (1, 2)),
    "QKANLSTM": (lambda: QKANLSTM(1, 1, reps=1, batch_first=True), (3, 1, 1), (2, 4)),
    "QRNNRegressor": (lambda: QRNNRegressor(1, 1, n_stages=0, degree=1, batch_first=True), (3, 2, 1), (2, 4)),
    "QRNNClassifier": (lambda: QRNNClassifier(1, 1, 2, n_stages=0, degree=1, batch_first=True), (3, 2, 1), (1, 2)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_and_recurrent_layers_are_estimated_and_left_where_they_were(name: str) -> None:
    make, shape, jobs = NETWORKS[name]
    module, inputs = make(), torch.rand(*shape)
    expected = remote.predictions(module, inputs)
    place = IBM("fake_manila", shots=10)
    assert remote.estimate(module, inputs, Aer(), backward=True).jobs == jobs[1]
    next(module.parameters()).requires_grad_(False)  # what is frozen has no gradient
    found = [remote.estimate(module, inputs, place, backward=backward).jobs for backward in (False, True)]
    assert tuple(found) == jobs
    assert torch.equal(remote.predictions(module, inputs), expected)


def test_series_that_are_no_samples_are_refused() -> None:
    layer = QRNNClassifier(1, 1, 2, degree=1, batch_first=True)
    assert remote.as_tensor(np.zeros((3, 2, 1)), layer).shape == (3, 2, 1)
    with pytest.raises(ValueError, match=r"\(series, steps, features\) for a QRNNClassifier, but has \(3, 1\)"):
        remote.as_tensor(np.zeros((3, 1)), layer)
    for time_first in (QRNNClassifier(1, 1, 2, degree=1), QKANLSTM(1, 1)):
        with pytest.raises(ValueError, match="batch_first=True"):
            remote.as_tensor(np.zeros((3, 2, 1)), time_first)


def test_an_estimate_leaves_layer_and_seeds_as_they_were() -> None:
    module, generator = layer(), torch.Generator().manual_seed(3)
    before = generator.get_state()
    remote.estimate(module, torch.rand(2, 3), Sending(generator=generator))
    assert module.backend.name == "native"
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("command", ["estimate", "submit"])
@pytest.mark.parametrize(
    ("budget", "message"),
    [
        (("--max-seconds", "2.5"), "Budget: the run must take at most 2.5 s, but takes about 2.6 s"),
        (("--max-jobs", "0"), "`max_jobs` must be positive, but is 0"),
        (("--max-seconds", "-1"), "`max_seconds` must be positive, but is -1"),
        (("--max-seconds", "nan"), "`max_seconds` must be positive, but is nan"),
    ],
)
def test_budgets_refuse_before_anything_is_written(
    folder: Path, command: str, budget: tuple[str, ...], message: str
) -> None:
    options = ("model.safetensors", "data.npy", "--backend", "sending", "--shots", "100", *budget)
    result = run(command, *options, *(("--store", "jobs.sqlite") if command == "submit" else ()))
    assert result.exit_code == 2
    assert message in result.output
    assert not (folder / "jobs.sqlite").exists()


def test_budgets_that_are_kept_let_the_run_through(folder: Path) -> None:
    assert submit("--shots", "100", "--max-seconds", "3", "--max-jobs", "1").exit_code == 0


def test_a_budget_of_jobs_counts_chunks() -> None:
    size = remote.estimate(layer(), torch.rand(250, 3), Sending(shots=100_000))
    with pytest.raises(ValueError, match="at most 2 jobs, but takes 3"):
        remote.Budget(jobs=2).require(size)


def test_a_budget_holds_for_the_whole_run_until_it_is_raised(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky(largest=2)
    result = submit("--max-jobs", "2")
    assert result.exit_code == 2
    assert "may send at most 2 jobs, but sent 0 and needs 3 more" in result.stderr
    assert not cloud.jobs  # six rows need three jobs, or four by halves
    found = state()
    assert (found["max_jobs"], found["jobs_sent"], found["state"]) == (2, 0, "open")
    assert jobs("resume", found["run"]).exit_code == 2
    assert jobs("resume", found["run"], "--max-jobs", "3").exit_code == 2
    assert len(cloud.jobs) == 2  # of three planned ones, before the last was halved
    result = jobs("resume", found["run"], "--max-jobs", "4", "--out", "out.npy")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load("out.npy"), right(), atol=1e-6)
    assert len(cloud.jobs) == 4
    assert "4 of at most 4 jobs sent" in " ".join(jobs("status", found["run"]).output.split())


def test_a_budget_holds_over_failures_that_are_sent_again(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky(fails=lambda submission: True)
    assert submit("--max-jobs", "1").exit_code == 1
    for _ in range(2):
        result = jobs("resume", state()["run"], "--again")
        assert (result.exit_code, "sent 1 and needs 1 more" in result.stderr) == (2, True)
        assert state()["state"] == "failed"
    assert len(cloud.jobs) == 1
    cloud.fails = lambda submission: False
    assert jobs("resume", state()["run"], "--again", "--max-jobs", "2").exit_code == 0
    assert len(cloud.jobs) == 2


def test_a_limit_of_seconds_holds_too(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky(largest=3)
    result = submit("--shots", "100", "--max-seconds", "3")
    assert (result.exit_code, "may take at most 3 s" in result.stderr) == (2, True)
    assert len(cloud.jobs) == 1  # of three rows: 2.3 s
    run_id = state()["run"]
    assert jobs("resume", run_id, "--max-seconds", "5").exit_code == 0
    assert len(cloud.jobs) == 2
    SERVICES["sending"] = Sky(fails=lambda submission: True)
    submit("--shots", "100")
    other = json.loads(jobs("list", "--json").stdout)[1]["run"]
    result = jobs("resume", other, "--again", "--max-seconds", "5")
    assert (result.exit_code, "`max_seconds` must be left out" in result.stderr) == (2, True)


def test_seconds_that_nobody_knows_cannot_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    from qml.jobs import CircuitCost

    monkeypatch.setattr(sending_backend, "cost", lambda circuit: CircuitCost(4, 1, 1))
    size = remote.estimate(layer(), torch.rand(2, 3), Sending())
    assert size.seconds is None
    with pytest.raises(ValueError, match="the seconds on sending cannot be estimated"):
        remote.Budget(seconds=100.0).require(size)
    monkeypatch.setattr(sending_backend, "cost", lambda circuit: CircuitCost(4, 1, 1, seconds=0.0))
    assert remote.estimate(layer(), torch.rand(2, 3), Sending()).seconds == 0.0


# ---- submit, fetch, resume


def test_a_run_from_submission_to_predictions(folder: Path) -> None:
    result = submit("--tag", "thesis", "--out", "first.npy")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load("first.npy"), right(), atol=1e-6)  # float32
    found = state()
    assert (found["state"], found["tags"], found["backend"]) == ("done", ["thesis"], "sending")
    result = jobs("fetch", found["run"][:8], "--out", "second.csv")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.loadtxt("second.csv", delimiter=","), right(), atol=1e-6)
    result = jobs("status", found["run"])
    assert "done" in result.output
    assert found["run"] in jobs("list").output


def test_json_goes_to_the_standard_output_alone(folder: Path) -> None:
    found = json.loads(submit("--json").stdout)
    np.testing.assert_allclose(found["outputs"], right(), atol=1e-6)
    assert found["state"] == "done"
    assert len(found["model"]) == 64
    fetched = json.loads(jobs("fetch", found["run"], "--json").stdout)
    assert fetched["outputs"] == found["outputs"]


def test_seeded_shots_are_those_of_the_direct_run(folder: Path) -> None:
    found = json.loads(submit("--json", "--shots", "50", "--seed", "7").stdout)
    module = layer().to_backend(Sending(shots=50, generator=torch.Generator().manual_seed(7)))
    with torch.no_grad():
        direct = module(torch.from_numpy(INPUTS)).numpy()
    np.testing.assert_array_equal(np.float32(found["outputs"]), direct)
    assert np.abs(direct - right()).max() > 1e-3


def test_detached_runs_are_fetched_later(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky(looks=2)
    result = submit("--detach")
    assert result.exit_code == 0, result.output
    found = state()
    assert found["state"] == "running"
    result = jobs("fetch", found["run"])
    assert result.exit_code == 3
    assert "Only 0 of 1 jobs" in result.stderr
    status = json.loads(jobs("status", found["run"], "--json").stdout)
    assert status["jobs"][0]["service"] == "done"
    assert json.loads(jobs("status", found["run"], "--json", "--offline").stdout)["jobs"][0]["service"] is None
    result = jobs("fetch", found["run"], "--out", "out.npy")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load("out.npy"), right(), atol=1e-6)
    assert len(cloud.jobs) == 1


def test_ctrl_c_leaves_a_run_that_resume_finishes(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky({2: "interrupt after"}, looks=3)
    result = submit()
    assert result.exit_code == 130
    found = state()
    assert f"Stopped. Nothing is lost: `qml jobs resume {found['run']}` goes on." in result.stderr
    result = jobs("resume", found["run"], "--out", "out.npy")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load("out.npy"), right(), atol=1e-6)
    assert len(cloud.jobs) == 1


def test_failed_runs_are_sent_again_only_when_asked(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky(fails=lambda submission: True)
    result = submit()
    assert result.exit_code == 1
    assert "the cryostat is warm" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 2  # the run's name and the error
    found = state()
    assert found["state"] == "failed"
    assert "cryostat" in jobs("status", found["run"], "--json").output
    assert jobs("resume", found["run"]).exit_code == 1
    assert len(cloud.jobs) == 1
    cloud.fails = lambda submission: False
    assert jobs("resume", found["run"], "--again").exit_code == 0
    assert len(cloud.jobs) == 2
    assert jobs("resume", found["run"], "--again").exit_code == 0
    assert len(cloud.jobs) == 2


class Broken(Sky):
    """A cloud that answers all with one value, once."""

    value = float("nan")

    def result(self, job_id: str) -> list[PubResult]:
        return [
            PubResult({"evs": np.full_like(result.arrays["evs"], self.value), "stds": result.arrays["stds"]})
            for result in super().result(job_id)
        ]


@pytest.mark.parametrize("value", [np.nan, np.inf, -1e6])
def test_what_is_no_result_ends_as_failed_and_can_be_looked_at(folder: Path, value: float) -> None:
    cloud = SERVICES["sending"] = Broken(once=True)
    cloud.value = value
    result = submit("--json", "--out", "out.npy")
    assert result.exit_code == 1
    assert not result.stdout
    assert "qml jobs replies" in result.stderr
    assert "qml jobs resume --again" in result.stderr
    assert not (folder / "out.npy").exists()
    found = state()
    assert found["state"] == "failed"
    result = run("jobs", "replies", found["run"], "--out", "replies.npz", "--store", "jobs.sqlite")
    assert result.exit_code == 0, result.output
    with np.load("replies.npz") as kept:
        (name,) = (name for name in kept.files if name.endswith("evs"))
        np.testing.assert_array_equal(kept[name], np.full((6, 1), value))
    assert "ending in .npz" in run("jobs", "replies", found["run"], "--out", "r.csv", "--store", "jobs.sqlite").stderr
    cloud.value = 0.5
    assert jobs("resume", found["run"], "--again").exit_code == 0
    assert "has none" in run("jobs", "replies", found["run"], "--out", "r.npz", "--store", "jobs.sqlite").stderr


def test_predictions_that_are_no_numbers_are_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submit()
    found = state()
    with Store("jobs.sqlite") as store:  # as an earlier version left it
        store.set_outputs(found["run"], codec.pack({"outputs": np.full((6, 1), np.nan)}, {}))
    fetched = json.loads(jobs("fetch", found["run"], "--json").stdout)
    np.testing.assert_allclose(fetched["outputs"], right(), atol=1e-6)
    runs = importlib.import_module("qml.remote.runs")
    monkeypatch.setattr(runs, "predictions", lambda layer, inputs: torch.full((6, 1), torch.nan))
    result = submit("--json")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "must be finite, but hold NaN" in result.stderr


# ---- text of others


@pytest.mark.parametrize("tag", ["[/red]", "[bold]x", "[link=file:///x]y[/]", "x\\", "\\[x", "[", "ok"])
def test_tags_are_listed_as_they_are(folder: Path, monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with Store("jobs.sqlite") as store:
        store.add_run("[red]run[/]", now=0.0, backend="aer[/]", tags=(tag,))
    result = jobs("list")
    assert result.exit_code == 0, result.output
    assert all(text in result.output for text in ("[red]run[/]", "aer[/]", tag))
    result = jobs("status", "[red]run[/]", "--offline")
    assert (result.exit_code, "[red]run[/] on aer[/]" in result.output) == (0, True)


HOSTILE = "\x1b[31m\x1b]0;title\x07\r\u202e\x9b2J[/x][bold]"
SHOWN = "\\x1b[31m\\x1b]0;title\\x07\\r\\u202e\\x9b2J[/x][bold]"


def test_text_of_a_service_does_not_steer_the_terminal(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")

    class Hostile(Sky):
        def submit(self, submission: Submission, tags: Sequence[str]) -> str:
            job_id = super().submit(submission, tags)
            self.jobs[HOSTILE] = self.jobs.pop(job_id)
            return HOSTILE

        def result(self, job_id: str) -> list[PubResult]:
            raise JobFailed(f"bad {HOSTILE}")

    SERVICES["sending"] = Hostile()
    result = submit("--tag", HOSTILE)
    assert result.exit_code == 1
    whole = result.output + result.stderr
    for command in (("list",), ("status", state()["run"])):
        shown = jobs(*command)
        assert shown.exit_code == 0, shown.exception
        assert SHOWN.replace("\\r", "\\r") in shown.output
        whole += shown.output
    assert not set("\x1b\x07\r\u202e\x9b") & set(whole)


def test_a_file_of_another_program_is_left_by_every_command(folder: Path) -> None:
    content = b"\x00the database of another program" * 300
    for command in (("list",), ("status", "x"), ("fetch", "x"), ("resume", "x"), ("cancel", "x")):
        (folder / "passwords.db").write_bytes(content)
        result = run("jobs", *command, "--store", "passwords.db")
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert "passwords.db is no file of job records, and is left as it is" in result.stderr
        assert (folder / "passwords.db").read_bytes() == content
    assert run("submit", "model.safetensors", "data.npy", "--backend", "sending", "--store", "passwords.db").exit_code
    (folder / "empty.db").write_bytes(b"")
    (folder / "folder.db").mkdir()
    assert "empty.db is empty" in run("jobs", "list", "--store", "empty.db").stderr
    assert "it is no file" in run("jobs", "list", "--store", "folder.db").stderr
    assert (folder / "empty.db").read_bytes() == b""
    names = {path.name for path in folder.iterdir()}
    assert names == {"data.npy", "model.safetensors", "passwords.db", "empty.db", "folder.db"}


def test_asking_for_a_backend_contacts_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def contacted(self: Aer) -> None:
        raise AssertionError("the account was contacted")

    monkeypatch.setattr(Aer, "service", property(contacted))
    make: Any = getattr(remote.make_backend, "__wrapped__", remote.make_backend)  # the tests' type checks do ask
    assert isinstance(make("aer"), Aer)
    assert isinstance(resolve(Aer()), Aer)


def test_cancelled_runs_stay_so_unless_asked(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky(looks=10**6)
    submit("--detach")
    found = state()
    result = jobs("cancel", found["run"])
    assert result.exit_code == 0, result.output
    assert state()["state"] == "cancelled"
    assert [job.status for job in cloud.jobs.values()] == ["cancelled"]
    result = jobs("resume", found["run"])
    assert (result.exit_code, "--again` sends it after all" in result.stderr) == (2, True)
    cloud.looks = 0
    assert jobs("resume", found["run"], "--again").exit_code == 0


def test_a_service_that_is_down_is_said_to_be(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky(dict.fromkeys(range(1, 1000), "refuse"))
    result = submit()
    assert result.exit_code == 1
    assert "did not answer in 6 attempts" in result.stderr
    status = json.loads(jobs("status", state()["run"], "--json").stdout)
    assert status["jobs"][0]["service"].startswith("no answer")
    cloud.faults = {}
    assert jobs("resume", state()["run"]).exit_code == 0


def test_a_run_that_is_done_is_not_cancelled(folder: Path) -> None:
    submit()
    assert jobs("cancel", state()["run"]).exit_code == 0
    assert state()["state"] == "done"


def test_tags_that_services_do_not_take_are_refused(folder: Path) -> None:
    for tags in (["--tag", ""], ["--tag", "x" * 87], ["--tag", "x"] * 7):
        result = submit(*tags)
        assert (result.exit_code, "`tag` must be given at most 6 times, each of 1 to 86" in result.stderr) == (2, True)


def test_ctrl_c_before_anything_was_sent_is_quiet(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: Path) -> np.ndarray:
        raise KeyboardInterrupt

    monkeypatch.setattr(remote, "read_inputs", interrupted)
    result = submit()
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")


def test_a_run_is_written_down_before_its_circuits_are_counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(remote, "estimate", interrupted)
    result = submit()
    run_id = state()["run"]
    assert result.exit_code == 130
    assert f"qml jobs resume {run_id}" in result.stderr
    assert jobs("resume", run_id).exit_code == 0


def test_a_run_that_has_no_circuits_leaves_no_record(folder: Path) -> None:
    np.save("data.npy", np.zeros((2, 4), np.float32))
    assert "must have shape (..., 3)" in submit().stderr
    assert json.loads(jobs("list", "--json").stdout) == []


def test_a_resumed_run_remembers_its_output(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SERVICES["sending"] = Sky({0: "interrupt before"})
    assert submit("--out", "first.npy").exit_code == 130
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    store = ("--store", folder / "jobs.sqlite")
    assert run("jobs", "resume", "20", *store).exit_code == 0
    np.testing.assert_allclose(np.load(folder / "first.npy"), right(), atol=1e-6)
    assert not list((folder / "elsewhere").iterdir())
    assert run("jobs", "fetch", "20", "--out", "second.npy", *store).exit_code == 0
    np.testing.assert_allclose(np.load("second.npy"), right(), atol=1e-6)


def test_records_outlive_the_files_that_they_came_from(folder: Path) -> None:
    SERVICES["sending"] = Sky({0: "interrupt before"})
    assert submit().exit_code == 130
    (folder / "model.safetensors").unlink()
    (folder / "data.npy").unlink()
    assert jobs("resume", state()["run"], "--out", "out.npy").exit_code == 0
    np.testing.assert_allclose(np.load("out.npy"), right(), atol=1e-6)


def test_jobs_of_another_program_are_brought_in(folder: Path) -> None:
    cloud = SERVICES["sending"] = Sky({3: "interrupt after"}, looks=3)
    backend, module = Sending(), layer()
    with Store("jobs.sqlite") as store:
        store.add_run("mine", now=0.0, backend="sending")
        module.to_backend(backend.with_runner(DurableRunner(cloud, store, "mine")))
        with pytest.raises(KeyboardInterrupt):
            module(torch.from_numpy(INPUTS))
    assert state()["state"] == "running"
    assert "must be left out for run mine" in jobs("resume", "mine", "--out", "o.npy").stderr
    result = jobs("fetch", "mine")
    assert (result.exit_code, "All 1 jobs of run mine have results" in result.output) == (0, True)
    assert state()["state"] == "stored"
    with Store("jobs.sqlite") as store, torch.no_grad():
        module.to_backend(backend.with_runner(DurableRunner(cloud, store, "mine")))
        np.testing.assert_allclose(module(torch.from_numpy(INPUTS)).numpy(), right(), atol=1e-6)
    assert len(cloud.jobs) == 1


def test_a_fake_device_gives_what_the_layer_gives_on_it(folder: Path) -> None:
    options = ("model.safetensors", "data.npy", "--shots", "50", "--json")
    found = run("submit", *options, "--backend", "aer:fake_manila", "--seed", "3", "--store", "jobs.sqlite")
    assert found.exit_code == 0, found.output
    module = layer().to_backend(Aer(noise="fake_manila", shots=50, generator=torch.Generator().manual_seed(3)))
    with torch.no_grad():
        direct = module(torch.from_numpy(INPUTS)).numpy()
    np.testing.assert_array_equal(np.float32(json.loads(found.stdout)["outputs"]), direct)
    size = json.loads(run("estimate", *options, "--backend", "ibm:fake_manila").stdout)
    assert (size["jobs"], size["circuits"], size["shots"]) == (1, 6, 300)
    assert size["seconds"] > 2.0 + 300 * 250e-6  # a job, and the pauses between executions
    simulated = json.loads(run("estimate", *options, "--backend", "aer:fake_manila").stdout)
    seconds = pytest.approx(size["seconds"], rel=0.01)  # an estimator's circuit is without its read-out
    assert simulated == size | {"backend": "aer:fake_manila", "seconds": seconds}


@pytest.mark.parametrize(
    ("options", "overhead"), [({}, 1), ({"zne": (1, 3)}, 2), ({"resilience_level": 2}, 3), ({"resilience_level": 1}, 1)]
)
def test_an_estimate_counts_what_mitigation_runs(options: dict[str, Any], overhead: int) -> None:
    plain = remote.estimate(layer(), torch.rand(2, 3), IBM("fake_manila", shots=50))
    size = remote.estimate(layer(), torch.rand(2, 3), IBM("fake_manila", shots=50, **options))
    assert (size.circuits, size.shots) == (overhead * plain.circuits, overhead * plain.shots)
    assert plain.seconds is not None
    assert size.seconds == pytest.approx(2.0 + overhead * (plain.seconds - 2.0))


# ---- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.safetensors", "data.npy", "--backend", "sending"), "No such file"),
        (("data.npy", "data.npy", "--backend", "sending"), "is corrupt, or no safetensors file"),
        (("neuron.safetensors", "data.npy", "--backend", "sending"), "must post-select qubits inside a circuit"),
        (("model.safetensors", "missing.npy", "--backend", "sending"), "No such file"),
        (("model.safetensors", "model.safetensors", "--backend", "sending"), "must have shape (samples, features)"),
        (("model.safetensors", "data.npy", "--backend", "nowhere"), "`backend` must be one of native, "),
        (("model.safetensors", "data.npy", "--backend", "native"), "'native' computes at once"),
        (("model.safetensors", "wide.npy", "--backend", "sending"), "must have shape (..., 3), but has shape (2, 4)"),
        (("model.safetensors", "data.npy", "--backend", "sending", "--out", "o.txt"), "ending in .npy or .csv"),
        (("model.safetensors", "data.npy", "--backend", "sending", "--out", "no/o.npy"), "in a folder that exists"),
        (("model.safetensors", "data.npy", "--backend", "sending", "--store", "jobs.txt"), "`store` must name a file"),
    ],
)
def test_bad_input_is_refused_in_one_line(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    np.save("wide.npy", np.zeros((2, 4)))
    save_layer(QuantumNeuron(2), "neuron.safetensors")
    result = run("submit", *arguments, *(() if "--store" in arguments else ("--store", "jobs.sqlite")))
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    if (folder / "jobs.sqlite").exists():
        with Store("jobs.sqlite") as records:
            assert not records.runs()


def test_runs_are_named_without_doubt(folder: Path) -> None:
    assert "jobs.sqlite does not exist" in jobs("fetch", "x").stderr
    submit("--detach")
    submit("--detach")
    first, second = json.loads(jobs("list", "--json").stdout)
    assert "begins those of none" in jobs("status", "nothing").stderr
    both = jobs("status", first["run"][:8])
    assert (both.exit_code, second["run"] in both.stderr) == (2, True)


def test_a_store_that_is_not_there_is_not_made_by_looking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = jobs("list")
    assert (result.exit_code, "does not exist" in result.stderr) == (2, True)
    monkeypatch.setenv("XDG_DATA_HOME", str(folder / "data"))
    monkeypatch.setattr("qml.jobs.store.default_path", lambda: folder / "data" / "jobs.sqlite")
    assert json.loads(run("jobs", "list", "--json").stdout) == []
    assert "there is no run yet" in run("jobs", "resume", "x").stderr
    assert not (folder / "data").exists()


def test_a_corrupt_store_ends_with_one_line(folder: Path) -> None:
    submit()
    content = bytearray((folder / "jobs.sqlite").read_bytes())
    content[100:4096] = bytes(3996)
    (folder / "jobs.sqlite").write_bytes(content)
    result = submit()
    assert result.exit_code == 1
    assert "is corrupt. It is kept as jobs.sqlite.corrupt-1" in result.stderr
    assert submit().exit_code == 0


def test_data_files_are_read_alike(tmp_path: Path) -> None:
    values = INPUTS.astype(np.float64)
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "b.npz", labels=np.zeros(6), inputs=values)
    save_file({"only": values}, tmp_path / "c.safetensors")
    rows = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    (tmp_path / "d.csv").write_text(f"\ufefffirst,second,third\n{rows}\n\n", encoding="utf-8")
    (tmp_path / "e.csv").write_text(rows)
    for path in tmp_path.iterdir():
        np.testing.assert_array_equal(remote.read_inputs(path), values)
    np.save(tmp_path / "a.npy", np.ones((2, 2), bool))
    assert remote.read_inputs(tmp_path / "a.npy").dtype == np.float64


@pytest.mark.parametrize(
    "text",
    ["x,y\n1,2\n3,4", "# x,y\n1,2\n3,4", "# made by hand\n# twice\n1,2\n3,4", "x1,x2\r\n1,2\r\n3,4\r\n", "1,2\r3,4\r",
     '"a, b",c\n"1",2\n3,4', "2m_temp,10m_wind\n1,2\n3,4", " 1 , 2.\n\n+3,4e0\n", "\ufeff\u03b8,\u6e29\n1,2\n3,4"],
)  # fmt: skip
def test_a_header_is_a_line_without_numbers(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    np.testing.assert_array_equal(remote.read_inputs(tmp_path / "a.csv"), [[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_array_equal(remote.read_inputs(str(tmp_path / "a.csv")), [[1.0, 2.0], [3.0, 4.0]])


def header(shape: str) -> bytes:
    """A `.npy` file that says it has this shape, and has nothing."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(118) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"1,2", "must be a file ending in .npy, .npz, .csv, .safetensors"),
        ("a.npy", b"", "must be a readable .npy file"),
        ("a.npy", b"\x93NUMPY", "must be a readable .npy file"),
        ("a.npz", b"PK\x03\x04", "must be a readable .npz file"),
        ("a.safetensors", b"\x00" * 20, "must be a readable .safetensors file"),
        ("a.csv", b"", "it holds no numbers"),
        ("a.csv", b"x,y\n", "it holds no numbers"),
        ("a.csv", b"1,2\n3\n", "must be a readable .csv file"),
        ("a.csv", b"1,2\n3,four\n", "must be a readable .csv file"),
        ("a.csv", b"\xff\xfe1", "must be a readable .csv file"),
        ("a.csv", b"1,nan\n", "must be finite"),
        ("a.csv", b"1,x\n1,2\n3,4\n", "line 1 must hold numbers only, but has 'x'"),
        ("a.csv", b"1j,2\n1,2\n", "line 1 must hold numbers only, but has '1j'"),
        ("a.csv", b"1j,2j\n1,2\n", "line 1 must hold numbers only, but has '1j'"),
        ("a.csv", b"1,\n1,2\n", "line 1 must hold numbers only, but has ''"),
        ("a.csv", b",b\n1,2\n", "line 1 must hold numbers only, but has ''"),
        ("a.csv", b"nan,1\n1,2\n", "line 1 must be finite, but has 'nan'"),
        ("a.csv", b"x,inf\n1,2\n", "line 1 must hold numbers only, but has 'x'"),
        ("a.csv", b"NA\n1\n", "line 1 must hold numbers only, but has 'NA'"),
        ("a.csv", b"x,x\n1,2\n", "line 1 must hold numbers, or a name for each column, but names repeat"),
        ("a.csv", b"x,y\n1,2\nx,y\n3,4\n", "line 3 must hold numbers only, but has 'x'"),
        ("a.csv", b"x,y\n\n1,2\n1,2,3\n", "line 4 must have 2 cells, as the lines before, but has 3"),
        ("a.csv", b"x,y,z\n1,2\n", "line 2 must have 3 cells"),
        ("a.csv", b"1;2\n3;4\n", "line 1 must hold numbers only, but has '1;2'. Separate cells with commas"),
        ("a.csv", b"1\t2\n3\t4\n", "Separate cells with commas"),
        ("a.csv", b"1.5 2\n", "line 1 must hold numbers only"),
        ("a.csv", b"1_0,2\n3,4\n", "line 1 must hold numbers only, but has '1_0'"),
        ("a.csv", b"0x10,0x11\n3,4\n", "line 1 must hold numbers only, but has '0x10'"),
        ("a.csv", b"12%,13%\n3,4\n", "line 1 must hold numbers only, but has '12%'"),
        ("a.csv", b"#1,2\n3,4\n", "line 1 must hold numbers only, but has '#1'"),
        ("a.csv", b"1,2\n#,3\n", "line 2 must hold numbers only, but has '#'"),
        ("a.csv", b"1,2\n3,1e999\n", "must be finite"),
        ("a.csv", b"1" * 200_000 + b"\n", "must be a readable .csv file"),
        ("a.csv", b'1,"2\n', "must be a readable .csv file"),
        ("a.csv", b"1,\x002\n", "must be a readable .csv file"),
        ("a.csv", "1,2\n".encode("utf-16"), "must be a readable .csv file"),
        ("a.npy", header("(1000000000000, 1000)"), "it must hold 1000000000000000 values of float64, but is cut short"),
        ("a.npy", header("(-3, 2)"), "must be a readable .npy file"),
        ("a.npy", header("(" * 90 + ")" * 90), "must be a readable .npy file"),
        ("a.npy", header("(2, 2)" + " " * 20_000), "must be a readable .npy file"),
        ("a.npz", b"PK\x05\x06" + bytes(18), "one array, or one called `inputs`, but holds"),
        ("a.npy", np.array([["a"]]), "must hold real numbers, but .* holds <U1"),
        ("a.npy", np.array([[1j]]), "must hold real numbers, but .* holds complex128"),
        ("a.npy", np.array([[{}]]), "must be a readable .npy file"),
        ("a.npy", np.zeros(3), r"has shape \(3,\). Reshape a single sample to \(1, features\)"),
        ("a.npy", np.zeros((0, 3)), "at least one of each"),
        ("a.npy", np.array([[np.inf]]), "must be finite"),
        ("a.npz", {"x": np.zeros(3), "y": np.zeros(3)}, "one array, or one called `inputs`, but holds"),
        ("a.npz", {}, "one array, or one called `inputs`, but holds"),
    ],
)
def test_data_is_checked_at_the_door(tmp_path: Path, name: str, content: object, message: str) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        remote.read_inputs(path)


# ---- killed for real

PROGRAM = """
import importlib, sys, time
from tests import sending_backend
names = importlib.import_module("qml.backends.resolve")
names.BACKENDS["sending"] = names.NamedBackend(sending_backend.Sending)
started = sys.argv.pop(1)
def slow(submission):
    open(started, "w").close()
    time.sleep(60)
sending_backend.simulate = slow
from qml.commands.main import main
main()
"""


def test_a_process_that_is_killed_is_resumed_by_another(folder: Path) -> None:
    root = Path(__file__).parent.parent
    environment = os.environ | {"PYTHONPATH": str(root)}
    arguments = ["model.safetensors", "data.npy", "--backend", "sending", "--store", "jobs.sqlite", "--shots", "9"]
    command = [sys.executable, "-c", PROGRAM, str(folder / "job.started"), "submit", *arguments, "--seed", "5"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        started = time.monotonic()
        while not (folder / "job.started").exists():
            assert process.poll() is None
            assert time.monotonic() - started < 120
        os.kill(process.pid, signal.SIGKILL)
    found = state()
    assert found["state"] == "open"
    assert found["jobs"][0]["state"] == "sending"
    result = jobs("resume", found["run"], "--out", "out.npy")
    assert result.exit_code == 0, result.output
    module = layer().to_backend(Sending(shots=9, generator=torch.Generator().manual_seed(5)))
    with torch.no_grad():
        np.testing.assert_array_equal(np.load("out.npy"), module(torch.from_numpy(INPUTS)).numpy())
