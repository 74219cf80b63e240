"""Options of a training, and the error of one that fails."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from qml import checks
from qml.pinn.training.methods import Annealing, Causal, Curriculum, Geodesic, Holdout, Polish, Resampling
from qml.pinn.training.second_order import Momentum, Orthogonal, Probing, RowSketch

OnStep = Callable[[float, str], None]
"""Told the share that is done, in [0, 1], and a few words: the phase, the step and the loss parts."""

MINIMA = {"n_adam": 0, "n_lbfgs": 0, "n_marquardt": 0, "n_held": 0, "n_points": 1, "n_condition_points": 1}
PHASES = ("n_adam", "n_lbfgs", "n_marquardt")
HELD_STEPS_LIMIT, HELD_SHARE = 30, 3
N_RESTARTS = 2  # of a run that ends on another state
COLLOCATION = ("sobol", "quadrature")


class DivergenceError(ValueError):
    """A loss that is not finite.

    Attributes:
        checkpoint: the last good one; None where none was asked for or written yet.
        step: where it happened.
        parts: the loss parts there.
    """

    def __init__(self, step: int, parts: Mapping[str, float], checkpoint: Path | None) -> None:
        bad = ", ".join(f"`{name}` is {value}" for name, value in parts.items() if not math.isfinite(value))
        where = f"the last good checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint yet"
        super().__init__(
            f"The loss must be finite, but at step {step} {bad or 'a weight is not'}; {where}. Lower the learning rate."
        )
        self.step, self.parts, self.checkpoint = step, dict(parts), checkpoint


@dataclass(frozen=True)
class Training:
    """The options of a training: numbers of steps and points, and the methods that are switched on.

    Args:
        n_adam: steps of Adam.
        learning_rate: of Adam's first step.
        decay: the last step's learning rate is this times the first's; it falls exponentially.
        n_lbfgs: iterations of L-BFGS after Adam, with strong Wolfe conditions.
        n_marquardt: steps of Levenberg and Marquardt after L-BFGS; each needs memory for residuals times weights.
        n_held: the first of these, in which the trainable scalars stay where they start: an eigenfunction then becomes
            the one whose eigenvalue is nearest. None holds them where they are eigenvalues, at the beginning of the
            first phase that has steps: see `held`. A run that ends on another state than the one asked for starts
            anew, at most twice. 0 holds nothing and never starts anew.
        n_points: collocation points; by coordinate, as in {"x": 64, "t": 8}, for "quadrature" alone.
        n_condition_points: points on each face.
        collocation: "sobol" for scrambled Sobol points, "quadrature" for Gauss-Legendre nodes, of which there are
            `n_points` a coordinate and piece of the domain. Coordinates across which the problem is `Periodic` get
            equally spaced nodes: sums over more than twice as many of them as there are waves keep the waves apart.
        annealing: weights of the conditions from statistics of gradients.
        causal: weights over time.
        resampling: points where the residual is large.
        curriculum: weights of points, easy ones first.
        holdout: points on which the weights are judged; the best ones are kept. None keeps the last.
        polish: quasi-Newton steps at the end.
        geodesic: a second-order term in the steps of Levenberg-Marquardt.
        orthogonal: QR in place of their normal equations, from the start or near the floor.
        momentum: the part of the last step that the next one begins from.
        probing: their damping by the gain ratios of several, in place of Nielsen's rule.
        sketch: random sums of the rows of their Jacobian, for many points.
        checkpoint_every: steps of Adam between checkpoints; the other phases write them more often.

    Raises:
        ValueError: numbers out of range, or a method that cannot go with another.
    """

    n_adam: int = 5000
    learning_rate: float = 1e-3
    decay: float = 0.1
    n_lbfgs: int = 0
    n_marquardt: int = 0
    n_held: int | None = None
    n_points: int | Mapping[str, int] = 1024
    n_condition_points: int = 128
    collocation: str = "sobol"
    annealing: Annealing | None = None
    causal: Causal | None = None
    resampling: Resampling | None = None
    curriculum: Curriculum | None = None
    holdout: Holdout | None = None
    polish: Polish | None = None
    geodesic: Geodesic | None = None
    orthogonal: Orthogonal | None = None
    momentum: Momentum | None = None
    probing: Probing | None = None
    sketch: RowSketch | None = None
    checkpoint_every: int = 500

    def __post_init__(self) -> None:
        by_coordinate = isinstance(self.n_points, Mapping)
        ints = [name for name in MINIMA if not (by_coordinate and name == "n_points")]
        checks.settle_numbers(
            self, ints=(*ints, "checkpoint_every"), floats=("learning_rate", "decay"), optional=("n_held",)
        )
        if by_coordinate:
            self._settle_points()
        for name in ints:
            least = MINIMA[name]
            value = getattr(self, name)
            if not (name == "n_held" and value is None) and value < least:
                raise ValueError(f"Argument `{name}` must be at least {least}, but is {value}.")
        if not self.learning_rate > 0 or not 0 < self.decay <= 1 or self.checkpoint_every < 1:
            raise ValueError(
                "Arguments `learning_rate`, `decay` and `checkpoint_every` must be above 0, in (0, 1] and at least 1, "
                f"but are {self.learning_rate}, {self.decay} and {self.checkpoint_every}."
            )
        if self.n_held is not None and self.n_held > self.n_marquardt:
            raise ValueError(
                f"Argument `n_held` must be at most n_marquardt ({self.n_marquardt}), of which it is a part, but is "
                f"{self.n_held}."
            )
        checks.require_choice(self.collocation, "collocation", tuple(COLLOCATION))
        if self.resampling and self.resampling.n_candidates < self.n_sobol:
            raise ValueError(
                f"Argument `n_candidates` of `resampling` must be at least n_points ({self.n_points}), but is "
                f"{self.resampling.n_candidates}."
            )

        if self.resampling and self.resampling.overfit is not None and self.holdout is None:
            raise ValueError("Argument `holdout` must be given for `overfit` of `resampling`, but is None.")
        if self.resampling and self.resampling.weighted and self.curriculum:
            raise ValueError(
                "Argument `curriculum` must be None with `weighted` of `resampling`, which weighs points too."
            )
        if self.polish and self.polish.redraw_every is not None and self.resampling is None:
            raise ValueError("Argument `resampling` must be given for `redraw_every` of `polish`, but is None.")
        self._require_second_order()

    def _settle_points(self) -> None:
        """Make numbers of nodes by coordinate a dict of ints, and refuse them where points are drawn."""
        given = self.n_points if isinstance(self.n_points, Mapping) else {}
        numbers = {axis: checks.as_int(number, f"n_points[{axis!r}]", 1) for axis, number in given.items()}
        object.__setattr__(self, "n_points", numbers)
        if self.collocation != "quadrature" or self.resampling:
            raise ValueError(
                f"Argument `n_points` must be one number where points are drawn, but is {numbers}. Pass "
                'collocation="quadrature", without `resampling`.'
            )

    def _require_second_order(self) -> None:
        for name in ("sketch", "probing"):
            if self.geodesic and getattr(self, name):
                raise ValueError(
                    f"Argument `geodesic` must be None with `{name}`, which has no second-order term, but is "
                    f"{self.geodesic}."
                )
        if self.polish and self.causal:
            raise ValueError(
                "Argument `causal` must be None with `polish`, which needs a loss that stays, but both are given."
            )

    @property
    def n_sobol(self) -> int:
        """Return the number of points that are drawn: n_points, or the product of those by coordinate."""
        return math.prod(self.n_points.values()) if isinstance(self.n_points, Mapping) else self.n_points

    @property
    def n_polish(self) -> int:
        """Return the number of quasi-Newton steps."""
        return self.polish.n_steps if self.polish else 0

    def held(self, *, eigenvalues: bool) -> dict[str, int]:
        """Return the number of steps with held scalars at the beginning of each phase, by the name of its option.

        Args:
            eigenvalues: whether the scalars are eigenvalues, which are held by default: for all of Adam's steps where
                another phase follows, and for a third of that one, or of the only one; at most 30 steps of
                Levenberg-Marquardt.
        """
        if self.n_held is not None or not eigenvalues:
            return {"n_adam": 0, "n_lbfgs": 0, "n_marquardt": self.n_held or 0}
        phases = [name for name in PHASES if getattr(self, name)]
        held: dict[str, int] = dict.fromkeys(map(str, PHASES), 0)
        if phases[:1] == ["n_adam"] and len(phases) > 1:
            held["n_adam"] = self.n_adam
            phases = phases[1:]
        for name in phases[:1]:
            share = getattr(self, name) // HELD_SHARE
            held[name] = min(HELD_STEPS_LIMIT, share) if name == "n_marquardt" else share
        return held
