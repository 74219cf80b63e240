"""Polynomials in model files: lists of terms, each a coefficient with its variables and their powers."""

from typing import Any

from circuits import Polynomial, Slot
from circuits.polynomials import MAX_NESTING, Function, Variable

JSON = Any


def polynomial_as_json(polynomial: Polynomial) -> JSON:
    """Return a list of pairs (coefficient, variables).

    A variable is ["data", index, power] or ["weight", index, power]; a function is [name, terms, power].
    """
    return [[factor, [[*_named(item), power] for item, power in monomial]] for factor, monomial in polynomial.terms]


def polynomial_from_json(terms: JSON, depth: int = 0) -> Polynomial:
    """Return the polynomial of `polynomial_as_json`.

    Raises:
        ValueError: more functions inside each other than a polynomial may have, or another part that it may not have.
    """
    if depth > MAX_NESTING:
        raise ValueError(f"A polynomial must have at most {MAX_NESTING} functions inside each other, but has more.")

    def variable(name: str, value: JSON) -> Variable:
        return Function(name, polynomial_from_json(value, depth + 1)) if isinstance(value, list) else Slot(name, value)  # pyright: ignore[reportArgumentType]

    return Polynomial(
        tuple((factor, tuple((variable(name, value), power) for name, value, power in term)) for factor, term in terms)
    )


def _named(variable: Variable) -> tuple[str, JSON]:
    if isinstance(variable, Function):
        return variable.name, polynomial_as_json(variable.argument)
    return variable.kind, variable.index
