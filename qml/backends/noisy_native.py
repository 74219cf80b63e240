"""The built-in simulator with a device's noise, so that layers can be trained with it."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import lru_cache
from itertools import product
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from circuits import Circuit, Observable, Operation, channels
from circuits.gates import Channel, PauliRotation
from qml.backends import inputs
from qml.backends.aer import Aer
from qml.backends.front import CheckedBackend
from qml.backends.native import Native
from qml.backends.primitives.calibration import as_layout
from qml.backends.primitives.noise import Noise, ReadoutErrors
from qml.backends.protocol import Capabilities, Samples
from qml.jobs import LayoutReport
from qml.simulator.readout_error import flip_bits
from qml.simulator.shots import as_bits, draw
from qml.simulator.wide_samples import MAX_JOINT_OUTCOMES

WITHOUT_NOISE = ("kraus", "pauli", "superop")  # instructions behind which Aer (0.17) adds no errors
MAX_UNEQUAL_ERRORS = 16  # of a string that they turn into 2**16 strings


@dataclass(frozen=True, eq=False)
class NoisyNative(CheckedBackend):
    """The backend that runs the built-in simulator with a device's gates, couplings and errors.

    A circuit is transpiled for the device (once), and every gate is followed by the device's channel for it, as Aer
    would apply it: depolarisation and thermal relaxation by gate and qubit, Pauli errors, and whatever else an Aer
    noise model holds. Results include the device's read-out errors, and those that a noise model puts on `measure`. The
    circuit runs as a density matrix, 4**n numbers a sample, on any torch device, and its values are differentiable to
    any order.

    Args:
        noise: as for `Aer`: the name of a fake device, a Qiskit backend, or an Aer `NoiseModel`.
        level: Qiskit's optimisation level, 0 to 3.
        layout: which qubits of a device are taken: `"calibration"` (those with the least errors), `"connectivity"` (by
            the couplings alone), or a tuple of them. Qubits and couplers that the calibration calls broken are never
            taken.

    Raises:
        ImportError: qiskit-aer, or for a fake device qiskit-ibm-runtime, is not installed.
        ValueError: the circuit has mid-circuit operations or amplitudes from slots, or the device cannot run it.

    Example:
        >>> from qml.backends import NoisyNative
        >>> from qml.nn import QNNClassifier
        >>> layer = QNNClassifier(2, "zx").to_backend(NoisyNative("fake_manila"))
    """

    is_repeatable: ClassVar[bool] = True

    noise: Any
    _: KW_ONLY
    level: int = 1
    layout: Any = "calibration"

    def __post_init__(self) -> None:
        if self.noise is None:
            raise ValueError("Argument `noise` must be a device or a noise model, but is None. Use Native().")
        object.__setattr__(self, "layout", as_layout(self.layout))
        object.__setattr__(self, "_aer", Aer(noise=self.noise, level=self.level, layout=self.layout))

    def __deepcopy__(self, memo: dict[int, object]) -> "NoisyNative":
        """Return the backend itself: options do not change."""
        return self

    @property
    def name(self) -> str:
        """Return `"noisy:"` and the device's name."""
        return "noisy:" + self._simulator.name.partition(":")[2]

    @property
    def capabilities(self) -> Capabilities:
        """Return exact values with noise, derivatives of any order, and no mid-circuit operations."""
        return Capabilities(exact=True, shots=True, noise=True, mid_circuit=False, derivative_order=None)

    @property
    def _simulator(self) -> Aer:
        return self.__dict__["_aer"]

    def _expectation(
        self, circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...]
    ) -> Tensor:
        noisy = self.noisy(circuit)
        return Native().expectation(noisy.circuit, data, weights, [noisy.read(item) for item in observables])

    def _probabilities(self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: tuple[int, ...]) -> Tensor:
        noisy = self.noisy(circuit)
        places = [noisy.places[qubit] for qubit in qubits]
        values = Native().probabilities(noisy.circuit, data, weights, places)
        shape = values.shape
        for k, place in enumerate(places):
            p, q = noisy.errors_of(place)
            confusion = values.new_tensor([[1.0 - p, q], [p, 1.0 - q]])
            values = (confusion @ values.reshape(-1, 2, shape[1] >> (k + 1))).reshape(shape)
        return values

    def _sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        qubits: tuple[int, ...],
        generator: torch.Generator | None,
    ) -> Samples:
        if len(qubits) > MAX_JOINT_OUTCOMES:
            return Samples(*self._many(circuit, data, weights, shots, qubits, generator))
        with torch.no_grad():
            probabilities = self.probabilities(circuit, data, weights, qubits)
        bits = as_bits(draw(probabilities, shots, generator), len(qubits))
        return Samples(bits, bits.new_zeros(len(data), shots, 0))

    def _many(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        qubits: tuple[int, ...],
        generator: torch.Generator | None,
    ) -> tuple[Tensor, Tensor]:
        """Draw bits of more qubits than have a table of probabilities, then their read-out errors."""
        noisy = self.noisy(circuit)
        places = [noisy.places[qubit] for qubit in qubits]
        samples = Native().sample(noisy.circuit, data, weights, shots, qubits=places, generator=generator)
        columns = [
            flip_bits(samples.qubits[:, :, k], noisy.errors_of(place), generator) for k, place in enumerate(places)
        ]
        return torch.stack(columns, 2), samples.bits

    def layout_report(self, circuit: Circuit, qubits: Sequence[int] | None = None) -> LayoutReport:
        """Report which qubits of the device a circuit takes, their errors, and the expected fidelity.

        Args:
            circuit: any that the backend runs.
            qubits: those of the circuit that are read at the end; None for all.

        Raises:
            ValueError: the noise belongs to no device, or the circuit does not fit onto the device's working part.
        """
        report = self.noisy(circuit).report
        if report is None:
            raise ValueError(f"Backend {self.name} must have a device for a layout, but has a noise model alone.")
        return report.reading({report.qubits[qubit] for qubit in inputs.as_qubits(qubits, circuit.n_qubits)})

    def noisy(self, circuit: Circuit) -> "NoisyCircuit":
        """Return the circuit as the device runs it, every gate followed by its channel; it is made once and kept."""
        if any(op.is_mid_circuit for op in circuit.operations):
            raise ValueError(
                f"Backend {self.name} must run circuits without mid-circuit operations (capability `mid_circuit`), but "
                "this one has some. Use Aer(noise=..., shots=4096)."
            )
        return _noisy(circuit.n_qubits, circuit.operations, self._simulator)


@dataclass(frozen=True, eq=False)
class NoisyCircuit:
    """A circuit that has a device's noise in it.

    Args:
        circuit: gates of the device and channels, on the qubits that it uses.
        places: where each original qubit is.
        errors: read-out errors by place.
        report: which qubits of the device it takes; None where the noise belongs to no device.
    """

    circuit: Circuit
    places: tuple[int, ...]
    errors: ReadoutErrors
    report: LayoutReport | None = None

    def errors_of(self, place: int) -> tuple[float, float]:
        """Return the probabilities that 0 reads 1 and that 1 reads 0."""
        return self.errors.get(place, self.errors.get(-1, (0.0, 0.0)))

    def read(self, observable: Observable) -> Observable:
        """Return the observable whose exact value is the mean of noisy read-outs: P becomes (1 - p - q) P + (q - p)."""
        terms = []
        for coefficient, factors in observable.terms:
            moved = [(self.places[qubit], letter) for qubit, letter in factors]
            errors = [self.errors_of(place) for place, _ in moved]
            n_unequal = sum(p != q for p, q in errors)
            if n_unequal > MAX_UNEQUAL_ERRORS:
                raise ValueError(
                    f"A Pauli string must have at most {MAX_UNEQUAL_ERRORS} factors on qubits with unequal read-out "
                    f"errors (it turns into 2**k strings), but has {n_unequal}. Read shorter strings, or sample."
                )
            choices = [(True, False) if p != q else (True,) for p, q in errors]
            for kept in product(*choices):
                scale = coefficient
                for keep, (p, q) in zip(kept, errors, strict=True):
                    scale *= 1.0 - p - q if keep else q - p
                terms.append((scale, tuple(factor for factor, keep in zip(moved, kept, strict=True) if keep)))
        return Observable(tuple(terms))


@lru_cache(maxsize=64)
def _noisy(n_qubits: int, operations: tuple[Operation, ...], simulator: Aer) -> NoisyCircuit:
    from qiskit import QuantumCircuit

    from qml.backends.convert.qiskit import from_qiskit
    from qml.backends.primitives import transpile
    from qml.backends.primitives.layouts import report_in

    isa, places, qubits = transpile.transpiled(n_qubits, operations, simulator.compiler())
    noise = simulator.noise_on(tuple(qubits))
    result = Circuit(isa.num_qubits)
    index = {qubit: place for place, qubit in enumerate(isa.qubits)}
    for item in isa.data:
        where = tuple(index[qubit] for qubit in item.qubits)
        single = QuantumCircuit(list(item.qubits))  # of few qubits: copies of all of them take long
        single.append(item.operation, item.qubits)
        for op in from_qiskit(single).operations:
            qubits, controls = (tuple(where[qubit] for qubit in group) for group in (op.qubits, op.controls))
            result.append(op.gate, qubits, controls=controls, angles=op.angles)
        for channel, targets in channels_after(noise, item.operation.name, where):
            result.noise(channel, targets)
    # A slot without effect, which the transpiler removed, stays as a global phase, so that the slots are the same.
    used = {slot for op in result.operations for slot in op.slots}
    for slot in dict.fromkeys(slot for op in operations for slot in op.slots):
        if slot not in used:
            result.append(PauliRotation("I"), 0, angles=(slot,))
    return NoisyCircuit(result, tuple(places), noise.reading_errors, report_in(isa))


def channels_after(noise: Noise, gate: str, qubits: tuple[int, ...]) -> list[tuple[Channel, tuple[int, ...]]]:
    """Return the channels after a gate on these qubits, and their qubits in our order: the first most significant."""
    if gate in WITHOUT_NOISE:
        return []
    errors = [
        error
        for error in noise.gate_errors
        if gate in error["operations"]
        and [list(qubits)] == [list(place) for place in error.get("gate_qubits", [qubits])]
    ]
    local = [error for error in errors if "gate_qubits" in error]  # it replaces the error of all qubits
    return [(_channel(error["id"], noise), qubits[::-1]) for error in local or errors]


@lru_cache(maxsize=1024)
def _channel(identity: str, noise: Noise) -> Channel:
    from qiskit.quantum_info import SuperOp
    from qiskit_aer.noise import QuantumError

    # An error that was added to several gates is listed once a gate, under one identity.
    error = next(error for error in noise.gate_errors if error["id"] == identity)
    return channel_of(SuperOp(QuantumError.from_dict(error)))


def channel_of(superoperator: Any) -> Channel:
    """Return a superoperator of Qiskit as a channel."""
    from qiskit.quantum_info import Kraus

    kraus = Kraus(superoperator)
    operators = np.array(kraus.data[0] if isinstance(kraus.data, tuple) else kraus.data)
    return channels.kraus(operators)
