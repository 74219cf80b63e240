"""Results that are kept by circuit."""

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

from circuits import Circuit

T = TypeVar("T")


class KeptByCircuit(Generic[T]):
    """Something for each circuit, made at first use, again once the circuit has grown, and forgotten with the circuit.

    Args:
        make: what makes it, empty at first.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._kept: dict[int, tuple[int, T]] = {}

    def of(self, circuit: Circuit) -> T:
        """Return what is kept for a circuit."""
        identity = id(circuit)
        entry = self._kept.get(identity)
        if entry is None or entry[0] != len(circuit):
            if entry is None:
                weakref.finalize(circuit, self._kept.pop, identity, None)
            entry = self._kept[identity] = (len(circuit), self._make())
        return entry[1]

    def get(self, circuit: Circuit) -> T | None:
        """Return what is kept for a circuit, or None where nothing is."""
        entry = self._kept.get(id(circuit))
        return None if entry is None else entry[1]

    def __len__(self) -> int:
        return len(self._kept)
