"""Qiskit's classical conditions on measured bits, as the values of those bits for which they hold."""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

from qiskit.circuit import Clbit
from qiskit.circuit.classical import expr, types

MAX_BITS = 12  # of one condition, whose values are all tried
BINARY: Mapping[str, Callable[[int, int], int]] = {
    "BIT_AND": operator.and_, "BIT_OR": operator.or_, "BIT_XOR": operator.xor,
    "LOGIC_AND": lambda left, right: bool(left) and bool(right),
    "LOGIC_OR": lambda left, right: bool(left) or bool(right),
    "EQUAL": operator.eq, "NOT_EQUAL": operator.ne,
    "LESS": operator.lt, "LESS_EQUAL": operator.le, "GREATER": operator.gt, "GREATER_EQUAL": operator.ge,
    "SHIFT_LEFT": operator.lshift, "SHIFT_RIGHT": operator.rshift,
    "ADD": operator.add, "SUB": operator.sub, "MUL": operator.mul,
}  # fmt: skip

Bits = Mapping[Any, int]
"""Values of bits, and of variables that are known."""


@dataclass(frozen=True)
class Table:
    """The values of an expression for all values of its bits.

    Attributes:
        bits: those that it reads, each once.
        values: the value for each choice of 0 and 1 for the bits.
    """

    bits: tuple[Any, ...]
    values: Mapping[tuple[int, ...], int]

    def where(self, holds: Callable[[int], bool]) -> frozenset[tuple[int, ...]]:
        """Return the choices at whose value something holds."""
        return frozenset(choice for choice, value in self.values.items() if holds(value))


def condition_table(condition: Any, known: Bits = MappingProxyType({})) -> Table:
    """Return the table of a condition of Qiskit, whose values are true or false.

    Args:
        condition: a pair of a bit or register and a number, or an expression of `qiskit.circuit.classical.expr`.
        known: values of variables.

    Raises:
        ValueError: variables that are no bits, operations other than those of numbers and truth, more than 12 bits.
    """
    if isinstance(condition, tuple):
        target, wanted = condition
        table = value_table(target, known)
        return Table(table.bits, {choice: int(value == int(wanted)) for choice, value in table.values.items()})
    return value_table(condition, known)


def value_table(target: Any, known: Bits = MappingProxyType({})) -> Table:
    """Return the table of a bit, a register or an expression; see `condition_table`."""
    bits = tuple(dict.fromkeys(_bits_of(target, known)))
    if len(bits) > MAX_BITS:
        raise ValueError(
            f"A condition must read at most {MAX_BITS} bits, whose values are all tried, but one reads {len(bits)}. "
            "Test fewer bits, one after the other."
        )
    choices = product((0, 1), repeat=len(bits))
    return Table(
        bits, {choice: _value(target, {**known, **dict(zip(bits, choice, strict=True))}) for choice in choices}
    )


def _bits_of(target: Any, known: Bits) -> Sequence[Clbit]:
    if isinstance(target, Clbit):
        return [target]
    if not isinstance(target, expr.Expr):
        return list(target)
    bits = []
    for variable in expr.iter_vars(target):
        if not variable.standalone:
            bits += _bits_of(variable.var, known)
        elif variable not in known:
            raise ValueError(
                "A condition must read bits, registers and variables that have one value in all branches, but one "
                f"reads the variable {variable.name!r}. Test the bits that it was computed from."
            )
    return bits


def _value(target: Any, bits: Bits) -> int:  # noqa: PLR0911 - one return a kind of node
    if isinstance(target, Clbit):
        return bits[target]
    if not isinstance(target, expr.Expr):
        return sum(bits[bit] << place for place, bit in enumerate(target))
    if not isinstance(target.type, (types.Bool, types.Uint)):
        raise ValueError(
            f"A condition must be made of truth values and whole numbers, but holds {target!r}, {target.type!r}. "
            "Compare whole numbers: c < 1.5 holds where c <= 1 does."
        )
    if isinstance(target, expr.Var):
        return bits[target] if target.standalone else _value(target.var, bits)
    if isinstance(target, expr.Value):
        return int(target.value)
    if isinstance(target, expr.Cast):
        return _fitted(_value(target.operand, bits), target.type)
    if isinstance(target, expr.Index):
        return _value(target.target, bits) >> _value(target.index, bits) & 1
    if isinstance(target, expr.Unary) and target.op.name in ("BIT_NOT", "LOGIC_NOT"):
        value = _value(target.operand, bits)
        return int(not value) if target.op.name == "LOGIC_NOT" else _fitted(~value, target.type)
    if isinstance(target, expr.Binary) and target.op.name in BINARY:
        left, right = _value(target.left, bits), _value(target.right, bits)
        return _fitted(int(BINARY[target.op.name](left, right)), target.type)
    raise ValueError(
        f"A condition must be made of bits, numbers and the operations {', '.join(BINARY).lower()}, but holds "
        f"{target!r}. Compute it from measured bits alone."
    )


def _fitted(value: int, kind: Any) -> int:
    """Return a value as its type holds it: a number wraps around at its width."""
    if isinstance(kind, types.Uint):
        return value & ((1 << kind.width) - 1)
    return int(bool(value))
