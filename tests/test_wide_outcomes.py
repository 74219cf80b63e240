"""Probabilities and samples of wide circuits by contraction, and contractions in slices."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from circuits import Circuit, X, Z, channels, data, weight
from qml.backends import Native
from qml.simulator.contract import contract, planned_contraction
from qml.simulator.network import TensorNetwork, find_order, network_of
from qml.simulator.network_sampling import draw_outcomes, sampling_tree
from qml.simulator.plan import Request
from qml.simulator.routes import EXPECTATIONS, contraction
from qml.simulator.routes.too_wide import TooWideRoute
from qml.simulator.slices import MOST_FIXED, sliced
from tests import oracle
from tests.helpers import assert_close, is_likely, tensors
from tests.strategies import Recipe, build, examples, recipes
from tests.test_wide_circuits import EVERY_KIND, EXACT, SAME, brick, no_inputs, numbers

SHOTS = 20_000


def contracted(network: TensorNetwork, inputs: Tensor, weights: Tensor, n_fixed: int = 0) -> Tensor:
    """The sum of a network, with some variables fixed."""
    order = find_order(network)
    assert order is not None
    plan = planned_contraction(network, order)
    for _ in range(n_fixed):
        plan = sliced(plan) or plan
    return contract(plan, inputs, weights, inputs.dtype.to_complex()).real


@examples(100)
@given(recipes(EVERY_KIND, max_qubits=4, min_batch=1), st.data())
def test_contraction_gives_the_probabilities_of_the_oracle(recipe: Recipe, drawn: st.DataObject) -> None:
    case = build(recipe)
    assume(is_likely(case))
    n = case.circuit.n_qubits
    qubits = drawn.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    inputs, weights = tensors(case)
    values = contracted(network_of(case.circuit, (), qubits), inputs, weights).reshape(-1, 2 ** len(qubits))
    values = (values / values.sum(1, keepdim=True)).expand(len(inputs), -1)
    assert_close(values, oracle.probabilities(case.circuit, case.data, case.weights, qubits), SAME)


@examples(60)
@given(recipes(EVERY_KIND, max_qubits=4, min_batch=1), st.integers(1, 3))
def test_slices_add_up_to_the_whole(recipe: Recipe, n_fixed: int) -> None:
    case = build(recipe)
    network = network_of(case.circuit, ((0, "Z"),))
    inputs, weights = tensors(case)
    assert_close(contracted(network, inputs, weights, n_fixed), contracted(network, inputs, weights), EXACT)


def test_slices_have_the_derivatives_of_the_whole() -> None:
    circuit = Circuit(4)
    for layer in range(2):
        for qubit in range(4):
            circuit.ry(weight(4 * layer + qubit), qubit).rx(data(0), qubit)
        circuit.cx(0, 1).cx(2, 3).cx(1, 2)
    network, inputs = network_of(circuit, ((1, "Z"), (2, "X"))), torch.tensor([[0.3], [0.7]], dtype=torch.float64)
    weights = numbers(8).requires_grad_()

    def derivatives(n_fixed: int) -> tuple[Tensor, Tensor]:
        (first,) = torch.autograd.grad(contracted(network, inputs, weights, n_fixed).sum(), weights, create_graph=True)
        return first.detach(), torch.autograd.grad(first.square().sum(), weights)[0]

    for value, right in zip(derivatives(3), derivatives(0), strict=True):
        assert_close(value, right, SAME)
    jacobian = torch.func.jacrev(lambda angles: contracted(network, inputs, angles, 3))(weights.detach())
    assert_close(jacobian.sum(0), derivatives(0)[0], SAME)


def grid(side: int, n_layers: int) -> Circuit:
    """RY of all qubits of a square, then CZ of all neighbours, in layers."""
    circuit, n = Circuit(side**2), side**2
    for layer in range(n_layers):
        for qubit in range(n):
            circuit.ry(weight(layer * n + qubit), qubit)
        for qubit in range(n):
            if qubit % side < side - 1:
                circuit.cz(qubit, qubit + 1)
            if qubit + side < n:
                circuit.cz(qubit, qubit + side)
    return circuit


def test_slices_are_taken_where_memory_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def value() -> tuple[Tensor, Tensor]:
        circuit = grid(5, 4)
        weights = torch.tensor([0.2 + 0.06 * (7 * k % 11) for k in range(100)], dtype=torch.float64, requires_grad=True)
        result = Native().expectation(circuit, no_inputs()[0], weights, [Z(12)])
        return result.detach(), torch.autograd.grad(result.sum(), weights)[0]

    whole = value()
    assert_close(whole[0], [[0.2239120139]], 1e-10)  # of another program
    monkeypatch.setattr("qml.simulator.memory.UNASKED_BYTES", 0)
    monkeypatch.setattr("qml.simulator.memory.available_bytes", lambda device: 2**21)
    for part, expected in zip(value(), whole, strict=True):
        assert_close(part, expected, SAME)
    monkeypatch.setattr("qml.simulator.memory.available_bytes", lambda device: 2**10)
    with pytest.raises(ValueError, match=r"of a contraction in \d+ slices of .* multiplications"):
        value()


def test_each_slice_halves_what_is_widest_and_there_is_an_end() -> None:
    network = network_of(brick("rycz", 30, 6), ((15, "Z"),))
    order = find_order(network)
    assert order is not None
    plan = planned_contraction(network, order)
    for count in range(1, MOST_FIXED + 1):
        more = sliced(plan)
        assert more is not None
        assert len(more.fixed) == count
        assert more.order.written < plan.order.written
        plan = more
    assert sliced(plan) is None


def mixed_circuit() -> Circuit:
    """Five qubits with noise, post-selection and a reset."""
    circuit = Circuit(5)
    for layer in range(3):
        for qubit in range(5):
            circuit.ry(weight(5 * layer + qubit), qubit).rx(0.3 * qubit, qubit)
        for qubit in range(4):
            circuit.cx(qubit, qubit + 1)
        circuit.noise(channels.amplitude_damping(0.2), 2)
        if layer == 1:
            circuit.post_select(4, 1)
    return circuit.reset(0).h(0)


def test_samples_of_a_tree_have_the_probabilities_of_the_register() -> None:
    circuit, weights, read = mixed_circuit(), numbers(15, low=0.2, high=2.5), (3, 0, 4, 1)
    tree = sampling_tree(network_of(circuit, (), read), 1e9)
    assert tree is not None
    bits, chance = draw_outcomes(tree, no_inputs()[0], weights, SHOTS, torch.Generator().manual_seed(1))
    assert_close(chance[None], Native().success_probability(circuit, no_inputs()[0], weights), SAME)
    expected = Native().probabilities(circuit, no_inputs()[0], weights, read)[0]
    counts = torch.bincount((bits.long() * torch.tensor([8, 4, 2, 1])).sum(1), minlength=16)
    deviations = (counts / SHOTS - expected) / (expected * (1 - expected) / SHOTS).sqrt()
    assert deviations.abs().max() < 5  # 16 outcomes at five deviations: 1 false alarm in 100 000


def test_all_qubits_of_an_entangled_state_are_drawn_together() -> None:
    circuit = Circuit(300).h(0)
    for qubit in range(299):
        circuit.cx(qubit, qubit + 1)
    circuit.ry(weight(0), 299)
    generator = torch.Generator().manual_seed(2)
    bits = Native().sample(circuit, no_inputs()[0], numbers(1, low=0.0), 200, generator=generator).qubits[0]
    assert (bits == bits[:, :1]).all()
    assert 60 < bits[:, 0].sum() < 140  # 200 fair coins at five deviations
    again = Native().sample(
        circuit, no_inputs()[0], numbers(1, low=0.0), 200, generator=torch.Generator().manual_seed(2)
    )
    assert torch.equal(again.qubits[0], bits)


def test_few_qubits_of_a_wide_state_by_contraction() -> None:
    circuit = Circuit(200).ry(weight(0), 0)
    for qubit in range(199):
        circuit.cx(qubit, qubit + 1)
    circuit.ry(data(0), 199)
    inputs = torch.tensor([[0.0], [0.4]], dtype=torch.float64)
    weights = numbers(1).requires_grad_()
    values = Native().probabilities(circuit, inputs, weights, [150, 199, 0])
    one, turned = np.sin(0.5) ** 2, np.sin(0.2) ** 2  # the weight is -1
    expected = np.zeros((2, 2, 2, 2))
    for row, chance in enumerate((0.0, turned)):
        expected[row, 0, :, 0] = (1 - one) * np.array([1 - chance, chance])
        expected[row, 1, :, 1] = one * np.array([chance, 1 - chance])
    assert_close(values, expected.reshape(2, 8), EXACT)
    assert torch.autograd.gradcheck(lambda w: Native().probabilities(circuit, inputs, w, [150, 199, 0]), (weights,))


def test_bits_that_are_recorded_on_the_way_of_a_wide_circuit() -> None:
    circuit = Circuit(120).h(0)
    for qubit in range(60):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(60).x(60).h(3).measure(3).measure(90)
    samples = Native().sample(circuit, *no_inputs(), 100, qubits=[0, 60, 3], generator=torch.Generator().manual_seed(3))
    bits, record = samples.qubits[0], samples.bits[0]
    assert torch.equal(record[:, 0], bits[:, 0])
    assert torch.equal(record[:, 0], 1 - bits[:, 1])
    assert torch.equal(record[:, 1], bits[:, 2])
    assert 20 < record[:, 1].sum() < 80
    assert (record[:, 2] == 0).all()


def test_post_selection_of_a_wide_circuit_must_be_possible() -> None:
    circuit = Circuit(60).h(0)
    for qubit in range(59):
        circuit.cx(qubit, qubit + 1)
    circuit.post_select(0, 1)
    assert (Native().sample(circuit, *no_inputs(), 10).qubits == 1).all()
    assert_close(Native().success_probability(circuit, *no_inputs()), [0.5], EXACT)
    impossible = circuit.copy().post_select(59, 0)
    with pytest.raises(ValueError, match="Post-selection must be possible"):
        Native().sample(impossible, *no_inputs(), 10)
    with pytest.raises(ValueError, match="Post-selection must be possible"):
        Native().probabilities(impossible, *no_inputs(), [30])


def test_circuits_too_wide_for_all_routes_are_refused_with_bytes_and_multiplications() -> None:
    circuit = brick("rycz", 60, 40)
    weights = numbers(circuit.n_weights)
    for ask in (
        lambda: Native().expectation(circuit, no_inputs()[0], weights, [Z(30)]),
        lambda: Native().probabilities(circuit, no_inputs()[0], weights, [30]),
        lambda: Native().sample(circuit, no_inputs()[0], weights, 5),
    ):
        with pytest.raises(ValueError, match=r"need 2\*\*\d+ bytes or more .* multiplications"):
            ask()


def test_halves_answer_where_neither_a_register_nor_a_contraction_does(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit(16)
    for layer in range(4):
        for qubit in range(16):
            circuit.ry(weight(16 * layer + qubit), qubit)
        for first in (*range(7), *range(8, 15)):
            circuit.cx(first, first + 1)
    circuit.cx(7, 8).ry(weight(64), 7).ry(weight(65), 8)
    expected = Native().expectation(circuit.copy(), no_inputs()[0], numbers(66), [X(7) @ X(8)])
    monkeypatch.setattr(contraction, "LARGEST_COST", 1.0)
    monkeypatch.setattr(contraction, "QUICK_NS", 0.0)
    monkeypatch.setattr("qml.simulator.routes.too_wide.HOPELESS_BITS", 12)
    monkeypatch.setattr("qml.simulator.memory.UNASKED_BYTES", 0)
    monkeypatch.setattr("qml.simulator.memory.available_bytes", lambda device: 2**20)
    request = Request(2, ((X(7) @ X(8)).terms,), shared_data=True, batch=1)
    routes = EXPECTATIONS.planned(circuit, request)
    assert isinstance(routes[0], TooWideRoute)
    value = Native().expectation(circuit, no_inputs()[0], numbers(66), [X(7) @ X(8)])
    assert_close(value, expected, EXACT)
