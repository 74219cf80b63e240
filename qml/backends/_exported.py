"""Circuits in programs made by torch.export: one operator that carries its circuit as OpenQASM text.

An exported program holds nothing of Python, so the operator's argument is a text from which circuit, observables and
backend are made again in the process that runs the program. Exported programs are for inference: the operator has no
derivative, and asking for one raises.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

import circuits
from circuits import Circuit, Observable

if TYPE_CHECKING:
    from qml.backends.native import Native

KEPT_CALLS = 64


def expectation(
    backend: "Native", circuit: Circuit, data: Tensor, weights: Tensor, observables: Sequence[Observable]
) -> Tensor:
    """`Native.expectation` as an operator of the program that is being exported."""
    terms = [[[coefficient, list(map(list, factors))] for coefficient, factors in o.terms] for o in observables]
    return run(data, weights, _text(backend, circuit, "expectation", terms), len(observables))


def probabilities(
    backend: "Native", circuit: Circuit, data: Tensor, weights: Tensor, qubits: Sequence[int] | None
) -> Tensor:
    """`Native.probabilities` as an operator of the program that is being exported."""
    chosen = list(range(circuit.n_qubits)) if qubits is None else list(qubits)
    return run(data, weights, _text(backend, circuit, "probabilities", chosen), 2 ** len(chosen))


@torch.library.custom_op("qml_circuits::run", mutates_args=())
def run(data: Tensor, weights: Tensor, call: str, n_columns: int) -> Tensor:
    """The answer of shape (batch, n_columns) to what the text `call` asks."""
    return _parsed(call)(data, weights)


@run.register_fake
def _(data: Tensor, weights: Tensor, call: str, n_columns: int) -> Tensor:
    return data.new_empty(data.shape[0], n_columns)


def _text(backend: "Native", circuit: Circuit, method: str, asked: object) -> str:
    try:
        source = circuits.to_openqasm(circuit)
    except ValueError as error:
        raise ValueError(
            f"Circuits of exported programs must have OpenQASM text, but this one has none: {error}"
        ) from error
    return json.dumps({"backend": asdict(backend), "circuit": source, "method": method, "asked": asked})


@lru_cache(KEPT_CALLS)
def _parsed(call: str) -> Callable[[Tensor, Tensor], Tensor]:
    from qml.backends.native import Native

    parts = json.loads(call)
    options = parts["backend"]
    if options["readout_error"] is not None:
        options["readout_error"] = tuple(options["readout_error"])
    backend, circuit, asked = Native(**options), circuits.from_openqasm(parts["circuit"]), parts["asked"]
    if parts["method"] == "probabilities":
        return lambda data, weights: backend.probabilities(circuit, data, weights, asked)
    observables = [
        Observable(
            tuple((coefficient, tuple((site, letter) for site, letter in factors)) for coefficient, factors in o)
        )
        for o in asked
    ]
    return lambda data, weights: backend.expectation(circuit, data, weights, observables)
