import errno
import io
import json
import math
import os
import platform
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console

from qml.baselines import LogisticRegression, count_parameters
from qml.compare import (
    TASKS,
    ComparisonPlan,
    LiveProgress,
    Metric,
    Model,
    Outcome,
    Preset,
    Record,
    Section,
    Task,
    again,
    estimate_mean,
    find_task,
    lock,
    make_plan,
    require_folder,
    result_table,
    run_plan,
    summarise,
    verdict,
    write_report,
)
from qml.compare.engine import read_options
from qml.compare.figures import new_figure
from qml.compare.registry import BUILT_IN, TaskRegistry
from qml.compare.store import append_record, settings_hash, write_atomically
from qml.compare.task import OnStep, Option, Options
from qml.compare.training import Setting, classifier, confusion, fit_classifier
from qml.data import Dataset, Split, split_dataset
from qml.entry_points import PlugInError
from tests.test_cli import run as command

RESULTS = "results.jsonl"


class Calls:
    """A toy task that writes down what is asked of it."""

    def __init__(self, stop_at: tuple[str, int] | None = None) -> None:
        self.trained: list[tuple[str, int]] = []
        self.splits: list[tuple[str, object]] = []
        self.stop_at = stop_at

    def train(self, name: str, split: object, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
        if (name, seed) == self.stop_at:
            raise KeyboardInterrupt
        on_step(1.0, "done")
        self.trained.append((name, seed))
        self.splits.append((name, split))
        value = 0.9 + 0.01 * seed - (0.05 if name == "classical" else 0.0)
        details = {"curves": {"train_loss": [1.0, 0.5]}, "confusion": [[3, 1], [0, 4]]}
        return Outcome(value, 7, 0.25, {"setting": "<b>only</b>"}, details)

    @property
    def task(self) -> Task:
        def model(name: str) -> Model:
            train = lambda *arguments: self.train(name, *arguments)  # noqa: E731
            return Model(name.capitalize(), name, f"The {name} one.", train, settings=(1, 2))

        def sections(data: object, records: list[Record], options: Options) -> list[Section]:
            figure = new_figure(2.0, 2.0)
            figure.subplots().plot([0, 1])
            return [Section("Own", "A figure of the task.", figure)]

        return Task(
            name="toy",
            title="Toy & co",
            question="Does it work?",
            prepare=lambda options: "data",
            split=lambda data, seed: [data, seed],
            models=lambda options: {name: model(name) for name in ("quantum", "classical")},
            presets={"full": Preset(3, 2, 4), "demo": Preset(2, 1, 2)},
            sections=sections,
            options={"size": (4, 8)},
        )


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / RESULTS).read_text().splitlines()]


def test_a_model_that_draws_nothing_is_trained_once_for_all_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls()
    models = {name: replace(model, is_seeded=name == "quantum") for name, model in calls.task.models({}).items()}
    task = replace(calls.task, models=lambda options: models)
    plan = make_plan(task, folder=tmp_path)
    records = run_plan(plan)
    assert calls.trained == [("quantum", 0), ("classical", 0), ("quantum", 1), ("quantum", 2)]
    assert [(record.model, record.seed) for record in records] == [(m, s) for s in range(3) for m in models]
    assert [record.outcome.value for record in records if record.model == "classical"] == [0.85] * 3
    assert run_plan(plan) == records  # from the folder, where it is stored once
    assert len(calls.trained) == len(lines_of(tmp_path)) == 4
    monkeypatch.setattr(again, "find_task", lambda name: task)
    assert again.read_comparison(tmp_path)[1] == records
    page = write_report(plan, records, tmp_path).read_text()
    assert page.count("Nothing is drawn: it was trained once") == 1
    assert page.count("<td>Classical</td>") == 1
    console = Console(file=io.StringIO(), width=120)
    console.print(result_table(records, plan.models, plan.task.metric))
    assert "85.0 %  trained once" in " ".join(console.file.getvalue().split("   "))  # pyright: ignore[reportAttributeAccessIssue]


def test_every_cell_is_run_once_and_written_with_the_agreed_keys(tmp_path: Path) -> None:
    calls = Calls()
    records = run_plan(make_plan(calls.task, folder=tmp_path))
    assert len(records) == 6
    lines = lines_of(tmp_path)
    assert set(lines[0]) >= {"task", "model", "seed", "metric", "value", "n_parameters", "seconds"}
    assert lines[0]["task"], lines[0]["metric"] == ("toy", "test_accuracy")
    assert [(line["model"], line["seed"]) for line in lines] == calls.trained


def test_the_split_is_the_same_for_every_model() -> None:
    calls = Calls()
    run_plan(make_plan(calls.task, n_seeds=2))
    by_model = {name: [split for model, split in calls.splits if model == name] for name in ("quantum", "classical")}
    assert all(mine is yours for mine, yours in zip(by_model["quantum"], by_model["classical"], strict=True))
    assert by_model["quantum"][0] != by_model["quantum"][1]


def test_an_interrupted_comparison_resumes_without_repeating_a_cell(tmp_path: Path) -> None:
    stopped = Calls(stop_at=("classical", 1))
    with pytest.raises(KeyboardInterrupt):
        run_plan(make_plan(stopped.task, folder=tmp_path))
    assert len(lines_of(tmp_path)) == 3
    resumed = Calls()
    records = run_plan(make_plan(resumed.task, folder=tmp_path))
    assert resumed.trained == [("classical", 1), ("quantum", 2), ("classical", 2)]
    assert records == run_plan(make_plan(Calls().task))
    assert records[0].outcome.details["curves"] == {"train_loss": [1.0, 0.5]}


def test_more_seeds_and_more_models_join_a_folder(tmp_path: Path) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, models=["classical"], folder=tmp_path))
    calls = Calls()
    records = run_plan(make_plan(calls.task, n_seeds=2, folder=tmp_path))
    assert calls.trained == [("quantum", 0), ("quantum", 1), ("classical", 1)]
    assert [(record.model, record.seed) for record in records] == [
        ("quantum", 0),
        ("classical", 0),
        ("quantum", 1),
        ("classical", 1),
    ]


KILLED = """
import os, signal, sys
from pathlib import Path
from qml.compare import make_plan, run_plan
from tests.test_compare import Calls
from tests.test_cli import run

class Killed(Calls):
    def train(self, name, split, seed, preset, on_step):
        if seed == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train(name, split, seed, preset, on_step)

run_plan(make_plan(Killed().task, folder=Path(sys.argv[1])))
"""


def test_a_killed_process_loses_no_finished_cell(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    calls = Calls()
    run_plan(make_plan(calls.task, n_seeds=2, folder=tmp_path))
    assert calls.trained == [("quantum", 1), ("classical", 1)]


class Heard:
    """A listener that keeps the warnings."""

    def __init__(self) -> None:
        self.warnings = []

    def started(self, plan: ComparisonPlan, n_finished: int, warnings: Sequence[str]) -> None:
        self.warnings = list(warnings)

    def cell_started(self, model: str, seed: int) -> None:
        pass

    def step(self, share: float, text: str) -> None:
        pass

    def cell_finished(self, record: Record) -> None:
        pass


def test_a_torn_last_line_is_set_aside_and_its_cell_runs_again(tmp_path: Path) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    path = tmp_path / RESULTS
    torn = path.read_bytes()[:-40]
    path.write_bytes(torn)
    calls, heard = Calls(), Heard()
    run_plan(make_plan(calls.task, n_seeds=1, folder=tmp_path), heard)
    assert calls.trained == [("classical", 0)]
    assert (tmp_path / f"{RESULTS}.torn-1").read_bytes() == torn
    assert "cut short" in heard.warnings[0]
    assert len(lines_of(tmp_path)) == 2


def test_a_line_that_lost_only_its_newline_is_kept(tmp_path: Path) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    path = tmp_path / RESULTS
    path.write_bytes(path.read_bytes()[:-1])
    calls, heard = Calls(), Heard()
    run_plan(make_plan(calls.task, n_seeds=2, folder=tmp_path), heard)
    assert calls.trained == [("quantum", 1), ("classical", 1)]
    assert heard.warnings == []
    assert len(lines_of(tmp_path)) == 4


@pytest.mark.parametrize("garbage", [b"\xff\xfe garbage", b"[1, 2]", b'{"model": "quantum"}'])
def test_a_corrupt_file_is_kept_aside_and_its_good_lines_are_used(tmp_path: Path, garbage: bytes) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    path = tmp_path / RESULTS
    _, second = path.read_bytes().splitlines()
    path.write_bytes(garbage + b"\n" + second + b"\n")
    broken = path.read_bytes()
    calls, heard = Calls(), Heard()
    run_plan(make_plan(calls.task, n_seeds=1, folder=tmp_path), heard)
    assert calls.trained == [("quantum", 0)]
    assert (tmp_path / f"{RESULTS}.corrupt-1").read_bytes() == broken
    assert "could not be read" in heard.warnings[0]


@pytest.mark.parametrize(
    "change",
    [
        {"value": None}, {"value": "0.5"}, {"value": True}, {"value": math.nan}, {"value": math.inf}, {"value": [0.5]},
        {"value": 0.25}, {"details": 5}, {"details": None}, {"details": []}, {"details": {"curves": 3}},
        {"details": {"curves": {"loss": "x"}}}, {"details": {"confusion": [[1]]}}, {"model": 3}, {"model": ["quantum"]},
        {"task": None}, {"task": {}}, {"seed": "0"}, {"seed": 0.0}, {"seed": True}, {"n_parameters": "7"},
        {"n_parameters": None}, {"seconds": "fast"}, {"seconds": None}, {"metric": 5}, {"settings": 5}, {"setting": {}},
        {"setting": [1]}, {"extra": None}, {"setting": "\ud800"}, {"another": 1},
    ],
)  # fmt: skip
@pytest.mark.parametrize("checked", [True, False])
def test_a_line_with_values_of_another_kind_runs_again(
    tmp_path: Path, change: dict[str, Any], *, checked: bool
) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    path = tmp_path / RESULTS
    first, second = lines_of(tmp_path)
    if not checked:  # as an earlier version wrote it
        assert first.pop("check")
        if change in ({"value": 0.25}, {"another": 1}):
            return
    path.write_text(json.dumps(first | change) + "\n" + json.dumps(second) + "\n")
    broken = path.read_bytes()
    calls, heard = Calls(), Heard()
    plan = make_plan(calls.task, n_seeds=1, folder=tmp_path)
    run_plan(plan, heard)
    assert calls.trained == [("quantum", 0)]
    assert (tmp_path / f"{RESULTS}.corrupt-1").read_bytes() == broken
    assert "those cells run again" in heard.warnings[0]


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000, b"null", b'"text"', b"\x00"])
def test_a_line_that_is_no_cell_runs_again(tmp_path: Path, line: bytes) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    path = tmp_path / RESULTS
    path.write_bytes(path.read_bytes().splitlines()[1] + b"\n" + line + b"\n")
    calls = Calls()
    run_plan(make_plan(calls.task, n_seeds=1, folder=tmp_path))
    assert calls.trained == [("quantum", 0)]
    (tmp_path / "settings.json").write_bytes(line)
    assert len(run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))) == 2


def test_lines_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    records = run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    old = [{key: value for key, value in line.items() if key != "check"} for line in lines_of(tmp_path)]
    (tmp_path / RESULTS).write_text("".join(json.dumps(line) + "\n" for line in old))
    calls, heard = Calls(), Heard()
    assert run_plan(make_plan(calls.task, n_seeds=1, folder=tmp_path), heard) == records
    assert (calls.trained, heard.warnings) == ([], [])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_metric_that_is_no_number_is_refused_and_the_others_stay(tmp_path: Path, value: float) -> None:
    class Diverging(Calls):
        def train(self, name: str, split: object, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
            outcome = super().train(name, split, seed, preset, on_step)
            return replace(outcome, value=value) if (name, seed) == ("classical", 1) else outcome

    with pytest.raises(ValueError, match=f"Model classical with seed 1 must reach a finite .* but reached {value}"):
        run_plan(make_plan(Diverging().task, folder=tmp_path))
    assert len(lines_of(tmp_path)) == 3


# ---- one at a time

LOCKING = """
import sys, time
from pathlib import Path
from qml.compare.lock import held

with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_in_use_is_refused_by_name_until_its_process_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOCKING, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        plan = make_plan(Calls().task, n_seeds=1, folder=tmp_path)
        message = rf"is in use by process {other.pid} on {re.escape(platform.node())}, since 20\d\d-.*--out"
        for use in (run_plan, require_folder):
            with pytest.raises(ValueError, match=message):
                use(plan)
        assert not (tmp_path / RESULTS).exists()
        other.kill()
    assert len(run_plan(plan)) == 2
    assert {path.name for path in tmp_path.iterdir()} == {RESULTS, "settings.json"}


def test_two_comparisons_at_once_train_every_cell_once(tmp_path: Path) -> None:
    class Slow(Calls):
        def train(self, name: str, split: object, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
            time.sleep(0.02)
            return super().train(name, split, seed, preset, on_step)

    refused: list[str] = []

    def work() -> None:
        try:
            run_plan(make_plan(Slow().task, folder=tmp_path))
        except ValueError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cells = [(line["model"], line["seed"]) for line in lines_of(tmp_path)]
    assert len(cells) == len(set(cells)) == 6
    assert all(f"process {os.getpid()}" in text or "another process" in text for text in refused)


def test_a_lock_that_was_just_given_back_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, n_deleted = lock._try_to_lock, []

    def late(file: int) -> bool | None:
        if not n_deleted:  # the one before deletes its file between our opening and our locking it
            n_deleted.append((tmp_path / lock.LOCK).unlink())
        return plain(file)

    monkeypatch.setattr(lock, "_try_to_lock", late)
    with lock.held(tmp_path), pytest.raises(ValueError, match="is in use by"), lock.held(tmp_path):
        raise AssertionError


def test_a_file_system_without_locks_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_try_to_lock", lambda file: None)
    heard = Heard()
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path), heard)
    assert "cannot be locked" in heard.warnings[0]


def test_names_and_folders_are_no_markup(tmp_path: Path) -> None:
    folder = tmp_path / "[red]out[x]"
    output = io.StringIO()
    console = Console(file=output, width=300)
    task = Calls().task
    models = {f"[bold]{name}[/x]": model for name, model in task.models({}).items()}
    task = replace(task, models=lambda options: models)
    plan = make_plan(task, n_seeds=1, folder=folder)
    run_plan(plan)
    (folder / RESULTS).write_text("torn[/red]\x1b[31m" + (folder / RESULTS).read_text())
    with LiveProgress(console) as progress:
        records = run_plan(plan, progress)
    console.print(result_table(records, plan.models, plan.task.metric))
    for text in ("[red]out[x]", "[bold]quantum[/x]", "[bold]classical[/x]", "Warning:", "1 of 2 runs are in"):
        assert text in output.getvalue()
    assert "\x1b" not in output.getvalue()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_seeds": "3"}, "`seeds` must be an int, but is str"),
        ({"n_seeds": True}, "`seeds` must be an int, but is bool"),
        ({"n_trials": 2.0}, "`trials` must be an int, but is float"),
        ({"models": "quantum"}, "`models` must be a list of str, but is str"),
        ({"models": [3]}, "`models` must hold str, but holds int"),
        ({"folder": 3}, "`folder` must be a path or None, but is int"),
    ],
)
def test_plans_of_other_kinds_are_refused(arguments: dict[str, Any], message: str) -> None:
    make: Any = getattr(make_plan, "__wrapped__", make_plan)  # without the tests' type checks
    with pytest.raises(TypeError, match=message):
        make(Calls().task, **arguments)
    assert make(Calls().task, n_seeds=np.int64(2), folder="out").folder == Path("out")


def test_corrupt_settings_are_kept_aside(tmp_path: Path) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    (tmp_path / "settings.json").write_text("{")
    calls, heard = Calls(), Heard()
    run_plan(make_plan(calls.task, n_seeds=1, folder=tmp_path), heard)
    assert calls.trained == []
    assert (tmp_path / "settings.json.corrupt-1").read_text() == "{"
    assert json.loads((tmp_path / "settings.json").read_text())["task"] == "toy"
    assert "settings.json" in heard.warnings[0]


def test_other_settings_are_refused_and_named(tmp_path: Path) -> None:
    run_plan(make_plan(Calls().task, n_seeds=1, folder=tmp_path))
    before = (tmp_path / RESULTS).read_bytes()
    with pytest.raises(ValueError, match=r"holds results of size 4 \(now 8\)\. Name another folder with --out"):
        run_plan(make_plan(Calls().task, options={"size": 8}, folder=tmp_path))
    with pytest.raises(ValueError, match=r"preset 'full' \(now 'demo'\)"):
        run_plan(make_plan(Calls().task, preset="demo", folder=tmp_path))
    (tmp_path / "settings.json").unlink()
    with pytest.raises(ValueError, match="results of other settings"):
        run_plan(make_plan(Calls().task, preset="demo", folder=tmp_path))
    assert (tmp_path / RESULTS).read_bytes() == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ValueError, match="is a file"):
        run_plan(make_plan(Calls().task, folder=tmp_path / "taken"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_seeds": 0}, r"`seeds` must be at least 1, but is 0\. Pass 5"),
        (
            {"models": ["quantum", "other"]},
            "`models` must be one of quantum, classical for task 'toy 4', but is 'other'",
        ),
        ({"models": []}, "at least one of quantum, classical"),
        ({"preset": "huge"}, "`preset` must be one of full, demo for task 'toy', but is 'huge'"),
        ({"options": {"size": 5}}, "`size` must be one of 4, 8 for task 'toy', but is 5"),
        ({"options": {"resolution": 4}}, "`resolution` must be left out for task 'toy'"),
    ],
)
def test_bad_plans_are_refused_with_the_choices(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_plan(Calls().task, **arguments)


@pytest.mark.plain
def test_models_of_a_task_are_checked(tmp_path: Path) -> None:
    task = Calls().task
    with pytest.raises(ValueError, match="`kind` must be one of 'quantum'"):
        replace(task.models({})["quantum"], kind="quantal")

    def with_quantum(**changes: Any) -> Task:
        models = task.models({})
        return replace(task, models=lambda options: {**models, "quantum": replace(models["quantum"], **changes)})

    with pytest.raises(ValueError, match="equally many `settings`, but list quantum 3, classical 2"):
        make_plan(with_quantum(settings=(1, 2, 3)))
    make_plan(with_quantum(settings=()))  # which has nothing to choose
    with pytest.raises(TypeError, match=r"`train` of model quantum must return an Outcome, but returned float"):
        run_plan(make_plan(with_quantum(train=lambda *arguments: 0.5)))


def test_an_unknown_task_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(TASKS)}, but is 'digit'"):
        find_task("digit")


SPIRALS = """
from qml.compare import Model, Outcome, Preset, Section, Task
SPIRALS = Task(
    name="spirals", title="Spirals", question="?", prepare=lambda options: 3, split=lambda data, seed: data + seed,
    models=lambda options: {"one": Model("One", "classical", "r", lambda split, *_: Outcome(float(split), 1, 0.0))},
    presets={"full": Preset(1, 1, 1)}, sections=lambda data, records, options: [Section("a", "b")],
)
"""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A way to install a package with a task and entry points for it."""

    def install(points: str) -> None:
        folder = tmp_path / "spirals-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: spirals\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[qml.tasks]\n{points}\n")
        (tmp_path / "foreign_spirals.py").write_text(SPIRALS)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "foreign_spirals", raising=False)

    return install


def test_a_task_of_another_package_is_an_entry_point(foreign: Callable[[str], None]) -> None:
    tasks = TaskRegistry(BUILT_IN)
    before = list(tasks)
    assert "spirals" not in tasks
    with pytest.raises(KeyError, match="spirals"):
        tasks["spirals"]
    foreign("spirals = foreign_spirals:SPIRALS")
    assert list(tasks) == [*before, "spirals"]
    assert len(tasks) == len(before) + 1
    assert "spirals" in tasks
    assert tasks["digits"].name == "digits"
    assert "foreign_spirals" not in sys.modules  # nothing is imported before it is asked for
    (record,) = run_plan(make_plan(tasks["spirals"]))
    assert record.outcome.value == 3.0
    assert tasks["spirals"] is tasks["spirals"]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (
            "spirals = foreign_spirals:Preset",
            r"\(foreign_spirals:Preset\) of spirals 1.0 must be a qml.compare.Task, but is a type\. .*uninstall",
        ),
        ("circles = foreign_spirals:SPIRALS", "must have the name of its task, but the task is called 'spirals'"),
        ("a = x:A\na = y:A", "must be offered by one package, but is by x:A of spirals 1.0 and y:A of spirals 1.0"),
        ("a = foreign_spirals:NOTHING.more", "of spirals 1.0 must be importable, but raises AttributeError: .*NOTHING"),
        (
            "a = no_such_module:A",
            "must be importable, but raises ModuleNotFoundError: No module named 'no_such_module'",
        ),
    ],
)
def test_an_entry_point_that_is_no_task_is_refused(foreign: Callable[[str], None], points: str, message: str) -> None:
    foreign(points)
    with pytest.raises(PlugInError, match=message):
        TaskRegistry({})[points.partition(" ")[0]]


def test_a_broken_plug_in_leaves_the_other_tasks_as_they_are(
    foreign: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign("spirals = foreign_spirals:SPIRALS\nwrecked = foreign_spirals:NOTHING")
    monkeypatch.setenv("COLUMNS", "300")
    tasks = TaskRegistry({"parity": BUILT_IN["parity"]})
    sound, errors = tasks.sound()
    assert [task.name for task in sound] == ["parity", "spirals"]
    assert list(errors) == ["wrecked"]
    shown = command("compare").output
    assert all(name in shown for name in ("digits", "spirals", "wrecked"))
    assert "Broken: Plug-in 'wrecked' (foreign_spirals:NOTHING) of spirals 1.0 must be importable" in shown
    refused = command("compare", "wrecked")
    assert refused.exit_code == 2
    assert "of spirals 1.0 must be importable" in refused.output
    everything = command("compare", "all", "--dry-run", "--preset", "demo")
    assert "left out: Plug-in 'wrecked'" in everything.output


def test_tasks_are_imported_at_their_first_use() -> None:
    code = "import sys, qml.compare; print([name for name in sys.modules if name.startswith('qml.compare.tasks.')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_options_are_written_as_name_and_value() -> None:
    series, calls = find_task("series"), find_task("calls")
    assert read_options(series, ["scaler=leaking"]) == {"scaler": "leaking"}
    assert read_options(series, ["scaler=none", "size=4"]) == {"scaler": "none", "size": "4"}  # for make_plan to refuse
    assert read_options(replace(calls, options={"a": (1,), "length": (4, 8)}), ["length=8"]) == {"length": 8}
    with pytest.raises(ValueError, match="must be written as name=value, but is 'scaler'"):
        read_options(series, ["scaler"])
    with pytest.raises(ValueError, match=r"must not be 'series', whose values .* Write `series bessel`"):
        read_options(series, ["series=bessel"])


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_of_a_full_disk_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match=r"No space left on device: '.*file'"):
        write_atomically(tmp_path / "file", "text")
    assert not list(tmp_path.iterdir())
    record = Record("toy", "quantum", 0, "accuracy", Outcome(0.5, 1, 0.1, {}, {}))
    with pytest.raises(OSError, match=rf"No space left on device: '.*{RESULTS}'"):
        append_record(tmp_path, record, {})


def test_the_hash_of_settings_ignores_their_order_only() -> None:
    assert settings_hash({"a": 1, "b": [2]}) == settings_hash({"b": [2], "a": 1})
    assert settings_hash({"a": 1}) != settings_hash({"a": 2})


def test_the_interval_is_students() -> None:
    estimate = estimate_mean([0.9, 1.0, 0.8, 0.9, 0.9])
    half = 2.7764451 * math.sqrt(0.005) / math.sqrt(5)  # t_{0.975, 4} from a table
    assert estimate.mean == pytest.approx(0.9)
    assert (estimate.low, estimate.high) == pytest.approx((0.9 - half, 0.9 + half), rel=1e-6)
    assert math.isnan(estimate_mean([0.5]).low)


def test_the_verdict_says_who_wins_and_whether_chance_explains_it() -> None:
    records = run_plan(make_plan(Calls().task))
    models = Calls().task.models({"size": 4})
    best, against = verdict(records, models, Metric())
    assert best == "Quantum has the best mean: 91.0 %."
    assert "Quantum (7 parameters) is 5.0 points ahead of Classical (7 parameters): more than chance" in against
    alone = [record for record in records if models[record.model].kind == "quantum"]
    assert verdict(alone, models, Metric()) == [
        "The mean of Quantum is 91.0 %; no other model here answers its question."
    ]
    level = [replace(record, outcome=replace(record.outcome, value=0.5)) for record in records]
    assert verdict(level, models, Metric())[1] == "Classical (7 parameters) and Quantum (7 parameters) are level."
    error = Metric("test_error", "Error", larger_is_better=False, percent=False)
    assert verdict(records, models, error)[0] == "Classical has the best mean: 0.86."
    assert "Classical (7 parameters) is 0.05 ahead of Quantum" in verdict(records, models, error)[1]


def test_shares_have_intervals_within_zero_and_one() -> None:
    records = [
        Record("toy", "a", seed, "test_accuracy", Outcome(value, 1, 0.1)) for seed, value in enumerate((0.9, 1.0))
    ]
    estimate = summarise(records, Metric())[0].estimate
    assert (estimate.low, estimate.high) == (0.0, 1.0) or estimate.high == 1.0


def test_the_report_is_one_file_with_its_figures_inside(tmp_path: Path) -> None:
    plan = make_plan(Calls().task, folder=tmp_path)
    html = write_report(plan, run_plan(plan), tmp_path).read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(sources) == 4  # metric, curves, confusion, and the task's own
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert "url(" not in html
    assert "@import" not in html
    for words in (
        "Toy &amp; co",
        "&lt;b&gt;only&lt;/b&gt;",
        "Learning curves",
        "torch",
        "Quantum has the best mean",
    ):
        assert words in html
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def blobs() -> Split:
    generator = torch.Generator().manual_seed(0)
    labels = torch.tensor([1.0, -1.0] * 60)
    inputs = torch.randn(120, 2, generator=generator) + 2.0 * labels[:, None]
    return split_dataset(Dataset(inputs, labels), seed=0)


def test_training_learns_and_tells_what_it_chose(blobs: Split) -> None:
    settings = (Setting(1e-9), Setting(0.1))
    steps = []
    outcome = fit_classifier(
        lambda split, generator: LogisticRegression(2, generator=generator),
        settings,
        None,
        blobs,
        0,
        Preset(1, 2, 10),
        lambda share, text: steps.append(share),
    )
    assert outcome.value > 0.9
    assert outcome.extras["setting"] == str(settings[1])
    assert outcome.n_parameters == 3
    assert steps == sorted(steps)
    assert steps[-1] == 1.0
    assert len(outcome.details["curves"]["validation_accuracy"]) == 10
    assert sum(map(sum, outcome.details["confusion"])) == len(blobs.test)


def test_nothing_is_chosen_on_the_test_part(blobs: Split) -> None:
    """Labels of the test part turned round must change the test value alone."""
    model = classifier("L", "classical", "", lambda s, g: LogisticRegression(2, generator=g), settings=(Setting(0.1),))
    turned = replace(blobs, test=Dataset(blobs.test.inputs, -blobs.test.labels))
    first, second = (model.train(split, 0, Preset(1, 1, 5), lambda share, text: None) for split in (blobs, turned))
    assert first.details["curves"] == second.details["curves"]
    assert first.value == pytest.approx(1.0 - second.value)


def test_the_confusion_matrix_counts_labels_in_rows() -> None:
    model = LogisticRegression(1)
    with torch.no_grad():
        model.linear.weight.fill_(1.0)
        model.linear.bias.fill_(0.0)
    data = Dataset(torch.tensor([[1.0], [1.0], [-1.0], [1.0]]), torch.tensor([1.0, 1.0, 1.0, -1.0]))
    assert confusion(model, data) == [[0, 1], [1, 2]]


def every_choice(task: Task) -> list[dict[str, Option]]:
    """All combinations of a task's options."""
    return [dict(zip(task.options, values, strict=True)) for values in product(*task.options.values())]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_every_trained_model_has_the_same_tuning_budget(task: Task) -> None:
    for options in every_choice(task):
        sizes = {len(model.settings) for model in task.models(options).values() if model.settings}
        assert sizes <= {max(preset.n_settings for preset in task.presets.values())}  # none where nothing is trained


@pytest.mark.parametrize("resolution", [4, 28])
def test_the_mlp_has_the_parameters_of_the_qnn_within_ten_per_cent(resolution: int) -> None:
    from qml.compare.tasks.digits import _mlp, _qnn

    inputs = torch.zeros(4, resolution**2)
    part = Dataset(inputs, torch.ones(4))
    split = Split(part, part, part)
    model = TASKS["digits"].models({"resolution": resolution})["mlp"]
    hidden = int(model.recipe.split("-")[1])
    generator = torch.Generator().manual_seed(0)
    qnn = count_parameters(_qnn(split, generator))
    assert qnn == 6 * resolution**2
    assert abs(count_parameters(_mlp(hidden, split, generator)) - qnn) <= 0.1 * qnn


def run_cell(task_name: str, model: str, preset: Preset, seed: int = 0) -> Outcome:
    task = find_task(task_name)
    options = {name: values[0] for name, values in task.options.items()}
    split = task.split(task.prepare(options), seed)
    return task.models(options)[model].train(split, seed, preset, lambda share, text: None)


@pytest.mark.parametrize("task", ["parity", "majority"])
def test_the_exact_circuit_makes_no_error(task: str) -> None:
    assert run_cell(task, "exact", Preset(1, 1, 1), seed=3).value == 1.0


def test_the_trained_majority_makes_no_error() -> None:
    assert run_cell("majority", "qnn", Preset(1, 1, 60)).value == 1.0


def test_the_qnn_learns_the_digits_on_17_qubits() -> None:
    outcome = run_cell("digits", "qnn", Preset(1, 1, 15))
    assert outcome.n_parameters == 96
    assert outcome.value > 0.96


@pytest.mark.parametrize("model", ["qkan", "kan", "mlp"])
def test_two_steps_fit_a_function_roughly(model: str) -> None:
    outcome = run_cell("functions", model, Preset(1, 0, 2))
    assert outcome.value < 0.5  # the mean of the squared values is above 3
    assert abs(outcome.n_parameters - 255) <= 2


@pytest.mark.parametrize("model", ["qkan-extended", "kan-extended", "mlp-large"])
def test_extended_models_have_equal_parameters_and_fit_better(model: str) -> None:
    outcome = run_cell("functions", model, Preset(1, 0, 1))
    assert outcome.value < 0.1
    assert abs(outcome.n_parameters - 1275) <= 2


def test_the_qnn_learns_a_label_of_states() -> None:
    assert run_cell("states", "qnn", Preset(1, 1, 10)).value > 0.9


def test_the_table_of_an_error_shows_median_and_range() -> None:
    task = find_task("functions")
    values = (1e-6, 4e-5, 2e-6)
    records = [
        Record("functions", "qkan", seed, "test_mse", Outcome(value, 255, 1.0)) for seed, value in enumerate(values)
    ]
    table = result_table(records, task.models({}), task.metric)
    cells = {str(column.header): list(column.cells) for column in table.columns}
    assert cells["test mse\nmedian"] == ["2e-06"]
    assert cells["range"] == ["1e-06 to 4e-05"]
    shares = result_table(records, task.models({}), Metric())
    assert [str(column.header) for column in shares.columns][3:5] == ["test accuracy", "95 % interval"]


@pytest.mark.parametrize("name", TASKS)
def test_the_sections_of_every_task_can_be_drawn(name: str) -> None:
    task = find_task(name)
    for options in every_choice(task):
        sections = task.sections(task.prepare(options), [], options)
        assert sections
        if name != "pinn":  # its figures are of solutions, and there is none yet
            assert all(section.figure is not None for section in sections)


def test_the_brick_circuit_learns_the_digits_on_121_qubits() -> None:
    outcome = run_cell("wide", "brick", Preset(1, 1, 3))
    assert outcome.n_parameters == 364
    assert outcome.value > 0.85
