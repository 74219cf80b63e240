"""Ansatzes against their namesakes in PennyLane and Qiskit: the same unitary at the same weights, in their order."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pennylane
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import library
from qiskit.quantum_info import Operator, SparsePauliOp

from circuits import Circuit, Y, Z, ansatzes, data, weight
from circuits.ansatzes import PATTERNS, pairs_of
from qml.backends.convert.qiskit import reverse_qubits
from tests import oracle
from tests.helpers import assert_close

ALGEBRA = 1e-12  # a few hundred products in float64
QISKIT_PATTERNS = {
    "line": "linear",
    "reversed_line": "reverse_linear",
    "closed_line": "circular",
    "all": "full",
    "pairs": "pairwise",
}
SIZES = [(2, 1), (3, 2), (4, 3), (5, 2)]


def weights_of(circuit: Circuit) -> np.ndarray:
    return np.random.default_rng(len(circuit)).uniform(-np.pi, np.pi, circuit.n_weights)


def check(circuit: Circuit, namesake: Callable[..., Any], *inputs: np.ndarray) -> None:
    """Compare with a function of weights (and data) that queues PennyLane's gates or returns a Qiskit circuit."""
    weights = weights_of(circuit)
    expected = matrix_of(namesake, circuit.n_qubits, weights, *inputs)
    assert_close(oracle.unitary_of(circuit, *inputs, weights=weights), expected, ALGEBRA)


def matrix_of(namesake: Callable[..., Any], n_qubits: int, *values: np.ndarray) -> np.ndarray:
    with pennylane.queuing.AnnotatedQueue() as queue:
        built = namesake(*values)
    if isinstance(built, QuantumCircuit):
        matrix = Operator(built).data
        return reverse_qubits(reverse_qubits(matrix, axis=0), axis=1)
    tape = pennylane.tape.QuantumScript.from_queue(queue)
    return pennylane.matrix(tape, wire_order=range(n_qubits))


def bound(circuit: QuantumCircuit, weights: np.ndarray) -> QuantumCircuit:
    return circuit.assign_parameters(weights)


# --- layers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5])
def test_a_pattern_joins_the_pairs_that_qiskit_joins(pattern: str, n_qubits: int) -> None:
    pairs = pairs_of(pattern, n_qubits)
    assert {qubit for pair in pairs for qubit in pair} == set(range(n_qubits))
    if pattern == "ring":
        line = pairs_of("line", n_qubits)
        assert pairs == (*line, *([(n_qubits - 1, 0)] if n_qubits > 2 else []))
        return
    for gate in ("cx", "crz"):
        circuit = ansatzes.hardware_efficient(n_qubits, 2, rotations="yx", entangler=gate, pattern=pattern)
        entanglement = QISKIT_PATTERNS[pattern]
        check(circuit, lambda w, g=gate, e=entanglement: bound(library.n_local(n_qubits, ["ry", "rx"], g, e, 2), w))


@pytest.mark.parametrize("entangler", sorted(set(ansatzes.ENTANGLERS) - {"xx_plus_yy"}))
def test_every_entangler_is_that_of_n_local(entangler: str) -> None:
    for is_final in (True, False):
        circuit = ansatzes.hardware_efficient(
            3, 2, rotations="xzy", entangler=entangler, pattern="all", final_rotations=is_final
        )
        namesake = library.n_local(3, ["rx", "rz", "ry"], entangler, "full", 2, skip_final_rotation_layer=not is_final)
        assert circuit.n_weights == namesake.num_parameters
        check(circuit, lambda w, qiskit=namesake: bound(qiskit, w))


def test_the_exchange_entangler_and_given_pairs() -> None:
    circuit = ansatzes.hardware_efficient(3, rotations="Z", entangler="xx_plus_yy", pattern=[(2, 0), (1, 2)])
    expected = Circuit(3).rz(weight(0), 0).rz(weight(1), 1).rz(weight(2), 2)
    expected.xx_plus_yy(weight(3), 2, 0).xx_plus_yy(weight(4), 1, 2)
    assert circuit == expected.rz(weight(5), 0).rz(weight(6), 1).rz(weight(7), 2)


@pytest.mark.parametrize(("n_qubits", "n_layers"), SIZES)
def test_qiskits_library_circuits(n_qubits: int, n_layers: int) -> None:
    real = ansatzes.real_amplitudes(n_qubits, n_layers)
    assert real.n_weights == n_qubits * (n_layers + 1)
    check(real, lambda w: bound(library.real_amplitudes(n_qubits, reps=n_layers), w))
    su2 = ansatzes.efficient_su2(n_qubits, n_layers, pattern="closed_line")
    assert su2.n_weights == 2 * n_qubits * (n_layers + 1)
    check(su2, lambda w: bound(library.efficient_su2(n_qubits, entanglement="circular", reps=n_layers), w))
    other = ansatzes.efficient_su2(n_qubits, n_layers, rotations="xzy")
    check(other, lambda w: bound(library.efficient_su2(n_qubits, ["rx", "rz", "ry"], reps=n_layers), w))


def test_defaults_are_those_of_qiskit() -> None:
    check(ansatzes.real_amplitudes(4), lambda w: bound(library.real_amplitudes(4), w))
    check(ansatzes.efficient_su2(3), lambda w: bound(library.efficient_su2(3), w))


@pytest.mark.parametrize(("n_qubits", "n_layers"), SIZES)
def test_pennylanes_layers(n_qubits: int, n_layers: int) -> None:
    for axis, gate in (("x", pennylane.RX), ("y", pennylane.RY), ("z", pennylane.RZ)):
        circuit = ansatzes.basic_entangler(n_qubits, n_layers, rotation=axis)
        assert circuit.n_weights == n_layers * n_qubits
        check(
            circuit,
            lambda w, g=gate: pennylane.BasicEntanglerLayers(
                w.reshape(n_layers, n_qubits), range(n_qubits), rotation=g
            ),
        )
    shape = (n_layers, n_qubits, 3)
    strong = ansatzes.strongly_entangling(n_qubits, n_layers)
    assert strong.n_weights == np.prod(shape)
    check(strong, lambda w: pennylane.StronglyEntanglingLayers(w.reshape(shape), range(n_qubits)))
    ranges = [n_qubits + 1] * n_layers
    other = ansatzes.strongly_entangling(n_qubits, n_layers, entangler="cz", ranges=ranges)
    check(
        other,
        lambda w: pennylane.StronglyEntanglingLayers(w.reshape(shape), range(n_qubits), ranges, pennylane.CZ),
    )


@pytest.mark.parametrize(("n_qubits", "n_layers"), SIZES)
def test_the_simplified_two_design(n_qubits: int, n_layers: int) -> None:
    circuit = ansatzes.simplified_two_design(n_qubits, n_layers)
    assert circuit.n_weights == n_qubits + 2 * (n_qubits - 1) * n_layers
    check(
        circuit,
        lambda w: pennylane.SimplifiedTwoDesign(
            w[:n_qubits], w[n_qubits:].reshape(n_layers, n_qubits - 1, 2), range(n_qubits)
        ),
    )


# --- blocks ----------------------------------------------------------------------------------------------------------


def general(weights: np.ndarray, wires: tuple[int, int]) -> None:
    """Queue any unitary on two wires by the gates of PennyLane."""
    for wire, start in ((0, 0), (1, 3), (0, 9), (1, 12)):
        if start == 9:
            pennylane.IsingXX(weights[6], wires)
            pennylane.IsingYY(weights[7], wires)
            pennylane.IsingZZ(weights[8], wires)
        pennylane.Rot(*weights[start : start + 3], wires[wire])


@pytest.mark.parametrize(
    ("n_qubits", "n_layers", "is_periodic"), [(2, 2, True), (3, 2, False), (4, 1, True), (5, 1, False)]
)
def test_brickwork_is_made_of_blocks(n_qubits: int, n_layers: int, *, is_periodic: bool) -> None:
    circuit = ansatzes.brickwork(n_qubits, n_layers, is_periodic=is_periodic)
    pairs = [*pairwise(range(n_qubits))][::2] + [*pairwise(range(n_qubits))][1::2]
    pairs += [(n_qubits - 1, 0)] if is_periodic and n_qubits > 2 else []
    assert circuit.n_weights == 15 * len(pairs) * n_layers

    def namesake(weights: np.ndarray) -> None:
        for row, pair in zip(weights.reshape(-1, 15), pairs * n_layers, strict=True):
            general(row, pair)

    check(circuit, namesake)


def test_the_general_block_reaches_any_unitary_to_first_order() -> None:
    block, start = ansatzes.general_block(), np.full(15, 0.3) + np.arange(15) / 7
    base = oracle.unitary_of(block, weights=start)
    directions = [
        (oracle.unitary_of(block, weights=start + 1e-6 * np.eye(15)[k]) - base) @ base.conj().T * 1e6 for k in range(15)
    ]
    rank = np.linalg.matrix_rank([[*step.real.ravel(), *step.imag.ravel()] for step in directions], tol=1e-3)
    assert rank == 15


def qiskit_convolution(weights: np.ndarray, circuit: QuantumCircuit, first: int, second: int) -> None:
    """Append the convolution of Qiskit Machine Learning's tutorial."""
    qiskit_pooling(weights, circuit, first, second)
    circuit.cx(second, first)
    circuit.rz(np.pi / 2, first)


def qiskit_pooling(weights: np.ndarray, circuit: QuantumCircuit, first: int, second: int) -> None:
    circuit.rz(-np.pi / 2, second)
    circuit.cx(second, first)
    circuit.rz(weights[0], first)
    circuit.ry(weights[1], second)
    circuit.cx(first, second)
    circuit.ry(weights[2], second)


def qiskit_qcnn(n_qubits: int, weights: np.ndarray) -> QuantumCircuit:
    circuit, rows, qubits = QuantumCircuit(n_qubits), iter(weights.reshape(-1, 3)), list(range(n_qubits))
    while len(qubits) > 1:
        for first, second in [
            *zip(qubits[::2], qubits[1::2], strict=True),
            *zip(qubits[1::2], [*qubits[2::2], qubits[0]], strict=True),
        ]:
            qiskit_convolution(next(rows), circuit, first, second)
        half = len(qubits) // 2
        for first, second in zip(qubits[:half], qubits[half:], strict=True):
            qiskit_pooling(next(rows), circuit, first, second)
        qubits = qubits[half:]
    assert next(rows, None) is None
    return circuit


@pytest.mark.parametrize("n_qubits", [2, 4, 8])
def test_the_qcnn_is_that_of_qiskits_tutorial(n_qubits: int) -> None:
    circuit = ansatzes.qcnn(n_qubits)
    check(circuit, lambda w: qiskit_qcnn(n_qubits, w))
    assert n_qubits != 8 or circuit.n_weights == 63


def test_shared_convolutions_have_the_weights_of_one_block() -> None:
    shared, own = ansatzes.convolution(5, is_shared=True), ansatzes.convolution(5)
    assert (shared.n_weights, own.n_weights) == (3, 15)
    weights = np.array([0.3, -0.5, 1.1])
    assert_close(
        oracle.unitary_of(shared, weights=weights), oracle.unitary_of(own, weights=np.tile(weights, 5)), ALGEBRA
    )
    assert [ansatzes.qcnn(8, is_shared=True).n_weights, ansatzes.qcnn(6, n_kept=3).n_weights] == [18, 27]
    block = Circuit(2).ry(weight(0), 1, controls=0)
    pooled = ansatzes.pooling(6, block=block)
    assert [(op.controls, op.qubits) for op in pooled] == [((0,), (3,)), ((1,), (4,)), ((2,), (5,))]


def tree_block(weights: np.ndarray, wires: Any) -> None:
    pennylane.RY(weights[0], wires=wires[0])
    pennylane.RY(weights[1], wires=wires[1])
    pennylane.CNOT(wires=[wires[0], wires[1]])


@pytest.mark.parametrize(
    ("name", "template", "sizes"),
    [
        ("tree_tensor_network", pennylane.TTN, (2, 4, 8)),
        ("mera", pennylane.MERA, (2, 4, 8)),
        ("matrix_product_state", pennylane.MPS, (2, 3, 4, 5)),
    ],
)
def test_tensor_networks_are_those_of_pennylane(name: str, template: Any, sizes: tuple[int, ...]) -> None:
    for n_qubits in sizes:
        circuit = getattr(ansatzes, name)(n_qubits)
        assert circuit.n_weights == 2 * template.get_n_blocks(range(n_qubits), 2)
        check(circuit, lambda w, n=n_qubits: template(range(n), 2, tree_block, 2, w.reshape(-1, 2)))


def test_the_binary_tree_is_written_out_on_four_qubits() -> None:
    expected = Circuit(4)
    for qubit in range(4):
        expected.ry(weight(qubit), qubit)
    expected.cx(1, 0).cx(3, 2).ry(weight(4), 0).ry(weight(5), 2).cx(2, 0).ry(weight(6), 0)
    assert ansatzes.binary_tree(4) == expected
    assert ansatzes.binary_tree(2) == Circuit(2).ry(weight(0), 0).ry(weight(1), 1).cx(1, 0).ry(weight(2), 0)


# --- commuting and alternating gates ---------------------------------------------------------------------------------


@pytest.mark.parametrize("subsets", [None, [(2,), (0, 1, 2), (2, 0)]])
def test_iqp_circuits(subsets: Any) -> None:
    circuit = ansatzes.iqp(3, subsets=subsets)
    default = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    pattern = [[list(subset)] for subset in subsets or default]
    check(circuit, lambda w: pennylane.IQP(w / 2, 3, pattern, spin_sym=False))
    assert ansatzes.iqp(1) == Circuit(1).h(0).rz(weight(0), 0).h(0)


def test_qaoa_is_that_of_qiskit() -> None:
    cost = 0.7 * (Z(0) @ Z(2)) - 0.4 * Z(1) + 1.5 * (Z(1) @ Z(2)) + 0.3
    # Qiskit's strings read the last qubit first; its constant term is a global phase.
    namesake = library.qaoa_ansatz(SparsePauliOp(["ZIZ", "IZI", "ZZI"], [0.7, -0.4, 1.5]), reps=2)
    circuit = ansatzes.qaoa(3, cost, 2)
    values = {"γ[0]": 0, "β[0]": 1, "γ[1]": 2, "β[1]": 3}
    check(circuit, lambda w: namesake.assign_parameters({name: w[k] for name, k in values.items()}))


@pytest.mark.parametrize(("n_qubits", "n_layers", "n_inputs"), [(2, 1, 2), (2, 2, 1), (3, 2, 3), (4, 1, 2), (5, 2, 4)])
def test_the_qaoa_embedding(n_qubits: int, n_layers: int, n_inputs: int) -> None:
    shape = pennylane.QAOAEmbedding.shape(n_layers, n_qubits)
    for axis in "xyz":
        circuit = ansatzes.qaoa_embedding(n_qubits, n_layers, n_inputs=n_inputs, rotation=axis)
        assert (circuit.n_data, circuit.n_weights) == (n_inputs, np.prod(shape))
        inputs, weights = np.linspace(-1, 2, n_inputs), weights_of(circuit)
        expected = matrix_of(
            lambda w, x=inputs, a=axis: pennylane.QAOAEmbedding(
                x, w.reshape(shape), range(n_qubits), local_field=a.upper()
            ),
            n_qubits,
            weights,
        )
        assert_close(oracle.unitary_of(circuit, inputs, weights), expected, ALGEBRA)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ansatzes.hardware_efficient(3, pattern="star"), "`pattern` must be one of 'line', .* but is 'star'"),
        (lambda: ansatzes.hardware_efficient(3, entangler="cnot"), "`entangler` must be one of 'cx', .* 'cnot'"),
        (lambda: ansatzes.hardware_efficient(3, rotations="yw"), "`rotations` must be letters x, y and z"),
        (lambda: ansatzes.hardware_efficient(3, pattern=[(0, 1)]), r"qubits \[2\] are in no pair"),
        (lambda: ansatzes.hardware_efficient(3, pattern=[(0, 3)]), r"`pattern` must lie in 0\.\.2"),
        (lambda: ansatzes.hardware_efficient(3, pattern=[(0, 1, 2)]), "`pattern` must hold 2 qubits a pair"),
        (lambda: ansatzes.hardware_efficient(1), "`n_qubits` must be at least 2, but is 1. One qubit alone has no"),
        (lambda: ansatzes.strongly_entangling(1), "has no neighbour"),
        (lambda: ansatzes.strongly_entangling(3, 2, ranges=[1, 3]), "`ranges` must hold no multiple of 3"),
        (lambda: ansatzes.strongly_entangling(3, 2, ranges=[1]), "`ranges` must hold 2 distances"),
        (lambda: ansatzes.simplified_two_design(1), "has no neighbour"),
        (lambda: ansatzes.basic_entangler(3, rotation="xy"), "`rotation` must be one of 'x', 'y', 'z'"),
        (lambda: ansatzes.brickwork(3, is_periodic=True), "`n_qubits` must be even for a periodic wall, but is 3"),
        (lambda: ansatzes.brickwork(3, block=Circuit(3)), "`block` must act on 2 qubits, but acts on 3"),
        (lambda: ansatzes.brickwork(3, block=Circuit(2).rx(data(0), 0)), "`block` must hold weights only"),
        (lambda: ansatzes.pooling(5), "`n_qubits` must be even for pooling, .* but is 5"),
        (lambda: ansatzes.qcnn(6), "`n_qubits` must be 1 times 2, 4, 8, .* but is 6"),
        (lambda: ansatzes.qcnn(4, n_kept=4), "`n_qubits` must be 4 times 2, 4, 8, .* but is 4"),
        (lambda: ansatzes.tree_tensor_network(6), "`n_qubits` must be a power of two"),
        (lambda: ansatzes.binary_tree(3), "`n_qubits` must be a power of two"),
        (lambda: ansatzes.mera(1), "has no neighbour"),
        (lambda: ansatzes.iqp(2, subsets=[()]), "`subsets` must hold at least one subset and no empty one"),
        (lambda: ansatzes.iqp(2, subsets=[(0, 2)]), r"`subsets` must lie in 0\.\.1"),
        (lambda: ansatzes.qaoa(2, Z(0) * 0 + 1.0), "`cost` must hold a Pauli string"),
        (lambda: ansatzes.qaoa(2, Y(2)), r"`cost` must lie in 0\.\.1"),
        (lambda: ansatzes.qaoa_embedding(2, n_inputs=3), "`n_inputs` must be at most 2, one a qubit, but is 3"),
        (lambda: ansatzes.real_amplitudes(3, 0), "`n_layers` must be at least 1, but is 0"),
    ],
)
def test_bad_sizes_and_names_are_refused(build: Callable[[], Circuit], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.plain
def test_numbers_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match="`n_qubits` must be an int, but is float"):
        ansatzes.real_amplitudes(3.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="`block` must be a Circuit"):
        ansatzes.mera(4, block="ry")  # pyright: ignore[reportArgumentType]
