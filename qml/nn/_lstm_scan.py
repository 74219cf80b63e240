"""An LSTM whose hidden map is an expansion in a basis, over a whole sequence, with a backward pass of its own.

Step by step autograd would add a matrix product for the gradient of the coefficients at every step; here it is one
product at the end, over all steps.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from qml.nn._daruan import product
from qml.nn._daruan.bases import Basis


def lstm_scan(
    basis: Basis, from_inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """Hidden states at every step and the last cell state, differentiable to any order.

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
        hidden = width // 4
        rows = basis.size + (base_weight is not None)
        features = from_inputs.new_empty(time, batch, rows, hidden)
        matrix = coefficients.flatten(0, 1)
        matrix = matrix if base_weight is None else torch.cat([matrix, base_weight])
        gates = torch.empty_like(from_inputs)
        hs, cs = from_inputs.new_empty(2, time + 1, batch, hidden)
        tanh_c = torch.empty_like(cs[1:])
        hs[0], cs[0] = h, c
        for t in range(time):
            basis.features(hs[t], out=features[t, :, : basis.size])
            if base_weight is not None:
                features[t, :, -1] = functional.silu(hs[t])
            gate = torch.addmm(from_inputs[t], features[t].flatten(1), matrix, out=gates[t])
            i, f, g, o = gate.chunk(4, 1)
            gate[:, : 2 * hidden].sigmoid_()
            g.tanh_()
            o.sigmoid_()
            torch.addcmul(i * g, f, cs[t], out=cs[t + 1])
            torch.tanh(cs[t + 1], out=tanh_c[t])
            torch.mul(o, tanh_c[t], out=hs[t + 1])
        ctx.basis = basis
        ctx.kept = (features, gates, hs, cs, tanh_c)
        ctx.save_for_backward(from_inputs, coefficients, base_weight, h, c)
        return hs[1:].clone(), cs[-1].clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        of_outputs, of_c = gradients
        if torch.is_grad_enabled():  # a second derivative is wanted
            return None, *_differentiable(ctx, of_outputs, of_c)
        _, coefficients, base_weight, _, _ = ctx.saved_tensors
        features, gates, hs, cs, tanh_c = ctx.kept
        time, batch, hidden = of_outputs.shape
        size = ctx.basis.size
        slopes = (ctx.basis.derivative(coefficients) @ coefficients.flatten(1)).view(size * hidden, -1).mT.contiguous()
        i, f, g, o = gates.chunk(4, 2)
        # Of the gates by dc (i, f, g) and by dh (o), and of c by dh, for all steps at once.
        by_c = torch.stack([g * i * (1 - i), cs[:-1] * f * (1 - f), i * (1 - g * g)], 2)
        by_h = tanh_c * o * (1 - o)
        c_by_h = o * (1 - tanh_c * tanh_c)
        silu_slope = None
        if base_weight is not None:
            sigmoid = hs[:-1].sigmoid()
            silu_slope = sigmoid * (1 + hs[:-1] * (1 - sigmoid))
        of_gates = gates.new_empty(time, batch, 4, hidden)
        of_h = torch.zeros_like(of_c)
        for t in range(time - 1, -1, -1):
            of_h = of_h + of_outputs[t]
            of_c = torch.addcmul(of_c, of_h, c_by_h[t])
            torch.mul(of_c[:, None], by_c[t], out=of_gates[t, :, :3])
            torch.mul(of_h, by_h[t], out=of_gates[t, :, 3])
            of_c = of_c * f[t]
            flat = of_gates[t].flatten(1)
            of_h = ((flat @ slopes).view(batch, size, hidden) * features[t, :, :size]).sum(1)
            if base_weight is not None and silu_slope is not None:
                of_h = torch.addcmul(of_h, flat @ base_weight.mT, silu_slope[t])
        of_matrix = features.flatten(0, 1).flatten(1).mT @ of_gates.flatten(0, 1).flatten(1)
        of_coefficients = of_matrix[: size * hidden].view_as(coefficients)
        of_base = None if base_weight is None else of_matrix[size * hidden :]
        return None, of_gates.flatten(2), of_coefficients, of_base, of_h, of_c


def _plain(
    basis: Basis, from_inputs: Tensor, coefficients: Tensor, base_weight: Tensor | None, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """The same, step by step under autograd."""
    outputs = []
    for given in from_inputs:
        gates = given + product.expand(basis, h, coefficients)
        if base_weight is not None:
            gates = gates + functional.silu(h) @ base_weight
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        outputs.append(h)
    return torch.stack(outputs), c


def _differentiable(ctx: Any, of_outputs: Tensor, of_c: Tensor) -> list[Tensor | None]:
    leaves, needed = ctx.saved_tensors, ctx.needs_input_grad[1:]
    asked = [leaf for leaf, wanted in zip(leaves, needed, strict=True) if wanted]
    found = iter(
        torch.autograd.grad(
            _plain(ctx.basis, *leaves), asked, (of_outputs, of_c), create_graph=True, materialize_grads=True
        )
    )
    return [next(found) if wanted else None for wanted in needed]
