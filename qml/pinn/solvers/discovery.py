"""An unknown term of an equation: a network of its own in the residual, and its formula by sparse regression."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from qml import checks
from qml.jets import JetModule
from qml.jets.jet import Array
from qml.pinn.trunks.dense import affine_maps, reset


class WithTerm(JetModule):
    """A trunk with an unknown term: from coordinates to the field u(x) and to F(u(x)), which the equation may use.

    A problem for it has two fields, the second one called for example `f`, and an equation such as
    `lambda u_t, u_xx, f: u_t - 0.1 * u_xx - f`. Measurements of u, even few and noisy ones, then train both. The term
    may be an MLP, a KAN or a QKAN, whose formula can be read off by its symbolic form.

    Args:
        trunk: from coordinates or features to one field.
        term: from one number to one number, F.

    Shape:
        (..., inputs) to (..., 2).

    Reference:
        Universal PINNs: Podina, Eastman, Kohandel, ICML 2023, arXiv:2212.04630, section 3.
    """

    def __init__(self, trunk: nn.Module, term: nn.Module) -> None:
        super().__init__()
        self.trunk, self.term = trunk, term

    def forward(self, inputs: Array) -> Array:
        """Return u and F(u)."""
        field: Any = self.trunk(inputs)
        return torch.cat([field, self.term(field)], -1)  # pyright: ignore[reportReturnType]


class Polynomial(JetModule):
    """The term with a formula: F(u) = sum_k c_k u^k, k from 0 to the degree.

    Args:
        degree: at least 1.
        device: where the coefficients live.
        dtype: their type.
        generator: source of the first ones; None takes torch's own.

    Shape:
        (..., 1) to (..., 1).

    Attributes:
        layer: the affine map of u, u^2, ...
    """

    def __init__(
        self,
        degree: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.degree = checks.as_int(degree, "degree", 1)
        self.layer = affine_maps((self.degree, 1), device, dtype)[0]
        reset(self.layer, generator)

    def forward(self, inputs: Array) -> Array:
        """Return the value of the polynomial."""
        powers: list[Any] = [inputs]
        for _ in range(self.degree - 1):
            powers.append(powers[-1] * inputs)
        return self.layer(torch.cat(powers, -1))


def sparse_regression(
    library: Mapping[str, Float[np.ndarray, " batch"]],
    target: Float[np.ndarray, " batch"],
    *,
    threshold: float,
    n_rounds: int = 20,
) -> dict[str, float]:
    """Fit a target by few functions: least squares, small coefficients to zero, and again until none is small.

    Args:
        library: values of the candidate functions by name.
        target: values to be fitted.
        threshold: of the coefficients' size.
        n_rounds: in which coefficients are set to zero, at most; those that are left are fitted after each.

    Returns:
        The coefficients that are left, by name.

    Reference:
        Brunton, Proctor, Kutz, PNAS 113 (2016) 3932, sequential thresholded least squares.
    """
    names = list(library)
    matrix = np.column_stack([library[name] for name in names])
    kept = np.ones(len(names), dtype=bool)
    coefficients = _least_squares(matrix, target, kept)
    for _ in range(n_rounds):
        small = kept & (np.abs(coefficients) < threshold)
        if not small.any():
            break
        kept &= ~small
        coefficients = _least_squares(matrix, target, kept)
    return {name: float(value) for name, value, left in zip(names, coefficients, kept, strict=True) if left}


def _least_squares(matrix: np.ndarray, target: np.ndarray, kept: np.ndarray) -> np.ndarray:
    coefficients = np.zeros(len(kept))
    if kept.any():
        coefficients[kept] = np.linalg.lstsq(matrix[:, kept], target, rcond=None)[0]
    return coefficients


def term_formula(
    term: nn.Module, low: float, high: float, *, threshold: float, degree: int = 4, n_points: int = 101
) -> dict[str, float]:
    """Return the sparse polynomial that an unknown term is near to, on the interval that data have visited.

    Args:
        term: F, from (batch, 1) to (batch, 1).
        low: least value of u.
        high: largest one.
        threshold: of the coefficients.
        degree: of the polynomial.
        n_points: at which F is read.
    """
    u = np.linspace(low, high, n_points)
    like = next(term.parameters())
    with torch.no_grad():
        values = term(torch.as_tensor(u, dtype=like.dtype, device=like.device)[:, None])[:, 0].double().cpu().numpy()
    return sparse_regression(powers(u, degree), values, threshold=threshold)


def powers(u: Float[np.ndarray, " batch"], degree: int) -> dict[str, np.ndarray]:
    """Return 1, u, u^2, ... by name."""
    return {"1": np.ones_like(u)} | {"u" if k == 1 else f"u^{k}": u**k for k in range(1, degree + 1)}


def differences_formula(
    solution: Callable[[np.ndarray, np.ndarray], np.ndarray],
    x: Float[np.ndarray, " batch"],
    t: Float[np.ndarray, " time"],
    *,
    diffusivity: float,
    threshold: float,
    degree: int = 4,
) -> dict[str, float]:
    """Return the sparse polynomial F of u_t = D u_xx + F(u) from a grid of measurements by central differences.

    It is the baseline of `WithTerm`: it needs a full grid, and noise counts with the square of the grid's inverse step.

    Args:
        solution: measurements, from arrays x and t of one shape.
        x: equal steps, at least three numbers.
        t: likewise.
        diffusivity: D.
        threshold: of the coefficients.
        degree: of the polynomial.

    Raises:
        ValueError: numbers whose steps differ.
    """
    for name, numbers in {"x": x, "t": t}.items():
        steps = np.diff(numbers)
        if len(numbers) < 3 or not np.allclose(steps, steps[0], rtol=1e-6, atol=0.0) or steps[0] == 0.0:
            raise ValueError(
                f"Argument `{name}` must hold at least three numbers with equal steps, for central differences. Put "
                "the measurements onto an even grid first."
            )
    places, times = np.meshgrid(x, t, indexing="ij")
    u = solution(places, times)
    slope = (u[1:-1, 2:] - u[1:-1, :-2]) / (t[2] - t[0])
    bend = (u[2:, 1:-1] - 2 * u[1:-1, 1:-1] + u[:-2, 1:-1]) / (x[1] - x[0]) ** 2
    inner = u[1:-1, 1:-1].ravel()
    return sparse_regression(powers(inner, degree), (slope - diffusivity * bend).ravel(), threshold=threshold)
