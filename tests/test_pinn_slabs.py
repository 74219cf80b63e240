"""Time slabs: their problems, their data, and runs that stop."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.nn import QuantumLayer
from qml.pinn import (
    MLP,
    Box,
    Face,
    Integral,
    Pinn,
    Problem,
    Slabs,
    Training,
    find_problem,
    relative_l2,
    train_in_slabs,
    train_in_windows,
)
from qml.pinn.problems.dispersive import korteweg_de_vries
from qml.pinn.training.jacobian import layers_suffice
from tests.helpers import assert_close

DOUBLE = torch.float64
SHORT = Training(n_adam=0, n_marquardt=12, n_points=80, n_condition_points=16)


def trunk(problem: Problem, generator: torch.Generator) -> nn.Module:
    return MLP(problem.n_features, (8,), len(problem.fields), dtype=DOUBLE, generator=generator)


def vibration() -> Problem:
    """A string at rest that is bent at first: u = cos(pi t) sin(pi x)."""
    return Problem(
        name="string",
        domain=Box({"x": (0.0, 1.0), "t": (0.0, 1.0)}),
        fields=("u",),
        equations={"wave": lambda u_tt, u_xx: u_tt - u_xx},
        conditions=(
            Face("left", {"x": 0.0}, lambda u: u),
            Face("right", {"x": 1.0}, lambda u: u),
            Face("bent", {"t": 0.0}, lambda u, x: u - torch.sin(np.pi * x)),
            Face("at rest", {"t": 0.0}, lambda u_t: u_t),
        ),
        reference=lambda points: (np.cos(np.pi * points[:, 1]) * np.sin(np.pi * points[:, 0]))[:, None],
    )


@pytest.mark.parametrize("slabs", [Slabs((0.0, 0.5, 1.0)), Slabs((0.0, 0.5, 1.0), weight=None, warm=False)])
def test_slabs_of_the_heat_equation_solve_it(slabs: Slabs) -> None:
    problem = find_problem("heat")
    solved = train_in_slabs(problem, trunk, replace(SHORT, n_marquardt=25), slabs, seed=0)
    points = problem.domain.grid(21)
    assert problem.reference is not None
    assert solved.relative_l2(points, problem.reference) < 5e-2  # 1.4e-2 and 1.5e-2 with 10 units
    first, second = (solution.model for solution in solved.solutions)
    assert second.problem.name == "heat [0.5, 1]"
    assert [condition.name for condition in second.problem.conditions] == ["left", "right", "start u"]
    at_edge = np.column_stack([np.linspace(0, 1, 9), np.full(9, 0.5)])
    jump = np.abs(second.predict(at_edge) - first.predict(at_edge)).max()
    if slabs.weight is None:
        assert jump == 0.0
        assert not any(condition.exact for condition in first.problem.conditions)
        assert all(part.requires_grad for part in first.parameters())  # the frozen one is a copy
    else:
        assert 0.0 < jump < 1e-1


def test_exact_data_have_the_derivatives_of_the_frozen_network() -> None:
    """By jets, by nested passes, and in the Jacobian of the layers; a third slab holds both networks before it."""
    problem, slabs = korteweg_de_vries(), Slabs((0.0, 0.1, 0.2, 0.3), weight=None)
    model: Pinn | None = None
    for low, high in ((0.0, 0.1), (0.1, 0.2), (0.2, 0.3)):
        posed = slabs.posed(problem, low, high, model)
        model = Pinn(posed, trunk(posed, torch.Generator().manual_seed(round(10 * low))))
    assert model is not None
    assert layers_suffice(model)
    points = torch.as_tensor(model.problem.domain.sample(5, 1))
    nested = Pinn(model.problem, model.trunk, derivatives="nested")
    for name in ("u", "u_t", "u_x", "u_xxx"):
        found, expected = (item.evaluate(points, (name,))[name] for item in (model, nested))
        assert_close(found, expected, 1e-10 * (1 + float(expected.detach().abs().max())))


def test_time_is_stretched_to_the_whole_interval() -> None:
    problem = korteweg_de_vries()
    posed = Slabs((0.0, 0.25, 1.0)).posed(problem, 0.0, 0.25, None)
    assert posed.features is not None
    assert problem.features is not None
    x, t = torch.rand(4, dtype=DOUBLE), torch.linspace(0, 0.25, 4, dtype=DOUBLE)
    found, expected = posed.features(x=x, t=t), problem.features(x=x, t=4 * t)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, 1e-12)


def test_initial_slopes_go_on_too() -> None:
    solved = train_in_slabs(
        vibration(), trunk, replace(SHORT, n_marquardt=40, n_points=150), Slabs((0.0, 0.5, 1.0)), seed=0
    )
    names = [condition.name for condition in solved.solutions[1].model.problem.conditions]
    assert names == ["left", "right", "start u", "start u_t"]
    points = vibration().domain.grid(21)
    assert solved.relative_l2(points, vibration().reference) < 0.1  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="`at rest` must ask for a field"):
        Slabs((0.0, 0.5), weight=None).posed(vibration(), 0.0, 0.5, None)


def test_a_run_that_stops_goes_on_in_the_slab_where_it_was(tmp_path: Path) -> None:
    problem, slabs = find_problem("heat"), Slabs((0.0, 0.5, 1.0), weight=None)
    training = replace(SHORT, checkpoint_every=2)
    whole = train_in_slabs(problem, trunk, training, slabs, seed=0)
    path = tmp_path / "run.safetensors"

    class Stop(Exception):
        pass

    told: list[str] = []

    def stop(share: float, text: str) -> None:
        told.append(text)
        if share > 0.8:
            raise Stop

    with pytest.raises(Stop):
        train_in_slabs(problem, trunk, training, slabs, seed=0, checkpoint=path, on_step=stop)
    assert told[0].startswith("window 1 of 2")
    assert told[-1].startswith("window 2 of 2")
    names = [f"run-{index}.safetensors" for index in (0, 1)]
    assert sorted(item.name for item in tmp_path.iterdir()) == names
    resumed = train_in_slabs(problem, trunk, training, slabs, seed=0, checkpoint=path)
    points = problem.domain.grid(9)
    assert np.array_equal(resumed.predict(points), whole.predict(points))
    with pytest.raises(ValueError, match="has another problem"):
        train_in_slabs(problem, trunk, training, Slabs((0.0, 0.4, 1.0), weight=None), seed=0, checkpoint=path)


def test_windows_of_a_pose_keep_checkpoints_too(tmp_path: Path) -> None:
    problem, slabs = find_problem("heat"), Slabs((0.0, 0.5, 1.0))

    def pose(low: float, high: float, before: Any) -> Problem:
        return slabs.posed(problem, low, high, None) if low == 0.0 else slabs.posed(problem, low, high, first)

    first = Pinn(slabs.posed(problem, 0.0, 0.5, None), trunk(problem, torch.Generator().manual_seed(0)))
    train_in_windows(pose, trunk, SHORT, edges=(0.0, 0.5), seed=0, checkpoint=tmp_path / "w.safetensors")
    assert [item.name for item in tmp_path.iterdir()] == ["w-0.safetensors"]
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        train_in_windows(pose, trunk, SHORT, edges=(0.0, 0.5), seed=0, checkpoint=tmp_path / "w.bin")


@pytest.mark.parametrize("weight_of_data", [None, 10.0])
def test_circuits_go_through_slabs(weight_of_data: float | None) -> None:
    def circuit(problem: Problem, generator: torch.Generator) -> nn.Module:
        drawn = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).rx(weight(0), 0).ry(data(0), 1).ry(weight(1), 1)
        layer = QuantumLayer(drawn, [Z(0), Z(1)], dtype=DOUBLE, generator=generator)
        ends: Any = {"dtype": DOUBLE}
        return nn.Sequential(nn.Linear(2, 2, **ends), layer, nn.Linear(2, 1, **ends))

    problem = find_problem("heat")
    slabs = Slabs((0.0, 0.5, 1.0), weight=weight_of_data)
    solved = train_in_slabs(problem, circuit, replace(SHORT, n_marquardt=4, n_points=40), slabs, seed=0)
    assert [solution.model.derivatives for solution in solved.solutions] == ["jets", "jets"]
    assert all(relative_l2(solution.model, solution.model.problem.domain.grid(5)) > 0 for solution in solved.solutions)


def test_what_cannot_be_cut_is_refused() -> None:
    problem = find_problem("heat")

    for words, change in {
        "must begin where t does": {},
        "`sum` must be periodic": {"conditions": (*problem.conditions, Integral("sum", lambda u: u, 1.0))},
        "`last` must be periodic": {"conditions": (*problem.conditions, Face("last", {"t": 1.0}, lambda u: u))},
    }.items():
        low = 0.1 if not change else 0.0
        with pytest.raises(ValueError, match=words):
            Slabs((low, 0.5)).posed(replace(problem, **change), low, 0.5, None)
    with pytest.raises(ValueError, match="must have an initial condition"):
        Slabs((0.0, 0.5), coordinate="x").posed(
            Problem(
                name="steady",
                domain=Box({"x": (0.0, 1.0), "y": (0.0, 1.0)}),
                fields=("u",),
                equations={"flat": lambda u_y: u_y},
                conditions=(Face("bottom", {"y": 0.0}, lambda u: u),),
            ),
            0.0,
            0.5,
            None,
        )
    with pytest.raises(ValueError, match="rising times"):
        Slabs((0.0, 0.0))
    with pytest.raises(ValueError, match="`weight` and `fresh`"):
        Slabs((0.0, 1.0), weight=0.0)
