"""Layers in files: weights as safetensors, constructor arguments as JSON in its header; never pickle."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from circuits import Circuit, Observable, from_openqasm, to_openqasm
from qml.backends import Backend
from qml.files import as_path, parse_json, parse_safetensors, write_atomically
from qml.nn import _checkpoint_sizes as sizes
from qml.nn.qkan.cells import HQKANLSTMCell, QKANGRUCell, QKANLSTMCell
from qml.nn.qkan.daruan import DARUAN
from qml.nn.qkan.layer import QKANLayer
from qml.nn.qkan.network import HQKAN, QKAN, JHCGNet
from qml.nn.qkan.recurrent import HQKANLSTM, QKANGRU, QKANLSTM
from qml.nn.qlstm import QLSTM
from qml.nn.qnn import DEFAULT_PATTERN, QNNClassifier
from qml.nn.qrnn.cell import QRNNCell
from qml.nn.qrnn.network import QRNN
from qml.nn.qrnn.neuron import QuantumNeuron
from qml.nn.qrnn.numbers import QRNNClassifier, QRNNRegressor
from qml.nn.quantum_layer import QuantumLayer

FORMAT = 1
HEADER = "qml"
SUFFIX = ".safetensors"

LONGEST_REASON = 500  # characters of an error within an error

JSON = Any


SLOT = re.compile(r"\bweight_?\[?([0-9]{3,})")  # the number of a weight in OpenQASM


class _Entry(NamedTuple):
    """How a layer is written and read.

    Attributes:
        layer: its class.
        arguments: its constructor arguments.
        least: a number of weights that it has at least, by arguments from a file, where building it is work that grows
            with them.
    """

    layer: type[nn.Module]
    arguments: Callable[[Any], dict[str, Any]]
    least: Callable[[Mapping[str, Any]], int] = lambda _: 0


def _attributes(*names: str) -> Callable[[Any], dict[str, Any]]:
    """Constructor arguments that the layer keeps under their own names."""
    return lambda layer: {name: getattr(layer, name) for name in names}


def _qnn_arguments(layer: QNNClassifier) -> dict[str, Any]:
    own = {"circuit": layer.circuit} if layer.pattern is None else {"pattern": layer.pattern}
    read = {"observable": layer.observables[0]} if layer.n_classes == 2 else {}
    return {"n_inputs": layer.n_inputs, "n_classes": layer.n_classes, **own, **read}


def _qrnn_cell_arguments(cell: QRNNCell) -> dict[str, Any]:
    sizes = _attributes("input_size", "hidden_size", "n_stages", "order", "degree", "amplification")
    return sizes(cell) | {"bias": cell.bias is not None}


def _qrnn_arguments(layer: QRNN) -> dict[str, Any]:
    return _qrnn_cell_arguments(layer.cell) | _attributes("batch_first", "recompute")(layer)


def _neuron_arguments(layer: QuantumNeuron) -> dict[str, Any]:
    sizes = _attributes("n_inputs", "order", "degree", "amplification")
    return sizes(layer) | {"bias": layer.bias is not None}


def _attributes_and_options(*names: str) -> Callable[[Any], dict[str, Any]]:
    return lambda layer: _attributes(*names)(layer) | layer.options


_RECURRENT = ("input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional")


def _recurrent_arguments(layer: QKANLSTM | HQKANLSTM | QKANGRU) -> dict[str, Any]:
    projection = {} if isinstance(layer, QKANGRU) else {"proj_size": layer.proj_size}
    return _attributes(*_RECURRENT)(layer) | projection | layer.options


def _jhcg_arguments(layer: JHCGNet) -> dict[str, Any]:
    sizes = _attributes("in_features", "out_features", "core", "latent")
    return sizes(layer) | {"bias": layer.encoder.bias is not None}


def _continuous_arguments(layer: QRNNRegressor) -> dict[str, Any]:
    own = _attributes("in_features", "n_bits", "low", "high", "encoding")(layer)
    outputs = "n_classes" if isinstance(layer, QRNNClassifier) else "out_features"
    network = _attributes("hidden_size", "n_stages", "order", "degree")(layer.qrnn.cell)
    return own | {outputs: layer.out_features, "batch_first": layer.qrnn.batch_first} | network


LAYERS = {
    "DARUAN": _Entry(DARUAN, _attributes_and_options("n_features")),
    "HQKAN": _Entry(HQKAN, _attributes_and_options("in_features", "out_features", "latent")),
    "HQKANLSTM": _Entry(HQKANLSTM, lambda layer: _recurrent_arguments(layer) | {"latent": layer.cells[0].latent}),
    "HQKANLSTMCell": _Entry(HQKANLSTMCell, _attributes_and_options("input_size", "hidden_size", "proj_size", "latent")),
    "JHCGNet": _Entry(JHCGNet, _jhcg_arguments),
    "QKAN": _Entry(QKAN, _attributes_and_options("widths")),
    "QKANGRU": _Entry(QKANGRU, _recurrent_arguments),
    "QKANGRUCell": _Entry(QKANGRUCell, _attributes_and_options("input_size", "hidden_size")),
    "QKANLSTM": _Entry(QKANLSTM, _recurrent_arguments),
    "QKANLSTMCell": _Entry(QKANLSTMCell, _attributes_and_options("input_size", "hidden_size", "proj_size")),
    "QKANLayer": _Entry(QKANLayer, _attributes_and_options("in_features", "out_features")),
    "QLSTM": _Entry(QLSTM, _attributes(*_RECURRENT, "n_circuit_layers"), sizes.qlstm_weights),
    "QNNClassifier": _Entry(QNNClassifier, _qnn_arguments, partial(sizes.qnn_weights, default_pattern=DEFAULT_PATTERN)),
    "QRNN": _Entry(QRNN, _qrnn_arguments, sizes.qrnn_weights),
    "QRNNCell": _Entry(QRNNCell, _qrnn_cell_arguments, sizes.qrnn_weights),
    "QRNNClassifier": _Entry(QRNNClassifier, _continuous_arguments, sizes.continuous_weights),
    "QRNNRegressor": _Entry(QRNNRegressor, _continuous_arguments, sizes.continuous_weights),
    "QuantumLayer": _Entry(QuantumLayer, _attributes("circuit", "observables", "probabilities_of", "initial")),
    "QuantumNeuron": _Entry(QuantumNeuron, _neuron_arguments, sizes.single_neuron_weights),
}
"""Layers that can be saved, with the constructor arguments that make them again, device and dtype left out."""


def save_layer(layer: nn.Module, path: Path | str) -> None:
    """Write a layer: its class, its constructor arguments and its weights, not its backend.

    Circuits are written as OpenQASM 3 and observables as weighted strings. The file is whole or not there.

    Args:
        layer: one of `LAYERS`.
        path: a `.safetensors` file, replaced if it is there.

    Raises:
        TypeError: another layer.
        ValueError: another suffix, weights that are not finite, a circuit that OpenQASM cannot say.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from qml.nn import QNNClassifier, load_layer, save_layer
        >>> layer, inputs = QNNClassifier(4, "zx"), torch.rand(3, 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_layer(layer, folder + "/model.safetensors")
        ...     again = load_layer(folder + "/model.safetensors")
        >>> torch.equal(again(inputs), layer(inputs))
        True
    """
    target = as_path(path)
    if target.suffix != SUFFIX:
        raise ValueError(f"Argument `path` must end in {SUFFIX}, but is {target}.")
    write_atomically(target, dump_layer(layer))


def load_layer(path: Path | str, *, backend: Backend | str = "native") -> nn.Module:
    """The layer of `save_layer`, on the CPU and, if it has a choice, on the given backend.

    Raises:
        ValueError: a file that is corrupt, that another program or a newer version wrote, or whose weights do not fit;
            another backend for a layer that runs on the built-in simulator alone.
        FileNotFoundError: no such file.
    """
    return parse_layer(as_path(path).read_bytes(), backend=backend, name=str(path))


def dump_layer(layer: nn.Module) -> bytes:
    """The bytes of `save_layer`."""
    from safetensors.torch import save

    described = _describe(layer)
    state = {key: value.detach().cpu().contiguous() for key, value in layer.state_dict().items()}
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"Weights must be finite to be saved, but `{key}` holds NaN or infinity.")
    header = json.dumps({"format": FORMAT, **described}, sort_keys=True, allow_nan=False)
    return save(state, {HEADER: header})


def parse_layer(content: Any, *, backend: Backend | str = "native", name: str = "the checkpoint") -> nn.Module:
    """The layer of `dump_layer`; `name` stands for the bytes in errors.

    The bytes may come from anyone: sizes are compared with the tensors before anything is built.
    """
    if not isinstance(content, bytes):
        raise TypeError(f"Argument `content` must be bytes, but is {type(content).__name__}. See load_layer for files.")
    header, state = _parsed(content, name)
    version, kind_name = header.get("format"), header.get("layer")
    if type(version) is not int or version != FORMAT:
        raise ValueError(
            f"{name} has format {_brief(version)}, but this program reads {FORMAT}. Update qml-circuits: a file must "
            "be read by the version that wrote it, or a newer one."
        )
    if not isinstance(kind_name, str) or kind_name not in LAYERS:
        raise ValueError(f"{name} must hold one of {', '.join(LAYERS)}, but holds {_brief(kind_name)}. Update?")
    _require_finite(state, name)
    kind, dtype = LAYERS[kind_name].layer, _dtype(state)
    try:
        sizes.require_state(lambda: _build(header, state, device="meta", dtype=dtype), state)
        layer: Any = _build(header, state, dtype=dtype)
        layer.load_state_dict(state)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())  # torch writes several lines
        raise ValueError(
            f"{name} cannot be made into a {kind.__name__} again: {reason[:LONGEST_REASON]} Its arguments and tensors "
            "must be those that save_layer wrote."
        ) from error
    if hasattr(layer, "to_backend"):
        layer.to_backend(backend)
    elif backend != "native":
        raise ValueError(f"Argument `backend` must be left out for {kind.__name__}, which has a simulator of its own.")
    return layer


def checkpoint_hash(content: bytes) -> str:
    """What runs remember a checkpoint by: the SHA-256 of its bytes."""
    return hashlib.sha256(content).hexdigest()


def _parsed(content: bytes, name: str) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Our part of the header of a safetensors file, and its tensors."""
    metadata, state = parse_safetensors(content, name)
    try:
        text = metadata.get(HEADER)
        header = None if text is None else parse_json(text)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{name} is corrupt, or no safetensors file: its header must be one that qml.nn.save_layer wrote. Save the "
            "layer again."
        ) from error
    if not isinstance(header, dict):
        raise ValueError(
            f"{name} is no checkpoint of a layer of this package: it must be a file of qml.nn.save_layer. Save the "
            "layer with it."
        )
    return header, state


def _require_finite(state: Mapping[str, Tensor], name: str) -> None:
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} must hold finite weights, but `{key}` holds NaN or infinity.")


def _dtype(state: Mapping[str, Tensor]) -> torch.dtype | None:
    return next((value.dtype for value in state.values() if value.is_floating_point()), None)


def _describe(layer: nn.Module) -> dict[str, JSON]:
    """A layer's class and constructor arguments."""
    name = type(layer).__name__
    if name not in LAYERS or type(layer) is not LAYERS[name].layer:
        raise TypeError(f"Argument `layer` must be one of {', '.join(LAYERS)}, but is {name}.")
    arguments = {key: _encode(value) for key, value in LAYERS[name].arguments(layer).items()}
    return {"layer": name, "arguments": arguments}


def _build(described: Mapping[str, Any], state: Mapping[str, Tensor], **place: Any) -> nn.Module:
    """The layer of `_describe`, with initial weights; `place` is its dtype and device."""
    entry, arguments = LAYERS[described["layer"]], described["arguments"]
    sizes.require_plausible(arguments, state)
    sizes.require_weights(entry.least(arguments), state)
    decoded = {key: _decode(value, state, place) for key, value in arguments.items()}
    return entry.layer(**decoded, **place)


def _encode(value: Any) -> JSON:
    """A constructor argument as JSON."""
    if isinstance(value, nn.Module):
        return _describe(value)
    if isinstance(value, Circuit):
        return {"openqasm": to_openqasm(value)}
    if isinstance(value, Observable):
        return {
            "observable": [[weight, [[letter, qubit] for qubit, letter in factors]] for weight, factors in value.terms]
        }
    if isinstance(value, list | tuple):
        return [_encode(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"Constructor arguments must be numbers, strings, circuits or observables, but one is {value!r}.")


def _decode(value: JSON, state: Mapping[str, Tensor], place: Mapping[str, Any]) -> Any:
    """The constructor argument of `_encode`; sequences are tuples."""
    if isinstance(value, list):
        return tuple(_decode(item, state, place) for item in value)
    if not isinstance(value, dict):
        return value
    if "layer" in value:
        return _build(value, state, **place)
    if "openqasm" in value:
        return _circuit(value["openqasm"], sum(tensor.numel() for tensor in state.values()))
    terms = [(weight, tuple((qubit, letter) for letter, qubit in factors)) for weight, factors in value["observable"]]
    return Observable(tuple(terms))


def _circuit(text: Any, n_weights: int) -> Circuit:
    """A circuit from OpenQASM whose weights are in the file, as the numbers in their names tell."""
    if not isinstance(text, str):
        raise ValueError(f"`openqasm` must be text, but is {type(text).__name__}.")
    largest = max((int(number) for number in SLOT.findall(text)), default=0)
    if largest >= max(sizes.FREE, n_weights):
        raise ValueError(
            f"a circuit must have its weights in the file, which holds {n_weights}, but has weight_{largest}."
        )
    return from_openqasm(text)


def _brief(value: Any) -> str:
    """A value of a file in an error, not longer than a line."""
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
