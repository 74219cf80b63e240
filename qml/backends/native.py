"""The built-in simulator as a backend."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NoReturn

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from circuits import Circuit, Observable
from qml import checks
from qml.backends import exported, inputs, operators
from qml.backends.front import CheckedBackend, uncompiled
from qml.backends.protocol import Capabilities, Samples
from qml.jets.orders import Orders
from qml.simulator import engine
from qml.simulator.linear import is_mixed
from qml.simulator.pauli.options import PauliPropagation
from qml.simulator.readout_error import flip_bits, noisy_observables, noisy_probabilities
from qml.simulator.routes.propagation import Bounded
from qml.simulator.shots import as_bits, draw, trajectories, trajectory_need
from qml.simulator.wide_samples import MAX_JOINT_OUTCOMES, sample_bits, with_copied_bits

VALUES = ("expectation", "_expectation", "probabilities", "_probabilities")  # methods that compute values


@dataclass(frozen=True)
class Native(CheckedBackend):
    """The backend that simulates circuits exactly in torch, on the device and in the precision of the inputs.

    Circuits of gates and post-selection run as state vectors; circuits with reset, mid-circuit measurement or noise run
    as density matrices, exactly.

    Args:
        method: how first derivatives are taken. `"auto"`: a pullback of our own, storing the states between steps where
            they fit into memory and recomputing them where not. `"autograd"`: plain tensor operations. `"adjoint"`:
            memory independent of depth; only once differentiable, and a second derivative raises. With `"auto"` and
            `"autograd"` derivatives of any order are right. `"pauli"` or a `PauliPropagation`: no states at all; the
            Pauli strings of the observables move backwards through the circuit, which is for wide circuits of any depth
            whose observables stay sums of few strings, and gives expectation values only.
        representation: `"auto"`, `"state"` or `"density"` (needs 4**n numbers a sample).
        compiled: whether small circuits of unitary gates run as one call of a kernel that numba compiles, with the same
            results up to rounding. None: where numba is installed and the planner takes it to be quicker. True: always,
            or it is refused, for expectation values of at most 15 qubits on the CPU. False: never. Inside torch.func,
            in forward-mode derivatives, and for derivatives of a derivative, plain tensor operations run in any case.
        readout_error: the probabilities, in [0, 1], that a qubit in 0 reads 1 and that a qubit in 1 reads 0, for every
            qubit that is read; None for perfect read-out.

    Raises:
        ValueError: data or weights have a wrong shape or hold NaN, or amplitudes have a norm that is not 1; a register
            does not fit into memory (with the bytes it needs); a post-selection cannot succeed; gradients of a circuit
            that is not unitary are asked of the adjoint method; Pauli propagation makes too many strings; the compiled
            kernel is demanded on another device or with another method.
        ImportError: the compiled kernel is demanded, but numba is not installed.
        NotImplementedError: the compiled kernel is demanded for a circuit that it does not take; Pauli propagation is
            asked for anything but expectation values, or meets a post-selection, amplitudes that are data, or a wide
            gate that is no rotation about a string.
        TypeError: data and weights are not tensors of one floating dtype.

    Inside torch.func transforms values are hidden: there NaN passes through, and norms are not checked.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z, data, weight
        >>> circuit = Circuit(2).ry(data(0), 0).cx(0, 1).ry(weight(0), 1)
        >>> Native().expectation(circuit, torch.zeros(3, 1), torch.zeros(1), [Z(0), Z(1)]).shape
        torch.Size([3, 2])
    """

    is_repeatable: ClassVar[bool] = True
    refuses_nan: ClassVar[bool] = True

    method: Literal["auto", "autograd", "adjoint", "pauli"] | PauliPropagation = "auto"
    representation: Literal["auto", "state", "density"] = "auto"
    readout_error: tuple[float, float] | None = None
    compiled: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.method, PauliPropagation):
            checks.require_choice(self.method, "method", ("auto", "autograd", "adjoint", "pauli"))
        checks.require_choice(self.representation, "representation", ("auto", "state", "density"))
        self._require_compiled()
        if self.readout_error is not None:
            inputs.require_probabilities(self.readout_error, "readout_error")
            object.__setattr__(self, "readout_error", tuple(float(value) for value in self.readout_error))

    @property
    def name(self) -> str:
        """Return `"native"`."""
        return "native"

    @property
    def capabilities(self) -> Capabilities:
        """Return all of them; options take away derivatives, jets and the closed form.

        A subclass with values of its own has no closed form, and has jets only where it defines `expectation_jet` too.
        """
        kind = type(self)
        inherits = all(getattr(kind, name) is getattr(Native, name) for name in VALUES)
        propagation = self._propagation
        if propagation is not None:
            order = None if propagation.min_coefficient is None else 1
            return Capabilities(
                exact=propagation.drops_nothing, shots=False, noise=True, mid_circuit=False, derivative_order=order
            )
        jets = self.method != "adjoint" and self.representation != "density"
        defaults = (self.method, self.representation, self.readout_error) == ("auto", "auto", None)
        return Capabilities(
            exact=True,
            shots=True,
            noise=True,
            mid_circuit=True,
            derivative_order=1 if self.method == "adjoint" else None,
            jets=jets and (inherits or kind.expectation_jet is not Native.expectation_jet),
            closed_form=defaults and inherits,
        )

    def expectation_jet(
        self,
        circuit: Circuit,
        data: Float[Tensor, "components batch inputs"],
        weights: Float[Tensor, "*batch weights"],
        observables: Sequence[Observable],
        orders: Orders,
    ) -> Float[Tensor, "components batch observables"]:
        """Compute exact expectation values with derivatives along directions and sums of second ones, in one pass.

        Data and result are jets: the value, then the derivatives. Gradients of all components are of first order.

        Args:
            circuit: of unitary gates.
            data: the value in radians, and its derivatives.
            weights: in radians, for all samples or for each.
            observables: whose expectation values are computed.
            orders: which derivatives.

        Raises:
            NotImplementedError: another circuit, density matrices, or the adjoint method.
        """
        if checks.is_traced():
            return uncompiled(self, "expectation_jet", circuit, data, weights, observables, orders)
        chosen = inputs.as_observables(observables, circuit.n_qubits)
        inputs.require_jet(circuit, data, weights, orders.n_components)
        if self._propagation is not None:
            self._refuse("derivatives along directions")
        if orders.towers:
            raise NotImplementedError(
                "Circuits move derivatives of second order at most along a direction. Take nested passes for more."
            )
        if self.method == "adjoint" or self._levels(circuit) == 4:
            raise NotImplementedError(
                "Derivatives along directions need state vectors and Native(), not density matrices or the adjoint "
                "method."
            )
        if not chosen or data.shape[1] == 0:
            return inputs.empty_answer(data, weights, len(chosen))
        if self.readout_error is not None:
            chosen = noisy_observables(chosen, self.readout_error)
        with checks.full_precision(data):
            return engine.expectation_jet(circuit, data, weights, chosen, orders)

    def expectation_with_error(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        observables: Sequence[Observable],
    ) -> Bounded:
        """Compute expectation values, estimates of their errors and bounds on them, without gradients.

        The bound is a theorem: the sum of the moduli of all coefficients that Pauli propagation dropped, clipped at the
        range of the observable. The estimate adds up, over all gates, the root of the sum of squares of what is dropped
        there, each times the mean square that the expectation value of a string like it has over angles of random sign.
        It is no theorem: its constants were chosen on circuits whose values are known (see `docs/simulator.md`). Both
        are 0 for methods that drop nothing.

        Args:
            circuit: what runs.
            data: in radians.
            weights: in radians.
            observables: whose expectation values are computed.
        """
        if checks.is_traced():
            return uncompiled(self, "expectation_with_error", circuit, data, weights, observables)
        chosen = inputs.as_observables(observables, circuit.n_qubits)
        inputs.require_inputs(circuit, data, weights)
        propagation = self._propagation
        if propagation is None or not chosen or data.shape[0] == 0:
            with torch.no_grad():
                values = self.expectation(circuit, data, weights, chosen)
            return Bounded(values, torch.zeros_like(values), torch.zeros_like(values))
        if self.readout_error is not None:
            chosen = noisy_observables(chosen, self.readout_error)
        with checks.full_precision(data):
            return engine.propagated_with_error(circuit, data, weights, chosen, propagation)

    def success_probability(
        self, circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
    ) -> Float[Tensor, " batch"]:
        """Compute the probability that all post-selections of a run succeed; its inverse is the mean number of runs."""
        method = self.method
        if isinstance(method, PauliPropagation) or method == "pauli":
            self._refuse("the probability of a post-selection")
        inputs.require_inputs(circuit, data, weights)
        if data.shape[0] == 0:
            return inputs.empty_answer(data, weights, 1)[:, 0]
        levels = self._levels(circuit)
        with checks.full_precision(data):
            return engine.success_probability(circuit, data, weights, levels=levels, method=method)

    def state(
        self, circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
    ) -> Complex[Tensor, "batch amplitudes"]:
        """Compute the normalised state vectors, complex, shape (batch, 2**n_qubits); mixed states are refused."""
        if checks.is_traced():
            return _as_complex(self._compiled_amplitudes(circuit, data, weights))
        return _as_complex(self.amplitudes(circuit, data, weights))

    def _compiled_amplitudes(self, circuit: Circuit, data: Tensor, weights: Tensor) -> Tensor:
        if torch.compiler.is_exporting():
            return exported.amplitudes(self, circuit, data, weights)
        if self.is_repeatable and operators.KNOWS_OBJECTS:
            key = operators.key_of(self, circuit, len(circuit), "amplitudes")
            if key != operators.NO_KEY:
                return operators.run(data, weights, key, 2 * 2**circuit.n_qubits)
        return uncompiled(self, "amplitudes", circuit, data, weights)

    def amplitudes(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        asked: tuple[()] = (),
    ) -> Float[Tensor, "batch amplitudes"]:
        """Compute `state` in real numbers, shape (batch, 2 * 2**n_qubits): each real part before its imaginary part.

        Compiled graphs and exported programs call it, whose operators are real.

        Args:
            circuit: see `state`.
            data: see `state`.
            weights: see `state`.
            asked: nothing.
        """
        return torch.view_as_real(self._state(circuit, data, weights)).flatten(1)

    def _state(self, circuit: Circuit, data: Tensor, weights: Tensor) -> Tensor:
        if self._propagation is not None:
            self._refuse("state vectors")
        inputs.require_inputs(circuit, data, weights)
        if self._levels(circuit) == 4:
            raise ValueError(
                "A state vector must come from a circuit without reset, measurement and noise, but this one has some. "
                "Use probabilities or expectation."
            )
        if data.shape[0] == 0:
            return inputs.empty_answer(data, weights, 2**circuit.n_qubits).to(data.dtype.to_complex())
        with checks.full_precision(data):
            compiled = None if self.compiled is None and self.method == "auto" else False
            return engine.final_state(circuit, data, weights, compiled=compiled)

    def _expectation(
        self, circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...]
    ) -> Tensor:
        if self.readout_error is not None:
            observables = noisy_observables(observables, self.readout_error)
        method = self.method
        if isinstance(method, PauliPropagation) or method == "pauli":
            return engine.propagated(circuit, data, weights, observables, self._propagation or PauliPropagation())
        levels = self._levels(circuit)
        return engine.expectation(
            circuit, data, weights, observables, levels=levels, method=method, compiled=self.compiled
        )

    def _probabilities(self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: tuple[int, ...]) -> Tensor:
        method = self.method
        if isinstance(method, PauliPropagation) or method == "pauli":
            self._refuse("probabilities")
        levels = self._levels(circuit)
        exact = engine.probabilities(circuit, data, weights, qubits, levels=levels, method=method)
        return exact if self.readout_error is None else noisy_probabilities(exact, self.readout_error)

    def _sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        qubits: tuple[int, ...],
        generator: torch.Generator | None,
    ) -> Samples:
        if self._propagation is not None:
            self._refuse("samples")
        if circuit.n_bits == 0:
            bits = self._drawn(circuit, data, weights, shots, qubits, generator)
            return Samples(bits, bits.new_zeros(len(data), shots, 0))
        if not trajectory_need(circuit, data).fits():
            copied, places = with_copied_bits(circuit)
            bits = self._drawn(copied, data, weights, shots, (*qubits, *places), generator)
            return Samples(bits[:, :, : len(qubits)], bits[:, :, len(qubits) :])
        final, record = trajectories(circuit, data, weights, shots, generator)
        final = final[:, :, list(qubits)]
        if self.readout_error is not None:
            final = flip_bits(final, self.readout_error, generator)
            record = flip_bits(record, self.readout_error, generator)
        return Samples(final, record)

    def _drawn(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        qubits: tuple[int, ...],
        generator: torch.Generator | None,
    ) -> Tensor:
        """Draw bits from probabilities; of many qubits those of independent ones apart."""

        def drawn(probabilities: Tensor, n_bits: int) -> Tensor:
            return as_bits(draw(probabilities, shots, generator), n_bits)

        with torch.no_grad():
            if len(qubits) <= MAX_JOINT_OUTCOMES:
                return drawn(self.probabilities(circuit, data, weights, qubits), len(qubits))
            levels = self._levels(circuit)
            bits = sample_bits(circuit, data, weights, qubits, drawn, generator, levels=levels)
            return bits if self.readout_error is None else flip_bits(bits, self.readout_error, generator)

    @property
    def _propagation(self) -> PauliPropagation | None:
        """The options of Pauli propagation; None for another method."""
        if isinstance(self.method, PauliPropagation):
            return self.method
        return PauliPropagation() if self.method == "pauli" else None

    def _refuse(self, answer: str) -> NoReturn:
        """Refuse what Pauli propagation cannot give."""
        raise NotImplementedError(
            f"Native(method={self.method!r}) must be asked for expectation values, but was asked for {answer}. "
            "Use Native()."
        )

    def _require_compiled(self) -> None:
        """Refuse anything but True, False and None, and options that the kernel cannot honour."""
        if self.compiled is not None:
            checks.as_flag(self.compiled, "compiled")
        if self.compiled and (self.method not in ("auto", "adjoint") or self.representation == "density"):
            raise ValueError(
                'Native(compiled=True) must have the method "auto" or "adjoint" and state vectors, but has method='
                f"{self.method!r} and representation={self.representation!r}. Leave `compiled` out."
            )

    def _levels(self, circuit: Circuit) -> int:
        """Return the dimensions of a qubit in the representation: 2 for state vectors, 4 for density matrices."""
        if self.representation == "density":
            return 4
        mixed = is_mixed(circuit)
        if mixed and self.representation == "state":
            raise ValueError(
                'A circuit with reset, measurement or noise must run with representation="auto" or "density", but '
                'representation is "state".'
            )
        return 4 if mixed else 2


def _as_complex(amplitudes: Tensor) -> Tensor:
    return torch.view_as_complex(amplitudes.unflatten(1, (-1, 2)))
