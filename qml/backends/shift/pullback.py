"""Values and first derivatives of rows as autograd functions; a second derivative is refused."""

from typing import Any, Literal

import torch
from torch import Tensor

from qml.backends.shift.evaluation import Evaluation, as_arrays
from qml.backends.shift.rule import shifted
from qml.backends.shift.spsa import SPSA, perturbed

Gradient = Literal["shift"] | SPSA


class Values(torch.autograd.Function):
    """The function from data and weights to the values of an evaluation; it is once differentiable."""

    @staticmethod
    def forward(evaluation: Evaluation, gradient: Gradient, data: Tensor, weights: Tensor) -> Tensor:
        """Compute the values, (batch, columns), in the dtype of the data."""
        points = evaluation.expanded.points(*as_arrays(data, weights))
        return torch.from_numpy(evaluation.values(points)).to(data)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Evaluation, Gradient, Tensor, Tensor], output: Tensor) -> None:
        """Keep the inputs."""
        ctx.evaluation, ctx.gradient = inputs[:2]
        ctx.save_for_backward(*inputs[2:])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[None, None, Tensor | None, Tensor | None]:
        """Compute the vector-Jacobian product by a function that refuses to be differentiated itself."""
        data, weights = ctx.saved_tensors
        needs = ctx.needs_input_grad[2], ctx.needs_input_grad[3]
        by_data, by_weights = Pullback.apply(ctx.evaluation, ctx.gradient, needs, grads[0], data, weights)
        return None, None, by_data if needs[0] else None, by_weights if needs[1] else None

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """Refuse: a device runs whole batches only."""
        raise RuntimeError("torch.func.vmap must go over Native(), which has it. Here, pass a batch instead.")


class Pullback(torch.autograd.Function):
    """The vector-Jacobian product. `once_differentiable` would not do: a constant `grad` makes it silently zero."""

    @staticmethod
    def forward(
        evaluation: Evaluation,
        gradient: Gradient,
        needs: tuple[bool, bool],
        grad: Tensor,
        data: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Compute the gradients by data and by weights; they are zero where they are not needed."""
        arrays = grad.detach().cpu().double().numpy(), *as_arrays(data, weights)
        by_data, by_weights = (
            shifted(evaluation, *arrays, needs)
            if gradient == "shift"
            else perturbed(evaluation, gradient, *arrays, needs)
        )
        return torch.from_numpy(by_data).to(grad), torch.from_numpy(by_weights).to(grad)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep nothing: there is no further derivative."""

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        """Refuse a second derivative."""
        raise RuntimeError(
            "Backends that run rows of angles are only once differentiable (capability `derivative_order`). Use "
            "Native(), which has derivatives of any order."
        )

    vmap = Values.vmap
