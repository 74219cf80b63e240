"""Circuits in programs made by torch.export: one operator that carries circuit and backend as text.

An exported program holds no Python objects, so the operator's argument is JSON: the circuit as OpenQASM, the backend as
the path of its class and its options. The process that runs the program builds both again, once for each text. Exported
programs are for inference: the operator has no derivative, and asking for one raises.
"""

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

import circuits
from circuits import Circuit, Observable
from qml.backends.protocol import Backend

MAX_CACHED_CALLS = 64
DEFAULT_CLASS = "qml.backends.native.Native"  # of programs written by versions that exported no other


def expectation(
    backend: Backend, circuit: Circuit, data: Tensor, weights: Tensor, observables: Sequence[Observable]
) -> Tensor:
    """Write `backend.expectation` into the program that is being exported."""
    terms = [[[coefficient, list(map(list, factors))] for coefficient, factors in o.terms] for o in observables]
    return run(data, weights, _text(backend, circuit, "expectation", terms), len(observables))


def probabilities(
    backend: Backend, circuit: Circuit, data: Tensor, weights: Tensor, qubits: Sequence[int] | None
) -> Tensor:
    """Write `backend.probabilities` into the program that is being exported."""
    chosen = list(range(circuit.n_qubits)) if qubits is None else list(qubits)
    return run(data, weights, _text(backend, circuit, "probabilities", chosen), 2 ** len(chosen))


def amplitudes(backend: Backend, circuit: Circuit, data: Tensor, weights: Tensor) -> Tensor:
    """Write `backend.amplitudes` into the program that is being exported."""
    return run(data, weights, _text(backend, circuit, "amplitudes", []), 2 * 2**circuit.n_qubits)


@torch.library.custom_op("qml_circuits::run", mutates_args=())
def run(data: Tensor, weights: Tensor, call: str, n_columns: int) -> Tensor:
    """Compute the answer, of shape (batch, n_columns), to the call that the text `call` describes."""
    return _parsed(call)(data, weights)


@run.register_fake
def _(data: Tensor, weights: Tensor, call: str, n_columns: int) -> Tensor:
    return data.new_empty(data.shape[0], n_columns)


def _text(backend: Backend, circuit: Circuit, method: str, request: object) -> str:
    try:
        source = circuits.to_openqasm(circuit)
    except ValueError as error:
        raise ValueError(
            f"Circuits of exported programs must have OpenQASM text, but this one has none: {error}"
        ) from error
    kind = type(backend)
    path = f"{kind.__module__}.{kind.__qualname__}"
    if not is_dataclass(backend) or "<locals>" in path:
        raise ValueError(
            f"Backends of exported programs must be dataclasses of a module, but {path} is not. Use Native()."
        )
    options = {field.name: getattr(backend, field.name) for field in fields(backend) if field.init}
    call = {"class": path, "backend": options, "circuit": source, "method": method, "asked": request}
    try:
        return json.dumps(call)
    except TypeError as error:
        raise ValueError(
            f"Options of an exported program's backend must be numbers, texts and tuples of them, but {path} has "
            f"others: {error}. Use Native()."
        ) from error


@lru_cache(MAX_CACHED_CALLS)
def _parsed(call: str) -> Callable[[Tensor, Tensor], Tensor]:
    parts = json.loads(call)
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in parts["backend"].items()}
    backend = _class_of(parts.get("class", DEFAULT_CLASS))(**options)
    circuit = circuits.from_openqasm(parts["circuit"])
    if parts["method"] == "probabilities":
        qubits = parts["asked"]
        return lambda data, weights: backend.probabilities(circuit, data, weights, qubits)
    if parts["method"] == "amplitudes":
        return lambda data, weights: backend.amplitudes(circuit, data, weights)
    observables = [
        Observable(
            tuple((coefficient, tuple((site, letter) for site, letter in factors)) for coefficient, factors in o)
        )
        for o in parts["asked"]
    ]
    return lambda data, weights: backend.expectation(circuit, data, weights, observables)


def _class_of(path: str) -> Callable[..., Any]:
    """Import the class of a backend, and nothing else: the text may come from a file of somebody else."""
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"The exported program needs the backend {path}, which cannot be imported: {error}. Install its package."
        ) from error
    if not isinstance(kind, type) or not all(hasattr(kind, member) for member in ("expectation", "capabilities")):
        raise ValueError(f"The exported program must name the class of a backend, but names {path}.")
    return kind
