import gc
import threading

import pytest
import torch

from circuits import Circuit, X, Z, weight
from qml.backends import Native
from qml.simulator.routes import EXPECTATIONS
from qml.simulator.routes.choice import MAX_REQUESTS


def small() -> Circuit:
    return Circuit(2).ry(weight(0), 0).cx(0, 1)


def test_a_living_circuit_keeps_a_bounded_number_of_plans() -> None:
    circuit = small()
    for k in range(3 * MAX_REQUESTS):
        Native().expectation(circuit, torch.zeros(2, 0), torch.zeros(1), [Z(0) + k * X(1)])
    assert EXPECTATIONS.n_kept(circuit) == MAX_REQUESTS


def test_plans_of_a_dead_circuit_are_forgotten() -> None:
    gc.collect()
    before = EXPECTATIONS.n_circuits()
    circuit = small()
    Native().expectation(circuit, torch.zeros(2, 0), torch.zeros(1), [Z(0)])
    assert EXPECTATIONS.n_circuits() == before + 1
    del circuit
    gc.collect()
    assert EXPECTATIONS.n_circuits() == before


def test_a_circuit_that_has_grown_is_planned_anew() -> None:
    circuit, weights = small(), torch.tensor([0.3], dtype=torch.float64)
    data = torch.zeros(2, 0, dtype=torch.float64)
    before = Native().expectation(circuit, data, weights, [Z(1)])
    after = Native().expectation(circuit.x(1), data, weights, [Z(1)])
    torch.testing.assert_close(after, -before, atol=1e-12, rtol=0)  # float64 algebra


def test_threads_that_share_a_circuit_get_the_same_numbers() -> None:
    circuit = Circuit(5)
    for layer in range(2):
        for qubit in range(5):
            circuit.ry(weight(5 * layer + qubit), qubit).cx(qubit, (qubit + 1) % 5)
    expected = {
        k: Native().expectation(circuit, torch.zeros(2, 0), torch.full((10,), 0.1 * k), [Z(0)])[0, 0].item()
        for k in range(4)
    }
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(50):
            weights = torch.full((10,), 0.1 * k, requires_grad=True)
            value = Native().expectation(circuit, torch.zeros(2, 0), weights, [Z(0)])[0, 0]
            value.backward()
            if value.item() != pytest.approx(expected[k], abs=1e-6):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
