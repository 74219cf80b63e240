"""A training run step by step: its state, its two phases, its checkpoints."""

import json
import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qml.pinn._checkpoint_fit import require_fit, restore
from qml.pinn.checkpoint import Checkpoint, load_checkpoint, require_suffix, save_checkpoint, to_device
from qml.pinn.conditions import Integral
from qml.pinn.jacobian import Residuals
from qml.pinn.loss import LossParts, weighed_total
from qml.pinn.marquardt import Marquardt
from qml.pinn.model import Pinn
from qml.pinn.options import N_RESTARTS, DivergenceError, OnStep, Training
from qml.pinn.states import Eigenstates, State

LBFGS_CHUNK = 50  # iterations between checkpoints and renewals of causal weights
LBFGS_HISTORY = 50
MARQUARDT_CHUNK = 20  # steps between checkpoints, at most: each costs as much as many of Adam's
NORM_WEIGHT = 100.0  # of integrals after a restart, against fields that shrink to nothing
NOISE = 0.3  # of the weights' root mean square, on the weights of a restart
N_HISTORY = 200  # entries of the history a phase, about


class Run:
    """The state of a run: everything that a checkpoint holds.

    Args:
        model: what is trained.
        training: how.
        seed: of the points.
        on_step: told of progress.
        path: of the checkpoint.
    """

    def __init__(self, model: Pinn, training: Training, *, seed: int, on_step: OnStep, path: Path | None) -> None:
        if path is not None:
            require_suffix(path)
        self.model, self.training, self.seed, self.on_step, self.path = model, training, seed, on_step, path
        self.loss = self._loss()
        self.weights = {condition.name: condition.weight for condition in self.loss.conditions}
        self.parameters = [part for part in model.parameters() if part.requires_grad]
        if not self.parameters:
            raise ValueError("Argument `model` must have trainable weights, but has none.")
        self.step, self.history = 0, dict[str, list[float]]()
        self.eigenstates = Eigenstates(model)
        self.states = dict[str, State]()
        self.n_restarts, self._steps_before = 0, 0
        self._first: Mapping[str, Tensor] = {}
        self._before, self._started = 0.0, time.perf_counter()
        self._good: Path | None = None
        self._optimizer: torch.optim.Optimizer | Marquardt | None = None
        self._restored: Mapping[str, Any] = {}

    @property
    def seconds(self) -> float:
        """Of training so far, over all its parts."""
        return self._before + time.perf_counter() - self._started

    @property
    def settings(self) -> dict[str, Any]:
        """What a checkpoint is bound to."""
        settings = {
            "problem": self.model.problem.name,
            "training": asdict(self.training),
            "seed": self.seed,
            "derivatives": self.model.derivatives,
            "shapes": {name: list(value.shape) for name, value in self.model.state_dict().items()},
        }
        held = self.training.held(eigenvalues=bool(self.eigenstates.equations))
        settings["training"]["n_held"] = held.pop("n_marquardt")
        settings |= {"held": held} if any(held.values()) else {}
        return json.loads(json.dumps(settings))  # tuples become lists, as in the file

    def resume(self) -> None:
        """Take up the checkpoint, if there is one."""
        if self.path is None or not self.path.exists():
            return
        found, own = load_checkpoint(self.path), self.settings
        if found.settings != own:
            differing = [name for name in own if found.settings.get(name) != own[name]]
            raise ValueError(
                f"Argument `checkpoint` must be a new file or one of this very run, but {self.path} has another "
                f"{', '.join(differing)}. Name another file."
            )
        device, progress = self.loss.points.device, found.progress
        require_fit(found, self.model.state_dict(), self.loss.points, self.path)
        self.model.load_state_dict(to_device(dict(found.model), device))
        self.loss.set_points(found.points.to(device))
        self.loss.epsilon_index, self.step = progress["epsilon_index"], progress["step"]
        self.history, self.weights = dict(progress["history"]), dict(progress["weights"])
        self.loss.point_weights = None if found.point_weights is None else found.point_weights.to(device)
        self._before, self._good = progress["seconds"], self.path
        self.n_restarts, self._steps_before = progress.get("restarts", 0), progress.get("steps_before", 0)
        self._first = to_device(dict(found.first), device)
        self._restored = to_device(dict(found.optimizer), device)

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
        )
        save_checkpoint(written, self.path)
        self._good = self.path

    def solve(self) -> None:
        """All phases, once more from other weights while an eigenvalue ends on another state than the one asked for."""
        if not self._first and self.eigenstates.equations:
            if self.training.n_held != 0:
                self._set_scalars(self.eigenstates.starts())
            self._first = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        while True:
            self.adam()
            self.lbfgs()
            self.marquardt()
            self.states = self.eigenstates.identify()
            wrong = [name for name, state in self.states.items() if state.asked is not None and not state.is_asked]
            levels = self.eigenstates.asked_levels() if wrong else {}
            known = all(math.isfinite(levels.get(name, math.nan)) for name in wrong)
            if not wrong or not known or self.training.n_held == 0 or self.n_restarts == N_RESTARTS:
                break
            self._restart(levels)
        self.save()

    def adam(self) -> None:
        """The first phase, first with held scalars where these are eigenvalues."""
        training, n_steps, n_held = self.training, self.training.n_adam, self._n_held("n_adam")
        if self.step >= n_steps:
            return
        optimizer = torch.optim.Adam(self.parameters, training.learning_rate, fused=True)
        self._use(optimizer)
        every = max(1, n_steps // N_HISTORY)
        while self.step < n_steps:
            self._redraw()
            self._grade()
            optimizer.param_groups[0]["lr"] = training.learning_rate * training.decay ** (self.step / n_steps)
            parts = self.loss.parts()
            self._anneal(parts)
            total = self._total(parts)
            if not math.isfinite(float(total.detach())):
                raise DivergenceError(self.step, _numbers(parts), self._good)
            for part in self.parameters:
                part.grad = None
            total.backward()
            if self.step < n_held:
                for scalar in self.model.scalars.values():
                    scalar.grad = None
            optimizer.step()
            if self.step % every == 0 or self.step == n_steps - 1:
                self._record("Adam", _numbers(parts))
            self.step += 1
            if self.step % training.checkpoint_every == 0 and self.path is not None:
                self._require_finite()
                self.save()

    def lbfgs(self) -> None:
        """The second phase, in chunks, first with held scalars where these are eigenvalues."""
        start = self.training.n_adam
        self.loss.point_weights = None
        self._lbfgs(start + self._n_held("n_lbfgs"), hold_scalars=True)
        self._lbfgs(start + self.training.n_lbfgs, hold_scalars=False)

    def _lbfgs(self, end: int, *, hold_scalars: bool) -> None:
        """Iterations up to `end`; fewer where the loss no longer falls."""
        if self._is_over(end, hold_scalars=hold_scalars):
            return
        optimizer = torch.optim.LBFGS(
            self._trained(hold_scalars=hold_scalars),
            max_iter=LBFGS_CHUNK,
            history_size=LBFGS_HISTORY,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )
        self._use(optimizer)

        def closure() -> Tensor:
            optimizer.zero_grad()
            total = self._total(self.loss.parts())
            total.backward()
            return total

        last = math.inf
        while self.step < end:
            self._renew_causal_weights()
            optimizer.param_groups[0]["max_iter"] = min(LBFGS_CHUNK, end - self.step)
            optimizer.step(closure)  # pyright: ignore[reportArgumentType]
            numbers = _numbers(self.loss.parts())
            total = sum(self.weights.get(name, 1.0) * value for name, value in numbers.items())
            if not math.isfinite(total):
                raise DivergenceError(self.step, numbers, self._good)
            self.step += optimizer.param_groups[0]["max_iter"]
            self._record("L-BFGS", numbers)
            self.save()
            if not total < last and self.training.causal is None:
                break
            last = total
        if hold_scalars:
            self.step = end
        self.loss.frozen = False

    def marquardt(self) -> None:
        """The third phase, first with held scalars."""
        training = self.training
        start = training.n_adam + training.n_lbfgs
        if training.n_marquardt:
            self.step = max(self.step, start)  # L-BFGS may have ended early
            self._marquardt(min(start + self._n_held("n_marquardt"), self._end), hold_scalars=True)
            self._marquardt(self._end, hold_scalars=False)

    def _marquardt(self, end: int, *, hold_scalars: bool) -> None:
        """Steps up to `end`; fewer where no step lowers the loss of points that stay."""
        training = self.training
        if self._is_over(end, hold_scalars=hold_scalars):
            return
        trained = self._trained(hold_scalars=hold_scalars)
        optimizer = Marquardt(Residuals(self.loss, self.weights, only=trained))
        self._use(optimizer)
        every = max(1, training.n_marquardt // N_HISTORY)
        stuck = False
        while self.step < end and not stuck:
            self._redraw()
            self._renew_causal_weights()
            moved = optimizer.step()
            if not math.isfinite(optimizer.loss):
                raise DivergenceError(self.step, _numbers(self.loss.parts()), self._good)
            self.step += 1
            stuck = not moved and training.causal is None and training.resampling is None
            if stuck or self.step % every == 0 or self.step == end:
                self._record("Levenberg-Marquardt", _numbers(self.loss.parts()))
            if self.step % min(training.checkpoint_every, MARQUARDT_CHUNK) == 0:
                self.save()
        if stuck and hold_scalars:
            self.step = end
        self.loss.frozen = False

    @property
    def _end(self) -> int:
        return self.training.n_adam + self.training.n_lbfgs + self.training.n_marquardt

    def _loss(self) -> LossParts:
        training, domain = self.training, self.model.problem.domain
        by_sobol = training.collocation == "sobol"
        return LossParts(
            self.model,
            domain.sample(training.n_points, self.seed) if by_sobol else domain.quadrature(training.n_points)[0],
            n_condition_points=training.n_condition_points,
            seed=self.seed,
            causal=training.causal,
        )

    def _n_held(self, phase: str) -> int:
        """Steps of a phase with held scalars: half of them after a restart, where these are at the levels asked for."""
        n_held = self.training.held(eigenvalues=bool(self.eigenstates.equations))[phase]
        return max(n_held, getattr(self.training, phase) // 2) if n_held and self.n_restarts else n_held

    def _trained(self, *, hold_scalars: bool) -> list[torch.nn.Parameter]:
        if not hold_scalars:
            return self.parameters
        return [part for part in self.model.trunk.parameters() if part.requires_grad]

    def _is_over(self, end: int, *, hold_scalars: bool) -> bool:
        """Whether a stage has no steps left; the state of its optimiser is no other stage's."""
        if hold_scalars and self.step == end and self._restored:
            self._restored = {}
        return self.step >= end

    def _restart(self, levels: Mapping[str, float]) -> None:
        """Begin anew at given scalars, from the first weights with some noise."""
        self._steps_before += self.step
        self.n_restarts, self.step, self._optimizer = self.n_restarts + 1, 0, None
        self.model.load_state_dict(dict(self._first))
        self._set_scalars(levels)
        generator = torch.Generator().manual_seed(self.seed + self.n_restarts)
        with torch.no_grad():
            for part in self._trained(hold_scalars=True):
                size = part.square().mean().sqrt()
                noise = torch.randn(part.shape, generator=generator, dtype=part.dtype).to(part.device)
                part.add_(NOISE * size * noise)
        self.loss = self._loss()
        heavier = NORM_WEIGHT**self.n_restarts
        self.weights = {
            condition.name: condition.weight * (heavier if isinstance(condition, Integral) else 1.0)
            for condition in self.loss.conditions
        }
        self.on_step(0.0, f"another state was found; restart {self.n_restarts}")

    def _set_scalars(self, values: Mapping[str, float]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self.model.scalars[name].fill_(value)

    def _use(self, optimizer: torch.optim.Optimizer | Marquardt) -> None:
        """Make it the run's, with the state of a checkpoint of the same phase."""
        self._optimizer = optimizer
        if self._restored and _kind(self._restored) == _kind(optimizer.state_dict()):
            restore(optimizer, self._restored, self.parameters)
        self._restored = {}

    def _require_finite(self) -> None:
        """A checkpoint is only good if the loss at its weights is finite."""
        self.loss.frozen = True
        with torch.no_grad():
            numbers = _numbers(self.loss.parts())
        self.loss.frozen = False
        if not all(map(math.isfinite, numbers.values())):
            raise DivergenceError(self.step, numbers, self._good)

    def _redraw(self) -> None:
        """Points where the residual is large, when it is time."""
        resampling = self.training.resampling
        if resampling is None or self.step == 0 or self.step % resampling.every:
            return
        domain, seed = self.model.problem.domain, self.seed + self.step
        candidates = self.model.as_points(domain.sample(resampling.n_candidates, seed))
        residuals = torch.stack(list(self.loss.residuals(candidates).values())).detach()
        chosen = resampling.draw(residuals.norm(dim=0), len(self.loss.points), seed)
        self.loss.set_points(candidates[chosen.to(candidates.device)])

    def _grade(self) -> None:
        """Weights of the points by difficulty, when it is time or other points were drawn."""
        curriculum = self.training.curriculum
        if curriculum is None or (self.step % curriculum.every and self.loss.point_weights is not None):
            return
        residuals = torch.stack(list(self.loss.residuals(self.loss.points).values())).detach()
        share = self.step / self.training.n_adam
        self.loss.point_weights = curriculum.weights(residuals.norm(dim=0), share, self.seed)

    def _anneal(self, parts: Mapping[str, Tensor]) -> None:
        """Renew the weights of the conditions, when it is time."""
        annealing = self.training.annealing
        if annealing is None or self.step % annealing.every:
            return
        residual = torch.stack([value for name, value in parts.items() if name not in self.weights]).sum()
        largest = float(self._gradient(residual).abs().max())
        for name, weight in self.weights.items():
            mean = weight * float(self._gradient(parts[name]).abs().mean())
            if mean > 0.0:
                self.weights[name] = (1 - annealing.rate) * weight + annealing.rate * largest / mean

    def _gradient(self, part: Tensor) -> Tensor:
        found = torch.autograd.grad(part, self.parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
        return torch.cat([gradient.flatten() for gradient in found])

    def _renew_causal_weights(self) -> None:
        """L-BFGS needs a loss that stays as it is."""
        self.loss.frozen = False
        if self.training.causal is not None:
            self.loss.parts()
        self.loss.frozen = True

    def _total(self, parts: Mapping[str, Tensor]) -> Tensor:
        return weighed_total(parts, self.weights)

    def _record(self, phase: str, numbers: Mapping[str, float]) -> None:
        n_all = max(1, self._end)
        for name, value in {"step": float(self._steps_before + self.step), **numbers}.items():
            self.history.setdefault(name, []).append(value)
        said = ", ".join(f"{name} {value:.1e}" for name, value in numbers.items())
        self.on_step(self.step / n_all, f"{phase} {self.step}: {said}")


def _kind(state: Mapping[str, Any]) -> set[str]:
    """The names of an optimiser's options, and the number of its parameters, tell which one it is."""
    if "param_groups" not in state:
        return set(state)
    (group,) = state["param_groups"]
    return {*group, str(len(group["params"]))}


def _numbers(parts: Mapping[str, Tensor]) -> dict[str, float]:
    return {name: float(value.detach()) for name, value in parts.items()}
