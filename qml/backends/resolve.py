"""Names of backends."""

from qml.backends.aer import Aer
from qml.backends.ibm import IBM
from qml.backends.native import Native
from qml.backends.noisy_native import NoisyNative
from qml.backends.pennylane import PennyLane
from qml.backends.protocol import Backend
from qml.checks import has_members

BACKENDS = {
    "native": Native,
    "pennylane": PennyLane,
    "aer": lambda noise=None: Aer(noise=noise),
    "ibm": IBM,
    "noisy": NoisyNative,
}
"""What a name makes; where a colon follows, with what stands behind it (`"pennylane:lightning.qubit"`)."""
TAKES = {"native": None, "pennylane": "a device", "aer": "a fake device", "ibm": "a device", "noisy": "a fake device"}
NEEDS = ("ibm", "noisy")  # names that say nothing without what stands behind the colon


def resolve(backend: Backend | str) -> Backend:
    """A backend, or the one of that name with its defaults: `"native"`, `"aer:fake_torino"`, `"ibm:ibm_torino"`, ...

    Raises:
        ValueError: an unknown name.
        ImportError: a package that the backend needs is not installed.
        TypeError: not a backend.
    """
    if isinstance(backend, str):
        name, colon, detail = backend.partition(":")
        if name not in BACKENDS or (colon and not detail):
            raise ValueError(f"Argument `backend` must be one of {_known()}, but is {backend!r}.")
        if TAKES[name] is None and detail:
            raise ValueError(f"Argument `backend` must be {name!r} without more, but is {backend!r}.")
        if name in NEEDS and not detail:
            raise ValueError(f"Argument `backend` must name {TAKES[name]}, as in {name!r}:NAME, but is {backend!r}.")
        return BACKENDS[name](detail) if detail else BACKENDS[name]()
    if isinstance(backend, type):
        raise TypeError(f"Argument `backend` must be a Backend, but is the class. Call it: {backend.__name__}().")
    if not has_members(backend, "name", "capabilities", "expectation", "probabilities", "sample"):
        raise TypeError(f"Argument `backend` must be a Backend or a name, but is {type(backend).__name__}.")
    return backend


def _known() -> str:
    forms = []
    for name, takes in TAKES.items():
        forms.append(name if takes is None else f"{name}:DEVICE" if name in NEEDS else f"{name}[:DEVICE]")
    return ", ".join(forms)
