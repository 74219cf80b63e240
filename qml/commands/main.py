"""The command line: `qml compare`, `qml bench`, and `qml.commands.jobs`. Heavy imports are inside the commands."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from qml import __version__
from qml.commands import jobs as cli_jobs
from qml.commands.shell import INTERRUPTED, one_line_errors
from qml.terminal import verbatim, visible

if TYPE_CHECKING:
    from qml.compare.engine import ComparisonPlan, RunCells
    from qml.compare.overview import Finished
    from qml.compare.task import Option, Task

ALL_TASKS = "all"  # the name for all tasks, one after another

app = typer.Typer(
    name="qml",
    help="Quantum machine learning layers, compared, timed and run on hardware.",
    no_args_is_help=True,
    add_completion=False,
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


@app.command()
def compare(  # noqa: PLR0913, PLR0917 - one a flag
    task: Annotated[
        list[str],
        typer.Argument(help="Such as parity; with subjects: digits 28, sequences xor letters (else all); or all."),
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for results and report; runs/TASK if not given.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many splits and initialisations.")] = None,
    models: Annotated[str | None, typer.Option(help="Names with commas between, as in qnn,logistic.")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Of a task, as in scaler=leaking (series); may be repeated.")
    ] = None,
    scaler: Annotated[str | None, typer.Option(help="The same as --option scaler=SCALER.", hidden=True)] = None,
    preset: Annotated[str | None, typer.Option(help="full, or demo for a short run.")] = None,
    trials: Annotated[int | None, typer.Option(help="Settings tried a model and seed; else the preset's.")] = None,
    workers: Annotated[int | None, typer.Option(help="Train on so many processes of this machine.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Train on the Dask cluster of this address.")] = None,
) -> None:
    """Train a quantum model and its classical twins; show a table, and write a report into a folder.

    Ctrl-C stops it, and the same command goes on where it stopped.
    """
    console = Console()
    written = [*(option or ()), *([] if scaler is None else [f"scaler={scaler}"])]
    everything = task[0] == ALL_TASKS
    with one_line_errors():
        if everything and (len(task) > 1 or written or models is not None or trials is not None):
            raise ValueError(
                f"Argument `task` must be {ALL_TASKS!r} alone, without models or options, but more is given."
            )
        named, subjects = _named_and_subjects(task, written)
    plans = []
    for chosen, subject in subjects:
        part = next(iter(subject.values()), None)
        names = (chosen.name, part, *named.values(), preset, None if trials is None else f"{trials}-trials")
        folder = _folder(out, names, part=part if len(subjects) > 1 else None)
        if everything:
            folder = _folder(out, (ALL_TASKS, preset), part=None) / _folder(None, (chosen.name, part), part=None).name
        with one_line_errors():
            from qml.compare import make_plan, require_folder

            wanted = None if models is None else [name.strip() for name in models.split(",") if name.strip()]
            plan = make_plan(
                chosen,
                n_seeds=seeds,
                models=wanted,
                preset=preset,
                n_trials=trials,
                options=named | subject,
                folder=folder,
            )
            require_folder(plan)
            plans.append((plan, folder))
    finished = []
    for plan, folder in plans:  # all were checked before the first one runs
        with one_line_errors(), _clean_stop(folder):
            finished.append(_finish(console, plan, folder, _runner(workers, scheduler)))
    if everything:
        from qml.compare.overview import write_overview

        path = write_overview(finished, _folder(out, (ALL_TASKS, preset), part=None))
        console.print("\nAll of them:", verbatim(path, style="bold"), highlight=False, soft_wrap=True)


def _named_and_subjects(
    task: list[str], written: list[str]
) -> tuple["dict[str, Option]", list[tuple["Task[Any, Any]", "dict[str, Option]"]]]:
    """Return the options that were written for a task, and every task with each of its subjects."""
    from qml.compare import TASKS, choose_subjects, find_task
    from qml.compare.engine import read_options

    everything = task[0] == ALL_TASKS
    tasks = list(TASKS.values()) if everything else [find_task(task[0])]
    named = {} if everything else read_options(tasks[0], written)
    return named, [(chosen, subject) for chosen in tasks for subject in choose_subjects(chosen, task[1:])]


def _finish(
    console: Console, plan: "ComparisonPlan", folder: Path, runner: AbstractContextManager["RunCells | None"]
) -> "Finished":
    """Run the missing cells, write the report, and show the table."""
    from qml.compare import LiveProgress, run_plan, write_report
    from qml.compare.overview import Finished

    with runner as run_cells, LiveProgress(console) as progress:
        records = run_plan(plan, progress, run_cells)
    with console.status("Writing the report"):
        finished = Finished(plan, records, write_report(plan, records, folder))
    _print_result(console, finished)
    return finished


def _print_result(console: Console, finished: "Finished") -> None:
    from qml.compare import result_table, verdict

    plan, records = finished.plan, finished.records
    console.print()
    console.print(result_table(records, plan.models, plan.task.metric))
    console.print()
    for sentence in verdict(records, plan.models, plan.task.metric):
        console.print(verbatim(sentence), highlight=False)
    console.print("\nReport:", verbatim(finished.report, style="bold"), highlight=False, soft_wrap=True)


@app.command()
def bench(
    name: Annotated[str, typer.Argument(help="What to time, for example simulator.")],
    case: Annotated[list[str] | None, typer.Option(help="Time this case only; may be repeated.")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="Time beside this peer only; may be repeated.")] = None,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the rows to this file too.")] = None,
) -> None:
    """Time this package beside the other libraries that are installed."""
    with one_line_errors():
        from qml.bench import run

        run(name, cases=case or None, peers=peer or None, json_path=json_path)


app.command()(cli_jobs.estimate)
app.command()(cli_jobs.submit)
app.add_typer(cli_jobs.jobs, name="jobs")


def _folder(out: Path | None, parts: Sequence[str | int | None], *, part: str | int | None) -> Path:
    """Return the folder of results: the user's, one in it for each of several problems, or one named after the task."""
    if out is None:
        return Path("runs", "-".join(str(part) for part in parts if part is not None))
    return out if part is None else out / str(part)


def _runner(workers: int | None, scheduler: str | None) -> AbstractContextManager["RunCells | None"]:
    """Return a context whose value trains the cells on processes or a cluster, or None to train them here."""
    from qml.compare import distribute

    if workers is not None and scheduler is not None:
        raise ValueError("Options --workers and --scheduler must not both be given: a cluster has its own workers.")
    if scheduler is not None:
        return distribute.cluster(scheduler)
    return nullcontext() if workers is None else distribute.workers(workers)


@contextmanager
def _clean_stop(folder: Path) -> Iterator[None]:
    """Turn Ctrl-C into a line that says which results are kept, and the exit code that shells expect."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"Stopped. Finished runs are kept in {visible(folder)}: the same command goes on from there."
        typer.echo(kept, err=True)
        raise typer.Exit(INTERRUPTED) from None
