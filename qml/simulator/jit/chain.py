"""Expectation values by the kernel with arithmetic around them, as one function that autograd knows.

Of a small circuit the tensor operations before and behind it, and their derivatives, take longer than the circuit. Here
they are NumPy's, with derivatives by hand, and autograd sees one operation. Its derivatives of higher order are those
of plain tensor operations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from qml.checks import in_full_precision, needs_plain_pullback, require_finite
from qml.plain_pullback import plain_pullback
from qml.simulator.jit.values import KernelInput, Plain, as_array, as_gradient

Array = np.ndarray
Arrays = Sequence[Array]
Wanted = Sequence[bool]


@runtime_checkable
class Before(Protocol):
    """Arithmetic from tensors to the data of a circuit.

    Arrays have one more dimension of groups in front, of size 1 where all groups share them.
    """

    def forward(self, arrays: Arrays) -> Array:
        """Compute the data, (groups, batch, slots), in the dtype of the arrays."""
        ...

    def backward(self, grad: Array, wanted: Wanted, arrays: Arrays) -> list[Array | None]:
        """Return gradients, of each group, from that of the data; None where none is wanted."""
        ...

    @property
    def plain(self) -> Callable[..., Tensor]:
        """Return the function from the tensors of one group to its data, (batch, slots), by tensor operations."""
        ...


@runtime_checkable
class After(Protocol):
    """Arithmetic from expectation values, and further tensors, to a result; see `Before`."""

    def forward(self, values: Array, arrays: Arrays) -> Array:
        """Compute the result, (groups, ...), from values (groups, batch, observables)."""
        ...

    def backward(self, grad: Array, wanted: Wanted, values: Array, arrays: Arrays) -> list[Array | None]:
        """Return the gradient of the values, and then those of the arrays; None where none is wanted."""
        ...

    @property
    def plain(self) -> Callable[..., Tensor]:
        """Return the function from values and tensors of one group to the result, by tensor operations."""
        ...


@dataclass(frozen=True, eq=False)
class Chain:
    """Arithmetic, a circuit, and arithmetic: what `ChainValues` computes of weights and of the tensors of both.

    Attributes:
        kernel: the circuit, for batches.
        values: its expectation values in plain tensor operations.
        n_data: its data slots.
        before: computes its data from the first `n_before` tensors.
        after: takes the others.
    """

    kernel: KernelInput
    values: Plain
    n_data: int
    before: Before
    n_before: int
    after: After

    def plain(self, weights: Tensor, *tensors: Tensor) -> Tensor:
        """Compute the result of one group by tensor operations."""
        values = self.values(self.before.plain(*tensors[: self.n_before]), weights)
        return self.after.plain(values, *tensors[self.n_before :])


class ChainValues(torch.autograd.Function):
    """The result of a chain; tensors have one more dimension in front where there are groups, as in `KernelValues`."""

    @staticmethod
    def forward(ctx: Any, chain: Chain, in_groups: bool, weights: Tensor, *tensors: Tensor) -> Tensor:
        """Run the chain forwards."""
        arrays = [as_array(values) for values in (weights, *tensors)]
        if not in_groups:
            arrays = [array[None] for array in arrays]
        angles, given, further = arrays[0], arrays[1 : 1 + chain.n_before], arrays[1 + chain.n_before :]
        data = chain.before.forward(given)
        groups, (_, batch, n_slots) = max(len(data), len(angles)), data.shape
        if n_slots != chain.n_data:
            raise ValueError(f"Argument `data` must have shape (batch, {chain.n_data}), but has {n_slots} columns.")
        if len(data) < groups:
            data = np.repeat(data, groups, 0)
        values, run, finite = chain.kernel.forward(
            data.reshape(groups * batch, n_slots), angles, keeps=any(ctx.needs_input_grad)
        )
        if not (finite or in_groups):  # within groups values are hidden, and NaN passes through
            require_finite(torch.from_numpy(data), "data")
            require_finite(weights, "weights")
        values = values.reshape(groups, batch, -1)
        n_results = max(groups, *(len(array) for array in further), 1)  # labels of several groups may share values
        if n_results > groups:
            values = np.repeat(values, n_results, 0)
        result = chain.after.forward(values, further)
        ctx.chain, ctx.in_groups, ctx.run = chain, in_groups, (run, values, given, further)
        ctx.save_for_backward(weights, *tensors)
        return torch.from_numpy(result if in_groups else result.reshape(result.shape[1:]))

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Run it backwards, or let autograd follow plain operations where their own derivative is wanted."""
        tensors, wanted, chain = ctx.saved_tensors, ctx.needs_input_grad[2:], ctx.chain
        if needs_plain_pullback(grads[0]):
            plain = _each_group(chain) if ctx.in_groups else chain.plain
            return None, None, *plain_pullback(plain, tensors, wanted, grads)
        run, values, given, further = ctx.run
        grad = as_array(grads[0])
        n_before, groups = chain.n_before, len(run[0]) // values.shape[1]
        values_grad, *after = chain.after.backward(
            grad if ctx.in_groups else grad[None], wanted[1 + n_before :], values, further
        )
        if len(values_grad) > groups:
            values_grad = values_grad.sum(0, keepdims=True)
        wants_data = any(wanted[1 : 1 + n_before])
        data_grad, weight_grad = chain.kernel.backward(
            run, values_grad.reshape(len(run[0]), -1), None, wants_data=wants_data
        )
        before = [None] * n_before
        if wants_data:
            data_grad = data_grad.reshape(groups, -1, data_grad.shape[1])
            before = chain.before.backward(data_grad, wanted[1 : 1 + n_before], given)
        gradients = (weight_grad if wanted[0] else None, *before, *after)
        return (
            None,
            None,
            *(None if part is None else as_gradient(part, like) for part, like in zip(gradients, tensors, strict=True)),
        )


def _each_group(chain: Chain) -> Any:
    """Return the function of all groups by tensor operations."""

    def function(*tensors: Tensor) -> Tensor:
        groups = max(len(values) for values in tensors)
        rows = zip(*(values.expand(groups, *values.shape[1:]) for values in tensors), strict=True)
        return torch.stack([chain.plain(*row) for row in rows])

    return function
