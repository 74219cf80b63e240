"""Assertions of the tests. Each has a test in test_helpers.py that it can fail."""

from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from tests import oracle
from tests.strategies import Case

# Rounding of one sum of products in float64, over a few hundred of them.
FLOAT64 = 1e-12
# What is promised for exact backends: design.md, 1e-10 in float64 and 1e-6 in float32.
PROMISED = {torch.float64: 1e-10, torch.float32: 1e-6}
# Post-selection divides by the probability of what is kept, and magnifies rounding by as much.
LEAST_SUCCESS = 1e-2
# Of all statistical tests: how often one fails though nothing is wrong.
FALSE_ALARM_RATE = 1e-6


def assert_close(actual: Any, expected: Any, atol: float) -> None:
    """Equal shapes, and values that differ by at most `atol`; no relative part, so that zeros count too."""
    arrays = [value.detach().cpu().numpy() if isinstance(value, Tensor) else value for value in (actual, expected)]
    arrays = [np.asarray(array) for array in arrays]
    assert arrays[0].shape == arrays[1].shape, f"Mismatched shapes: {arrays[0].shape} and {arrays[1].shape}"
    np.testing.assert_allclose(*arrays, rtol=0, atol=atol)


def assert_fits(counts: np.ndarray, probabilities: np.ndarray) -> None:
    """Counts that a chi-square test does not reject as draws from the probabilities, at FALSE_ALARM_RATE.

    Outcomes expected fewer than 8 times are put together; outcomes of probability 0 must not occur.
    """
    counts, expected = np.asarray(counts, dtype=float), np.asarray(probabilities) * np.sum(counts)
    impossible = counts[expected < 1e-9 * counts.sum()]
    assert not impossible.any(), f"Impossible outcomes occurred {impossible.sum():g} times"
    rare = expected < 8
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], expected[rare].sum())
    counts, expected = counts[expected > 1e-6], expected[expected > 1e-6]
    if len(counts) < 2:
        return
    p_value = stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue
    assert p_value > FALSE_ALARM_RATE, f"Counts do not fit the distribution: p = {p_value:.2g}"


def tolerance(case: Case, dtype: torch.dtype) -> float:
    """The promised tolerance for an observable of norm 1, times what else magnifies rounding.

    That is the largest norm of the observables, and the inverse of the probability that post-selection divides by.
    """
    norms = [sum(abs(coefficient) for coefficient, _ in observable.terms) for observable in case.observables]
    return PROMISED[dtype] * max([1.0, *norms]) / min([1.0, *success(case)])


def success(case: Case) -> list[float]:
    """For each sample, the probability of what the post-selections keep."""
    if all(operation.gate.name != "post_select" for operation in case.circuit.operations):
        return [1.0] * len(case.data)
    return [oracle.success_probability(case.circuit, sample, case.weights) for sample in case.data]


def is_likely(case: Case) -> bool:
    """Whether post-selection keeps enough to compare what is left."""
    return all(probability > LEAST_SUCCESS for probability in success(case))


def rounded(case: Case, dtype: torch.dtype) -> Case:
    """The case with the data and weights that a backend sees in `dtype`."""
    return case._replace(
        **{name: np.asarray(values) for name, values in zip(("data", "weights"), tensors(case, dtype), strict=True)}
    )


def tensors(case: Case, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """The case's data and weights."""
    return torch.tensor(case.data, dtype=dtype), torch.tensor(case.weights, dtype=dtype)
