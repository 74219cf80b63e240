"""Kolmogorov-Arnold networks of B-splines: the classical twins of QKAN layers."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from qml import checks
from qml.edges import Sampled, Transfer, edge_layers, sample_edges, transferred

INITIAL_SPREAD = 0.1  # standard deviation of the first coefficients
RANK_CUTOFF = (
    1e-3  # of least squares: well below B-splines' own, above what sets silu apart from splines on a fine grid
)


class KANLayer(nn.Module):
    r"""A layer that has a B-spline on every edge: y_j = sum_i [ sum_m c_jim B_m(x_i) + u_ji silu(x_i) ].

    The B_m are the `grid` + `degree` B-splines of one degree on `grid` equal intervals, a grid of its own for each
    input. Beyond the grid they fall to 0 over `degree` intervals, and only the residual
    activation is left; see `outside`.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        grid: intervals, at least 1.
        degree: of the splines, at least 1; 3 for cubic ones.
        domain: both ends of the grids, to begin with.
        device: of the parameters.
        dtype: of the parameters.
        generator: for the initial parameters; none is seeded globally.

    Shape:
        (..., in_features) to (..., out_features).

    Attributes:
        coefficients: c, shape (out_features, in_features, grid + degree), from N(0, 0.1).
        base_weight: u, shape (out_features, in_features), from U(-1, 1) / sqrt(in_features).
        low, high: ends of the grids, shape (in_features,).

    Raises:
        TypeError: sizes that are no ints; inputs that are no dense tensors of the layer's dtype.
        ValueError: sizes below 1, an empty domain, inputs of another last dimension or with NaN or infinity, parameters
            that are not finite.

    Reference:
        Liu et al., arXiv:2404.19756, section 2.2; each spline has no factor of its own here, which would only
        rescale its coefficients.

    Example:
        >>> import torch
        >>> from qml.baselines import KANLayer
        >>> KANLayer(4, 3)(torch.rand(5, 4)).shape
        torch.Size([5, 3])
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        grid: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        in_features = checks.as_int(in_features, "in_features", 1)
        out_features = checks.as_int(out_features, "out_features", 1)
        grid, degree = checks.as_int(grid, "grid", 1), checks.as_int(degree, "degree", 1)
        domain = checks.as_interval(domain, "domain")
        checks.require_generator(generator)
        self.in_features, self.out_features, self.grid, self.degree = in_features, out_features, grid, degree
        edges = (out_features, in_features)
        self.coefficients = nn.Parameter(torch.empty(*edges, grid + degree, device=device, dtype=dtype))
        self.base_weight = nn.Parameter(torch.empty(edges, device=device, dtype=dtype))
        self.register_buffer("low", self.base_weight.new_full((in_features,), domain[0]))
        self.register_buffer("high", self.base_weight.new_full((in_features,), domain[1]))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the parameters anew; the grids stay."""
        bound = 1.0 / math.sqrt(self.in_features)
        nn.init.normal_(self.coefficients, std=INITIAL_SPREAD, generator=generator)
        nn.init.uniform_(self.base_weight, -bound, bound, generator=generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Compute the layer's outputs; see the class."""
        flat = self._flattened(inputs)
        result = self.splines(flat).flatten(1) @ self.coefficients.flatten(1).mT
        result = result + functional.silu(flat) @ self.base_weight.mT
        checks.require_finite_result(result, self)
        return result.reshape(*inputs.shape[:-1], self.out_features)

    def splines(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch inputs splines"]:
        """Compute all B-splines at the inputs, by the recurrence of Cox and de Boor on equal intervals."""
        low, high = self.low.to(inputs.dtype), self.high.to(inputs.dtype)
        places = ((inputs - low) / (high - low) * self.grid).unsqueeze(-1)  # knots at the integers
        knots = torch.arange(-self.degree, self.grid + self.degree, device=inputs.device, dtype=inputs.dtype)
        values = ((places >= knots) & (places < knots + 1)).to(inputs.dtype)
        for degree in range(1, self.degree + 1):
            knots = knots[:-1]
            rising, falling = places - knots, knots + degree + 1 - places
            values = (rising * values[..., :-1] + falling * values[..., 1:]) / degree
        return values

    def edge_outputs(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "batch outputs inputs"]:
        """Compute every edge's part of the output, shape (batch, out_features, in_features)."""
        flat = self._flattened(inputs)
        values = torch.einsum("bim,jim->bji", self.splines(flat), self.coefficients)
        return values + self.base_weight * functional.silu(flat).unsqueeze(1)

    @torch.no_grad()
    def outside(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, " inputs"]:
        """Return the share of values of each input that lie beyond its grid."""
        flat = self._flattened(inputs)
        return ((flat < self.low) | (flat > self.high)).to(flat.dtype).mean(0)

    def fit(self, edges: Sampled) -> None:
        """Move the grids to the range of `edges`, and take the coefficients nearest to them by least squares."""
        with torch.no_grad():
            self.low.copy_(torch.from_numpy(edges.low))
            self.high.copy_(torch.from_numpy(edges.high))
            points = torch.from_numpy(edges.points).to(self.low.device)
            base = functional.silu(points).unsqueeze(-1)
            columns = torch.cat([self.splines(points), base], -1).transpose(0, 1).cpu().numpy()
            for i in range(self.in_features):
                solution, *_ = np.linalg.lstsq(columns[i], edges.values[:, :, i], rcond=RANK_CUTOFF)
                self.coefficients[:, i] = torch.from_numpy(solution[:-1].T).to(self.coefficients)
                self.base_weight[:, i] = torch.from_numpy(solution[-1]).to(self.base_weight)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"{self.in_features}, {self.out_features}, grid={self.grid}, degree={self.degree}"

    def _flattened(self, inputs: Any) -> Tensor:
        inputs = checks.as_like(inputs, self.base_weight)
        checks.require_last_dimension(inputs, self.in_features, "inputs")
        checks.require_finite(inputs, "inputs")
        return inputs.reshape(-1, self.in_features)


class KAN(nn.Module):
    """A Kolmogorov-Arnold network, which runs `KANLayer`s one after another.

    Args:
        widths: features at the input, after each layer, at the output; at least two.
        grid: intervals of each spline.
        degree: of the splines.
        domain: both ends of every grid, to begin with.
        device: of the parameters.
        dtype: of the parameters.
        generator: for the initial parameters.

    Shape:
        (..., widths[0]) to (..., widths[-1]).

    Attributes:
        layers: the layers.

    Reference:
        Liu et al., arXiv:2404.19756.

    Example:
        >>> import torch
        >>> from qml.baselines import KAN
        >>> KAN([2, 5, 1])(torch.rand(7, 2)).shape
        torch.Size([7, 1])
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        grid: int = 5,
        degree: int = 3,
        domain: tuple[float, float] = (-1.0, 1.0),
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        widths = checks.as_ints(widths, "widths", 1, at_least=2)
        self.widths = widths
        self.layers = nn.ModuleList(
            KANLayer(
                size,
                next_size,
                grid=grid,
                degree=degree,
                domain=domain,
                device=device,
                dtype=dtype,
                generator=generator,
            )
            for size, next_size in pairwise(widths)
        )

    @classmethod
    def from_network(
        cls, source: nn.Module, inputs: Float[Tensor, "batch inputs"], *, grid: int = 20, degree: int = 3
    ) -> Transfer:
        """Build a KAN that computes what a QKAN, or another KAN, computes: every edge fitted by least squares.

        The grids are the ranges of what reaches each layer from `inputs`, a little widened; beyond them the KAN is
        another function than its source (see `outside`). Of a KAN with fewer intervals it is grid extension.

        Args:
            source: a network of functions on edges.
            inputs: samples that span the range on which the KAN is to be used; they also say device and dtype.
            grid: intervals of each spline: a cubic one errs as the fourth power of an interval.
            degree: of the splines.

        Returns:
            The KAN as `network`, with its errors.

        Raises:
            TypeError: a source of another kind.
            ValueError: what `KANLayer` refuses; inputs that span no range.
        """
        layers = edge_layers(source)
        checks.require_tensor(inputs, "inputs")
        widths = [layer.in_features for layer in layers] + [layers[-1].out_features]
        network = cls(widths, grid=grid, degree=degree, device=inputs.device, dtype=inputs.dtype)
        sampled = sample_edges(layers, inputs, grid + degree + 1)
        network._fit(sampled)
        return transferred(network, source, inputs, sampled)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Run through all layers."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def update_grids(self, inputs: Float[Tensor, "batch inputs"]) -> None:
        """Move every grid to the range of what reaches it, in place, and refit the splines: about the same function."""
        self._fit(sample_edges(edge_layers(self), inputs, self.kan_layers()[0].coefficients.shape[-1] + 1))

    def outside(self, inputs: Float[Tensor, "batch inputs"]) -> list[Tensor]:
        """Return `KANLayer.outside` of every layer at what reaches it: where it is not 0, splines were left behind."""
        shares = []
        for layer in self.kan_layers():
            shares.append(layer.outside(inputs))
            inputs = layer(inputs)
        return shares

    def kan_layers(self) -> list[KANLayer]:
        """Return the layers, typed."""
        return [layer for layer in self.layers if isinstance(layer, KANLayer)]

    def _fit(self, sampled: list[Sampled]) -> None:
        for layer, edges in zip(self.kan_layers(), sampled, strict=True):
            layer.fit(edges)
