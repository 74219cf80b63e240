"""Transpile each circuit once for each target, and keep the result as bytes."""

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

from circuits import Circuit, Operation
from circuits.gates import Array
from qml.backends.convert.qiskit import to_qiskit
from qml.backends.primitives import calibration
from qml.backends.primitives.layouts import LAYOUT, QUBITS, BestOf, report_of

try:
    from qiskit import QuantumCircuit, qpy
    from qiskit.exceptions import QiskitError
    from qiskit.transpiler import PassManager, Target, generate_preset_pass_manager
except ImportError as error:
    raise ImportError('Backend Qiskit needs qiskit. Install it with: pip install "qiskit>=2.1"') from error
from qml.backends.primitives.targets import compacted, onto, part_of, working_part

# Gates of every simulator of Qiskit; a target with fewer gates has precedence.
BASIS = ("u", "p", "rx", "ry", "rz", "h", "x", "y", "z", "s", "sdg", "t", "tdg", "cx", "cz", "swap", "rxx", "ryy",
         "rzz", "rzx", "reset", "measure")  # fmt: skip

N_LAYOUTS = 3  # tried by errors, the best of which is taken; the number of SWAPs differs by chance

LayoutChoice = Literal["connectivity", "calibration"] | tuple[int, ...]


@dataclass(frozen=True)
class Compiler:
    """The target and the options by which circuits are transpiled.

    Args:
        device: a Qiskit backend, or `Gates`; None for the gates of every simulator.
        level: Qiskit's optimisation level, 0 to 3.
        layout: `"calibration"` (by the device's error rates and couplings), `"connectivity"` (by its couplings alone),
            or the device's qubits in order. Broken qubits and couplers are always left out
            (`qml.backends.primitives.calibration`).
        seed: of the transpiler, so that one circuit always gets one layout.
        compact: whether qubits without operations are left out, which makes a simulation smaller.
    """

    device: Any = None
    level: int = 1
    layout: LayoutChoice = "calibration"
    seed: int = 0
    compact: bool = False


@dataclass(frozen=True, eq=False)
class TranspiledCircuit:
    """A circuit that is transpiled, as bytes.

    Args:
        circuit: QPY bytes.
        columns: for each of its parameters, in its own order, the slot of the original circuit.
        places: for each qubit of the original circuit, the qubit of this one that holds it at the end.
        n_qubits: width.
        key: hash of the computation, the same in every process (see `qml.jobs.Pub`).
    """

    circuit: bytes
    columns: tuple[int, ...]
    places: tuple[int, ...]
    n_qubits: int
    key: str


def transpiled_circuit(circuit: Circuit, compiler: Compiler) -> TranspiledCircuit:
    """Transpile a circuit, once for each circuit and compiler.

    Raises:
        ValueError: the circuit is wider than the device, or has an operation that the device lacks.
    """
    return _transpiled_circuit(circuit.n_qubits, circuit.operations, compiler)


@lru_cache(maxsize=256)
def _transpiled_circuit(n_qubits: int, operations: tuple[Operation, ...], compiler: Compiler) -> TranspiledCircuit:
    isa, places, _ = transpiled(n_qubits, operations, compiler)
    buffer = io.BytesIO()
    qpy.dump(isa, buffer)
    return TranspiledCircuit(
        circuit=buffer.getvalue(),
        columns=tuple(parameter.index for parameter in isa.parameters),
        places=tuple(places),
        n_qubits=isa.num_qubits,
        key=_key(n_qubits, operations),
    )


def transpiled(
    n_qubits: int, operations: tuple[Operation, ...], compiler: Compiler
) -> tuple[QuantumCircuit, list[int], list[int]]:
    """Return the transpiled circuit, the place in it of each original qubit, and the device's numbers of its qubits."""
    source = to_qiskit(_as_circuit(n_qubits, operations, without_cx=calibration.mixes_couplers(compiler.device)))
    source.global_phase = 0.0
    working = working_part(compiler.device)
    calibration.require_fit(n_qubits, operations, compiler, None if working is None else working.faults)
    try:
        isa = transpiler(compiler).run(source)
    except QiskitError as error:
        raise ValueError(
            f"Circuits for {'simulators' if compiler.device is None else compiler.device.name} must have operations "
            f"that it knows, but Qiskit says: {error.message} Use another device, or Native()."
        ) from error
    isa.global_phase = 0.0
    places = isa.layout.final_index_layout() if isa.layout is not None else list(range(n_qubits))
    numbers = tuple(range(isa.num_qubits)) if working is None else working.qubits
    qubits = list(numbers)
    if compiler.compact:
        isa, qubits = compacted(isa, places, numbers)
    elif working is not None:
        qubits = list(range(compiler.device.target.num_qubits))
        isa = onto(isa, numbers, qubits, isa.data)
    places = [qubits.index(numbers[place]) for place in places]
    isa.metadata = {QUBITS: qubits}
    if working is not None:
        isa.metadata[LAYOUT] = report_of(isa, qubits, places, compiler.device).as_json()
    return isa, places, qubits


def _as_circuit(n_qubits: int, operations: tuple[Operation, ...], *, without_cx: bool) -> Circuit:
    """Build the circuit, on request with CZ between H in place of CX.

    Where a device has CX on some couplers and other gates on others, Qiskit (2.6) does not reverse a CX whose direction
    is wrong there; it translates all other gates.
    """
    circuit = Circuit(n_qubits)
    for op in operations:
        if without_cx and op.name == "cx":
            circuit.h(op.qubits[0]).cz(op.controls[0], op.qubits[0]).h(op.qubits[0])
        else:
            circuit.append(op.gate, op.qubits, controls=op.controls, angles=op.angles)
    return circuit


def _key(n_qubits: int, operations: tuple[Operation, ...]) -> str:
    digest = hashlib.sha256(str(n_qubits).encode())
    for op in operations:
        digest.update(repr(op).encode())
        for value in vars(op.gate).values():
            digest.update(value.content if isinstance(value, Array) else b"")
    return digest.hexdigest()


@lru_cache(maxsize=64)
def transpiler(compiler: Compiler) -> PassManager | BestOf:
    """Return the pass manager of a compiler; for a device, one onto its working part."""
    make = partial(generate_preset_pass_manager, compiler.level, seed_transpiler=compiler.seed)
    working = working_part(compiler.device)
    if compiler.device is None:
        return make(basis_gates=list(BASIS))
    if working is None:
        return make(target=compiler.device.target)
    if not isinstance(compiler.layout, str):
        return make(target=working.target, initial_layout=[working.qubits.index(qubit) for qubit in compiler.layout])
    by_couplings = make(target=part_of(compiler.device.target, working.qubits, working.faults, errors=False))
    if compiler.layout == "connectivity" or not working.faults.calibrated:
        return by_couplings
    by_errors = (_by_errors(working.target, compiler.level, compiler.seed + k) for k in range(N_LAYOUTS))
    return BestOf((*by_errors, by_couplings), working.qubits, compiler.device)


def _by_errors(target: Target, level: int, seed: int) -> PassManager:
    """Make a pass manager that lays out by error rates at any level.

    Qiskit's own takes the first qubits at level 0, and at level 1 where they fit.
    """
    manager: Any = generate_preset_pass_manager(level, target=target, seed_transpiler=seed)
    if level < 2:
        thorough: Any = generate_preset_pass_manager(2, target=target, seed_transpiler=seed)
        manager.layout, manager.routing = thorough.layout, thorough.routing
    return manager
