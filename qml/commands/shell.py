"""Exit codes of all commands, and their errors in one line."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from qml.terminal import one_line

FAILED = 1  # jobs that failed, a service that does not answer, records that cannot be used
REFUSED = 2  # bad input, or a run above its budget: nothing more was sent
PENDING = 3  # results are not there yet
INTERRUPTED = 130  # 128 + SIGINT, as shells report it


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
