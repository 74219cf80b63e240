"""The base class of DARUAN and QKANLayer: a circuit with its trained angles and pre-activations."""

from typing import Any

import torch
from torch import Tensor, nn

from circuits import Circuit
from circuits.daruan import daruan_circuit, require_activation
from qml import checks
from qml.backends import Backend, resolve
from qml.nn.qkan.points import spinor
from qml.nn.qkan.points.bloch import arccos
from qml.nn.qkan.points.evaluate import as_angles, evaluate
from qml.nn.qkan.points.packed import packed_expectation
from qml.nn.qkan.points.parameters import ActivationParameters
from qml.nn.qkan.points.program import compile_activation
from qml.nn.qkan.spectrum import ActivationSpectrum, spectrum_of

READOUTS = ("z", "amplitudes")


class Activations(nn.Module):
    """A set of activations of one ansatz: their circuit, their trained numbers and the backend that runs them.

    Layers decide which activation reads which input, and pass their parameters in that order to `_values_at`.

    Args:
        edges: shape of the set of activations.
        reps: uploads of the input.
        ansatz: a name, or an own one-qubit circuit (which has its own number of uploads).
        train_preactivation: True to upload w x + b with trained w and b, False to upload x itself.
        readout: "z" or "amplitudes".
        backend: a backend or its name.
        device: of the parameters.
        dtype: of the parameters.
    """

    weights: nn.Parameter
    input_weight: nn.Parameter | None
    input_bias: nn.Parameter | None

    def __init__(
        self,
        edges: tuple[int, ...],
        *,
        reps: int,
        ansatz: str | Circuit,
        train_preactivation: bool,
        readout: str,
        backend: Backend | str,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__()
        self.to_backend(backend)
        reps = checks.as_int(reps, "reps", 1)
        train_preactivation = checks.as_flag(train_preactivation, "train_preactivation")
        checks.require_choice(readout, "readout", READOUTS)
        checks.require_precision(dtype)
        self.circuit = daruan_circuit(ansatz, reps) if isinstance(ansatz, str) else require_activation(ansatz).copy()
        self.ansatz = ansatz if isinstance(ansatz, str) else "own"
        self.readout = readout
        self._program = compile_activation(self.circuit)
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weights = nn.Parameter(torch.empty(*edges, self._program.n_weights, **factory))
        if train_preactivation:
            self.input_weight = nn.Parameter(torch.empty(*edges, self._program.n_uploads, **factory))
            self.input_bias = nn.Parameter(torch.empty(*edges, self._program.n_uploads, **factory))
        else:
            self.register_parameter("input_weight", None)
            self.register_parameter("input_bias", None)

    __prepare_scriptable__ = checks.refuse_scripting

    def to_backend(self, backend: Backend | str, *, width: int = 4) -> "Activations":
        """Run on another backend from now on; the parameters stay.

        A backend whose capability `closed_form` is true, as `Native()` with its defaults, lets the layer compute
        activations as rotations of a vector, to any order of derivative. Other backends run the circuits, `width` of
        them side by side on as many qubits, in one call for a forward pass. Where a backend gives derivatives of any
        order they are its own; elsewhere one more call takes the first ones by the parameter-shift rule.

        Args:
            backend: a backend or its name.
            width: qubits of a register; the result does not depend on it.
        """
        self.backend, self.width = resolve(backend), checks.as_int(width, "width", 1)
        self._closed_form = self.backend, self.backend.capabilities.closed_form
        return self

    @property
    def reps(self) -> int:
        """Return the number of uploads of the input."""
        return self._program.n_uploads

    def spectrum(self) -> ActivationSpectrum:
        """Return the frequencies, amplitudes and phases of every activation, exactly and in float64.

        phi(x) = sum_m a_m cos(f_m x + p_m). For the ansatz "px" with fixed pre-activations x stands for arccos of the
        input.

        Raises:
            ValueError: a read-out that is no finite sum, "px" with trained pre-activations, more than 9 uploads;
                parameters that are not finite, or on the meta device.
        """
        if self.readout != "z":
            raise ValueError(f'Argument `readout` must be "z" for a finite spectrum, but is {self.readout!r}.')
        if self._uploads_arccos and self.input_weight is not None:
            raise ValueError(
                'Ansatz "px" has a finite spectrum only with train_preactivation=False (in arccos x), but w and b are '
                "trained."
            )
        checks.require_values(self)
        checks.require_finite_parameters(self)
        weights, scale, shift = (
            None if part is None else part.detach().double().cpu().numpy() for part in self._parameters_as_held()
        )
        return spectrum_of(self._program, weights, scale, shift)  # pyright: ignore[reportArgumentType]

    @property
    def _uploads_arccos(self) -> bool:
        """Tell whether the arccosine of the pre-activation enters the circuit."""
        return self.ansatz == "px"

    @property
    def _is_closed_form(self) -> bool:
        """Tell whether the backend lets the layer evaluate its circuits by a formula of its own."""
        backend, is_closed_form = self._closed_form  # asked once: describing capabilities takes microseconds
        if backend is not self.backend:
            is_closed_form = self.backend.capabilities.closed_form
            self._closed_form = self.backend, is_closed_form
        return is_closed_form

    def _parameters_as_held(self) -> ActivationParameters:
        """Return the parameters, one activation for each entry of the set."""
        return ActivationParameters(self.weights, self.input_weight, self.input_bias)

    def _activation_options(self) -> dict[str, Any]:
        """Return the constructor arguments that make the activations, for `config`."""
        return {
            "reps": self.reps,
            "ansatz": self.circuit if self.ansatz == "own" else self.ansatz,
            "train_preactivation": self.input_weight is not None,
            "readout": self.readout,
        }

    def _describe(self) -> str:
        """Write the options of the activations, for `repr`."""
        return (
            f"reps={self.reps}, ansatz={self.ansatz!r}, train_preactivation={self.input_weight is not None}, "
            f"readout={self.readout!r}"
        )

    def _reset_activations(self, generator: torch.Generator | None) -> None:
        """Draw the angles from N(0, 0.5), and set the pre-activations to x."""
        checks.require_generator(generator)
        nn.init.normal_(self.weights, std=0.5, generator=generator)
        if self.input_weight is not None and self.input_bias is not None:
            nn.init.ones_(self.input_weight)
            nn.init.zeros_(self.input_bias)

    def _flattened(self, inputs: Tensor, size: int) -> Tensor:
        """Return inputs of shape (..., size) as (batch, size), in the parameters' precision under autocast.

        Raises:
            TypeError: no dense tensor of the parameters' dtype; see `checks.as_inputs`.
            ValueError: another device or last dimension.
        """
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, size, "inputs")
        return inputs.reshape(-1, size)

    def _uploaded(self, inputs: Tensor) -> Tensor:
        """Return the points at which activations are evaluated: the inputs, or their arccosines for fixed "px"."""
        return arccos(inputs) if self._uploads_arccos and self.input_weight is None else inputs

    def _values_at(self, points: Tensor, parameters: ActivationParameters, *, closed_form: bool) -> Tensor:
        """Evaluate every activation at points (points, inputs or 1, 1), shape (points, inputs, outputs).

        Args:
            points: see `_uploaded`.
            parameters: of every edge, (outputs, inputs, slots), or (inputs, slots) for all outputs.
            closed_form: see `_is_closed_form`.
        """
        program, readout = self._program, self.readout
        arccosine = self._uploads_arccos and parameters.scale is not None
        if closed_form and readout == "z":
            return evaluate(program, points, *parameters, arccos=arccosine)
        angles = as_angles(points, *parameters, arccos=arccosine)
        if closed_form:
            return spinor.amplitude_difference(self.circuit, angles)
        if readout == "amplitudes":
            raise ValueError(
                f'Argument `readout` must be "z" on backend {self.backend.name}, but is "amplitudes", which no device '
                "measures. Use the native backend with its defaults."
            )
        return packed_expectation(program, angles, self.backend, self.width)
