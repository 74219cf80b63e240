"""The ensemble Kalman filter as a trainer: against closed forms, on equations, and on circuits with shots."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.backends import Aer
from qml.nn import QuantumLayer, save_model
from qml.pinn import MLP, Box, Face, Pinn, Problem, Training, pinn_residuals, relative_l2, train_by_kalman

DOUBLE = torch.float64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_linear_step_is_the_posterior_mean() -> None:
    """One step on linear residuals A w - y is Bayes' rule, but for the error of a finite ensemble."""
    generator = seeded(3)
    matrix, target = (
        torch.randn(6, 3, generator=generator, dtype=DOUBLE),
        torch.randn(6, generator=generator, dtype=DOUBLE),
    )
    module = nn.Linear(3, 1, bias=False, dtype=DOUBLE)
    nn.init.zeros_(module.weight)
    spread, damping = 1.0, 0.2
    losses = train_by_kalman(
        module,
        lambda: matrix @ module.weight[0] - target,
        n_members=4000,
        n_steps=1,
        spread=spread,
        damping=damping,
        seed=1,
    )
    variance = damping * float(target.square().mean())
    expected = torch.linalg.solve(
        matrix.T @ matrix + variance / spread**2 * torch.eye(3, dtype=DOUBLE), matrix.T @ target
    )
    # The ensemble's covariance is right to 1 / sqrt(4000).
    assert torch.allclose(module.weight[0], expected, atol=0.05)
    assert losses[1] < losses[0]


def test_an_equation_is_solved_without_derivatives_in_weights() -> None:
    problem = Problem(
        name="decay",
        domain=Box({"t": (0.0, 1.0)}),
        fields=("u",),
        equations={"decay": lambda u, u_t: u_t + 2 * u},
        conditions=(Face("start", {"t": 0.0}, lambda u: u - 1.0, exact=True),),
        trial=lambda t, u: 1 + t * u,
        reference=lambda points: np.exp(-2 * points),
    )
    model = Pinn(problem, MLP(1, (6,), dtype=DOUBLE, generator=seeded()))
    residuals = pinn_residuals(model, Training(n_points=12, collocation="quadrature"), seed=0)
    points = problem.domain.grid(51)
    first = relative_l2(model, points)
    losses = train_by_kalman(model, residuals, n_members=40, n_steps=25, seed=0)
    assert first > 0.3
    assert relative_l2(model, points) < 0.01
    assert min(losses) < 1e-3 * losses[0]


def test_a_circuit_is_trained_on_shots() -> None:
    circuit = Circuit(1)
    for layer in range(3):
        circuit = circuit.rz(weight(2 * layer), 0).ry(weight(2 * layer + 1), 0).ry(data(0), 0)
    layer = QuantumLayer(circuit, [Z(0)], backend=Aer(shots=400, generator=seeded()), dtype=DOUBLE, generator=seeded(1))
    inputs = torch.linspace(-2, 2, 9, dtype=DOUBLE)[:, None]
    target = torch.cos(2 * inputs[:, 0]) * 0.8
    losses = train_by_kalman(
        layer, lambda: layer(inputs)[:, 0] - target, n_members=10, n_steps=8, spread=0.5, damping=0.5, seed=0
    )
    exact = QuantumLayer(circuit, [Z(0)], dtype=DOUBLE)
    exact.load_state_dict(layer.state_dict())
    with torch.no_grad():
        error = float((exact(inputs)[:, 0] - target).square().mean())
    assert losses[0] > 0.2
    assert error < 0.05


def test_what_cannot_be_filtered_is_refused() -> None:
    module = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="n_members"):
        train_by_kalman(module, lambda: torch.zeros(1), n_members=2, n_steps=1)
    with pytest.raises(ValueError, match="must be finite"):
        train_by_kalman(module, lambda: torch.full((1,), torch.nan), n_members=3, n_steps=1)


def test_weights_keep_their_own_memory(tmp_path: Path) -> None:
    module = nn.Linear(2, 1, dtype=DOUBLE)
    train_by_kalman(module, lambda: module(torch.eye(2, dtype=DOUBLE))[:, 0], n_members=5, n_steps=1)
    assert module.weight.untyped_storage().data_ptr() != module.bias.untyped_storage().data_ptr()
    save_model(module, tmp_path / "filtered.safetensors")  # which refuses tensors that share one


def test_a_filter_that_breaks_off_leaves_the_best_mean() -> None:
    module, calls = nn.Linear(1, 1, bias=False, dtype=DOUBLE), []

    def residuals() -> torch.Tensor:
        calls.append(float(module.weight.detach()))
        return (module.weight[0] - 2.0) * (torch.nan if len(calls) == 6 else 1.0)

    with pytest.raises(ValueError, match="must be finite"):
        train_by_kalman(module, residuals, n_members=3, n_steps=5)
    # Calls are the mean, three members, the mean, and a member.
    assert float(module.weight.detach()) == min(calls[0], calls[4], key=lambda weight: abs(weight - 2.0))
