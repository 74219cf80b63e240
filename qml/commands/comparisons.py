"""The commands `qml compare` and `qml report`. Heavy imports are inside them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from qml.commands import study
from qml.commands.shell import INTERRUPTED, one_line_errors
from qml.commands.study import STUDY
from qml.terminal import one_line, verbatim, visible

if TYPE_CHECKING:
    from qml.compare.engine import ComparisonPlan, RunCells
    from qml.compare.overview import Finished
    from qml.compare.task import Option, Task

    Plans = list[tuple[ComparisonPlan, Path]]

ALL_TASKS = "all"  # the name for all tasks, one after another


def task_names(incomplete: str) -> list[str]:
    """Return the names of tasks that begin so, for a shell that completes them."""
    from qml.compare.registry import TASKS

    return [name for name in (*TASKS, STUDY, ALL_TASKS) if name.startswith(incomplete)]


def preset_names(incomplete: str) -> list[str]:
    """Return the usual amounts of work that begin so, for a shell that completes them."""
    return [name for name in ("full", "demo") if name.startswith(incomplete)]


def compare(  # noqa: PLR0913, PLR0917 - one a flag
    context: typer.Context,
    task: Annotated[
        list[str] | None,
        typer.Argument(
            help="Such as parity; with subjects: digits 28, sequences xor letters (else all); or all.",
            autocompletion=task_names,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for results and report; runs/TASK if not given.")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many splits and initialisations.")] = None,
    models: Annotated[
        str | None, typer.Option(help="Names with commas between, as in qnn,logistic; subjects take those they have.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="An option of the task, as NAME=VALUE (its --help lists them); may be repeated."),
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="full, or demo for a short run.", autocompletion=preset_names)
    ] = None,
    variant: Annotated[
        str | None, typer.Option("--as", help="Of `benchmarks`: published, or intended where text and code differ.")
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Settings tried a model and seed; else the preset's.")] = None,
    workers: Annotated[int | None, typer.Option(help="Train on so many processes of this machine.")] = None,
    scheduler: Annotated[str | None, typer.Option(help="Train on the Dask cluster of this address.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be trained and roughly how long, and train nothing.")
    ] = False,
    show_help: Annotated[
        bool, typer.Option("--help", "-h", help="Show this, or after a task its models, subjects and options.")
    ] = False,
) -> None:
    """Train a quantum model and its classical twins; show a table, and write a report into a folder.

    Without a task, list the tasks. Ctrl-C stops a comparison, and the same command goes on where it stopped.
    """
    console = Console()
    if show_help or not task:
        _explain(console, context, task or [], asked=show_help)
        return
    with one_line_errors():
        wanted = None if models is None else [name.strip() for name in models.split(",") if name.strip()]
        if task[0] == STUDY:
            if trials is not None:
                raise ValueError(f"Argument `trials` must be left out for {STUDY}, whose grids are the study's.")
            wishes = study.Wishes(task[1:], wanted, preset, variant, seeds, option or [], out)
            _study(console, study.wished_study(wishes), workers, scheduler, dry_run=dry_run)
            return
        if variant is not None:
            raise ValueError(f"Argument `as` must be left out for task {task[0]!r}; it belongs to {STUDY}.")
        if task[0] == ALL_TASKS:
            _require_alone(task, option, models, trials)
        named, subjects = _named_and_subjects(task, option or [])
        work = {"n_seeds": seeds, "models": wanted, "preset": preset, "n_trials": trials}
        plans = _plans(out, subjects, named, work, everything=task[0] == ALL_TASKS)
    if dry_run:
        with one_line_errors():
            from qml.compare.listing import dry_run as dry_run_table

            console.print(dry_run_table(plans), highlight=False)
        return
    finished = _run_plans(console, plans, workers, scheduler)
    if task[0] == ALL_TASKS:
        with one_line_errors():
            _print_overview(console, finished, _folder(out, (ALL_TASKS, preset), part=None))


def _require_alone(task: list[str], option: list[str] | None, models: str | None, trials: int | None) -> None:
    """Refuse anything beside the name of all tasks."""
    if len(task) > 1 or option or models is not None or trials is not None:
        raise ValueError(f"Argument `task` must be {ALL_TASKS!r} alone, without models or options, but more is given.")


def _run_plans(console: Console, plans: "Plans", workers: int | None, scheduler: str | None) -> "list[Finished]":
    """Check the folders of all plans, and run one after another."""
    with one_line_errors():
        from qml.compare import require_folder

        for plan, _ in plans:
            require_folder(plan)
    finished = []
    for plan, folder in plans:
        with one_line_errors(), _clean_stop(folder):
            finished.append(_finish(console, plan, folder, _runner(workers, scheduler)))
    return finished


def _study(
    console: Console, wished: "study.Study", workers: int | None, scheduler: str | None, *, dry_run: bool
) -> None:
    """Run the study of arXiv:2403.07059, or say what it would cost."""
    if dry_run:
        with console.status("Timing a few steps of each model"):
            told = study.dry_run(wished)
        console.print(told, highlight=False)
        return
    with _clean_stop(wished.folder or Path()):
        study.run(console, wished, _runner(workers, scheduler))


def report(
    out: Annotated[Path, typer.Argument(help="The folder of a comparison, or of several, as `qml compare` wrote it.")],
) -> None:
    """Write the report of a comparison again, from the records in its folder; nothing is trained."""
    console = Console()
    with one_line_errors():
        from qml.compare import write_report
        from qml.compare.again import comparisons_in, read_comparison
        from qml.compare.overview import Finished

        finished = []
        for folder in comparisons_in(out):
            plan, records = read_comparison(folder)
            with console.status("Writing the report"):
                finished.append(Finished(plan, records, write_report(plan, records, folder)))
            _print_result(console, finished[-1])
        if out not in [item.report.parent for item in finished]:
            _print_overview(console, finished, out)


def _explain(console: Console, context: typer.Context, task: list[str], *, asked: bool) -> None:
    """Say which tasks there are, or what one of them is."""
    with one_line_errors():
        from qml.compare.listing import task_help, tasks_listing
        from qml.compare.registry import TASKS, find_task

        if task and task[0] == STUDY:
            console.print(study.help_text(), highlight=False)
            return
        if task and task[0] != ALL_TASKS:
            console.print(task_help(find_task(task[0]), task[1:]), highlight=False)
            return
        if asked:
            typer.echo(context.get_help())
            return
        console.print(tasks_listing(TASKS), highlight=False)


def _named_and_subjects(
    task: list[str], written: list[str]
) -> tuple["dict[str, Option]", list[tuple["Task[Any, Any]", "dict[str, Option]"]]]:
    """Return the options that were written for a task, and every task with each of its subjects."""
    from qml.compare import TASKS, choose_subjects, find_task
    from qml.compare.engine import read_options

    everything = task[0] == ALL_TASKS
    tasks, errors = TASKS.sound() if everything else ([find_task(task[0])], {})
    for error in errors.values():
        typer.echo(f"qml: left out: {one_line(error)}", err=True)
    named = {} if everything else read_options(tasks[0], written)
    return named, [(chosen, subject) for chosen in tasks for subject in choose_subjects(chosen, task[1:])]


def _plans(
    out: Path | None,
    subjects: list[tuple["Task[Any, Any]", "dict[str, Option]"]],
    named: "dict[str, Option]",
    work: dict[str, Any],
    *,
    everything: bool,
) -> "Plans":
    """Return a plan and a folder for every subject."""
    from qml.compare import make_plan

    plans = []
    preset, n_trials = work["preset"], work["n_trials"]
    models = _models_of_each(subjects, named, work["models"])
    for (chosen, subject), own_models in zip(subjects, models, strict=True):
        part = next(iter(subject.values()), None)
        names = (chosen.name, part, *named.values(), preset, None if n_trials is None else f"{n_trials}-trials")
        folder = _folder(out, names, part=part if len(subjects) > 1 else None)
        if everything:
            folder = _folder(out, (ALL_TASKS, preset), part=None) / _folder(None, (chosen.name, part), part=None).name
        own_work: dict[str, Any] = work | {"models": own_models}
        plans.append((make_plan(chosen, **own_work, options=named | subject, folder=folder), folder))
    return plans


def _models_of_each(
    subjects: list[tuple["Task[Any, Any]", "dict[str, Option]"]], named: "dict[str, Option]", wanted: list[str] | None
) -> list[list[str] | None]:
    """Return the models of every subject: of those wanted the ones that it has, if others are had by other subjects.

    Where a subject has none of them, or where no subject has one of them, `make_plan` gets them all, and refuses.
    """
    from qml.compare import make_plan

    if wanted is None or len(subjects) == 1:
        return [wanted] * len(subjects)
    offered = [set(make_plan(chosen, options=named | subject).models) for chosen, subject in subjects]
    unknown = set(wanted).difference(*offered)
    return [[name for name in wanted if name in known | unknown] or wanted for known in offered]


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


def _print_overview(console: Console, finished: "list[Finished]", folder: Path) -> None:
    from qml.compare.overview import write_overview

    path = write_overview(finished, folder)
    console.print("\nAll of them:", verbatim(path, style="bold"), highlight=False, soft_wrap=True)


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
