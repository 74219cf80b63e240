"""Layers in files: weights as safetensors, constructor arguments as JSON in its header; never pickle."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from circuits import Circuit, Observable, Polynomial, from_openqasm, to_openqasm
from qml.backends import Backend
from qml.files import as_path, parse_json, parse_safetensors, write_atomically
from qml.nn import _checkpoint_sizes as sizes
from qml.nn._polynomial_files import polynomial_as_json, polynomial_from_json
from qml.nn.angles import Angles
from qml.nn.classifiers.boltzmann import QuantumBoltzmannClassifier
from qml.nn.classifiers.circuit_centric import CircuitCentricClassifier
from qml.nn.classifiers.convolutional import QCNNClassifier
from qml.nn.classifiers.dressed import DressedQuantumCircuit
from qml.nn.classifiers.iqp import IQPClassifier
from qml.nn.classifiers.metric import QuantumMetricLearner
from qml.nn.classifiers.reuploading import DataReuploadingClassifier
from qml.nn.classifiers.separable import SeparableClassifier
from qml.nn.classifiers.tree import TreeTensorClassifier
from qml.nn.qkan.cells import HQKANLSTMCell, QKANGRUCell, QKANLSTMCell
from qml.nn.qkan.daruan import DARUAN
from qml.nn.qkan.layer import QKANLayer
from qml.nn.qkan.network import HQKAN, QKAN, JHCGNet
from qml.nn.qkan.recurrent import HQKANLSTM, QKANGRU, QKANLSTM
from qml.nn.qlstm import QLSTM
from qml.nn.qnn import QNNClassifier
from qml.nn.qrnn.cell import QRNNCell
from qml.nn.qrnn.network import QRNN
from qml.nn.qrnn.neuron import QuantumNeuron
from qml.nn.qrnn.numbers import QRNNClassifier, QRNNRegressor
from qml.nn.quantum_layer import QuantumLayer
from qml.nn.quanvolution import Quanvolution

FORMAT = 1
HEADER = "qml"
SUFFIX = ".safetensors"

MAX_REASON = 500  # characters of an error within an error

JSON = Any
Describe = Callable[[nn.Module], dict[str, JSON]]
Build = Callable[..., nn.Module]
MODULE_KEYS = ("layer", "torch", "container", "registered")
"""The keys by which the description of a module is known; files of single layers have the first only."""

WEIGHT_NUMBER = re.compile(r"\bweight_?\[?([0-9]{3,})")  # the number of a weight in OpenQASM


LAYERS: tuple[type[nn.Module], ...] = (
    Angles,
    CircuitCentricClassifier,
    DARUAN,
    DataReuploadingClassifier,
    DressedQuantumCircuit,
    HQKAN,
    HQKANLSTM,
    HQKANLSTMCell,
    IQPClassifier,
    JHCGNet,
    QCNNClassifier,
    QKAN,
    QKANGRU,
    QKANGRUCell,
    QKANLSTM,
    QKANLSTMCell,
    QKANLayer,
    QLSTM,
    QNNClassifier,
    QRNN,
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
)
"""Layers that can be saved. Each has `config()`: the constructor arguments that make it again, device and dtype left
out. Where building one is work that grows with its weights, `_checkpoint_sizes.LEAST_WEIGHTS` bounds them."""

_BY_NAME = {layer.__name__: layer for layer in LAYERS}


def save_layer(layer: nn.Module, path: Path | str) -> None:
    """Write a layer: its class, its constructor arguments and its weights, not its backend.

    Circuits are written as OpenQASM 3 and observables as weighted strings. The file is written whole or not at all.

    Args:
        layer: one of `LAYERS`.
        path: a `.safetensors` file, replaced if it exists.

    Raises:
        TypeError: another layer, or a whole model; the message says how that is saved.
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
    write_atomically(as_target(path), dump_layer(layer))


def load_layer(path: Path | str, *, backend: Backend | str = "native") -> nn.Module:
    """Read the layer of `save_layer`, onto the CPU and, if it has a choice, onto the given backend.

    Raises:
        ValueError: a file that is corrupt, that another program or a newer version wrote, or whose weights do not fit;
            another backend for a layer that runs on the built-in simulator alone.
        FileNotFoundError: no such file.
    """
    return parse_layer(as_path(path).read_bytes(), backend=backend, name=str(path))


def as_target(path: Path | str) -> Path:
    """Return the path of a file that is to be written; refuse another suffix."""
    target = as_path(path)
    if target.suffix != SUFFIX:
        raise ValueError(f"Argument `path` must end in {SUFFIX}, but is {target}.")
    return target


def dump_layer(layer: nn.Module) -> bytes:
    """Return the bytes that `save_layer` writes."""
    described = describe_layer(layer)
    return file_content(described, layer.state_dict())


def file_content(described: Mapping[str, JSON], state: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a file with this description and these tensors, all of which must be finite."""
    from safetensors.torch import save

    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    for key, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"Weights must be finite to be saved, but `{key}` holds NaN or infinity.")
    header = json.dumps({"format": FORMAT, **described}, sort_keys=True, allow_nan=False)
    return save(tensors, {HEADER: header})


def parse_layer(content: Any, *, backend: Backend | str = "native", name: str = "the checkpoint") -> nn.Module:
    """Build the layer of `dump_layer`; errors call the bytes `name`.

    The bytes may come from anyone: sizes are compared with the tensors before anything is built.
    """
    if not isinstance(content, bytes):
        raise TypeError(f"Argument `content` must be bytes, but is {type(content).__name__}. See load_layer for files.")
    header, state = parsed_file(content, name)
    kind_name = header.get("layer")
    if "model" in header:
        raise ValueError(f"{name} must hold one layer, but holds a whole model. Read it with qml.nn.load_model.")
    if not isinstance(kind_name, str) or kind_name not in _BY_NAME:
        raise ValueError(f"{name} must hold one of {', '.join(_BY_NAME)}, but holds {brief(kind_name)}. Update?")
    require_finite_state(state, name)
    kind, dtype = _BY_NAME[kind_name], dtype_of(state)
    try:
        sizes.require_state(lambda: build_layer(header, state, device="meta", dtype=dtype), state)
        layer: Any = build_layer(header, state, dtype=dtype)
        layer.load_state_dict(state)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be made into a {kind.__name__} again: {reason_of(error)} Its arguments and tensors "
            "must be those that save_layer wrote."
        ) from error
    if hasattr(layer, "to_backend"):
        layer.to_backend(backend)
    elif backend != "native":
        raise ValueError(f"Argument `backend` must be left out for {kind.__name__}, which runs on none of them.")
    return layer


def checkpoint_hash(content: bytes) -> str:
    """Return the SHA-256 of a checkpoint's bytes, by which runs remember it."""
    return hashlib.sha256(content).hexdigest()


def parsed_file(content: bytes, name: str) -> tuple[Mapping[str, Any], dict[str, Tensor]]:
    """Return our part of the header of a safetensors file, and its tensors."""
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
    version = header.get("format")
    if type(version) is not int or version != FORMAT:
        raise ValueError(
            f"{name} has format {brief(version)}, but this program reads {FORMAT}. Update qml-circuits: a file must "
            "be read by the version that wrote it, or a newer one."
        )
    return header, state


def require_finite_state(state: Mapping[str, Tensor], name: str) -> None:
    """Refuse NaN and infinity in the tensors of the file `name`."""
    for key, value in state.items():
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} must hold finite weights, but `{key}` holds NaN or infinity.")


def dtype_of(state: Mapping[str, Tensor]) -> torch.dtype | None:
    """Return the dtype of the first floating tensor; None without one."""
    return next((value.dtype for value in state.values() if value.is_floating_point()), None)


def describe_layer(layer: nn.Module, describe: Describe | None = None) -> dict[str, JSON]:
    """Return a layer's class and constructor arguments as JSON; `describe` does so for modules among those."""
    name = type(layer).__name__
    if type(layer) not in LAYERS:
        raise TypeError(f"Argument `layer` must be one of {', '.join(_BY_NAME)}, but is {name}.{_how_to_save(layer)}")
    config: dict[str, Any] = layer.config()  # pyright: ignore[reportCallIssue]
    return {
        "layer": name,
        "arguments": {key: encode(value, describe or describe_layer) for key, value in config.items()},
    }


def _how_to_save(model: nn.Module) -> str:
    """Say how a module that is none of the layers is saved."""
    if not isinstance(model, nn.Module):
        return ""
    if any(type(part) in LAYERS for part in model.modules()) or isinstance(model, nn.Sequential | nn.ModuleList):
        return " Save a whole model with qml.nn.save_model(model, path)."
    return " qml.nn.save_model(model, path) takes models of torch's layers and of these."


def build_layer(
    described: Mapping[str, Any], state: Mapping[str, Tensor], build: Build | None = None, **place: Any
) -> nn.Module:
    """Build the layer of `describe_layer` with initial weights.

    Args:
        described: its class and arguments.
        state: the tensors of the file, which bound all sizes.
        build: makes the modules among its arguments; None for this function.
        place: dtype and device.
    """
    name, arguments = described["layer"], described["arguments"]
    sizes.require_plausible(arguments, state)
    sizes.require_weights(sizes.least_weights(name, arguments), state)
    config = {key: decode(value, state, place, build or build_layer) for key, value in arguments.items()}
    return _BY_NAME[name](**config, **place)


def encode(value: Any, describe: Describe) -> JSON:
    """Write a constructor argument as JSON, modules by `describe`."""
    if isinstance(value, nn.Module):
        return describe(value)
    if isinstance(value, Circuit | Observable | Polynomial):
        return _encode_description(value)
    if isinstance(value, list | tuple):
        return [encode(item, describe) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"Constructor arguments must be numbers, strings, circuits or observables, but one is {value!r}.")


def _encode_description(value: Circuit | Observable | Polynomial) -> JSON:
    """Write a circuit, an observable or a polynomial as JSON."""
    if isinstance(value, Circuit):
        return {"openqasm": to_openqasm(value)}
    if isinstance(value, Polynomial):
        return {"polynomial": polynomial_as_json(value)}
    return {"observable": [[weight, [[letter, qubit] for qubit, letter in factors]] for weight, factors in value.terms]}


def decode(value: JSON, state: Mapping[str, Tensor], place: Mapping[str, Any], build: Build) -> Any:
    """Read the constructor argument of `encode`; sequences become tuples, and `build` makes modules."""
    if isinstance(value, list):
        return tuple(decode(item, state, place, build) for item in value)
    if not isinstance(value, dict):
        return value
    if any(key in value for key in MODULE_KEYS):
        return build(value, state, **place)
    if "openqasm" in value:
        return _circuit(value["openqasm"], sum(tensor.numel() for tensor in state.values()))
    if "polynomial" in value:
        return polynomial_from_json(value["polynomial"])
    terms = [(weight, tuple((qubit, letter) for letter, qubit in factors)) for weight, factors in value["observable"]]
    return Observable(tuple(terms))


def _circuit(text: Any, n_weights: int) -> Circuit:
    """Read a circuit from OpenQASM, and refuse weights whose numbers are beyond those in the file."""
    if not isinstance(text, str):
        raise ValueError(f"`openqasm` must be text, but is {type(text).__name__}.")
    largest = max((int(number) for number in WEIGHT_NUMBER.findall(text)), default=0)
    if largest >= max(sizes.FREE_SIZE, n_weights):
        raise ValueError(
            f"a circuit must have its weights in the file, which holds {n_weights}, but has weight_{largest}."
        )
    return from_openqasm(text)


def reason_of(error: Exception) -> str:
    """Return an error's message on one line; torch writes several."""
    return " ".join(str(error).split())[:MAX_REASON]


def brief(value: Any) -> str:
    """Write a value of a file for an error, on one line at most."""
    text = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:57]}..."
