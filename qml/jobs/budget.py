"""Limits of what a run may cost, over its whole life."""

import math
from dataclasses import dataclass
from typing import Any

from circuits.plain_checks import as_float, as_int
from qml.jobs import split
from qml.jobs.errors import BudgetReached
from qml.jobs.service import Service
from qml.jobs.submission import Submission

SECONDS_A_JOB = 2.0  # time that a job takes on a device in addition to its circuits


@dataclass(frozen=True)
class Budget:
    """A limit of what a run may cost, in seconds of the device and in jobs; None for no limit.

    The limit is stored with the run and counts every job that is sent: the halves of a job that a service refuses for
    its size, jobs after an interruption, and jobs that are sent once more.

    Args:
        seconds: most seconds of the device, as estimated from the circuits' durations.
        jobs: most jobs.

    Raises:
        TypeError: limits that are no numbers.
        ValueError: limits that are not positive.
    """

    seconds: float | None = None
    jobs: int | None = None

    def __post_init__(self) -> None:
        seconds = None if self.seconds is None else as_float(self.seconds, "max_seconds")
        jobs = None if self.jobs is None else as_int(self.jobs, "max_jobs", -math.inf)
        for name, value in (("max_seconds", seconds), ("max_jobs", jobs)):
            if value is not None and not value > 0:
                raise ValueError(f"Argument `{name}` must be positive, but is {value:g}.")
        object.__setattr__(self, "seconds", seconds)
        object.__setattr__(self, "jobs", jobs)

    @property
    def is_set(self) -> bool:
        """Return True if there is any limit."""
        return self.seconds is not None or self.jobs is not None

    def require(self, size: Any) -> None:
        """Refuse a run that is larger than the budget.

        Args:
            size: a `qml.remote.Estimate`.

        Raises:
            ValueError: it is larger, or its seconds are limited and cannot be estimated.
        """
        if self.jobs is not None and size.jobs > self.jobs:
            raise ValueError(f"Budget: the run must take at most {self.jobs} jobs, but takes {size.jobs}.")
        if self.seconds is None:
            return
        if size.seconds is None:
            raise ValueError(
                f"Budget: the seconds on {size.backend} cannot be estimated, as it does not tell how long its gates "
                "take. Use --max-jobs."
            )
        if size.seconds > self.seconds:
            raise ValueError(
                f"Budget: the run must take at most {self.seconds:g} s, but takes about {size.seconds:.3g} s. Lower "
                "--shots, or send fewer rows."
            )

    def seconds_of(self, submission: Submission, service: Service) -> float | None:
        """Estimate the seconds of the device that a job takes; None if they are not limited.

        Raises:
            BudgetReached: they are limited, and the service does not tell how long its gates take.
        """
        if self.seconds is None:
            return None
        total, simulated = 0.0, True
        for pub in submission.pubs:
            seconds = service.circuit_cost(pub.circuit).seconds
            if seconds is None:
                raise BudgetReached(
                    f"Budget: a run may take at most {self.seconds:g} s of the device, but {service.name} does not say "
                    "how long its gates take. Start a run with --max-jobs instead."
                )
            total += len(pub.values) * split.executions_of_row(pub, submission) * seconds
            simulated = simulated and seconds == 0.0
        return 0.0 if simulated else SECONDS_A_JOB + total
