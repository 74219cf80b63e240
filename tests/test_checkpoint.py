"""Layers in files: they compute the same when they come back, and nothing else is taken for one."""

import base64
import copy
import json
import random
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import nn

import qml.files
from circuits import Circuit, Polynomial, X, Y, Z, data, feature_maps, weight
from circuits.polynomials import inputs, weight_of
from qml.backends import Native
from qml.nn import (
    DARUAN,
    HQKAN,
    HQKANLSTM,
    QKAN,
    QKANGRU,
    QKANLSTM,
    QLSTM,
    QRNN,
    Angles,
    CircuitCentricClassifier,
    DataReuploadingClassifier,
    DressedQuantumCircuit,
    HQKANLSTMCell,
    IQPClassifier,
    JHCGNet,
    QCNNClassifier,
    QKANGRUCell,
    QKANLayer,
    QKANLSTMCell,
    QNNClassifier,
    QRNNCell,
    QRNNClassifier,
    QRNNRegressor,
    QuantumBoltzmannClassifier,
    QuantumLayer,
    QuantumMetricLearner,
    QuantumNeuron,
    Quanvolution,
    SeparableClassifier,
    TreeTensorClassifier,
    load_layer,
    save_layer,
)
from qml.nn._checkpoint_sizes import least_weights
from qml.nn.checkpoint import LAYERS, checkpoint_hash, dump_layer, parse_layer


def own_circuit() -> Circuit:
    circuit = Circuit(3).prepare([0.6, 0.8j], [2]).h(0).ry(data(1), 1).rx(data(0), 0).cx(2, 0)
    return circuit.exp_pauli(weight(1), "YZ", (2, 1)).ry(weight(0), 2, controls=[0])


def own_angles() -> list[Polynomial]:
    first, second = inputs(2)
    return [(1 / 3 - first) * second**2 + weight_of(1), 0.1 * weight_of(0) * second - 2.0]


def many_entries(n: int) -> Circuit:
    circuit = Circuit(1)
    for number in range(n):
        circuit.rx(data(number), 0).ry(weight(number % 2), 0)
    return circuit


EXAMPLES: dict[str, Callable[[], nn.Module]] = {
    "pattern": lambda: QNNClassifier(3, "zxy"),
    "default": lambda: QNNClassifier(2),
    "float64": lambda: QNNClassifier(2, "x", dtype=torch.float64),
    "classes": lambda: QNNClassifier(2, "zx", n_classes=5),
    "circuit": lambda: QNNClassifier(
        2, circuit=own_circuit(), observable=0.1 * (Z(0) @ Y(2)) - 1 / 3 * X(1) + 2.0, dtype=torch.float64
    ),
    "quantum layer": lambda: QuantumLayer(own_circuit(), [0.5 * Z(0) - X(2), Y(1)], dtype=torch.float64),
    "quantum layer of probabilities": lambda: QuantumLayer(own_circuit(), probabilities_of=[2, 0], initial="small"),
    "layer of a circuit": lambda: QuantumLayer(own_circuit(), [Z(0) @ Y(2), 0.5 * X(1) - 1.0], dtype=torch.float64),
    "layer of a circuit that measures": lambda: QuantumLayer(
        own_circuit().measure(0).reset(1).post_select(2, 1),
        probabilities_of=[2, 0],
        initial="small",
        dtype=torch.float64,
    ),
    "circuit and classes": lambda: QNNClassifier(2, circuit=own_circuit(), n_classes=4, dtype=torch.float64),
}

OTHERS: dict[str, Callable[[], nn.Module]] = {
    "QRNN": lambda: QRNN(2, 3, n_stages=2, order=1, degree=1, amplification=1, batch_first=True, dtype=torch.float64),
    "QRNN without bias": lambda: QRNN(1, 2, bias=False, recompute=True),
    "QRNNCell": lambda: QRNNCell(1, 2, n_stages=0),
    "QuantumNeuron": lambda: QuantumNeuron(3, order=2, amplification=1),
    "QuantumNeuron without bias": lambda: QuantumNeuron(2, bias=False, dtype=torch.float64),
}


ON_CIRCUITS: dict[str, Callable[[], nn.Module]] = {
    "CircuitCentricClassifier": lambda: CircuitCentricClassifier(3, 2, n_copies=1, dtype=torch.float64),
    "DataReuploadingClassifier": lambda: DataReuploadingClassifier(4, 2, n_readouts=2),
    "DressedQuantumCircuit": lambda: DressedQuantumCircuit(3, 4, n_qubits=2, n_layers=1),
    "IQPClassifier": lambda: IQPClassifier(3, 2, n_repetitions=2),
    "QCNNClassifier": lambda: QCNNClassifier(4, is_shared=True),
    "QuantumBoltzmannClassifier": lambda: QuantumBoltzmannClassifier(3, n_visible=2, temperature=2.0),
    "QuantumMetricLearner": lambda: QuantumMetricLearner(2, 2, n_examples=3, has_matched_pairs=True),
    "Quanvolution": lambda: Quanvolution(2, 3, (1, 2), padding="same", n_layers=2, observables=[Z(0) @ X(3)]),
    "fixed quanvolution": lambda: Quanvolution(
        100, 2, 1, 200, circuit=many_entries(100), scale=100, trainable=False, dtype=torch.float64
    ),
    "SeparableClassifier": lambda: SeparableClassifier(3, 2),
    "TreeTensorClassifier": lambda: TreeTensorClassifier(5, dtype=torch.float64),
    "QRNNRegressor": lambda: QRNNRegressor(2, 2, 3, encoding="serial", n_bits=2, low=-2.0, order=2, batch_first=True),
    "QRNNClassifier": lambda: QRNNClassifier(1, 2, 4, n_bits=2, high=2.0, degree=1, dtype=torch.float64),
    "DARUAN": lambda: DARUAN(3, reps=2),
    "HQKAN": lambda: HQKAN(9, 5),
    "HQKANLSTM": lambda: HQKANLSTM(2, 3, latent=(2, 2)),
    "QKAN": lambda: QKAN([3, 2, 1], groups=2, dtype=torch.float64),
    "QKANGRU": lambda: QKANGRU(2, 3, num_layers=2, dropout=0.5),
    "QKANLSTM": lambda: QKANLSTM(2, 3, proj_size=2, bidirectional=True, train_preactivation=False),
    "QKANLSTMCell": lambda: QKANLSTMCell(2, 3, proj_size=1, reps=2),
    "QKANGRUCell": lambda: QKANGRUCell(2, 3, dtype=torch.float64),
    "HQKANLSTMCell": lambda: HQKANLSTMCell(2, 3, latent=(2, 1), ansatz="mix"),
    "QLSTM": lambda: QLSTM(1, 2, 2, n_circuit_layers=1, bidirectional=True, dropout=0.1, dtype=torch.float64),
    "JHCGNet": lambda: JHCGNet(
        5, 4, QKAN([2, 3], reps=1, dtype=torch.float64), latent=(2, 3), bias=False, dtype=torch.float64
    ),
    "Angles": lambda: Angles(own_angles(), n_inputs=4, is_scaled=True, initial=[0.5, 1000.0], dtype=torch.float64),
    "layer of computed angles": lambda: QuantumLayer(feature_maps.angle(2), [Z(1)], angles=Angles(own_angles())),
    "layer of a feature map": lambda: QuantumLayer(feature_maps.zz(3), probabilities_of=[1]),
    "QKANLayer": lambda: QKANLayer(2, 1, ansatz=Circuit(1).ry(weight(0), 0).rx(data(0), 0), base=None),
}


@pytest.mark.parametrize("name", ON_CIRCUITS)
def test_layers_with_circuits_come_back(name: str) -> None:
    layer = ON_CIRCUITS[name]()
    again = parse_layer(dump_layer(layer))
    assert repr(again) == repr(layer)
    torch.testing.assert_close(dict(again.state_dict()), dict(layer.state_dict()), rtol=0, atol=0)
    assert dump_layer(again) == dump_layer(layer)


@pytest.mark.parametrize("name", ["QKANLSTMCell", "QLSTM", "JHCGNet", "HQKANLSTM"])
def test_layers_come_back_on_the_backend_they_are_asked_for(name: str) -> None:
    layer = ON_CIRCUITS[name]()
    with torch.no_grad():
        dtype = next(layer.parameters()).dtype
        size = getattr(layer, "in_features", None) or layer.input_size
        inputs = torch.rand(2, size, dtype=dtype, generator=torch.Generator().manual_seed(0))
        backend = Native(method="adjoint")
        again = parse_layer(dump_layer(layer), backend=backend)
        assert all(module.backend is backend for module in again.modules() if hasattr(module, "backend"))
        assert any(hasattr(module, "backend") for module in again.modules())
        # the same circuits, in another order of operations
        rounding = 1e-12 if dtype == torch.float64 else 1e-6
        torch.testing.assert_close(again.eval()(inputs), layer.eval()(inputs), rtol=0, atol=rounding)  # no dropout


def test_a_whole_model_is_refused_with_the_way_to_save_it(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 4), nn.Sequential(QNNClassifier(4, "zx")), QKAN([1, 1]))
    with pytest.raises(
        TypeError, match=r"but is Sequential\. Save a whole model with qml\.nn\.save_model\(model, path\)"
    ):
        save_layer(model, tmp_path / "model.safetensors")
    save_layer(model.get_submodule("1.0"), tmp_path / "model.safetensors")
    with pytest.raises(
        TypeError, match=r"is Linear\. qml\.nn\.save_model\(model, path\) takes models of torch's layers"
    ):
        save_layer(nn.Linear(1, 1), tmp_path / "model.safetensors")


def test_a_core_that_cannot_be_saved_is_refused_and_so_is_a_backend_without_circuits() -> None:
    network = JHCGNet(4, 2, nn.Linear(2, 2), latent=(2, 2))
    with pytest.raises(TypeError, match=r"`layer` must be one of .*, but is Linear"):
        dump_layer(network)
    with pytest.raises(TypeError, match="`core` must have circuits to run on a backend, but is Linear"):
        network.to_backend("native")


@pytest.mark.parametrize("name", OTHERS)
def test_layers_with_a_closed_form_come_back(tmp_path: Path, name: str) -> None:
    layer, path = OTHERS[name](), tmp_path / "model.safetensors"
    save_layer(layer, path)
    again = load_layer(path)
    assert repr(again) == repr(layer)
    for (key, value), (known, right) in zip(again.state_dict().items(), layer.state_dict().items(), strict=True):
        assert key == known
        assert value.dtype == right.dtype
        assert torch.equal(value, right)
    assert dump_layer(again) == dump_layer(layer)
    backend = Native(method="adjoint")
    moved: Any = load_layer(path, backend=backend)
    assert moved.backend is backend


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_layer_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    layer = EXAMPLES[name]()
    path = tmp_path / "modèle 模型.safetensors"
    save_layer(layer, path)
    again = load_layer(path)
    dtype = layer.weights.dtype
    inputs = torch.rand(4, layer.circuit.n_data, dtype=dtype, generator=torch.Generator().manual_seed(0))
    assert type(again) is type(layer)
    assert torch.equal(again.weights, layer.weights)
    assert again.observables == layer.observables
    # Prepared amplitudes come back as gates: other float operations. Patterns come back exactly.
    rounding = 1e-12 if dtype == torch.float64 else 1e-6
    own = "circuit" in name or "layer" in name
    torch.testing.assert_close(again(inputs), layer(inputs), rtol=0, atol=rounding if own else 0)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
    assert dump_layer(again) == dump_layer(layer)


@pytest.mark.parametrize("name", [*EXAMPLES, *OTHERS, *ON_CIRCUITS])
def test_config_makes_a_layer_of_the_same_function(name: str) -> None:
    layer = (EXAMPLES | OTHERS | ON_CIRCUITS)[name]()
    dtype = next(iter(layer.state_dict().values())).dtype
    config = layer.config()
    assert not {"backend", "device", "dtype", "generator"} & set(config)
    again = type(layer)(**copy.deepcopy(config), dtype=dtype)
    again.load_state_dict(layer.state_dict())
    assert repr(again) == repr(layer)
    assert dump_layer(again) == dump_layer(layer)


OLD_FILES: dict[str, str] = json.loads(Path(__file__).with_name("checkpoints_format_1.json").read_text())
"""A file of each layer that the first version with it wrote, deflated and in base 64."""


@pytest.mark.parametrize("name", [layer.__name__ for layer in LAYERS])
def test_files_of_the_first_version_are_read_and_written_to_the_byte(name: str) -> None:
    content = zlib.decompress(base64.b64decode(OLD_FILES[name]))
    layer = parse_layer(content)
    assert type(layer).__name__ == name
    assert dump_layer(layer) == content


def test_every_layer_that_can_be_saved_has_an_example() -> None:
    assert {type(make()) for make in (*EXAMPLES.values(), *OTHERS.values(), *ON_CIRCUITS.values())} == set(LAYERS)


def test_the_hash_tells_weights_apart() -> None:
    layer = QNNClassifier(2)
    first = checkpoint_hash(dump_layer(layer))
    assert first == checkpoint_hash(dump_layer(layer))
    with torch.no_grad():
        layer.weights[0] += 1e-3
    assert checkpoint_hash(dump_layer(layer)) != first


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.save(QNNClassifier(2), path)
    with pytest.raises(ValueError, match=r"model.safetensors is corrupt, or no safetensors file"):
        load_layer(path)


def good() -> bytes:
    return dump_layer(QNNClassifier(2, "x"))


def with_header(**changes: object) -> bytes:
    header = {"format": 1, "layer": "QNNClassifier", "arguments": {"n_inputs": 2, "n_classes": 2, "pattern": "x"}}
    return save({"weights": torch.zeros(2)}, {"qml": json.dumps(header | changes)})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is corrupt, or no safetensors file"),
        (b"PK\x03\x04 something else", "is corrupt, or no safetensors file"),
        (b"\xff" * 100, "is corrupt, or no safetensors file"),
        (b"\x02\x00\x00\x00\x00\x00\x00\x00[]", "is corrupt, or no safetensors file"),
        (good()[:-3], "is corrupt"),
        (good()[:40], "is corrupt"),
        (save({"weights": torch.zeros(2)}), "is no checkpoint of a layer of this package"),
        (save({"weights": torch.zeros(2)}, {"qml": "[1]"}), "is no checkpoint of a layer"),
        (save({"weights": torch.zeros(2)}, {"qml": "{"}), "is corrupt, or no safetensors file"),
        (with_header(format=2), "has format 2, but this program reads 1. Update"),
        (with_header(layer="Linear"), "must hold one of .*QNNClassifier.*, but holds 'Linear'"),
        (with_header(arguments={"n_inputs": 3, "n_classes": 2, "pattern": "x"}), "cannot be made .*size mismatch"),
        (with_header(arguments={"n_inputs": 2, "colour": "red"}), "cannot be made .*colour"),
        (with_header(arguments={"n_inputs": 2, "circuit": {"openqasm": "boo"}}), "cannot be made into a QNNClassifier"),
        (with_header(arguments={"n_inputs": 2, "observable": {"x": 1}}), "cannot be made into a QNNClassifier"),
        (with_header(arguments=None), "cannot be made into a QNNClassifier"),
    ],
)
def test_what_is_no_layer_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_layer(path)


def written(layer: object, tensors: dict[str, torch.Tensor] | None = None, **arguments: object) -> bytes:
    header = {"format": 1, "layer": layer, "arguments": arguments}
    return save({"w": torch.zeros(1)} if tensors is None else tensors, {"qml": json.dumps(header)})


def one_circuit(name: str) -> dict[str, str]:
    program = f"input float[64] {name}; qubit q; rx({name}) q;"
    return {"openqasm": f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{program}'}


Z_ONLY = [{"observable": [[1.0, [["Z", 0]]]]}]
HUGE: dict[str, Callable[[], bytes]] = {
    "inputs": lambda: written("QNNClassifier", n_inputs=10**9, pattern="zx"),
    "pattern": lambda: written("QNNClassifier", {"weights": torch.zeros(300)}, n_inputs=300, pattern="z" * 300),
    "classes": lambda: written("QNNClassifier", n_inputs=4, n_classes=10**9),
    "widths": lambda: written("QKAN", widths=[5000] * 20),
    "widths of 1": lambda: written("QKAN", widths=[1] * 10_000),
    "widths that the file seems to hold": lambda: written("QKAN", {"w": torch.zeros(5000)}, widths=[5000] * 20),
    "reps": lambda: written("DARUAN", n_features=1, reps=10**7),
    "groups": lambda: written("QKANLayer", in_features=1, out_features=1, groups=10**9),
    "latent": lambda: written("HQKAN", in_features=4, out_features=4, latent=[10**6, 10**6]),
    "layers": lambda: written("QKANLSTM", input_size=1, hidden_size=1, num_layers=10**6),
    "layers of circuits": lambda: written("QLSTM", input_size=1, hidden_size=1, n_circuit_layers=10**7),
    "qubits": lambda: written("QLSTM", input_size=10**7, hidden_size=1),
    "neuron": lambda: written("QuantumNeuron", n_inputs=40),
    "neuron's table": lambda: written("QuantumNeuron", {"weights": torch.zeros(6195)}, n_inputs=20, degree=4),
    "recurrent": lambda: written("QRNN", input_size=12, hidden_size=12, degree=23),
    "words": lambda: written("QRNNRegressor", in_features=10, hidden_size=12, n_bits=2, degree=23),
    "outputs": lambda: written("QRNNRegressor", in_features=1, hidden_size=2, out_features=10**9),
    "kernel": lambda: written("Quanvolution", in_channels=10**6, out_channels=2, kernel_size=[1, 10**6]),
    "core": lambda: written("JHCGNet", in_features=1, out_features=1, latent=[1, 1], core=nested_core()),
    "number in a name": lambda: written("QuantumLayer", circuit=one_circuit("weight_999999999"), observables=Z_ONLY),
    "number in an ansatz": lambda: written(
        "QKANLayer", in_features=1, out_features=1, ansatz=one_circuit("weight_999999999")
    ),
    "qubit of an observable": lambda: written(
        "QuantumLayer", circuit=one_circuit("weight_0"), observables=[{"observable": [[1.0, [["Z", 10**9]]]]}]
    ),
}


def nested_core() -> dict[str, object]:
    return {"layer": "QKANLayer", "arguments": {"in_features": 10**6, "out_features": 10**6}}


@pytest.mark.parametrize("name", HUGE)
def test_sizes_beyond_the_file_are_refused_before_anything_is_built(name: str) -> None:
    content = HUGE[name]()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"cannot be made into a .* must"):
            parse_layer(content)
        assert tracemalloc.get_traced_memory()[1] < 60e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", [*EXAMPLES, *OTHERS, *ON_CIRCUITS])
def test_the_least_number_of_weights_is_no_more_than_there_are(name: str) -> None:
    layer = (EXAMPLES | OTHERS | ON_CIRCUITS)[name]()
    n_weights = sum(value.numel() for value in layer.state_dict().values())
    arguments = json.loads(json.dumps(_plain(layer.config())))
    assert least_weights(type(layer).__name__, arguments) <= n_weights


def _plain(arguments: dict[str, object]) -> dict[str, object]:
    """Constructor arguments as they are in a file, circuits and the like left empty."""
    kept = (int, float, str, bool, type(None), tuple, list)
    return {
        name: value if isinstance(value, kept) and name not in ("observables", "polynomials") else {}
        for name, value in arguments.items()
    }


@pytest.mark.parametrize("layer", [[], {}, None, 5, "Linear", ["QKAN"], True])
def test_names_that_are_none_are_refused(layer: object) -> None:
    with pytest.raises(ValueError, match=r"must hold one of .*QKAN"):
        parse_layer(written(layer))


@pytest.mark.parametrize("version", [True, 1.0, "1", [1], None, 2, -1, 10**30])
def test_other_versions_are_refused(version: object) -> None:
    with pytest.raises(ValueError, match=r"has format .*, but this program reads 1\. Update"):
        parse_layer(with_header(format=version))


@pytest.mark.parametrize("name", ["device", "dtype", "backend", "generator"])
def test_arguments_that_are_chosen_at_loading_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` must not be in a file"):
        parse_layer(written("QKANLayer", in_features=2, out_features=2, **{name: "cuda"}))


@pytest.mark.parametrize(
    "text", ["[" * 100_000 + "]" * 100_000, '{"format": 1, "format": 1}', '{"format": NaN}', "{", "5"]
)
def test_json_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_layer(save({"w": torch.zeros(1)}, {"qml": text}))


@pytest.mark.parametrize(
    ("dtype", "message"),
    [
        (torch.complex64, "must hold real tensors, but `.*` is torch.complex64"),
        (torch.float8_e4m3fn, "must hold real tensors, but `.*` is torch.float8"),
        (torch.int32, "must be torch.float32, but is torch.int32"),
        (torch.bool, "must be torch.float32, but is torch.bool"),
    ],
)
def test_tensors_of_another_kind_are_refused(dtype: torch.dtype, message: str) -> None:
    tensors = {name: torch.ones(value.shape).to(dtype) for name, value in QKANLayer(2, 2).state_dict().items()}
    with pytest.raises(ValueError, match=message):
        parse_layer(written("QKANLayer", tensors, in_features=2, out_features=2))


def test_tensors_that_are_missing_or_too_many_or_of_two_precisions_are_refused() -> None:
    tensors = QKANLayer(2, 2).state_dict()
    sizes = {"in_features": 2, "out_features": 2}
    assert isinstance(parse_layer(written("QKANLayer", dict(tensors), **sizes)), QKANLayer)
    last = {name: tensors[name] for name in list(tensors)[:-1]}
    for changed in (
        last,
        {**tensors, "more": torch.zeros(1)},
        {**tensors, "mask": tensors["mask"].double()},
        {**tensors, "mask": tensors["mask"][:1].contiguous()},
    ):
        with pytest.raises(ValueError, match="cannot be made into a QKANLayer again"):
            parse_layer(written("QKANLayer", changed, **sizes))


VALUES: list[Any] = [None, True, -1, 0, 3, 10**9, 10**30, 0.5, 1e300, "", "cuda", "z" * 900, [], {}, [10**9] * 3]
VALUES += [[[1]], {"layer": "QKAN"}, {"openqasm": 5}, {"observable": [["a", [["Q", 10**9]]]]}, nested_core(), "F8_E4M3"]


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something is in nested lists and objects."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [found for key, item in items for found in places(item, (*place, key))]


def mutated_header(content: bytes, draw: random.Random, entry: str = "qml") -> bytes:
    """A file with one change: in our entry of the header, in the rest of it, in its length or bytes, or its end."""
    length = struct.unpack("<Q", content[:8])[0]
    header, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    own = json.loads(header["__metadata__"][entry])
    kind = draw.choice(["own", "own", "own", "header", "length", "bytes", "end"])
    if kind == "length":
        return struct.pack("<Q", draw.choice([0, 1, len(content) - 8, 2**63, 2**64 - 1])) + content[8:]
    if kind == "end":
        return content[: draw.randrange(len(content))]
    if kind == "bytes":
        changed = bytearray(content)
        changed[draw.randrange(8, len(changed))] = draw.randrange(256)
        return bytes(changed)
    target = own if kind == "own" else header
    *way, last = draw.choice(places(target))
    inner = target
    for key in way:
        inner = inner[key]
    inner[last] = draw.choice(VALUES)
    if kind == "own":
        header["__metadata__"][entry] = json.dumps(own)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


@pytest.mark.parametrize("name", [*EXAMPLES, *OTHERS, *ON_CIRCUITS])
def test_a_mutated_file_is_a_layer_or_a_value_error(name: str) -> None:
    content, draw = dump_layer((EXAMPLES | OTHERS | ON_CIRCUITS)[name]()), random.Random(name)
    messages = list[str]()
    for _ in range(25):
        try:
            layer = parse_layer(mutated_header(content, draw))
        except ValueError as error:
            messages.append(str(error))
        else:
            parse_layer(dump_layer(layer))
    assert len(messages) > 5
    assert all("must" in message for message in messages)  # they say what a file has to be


def test_weights_that_are_not_finite_are_refused_both_ways() -> None:
    layer = QNNClassifier(2, "x")
    with torch.no_grad():
        layer.weights[0] = torch.nan
    with pytest.raises(ValueError, match="must be finite to be saved, but `weights` holds NaN"):
        dump_layer(layer)
    header = json.dumps({"format": 1, "layer": "QNNClassifier", "arguments": {"n_inputs": 2, "pattern": "x"}})
    with pytest.raises(ValueError, match="the checkpoint must hold finite weights"):
        parse_layer(save({"weights": torch.full((2,), torch.inf)}, {"qml": header}))


def test_circuits_that_openqasm_cannot_say_are_refused() -> None:
    amplitudes = Circuit(1).prepare_slots([data(0), data(1)])
    with pytest.raises(ValueError, match="slots"):
        dump_layer(QuantumLayer(amplitudes, [Z(0)]))


def test_other_modules_and_suffixes_are_refused(tmp_path: Path) -> None:
    class Mine(QNNClassifier):
        pass

    for module in (nn.Linear(2, 2), nn.Sequential(QNNClassifier(2)), Mine(2)):
        with pytest.raises(TypeError, match=r"`layer` must be one of .*QNNClassifier.*, but is"):
            save_layer(module, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=r"`path` must end in .safetensors, but is model.pt"):
        save_layer(QNNClassifier(2), "model.pt")
    with pytest.raises(FileNotFoundError):
        load_layer(tmp_path / "missing.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_write_that_is_interrupted_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.safetensors"
    save_layer(QNNClassifier(2), path)
    before = path.read_bytes()

    def interrupted(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(qml.files.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_layer(QNNClassifier(3), path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
