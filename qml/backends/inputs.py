"""Checks of the arguments of backends: circuit, observables, qubits, shots, data and weights."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from circuits import Circuit, ComputedCircuit, Observable
from qml import checks

AMPLITUDE_NORM_TOLERANCE = 1e-4  # features normalised in float32


def require_circuit(circuit: Any) -> None:
    """Refuse what is not a Circuit."""
    if isinstance(circuit, Circuit):
        return
    if isinstance(circuit, ComputedCircuit):
        raise TypeError(
            "Argument `circuit` must be a Circuit, but is a ComputedCircuit. QuantumLayer and the kernels compute its "
            "angles; to a backend pass its `circuit`, and `data(inputs)` as data."
        )
    fix = _converter(circuit, "")
    raise TypeError(f"Argument `circuit` must be a Circuit, but is {type(circuit).__name__}.{fix}")


def _converter(value: Any, kind: str) -> str:
    """Return the sentence that names the converter from another package, with a space in front; empty for others."""
    package = type(value).__module__.partition(".")[0]
    if package not in ("pennylane", "qiskit"):
        return ""
    return f" Convert it with qml.backends.convert.{package}.{kind}from_{package}."


def as_observables(observables: Any, n_qubits: int) -> tuple[Observable, ...]:
    """Return `observables` as a tuple, all on existing qubits."""
    if isinstance(observables, Observable):
        raise TypeError("Argument `observables` must be a sequence, but is one Observable. Pass [observable].")
    if isinstance(observables, str) or not isinstance(observables, Iterable):
        raise TypeError(
            f"Argument `observables` must be a sequence of Observables, but is {type(observables).__name__}."
            f"{_converter(observables, 'observable_') or ' Pass for example [Z(0)].'}"
        )
    result = tuple(observables)
    for item in result:
        if not isinstance(item, Observable):
            fix = " Pass for example Z(0) @ Z(1)." if isinstance(item, str) else _converter(item, "observable_")
            raise TypeError(f"Argument `observables` must hold Observables, but holds {checks.shown(item)}.{fix}")
        if item.qubits and item.qubits[-1] >= n_qubits:
            raise ValueError(
                f"Argument `observables` must act on qubits 0..{n_qubits - 1}, but {item} acts on {item.qubits[-1]}."
            )
    return result


def as_qubits(qubits: Sequence[int] | None, n_qubits: int) -> tuple[int, ...]:
    """Return `qubits` as distinct existing qubits; None stands for all."""
    if qubits is None:
        return tuple(range(n_qubits))
    result = checks.as_ints(qubits, "qubits", -math.inf, at_least=0)
    if not result or len(set(result)) != len(result) or not all(0 <= qubit < n_qubits for qubit in result):
        raise ValueError(
            f"Argument `qubits` must be distinct and lie in 0..{n_qubits - 1}, at least one, but is {result}."
        )
    return result


def require_probabilities(values: Any, name: str) -> None:
    """Refuse anything but two numbers in [0, 1]."""
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != 2:
        raise ValueError(f"Argument `{name}` must be two probabilities in [0, 1], but is {values!r}.")
    for place, value in enumerate(values):
        checks.as_number(value, f"{name}[{place}]", at_least=0.0, at_most=1.0)


def require_inputs(circuit: Circuit, data: Tensor, weights: Tensor, *, finite: bool = True) -> None:
    """Refuse data and weights of a wrong shape, dtype, device, or with NaN, which is left to others without `finite`.

    Amplitudes are looked at in any case.
    """
    _require_kinds(circuit, data, weights)
    n_data, n_weights = circuit.n_data, circuit.n_weights
    if data.ndim != 2 or data.shape[1] != n_data:
        fix = f" Pass data[..., :{n_data}] or rebuild the circuit." if data.ndim == 2 else ""
        raise ValueError(f"Argument `data` must have shape (batch, {n_data}), but has shape {tuple(data.shape)}.{fix}")
    if weights.shape != (n_weights,):
        raise ValueError(f"Argument `weights` must have shape ({n_weights},), but has shape {tuple(weights.shape)}.")
    if data.dtype not in (torch.float32, torch.float64) or weights.dtype != data.dtype:
        raise TypeError(
            "Arguments `data` and `weights` must both be float32 or both float64, but are "
            f"{data.dtype} and {weights.dtype}. Convert them with .to(torch.float32)."
        )
    if data.device != weights.device:
        raise ValueError(
            f"Arguments `data` and `weights` must be on one device, but are on {data.device} and {weights.device}."
        )
    if data.is_meta:
        raise ValueError(
            "Arguments `data` and `weights` must hold values, but are on the device meta. Move the layer with "
            "to_empty(device=...), load its weights, and pass inputs on that device."
        )
    if not checks.hides_values():
        _require_values(circuit, data, weights, finite)


def require_jet(circuit: Circuit, data: Tensor, weights: Tensor, n_components: int) -> None:
    """Refuse components of another number or shape, and all that `require_inputs` refuses; weights may be by sample."""
    if data.ndim != 3 or len(data) != n_components:
        raise ValueError(
            f"Argument `data` must have shape ({n_components}, batch, {circuit.n_data}), one component for each "
            f"derivative, but has shape {tuple(data.shape)}."
        )
    if weights.ndim == 1:
        require_inputs(circuit, data[0], weights)
        return
    if weights.shape != (data.shape[1], circuit.n_weights):
        raise ValueError(
            f"Argument `weights` must have shape ({circuit.n_weights},) or ({data.shape[1]}, {circuit.n_weights}), but "
            f"has shape {tuple(weights.shape)}."
        )
    require_inputs(circuit, data[0], weights[0] if len(weights) else weights.new_zeros(circuit.n_weights))
    if weights.stride(0) and not checks.hides_values() and not bool(weights.detach().isfinite().all()):
        raise ValueError("Argument `weights` must be finite, but holds NaN or infinity. Check where it comes from.")


def empty_answer(data: Tensor, weights: Tensor, n_columns: int) -> Tensor:
    """Return zeros (..., columns) with zero gradients, as every torch layer does for an empty batch."""
    return data.new_zeros(*data.shape[:-1], n_columns) + 0.0 * (data.sum() + weights.sum())


def _require_kinds(circuit: Any, data: Any, weights: Any) -> None:
    require_circuit(circuit)
    checks.require_tensor(data, "data")
    checks.require_tensor(weights, "weights")


def _require_values(circuit: Circuit, data: Tensor, weights: Tensor, finite: bool) -> None:
    """Refuse NaN, infinity and amplitudes that are not normalised."""
    prepared = circuit.derived("amplitude columns", lambda: _amplitude_columns(circuit))
    if finite or prepared:
        checks.require_all_finite(data=data, weights=weights)
    for columns in prepared:
        norms = torch.linalg.vector_norm(data.detach()[:, columns], dim=1)
        error = (norms - 1).abs().max() if len(norms) else 0.0
        if error > AMPLITUDE_NORM_TOLERANCE:
            raise ValueError(
                f"Amplitudes in `data` must have norm 1 in each sample, but a norm differs from 1 by {error:.2g}. "
                "Normalise them with circuits.feature_maps, or torch.nn.functional.normalize."
            )


def _amplitude_columns(circuit: Circuit) -> list[list[int] | slice]:
    """Return the columns of every preparation, as a slice where they are neighbours: long lists are slow indices."""
    preparations = [op for op in circuit.operations if op.is_preparation and op.slots]
    columns = {tuple(slot.index for slot in op.slots): None for op in preparations}  # copies are looked at once
    return [
        slice(some[0], some[-1] + 1) if some == tuple(range(some[0], some[-1] + 1)) else list(some) for some in columns
    ]
