"""Executes notebooks and keeps their outputs small: `python -m tools.notebooks [NAME ...]`, or all without a name.

Each notebook is read from its paired text, run in a new kernel in an empty folder, and written beside the text with
its outputs. What would change from run to run (counts, times, addresses in memory, random ids) is taken out, and
pictures are written as PNG with a palette, so that a review shows what has changed and nothing else.
"""

import argparse
import base64
import hashlib
import io
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "notebooks"
MAX_PICTURE = 100_000  # bytes
ADDRESS = re.compile(r" at 0x[0-9a-f]+")
LOCAL_PATH = re.compile(r"(?<![\w/.:])/(?:home|tmp|root|usr|work|var|mnt|opt|Users|private)/")
KEPT = (
    "image/svg+xml",
    "image/png",
    "text/html",
    "text/markdown",
    "text/plain",
)  # of each output, the first that is there
METADATA = {
    "jupytext": {"formats": "ipynb,py:percent"},
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
}


def main() -> None:
    """Execute the notebooks that are named, or all of them."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    arguments.add_argument("names", nargs="*", help="beginnings of file names, such as 04; all notebooks without any")
    names = tuple(arguments.parse_args().names)
    for text in sorted(FOLDER.glob("*.py")):
        if not names or text.name.startswith(names):
            started = time.monotonic()
            notebook = stripped(executed(text))
            found = faults(notebook)
            if found:
                sys.exit(f"{text.name}: {'; '.join(found)}")
            write(notebook, text.with_suffix(".ipynb"))
            size = text.with_suffix(".ipynb").stat().st_size
            sys.stdout.write(f"{text.stem}: {time.monotonic() - started:.0f} s, {size // 1000} kB\n")
            sys.stdout.flush()


def executed(text: Path) -> Any:
    """Run the cells of a paired text in a new kernel, in an empty folder."""
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(text)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(notebook, timeout=1800, kernel_name="python3", resources={"metadata": {"path": folder}})
        return client.execute()


def stripped(notebook: Any) -> Any:
    """Return the notebook without what changes from run to run."""
    for number, cell in enumerate(notebook.cells):
        cell["id"] = hashlib.sha256(f"{number} {cell.source}".encode()).hexdigest()[:8]
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [_output(output) for output in _joined(cell.outputs)]
    notebook.metadata.clear()
    notebook.metadata.update(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def faults(notebook: Any) -> list[str]:
    """Say what keeps a notebook from being committed: no outputs, errors, warnings, paths, large pictures."""
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    found = [] if outputs else ["it has no outputs"]
    for output in outputs:
        data = output.get("data", {})
        if output.output_type == "error":
            found.append(f"a cell ended with {output.ename}")
        if output.get("name") == "stderr":
            found.append(f"a cell wrote to stderr: {output.text[:200]!r}")
        if output.get("execution_count") is not None:
            found.append("a count of executions was kept")
        size = len(data.get("image/png", "")) * 3 // 4
        if size > MAX_PICTURE:
            found.append(f"a picture has {size} bytes, and {MAX_PICTURE} is the limit")
        words = output.get("text", "") + data.get("text/plain", "") + data.get("text/html", "")
        if LOCAL_PATH.search(words) or ADDRESS.search(words):
            found.append(f"an output names a path or an address of this machine: {words[:200]!r}")
        if "<Figure size" in words:
            found.append("a figure shows as words and not as a picture")
    return found


def write(notebook: Any, path: Path) -> None:
    """Write a notebook, with one newline at the end."""
    import nbformat

    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")


def _joined(outputs: list[Any]) -> list[Any]:
    """Return outputs with neighbouring pieces of one stream as one, since where a stream is cut is chance."""
    result: list[Any] = []
    for output in outputs:
        last = result[-1] if result else None
        if last is not None and output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            result.append(output)
    return result


def _output(output: Any) -> Any:
    if "execution_count" in output:
        output.execution_count = None
    if output.output_type == "stream":
        output.text = ADDRESS.sub("", output.text)
    data = output.get("data", {})
    first = next((kind for kind in KEPT if kind in data), None)
    for kind in [kind for kind in data if kind != first]:
        del data[kind]
    if data:
        output.metadata = {}
    if first == "image/png":
        data[first] = small_png(data[first])
    elif first in ("text/plain", "text/html"):
        data[first] = ADDRESS.sub("", data[first])
    return output


def small_png(encoded: str) -> str:
    """Return a picture in base64 as PNG with a palette of at most 256 colours and without metadata."""
    from PIL import Image

    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    ground = Image.new("RGBA", picture.size, "white")
    flat = Image.alpha_composite(ground, picture).convert("RGB")
    target = io.BytesIO()
    flat.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(target, "PNG", optimize=True)
    return base64.b64encode(target.getvalue()).decode() + "\n"


if __name__ == "__main__":
    main()
