"""Quantum Fisher information against closed forms and differences of the oracle's states; natural gradient steps."""

import copy
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from circuits import Circuit, X, Z, ansatzes, data, weight
from circuits.polynomials import inputs as variables
from qml.analysis import quantum_fisher
from qml.nn import Angles, NaturalGradient, QuantumLayer
from qml.nn.natural_gradient import blocks_of
from tests import oracle
from tests.helpers import assert_close

DOUBLE = torch.float64
NONE = torch.zeros(1, 0, dtype=DOUBLE)


def seeded(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def by_differences(circuit: Circuit, sample: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The matrix from central differences of fourth order of the oracle's state."""
    step, state = 1e-3, oracle.state_of(circuit, sample, weights)

    def moved(k: int, size: float) -> np.ndarray:
        return oracle.state_of(circuit, sample, weights + size * np.eye(len(weights))[k])

    moves = [
        (8 * (moved(k, step) - moved(k, -step)) - moved(k, 2 * step) + moved(k, -2 * step)) / (12 * step)
        for k in range(len(weights))
    ]
    rows = np.array(moves)
    overlaps = rows.conj() @ state
    return 4 * (rows.conj() @ rows.T - np.outer(overlaps, overlaps.conj())).real


def shared_and_composite() -> Circuit:
    circuit = Circuit(3).ry(data(0), 0).u3(weight(0), weight(1), data(1), 1).cx(0, 1).exp_pauli(weight(2), "YX", (2, 0))
    return circuit.rx(weight(0), 2).xx_plus_yy(weight(3), 1, 2).rz(weight(2), 1, controls=0).p(weight(3), 0)


def test_one_qubit_has_the_closed_form() -> None:
    circuit = Circuit(1).rx(weight(0), 0).rz(weight(1), 0).ry(weight(2), 0)
    first, second = 0.7, -0.4
    found = quantum_fisher(circuit, NONE, torch.tensor([first, second, 0.3], dtype=DOUBLE))[0]
    # By the Bloch vector n of the state before each gate: 1 - (n . axis)^2 on the diagonal.
    bloch_y = -math.sin(first) * math.cos(second)
    assert_close(found.diagonal(), torch.tensor([1.0, math.sin(first) ** 2, 1 - bloch_y**2], dtype=DOUBLE), 1e-12)
    assert_close(found, found.mT, 1e-12)


@pytest.mark.parametrize("build", [shared_and_composite, lambda: ansatzes.strongly_entangling(3, 2)])
def test_matrices_are_those_of_the_oracles_states(build: Any) -> None:
    circuit = build()
    samples = torch.rand(2, circuit.n_data, dtype=DOUBLE, generator=seeded())
    weights = torch.rand(circuit.n_weights, dtype=DOUBLE, generator=seeded(4))
    found = quantum_fisher(circuit, samples, weights)
    for sample, matrix in zip(samples.numpy(), found, strict=True):
        assert_close(matrix, by_differences(circuit, sample, weights.numpy()), 1e-9)
        assert float(torch.linalg.eigvalsh(matrix).min()) > -1e-10
    assert quantum_fisher(circuit, samples[:0], weights).shape == (0, circuit.n_weights, circuit.n_weights)


def test_pieces_of_a_batch_are_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit, samples = shared_and_composite(), torch.rand(5, 2, dtype=DOUBLE, generator=seeded())
    weights = torch.rand(4, dtype=DOUBLE, generator=seeded())
    whole = quantum_fisher(circuit, samples, weights)
    monkeypatch.setattr("qml.nn.quantum_fisher.MAX_TANGENT_NUMBERS", 64)
    assert_close(quantum_fisher(circuit, samples, weights), whole, 1e-12)


def test_a_step_is_the_gradient_by_the_inverse_metric() -> None:
    circuit = shared_and_composite()
    inputs = torch.rand(4, 2, dtype=DOUBLE, generator=seeded())
    metric = quantum_fisher(circuit, inputs, torch.full((4,), 0.4, dtype=DOUBLE)).mean(0) / 4
    for structure in ("full", "block", "diagonal"):
        layer = QuantumLayer(circuit, [Z(0), X(2)], dtype=DOUBLE)
        with torch.no_grad():
            layer.weights.fill_(0.4)
        optimizer = NaturalGradient(layer, lr=0.02, damping=0.01, structure=structure)

        def closure(layer: QuantumLayer = layer, optimizer: NaturalGradient = optimizer) -> Tensor:
            optimizer.zero_grad()
            loss = layer(inputs).square().sum()
            loss.backward()
            return loss

        loss = optimizer.step(closure, inputs=inputs)
        gradient = layer.weights.grad
        assert gradient is not None
        kept = torch.zeros(4, 4, dtype=DOUBLE)
        for block in blocks_of(circuit, structure):
            kept[np.ix_(list(block), list(block))] = 1.0
        expected = 0.4 - 0.02 * torch.linalg.solve(metric * kept + 0.01 * torch.eye(4, dtype=DOUBLE), gradient)
        assert_close(layer.weights.detach(), expected, 1e-10)
        assert closure().item() < loss.item()


def test_inputs_are_those_that_the_layer_takes() -> None:
    """Two samples of four numbers are not four samples of two."""
    layer = QuantumLayer(shared_and_composite(), [Z(0)], dtype=DOUBLE)
    optimizer = NaturalGradient(layer)
    layer(torch.rand(2, 2, dtype=DOUBLE)).sum().backward()
    for wrong in (torch.rand(2, 4, dtype=DOUBLE), torch.rand(4, dtype=DOUBLE)):
        with pytest.raises(ValueError, match=r"must have shape \(\.\.\., 2\)"):
            optimizer.step(inputs=wrong)
    with pytest.raises(TypeError, match="float64"):
        optimizer.step(inputs=torch.rand(2, 2))


def test_blocks_are_of_gates_side_by_side() -> None:
    circuit = ansatzes.real_amplitudes(3, 2)
    assert [list(block) for block in blocks_of(circuit, "block")] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert blocks_of(Circuit(1), "full") == ()


def test_the_metric_of_computed_angles_is_that_of_the_circuit() -> None:
    circuit = Circuit(1).ry(data(0), 0).rz(weight(0), 0)
    layer = QuantumLayer(circuit, [X(0)], angles=Angles([2.0 * variables(1)[0]]), dtype=DOUBLE).double()
    with torch.no_grad():
        layer.weights.fill_(0.3)
    inputs = torch.tensor([[0.4]], dtype=DOUBLE)
    layer(inputs).sum().backward()
    NaturalGradient(layer, lr=1.0, damping=1e-12).step(inputs=inputs)
    # <X> = sin(2x) cos(w), and the metric is sin(2x)^2 / 4
    assert_close(layer.weights.detach(), torch.tensor([0.3 + 4 * math.sin(0.3) / math.sin(0.8)], dtype=DOUBLE), 1e-8)


def one_step(layer: QuantumLayer, optimizer: NaturalGradient, inputs: Tensor) -> Tensor:
    optimizer.zero_grad()
    layer(inputs).square().sum().backward()
    optimizer.step(inputs=inputs)
    return layer.weights.detach()


def test_copies_go_on_with_their_own_layer() -> None:
    inputs = torch.rand(4, 2, dtype=DOUBLE, generator=seeded())
    layer = QuantumLayer(shared_and_composite(), [Z(0), X(2)], dtype=DOUBLE, generator=seeded())
    both, start = (layer, NaturalGradient(layer, lr=0.1, structure="block")), layer.weights.detach().clone()
    copies = [copy.deepcopy(both), pickle.loads(pickle.dumps(both))]
    expected = one_step(*both, inputs)
    assert (expected - start).abs().max() > 1e-3
    for other, optimizer in copies:
        assert_close(other.weights.detach(), start, 0.0)
        assert_close(one_step(other, optimizer, inputs), expected, 1e-14)


def test_parameters_that_would_not_move_are_refused() -> None:
    layer = QuantumLayer(shared_and_composite(), [Z(0)], dtype=DOUBLE)
    optimizer, inputs = NaturalGradient(layer), torch.rand(4, 2, dtype=DOUBLE, generator=seeded())
    with pytest.raises(ValueError, match="must have the weights of its layer alone"):
        optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(2))]})
    layer.load_state_dict(QuantumLayer(shared_and_composite(), [Z(0)], dtype=DOUBLE).state_dict(), assign=True)
    with pytest.raises(ValueError, match="Make a new NaturalGradient"):
        one_step(layer, optimizer, inputs)  # zero_grad would clear the gradients of weights that are gone


def test_identity_blocks_are_the_identity_at_their_start() -> None:
    block = ansatzes.hardware_efficient(3, 2, rotations="xyz", entangler="crz", pattern="ring")
    circuit = ansatzes.identity_blocks(block, 2)
    weights = ansatzes.identity_weights(block, 2, seed=1)
    assert circuit.n_weights == len(weights) == 4 * block.n_weights
    assert_close(oracle.unitary_of(circuit, weights=weights), np.eye(8), 1e-12)
    weights[0] += 0.5
    assert abs(oracle.unitary_of(circuit, weights=weights) - np.eye(8)).max() > 0.1
    assert not np.array_equal(weights[: block.n_weights], weights[2 * block.n_weights : 3 * block.n_weights])
    with pytest.raises(ValueError, match="`block` must hold weights only, but has 1 data slots"):
        ansatzes.identity_blocks(Circuit(1).rx(data(0), 0))


def test_what_has_no_metric_is_refused() -> None:
    layer = QuantumLayer(ansatzes.real_amplitudes(2, 1), [Z(0)], dtype=DOUBLE)
    with pytest.raises(ValueError, match="`damping` must be above 0"):
        NaturalGradient(layer, damping=0.0)
    with pytest.raises(ValueError, match="A state vector must come from a circuit without reset"):
        quantum_fisher(Circuit(1).ry(weight(0), 0).reset(0), NONE, torch.zeros(1, dtype=DOUBLE))
    layer(NONE).sum().backward()
    with pytest.raises(ValueError, match="`inputs` must hold at least one sample"):
        NaturalGradient(layer).step(inputs=NONE[:0])


@pytest.mark.plain
def test_other_structures_and_modules_are_refused() -> None:
    layer = QuantumLayer(ansatzes.real_amplitudes(2, 1), [Z(0)])
    with pytest.raises(ValueError, match="`structure` must be one of 'full', 'block', 'diagonal', but is 'half'"):
        NaturalGradient(layer, structure="half")  # pyright: ignore
    with pytest.raises(TypeError, match="`layer` must be a QuantumLayer"):
        NaturalGradient(torch.nn.Linear(1, 1))  # pyright: ignore
