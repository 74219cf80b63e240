"""The devices of Qiskit's providers, on what runs on this machine."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from qiskit.providers.basic_provider import BasicSimulator

from circuits import Circuit, X, Z, data, weight
from qml.backends import Native, Provider, resolve
from qml.backends.convert.qiskit import MEASURED
from qml.backends.primitives.provider_service import ProviderService
from qml.backends.primitives.pytket_device import DurablePytketDevice, PytketJob, pytket_device
from qml.backends.provider import pytket
from qml.jobs import JobsNotSearchable

CIRCUIT = Circuit(2).h(0).cx(0, 1).ry(data(0), 1).rx(weight(0), 0)
CIRCUIT_OF_BITS = Circuit(2).rx(data(0), 0).measure(0).measure(1).cx(0, 1).measure(1)
INPUTS = torch.tensor([[0.4], [1.3]], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
DEVICES: dict[str, tuple[str, Callable[[], Any]]] = {
    "basic": ("qiskit", lambda: Provider(BasicSimulator(), shots=4096)),
    "braket": ("qiskit_braket_provider", lambda: resolve("braket")),
    "iqm": ("iqm.qiskit_iqm", lambda: resolve("iqm:fake_apollo")),
    "aqt": ("qiskit_aqt_provider", lambda: resolve("aqt")),
    "pytket": ("pytket.extensions.qiskit", lambda: pytket(aer_of_pytket(), shots=4096)),
    "quantinuum": ("pecos", lambda: resolve("quantinuum")),
}


def aer_of_pytket() -> Any:
    return pytest.importorskip("pytket.extensions.qiskit").AerBackend()


class TketStatus:
    """A state of pytket."""

    def __init__(self, name: str) -> None:
        self.status = type("Status", (), {"name": name})


class TketBackend:
    """A backend of pytket, as far as its names go; its circuits have the outcomes 10 three times and 11 once."""

    supports_counts = True
    persistent_handles = True
    backend_info = None

    def __init__(self, *states: str) -> None:
        self.states = states

    def get_compiled_circuits(self, circuits: Any, level: int) -> Any:
        return circuits

    def process_circuits(self, circuits: Any, n_shots: int) -> Any:
        return [("job; 1", k) for k in range(len(circuits))]

    def circuit_status(self, handle: Any) -> TketStatus:
        if not self.states:
            raise NotImplementedError
        return TketStatus(self.states[handle[1]])

    def get_result(self, handle: Any) -> Any:
        bits = [
            type("Bit", (), {"reg_name": name, "index": [k]})
            for name, k in (("other", 0), (MEASURED, 1), (MEASURED, 0))
        ]
        counts = {(0, 1): 3, (1, 1): 1}  # bit 1, then bit 0
        return type("Result", (), {"c_bits": bits, "get_counts": lambda self, cbits: counts})()


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of Aer, to pytket
@pytest.mark.parametrize("name", DEVICES)
def test_a_device_gives_the_values_of_the_simulator(name: str) -> None:
    package, make = DEVICES[name]
    pytest.importorskip(package)
    backend = make()
    observables = [X(0) @ X(1), Z(0) @ Z(1)]
    values = backend.expectation(CIRCUIT, *INPUTS, observables)
    tolerance = 5 / (backend.shots or 1) ** 0.5  # five standard deviations of a value of variance 1
    torch.testing.assert_close(values, Native().expectation(CIRCUIT, *INPUTS, observables), rtol=0, atol=tolerance)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of Aer, to pytket
@pytest.mark.parametrize("name", ["aqt", "pytket", "quantinuum"])
def test_devices_of_packages_keep_the_order_of_bits_and_read_qubits_on_the_way(name: str) -> None:
    package, make = DEVICES[name]
    pytest.importorskip(package)
    samples = make().sample(CIRCUIT_OF_BITS, torch.tensor([[0.0], [torch.pi]]), torch.zeros(0), 8)
    assert samples.bits.tolist() == [[[0, 0, 0]] * 8, [[1, 0, 1]] * 8]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (("COMPLETED", "COMPLETED"), "done"), (("COMPLETED", "RUNNING"), "running"), (("QUEUED", "RUNNING"), "queued"),
        (("COMPLETED", "ERROR"), "failed"), (("CANCELLED", "COMPLETED"), "cancelled"), ((), "done"),
    ],
)  # fmt: skip
def test_a_job_of_pytket_is_as_far_as_the_last_of_its_circuits(states: tuple[str, ...], expected: str) -> None:
    device = DurablePytketDevice(TketBackend(*states))
    job = PytketJob(device.backend, (("job; 1", 0), ("job; 1", 1)))
    service = ProviderService(device)
    service._jobs[job.job_id()] = job
    assert service.keeps_jobs
    assert service.status(job.job_id()) == expected
    bits = service.result(job.job_id())[0].arrays[MEASURED]
    assert sorted(map(tuple, bits[0].tolist())) == [(1, 0), (1, 0), (1, 0), (1, 1)]


def test_a_backend_that_is_none_of_pytkets_or_has_no_counts_is_refused() -> None:
    with pytest.raises(TypeError, match="`backend` must be a backend of pytket, but is str"):
        pytket_device("H2-1")
    backend = TketBackend()
    assert isinstance(pytket_device(backend), DurablePytketDevice)
    backend.persistent_handles = False
    assert not ProviderService(pytket_device(backend)).keeps_jobs
    backend.supports_counts = False
    with pytest.raises(ValueError, match="must give counts"):
        pytket_device(backend)


@pytest.mark.parametrize(
    ("name", "module", "command"),
    [
        ("aqt", "qiskit_aqt_provider", r'environment of their own with: pip install "qml-circuits\[aqt\]"'),
        ("iqm", "iqm", r'environment of their own with: pip install "qml-circuits\[iqm\]"'),
        ("quantinuum", "pytket", r'pip install "qml-circuits\[quantinuum\]"'),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    name: str, module: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=command):
        resolve(name)


def test_samples_keep_the_order_of_bits_and_rows() -> None:
    circuit = Circuit(2).rx(data(0), 0).measure(0).measure(1)
    samples = Provider(BasicSimulator(), shots=8).sample(circuit, torch.tensor([[0.0], [torch.pi]]), torch.zeros(0), 8)
    assert samples.bits.tolist() == [[[0, 0]] * 8, [[1, 0]] * 8]


def test_what_a_provider_cannot_do_is_refused() -> None:
    with pytest.raises(ValueError, match="`shots` must be an int"):
        Provider(BasicSimulator(), shots=None)
    with pytest.raises(TypeError, match="`device` must be a BackendV2 of Qiskit, but is str"):
        Provider("ionq")
    with pytest.raises(ValueError, match=r"`run_id` must be None for .*, which keeps no jobs"):
        Provider(BasicSimulator(), run_id="mine")


def test_a_job_whose_id_was_lost_is_not_sent_twice() -> None:
    device = BasicSimulator()
    assert ProviderService(device).find("tag") == []
    device.retrieve_job = lambda job_id: job_id  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(JobsNotSearchable, match="whose id was lost"):
        ProviderService(device).find("tag")
