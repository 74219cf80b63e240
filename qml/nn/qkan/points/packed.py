"""Activations on any backend: circuits are packed side by side into registers, in one call forward and one backward.

Every rotation of a compiled activation is one data slot, and every activation at every point is one qubit of one row of
the batch. So a layer's forward pass is a single call of `Backend.expectation`, and so is its backward pass: qubits of a
register are independent, and one slot of all of them is shifted at once.
"""

import math
from typing import Any

import torch
from torch import Tensor

from circuits import Circuit, Z, data
from qml import checks
from qml.backends import Backend
from qml.nn.qkan.points.bloch import Angles, rotation_angle
from qml.nn.qkan.points.program import AXES, ActivationProgram

SHIFT = math.pi / 2  # of a rotation by exp(-i t P / 2): f'(t) = (f(t + SHIFT) - f(t - SHIFT)) / 2


def packed_expectation(program: ActivationProgram, angles: Angles, backend: Backend, width: int) -> Tensor:
    """Compute <Z> of every edge at every point by `backend`, shape (points, inputs, outputs).

    Derivatives are the backend's own where it gives them to any order, and else of first order, by the shift rule.

    Raises:
        TypeError: inside a torch.func transform, torch.compile or a level of forward-mode derivatives, unless the
            backend gives derivatives of any order.
    """
    any_order = backend.capabilities.derivative_order is None
    if not any_order and checks.needs_plain_operations():
        raise TypeError(
            f"Backend {backend.name} cannot run inside torch.func transforms, torch.compile or forward-mode "
            "derivatives, but must compute a value there. Use the native backend."
        )
    shape = torch.broadcast_shapes(angles.points.shape, (1, *angles.weights.shape[1:]))
    columns = [rotation_angle(rotation, angles).expand(shape) for rotation in program.rotations]
    rows = torch.stack(columns, -1).reshape(-1, len(columns))
    n_edges = len(rows)
    width = max(1, min(width, n_edges))
    rows = torch.nn.functional.pad(rows, (0, 0, 0, -n_edges % width))
    rows, circuit = rows.reshape(-1, width * len(columns)), packed_circuit(program, width)
    run = _expectations if any_order else _Shifted.apply
    return run(backend, circuit, width, rows).reshape(-1)[:n_edges].reshape(shape)


def packed_circuit(program: ActivationProgram, width: int) -> Circuit:
    """Build `width` copies of an activation on as many qubits.

    Data slot q * n + k is the angle of rotation k on qubit q.
    """
    circuit = Circuit(width)
    slots = len(program.rotations)
    for qubit in range(width):
        _prepare(circuit, qubit, program.start)
        for index, rotation in enumerate(program.rotations):
            circuit.pauli_rotation(data(qubit * slots + index), AXES[rotation.axis], qubit)
    return circuit


def _prepare(circuit: Circuit, qubit: int, start: tuple[int, int, int]) -> None:
    """Prepare the state whose Bloch vector is +-1 along one axis."""
    if sum(start) < 0:
        circuit.x(qubit)
    if start[0]:
        circuit.h(qubit)
    elif start[1]:
        circuit.h(qubit).s(qubit)


class _Shifted(torch.autograd.Function):
    """<Z> of every qubit; its derivative is taken by the parameter-shift rule, for one slot of all qubits at a time."""

    @staticmethod
    def forward(ctx: Any, backend: Backend, circuit: Circuit, width: int, angles: Tensor) -> Tensor:
        ctx.backend, ctx.circuit, ctx.width = backend, circuit, width
        ctx.save_for_backward(angles)
        values = _measured(backend, circuit, width, angles)
        return values.clone() if values._is_view() else values  # autograd would not let a view be changed in place

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        (angles,) = ctx.saved_tensors
        run = ctx.backend, ctx.circuit, ctx.width
        if checks.in_functorch():  # many gradients at once, of first order
            return None, None, None, _shift_rule(*run, gradient, angles)
        return None, None, None, _ShiftRule.apply(*run, gradient, angles)


class _ShiftRule(torch.autograd.Function):
    """The gradient by the angles, which refuses a further derivative.

    `once_differentiable` would not do: where `gradient` is constant, it lets a second derivative be zero.
    """

    @staticmethod
    def forward(ctx: Any, backend: Backend, circuit: Circuit, width: int, gradient: Tensor, angles: Tensor) -> Tensor:
        ctx.name = backend.name
        return _shift_rule(backend, circuit, width, gradient, angles)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError(
            f"Backend {ctx.name} must not be asked for a second derivative of activations: they are only once "
            "differentiable there (capability `derivative_order`). Use Native(), which has derivatives of any order."
        )


def _shift_rule(backend: Backend, circuit: Circuit, width: int, gradient: Tensor, angles: Tensor) -> Tensor:
    """Return the gradient by the angles, (rows, columns), from that by <Z> of every qubit, (rows, width)."""
    slots = angles.shape[1] // width
    shifts = SHIFT * torch.eye(slots, dtype=angles.dtype, device=angles.device).repeat(1, width)
    shifted = torch.cat([angles[:, None] + shifts, angles[:, None] - shifts], 1)  # (rows, 2 slots, columns)
    values = _measured(backend, circuit, width, shifted.flatten(0, 1)).unflatten(0, (-1, 2, slots))
    slopes = (values[:, 0] - values[:, 1]) / 2  # (rows, slots, width)
    return (slopes * gradient[:, None]).mT.flatten(1)


def _measured(backend: Backend, circuit: Circuit, width: int, angles: Tensor) -> Tensor:
    with torch.no_grad():
        return _expectations(backend, circuit, width, angles)


def _expectations(backend: Backend, circuit: Circuit, width: int, angles: Tensor) -> Tensor:
    """Run the circuit at every row of angles and return <Z> of each qubit, shape (rows, width)."""
    return backend.expectation(circuit, angles, angles.new_zeros(0), [Z(qubit) for qubit in range(width)])
