"""Where a layer may hand circuits to the compiled kernel of the built-in simulator."""

from qml.backends import Backend


def runs_compiled(backend: Backend) -> bool:
    """Tell whether the simulator's kernel may run circuits in place of a backend, with the same values."""
    return backend.capabilities.closed_form and getattr(backend, "compiled", None) is None
