import copy
import math
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from circuits import Circuit, Z, classifier, data, weight
from qml.backends import Native
from qml.nn import QNNClassifier, farhi_neven_loss, hinge_loss, logistic_loss, superposition_loss
from qml.simulator import engine
from qml.simulator.routes.choice import RouteChoice
from qml.simulator.routes.register import find_register
from tests import oracle
from tests.minimal_backend import OracleBackend

FLOAT64 = 1e-10  # algebra in float64 over some hundred gates


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def all_bits(n: int) -> torch.Tensor:
    return torch.tensor([[(k >> (n - 1 - j)) & 1 for j in range(n)] for k in range(2**n)], dtype=torch.float64)


@pytest.mark.parametrize("pattern", ["zx", "xx", "zxy", "yzxz"])
@pytest.mark.parametrize("n_inputs", [1, 3, 6])
def test_prediction_equals_the_oracle_below_and_above_the_size_that_factorises(pattern: str, n_inputs: int) -> None:
    model = QNNClassifier(n_inputs, pattern, dtype=torch.float64)
    nn.init.uniform_(model.weights, -2.0, 2.0, generator=seeded(1))
    inputs = torch.rand(3, n_inputs, dtype=torch.float64, generator=seeded(2))
    expected = oracle.expectation(
        model.circuit, (math.pi * inputs).numpy(), model.weights.detach().numpy(), model.observables
    )
    np.testing.assert_allclose(model(inputs).detach().numpy(), expected[:, 0], atol=FLOAT64)


def test_large_factorised_classifier_equals_the_state_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    model = QNNClassifier(11, "zxy", dtype=torch.float64)
    nn.init.uniform_(model.weights, -1.0, 1.0, generator=seeded(1))
    inputs = torch.rand(4, 11, dtype=torch.float64, generator=seeded(2))
    factorised = model(inputs)
    (gradient,) = torch.autograd.grad(factorised.sum(), model.weights)
    monkeypatch.setattr(engine, "EXPECTATIONS", RouteChoice(find_register, refusal=""))
    dense = model(inputs)
    (dense_gradient,) = torch.autograd.grad(dense.sum(), model.weights)
    torch.testing.assert_close(factorised, dense, atol=FLOAT64, rtol=0)
    torch.testing.assert_close(gradient, dense_gradient, atol=FLOAT64, rtol=0)


def test_785_qubits_run_and_their_gradient_is_that_of_a_finite_difference() -> None:
    model = QNNClassifier(784, "zxzx", dtype=torch.float64, generator=seeded())
    inputs = torch.rand(2, 784, dtype=torch.float64, generator=seeded(1))
    (gradient,) = torch.autograd.grad(model(inputs).sum(), model.weights)
    step, index = 1e-5, 1000
    values = []
    for sign in (1, -1):
        shifted = copy.deepcopy(model)
        with torch.no_grad():
            shifted.weights[index] += sign * step
        values.append(shifted(inputs).sum().item())
    # central difference: error step**2 / 6 * third derivative (at most 8 * 2) plus rounding 1e-16 / step
    assert gradient[index].item() == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("n_classes", [3, 4, 6])
def test_class_logits_are_log_probabilities_of_the_readouts_outcomes(n_classes: int) -> None:
    model = QNNClassifier(3, "zxy", n_classes=n_classes, dtype=torch.float64)
    nn.init.uniform_(model.weights, -1.0, 1.0, generator=seeded(3))
    inputs = torch.rand(5, 3, dtype=torch.float64, generator=seeded(4))
    n_readouts = model.circuit.n_qubits - 3
    turned = model.circuit.copy()
    for qubit in range(3, 3 + n_readouts):
        turned.sdg(qubit).h(qubit)  # the Y basis: +1 reads 0
    expected = oracle.probabilities(
        turned, (math.pi * inputs).numpy(), model.weights.detach().numpy(), tuple(range(3, 3 + n_readouts))
    )
    np.testing.assert_allclose(model(inputs).exp().detach().numpy(), expected[:, :n_classes], atol=FLOAT64)


def test_exact_parity_and_majority_circuits_are_right_on_every_string() -> None:
    bits = all_bits(7)
    parity = QNNClassifier(7, circuit=classifier.parity_circuit(7, [0, 2, 5]), dtype=torch.float64)
    majority = QNNClassifier(7, circuit=classifier.majority_circuit(7, [1, 3, 4]), dtype=torch.float64)
    chosen = 1 - 2 * bits
    torch.testing.assert_close(parity(bits), chosen[:, [0, 2, 5]].prod(1), atol=FLOAT64, rtol=0)
    assert (majority(bits).sign() == chosen[:, [1, 3, 4]].sum(1).sign()).all()


def test_any_boolean_label_is_represented_exactly() -> None:
    labels = torch.where(torch.rand(16, generator=seeded(5)) < 0.5, -1.0, 1.0).double()
    model = QNNClassifier(4, circuit=classifier.label_circuit(4, labels.int().tolist()), dtype=torch.float64)
    torch.testing.assert_close(model(all_bits(4)), labels, atol=FLOAT64, rtol=0)


def test_states_of_basis_strings_are_predicted_as_their_bits() -> None:
    model = QNNClassifier(3, "zxy", dtype=torch.float64, generator=seeded())
    nn.init.uniform_(model.weights, -1.0, 1.0, generator=seeded(6))
    identity = torch.eye(8, dtype=torch.float64)
    torch.testing.assert_close(model.expectation_of_states(identity), model(all_bits(3)), atol=FLOAT64, rtol=0)
    turned = identity.to(torch.complex128) * 1j
    torch.testing.assert_close(model.expectation_of_states(turned), model(all_bits(3)), atol=FLOAT64, rtol=0)


def test_superposition_of_labels_averages_where_the_circuit_is_diagonal() -> None:
    model = QNNClassifier(3, "zz", dtype=torch.float64)
    nn.init.uniform_(model.weights, -1.0, 1.0, generator=seeded(7))
    chosen = torch.tensor([0, 3, 6])
    amplitudes = torch.zeros(1, 8, dtype=torch.float64)
    amplitudes[0, chosen] = 3**-0.5
    expected = model(all_bits(3)[chosen]).mean()
    torch.testing.assert_close(model.expectation_of_states(amplitudes)[0], expected, atol=FLOAT64, rtol=0)


def test_training_on_label_superpositions_learns_a_parity() -> None:
    bits = all_bits(3)
    labels = (1 - 2 * bits[:, :2]).prod(1)
    states = torch.stack([(labels == sign).double() for sign in (1.0, -1.0)])
    states = states / states.norm(dim=1, keepdim=True)
    model = QNNClassifier(3, "zx", dtype=torch.float64)
    # start near a solution, not at it
    nn.init.normal_(model.weights, 0.3, 0.1, generator=seeded(8))
    optimizer = torch.optim.Adam([model.weights], lr=0.05)
    losses = []
    for _ in range(120):
        optimizer.zero_grad()
        predictions = model.expectation_of_states(states)
        loss = superposition_loss(predictions[0], predictions[1])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.1


def test_another_backend_gives_the_same_prediction_and_gradient() -> None:
    model = QNNClassifier(3, "zx", dtype=torch.float64, generator=seeded())
    inputs = torch.rand(4, 3, dtype=torch.float64, generator=seeded(1))
    native = model(inputs)
    (gradient,) = torch.autograd.grad(native.sum(), model.weights)
    other = model.to_backend(OracleBackend())(inputs)
    (other_gradient,) = torch.autograd.grad(other.sum(), model.weights)
    torch.testing.assert_close(native, other, atol=FLOAT64, rtol=0)
    torch.testing.assert_close(gradient, other_gradient, atol=1e-9, rtol=0)  # shifts by finite angles add rounding


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (0,), (2, 0, 4)])
def test_any_leading_shape_is_kept(shape: tuple[int, ...]) -> None:
    assert QNNClassifier(6, "zx")(torch.rand(*shape, 6)).shape == shape
    assert QNNClassifier(6, "zx", n_classes=3)(torch.rand(*shape, 6)).shape == (*shape, 3)


def test_non_contiguous_inputs_and_copies_give_the_same_numbers() -> None:
    model = QNNClassifier(6, "zxzx", generator=seeded())
    inputs = torch.rand(6, 7, generator=seeded(1)).mT
    expected = model(inputs.contiguous())
    restored = QNNClassifier(6, "zxzx")
    restored.load_state_dict(model.state_dict())
    for twin in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model)), restored):
        torch.testing.assert_close(twin(inputs), expected, atol=0, rtol=0)


def test_gradients_of_inputs_and_weights_are_right_to_second_order() -> None:
    model = QNNClassifier(6, "zx", dtype=torch.float64, generator=seeded())
    inputs = torch.rand(2, 6, dtype=torch.float64, generator=seeded(1), requires_grad=True)
    weights = model.weights.detach().clone().requires_grad_(True)

    def predict(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(model, {"weights": w}, (x,))

    assert torch.autograd.gradcheck(predict, (inputs, weights))
    assert torch.autograd.gradgradcheck(predict, (inputs, weights))


def test_building_a_layer_leaves_the_global_generator_alone() -> None:
    before = torch.random.get_rng_state()
    QNNClassifier(4, generator=seeded())
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_lowers_a_known_high_loss_and_learns_majority() -> None:
    bits = all_bits(5)
    labels = (1 - 2 * bits).sum(1).sign()
    model = QNNClassifier(5, "z", dtype=torch.float64)
    nn.init.constant_(model.weights, -0.1)  # every vote counts against its label
    assert farhi_neven_loss(model(bits), labels).item() > 1.3
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        logistic_loss(model(bits), labels).backward()
        optimizer.step()
    assert (model(bits).sign() == labels).all()


def test_labels_are_looked_at_inside_gradients_of_torch_func() -> None:
    """Labels 0 and 1 would be a wrong loss without a word."""
    prediction, labels = torch.rand(4, generator=torch.Generator().manual_seed(0)), torch.tensor([0.0, 1.0, 1.0, 0.0])
    for loss in (hinge_loss, logistic_loss, farhi_neven_loss):
        with pytest.raises(ValueError, match=r"`labels` must hold -1 and \+1 only"):
            torch.func.grad(loss)(prediction, labels)
        found = torch.func.grad(loss)(prediction, 2 * labels - 1)
        expected = torch.autograd.functional.jacobian(lambda p, loss=loss: loss(p, 2 * labels - 1), prediction)
        torch.testing.assert_close(found, expected)


def test_losses_have_their_closed_forms() -> None:
    prediction, labels = torch.tensor([0.5, -0.25]), torch.tensor([1.0, 1.0])
    assert farhi_neven_loss(prediction, labels).item() == pytest.approx((0.5 + 1.25) / 2)
    assert hinge_loss(prediction, labels, margin=0.5).item() == pytest.approx(0.75 / 2)
    expected = (math.log1p(math.exp(-1.0)) + math.log1p(math.exp(0.5))) / 2
    assert logistic_loss(prediction, labels, scale=2.0).item() == pytest.approx(expected, abs=1e-6)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="`n_classes` must be at least 2"):
        QNNClassifier(4, n_classes=1)
    with pytest.raises(ValueError, match="`n_inputs` must be at least 1"):
        QNNClassifier(0)
    with pytest.raises(ValueError, match="`pattern` must be letters x, y and z"):
        QNNClassifier(4, "zq")
    with pytest.raises(ValueError, match=r"`inputs` must have shape \(..., 4\), but has shape \(3, 5\)"):
        QNNClassifier(4)(torch.rand(3, 5))
    with pytest.raises(ValueError, match="must have 4 data slots, one a feature, but has 1"):
        QNNClassifier(4, circuit=Circuit(2).ry(data(0), 0).rz(weight(0), 1))
    with pytest.raises(ValueError, match="must be finite"):
        QNNClassifier(2)(torch.tensor([[0.1, math.nan]]))
    with pytest.raises(ValueError, match="must hold -1 and \\+1 only"):
        farhi_neven_loss(torch.zeros(2), torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match="must be None for more than two classes"):
        QNNClassifier(2, n_classes=3, observable=Z(0))
    with pytest.raises(ValueError, match="`backend` must be one of native"):
        QNNClassifier(2, backend="nativ")
    with pytest.raises(ValueError, match="norm"):
        QNNClassifier(1, "z").expectation_of_states(torch.ones(1, 2))


def test_own_circuit_and_observable_are_used() -> None:
    circuit = Circuit(2).ry(data(0), 0).cx(0, 1).ry(weight(0), 1)
    model = QNNClassifier(1, circuit=circuit, observable=Z(1), backend=Native(method="autograd"), dtype=torch.float64)
    expected = torch.cos(math.pi * torch.tensor([0.3], dtype=torch.float64)) * torch.cos(model.weights)
    torch.testing.assert_close(model(torch.tensor([[0.3]], dtype=torch.float64)), expected, atol=FLOAT64, rtol=0)
