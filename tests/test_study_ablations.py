"""The study's models with one ingredient taken out, beside products of matrices in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch

from qml.compare.study import competitors
from qml.compare.study.ablations import KINDS
from qml.compare.study.grids import ENTRIES, candidates
from qml.compare.study.published import published

N_LAYERS = 3
ALGEBRA = 1e-12


def rotation(a: float, b: float, c: float) -> np.ndarray:
    """Return RZ(c) RY(b) RZ(a)."""
    first, last = (np.diag([np.exp(-0.5j * t), np.exp(0.5j * t)]) for t in (a, c))
    return last @ np.array([[np.cos(b / 2), -np.sin(b / 2)], [np.sin(b / 2), np.cos(b / 2)]]) @ first


def on_both(angles: np.ndarray) -> np.ndarray:
    return np.kron(rotation(*angles[:3]), rotation(*angles[3:]))


def states(name: str, rows: np.ndarray, scales: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """Compute the states of two qubits with three features each, (batch, 4)."""
    pairs = np.diag([1.0, 1.0, 1.0, -1.0])
    result = []
    for row in rows:
        state = np.eye(4)[0].astype(complex)
        if name == "re-uploading-no-embedding":
            for scale in scales if scales is not None else ():
                state = on_both(scale * row) @ state
        for layer in range(N_LAYERS + 1):
            scaled = row if scales is None else scales[layer] * row
            if name == "re-uploading-no-embedding":
                state = on_both(weights[layer]) @ state
            elif name == "re-uploading-no-cost" and layer < N_LAYERS:
                state = on_both(weights[layer]) @ on_both(scaled) @ state
            else:
                state = on_both(scaled + weights[layer]) @ state
            if layer < N_LAYERS and layer % 2 == 0 and name != "re-uploading-separable":
                state = pairs @ state
        result.append(state)
    return np.array(result)


def made(name: str, n_features: int, **changes: Any) -> Any:
    setting = {**candidates(name)[-1], "n_layers": N_LAYERS, **changes}
    make, scaling = competitors.make_layer(name, setting, n_features, True)
    assert scaling == ("standard" if name == "dressed-separable" else "minmax")
    return make(n_features, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", [name for name in KINDS if name.startswith("re-uploading")])
def test_ablations_of_re_uploading_are_products_of_their_matrices(name: str) -> None:
    layer = made(name, 6)
    inputs = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    scales = None if layer.scales is None else layer.scales.detach().numpy()
    amplitudes = states(name, inputs.numpy(), scales, layer.weights.detach().numpy().reshape(N_LAYERS + 1, 6))
    z = np.abs(amplitudes) ** 2 @ np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    np.testing.assert_allclose(layer.values(inputs).detach(), z, atol=ALGEBRA)
    labels = torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    if name == "re-uploading-no-cost":
        assert layer.class_weights is None
        np.testing.assert_allclose(layer(inputs).detach(), z[:, 0], atol=ALGEBRA)
        expected = (1.0 - labels.numpy() * z.sum(1)).mean() / 2.0
    else:
        np.testing.assert_allclose(layer(inputs).detach(), z.mean(1), atol=ALGEBRA)
        hits = (1.0 + labels.numpy()[:, None] * z) / 2.0
        expected = ((1.0 - hits) ** 2).sum(1).mean()  # both class weights are 1
    loss = layer.loss(inputs, labels)
    assert loss.item() == pytest.approx(expected, abs=ALGEBRA)
    gradients = torch.autograd.grad(loss, list(layer.parameters()))
    assert all(part.abs().max() > 0 for part in gradients)


def test_the_dressed_circuit_without_entanglement_is_a_sine_of_each_qubit() -> None:
    layer = made("dressed-separable", 3)
    inputs = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    angles = np.pi / 2 * np.tanh(inputs.numpy() @ layer.entry.detach().numpy().T)
    z = -np.sin(angles + layer.weights.detach().numpy().reshape(N_LAYERS, 3).sum(0))
    np.testing.assert_allclose(layer(inputs).detach(), z @ layer.exit.detach().numpy().T, atol=ALGEBRA)


@pytest.mark.parametrize("name", KINDS)
def test_the_study_ran_ablations_on_principal_components_of_mnist_alone(name: str) -> None:
    found = published("mnist_pca", 5, name)
    assert found is not None
    assert found.candidate is None or found.candidate < len(candidates(name))
    assert published("two_curves", 5, name) is None
    assert ENTRIES[name].is_control
