"""A training run: its state, how that lies in a checkpoint, and how it begins anew."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qml.pinn.conditions import Integral
from qml.pinn.eigenvalues.states import Eigenstates, State
from qml.pinn.model import Pinn
from qml.pinn.problem import Problem
from qml.pinn.training._checkpoint_fit import require_fit, restore
from qml.pinn.training.broyden import SSBroyden
from qml.pinn.training.checkpoint import Checkpoint, load_checkpoint, require_suffix, save_checkpoint, to_device
from qml.pinn.training.judge import Judge
from qml.pinn.training.loss import LossParts
from qml.pinn.training.marquardt import Marquardt
from qml.pinn.training.options import DivergenceError, OnStep, Training
from qml.pinn.training.points import collocation_points

RESTART_INTEGRAL_WEIGHT = 100.0  # factor on integrals after a restart, against fields that shrink to nothing
RESTART_NOISE = 0.3  # deviation of the noise on the weights of a restart, as a share of their root mean square


class PinnRun:
    """The state of a training run: everything that a checkpoint holds.

    `phases.py` has the optimisers that change it, `weighting.py` renews its points and weights on the way.

    Args:
        model: the model to train.
        training: the options.
        seed: of the points.
        on_step: told of progress.
        path: of the checkpoint.

    Attributes:
        loss: the residuals at the present points.
        weights: of the conditions in the loss.
        step: number of steps taken since the last restart, over all phases.
        history: loss parts by name, and "step".
        states: of each eigenvalue, once it is identified.
        n_restarts: times that the run began anew.
    """

    def __init__(self, model: Pinn, training: Training, *, seed: int, on_step: OnStep, path: Path | None) -> None:
        if path is not None:
            require_suffix(path)
        self.model, self.training, self.seed, self.on_step, self.path = model, training, seed, on_step, path
        self.loss = self._new_loss()
        self.weights = {condition.name: condition.weight for condition in self.loss.conditions}
        self.parameters = [part for part in model.parameters() if part.requires_grad]
        if not self.parameters:
            raise ValueError("Argument `model` must have trainable weights, but has none.")
        self.step, self.history = 0, dict[str, list[float]]()
        self.eigenstates = Eigenstates(model)
        self.states = dict[str, State]()
        self.n_restarts, self._steps_before = 0, 0
        self._first: Mapping[str, Tensor] = {}
        self.judge = Judge(model, training, seed)
        self._seconds_before, self._started = 0.0, time.perf_counter()
        self._last_good: Path | None = None
        self._optimizer: torch.optim.Optimizer | Marquardt | SSBroyden | None = None
        self._restored: Mapping[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Return the seconds of training so far, those before a checkpoint included."""
        return self._seconds_before + time.perf_counter() - self._started

    @property
    def n_steps(self) -> int:
        """Return the number of steps of all phases."""
        training = self.training
        return training.n_adam + training.n_lbfgs + training.n_marquardt + training.n_polish

    @property
    def damping(self) -> float:
        """Return the damping of Levenberg and Marquardt's last step; 0 where it took none."""
        if isinstance(self._optimizer, Marquardt):
            return self._optimizer.damping
        return float(self._restored.get("damping", 0.0))

    @property
    def settings(self) -> dict[str, Any]:
        """Return what a checkpoint is bound to, as JSON values."""
        settings = {
            "problem": self.model.problem.name,
            "pose": _pose(self.model.problem),
            "training": asdict(self.training),
            "seed": self.seed,
            "derivatives": self.model.derivatives,
            "shapes": {name: list(value.shape) for name, value in self.model.state_dict().items()},
        }
        held = self.training.held(eigenvalues=bool(self.eigenstates.equations))
        settings["training"]["n_held"] = held.pop("n_marquardt")
        settings |= {"held": held} if any(held.values()) else {}
        _leave_out_defaults(settings["training"])
        return json.loads(json.dumps(settings))  # tuples become lists, as in the file

    def resume(self) -> None:
        """Take up the checkpoint, if there is one.

        Raises:
            ValueError: a checkpoint of other settings, or one that does not fit.
        """
        if self.path is None or not self.path.exists():
            return
        checkpoint, own = load_checkpoint(self.path), self.settings
        if "pose" not in checkpoint.settings:  # files of earlier versions
            del own["pose"]
        if checkpoint.settings != own:
            differing = [name for name in own if checkpoint.settings.get(name) != own[name]]
            raise ValueError(
                f"Argument `checkpoint` must be a new file or one of this very run, but {self.path} has another "
                f"{', '.join(differing)}. Name another file."
            )
        device, progress = self.loss.points.device, checkpoint.progress
        require_fit(checkpoint, self.model.state_dict(), self.loss.points, self.path)
        self.model.load_state_dict(to_device(dict(checkpoint.model), device))
        self.loss.set_points(checkpoint.points.to(device))
        self.loss.epsilon_index, self.step = progress["epsilon_index"], progress["step"]
        self.history, self.weights = dict(progress["history"]), dict(progress["weights"])
        self.loss.point_weights = None if checkpoint.point_weights is None else checkpoint.point_weights.to(device)
        self._seconds_before, self._last_good = progress["seconds"], self.path
        self.n_restarts, self._steps_before = progress.get("restarts", 0), progress.get("steps_before", 0)
        self._first = to_device(dict(checkpoint.first), device)
        self._restored = to_device(dict(checkpoint.optimizer), device)
        self.judge.restore(progress.get("held_out", {}), to_device(dict(checkpoint.best), device))

    def save(self) -> None:
        """Write a checkpoint, if one is asked for."""
        if self.path is None:
            return
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "weights": self.weights,
            "epsilon_index": self.loss.epsilon_index,
            "restarts": self.n_restarts,
            "steps_before": self._steps_before,
            "held_out": self.judge.history,
            "states": {name: state.as_json() for name, state in self.states.items()},
        }
        state = self._optimizer.state_dict() if self._optimizer else {}
        written = Checkpoint(
            settings=self.settings,
            progress=progress,
            model=self.model.state_dict(),
            optimizer=state,
            points=self.loss.points,
            point_weights=self.loss.point_weights,
            first=self._first,
            best=self.judge.best,
        )
        save_checkpoint(written, self.path)
        self._last_good = self.path

    def begin(self) -> None:
        """Note the weights that a restart begins from, eigenvalues at their starts, unless a checkpoint has them."""
        if self._first or not self.eigenstates.equations:
            return
        if self.training.n_held != 0:
            self._set_scalars(self.eigenstates.starts())
        self._first = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def restart(self, levels: Mapping[str, float]) -> None:
        """Begin anew at given scalars, from the first weights with some noise."""
        self._steps_before += self.step
        self.n_restarts, self.step, self._optimizer = self.n_restarts + 1, 0, None
        self.model.load_state_dict(dict(self._first))
        self._set_scalars(levels)
        generator = torch.Generator().manual_seed(self.seed + self.n_restarts)
        with torch.no_grad():
            for part in self.trained(hold_scalars=True):
                size = part.square().mean().sqrt()
                noise = torch.randn(part.shape, generator=generator, dtype=part.dtype).to(part.device)
                part.add_(RESTART_NOISE * size * noise)
        self.judge.forget()
        self.loss = self._new_loss()
        factor = RESTART_INTEGRAL_WEIGHT**self.n_restarts
        self.weights = {
            condition.name: condition.weight * (factor if isinstance(condition, Integral) else 1.0)
            for condition in self.loss.conditions
        }
        self.on_step(0.0, f"another state was found; restart {self.n_restarts}")

    def trained(self, *, hold_scalars: bool) -> list[torch.nn.Parameter]:
        """Return the parameters of a stage: all trainable ones, or those of the trunk alone."""
        if not hold_scalars:
            return self.parameters
        return [part for part in self.model.trunk.parameters() if part.requires_grad]

    def n_held(self, phase: str) -> int:
        """Return the number of a phase's steps with held scalars.

        After a restart it is half of them at least, since scalars are at the levels asked for then.
        """
        n_held = self.training.held(eigenvalues=bool(self.eigenstates.equations))[phase]
        return max(n_held, getattr(self.training, phase) // 2) if n_held and self.n_restarts else n_held

    def is_over(self, end: int, *, hold_scalars: bool) -> bool:
        """Return True if a stage has no steps left; a checkpoint's optimiser state is then no other stage's."""
        if hold_scalars and self.step == end and self._restored:
            self._restored = {}
        return self.step >= end

    def use(self, optimizer: torch.optim.Optimizer | Marquardt | SSBroyden) -> None:
        """Make an optimiser the run's, with the state of a checkpoint of the same phase."""
        self._optimizer = optimizer
        if self._restored and _kind(self._restored) == _kind(optimizer.state_dict()):
            restore(optimizer, self._restored, self.parameters)
        self._restored = {}

    def record(self, phase: str, numbers: Mapping[str, float]) -> None:
        """Append loss parts to the history, and report them."""
        for name, value in {"step": float(self._steps_before + self.step), **numbers}.items():
            self.history.setdefault(name, []).append(value)
        words = ", ".join(f"{name} {value:.1e}" for name, value in numbers.items())
        self.on_step(self.step / max(1, self.n_steps), f"{phase} {self.step}: {words}")

    def divergence(self, numbers: Mapping[str, float]) -> DivergenceError:
        """Return the error that the loss is not finite, with its parts and the last good checkpoint."""
        return DivergenceError(self.step, numbers, self._last_good)

    def _new_loss(self) -> LossParts:
        training = self.training
        return LossParts(
            self.model,
            collocation_points(self.model.problem, training, self.seed),
            n_condition_points=training.n_condition_points,
            seed=self.seed,
            causal=training.causal,
        )

    def _set_scalars(self, values: Mapping[str, float]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self.model.scalars[name].fill_(value)


def _pose(problem: Problem) -> dict[str, Any]:
    """Return what tells poses of one problem apart, whose networks are alike and whose solutions are not."""
    return {
        "domain": dict(problem.domain.intervals),
        "odd": problem.odd,
        "operators": {name: dict(terms) for name, terms in problem.operators.items()},
        "conditions": [[item.name, item.weight, item.exact] for item in problem.conditions],
        "trial": problem.trial is not None,
        "features": problem.features is not None,
    }


def _leave_out_defaults(training: dict[str, Any]) -> None:
    """Leave out later options where they are as before, so that earlier checkpoints still fit."""
    for name in ("holdout", "polish", "geodesic", "orthogonal", "momentum", "probing", "sketch"):
        if training[name] is None:
            del training[name]
    resampling = training["resampling"] or {}
    for name, plain in (("overfit", None), ("weighted", False)):
        if name in resampling and resampling[name] == plain:
            del resampling[name]


def _kind(state: Mapping[str, Any]) -> set[str]:
    """Return what tells optimisers apart: the names of the options, and the number of parameters."""
    if "param_groups" not in state:
        return set(state)
    (group,) = state["param_groups"]
    return {*group, str(len(group["params"]))}
