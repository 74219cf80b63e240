"""Errors of clients that are no part of Qiskit, read as those of `qml.jobs.errors`, which say what may be done next."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from qml.jobs import JobError, JobNotFound, ServiceUnavailable, SubmissionTooLarge

TOO_LARGE_STATUS = (413,)
TRANSIENT_STATUS = (408, 425, 429, 500, 502, 503, 504)
NOT_ACCEPTED_STATUS = (425, 429)
NO_REPLY = frozenset({
    "ConnectionError", "Timeout",  # requests
    "TransportError",  # httpx
    "HTTPClientError",  # botocore, whose EndpointConnectionError and ReadTimeoutError it is the parent of
    "IonQRetriableError",
})  # fmt: skip
"""Names of classes, of libraries that need not be installed, whose errors say that nobody answered."""
MOST_CAUSES = 5  # that are looked through for the reply of a server


class NotAccepted(ServiceUnavailable):
    """The server asks to come back later, and has certainly made no job."""


@contextmanager
def client_errors(what: str) -> Iterator[None]:
    """Raise a client's errors as those of `qml.jobs.errors`, where the server's reply says which; others stay.

    Args:
        what: `"submit"` for a call that sends something, `"job"` for one that asks for a job.
    """
    try:
        yield
    except (JobError, ConnectionError, TimeoutError):
        raise
    except Exception as error:  # code of strangers: the cause is chained
        known = _known(error, what)
        if known is None:
            raise
        raise known(f"{type(error).__name__}: {error}") from error


def _known(error: BaseException, what: str) -> type[JobError] | None:
    """Return the kind of error that the first known cause is."""
    for cause in islice(_causes(error), MOST_CAUSES):
        if NO_REPLY & {kind.__name__ for kind in type(cause).__mro__}:
            return ServiceUnavailable
        status = http_status(cause)
        if status in NOT_ACCEPTED_STATUS:
            return NotAccepted
        if status in TRANSIENT_STATUS:
            return ServiceUnavailable
        if status in TOO_LARGE_STATUS:
            return SubmissionTooLarge
        if 400 <= status < 500:  # the server answered, and has made no job
            return JobNotFound if status == 404 and what == "job" else JobError
    return None


def http_status(error: BaseException) -> int:
    """Return the status of the server's reply that an error carries, 0 where it carries none."""
    response: Any = getattr(error, "response", None)
    found: Any = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    if found is None and isinstance(response, dict):  # botocore
        found = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return found if isinstance(found, int) else 0


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
