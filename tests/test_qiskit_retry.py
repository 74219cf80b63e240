"""Repeat until success by a loop and by a bounded number of attempts."""

from typing import Any

import pytest
import torch
from qiskit import ClassicalRegister, qasm3, transpile
from qiskit_aer import AerSimulator

from circuits import Circuit
from qml.backends import Native
from qml.backends.convert.qiskit_retry import repeat_until_success
from qml.nn import QRNN

SHOTS = 2000


def network() -> tuple[Circuit, torch.Tensor, float]:
    """A recurrent network's circuit of two steps, bound; the last word's distribution, and the chance of success."""
    net = QRNN(1, 1, n_stages=0, order=1, degree=1, batch_first=True, dtype=torch.float64)
    net.cell.load_vector([-0.6, 1.9, -0.4, 2.1])
    words, weights = torch.tensor([[1, 0]]), net.cell.vector().detach()
    circuit, data = net.circuit(2, measured=True), net.circuit_data(words)
    expected = Native().probabilities(circuit, data, weights, [1])[0]
    chance = Native().success_probability(circuit, data, weights).item()
    return circuit.bind(data[0].numpy(), weights.numpy()), expected, chance


def counts(repeated: Any, qubit: int) -> tuple[float, float]:
    """The share of runs that ended in success, and that of 1 on a qubit among them."""
    end = ClassicalRegister(1, "end")
    kept = repeated.metadata["post_select"]
    repeated.add_register(end)
    repeated.measure(qubit, end)
    backend = AerSimulator(seed_simulator=5, max_parallel_threads=1)
    found = backend.run(transpile(repeated, backend, optimization_level=0), shots=SHOTS).result().get_counts()
    wanted = "".join(str(value) for value in reversed(kept))
    good = {text: count for text, count in found.items() if text.split()[1] == wanted}
    return sum(good.values()) / SHOTS, sum(n for text, n in good.items() if text[0] == "1") / sum(good.values())


def test_a_loop_always_succeeds_with_the_post_selected_distribution() -> None:
    circuit, expected, chance = network()
    assert 0.2 < chance < 0.8
    succeeded, share = counts(repeat_until_success(circuit), 1)
    assert succeeded == 1.0
    p = expected[1].item()
    assert abs(share - p) < 4 * (p * (1 - p) / SHOTS) ** 0.5  # by chance once in 16,000; the seed is fixed


def test_bounded_attempts_succeed_as_often_as_they_should() -> None:
    circuit, expected, chance = network()
    succeeded, share = counts(repeat_until_success(circuit, attempts=3), 1)
    wanted, p = 1 - (1 - chance) ** 3, expected[1].item()
    assert abs(succeeded - wanted) < 4 * (wanted * (1 - wanted) / SHOTS) ** 0.5
    assert abs(share - p) < 4 * (p * (1 - p) / SHOTS / wanted) ** 0.5


def test_values_that_are_kept_may_be_ones() -> None:
    succeeded, share = counts(repeat_until_success(Circuit(2).h(0).cx(0, 1).post_select(0, 1)), 1)
    assert (succeeded, share) == (1.0, 1.0)


def test_both_forms_are_openqasm() -> None:
    circuit, _, _ = network()
    assert "while (" in qasm3.dumps(repeat_until_success(circuit))
    assert qasm3.dumps(repeat_until_success(circuit, attempts=3)).count("if (") == 2


@pytest.mark.parametrize(
    ("circuit", "attempts", "message"),
    [
        (Circuit(1).h(0), None, "must post-select something"),
        (Circuit(1).h(0).post_select(0, 0), 0, "`attempts` must be None or an int of at least 1"),
    ],
)
def test_what_cannot_be_repeated_is_refused(circuit: Circuit, attempts: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        repeat_until_success(circuit, attempts=attempts)
