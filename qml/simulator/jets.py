"""The evolution of jets through a plan: expectation values with first derivatives and sums of second ones, in one pass.

Data that depends on further coordinates, as those of a differential equation, carries components [value, first
derivatives, those of second order]. So does the state then: gates shared by the batch take its components as so many
more samples, and gates of data mix them. A component costs as much as a state, forward and back, while nested passes
run a graph that doubles with every order. This is what the forward Laplacian is for networks (arXiv:2307.08214).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from qml.jets import Orders
from qml.simulator.compiled import Compiled
from qml.simulator.data_tables import DataTables, PhaseTables
from qml.simulator.initial import initial_state
from qml.simulator.readout import StateReadout, StringGroup, real_part
from qml.simulator.steps import Block, ControlledStep, DataStep, PhaseStep, Step
from qml.simulator.weight_rows import ByRow, Dependence, Slopes, require_first_order


def jet_values(
    compiled: Compiled,
    readout: StateReadout,
    data: Tensor,
    weights: Tensor,
    orders: Orders,
    by_row: Dependence | None = None,
) -> Tensor:
    """Compute the components of expectation values, (components, batch, rows).

    Args:
        compiled: a plan in which all gates are steps, on state vectors, without projection.
        readout: of its observables.
        data: (components, batch, slots).
        weights: (weights,), or (batch, weights) with identical rows; the gradient is returned per row.
        orders: of the components.
        by_row: which matrices depend on which weights, needed with rows of weights.
    """
    evolution = _JetEvolution(compiled, data, weights, orders, by_row)
    state = evolution.start()
    for step in compiled.steps:
        state = evolution.through(step, state)
    parts = [_read(group, state, orders) for group in readout.groups]
    total = sum(parts[1:], parts[0]) if parts else data.new_zeros(readout.n_rows, *data.shape[:2])
    return total.permute(1, 2, 0)


class _JetEvolution:
    """A pass of states with all components through a plan; they are complex, (amplitudes, components, batch)."""

    def __init__(
        self, compiled: Compiled, data: Tensor, weights: Tensor, orders: Orders, by_row: Dependence | None
    ) -> None:
        self.compiled, self.data, self.orders = compiled, data, orders
        self.rows = weights if weights.ndim == 2 else None
        shared = weights if self.rows is None else self.rows[0].detach()
        self.evaluated = compiled.program(shared)
        self.matrices = self.evaluated.values
        has_slopes = self.rows is not None and self.rows.requires_grad and bool(self.matrices)
        self.slopes = Slopes(compiled, by_row, shared) if has_slopes and by_row is not None else None

    def start(self) -> Tensor:
        """Build the state before the first gate, which does not depend on data."""
        state = initial_state(self.compiled, self.data[0], self.evaluated)
        rest = state.new_zeros(len(state), self.orders.n_components - 1, 1)
        return torch.cat([state[:, None], rest], 1).expand(-1, -1, self.data.shape[1]).contiguous()

    def through(self, step: Step, state: Tensor) -> Tensor:
        """Compute the state after a step."""
        if isinstance(step, ControlledStep):
            moved = self.through(step.inner, state.index_select(0, step.rows))
            return state.index_copy(0, step.rows, moved)
        if isinstance(step, PhaseStep):
            return self._rotated(step, state)
        if isinstance(step, DataStep):
            return self._combined(step, state)
        if step.reference is None:
            return step.forward(state.flatten(1), None).view(-1, *state.shape[1:])
        matrix = self.matrices[step.reference.table][step.reference.entry]
        if self.slopes is not None and isinstance(step, Block):
            return ByRow.apply(state, self.rows, matrix, *self.slopes.of(step.reference), step)  # pyright: ignore[reportReturnType]
        return step.forward(state.flatten(1), matrix).view(-1, *state.shape[1:])

    def _rotated(self, step: PhaseStep, state: Tensor) -> Tensor:
        table, entry = self._table(step)
        angles = self.data.index_select(2, table.index[entry]).permute(2, 0, 1)  # (angles, components, batch)
        phases = (step.frequencies @ angles.flatten(1)).view(-1, 1, *angles.shape[1:])
        digits = state.reshape(step.left, step.side, -1, *state.shape[1:])
        return _JetPhase.apply(digits, phases, self.orders).reshape(state.shape)  # pyright: ignore[reportAttributeAccessIssue]

    def _combined(self, step: DataStep, state: Tensor) -> Tensor:
        table, entry = self._table(step)
        if not isinstance(table, DataTables):
            raise TypeError("A data step must refer to a table of coefficients.")
        angles = self.data[:, :, int(table.index[entry])]
        phases = table.frequencies[entry][:, None, None] * angles
        one = torch.zeros_like(phases, dtype=phases.dtype.to_complex())
        one[:, 0] = 1.0
        waves = _JetPhase.apply(one, phases, self.orders)
        coefficients = [*waves.real, *waves.imag]  # pyright: ignore[reportAttributeAccessIssue]
        constant, *parts = (part.view(state.shape) for part in step.parts(state.flatten(1)))

        def product(coefficient: Tensor, part: Tensor) -> Tensor:
            return _product_rule(lambda one, other: coefficient[one] * part[:, other], self.orders)

        return sum(map(product, coefficients, parts), constant)

    def _table(self, step: PhaseStep | DataStep) -> tuple[DataTables | PhaseTables, Any]:
        if step.reference is None:
            raise ValueError("A step of data must refer to a table, but has no reference.")
        return self.compiled.data_tables[step.reference.table], step.reference.entry


class _JetPhase(torch.autograd.Function):
    """A product exp(i phi) x in which both carry derivatives.

    With z_0 = x_0, z_k = x_k + i phi_k x_0 and, for a form sum_k c_k d_k^2, z_Q = x_Q + i phi_Q x_0 +
    sum_k c_k i phi_k (x_k + z_k), the components are exp(i phi_0) z.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, phases: Tensor, orders: Orders) -> Tensor:
        base = phases[..., 0, :]
        wave = torch.complex(torch.cos(base), torch.sin(base)).unsqueeze(-2)
        speeds = phases[..., 1:, :]
        turns = torch.complex(torch.zeros_like(speeds), speeds)  # i phi
        z = x.clone()
        z[..., 1:, :].addcmul_(turns, x[..., :1, :])
        for second, first, scale in orders.second_order_terms:
            both = x[..., 1 + first, :] + z[..., 1 + first, :]
            z[..., 1 + orders.n_first + second, :].addcmul_(turns[..., first, :], both, value=scale)
        y = z.mul_(wave)
        ctx.save_for_backward(x, y, turns, wave)
        ctx.orders = orders  # pyright: ignore[reportAttributeAccessIssue]
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        require_first_order()
        (gradient,) = gradients
        x, y, turns, wave = ctx.saved_tensors
        orders: Orders = ctx.orders
        back = wave.conj_physical()
        of_z = gradient * back
        of_x = of_z.clone()
        of_phases = _overlap(y, gradient).sum(-2, keepdim=True)
        of_speeds = []
        if orders.second_order_terms:
            z_firsts = y[..., 1 : 1 + orders.n_first, :] * back
            of_firsts = torch.zeros_like(of_z[..., 1:, :].real)
            for second, first, scale in orders.second_order_terms:
                of_second = of_z[..., 1 + orders.n_first + second, :]
                both = x[..., 1 + first, :] + z_firsts[..., first, :]
                of_firsts[..., first, :].add_(_overlap(both, of_second), alpha=scale)
                share = turns[..., first, :] * of_second
                of_x[..., 1 + first, :].add_(share, alpha=-2.0 * scale)
                of_z[..., 1 + first, :].sub_(share, alpha=scale)
            of_speeds.append(of_firsts)
        of_x[..., 0, :].sub_((turns * of_z[..., 1:, :]).sum(-2))
        of_speeds.append(_overlap(x[..., :1, :], of_z[..., 1:, :]))
        of_phases = torch.cat([of_phases, sum(of_speeds[1:], of_speeds[0])], -2)
        if x.ndim == 5:  # (left, side, right, components, batch)
            of_phases = of_phases.sum((0, 2)).unsqueeze(1)
        return of_x, of_phases, None


def _overlap(left: Tensor, right: Tensor) -> Tensor:
    """Compute Im conj(left) right, elementwise."""
    return left.real * right.imag - left.imag * right.real


def _read(group: StringGroup, state: Tensor, orders: Orders) -> Tensor:
    """Read a group's share of every row, (rows, components, batch): the value is a form of the state with itself."""

    def pair(one: int, other: int) -> Tensor:
        left, right = state[:, one], state[:, other]
        if group.flipped:
            return left.conj() * group.flipped_rows(right)
        return torch.addcmul(left.real * right.real, left.imag, right.imag)

    values = _product_rule(pair, orders)
    return real_part(group.table.forward(values.flatten(1))).view(-1, *values.shape[1:])


def _product_rule(pair: Callable[[int, int], Tensor], orders: Orders) -> Tensor:
    """Compute the components of a product from products of components; they become the second dimension."""
    components = [pair(0, 0)] + [pair(0, k) + pair(k, 0) for k in range(1, orders.n_components)]
    for second, first, scale in orders.second_order_terms:
        place = 1 + orders.n_first + second
        components[place] = components[place] + 2.0 * scale * pair(1 + first, 1 + first)
    return torch.stack(components, 1)
