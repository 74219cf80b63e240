"""Polynomials in inputs, weights and functions of them: the angles that a circuit does not know how to compute.

A circuit's slot holds an angle. Where that is (pi - x_0)(pi - x_1) or w_0 x_0 + w_1, a polynomial says so, and it is
computed outside the circuit: by `qml.nn.Angles` in torch, by `Polynomial.values` in NumPy. A function of a polynomial,
such as sin(x_0 x_1), counts as one more variable.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

import numpy as np

from circuits import _checks
from circuits.functions import FUNCTIONS, value_of, values_of
from circuits.slots import Slot, data, weight

MAX_DEGREE = 32
MAX_NESTING = 32  # functions inside functions
MAX_SIZE = 10_000  # variables and terms of an expression, repeated parts counted each time
Variable = Union[Slot, "Function"]
Monomial = tuple[tuple[Variable, int], ...]  # ((variable, exponent), ...), sorted; () is 1
Rank = tuple[str, int, tuple[Any, ...]]  # by which variables are sorted


@dataclass(frozen=True)
class Polynomial:
    """A sum of coefficients times products of variables; `data(i)` is the input i, `weight(j)` the weight j.

    Built from `inputs(n)`, `Polynomial.of`, `function_of` and numbers with `+`, `-`, `*`, `/` and `**`.

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
    def of(value: "Polynomial | Variable | float | int") -> "Polynomial":
        """Return a variable or a number as a polynomial."""
        if isinstance(value, Polynomial):
            return value
        if isinstance(value, Slot | Function):
            return Polynomial(((1.0, ((value, 1),)),))
        return Polynomial(((_checks.as_number(value, "value"), ()),))

    @property
    def variables(self) -> frozenset[Slot]:
        """Return the inputs and weights that occur, those in functions included."""
        inner = [function.argument.variables for function in self.functions]
        own = (variable for _, monomial in self.terms for variable, _ in monomial if isinstance(variable, Slot))
        return frozenset(own).union(*inner)

    @property
    def functions(self) -> "tuple[Function, ...]":
        """Return the functions that occur as variables, each once; those inside them are theirs."""
        variables = (variable for _, monomial in self.terms for variable, _ in monomial)
        return tuple(dict.fromkeys(variable for variable in variables if isinstance(variable, Function)))

    @property
    def is_linear(self) -> bool:
        """Return True for a constant and multiples of inputs and weights."""
        return self.degree <= 1 and not self.functions

    @property
    def degree(self) -> int:
        """Return the degree, 0 for a constant; a function counts as a variable."""
        return max([0, *[_degree(monomial) for _, monomial in self.terms]])  # torch.compile knows no `default`

    def substituted(self, values: "Mapping[Slot, Polynomial]") -> "Polynomial":
        """Return the polynomial with other polynomials in place of variables."""
        result = Polynomial(())
        for coefficient, monomial in self.terms:
            product = Polynomial.of(coefficient)
            for variable, exponent in monomial:
                if isinstance(variable, Function):
                    factor = function_of(variable.name, variable.argument.substituted(values))
                else:
                    factor = values.get(variable, Polynomial.of(variable))
                product = product * factor**exponent
            result = result + product
        return result

    def renamed(self, names: Mapping[Slot, Slot]) -> "Polynomial":
        """Return the polynomial with other inputs and weights in place of some."""

        def moved(variable: Variable) -> Variable:
            if isinstance(variable, Function):
                return Function(variable.name, variable.argument.renamed(names))
            return names.get(variable, variable)

        terms = ((coefficient, [(moved(item), power) for item, power in term]) for coefficient, term in self.terms)
        return Polynomial(tuple((coefficient, tuple(term)) for coefficient, term in terms))

    def values(self, inputs: Any, weights: Any = ()) -> np.ndarray:
        """Return the values of shape (...), for inputs of shape (..., n_inputs) and weights of shape (n_weights,).

        Raises:
            ValueError: a function without a real and finite value there, such as log(x0) at 0.
        """
        samples, trained = np.asarray(inputs, dtype=float), np.asarray(weights, dtype=float)
        total = np.zeros(samples.shape[:-1])
        for coefficient, monomial in self.terms:
            product = np.full_like(total, coefficient)
            for variable, exponent in monomial:
                if isinstance(variable, Function):
                    value = variable.values(samples, trained)
                else:
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

    def __truediv__(self, other: "Polynomial | float | int") -> "Polynomial":
        return self * function_of("reciprocal", Polynomial.of(other))

    def __rtruediv__(self, other: float | int) -> "Polynomial":
        return other * function_of("reciprocal", self)

    def __pow__(self, exponent: int) -> "Polynomial":
        result = Polynomial.of(1.0)
        for _ in range(_checks.as_int(exponent, "exponent", minimum=0)):
            result = result * self
        return result

    def __repr__(self) -> str:
        text = ""
        for coefficient, monomial in self.terms:
            ordered = sorted(monomial, key=lambda pair: _rank(pair)[0] == "data")  # w0*x0, as it is said
            names = "*".join(_name(variable) + (f"**{power}" if power > 1 else "") for variable, power in ordered)
            size = abs(coefficient)
            shown = names if names and size == 1.0 else f"{size:.6g}" + (f"*{names}" if names else "")
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} {shown}" if text else f"{'-' if sign == '-' else ''}{shown}"
        return text or "0"


@dataclass(frozen=True)
class Function:
    """A function of a polynomial, which may stand in a polynomial as a variable.

    Args:
        name: sin, cos, tan, arcsin, arccos, arctan, exp, log (the natural one), sqrt, abs or reciprocal.
        argument: of the function.

    Raises:
        ValueError: another name, more than 32 functions inside each other, an expression of more than 10000 parts.
    """

    name: str
    argument: Polynomial
    depth: int = field(init=False, repr=False, compare=False)  # of functions in functions, 1 for one of inputs
    size: int = field(init=False, repr=False, compare=False)
    rank: Rank = field(init=False, repr=False, compare=False)
    _hash: int = field(init=False, repr=False, compare=False)  # of the rank, which takes as long as the expression

    def __post_init__(self) -> None:
        _checks.require_choice(self.name, "name", tuple(FUNCTIONS))
        _checks.require_kind(self.argument, "argument", Polynomial)
        terms = self.argument.terms
        inner = [variable for _, monomial in terms for variable, _ in monomial if isinstance(variable, Function)]
        depth, size = 1 + max([0, *[item.depth for item in inner]]), size_of(self.argument)
        if depth > MAX_NESTING or size > MAX_SIZE:
            found = f"{depth} levels of functions" if depth > MAX_NESTING else f"{size} parts"
            limit = f"at most {MAX_NESTING} functions inside each other and {MAX_SIZE} parts"
            raise ValueError(f"A function in an angle must have {limit}, but has {found}. Compute it outside.")
        ranks = tuple((tuple(_rank(pair) for pair in monomial), number) for number, monomial in terms)
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "size", size)
        object.__setattr__(self, "rank", (f"function {self.name}", 0, ranks))
        object.__setattr__(self, "_hash", hash(self.rank))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> "tuple[type[Function], tuple[str, Polynomial]]":
        return Function, (self.name, self.argument)  # another process hashes texts otherwise

    def values(self, inputs: Any, weights: Any = ()) -> np.ndarray:
        """Return the values; see `Polynomial.values`."""
        return values_of(self.name, self.argument.values(inputs, weights), repr(self))

    def __repr__(self) -> str:
        return f"1/({self.argument!r})" if self.name == "reciprocal" else f"{self.name}({self.argument!r})"


def function_of(name: str, argument: Polynomial | float | int) -> Polynomial:
    """Return a function of a polynomial, or its value where that is a constant.

    Args:
        name: of the function; see `Function`.
        argument: of the function.

    Raises:
        ValueError: as `Function`; a constant at which the function has no real and finite value.

    Example:
        >>> from circuits.polynomials import function_of, inputs
        >>> first, second = inputs(2)
        >>> function_of("sin", first * second) / second
        1/(x1)*sin(x0*x1)
    """
    _checks.require_choice(name, "name", tuple(FUNCTIONS))
    argument = Polynomial.of(argument)
    if not argument.degree:
        return Polynomial.of(value_of(name, argument.terms[0][0] if argument.terms else 0.0))
    return Polynomial.of(Function(name, argument))


def power_of(base: Polynomial, exponent: Polynomial) -> Polynomial:
    """Return a power; one that is not a whole power or a root is exp(exponent * log(base)), of a positive base.

    Raises:
        ValueError: as `function_of`; a degree above 32.
    """
    if exponent.degree:
        return function_of("exp", exponent * function_of("log", base))
    number = exponent.terms[0][0] if exponent.terms else 0.0
    if base.degree and number == round(number) and abs(number) > MAX_DEGREE:
        raise ValueError(f"A power in an angle must be one from -{MAX_DEGREE} to {MAX_DEGREE}, but is {number:g}.")
    if not base.degree and number == round(number) and number < 0:
        return function_of("reciprocal", power_of(base, -exponent))
    if number == round(number) and (base.degree or abs(number) <= MAX_DEGREE):
        return (base if number >= 0 else function_of("reciprocal", base)) ** round(abs(number))
    if 2 * number == round(2 * number) and abs(2 * number) <= MAX_DEGREE:
        root = function_of("sqrt", base)
        return (root if number >= 0 else function_of("reciprocal", root)) ** round(abs(2 * number))
    return function_of("exp", number * function_of("log", base))


def size_of(polynomial: Polynomial) -> int:
    """Return the number of variables and terms, parts that are repeated counted each time."""
    terms = polynomial.terms
    inner = [variable.size for _, monomial in terms for variable, _ in monomial if isinstance(variable, Function)]
    return 1 + sum([1 + len(monomial) for _, monomial in terms]) + sum(inner)


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
    exponents: dict[Variable, int] = {}
    for variable, exponent in monomial:
        if not isinstance(variable, Slot | Function):
            raise TypeError(f"Argument `variable` must be a Slot or a Function, but is {type(variable).__name__}.")
        exponents[variable] = exponents.get(variable, 0) + _checks.as_int(exponent, "exponent", minimum=1)
    result = tuple(sorted(exponents.items(), key=_rank))
    if _degree(result) > MAX_DEGREE:
        raise ValueError(f"A polynomial must have a degree of at most {MAX_DEGREE}, but has {_degree(result)}.")
    return result


def _rank(pair: tuple[Variable, int]) -> tuple[str, int, tuple[Any, ...], int]:
    variable, exponent = pair
    kind, index, inner = variable.rank if isinstance(variable, Function) else (variable.kind, variable.index, ())
    return kind, index, inner, exponent


def _degree(monomial: Monomial) -> int:
    return sum(exponent for _, exponent in monomial)


def _name(variable: Variable) -> str:
    if isinstance(variable, Function):
        return repr(variable)
    return f"{'x' if variable.kind == 'data' else 'w'}{variable.index}"
