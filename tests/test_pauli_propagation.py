"""Pauli propagation: exact without cuts, a fixed structure with them, and errors that are said."""

import math
import warnings
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st
from torch import Tensor

from circuits import Circuit, Observable, X, Y, Z, ansatzes, data, pauli_string, weight
from qml.backends import Native, PauliPropagation
from qml.simulator.routes import propagation
from tests import oracle
from tests.helpers import assert_close, tensors
from tests.strategies import NOISE_KINDS, UNITARY_KINDS, Recipe, build, examples, recipes

KINDS = (*UNITARY_KINDS, *NOISE_KINDS, "reset", "measure")
EXACT = 1e-11  # float64 algebra
PAULI = Native(method="pauli")
CUTS = (
    PauliPropagation(max_weight=2),
    PauliPropagation(max_sines=1),
    PauliPropagation(max_frequency=3),
    PauliPropagation(min_coefficient=0.15),
)


def entangled(n_qubits: int = 5, n_layers: int = 4) -> Circuit:
    """A circuit in which strings grow, with data in it."""
    circuit = Circuit(n_qubits)
    for layer in range(n_layers):
        for qubit in range(n_qubits):
            slot = data(qubit) if layer == 1 else weight(n_qubits * layer + qubit - (n_qubits if layer > 1 else 0))
            circuit.rx(slot, qubit)
        for qubit in range(n_qubits - 1):
            circuit.rzz(weight(0) if qubit % 2 else -math.pi / 2, qubit, qubit + 1)
    return circuit


def numbers(circuit: Circuit, batch: int = 3, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Data and weights."""
    inputs = torch.linspace(-0.9, 0.8, batch * circuit.n_data, dtype=torch.float64).reshape(batch, -1)
    return scale * inputs, scale * torch.linspace(0.3, 0.9, circuit.n_weights, dtype=torch.float64)


OBSERVABLES = [Z(2), X(1) @ Y(3) - 0.5 * Z(0), pauli_string("ZYXIZ") + 0.25]


@examples(150)
@given(recipes(KINDS, preparations=("constant",), max_qubits=4))
def test_without_cuts_values_are_those_of_the_oracle(recipe: Recipe) -> None:
    case = build(recipe)
    values = PAULI.expectation(case.circuit, *tensors(case), case.observables)
    assert_close(values, oracle.expectation(case.circuit, case.data, case.weights, case.observables), EXACT)


@examples(30)
@given(recipes(KINDS, preparations=("constant",), max_qubits=4, min_batch=1))
def test_without_cuts_first_and_second_derivatives_are_those_of_the_register(recipe: Recipe) -> None:
    case = build(recipe)
    assume(case.circuit.n_weights + case.circuit.n_data)

    def gradients(backend: Native) -> list[Tensor]:
        inputs, weights = (part.requires_grad_() for part in tensors(case))
        total = backend.expectation(case.circuit, inputs, weights, case.observables).square().sum()
        total = total + 0.0 * (inputs.square().sum() + weights.square().sum())
        plain = torch.autograd.grad(total, (inputs, weights), retain_graph=True)
        first = torch.autograd.grad(total, (inputs, weights), create_graph=True)
        slope = sum((part.square().sum() for part in first), start=torch.zeros((), dtype=torch.float64))
        return [*plain, *first, *torch.autograd.grad(slope, (inputs, weights))]

    for own, other in zip(gradients(PAULI), gradients(Native()), strict=True):
        assert_close(own, other, 1e-9)  # squares of values and of gradients


@pytest.mark.parametrize("options", CUTS[:3])
def test_fixed_structures_have_derivatives_of_any_order(options: PauliPropagation) -> None:
    circuit = entangled(3, 3)
    inputs, weights = (part.requires_grad_() for part in numbers(circuit, 2))

    def function(inputs: Tensor, weights: Tensor) -> Tensor:
        return Native(method=options).expectation(circuit, inputs, weights, [Z(1), X(1) @ Y(2)])

    assert torch.autograd.gradcheck(function, (inputs, weights))
    assert torch.autograd.gradgradcheck(function, (inputs, weights))
    jacobian = torch.func.jacrev(lambda w: function(inputs.detach(), w).sum(0))(weights.detach())
    value = function(inputs, weights)
    (gradient,) = torch.autograd.grad(value[:, 0].sum(), weights)
    assert_close(jacobian[0], gradient, 1e-12)


@pytest.mark.parametrize("options", CUTS[:3])
def test_the_shift_rule_holds_for_fixed_structures(options: PauliPropagation) -> None:
    circuit, backend = entangled(), Native(method=options)
    inputs, weights = numbers(circuit)
    place = 7  # a weight that occurs once
    weights.requires_grad_()
    (gradient,) = torch.autograd.grad(backend.expectation(circuit, inputs, weights, OBSERVABLES).sum(), weights)
    shift = torch.zeros_like(weights)
    shift[place] = math.pi / 2
    ends = [backend.expectation(circuit, inputs, weights.detach() + s * shift, OBSERVABLES).sum() for s in (1, -1)]
    assert_close((ends[0] - ends[1]) / 2, gradient[place], 1e-12)
    exact = PAULI.expectation(circuit, inputs, weights.detach(), OBSERVABLES)
    assert (exact - backend.expectation(circuit, inputs, weights.detach(), OBSERVABLES)).abs().max() > 1e-4


@pytest.mark.parametrize("options", CUTS)
@pytest.mark.parametrize("scale", [0.2, 1.0, 2.5])
def test_errors_are_below_their_bounds(options: PauliPropagation, scale: float) -> None:
    circuit = entangled()
    inputs, weights = numbers(circuit, scale=scale)
    exact = Native().expectation(circuit, inputs, weights, OBSERVABLES)
    answer = Native(method=options).expectation_with_error(circuit, inputs, weights, OBSERVABLES)
    assert_close(answer.values, Native(method=options).expectation(circuit, inputs, weights, OBSERVABLES), 1e-12)
    assert ((answer.values - exact).abs() <= answer.bounds + 1e-12).all()
    assert (answer.bounds > 0).any()
    assert (answer.estimates <= answer.bounds + 1e-12).all()


@pytest.mark.filterwarnings("ignore:PauliPropagation has dropped every string:RuntimeWarning")  # as some cuts must
@examples(100)
@example((3, 1, None, (("swap", (0, 1), (2,), (), None),), (((1.0, "XYI"),),), 0), PauliPropagation(max_weight=2))
@given(recipes(KINDS, preparations=("constant",), max_qubits=4, min_batch=1), st.sampled_from(CUTS))
def test_errors_of_any_circuit_are_below_their_bounds(recipe: Recipe, options: PauliPropagation) -> None:
    case = build(recipe)
    answer = Native(method=options).expectation_with_error(case.circuit, *tensors(case), case.observables)
    exact = oracle.expectation(case.circuit, case.data, case.weights, case.observables)
    assert (abs(answer.values.numpy() - exact) <= answer.bounds.numpy() + EXACT).all()
    values = Native(method=options).expectation(case.circuit, *tensors(case), case.observables)
    assert_close(answer.values, values, EXACT)


def test_methods_that_drop_nothing_have_no_error() -> None:
    circuit = entangled()
    for backend in (PAULI, Native()):
        answer = backend.expectation_with_error(circuit, *numbers(circuit), OBSERVABLES)
        assert_close(answer.values, Native().expectation(circuit, *numbers(circuit), OBSERVABLES), 1e-12)
        assert not answer.estimates.any()
        assert not answer.bounds.any()


@pytest.mark.parametrize("options", CUTS)
def test_a_sample_does_not_depend_on_its_batch(options: PauliPropagation) -> None:
    circuit, backend = entangled(), Native(method=options)
    inputs, weights = numbers(circuit)
    together = backend.expectation(circuit, inputs, weights, OBSERVABLES)
    alone = [backend.expectation(circuit, row[None], weights, OBSERVABLES) for row in inputs]
    assert_close(together, torch.cat(alone), 1e-14)


def test_single_precision_is_kept() -> None:
    circuit = entangled()
    inputs, weights = numbers(circuit)
    values = PAULI.expectation(circuit, inputs.float(), weights.float(), OBSERVABLES)
    assert values.dtype == torch.float32
    assert_close(values.double(), PAULI.expectation(circuit, inputs, weights, OBSERVABLES), 1e-5)


@pytest.mark.parametrize("options", CUTS)
def test_gradients_of_a_fixed_structure_are_those_of_its_values(options: PauliPropagation) -> None:
    circuit, backend = entangled(), Native(method=options)
    inputs, weights = numbers(circuit, 1)
    weights.requires_grad_()
    (gradient,) = torch.autograd.grad(backend.expectation(circuit, inputs, weights, [Z(2)]).sum(), weights)
    step = torch.zeros_like(weights)
    step[3] = 1e-5
    ends = [backend.expectation(circuit, inputs, weights.detach() + s * step, [Z(2)]).sum() for s in (1, -1)]
    assert_close((ends[0] - ends[1]) / 2e-5, gradient[3], 1e-8)


def test_more_than_a_word_of_qubits() -> None:
    circuit = Circuit(150)
    for qubit in range(150):
        circuit.ry(weight(qubit), qubit)
    for qubit in range(149):
        circuit.cx(qubit, qubit + 1)
    circuit.pauli_rotation(0.3, "XYZX", (3, 70, 149, 0))
    weights = torch.linspace(-0.3, 0.3, 150, dtype=torch.float64)
    observables = [Z(149), Z(70), Z(3) @ Z(0), X(70) @ Y(149)]
    values = PAULI.expectation(circuit, torch.zeros(1, 0, dtype=torch.float64), weights, observables)
    assert_close(values, Native().expectation(circuit, torch.zeros(1, 0).double(), weights, observables), 1e-12)
    assert abs(values[0, 1] - weights[:71].cos().prod() * math.cos(0.3)) < 1e-12


def test_strings_that_are_all_dropped_leave_zero_and_a_bound() -> None:
    circuit = Circuit(2).rx(weight(0), 0).rzz(weight(1), 0, 1).rx(weight(2), 0)
    backend = Native(method=PauliPropagation(max_weight=1))
    weights = torch.full((3,), 0.4, dtype=torch.float64, requires_grad=True)
    inputs = torch.zeros(2, 0, dtype=torch.float64)
    answer = backend.expectation_with_error(circuit, inputs, weights, [Z(0) @ Z(1), Z(0)])
    assert_close(answer.bounds[:, 0], torch.ones(2), 0.0)
    assert not answer.values[:, 0].any()
    with pytest.warns(RuntimeWarning, match="has dropped every string"):
        value = backend.expectation(circuit, inputs, weights, [Z(0) @ Z(1)])
    assert not torch.autograd.grad(value.sum(), weights)[0].any()


def eagle_edges() -> list[tuple[int, int]]:
    """The 144 couplings of a heavy-hexagonal device with 127 qubits."""
    rows = [range(14), *(range(18 + 19 * row, 33 + 19 * row) for row in range(5)), range(113, 127)]
    edges = [(qubit, qubit + 1) for row in rows for qubit in row[:-1]]
    for number, (upper, lower) in enumerate(pairwise(rows)):
        for place, column in enumerate((2, 6, 10, 14) if number % 2 else (0, 4, 8, 12)):
            bridge = upper[-1] + 1 + place
            edges += [(upper[0] + column, bridge), (bridge, lower[0] + column - (number == 5))]
    return edges


def kicked_ising(n_layers: int) -> Circuit:
    """The circuit of Kim et al., Nature 618, 500 (2023): RX of weights on all qubits, RZZ(-pi/2) on all couplings."""
    circuit = Circuit(127)
    for layer in range(n_layers):
        for qubit in range(127):
            circuit.rx(weight(127 * layer + qubit), qubit)
        for pair in eagle_edges():
            circuit.rzz(-math.pi / 2, *pair)
    return circuit


# <Z62>, and the sum of its derivatives in all weights, by contraction of tensor networks
KICKED_ISING = {
    (5, 0.3): (0.9575155276569537, -0.29699257668562584),
    (5, 0.7): (0.6387089455191578, -1.3312345900570504),
    (6, 0.3): (0.941695189912525, -0.2759898444998757),
    (6, 0.7): (0.6319407980008931, -1.5644056804309465),
}
NO_DATA = torch.zeros(1, 0, dtype=torch.float64)


@pytest.mark.parametrize("theta", [0.3, 0.7])
def test_kicked_ising_circuit_of_127_qubits(theta: float) -> None:
    weights = torch.full((635,), theta, dtype=torch.float64, requires_grad=True)
    value = PAULI.expectation(kicked_ising(5), NO_DATA, weights, [Z(62)])
    assert abs(value.item() - KICKED_ISING[5, theta][0]) < EXACT
    (gradient,) = torch.autograd.grad(value.sum(), weights)
    assert abs(gradient.sum().item() - KICKED_ISING[5, theta][1]) < 1e-10


@pytest.mark.parametrize(
    ("theta", "expected"),  # belief propagation on tensor networks, arXiv:2306.14887, accurate to about 0.01
    [(0.2026833970057931, 0.9786), (0.30402509550868967, 0.9220), (0.4053667940115862, 0.8498), (1.4694546, 0.0002)],
)
def test_twenty_layers_are_near_the_tensor_network(theta: float, expected: float) -> None:
    backend = Native(method=PauliPropagation(max_weight=8, min_coefficient=1e-3 if theta > 1.0 else 1e-4))
    weights = torch.full((2540,), theta, dtype=torch.float64, requires_grad=True)
    value = backend.expectation(kicked_ising(20), NO_DATA, weights, [Z(62)])
    assert abs(value.item() - expected) < 0.02
    assert torch.isfinite(torch.autograd.grad(value.sum(), weights)[0]).all()


@pytest.mark.parametrize(("min_coefficient", "max_weight"), [(1e-2, None), (1e-3, None), (1e-4, 8), (1e-3, 5)])
@pytest.mark.parametrize(("n_layers", "theta"), KICKED_ISING)
def test_estimates_cover_the_error_and_are_at_most_a_hundred_times_too_large(
    n_layers: int, theta: float, min_coefficient: float, max_weight: int | None
) -> None:
    backend = Native(method=PauliPropagation(max_weight=max_weight, min_coefficient=min_coefficient))
    weights = torch.full((127 * n_layers,), theta, dtype=torch.float64)
    answer = backend.expectation_with_error(kicked_ising(n_layers), NO_DATA, weights, [Z(62)])
    error = abs(answer.values.item() - KICKED_ISING[n_layers, theta][0])
    assert error <= answer.bounds.item() + EXACT
    assert error <= answer.estimates.item() + EXACT
    assert answer.estimates.item() <= 100 * error + EXACT


@pytest.mark.parametrize(("theta", "expected"), [(0.30402509550868967, 0.9220), (0.6080501910173793, 0.6686)])
def test_estimates_cover_the_error_of_deep_circuits_of_equal_angles(theta: float, expected: float) -> None:
    backend = Native(method=PauliPropagation(max_weight=8, min_coefficient=8e-4))
    weights = torch.full((2540,), theta, dtype=torch.float64)
    answer = backend.expectation_with_error(kicked_ising(20), NO_DATA, weights, [Z(62)])
    error = abs(answer.values.item() - expected)
    assert 0.01 < error < answer.estimates.item() < 2.0  # what gates drop adds up, instead of averaging out


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"max_weight": 0}, "Argument `max_weight` must be at least 1, but is 0"),
        ({"max_weight": -2}, "max_weight"),
        ({"max_sines": -1}, "Argument `max_sines` must be at least 0"),
        ({"max_frequency": -1}, "max_frequency"),
        ({"min_coefficient": -1e-3}, "min_coefficient"),
        ({"min_coefficient": 0.0}, "min_coefficient"),
        ({"max_strings": 0}, "max_strings"),
    ],
)
def test_cuts_out_of_range_are_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PauliPropagation(**options)


@pytest.mark.plain
def test_cuts_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="max_weight"):
        PauliPropagation(max_weight=2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="pauli"):
        Native(method="pauly")  # pyright: ignore[reportArgumentType]


def values_of(circuit: Circuit, observables: list[Observable]) -> Tensor:
    return PAULI.expectation(circuit, torch.zeros(1, circuit.n_data), torch.zeros(circuit.n_weights), observables)


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (Circuit(2).h(0).post_select(0, 1), "post-selection"),
        (Circuit(7).h(1).x(0, controls=range(1, 7)), "`ccccccx` on 7 qubits"),
    ],
)
def test_gates_that_it_does_not_know_are_refused_by_name(circuit: Circuit, reason: str) -> None:
    with pytest.raises(NotImplementedError, match=rf"{reason}.*Use Native\(\)"):
        values_of(circuit, [Z(0)])


def test_amplitudes_of_data_are_refused() -> None:
    circuit = Circuit(1).prepare_slots([data(0), data(1)], (0,))
    with pytest.raises(NotImplementedError, match=r"amplitudes that are data.*Use Native\(\)"):
        PAULI.expectation(circuit, torch.tensor([[1.0, 0.0]]), torch.zeros(0), [Z(0)])


def test_answers_other_than_expectation_values_are_refused() -> None:
    circuit, empty = Circuit(2).h(0), torch.zeros(1, 0)
    for call in (
        lambda: PAULI.probabilities(circuit, empty, torch.zeros(0)),
        lambda: PAULI.sample(circuit, empty, torch.zeros(0), 10),
        lambda: PAULI.state(circuit, empty, torch.zeros(0)),
        lambda: PAULI.success_probability(circuit, empty, torch.zeros(0)),
    ):
        with pytest.raises(NotImplementedError, match=r"Use Native\(\)"):
            call()


def test_too_many_strings_are_refused() -> None:
    backend = Native(method=PauliPropagation(max_strings=10))
    circuit = entangled()
    with pytest.raises(ValueError, match=r"at most 10 strings .*but the circuit makes"):
        backend.expectation(circuit, *numbers(circuit), OBSERVABLES)


def test_steps_that_do_not_fit_into_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagation, "available_bytes", lambda _: 1000)
    circuit = entangled()
    with pytest.raises(ValueError, match="more than the 1000 bytes"):
        PAULI.expectation(circuit, *numbers(circuit), OBSERVABLES)


def test_what_the_observable_does_not_depend_on_may_be_anything() -> None:
    circuit = Circuit(9).h(0).ry(weight(0), 8)
    circuit.x(0, controls=range(1, 8))
    value = PAULI.expectation(circuit, NO_DATA, torch.tensor([0.4], dtype=torch.float64), [Z(8)])
    assert_close(value, [[math.cos(0.4)]], 1e-14)


def test_coefficients_cannot_be_cut_where_values_are_hidden() -> None:
    circuit, backend = entangled(), Native(method=PauliPropagation(min_coefficient=0.1))
    inputs, weights = numbers(circuit)
    with pytest.raises(NotImplementedError, match="min_coefficient"):
        torch.func.jacrev(lambda w: backend.expectation(circuit, inputs, w, OBSERVABLES))(weights)


def test_a_cut_by_coefficient_refuses_second_derivatives() -> None:
    circuit = Circuit(2).ry(weight(0), 0).cx(0, 1).rx(weight(1), 1)
    weights = torch.tensor([0.4, 0.3], dtype=torch.float64, requires_grad=True)
    backend = Native(method=PauliPropagation(min_coefficient=1e-6))
    value = backend.expectation(circuit, torch.zeros(1, 0, dtype=torch.float64), weights, [Z(1)])
    torch.autograd.grad(value.sum(), weights, retain_graph=True)
    with pytest.raises(RuntimeError, match="min_coefficient"):
        torch.autograd.grad(value.sum(), weights, create_graph=True)


def test_a_value_of_which_every_string_was_dropped_comes_with_a_warning() -> None:
    circuit = ansatzes.strongly_entangling(6, 4)
    weights = torch.rand(circuit.n_weights, generator=torch.Generator().manual_seed(0))
    with pytest.warns(RuntimeWarning, match="has dropped every string"):
        value = Native(method=PauliPropagation(max_weight=1)).expectation(circuit, torch.zeros(1, 0), weights, [Z(0)])
    assert value.item() == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an exact zero needs none
        plain = Circuit(2).h(0)
        assert Native(method="pauli").expectation(plain, torch.zeros(1, 0), torch.zeros(0), [Z(0)]).abs().item() < 1e-7
