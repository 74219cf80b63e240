"""A layer of activations as sympy expressions."""

from collections.abc import Iterable
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from qml.nn.qkan.activations import Activations
    from qml.nn.qkan.layer import QKANLayer
from qml.nn.qkan.spectrum import Spectrum, spectrum_of


def expression(
    module: "Activations", spectrum: Spectrum, place: tuple[int, ...], variable: Any, tolerance: float
) -> Any:
    """One activation as a sympy expression of a variable, terms of amplitude up to `tolerance` left out."""
    import sympy

    variable = sympy.acos(variable) if module.uploads_arccos else variable
    columns = (spectrum.frequencies[place], spectrum.amplitudes[place], spectrum.phases[place])
    terms = [
        float(a) * sympy.cos(float(f) * variable + float(p)) if f else sympy.Float(a * np.cos(p))
        for f, a, p in zip(*columns, strict=True)
        if a > tolerance
    ]
    return sympy.Add(*terms)


def layer_expressions(layer: "QKANLayer", variables: list, tolerance: float) -> list:
    """Every output of a layer."""
    import sympy

    bases = {"silu": lambda x: x / (1 + sympy.exp(-x)), "identity": lambda x: x}
    base = bases.get(layer.base) if isinstance(layer.base, str) else None
    if layer.base is not None and base is None:
        raise ValueError(
            f"Argument `base` must be silu, identity or None to be written as a formula, but is {layer.base!r}."
        )
    shape = (layer.out_features, layer.in_features)
    v, c, u = (
        np.full(shape, default) if value is None else value.detach().double().cpu().numpy()
        for value, default in ((layer.output_weight, 1.0), (layer.output_bias, 0.0), (layer.base_weight, 0.0))
    )
    spectrum = spectrum_of(layer)
    mask = layer.mask.detach().double().cpu().numpy()
    # A shared circuit is written down for each of its inputs.
    places = [i if layer.groups is None else i % layer.groups for i in range(layer.in_features)]
    outputs = []
    for j in range(layer.out_features):
        total = sympy.Float(0)
        for i, place in enumerate(places):
            if mask[j, i]:
                limit = tolerance / max(abs(v[j, i]), np.finfo(float).tiny)
                term = expression(layer, spectrum, (j, i) if layer.groups is None else (place,), variables[i], limit)
                total += v[j, i] * (term + c[j, i])
                if base is not None and abs(u[j, i]) > tolerance:
                    total += u[j, i] * base(variables[i])
        outputs.append(total)
    return outputs


def as_variables(variables: list | None, size: int) -> list:
    """The given symbols or expressions, or x_1 ... x_n."""
    import sympy

    if variables is None:
        return list(sympy.symbols(f"x_1:{size + 1}", real=True))
    if isinstance(variables, str) or not isinstance(variables, Iterable):
        raise TypeError(
            f"Argument `variables` must be a list of {size} sympy expressions, but is {type(variables).__name__}. Pass "
            f'list(sympy.symbols("x_1:{size + 1}")), or None for these.'
        )
    given = list(variables)
    if len(given) != size:
        raise ValueError(f"Argument `variables` must hold {size} expressions, one an input, but holds {len(given)}.")
    for place, variable in enumerate(given):
        if not isinstance(variable, (sympy.Basic, Number)):
            raise TypeError(
                f"Argument `variables[{place}]` must be a sympy expression, but is {type(variable).__name__}. Pass "
                "sympy.Symbol(name)."
            )
    return given
