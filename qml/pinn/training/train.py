"""Training of a model by Adam, L-BFGS, Levenberg-Marquardt and SSBroyden in turn, and its solution."""

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from qml.pinn.eigenvalues.states import State, StateWarning
from qml.pinn.model import Pinn
from qml.pinn.training.options import OnStep, Training
from qml.pinn.training.phases import run_all_phases
from qml.pinn.training.run import PinnRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass
class Solution:
    """A trained model with the history of its training.

    Attributes:
        model: the trained one.
        training: the options, with every method that was switched on.
        history: "step" and, by name, the loss parts at these steps, weights of conditions left out.
        seconds: of training, resumed parts included.
        condition_weights: of the conditions at the end, annealed or as given.
        epsilon: of the causal weights at the end; None without.
        states: of each trained eigenvalue: which state it is, and whether it is the one asked for.
        n_restarts: times that training began anew, since an eigenvalue had ended on another state.
        held_out: "step", and "loss" on held-out points at these steps; empty lists without `holdout`.
    """

    model: Pinn
    training: Training
    history: dict[str, list[float]]
    seconds: float
    condition_weights: dict[str, float]
    epsilon: float | None
    states: dict[str, State] = field(default_factory=dict)
    n_restarts: int = 0
    held_out: dict[str, list[float]] = field(default_factory=dict)

    @property
    def loss_parts(self) -> dict[str, float]:
        """Return the last loss parts by name."""
        return {name: values[-1] for name, values in self.history.items() if name != "step"}

    @property
    def scalars(self) -> dict[str, float]:
        """Return the trained scalars by name."""
        return self.model.found_scalars()

    @property
    def loss_parts_history(self) -> dict[str, list[float]]:
        """Return the loss parts by name, at the steps of the history."""
        return {name: values for name, values in self.history.items() if name != "step"}

    def plot(self, field: str | None = None) -> "Figure":
        """Draw a field, beside its reference and its error where there is a reference, and the loss over the steps.

        Args:
            field: of the problem; None takes the first.

        Returns:
            A figure of matplotlib; a notebook shows it, `figure.savefig(path)` writes it.

        Raises:
            ValueError: no field of the problem, or more than two coordinates.
        """
        from qml.pinn.pictures import solution_figure

        return solution_figure(self, field)

    def __repr__(self) -> str:
        """Describe the problem, the steps, and what they ended with; `history` and `training` tell more."""
        steps = self.history.get("step", [])
        losses = self.loss_parts if steps else {}
        said = {name: f" ({state})" for name, state in self.states.items()}
        numbers = [f"{name}={value:.6g}{said.get(name, '')}" for name, value in self.scalars.items()]
        numbers += [f"loss of {name}={value:.3g}" for name, value in losses.items()]
        done = f"{steps[-1]:.0f} steps, {self.seconds:.1f} s" if steps else "no steps"
        return f"Solution({', '.join([repr(self.model.problem.name), done, *numbers])})"


def train(
    model: Pinn,
    training: Training,
    *,
    seed: int,
    on_step: OnStep | None = None,
    checkpoint: Path | str | None = None,
) -> Solution:
    """Train a model in place.

    A trained scalar of a problem whose equations and faces are all homogeneous is an eigenvalue. It asks for a state
    by its number in `Problem.states`, or else by its start: for the state whose level is nearest. It is held at first
    (`Training.n_held`), and its state is identified at the end by finite differences of the same operator. Where that
    is another state, training begins anew, at most twice, from other weights and with the scalar held at the level that
    finite differences give for the state asked for. If that does not help, the result is said to be wrong.

    Args:
        model: the model.
        training: the options.
        seed: of all points that are drawn.
        on_step: told of progress, about a hundred times a phase.
        checkpoint: a .safetensors file, renewed every `checkpoint_every` steps and at the end. If it is there already,
            the run goes on from it as if it had never stopped.

    Raises:
        DivergenceError: the loss is not finite; names the part and the last good checkpoint.
        ValueError: a checkpoint of other settings.

    Warns:
        StateWarning: an eigenvalue is not that of the state asked for, has not converged, or is of unknown state.
    """
    solution = solve(model, training, seed=seed, on_step=on_step, checkpoint=checkpoint)
    for name, state in solution.states.items():
        if not state.is_right:
            warnings.warn(
                f"{name} = {state.value:.6g} of {model.problem.name!r} is {state}. See `states` of the solution.",
                StateWarning,
                stacklevel=2,
            )
    return solution


def solve(
    model: Pinn,
    training: Training,
    *,
    seed: int,
    on_step: OnStep | None = None,
    checkpoint: Path | str | None = None,
) -> Solution:
    """Train a model in place without a warning; whoever goes on with the solution has to read its `states`."""
    path = None if checkpoint is None else Path(checkpoint)
    run = PinnRun(model, training, seed=seed, on_step=on_step or _silence, path=path)
    run.resume()
    run_all_phases(run)
    epsilons = training.causal.epsilons if training.causal else None
    return Solution(
        model=model,
        training=training,
        history=run.history,
        seconds=run.seconds,
        condition_weights=run.weights,
        epsilon=epsilons[run.loss.epsilon_index] if epsilons else None,
        states=run.states,
        n_restarts=run.n_restarts,
        held_out=run.judge.history,
    )


def relative_l2(model: Pinn, points: np.ndarray) -> float:
    """Return ||u - reference|| / ||reference|| over points (batch, coordinates) and all judged fields.

    Where minus a solution is a solution too, the nearer sign of every field counts.

    Raises:
        ValueError: a problem without a reference.
    """
    problem = model.problem
    if problem.reference is None:
        raise ValueError(f"Problem {problem.name!r} must have a reference for an error, but has none.")
    columns = [problem.fields.index(name) for name in problem.judged or problem.fields]
    expected, predicted = problem.reference(points), model.predict(points)[:, columns]
    if problem.sign_free:
        predicted = predicted * np.where((predicted * expected).sum(0) < 0.0, -1.0, 1.0)
    return float(np.linalg.norm(predicted - expected) / np.linalg.norm(expected))


def _silence(share: float, text: str) -> None:
    """Say nothing."""
