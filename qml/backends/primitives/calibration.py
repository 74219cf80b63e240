"""The qubits and couplers that a device's calibration calls broken, and refusals of circuits that would need them.

No SDK is imported here: a device is any object with a Qiskit `Target`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from circuits import Operation

LAYOUTS = ("calibration", "connectivity")
MAX_NAMED_FAULTS = 4  # in a message
TRY_OTHERS = 'Name others, or take layout="calibration".'
Place = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Faults:
    """The broken parts of a device, each with the reason that the calibration gives.

    Args:
        qubits: broken qubits, on which no operation may run.
        operations: broken operations by name and qubits, those on broken qubits left out.
        calibrated: whether the device gives the error of any operation.
    """

    qubits: Mapping[int, str]
    operations: Mapping[tuple[str, Place], str]
    calibrated: bool

    def allow(self, name: str, qubits: Place) -> bool:
        """Tell whether an operation may run on these qubits."""
        return (name, qubits) not in self.operations and not self.qubits.keys() & set(qubits)

    def __str__(self) -> str:
        named = [f"qubit {qubit} ({reason})" for qubit, reason in sorted(self.qubits.items())]
        named += [f"{name} on {qubits} ({reason})" for (name, qubits), reason in sorted(self.operations.items())]
        more = f" and {len(named) - MAX_NAMED_FAULTS} more" if len(named) > MAX_NAMED_FAULTS else ""
        return ", ".join(named[:MAX_NAMED_FAULTS]) + more


def faults_of(device: Any) -> Faults:
    """Find the broken parts of a device.

    An operation on k qubits is broken where its error is at least 1 - 2**-k, which is the error of replacing the qubits
    by noise (1/2 for a gate on one qubit and for the read-out, 3/4 for two qubits; devices mark broken couplers by 1);
    where its error is missing or no number although the same operation has one elsewhere on the device; or where the
    device's properties say that it is not operational. A qubit is broken where one of its gates or its read-out is, or
    where it lacks a read-out, T1 or T2 that other qubits have. A device without any calibration has no faults.
    """
    target = device.target
    errors = {name: _errors(target[name]) for name in target.operation_names}
    calibrated = {name: rates for name, rates in errors.items() if any(map(_is_rate, rates.values()))}
    operations = {
        (name, where): reason
        for name, rates in calibrated.items()
        for where, error in rates.items()
        if (reason := _reason(name, where, error))
    }
    operations |= _not_operational(device)
    qubits = {where[0]: reason for (_, where), reason in operations.items() if len(where) == 1}
    qubits |= _without_times(target)
    readable = errors.get("measure", {})
    if readable:
        qubits |= {qubit: "no read-out" for qubit in range(target.num_qubits) if (qubit,) not in readable}
    inner = {key: why for key, why in operations.items() if len(key[1]) > 1 and not qubits.keys() & set(key[1])}
    return Faults(qubits, inner, bool(calibrated))


def as_layout(layout: Any) -> str | Place:
    """Return the option `layout` of a backend, qubits as a tuple.

    Raises:
        ValueError: it is another name, or not a sequence of distinct qubits of at least 0.
    """
    if isinstance(layout, str) and layout in LAYOUTS:
        return layout
    qubits = tuple(layout) if isinstance(layout, Iterable) and not isinstance(layout, str) else ()
    valid = all(isinstance(qubit, (int, np.integer)) and not isinstance(qubit, bool) and qubit >= 0 for qubit in qubits)
    if not qubits or not valid or len(set(qubits)) != len(qubits):
        raise ValueError(
            f"Argument `layout` must be one of {', '.join(map(repr, LAYOUTS))}, or distinct qubits of the device, but "
            f"is {layout!r}."
        )
    return tuple(int(qubit) for qubit in qubits)


def require_fit(n_qubits: int, operations: Sequence[Operation], compiler: Any, faults: Faults | None) -> None:
    """Refuse a circuit that does not fit onto the working qubits and couplers of a device, in its layout.

    Args:
        n_qubits: of the circuit.
        operations: of the circuit.
        compiler: a `qml.backends.primitives.transpile.Compiler`.
        faults: of its device; None for a simulator, whose qubits are all alike.

    Raises:
        ValueError: the circuit has more qubits than the device, or than its working part; more of them act on each
            other than working couplers connect; a given layout takes broken parts.
    """
    device = compiler.device
    limit = getattr(device, "num_qubits", None)
    if limit is not None and n_qubits > limit:
        raise ValueError(
            f"Circuits for {device.name} must have at most {limit} qubits, but this one "
            f"has {n_qubits} (ancillas of post-selection and packed copies included). Take a wider device, or Native()."
        )
    if faults is None:
        return
    joined = groups(n_qubits, (op.all_qubits for op in operations))
    if faults.qubits or faults.operations:
        _require_enough_qubits(joined, n_qubits, device, faults)
    if not isinstance(compiler.layout, str):
        _require_layout(compiler.layout, n_qubits, device, faults)
        _require_couplers(compiler.layout, operations, joined, device, faults)


def mixes_couplers(device: Any) -> bool:
    """Tell whether a device has CX on some couplers and only other gates on others."""
    target = getattr(device, "target", None)
    if target is None or "cx" not in target.operation_names:
        return False
    pairs = {name: {frozenset(where) for where in _errors(target[name])} for name in target.operation_names}
    return any(len(pair) == 2 and pair not in pairs["cx"] for of_gate in pairs.values() for pair in of_gate)


def _require_enough_qubits(joined: Sequence[set[int]], n_qubits: int, device: Any, faults: Faults) -> None:
    n_working = device.target.num_qubits - len(faults.qubits)
    if n_qubits > n_working:
        raise ValueError(
            f"Circuits for {device.name} must have at most {n_working} qubits, as its calibration calls the others "
            f"broken, but this one has {n_qubits}. Broken: {faults}. Take another device, or Native()."
        )
    widest, largest = max(map(len, joined)), max(map(len, _islands(device.target, faults)))
    if widest > largest:
        raise ValueError(
            f"Circuits for {device.name} must join no more of its qubits than working couplers connect, at most "
            f"{largest}, but this one joins {widest}. Broken: {faults}. Take another device, or Native()."
        )


def _require_layout(layout: Sequence[int], n_qubits: int, device: Any, faults: Faults) -> None:
    if len(layout) != n_qubits or max(layout) >= device.target.num_qubits:
        raise ValueError(
            f"Argument `layout` must name {n_qubits} of the {device.target.num_qubits} qubits of {device.name}, one a "
            f"qubit of the circuit (ancillas and packed copies included), but is {tuple(layout)}."
        )
    for qubit in layout:
        if qubit in faults.qubits:
            raise ValueError(
                f"Argument `layout` must name working qubits of {device.name}, but its calibration calls qubit {qubit} "
                f"broken ({faults.qubits[qubit]}). {TRY_OTHERS}"
            )


def _require_couplers(
    layout: Sequence[int], operations: Iterable[Operation], joined: Sequence[set[int]], device: Any, faults: Faults
) -> None:
    """Refuse pairs on broken couplers, and qubits that act on each other where only broken couplers connect them."""
    working = set(_couplers(device.target, faults))
    for op in operations:
        pair = tuple(layout[qubit] for qubit in op.all_qubits)
        if len(pair) != 2 or working & {pair, pair[::-1]}:
            continue
        for (name, where), reason in faults.operations.items():
            if set(where) == set(pair):
                raise ValueError(
                    f"Argument `layout` must put {op.name} on a working coupler of {device.name}, but its calibration "
                    f"calls {name} on {where} broken ({reason}). {TRY_OTHERS}"
                )
    islands = _islands(device.target, faults)
    for group in joined:
        places = {layout[qubit] for qubit in group}
        if not any(places <= island for island in islands):
            raise ValueError(
                f"Argument `layout` must put qubits that act on each other where working couplers connect them, but on "
                f"{device.name} none lead from one to another of {sorted(places)}. {TRY_OTHERS}"
            )


def groups(n_qubits: int, joined: Iterable[Collection[int]]) -> list[set[int]]:
    """Return the sets of qubits that are connected, directly or by way of others."""
    group_of = {qubit: {qubit} for qubit in range(n_qubits)}
    for qubits in joined:
        merged = set().union(*(group_of[qubit] for qubit in qubits))
        group_of |= dict.fromkeys(merged, merged)
    return list({id(group): group for group in group_of.values()}.values())


def _couplers(target: Any, faults: Faults) -> list[Place]:
    """Return the pairs of qubits on which at least one gate works, in its direction."""
    places = (where for name in target.operation_names for where in _errors(target[name]) if faults.allow(name, where))
    return [where for where in places if len(where) == 2]


def _islands(target: Any, faults: Faults) -> list[set[int]]:
    """Return the sets of working qubits that working couplers connect; a device without couplers connects all."""
    if not any(len(where) == 2 for name in target.operation_names for where in _errors(target[name])):
        return [set(range(target.num_qubits)) - faults.qubits.keys()]
    return [group for group in groups(target.num_qubits, _couplers(target, faults)) if not group & faults.qubits.keys()]


def _errors(places: Any) -> dict[Place, Any]:
    """Return the error of an operation by its qubits; empty where it is the same on all qubits."""
    if places is None or None in places:
        return {}
    return {tuple(where): None if entry is None else entry.error for where, entry in places.items()}


def _is_rate(error: Any) -> bool:
    return error is not None and isfinite(error) and error >= 0.0


def _reason(name: str, where: Place, error: Any) -> str:
    """Return the reason why an operation is broken; empty where it is not."""
    kind = "read-out" if name == "measure" else name
    if not _is_rate(error):
        return f"{kind} without a calibrated error"
    return f"{kind} has error {error:.3g}" if error >= 1.0 - 0.5 ** len(where) else ""


def _without_times(target: Any) -> dict[int, str]:
    """Find the qubits without a T1 or T2 that others have."""
    by_qubit = list(target.qubit_properties or [])
    result = {}
    for name in ("t1", "t2"):
        times = [getattr(properties, name, None) for properties in by_qubit]
        good = [time is not None and isfinite(time) and time > 0.0 for time in times]
        if any(good):
            result |= {qubit: f"no {name.upper()}" for qubit, works in enumerate(good) if not works}
    return result


def _not_operational(device: Any) -> dict[tuple[str, Place], str]:
    """Find operations and qubits that the device's properties, where it has some, mark as not operational."""
    method = getattr(device, "properties", None)
    properties: Any = method() if callable(method) else None
    if properties is None or not hasattr(properties, "faulty_qubits"):
        return {}
    faulty = {(gate.gate, tuple(gate.qubits)) for gate in properties.faulty_gates()}
    faulty |= {("measure", (qubit,)) for qubit in properties.faulty_qubits()}
    return dict.fromkeys(faulty, "not operational")
