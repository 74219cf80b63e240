"""Jobs of a Qiskit provider that finds them by their ids: durable through `qml submit`, whatever happens on the way."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qiskit.circuit import QuantumCircuit
from qiskit.providers.basic_provider import BasicSimulator
from typer.testing import CliRunner, Result

import qml.jobs.runner
from circuits import Circuit, Z, data
from qml.backends import Provider
from qml.backends.primitives.client_errors import client_errors, http_status
from qml.backends.primitives.provider_service import ProviderService
from qml.commands.main import app
from qml.jobs import JobError, JobNotFound, Retry, ServiceUnavailable, SubmissionTooLarge
from qml.nn import QNNClassifier, save_layer
from tests import provider_cloud
from tests.provider_cloud import ClientError, FolderDevice, Timeout

INPUTS = np.random.default_rng(0).random((6, 3)).astype(np.float32)
N_JOBS = 2  # of three circuits each: the device takes four, and six are halved


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FolderDevice]:
    """The device of a folder, which is the backend `folder:cloud`, beside a model and data."""
    names, cloud = importlib.import_module("qml.backends.resolve"), tmp_path / "cloud"
    made = FolderDevice(cloud)
    cloud.mkdir()
    backend = names.NamedBackend(lambda device: Provider(made, shots=2000), "device", required=True)
    monkeypatch.setitem(names.BACKENDS, "folder", backend)
    monkeypatch.setattr(qml.jobs.runner, "Retry", partial(Retry, first=0.001, longest=0.001, poll=0.001, settle=0.0))
    monkeypatch.chdir(tmp_path)
    save_layer(layer(), "model.safetensors")
    np.save("data.npy", INPUTS)
    return made


def layer() -> QNNClassifier:
    return QNNClassifier(3, "zx", generator=torch.Generator().manual_seed(1))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--store", "jobs.sqlite"])


def submit(*more: object) -> Result:
    return run("submit", "model.safetensors", "data.npy", "--backend", "folder:cloud", *more)


def state() -> dict[str, Any]:
    (only,) = json.loads(run("jobs", "list", "--json").stdout)
    return only


def states() -> list[str]:
    return [job["state"] for job in state()["jobs"]]


def assert_right(path: str = "out.npy") -> None:
    with torch.no_grad():
        exact = layer()(torch.from_numpy(INPUTS)).numpy()
    np.testing.assert_allclose(np.load(path), exact, rtol=0, atol=5 / 2000**0.5)  # five standard deviations at most


def test_a_run_is_sent_in_jobs_of_the_devices_size_and_collected(device: FolderDevice) -> None:
    result = submit("--out", "out.npy")
    assert result.exit_code == 0, result.output
    assert len(device.sent) == N_JOBS
    assert_right()


def test_detached_jobs_are_found_by_their_ids_in_another_process(device: FolderDevice) -> None:
    device.looks = 6
    assert submit("--detach").exit_code == 0
    assert len(device.sent) == N_JOBS
    assert states() == ["sent"] * N_JOBS
    run_id = state()["run"]
    other = FolderDevice(device.folder)  # knows nothing but the folder
    names = importlib.import_module("qml.backends.resolve")
    names.BACKENDS["folder"] = names.NamedBackend(lambda device: Provider(other, shots=2000), "device", required=True)
    shown = run("jobs", "status", run_id, "--json")
    assert [job["service"] for job in json.loads(shown.stdout)["jobs"]] == ["queued"] * N_JOBS, shown.output
    assert run("jobs", "fetch", run_id, "--out", "out.npy").exit_code == 3  # they are queued
    result = run("jobs", "resume", run_id, "--out", "out.npy")
    assert result.exit_code == 0, result.output
    assert len(device.sent) == N_JOBS
    assert_right()


@pytest.mark.parametrize("error", [ConnectionError("gone"), Timeout("gone"), ClientError(503)], ids=repr)
def test_a_lost_reply_stops_the_run_and_nothing_is_sent_twice(device: FolderDevice, error: Exception) -> None:
    device.faults["after"] = [error]
    result = submit("--out", "out.npy")
    assert result.exit_code == 1, result.output
    assert "whose id was lost" in result.output
    run_id = state()["run"]
    assert len(device.sent) == 1
    assert states() == ["sending", "planned"]
    assert "whose id was lost" in run("jobs", "resume", run_id).output  # still, in any process
    assert len(device.sent) == 1
    # The way out that the message names: the user looks at the provider's list, and pays once more.
    assert run("jobs", "cancel", run_id).exit_code == 0
    result = run("jobs", "resume", run_id, "--again", "--out", "out.npy")
    assert result.exit_code == 0, result.output
    assert len(device.sent) == 1 + N_JOBS
    assert_right()


def test_a_lost_job_is_taken_up_by_the_id_that_the_providers_list_shows(device: FolderDevice) -> None:
    device.faults["after"] = [Timeout("gone")]
    assert submit("--out", "out.npy").exit_code == 1
    run_id, (lost,) = state()["run"], device.sent
    refused = run("jobs", "resume", run_id, "--job", "never")
    assert refused.exit_code == 1
    assert "Job never is unknown to folder" in refused.output
    assert states() == ["sending", "planned"]
    result = run("jobs", "resume", run_id, "--job", lost, "--detach")
    assert result.exit_code == 0, result.output
    assert len(device.sent) == N_JOBS
    assert lost in {job["job"] for job in state()["jobs"]}
    refused = run("jobs", "resume", run_id, "--job", lost)
    assert refused.exit_code == 2
    assert "has 0 jobs whose ids were lost" in refused.output
    assert run("jobs", "resume", run_id, "--out", "out.npy").exit_code == 0
    assert_right()


def test_a_job_of_another_run_or_another_size_is_not_taken_for_the_lost_one(device: FolderDevice) -> None:
    device.faults["after"] = [Timeout("gone")]
    assert submit().exit_code == 1
    run_id = state()["run"]
    assert submit("--detach").exit_code == 0
    known = [job["job"] for item in json.loads(run("jobs", "list", "--json").stdout) for job in item["jobs"]]
    for other in filter(None, known):
        refused = run("jobs", "resume", run_id, "--job", other)
        assert refused.exit_code == 2
        assert f"{other} is one of run" in refused.output
    measured = QuantumCircuit(1, 1)
    measured.measure(0, 0)
    stranger = device.run(measured, shots=2000).job_id()
    result = run("jobs", "resume", run_id, "--job", stranger)
    assert result.exit_code == 1
    assert "The reply is kept" in result.output


def test_a_server_that_asks_for_patience_is_asked_again(device: FolderDevice) -> None:
    device.faults["before"] = [ClientError(429), ClientError(429)]
    device.faults["status"] = [Timeout("gone"), None, ClientError(502)]
    device.faults["result"] = [ClientError(504)]
    result = submit("--out", "out.npy")
    assert result.exit_code == 0, result.output
    assert len(device.sent) == N_JOBS
    assert_right()


def test_a_job_that_the_server_refuses_leaves_the_others(device: FolderDevice) -> None:
    device.faults["before"] = [ClientError(402)]
    result = submit("--out", "out.npy")
    assert result.exit_code == 1
    assert "the server answered 402" in result.output
    assert sorted(states()) == ["done", "failed"]
    result = run("jobs", "resume", state()["run"], "--again", "--out", "out.npy")
    assert result.exit_code == 0, result.output
    assert len(device.sent) == N_JOBS
    assert_right()


def test_a_size_that_the_server_refuses_is_halved(device: FolderDevice) -> None:
    device.faults["before"] = [ClientError(413)]
    result = submit("--out", "out.npy")
    assert result.exit_code == 0, result.output
    assert len(device.sent) == N_JOBS + 1
    assert_right()


def test_a_job_that_failed_on_the_device_says_why(device: FolderDevice) -> None:
    device.end = "ERROR"
    result = submit("--out", "out.npy")
    assert result.exit_code == 1
    assert "LookupError: the ions were lost" in result.output
    assert states() == ["failed"] * N_JOBS
    device.end = "DONE"
    result = run("jobs", "resume", state()["run"], "--again", "--out", "out.npy")
    assert result.exit_code == 0, result.output
    assert_right()


def test_jobs_are_cancelled_and_a_job_that_the_account_lost_is_named(device: FolderDevice) -> None:
    assert submit("--detach").exit_code == 0
    run_id, (first, second) = state()["run"], device.sent
    (device.folder / f"{first}.json").unlink()
    names = importlib.import_module("qml.backends.resolve")
    other = FolderDevice(device.folder)
    names.BACKENDS["folder"] = names.NamedBackend(lambda device: Provider(other, shots=2000), "device", required=True)
    result = run("jobs", "resume", run_id)
    assert result.exit_code == 1
    assert f"Job {first} is unknown to folder" in result.output
    assert run("jobs", "cancel", run_id).exit_code == 0
    assert json.loads((device.folder / f"{second}.json").read_text())["end"] in ("DONE", "CANCELLED")


def test_a_device_that_restores_jobs_has_them_written_down_first(tmp_path: Path) -> None:
    persisted: list[str] = []

    class Job(provider_cloud.FolderJob):
        def persist(self) -> None:
            persisted.append(self.job_id())

    class Restoring(FolderDevice):  # as that of AQT
        retrieve_job: Any = property()  # absent: reading it raises AttributeError

        def run(self, run_input: Any, **options: Any) -> Job:
            return Job(self, super().run(run_input, **options).job_id())

        def restore_job(self, job_id: str) -> Job:
            assert job_id in persisted
            return Job(self, job_id)

    service = ProviderService(Restoring(tmp_path))
    assert service.keeps_jobs
    sent: list[str] = []
    circuit = Circuit(1).rx(data(0), 0)

    class Keeping:
        def run(self, submission: Any) -> Any:
            sent.append(service.submit(submission, ("tag",)))
            again = ProviderService(Restoring(tmp_path))
            while again.status(sent[0]) != "done":
                pass
            return again.result(sent[0])

    values = Provider(Restoring(tmp_path), shots=100, runner=Keeping()).expectation(
        circuit, torch.tensor([[0.0]]), torch.zeros(0), [Z(0)]
    )
    assert values.item() == 1.0
    assert persisted == sent


@pytest.mark.parametrize(
    ("error", "what", "expected"),
    [
        (ConnectionError("gone"), "job", ConnectionError),
        (Timeout("gone"), "job", ServiceUnavailable),
        (ClientError(404), "job", JobNotFound),
        (ClientError(404), "submit", JobError),
        (ClientError(413), "submit", SubmissionTooLarge),
        (ClientError(401), "job", JobError),
        (LookupError("what is this"), "job", LookupError),
    ],
    ids=repr,
)
def test_errors_of_a_client_say_what_may_be_done_next(error: Exception, what: str, expected: type[Exception]) -> None:
    with pytest.raises(expected), client_errors(what):
        raise error
    if expected not in (ConnectionError, LookupError):  # a wrapper of the client's own hides nothing
        with pytest.raises(expected), client_errors(what):
            raise RuntimeError("wrapped") from error


def test_a_status_is_found_where_clients_keep_it() -> None:
    amazon = Exception("throttled")
    amazon.response = {"ResponseMetadata": {"HTTPStatusCode": 400}}  # pyright: ignore[reportAttributeAccessIssue]
    own = Exception("direct")
    own.status_code = 503  # pyright: ignore[reportAttributeAccessIssue]
    assert [http_status(error) for error in (amazon, own, ClientError(404), ValueError("none"))] == [400, 503, 404, 0]


def test_a_device_that_gives_no_id_is_refused() -> None:
    device = BasicSimulator()
    job = type("Job", (), {"job_id": lambda self: None})()
    device.run = lambda circuits, **options: job  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(JobError, match="must give each job an id"):
        Provider(device, shots=9).expectation(Circuit(1).x(0), torch.zeros(1, 0), torch.zeros(0), [Z(0)])


# ---- killed for real


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["before its id is known", "while it waits"])
def test_a_process_that_is_killed_is_resumed_by_another(device: FolderDevice, moment: str) -> None:
    root = Path(__file__).parent.parent
    if moment == "while it waits":
        (device.folder / "patience").touch()
    else:
        (device.folder / "halt").touch()
    command = [sys.executable, "-m", "tests.provider_cloud", "submit", "model.safetensors", "data.npy"]
    command += ["--backend", f"folder:{device.folder}", "--store", "jobs.sqlite"]
    with subprocess.Popen(
        command,
        env=os.environ | {"PYTHONPATH": str(root)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        started = time.monotonic()
        while not _has_come(device, moment):
            assert process.poll() is None
            assert time.monotonic() - started < 120
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    (device.folder / "halt").unlink(missing_ok=True)
    (device.folder / "patience").unlink(missing_ok=True)
    for path in device.folder.glob("*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"looks": 1}))
    result = run("jobs", "resume", state()["run"], "--out", "out.npy")
    if moment == "before its id is known":
        assert result.exit_code == 1
        assert "whose id was lost" in result.output
        assert len(device.sent) == 1
        return
    assert result.exit_code == 0, result.output
    assert len(device.sent) == N_JOBS
    assert_right()


def _has_come(device: FolderDevice, moment: str) -> bool:
    if moment == "before its id is known":
        return (device.folder / "halted").exists()
    return Path("jobs.sqlite").exists() and len(device.sent) == N_JOBS and states() == ["sent"] * N_JOBS
