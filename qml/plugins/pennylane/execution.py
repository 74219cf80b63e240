"""Tapes without shots: tapes of one structure run together, and differentiate together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pennylane.exceptions import DeviceError
from pennylane.wires import Wires
from torch import Tensor

from qml.plugins.pennylane.program import Program, program_of, structure_of
from qml.plugins.pennylane.structure import NotKeyedError, Structure

FIXED = (
    "Matrices, noise probabilities and basis states must be constants on qml.native, but a gradient is taken in one of "
    "them, or it is traced. Take gates with trained angles in their place, mark them with requires_grad=False, or take "
    "default.mixed."
)
Result = Any  # a tensor, or a tuple of them where a tape has several measurements


def labels_of(tape: Any, wires: Wires | None) -> tuple[Any, ...]:
    """Return the wire of each qubit: a device's own wires first, or those of the tape in PennyLane's order.

    Args:
        tape: the tape; wires that PennyLane has added for its measurements come last.
        wires: of the device.
    """
    used = tape.wires.labels
    if wires is not None:
        own = wires.labels
        extra = tuple(label for label in used if label not in wires)
        return (*own, *extra)
    acted = {label for op in tape.operations for label in op.wires}
    if acted == set(range(len(acted))) and set(used) == set(range(len(used))):
        return tuple(range(len(used)))
    return used


@dataclass(frozen=True)
class Loaded:
    """A tape with its program, and its parameters as tensors."""

    tape: Any
    program: Program
    structure: Structure
    values: list[Tensor]


def load(tape: Any, wires: Wires | None, dtype: torch.dtype, given: Mapping[int, Tensor] | None = None) -> Loaded:
    """Find or build the program of a tape, and read its parameters.

    Args:
        tape: of native operations.
        wires: of the device.
        dtype: of parameters that are no tensors of torch.
        given: tensors that take the place of some parameters, by their numbers in PennyLane's order.

    Raises:
        DeviceError: a gradient is asked for in numbers that are no slots.
    """
    given = given or {}
    measured = [number for number in given if number >= sum([len(op.data) for op in tape.operations])]
    if measured:
        tape = tape.bind_new_parameters([given[number] for number in measured], measured)
    try:
        structure = structure_of(tape, None if wires is None else wires.labels)
    except NotKeyedError as error:
        raise DeviceError(FIXED) from error
    if set(given) - set(structure.numbers) - set(measured):
        raise DeviceError(FIXED)
    program = program_of(tape, structure, labels_of(tape, wires))
    if not given:
        return Loaded(tape, program, structure, as_tensors(structure.parameters, dtype))
    values = [
        given[number] if number in given else as_tensors([value], dtype)[0]
        for number, value in zip(structure.numbers, structure.parameters, strict=True)
    ]
    return Loaded(tape, program, structure, values)


def as_tensors(values: Sequence[Any], dtype: torch.dtype) -> list[Tensor]:
    """Return parameters of any kind as tensors; those of torch stay in their graph and dtype."""
    if all(isinstance(value, (float, int)) for value in values):
        return list(torch.tensor(values, dtype=dtype).unbind())
    return [value if isinstance(value, Tensor) else _as_tensor(value, dtype) for value in values]


def _as_tensor(value: Any, dtype: torch.dtype) -> Tensor:
    array = np.asarray(value)
    return torch.as_tensor(array.copy(), dtype=dtype.to_complex() if array.dtype.kind == "c" else dtype)


def run_exactly(tapes: Sequence[Any], wires: Wires | None, dtype: torch.dtype) -> list[list[Tensor]]:
    """Return the results of each tape's measurements as tensors, without a batch axis where the tape has none."""
    loaded = [load(tape, wires, dtype) for tape in tapes]
    results: list[list[Tensor]] = [[] for _ in tapes]
    for group in _groups(loaded):
        if len(group) == 1:
            results[group[0]] = run_one(loaded[group[0]], dtype)
            continue
        data = joined([loaded[number] for number in group], dtype)
        first = loaded[group[0]]
        rows = first.program.read(data, data.new_zeros(0), first.tape.measurements, "tapes")
        for row, number in enumerate(group):
            results[number] = [values[row] for values in rows]
    return results


def run_one(loaded: Loaded, dtype: torch.dtype) -> list[Tensor]:
    """Return the results of a tape's measurements."""
    batch = loaded.structure.batch
    data, weights = loaded.program.layout.inputs(loaded.values, batch, dtype)
    results = loaded.program.read(data, weights, loaded.tape.measurements, "one" if batch is None else "samples")
    return results if batch is not None else [values[0] for values in results]


def joined(group: Sequence[Loaded], dtype: torch.dtype) -> Tensor:
    """Return the parameters of tapes of one structure as rows, data slots before weight slots."""
    inputs = [loaded.program.layout.inputs(loaded.values, None, dtype) for loaded in group]
    return torch.stack([torch.cat([data[0], weights]) for data, weights in inputs])


def _groups(loaded: Sequence[Loaded]) -> list[list[int]]:
    """Return the numbers of tapes that run together: those of one program without a batch axis."""
    groups: dict[Any, list[int]] = {}
    for number, item in enumerate(loaded):
        alone = item.structure.batch is not None or _is_trained(item)
        groups.setdefault((number,) if alone else id(item.program), []).append(number)
    return list(groups.values())


def _is_trained(loaded: Loaded) -> bool:
    """Tell whether coefficients of observables are trained: they may differ from tape to tape."""
    return any(
        isinstance(value, Tensor) and value.requires_grad
        for measurement in loaded.tape.measurements
        if measurement.obs is not None
        for value in measurement.obs.data
    )


def as_result(values: Sequence[Any]) -> Result:
    """Return the results of a tape in PennyLane's form."""
    return values[0] if len(values) == 1 else tuple(values)


def as_numpy(values: Sequence[Tensor]) -> list[Any]:
    """Return tensors as arrays of NumPy."""
    return [value.detach().cpu().numpy() for value in values]
