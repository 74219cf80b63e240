"""Polynomials in inputs and weights: the angles that a circuit does not know how to compute.

A circuit's slot holds an angle. Where that is (pi - x_0)(pi - x_1) or w_0 x_0 + w_1, a polynomial says so, and it is
computed outside the circuit: by `qml.nn.Angles` in torch, by `Polynomial.values` in NumPy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from circuits import _checks
from circuits.slots import Slot, data, weight

MAX_DEGREE = 32
Monomial = tuple[tuple[Slot, int], ...]  # ((variable, exponent), ...), sorted; () is 1


@dataclass(frozen=True)
class Polynomial:
    """A sum of coefficients times products of variables; `data(i)` is the input i, `weight(j)` the weight j.

    Built from `inputs(n)`, `Polynomial.of` and numbers with `+`, `-`, `*` and `**`.

    Args:
        terms: pairs (coefficient, ((variable, exponent), ...)); equal monomials are added up.

    Raises:
        ValueError: a coefficient that is not finite, an exponent below 1, a degree above 32.

    Example:
        >>> from circuits.polynomials import inputs
        >>> first, second = inputs(2)
        >>> (3.0 - first) * (3.0 - second)
        9 - 3*x0 - 3*x1 + x0*x1
    """

    terms: tuple[tuple[float, Monomial], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", _merged(self.terms))

    @staticmethod
    def of(value: "Polynomial | Slot | float | int") -> "Polynomial":
        """Return a variable or a number as a polynomial."""
        if isinstance(value, Polynomial):
            return value
        return Polynomial(
            ((1.0, ((value, 1),)) if isinstance(value, Slot) else (_checks.as_number(value, "value"), ()),)
        )

    @property
    def variables(self) -> frozenset[Slot]:
        """Return the inputs and weights that occur."""
        return frozenset(variable for _, monomial in self.terms for variable, _ in monomial)

    @property
    def degree(self) -> int:
        """Return the degree, 0 for a constant."""
        return max([0, *[_degree(monomial) for _, monomial in self.terms]])  # torch.compile knows no `default`

    def substituted(self, values: "Mapping[Slot, Polynomial]") -> "Polynomial":
        """Return the polynomial with other polynomials in place of variables."""
        result = Polynomial(())
        for coefficient, monomial in self.terms:
            product = Polynomial.of(coefficient)
            for variable, exponent in monomial:
                product = product * values.get(variable, Polynomial.of(variable)) ** exponent
            result = result + product
        return result

    def values(self, inputs: Any, weights: Any = ()) -> np.ndarray:
        """Return the values of shape (...), for inputs of shape (..., n_inputs) and weights of shape (n_weights,)."""
        samples, trained = np.asarray(inputs, dtype=float), np.asarray(weights, dtype=float)
        total = np.zeros(samples.shape[:-1])
        for coefficient, monomial in self.terms:
            product = np.full_like(total, coefficient)
            for variable, exponent in monomial:
                value = samples[..., variable.index] if variable.kind == "data" else trained[variable.index]
                product = product * value**exponent
            total = total + product
        return np.asarray(total)

    def __add__(self, other: "Polynomial | float | int") -> "Polynomial":
        return Polynomial((*self.terms, *Polynomial.of(other).terms))

    __radd__ = __add__

    def __neg__(self) -> "Polynomial":
        return self * -1.0

    def __sub__(self, other: "Polynomial | float | int") -> "Polynomial":
        return self + Polynomial.of(other) * -1.0

    def __rsub__(self, other: float | int) -> "Polynomial":
        return Polynomial.of(other) - self

    def __mul__(self, other: "Polynomial | float | int") -> "Polynomial":
        pairs = ((left, right) for left in self.terms for right in Polynomial.of(other).terms)
        return Polynomial(tuple((left[0] * right[0], left[1] + right[1]) for left, right in pairs))

    __rmul__ = __mul__

    def __pow__(self, exponent: int) -> "Polynomial":
        result = Polynomial.of(1.0)
        for _ in range(_checks.as_int(exponent, "exponent", minimum=0)):
            result = result * self
        return result

    def __repr__(self) -> str:
        text = ""
        for coefficient, monomial in self.terms:
            ordered = sorted(monomial, key=lambda pair: pair[0].kind == "data")  # w0*x0, as it is said
            names = "*".join(_name(variable) + (f"**{power}" if power > 1 else "") for variable, power in ordered)
            size = abs(coefficient)
            shown = names if names and size == 1.0 else f"{size:.6g}" + (f"*{names}" if names else "")
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} {shown}" if text else f"{'-' if sign == '-' else ''}{shown}"
        return text or "0"


def inputs(n_inputs: int) -> tuple[Polynomial, ...]:
    """Return the inputs x_0..x_{n-1} as polynomials."""
    return tuple(Polynomial.of(data(index)) for index in range(_checks.as_int(n_inputs, "n_inputs", minimum=1)))


def affine(n_inputs: int) -> tuple[Polynomial, ...]:
    """Return w_k x_k + w_{n+k} for each input k, with 2 n weights: a trained scale and offset of each input."""
    shifted = inputs(n_inputs)
    return tuple(weight_of(k) * value + weight_of(n_inputs + k) for k, value in enumerate(shifted))


def weight_of(index: int) -> Polynomial:
    """Return the weight w_index as a polynomial."""
    return Polynomial.of(weight(index))


def _merged(terms: Iterable[tuple[float, Monomial]]) -> tuple[tuple[float, Monomial], ...]:
    sums: dict[Monomial, float] = {}
    for coefficient, monomial in terms:
        key = _ordered(monomial)
        sums[key] = sums.get(key, 0.0) + _checks.as_number(coefficient, "coefficient")
    kept = [(_checks.as_number(value, "coefficient"), key) for key, value in sums.items() if value != 0.0]
    return tuple(sorted(kept, key=lambda term: (_degree(term[1]), [_rank(pair) for pair in term[1]])))


def _ordered(monomial: Monomial) -> Monomial:
    exponents: dict[Slot, int] = {}
    for variable, exponent in monomial:
        _checks.require_kind(variable, "variable", Slot)
        exponents[variable] = exponents.get(variable, 0) + _checks.as_int(exponent, "exponent", minimum=1)
    result = tuple(sorted(exponents.items(), key=_rank))
    if _degree(result) > MAX_DEGREE:
        raise ValueError(f"A polynomial must have a degree of at most {MAX_DEGREE}, but has {_degree(result)}.")
    return result


def _rank(pair: tuple[Slot, int]) -> tuple[str, int, int]:
    return pair[0].kind, pair[0].index, pair[1]


def _degree(monomial: Monomial) -> int:
    return sum(exponent for _, exponent in monomial)


def _name(variable: Slot) -> str:
    return f"{'x' if variable.kind == 'data' else 'w'}{variable.index}"
