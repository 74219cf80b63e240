"""Runs of saved layers, which are begun once and resumed as often as needed, by any process."""

import dataclasses
import json
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from qml.backends import resolve
from qml.checks import as_int, as_shots, as_text, as_texts
from qml.jobs import (
    Budget,
    Chunk,
    DurableRunner,
    JobFailed,
    Retry,
    RunRecord,
    Service,
    Store,
    SubmittingBackend,
    adopt_job,
    cancel_run,
    codec,
    sends_jobs,
)
from qml.jobs.submission import JSONValue
from qml.nn import model_files
from qml.nn.checkpoint import checkpoint_hash
from qml.nn.move import layers_with_backends, to_backend
from qml.remote.estimate import predictions

MOST_TAGS, LONGEST_TAG = 6, 86  # IBM takes eight tags of this length; two are ours

Watch = Callable[[Sequence[Chunk]], None]


def make_backend(name: str, *, shots: int | None = None, seed: int | None = None) -> SubmittingBackend:
    """Make the backend of a name, with shots and a seed if they are given.

    Raises:
        ValueError: no backend of this name, one that sends no jobs, or that has no shots or seed to set.
        TypeError: an argument of another kind.
    """
    backend: Any = resolve(as_text(name, "backend"))
    if not sends_jobs(backend):
        raise ValueError(
            f"Argument `backend` must be one that sends jobs, but {name!r} computes at once. Call the layer itself, or "
            "name a backend of Qiskit's or IBM's."
        )
    shots = None if shots is None else as_shots(shots)
    seed = None if seed is None else as_int(seed, "seed", minimum=0)
    given = {"shots": shots, "generator": None if seed is None else torch.Generator().manual_seed(seed)}
    changes = {field: value for field, value in given.items() if value is not None}
    for field in changes:
        if field not in getattr(backend, "__dataclass_fields__", {}):
            option = "seed" if field == "generator" else field
            raise ValueError(f"Argument `{option}` must be left out for backend {name!r}, which has none.")
    return dataclasses.replace(backend, **changes) if changes else backend


def start(
    store: Store,
    checkpoint: bytes,
    inputs: np.ndarray,
    backend: str,
    *,
    options: Mapping[str, JSONValue],
    tags: Sequence[str] = (),
    budget: Budget | None = None,
    out: Path | None = None,
) -> str:
    """Enter a new run into the records, with its layer and inputs, and return its id; nothing is sent yet.

    Args:
        store: the records.
        checkpoint: the layer, by `qml.nn.checkpoint.dump_layer`.
        inputs: the layer's inputs.
        backend: the backend's name.
        options: arguments of `make_backend` in addition to the name.
        tags: marks of the run's jobs at the service.
        budget: the run's budget, which is stored with it.
        out: the file that its predictions are to be written to, by whoever resumes it; see `output_of`.

    Raises:
        ValueError: tags that services do not take.
        TypeError: tags that are no list of str.
    """
    tags = as_texts(tags, "tag")
    if len(tags) > MOST_TAGS or not all(0 < len(tag) <= LONGEST_TAG for tag in tags):
        raise ValueError(
            f"Argument `tag` must be given at most {MOST_TAGS} times, each of 1 to {LONGEST_TAG} characters, but is "
            f"{list(tags)}."
        )
    run_id = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    model = np.frombuffer(checkpoint, np.uint8)
    store.add_run(
        run_id,
        now=time.time(),
        backend=backend,
        model_hash=checkpoint_hash(checkpoint),
        options=options,
        tags=tags,
        inputs=codec.pack(
            {"model": model, "inputs": inputs}, {} if out is None else {"out": str(Path(out).absolute())}
        ),
        budget=budget,
    )
    return run_id


def require_submittable(
    checkpoint: bytes, name: str, inputs: np.ndarray, backend: str, options: Mapping[str, JSONValue]
) -> None:
    """Refuse at once what can be refused without transpiling: the model, its data, the backend and its options.

    Raises:
        ValueError, TypeError: see `parse_model`, `as_tensor` and `make_backend`.
    """
    as_tensor(inputs, parse_model(checkpoint, name))
    make_backend(backend, **dict(options))  # pyright: ignore[reportArgumentType] - checked there


def output_of(store: Store, run_id: str) -> Path | None:
    """Return the file that a run's predictions are to be written to, as it was given at the start; None without one."""
    blob = store.inputs(run_id)
    header = None if blob is None else codec.unpack(blob)[1]
    out = header.get("out") if isinstance(header, dict) else None
    return Path(out) if isinstance(out, str) else None


def take_up(
    store: Store,
    run_id: str,
    *,
    send: bool = True,
    wait: bool = True,
    again: bool = False,
    watch: Watch | None = None,
    retry: Retry | None = None,
    budget: Budget | None = None,
) -> np.ndarray | None:
    """Resume a run and return its predictions: stored results are replayed, and only missing jobs are sent.

    For a run that another program began (with a `DurableRunner` of its own), only the submissions that it has stored
    are known: their results are fetched into the store, for that program to replay, and None is returned.

    Args:
        store: the records.
        run_id: the run.
        send: whether anything may be sent.
        wait: whether to wait for results.
        again: whether chunks that failed or were cancelled are sent once more.
        watch: see `DurableRunner`.
        retry: see `DurableRunner`.
        budget: the run's new budget, which counts jobs sent before as well; limits that are None stay.

    Raises:
        JobPending, JobFailed, BudgetReached, ServiceUnavailable, StoreError: see `DurableRunner`.
        JobFailed: also for predictions that are not finite.
        ValueError: a run that was cancelled; a limit of seconds for one that has sent jobs without any.
    """
    run = store.run(run_id)
    if budget is not None and budget.is_set:
        _change_budget(store, run, budget)
    stored = outputs_of(store, run)
    if stored is not None and np.isfinite(stored).all():
        return stored
    if stored is not None:  # of a version that took NaN for predictions
        store.set_outputs(run_id, None)
    backend = _backend(run)
    if again:
        store.allow_again(run_id, now=time.time())
    elif run.cancelled is not None and send:
        raise ValueError(f"Run {run_id} was cancelled. `qml jobs resume {run_id} --again` sends it after all.")
    durable = DurableRunner(backend.service, store, run_id, send=send, wait=wait, watch=watch, retry=retry)
    blob = store.inputs(run_id)
    if blob is None:
        for payload in store.payloads(run_id):
            durable.run(codec.unpack_submission(payload))
        return None
    layer, inputs = _parts(blob, f"The model of run {run_id}")
    to_backend(layer, backend.with_runner(durable))
    with torch.no_grad():
        outputs = predictions(layer, inputs).numpy()
    if not np.isfinite(outputs).all():
        raise JobFailed(
            f"The predictions of run {run_id} must be finite, but hold NaN or infinity. The results of its jobs, which "
            "are finite, are kept: check the model's weights."
        )
    store.set_outputs(run_id, codec.pack({"outputs": outputs}, {}))
    return outputs


def parse_model(content: bytes, name: str) -> nn.Module:
    """Rebuild a layer or a whole model, with circuits that can run on any backend, for predictions (in eval mode).

    Raises:
        ValueError: see `qml.nn.load_model`; also for a model without a choice of backend.
    """
    model = model_files.parse_model(content, name=name)
    if not layers_with_backends(model):
        raise ValueError(
            f"{name} must hold a layer that runs on any backend, but is a {type(model).__name__} without one. Call the "
            "model itself."
        )
    return model.eval()


def outputs_of(store: Store, run: RunRecord) -> np.ndarray | None:
    """Return the predictions of a run, or None if they are not stored yet."""
    blob = store.outputs(run.run_id)
    return None if blob is None else _array(blob, "outputs")


def replies_of(store: Store, run_id: str) -> dict[str, np.ndarray]:
    """Return the replies of a run's jobs that are no results, as the service sent them, to look at before paying again.

    Returns:
        Arrays by `TAG/PUB/NAME`, and under `TAG/PUB/metadata` the service's remarks about them, as JSON.
    """
    replies: dict[str, np.ndarray] = {}
    for chunk in store.chunks(run_id):
        reply = store.reply(chunk.tag)
        for number, result in enumerate([] if reply is None else codec.unpack_results(reply)):
            where = f"{chunk.tag}/{number}"
            replies |= {f"{where}/{name}": array for name, array in result.arrays.items()}
            replies[f"{where}/metadata"] = np.array(json.dumps(dict(result.metadata)))
    return replies


def cancel(store: Store, run: RunRecord, *, retry: Retry | None = None) -> None:
    """Stop a run's jobs, see `qml.jobs.cancel_run`; nothing happens to a run that is done."""
    if run.has_outputs:
        return
    cancel_run(service_of(run), store, run.run_id, retry=retry)


def adopt(store: Store, run: RunRecord, job_id: str, *, retry: Retry | None = None) -> None:
    """Take up a job of the run whose id was lost, see `qml.jobs.adopt_job`."""
    adopt_job(service_of(run), store, run.run_id, job_id, retry=retry)


def service_of(run: RunRecord) -> Service:
    """Return the service that has a run's jobs."""
    return _backend(run).service


def find_run(store: Store, name: str) -> RunRecord:
    """Find a run by its id, or by the beginning of its id.

    Raises:
        ValueError: none, or several.
    """
    runs = [run for run in store.runs() if run.run_id == name] or [
        run for run in store.runs() if run.run_id.startswith(name)
    ]
    if len(runs) != 1:
        known = ", ".join(run.run_id for run in runs) if runs else "none: see `qml jobs list`"
        raise ValueError(f"Argument `run` must be the id of one run, but {name!r} begins those of {known}.")
    return runs[0]


def as_tensor(inputs: np.ndarray, layer: nn.Module) -> Tensor:
    """Convert samples to a tensor in the layer's dtype; to integers for a model that begins with an embedding.

    Raises:
        ValueError: samples of another shape than (series, steps, features) for a recurrent layer, or a model with a
            layer whose first dimension is time, so that rows would not be samples; numbers to embed that are not whole.
    """
    recurrent = getattr(layer, "qrnn", layer)
    if any(getattr(module, "batch_first", True) is False for module in layer.modules()):
        raise ValueError("The model must have been made with batch_first=True, so that rows of data are samples.")
    if hasattr(recurrent, "batch_first") and inputs.ndim != 3:
        raise ValueError(
            f"The data must have shape (series, steps, features) for a {type(layer).__name__}, but has {inputs.shape}. "
            "Save it as .npy."
        )
    if isinstance(next((module for module in layer.modules() if not list(module.children())), None), nn.Embedding):
        if not np.array_equal(inputs, np.round(inputs)):
            raise ValueError("The data must be whole numbers for a model that begins with an embedding.")
        return torch.from_numpy(inputs).long()
    dtype = next((parameter.dtype for parameter in layer.parameters()), torch.get_default_dtype())
    return torch.from_numpy(inputs).to(dtype)


def _parts(blob: bytes, name: str) -> tuple[nn.Module, Tensor]:
    """Return the layer and the inputs of a run."""
    layer = parse_model(_array(blob, "model").tobytes(), name)
    return layer, as_tensor(_array(blob, "inputs"), layer)


def _array(blob: bytes, name: str) -> np.ndarray:
    arrays, _ = codec.unpack(blob)
    if name not in arrays:
        raise codec.damaged(f"it has no {name}")
    return arrays[name]


def _change_budget(store: Store, run: RunRecord, budget: Budget) -> None:
    if budget.seconds is not None and run.budget.seconds is None and store.spent(run.run_id)[0]:
        raise ValueError(
            f"Argument `max_seconds` must be left out for run {run.run_id}, whose jobs so far were sent without such a "
            "limit and are not counted. Use --max-jobs."
        )
    store.set_budget(run.run_id, budget)


def _backend(run: RunRecord) -> SubmittingBackend:
    unknown = set(run.options) - {"shots", "seed"}
    if unknown:
        raise codec.damaged(f"run {run.run_id} has unknown options {sorted(unknown)}")
    return make_backend(run.backend, **dict(run.options))  # pyright: ignore[reportArgumentType] - written by `start`
