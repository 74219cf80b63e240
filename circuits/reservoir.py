"""Rings of onion quantum reservoirs: one step with fed-back measurements, and steps of a register that persists.

Reference:
    "Onion quantum reservoirs", arXiv:2505.22837. The step with fed-back measurements is the authors'; the persistent
    ring has the paper's idea (qubits that are measured and reset each step set the memory) with gates of our own.
"""

from collections.abc import Sequence
from itertools import combinations

from circuits import _checks
from circuits.circuit import Circuit
from circuits.gates import Channel
from circuits.observables import Observable, pauli_string
from circuits.slots import Slot, data, weight


def feedback_ring(n_qubits: int, n_inputs: int = 1, *, noise: Channel | None = None) -> Circuit:
    """Return one step of a ring that starts from |0...0> and takes the outcomes of the step before.

    With input angles u and measured angles y: block 1 is RY(u_i) on qubit i < n_inputs, RY(y_{i - n_inputs}) on the
    others, then CX on every pair i < j, in lexicographic order, with control i. Blocks 2 and 3 are RY(y_i) on every
    qubit, the same CX, and RY(y_i) on every qubit.

    Args:
        n_qubits: n, at least 1.
        n_inputs: numbers that come in at each step, at most n.
        noise: a channel on one qubit, applied to every qubit after every layer of rotations or CX.

    Returns:
        A circuit with n_inputs + n data slots: the angles u (s b x for an input x), then the angles y (b y_i).
    """
    _checks.as_int(n_qubits, "n_qubits", minimum=1)
    _require_inputs(n_inputs, n_qubits)
    measured = [data(n_inputs + qubit) for qubit in range(n_qubits)]
    first = [data(k) for k in range(n_inputs)] + measured[: n_qubits - n_inputs]
    circuit = Circuit(n_qubits)
    _rotations(circuit, first, noise)
    _all_pairs(circuit, noise)
    for _ in range(2):
        _rotations(circuit, measured, noise)
        _all_pairs(circuit, noise)
        _rotations(circuit, measured, noise)
    return circuit


def persistent_layer(n_qubits: int, layer: int, *, noise: Channel | None = None) -> Circuit:
    """Return RY on every qubit and controlled RY on every pair: n (n + 1) / 2 weights from slot 0 on.

    Even layers turn the higher qubit of a pair under control of the lower one, odd layers the other way round. All
    gates are real. With weights near 0 the register hardly mixes, and its inputs stay.

    Args:
        n_qubits: size of the ring.
        layer: number of the layer.
        noise: a channel on one qubit, applied to every qubit at the end.
    """
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(weight(qubit), qubit)
    for index, pair in enumerate(combinations(range(n_qubits), 2)):
        control, target = pair if layer % 2 == 0 else pair[::-1]
        circuit.ry(weight(n_qubits + index), target, controls=control)
    return _with_noise(circuit, noise)


def persistent_series(
    n_qubits: int, n_measured: int, n_steps: int, *, n_layers: int = 2, noise: Channel | None = None
) -> Circuit:
    """Return a whole series on one register: at each step RY on the measured qubits, the layers, measurement, reset.

    Qubits 0..n_measured-1 take the input, are measured and reset; the others keep the past.

    Args:
        n_qubits: size of the ring.
        n_measured: how many qubits are measured and reset.
        n_steps: length of the series, at least 1.
        n_layers: layers of a step.
        noise: a channel on one qubit, applied to every qubit after every layer.

    Returns:
        A circuit with n_steps * n_measured data slots (the input angles, step by step), n_layers * n (n + 1) / 2 weight
        slots, the same at every step, and n_steps * n_measured classical bits in the order of the data slots.
    """
    _require_measured(n_measured, n_qubits)
    _checks.as_int(n_steps, "n_steps", minimum=1)
    _checks.as_int(n_layers, "n_layers", minimum=1)
    step = Circuit(n_qubits)
    for layer in range(n_layers):
        single = persistent_layer(n_qubits, layer, noise=noise)
        _append(step, single, range(n_qubits), n_weights=layer * single.n_weights)
    circuit = Circuit(n_qubits)
    for number in range(n_steps):
        for qubit in range(n_measured):
            circuit.ry(data(number * n_measured + qubit), qubit)
        _append(circuit, step, range(n_qubits))
        for qubit in range(n_measured):
            circuit.measure(qubit)
            if number + 1 < n_steps:
                circuit.reset(qubit)
    return circuit


def side_by_side(circuits: Sequence[Circuit]) -> Circuit:
    """Put independent circuits on one wide register, the first on the first qubits, slots one behind the other."""
    if not circuits:
        raise ValueError("Argument `circuits` must hold at least one circuit, but is empty.")
    wide = Circuit(sum(circuit.n_qubits for circuit in circuits))
    start = n_data = n_weights = 0
    for circuit in circuits:
        places = range(start, start + circuit.n_qubits)
        _append(wide, circuit, places, n_data=n_data, n_weights=n_weights)
        start, n_data, n_weights = start + circuit.n_qubits, n_data + circuit.n_data, n_weights + circuit.n_weights
    return wide


def correlators(n_qubits: int, order: int = 2, *, first: int = 0) -> list[Observable]:
    """Return all products of Z on 1 to `order` of `n_qubits` qubits from `first` on: single ones first, then pairs."""
    qubits = range(first, first + n_qubits)
    subsets = [subset for size in range(1, order + 1) for subset in combinations(qubits, size)]
    return [pauli_string("Z" * len(subset), subset) for subset in subsets]


def _rotations(circuit: Circuit, angles: Sequence[Slot], noise: Channel | None) -> None:
    for qubit, angle in enumerate(angles):
        circuit.ry(angle, qubit)
    _with_noise(circuit, noise)


def _all_pairs(circuit: Circuit, noise: Channel | None) -> None:
    for control, target in combinations(range(circuit.n_qubits), 2):
        circuit.cx(control, target)
    _with_noise(circuit, noise)


def _with_noise(circuit: Circuit, noise: Channel | None) -> Circuit:
    if noise is not None:
        for qubit in range(circuit.n_qubits):
            circuit.noise(noise, qubit)
    return circuit


def _append(circuit: Circuit, other: Circuit, places: Sequence[int], *, n_data: int = 0, n_weights: int = 0) -> None:
    """Append `other` on `places`, its slots renumbered to follow those that are there."""
    shift = {"data": n_data, "weight": n_weights}
    n_bits = circuit.n_bits
    for operation in other.operations:
        angles = [
            Slot(angle.kind, angle.index + shift[angle.kind]) if isinstance(angle, Slot) else angle
            for angle in operation.angles
        ]
        targets, controls = ([places[q] for q in group] for group in (operation.qubits, operation.controls))
        if operation.gate.name == "measure":
            circuit.measure(targets[0], bit=n_bits + operation.gate.bit)  # pyright: ignore[reportAttributeAccessIssue]
        else:
            circuit.append(operation.gate, targets, controls=controls, angles=angles)


def _require_inputs(n_inputs: int, n_qubits: int) -> None:
    _checks.as_int(n_inputs, "n_inputs", minimum=1)
    if n_inputs > n_qubits:
        raise ValueError(
            f"Argument `n_inputs` must be at most the ring's {n_qubits} qubits, but is {n_inputs}. Use more qubits."
        )


def _require_measured(n_measured: int, n_qubits: int) -> None:
    _checks.as_int(n_qubits, "n_qubits", minimum=1)
    _checks.as_int(n_measured, "n_measured", minimum=1)
    if n_measured > n_qubits:
        raise ValueError(
            f"Argument `n_measured` must be at most the {n_qubits} qubits of the ring, but is {n_measured}."
        )
