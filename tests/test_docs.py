"""Every block of Python in the README and the documentation runs, and prints what it says and what stands below it."""

import importlib
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LAYER_PAGES = sorted((DOCS / "layers").glob("*.md"))
PARTS = ("Circuit", "Equations", "Shapes", "Cost", "Reference")
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
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "block of the documentation", "exec"), {})
    printed = capsys.readouterr().out
    promised = re.findall(r"print\(.*\)  # (.*)", block)
    assert promised, "a block shows what it prints"
    for line in promised:
        assert line in printed, f"The page promises {line!r}, but the block printed {printed!r}"
    if shown is not None:
        require_shown(shown, printed)


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


@pytest.mark.parametrize("page", sorted((DOCS / "api").glob("*.md")), ids=lambda page: page.stem)
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


def test_readme_shows_both_commands_and_a_block_of_code() -> None:
    text = _read(PAGES[0])
    assert "make demo" in text
    assert "make test" in text
    assert "```python" in text
