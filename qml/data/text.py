"""Text that ships inside Python, as numbers of characters."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Text:
    """A text and its alphabet.

    Attributes:
        codes: places of the characters in the alphabet, (time).
        alphabet: every character that occurs, ascending.
    """

    codes: Int[Tensor, " time"]
    alphabet: str

    @classmethod
    def of(cls, text: str) -> "Text":
        """Number the characters of `text`."""
        alphabet = "".join(sorted(set(text)))
        places = {character: place for place, character in enumerate(alphabet)}
        return cls(torch.tensor([places[character] for character in text]), alphabet)

    def decode(self, codes: Int[Tensor, " time"]) -> str:
        """The characters of `codes`."""
        return "".join(self.alphabet[code] for code in codes.tolist())


def python_text(n_characters: int = 200_000) -> Text:
    """The beginning of the reference that Python's own `help()` shows, topics in alphabetical order.

    The text differs between versions of Python. What is not printable ASCII is left out.

    Raises:
        ValueError: `n_characters` below 1 or beyond the text.
        ImportError: a Python without its help pages, as some minimal installations are.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise ImportError("The text needs the help pages of Python (pydoc_data). Install the full Python.") from error
    whole = "\n".join(topics[name] for name in sorted(topics))
    kept = "".join(character for character in whole if character == "\n" or " " <= character <= "~")
    if not 1 <= n_characters <= len(kept):
        raise ValueError(f"Argument `n_characters` must be in 1 to {len(kept)}, but is {n_characters}.")
    return Text.of(kept[:n_characters])
