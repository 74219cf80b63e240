"""Circuits on their way to Qiskit's primitives: transpiled once for each circuit and target, and serialised.

Whatever is sent is a `Submission` of plain bytes and arrays, so that it can be kept.
"""

import hashlib
import io
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np

from circuits import Circuit, Observable, Operation
from circuits.gates import Array
from qml.backends import calibration
from qml.backends.calibration import Faults
from qml.backends.layouts import LAYOUT, QUBITS, SILENT, BestOf, cost_of, report_of, with_layouts
from qml.backends.qiskit import MEASURED, to_qiskit
from qml.jobs import CircuitCost, PauliSum, Pub, PubResult, Submission, split

try:
    from qiskit import QuantumCircuit, QuantumRegister, qpy
    from qiskit.circuit.controlflow import get_control_flow_name_mapping
    from qiskit.exceptions import QiskitError
    from qiskit.providers import BackendV2, Options
    from qiskit.quantum_info import SparsePauliOp
    from qiskit.transpiler import InstructionProperties, PassManager, Target, generate_preset_pass_manager
except ImportError as error:
    raise ImportError('Backend Qiskit needs qiskit. Install it with: pip install "qiskit>=2.1"') from error

# What every simulator of Qiskit knows; where a target says less, it decides.
BASIS = ("u", "p", "rx", "ry", "rz", "h", "x", "y", "z", "s", "sdg", "t", "tdg", "cx", "cz", "swap", "rxx", "ryy",
         "rzz", "rzx", "reset", "measure")  # fmt: skip
N_LAYOUTS = 3  # by errors, of which the best is taken; where SWAPs are needed, the number of them is chance
Layout = Literal["connectivity", "calibration"] | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Gates:
    """The gates of a simulator, on any number of qubits."""

    name: str
    target: Target


@dataclass(frozen=True)
class Compiler:
    """How circuits are transpiled.

    Args:
        device: a Qiskit backend, or `Gates`, to respect; None for what every simulator knows.
        level: Qiskit's optimisation level, 0 to 3.
        layout: `"calibration"` (by the device's error rates and couplings), `"connectivity"` (by its couplings alone),
            or the device's qubits in order. Whichever it is, broken qubits and couplers are left out
            (`qml.backends.calibration`).
        seed: of the transpiler, so that one circuit always gets one layout.
        compact: whether qubits that nothing touches are left out, as simulators want it.
    """

    device: Any = None
    level: int = 1
    layout: Layout = "calibration"
    seed: int = 0
    compact: bool = False


@dataclass(frozen=True, eq=False)
class Compiled:
    """A transpiled circuit.

    Args:
        circuit: its QPY bytes.
        columns: which of our slots each of its parameters is, in its own order.
        places: where each of our qubits is in it.
        n_qubits: its width.
        key: what it computes, the same in every process (see `qml.jobs.Pub`).
    """

    circuit: bytes
    columns: tuple[int, ...]
    places: tuple[int, ...]
    n_qubits: int
    key: str


def compiled(circuit: Circuit, compiler: Compiler) -> Compiled:
    """The transpiled circuit, made once for each circuit and target.

    Raises:
        ValueError: the circuit is wider than the device, or has an operation that the device lacks.
    """
    return _compiled(circuit.n_qubits, circuit.operations, compiler)


@lru_cache(maxsize=256)
def _compiled(n_qubits: int, operations: tuple[Operation, ...], compiler: Compiler) -> Compiled:
    isa, places, _ = transpiled(n_qubits, operations, compiler)
    buffer = io.BytesIO()
    qpy.dump(isa, buffer)
    return Compiled(
        circuit=buffer.getvalue(),
        columns=tuple(parameter.index for parameter in isa.parameters),
        places=tuple(places),
        n_qubits=isa.num_qubits,
        key=_key(n_qubits, operations),
    )


def transpiled(
    n_qubits: int, operations: tuple[Operation, ...], compiler: Compiler
) -> tuple[QuantumCircuit, list[int], list[int]]:
    """The transpiled circuit, where each of our qubits is in it, and the device's qubit for each of its own."""
    written = to_qiskit(_as_circuit(n_qubits, operations, without_cx=calibration.mixes_couplers(compiler.device)))
    written.global_phase = 0.0
    working = working_part(compiler.device)
    calibration.require_fit(n_qubits, operations, compiler, None if working is None else working.faults)
    try:
        isa = transpiler(compiler).run(written)
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
        isa, qubits = _compacted(isa, places, numbers)
    elif working is not None:
        qubits = list(range(compiler.device.target.num_qubits))
        isa = _onto(isa, numbers, qubits, isa.data)
    places = [qubits.index(numbers[place]) for place in places]
    isa.metadata = {QUBITS: qubits}
    if working is not None:
        isa.metadata[LAYOUT] = report_of(isa, qubits, places, compiler.device).as_json()
    return isa, places, qubits


def _as_circuit(n_qubits: int, operations: tuple[Operation, ...], *, without_cx: bool) -> Circuit:
    """The circuit, if asked for with CZ between H in the place of CX.

    Where a device has CX on some couplers and other gates on others, Qiskit (2.6) turns no CX round that stands there
    the wrong way; it translates all other gates.
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


@dataclass(frozen=True, eq=False)
class Working:
    """What works of a device.

    Args:
        target: the working operations, on the working qubits, which are numbered from 0.
        qubits: the device's number of each.
        faults: what is left out.
    """

    target: Target
    qubits: tuple[int, ...]
    faults: Faults


@lru_cache(maxsize=64)
def working_part(device: Any) -> Working | None:
    """What works of a device, found once; None for simulators, whose qubits are all alike."""
    if device is None or isinstance(device, Gates) or device.target.num_qubits is None:
        return None
    faults = calibration.faults_of(device)
    qubits = tuple(qubit for qubit in range(device.target.num_qubits) if qubit not in faults.qubits)
    if not faults.qubits and not faults.operations:
        return Working(device.target, qubits, faults)
    return Working(_part(device.target, qubits, faults), qubits, faults)


@lru_cache(maxsize=64)
def transpiler(compiler: Compiler) -> PassManager | BestOf:
    """The pass manager of a compiler; for a device, onto its working part."""
    make = partial(generate_preset_pass_manager, compiler.level, seed_transpiler=compiler.seed)
    working = working_part(compiler.device)
    if compiler.device is None:
        return make(basis_gates=list(BASIS))
    if working is None:
        return make(target=compiler.device.target)
    if not isinstance(compiler.layout, str):
        return make(target=working.target, initial_layout=[working.qubits.index(qubit) for qubit in compiler.layout])
    by_couplings = make(target=_part(compiler.device.target, working.qubits, working.faults, errors=False))
    if compiler.layout == "connectivity" or not working.faults.calibrated:
        return by_couplings
    by_errors = (_by_errors(working.target, compiler.level, compiler.seed + k) for k in range(N_LAYOUTS))
    return BestOf((*by_errors, by_couplings), working.qubits, compiler.device)


def _by_errors(target: Target, level: int, seed: int) -> PassManager:
    """A pass manager that lays out by error rates at any level: 0 takes the first qubits, and 1 where they fit."""
    manager: Any = generate_preset_pass_manager(level, target=target, seed_transpiler=seed)
    if level < 2:
        thorough: Any = generate_preset_pass_manager(2, target=target, seed_transpiler=seed)
        manager.layout, manager.routing = thorough.layout, thorough.routing
    return manager


def _part(
    target: Target,
    qubits: Sequence[int],
    faults: Faults | None = None,
    *,
    errors: bool = True,
    skip: Collection[str] = (),
) -> Target:
    """The target on some qubits, numbered from 0, without what is broken and what is in `skip`; or without errors.

    Without error rates a layout follows from the couplings alone.
    """
    place, known = {qubit: number for number, qubit in enumerate(qubits)}, target.qubit_properties
    inner = None if known is None else [known[qubit] for qubit in qubits]
    result = Target(num_qubits=len(qubits), dt=target.dt, qubit_properties=inner)
    for name in target.operation_names:
        if name in skip:
            continue
        where = target[name]
        inside = (
            None
            if where is None or None in where
            else {
                tuple(place[qubit] for qubit in item): what if errors or what is None else _duration(what)
                for item, what in where.items()
                if set(item) <= set(place) and (faults is None or faults.allow(name, item))
            }
        )
        if inside != {}:
            result.add_instruction(target.operation_from_name(name), inside, name=name)
    return result


def _duration(known: InstructionProperties) -> InstructionProperties:
    return InstructionProperties(duration=known.duration)


def _compacted(isa: QuantumCircuit, places: Sequence[int], numbers: Sequence[int]) -> tuple[QuantumCircuit, list[int]]:
    """The circuit on the qubits that something touches or that are read, and the number of each, from `numbers`."""
    items = [item for item in isa.data if item.operation.name not in SILENT]
    index = {qubit: place for place, qubit in enumerate(isa.qubits)}
    used = sorted({index[qubit] for item in items for qubit in item.qubits} | set(places))
    qubits = [numbers[place] for place in used]
    return _onto(isa, numbers, qubits, items), qubits


def _onto(isa: QuantumCircuit, numbers: Sequence[int], qubits: list[int], items: Iterable[Any]) -> QuantumCircuit:
    """Some instructions of a circuit, whose qubits have these numbers, on a register of `qubits`."""
    known = zip(isa.qubits, numbers[: isa.num_qubits], strict=True)
    place = {qubit: qubits.index(number) for qubit, number in known if number in qubits}
    result = QuantumCircuit(QuantumRegister(len(qubits), "q"), *isa.cregs)
    for item in items:
        result.append(item.operation, [place[qubit] for qubit in item.qubits], item.clbits)
    return result


class Region(BackendV2):
    """Some qubits of a device as a device of its own, with the same gates, errors and times.

    A simulator needs no more of a device than the qubits that a circuit uses.
    """

    def __init__(self, device: Any, qubits: Sequence[int]) -> None:
        super().__init__(name=f"{device.name}[{','.join(map(str, qubits))}]", backend_version="2")
        self._target = _part(device.target, qubits, skip=get_control_flow_name_mapping())

    @property
    def target(self) -> Target:  # pyright: ignore[reportIncompatibleMethodOverride]  # the base has no annotation
        """Its gates and errors."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """No limit."""
        return

    @classmethod
    def _default_options(cls) -> Options:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        """Simulate it, with the noise: what the client before 0.50 calls in its local testing mode."""
        from qml.backends.aer import simulator_of

        return simulator_of(self).run(run_input, **options)


@lru_cache(maxsize=64)
def region(device: Any, qubits: tuple[int, ...]) -> Region:
    """The region of a device, made once."""
    return Region(device, qubits)


# --- submissions ----------------------------------------------------------------------------------------------------


Part = tuple[np.ndarray, int | None]


def submission(
    kind: Literal["estimator", "sampler"],
    built: Compiled,
    parts: Sequence[Part],
    observables: Sequence[Observable] = (),
    options: Mapping[str, Any] | None = None,
    overhead: int = 1,
) -> Submission:
    """All parts as one submission: a pub for each."""
    sums = tuple(pauli_sum(item, built) for item in observables)
    key = hashlib.sha256(f"{built.key} {tuple(item.terms for item in observables)}".encode()).hexdigest()
    columns = list(built.columns)
    pubs = tuple(Pub(built.circuit, np.ascontiguousarray(rows[:, columns]), sums, shots, key) for rows, shots in parts)
    return Submission(kind, pubs, dict(options or {}), overhead)


def pauli_sum(observable: Observable, built: Compiled) -> PauliSum:
    """The observable on the transpiled circuit's qubits, labels in Qiskit's order (qubit 0 last)."""
    terms = []
    for coefficient, factors in observable.terms:
        if coefficient == 0.0:
            continue
        letters = ["I"] * built.n_qubits
        for qubit, letter in factors:
            letters[built.n_qubits - 1 - built.places[qubit]] = letter
        terms.append(("".join(letters), coefficient))
    return tuple(terms)


@lru_cache(maxsize=256)
def loaded(circuit: bytes) -> QuantumCircuit:
    """The circuit of a pub; it must not be changed."""
    return qpy.load(io.BytesIO(circuit))[0]


def run_primitive(primitive: Any, submitted: Submission) -> Any:
    """Send a submission to an estimator or a sampler of Qiskit's second version; its job."""
    if submitted.kind == "estimator":
        pubs = [
            (
                loaded(pub.circuit),
                [[SparsePauliOp.from_list(list(item))] for item in pub.observables],
                pub.values,
                0.0 if pub.shots is None else 1.0 / np.sqrt(pub.shots),
            )
            for pub in submitted.pubs
        ]
    else:
        pubs = [(loaded(pub.circuit), pub.values, pub.shots) for pub in submitted.pubs]
    return primitive.run(pubs)


def read_results(results: Any, submitted: Submission | None = None) -> list[PubResult]:
    """What a primitive's result says, as arrays; of a submission, only what it asked for, with its options."""
    found = [_read(result) for result in results]
    if submitted is None:
        return found
    return with_layouts(submitted, split.with_options(submitted, split.trim(submitted, found)))


def _read(result: Any) -> PubResult:
    if "evs" in result.data:
        arrays = {name: np.asarray(result.data[name], dtype=float).T for name in ("evs", "stds")}
    else:
        arrays = {name: _bits(result.data[name]) for name in result.data}
    return PubResult(arrays, {"client": repr(result.metadata)})


def _bits(array: Any) -> np.ndarray:
    """A `BitArray` (rows,) as bits (rows, shots, bits), bit k at place k."""
    unpacked = np.unpackbits(array.array, axis=-1, bitorder="big")[..., ::-1]
    return unpacked[..., : array.num_bits]


def measured_bits(result: PubResult) -> np.ndarray:
    """The bits of a sampler's result, (rows, shots, n_bits)."""
    return result.arrays[MEASURED]


def circuit_cost(circuit: bytes, device: Any = None) -> CircuitCost:
    """What one execution of a pub's circuit needs: on a device with its times, on a simulator without any."""
    return cost_of(loaded(circuit), device)
