"""Whole models in files: containers, torch's layers, layers of this package and registered ones; never pickle.

The form is that of `qml.nn.checkpoint`: safetensors for the weights, and in its header the architecture as JSON, a tree
of containers with layers and their constructor arguments at its ends.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qml.backends import Backend
from qml.files import DTYPES, as_path, write_atomically
from qml.nn import _checkpoint_sizes as sizes
from qml.nn import checkpoint
from qml.nn._torch_layers import TORCH_LAYERS, plain_attributes, takes_place, torch_config
from qml.nn.move import to_backend

CONTAINERS: dict[str, type[nn.Module]] = {
    "Sequential": nn.Sequential,
    "ModuleList": nn.ModuleList,
    "ModuleDict": nn.ModuleDict,
}
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
BROKEN = (ArithmeticError, AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError)
WEIGHTS_ALONE = "keep the weights with torch.save(model.state_dict(), path), for code that builds the model again"

_REGISTERED: dict[str, type[nn.Module]] = {}


def register_module(kind: type[nn.Module], *, name: str | None = None) -> type[nn.Module]:
    """Let files of `save_model` hold a module class of your own; return the class, so that this is a decorator too.

    The class needs a method `config()` that returns its constructor arguments as a dict of numbers, strings, sequences,
    circuits, observables and modules that can be saved themselves. A file holds the class's name and never its code, so
    that the program that loads must have registered the class too. A later class of the same name takes the place of an
    earlier one.

    Args:
        kind: the class.
        name: by which files call it; None for its module and qualified name.

    Raises:
        TypeError: no class of modules, or one without `config`.

    Example:
        >>> from torch import nn
        >>> from qml.nn import register_module
        >>> @register_module
        ... class Doubled(nn.Module):
        ...     def __init__(self, size):
        ...         super().__init__()
        ...         self.size, self.linear = size, nn.Linear(size, size)
        ...
        ...     def config(self):
        ...         return {"size": self.size}
        ...
        ...     def forward(self, inputs):
        ...         return 2 * self.linear(inputs)
    """
    if not (isinstance(kind, type) and issubclass(kind, nn.Module)):
        raise TypeError(f"Argument `kind` must be a class of torch.nn.Module, but is {kind!r}.")
    if not callable(getattr(kind, "config", None)):
        raise TypeError(
            f"Argument `kind` must have a method config() that returns its constructor arguments, but {kind.__name__} "
            "has none. Write it."
        )
    _REGISTERED[name or _full_name(kind)] = kind
    return kind


def save_model(model: nn.Module, path: Path | str) -> None:
    """Write a whole model: its architecture and weights, which of these are frozen, and which modules are in eval mode.

    A model is made of `nn.Sequential`, `nn.ModuleList` and `nn.ModuleDict`, of torch's layers, of the layers of this
    package, and of classes that were registered. Weights that layers share stay shared. Backends and devices are not
    written. The file is written whole or not at all; what it holds is rebuilt, without memory, before it is written.

    Args:
        model: the model, or a single layer.
        path: a `.safetensors` file, replaced if it exists.

    Raises:
        TypeError: a module that a file cannot hold, by its name, with the way to mend it.
        ValueError: another suffix, weights that are not finite, hooks, a replaced forward, tensors that overlap.

    Example:
        >>> import tempfile
        >>> import torch
        >>> from torch import nn
        >>> from qml.nn import QNNClassifier, load_model, save_model
        >>> model = nn.Sequential(nn.Linear(8, 4), nn.Sigmoid(), QNNClassifier(4, "zx"))
        >>> inputs = torch.rand(3, 8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(model, folder + "/model.safetensors")
        ...     again = load_model(folder + "/model.safetensors")
        >>> torch.equal(again(inputs), model(inputs))
        True
    """
    write_atomically(checkpoint.as_target(path), dump_model(model))


def load_model(path: Path | str, *, backend: Backend | str = "native") -> nn.Module:
    """Read the model of `save_model`, or the layer of `save_layer`, onto the CPU, its quantum layers onto a backend.

    Raises:
        ValueError: a file that is corrupt, that another program or a newer version wrote, or whose weights do not fit;
            a class that was not registered; another backend for a model without layers that have a choice.
        FileNotFoundError: no such file.
    """
    return parse_model(as_path(path).read_bytes(), backend=backend, name=str(path))


def dump_model(model: nn.Module) -> bytes:
    """Return the bytes that `save_model` writes."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"Argument `model` must be a torch.nn.Module, but is {type(model).__name__}.")
    _require_unchanged(model)
    state, tied = _own_state(model)
    described = {
        "model": _describe(model, ""),
        "tied": tied,
        "frozen": [name for name, value in model.named_parameters() if not value.requires_grad],
        # A module that stands in several places is a module for each place in the model that is loaded.
        "eval": [name for name, module in model.named_modules(remove_duplicate=False) if not module.training],
    }
    content = checkpoint.file_content(described, state)
    rebuilt = _skeleton(described, state)
    for name, module in rebuilt.named_modules(remove_duplicate=False):
        _require_same(module, model.get_submodule(name), name)
    return content


def parse_model(content: Any, *, backend: Backend | str = "native", name: str = "the file") -> nn.Module:
    """Build the model of `dump_model`, or the layer of `dump_layer`; errors call the bytes `name`.

    The bytes may come from anyone: sizes are compared with the tensors before anything is built, and no code is loaded.
    """
    if not isinstance(content, bytes):
        raise TypeError(f"Argument `content` must be bytes, but is {type(content).__name__}. See load_model for files.")
    header, state = checkpoint.parsed_file(content, name)
    if "model" not in header:
        return checkpoint.parse_layer(content, backend=backend, name=name)
    checkpoint.require_finite_state(state, name)
    try:
        _skeleton(header, state)
        model = _build(header["model"], state, "")
        _tie(model, header["tied"])
        model.load_state_dict(_whole_state(state, header["tied"]))
        frozen, evaluated = set(header["frozen"]), set(header["eval"])
        for key, parameter in model.named_parameters():
            parameter.requires_grad_(key not in frozen)
        for key, module in model.named_modules():
            module.training = key not in evaluated
    except BROKEN as error:
        raise ValueError(
            f"{name} cannot be made into a model again: {checkpoint.reason_of(error)} It must be as save_model "
            "wrote it."
        ) from error
    return model if backend == "native" else to_backend(model, backend)


# --- the architecture as JSON -----------------------------------------------------------------------------------------


def _describe(module: nn.Module | None, name: str) -> dict[str, Any]:
    """Return a module as JSON; `name` is its name in the model."""
    if module is None:
        raise TypeError(f"Module `{name}` must be a layer that a file can hold, but is None. Leave it out.")
    kind = type(module)
    if CONTAINERS.get(kind.__name__) is kind:
        if own := [key for group in (module._parameters, module._buffers) for key in group]:
            raise ValueError(
                f"Module `{name}` must be a {kind.__name__} of layers alone, but has tensors of its own: "
                f"{', '.join(own)}. Put them into a layer."
            )
        children = [[key, _describe(child, f"{name}.{key}".lstrip("."))] for key, child in module._modules.items()]
        return {"container": kind.__name__, "children": children}

    def describe_within(inner: nn.Module) -> dict[str, Any]:
        return _describe(inner, f"of {name or 'the model'}, an argument")

    try:
        if TORCH_LAYERS.get(kind.__name__) is kind:
            arguments = {key: checkpoint.encode(value, describe_within) for key, value in torch_config(module).items()}
            return {"torch": kind.__name__, "arguments": arguments}
        registered = next((key for key, value in _REGISTERED.items() if value is kind), None)
        if registered is not None:
            config: dict[str, Any] = module.config()  # pyright: ignore[reportCallIssue] - asked for by register_module
            arguments = {key: checkpoint.encode(value, describe_within) for key, value in config.items()}
            return {"registered": registered, "arguments": arguments}
        if kind in checkpoint.LAYERS:
            return checkpoint.describe_layer(module, describe_within)
    except ValueError as error:
        raise ValueError(f"Module `{name}` cannot be saved: {error}") from error
    which = f"Module `{name}`" if name else "The model"
    raise TypeError(f"{which} must be a layer that a file can hold, but is {_refused(module)}.")


def _refused(module: nn.Module) -> str:
    """Say what a module that cannot be saved is, and what to do."""
    kind = type(module)
    if kind.__module__.startswith("torch."):
        return f"{kind.__name__}, which is not among the layers of torch that are: {WEIGHTS_ALONE}"
    if kind.__module__.startswith("qml."):
        return f"{kind.__name__}, which has no form in files: {WEIGHTS_ALONE}"
    has = "its method config()" if hasattr(kind, "config") else "a method config() with its constructor arguments"
    return (
        f"{kind.__name__}, a class that is not registered. Give it {has} and call "
        f"qml.nn.register_module({kind.__name__}); or {WEIGHTS_ALONE}"
    )


def _build(described: Any, state: Mapping[str, Tensor], prefix: str, **place: Any) -> nn.Module:
    """Build a module with initial weights; `prefix` is its name in the model with a full stop behind it, or empty."""
    if not isinstance(described, dict):
        raise ValueError(f"a module must be an object, but is {type(described).__name__}.")
    if "container" in described:
        container = CONTAINERS[described["container"]]()
        for key, child in described["children"]:
            container.add_module(key, _build(child, state, f"{prefix}{key}.", **place))
        return container
    own = {key: value for key, value in state.items() if key.startswith(prefix)}
    place = {"dtype": checkpoint.dtype_of(own), **place}

    def build_within(inner: Any, _: Mapping[str, Tensor], **outer: Any) -> nn.Module:
        return _build(inner, state, prefix, **outer)

    if "layer" in described:
        return checkpoint.build_layer(described, state, build_within, **place)
    arguments = described["arguments"]
    sizes.require_layers(arguments, len(state))
    config = {key: checkpoint.decode(value, state, place, build_within) for key, value in arguments.items()}
    if "torch" in described:
        kind = TORCH_LAYERS[described["torch"]]
        return kind(**config, **(place if takes_place(kind.__name__) else {}))
    registered = described["registered"]
    if registered not in _REGISTERED:
        raise ValueError(
            f"it holds a module of class {checkpoint.brief(registered)}, which this program has not registered. Import "
            "the code that calls qml.nn.register_module with it first."
        )
    module = _REGISTERED[registered](**config)
    return module if place["dtype"] is None else module.to(place["dtype"])


def _skeleton(described: Mapping[str, Any], state: Mapping[str, Tensor]) -> nn.Module:
    """Build the model without memory, and refuse a state that does not fit."""
    for key in ("tied", "frozen", "eval"):
        if not isinstance(described.get(key), list):
            raise ValueError(f"`{key}` must be a list, but is {type(described.get(key)).__name__}.")

    def build() -> nn.Module:
        made.append(_build(described["model"], state, "", device="meta"))
        return made[0]

    made: list[nn.Module] = []
    sizes.require_state(build, _whole_state(state, described["tied"]))
    return made[0]


# --- tensors that are shared ------------------------------------------------------------------------------------------


def _own_state(model: nn.Module) -> tuple[dict[str, Tensor], list[list[str]]]:
    """Return every tensor once, under the first of its names, and the pairs of further and first names."""
    names: dict[int, str] = {}
    places: dict[tuple[torch.device, int], str] = {}
    state: dict[str, Tensor] = {}
    tied = []
    for key, value in model.state_dict(keep_vars=True).items():
        if not isinstance(value, Tensor) or value.dtype not in DTYPES:
            kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"The model's state must be real tensors, but `{key}` is {kind}.")
        if id(value) in names:
            tied.append([key, names[id(value)]])
            continue
        names[id(value)] = key
        place = (value.device, value.untyped_storage().data_ptr() if not value.is_meta else 0)
        if place[1] and place in places:
            raise ValueError(
                f"Tensors of a model must be the same or apart, but `{key}` and `{places[place]}` are parts of one "
                "memory. Clone one of them."
            )
        places[place] = key
        state[key] = value.detach()  # apart from the model's parameters, whose flags loading may change
    return state, tied


def _whole_state(state: Mapping[str, Tensor], tied: list[Any]) -> dict[str, Tensor]:
    return {**state, **{key: state[first] for key, first in tied}}


def _tie(model: nn.Module, tied: list[Any]) -> None:
    """Let further names of a tensor stand for the one under its first name."""
    for key, first in tied:
        owner, _, leaf = key.rpartition(".")
        source, _, name = first.rpartition(".")
        setattr(model.get_submodule(owner), leaf, getattr(model.get_submodule(source), name))


# --- what a file would lose -------------------------------------------------------------------------------------------


def _require_unchanged(model: nn.Module) -> None:
    """Refuse hooks and replaced methods, which no constructor makes again."""
    for name, module in model.named_modules():
        if any(getattr(module, hooks) for hooks in HOOKS):
            raise ValueError(
                f"Module `{name}` must have no hooks, which a file cannot hold, but is a {type(module).__name__} with "
                f"some (pruning and weight_norm use them too). Remove them, or {WEIGHTS_ALONE}."
            )
        if "forward" in vars(module):
            raise ValueError(
                f"Module `{name}` must have the forward of its class, but somebody has replaced it on this module "
                "alone. Save the module before it is wrapped (accelerate: `accelerator.unwrap_model(model)`)."
            )


def _require_same(rebuilt: nn.Module, module: nn.Module, name: str) -> None:
    """Refuse one of torch's layers that was changed after it was made, so that its arguments do not make it again."""
    if TORCH_LAYERS.get(type(module).__name__) is not type(module):
        return
    attributes, again = plain_attributes(module), plain_attributes(rebuilt)
    changed = sorted(key for key in attributes | again if attributes.get(key) != again.get(key))
    if changed:
        raise ValueError(
            f"Module `{name}` must be as {type(module).__name__} makes it, but its attributes {', '.join(changed)} "
            "were set from outside. Make the layer with them."
        )


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
