"""Exit codes of all commands, and their errors in one line."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from qml.terminal import one_line

FAILED = 1  # jobs that failed, a service that does not answer, records that cannot be used
REFUSED = 2  # bad input, or a run above its budget: nothing more was sent
PENDING = 3  # results are not there yet
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
USAGE_ERROR: Any = typer.BadParameter.__mro__[1]  # typer brings a click of its own, or uses the one installed


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Show an error as one line, without a traceback."""
    try:
        yield
    except (ImportError, OSError, ValueError) as error:
        typer.echo(f"qml: {one_line(error)}", err=True)
        raise typer.Exit(REFUSED) from error
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None


class OwnHelpCommand(TyperCommand):
    """A command that takes its context, since its --help tells more after a name."""

    context_class = typer.Context  # typer itself makes one of the base class, which its annotation does not say


class OneLineGroup(TyperGroup):
    """The group of commands; what it says of a mistyped command or option is one line too."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, standalone_mode: bool = True, **options: Any) -> Any:
        """Run a command and end the process, as the group of typer does."""
        if not standalone_mode:
            return super().main(args, *rest, standalone_mode=False, **options)
        try:
            code = super().main(args, *rest, standalone_mode=False, **options)
        except USAGE_ERROR as error:
            sys.exit(_show_usage_error(error))
        except typer.Abort:
            typer.echo("Stopped.", err=True)
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


def _show_usage_error(error: Any) -> int:
    """Show a usage error in one line, or the help where nothing was asked for; return the exit code."""
    if not error.format_message():  # a group without a command shows its help
        error.show()
        return error.exit_code
    path = error.ctx.command_path if error.ctx is not None else "qml"
    said = one_line(error.format_message())
    typer.echo(f"qml: {said}{'' if said.endswith(('.', '?')) else '.'} See `{path} --help`.", err=True)
    return error.exit_code
