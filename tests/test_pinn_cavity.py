"""Flow in a square whose lid moves: the reference beside published ones, and the stream function that is found."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from qml.pinn import Pinn, find_problem, recipe_of, relative_l2, train
from qml.pinn.problems.cavity import cavity_velocity


def test_the_cavity_has_the_velocities_of_a_spectral_method() -> None:
    """Botella and Peyret, Computers and Fluids 27 (1998) 421: extrema on the centre lines at Re = 100."""
    across = np.linspace(0, 1, 4001)
    u = cavity_velocity(np.stack([np.full(4001, 0.5), across], 1), 100.0)[:, 0]
    v = cavity_velocity(np.stack([across, np.full(4001, 0.5)], 1), 100.0)[:, 1]
    # All their digits; the places of the extrema are met to 1 / 8000, and the velocity is flat there.
    assert u.min() == pytest.approx(-0.2140424, abs=1e-6)
    assert v.max() == pytest.approx(0.1795728, abs=1e-6)
    assert v.min() == pytest.approx(-0.2538030, abs=1e-6)


@pytest.mark.slow
def test_the_stream_function_of_the_cavity_is_found() -> None:
    problem = find_problem("cavity-stream")
    assert problem.reference is not None
    grid = problem.domain.grid(129)
    stream = problem.reference(grid)[:, 0]
    # Ghia, Ghia and Shin, J. Comput. Phys. 48 (1982) 387: the vortex on their grid of 129 x 129 points.
    assert stream.min() == pytest.approx(-0.103423, rel=1e-3)
    assert tuple(grid[stream.argmin()]) == pytest.approx((0.6172, 0.7344), abs=1e-3)
    recipe = recipe_of(problem)
    posed = recipe.posed(problem)
    model = Pinn(posed, recipe.trunk(posed, torch.Generator().manual_seed(0)))
    assert model.derivatives == "jets"
    short = replace(recipe.training, n_marquardt=50, n_points=500, polish=None)
    train(model, short, seed=0)
    assert relative_l2(model, posed.domain.grid(41)) < 0.02  # 2.0e-5 by the whole recipe
