"""A runner whose submissions survive the process that sends them."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from circuits.plain_checks import as_text, has_members, require_kind
from qml.jobs import answers, codec, split
from qml.jobs.errors import (
    BudgetReached,
    JobError,
    JobFailed,
    JobNotFound,
    JobPending,
    StoreError,
    SubmissionTooLarge,
)
from qml.jobs.owner import describe, is_elsewhere, new_owner
from qml.jobs.retry import TRANSIENT, Retry
from qml.jobs.rows import OPEN_STATES, Chunk
from qml.jobs.search import find_patiently
from qml.jobs.service import Service
from qml.jobs.split import UNLIMITED, SubmissionLimits
from qml.jobs.store import Store, Stored
from qml.jobs.submission import PubResult, Submission

LEASE_SECONDS = 900.0  # wait for a silent owner on another machine; on this machine its process is looked up
REASONS_SHOWN = 3
SERVICE_MEMBERS = ("name", "keeps_jobs", "circuit_cost", "submit", "find", "status", "result", "cancel")


class DurableRunner:
    """A runner of one run's submissions that writes each down before it is sent, and keeps its results for good.

    The k-th call of `run` is the k-th submission of the run, whichever process makes it. Stored results are replayed,
    jobs that were sent are waited for, and only missing ones are sent. A run that was interrupted anywhere is therefore
    resumed by making the same calls again. A job whose id was lost is found by its tag; no job is sent twice.

    Args:
        service: the service that runs the jobs.
        store: the records, in which the run was entered by `Store.add_run`.
        run_id: the run.
        send: whether missing chunks are sent; False only fetches.
        wait: whether to wait for results; False raises `JobPending` if some are missing.
        limits: the size of one job; for a simulator in this process none, so that a seed gives the same values as
            without records.
        retry: pauses and attempts.
        watch: function that is called with the chunks of the submission whenever something may have changed.

    An answer of the service is stored unchanged, and only then checked (`qml.jobs.answers`): an answer that is no
    result makes the chunk fail, and remains as its reply.

    Raises:
        JobPending: results are missing, and `wait` or `send` is False.
        JobFailed: some chunks failed or were cancelled, or their answers are no results; those of all others are
            stored.
        BudgetReached: the run would send more than its budget allows; jobs that were sent are collected before.
        ServiceUnavailable: no answer after all attempts; the run can be resumed.
        StoreError: records that cannot be read or written.
        TypeError: an argument of another kind.
        ValueError: a submission that differs from the stored one of this number.

    Example:
        >>> from qml.jobs import DurableRunner, Store
        >>> store = Store("runs/jobs.sqlite")  # doctest: +SKIP
        >>> store.add_run("first", now=time.time(), backend=backend.name)  # doctest: +SKIP
        >>> durable = backend.with_runner(DurableRunner(backend.service, store, "first"))  # doctest: +SKIP
        >>> layer.to_backend(durable)(inputs)  # doctest: +SKIP
    """

    def __init__(
        self,
        service: Service,
        store: Store,
        run_id: str,
        *,
        send: bool = True,
        wait: bool = True,
        limits: SubmissionLimits | None = None,
        retry: Retry | None = None,
        watch: Callable[[Sequence[Chunk]], None] | None = None,
    ) -> None:
        if not has_members(service, *SERVICE_MEMBERS):
            raise TypeError(f"Argument `service` must be a Service, but is {type(service).__name__}.")
        require_kind(store, "store", Store)
        for name, value, kind in (("limits", limits, SubmissionLimits), ("retry", retry, Retry)):
            if value is not None:
                require_kind(value, name, kind)
        self.service, self.store, self.run_id = service, store, as_text(run_id, "run_id")
        self.send, self.wait = send, wait
        self.limits = limits or (SubmissionLimits() if service.keeps_jobs else UNLIMITED)
        self.retry = retry or Retry()
        self._watch = watch or (lambda chunks: None)
        self._tags = (run_id, *store.run(run_id).tags)
        self._owner = new_owner()
        self._watched: float | None = None  # the lease of an owner on another machine that did not change for a while
        self._next = 0
        self._lock = threading.Lock()

    def run(self, submission: Submission) -> list[PubResult]:
        """Return the results, one for each pub, in order."""
        with self._lock:
            sequence, self._next = self._next, self._next + 1
            stored = self._open(sequence, submission)
            if any(chunk.state in OPEN_STATES for chunk in self.store.chunks(self.run_id, sequence)):
                with self._claimed():
                    self._finish(sequence, stored)
            return self._gather(sequence, stored)

    def _open(self, sequence: int, submission: Submission) -> Submission:
        """Return the submission as it is on the disk, written now or by an earlier process."""
        new = Stored(codec.fingerprint(submission), codec.pack_submission(submission))
        known = self.store.has_submission(self.run_id, sequence)
        if not known and not self.send:
            raise JobPending(f"Submission {sequence} of run {self.run_id} is not sent yet. Use `qml jobs resume`.")
        plan = [] if known else split.plan(submission, self.limits)
        old = self.store.open_submission(self.run_id, sequence, new, plan, now=self._now())
        if old is None:
            return submission
        stored = codec.unpack_submission(old.payload)
        if old.fingerprint != new.fingerprint or not codec.same_values(stored, submission):
            raise ValueError(
                f"Submission {sequence} of run {self.run_id} must be the one that was written, but circuits, values or "
                "options differ. Nothing was sent. Start a new run for another model, data or options."
            )
        return stored

    def _finish(self, sequence: int, submission: Submission) -> None:
        """Send what is missing and collect, until nothing is open or nothing more may be done now."""
        pauses, over_budget = self.retry.pauses(self.retry.poll), None
        while True:
            try:
                self._send_missing(sequence, submission)
            except BudgetReached as error:
                over_budget = error
            unknown = self._look_at_sent(sequence, submission)
            chunks = self.store.chunks(self.run_id, sequence)
            self._watch(chunks)
            left = [chunk for chunk in chunks if chunk.state in OPEN_STATES and chunk.tag not in unknown]
            if not self.send or over_budget is not None:
                left = [chunk for chunk in left if chunk.state == "sent"]
            if over_budget is not None and not (left and self.wait):
                raise over_budget
            if not left and unknown:
                raise next(iter(unknown.values()))
            if not left or not self.wait:
                return
            self.retry.sleep(next(pauses))
            self._renew()

    def _look_at_sent(self, sequence: int, submission: Submission) -> dict[str, JobNotFound]:
        """Ask for all jobs that were sent, and return the errors of those that the service does not know, by tag."""
        unknown: dict[str, JobNotFound] = {}
        for chunk in self._chunks(sequence, "sent"):
            try:
                self._look(chunk, submission)
            except JobNotFound as error:
                unknown[chunk.tag] = error
        return unknown

    def _send_missing(self, sequence: int, submission: Submission) -> None:
        while missing := self._chunks(sequence, "planned", "sending"):
            for chunk in missing:
                if chunk.state == "sending" and self._adopt(chunk):
                    continue
                if not self.send:
                    return
                self._send(chunk, split.take(submission, chunk.parts))
                if not self.service.keeps_jobs:  # its results are safe only once they are written
                    self._look_at_sent(sequence, submission)
                self._watch(self.store.chunks(self.run_id, sequence))

    def _send(self, chunk: Chunk, part: Submission) -> None:
        """Send one chunk, however many replies are lost on the way."""
        budget = self.store.run(self.run_id).budget
        pauses, seconds = self.retry.pauses(), budget.seconds_of(part, self.service)
        for attempt in range(1, self.retry.attempts + 1):
            self._renew()
            if not self.store.begin_sending(chunk.tag, self._owner, now=self._now(), seconds=seconds):
                self.store.set_ended(chunk.tag, "cancelled", "before it was sent", now=self._now())
                return
            try:
                job_id = self.service.submit(part, (chunk.tag, *self._tags))
            except SubmissionTooLarge as error:
                self._halve(chunk, error)
                return
            except TRANSIENT as error:
                if attempt == self.retry.attempts:
                    raise self.retry.give_up(error) from error
                self.retry.sleep(next(pauses))
                chunk = self.store.chunk(chunk.tag)
                if chunk.state == "sending" and self._adopt(chunk):
                    return
            except JobError as error:
                self.store.set_ended(chunk.tag, "failed", f"{self.service.name} refused it: {error}", now=self._now())
                return
            else:
                self._keep(chunk, job_id)
                return

    def _adopt(self, chunk: Chunk) -> bool:
        """Find and keep the job of a chunk whose reply was lost; False if there is none."""
        job_ids = find_patiently(self.service, chunk, self.retry)
        if not job_ids:
            return False
        ranks = {"done": 0, "running": 1, "queued": 2, "failed": 3, "cancelled": 4}
        best, *others = sorted(job_ids, key=lambda job_id: ranks[self.retry.call(self.service.status, job_id)])
        for job_id in others:
            self.retry.call(self.service.cancel, job_id)
        self._keep(chunk, best)
        return True

    def _keep(self, chunk: Chunk, job_id: str) -> None:
        """Store the job's id; stop the job if its chunk was cancelled or has another job by now."""
        kept = self.store.set_sent(chunk.tag, job_id, now=self._now())
        if not kept and self.store.chunk(chunk.tag).job_id != job_id:
            self.store.note_job(chunk.tag, job_id)
            self.retry.call(self.service.cancel, job_id)

    def _halve(self, chunk: Chunk, error: SubmissionTooLarge) -> None:
        halves = split.halve(chunk.parts)
        if halves is None:
            reason = f"{self.service.name} refuses the size of a single row: {error}"
            self.store.set_ended(chunk.tag, "failed", reason, now=self._now())
            return
        self.store.replace(self.store.chunk(chunk.tag), halves, f"too large: {error}", now=self._now())

    def _look(self, chunk: Chunk, submission: Submission) -> None:
        """Ask for one job, and keep its results if it has ended."""
        job_id = chunk.job_id or ""
        if chunk.has_reply:  # stored by a process that ended before it had checked the reply
            self._digest(chunk, submission)
            return
        # A service whose jobs die with its process may give their ids to other jobs, but never their tags.
        if not self.service.keeps_jobs and job_id not in self.retry.call(self.service.find, chunk.tag):
            self.store.plan_again(chunk.tag, now=self._now())
            return
        try:
            status = self.retry.call(self.service.status, job_id)
        except JobNotFound as error:
            raise JobNotFound(
                f"Job {job_id} is unknown to {self.service.name} ({error}). Check the account; if the job was "
                f"deleted, `qml jobs cancel` and `qml jobs resume --again` send it once more, at its price."
            ) from error
        if status == "cancelled":
            self.store.set_ended(chunk.tag, "cancelled", f"job {job_id} was cancelled", now=self._now())
        elif status in ("done", "failed"):
            self._fetch(chunk, job_id, submission)

    def _fetch(self, chunk: Chunk, job_id: str, submission: Submission) -> None:
        """Fetch the reply, and store it before anything is done with it: there may be no second one."""
        self.store.require_space(split.result_bytes(split.take(submission, chunk.parts)))
        try:
            reply = self.retry.call(self.service.result, job_id)
        except JobFailed as error:
            self.store.set_ended(chunk.tag, "failed", f"job {job_id}: {error}", now=self._now())
        else:
            self._patiently(self.store.set_reply, chunk.tag, codec.pack_results(reply))
            self._digest(chunk, submission)

    def _digest(self, chunk: Chunk, submission: Submission) -> None:
        """Turn a stored reply into results, or store the reason why it is none."""
        part, reply = split.take(submission, chunk.parts), self.store.reply(chunk.tag)
        if reply is None:  # another process was faster
            return
        try:
            results = answers.checked(part, codec.unpack_results(reply))
        except JobFailed as error:
            reason = f"job {chunk.job_id}: {error} {_reply_is_kept(self.run_id)}"
            self.store.set_ended(chunk.tag, "failed", reason, now=self._now())
        else:
            self._patiently(self.store.set_done, chunk.tag, codec.pack_results(results), now=self._now())

    def _patiently(self, write: Callable[..., None], *arguments: object, **options: object) -> None:
        """Write results even if the disk is full for a while: the service may not return them again."""
        for pause in islice(self.retry.pauses(), self.retry.attempts - 1):
            try:
                write(*arguments, **options)
            except StoreError:
                self.retry.sleep(pause)
            else:
                return
        write(*arguments, **options)

    def _gather(self, sequence: int, submission: Submission) -> list[PubResult]:
        pieces = self._results(sequence, submission)
        chunks = self.store.chunks(self.run_id, sequence)
        bad = [chunk for chunk in chunks if chunk.state in ("failed", "cancelled")]
        n_done = sum(chunk.state == "done" for chunk in chunks)
        where = f"{n_done} of {len(chunks)} jobs of submission {sequence} of run {self.run_id} have results"
        if len(bad) + n_done < len(chunks):
            raise JobPending(f"Only {where} so far. Use `qml jobs resume` to wait for the others.")
        if bad:
            reasons = "; ".join(f"{chunk.state}: {chunk.reason}" for chunk in bad[:REASONS_SHOWN])
            raise JobFailed(
                f"Only {where}, which are kept ({reasons}). `qml jobs resume --again` sends the others once more."
            )
        return split.assemble(submission, pieces)

    def _results(self, sequence: int, submission: Submission) -> list[tuple[split.Parts, list[PubResult]]]:
        """Return the stored results; those of an earlier version that fail the checks are refused, and kept."""
        pieces = []
        for chunk in self._chunks(sequence, "done"):
            results, part = codec.unpack_results(self._stored(chunk.tag)), split.take(submission, chunk.parts)
            try:
                pieces.append((chunk.parts, answers.checked(part, results)))
            except JobFailed as error:
                reason = f"job {chunk.job_id}: {error} {_reply_is_kept(self.run_id)}"
                self.store.set_refused(chunk.tag, reason, now=self._now())
        return pieces

    def _stored(self, tag: str) -> bytes:
        try:
            return self.store.results(tag)
        except ValueError as error:  # a table that does not agree with its index
            raise codec.damaged(error) from error

    def _chunks(self, sequence: int, *states: str) -> list[Chunk]:
        chunks = self.store.chunks(self.run_id, sequence)
        return [chunk for chunk in chunks if not states or chunk.state in states]

    def _now(self) -> float:
        return self.retry.clock()

    @contextmanager
    def _claimed(self) -> Iterator[None]:
        """Claim the run for this process alone; wait while another one has it."""
        pauses = self.retry.pauses(self.retry.poll)
        while (holder := self._claim()) is not None:
            if self._has_lapsed(holder):
                continue
            if not self.wait:
                raise JobPending(f"Run {self.run_id} is being worked on by {describe(holder)}.")
            self._watch(self.store.chunks(self.run_id))
            self.retry.sleep(next(pauses))
        try:
            yield
        finally:
            self.store.release(self.run_id, self._owner)

    def _claim(self) -> str | None:
        return self.store.claim(self.run_id, self._owner, now=self._now(), lease=LEASE_SECONDS, watched=self._watched)

    def _has_lapsed(self, holder: str) -> bool:
        """Tell whether an owner on another machine lets a lease lapse, over by this clock, while it is watched."""
        lease = self.store.lease(self.run_id)
        if not is_elsewhere(holder) or lease is None or lease >= self._now() or lease == self._watched:
            return False
        self.retry.sleep(self.retry.settle)
        self._watched = lease
        return self.store.lease(self.run_id) == lease

    def _renew(self) -> None:
        if (holder := self._claim()) is not None:
            raise JobError(f"Run {self.run_id} was taken over by {describe(holder)}. Results will be in the store.")


def runner_of(service: Service, run_id: str | None, backend: str) -> DurableRunner:
    """Return a runner of a run in the user's records: that of the name, or a new one where the name is new or None.

    Raises:
        ValueError: the name is one of a run on another backend.
    """
    store, run_id = Store(), run_id or f"qml-{uuid.uuid4().hex}"
    earlier = [run for run in store.runs() if run.run_id == run_id]
    if not earlier:
        store.add_run(run_id, now=time.time(), backend=backend)
    elif earlier[0].backend != backend:
        raise ValueError(
            f"Argument `run_id` must be a run of {backend}, but {run_id!r} is one of {earlier[0].backend}. Take "
            "another name."
        )
    return DurableRunner(service, store, run_id)


def _reply_is_kept(run_id: str) -> str:
    return f"The reply is kept: `qml jobs replies {run_id} --out FILE.npz` writes it."
