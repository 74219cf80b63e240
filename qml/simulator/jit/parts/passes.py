"""Steps of the passes: what instructions do forwards and backwards, and what begins and ends a pass.

These functions are written into the kernels, and loop over the instructions themselves: a call for each of them would
count references to all its arrays. A span is the first sample of a block and the number of its samples;
`given` are data and weights, `entries` the numbers that samples share and those of each, `grads` the gradients of data
and weights.
"""

from typing import Any

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, inlined
from qml.simulator.jit.instructions import (
    BY_SAMPLE,
    DIAGONAL,
    ENTRIES,
    IMAGINARY_PART,
    KIND,
    MAX_SIDE,
    N_BASES,
    N_FACTORS,
    PAIR,
    PERMUTATION,
    PHASED,
    REAL_PART,
    ROTATION,
    SECOND,
    SINGLE,
    TURN,
)
from qml.simulator.jit.parts.blocks import (
    add_overlap,
    dense,
    diagonal,
    permute,
    pull_diagonal,
    pull_single,
    single,
)
from qml.simulator.jit.parts.matrices import has_weights, pull_factors
from qml.simulator.jit.parts.phases import add_torques, phased, pull_phases, write_phases
from qml.simulator.jit.parts.reading import pull_read, read
from qml.simulator.jit.parts.rotations import make_product, pull_angles, pull_rotation, rotate
from qml.simulator.jit.parts.turns import move, pull_pair, pull_turn, pull_turn_by_sample, turn, turn_pair

Tape = tuple[Array, ...]
Span = tuple[int, int]


@inlined
def make_room(sizes: tuple[int, int, int], n_phases: int, block: int, kind: Any) -> tuple[Any, Any]:
    """Return room for entries, those that samples share and those of each, and for the phases and angles of a level."""
    shared = np.empty((sizes[1], 1), dtype=kind), np.empty((sizes[1], 1), dtype=kind)
    by_sample = np.empty((sizes[2], block), dtype=kind), np.empty((sizes[2], block), dtype=kind)
    phases = np.empty(n_phases * block, dtype=kind), np.empty(n_phases * block, dtype=kind)
    return (shared, by_sample), (phases, np.empty(n_phases * block))


@inlined
def matrix_of(step: Array, entries: tuple[Pair, Pair]) -> Pair:
    """Return the entries of an instruction."""
    if step[BY_SAMPLE] == 0:
        return entries[0][0][step[ENTRIES] :], entries[0][1][step[ENTRIES] :]
    return entries[1][0][step[ENTRIES] :], entries[1][1][step[ENTRIES] :]


# --- forwards ---------------------------------------------------------------------------------------------------------


@inlined
def start_in_zero(state: Pair, block: int) -> None:
    """Write |0...0>."""
    state[0][:] = 0.0
    state[1][:] = 0.0
    state[0][:block] = 1.0


@inlined
def run_blocks(tape: Tape, span: Span, state: Pair, spare: Pair, entries: tuple[Pair, Pair]) -> None:
    """Apply all instructions of a circuit that goes by blocks."""
    table, index, block, back = tape[0], tape[4], span[1], span[0] < 0
    for number in range(len(table)):
        step = table[number]
        matrix = matrix_of(step, entries)
        if step[KIND] == SINGLE:
            single(step, index, state, block, matrix)
        else:
            apply_wide(step, tape, state, spare, block, matrix, back)


@inlined
def run_products(
    tape: Tape,
    given: Pair,
    span: Span,
    products: Tape,
    state: Pair,
    spare: Pair,
    entries: tuple[Pair, Pair],
) -> None:
    """Apply all instructions of a circuit that goes by blocks with products of rotations among them."""
    table, index, block, back = tape[0], tape[4], span[1], span[0] < 0
    for number in range(len(table)):
        step = table[number]
        if step[KIND] == ROTATION:
            make_product(step, tape, given, span, products)
            rotate(step, index, state, block, products[3])
            continue
        matrix = matrix_of(step, entries)
        if step[KIND] == SINGLE:
            single(step, index, state, block, matrix)
        else:
            apply_wide(step, tape, state, spare, block, matrix, back)


@inlined
def apply_wide(step: Array, tape: Tape, state: Pair, spare: Pair, block: int, matrix: Pair, inverse: bool) -> None:
    """Apply an instruction of a block, or its inverse; those on one site have functions of their own."""
    if step[KIND] == PERMUTATION:
        permute(step, tape, state, spare, block, inverse)
    elif step[KIND] == DIAGONAL:
        diagonal(step, tape[4], state, block, matrix, inverse)
    else:
        dense(step, tape[4], state, block, matrix, inverse)


@inlined
def run_levels(
    tape: Tape,
    given: Pair,
    span: Span,
    levels: tuple[Pair, Array],
    state: Pair,
    spare: Pair,
    entries: tuple[Pair, Pair],
) -> None:
    """Apply all instructions of a circuit that goes by levels."""
    table, index, block, back = tape[0], tape[4], span[1], span[0] < 0
    n_planes = 2 if len(state[1]) > 0 else 1
    for number in range(len(table)):
        step = table[number]
        matrix = matrix_of(step, entries)
        if step[KIND] == PAIR:
            other = matrix_of(table[number + 1], entries)
            for plane in range(n_planes):
                turn_pair(step, index, state[plane], block, matrix[0], other[0])
        elif step[KIND] == TURN:
            for plane in range(n_planes):
                turn(step, index, state[plane], block, matrix[0], back)
        elif step[KIND] == PERMUTATION:
            for plane in range(n_planes):
                move(step, tape, state[plane], spare[0], block, back)
        elif step[KIND] == PHASED:
            phases = phases_of(step, tape, given, span, levels, entries[0])
            phased(step, index, state, spare, block, phases, back)


@inlined
def read_all(tape: Tape, span: Span, n_rows: int, state: Pair, values: Array) -> None:
    """Add the expectation values of final states."""
    first, block = span
    is_complex, one = len(state[1]) > 0, 1.0 + (first - first)
    for left in range(2 if is_complex else 1):
        for part in range(REAL_PART, IMAGINARY_PART + 1 if is_complex else IMAGINARY_PART):
            right, sign = (left, one) if part == REAL_PART else (1 - left, 2.0 * left - one)
            read(part, sign, tape, state[left], state[right], block, n_rows, first, values)


# --- phases of levels -------------------------------------------------------------------------------------------------


@inlined
def share_phases(tape: Tape, n_rows: int, given: Pair, levels: tuple[Pair, Array], shared: Pair) -> None:
    """Write all phases that the samples of a group share."""
    table, origin = tape[0], len(given[0]) - len(given[0])
    flat = shared[0].reshape(-1), shared[1].reshape(-1)
    for number in range(len(table)):
        step = table[number]
        if step[KIND] == PHASED and step[BY_SAMPLE] == 0:
            start = step[ENTRIES]
            out = flat[0][start : start + n_rows], flat[1][start : start + n_rows]
            write_phases(step, tape, given[0], given[1], origin, origin + 1, levels[1], out)


@inlined
def phases_of(step: Array, tape: Tape, given: Pair, span: Span, levels: tuple[Pair, Array], shared: Pair) -> Pair:
    """Return the phases of a phased permutation; those that differ between samples are written first."""
    if step[BY_SAMPLE] == 1:
        write_phases(step, tape, given[0], given[1], span[0], span[1], levels[1], levels[0])
        return levels[0]
    start, end = step[ENTRIES], step[ENTRIES] + step[N_BASES]
    return shared[0].reshape(-1)[start:end], shared[1].reshape(-1)[start:end]


# --- backwards --------------------------------------------------------------------------------------------------------


@inlined
def copy_end(memory: Array, states: Pair, last_mu: Pair, span: Span, n_rows: int) -> tuple[Pair, Pair]:
    """Copy the final states of a span, and mu where it is given; else mu is 0."""
    size, begin, given = n_rows * span[1], n_rows * span[0], len(last_mu[0]) > 0
    other = size if len(states[1]) > 0 else 0
    state, mu = (memory[0][:size], memory[1][:other]), (memory[2][:size], memory[3][:other])
    for plane in range(2 if other > 0 else 1):
        own_state, own_mu = state[plane], mu[plane]
        for k in range(size):
            own_state[k] = states[plane][begin + k]
            own_mu[k] = last_mu[plane][begin + k] if given else 0.0
    return state, mu


@inlined
def pull_end(tape: Tape, span: Span, n_rows: int, state: Pair, grad: Array, mu: Pair) -> None:
    """Write mu of the final states, which is 0 before."""
    first, block = span
    is_complex, one = len(state[1]) > 0, 1.0 + (first - first)
    for left in range(2 if is_complex else 1):
        for part in range(REAL_PART, IMAGINARY_PART + 1 if is_complex else IMAGINARY_PART):
            right, sign = (left, one) if part == REAL_PART else (1 - left, 2.0 * left - one)
            pull_read(part, sign, tape, state[right], block, n_rows, first, grad, mu[left])


@inlined
def pull_blocks(
    tape: Tape,
    span: Span,
    state: Pair,
    mu: Pair,
    spare: Pair,
    entries: tuple[Pair, Pair],
    overlaps: Array,
    grads: Pair,
) -> None:
    """Add the derivatives of a circuit that goes by blocks, and bring psi and mu back to its start."""
    table, index, block = tape[0], tape[4], span[1]
    for number in range(len(table) - 1, -1, -1):
        step = table[number]
        matrix, overlap = matrix_of(step, entries), overlaps[step[ENTRIES] :]
        if step[KIND] == SINGLE:
            pull_single(step, index, state, mu, block, matrix, overlap)
        else:
            pull_wide(step, tape, span, state, mu, spare, matrix, overlap, grads)


@inlined
def pull_products(
    tape: Tape,
    given: Pair,
    span: Span,
    products: Tape,
    state: Pair,
    mu: Pair,
    spare: Pair,
    entries: tuple[Pair, Pair],
    overlaps: Array,
    grads: Pair,
) -> None:
    """Do for a circuit with products of rotations what `pull_blocks` does without."""
    table, index, block = tape[0], tape[4], span[1]
    for number in range(len(table) - 1, -1, -1):
        step = table[number]
        if step[KIND] == ROTATION:
            make_product(step, tape, given, span, products)
            pull_rotation(step, index, state, mu, block, products[3], products[4])
            pull_angles(step, tape, span, products, grads)
            continue
        matrix, overlap = matrix_of(step, entries), overlaps[step[ENTRIES] :]
        if step[KIND] == SINGLE:
            pull_single(step, index, state, mu, block, matrix, overlap)
        else:
            pull_wide(step, tape, span, state, mu, spare, matrix, overlap, grads)


@inlined
def pull_wide(
    step: Array, tape: Tape, span: Span, state: Pair, mu: Pair, spare: Pair, matrix: Pair, overlap: Array, grads: Pair
) -> None:
    """Add the derivatives of an instruction of a block, and apply its adjoint to psi and mu."""
    first, block = span
    if step[BY_SAMPLE] == 1:
        pull_diagonal(step, tape, state, mu, block, first, grads[0], grads[1])
    elif step[KIND] != PERMUTATION:
        add_overlap(step, tape[4], state, mu, block, overlap)
    for which in range(2):
        apply_wide(step, tape, state if which == 0 else mu, spare, block, matrix, first >= 0)


@inlined
def pull_levels(
    tape: Tape,
    given: Pair,
    span: Span,
    levels: tuple[Pair, Array],
    state: Pair,
    mu: Pair,
    spare: Pair,
    entries: tuple[Pair, Pair],
    overlaps: Array,
    torques: Array,
    wants_data: bool,
    grads: Pair,
) -> None:
    """Add the derivatives of a circuit that goes by levels, and bring psi and mu back to its start."""
    table, index, (first, block), back = tape[0], tape[4], span, span[0] >= 0
    n_planes = 2 if len(state[1]) > 0 else 1
    for number in range(len(table) - 1, -1, -1):
        step = table[number]
        matrix, overlap = matrix_of(step, entries)[0], overlaps[step[ENTRIES] :]
        if step[KIND] == PAIR:
            last = table[number + 1]
            two, overlap_two = matrix_of(last, entries)[0], overlaps[last[ENTRIES] :]
            for plane in range(n_planes):
                pull_pair(step, index, state[plane], mu[plane], block, matrix, two, overlap, overlap_two)
        elif step[KIND] == PHASED:
            phases = phases_of(step, tape, given, span, levels, entries[0])
            if step[BY_SAMPLE] == 0:
                add_torques(step, state, mu, block, torques[step[ENTRIES] :])
            elif wants_data or has_weights(step, tape[1]):
                add_torques(step, state, mu, block, levels[1])
                pull_phases(step, tape, levels[1], block, first, grads[0], grads[1])
            for which in range(2):
                phased(step, index, state if which == 0 else mu, spare, block, phases, back)
        elif step[KIND] == TURN and step[BY_SAMPLE] == 0:
            for plane in range(n_planes):
                pull_turn(step, index, state[plane], mu[plane], block, matrix, overlap)
        elif step[KIND] != SECOND:
            for plane in range(n_planes):
                if step[KIND] == TURN and wants_data:
                    pull_turn_by_sample(step, tape, state[plane], mu[plane], block, first, grads[0], grads[1])
                for which in range(2):
                    moved = state[plane] if which == 0 else mu[plane]
                    if step[KIND] == TURN:
                        turn(step, index, moved, block, matrix, back)
                    else:
                        move(step, tape, moved, spare[0], block, back)


@inlined
def pull_shared(tape: Tape, given: Pair, overlaps: Array, grads: Pair) -> None:
    """Add the derivatives by the weights of matrices that the samples of a group share."""
    work = np.empty((3, MAX_SIDE * MAX_SIDE), dtype=np.complex128)
    for number in range(len(tape[0])):
        step = tape[0][number]
        if step[BY_SAMPLE] == 0 and step[KIND] != PERMUTATION and step[KIND] != PHASED:
            pull_factors(step, tape, given[0], given[1], overlaps[step[ENTRIES] :], work, grads[1])


@inlined
def pull_torques(tape: Tape, n_rows: int, torques: Array, grads: Pair) -> None:
    """Add the derivatives by the weights of phases that the samples of a group share."""
    origin = len(torques) - len(torques)
    for number in range(len(tape[0])):
        step = tape[0][number]
        if step[KIND] == PHASED and step[BY_SAMPLE] == 0 and step[N_FACTORS] > 0:
            own = torques[step[ENTRIES] : step[ENTRIES] + n_rows]
            pull_phases(step, tape, own, origin + 1, origin, grads[0], grads[1])
