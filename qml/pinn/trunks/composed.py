"""Trunks beside the MLPs: trainable Gaussians, a memory over depth, and a network for each subdomain."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from qml import checks
from qml.jets import Jet, JetModule
from qml.jets.jet import Array
from qml.pinn.trunks.dense import affine_maps, reset


class GaussianFeatures(JetModule):
    """Trainable Gaussians: x -> exp(-sum_d (x_d - m_nd)^2 / (2 s_nd^2)), to be followed by a small network.

    Args:
        in_features: coordinates.
        n_gaussians: how many; there is one feature each.
        low: least coordinates of the box that the first centres are drawn in.
        high: largest ones.
        width: of all first Gaussians, s as a share of the box's side.
        device: where the parameters live.
        dtype: their type.
        generator: source of the centres; None takes torch's own.

    Shape:
        (..., in_features) to (..., n_gaussians).

    Attributes:
        centres: m, (n_gaussians, in_features), uniform in the box.
        log_widths: log s, of the same shape.

    Raises:
        ValueError: no Gaussian, no width, or a box of other dimensions.

    Reference:
        Kang et al., physics-informed Gaussians, arXiv:2412.05994, equation 8 with diagonal covariances, which it uses
        too; there the features go to one small MLP.
    """

    def __init__(
        self,
        in_features: int,
        n_gaussians: int,
        *,
        low: Sequence[float],
        high: Sequence[float],
        width: float = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        in_features = checks.as_int(in_features, "in_features", 1)
        n_gaussians, width = checks.as_int(n_gaussians, "n_gaussians", 1), checks.as_number(width, "width", above=0)
        for corner, name in ((low, "low"), (high, "high")):
            checks.require_kind(corner, name, Sequence, " Pass one number a dimension.")
        if len(low) != in_features or len(high) != in_features or any(a >= b for a, b in zip(low, high, strict=True)):
            raise ValueError(
                f"Arguments `low` and `high` must be corners of a box of {in_features} dimensions, but are {low}, "
                f"{high}."
            )
        self.width = width
        self.centres = nn.Parameter(torch.empty(n_gaussians, in_features, device=device, dtype=dtype))
        self.log_widths = nn.Parameter(torch.empty_like(self.centres))
        self.register_buffer("low", self.centres.new_tensor(low))
        self.register_buffer("high", self.centres.new_tensor(high))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the centres anew, and take the first widths."""
        low, high = self.get_buffer("low"), self.get_buffer("high")
        with torch.no_grad():
            self.centres.uniform_(generator=generator).mul_(high - low).add_(low)
            self.log_widths.copy_((self.width * (high - low)).log().expand_as(self.log_widths))

    def forward(self, inputs: Array) -> Array:
        """Return the features; the square is multiplied out, so that two linear maps make all exponents."""
        sharpness = torch.exp(-2 * self.log_widths) / 2
        constant = (sharpness * self.centres**2).sum(1)
        square = nn.functional.linear(inputs * inputs, sharpness)  # pyright: ignore[reportArgumentType, reportOperatorIssue]
        cross = nn.functional.linear(inputs, -2 * sharpness * self.centres)  # pyright: ignore[reportArgumentType]
        return torch.exp(-(square + cross + constant))  # pyright: ignore[reportArgumentType]

    def extra_repr(self) -> str:
        """Return the sizes, for `repr`."""
        return f"{self.centres.shape[1]}, {len(self.centres)}, width={self.width:g}"


class LSTMTrunk(JetModule):
    """A network whose layers pass on a memory, as an LSTM does over time.

    With h_0 = tanh(A x), c_0 = 0 and, for each layer, gates i, f, o, g = W h + b: c <- sigmoid(f) c + sigmoid(i)
    tanh(g) and h <- sigmoid(o) tanh(c). Every layer has weights of its own; the read-out is affine in the last h.

    Args:
        in_features: coordinates or features.
        hidden_size: units of h and c.
        n_layers: at least one.
        out_features: fields.
        device: where the parameters live.
        dtype: their type.
        generator: source of the initial weights; None takes torch's own.

    Shape:
        (..., in_features) to (..., out_features).

    Attributes:
        layers: the affine maps: of the inputs, of the gates, of the read-out; initialised as in `MLP`.

    Reference:
        LSTM-PINN, arXiv:2604.14201: memory recursive in depth. The cell is that of torch.nn.LSTM.
    """

    def __init__(
        self,
        in_features: int,
        hidden_size: int,
        n_layers: int,
        out_features: int = 1,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        hidden_size = checks.as_int(hidden_size, "hidden_size", 1)
        sizes = (hidden_size,) * checks.as_int(n_layers, "n_layers", 1)
        self.layers = affine_maps((in_features, hidden_size), device, dtype)
        for size in sizes:
            self.layers.extend(affine_maps((size, 4 * size), device, dtype))
        self.layers.extend(affine_maps((hidden_size, out_features), device, dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        reset(self, generator)

    def forward(self, inputs: Array) -> Array:
        """Return the fields, before trial functions."""
        hidden: Any = torch.tanh(self.layers[0](inputs))
        memory: Any = None
        for layer in self.layers[1:-1]:
            enter, keep, leave, new = torch.chunk(layer(hidden), 4, dim=-1)
            entering: Any = torch.sigmoid(enter) * torch.tanh(new)
            memory = entering if memory is None else torch.sigmoid(keep) * memory + entering
            hidden = torch.sigmoid(leave) * torch.tanh(memory)
        return self.layers[-1](hidden)


class Pieces(JetModule):
    """A network for each subdomain: the box is cut along one coordinate, and `Interface` conditions join the pieces.

    All networks see all rows, and each row takes the outputs of the one it belongs to; a place belongs to the later.

    Args:
        trunks: one more than there are places.
        places: where the domain is cut, rising.
        column: of the trunk's inputs that the places refer to.

    Shape:
        As of the trunks.

    Raises:
        ValueError: places that do not rise, or another number of trunks.

    Reference:
        Few subdomains joined at interfaces, as in arXiv:2309.17345; conditions there as in arXiv:2210.12669.
    """

    def __init__(self, trunks: Sequence[nn.Module], places: Sequence[float], *, column: int = 0) -> None:
        super().__init__()
        if list(places) != sorted(set(places)) or len(trunks) != len(places) + 1:
            raise ValueError(
                f"Argument `places` must rise and be one fewer than the {len(trunks)} trunks, but is {tuple(places)}."
            )
        self.trunks, self.places, self.column = nn.ModuleList(trunks), tuple(map(float, places)), column

    def forward(self, inputs: Array) -> Array:
        """Return the outputs of each row's own network."""
        value = inputs.value if isinstance(inputs, Jet) else inputs
        along = value[..., self.column, None].detach()
        total: Any = None
        ends = (-torch.inf, *self.places, torch.inf)
        for index, trunk in enumerate(self.trunks):
            inside = ((along >= ends[index]) & (along < ends[index + 1])).to(value.dtype)
            part = trunk(inputs) * inside
            total = part if total is None else total + part
        return total

    def extra_repr(self) -> str:
        """Return the places of the cuts, for `repr`."""
        return f"places={self.places}, column={self.column}"
