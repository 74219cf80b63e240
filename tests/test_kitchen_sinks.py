"""Quantum kitchen sinks beside the circuit that they stand for."""

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from qml.backends import Native
from qml.estimators import QuantumKitchenSinks
from qml.estimators.kitchen_sinks import entangling_pairs, sinks_circuit

N_SHOTS = 20000


def outcome_shares(sinks: QuantumKitchenSinks, row: np.ndarray) -> np.ndarray:
    """The share of each outcome of the first episode."""
    bits = sinks.transform(np.repeat(row[None], N_SHOTS, 0))[:, : sinks.omega_.shape[1]]
    numbers = bits @ (2 ** np.arange(bits.shape[1])[::-1])
    return np.bincount(numbers.astype(int), minlength=2 ** bits.shape[1]) / N_SHOTS


@pytest.mark.parametrize("backend", ["native", Native(representation="density")])
def test_outcomes_have_the_probabilities_of_the_circuit(backend: object) -> None:
    rows = np.array([[-1.0, 0.2, 0.4], [1.0, -0.3, 0.9], [0.0, 0.5, -0.7]])
    sinks = QuantumKitchenSinks(1, n_qubits=4, scaling=None, backend=backend, random_state=3).fit(rows)
    angles = sinks.omega_[0] @ rows[1] + sinks.beta_[0]
    expected = circuit_probabilities(angles)
    deviation = np.sqrt(expected * (1 - expected) / N_SHOTS)
    assert (np.abs(outcome_shares(sinks, rows[1]) - expected) <= 5 * deviation + 1e-12).all()


def circuit_probabilities(angles: np.ndarray) -> np.ndarray:
    """RX on each qubit, then CX on 0-1, 2-3, 0-2, 1-3, by dense matrices."""
    state = np.ones(1)
    for angle in angles:
        state = np.kron(state, [np.cos(angle / 2), -1j * np.sin(angle / 2)])
    state = state.reshape((2,) * 4)
    for control, target in ((0, 1), (2, 3), (0, 2), (1, 3)):
        moved = np.moveaxis(state, (control, target), (0, 1)).copy()
        moved[1] = moved[1, ::-1].copy()
        state = np.moveaxis(moved, (0, 1), (control, target))
    return np.abs(state.reshape(-1)) ** 2


def test_the_wiring_is_that_of_the_study() -> None:
    assert entangling_pairs(5) == [(0, 1), (2, 3), (0, 2), (1, 3), (2, 4)]
    assert entangling_pairs(1) == []
    assert sinks_circuit(5).n_data == 5


def test_a_linear_model_on_the_outcomes_learns() -> None:
    X, y = make_moons(200, noise=0.1, random_state=0)
    model = make_pipeline(QuantumKitchenSinks(100, random_state=0), LogisticRegression()).fit(X[:150], y[:150])
    assert model.score(X[150:], y[150:]) > 0.85


def test_shapes_and_seeds() -> None:
    X = np.random.default_rng(0).normal(size=(5, 30))
    first, again, other = (QuantumKitchenSinks(7, n_qubits=2, random_state=seed).fit_transform(X) for seed in (1, 1, 2))
    assert first.shape == (5, 14)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert set(np.unique(first)) == {0.0, 1.0}


def test_bad_options_are_refused_by_name() -> None:
    X = np.ones((3, 2))
    for options, name in (
        ({"n_episodes": 0}, "n_episodes"),
        ({"n_qubits": 0}, "n_qubits"),
        ({"scaling": "x"}, "scaling"),
    ):
        with pytest.raises(ValueError, match=f"`{name}`"):
            QuantumKitchenSinks(**options).fit(X)
