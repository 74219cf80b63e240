"""Repeated calls after transient errors, with pauses that grow and vary at random."""

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
    """A rule that says how often a call is repeated after a transient error; all times are in seconds.

    Args:
        attempts: number of calls before a transient error is raised.
        first: bound of the first pause; the bound doubles with each pause, up to `longest`, and a pause is drawn
            between half its bound and its bound.
        longest: bound of all pauses, including those between two requests for a job's state.
        poll: bound of the first pause between two requests for a job's state.
        settle: time after a lost reply within which its job may still appear at the service. A job that is not found
            is looked for again after this pause, whatever any clock says, before it is sent again.
        sleep: function that waits.
        clock: function that returns the time since 1970, for the records alone: it may step.
        generator: source of the random pauses, so that many clients do not return at once.

    Raises:
        TypeError: an argument of another kind.
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
        """Yield the lengths of pauses, without end."""
        bound = self.first if first is None else first
        while True:
            yield bound * (0.5 + 0.5 * self.generator.random())
            bound = min(2 * bound, self.longest)

    def call(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function until it answers; it must be one that may be called twice.

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
        """Return the error to raise after the last attempt."""
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
