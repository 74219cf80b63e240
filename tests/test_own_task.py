"""The task of the documentation, installed as somebody else's package."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_cli import run

PAGE = Path(__file__).parent.parent / "docs" / "own-task.md"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder where the package of the page is installed as its own text says."""
    text = PAGE.read_text(encoding="utf-8")
    module, points = (re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in ("python", "toml"))
    package = tmp_path / "my_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "ring.py").write_text(module[: module.index("records = run_plan")], encoding="utf-8")
    information = tmp_path / "my_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    entry = points.replace('[project.entry-points."qml.tasks"]', "[qml.tasks]").replace('"', "")
    (information / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    yield tmp_path
    for name in ("my_package", "my_package.ring"):
        sys.modules.pop(name, None)


@pytest.mark.slow
def test_the_task_of_the_page_is_listed_explained_and_compared(installed: Path) -> None:
    assert "Inside of a ring?" in run("compare").output
    assert "One qubit, both features uploaded three times." in run("compare", "ring", "--help").output
    assert "not known" in run("compare", "ring", "--dry-run").output
    result = run("compare", "ring", "--preset", "demo", "--out", installed / "out")
    assert result.exit_code == 0, result.output
    assert "Logistic regression" in (installed / "out" / "report.html").read_text(encoding="utf-8")
