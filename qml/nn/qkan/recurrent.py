"""Recurrent layers of QKAN cells, with the contract of `nn.LSTM` and `nn.GRU`."""

from functools import partial
from typing import Any, Unpack

from torch import Tensor

from qml.nn._recurrent import Recurrent, RecurrentLSTM, Sequences, as_state, require_no_projection
from qml.nn._torch_names import either
from qml.nn.qkan._options import LayerOptions
from qml.nn.qkan.cells import HQKANLSTMCell, OfQKANLayers, QKANGRUCell, QKANLSTMCell


class QKANLSTM(RecurrentLSTM, OfQKANLayers):
    """LSTM whose affine maps are QKAN layers: `nn.LSTM`'s arguments, shapes and results.

    Args:
        input_size: features of a time step.
        hidden_size: features of c, and of h.
        num_layers: layers, each reading the one before.
        bias: True; the constant parts of circuits cannot be left out.
        batch_first: whether inputs and outputs are (batch, time, features).
        dropout: share of the outputs of every layer but the last that are set to 0 in training, in [0, 1].
        bidirectional: whether a second cell reads each sequence backwards.
        proj_size: features of h after a linear map; 0 for none.
        options: keyword arguments of `QKANLayer`.

    Shape:
        inputs (time, batch, input_size), or (time, input_size) for one sequence, or a PackedSequence; state (h, c) of
        (num_layers * directions, batch, size) each, 0 where missing. Returns (outputs, (h, c)). A packed sequence comes
        back in the order of its own data and indices.

    Attributes:
        cells: a `QKANLSTMCell` for each layer and direction.

    Raises:
        ValueError: sizes or layers below 1, a projection not smaller than the hidden size, `bias=False`, dropout for
            one layer; inputs or a state of another shape or device; NaN or infinity in inputs, a state or a parameter.
        TypeError: inputs or a state that are no dense tensors of the layer's dtype, outside of autocast, under which
            they are converted; arguments of another kind.

    Reference:
        arXiv:2512.05049.

    Example:
        >>> import torch
        >>> from qml.nn import QKANLSTM
        >>> outputs, (h, c) = QKANLSTM(3, 5, batch_first=True)(torch.rand(2, 7, 3))
        >>> outputs.shape, h.shape
        (torch.Size([2, 7, 5]), torch.Size([1, 2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            partial(QKANLSTMCell, hidden_size=hidden_size, proj_size=proj_size, **options),
            input_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        return _cell_config(self) | super().config()


class HQKANLSTM(RecurrentLSTM, OfQKANLayers):
    """`QKANLSTM` with `HQKANLSTMCell`: an HQKAN for each affine map.

    Args:
        input_size: features of a time step.
        hidden_size: features of c, and of h.
        num_layers: layers, each reading the one before.
        bias: True; the constant parts of circuits cannot be left out.
        batch_first: whether inputs and outputs are (batch, time, features).
        dropout: share of the outputs of every layer but the last that are set to 0 in training, in [0, 1].
        bidirectional: whether a second cell reads each sequence backwards.
        proj_size: features of h after a linear map; 0 for none.
        latent: inputs and outputs of each core; None for ceil(log2) of the map's.
        options: keyword arguments of the cores' `QKANLayer`.

    Shape:
        As `QKANLSTM`.

    Reference:
        arXiv:2512.05049.
    """

    def __init__(  # noqa: PLR0913 - the arguments of torch's layer
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        latent: tuple[int, int] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            partial(HQKANLSTMCell, hidden_size=hidden_size, proj_size=proj_size, latent=latent, **options),
            input_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        return _cell_config(self) | super().config()


class QKANGRU(Recurrent, OfQKANLayers):
    """GRU whose affine maps are QKAN layers: `nn.GRU`'s arguments, shapes and results.

    Args:
        input_size: features of a time step.
        hidden_size: features of h.
        num_layers: layers, each reading the one before.
        bias: True; the constant parts of circuits cannot be left out.
        batch_first: whether inputs and outputs are (batch, time, features).
        dropout: share of the outputs of every layer but the last that are set to 0 in training, in [0, 1].
        bidirectional: whether a second cell reads each sequence backwards.
        proj_size: 0; a GRU has no projection, as `nn.GRU` has none.
        options: keyword arguments of `QKANLayer`.

    Shape:
        As `QKANLSTM`, with h alone as the state: returns (outputs, h).
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        **options: Unpack[LayerOptions],
    ) -> None:
        require_no_projection(proj_size, "a GRU has one state, which its gates read as it is")
        super().__init__(
            partial(QKANGRUCell, hidden_size=hidden_size, **options),
            input_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        return _cell_config(self) | super().config()

    def forward(
        self,
        inputs: Sequences | None = None,
        state: Tensor | None = None,
        *,
        input: Sequences | None = None,
        hx: Tensor | None = None,
    ) -> tuple[Sequences, Tensor]:
        """Compute the outputs of the last layer at every step, and h after the last.

        Args:
            inputs: sequences; see the class.
            state: h to start from; None for zeros.
            input: `nn.GRU`'s name of `inputs`.
            hx: `nn.GRU`'s name of `state`.
        """
        given = either(state, hx, "state", "hx")
        outputs, (h,) = self.run(either(inputs, input, "inputs", "input"), as_state(given, "h"))
        return outputs, h


def _cell_config(layer: Recurrent) -> dict[str, Any]:
    """Return the constructor arguments of the first cell, which all cells but for its `input_size` share."""
    cell: Any = layer.cells[0]
    return cell.config()
