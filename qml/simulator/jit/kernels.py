"""The kernel: all of a forward pass, and all of a backward pass, in one call each.

States are real and imaginary parts apart, `block` samples beside each other, so that the innermost loops run over
contiguous memory and become vector instructions. Blocks of samples are taken through the whole circuit one after
another, while their states lie in the caches. The backward pass runs the circuit backwards (Jones and Gacon,
arXiv:2009.02823): with mu = sum_m g_m H_m psi after an instruction U = F_k ... F_1, the derivative by the angle of F_k
with generator K is 2 Re sum_ac K_ac Y_ac, where Y_ac = sum conj(mu_a) psi_c; then Y becomes F^T Y conj(F) for the next.

Real states have imaginary parts of length 0.

Matrices are made in double precision whatever the precision of the states. Rounding aside, `FAST` changes nothing: sums
may be taken in any order and multiplications fused with additions, but NaN and infinity stay what they are. Unsigned
indices spare the loops a look at negative ones, which would keep them from becoming vector instructions.

numba compiles a kernel for the types of its arguments, and leaves out what a None says will not run: the instructions
of levels for a circuit in blocks, and the other way round, and amplitudes at the start. Each of the parts is optimised
by itself and once more in every kernel, which is where the time goes.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, inlined, kernel
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
from qml.simulator.jit.parts.matrices import has_weights, make_matrices, pull_factors
from qml.simulator.jit.parts.phases import add_torques, phased, pull_phases, write_phases
from qml.simulator.jit.parts.reading import pull_read, read
from qml.simulator.jit.parts.rotations import make_rotation, pull_angles, pull_rotation, rotate, share_sines
from qml.simulator.jit.parts.starts import pull_start, start_state
from qml.simulator.jit.parts.turns import move, pull_pair, pull_turn, pull_turn_by_sample, turn, turn_pair

VERSION = 8  # numba keeps what it compiled until this file changes: count up with changes of the files it imports


@kernel
def forward(
    tape: tuple[Array, ...],
    starts: Array | None,
    sizes: tuple[int, int, int],
    n_phases: int | None,
    n_rotated: int | None,
    data: Array,
    weights: Array,
    block: int,
    states: Pair,
    values: Array,
) -> None:
    """Compute expectation values, and leave the final states where there is room for those of all samples.

    Args:
        tape: the arrays of the instructions.
        starts: the amplitudes that sites start with; None where all start in 0.
        sizes: rows of the register, entries that a group shares, entries of each sample.
        n_phases: rows of phases of a circuit that goes by levels; None where it goes by blocks.
        data: (groups * batch, inputs).
        weights: (groups, weights).
        block: samples of a block.
        states: for rows * samples numbers each, or rows * block where they are not kept; imaginary parts of length 0
            where states are real.
        values: zeros, (groups * batch, observables).
    """
    n_rows, n_entries, n_by_sample = sizes
    n_samples, table, kind = len(data), tape[0], values.dtype
    batch, is_complex = n_samples // len(weights), len(states[1]) > 0
    shared = np.empty((n_entries, 1), dtype=kind), np.empty((n_entries, 1), dtype=kind)
    by_sample = np.empty((n_by_sample, block), dtype=kind), np.empty((n_by_sample, block), dtype=kind)
    spare = np.empty(n_rows * block, dtype=kind), np.empty(n_rows * block, dtype=kind)
    room = 0 if n_phases is None else n_phases * block
    scratch, angles = (np.empty(room, dtype=kind), np.empty(room, dtype=kind)), np.empty(room)
    origin, yes, no = n_samples - n_samples, n_samples >= 0, n_samples < 0  # literals would compile once more
    one = 1.0 + origin
    turns = len(tape[1]) if n_rotated is not None else 0
    cosines_and_sines = np.empty(turns), np.empty(turns)
    factors = 0 if n_rotated is None else n_rotated
    sines, work, rotation = np.empty((2, factors, block)), np.empty((5, block)), np.empty((4, block), dtype=kind)
    keeps = len(states[0]) >= n_rows * n_samples
    for group in range(len(weights)):
        own = weights[group]
        make_matrices(tape, data, own, origin, origin + 1, no, shared)
        if n_phases is not None:
            share_phases(tape, n_rows, data, own, angles, shared)
        if n_rotated is not None:
            share_sines(tape, own, cosines_and_sines)
        for first in range(group * batch, (group + 1) * batch, block):
            width = min(block, (group + 1) * batch - first)
            begin = first * n_rows if keeps else 0
            state = states[0][begin : begin + n_rows * width], states[1][begin : begin + n_rows * width]
            make_matrices(tape, data, own, first, width, yes, by_sample)
            if starts is None:
                start_in_zero(state, width)
            else:
                start_state(starts, tape, data, first, width, n_rows, origin - 1, state)
            for number in range(len(table)):
                step = table[number]
                matrix = matrix_of(step, shared, by_sample)
                if n_rotated is not None:
                    if step[KIND] == ROTATION:
                        make_rotation(
                            step, tape, data, own, first, width, cosines_and_sines, sines, work, rotation
                        )
                        rotate(step, tape[4], state, width, rotation)
                        continue
                if n_phases is None:
                    if step[KIND] == SINGLE:
                        single(step, tape[4], state, width, matrix)
                    else:
                        apply_block(step, tape, state, spare, width, matrix, no)
                elif step[KIND] == PAIR:
                    other = matrix_of(table[number + 1], shared, by_sample)
                    for plane in range(2 if is_complex else 1):
                        turn_pair(step, tape[4], state[plane], width, matrix[0], other[0])
                elif step[KIND] == TURN:
                    for plane in range(2 if is_complex else 1):
                        turn(step, tape[4], state[plane], width, matrix[0], no)
                elif step[KIND] == PERMUTATION:
                    for plane in range(2 if is_complex else 1):
                        move(step, tape, state[plane], spare[0], width, no)
                elif step[KIND] == PHASED:
                    phases = phases_of(step, tape, data, own, first, width, angles, shared, scratch)
                    phased(step, tape[4], state, spare, width, phases, no)
            for left in range(2 if is_complex else 1):
                for part in range(REAL_PART, IMAGINARY_PART + 1 if is_complex else IMAGINARY_PART):
                    right, sign = (left, one) if part == REAL_PART else (1 - left, 2.0 * left - one)
                    read(part, sign, tape, state[left], state[right], width, n_rows, first, values)


@kernel
def backward(
    tape: tuple[Array, ...],
    starts: Array | None,
    sizes: tuple[int, int, int],
    n_phases: int | None,
    n_rotated: int | None,
    data: Array,
    weights: Array,
    block: int,
    states: Pair,
    grad: Array,
    last_mu: Pair,
    wants_data: bool,
    data_grad: Array,
    weight_grad: Array,
) -> None:
    """Add the gradients of data and weights, by running the circuit backwards from its final states.

    Args:
        tape: the arrays of the instructions.
        starts: as in the forward pass, as are the next two.
        sizes: of its arrays.
        n_phases: rows of phases.
        data: (groups * batch, inputs).
        weights: (groups, weights).
        block: samples of a block, as in the forward pass.
        states: the final states, which stay as they are, rows * samples numbers each.
        grad: of the values, (groups * batch, observables).
        last_mu: mu of the final states in the form of `states`, or arrays of length 0 where `grad` gives it.
        wants_data: whether the gradient of the data is wanted.
        data_grad: zeros, float64, (groups * batch, inputs).
        weight_grad: zeros, float64, (groups, weights).
    """
    n_rows, n_entries, n_by_sample = sizes
    n_samples, table, kind = len(data), tape[0], grad.dtype
    batch, is_complex = n_samples // len(weights), len(states[1]) > 0
    shared = np.empty((n_entries, 1), dtype=kind), np.empty((n_entries, 1), dtype=kind)
    by_sample = np.empty((n_by_sample, block), dtype=kind), np.empty((n_by_sample, block), dtype=kind)
    overlaps, torques = np.empty((n_entries, 1), dtype=np.complex128), np.empty(n_entries)
    work = np.empty((3, MAX_SIDE * MAX_SIDE), dtype=np.complex128)
    memory = np.empty((6, n_rows * block), dtype=kind)
    spare = memory[4], memory[5]
    room = 0 if n_phases is None else n_phases * block
    scratch, angles = (np.empty(room, dtype=kind), np.empty(room, dtype=kind)), np.empty(room)
    origin, yes, no = n_samples - n_samples, n_samples >= 0, n_samples < 0  # literals would compile once more
    one, n_planes = 1.0 + origin, 2 if is_complex else 1
    turns = len(tape[1]) if n_rotated is not None else 0
    cosines_and_sines = np.empty(turns), np.empty(turns)
    n_factors = 0 if n_rotated is None else n_rotated
    sines, five, rotation = np.empty((2, n_factors, block)), np.empty((5, block)), np.empty((4, block), dtype=kind)
    moments = np.empty((3, block), dtype=kind)
    for group in range(len(weights)):
        own, own_grad = weights[group], weight_grad[group]
        overlaps[:] = 0.0
        torques[:] = 0.0
        make_matrices(tape, data, own, origin, origin + 1, no, shared)
        if n_phases is not None:
            share_phases(tape, n_rows, data, own, angles, shared)
        if n_rotated is not None:
            share_sines(tape, own, cosines_and_sines)
        for first in range(group * batch, (group + 1) * batch, block):
            width = min(block, (group + 1) * batch - first)
            size, begin = n_rows * width, first * n_rows
            other = size if is_complex else 0
            state, mu = (memory[0][:size], memory[1][:other]), (memory[2][:size], memory[3][:other])
            for plane in range(n_planes):
                own_state, own_mu, given = state[plane], mu[plane], len(last_mu[0]) > 0
                for k in range(size):
                    own_state[k] = states[plane][begin + k]
                    own_mu[k] = last_mu[plane][begin + k] if given else 0.0
            make_matrices(tape, data, own, first, width, yes, by_sample)
            for left in range(n_planes if len(last_mu[0]) == 0 else 0):
                for part in range(REAL_PART, IMAGINARY_PART + 1 if is_complex else IMAGINARY_PART):
                    right, sign = (left, one) if part == REAL_PART else (1 - left, 2.0 * left - one)
                    pull_read(part, sign, tape, state[right], width, n_rows, first, grad, mu[left])
            for number in range(len(table) - 1, -1, -1):
                step = table[number]
                matrix = matrix_of(step, shared, by_sample)
                overlap = overlaps[step[ENTRIES] :]
                if n_rotated is not None:
                    if step[KIND] == ROTATION:
                        make_rotation(
                            step, tape, data, own, first, width, cosines_and_sines, sines, five, rotation
                        )
                        pull_rotation(step, tape[4], state, mu, width, rotation, moments)
                        pull_angles(step, tape, width, first, sines, moments, data_grad, own_grad)
                        continue
                if n_phases is None:
                    if step[KIND] == SINGLE:
                        pull_single(step, tape[4], state, mu, width, matrix, overlap)
                        continue
                    if step[BY_SAMPLE] == 1:
                        pull_diagonal(step, tape, state, mu, width, first, data_grad, own_grad)
                    elif step[KIND] != PERMUTATION:
                        add_overlap(step, tape[4], state, mu, width, overlap)
                    for which in range(2):
                        apply_block(step, tape, state if which == 0 else mu, spare, width, matrix, yes)
                elif step[KIND] == PAIR:
                    last = table[number + 1]
                    two, overlap_two = matrix_of(last, shared, by_sample)[0], overlaps[last[ENTRIES] :]
                    for plane in range(n_planes):
                        psi, pulled = state[plane], mu[plane]
                        pull_pair(step, tape[4], psi, pulled, width, matrix[0], two, overlap, overlap_two)
                elif step[KIND] == PHASED:
                    phases = phases_of(step, tape, data, own, first, width, angles, shared, scratch)
                    if step[BY_SAMPLE] == 0:
                        add_torques(step, state, mu, width, torques[step[ENTRIES] :])
                    elif wants_data or has_weights(step, tape[1]):
                        add_torques(step, state, mu, width, angles)
                        pull_phases(step, tape, angles, width, first, data_grad, own_grad)
                    for which in range(2):
                        phased(step, tape[4], state if which == 0 else mu, spare, width, phases, yes)
                elif step[KIND] == TURN and step[BY_SAMPLE] == 0:
                    for plane in range(n_planes):
                        pull_turn(step, tape[4], state[plane], mu[plane], width, matrix[0], overlap)
                elif step[KIND] != SECOND:
                    for plane in range(n_planes):
                        psi, pulled = state[plane], mu[plane]
                        if step[KIND] == TURN and wants_data:
                            pull_turn_by_sample(step, tape, psi, pulled, width, first, data_grad, own_grad)
                        for which in range(2):
                            moved = psi if which == 0 else pulled
                            if step[KIND] == TURN:
                                turn(step, tape[4], moved, width, matrix[0], yes)
                            else:
                                move(step, tape, moved, spare[0], width, yes)
            if starts is not None and wants_data:
                pull_start(starts, tape, data, first, width, n_rows, mu, state, data_grad)
        for number in range(len(table)):
            step = table[number]
            if step[BY_SAMPLE] == 1 or step[KIND] == PERMUTATION:
                continue
            if step[KIND] != PHASED:
                pull_factors(step, tape, data, own, overlaps[step[ENTRIES] :], work, own_grad)
            elif n_phases is not None and step[N_FACTORS] > 0:
                own_torques = torques[step[ENTRIES] : step[ENTRIES] + n_rows]
                pull_phases(step, tape, own_torques, origin + 1, origin, data_grad, own_grad)


@inlined
def matrix_of(step: Array, shared: Pair, by_sample: Pair) -> Pair:
    """Return the entries of an instruction."""
    if step[BY_SAMPLE] == 0:
        return shared[0][step[ENTRIES] :], shared[1][step[ENTRIES] :]
    return by_sample[0][step[ENTRIES] :], by_sample[1][step[ENTRIES] :]


@inlined
def start_in_zero(state: Pair, block: int) -> None:
    """Write |0...0>."""
    state[0][:] = 0.0
    state[1][:] = 0.0
    state[0][:block] = 1.0


@inlined
def apply_block(
    step: Array, tape: tuple[Array, ...], state: Pair, spare: Pair, block: int, matrix: Pair, inverse: bool
) -> None:
    """Apply an instruction of a block, or its inverse; those on one site have functions of their own."""
    if step[KIND] == PERMUTATION:
        permute(step, tape, state, spare, block, inverse)
    elif step[KIND] == DIAGONAL:
        diagonal(step, tape[4], state, block, matrix, inverse)
    else:
        dense(step, tape[4], state, block, matrix, inverse)


@inlined
def share_phases(
    tape: tuple[Array, ...], n_rows: int, data: Array, weights: Array, angles: Array, shared: Pair
) -> None:
    """Write all phases that the samples of a group share."""
    table, origin = tape[0], len(data) - len(data)
    flat = shared[0].reshape(-1), shared[1].reshape(-1)
    for number in range(len(table)):
        step = table[number]
        if step[KIND] == PHASED and step[BY_SAMPLE] == 0:
            start = step[ENTRIES]
            out = flat[0][start : start + n_rows], flat[1][start : start + n_rows]
            write_phases(step, tape, data, weights, origin, origin + 1, angles, out)


@inlined
def phases_of(
    step: Array,
    tape: tuple[Array, ...],
    data: Array,
    weights: Array,
    first: int,
    block: int,
    angles: Array,
    shared: Pair,
    scratch: Pair,
) -> Pair:
    """Return the phases of a phased permutation, those that differ between samples in `scratch`."""
    if step[BY_SAMPLE] == 1:
        write_phases(step, tape, data, weights, first, block, angles, scratch)
        return scratch
    start, end = step[ENTRIES], step[ENTRIES] + step[N_BASES]
    return shared[0].reshape(-1)[start:end], shared[1].reshape(-1)[start:end]
