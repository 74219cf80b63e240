"""The built-in simulator as a backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from circuits import Circuit, Observable
from qml import checks
from qml.backends import _checks, _exported, _uncompiled
from qml.backends.protocol import Capabilities, Samples
from qml.simulator import engine
from qml.simulator.jets import Orders
from qml.simulator.readout_error import flip_bits, noisy_observables, noisy_probabilities
from qml.simulator.shots import as_bits, draw, trajectories


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
        readout_error: the probabilities, in [0, 1], that a qubit in 0 reads 1 and that a qubit in 1 reads 0, applied to
            every qubit that is read; None for perfect read-out.

    Raises:
        ValueError: data or weights of a wrong shape, with NaN, or amplitudes whose norm is not 1; a register that does
            not fit into memory (with the bytes it needs); a post-selection that cannot succeed; gradients of circuits
            that are not unitary with the adjoint method.
        TypeError: data and weights that are not tensors of one floating dtype.

    Inside torch.func transforms values cannot be looked at: there NaN passes through, and norms are not checked.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z, data, weight
        >>> circuit = Circuit(2).ry(data(0), 0).cx(0, 1).ry(weight(0), 1)
        >>> Native().expectation(circuit, torch.zeros(3, 1), torch.zeros(1), [Z(0), Z(1)]).shape
        torch.Size([3, 2])
    """

    method: Literal["auto", "autograd", "adjoint"] = "auto"
    representation: Literal["auto", "state", "density"] = "auto"
    readout_error: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        checks.require_choice(self.method, "method", ("auto", "autograd", "adjoint"))
        checks.require_choice(self.representation, "representation", ("auto", "state", "density"))
        if self.readout_error is not None:
            _checks.require_probabilities(self.readout_error, "readout_error")
            object.__setattr__(self, "readout_error", tuple(float(value) for value in self.readout_error))

    @property
    def name(self) -> str:
        """`"native"`."""
        return "native"

    @property
    def capabilities(self) -> Capabilities:
        """Everything; derivatives of any order unless the adjoint method was asked for."""
        plain = (self.method, self.representation, self.readout_error) == ("auto", "auto", None)
        kind = type(self)  # a subclass may compute something else
        own = kind.expectation is Native.expectation and kind.probabilities is Native.probabilities
        return Capabilities(
            exact=True,
            shots=True,
            noise=True,
            mid_circuit=True,
            derivative_order=1 if self.method == "adjoint" else None,
            jets=self.method != "adjoint" and self.representation != "density",
            closed_form=plain and own,
        )

    def expectation(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        observables: Sequence[Observable],
    ) -> Float[Tensor, "batch observables"]:
        """Exact expectation values; see `Backend.expectation`."""
        if torch.compiler.is_exporting():
            return _exported.expectation(self, circuit, data, weights, observables)
        if torch.compiler.is_compiling():
            return _uncompiled.call(self, "expectation", circuit, data, weights, observables)
        chosen = _checks.as_observables(observables, circuit.n_qubits)
        _checks.require_inputs(circuit, data, weights)
        if not chosen or data.shape[0] == 0:
            return _checks.empty_answer(data, weights, len(chosen))
        if self.readout_error is not None:
            chosen = noisy_observables(chosen, self.readout_error)
        levels = self._levels(circuit)
        with checks.full_precision(data):
            return engine.expectation(circuit, data, weights, chosen, levels=levels, method=self.method)

    def expectation_jet(
        self,
        circuit: Circuit,
        data: Float[Tensor, "components batch inputs"],
        weights: Float[Tensor, "*batch weights"],
        observables: Sequence[Observable],
        orders: Orders,
    ) -> Float[Tensor, "components batch observables"]:
        """Exact expectation values with derivatives along directions and sums of second ones, in one pass.

        Data and result are jets: the value, then the derivatives. Gradients of all components are of first order.

        Args:
            circuit: of unitary gates.
            data: the value in radians, and its derivatives.
            weights: in radians, for all samples or for each.
            observables: what is read.
            orders: which derivatives.

        Raises:
            NotImplementedError: another circuit, density matrices, or the adjoint method.
        """
        if torch.compiler.is_compiling():
            return _uncompiled.call(self, "expectation_jet", circuit, data, weights, observables, orders)
        chosen = _checks.as_observables(observables, circuit.n_qubits)
        _checks.require_jet(circuit, data, weights, orders.n_components)
        if self.method == "adjoint" or self._levels(circuit) == 4:
            raise NotImplementedError(
                "Derivatives along directions need state vectors and Native(), not density matrices or the adjoint "
                "method."
            )
        if not chosen or data.shape[1] == 0:
            return _checks.empty_answer(data, weights, len(chosen))
        if self.readout_error is not None:
            chosen = noisy_observables(chosen, self.readout_error)
        with checks.full_precision(data):
            return engine.expectation_jet(circuit, data, weights, chosen, orders)

    def probabilities(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        qubits: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch outcomes"]:
        """Exact probabilities; see `Backend.probabilities`."""
        if torch.compiler.is_exporting():
            return _exported.probabilities(self, circuit, data, weights, qubits)
        if torch.compiler.is_compiling():
            return _uncompiled.call(self, "probabilities", circuit, data, weights, qubits)
        chosen = _checks.as_qubits(qubits, circuit.n_qubits)
        _checks.require_inputs(circuit, data, weights)
        if data.shape[0] == 0:
            return _checks.empty_answer(data, weights, 2 ** len(chosen))
        levels = self._levels(circuit)
        with checks.full_precision(data):
            exact = engine.probabilities(circuit, data, weights, chosen, levels=levels, method=self.method)
        return exact if self.readout_error is None else noisy_probabilities(exact, self.readout_error)

    def success_probability(
        self, circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
    ) -> Float[Tensor, " batch"]:
        """The probability that all post-selections of a run succeed: what repeating until success costs, exactly."""
        _checks.require_inputs(circuit, data, weights)
        if data.shape[0] == 0:
            return _checks.empty_answer(data, weights, 1)[:, 0]
        levels = self._levels(circuit)
        with checks.full_precision(data):
            return engine.success_probability(circuit, data, weights, levels=levels, method=self.method)

    def state(
        self, circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
    ) -> Complex[Tensor, "batch amplitudes"]:
        """The normalised state vectors, complex, shape (batch, 2**n_qubits); refused for mixed states."""
        if torch.compiler.is_compiling():
            return _uncompiled.call(self, "state", circuit, data, weights)
        _checks.require_inputs(circuit, data, weights)
        if self._levels(circuit) == 4:
            raise ValueError(
                "A state vector must come from a circuit without reset, measurement and noise, but this one has some. "
                "Use probabilities or expectation."
            )
        if data.shape[0] == 0:
            return data.new_zeros(0, 2**circuit.n_qubits, dtype=data.dtype.to_complex())
        with checks.full_precision(data):
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
        chosen = _checks.as_qubits(qubits, circuit.n_qubits)
        _checks.require_inputs(circuit, data, weights)
        _checks.require_shots(shots)
        batch = data.shape[0]
        if batch == 0:
            empty = torch.zeros(0, shots, len(chosen), dtype=torch.int8, device=data.device)
            return Samples(empty, empty.new_zeros(0, shots, circuit.n_bits))
        if circuit.n_bits == 0:
            with torch.no_grad():
                exact = self.probabilities(circuit, data, weights, chosen)
            bits = as_bits(draw(exact, shots, generator), len(chosen))
            return Samples(bits, bits.new_zeros(batch, shots, 0))
        with checks.full_precision(data):
            final, record = trajectories(circuit, data, weights, shots, generator)
        final = final[:, :, list(chosen)]
        if self.readout_error is not None:
            final = flip_bits(final, self.readout_error, generator)
            record = flip_bits(record, self.readout_error, generator)
        return Samples(final, record)

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
