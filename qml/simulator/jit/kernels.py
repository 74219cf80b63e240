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
of levels for a circuit in blocks, and the other way round, rotations, and amplitudes at the start. Each of the parts is
optimised by itself and once more in every kernel, which is where the time goes.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, Pair, kernel
from qml.simulator.jit.parts.finite import are_finite
from qml.simulator.jit.parts.matrices import make_matrices
from qml.simulator.jit.parts.passes import (
    copy_end,
    make_room,
    pull_blocks,
    pull_end,
    pull_levels,
    pull_products,
    pull_shared,
    pull_torques,
    read_all,
    run_blocks,
    run_levels,
    run_products,
    share_phases,
    start_in_zero,
)
from qml.simulator.jit.parts.rotations import make_products_room, share_sines
from qml.simulator.jit.parts.starts import pull_start, start_state

VERSION = 8  # numba keeps what it compiled until this file changes: count up with changes of the files it imports


@kernel
def forward(
    tape: tuple[Array, ...],
    starts: Array | None,
    sizes: tuple[int, int, int],
    n_phases: int | None,
    n_turned: int | None,
    data: Array,
    weights: Array,
    block: int,
    states: Pair,
    values: Array,
) -> bool:
    """Compute expectation values, and leave the final states where there is room for those of all samples.

    Args:
        tape: the arrays of the instructions.
        starts: the amplitudes that sites start with; None where all start in 0.
        sizes: rows of the register, entries that a group shares, entries of each sample.
        n_phases: rows of phases of a circuit that goes by levels; None where it goes by blocks.
        n_turned: factors of the longest product of rotations; None where there is no such product.
        data: (groups * batch, inputs).
        weights: (groups, weights).
        block: samples of a block.
        states: for rows * samples numbers each, or rows * block where they are not kept; imaginary parts of length 0
            where states are real.
        values: zeros, (groups * batch, observables).

    Returns:
        Whether all data and weights are finite.
    """
    n_samples, n_rows, kind = len(data), sizes[0], values.dtype
    batch = n_samples // len(weights)
    entries, levels = make_room(sizes, 0 if n_phases is None else n_phases, block, kind)
    n_longest, n_shared = (0, 0) if n_turned is None else (n_turned, len(tape[1]))
    products = make_products_room(n_longest, n_shared, block, kind)
    spare = np.empty(n_rows * block, dtype=kind), np.empty(n_rows * block, dtype=kind)
    origin, yes, no = n_samples - n_samples, n_samples >= 0, n_samples < 0  # literals would compile once more
    stride = n_rows if len(states[0]) >= n_rows * n_samples else 0
    for group in range(len(weights)):
        own = weights[group]
        given = data, own
        make_matrices(tape, data, own, origin, origin + 1, no, entries[0])
        if n_phases is not None:
            share_phases(tape, n_rows, given, levels, entries[0])
        if n_turned is not None:
            share_sines(tape, own, products[0])
        for first in range(group * batch, (group + 1) * batch, block):
            width = min(block, (group + 1) * batch - first)
            begin, size = first * stride, n_rows * width
            span, state = (first, width), (states[0][begin : begin + size], states[1][begin : begin + size])
            make_matrices(tape, data, own, first, width, yes, entries[1])
            if starts is None:
                start_in_zero(state, width)
            else:
                start_state(starts, tape, data, first, width, n_rows, origin - 1, state)
            if n_phases is not None:
                run_levels(tape, given, span, levels, state, spare, entries)
            elif n_turned is not None:
                run_products(tape, given, span, products, state, spare, entries)
            else:
                run_blocks(tape, span, state, spare, entries)
            read_all(tape, span, n_rows, state, values)
    return are_finite(data) and are_finite(weights)


@kernel
def backward(
    tape: tuple[Array, ...],
    starts: Array | None,
    sizes: tuple[int, int, int],
    n_phases: int | None,
    n_turned: int | None,
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
        starts: as in the forward pass, as are the next three.
        sizes: of its arrays.
        n_phases: rows of phases.
        n_turned: factors of products.
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
    n_samples, n_rows, kind = len(data), sizes[0], grad.dtype
    batch = n_samples // len(weights)
    entries, levels = make_room(sizes, 0 if n_phases is None else n_phases, block, kind)
    n_longest, n_shared = (0, 0) if n_turned is None else (n_turned, len(tape[1]))
    products = make_products_room(n_longest, n_shared, block, kind)
    memory = np.empty((6, n_rows * block), dtype=kind)
    spare = memory[4], memory[5]
    overlaps, torques = np.empty((sizes[1], 1), dtype=np.complex128), np.empty(sizes[1])
    origin, yes, no = n_samples - n_samples, n_samples >= 0, n_samples < 0  # literals would compile once more
    for group in range(len(weights)):
        own = weights[group]
        given, grads = (data, own), (data_grad, weight_grad[group])
        overlaps[:] = 0.0
        torques[:] = 0.0
        make_matrices(tape, data, own, origin, origin + 1, no, entries[0])
        if n_phases is not None:
            share_phases(tape, n_rows, given, levels, entries[0])
        if n_turned is not None:
            share_sines(tape, own, products[0])
        for first in range(group * batch, (group + 1) * batch, block):
            width = min(block, (group + 1) * batch - first)
            span = first, width
            state, mu = copy_end(memory, states, last_mu, span, n_rows)
            make_matrices(tape, data, own, first, width, yes, entries[1])
            if len(last_mu[0]) == 0:
                pull_end(tape, span, n_rows, state, grad, mu)
            if n_phases is not None:
                pull_levels(tape, given, span, levels, state, mu, spare, entries, overlaps, torques, wants_data, grads)
            elif n_turned is not None:
                pull_products(tape, given, span, products, state, mu, spare, entries, overlaps, grads)
            else:
                pull_blocks(tape, span, state, mu, spare, entries, overlaps, grads)
            if starts is not None and wants_data:
                pull_start(starts, tape, data, first, width, n_rows, mu, state, data_grad)
        pull_shared(tape, given, overlaps, grads)
        if n_phases is not None:
            pull_torques(tape, n_rows, torques, grads)
