"""Activations, and layers of them, as sympy expressions."""

from collections.abc import Iterable
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from qml.nn.qkan.spectrum import ActivationSpectrum


class LayerNumbers(NamedTuple):
    """The numbers that a layer's formula is written from, in float64.

    Attributes:
        spectrum: of every activation, (outputs, inputs, terms), or (inputs, terms) where outputs share them.
        mask: 0 for pruned edges, shape (outputs, inputs).
        output_weight, output_bias, base_weight: v, c and u, shape (outputs, inputs).
    """

    spectrum: ActivationSpectrum
    mask: np.ndarray
    output_weight: np.ndarray
    output_bias: np.ndarray
    base_weight: np.ndarray


def expression(
    spectrum: ActivationSpectrum, edge: tuple[int, ...], variable: Any, tolerance: float, *, arccos: bool
) -> Any:
    """Write one activation as a sympy expression of a variable, terms of amplitude up to `tolerance` left out."""
    import sympy

    variable = sympy.acos(variable) if arccos else variable
    columns = (spectrum.frequencies[edge], spectrum.amplitudes[edge], spectrum.phases[edge])
    terms = [
        float(a) * sympy.cos(float(f) * variable + float(p)) if f else sympy.Float(a * np.cos(p))
        for f, a, p in zip(*columns, strict=True)
        if a > tolerance
    ]
    return sympy.Add(*terms)


def require_written_base(base: Any) -> None:
    """Refuse a residual activation that no formula says."""
    if base not in ("silu", "identity", None):
        raise ValueError(f"Argument `base` must be silu, identity or None to be written as a formula, but is {base!r}.")


def layer_numbers(
    spectrum: ActivationSpectrum,
    mask: Tensor,
    v: Tensor | None,
    c: Tensor | None,
    u: Tensor | None,
    *,
    groups: int | None,
) -> LayerNumbers:
    """Return a layer's numbers in float64, the activations of `groups` shared circuits repeated over the inputs.

    Args:
        spectrum: of every circuit.
        mask: 0 for pruned edges, as v, c and u of shape (outputs, inputs).
        v: None for 1.
        c: None for 0.
        u: None for 0.
        groups: None where every edge has a circuit of its own.
    """
    if groups is not None:
        places = np.arange(mask.shape[1]) % groups
        parts = spectrum.frequencies, spectrum.amplitudes, spectrum.phases
        spectrum = ActivationSpectrum(*(part[places] for part in parts))
    numbers = (
        np.full(mask.shape, default) if value is None else value.detach().double().cpu().numpy()
        for value, default in ((mask, 1.0), (v, 1.0), (c, 0.0), (u, 0.0))
    )
    return LayerNumbers(spectrum, *numbers)


def layer_expressions(numbers: LayerNumbers, variables: list, tolerance: float, *, base: Any, arccos: bool) -> list:
    """Write every output of a layer as a sympy expression, terms of amplitude up to `tolerance` left out.

    Args:
        numbers: of the layer.
        variables: one an input.
        tolerance: of the amplitude of a term, in units of the output.
        base: "silu", "silu by name" for an undefined function of that name, "identity" or None.
        arccos: True if the activations are functions of arccos x.
    """
    import sympy

    silu = sympy.Function("silu")
    bases = {"silu": lambda x: x / (1 + sympy.exp(-x)), "silu by name": silu, "identity": lambda x: x}
    function = bases.get(base)
    v, c, u = numbers.output_weight, numbers.output_bias, numbers.base_weight
    shared = numbers.spectrum.frequencies.ndim == 2  # a shared circuit is written down for each of its inputs
    outputs = []
    for j in range(v.shape[0]):
        total = sympy.Float(0)
        for i in range(v.shape[1]):
            if numbers.mask[j, i]:
                limit = tolerance / max(abs(v[j, i]), np.finfo(float).tiny)
                edge = (i,) if shared else (j, i)
                term = expression(numbers.spectrum, edge, variables[i], limit, arccos=arccos)
                total += v[j, i] * (term + c[j, i])
                if function is not None and abs(u[j, i]) > tolerance:
                    total += u[j, i] * function(variables[i])
        outputs.append(total)
    return outputs


def as_variables(variables: list | None, size: int, argument: str = "variables") -> list:
    """Return the given symbols or expressions, names as symbols, or x_1 ... x_n.

    Raises:
        TypeError: no sequence of names, sympy expressions or numbers.
        ValueError: another number of them than `size`, or a name twice.
    """
    import sympy

    if variables is None:
        return list(sympy.symbols(f"x_1:{size + 1}", real=True))
    if isinstance(variables, str) or not isinstance(variables, Iterable):
        raise TypeError(
            f"Argument `{argument}` must be a list of {size} names or sympy expressions, but is "
            f"{type(variables).__name__}. Pass for example {[f'x_{k + 1}' for k in range(size)]}."
        )
    given = list(variables)
    if len(given) != size:
        raise ValueError(f"Argument `{argument}` must hold {size} expressions, one an input, but holds {len(given)}.")
    for place, variable in enumerate(given):
        if not isinstance(variable, (sympy.Basic, Number, str)):
            raise TypeError(
                f"Argument `{argument}[{place}]` must be a name or a sympy expression, but is "
                f"{type(variable).__name__}."
            )
    names = [variable for variable in given if isinstance(variable, str)]
    if len(set(names)) < len(names) or not all(names):
        raise ValueError(f"Argument `{argument}` must hold different names, but is {given}.")
    return [sympy.Symbol(variable, real=True) if isinstance(variable, str) else variable for variable in given]
