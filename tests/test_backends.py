"""Every exact backend on every circuit against the oracle, and the contract that backends and layers share."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from jaxtyping import TypeCheckError
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from torch import Tensor, nn

from circuits import Circuit, Observable, Z, weight
from qml.backends import Aer, Backend, Native, PennyLane, Qiskit, Samples, resolve
from qml.nn import QNNClassifier
from tests import oracle, peers
from tests.helpers import assert_close, is_likely, rounded, tensors, tolerance
from tests.minimal_backend import OracleBackend
from tests.named import BUILDERS, CASES, UNITARY_CASES, named_case
from tests.strategies import (
    MID_CIRCUIT_KINDS,
    NOISE_KINDS,
    UNITARY_KINDS,
    Case,
    Recipe,
    build,
    examples,
    recipes,
)

# A new exact backend gets one line here.
BACKENDS: dict[str, Backend] = {
    "native": Native(),
    "native plain": Native(method="autograd"),
    "native adjoint": Native(method="adjoint"),
    "native in tensors": Native(compiled=False),
    "native density": Native(representation="density"),
    "native density plain": Native(method="autograd", representation="density"),
    "oracle": OracleBackend(),
    "aer": Aer(),
    "aer packed": Aer(pack=2),
    "qiskit": Qiskit(estimator=StatevectorEstimator(), sampler=StatevectorSampler()),
    "pennylane": PennyLane(),
    "lightning": PennyLane("lightning.qubit"),
    "pennylane mixed": PennyLane("default.mixed"),
}
NATIVES = [name for name in BACKENDS if name.startswith("native")]
DTYPES = [torch.float64, torch.float32]


def has_noise(circuit: Circuit) -> bool:
    return any(operation.is_noise for operation in circuit.operations)


def assert_agree_with_oracle(names: Iterable[str], case: Case, dtype: torch.dtype) -> None:
    """Expectation values and probabilities as the oracle has them, in the dtype of the inputs."""
    names = [name for name in names if BACKENDS[name].capabilities.noise or not has_noise(case.circuit)]
    case = rounded(case, dtype)
    qubits = list(range(case.circuit.n_qubits))[::-2]  # not all, and not in order
    expected = oracle.expectation(*case), oracle.probabilities(*case[:3], qubits)
    atol = tolerance(case, dtype)
    for name in names:
        values = BACKENDS[name].expectation(case.circuit, *tensors(case, dtype), case.observables)
        found = BACKENDS[name].probabilities(case.circuit, *tensors(case, dtype), qubits)
        assert values.dtype == found.dtype == dtype
        assert_close(values, expected[0], atol)
        assert_close(found, expected[1], atol)


# --- agreement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_agrees_with_oracle_on_named_circuits(backend: str, name: str, dtype: torch.dtype) -> None:
    assert_agree_with_oracle([backend], CASES[name], dtype)


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("build_circuit", BUILDERS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_agrees_with_oracle_on_no_and_on_one_sample(backend: str, build_circuit: Any, batch: int) -> None:
    assert_agree_with_oracle([backend], named_case(build_circuit, batch), torch.float64)


@pytest.mark.parametrize("batch", [2, 7, 8, 33])
@pytest.mark.parametrize("backend", ["native", "native density"])
def test_backend_agrees_with_oracle_on_batches_of_every_size(backend: str, batch: int) -> None:
    for circuit in BUILDERS[3:9]:
        assert_agree_with_oracle([backend], named_case(circuit, batch), torch.float64)


@examples(300)
@given(recipes())
def test_native_agrees_with_oracle_on_random_unitary_circuits(recipe: Recipe) -> None:
    case = build(recipe)
    for dtype in DTYPES:
        assert_agree_with_oracle(NATIVES, case, dtype)


@examples(200)
@given(recipes((*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS), max_qubits=4))
def test_native_agrees_with_oracle_on_random_circuits_of_every_kind(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    for dtype in DTYPES:
        assert_agree_with_oracle(NATIVES, case, dtype)


@examples(150)
@given(recipes())
def test_native_agrees_with_pennylane_and_qiskit_on_random_unitary_circuits(recipe: Recipe) -> None:
    case = build(recipe)
    values = Native().expectation(case.circuit, *tensors(case), case.observables)
    assert_close(values, peers.qiskit_expectation(*case), tolerance(case, torch.float64))
    assert_close(values, peers.pennylane_expectation(*case), tolerance(case, torch.float64))


@examples(100)
@given(recipes((*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS), max_qubits=4))
def test_native_agrees_with_qiskit_on_random_circuits_of_every_kind(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case))
    values = Native().expectation(case.circuit, *tensors(case), case.observables)
    assert_close(values, peers.qiskit_expectation(*case), tolerance(case, torch.float64))


@pytest.mark.parametrize("name", UNITARY_CASES)
def test_native_state_is_the_oracle_state_up_to_a_phase(name: str) -> None:
    case = UNITARY_CASES[name]
    states = Native().state(case.circuit, *tensors(case)).numpy()
    for state, sample in zip(states, case.data, strict=True):
        expected = oracle.state_of(case.circuit, sample, case.weights)
        assert_close(np.outer(state, state.conj()), np.outer(expected, expected.conj()), 1e-10)


def test_a_planted_fault_in_a_backend_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(OracleBackend):
        def expectation(self, circuit: Circuit, *inputs: Any) -> Tensor:
            return super().expectation(Circuit(circuit.n_qubits).compose(circuit).rz(1e-3, 0), *inputs)

    monkeypatch.setitem(BACKENDS, "faulty", Faulty())
    with pytest.raises(AssertionError, match="Mismatched elements"):
        assert_agree_with_oracle(["faulty"], CASES["upward_cx"], torch.float64)


# --- inputs of every form -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_observables_give_no_columns(backend: str) -> None:
    case = CASES["one_qubit"]
    assert BACKENDS[backend].expectation(case.circuit, *tensors(case), []).shape == (3, 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_constant_and_empty_observables_have_their_value(backend: str) -> None:
    case = CASES["one_slot_everywhere"]
    sums = [Observable(((2.5, ()),)), Observable(()), 0.0 * Z(0), Z(1) - Z(1) + 1.0]
    values = BACKENDS[backend].expectation(case.circuit, *tensors(case), sums)
    assert_close(values, [[2.5, 0.0, 0.0, 1.0]] * 3, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_probabilities_default_to_all_qubits_in_order(backend: str) -> None:
    case = CASES["qubits_far_apart"]
    found = BACKENDS[backend].probabilities(case.circuit, *tensors(case))
    assert_close(found, oracle.probabilities(*case[:3], range(6)), 1e-10)
    assert_close(found.sum(1), np.ones(3), 1e-10)


@pytest.mark.parametrize("backend", NATIVES)
def test_inputs_need_not_be_contiguous(backend: str) -> None:
    case = CASES["data_and_weights_by_turns"]
    values, weights = tensors(case)
    wide = torch.stack([values, -values], -1)[..., 0]
    spread = torch.stack([weights, -weights], -1)[:, 0]
    assert not wide.is_contiguous()
    found = BACKENDS[backend].expectation(case.circuit, wide, spread, case.observables)
    assert_close(found, oracle.expectation(*case), 1e-10)


@pytest.mark.parametrize("backend", NATIVES)
def test_result_does_not_depend_on_what_ran_before(backend: str) -> None:
    """The plan is cached: neither batch, dtype nor observables of an earlier call may leak."""
    case = CASES["long_pauli_strings"]
    first = BACKENDS[backend].expectation(case.circuit, *tensors(case), case.observables)
    BACKENDS[backend].expectation(case.circuit, *tensors(case, torch.float32), case.observables[:1])
    one = case._replace(data=case.data[:1])
    BACKENDS[backend].expectation(case.circuit, *tensors(one), case.observables[::-1])
    again = BACKENDS[backend].expectation(case.circuit, *tensors(case), case.observables)
    assert torch.equal(first, again)


def test_a_circuit_that_grows_after_a_call_is_planned_anew() -> None:
    circuit = Circuit(2).ry(weight(0), 0)
    inputs = torch.zeros(1, 0), torch.tensor([0.3])
    before = Native().expectation(circuit, *inputs, [Z(1)])
    circuit.cx(0, 1)
    after = Native().expectation(circuit, *inputs, [Z(1)])
    assert_close(before, [[1.0]], 1e-6)
    assert_close(after, [[np.cos(0.3)]], 1e-6)


def test_equal_structure_with_other_constants_is_another_circuit() -> None:
    for angle in (0.2, 0.9, -0.2):
        circuit = Circuit(1).ry(angle, 0).ry(weight(0), 0)
        values = Native().expectation(circuit, torch.zeros(1, 0), torch.tensor([0.1]), [Z(0)])
        assert_close(values, [[np.cos(angle + 0.1)]], 1e-6)


def test_result_changes_neither_inputs_nor_circuit() -> None:
    case = CASES["amplitudes_from_data"]
    inputs = tensors(case)
    copies, operations = [tensor.clone() for tensor in inputs], case.circuit.operations
    Native().expectation(case.circuit, *inputs, case.observables)
    assert torch.equal(inputs[0], copies[0])
    assert torch.equal(inputs[1], copies[1])
    assert case.circuit.operations == operations


def test_batch_is_the_samples_one_by_one() -> None:
    case = named_case(BUILDERS[6], 5)
    values, weights = tensors(case)
    whole = Native().expectation(case.circuit, values, weights, case.observables)
    singly = [Native().expectation(case.circuit, row[None], weights, case.observables) for row in values]
    assert_close(whole, torch.cat(singly), 1e-12)


# --- the contract ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_satisfies_the_protocol(backend: str) -> None:
    assert isinstance(BACKENDS[backend], Backend)
    assert resolve(BACKENDS[backend]) is BACKENDS[backend]


def test_something_else_is_no_backend() -> None:
    assert not isinstance(object(), Backend)
    with pytest.raises((TypeError, TypeCheckError), match="backend"):
        resolve(object())  # pyright: ignore[reportArgumentType]


def test_names_are_shorthands() -> None:
    assert resolve("native") == Native()


def test_unknown_name_lists_the_names() -> None:
    with pytest.raises(ValueError, match=r"must be one of .*native.*, but is 'nativ'"):
        resolve("nativ")


def test_misspelt_option_is_refused() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'methods'"):
        Native(methods="adjoint")  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("method", BACKENDS)
def test_shots_have_the_declared_shape(method: str) -> None:
    case = CASES["qubits_far_apart"]
    samples = BACKENDS[method].sample(case.circuit, *tensors(case), 5, qubits=[4, 0])
    assert isinstance(samples, Samples)
    assert samples.qubits.shape == (3, 5, 2)
    assert samples.bits.shape == (3, 5, 0)
    assert samples.qubits.dtype == torch.int8


class Layer(nn.Module):
    """What every layer of the package is at heart: angles in, read-outs out, by any backend."""

    def __init__(self, circuit: Circuit, observables: list[Observable], *, backend: Backend | str) -> None:
        super().__init__()
        self.circuit, self.observables, self.backend = circuit, observables, resolve(backend)
        self.weights = nn.Parameter(torch.linspace(-1, 1, circuit.n_weights, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.backend.expectation(self.circuit, torch.pi * inputs, self.weights, self.observables)


@pytest.mark.parametrize(
    "name", ["data_and_weights_by_turns", "controlled_rotations", "one_slot_everywhere", "damping_noise", "resets"]
)
def test_layer_trained_on_native_runs_unchanged_on_the_minimal_backend(name: str) -> None:
    case = CASES[name]
    inputs = torch.tensor(case.data) / torch.pi
    ours = Layer(case.circuit, case.observables, backend="native")
    optimizer = torch.optim.SGD(ours.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        ours(inputs).square().mean().backward()
        optimizer.step()
    other = Layer(case.circuit, case.observables, backend=OracleBackend())
    other.load_state_dict(ours.state_dict())
    gradients = []
    for layer in (ours, other):
        leaf = inputs.clone().requires_grad_()
        layer.zero_grad()
        layer(leaf).square().sum().backward()
        gradients.append((leaf.grad, layer.weights.grad))
    assert_close(ours(inputs), other(inputs), 1e-10)
    assert_close(gradients[0][0], gradients[1][0], 1e-9)
    assert_close(gradients[0][1], gradients[1][1], 1e-9)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifier_runs_unchanged_on_the_minimal_backend(n_classes: int) -> None:
    inputs = torch.rand(4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = QNNClassifier(3, "zxy", n_classes=n_classes, dtype=torch.float64)
    other = QNNClassifier(3, "zxy", n_classes=n_classes, backend=OracleBackend(), dtype=torch.float64)
    other.load_state_dict(ours.state_dict())
    for layer in (ours, other):
        layer(inputs).square().sum().backward()
    assert_close(other(inputs), ours(inputs), 1e-10)
    assert_close(other.weights.grad, ours.weights.grad, 1e-9)


def test_minimal_backend_refuses_a_second_derivative() -> None:
    weights = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    values = OracleBackend().expectation(Circuit(1).ry(weight(0), 0), torch.zeros(1, 0).double(), weights, [Z(0)])
    with pytest.raises(RuntimeError, match=r"only once differentiable.*Use Native\(\)"):
        torch.autograd.grad(values.sum(), weights, create_graph=True)
