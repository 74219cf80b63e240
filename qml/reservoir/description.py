"""Reservoirs as JSON values and back, for files."""

import importlib
from typing import Any

from qml.reservoir.reservoir import Reservoir

# Where a class of that name lives; imported when a file asks for it, since these rooms import this one.
HOMES = {
    "EchoStateNetwork": "qml.baselines",
    "OnionESN": "qml.baselines",
    "QuantumReservoir": "qml.nn",
    "OnionReservoir": "qml.nn",
    "HybridReservoir": "qml.reservoir",
}


def describe(reservoir: Reservoir) -> dict[str, Any]:
    """Describe a reservoir by its class and constructor's arguments.

    Raises:
        TypeError: a reservoir that is not one of this package's.
    """
    name = type(reservoir).__name__
    if name not in HOMES:
        raise TypeError(
            f"Argument `reservoir` must be one of {', '.join(HOMES)} to be written to a file, but is {name}. Use "
            "torch.save for classes of your own."
        )
    return {"class": name, **reservoir.config()}


def build(description: dict[str, Any]) -> Reservoir:
    """Build the reservoir that `describe` described; its own buffers are drawn anew or loaded afterwards."""
    arguments = dict(description)
    name = arguments.pop("class")
    if not isinstance(name, str) or name not in HOMES:
        raise ValueError(f"A file must describe one of {', '.join(HOMES)}, but describes {str(name)[:60]!r}.")
    return getattr(importlib.import_module(HOMES[name]), name).from_config(arguments)
