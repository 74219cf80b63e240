"""The built-in simulator as a backend of Qiskit, for programs that transpile for a backend and read counts."""

import uuid
from typing import Any

import numpy as np
import torch
from qiskit.circuit import (
    BreakLoopOp,
    ContinueLoopOp,
    Delay,
    ForLoopOp,
    IfElseOp,
    Measure,
    Parameter,
    QuantumCircuit,
    Reset,
    Store,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.primitives import BitArray
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit.result import Result
from qiskit.result.models import ExperimentResult, ExperimentResultData, MeasLevel
from qiskit.transpiler import Target

from qml import checks
from qml.plugins.qiskit.noise import DeviceNoise
from qml.plugins.qiskit.program import Program, lifted_program_of
from qml.plugins.qiskit.sampler import as_shots, sampled_bits, seeded

NAME = "qml.native"
CONTROL_FLOW: dict[str, type] = {
    "if_else": IfElseOp, "switch_case": SwitchCaseOp, "for_loop": ForLoopOp, "while_loop": WhileLoopOp,
    "break_loop": BreakLoopOp, "continue_loop": ContinueLoopOp, "store": Store,
}  # fmt: skip
MAX_QUBITS = 30  # that the ideal backend says it has; memory may allow fewer, and says so


class NativeBackend(BackendV2):
    """A backend of Qiskit that runs circuits on the built-in simulator, ideally or with a device's noise.

    It can be given to `transpile`, to `BackendSamplerV2` and to `BackendEstimatorV2`. The primitives of this package
    are much quicker: they take parameters as they are, where a backend gets every circuit bound.

    Args:
        noise: None; the name of a fake device, a Qiskit backend whose gates and properties are taken, or an Aer
            `NoiseModel`.

    Raises:
        ValueError: an unknown device.

    Example:
        >>> from qiskit import QuantumCircuit, transpile
        >>> from qml.plugins.qiskit import NativeBackend
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.x(0), circuit.measure_all()
        >>> backend = NativeBackend()
        >>> backend.run(transpile(circuit, backend), shots=5).result().get_counts()
        {'01': 5}
    """

    def __init__(self, *, noise: Any = None) -> None:
        self._noise = noise if noise is None or isinstance(noise, DeviceNoise) else DeviceNoise(noise)
        device = None if self._noise is None else self._noise.device
        name = NAME if device is None else f"{NAME}:{device.name}"
        super().__init__(name=name, description="The built-in simulator of qml-circuits", backend_version="1")
        self._target = ideal_target() if self._noise is None else self._noise.target

    @property
    def target(self) -> Target:  # pyright: ignore[reportIncompatibleMethodOverride] - Qiskit leaves its type out
        """Return the gates that circuits may hold."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """Return None: a run may have any number of circuits."""
        return

    @classmethod
    def _default_options(cls) -> Options:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Options(shots=1024, memory=False, seed_simulator=None)

    def run(self, run_input: Any, **options: Any) -> "NativeJob":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Run circuits, those of one structure as one batch.

        Args:
            run_input: a circuit or a list of them, without parameters.
            options: `shots`, `memory` (whether results hold every shot) and `seed_simulator`.

        Raises:
            ValueError: another option, a circuit with parameters, or an instruction that the backend does not know.
        """
        chosen = {**vars(self.options), **options}
        unknown = set(chosen) - {"shots", "memory", "seed_simulator"}
        if unknown:
            raise ValueError(f"Options of {NAME} are shots, memory and seed_simulator, but got {', '.join(unknown)}.")
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        shots = as_shots(chosen["shots"], "shots")
        memory = checks.as_flag(chosen["memory"], "memory")
        seed = chosen["seed_simulator"]
        results = self._results(circuits, shots, np.random.default_rng(seed), keeps_memory=memory, seed=seed)
        identity = str(uuid.uuid4())
        result = Result(
            backend_name=self.name,
            backend_version=self.backend_version,
            job_id=identity,
            success=True,
            results=results,
            status="COMPLETED",
        )
        return NativeJob(self, identity, result)

    def _results(
        self, circuits: list[QuantumCircuit], shots: int, random: np.random.Generator, *, keeps_memory: bool, seed: Any
    ) -> list[ExperimentResult]:
        groups: dict[int, list[int]] = {}
        programs: dict[int, Program] = {}
        rows: list[list[float]] = []
        for number, circuit in enumerate(circuits):
            if circuit.parameters:
                names = ", ".join(parameter.name for parameter in circuit.parameters)
                raise ValueError(f"Argument `run_input` must hold bound circuits, but one has the parameters {names}.")
            program, numbers = lifted_program_of(circuit, self._noise)
            rows.append(numbers)
            programs[id(program)] = program
            groups.setdefault(id(program), []).append(number)
        results: dict[int, ExperimentResult] = {}
        generator = seeded(random)
        for key, group in groups.items():
            values = torch.tensor([rows[number] for number in group], dtype=torch.float64).reshape(len(group), -1)
            drawn = (bits for part in sampled_bits(programs[key], values, shots, generator) for bits in part)
            for number, bits in zip(group, drawn, strict=True):
                results[number] = _experiment(circuits[number], bits, seed, keeps_memory=keeps_memory)
        return [results[number] for number in range(len(circuits))]


class NativeJob(JobV1):
    """A job that is done when it is made."""

    _async = False

    def __init__(self, backend: NativeBackend, job_id: str, result: Result) -> None:
        super().__init__(backend, job_id)
        self._result = result

    def submit(self) -> None:
        """Do nothing: the job has run."""

    def result(self) -> Result:
        """Return the counts, and the memory where it was asked for."""
        return self._result

    def status(self) -> JobStatus:
        """Return `JobStatus.DONE`."""
        return JobStatus.DONE


def _experiment(circuit: QuantumCircuit, bits: np.ndarray, seed: Any, *, keeps_memory: bool) -> ExperimentResult:
    """Return the result of a circuit; `bits` are (shots, bits)."""
    if bits.shape[1]:
        packed = BitArray.from_bool_array(bits.astype(bool), order="little").array
        distinct, inverse, counts = np.unique(packed, axis=0, return_inverse=True, return_counts=True)
        words = [hex(int.from_bytes(row.tobytes(), "big")) for row in distinct]
    else:
        words, inverse, counts = ["0x0"], np.zeros(len(bits), dtype=np.int64), np.array([len(bits)])
    memory = [words[place] for place in inverse.reshape(-1)] if keeps_memory else None
    data = ExperimentResultData(counts=dict(zip(words, counts.tolist(), strict=True)), memory=memory)
    header = {
        "name": circuit.name,
        "n_qubits": circuit.num_qubits,
        "memory_slots": circuit.num_clbits,
        "creg_sizes": [[register.name, register.size] for register in circuit.cregs],
        "qreg_sizes": [[register.name, register.size] for register in circuit.qregs],
        "metadata": circuit.metadata,
    }
    return ExperimentResult(
        shots=len(bits),
        success=True,
        data=data,
        status="DONE",
        seed=seed,
        header=header,
        meas_level=MeasLevel.CLASSIFIED,
    )


def ideal_target() -> Target:
    """Return the gates of an ideal backend: all standard gates between any qubits, and conditions on bits."""
    target = Target(num_qubits=MAX_QUBITS)
    for name, gate in get_standard_gate_name_mapping().items():
        if name not in ("delay", "measure", "reset", "barrier"):
            target.add_instruction(gate, name=name)
    for item in (Measure(), Reset(), Delay(Parameter("t"))):
        target.add_instruction(item, name=item.name)
    for name, kind in CONTROL_FLOW.items():
        target.add_instruction(kind, name=name)
    return target
