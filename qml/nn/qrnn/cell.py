"""One step of the recurrent quantum neural network."""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from circuits import Circuit
from qml import checks
from qml.backends import Backend
from qml.checks import full_precision
from qml.nn._fixed_tables import WithTables
from qml.nn._torch_names import either
from qml.nn.qrnn._circuits import CellSizes, as_history, as_post_selecting, cell_circuit, extended, shared_circuit
from qml.nn.qrnn._outcomes import draw_outcomes, normalised, outcome_probabilities, require_possible
from qml.nn.qrnn._scan import neuron_advance
from qml.nn.qrnn._tables import NeuronTables, make_tables
from qml.nn.qrnn._words import as_angles, as_words
from qml.nn.qrnn.neuron import BIAS_SPREAD, WEIGHT_SPREAD, as_neuron, monomial_table, subsets

MAX_QUBITS = 24
NORM_TOLERANCE = 1e-3  # of a given state: float32 states drift in their last digits, anything else is a mistake


class CellStep(NamedTuple):
    """A step's result: outcome probabilities (batch, 2**input_size), outcomes (batch,) and the states that follow."""

    probabilities: Tensor
    words: Tensor
    state: Tensor


class OpenStep(NamedTuple):
    """A step whose outcome is not known: outcome probabilities, and a function from outcomes to the next states."""

    probabilities: Tensor
    project: Callable[[Tensor], Tensor]


class QRNNCell(WithTables):
    """A recurrent cell of quantum neurons, which has I = input_size in/out qubits and W = hidden_size workspace qubits.

    A step writes the input word on the in/out qubits; applies a quantum neuron onto each workspace qubit and then, a
    stage, an RY and a neuron onto each; takes the word off again; applies a neuron onto each in/out qubit; and measures
    those. The state of the workspace is a real vector: all gates are real, and every neuron is post-selected.

    The built-in simulator carries that vector from step to step. Another backend cannot: there the state is the angles
    that were written on the in/out qubits and those that were post-selected so far, and every step runs the circuit of
    all steps up to it.

    Args:
        input_size: bits I of an input and an output word, at least 1.
        hidden_size: workspace qubits W, at least 1.
        n_stages: stages of rotations and neurons, at least 0.
        order: order of every neuron, at least 1.
        degree: degree of every neuron, from 1 to W + I - 1.
        amplification: rounds of amplitude amplification of every neuron; see `QuantumNeuron`.
        bias: whether the neurons' constant angles are trained; without they are 0.
        backend: a backend or its name; see `to_backend`.
        device: of the angles.
        dtype: of the angles, float32 or float64.
        generator: for the initial angles; none is seeded globally.

    Shape:
        inputs (batch,) integer words, the first in/out qubit the most significant bit, or (batch, I) bits that are bool
        or floating; state (batch, 2**W) real amplitudes of norm 1, on another backend (batch, steps, 2, I) angles in
        radians, read ones before outcomes.

    Attributes:
        weights: phi_S, shape (n_neurons, n_subsets), drawn from N(0, 0.01^2). Neurons: onto each workspace qubit, again
            in each stage, then onto each in/out qubit. A neuron's sources are all other qubits, the workspace first;
            subsets as in `QuantumNeuron`.
        bias: theta, shape (n_neurons,), drawn from N(0, 0.1^2); None without a bias.
        rotations: omega, shape (n_stages, W), drawn from N(0, 0.01^2).
        closed_form: whether steps are matrix products here instead of circuits on the backend.

    Raises:
        ValueError: sizes out of range, words out of range, a state of another shape or norm, an outcome whose
            probability underflows (below 1e-31 in float32, 1e-292 in float64), angles with NaN or infinity (which
            torch.func and torch.compile do not let us see); a backend that cannot post-select, or that cannot give
            the gradients of post-selected circuits, as the adjoint method of `Native`.
        TypeError: words, targets or a state that are no dense tensors; a state of another dtype.

    Reference:
        Bausch, "Recurrent quantum neural networks", arXiv:2006.14619, section 3 and figure 3. (W + W n_stages + I)
        (1 + n_subsets) + W n_stages parameters.

    Example:
        >>> import torch
        >>> from qml.nn import QRNNCell
        >>> step = QRNNCell(2, 3)(torch.tensor([0, 3]))
        >>> step.probabilities.shape, step.state.shape
        (torch.Size([2, 4]), torch.Size([2, 8]))
    """

    weights: nn.Parameter
    bias: nn.Parameter | None
    rotations: nn.Parameter

    def __init__(  # noqa: PLR0913 - the sizes of a recurrent layer, and torch's device, dtype and generator
        self,
        input_size: int,
        hidden_size: int,
        *,
        n_stages: int = 1,
        order: int = 2,
        degree: int = 2,
        amplification: int = 0,
        bias: bool = True,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.to_backend(backend)
        checks.require_precision(dtype)
        self.input_size = checks.as_int(input_size, "input_size", 1)
        self.hidden_size = checks.as_int(hidden_size, "hidden_size", 1)
        self.n_stages, has_bias = checks.as_int(n_stages, "n_stages", 0), checks.as_flag(bias, "bias")
        n_sources = self.input_size + self.hidden_size - 1
        if n_sources >= MAX_QUBITS:
            raise ValueError(
                f"Arguments `input_size` and `hidden_size` must add up to at most {MAX_QUBITS}, because a state has "
                f"2**hidden_size amplitudes, but are {input_size} and {hidden_size}."
            )
        self.order, self.degree, self.amplification = as_neuron(n_sources, order, degree, amplification)
        n_neurons = self.hidden_size * (1 + self.n_stages) + self.input_size
        n_subsets = len(subsets(n_sources, self.degree))
        self.weights = nn.Parameter(torch.empty(n_neurons, n_subsets, device=device, dtype=dtype))
        self.register_parameter(
            "bias", nn.Parameter(torch.empty(n_neurons, device=device, dtype=dtype)) if has_bias else None
        )
        self.rotations = nn.Parameter(torch.empty(self.n_stages, self.hidden_size, device=device, dtype=dtype))
        self.reset_parameters(generator)
        self.tables_like(self.weights)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all angles anew: biases, weights, rotations."""
        with torch.no_grad():
            if self.bias is not None:
                self.bias.normal_(0.0, BIAS_SPREAD, generator=generator)
            self.weights.normal_(0.0, WEIGHT_SPREAD, generator=generator)
            self.rotations.normal_(0.0, WEIGHT_SPREAD, generator=generator)

    def to_backend(self, backend: Backend | str) -> "QRNNCell":
        """Run on another backend from now on; the weights stay."""
        self.backend = as_post_selecting(backend)
        self.closed_form = self.backend.capabilities.closed_form
        return self

    @property
    def sizes(self) -> CellSizes:
        """Return the sizes of the cell's circuits."""
        return CellSizes(
            self.input_size,
            self.hidden_size,
            self.n_stages,
            self.order,
            self.degree,
            self.amplification,
            self.bias is not None,
        )

    @property
    def n_words(self) -> int:
        """Return the number of different words, 2**input_size."""
        return 2**self.input_size

    def forward(
        self,
        inputs: Tensor | None = None,
        state: Float[Tensor, "batch ..."] | None = None,
        *,
        targets: Tensor | None = None,
        generator: torch.Generator | None = None,
        input: Tensor | None = None,
        hx: Tensor | None = None,
    ) -> CellStep:
        """Run one step.

        Args:
            inputs: words or bits, see the class.
            state: of the workspace before, amplitudes or, on another backend, the angles of the steps so far; None for
                |0...0>.
            targets: the outcome that each sample is post-selected on (words or bits), -1 or None to draw it.
            generator: for the draws.
            input: `nn.LSTMCell`'s name of `inputs`.
            hx: `nn.LSTMCell`'s name of `state`.
        """
        given, state = either(inputs, input, "inputs", "input"), either(state, hx, "state", "hx")
        self.require_words(given, "inputs")
        words = as_words(given, self.input_size, "inputs")
        if words.ndim != 1:
            raise ValueError(f"Argument `inputs` must be one word a sample, but has shape {tuple(given.shape)}.")
        known = self._known(targets, words)
        with full_precision(self.weights):
            opened = self.open(words, self.start(state, len(words)), self.tables() if self.closed_form else None)
            outcomes = draw_outcomes(opened.probabilities.detach(), known, generator)
            self.require_possible(opened.probabilities, outcomes)
            return CellStep(opened.probabilities, outcomes, opened.project(outcomes))

    def open(self, words: Tensor, state: Tensor, tables: NeuronTables | None) -> OpenStep:
        """Run a step up to its measurement.

        Args:
            words: that are read, (batch,).
            state: as `start` returns it.
            tables: of the present angles; None to run a circuit on the backend.
        """
        if tables is None:
            angles = as_angles(words, self.input_size, self.weights.dtype)
            probabilities = self.probabilities_after(state, angles)
            return OpenStep(
                probabilities,
                lambda outcomes: extended(state, angles, as_angles(outcomes, self.input_size, self.weights.dtype)),
            )
        middle = neuron_advance(tables.cosine, tables.sine, tables.rotations)(state, words)
        probabilities = outcome_probabilities(middle, tables)
        return OpenStep(probabilities, lambda outcomes: normalised(middle * tables.readout[outcomes]))

    def require_possible(self, probabilities: Tensor, outcomes: Tensor, *, step: int = 0) -> None:
        """Refuse an outcome of a step whose probability underflows; where shots are counted 0 may be chance."""
        if self.closed_form or self.backend.capabilities.exact:
            require_possible(probabilities, outcomes, (len(outcomes),), first_step=step)

    def probabilities_after(self, history: Tensor, angles: Tensor) -> Tensor:
        """Compute the probabilities of the in/out qubits by one circuit on the backend, (batch, words).

        Args:
            history: angles of the steps before, (batch, steps, 2, input_size): those that were read, and the outcomes.
            angles: that the last step reads, (batch, input_size).
        """
        circuit = shared_circuit(self.sizes, history.shape[1] + 1)
        data = torch.cat([history[:, :, 0].flatten(1), angles, history[:, :, 1].flatten(1)], 1)
        ends = range(self.hidden_size, self.hidden_size + self.input_size)
        return self.backend.probabilities(circuit, data, self.vector(), list(ends))

    def circuit(self, n_steps: int, *, measured: bool = False) -> Circuit:
        """Return a new circuit of `n_steps`; see `QRNN.circuit`."""
        return cell_circuit(self.sizes, n_steps, measured=measured)

    @property
    def monomials(self) -> Float[Tensor, "weights words"]:
        """Return the products of source bits that the weights multiply, where the weights are; see `monomial_table`."""
        return self.tables_like(self.weights)["monomials"]

    def make_tables(self, like: Tensor) -> dict[str, Tensor]:
        """Compute the tables; see `WithTables`."""
        return {"monomials": monomial_table(self.input_size + self.hidden_size - 1, self.degree, like)}

    def tables(self) -> NeuronTables:
        """Compute the tables of all neurons at the present angles.

        Raises:
            ValueError: angles that are not finite, or neurons of so high an order that all amplitudes underflow.
        """
        tables = make_tables(
            self.weights,
            self.bias,
            self.rotations,
            self.monomials,
            sizes=(self.input_size, self.hidden_size),
            order=self.order,
            amplification=self.amplification,
        )
        if not checks.in_transform():
            total = tables.log_scale + self.rotations.detach().sum()  # every angle is in one of them
            if not math.isfinite(total.item()):
                checks.require_finite_parameters(self)
                raise ValueError(
                    f"Argument `order` must be so low that amplitudes do not underflow {self.weights.dtype}, but is "
                    f"{self.order}. Lower it, or take more rounds of amplification or float64."
                )
        return tables

    def require_words(self, values: Any, name: str) -> None:
        """Refuse what is no dense tensor (or packed sequence of one) where the layer is, and a layer without values.

        Raises:
            TypeError: no dense tensor; a layer in half precision; a call by `torch.jit.trace`.
            ValueError: another device; a layer on the meta device.
        """
        if self.weights.is_meta:
            raise ValueError(
                "The layer must have values to be run, but its parameters are on the meta device. Call to_empty(device="
                "...) and load a state, or load_state_dict(state, assign=True)."
            )
        checks.refuse_tracing()
        tensor = values.data if isinstance(values, PackedSequence) else values
        checks.require_tensor(tensor, name)
        checks.require_full_precision(self.weights)
        checks.require_device(tensor, self.weights, name)

    def start(self, state: Tensor | None, batch: int) -> Tensor:
        """Return the given states, checked, or those of |0...0> for each sample: amplitudes, or an empty history."""
        side = 2**self.hidden_size
        if not self.closed_form:
            return as_history(state, self.weights, (batch, self.input_size), self.backend)
        if state is None:
            start = self.weights.new_zeros(batch, side)
            start[:, 0] = 1.0
            return start
        state = checks.as_inputs(state, self.weights, "state")
        if state.shape != (batch, side):
            raise ValueError(f"Argument `state` must have shape {(batch, side)}, but has shape {tuple(state.shape)}.")
        if not checks.in_transform():
            norms = torch.linalg.vector_norm(state.detach(), dim=1)
            if not bool(((norms - 1.0).abs() < NORM_TOLERANCE).all()):
                raise ValueError("Argument `state` must hold vectors of norm 1, but does not. Divide by the norms.")
        return state

    @property
    def state_ndim(self) -> int:
        """Return the number of dimensions of a batch of states."""
        return 2 if self.closed_form else 4

    def vector(self) -> Float[Tensor, " weights"]:
        """Return all angles as one vector: for each neuron its bias (if any) and weights, then all rotations.

        The order of the weight slots of `circuits.neuron.recurrent_circuit`.
        """
        angles = self.weights if self.bias is None else torch.cat([self.bias[:, None], self.weights], 1)
        return torch.cat([angles.flatten(), self.rotations.flatten()])

    def load_vector(self, values: Sequence[float] | Any) -> None:
        """Take all angles from an array in the order of `vector`.

        Raises:
            TypeError: no real numbers.
            ValueError: another number of angles, or one that is not finite.
        """
        if isinstance(values, Tensor):
            checks.require_tensor(values, "values")
            if values.is_meta:
                raise ValueError("Argument `values` must have values, but is on the meta device.")
        else:
            values = torch.from_numpy(np.array(_real(values)))
        if values.is_complex() or values.dtype == torch.bool:
            raise TypeError(f"Argument `values` must hold real numbers, but holds {values.dtype}.")
        vector = values.detach().to(self.weights)
        count = sum(parameter.numel() for parameter in self.parameters())
        if vector.shape != (count,) or not bool(vector.isfinite().all()):
            raise ValueError(
                f"Argument `values` must hold {count} finite angles, but has shape {tuple(vector.shape)} or holds NaN."
            )
        n_bias = 0 if self.bias is None else 1
        n_neurons, n_subsets = self.weights.shape
        angles = vector[: n_neurons * (n_bias + n_subsets)].unflatten(0, (n_neurons, n_bias + n_subsets))
        with torch.no_grad():
            self.weights.copy_(angles[:, n_bias:])
            self.rotations.copy_(vector[angles.numel() :].view_as(self.rotations))
            if self.bias is not None:
                self.bias.copy_(angles[:, 0])

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for device, dtype and generator."""
        names = ("input_size", "hidden_size", "n_stages", "order", "degree", "amplification")
        return {name: getattr(self, name) for name in names} | {"bias": self.bias is not None}

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return (
            f"{self.input_size}, {self.hidden_size}, n_stages={self.n_stages}, order={self.order}, "
            f"degree={self.degree}, amplification={self.amplification}, bias={self.bias is not None}, "
            f"backend={self.backend.name!r}"
        )

    def _known(self, targets: Tensor | None, words: Tensor) -> Tensor:
        if targets is None:
            return torch.full_like(words, -1)
        self.require_words(targets, "targets")
        known = as_words(targets, self.input_size, "targets", unknown=True)
        if known.shape != words.shape:
            raise ValueError(
                f"Argument `targets` must hold one word for each of {len(words)} samples, but has shape "
                f"{tuple(targets.shape)}."
            )
        return known


def _real(values: Any) -> np.ndarray:
    """Return a sequence that is no tensor as an array of numbers."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiuc":
        raise TypeError(f"Argument `values` must hold real numbers, but holds {array.dtype}. Pass a list of floats.")
    return array
