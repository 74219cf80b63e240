"""Submissions, and jobs that survive the process that sent them."""

from qml.jobs.direct import DirectRunner as DirectRunner
from qml.jobs.errors import JobError as JobError
from qml.jobs.errors import JobFailed as JobFailed
from qml.jobs.errors import JobNotFound as JobNotFound
from qml.jobs.errors import JobPending as JobPending
from qml.jobs.errors import ServiceUnavailable as ServiceUnavailable
from qml.jobs.errors import StoreError as StoreError
from qml.jobs.errors import SubmissionTooLarge as SubmissionTooLarge
from qml.jobs.local import LocalService as LocalService
from qml.jobs.retry import Retry as Retry
from qml.jobs.runner import DurableRunner as DurableRunner
from qml.jobs.runner import cancel_run as cancel_run
from qml.jobs.service import CircuitCost as CircuitCost
from qml.jobs.service import JobStatus as JobStatus
from qml.jobs.service import Runner as Runner
from qml.jobs.service import Service as Service
from qml.jobs.service import SubmittingBackend as SubmittingBackend
from qml.jobs.split import Limits as Limits
from qml.jobs.store import Chunk as Chunk
from qml.jobs.store import Run as Run
from qml.jobs.store import Store as Store
from qml.jobs.submission import PauliSum as PauliSum
from qml.jobs.submission import Pub as Pub
from qml.jobs.submission import PubResult as PubResult
from qml.jobs.submission import Submission as Submission
