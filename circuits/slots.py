"""Angles of a circuit: constants, or numbered slots that are filled when it runs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal


@dataclass(frozen=True, slots=True)
class Slot:
    """A numbered place for an angle.

    Args:
        kind: `"data"` (one value a sample) or `"weight"` (one value for the whole batch).
        index: position in the data or weight vector, from 0.
    """

    kind: Literal["data", "weight"]
    index: int

    def __post_init__(self) -> None:
        if self.kind not in ("data", "weight"):
            raise ValueError(f'Argument `kind` must be "data" or "weight", but is {self.kind!r}.')
        if isinstance(self.index, bool) or not isinstance(self.index, int):
            raise TypeError(f"Argument `index` must be an int, but is {type(self.index).__name__}.")
        if self.index < 0:
            raise ValueError(f"Argument `index` must be at least 0, but is {self.index}.")

    def __repr__(self) -> str:
        return f"{self.kind}({self.index})"

    if not TYPE_CHECKING:  # to a type checker arithmetic with slots is an error anyway

        def _refuse_arithmetic(self, other: Any = 0.0) -> Any:
            if not isinstance(other, (Slot, int, float)):
                return NotImplemented  # polynomials take slots
            raise TypeError(
                f"{self!r} must stand alone as an angle, without arithmetic. Compute the angle in torch before the "
                "layer, or by qml.nn.Angles within it, and give it a data slot."
            )

        __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refuse_arithmetic
        __truediv__ = __rtruediv__ = __pow__ = __neg__ = _refuse_arithmetic


Angle = float | int | Slot


def data(index: int) -> Slot:
    """Return the data slot `index`: its angle is `data[..., index]`, one value a sample."""
    return Slot("data", index)


def weight(index: int) -> Slot:
    """Return the weight slot `index`: its angle is `weights[index]`, shared by the whole batch."""
    return Slot("weight", index)
