"""What the command line says before it does anything: lists, help after a name, dry runs; and reports made again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import qml.bench
import qml.compare
from qml.bench import BENCHES
from qml.compare import TASKS, Preset, find_task, make_plan, rough_times
from qml.compare.listing import first_sentence
from qml.compare.rough_times import rough_seconds, show_seconds
from tests.test_cli import SMALL, run


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_without_a_task_all_are_listed() -> None:
    result = run("compare")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    for name, task in TASKS.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert task.title.split()[0] in line
    assert "xor memory letters dna10 dna50 dna100" in result.output
    (digits,) = [line for line in lines if line.startswith("digits ")]
    assert "about" in digits
    assert run("compare", "all", "--help").output == run("compare", "--help").output


def test_help_after_a_task_tells_its_models_and_options() -> None:
    result = run("compare", "series", "--help")
    assert result.exit_code == 0, result.output
    task = find_task("series")
    for name in (*make_plan(task).models, *task.presets):
        assert f"\n{name} " in result.output
    assert "--option scaler=VALUE: training leaking; training if not given" in result.output
    assert "series: pendulum bessel" in result.output
    assert "scaler" not in run("compare", "--help").output
    assert "scaler" not in run("compare", "digits", "--help").output
    assert run("compare", "digit", "--help").exit_code == 2


def test_each_subject_takes_the_models_that_it_has() -> None:
    shown = run("compare", "pinn", "poisson", "kdv", "--models", "process,mlp,windows", "--dry-run").output
    (first,), (second,) = (
        [line for line in shown.splitlines() if f"pinn {name} " in line] for name in ("poisson", "kdv")
    )
    assert "process" in first
    assert "windows" not in first
    assert "windows" in second
    assert "process" not in second
    for wanted, said in (("mlp,nosuch", "but is 'nosuch'"), ("windows", "for task 'pinn poisson', but is 'windows'")):
        result = run("compare", "pinn", "poisson", "kdv", "--models", wanted, "--dry-run")
        assert result.exit_code == 2
        assert said in result.stderr


def test_help_after_a_subject_tells_the_models_of_that_subject() -> None:
    usual, named = (run("compare", "pinn", *subject, "--help").output for subject in ((), ("kdv",)))
    assert "The models are those of infinite-well; name a problem before --help for its own." in " ".join(usual.split())
    assert "The models are those of kdv." in named
    for name in ("windows", "attention", "mlp-causal"):
        assert f"\n{name} " in named
        assert f"\n{name} " not in usual
    several = run("compare", "pinn", "helmholtz", "kdv", "--help").output
    assert "\nwindows " in several
    assert "\nprocess " in several
    assert run("compare", "pinn", "kd", "--help").exit_code == 2


def test_a_dry_run_trains_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("compare", "majority", "--seeds", "3", "--models", "exact,logistic", "--dry-run")
    assert result.exit_code == 0, result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("majority")]
    assert line.split()[:9] == ["majority", "(full)", "exact", "logistic", "3", "0", "6", "4", "100"]
    assert "Nothing was trained" in result.output
    assert not list(tmp_path.iterdir())
    assert run("compare", "majority", "--models", "nobody", "--dry-run").exit_code == 2


def test_a_dry_run_counts_what_is_there(tmp_path: Path) -> None:
    run(*SMALL, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    result = run(*SMALL, tmp_path, "--dry-run", "--seeds", "5")
    assert "exact logistic  5      4                6 " in result.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    other = run("compare", "majority", "--out", tmp_path, "--dry-run")
    assert (other.exit_code, len(other.stderr.splitlines())) == (2, 1)
    assert "holds results of other settings" in other.stderr


def test_a_dry_run_of_all_tasks_sums_up() -> None:
    result = run("compare", "all", "--preset", "demo", "--dry-run", "--out", "nowhere")
    assert result.exit_code == 0, result.output
    assert "All together: " in result.output
    assert not Path("nowhere").exists()


def test_times_are_scaled_by_cells_settings_and_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    task = find_task("majority")
    monkeypatch.setattr(rough_times, "DEMO_SECONDS", {"majority": 12.0})
    demo, full = (make_plan(task, preset=preset, n_seeds=1) for preset in ("demo", "full"))
    assert task.presets["demo"] == Preset(5, 2, 60)
    assert rough_seconds(demo, 6) == 12.0
    assert rough_seconds(full, 3) == pytest.approx(12.0 / 2 * (4 * 100) / (2 * 60))
    monkeypatch.setattr(rough_times, "DEMO_SECONDS", {})
    assert rough_seconds(demo, 6) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "not known"), (0.2, "about 1 s"), (43.0, "about 40 s"), (55.0, "about 0.9 min"), (700.0, "about 10 min"),
     (3500.0, "about 1 h"), (90000.0, "about 20 h")],
)  # fmt: skip
def test_rough_times_have_one_figure(seconds: float | None, words: str) -> None:
    assert show_seconds(seconds) == words


def test_a_first_sentence_ends_where_the_next_begins() -> None:
    assert first_sentence("As in arXiv 2512.05049, e.g. this. The rest.") == "As in arXiv 2512.05049, e.g. this."
    assert first_sentence("Is it even? Yes") == "Is it even?"


def test_benches_are_listed_and_explained() -> None:
    listed = run("bench").output
    assert all(f"\n{name} " in listed for name in BENCHES)
    told = run("bench", "qrnn", "--help")
    assert told.exit_code == 0
    assert "einsum" in told.output
    assert "4,1,1,2,2,16,20" in told.output
    assert "--json" in run("bench", "--help").output
    assert run("bench", "nosuch", "--help").stderr.startswith("qml: Argument `name` must be one of simulator")


def test_a_dry_bench_times_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qml.bench, "run", lambda *arguments, **options: pytest.fail("it ran"))
    result = run("bench", "simulator", "--case", "8,64", "--peer", "qiskit", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "8,64" in result.output
    assert "10,64" not in result.output
    assert "Nothing was timed." in result.output
    assert run("bench", "simulator", "--case", "none", "--dry-run").exit_code == 2


def test_a_report_is_made_again_from_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(*SMALL, tmp_path)
    records = (tmp_path / "results.jsonl").read_bytes()
    (tmp_path / "report.html").unlink()
    monkeypatch.setattr(qml.compare, "run_plan", lambda *arguments: pytest.fail("it trained"))
    result = run("report", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.strip() in first.output  # the same table and verdict
    assert "logistic" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "results.jsonl").read_bytes() == records


def test_a_report_takes_the_seeds_that_all_models_finished(tmp_path: Path) -> None:
    run(*SMALL, tmp_path)
    lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (tmp_path / "results.jsonl").write_text("".join(lines[:3]), encoding="utf-8")
    result = run("report", tmp_path)
    assert result.exit_code == 0, result.output
    (tmp_path / "results.jsonl").write_text("", encoding="utf-8")
    assert "holds none. Go on with the same `qml compare`" in run("report", tmp_path).stderr


def test_reports_of_a_folder_of_folders_have_an_overview(tmp_path: Path) -> None:
    for task in ("majority", "parity"):
        arguments = ["--seeds", "2", "--models", "exact,logistic", "--preset", "demo", "--out", tmp_path / task]
        assert run("compare", task, *arguments).exit_code == 0
    result = run("report", tmp_path)
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "majority",
        "parity",
        "overview.html",
        "summary.json",
        "summary.md",
    }


def test_a_report_of_nothing_is_refused(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        result = run("report", folder)
        assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
        assert "that `qml compare` wrote" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compar"], "qml: No such command 'compar'."),
        (["compare", "digits", "--scaler", "leaking"], "qml: No such option: --scaler"),
        (["compare", "digits", "--seeds", "many"], "qml: Invalid value for '--seeds'"),
        (["submit"], "qml: Missing argument"),
        (["bench", "simulator", "extra"], "qml: Got unexpected extra argument"),
        (["jobs", "status"], "qml: Missing argument"),
    ],
)
def test_mistyped_commands_are_refused_in_one_line(arguments: list[str], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(message)
    assert len(result.stderr.splitlines()) == 1
    assert " --help`.\n" in result.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [("qml comp", "compare"), ("qml compare sequence", "sequence-digits"), ("qml bench q", "qrnn"),
     ("qml compare digits --preset d", "demo")],
)  # fmt: skip
def test_a_shell_completes_names(words: str, offered: str) -> None:
    code = "from qml.commands.main import app; app(prog_name='qml')"
    told = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1), "_QML_COMPLETE": "complete_bash"}
    command, environment = [sys.executable, "-c", code], dict(os.environ) | told
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert offered in answer.stdout.split(), answer.stderr
