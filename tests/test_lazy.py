"""Packages that load their names at first use: what each import loads, and that nothing else tells them from others."""

import importlib
import importlib.util
import pickle
import rlcompleter
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import qml
from circuits.lazy import load_at_first_use

ROOT = Path(__file__).parent.parent
LAZY = ("circuits", "qml", "qml.backends", "qml.jobs", "qml.nn", "qml.reservoir")
REST_OF_THE_HOUSE = ("analysis", "baselines", "bench", "commands", "compare", "data", "pinn", "remote")
OTHER_BACKENDS = ("aer", "convert", "ibm", "noisy_native", "pennylane", "primitives", "qiskit", "shift")


def printed_by(program: str) -> str:
    """Output of a program in a process of its own, in which nothing of ours is loaded."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, f"{program}\nfailed:\n{done.stderr}"
    return done.stdout


def our_modules_after(statement: str) -> set[str]:
    """Modules of this repository that a statement loads."""
    names = printed_by(f"{statement}\nimport sys\nprint(*sys.modules)").split()
    return {name for name in names if name.partition(".")[0] in ("circuits", "qml")}


def imported_for_types(package: str) -> list[str]:
    """Public names that the source of a package imports, for type checkers and for the documentation."""
    source = ROOT.joinpath(*package.split("."), "__init__.py").read_text(encoding="utf-8")
    return runpy.run_path(str(ROOT / "docs" / "hooks.py"))["_public_names"](source)


def test_import_qml_loads_nothing_of_it() -> None:
    assert our_modules_after("import qml") == {"circuits", "circuits.lazy", "qml"}
    assert our_modules_after("import circuits") == {"circuits", "circuits.lazy"}
    assert our_modules_after("import qml.nn") == {"circuits", "circuits.lazy", "qml", "qml.nn"}


def test_help_of_the_command_line_loads_neither_torch_nor_numpy() -> None:
    loaded = set(printed_by("import qml.commands.main\nimport sys\nprint(*sys.modules)").split())
    assert "typer" in loaded
    assert sorted(loaded & {"torch", "numpy", "pennylane", "qiskit"}) == []


@pytest.mark.parametrize(
    ("statement", "most", "unneeded"),
    [
        ("from circuits import Circuit", 18, {"circuits.openqasm", "circuits.feature_maps", "qml"}),
        ("from qml.jobs import Store", 25, {"circuits.circuit", "qml.jobs.runner", "qml.backends"}),
        ("from qml.backends import Native", 120, {"circuits.openqasm", "qml.nn", "qml.jobs", "qml.reservoir"}),
        ("from qml.nn import QuantumLayer", 41, {"circuits.openqasm", "qml.nn.qkan", "qml.jobs", "qml.simulator"}),
    ],
    ids=["circuit", "jobs", "backend", "layer"],
)
def test_a_name_loads_what_it_needs(statement: str, most: int, unneeded: set[str]) -> None:
    loaded = our_modules_after(statement)
    others = {f"qml.{room}" for room in REST_OF_THE_HOUSE} | {f"qml.backends.{name}" for name in OTHER_BACKENDS}
    assert sorted(loaded & (unneeded | others)) == []
    assert len(loaded) <= most


@pytest.mark.parametrize("package", LAZY)
def test_names_for_type_checkers_are_those_that_load(package: str) -> None:
    module = importlib.import_module(package)
    names = imported_for_types(package)
    assert sorted(names) == sorted(set(names)) == module.__all__
    assert set(names) <= set(dir(module))
    namespace: dict[str, Any] = {}
    exec(f"from {package} import *", namespace)
    assert {name: getattr(module, name) for name in names}.items() <= namespace.items()


def test_no_module_takes_the_place_of_a_name() -> None:
    program = f"""
import importlib, importlib.util
for package in {LAZY}:
    for name in importlib.import_module(package).__all__:
        module = f"{{package}}.{{name}}"
        if importlib.util.find_spec(module):
            importlib.import_module(module)
            print(module, type(getattr(importlib.import_module(package), name)).__name__)
"""
    kinds = dict(line.split() for line in printed_by(program).splitlines())
    assert kinds["qml.backends.resolve"] == "function"
    assert kinds["qml.nn"] == kinds["circuits.reservoir"] == "module"
    homes = {f"{package}.{name}" for package in ("circuits", "qml") for name in imported_for_types(package)}
    assert [name for name, kind in kinds.items() if kind == "module" and name not in homes] == []


def test_a_misspelt_name_is_refused_with_the_right_one() -> None:
    with pytest.raises(AttributeError, match=r"'qml.nn' has no attribute 'QuantumLayr'. Did you mean 'QuantumLayer'\?"):
        qml.nn.QuantumLayr  # noqa: B018
    with pytest.raises(AttributeError, match=r"'qml' has no attribute 'backend'. Did you mean 'backends'\?"):
        qml.backend  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'xyzzy'.$"):
        qml.jobs.xyzzy  # noqa: B018
    with pytest.raises(ImportError, match="QuantumLayr"):
        exec("from qml.nn import QuantumLayr")


def test_modules_of_a_package_are_its_attributes() -> None:
    program = "import qml\nprint(qml.nn.losses.__name__, qml.nn.qkan.layer.__name__, qml.backends.native.__name__)"
    assert printed_by(program).split() == ["qml.nn.losses", "qml.nn.qkan.layer", "qml.backends.native"]


def test_classes_are_pickled_by_the_module_that_defines_them() -> None:
    content = pickle.dumps([qml.nn.QuantumLayer, qml.backends.Native(), qml.jobs.Budget(jobs=3)])
    assert printed_by(f"import pickle\nprint(pickle.loads({content!r})[2].jobs)") == "3\n"


def test_tab_completion_sees_names_that_are_not_loaded_yet() -> None:
    completer = rlcompleter.Completer({"qml": qml})
    assert completer.complete("qml.nn.QuantumLa", 0) == "qml.nn.QuantumLayer("
    assert completer.complete("qml.rem", 0) == "qml.remote"


def test_a_name_is_kept_once_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("some_package")
    monkeypatch.setitem(sys.modules, "some_package", package)
    load, names = load_at_first_use("some_package", {"math": ("sqrt", "pi")})
    assert (load("__all__"), names()[-2:]) == (["pi", "sqrt"], ["pi", "sqrt"])
    assert load("sqrt")(9.0) == 3.0
    assert "sqrt" in vars(package)
    assert "pi" not in vars(package)
