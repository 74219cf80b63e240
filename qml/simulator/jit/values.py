"""Expectation values by the kernel, as a function that autograd knows.

Its backward pass is one call too. Where the derivative of the derivative is wanted, or many gradients at once, it is
taken through plain tensor operations of another route.
"""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._compile import _disable_dynamo  # unlike torch.compiler.disable it does not import the compiler with it

from qml.checks import needs_plain_pullback, require_installed
from qml.plain_pullback import plain_pullback
from qml.simulator.jit.instructions import Instructions

CACHE_NUMBERS = 2**13  # amplitudes of a block of samples, so that its states stay in the first caches
MIN_BLOCK = 32  # samples of a block where the batch has them, or innermost loops are too short

Plain = Callable[[Tensor, Tensor], Tensor]


@cache
def load_kernels() -> ModuleType | None:
    """Import the kernels, and numba with them; None where it is not installed.

    Warns:
        RuntimeWarning: numba is installed but cannot be imported, for example with a newer NumPy than it knows.
    """
    if importlib.util.find_spec("numba") is None:
        return None
    try:
        return unseen(importlib.import_module, "qml.simulator.jit.kernels")
    except ImportError as error:
        warnings.warn(
            f"numba is installed but cannot be imported, so that small circuits run as tensors: {error}. Install the "
            'versions that fit together with: pip install "qml-circuits[fast]".',
            RuntimeWarning,
            stacklevel=2,
        )
        return None


def settled(compiled: bool | None, data: Tensor) -> bool | None:
    """Return whether the kernel runs, as far as the option and the tensors decide; None leaves it to the planner.

    Raises:
        ImportError: the kernel is demanded, but numba is missing.
        ValueError: it is demanded for another device than the CPU.
    """
    if compiled and data.device.type != "cpu":
        raise ValueError(
            f"Native(compiled=True) must have its data on the CPU, but they are on {data.device}. Use Native()."
        )
    if compiled and load_kernels() is None:
        require_installed("numba", "Native(compiled=True) needs numba", "fast")
        loaded_kernels()  # which says why it cannot be imported
    return compiled if data.device.type == "cpu" else False


@cache
def loaded_kernels() -> Any:
    """Return the kernels, which the planning of their route has imported."""
    return importlib.import_module("qml.simulator.jit.kernels")


def unseen(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function so that torch.compile does not see it.

    Dynamo runs a transform of torch.func that it cannot trace as plain Python, and tries each function that is called
    from there. Of numba, which compiles at the first call of a kernel, it fails to trace some.
    """
    hidden = "torch._dynamo" in sys.modules  # else nothing is being traced, and it need not be imported
    return (_unseen_call if hidden else _call)(function, *arguments)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)


_unseen_call = _disable_dynamo(_call)


class KernelInput:
    """Instructions as the kernel takes them, for batches or for one sample."""

    def __init__(self, instructions: Instructions, *, one_sample: bool) -> None:
        self.instructions, self.one_sample = instructions, one_sample
        self.n_rows = 2**instructions.n_qubits
        starts = instructions.starts if len(instructions.starts) else None  # without them less is compiled
        sizes = self.n_rows, instructions.n_entries, instructions.n_by_sample
        self.program = instructions.arrays, starts, sizes, instructions.n_phases

    def block(self, batch: int) -> int:
        """Return the number of samples that run side by side."""
        return min(batch, max(MIN_BLOCK, CACHE_NUMBERS // self.n_rows))


class KernelValues(torch.autograd.Function):
    """Expectation values, (batch, observables), by one compiled call; of groups of samples, (groups * batch, ...)."""

    @staticmethod
    def forward(ctx: Any, kernel: KernelInput, plain: Plain, only_once: bool, data: Tensor, weights: Tensor) -> Tensor:
        """Run the circuit forwards; `plain` is the same function in tensor operations.

        Weights are those of all samples, (weights,), or those of each group of consecutive samples, (groups, weights).
        """
        batch = data.shape[0]
        block = kernel.block(batch if weights.ndim == 1 else batch // len(weights))
        inputs, angles = _angles(kernel, data, weights)
        keeps = any(ctx.needs_input_grad)
        size = kernel.n_rows * (batch if keeps else block)
        states = (
            np.empty(size, dtype=inputs.dtype),
            np.empty(0 if kernel.instructions.is_real else size, dtype=inputs.dtype),
        )
        values = np.zeros((batch, kernel.instructions.n_observables), dtype=inputs.dtype)
        unseen(loaded_kernels().forward, *kernel.program, inputs, angles, block, states, values)
        if keeps:
            ctx.kernel, ctx.plain, ctx.only_once, ctx.states, ctx.block = kernel, plain, only_once, states, block
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
            plain = ctx.plain if weights.ndim == 1 else partial(_group_by_group, ctx.plain)
            return None, None, None, *plain_pullback(plain, (data, weights), needed, (grad,))
        return None, None, None, *_pulled(ctx, grad, data, weights)


class KernelStates(torch.autograd.Function):
    """State vectors, (batch, 2**n), by one compiled call; of groups of samples as in `KernelValues`."""

    @staticmethod
    def forward(ctx: Any, kernel: KernelInput, plain: Plain, only_once: bool, data: Tensor, weights: Tensor) -> Tensor:
        """Run the circuit forwards; `plain` is the same function in tensor operations."""
        groups = 1 if weights.ndim == 1 else len(weights)
        block = data.shape[0] // groups
        inputs, angles = _angles(kernel, data, weights)
        size = kernel.n_rows * data.shape[0]
        states = (
            np.empty(size, dtype=inputs.dtype),
            np.empty(0 if kernel.instructions.is_real else size, dtype=inputs.dtype),
        )
        values = np.zeros((data.shape[0], 0), dtype=inputs.dtype)
        unseen(loaded_kernels().forward, *kernel.program, inputs, angles, block, states, values)
        ctx.kernel, ctx.plain, ctx.only_once, ctx.states, ctx.block = kernel, plain, only_once, states, block
        ctx.save_for_backward(data, weights)
        kind = np.complex64 if inputs.dtype == np.float32 else np.complex128
        answer = np.zeros((groups, block, kernel.n_rows), dtype=kind)
        answer.real = states[0].reshape(groups, kernel.n_rows, block).transpose(0, 2, 1)
        if len(states[1]):
            answer.imag = states[1].reshape(groups, kernel.n_rows, block).transpose(0, 2, 1)
        return torch.from_numpy(answer.reshape(-1, kernel.n_rows))

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run the circuit backwards, or let autograd follow the plain function where its own derivative is wanted."""
        (grad,) = grads
        data, weights = ctx.saved_tensors
        if needs_plain_pullback(grad):
            plain = ctx.plain if weights.ndim == 1 else partial(_group_by_group, ctx.plain)
            return None, None, None, *plain_pullback(plain, (data, weights), ctx.needs_input_grad[3:], (grad,))
        mu = grad.detach().resolve_conj().numpy().reshape(-1, ctx.block, ctx.kernel.n_rows).transpose(0, 2, 1) / 2.0
        parts = np.ascontiguousarray(mu.real).reshape(-1), np.ascontiguousarray(mu.imag).reshape(-1)
        return None, None, None, *_pulled(ctx, None, data, weights, parts)


def grouped(function: Any, kernel: KernelInput, plain: Plain, only_once: bool, data: Tensor, weights: Tensor) -> Tensor:
    """Call `KernelValues` or `KernelStates` for groups of samples, (groups or 1, batch, inputs) and (..., weights)."""
    groups = max(len(data), len(weights))
    if len(weights) > 1 or kernel.one_sample:
        flat, angles = data.expand(groups, *data.shape[1:]).flatten(0, 1), weights.expand(groups, -1)
    else:
        flat, angles = data.flatten(0, 1), weights[0]
    return function.apply(kernel, plain, only_once, flat, angles).unflatten(0, (groups, -1))


def _group_by_group(plain: Plain, data: Tensor, weights: Tensor) -> Tensor:
    return torch.cat([plain(*pair) for pair in zip(data.chunk(len(weights)), weights, strict=True)])


def _pulled(
    ctx: Any, grad: Any, data: Tensor, weights: Tensor, pulled: tuple[np.ndarray, np.ndarray] | None = None
) -> list[Tensor | None]:
    """Run the circuit backwards from the gradient of the values, or from mu of the states where that is given."""
    kernel = ctx.kernel
    inputs, angles = _angles(kernel, data, weights)
    data_grad, weight_grad = np.zeros(inputs.shape), np.zeros(angles.shape)
    no_grad, no_mu = _nothing(inputs.dtype)
    grad, pulled = (_array(grad), no_mu) if pulled is None else (no_grad, pulled)
    unseen(
        loaded_kernels().backward,
        *kernel.program,
        inputs,
        angles,
        ctx.block,
        ctx.states,
        grad,
        pulled,
        bool(ctx.needs_input_grad[3]),
        data_grad,
        weight_grad,
    )
    n_weights = weights.shape[-1]
    if kernel.one_sample:
        data_grad, weight_grad = data_grad + weight_grad[:, n_weights:], weight_grad[:, :n_weights]
    parts = zip((data_grad, weight_grad.reshape(weights.shape)), (data, weights), ctx.needs_input_grad[3:], strict=True)
    return [torch.from_numpy(part).to(like.dtype) if needed else None for part, like, needed in parts]


@cache
def _nothing(dtype: np.dtype) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return a gradient and a mu that are not given."""
    return np.empty((0, 0), dtype), (np.empty(0, dtype), np.empty(0, dtype))


def _angles(kernel: KernelInput, data: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays of data and of weights, (groups, weights); data of groups of one sample follow the weights."""
    inputs, angles = _array(data), _array(weights)
    angles = angles if angles.ndim == 2 else angles[None]
    return inputs, np.concatenate([angles, inputs], 1) if kernel.one_sample else angles


def _array(values: Tensor) -> np.ndarray:
    """Return the numbers of a tensor, one after another in memory."""
    return values.detach().resolve_neg().contiguous().numpy()
