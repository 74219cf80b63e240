"""The evolution of states through a plan: a plain path that autograd follows, and a function with an own pullback.

The function gives first derivatives from stored states or, in the adjoint mode, from states recomputed backwards, so
that memory does not grow with depth (Jones and Gacon, arXiv:2009.02823). Where a derivative of the derivative is asked
for, it is taken through the plain path instead, so that any order is right.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from qml.buffers import Loan, tensor_loan
from qml.checks import in_full_precision, needs_plain_pullback
from qml.simulator import initial
from qml.simulator.compiled import Compiled
from qml.simulator.matrix_groups import Evaluated
from qml.simulator.readout import Readout
from qml.simulator.rounds import SharedRound
from qml.simulator.steps import OperandGradients, Operands

Memory = Literal["store", "adjoint", "adjoint only"]


@dataclass(eq=False)
class Tape:
    """A record of a forward pass, for the pullback."""

    evaluated: Evaluated
    operands: Operands
    initial: initial.InitialTape
    loan: Loan[Tensor]
    states: dict[int, Tensor] = field(default_factory=dict)
    final: Tensor | None = None
    start_batch: int = 1


def run_plain(compiled: Compiled, readout: Readout, data: Tensor, weights: Tensor) -> Tensor:
    """Run all of a plan as ordinary tensor operations; shape (rows, batch or 1)."""
    return readout.forward(evolve_plain(compiled, data, weights))


def evolve_plain(compiled: Compiled, data: Tensor, weights: Tensor) -> Tensor:
    """Compute the final state, shape (levels**sites, batch or 1)."""
    evaluated, operands = _operands(compiled, data, weights)
    state = _expanded(compiled, initial.initial_state(compiled, data, evaluated), data)
    for step in compiled.steps:
        state = step.forward(state, operands.of(step))
    return state


class Evolve(torch.autograd.Function):
    """A function that computes what `run_plain` does, with a first derivative of its own."""

    @staticmethod
    def forward(
        ctx: Any, compiled: Compiled, readout: Readout, memory: Memory, data: Tensor, weights: Tensor
    ) -> Tensor:
        """Run the plan; see `run_plain`."""
        needs_grad = any(ctx.needs_input_grad)
        evaluated, operands = _operands(compiled, data, weights)
        shape = (compiled.plan.request.levels**compiled.plan.n_sites, len(data) if compiled.samples_differ else 1)
        loan = tensor_loan(shape, compiled.dtype, data.device)
        tape = Tape(evaluated, operands, initial.InitialTape(), loan)
        state = initial.initial_state(compiled, data, evaluated, tape.initial if needs_grad else None)
        tape.start_batch = state.shape[-1]
        state = _expanded(compiled, state, data)
        spare: Tensor | None = None
        for number, step in enumerate(compiled.steps):
            before, out = state, loan.buffer() if spare is None else spare
            state = step.forward(before, operands.of(step), out)
            if needs_grad and memory == "store" and step.needs_input:
                tape.states[number], spare = before, None
            else:
                spare = _freed(before, out, state, first=number == 0)
        values = readout.forward(state)
        if needs_grad:
            tape.final = state
            ctx.compiled, ctx.readout, ctx.memory, ctx.tape = compiled, readout, memory, tape
            ctx.save_for_backward(data, weights)
        return values

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Compute the pullback, or, where its own derivative is wanted, let autograd follow the plain path."""
        (grad,) = grads
        data, weights = ctx.saved_tensors
        if not needs_plain_pullback(grad):
            return None, None, None, *_pullback(ctx, grad, data, weights)
        if torch.is_grad_enabled() and ctx.memory == "adjoint only":
            raise RuntimeError(
                'A second derivative must not be asked of Native(method="adjoint"), which is only once differentiable. '
                'Use Native() or Native(method="autograd"), which have any order.'
            )
        return None, None, None, *_differentiable(ctx, grad, data, weights)


def _operands(compiled: Compiled, data: Tensor, weights: Tensor) -> tuple[Evaluated, Operands]:
    """Evaluate the matrix program, and compute the tables to which the steps refer."""
    shared = compiled.plan.request.shared_data
    angles = torch.cat([weights, data[0]]) if shared and data.shape[1] else weights
    evaluated = compiled.program(angles)
    return evaluated, Operands(evaluated.values, [table.coefficients(data) for table in compiled.data_tables])


def _expanded(compiled: Compiled, state: Tensor, data: Tensor) -> Tensor:
    """Give every sample a state of its own where a data step follows; until then they share one."""
    return state.expand(-1, len(data)) if compiled.data_tables else state


def _differentiable(ctx: Any, grad: Tensor, data: Tensor, weights: Tensor) -> list[Tensor | None]:
    wanted = ctx.needs_input_grad[3:]
    with torch.enable_grad():
        # Aliases, at which autograd stops: data of a second call depends on the weights, and derivatives are partial.
        data, weights = data.view_as(data), weights.view_as(weights)
        value = run_plain(ctx.compiled, ctx.readout, data, weights)
    if not value.requires_grad:  # the expectation value is constant, such as that of the identity
        return [
            torch.zeros_like(part) if needed else None for part, needed in zip((data, weights), wanted, strict=True)
        ]
    inputs = [tensor for tensor, needed in zip((data, weights), wanted, strict=True) if needed]
    create_graph = torch.is_grad_enabled()  # off where only many gradients at once are wanted, as a vmap
    gradients = iter(torch.autograd.grad(value, inputs, grad, create_graph=create_graph, allow_unused=True))
    return [next(gradients) if needed else None for needed in wanted]


def _pullback(ctx: Any, grad: Tensor, data: Tensor, weights: Tensor) -> list[Tensor | None]:
    compiled, tape = ctx.compiled, ctx.tape
    wants_data, wants_weights = ctx.needs_input_grad[3:]
    shared = compiled.plan.request.shared_data
    grads = OperandGradients([None] * len(tape.operands.shared), [None] * len(tape.operands.per_sample))
    data_grad = torch.zeros_like(data) if wants_data else None
    with tensor_loan(tuple(tape.final.shape), tape.final.dtype, tape.final.device) as loan:  # mu lies in its memory
        mu = _pull_steps(ctx, grad, grads, loan)
        if mu is not None:
            initial.pullback(compiled, tape.initial, mu, tape.evaluated, grads.shared, data_grad)
    if data_grad is not None:
        for table, coefficients, part in zip(
            compiled.data_tables, tape.operands.per_sample, grads.per_sample, strict=True
        ):
            table.pullback(part, coefficients, data_grad)
    n_angles = len(weights) + (data.shape[1] if shared else 0)
    angle_grad = compiled.program.pullback(tape.evaluated, grads.shared, n_angles)
    if angle_grad is None:
        angle_grad = weights.new_zeros(n_angles)
    if shared and data_grad is not None and data.shape[1]:
        data_grad = data_grad + angle_grad[len(weights) :]
    return [data_grad, angle_grad[: len(weights)] if wants_weights else None]


def _pull_steps(ctx: Any, grad: Tensor, grads: OperandGradients, loan: Loan[Tensor]) -> Tensor | None:
    """Compute mu of the initial state; None where nothing before the first step depends on what is asked for.

    The result may lie in a buffer of `loan`, so that it is valid only until the loan ends.
    """
    compiled, tape = ctx.compiled, ctx.tape
    wants_data = ctx.needs_input_grad[3]
    state = tape.final
    mu = ctx.readout.pullback(grad, state, loan.buffer())
    spare: Tensor | None = None
    start_matters = wants_data or any(isinstance(r, SharedRound) for r in compiled.rounds)
    for number in range(len(compiled.steps) - 1, -1, -1):
        step = compiled.steps[number]
        operand, reference = tape.operands.of(step), step.reference
        wants = reference is not None and (wants_data or not reference.per_sample)
        state = tape.states.get(number) if ctx.memory == "store" else step.inverse(state, operand)
        after, out = mu, loan.buffer() if spare is None else spare
        mu, gradient = step.pullback(after, state if wants else None, operand, out)
        spare = _freed(after, out, mu, first=number == len(compiled.steps) - 1)
        if gradient is not None and reference is not None:
            grads.add(reference, gradient, tape.operands)
    if not start_matters:
        return None
    return mu if mu.shape[-1] == tape.start_batch else mu.sum(-1, keepdim=True)


def _freed(before: Tensor, out: Tensor, after: Tensor, *, first: bool) -> Tensor | None:
    """Return the buffer that the next step may write to: that before this step, or an `out` that was not used."""
    if after.data_ptr() != out.data_ptr():
        return out
    return None if first else before
