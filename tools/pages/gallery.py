"""The gallery: a thumbnail for each figure of the notebooks and of the pages with results."""

import html
import io
import re
from dataclasses import dataclass
from pathlib import Path

from tools.pages.notebooks import NotebookPage

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")
SIZE = (480, 320)  # pixels
OPENING = re.compile(r"<svg[^>]*>")
TALL = 0.65  # height by width beyond which a thumbnail shows the upper part, since the whole would be too small to read


@dataclass(frozen=True)
class Figure:
    """A figure of the site: addresses of its page and picture from the root, its caption, and whether it is tall."""

    page: str
    picture: str
    title: str
    caption: str
    tall: bool = False


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
                address = picture.relative_to(docs.resolve()).as_posix()
                found.append(Figure(page, address, title, caption, is_tall(picture)))
    return found


def is_tall(picture: Path) -> bool:
    """Tell whether the whole of an SVG picture would be too small to read in a thumbnail."""
    if picture.suffix != ".svg":
        return False
    opening = OPENING.search(picture.read_text(encoding="utf-8"))
    sides = dict(re.findall(r'\b(width|height)="([\d.]+)', opening[0] if opening else ""))
    return len(sides) == 2 and float(sides["height"]) > TALL * float(sides["width"])


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
        f'<a href="{root}{figure.page}"><span class="frame{" tall" if figure.tall else ""}">'
        f'<img src="{root}{figure.picture}" alt="{html.escape(figure.caption)}" loading="lazy"></span>'
        f'<span class="caption"><strong>{html.escape(figure.title)}</strong><br>'
        f"{html.escape(figure.caption)}</span></a>"
        for figure in figures
    ]
    return f'<div class="gallery">{"".join(entries)}</div>'
