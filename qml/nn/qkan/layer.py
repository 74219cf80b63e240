"""The layer of a quantum Kolmogorov-Arnold network."""

from collections.abc import Callable
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from circuits import Circuit
from qml import checks
from qml.backends import Backend
from qml.checks import full_precision
from qml.edges import Sampled
from qml.nn.qkan.activations import Activations
from qml.nn.qkan.extension import extend_into
from qml.nn.qkan.formula import as_variables, layer_expressions
from qml.nn.qkan.initial import reset_activations
from qml.nn.qkan.points.bloch import arccos
from qml.nn.qkan.points.slopes import CHUNK
from qml.nn.qkan.series import product
from qml.nn.qkan.series.bases import Basis
from qml.nn.qkan.series.kept import Kept
from qml.nn.qkan.transfer import fit_edges

BASES: dict[str, Callable[[Tensor], Tensor]] = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "identity": torch.positive,
}


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
        base_weight: u, shape (out_features, in_features). None where there is no base.
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
        function = _base_function(base)
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
        self.register_buffer("mask", self.weights.new_ones(edges))
        self._kept = Kept()
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the angles; every other parameter starts at its value in the class's list."""
        reset_activations(self, generator)
        for parameter, value in ((self.output_weight, 1.0), (self.output_bias, 0.0), (self.base_weight, 0.5)):
            if parameter is not None:
                nn.init.constant_(parameter, value)
        if self.groups is not None and self.output_weight is not None:  # else outputs that share circuits start equal
            nn.init.uniform_(self.output_weight, 0.0, 2.0, generator=generator)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "QKANLayer":  # torch's hook of .to()
        """A layer that leaves the meta device, where no mask has values, keeps every edge until weights are loaded."""
        had_values = not self.mask.is_meta
        super()._apply(fn, recurse)
        if not had_values and not self.mask.is_meta:
            self.mask.fill_(1.0)
        return self

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """The layer's outputs; see the class."""
        flat = self.flattened(inputs, self.in_features)
        uploaded = arccos(flat) if self.uploads_arccos and self.input_weight is None else flat
        basis = self.basis_for(uploaded)
        with full_precision(flat):
            if basis is None:
                result = self.with_base(flat, self._point_by_point(uploaded))
            elif self.base == "silu" and uploaded is flat:
                whole = self._is_whole()
                result = product.expand(basis, flat, self.edge_coefficients(basis), self.base_matrix(whole=whole))
                result = result if self.output_bias is None else result + self.bias(whole=whole)
            else:
                result = self.with_base(flat, product.expand(basis, uploaded, self.edge_coefficients(basis)))
        checks.require_finite_result(result, self)
        return result.reshape(*inputs.shape[:-1], self.out_features)

    @property
    def options(self) -> dict[str, Any]:
        """Constructor arguments beside sizes, device and dtype."""
        trained = self.output_weight is not None
        return super().options | {"train_postactivation": trained, "base": self.base, "groups": self.groups}

    def edge_scale(self) -> Tensor:
        """v of every edge, 0 where it is pruned, shape (in_features, out_features)."""
        return (self.mask if self.output_weight is None else self._masked(self.output_weight)).mT

    def edge_coefficients(self, basis: Basis) -> Tensor:
        """Of v phi of every edge in `basis`, shape (basis.size, in_features, out_features).

        Without gradients they are kept, and computed again only where a parameter has changed.
        """
        if torch.is_grad_enabled() or checks.needs_plain_operations():
            return self._scaled_coefficients(basis)
        parameters = (self.weights, self.input_weight, self.input_bias, self.output_weight, self.mask)
        tensors = [parameter for parameter in parameters if parameter is not None]
        return self._kept.coefficients(basis, tensors, lambda: self._scaled_coefficients(basis))

    def bandwidth(self) -> float:
        """The highest frequency that an activation can have; kept as the coefficients are."""
        if self.input_weight is None or torch.is_grad_enabled():
            return super().bandwidth()
        return self._kept.bandwidth(self.input_weight, super().bandwidth)

    def spread(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Shared circuits are spread over the inputs, cyclically."""
        if self.groups is None:
            return super().spread()
        places = torch.arange(self.in_features, device=self.weights.device) % self.groups
        weights, scale, shift = super().spread()
        return weights[places], None if scale is None else scale[places], None if shift is None else shift[places]

    def _scaled_coefficients(self, basis: Basis) -> Tensor:
        coefficients = self.coefficients(basis)
        return coefficients if self.output_weight is None and self._is_whole() else coefficients * self.edge_scale()

    def _masked(self, values: Tensor, whole: bool | None = None) -> Tensor:
        """Values of every edge, 0 where it is pruned; `whole` is `_is_whole` where it is known."""
        return values if whole or (whole is None and self._is_whole()) else values * self.mask

    def _is_whole(self) -> bool:
        """Whether no edge is known to be pruned."""
        mask = self.mask
        return mask.is_cpu and not checks.hides_values() and bool(mask.all())

    def _point_by_point(self, inputs: Tensor) -> Tensor:
        """sum_i v phi, in chunks of the batch that stay in cache."""
        scale = self.edge_scale()
        n_points = inputs.shape[0]
        size = max(1, CHUNK // scale.numel()) if self.is_native else max(1, n_points)  # one job for a device
        parts = [(self.values_at(part.unsqueeze(-1)) * scale).sum(1) for part in inputs.split(size)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def with_base(self, inputs: Tensor, result: Tensor) -> Tensor:
        """Plus v c and the residual activation."""
        whole = self._is_whole()
        if self.output_bias is not None:
            result = result + self.bias(whole=whole)
        matrix = self.base_matrix(whole=whole)
        return result if matrix is None else torch.addmm(result, self.base_of(inputs), matrix)

    def bias(self, *, whole: bool | None = None) -> Tensor:
        """sum_i v c, shape (out_features,); `whole` says whether no edge is pruned, where that is known."""
        scale, shift = self.output_weight, self.output_bias
        if scale is None or shift is None:
            return self.mask.new_zeros(self.out_features)
        return (self._masked(scale, whole) * shift).sum(1)

    def base_matrix(self, *, whole: bool | None = None) -> Tensor | None:
        """u of every edge, 0 where it is pruned, shape (in_features, out_features); None without a base.

        `whole` says whether no edge is pruned, where that is known.
        """
        weight = self.base_weight
        return None if weight is None else self._masked(weight, whole).mT

    def base_of(self, inputs: Tensor) -> Tensor:
        """The residual activation itself."""
        return inputs if self._base_function is None else self._base_function(inputs)

    def extended(self, reps: int) -> "QKANLayer":
        """The same function with more uploads, to be trained further: what is added starts as the identity.

        Added angles are 0 (for "real" pi). For "pz" and "rpz" what is added commutes with the read-out, so w starts at
        1; for "mix" and "real" w starts at 0.

        Raises:
            ValueError: fewer uploads than there are; "px" or an own circuit; "mix" or "real" with fixed
                pre-activations.
        """
        options: dict[str, Any] = self.options | {"reps": checks.as_int(reps, "reps", self.reps)}
        new = QKANLayer(
            self.in_features,
            self.out_features,
            **options,
            backend=self.backend,
            device=self.weights.device,
            dtype=self.weights.dtype,
        )
        extend_into(self, new)
        with torch.no_grad():
            new.mask.copy_(self.mask)
            for name in ("output_weight", "output_bias", "base_weight"):
                if getattr(self, name) is not None:
                    getattr(new, name).copy_(getattr(self, name))
        return new

    def to_sympy(self, variables: list | None = None, *, tolerance: float = 0.0) -> list:
        """Each output as a sympy expression, exact but for terms of amplitude up to `tolerance`, which are left out.

        Args:
            variables: sympy symbols or expressions, one an input; None for x_1, x_2, ...
            tolerance: of the amplitude of a term, in units of the output.

        Raises:
            ValueError: what `spectrum` refuses; a base that is not "silu", "identity" or None.
        """
        tolerance = checks.as_number(tolerance, "tolerance", at_least=0.0)
        return layer_expressions(self, as_variables(variables, self.in_features), tolerance)

    @torch.no_grad()
    def importance(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "outputs inputs"]:
        """How much each edge contributes: the standard deviation of its part of the output over `inputs`.

        Raises:
            ValueError: no samples.
        """
        return _over_samples(self.edge_outputs(inputs)).std(0, correction=0)

    def edge_outputs(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "batch outputs inputs"]:
        """Every edge's part of the output, v (phi + c) + u silu(x), shape (batch, out_features, in_features)."""
        flat = self.flattened(inputs, self.in_features)
        uploaded = arccos(flat) if self.uploads_arccos and self.input_weight is None else flat
        checks.require_finite(flat, "inputs")
        values = self.values_at(uploaded.unsqueeze(-1)).mT.expand(-1, self.out_features, -1)
        if self.output_weight is not None and self.output_bias is not None:
            values = self.output_weight * (values + self.output_bias)
        if self.base_weight is not None:
            values = values + self.base_weight * self.base_of(flat).unsqueeze(1)
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
        fit_edges(self, edges)

    @torch.no_grad()
    def prune(self, inputs: Float[Tensor, "*batch inputs"], threshold: float) -> int:
        """Take out edges whose importance is below `threshold`, in place; how many are left."""
        threshold = checks.as_number(threshold, "threshold")
        self.mask.mul_((self.importance(inputs) >= threshold).to(self.mask.dtype))
        return int(self.mask.sum())

    def regularisation(self, inputs: Float[Tensor, "*batch inputs"], *, entropy: float = 1.0) -> Float[Tensor, ""]:
        """Sum of the edges' mean sizes plus `entropy` times the entropy of their shares: small and few activations.

        Reference:
            Liu et al., "KAN: Kolmogorov-Arnold networks", arXiv:2404.19756, equations 2.17 to 2.20.
        """
        entropy = checks.as_number(entropy, "entropy")
        sizes = _over_samples(self.edge_outputs(inputs)).abs().mean(0)
        shares = sizes / sizes.sum().clamp_min(torch.finfo(sizes.dtype).tiny)
        return sizes.sum() + entropy * torch.special.entr(shares).sum()

    def extra_repr(self) -> str:
        """What `repr` shows."""
        groups = "" if self.groups is None else f", groups={self.groups}"
        return f"{self.in_features}, {self.out_features}, {self.describe()}, base={self.base!r}{groups}"


def _over_samples(values: Tensor) -> Tensor:
    """Values of the edges, (batch, outputs, inputs), refused where there are none to judge by."""
    if len(values) == 0:
        raise ValueError(
            "Argument `inputs` must hold at least one sample, but is empty. Pass samples to judge edges by."
        )
    return values


def _base_function(base: str | Callable[[Tensor], Tensor] | None) -> Callable[[Tensor], Tensor] | None:
    if base is None or callable(base):
        return base
    if not isinstance(base, str) or base not in BASES:
        raise ValueError(f"Argument `base` must be a function, None or one of {', '.join(BASES)}, but is {base!r}.")
    return BASES[base]
