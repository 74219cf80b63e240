"""The quantum layers of any model on another backend, all at once."""

from typing import Any

from torch import nn

from qml.backends import Backend, Native, resolve
from qml.nn.classifiers.boltzmann import QuantumBoltzmannClassifier

TORCH_ATTRIBUTES = frozenset(vars(nn.Module()))
WITHOUT_BACKEND = (QuantumBoltzmannClassifier,)
"""Quantum models that are no circuits, and are computed by torch wherever the others run."""

Places = dict[nn.Module, dict[str, Any]]


def to_backend(model: nn.Module, backend: Backend | str) -> nn.Module:
    """Move every quantum layer inside a model to another backend, with the same weights; return the model.

    Layers move in place, as by their own method `to_backend`: parameters stay where they are, so that an optimizer goes
    on with them. All layers move, or none. `backends_of` says which they are and where they run.

    Args:
        model: any module, such as `nn.Sequential`, or a layer itself.
        backend: a backend or its name.

    Raises:
        ValueError: a model without layers that have a choice of backend, or with one that cannot move, by its name.
        TypeError: no module, or no backend.

    Example:
        >>> from torch import nn
        >>> from qml.backends import Native
        >>> from qml.nn import QNNClassifier, backends_of, to_backend
        >>> model = nn.Sequential(nn.Linear(8, 4), QNNClassifier(4, "zx"))
        >>> model = to_backend(model, Native(method="adjoint"))
        >>> {name: backend.method for name, backend in backends_of(model).items()}
        {'1': 'adjoint'}
    """
    target = resolve(backend)
    layers = layers_with_backends(model)
    fixed = [name for name, module in model.named_modules() if isinstance(module, WITHOUT_BACKEND)]
    if fixed and target != Native():
        raise ValueError(
            f"Every quantum layer of the model must be able to move, but `{fixed[0]}` is a "
            f"{type(model.get_submodule(fixed[0])).__name__}, which is no circuit. Move the layers one by one."
        )
    if not layers and not fixed:
        raise ValueError(
            f"Argument `model` must have a layer that runs circuits on a backend, but {type(model).__name__} has none."
        )
    before = places_of(model)
    try:
        for name, layer in layers.items():
            _move(layer, target, name)
    except BaseException:
        restore_places(before)
        raise
    return model


def backends_of(model: nn.Module) -> dict[str, Backend]:
    """Return the backend of every quantum layer in a model that has a choice, by the layer's name in the model.

    Raises:
        TypeError: no module.
    """
    held = {
        name: next((part.backend for part in layer.modules() if hasattr(part, "backend")), None)
        for name, layer in layers_with_backends(model).items()
    }
    return {name: backend for name, backend in held.items() if backend is not None}  # pyright: ignore[reportReturnType]


def layers_with_backends(model: nn.Module) -> dict[str, nn.Module]:
    """Return the outermost modules with a method `to_backend`, by name; the model itself has the empty name."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"Argument `model` must be a torch.nn.Module, but is {type(model).__name__}.")
    found: dict[str, nn.Module] = {}
    within: set[nn.Module] = set()
    for name, module in model.named_modules():  # outer ones first
        if module not in within and hasattr(module, "to_backend"):
            found[name] = module
            within.update(module.modules())
    return found


def places_of(model: nn.Module) -> Places:
    """Return the attributes of all modules beside torch's own, of which `to_backend` may set any."""
    return {
        module: {name: value for name, value in vars(module).items() if name not in TORCH_ATTRIBUTES}
        for module in model.modules()
    }


def restore_places(places: Places) -> None:
    """Undo moves: set the attributes of `places_of` again."""
    for module, place in places.items():
        vars(module).update(place)


def _move(layer: Any, backend: Backend, name: str) -> None:
    try:
        layer.to_backend(backend)
    except (NotImplementedError, TypeError, ValueError) as error:
        where = f"Layer `{name}`" if name else "The model"
        raise ValueError(f"{where}, a {type(layer).__name__}, cannot run on {backend.name!r}: {error}") from error
