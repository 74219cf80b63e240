"""Checks of the results that a service returns, before anybody computes with them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from qml.jobs import split
from qml.jobs.errors import JobFailed
from qml.jobs.submission import Pub, PubResult, Submission

# The expectation values of an observable lie within the sum of its absolute weights. Mitigation leaves that interval:
# inverting read-out errors divides by the contrast, and a linear extrapolation to zero noise multiplies by three for
# noise factors 1 and 2. Ten times the interval holds both together; no measurement gives more.
LARGEST_EXCESS = 10.0
ROUNDING = 1e-6  # error of a sum of terms, and imaginary part of a real number that is returned as a complex one


def checked(submission: Submission, results: Sequence[PubResult]) -> list[PubResult]:
    """Return the results in the form of `PubResult`, with the number of shots that was asked for.

    Args:
        submission: the submission that was sent.
        results: the results that the service returned for it.

    Raises:
        JobFailed: results that cannot be those of the submission: another form or shape, NaN or infinity, expectation
            values above ten times the largest that the observable has, negative standard deviations, bits other than 0
            and 1.
    """
    for result in results:
        if not isinstance(result, PubResult):
            raise JobFailed(f"The service must answer with PubResults, but it answered {type(result).__name__}.")
    trimmed = split.trim(submission, results)
    split.require_fit(submission, trimmed)
    estimated = submission.kind == "estimator"
    return [
        _expectations(pub, result, number) if estimated else _bits(result, number)
        for number, (pub, result) in enumerate(zip(submission.pubs, trimmed, strict=True))
    ]


def _expectations(pub: Pub, result: PubResult, number: int) -> PubResult:
    arrays = {
        name: _reals(array, name, number) if name in ("evs", "stds") else array for name, array in result.arrays.items()
    }
    largest = np.array([sum(abs(weight) for _, weight in terms) for terms in pub.observables])
    beyond = np.abs(arrays["evs"]) > LARGEST_EXCESS * largest + ROUNDING
    if beyond.any():
        raise JobFailed(
            f"The expectation values of pub {number} must lie within {LARGEST_EXCESS:g} times those that the "
            f"observable has, but one is {arrays['evs'][beyond][0]:g} for an observable of at most "
            f"{np.broadcast_to(largest, beyond.shape)[beyond][0]:g}."
        )
    if "stds" in arrays and (arrays["stds"] < 0.0).any():
        raise JobFailed(
            f"The standard deviations of pub {number} must not be negative, but one is {arrays['stds'].min():g}."
        )
    return replace(result, arrays=arrays)


def _reals(values: np.ndarray, name: str, number: int) -> np.ndarray:
    """Return finite numbers as float64, complex ones among them if their imaginary parts are rounding errors."""
    array: Any = np.asarray(values)
    if array.dtype.kind not in "iufc":
        raise JobFailed(f"The answer to pub {number} must hold real numbers, but `{name}` holds {array.dtype}.")
    # An extrapolation through as many points as it has parameters has no deviation; services return infinity then.
    known = ~np.isnan(array) if name == "stds" else np.isfinite(array)
    if not known.all():
        raise JobFailed(f"The answer to pub {number} must be finite, but `{name}` holds NaN or infinity.")
    if array.dtype.kind == "c" and (np.abs(array.imag) > ROUNDING).any():
        raise JobFailed(f"The answer to pub {number} must be real, but `{name}` has imaginary parts.")
    return array.real.astype(np.float64)


def _bits(result: PubResult, number: int) -> PubResult:
    for name, values in result.arrays.items():
        array = np.asarray(values)
        unsigned = array.dtype.kind in ("b", "u") and array.size
        fits = array.max() <= 1 if unsigned else array.dtype.kind in "buif" and ((array == 0) | (array == 1)).all()
        if not fits:
            raise JobFailed(f"The answer to pub {number} must hold bits, 0 or 1, but `{name}` holds other values.")
    return replace(
        result, arrays={name: np.asarray(values).astype(np.uint8, copy=False) for name, values in result.arrays.items()}
    )
