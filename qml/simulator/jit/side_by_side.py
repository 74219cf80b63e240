"""Calls of the kernels in several threads, each with blocks of samples or with groups of them.

A kernel holds no lock of Python while it runs. As many threads run as torch has been told to use
(`torch.set_num_threads`, `OMP_NUM_THREADS`), as long as each has work that is worth its start. The gradients of weights
that threads share are summed in the order of the samples, whichever thread ends first.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch

OPERATIONS_OF_A_THREAD = 5.0e6  # of a forward pass: a tenth of a millisecond, under which a thread gains nothing
MIN_SHARED_BLOCK = 4  # samples: loops over fewer lose more than another thread gains

Pair = tuple[np.ndarray, np.ndarray]
Run = tuple[np.ndarray, np.ndarray, int, Pair]
"""A run of the kernel: inputs, angles, samples of a block, and states, which are the final ones if they are kept."""
Share = tuple[slice, slice]
"""The samples of a thread, and their groups."""


def useful_threads(n_operations: float) -> int:
    """Return how many threads a pass is worth that takes so many operations forwards."""
    return max(1, min(torch.get_num_threads(), int(n_operations / OPERATIONS_OF_A_THREAD)))


def shared_block(block: int, batch: int, n_threads: int) -> int:
    """Return the samples of a block, such that each thread has one where the batch is large enough."""
    return min(block, max(MIN_SHARED_BLOCK, -(-batch // n_threads)))


def shares(groups: int, batch: int, block: int, n_threads: int) -> list[Share]:
    """Cut the work into whole groups, or into whole blocks where there is one group.

    Args:
        groups: Number of groups.
        batch: Samples of a group.
        block: Samples of a block.
        n_threads: Number of parts at most.
    """
    n_pieces, size = (groups, batch) if groups > 1 else (-(-batch // block), block)
    n_parts = max(1, min(n_threads, n_pieces))
    ends = [part * n_pieces // n_parts for part in range(n_parts + 1)]
    return [
        (slice(first * size, min(last * size, groups * batch)), slice(first, last) if groups > 1 else slice(0, 1))
        for first, last in pairwise(ends)
    ]


def run_forward(
    kernel: Callable[..., bool], program: tuple[Any, ...], parts: Sequence[Share], run: Run, values: np.ndarray
) -> bool:
    """Call the forward kernel for each part; the states of the run are those of all samples, or room for a block."""
    inputs, _, _, states = run
    keeps = len(states[0]) >= program[2][0] * len(inputs)
    calls = [
        partial(
            _begun(kernel, program, run, share),
            _of(states, share[0], len(inputs)) if keeps else (np.empty_like(states[0]), np.empty_like(states[1])),
            values[share[0]],
        )
        for share in parts
    ]
    return all(run_all(calls))


def run_backward(
    kernel: Callable[..., None],
    program: tuple[Any, ...],
    parts: Sequence[Share],
    run: Run,
    given: tuple[np.ndarray, Pair],
    wants_data: bool,
    gradients: Pair,
) -> None:
    """Call the backward kernel for each part, from the gradient of the values or from mu, and add up what they share.

    Args:
        kernel: The backward kernel.
        program: Its first arguments.
        parts: Samples and groups of each thread.
        run: The forward pass.
        given: The gradient of the values and mu, of which one has length 0.
        wants_data: Whether the gradient of the data is wanted.
        gradients: Zeros, to which those of data and weights are added.
    """
    inputs, angles, _, states = run
    is_shared = len(angles) == 1
    own = [np.zeros_like(gradients[1]) if is_shared else gradients[1][groups] for _, groups in parts]
    calls = [
        partial(
            _begun(kernel, program, run, share),
            _of(states, share[0], len(inputs)),
            given[0][share[0]] if len(given[0]) else given[0],
            _of(given[1], share[0], len(inputs)),
            wants_data,
            gradients[0][share[0]],
            weights,
        )
        for share, weights in zip(parts, own, strict=True)
    ]
    run_all(calls)
    if is_shared:
        for weights in own:
            gradients[1][:] += weights


def _begun(kernel: Callable[..., Any], program: tuple[Any, ...], run: Run, share: Share) -> Callable[..., Any]:
    """Return a kernel with its first arguments, those that both passes have."""
    inputs, angles, block, _ = run
    return partial(kernel, *program, inputs[share[0]], angles[share[1]], block)


def _of(states: Pair, samples: slice, n_samples: int) -> Pair:
    """Return real and imaginary parts of some samples; parts of length 0 stay so."""
    first, last = (
        part[samples.start * (len(part) // n_samples) : samples.stop * (len(part) // n_samples)] for part in states
    )
    return first, last


def run_all(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run the first call here and each other one in a thread, and return what they return once all have ended."""
    others = [_started(call) for call in calls[1:]]
    try:
        first = calls[0]()
    finally:
        ended = [other.exception() for other in others]
    for error in ended:
        if error is not None:
            raise error
    return [first, *(other.result() for other in others)]


def _started(call: Callable[[], Any]) -> Future[Any]:
    """Start a call in a thread; run it here where Python ends its program and starts no more of them.

    That is so in functions of `atexit`, and in threads of a user that work on behind the end of the main one.
    """
    try:
        return _threads().submit(call)
    except RuntimeError as error:
        if "cannot schedule new futures" not in str(error):
            raise
    done: Future[Any] = Future()
    done.set_result(call())
    return done


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, "qml-kernel")


if hasattr(os, "register_at_fork"):  # the child of a fork has none of the threads
    os.register_at_fork(after_in_child=_threads.cache_clear)
