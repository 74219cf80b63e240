"""Circuits of real rotations between phases and permutations, level by level.

Every map gets the earliest level after those of its sites. On one level stand real matrices of single sites, and at
most one phased permutation, which takes all phases and permutations of that level on whatever sites. So a layer of
rotations RZ RY RZ with entangling gates is two levels.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from qml.simulator.linear import NEGLIGIBLE, Linear
from qml.simulator.tables import matrix_stack

QUARTER_TURN = np.array([1.0, 1.0j])  # the phases between which a rotation about X is one about Y


@dataclass(eq=False)
class LevelBlock:
    """Maps that are one instruction.

    Attributes:
        is_turn: whether it is a real matrix of one site, else a phased permutation.
        sites: the site of a real matrix; of a phased permutation all that it touches.
        controls: further sites that must read 1, of a real matrix alone.
        maps: in order of application.
        has_angles: whether there is a map with an angle.
    """

    is_turn: bool
    sites: tuple[int, ...]
    controls: tuple[int, ...]
    maps: list[Linear] = field(default_factory=list)
    has_angles: bool = False

    @property
    def by_sample(self) -> bool:
        return any(linear.slot is not None and linear.slot.kind == "data" for linear in self.maps)


@dataclass(frozen=True)
class Phase:
    """A factor exp(i coefficient t (-1)^|row & mask|) of every row."""

    linear: Linear
    mask: int
    coefficient: float


def level_blocks(maps: list[Linear], n_sites: int) -> list[list[LevelBlock]] | None:
    """Return the blocks of every level; None where a map is neither of these kinds nor made of them."""
    parts = [part for linear in maps for part in _parts(linear)]
    if any(part is None for part in parts):
        return None
    levels: list[list[LevelBlock]] = []
    at = [-1] * n_sites
    for linear in parts:
        if linear is not None:
            place = _place(levels, at, linear)
            for site in linear.all_sites:
                at[site] = place
    return levels


def monomial(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return sources and phases of a matrix with one entry of modulus 1 a row; None for another matrix."""
    sources = np.argmax(np.abs(matrix), axis=1)
    rows = np.arange(len(sources))
    phases = matrix[rows, sources]
    others = matrix.copy()
    others[rows, sources] = 0.0
    if np.abs(others).max() > 0.0 or np.abs(np.abs(phases) - 1.0).max() > NEGLIGIBLE:
        return None
    return sources, phases


def phases_of(linear: Linear, n_sites: int) -> list[Phase] | None:
    """Return a diagonal map with an angle as phases of Z strings; None where it has other entries than exp(i w t)."""
    stack = np.diagonal(matrix_stack(linear), axis1=1, axis2=2)
    constant, cosine, sine = stack
    turns = np.abs(cosine - 1.0) < NEGLIGIBLE
    fits = np.where(turns, np.abs(constant), np.abs(constant - 1.0) + np.abs(cosine) + np.abs(sine))
    if fits.max() > NEGLIGIBLE or np.abs(sine.real).max() > NEGLIGIBLE:
        return None
    rates = linear.terms[0][0] * sine.imag
    for _ in linear.controls:  # the first sites: nothing happens where one of them reads 0
        rates = np.concatenate([np.zeros_like(rates), rates])
    sites = linear.controls[::-1] + linear.sites
    result = []
    for local in range(len(rates)):
        signs = np.array([1 - 2 * ((row & local).bit_count() & 1) for row in range(len(rates))])
        coefficient = float(signs @ rates) / len(rates)
        if abs(coefficient) > NEGLIGIBLE:
            bits = (site for k, site in enumerate(sites) if local >> (len(sites) - 1 - k) & 1)
            result.append(Phase(linear, sum(1 << (n_sites - 1 - site) for site in bits), coefficient))
    return result


def moved_phases(phases: list[Phase], later: np.ndarray, n_sites: int) -> list[Phase]:
    """Return phases as they are behind a permutation out[i] = in[later[i]] that is affine over the bits."""
    ends = [int(later[0]), *(int(later[1 << bit]) for bit in range(n_sites))]
    result = []
    for phase in phases:
        first, *others = ((row & phase.mask).bit_count() & 1 for row in ends)
        mask = sum((odd ^ first) << bit for bit, odd in enumerate(others))
        result.append(replace(phase, mask=mask, coefficient=-phase.coefficient if first else phase.coefficient))
    return result


def _parts(linear: Linear) -> list[Linear | None]:
    """Return a map as real matrices of one site, phases and permutations; [None] where it is not made of them."""
    if linear.slot is None:
        is_simple = monomial(linear.constant) is not None or (len(linear.sites) == 1 and linear.is_real)
        return [linear if is_simple else None]
    if is_diagonal(linear):
        return [linear if phases_of(linear, max(linear.all_sites) + 1) is not None else None]
    if len(linear.sites) > 1:
        return [None]
    if linear.is_real:
        return [linear]
    turned = replace(
        linear,
        constant=_between_phases(linear.constant),
        terms=tuple((frequency, *map(_between_phases, pair)) for frequency, *pair in linear.terms),
        kind=None,
    )
    if not turned.is_real:
        return [None]
    before, after = Linear(linear.sites, np.diag(1.0 / QUARTER_TURN)), Linear(linear.sites, np.diag(QUARTER_TURN))
    return [before, turned, after]


def _between_phases(matrix: np.ndarray) -> np.ndarray:
    return matrix * (QUARTER_TURN / QUARTER_TURN[:, None])


def is_diagonal(linear: Linear) -> bool:
    """Tell whether a map is diagonal at every angle."""
    stack = matrix_stack(linear)
    return bool(np.abs(stack[:, ~np.eye(stack.shape[1], dtype=bool)]).max() < NEGLIGIBLE)


def _place(levels: list[list[LevelBlock]], at: list[int], linear: Linear) -> int:
    """Put a map into a block of the earliest level that takes it, and return that level."""
    sites = set(linear.all_sites)
    level = max(at[site] for site in sites)
    last = {site for site in sites if at[site] == level}
    is_turn = len(linear.sites) == 1 and linear.is_real and not _moves(linear)
    while True:
        if level == len(levels):
            levels.append([])
        if level >= 0:
            block = next((one for one in levels[level] if last <= {*one.sites, *one.controls} and last), None)
            fitting = block is not None and block.is_turn == is_turn and _takes(block, linear)
            if not last:
                block = None if is_turn else next((one for one in levels[level] if not one.is_turn), None)
                fitting = block is None or _takes(block, linear)
            if fitting:
                break
        level, last = level + 1, set()
    if block is None:
        block = LevelBlock(is_turn, linear.sites, linear.controls if is_turn else ())
        levels[level].append(block)
    if not is_turn:
        block.sites += tuple(site for site in linear.all_sites if site not in block.sites)
    block.maps.append(linear)
    block.has_angles |= linear.slot is not None
    return level


def _moves(linear: Linear) -> bool:
    return linear.slot is None and monomial(linear.constant) is not None


def _takes(block: LevelBlock, linear: Linear) -> bool:
    if block.is_turn:
        by_sample = linear.slot is not None and linear.slot.kind == "data"
        same = block.sites == linear.sites and block.controls == linear.controls
        return same and block.by_sample == by_sample
    return not block.has_angles or not _moves(linear) or _is_affine(linear)


def _is_affine(linear: Linear) -> bool:
    """Tell whether a permutation is affine over the bits; a controlled one hardly ever is."""
    found = monomial(linear.constant)
    if found is None:
        return False
    sources, n_bits = found[0], len(linear.sites)
    if linear.controls:
        return bool(np.array_equal(sources, np.arange(len(sources))))
    rebuilt = np.full(len(sources), sources[0])
    rows = np.arange(len(sources))
    for bit in range(n_bits):
        rebuilt = rebuilt ^ np.where(rows >> bit & 1, sources[1 << bit] ^ sources[0], 0)
    return bool(np.array_equal(rebuilt, sources))
