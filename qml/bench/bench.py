"""The protocol of a bench: a piece of work, done by this package and by its peers."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

Array = np.ndarray | torch.Tensor | Any  # or another library's array that NumPy can read
Step = Callable[[], Mapping[str, Array]]
"""A timed step; it returns its results by name (a loss, a gradient), to be compared with a peer's."""

Prepare = Callable[[str], Step]
"""Builds the step of a case from the case's name."""


@dataclass(frozen=True)
class Limits:
    """The limits that a peer's process is held to.

    Args:
        seconds: of its first call, planning and compilation included.
        memory: bytes that it may ask the system for (Linux); None for no limit. Ours is held to the same.
    """

    seconds: float | int = 300.0  # a just-in-time compiler may need minutes
    memory: int | None = None


@dataclass(frozen=True)
class Peer:
    """A peer: another library that does the same work.

    Args:
        prepare: Builds the step of a case. Imports of the library belong inside it.
        modules: The modules that it needs, imported before its first call is timed.
        install: Their name for `pip install`.
        torch_facing: Whether a torch user can train through it; the summary compares with the fastest such.
        same_work: Whether it computes the same numbers, which are then compared. Where not (a classical layer of the
            same size) it is timed all the same, and summed up by itself.
        results: Names of the results that it computes, where it cannot compute all of ours; ours does all the work.
        truncates: Whether it may drop a part of the result, so that a wrong one stops it and not the whole bench.
    """

    prepare: Prepare
    modules: tuple[str, ...]
    install: str
    torch_facing: bool = True
    same_work: bool = True
    results: tuple[str, ...] | None = None
    truncates: bool = False

    def missing(self) -> tuple[str, ...]:
        """Return the modules that are not installed."""
        return tuple(module for module in self.modules if importlib.util.find_spec(module) is None)


@dataclass(frozen=True)
class Case:
    """A size of the work, with the peers that are timed at it.

    Args:
        peers: The peers timed at this size; none where ours stands alone.
        left_out: From a peer to the reason why it is not timed at this size.
    """

    peers: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Bench:
    """A bench: the same work in this package and in every peer.

    Args:
        title: A line that describes a step.
        ours: Builds our step of a case.
        peers: Peers by name.
        cases: Cases by name, such as `"8,64"`.
        notes: Returns further lines about a case, such as counts; called after its times.
        limits: What a peer may take. With a limit on memory a table says where each one stops.
        on_one_core: Whether each library has one thread, and the processor's time is taken in place of the clock's, so
            that other programs on the machine disturb a ratio less.
    """

    title: str
    ours: Prepare
    peers: Mapping[str, Peer]
    cases: Mapping[str, Case]
    notes: Callable[[str], list[str]] = lambda case: []
    limits: Limits = Limits()
    on_one_core: bool = False
