"""Programs of the kinds that PennyLane's own tutorials show, on this device and on PennyLane's simulator."""

from typing import Any

import numpy as np
import pennylane as pl
import pytest
from pennylane import numpy as pnp


def both(n_wires: int) -> tuple[Any, Any]:
    return pl.device("qml.native", wires=n_wires), pl.device("default.qubit", wires=n_wires)


def test_a_variational_eigensolver_reaches_the_same_energy() -> None:
    words = [pl.Identity(0), pl.Z(0), pl.Z(1), pl.Z(0) @ pl.Z(1), pl.X(0) @ pl.X(1)]
    hamiltonian = pl.Hamiltonian([-1.05, 0.39, -0.39, -0.01, 0.18], words)
    energies = []
    for device in both(2):

        @pl.qnode(device)
        def energy(angle: Any) -> Any:
            pl.BasisState(np.array([1, 0]), wires=[0, 1])
            pl.SingleExcitation(angle, wires=[0, 1])
            return pl.expval(hamiltonian)

        angle, optimiser = pnp.array(0.0, requires_grad=True), pl.GradientDescentOptimizer(0.4)
        for _ in range(20):
            angle = optimiser.step(energy, angle)
        energies.append(float(energy(angle)))
    assert energies[0] == pytest.approx(energies[1], abs=1e-10)
    lowest = np.linalg.eigvalsh(pl.matrix(hamiltonian, wire_order=[0, 1]))[0]
    assert energies[0] == pytest.approx(lowest, abs=1e-3)  # 20 steps


def test_a_kernel_matrix_is_the_same() -> None:
    samples = np.random.default_rng(0).normal(size=(4, 2))
    matrices = []
    for device in both(2):

        @pl.qnode(device)
        def overlap(first: Any, second: Any) -> Any:
            pl.IQPEmbedding(first, wires=range(2))
            pl.adjoint(pl.IQPEmbedding)(second, wires=range(2))
            return pl.probs(wires=range(2))

        matrices.append(pl.kernels.square_kernel_matrix(samples, lambda a, b: overlap(a, b)[0]))
    np.testing.assert_allclose(matrices[0], matrices[1], atol=1e-12)


def test_a_classifier_trains_alike() -> None:
    generator = np.random.default_rng(1)
    samples = pnp.array(generator.uniform(-1, 1, (12, 2)), requires_grad=False)
    labels = np.where(samples[:, 0] > samples[:, 1], 1.0, -1.0)
    start = generator.normal(0.0, 0.1, (2, 2, 3))
    losses = []
    for device in both(2):

        @pl.qnode(device)
        def score(weights: Any, inputs: Any) -> Any:
            pl.AngleEmbedding(inputs, wires=range(2))
            pl.StronglyEntanglingLayers(weights, wires=range(2))
            return pl.expval(pl.Z(0))

        def loss(weights: Any) -> Any:
            return pnp.mean((score(weights, samples) - labels) ** 2)

        weights, optimiser = pnp.array(start, requires_grad=True), pl.AdamOptimizer(0.2)
        course = []
        for _ in range(15):
            weights, value = optimiser.step_and_cost(loss, weights)
            course.append(float(value))
        losses.append(course)
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-8)
    assert losses[0][-1] < 0.8 * losses[0][0]
