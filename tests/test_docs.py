"""Every block of Python in the README and the documentation runs, and prints what it says and what stands below it."""

import ast
import html
import importlib
import pkgutil
import re
import runpy
import types
from pathlib import Path
from typing import Any

import pytest

from circuits import data, feature_maps
from circuits.multiplexed import prepare_by_rotations

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LAYER_PAGES = sorted((DOCS / "layers").glob("*.md"))
PARTS = ("Circuit", "Equations", "Shapes", "Cost", "Reference")
NEIGHBOURS = ("accelerate", "huggingface_hub", "lightning", "skorch", "squlearn", "torch.utils.tensorboard")
"""Packages of the extras `neighbours` and `peers`; blocks that import one run where it is installed."""
BLOCK = re.compile(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", re.DOTALL)  # and the output shown behind it


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _blocks(pages: list[Path]) -> list[Any]:
    return [
        pytest.param(*match.groups(), id=f"{page.relative_to(ROOT)} {number}")
        for page in pages
        for number, match in enumerate(BLOCK.finditer(_read(page)))
    ]


@pytest.mark.parametrize(("block", "shown"), _blocks(PAGES))
def test_code_of_the_documentation_runs_and_prints_what_it_says(
    block: str, shown: str | None, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in NEIGHBOURS:
        if re.search(rf"^(import|from) {re.escape(module)}\b", block, re.MULTILINE):
            pytest.importorskip(module)
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "block of the documentation", "exec"), {})
    printed = capsys.readouterr().out
    promised = re.findall(r"print\(.*\)  # (.*)", block)
    assert promised, "a block shows what it prints"
    require_in_order(promised, printed)
    if shown is not None:
        require_shown(shown, printed)


def require_in_order(promised: list[str], printed: str) -> None:
    """Each promise stands behind the one before, so that one True does not stand for two."""
    end = 0
    for line in promised:
        start = printed.find(line, end)
        assert start >= 0, f"The page promises {promised}, but the block printed {printed!r}"
        end = start + len(line)


def test_promises_are_met_one_by_one() -> None:
    require_in_order(["True", "2.5", "True"], "True\n2.5 1\nTrue\n")
    with pytest.raises(AssertionError, match="The page promises"):
        require_in_order(["True", "True"], "False\nTrue\n")
    with pytest.raises(AssertionError, match="The page promises"):
        require_in_order(["1", "2"], "2\n1\n")


def require_shown(shown: str, printed: str) -> None:
    """Whole lines that were printed one after another, but for spaces at their ends."""
    lines, found = ([line.rstrip() for line in text.strip("\n").split("\n")] for text in (shown, printed))
    assert any(lines), "The page shows nothing behind its block"
    places = range(len(found) - len(lines) + 1)
    assert any(found[place : place + len(lines)] == lines for place in places), (
        f"The page shows\n{shown}but the block printed\n{printed}"
    )


def test_output_shown_must_be_lines_of_what_is_printed() -> None:
    printed = "first\nq0: ─┤H├──●─  \n          │\nq1: ──────⊕─\nlast\n"
    require_shown("q0: ─┤H├──●─\n          │\nq1: ──────⊕─\n", printed)
    for wrong in ("q0: ─┤X├──●─\n", "q0: ─┤H├──●─\nq1: ──────⊕─\n", "q0: ─┤H├\n", "last\nfirst\n"):
        with pytest.raises(AssertionError, match="The page shows\n"):
            require_shown(wrong, printed)
    with pytest.raises(AssertionError, match="shows nothing"):
        require_shown("\n", printed)


def test_output_is_looked_for_right_behind_a_block_only() -> None:
    python, text = "```python\nprint(1)  # 1\n```\n", "```text\n1\n```\n"
    assert BLOCK.findall(f"{python}\n{text}") == [("print(1)  # 1\n", "1\n")]
    assert BLOCK.findall(f"{python}Words.\n{text}") == [("print(1)  # 1\n", "")]


@pytest.mark.parametrize(("block", "shown"), _blocks(sorted(DOCS.rglob("*.md"))))
def test_page_that_draws_a_circuit_shows_the_drawing(block: str, shown: str | None) -> None:
    assert ".draw(" not in block or (shown is not None and "q0: " in shown)


@pytest.mark.parametrize("page", LAYER_PAGES, ids=lambda page: page.stem)
def test_page_of_a_layer_has_every_part(page: Path) -> None:
    text = _read(page)
    assert [part for part in PARTS if not re.search(rf"^\*\*{part}s?\.\*\*", text, re.MULTILINE)] == []
    assert re.match(r"# .+\n\n\w", text), "the idea comes first"
    assert "q0: " in text, "a circuit is drawn"
    assert f"layers/{page.name}" in _read(ROOT / "mkdocs.yml")


REFERENCE = sorted((DOCS / "api").glob("*.md"))
BY_HAND = {"convert", "feature-maps"}  # of modules that are no package


@pytest.mark.parametrize("page", [page for page in REFERENCE if page.stem in BY_HAND], ids=lambda page: page.stem)
def test_page_of_the_reference_by_hand_lists_what_there_is(page: Path) -> None:
    found = {path: pkgutil.resolve_name(path) for path in re.findall(r"^::: (\S+)$", _read(page), re.MULTILINE)}
    assert all(map(callable, found.values()))
    if page.stem == "feature-maps":
        public = [value for name, value in vars(feature_maps).items() if not name.startswith("_") and name.islower()]
        maps = {
            value for value in public if getattr(value, "__module__", "").startswith("circuits.") and callable(value)
        }
        assert maps - {data, prepare_by_rotations} == set(found.values())
    assert f"api/{page.name}" in _read(ROOT / "mkdocs.yml")


@pytest.mark.parametrize("page", [page for page in REFERENCE if page.stem not in BY_HAND], ids=lambda page: page.stem)
def test_page_of_the_reference_lists_all_public_names(page: Path) -> None:
    hook = runpy.run_path(str(DOCS / "hooks.py"))["on_page_markdown"]
    (name,) = re.findall(r"\{\{ public names of ([\w.]+) \}\}", _read(page))
    package = importlib.import_module(name)
    listed = re.findall(r"^::: (\S+)$", hook(_read(page)), re.MULTILINE)
    assert sorted(listed) == sorted(set(listed)) != []
    assert [entry for entry in listed if not hasattr(package, entry.removeprefix(f"{name}."))] == []
    if hasattr(package, "__all__"):
        assert sorted(listed) == sorted(f"{name}.{public}" for public in package.__all__)
    assert f"api/{page.name}" in _read(ROOT / "mkdocs.yml")


def hooks() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "hooks.py"))


def converted(text: str) -> str:
    """Text of a page or of a docstring as HTML, by the extensions that mkdocs uses."""
    markdown = pytest.importorskip("markdown", reason="it comes with the extra docs")
    return markdown.markdown(text, extensions=["admonition", "fenced_code", hooks()["plain_markdown"]()])


@pytest.mark.parametrize(
    "text",
    ["the <Z> of one", "all <Z_i> and <Z_i Z_j>", "<psi|phi>", "<P> of a string", "<b>", "</Z>", "<Z", "1 <Y_r>"],
)
def test_brackets_are_text_in_the_documentation(text: str) -> None:
    assert html.unescape(converted(text)) == f"<p>{text}</p>"
    assert hooks()["unknown_tags"](converted(text)) == []
    assert converted(f"`{text}`") == f"<p><code>{html.escape(text)}</code></p>"


def test_operators_are_text_in_the_documentation_and_emphasis_is_not() -> None:
    for formula in ("shape (2**n, 2**n)", "|a|**2 - |b|**2", "w*x + b*y", "(a)*(b)*c", "a * b * c", "2**-n, 2**-m"):
        assert converted(formula) == f"<p>{formula}</p>"
    assert converted("**Shapes.** a *word*") == "<p><strong>Shapes.</strong> a <em>word</em></p>"
    assert converted("[a page](there.md) <https://a.org/b>").count("<a href=") == 2


def test_examples_are_code_in_the_documentation() -> None:
    lines = [">>> print('<Z>')", "<Z>", "<BLANKLINE>", "end", "", "Words."]
    found = converted("\n".join(lines))
    assert found.startswith('<pre><code class="language-pycon">&gt;&gt;&gt; print(')
    assert "&lt;Z&gt;\n\nend\n</code></pre>\n<p>Words.</p>" in found
    fenced = ["```python", ">>> 1", "", "2", "```", ">>> 3"]
    assert hooks()["fenced_examples"](fenced) == [*fenced[:-1], "```pycon", ">>> 3", "```"]


def test_a_page_that_lost_a_name_in_brackets_is_refused() -> None:
    page = types.SimpleNamespace(file=types.SimpleNamespace(src_uri="layers/qkan.md"))
    right = "<html><body><p>the &lt;Z&gt; of <code>one</code></p></body></html>"
    check = hooks()["on_post_page"]
    assert check(right, page=page) == right
    with pytest.raises(ValueError, match=r"must hold elements of HTML only, but layers/qkan\.md has <Z>, <Z_i Z_j>"):
        check(right.replace("&lt;Z&gt;", "<Z> and <Z_i Z_j>"), page=page)


BRACKET = re.compile("<[A-Za-z/!?]")


def texts_with_brackets() -> dict[str, str]:
    """Pages, and docstrings of the packages, that Markdown might take for HTML."""
    texts = {str(page.relative_to(ROOT)): _read(page) for page in sorted(DOCS.rglob("*.md"))}
    for path in [path for package in ("circuits", "qml") for path in sorted((ROOT / package).rglob("*.py"))]:
        source = _read(path)
        for node in ast.walk(ast.parse(source)) if BRACKET.search(source) else ():
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                texts[f"{path.relative_to(ROOT)} {getattr(node, 'name', '')}"] = text
    return {name: text for name, text in texts.items() if BRACKET.search(text)}


def test_no_page_and_no_docstring_loses_anything_in_brackets() -> None:
    markdown = pytest.importorskip("markdown", reason="it comes with the extra docs")
    pytest.importorskip("latex2mathml", reason="it comes with the extra docs")  # the other comes with more than these
    reader = markdown.Markdown(extensions=["admonition", "fenced_code", hooks()["plain_markdown"]()])
    unknown_tags, texts = hooks()["unknown_tags"], texts_with_brackets()
    assert len(texts) > 20
    lost = {name: tags for name, text in texts.items() if (tags := unknown_tags(reader.reset().convert(text)))}
    assert lost == {}


def test_readme_shows_both_commands_and_a_block_of_code() -> None:
    text = _read(PAGES[0])
    assert "make demo" in text
    assert "make test" in text
    assert "```python" in text
