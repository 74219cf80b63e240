"""A stand-in for a cloud's job service, with faults at will, and the processes that talk to it and die."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, TypeVar

import numpy as np

from qml.jobs import (
    CircuitCost,
    DurableRunner,
    JobFailed,
    JobNotFound,
    JobStatus,
    Pub,
    PubResult,
    Retry,
    ServiceUnavailable,
    Store,
    Submission,
    SubmissionLimits,
    SubmissionTooLarge,
)

T = TypeVar("T")
Fault = Literal["refuse", "lose", "late", "die before", "die after", "interrupt before", "interrupt after"]
FAULTS: tuple[Fault, ...] = ("refuse", "lose", "late", "die before", "die after", "interrupt before", "interrupt after")
LATENESS = 10.0  # seconds until a job that was accepted late can be found; below `Retry.settle`


class Killed(BaseException):
    """The process ends here: nothing that it would still do happens."""


@dataclass
class Job:
    """A job of the cloud."""

    submission: Submission
    tags: tuple[str, ...]
    visible: float
    status: JobStatus = "queued"
    looks: int = 0
    handed_out: int = 0


@dataclass
class Cloud:
    """Jobs that outlive every process. Calls are numbered; `faults` says what happens at which.

    Args:
        faults: by the number of the call, counted from 0.
        largest: rows of all pubs together that one job may have.
        looks: how often a job is looked at before it is done.
        once: whether results are handed out a single time.
        keeps_jobs: as in the protocol; where not, `forget` loses all jobs.
        fails: whether the job of this submission ends in failure.
    """

    faults: Mapping[int, Fault] = field(default_factory=dict)
    largest: int = 10**9
    looks: int = 2
    once: bool = False
    keeps_jobs: bool = True
    fails: Callable[[Submission], bool] = lambda submission: False
    time: float = 1000.0
    jobs: dict[str, Job] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    name: str = "stand-in"
    killed: bool = False

    def submit(self, submission: Submission, tags: Sequence[str]) -> str:
        """See `Service.submit`."""

        def accept(late: float) -> str:
            if sum(len(pub.values) for pub in submission.pubs) > self.largest:
                raise SubmissionTooLarge("payload")
            self.jobs[f"job-{len(self.jobs)}"] = Job(submission, tuple(tags), self.time + late)
            return f"job-{len(self.jobs) - 1}"

        return self._call("submit", accept)

    def find(self, tag: str) -> list[str]:
        """See `Service.find`."""
        return self._call("find", lambda late: [k for k, job in self._visible().items() if tag in job.tags])

    def status(self, job_id: str) -> JobStatus:
        """See `Service.status`."""

        def look(late: float) -> JobStatus:
            job = self._job(job_id)
            job.looks += 1
            if job.status in ("queued", "running") and job.looks > self.looks:
                job.status = "failed" if self.fails(job.submission) else "done"
            return job.status

        return self._call("status", look)

    def result(self, job_id: str) -> list[PubResult]:
        """See `Service.result`."""

        def hand_out(late: float) -> list[PubResult]:
            job = self._job(job_id)
            if job.status == "failed":
                raise JobFailed("the cryostat is warm")
            if self.once and job.handed_out:
                raise JobFailed("the results were handed out already")
            job.handed_out += 1
            return answers(job.submission)

        return self._call("result", hand_out)

    def cancel(self, job_id: str) -> None:
        """See `Service.cancel`."""

        def stop(late: float) -> None:
            job = self._job(job_id)
            job.status = job.status if job.status in ("done", "failed") else "cancelled"

        return self._call("cancel", stop)

    def circuit_cost(self, circuit: bytes) -> CircuitCost:
        """See `Service.circuit_cost`."""
        return CircuitCost(n_qubits=2, depth=len(circuit), two_qubit_gates=1, seconds=0.001, registers=(("meas", 1),))

    def forget(self) -> None:
        """Lose all jobs, as a simulator does whose process ends."""
        self.jobs.clear()

    def sleep(self, seconds: float) -> None:
        """Time passes without waiting."""
        assert seconds >= 0
        self.time += seconds

    def retry(self, seed: int = 0) -> Retry:
        """Patience in the cloud's own time."""
        return Retry(sleep=self.sleep, clock=lambda: self.time, generator=Random(seed))

    def _visible(self) -> dict[str, Job]:
        return {k: job for k, job in self.jobs.items() if job.visible <= self.time}

    def _job(self, job_id: str) -> Job:
        if job_id not in self._visible():
            raise JobNotFound(job_id)
        return self.jobs[job_id]

    def _call(self, what: str, deed: Callable[[float], T]) -> T:
        fault = self.faults.get(len(self.calls))
        self.calls.append(what)
        self.time += 0.01
        if fault == "refuse":
            raise ServiceUnavailable("too many requests")
        self.killed = fault == "die before"
        if self.killed:
            raise Killed
        if fault == "interrupt before":
            raise KeyboardInterrupt
        answer = deed(LATENESS if fault == "late" else 0.0)
        if fault in ("lose", "late"):
            raise ConnectionResetError("the reply was lost")
        self.killed = fault == "die after"
        if self.killed:
            raise Killed
        if fault == "interrupt after":
            raise KeyboardInterrupt
        return answer


def answers(submission: Submission) -> list[PubResult]:
    """Results that tell every row, observable, circuit and shot apart."""
    return [_answer(submission.kind, pub) for pub in submission.pubs]


def _answer(kind: str, pub: Pub) -> PubResult:
    signal = pub.values @ np.arange(1.0, pub.values.shape[1] + 1) + len(pub.circuit)
    if kind == "estimator":
        weights = np.array([sum(weight for _, weight in terms) for terms in pub.observables])
        evs = (signal / (1.0 + np.abs(signal)))[:, None] * weights  # no larger than the observable
        return PubResult({"evs": evs, "stds": np.zeros((len(signal), len(weights)))})
    bits = (np.floor(1000 * signal).astype(int)[:, None] + np.arange(pub.shots or 0)) % 2
    return PubResult({"meas": bits[:, :, None].astype(np.uint8)}, {"shots": pub.shots})


@dataclass
class Process:
    """A process that opens the records and runs; it can die at a transaction, and writes nothing once it is dead.

    Args:
        dies: number of the transaction, counted over all processes, and whether before it, inside it or after it.
    """

    path: Path
    cloud: Cloud
    transactions: list[None] = field(default_factory=list)
    dies: tuple[int, Literal["before", "inside", "after"]] | None = None
    dead: bool = False

    def store(self) -> Store:
        """The records as this process sees them."""
        self.cloud.killed = False
        store = Store(self.path)
        plain = store._database.writing

        @contextmanager
        def mortal() -> Iterator[object]:
            if self.dead or self.cloud.killed:
                raise Killed
            number = len(self.transactions)
            self.transactions.append(None)
            moment = self.dies[1] if self.dies is not None and self.dies[0] == number else None
            self._end(moment == "before")
            with plain() as connection:
                yield connection
                self._end(moment == "inside")
            self._end(moment == "after")

        store._database.writing = mortal
        return store

    def _end(self, now: bool) -> None:
        if now:
            self.dead = True
            raise Killed

    def runner(self, store: Store, run_id: str, **options: object) -> DurableRunner:
        """A runner in the cloud's time."""
        limits = options.pop("limits", SubmissionLimits(executions=250))
        return DurableRunner(self.cloud, store, run_id, retry=self.cloud.retry(), limits=limits, **options)


def first_submission() -> Submission:
    values = np.linspace(0.1, 1.0, 14).reshape(7, 2)
    pubs = (
        Pub(b"circuit", values[:5], ((("ZI", 1.0),), (("XX", 0.5), ("IZ", 0.25))), shots=50),
        Pub(b"another", values[5:], ((("YY", 2.0),),), shots=50),
    )
    return Submission("estimator", pubs, {"resilience_level": 1})


def second_submission(results: list[PubResult]) -> Submission:
    """Depends on what came back, as the steps of a recurrent layer do."""
    return Submission("sampler", (Pub(b"measure", results[0].arrays["evs"][:2] / 10, shots=3),))


def whole_run(run: Callable[[Submission], list[PubResult]]) -> list[PubResult]:
    """Three submissions, the last two equal."""
    first = run(first_submission())
    second = run(second_submission(first))
    return [*first, *second, *run(second_submission(first))]
