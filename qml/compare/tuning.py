"""Tuning on the validation part: the same number of trials for every model.

The settings that a model lists are tried first. Where more trials are asked for, Optuna proposes them within the
span of the list: numbers between the least and the largest that is listed (on a logarithmic scale where all are
positive), anything else among the values that are listed.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any, Generic, TypeVar

import torch

from qml.compare.task import OnStep

S = TypeVar("S")
F = TypeVar("F")
NamedSetting = dict[str, float | int]
Merit = tuple[float, ...]
"""Errors on the validation part, compared from the first on; less is better. Optuna sees the first alone."""


@dataclass(frozen=True)
class Trial(Generic[S]):
    """A setting to be run.

    Attributes:
        number: Number of the trial, from 0.
        setting: The setting itself.
        on_step: Hears how far the trial has come.
    """

    number: int
    setting: S
    on_step: OnStep


@dataclass(frozen=True)
class Tried(Generic[S, F]):
    """The setting that was best on the validation part, with its run.

    Attributes:
        setting: The setting itself.
        merit: Its merit on the validation part.
        result: The result of its run.
        seconds: Duration of its run.
        n_trials: Number of settings that were run.
    """

    setting: S
    merit: Merit
    result: F
    seconds: float
    n_trials: int


def try_settings(
    settings: Sequence[S],
    run: Callable[[Trial[S]], tuple[Merit, F]],
    on_step: OnStep,
    *,
    n_trials: int,
    seed: int,
) -> Tried[S, F]:
    """Run as many settings as there are trials, and return the best; of equal ones the first.

    Args:
        settings: At least one, dataclasses or mappings of the same fields; they are tried in order.
        run: Trains with a setting, on one thread of torch.
        on_step: Hears of progress.
        n_trials: Number of trials; above the number of settings Optuna proposes the rest.
        seed: Seed of these proposals.

    Raises:
        ImportError: If there are more trials than settings, and Optuna is not installed.
    """
    if not settings:
        raise ValueError("Argument `settings` must hold at least one, but is empty.")
    best: Tried[S, F] | None = None
    proposals = None if n_trials <= len(settings) else _Proposals(settings, seed)
    with one_thread():
        for number in range(n_trials):
            listed = number < len(settings)
            setting = settings[number] if proposals is None or listed else proposals.next()
            step = _share_of(on_step, number, n_trials)
            step(0.0, "")
            started = time.perf_counter()
            merit, result = run(Trial(number, setting, step))
            seconds = time.perf_counter() - started
            if proposals is not None:
                proposals.heard(setting, merit[0])
            if best is None or _comparable(merit) < _comparable(best.merit):
                best = Tried(setting, merit, result, seconds, n_trials)
    if best is None:
        raise ValueError(f"Argument `n_trials` must be at least 1, but is {n_trials}.")
    return best


def named_settings(names: tuple[str, ...], *rows: tuple[float | int, ...]) -> tuple[NamedSetting, ...]:
    """Return settings as mappings, from a table; numbers that are written as ints are searched among ints."""
    return tuple(dict(zip(names, row, strict=True)) for row in rows)


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep torch to one thread inside: matrices this small lose more to a second one than they gain."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _comparable(merit: Merit) -> Merit:
    """Sort NaN, of a training run that diverged, behind everything else."""
    return tuple(math.inf if math.isnan(value) else value for value in merit)


def _share_of(on_step: OnStep, number: int, n_trials: int) -> OnStep:
    def step(share: float, text: str) -> None:
        on_step((number + share) / n_trials, ", ".join(filter(None, (f"setting {number + 1}/{n_trials}", text))))

    return step


class _Proposals(Generic[S]):
    """A source of settings: Optuna's tree-structured Parzen estimator within the span of those that are listed."""

    def __init__(self, settings: Sequence[S], seed: int) -> None:
        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # every trial is told of by `on_step`
        self._example = settings[0]
        values = {name: [_fields(setting)[name] for setting in settings] for name in _fields(settings[0])}
        self._space = {name: _distribution(listed) for name, listed in values.items() if len(set(listed)) > 1}
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=len(settings))
        self._study = optuna.create_study(direction="minimize", sampler=sampler)
        self._asked: Any = None

    def next(self) -> S:
        """Propose a setting that has not been tried."""
        self._asked = self._study.ask(self._space)
        changes = dict(self._asked.params)
        if is_dataclass(self._example) and not isinstance(self._example, type):
            return replace(self._example, **changes)
        return {**_fields(self._example), **changes}  # pyright: ignore[reportReturnType] - a mapping as the example is

    def heard(self, setting: S, error: float) -> None:
        """Report the error of a proposal, or of a setting that was listed."""
        optuna = _optuna()
        if self._asked is not None:
            asked, self._asked = self._asked, None
            if math.isfinite(error):
                self._study.tell(asked, error)
            else:
                self._study.tell(asked, state=optuna.trial.TrialState.FAIL)
            return
        if not math.isfinite(error):
            return
        fields = {name: _fields(setting)[name] for name in self._space}
        self._study.add_trial(optuna.create_trial(params=fields, distributions=self._space, value=error))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise ImportError('More trials need Optuna. Install it with: pip install "qml-circuits[tuning]".') from error
    return optuna


def _fields(setting: object) -> dict[str, Any]:
    if is_dataclass(setting) and not isinstance(setting, type):
        return asdict(setting)
    if isinstance(setting, Mapping):
        return dict(setting)
    raise TypeError(f"Argument `settings` must hold dataclasses or mappings, but holds {type(setting).__name__}.")


def _distribution(listed: list[Any]) -> Any:
    optuna = _optuna()
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in listed):
        kind = (
            optuna.distributions.IntDistribution
            if all(isinstance(value, int) for value in listed)
            else optuna.distributions.FloatDistribution
        )
        return kind(min(listed), max(listed), log=min(listed) > 0)
    return optuna.distributions.CategoricalDistribution(list(dict.fromkeys(listed)))
