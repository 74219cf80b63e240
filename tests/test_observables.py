"""The algebra of observables, judged by their matrices."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from circuits import Observable, X, Y, Z, observable, pauli_string
from tests.helpers import FLOAT64, assert_close
from tests.oracle import LETTERS, observable_matrix
from tests.strategies import Case, build, observable_sums


def matrix(value: Observable, n_qubits: int = 3) -> np.ndarray:
    return observable_matrix(value, n_qubits)


def sums() -> st.SearchStrategy[tuple[tuple[float, str], ...]]:
    return observable_sums(3)


def made(terms: tuple[tuple[float, str], ...]) -> Observable:
    case: Case = build((3, 0, None, (), (terms,), 0))
    return case.observables[0]


@given(sums(), sums())
def test_sums_differences_and_multiples_are_those_of_the_matrices(left: Any, right: Any) -> None:
    a, b = made(left), made(right)
    assert_close(matrix(a + b), matrix(a) + matrix(b), FLOAT64)
    assert_close(matrix(a - b), matrix(a) - matrix(b), FLOAT64)
    assert_close(matrix(-a), -matrix(a), FLOAT64)
    assert_close(matrix(a * 1.5), 1.5 * matrix(a), FLOAT64)
    assert_close(matrix(-0.5 * a + 2.0), 2 * np.eye(8) - 0.5 * matrix(a), FLOAT64)
    assert_close(matrix(1.0 - a), np.eye(8) - matrix(a), FLOAT64)


@given(sums(), sums())
def test_products_are_those_of_the_matrices_or_refused(left: Any, right: Any) -> None:
    a, b = made(left), made(right)
    product = matrix(a) @ matrix(b)
    hermitian = np.allclose(product, product.conj().T, atol=1e-12)
    try:
        result = a @ b
    except ValueError as error:
        # Imaginary parts of single terms may cancel in the sum; a product of single strings is refused for a reason.
        assert "real coefficients" in str(error)  # noqa: PT017
        assert not hermitian or len(a.terms) > 1 or len(b.terms) > 1
    else:
        assert_close(matrix(result), product, FLOAT64)


def test_letters_stand_on_their_qubits() -> None:
    assert_close(matrix(X(0) @ Y(2)), np.kron(np.kron(LETTERS["X"], LETTERS["I"]), LETTERS["Y"]), FLOAT64)
    assert X(0) @ Y(2) == pauli_string("XIY") == Y(2) @ X(0)
    assert pauli_string("XY", (2, 0)) == X(2) @ Y(0)
    assert pauli_string("XIZ", (4, 1, 0)) == Z(0) @ X(4)


def test_strings_with_weights_make_a_sum() -> None:
    assert observable({"ZZI": 0.5, "IIX": -1.0}) == 0.5 * (Z(0) @ Z(1)) - X(2)
    assert observable({}) == Observable(())


def test_equal_strings_are_added_up() -> None:
    assert Z(0) + Z(0) == 2.0 * Z(0)
    assert (Z(0) @ Z(0)) == Observable(((1.0, ()),))
    assert X(0) @ X(1) @ X(0) == X(1)


def test_products_multiply_only_equal_or_distinct_letters() -> None:
    with pytest.raises(ValueError, match=r"real coefficients, but a coefficient is \(?[0-9.+-]*1j"):
        X(0) @ Y(0)
    assert (X(0) @ Y(1)) @ (Y(0) @ X(1)) == Z(0) @ Z(1)  # i Z times -i Z


@pytest.mark.parametrize(
    ("value", "qubits", "is_diagonal"),
    [
        (Z(3) @ Z(1), (1, 3), True),
        (Z(0) + X(2), (0, 2), False),
        (Observable(((2.0, ()),)), (), True),
        (0.5 * Z(1) + 3.0, (1,), True),
        (Y(4), (4,), False),
    ],
)
def test_qubits_and_diagonality(value: Observable, qubits: tuple[int, ...], is_diagonal: bool) -> None:
    assert value.qubits == qubits
    assert value.is_diagonal is is_diagonal


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5 * (Z(0) @ Z(1)) - X(2), "0.5*Z0 Z1 - 1*X2"),
        (-Z(0) + 2.0, "-1*Z0 + 2*I"),
        (Observable(()), "0"),
    ],
)
def test_repr_reads_like_the_formula(value: Observable, text: str) -> None:
    assert repr(value) == text


def test_observables_are_values() -> None:
    assert {Z(0): 1}[pauli_string("Z")] == 1
    assert Z(0) != Z(1)
    assert Z(0) != X(0)
    with pytest.raises(AttributeError):
        Z(0).terms = ()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: pauli_string("XQ"), "string over I, X, Y, Z, but is 'XQ'"),
        (lambda: pauli_string(""), "must be a non-empty string"),
        (lambda: pauli_string("XY", (0,)), "must hold 2 qubits for the string 'XY', but holds 1"),
        (lambda: pauli_string("XY", (1, 1)), "must not repeat a qubit"),
        (lambda: Z(-1), "must lie in 0|at least 0"),
        (lambda: float("nan") * Z(0), "finite coefficients, but a coefficient is nan"),
        (lambda: Z(0) + float("inf"), "finite coefficients, but a coefficient is inf"),
        (lambda: observable({"ZA": 1.0}), "string over I, X, Y, Z, but is 'ZA'"),
        (lambda: Observable(((1.0, ((0, "Z"), (0, "X"))),)), "must name a qubit once"),
        (lambda: Observable(((1.0, ((0, "A"),)),)), r"must be \(qubit >= 0, X, Y or Z\), but is \(0, 'A'\)"),
    ],
)
def test_bad_observables_are_refused(act: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        act()
