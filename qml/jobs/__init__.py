"""Submissions, and jobs that survive the process that sent them."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from qml.jobs.adopt import adopt_job as adopt_job
    from qml.jobs.budget import Budget as Budget
    from qml.jobs.cancel import cancel_run as cancel_run
    from qml.jobs.direct import DirectRunner as DirectRunner
    from qml.jobs.errors import BudgetReached as BudgetReached
    from qml.jobs.errors import JobError as JobError
    from qml.jobs.errors import JobFailed as JobFailed
    from qml.jobs.errors import JobNotFound as JobNotFound
    from qml.jobs.errors import JobPending as JobPending
    from qml.jobs.errors import JobsNotSearchable as JobsNotSearchable
    from qml.jobs.errors import ServiceUnavailable as ServiceUnavailable
    from qml.jobs.errors import StoreError as StoreError
    from qml.jobs.errors import SubmissionTooLarge as SubmissionTooLarge
    from qml.jobs.layout import LayoutReport as LayoutReport
    from qml.jobs.layout import OperationError as OperationError
    from qml.jobs.local import LocalService as LocalService
    from qml.jobs.retry import Retry as Retry
    from qml.jobs.rows import Chunk as Chunk
    from qml.jobs.rows import RunRecord as RunRecord
    from qml.jobs.runner import DurableRunner as DurableRunner
    from qml.jobs.runner import runner_of as runner_of
    from qml.jobs.service import CircuitCost as CircuitCost
    from qml.jobs.service import JobStatus as JobStatus
    from qml.jobs.service import Runner as Runner
    from qml.jobs.service import Service as Service
    from qml.jobs.service import SubmittingBackend as SubmittingBackend
    from qml.jobs.service import sends_jobs as sends_jobs
    from qml.jobs.split import SubmissionLimits as SubmissionLimits
    from qml.jobs.store import Store as Store
    from qml.jobs.submission import PauliSum as PauliSum
    from qml.jobs.submission import Pub as Pub
    from qml.jobs.submission import PubResult as PubResult
    from qml.jobs.submission import Submission as Submission
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "qml.jobs.adopt": ("adopt_job",),
            "qml.jobs.budget": ("Budget",),
            "qml.jobs.cancel": ("cancel_run",),
            "qml.jobs.direct": ("DirectRunner",),
            "qml.jobs.errors": (
                "BudgetReached",
                "JobError",
                "JobFailed",
                "JobNotFound",
                "JobsNotSearchable",
                "JobPending",
                "ServiceUnavailable",
                "StoreError",
                "SubmissionTooLarge",
            ),
            "qml.jobs.layout": ("LayoutReport", "OperationError"),
            "qml.jobs.local": ("LocalService",),
            "qml.jobs.retry": ("Retry",),
            "qml.jobs.rows": ("Chunk", "RunRecord"),
            "qml.jobs.runner": ("DurableRunner", "runner_of"),
            "qml.jobs.service": ("CircuitCost", "JobStatus", "Runner", "Service", "SubmittingBackend", "sends_jobs"),
            "qml.jobs.split": ("SubmissionLimits",),
            "qml.jobs.store": ("Store",),
            "qml.jobs.submission": ("PauliSum", "Pub", "PubResult", "Submission"),
        },
    )
