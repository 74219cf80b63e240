"""Gates that this package has never heard of: each kind works everywhere, and nothing is taken for something else."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pennylane
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, library
from qiskit.quantum_info import Operator
from scipy.linalg import expm

from circuits import Circuit, X, Y, Z, data, from_openqasm, gates, steps, to_openqasm, weight
from circuits.steps import LinearAngle, LinearStep
from qml.analysis import circuit_fourier_series
from qml.backends import Aer, Native, PennyLane
from qml.backends.convert.pennylane import from_pennylane, to_pennylane
from qml.backends.convert.qiskit import from_qiskit, to_qiskit
from qml.nn.qkan.points.program import compile_activation
from tests import oracle
from tests.helpers import FLOAT64, assert_close

SYNTHESIS = 1e-9  # of matrices by elementary gates, here or in an SDK
STEP = 1e-5  # of central differences
PAULI = {letter: oracle.LETTERS[letter] for letter in "IXYZ"}


@dataclass(frozen=True)
class ISwap(gates.ConstantGate):
    """A constant gate by its matrix alone."""

    name = "iswap"
    n_qubits = 2

    def matrix_at(self, *angles: float) -> np.ndarray:
        return np.array([[1, 0, 0, 0], [0, 0, 1j, 0], [0, 1j, 0, 0], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Tilted(gates.ExponentialGate):
    """A rotation about no coordinate axis, with a phase: two frequencies."""

    name = "tilted"
    n_qubits = 1

    @property
    def generator(self) -> np.ndarray:
        return 0.3 * PAULI["X"] - 0.2 * PAULI["Y"] + 0.6 * PAULI["Z"] + 0.25 * PAULI["I"]


@dataclass(frozen=True)
class HalfTurn(gates.ExponentialGate):
    """A phase about Y: one frequency, and no Pauli rotation."""

    name = "half_turn"
    n_qubits = 1

    @property
    def generator(self) -> np.ndarray:
        return (PAULI["I"] - PAULI["Y"]) / 2


@dataclass(frozen=True)
class Slanted(gates.ExponentialGate):
    """A rotation about no coordinate axis, of one frequency."""

    name = "slanted"
    n_qubits = 1

    @property
    def generator(self) -> np.ndarray:
        return 0.6 * PAULI["X"] + 0.8 * PAULI["Z"]


@dataclass(frozen=True)
class Ladder(gates.ExponentialGate):
    """Eigenvalues 0, 1, 3 and -2 in a basis of its own."""

    name = "ladder"
    n_qubits = 2

    @property
    def generator(self) -> np.ndarray:
        basis = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)) + 1j * np.eye(4))[0]
        return basis @ np.diag([0.0, 1.0, 3.0, -2.0]) @ basis.conj().T


@dataclass(frozen=True)
class Heisenberg(gates.ScaledGate):
    """exp(-i t (XX + YY + ZZ) / 4)."""

    name = "heisenberg"
    n_qubits = 2

    @property
    def unscaled_generator(self) -> np.ndarray:
        return sum(np.kron(PAULI[letter], PAULI[letter]) for letter in "XYZ") / 4


@dataclass(frozen=True)
class Echo(gates.CompositeGate):
    """Two angles on two qubits, on the second first."""

    name = "echo"
    n_qubits = 2
    n_angles = 2

    def parts(self) -> tuple[gates.GatePart, ...]:
        return (
            gates.GatePart(gates.PauliRotation("X"), (1,), (1,)),
            gates.GatePart(gates.XXPlusYY(), (1, 0), (0,)),
            gates.GatePart(ISwap(), (0, 1)),
            gates.GatePart(Tilted(), (0,), (1,)),
        )


FOREIGN: list[gates.UnitaryGate] = [
    ISwap(),
    Tilted(),
    Slanted(),
    HalfTurn(),
    Ladder(),
    Heisenberg(),
    Heisenberg(-0.7),
    Echo(),
]
OWN: list[gates.UnitaryGate] = [
    gates.Fixed("sdg"),
    gates.Phase(),
    gates.U3(),
    gates.XXPlusYY(),
    gates.PauliRotation("YX", 0.3),
    gates.PauliRotation("I"),
]
ONE_ANGLE = [gate for gate in FOREIGN + OWN if isinstance(gate, gates.ExponentialGate)]


def named(gate: gates.UnitaryGate) -> str:
    return str(gate)


def matrix_of(gate: gates.UnitaryGate, angles: list[float]) -> np.ndarray:
    """The matrix by the exponential of the generator; of other kinds, by their own words."""
    if isinstance(gate, gates.ExponentialGate):
        return expm(-1j * angles[0] * gate.generator)
    if isinstance(gate, gates.CompositeGate):
        result = np.eye(2**gate.n_qubits)
        for part in gate.parts():
            matrix = matrix_of(part.gate, [angles[k] for k in part.angles])
            result = oracle.on_qubits(matrix, part.places, gate.n_qubits) @ result
        return result
    return gate.matrix_at()


def plain(circuit: Circuit, data_: np.ndarray | tuple = (), weights: np.ndarray | tuple = ()) -> Circuit:
    """The bound circuit with all foreign gates as matrices, for the oracle."""
    bound = circuit.bind(data_, weights)
    result = Circuit(bound.n_qubits)
    for op in bound.operations:
        foreign = isinstance(op.gate, tuple(map(type, FOREIGN)))
        gate = gates.Unitary(gates.Array.of(matrix_of(op.gate, list(op.angles)))) if foreign else op.gate
        result.append(gate, op.qubits, controls=op.controls, angles=() if foreign else op.angles)
    return result


def by_slots(gate: gates.UnitaryGate, *, controls: tuple[int, ...] = ()) -> Circuit:
    """A circuit with the gate at data, at weights and at constants; entangled, on qubits in no order."""
    circuit = Circuit(3)
    for qubit in range(3):
        circuit.rx(0.7 + 0.4 * qubit, qubit).rz(0.3 - 0.5 * qubit, qubit)
    places = (2, 0)[: gate.n_qubits]
    circuit.append(gate, places, controls=controls, angles=[data(k) for k in range(gate.n_angles)])
    circuit.cx(2, 1).h(0)
    circuit.append(gate, (1, 2)[: gate.n_qubits], angles=[weight(k) for k in range(gate.n_angles)])
    return circuit.append(gate, places, angles=[0.4 + k for k in range(gate.n_angles)])


CIRCUITS: dict[str, Callable[[gates.UnitaryGate], Circuit]] = {
    "plain": by_slots,
    "controlled": lambda gate: by_slots(gate, controls=(1,)),
}
VALUES = (np.array([0.7, -1.3, 0.4]), np.array([1.9, 0.2, -0.8]))


def values_of(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    return VALUES[0][: circuit.n_data], VALUES[1][: circuit.n_weights]


@pytest.mark.parametrize("gate", FOREIGN + OWN, ids=named)
def test_matrix_of_every_kind_is_that_of_its_description(gate: gates.UnitaryGate) -> None:
    angles = [0.7, -1.3, 0.4][: gate.n_angles]
    expected = matrix_of(gate, angles)
    assert_close(gate.matrix_at(*angles), expected, FLOAT64)
    for n_controls in (0, 1, 2):
        matrix = gates.gate_matrix(gate, tuple(angles), n_controls)
        assert_close(matrix[-len(expected) :, -len(expected) :], expected, FLOAT64)
        assert_close(matrix[: -len(expected), : -len(expected)], np.eye(len(matrix) - len(expected)), FLOAT64)


@pytest.mark.parametrize("gate", FOREIGN + OWN, ids=named)
def test_parts_and_elementary_operations_multiply_to_the_gate(gate: gates.UnitaryGate) -> None:
    circuit = Circuit(gate.n_qubits).append(gate, range(gate.n_qubits), angles=[0.7, -1.3, 0.4][: gate.n_angles])
    (operation,) = circuit.operations
    for parts in (operation.parts(), operation.elementary()):
        if not parts:
            assert isinstance(gate, gates.ConstantGate)
            continue
        written = Circuit(gate.n_qubits)
        for part in parts:
            written.append(part.gate, part.qubits, controls=part.controls, angles=part.angles)
        assert_close(oracle.unitary_of(plain(written)), oracle.unitary_of(plain(circuit)), FLOAT64)
    assert all(part.gate.is_elementary() and len(part.angles) <= 1 for part in operation.elementary())


@pytest.mark.parametrize("is_controlled", [False, True])
@pytest.mark.parametrize("gate", [gate for gate in ONE_ANGLE if gate.is_elementary()], ids=named)
def test_frequencies_are_those_of_expectation_values(gate: gates.ExponentialGate, is_controlled: bool) -> None:
    base, order = gate.frequencies(is_controlled=is_controlled)
    n_controls = int(is_controlled)
    random = np.random.default_rng(1)
    side = 2 ** (gate.n_qubits + n_controls)
    state = random.normal(size=side) + 1j * random.normal(size=side)
    read = random.normal(size=(side, side)) + 1j * random.normal(size=(side, side))
    count = 2 * 4 + 1
    values = []
    for angle in 2 * np.pi * np.arange(count) / (count * base):
        moved = gates.gate_matrix(gate, (angle,), n_controls) @ state
        values.append((moved.conj() @ (read + read.conj().T) @ moved).real)
    sizes = np.abs(np.fft.rfft(values)) / count
    assert (sizes[1 : order + 1] > 1e-3).all()
    assert (sizes[order + 1 :] < 1e-12 * sizes[0] + 1e-12).all()


@pytest.mark.parametrize("kind", CIRCUITS)
@pytest.mark.parametrize("gate", FOREIGN, ids=named)
def test_a_foreign_gate_is_simulated_and_differentiated(gate: gates.UnitaryGate, kind: str) -> None:
    circuit = CIRCUITS[kind](gate)
    observables = [Z(0), Y(1), X(0) @ Y(2)]
    inputs, weights = values_of(circuit)
    expected = oracle.expectation(plain(circuit, inputs, weights), np.zeros((1, 0)), (), observables)
    tensors = [torch.tensor(inputs[None], requires_grad=True), torch.tensor(weights, requires_grad=True)]
    for backend in (Native(), Native(representation="density")):
        assert_close(backend.expectation(circuit, *tensors, observables).detach().numpy(), expected, SYNTHESIS)
    if not gate.n_angles:
        return
    slopes = torch.autograd.grad(Native().expectation(circuit, *tensors, observables).sum(), tensors)
    for tensor, slope, source in zip(tensors, slopes, (inputs, weights), strict=True):
        for index, value in enumerate(source.copy()):
            values = []
            for source[index] in (value + STEP, value - STEP):
                bound = plain(circuit, inputs, weights)
                values.append(oracle.expectation(bound, np.zeros((1, 0)), (), observables).sum())
            source[index] = value
            assert abs((values[0] - values[1]) / (2 * STEP) - slope.reshape(-1)[index].item()) < 1e-7, tensor


@pytest.mark.parametrize("backend", [PennyLane("default.qubit"), Aer()], ids=lambda backend: backend.name)
@pytest.mark.parametrize("kind", CIRCUITS)
@pytest.mark.parametrize("gate", FOREIGN, ids=named)
def test_a_foreign_gate_runs_and_is_shifted_on_other_simulators(
    gate: gates.UnitaryGate, kind: str, backend: PennyLane | Aer
) -> None:
    circuit = CIRCUITS[kind](gate)
    observables = [Z(0), Y(1), X(0) @ Y(2)]
    results = []
    for each in (Native(), backend):
        inputs, weights = (torch.tensor(values, requires_grad=True) for values in values_of(circuit))
        values = each.expectation(circuit, inputs[None], weights, observables)
        slopes = torch.autograd.grad(values.sum(), (inputs, weights)) if gate.n_angles else ()
        results.append([part.detach().numpy() for part in (values, *slopes)])
    for expected, found in zip(*results, strict=True):
        assert_close(found, expected, SYNTHESIS)


@pytest.mark.parametrize("kind", CIRCUITS)
@pytest.mark.parametrize("gate", FOREIGN + OWN, ids=named)
def test_every_gate_is_written_for_others_with_the_same_unitary(gate: gates.UnitaryGate, kind: str) -> None:
    circuit = CIRCUITS[kind](gate)
    inputs, weights = values_of(circuit)
    expected = oracle.unitary_of(plain(circuit, inputs, weights))
    for bound in (False, True):
        source = circuit.bind(inputs, weights) if bound else circuit
        values = ((), ()) if bound else (inputs, weights)
        for read in (from_openqasm(to_openqasm(source)), from_qiskit(to_qiskit(source))):
            assert_close(oracle.unitary_of(plain(read, *values)), expected, SYNTHESIS)
        function = to_pennylane(source)
        written = pennylane.matrix(function, wire_order=[0, 1, 2])(*values)
        assert_close(written, expected, SYNTHESIS)
        read = from_pennylane(function, n_data=source.n_data, n_weights=source.n_weights)
        assert_close(oracle.unitary_of(plain(read, *values)), expected, SYNTHESIS)


@pytest.mark.parametrize("gate", FOREIGN + OWN, ids=named)
def test_inverses_undo_gates_at_constant_angles(gate: gates.UnitaryGate) -> None:
    circuit = by_slots(gate, controls=(1,))
    bound = circuit.bind(*values_of(circuit))
    product = oracle.unitary_of(plain(bound.inverse())) @ oracle.unitary_of(plain(bound))
    assert_close(product, np.eye(8), FLOAT64)


@pytest.mark.parametrize("controls", [(), (1,)], ids=["plain", "controlled"])
@pytest.mark.parametrize("gate", FOREIGN + OWN, ids=named)
def test_inverses_undo_gates_at_slots(gate: gates.UnitaryGate, controls: tuple[int, ...]) -> None:
    circuit = by_slots(gate, controls=controls)
    values, inverse = values_of(circuit), circuit.inverse()
    assert (inverse.n_data, inverse.n_weights) == (circuit.n_data, circuit.n_weights)
    undone = oracle.unitary_of(plain(inverse, *values)) @ oracle.unitary_of(plain(circuit, *values))
    assert_close(undone, np.eye(2**circuit.n_qubits), FLOAT64)


def test_the_list_of_own_gates_is_the_catalogue() -> None:
    bases = {gates.UnitaryGate, gates.ConstantGate, gates.ExponentialGate, gates.ScaledGate, gates.CompositeGate}
    named_by_circuits = {value for value in vars(gates).values() if isinstance(value, type)} - bases
    catalogue = {value for value in named_by_circuits if issubclass(value, gates.UnitaryGate)}
    assert {type(gate) for gate in OWN} == catalogue - {gates.Unitary}  # that is the inverse of ISwap


@pytest.mark.parametrize("gate", FOREIGN + OWN, ids=named)
def test_sums_of_slots_and_inverted_steps_keep_the_unitary(gate: gates.UnitaryGate) -> None:
    sums = [LinearAngle(0.3 + k, ((data(0), 1.0 + k), (weight(0), -0.7))) for k in range(gate.n_angles)]
    places = (2, 0)[: gate.n_qubits]
    step = LinearStep(gate, places, (1,), tuple(sums))
    inputs, weights = np.array([0.6]), np.array([-1.1])
    values = [0.3 + k + (1.0 + k) * 0.6 - 0.7 * -1.1 for k in range(gate.n_angles)]
    expected = oracle.unitary_of(plain(Circuit(3).append(gate, places, controls=1, angles=values)))
    there = steps.circuit_of(3, [step])
    back = steps.circuit_of(3, steps.inverted([step], refuse=ValueError))
    arguments = (inputs, weights) if gate.n_angles else ((), ())
    assert_close(oracle.unitary_of(plain(there, *arguments)), expected, FLOAT64)
    assert_close(oracle.unitary_of(plain(back, *arguments)), expected.conj().T, FLOAT64)


def test_gates_are_drawn_by_their_names() -> None:
    circuit = Circuit(2).append(Tilted(), 0, angles=(data(0),)).append(Heisenberg(0.5), (1, 0), angles=(weight(0),))
    circuit.append(ISwap(), (0, 1)).append(Echo(), (0, 1), angles=(0.5, np.pi)).xx_plus_yy(data(1), 0, 1)
    text = str(circuit.draw(width=400))
    for label in ("TILTED(data[0])", "HEISENBERG(0.5 w[0]):0", "ISWAP:1", "ECHO(0.5, π):0", "XX+YY(data[1]):0"):
        assert f"┤{label}├" in text
    assert "ISWAP†:1" in str(Circuit(2).append(ISwap(), (0, 1)).inverse().draw())


@pytest.mark.parametrize("gate", [Tilted(), Slanted(), HalfTurn()], ids=named)
def test_an_activation_by_a_foreign_rotation_is_that_of_the_circuit(gate: gates.ExponentialGate) -> None:
    """A gate with one angle that is neither a Pauli rotation nor P was once taken for RZ."""
    circuit = Circuit(1).h(0).append(gate, 0, angles=(data(0),)).rx(weight(0), 0)
    circuit.append(gate, 0, angles=(weight(1),)).append(gate, 0, angles=(0.4,)).ry(0.3, 0)
    program = compile_activation(circuit)
    inputs, weights = np.array([0.6]), np.array([-1.1, 0.8])
    vector = np.array(program.start, dtype=float)
    for rotation in program.rotations:
        angle = rotation.constant + sum(factor * weights[slot] for slot, factor in rotation.weights)
        if rotation.upload:
            angle += rotation.upload[1] * inputs[rotation.upload[0]]
        turn = np.cross(np.eye(3)[rotation.axis], np.eye(3)).T
        vector = expm(angle * turn) @ vector
    expected = oracle.expectation(plain(circuit, inputs, weights), np.zeros((1, 0)), (), [Z(0)])
    assert_close(np.array([[vector[2]]]), expected, FLOAT64)


@pytest.mark.parametrize("gate", [*FOREIGN[1:], gates.XXPlusYY()], ids=named)
def test_the_fourier_series_of_a_foreign_gate_is_that_of_the_circuit(gate: gates.UnitaryGate) -> None:
    circuit = Circuit(2).ry(0.3, 0).ry(0.9, 1)
    circuit.append(gate, (1, 0)[: gate.n_qubits], angles=[data(0), 0.3][: gate.n_angles]).rx(0.4, 0).cx(0, 1)
    series = circuit_fourier_series(circuit, Z(1))
    for value in (0.3, -2.1):
        bound = plain(circuit, (value,))
        assert_close(series(np.array([[value]])), oracle.expectation(bound, np.zeros((1, 0)), (), [Z(1)])[0], SYNTHESIS)


def test_a_parameter_as_the_phase_of_qiskits_exchange_gate_is_a_slot() -> None:
    source, beta = QuantumCircuit(2), Parameter("beta")
    source.append(library.XXPlusYYGate(0.9, beta), [0, 1])
    read = from_qiskit(source)
    assert read.n_weights == 1
    expected = Operator(source.assign_parameters({beta: 0.7}).reverse_bits()).data
    assert_close(oracle.unitary_of(read, (), (0.7,)), expected, SYNTHESIS)


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_the_phase_of_qiskits_exchange_gate_is_kept(beta: float) -> None:
    source = QuantumCircuit(2)
    source.append(library.XXPlusYYGate(0.9, beta), [0, 1])
    read = from_qiskit(source)
    assert [op.name for op in read.operations] == ["xx_plus_yy"] or beta
    assert_close(oracle.unitary_of(read), Operator(source.reverse_bits()).data, SYNTHESIS)


def test_exchange_gates_keep_their_name_through_other_packages() -> None:
    circuit = Circuit(3).xx_plus_yy(data(0), 2, 0).xx_plus_yy(weight(0), 0, 1).xx_plus_yy(0.3, 1, 2)
    assert from_qiskit(to_qiskit(circuit)) == circuit
    assert from_pennylane(to_pennylane(circuit), n_data=1, n_weights=1) == circuit


@pytest.mark.parametrize("scale", [0.0, np.nan, np.inf])
def test_a_scale_that_loses_the_angle_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="`scale` must be finite and not 0"):
        gates.XXPlusYY(scale)


def test_a_class_with_angles_that_its_kind_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Class Angled must have no angles, but has 1\. Use ExponentialGate"):

        class Angled(gates.ConstantGate):
            n_angles = 1

    with pytest.raises(TypeError, match=r"Class Pair must have one angle, but has 2\. Use CompositeGate"):

        class Pair(gates.ExponentialGate):
            n_angles = 2


def test_a_gate_of_no_kind_is_refused_and_never_left_out() -> None:
    @dataclass(frozen=True)
    class Vague(gates.UnitaryGate):
        name = "vague"
        n_qubits = 1
        n_angles = 1

    circuit = Circuit(1).append(Vague(), 0, angles=(data(0),))
    for use in (
        to_qiskit,
        to_openqasm,
        lambda item: to_pennylane(item)([0.1]),
        lambda item: Native().expectation(
            item, torch.zeros(1, 1, dtype=torch.float64), torch.zeros(0, dtype=torch.float64), [Z(0)]
        ),
    ):
        with pytest.raises(NotImplementedError, match="Gate vague must"):
            use(circuit)


def test_a_generator_that_is_not_hermitian_is_refused() -> None:
    @dataclass(frozen=True)
    class Wrong(gates.ExponentialGate):
        name = "wrong"
        n_qubits = 1

        @property
        def generator(self) -> np.ndarray:
            return -1j * PAULI["X"]

    with pytest.raises(ValueError, match=r"generator of gate wrong must be Hermitian.*Leave out the factor -i"):
        Wrong().matrix_at(0.3)
