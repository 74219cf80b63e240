"""The limits of a program that is read, and the one form of its refusals."""

from dataclasses import dataclass

MAX_SHOWN_LENGTH = 120  # characters of a program that an error repeats
SIZE_PER_OPERATION = 32  # qubits of a gate, or tokens of a call in a definition, that count as one operation


def refused(line: int, rule: str, value: str, fix: str = "") -> ValueError:
    """Return the error for a line of the program."""
    shown = f"must {_shortened(rule)}, but line {line} has {_shortened(value)}."
    return ValueError(f"Argument `text` {shown}{' ' + fix if fix else ''}")


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[: MAX_SHOWN_LENGTH - 20]}...{text[-10:]}"


@dataclass
class ReaderLimits:
    """The limits of a program, and how much of them is used.

    Args:
        max_operations: operations of the circuit and calls of defined gates.
        max_qubits: qubits, and classical bits.
        max_depth: gates inside gates, parentheses inside parentheses.
    """

    max_operations: int
    max_qubits: int
    max_depth: int
    n_operations: int = 0  # so far

    def spend(self, count: int, line: int) -> None:
        """Count operations that are about to be made."""
        self.require_room(count, line)
        self.n_operations += count

    def require_room(self, count: int, line: int) -> None:
        """Refuse so many further operations, before they are made, if they are too many."""
        if self.n_operations + count > self.max_operations:
            raise _exceeded(
                "max_operations",
                self.max_operations,
                line,
                "operations",
                "Or put powers into angles: rx(9*a) for pow(9).",
            )

    def require_qubits(self, count: int, line: int, *, noun: str = "qubits") -> None:
        """Refuse more qubits or bits than the limit."""
        if count > self.max_qubits:
            raise _exceeded("max_qubits", self.max_qubits, line, noun, "Or declare those only that are used.")

    def require_depth(self, depth: int, line: int, noun: str) -> None:
        """Refuse deeper nesting than the limit."""
        if depth > self.max_depth:
            raise _exceeded("max_depth", self.max_depth, line, f"levels of {noun}", "Or write the program flatter.")


def _exceeded(name: str, limit: int, line: int, noun: str, advice: str) -> ValueError:
    return ValueError(
        f"Argument `{name}` must allow for the whole program, but is {limit}, and line {line} has more {noun}. "
        f"Pass a larger {name}= if you trust the text. {advice}"
    )
