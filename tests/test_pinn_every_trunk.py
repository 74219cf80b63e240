"""Every method of training with every kind of trunk: MLPs, KANs, QKANs, DARUAN networks, circuits and products."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from qml.compare.tasks import pinn_trunks
from qml.pinn import (
    Annealing,
    Causal,
    Curriculum,
    Geodesic,
    Holdout,
    Momentum,
    Orthogonal,
    Pinn,
    Polish,
    Probing,
    Resampling,
    RowSketch,
    Training,
    find_problem,
    train,
)
from qml.pinn.training.loss import LossParts

pytestmark = pytest.mark.slow

TRUNKS = ("small_mlp", "small_kan", "qkan", "daruan", "qnn", "separable", "lstm", "attention", "kan")
DRAWS = Resampling(every=2, n_candidates=200, weighted=True)
METHODS: dict[str, dict[str, Any]] = {
    "Adam": {"n_adam": 20},
    "L-BFGS": {"n_lbfgs": 4},
    "annealing": {"n_adam": 20, "annealing": Annealing(every=5)},
    "curriculum": {"n_adam": 20, "curriculum": Curriculum(every=5)},
    "Levenberg-Marquardt": {"n_marquardt": 4},
    "quadrature": {"n_marquardt": 4, "collocation": "quadrature", "n_points": {"x": 8, "t": 6}},
    "causal": {"n_marquardt": 4, "causal": Causal(n_slices=4)},
    "held-out points": {"n_marquardt": 4, "holdout": Holdout(100, every=2)},
    "geodesic": {"n_marquardt": 4, "geodesic": Geodesic()},
    "orthogonal": {"n_marquardt": 4, "orthogonal": Orthogonal()},
    "momentum": {"n_marquardt": 4, "momentum": Momentum()},
    "probing": {"n_marquardt": 4, "probing": Probing()},
    "sketch": {"n_marquardt": 4, "sketch": RowSketch(1.5, n_rows=32)},
    "weighted draws": {"n_marquardt": 4, "resampling": DRAWS},
    "polish": {"n_marquardt": 2, "polish": Polish(6)},
}


def loss_of(model: Pinn) -> float:
    """Return the loss at points that no training here sees."""
    points = model.problem.domain.sample(200, 99)
    parts = LossParts(model, points, n_condition_points=32, seed=99).parts()
    return sum(value.item() for value in parts.values())


@pytest.mark.parametrize("trunk", TRUNKS)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_every_trunk(method: str, trunk: str) -> None:
    problem = find_problem("heat")
    model = Pinn(problem, getattr(pinn_trunks, trunk)(problem, torch.Generator().manual_seed(0)))
    before = loss_of(model)
    options: Mapping[str, Any] = {"n_adam": 0, "n_points": 80, "n_condition_points": 16, **METHODS[method]}
    train(model, Training(**options), seed=0)
    assert loss_of(model) < 0.98 * before
