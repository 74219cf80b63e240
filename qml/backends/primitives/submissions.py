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
    """All parts as one submission: a pub for each."""
    sums = tuple(pauli_sum(item, transpiled) for item in observables)
    key = hashlib.sha256(f"{transpiled.key} {tuple(item.terms for item in observables)}".encode()).hexdigest()
    columns = list(transpiled.columns)
    pubs = tuple(
        Pub(transpiled.circuit, np.ascontiguousarray(rows[:, columns]), sums, shots, key) for rows, shots in parts
    )
    return Submission(kind, pubs, dict(options or {}), overhead)


def pauli_sum(observable: Observable, transpiled: TranspiledCircuit) -> PauliSum:
    """The observable on the transpiled circuit's qubits, labels in Qiskit's order (qubit 0 last)."""
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


def with_layouts(submitted: Submission, results: Sequence[PubResult]) -> list[PubResult]:
    """The results with the place of each circuit on the device, and the errors there, as `"layout"` of the metadata."""
    if len(results) != len(submitted.pubs):
        return list(results)
    placed = []
    for pub, result in zip(submitted.pubs, results, strict=True):
        isa = loaded(pub.circuit)
        report = report_of_pub(pub, report_in(isa), (isa.metadata or {}).get(QUBITS, ()))
        more = {} if report is None else {LAYOUT: report.as_json()}
        placed.append(replace(result, metadata={**result.metadata, **more}))
    return placed


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
