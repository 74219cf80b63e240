"""The command line: the table of commands, and `qml bench`. Heavy imports are inside the commands."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from qml import __version__
from qml.commands import comparisons
from qml.commands import jobs as cli_jobs
from qml.commands.backends import backends
from qml.commands.shell import OneLineGroup, OwnHelpCommand, one_line_errors

app = typer.Typer(
    name="qml",
    cls=OneLineGroup,
    help="Quantum machine learning layers, compared, timed and run on hardware.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Run the command line."""
    app()


def _show_version(asked: bool) -> bool:
    if asked:
        typer.echo(f"qml-circuits {__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and stop.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def _bench_names(incomplete: str) -> list[str]:
    from qml.bench.catalogue import BENCHES

    return [name for name in BENCHES if name.startswith(incomplete)]


def bench(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="What to time, for example simulator.", autocompletion=_bench_names)
    ] = None,
    case: Annotated[list[str] | None, typer.Option(help="Time this case only; may be repeated.")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="Time beside this peer only; may be repeated.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the rows to this file too.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be timed and roughly how long, and time nothing.")
    ] = False,
    show_help: Annotated[
        bool, typer.Option("--help", "-h", help="Show this, or after a name its cases and peers.")
    ] = False,
) -> None:
    """Time this package beside the other libraries that are installed.

    Without a name, list the benches.
    """
    console = Console()
    with one_line_errors():
        if show_help and name is None:
            typer.echo(context.get_help())
            return
        if name is None or show_help or dry_run:
            from qml.bench import listing

            if name is None:
                told = listing.benches_listing()
            else:
                told = listing.bench_help(name) if show_help else listing.dry_run(name, cases=case, peers=peer)
            console.print(told, highlight=False)
            return
        from qml.bench import run

        run(name, cases=case or None, peers=peer or None, json_path=json_path)


OWN_HELP = {"help_option_names": []}  # their --help tells more after a name
app.command(cls=OwnHelpCommand, context_settings=OWN_HELP)(comparisons.compare)
app.command()(comparisons.report)
app.command(cls=OwnHelpCommand, context_settings=OWN_HELP)(bench)
app.command()(backends)
app.command()(cli_jobs.estimate)
app.command()(cli_jobs.submit)
app.add_typer(cli_jobs.jobs, name="jobs")
