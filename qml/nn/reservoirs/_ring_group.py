"""The common base of the simulations of rings: nothing is trained, and every table follows from the rings."""

from typing import Any

import torch
from torch import Tensor

from qml import checks
from qml.nn._fixed_tables import WithTables
from qml.reservoir import Reservoir


class RingGroup(Reservoir, WithTables):
    """A group of rings of one shape, which run as one batch.

    Args:
        n_inputs: numbers that come in at each step.
        n_features: numbers that are read out at each step.
        state_size: numbers of its state.
        dtype: of states and features.
    """

    place: Tensor

    def __init__(self, n_inputs: int, n_features: int, state_size: int, dtype: torch.dtype) -> None:
        super().__init__(n_inputs, n_features, state_size)
        default = torch.get_default_device()
        # It tells dtype and device, which `to` changes, and is empty, so that no values can be lost.
        place = torch.empty(0, dtype=dtype, device="cpu" if default.type == "meta" else default)
        self.register_buffer("place", place, persistent=False)

    def tables(self) -> dict[str, Tensor]:
        """Return the tables in the reservoir's dtype and on its device.

        Raises:
            TypeError: a reservoir in half precision.
            ValueError: a reservoir on the meta device.
        """
        place, last = self.place, self._kept
        if last is not None and last[1] == place.dtype and last[0] == place.device:
            return last[2]
        checks.require_full_precision(place)
        if place.is_meta:
            raise ValueError(
                "The reservoir must have values to be run, but is on the meta device. Call to_empty(device=...), after "
                "which it is whole, since nothing in it is loaded."
            )
        return self.tables_like(place)

    def place_of(self, inputs: Tensor) -> Tensor:
        """Return the tensor that tells dtype and device; see `Reservoir`."""
        self.tables()  # which refuses what cannot run
        return self.place

    def make_tables(self, like: Tensor) -> dict[str, Tensor]:
        """Compute the tables on the CPU, and move them; see `WithTables`."""
        with torch.device("cpu"):
            tables = self.cpu_tables(like.dtype)
        return {name: table.to(like.device) for name, table in tables.items()}

    def cpu_tables(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Compute the tables, of which those of real numbers have this dtype."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Refuse to describe the group: the `OnionReservoir` that it is part of does."""
        raise NotImplementedError
