"""Derivatives of the native backend: right in every order, or refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from torch import Tensor

from circuits import Circuit, X, Y, Z, data, weight
from qml.backends import Native
from tests.helpers import assert_close, is_likely, tensors
from tests.minimal_backend import OracleBackend
from tests.named import BUILDERS, CASES, UNITARY_CASES, named_case
from tests.strategies import MID_CIRCUIT_KINDS, NOISE_KINDS, UNITARY_KINDS, Case, Recipe, build, examples, recipes

METHODS: dict[str, Native] = {
    "auto": Native(),
    "autograd": Native(method="autograd"),
    "adjoint": Native(method="adjoint"),
    "auto in tensors": Native(compiled=False),
    "density auto": Native(representation="density"),
    "density autograd": Native(method="autograd", representation="density"),
}
ANY_ORDER = [name for name, backend in METHODS.items() if backend.capabilities.derivative_order is None]
# Numerical derivatives run a circuit hundreds of times.
SMALL = {
    name: case._replace(data=case.data[:2])
    for name, case in CASES.items()
    if case.circuit.n_qubits <= 4 and case.data.size + case.weights.size
}

# Two float64 gradients that differ by the order of summation only.
SAME_GRADIENT = 1e-9


def leaves(case: Case) -> tuple[Tensor, Tensor]:
    values, weights = tensors(case)
    return values.requires_grad_(), weights.requires_grad_()


def assert_derivatives(run: Callable[[Tensor, Tensor], Tensor], case: Case, order: int = 1) -> None:
    """First or second derivatives are those of finite differences; gradcheck refuses inputs without elements."""
    inputs = leaves(case)
    chosen = [tensor for tensor in inputs if tensor.numel()]

    def run_chosen(*values: Tensor) -> Tensor:
        given_values = iter(values)
        return run(*(next(given_values) if tensor.numel() else tensor.detach() for tensor in inputs))

    check = torch.autograd.gradcheck if order == 1 else torch.autograd.gradgradcheck
    assert check(run_chosen, chosen)


def expectation_of(case: Case, backend: Any) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda values, weights: backend.expectation(case.circuit, values, weights, case.observables)


def gradients_of(case: Case, backend: Any) -> tuple[Tensor, Tensor]:
    """The pullback of a fixed random cotangent."""
    inputs = leaves(case)
    outputs = expectation_of(case, backend)(*inputs)
    cotangent = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1), dtype=outputs.dtype)
    found = torch.autograd.grad(outputs, inputs, cotangent, allow_unused=True) if outputs.requires_grad else [None] * 2
    return tuple(torch.zeros_like(x) if g is None else g for x, g in zip(inputs, found, strict=True))


# --- against finite differences -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (method, name)
        for method in METHODS
        for name, case in SMALL.items()
        if method != "adjoint" or case.circuit.is_unitary
    ],
)
def test_first_derivatives_pass_gradcheck(method: str, name: str) -> None:
    assert_derivatives(expectation_of(SMALL[name], METHODS[method]), SMALL[name])


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("method", ["auto", "autograd"])
def test_second_derivatives_pass_gradgradcheck(method: str, name: str) -> None:
    case = SMALL[name]._replace(observables=SMALL[name].observables[-2:])
    assert_derivatives(expectation_of(case, METHODS[method]), case, order=2)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "amplitudes_from_data", "post_selection", "kraus_noise"])
def test_derivatives_are_right_for_every_batch(name: str, batch: int) -> None:
    case = named_case(next(b for b in BUILDERS if b.__name__ == name), batch)
    for order in (1, 2):
        assert_derivatives(expectation_of(case, Native()), case, order)


@pytest.mark.parametrize(
    "name", ["data_and_weights_by_turns", "controlled_rotations", "post_selection", "resets", "damping_noise"]
)
@pytest.mark.parametrize("method", ["auto", "autograd"])
def test_derivatives_of_probabilities_pass_gradcheck(method: str, name: str) -> None:
    case = SMALL[name]

    def run(values: Tensor, weights: Tensor) -> Tensor:
        return METHODS[method].probabilities(case.circuit, values, weights, [2, 0])

    for order in (1, 2):
        assert_derivatives(run, case, order)


# --- by hand --------------------------------------------------------------------------------------------------------

# One angle a; observable; its expectation value and two derivatives.
KNOWN: dict[str, tuple[Callable[[Any], Circuit], Any, list[Callable[[Any], Any]]]] = {
    "RX": (lambda a: Circuit(1).rx(a, 0), Y(0), [lambda t: -np.sin(t), lambda t: -np.cos(t), np.sin]),
    "RY": (lambda a: Circuit(1).ry(a, 0), Z(0), [np.cos, lambda t: -np.sin(t), lambda t: -np.cos(t)]),
    "P": (lambda a: Circuit(1).h(0).p(a, 0), Y(0), [np.sin, np.cos, lambda t: -np.sin(t)]),
    "exp_pauli": (
        lambda a: Circuit(2).exp_pauli(a, "ZX", (1, 0)),
        Z(0),
        [lambda t: np.cos(2 * t), lambda t: -2 * np.sin(2 * t), lambda t: -4 * np.cos(2 * t)],
    ),
    "one slot twice": (
        lambda a: Circuit(1).ry(a, 0).ry(a, 0),
        Z(0),
        [lambda t: np.cos(2 * t), lambda t: -2 * np.sin(2 * t), lambda t: -4 * np.cos(2 * t)],
    ),
    "controlled": (
        lambda a: Circuit(2).h(1).ry(a, 0, controls=1),
        X(1),
        [lambda t: np.cos(t / 2), lambda t: -np.sin(t / 2) / 2, lambda t: -np.cos(t / 2) / 4],
    ),
}


@pytest.mark.parametrize("slot", [data(0), weight(0)])
@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("method", ANY_ORDER)
def test_two_derivatives_are_those_known_by_hand(method: str, name: str, slot: Any) -> None:
    make, observable, expected = KNOWN[name]
    angle = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    empty = torch.zeros(0, dtype=torch.float64)
    inputs = (angle.reshape(1, 1), empty) if slot.kind == "data" else (empty.reshape(1, 0), angle.reshape(1))
    value = METHODS[method].expectation(make(slot), *inputs, [observable]).sum()
    for order, formula in enumerate(expected):
        assert_close(value, formula(0.7), 1e-12)
        if order < 2:
            (value,) = torch.autograd.grad(value, angle, create_graph=True)


# --- one way against another ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", UNITARY_CASES)
def test_adjoint_is_autograd_on_named_circuits(name: str) -> None:
    for ours, plain in zip(
        gradients_of(CASES[name], METHODS["adjoint"]), gradients_of(CASES[name], METHODS["autograd"]), strict=True
    ):
        assert_close(ours, plain, SAME_GRADIENT)


@examples(150)
@given(recipes(min_batch=1))
def test_all_methods_agree_on_random_unitary_circuits(recipe: Recipe) -> None:
    case = build(recipe)
    expected = gradients_of(case, METHODS["autograd"])
    for method in ("auto", "adjoint"):
        for found, reference in zip(gradients_of(case, METHODS[method]), expected, strict=True):
            assert_close(found, reference, SAME_GRADIENT)


@examples(100)
@given(recipes((*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS), max_qubits=3, min_batch=1))
def test_own_pullback_is_autograd_on_random_circuits_of_every_kind(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    # Post-selection divides by a probability, its derivative by the square of one.
    pairs = zip(gradients_of(case, METHODS["auto"]), gradients_of(case, METHODS["autograd"]), strict=True)
    for found, reference in pairs:
        assert_close(found, reference, 1e4 * SAME_GRADIENT if "post_select" in str(recipe) else SAME_GRADIENT)


@examples(40)
@given(
    recipes((*UNITARY_KINDS, "reset", "measure", *NOISE_KINDS), preparations=("constant",), max_qubits=3, max_steps=7)
)
def test_gradient_is_the_parameter_shift_gradient(recipe: Recipe) -> None:
    case = build(recipe)
    for found, shifted in zip(gradients_of(case, Native()), gradients_of(case, OracleBackend()), strict=True):
        assert_close(found, shifted, SAME_GRADIENT)


def test_a_planted_fault_in_a_gradient_is_seen() -> None:
    class Faulty(OracleBackend):
        def expectation(self, circuit: Circuit, values: Tensor, weights: Tensor, observables: Any) -> Tensor:
            return super().expectation(
                circuit, values, weights.detach() + 0.999 * (weights - weights.detach()), observables
            )

    case = CASES["data_and_weights_by_turns"]
    with pytest.raises(AssertionError, match="Mismatched elements"):
        assert_close(gradients_of(case, Faulty())[1], gradients_of(case, Native())[1], 1e-5)


@pytest.mark.parametrize("method", ["auto", "autograd", "adjoint"])
@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "long_pauli_strings", "real_amplitudes"])
def test_float32_gradients_are_the_float64_ones(name: str, method: str) -> None:
    case = CASES[name]
    inputs = [tensor.requires_grad_() for tensor in tensors(case, torch.float32)]
    values = expectation_of(case, METHODS[method])(*inputs)
    cotangent = torch.randn(values.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = torch.autograd.grad(values, inputs, cotangent.float())
    for single, double in zip(found, gradients_of(case, METHODS["autograd"]), strict=True):
        assert single.dtype == torch.float32
        assert_close(single, double, 2e-5)  # float32 rounding, summed over 12 outputs and as many uses of a slot


# --- what asks for derivatives --------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [(True, False), (False, True), (True, True), (False, False)])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["data_and_weights_by_turns", "one_slot_everywhere", "weights_before_data"])
def test_only_what_is_asked_for_is_derived(name: str, method: str, wanted: tuple[bool, bool]) -> None:
    case = CASES[name]
    inputs = [tensor.requires_grad_(want) for tensor, want in zip(tensors(case), wanted, strict=True)]
    values = expectation_of(case, METHODS[method])(*inputs)
    assert values.requires_grad is any(wanted)
    if not any(wanted):
        return
    values.square().sum().backward()
    reference = leaves(case)
    expectation_of(case, METHODS["autograd"])(*reference).square().sum().backward()
    for tensor, expected, want in zip(inputs, reference, wanted, strict=True):
        if want:
            assert_close(tensor.grad, expected.grad, SAME_GRADIENT)
        else:
            assert tensor.grad is None


@pytest.mark.parametrize("method", METHODS)
def test_no_graph_is_kept_where_none_is_wanted(method: str) -> None:
    case = CASES["data_and_weights_by_turns"]
    for context in (torch.no_grad, torch.inference_mode):
        with context():
            assert not expectation_of(case, METHODS[method])(*leaves(case)).requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_gradients_of_an_empty_batch_are_zero(method: str) -> None:
    case = named_case(BUILDERS[6], 0)
    inputs = leaves(case)
    values = expectation_of(case, METHODS[method])(*inputs)
    found = torch.autograd.grad(values.sum(), inputs, allow_unused=True, materialize_grads=True)
    assert_close(found[0], np.zeros((0, 3)), 0.0)
    assert_close(found[1], np.zeros(9), 0.0)


@pytest.mark.parametrize("method", METHODS)
def test_one_graph_can_be_used_twice(method: str) -> None:
    case = CASES["data_and_weights_by_turns"]
    inputs = leaves(case)
    values = expectation_of(case, METHODS[method])(*inputs)
    first = torch.autograd.grad(values[:, 0].sum(), inputs, retain_graph=True)
    again = torch.autograd.grad(values[:, 0].sum(), inputs)
    for a, b in zip(first, again, strict=True):
        assert torch.equal(a, b)


# --- the adjoint method ---------------------------------------------------------------------------------------------


def test_adjoint_refuses_a_second_derivative_and_names_what_can() -> None:
    case = CASES["data_and_weights_by_turns"]
    inputs = leaves(case)
    values = expectation_of(case, METHODS["adjoint"])(*inputs)
    with pytest.raises(RuntimeError, match=r"only once\s+differentiable\. Use Native\(\)"):
        torch.autograd.grad(values.sum(), inputs, create_graph=True)
    assert METHODS["adjoint"].capabilities.derivative_order == 1
    assert METHODS["auto"].capabilities.derivative_order is None


@pytest.mark.parametrize("name", sorted(set(CASES) - set(UNITARY_CASES)))
def test_adjoint_is_right_or_refuses_what_is_not_unitary(name: str) -> None:
    case = CASES[name]
    try:
        found = gradients_of(case, METHODS["adjoint"])
    except (ValueError, RuntimeError) as error:
        assert "Native" in str(error)  # noqa: PT017 - the other outcome is as good
        return
    for ours, plain in zip(found, gradients_of(case, METHODS["autograd"]), strict=True):
        assert_close(ours, plain, SAME_GRADIENT)
