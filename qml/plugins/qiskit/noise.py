"""The noise of a device, as channels behind the instructions of circuits that were transpiled for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

from circuits.gates import Channel
from qml.backends.noisy_native import channel_of, channels_after
from qml.backends.primitives.noise import Noise, ReadoutErrors, device_noise, fake_device, gates_of, readout_errors


@dataclass(frozen=True, eq=False)
class DeviceNoise:
    """The gates and errors of a device.

    Args:
        source: the name of a fake device of qiskit-ibm-runtime, a Qiskit backend whose properties are taken, or an Aer
            `NoiseModel`, whose qubit k is the circuit's qubit k.

    Raises:
        ValueError: an unknown name.
        TypeError: anything else.
    """

    source: Any
    _kept: dict[tuple[int, ...], "PlacedNoise"] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.source, str):
            object.__setattr__(self, "source", fake_device(self.source))
        elif not (hasattr(self.source, "target") or hasattr(self.source, "to_dict")):
            raise TypeError(
                "Argument `noise` must be the name of a fake device, a Qiskit backend or an Aer NoiseModel, but is "
                f"{type(self.source).__name__}. Pass for example noise='fake_manila'."
            )

    @property
    def device(self) -> Any:
        """Return the backend whose properties are taken; None for a noise model."""
        return self.source if hasattr(self.source, "target") else None

    @cached_property
    def target(self) -> Any:
        """Return the gates for which circuits are transpiled."""
        return self.device.target if self.device is not None else gates_of(self._model).target

    @cached_property
    def _model(self) -> Noise:
        return Noise(self.source, readout_errors(self.source))

    def on(self, qubits: Sequence[int]) -> "PlacedNoise":
        """Return the noise of some qubits, read once for each set of them.

        Raises:
            ValueError: qubits that the device does not have.
        """
        chosen = tuple(sorted(qubits))
        if self.device is not None and chosen and chosen[-1] >= self.device.target.num_qubits:
            raise ValueError(
                f"Argument `circuit` must use the {self.device.target.num_qubits} qubits of {self.device.name}, but "
                f"uses qubit {chosen[-1]}. Transpile it for the device."
            )
        if chosen not in self._kept:
            model = self._model if self.device is None else device_noise(self.device, chosen)
            numbers = {qubit: qubit if self.device is None else place for place, qubit in enumerate(chosen)}
            self._kept[chosen] = PlacedNoise(model, numbers, self)
        return self._kept[chosen]


@dataclass(frozen=True, eq=False)
class PlacedNoise:
    """The noise of some qubits of a device.

    Attributes:
        noise: Aer's noise model.
        numbers: the model's number for each qubit.
        owner: the device.
    """

    noise: Noise
    numbers: dict[int, int]
    owner: DeviceNoise

    def channels(self, name: str, qubits: tuple[int, ...]) -> list[tuple[Channel, list[int]]]:
        """Return the channels that belong to an instruction, each with its qubits, the most significant first.

        Raises:
            ValueError: the device has no such instruction on these qubits, so that its noise is unknown.
        """
        if not self._has(name, qubits):
            raise ValueError(
                f"Argument `circuit` must hold instructions of the device whose noise is taken, but holds {name} on "
                f"qubits {qubits}. Transpile it first, with "
                "generate_preset_pass_manager(optimization_level=1, backend=...).run(circuit)."
            )
        originals = {number: qubit for qubit, number in self.numbers.items()}
        where = tuple(self.numbers[qubit] for qubit in qubits)
        found = channels_after(self.noise, name, where)
        return [(channel, [originals[number] for number in targets]) for channel, targets in found]

    def relaxation(self, delay: Any, qubit: int) -> Channel | None:
        """Return what a delay does to a qubit; None where the noise says nothing of it.

        Raises:
            ValueError: the delay's length is a parameter.
        """
        from qiskit.circuit import ParameterExpression, QuantumCircuit
        from qiskit.quantum_info import SuperOp

        passes = getattr(self.noise.model, "_custom_noise_passes", ())  # where Aer keeps T1 and T2
        if not passes or delay.duration == 0:
            return None
        if isinstance(delay.duration, ParameterExpression):
            raise ValueError(
                f"Argument `circuit` must have delays of a known length where noise is taken, but has "
                f"{delay.duration}. Bind it with assign_parameters."
            )
        place = self.numbers[qubit]
        circuit = QuantumCircuit(place + 1)
        circuit.append(delay, [place])
        for each in passes:
            circuit = each(circuit)
        found = [item.operation for item in circuit.data if item.name != "delay"]
        return channel_of(reduce(SuperOp.compose, map(SuperOp, found))) if found else None

    def _has(self, name: str, qubits: tuple[int, ...]) -> bool:
        target = self.owner.target
        if name not in target.operation_names:
            return False
        return self.owner.device is None or target.instruction_supported(name, qubits) or name == "reset"

    def readout_errors(self, qubit: int) -> tuple[float, float]:
        """Return the probabilities that 0 reads 1 and that 1 reads 0."""
        return self._of_qubit(self.noise.errors, qubit)

    def reading_errors(self, qubit: int) -> tuple[float, float]:
        """Return the same for a qubit that is read without an instruction, the errors on `measure` included."""
        return self._of_qubit(self.noise.reading_errors, qubit)

    def _of_qubit(self, errors: ReadoutErrors, qubit: int) -> tuple[float, float]:
        return errors.get(self.numbers[qubit], errors.get(-1, (0.0, 0.0)))
