"""Layers of rotations on every qubit, each followed by entangling gates on pairs."""

from collections.abc import Iterator
from itertools import count

from circuits import _checks
from circuits.ansatzes.patterns import Pair, Pattern, pairs_of
from circuits.circuit import Circuit
from circuits.gates import Fixed, PauliRotation, Phase, UnitaryGate, XXPlusYY
from circuits.slots import weight

# name: the gate, and the number of controls among the two qubits of a pair
ENTANGLERS: dict[str, tuple[UnitaryGate, int]] = {
    "cx": (Fixed("x"), 1),
    "cy": (Fixed("y"), 1),
    "cz": (Fixed("z"), 1),
    "swap": (Fixed("swap"), 0),
    "crx": (PauliRotation("X"), 1),
    "cry": (PauliRotation("Y"), 1),
    "crz": (PauliRotation("Z"), 1),
    "cp": (Phase(), 1),
    "rxx": (PauliRotation("XX"), 0),
    "ryy": (PauliRotation("YY"), 0),
    "rzz": (PauliRotation("ZZ"), 0),
    "rzx": (PauliRotation("ZX"), 0),
    "xx_plus_yy": (XXPlusYY(), 0),
}


def hardware_efficient(
    n_qubits: int,
    n_layers: int = 1,
    *,
    rotations: str = "yz",
    entangler: str = "cx",
    pattern: Pattern = "line",
    final_rotations: bool = True,
) -> Circuit:
    """Return layers of rotations and entangling gates, any kind of either.

    Each layer rotates every qubit about the first axis of `rotations`, then every qubit about the second, and so on;
    then comes an entangling gate on each pair of the pattern. A last group of rotations follows.

    Args:
        n_qubits: number of qubits n, at least 2.
        n_layers: number of layers, at least 1.
        rotations: letters x, y and z, one group of rotations each; in front of a layer's entangling gates.
        entangler: `"cx"`, `"cy"`, `"cz"`, `"swap"` without a weight; `"crx"`, `"cry"`, `"crz"`, `"cp"`, `"rxx"`,
            `"ryy"`, `"rzz"`, `"rzx"`, `"xx_plus_yy"` with one weight each.
        pattern: a name of `circuits.ansatzes.PATTERNS` or pairs of qubits (the control first).
        final_rotations: whether rotations follow the last layer.

    Returns:
        A circuit with n len(rotations) (n_layers + 1) weights, and one more for each entangling gate with a weight
        (n len(rotations) fewer without the final rotations). They are numbered in the order of the gates, which is
        that of Qiskit's `n_local`.

    Raises:
        ValueError: unknown rotations, entanglers or patterns; one qubit alone; a qubit that the pattern leaves alone.

    Reference:
        Kandala et al., arXiv:1704.05018, equation 2; the circuit of Qiskit's `n_local`.

    Example:
        >>> hardware_efficient(4, 2, rotations="y", entangler="rzz", pattern="ring").n_weights
        20
    """
    pairs = pairs_of(pattern, n_qubits)
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    axes = _axes(rotations)
    _checks.require_choice(entangler, "entangler", tuple(ENTANGLERS))
    circuit, numbers = Circuit(n_qubits), count()
    for _ in range(n_layers):
        _rotate(circuit, axes, numbers)
        for pair in pairs:
            _entangle(circuit, entangler, pair, numbers)
    if _checks.as_flag(final_rotations, "final_rotations"):
        _rotate(circuit, axes, numbers)
    return circuit


def real_amplitudes(n_qubits: int, n_layers: int = 3, *, pattern: Pattern = "reversed_line") -> Circuit:
    """Return layers of RY and CX, whose amplitudes are real; RY on every qubit ends it.

    Args:
        n_qubits: number of qubits n, at least 2.
        n_layers: number of layers, at least 1.
        pattern: as for `hardware_efficient`.

    Returns:
        A circuit with n (n_layers + 1) weights in the order of Qiskit's `real_amplitudes`: layer by layer, qubit by
        qubit.
    """
    return hardware_efficient(n_qubits, n_layers, rotations="y", pattern=pattern)


def efficient_su2(
    n_qubits: int, n_layers: int = 3, *, rotations: str = "yz", pattern: Pattern = "reversed_line"
) -> Circuit:
    """Return layers of RY, RZ and CX; RY and RZ on every qubit end it.

    Args:
        n_qubits: number of qubits n, at least 2.
        n_layers: number of layers, at least 1.
        rotations: letters x, y and z, Qiskit's `su2_gates`.
        pattern: as for `hardware_efficient`.

    Returns:
        A circuit with n len(rotations) (n_layers + 1) weights in the order of Qiskit's `efficient_su2`: layer by layer,
        all qubits about the first axis, then all about the next.
    """
    return hardware_efficient(n_qubits, n_layers, rotations=rotations, pattern=pattern)


def basic_entangler(n_qubits: int, n_layers: int = 1, *, rotation: str = "x") -> Circuit:
    """Return layers of one rotation a qubit and a ring of CX.

    Args:
        n_qubits: number of qubits n, at least 2.
        n_layers: number of layers, at least 1.
        rotation: `"x"`, `"y"` or `"z"`.

    Returns:
        A circuit with n n_layers weights, number layer * n + qubit: PennyLane's `BasicEntanglerLayers`, its weights of
        shape (n_layers, n) flattened.
    """
    _checks.require_choice(rotation, "rotation", ("x", "y", "z"))
    return hardware_efficient(n_qubits, n_layers, rotations=rotation, pattern="ring", final_rotations=False)


def _axes(rotations: str) -> str:
    text = _checks.as_text(rotations, "rotations").lower()
    if not set(text) <= set("xyz"):
        raise ValueError(f'Argument `rotations` must be letters x, y and z such as "yz", but is {rotations!r}.')
    return text.upper()


def _rotate(circuit: Circuit, axes: str, numbers: Iterator[int]) -> None:
    for axis in axes:
        for qubit in range(circuit.n_qubits):
            circuit.pauli_rotation(weight(next(numbers)), axis, qubit)


def _entangle(circuit: Circuit, entangler: str, pair: Pair, numbers: Iterator[int]) -> None:
    gate, n_controls = ENTANGLERS[entangler]
    angles = [weight(next(numbers)) for _ in range(gate.n_angles)]
    circuit.append(gate, pair[n_controls:], controls=pair[:n_controls], angles=angles)
