"""The structure of a tape: all that decides which circuit it is, without the numbers that become slots.

Two tapes of one structure run as one circuit, which is built, planned and kept once. Three kinds of operations are told
apart:

    linear       gates and templates whose angles are linear in their parameters: these become slots.
    amplitudes   `StatePrep`: the amplitudes become slots.
    by value     matrices, channels, basis states and projections: their numbers belong to the structure.

Everything else must be decomposed before.
"""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pennylane.ops import Adjoint, CompositeOp, Conditional, Controlled, MidMeasure, Pow, Projector
from pennylane.ops.functions import bind_new_parameters
from pennylane.ops.op_math import SymbolicOp

from circuits.steps import LinearStep
from qml.backends.convert.pennylane_operations import linear_steps
from qml.plugins.pennylane.untyped import math, pennylane

MAX_KEPT = 4096  # operations whose steps are kept
BY_VALUE = (
    pennylane.QubitUnitary, pennylane.DiagonalQubitUnitary, pennylane.BasisState, pennylane.BasisEmbedding,
    pennylane.operation.Channel, Projector,
)  # fmt: skip
MAX_MATRIX_WIRES = 10  # of an operation that has no decomposition, and is read as its matrix
MARKS = ("Snapshot", "Barrier", "WireCut")  # change no state
POWERS = (Controlled, Adjoint, Pow)  # of an operation, whose parameters are theirs
NOT_LINEAR = (CompositeOp, SymbolicOp, MidMeasure, Conditional)
# Gates whose class and wires say everything; found without a look at their hyperparameters.
PLAIN = frozenset({
    pennylane.X, pennylane.Y, pennylane.Z, pennylane.Hadamard, pennylane.S, pennylane.T, pennylane.SX, pennylane.SWAP,
    pennylane.ISWAP, pennylane.CNOT, pennylane.CY, pennylane.CZ, pennylane.CH, pennylane.CSWAP, pennylane.CCZ,
    pennylane.Toffoli, pennylane.RX, pennylane.RY, pennylane.RZ, pennylane.PhaseShift, pennylane.U1, pennylane.U2,
    pennylane.U3, pennylane.Rot, pennylane.CRX, pennylane.CRY, pennylane.CRZ, pennylane.CRot,
    pennylane.ControlledPhaseShift, pennylane.IsingXX, pennylane.IsingYY, pennylane.IsingZZ, pennylane.IsingXY,
    pennylane.MultiRZ, pennylane.SingleExcitation, pennylane.DoubleExcitation, pennylane.Identity,
})  # fmt: skip


class NotKeyedError(TypeError):
    """An error that something in an operation cannot be compared between tapes."""


@dataclass(frozen=True)
class Structure:
    """The structure of a tape.

    Attributes:
        key: equal for tapes of the same circuit and measurements.
        parameters: the values of the slots, operation by operation.
        numbers: the numbers in the tape's list of all parameters of those, by which PennyLane calls them.
        batch: the length of the batch axis, None without one.
    """

    key: Hashable
    parameters: Sequence[Any]
    numbers: Sequence[int]
    batch: int | None


def is_linear(op: Any) -> bool:
    """Tell whether an operation's parameters become slots."""
    return _steps_of(op) is not None


def is_amplitudes(op: Any) -> bool:
    """Tell whether an operation prepares amplitudes that are given as a dense vector."""
    return isinstance(op, pennylane.StatePrep) and not op.is_sparse


def is_by_value(op: Any) -> bool:
    """Tell whether an operation's numbers belong to the structure."""
    return _has_values(op) or (
        not op.has_decomposition
        and op.has_matrix
        and len(op.wires) <= MAX_MATRIX_WIRES
        and type(op) not in PLAIN
        and not is_amplitudes(op)
        and _steps_of(op) is None
    )


def _has_values(op: Any) -> bool:
    while isinstance(op, SymbolicOp):
        op = op.base
    return isinstance(op, BY_VALUE)


def steps_of(op: Any) -> tuple[LinearStep, ...]:
    """Return the steps of a linear operation on qubits 0, 1, ... (its wires in order); slots count its numbers."""
    steps = _steps_of(op)
    if steps is None:
        raise TypeError(f"Argument `op` must be linear in its parameters, but is {op.name}.")
    return steps


def operation_key(op: Any) -> tuple[Hashable, tuple[int, ...]]:
    """Return the key of an operation, and the number of dimensions of each of its parameters that become slots."""
    kind, wires = type(op), op.wires.labels
    if kind in PLAIN:
        dimensions = tuple([getattr(value, "ndim", 0) for value in op.data])
        return (kind, wires, dimensions), dimensions
    if is_amplitudes(op):
        value = op.data[0]
        is_complex = "complex" in str(value.dtype)
        return (kind, wires, value.ndim, is_complex), (value.ndim,)
    if is_by_value(op):
        return _frozen(op, None), ()
    shapes = tuple([tuple(np.shape(value)) for value in op.data])
    if op.batch_size is not None:
        shapes = tuple(
            [
                (None, *shape[1:]) if len(shape) > dimensions else shape
                for shape, dimensions in zip(shapes, op.ndim_params, strict=True)
            ]
        )
    return (_shell(op, None), shapes), tuple(len(shape) for shape in shapes)


def value_key(op: Any) -> Hashable:
    """Return the key of an operator with its numbers.

    Raises:
        NotKeyedError: a gradient is being taken in a number, or it is traced.
    """
    return _frozen(op, None)


_kept: "OrderedDict[Hashable, tuple[LinearStep, ...] | None]" = OrderedDict()


def _steps_of(op: Any) -> tuple[LinearStep, ...] | None:
    if is_amplitudes(op) or _has_values(op) or op.name in MARKS or _holds_operators(op):
        return None
    single = without_batch(op)
    places = {wire: place for place, wire in enumerate(op.wires)}
    try:
        key = (_shell(single, places), tuple(np.shape(value) for value in single.data))
    except NotKeyedError:
        return None
    if key not in _kept:
        if any("complex" in math.get_dtype_name(value) for value in single.data):
            return None
        _kept[key] = linear_steps(single)
        while len(_kept) > MAX_KEPT:
            _kept.popitem(last=False)
    return _kept[key]


def _holds_operators(op: Any) -> bool:
    """Tell whether an operation is made of others, so that its parameters may be theirs as well."""
    while isinstance(op, POWERS):
        op = op.base
    return isinstance(op, NOT_LINEAR) or any(
        isinstance(item, pennylane.operation.Operator)
        for value in op.hyperparameters.values()
        for item in (value if isinstance(value, (list, tuple)) else (value,))
    )


def without_batch(op: Any) -> Any:
    """Return an operation without batch axis, at other parameters if it has one."""
    if op.batch_size is None:
        return op
    shapes = [
        np.shape(value)[1:] if len(np.shape(value)) > n else np.shape(value)
        for value, n in zip(op.data, op.ndim_params, strict=True)
    ]
    return bind_new_parameters(op, [np.full(shape, 0.1) if shape else 0.1 for shape in shapes])


def _shell(op: Any, places: dict[Any, int] | None) -> Hashable:
    """Return what says which operation it is at any parameters."""
    wires = tuple(op.wires) if places is None else tuple(places.get(wire, wire) for wire in op.wires)
    if isinstance(op, Controlled):
        values = tuple(map(bool, op.control_values))
        return type(op), wires, len(op.control_wires), values, _shell(op.base, places)
    if isinstance(op, Adjoint):
        return type(op), wires, _shell(op.base, places)
    return type(op), wires, _frozen(op.hyperparameters, places)


def _frozen(  # noqa: PLR0911 - one return a kind of value
    value: Any, places: dict[Any, int] | None
) -> Hashable:
    """Return a value that is equal for equal contents.

    Raises:
        NotKeyedError: the contents are trained, traced, or of an unknown type.
    """
    if value is None or isinstance(value, (bool, int, float, complex, str, type)):
        return value
    if isinstance(value, pennylane.wires.Wires):
        return tuple(value) if places is None else tuple(places.get(wire, wire) for wire in value)
    if isinstance(value, pennylane.operation.Operator):
        return _shell(value, places), tuple(_frozen(number, places) for number in value.data)
    if isinstance(value, dict):
        return tuple((name, _frozen(item, places)) for name, item in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(_frozen(item, places) for item in value)
    if callable(value):
        return value
    return _frozen_array(value)


def _frozen_array(value: Any) -> Hashable:
    if is_trained(value) or math.is_abstract(value) or not hasattr(value, "dtype"):
        raise NotKeyedError(f"{type(value).__name__} cannot be compared between tapes.")
    array = math.toarray(value)
    return array.shape, str(array.dtype), np.ascontiguousarray(array).tobytes()


def is_trained(value: Any) -> bool:
    """Tell whether a gradient is being taken in a value."""
    interface = math.get_interface(value)
    if interface == "torch":
        return value.requires_grad
    if interface == "jax":
        return "Tracer" in type(value).__name__
    return type(value).__name__ == "ArrayBox"
