"""Neurons and recurrent cells as circuits: what they are made of, and that they compute what the fast cell computes."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch

from circuits import Circuit, from_openqasm, to_openqasm
from circuits.neuron import neuron_circuit, recurrent_circuit
from qml.backends import Native
from qml.backends.convert.qiskit import from_qiskit, to_qiskit
from qml.nn import QRNN, QuantumNeuron
from tests import oracle

FLOAT64 = 1e-10  # float64 algebra on a few hundred gates; post-selections of probability 1e-9 cost some digits
CASES = [  # W, I, stages, order, degree, rounds, steps
    (2, 1, 0, 1, 2, 0, 3),
    (2, 1, 1, 2, 2, 0, 2),
    (1, 2, 1, 2, 2, 0, 2),
    (1, 1, 0, 3, 1, 0, 2),
    (2, 1, 0, 1, 2, 1, 2),
    (1, 1, 0, 1, 1, 2, 2),
    (1, 1, 0, 2, 1, 1, 2),
]


def network(case: tuple[int, ...], **options: object) -> QRNN:
    hidden_size, n_bits, n_stages, order, degree, rounds, _ = case
    sizes = {"n_stages": n_stages, "order": order, "degree": degree, "amplification": rounds}
    net = QRNN(n_bits, hidden_size, **sizes, dtype=torch.float64, batch_first=True, **options)
    for parameter in net.parameters():
        parameter.data.normal_(0.0, 0.6, generator=torch.Generator().manual_seed(parameter.numel()))
    return net.requires_grad_(False)


def words_for(case: tuple[int, ...], batch: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.randint(0, 2 ** case[1], (2, batch, case[-1]), generator=torch.Generator().manual_seed(5))
    return drawn[0], drawn[1]


def ends(case: tuple[int, ...]) -> range:
    return range(case[0], case[0] + case[1])


@pytest.mark.parametrize("case", CASES)
def test_post_selected_circuits_have_the_distribution_and_success_of_the_fast_cell(case: tuple[int, ...]) -> None:
    net, (inputs, targets) = network(case), words_for(case)
    circuit, data, weights = net.circuit(case[-1]), net.circuit_data(inputs, targets), net.cell.vector()
    probabilities, _ = net(inputs, targets=targets)
    found = Native().probabilities(circuit, data, weights, ends(case))
    torch.testing.assert_close(found, probabilities[:, -1], atol=FLOAT64, rtol=0)
    # all post-selections together: the neurons' at every step, and the outcomes' before the last
    neurons = net.success_probability(inputs, targets=targets).prod(1)
    outcomes = probabilities.gather(2, targets[..., None]).squeeze(2)[:, :-1].prod(1)
    success = Native().success_probability(circuit, data, weights)
    torch.testing.assert_close(success, neurons * outcomes, atol=1e-12, rtol=1e-6)


@pytest.mark.parametrize(("order", "rounds"), [(1, 0), (2, 0), (1, 1), (2, 1), (1, 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_a_neuron_circuit_is_the_neuron(order: int, rounds: int, *, bias: bool) -> None:
    neuron = QuantumNeuron(2, order=order, amplification=rounds, bias=bias, dtype=torch.float64).requires_grad_(False)
    neuron.weights.copy_(torch.tensor([0.4, -0.9, 1.2]))
    vector = neuron.weights
    if neuron.bias is not None:
        neuron.bias.fill_(0.3)
        vector = torch.cat([neuron.bias[None], vector])
    turned = neuron_circuit(2, order=order, rounds=rounds, bias=bias)
    circuit = type(turned)(turned.n_qubits).h(0).ry(0.8, 1).ry(0.5, 2).compose(turned)
    state = Native().state(circuit, torch.zeros(1, 0, dtype=torch.float64), vector).reshape(8, -1)
    angles = torch.tensor([math.pi / 2, 0.8, 0.5], dtype=torch.float64)
    parts = torch.stack([torch.cos(angles / 2), torch.sin(angles / 2)], 1)
    start = torch.einsum("i,j,k->ijk", *parts).flatten()
    expected = neuron(start).to(torch.complex128)
    phase = state[0, 0] / state[0, 0].abs()  # nothing measures it
    torch.testing.assert_close(state[:, 0] / phase * expected[0].sgn(), expected, atol=FLOAT64, rtol=0)
    assert not state[:, 1:].abs().max() > FLOAT64  # all ancillas are back in |0>


def test_the_plain_oracle_agrees() -> None:
    case = (2, 1, 1, 1, 2, 0, 2)
    net, (inputs, targets) = network(case), words_for(case)
    data, weights = net.circuit_data(inputs, targets).numpy(), net.cell.vector().numpy()
    expected = oracle.probabilities(net.circuit(2), data, weights, tuple(ends(case)))
    np.testing.assert_allclose(net(inputs, targets=targets)[0][:, -1].numpy(), expected, atol=FLOAT64)


def test_measured_outcomes_leave_the_mixture_over_them() -> None:
    """A density matrix of measured runs in which the neurons succeeded, against a sum over all outcomes."""
    case = (1, 1, 1, 1, 1, 0, 3)
    net, (inputs, _) = network(case), words_for(case, batch=2)
    circuit = net.circuit(3, measured=True)
    assert (circuit.n_bits, circuit.n_data) == (2, 3)
    found = Native().probabilities(circuit, net.circuit_data(inputs), net.cell.vector(), ends(case))
    shares = torch.zeros(2, 2, dtype=torch.float64)
    for outcome in product((0, 1), repeat=2):
        targets = torch.tensor([*outcome, 0]).expand(2, 3)
        probabilities, _ = net(inputs, targets=targets)
        chance = probabilities[:, :2].gather(2, targets[:, :2, None]).squeeze(2).prod(1)
        chance = chance * net.success_probability(inputs, targets=targets).prod(1)
        shares += chance[:, None] * probabilities[:, 2]
    torch.testing.assert_close(found, shares / shares.sum(1, keepdim=True), atol=FLOAT64, rtol=0)


def test_circuits_go_through_openqasm_and_qiskit_unchanged() -> None:
    case = (1, 1, 0, 1, 1, 1, 2)
    net, (inputs, targets) = network(case), words_for(case)
    circuit, data, weights = net.circuit(2), net.circuit_data(inputs, targets), net.cell.vector()
    expected = Native().probabilities(circuit, data, weights, ends(case))
    again = from_openqasm(to_openqasm(circuit))
    bound = circuit.bind(data[0].numpy(), weights.numpy())
    none = (torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64))
    returned = from_qiskit(to_qiskit(bound))
    assert not bound.n_weights
    torch.testing.assert_close(Native().probabilities(again, data, weights, ends(case)), expected, atol=FLOAT64, rtol=0)
    torch.testing.assert_close(Native().probabilities(returned, *none, ends(case)), expected[:1], atol=FLOAT64, rtol=0)


def on_aer(circuit: Circuit, ends: range, shots: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the runs that all post-selections keep: exact probabilities of the in/out qubits, and counts of them."""
    from qiskit import ClassicalRegister, transpile
    from qiskit_aer import AerSimulator

    backend = AerSimulator(method="statevector", seed_simulator=11, max_parallel_threads=1)

    def run(program: Any) -> Any:
        return backend.run(transpile(program, backend, optimization_level=0), shots=shots).result()

    saved = to_qiskit(circuit)
    saved.save_statevector(label="state", conditional=True)  # pyright: ignore[reportAttributeAccessIssue]
    state = run(saved).data(0)["state"]["0x0"]  # where every kept bit is 0
    counted, end = to_qiskit(circuit), ClassicalRegister(len(ends), "end")
    counted.add_register(end)
    order = list(reversed(ends))  # the first in/out qubit is the most significant
    counted.measure(order, end)
    counts = torch.zeros(2 ** len(ends))
    for text, count in run(counted).get_counts().items():
        outcome, kept = text.split()
        if int(kept, 2) == 0:
            counts[int(outcome, 2)] += count
    return torch.tensor(state.probabilities(order)), counts


@pytest.mark.parametrize("case", [(1, 1, 0, 1, 1, 0, 2), (1, 1, 0, 1, 1, 1, 2), (1, 2, 0, 1, 1, 0, 1)])
def test_aer_has_the_distribution_of_the_fast_cell(case: tuple[int, ...]) -> None:
    """Exactly in its state vector; within 5 standard deviations (by chance once in 1.7 million) where it counts."""
    shots, net, (inputs, targets) = 4000, network(case), words_for(case, batch=1)
    circuit, data, weights = net.circuit(case[-1]), net.circuit_data(inputs, targets), net.cell.vector()
    exact, counts = on_aer(circuit.bind(data[0].numpy(), weights.numpy()), ends(case), shots)
    expected = net(inputs, targets=targets)[0][0, -1]
    torch.testing.assert_close(exact, expected, atol=1e-6, rtol=0)
    n_kept = float(counts.sum())
    spread = (expected * (1 - expected) / n_kept).sqrt()
    assert bool(((counts / n_kept - expected).abs() < 5 * spread).all())
    success = Native().success_probability(circuit, data, weights).item()
    assert abs(n_kept / shots - success) < 5 * math.sqrt(success * (1 - success) / shots)


def test_sizes_of_circuits() -> None:
    circuit = recurrent_circuit(2, 3, 4, n_stages=2, order=2, degree=3)
    assert circuit.n_qubits == 3 + 2 + 2
    assert circuit.n_data == 4 * 2 + 3 * 2
    assert circuit.n_weights == QRNN(2, 3, n_stages=2, order=2, degree=3).cell.vector().numel()
    n_neurons = 4 * (3 + 2 * 3 + 2)
    post_selections = sum(op.gate.name == "post_select" for op in circuit)
    assert post_selections == n_neurons * (2**2 - 1) + 3 * 2
    amplified = recurrent_circuit(1, 1, 1, n_stages=0, order=2, degree=1, rounds=2)
    assert amplified.n_qubits == 2 + 3 + 2
    assert neuron_circuit(2, order=3).n_qubits == 2 + 1 + 3


def test_bad_sizes_are_refused() -> None:
    for options, message in [
        ({"order": 0}, "`order` must be at least 1"),
        ({"rounds": -1}, "`rounds` must be at least 0"),
        ({"degree": 3}, "`degree` must be at most 2"),
        ({"degree": 0}, "`degree` must be at least 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            neuron_circuit(2, **options)
    for sizes, message in [
        ((0, 1, 1), "`input_size`"),
        ((1, 0, 1), "`hidden_size`"),
        ((1, 1, 0), "`n_steps`"),
    ]:
        with pytest.raises(ValueError, match=message + " must be at least 1"):
            recurrent_circuit(*sizes)
    net = QRNN(1, 2, batch_first=True)
    with pytest.raises(ValueError, match="`targets` must be known before the last step"):
        net.circuit_data(torch.zeros(1, 2, dtype=torch.long), torch.tensor([[-1, 0]]))
