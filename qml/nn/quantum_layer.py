"""Any circuit as a torch module."""

import math
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, ComputedCircuit, Observable
from qml import checks
from qml.backends import Backend, resolve
from qml.backends.inputs import as_observables, as_qubits, require_circuit
from qml.backends.protocol import JetBackend
from qml.jets import Jet, JetModule, Orders, RowWeightsModule
from qml.nn.angles import computed_angles, n_angles_of

Initial = Literal["uniform", "small"]
SMALL_ANGLE_DEVIATION = 0.1  # radians


class QuantumLayer(JetModule, RowWeightsModule):
    r"""A layer that runs a circuit and returns its expectation values, or the probabilities of outcomes.

    Inputs fill the circuit's data slots and a trained parameter its weight slots. Inputs are angles in radians and are
    not scaled: scale them before (a `torch.nn.Linear`, or `math.pi * torch.sigmoid`), or by `angles`.

    Args:
        circuit: any circuit; its data slots are the features. A `ComputedCircuit`, such as `feature_maps.zz(4)`, stands
            for a circuit and the `Angles` of its polynomials.
        observables: whose expectation values are returned; None where `probabilities_of` is given.
        probabilities_of: qubits whose joint outcomes' probabilities are returned, the first the most significant.
        angles: a module that computes the data slots' angles from the inputs, such as `qml.nn.Angles` or
            `torch.nn.Linear`; None takes the inputs as they are.
        initial: the distribution of the first weights: `"uniform"` in [-pi, pi), or `"small"`, N(0, 0.1), with which
            the layer begins near the circuit without them.
        backend: a backend or its name.
        device: of the weights.
        dtype: of the weights, float32 or float64.
        generator: for the initial weights; none is seeded globally.

    Shape:
        inputs (..., circuit.n_data) to (..., len(observables)), or to (..., 2**len(probabilities_of)); weights of every
        sample, (..., circuit.n_weights), may stand beside them in place of the parameter. With `angles` inputs have the
        shape that these take.

    Attributes:
        weights: angles in radians, shape (circuit.n_weights,).
        circuit: the circuit; it must not grow any more.
        angles: the module that computes angles, or None.

    Raises:
        ValueError: neither or both of `observables` and `probabilities_of`, an observable or qubit outside the circuit;
            `angles` of another number than the circuit's data slots, or beside a `ComputedCircuit`.

    Reference:
        Circuits as differentiable layers: Mitarai et al., arXiv:1803.00745; Schuld et al., arXiv:1811.11184.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z, data, weight
        >>> from qml.nn import QuantumLayer
        >>> circuit = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).ry(weight(0), 1)
        >>> QuantumLayer(circuit, [Z(0), Z(1)])(torch.rand(5, 3, 2)).shape
        torch.Size([5, 3, 2])
    """

    weights: nn.Parameter
    angles: nn.Module | None

    def __init__(  # noqa: PLR0913 - torch's three, and one for each choice
        self,
        circuit: Circuit | ComputedCircuit,
        observables: Sequence[Observable] | None = None,
        *,
        probabilities_of: Sequence[int] | None = None,
        angles: nn.Module | None = None,
        initial: Initial = "uniform",
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if (observables is None) == (probabilities_of is None):
            raise ValueError(
                "Exactly one of `observables` and `probabilities_of` must be given. Pass for example [Z(0)], or "
                "probabilities_of=[0]."
            )
        checks.require_choice(initial, "initial", ("uniform", "small"))
        checks.require_precision(dtype)
        checks.require_generator(generator)
        if isinstance(circuit, ComputedCircuit):
            angles = computed_angles(circuit, angles, device=device, dtype=dtype, generator=generator)
            circuit = circuit.circuit
        require_circuit(circuit)
        _require_angles(angles, circuit)
        self.circuit, self.angles = circuit, angles
        self.observables = None if observables is None else as_observables(observables, circuit.n_qubits)
        self.probabilities_of = None if probabilities_of is None else as_qubits(probabilities_of, circuit.n_qubits)
        self.initial: Initial = initial
        self.backend = resolve(backend)
        self.weights = nn.Parameter(torch.empty(circuit.n_weights, device=device, dtype=dtype))
        self.reset_parameters(generator)

    @property
    def n_inputs(self) -> int | None:
        """Return the number of features of a sample; None where `angles` is a module that does not say it."""
        if self.angles is None:
            return self.circuit.n_data
        angles = self.angles
        first = angles[0] if isinstance(angles, nn.Sequential) and len(angles) else angles
        return getattr(first, "n_inputs", getattr(first, "in_features", None))

    @property
    def n_outputs(self) -> int:
        """Return the number of expectation values or probabilities of a sample."""
        return 2 ** len(self.probabilities_of or ()) if self.observables is None else len(self.observables)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all angles anew."""
        with torch.no_grad():
            if self.initial == "uniform":
                self.weights.uniform_(-math.pi, math.pi, generator=generator)
            else:
                self.weights.normal_(0.0, SMALL_ANGLE_DEVIATION, generator=generator)

    def forward(
        self, inputs: Float[Tensor, "*batch inputs"] | Jet, weights: Float[Tensor, "*batch weights"] | None = None
    ) -> Float[Tensor, "*batch outputs"] | Jet:
        """Compute the expectation values or probabilities; see the class.

        Args:
            inputs: features, or their jet as `qml.pinn` makes it, to which `jet` is applied.
            weights: of every sample, as another network may make them; None takes the parameter for all.

        Raises:
            TypeError: inputs or weights that are not dense tensors of the layer's dtype.
            ValueError: inputs or weights of another shape or device, or with NaN or infinity.
        """
        if isinstance(inputs, Jet):
            return inputs.through(self, weights)
        circuit, own = self.circuit, self.weights
        inputs = self._with_angles(checks.as_inputs(inputs, own))
        if weights is not None:
            weights = checks.as_inputs(weights, own, "weights")
            self._require_row_each(weights, inputs.shape[:-1])
            inputs, circuit, own = torch.cat([inputs, weights], -1), circuit.weights_as_data(), own[:0]
        is_flat = inputs.ndim == 2  # even a reshape to the same shape is an operation of autograd
        flat = inputs if is_flat else inputs.reshape(math.prod(inputs.shape[:-1]), circuit.n_data)
        if self.observables is not None:
            values = self.backend.expectation(circuit, flat, own, self.observables)
        else:
            values = self.backend.probabilities(circuit, flat, own, self.probabilities_of)
        return values if is_flat else values.reshape((*inputs.shape[:-1], values.shape[1]))

    def jet(
        self,
        inputs: Float[Tensor, "components *batch inputs"],
        orders: Orders,
        weights: Float[Tensor, "*batch weights"] | None = None,
    ) -> Float[Tensor, "components *batch outputs"]:
        """Compute outputs with derivatives along directions and sums of second ones, from those of the inputs.

        Args:
            inputs: components [value, first derivatives, those of second order].
            orders: which derivatives those are; see `qml.jets.Jet`.
            weights: of every sample; None takes the parameter for all.

        Raises:
            ValueError: as `forward`.
            NotImplementedError: a backend without the capability `jets`, a layer that returns probabilities, or a
                circuit that is not unitary.
        """
        circuit, own = self.circuit, self.weights
        inputs = checks.as_inputs(inputs, own)
        if orders.towers:
            raise NotImplementedError("Circuits move derivatives of second order at most. Take nested passes for more.")
        if self.observables is None:
            raise NotImplementedError("Derivatives along directions need observables, but this layer has none.")
        if not self.backend.capabilities.jets:
            raise NotImplementedError(
                "Derivatives along directions need the capability `jets`, which this layer's backend "
                f"{self.backend.name!r} lacks with its options. Use the backend Native()."
            )
        if self.angles is not None:
            inputs = self.angles(Jet(inputs, orders)).data
        checks.require_last_dimension(inputs, circuit.n_data, "inputs" if self.angles is None else "angles")
        batch = inputs.shape[1:-1]
        if weights is not None:
            weights = checks.as_inputs(weights, own, "weights")
            self._require_row_each(weights, batch)
            own = weights.reshape(math.prod(batch), circuit.n_weights)
        flat = inputs.reshape(len(inputs), math.prod(batch), circuit.n_data)
        values = cast(JetBackend, self.backend).expectation_jet(circuit, flat, own, self.observables, orders)
        return values.reshape(len(inputs), *batch, values.shape[-1])

    def _with_angles(self, inputs: Tensor) -> Tensor:
        """Return the circuit's data for the inputs."""
        if self.angles is None:
            checks.require_last_dimension(inputs, self.circuit.n_data, "inputs")
            return inputs
        angles = checks.as_inputs(self.angles(inputs), self.weights, "angles")
        expected = (*inputs.shape[:-1], self.circuit.n_data)
        if angles.shape != expected:
            raise ValueError(
                f"Argument `angles` must be a module that returns shape {tuple(expected)} here, but it returns "
                f"{tuple(angles.shape)}."
            )
        return angles

    def _require_row_each(self, weights: Tensor, batch: Sequence[int]) -> None:
        expected = (*batch, self.circuit.n_weights)
        if weights.shape != expected:
            raise ValueError(
                f"Argument `weights` must have shape {tuple(expected)}, one vector a sample, but has shape "
                f"{tuple(weights.shape)}."
            )

    __prepare_scriptable__ = checks.refuse_scripting

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator, and `angles` of None."""
        names = ("circuit", "observables", "probabilities_of", "initial")
        own = {} if self.angles is None else {"angles": self.angles}
        return {name: getattr(self, name) for name in names} | own

    def to_backend(self, backend: Backend | str) -> "QuantumLayer":
        """Run on another backend from now on, with the same weights; return the layer."""
        self.backend = resolve(backend)
        return self

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        read = (
            f"probabilities_of={self.probabilities_of}"
            if self.observables is None
            else f"observables={list(self.observables)}"
        )
        return f"{self.circuit!r}, n_weights={len(self.weights)}, {read}, backend={self.backend.name!r}"


def _require_angles(angles: Any, circuit: Circuit) -> None:
    if angles is None:
        return
    if not isinstance(angles, nn.Module):
        raise TypeError(f"Argument `angles` must be a torch.nn.Module, but is {type(angles).__name__}.")
    n_angles = n_angles_of(angles)
    if n_angles is not None and n_angles != circuit.n_data:
        raise ValueError(
            f"Argument `angles` must compute {circuit.n_data} angles, one for each data slot, but computes {n_angles}."
        )
