"""The measures of how the code reads."""

import ast
from pathlib import Path

from tools.house import House, arguments_of, body_length, markdown, n_private_imports

SOURCE = '''
class Box:
    """What there is."""

    def hold(self, thing, *others: object, lanes: int = 0) -> None:
        """Hold it."""
        found = thing  # noqa: X1
        self.thing = (
            found
        )


def bare(): pass
'''


def test_a_small_tree_is_measured(tmp_path: Path) -> None:
    for folder in ("circuits", "qml", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "qml" / "box.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "tests" / "test_box.py").write_text("assert True\n" * 7, encoding="utf-8")
    (tmp_path / "README.md").write_text("one\ntwo\n", encoding="utf-8")
    measures = House(tmp_path).measures()
    assert measures["lines (files)"] == "13 (1)"
    assert measures["arguments typed"] == "66.7 %"
    assert measures["of those `Any` or `object`"] == "50.0 %"
    assert measures["public without docstring"] == "33.3 %"
    assert measures["noqa per 1000 lines"] == "76.9 (1)"
    assert measures["lines of tests / of code"] == "0.54"
    assert measures["docstrings that begin with What, One, Whether, Of"] == "1"
    assert (measures["`found` as an identifier"], measures["`lanes` as an identifier"]) == ("2", "1")
    assert measures["README lines"] == "2"
    assert markdown({"a": measures, "b": measures}).splitlines()[2] == "| lines (files) | 13 (1) | 13 (1) |"


def test_bodies_are_counted_without_docstrings() -> None:
    hold = ast.parse(SOURCE).body[0].body[1]  # pyright: ignore[reportAttributeAccessIssue]
    assert (body_length(hold), len(arguments_of(hold))) == (4, 3)


def test_private_names_belong_to_the_folder_below_the_package() -> None:
    tree = ast.parse("from qml.a._b import c\nfrom qml.a.b import _c, __version__\nfrom qml._d import e")
    assert n_private_imports(Path("qml/a/x.py"), tree) == 0
    assert n_private_imports(Path("qml/z/x.py"), tree) == 2
    assert n_private_imports(Path("circuits/x.py"), tree) == 3
