"""Traffic on one road and on two, and Godunov's scheme."""

import numpy as np
import pytest
import torch

from qml.pinn import MLP, Pinn, Training, relative_l2, train
from qml.pinn.problems.traffic import ROADS, SPEED, density, godunov, traffic


def test_godunov_conserves_cars_and_converges() -> None:
    x, t = (part.ravel() for part in np.meshgrid(np.linspace(0.05, 0.95, 19), np.linspace(0.1, 1, 10)))
    coarse = godunov("r", 100)[2]
    assert coarse.min() >= 0.249
    assert coarse.max() <= 0.601  # no new extremes
    fine = density("r", x, t)
    errors = []
    for n_cells in (62, 125):
        centres, times, values = godunov("r", n_cells)
        nearest = values[np.abs(times[:, None] - t).argmin(0)]
        at = [np.interp(place, centres, row) for place, row in zip(x, nearest, strict=True)]
        errors.append(np.abs(np.array(at) - fine).max())
    assert errors[1] < 0.7 * errors[0]


def test_a_road_of_constant_density_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ROADS, "flat", (0.4, 0.0, 0.5))
    assert np.abs(godunov("flat", 40)[2] - 0.4).max() < 1e-14


@pytest.mark.parametrize("roads", [("r",), ("r", "s")])
def test_density_and_speed_are_found_from_detectors(roads: tuple[str, ...]) -> None:
    problem = traffic(roads=roads)
    generator = torch.Generator().manual_seed(0)
    model = Pinn(problem, MLP(2, (16, 16), len(roads), dtype=torch.float64, generator=generator))
    points = problem.domain.grid(21)
    first = relative_l2(model, points)
    solution = train(model, Training(n_adam=0, n_marquardt=60, n_points=400, n_held=0), seed=0)
    assert first > 0.3
    assert relative_l2(model, points) < 0.05
    assert abs(solution.scalars["v"] / SPEED - 1) < 0.15  # it began at 0.5


def test_roads_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="must be some of r, s"):
        traffic(roads=("q",))
    with pytest.raises(ValueError, match="a weight each"):
        traffic(roads=("r", "s"), weights=(1.0,))
