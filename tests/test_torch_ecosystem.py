"""Hybrid models under skorch, Lightning, accelerate, the Hugging Face hub, TensorBoard and MLflow."""

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from circuits import Circuit, Z, data, weight
from qml.backends import Native
from qml.estimators import LayerClassifier, LayerRegressor
from qml.nn import QKANLayer, QuantumLayer, backends_of, curves_to, load_model, save_model

X, Y = make_blobs(40, centers=2, n_features=2, cluster_std=0.5, center_box=(-2.0, 2.0), random_state=1)
INPUTS, LABELS = torch.from_numpy(X).float(), torch.from_numpy(Y)
QUIET = pytest.mark.filterwarnings("ignore")  # of the neighbours, about workers, GPUs and what they deprecate


def hybrid(n_features: int = 2) -> nn.Sequential:
    torch.manual_seed(0)  # torch's own layers take no generator
    generator = torch.Generator().manual_seed(1)
    circuit = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).ry(weight(0), 0).ry(weight(1), 1)
    quantum = QuantumLayer(circuit, [Z(0), Z(1)], generator=generator)
    return nn.Sequential(nn.Linear(n_features, 2), quantum, QKANLayer(2, 2, generator=generator))


def loss_of(model: nn.Module) -> float:
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(INPUTS), LABELS))


def batches() -> DataLoader[Any]:
    return DataLoader(TensorDataset(INPUTS, LABELS), 10)


def trained_by_hand(n_epochs: int) -> nn.Module:
    model = hybrid()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(n_epochs):
        for inputs, labels in batches():
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
    return model


@QUIET
def test_skorch_trains_searches_and_saves(tmp_path: Path) -> None:
    skorch = pytest.importorskip("skorch")
    options: dict[str, Any] = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": torch.optim.Adam,
        "lr": 0.05,
        "verbose": 0,
    }
    net = skorch.NeuralNetClassifier(
        hybrid(), max_epochs=5, batch_size=10, train_split=None, iterator_train__shuffle=False, **options
    )
    net.fit(INPUTS.numpy(), Y)
    torch.testing.assert_close(net.module_.state_dict(), trained_by_hand(5).state_dict(), rtol=0, atol=1e-6)  # float32
    assert net.score(INPUTS.numpy(), Y) > 0.8
    net.save_params(f_params=tmp_path / "net.safetensors", use_safetensors=True)
    other = skorch.NeuralNetClassifier(hybrid(), **options).initialize()
    other.load_params(f_params=tmp_path / "net.safetensors", use_safetensors=True)
    assert torch.equal(other.module_(INPUTS), net.module_(INPUTS))
    search = GridSearchCV(skorch.NeuralNetClassifier(hybrid(), max_epochs=1, **options), {"lr": [0.01, 0.1]}, cv=2)
    search.fit(INPUTS.numpy(), Y)
    assert search.best_params_["lr"] in (0.01, 0.1)


@QUIET
def test_lightning_trains_and_restores_a_checkpoint(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = hybrid()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            loss = nn.functional.cross_entropy(self.model(batch[0]), batch[1])
            self.log("loss", loss)
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.05)

    trainer = lightning.Trainer(
        max_epochs=5, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    module = Classifier()
    trainer.fit(module, batches())
    assert float(trainer.callback_metrics["loss"]) < loss_of(hybrid())
    torch.testing.assert_close(module.model.state_dict(), trained_by_hand(5).state_dict(), rtol=0, atol=1e-6)  # float32
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    again = Classifier.load_from_checkpoint(tmp_path / "model.ckpt")
    assert torch.equal(again.model(INPUTS), module.model(INPUTS))


@QUIET
def test_accelerate_trains_and_its_model_is_saved(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    model = hybrid()
    model, optimizer, prepared = accelerator.prepare(model, torch.optim.Adam(model.parameters(), lr=0.05), batches())
    for _ in range(5):
        for inputs, labels in prepared:
            optimizer.zero_grad()
            accelerator.backward(nn.functional.cross_entropy(model(inputs), labels))
            optimizer.step()
    plain = accelerator.unwrap_model(model)
    torch.testing.assert_close(plain.state_dict(), trained_by_hand(5).state_dict(), rtol=0, atol=1e-6)  # float32
    save_model(plain, tmp_path / "model.safetensors")
    assert torch.equal(load_model(tmp_path / "model.safetensors")(INPUTS), plain(INPUTS))


@QUIET
def test_the_hub_mixin_saves_and_loads_a_whole_model_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    class Classifier(nn.Module, hub.PyTorchModelHubMixin):
        def __init__(self, n_features: int) -> None:
            super().__init__()
            self.model = hybrid(n_features)

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.model(inputs)

    model = Classifier(3)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.1)  # away from what the constructor draws
    model.save_pretrained(tmp_path / "model")
    assert {"model.safetensors", "config.json"} <= {path.name for path in (tmp_path / "model").iterdir()}
    again = Classifier.from_pretrained(tmp_path / "model")
    inputs = torch.rand(4, 3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(again(inputs), model(inputs))


def recorder() -> tuple[list[tuple[str, float, int]], Any]:
    points: list[tuple[str, float, int]] = []
    return points, types.SimpleNamespace(add_scalar=lambda *point: points.append(point))


def test_estimators_tell_a_callback_of_every_loss() -> None:
    points, writer = recorder()
    log = curves_to(writer, prefix="train/")
    model = LayerClassifier("separable", max_steps=3, random_state=0).fit(X, Y, callback=log)
    assert points == [("train/loss", loss, step) for step, loss in enumerate(model.losses_[0])]
    points.clear()
    regressor = LayerRegressor("separable", max_steps=3, random_state=0).fit(X, X[:, 0], callback=log)
    assert points == [("train/loss", loss, step) for step, loss in enumerate(regressor.losses_)]
    points.clear()
    classes = np.array(["a", "b", "c", "a"])
    LayerClassifier("separable", max_steps=2, random_state=0).fit(X[:4], classes, callback=log)
    assert [(name, step) for name, _, step in points] == [
        (f"train/loss/{name}", step) for name in "abc" for step in (0, 1)
    ]


def test_estimators_move_the_layers_of_models_of_a_user() -> None:
    model = LayerClassifier(backend=Native(method="adjoint"))
    assert set(backends_of(model._on_backend(hybrid())).values()) == {Native(method="adjoint")}
    with pytest.raises(ValueError, match="`backend` must be 'native' for Linear, which runs in torch alone"):
        model._on_backend(nn.Linear(1, 1))


def test_curves_go_to_whatever_logs_metrics() -> None:
    calls: list[Any] = []
    writer = types.SimpleNamespace(log_metrics=lambda values, step: calls.append((values, step)))
    curves_to(writer)(2, {"loss": torch.tensor(0.5), "accuracy": np.float32(1.0)})
    assert calls == [({"loss": 0.5, "accuracy": 1.0}, 2)]
    with pytest.raises(TypeError, match=r"must have a method add_scalar, .*, or log_metrics, .*, but is int"):
        curves_to(5)
    with pytest.raises(TypeError, match="Value `loss` must be one real number, but is Tensor"):
        curves_to(writer)(3, {"loss": torch.ones(2)})


@QUIET
def test_curves_are_read_back_from_tensorboard(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(tmp_path)) as writer:
        model = LayerClassifier("separable", max_steps=4, random_state=0).fit(X, Y, callback=curves_to(writer))
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("loss")]
    assert [step for step, _ in found] == [0, 1, 2, 3]
    np.testing.assert_allclose([value for _, value in found], model.losses_[0], rtol=1e-6)  # float32 in its files


@QUIET
def test_curves_are_read_back_from_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow", minversion="2.0", exc_type=ImportError)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "mlruns").as_uri())
    with mlflow.start_run() as run:
        model = LayerClassifier("separable", max_steps=4, random_state=0).fit(X, Y, callback=curves_to(mlflow))
    history = mlflow.tracking.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [(metric.step, metric.value) for metric in history] == list(enumerate(model.losses_[0]))
