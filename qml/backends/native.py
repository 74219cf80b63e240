"""The built-in simulator as a backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit, Observable
from qml.backends import _checks
from qml.backends.protocol import Capabilities, Samples
from qml.simulator import engine


@dataclass(frozen=True)
class Native:
    """Exact simulation in torch, on the device and in the precision of the inputs.

    Circuits of gates and post-selection run as state vectors; circuits with reset, mid-circuit measurement or noise run
    as density matrices, exactly.

    Args:
        method: how first derivatives are taken. `"auto"`: a pullback of our own, storing the states between steps where
            they fit into memory and recomputing them where not. `"autograd"`: plain tensor operations. `"adjoint"`:
            memory independent of depth; only once differentiable, and a second derivative raises. With `"auto"` and
            `"autograd"` derivatives of any order are right.
        representation: `"auto"`, `"state"` or `"density"` (needs 4**n numbers a sample).

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z, data, weight
        >>> circuit = Circuit(2).ry(data(0), 0).cx(0, 1).ry(weight(0), 1)
        >>> Native().expectation(circuit, torch.zeros(3, 1), torch.zeros(1), [Z(0), Z(1)]).shape
        torch.Size([3, 2])
    """

    method: Literal["auto", "autograd", "adjoint"] = "auto"
    representation: Literal["auto", "state", "density"] = "auto"

    def __post_init__(self) -> None:
        _checks.require_choice(self.method, "method", ("auto", "autograd", "adjoint"))
        _checks.require_choice(self.representation, "representation", ("auto", "state", "density"))

    @property
    def name(self) -> str:
        """`"native"`."""
        return "native"

    @property
    def capabilities(self) -> Capabilities:
        """Everything; derivatives of any order unless the adjoint method was asked for."""
        order = 1 if self.method == "adjoint" else None
        return Capabilities(exact=True, shots=True, noise=True, mid_circuit=True, derivative_order=order)

    def expectation(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        observables: Sequence[Observable],
    ) -> Float[Tensor, "batch observables"]:
        """Exact expectation values; see `Backend.expectation`."""
        chosen = _checks.as_observables(observables, circuit.n_qubits)
        _checks.require_inputs(circuit, data, weights)
        if not chosen or data.shape[0] == 0:
            return data.new_zeros(data.shape[0], len(chosen))
        levels = self._levels(circuit)
        return engine.expectation(circuit, data, weights, chosen, levels=levels, method=self.method)

    def probabilities(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        qubits: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch outcomes"]:
        """Exact probabilities; see `Backend.probabilities`."""
        chosen = _checks.as_qubits(qubits, circuit.n_qubits)
        _checks.require_inputs(circuit, data, weights)
        if data.shape[0] == 0:
            return data.new_zeros(0, 2 ** len(chosen))
        levels = self._levels(circuit)
        return engine.probabilities(circuit, data, weights, chosen, levels=levels, method=self.method)

    def state(
        self, circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
    ) -> Float[Tensor, "batch amplitudes"]:
        """The normalised state vectors, complex, shape (batch, 2**n_qubits); refused for mixed states."""
        _checks.require_inputs(circuit, data, weights)
        if self._levels(circuit) == 4:
            raise ValueError(
                "A state vector must come from a circuit without reset, measurement and noise, but this one has some. "
                "Use probabilities or expectation."
            )
        if data.shape[0] == 0:
            return data.new_zeros(0, 2**circuit.n_qubits, dtype=data.dtype.to_complex())
        return engine.final_state(circuit, data, weights)

    def sample(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        shots: int,
        *,
        qubits: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Samples:
        """Outcomes of `shots` runs; see `Backend.sample`."""
        raise NotImplementedError

    def _levels(self, circuit: Circuit) -> int:
        if self.representation == "density":
            return 4
        mixed = circuit.derived(
            "mixed", lambda: any(op.is_noise or op.gate.name in ("reset", "measure") for op in circuit.operations)
        )
        if mixed and self.representation == "state":
            raise ValueError(
                'A circuit with reset, measurement or noise must run with representation="auto" or "density", but '
                'representation is "state".'
            )
        return 4 if mixed else 2
