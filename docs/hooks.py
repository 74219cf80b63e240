"""Code that mkdocs runs: entries of API pages, notebooks, formulas, drawings, the gallery, and a check of every page.

Pages and docstrings write expectation values as <Z>, which Markdown takes for a tag that browsers then leave out,
and shapes as (2**n, 2**n), whose stars it takes for bold type. Neither has HTML on purpose, so that here Markdown
knows none.
"""

import ast
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:] = [
    str(ROOT),
    *[path for path in sys.path if path != str(ROOT)],
]  # mkdocs puts its own back after reading this
DOCS = ROOT / "docs"

from tools.pages import drawings, formulas, gallery, notebooks  # noqa: E402

GALLERY = "{{ gallery }}"
OPERATOR = r"(?<=[\w)\]|])(\*{1,2})(?=[\w(|-])"  # times or to the power of
DOCTEST = re.compile(r"( *)>>> ")
ELEMENTS = frozenset(  # of HTML and of pictures, as far as pages have them
    {
        *("a", "abbr", "article", "aside", "b", "base", "blockquote", "body", "br", "button", "caption", "circle"),
        *("code", "dd", "defs", "del", "details", "div", "dl", "dt", "em", "figcaption", "figure", "footer", "form"),
        *("g", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr", "html", "i", "img", "input", "ins", "kbd"),
        *("label", "li", "line", "link", "main", "meta", "nav", "noscript", "ol", "p", "path", "pre", "rect", "script"),
        *("section", "small", "span", "strong", "style", "sub", "summary", "sup", "svg", "table", "tbody", "td"),
        *("template", "text", "th", "thead", "title", "tr", "ul", "use"),
        *("math", "mfrac", "mi", "mn", "mo", "mover", "mroot", "mrow", "mspace", "msqrt", "mstyle", "msub", "msubsup"),
        *("msup", "mtable", "mtd", "mtext", "mtr", "munder", "munderover", "mpadded", "mphantom", "semantics"),
    }
)


def on_config(config: Any) -> Any:
    """Read pages and docstrings as Markdown that knows formulas and examples."""
    config.markdown_extensions.append(plain_markdown())
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Add a page for each notebook, the notebook itself, its pictures and their thumbnails."""
    from mkdocs.structure.files import File

    for page in notebooks.notebook_pages():
        files.append(File.generated(config, f"notebooks/{page.name}.md", content=page.markdown))
        source = notebooks.FOLDER / f"{page.name}.ipynb"
        files.append(File.generated(config, f"notebooks/{page.name}.ipynb", content=source.read_bytes()))
        for picture in page.pictures:
            files.append(File.generated(config, f"notebooks/{picture.name}", content=picture.content))
            small = gallery.thumbnail_name(picture.name)
            if small != picture.name:
                content = gallery.thumbnail(picture.content)
                files.append(File.generated(config, f"notebooks/{small}", content=content))
    return files


def on_page_markdown(markdown: str, **others: Any) -> str:
    """Put an entry for each public name where a page asks for them."""
    return re.sub(r"\{\{ public names of ([\w.]+) \}\}", lambda match: _entries(match[1]), markdown)


def on_page_content(content: str, *, page: Any, **others: Any) -> str:
    """Put the gallery where a page asks for it."""
    if GALLERY not in content:
        return content
    figures = gallery.figures_of_pages(DOCS, "results") + gallery.figures_of_notebooks(notebooks.notebook_pages())
    return content.replace(f"<p>{GALLERY}</p>", gallery.as_html(figures, "../" * page.url.count("/")))


def on_post_page(output: str, *, page: Any, **others: Any) -> str:
    """Refuse a page that lost something in angle brackets."""
    lost = unknown_tags(output)
    if lost:
        raise ValueError(f"A page must hold elements of HTML only, but {page.file.src_uri} has {', '.join(lost)}.")
    return output


def plain_markdown() -> Any:
    """Extend Markdown: <Z> and a**b are text, $a$ is a formula, >>> begins code, and drawn circuits are pictures."""
    # Imported here, because the tests read this file without what builds the documentation.
    from markdown.extensions import Extension
    from markdown.inlinepatterns import InlineProcessor
    from markdown.preprocessors import Preprocessor

    class Operators(InlineProcessor):
        def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
            return m[1], m.start(), m.end()

    class Examples(Preprocessor):
        def run(self, lines: list[str]) -> list[str]:
            return fenced_examples(lines)

    class Formulas(InlineProcessor):
        def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
            return self.md.htmlStash.store(formulas.mathml(m[1])), m.start(), m.end()

    class Blocks(Preprocessor):
        def run(self, lines: list[str]) -> list[str]:
            text, pictures = drawings.with_pictures("\n".join(lines))
            lines = text.split("\n")
            for number, picture in enumerate(pictures):
                lines[lines.index(drawings.PLACEHOLDER.format(number))] = self.md.htmlStash.store(picture)
            result = []
            for part in formulas.split_blocks(lines):
                result += [part] if isinstance(part, str) else ["", part[0] + self._formula(part[1]), ""]
            return result

        def _formula(self, source: str) -> str:
            return self.md.htmlStash.store(f'<div class="formula">{formulas.mathml(source, block=True)}</div>')

    class PlainMarkdown(Extension):
        def extendMarkdown(self, md: Any) -> None:
            md.preprocessors.deregister("html_block")
            md.inlinePatterns.deregister("html")
            md.inlinePatterns.register(Operators(OPERATOR, md), "operators", 65)  # before emphasis, which has 60
            md.inlinePatterns.register(Formulas(formulas.INLINE, md), "formulas", 185)  # after code, before escapes
            md.preprocessors.register(Blocks(md), "blocks", 29)
            md.preprocessors.register(Examples(md), "examples", 28)  # before fenced code, which has 25

    return PlainMarkdown()


def fenced_examples(lines: list[str]) -> list[str]:
    """The lines with a fence around each example that begins with >>> and ends with an empty line."""
    result, indent, fence = [], None, ""
    for line in [*lines, ""]:
        if re.match(r" *(```|~~~)", line) and indent is None:
            fence = "" if fence else line.strip()[:3]
        match = DOCTEST.match(line)
        if match and indent is None and not fence and len(match[1]) < 4:  # four spaces are code already
            indent = match[1]
            result.append(f"{indent}```pycon")
        if indent is not None and not line.strip():
            result.append(f"{indent}```")
            indent = None
        result.append("" if line.strip() == "<BLANKLINE>" and indent is not None else line)
    return result[:-1] if result[-1] == "" else result


def unknown_tags(html: str) -> list[str]:
    """The tags of a page that are none of HTML."""
    found: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ELEMENTS:
                found.append(self.get_starttag_text() or tag)

    Tags().feed(html)
    return found


def _entries(package: str) -> str:
    names = _public_names(ROOT.joinpath(*package.split("."), "__init__.py").read_text(encoding="utf-8"))
    if not names:
        raise ValueError(f"A page of the reference must be of a package with public names, but {package} has none.")
    return "\n\n".join(f"::: {package}.{name}" for name in names)


def _public_names(source: str) -> list[str]:
    """Return names that are imported `as` themselves or are in `__all__`, in the order of the imports.

    A package that loads its names at first use imports them below `if TYPE_CHECKING`.
    """
    top = ast.parse(source).body
    body = [node for outer in top for node in (outer.body if isinstance(outer, ast.If) else [outer])]
    listed = [
        ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    wanted = set(listed[0]) if listed else set()
    imported = [alias for node in body if isinstance(node, ast.ImportFrom) for alias in node.names]
    return [alias.name for alias in imported if alias.asname == alias.name or alias.name in wanted]
