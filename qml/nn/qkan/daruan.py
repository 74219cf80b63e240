"""The data re-uploading activation as a torch module."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit
from qml import checks
from qml.backends import Backend
from qml.nn.qkan.activations import Activations
from qml.nn.qkan.extension import extend_parameters
from qml.nn.qkan.formula import as_variables, expression


class DARUAN(Activations):
    r"""Data re-uploading activation: one trained one-qubit circuit a feature, read as <Z>.

    The input is uploaded `reps` times, as the rotation angles w_l x + b_l, between trained rotations. So every
    activation is a trigonometric polynomial with values in [-1, 1], whose frequencies are all sums of s_l w_l with s_l
    in {-1, 0, 1}. It is computed exactly as rotations of a three-dimensional vector: no state is simulated.

    Args:
        n_features: number of features, one activation each.
        reps: uploads of the input, at least 1.
        ansatz: "pz" (the default), "rpz", "real", "px", "mix" (see `circuits.daruan`), or an own circuit of one qubit
            with data slots; `reps` is then its number of data slots. "px" uploads arccos(w x + b), cut to [-1, 1].
        train_preactivation: whether w and b are trained; otherwise x itself is uploaded.
        readout: "z", the expectation value <Z> = |a|**2 - |b|**2 of the final state (a, b); or "amplitudes", the
            published package's |a| - |b|, which no device measures.
        backend: a backend or its name; see `to_backend`.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.
        generator: for the initial angles; none is seeded globally.

    Shape:
        (..., n_features) to (..., n_features), in [-1, 1].

    Attributes:
        weights: angles in radians, shape (n_features, n_weights).
        input_weight, input_bias: w and b, shape (n_features, reps), initially 1 and 0; None where not trained.
        circuit: the circuit of one activation.

    Raises:
        ValueError: fewer than one feature or upload, an unknown ansatz or read-out, an own circuit of more than one
            qubit or without data slots; inputs of another last dimension or with NaN, or parameters with NaN (inside
            torch.func transforms and torch.compile nobody can look).
        TypeError: inputs that are no dense tensor of the parameters' dtype; parameters in half precision.

    Reference:
        arXiv:2509.14026, section on DARUAN. Its package reads |a| - |b| by default.

    Example:
        >>> import torch
        >>> from qml.nn import DARUAN
        >>> DARUAN(4)(torch.rand(5, 4)).shape
        torch.Size([5, 4])
    """

    def __init__(  # noqa: PLR0913 - torch's device, dtype and generator come on top
        self,
        n_features: int,
        *,
        reps: int = 3,
        ansatz: str | Circuit = "pz",
        train_preactivation: bool = True,
        readout: Literal["z", "amplitudes"] = "z",
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        n_features = checks.as_int(n_features, "n_features", 1)
        super().__init__(
            (n_features,),
            reps=reps,
            ansatz=ansatz,
            train_preactivation=train_preactivation,
            readout=readout,
            backend=backend,
            device=device,
            dtype=dtype,
        )
        self.n_features = n_features
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the angles; w = 1 and b = 0."""
        self._reset_activations(generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch inputs"]:
        """Compute the activation of every feature."""
        flat = self._flattened(inputs, self.n_features)
        checks.require_finite(flat, "inputs")
        points = self._uploaded(flat).unsqueeze(-1)
        result = self._values_at(points, self._parameters_as_held(), closed_form=self._is_closed_form)
        result = result.reshape(inputs.shape)
        checks.require_finite_result(result, self)
        return result

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator."""
        return {"n_features": self.n_features, **self._activation_options()}

    def extended(self, reps: int) -> "DARUAN":
        """Return the same functions with more uploads: added blocks start as the identity; see `QKANLayer.extended`."""
        config: dict[str, Any] = self.config() | {"reps": checks.as_int(reps, "reps", self.reps)}
        new = DARUAN(**config, backend=self.backend, device=self.weights.device, dtype=self.weights.dtype)
        extend_parameters(self.ansatz, self._parameters_as_held(), new._parameters_as_held())
        return new

    def to_sympy(self, variables: list | None = None, *, tolerance: float = 0.0) -> list:
        """Write each activation as a sympy expression; see `QKANLayer.to_sympy`."""
        tolerance = checks.as_number(tolerance, "tolerance", at_least=0.0)
        given, spectrum = as_variables(variables, self.n_features), self.spectrum()
        return [
            expression(spectrum, (i,), variable, tolerance, arccos=self._uploads_arccos)
            for i, variable in enumerate(given)
        ]

    def extra_repr(self) -> str:
        """Return what `repr` shows."""
        return f"{self.n_features}, {self._describe()}"
