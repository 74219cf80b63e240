"""Division of a submission into chunks that a service takes, and assembly of their results."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from circuits.plain_checks import as_int
from qml.jobs.errors import JobFailed
from qml.jobs.submission import Pub, PubResult, Submission


class Part(NamedTuple):
    """A range of rows, `start` to `stop`, of pub number `pub`."""

    pub: int
    start: int
    stop: int


Parts = tuple[Part, ...]


@dataclass(frozen=True)
class SubmissionLimits:
    """Limits of the size of one job. If a service refuses that size nevertheless, two halves are sent.

    Args:
        payload: most bytes of circuits and parameter values.
        executions: most runs of circuits, all shots counted.

    Raises:
        TypeError: limits that are no ints.
        ValueError: limits below 1.
    """

    payload: int = 20_000_000
    executions: int = 10_000_000

    def __post_init__(self) -> None:
        for name in ("payload", "executions"):
            object.__setattr__(self, name, as_int(getattr(self, name), name, 1))


UNLIMITED = SubmissionLimits(payload=sys.maxsize, executions=sys.maxsize)


def plan(submission: Submission, limits: SubmissionLimits) -> list[Parts]:
    """Divide a submission into chunks within the limits, filling one after another in the order of the pubs.

    Raises:
        ValueError: a single row that is already over a limit.
    """
    chunks: list[list[Part]] = [[]]
    payload, executions = limits.payload, limits.executions
    for number, pub in enumerate(submission.pubs):
        per_row = executions_of_row(pub, submission)
        fixed, row_bytes = fixed_bytes(pub), max(1, pub.values[:1].nbytes)
        if per_row > limits.executions or fixed + row_bytes > limits.payload:
            raise ValueError(
                f"One row of a circuit must fit into a job of {limits.executions} executions and {limits.payload} "
                f"bytes, but pub {number} needs {per_row} and {fixed + row_bytes}. Lower shots or raise limits."
            )
        start, n_rows = 0, len(pub.values)
        while start < n_rows:
            n_fitting = min(executions // per_row, (payload - fixed) // row_bytes, n_rows - start)
            if n_fitting < 1:
                chunks.append([])
                payload, executions = limits.payload, limits.executions
                continue
            chunks[-1].append(Part(number, start, start + n_fitting))
            payload, executions = payload - fixed - n_fitting * row_bytes, executions - n_fitting * per_row
            start += n_fitting
    return [tuple(chunk) for chunk in chunks]


def take(submission: Submission, parts: Parts) -> Submission:
    """Return the submission of these rows only."""
    pubs = tuple(
        replace(submission.pubs[part.pub], values=submission.pubs[part.pub].values[part.start : part.stop])
        for part in parts
    )
    return replace(submission, pubs=pubs)


def halve(parts: Parts) -> tuple[Parts, Parts] | None:
    """Cut a chunk into two of half the rows each; return None for a single row."""
    n_rows = sum(part.stop - part.start for part in parts)
    if n_rows < 2:
        return None
    first, second, left = [], [], n_rows // 2
    for part in parts:
        cut = min(part.stop, part.start + left)
        left -= cut - part.start
        if cut > part.start:
            first.append(Part(part.pub, part.start, cut))
        if part.stop > cut:
            second.append(Part(part.pub, cut, part.stop))
    return tuple(first), tuple(second)


def assemble(submission: Submission, chunks: Sequence[tuple[Parts, Sequence[PubResult]]]) -> list[PubResult]:
    """Join results of chunks, in any order, into those of whole pubs, with the submission's options."""
    pieces: dict[int, list[tuple[int, PubResult]]] = {number: [] for number in range(len(submission.pubs))}
    for parts, results in chunks:
        for part, result in zip(parts, results, strict=True):
            pieces[part.pub].append((part.start, result))
    ordered = ([piece for _, piece in sorted(of_pub, key=lambda pair: pair[0])] for of_pub in pieces.values())
    return with_options(submission, [_join(of_pub) for of_pub in ordered])


def with_options(submission: Submission, results: Sequence[PubResult]) -> list[PubResult]:
    """Return the results with the submission's options in their metadata, as no service tells all of them."""
    options = dict(submission.options)
    return [replace(result, metadata={**result.metadata, "options": options}) for result in results]


def trim(submission: Submission, results: Sequence[PubResult]) -> list[PubResult]:
    """Remove shots of a sampler that were not asked for: twirling rounds their number up."""
    if submission.kind == "estimator" or len(results) != len(submission.pubs):
        return list(results)
    return [
        replace(
            result,
            arrays={
                name: bits[:, : pub.shots] if np.ndim(bits) > 1 else bits  # another form is refused by `require_fit`
                for name, bits in result.arrays.items()
            },
        )
        for pub, result in zip(submission.pubs, results, strict=True)
    ]


def require_fit(submission: Submission, results: Sequence[PubResult]) -> None:
    """Refuse results that cannot be those of the submission.

    Raises:
        JobFailed: another number of pubs, of rows, of observables or of shots.
    """
    if len(results) != len(submission.pubs):
        raise JobFailed(f"The service must answer {len(submission.pubs)} pubs, but it answered {len(results)}.")
    estimated = submission.kind == "estimator"
    for number, (pub, result) in enumerate(zip(submission.pubs, results, strict=True)):
        second = len(pub.observables) if estimated else pub.shots
        shapes = {name: np.shape(array) for name, array in result.arrays.items()}
        if not shapes or (estimated and "evs" not in shapes):
            raise JobFailed(f"The service must answer pub {number} with values, but it answered {sorted(shapes)}.")
        for name, shape in shapes.items():
            exact = {"evs": 2, "stds": 2}.get(name, len(shape)) if estimated else 3
            if shape[:2] != (len(pub.values), second) or len(shape) != exact:
                more = "" if estimated else ", bits"
                raise JobFailed(
                    f"The answer to pub {number} must have shape ({len(pub.values)}, {second}{more}), but `{name}` has "
                    f"shape {shape}."
                )


def result_bytes(submission: Submission) -> int:
    """Return an upper bound of the bytes of the results; a register counts as 64 bits long."""
    sizes = (
        len(pub.values) * (16 * len(pub.observables) if submission.kind == "estimator" else 64 * (pub.shots or 1))
        for pub in submission.pubs
    )
    return sum(sizes)


def executions_of_row(pub: Pub, submission: Submission) -> int:
    """Return the runs of the circuit for one row: shots times measurement settings, times those of mitigation."""
    settings = max(1, n_settings(pub)) if submission.kind == "estimator" else 1
    return (pub.shots or 1) * settings * submission.overhead


def n_settings(pub: Pub) -> int:
    """Count the measurement settings that read all Pauli strings, grouped greedily if they agree on each qubit."""
    settings: list[dict[int, str]] = []
    labels = {label for terms in pub.observables for label, _ in terms}
    for label in sorted(labels):
        letters = {place: letter for place, letter in enumerate(label) if letter != "I"}
        for setting in settings:
            if all(setting.get(place, letter) == letter for place, letter in letters.items()):
                setting.update(letters)
                break
        else:
            if letters:
                settings.append(letters)
    return len(settings)


def fixed_bytes(pub: Pub) -> int:
    """Return the bytes of a pub without its values."""
    return len(pub.circuit) + sum(len(label) + 8 for terms in pub.observables for label, _ in terms)


def _join(results: Sequence[PubResult]) -> PubResult:
    if len(results) == 1:
        return results[0]
    names = [name for name in results[0].arrays if all(name in result.arrays for result in results)]
    arrays = {name: np.concatenate([result.arrays[name] for result in results]) for name in names}
    same = all(result.metadata == results[0].metadata for result in results)
    return PubResult(arrays, results[0].metadata if same else {"chunks": [dict(result.metadata) for result in results]})
