"""Named circuits, asymmetric on purpose: upward CX, odd qubit counts, shared slots, Y in the observables.

One entry is one thing that a backend can get wrong. Every exact backend runs every entry that it is able to run.
"""

from collections.abc import Callable, Sequence

import numpy as np

from circuits import Circuit, Observable, X, Y, Z, ansatzes, channels, data, feature_maps, weight
from tests.strategies import Case, fill, random_kraus, random_unitary

# The coefficients differ and the strings are not palindromes, so that no reversal and no exchange goes unseen.
READ_OUTS: dict[int, list[Observable]] = {
    1: [Z(0), 0.5 * Y(0) - 0.25 * X(0) + 0.125],
    2: [Z(1), Y(0) @ X(1), 0.5 * Z(0) - 0.25 * (X(0) @ Y(1)) + 2.0],
    3: [Z(0), Y(1), X(0) @ Y(2), 0.3 * X(0) - 0.7 * (X(1) @ Z(2)), 0.5 * (Z(0) @ Y(1) @ X(2)) - 0.25 * Z(2) - 1.0],
    4: [Z(3), Y(0) @ Z(2), 0.3 * X(0) - 0.7 * (X(1) @ Z(3)), 0.5 * (X(0) @ Y(1) @ Z(3)) - 0.75 * X(2)],
    5: [Z(0), Y(3), X(4) @ Y(1), 0.3 * (Z(0) @ X(1) @ Y(2) @ Z(4)) - 0.2 * (Y(2) @ Y(3))],
    6: [Z(5), Y(0) @ X(4), 0.5 * (Z(1) @ Y(2) @ X(3)) + 0.25],
}


def mixed_start(n_qubits: int) -> Circuit:
    """A product state with all amplitudes different and complex, so that every later gate shows."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.rx(0.7 + 0.4 * qubit, qubit).rz(0.3 - 0.5 * qubit, qubit)
    return circuit


def fixed_gates() -> Circuit:
    circuit = mixed_start(3)
    for name, qubit in (("x", 2), ("s", 0), ("h", 1), ("t", 2), ("y", 0), ("sdg", 1), ("h", 2), ("tdg", 0), ("z", 2)):
        getattr(circuit, name)(qubit)
    return circuit.h(0).swap(2, 0).h(1)


def upward_cx() -> Circuit:
    return mixed_start(3).cx(2, 0).cx(1, 0).h(1).cx(2, 1)


def controlled_paulis() -> Circuit:
    return mixed_start(3).cx(0, 2).cy(2, 1).cz(1, 0).h(0, controls=2).s(1, controls=0).t(0, controls=1).h(0).h(1)


def rotations_by_data() -> Circuit:
    return Circuit(3).rx(data(0), 0).ry(data(1), 1).rz(data(2), 0).p(data(0), 1).h(2).rz(data(1), 2).cx(2, 1)


def rotations_by_weights() -> Circuit:
    return Circuit(3).rx(weight(0), 0).ry(weight(1), 1).rz(weight(2), 0).p(weight(0), 1).h(2).rz(weight(1), 2).cx(2, 1)


def one_slot_everywhere() -> Circuit:
    circuit = Circuit(3).ry(data(0), 0).rx(data(0), 1).rz(data(0), 1).cx(0, 1)
    return circuit.ry(weight(0), 2).cx(1, 2).rx(weight(0), 0).rzz(data(0), 0, 2).exp_pauli(weight(0), "XY", (1, 0))


def data_and_weights_by_turns() -> Circuit:
    circuit = Circuit(3)
    for layer in range(3):
        for qubit in range(3):
            circuit.ry(data(qubit), qubit).rz(weight(3 * layer + qubit), qubit)
        circuit.cx(0, 1).cx(2, 1).cx(2, 0)
    return circuit


def weights_before_data() -> Circuit:
    return Circuit(3).ry(weight(0), 0).cx(0, 2).rx(weight(1), 1).cx(1, 0).ry(data(0), 2).cx(2, 1).rz(data(1), 1).h(1)


def one_qubit() -> Circuit:
    return Circuit(1).ry(data(0), 0).rz(weight(0), 0).rx(data(1), 0).h(0).t(0)


def without_data() -> Circuit:
    return Circuit(3).ry(weight(0), 0).cx(0, 1).rx(weight(1), 2).cx(2, 0)


def without_weights() -> Circuit:
    return Circuit(3).ry(data(0), 0).cx(0, 1).rx(data(1), 2).cx(2, 0)


def without_slots() -> Circuit:
    return mixed_start(4).cx(3, 1).swap(0, 2).cx(2, 3)


def without_operations() -> Circuit:
    return Circuit(2)


def u3_by_all_kinds_of_angles() -> Circuit:
    circuit = Circuit(3).u3(data(0), weight(0), 0.4, 0).u3(0.3, data(1), weight(1), 2)
    return circuit.cx(2, 0).u3(weight(1), 0.2, data(0), 1).u3(0.1, 0.2, 0.3, 0, controls=1)


def phases() -> Circuit:
    return (
        mixed_start(3).p(data(0), 0).p(weight(0), 1).p(0.7, 2).p(weight(1), 2, controls=(0,)).p(data(1), 0, controls=2)
    )


def two_qubit_rotations() -> Circuit:
    circuit = mixed_start(4).rxx(data(0), 2, 0).ryy(weight(0), 1, 3).rzz(data(1), 3, 0).rzx(weight(1), 2, 1)
    return circuit.rzx(data(0), 0, 3).rxx(0.3, 1, 2)


def exchange_interactions() -> Circuit:
    circuit = mixed_start(3).xx_plus_yy(data(0), 2, 0).xx_plus_yy(weight(0), 0, 1).xx_plus_yy(0.8, 1, 2)
    return circuit.xx_plus_yy(data(0), 1, 2, controls=0).h(1).xx_plus_yy(weight(1), 2, 1)


def rzx_in_both_orders() -> Circuit:
    return mixed_start(2).rzx(data(0), 0, 1).ry(0.4, 0).rzx(weight(0), 1, 0)


def long_pauli_strings() -> Circuit:
    circuit = mixed_start(5).pauli_rotation(weight(0), "XYZ", (4, 0, 2)).pauli_rotation(data(0), "ZZXY", (1, 3, 0, 4))
    return circuit.pauli_rotation(weight(1), "YYYYY", range(5))


def pauli_strings_with_identities() -> Circuit:
    circuit = mixed_start(4).pauli_rotation(weight(0), "XIY", (3, 1, 0)).pauli_rotation(data(0), "IZI", (0, 2, 3))
    return circuit.pauli_rotation(weight(1), "II", (0, 1)).pauli_rotation(data(0), "I", 2, controls=0).h(0)


def farhi_neven_exponentials() -> Circuit:
    circuit = Circuit(4)
    for qubit in range(3):
        circuit.ry(data(qubit), qubit)
    for qubit in range(3):
        circuit.exp_pauli(weight(qubit), "ZX", (qubit, 3)).exp_pauli(weight(3 + qubit), "XX", (qubit, 3))
    return circuit


def controlled_rotations() -> Circuit:
    circuit = mixed_start(4).rx(data(0), 0, controls=3).ry(weight(0), 1, controls=(0, 2)).rz(data(1), 2, controls=1)
    return circuit.rxx(weight(1), 3, 1, controls=0).exp_pauli(data(0), "YZ", (2, 0), controls=(3,)).h(2)


def many_controls() -> Circuit:
    circuit = mixed_start(5).x(1, controls=(4, 0, 3)).ry(weight(0), 2, controls=(0, 1, 3, 4)).z(4, controls=(1, 2))
    return circuit.swap(3, 0, controls=(2, 4)).rx(data(0), 0, controls=(4, 1))


def controlled_swap() -> Circuit:
    return mixed_start(3).swap(2, 0, controls=1).ry(weight(0), 1).swap(1, 2, controls=0)


def arbitrary_unitaries() -> Circuit:
    random = np.random.default_rng(5)
    circuit = Circuit(4).ry(data(0), 0).unitary(random_unitary(4, random), (3, 0)).rx(weight(0), 3)
    circuit.unitary(random_unitary(2, random), 2).unitary(random_unitary(8, random), (2, 3, 1))
    return circuit.unitary(random_unitary(2, random), 1, controls=(3, 0))


def qubits_far_apart() -> Circuit:
    return mixed_start(6).cx(5, 0).rzx(weight(0), 4, 1).cy(0, 4).swap(5, 2).rxx(data(0), 3, 0).cz(1, 5).ry(weight(1), 5)


def ring_of_cx() -> Circuit:
    circuit = Circuit(5)
    for layer in range(2):
        for qubit in range(5):
            circuit.ry(data(qubit), qubit).rz(weight(5 * layer + qubit), qubit)
        for qubit in range(5):
            circuit.cx(qubit, (qubit + 1) % 5)
    return circuit


def real_amplitudes() -> Circuit:
    circuit = Circuit(3)
    for layer in range(2):
        for qubit in range(3):
            circuit.ry(weight(3 * layer + qubit), qubit)
        circuit.cx(1, 0).cz(2, 1).h(2)
    return circuit.ry(data(0), 1)


def diagonal_gates() -> Circuit:
    circuit = Circuit(4).h(0).h(1).h(2).h(3).rz(data(0), 0).rzz(data(1), 0, 3).cz(1, 3).t(2).p(weight(0), 1)
    return circuit.pauli_rotation(weight(1), "ZZZ", (0, 1, 2)).s(3, controls=0).h(0).h(2)


def permutations() -> Circuit:
    return mixed_start(5).x(0).cx(3, 1).swap(4, 0).x(2, controls=(0, 1)).swap(1, 2, controls=3).cx(4, 3)


def constant_preparation() -> Circuit:
    random = np.random.default_rng(6)
    amplitudes = random.normal(size=8) + 1j * random.normal(size=8)
    return Circuit(3).prepare(amplitudes / np.linalg.norm(amplitudes)).ry(data(0), 1).cx(2, 0).rx(weight(0), 0)


def preparation_of_some_qubits() -> Circuit:
    random = np.random.default_rng(7)
    amplitudes = random.normal(size=4) + 1j * random.normal(size=4)
    circuit = Circuit(4).ry(weight(0), 1).prepare(amplitudes / np.linalg.norm(amplitudes), (3, 0))
    return circuit.cx(3, 1).cx(0, 2).rx(data(0), 2)


def amplitudes_from_data() -> Circuit:
    circuit = Circuit(3).prepare_slots([data(index) for index in range(8)])
    return circuit.ry(weight(0), 0).cx(2, 1).ry(data(8), 2)


def complex_amplitudes_from_data() -> Circuit:
    circuit = Circuit(3).prepare_slots([data(index) for index in range(8)], (2, 0))
    return circuit.cx(0, 1).rx(weight(0), 2).cz(2, 1)


def shuffled_slots() -> Circuit:
    return (
        Circuit(3).ry(data(2), 0).ry(data(0), 1).rx(weight(1), 2).cx(2, 0).rx(data(1), 1).cx(0, 1).rz(weight(0), 1).h(1)
    )


def resets() -> Circuit:
    circuit = Circuit(3).ry(data(0), 0).cx(0, 2).reset(0).ry(weight(0), 0).cx(2, 1).reset(2)
    return circuit.rx(data(1), 2).cx(1, 2)


def measurements() -> Circuit:
    circuit = Circuit(3).ry(data(0), 1).h(0).cx(1, 2).measure(1).ry(weight(0), 1).cx(2, 0).measure(2, bit=0)
    return circuit.rx(data(1), 2)


def post_selection() -> Circuit:
    circuit = Circuit(3).ry(0.9, 0).rx(data(0), 1).cx(0, 2).ry(weight(0), 2).post_select(0, 1)
    return circuit.h(0).cx(2, 0).rx(0.4, 1).cx(1, 0).post_select(2, 0).rx(weight(1), 2)


def post_selection_of_a_mixed_state() -> Circuit:
    circuit = Circuit(3).ry(data(0), 0).cx(0, 1).measure(1).h(1).cx(0, 2).ry(weight(0), 2)
    return circuit.rx(0.8, 2).post_select(2, 1).reset(0).ry(data(0), 0)


def quantum_neuron() -> Circuit:
    """Repeat until success: an ancilla is post-selected and used again."""
    circuit = Circuit(3).ry(data(0), 0)
    for layer in range(2):
        circuit.ry(weight(layer), 1, controls=0).cy(1, 2).rz(-np.pi / 2, 1).ry(-0.7, 1, controls=0).post_select(1, 0)
    return circuit


def depolarizing_noise() -> Circuit:
    circuit = Circuit(3).ry(data(0), 0).noise(channels.depolarizing(0.1), 0).cx(0, 2).rx(weight(0), 1)
    return circuit.noise(channels.depolarizing(0.2, n_qubits=2), (2, 1)).cx(1, 0)


def damping_noise() -> Circuit:
    circuit = Circuit(3).ry(data(0), 0).h(1).noise(channels.amplitude_damping(0.3), 0).cx(0, 2)
    circuit.noise(channels.phase_damping(0.4), 1).rx(weight(0), 1).noise(channels.bit_flip(0.1), 2)
    return circuit.noise(channels.amplitude_damping(1.0), 2).cx(1, 2)


def kraus_noise() -> Circuit:
    random = np.random.default_rng(8)
    circuit = Circuit(3).ry(data(0), 0).cx(0, 1).kraus(random_kraus(2, 3, random), 2).rx(weight(0), 2)
    return circuit.kraus(random_kraus(4, 2, random), (2, 0)).cx(2, 1)


def noise_and_mid_circuit() -> Circuit:
    circuit = Circuit(3).ry(data(0), 0).noise(channels.amplitude_damping(0.2), 0).cx(0, 1).reset(0).rx(weight(0), 2)
    circuit.cx(1, 0).measure(1).noise(channels.depolarizing(0.1), 1).cx(2, 1).ry(0.6, 1).post_select(1, 1)
    return circuit.ry(weight(1), 1)


def feature_map_and_ansatz() -> Circuit:
    circuit = feature_maps.zz(3, 1, pattern="line").circuit.copy()
    return circuit.compose(ansatzes.strongly_entangling(3, 1), (2, 0, 1), fresh_weights=True)


def convolution_and_pooling() -> Circuit:
    return feature_maps.angle(4, axis="y").compose(ansatzes.qcnn(4, is_shared=True))


def controlled_powers() -> Circuit:
    block = Circuit(2).ry(weight(0), 1).cx(1, 0).rxx(data(0), 0, 1).exp_pauli(0.3, "I", 0)
    return mixed_start(4).compose(block.power(2).control(2, values=[1, 0]), (3, 1, 0, 2)).h(3)


BUILDERS: list[Callable[[], Circuit]] = [
    fixed_gates,
    upward_cx,
    controlled_paulis,
    rotations_by_data,
    rotations_by_weights,
    one_slot_everywhere,
    data_and_weights_by_turns,
    weights_before_data,
    one_qubit,
    without_data,
    without_weights,
    without_slots,
    without_operations,
    u3_by_all_kinds_of_angles,
    phases,
    two_qubit_rotations,
    exchange_interactions,
    rzx_in_both_orders,
    long_pauli_strings,
    pauli_strings_with_identities,
    farhi_neven_exponentials,
    controlled_rotations,
    many_controls,
    controlled_swap,
    arbitrary_unitaries,
    qubits_far_apart,
    ring_of_cx,
    real_amplitudes,
    diagonal_gates,
    permutations,
    constant_preparation,
    preparation_of_some_qubits,
    amplitudes_from_data,
    complex_amplitudes_from_data,
    shuffled_slots,
    resets,
    measurements,
    post_selection,
    post_selection_of_a_mixed_state,
    quantum_neuron,
    depolarizing_noise,
    damping_noise,
    kraus_noise,
    feature_map_and_ansatz,
    convolution_and_pooling,
    controlled_powers,
    noise_and_mid_circuit,
]


def named_case(build: Callable[[], Circuit], batch: int = 3, observables: Sequence[Observable] | None = None) -> Case:
    """A named circuit with fixed random data and weights."""
    circuit = build()
    chosen = READ_OUTS[circuit.n_qubits] if observables is None else list(observables)
    return Case(circuit, *fill(circuit, batch, np.random.default_rng(len(circuit))), chosen)


CASES = {build.__name__: named_case(build) for build in BUILDERS}
UNITARY_CASES = {name: case for name, case in CASES.items() if case.circuit.is_unitary}
