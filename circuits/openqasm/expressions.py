"""Computed angles as OpenQASM expressions."""

from collections.abc import Mapping

from circuits.computed import ComputedCircuit
from circuits.polynomials import Polynomial, Variable
from circuits.slots import Slot


def slot_names(circuit: ComputedCircuit) -> dict[Slot, str]:
    """Return what stands for each slot of a circuit: an expression of inputs and weights, by their common numbers.

    Raises:
        ValueError: a function that the language does not have.
    """
    names = {Slot("data", k): f"data_{k}" for k in range(circuit.n_inputs)}
    names |= {Slot("weight", k): f"weight_{number}" for k, number in enumerate(circuit.angle_weights)}
    own = {Slot("weight", k): f"weight_{number}" for k, number in enumerate(circuit.circuit_weights)}
    return own | {Slot("data", k): f"({_text(angle, names)})" for k, angle in enumerate(circuit.angles)}


def _text(polynomial: Polynomial, names: Mapping[Slot, str]) -> str:
    terms = []
    for coefficient, monomial in polynomial.terms:
        factors = [
            _variable(variable, names) + (f"**{exponent}" if exponent > 1 else "") for variable, exponent in monomial
        ]
        terms.append("*".join([repr(coefficient), *factors] if coefficient != 1.0 or not factors else factors))
    return " + ".join(terms) or "0.0"


def _variable(variable: Variable, names: Mapping[Slot, str]) -> str:
    if isinstance(variable, Slot):
        return names[variable]
    argument = _text(variable.argument, names)
    if variable.name == "abs":
        raise ValueError(
            f"Argument `circuit` must have angles of functions that OpenQASM has, but has {variable!r}. Write "
            "sqrt(x**2) for abs(x) where x is not 0."
        )
    return f"(1/({argument}))" if variable.name == "reciprocal" else f"{variable.name}({argument})"
