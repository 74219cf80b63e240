"""Rows of CSV files that anyone may have written."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO


def rows_of(path: Path, *, delimiter: str = ",") -> Iterator[tuple[int, list[str]]]:
    """Yield line numbers and cells of all rows that are not empty; a row over several lines has the number of its last.

    Raises:
        ValueError: a file that is not UTF-8 or holds NUL bytes, quotes that do not match, a cell that is longer than
            `csv.field_size_limit()`.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(_lines(file, path), delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except csv.Error as error:
            raise ValueError(
                f"File {path} must be a table of cells between {_named(delimiter)}, but line {reader.line_num} is not: "
                f"{error}."
            ) from error
        except UnicodeDecodeError as error:
            raise ValueError(f"File {path} must be UTF-8, but is not: {error}. Save it as UTF-8.") from error


def shown(cell: str | None) -> str:
    """Show a cell of a file in an error: quoted, and not longer than a line."""
    text = repr(cell)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        if "\0" in line:
            raise ValueError(f"File {path} must be text in UTF-8, but line {number} has a NUL byte. Save it as UTF-8.")
        yield line


def _named(delimiter: str) -> str:
    return {",": "commas", "\t": "tabs"}[delimiter]
