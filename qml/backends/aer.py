"""Qiskit Aer: exact or with shots, ideal or with a device's noise."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from circuits import Circuit
from qml import checks
from qml.backends.primitives.calibration import as_layout
from qml.backends.primitives.noise import (
    IDEAL,
    MIXING_INSTRUCTIONS,
    SEED_LIMIT,
    Noise,
    aer_simulator,
    device_noise,
    fake_device,
    gates_of,
    read_with_errors,
    readout_errors,
)
from qml.backends.primitives.pubs import Kind, PubBackend
from qml.jobs import LocalService, Pub, PubResult, Service, Submission

LATE_BINDING_GATES = ("u", "p", "rx", "ry", "rz", "rxx", "ryy", "rzz", "rzx", "r")


@dataclass(frozen=True, kw_only=True, eq=False)
class Aer(PubBackend):
    """The backend that runs circuits on Qiskit's simulator.

    Args:
        noise: None; the name of a fake device (`"fake_torino"`, needs qiskit-ibm-runtime); a Qiskit backend, whose
            gates, couplings and errors are taken; or an Aer `NoiseModel`, whose qubit k is the circuit's qubit k.
        shots: runs of each circuit and basis; None for exact values, read-out errors of `noise` included.
        precision: of the amplitudes, `"double"` or `"single"`.
        generator: of the seeds; None for fresh ones from the operating system.
        level: Qiskit's optimisation level, 0 to 3.
        layout: which qubits of a device are taken: `"calibration"` (those with the least errors), `"connectivity"` (by
            the couplings alone), or a tuple of them. Qubits and couplers that the calibration calls broken are never
            taken.

    Circuits with noise channels, resets or `noise` run as density matrices, the others as state vectors. Exact values
    with `noise` are refused for circuits with mid-circuit operations: ask for shots.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z, weight
        >>> from qml.backends import Aer
        >>> angle = torch.tensor([0.5], requires_grad=True)
        >>> value = Aer().expectation(Circuit(1).ry(weight(0), 0), torch.zeros(1, 0), angle, [Z(0)])
        >>> value.backward()
        >>> angle.grad
        tensor([-0.4794])
    """

    noise: Any = None
    precision: Literal["double", "single"] = "double"
    generator: torch.Generator | None = None
    level: int = 1
    layout: Any = "calibration"

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.require_choice(self.precision, "precision", ("double", "single"))
        checks.require_choice(self.level, "level", (0, 1, 2, 3))
        object.__setattr__(self, "layout", as_layout(self.layout))
        if isinstance(self.noise, str):
            checks.require_installed(
                "qiskit_ibm_runtime", "Backend Aer with a fake device needs qiskit-ibm-runtime", "ibm"
            )
            fake_device(self.noise)  # an unknown name is refused where it is written
        elif not (self.noise is None or hasattr(self.noise, "target") or hasattr(self.noise, "to_dict")):
            raise TypeError(
                "Argument `noise` must be the name of a fake device, a Qiskit backend, an Aer NoiseModel or None, but "
                f"is {checks.shown(self.noise)}."
            )

    @property
    def name(self) -> str:
        """Return `"aer"`, with the device after a colon where there is noise."""
        if self.noise is None:
            return "aer"
        return f"aer:{self.noise if isinstance(self.noise, str) else getattr(self.noise, 'name', 'noise')}"

    @property
    def _channels(self) -> bool:
        return True

    def compiler(self) -> Any:
        """Return the compiler to the noise's gates: other gates would silently run without noise."""
        from qml.backends.primitives.transpile import Compiler

        device = self._device()
        if device is not None:
            return Compiler(device, level=self.level, layout=self.layout, compact=True)
        return Compiler(gates_of(self._given), level=self.level)

    @property
    def service(self) -> Service:
        """Return this process as a service; with a device, circuits cost the time that they would take on it."""
        from qml.backends.primitives.submissions import circuit_cost

        return LocalService(self.name, self.run, lambda circuit: circuit_cost(circuit, self._device()))

    def options(self, kind: Kind, generator: torch.Generator | None = None) -> Mapping[str, Any]:
        """Return the precision and a seed."""
        source = generator or self.generator
        seed = None if source is None else int(torch.randint(SEED_LIMIT, (), generator=source))
        return {"precision": self.precision, "seed": seed}

    def run(self, submission: Submission) -> list[PubResult]:
        """Simulate it."""
        from qml.backends.primitives.submissions import with_layouts

        if submission.kind == "estimator":
            results = [_exact(pub, self._noise(pub), str(submission.options["precision"])) for pub in submission.pubs]
            return with_layouts(submission, results)
        return _sampled(submission, self._noise(submission.pubs[0]), submission.options)

    def _estimates(self, circuit: Circuit) -> bool:
        if self.shots is None and self.noise is not None and any(op.is_mid_circuit for op in circuit.operations):
            raise ValueError(
                f"Backend {self.name} must have shots for circuits with mid-circuit operations, but has none. Use "
                "Aer(noise=..., shots=4096), or without mid-circuit operations NoisyNative(noise)."
            )
        return self.shots is None

    @cached_property
    def _given(self) -> "Noise":
        """Return the noise where it is not that of a device."""
        return IDEAL if self.noise is None else Noise(self.noise, readout_errors(self.noise))

    def _noise(self, pub: Pub) -> "Noise":
        """Return the noise that Aer adds to a pub's circuit."""
        from qml.backends.primitives.submissions import loaded
        from qml.backends.primitives.transpile import QUBITS

        return self.noise_on(tuple(loaded(pub.circuit).metadata[QUBITS]))

    def noise_on(self, qubits: tuple[int, ...]) -> "Noise":
        """Return the noise that Aer adds to a circuit on these qubits of the device."""
        device = self._device()
        return self._given if device is None else device_noise(device, qubits)

    def _device(self) -> Any:
        """Return the device whose noise is taken, if there is one."""
        if isinstance(self.noise, str):
            return fake_device(self.noise)
        return self.noise if hasattr(self.noise, "target") else None


def _exact(pub: Pub, noise: Noise, precision: str) -> PubResult:
    """Compute expectation values by the simulator itself, which saves one for each Pauli string."""
    from qiskit.quantum_info import Pauli

    from qml.backends.primitives.submissions import loaded

    sums = [read_with_errors(item, noise.reading_errors) for item in pub.observables]
    circuit: Any = loaded(pub.circuit).copy()  # Aer adds methods
    mixed = noise.model is not None or any(item.operation.name in MIXING_INSTRUCTIONS for item in circuit.data)
    labels = sorted({label for item in sums for label, _ in item})
    for label in labels:
        places = [place for place, letter in enumerate(reversed(label)) if letter != "I"] or [0]
        letters = "".join(label[len(label) - 1 - place] for place in reversed(places))
        circuit.save_expectation_value(Pauli(letters), places, label=label)
    method = "density_matrix" if mixed else "statevector"
    simulator = aer_simulator(method, precision, noise, binds_late=_binds_late(circuit))
    binds = {parameter: pub.values[:, k].tolist() for k, parameter in enumerate(circuit.parameters)}
    result = simulator.run(circuit, parameter_binds=[binds] if binds else None).result()
    if not result.success:
        raise RuntimeError(f"Aer failed: {result.status}")
    saved = [[np.real(result.data(row)[label]) for label in labels] for row in range(len(pub.values))]
    coefficients = np.zeros((len(labels), len(sums)))
    for column, item in enumerate(sums):
        for label, coefficient in item:
            coefficients[labels.index(label), column] += coefficient
    values = np.array(saved).reshape(len(pub.values), len(labels)) @ coefficients
    return PubResult({"evs": values, "stds": np.zeros_like(values)})


def _sampled(submission: Submission, noise: Noise, options: Mapping[str, Any]) -> list[PubResult]:
    from qiskit_aer.primitives import SamplerV2

    from qml.backends.primitives.submissions import loaded, read_results, run_primitive

    late = all(_binds_late(loaded(pub.circuit)) for pub in submission.pubs)
    simulator = aer_simulator("automatic", options["precision"], noise, binds_late=late)
    sampler = SamplerV2.from_backend(simulator, seed=options["seed"])
    return read_results(run_primitive(sampler, submission).result(), submission)


def _binds_late(circuit: Any) -> bool:
    """Tell whether Aer (0.18) can bind the circuit's angles while it runs: in controlled gates it misplaces them."""
    return all(item.operation.name in LATE_BINDING_GATES for item in circuit.data if item.operation.is_parameterized())
