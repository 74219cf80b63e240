"""Third and fourth derivatives, long times by windows, and the references of both."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from qml.pinn import (
    MLP,
    Box,
    FourierFeatures,
    Pinn,
    Problem,
    Training,
    WindowRecipe,
    find_problem,
    train_in_windows,
)
from qml.pinn.problems.dispersive import korteweg_de_vries, kuramoto_sivashinsky, kuramoto_sivashinsky_chaotic
from qml.pinn.problems.lorenz_windows import LYAPUNOV, lorenz_series, lorenz_window
from qml.pinn.problems.periodic_windows import periodic_trunk, periodic_window
from qml.pinn.problems.spectral import PeriodicSolution, solve_periodic
from qml.pinn.training.points import collocation_points
from qml.pinn.trunks.separable import Separable
from tests.helpers import assert_close

PI = np.pi


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def lorenz_trunk(problem: Problem, generator: torch.Generator) -> nn.Module:
    features = FourierFeatures(1, 40, scale=7.0, dtype=torch.float64, generator=generator)
    return nn.Sequential(features, MLP(80, (3,), dtype=torch.float64, generator=generator).layers[0])


def ks(n_points: int, n_steps: int) -> PeriodicSolution:
    symbol: Callable[[np.ndarray], np.ndarray] = lambda k: -0.5 * k**2 - 0.005 * k**4  # noqa: E731
    return solve_periodic(lambda x: -np.sin(PI * x), symbol, 5.0, (-1, 1), 0.2, n_points=n_points, n_steps=n_steps)


def test_exponential_steps_and_waves_converge() -> None:
    x, t = np.linspace(-1, 1, 50), np.full(50, 0.2)
    fine = ks(96, 3200)(x, t)
    errors = [np.abs(ks(96, n_steps)(x, t) - fine).max() for n_steps in (100, 200)]
    assert errors[0] / errors[1] > 8  # 10 here, on the way to 2^4
    assert np.abs(ks(144, 800)(x, t) - ks(96, 800)(x, t)).max() < 1e-11


def test_a_linear_equation_is_solved_exactly() -> None:
    solution = solve_periodic(np.sin, lambda k: k**3 + k**2, 0.0, (0, 2 * PI), 0.5, n_points=16, n_steps=20)
    x, t = np.linspace(0, 6, 40), np.linspace(0, 0.5, 40)
    # sin(x) has k^3 = -i and k^2 = -1: it decays as exp(-t) and travels to the right.
    assert np.abs(solution(x, t) - np.exp(-t) * np.sin(x - t)).max() < 1e-9
    assert np.abs(solution(x, t, 2) + np.exp(-t) * np.sin(x - t)).max() < 1e-9


@pytest.mark.parametrize("pose", [korteweg_de_vries, kuramoto_sivashinsky, kuramoto_sivashinsky_chaotic])
def test_both_forms_have_one_residual(pose: Callable[..., Problem]) -> None:
    plain, mixed = pose(), pose(mixed=True)
    points = torch.as_tensor(plain.domain.sample(6, 1))
    (name, equation), *_ = plain.equations.items()
    network = MLP(plain.n_features, (6,), dtype=torch.float64, generator=seeded())
    model = Pinn(plain, network)
    derivatives = ("u", "u_t", "u_x", "u_xx", "u_xxx", "u_xxxx")
    values = model.evaluate(points, derivatives) | {"t": points[:, 1]}
    values |= {"w": values["u_xx"], "w_x": values["u_xxx"], "w_xx": values["u_xxxx"]}
    asked = plain.equation_names[name], mixed.equation_names[name]
    residuals = [
        function(**{key: values[key] for key in names})
        for function, names in zip((equation, mixed.equations[name]), asked, strict=True)
    ]
    assert torch.allclose(residuals[0], residuals[1], rtol=1e-12)
    assert Pinn(mixed, MLP(mixed.n_features, (6,), 2, dtype=torch.float64, generator=seeded())).derivatives == "jets"


def test_the_lorenz_series_agrees_with_a_solver_and_forgets_its_start_at_the_known_rate() -> None:
    from scipy.integrate import solve_ivp

    def slope(time: float, s: np.ndarray) -> list[float]:
        return [10 * (s[1] - s[0]), s[0] * (28 - s[2]) - s[1], s[0] * s[1] - 8 / 3 * s[2]]

    t = np.linspace(0, 20, 21)
    solved = solve_ivp(slope, (0, 20), np.ones(3), method="DOP853", t_eval=t, rtol=3e-14, atol=1e-14).y.T
    errors = np.abs(solved - lorenz_series(t)).max(1)
    assert errors[2] < 1e-11
    # The solver's errors grow by exp(0.906 t), to some 1e-8 at the end.
    assert errors[-1] < 1e-13 * np.exp(LYAPUNOV * 20) * 10


def test_windows_of_the_lorenz_system_follow_each_other() -> None:
    training = Training(n_adam=0, n_marquardt=40, n_points=32, collocation="quadrature")
    windows = train_in_windows(lorenz_window, lorenz_trunk, training, edges=(0.0, 0.2, 0.4), seed=0)
    t = np.linspace(0, 0.4, 81)[:, None]
    assert windows.relative_l2(t, lambda points: lorenz_series(points[:, 0]) / 10) < 1e-8  # 1e-10 here
    ends = [windows.solutions[index].model.predict(np.array([[0.2]])) for index in (0, 1)]
    assert np.array_equal(ends[1], ends[0])
    assert windows.seconds > 0
    for time in (-0.01, 0.41, np.nan):
        with pytest.raises(ValueError, match=r"must have t from 0\.0 to 0\.4, where the windows are, but has"):
            windows.predict(np.array([[0.1], [time]]))
    with pytest.raises(ValueError, match=r"must have shape \(batch, 1\), for t, but has shape \(2,\)"):
        windows.predict(np.array([0.1, 0.2]))
    assert windows.predict(np.array([[0.4]], dtype=np.float32)).shape == (1, 3)  # 0.4 and rounding
    with pytest.raises(ValueError, match="rising times"):
        train_in_windows(lorenz_window, lorenz_trunk, training, edges=(0.0, 0.0), seed=0)


def test_a_window_of_kuramoto_sivashinsky_is_solved() -> None:
    whole = kuramoto_sivashinsky(mixed=True)
    windows = train_in_windows(
        periodic_window(whole, n_start=10),
        lambda problem, generator: periodic_trunk(problem, n_waves=10, n_times=6, generator=generator),
        Training(n_adam=0, n_marquardt=20, n_points=300),
        edges=(0.0, 0.01, 0.02),
        seed=0,
        warm=False,
    )
    x, t = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(0, 0.02, 11))
    points = np.column_stack([x.ravel(), t.ravel()])
    assert whole.reference is not None
    assert windows.relative_l2(points, whole.reference, [0]) < 1e-3
    with pytest.raises(ValueError, match="must have a field u"):
        periodic_window(find_problem("lorenz"))


def test_a_recipe_of_windows_is_right_to_ten_digits_on_a_product_of_nodes() -> None:
    whole = korteweg_de_vries()
    early = replace(whole, domain=Box({"x": (-1.0, 1.0), "t": (0.0, 0.04)}))
    windows = WindowRecipe(n_windows=2, n_waves=16).train(early, seed=0)
    points = early.domain.grid(31)
    assert whole.reference is not None
    assert windows.relative_l2(points, whole.reference) < 1e-10
    nodes = collocation_points(windows.solutions[0].model.problem, windows.solutions[0].training, 0)
    for solution in windows.solutions:  # products of the features at all nodes are not kept
        (trunk,) = (part for part in solution.model.modules() if isinstance(part, Separable))
        assert not any(known[0].shape[-2] == len(nodes) for known, _ in trunk._known)
    places = np.unique(nodes[:, 0].round(12))
    assert len(nodes) == 52 * 9
    assert_close(np.diff(places), np.full(51, 2 / 52), 1e-10)


def test_nodes_by_coordinate_name_every_coordinate_and_are_not_drawn() -> None:
    box = Box({"x": (0.0, 2.0), "t": (0.0, 1.0)})
    nodes, weights = box.quadrature({"x": 6, "t": 3}, periodic=("x",))
    for n_waves in range(1, 6):  # six nodes in x integrate five waves, three in t a power of five
        assert weights @ ((1 + np.cos(n_waves * PI * nodes[:, 0])) * nodes[:, 1] ** 5) == pytest.approx(1 / 3)
    assert weights @ np.cos(6 * PI * nodes[:, 0]) == pytest.approx(2.0)  # aliased: 0 by right
    with pytest.raises(ValueError, match="must be given for x, t, but are for x"):
        box.quadrature({"x": 6})
    with pytest.raises(ValueError, match="must be one number where points are drawn"):
        Training(n_points={"x": 6, "t": 3})
    with pytest.raises(ValueError, match="at least 1"):
        Training(n_points={"x": 0, "t": 3}, collocation="quadrature")
