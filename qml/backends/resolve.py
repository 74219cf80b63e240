"""Names of backends."""

from qml.backends.native import Native
from qml.backends.protocol import Backend

BACKENDS = {"native": Native}


def resolve(backend: Backend | str) -> Backend:
    """A backend, or the one of that name with its defaults.

    Raises:
        ValueError: an unknown name.
        TypeError: not a backend.
    """
    if isinstance(backend, str):
        if backend not in BACKENDS:
            raise ValueError(f"Argument `backend` must be one of {', '.join(BACKENDS)}, but is {backend!r}.")
        return BACKENDS[backend]()
    if isinstance(backend, type):
        raise TypeError(f"Argument `backend` must be a Backend, but is the class. Call it: {backend.__name__}().")
    if not isinstance(backend, Backend):
        raise TypeError(f"Argument `backend` must be a Backend or a name, but is {type(backend).__name__}.")
    return backend
