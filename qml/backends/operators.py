"""Circuits inside torch.compile: one registered operator, so that a compiled model has no graph break.

The operator `qml_circuits::derivatives` computes a call to a backend, or a derivative of it. Write f0(data, weights)
for the values, and f(k+1) for the vector-Jacobian product of f(k): it takes the inputs of f(k) and one cotangent for
each of its outputs, and gives one gradient for each of the inputs that are asked for. So the backward pass of the
operator is the operator one level higher, and it can be differentiated as often as torch lets a compiled graph be. Each
level runs the backend's own forward and backward pass, with the memory and the order of derivatives that this has.

A graph holds no Python objects, so the operator's argument is a key: dynamo asks for it once while it traces, guards
the identity of backend, circuit and observables, and traces anew where one of them is another. Objects that were made
inside the compiled function cannot be guarded. They have no key, and run between the compiled graphs.
"""

import itertools
import json
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, cast
from weakref import ref

import torch
from torch import Tensor

from circuits import Circuit, Observable
from qml import checks
from qml.backends.protocol import Backend

Method = Literal["expectation", "probabilities", "amplitudes"]
Levels = tuple[tuple[int, ...], ...]

KNOWS_OBJECTS = torch.__version__ >= "2.13"
"""Whether dynamo hands objects to functions that are constants of the trace, and guards them; earlier ones do not."""
NO_KEY = ""
GONE = (
    "The model of a compiled graph must be alive while the graph runs, in the process that traced it, but its circuit "
    "is gone. Keep the model, or use torch.export."
)


@dataclass
class Call:
    """A call to a backend, but for data and weights. It is forgotten with the circuit, which the model holds."""

    backend: Backend
    circuit: Callable[[], Circuit | None]
    method: Method
    asked: tuple[Any, ...]
    kept: "deque[Graph]" = field(default_factory=lambda: deque(maxlen=1))  # of the last forward pass

    def __call__(self, data: Tensor, weights: Tensor) -> Tensor:
        """Compute the values, (batch, columns)."""
        circuit = self.circuit()
        if circuit is None:
            raise RuntimeError(GONE)
        return getattr(self.backend, self.method)(circuit, data, weights, self.asked)


@dataclass(frozen=True)
class Graph:
    """The values of a forward pass with what autograd recorded, for the backward pass that comes next.

    Compiled code may write into the memory of its tensors, so inputs are copies, and are compared by value.
    """

    inputs: tuple[Tensor, ...]
    values: Tensor

    def fits(self, tensors: Sequence[Tensor], chosen: Sequence[int]) -> bool:
        """Tell whether these are the same inputs, and whether gradients by the chosen ones were recorded."""
        return all(self.inputs[number].requires_grad for number in chosen) and all(
            kept.shape == tensor.shape and kept.dtype == tensor.dtype and torch.equal(kept.detach(), tensor)
            for kept, tensor in zip(self.inputs, tensors, strict=True)
        )


_CALLS: dict[str, Call] = {}
_NUMBERS = itertools.count()


def key_of(backend: Any, circuit: Any, length: int, method: Method, *asked: Any) -> str:
    """Enter a call and return its key; dynamo runs this as plain Python while it traces, and guards the objects.

    Args:
        backend: the backend.
        circuit: the circuit.
        length: its number of operations as the trace has it.
        method: of the backend.
        asked: observables, or numbers of qubits.

    Returns:
        The key, or NO_KEY where an object was made or changed within the trace, which shows a part of it only, and
        inside torch.func and forward mode, whose rules torch's registered operators lack.
    """
    if checks.in_functorch() or checks.in_forward_mode():
        return NO_KEY
    if not is_dataclass(backend) or any(field.name not in vars(backend) for field in fields(backend) if field.init):
        return NO_KEY
    if "_operations" not in vars(circuit) or len(circuit) != length:
        return NO_KEY
    if any(isinstance(item, Observable) and "terms" not in vars(item) for item in asked):
        return NO_KEY
    key = f"call {next(_NUMBERS)}"
    _CALLS[key] = Call(cast(Backend, backend), ref(circuit, lambda _: _CALLS.pop(key, None)), method, asked)
    return key


# As torch.compiler.assume_constant_result marks it, which would import the compiler.
key_of._dynamo_marked_constant = KNOWS_OBJECTS  # pyright: ignore[reportFunctionMemberAccess]


def run(data: Tensor, weights: Tensor, key: str, n_columns: int) -> Tensor:
    """Compute the call of a key as an operator, (batch, n_columns)."""
    kept = "".join("1" if tensor.requires_grad and torch.is_grad_enabled() else "0" for tensor in (data, weights))
    return derivatives([data, weights], key, n_columns, "[]", kept)[0]


@torch.library.custom_op("qml_circuits::derivatives", mutates_args=())
def derivatives(tensors: Sequence[Tensor], key: str, n_columns: int, levels: str, kept: str) -> list[Tensor]:
    """Compute the call, or a vector-Jacobian product of it.

    Args:
        tensors: data, weights, and for each level the cotangents of what the level below gives.
        key: of the call.
        n_columns: of its values.
        levels: for each level the numbers of those inputs of the level below whose gradients are wanted, as JSON.
        kept: for data and weights "1" where a backward pass will ask for gradients, else "0": what it needs is kept for
            the next backward pass of this call, which else computes it again. Only the lowest level keeps anything.
    """
    call = _CALLS.get(key)
    if call is None:
        raise RuntimeError(GONE)
    steps = _levels(levels)
    with _autograd_below_the_dispatcher():
        if not steps:
            return [_forward(call, tensors, kept)]
        values = _kept_gradients(call, tensors, steps) or _gradients(call, tensors, steps)
    # an operator must not return its inputs
    owned = {tensor.untyped_storage().data_ptr() for tensor in tensors}
    results = [value.detach().contiguous() for value in values]
    return [value.clone() if value.untyped_storage().data_ptr() in owned else value for value in results]


def _forward(call: Call, tensors: Sequence[Tensor], kept: str) -> Tensor:
    """Compute the values, and keep them with their graph if a backward pass comes."""
    if "1" not in kept:
        with torch.no_grad():
            return call(*tensors).contiguous()
    copies = tuple(
        tensor.detach().clone().requires_grad_(flag == "1") for tensor, flag in zip(tensors, kept, strict=True)
    )
    with torch.enable_grad():
        values = call(*copies)
    if values.requires_grad:
        call.kept.append(Graph(copies, values))
    return values.detach().clone()


def _kept_gradients(call: Call, tensors: Sequence[Tensor], steps: Levels) -> Sequence[Tensor] | None:
    """Compute gradients from what the forward pass has kept, which is used up; None where it was another one."""
    try:
        graph = call.kept.pop()  # in one step: of two threads, one gets it
    except IndexError:
        return None
    if len(steps) != 1 or not graph.fits(tensors[:2], steps[0]):
        return None
    wanted = [graph.inputs[number] for number in steps[0]]
    return torch.autograd.grad(graph.values, wanted, tensors[2], allow_unused=True, materialize_grads=True)


def _gradients(call: Call, tensors: Sequence[Tensor], steps: Levels) -> Sequence[Tensor]:
    """Compute the values of the highest level, with all that is below."""
    leaves = [tensor.detach() for tensor in tensors]
    for number in {number for chosen in steps for number in chosen}:
        leaves[number].requires_grad_()
    with torch.enable_grad():
        return _evaluated(leaves, call, steps, create_graph=False)


@derivatives.register_fake
def _(tensors: Sequence[Tensor], key: str, n_columns: int, levels: str, kept: str) -> list[Tensor]:
    steps = _levels(levels)
    if not steps:
        return [tensors[0].new_empty(tensors[0].shape[0], n_columns)]
    return [tensors[number].new_empty(tensors[number].shape) for number in steps[-1]]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    tensors, ctx.key, ctx.n_columns, ctx.levels, _ = inputs
    ctx.save_for_backward(*tensors)
    ctx.shapes = [value.shape for value in output]


def _backward(ctx: Any, cotangents: Sequence[Tensor | None]) -> tuple[Any, ...]:
    tensors = ctx.saved_tensors
    needed = ctx.needs_input_grad[0]
    chosen = [number for number in range(len(tensors)) if needed is True or needed[number]]
    given = [
        tensors[0].new_zeros(shape) if cotangent is None else cotangent
        for cotangent, shape in zip(cotangents, ctx.shapes, strict=True)
    ]
    levels = json.dumps([*json.loads(ctx.levels), chosen])
    gradients = derivatives([*tensors, *given], ctx.key, ctx.n_columns, levels, "")
    found = dict(zip(chosen, gradients, strict=True))
    return [found.get(number) for number in range(len(tensors))], None, None, None, None


derivatives.register_autograd(_backward, setup_context=_setup)


@contextmanager
def _autograd_below_the_dispatcher() -> Iterator[None]:
    """Let autograd record within an operator, where the dispatcher leaves it out."""
    key = torch._C.DispatchKey
    with (
        torch._C._SetExcludeDispatchKeyGuard(key.AutogradFunctionality, False),  # pyright: ignore
        torch._C._SetExcludeDispatchKeyGuard(key.ADInplaceOrView, False),  # pyright: ignore
    ):
        yield


@lru_cache(256)
def _levels(text: str) -> Levels:
    return tuple(tuple(chosen) for chosen in json.loads(text))


def _evaluated(tensors: Sequence[Tensor], call: Call, levels: Levels, *, create_graph: bool) -> Sequence[Tensor]:
    """Compute the values of the last level from the inputs of all."""
    if not levels:
        return [call(*tensors)]
    *below, chosen = levels
    n_values = len(below[-1]) if below else 1
    inputs, cotangents = tensors[:-n_values], tensors[-n_values:]
    values = _evaluated(inputs, call, tuple(below), create_graph=True)
    return torch.autograd.grad(
        values,
        [inputs[number] for number in chosen],
        cotangents,
        create_graph=create_graph,
        allow_unused=True,
        materialize_grads=True,
    )
