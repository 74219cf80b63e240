"""Quantum kitchen sinks: random circuits whose outcomes are features of a linear model."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.preprocessing import MinMaxScaler
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from circuits import Circuit, data
from circuits.plain_checks import as_int
from qml.backends import Backend, resolve

SEED_LIMIT = 2**31 - 1


class QuantumKitchenSinks(TransformerMixin, BaseEstimator):
    """A transformer that measures random circuits of the features, one shot each; nothing in it is trained.

    An episode turns the qubits of one circuit by RX of the random angles Omega x + beta, with Omega from N(0, 1) and
    beta uniform in [0, 2 pi), joins them by CX, and measures them once. The bits of all episodes are the features of a
    linear model, such as logistic regression.

    Args:
        n_episodes: Number of episodes.
        n_qubits: Qubits of a circuit; None for one a feature.
        scaling: Scaling of the features by the training set: `"minmax"` to [-1, 1], or None.
        backend: A backend or its name. CX only permutes outcomes, so that the default draws the qubits one by one, in
            no time at any number of them; devices run one circuit of one shot a sample and episode.
        random_state: Seed of angles and shots. Shots go on in one stream, so that a second `transform` differs.

    Attributes:
        omega_: Random factors, shape (n_episodes, n_qubits, features).
        beta_: Random angles in radians, shape (n_episodes, n_qubits).
        n_features_in_: Number of features.

    Reference:
        Wilson et al., arXiv:1806.08321; sizes as in Bowles et al., arXiv:2403.07059.

    Example:
        >>> from sklearn.datasets import make_moons
        >>> from sklearn.linear_model import LogisticRegression
        >>> from sklearn.pipeline import make_pipeline
        >>> X, y = make_moons(100, noise=0.1, random_state=0)
        >>> model = make_pipeline(QuantumKitchenSinks(50, random_state=0), LogisticRegression()).fit(X, y)
        >>> bool(model.score(X, y) > 0.8)
        True
    """

    def __init__(  # of any kind, as scikit-learn asks; `fit` checks them
        self,
        n_episodes: Any = 100,
        *,
        n_qubits: Any = None,
        scaling: Any = "minmax",
        backend: Any = "native",
        random_state: Any = None,
    ) -> None:
        self.n_episodes = n_episodes
        self.n_qubits = n_qubits
        self.scaling = scaling
        self.backend = backend
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> "QuantumKitchenSinks":
        """Fit the scaler to samples X, (batch, inputs), and draw the random angles."""
        inputs: Any = validate_data(self, X, dtype=np.float64)
        n_features = inputs.shape[1]
        n_episodes = as_int(self.n_episodes, "n_episodes", 1)
        n_qubits = n_features if self.n_qubits is None else as_int(self.n_qubits, "n_qubits", 1)
        if self.scaling not in ("minmax", None):
            raise ValueError(f"Argument `scaling` must be 'minmax' or None, but is {self.scaling!r}.")
        self.scaler_ = None if self.scaling is None else MinMaxScaler((-1.0, 1.0)).fit(inputs)
        random = check_random_state(self.random_state)
        self.omega_ = random.standard_normal((n_episodes, n_qubits, n_features))
        self.beta_ = random.uniform(0.0, 2.0 * math.pi, (n_episodes, n_qubits))
        self._shots = np.random.RandomState(random.randint(SEED_LIMIT))
        return self

    def transform(self, X: Any) -> Float[np.ndarray, "batch bits"]:
        """Measure the circuits of each sample: bits 0.0 and 1.0, shape (batch, n_episodes * n_qubits)."""
        check_is_fitted(self, "omega_")
        inputs: Any = validate_data(self, X, dtype=np.float64, reset=False)
        rows = inputs if self.scaler_ is None else np.asarray(self.scaler_.transform(inputs))
        n_episodes, n_qubits, n_features = self.omega_.shape
        angles = rows @ self.omega_.reshape(-1, n_features).T + self.beta_.reshape(-1)
        angles = angles.reshape(-1, n_qubits)
        backend = resolve(self.backend)
        measured = self._drawn(angles) if backend.capabilities.closed_form else self._measured(angles, backend)
        return measured.reshape(len(rows), n_episodes * n_qubits).astype(np.float64)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def _drawn(self, angles: np.ndarray) -> np.ndarray:
        """Draw the outcomes of RX on each qubit, and flip the bits that CX flips."""
        ones = (self._shots.random_sample(angles.shape) < np.sin(angles / 2.0) ** 2).T
        for control, target in entangling_pairs(angles.shape[1]):
            ones[target] ^= ones[control]
        return ones.T

    def _measured(self, angles: np.ndarray, backend: Backend) -> np.ndarray:
        generator = torch.Generator().manual_seed(int(self._shots.randint(SEED_LIMIT)))
        rows = torch.from_numpy(angles)
        sampled = backend.sample(sinks_circuit(angles.shape[1]), rows, rows.new_empty(0), 1, generator=generator)
        return sampled.qubits[:, 0].numpy()


def sinks_circuit(n_qubits: int) -> Circuit:
    """Build the circuit of an episode: RX(data) on each qubit, and CX."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.rx(data(qubit), qubit)
    for control, target in entangling_pairs(n_qubits):
        circuit.cx(control, target)
    return circuit


def entangling_pairs(n_qubits: int) -> list[tuple[int, int]]:
    """Return control and target of each CX: neighbours 0-1, 2-3 and so on, then each qubit with the next but one."""
    return [(q, q + 1) for q in range(0, n_qubits - 1, 2)] + [(q, q + 2) for q in range(n_qubits - 2)]
