"""The state of the installation: the version, and whether `circuits` is the package that belongs to this one."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "qml-circuits"

try:
    __version__ = version(DISTRIBUTION)  # which the build takes from the newest tag
except PackageNotFoundError:  # a copy of the source on the path
    __version__ = "0+unknown"


def foreign_circuits() -> ImportError:
    """Return the error for a package `circuits` that is not ours, with the way to mend it."""
    found = importlib.util.find_spec("circuits")
    where = "is missing" if found is None else f"is {found.origin or 'a folder without our files'}"
    return ImportError(
        f"Package `circuits` must be the one that comes with {DISTRIBUTION}, but {where}. Another distribution named "
        f"circuits has replaced or hidden it. Mend it with: pip uninstall circuits; "
        f"pip install --force-reinstall --no-deps {DISTRIBUTION}",
        name="circuits",
    )
