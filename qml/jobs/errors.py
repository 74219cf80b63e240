"""Errors of jobs. The class of a service's error says what may be done next."""


class JobError(RuntimeError):
    """An error of a job, its service or its records; the parent of all errors here."""


class ServiceUnavailable(JobError):
    """A transient error: no reply, a time-out, too many requests. The same call may be made again."""


class SubmissionTooLarge(JobError):
    """The service refuses the size. Two halves may be sent instead."""


class JobNotFound(JobError):
    """The service knows no job of this id."""


class JobsNotSearchable(JobError):
    """The service cannot find jobs by tags: a job whose id was lost may have been sent, which cannot be told here."""


class JobFailed(JobError):
    """The job ended without results, or its results are no longer handed out; the message says why."""


class JobPending(JobError):
    """Results are not there yet, and nobody was asked to wait for them."""


class BudgetReached(JobError):
    """The run may send no more; what was sent is kept, and the message says how to raise the limit."""


class StoreError(JobError):
    """The file of records cannot be read or written."""
