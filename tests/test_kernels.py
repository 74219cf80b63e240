import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from circuits import Circuit, X, Z, channels, data, feature_maps, polynomials, weight
from qml.backends import Aer, Native, PennyLane
from qml.kernels import FidelityKernel, NystroemFeatures, ProjectedKernel, nearest_positive, target_alignment
from qml.kernels.components import components
from qml.kernels.nystroem import _inverse_root
from qml.nn import Angles, QuantumLayer
from tests.oracle import state_of
from tests.strategies import examples

DOUBLE = torch.float64


def entangled() -> Circuit:
    """Three qubits with shared data slots, weights, and an upward CX; one qubit stays apart."""
    circuit = Circuit(4).ry(data(0), 0).ry(data(1), 3).rx(data(2), 2).cx(3, 0)
    circuit.ry(weight(0), 0).rx(weight(1), 3, controls=[0]).rz(weight(0), 2)
    circuit.p(weight(1), 0).p(data(1), 3, controls=[0]).u3(data(2), weight(0), 0.4, 2)
    return circuit.rzz(data(0), 0, 3).rx(data(1), 0)  # after the weights, which would cancel in a fidelity otherwise


def samples(n_samples: int, n_inputs: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2.0 * torch.randn(n_samples, n_inputs, generator=generator, dtype=DOUBLE)


def kernel(circuit: Circuit, **options: object) -> FidelityKernel:
    return FidelityKernel(circuit, dtype=DOUBLE, generator=torch.Generator().manual_seed(1), **options)


def by_hand(made: FidelityKernel, rows: Tensor, columns: Tensor) -> np.ndarray:
    """Compute |<x|x'>|^2 from the states of the oracle, one pair at a time."""

    def state(row: Tensor) -> np.ndarray:
        return state_of(made.feature_map, row.numpy(), made.weights.detach().numpy())

    return np.array([[abs(np.vdot(state(row), state(column))) ** 2 for column in columns] for row in rows])


@pytest.mark.parametrize("circuit", [entangled(), feature_maps.angle(3)], ids=["entangled", "product"])
def test_fidelities_are_those_of_the_oracle(circuit: Circuit) -> None:
    made, rows, columns = kernel(circuit), samples(4), samples(2, seed=1)
    np.testing.assert_allclose(made(rows, columns).detach(), by_hand(made, rows, columns), atol=1e-12)
    np.testing.assert_allclose(made(rows).detach(), by_hand(made, rows, rows), atol=1e-12)


@pytest.mark.parametrize("backend", [PennyLane("default.qubit"), Aer(), Native(method="adjoint")], ids=repr)
def test_pairs_of_circuits_give_the_fidelities_of_states(backend: object) -> None:
    made, rows, columns = kernel(entangled()), samples(3), samples(2, seed=1)
    expected = [made(rows).detach(), made(rows, columns).detach()]
    made.to_backend(backend)
    np.testing.assert_allclose(made(rows).detach(), expected[0], atol=1e-10)
    np.testing.assert_allclose(made(rows, columns).detach(), expected[1], atol=1e-10)


def test_gradients_of_pairs_are_those_of_states_also_where_samples_are_equal() -> None:
    rows = samples(3)
    rows[2] = rows[0]
    gradients = []
    for backend in (Native(), PennyLane("default.qubit")):
        made, inputs = kernel(entangled(), backend=backend), rows.clone().requires_grad_()
        entries = torch.arange(9, dtype=DOUBLE).reshape(3, 3)
        (made(inputs) * entries).sum().backward()
        gradients.append((inputs.grad, made.weights.grad))
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=0.0)
        assert bool(ours.abs().max() > 1e-3)


def test_derivatives_of_first_and_second_order() -> None:
    made = kernel(entangled())
    rows, columns = samples(2).requires_grad_(), samples(2, seed=1)

    def gram(rows: Tensor, weights: Tensor) -> Tensor:
        return torch.func.functional_call(made, {"weights": weights}, (rows, columns))

    arguments = (rows, made.weights)
    assert torch.autograd.gradcheck(gram, arguments)
    assert torch.autograd.gradgradcheck(gram, arguments)


@dataclass
class Counting:
    """A backend that counts the circuits it is asked for."""

    counts: list[int] = field(default_factory=list)
    name = "counting"

    @property
    def capabilities(self) -> object:
        return Native(method="adjoint").capabilities

    def expectation(self, circuit: Circuit, data: Tensor, weights: Tensor, observables: object) -> Tensor:
        raise NotImplementedError

    def probabilities(self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: object = None) -> Tensor:
        self.counts.append(len(data))
        return Native().probabilities(circuit, data, weights)

    def sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        *,
        qubits: object = None,
        generator: object = None,
    ) -> object:
        raise NotImplementedError


def test_a_matrix_is_one_call_and_equal_pairs_are_sent_once() -> None:
    backend = Counting()
    made, rows = kernel(entangled(), backend=backend), samples(5)
    made(rows)
    assert backend.counts == [10]  # pairs of five different samples
    rows[4] = rows[0]
    gram = made(rows)
    assert backend.counts == [10, 6]  # of four
    assert float(gram.detach()[0, 4]) == 1.0
    made(rows, rows[:2])
    assert backend.counts[2] == 5  # (0,1), (2,0), (2,1), (3,0), (3,1)


def test_components_are_the_circuit() -> None:
    parts = components(entangled())
    assert sorted(part.circuit.n_qubits for part in parts) == [1, 2]
    assert sum(len(part.circuit) for part in parts) == len(entangled())


def test_a_product_map_of_a_hundred_features() -> None:
    rows = samples(3, 100) / 20
    gram = kernel(feature_maps.angle(100))(rows).detach()
    expected = torch.cos((rows[:, None] - rows[None]) / 2).square().prod(-1)
    torch.testing.assert_close(gram, expected, atol=1e-12, rtol=0.0)


def test_blocks_of_states_make_the_same_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    made, rows, columns = kernel(entangled()), samples(7), samples(5, seed=1)
    expected = made(rows), made(rows, columns)
    monkeypatch.setattr("qml.kernels.fidelity.STATES_AT_ONCE", 8)
    for gram, other in zip((made(rows), made(rows, columns)), expected, strict=True):
        torch.testing.assert_close(gram, other, atol=1e-14, rtol=0.0)


@given(st.integers(0, 3), st.integers(0, 3), st.sampled_from([torch.float32, DOUBLE]))
@examples(10)
def test_sizes_and_precisions(n_rows: int, n_columns: int, dtype: torch.dtype) -> None:
    for backend in ("native", "pennylane"):
        made = FidelityKernel(entangled(), dtype=dtype, backend=backend)
        gram = made(samples(n_rows).to(dtype), samples(n_columns, seed=1).to(dtype))
        assert gram.shape == (n_rows, n_columns)
        assert gram.dtype == dtype
        assert made(samples(n_rows).to(dtype)).shape == (n_rows, n_rows)


def test_angles_are_computed_by_the_module_in_front() -> None:
    layer = nn.Linear(2, 3, dtype=DOUBLE)
    rows = samples(4, 2)
    plain, fronted = kernel(entangled()), kernel(entangled(), angles=layer)
    torch.testing.assert_close(fronted(rows), plain(layer(rows)))
    torch.testing.assert_close(
        ProjectedKernel(feature_maps.angle(3), angles=layer, dtype=DOUBLE)(rows),
        ProjectedKernel(feature_maps.angle(3), dtype=DOUBLE)(layer(rows)),
    )
    with pytest.raises(ValueError, match="angles"):
        kernel(entangled(), angles=nn.Linear(2, 2, dtype=DOUBLE))(rows)


def test_a_computed_circuit_brings_its_angles() -> None:
    made, rows = feature_maps.zz(3), samples(4)
    apart: dict[str, Any] = {"angles": Angles(made.angles, dtype=DOUBLE), "dtype": DOUBLE}
    torch.testing.assert_close(FidelityKernel(made, dtype=DOUBLE)(rows), FidelityKernel(made.circuit, **apart)(rows))
    torch.testing.assert_close(ProjectedKernel(made, dtype=DOUBLE)(rows), ProjectedKernel(made.circuit, **apart)(rows))
    for kind in (FidelityKernel, ProjectedKernel):
        with pytest.raises(ValueError, match="`angles` must be None for a ComputedCircuit"):
            kind(made, angles=nn.Linear(3, 6))


@pytest.mark.parametrize("backend", ["native", "pennylane"])
def test_the_projected_kernel_is_a_gaussian_of_distances(backend: str) -> None:
    made = ProjectedKernel(
        entangled(), gamma=0.3, dtype=DOUBLE, backend=backend, generator=torch.Generator().manual_seed(1)
    )
    rows, columns = samples(4), samples(2, seed=1)
    states = [
        [state_of(made.layer.circuit, row.numpy(), made.layer.weights.detach().numpy()) for row in part]
        for part in (rows, columns)
    ]

    def density(state: np.ndarray, qubit: int) -> np.ndarray:
        moved = np.moveaxis(state.reshape(2, 2, 2, 2), qubit, 0).reshape(2, 8)
        return moved @ moved.conj().T

    distances = [
        [sum(np.linalg.norm(density(left, q) - density(right, q)) ** 2 for q in range(4)) for right in states[1]]
        for left in states[0]
    ]
    expected = np.exp(-0.3 * 2.0 * np.array(distances))
    np.testing.assert_allclose(made(rows, columns).detach(), expected, atol=1e-10)


def test_alignment_of_kernels_that_are_known() -> None:
    labels = torch.tensor([1.0, 1.0, -1.0, 1.0, -1.0])
    ideal = labels[:, None] * labels[None]
    assert float(target_alignment(ideal, labels)) == pytest.approx(1.0)
    assert float(target_alignment(-ideal, labels, centred=False)) == pytest.approx(-1.0)
    assert float(target_alignment(torch.eye(5), labels, centred=False)) == pytest.approx(1 / math.sqrt(5))
    three = torch.tensor([0, 1, 2])
    assert float(target_alignment(1.5 * torch.eye(3) - 0.5, three)) == pytest.approx(1.0)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("value", [0.1, 1 / 3, 0.97])
def test_a_constant_kernel_has_no_alignment_however_its_means_round(value: float, dtype: torch.dtype) -> None:
    for n_samples in (3, 7, 50):
        gram = torch.full((n_samples, n_samples), value, dtype=dtype)
        with pytest.raises(ValueError, match="entries that differ"):
            target_alignment(gram, torch.arange(n_samples) % 2)
    gram[0, 1] = gram[1, 0] = value + 1e-3  # which is more than rounding
    assert float(target_alignment(gram, torch.arange(n_samples) % 2)) < 0.0


def test_training_raises_the_alignment_of_a_kernel() -> None:
    generator = torch.Generator().manual_seed(3)
    rows = torch.rand(24, 2, generator=generator, dtype=DOUBLE) * math.pi
    labels = torch.sign(rows[:, 0] - rows[:, 1])
    circuit = Circuit(2)
    for layer in range(2):
        circuit.ry(data(0), 0).ry(data(1), 1).ry(weight(3 * layer), 0).ry(weight(3 * layer + 1), 1)
        circuit.rx(weight(3 * layer + 2), 1, controls=[0])
    made = kernel(circuit)
    optimiser = torch.optim.Adam(made.parameters(), 0.1)
    alignments = []
    for _ in range(30):
        optimiser.zero_grad()
        alignment = target_alignment(made(rows), labels)
        (-alignment).backward()
        optimiser.step()
        alignments.append(float(alignment.detach()))
    assert alignments[-1] > alignments[0] + 0.1


def test_nystroem_meets_the_kernel_at_its_landmarks() -> None:
    made, rows = kernel(feature_maps.angle(2)), samples(30, 2)
    features = NystroemFeatures(made, rows[:20])(rows)
    gram = made(rows)
    torch.testing.assert_close(features[:20] @ features.mT, gram[:20], atol=1e-6, rtol=0.0)
    # A product of two qubits has 9 independent functions, so that 20 landmarks span them.
    torch.testing.assert_close(features @ features.mT, gram, atol=1e-6, rtol=0.0)


def test_nystroem_has_derivatives_where_landmarks_are_equal_or_orthogonal() -> None:
    """Eigenvalues are equal there, so that derivatives of eigenvectors do not exist; those of features do."""
    first, second = polynomials.inputs(2)
    angles = Angles([polynomials.weight_of(0) * first, polynomials.weight_of(1) * second], initial=[1.0, 1.0])
    made = FidelityKernel(feature_maps.angle(2), angles=angles.double(), dtype=DOUBLE)
    rows, pi = samples(5, 2), math.pi
    for landmarks in ([[0.0, 0.0], [pi, 0.0], [0.0, pi], [pi, pi]], [[0.3, 1.0], [0.3, 1.0], [2.0, 0.1]]):
        features = NystroemFeatures(made, torch.tensor(landmarks, dtype=DOUBLE))

        def score(weights: Tensor, features: NystroemFeatures = features) -> Tensor:
            values = torch.func.functional_call(features, {"kernel.angles.weights": weights}, (rows,))
            return (values @ values.mT)[0, 1:].sum()

        weights = torch.ones(2, dtype=DOUBLE, requires_grad=True)
        (gradient,) = torch.autograd.grad(score(weights), weights)
        steps = 1e-4 * torch.eye(2, dtype=DOUBLE)
        with torch.no_grad():
            slopes = torch.stack([(score(weights + step) - score(weights - step)) / 2e-4 for step in steps])
        torch.testing.assert_close(gradient, slopes, atol=1e-6, rtol=0.0)  # third derivatives times the step squared
        shifted = [(torch.func.grad(score)(weights + step), torch.func.grad(score)(weights - step)) for step in steps]
        bends = torch.stack([(above - below) / 2e-4 for above, below in shifted]).detach()
        for hessian in (torch.func.hessian(score)(weights), torch.autograd.functional.hessian(score, weights)):
            torch.testing.assert_close(hessian, bends, atol=1e-6, rtol=0.0)


def test_the_inverse_root_has_derivatives_of_both_orders() -> None:
    matrix = (samples(4, 6) @ samples(4, 6).mT).requires_grad_()

    def symmetric(values: Tensor) -> Tensor:
        return _inverse_root((values + values.mT) / 2)

    assert torch.autograd.gradcheck(symmetric, matrix)
    assert torch.autograd.gradgradcheck(symmetric, matrix)
    equal = torch.eye(3, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(symmetric, equal, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(symmetric, equal, check_fwd_over_rev=True)


def test_nystroem_keeps_its_precision_under_autocast() -> None:
    rows = samples(12, 2).float()
    features = NystroemFeatures(FidelityKernel(feature_maps.angle(2)), rows[:6])
    expected = features(rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(features(rows), expected)
        assert features(rows.bfloat16()).dtype == torch.float32


def test_a_map_without_inputs_and_an_empty_batch() -> None:
    constant = kernel(Circuit(2).h(0).cx(0, 1), backend="pennylane")
    assert torch.equal(constant(samples(3, 0), samples(2, 0)), torch.ones(3, 2, dtype=DOUBLE))
    assert constant(samples(0, 0)).shape == (0, 0)
    for backend in ("native", "pennylane"):
        rows = samples(0, 3).requires_grad_()
        kernel(entangled(), backend=backend)(rows, samples(2)).sum().backward()
        assert rows.grad is not None


def test_nystroem_in_float32_leaves_out_rounding_alone() -> None:
    """Two equal landmarks make the matrix singular; the other directions all count, small ones too."""
    rows = samples(30, 2)
    rows[1] = rows[0]
    single = FidelityKernel(feature_maps.zz(2), dtype=torch.float32)
    features = NystroemFeatures(single, rows.float())(rows.float())
    # A direction that is left out has at most 30 eps of the largest eigenvalue, itself at most 30.
    bound = 30 * torch.finfo(torch.float32).eps * 30
    torch.testing.assert_close(features @ features.mT, single(rows.float()), atol=bound, rtol=0.0)


def test_repair_removes_negative_eigenvalues_and_nothing_else() -> None:
    vectors = torch.linalg.qr(samples(4, 4))[0]
    values = torch.tensor([-0.3, 0.1, 0.5, 2.0], dtype=DOUBLE)
    repaired = nearest_positive((vectors * values) @ vectors.mT)
    torch.testing.assert_close(torch.linalg.eigvalsh(repaired), values.clamp_min(0.0), atol=1e-12, rtol=0.0)
    good = made = repaired + torch.eye(4, dtype=DOUBLE)
    torch.testing.assert_close(nearest_positive(good), made, atol=1e-12, rtol=0.0)


def test_repair_keeps_its_precision_under_autocast() -> None:
    vectors = torch.linalg.qr(samples(4, 4))[0].float()
    gram = (vectors * torch.tensor([-0.3, 0.0, 0.5, 2.0])) @ vectors.mT
    expected = (vectors * torch.tensor([0.0, 0.0, 0.5, 2.0])) @ vectors.mT
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=dtype):
            repaired = nearest_positive(gram)
        torch.testing.assert_close(repaired, expected, atol=1e-6, rtol=0.0)  # float32


@pytest.mark.plain
def test_bad_input_is_refused_by_name() -> None:
    made, rows = kernel(entangled()), samples(3)
    noisy = Circuit(1).ry(data(0), 0).noise(channels.depolarizing(0.1), [0])
    with pytest.raises(ValueError, match=r"`feature_map` must be unitary, .* Put noise into the backend"):
        FidelityKernel(noisy)
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(batch, inputs\)"):
        made(rows[0])
    with pytest.raises(ValueError, match="others"):
        made(rows, rows[:, :2])
    with pytest.raises(ValueError, match="NaN"):
        made(rows * math.nan)
    with pytest.raises(ValueError, match=r"`gamma` must be above 0"):
        ProjectedKernel(entangled(), [X(0)], gamma=0.0)
    gram, labels = made(rows).detach(), torch.tensor([1, -1, 1])
    for call, message in (
        (lambda: target_alignment(gram, labels[:2]), "one label a row"),
        (lambda: target_alignment(gram, labels.abs()), "two classes or more"),
        (lambda: target_alignment(torch.ones(3, 3), labels), "entries that differ"),
        (lambda: target_alignment(gram * math.nan, labels), "NaN"),
        (lambda: nearest_positive(gram[:2]), "square matrix"),
        (lambda: nearest_positive(gram.triu()), "symmetric"),
        (lambda: nearest_positive(gram.bfloat16()), r"Pass gram\.float"),
        (lambda: NystroemFeatures(made, rows[:0]), "with one or more"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.plain
def test_a_layer_is_no_feature_map() -> None:
    with pytest.raises(TypeError, match=r"must be a Circuit"):
        FidelityKernel(QuantumLayer(entangled(), [Z(0)]))
