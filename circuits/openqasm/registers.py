"""Elements, slices and sets of registers: `q[3]`, `q[-1]`, `q[0:2]`, `q[0:2:6]`, `q[{0, 3}]`."""

from collections.abc import Sequence
from typing import TypeVar

from circuits.openqasm.angle_parser import Names
from circuits.openqasm.angles import Expression
from circuits.openqasm.limits import ReaderLimits, refused
from circuits.openqasm.syntax import Cursor

Item = TypeVar("Item")


def read_places(cursor: Cursor, names: Names, limits: ReaderLimits, size: int, register: str) -> Sequence[int]:
    """Read what stands between the brackets behind a register's name, the opening one has been read.

    Args:
        cursor: at the first token behind the bracket.
        names: their meanings.
        limits: of the program; places are counted.
        size: of the register.
        register: its name.
    """
    line = cursor.here.line

    def place() -> int:
        index = Expression(cursor, names, limits).integer(names)
        if not -size <= index < size:
            raise refused(line, f"have an index in 0..{size - 1} for {register}", f"{index}")
        return index % size

    if cursor.accept("{"):
        found: Sequence[int] = [place()]
        while cursor.accept(","):
            found.append(place())
        cursor.expect("}")
        if len(set(found)) < len(found):
            raise refused(line, "name a place once in a set", f"one of {register} again")
    else:
        start = 0 if cursor.here.text == ":" else place()
        found = range(start, start + 1)
        if cursor.accept(":"):
            found = _range(cursor, names, limits, (start, size, line))
    cursor.expect("]")
    limits.spend(len(found) // 2, line)  # none for one, as for a whole register
    return found


def _range(cursor: Cursor, names: Names, limits: ReaderLimits, known: tuple[int, int, int]) -> range:
    """Read the rest of a slice, whose end belongs to it."""
    (start, size, line), step = known, 1

    def number() -> int:
        return size - 1 if cursor.here.text == "]" else Expression(cursor, names, limits).integer(names)

    last = number()
    if cursor.accept(":"):
        step, last = last, number()
    if step == 0:
        raise refused(line, "have steps other than 0", "a step of 0")
    last += size if last < 0 else 0
    found = range(start, last + (1 if step > 0 else -1), step)
    if not found or not 0 <= last < size:
        raise refused(line, f"have slices of places in 0..{size - 1}, at least one", f"[{start}:{step}:{last}]")
    return found


def picked(items: Sequence[Item], places: Sequence[int]) -> Sequence[Item]:
    """Return the items at places."""
    if isinstance(places, range):
        stop = places.stop if places.stop >= 0 else None  # behind the first, going down
        return items[places.start : stop : places.step]
    return [items[place] for place in places]
