"""Recurrent cells whose affine maps are QKAN layers."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Unpack

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.backends import Backend
from qml.checks import full_precision
from qml.nn._recurrent import State, as_bias, as_state, start_state
from qml.nn._torch_names import either
from qml.nn.qkan._linear import linear, reset_linear
from qml.nn.qkan._lstm_scan import lstm_scan
from qml.nn.qkan._options import LayerOptions, shared_options
from qml.nn.qkan.layer import MIN_SERIES_BATCH, QKANLayer, for_steps
from qml.nn.qkan.network import HQKAN, first_layer
from qml.nn.qkan.series import product
from qml.nn.qkan.series.bases import bounds


class OfQKANLayers(nn.Module):
    """A module whose QKAN layers were all made with the same options."""

    __prepare_scriptable__ = checks.refuse_scripting

    def qkan_layers(self) -> list[QKANLayer]:
        """Return every QKAN layer inside."""
        return [module for module in self.modules() if isinstance(module, QKANLayer)]

    def to_backend(self, backend: Backend | str, *, width: int = 4) -> "OfQKANLayers":
        """See `QKANLayer.to_backend`.

        A `QKANLSTM` and a `QKANGRU` send a job for all inputs and one a step, a `HQKANLSTM` four a step, since steps
        depend on each other.
        """
        for layer in self.qkan_layers():
            layer.to_backend(backend, width=width)
        return self

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the parameters of the QKAN layers, and of affine maps beside them, anew."""
        for module in self.modules():
            if isinstance(module, QKANLayer):
                module.reset_parameters(generator)
            elif isinstance(module, nn.Linear):
                reset_linear(module, generator)


class QKANLSTMCell(OfQKANLayers):
    """A cell of an LSTM whose four affine maps of [h, x] are QKAN layers.

    f, i, o = sigmoid(Phi(h, x)), g = tanh(Phi(h, x)); c' = f c + i g; h' = o tanh(c'). A QKAN layer is a sum over its
    inputs, so each Phi is one layer on x and one on h, as in `nn.LSTMCell`.

    Args:
        input_size: features of the input.
        hidden_size: features of c, and of h.
        bias: True; the constant parts of circuits cannot be left out.
        proj_size: features of h after a linear map; 0 for none.
        options: keyword arguments of `QKANLayer`.

    Shape:
        inputs (batch, input_size) or (input_size), state (h, c) to (h, c), as in `nn.LSTMCell`.

    Attributes:
        input_layer: QKAN layer from x to the gates i, f, g, o, hidden_size each.
        hidden_layer: QKAN layer from h to the gates.
        projection: the linear map of h, or None.

    Raises:
        ValueError: sizes below 1, inputs or a state of another shape or with NaN, arguments that `QKANLayer` refuses.

    Reference:
        arXiv:2512.05049, section on QKAN-LSTM.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        proj_size: int = 0,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        input_size, hidden_size, proj_size = _as_sizes(input_size, hidden_size, proj_size)
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.bias = as_bias(bias)
        self.state_sizes = (proj_size or hidden_size, hidden_size)
        self.input_layer = QKANLayer(input_size, 4 * hidden_size, **options)
        self.hidden_layer = QKANLayer(self.state_sizes[0], 4 * hidden_size, **options)
        self.projection = _projection(hidden_size, proj_size, options)

    def forward(
        self,
        inputs: Float[Tensor, "*batch inputs"] | None = None,
        state: tuple[Tensor, Tensor] | list[Tensor] | None = None,
        *,
        input: Tensor | None = None,
        hx: tuple[Tensor, Tensor] | list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute (h, c) after one step; a missing state is 0. `input` and `hx` are torch's names of the arguments."""
        given = as_state(either(state, hx, "state", "hx"), "h", "c")
        h, c = _one_step(self, either(inputs, input, "inputs", "input"), given)
        return h, c

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        sizes = {"input_size": self.input_size, "hidden_size": self.hidden_size, "proj_size": self.proj_size}
        return sizes | shared_options(self.input_layer.config())

    def prepare(self, inputs: Tensor, start: State) -> Callable[[int, State], State]:
        """Apply the input layer to all time steps at once, and expand the hidden layer; see `Cell`."""
        from_inputs = self.input_layer(inputs)
        from_hidden = self._hidden_map(inputs, start[0])
        return lambda time, state: lstm_step(from_inputs[time] + from_hidden(state[0]), state[1], self.projection)

    def scan(self, inputs: Tensor, start: State) -> tuple[Tensor, State] | None:
        """Compute all outputs and the last state at once; None where steps have to be taken one by one."""
        if self.projection is not None or self.hidden_layer.base not in ("silu", None) or len(inputs) == 0:
            return None
        series = self._hidden_map(inputs, start[0]).series
        if series is None:
            return None
        from_inputs = self.input_layer(inputs)
        from_inputs = from_inputs if series.bias is None else from_inputs + series.bias
        outputs, c = lstm_scan(series.basis, from_inputs, series.coefficients, series.base_weight, *start)
        return outputs, (outputs[-1], c)

    def _hidden_map(self, inputs: Tensor, start: Tensor) -> "HiddenMap":
        bound = _hidden_bound(start, self.projection)
        return HiddenMap(self.hidden_layer, bound, inputs)


class QKANGRUCell(OfQKANLayers):
    """A cell of a GRU whose affine maps are QKAN layers.

    r, z = sigmoid(Phi(h, x)); n = tanh(Phi_x(x) + r Phi_h(h)); h' = (1 - z) n + z h, as in `nn.GRUCell`.

    Args:
        input_size: features of the input.
        hidden_size: features of h.
        bias: True; the constant parts of circuits cannot be left out.
        options: keyword arguments of `QKANLayer`.

    Shape:
        inputs (batch, input_size) or (input_size), h to h, as in `nn.GRUCell`.

    Attributes:
        input_layer: QKAN layer from x to the gates r, z, n, hidden_size each.
        hidden_layer: QKAN layer from h to the gates.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, **options: Unpack[LayerOptions]) -> None:
        super().__init__()
        input_size, hidden_size, _ = _as_sizes(input_size, hidden_size, 0)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, as_bias(bias)
        self.state_sizes = (hidden_size,)
        self.input_layer = QKANLayer(input_size, 3 * hidden_size, **options)
        self.hidden_layer = QKANLayer(hidden_size, 3 * hidden_size, **options)

    def forward(
        self,
        inputs: Float[Tensor, "*batch inputs"] | None = None,
        state: Tensor | None = None,
        *,
        input: Tensor | None = None,
        hx: Tensor | None = None,
    ) -> Tensor:
        """Compute h after one step; a missing state is 0. `input` and `hx` are torch's names of the arguments."""
        given = as_state(either(state, hx, "state", "hx"), "h")
        return _one_step(self, either(inputs, input, "inputs", "input"), given)[0]

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        sizes = {"input_size": self.input_size, "hidden_size": self.hidden_size}
        return sizes | shared_options(self.input_layer.config())

    def prepare(self, inputs: Tensor, start: State) -> Callable[[int, State], State]:
        """Apply the input layer to all time steps at once, and expand the hidden layer; see `Cell`."""
        from_inputs = self.input_layer(inputs)
        bound = _hidden_bound(start[0], None)
        from_hidden = HiddenMap(self.hidden_layer, bound, inputs)

        def step(time: int, state: State) -> State:
            x_gates, x_new = from_inputs[time].tensor_split([2 * self.hidden_size], -1)
            h_gates, h_new = from_hidden(state[0]).tensor_split([2 * self.hidden_size], -1)
            reset, keep = (x_gates + h_gates).sigmoid().chunk(2, -1)
            new = (x_new + reset * h_new).tanh()
            return (torch.lerp(new, state[0], keep),)

        return step


class HQKANLSTMCell(OfQKANLayers):
    """`QKANLSTMCell` with an `HQKAN` of [h, x] for each of its four maps.

    Args:
        input_size: features of the input.
        hidden_size: features of c, and of h.
        bias: True; the constant parts of circuits cannot be left out.
        proj_size: features of h after a linear map; 0 for none.
        latent: inputs and outputs of each core; None for ceil(log2) of the map's.
        options: keyword arguments of the cores' `QKANLayer`.

    Shape:
        As `QKANLSTMCell`.

    Attributes:
        gates: the four maps i, f, g, o.
        projection: the linear map of h, or None.

    Reference:
        arXiv:2512.05049, section on HQKAN-LSTM.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        proj_size: int = 0,
        latent: tuple[int, int] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        input_size, hidden_size, proj_size = _as_sizes(input_size, hidden_size, proj_size)
        self.input_size, self.hidden_size, self.proj_size = input_size, hidden_size, proj_size
        self.bias = as_bias(bias)
        self.state_sizes = (proj_size or hidden_size, hidden_size)
        size = input_size + self.state_sizes[0]
        self.latent = latent
        self.gates = nn.ModuleList(HQKAN(size, hidden_size, latent=latent, **options) for _ in range(4))
        self.projection = _projection(hidden_size, proj_size, options)

    def forward(
        self,
        inputs: Float[Tensor, "*batch inputs"] | None = None,
        state: tuple[Tensor, Tensor] | list[Tensor] | None = None,
        *,
        input: Tensor | None = None,
        hx: tuple[Tensor, Tensor] | list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute (h, c) after one step; a missing state is 0. `input` and `hx` are torch's names of the arguments."""
        given = as_state(either(state, hx, "state", "hx"), "h", "c")
        h, c = _one_step(self, either(inputs, input, "inputs", "input"), given)
        return h, c

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        sizes = {"input_size": self.input_size, "hidden_size": self.hidden_size, "proj_size": self.proj_size}
        return sizes | {"latent": self.latent} | shared_options(first_layer(self.gates).config())

    def prepare(self, inputs: Tensor, start: State) -> Callable[[int, State], State]:
        """Apply the encoders to all time steps at once, and expand the cores; see `Cell`."""
        maps = [_GateMap(gate, inputs, start[0], self.projection) for gate in self.gates if isinstance(gate, HQKAN)]

        def step(time: int, state: State) -> State:
            return lstm_step(torch.cat([gate(time, state[0]) for gate in maps], -1), state[1], self.projection)

        return step


def lstm_step(gates: Tensor, c: Tensor, projection: nn.Linear | None) -> State:
    """Compute (h, c) from the gates i, f, g, o before their activations, (batch, 4 hidden)."""
    h, c = lstm_state(gates.chunk(4, -1), c)
    return (h if projection is None else projection(h)), c


def lstm_state(gates: Sequence[Tensor], c: Tensor) -> State:
    """Compute (h, c) from the gates i, f, g, o before their activations, (batch, hidden) each."""
    i, f, g, o = gates
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


class HiddenMap:
    """A QKAN layer as a function that computes once for a whole sequence whatever all steps share.

    Args:
        layer: the layer.
        bound: of the modulus of its inputs, so that one series holds at every step; None if it is not known.
        inputs: the whole sequence, (time, batch, features), which says how often the function is called.

    Attributes:
        series: of the layer for such inputs; None where there is none, and activations are evaluated at every step.
    """

    def __init__(self, layer: QKANLayer, bound: float | None, inputs: Tensor) -> None:
        time, batch = inputs.shape[:2]
        self.series = None if bound is None else layer.series_on(-bound, bound, most=time * batch)
        points_alone = self.series is None and bound is not None and batch < MIN_SERIES_BATCH
        self._evaluate = for_steps(layer) if points_alone else layer

    def __call__(self, hidden: Tensor) -> Tensor:
        """Return the layer's outputs at h, (batch, hidden)."""
        series = self.series
        if series is None:
            return self._evaluate(hidden)
        result = product.expand(series.basis, hidden, series.coefficients)
        result = result if series.bias is None else result + series.bias
        if series.base_weight is None or series.base is None:
            return result
        return result + series.base(hidden) @ series.base_weight


class _GateMap:
    """An `HQKAN` of [h, x] as a function of the time step and h."""

    def __init__(self, gate: HQKAN, inputs: Tensor, start: Tensor, projection: nn.Linear | None) -> None:
        of_h, of_x = gate.encoder.weight.split([start.shape[-1], inputs.shape[-1]], 1)
        self._from_inputs = nn.functional.linear(inputs, of_x, gate.encoder.bias)
        self._of_h, self._decoder = of_h.mT, gate.decoder
        checks.require_finite_result(self._from_inputs, gate)
        layer = gate.core_layer
        bound = _hidden_bound(start, projection)
        if bound is not None:
            from_inputs = max(abs(value) for value in bounds(self._from_inputs))
            bound = from_inputs + bound * float(of_h.detach().abs().sum(1).max())
        self._core = HiddenMap(layer, bound, inputs)

    def __call__(self, time: int, hidden: Tensor) -> Tensor:
        encoded = self._from_inputs[time] + hidden @ self._of_h
        return self._decoder(self._core(encoded))


def _hidden_bound(start: Tensor, projection: nn.Linear | None) -> float | None:
    """Return a bound of |h|, or None where values cannot be looked at.

    It is 1 (sigmoid times tanh), multiplied by the largest absolute row sum of a projection, and at least the start.
    """
    if checks.hides_values():
        return None
    bound = 1.0
    if projection is not None:
        bound = float(projection.weight.detach().abs().sum(1).max())
        if not math.isfinite(bound):
            checks.require_finite_parameters(projection)
    return max(bound, *(abs(value) for value in bounds(start)))


def _one_step(cell: "QKANLSTMCell | QKANGRUCell | HQKANLSTMCell", inputs: Any, state: State | None) -> State:
    inputs = checks.as_inputs(inputs, next(cell.parameters()))
    checks.require_last_dimension(inputs, cell.input_size, "inputs")
    if inputs.ndim > 2:
        raise ValueError(f"Argument `inputs` must have 1 or 2 dimensions, but has shape {tuple(inputs.shape)}.")
    checks.require_finite(inputs, "inputs")
    single = inputs.ndim == 1
    parts = start_state(inputs, state, [(*inputs.shape[:-1], size) for size in cell.state_sizes])
    if inputs.is_meta:  # shapes alone
        return tuple(map(torch.empty_like, parts))
    if single:
        inputs, parts = inputs.unsqueeze(0), tuple(part.unsqueeze(0) for part in parts)
    with full_precision(inputs):
        after = cell.prepare(inputs.unsqueeze(0), parts)(0, parts)
    checks.require_finite_result(after[0], cell)
    return tuple(part.squeeze(0) for part in after) if single else after


def _projection(hidden_size: int, proj_size: int, options: LayerOptions) -> nn.Linear | None:
    if not proj_size:
        return None
    device, dtype, generator = (options.get(name) for name in ("device", "dtype", "generator"))
    return linear(hidden_size, proj_size, bias=False, device=device, dtype=dtype, generator=generator)


def _as_sizes(input_size: Any, hidden_size: Any, proj_size: Any) -> tuple[int, int, int]:
    input_size, hidden_size = checks.as_int(input_size, "input_size", 1), checks.as_int(hidden_size, "hidden_size", 1)
    proj_size = checks.as_int(proj_size, "proj_size", 0)
    if proj_size >= hidden_size:
        raise ValueError(f"Argument `proj_size` must be less than `hidden_size` {hidden_size}, but is {proj_size}.")
    return input_size, hidden_size, proj_size
