"""Tables that follow from a layer's sizes and seeds: made when they are needed, and no part of its state."""

import torch
from torch import Tensor, nn

from qml import checks
from qml.checks import full_precision


class WithTables(nn.Module):
    """A layer with tables that follow from its sizes, in the dtype and on the device of a tensor.

    They are no buffers: a buffer that is not in the state has no values in a layer that was made on the meta device,
    and those of some other memory after `to_empty`, whatever state is loaded then.
    """

    _kept: tuple[torch.device, torch.dtype, dict[str, Tensor]] | None = None  # replaced whole, so threads may share it

    __prepare_scriptable__ = checks.refuse_scripting

    def make_tables(self, like: Tensor) -> dict[str, Tensor]:
        """Compute the tables in the dtype and on the device of `like`."""
        raise NotImplementedError

    def tables_like(self, like: Tensor) -> dict[str, Tensor]:
        """Return the tables of the last call where dtype and device are the same, else new ones."""
        last = self._kept
        if last is not None and last[0] == like.device and last[1] == like.dtype:
            return last[2]
        with full_precision(like):
            if checks.in_transform():  # made there they may belong to the transform alone
                return self.make_tables(like)
            with torch.inference_mode(False), torch.no_grad():  # they serve gradients too
                tables = self.make_tables(like)
        if all(type(table) is Tensor for table in tables.values()):
            self._kept = like.device, like.dtype, tables
        return tables
