"""The command `qml backends`. Heavy imports are inside it."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qml.terminal import one_line, verbatim

OWN = "qml-circuits"


def backends() -> None:
    """List the backends that have a name: how each is written, who brings it, and what is missing for it.

    Plug-ins of other packages are imported, so that a broken one says so.
    """
    from qml.backends.resolve import known_names

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("backend", "behind the colon", "from", "state"):
        table.add_column(heading, overflow="fold")
    for name in known_names():
        table.add_row(*_row(name))
    console = Console()
    console.print(table, Text(), verbatim("Use them as `layer.to_backend(NAME)`, or as --backend NAME."), sep="\n")
    console.print(verbatim(f'An extra is installed by: pip install "{OWN}[EXTRA]"'))


def _row(name: str) -> tuple[Text, Text, Text, Text]:
    from qml.backends.resolve import BACKENDS, GROUP, form_of, named_backend
    from qml.checks import is_installed
    from qml.entry_points import PlugInError, find_plug_in, source_of

    source = OWN
    try:
        point = None if name in BACKENDS else find_plug_in(GROUP, name)
        source = OWN if point is None else source_of(point)
        named = named_backend(name)
    except PlugInError as error:
        return verbatim(name, style="bold"), verbatim("-"), verbatim(source), verbatim(f"broken: {one_line(error)}")
    if named is None:  # uninstalled in between
        return verbatim(name, style="bold"), verbatim("-"), verbatim(source), verbatim("gone")
    missing = [module for module in named.needs if not is_installed(module)]
    if not missing:
        state = "ready"
    else:
        state = f"needs the extra {named.extra}" if named.extra else f"needs {', '.join(missing)}"
    behind = "nothing" if named.option is None else f"{named.holds}{'' if named.required else ', or nothing'}"
    return verbatim(form_of(name, named), style="bold"), verbatim(behind), verbatim(source), verbatim(state)
