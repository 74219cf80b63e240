"""Expectation values by the kernel, as a function that autograd knows.

Its backward pass is one call too. Where the derivative of the derivative is wanted, or many gradients at once, it is
taken through plain tensor operations of another route.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import cache, cached_property
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qml.checks import needs_plain_pullback, require_installed
from qml.plain_pullback import plain_pullback
from qml.simulator.jit import instructions as columns
from qml.simulator.jit.instructions import Instructions

CACHE_NUMBERS = 2**13  # amplitudes of a block of samples, so that its states stay in the first caches
MIN_LANES = 16  # samples of a block where the batch has them: two or four vector registers

Plain = Callable[[Tensor, Tensor], Tensor]


@cache
def load_kernels() -> ModuleType | None:
    """Import the kernels, and numba with them; None where it is not installed, or not for this NumPy."""
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return importlib.import_module("qml.simulator.jit.kernels")
    except ImportError:
        return None


def settled(compiled: bool | None, data: Tensor) -> bool | None:
    """Return whether the kernel runs, as far as the option and the tensors decide.

    Raises:
        ImportError: the kernel is demanded, but numba is missing.
        ValueError: it is demanded for another device than the CPU.
    """
    if compiled is False or (compiled is None and data.device.type != "cpu"):
        return False
    if data.device.type != "cpu":
        raise ValueError(
            f"Native(compiled=True) must have its data on the CPU, but they are on {data.device}. Use Native()."
        )
    if load_kernels() is not None:
        return compiled
    if compiled:
        require_installed("numba", "Native(compiled=True) needs numba", "fast")
        importlib.import_module("qml.simulator.jit.kernels")  # which says why it cannot be imported
    return False


def loaded_kernels() -> Any:
    """Return the kernels, which the choice of this route has imported."""
    return importlib.import_module("qml.simulator.jit.kernels")


class KernelInput:
    """Instructions as the kernel takes them, for batches and for one sample, whose data are as weights."""

    def __init__(self, instructions: Instructions) -> None:
        self.instructions = instructions
        self.n_rows = 2**instructions.n_qubits

    @cached_property
    def tape(self) -> tuple[np.ndarray, ...]:
        """Return the arrays for a batch."""
        return self.instructions.arrays

    @cached_property
    def tape_of_one(self) -> tuple[np.ndarray, ...]:
        """Return the arrays for one sample: no matrix is of each sample."""
        table = self.instructions.table.copy()
        table[:, columns.BY_SAMPLE] = -1
        return replace(self.instructions, table=table).arrays

    def sizes(self, batch: int) -> tuple[int, int, int]:
        """Return the sizes that the kernel needs."""
        made = self.instructions
        return self.n_rows, made.n_entries, 1 if batch == 1 else made.n_by_sample

    def lanes(self, batch: int) -> int:
        """Return the number of samples that run side by side."""
        return min(batch, max(MIN_LANES, CACHE_NUMBERS // self.n_rows))


class KernelValues(torch.autograd.Function):
    """Expectation values, (batch, observables), by one compiled call."""

    @staticmethod
    def forward(
        ctx: Any, kernel: KernelInput, plain: Plain, only_once: bool, data: Tensor, weights: Tensor
    ) -> Tensor:
        """Run the circuit forwards; `plain` is the same function in tensor operations."""
        batch, lanes = data.shape[0], kernel.lanes(data.shape[0])
        inputs, angles = _array(data), _array(weights)
        keeps = any(ctx.needs_input_grad)
        size = kernel.n_rows * (batch if keeps else lanes)
        states = np.empty(size, dtype=inputs.dtype), np.empty(size, dtype=inputs.dtype)
        values = np.zeros((batch, kernel.instructions.n_observables), dtype=inputs.dtype)
        tape = kernel.tape_of_one if batch == 1 else kernel.tape
        loaded_kernels().forward(tape, kernel.sizes(batch), inputs, angles, lanes, states, values)
        if keeps:
            ctx.kernel, ctx.plain, ctx.only_once, ctx.states = kernel, plain, only_once, states
            ctx.save_for_backward(data, weights)
        return torch.from_numpy(values)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run the circuit backwards, or let autograd follow the plain function where its own derivative is wanted."""
        (grad,) = grads
        data, weights = ctx.saved_tensors
        needed = ctx.needs_input_grad[3:]
        if needs_plain_pullback(grad):
            if torch.is_grad_enabled() and ctx.only_once:
                raise RuntimeError(
                    'A second derivative must not be asked of Native(method="adjoint"), which is only once '
                    'differentiable. Use Native() or Native(method="autograd"), which have any order.'
                )
            return None, None, None, *plain_pullback(ctx.plain, (data, weights), needed, (grad,))
        return None, None, None, *_pulled(ctx, grad, data, weights)


def _pulled(ctx: Any, grad: Tensor, data: Tensor, weights: Tensor) -> list[Tensor | None]:
    kernel, batch = ctx.kernel, data.shape[0]
    data_grad, weight_grad = np.zeros(tuple(data.shape)), np.zeros(tuple(weights.shape))
    tape = kernel.tape_of_one if batch == 1 else kernel.tape
    loaded_kernels().backward(
        tape,
        kernel.sizes(batch),
        _array(data),
        _array(weights),
        kernel.lanes(batch),
        ctx.states,
        _array(grad),
        data_grad,
        weight_grad,
    )
    parts = zip((data_grad, weight_grad), (data, weights), ctx.needs_input_grad[3:], strict=True)
    return [torch.from_numpy(part).to(like.dtype) if needed else None for part, like, needed in parts]


def _array(values: Tensor) -> np.ndarray:
    """Return the numbers of a tensor, one after another in memory."""
    return values.detach().resolve_neg().contiguous().numpy()
