"""Disconnected circuits with every kind of operation: pieces against the register as a whole."""

from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch
from torch import Tensor

from circuits import Circuit, Observable, X, Y, Z, channels, data, pauli_string, weight
from qml.backends import Native
from qml.simulator import cones
from tests.helpers import assert_close
from tests.test_wide_circuits import EXACT, SAME, no_inputs, numbers, pieces_everywhere, values

GROUPS = ((0, 2, 5), (1, 3))  # qubits 4 and 6 stay untouched
N_QUBITS = 7


def random_circuit(seed: int, *, is_unitary: bool) -> Circuit:
    """Two parts that share no gate but data and weight slots, in an order that mixes them."""
    draws = np.random.default_rng(seed)
    circuit = Circuit(N_QUBITS)
    for step in range(24):
        group = GROUPS[draws.integers(2)]
        first, second = (int(qubit) for qubit in draws.permutation(group)[:2])
        slot = (weight if draws.random() < 0.6 else data)(int(draws.integers(3)))
        kind = draws.integers(7 if is_unitary else 11)
        if kind < 3:
            (circuit.ry, circuit.rx, circuit.rz)[kind](slot, first)
        elif kind < 6:
            (circuit.cx, circuit.cz, partial(circuit.rzz, slot))[kind - 3](first, second)
        elif kind == 6:
            circuit.ry(slot, first, controls=(second,))
        elif kind == 7:
            circuit.noise(channels.amplitude_damping(0.2), first)
        elif kind == 8:
            circuit.reset(first)
        elif kind == 9:
            circuit.measure(first)
        elif step < 20:
            circuit.ry(0.9, first).post_select(first, 0)
    for qubit in (0, 1, 2, 3, 5):
        circuit.ry(weight(qubit % 3), qubit).rx(data(qubit % 3), qubit)
    return circuit


OBSERVABLES = [
    Z(0) @ X(1),
    Y(2) @ Z(4) + 0.5 * Z(6),
    Z(5) @ Z(3) @ Z(6) - 2.0,
    X(4) @ Z(0),
    0.3 * Z(3) + Observable(((1.5, ()),)),
]


def both_ways(circuit: Circuit, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    with mock.patch.object(cones, "NARROW", 99):
        whole = Native().expectation(circuit.copy(), inputs, weights, OBSERVABLES)
    with pieces_everywhere():
        return Native().expectation(circuit.copy(), inputs, weights, OBSERVABLES), whole


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("is_unitary", [True, False])
def test_pieces_of_disconnected_circuits_are_the_register(seed: int, is_unitary: bool) -> None:
    circuit = random_circuit(seed, is_unitary=is_unitary)
    inputs = torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).requires_grad_()
    weights = numbers(3, low=0.2, high=0.8).requires_grad_()
    derivatives = []
    for result in both_ways(circuit, inputs, weights):
        scale = torch.linspace(0.5, 1.5, result.numel(), dtype=torch.float64).reshape(result.shape)
        first = torch.autograd.grad((scale * result).sum(), (inputs, weights), create_graph=True)
        size = first[0].square().sum() + first[1].square().sum()
        second = torch.autograd.grad(size, (inputs, weights))
        derivatives.append([result.detach(), *(part.detach() for part in first), *second])
    for part, whole in zip(*derivatives, strict=True):
        assert_close(part, whole, 1e-9)  # divided by the probability of all post-selections, twice


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_of_none_and_one_in_both_precisions(batch: int, dtype: torch.dtype) -> None:
    circuit = random_circuit(3, is_unitary=False)
    inputs, weights = torch.full((batch, 3), 0.4, dtype=dtype), torch.tensor([0.2, 0.5, 0.8], dtype=dtype)
    part, whole = both_ways(circuit, inputs.requires_grad_(), weights)
    assert part.shape == (batch, len(OBSERVABLES))
    assert part.dtype == dtype
    assert_close(part, whole, EXACT if dtype == torch.float64 else 1e-5)
    (slope,) = torch.autograd.grad(part.sum(), inputs)
    assert slope.shape == inputs.shape


def test_post_selection_in_one_part_leaves_the_other_and_the_product_of_chances() -> None:
    circuit = Circuit(14).ry(0.8, 0).cx(0, 1).post_select(0, 1).ry(weight(0), 1)
    circuit.ry(1.1, 7).cx(7, 8).post_select(8, 0).h(13)
    chance = np.sin(0.4) ** 2 * np.cos(0.55) ** 2
    assert_close(Native().success_probability(circuit, no_inputs()[0], numbers(1)), [chance], EXACT)
    expected = [[-np.cos(1.0), -np.cos(1.0), 1.0, 0.0]]
    assert_close(values(circuit, [Z(1), Z(1) @ Z(7), Z(8), Z(13)], numbers(1)), expected, EXACT)


def test_gates_that_are_only_phases_widen_nothing() -> None:
    circuit = Circuit(30).ry(weight(0), 3)
    for qubit in range(29):
        circuit.pauli_rotation(weight(1), "II", (qubit, qubit + 1))
        circuit.x(qubit + 1, controls=(29,) if qubit < 28 else (0,))  # controls in |0>
    assert_close(values(circuit, [Z(3), X(3)], numbers(2)), [[np.cos(1.0), np.sin(-1.0)]], EXACT)


def test_the_state_of_a_wide_circuit_is_refused() -> None:
    with pytest.raises(ValueError, match="must fit into memory, but state vectors of 60 qubits"):
        Native().state(Circuit(60).h(0), *no_inputs())


def test_amplitudes_that_are_data_keep_their_norm_and_the_gradient_along_the_sphere() -> None:
    """Cones leave out preparations whose norm is 1, so only derivatives along the sphere have a meaning."""
    circuit = Circuit(14).prepare_slots([data(k) for k in range(4)], (2, 9)).ry(weight(0), 9).ry(data(4), 5)
    observables = [Z(2), X(9) @ Z(5), Z(5)]
    raw = torch.tensor([[0.3, -0.8, 0.4, 0.5, 0.7], [0.9, 0.1, -0.2, 0.3, 0.1]], dtype=torch.float64)

    def along_the_sphere(n_narrow: int) -> list[Tensor]:
        rows = raw.clone().requires_grad_()
        inputs = torch.cat([torch.nn.functional.normalize(rows[:, :4]), rows[:, 4:]], 1)
        with mock.patch.object(cones, "NARROW", n_narrow):
            result = Native().expectation(circuit.copy(), inputs, numbers(1), observables)
        return [result.detach(), torch.autograd.grad(result.square().sum(), rows)[0]]

    for part, whole in zip(along_the_sphere(1), along_the_sphere(99), strict=True):
        assert_close(part, whole, SAME)
    with pytest.raises(ValueError, match="norm"):
        Native().expectation(circuit, raw, numbers(1), [Z(5)])


def test_read_out_errors_of_long_strings() -> None:
    circuit = Circuit(40)
    for qubit in range(40):
        circuit.ry(0.1, qubit)
    every = pauli_string("Z" * 40)
    even = Native(readout_error=(0.02, 0.02)).expectation(circuit, *no_inputs(), [every])
    assert_close(even, [[(0.96 * np.cos(0.1)) ** 40]], EXACT)
    with pytest.raises(ValueError, match="at most 10 factors"):
        Native(readout_error=(0.02, 0.03)).expectation(circuit, *no_inputs(), [every])


def test_circuits_keep_a_bounded_number_of_results() -> None:
    circuit = Circuit(40)
    for qubit in range(40):
        circuit.ry(weight(qubit), qubit)
    angles = numbers(40)
    for first in range(40):
        for second in range(first):
            Native().probabilities(circuit, no_inputs()[0], angles, [first, second])
    assert len(circuit._derived) <= 64
    made = []
    for _ in range(2):
        circuit.derived("kept", lambda: made.append(1))
    assert made == [1]
