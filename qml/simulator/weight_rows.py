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

from qml.simulator.compiled import Compiled, plain_tensors
from qml.simulator.program import as_tensor
from qml.simulator.steps import Block, Reference, multiply

SLOPES = 2**25  # entries of all derivatives of matrices in weights; more are not worth their memory
PIECE = 2**20  # entries of the products of gradients and states that are held at once


@dataclass(frozen=True, eq=False)
class Dependence:
    """Which matrices of a program depend on which weights.

    Attributes:
        weights: of each matrix (group, entry), their indices.
        tangents: directions (directions, weights) of weights of which no matrix has two: one product with a derivative
            gives that of all of them.
        place: of each weight the direction that it is in.
    """

    weights: dict[Reference, Tensor]
    tangents: Tensor
    place: Tensor


def dependence(compiled: Compiled) -> Dependence:
    """Which matrices depend on which weights, found once."""
    kept = compiled.plan.compiled
    key = ("dependence", compiled.dtype, compiled.device)
    if key not in kept:
        with plain_tensors():
            kept[key] = _dependence(compiled)
    return kept[key]


def slopes_fit(compiled: Compiled) -> bool:
    """Whether the derivatives of all matrices may be held, as rows of weights that are one row need them."""
    n_entries = sum(group.size * group.side**2 for group in compiled.program.groups)
    return len(dependence(compiled).tangents) * n_entries <= SLOPES


def _dependence(compiled: Compiled) -> Dependence:
    nodes, known = compiled.plan.expressions.nodes, dict[int, frozenset[int]]()
    for number, node in enumerate(nodes):  # children come before
        own = set() if node.leaf is None or node.leaf.slot is None else {node.leaf.slot.index}
        known[number] = frozenset(own.union(*(known[child] for child in node.children)))
    found = {place: known[node] for node, place in compiled.program.places.items()}
    place: dict[int, int] = {}
    for weight in range(compiled.plan.n_weights):
        beside = {other for together in found.values() if weight in together for other in together}
        taken = {place[other] for other in beside if other in place}
        place[weight] = next(k for k in range(len(place) + 1) if k not in taken)
    tangents = np.zeros((1 + max(place.values(), default=-1), len(place)))
    tangents[list(place.values()), list(place)] = 1.0
    device = compiled.device
    return Dependence(
        {
            reference: torch.as_tensor(sorted(weights), dtype=torch.int64, device=device)
            for reference, weights in found.items()
        },
        as_tensor(tangents, compiled.dtype.to_real(), device),
        torch.as_tensor(list(place.values()), dtype=torch.int64, device=device),
    )


class Slopes:
    """The derivatives of all matrices in the weights that they depend on.

    Args:
        compiled: whose matrices.
        weights: where, (weights,).
    """

    def __init__(self, compiled: Compiled, weights: Tensor) -> None:
        self._depends, self._found = dependence(compiled), _along_all(compiled, weights)

    def of(self, reference: Reference) -> tuple[Tensor, Tensor]:
        """The indices of the weights of one matrix, and its derivatives in these, (weights, side, side)."""
        group, entry = reference
        live = self._depends.weights[reference]
        return live, self._found[group][self._depends.place[live], entry]


def _along_all(compiled: Compiled, weights: Tensor) -> tuple[Tensor, ...]:
    """For each group (directions, matrices, side, side)."""

    def parts(angles: Tensor) -> tuple[Tensor, ...]:
        values = compiled.program(angles).values
        return tuple(torch.stack([value.real, value.imag]) if value.is_complex() else value[None] for value in values)

    def along(tangent: Tensor) -> tuple[Tensor, ...]:
        return torch.func.jvp(parts, (weights,), (tangent,))[1]

    found = torch.func.vmap(along)(dependence(compiled).tangents)
    return tuple(torch.complex(*slope.unbind(1)) if slope.shape[1] == 2 else slope[:, 0] for slope in found)


class ByRow(torch.autograd.Function):
    """A matrix shared by the batch, whose weights get a gradient a row."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, rows: Tensor, matrix: Tensor, live: Tensor, slopes: Tensor, step: Block
    ) -> Tensor:
        ctx.save_for_backward(x, matrix, live, slopes)
        ctx.kept = step, rows.shape  # pyright: ignore[reportAttributeAccessIssue]
        return step.forward(x.flatten(1), matrix).view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        require_first_order()
        (gradient,) = gradients
        x, matrix, live, slopes = ctx.saved_tensors
        step, shape = ctx.kept
        of_x = multiply(matrix.mH.contiguous(), gradient.flatten(1), step.left, step.side).view(x.shape)
        of_rows = torch.zeros(shape, dtype=slopes.real.dtype, device=slopes.device)
        flat = _weighing(slopes)
        size = max(1, PIECE // step.side**2)
        for start in range(0, shape[0], size):
            above, below = (_digits(part[..., start : start + size], step) for part in (gradient, x))
            of_rows[start : start + size, live] = (above @ below.mT).flatten(1) @ flat
        return of_x, of_rows, None, None, None, None


def _digits(x: Tensor, step: Block) -> Tensor:
    """A state (amplitudes, components, batch) as (batch, 2 side, others), real parts above imaginary ones."""
    parts = torch.view_as_real(x)
    digits = parts.reshape(step.left, step.side, -1, *parts.shape[1:])
    return digits.permute(4, 5, 1, 0, 2, 3).reshape(x.shape[-1], 2 * step.side, -1)


def _weighing(slopes: Tensor) -> Tensor:
    """What Re sum conj(g) D x makes of the products of parts of g and x, (products, weights)."""
    real, imaginary = slopes.real, slopes.imag if slopes.is_complex() else torch.zeros_like(slopes)
    rows = torch.cat([real, -imaginary], 2), torch.cat([imaginary, real], 2)
    return torch.cat(rows, 1).flatten(1).mT


def require_first_order() -> None:
    """The passes back are not recorded."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            "Derivatives along directions have gradients of first order only, but a second one was asked for "
            "(create_graph=True). Differentiate expectation values themselves; in a Pinn, by derivatives='nested'."
        )
