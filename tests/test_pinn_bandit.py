"""Bandits over options, and interface conditions as arms."""

import numpy as np
import pytest

from qml.pinn import GaussianBandit, Pinn, Training, regret, run_bandit
from qml.pinn.problems import interfaces
from qml.pinn.problems.interfaces import ARMS, InterfaceStudy, front, interface_error, joined, study_interfaces
from qml.pinn.trunks.dense import MLP
from tests.helpers import assert_close

ONE_HOT = ((1, 0, 0), (0, 1, 0), (0, 0, 1))


def test_a_bandit_learns_which_arm_suits_which_context() -> None:
    """Rewards of three arms are largest at contexts -1, 0 and 1; the regret of chance is 0.9 per problem."""
    rng = np.random.default_rng(0)
    contexts = rng.uniform(-1.2, 1.2, 60)
    rewards = -((contexts[:, None] - np.array([-1.0, 0.0, 1.0])) ** 2)
    noise = 0.05 * rng.standard_normal(rewards.shape)
    bandit = GaussianBandit(ONE_HOT)
    chosen = run_bandit(bandit, contexts[:, None].tolist(), lambda index, arm: float((rewards + noise)[index, arm]))
    lost = regret(rewards, chosen)
    assert bandit.n_rewards == 60
    assert (lost[-1] - lost[29]) / 30 < 0.1 * (rewards.max(1, keepdims=True) - rewards).mean()
    fixed = min(float(regret(rewards, [arm] * 60)[-1]) for arm in range(3))
    assert lost[-1] < 0.5 * fixed


def test_the_posterior_is_that_of_a_process_with_the_same_covariance() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF

    bandit = GaussianBandit(((0.0,), (1.0,)))
    contexts, arms, rewards = [[-0.5], [0.1], [0.7], [0.2]], [0, 1, 0, 1], [0.3, -1.0, 2.0, -0.4]
    for context, arm, reward in zip(contexts, arms, rewards, strict=True):
        bandit.tell(context, arm, reward)
    mean, deviation = bandit.predict([0.4])
    target = (np.array(rewards) - np.mean(rewards)) / np.std(rewards)
    found = []
    for length in (0.15, 0.3, 0.6, 1.2):
        for similarity in (0.3, 1.0, 3.0):
            for noise in (0.01, 0.1, 0.4):
                # exp(-s |a - a'|) of arms 0 and 1 is a Gaussian of their distance with s = 1 / (2 l^2).
                kernel = RBF(np.array([length, (2 * similarity) ** -0.5]))  # pyright: ignore[reportArgumentType]
                process = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None)  # pyright: ignore[reportArgumentType]
                process.fit(np.column_stack([contexts, arms]), target)
                at = process.predict(np.array([[0.4, 0.0], [0.4, 1.0]]), return_std=True)
                found.append((process.log_marginal_likelihood_value_, *at))
    _, expected, spread = max(found, key=lambda item: item[0])
    scale = float(np.std(rewards))
    assert np.abs(mean - (np.mean(rewards) + scale * expected)).max() < 1e-9
    assert np.abs(deviation - scale * spread).max() < 1e-6


def test_regret_is_what_the_best_arms_would_have_gained_more() -> None:
    rewards = np.array([[1.0, 3.0], [2.0, 0.0], [5.0, 5.0]])
    assert regret(rewards, [0, 0, 1]).tolist() == [2.0, 2.0, 2.0]
    assert regret(rewards, [1, 1, 0]).tolist() == [0.0, 2.0, 2.0]


@pytest.mark.plain
def test_bandits_refuse_what_they_cannot_learn_from() -> None:
    for arms, words in (
        (((1, 0), (1, 0)), "rows that differ"),
        (((1, 0),), "two arms at least"),
        (((1, 0), (1,)), "rows of numbers of one length"),
        (((1, float("nan")), (0, 0)), "finite features"),
    ):
        with pytest.raises(ValueError, match=words):
            GaussianBandit(arms)
    with pytest.raises(TypeError, match="`arms`"):
        GaussianBandit(3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`exploration`"):
        GaussianBandit(ONE_HOT, exploration=-1.0)
    bandit = GaussianBandit(ONE_HOT)
    bandit.tell([0.0], 1, 0.5)
    for context in ([0.0, 1.0], [float("inf")], ["x"], []):
        with pytest.raises(ValueError, match="`context`"):
            bandit.choose(context)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="less than 3"):
        bandit.tell([0.0], 3, 0.5)
    with pytest.raises(ValueError, match="`reward` must be finite"):
        bandit.tell([0.0], 0, float("nan"))
    for chosen in ([0], [0, 5]):
        with pytest.raises(ValueError, match="one arm a problem"):
            regret(np.zeros((2, 2)), chosen)


def test_the_front_solves_its_equation() -> None:
    import torch

    problem = front(4.0)
    points = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.9 + 0.05
    step = 1e-4

    def value(shift_x: float, shift_y: float) -> torch.Tensor:
        moved = points + torch.tensor([shift_x, shift_y], dtype=torch.float64)
        assert problem.reference is not None
        return torch.as_tensor(problem.reference(moved.numpy())[:, 0])

    around = value(step, 0) + value(-step, 0) + value(0, step) + value(0, -step)
    laplacian = (around - 4 * value(0, 0)) / step**2
    residual = problem.equations["poisson"](laplacian=laplacian, x=points[:, 0], y=points[:, 1])
    assert_close(residual, torch.zeros(20, dtype=torch.float64), 1e-4)  # step^2 / 12 times fourth derivatives of 1e3
    assert problem.reference is not None
    for condition in problem.conditions:
        at = torch.as_tensor(condition.points(problem.domain, 7, 0))
        values = {"u": torch.as_tensor(problem.reference(at.numpy())[:, 0]), "x": at[:, 0], "y": at[:, 1]}
        left = condition.residual({name: values[name] for name in condition.names})
        assert_close(left, torch.zeros(7, dtype=torch.float64), 1e-14)


def test_arms_are_conditions_at_the_cut_and_two_networks_need_more_than_values() -> None:
    problem = joined(front(1.0), "value, slope and curvature, weight 100")
    joint = problem.conditions[-1]
    assert (joint.names, joint.weight) == (("u", "u_x", "u_xx"), 100.0)
    short = Training(n_adam=0, n_marquardt=30, n_points=100, n_condition_points=16)
    errors = {arm: interface_error(1.0, arm, seed=0, training=short) for arm in ("value", "value and slope")}
    assert errors["value and slope"] < 0.3 * errors["value"]
    with pytest.raises(ValueError, match="must be one of value, value and slope"):
        joined(front(1.0), "nothing")
    for sharpness in (0.0, float("inf")):
        with pytest.raises(ValueError, match="above 0"):
            front(sharpness)


def test_a_study_tells_the_bandit_of_its_own_choice_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors in closed form stand for trainings: small fronts want no weight, sharp ones a large one."""

    def error(sharpness: float, arm: str, *, seed: int, training: Training) -> float:
        wants_weight = sharpness > 5
        return 1e-3 if ("100" in arm) == wants_weight and "slope" in arm else 1e-1

    monkeypatch.setattr(interfaces, "interface_error", error)
    study = study_interfaces(40, seed=1)
    assert study.errors.shape == (40, len(ARMS))
    regrets = study.regrets()
    assert regrets["bandit"] < 0.5 * regrets["best fixed arm"] < regrets["random"]
    assert (
        InterfaceStudy(study.sharpness, study.errors, tuple(study.errors.argmin(1).tolist())).regrets()["bandit"] == 0.0
    )


def test_pieces_of_the_study_take_jets() -> None:
    import torch

    problem = joined(front(2.0), "value and slope")
    halves = [MLP(2, (4,), dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    assert Pinn(problem, interfaces.Pieces(halves, (0.5,))).derivatives == "jets"
