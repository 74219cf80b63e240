import json
import subprocess
import sys
from pathlib import Path
from typing import Never

import pytest
from typer.testing import CliRunner, Result

import qml.bench
import qml.compare
from qml.commands.main import app
from qml.compare import TASKS

SMALL = ["compare", "majority", "--seeds", "2", "--models", "exact,logistic", "--preset", "demo", "--out"]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_comparison_prints_a_table_and_writes_its_files(tmp_path: Path) -> None:
    result = run(*SMALL, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "logistic" in result.output
    assert "95 % interval" in result.output
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "report.html",
        "results.jsonl",
        "settings.json",
    }


def test_the_same_command_resumes(tmp_path: Path) -> None:
    run(*SMALL, tmp_path)
    before = (tmp_path / "results.jsonl").read_text()
    result = run(*SMALL, tmp_path)
    assert "4 of 4 runs are in" in result.output
    assert (tmp_path / "results.jsonl").read_text() == before


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> Never:
        raise KeyboardInterrupt

    monkeypatch.setattr(qml.compare, "run_plan", interrupted)
    result = run(*SMALL, tmp_path)
    assert result.exit_code == 130
    assert result.stderr.strip().splitlines() == [
        f"Stopped. Finished runs are kept in {tmp_path}: the same command goes on from there."
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digit"], f"`task` must be one of {', '.join(TASKS)}, but is 'digit'"),
        (["digits", "--seeds", "0"], "`seeds` must be at least 1, but is 0"),
        (
            ["digits", "--models", "qnn,cnn"],
            "`models` must be one of qnn, logistic, mlp37, mlp for task 'digits 4', but is 'cnn'",
        ),
        (["digits", "--models", ","], "`models` must name at least one"),
        (["digits", "7"], "`resolution` must be one of 4, 28 for task 'digits', but is '7'"),
        (["digits", "28", "--models", "mlp37"], "one of qnn, logistic, mlp for task 'digits 28', but is 'mlp37'"),
        (["states", "4"], "must be 'states' alone, but 4 comes after it"),
        (
            ["digits", "--option", "scaler=leaking"],
            "`scaler` must be left out for task 'digits', which has `resolution`",
        ),
        (["digits", "--option", "resolution=4"], "`option` must not be 'resolution'"),
        (
            ["series", "--option", "scaler=none"],
            "`scaler` must be one of training, leaking for task 'series', but is 'none'",
        ),
        (["all", "--option", "scaler=leaking"], "`task` must be 'all' alone"),
        (["digits", "--preset", "quick"], "`preset` must be one of full, demo for task 'digits', but is 'quick'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("compare", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_an_option_of_a_task_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flag = ("--option", "scaler=leaking")
    monkeypatch.chdir(tmp_path)
    result = run("compare", "series", "bessel", *flag, "--models", "persistence", "--preset", "demo", "--seeds", "1")
    assert result.exit_code == 0, result.output
    settings = tmp_path / "runs" / "series-bessel-leaking-demo" / "settings.json"
    assert json.loads(settings.read_text(encoding="utf-8"))["scaler"] == "leaking"


def test_other_settings_in_the_folder_are_refused(tmp_path: Path) -> None:
    run(*SMALL, tmp_path)
    result = run("compare", "majority", "--models", "exact", "--seeds", "2", "--out", tmp_path)
    assert result.exit_code == 2
    assert "Name another folder with --out" in result.stderr


def test_an_option_that_is_no_number_is_refused() -> None:
    assert run("compare", "digits", "--seeds", "many").exit_code == 2


def test_the_bench_is_handed_its_choices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    heard = {}
    monkeypatch.setattr(qml.bench, "run", lambda name, **options: heard.update(name=name, **options))
    path = tmp_path / "rows.json"
    result = run("bench", "simulator", "--case", "8,64", "--peer", "qiskit", "--json", path)
    assert result.exit_code == 0, result.output
    assert heard == {"name": "simulator", "cases": ["8,64"], "peers": ["qiskit"], "json_path": path}
    run("bench", "simulator")
    assert heard == {"name": "simulator", "cases": None, "peers": None, "json_path": None}


def test_the_bench_refuses_in_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> Never:
        raise ImportError("Peer X needs x.")

    monkeypatch.setattr(qml.bench, "run", refuse)
    result = run("bench", "simulator")
    assert (result.exit_code, result.stderr) == (2, "qml: Peer X needs x.\n")


def test_help_and_version_answer() -> None:
    assert "compare" in run("--help").output
    assert run("--version").output.startswith("qml-circuits ")
    assert "compare" in run().output


def test_importing_the_command_line_imports_nothing_heavy_of_its_own() -> None:
    code = "import qml, sys; before = set(sys.modules); import qml.commands.main; print(*(set(sys.modules) - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert not roots & {"matplotlib", "numpy", "torch", "scipy", "sklearn", "mlxtend", "jinja2", "pennylane", "qiskit"}
    assert "qml.compare" not in loaded
