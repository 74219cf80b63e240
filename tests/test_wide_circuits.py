"""Circuits wider than a register: light cones, their components and their copies, against the register as a whole."""

from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from circuits import Circuit, Observable, X, Y, Z, channels, data, pauli_string, weight
from qml.backends import Native
from qml.nn import QuantumLayer
from qml.simulator import cones
from qml.simulator.light_cone import light_cone
from qml.simulator.network import Source, Table, TensorNetwork, find_order
from qml.simulator.plan import Request
from qml.simulator.routes import contraction, pieces
from qml.simulator.routes.contraction import find_contraction
from qml.simulator.routes.pieces import find_pieces
from tests import oracle
from tests.helpers import assert_close, is_likely, tensors
from tests.strategies import MID_CIRCUIT_KINDS, NOISE_KINDS, UNITARY_KINDS, Recipe, build, examples, recipes

EVERY_KIND = (*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS)
SAME = 1e-10  # float64 algebra, normalised by a success probability
EXACT = 1e-12


def pieces_everywhere() -> ExitStack:
    """Narrow circuits, too, are cut into the pieces that were found, whatever they cost."""
    patches = ExitStack()
    patches.enter_context(mock.patch.object(cones, "NARROW", 0))
    patches.enter_context(mock.patch.object(cones, "GAIN", float("inf")))
    return patches


def values(circuit: Circuit, observables: list[Observable], weights: Tensor, inputs: Tensor | None = None) -> Tensor:
    """Expectation values of a circuit on the built-in simulator."""
    inputs = torch.zeros(1, 0, dtype=torch.float64) if inputs is None else inputs
    return Native().expectation(circuit, inputs, weights, observables)


def numbers(count: int, *, low: float = -1.0, high: float = 1.0) -> Tensor:
    """Distinct weights."""
    return torch.linspace(low, high, count, dtype=torch.float64)


# --- the same numbers as the whole register ---------------------------------------------------------------------------


@examples(300)
@given(recipes(EVERY_KIND, max_qubits=5))
def test_pieces_give_the_numbers_of_the_oracle(recipe: Recipe) -> None:
    with pieces_everywhere():
        case = build(recipe)
        assume(is_likely(case))
        values = Native().expectation(case.circuit, *tensors(case), case.observables)
        assert_close(values, oracle.expectation(case.circuit, case.data, case.weights, case.observables), SAME)


@examples(100)
@given(recipes(EVERY_KIND, preparations=("constant",), max_qubits=4, min_batch=1))
def test_pieces_give_the_gradients_of_the_whole_register(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case) and case.circuit.n_weights + case.circuit.n_data)

    def gradients() -> list[Tensor]:
        inputs, weights = (part.requires_grad_() for part in tensors(case))
        total = Native().expectation(case.circuit, inputs, weights, case.observables).square().sum()
        total = total + 0.0 * (inputs.square().sum() + weights.square().sum())  # where all is constant
        first = torch.autograd.grad(total, (inputs, weights), create_graph=True)
        slope = sum((part.square().sum() for part in first), start=torch.zeros((), dtype=torch.float64))
        return [*first, *torch.autograd.grad(slope, (inputs, weights))]

    with mock.patch.object(cones, "NARROW", 99):
        whole = gradients()
    case = case._replace(circuit=case.circuit.copy())
    with pieces_everywhere():
        pieces = gradients()
    for piece, expected in zip(pieces, whole, strict=True):
        assert_close(piece, expected.detach(), 1e-8)


@examples(200)
@given(recipes(EVERY_KIND, max_qubits=4), st.data())
def test_components_give_the_probabilities_of_the_oracle(recipe: Recipe, drawn: st.DataObject) -> None:
    case = build(recipe)
    assume(is_likely(case))
    n = case.circuit.n_qubits
    qubits = drawn.draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True))
    with pieces_everywhere():
        probabilities = Native().probabilities(case.circuit, *tensors(case), qubits)
    assert_close(probabilities, oracle.probabilities(case.circuit, case.data, case.weights, qubits), SAME)


@examples(60)
@given(recipes((*UNITARY_KINDS, "post_select", "reset"), max_qubits=4, min_batch=1))
def test_components_give_the_success_probability_of_the_oracle(recipe: Recipe) -> None:
    case = build(recipe)
    expected = [oracle.success_probability(case.circuit, row, case.weights) for row in case.data]
    with pieces_everywhere():
        assert_close(Native().success_probability(case.circuit, *tensors(case)), expected, SAME)


@examples(150)
@given(recipes(EVERY_KIND, max_qubits=4, min_batch=1))
def test_contraction_gives_the_numbers_of_the_oracle(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    expected = oracle.expectation(case.circuit, case.data, case.weights, case.observables)
    assert_close(contracted(case.circuit, case.observables, *tensors(case)), expected, SAME)


@examples(50)
@given(recipes(UNITARY_KINDS, preparations=("constant",), max_qubits=4, min_batch=1))
def test_contraction_has_the_derivatives_of_the_register(recipe: Recipe) -> None:
    case = build(recipe)
    inputs, weights = (part.requires_grad_() for part in tensors(case))

    def derivatives(values: Tensor) -> list[Tensor]:
        total = values.square().sum() + 0.0 * (inputs.square().sum() + weights.square().sum())
        first = torch.autograd.grad(total, (inputs, weights), create_graph=True)
        slope = sum((part.square().sum() for part in first), start=torch.zeros((), dtype=torch.float64))
        return [*first, *torch.autograd.grad(slope, (inputs, weights))]

    expected = derivatives(Native().expectation(case.circuit, inputs, weights, case.observables))
    for value, right in zip(
        derivatives(contracted(case.circuit, case.observables, inputs, weights)), expected, strict=True
    ):
        assert_close(value.detach(), right.detach(), 1e-8)


def contracted(circuit: Circuit, observables: list[Observable], inputs: Tensor, weights: Tensor) -> Tensor:
    """Expectation values by contraction, however narrow the circuit is."""
    request = Request(2, tuple(item.terms for item in observables), shared_data=False, batch=1)
    with mock.patch.object(contraction, "WIDE", -1), mock.patch.object(contraction, "AMPLITUDE_NS", 1e30):
        route = find_contraction(circuit.copy().ry(0.0, 0), request)
    assert route is not None
    return route.expectation(inputs, weights, method="auto")


# --- circuits that no register holds ----------------------------------------------------------------------------------


def test_one_gate_on_thousands_of_qubits() -> None:
    for n_qubits in (1000, 5000):
        circuit = Circuit(n_qubits).ry(weight(0), 20)
        assert_close(values(circuit, [Z(20), Z(7), X(20)], numbers(1)), [[np.cos(1.0), 1.0, np.sin(-1.0)]], EXACT)


def test_product_state_of_a_thousand_qubits() -> None:
    circuit, angles = Circuit(1000), numbers(1000, low=-0.1, high=0.1)
    cosines = torch.cos(angles)
    for qubit in range(1000):
        circuit.ry(weight(qubit), qubit)
    every = pauli_string("Z" * 1000)
    assert_close(values(circuit, [every, Z(999)], angles), [[cosines.prod(), cosines[-1]]], EXACT)


def test_ghz_state_of_a_thousand_qubits() -> None:
    circuit = Circuit(1000).h(0)
    for qubit in range(999):
        circuit.cx(qubit, qubit + 1)
    parity = pauli_string("X" * 1000)
    observables = [Z(0) @ Z(999), Z(0), parity, 2.0 * (Z(3) @ Z(5)) - 0.5 * Z(4)]
    assert_close(values(circuit, observables, numbers(0)), [[1.0, 0.0, 1.0, 2.0]], EXACT)


def test_chain_of_cx_reads_a_product_of_cosines() -> None:
    circuit, angles = Circuit(300), numbers(300, low=-0.2, high=0.3)
    for qubit in range(300):
        circuit.ry(weight(qubit), qubit)
    for qubit in range(299):
        circuit.cx(qubit, qubit + 1)
    angles.requires_grad_()
    value = values(circuit, [Z(299)], angles)
    assert_close(value.detach(), [[np.prod(np.cos(angles.detach().numpy()))]], EXACT)
    (slope,) = torch.autograd.grad(value.sum(), angles)
    assert_close(slope, -value.detach()[0] * torch.tan(angles.detach()), EXACT)


def test_a_factor_of_zero_has_the_right_gradient() -> None:
    circuit = Circuit(12)
    for qubit in range(12):
        circuit.ry(weight(qubit), qubit)
    angles = torch.full((12,), 0.3, dtype=torch.float64)
    angles[4] = torch.pi / 2
    angles.requires_grad_()
    (slope,) = torch.autograd.grad(values(circuit, [pauli_string("Z" * 12)], angles).sum(), angles)
    expected = torch.zeros(12, dtype=torch.float64)
    expected[4] = -(np.cos(0.3) ** 11)
    assert_close(slope, expected, EXACT)


def brick(kind: str, n_qubits: int, n_layers: int) -> Circuit:
    """Rotations of all qubits, then gates on neighbours: even pairs first, odd pairs second."""
    circuit = Circuit(n_qubits)
    for layer in range(n_layers):
        for qubit in range(n_qubits):
            rotate = circuit.rx if kind == "kicked" else circuit.ry
            rotate(weight(layer * n_qubits + qubit), qubit)
        for first in (*range(0, n_qubits - 1, 2), *range(1, n_qubits - 1, 2)):
            circuit.rzz(-np.pi / 2, first, first + 1) if kind == "kicked" else circuit.cz(first, first + 1)
    return circuit


@pytest.mark.parametrize(
    ("kind", "n_qubits", "n_layers", "observable", "value", "slope"),
    [  # computed on light cones that were cut out by hand; the first of RY and CZ by four other programs as well
        ("kicked", 30, 3, Z(15), 0.9552809174079641, -0.29694020235952107),
        ("kicked", 30, 3, Z(15) @ Z(29), 0.9126147177652115, -0.5659826245344274),
        ("rycz", 100, 3, Z(50), 0.6628378403952483, -1.845357944824871),
    ],
)
def test_brick_circuits_have_their_published_values(
    kind: str, n_qubits: int, n_layers: int, observable: Observable, value: float, slope: float
) -> None:
    circuit = brick(kind, n_qubits, n_layers)
    angles = torch.full((circuit.n_weights,), 0.3, dtype=torch.float64, requires_grad=True)
    expectation = values(circuit, [observable], angles)
    assert_close(expectation.detach(), [[value]], EXACT)
    assert_close(torch.autograd.grad(expectation.sum(), angles)[0].sum(), slope, 1e-11)


@pytest.mark.parametrize("kind", ["kicked", "rycz"])
def test_all_qubits_of_a_chain_read_what_they_read_in_a_short_one(kind: str) -> None:
    short, long = brick(kind, 14, 2), brick(kind, 200, 2)
    angles = torch.full((400,), 0.4, dtype=torch.float64)
    with mock.patch.object(cones, "NARROW", 99):
        expected = values(short, [Z(0), Z(6), Z(7), X(7)], angles[:28])
    every = values(long, [Z(qubit) for qubit in range(200)], angles)
    assert_close(every[0, [0, 100, 101]], expected[0, :3], EXACT)
    assert_close(values(long, [X(101)], angles), expected[:, 3:], EXACT)


def test_a_hamiltonian_of_many_strings_is_the_sum_of_them() -> None:
    circuit, angles = brick("rycz", 120, 2), numbers(240)
    pairs = [Z(qubit) @ Z(qubit + 1) for qubit in range(119)]
    total = values(circuit, [sum(pairs[1:], start=pairs[0])], angles)
    assert_close(total[:, 0], values(circuit, pairs, angles).sum(1), SAME)


def test_batches_precisions_and_empty_batches() -> None:
    circuit = Circuit(40)
    for qubit in range(40):
        circuit.ry(data(qubit % 3), qubit).rx(weight(qubit), qubit)
    for qubit in range(39):
        circuit.cz(qubit, qubit + 1)
    inputs = torch.rand(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    whole = values(circuit, [Y(20), Z(3)], numbers(40), inputs)
    single = torch.cat([values(circuit, [Y(20), Z(3)], numbers(40), row[None]) for row in inputs])
    assert_close(whole, single, EXACT)
    assert_close(values(circuit, [Y(20), Z(3)], numbers(40).float(), inputs.float()), whole, 1e-5)
    assert values(circuit, [Y(20)], numbers(40), inputs[:0]).shape == (0, 1)


def test_layers_train_on_a_wide_circuit() -> None:
    circuit = Circuit(60)
    for qubit in range(60):
        circuit.ry(data(qubit % 2), qubit).ry(weight(qubit), qubit)
    for qubit in range(59):
        circuit.cx(qubit, qubit + 1)
    circuit.ry(weight(60), 30)
    layer = QuantumLayer(circuit, [Z(30), Z(31)], dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    inputs = torch.rand(3, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer, (inputs,))
    assert torch.autograd.gradgradcheck(layer, (inputs,))


# --- what could go wrong with pieces ----------------------------------------------------------------------------------


def test_post_selection_joins_what_its_norm_joins() -> None:
    # Teleportation: after the Bell measurement nothing acts on qubit 2 with the others, yet they carry its state.
    circuit = Circuit(14).ry(weight(0), 0).h(1).cx(1, 2).cx(0, 1).h(0).post_select(0, 0).post_select(1, 0)
    assert_close(values(circuit, [Z(2), X(2)], numbers(1)), [[np.cos(1.0), np.sin(-1.0)]], EXACT)


def test_post_selection_elsewhere_cancels_but_must_be_possible() -> None:
    possible = Circuit(14).ry(weight(0), 0).h(5).post_select(5, 1)
    assert_close(values(possible, [Z(0)], numbers(1)), [[np.cos(1.0)]], EXACT)
    impossible = Circuit(14).ry(weight(0), 0).x(5).post_select(5, 0)
    with pytest.raises(ValueError, match="Post-selection must be possible"):
        values(impossible, [Z(0)], numbers(1))


def test_reset_ends_a_cone_and_a_measurement_dephases() -> None:
    deep = Circuit(14)
    for qubit in range(14):
        deep.ry(weight(0), qubit)
    for qubit in range(13):
        deep.cx(qubit, qubit + 1)
    reset = deep.copy().reset(6).ry(0.7, 6)
    assert light_cone(reset, [{6: "Z"}]).operations[-1] == len(reset) - 1
    assert len(light_cone(reset, [{6: "Z"}]).operations) == 1
    assert_close(values(reset, [Z(6)], numbers(1)), [[np.cos(0.7)]], EXACT)
    measured = deep.copy().measure(6)
    assert_close(values(measured, [X(6)], numbers(1)), [[0.0]], EXACT)
    assert_close(values(measured, [Z(6)], numbers(1)), [[np.cos(1.0) ** 7]], EXACT)


def test_noise_shrinks_what_it_touches() -> None:
    circuit = Circuit(14).ry(weight(0), 3).noise(channels.amplitude_damping(0.25), 3).noise(channels.bit_flip(0.5), 9)
    expected = [[0.75 * np.cos(1.0) + 0.25, 0.0]]
    assert_close(values(circuit, [Z(3), Z(9)], numbers(1)), expected, EXACT)


def test_a_preparation_of_several_qubits_stays_whole() -> None:
    bell = np.array([1.0, 0.0, 0.0, 1.0]) / np.sqrt(2)
    circuit = Circuit(14).prepare(bell, (2, 9)).ry(weight(0), 9)
    assert_close(values(circuit, [Z(2), Z(9), Z(2) @ Z(9)], numbers(1)), [[0.0, 0.0, np.cos(1.0)]], EXACT)


def test_diagonal_gates_and_controls_do_not_widen_a_cone() -> None:
    circuit = Circuit(14).h(0).h(1).rzz(weight(0), 0, 1).cx(0, 2).p(weight(1), 0, controls=(1, 3))
    assert light_cone(circuit, [{0: "Z"}]).operations == ()
    assert light_cone(circuit, [{2: "Z"}]).operations == ()  # the CX is absorbed, and H turns Z into X
    assert_close(values(circuit, [Z(0), Z(2), X(0)], numbers(2)), oracle_of(circuit, [Z(0), Z(2), X(0)]), EXACT)


def oracle_of(circuit: Circuit, observables: list[Observable]) -> np.ndarray:
    """The oracle on the first four qubits, which are all that the circuit acts on."""
    narrow = Circuit(4)
    for op in circuit.operations:
        narrow.append(op.gate, op.qubits, controls=op.controls, angles=op.angles)
    return oracle.expectation(narrow, np.zeros((1, 0)), numbers(circuit.n_weights).numpy(), observables)


def test_an_identity_string_and_an_empty_observable() -> None:
    circuit = brick("rycz", 40, 1)
    identity = Observable(((0.5, ()),))
    assert_close(
        values(circuit, [identity, Observable(()), Z(0) + 2.0], numbers(40)), [[0.5, 0.0, 2 + np.cos(1)]], EXACT
    )


def test_constant_angles_may_be_used_and_weights_never() -> None:
    constant = Circuit(14).h(0).rx(np.pi / 2, 0)
    slotted = Circuit(14).h(0).rx(weight(0), 0)
    assert light_cone(constant, [{0: "Z"}]).operations == ()
    assert light_cone(slotted, [{0: "Z"}]).operations != ()


def test_wide_cones_are_refused_with_their_bytes() -> None:
    circuit = brick("rycz", 60, 40)
    with pytest.raises(ValueError, match="must fit into memory"):
        values(circuit, [Z(30)], numbers(circuit.n_weights))


def test_joint_outcomes_of_independent_qubits() -> None:
    circuit = Circuit(40).ry(0.3, 5).h(20).cx(20, 21)
    probabilities = Native().probabilities(circuit, *no_inputs(), [21, 5, 20, 39])
    expected = np.zeros((2, 2, 2, 2))
    for bit in (0, 1):
        expected[bit, :, bit, 0] = np.array([np.cos(0.15) ** 2, np.sin(0.15) ** 2]) / 2
    assert_close(probabilities, expected.reshape(1, 16), EXACT)


def no_inputs() -> tuple[Tensor, Tensor]:
    """Data and weights of a circuit without slots."""
    return torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)


def test_samples_of_many_qubits_are_drawn_from_independent_parts() -> None:
    circuit = Circuit(60).x(3).post_select(59, 0)
    for first in range(10, 50, 2):
        circuit.h(first).cx(first, first + 1)
    generator = torch.Generator().manual_seed(0)
    bits = Native().sample(circuit, *no_inputs(), 4000, generator=generator).qubits
    assert bits.shape == (1, 4000, 60)
    assert (bits[..., 3] == 1).all()
    assert (bits[..., 59] == 0).all()
    assert (bits[..., 10:50:2] == bits[..., 11:50:2]).all()
    means = bits[..., 10:50:2].double().mean((0, 1))
    assert ((means - 0.5).abs() < 5 * 0.5 / 4000**0.5).all()  # 20 means at five deviations: 1 false alarm in 80 000
    impossible = Circuit(60).x(3).post_select(3, 0)
    with pytest.raises(ValueError, match="Post-selection must be possible"):
        Native().sample(impossible, *no_inputs(), 10)


def test_noise_elsewhere_leaves_a_part_a_state_vector() -> None:
    circuit = Circuit(40).noise(channels.depolarizing(0.1), 30)
    for qubit in range(16):
        circuit.ry(weight(qubit), qubit)
    for qubit in range(15):
        circuit.cx(qubit, qubit + 1).ry(0.3, qubit)
    plain = Circuit(16)
    for op in circuit.operations[1:]:
        plain.append(op.gate, op.qubits, controls=op.controls, angles=op.angles)
    observables = [pauli_string("X" * 16)]  # 16 qubits of four levels would take 64 GiB
    assert_close(values(circuit, observables, numbers(16)), values(plain, observables, numbers(16)), EXACT)
    qubits = list(range(16))
    probabilities = Native().probabilities(circuit, *no_inputs()[:1], numbers(16), qubits)
    assert_close(probabilities, Native().probabilities(plain, *no_inputs()[:1], numbers(16)), EXACT)


def test_the_adjoint_method_contracts_nothing() -> None:
    circuit = brick("rycz", 40, 3)
    angles = numbers(120).requires_grad_()
    exact = torch.autograd.grad(values(circuit, [Z(20)], angles).sum(), angles)[0]
    adjoint = Native(method="adjoint").expectation(circuit, no_inputs()[0], angles, [Z(20)])
    assert_close(torch.autograd.grad(adjoint.sum(), angles)[0], exact, SAME)
    again = Native(method="adjoint").expectation(circuit, no_inputs()[0], angles, [Z(20)])
    with pytest.raises(RuntimeError, match="only once differentiable"):
        torch.autograd.grad(again.sum(), angles, create_graph=True)


def test_what_no_slot_reaches_has_derivatives_of_zero() -> None:
    circuit, angles = Circuit(14).ry(weight(0), 0).ry(data(0), 1), numbers(1).requires_grad_()
    inputs = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    for value in (
        Native().probabilities(circuit, inputs, angles, [3]),
        Native().success_probability(circuit, inputs, angles),
    ):
        slopes = torch.autograd.grad(value.sum(), (inputs, angles))
        assert all((slope == 0).all() for slope in slopes)


def test_nan_of_one_sample_stays_with_it_inside_transforms() -> None:
    circuit = Circuit(14)
    for qubit in range(14):
        circuit.ry(data(0), qubit)
    inputs = torch.tensor([[0.5], [torch.nan]], dtype=torch.float64)
    both, _ = torch.func.jvp(lambda rows: values(circuit, [Z(0)], numbers(0), rows), (inputs,), (inputs,))
    assert_close(both[0], [np.cos(0.5)], EXACT)


def test_many_controls_need_no_table_with_a_dimension_for_each() -> None:
    def wide(n_qubits: int) -> Circuit:
        circuit = Circuit(n_qubits)
        for qubit in range(n_qubits):
            circuit.ry(weight(qubit), qubit)
        circuit.x(n_qubits - 1, controls=tuple(range(n_qubits - 1)))
        for qubit in range(n_qubits):
            circuit.ry(weight(qubit), qubit)
        return circuit

    with pytest.raises(ValueError, match="must fit into memory"):
        values(wide(70), [Z(0)], numbers(70))
    request = Request(2, (((1.0, ((0, "Z"),)),),), shared_data=True, batch=1)
    assert find_contraction(wide(40), request) is None


def test_an_order_of_a_variable_that_meets_thousands_is_refused() -> None:
    pair = Source(np.ones((2, 2)))
    clique = tuple(Table((a, b), 0) for a in range(1100) for b in range(a + 1, 1100))
    assert find_order(TensorNetwork(clique, (pair,)), 1e11) is None


def test_copies_with_noise_run_few_at_a_time() -> None:
    circuit = Circuit(200)
    for start in range(0, 200, 10):
        for qubit in range(start, start + 8):
            circuit.ry(weight(qubit % 7), qubit).noise(channels.amplitude_damping(0.1), qubit)
        for qubit in range(start, start + 7):
            circuit.cx(qubit, qubit + 1).ry(0.3, qubit)
    terms = tuple(((1.0, tuple((start + k, "X") for k in range(8))),) for start in range(0, 200, 10))
    route = find_pieces(circuit, Request(4, terms, shared_data=True, batch=1))
    assert route is not None
    sizes: list[int] = []
    evaluate = route._evaluate

    def count(part: Circuit, rows: Tensor, *rest: Any) -> Tensor:
        sizes.append(len(rows) * 4**part.n_qubits)
        return evaluate(part, rows, *rest)

    with mock.patch.object(route, "_evaluate", count), mock.patch.object(pieces, "AMPLITUDES_AT_ONCE", 2**18):
        route.expectation(no_inputs()[0], numbers(7), method="auto")
    assert 4**8 <= max(sizes) <= 2**18


def test_planning_takes_no_longer_than_a_register() -> None:
    circuit, random = Circuit(16), np.random.default_rng(0)
    for layer in range(5):
        for qubit in range(16):
            circuit.ry(weight(16 * layer + qubit), qubit)
        for qubit in range(15):
            circuit.cx(qubit, qubit + 1)
    strings = tuple((1.0, tuple(enumerate(random.choice(list("XYZ"), 16).tolist()))) for _ in range(500))
    request = Request(2, (strings,), shared_data=True, batch=1)
    with mock.patch.object(cones, "light_cone", side_effect=light_cone) as looks:
        assert find_pieces(circuit, request) is None
    assert looks.call_count < 100
    with mock.patch.object(contraction, "network_of") as networks:
        assert find_contraction(circuit, request) is None
    assert networks.call_count == 0
