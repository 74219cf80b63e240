"""IBM's client as a service: what is sent, how its errors are read, and that credentials are asked for. No cloud."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import qiskit_ibm_runtime
import torch
from qiskit.primitives import StatevectorEstimator
from qiskit_ibm_runtime.accounts.exceptions import AccountNotFoundError, CloudResourceNameResolutionError
from qiskit_ibm_runtime.exceptions import (
    IBMApiError,
    IBMInputValueError,
    IBMNotAuthorizedError,
    IBMRuntimeError,
    RuntimeJobFailureError,
    RuntimeJobNotFound,
)

from circuits import Circuit, Z, weight
from qml import remote
from qml.backends import IBM, Aer
from qml.backends.primitives import ibm_service
from qml.backends.primitives.ibm_service import RuntimeService
from qml.backends.primitives.noise import fake_device
from qml.jobs import (
    DirectRunner,
    DurableRunner,
    JobFailed,
    JobNotFound,
    PubResult,
    ServiceUnavailable,
    Store,
    Submission,
    SubmissionTooLarge,
    sends_jobs,
)

CALL = (Circuit(2).ry(weight(0), 0).cx(0, 1), torch.zeros(1, 0), torch.tensor([0.4]), [Z(1)])


class Cloud:
    """The client's service object, whose jobs run in this process, exactly."""

    def __init__(self) -> None:
        self.jobs_by_id: dict[str, Any] = {}
        self.raises: Exception | None = None

    def primitive(self, mode: Any, options: dict[str, Any]) -> Any:
        def run(pubs: Sequence[Any]) -> Any:
            if self.raises:
                raise self.raises
            exact = [(circuit, observables, values, 0.0) for circuit, observables, values, _ in pubs]
            name = f"job{len(self.jobs_by_id)}"
            job = SimpleNamespace(
                job_id=lambda: name,
                tags=options.get("environment", {}).get("job_tags", []),
                options=options,
                status=lambda: "DONE",
                result=StatevectorEstimator().run(exact).result,
                cancel=lambda: None,
            )
            self.jobs_by_id[job.job_id()] = job
            return job

        return SimpleNamespace(run=run)

    def job(self, job_id: str) -> Any:
        if self.raises:
            raise self.raises
        return self.jobs_by_id[job_id]

    def jobs(self, job_tags: list[str], limit: int | None) -> list[Any]:
        return [job for job in self.jobs_by_id.values() if set(job_tags) <= set(job.tags)]


class Device:
    """What is asked of the client's backend object."""

    name, num_qubits, default_rep_delay = "ibm_moon", 5, 1e-4

    def __init__(self, target: Any, service: Cloud) -> None:
        self.target, self.service = target, service


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A device of the cloud: a fake one's target, and the service above."""
    manila = fake_device("fake_manila")
    cloud = Cloud()
    monkeypatch.setattr(ibm_service, "Estimator", cloud.primitive)
    return Device(manila.target, cloud)


def test_a_job_goes_out_with_tags_and_options_and_is_found_again(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qml.backends.primitives.transpile.transpiler", _transpiler)
    backend = IBM(device, readout_mitigation=True, dynamical_decoupling="XY4", shots=100)
    value = backend.with_runner(DirectRunner(backend.service)).expectation(*CALL)
    assert value.item() == pytest.approx(np.cos(0.4), abs=1e-6)
    (job,) = device.service.jobs_by_id.values()
    assert job.options["resilience"] == {"measure_mitigation": True}
    assert job.options["dynamical_decoupling"] == {"enable": True, "sequence_type": "XY4"}
    assert job.options["resilience_level"] == 0
    service = backend.service
    assert service is backend.service
    assert service.find(job.tags[0]) == [job.job_id()]
    assert service.find("other") == []
    assert service.status(job.job_id()) == "done"
    service.cancel(job.job_id())  # has ended: nothing happens


def test_submissions_are_durable_unless_a_runner_says_otherwise(
    device: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("qml.backends.primitives.transpile.transpiler", _transpiler)
    monkeypatch.setattr("qml.jobs.store.default_path", lambda: tmp_path / "jobs.sqlite")
    backend = IBM(device)
    backend.expectation(*CALL)
    assert isinstance(backend._default_runner, DurableRunner)
    (run,) = Store(tmp_path / "jobs.sqlite").runs()
    (job,) = device.service.jobs_by_id.values()
    assert run.run_id in job.tags
    assert run.backend == "ibm:ibm_moon"


def test_a_script_that_names_its_run_pays_once(device: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr("qml.backends.primitives.transpile.transpiler", _transpiler)
    monkeypatch.setattr("qml.jobs.store.default_path", lambda: tmp_path / "jobs.sqlite")
    values = [IBM(device, run_id="mine").expectation(*CALL) for _ in range(2)]  # the second as after a crash
    assert torch.equal(*values)
    assert len(device.service.jobs_by_id) == 1
    with pytest.raises(ValueError, match=r"must be the one that was written.*Start a new run"):
        IBM(device, run_id="mine").expectation(*CALL[:2], torch.tensor([0.5]), CALL[3])
    device.name = "ibm_mars"
    with pytest.raises(ValueError, match="`run_id` must be a run of ibm:ibm_mars, but 'mine' is one of ibm:ibm_moon"):
        IBM(device, run_id="mine").expectation(*CALL)
    with pytest.raises(ValueError, match="`run_id` must be None for a fake device"):
        IBM("fake_manila", run_id="mine")


def test_options_of_a_job_of_the_cloud_are_in_its_result(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qml.backends.primitives.transpile.transpiler", _transpiler)
    backend, results = IBM(device, readout_mitigation=True), list[PubResult]()

    class Keep:
        def run(self, submission: Submission) -> list[PubResult]:
            results.extend(DirectRunner(backend.service).run(submission))
            return results

    backend.with_runner(Keep()).expectation(*CALL)
    assert results[0].metadata["options"] == {"resilience_level": 0, "resilience": {"measure_mitigation": True}}


def test_a_circuit_costs_what_the_devices_times_say(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qml.backends.primitives.transpile.transpiler", _transpiler)
    kept: list[Submission] = []

    class Keep:
        def run(self, submission: Submission) -> list[PubResult]:
            kept.append(submission)
            return [
                PubResult({"evs": np.zeros((len(pub.values), 1)), "stds": np.zeros((1, 1))}) for pub in submission.pubs
            ]

    backend = IBM(device).with_runner(Keep())
    backend.expectation(*CALL)
    cost = backend.service.circuit_cost(kept[0].pubs[0].circuit)
    assert (cost.n_qubits, cost.two_qubit_gates) == (2, 1)
    cx = device.target["cx"][0, 1].duration
    assert cost.seconds is not None
    assert 1e-4 + cx < cost.seconds < 1e-4 + 2 * cx


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (IBMRuntimeError("Failed to run program: '413 Client Error: Request Entity Too Large'"), SubmissionTooLarge),
        (IBMRuntimeError("Failed to run program: '503 Server Error'"), ServiceUnavailable),
        (IBMRuntimeError("Failed to run program: '429 Client Error: Too Many Requests'"), ServiceUnavailable),
        (RuntimeJobNotFound("no such job"), JobNotFound),
        (RuntimeJobFailureError("it failed"), JobFailed),
        (IBMRuntimeError("Failed to run program: '400 Client Error: Bad Request'"), IBMRuntimeError),
    ],
)
def test_errors_say_what_may_be_done_next(device: Any, raised: Exception, expected: type[Exception]) -> None:
    device.service.raises = raised
    with pytest.raises(expected):
        RuntimeService(device).status("job0")


def test_missing_credentials_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise AccountNotFoundError("Unable to find account.")

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", refuse)
    with pytest.raises(PermissionError, match=r"QiskitRuntimeService.save_account.*or use IBM\(\"fake_torino\"\)"):
        IBM("ibm_torino").expectation(*CALL)


@pytest.mark.parametrize(
    ("raised", "expected", "message"),
    [
        (
            IBMInputValueError("moon is not a valid instance."),
            ValueError,
            "`instance` must be one of .* is 'moon'.*not a v",
        ),
        (CloudResourceNameResolutionError("no CRN"), ValueError, "`instance` must be one of the account's"),
        (IBMNotAuthorizedError("401"), PermissionError, "must find credentials"),
        (IBMApiError("the service is down"), ConnectionError, "could not ask the account: 'the service is down'"),
    ],
)
def test_a_bad_instance_or_account_is_said_as_such(
    monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception], message: str
) -> None:
    contacts: list[Any] = []

    def refuse(**options: Any) -> None:
        contacts.append(options)
        raise raised

    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", refuse)
    make: Any = getattr(remote.make_backend, "__wrapped__", remote.make_backend)  # the tests' type checks do ask
    backend = make("ibm:ibm_torino", shots=10)
    assert sends_jobs(backend)
    assert not contacts
    with pytest.raises(expected, match=message):
        _ = IBM("ibm_torino", instance="moon").service
    finds = SimpleNamespace(backend=lambda name: refuse(name=name))
    monkeypatch.setattr(qiskit_ibm_runtime, "QiskitRuntimeService", lambda **_: finds)
    if not isinstance(raised, CloudResourceNameResolutionError | IBMNotAuthorizedError):
        with pytest.raises(expected):
            _ = IBM("ibm_torino", instance="moon").service


def test_the_real_client_takes_our_options() -> None:
    backend = IBM(
        "fake_manila", readout_mitigation=True, zne=(1, 3), twirling=True, dynamical_decoupling="XX", resilience_level=1
    )
    device = fake_device("fake_manila")
    options = ibm_service.Estimator(mode=device, options=dict(backend.options("estimator"))).options
    assert options.resilience.measure_mitigation
    assert options.resilience.zne_mitigation
    assert tuple(options.resilience.zne.noise_factors) == (1, 3)
    assert options.twirling.enable_gates
    assert options.dynamical_decoupling.enable
    assert options.resilience_level == 1
    plain = IBM("fake_manila", twirling=True)
    assert ibm_service.Sampler(mode=device, options=dict(plain.options("sampler"))).options.twirling.enable_gates


@pytest.fixture
def old_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The primitives of the client before 0.50, which the new client still has."""
    monkeypatch.setattr(ibm_service, "Estimator", qiskit_ibm_runtime.EstimatorV2)
    monkeypatch.setattr(ibm_service, "Sampler", qiskit_ibm_runtime.SamplerV2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.usefixtures("old_line")
def test_the_old_line_of_the_client_runs_too() -> None:
    test_the_real_client_takes_our_options()
    exact = Aer(noise="fake_manila").expectation(*CALL)
    backend = IBM("fake_manila", shots=4000)
    assert backend.expectation(*CALL).item() == pytest.approx(exact.item(), abs=5 / np.sqrt(4000))
    assert backend.sample(*CALL[:3], 20).bits.shape == (1, 20, 0)
    for options in ({"zne": (1, 3)}, {"readout_mitigation": True}, {"twirling": True}):
        with pytest.raises(ValueError, match=r"no effect in local testing mode.*qiskit-ibm-runtime>=0.50"):
            IBM("fake_manila", **options).expectation(*CALL)


def test_results_record_what_the_client_did() -> None:
    backend = IBM("fake_manila", shots=50, readout_mitigation=True)
    results: list[PubResult] = []

    class Keep:
        def run(self, submission: Submission) -> list[PubResult]:
            results.extend(backend.run(submission))
            return results

    backend.with_runner(Keep()).expectation(*CALL)
    options = results[0].metadata["options"]
    assert isinstance(options, dict)
    assert options["resilience"] == {"measure_mitigation": True}


def _transpiler(compiler: Any) -> Any:
    """For the device's target; Qiskit asks a namespace for more than it has."""
    from qiskit.transpiler import generate_preset_pass_manager

    return generate_preset_pass_manager(optimization_level=1, target=compiler.device.target, seed_transpiler=0)
