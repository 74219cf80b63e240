"""Derivatives of any order under autograd and jax: a torch function, seen as one of theirs.

The function of a tape maps one vector of all its parameters to one vector of all its results. Its vector-Jacobian
product is a torch function of the vector and of the cotangent, which is lifted in the same way, and so on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pennylane.wires import Wires
from torch import Tensor

from qml.plugins.pennylane.execution import as_numpy, as_result, labels_of, load, run_exactly, run_one
from qml.plugins.pennylane.structure import is_trained
from qml.plugins.pennylane.untyped import math, pennylane

Function = Callable[..., Tensor]
"""A function of torch vectors with a vector as its value, differentiable any number of times."""


def interface_of_tapes(tapes: Sequence[Any]) -> str:
    """Return the interface of the parameters of tapes."""
    return math.get_interface(*[value for tape in tapes for value in tape.get_parameters(trainable_only=False)])


def run_lifted(tape: Any, wires: Wires | None, dtype: torch.dtype, interface: str) -> Any:
    """Return the results of a tape as arrays of autograd or jax, differentiable where the parameters are traced."""
    parameters = tape.get_parameters(trainable_only=False)
    traced = [number for number, value in enumerate(parameters) if is_trained(value)]
    if not traced:
        values = as_numpy(run_exactly([tape], wires, dtype)[0])
        return as_result([math.asarray(value, like=interface) for value in values])
    forms = [_Form.of(parameters[number]) for number in traced]
    vector = math.concatenate([form.flat(parameters[number]) for form, number in zip(forms, traced, strict=True)])
    results: list[_Form] = []

    def function(point: Tensor) -> Tensor:
        pieces = [form.restored(piece) for form, piece in zip(forms, point.split([f.size for f in forms]), strict=True)]
        outputs = run_one(load(tape, wires, dtype, dict(zip(traced, pieces, strict=True))), dtype)
        results[:] = [_Form.of(output) for output in outputs]
        return torch.cat([form.flat(output) for form, output in zip(results, outputs, strict=True)])

    if interface == "autograd":
        flat = lifted_to_autograd(function)(vector)
    else:
        results[:] = _result_forms(tape, labels_of(tape, wires))
        flat = lifted_to_jax(function, sum(form.size for form in results))(vector)
    pieces, start = [], 0
    for form in results:
        pieces.append(form.restored(flat[start : start + form.size]))
        start += form.size
    return as_result(pieces)


@dataclass(frozen=True)
class _Form:
    """The shape of an array, which is written as a real vector: all real parts, then all imaginary parts."""

    shape: tuple[int, ...]
    is_complex: bool

    @staticmethod
    def of(value: Any) -> "_Form":
        return _Form(tuple(math.shape(value)), "complex" in math.get_dtype_name(value))

    @property
    def size(self) -> int:
        return int(np.prod(self.shape)) * (2 if self.is_complex else 1)

    def flat(self, value: Any) -> Any:
        if not self.is_complex:
            return math.reshape(value, (-1,))
        return math.concatenate([math.reshape(part, (-1,)) for part in (math.real(value), math.imag(value))])

    def restored(self, vector: Any) -> Any:
        if not self.is_complex:
            return math.reshape(vector, self.shape)
        half = self.size // 2
        return math.reshape(vector[:half] + 1j * vector[half:], self.shape)


def _result_forms(tape: Any, labels: Sequence[Any]) -> list[_Form]:
    """Return the forms of the results before they are computed."""
    mixed = any(isinstance(op, pennylane.operation.Channel) for op in tape.operations)
    batch = () if tape.batch_size is None else (tape.batch_size,)
    forms = []
    for measurement in tape.measurements:
        shape = measurement.shape(shots=None, num_device_wires=len(labels))
        if mixed and type(measurement) is pennylane.measurements.StateMP:
            shape = (*shape, *shape)
        forms.append(_Form((*batch, *shape), measurement.numeric_type is complex))
    return forms


def _pullback(function: Function, number: int) -> Function:
    """Return the vector-Jacobian product of a function in one argument, as a function of the cotangent and all."""

    def pull(cotangent: Tensor, *arguments: Tensor) -> Tensor:
        value = function(*arguments)
        if not value.requires_grad:
            return torch.zeros_like(arguments[number])
        (gradient,) = torch.autograd.grad(
            value, arguments[number], cotangent, create_graph=True, allow_unused=True, materialize_grads=True
        )
        return gradient

    return pull


def _call(function: Function, arrays: Sequence[Any]) -> tuple[list[Tensor], Tensor]:
    """Return leaves of the arguments, and the value with its graph."""
    leaves = [torch.tensor(np.asarray(array), dtype=torch.float64).requires_grad_() for array in arrays]
    with torch.enable_grad():
        return leaves, function(*leaves)


def lifted_to_autograd(function: Function) -> Callable[..., Any]:
    """Return a torch function as one of autograd."""
    from autograd.extend import defvjp, primitive
    from autograd.tracer import isbox

    last: list[tuple[list[Tensor], Tensor]] = []

    @primitive
    def call(*arrays: Any) -> np.ndarray:
        last[:] = [_call(function, arrays)]
        return last[0][1].detach().numpy()

    def maker(number: int) -> Callable[..., Any]:
        def make(_: Any, *arrays: Any) -> Callable[[Any], Any]:
            leaves, value = last[0]

            def pull(cotangent: Any) -> Any:
                if isbox(cotangent) or any(isbox(array) for array in arrays):
                    return lifted_to_autograd(_pullback(function, number))(cotangent, *arrays)
                if not value.requires_grad:
                    return np.zeros(leaves[number].shape)
                vector = torch.tensor(np.asarray(cotangent), dtype=value.dtype)
                (gradient,) = torch.autograd.grad(
                    value, leaves[number], vector, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                return gradient.numpy()

            return pull

        return make

    def n_makers() -> list[Callable[..., Any]]:
        return [maker(number) for number in range(MAX_ARGUMENTS)]

    defvjp(call, *n_makers())
    return call


MAX_ARGUMENTS = 6  # of a lifted function: the point, and a cotangent for each further order of derivatives


def lifted_to_jax(function: Function, size: int) -> Callable[..., Any]:
    """Return a torch function as one of jax; it runs outside of compiled code."""
    import jax

    def outside(*arrays: Any) -> np.ndarray:
        _, value = _call(function, arrays)
        return value.detach().numpy().astype(arrays[-1].dtype)

    def forwards(*arrays: Any) -> Any:
        shape = jax.ShapeDtypeStruct((size,), arrays[-1].dtype)
        return jax.pure_callback(outside, shape, *arrays, vmap_method="sequential")

    call: Any = jax.custom_vjp(forwards)

    def forward(*arrays: Any) -> tuple[Any, tuple[Any, ...]]:
        return call(*arrays), arrays

    def backward(arrays: tuple[Any, ...], cotangent: Any) -> tuple[Any, ...]:
        return tuple(
            lifted_to_jax(_pullback(function, number), array.shape[0])(cotangent, *arrays)
            for number, array in enumerate(arrays)
        )

    call.defvjp(forward, backward)
    return call
