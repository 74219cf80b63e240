"""Transpiled circuits as submissions of plain bytes and arrays, and results as plain arrays."""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from circuits import Observable
from qml.backends.convert.qiskit import MEASURED
from qml.backends.primitives.layouts import LAYOUT, QUBITS, cost_of, report_in, report_of_pub
from qml.backends.shift.evaluation import Part
from qml.jobs import CircuitCost, PauliSum, Pub, PubResult, Submission, split

try:
    from qiskit import QuantumCircuit, qpy
    from qiskit.quantum_info import SparsePauliOp
except ImportError as error:
    raise ImportError('Backend Qiskit needs qiskit. Install it with: pip install "qiskit>=2.1"') from error
from qml.backends.primitives.transpile import TranspiledCircuit


def submission(
    kind: Literal["estimator", "sampler"],
    transpiled: TranspiledCircuit,
    parts: Sequence[Part],
    observables: Sequence[Observable] = (),
    options: Mapping[str, Any] | None = None,
    overhead: int = 1,
) -> Submission:
    """Make one submission of all parts, with a pub for each."""
    sums = tuple(pauli_sum(item, transpiled) for item in observables)
    key = hashlib.sha256(f"{transpiled.key} {tuple(item.terms for item in observables)}".encode()).hexdigest()
    columns = list(transpiled.columns)
    pubs = tuple(
        Pub(transpiled.circuit, np.ascontiguousarray(rows[:, columns]), sums, shots, key) for rows, shots in parts
    )
    return Submission(kind, pubs, dict(options or {}), overhead)


def pauli_sum(observable: Observable, transpiled: TranspiledCircuit) -> PauliSum:
    """Return the observable on the transpiled circuit's qubits, labels in Qiskit's order (qubit 0 last)."""
    terms = []
    for coefficient, factors in observable.terms:
        if coefficient == 0.0:
            continue
        letters = ["I"] * transpiled.n_qubits
        for qubit, letter in factors:
            letters[transpiled.n_qubits - 1 - transpiled.places[qubit]] = letter
        terms.append(("".join(letters), coefficient))
    return tuple(terms)


@lru_cache(maxsize=256)
def loaded(circuit: bytes) -> QuantumCircuit:
    """Return the circuit of a pub, which must not be changed."""
    return qpy.load(io.BytesIO(circuit))[0]


def run_primitive(primitive: Any, submitted: Submission) -> Any:
    """Send a submission to an estimator or a sampler of Qiskit's second version; return its job."""
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
    """Read a primitive's results as arrays; those of a submission get its options, and lose shots beyond its own."""
    read = [_read(result) for result in results]
    if submitted is None:
        return read
    return with_layouts(submitted, split.with_options(submitted, split.trim(submitted, read)))


def with_layouts(submitted: Submission, results: Sequence[PubResult]) -> list[PubResult]:
    """Add the layout report of each circuit to the metadata of its result, as `"layout"`."""
    if len(results) != len(submitted.pubs):
        return list(results)
    reported = []
    for pub, result in zip(submitted.pubs, results, strict=True):
        isa = loaded(pub.circuit)
        report = report_of_pub(pub, report_in(isa), (isa.metadata or {}).get(QUBITS, ()))
        layout = {} if report is None else {LAYOUT: report.as_json()}
        reported.append(replace(result, metadata={**result.metadata, **layout}))
    return reported


def _read(result: Any) -> PubResult:
    if "evs" in result.data:
        arrays = {name: np.asarray(result.data[name], dtype=float).T for name in ("evs", "stds")}
    else:
        arrays = {name: _bits(result.data[name]) for name in result.data}
    return PubResult(arrays, {"client": repr(result.metadata)})


def _bits(array: Any) -> np.ndarray:
    """Unpack a `BitArray` (rows,) to bits (rows, shots, bits), bit k at place k."""
    unpacked = np.unpackbits(array.array, axis=-1, bitorder="big")[..., ::-1]
    return unpacked[..., : array.num_bits]


def measured_bits(result: PubResult) -> np.ndarray:
    """Return the bits of a sampler's result, (rows, shots, n_bits)."""
    return result.arrays[MEASURED]


def circuit_cost(circuit: bytes, device: Any = None) -> CircuitCost:
    """Compute the cost of one execution of a pub's circuit; without a device it takes no time."""
    return cost_of(loaded(circuit), device)
