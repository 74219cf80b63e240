"""What a bench is: one piece of work, done by this package and by its peers."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

Array = np.ndarray | torch.Tensor | Any  # or what another library has, as long as NumPy can read it
Step = Callable[[], Mapping[str, Array]]
"""One timed step; returns what it computed by name (a loss, a gradient), to be compared with a peer's."""

Prepare = Callable[[str], Step]
"""Builds the step of a case from the case's name."""


@dataclass(frozen=True)
class Peer:
    """Another library that does the same work.

    Args:
        prepare: builds the step of a case. Imports of the library belong inside it.
        modules: the modules it needs, imported before its first call is timed.
        install: what `pip install` calls them.
        torch_facing: whether a torch user can train through it; the summary compares with the fastest such.
        same_work: whether it computes the same numbers, which are then compared. Where not (a classical layer of the
            same size) it is timed all the same, and summed up by itself.
    """

    prepare: Prepare
    modules: tuple[str, ...]
    install: str
    torch_facing: bool = True
    same_work: bool = True

    def missing(self) -> tuple[str, ...]:
        """The modules that are not installed."""
        return tuple(module for module in self.modules if importlib.util.find_spec(module) is None)


@dataclass(frozen=True)
class Case:
    """One size of the work.

    Args:
        peers: the peers timed at this size; none where ours stands alone.
        left_out: peer to the reason why it is not timed at this size.
    """

    peers: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """The same work in ours and in every peer.

    Args:
        title: one line that says what a step does.
        ours: builds our step of a case.
        peers: name to peer.
        cases: name (such as `"8,64"`) to case.
        notes: what else is printed about a case, such as counts; called after its times.
    """

    title: str
    ours: Prepare
    peers: Mapping[str, Peer]
    cases: Mapping[str, Case]
    notes: Callable[[str], list[str]] = lambda case: []
