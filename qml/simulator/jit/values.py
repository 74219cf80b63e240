"""Expectation values by the kernel, as a function that autograd knows.

Its backward pass is one call too. Where the derivative of the derivative is wanted, or many gradients at once, it is
taken through plain tensor operations of another route.
"""

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._compile import _disable_dynamo  # unlike torch.compiler.disable it does not import the compiler with it

from qml.checks import in_full_precision, needs_plain_pullback, require_finite, require_installed
from qml.plain_pullback import plain_pullback
from qml.simulator.jit.instructions import Instructions
from qml.simulator.jit.side_by_side import Pair, Run, run_backward, run_forward, shared_block, shares, useful_threads

CACHE_NUMBERS = 2**13  # amplitudes of a block of samples, so that its states stay in the first caches
MIN_BLOCK = 32  # samples of a block where the batch has them, or innermost loops are too short
MIN_WIDE_BLOCK = 8  # of registers so wide that states of more would leave the last cache
WIDE_NUMBERS = 2**19  # amplitudes of a block of these

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
    if compiled and not data.is_cpu:
        raise ValueError(
            f"Native(compiled=True) must have its data on the CPU, but they are on {data.device}. Use Native()."
        )
    if compiled and load_kernels() is None:
        require_installed("numba", "Native(compiled=True) needs numba", "fast")
        loaded_kernels()  # which says why it cannot be imported
    return compiled if data.is_cpu else False


@cache
def loaded_kernels() -> Any:
    """Return the kernels, which the planning of their route has imported."""
    return importlib.import_module("qml.simulator.jit.kernels")


@cache
def arithmetic() -> Any:
    """Return the compiled arithmetic around a circuit, which runs only where the kernels do."""
    return importlib.import_module("qml.simulator.jit.arithmetic")


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
        self.program = instructions.arrays, starts, sizes, instructions.n_phases, instructions.n_turned

    def block(self, batch: int) -> int:
        """Return the number of samples that run side by side in one thread."""
        widest = min(MIN_BLOCK, max(MIN_WIDE_BLOCK, WIDE_NUMBERS // self.n_rows))
        return min(batch, max(widest, CACHE_NUMBERS // self.n_rows))

    def n_threads(self, n_samples: int) -> int:
        """Return the number of threads that so many samples are worth."""
        return useful_threads(self.instructions.operations * n_samples)

    def forward(self, inputs: np.ndarray, angles: np.ndarray, *, keeps: bool) -> tuple[np.ndarray, Run, bool]:
        """Run the circuit forwards.

        Args:
            inputs: (groups * batch, inputs).
            angles: (groups, weights), with the data of a single sample behind them.
            keeps: whether the run can go backwards then.

        Returns:
            Values, (groups * batch, observables), the run, and whether inputs and angles are finite.
        """
        n_samples, groups = len(inputs), len(angles)
        batch, n_threads = n_samples // groups, self.n_threads(n_samples)
        block = self.block(batch)
        if groups == 1:
            block = shared_block(block, batch, n_threads)
        states = self.room(n_samples if keeps else block, inputs.dtype)
        values = np.zeros((n_samples, self.instructions.n_observables), dtype=inputs.dtype)
        run = inputs, angles, block, states
        if n_threads == 1:
            finite = unseen(loaded_kernels().forward, *self.program, *run, values)
        else:
            parts = shares(groups, batch, block, n_threads)
            finite = unseen(run_forward, loaded_kernels().forward, self.program, parts, run, values)
        return values, run, finite

    def backward(
        self, run: Run, grad: np.ndarray | None, mu: Pair | None, *, wants_data: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run the circuit backwards.

        Args:
            run: a forward pass that keeps its states.
            grad: of the values, (groups * batch, observables); None where mu is given.
            mu: of the states.
            wants_data: whether the gradient of the data is wanted.

        Returns:
            Gradients of inputs and angles, in double precision.
        """
        inputs, angles = run[:2]
        no_grad, no_mu = _nothing(inputs.dtype)
        gradients = np.zeros(inputs.shape), np.zeros(angles.shape)
        given = no_grad if grad is None else grad, no_mu if mu is None else mu
        n_threads = self.n_threads(len(inputs))
        if n_threads == 1:
            unseen(loaded_kernels().backward, *self.program, *run, *given, wants_data, *gradients)
        else:
            parts = shares(len(angles), len(inputs) // len(angles), run[2], n_threads)
            kernel = loaded_kernels().backward
            unseen(run_backward, kernel, self.program, parts, run, given, wants_data, gradients)
        return gradients

    def room(self, n_samples: int, dtype: np.dtype) -> Pair:
        """Return room for states, real and imaginary parts apart."""
        size = self.n_rows * n_samples
        return np.empty(size, dtype=dtype), np.empty(0 if self.instructions.is_real else size, dtype=dtype)


@dataclass(frozen=True, eq=False)
class KernelCall:
    """A circuit in the kernel, with the rules for its derivatives and for NaN.

    Attributes:
        kernel: the circuit.
        plain: the same function of one group in tensor operations.
        only_once: whether a second derivative is refused.
        hidden: whether values are hidden, so that NaN passes through.
    """

    kernel: KernelInput
    plain: Plain
    only_once: bool = False
    hidden: bool = False

    def require_finite(self, finite: bool, data: Tensor, weights: Tensor) -> None:
        """Refuse NaN and infinity, which the kernel has found where `finite` is false."""
        if not (finite or self.hidden):
            require_finite(data, "data")
            require_finite(weights, "weights")


def kernel_values(call: KernelCall, data: Tensor, weights: Tensor) -> Tensor:
    """Compute what `KernelValues` does, without a backward pass."""
    values, _, finite = call.kernel.forward(*_arrays(call.kernel, data, weights), keeps=False)
    call.require_finite(finite, data, weights)
    return torch.from_numpy(_in_groups(values, data))


class KernelValues(torch.autograd.Function):
    """Expectation values by one compiled call, (batch, observables).

    Data are (batch, inputs) and weights (weights,), or both have one more dimension of groups in front, of size 1 where
    all groups share them; then so has the result.
    """

    @staticmethod
    def forward(ctx: Any, call: KernelCall, data: Tensor, weights: Tensor) -> Tensor:
        """Run the circuit forwards."""
        inputs, angles = _arrays(call.kernel, data, weights)
        ctx.call = call
        values, ctx.run, finite = call.kernel.forward(inputs, angles, keeps=any(ctx.needs_input_grad))
        call.require_finite(finite, data, weights)
        ctx.save_for_backward(data, weights)
        return torch.from_numpy(_in_groups(values, data))

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run the circuit backwards, or let autograd follow the plain function where its own derivative is wanted."""
        (grad,) = grads
        if not needs_plain_pullback(grad):
            return None, *_pulled(ctx, as_array(grad))
        if torch.is_grad_enabled() and ctx.call.only_once:
            raise RuntimeError(
                'A second derivative must not be asked of Native(method="adjoint"), which is only once '
                'differentiable. Use Native() or Native(method="autograd"), which have any order.'
            )
        return None, *_plainly_pulled(ctx, grad)


class KernelStates(torch.autograd.Function):
    """State vectors, (batch, 2**n), by one compiled call; of groups of samples as in `KernelValues`."""

    @staticmethod
    def forward(ctx: Any, call: KernelCall, data: Tensor, weights: Tensor) -> Tensor:
        """Run the circuit forwards."""
        kernel = call.kernel
        _, ctx.run, _ = kernel.forward(*_arrays(kernel, data, weights), keeps=True)
        ctx.call = call
        ctx.save_for_backward(data, weights)
        inputs, states = ctx.run[0], ctx.run[3]
        answer = np.zeros((len(inputs), kernel.n_rows), np.complex64 if inputs.dtype == np.float32 else np.complex128)
        for samples, place in _blocks(ctx.run, kernel.n_rows):
            answer.real[samples] = states[0][place].reshape(kernel.n_rows, -1).T
            if len(states[1]):
                answer.imag[samples] = states[1][place].reshape(kernel.n_rows, -1).T
        return torch.from_numpy(_in_groups(answer, data))

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run the circuit backwards, or let autograd follow the plain function where its own derivative is wanted."""
        (grad,) = grads
        if needs_plain_pullback(grad):
            return None, *_plainly_pulled(ctx, grad)
        n_rows = ctx.call.kernel.n_rows
        rows = grad.detach().resolve_conj().numpy().reshape(-1, n_rows) / 2.0
        mu = np.empty(rows.size, ctx.run[0].dtype), np.empty(rows.size, ctx.run[0].dtype)
        for samples, place in _blocks(ctx.run, n_rows):
            mu[0][place], mu[1][place] = rows.real[samples].T.reshape(-1), rows.imag[samples].T.reshape(-1)
        return None, *_pulled(ctx, None, mu)


def _blocks(run: Run, n_rows: int) -> Iterator[tuple[slice, slice]]:
    """Yield the samples of each block of a run, and the place of their states."""
    inputs, angles, block, _ = run
    batch = len(inputs) // len(angles)
    for begin in range(0, len(inputs), batch or 1):
        for first in range(begin, begin + batch, block):
            last = min(first + block, begin + batch)
            yield slice(first, last), slice(first * n_rows, last * n_rows)


def _plainly_pulled(ctx: Any, grad: Tensor) -> list[Tensor | None]:
    """Let autograd follow the plain function."""
    data, weights = ctx.saved_tensors
    plain = ctx.call.plain if data.ndim == 2 else partial(_group_by_group, ctx.call.plain)
    return plain_pullback(plain, (data, weights), ctx.needs_input_grad[1:], (grad,))


def _group_by_group(plain: Plain, data: Tensor, weights: Tensor) -> Tensor:
    groups = max(len(data), len(weights))
    pairs = zip(data.expand(groups, *data.shape[1:]), weights.expand(groups, -1), strict=True)
    return torch.stack([plain(*pair) for pair in pairs])


def _pulled(ctx: Any, grad: Any, pulled: Pair | None = None) -> list[Tensor | None]:
    """Run the circuit backwards from the gradient of the values, or from mu of the states where that is given."""
    data, weights = ctx.saved_tensors  # which refuses those that have changed since
    kernel: KernelInput = ctx.call.kernel
    wanted = ctx.needs_input_grad[1:]
    grad = None if grad is None else grad.reshape(len(ctx.run[0]), -1)
    data_grad, weight_grad = kernel.backward(ctx.run, grad, pulled, wants_data=bool(wanted[0]))
    n_weights = weights.shape[-1]
    if kernel.one_sample:
        data_grad, weight_grad = data_grad + weight_grad[:, n_weights:], weight_grad[:, :n_weights]
    return [
        as_gradient(data_grad, data) if wanted[0] else None,
        as_gradient(weight_grad, weights) if wanted[1] else None,
    ]


def as_gradient(total: np.ndarray, like: Tensor) -> Tensor:
    """Return a gradient in the shape and dtype of its tensor, summed over the groups that share it."""
    n_shared = total.size // max(1, like.numel())
    if n_shared > 1:
        total = total.reshape(n_shared, -1).sum(0)
    if like.dtype == torch.float32:
        with np.errstate(over="ignore"):  # infinity, without a word, as in torch
            total = total.astype(np.float32)
    return torch.from_numpy(total.reshape(like.shape))


@cache
def _nothing(dtype: np.dtype) -> tuple[np.ndarray, Pair]:
    """Return a gradient and a mu that are not given."""
    return np.empty((0, 0), dtype), (np.empty(0, dtype), np.empty(0, dtype))


def _in_groups(values: np.ndarray, data: Tensor) -> np.ndarray:
    """Return rows of all samples by groups, if data and weights have such."""
    return values if data.ndim == 2 else values.reshape(-1, data.shape[1], values.shape[1])


def _arrays(kernel: KernelInput, data: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the arrays of data, one sample a row, and of weights, (groups, weights).

    Groups that share their weights are one. Data of groups of one sample follow the weights.
    """
    inputs, angles = as_array(data), as_array(weights)
    if data.ndim == 2:
        angles = angles[None]
    else:
        groups = max(len(inputs), len(angles))
        if len(inputs) < groups:
            inputs = np.repeat(inputs, groups, 0)
        if kernel.one_sample and len(angles) < groups:
            angles = np.repeat(angles, groups, 0)
        inputs = inputs.reshape(groups * data.shape[1], data.shape[2])
    return inputs, np.concatenate([angles, inputs], 1) if kernel.one_sample else angles


def as_array(values: Tensor) -> np.ndarray:
    """Return the numbers of a tensor, one after another in memory."""
    array = values.numpy(force=True)
    return array if array.flags.c_contiguous else array.copy()
