"""Notebooks and their paired text say the same; pytest runs the notebooks themselves, with what they assert."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
TEXTS = sorted(FOLDER.glob("*.py"))


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_notebook_and_text_are_a_pair(text: Path) -> None:
    import jupytext

    pairs = [
        [(cell.cell_type, cell.source) for cell in jupytext.read(path).cells] for path in (text, notebook_of(text))
    ]
    assert pairs[0] == pairs[1], f"Run: jupytext --sync {text.name}"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_notebook_asserts_its_numbers_and_keeps_no_outputs(text: Path) -> None:
    import nbformat

    notebook = nbformat.read(notebook_of(text), as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any("assert " in cell.source for cell in code)
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_every_notebook_has_a_text() -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == {path.stem for path in TEXTS}


def notebook_of(text: Path) -> Path:
    return text.with_suffix(".ipynb")
