"""The gradient of every sample in weights that the batch shares, at the cost of the sum over them.

A circuit's weights lie in matrices that all samples share. The derivatives of those matrices are found once, by forward
mode; what a sample adds to the gradient is then a product of its states and gradients with them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from qml.checks import in_full_precision
from qml.simulator.compiled import Compiled
from qml.simulator.fetch import MatrixPlace
from qml.simulator.steps import Block, Reference, multiply
from qml.simulator.tables import as_tensor

MAX_SLOPE_ENTRIES = 2**25  # entries of all derivatives of matrices in weights; more are not worth their memory
MAX_PIECE_ENTRIES = 2**20  # entries of the products of gradients and states that are held at once


@dataclass(frozen=True, eq=False)
class Dependence:
    """A record of which matrices of a program depend on which weights.

    Attributes:
        weights: for each matrix the indices of the weights that it depends on.
        tangents: directions (directions, weights) of weights of which no matrix has two: one product with a derivative
            gives that of all of them.
        direction: for each weight the direction that it is in.
    """

    weights: dict[MatrixPlace, Tensor]
    tangents: Tensor
    direction: Tensor


def slopes_fit(compiled: Compiled, depends: Dependence) -> bool:
    """Tell whether the derivatives of all matrices may be held, as rows of weights that are one row need them."""
    n_entries = sum(group.size * group.side**2 for group in compiled.program.groups)
    return len(depends.tangents) * n_entries <= MAX_SLOPE_ENTRIES


def dependence(compiled: Compiled) -> Dependence:
    """Find which matrices depend on which weights."""
    nodes, weights_of = compiled.plan.expressions.nodes, dict[int, frozenset[int]]()
    for number, node in enumerate(nodes):  # children come before
        own = set() if node.leaf is None or node.leaf.slot is None else {node.leaf.slot.index}
        weights_of[number] = frozenset(own.union(*(weights_of[child] for child in node.children)))
    weights_at = {place: weights_of[node] for node, place in compiled.program.places.items()}
    direction: dict[int, int] = {}
    for weight in range(compiled.plan.n_weights):
        neighbours = {other for together in weights_at.values() if weight in together for other in together}
        taken = {direction[other] for other in neighbours if other in direction}
        direction[weight] = next(k for k in range(len(direction) + 1) if k not in taken)
    tangents = np.zeros((1 + max(direction.values(), default=-1), len(direction)))
    tangents[list(direction.values()), list(direction)] = 1.0
    device = compiled.device
    return Dependence(
        {
            place: torch.as_tensor(sorted(weights), dtype=torch.int64, device=device)
            for place, weights in weights_at.items()
        },
        as_tensor(tangents, compiled.dtype.to_real(), device),
        torch.as_tensor(list(direction.values()), dtype=torch.int64, device=device),
    )


class Slopes:
    """A holder of the derivatives of all matrices in the weights that they depend on.

    Args:
        compiled: whose matrices.
        depends: on which weights they depend.
        weights: the point of differentiation, (weights,).
    """

    def __init__(self, compiled: Compiled, depends: Dependence, weights: Tensor) -> None:
        self._depends, self._slopes = depends, _along_all(compiled, depends, weights)

    def of(self, reference: Reference) -> tuple[Tensor, Tensor]:
        """Return the indices of the weights of one matrix, and its derivatives in these, (weights, side, side)."""
        if isinstance(reference.entry, slice):
            raise TypeError("A matrix of which slopes are asked for must be one entry of its group, but is a slice.")
        live = self._depends.weights[MatrixPlace(reference.table, reference.entry)]
        return live, self._slopes[reference.table][self._depends.direction[live], reference.entry]


def _along_all(compiled: Compiled, depends: Dependence, weights: Tensor) -> tuple[Tensor, ...]:
    """Differentiate the matrices of every group along all directions; (directions, matrices, side, side) each."""

    def parts(angles: Tensor) -> tuple[Tensor, ...]:
        values = compiled.program(angles).values
        return tuple(torch.stack([value.real, value.imag]) if value.is_complex() else value[None] for value in values)

    def along(tangent: Tensor) -> tuple[Tensor, ...]:
        return torch.func.jvp(parts, (weights,), (tangent,))[1]

    slopes = torch.func.vmap(along)(depends.tangents)
    return tuple(torch.complex(*slope.unbind(1)) if slope.shape[1] == 2 else slope[:, 0] for slope in slopes)


class ByRow(torch.autograd.Function):
    """A product with a matrix shared by the batch, whose weights get a gradient for every row."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, rows: Tensor, matrix: Tensor, live: Tensor, slopes: Tensor, step: Block
    ) -> Tensor:
        ctx.save_for_backward(x, matrix, live, slopes)
        ctx.step_and_shape = step, rows.shape  # pyright: ignore[reportAttributeAccessIssue]
        return step.forward(x.flatten(1), matrix).view(x.shape)

    @staticmethod
    @in_full_precision
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        require_first_order()
        (gradient,) = gradients
        x, matrix, live, slopes = ctx.saved_tensors
        step, shape = ctx.step_and_shape
        of_x = multiply(matrix.mH.contiguous(), gradient.flatten(1), step.left, step.side).view(x.shape)
        of_rows = torch.zeros(shape, dtype=slopes.real.dtype, device=slopes.device)
        flat = _weighing(slopes)
        size = max(1, MAX_PIECE_ENTRIES // step.side**2)
        for start in range(0, shape[0], size):
            of_y, digits = (_digits(part[..., start : start + size], step) for part in (gradient, x))
            of_rows[start : start + size, live] = (of_y @ digits.mT).flatten(1) @ flat
        return of_x, of_rows, None, None, None, None


def _digits(x: Tensor, step: Block) -> Tensor:
    """Reshape a state (amplitudes, components, batch) to (batch, 2 side, others), real parts before imaginary ones."""
    parts = torch.view_as_real(x)
    digits = parts.reshape(step.left, step.side, -1, *parts.shape[1:])
    return digits.permute(4, 5, 1, 0, 2, 3).reshape(x.shape[-1], 2 * step.side, -1)


def _weighing(slopes: Tensor) -> Tensor:
    """Return the weights of Re sum conj(g) D x on the products of parts of g and x, (products, weights)."""
    real, imaginary = slopes.real, slopes.imag if slopes.is_complex() else torch.zeros_like(slopes)
    rows = torch.cat([real, -imaginary], 2), torch.cat([imaginary, real], 2)
    return torch.cat(rows, 1).flatten(1).mT


def require_first_order() -> None:
    """Refuse a derivative of a backward pass, which is not recorded."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "Derivatives along directions have gradients of first order only, but a second one was asked for "
            "(create_graph=True). Differentiate expectation values themselves; in a Pinn, by derivatives='nested'."
        )
