"""The noise of a device, for Qiskit Aer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from circuits.lazy import suggestion
from qml.jobs import PauliSum

ReadoutErrors = Mapping[int, tuple[float, float]]
"""For a qubit the probabilities that 0 reads 1 and that 1 reads 0."""

AER_LIBRARY = 'Backend Aer needs qiskit-aer. Install it with: pip install "qiskit-aer>=0.17.1"'
SEED_LIMIT = 2**31 - 1
NEGLIGIBLE = 1e-12  # a difference of probabilities that is rounding
MIXING_INSTRUCTIONS = ("kraus", "reset")  # those that make a state mixed


@dataclass(frozen=True, eq=False)
class Noise:
    """A pair of an Aer `NoiseModel`, or None, and the read-out errors that it holds."""

    model: Any
    errors: ReadoutErrors

    @cached_property
    def gate_errors(self) -> list[dict[str, Any]]:
        """Return the model's quantum errors, as Aer writes them."""
        return [error for error in self.model.to_dict()["errors"] if error["type"] == "qerror"]

    @cached_property
    def reading_errors(self) -> ReadoutErrors:
        """Return the read-out errors, those that the model's quantum errors on `measure` make included.

        Raises:
            ValueError: a quantum error on `measure` that does more than flip bits.
        """
        errors = [] if self.model is None else [item for item in self.gate_errors if "measure" in item["operations"]]
        if not errors:
            return self.errors
        flips: dict[int, tuple[float, float]] = {}
        for error in errors:
            places = [place[0] for place in error.get("gate_qubits", [[-1]])]
            flips |= dict.fromkeys(places, _flips_before_reading(error))
        none = (0.0, 0.0)
        pairs = {
            place: (flips.get(place, flips.get(-1, none)), self.errors.get(place, self.errors.get(-1, none)))
            for place in {*flips, *self.errors}
        }
        return {place: _one_after_another(*pair) for place, pair in pairs.items()}


IDEAL = Noise(None, {})


@lru_cache(maxsize=8)
def fake_device(name: str) -> Any:
    """Return a fake device of qiskit-ibm-runtime by its name, such as "fake_torino".

    Raises:
        ValueError: the name is unknown; the message lists all.
    """
    from qiskit_ibm_runtime import fake_provider

    devices = {kind.backend_name: kind for kind in vars(fake_provider).values() if hasattr(kind, "backend_name")}
    if name not in devices:
        meant = suggestion(re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower(), devices)  # as in FakeTorino
        raise ValueError(f"Argument `noise` must be one of {', '.join(sorted(devices))}, but is {name!r}.{meant}")
    return devices[name]()


@lru_cache(maxsize=64)
def device_noise(device: Any, qubits: tuple[int, ...]) -> Noise:
    """Return Aer's noise model of some qubits of a device, numbered from 0, and their read-out errors."""
    from qiskit_aer.noise import NoiseModel

    from qml.backends.primitives.region import region

    model = NoiseModel.from_backend(region(device, qubits))
    return Noise(model, readout_errors(model))


def readout_errors(model: Any) -> ReadoutErrors:
    """Return the read-out errors of a noise model by qubit; -1 stands for all others.

    Raises:
        ValueError: several qubits share an error.
    """
    result: dict[int, tuple[float, float]] = {}
    for error in model.to_dict(serializable=True)["errors"]:
        if error["type"] != "roerror":
            continue
        places = error.get("gate_qubits") or [[-1]]
        if any(len(place) != 1 for place in places) or len(error["probabilities"]) != 2:
            raise ValueError(
                "A noise model's read-out errors must be of single qubits, but one is of several, which Aer adds to no "
                "circuit, as qubits are measured one by one. Add an error for each qubit."
            )
        (_, wrong_0), (wrong_1, _) = error["probabilities"]
        result |= dict.fromkeys((place[0] for place in places), (wrong_0, wrong_1))
    return result


def _flips_before_reading(error: dict[str, Any]) -> tuple[float, float]:
    """Return the probabilities that 0 reads 1 and that 1 reads 0 behind a quantum error of one qubit."""
    from qiskit.quantum_info import DensityMatrix, SuperOp
    from qiskit_aer.noise import QuantumError

    channel = SuperOp(QuantumError.from_dict(error))
    if channel.num_qubits == 1:
        zero, one, plus, right = (DensityMatrix.from_label(label).evolve(channel).data for label in "01+r")
        mean = (zero[0, 0] + one[0, 0]) / 2  # of 0 in a state without coherence
        if abs(plus[0, 0] - mean) < NEGLIGIBLE and abs(right[0, 0] - mean) < NEGLIGIBLE:
            return float(zero[1, 1].real), float(one[0, 0].real)
    raise ValueError(
        "A noise model's quantum errors on `measure` must be of one qubit and flip bits alone, but one turns it. Put "
        "it on a gate before, or take samples: Aer(noise=..., shots=4096)."
    )


def _one_after_another(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    """Return the probabilities that 0 reads 1 and that 1 reads 0 where both errors happen."""
    (zero, one), (wrong_zero, wrong_one) = first, second
    return (
        (1.0 - zero) * wrong_zero + zero * (1.0 - wrong_one),
        (1.0 - one) * wrong_one + one * (1.0 - wrong_zero),
    )


def read_with_errors(item: PauliSum, errors: ReadoutErrors) -> PauliSum:
    """Return the sum whose exact value is the mean of noisy read-outs: a factor P becomes (1 - p - q) P + (q - p)."""
    if not errors:
        return item
    result: dict[str, float] = {}
    for label, coefficient in item:
        parts = {"": coefficient}
        for position, letter in enumerate(label):
            place = len(label) - 1 - position
            p, q = errors.get(place, errors.get(-1, (0.0, 0.0)))
            choices = [(letter, 1.0 - p - q), ("I", q - p)] if letter != "I" else [("I", 1.0)]
            parts = {
                prefix + choice: value * scale
                for prefix, value in parts.items()
                for choice, scale in choices
                if scale != 0.0
            }
        for key, value in parts.items():
            result[key] = result.get(key, 0.0) + value
    return tuple(result.items())


@lru_cache(maxsize=32)
def aer_simulator(method: str, precision: str, noise: Noise, *, binds_late: bool) -> Any:
    """Return Aer with a noise model, made once.

    Args:
        method: Aer's, such as `"density_matrix"`.
        precision: of the amplitudes, `"double"` or `"single"`.
        noise: which Aer adds.
        binds_late: whether angles are bound while it runs.
    """
    try:
        from qiskit_aer import AerSimulator
    except ImportError as error:
        raise ImportError(AER_LIBRARY) from error
    # Angles bound while it runs save a circuit a row, ten times the time. Leaving out idle qubits then mixes up angles.
    late = {"runtime_parameter_bind_enable": True, "enable_truncation": False} if binds_late else {}
    return AerSimulator(method=method, precision=precision, noise_model=noise.model, **late)


@lru_cache(maxsize=16)
def gates_of(noise: Noise) -> Any:
    """Return the simulator as a device to transpile for, with the noise's gates, or those that it binds late."""
    from qiskit.transpiler import Target

    from qml.backends.primitives.targets import Gates
    from qml.backends.primitives.transpile import BASIS

    source = aer_simulator("automatic", "double", noise, binds_late=False).target
    names = [name for name in source.operation_names if noise.model is not None or name in (*BASIS, "kraus")]
    target = Target(num_qubits=source.num_qubits)
    for name in names:
        target.add_instruction(source.operation_from_name(name), name=name)
    return Gates("aer", target)
