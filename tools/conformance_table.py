"""Puts the table of layers and torch habits into docs/conformance.md: `python -m tools.conformance_table`."""

from pathlib import Path

from tests.conformance import EXCEPTIONS, HABITS, LAYERS

PAGE = Path(__file__).parents[1] / "docs" / "conformance.md"
BEGIN = "| layer |"  # the table is the rest of the page


def conformance_table() -> str:
    """Return the table in Markdown, with numbered notes on the exceptions below it."""
    lines = [f"{BEGIN} " + " | ".join(HABITS) + " |", "|---" * (len(HABITS) + 1) + "|"]
    notes: list[str] = []
    for layer in LAYERS:
        cells = []
        for habit in HABITS:
            reason = EXCEPTIONS.get((layer, habit))
            if reason is not None and reason not in notes:
                notes.append(reason)
            cells.append("yes" if reason is None else f"no ({notes.index(reason) + 1})")
        lines.append(f"| `{layer}` | " + " | ".join(cells) + " |")
    lines += ["", *(f"{number}. {note}" for number, note in enumerate(notes, 1))]
    return "\n".join(lines) + "\n"


def with_table(page: str, table: str) -> str:
    """Return the page with another table at its end."""
    introduction, begin, _ = page.partition(BEGIN)
    if not begin:
        raise ValueError(f"Page {PAGE.name} must have a line that begins with {BEGIN!r}, but has none.")
    return introduction + table


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), conformance_table()), encoding="utf-8")
