"""The transform that makes a tape ready for the device: what is native stays, the rest is decomposed or refused."""

from collections.abc import Callable, Sequence
from typing import Any

from pennylane.devices.preprocess import decompose, validate_device_wires, validate_measurements
from pennylane.exceptions import DeviceError
from pennylane.measurements import ClassicalShadowMP, SampleMeasurement, ShadowExpvalMP, StateMeasurement
from pennylane.tape import QuantumScript
from pennylane.transforms import broadcast_expand, defer_measurements, split_non_commuting
from pennylane.transforms.core import CompilePipeline, transform
from pennylane.wires import Wires

from qml.plugins.pennylane.execution import labels_of
from qml.plugins.pennylane.program import known_program, structure_of
from qml.plugins.pennylane.structure import (
    MARKS,
    NotKeyedError,
    is_amplitudes,
    is_by_value,
    is_linear,
    value_key,
)
from qml.plugins.pennylane.untyped import pennylane

NAME = "qml.native"
SHADOWS = (ClassicalShadowMP, ShadowExpvalMP)

Prepared = tuple[Sequence[QuantumScript], Callable[[Any], Any]] | Any  # what PennyLane's own transforms return


@transform
def prepare(tape: QuantumScript, wires: Wires | None) -> Prepared:
    """Make a tape ready, at once where one of its structure has run before."""
    if not tape.shots and _is_known(tape, wires):
        return (tape,), _only
    tapes, finish = _pipeline(tape, wires)((tape,))
    return tapes, lambda results: finish(results)[0]


def _only(results: Any) -> Any:
    return results[0]


def _is_known(tape: QuantumScript, wires: Wires | None) -> bool:
    try:
        return known_program(structure_of(tape, None if wires is None else wires.labels)) is not None
    except (NotKeyedError, DeviceError):
        return False


def _pipeline(tape: QuantumScript, wires: Wires | None) -> CompilePipeline:
    """Return the steps for a tape; those that it does not need are left out."""
    pipeline = CompilePipeline()
    named = wires if wires is not None else Wires(labels_of(tape, None))
    pipeline.add_transform(validate_device_wires, wires, name=NAME)
    if any(not measurement.obs and not measurement.wires for measurement in tape.measurements):
        pipeline.add_transform(validate_device_wires, named, name=NAME)
    pipeline.add_transform(
        validate_measurements, analytic_measurements=is_exact, sample_measurements=is_sampled, name=NAME
    )
    if any(op.name in ("MidMeasureMP", "Conditional") for op in tape.operations):
        pipeline.add_transform(defer_measurements, allow_postselect=True)
    pipeline.add_transform(_without_marks)
    pipeline.add_transform(
        decompose, stopping_condition=is_native, skip_initial_state_prep=False, name=NAME, device_wires=wires
    )
    pipeline.add_transform(_fresh_amplitudes)
    pipeline.add_transform(_single_values)
    if tape.shots:
        pipeline.add_transform(split_non_commuting)
    return pipeline


def is_exact(measurement: Any) -> bool:
    """Tell whether a measurement has a result without shots."""
    return isinstance(measurement, StateMeasurement)


def is_sampled(measurement: Any) -> bool:
    """Tell whether a measurement has a result from samples."""
    return isinstance(measurement, (SampleMeasurement, *SHADOWS))


def is_native(op: Any) -> bool:
    """Tell whether an operation is read as it is."""
    if is_amplitudes(op):
        return True
    if is_by_value(op):
        return _has_key(op)
    return is_linear(op)


def _has_key(op: Any) -> bool:
    try:
        value_key(op)
    except NotKeyedError:
        return False
    return True


@transform
def single_numbers(tape: QuantumScript) -> Prepared:
    """Decompose templates, so that every parameter is a number: PennyLane joins their derivatives to one array."""

    def is_single(op: Any) -> bool:
        return is_native(op) and (not is_linear(op) or all(n == 0 for n in op.ndim_params))

    return decompose(tape, stopping_condition=is_single, skip_initial_state_prep=False, name=NAME)


@transform
def _without_marks(tape: QuantumScript) -> Prepared:
    """Leave out barriers and snapshots, which change no state."""
    operations = [op for op in tape.operations if op.name not in MARKS]
    if len(operations) < len(tape.operations):
        tape = tape.copy(operations=operations)
    return (tape,), _only


@transform
def _fresh_amplitudes(tape: QuantumScript) -> Prepared:
    """Decompose amplitudes that are prepared on wires which have been used."""
    used: set[Any] = set()
    late: set[int] = set()
    for op in tape.operations:
        if is_amplitudes(op) and not used.isdisjoint(op.wires):
            late.add(id(op))
        used.update(op.wires)
    if not late:
        return (tape,), _only
    return decompose(tape, stopping_condition=lambda op: id(op) not in late and (is_native(op)), name=NAME)


@transform
def _single_values(tape: QuantumScript) -> Prepared:
    """Split a broadcast tape where numbers that belong to its structure have a batch axis, or shadows are taken."""
    broadcast = any(op.batch_size is not None and is_by_value(op) for op in tape.operations)
    selects = any(isinstance(op, pennylane.Projector) for op in tape.operations)
    shadows = any(isinstance(measurement, SHADOWS) for measurement in tape.measurements)
    if tape.batch_size is None or not (broadcast or shadows or (selects and tape.shots)):
        return (tape,), _only
    return broadcast_expand(tape)
