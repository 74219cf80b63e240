"""Sizes in a checkpoint are compared with its tensors before anything is built from them.

A file of a few hundred bytes may name a layer of any size. So first its arguments are bounded by the numbers in its
tensors, which keeps loops over layers, qubits and gates as short as the file is long; then the layer is built without
memory, on torch's "meta" device, and the names, shapes and dtypes of its state are compared with those in the file.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qml import checks
from qml.nn.qnn import DEFAULT_PATTERN

FREE_SIZE = 64  # that is allowed in a file of any length
MAX_CLASSES = 2**16
MAX_TABLE_NUMBERS = 2**28  # of a neuron's table, which is not in the file
NOT_SIZES = {
    "n_classes", "probabilities_of", "low", "high", "observables", "observable", "circuit", "polynomials", "initial",
    "in_channels", "kernel_size", "stride", "padding", "dilation", "scale", "rotation",
}  # fmt: skip
"""Names of arguments that are no sizes: bounded on their own, or by a circuit or polynomials, which are in the file,
or of a convolution, which builds nothing but its circuit."""
CHOSEN_AT_LOADING = ("backend", "device", "dtype", "generator")
"""Names of arguments that a file never holds: they are chosen where it is read."""


def require_plausible(arguments: Any, state: Mapping[str, Tensor]) -> None:
    """Refuse constructor arguments that no layer with so few weights can have.

    Raises:
        ValueError: arguments that are no object, that a file never holds, or that are too large for its tensors.
        TypeError: the same.
    """
    if not isinstance(arguments, dict):
        raise ValueError(f"`arguments` must be an object, but is {type(arguments).__name__}.")
    limit = max(FREE_SIZE, sum(value.numel() for value in state.values()))
    for name, value in arguments.items():
        if name in CHOSEN_AT_LOADING:
            raise ValueError(f"`{name}` must not be in a file: it is chosen where the layer is loaded.")
        if name not in NOT_SIZES and not (name == "n_inputs" and {"circuit", "polynomials"} & arguments.keys()):
            _require_at_most(value, name, limit)
    if "circuit" in arguments and not isinstance(arguments["circuit"], dict):
        raise ValueError("`circuit` must be an object with its OpenQASM.")
    require_layers(arguments, len(state))
    n_classes = arguments.get("n_classes", 2)
    if isinstance(n_classes, int) and n_classes > MAX_CLASSES:
        raise ValueError(f"`n_classes` must be at most {MAX_CLASSES}, but is {n_classes}.")


def require_weights(least: int, state: Mapping[str, Tensor]) -> None:
    """Refuse a layer that has at least so many weights, where the file holds fewer."""
    n_weights = sum(value.numel() for value in state.values())
    if least > max(FREE_SIZE, n_weights):
        raise ValueError(f"a layer of these sizes must have at least {least} weights, but the file holds {n_weights}.")


def require_state(build: Callable[[], nn.Module], state: Mapping[str, Tensor]) -> None:
    """Build the layer without memory, and refuse a state that does not fit it.

    Raises:
        RuntimeError: missing and unexpected tensors, other shapes.
        ValueError: other dtypes.
    """
    with torch.device("meta"):
        layer = build()
    own = layer.state_dict()
    for name, value in state.items():
        if name in own and value.dtype != own[name].dtype:
            raise ValueError(f"`{name}` must be {own[name].dtype}, but is {value.dtype}.")
    layer.load_state_dict(dict(state), assign=True)


def qnn_weights(arguments: Mapping[str, Any]) -> int:
    """Return the number of weights of a `QNNClassifier`, or 0 where its circuit is its own."""
    pattern = arguments.get("pattern", None if "circuit" in arguments else DEFAULT_PATTERN)
    if pattern is None:
        return 0
    if not isinstance(pattern, str):
        raise ValueError(f"`pattern` must be text, but is {type(pattern).__name__}.")
    return checks.as_int(arguments["n_inputs"], "n_inputs", 1) * len(pattern)


def qlstm_weights(arguments: Mapping[str, Any]) -> int:
    """Return a lower bound of the weights of a `QLSTM`: one a qubit and layer of each gate's circuit."""
    sizes = {name: checks.as_int(arguments.get(name, 1), name, 1) for name in ("input_size", "hidden_size")}
    n_layers = checks.as_int(arguments.get("num_layers", 1), "num_layers", 1)
    n_circuit_layers = checks.as_int(arguments.get("n_circuit_layers", 5), "n_circuit_layers", 1)
    return 4 * n_circuit_layers * (sum(sizes.values()) + (n_layers - 1) * 2 * sizes["hidden_size"])


def neuron_weights(n_sources: int, n_neurons: int, degree: int) -> int:
    """Return the number of weights of neurons on that many qubits.

    Raises:
        ValueError: the table of their monomials in all basis states, which is built with them, is too large.
    """
    if n_sources > MAX_TABLE_NUMBERS.bit_length():
        raise ValueError(
            f"a neuron must have at most {MAX_TABLE_NUMBERS.bit_length()} source qubits, but has {n_sources}."
        )
    n_terms = sum(math.comb(n_sources, size) for size in range(1, min(degree, n_sources) + 1))
    if n_terms * 2**n_sources > MAX_TABLE_NUMBERS:
        raise ValueError(
            f"a neuron's table must hold at most {MAX_TABLE_NUMBERS} numbers, but that of {n_sources} sources and "
            f"degree {degree} holds {n_terms * 2**n_sources}."
        )
    return n_neurons * n_terms


def quanvolution_weights(arguments: Mapping[str, Any]) -> int:
    """Return the number of weights of a `Quanvolution`, or 0 where its circuit is its own."""
    if "circuit" in arguments:
        return 0
    size = arguments["kernel_size"]
    sides = checks.as_ints([size, size] if isinstance(size, int) else size, "kernel_size", 1)
    n_entries = checks.as_int(arguments["in_channels"], "in_channels", 1) * math.prod(sides)
    n_layers = checks.as_int(arguments.get("n_layers", 1), "n_layers", 1)
    return 3 * n_entries * n_layers * checks.as_int(arguments["out_channels"], "out_channels", 1)


def single_neuron_weights(arguments: Mapping[str, Any]) -> int:
    """Return the number of weights of a `QuantumNeuron`."""
    n_inputs = checks.as_int(arguments["n_inputs"], "n_inputs", 1)
    return neuron_weights(n_inputs, 1, checks.as_int(arguments.get("degree", 2), "degree", 1))


def qrnn_weights(arguments: Mapping[str, Any]) -> int:
    """Return the number of weights of the neurons of a `QRNN`."""
    return _qrnn_weights(checks.as_int(arguments["input_size"], "input_size", 1), arguments)


def continuous_weights(arguments: Mapping[str, Any]) -> int:
    """Return the number of weights of the neurons of a `QRNNRegressor` or `QRNNClassifier`."""
    word_size = checks.as_int(arguments["in_features"], "in_features", 1)
    if arguments.get("encoding") != "serial":
        word_size *= checks.as_int(arguments.get("n_bits", 1), "n_bits", 1)
    return _qrnn_weights(word_size, arguments)


def _qrnn_weights(input_size: int, arguments: Mapping[str, Any]) -> int:
    hidden_size = checks.as_int(arguments["hidden_size"], "hidden_size", 1)
    n_neurons = hidden_size * (1 + checks.as_int(arguments.get("n_stages", 1), "n_stages", 0)) + input_size
    degree = checks.as_int(arguments.get("degree", 2), "degree", 1)
    return neuron_weights(input_size + hidden_size - 1, n_neurons, degree)


LEAST_WEIGHTS: dict[str, Callable[[Mapping[str, Any]], int]] = {
    "QLSTM": qlstm_weights,
    "QNNClassifier": qnn_weights,
    "QRNN": qrnn_weights,
    "QRNNCell": qrnn_weights,
    "QRNNClassifier": continuous_weights,
    "QRNNRegressor": continuous_weights,
    "QuantumNeuron": single_neuron_weights,
    "Quanvolution": quanvolution_weights,
}
"""Lower bounds of a layer's weights from its arguments in a file, by the layer's class, where building it is work that
grows with them."""


def least_weights(name: str, arguments: Mapping[str, Any]) -> int:
    """Return how many weights a layer of class `name` has at least, by its arguments from a file; 0 if not known."""
    return LEAST_WEIGHTS[name](arguments) if name in LEAST_WEIGHTS else 0


def require_layers(arguments: Mapping[str, Any], n_tensors: int) -> None:
    """Refuse more layers than tensors: every layer of a network has one or more of its own."""
    widths, num_layers = arguments.get("widths", ()), arguments.get("num_layers", 1)
    if isinstance(widths, list) and len(widths) > n_tensors + 1:
        raise ValueError(f"`widths` must be of at most {n_tensors} layers, one a tensor, but holds {len(widths)}.")
    if isinstance(num_layers, int) and num_layers > max(1, n_tensors):
        raise ValueError(f"`num_layers` must be at most {n_tensors}, one a tensor, but is {num_layers}.")


def _require_at_most(value: Any, name: str, limit: int) -> None:
    """Refuse numbers, and the length of text, beyond what the file's tensors allow; nested layers bound themselves."""
    if isinstance(value, list):
        for item in value:
            _require_at_most(item, name, limit)
    size = len(value) if isinstance(value, str | list) else value
    if isinstance(size, int | float) and not -limit <= size <= limit:
        raise ValueError(
            f"`{name}` must be at most {limit}, as many numbers as the file's tensors hold, but is {size}."
        )
