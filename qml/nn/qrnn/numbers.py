"""Recurrent quantum networks on continuous features: regression and classification of series."""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from circuits import Circuit
from qml import checks
from qml.backends import Backend
from qml.checks import full_precision, is_finite
from qml.nn._torch_names import either
from qml.nn.qrnn._angles import run_angles
from qml.nn.qrnn._words import as_angles, as_words
from qml.nn.qrnn.cell import MAX_QUBITS
from qml.nn.qrnn.network import QRNN

DEFAULT_BITS = {"angle": 1, "bits": 4, "serial": 4}
PROBABILITY_FLOOR = 1e-6  # of probabilities inside a logarithm


class QRNNRegressor(nn.Module):
    r"""A `QRNN` that reads continuous features, with a trained affine read-out of its probabilities.

    With `encoding` "angle" each feature x turns in/out qubits of its own by RY(pi (x - low) / (high - low)), which is a
    word's 0 at `low` and its 1 at `high`, and everything has derivatives in the features; values beyond are angles like
    all others. With "bits" each feature, clipped to [low, high], becomes one of 2**n_bits levels, and a step reads the
    levels of all features as one word; with "serial" it reads one bit-plane after another, the most significant first,
    in n_bits steps of the network a step of the series. In/out qubits are post-selected on 0 between measurements, so
    that outputs are deterministic; the read-out sees log(p + 1e-6) of each step's outcome probabilities.

    On another backend (`to_backend`) the outputs of step t come from the circuit of t steps: a series of T steps takes
    T jobs (one in a `QRNNClassifier`), and the state is the angles of the steps so far; see `QRNNCell`.

    Quantisation has no derivative: by bits inputs get no gradient, and one that requires gradients is refused.

    Args:
        in_features: features a step.
        hidden_size: workspace qubits.
        out_features: outputs a step.
        encoding: "angle", "bits" or "serial".
        n_bits: bits of a level; with "angle" the in/out qubits of a feature. None for 1 with "angle", 4 otherwise.
        low: value of the lowest level.
        high: value of the highest level.
        n_stages: stages of the network.
        order: order of its neurons.
        degree: degree of its neurons.
        batch_first: whether the batch dimension comes before time.
        backend: a backend or its name; see `to_backend`.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.
        generator: for the initial parameters; none is seeded globally.

    Shape:
        inputs (time, batch, in_features), (batch, time, in_features) with `batch_first`, or (time, in_features), of any
        real dtype, scaled in their own precision (16-bit ones in the layer's); to outputs with out_features in place of
        in_features; states as of `QRNN`.

    Attributes:
        qrnn: the network, on words of in_features * n_bits bits, with "serial" of in_features.
        readout: the nn.Linear on 2**word_size logarithms, initialised U(-k, k), k = 2**(-word_size / 2).

    Raises:
        ValueError: sizes out of range, low not below high, inputs of another shape or not finite, parameters that are
            not finite (inside torch.func and torch.compile values are not looked at).
        TypeError: inputs that are no dense tensor of real numbers, a state of another dtype, a layer in half precision.

    Reference:
        Bausch, arXiv:2006.14619, section 4, quantises coordinates to bits, all planes one after another. The same
        circuit with angles between those of 0 and 1, and the affine read-out, are ours.

    Example:
        >>> import torch
        >>> from qml.nn import QRNNRegressor
        >>> outputs, state = QRNNRegressor(1, 3, batch_first=True)(torch.rand(5, 7, 1))
        >>> outputs.shape
        torch.Size([5, 7, 1])
    """

    def __init__(  # noqa: PLR0913 - the sizes of a recurrent layer, and torch's device, dtype and generator
        self,
        in_features: int,
        hidden_size: int,
        out_features: int = 1,
        *,
        encoding: str = "angle",
        n_bits: int | None = None,
        low: float = -1.0,
        high: float = 1.0,
        n_stages: int = 1,
        order: int = 1,
        degree: int = 2,
        batch_first: bool = False,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(encoding, str) or encoding not in DEFAULT_BITS:
            raise ValueError(f"Argument `encoding` must be one of {', '.join(DEFAULT_BITS)}, but is {encoding!r}.")
        n_bits = DEFAULT_BITS[encoding] if n_bits is None else checks.as_int(n_bits, "n_bits", 1)
        self.in_features = checks.as_int(in_features, "in_features", 1)
        self.out_features = checks.as_int(out_features, "out_features", 1)
        if n_bits > MAX_QUBITS:
            raise ValueError(f"Argument `n_bits` must be at most {MAX_QUBITS}, but is {n_bits}.")
        self.low, self.high = checks.as_number(low, "low"), checks.as_number(high, "high")
        if self.low >= self.high:
            raise ValueError(f"Arguments `low` and `high` must be finite and ascending, but are {low} and {high}.")
        self.n_bits, self.encoding = n_bits, encoding
        word_size = self.in_features if encoding == "serial" else self.in_features * n_bits
        self.qrnn = QRNN(
            word_size,
            hidden_size,
            n_stages=n_stages,
            order=order,
            degree=degree,
            batch_first=batch_first,
            backend=backend,
            device=device,
            dtype=dtype,
            generator=generator,
        )
        readout = nn.Linear(2**word_size, self.out_features, device="meta", dtype=dtype)
        self.readout = readout.to_empty(device=device or torch.get_default_device())
        self._reset_readout(generator)

    __prepare_scriptable__ = checks.refuse_scripting

    def to_backend(self, backend: Backend | str) -> "QRNNRegressor":
        """Run on another backend from now on; the weights stay."""
        self.qrnn.to_backend(backend)
        return self

    @property
    def backend(self) -> Backend:
        """Return the backend that the network runs on."""
        return self.qrnn.backend

    @property
    def hidden_size(self) -> int:
        """Return the number of workspace qubits."""
        return self.qrnn.hidden_size

    def flatten_parameters(self) -> None:
        """Do nothing: the method of `torch.nn.LSTM`, whose weights cuDNN wants in one piece of memory."""

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all parameters anew."""
        self.qrnn.reset_parameters(generator)
        self._reset_readout(generator)

    def forward(
        self,
        inputs: Tensor | None = None,
        state: Tensor | None = None,
        *,
        input: Tensor | None = None,
        hx: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Compute the outputs of each step, and the last states; see the class.

        Args:
            inputs: the series.
            state: states to start from; None for |0...0>.
            input: `nn.LSTM`'s name of `inputs`.
            hx: `nn.LSTM`'s name of `state`.
        """
        series, state = either(inputs, input, "inputs", "input"), either(state, hx, "state", "hx")
        probabilities, last = self._run(series, state)
        return self._read_out(probabilities), last

    def read(self, probabilities: Tensor) -> Tensor:
        """Compute outputs from probabilities of the in/out qubits, (..., 2**word_size), as a device measures them."""
        probabilities = checks.as_inputs(probabilities, self.readout.weight, "probabilities")
        checks.require_last_dimension(probabilities, self.readout.in_features, "probabilities")
        return self.readout(torch.log(probabilities + PROBABILITY_FLOOR))

    def _read_out(self, probabilities: Tensor) -> Tensor:
        """Call `read` on finite probabilities, whose outputs are finite too unless a parameter is not."""
        outputs = self.read(probabilities)
        if not is_finite(outputs):
            checks.require_finite_parameters(self)
            raise ValueError("The outputs must be finite, but overflow. Scale the weights of the read-out down.")
        return outputs

    def circuit(self, n_steps: int) -> Circuit:
        """Return the circuit of a series of `n_steps`, post-selected on 0 before its last step; see `QRNN.circuit`.

        Its weights are `qrnn.cell.vector()`, its data `circuit_data(...)`; `read` makes outputs of the last step from
        the probabilities of qubits hidden_size to hidden_size + word_size - 1.
        """
        n_steps = checks.as_int(n_steps, "n_steps", 1)
        return self.qrnn.circuit(n_steps * (self.n_bits if self.encoding == "serial" else 1))

    def circuit_data(self, inputs: Tensor) -> Tensor:
        """Return series as data of `circuit`, (batch, n_data); inputs are those of `forward`."""
        read = self._read_angles(inputs)
        return torch.cat([read, torch.zeros_like(read[:, 1:])], 1).flatten(1)

    def angles(self, inputs: Tensor) -> Tensor:
        """Compute the angles of the in/out qubits in radians, (..., word_size), with `encoding` "angle"."""
        self._require_encoding("angle")
        turns = (math.pi * self._scaled(inputs)).to(self.readout.weight.dtype)
        if not is_finite(turns):
            raise ValueError(f"Argument `inputs` must give angles that {turns.dtype} can hold, but is too large.")
        return turns.repeat_interleave(self.n_bits, -1)

    def words(self, inputs: Tensor) -> Tensor:
        """Return the words that the network reads, in the inputs' form, with `encoding` "bits" or "serial"."""
        self._require_encoding("bits", "serial")
        scaled = self._scaled(inputs).clamp(0.0, 1.0)
        levels = (scaled * 2**self.n_bits).long().clamp_max(2**self.n_bits - 1)
        shifts = torch.arange(self.n_bits - 1, -1, -1, device=inputs.device)
        planes = ((levels[..., None, :] >> shifts[:, None]) & 1).bool()  # (..., bits, features)
        if self.encoding != "serial":
            return as_words(planes.mT.flatten(-2), self.in_features * self.n_bits, "inputs")
        time = self._time(inputs)
        by_step = planes if time == inputs.ndim - 2 else planes.transpose(1, 2)  # bits behind time
        return as_words(by_step.flatten(time, time + 1), self.in_features, "inputs")

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        own = {
            name: getattr(self, name) for name in ("in_features", "out_features", "n_bits", "low", "high", "encoding")
        }
        cell = {name: getattr(self.qrnn.cell, name) for name in ("hidden_size", "n_stages", "order", "degree")}
        return own | cell | {"batch_first": self.qrnn.batch_first}

    def extra_repr(self) -> str:
        """Return what `repr` shows beside the parts."""
        return (
            f"encoding={self.encoding!r}, n_bits={self.n_bits}, low={self.low}, high={self.high}, "
            f"backend={self.backend.name!r}"
        )

    def _run(self, inputs: Tensor, state: Tensor | None, *, last_only: bool = False) -> tuple[Tensor, Tensor]:
        """Compute probabilities of each step, in the inputs' form, and the last states.

        Args:
            inputs: series.
            state: states to start from.
            last_only: return the last step's probabilities alone, without a dimension of time.
        """
        if not self.qrnn.cell.closed_form:
            return self._by_circuits(inputs, state, last_only=last_only)
        probabilities, last = (self._by_angles if self.encoding == "angle" else self._by_words)(inputs, state)
        return (probabilities.select(self._time(inputs), -1) if last_only else probabilities), last

    def _by_circuits(self, inputs: Tensor, state: Tensor | None, *, last_only: bool) -> tuple[Tensor, Tensor]:
        """Run one circuit a step, or one in all; see `_run`."""
        cell, read, single = self.qrnn.cell, self._read_angles(inputs), inputs.ndim == 2
        if state is not None:
            checks.require_tensor(state, "state")
            state = state[None] if single else state
        history = torch.cat([cell.start(state, len(read)), torch.stack([read, torch.zeros_like(read)], 2)], 1)
        planes = self.n_bits if self.encoding == "serial" else 1
        ends = range(history.shape[1] - read.shape[1] + planes, history.shape[1] + 1, planes)
        measured = [
            cell.probabilities_after(history[:, : end - 1], history[:, end - 1, 0])
            for end in (ends[-1:] if last_only else ends)
        ]
        probabilities = measured[0] if last_only else torch.stack(measured, 1)
        if single:
            return probabilities[0], history[0]
        return (probabilities if last_only or self.qrnn.batch_first else probabilities.transpose(0, 1)), history

    def _read_angles(self, inputs: Tensor) -> Tensor:
        """Compute the angles of the in/out qubits in radians at each step or bit-plane, (batch, steps, word_size)."""
        if self.encoding == "angle":
            angles = self.angles(inputs)
        else:
            angles = as_angles(self.words(inputs), self.qrnn.input_size, self.readout.weight.dtype)
        if inputs.ndim == 2:
            return angles[None]
        return angles if self.qrnn.batch_first else angles.transpose(0, 1)

    def _by_angles(self, inputs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Turn the in/out qubits by angles; see `_run`."""
        turns = self.angles(inputs)
        if inputs.ndim == 2:
            if state is not None:
                checks.require_tensor(state, "state")
                if state.ndim != 1:
                    raise ValueError(
                        f"Argument `state` must be one vector, as the series is, but has shape {tuple(state.shape)}."
                    )
            turns, state = turns[:, None], None if state is None else state[None]
        elif self.qrnn.batch_first:
            turns = turns.transpose(0, 1)
        with full_precision(turns):
            probabilities, last = run_angles(self.qrnn.cell, turns, state)
        if inputs.ndim == 2:
            return probabilities[:, 0], last[0]
        return probabilities.transpose(0, 1) if self.qrnn.batch_first else probabilities, last

    def _by_words(self, inputs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        """Read words; see `_run`."""
        words = self.words(inputs)
        outputs, last = self.qrnn(words, state, targets=torch.zeros_like(words))
        probabilities = outputs if isinstance(outputs, Tensor) else outputs.data
        if self.encoding == "serial":  # the outcome after the last bit-plane of each step
            time = self._time(inputs)
            probabilities = probabilities.unflatten(time, (-1, self.n_bits)).select(time + 1, -1)
        return probabilities, last

    def _time(self, inputs: Tensor) -> int:
        """Return the dimension of time."""
        return 1 if self.qrnn.batch_first and inputs.ndim == 3 else 0

    def _reset_readout(self, generator: torch.Generator | None) -> None:
        bound = self.readout.in_features**-0.5
        for parameter in self.readout.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def _require_encoding(self, *encodings: str) -> None:
        if self.encoding not in encodings:
            raise ValueError(f"The layer's encoding must be {' or '.join(encodings)} for this, but is {self.encoding}.")

    def _scaled(self, inputs: Tensor) -> Tensor:
        """Map `low` to 0 and `high` to 1, in the inputs' own precision, or the layer's where they have 16 bits."""
        self._require(inputs)
        if inputs.is_floating_point():
            exact = inputs if inputs.dtype in checks.PRECISIONS else inputs.to(self.readout.weight.dtype)
        else:
            exact = inputs.double()
        return (exact - self.low) / (self.high - self.low)

    def _require(self, inputs: Tensor) -> None:
        if isinstance(inputs, PackedSequence):
            raise TypeError("Argument `inputs` must be a tensor, but is a packed sequence. Pad series to one length.")
        self.qrnn.cell.require_words(inputs, "inputs")
        if inputs.is_complex() or (inputs.is_floating_point() and inputs.dtype not in checks.FLOATING):
            raise TypeError(f"Argument `inputs` must be a tensor of real numbers, but is {inputs.dtype}.")
        checks.require_last_dimension(inputs, self.in_features, "inputs")
        if inputs.ndim not in (2, 3):
            raise ValueError(f"Argument `inputs` must have 2 or 3 dimensions, but has shape {tuple(inputs.shape)}.")
        if inputs.shape[self._time(inputs)] == 0:
            raise ValueError("Argument `inputs` must have at least one step, but has none.")
        if self.encoding != "angle" and inputs.requires_grad:
            raise ValueError(
                "Argument `inputs` must not require gradients, because quantisation has none, but does. Detach it, or "
                "take encoding='angle'."
            )
        if not is_finite(inputs):
            raise ValueError("Argument `inputs` must be finite, but holds NaN or infinity.")


class Classified(NamedTuple):
    """The result of `QRNNClassifier`, which holds logits of the classes (batch, n_classes) and the last states."""

    logits: Float[Tensor, "*batch outputs"]
    state: Tensor


class QRNNClassifier(QRNNRegressor):
    """A classifier of whole series, whose logits are the read-out of `QRNNRegressor` after the last step.

    Args:
        in_features: features a step.
        hidden_size: workspace qubits.
        n_classes: number of classes, at least 2.
        options: as of `QRNNRegressor`.

    Shape:
        inputs as of `QRNNRegressor`, to logits (batch, n_classes), or (n_classes,) for one series.
    """

    def __init__(self, in_features: int, hidden_size: int, n_classes: int, **options: object) -> None:
        n_classes = checks.as_int(n_classes, "n_classes", 2)
        super().__init__(in_features, hidden_size, n_classes, **options)  # pyright: ignore[reportArgumentType]

    def forward(
        self,
        inputs: Tensor | None = None,
        state: Tensor | None = None,
        *,
        input: Tensor | None = None,
        hx: Tensor | None = None,
    ) -> Classified:
        """Compute logits and the last states; on another backend as one job. See `QRNNRegressor.forward`."""
        series, state = either(inputs, input, "inputs", "input"), either(state, hx, "state", "hx")
        probabilities, last = self._run(series, state, last_only=True)
        return Classified(self._read_out(probabilities), last)

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        config = super().config()
        return config | {"n_classes": config.pop("out_features")}
