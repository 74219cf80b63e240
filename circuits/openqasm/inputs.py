"""The inputs of an OpenQASM 3 program, and the slots that they become."""

import re
from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from circuits.openqasm.limits import refused
from circuits.openqasm.syntax import Cursor, Token
from circuits.slots import Slot

SLOT_NAME = re.compile(r"_?(data|weight)(?:_(\d+)_?|\[(\d+)\])")  # Qiskit writes the parameter data[0] as _data_0_
ELEMENT = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)
MAX_INPUTS = 10**6  # slots have no gaps, so that a larger number in a name cannot be meant
N_SHOWN = 10

Kind = Literal["data", "weight"]


class _Input(NamedTuple):
    name: str
    size: int | None  # of an array
    line: int


@dataclass
class InputArray:
    """An array of inputs: consecutive slots, but for elements that were asked for as data one by one.

    Args:
        size: number of elements.
        kind: the kind of the other slots.
        start: the slot of the first of the others.
        chosen: the slots of elements that were asked for.
    """

    size: int
    kind: Kind = "weight"
    start: int = 0
    chosen: dict[int, Slot] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)  # the elements of `chosen`, ascending

    def slot(self, index: int) -> Slot | None:
        """Return the slot of an element; None where there is none."""
        if not 0 <= index < self.size:
            return None
        if index in self.chosen:
            return self.chosen[index]
        return Slot(self.kind, self.start + index - bisect_left(self.order, index))

    def choose(self, index: int, slot: Slot) -> None:
        """Give an element a slot of its own."""
        self.chosen[index] = slot
        insort(self.order, index)


class Inputs(NamedTuple):
    """The slots of inputs by name, and the arrays of them."""

    scalars: dict[str, Slot]
    arrays: dict[str, InputArray]
    n_data: int = 0


def read_inputs(tokens: list[Token], data: Iterable[str]) -> Inputs:
    """Read every input of the program as a slot, those that `data` names as data."""
    declared = _declarations(tokens)
    inputs = Inputs({}, {})
    counts: dict[Kind, int] = {"data": 0, "weight": 0}
    _number_named(inputs, declared, counts)
    named = {*inputs.scalars, *inputs.arrays}
    names = {item.name: item.size for item in declared if item.name not in named}
    for wanted in data:
        if not _choose(inputs, names, wanted, counts):
            shown = [item.name if item.size is None else f"{item.name}[0..{item.size - 1}]" for item in declared]
            listed = f"[{', '.join(map(repr, shown[:N_SHOWN]))}{', ...' if len(shown) > N_SHOWN else ''}]"
            raise ValueError(f"Argument `data` must name inputs of the program, {listed}, but names {wanted!r}.")
    for name, size in names.items():
        _append(inputs, name, size, "weight", counts)
    return inputs._replace(n_data=counts["data"])


def _declarations(tokens: list[Token]) -> list[_Input]:
    result, cursor = [], Cursor(tokens)
    while cursor.here.kind != "end":
        if cursor.accept("input"):
            result.append(_declared(cursor))
        else:
            cursor.next()
    return result


def _number_named(inputs: Inputs, declared: list[_Input], counts: dict[Kind, int]) -> None:
    """Give inputs that are called after a slot that slot; refuse an input that is declared twice."""
    used: dict[Slot | str, str] = {}
    lines: dict[str, int] = {}
    for item in declared:
        own = _slot(item.name, item.line) if item.size is None else None
        kind = _kind_of_array(item)
        key = own or (item.name if kind is None else f"{kind}[]")
        if key in used or item.name in lines:
            raise refused(item.line, "declare an input once", f"{item.name!r} after {used.get(key, item.name)!r}")
        used[key], lines[item.name] = item.name, item.line
        if own is not None:
            inputs.scalars[item.name] = own
            counts[own.kind] = max(counts[own.kind], own.index + 1)
        elif kind is not None:
            inputs.arrays[item.name] = InputArray(item.size or 0, kind)
            counts[kind] = max(counts[kind], item.size or 0)
    for name, slot in inputs.scalars.items():
        array = used.get(f"{slot.kind}[]")
        if array is not None and slot.index < inputs.arrays[array].size:
            raise refused(lines[name], "declare an input once", f"{name!r} beside the array {array!r}")


def _kind_of_array(item: _Input) -> Kind | None:
    match = SLOT_NAME.fullmatch(f"{item.name}[0]") if item.size is not None else None
    return None if match is None else "data" if match[1] == "data" else "weight"


def _choose(inputs: Inputs, names: dict[str, int | None], wanted: str, counts: dict[Kind, int]) -> bool:
    """Make an input, an array or an element of one a data slot; tell whether there is one."""
    if wanted in names:
        size = names.pop(wanted)
        _append(inputs, wanted, size, "data", counts)
        return True
    match = ELEMENT.fullmatch(wanted)
    size = names.get(match[1]) if match else None
    if match is None or size is None or len(match[2]) > len(str(MAX_INPUTS)):
        return False
    array, index = inputs.arrays.setdefault(match[1], InputArray(size)), int(match[2])
    if index >= size or index in array.chosen or str(index) != match[2]:
        return False
    array.choose(index, Slot("data", counts["data"]))
    counts["data"] += 1
    return True


def _append(inputs: Inputs, name: str, size: int | None, kind: Kind, counts: dict[Kind, int]) -> None:
    """Give an input, or the rest of an array, the next slots."""
    if size is None:
        inputs.scalars[name] = Slot(kind, counts[kind])
        counts[kind] += 1
        return
    array = inputs.arrays.setdefault(name, InputArray(size))
    array.kind, array.start = kind, counts[kind]
    counts[kind] += size - len(array.chosen)


def _slot(name: str, line: int) -> Slot | None:
    match = SLOT_NAME.fullmatch(name)
    if match is None:
        return None
    digits = (match[2] or match[3]).lstrip("0") or "0"
    if len(digits) >= len(str(MAX_INPUTS)):
        raise refused(line, f"number its inputs below {MAX_INPUTS}", repr(name), "Number them from 0 without gaps.")
    return Slot("data" if match[1] == "data" else "weight", int(digits))


def _declared(cursor: Cursor) -> _Input:
    """Read the input that is declared here."""
    is_array = cursor.accept("array")
    if is_array:
        cursor.expect("[")
    line, kind, size = cursor.here.line, cursor.name(), "1"
    if kind not in ("float", "angle"):
        raise refused(line, "have inputs of type float or angle", repr(kind))
    if cursor.accept("["):
        cursor.skip_to("]")
    if is_array:
        cursor.expect(",")
        size = cursor.next().text
        cursor.expect("]")
    if not size.isdecimal() or len(size) > len(str(MAX_INPUTS)) or not 0 < int(size) <= MAX_INPUTS:
        raise refused(line, f"have a whole number up to {MAX_INPUTS} as the size of an array", repr(size))
    name = cursor.name()
    cursor.expect(";")
    return _Input(name, int(size) if is_array else None, line)
