"""The layer of a quantum Kolmogorov-Arnold network."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit
from qml import checks
from qml.backends import Backend
from qml.checks import full_precision
from qml.edges import Sampled
from qml.nn.qkan import importance
from qml.nn.qkan.activations import Activations
from qml.nn.qkan.extension import extend_parameters
from qml.nn.qkan.formula import as_variables, layer_expressions, layer_numbers, require_written_base
from qml.nn.qkan.points.parameters import ActivationParameters, highest_frequency
from qml.nn.qkan.points.slopes import CHUNK
from qml.nn.qkan.residual import base_function
from qml.nn.qkan.series import bases, product
from qml.nn.qkan.series.bases import Basis, Fourier
from qml.nn.qkan.series.kept import Kept
from qml.nn.qkan.series.layer_series import EdgeWeights, LayerSeries, edge_weights
from qml.nn.qkan.transfer import fitted_edges, require_edges

MAX_TERM_SHARE = 0.7  # of a series, in samples of the batch: a longer one costs more than the points themselves
MIN_SERIES_BATCH = 8  # samples from which looking for a series can pay


class QKANLayer(Activations):
    r"""A layer of a quantum Kolmogorov-Arnold network: a trained one-qubit circuit on every edge.

    y_j = sum_i [ v_ji (phi_ji(x_i) + c_ji) + u_ji silu(x_i) ], where phi_ji(x) = <Z> of the edge's circuit with the
    angles w_jil x + b_jil. Drop-in for `nn.Linear`.

    With pre-activations that are not trained every phi is a trigonometric polynomial of degree `reps`, and the layer
    is one matrix product over 2 reps + 1 features. With trained ones it is expanded in Chebyshev polynomials on the
    range of the batch, exactly to rounding, where that takes fewer terms than there are samples; and evaluated point by
    point where not. Under `torch.no_grad` the expansion is kept, and made again only for another range or where a
    parameter has another value.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        reps: uploads of the input to a circuit, at least 1.
        ansatz: "pz", "rpz", "real", "px", "mix", or an own circuit of one qubit; see `DARUAN`.
        train_preactivation: whether w and b are trained; otherwise x itself is uploaded.
        train_postactivation: whether v and c are trained; otherwise they are 1 and 0.
        base: the residual activation: "silu", "gelu", "identity", a function of a tensor, or None for none.
        groups: circuits shared by all outputs and, cyclically, by the inputs; None for one an edge.
        readout: "z" or "amplitudes"; see `DARUAN`.
        backend: a backend or its name; see `to_backend`.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.
        generator: for the initial angles; none is seeded globally.

    Shape:
        (..., in_features) to (..., out_features).

    Attributes:
        weights: angles in radians, shape (out_features, in_features, n_weights), or (groups, n_weights).
        input_weight, input_bias: w and b, shape (out_features, in_features, reps), or (groups, reps); initially 1 and
            0. None where not trained.
        output_weight, output_bias: v and c, shape (out_features, in_features), initially 1 (with groups uniform in
            [0, 2), so that outputs differ) and 0. None where not trained.
        base_weight: u, shape (out_features, in_features). None without a base.
        bias: None, as in an `nn.Linear` without one: constants are c, in `output_bias`, one an edge.
        mask: 1 for the edges that are kept, 0 for those that are pruned, shape (out_features, in_features).

    Raises:
        ValueError: fewer than one feature, upload or group, an unknown ansatz, read-out or base, an own circuit of more
            than one qubit or without data slots; inputs of another last dimension or with NaN, or parameters with NaN
            (inside torch.func transforms and torch.compile nobody can look).
        TypeError: inputs that are no dense tensor of the parameters' dtype; parameters in half precision.

    Reference:
        arXiv:2509.14026. The published package keeps v, c, w and b fixed by default; its layers have the bias
        inside, v (phi + c), as here.

    Example:
        >>> import torch
        >>> from qml.nn import QKANLayer
        >>> QKANLayer(4, 3)(torch.rand(5, 4)).shape
        torch.Size([5, 3])
    """

    output_weight: nn.Parameter | None
    output_bias: nn.Parameter | None
    base_weight: nn.Parameter | None
    bias: None
    mask: Tensor

    def __init__(  # noqa: PLR0913 - torch's device, dtype and generator come on top
        self,
        in_features: int,
        out_features: int,
        *,
        reps: int = 3,
        ansatz: str | Circuit = "pz",
        train_preactivation: bool = True,
        train_postactivation: bool = True,
        base: str | Callable[[Tensor], Tensor] | None = "silu",
        groups: int | None = None,
        readout: Literal["z", "amplitudes"] = "z",
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        in_features = checks.as_int(in_features, "in_features", 1)
        out_features = checks.as_int(out_features, "out_features", 1)
        groups = None if groups is None else checks.as_int(groups, "groups", 1)
        train_postactivation = checks.as_flag(train_postactivation, "train_postactivation")
        function = base_function(base)
        super().__init__(
            (out_features, in_features) if groups is None else (groups,),
            reps=reps,
            ansatz=ansatz,
            train_preactivation=train_preactivation,
            readout=readout,
            backend=backend,
            device=device,
            dtype=dtype,
        )
        self.in_features, self.out_features, self.groups = in_features, out_features, groups
        self.base, self._base_function = base, function
        edges = (out_features, in_features)
        for name, wanted in (
            ("output_weight", train_postactivation),
            ("output_bias", train_postactivation),
            ("base_weight", base is not None),
        ):
            parameter = nn.Parameter(self.weights.new_empty(edges)) if wanted else None
            self.register_parameter(name, parameter)
        self.register_parameter("bias", None)
        self.register_buffer("mask", self.weights.new_ones(edges))
        self._kept = Kept()
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the angles; every other parameter starts at its value in the class's list."""
        self._reset_activations(generator)
        for parameter, value in ((self.output_weight, 1.0), (self.output_bias, 0.0), (self.base_weight, 0.5)):
            if parameter is not None:
                nn.init.constant_(parameter, value)
        if self.groups is not None and self.output_weight is not None:  # else outputs that share circuits start equal
            nn.init.uniform_(self.output_weight, 0.0, 2.0, generator=generator)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "QKANLayer":  # torch's hook of .to()
        """Keep every edge of a layer that leaves the meta device, where no mask has values, until weights load."""
        had_values = not self.mask.is_meta
        super()._apply(fn, recurse)
        if not had_values and not self.mask.is_meta:
            self.mask.fill_(1.0)
        return self

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Compute the layer's outputs; see the class."""
        flat = self._flattened(inputs, self.in_features)
        uploaded, closed_form = self._uploaded(flat), self._is_closed_form
        basis = self._basis_for(uploaded, closed_form=closed_form)
        with full_precision(flat):
            edges = self._edge_weights(visible=basis is not None or not checks.hides_values())
            if basis is None:
                result = edges.plus_base(flat, self._point_by_point(uploaded, edges, closed_form=closed_form))
            elif self.base == "silu" and uploaded is flat:
                result = product.expand(basis, flat, self._coefficients(basis, edges), edges.base_weight)
                result = result if edges.bias is None else result + edges.bias
            else:
                result = edges.plus_base(flat, product.expand(basis, uploaded, self._coefficients(basis, edges)))
        checks.require_finite_result(result, self)
        return result.reshape(*inputs.shape[:-1], self.out_features)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            **self._activation_options(),
            "train_postactivation": self.output_weight is not None,
            "base": self.base,
            "groups": self.groups,
        }

    def series_on(self, low: float, high: float, *, most: float | int) -> LayerSeries | None:
        """Return the layer as a series of at most `most` functions, exact for inputs in [low, high].

        It is differentiable in the parameters. The result is None for another read-out than "z", a backend that runs
        circuits, activations of arccosines, whose series is one in arccos x, and a range on which a series would take
        more functions.
        """
        if self._uploads_arccos:
            return None
        basis = self._basis_on(low, high, most=most, closed_form=self._is_closed_form)
        if basis is None:
            return None
        edges, plain = self._edge_weights(visible=not checks.hides_values()), checks.needs_plain_operations()
        coefficients = self._computed_coefficients(basis, edges) if plain else self._coefficients(basis, edges)
        return LayerSeries(basis, coefficients, *edges[2:])

    def extended(self, reps: int) -> "QKANLayer":
        """Return the same function with more uploads, to be trained further: added blocks start as the identity.

        Added angles are 0 (for "real" pi). For "pz" and "rpz" added blocks commute with the read-out, so w starts at
        1; for "mix" and "real" w starts at 0.

        Raises:
            ValueError: fewer uploads than there are; "px" or an own circuit; "mix" or "real" with fixed
                pre-activations.
        """
        config: dict[str, Any] = self.config() | {"reps": checks.as_int(reps, "reps", self.reps)}
        new = QKANLayer(**config, backend=self.backend, device=self.weights.device, dtype=self.weights.dtype)
        extend_parameters(self.ansatz, self._parameters_as_held(), new._parameters_as_held())
        with torch.no_grad():
            new.mask.copy_(self.mask)
            for name in ("output_weight", "output_bias", "base_weight"):
                if getattr(self, name) is not None:
                    getattr(new, name).copy_(getattr(self, name))
        return new

    def to_sympy(self, variables: list | None = None, *, tolerance: float = 0.0) -> list:
        """Write each output as a sympy expression, exact but for terms of amplitude up to `tolerance`, left out.

        Args:
            variables: names, sympy symbols or expressions, one an input; None for x_1, x_2, ...
            tolerance: of the amplitude of a term, in units of the output.

        Raises:
            ValueError: a layer that `spectrum` refuses; a base that is not "silu", "identity" or None.
        """
        tolerance = checks.as_number(tolerance, "tolerance", at_least=0.0)
        variables = as_variables(variables, self.in_features)
        require_written_base(self.base)
        weights = self.output_weight, self.output_bias, self.base_weight
        numbers = layer_numbers(self.spectrum(), self.mask, *weights, groups=self.groups)
        return layer_expressions(numbers, variables, tolerance, base=self.base, arccos=self._uploads_arccos)

    @torch.no_grad()
    def importance(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "outputs inputs"]:
        """Compute how much each edge contributes: the standard deviation of its part of the output over `inputs`.

        Raises:
            ValueError: no samples.
        """
        return importance.importance(self.edge_outputs(inputs))

    def edge_outputs(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "batch outputs inputs"]:
        """Compute each edge's part of the output, v (phi + c) + u silu(x), shape (batch, out_features, in_features)."""
        flat = self._flattened(inputs, self.in_features)
        uploaded = self._uploaded(flat)
        checks.require_finite(flat, "inputs")
        values = self._values_at(uploaded.unsqueeze(-1), self._edge_parameters(), closed_form=self._is_closed_form)
        values = values.mT.expand(-1, self.out_features, -1)
        if self.output_weight is not None and self.output_bias is not None:
            values = self.output_weight * (values + self.output_bias)
        if self.base_weight is not None and self._base_function is not None:
            values = values + self.base_weight * self._base_function(flat).unsqueeze(1)
        values = values * self.mask
        checks.require_finite_result(values, self)
        return values

    def fit(self, edges: Sampled) -> None:
        """Take the parameters nearest to given functions, in closed form; see `QKAN.from_network`.

        Raises:
            ValueError: another ansatz than "pz", shared circuits, or parameters that are not trained; functions of
                another number, or with NaN.
            TypeError: functions in another form; parameters in half precision.
        """
        parameters = (self.input_weight, self.input_bias, self.output_weight, self.output_bias, self.base_weight)
        if self.ansatz != "pz" or self.groups is not None or self.base != "silu" or None in parameters:
            raise ValueError(
                'A layer must have ansatz "pz", base "silu", no groups and everything trained to be fitted to '
                "functions. Build one with the defaults."
            )
        require_edges(edges, self.in_features, self.out_features)
        checks.require_values(self)
        checks.require_full_precision(self.weights)
        fitted = fitted_edges(edges, self.reps, torch.finfo(self.weights.dtype).eps)
        with torch.no_grad():
            for name, values in fitted._asdict().items():
                getattr(self, name).copy_(torch.from_numpy(np.ascontiguousarray(values)))

    @torch.no_grad()
    def prune(self, inputs: Float[Tensor, "*batch inputs"], threshold: float) -> int:
        """Take out edges whose importance is below `threshold`, in place, and return how many are left."""
        scores = self.importance(inputs)
        mask = self.mask * (scores >= checks.as_number(threshold, "threshold"))
        importance.require_edges_left([mask], [scores], "threshold")
        self.mask.copy_(mask)
        return int(mask.sum())

    def regularisation(self, inputs: Float[Tensor, "*batch inputs"], *, entropy: float = 1.0) -> Float[Tensor, ""]:
        """Compute a penalty for large and many activations.

        It is the sum of the edges' mean sizes plus `entropy` times the entropy of their shares.

        Reference:
            Liu et al., "KAN: Kolmogorov-Arnold networks", arXiv:2404.19756, equations 2.17 to 2.20.
        """
        entropy = checks.as_number(entropy, "entropy")
        return importance.penalty(self.edge_outputs(inputs), entropy)

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        groups = "" if self.groups is None else f", groups={self.groups}"
        return f"{self.in_features}, {self.out_features}, {self._describe()}, base={self.base!r}{groups}"

    def _edge_parameters(self) -> ActivationParameters:
        """Return the parameters of every edge: shared circuits are repeated over the inputs, cyclically."""
        parameters = self._parameters_as_held()
        if self.groups is None:
            return parameters
        return parameters.at(torch.arange(self.in_features, device=self.weights.device) % self.groups)

    def _edge_weights(self, *, visible: bool) -> EdgeWeights:
        """Return v, sum_i v c and u of the edges that are not pruned; see `edge_weights`."""
        weights = self.output_weight, self.output_bias, self.base_weight
        return edge_weights(self.mask, *weights, self._base_function, shared=self.groups is not None, visible=visible)

    def _basis_for(self, inputs: Tensor, *, closed_form: bool) -> Basis | None:
        """Return functions in which every activation is exact at these inputs; None where points are cheaper.

        Raises:
            ValueError: inputs that are not finite.
        """
        if checks.hides_values() or inputs.is_meta:
            return None
        low, high = bases.bounds(inputs)
        if checks.in_forward_mode():
            return None
        n_samples = inputs.shape[0]
        most = MAX_TERM_SHARE * n_samples if n_samples >= MIN_SERIES_BATCH else 0.0
        return self._basis_on(low, high, most=most, closed_form=closed_form)

    def _basis_on(self, low: float, high: float, *, most: float | int, closed_form: bool) -> Basis | None:
        """Return at most `most` functions in which every activation is exact on [low, high]; see `series_on`."""
        if self.readout != "z" or not closed_form:
            return None
        if self.input_weight is None:
            return None if self._program.degree is None else Fourier(self._program.degree)
        if self._uploads_arccos or most < 1:
            return None
        bandwidth = self._bandwidth(self.input_weight)
        if not math.isfinite(bandwidth):
            checks.require_finite_parameters(self)
        basis = bases.chebyshev(low, high, bandwidth, self.weights.dtype)
        return basis if basis is not None and basis.size <= most else None

    def _bandwidth(self, scale: Tensor) -> float:
        """Return the highest frequency that an activation can have, computed again only for another `scale`."""
        compute = partial(highest_frequency, self._program, scale)
        return compute() if torch.is_grad_enabled() else self._kept.bandwidth(scale, compute)

    def _coefficients(self, basis: Basis, edges: EdgeWeights) -> Tensor:
        """Return those of v phi of every edge in `basis`, shape (basis.size, in_features, out_features).

        Without gradients they are kept, and computed again only where a parameter has changed. Not for calls where only
        plain operations are followed.
        """
        if torch.is_grad_enabled():
            return self._computed_coefficients(basis, edges)
        compute = partial(self._computed_coefficients, basis, edges)
        parameters = (*self._parameters_as_held(), self.output_weight, self.mask)
        return self._kept.coefficients(basis, [part for part in parameters if part is not None], compute)

    def _computed_coefficients(self, basis: Basis, edges: EdgeWeights) -> Tensor:
        nodes = basis.nodes(self.weights)[:, None, None]
        values = self._values_at(nodes, self._edge_parameters(), closed_form=True)
        with full_precision(values):
            coefficients = (basis.from_nodes(self.weights) @ values.flatten(1)).view_as(values)
        return coefficients if edges.is_one else coefficients * edges.scale.mT

    def _point_by_point(self, inputs: Tensor, edges: EdgeWeights, *, closed_form: bool) -> Tensor:
        """Compute sum_i v phi, in chunks of the batch that stay in cache."""
        parameters, scale, n_points = self._edge_parameters(), edges.scale.mT, inputs.shape[0]
        size = max(1, CHUNK // scale.numel()) if closed_form else max(1, n_points)  # one job for a device
        parts = [
            (self._values_at(part.unsqueeze(-1), parameters, closed_form=closed_form) * scale).sum(1)
            for part in inputs.split(size)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def for_steps(layer: QKANLayer) -> Callable[[Tensor], Tensor]:
    """Return the layer as a function of finite rows (batch, in_features), for many calls with few rows each.

    The weights of the edges are computed once, so parameters must not change between calls.
    """
    edges, closed_form = layer._edge_weights(visible=not checks.hides_values()), layer._is_closed_form

    def outputs(rows: Tensor) -> Tensor:
        result = layer._point_by_point(layer._uploaded(rows), edges, closed_form=closed_form)
        result = edges.plus_base(rows, result)
        checks.require_finite_result(result, layer)
        return result

    return outputs
