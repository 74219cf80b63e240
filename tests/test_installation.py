"""The version, and the error where another distribution named circuits has taken the place of ours."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import qml
from qml.installation import foreign_circuits

ROOT = Path(__file__).parent.parent


def imported_with(*folders: Path, statement: str = "import qml") -> subprocess.CompletedProcess[str]:
    """Run a statement with the folders on the path and nothing that is installed."""
    program = f"import sys\nsys.path[:0] = {[str(folder) for folder in folders]}\n{statement}"
    command = [sys.executable, "-I", "-S", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, cwd=folders[0], check=False)


def test_a_foreign_circuits_is_named_with_the_way_to_mend_it(tmp_path: Path) -> None:
    package = tmp_path / "circuits"
    package.mkdir()
    package.joinpath("__init__.py").write_text("class Component: pass\n", encoding="utf-8")
    done = imported_with(tmp_path, ROOT)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"ImportError: Package `circuits` must be the one that comes with qml-circuits, but is {package}"
    )
    assert "pip uninstall circuits; pip install --force-reinstall --no-deps qml-circuits" in last


def test_a_circuits_that_was_partly_overwritten_is_found_too(tmp_path: Path) -> None:
    for package in ("circuits", "qml"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    own = imported_with(tmp_path, statement="import circuits, qml.nn; print(circuits.__file__, qml.__version__)")
    assert own.stdout.startswith(str(tmp_path)), own.stderr
    assert own.stdout.endswith(" 0+unknown\n")
    tmp_path.joinpath("circuits", "__init__.py").write_text("class Component: pass\n", encoding="utf-8")
    assert "Another distribution named circuits" in imported_with(tmp_path).stderr
    tmp_path.joinpath("circuits", "__init__.py").unlink()  # as `pip uninstall circuits` leaves it
    assert "but is a folder without our files" in imported_with(tmp_path).stderr


def test_the_error_says_where_circuits_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert re.search("qml-circuits, but is missing. Another", str(foreign_circuits()))
    assert foreign_circuits().name == "circuits"


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert qml.__version__ == version("qml-circuits")


def test_changelog_citation_and_fallback_name_one_release() -> None:
    released = re.findall(
        r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", citation, re.MULTILINE) == [released[0][0]]
    assert re.findall(r"^date-released: (.+)$", citation, re.MULTILINE) == [released[0][1]]
    with (ROOT / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["raw-options"]["fallback_version"] == released[0][0]
    assert sorted(released, reverse=True) == released
