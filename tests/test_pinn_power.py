"""The swing equation: its constants from noisy angles by networks and by least squares, and steps of a simulation."""

import numpy as np
import pytest
import torch

from qml.pinn import MLP, Observations, Pinn, Problem, Training, bayesian_posterior, find_problem, recipe_of, train
from qml.pinn.problems import two_machines as two
from qml.pinn.problems.power import (
    DAMPING,
    INERTIA,
    START,
    SwingStep,
    swing,
    swing_least_squares,
    swing_solution,
    swing_step_problem,
    train_swing_step,
    trapezoidal,
)


def network(problem: Problem, hidden: tuple[int, ...]) -> MLP:
    generator = torch.Generator().manual_seed(0)
    return MLP(problem.n_features, hidden, len(problem.fields), dtype=torch.float64, generator=generator)


def test_inertia_and_damping_are_found_with_honest_error_bars() -> None:
    problem = find_problem("swing")
    model = Pinn(problem, network(problem, (16,)))
    solution = train(model, recipe_of(problem).training, seed=0)
    posterior = bayesian_posterior(solution, seed=0)
    measured = problem.conditions[-1]
    assert isinstance(measured, Observations)
    values, deviations = swing_least_squares(measured)
    for name, truth in problem.reference_scalars.items():
        value, deviation = posterior.scalars[name]
        assert abs(value - truth) < 4 * deviation
        assert abs(values[name] - truth) < 4 * deviations[name]
        # The network and the integrator see the same data, and know the same equation.
        assert abs(value - values[name]) < deviation
        assert 0.5 < deviation / deviations[name] < 2


def test_least_squares_is_exact_without_noise() -> None:
    measured = swing(noise=0.0).conditions[-1]
    assert isinstance(measured, Observations)
    values, _ = swing_least_squares(measured)
    assert values["m"] == pytest.approx(INERTIA, rel=1e-7)
    assert values["d"] == pytest.approx(DAMPING, rel=1e-7)


def test_the_trapezoidal_rule_is_of_second_order() -> None:
    errors = []
    for step in (0.02, 0.01):
        t = step * np.arange(round(2 / step) + 1)
        errors.append(np.abs(trapezoidal(START, step, len(t) - 1) - swing_solution(t, INERTIA, DAMPING)).max())
    assert 3.6 < errors[0] / errors[1] < 4.4


def test_a_network_takes_larger_steps_than_the_trapezoidal_rule() -> None:
    training = Training(n_adam=0, n_marquardt=40, n_points=300)
    stepper = train_swing_step(lambda problem: network(problem, (16, 12)), training, longest=0.4)
    t = 0.4 * np.arange(11)
    expected = swing_solution(t, INERTIA, DAMPING)
    found = stepper.simulate(START, 0.4, 10)
    assert np.array_equal(found[0], np.array(START))
    error = np.abs(found - expected).max()
    assert error < 0.1 * np.abs(trapezoidal(START, 0.4, 10) - expected).max()
    with pytest.raises(ValueError, match=r"at most 0\.4 s"):
        stepper.simulate(START, 0.5, 1)


def test_a_step_holds_exactly_at_no_time_before_it_is_trained() -> None:
    problem = swing_step_problem(0.2, (-1.0, 1.0), (-1.0, 1.0))
    stepper = SwingStep(Pinn(problem, network(problem, (4,))), 0.2)
    states = torch.tensor([[0.3, -0.2], [1.0, 0.5]], dtype=torch.float64)
    assert torch.equal(stepper(states, 0.0), states)


def test_buses_balance_the_power_of_machines_lines_and_load() -> None:
    angles = np.array([0.6, -0.2])
    buses = two.bus_angles(angles)
    fed = two.REACTANCE * np.sin(angles - buses[:2])
    to_load = [susceptance * np.sin(buses[i] - buses[j]) for i, j, susceptance in two.LINES]
    assert np.abs(fed - to_load).max() < 1e-12
    assert sum(to_load) == pytest.approx(two.LOAD, abs=1e-12)
    assert np.abs(two.bus_angles(angles + 0.7) - buses - 0.7).max() < 1e-12  # no bus is the reference
    with pytest.raises(ValueError, match="balance of power"):
        two.bus_angles(np.array([0.0, np.pi]))


def test_two_machines_by_the_trapezoidal_rule_are_of_second_order() -> None:
    errors = []
    for step in (0.04, 0.02):
        run = two.simulate(two.trapezoidal_machine, step, round(0.8 / step))
        errors.append(np.abs(run.states - two.reference(run.times)).max())
    assert 3.6 < errors[0] / errors[1] < 4.4


def test_a_network_steps_two_machines_in_the_loop() -> None:
    """Bus angles move evenly within a step, which leaves 0.47 of the trapezoidal error even to exact steps."""
    training = Training(n_adam=0, n_marquardt=25, n_points=400)
    machine = two.train_machine(lambda problem: network(problem, (16, 12)), training, longest=0.1)
    run = two.simulate(machine, 0.1, 10)
    expected = two.reference(run.times)
    error = np.abs(run.states - expected).max()
    assert error < 0.8 * np.abs(two.simulate(two.trapezoidal_machine, 0.1, 10).states - expected).max()
    with pytest.raises(ValueError, match=r"at most 0\.1 s"):
        two.simulate(machine, 0.2, 1)
    with pytest.raises(ValueError, match="The states of the machines must lie in the domain"):
        two.simulate(machine, 0.1, 1, start=(0.0, 0.0, 9.0, 0.0))
