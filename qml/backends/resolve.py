"""Names of backends: the table of them, and the entry points by which other packages add theirs."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from circuits.lazy import suggestion
from qml.backends.protocol import Backend
from qml.checks import has_members


@dataclass(frozen=True)
class NamedBackend:
    """The way in which a name makes a backend.

    Args:
        make: the class, or its address `"module:class"`, which is imported when the name is first used.
        option: of the class, which is written behind a colon after the name, as in `"aer:fake_torino"`; None for none.
        holds: what the option is, in messages.
        required: whether the option must be given.
        needs: modules that must be installed, which `qml backends` looks for.
        extra: of this package, which installs them.
    """

    make: str | Callable[..., Any]
    option: str | None = None
    holds: str = "a device"
    required: bool = False
    needs: tuple[str, ...] = ()
    extra: str = ""

    def __call__(self, value: str = "") -> Any:
        """Make the backend with this value of its option, or with its default where the value is empty."""
        return self._class()(**({self.option: value} if self.option is not None and value else {}))

    def _class(self) -> Callable[..., Any]:
        if callable(self.make):
            return self.make
        module, _, name = self.make.partition(":")
        return getattr(import_module(module), name)


IBM_CLIENT = ("qiskit_ibm_runtime",)
BACKENDS: dict[str, NamedBackend] = {
    "native": NamedBackend("qml.backends.native:Native"),
    "pennylane": NamedBackend("qml.backends.pennylane:PennyLane", "device", needs=("pennylane",)),
    "aer": NamedBackend("qml.backends.aer:Aer", "noise", "a fake device", needs=("qiskit_aer",)),
    "ibm": NamedBackend("qml.backends.ibm:IBM", "device", required=True, needs=IBM_CLIENT, extra="ibm"),
    "ionq": NamedBackend("qml.backends.provider:ionq", "device", needs=("qiskit_ionq",), extra="ionq"),
    "iqm": NamedBackend(
        "qml.backends.provider:iqm", "device", "a fake device or an address", needs=("iqm.qiskit_iqm",), extra="iqm"
    ),
    "aqt": NamedBackend("qml.backends.provider:aqt", "device", needs=("qiskit_aqt_provider",), extra="aqt"),
    "quantinuum": NamedBackend(
        "qml.backends.provider:quantinuum", "device", needs=("pytket.extensions.quantinuum",), extra="quantinuum"
    ),
    "braket": NamedBackend("qml.backends.provider:braket", "device", needs=("qiskit_braket_provider",), extra="braket"),
    "noisy": NamedBackend(
        "qml.backends.noisy_native:NoisyNative", "noise", "a fake device", required=True, needs=IBM_CLIENT, extra="ibm"
    ),
}
"""The backends that have a name, one a line."""
DEVICE_NAMES = {"default.": "pennylane", "lightning.": "pennylane", "fake_": "aer", "ibm_": "ibm"}
"""How names of devices begin, and the backend whose name stands in front of them."""
GROUP = "qml.backends"
"""The group of entry points whose names are further names of backends, each of a class or of a `NamedBackend`."""


def resolve(backend: Backend | str) -> Backend:
    """Return a backend, or make the one of that name: `"native"`, `"aer:fake_torino"`, `"ibm:ibm_torino"`, ...

    Another package adds a name by an entry point of the group `qml.backends`; it is loaded when the name is used.

    Raises:
        ValueError: an unknown name.
        ImportError: a package that the backend needs is not installed, or a plug-in is broken (`PlugInError`).
        TypeError: not a backend.
    """
    return _named(backend) if isinstance(backend, str) else _require_backend(backend)


def named_backend(name: str) -> NamedBackend | None:
    """Return the entry of a name: of this package, or of the plug-in that offers it, which is imported; else None.

    Raises:
        PlugInError: the plug-in is broken.
    """
    point = _plug_in(name)
    return BACKENDS.get(name) if point is None else _from_plug_in(point)


def known_names() -> list[str]:
    """Return the names of this package, then those of plug-ins, of which none is imported."""
    from qml.entry_points import names_offered, without_own

    return [*BACKENDS, *without_own(names_offered(GROUP), BACKENDS)]


def form_of(name: str, named: NamedBackend) -> str:
    """Return how a name is written: with `:DEVICE` where one must be given, with `[:DEVICE]` where one may be."""
    return name if named.option is None else f"{name}:DEVICE" if named.required else f"{name}[:DEVICE]"


def _named(text: str) -> Backend:
    name, colon, value = text.partition(":")
    named = named_backend(name)
    if named is None or (colon and not value):
        raise ValueError(f"Argument `backend` must be one of {_known_names()}, but is {text!r}.{_meant(name)}")
    if named.option is None and value:
        raise ValueError(f"Argument `backend` must be {name!r}, which takes nothing after a colon, but is {text!r}.")
    if named.required and not value:
        raise ValueError(f"Argument `backend` must name {named.holds}, as in {name!r}:NAME, but is {text!r}.")
    made = named(value)
    point = _plug_in(name)
    if point is not None and not _is_backend(made):
        from qml.entry_points import broken

        raise broken(point, f"make a Backend, but makes a {type(made).__name__}")
    return _require_backend(made)


def _meant(name: str) -> str:
    """Return the question whether a similar name, or a device of a backend, was meant; with a space in front."""
    owners = [owner for start, owner in DEVICE_NAMES.items() if name.startswith(start)]
    return f" Did you mean {f'{owners[0]}:{name}'!r}?" if owners else suggestion(name, known_names())


def _plug_in(name: str) -> Any:
    """Return the entry point of a name that this package does not have."""
    if name in BACKENDS:
        return None
    from qml.entry_points import find_plug_in

    return find_plug_in(GROUP, name)


def _from_plug_in(point: Any) -> NamedBackend:
    from qml.entry_points import broken, load_plug_in

    loaded = load_plug_in(point)
    if not callable(loaded):
        raise broken(point, f"be a class of backends or a NamedBackend, but is a {type(loaded).__name__}")
    return loaded if isinstance(loaded, NamedBackend) else NamedBackend(loaded)


def _require_backend(backend: Any) -> Backend:
    if isinstance(backend, type):
        raise TypeError(f"Argument `backend` must be a Backend, but is the class. Call it: {backend.__name__}().")
    if not _is_backend(backend):
        raise TypeError(f"Argument `backend` must be a Backend or a name, but is {type(backend).__name__}.")
    return backend


def _is_backend(value: Any) -> bool:
    members = ("name", "capabilities", "expectation", "probabilities", "sample")
    return not isinstance(value, type) and has_members(value, *members)


def _known_names() -> str:
    return ", ".join(form_of(name, BACKENDS[name]) if name in BACKENDS else name for name in known_names())
