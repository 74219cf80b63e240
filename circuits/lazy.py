"""Packages whose public names load the modules that define them at first use (PEP 562)."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any


def load_at_first_use(
    package: str, names: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions `__getattr__` and `__dir__` of a package.

    The package imports the same names below `if TYPE_CHECKING`, for type checkers and for the documentation; a test
    compares the two lists. A name that one of the package's modules bears too must be imported at once, because Python
    puts the module in its place when that module is imported by itself.

    Args:
        package: the package's `__name__`.
        names: public names by the module that defines them; names by the package itself are modules in it.
    """
    homes = {name: module for module, defined in names.items() for name in defined}
    children = {module.removeprefix(f"{package}.").partition(".")[0] for module in names if module != package}

    def load(name: str) -> Any:
        if name == "__all__":
            return sorted(homes)
        if name in homes and homes[name] != package:
            value = getattr(import_module(homes[name]), name)
            setattr(sys.modules[package], name, value)
            return value
        if name in homes:
            return import_module(f"{package}.{name}")  # which makes it an attribute of the package
        if name in children:
            for module in names:
                if f"{module}.".startswith(f"{package}.{name}."):
                    import_module(module)
            return sys.modules[f"{package}.{name}"]
        raise AttributeError(f"Module {package!r} has no attribute {name!r}.{suggestion(name, homes)}", name=name)

    def public_and_loaded() -> list[str]:
        return sorted({*homes, *vars(sys.modules[package])})

    return load, public_and_loaded


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return the question whether a similar name was meant, with a space in front; empty where none is similar."""
    # names with an underscore are probes of Python's own tools
    similar = [] if name.startswith("_") else get_close_matches(name, list(names), n=1)
    return f" Did you mean {similar[0]!r}?" if similar else ""
