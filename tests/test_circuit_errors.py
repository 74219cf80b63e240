"""What circuits refuse, and in which words: the rule, the value, the fix."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from circuits import Circuit, channels, data, weight
from circuits.gates import U3, Fixed, PauliRotation
from tests.named import CASES
from tests.strategies import random_unitary

NAN, INFINITY = float("nan"), float("inf")
NOT_UNITARY = [[1.0, 0.0], [0.0, 1.1]]

# Which message: a call with the wrong type may also be stopped earlier, by beartype in tests, which names the argument.
BAD_VALUES: dict[str, tuple[Callable[[], Any], str]] = {
    "no qubits": (lambda: Circuit(0), "`n_qubits` must be at least 1, but is 0"),
    "qubit above": (lambda: Circuit(2).x(2), r"`qubits` must lie in 0\.\.1 for a circuit of 2 qubits.*holds 2"),
    "qubit below": (lambda: Circuit(2).x(-1), r"`qubits` must lie in 0\.\.1.*holds -1"),
    "control above": (lambda: Circuit(2).cx(3, 0), r"`controls` must lie in 0\.\.1.*holds 3"),
    "qubits repeated": (lambda: Circuit(2).swap(1, 1), r"must not repeat a qubit, but is \(1, 1\)"),
    "control is target": (lambda: Circuit(2).cx(1, 1), r"must not repeat a qubit, but is \(1, 1\)"),
    "controls repeated": (lambda: Circuit(3).x(0, controls=(1, 1)), r"`controls` must not repeat a qubit"),
    "NaN angle": (lambda: Circuit(1).rx(NAN, 0), "`angle` must be finite, but is nan"),
    "infinite angle": (lambda: Circuit(1).p(INFINITY, 0), "`angle` must be finite, but is inf"),
    "not unitary": (lambda: Circuit(1).unitary(NOT_UNITARY, 0), r"`matrix` must be unitary.*differs from 1 by 0\.21"),
    "matrix too large": (lambda: Circuit(2).unitary(np.eye(4), 0), r"shape \(2, 2\) on 1 qubits.*has shape \(4, 4\)"),
    "matrix too small": (lambda: Circuit(2).unitary(np.eye(2), (0, 1)), r"shape \(4, 4\) on 2 qubits.*\(2, 2\)"),
    "NaN in matrix": (lambda: Circuit(1).unitary(np.full((2, 2), NAN), 0), "`matrix` must be finite"),
    "string length": (lambda: Circuit(3).pauli_rotation(0.1, "XY", 0), "must hold 2 qubits for gate rxy, but holds 1"),
    "unknown letter": (lambda: Circuit(2).pauli_rotation(0.1, "XA", (0, 1)), "string over I, X, Y, Z, but is 'XA'"),
    "empty string": (lambda: Circuit(2).exp_pauli(0.1, "", ()), "must be a non-empty string over I, X, Y, Z"),
    "norm": (lambda: Circuit(1).prepare([1.0, 1.0]), r"must have norm 1, but has norm 1\.41421"),
    "number of amplitudes": (lambda: Circuit(2).prepare([1.0, 0.0]), r"shape \(4,\) on 2 qubits.*has shape \(2,\)"),
    "NaN amplitude": (lambda: Circuit(1).prepare([NAN, 0.0]), "`amplitudes` must be finite"),
    "number of amplitude slots": (
        lambda: Circuit(1).prepare_slots([data(0), data(1), data(2)]),
        r"`slots` must hold 2 \(real\) or 4 \(complex\) slots for 1 qubits, but holds 3",
    ),
    "amplitudes from weights": (lambda: Circuit(1).prepare_slots([weight(0), data(0)]), "must hold data slots only"),
    "preparation of used qubits": (
        lambda: Circuit(2).h(1).prepare([1.0, 0.0], 1),
        r"still \|0>, but qubits \[1\] already have operations",
    ),
    "preparation of a control": (lambda: Circuit(2).cx(0, 1).prepare([1.0, 0.0], 0), r"qubits \[0\] already have"),
    "post-selected value": (lambda: Circuit(1).post_select(0, 2), "`value` must be 0 or 1, but is 2"),
    "negative bit": (lambda: Circuit(1).measure(0, bit=-1), "`bit` must be at least 0, but is -1"),
    "probability above 1": (
        lambda: channels.depolarizing(1.2),
        r"`probability` must be a number in \[0, 1\], but is 1\.2",
    ),
    "negative probability": (lambda: channels.amplitude_damping(-0.1), r"`gamma` must be a number in \[0, 1\]"),
    "NaN probability": (lambda: channels.bit_flip(NAN), "must be finite"),
    "channel on the wrong number of qubits": (
        lambda: Circuit(2).noise(channels.bit_flip(0.1), (0, 1)),
        "must hold 1 qubits for gate channel, but holds 2",
    ),
    "Kraus operators lose the trace": (
        lambda: Circuit(1).kraus([np.eye(2) * 0.9], 0),
        r"preserve the trace, but sum K\^dagger K differs from 1 by 0\.19",
    ),
    "Kraus operators not square": (lambda: channels.kraus(np.ones((2, 2, 4))), r"shape \(operators, 2\*\*n, 2\*\*n\)"),
    "Kraus operators of side 3": (lambda: channels.kraus(np.eye(3)[None]), r"has shape \(1, 3, 3\)"),
    "NaN in Kraus operators": (lambda: channels.kraus(np.full((1, 2, 2), NAN)), "`operators` must be finite"),
    "too few data": (lambda: CASES["one_qubit"].circuit.bind([0.1], [0.2]), r"`data` must have shape \(2,\).*\(1,\)"),
    "a batch of data": (
        lambda: CASES["one_qubit"].circuit.bind([[0.1, 0.2]], [0.2]),
        r"`data` must have shape \(2,\), but has shape \(1, 2\)",
    ),
    "too many weights": (
        lambda: CASES["one_qubit"].circuit.bind([0.1, 0.2], [0.2, 0.3]),
        r"`weights` must have shape \(1,\), but has shape \(2,\)",
    ),
    "NaN bound": (lambda: CASES["one_qubit"].circuit.bind([0.1, NAN], [0.2]), "must be finite, but is nan"),
    "norm of bound amplitudes": (
        lambda: Circuit(1).prepare_slots([data(0), data(1)]).bind([1.0, 1.0]),
        r"must have norm 1, but has norm 1\.41421",
    ),
    "composed too wide": (lambda: Circuit(1).compose(Circuit(2)), r"`qubits` must lie in 0\.\.0.*holds 1"),
    "composed on too few": (lambda: Circuit(3).compose(Circuit(2), [1]), "must hold 2 qubits.*holds 1"),
    "composed on one twice": (lambda: Circuit(3).compose(Circuit(2), [1, 1]), "must not repeat a qubit"),
    "matrix of a slot": (Circuit(1).rx(data(0), 0).operations[0].matrix, r"unfilled slot data\(0\)"),
    "matrix of a reset": (
        Circuit(1).reset(0).operations[0].matrix,
        "must be a unitary gate to have a matrix",
    ),
    "inverse of a reset": (lambda: Circuit(1).reset(0).inverse(), "inverse must find only unitary gates"),
    "inverse of a channel": (lambda: Circuit(1).noise(channels.bit_flip(0.1), 0).inverse(), "only unitary gates"),
    "inverse of a preparation": (lambda: Circuit(1).prepare([1.0, 0.0]).inverse(), "only unitary gates"),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_bad_value_is_refused(name: str) -> None:
    act, message = BAD_VALUES[name]
    with pytest.raises(ValueError, match=message):
        act()


BAD_TYPES: dict[str, tuple[Callable[[], Any], str]] = {
    "fractional number of qubits": (lambda: Circuit(2.0), "n_qubits"),  # pyright: ignore[reportArgumentType]
    "truth value as a number of qubits": (lambda: Circuit(True), "n_qubits"),
    "truth value as a qubit": (lambda: Circuit(2).x(True), "qubit"),
    "fractional qubit": (lambda: Circuit(2).x(0.0), "qubit"),  # pyright: ignore[reportArgumentType]
    "text as an angle": (lambda: Circuit(1).rx("0.1", 0), "angle"),  # pyright: ignore[reportArgumentType]
    "complex angle": (lambda: Circuit(1).rx(1j, 0), "angle"),  # pyright: ignore[reportArgumentType]
    "number as a Pauli string": (lambda: Circuit(1).pauli_rotation(0.1, 3, 0), "pauli"),  # pyright: ignore[reportArgumentType]
    "no channel": (lambda: Circuit(1).noise("bit_flip", 0), "channel"),  # pyright: ignore[reportArgumentType]
    "truth value as a slot number": (lambda: data(True), "index"),
}


@pytest.mark.parametrize("name", BAD_TYPES)
def test_bad_type_is_refused(name: str) -> None:
    act, argument = BAD_TYPES[name]
    # beartype, which runs in tests only, raises an error of its own; both name the argument.
    with pytest.raises(Exception, match=argument) as caught:
        act()
    assert isinstance(caught.value, TypeError) or "TypeCheckError" in type(caught.value).__name__


@pytest.mark.parametrize("kind", ["reset", "measure", "post_select", "prepare", "channel"])
def test_controls_are_refused_where_nothing_is_unitary(kind: str) -> None:
    sources = {
        "reset": Circuit(1).reset(0),
        "measure": Circuit(1).measure(0),
        "post_select": Circuit(1).post_select(0, 1),
        "prepare": Circuit(1).prepare([1.0, 0.0]),
        "channel": Circuit(1).noise(channels.bit_flip(0.1), 0),
    }
    gate = sources[kind].operations[0].gate
    with pytest.raises(ValueError, match=f"`controls` must be empty for `{kind}`, but is \\(1,\\)"):
        Circuit(2).append(gate, 0, controls=1)


@pytest.mark.parametrize(
    ("gate", "qubits", "angles", "message"),
    [
        (U3(), 0, (0.1, 0.2), "must hold 3 angles for gate u3, but holds 2"),
        (Fixed("x"), 0, (0.1,), "must hold 0 angles for gate x, but holds 1"),
        (Fixed("swap"), 0, (), "must hold 2 qubits for gate swap, but holds 1"),
        (PauliRotation("XX"), (0, 1), (), "must hold 1 angles for gate rxx, but holds 0"),
    ],
)
def test_wrong_numbers_of_qubits_and_angles_are_refused(gate: Any, qubits: Any, angles: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Circuit(2).append(gate, qubits, angles=angles)


def test_a_refused_operation_leaves_the_circuit_as_it_was() -> None:
    circuit = Circuit(2).h(0)
    before = circuit.operations
    for act in (lambda: circuit.x(5), lambda: circuit.rx(NAN, 0), lambda: circuit.prepare([1.0, 0.0], 0)):
        with pytest.raises(ValueError, match="must"):
            act()
    assert circuit.operations == before


def test_a_matrix_of_float32_rounding_is_taken() -> None:
    matrix = random_unitary(4, np.random.default_rng(1)).astype(np.complex64)
    assert len(Circuit(2).unitary(matrix, (0, 1))) == 1
