"""Blocks of gates on the same few sites, each of which is one instruction: the way of lowering for every circuit."""

from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from qml.simulator.jit import instructions as columns
from qml.simulator.jit.levels import is_diagonal, monomial
from qml.simulator.linear import NEGLIGIBLE, Linear
from qml.simulator.phases import eigenbasis
from qml.simulator.tables import matrix_stack

PAULIS = {
    columns.Z_AXIS: np.array([[1, 0], [0, -1]]),
    columns.Y_AXIS: np.array([[0, -1j], [1j, 0]]),
    columns.X_AXIS: np.array([[0, 1], [1, 0]]),
}
BlockKind = Literal["single", "wide", "permutation", "rotation"]


@dataclass(eq=False)
class GateBlock:
    """Maps that are one instruction: on one site, on the same few sites, or constant ones that permute basis states.

    Attributes:
        kind: which of the three; "rotation" for maps on one site that all are rotations about an axis.
        sites: where the matrix acts, the first the most significant; for a permutation all sites that it touches.
        controls: further sites that must read 1.
        maps: in order of application.
    """

    kind: BlockKind
    sites: tuple[int, ...]
    controls: tuple[int, ...]
    maps: list[Linear] = field(default_factory=list)

    @property
    def touched(self) -> set[int]:
        return {*self.sites, *self.controls}

    @property
    def by_sample(self) -> bool:
        return any(by_sample(linear) for linear in self.maps)


def by_sample(linear: Linear) -> bool:
    """Tell whether a map depends on data."""
    return linear.slot is not None and linear.slot.kind == "data"


def gate_blocks(maps: list[Linear], *, with_rotations: bool = False) -> list[GateBlock]:
    """Group maps: each joins the last block on its sites if it is of the same kind, or a permutation within reach.

    Args:
        maps: in order of application.
        with_rotations: whether rotations by data and by weights share blocks.
    """
    blocks: list[GateBlock] = []
    for linear in maps:
        kind: BlockKind = "single" if len(linear.all_sites) == 1 else "wide"
        if with_rotations and rotation_of(linear) is not None:
            kind = "rotation"
        permutes = linear.slot is None and kind != "rotation" and monomial(linear.constant) is not None
        block = _joinable(blocks, linear, kind)
        if block is None and permutes:
            kind = "permutation"
            block = _joinable(blocks, linear, kind)
        if block is None:
            kind = "single" if len(linear.all_sites) == 1 and kind != "rotation" else kind
            block = GateBlock(kind, linear.sites, linear.controls)
            blocks.append(block)
        if kind == "permutation":
            block.sites += tuple(site for site in linear.all_sites if site not in block.sites)
            block.controls = ()
        block.maps.append(linear)
    return blocks


def controls_apart(linear: Linear) -> Linear:
    """Take sites that only decide whether a map acts out of its matrix; permutations stay as they are."""
    stack, sites = matrix_stack(linear), list(linear.sites)
    if len(sites) == 1 or (linear.slot is None and monomial(linear.constant) is not None):
        return linear
    controls = []
    for site in linear.sites[:-1]:
        rest = _if_one(stack, sites.index(site), len(sites))
        if len(sites) > 1 and rest is not None:
            stack = rest
            sites.remove(site)
            controls.append(site)
    if not controls:
        return linear
    terms = tuple(
        (frequency, stack[1 + k], stack[1 + len(linear.terms) + k]) for k, (frequency, _, _) in enumerate(linear.terms)
    )
    return Linear(tuple(sites), stack[0], terms, linear.slot, (*linear.controls, *controls))


def _if_one(stack: np.ndarray, place: int, n_sites: int) -> np.ndarray | None:
    """Return the matrices where a site reads 1, if they are the identity where it reads 0; None otherwise."""
    size = 2**n_sites
    bit = np.arange(size) >> (n_sites - 1 - place) & 1
    zeros, ones = np.flatnonzero(bit == 0), np.flatnonzero(bit == 1)
    expected = np.zeros((len(stack), size // 2, size // 2))
    expected[0] = np.eye(size // 2)
    acts = stack[:, zeros][:, :, zeros] - expected, stack[:, zeros][:, :, ones], stack[:, ones][:, :, zeros]
    if max(np.abs(part).max() for part in acts) > NEGLIGIBLE:
        return None
    return stack[:, ones][:, :, ones]


def _joinable(blocks: list[GateBlock], linear: Linear, kind: BlockKind) -> GateBlock | None:
    """Find the block that a map may join, not past one that shares a site with it."""
    sites = set(linear.all_sites)
    for block in reversed(blocks):
        if block.kind == kind and (kind == "permutation" or _goes_into(linear, block)):
            return block
        if not sites.isdisjoint(block.touched):
            return None
    return None


def _goes_into(linear: Linear, block: GateBlock) -> bool:
    """Tell whether a map acts on a block's sites, and depends on data if that does."""
    same = set(block.sites) == set(linear.sites) and set(block.controls) == set(linear.controls)
    return same and (block.kind == "rotation" or block.by_sample == by_sample(linear))


def product_first(blocks: list[GateBlock]) -> list[tuple[GateBlock, bool]]:
    """Put the one-site blocks before any wider one on their sites at the beginning, the least significant site first.

    Until a site is touched, only rows with 0 there hold anything. In this order the state grows with every instruction,
    and all of them together cost as much as one of the others.
    """
    early: list[GateBlock] = []
    late: list[GateBlock] = []
    entangled: set[int] = set()
    for block in blocks:
        if block.kind in ("single", "rotation") and entangled.isdisjoint(block.sites):
            early.append(block)
        else:
            late.append(block)
            entangled.update(block.touched)
    early.sort(key=lambda block: -block.sites[0])
    return [(block, True) for block in early] + [(block, False) for block in late]


def rotation_of(linear: Linear) -> tuple[int, float] | None:
    """Return axis and rate of a rotation exp(-i rate t P) of one site, with t = 1 if constant; None for other maps."""
    if len(linear.all_sites) != 1 or len(linear.terms) != (0 if linear.slot is None else 1):
        return None
    stack = matrix_stack(linear)
    if linear.slot is not None and np.abs(stack[:2] - [np.zeros((2, 2)), np.eye(2)]).max() > NEGLIGIBLE:
        return None
    cosine = 0.0 if linear.slot is not None else np.real(0.5 * np.trace(linear.constant))
    for axis, pauli in PAULIS.items():
        sine = np.real(0.5j * np.trace(pauli @ stack[-1]))
        if np.abs(cosine * np.eye(2) - 1j * sine * pauli - stack[-1]).max() < NEGLIGIBLE:
            return axis, float(sine * linear.terms[0][0] if linear.terms else np.arctan2(sine, cosine))
    return None


def with_phases(linear: Linear) -> list[Linear]:
    """Return a map of data as a diagonal between constant maps, and any other as it is."""
    if not by_sample(linear) or is_diagonal(linear):
        return [linear]
    basis, diagonal = eigenbasis(linear)
    before, after = Linear(linear.sites, basis.conj().T), Linear(linear.sites, basis)
    return [before, replace(diagonal, controls=linear.controls), after]
