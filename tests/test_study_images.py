"""The study's models of images, against formulas written out, PennyLane's gates, and their refusals."""

from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from circuits import feature_maps
from qml.backends import Native
from qml.commands.main import app
from qml.compare.study import competitors, images
from qml.compare.study.data import Part, study_set
from qml.compare.study.estimate import fit_seconds
from qml.compare.study.grids import candidates, models_on
from qml.compare.study.page import write_study
from qml.compare.study.run import Finished, chosen_there, make_study
from qml.compare.study.summary import summary_of
from qml.compare.task import Outcome, Record
from tests.test_digit_sets import written

DOUBLE = torch.float64


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_the_cnn_is_its_formula() -> None:
    net = images.StudyCNN(25, kernel_size=3, dtype=DOUBLE, generator=generator())
    inputs = torch.randn(2, 25, dtype=DOUBLE, generator=generator())
    scores = net(inputs)
    values = inputs.numpy().reshape(2, 1, 5, 5)
    for convolution in net.convolutions:
        filters = convolution.weight.detach().numpy()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        padded = np.pad(values, ((0, 0), (0, 0), (1, 1), (1, 1)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        values = np.einsum("nchwij,fcij->nfhw", windows, filters)
        side = values.shape[2] // 2  # the fifth row and column are dropped
        values = values[:, :, : 2 * side, : 2 * side].reshape(2, -1, side, 2, side, 2).max((3, 5))
    hidden = np.maximum(values.reshape(2, -1) @ net.hidden.weight.detach().numpy().T, 0.0)
    np.testing.assert_allclose(scores.detach(), (hidden @ net.readout.weight.detach().numpy().T)[:, 0], atol=1e-12)
    labels = torch.tensor([1.0, -1.0], dtype=DOUBLE)
    wanted = -torch.log(torch.sigmoid(labels * scores)).mean()
    torch.testing.assert_close(net.loss(inputs, labels), wanted, rtol=0, atol=1e-12)


def test_the_cnns_start_has_lecuns_deviation() -> None:
    net = images.StudyCNN(256, kernel_size=3, dtype=DOUBLE, generator=generator())
    weights = net.hidden.weight.detach()
    fan_in = weights.shape[1]
    n_weights = weights.numel()  # the deviation of n draws has a relative error near 1 / sqrt(2 n): 5 of them
    assert float(weights.std()) == pytest.approx(fan_in**-0.5, rel=5 / (2 * n_weights) ** 0.5)
    assert float(weights.abs().max()) <= 2 * fan_in**-0.5 / images.TRUNCATED * (1 + 1e-12)  # rounding
    assert not bool(net.hidden.bias.any())


def test_poolings_keep_or_drop_the_rest() -> None:
    keeps = images.StudyCNN(2 * 9, kernel_size=2, n_channels=2, keeps_rest=True)
    assert keeps.hidden.in_features == 64  # 3 pixels become 2, then 1
    assert keeps(torch.randn(3, 18)).shape == (3,)
    with pytest.raises(ValueError, match="4 x 4 pixels or more"):
        images.StudyCNN(9, kernel_size=2)
    with pytest.raises(ValueError, match="must be square images"):
        images.StudyCNN(12, kernel_size=2)


@pytest.mark.parametrize("is_published", [True, False])
def test_weinet_is_a_mixture_of_shifted_states(is_published: bool) -> None:
    """Kronecker products of permutations and of Z, on an image of 4 x 4 and on one that is padded."""
    for side in (4, 3):
        net = images.WeiNet(side**2, is_published=is_published, dtype=DOUBLE, generator=generator())
        image = np.random.default_rng(1).normal(size=(side, side))
        state = np.zeros((4, 4))
        state[:side, :side] = image / np.linalg.norm(image)
        z, eye = np.diag([1.0, -1.0]), np.eye(2)

        def on(*places: int, z: np.ndarray = z, eye: np.ndarray = eye) -> np.ndarray:
            made = np.eye(1)
            for qubit in range(4):
                made = np.kron(made, z if qubit in places else eye)
            return made

        read = [on(0), on(2), on(0, 2), on()]  # qubits 1 and 3 are dropped
        mixture = torch.softmax(net.mixture, 0).detach().numpy()
        pairs = [(1, 1)] if is_published else [(k, j) for k in (-1, 0, 1) for j in (-1, 0, 1)]
        expected = 0.0
        for share, (down, right) in zip([1.0] if is_published else mixture, pairs, strict=True):
            move = np.kron(np.roll(np.eye(4), down, axis=1), np.roll(np.eye(4), right, axis=1))
            moved = move @ state.ravel()
            assert moved[0] == state[down % 4, right % 4]
            expected = expected + share * np.array([moved @ operator @ moved for operator in read])
        score = net(torch.from_numpy(image.reshape(1, -1))).detach()
        assert float(score) == pytest.approx(float(expected @ net.weights.detach().numpy()), abs=1e-12)


def test_weinet_refuses_images_without_a_state() -> None:
    with pytest.raises(ValueError, match="one is black"):
        images.WeiNet(16)(torch.zeros(1, 16))
    with pytest.raises(ValueError, match="3 x 3 pixels or more"):
        images.WeiNet(4)
    with pytest.raises(ValueError, match="must be square"):
        images.WeiNet(15)


def test_the_random_filter_is_that_of_pennylane() -> None:
    pennylane = pytest.importorskip("pennylane")
    angles = np.random.default_rng(3).uniform(0, 2 * np.pi, (2, 6))
    circuit = images.random_filter(3, angles, 42)
    with pennylane.queuing.AnnotatedQueue() as queue:
        pennylane.RandomLayers(angles, wires=range(3), seed=42)
    gates = pennylane.tape.QuantumScript.from_queue(queue).operations[0].decomposition()
    assert [tuple(step.all_qubits) for step in circuit.operations] == [tuple(gate.wires) for gate in gates]
    for step, gate in zip(circuit.operations, gates, strict=True):
        np.testing.assert_allclose(step.matrix(), gate.matrix(), atol=1e-12)


def test_a_filter_counts_the_ones_of_the_most_likely_result() -> None:
    circuit = images.random_filter(3, np.random.default_rng(1).uniform(0, 2 * np.pi, (2, 8)), 4)
    ones = images.counted_ones(circuit)
    for number in range(8):
        bits = f"{number:03b}"
        prepared = feature_maps.basis_state(bits).compose(circuit)
        likely = Native().probabilities(prepared, torch.empty(1, 0, dtype=DOUBLE), torch.empty(0, dtype=DOUBLE))
        assert ones[number] == f"{int(likely.argmax()):03b}".count("1")


def test_filters_look_up_what_the_circuit_gives() -> None:
    """Every window of a small image by itself: basis state in, the most likely result's ones out."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(6, 9))
    model = images.QuanvolutionalClassifier(
        window=2, n_filters=2, kernel_size=2, is_published=True, training={}, seed=5
    )
    features = model.fit_filters(inputs).reshape(6, 2, 2, 2)
    middle = (inputs.max(0) + inputs.min(0)) / 2
    bits = (inputs > middle).reshape(6, 3, 3).astype(int)
    for place, table in enumerate(model.tables):
        for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
            codes = bits[:, row : row + 2, column : column + 2].reshape(6, 4) @ [8, 4, 2, 1]
            np.testing.assert_array_equal(features[:, place, row, column], table[codes])
    assert model.tables.shape == (2, 16)
    own = images.QuanvolutionalClassifier(window=2, n_filters=2, kernel_size=2, is_published=False, training={}, seed=5)
    own.fit_filters(inputs)
    assert (own.tables != model.tables).any()


def test_filters_that_do_not_fit_are_refused() -> None:
    def make(window: int) -> images.QuanvolutionalClassifier:
        return images.QuanvolutionalClassifier(
            window=window, n_filters=1, kernel_size=2, is_published=True, training={}, seed=0
        )

    with pytest.raises(ValueError, match="at least as large as the window, 3 x 3"):
        make(3).fit_filters(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="`window` must be at most 4"):
        make(5)
    with pytest.raises(ValueError, match="must be square"):
        make(2).fit_filters(np.zeros((2, 5)))


def image_part() -> Part:
    random = np.random.default_rng(0)
    labels = np.where(np.arange(60) % 2, 1.0, -1.0)
    inputs = random.normal(size=(60, 16)) + 2.0 * labels[:, None] * (np.arange(16) < 8)
    return Part(inputs[:40], labels[:40], inputs[40:], labels[40:])


@pytest.mark.parametrize("is_published", [True, False])
@pytest.mark.parametrize("model", ["cnn", "weinet", "quanvolutional"])
def test_models_of_images_fit_or_say_that_they_have_not_settled(
    model: str, is_published: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(competitors, "USUAL_STEPS", 6)
    setting = candidates(model)[4]
    fitted = competitors.fit(model, setting, image_part(), seed=0, is_published=is_published)
    assert fitted.failure == "not settled"
    monkeypatch.setattr(competitors, "USUAL_STEPS", 40)
    monkeypatch.setattr(competitors, "INTERVAL", 3)
    fitted = competitors.fit(model, setting, image_part(), seed=0, is_published=is_published)
    assert fitted.failure == ""
    assert fitted.n_parameters > 9
    assert fit_seconds(model, setting, image_part(), 3) > 0.0


@pytest.mark.parametrize("model", ["cnn", "weinet", "quanvolutional"])
def test_one_class_and_nan_are_refused(model: str) -> None:
    part, setting = image_part(), candidates(model)[0]
    broken = part.fit_inputs.copy()
    broken[3, 2] = np.nan
    for inputs, labels, message in ((part.fit_inputs, np.ones(40), "one class"), (broken, part.fit_labels, "NaN")):
        bad = Part(inputs, labels, part.score_inputs, part.score_labels)
        with pytest.raises(ValueError, match=message):
            competitors.fit(model, setting, bad, seed=0, is_published=True)


def test_each_family_has_the_models_that_the_study_ran_on_it(tmp_path: Path) -> None:
    assert models_on("bars_and_stripes") == models_on("mnist_cg") == ("quanvolutional", "weinet", "cnn")
    assert "svc" in models_on("digits_pca-")
    assert "svc" not in models_on("digits_pca")
    study = make_study(["bars_and_stripes", "digits_pca", "digits_pca-"])
    assert study.runs(("bars_and_stripes", 32)) == ["weinet", "cnn"]
    assert "dressed" in study.runs(("digits_pca", 15))
    assert "dressed" not in study.runs(("digits_pca", 16))
    assert study.runs(("digits_pca-", 20)) == ["svc", "separable-kernel"]
    assert chosen_there(("digits_cg", 4), "cnn") == chosen_there(("mnist_cg", 4), "cnn") == 5
    assert study.files_of(("digits_pca", 2)) is None


def test_mnist_needs_its_files_and_takes_them_along(tmp_path: Path) -> None:
    folder = written(tmp_path, n_train=300, n_test=60)
    study = make_study(["mnist_pca-"], models=["svc"], parameters=[2], preset="chosen", mnist=folder)
    plan = study.plan(("mnist_pca-", 2), "fits", ["svc.1"])
    data = plan.task.prepare(plan.options)
    assert data.whole.fit_inputs.shape == (250, 2)
    assert str(folder) in str(plan.settings["mnist"])
    for families, mnist in ((["mnist_pca"], None), (["two_curves"], folder)):
        with pytest.raises(ValueError, match="`mnist` must be the folder"):
            make_study(families, mnist=mnist)
    with pytest.raises(FileNotFoundError, match="must be a folder"):
        make_study(["mnist_cg"], mnist=tmp_path / "nowhere")
    few = tmp_path / "few"
    few.mkdir()
    with pytest.raises(ValueError, match="at least 5 training images of each digit"):
        study_set("mnist_cg", 4, written(few, n_train=20))


def test_the_command_on_digits(tmp_path: Path) -> None:
    arguments = ["compare", "benchmarks", "digits_pca-", "--models", "svc", "--option", "sizes=2", "--preset", "chosen"]
    result = CliRunner().invoke(app, [*arguments, "--seeds", "1", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "digits_pca- 2: svc" in result.output
    wrong = CliRunner().invoke(app, ["compare", "benchmarks", "mnist_cg", "--out", str(tmp_path)])
    assert wrong.exit_code == 2
    assert len(wrong.stderr.splitlines()) == 1
    missing = CliRunner().invoke(app, ["compare", "benchmarks", "mnist_cg", "--option", f"mnist={tmp_path / 'none'}"])
    assert missing.exit_code == 2
    assert len(missing.stderr.splitlines()) == 1


def test_the_page_has_the_models_of_images(tmp_path: Path) -> None:
    def record(model: str, seed: int, value: float) -> Record:
        return Record("benchmarks", model, seed, "test_accuracy", Outcome(value, 9, 0.1, {"failures": 0, "steps": 10}))

    study = make_study(["bars_and_stripes"], parameters=[4], preset="chosen")
    fits = [record(f"{model}.0", seed, 0.9) for model in ("cnn", "weinet") for seed in range(2)]
    item = Finished(("bars_and_stripes", 4), [], fits)
    text = write_study(study, summary_of([item]), tmp_path).read_text()
    assert "Ranks: models of images" in text
    assert "models of images" in text
