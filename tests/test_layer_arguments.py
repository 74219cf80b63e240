"""What circuits, classifiers and classical baselines make of inputs and options of the wrong kind."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Z, data, weight
from qml import checks
from qml.backends import Native
from qml.baselines import KAN, KANLayer, LogisticRegression, MLPClassifier, SineClassifier, WordRNN
from qml.nn import QNNClassifier, QuantumLayer

pytestmark = pytest.mark.plain  # these calls contradict annotations
REFUSALS = (TypeError, ValueError)
CIRCUIT = Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).ry(weight(0), 1)
SHAPE = (4, 2)

LAYERS: dict[str, Callable[..., nn.Module]] = {
    "QuantumLayer": lambda **o: QuantumLayer(CIRCUIT, [Z(0), Z(1)], **o),
    "QuantumLayer, probabilities": lambda **o: QuantumLayer(CIRCUIT, probabilities_of=[1], **o),
    "QNNClassifier": lambda **o: QNNClassifier(2, "zx", **o),
    "QNNClassifier, three classes": lambda **o: QNNClassifier(2, "zx", n_classes=3, **o),
    "KANLayer": lambda **o: KANLayer(2, 3, **o),
    "KAN": lambda **o: KAN([2, 3, 1], **o),
    "LogisticRegression": lambda **o: LogisticRegression(2, **o),
    "MLPClassifier": lambda **o: MLPClassifier(2, (4,), **o),
    "SineClassifier": lambda **o: SineClassifier(2, spread=1.0, **o),
}
QUANTUM = [name for name in LAYERS if name.startswith("Q")]

ODD_INPUTS: dict[str, Callable[[Tensor], Any]] = {
    "a list": lambda x: x.tolist(),
    "an array": lambda x: x.numpy(),
    "None": lambda x: None,
    "a number": lambda x: 3,
    "text": lambda x: "0.5",
    "integers": lambda x: x.long(),
    "booleans": lambda x: x.bool(),
    "complex numbers": lambda x: x.to(torch.complex64),
    "double precision": lambda x: x.double(),
    "half precision": lambda x: x.half(),
    "bfloat16": lambda x: x.bfloat16(),
    "no values": lambda x: x.to("meta"),
    "a sparse tensor": lambda x: x.to_sparse(),
    "a missing feature": lambda x: x[:, :1],
    "no dimension": lambda x: x.sum(),
    "NaN": lambda x: torch.cat([x[:1] * float("nan"), x[1:]]),
    "infinity": lambda x: torch.cat([x[:1] / 0.0, x[1:]]),
}


@pytest.mark.parametrize("odd", ODD_INPUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_odd_inputs_are_refused_by_name(name: str, odd: str) -> None:
    inputs = ODD_INPUTS[odd](torch.rand(SHAPE, generator=torch.Generator().manual_seed(1)) + 0.1)
    with pytest.raises(REFUSALS, match=r"inputs|data"):
        LAYERS[name]()(inputs)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_takes_inputs_of_its_own_precision(name: str) -> None:
    for dtype in (torch.float32, torch.float64):
        output = LAYERS[name](dtype=dtype)(torch.rand(SHAPE, dtype=dtype))
        assert output.dtype == dtype


@pytest.mark.parametrize("name", LAYERS)
def test_parameters_that_are_nan_are_named(name: str) -> None:
    layer = LAYERS[name]()
    parameter_name, parameter = next(iter(layer.named_parameters()))
    with torch.no_grad():
        parameter.view(-1)[0] = float("nan")
    with pytest.raises(ValueError, match=f"{parameter_name.rpartition('.')[2]}`.*must be finite"):
        layer(torch.rand(SHAPE))


@pytest.mark.parametrize("name", QUANTUM)
@pytest.mark.parametrize("batch", [1, 3, 4096])
def test_layers_in_half_precision_are_refused_for_every_batch(name: str, batch: int) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        layer = LAYERS[name]().to(dtype)
        with pytest.raises(TypeError, match="The layer must be in float32 or float64"):
            layer(torch.rand(batch, 2).to(dtype))
        with pytest.raises(ValueError, match="dtype"):
            LAYERS[name](dtype=dtype)


@pytest.mark.parametrize("name", LAYERS)
def test_inputs_in_half_precision_are_taken_under_autocast(name: str) -> None:
    layer, inputs = LAYERS[name](), torch.rand(SHAPE).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(inputs)
    expected = layer.double()(inputs.double())
    torch.testing.assert_close(output.double(), expected, atol=0.02, rtol=0.02)  # bfloat16 has 8 bits


@pytest.mark.parametrize("name", QUANTUM)
def test_tracing_and_scripting_are_refused_with_the_way_that_works(name: str) -> None:
    layer = LAYERS[name]()
    with (
        pytest.warns(DeprecationWarning, match="jit"),
        pytest.raises(TypeError, match=r"must be exported by torch\.export"),
    ):
        torch.jit.trace(layer, torch.rand(SHAPE))
    with (
        pytest.warns(DeprecationWarning, match="jit"),
        pytest.raises(TypeError, match=r"must be exported by torch\.export"),
    ):
        torch.jit.script(layer)


def test_weights_of_every_sample_meet_the_same_door() -> None:
    layer, inputs = QuantumLayer(CIRCUIT, [Z(0)]), torch.rand(SHAPE)
    for weights in ([[0.1]] * 4, np.zeros((4, 1)), torch.zeros(4, 1, dtype=torch.float64), torch.zeros(4, 1).long()):
        with pytest.raises(REFUSALS, match="weights"):
            layer(inputs, weights)


WRONG_OPTIONS: dict[str, tuple[str, Callable[[], Any]]] = {
    "no circuit": ("circuit", lambda: QuantumLayer("ry", [Z(0)])),  # pyright: ignore[reportArgumentType]
    "a number of observables": ("observables", lambda: QuantumLayer(CIRCUIT, 5)),  # pyright: ignore[reportArgumentType]
    "text for observables": ("observables", lambda: QuantumLayer(CIRCUIT, "Z")),  # pyright: ignore[reportArgumentType]
    "one qubit": ("qubits", lambda: QuantumLayer(CIRCUIT, probabilities_of=0)),  # pyright: ignore[reportArgumentType]
    "an unknown start": ("initial", lambda: QuantumLayer(CIRCUIT, [Z(0)], initial="large")),  # pyright: ignore[reportArgumentType]
    "a seed": ("generator", lambda: QuantumLayer(CIRCUIT, [Z(0)], generator=1)),  # pyright: ignore[reportArgumentType]
    "classes in text": ("n_classes", lambda: QNNClassifier(2, "zx", n_classes="3")),  # pyright: ignore[reportArgumentType]
    "a fraction of an input": ("n_inputs", lambda: QNNClassifier(2.0, "zx")),  # pyright: ignore[reportArgumentType]
    "a pattern that is a number": ("pattern", lambda: QNNClassifier(2, 7)),  # pyright: ignore[reportArgumentType]
    "an observable in text": ("observable", lambda: QNNClassifier(2, "zx", observable="Z")),  # pyright: ignore[reportArgumentType]
    "one width": ("widths", lambda: KAN(3)),  # pyright: ignore[reportArgumentType]
    "widths in text": ("widths", lambda: KAN("32")),  # pyright: ignore[reportArgumentType]
    "a domain of one end": ("domain", lambda: KAN([2, 2], domain=1)),  # pyright: ignore[reportArgumentType]
    "an endless domain": ("domain", lambda: KANLayer(2, 2, domain=(0.0, float("inf")))),
    "a grid in text": ("grid", lambda: KANLayer(2, 2, grid="5")),  # pyright: ignore[reportArgumentType]
    "true for a size": ("in_features", lambda: KANLayer(True, 2)),
    "a hidden size of 0": ("hidden_sizes", lambda: MLPClassifier(3, (4, 0))),
    "no hidden size": ("hidden_sizes", lambda: MLPClassifier(3, ())),
    "a hidden size in text": ("hidden_sizes", lambda: MLPClassifier(3, "4")),  # pyright: ignore[reportArgumentType]
    "a spread in text": ("spread", lambda: SineClassifier(2, spread="1")),  # pyright: ignore[reportArgumentType]
    "a spread of NaN": ("spread", lambda: SineClassifier(2, spread=float("nan"))),
    "an unknown layer": ("kind", lambda: WordRNN("gru", 2, 3)),  # pyright: ignore[reportArgumentType]
    "shots in text": ("shots", lambda: Native().sample(CIRCUIT, torch.rand(1, 2), torch.rand(1), "5")),  # pyright: ignore[reportArgumentType]
    "read-out errors in text": ("readout_error", lambda: Native(readout_error=("0.1", "0.2"))),  # pyright: ignore[reportArgumentType]
}


@pytest.mark.parametrize("what", WRONG_OPTIONS)
def test_options_of_the_wrong_kind_are_refused_by_name(what: str) -> None:
    name, make = WRONG_OPTIONS[what]
    with pytest.raises(REFUSALS, match=name):
        make()


def test_numbers_of_numpy_are_numbers() -> None:
    assert isinstance(QNNClassifier(np.int64(2), "zx", n_classes=np.int32(3)).n_classes, int)  # pyright: ignore[reportArgumentType]
    assert KAN(np.array([2, 3, 1])).widths == (2, 3, 1)  # pyright: ignore[reportArgumentType]
    assert SineClassifier(2, spread=np.float32(0.5)).spread == 0.5  # pyright: ignore[reportArgumentType]
    assert MLPClassifier(3, np.int64(4)).layers[0].out_features == 4  # pyright: ignore[reportArgumentType]


def test_one_hidden_size_is_one_layer() -> None:
    sizes = [tuple(parameter.shape) for parameter in MLPClassifier(3, 4).parameters()]
    assert sizes == [tuple(parameter.shape) for parameter in MLPClassifier(3, (4,)).parameters()]


@pytest.mark.parametrize(
    "words", [torch.tensor([[0.0]]), torch.tensor([[True]]), torch.tensor([[4]]), torch.tensor([1])]
)
def test_words_outside_their_alphabet_are_refused(words: Tensor) -> None:
    with pytest.raises(REFUSALS, match="words"):
        WordRNN("lstm", 2, 3)(words)


def test_bounds_of_numbers_are_told() -> None:
    assert checks.as_number(0.5, "share", at_least=0, below=1) == 0.5
    for value, bounds, message in (
        (1.0, {"at_least": 0, "below": 1}, "be at least 0 and below 1, but is 1"),
        (-1.0, {"above": 0}, "be above 0, but is -1"),
        (2.0, {"at_most": 1}, "be at most 1, but is 2"),
        (float("nan"), {}, "be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            checks.as_number(value, "share", **bounds)
    for value in ("1", True, None, 1j, [1.0]):
        with pytest.raises(TypeError, match="`share` must be a number"):
            checks.as_number(value, "share")
    assert checks.as_flag(np.True_, "flag") is True
    with pytest.raises(TypeError, match="`flag` must be True or False"):
        checks.as_flag("no", "flag")
