"""The angles of a circuit, computed from inputs: polynomials and functions of them in torch."""

import math
from collections.abc import Sequence
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import ComputedCircuit, Polynomial, Slot
from circuits.polynomials import Function, Variable
from qml import checks
from qml.jets import Jet, JetModule
from qml.nn._angle_functions import applied, applied_to_jet, stages_of
from qml.nn._fixed_tables import WithTables

MAX_TABLE = 2**26  # of factors, padded to the longest polynomial


class Angles(JetModule, WithTables):
    r"""A module that computes polynomials of its inputs, as a circuit's data slots need them.

    A circuit knows only angles. This module stands before it, and computes (pi - x_i)(pi - x_j), products, powers, or
    w x + b with trained w and b, and functions of them such as sin(w x) or 1 / x. `QuantumLayer` takes it as `angles=`.
    A function must have a real and finite value (and derivative, where autograd asks for one) at all inputs; abs has
    the derivative 0 at 0, as in torch.

    Args:
        polynomials: one for each angle, in inputs and in weights numbered from 0; `circuits.polynomials` makes them.
        n_inputs: number of inputs (default: those that occur).
        is_scaled: multiply each angle by a trained factor, 1 at first.
        initial: the first weights of the polynomials (default: uniform in [-pi, pi)).
        device: of the weights.
        dtype: of the weights, float32 or float64.
        generator: for the initial weights; none is seeded globally.

    Shape:
        inputs (..., n_inputs) to (..., len(polynomials)).

    Attributes:
        weights: those of the polynomials, shape (n_weights,).
        scale: the factor of each angle, shape (len(polynomials),); None without `is_scaled`.

    Raises:
        TypeError: something else than polynomials.
        ValueError: an input beyond `n_inputs`, weights that are not numbered from 0, initial weights of another number.

    Example:
        >>> import torch
        >>> from circuits.polynomials import inputs
        >>> from qml.nn import Angles
        >>> first, second = inputs(2)
        >>> Angles([first, 2.0 * first * second])(torch.tensor([[0.5, 3.0]]))
        tensor([[0.5000, 3.0000]])
    """

    weights: nn.Parameter
    scale: nn.Parameter | None

    def __init__(
        self,
        polynomials: Sequence[Polynomial],
        *,
        n_inputs: int | None = None,
        is_scaled: bool = False,
        initial: Sequence[float | int] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_precision(dtype)
        checks.require_generator(generator)
        self.polynomials = tuple(polynomials)
        for polynomial in self.polynomials:
            checks.require_kind(polynomial, "polynomials", Polynomial, " Use circuits.polynomials.inputs.")
        variables = [variable for polynomial in self.polynomials for variable in polynomial.variables]
        used = max((variable.index + 1 for variable in variables if variable.kind == "data"), default=0)
        reason = " The polynomials use so many inputs."
        self.n_inputs = used if n_inputs is None else checks.as_int(n_inputs, "n_inputs", used, reason)
        n_weights = _n_weights(variables)
        self._stages = stages_of(self.polynomials)
        self.initial = None if initial is None else tuple(checks.as_number(value, "initial") for value in initial)
        if self.initial is not None and len(self.initial) != n_weights:
            raise ValueError(f"Argument `initial` must hold {n_weights} weights, but holds {len(self.initial)}.")
        self.is_scaled = checks.as_flag(is_scaled, "is_scaled")
        place: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weights = nn.Parameter(torch.empty(n_weights, **place))
        self.scale = nn.Parameter(torch.empty(len(self.polynomials), **place)) if self.is_scaled else None
        for table in self._tables().values():
            n_terms, degree = _table_shape(table)
            if len(table) * n_terms * degree > MAX_TABLE:
                raise ValueError(
                    f"Argument `polynomials` must fit into a table of {MAX_TABLE} numbers, but needs "
                    f"{len(table)} x {n_terms} x {degree} (angles x terms x degree). Make them shorter."
                )
        self.reset_parameters(generator)

    @property
    def n_angles(self) -> int:
        """Return the number of angles."""
        return len(self.polynomials)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew, or set them to `initial`; set the scale to 1."""
        with torch.no_grad():
            if self.initial is None:
                self.weights.uniform_(-math.pi, math.pi, generator=generator)
            else:
                self.weights.copy_(torch.tensor(self.initial, dtype=self.weights.dtype))
            if self.scale is not None:
                self.scale.fill_(1.0)

    def forward(self, inputs: Float[Tensor, "*batch inputs"] | Jet) -> Float[Tensor, "*batch outputs"] | Jet:
        """Compute the angles; see the class.

        Args:
            inputs: features, or their jet as `qml.pinn` makes it.

        Raises:
            TypeError: inputs that are not a dense tensor of the layer's dtype.
            ValueError: inputs of another shape or device; inputs or weights at which a function has no real and finite
                value, or no derivative where one is asked for. The error names the function.
        """
        if isinstance(inputs, Jet):
            return self._jet(inputs)
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, self.n_inputs, "inputs")
        tables = self.tables_like(inputs)
        parts = [inputs, inputs.new_ones((*inputs.shape[:-1], 1))]
        if len(self.weights):  # else the angles of constant inputs need no gradient
            parts.append(self.weights.expand(*inputs.shape[:-1], -1))
        values = torch.cat(parts, -1)
        for number, stage in enumerate(self._stages):
            arguments = _sums(values, tables, f" {number}").split([len(group) for _, group in stage], -1)
            columns = [applied(name, part, group) for (name, group), part in zip(stage, arguments, strict=True)]
            values = torch.cat([values, *columns], -1)
        angles = _sums(values, tables, "")
        return angles if self.scale is None else angles * self.scale

    def _jet(self, inputs: Jet) -> Jet:
        if inputs.shape[-1] != self.n_inputs or not self.n_inputs or not self.polynomials:
            raise ValueError(
                f"Argument `inputs` must have {self.n_inputs} entries in its last dimension, at least one, but has "
                f"shape {tuple(inputs.shape)}."
            )
        columns = inputs.columns()
        functions: dict[Function, Any] = {}
        for stage in self._stages:
            for function in (function for _, group in stage for function in group):
                functions[function] = applied_to_jet(function, self._jet_of(function.argument, columns, functions))
        angles = [self._jet_of(polynomial, columns, functions) for polynomial in self.polynomials]
        if self.scale is not None:
            angles = [angle * factor for angle, factor in zip(angles, self.scale.unbind(0), strict=True)]
        return cast(Jet, torch.stack(angles, -1))  # pyright: ignore[reportArgumentType]

    def _jet_of(self, polynomial: Polynomial, columns: tuple[Jet, ...], functions: dict[Function, Any]) -> Jet:
        total = columns[0] * 0.0
        for coefficient, monomial in polynomial.terms:
            term: Any = coefficient
            for variable, exponent in monomial:
                if isinstance(variable, Function):
                    value = functions[variable]
                else:
                    value = columns[variable.index] if variable.kind == "data" else self.weights[variable.index]
                term = term * value**exponent
            total = total + term
        return total

    def make_tables(self, like: Tensor) -> dict[str, Tensor]:
        """Return the coefficient of each term of each angle, and for each of its factors where that stands.

        The arguments of functions have tables of their own, with the number of their stage behind the name.
        """
        first = self.n_inputs + 1 + len(self.weights)
        places: dict[Variable, int] = {
            function: first + number
            for number, function in enumerate(item for stage in self._stages for _, group in stage for item in group)
        }
        result: dict[str, Tensor] = {}
        for suffix, polynomials in self._tables().items():
            n_terms, degree = _table_shape(polynomials)
            coefficients = torch.zeros(len(polynomials), n_terms, dtype=torch.float64)
            factors = torch.full((degree, len(polynomials), n_terms), self.n_inputs, dtype=torch.int64)
            for number, polynomial in enumerate(polynomials):
                for term, (coefficient, monomial) in enumerate(polynomial.terms):
                    coefficients[number, term] = coefficient
                    row = 0
                    for variable, exponent in monomial:
                        place = _place(variable, self.n_inputs) if isinstance(variable, Slot) else places[variable]
                        factors[row : row + exponent, number, term] = place
                        row += exponent
            result |= {f"coefficients{suffix}": coefficients.to(like), f"factors{suffix}": factors.to(like.device)}
        return result

    def _tables(self) -> dict[str, tuple[Polynomial, ...]]:
        """Return the polynomials that are computed together, by the names of their tables."""
        stages = {
            f" {number}": tuple(function.argument for _, group in stage for function in group)
            for number, stage in enumerate(self._stages)
        }
        return stages | {"": self.polynomials}

    __prepare_scriptable__ = checks.refuse_scripting

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for device, dtype and generator."""
        names = ("polynomials", "n_inputs", "is_scaled", "initial")
        return {name: getattr(self, name) for name in names}

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"n_inputs={self.n_inputs}, n_angles={self.n_angles}, is_scaled={self.is_scaled}"


def _sums(values: Tensor, tables: dict[str, Tensor], suffix: str) -> Tensor:
    terms = tables[f"coefficients{suffix}"]
    for places in tables[f"factors{suffix}"].unbind(0):
        terms = terms * values[..., places]
    return terms.sum(-1)


def _table_shape(polynomials: Sequence[Polynomial]) -> tuple[int, int]:
    # torch.compile knows no max(..., default=0)
    n_terms = max([0, *[len(polynomial.terms) for polynomial in polynomials]])
    return n_terms, max([1, *[polynomial.degree for polynomial in polynomials]])


def _n_weights(variables: Sequence[Slot]) -> int:
    used = {variable.index for variable in variables if variable.kind == "weight"}
    n_weights = max(used, default=-1) + 1
    if len(used) < n_weights:
        raise ValueError(
            f"Argument `polynomials` must number its weights 0..{n_weights - 1} without gaps, but uses {len(used)} of "
            "them. Renumber the weights."
        )
    return n_weights


def _place(variable: Slot, n_inputs: int) -> int:
    """Return where a variable stands among the inputs, a one and the weights."""
    return variable.index if variable.kind == "data" else n_inputs + 1 + variable.index


def n_angles_of(module: nn.Module) -> int | None:
    """Return how many angles a module computes in its last dimension; None where it does not say."""
    last = list(module)[-1] if isinstance(module, nn.Sequential) and len(module) else module
    n_angles = getattr(last, "n_angles", getattr(last, "out_features", None))
    return n_angles if isinstance(n_angles, int) else None


def computed_angles(circuit: ComputedCircuit, angles: nn.Module | None, **options: Any) -> Angles:
    """Return the angles of a computed circuit, for modules that take such a circuit in place of a plain one.

    Raises:
        ValueError: other angles beside it.
    """
    if angles is not None:
        raise ValueError(
            "Argument `angles` must be None for a ComputedCircuit, which has its own. Pass circuit.circuit for others."
        )
    return Angles(circuit.angles, n_inputs=circuit.n_inputs, **options)
