"""Gates under many controls as gates under one or two, for file formats that have no others.

Reference:
    Barenco et al., "Elementary gates for quantum computation", arXiv:quant-ph/9503016: lemma 7.5 for phases, with
    square roots of the phase; lemmas 7.2 and 7.3 for X gates that borrow qubits in any state. The number of gates grows
    with the square of the number of controls, and no qubit is added.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from circuits import gates
from circuits.operation import Operation

X, Z, H, SWAP = (gates.Fixed(name) for name in ("x", "z", "h", "swap"))
PHASES = {"z": np.pi, "s": np.pi / 2, "sdg": -np.pi / 2, "t": np.pi / 4, "tdg": -np.pi / 4}
MOST = {"x": 2, "y": 1, "z": 1, "h": 1, "swap": -1}  # controls of a gate that stays as it is
BASES = {"X": (gates.Fixed("h"), ()), "Y": (gates.PauliRotation("X"), (np.pi / 2,))}  # to Z, and back by its inverse


def with_few_controls(op: Operation) -> Iterator[Operation]:
    """Yield gates with the same unitary: X under at most two controls; Y, Z, H, P and RZ under at most one; rotations.

    No SWAP and no rotation about XX or ZZ is among them, as the first library of OpenQASM 2 lacks those.

    Args:
        op: an elementary gate of constants: fixed, P, or a rotation; or a constant one without controls.
    """
    gate, controls = op.gate, op.controls
    most = MOST.get(gate.name, 0) if isinstance(gate, gates.Fixed) else int(isinstance(gate, gates.Phase))
    if isinstance(gate, gates.PauliRotation):
        yield from _rotation(op, gate)
    elif len(controls) <= most:
        yield op
    elif isinstance(gate, gates.Phase):
        (angle,) = op.angles
        yield from _phase(float(angle), controls, op.qubits[0])  # pyright: ignore[reportArgumentType]
    elif gate.name in PHASES:
        yield from _phase(PHASES[gate.name], controls, op.qubits[0])
    else:
        yield from _fixed(gate.name, controls, op.qubits)


def _fixed(name: str, controls: tuple[int, ...], qubits: tuple[int, ...]) -> Iterator[Operation]:
    target = qubits[-1:]
    if name == "swap":
        outer = Operation(X, qubits[:1], target)
        yield outer
        yield from with_few_controls(Operation(X, target, (*controls, qubits[0])))
        yield outer
        return
    before = {
        "x": Operation(H, target),
        "y": Operation(gates.Fixed("sdg"), target),
        "h": Operation(gates.PauliRotation("Y"), target, (), (-np.pi / 4,)),
    }[name]
    yield before
    inner = Operation(X if name == "y" else Z, target, controls)
    yield from with_few_controls(inner)
    yield from before.inverse()


def _rotation(op: Operation, gate: gates.PauliRotation) -> Iterator[Operation]:
    """Yield a rotation, where need be as a change of basis around one about Z, or around phases."""
    angle = -2.0 * gate.factor * float(op.angles[0])  # pyright: ignore[reportArgumentType]
    pairs = [(letter, qubit) for letter, qubit in zip(gate.pauli, op.qubits, strict=True) if letter != "I"]
    letters, n_controls = "".join(letter for letter, _ in pairs), len(op.controls)
    if (n_controls == 0 and letters not in ("XX", "ZZ")) or (n_controls == 1 and letters == "Z"):
        yield op
        return
    if not pairs:
        yield from _phase(-angle / 2, op.controls[:-1], op.controls[-1])
        return
    change = [Operation(BASES[letter][0], (qubit,), (), BASES[letter][1]) for letter, qubit in pairs if letter != "Z"]
    qubits = [qubit for _, qubit in pairs]
    change += [Operation(X, (lower,), (upper,)) for upper, lower in pairwise(qubits)]
    yield from change
    if n_controls <= 1:
        yield Operation(gates.PauliRotation("Z"), (qubits[-1],), op.controls, (angle,))
    else:
        yield from _phase(angle, op.controls, qubits[-1])
        yield from _phase(-angle / 2, op.controls[:-1], op.controls[-1])
    yield from (inverse for part in reversed(change) for inverse in part.inverse())


def _phase(angle: float, controls: Sequence[int], target: int) -> Iterator[Operation]:
    """Yield exp(i angle) on the state in which all controls and the target are 1."""
    controls = tuple(controls)
    while len(controls) > 1:
        angle /= 2
        *others, last = controls
        for sign in (1.0, -1.0):
            yield Operation(gates.Phase(), (target,), (last,), (sign * angle,))
            yield from _toffoli(others, last, [target])
        controls = tuple(others)
    yield Operation(gates.Phase(), (target,), controls, (angle,))


def _toffoli(controls: Sequence[int], target: int, borrowed: Sequence[int]) -> Iterator[Operation]:
    """Yield X under any number of controls, by borrowed qubits that are given back as they were."""
    count = len(controls)
    if count <= 2:
        yield Operation(X, (target,), tuple(controls))
    elif len(borrowed) < count - 2:
        half = (count + 1) // 2
        first, second = list(controls[:half]), [*controls[half:], borrowed[0]]
        for _ in range(2):
            yield from _toffoli(first, borrowed[0], [*controls[half:], target])
            yield from _toffoli(second, target, first)
    else:
        chain = [target, *borrowed[: count - 2][::-1]]
        ladder = [Operation(X, (chain[k],), (controls[count - 1 - k], chain[k + 1])) for k in range(count - 2)]
        core = Operation(X, (chain[-1],), tuple(controls[:2]))
        yield from (*ladder, core, *reversed(ladder))
        yield from (*ladder[1:], core, *reversed(ladder[1:]))
