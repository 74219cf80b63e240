"""Whole models in files: they compute the same when they come back, and what no file can hold is refused by name."""

import json
import random
import tracemalloc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import nn
from torch.nn.utils import parametrizations, prune

from circuits import Circuit, Z, data, weight
from qml.backends import Native
from qml.nn import (
    QKAN,
    JHCGNet,
    QKANLayer,
    QNNClassifier,
    QuantumBoltzmannClassifier,
    QuantumLayer,
    backends_of,
    load_layer,
    load_model,
    model_files,
    register_module,
    save_layer,
    save_model,
    to_backend,
)
from qml.nn._torch_layers import TORCH_LAYERS, plain_attributes
from qml.nn.checkpoint import dump_layer
from qml.nn.model_files import dump_model, parse_model
from tests.test_checkpoint import mutated_header


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def circuit() -> Circuit:
    return Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).ry(weight(0), 1)


def hybrid() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(1, 2, 3, padding=1, bias=False),
        nn.BatchNorm1d(2, momentum=None),
        nn.Flatten(),
        nn.Sequential(OrderedDict(inner=nn.Linear(16, 4), squash=nn.Sigmoid())),
        QNNClassifier(4, "zx", n_classes=3, generator=seeded(1)),
        nn.Dropout(0.25),
        QKANLayer(3, 2, generator=seeded(2)),
    )


SIZES: dict[str, tuple[Any, ...]] = {
    "Linear": (3, 2, False), "Bilinear": (2, 3, 4), "Flatten": (2, 3), "Unflatten": (1, (2, 3)), "Embedding": (5, 3, 1),
    "EmbeddingBag": (5, 3), "MultiheadAttention": (4, 2, 0.1, False, True), "Conv1d": (2, 4, 3, 2, 1),
    "Conv2d": (2, 4, (3, 2), 1, "same", 1, 2, False, "circular"), "Conv3d": (1, 2, 2),
    "ConvTranspose1d": (2, 4, 3, 2, 1, 1, 2), "ConvTranspose2d": (1, 2, 3, 2, 0, 1), "ConvTranspose3d": (1, 2, 2),
    "Fold": ((4, 4), 2), "Unfold": (2, 1, 0, 2), "BatchNorm1d": (3, 1e-3, None), "BatchNorm2d": (3, 1e-5, 0.2, False),
    "BatchNorm3d": (3, 1e-5, 0.1, True, False), "InstanceNorm1d": (3,), "InstanceNorm2d": (3, 1e-5, 0.1, True),
    "InstanceNorm3d": (3, 1e-5, 0.1, False, True), "LayerNorm": ((2, 3), 1e-3, True, False), "GroupNorm": (2, 4),
    "RMSNorm": ((3,), 1e-3), "LocalResponseNorm": (2, 0.1), "ReLU": (True,), "LeakyReLU": (0.3,), "PReLU": (3, 0.1),
    "RReLU": (0.1, 0.2), "ELU": (0.5,), "CELU": (2.0,), "GELU": ("tanh",), "GLU": (0,), "Hardtanh": (-2.0, 3.0),
    "Hardshrink": (0.1,), "Softshrink": (0.1,), "Softplus": (2, 10), "Softmin": (1,), "Softmax": (-1,),
    "LogSoftmax": (1,), "Threshold": (0.1, 20), "Dropout": (0.2,), "RNN": (2, 3, 2, "relu"),
    "LSTM": (2, 3, 2, True, True, 0.1, True, 2), "GRU": (2, 3, 1, False), "RNNCell": (2, 3, True, "relu"),
    "LSTMCell": (2, 3, False), "GRUCell": (2, 3), "ChannelShuffle": (2,), "PixelShuffle": (2,), "PixelUnshuffle": (3,),
    "Upsample": (None, (2.0, 3.0), "bilinear", True), "UpsamplingNearest2d": (224,), "UpsamplingBilinear2d": (None, 2),
    "CosineSimilarity": (0, 1e-3), "PairwiseDistance": (1.0, 1e-3, True),
}  # fmt: skip
"""Arguments of torch's layers, most of them not the defaults."""


def example(name: str) -> nn.Module:
    if "AvgPool" in name or "MaxPool" in name or "LPPool" in name:
        if name.startswith("Adaptive"):
            return TORCH_LAYERS[name](300)
        return TORCH_LAYERS[name](*((2,) if name.startswith("LP") else ()), 3, 2)
    if "Pad" in name:
        return TORCH_LAYERS[name](2, *((1000.5,) if name.startswith("Constant") else ()))
    return TORCH_LAYERS[name](*SIZES.get(name, ()))


@pytest.mark.parametrize("name", TORCH_LAYERS)
def test_every_layer_of_torch_comes_back_with_its_arguments(name: str) -> None:
    layer = example(name).double()
    again = parse_model(dump_model(nn.Sequential(layer)))[0]
    assert type(again) is type(layer)
    assert repr(again) == repr(layer)
    assert plain_attributes(again) == plain_attributes(layer)
    torch.testing.assert_close(dict(again.state_dict()), dict(layer.state_dict()), rtol=0, atol=0)


def test_a_hybrid_model_comes_back_as_it_was(tmp_path: Path) -> None:
    model, inputs = hybrid(), torch.rand(5, 1, 8, generator=seeded())
    model(inputs)  # the running means of the batch norm move
    model[0].weight.requires_grad_(False)
    model[1].eval()
    save_model(model, tmp_path / "модель.safetensors")
    again = load_model(tmp_path / "модель.safetensors")
    assert repr(again) == repr(model)
    assert [item.name for item in tmp_path.iterdir()] == ["модель.safetensors"]
    assert {name: p.requires_grad for name, p in again.named_parameters()} == {
        name: p.requires_grad for name, p in model.named_parameters()
    }
    assert [module.training for module in again.modules()] == [module.training for module in model.modules()]
    assert torch.equal(again.eval()(inputs), model.eval()(inputs))
    model.train()
    assert dump_model(parse_model(dump_model(model))) == dump_model(model)


def test_precisions_may_differ_between_layers() -> None:
    model = nn.Sequential(nn.Linear(2, 2, dtype=torch.float64), QKANLayer(2, 1), nn.Linear(1, 1, dtype=torch.bfloat16))
    again = parse_model(dump_model(model))
    assert [value.dtype for value in again.state_dict().values()] == [v.dtype for v in model.state_dict().values()]


def test_lists_and_dicts_of_modules_come_back() -> None:
    model = nn.ModuleDict(
        {"experts": nn.ModuleList([nn.Linear(2, 2), QKAN([2, 1])]), "head": nn.Sequential(), "act": nn.Tanh()}
    )
    again: Any = parse_model(dump_model(model))
    assert repr(again) == repr(model)
    assert torch.equal(again["experts"][0].weight, model["experts"][0].weight)  # pyright: ignore


def test_weights_that_are_shared_stay_shared() -> None:
    encoder, twice = nn.Linear(3, 3), nn.Sequential(nn.Tanh(), nn.BatchNorm1d(3))
    model = nn.Sequential(encoder, twice, nn.Linear(3, 3), twice)
    model[2].weight = encoder.weight
    content = dump_model(model)
    assert "2.weight" not in load(content)
    assert not any(key.startswith("3.") for key in load(content))
    again = parse_model(content)
    inputs = torch.rand(4, 3, generator=seeded())
    assert torch.equal(again(inputs), model(inputs))
    assert again[2].weight is again[0].weight
    assert again[3][1].running_mean is again[1][1].running_mean
    with torch.no_grad():
        again[0].weight.add_(1.0)
        encoder.weight.add_(1.0)
    assert torch.equal(again(inputs), model(inputs))
    assert dump_model(again) == dump_model(model)


def test_a_module_that_stands_twice_keeps_its_mode_in_both_places() -> None:
    dropout, norm = nn.Dropout(0.5), nn.BatchNorm1d(3)
    model = nn.Sequential(dropout, norm, nn.Linear(3, 3), dropout, norm).eval()
    again = parse_model(dump_model(model))
    assert not any(module.training for module in again.modules())
    inputs = torch.rand(4, 3)
    assert torch.equal(again(inputs), model(inputs))
    assert all(module.training for module in parse_model(dump_model(model.train())).modules())


def test_containers_with_tensors_of_their_own_are_refused() -> None:
    model = nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
    model[0].register_buffer("offset", torch.ones(1))
    with pytest.raises(ValueError, match=r"Module `0` must be a Sequential of layers alone, but has .* own: offset"):
        dump_model(model)


def test_modules_within_layers_come_back() -> None:
    angles = nn.Linear(3, 2)
    model = nn.Sequential(
        QuantumLayer(circuit(), [Z(1)], angles=angles),
        JHCGNet(1, 1, nn.Sequential(nn.Linear(2, 2), nn.Tanh()), latent=(2, 2)),
    )
    again, inputs = parse_model(dump_model(model)), torch.rand(4, 3, generator=seeded())
    assert torch.equal(again(inputs), model(inputs))
    assert repr(again) == repr(model)
    with pytest.raises(TypeError, match=r"but is Linear\. qml\.nn\.save_model"):
        dump_layer(model[0])


def test_single_layers_are_models_too(tmp_path: Path) -> None:
    layer, path = QNNClassifier(3, "z"), tmp_path / "layer.safetensors"
    save_layer(layer, path)
    assert torch.equal(load_model(path).weights, layer.weights)
    save_model(layer, path)
    assert torch.equal(load_model(path).weights, layer.weights)
    with pytest.raises(
        ValueError, match=r"must hold one layer, but holds a whole model\. Read it with qml.nn.load_model"
    ):
        load_layer(path)
    with pytest.raises(TypeError, match=r"but is Sequential\. Save a whole model with qml\.nn\.save_model"):
        save_layer(nn.Sequential(layer), path)


def test_models_come_back_on_the_backend_they_are_asked_for(tmp_path: Path) -> None:
    backend = Native(method="adjoint")
    save_model(hybrid(), tmp_path / "model.safetensors")
    assert backends_of(load_model(tmp_path / "model.safetensors", backend=backend)) == {"4": backend, "6": backend}
    save_model(nn.Linear(1, 1), tmp_path / "model.safetensors")
    load_model(tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="must have a layer that runs circuits on a backend, but Linear has none"):
        load_model(tmp_path / "model.safetensors", backend=backend)


@register_module
class Residual(nn.Module):
    """A module of a user."""

    def __init__(self, size: int, layers: list[nn.Module], circuit: Circuit | None = None) -> None:
        super().__init__()
        self.size, self.layers, self.circuit = size, nn.ModuleList(layers), circuit
        self.scale = nn.Parameter(torch.rand(size, generator=seeded(4)))

    def config(self) -> dict[str, Any]:
        return {"size": self.size, "layers": list(self.layers), "circuit": self.circuit}

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs = inputs
        for layer in self.layers:
            outputs = layer(outputs)
        return inputs + self.scale * outputs


def test_registered_modules_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Linear(2, 2), Residual(2, [QKANLayer(2, 2), nn.Tanh()], circuit())).double()
    content, inputs = dump_model(model), torch.rand(3, 2, dtype=torch.float64, generator=seeded())
    again: Any = parse_model(content)
    assert torch.equal(again(inputs), model(inputs))
    assert again[1].circuit == circuit()
    assert dump_model(again) == content
    monkeypatch.setattr(model_files, "_REGISTERED", {})
    with pytest.raises(ValueError, match=r"'tests.test_model_files.Residual', which this program has not registered"):
        parse_model(content)
    register_module(Residual, name="residual")
    with pytest.raises(ValueError, match="has not registered"):
        parse_model(content)
    assert b'"registered": "residual"' in dump_model(model).replace(b"\\", b"")


class Unknown(nn.Module):
    """A module of a user that says nothing of itself."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(1, 1)


class WithConfig(Unknown):
    """One that could be registered."""

    def config(self) -> dict[str, Any]:
        return {}


def pruned() -> nn.Module:
    return prune.l1_unstructured(nn.Linear(3, 3), "weight", amount=2)


def hooked() -> nn.Module:
    layer = nn.Linear(1, 1)
    layer.register_forward_hook(lambda *_: None)
    return layer


def with_attributes(layer: nn.Module, **attributes: Any) -> nn.Module:
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


def overlapping() -> nn.Module:
    both, layer = torch.rand(2, 3), nn.Linear(3, 1)
    layer.weight, layer.bias = nn.Parameter(both[:1]), nn.Parameter(both[1, :1])
    return layer


def with_buffer() -> nn.Module:
    layer = nn.Linear(1, 1)
    layer.register_buffer("more", torch.zeros(1))
    return layer


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "own class": (
        Unknown,
        r"Module `0` must be .*, but is Unknown, a class that is not registered\. Give it a method con",
    ),
    "own class with config": (
        WithConfig,
        r"Give it its method config\(\) and call qml.nn.register_module\(WithConfig\);",
    ),
    "subclass": (
        lambda: type("Mine", (nn.Linear,), {"__module__": "mine"})(1, 1),
        "but is Mine, a class that is not reg",
    ),
    "of torch": (
        lambda: nn.TransformerEncoderLayer(2, 1),
        r"is TransformerEncoderLayer, which is not .*state_dict\(\)",
    ),
    "lazy": (lambda: nn.LazyLinear(2), "must have no hooks.*is a LazyLinear"),
    "none": (lambda: nn.ModuleDict({"a": None}), r"Module `0.a` must be a layer .*, but is None\. Leave it out"),  # pyright: ignore
    "parametrized": (lambda: parametrizations.orthogonal(nn.Linear(2, 2)), "ParametrizedLinear"),
    "pruned": (pruned, "Module `0` must have no hooks.*Remove them"),
    "hooked": (hooked, "Module `0` must have no hooks"),
    "forward": (lambda: with_attributes(nn.Tanh(), forward=torch.sin), "somebody has replaced it"),
    "attribute": (lambda: with_attributes(nn.Linear(1, 1), more=3), "attributes more were set from outside"),
    "argument": (lambda: with_attributes(nn.Linear(1, 1), in_features=3), r"size mismatch"),
    "buffer": (with_buffer, "more"),
    "complex": (
        lambda: nn.Linear(1, 1, dtype=torch.complex64),
        r"must be real tensors, but `0.weight` is torch.complex64",
    ),
    "overlap": (overlapping, r"`0.bias` and `0.weight` are parts of one memory\. Clone"),
    "core": (lambda: JHCGNet(4, 2, Unknown(), latent=(2, 2)), "of 0, an argument.*but is Unknown"),
    "nan": (
        lambda: with_attributes(nn.Linear(1, 1), bias=nn.Parameter(torch.tensor([torch.nan]))),
        "`0.bias` holds NaN",
    ),
    "argument of a registered one": (lambda: Residual(1, [], {"a": 1}), "must be numbers, strings"),  # pyright: ignore
}


@pytest.mark.plain
@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_come_back_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    make, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError, RuntimeError), match=message):
        save_model(nn.Sequential(make()), tmp_path / "model.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.plain
def test_arguments_of_the_wrong_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"must be a torch.nn.Module, but is dict"):
        save_model({}, tmp_path / "model.safetensors")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"must end in .safetensors, but is .*model.pt"):
        save_model(nn.Linear(1, 1), tmp_path / "model.pt")
    with pytest.raises(TypeError, match=r"must be a class of torch.nn.Module"):
        register_module(int)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"must have a method config\(\) .*, but Unknown has none"):
        register_module(Unknown)
    with pytest.raises(TypeError, match="must be bytes, but is str"):
        parse_model("text")


def test_a_crash_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_model(nn.Linear(1, 1), path)
    before = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        save_model(nn.Linear(2, 2), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


# --- files of anyone --------------------------------------------------------------------------------------------------


def written(model: object, tensors: dict[str, torch.Tensor] | None = None, **more: object) -> bytes:
    header = {"format": 1, "model": model, "tied": [], "frozen": [], "eval": []} | more
    return save({"w": torch.zeros(1)} if tensors is None else tensors, {"qml": json.dumps(header)})


def of_torch(name: object, **arguments: object) -> dict[str, object]:
    return {"torch": name, "arguments": arguments}


def nested(depth: int) -> bytes:
    begin, end = '{"container": "Sequential", "children": [["0", ', "]]}"
    text = begin * depth + '{"container": "Sequential", "children": []}' + end * depth
    header = f'{{"format": 1, "tied": [], "frozen": [], "eval": [], "model": {text}}}'
    return save({"w": torch.zeros(1)}, {"qml": header})


HOSTILE: dict[str, Callable[[], bytes]] = {
    "no module": lambda: written(5),
    "empty": lambda: written({}),
    "unknown container": lambda: written({"container": "ParameterList", "children": []}),
    "container of torch": lambda: written(of_torch("Sequential")),
    "function of torch": lambda: written(of_torch("functional")),
    "name that is none": lambda: written(of_torch(["Linear"])),
    "registered that is none": lambda: written({"registered": "os.system", "arguments": {"command": "true"}}),
    "large": lambda: written(of_torch("Linear", in_features=10**6, out_features=10**6)),
    "many layers": lambda: written(of_torch("LSTM", input_size=1, hidden_size=1, num_layers=10**9)),
    "large layer of ours": lambda: written({"layer": "QKAN", "arguments": {"widths": [5000] * 20}}),
    "large core": lambda: written(
        {"layer": "JHCGNet", "arguments": {"in_features": 1, "out_features": 1, "latent": [1, 1], "core": of_torch(
            "Linear", in_features=10**6, out_features=10**6)}}
    ),
    "device": lambda: written(of_torch("Linear", in_features=1, out_features=1, device="cuda")),
    "unknown argument": lambda: written(of_torch("Linear", colour=1)),
    "name with a stop": lambda: written({"container": "Sequential", "children": [["a.b", of_torch("Tanh")]]}),
    "name of a method": lambda: written({"container": "ModuleDict", "children": [["forward", of_torch("Tanh")]]}),
    "name twice": lambda: written({"container": "Sequential", "children": [["0", of_torch("Tanh")]] * 2}),
    "tie to nothing": lambda: written(of_torch("Tanh"), tied=[["a", "b"]]),
    "tie of a name": lambda: written(of_torch("Tanh"), tied=[["w", "w"]]),
    "no ties": lambda: written(of_torch("Tanh"), tied=None),
    "frozen number": lambda: written(of_torch("Tanh"), {}, frozen=5),
    "evaluated lists": lambda: written(of_torch("Tanh"), {}, eval=[[]]),
    "tensor too many": lambda: written(of_torch("Tanh")),
    "deep": lambda: nested(5000),
    "too deep for the modules": lambda: nested(290),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_no_program_wrote_are_refused_before_anything_large_is_built(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"cannot be made into a model again\b|is corrupt"):
            parse_model(HOSTILE[name]())
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


def test_files_that_are_cut_or_older_or_newer_are_refused() -> None:
    content = dump_model(nn.Linear(2, 2))
    for length in (0, 7, 40, len(content) - 3):
        with pytest.raises(ValueError, match="is corrupt"):
            parse_model(content[:length])
    with pytest.raises(ValueError, match=r"has format 2, but this program reads 1. Update"):
        parse_model(written(of_torch("Tanh"), {}, format=2))
    with pytest.raises(ValueError, match="must hold finite weights, but `w` holds NaN"):
        parse_model(written(of_torch("Tanh"), {"w": torch.tensor([torch.nan])}))


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")  # torch, about changed sizes
@pytest.mark.parametrize("name", ["hybrid", "tied"])
def test_a_mutated_file_is_a_model_or_a_value_error(name: str) -> None:
    model = hybrid()
    if name == "tied":
        model = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 3, 2), nn.ModuleDict({"a": nn.Linear(3, 3)}), QKAN([1, 1]))
        model[2]["a"].weight = model[0].weight  # pyright: ignore
    content, draw, messages = dump_model(model), random.Random(name), list[str]()
    for _ in range(100):
        try:
            parse_model(mutated_header(content, draw))
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 40
    assert all("must" in message for message in messages)  # they say what a file has to be


# --- backends ---------------------------------------------------------------------------------------------------------


def test_all_quantum_layers_move_and_none_of_the_weights() -> None:
    model, backend = hybrid().double().eval(), Native(method="autograd")
    inputs = torch.rand(5, 1, 8, dtype=torch.float64, generator=seeded())
    expected, weights = model(inputs), list(model.parameters())
    assert set(backends_of(model)) == {"4", "6"}
    assert to_backend(model, backend) is model
    assert backends_of(model) == {"4": backend, "6": backend}
    assert all(one is other for one, other in zip(model.parameters(), weights, strict=True))
    torch.testing.assert_close(model(inputs), expected, rtol=0, atol=1e-12)
    layer = QNNClassifier(2, "z")
    assert backends_of(to_backend(layer, backend)) == {"": backend}


def test_a_layer_used_twice_and_layers_inside_own_modules_move() -> None:
    layer = QKANLayer(2, 2)
    model = nn.ModuleList([layer, Residual(2, [layer, QKAN([2, 2])])])
    assert set(backends_of(to_backend(model, Native(method="adjoint")))) == {"0", "1.layers.1"}


def test_all_layers_stay_where_one_cannot_move() -> None:
    class Refusing(nn.Module):
        def to_backend(self, backend: object) -> None:
            raise NotImplementedError("not there")

    model = nn.Sequential(QNNClassifier(2, "z"), nn.Sequential(Refusing()))
    with pytest.raises(ValueError, match=r"Layer `1.0`, a Refusing, cannot run on 'native': not there"):
        to_backend(model, Native(method="adjoint"))
    assert backends_of(model) == {"0": Native()}
    boltzmann = nn.Sequential(QKANLayer(2, 2), QuantumBoltzmannClassifier(2))
    assert to_backend(boltzmann, "native") is boltzmann
    with pytest.raises(ValueError, match="`1` is a QuantumBoltzmannClassifier, which is no circuit"):
        to_backend(boltzmann, Native(method="adjoint"))
    with pytest.raises(ValueError, match="but Linear has none"):
        to_backend(nn.Linear(1, 1), "native")
    with pytest.raises(ValueError, match="`backend` must be one of native"):
        to_backend(model, "nowhere")


@pytest.mark.plain
def test_what_is_no_module_has_no_backends() -> None:
    for function in (backends_of, lambda model: to_backend(model, "native")):
        with pytest.raises(TypeError, match=r"must be a torch.nn.Module, but is int"):
            function(5)  # pyright: ignore[reportArgumentType]
