"""The parts that make the pages of the site: formulas, drawings, notebooks, the gallery, and the check of links."""

import json
import re
from pathlib import Path

import pytest

from circuits import Circuit, data, weight
from tools import check_site
from tools.pages import drawings, formulas, gallery, notebooks

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "docs").rglob("*.md"))


def converted(text: str) -> str:
    markdown = pytest.importorskip("markdown", reason="it comes with the extra docs")
    pytest.importorskip("latex2mathml", reason="it comes with the extra docs")
    import runpy

    extension = runpy.run_path(str(ROOT / "docs" / "hooks.py"))["plain_markdown"]()
    return markdown.markdown(text, extensions=["fenced_code", extension])


def test_formulas_become_mathml() -> None:
    inline = converted(r"the $\langle Z \rangle$ of it")
    assert inline.startswith("<p>the <math alttext=")
    assert "⟨" in inline or "&#x027E8;" in inline
    assert "$" not in inline
    block = converted("Before\n\n$$\na_1 = b^2\n$$\n\nafter")
    assert '<div class="formula"><math alttext="a_1 = b^2" ' in block
    assert 'display="block"' in block
    assert block.endswith("<p>after</p>")


@pytest.mark.parametrize("text", ["`$x$` is code", "5 $ and 7 $ are prices", "```\n$$\nx\n$$\n```", "a$b$c"])
def test_other_dollar_signs_stay(text: str) -> None:
    assert "<math" not in converted(text)


def test_functions_and_signs_have_the_spaces_of_tex() -> None:
    pytest.importorskip("latex2mathml", reason="it comes with the extra docs")
    product = formulas.mathml(r"\sin x \cos(y)")
    assert '<mo form="prefix" lspace="0.1667em" rspace="0.1667em" movablelimits="false">sin</mo>' in product
    assert '<mo form="prefix" lspace="0.1667em" rspace="0" movablelimits="false">cos</mo>' in product
    assert '<mo form="prefix" lspace="0" rspace="0">&#x02212;</mo><mi>&#x003B8;' in formulas.mathml(r"f(-\theta)")
    assert 'form="prefix"' not in formulas.mathml("a - b")


@pytest.mark.parametrize("source", [r"\foo{x}", r"\begin{aligned} a &= b \end{aligned}", r"\frac{a", "a & b"])
def test_formulas_that_cannot_be_converted_are_refused(source: str) -> None:
    pytest.importorskip("latex2mathml", reason="it comes with the extra docs")
    with pytest.raises(formulas.FormulaError, match="A formula must"):
        formulas.mathml(source)


def test_a_formula_without_an_end_is_refused() -> None:
    with pytest.raises(formulas.FormulaError, match=r"must end with \$\$"):
        formulas.split_blocks(["$$", "a = b", "", "words"])


def test_no_formula_of_the_pages_is_left_as_it_is_written() -> None:
    with_formulas = [
        page for page in PAGES if "$" in re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL)
    ]
    assert len(with_formulas) > 8
    for page in with_formulas:
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        found = re.sub(r"<[^>]*>", "", converted(re.sub(r"`[^`]*`", "", text)))
        assert "$" not in found, page


def test_a_drawing_in_text_becomes_a_picture() -> None:
    code = "from circuits import Circuit\nprint(Circuit(1).h(0).draw())\n"
    page = f"Words\n\n```python\n1\n```\n\n```python\n{code}```\n\n```text\nq0: ─┤H├─\n```\n\nmore"
    text, pictures = drawings.with_pictures(page)
    assert text == f"Words\n\n```python\n1\n```\n\n```python\n{code}```\n\nCIRCUITS-0\n\n\nmore"
    assert len(pictures) == 1
    assert pictures[0].startswith('<div class="circuit"><svg ')
    assert ">H</text>" in pictures[0]
    assert "min-width" in pictures[0]
    assert "<svg " in converted(page)
    assert "q0: " not in converted(page)


def test_code_that_draws_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="must draw a circuit"):
        drawings.drawings("x = 1\n")


def test_a_picture_keeps_a_width_at_which_it_can_be_read() -> None:
    circuit = Circuit(3)
    for k in range(6):
        circuit.ry(data(0), 0).cx(0, 2).ry(weight(k), 2)
    assert "max-width:100%;min-width:620px;" in drawings.svg(circuit)
    narrow = re.search(r"min-width:([0-9.]+)px", drawings.svg(Circuit(1).h(0)))
    assert narrow is not None
    assert float(narrow[1]) < 300


def test_the_style_sheet_knows_the_colours_of_circuits() -> None:
    from circuits.drawing.palette import COLOURS, INK

    sheet = (ROOT / "docs" / "assets" / "site.css").read_text(encoding="utf-8")
    assert [face for face in [INK, *(face for face, _ in COLOURS.values())] if f'[fill="{face}"]' not in sheet] == []


def test_a_notebook_becomes_a_page_with_its_pictures(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# A title\n", "\n", "Words."]},
        {"cell_type": "code", "source": ["1 + 1"], "outputs": [{"data": {"text/plain": ["2"]}}]},
        {"cell_type": "markdown", "source": ["## Part"]},
        {"cell_type": "code", "source": ["draw()"], "outputs": [{"data": {"image/png": "QUJD\n"}}, {"text": "done\n"}]},
        {"cell_type": "code", "source": [], "outputs": []},
    ]
    path = tmp_path / "00_name.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    page = notebooks.page_of(path)
    assert page.title == "A title"
    assert page.markdown.startswith('# A title\n\n!!! note "A notebook"')
    assert "```py\n1 + 1\n```\n\n```text\n2\n```" in page.markdown
    assert page.markdown.endswith("```py\ndraw()\n```\n\n![Part](00_name-1.png)\n\n```text\ndone\n```\n")
    assert page.pictures == (notebooks.Picture("00_name-1.png", b"ABC", "Part"),)


def test_every_notebook_has_a_page_in_the_navigation_and_a_picture_or_text() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = notebooks.notebook_pages()
    assert [page.name for page in pages if f"notebooks/{page.name}.md" not in navigation] == []
    assert sum(len(page.pictures) for page in pages) > 15


def test_the_gallery_links_each_picture_to_its_page(tmp_path: Path) -> None:
    page = notebooks.NotebookPage("01_a", "A <b>", "", (notebooks.Picture("01_a-1.png", b"", "Training"),))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "series.md").write_text("# Series\n\n![Errors](errors.svg) ![Missing](no.svg)\n")
    (tmp_path / "results" / "errors.svg").write_text("<svg/>")
    figures = gallery.figures_of_pages(tmp_path, "results") + gallery.figures_of_notebooks([page])
    assert figures == [
        gallery.Figure("results/series/", "results/errors.svg", "Series", "Errors"),
        gallery.Figure("notebooks/01_a/", "notebooks/small-01_a-1.png", "A <b>", "Training"),
    ]
    found = gallery.as_html(figures, "../")
    assert '<a href="../results/series/">' in found
    assert 'src="../notebooks/small-01_a-1.png" alt="Training"' in found
    assert "A &lt;b&gt;" in found


def test_a_tall_picture_shows_its_upper_part_in_the_gallery(tmp_path: Path) -> None:
    (tmp_path / "wide.svg").write_text('<?xml version="1.0"?>\n<svg height="241.2pt" viewBox="0 0 1 1" width="576pt"/>')
    (tmp_path / "tall.svg").write_text('<svg width="576pt" height="694pt"/>')
    assert [gallery.is_tall(tmp_path / name) for name in ("wide.svg", "tall.svg")] == [False, True]
    figures = [gallery.Figure("a/", "tall.svg", "A", "B", tall=True), gallery.Figure("a/", "wide.svg", "A", "C")]
    assert gallery.as_html(figures, "").count('class="frame tall"') == 1


def test_links_that_lead_nowhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="a/#there">1</a><a href="a/#not">2</a><a href="b/">3</a><a href="https://x.org">4</a>'
    )
    (tmp_path / "a" / "index.html").write_text(
        '<h1 id="there"></h1><img src="https://x.org/y.png"><a href="..">up</a><a href="#there">h</a>'
    )
    number, dead = check_site.dead_links(tmp_path, check_site.pages_of(tmp_path))
    assert number == 5
    assert dead == [
        "a/index.html: loads https://x.org/y.png from another host",
        "index.html: the link a/#not has an anchor that a/index.html lacks",
        "index.html: the link b/ leads nowhere",
    ]
    with pytest.raises(FileNotFoundError, match="must have pages"):
        check_site.pages_of(tmp_path / "none")


def test_what_a_browser_saw_is_judged() -> None:
    seen = {"page": "/", "width": 390, "scroll": 390, "inner": 390, "wide": [], "faults": [], "outside": []}
    assert check_site.faults_of(seen) == check_site.faults_of({"search": 7}) == []
    assert check_site.faults_of({"search": 0}) == ["The search finds nothing for `circuit`"]
    wrong = {**seen, "scroll": 600, "wide": ["PRE x"], "faults": ["boom"], "outside": ["http://x.org"]}
    assert check_site.faults_of(wrong) == [
        "/ at 390: console: boom",
        "/ at 390: loads http://x.org from another host",
        "/ at 390: scrolls sideways, 600 pixels; wide are ['PRE x']",
    ]


def test_headings_that_the_style_sheet_names_are_on_the_home_page() -> None:
    sheet = (ROOT / "docs" / "assets" / "site.css").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"h2#([\w-]+)", sheet))
    assert named
    assert named <= {heading.lower().replace(" ", "-") for heading in headings}
