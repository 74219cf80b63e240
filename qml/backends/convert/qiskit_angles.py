"""Readings of Qiskit's parameter expressions and Pauli evolutions, for which Qiskit need not be imported."""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from operator import methodcaller
from typing import Any

import numpy as np

from circuits import Polynomial, Slot, gates, steps
from circuits.functions import FUNCTIONS
from circuits.polynomials import function_of, power_of
from circuits.steps import LinearAngle, LinearStep

NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "Abs": "abs"}  # of sympy's functions
JOINS: dict[str, Callable[[list[Polynomial]], Polynomial]] = {
    "Add": lambda parts: sum(parts, Polynomial(())),
    "Mul": lambda parts: math.prod(parts, start=Polynomial.of(1.0)),
    "Pow": lambda parts: power_of(*parts),
    **dict.fromkeys(("conjugate", "re"), lambda parts: parts[0]),  # of real numbers
}


def linear_angle(value: Any, slots: dict[Any, Slot]) -> LinearAngle | None:
    """Return an expression as a constant and multiples of parameters; None where it is not linear, or may not be."""
    terms = []
    for parameter in value.parameters:
        try:
            slope = value.gradient(parameter)
        except RuntimeError:  # of a function that has no derivative in Qiskit, such as sign(x)
            return None
        if hasattr(slope, "parameters"):
            return None
        if float(slope) != 0.0:
            terms.append((slots[parameter], float(slope)))
    constant = float(value.bind(dict.fromkeys(value.parameters, 0.0)))
    return LinearAngle(constant, tuple(sorted(terms, key=lambda term: (term[0].kind, term[0].index))))


def polynomial(value: Any, slots: dict[Any, Slot]) -> Polynomial:
    """Return an expression as a polynomial of parameters and of functions of them.

    Raises:
        ValueError: a function that polynomials do not hold, a number that is not real and finite, a degree above 32.
    """
    names = {parameter.name: slot for parameter, slot in slots.items()}
    node = sympified(value)
    try:
        return _expanded(node, names)
    except ValueError as error:
        raise ValueError(
            f"Argument `circuit` must have angles made of sums, products, powers and {', '.join(FUNCTIONS)} of its "
            f"parameters, but has {value}. Compute the angle outside, and give the circuit one parameter for it."
        ) from error


def sympified(expression: Any) -> Any:
    """Return an expression as one of sympy; Qiskit cannot write a number to the power of a parameter so."""
    try:
        node = expression.sympify()
    except TypeError:
        node = NotImplemented
    if node is NotImplemented:
        raise ValueError(
            f"Argument `circuit` must have angles that sympy can read from Qiskit, but has {expression}. Compute the "
            "angle outside, and give the circuit one parameter for it."
        )
    return node


def _expanded(node: Any, names: dict[str, Slot]) -> Polynomial:
    """Return an expression of sympy as a polynomial."""
    kind = type(node).__name__
    if node.is_Symbol:
        return Polynomial.of(names[node.name])
    if node.is_number:
        number = complex(node)
        if number.imag != 0.0:
            raise ValueError(f"{node} is not real.")
        return Polynomial.of(number.real)
    parts = [_expanded(part, names) for part in node.args]
    if kind in JOINS:
        return JOINS[kind](parts)
    return function_of(NAMES.get(kind, kind), parts[0])


def expression_of(polynomial: Polynomial, parameters: Mapping[Slot, Any]) -> Any:
    """Return a polynomial as an expression of Qiskit, or as a number."""
    total: Any = 0.0
    for coefficient, monomial in polynomial.terms:
        term: Any = coefficient
        for variable, exponent in monomial:
            if isinstance(variable, Slot):
                value = parameters[variable]
            else:
                value = WRITTEN[variable.name](expression_of(variable.argument, parameters))
            term = term * value**exponent if exponent > 1 else term * value
        total = total + term
    return total


WRITTEN: dict[str, Callable[[Any], Any]] = {
    "abs": abs, "reciprocal": lambda value: 1 / value, "sqrt": lambda value: value**0.5,
    **{name: methodcaller(name) for name in FUNCTIONS if name not in ("abs", "reciprocal", "sqrt")},
}  # fmt: skip


def control_values(state: Any, n_bits: int) -> list[int]:
    """Return the values of controls, Qiskit's first control the least significant; a whole number by now."""
    return [int(state) >> place & 1 for place in range(n_bits)]


def prepared(amplitudes: list[Any], qubits: list[int]) -> list[LinearStep] | None:
    """Return amplitudes as such; None for labels and integers, which Qiskit's own definition spells out."""
    if len(amplitudes) != 2 ** len(qubits) or not all(isinstance(value, (complex, float)) for value in amplitudes):
        return None
    return [LinearStep(gates.StatePreparation(len(qubits), gates.Array.of(np.array(amplitudes))), tuple(qubits))]


def evolution(op: Any, qubits: list[int], time: LinearAngle) -> list[LinearStep]:
    """Return the rotations of a PauliEvolutionGate whose terms commute."""
    operators = op.operator if isinstance(op.operator, list) else [op.operator]
    terms = [term for operator in operators for term in operator.to_sparse_list()]
    words = [dict(zip(places, letters, strict=True)) for letters, places, _ in terms]
    if not all(_commute(left, right) for left, right in combinations(words, 2)):
        raise refusal(f"{op.name} of terms that do not commute, which Qiskit only approximates,")
    result = []
    for word, (_, _, coefficient) in zip(words, terms, strict=True):
        paulis = {qubits[place]: letter for place, letter in sorted(word.items()) if letter in "XYZ"}
        values = {qubits[place]: int(letter) for place, letter in sorted(word.items()) if letter in "01"}
        if len(paulis) + len(values) != len(word) or abs(complex(coefficient).imag) > 0.0:
            raise refusal(f"{op.name} of {op.operator}")
        factor, angle = complex(coefficient).real, time.scaled(2.0 * complex(coefficient).real)
        gate = gates.PauliRotation("".join(paulis.values()))
        step = LinearStep(gate, tuple(paulis), angles=(angle,))
        if not paulis:
            step = LinearStep(steps.GLOBAL_PHASE, angles=(time.scaled(-factor),))
        result += steps.controlled([step], list(values), values=list(values.values()))
    return result


def _commute(left: dict[int, str], right: dict[int, str]) -> bool:
    clashes = [(left[q], right[q]) for q in left.keys() & right.keys() if left[q] != right[q]]
    clashes = [pair for pair in clashes if not set(pair) <= set("Z01")]
    return not clashes or (len(clashes) % 2 == 0 and set("".join(map("".join, clashes))) <= set("XYZ"))


def refusal(name: str) -> ValueError:
    """Return the error for an instruction that circuits do not know."""
    return ValueError(
        "Argument `circuit` must hold gates, resets, measurements, Kraus instructions and amplitudes only, "
        f"but holds {name}. Decompose it with Qiskit first, or leave it out."
    )


def flattened(data: Any) -> list[Any]:
    """Return parameters, vectors and names, those of lists one after another.

    Raises:
        TypeError: something else.
    """
    if isinstance(data, str) or hasattr(data, "name"):  # a vector is iterable too
        return [data]
    if not isinstance(data, Iterable):
        raise TypeError(
            f"Argument `data` must hold parameters, parameter vectors or their names, but holds a "
            f"{type(data).__name__}. Pass for example data=[parameter]."
        )
    return [item for part in data for item in flattened(part)]
