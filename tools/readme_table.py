"""Puts the table that `qml compare all` wrote into the README: `python -m tools.readme_table FOLDER`."""

import re
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- the table of qml compare all -->", "<!-- end of the table -->"
BLOCK = re.compile(f"{re.escape(BEGIN)}\n(.*?){re.escape(END)}", re.DOTALL)


def table_of(text: str) -> str:
    """Return the table between the marks."""
    block = BLOCK.search(text)
    if block is None:
        raise ValueError(f"The README must have {BEGIN!r} and {END!r} on lines of their own.")
    return block[1]


def replaced(text: str, table: str) -> str:
    """Return the text with another table between the marks."""
    table_of(text)
    return BLOCK.sub(lambda _: f"{BEGIN}\n{table.strip()}\n{END}", text)


if __name__ == "__main__":
    summary = Path(sys.argv[1], "summary.md").read_text(encoding="utf-8")
    README.write_text(replaced(README.read_text(encoding="utf-8"), summary), encoding="utf-8")
