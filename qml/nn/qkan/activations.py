"""What DARUAN and QKANLayer share: circuits with their trained angles and pre-activations."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from circuits import Circuit
from circuits.daruan import daruan_circuit, require_activation
from qml import checks
from qml.backends import Backend, Native, resolve
from qml.checks import full_precision
from qml.nn.qkan.points import spinor
from qml.nn.qkan.points.evaluate import as_angles, evaluate
from qml.nn.qkan.points.packed import packed_expectation
from qml.nn.qkan.points.program import compile_activation
from qml.nn.qkan.series import bases
from qml.nn.qkan.series.bases import Basis, Fourier
from qml.nn.qkan.spectrum import Spectrum, spectrum_of

READOUTS = ("z", "amplitudes")
TABLE_SHARE = 0.7  # of the batch: a series with more terms than this costs more than the points themselves
SMALL_BATCH = 8  # samples up to which points are cheaper than finding out


class Activations(nn.Module):
    """A set of activations of one ansatz, shape `edges`.

    Args:
        edges: shape of the set.
        reps: uploads of the input.
        ansatz: a name, or an own one-qubit circuit (which has its own number of uploads).
        train_preactivation: whether w x + b is uploaded, with trained w and b, or x itself.
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
        self.program = compile_activation(self.circuit)
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        self.weights = nn.Parameter(torch.empty(*edges, self.program.n_weights, **factory))
        if train_preactivation:
            self.input_weight = nn.Parameter(torch.empty(*edges, self.program.n_uploads, **factory))
            self.input_bias = nn.Parameter(torch.empty(*edges, self.program.n_uploads, **factory))
        else:
            self.register_parameter("input_weight", None)
            self.register_parameter("input_bias", None)

    __prepare_scriptable__ = checks.refuse_scripting

    def to_backend(self, backend: Backend | str, *, width: int = 4) -> "Activations":
        """Run on another backend from now on; the parameters stay.

        The built-in simulator computes activations as rotations of a vector, to any order of derivative. Other
        backends run the circuits, `width` of them side by side on as many qubits: one call of the backend for a forward
        pass, one for a backward pass (by the parameter-shift rule, to first order).

        Args:
            backend: a backend or its name.
            width: qubits of a register; the result does not depend on it.
        """
        self.backend, self.width = resolve(backend), checks.as_int(width, "width", 1)
        return self

    @property
    def is_native(self) -> bool:
        """Whether the built-in simulator runs it, without read-out errors."""
        return isinstance(self.backend, Native) and self.backend.readout_error is None

    @property
    def reps(self) -> int:
        """Uploads of the input."""
        return self.program.n_uploads

    @property
    def uploads_arccos(self) -> bool:
        """Whether the arccosine of the pre-activation enters the circuit."""
        return self.ansatz == "px"

    @property
    def options(self) -> dict[str, Any]:
        """Constructor arguments beside sizes, device and dtype."""
        ansatz = self.circuit if self.ansatz == "own" else self.ansatz
        return {
            "reps": self.reps,
            "ansatz": ansatz,
            "train_preactivation": self.input_weight is not None,
            "readout": self.readout,
        }

    def spectrum(self) -> Spectrum:
        """Frequencies, amplitudes and phases of every activation: phi(x) = sum_m a_m cos(f_m x + p_m), exactly.

        For the ansatz "px" with fixed pre-activations x stands for arccos of the input.

        Raises:
            ValueError: a read-out that is no finite sum, "px" with trained pre-activations, more than 9 uploads.
        """
        return spectrum_of(self)

    def spread(self) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Weights, scale and shift of every edge, each (outputs, inputs, slots), or (inputs, slots) for all outputs."""
        return self.weights, self.input_weight, self.input_bias

    def flattened(self, inputs: Tensor, size: int) -> Tensor:
        """Inputs of shape (..., size) as (batch, size), in the parameters' precision under autocast.

        Raises:
            TypeError: no dense tensor of the parameters' dtype; see `checks.as_inputs`.
            ValueError: another device or last dimension.
        """
        inputs = checks.as_inputs(inputs, self.weights)
        checks.require_last_dimension(inputs, size, "inputs")
        return inputs.reshape(-1, size)

    def bounds(self, inputs: Tensor) -> tuple[float, float]:
        """The least and the largest input.

        Raises:
            ValueError: inputs that are not finite.
        """
        if inputs.numel() == 0:
            return 0.0, 0.0
        low, high = (bound.item() for bound in inputs.detach().aminmax())
        checks.require_finite_bounds(low, high, "inputs")
        return low, high

    def describe(self) -> str:
        """The options of the activations, for `repr`."""
        return (
            f"reps={self.reps}, ansatz={self.ansatz!r}, train_preactivation={self.input_weight is not None}, "
            f"readout={self.readout!r}"
        )

    def values_at(self, points: Tensor) -> Tensor:
        """Every activation at points (points, inputs or 1, 1), shape (points, inputs, outputs).

        Where an arccosine is uploaded and pre-activations are not trained, points are the arccosines.
        """
        weights, scale, shift = self.spread()
        arccos = self.uploads_arccos and scale is not None
        if self.is_native and self.readout == "z":
            return evaluate(self.program, points, weights, scale, shift, arccos=arccos)
        angles = as_angles(points, weights, scale, shift, arccos=arccos)
        if not self.is_native:
            if self.readout == "amplitudes":
                raise ValueError(
                    f'Argument `readout` must be "z" on backend {self.backend.name}, but is "amplitudes", which no '
                    "device measures. Use the native backend."
                )
            return packed_expectation(self.program, angles, self.backend, self.width)
        return spinor.amplitude_difference(self.circuit, angles)

    def basis_for(self, inputs: Tensor) -> Basis | None:
        """Functions in which every activation has an exact expansion at these inputs; None where there are none.

        Raises:
            ValueError: inputs that are not finite.
        """
        if checks.hides_values() or inputs.is_meta:
            return None
        low, high = self.bounds(inputs)
        if checks.in_forward_mode():
            return None
        most = TABLE_SHARE * inputs.shape[0] if inputs.shape[0] >= SMALL_BATCH else 0.0
        return self.basis_on(low, high, most=most)

    def basis_on(self, low: float, high: float, *, most: float | int) -> Basis | None:
        """Functions in which every activation has an exact expansion on [low, high], at most `most` of them."""
        if self.readout != "z" or not self.is_native:
            return None
        if self.input_weight is None:
            return None if self.program.degree is None else Fourier(self.program.degree)
        if self.uploads_arccos or most < 1:
            return None
        bandwidth = self.bandwidth()
        if not math.isfinite(bandwidth):
            checks.require_finite_parameters(self)
        basis = bases.chebyshev(low, high, bandwidth, self.weights.dtype)
        return basis if basis is not None and basis.size <= most else None

    def bandwidth(self) -> float:
        """The highest frequency that an activation can have."""
        factors = [0.0] * self.program.n_uploads
        for rotation in self.program.rotations:
            if rotation.upload:
                factors[rotation.upload[0]] += abs(rotation.upload[1])
        if self.input_weight is None:
            return sum(factors)
        scale = self.input_weight.detach()
        if any(factor != 1.0 for factor in factors):
            scale = scale * scale.new_tensor(factors)
        return float(scale.abs().sum(-1).amax())

    def coefficients(self, basis: Basis) -> Tensor:
        """Of every activation, shape (basis.size, inputs, outputs)."""
        values = self.values_at(basis.nodes(self.weights)[:, None, None])
        with full_precision(values):
            return (basis.from_nodes(self.weights) @ values.flatten(1)).view_as(values)
