"""What other packages add by entry points: looked up by name, loaded at first use, and named where it is broken."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import Any

AnyEntryPoint = Any  # that of the standard library, or of importlib_metadata, which finds packages too once imported


class PlugInError(ImportError):
    """A plug-in cannot be used; the message names the distribution that brings it."""


def names_offered(group: str) -> list[str]:
    """Return the names that other packages add to a group, in alphabetic order; nothing is imported."""
    return sorted(entry_points(group=group).names)


def find_plug_in(group: str, name: str) -> AnyEntryPoint | None:
    """Return the entry point of that name, None where there is none.

    Raises:
        PlugInError: several packages offer different objects under the name.
    """
    by_value = {point.value: point for point in entry_points(group=group, name=name)}
    if len(by_value) > 1:
        offers = " and ".join(f"{value} of {source_of(by_value[value])}" for value in sorted(by_value))
        raise PlugInError(
            f"Name {name!r} of the group {group} must be offered by one package, but is by {offers}. Uninstall one of "
            "them."
        )
    return next(iter(by_value.values()), None)


def source_of(point: AnyEntryPoint) -> str:
    """Return the name and the version of the distribution that an entry point belongs to."""
    distribution = point.dist
    return "an unknown distribution" if distribution is None else f"{distribution.name} {distribution.version}"


def load_plug_in(point: AnyEntryPoint) -> Any:
    """Return the object that an entry point names.

    Raises:
        PlugInError: it cannot be imported, for whatever reason.
    """
    try:
        return point.load()
    except Exception as error:  # code of strangers: the cause is chained
        raise broken(point, f"be importable, but raises {type(error).__name__}: {error}") from error


def broken(point: AnyEntryPoint, complaint: str) -> PlugInError:
    """Return the error for a plug-in that is not what it must be, as in "be a task, but is a list"."""
    distribution = point.dist
    advice = "" if distribution is None else f" Update it, or remove it with: pip uninstall {distribution.name}"
    return PlugInError(
        f"Plug-in {point.name!r} ({point.value}) of {source_of(point)} must {complaint.rstrip('.')}.{advice}"
    )


def without_own(offered: list[str], own: Mapping[str, Any]) -> list[str]:
    """Return the names that are not names of this package, which stay its own."""
    return [name for name in offered if name not in own]
