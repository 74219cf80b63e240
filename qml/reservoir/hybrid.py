"""Several reservoirs side by side, or one feeding another."""

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from qml import checks
from qml.reservoir.description import build, describe
from qml.reservoir.reservoir import Reservoir


class HybridReservoir(Reservoir):
    """A reservoir made of reservoirs of any kind, quantum and classical, which run side by side or in a row.

    Args:
        reservoirs: two or more.
        feed: False drives all with the inputs; True drives the first with the inputs and each other one with the
            features of the one before it, so that its `n_inputs` must be their number.

    Shape:
        (batch, time, n_inputs) to (batch, time, n_features), the features of all in order.

    Reference:
        The classical layer beside onion rings of arXiv:2505.22837; in a row: deep echo state networks, Gallicchio et
        al., doi:10.1016/j.neucom.2016.12.089.
    """

    def __init__(self, *reservoirs: Reservoir, feed: bool = False) -> None:
        for place, part in enumerate(reservoirs):
            if not isinstance(part, Reservoir):
                fix = " Pass them one by one, HybridReservoir(*reservoirs)." if isinstance(part, (list, tuple)) else ""
                raise TypeError(
                    f"Argument `reservoirs[{place}]` must be a Reservoir, but is {type(part).__name__}.{fix}"
                )
        feed = checks.as_flag(feed, "feed")
        if len(reservoirs) < 2:
            raise ValueError(f"Argument `reservoirs` must hold at least two, but holds {len(reservoirs)}.")
        for before, after in pairwise(reservoirs):
            wanted = before.n_features if feed else before.n_inputs
            if after.n_inputs != wanted:
                raise ValueError(
                    f"Argument `reservoirs` must fit together: {type(after).__name__} must have n_inputs={wanted} "
                    f"behind {type(before).__name__}, but has {after.n_inputs}."
                )
        super().__init__(
            reservoirs[0].n_inputs, sum(r.n_features for r in reservoirs), sum(r.state_size for r in reservoirs)
        )
        self.reservoirs, self.feed = nn.ModuleList(reservoirs), feed

    @property
    def parts(self) -> list[Reservoir]:
        """Return the reservoirs in order."""
        return [part for part in self.reservoirs if isinstance(part, Reservoir)]

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """Join the initial states of all reservoirs; see `Reservoir`."""
        return torch.cat([part.initial_state(batch, like) for part in self.parts], 1)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reservoir`."""
        features, states, driver = [], [], inputs
        for part, own in zip(self.parts, state.split([part.state_size for part in self.parts], 1), strict=True):
            read, after = part.advance(driver, own.to(part.initial_state(0, driver)))  # each in its own precision
            features.append(read)
            states.append(after)
            driver = read.to(inputs.dtype) if self.feed else inputs
        return torch.cat(features, -1), torch.cat(states, 1)

    def config(self) -> dict[str, Any]:
        """See `Reservoir`."""
        return {"reservoirs": [describe(part) for part in self.parts], "feed": self.feed}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "HybridReservoir":
        """Build the reservoir of a `config`."""
        return cls(*(build(part) for part in config["reservoirs"]), feed=config["feed"])
