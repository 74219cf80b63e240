"""The commands for hardware: `qml estimate`, `qml submit` and `qml jobs`. Heavy imports are inside them."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from qml.commands.shell import FAILED, INTERRUPTED, PENDING, REFUSED, one_line_errors
from qml.terminal import one_line, verbatim, visible

if TYPE_CHECKING:
    import numpy as np

    from qml.jobs import Chunk, Store

PREDICTIONS_SHOWN = 5

Model = Annotated[Path, typer.Argument(help="A model or layer, saved by qml.nn.save_model or save_layer.")]
Data = Annotated[Path, typer.Argument(help="Samples: .npy, .npz, .csv or .safetensors, one a row.")]
BackendName = Annotated[str, typer.Option("--backend", help="For example aer:fake_torino, or ibm:ibm_torino.")]
Shots = Annotated[int | None, typer.Option(min=1, help="Runs of each circuit; the backend's default if not given.")]
MaxSeconds = Annotated[float | None, typer.Option(help="Let the run take no more seconds of the device, ever.")]
MaxJobs = Annotated[int | None, typer.Option(help="Let the run send no more jobs, ever.")]
StorePath = Annotated[Path | None, typer.Option("--store", help="The file of records, instead of the user's own.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
Out = Annotated[Path | None, typer.Option(help="Write the predictions to this .npy or .csv file; kept for resume.")]
RunName = Annotated[str, typer.Argument(help="The run's id, or enough of its beginning.")]

jobs = typer.Typer(help="Runs that were submitted: list, status, fetch, cancel, resume.", no_args_is_help=True)


def estimate(
    model: Model,
    data: Data,
    backend: BackendName,
    shots: Shots = None,
    backward: Annotated[bool, typer.Option(help="Count the gradients of all weights as well.")] = False,
    max_seconds: MaxSeconds = None,
    max_jobs: MaxJobs = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run costs, and send nothing.

    Ends with exit code 2 if it is above the budget.
    """
    with one_line_errors():
        from qml.remote import Budget, tables

        budget = Budget(max_seconds, max_jobs)
        size = _size(model.read_bytes(), str(model), data, backend, shots=shots, backward=backward)
        _show(tables.estimate_json(size), tables.estimate_table(size), as_json=as_json)
        budget.require(size)


def submit(  # noqa: PLR0913, PLR0917 - the options of a command
    model: Model,
    data: Data,
    backend: BackendName,
    shots: Shots = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**63 - 1, help="Of a simulator's shots.")] = None,
    max_seconds: MaxSeconds = None,
    max_jobs: MaxJobs = None,
    tag: Annotated[list[str] | None, typer.Option(help="Mark all jobs with this; may be repeated.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Send, and do not wait.")] = False,
    store: StorePath = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Run a saved model or layer on a backend, every job written down before it is sent.

    Ctrl-C, a crash or a power cut loses nothing: `qml jobs resume` goes on, and remembers --out. Exit codes: 0 done (or
    sent, with --detach), 1 jobs failed or no answer, 2 refused, 130 interrupted.
    """
    with one_line_errors():
        with Console(stderr=True).status("Reading the model and its data"):
            from qml import remote  # takes a second

            checkpoint, inputs = model.read_bytes(), remote.read_inputs(data)
            budget = remote.Budget(max_seconds, max_jobs)
            _require_output(out)
            options = {name: value for name, value in (("shots", shots), ("seed", seed)) if value is not None}
            remote.require_submittable(checkpoint, str(model), inputs, backend, options)
        count = partial(_size, checkpoint, str(model), data, backend, **options)
        if budget.is_set:  # a run above its budget is never written down
            with Console(stderr=True).status("Counting jobs and circuits"):
                budget.require(count())
        with _opened(store) as records:
            run_id = remote.start(
                records, checkpoint, inputs, backend, options=options, tags=tuple(tag or ()), budget=budget, out=out
            )
            if not budget.is_set:
                _try_circuits(records, run_id, count)
            _go_on(records, run_id, wait=not detach, out=out, as_json=as_json)


@jobs.command("list")
def list_runs(store: StorePath = None, as_json: AsJson = False) -> None:
    """List all runs of this user."""
    with one_line_errors(), _opened(store, make=False) as records:
        from qml.remote import run_state, tables

        states = [run_state(records, run) for run in records.runs()] if records else []
        _show([tables.run_json(state) for state in states], tables.runs_table(states), as_json=as_json)


@jobs.command()
def status(
    run: RunName,
    store: StorePath = None,
    offline: Annotated[bool, typer.Option("--offline", help="Ask the records only, not the service.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the jobs of a run, and what the service says about those that have not ended."""
    with one_line_errors(), _opened(store, make=False) as records:
        from qml import remote
        from qml.remote import tables

        state = remote.run_state(records, remote.find_run(_known(records), run))
        waiting = [chunk for chunk in state.chunks if chunk.state == "sent"]
        live = {} if offline or not waiting else remote.live_states(remote.service_of(state.run), waiting)
        _show(tables.run_json(state, live), tables.run_table(state, live), as_json=as_json)


@jobs.command()
def fetch(run: RunName, out: Out = None, store: StorePath = None, as_json: AsJson = False) -> None:
    """Fetch the results that are ready, without waiting and without sending anything.

    Ends with exit code 3 if results are missing.
    """
    with one_line_errors(), _opened(store, make=False) as records:
        from qml.remote import find_run, output_of

        run_id = find_run(_known(records), run).run_id
        out = out or output_of(_known(records), run_id)
        _require_output(out)
        _go_on(_known(records), run_id, send=False, wait=False, out=out, as_json=as_json)


@jobs.command()
def resume(  # noqa: PLR0913, PLR0917 - the options of a command
    run: RunName,
    again: Annotated[bool, typer.Option("--again", help="Send failed and cancelled jobs once more, and pay.")] = False,
    job: Annotated[str | None, typer.Option("--job", help="Take this job as the one whose id was lost.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Send what is missing, and do not wait.")] = False,
    max_seconds: Annotated[float | None, typer.Option(help="Change the run's limit of seconds, all included.")] = None,
    max_jobs: Annotated[int | None, typer.Option(help="Change the run's limit of jobs, all included.")] = None,
    out: Out = None,
    store: StorePath = None,
    as_json: AsJson = False,
) -> None:
    """Resume a run: find its jobs, wait for them, and send only those that were never sent.

    Where a provider's reply was lost and it finds no jobs by tags, --job names the job that its own list shows.
    A limit of `qml submit` holds for the whole run until it is changed here. Exit codes as for `qml submit`.
    """
    with one_line_errors(), _opened(store, make=False) as records:
        from qml.remote import Budget, adopt, find_run, output_of

        budget, record = Budget(max_seconds, max_jobs), find_run(_known(records), run)
        run_id = record.run_id
        out = out or output_of(_known(records), run_id)
        _require_output(out)
        if job is not None:
            with _job_errors(run_id):
                adopt(_known(records), record, job)
        _go_on(_known(records), run_id, wait=not detach, again=again, budget=budget, out=out, as_json=as_json)


@jobs.command()
def replies(
    run: RunName,
    out: Annotated[Path, typer.Option(help="Write them to this .npz file.")],
    store: StorePath = None,
) -> None:
    """Write the answers of a run's service that are no results, as they came: arrays, and the metadata as JSON.

    Nothing is asked of the service, and nothing is sent.
    """
    with one_line_errors(), _opened(store, make=False) as records:
        from qml import remote

        answers = remote.replies_of(_known(records), remote.find_run(records, run).run_id)
        if not answers:
            raise ValueError(f"Argument `run` must have jobs whose replies are no results, but {run!r} has none.")
        remote.write_arrays(out, answers)
        typer.echo(f"{len(answers)} arrays are written to {visible(out)}.")


@jobs.command()
def cancel(run: RunName, store: StorePath = None, as_json: AsJson = False) -> None:
    """Stop a run's jobs; results that are ready are kept."""
    with one_line_errors(), _opened(store, make=False) as records:
        from qml import remote
        from qml.remote import tables

        record = remote.find_run(_known(records), run)
        with _job_errors(record.run_id):
            remote.cancel(records, record)
        state = remote.run_state(records, remote.find_run(records, record.run_id))
        _show(tables.run_json(state), tables.run_table(state, {}), as_json=as_json)


def _size(checkpoint: bytes, name: str, data: Path, backend: str, **options: Any) -> Any:
    """Return the estimate, on a backend made for it alone."""
    from qml import remote

    backward = options.pop("backward", False)
    layer = remote.parse_model(checkpoint, name)
    inputs = remote.as_tensor(remote.read_inputs(data), layer)
    return remote.estimate(layer, inputs, remote.make_backend(backend, **options), backward=backward)


def _try_circuits(records: "Store", run_id: str, count: Callable[[], Any]) -> None:
    """Make a run's circuits once; forget one that has none on its backend. An interrupted one can be resumed."""
    words = f"Run {visible(run_id)} is written down; its circuits are made"
    with _job_errors(run_id), Console(stderr=True).status(verbatim(words)):
        try:
            count()
        except (ImportError, OSError, TypeError, ValueError):
            records.forget_run(run_id)
            raise


def _go_on(records: "Store", run_id: str, *, out: Path | None, as_json: bool, wait: bool, **options: Any) -> None:
    """Resume a run, with its progress on the error stream, and show its predictions."""
    from qml import remote
    from qml.jobs import JobPending
    from qml.remote import tables

    with _job_errors(run_id):
        try:
            with _progress(run_id) as watch:
                outputs = remote.take_up(records, run_id, wait=wait, watch=watch, **options)
        except JobPending:
            if options.get("send", True) and not wait:  # as asked
                state = remote.run_state(records, remote.find_run(records, run_id))
                _show(tables.run_json(state), f"Sent. `qml jobs resume {run_id}` waits for it.", as_json=as_json)
                return
            raise
    state = remote.run_state(records, remote.find_run(records, run_id))
    if outputs is None:
        if out is not None:
            raise ValueError(f"Argument `out` must be left out for run {run_id}, which another program began.")
        text = f"All {len(state.chunks)} jobs of run {run_id} have results. The program that began it replays them."
        _show(tables.run_json(state), text, as_json=as_json)
        return
    if out is not None:
        remote.write_outputs(out, outputs)
    _show(tables.run_json(state) | {"outputs": outputs.tolist()}, _summary(run_id, outputs, out), as_json=as_json)


def _summary(run_id: str, outputs: "np.ndarray", out: Path | None) -> str:
    first = ", ".join(f"{value:.4g}" for value in outputs.reshape(-1)[:PREDICTIONS_SHOWN])
    more = ", ..." if outputs.size > PREDICTIONS_SHOWN else ""
    where = f"written to {out}" if out is not None else f"`qml jobs fetch {run_id} --out FILE` writes them"
    return f"Run {run_id} is done. Predictions of shape {outputs.shape}: {first}{more}; {where}."


@contextmanager
def _progress(run_id: str) -> "Iterator[Callable[[Sequence[Chunk]], None]]":
    """Show a line on the error stream that says how many jobs have results."""
    console = Console(stderr=True)
    console.print("Run", verbatim(run_id, style="bold"), highlight=False)
    with console.status("Sending") as line:

        def watch(chunks: "Sequence[Chunk]") -> None:
            states = [chunk.state for chunk in chunks]
            number = chunks[0].sequence + 1 if chunks else 1
            n_sent, n_done = states.count("sent"), states.count("done")
            line.update(f"Submission {number}: {n_done} of {len(states)} jobs have results, {n_sent} are waited for")

        yield watch


@contextmanager
def _job_errors(run_id: str) -> Iterator[None]:
    """Turn an error into one line that says how to go on, and its exit code."""
    from qml.jobs import BudgetReached, JobError, JobPending

    try:
        yield
    except JobPending as error:
        typer.echo(f"qml: {one_line(error)}", err=True)
        raise typer.Exit(PENDING) from error
    except BudgetReached as error:
        typer.echo(f"qml: {one_line(error)}", err=True)
        raise typer.Exit(REFUSED) from error
    except JobError as error:
        typer.echo(f"qml: {one_line(error)}", err=True)
        raise typer.Exit(FAILED) from error
    except KeyboardInterrupt:
        typer.echo(f"Stopped. Nothing is lost: `qml jobs resume {visible(run_id)}` goes on.", err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def _opened(path: Path | None, *, make: bool = True) -> "Iterator[Any]":
    """Open the records and close them in the end; yield None if there are none and none are to be made."""
    from qml.jobs import Store, StoreError
    from qml.jobs.store import default_path

    file = path or default_path()
    is_empty = file.is_file() and file.stat().st_size == 0
    if not make and (is_empty or not file.exists()):
        if path is not None:
            state = "is empty" if is_empty else "does not exist"
            raise ValueError(f"Argument `store` must be a file of records, but {path} {state}.")
        yield None
        return
    try:
        with Store(file) as records:
            yield records
    except StoreError as error:
        typer.echo(f"qml: {one_line(error)}", err=True)
        raise typer.Exit(FAILED) from error


def _known(records: "Store | None") -> "Store":
    if records is None:
        raise ValueError("Argument `run` must be the id of a run, but there is no run yet. Use `qml submit`.")
    return records


def _require_output(out: Path | None) -> None:
    from qml.remote.inputs import require_output

    if out is not None:
        require_output(out)


def _show(data: Any, table: Any, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(data, indent=2, allow_nan=False))  # JSON has no NaN
    elif isinstance(table, str):
        Console().print(verbatim(table), highlight=False, soft_wrap=True)
    else:
        Console().print(table, highlight=False)
