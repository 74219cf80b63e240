"""Submissions, and jobs that survive the process that sent them."""

from qml.jobs.service import JobStatus as JobStatus
from qml.jobs.service import Runner as Runner
from qml.jobs.service import Service as Service
from qml.jobs.submission import PauliSum as PauliSum
from qml.jobs.submission import Pub as Pub
from qml.jobs.submission import PubResult as PubResult
from qml.jobs.submission import Submission as Submission
