"""Tokens of OpenQASM 2 and 3, as far as circuits need them."""

import re
from typing import NamedTuple

from circuits.openqasm.limits import refused

# No alternative is tried at more than one place of a stretch of text, so that the time is linear in its length.
TOKENS = re.compile(
    r"(?P<skip>\s+|//[^\n]*|/\*.*?\*/)"
    r"|(?P<open>/\*|[\"'](?![^\"'\n]*[\"']))"
    r"|(?P<pragma>(?:\#pragma|pragma)\b[^\n]*)"
    r"|(?P<number>0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)"
    r'|(?P<text>"[^"\n]*"|\'[^\'\n]*\')'
    r"|(?P<name>\$?\w+)"
    r"|(?P<symbol>\*\*|->|<<|>>|==|!=|<=|>=|&&|\|\||\+\+|[-+*/%@,;:=()\[\]{}<>!&|^~])",
    re.DOTALL,
)
ANNOTATION = re.compile(r"@[A-Za-z_][\w.]*[^\n]*")


class Token(NamedTuple):
    """A piece of the text; `kind` is annotation, pragma, number, text, name, symbol or end."""

    kind: str
    text: str
    line: int


def tokens_of(text: str) -> list[Token]:
    """Return the tokens of a program, comments left out, an `end` token last."""
    result, place, line = [], 0, 1
    is_first = True  # in its line: there an @ starts an annotation, elsewhere it follows a modifier such as `ctrl @`
    while place < len(text):
        match = TOKENS.match(text, place)
        if match is None or match.lastgroup == "open":
            rule = "be OpenQASM" if match is None else "close every comment and string"
            raise refused(line, rule, repr(text[place : place + 20] if match else text[place]))
        kind = str(match.lastgroup)
        if kind == "symbol" and is_first and (annotation := ANNOTATION.match(text, place)):
            kind, match = "annotation", annotation
        piece = match.group()
        if kind == "skip":
            n_lines = piece.count("\n")
            line, is_first = line + n_lines, is_first or n_lines > 0
        else:
            result.append(Token(kind, piece.strip(), line))
            is_first = False
        place = match.end()
    return [*result, Token("end", "the end of the text", line)]


class Cursor:
    """A place in a list of tokens."""

    def __init__(self, tokens: list[Token], place: int = 0) -> None:
        self.tokens, self.place = tokens, place

    @property
    def here(self) -> Token:
        """Return the token at this place."""
        return self.tokens[self.place]

    def next(self) -> Token:
        """Return the token at this place and move on."""
        token = self.tokens[self.place]
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def accept(self, *texts: str) -> bool:
        """Move on if the token here is one of the texts; tell whether it is."""
        token = self.tokens[self.place]
        is_next = token.text in texts and token.kind in ("symbol", "name")
        if is_next:
            self.next()
        return is_next

    def expect(self, text: str) -> None:
        """Move on over this text."""
        token = self.here
        if not self.accept(text):
            raise refused(token.line, f"have {text!r} here", repr(token.text))

    def name(self) -> str:
        """Return the name at this place and move on."""
        token = self.next()
        if token.kind != "name":
            raise refused(token.line, "have a name here", repr(token.text))
        return token.text

    def skip_to(self, *closing: str) -> list[Token]:
        """Return the tokens up to the first of the texts, which is skipped."""
        start = self.place
        while not self.accept(*closing):
            if self.here.kind == "end":
                raise refused(self.here.line, f"have {closing[0]!r}", self.here.text)
            self.next()
        return self.tokens[start : self.place - 1]
