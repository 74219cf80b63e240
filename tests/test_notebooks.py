"""Notebooks and their paired text say the same, with outputs fit to read; pytest runs the notebooks themselves."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest

from tools import notebooks

FOLDER = Path(__file__).parent.parent / "notebooks"
TEXTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_notebook_and_text_are_a_pair(text: Path) -> None:
    import jupytext

    pairs = [
        [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells] for path in (text, notebook_of(text))
    ]
    assert pairs[0] == pairs[1], f"Run: python -m tools.notebooks {text.stem[:2]}"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_notebook_asserts_its_numbers_and_shows_its_outputs(text: Path) -> None:
    import nbformat

    notebook = nbformat.read(notebook_of(text), as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any("assert " in cell.source for cell in code)
    assert not any(cell.execution_count for cell in code)
    assert notebooks.faults(notebook) == []


def test_every_notebook_has_a_text() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {path.stem for path in TEXTS}


def notebook_of(text: Path) -> Path:
    return text.with_suffix(".ipynb")


def made(*outputs: dict[str, Any]) -> Any:
    from nbformat.v4 import new_code_cell, new_notebook, output_from_msg

    kinds = {"data": "display_data", "name": "stream", "ename": "error"}
    messages = [
        {"header": {"msg_type": kinds[next(key for key in kinds if key in output)]}, "content": output}
        for output in outputs
    ]
    return new_notebook(cells=[new_code_cell("1", outputs=[output_from_msg(message) for message in messages])])


@pytest.mark.parametrize(
    ("output", "fault"),
    [
        ({"name": "stderr", "text": "a warning"}, "a cell wrote to stderr: 'a warning'"),
        ({"name": "stdout", "text": "in /" + "home/someone/file"}, "names a path or an address"),
        ({"name": "stdout", "text": "<thing at 0x7f00>"}, "names a path or an address"),
        ({"ename": "ValueError", "evalue": "", "traceback": []}, "a cell ended with ValueError"),
        ({"data": {"text/plain": "<Figure size 930x186 with 1 Axes>"}, "metadata": {}}, "shows as words"),
        ({"data": {"image/png": "A" * 140_000}, "metadata": {}}, "a picture has 105000 bytes"),
    ],
)
def test_outputs_that_are_not_fit_to_commit_are_named(output: dict[str, Any], fault: str) -> None:
    assert fault in "".join(notebooks.faults(made(output)))
    assert notebooks.faults(made()) == ["it has no outputs"]
    assert notebooks.faults(made({"name": "stdout", "text": "0.5 of 1/2, see https://a.org/home/b"})) == []


def test_what_changes_from_run_to_run_is_taken_out() -> None:
    notebook = made(
        {"name": "stdout", "text": "first\n"},
        {"name": "stdout", "text": "<thing at 0x7f00>\n"},
        {"data": {"text/plain": "<Figure>", "image/png": png((1800, 900))}, "metadata": {"volatile": 1}},
    )
    notebook.cells[0].metadata["execution"] = {"time": "now"}
    notebook.cells[0].execution_count = 7
    stripped = notebooks.stripped(notebook)
    stream, picture = stripped.cells[0].outputs
    assert stream.text == "first\n<thing>\n"
    assert list(picture.data) == ["image/png"]
    assert picture.metadata == {}
    assert stripped.cells[0].metadata == {}
    assert stripped.cells[0].execution_count is None
    assert stripped.metadata == notebooks.METADATA


def test_pictures_become_small_and_keep_their_size() -> None:
    from PIL import Image

    small = notebooks.small_png(png((300, 200)))
    picture = Image.open(io.BytesIO(base64.b64decode(small)))
    assert picture.size == (300, 200)
    assert picture.mode == "P"
    assert picture.info.get("Software") is None
    assert notebooks.small_png(small) == small


def png(size: tuple[int, int]) -> str:
    from PIL import Image, PngImagePlugin

    notes = PngImagePlugin.PngInfo()
    notes.add_text("Software", "volatile")
    target = io.BytesIO()
    Image.new("RGBA", size, (200, 10, 10, 255)).save(target, "PNG", pnginfo=notes)
    return base64.b64encode(target.getvalue()).decode()
