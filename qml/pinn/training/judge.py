"""The judgement of weights on points that training never sees."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qml.pinn.model import Pinn
from qml.pinn.training.loss import LossParts, weighed_total
from qml.pinn.training.options import Training

SEED = 2**20  # added to the seed of the training's points, whose draws never come so far


class Judge:
    """Judges a model on held-out points, and keeps the best weights; it does nothing without `holdout`.

    Args:
        model: the model.
        training: its options.
        seed: of the training's points.

    Attributes:
        history: "step", and the "loss" on held-out points there.
        best: the state of the model with the least of them.
    """

    def __init__(self, model: Pinn, training: Training, seed: int) -> None:
        self.model, self.holdout = model, training.holdout
        self.history: dict[str, list[float]] = {"step": [], "loss": []}
        self.best: dict[str, Tensor] = {}
        self._parts: LossParts | None = None
        if self.holdout is not None:
            self._parts = LossParts(
                model,
                model.problem.domain.sample(self.holdout.n_points, seed + SEED),
                n_condition_points=training.n_condition_points,
                seed=seed + SEED,
            )

    def loss(self, weights: Mapping[str, float]) -> float:
        """Return the loss on held-out points, with these weights of the conditions."""
        if self._parts is None:
            raise ValueError("Argument `holdout` must be given for a loss on held-out points, but is None.")
        with torch.no_grad():
            return float(weighed_total(self._parts.parts(), weights))

    def see(self, run: Any, step: int, *, stride: int = 1) -> None:
        """Judge the weights after a step of a phase, if it is time, and keep them if they are the best so far."""
        if self.holdout is None or step % (stride * self.holdout.every):
            return
        loss = self.loss({condition.name: condition.weight for condition in run.loss.conditions})
        best = min(filter(math.isfinite, self.history["loss"]), default=math.inf)
        self.history["step"].append(float(step))
        self.history["loss"].append(loss)
        if loss < best:
            self.best = {name: value.detach().clone() for name, value in self.model.state_dict().items()}

    def is_overfit(self, run: Any, ratio: float) -> bool:
        """Return True if the loss on held-out points exceeds that on the training's points by this ratio."""
        with torch.no_grad():
            trained = float(weighed_total(run.loss.parts(), run.weights))
        return self.loss(run.weights) > ratio * trained

    def keep_best(self, run: Any) -> None:
        """Give the model the best weights, the last ones included."""
        if self.holdout is None:
            return
        self.see(run, run.step - run.step % self.holdout.every)
        if self.best:  # none where no loss on held-out points was finite
            self.model.load_state_dict(self.best)

    def forget(self) -> None:
        """Begin anew, as the run does."""
        self.history, self.best = {"step": [], "loss": []}, {}

    def restore(self, history: Mapping[str, Any], best: Mapping[str, Tensor]) -> None:
        """Take up where a run stopped."""
        self.history = {name: list(history.get(name, [])) for name in ("step", "loss")}
        self.best = dict(best)
