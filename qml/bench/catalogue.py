"""The table of benches. A new bench is one file with a `BENCH` in it, and one line here."""

import importlib
from collections.abc import Iterable, Sequence

from qml.bench.bench import Bench

BENCHES = {
    "simulator": "qml.bench.simulator",
    "qnn": "qml.bench.qnn",
    "backends": "qml.bench.backends",
    "reservoir": "qml.bench.reservoir",
    "qrnn": "qml.bench.qrnn",
    "qkan": "qml.bench.qkan",
    "pinn": "qml.bench.pinn",
    "wide": "qml.bench.wide",
    "kernels": "qml.bench.kernels",
    "plugins": "qml.bench.plugins",
    "classifiers": "qml.bench.classifiers",
}


def load(module: str) -> Bench:
    """Load the `BENCH` of a module; workers use it too, so that only a name crosses to them."""
    return importlib.import_module(module).BENCH


def choose(kind: str, chosen: Sequence[str] | None, names: Iterable[str]) -> list[str]:
    """Return the chosen names in their own order, or all; refuse one that does not exist."""
    names = list(names)
    if chosen is None:
        return names
    known = " | ".join(names)
    for name in chosen:
        if name not in names:
            raise ValueError(f"Argument `{kind}` must be one of {known}, but is {name!r}.")
    return [name for name in names if name in chosen]
