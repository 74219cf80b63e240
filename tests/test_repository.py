"""Rules of the whole repository: what imports load and where they go, what files may say, what the oracle may use."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Beside torch and NumPy themselves, all that layers and backends may load before one of them runs.
LIGHT = {"circuits", "jaxtyping", "qml", "wadler_lindig"}
# Parts of torch that `import torch` leaves alone and that take seconds.
HEAVY_TORCH = {"torch._dynamo", "torch._inductor", "torch.onnx", "torch.utils.tensorboard"}
# Docstrings that begin so are fragments, which only make sense once the signature is read.
FRAGMENTS = frozenset(
    {
        *("As", "By", "For", "From", "How", "It", "Its", "None", "Of", "One", "That", "They", "Those", "What", "Where"),
        *("Whether", "Which", "With", "Without"),
    }
)
# A folder of somebody's machine: the first part of an absolute path, not the middle of an address.
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}-])/(?:home|root|work|Users|opt)/\w")


def modules_added_by(statement: str) -> set[str]:
    """Full names of the modules that a statement loads in a process that has torch and NumPy already."""
    before, after = "import sys, numpy, torch\nold = set(sys.modules)", "print(*(set(sys.modules) - old))"
    command = [sys.executable, "-c", f"{before}\n{statement}\n{after}"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"`{statement}` failed:\n{done.stderr}"
    return set(done.stdout.split())


def assert_light(modules: Iterable[str]) -> None:
    """Fail where a module is neither of the standard library, nor torch or NumPy, nor on the list."""
    names = set(modules)
    allowed = LIGHT | {"numpy", "torch"} | sys.stdlib_module_names
    heavy = {name.partition(".")[0] for name in names} - allowed
    heavy |= names & HEAVY_TORCH
    listed = ", ".join(sorted(heavy))
    assert not heavy, f"An import loads more than it may: {listed}. Import these at first use."


def imported_packages(source: str) -> set[str]:
    """Top-level packages that a source file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(source)))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    absolute = (node for node in nodes if isinstance(node, ast.ImportFrom) and not node.level)
    names |= {str(node.module) for node in absolute}
    return {name.partition(".")[0] for name in names}


def private_imports(source: str, folder: Path) -> list[str]:
    """Names with an underscore that a file in a folder of ours imports from another folder of ours."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom | ast.Import)]
    full = {
        f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
        for node in nodes
        for alias in node.names
    }
    result = []
    for name in sorted(name for name in full if name.partition(".")[0] in ("circuits", "qml")):
        parts = name.split(".")
        hidden = [place for place, part in enumerate(parts) if part.startswith("_") and not part.startswith("__")]
        owner = ROOT.joinpath(*parts[: hidden[0]]) if hidden else ROOT
        owner = owner if owner.is_dir() else owner.parent
        result += [] if folder.is_relative_to(owner) else [name]
    return result


def fragments(source: str) -> list[str]:
    """Public names of a source file whose docstrings begin as fragments do."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, defined)]
    texts = [(node.name, ast.get_docstring(node) or "") for node in nodes if not node.name.startswith("_")]
    return [name for name, text in texts if FRAGMENTS & set(re.findall(r"\w+", text)[:1])]


def layers() -> list[list[str]]:
    """The layers that import-linter checks, from the lowest to the highest."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (listed,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[name.strip("() ") for name in layer.split("|")] for layer in reversed(listed)]


def lines_with_machine_paths(text: str) -> list[str]:
    """Lines of a text that name a folder of one machine."""
    return [line for line in text.splitlines() if MACHINE_PATH.search(line)]


def repository_files() -> list[Path]:
    """Files that are tracked, or that would be by `git add`."""
    # In continuous integration the clone may belong to another user, which git refuses by default.
    git = ["git", "-c", "safe.directory=*"]
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    done = subprocess.run([*git, *listing], capture_output=True, text=True, cwd=ROOT, check=True)
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_all_layers_and_backends_load_nothing_heavy() -> None:
    assert_light(modules_added_by("from qml.nn import *; from qml.backends import *"))


def test_all_of_circuits_loads_nothing_heavy() -> None:
    assert_light(modules_added_by("from circuits import *"))


def test_the_import_check_can_fail() -> None:
    with pytest.raises(AssertionError, match="loads more than it may: pygments, rich"):
        assert_light({"json", "qml.nn", "rich.table", "pygments"})
    with pytest.raises(AssertionError, match=r"torch\._dynamo"):
        assert_light({"torch._dynamo"})


def test_no_file_names_a_folder_of_one_machine() -> None:
    found = {
        str(path.relative_to(ROOT)): lines
        for path in repository_files()
        if (lines := lines_with_machine_paths(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert not found, f"Files name folders of one machine: {found}"


@pytest.mark.parametrize("folder", ["home", "root", "work"])
def test_the_path_check_can_fail(folder: str) -> None:
    line = f'DATA = "/{folder}/someone/data"'
    assert lines_with_machine_paths(f"import os\n{line}\n") == [line]
    assert not lines_with_machine_paths(f"https://example.org/{folder}/page and build/{folder}/x")


def test_the_oracle_shares_no_code_with_what_it_judges() -> None:
    oracle = ROOT / "tests" / "oracle.py"
    assert oracle.exists(), "tests/oracle.py is missing: the plain NumPy oracle that judges every backend."
    shared = imported_packages(oracle.read_text(encoding="utf-8")) & {"qml", "torch"}
    assert not shared, f"tests/oracle.py must be plain NumPy, but imports {sorted(shared)}."


def test_imported_packages_sees_every_form_of_import() -> None:
    source = "import a.b as c\nfrom d.e import f\nfrom . import g\ndef h():\n    import i\n"
    assert imported_packages(source) == {"a", "d", "i"}


def test_every_room_and_loose_file_is_in_a_layer() -> None:
    children = [path for path in (ROOT / "qml").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    rooms = {f"qml.{path.stem}" for path in children if path.stem != "__init__"} | {"circuits"}
    assert sorted(name for layer in layers() for name in layer) == sorted(rooms)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_texts_quote_the_order_of_imports_that_is_checked(name: str) -> None:
    order = " <- ".join(", ".join(layer) for layer in layers())
    text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    assert f"Imports go one way: `{order}`" in text, f"{name} must say: Imports go one way: `{order}`"


def test_no_folder_imports_what_another_one_hides() -> None:
    files = [path for package in ("circuits", "qml") for path in (ROOT / package).rglob("*.py")]
    hidden = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := private_imports(path.read_text(encoding="utf-8"), path.parent))
    }
    assert not hidden, f"Files import names with an underscore from other folders: {hidden}"


def test_the_check_of_private_imports_can_fail() -> None:
    source = "from qml.nn import _linear\nfrom qml.backends.resolve import _known\nimport circuits._checks as c\n"
    assert private_imports(source, ROOT / "qml" / "nn" / "qkan") == ["circuits._checks", "qml.backends.resolve._known"]
    assert private_imports(source, ROOT / "qml" / "backends") == ["circuits._checks", "qml.nn._linear"]
    assert private_imports("from qml.checks import __doc__\nfrom torch import _x", ROOT / "circuits") == []


def test_docstrings_are_sentences_and_no_fragments() -> None:
    files = [path for package in ("circuits", "qml") for path in sorted((ROOT / package).rglob("*.py"))]
    named = {str(path.relative_to(ROOT)): fragments(path.read_text(encoding="utf-8")) for path in files}
    found = {name: names for name, names in named.items() if names}
    assert not found, f"Docstrings must begin with a verb, those of classes with a noun, but these do not: {found}"


def test_the_check_of_docstrings_can_fail() -> None:
    source = 'def a():\n  """What it is."""\nclass B:\n  """`None` or a."""\n  def c(self):\n    """Return d."""\n'
    assert fragments(source) == ["a", "B"]
    assert fragments('def _a():\n  """What it is."""\ndef b():\n  """Whatever."""\ndef c():\n  pass\n') == []
