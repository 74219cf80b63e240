"""Trying again what is transient, with pauses that grow and scatter."""

import math
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from circuits.plain_checks import as_float, as_int, require_kind
from qml.jobs.errors import ServiceUnavailable

TRANSIENT = (ServiceUnavailable, ConnectionError, TimeoutError)

T = TypeVar("T")


@dataclass(frozen=True)
class Retry:
    """How often and how long; all times in seconds.

    Args:
        attempts: calls in all, before a transient error is given on.
        first: longest first pause; each one's bound is twice that of the one before, up to `longest`, and a pause is
            drawn between half its bound and its bound.
        longest: bound of all pauses, those between two looks at a job too.
        poll: longest first pause between two looks at a job.
        settle: how long after a lost reply a job may still turn up. A job that is not found is looked for again after
            this pause, whatever any clock says, before it is sent again.
        sleep: waits.
        clock: the time since 1970, for the records alone: it may step.
        generator: scatters the pauses, so that many clients do not come back at once.

    Raises:
        TypeError: another kind of thing for any of them.
        ValueError: less than one attempt, or a time that is negative, infinite or NaN.
    """

    attempts: int = 6
    first: float = 1.0
    longest: float = 30.0
    poll: float = 0.1
    settle: float = 30.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    generator: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attempts", as_int(self.attempts, "attempts", 1))
        for name in ("first", "longest", "poll", "settle"):
            object.__setattr__(self, name, _as_time(getattr(self, name), name))
        for name in ("sleep", "clock"):
            if not callable(getattr(self, name)):
                raise TypeError(
                    f"Argument `{name}` must be callable, but is {type(getattr(self, name)).__name__}. Leave it out."
                )
        require_kind(self.generator, "generator", random.Random)

    def pauses(self, first: float | None = None) -> Iterator[float]:
        """The lengths of pauses, without end."""
        bound = self.first if first is None else first
        while True:
            yield bound * (0.5 + 0.5 * self.generator.random())
            bound = min(2 * bound, self.longest)

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call what may be called twice, until it answers.

        Raises:
            ServiceUnavailable: no answer in all attempts; the last reason is its cause.
        """
        pauses = self.pauses()
        for _ in range(self.attempts - 1):
            try:
                return function(*arguments)
            except TRANSIENT:
                self.sleep(next(pauses))
        try:
            return function(*arguments)
        except TRANSIENT as error:
            raise self.give_up(error) from error

    def give_up(self, error: Exception) -> ServiceUnavailable:
        """The error after the last attempt."""
        return ServiceUnavailable(
            f"The service did not answer in {self.attempts} attempts ({error}). All that was sent is written down: go "
            "on with `qml jobs resume` later."
        )


def _as_time(value: Any, name: str) -> float:
    """Return a finite time in seconds, not negative."""
    seconds = as_float(value, name)
    if not (math.isfinite(seconds) and seconds >= 0.0):
        raise ValueError(f"Argument `{name}` must be a time of at least 0 s, but is {value}.")
    return seconds
