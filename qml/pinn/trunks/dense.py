"""Networks from coordinates to fields: MLP, modified MLP, Fourier features. They take tensors and jets."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from qml import checks
from qml.jets import CoordinateJet, JetModule
from qml.jets.fused import fused_mlp
from qml.jets.jet import Array

ACTIVATIONS: dict[str, Callable[..., Tensor]] = {"tanh": torch.tanh, "sin": torch.sin}

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class MLP(JetModule):
    """Layers of tanh or sine units and an affine read-out.

    Args:
        in_features: coordinates or features.
        hidden_sizes: units of each hidden layer, at least one layer; a number alone is one layer.
        out_features: fields.
        activation: "tanh" or "sin".
        device: where the parameters live.
        dtype: their type.
        generator: source of the initial weights; None takes torch's own.

    Shape:
        (..., in_features) to (..., out_features).

    Attributes:
        layers: the affine maps; weights from N(0, 2 / (in + out)) (Glorot), biases 0.
    """

    def __init__(
        self,
        in_features: int,
        hidden_sizes: int | Sequence[int],
        out_features: int = 1,
        *,
        activation: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.activation = _require_activation(activation)
        checks.require_generator(generator)
        widths = checks.as_widths(hidden_sizes, "hidden_sizes")
        self.layers = affine_maps((in_features, *widths, out_features), device, dtype)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        reset(self, generator)

    @property
    def fuses_layers(self) -> bool:
        """Return True if all layers on the coordinates are one function; hooks want to see them one by one."""
        if self.activation != "tanh" or type(self).forward is not MLP.forward:
            return False
        for part in self.layers:
            own = vars(part)
            if type(part) is not nn.Linear or own["_parameters"].get("bias") is None or any(map(own.get, HOOKS)):
                return False
        return True

    def forward(self, inputs: Array, others: Tensor | None = None) -> Array | tuple[Array, Tensor]:
        """Return the fields, before trial functions.

        Args:
            inputs: coordinates, or their jet.
            others: points (others, in_features) where values suffice, beside the jet of the coordinates themselves.

        Returns:
            The fields; with `others` these and the values there, in one pass.

        Raises:
            ValueError: `others` where there is no such pass.
        """
        if isinstance(inputs, CoordinateJet) and self.fuses_layers:
            outputs = fused_mlp(inputs, list(self.layers), others)  # pyright: ignore[reportArgumentType]
            return outputs[0] if others is None else outputs
        if others is not None:
            raise ValueError("Argument `others` must be None unless `fuses_layers` and inputs are a CoordinateJet.")
        activate = ACTIVATIONS[self.activation]
        hidden = inputs
        for layer in self.layers[:-1]:
            hidden = activate(layer(hidden))
        return self.layers[-1](hidden)

    def extra_repr(self) -> str:
        """Return the activation, for `repr`."""
        return f"activation={self.activation!r}"


class ModifiedMLP(JetModule):
    """An MLP whose layers mix two encodings of the inputs: H <- (1 - Z) U + Z V with Z = tanh(W H + b).

    Args:
        in_features: coordinates or features.
        hidden_size: units of every hidden layer and of both encoders.
        n_layers: hidden layers, at least one.
        out_features: fields.
        activation: "tanh" or "sin".
        device: where the parameters live.
        dtype: their type.
        generator: source of the initial weights; None takes torch's own.

    Shape:
        (..., in_features) to (..., out_features).

    Attributes:
        encoders: the affine maps of U and V.
        layers: the others; all are initialised as in `MLP`.

    Reference:
        Wang, Teng, Perdikaris, arXiv:2001.04536, section 2.6, whose Z, U, V and H these are.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int,
        n_layers: int,
        out_features: int = 1,
        *,
        activation: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.activation = _require_activation(activation)
        checks.require_generator(generator)
        hidden_size = checks.as_int(hidden_size, "hidden_size", 1)
        hidden_sizes = (hidden_size,) * checks.as_int(n_layers, "n_layers", 1)
        self.encoders = affine_maps((in_features, hidden_size), device, dtype)
        self.encoders.extend(affine_maps((in_features, hidden_size), device, dtype))
        self.layers = affine_maps((in_features, *hidden_sizes, out_features), device, dtype)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        reset(self, generator)

    def forward(self, inputs: Array) -> Array:
        """Return the fields, before trial functions."""
        activate = ACTIVATIONS[self.activation]
        first, other = (activate(encoder(inputs)) for encoder in self.encoders)
        difference = other - first
        hidden = inputs
        for layer in self.layers[:-1]:
            hidden = activate(layer(hidden)) * difference + first
        return self.layers[-1](hidden)

    def extra_repr(self) -> str:
        """Return the activation, for `repr`."""
        return f"activation={self.activation!r}"


class FourierFeatures(JetModule):
    """Random Fourier features, not trained: x -> [cos(B x), sin(B x)] with B from N(0, scale^2).

    Args:
        in_features: coordinates.
        n_frequencies: rows of B; there are twice as many features.
        scale: of the frequencies, in radians a unit of the coordinates.
        device: where B lives.
        dtype: its type.
        generator: source of B; None takes torch's own.

    Shape:
        (..., in_features) to (..., 2 n_frequencies).

    Attributes:
        frequencies: B, a buffer.

    Reference:
        Tancik et al., arXiv:2006.10739, with B x in place of 2 pi B x.
    """

    frequencies: Tensor

    def __init__(
        self,
        in_features: int,
        n_frequencies: int,
        *,
        scale: float = 1.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        in_features = checks.as_int(in_features, "in_features", 1)
        n_frequencies = checks.as_int(n_frequencies, "n_frequencies", -math.inf)
        scale = checks.as_number(scale, "scale")
        if n_frequencies < 1 or not scale > 0:
            raise ValueError(
                f"Arguments `n_frequencies` and `scale` must be positive, but are {n_frequencies} and {scale}."
            )
        self.scale = scale
        frequencies = torch.empty(n_frequencies, in_features, device=device, dtype=dtype)
        self.register_buffer("frequencies", frequencies.normal_(0.0, scale, generator=generator))

    def forward(self, inputs: Array) -> Array:
        """Return the features."""
        phases = nn.functional.linear(inputs, self.frequencies)  # pyright: ignore[reportArgumentType]
        return torch.cat([torch.cos(phases), torch.sin(phases)], -1)

    def extra_repr(self) -> str:
        """Return the sizes, for `repr`."""
        return f"{self.frequencies.shape[1]}, {len(self.frequencies)}, scale={self.scale:g}"


def affine_maps(sizes: tuple[int, ...], device: torch.device | str | None, dtype: torch.dtype | None) -> nn.ModuleList:
    """Make affine maps without initial values, which nn.Linear would draw from torch's global generator."""
    sizes = (
        checks.as_int(sizes[0], "in_features", 1),
        *sizes[1:-1],
        checks.as_int(sizes[-1], "out_features", 1),
    )
    maps = [nn.Linear(size, following, device="meta", dtype=dtype) for size, following in pairwise(sizes)]
    return nn.ModuleList(part.to_empty(device=device or "cpu") for part in maps)


def reset(trunk: nn.Module, generator: torch.Generator | None) -> None:
    """Set Glorot's weights and no biases for all affine maps of a trunk."""
    for part in trunk.modules():
        if isinstance(part, nn.Linear):
            deviation = math.sqrt(2.0 / (part.in_features + part.out_features))
            nn.init.normal_(part.weight, 0.0, deviation, generator=generator)
            nn.init.zeros_(part.bias)


def _require_activation(activation: str) -> str:
    checks.require_choice(activation, "activation", tuple(ACTIVATIONS))
    return activation
