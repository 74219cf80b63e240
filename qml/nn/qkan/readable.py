"""The formula of a network in a form that is read: a line for each node, few digits, small terms left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from qml.nn.qkan.formula import LayerNumbers, layer_expressions, layer_numbers, require_written_base

if TYPE_CHECKING:
    from qml.nn.qkan.layer import QKANLayer


@dataclass(frozen=True, repr=False)
class NetworkFormula:
    """A network's formula, a line for each hidden node and output, which printing and notebooks show.

    It is an approximation: see `evaluate`, and `QKAN.to_sympy` for all terms and digits.

    Attributes:
        inputs: Names of the inputs.
        lines: Name and sympy expression of every node that an output needs, inputs first; `silu` is x / (1 + exp(-x)).
        n_outputs: How many of the last lines are outputs.
    """

    inputs: tuple[str, ...]
    lines: tuple[tuple[str, Any], ...]
    n_outputs: int

    def evaluate(self, inputs: np.ndarray) -> np.ndarray:
        """Compute what the lines say at inputs of shape (batch, inputs), shape (batch, outputs)."""
        import sympy

        columns = np.asarray(inputs, dtype=float)
        known = dict(zip(self.inputs, columns.T, strict=True))
        for name, expression in self.lines:
            symbols = sorted(expression.free_symbols, key=str)
            function = sympy.lambdify(symbols, expression, [{"silu": _silu}, "numpy"])
            known[name] = np.broadcast_to(function(*(known[str(symbol)] for symbol in symbols)), len(columns))
        return np.stack([known[name] for name, _ in self.lines[-self.n_outputs :]], 1)

    def __str__(self) -> str:
        return "\n".join(f"{name} = {expression}" for name, expression in self.lines)

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        import sympy

        rows = (f"{sympy.latex(sympy.Symbol(name))} &= {sympy.latex(expression)}" for name, expression in self.lines)
        return "$\\displaystyle \\begin{aligned}" + " \\\\ ".join(rows) + "\\end{aligned}$"


def readable_formula(
    layers: "Sequence[QKANLayer]", inputs: list, outputs: list[str], *, digits: int, share: float
) -> NetworkFormula:
    """Return the formula of layers one after another.

    Args:
        layers: of a network.
        inputs: sympy symbols.
        outputs: names.
        digits: of every number.
        share: terms below this share of the largest one of their layer are left out.
    """
    import sympy

    lines: list[tuple[str, Any]] = []
    symbols = inputs
    for level, layer in enumerate(layers, 1):
        is_last = level == len(layers)
        names = outputs if is_last else [f"h{level}_{k + 1}" for k in range(layer.out_features)]
        expressions = _layer_lines(layer, symbols, share)
        lines += [(name, _rounded(line, digits)) for name, line in zip(names, expressions, strict=True)]
        symbols = [sympy.Symbol(name, real=True) for name in names]
    return NetworkFormula(tuple(map(str, inputs)), tuple(_needed(lines, len(outputs))), len(outputs))


def _layer_lines(layer: "QKANLayer", symbols: list, share: float) -> list:
    """Return a layer's outputs as expressions, with the residual activation by its name."""
    require_written_base(layer.base)
    weights = layer.output_weight, layer.output_bias, layer.base_weight
    numbers = layer_numbers(layer.spectrum(), layer.mask, *weights, groups=layer.groups)
    base = "silu by name" if layer.base == "silu" else layer.base
    tolerance = share * _largest_term(numbers)
    return layer_expressions(numbers, symbols, tolerance, base=base, arccos=layer._uploads_arccos)


def _largest_term(numbers: LayerNumbers) -> float:
    """Return the largest amplitude of a wave or weight of a residual in a layer, pruned edges left out."""
    shared = numbers.spectrum.frequencies.ndim == 2
    waves = numbers.spectrum.amplitudes[None] if shared else numbers.spectrum.amplitudes
    sizes = np.abs(numbers.output_weight) * waves.max(-1)
    return float((np.maximum(sizes, np.abs(numbers.base_weight)) * numbers.mask).max(initial=0.0))


def _rounded(expression: Any, digits: int) -> Any:
    """Return an expression whose numbers have few digits, whole ones without a point."""
    import sympy

    short = {number: sympy.Float(str(number), digits) for number in expression.atoms(sympy.Float)}
    whole = {number: sympy.Integer(round(value)) for number, value in short.items() if float(value).is_integer()}
    return expression.xreplace(short | whole)


def _needed(lines: list[tuple[str, Any]], n_outputs: int) -> list[tuple[str, Any]]:
    """Leave out hidden nodes that nothing reads."""
    kept: list[tuple[str, Any]] = []
    read: set[str] = set()
    for place, (name, expression) in reversed(list(enumerate(lines))):
        if place >= len(lines) - n_outputs or name in read:
            kept.append((name, expression))
            read |= {str(symbol) for symbol in expression.free_symbols}
    return kept[::-1]


def _silu(values: np.ndarray) -> np.ndarray:
    return values / (1 + np.exp(-values))
