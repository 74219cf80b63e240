"""From linear maps to fused blocks: which gates become one matrix, one index table or one data-dependent step.

A map may move back past blocks that share no site with it and join the last block into which it fits. Two knobs
span the variants among which the cost model chooses: how many sites a block may have, and whether permutations (CX,
SWAP, X) are absorbed into blocks or collected into index tables of the whole register.
"""

from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

import numpy as np

from qml.simulator.expressions import Expressions
from qml.simulator.linear import Linear
from qml.simulator.phases import is_phase

BlockKind = Literal["shared", "permutation", "phase", "data", "controlled"]


@dataclass(eq=False)
class FusedBlock:
    """Maps that are applied together.

    Attributes:
        kind: a matrix shared by the batch, an index table, phases with angles of each sample, another map with such an
            angle, or a map under wide controls.
        sites: where it acts, in the order of first use.
        maps: in order of application.
    """

    kind: BlockKind
    sites: list[int]
    maps: list[Linear] = field(default_factory=list)

    def add(self, linear: Linear) -> None:
        """Append a map and its sites."""
        self.maps.append(linear)
        self.sites.extend(site for site in linear.all_sites if site not in self.sites)


def split_prefix(maps: list[Linear], taken: set[int]) -> tuple[dict[int, list[Linear]], list[Linear]]:
    """Return the one-site maps before any wider map on their site, and the rest; `taken` sites have no prefix."""
    chains: dict[int, list[Linear]] = {}
    closed, rest = set(taken), []
    for linear in maps:
        sites = linear.all_sites
        if len(sites) == 1 and sites[0] not in closed:
            chains.setdefault(sites[0], []).append(linear)
        else:
            closed.update(sites)
            rest.append(linear)
    return chains, rest


def last_sites_first(maps: list[Linear], layout: tuple[int, ...]) -> list[Linear]:
    """Sort runs of one-site maps, which commute between sites, from the end of the register to its beginning.

    Blocks fill up in this order, so that what is left over for a small block lies at the most significant sites, where
    a small matrix meets long rows.
    """
    place = {site: k for k, site in enumerate(layout)}
    result: list[Linear] = []
    for is_single, run in groupby(maps, key=lambda linear: len(linear.all_sites) == 1):
        members = list(run)
        result.extend(sorted(members, key=lambda linear: -place[linear.sites[0]]) if is_single else members)
    return result


def fuse(maps: list[Linear], *, max_sites: int, absorb_permutations: bool) -> list[FusedBlock]:
    """Group maps into blocks of at most `max_sites` sites."""
    blocks: list[FusedBlock] = []
    for linear in maps:
        kind = _kind(linear, absorb_permutations)
        block = _joinable(blocks, linear, kind, max_sites)
        if block is None:
            block = FusedBlock(kind, [])
            blocks.append(block)
        block.add(linear)
    return blocks


def _kind(linear: Linear, absorb_permutations: bool) -> BlockKind:
    if linear.controls:
        return "controlled"
    if linear.slot is not None and linear.slot.kind == "data":
        return "phase" if is_phase(linear) else "data"
    if not absorb_permutations and linear.table is not None:
        return "permutation"
    return "shared"


def _joinable(blocks: list[FusedBlock], linear: Linear, kind: BlockKind, max_sites: int) -> FusedBlock | None:
    """Find the block that a map may join: the last before it that it overlaps, or else the first that it reaches."""
    if kind in ("data", "controlled"):
        return None
    sites, joinable = set(linear.all_sites), None
    for block in reversed(blocks):
        overlap = not sites.isdisjoint(block.sites)
        if (
            block.kind == kind
            and (overlap or joinable is None)
            and (kind in ("permutation", "phase") or len(sites.union(block.sites)) <= max_sites)
        ):
            joinable = block
        if overlap:
            break
    return joinable


# --- the matrix of a block --------------------------------------------------------------------------------------------


def block_expression(expressions: Expressions, maps: list[Linear], order: tuple[int, ...], levels: int) -> int:
    """Express the product of `maps` on sites in the given order, the first the most significant, and return its node.

    One-site maps wait until a wider map needs them, so that a layer of rotations is one Kronecker product.
    """
    return _BlockBuilder(expressions, order, levels).build(maps)


class _BlockBuilder:
    """A block's matrix while it grows: factors on disjoint sites, and one-site maps that wait."""

    def __init__(self, expressions: Expressions, order: tuple[int, ...], levels: int) -> None:
        self.expressions, self.order, self.levels = expressions, order, levels
        self.factors: list[tuple[tuple[int, ...], int]] = []
        self.waiting: dict[int, int] = {}

    def build(self, maps: list[Linear]) -> int:
        for linear in maps:
            if len(linear.sites) == 1:
                self._wait(linear)
            else:
                self._apply(linear)
        node = self._gather(self.order)
        return self._identity(self.order) if node is None else node

    def _wait(self, linear: Linear) -> None:
        (site,) = linear.sites
        node = self.expressions.leaf(linear)
        if site in self.waiting:
            table = linear.table
            earlier = self.waiting[site]
            node = self.expressions.product(node, earlier) if table is None else self.expressions.rows(earlier, table)
        self.waiting[site] = node

    def _apply(self, linear: Linear) -> None:
        touched = {site for sites, _ in self.factors if not set(sites).isdisjoint(linear.sites) for site in sites}
        sites = tuple(site for site in self.order if site in touched or site in linear.sites)
        base, table = self._gather(sites), linear.table
        rest = tuple(site for site in sites if site not in linear.sites)
        lifted_order = reorder_table(linear.sites + rest, sites, self.levels)
        if table is not None:
            lifted = np.kron(linear.constant, np.eye(self.levels ** len(rest)))[np.ix_(lifted_order, lifted_order)]
            base = self._identity(sites) if base is None else base
            node = self.expressions.rows(base, np.argmax(np.abs(lifted), axis=1))
        else:
            lifted = self.expressions.leaf(linear)
            if rest:
                lifted = self.expressions.kron(lifted, self._identity(rest))
            lifted = self.expressions.reorder(lifted, lifted_order)
            node = lifted if base is None else self.expressions.product(lifted, base)
        self.factors.append((sites, node))

    def _gather(self, sites: tuple[int, ...]) -> int | None:
        """Join the factors and the waiting maps on `sites` to one matrix in that order; None where there are none."""
        touched = [factor for factor in self.factors if not set(factor[0]).isdisjoint(sites)]
        self.factors = [factor for factor in self.factors if factor not in touched]
        base = None
        if touched:
            covered = tuple(site for group, _ in touched for site in group)
            missing = tuple(site for site in sites if site not in covered)
            parts = [node for _, node in touched] + ([self._identity(missing)] if missing else [])
            table = reorder_table(covered + missing, sites, self.levels)
            base = self.expressions.reorder(self._kron_all(parts), table)
        waiting = [self.waiting.pop(site, None) for site in sites]
        if all(node is None for node in waiting):
            return base
        single = self._identity(sites[:1])
        late = self._kron_all([single if node is None else node for node in waiting])
        return late if base is None else self.expressions.product(late, base)

    def _kron_all(self, nodes: list[int]) -> int:
        while len(nodes) > 1:
            pairs = [self.expressions.kron(a, b) for a, b in zip(nodes[::2], nodes[1::2], strict=False)]
            nodes = pairs + ([nodes[-1]] if len(nodes) % 2 else [])
        return nodes[0]

    def _identity(self, sites: tuple[int, ...]) -> int:
        return self.expressions.constant(np.eye(self.levels ** len(sites)))


def reorder_table(old: tuple[int, ...], new: tuple[int, ...], levels: int) -> np.ndarray:
    """Return, for each basis state with sites in the order `new`, its index where they stand in the order `old`."""
    index = np.arange(levels ** len(old)).reshape((levels,) * len(old))
    return index.transpose([old.index(site) for site in new]).reshape(-1)


def digit_groups(old: tuple[int, ...], new: tuple[int, ...], levels: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """View a register as few digits: their sizes in the order `old`, and their order in `new`.

    Runs of sites that stay neighbours are one digit.
    """
    runs: list[list[int]] = []
    for site in new:
        place = old.index(site)
        if runs and runs[-1][-1] == place - 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    ordered = sorted(runs)
    return tuple(levels ** len(run) for run in ordered), tuple(ordered.index(run) for run in runs)


def gathered(layout: tuple[int, ...], sites: list[int]) -> tuple[int, ...]:
    """Return a layout in which `sites` are neighbours: the given one if they are, else with them at the front."""
    places = sorted(layout.index(site) for site in sites)
    if places[-1] - places[0] == len(places) - 1:
        return layout
    chosen = tuple(layout[place] for place in places)
    return chosen + tuple(site for site in layout if site not in chosen)


def register_table(maps: list[Linear], layout: tuple[int, ...], levels: int) -> np.ndarray:
    """Return the rows to gather in the whole register, its sites in the order `layout`, for maps that permute, in turn.

    CX, SWAP and X act on the bits of the index as affine maps over GF(2), and so does any product of them: only its
    values at 0 and at the single bits are followed, and the table is doubled up from those.
    """
    n_sites = len(layout)
    if levels == 2 and all(_is_affine(linear) for linear in maps):
        seeds = np.array([0] + [1 << bit for bit in range(n_sites)])
        for linear in reversed(maps):
            seeds = _source_rows(seeds, linear, layout, levels)
        table = seeds[:1]
        for column in seeds[1:]:
            table = np.concatenate([table, table ^ (column ^ seeds[0])])
        return table
    table = np.arange(levels**n_sites)
    for linear in reversed(maps):
        table = _source_rows(table, linear, layout, levels)
    return table


def _source_rows(rows: np.ndarray, linear: Linear, layout: tuple[int, ...], levels: int) -> np.ndarray:
    """Return the row that each row's content comes from."""
    table = linear.table
    if table is None:
        raise ValueError("Only a permutation has an index table.")
    places = [len(layout) - 1 - layout.index(site) for site in linear.sites]  # exponent of each site's digit
    digits = [(rows // levels**place) % levels for place in places]
    local = np.zeros_like(rows)
    for digit in digits:
        local = local * levels + digit
    source, result = table[local], rows.copy()
    for k, (place, digit) in enumerate(zip(places, digits, strict=True)):
        new_digit = (source // levels ** (len(places) - 1 - k)) % levels
        result += (new_digit - digit) * levels**place
    return result


def _is_affine(linear: Linear) -> bool:
    table = linear.table
    if table is None:
        return False
    built = table[:1]
    for bit in range(len(table).bit_length() - 1):
        built = np.concatenate([built, built ^ (table[1 << bit] ^ table[0])])
    return bool(np.array_equal(built, table))
