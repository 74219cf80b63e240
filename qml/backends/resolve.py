"""Names of backends: the table of them, and the entry points by which other packages add theirs."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from qml.backends.protocol import Backend
from qml.jobs.checks import has_members


@dataclass(frozen=True)
class NamedBackend:
    """The way in which a name makes a backend.

    Args:
        make: the class, or its address `"module:class"`, which is imported when the name is first used.
        option: of the class, which is written behind a colon after the name, as in `"aer:fake_torino"`; None for none.
        holds: what the option is, in messages.
        required: whether the option must be given.
    """

    make: str | Callable[..., Any]
    option: str | None = None
    holds: str = "a device"
    required: bool = False

    def __call__(self, value: str = "") -> Any:
        """Make the backend with this value of its option, or with its default where the value is empty."""
        return self._class()(**({self.option: value} if self.option is not None and value else {}))

    def _class(self) -> Callable[..., Any]:
        if callable(self.make):
            return self.make
        module, _, name = self.make.partition(":")
        return getattr(import_module(module), name)


BACKENDS: dict[str, NamedBackend] = {
    "native": NamedBackend("qml.backends.native:Native"),
    "pennylane": NamedBackend("qml.backends.pennylane:PennyLane", "device"),
    "aer": NamedBackend("qml.backends.aer:Aer", "noise", "a fake device"),
    "ibm": NamedBackend("qml.backends.ibm:IBM", "device", required=True),
    "noisy": NamedBackend("qml.backends.noisy_native:NoisyNative", "noise", "a fake device", required=True),
}
"""The backends that have a name, one a line."""
GROUP = "qml.backends"
"""The group of entry points whose names are further names of backends, each of a class or of a `NamedBackend`."""


def resolve(backend: Backend | str) -> Backend:
    """Return a backend, or make the one of that name: `"native"`, `"aer:fake_torino"`, `"ibm:ibm_torino"`, ...

    Another package adds a name by an entry point of the group `qml.backends`; it is loaded when the name is used.

    Raises:
        ValueError: an unknown name.
        ImportError: a package that the backend needs is not installed.
        TypeError: not a backend.
    """
    if isinstance(backend, str):
        return _require_backend(_named(backend))
    return _require_backend(backend)


def _named(text: str) -> Any:
    name, colon, value = text.partition(":")
    named = BACKENDS.get(name) or _from_entry_point(name)
    if named is None or (colon and not value):
        raise ValueError(f"Argument `backend` must be one of {_known_names()}, but is {text!r}.")
    if named.option is None and value:
        raise ValueError(f"Argument `backend` must be {name!r}, which takes nothing after a colon, but is {text!r}.")
    if named.required and not value:
        raise ValueError(f"Argument `backend` must name {named.holds}, as in {name!r}:NAME, but is {text!r}.")
    return named(value)


def _from_entry_point(name: str) -> NamedBackend | None:
    for point in entry_points(group=GROUP, name=name):
        loaded = point.load()
        return loaded if isinstance(loaded, NamedBackend) else NamedBackend(loaded)
    return None


def _require_backend(backend: Any) -> Backend:
    if isinstance(backend, type):
        raise TypeError(f"Argument `backend` must be a Backend, but is the class. Call it: {backend.__name__}().")
    if not has_members(backend, "name", "capabilities", "expectation", "probabilities", "sample"):
        raise TypeError(f"Argument `backend` must be a Backend or a name, but is {type(backend).__name__}.")
    return backend


def _known_names() -> str:
    forms = [
        name if named.option is None else f"{name}:DEVICE" if named.required else f"{name}[:DEVICE]"
        for name, named in BACKENDS.items()
    ]
    return ", ".join([*forms, *sorted(entry_points(group=GROUP).names - BACKENDS.keys())])
