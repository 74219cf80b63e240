"""Foreign text on a terminal: names, tags, ids and error texts are shown as they are, and never obeyed."""

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

# Control characters, formats (which turn the direction of writing), lone surrogates, separators of lines.
HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible(text: object) -> str:
    """Return text in which characters that steer a terminal are written as escapes, as in a Python string."""
    return "".join(
        character.encode("unicode_escape").decode()
        if unicodedata.category(character) in HIDDEN_CATEGORIES
        else character
        for character in str(text)
    )


def verbatim(text: object, style: str = "") -> "Text":
    """Return a cell or line for rich in which brackets are brackets, and no markup."""
    from rich.text import Text

    return Text(visible(text), style=style)


def one_line(error: object) -> str:
    """Return an error's text in one line."""
    return visible(" ".join(str(error).split()))
