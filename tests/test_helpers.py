"""The tests' own assertions can fail."""

import numpy as np
import pytest
import torch

from tests.helpers import assert_close, assert_fits


def test_assert_close_sees_a_small_difference() -> None:
    assert_close(torch.ones(2, 3), np.ones((2, 3)), 0.0)
    with pytest.raises(AssertionError, match="Mismatched elements: 1 / 2"):
        assert_close([0.0, 1.0], [0.0, 1.0 + 2e-12], 1e-12)


def test_assert_close_sees_nan() -> None:
    with pytest.raises(AssertionError, match="nan location mismatch"):
        assert_close([0.0, float("nan")], [0.0, 0.0], 1.0)


@pytest.mark.parametrize("shape", [(), (1,), (3, 1), (1, 3)])
def test_assert_close_does_not_broadcast(shape: tuple[int, ...]) -> None:
    with pytest.raises(AssertionError, match="Mismatched shapes"):
        assert_close(np.ones(3), np.ones(shape), 1.0)


def test_assert_fits_accepts_draws_from_the_distribution() -> None:
    probabilities = np.array([0.5, 0.0, 0.3, 0.1999, 0.0001])
    assert_fits(np.random.default_rng(3).multinomial(4000, probabilities), probabilities)


@pytest.mark.parametrize(
    "drawn",
    [[0.3, 0.0, 0.5, 0.2], [0.45, 0.0, 0.35, 0.2], [0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]],
)
def test_assert_fits_sees_another_distribution(drawn: list[float]) -> None:
    counts = np.random.default_rng(3).multinomial(4000, drawn)
    with pytest.raises(AssertionError, match=r"do not fit|Impossible"):
        assert_fits(counts, np.array([0.5, 0.0, 0.3, 0.2]))


def test_assert_fits_sees_one_impossible_outcome() -> None:
    with pytest.raises(AssertionError, match="Impossible outcomes occurred 1 times"):
        assert_fits(np.array([1999, 1, 2000]), np.array([0.5, 0.0, 0.5]))
