"""An LSTM whose hidden map is an expansion in a basis, over a whole sequence, with a backward pass of its own.

Step by step autograd would add a matrix product for the gradient of the coefficients at every step; here it is one
accumulated product. Everything lies as (features, batch), so that gates are contiguous.
"""

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from qml import checks
from qml.checks import full_precision
from qml.nn.qkan.series.bases import Basis
from qml.plain_pullback import plain_pullback


def lstm_scan(
    basis: Basis, from_inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute the hidden states at every step and the last cell state, differentiable to any order.

    The gates i, f, g, o before their activations are
    from_inputs[t] + sum_k coefficients[k] f_k(h) + base_weight silu(h).

    Args:
        basis: f_k.
        from_inputs: (time, batch, 4 hidden).
        coefficients: (basis.size, hidden, 4 hidden).
        base_weight: (hidden, 4 hidden), or None.
        h: (batch, hidden).
        c: (batch, hidden).
    """
    if checks.in_forward_mode():  # tangents go through plain operations
        return _plain(basis, from_inputs, coefficients, base_weight, h, c)
    return _Scan.apply(basis, from_inputs, coefficients, base_weight, h, c)


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        basis: Basis,
        from_inputs: Tensor,
        coefficients: Tensor,
        base_weight: Tensor | None,
        h: Tensor,
        c: Tensor,
    ) -> tuple[Tensor, Tensor]:
        time, batch, width = from_inputs.shape
        size, hidden = basis.size, width // 4
        rows = size + (base_weight is not None)
        features = from_inputs.new_empty(time, rows, hidden, batch)
        matrix = coefficients if base_weight is None else torch.cat([coefficients, base_weight[None]])
        mixing = matrix.flatten(0, 1).mT.contiguous()
        gates = _columns(from_inputs)  # written to below, so never memory of the input's
        hs, cs = from_inputs.new_empty(2, time + 1, hidden, batch)
        tanh_c = torch.empty_like(cs[1:])
        hs[0], cs[0] = h.mT, c.mT
        for t in range(time):
            now, gate = features[t], gates[t]
            basis.features(hs[t], out=now[:size])
            if base_weight is not None:
                torch.sigmoid(hs[t], out=now[size]).mul_(hs[t])
            gate.addmm_(mixing, now.flatten(0, 1))
            i, f, g, o = gate.chunk(4)
            gate[: 2 * hidden].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            torch.addcmul(i * g, f, cs[t], out=cs[t + 1])
            torch.tanh(cs[t + 1], out=tanh_c[t])
            torch.mul(o, tanh_c[t], out=hs[t + 1])
        ctx.basis = basis
        ctx.kept = (features, gates, hs, cs, tanh_c)
        ctx.save_for_backward(from_inputs, coefficients, base_weight, h, c)
        return _columns(hs[1:]), _columns(cs[-1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        with full_precision(gradients[0]):
            if any(map(checks.needs_plain_pullback, gradients)):
                plain = partial(_plain, ctx.basis)
                return None, *plain_pullback(plain, ctx.saved_tensors, ctx.needs_input_grad[1:], gradients)
            return None, *_pullback(ctx, *gradients)


def _pullback(ctx: Any, of_outputs: Tensor, of_c: Tensor) -> tuple[Tensor | None, ...]:
    """Compute first derivatives from the tensors that the forward pass kept."""
    _, coefficients, base_weight, _, _ = ctx.saved_tensors
    features, gates, hs, cs, tanh_c = ctx.kept
    time, hidden, size = gates.shape[0], hs.shape[1], ctx.basis.size
    slopes = (ctx.basis.derivative(coefficients) @ coefficients.flatten(1)).view_as(coefficients)
    slopes = (slopes if base_weight is None else torch.cat([slopes, base_weight[None]])).flatten(0, 1)
    by_c, by_h, c_by_h = _gate_slopes(gates, cs, tanh_c)
    silu_slopes = None if base_weight is None else _silu_slope(hs[:-1])
    of_gates = torch.empty_like(gates)
    of_matrix = coefficients.new_zeros(features.shape[1] * hidden, 4 * hidden)
    of_outputs = of_outputs.mT.contiguous()
    of_h, of_c = torch.zeros_like(of_outputs[0]), of_c.mT.contiguous()
    for t in range(time - 1, -1, -1):
        of_h = of_h + of_outputs[t]
        of_c = torch.addcmul(of_c, of_h, c_by_h[t])
        of_gate = of_gates[t]
        torch.mul(of_c, by_c[t], out=of_gate[: 3 * hidden].view_as(by_c[t]))
        torch.mul(of_h, by_h[t], out=of_gate[3 * hidden :])
        of_c = of_c * gates[t, hidden : 2 * hidden]
        of_matrix.addmm_(features[t].flatten(0, 1), of_gate.mT)
        back = (slopes @ of_gate).view_as(features[t])
        back[:size] *= features[t, :size]
        if silu_slopes is not None:
            back[size] *= silu_slopes[t]
        of_h = back.sum(0)
    of_coefficients = of_matrix[: size * hidden].view_as(coefficients)
    of_base = None if base_weight is None else of_matrix[size * hidden :]
    return of_gates.mT, of_coefficients, of_base, of_h.mT, of_c.mT


def _gate_slopes(gates: Tensor, cs: Tensor, tanh_c: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the slopes of the gates by dc (i, f, g) and by dh (o), and of c by dh, for all steps at once."""
    i, f, g, o = gates.chunk(4, 1)
    by_c = torch.stack([g * i * (1 - i), cs[:-1] * f * (1 - f), i * (1 - g * g)], 1)
    return by_c, tanh_c * o * (1 - o), o * (1 - tanh_c * tanh_c)


def _silu_slope(values: Tensor) -> Tensor:
    sigmoid = values.sigmoid()
    return sigmoid * (1 + values * (1 - sigmoid))


def _plain(
    basis: Basis, from_inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Compute `lstm_scan` step by step with operations that autograd can differentiate to any order, in either mode."""
    outputs = []
    for given in from_inputs:
        gates = given + basis.plain_features(h.mT).flatten(0, 1).mT @ coefficients.flatten(0, 1)
        if base_weight is not None:
            gates = gates + functional.silu(h) @ base_weight
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs), c


def _columns(values: Tensor) -> Tensor:
    """Copy the transpose into memory of its own: `contiguous` would give a view where one of the sizes is 1."""
    return values.mT.clone(memory_format=torch.contiguous_format)
