"""Text that ships inside Python, as numbers of characters."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from qml import checks


@dataclass(frozen=True)
class Text:
    """A text, whose characters are numbered by its alphabet.

    Attributes:
        codes: places of the characters in the alphabet, (time).
        alphabet: every character that occurs, ascending.
    """

    codes: Int[Tensor, " time"]
    alphabet: str

    @classmethod
    def of(cls, text: str) -> "Text":
        """Number the characters of `text`."""
        if not isinstance(text, str):
            raise TypeError(f"Argument `text` must be a str, but is {type(text).__name__}.")
        alphabet = "".join(sorted(set(text)))
        places = {character: place for place, character in enumerate(alphabet)}
        return cls(torch.tensor([places[character] for character in text]), alphabet)

    def decode(self, codes: Any) -> str:  # a tensor, checked below
        """Return the characters of `codes`, integers of shape (time,)."""
        checks.require_tensor(codes, "codes")
        if codes.is_floating_point() or codes.is_complex() or codes.ndim != 1:
            raise TypeError(
                f"Argument `codes` must be one row of integers, but is {codes.dtype} of {codes.ndim} dimensions."
            )
        if codes.numel() and not bool((codes >= 0).all() and (codes < len(self.alphabet)).all()):
            raise ValueError(f"Argument `codes` must lie in 0..{len(self.alphabet) - 1}, but some do not.")
        return "".join(self.alphabet[code] for code in codes.tolist())


def python_text(n_characters: int = 200_000) -> Text:
    """Return the beginning of the reference that Python's own `help()` shows, topics in alphabetical order.

    The text differs between versions of Python. What is not printable ASCII is left out.

    Raises:
        ValueError: `n_characters` below 1 or beyond the text.
        ImportError: a Python without its help pages, as some minimal installations are.
    """
    n_characters = checks.as_int(n_characters, "n_characters", 0)
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        raise ImportError("The text needs the help pages of Python (pydoc_data). Install the full Python.") from error
    whole = "\n".join(topics[name] for name in sorted(topics))
    printable = "".join(character for character in whole if character == "\n" or " " <= character <= "~")
    if not 1 <= n_characters <= len(printable):
        raise ValueError(f"Argument `n_characters` must be in 1 to {len(printable)}, but is {n_characters}.")
    return Text.of(printable[:n_characters])
