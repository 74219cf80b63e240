"""Functions in which activations are expanded exactly, so that a layer becomes one matrix product.

With the pre-activation x itself an activation is a trigonometric polynomial. With trained pre-activations it is a sum
of exp(i f x) with |f| at most the sum of the |w_l|: on an interval its Chebyshev series converges faster than
exponentially, and is cut where the rest is below rounding.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from qml import checks
from qml.nn.qkan._modes import outside_of_modes

INTERVAL_STRETCH = 1.05  # keeps points off the ends, where derivatives of Chebyshev polynomials peak
MAX_REST = 0.5  # that a series may leave out, in units of rounding
STRIDE = 3  # Chebyshev polynomials in one operation; odd
MAX_NUMPY_INPUTS = 2**12  # up to which torch's calls cost more than their arithmetic
MAX_TERMS = 4096  # of a series that is tried


@runtime_checkable
class Basis(Protocol):
    """`size` functions of one variable, the first one 1."""

    @property
    def size(self) -> int:
        """Number of functions, and of nodes."""
        ...

    def nodes(self, like: Tensor) -> Tensor:
        """Return the points at which activations are evaluated, shape (size,)."""
        ...

    def from_nodes(self, like: Tensor) -> Tensor:
        """Return the matrix from values at the nodes to coefficients, shape (size, size)."""
        ...

    def derivative(self, like: Tensor) -> Tensor:
        """Return the matrix from a function's coefficients to its derivative's."""
        ...

    @property
    def in_derivative(self) -> slice:
        """Return the functions that derivatives are made of."""
        ...

    def features(self, inputs: Tensor, *, out: Tensor | None = None) -> Tensor:
        """Evaluate the functions at inputs, shape (size, *inputs.shape). Not for autograd."""
        ...

    def plain_features(self, inputs: Tensor) -> Tensor:
        """Evaluate the functions with operations that autograd can differentiate to any order."""
        ...


@dataclass(frozen=True)
class Fourier:
    """1, cos x ... cos dx, sin x ... sin dx.

    Args:
        degree: d.
    """

    degree: int

    @property
    def size(self) -> int:
        """Return 2 d + 1."""
        return 2 * self.degree + 1

    def nodes(self, like: Tensor) -> Tensor:
        """Return points equally spaced over a period."""
        return _constant(_fourier_nodes, self.degree, like)

    def from_nodes(self, like: Tensor) -> Tensor:
        """Return the discrete Fourier transform."""
        return _constant(_fourier_matrix, self.degree, like)

    def derivative(self, like: Tensor) -> Tensor:
        """Map cos kx to -k sin kx, and sin kx to k cos kx."""
        return _constant(_fourier_derivative, self.degree, like)

    @property
    def in_derivative(self) -> slice:
        """See `Basis`."""
        return slice(1, None)

    def features(self, inputs: Tensor, *, out: Tensor | None = None) -> Tensor:
        """See `Basis`."""
        degree = self.degree
        result = inputs.new_empty(self.size, *inputs.shape) if out is None else out
        if inputs.device.type == "cpu" and inputs.numel() <= MAX_NUMPY_INPUTS:
            self._small_features(inputs.detach().numpy(), result.numpy())
            return result
        result[0] = 1.0
        cosines, sines = result[1 : degree + 1], result[degree + 1 :]
        torch.cos(inputs, out=cosines[0])
        torch.sin(inputs, out=sines[0])
        m = 1
        while m < degree:  # exp(i (m + k) x) = exp(i m x) exp(i k x) for k = 1 ... n
            n = min(m, degree - m)
            cos_m, sin_m, cos_k, sin_k = cosines[m - 1], sines[m - 1], cosines[:n], sines[:n]
            new_cosines, new_sines = cosines[m : m + n], sines[m : m + n]
            torch.addcmul(torch.mul(cos_m, cos_k, out=new_cosines), sin_m, sin_k, value=-1, out=new_cosines)
            torch.addcmul(torch.mul(sin_m, cos_k, out=new_sines), cos_m, sin_k, out=new_sines)
            m += n
        return result

    def _small_features(self, inputs: np.ndarray, result: np.ndarray) -> None:
        """Fill `result` by NumPy, whose calls cost less for few inputs."""
        degree = self.degree
        result[0] = 1.0
        cosines, sines = result[1 : degree + 1], result[degree + 1 :]
        cos_m, sin_m = np.cos(inputs, cosines[0]), np.sin(inputs, sines[0])
        m = 1
        while m < degree:
            n = min(m, degree - m)
            cos_k, sin_k = cosines[:n], sines[:n]
            np.subtract(cos_m * cos_k, sin_m * sin_k, cosines[m : m + n])
            np.add(sin_m * cos_k, cos_m * sin_k, sines[m : m + n])
            m += n
            cos_m, sin_m = cosines[m - 1], sines[m - 1]

    def plain_features(self, inputs: Tensor) -> Tensor:
        """See `Basis`."""
        multiples = _column(_constant(_orders, self.degree, inputs), inputs) * inputs
        return torch.cat([torch.ones_like(inputs)[None], multiples.cos(), multiples.sin()])


@dataclass(frozen=True)
class Chebyshev:
    """Chebyshev polynomials on an interval, with signs s_k = 1, 1, -1, -1, 1, ...

    The signs turn the recurrence into one multiply-add: s_k T_k = +-2 x s_{k-1} T_{k-1} + s_{k-2} T_{k-2}. So they do
    for T_{k+m} = 2 T_m T_k - T_{k-m} with an odd m: m of them in one operation.

    Args:
        centre: of the interval.
        radius: half its length.
        size: number of polynomials.
    """

    centre: float
    radius: float
    size: int

    def nodes(self, like: Tensor) -> Tensor:
        """Return the zeros of the next polynomial."""
        return _constant(_chebyshev_nodes, self.size, like) * self.radius + self.centre

    def from_nodes(self, like: Tensor) -> Tensor:
        """Return the discrete cosine transform."""
        return _constant(_chebyshev_matrix, self.size, like)

    def derivative(self, like: Tensor) -> Tensor:
        """Map T_k to T_k' = 2 k sum of T_j over j < k of the other parity, T_0 counted half, over the radius."""
        return _constant(_chebyshev_derivative, self.size, like) / self.radius

    @property
    def in_derivative(self) -> slice:
        """See `Basis`."""
        return slice(0, max(1, self.size - 1))

    def features(self, inputs: Tensor, *, out: Tensor | None = None) -> Tensor:
        """See `Basis`."""
        result = inputs.new_empty(self.size, *inputs.shape) if out is None else out
        if inputs.device.type == "cpu" and inputs.numel() <= MAX_NUMPY_INPUTS:
            self._small_features(inputs.detach().numpy(), result.numpy())
            return result
        columns = result[: 2 * STRIDE].unbind()
        columns[0].fill_(1.0)
        if self.size == 1:
            return result
        unit = torch.sub(inputs, self.centre, out=columns[1]).mul_(1 / self.radius)
        for k in range(2, min(self.size, 2 * STRIDE)):
            torch.addcmul(columns[k - 2], columns[k - 1], unit, value=_turn(k), out=columns[k])
        if self.size > 2 * STRIDE:
            factors = _column(_constant(_stride_factors, STRIDE, inputs), inputs) * columns[STRIDE]
            behind, before, *blocks = torch.unsafe_split(result, STRIDE)
            rest = self.size % STRIDE
            for turn, block in zip(cycle((1, -1)), blocks[: -1 if rest else None], strict=False):
                torch.addcmul(behind, before, factors, value=turn, out=block)
                behind, before = before, block
            if rest:
                turn = 1 if len(blocks) % 2 else -1
                torch.addcmul(behind[:rest], before[:rest], factors[:rest], value=turn, out=blocks[-1])
        return result

    def plain_features(self, inputs: Tensor) -> Tensor:
        """See `Basis`."""
        unit = self._unit(inputs)
        columns = [torch.ones_like(unit), unit]
        for k in range(2, self.size):
            columns.append(torch.addcmul(columns[k - 2], columns[k - 1], unit, value=_turn(k)))
        return torch.stack(columns[: self.size])

    def _small_features(self, inputs: np.ndarray, result: np.ndarray) -> None:
        """Fill `result` by NumPy, whose calls cost less for few inputs."""
        result[0] = 1.0
        if self.size == 1:
            return
        unit = np.subtract(inputs, self.centre, result[1])
        unit *= 1 / self.radius
        double, product = 2 * unit, np.empty_like(unit)
        for k in range(2, min(self.size, 2 * STRIDE)):
            np.multiply(double, result[k - 1], product)
            (np.subtract if _turn(k) < 0 else np.add)(result[k - 2], product, result[k])
        if self.size > 2 * STRIDE:
            factors = _stride_factors(STRIDE).astype(result.dtype)[:, *[None] * unit.ndim] * result[STRIDE]
            products = np.empty_like(factors)
            for k in range(2 * STRIDE, self.size, STRIDE):
                n = min(STRIDE, self.size - k)
                np.multiply(result[k - STRIDE : k - STRIDE + n], factors[:n], products[:n])
                combine = np.add if k // STRIDE % 2 == 0 else np.subtract
                combine(result[k - 2 * STRIDE : k - 2 * STRIDE + n], products[:n], result[k : k + n])

    def _unit(self, inputs: Tensor) -> Tensor:
        return (inputs - self.centre) / self.radius


def bounds(inputs: Tensor) -> tuple[float, float]:
    """Return the least and the largest input, 0 and 0 for an empty batch.

    Raises:
        ValueError: inputs that are not finite.
    """
    if inputs.numel() == 0:
        return 0.0, 0.0
    low, high = (bound.item() for bound in inputs.detach().aminmax())
    checks.require_finite_bounds(low, high, "inputs")
    return low, high


def chebyshev(low: float, high: float, bandwidth: float, dtype: torch.dtype) -> Chebyshev | None:
    """Return the Chebyshev basis that holds sums of exp(i f x), |f| <= bandwidth, on [low, high] to rounding.

    None where it would take too many terms. Where the interval is shorter than such functions need to change, it is
    widened: their derivatives would suffer from rounding otherwise.
    """
    radius = max(INTERVAL_STRETCH * (high - low) / 2, 1.0 / max(bandwidth, 1.0))
    size = series_length(math.ceil(4 * bandwidth * radius) / 4, torch.finfo(dtype).eps)
    return None if size is None else Chebyshev((low + high) / 2, radius, size)


@lru_cache(maxsize=4096)
def series_length(z: float, eps: float) -> int | None:
    """Count the Chebyshev polynomials that hold f on [-1, 1] to MAX_REST * eps, for |f(x + iy)| <= exp(z |y|).

    On the ellipse of parameter rho the function is at most exp(z (rho - 1/rho) / 2), so interpolation at n nodes errs
    by at most 4 exp(z (rho - 1/rho) / 2) rho**(1-n) / (rho - 1); rho = n/z + sqrt((n/z)**2 - 1) is the best.

    Reference:
        Trefethen, "Approximation Theory and Approximation Practice", theorem 8.2.
    """
    if not z < MAX_TERMS / 2:
        return None
    z = max(z, 0.25)
    n = np.arange(math.ceil(z) + 1, MAX_TERMS)
    rho = n / z + np.sqrt((n / z) ** 2 - 1)
    log_rest = math.log(4) + z * (rho - 1 / rho) / 2 + (1 - n) * np.log(rho) - np.log(rho - 1)
    enough = np.flatnonzero(log_rest <= math.log(MAX_REST * eps))
    return int(n[enough[0]]) if len(enough) else None


def _turn(k: int) -> int:
    """Return 2 s_k s_{k-1}."""
    return -2 if k % 2 == 0 else 2


@lru_cache(maxsize=4)
def _stride_factors(stride: int) -> np.ndarray:
    """Return 2 s_{k + stride} s_k s_stride for the block from k = stride on."""
    signs = _signs(3 * stride)
    return 2 * signs[2 * stride :] * signs[stride : 2 * stride] * signs[stride]


def _column(values: Tensor, like: Tensor) -> Tensor:
    """Reshape (size,) to (size, 1, ...), to stand before the dimensions of `like`."""
    return values.view(-1, *[1] * like.ndim)


def _signs(size: int) -> np.ndarray:
    return np.where(np.arange(size) % 4 < 2, 1.0, -1.0)


def _orders(degree: int) -> np.ndarray:
    return np.arange(1.0, degree + 1)


def _fourier_nodes(degree: int) -> np.ndarray:
    return 2 * np.pi * np.arange(2 * degree + 1) / (2 * degree + 1)


def _fourier_matrix(degree: int) -> np.ndarray:
    angles = np.outer(np.arange(1, degree + 1), _fourier_nodes(degree))
    size = 2 * degree + 1
    return np.concatenate([np.full((1, size), 1.0), 2 * np.cos(angles), 2 * np.sin(angles)]) / size


def _fourier_derivative(degree: int) -> np.ndarray:
    result = np.zeros((2 * degree + 1,) * 2)
    orders = np.arange(1, degree + 1)
    result[orders, degree + orders] = orders
    result[degree + orders, orders] = -orders
    return result


def _chebyshev_nodes(size: int) -> np.ndarray:
    return np.cos(np.pi * (np.arange(size) + 0.5) / size)


def _chebyshev_matrix(size: int) -> np.ndarray:
    result = np.cos(np.pi * np.outer(np.arange(size), np.arange(size) + 0.5) / size) * 2 / size
    result[0] /= 2
    return result * _signs(size)[:, None]


def _chebyshev_derivative(size: int) -> np.ndarray:
    k = np.arange(size)
    result = np.where((k[:, None] < k) & ((k[:, None] + k) % 2 == 1), 2.0 * k, 0.0)
    result[0] /= 2
    return result * np.outer(_signs(size), _signs(size))


_CONSTANTS: dict[object, Tensor] = {}


def _constant(make: object, size: int, like: Tensor) -> Tensor:
    """Return `make(size)` in the precision and on the device of `like`, made once."""
    key = (make, size, like.dtype, like.device)
    if key not in _CONSTANTS:
        with outside_of_modes():
            _CONSTANTS[key] = torch.from_numpy(make(size)).to(like)  # pyright: ignore[reportCallIssue]
    return _CONSTANTS[key]
