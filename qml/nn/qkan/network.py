"""Networks of QKAN layers: QKAN, and HQKAN between two affine maps."""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.backends import Backend
from qml.edges import Transfer, edge_layers, sample_edges, transferred
from qml.nn.qkan._linear import linear
from qml.nn.qkan._options import LayerOptions, shared_options
from qml.nn.qkan.formula import as_variables
from qml.nn.qkan.importance import require_edges_left
from qml.nn.qkan.layer import QKANLayer
from qml.nn.qkan.readable import NetworkFormula, readable_formula


class QKAN(nn.Module):
    """Quantum Kolmogorov-Arnold network: QKAN layers one after another.

    Args:
        widths: features at the input, after each layer, at the output; at least two.
        options: keyword arguments of every `QKANLayer`.

    Shape:
        (..., widths[0]) to (..., widths[-1]).

    Attributes:
        layers: the layers.

    Raises:
        ValueError: fewer than two widths, or one below 1; arguments that `QKANLayer` refuses.

    Reference:
        arXiv:2509.14026.

    Example:
        >>> import torch
        >>> from qml.nn import QKAN
        >>> QKAN([2, 5, 1])(torch.rand(7, 2)).shape
        torch.Size([7, 1])
    """

    def __init__(self, widths: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__()
        self.widths = _as_sizes(widths, "widths", "[inputs, outputs]")
        if len(self.widths) < 2:
            raise ValueError(
                f"Argument `widths` must hold at least two sizes, but is {list(self.widths)}. Pass [inputs, outputs]."
            )
        self.layers = nn.ModuleList(QKANLayer(size, next_size, **options) for size, next_size in pairwise(self.widths))

    @classmethod
    def from_network(cls, source: nn.Module, inputs: Float[Tensor, "batch inputs"], *, reps: int = 10) -> Transfer:
        """Build a QKAN that computes the function of a KAN, or of another QKAN, without training.

        On the range of its inputs every edge is fitted by least squares with silu and a trigonometric polynomial of
        degree `reps`, whose angles are then computed exactly. Beyond that range it is another function than its source.

        Args:
            source: a network of functions on edges.
            inputs: samples that span the range on which the QKAN is to be used; they also say device and dtype.
            reps: uploads of every circuit.

        Returns:
            The QKAN as `network`, with its errors.

        Raises:
            TypeError: a source of another kind; inputs that are no tensor of its dtype.
            ValueError: no upload; inputs that span no range, or leave the grid of a KAN.
        """
        layers, reps = edge_layers(source), checks.as_int(reps, "reps", 1)
        sampled = sample_edges(layers, inputs, 2 * reps + 2)
        widths = [layer.in_features for layer in layers] + [layers[-1].out_features]
        network = cls(widths, reps=reps, device=inputs.device, dtype=inputs.dtype)
        for layer, edges in zip(network.qkan_layers(), sampled, strict=True):
            layer.fit(edges)
        return transferred(network, source, inputs, sampled)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Apply all layers, one after another."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def extended(self, reps: int) -> "QKAN":
        """Return the same function with more uploads in every layer; see `QKANLayer.extended`."""
        new = QKAN(**self.config())
        new.layers = nn.ModuleList(layer.extended(reps) for layer in self.qkan_layers())
        return new

    def formula(
        self,
        inputs: list | None = None,
        *,
        outputs: list[str] | None = None,
        digits: int = 3,
        tolerance: float | int = 0.01,
    ) -> NetworkFormula:
        """Write the network in a form that is read, a line for each node; `to_sympy` is exact.

        Args:
            inputs: names or sympy symbols; None for x_1, x_2, ...
            outputs: names; None for y_1, y_2, ...
            digits: of every number.
            tolerance: terms below this share of the largest one of their layer are left out, in [0, 1).

        Raises:
            ValueError: see `QKANLayer.to_sympy`; another number of names than features.
        """
        symbols = as_variables(inputs, self.widths[0], "inputs")
        names = [str(name) for name in as_variables(outputs or _outputs(self.widths[-1]), self.widths[-1], "outputs")]
        share = checks.as_number(tolerance, "tolerance", at_least=0.0)
        if share >= 1:
            raise ValueError(f"Argument `tolerance` must be a share below 1, but is {share}. Use for example 0.01.")
        digits = checks.as_int(digits, "digits", 1)
        return readable_formula(self.qkan_layers(), symbols, names, digits=digits, share=share)

    def to_sympy(self, variables: list | None = None, *, tolerance: float = 0.0) -> list:
        """Write each output as one sympy expression of the inputs, which may be long; see `QKANLayer.to_sympy`."""
        for layer in self.qkan_layers():
            variables = layer.to_sympy(variables, tolerance=tolerance)
        return variables or []

    @torch.no_grad()
    def importance(self, inputs: Float[Tensor, "*batch inputs"]) -> list[Tensor]:
        """Compute each layer's `QKANLayer.importance` at its own inputs."""
        scores = []
        for layer in self.qkan_layers():
            scores.append(layer.importance(inputs))
            inputs = layer(inputs)
        return scores

    @torch.no_grad()
    def prune(self, inputs: Float[Tensor, "*batch inputs"], *, edge: float = 0.01, node: float = 0.01) -> int:
        """Take out edges of small importance and hidden nodes without an edge on one side; return how many edges stay.

        Args:
            inputs: where importance is judged.
            edge: least importance of an edge.
            node: least of the largest importance among a hidden node's incoming, and among its outgoing edges.

        Raises:
            ValueError: a layer would keep no edge, so that the network would be a constant; nothing is taken out.
        """
        edge, node = checks.as_number(edge, "edge"), checks.as_number(node, "node")
        scores = self.importance(inputs)
        layers = self.qkan_layers()
        masks = [layer.mask * (score >= edge) for layer, score in zip(layers, scores, strict=True)]
        for place, (incoming, outgoing) in enumerate(pairwise(scores)):
            alive = (incoming * masks[place]).amax(1).minimum((outgoing * masks[place + 1]).amax(0)) >= node
            masks[place] = masks[place] * alive[:, None]
            masks[place + 1] = masks[place + 1] * alive
        require_edges_left(masks, scores, "edge")
        for layer, mask in zip(layers, masks, strict=True):
            layer.mask.copy_(mask)
        return sum(int(layer.mask.sum()) for layer in layers)

    def regularisation(self, inputs: Float[Tensor, "*batch inputs"], *, entropy: float = 1.0) -> Tensor:
        """Sum the layers' `QKANLayer.regularisation` at their own inputs."""
        total = self.qkan_layers()[0].mask.new_zeros(())
        for layer in self.qkan_layers():
            total = total + layer.regularisation(inputs, entropy=entropy)
            inputs = layer(inputs)
        return total

    def to_backend(self, backend: Backend | str, *, width: int = 4) -> "QKAN":
        """See `QKANLayer.to_backend`."""
        for layer in self.qkan_layers():
            layer.to_backend(backend, width=width)
        return self

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"widths": self.widths, **shared_options(first_layer(self).config())}

    def qkan_layers(self) -> list[QKANLayer]:
        """Return the layers as a list of `QKANLayer`."""
        return [layer for layer in self.layers if isinstance(layer, QKANLayer)]


class JHCGNet(nn.Module):
    """An affine map, a small core of any kind, an affine map: most of a wide network's cost goes away.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        core: a module from (..., latent[0]) to (..., latent[1]): a QKAN, a KAN, an MLP.
        latent: the core's inputs and outputs, two sizes.
        bias: whether the affine maps have one.
        device: of the affine maps.
        dtype: of the affine maps.
        generator: for the affine maps' initial weights.

    Shape:
        (..., in_features) to (..., out_features).

    Raises:
        ValueError: a size below 1; inputs of another last dimension or with NaN; parameters with NaN; a core that gives
            another last dimension.
        TypeError: a core that is no module, or gives no tensor; inputs that are no dense tensor of the affine maps'
            dtype.

    Reference:
        arXiv:2509.14026, section on hybrid networks.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        core: nn.Module,
        *,
        latent: tuple[int, int],
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(core, nn.Module):
            raise TypeError(f"Argument `core` must be a torch.nn.Module, but is {type(core).__name__}.")
        if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
            raise ValueError(f"Argument `dtype` must be a floating torch.dtype, but is {dtype}.")
        checks.require_generator(generator)
        self.in_features = checks.as_int(in_features, "in_features", 1)
        self.out_features = checks.as_int(out_features, "out_features", 1)
        self.latent = _as_latent(latent)
        factory: dict[str, Any] = {
            "bias": checks.as_flag(bias, "bias"),
            "device": device,
            "dtype": dtype,
            "generator": generator,
        }
        self.encoder = linear(self.in_features, self.latent[0], **factory)
        self.core = core
        self.decoder = linear(self.latent[1], self.out_features, **factory)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Apply the first map, the core and the second map."""
        inputs = checks.as_like(inputs, self.encoder.weight)
        checks.require_last_dimension(inputs, self.in_features, "inputs")
        checks.require_finite(inputs, "inputs")
        encoded = self.encoder(inputs)
        checks.require_finite_result(encoded, self)
        features = self.core(encoded)
        self._require_features(features)
        result = self.decoder(features)
        checks.require_finite_result(result, self)
        return result

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for device, dtype and generator; `core` is the module itself."""
        sizes = {"in_features": self.in_features, "out_features": self.out_features, "latent": self.latent}
        return sizes | {"core": self.core, "bias": self.encoder.bias is not None}

    def _require_features(self, features: Any) -> None:
        if not isinstance(features, Tensor):
            raise TypeError(f"Argument `core` must give a tensor, but gave {type(features).__name__}. Wrap it.")
        if features.ndim < 1 or features.shape[-1] != self.latent[1]:
            raise ValueError(
                f"Argument `core` must give {self.latent[1]} features, as `latent` says, but gave shape "
                f"{tuple(features.shape)}."
            )

    def to_backend(self, backend: Backend | str, **options: Any) -> "JHCGNet":
        """Move the core to another backend, by its own `to_backend`; the affine maps stay where they are.

        Raises:
            TypeError: a core without circuits.
        """
        core: Any = self.core
        if not hasattr(core, "to_backend"):
            raise TypeError(f"Argument `core` must have circuits to run on a backend, but is {type(core).__name__}.")
        core.to_backend(backend, **options)
        return self


class HQKAN(JHCGNet):
    """`JHCGNet` with a QKAN core of ceil(log2(n)) features at either end.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        latent: the core's inputs and outputs; None for ceil(log2) of the network's, at least 1.
        options: keyword arguments of the core's `QKANLayer`; device, dtype and generator are the affine maps' too.

    Example:
        >>> import torch
        >>> from qml.nn import HQKAN
        >>> HQKAN(64, 10)(torch.rand(7, 64)).shape
        torch.Size([7, 10])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        latent: tuple[int, int] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        in_features = checks.as_int(in_features, "in_features", 1)
        out_features = checks.as_int(out_features, "out_features", 1)
        if latent is None:
            latent = (max(1, math.ceil(math.log2(in_features))), max(1, math.ceil(math.log2(out_features))))
        latent = _as_latent(latent)
        super().__init__(
            in_features,
            out_features,
            QKAN(latent, **options),
            latent=latent,
            device=options.get("device"),
            dtype=options.get("dtype"),
            generator=options.get("generator"),
        )

    @property
    def core_layer(self) -> QKANLayer:
        """Return the core's only layer."""
        return first_layer(self.core)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        sizes = {"in_features": self.in_features, "out_features": self.out_features, "latent": self.latent}
        return sizes | shared_options(self.core_layer.config())


def first_layer(module: nn.Module) -> QKANLayer:
    """Return the first QKAN layer inside; all layers of a network were made with the same options."""
    return next(part for part in module.modules() if isinstance(part, QKANLayer))


def _as_sizes(values: Any, name: str, example: str) -> tuple[int, ...]:
    """Return sizes of at least 1 as a tuple of ints, and refuse a number or a string alone with an `example`."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) != 1:
        raise TypeError(
            f"Argument `{name}` must be a sequence of sizes, but is {type(values).__name__}. Pass {name}={example}."
        )
    return tuple(checks.as_int(value, name, 1) for value in values)


def _as_latent(latent: Any) -> tuple[int, int]:
    """Return the sizes at the core's two ends."""
    sizes = _as_sizes(latent, "latent", "(inputs, outputs)")
    if len(sizes) != 2:
        raise ValueError(f"Argument `latent` must hold two sizes, but is {sizes}. Pass latent=(inputs, outputs).")
    return sizes[0], sizes[1]


def _outputs(size: int) -> list[str]:
    return [f"y_{k + 1}" for k in range(size)]
