"""The QLSTM baseline: an LSTM cell whose four affine maps are variational circuits."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml import checks
from qml.backends import Backend, resolve
from qml.nn._compiled import runs_compiled
from qml.nn._recurrent import RecurrentLSTM, State, require_no_projection
from qml.nn.qkan.cells import lstm_state
from qml.simulator.engine import kernel_route
from qml.simulator.routes.kernel import KernelRoute


def qlstm_circuit(n_qubits: int, n_layers: int) -> Circuit:
    """Build a circuit of H and RY(x) on every qubit, then layers of CX on even pairs, CX on odd pairs, RY(w) on all.

    Weight layer * n_qubits + qubit; data slot q is the input of qubit q.
    """
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.h(qubit).ry(data(qubit), qubit)
    for layer in range(n_layers):
        for first in (*range(0, n_qubits - 1, 2), *range(1, n_qubits - 1, 2)):
            circuit.cx(first, first + 1)
        for qubit in range(n_qubits):
            circuit.ry(weight(layer * n_qubits + qubit), qubit)
    return circuit


class QLSTMCell(nn.Module):
    """A cell of an LSTM whose four affine maps of [h, x] are circuits with a qubit for each feature.

    The output of a map is <Z> of the qubits of h. It lies in [-1, 1], so that gates lie between sigmoid(-1) = 0.27 and
    sigmoid(1) = 0.73: the cell forgets quickly.

    Args:
        input_size: features of the input.
        hidden_size: features of h and c.
        n_layers: entangling layers of a circuit.
        backend: a backend or its name.
        device: of the weights.
        dtype: of the weights, float32 or float64.
        generator: for the initial angles, uniform in [0, 2 pi).

    Attributes:
        weights: angles in radians, shape (4, n_layers * (input_size + hidden_size)), of the gates i, f, g, o.

    Reference:
        arXiv:2512.05049, the QLSTM that it compares with: 5 hidden and 1 input feature, 5 layers.
    """

    weights: nn.Parameter

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        n_layers: int = 5,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        input_size, hidden_size = (
            checks.as_int(input_size, "input_size", 1),
            checks.as_int(hidden_size, "hidden_size", 1),
        )
        n_layers = checks.as_int(n_layers, "n_layers", 1)
        checks.require_precision(dtype)
        checks.require_generator(generator)
        self.input_size, self.hidden_size = input_size, hidden_size
        self.state_sizes = (hidden_size, hidden_size)
        self.backend = resolve(backend)
        self.circuit = qlstm_circuit(hidden_size + input_size, n_layers)
        self.observables = tuple(Z(qubit) for qubit in range(hidden_size))
        self.weights = nn.Parameter(torch.empty(4, self.circuit.n_weights, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the angles, uniform in [0, 2 pi)."""
        nn.init.uniform_(self.weights, 0.0, 2 * torch.pi, generator=generator)

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.input_size}, {self.hidden_size}, n_weights={self.weights.numel()}, backend={self.backend.name!r}"

    def prepare(self, inputs: Tensor, start: State) -> Callable[[int, State], State]:
        """Return the function of a step; nothing is computed ahead for all steps."""
        circuit, observables, weights = self.circuit, self.observables, self.weights
        rows, route = weights.unbind(), self._route(inputs, start)

        def step(time: int, state: State) -> State:
            joined = torch.cat([state[0], inputs[time]], -1)
            if route is not None:
                gates = route.for_each(joined, weights).unbind()
            else:
                gates = [self.backend.expectation(circuit, joined, gate, observables) for gate in rows]
            return lstm_state(gates, state[1])

        return step

    def _route(self, inputs: Tensor, start: State) -> KernelRoute | None:
        """Return the route that runs the four circuits in one call; None where the backend runs one after another."""
        circuit, weights, h = self.circuit, self.weights, start[0]
        fits = (h.shape[1] + inputs.shape[2], weights.shape[1]) == (circuit.n_data, circuit.n_weights)
        if not fits or checks.in_functorch() or not runs_compiled(self.backend):
            return None
        return kernel_route(circuit, h, self.observables)


class QLSTM(RecurrentLSTM):
    """An LSTM whose affine maps are variational circuits: the quantum baseline, with the contract of `nn.LSTM`.

    Args:
        input_size: features of a time step.
        hidden_size: features of h and c; the circuits have input_size + hidden_size qubits.
        num_layers: layers, each reading the one before.
        bias: True; the constant parts of circuits cannot be left out.
        batch_first: whether inputs and outputs are (batch, time, features).
        dropout: share of the outputs, of all layers but the last, that are set to 0 in training, in [0, 1].
        bidirectional: whether a second cell reads each sequence backwards.
        proj_size: 0; gates are read from the qubits of h, one for each hidden feature.
        n_circuit_layers: entangling layers of a circuit.
        backend: a backend or its name.
        device: of the weights.
        dtype: of the weights, float32 or float64.
        generator: for the initial angles.

    Shape:
        As `QKANLSTM`, without projection.

    Raises:
        ValueError, TypeError: as `QKANLSTM`; fewer than one entangling layer.

    Example:
        >>> import torch
        >>> from qml.nn import QLSTM
        >>> sum(p.numel() for p in QLSTM(1, 5).parameters())
        120
    """

    def __init__(  # noqa: PLR0913 - torch's device, dtype and generator come on top
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
        n_circuit_layers: int = 5,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        require_no_projection(proj_size, "gates are read from the qubits of h, one for each hidden feature")
        n_circuit_layers = checks.as_int(n_circuit_layers, "n_circuit_layers", 1)
        make_cell = partial(
            QLSTMCell,
            hidden_size=hidden_size,
            n_layers=n_circuit_layers,
            backend=backend,
            device=device,
            dtype=dtype,
            generator=generator,
        )
        super().__init__(
            make_cell,
            input_size,
            num_layers=num_layers,
            bias=bias,
            batch_first=batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )
        self.n_circuit_layers = n_circuit_layers

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for bias, backend, device, dtype and generator."""
        return super().config() | {"n_circuit_layers": self.n_circuit_layers}

    def to_backend(self, backend: Backend | str) -> "QLSTM":
        """Run on another backend from now on, with the same weights; return the layer.

        A forward pass takes four jobs for each layer, direction and time step, since a step needs the one before.
        """
        for cell in self.cells:
            if isinstance(cell, QLSTMCell):
                cell.backend = resolve(backend)
        return self
