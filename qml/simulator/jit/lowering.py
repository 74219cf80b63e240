"""From linear maps to the instructions of the kernel: which gates become one matrix, one permutation, one diagonal.

There are three ways. Blocks of gates on the same few sites (`qml.simulator.jit.gate_blocks`) are for every circuit, and
so are such blocks in which rotations of a site by data and by weights are one product. Levels of real rotations between
phases and permutations (`qml.simulator.jit.levels`) are for circuits that are made of them. The quickest is taken.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from qml.simulator.jit.gate_blocks import (
    GateBlock,
    by_sample,
    controls_apart,
    gate_blocks,
    product_first,
    rotation_of,
    with_phases,
)
from qml.simulator.jit.instructions import MAX_SIDE, Instructions
from qml.simulator.jit.levels import level_blocks
from qml.simulator.jit.writer import ROW_OPERATIONS, Writer
from qml.simulator.linear import Linear, Preparation
from qml.simulator.readout import Terms, sign_vector, string_bits

MAX_COEFFICIENTS = 2**22  # of all strings, one for each amplitude; more are left to the other routes


def lower(
    maps: list[Linear], terms: Terms, preparations: Sequence[Preparation] = (), *, by_levels: bool = True
) -> Instructions | None:
    """Write maps and observables as instructions.

    Sites that no map touches and no preparation fills stay in 0, and are left out.

    Args:
        maps: unitary, in order of application.
        terms: the observables' weighted Pauli strings.
        preparations: the amplitudes that sites start with; all others start in 0.
        by_levels: whether levels are tried, whose loops run over samples and are slow for few.

    Returns:
        The instructions; None where a matrix is too large or turns with several frequencies, or where the observables
        have too many strings.
    """
    if any(len(linear.constant) > MAX_SIDE or len(linear.terms) > 1 for linear in maps):
        return None
    prepared = [site for preparation in preparations for site in preparation.sites]
    layout = tuple(sorted({site for linear in maps for site in linear.all_sites} | set(prepared)))
    strings, n_sites = _by_mask(terms, layout), len(layout)
    if len(strings) * 2**n_sites > MAX_COEFFICIENTS:
        return None
    maps = [controls_apart(linear) for linear in _renumbered(maps, layout)]
    levels = level_blocks(maps, n_sites) if by_levels else None
    writers = [_write_blocks(n_sites, gate_blocks(_apart(maps)), is_empty=not prepared)]
    if any(by_sample(linear) and rotation_of(linear) is not None for linear in maps):
        blocks = gate_blocks(_apart(maps, with_rotations=True), with_rotations=True)
        writers.append(_write_blocks(n_sites, blocks, is_empty=not prepared))
    if levels is not None:
        writers.append(Writer(n_sites))
        for number, level in enumerate(levels):
            writers[-1].write_level(level, is_first=number == 0 and not prepared)
    writer = _least(writers)
    empty = sum(1 << (n_sites - 1 - place) for place, site in enumerate(layout) if site not in prepared)
    for preparation in preparations:
        writer.prepare(preparation, layout, empty)
    return writer.finish(strings, len(terms))


def _apart(maps: list[Linear], *, with_rotations: bool = False) -> list[Linear]:
    """Return the maps with those of data as diagonals between constant maps, rotations left out on demand."""
    result: list[Linear] = []
    for linear in maps:
        is_kept = with_rotations and rotation_of(linear) is not None
        result += [linear] if is_kept else with_phases(linear)
    return result


def _write_blocks(n_sites: int, blocks: list[GateBlock], *, is_empty: bool) -> Writer:
    writer = Writer(n_sites)
    for block, is_first in product_first(blocks):
        writer.write(block, is_first=is_first and is_empty)
    return writer


def _least(writers: list[Writer]) -> Writer:
    return min(writers, key=lambda one: one.total + ROW_OPERATIONS * len(one.rows))


def _renumbered(maps: list[Linear], layout: tuple[int, ...]) -> list[Linear]:
    place = {site: k for k, site in enumerate(layout)}
    return [
        replace(
            linear,
            sites=tuple(place[site] for site in linear.sites),
            controls=tuple(place[site] for site in linear.controls),
        )
        for linear in maps
    ]


def _by_mask(terms: Terms, layout: tuple[int, ...]) -> dict[tuple[int, int], np.ndarray]:
    """Sum the strings of each observable that flip the same bits: the c_i in sum_i conj(x_i) c_i x_(i ^ mask).

    A site that is not in the layout is in 0: its Z is 1, and strings with X or Y there vanish.
    """
    n_sites = len(layout)
    sums: dict[tuple[int, int], np.ndarray] = {}
    for observable, strings in enumerate(terms):
        for coefficient, factors in strings:
            if any(letter in "XY" and site not in layout for site, letter in factors):
                continue
            mask, signs, phase = string_bits(tuple(factor for factor in factors if factor[0] in layout), layout)
            known = sums.setdefault((mask, observable), np.zeros(2**n_sites, dtype=complex))
            known += coefficient * phase * sign_vector(signs, n_sites)
    return sums
