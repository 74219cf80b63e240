"""The Fourier series of a circuit or a layer in its inputs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from circuits import Circuit, Observable
from circuits.pictures import ShowsPlot, axes_of
from qml import checks
from qml.backends import Backend, resolve

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_GRID_POINTS = 2**20
N_PROBES = 16
SERIES_TOLERANCE = 1e-8  # relative error of the series at points off the grid: float64 and sums of many terms
MAX_DENOMINATOR = 64  # largest denominator of the ratio of two frequencies


@dataclass(frozen=True, eq=False)
class FourierSeries(ShowsPlot):
    """A series f(x) = sum_k c_k exp(i w_k . x), with w_k = k * base.

    Args:
        orders: the vectors k, shape (terms, inputs), from -degree to degree in each input.
        coefficients: c_k, complex, shape (terms,).
        base: the lowest frequency of each input, shape (inputs,); 2 pi / period.
    """

    orders: np.ndarray
    coefficients: np.ndarray
    base: np.ndarray

    @property
    def frequencies(self) -> np.ndarray:
        """Return w_k, shape (terms, inputs)."""
        return self.orders * self.base

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Evaluate the series at inputs of shape (batch, inputs); real, shape (batch,).

        Raises:
            ValueError: inputs of another shape.
        """
        points, n_inputs = np.asarray(inputs), self.orders.shape[1]
        if points.ndim != 2 or points.shape[1] != n_inputs:
            raise ValueError(f"Argument `inputs` must have shape (batch, {n_inputs}), but has shape {points.shape}.")
        return np.real(np.exp(1j * points @ self.frequencies.T) @ self.coefficients)

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw |c_k| against the frequency of one input."""
        if self.orders.shape[1] != 1:
            raise ValueError(f"A spectrum must be of one input to be drawn, but is of {self.orders.shape[1]}.")
        axes = axes_of(ax)
        axes.stem(self.frequencies[:, 0], np.abs(self.coefficients), basefmt=" ")
        axes.set(xlabel="frequency", ylabel="size of the coefficient")
        return axes.figure  # pyright: ignore[reportReturnType]

    def _is_shown(self) -> bool:
        return self.orders.shape[1] == 1


def fourier_series(
    function: Callable[[Tensor], Tensor], degrees: Sequence[int], *, periods: Sequence[float] | None = None
) -> FourierSeries:
    """Compute the Fourier series of a trigonometric polynomial from its values on the smallest grid.

    Args:
        function: (batch, inputs) in float64 to (batch,): a layer, or anything else.
        degrees: the highest multiple of the base frequency, one an input.
        periods: one an input; 2 pi if not given.

    Raises:
        ValueError: If a degree is below 0, the grid has more than 2**20 points, or the function is no such polynomial:
            a higher frequency would be taken for a lower one, so the series is checked at points off the grid.

    Reference:
        Schuld, Sweke and Meyer, arXiv:2008.08605.
    """
    checks.require_function(function, "function", "from inputs to values")
    degrees = checks.as_ints(degrees, "degrees", 0)
    base = 2 * math.pi / np.array(_as_periods(periods, len(degrees)))
    sizes = [2 * degree + 1 for degree in degrees]
    if math.prod(sizes) > MAX_GRID_POINTS:
        raise ValueError(f"The grid must have at most {MAX_GRID_POINTS} points, but {sizes} are more. Fix some inputs.")
    axes = [2 * math.pi / (size * step) * np.arange(size) for size, step in zip(sizes, base, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(sizes))
    values = _values(function, grid)
    coefficients = np.fft.fftshift(np.fft.fftn(values.reshape(sizes)) / values.size).reshape(-1)
    orders = np.array(list(product(*(range(-degree, degree + 1) for degree in degrees))))
    series = FourierSeries(orders, coefficients, base)
    probes = np.random.default_rng(0).uniform(0.0, 1.0, (N_PROBES, len(sizes))) * 2 * math.pi / base
    error = np.abs(series(probes) - _values(function, probes)).max()
    if not error <= SERIES_TOLERANCE * max(1.0, np.abs(values).max()):
        raise ValueError(
            f"The function must be a trigonometric polynomial of degrees {list(degrees)} with base frequencies {base}, "
            f"but differs from it by {error:.2g} off the grid. Give higher degrees or the right periods."
        )
    return series


def _as_periods(periods: Any, n_inputs: int) -> list[float]:
    """Return a positive period for every input, 2 pi where none are given."""
    if periods is None:
        return [2 * math.pi] * n_inputs
    if isinstance(periods, (str, bytes)) or not isinstance(periods, Sequence):
        raise TypeError(f"Argument `periods` must be a sequence of numbers, but is {type(periods).__name__}.")
    if len(periods) != n_inputs:
        raise ValueError(f"Argument `periods` must hold {n_inputs} numbers, one a degree, but holds {len(periods)}.")
    return [checks.as_number(period, f"periods[{place}]", above=0.0) for place, period in enumerate(periods)]


def circuit_fourier_series(
    circuit: Circuit,
    observable: Observable,
    weights: Tensor | None = None,
    *,
    backend: Backend | str = "native",
) -> FourierSeries:
    """Compute the Fourier series of an expectation value in a circuit's data slots; its gates give degrees and periods.

    Args:
        circuit: its data slots are angles.
        observable: The observable that is read.
        weights: float64, shape (n_weights,); needed where there are any.
        backend: an exact one.

    Raises:
        ValueError: If there are no data slots, weights are missing, amplitudes come from data slots, or frequencies are
            incommensurable.
    """
    checks.require_kind(circuit, "circuit", Circuit)
    if circuit.n_data == 0:
        raise ValueError("Argument `circuit` must have data slots, but has none. Use circuits.data for its inputs.")
    chosen = resolve(backend)
    if not chosen.capabilities.exact:
        raise ValueError(f'Argument `backend` must be exact, but {chosen.name} draws shots. Use "native".')
    values = torch.zeros(0, dtype=torch.float64) if weights is None else _as_weights(weights)
    spectra = [_slot_spectrum(circuit, index) for index in range(circuit.n_data)]

    def function(inputs: Tensor) -> Tensor:
        return chosen.expectation(circuit, inputs, values, [observable])[:, 0]

    return fourier_series(
        function, [degree for degree, _ in spectra], periods=[2 * math.pi / base for _, base in spectra]
    )


def _as_weights(weights: Any) -> Tensor:
    """Return weights in double precision, outside of autograd."""
    checks.require_tensor(weights, "weights")
    if not weights.is_floating_point():
        raise TypeError(f"Argument `weights` must be floating, but is {weights.dtype}. Pass weights.double().")
    return weights.detach().to(torch.float64)


def _values(function: Callable[[Tensor], Tensor], points: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        values = function(torch.from_numpy(points))
    checks.require_tensor(values, "function(inputs)")
    if values.shape != (len(points),):
        raise ValueError(
            f"Argument `function` must give shape ({len(points)},) for {len(points)} points, but gives "
            f"{tuple(values.shape)}. Choose one output."
        )
    if values.is_complex():
        raise TypeError("Argument `function` must give real values, but gives complex ones. Take the real part.")
    if values.dtype != torch.float64:
        raise TypeError(
            f"Argument `function` must compute in float64, by whose rounding its series is checked, but gives "
            f"{values.dtype}. Convert a layer with layer.double()."
        )
    checks.require_finite(values, "function(inputs)")
    return values.numpy()


def _slot_spectrum(circuit: Circuit, index: int) -> tuple[int, float]:
    """Return the degree and the base frequency of an expectation value in one data slot."""
    highest: list[float] = []
    bases: list[float] = []
    for operation in circuit.operations:
        for part in operation.elementary():
            if any(slot.kind == "data" and slot.index == index for slot in part.slots):
                if part.is_preparation:
                    raise ValueError(f"Data slots must be angles to have frequencies, but one is in {part.name}.")
                base, order = part.frequencies()
                if order > 0:
                    highest.append(base * order)
                    bases.append(base)
    if not bases:  # global phases only
        return 0, 1.0
    ratios = [Fraction(base / bases[0]).limit_denominator(MAX_DENOMINATOR) for base in bases]
    if any(abs(float(ratio) * bases[0] - base) > SERIES_TOLERANCE for ratio, base in zip(ratios, bases, strict=True)):
        raise ValueError(
            f"The frequencies of data slot {index} must have a common base, but are {sorted(set(bases))}. Scale the "
            "inputs before the circuit instead of in its gates."
        )
    common = Fraction(math.gcd(*(ratio.numerator for ratio in ratios)), math.lcm(*(r.denominator for r in ratios)))
    base = bases[0] * float(common)
    return round(sum(highest) / base), base
