"""The classifiers of arXiv:2403.07059 beside PennyLane programs and dense matrices written from its formulas."""

import math
from collections.abc import Callable
from itertools import combinations

import numpy as np
import pennylane as pl
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn

from qml.nn import (
    CircuitCentricClassifier,
    DataReuploadingClassifier,
    DressedQuantumCircuit,
    IQPClassifier,
    QCNNClassifier,
    QuantumBoltzmannClassifier,
    QuantumMetricLearner,
    SeparableClassifier,
    TreeTensorClassifier,
    load_layer,
    save_layer,
)

DOUBLE = torch.float64
MAKERS: dict[str, Callable[..., nn.Module]] = {
    "circuit-centric": lambda n=5, **options: CircuitCentricClassifier(n, 3, **options),
    "re-uploading": lambda n=5, **options: DataReuploadingClassifier(n, 3, n_readouts=2, **options),
    "dressed": lambda n=5, **options: DressedQuantumCircuit(n, n_qubits=3, n_layers=2, **options),
    "iqp": lambda n=4, **options: IQPClassifier(n, 2, n_repetitions=2, **options),
    "qcnn": lambda n=4, **options: QCNNClassifier(n, **options),
    "metric": lambda n=2, **options: QuantumMetricLearner(n, 2, n_examples=3, **options),
    "boltzmann": lambda n=3, **options: QuantumBoltzmannClassifier(n, n_visible=2, **options),
    "separable": lambda n=3, **options: SeparableClassifier(n, 2, **options),
    "tree": lambda n=5, **options: TreeTensorClassifier(n, **options),
}
ON_CIRCUITS = [name for name in MAKERS if name != "boltzmann"]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def made(name: str, *sizes: int, **options: object) -> nn.Module:
    return MAKERS[name](*sizes, **{"dtype": DOUBLE, "generator": seeded(1), **options})


def samples(layer: nn.Module, n_samples: int = 4) -> tuple[Tensor, Tensor]:
    n_inputs = layer.n_inputs
    inputs = torch.randn(n_samples, n_inputs, dtype=DOUBLE, generator=seeded(2))
    return inputs, torch.where(torch.arange(n_samples) % 3 == 0, 1.0, -1.0).to(DOUBLE)


def padded(row: np.ndarray, size: int) -> np.ndarray:
    full = np.concatenate([row, np.full(size - len(row), 1.0 / size)])
    return full / np.linalg.norm(full)


def circuit_centric(layer: CircuitCentricClassifier, row: np.ndarray) -> float:
    amplitudes = padded(row, 8)
    weights = layer.weights.detach().numpy().reshape(3, 6, 3)

    @pl.qnode(pl.device("default.qubit", wires=6))
    def node() -> object:
        pl.StatePrep(np.kron(amplitudes, amplitudes), wires=range(6))
        pl.StronglyEntanglingLayers(weights, wires=range(6))
        return pl.expval(pl.PauliZ(0))

    return float(node()) + 0.01


def reuploading(layer: DataReuploadingClassifier, row: np.ndarray) -> float:
    scales = layer.scales.detach().numpy().reshape(4, 2, 3)
    angles = layer.weights.detach().numpy().reshape(4, 2, 3)
    features = np.concatenate([row, [0.0]]).reshape(2, 3)

    @pl.qnode(pl.device("default.qubit", wires=2))
    def node() -> object:
        for level in range(3):
            for wire in range(2):
                pl.Rot(*(scales[level, wire] * features[wire]), wires=wire)
                pl.Rot(*angles[level, wire], wires=wire)
            if level % 2 == 0:
                pl.CZ(wires=[0, 1])
        for wire in range(2):
            pl.Rot(*(scales[3, wire] * features[wire] + angles[3, wire]), wires=wire)
        return [pl.expval(pl.PauliZ(wire)) for wire in range(2)]

    return float(np.mean(node()))


def dressed(layer: DressedQuantumCircuit, row: np.ndarray) -> np.ndarray:
    angles = np.pi / 2 * np.tanh(layer.entry.detach().numpy() @ row)
    weights = layer.weights.detach().numpy().reshape(2, 3)

    @pl.qnode(pl.device("default.qubit", wires=3))
    def node() -> object:
        for wire in range(3):
            pl.Hadamard(wires=wire)
            pl.RY(angles[wire], wires=wire)
        for level in range(2):
            for wire in range(3):
                pl.RY(weights[level, wire], wires=wire)
            for wire in range(3):
                pl.CNOT(wires=[wire, (wire + 1) % 3])
        return [pl.expval(pl.PauliZ(wire)) for wire in range(3)]

    return layer.exit.detach().numpy() @ np.array(node())


def iqp(layer: IQPClassifier, row: np.ndarray) -> float:
    weights = layer.weights.detach().numpy().reshape(2, 4, 3)

    @pl.qnode(pl.device("default.qubit", wires=4))
    def node() -> object:
        for _ in range(2):
            for wire in range(4):
                pl.Hadamard(wires=wire)
                pl.RZ(row[wire], wires=wire)
            for i, j in combinations(range(4), 2):
                pl.MultiRZ(row[i] * row[j], wires=[i, j])
        pl.StronglyEntanglingLayers(weights, wires=range(4), imprimitive=pl.CZ)
        return pl.expval(pl.PauliZ(0) @ pl.PauliZ(1))

    return float(node())


def separable(layer: SeparableClassifier, row: np.ndarray) -> float:
    weights = layer.weights.detach().numpy().reshape(3, 3, 3)

    @pl.qnode(pl.device("default.qubit", wires=3))
    def node() -> object:
        for level in range(3):
            for wire in range(3):
                pl.Rot(*weights[level, wire], wires=wire)
                if level < 2:
                    pl.RY(row[wire], wires=wire)
        return [pl.expval(pl.PauliZ(wire)) for wire in range(3)]

    return float(np.mean(node()))


def tree(layer: TreeTensorClassifier, row: np.ndarray) -> float:
    weights = iter(layer.weights.detach().numpy())

    @pl.qnode(pl.device("default.qubit", wires=4))
    def node() -> object:
        pl.StatePrep(padded(row, 16), wires=range(4))
        for level in (1, 2):
            for wire in range(0, 4, level):
                pl.RY(next(weights), wires=wire)
            for wire in range(0, 4, 2 * level):
                pl.CNOT(wires=[wire + level, wire])
        pl.RY(next(weights), wires=0)
        return pl.expval(pl.PauliZ(0))

    return float(node()) + float(layer.bias.detach())


PAULIS = {"Z": np.diag([1.0, -1.0]), "X": np.array([[0.0, 1.0], [1.0, 0.0]])}


def on_qubits(letters: dict[int, str]) -> np.ndarray:
    result = np.eye(1)
    for qubit in range(3):
        result = np.kron(result, PAULIS[letters[qubit]] if qubit in letters else np.eye(2))
    return result


def boltzmann(layer: QuantumBoltzmannClassifier, row: np.ndarray) -> float:
    (z_fields, x_fields), couplings = layer.fields.detach().numpy() @ row, layer.couplings.detach().numpy() @ row
    hamiltonian = sum(z_fields[i] * on_qubits({i: "Z"}) + x_fields[i] * on_qubits({i: "X"}) for i in range(3))
    for number, (i, j) in enumerate(combinations(range(3), 2)):
        hamiltonian = hamiltonian + couplings[number % len(couplings)] * on_qubits({i: "Z", j: "Z"})
    state = scipy.linalg.expm(-hamiltonian / layer.temperature)
    values = [np.trace(state @ on_qubits({i: "Z"})) / np.trace(state) for i in range(2)]
    return float(np.mean(values))


def metric_states(layer: QuantumMetricLearner, rows: np.ndarray) -> np.ndarray:
    weights = layer.weights.detach().numpy().reshape(2, -1)

    @pl.qnode(pl.device("default.qubit", wires=layer.n_inputs + 1))
    def node(row: np.ndarray) -> object:
        pl.QAOAEmbedding(row, weights, wires=range(layer.n_inputs + 1), local_field="Y")
        return pl.state()

    return np.array([node(row) for row in rows])


def metric(layer: QuantumMetricLearner, row: np.ndarray) -> float:
    (state,) = metric_states(layer, row[None])
    near = [np.mean(np.abs(metric_states(layer, part).conj() @ state) ** 2) for part in layer.examples.numpy()]
    return (near[1] - near[0]) / (near[0] + near[1])


REFERENCES = {
    "circuit-centric": circuit_centric, "re-uploading": reuploading, "dressed": dressed, "iqp": iqp,
    "separable": separable, "tree": tree, "boltzmann": boltzmann,
    "metric": metric,
}  # fmt: skip


@pytest.mark.parametrize("name", REFERENCES)
def test_scores_are_those_of_the_formulas(name: str) -> None:
    layer = made(name)
    inputs, _ = samples(layer)
    expected = [REFERENCES[name](layer, row) for row in inputs.numpy()]
    np.testing.assert_allclose(layer(inputs).detach(), expected, atol=1e-10)


def test_a_machine_with_one_coupling_shares_it() -> None:
    layer = made("boltzmann", has_one_coupling=True, temperature=2.5)
    inputs, _ = samples(layer)
    assert layer.couplings.shape == (1, 3)
    np.testing.assert_allclose(layer(inputs).detach(), [boltzmann(layer, row) for row in inputs.numpy()], atol=1e-10)


def test_a_machine_whose_exponential_would_overflow() -> None:
    layer = made("boltzmann")
    inputs, _ = samples(layer)
    scores = layer(1e4 * inputs)
    assert bool((scores.abs() <= 1.0 + 1e-12).all())


@pytest.mark.parametrize("name", MAKERS)
def test_gradients_of_the_loss_in_inputs_and_parameters(name: str) -> None:
    layer = made(name)
    inputs, labels = samples(layer, 2)
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def loss(inputs: Tensor, *parameters: Tensor) -> Tensor:
        state = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(Loss(layer), {f"layer.{k}": v for k, v in state.items()}, (inputs, labels))

    arguments = (inputs.requires_grad_(), *parameters)
    assert torch.autograd.gradcheck(loss, arguments)
    assert torch.autograd.gradgradcheck(loss, arguments)


class Loss(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor, labels: Tensor) -> Tensor:
        return self.layer.loss(inputs, labels)


def test_losses_are_those_of_the_study() -> None:
    for name in MAKERS:
        layer = made(name)
        inputs, labels = samples(layer)
        f, y = layer(inputs).detach(), labels
        if name == "circuit-centric":
            expected = ((f - y) ** 2).mean() / 2
        elif name == "tree":
            expected = ((f - y) ** 2).mean()
        elif name in ("iqp", "qcnn"):
            expected = ((1 - y * f) / 2).mean()
        elif name == "separable":
            expected = -torch.log(torch.sigmoid(6 * y * f)).mean()
        elif name == "boltzmann":
            expected = -torch.log((1 + y * f) / 2).mean()
        elif name == "metric":
            states = metric_states(layer, inputs.numpy())
            gram = torch.from_numpy(np.abs(states.conj() @ states.T) ** 2)
            low, high = y < 0, y > 0
            inside = (gram[low][:, low].mean() + gram[high][:, high].mean()) / 2
            expected = 1 - inside + gram[low][:, high].mean()
        elif name == "dressed":
            expected = -torch.log_softmax(f, 1)[torch.arange(len(y)), (y > 0).long()].mean()
        else:
            z = layer.values(inputs).detach()
            weights = torch.tensor([[0.5, 1.5], [2.0, 0.25]], dtype=DOUBLE)
            t0, t1 = (1 - y) / 2, (1 + y) / 2
            terms = [
                (weights[0, j] * (1 - z[:, j]) / 2 - t0) ** 2 + (weights[1, j] * (1 + z[:, j]) / 2 - t1) ** 2
                for j in range(2)
            ]
            weighted = layer.loss(inputs, labels, weights).detach()
            torch.testing.assert_close(weighted, sum(terms).mean() / 2, atol=1e-12, rtol=0.0)
            expected = layer.loss(inputs, labels, torch.ones(2, 2, dtype=DOUBLE)).detach()
        torch.testing.assert_close(layer.loss(inputs, labels).detach(), expected, atol=1e-12, rtol=0.0)


@pytest.mark.parametrize("n_inputs", [1, 3])
def test_the_published_loss_of_the_metric_learner_pairs_samples_by_number(n_inputs: int) -> None:
    layer = QuantumMetricLearner(n_inputs, 2, has_matched_pairs=True, dtype=DOUBLE, generator=seeded(1))
    inputs, labels = samples(layer, 7)  # 3 of class +1, 4 of class -1
    states = metric_states(layer, inputs.numpy())
    gram = np.abs(states.conj() @ states.T) ** 2
    low, high = np.flatnonzero(labels < 0), np.flatnonzero(labels > 0)
    expected = np.mean([gram[a, b] for a, b in zip(low, high, strict=False)])
    np.testing.assert_allclose(layer.loss(inputs, labels).item(), expected, atol=1e-12)
    np.testing.assert_allclose(layer.loss(inputs[:1], labels[:1]).item(), 0.0, atol=0.0)  # one class has no pairs


@pytest.mark.plain
def test_the_metric_learner_remembers_samples_of_both_classes() -> None:
    layer = QuantumMetricLearner(2, n_examples=4, dtype=DOUBLE)
    inputs, labels = samples(layer, 5)  # 2 of class +1, 3 of class -1
    layer.remember(inputs, labels, seeded(3))
    for part, members in zip(layer.examples, (inputs[labels < 0], inputs[labels > 0]), strict=True):
        assert {tuple(row) for row in part.tolist()} == {tuple(row) for row in members.tolist()}
    with pytest.raises(ValueError, match="`labels` must hold both -1 and"):
        layer.remember(inputs, torch.ones(5, dtype=DOUBLE))
    with pytest.raises(ValueError, match="`labels` must hold one label a sample"):
        layer.remember(inputs, labels[:3])


@pytest.mark.parametrize("name", ON_CIRCUITS)
@pytest.mark.parametrize("backend", ["pennylane", "aer"])
def test_other_backends_give_the_same_scores(name: str, backend: str) -> None:
    layer = made(name)
    inputs, _ = samples(layer, 2)
    expected = layer(inputs).detach()
    assert layer.to_backend(backend) is layer
    np.testing.assert_allclose(layer(inputs).detach(), expected, atol=1e-10)


@pytest.mark.parametrize("name", MAKERS)
def test_shapes_and_checkpoints(name: str, tmp_path: object) -> None:
    layer = made(name)
    inputs, _ = samples(layer, 6)
    scores = layer(inputs)
    torch.testing.assert_close(layer(inputs.unflatten(0, (2, 3))).flatten(0, 1), scores)
    torch.testing.assert_close(layer(inputs[0]), scores[0])
    assert layer(inputs[:0]).shape == scores[:0].shape
    save_layer(layer, f"{tmp_path}/layer.safetensors")
    torch.testing.assert_close(load_layer(f"{tmp_path}/layer.safetensors")(inputs), scores, atol=0.0, rtol=0.0)


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ("circuit-centric", "tree")])
def test_a_small_problem_is_learned(name: str) -> None:
    """Half a plane: labels are the sign of a sum, which amplitudes of unit norm cannot tell where nothing is padded."""
    layer = made(name, 4)
    inputs = 2.0 * torch.rand(40, 4, dtype=DOUBLE, generator=seeded(5)) - 1.0
    labels = torch.sign(inputs.sum(1))
    optimiser = torch.optim.Adam(layer.parameters(), 0.1)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = layer.loss(inputs, labels)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("sizes", [2, 3])
def test_the_smallest_sizes(sizes: int) -> None:
    for layer in (
        CircuitCentricClassifier(sizes, n_copies=1),
        TreeTensorClassifier(sizes),
        DressedQuantumCircuit(sizes),
        IQPClassifier(sizes),
        QuantumBoltzmannClassifier(1),
        SeparableClassifier(1),
        DataReuploadingClassifier(1),
        QCNNClassifier(2),
    ):
        assert torch.isfinite(layer(torch.rand(3, layer.n_inputs))).all()


def test_sizes_without_registers() -> None:
    assert SeparableClassifier(100)(torch.rand(2, 100)).shape == (2,)
    assert TreeTensorClassifier(200).circuit.n_qubits == 8


@pytest.mark.plain
def test_bad_input_is_refused_by_name() -> None:
    layer = DataReuploadingClassifier(5)
    inputs = torch.rand(4, 5)
    for call, message in (
        (lambda: CircuitCentricClassifier(1), "n_inputs"),
        (lambda: CircuitCentricClassifier(4, 0), "n_layers"),
        (lambda: DataReuploadingClassifier(5, n_readouts=3), r"`n_readouts` must be at most 2"),
        (lambda: IQPClassifier(1), "n_inputs"),
        (lambda: QCNNClassifier(6), r"2, 4, 8"),
        (lambda: QuantumBoltzmannClassifier(20), r"`n_inputs` must be at most 12"),
        (lambda: QuantumBoltzmannClassifier(2, temperature=0.0), r"`temperature` must be above 0"),
        (lambda: DressedQuantumCircuit(3, 1), "out_features"),
        (lambda: layer(inputs[:, :4]), "inputs"),
        (lambda: layer(inputs * math.nan), "NaN"),
        (lambda: layer.loss(inputs, torch.ones(4, 1)), "one label a sample"),
        (lambda: DressedQuantumCircuit(5, 3).loss(inputs, torch.ones(4)), "cross_entropy"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_the_gibbs_state_has_exact_derivatives_where_eigenvalues_are_equal() -> None:
    layer = made("boltzmann", has_one_coupling=True)
    with torch.no_grad():
        layer.fields.zero_()  # only couplings: every eigenvalue is there twice or more
    inputs = torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64, requires_grad=True)

    def function(inputs: Tensor, fields: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"fields": fields}, (inputs,))

    fields = layer.fields.detach().requires_grad_()
    assert torch.autograd.gradcheck(function, (inputs, fields))
    assert torch.autograd.gradgradcheck(function, (inputs, fields))
    for k in range(2):  # one eigenvalue for all states: exp(0)
        with torch.no_grad():
            layer.couplings.mul_(k)
    assert torch.autograd.gradcheck(function, (inputs, fields))
