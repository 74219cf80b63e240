"""First derivatives that the device provides: Jacobians and vector-Jacobian products of tapes, by our backward pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pennylane.wires import Wires
from torch import Tensor

from qml.plugins.pennylane.execution import as_tensors, load, run_one


@dataclass(frozen=True)
class Traced:
    """A tape that has run with the graph of its trainable parameters.

    Attributes:
        leaves: the trainable parameters, in PennyLane's order.
        results: one a measurement.
    """

    leaves: list[Tensor]
    results: list[Tensor]


def trace(tape: Any, wires: Wires | None, dtype: torch.dtype) -> Traced:
    """Run a tape so that its results can be differentiated in its trainable parameters.

    Raises:
        DeviceError: a trainable parameter belongs to a matrix, a channel or a basis state.
    """
    trainable = list(tape.trainable_params)
    parameters = tape.get_parameters(trainable_only=False)
    leaves = [leaf.detach().requires_grad_() for leaf in as_tensors([parameters[k] for k in trainable], dtype)]
    with torch.enable_grad():  # in a backward pass it is off, and PennyLane multiplies coefficients while a tape loads
        loaded = load(tape, wires, dtype, dict(zip(trainable, leaves, strict=True)))
        return Traced(leaves, run_one(loaded, dtype))


def vector_products(
    tapes: Sequence[Any], cotangents: Sequence[Any], wires: Wires | None, dtype: torch.dtype
) -> tuple[Any, ...]:
    """Return for each tape the products of cotangents with its Jacobian, one a trainable parameter."""
    return tuple(
        _vector_product(trace(tape, wires, dtype), cotangent if len(tape.measurements) > 1 else (cotangent,))
        for tape, cotangent in zip(tapes, cotangents, strict=True)
    )


def _vector_product(traced: Traced, cotangents: Sequence[Any]) -> tuple[np.ndarray, ...]:
    if not traced.leaves:
        return ()
    outputs, vectors = [], []
    for result, cotangent in zip(traced.results, cotangents, strict=True):
        if result.requires_grad:
            vector = torch.as_tensor(np.asarray(cotangent), device=result.device).to(result.dtype)
            outputs.append(result)
            vectors.append(vector.reshape(result.shape).conj())
    if not outputs:
        return tuple(leaf.detach().new_zeros(leaf.shape).cpu().numpy() for leaf in traced.leaves)
    return _arrays(torch.autograd.grad(outputs, traced.leaves, vectors, allow_unused=True, materialize_grads=True))


def jacobians(tapes: Sequence[Any], wires: Wires | None, dtype: torch.dtype) -> tuple[Any, ...]:
    """Return the Jacobian of each tape, nested by measurements and trainable parameters where there are several."""
    return tuple(_jacobian(trace(tape, wires, dtype)) for tape in tapes)


def _jacobian(traced: Traced) -> Any:
    rows = tuple(_one_or_all(_derivatives(result, traced.leaves)) for result in traced.results)
    return _one_or_all(rows)


def tangent_products(
    tapes: Sequence[Any], tangents: Sequence[Any], wires: Wires | None, dtype: torch.dtype
) -> tuple[Any, ...]:
    """Return for each tape the products of its Jacobian with a tangent, one number or array a trainable parameter."""
    results = []
    for tape, tangent in zip(tapes, tangents, strict=True):
        traced = trace(tape, wires, dtype)
        rows = [_derivatives(result, traced.leaves) for result in traced.results]
        products = tuple(
            sum(
                (np.tensordot(part, np.asarray(t), np.ndim(t)) for part, t in zip(row, tangent, strict=True)),
                start=np.zeros(tuple(result.shape)),
            )
            for result, row in zip(traced.results, rows, strict=True)
        )
        results.append(_one_or_all(products))
    return tuple(results)


def _one_or_all(values: tuple[Any, ...]) -> Any:
    return values[0] if len(values) == 1 else values


def _derivatives(result: Tensor, leaves: list[Tensor]) -> tuple[np.ndarray, ...]:
    """Return the derivatives of a result in each leaf, the result's axes first."""
    if not leaves or not result.requires_grad:
        return tuple(np.zeros((*result.shape, *leaf.shape)) for leaf in leaves)
    parts = result.flatten()
    if parts.is_complex():
        real, imaginary = (_rows(part, leaves) for part in (parts.real, parts.imag))
        rows = [first + 1j * second for first, second in zip(real, imaginary, strict=True)]
    else:
        rows = _rows(parts, leaves)
    return tuple(row.reshape((*result.shape, *leaf.shape)) for row, leaf in zip(rows, leaves, strict=True))


def _rows(parts: Tensor, leaves: list[Tensor]) -> list[np.ndarray]:
    found = [
        _arrays(torch.autograd.grad(part, leaves, retain_graph=True, allow_unused=True, materialize_grads=True))
        for part in parts
    ]
    return [np.stack(column) for column in zip(*found, strict=True)]


def _arrays(values: Sequence[Tensor]) -> tuple[np.ndarray, ...]:
    return tuple(value.detach().cpu().numpy() for value in values)
