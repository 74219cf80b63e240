"""The devices of Qiskit's providers, on what runs on this machine."""

from collections.abc import Callable

import pytest
import torch
from qiskit.providers.basic_provider import BasicSimulator

from circuits import Circuit, X, Z, data, weight
from qml.backends import Native, Provider, resolve
from qml.backends.primitives.provider_service import ProviderService
from qml.jobs import JobsNotSearchable

CIRCUIT = Circuit(2).h(0).cx(0, 1).ry(data(0), 1).rx(weight(0), 0)
INPUTS = torch.tensor([[0.4], [1.3]], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
DEVICES: dict[str, tuple[str, Callable[[], Provider]]] = {
    "basic": ("qiskit", lambda: Provider(BasicSimulator(), shots=4096)),
    "braket": ("qiskit_braket_provider", lambda: resolve("braket")),  # pyright: ignore[reportReturnType]
}


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_gives_the_values_of_the_simulator(name: str) -> None:
    package, make = DEVICES[name]
    pytest.importorskip(package)
    backend = make()
    observables = [X(0) @ X(1), Z(0) @ Z(1)]
    values = backend.expectation(CIRCUIT, *INPUTS, observables)
    tolerance = 5 / (backend.shots or 1) ** 0.5  # five standard deviations of a value of variance 1
    torch.testing.assert_close(values, Native().expectation(CIRCUIT, *INPUTS, observables), rtol=0, atol=tolerance)


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
