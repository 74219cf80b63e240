"""Small circuits in one compiled call: the same numbers as the oracle and as tensor operations, whoever asks how."""

import copy
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from torch import Tensor

from circuits import Circuit, X, Y, Z, ansatzes, data, feature_maps, weight
from qml.backends import Native
from qml.nn import QuantumLayer
from qml.simulator.jit import instructions as columns
from qml.simulator.jit import lowering
from qml.simulator.jit import values as kernel_values
from qml.simulator.plan import Request
from qml.simulator.routes import EXPECTATIONS
from qml.simulator.routes.kernel import MIN_WIDE_BATCH, KernelRoute, find_kernel, find_state_kernel
from qml.simulator.routes.register import RegisterRoute, find_register
from qml.simulator.routes.route import ExpectationRoute
from tests import oracle
from tests.helpers import assert_close, rounded, tensors, tolerance
from tests.strategies import Case, Recipe, build, examples, recipes

ALGEBRA = 1e-12  # float64, a dozen gates
OBSERVABLES = [Z(0) @ X(2) + 0.5 * Y(1), Z(2), 2.0 * X(0) @ Y(1) @ Z(2) - 1.5 * Y(0)]
COMPILED, PLAIN = Native(compiled=True), Native(compiled=False)


@pytest.fixture
def needs_numba() -> None:
    pytest.importorskip("numba")


def mixed_circuit() -> Circuit:
    """Build a circuit with every kind of instruction, and with slots that several gates share."""
    circuit = Circuit(3).h(0).ry(data(0), 1).rx(weight(0), 2).cx(0, 2)
    circuit.rzz(data(1), 0, 1).rxx(weight(1), 2, 0).p(weight(0), 1).cz(1, 2).swap(0, 1).rz(data(0), 2).rx(0.3, 2)
    return circuit.rx(weight(2), 0, controls=(2,)).ryy(data(1), 1, 2).u3(weight(1), weight(2), 0.4, 1).y(0)


def case(batch: int, dtype: torch.dtype = torch.float64) -> tuple[Circuit, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(batch)
    circuit = mixed_circuit()
    inputs = torch.randn(batch, circuit.n_data, dtype=dtype, generator=generator, requires_grad=True)
    weights = torch.randn(circuit.n_weights, dtype=dtype, generator=generator, requires_grad=True)
    return circuit, inputs, weights


def answer(backend: Native, circuit: Circuit, inputs: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Compute values, and the gradients of a sum in which they have weights of their own."""
    values = backend.expectation(circuit, inputs, weights, OBSERVABLES)
    scale = torch.linspace(0.3, 1.7, values.numel(), dtype=values.dtype).reshape(values.shape)
    return values, *torch.autograd.grad((values * scale).sum(), [inputs, weights])


def deep(n_qubits: int, n_layers: int) -> Circuit:
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(data(qubit), qubit)
    for layer in range(n_layers):
        for qubit in range(n_qubits):
            slot = 2 * (layer * n_qubits + qubit)
            circuit.ry(weight(slot), qubit).rz(weight(slot + 1), qubit)
        for qubit in range(n_qubits):
            circuit.cx(qubit, (qubit + layer % (n_qubits - 1) + 1) % n_qubits)
    return circuit


# --- values and first derivatives -------------------------------------------------------------------------------------


def require_right(case: Case) -> None:
    """Compare values with the oracle's, and first derivatives with those of the tensor route."""
    inputs, weights = (part.requires_grad_() for part in tensors(case))
    expected = oracle.expectation(case.circuit, case.data, case.weights, case.observables)
    results = []
    for backend in (COMPILED, Native(method="autograd")):
        values = backend.expectation(case.circuit, inputs, weights, case.observables)
        assert_close(values, expected, ALGEBRA)
        scale = torch.linspace(0.3, 1.7, values.numel(), dtype=values.dtype).reshape(values.shape)
        loss = (values * scale).sum() + 0.0 * (inputs.sum() + weights.sum())
        results.append(torch.autograd.grad(loss, [inputs, weights]))
    for found, plain in zip(*results, strict=True):
        torch.testing.assert_close(found, plain, atol=10 * ALGEBRA, rtol=0)


@pytest.mark.usefixtures("needs_numba")
@examples(60)
@given(recipes(min_batch=1))
def test_values_and_gradients_of_any_circuit_are_right(recipe: Recipe) -> None:
    require_right(build(recipe))


@pytest.mark.usefixtures("needs_numba")
@examples(40)
@given(recipes(min_batch=1))
def test_states_and_their_gradients_are_right(recipe: Recipe) -> None:
    case = build(recipe)
    inputs, weights = (part.requires_grad_() for part in tensors(case))
    request = Request(2, None, shared_data=len(inputs) == 1, batch=2, compiled=True)
    route = find_state_kernel(case.circuit, request)
    if route is None:
        return
    plain = find_register(case.circuit, request)
    results = []
    for one in (route, plain):
        states = one.state(inputs, weights)
        scale = torch.linspace(0.3, 1.7, states.numel(), dtype=torch.float64).reshape(states.shape)
        loss = (scale * (0.3 * states.real + states.imag)).sum() + 0.0 * (inputs.sum() + weights.sum())
        first = torch.autograd.grad(loss, [inputs, weights], create_graph=True)
        results.append((states, *first, *torch.autograd.grad(loss, [inputs, weights])))
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, atol=10 * ALGEBRA, rtol=0)


LEVEL_KINDS = ("x", "z", "h", "s", "ry", "rz", "rx", "p", "rzz", "cx", "cz", "swap")  # what levels are made of


@pytest.mark.usefixtures("needs_numba")
@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=recipes(LEVEL_KINDS, min_batch=MIN_WIDE_BATCH, max_batch=MIN_WIDE_BATCH + 3, max_steps=20))
def test_levels_of_rotations_and_phases_are_right(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "_least", lambda writers: writers[-1])  # the levels, where there are any
    require_right(build(recipe))


@pytest.mark.usefixtures("needs_numba")
@pytest.mark.parametrize("n_qubits", [3, 6, 10])
@pytest.mark.parametrize("batch", [8, 40], ids=["block", "blocks"])
def test_levels_agree_with_tensor_operations(n_qubits: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "_least", lambda writers: writers[-1])
    circuit = Circuit(n_qubits)
    for layer in range(3):  # at 10 qubits 40 samples are two blocks, of two sizes
        for qubit in range(n_qubits):
            slot = 2 * (n_qubits * layer + qubit)
            circuit.rz(data(qubit), qubit).ry(weight(slot), qubit).rz(weight(slot + 1), qubit).ry(data(layer), qubit)
        for qubit in range(n_qubits):
            circuit.cx(qubit, (qubit + 1 + layer % (n_qubits - 1)) % n_qubits).s(qubit)
            circuit.rzz(weight(qubit), qubit, (qubit + 1) % n_qubits)
    observables = [Z(0) @ X(2) + 0.5 * Y(1), Z(n_qubits - 1), Y(0) @ Y(2)]
    request = Request(2, tuple(one.terms for one in observables), False, MIN_WIDE_BATCH, compiled=True)
    route = find_kernel(circuit, request)
    assert route is not None
    assert {columns.PHASED, columns.TURN, columns.PAIR} <= set(route.instructions.table[:, columns.KIND])
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch, n_qubits, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.randn(circuit.n_weights, dtype=torch.float64, generator=generator, requires_grad=True)
    results = []
    for backend in (COMPILED, PLAIN):
        values = backend.expectation(circuit, inputs, weights, observables)
        scale = torch.linspace(0.3, 1.7, values.numel(), dtype=values.dtype).reshape(values.shape)
        results.append((values, *torch.autograd.grad((values * scale).sum(), [inputs, weights])))
    for found, plain in zip(*results, strict=True):
        torch.testing.assert_close(found, plain, atol=1e-10, rtol=0)


@pytest.mark.usefixtures("needs_numba")
@pytest.mark.parametrize("batch", [1, 3, 40], ids=["one", "few", "blocks"])
@pytest.mark.parametrize("is_real", [True, False], ids=["real", "complex"])
def test_amplitudes_at_the_start_have_exact_derivatives(batch: int, is_real: bool) -> None:
    circuit = Circuit(8).prepare_slots([data(k) for k in range(4)], (6, 1)).prepare([0.6, 0.8], (3,))
    for layer in range(2):
        for qubit in range(8):
            circuit.ry(weight(8 * layer + qubit), qubit)
            if not is_real:
                circuit.rz(weight(16 + qubit), qubit)
        for qubit in range(8):
            circuit.cx(qubit, (qubit + 1 + layer) % 8)
    assert find_kernel(circuit, Request(2, (Z(0).terms,), False, 2, compiled=True)) is not None
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.randn(circuit.n_weights, dtype=torch.float64, generator=generator, requires_grad=True)
    results = []
    for backend in (COMPILED, Native(method="autograd")):
        amplitudes = torch.nn.functional.normalize(inputs)
        values = backend.expectation(circuit, amplitudes, weights, [Z(0), X(2) @ Z(6), Y(1) @ Y(3)])
        first = torch.autograd.grad((values**2).sum(), [inputs, weights], create_graph=True)
        second = torch.autograd.grad(torch.stack([part.square().sum() for part in first]).sum(), [inputs, weights])
        results.append((values, *first, *second))
    for found, plain in zip(*results, strict=True):
        torch.testing.assert_close(found, plain, atol=1e-10, rtol=1e-11)


@pytest.mark.usefixtures("needs_numba")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("by_levels", [True, False], ids=["levels", "blocks"])
@pytest.mark.parametrize("size", [1e-3, 3.0, 1e3, 1e15])
def test_angles_of_any_size_have_their_sines(
    size: float, by_levels: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lowering, "_least", lambda writers: writers[-1 if by_levels else 0])
    angles = torch.cat([torch.linspace(-size, size, 29, dtype=dtype), torch.pi / 4 * torch.arange(-9, 10).to(dtype)])
    inputs = angles[:, None].requires_grad_()
    circuit = Circuit(1).h(0).rz(data(0), 0)
    values = COMPILED.expectation(circuit, inputs, torch.zeros(0, dtype=dtype), [X(0), Y(0)])
    (slopes,) = torch.autograd.grad(values[:, 0].sum(), inputs)
    exact = angles.detach().double().numpy()
    expected = np.stack([np.cos(exact), np.sin(exact), -np.sin(exact)], 1)
    found = torch.cat([values, slopes], 1).detach().numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12 if dtype == torch.float64 else 1e-6, rtol=0)


@pytest.mark.usefixtures("needs_numba")
@pytest.mark.parametrize("is_complex", [True, False], ids=["complex", "real"])
def test_many_amplitudes_of_samples_reach_their_rows(is_complex: bool) -> None:
    n_amplitudes = 64  # several tiles
    generator = torch.Generator().manual_seed(0)
    parts = torch.randn(37, 2 if is_complex else 1, n_amplitudes, dtype=torch.float64, generator=generator)
    parts = parts / parts.square().sum((1, 2), keepdim=True).sqrt()
    order = torch.randperm(parts[0].numel(), generator=generator)  # the slot of each amplitude, real parts first
    inputs = torch.empty(37, len(order), dtype=torch.float64)
    inputs[:, order] = parts.flatten(1)
    circuit = Circuit(6).prepare_slots([data(int(k)) for k in order], range(6))
    values = COMPILED.expectation(
        circuit, inputs, torch.zeros(0, dtype=torch.float64), [Z(q) for q in range(6)] + [Y(5)]
    )
    signs = torch.stack([1.0 - 2.0 * (torch.arange(n_amplitudes) >> (5 - q) & 1) for q in range(6)], 1)
    pairs = torch.complex(parts[:, 0], parts[:, -1] if is_complex else 0.0 * parts[:, 0]).unflatten(1, (32, 2))
    along_y = 2.0 * (pairs[..., 0].conj() * pairs[..., 1]).imag.sum(1, keepdim=True)
    expected = torch.cat([parts.square().sum(1) @ signs.double(), along_y], 1)
    torch.testing.assert_close(values, expected, atol=1e-13, rtol=0)


@pytest.mark.usefixtures("needs_numba")
@examples(20)
@given(recipes(min_batch=1))
def test_single_precision_is_as_exact_as_it_can_be(recipe: Recipe) -> None:
    case = rounded(build(recipe), torch.float32)
    values = COMPILED.expectation(case.circuit, *tensors(case, torch.float32), case.observables)
    assert values.dtype == torch.float32
    assert_close(
        values,
        oracle.expectation(case.circuit, case.data, case.weights, case.observables),
        tolerance(case, torch.float32),
    )


@pytest.mark.usefixtures("needs_numba")
@pytest.mark.parametrize("batch", [1, 2, 37, 1100], ids=["one", "few", "odd", "blocks"])
def test_batches_of_every_size_agree(batch: int) -> None:
    arguments = case(batch)  # 1100 samples of 8 amplitudes are two blocks, of two sizes
    for found, plain in zip(answer(COMPILED, *arguments), answer(PLAIN, *arguments), strict=True):
        torch.testing.assert_close(found, plain, atol=batch * ALGEBRA, rtol=0)


@pytest.mark.usefixtures("needs_numba")
def test_an_empty_batch_has_empty_values_and_zero_gradients() -> None:
    values, of_inputs, of_weights = answer(COMPILED, *case(0))
    assert values.shape == (0, 3)
    assert of_inputs.shape == (0, 2)
    assert_close(of_weights, np.zeros(3), 0.0)


@pytest.mark.usefixtures("needs_numba")
def test_samples_that_cannot_differ_are_computed_once_and_lie_apart() -> None:
    circuit = Circuit(2).ry(weight(0), 0).cx(0, 1)
    weights = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    values = COMPILED.expectation(circuit, torch.zeros(5, 0, dtype=torch.float64), weights, [Z(1)])
    values.sum().backward()
    assert_close(values, np.full((5, 1), np.cos(0.4)), ALGEBRA)
    assert_close(weights.grad, [-5 * np.sin(0.4)], ALGEBRA)
    values.detach()[0] = 7.0
    assert values[1].item() != 7.0


@pytest.mark.usefixtures("needs_numba")
def test_qubits_that_nothing_touches_read_zero() -> None:
    circuit = Circuit(4).ry(weight(0), 2)
    weights = torch.tensor([0.4], dtype=torch.float64)
    observables = [Z(0), X(1), Z(0) @ Z(2), X(3) @ Z(2), Z(3)]
    values = COMPILED.expectation(circuit, torch.zeros(1, 0, dtype=torch.float64), weights, observables)
    assert_close(values, [[1.0, 0.0, np.cos(0.4), 0.0, 1.0]], ALGEBRA)
    assert_close(COMPILED.expectation(Circuit(2), torch.zeros(2, 0), torch.zeros(0), [Z(1)]), [[1.0], [1.0]], 0.0)


@pytest.mark.usefixtures("needs_numba")
def test_states_survive_a_second_backward_pass() -> None:
    circuit, inputs, weights = case(3)
    values = COMPILED.expectation(circuit, inputs, weights, OBSERVABLES)
    first = torch.autograd.grad(values.sum(), [inputs, weights], retain_graph=True)
    second = torch.autograd.grad(values.sum(), [inputs, weights])
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)


@pytest.mark.usefixtures("needs_numba")
def test_gradients_are_given_only_to_those_who_want_them() -> None:
    circuit, inputs, weights = case(4)
    (of_weights,) = torch.autograd.grad(
        COMPILED.expectation(circuit, inputs.detach(), weights, OBSERVABLES).sum(), weights
    )
    (of_inputs,) = torch.autograd.grad(
        COMPILED.expectation(circuit, inputs, weights.detach(), OBSERVABLES).sum(), inputs
    )
    both = torch.autograd.grad(COMPILED.expectation(circuit, inputs, weights, OBSERVABLES).sum(), [inputs, weights])
    torch.testing.assert_close((of_inputs, of_weights), both, atol=ALGEBRA, rtol=0)


# --- derivatives of other kinds ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("needs_numba")
def test_second_derivatives_are_right() -> None:
    circuit, inputs, weights = case(2)

    def function(inputs: Tensor, weights: Tensor) -> Tensor:
        return COMPILED.expectation(circuit, inputs, weights, OBSERVABLES)

    assert torch.autograd.gradcheck(function, (inputs, weights))
    assert torch.autograd.gradgradcheck(function, (inputs, weights))


@pytest.mark.usefixtures("needs_numba")
def test_derivatives_of_a_constant_are_zero_also_with_a_graph() -> None:
    circuit, weights = Circuit(2).ry(weight(0), 0).cx(0, 1), torch.ones(1, dtype=torch.float64, requires_grad=True)
    values = COMPILED.expectation(circuit, torch.zeros(1, 0, dtype=torch.float64), weights, [Z(0) @ Z(1)])
    (first,) = torch.autograd.grad(values.sum(), weights, create_graph=True)
    assert_close(first, [0.0], ALGEBRA)


@pytest.mark.usefixtures("needs_numba")
def test_a_third_derivative_is_that_of_the_formula() -> None:
    circuit = Circuit(2).ry(weight(0), 0).cx(0, 1)
    weights = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    value = COMPILED.expectation(circuit, torch.zeros(1, 0, dtype=torch.float64), weights, [Z(0) @ X(1) + Z(1)]).sum()
    for _ in range(3):
        (value,) = torch.autograd.grad(value, weights, create_graph=True)
    assert_close(value, [np.sin(0.4)], ALGEBRA)


@pytest.mark.usefixtures("needs_numba")
def test_transforms_of_torch_func_work() -> None:
    circuit, inputs, weights = (part.detach() if isinstance(part, Tensor) else part for part in case(3))

    def of(backend: Native, one: Tensor, weights: Tensor) -> Tensor:
        return backend.expectation(circuit, one[None], weights, OBSERVABLES)[0].sin().sum()

    for transform in (
        lambda backend: torch.func.vmap(lambda one: of(backend, one, weights))(inputs),
        lambda backend: torch.func.vmap(torch.func.grad(lambda one: of(backend, one, weights)))(inputs),
        lambda backend: torch.func.hessian(lambda angles: of(backend, inputs[0], angles))(weights),
        lambda backend: torch.func.jvp(lambda angles: of(backend, inputs[0], angles), (weights,), (weights,))[1],
        lambda backend: torch.autograd.functional.jvp(lambda a: of(backend, inputs[0], a), weights, weights)[1],
    ):
        torch.testing.assert_close(transform(COMPILED), transform(PLAIN), atol=ALGEBRA, rtol=1e-10)


@pytest.mark.usefixtures("needs_numba")
def test_many_gradients_at_once_are_right() -> None:
    circuit, inputs, weights = case(2)
    values = COMPILED.expectation(circuit, inputs, weights, OBSERVABLES).reshape(-1)
    rows = torch.eye(len(values), dtype=values.dtype)
    (many,) = torch.autograd.grad(values, weights, rows, is_grads_batched=True, retain_graph=True)
    one_by_one = [torch.autograd.grad(value, weights, retain_graph=True)[0] for value in values]
    torch.testing.assert_close(many, torch.stack(one_by_one), atol=ALGEBRA, rtol=0)


@pytest.mark.usefixtures("needs_numba")
def test_the_adjoint_method_refuses_a_second_derivative() -> None:
    circuit, inputs, weights = case(2)
    backend = Native(method="adjoint", compiled=True)
    for found, plain in zip(answer(backend, circuit, inputs, weights), answer(PLAIN, *case(2)), strict=True):
        torch.testing.assert_close(found, plain, atol=ALGEBRA, rtol=0)
    values = backend.expectation(circuit, inputs, weights, OBSERVABLES)
    with pytest.raises(RuntimeError, match="only once"):
        torch.autograd.grad(values.sum(), weights, create_graph=True)


@pytest.mark.usefixtures("needs_numba")
def test_single_qubits_run_as_groups_with_weights_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """<Z> behind RY(w) RY(x) is cos(w + x): values, gradients, a second derivative, and under `torch.vmap`."""
    calls: list[tuple[int, ...]] = []
    real = KernelRoute.copies

    def watched(route: KernelRoute, data: Tensor, weights: Tensor, *, method: Any) -> Tensor:
        calls.append(tuple(weights.shape))
        return real(route, data, weights, method=method)

    monkeypatch.setattr(KernelRoute, "copies", watched)
    circuit = Circuit(7)
    for qubit in range(7):
        circuit.ry(weight(6 - qubit), qubit).ry(data(qubit), qubit)
    generator = torch.Generator().manual_seed(7)
    inputs = torch.randn(9, 7, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.randn(3, 7, dtype=torch.float64, generator=generator, requires_grad=True)
    scale = torch.randn(3, 9, 7, dtype=torch.float64, generator=generator)

    def run(angles: Tensor) -> Tensor:
        return Native().expectation(circuit, inputs, angles, [Z(qubit) for qubit in range(7)])

    expected = torch.cos(inputs + weights.flip(1)[:, None])
    for values in (torch.vmap(run)(weights), torch.stack([run(row) for row in weights])):
        torch.testing.assert_close(values, expected, rtol=0, atol=ALGEBRA)
        pairs = [
            torch.autograd.grad((part * scale).sum(), [inputs, weights], create_graph=True)
            for part in (values, expected)
        ]
        for found, wanted in zip(*pairs, strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=ALGEBRA)
        seconds = [torch.autograd.grad(first[1].square().sum(), inputs)[0] for first in pairs]
        torch.testing.assert_close(*seconds, rtol=0, atol=ALGEBRA)
    assert calls == [(7, 1)] * 4


# --- layers and threads -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("needs_numba")
def test_layers_are_copied_pickled_and_exported() -> None:
    layer = QuantumLayer(mixed_circuit(), [Z(0), Y(2)], backend=COMPILED)
    inputs = torch.linspace(-1, 1, 8).reshape(4, 2)
    expected = layer(inputs)
    expected.sum().backward()
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(other(inputs), expected)
    exported = torch.export.export(layer, (inputs,)).module()
    torch.testing.assert_close(exported(inputs), expected)


@pytest.mark.usefixtures("needs_numba")
def test_threads_that_share_a_circuit_get_the_same_numbers() -> None:
    arguments = case(20)
    expected = answer(COMPILED, *arguments)
    wrong: list[int] = []

    def work(number: int) -> None:
        for _ in range(30):
            if not all(map(torch.equal, answer(COMPILED, *arguments), expected)):
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- the choice -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("needs_numba")
def test_the_planner_takes_the_kernel_where_it_is_quicker() -> None:
    circuit, terms = deep(8, 20), (Z(0).terms,)
    small = Request(2, terms, shared_data=True, batch=1, compiled=None)
    assert isinstance(EXPECTATIONS.planned(circuit, small)[0], KernelRoute)
    never = Request(2, terms, shared_data=True, batch=1)
    assert isinstance(EXPECTATIONS.planned(circuit, never)[0], RegisterRoute)
    wide = Circuit(2).ry(data(0), 0).cx(0, 1)
    for _ in range(20):
        wide.rx(data(0), 0).ry(data(1), 0)
    many = Request(2, (X(0).terms,), shared_data=False, batch=2048, compiled=None)
    assert isinstance(EXPECTATIONS.planned(wide, many)[0], RegisterRoute)


@pytest.mark.usefixtures("needs_numba")
def test_the_route_keeps_the_contract() -> None:
    assert isinstance(route_of(deep(3, 2)), ExpectationRoute)


def route_of(circuit: Circuit, *, levels: int = 2) -> KernelRoute | None:
    return find_kernel(circuit, Request(levels, (Z(0).terms,), shared_data=False, batch=2, compiled=True))


def test_circuits_that_the_kernel_does_not_take_have_no_route_there() -> None:
    assert route_of(Circuit(2).h(0).post_select(0, 1)) is None
    assert route_of(Circuit(1).h(0), levels=4) is None
    assert route_of(Circuit(19).h(0)) is None
    shift = np.roll(np.eye(32), 1, axis=0)
    assert route_of(Circuit(5).h(0).unitary(shift, tuple(range(5)))) is None  # a matrix of side 32


@pytest.mark.usefixtures("needs_numba")
@pytest.mark.parametrize("n_qubits", [16, 18])
def test_wide_registers_in_small_blocks_are_what_the_register_computes(n_qubits: int) -> None:
    """Eleven samples are a block of eight and one of three, in registers that leave the caches."""
    generator = torch.Generator().manual_seed(16)
    circuit = feature_maps.angle(n_qubits).compose(ansatzes.strongly_entangling(n_qubits, 1))
    inputs = torch.rand(11, n_qubits, generator=generator, dtype=torch.float64)
    weights = torch.rand(circuit.n_weights, generator=generator, dtype=torch.float64)
    observables = [Z(0), X(n_qubits - 1) @ Y(2)]
    results = []
    for backend in (COMPILED, Native(compiled=False)):
        own = [inputs.clone().requires_grad_(), weights.clone().requires_grad_()]
        values = backend.expectation(circuit, *own, observables)
        results.append([values, *torch.autograd.grad(values.square().sum(), own)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.usefixtures("needs_numba")
def test_what_cannot_be_compiled_is_refused_where_that_is_demanded() -> None:
    inputs, weights = torch.zeros(2, 0), torch.zeros(0)
    with pytest.raises(NotImplementedError, match=r"compiled=True\) must run unitary circuits of at most 18 qubits"):
        COMPILED.expectation(Circuit(2).h(0).post_select(0, 1), inputs, weights, [Z(1)])
    with pytest.raises(ValueError, match=r'must have the method "auto" or "adjoint"'):
        Native(method="autograd", compiled=True)
    with pytest.raises(ValueError, match="state vectors"):
        Native(representation="density", compiled=True)


@pytest.mark.plain
def test_the_switch_is_true_false_or_none() -> None:
    with pytest.raises(TypeError, match="`compiled` must be True or False"):
        Native(compiled="yes")  # pyright: ignore[reportArgumentType]


def test_without_numba_the_numbers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = answer(Native(), *case(3))
    arguments = case(3)
    monkeypatch.setitem(sys.modules, "numba", None)
    kernel_values.load_kernels.cache_clear()
    try:
        assert route_of(arguments[0]) is None
        for found, before in zip(answer(Native(), *arguments), expected, strict=True):
            torch.testing.assert_close(found, before, atol=ALGEBRA, rtol=0)
        with pytest.raises(ImportError, match=r'needs numba. Install it with: pip install "qml-circuits\[fast\]"'):
            COMPILED.expectation(*arguments, OBSERVABLES)
    finally:
        monkeypatch.undo()
        kernel_values.load_kernels.cache_clear()


PROGRAM = """
import sys, torch
from circuits import Circuit, Z, weight
from qml.backends import Native
circuit, weights = Circuit(2).ry(weight(0), 0).cx(0, 1), torch.tensor([0.4], requires_grad=True)
print("numba" in sys.modules)
value = Native(compiled={compiled}).expectation(circuit, torch.zeros(1, 0), weights, [Z(1)])
print("numba" in sys.modules, f"{{value.item():.4f}}")
"""


def test_numba_is_imported_at_the_first_use() -> None:
    root = Path(__file__).parents[1]
    program = PROGRAM.format(compiled=False)
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True).stdout
    assert out.split() == ["False", "False", "0.9211"]


def test_a_folder_that_cannot_be_written_to_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    from qml.simulator.jit import compiling

    def refusing(*, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")  # as numba does at decoration
        return numba_njit(**options)

    numba_njit = compiling.njit
    monkeypatch.setattr(compiling, "njit", refusing)
    assert compiling.kernel(lambda x: x + 1)(2) == 3
