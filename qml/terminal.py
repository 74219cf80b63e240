"""Text of others on a terminal: names, tags, ids and error texts are shown as they are, and never obeyed."""

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

# Control characters, formats (which turn the direction of writing), lone surrogates, separators of lines.
UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def visible(text: object) -> str:
    """Text whose characters that steer a terminal are written as their escapes, as in a Python string."""
    return "".join(
        character.encode("unicode_escape").decode() if unicodedata.category(character) in UNSEEN else character
        for character in str(text)
    )


def verbatim(text: object, style: str = "") -> "Text":
    """A cell or line for rich in which brackets are brackets, and no markup."""
    from rich.text import Text

    return Text(visible(text), style=style)


def one_line(error: object) -> str:
    """An error's text in one line."""
    return visible(" ".join(str(error).split()))
