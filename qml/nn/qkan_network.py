"""Networks of QKAN layers: QKAN, and HQKAN between two affine maps."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml.backends import Backend
from qml.nn import _checks
from qml.nn._linear import linear
from qml.nn._options import LayerOptions
from qml.nn.qkan import QKANLayer


class QKAN(nn.Module):
    """Quantum Kolmogorov-Arnold network: QKAN layers one after another.

    Args:
        widths: features at the input, after each layer, at the output; at least two.
        options: what every `QKANLayer` takes.

    Shape:
        (..., widths[0]) to (..., widths[-1]).

    Attributes:
        layers: the layers.

    Raises:
        ValueError: fewer than two widths, or one below 1; what `QKANLayer` refuses.

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
        if len(widths) < 2:
            raise ValueError(
                f"Argument `widths` must hold at least two sizes, but is {list(widths)}. Pass [inputs, outputs]."
            )
        for width in widths:
            _checks.require_at_least(width, "widths", 1)
        self.widths = tuple(widths)
        self.layers = nn.ModuleList(QKANLayer(size, next_size, **options) for size, next_size in pairwise(widths))

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Through all layers."""
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def to_backend(self, backend: Backend | str, *, width: int = 4) -> "QKAN":
        """See `QKANLayer.to_backend`."""
        for layer in self.qkan_layers():
            layer.to_backend(backend, width=width)
        return self

    def qkan_layers(self) -> list[QKANLayer]:
        """The layers, typed."""
        return [layer for layer in self.layers if isinstance(layer, QKANLayer)]


class JHCGNet(nn.Module):
    """An affine map, a small core of any kind, an affine map: most of a wide network's cost goes away.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        core: a module from (..., latent[0]) to (..., latent[1]): a QKAN, a KAN, an MLP.
        latent: the core's inputs and outputs.
        bias: whether the affine maps have one.
        device: of the affine maps.
        dtype: of the affine maps.
        generator: for the affine maps' initial weights.

    Shape:
        (..., in_features) to (..., out_features).

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
        for value, name in ((in_features, "in_features"), (out_features, "out_features"), (min(latent), "latent")):
            _checks.require_at_least(value, name, 1)
        self.in_features, self.out_features, self.latent = in_features, out_features, latent
        self.encoder = linear(in_features, latent[0], bias=bias, device=device, dtype=dtype, generator=generator)
        self.core = core
        self.decoder = linear(latent[1], out_features, bias=bias, device=device, dtype=dtype, generator=generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Through both maps and the core."""
        return self.decoder(self.core(self.encoder(inputs)))


class HQKAN(JHCGNet):
    """`JHCGNet` with a QKAN core of ceil(log2(n)) features at either end.

    Args:
        in_features: number of inputs.
        out_features: number of outputs.
        latent: the core's inputs and outputs; None for ceil(log2) of the network's, at least 1.
        options: what the core's `QKANLayer` takes; its device, dtype and generator are those of the affine maps too.

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
        _checks.require_at_least(in_features, "in_features", 1)
        _checks.require_at_least(out_features, "out_features", 1)
        if latent is None:
            latent = (max(1, math.ceil(math.log2(in_features))), max(1, math.ceil(math.log2(out_features))))
        super().__init__(
            in_features,
            out_features,
            QKAN(latent, **options),
            latent=latent,
            device=options.get("device"),
            dtype=options.get("dtype"),
            generator=options.get("generator"),
        )
