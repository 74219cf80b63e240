"""The fidelity kernel of a feature map."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from circuits import Circuit, ComputedCircuit
from circuits.overlap import overlap_circuit
from qml import checks
from qml.backends import Backend, Native, resolve
from qml.backends.inputs import require_circuit
from qml.kernels.components import Component, components
from qml.kernels.pairs import pairs_of
from qml.nn.angles import computed_angles

STATES_AT_ONCE = 2**26  # amplitudes, 1 GiB in complex128; of more samples states are computed again for each block


class FidelityKernel(nn.Module):
    r"""The kernel k(x, x') = |<0| U(x)^dagger U(x') |0>|^2 of a circuit U that prepares a state of the inputs.

    On the built-in simulator all states are computed once and their overlaps are one matrix product, of each connected
    component of the circuit apart; derivatives of any order. On devices each pair of samples is one circuit, U(x) and
    then U(x')^dagger, whose probability of all zeros is measured: a matrix is one call of the backend, a sample with
    itself is 1 without being measured, and of inputs that need no gradient equal pairs are sent once.

    Args:
        feature_map: A circuit without measurement, noise and reset; its data slots are filled by the inputs and its
            weight slots, if it has any, by a trained parameter. A `ComputedCircuit`, such as `feature_maps.zz(4)`,
            stands for a circuit and the `Angles` of its polynomials.
        angles: A module from inputs to the angles of the data slots; None where inputs are angles in radians.
        backend: A backend or its name.
        device: Of the weights.
        dtype: Of the weights, float32 or float64.
        generator: For the initial weights, uniform in [-pi, pi).

    Shape:
        (batch, inputs) to (batch, batch), or with others (others, inputs) to (batch, others).

    Attributes:
        weights: Angles in radians, shape (feature_map.n_weights,).

    Raises:
        ValueError: If the feature map is not unitary, or `angles` are given beside a `ComputedCircuit`.

    Reference:
        Havlicek et al., arXiv:1804.11326; Schuld and Killoran, arXiv:1803.07128.

    Example:
        >>> import torch
        >>> from circuits import feature_maps
        >>> from qml.kernels import FidelityKernel
        >>> FidelityKernel(feature_maps.angle(3))(torch.rand(5, 3), torch.rand(2, 3)).shape
        torch.Size([5, 2])
    """

    weights: nn.Parameter

    def __init__(
        self,
        feature_map: Circuit | ComputedCircuit,
        *,
        angles: nn.Module | None = None,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_precision(dtype)
        checks.require_generator(generator)
        if isinstance(feature_map, ComputedCircuit):
            angles = computed_angles(feature_map, angles, device=device, dtype=dtype, generator=generator)
            feature_map = feature_map.circuit
        require_circuit(feature_map)
        if not feature_map.is_unitary:
            raise ValueError(
                "Argument `feature_map` must be unitary, but has noise, a reset, a measurement or a post-selection. "
                "Put noise into the backend."
            )
        if angles is not None and not isinstance(angles, nn.Module):
            raise TypeError(f"Argument `angles` must be a module or None, but is {type(angles).__name__}.")
        self.feature_map = feature_map
        self.angles = angles
        self.backend = resolve(backend)
        self.weights = nn.Parameter(torch.empty(feature_map.n_weights, device=device, dtype=dtype))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew."""
        with torch.no_grad():
            self.weights.uniform_(-math.pi, math.pi, generator=generator)

    def forward(
        self, inputs: Float[Tensor, "batch inputs"], others: Float[Tensor, "others inputs"] | None = None
    ) -> Float[Tensor, "batch others"]:
        """Compute the kernel matrix of `inputs` with `others`, or with themselves.

        Raises:
            TypeError: If inputs are no dense tensors of the kernel's dtype.
            ValueError: If they have another shape or device, or hold NaN or infinity.
        """
        rows = self._angles_of(inputs, "inputs")
        columns = None if others is None else self._angles_of(others, "others")
        if self.backend.capabilities.closed_form:
            return self._from_states(rows, columns)
        return self._from_pairs(rows, columns)

    def to_backend(self, backend: Backend | str) -> "FidelityKernel":
        """Run on another backend from now on, with the same weights; return the kernel."""
        self.backend = resolve(backend)
        return self

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return f"{self.feature_map!r}, backend={self.backend.name!r}"

    __prepare_scriptable__ = checks.refuse_scripting

    def _angles_of(self, inputs: Any, name: str) -> Tensor:
        inputs = checks.as_inputs(inputs, self.weights, name)
        if inputs.ndim != 2:
            raise ValueError(
                f"Argument `{name}` must have shape (batch, inputs), but has shape {tuple(inputs.shape)}. Flatten it."
            )
        result = inputs if self.angles is None else checks.as_inputs(self.angles(inputs), self.weights, "angles")
        checks.require_last_dimension(result, self.feature_map.n_data, name if self.angles is None else "angles")
        return result

    def _from_states(self, rows: Tensor, columns: Tensor | None) -> Tensor:
        result: Tensor | None = None
        for part in self.feature_map.derived("kernel components", lambda: components(self.feature_map)):
            fidelities = _fidelities(part, rows, columns, self.weights)
            result = fidelities if result is None else result * fidelities
        if result is None:
            return rows.new_ones(len(rows), len(rows if columns is None else columns))
        return result

    def _from_pairs(self, rows: Tensor, columns: Tensor | None) -> Tensor:
        circuit = self.feature_map.derived("overlap circuit", lambda: overlap_circuit(self.feature_map))
        pairs = pairs_of(rows, columns)
        inputs = rows if columns is None else torch.cat([rows, columns])
        data = torch.cat([inputs[pairs.first], inputs[pairs.second]], dim=1)
        measured = self.backend.probabilities(circuit, data, self.weights)[:, 0]
        return torch.cat([measured, measured.new_ones(1)])[pairs.places]


def _fidelities(part: Component, rows: Tensor, columns: Tensor | None, weights: Tensor) -> Tensor:
    """Compute |<x|x'>|^2 of the states of one component."""
    own = weights[list(part.weight_slots)]

    def states(inputs: Tensor) -> Tensor:
        return Native().state(part.circuit, inputs[:, list(part.data_slots)], own)

    size = max(1, STATES_AT_ONCE >> part.circuit.n_qubits)
    if columns is None and len(rows) <= size:
        return _squared_overlaps(once := states(rows), once)
    blocks = [
        torch.cat(
            [_squared_overlaps(left, states(right)) for right in (rows if columns is None else columns).split(size)], 1
        )
        for left in map(states, rows.split(size))
    ]
    return torch.cat(blocks)


def _squared_overlaps(left: Tensor, right: Tensor) -> Tensor:
    return torch.view_as_real(left.conj() @ right.mT).square().sum(-1)
