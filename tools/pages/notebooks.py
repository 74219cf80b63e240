"""Notebooks as pages: cells become Markdown, outputs text and pictures, as they stand in the repository.

Nothing is executed here: `python -m tools.notebooks` does that, and the outputs are committed.
"""

import base64
import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "notebooks"
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Picture:
    """A picture among the outputs of a notebook: the name of its file, its bytes, and the heading above it."""

    name: str
    content: bytes
    heading: str


@dataclass(frozen=True)
class NotebookPage:
    """A notebook as a page: its name and title, its text in Markdown, and its pictures."""

    name: str
    title: str
    markdown: str
    pictures: tuple[Picture, ...]


def notebook_pages() -> list[NotebookPage]:
    """Return every notebook of the repository as a page."""
    return [page_of(path) for path in sorted(FOLDER.glob("*.ipynb"))]


@functools.cache
def page_of(path: Path) -> NotebookPage:
    """Return one notebook as a page."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    parts: list[str] = []
    pictures: list[Picture] = []
    title = heading = path.stem
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            found = HEADING.findall(source)
            if found and title == path.stem:
                title = found[0]
                source = f"{HEADING.search(source)[0]}\n\n{_note(path.stem)}\n\n{HEADING.sub('', source, count=1)}"  # pyright: ignore[reportOptionalSubscript]
            heading = found[-1] if found else heading
            parts.append(source)
        elif cell["cell_type"] == "code" and source:
            parts.append(f"```py\n{source}\n```")
            parts += [_shown(output, path.stem, heading, pictures) for output in cell["outputs"]]
    return NotebookPage(path.stem, title, "\n\n".join(part for part in parts if part) + "\n", tuple(pictures))


def _note(name: str) -> str:
    return (
        f'!!! note "A notebook"\n\n    This page is the notebook `notebooks/{name}.ipynb` with the outputs of a run. '
        f"[Download it]({name}.ipynb) to run it yourself."
    )


def _shown(output: dict[str, Any], name: str, heading: str, pictures: list[Picture]) -> str:
    data = output.get("data", {})
    for kind, ending in (("image/svg+xml", "svg"), ("image/png", "png")):
        if kind in data:
            text = "".join(data[kind])
            content = text.encode() if ending == "svg" else base64.b64decode(text)
            pictures.append(Picture(f"{name}-{len(pictures) + 1}.{ending}", content, heading))
            return f"![{heading}]({pictures[-1].name})"
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    text = "".join(output.get("text", data.get("text/plain", "")))
    return f"```text\n{text.rstrip()}\n```" if text.strip() else ""
