"""Installs the wheel of a folder into a clean environment, and uses it: `python -m tools.try_wheel FOLDER`.

The environment sees the dependencies of the running Python, but neither the source nor an editable installation, and
the programs run in an empty folder.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

LAYER = """
import torch, circuits, qml
from qml.nn import QNNClassifier
layer = QNNClassifier(3, "zx", generator=torch.Generator().manual_seed(0))
layer(torch.rand(4, 3)).sum().backward()
if not all(torch.isfinite(weights.grad).all() for weights in layer.parameters()):
    raise ValueError("A gradient of the installed layer is not finite.")
print(circuits.__file__, qml.__file__, qml.__version__, sep="\\n")
"""


def main(folder: Path) -> None:
    (wheel,) = folder.resolve().glob("*.whl")
    with tempfile.TemporaryDirectory() as made:
        clean, empty = Path(made, "venv"), Path(made, "empty")
        empty.mkdir()
        python = clean_environment(clean, wheel)
        *files, version = output_of([python, "-I", "-c", LAYER], empty).split("\n")
        if not all(Path(file).is_relative_to(clean) for file in files):
            raise ValueError(f"The packages must be those of the wheel, but are {' and '.join(files)}.")
        if wheel.name.split("-")[1] != version.replace("-", "_"):
            raise ValueError(f"The version must be that of {wheel.name}, but is {version}.")
        shown = output_of([python.with_name(f"qml{python.suffix}"), "--version"], empty)
        if shown != f"qml-circuits {version}":
            raise ValueError(f"`qml --version` must say qml-circuits {version}, but says {shown}.")
    sys.stdout.write(f"{wheel.name} installs, imports, trains a layer and answers: {shown}.\n")


def clean_environment(folder: Path, wheel: Path) -> Path:
    """Make an environment with the wheel and the dependencies that are installed here, and return its Python."""
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # Folders alone: the files .pth in them, such as those of editable installations, are not read then.
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=paths))
    dependencies = [path for path in sys.path if Path(path).name in {"site-packages", "dist-packages"}]
    packages.joinpath("dependencies.pth").write_text("\n".join(dependencies) + "\n", encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check"]
    output_of([*pip, "--no-deps", "--no-index", "--force-reinstall", wheel], folder)
    return python


def output_of(command: list[str | Path], folder: Path) -> str:
    """Return what a command prints in a folder; an error of the command is shown and ends this program."""
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
