"""The gallery: a thumbnail for each figure of the notebooks and of the pages with results."""

import html
import io
import re
from dataclasses import dataclass
from pathlib import Path

from tools.pages.notebooks import NotebookPage

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
SIZE = (480, 320)  # pixels


@dataclass(frozen=True)
class Figure:
    """A figure of the site: addresses of its page and picture from the root, and its caption."""

    page: str
    picture: str
    title: str
    caption: str


def figures_of_notebooks(pages: list[NotebookPage]) -> list[Figure]:
    """Return the figures of all notebooks, with thumbnails as pictures."""
    return [
        Figure(f"notebooks/{page.name}/", f"notebooks/{thumbnail_name(picture.name)}", page.title, picture.heading)
        for page in pages
        for picture in page.pictures
    ]


def figures_of_pages(docs: Path, folder: str) -> list[Figure]:
    """Return the figures that the pages of a folder show."""
    found: list[Figure] = []
    for path in sorted((docs / folder).glob("*.md")):
        text = path.read_text(encoding="utf-8")
        title = text.partition("\n")[0].lstrip("# ")
        page = f"{folder}/" if path.stem == "index" else f"{folder}/{path.stem}/"
        for caption, target in IMAGE.findall(text):
            picture = (path.parent / target).resolve()
            if picture.is_file():
                found.append(Figure(page, picture.relative_to(docs.resolve()).as_posix(), title, caption))
    return found


def thumbnail_name(name: str) -> str:
    """Return the name of a picture's thumbnail."""
    return name if name.endswith(".svg") else f"small-{name}"


def thumbnail(content: bytes) -> bytes:
    """Return a PNG picture that fits into a thumbnail."""
    from PIL import Image

    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.thumbnail(SIZE, Image.Resampling.LANCZOS)
    target = io.BytesIO()
    picture.quantize(128).save(target, "PNG", optimize=True)
    return target.getvalue()


def as_html(figures: list[Figure], root: str) -> str:
    """Return the gallery, its addresses relative to `root`, the way from the page to the site's root."""
    entries = [
        f'<a href="{root}{figure.page}"><span class="frame">'
        f'<img src="{root}{figure.picture}" alt="{html.escape(figure.caption)}" loading="lazy"></span>'
        f'<span class="caption"><strong>{html.escape(figure.title)}</strong><br>'
        f"{html.escape(figure.caption)}</span></a>"
        for figure in figures
    ]
    return f'<div class="gallery">{"".join(entries)}</div>'
