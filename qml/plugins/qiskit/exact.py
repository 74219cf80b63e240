"""Exact distributions of classical registers, in the place of samples."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.primitives import DataBin, SamplerPubResult

NEGLIGIBLE = 1e-15  # a probability that is rounding


@dataclass(frozen=True, eq=False)
class ExactBits:
    """The probabilities of a register's values, where a sampler with shots has a `BitArray`.

    Attributes:
        probabilities: (*shape, 2**num_bits), the register's bit 0 the lowest of a value.
        num_bits: of the register.
    """

    probabilities: np.ndarray
    num_bits: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the PUB."""
        return self.probabilities.shape[:-1]

    @property
    def num_shots(self) -> None:
        """Return None: there are no shots."""
        return

    def __getitem__(self, indices: Any) -> "ExactBits":
        return ExactBits(self.probabilities[indices], self.num_bits)

    def get_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[str, float]:
        """Return the probability of each bit string, which takes the place of its count.

        Args:
            loc: a place in the PUB's shape; None for the sum over all, as `BitArray` has it.
        """
        return {format(value, f"0{self.num_bits}b"): share for value, share in self.get_int_counts(loc).items()}

    def get_int_counts(self, loc: int | tuple[int, ...] | None = None) -> dict[int, float]:
        """Return the probability of each value; see `get_counts`."""
        rows = self.probabilities if self.shape else self.probabilities[None]  # a single place is place 0
        table = rows.reshape(-1, 2**self.num_bits).sum(0) if loc is None else rows[loc]
        return {int(value): float(table[value]) for value in np.flatnonzero(table > NEGLIGIBLE)}


class ExactResult(SamplerPubResult):
    """The result of a PUB without shots.

    Args:
        joint: (*shape, 2**bits), the probabilities of the values of all `bits`, the first the lowest.
        bits: numbers of classical bits.
        registers: the numbers of the bits of each register.
        metadata: of the PUB.
    """

    def __init__(
        self,
        joint: np.ndarray,
        bits: Sequence[int],
        registers: Mapping[str, Sequence[int]],
        metadata: dict[str, Any],
    ) -> None:
        self._joint, self._bits, self._registers = joint, list(bits), registers
        data: dict[str, Any] = {name: self._of(own) for name, own in registers.items()}
        super().__init__(DataBin(**data, shape=joint.shape[:-1]), metadata=metadata)

    def join_data(self, names: Iterable[str] | None = None) -> Any:
        """Return the joint distribution of some registers, by default all, the first lowest.

        Raises:
            ValueError: a name that no register has, or no names.
        """
        chosen = list(self._registers) if names is None else list(names)
        if not chosen or not set(chosen) <= set(self._registers):
            raise ValueError(f"Argument `names` must name registers among {list(self._registers)}, but is {chosen}.")
        return self._of([bit for name in chosen for bit in self._registers[name]])

    def _of(self, bits: Sequence[int]) -> ExactBits:
        """Return the distribution of some bits."""
        values = np.arange(self._joint.shape[-1])
        targets = np.zeros_like(values)
        for place, bit in enumerate(bits):
            targets |= (values >> self._bits.index(bit) & 1) << place
        result = np.zeros((2 ** len(bits), *self._joint.shape[:-1]))
        np.add.at(result, targets, np.moveaxis(self._joint, -1, 0))
        return ExactBits(np.moveaxis(result, 0, -1), len(bits))
