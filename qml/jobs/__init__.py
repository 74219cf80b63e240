"""Submissions, and jobs that survive the process that sent them."""

from qml.jobs.direct import DirectRunner as DirectRunner
from qml.jobs.errors import JobError as JobError
from qml.jobs.errors import JobFailed as JobFailed
from qml.jobs.errors import JobNotFound as JobNotFound
from qml.jobs.errors import ServiceUnavailable as ServiceUnavailable
from qml.jobs.errors import StoreError as StoreError
from qml.jobs.errors import SubmissionTooLarge as SubmissionTooLarge
from qml.jobs.service import CircuitCost as CircuitCost
from qml.jobs.service import JobStatus as JobStatus
from qml.jobs.service import Runner as Runner
from qml.jobs.service import Service as Service
from qml.jobs.service import SubmittingBackend as SubmittingBackend
from qml.jobs.submission import PauliSum as PauliSum
from qml.jobs.submission import Pub as Pub
from qml.jobs.submission import PubResult as PubResult
from qml.jobs.submission import Submission as Submission
