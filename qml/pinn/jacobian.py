"""Derivatives of every single residual in every weight: what a Gauss-Newton step needs."""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from qml.pinn.jets import JET_ORDER, Jet
from qml.pinn.loss import LossParts, Term
from qml.pinn.model import Pinn

CHUNK = 256  # rows whose derivatives by torch.func are taken at once


class Residuals:
    """The vector whose squared length is the loss, and its Jacobian.

    Entry k of a part of n residuals with weight w is sqrt(w / n) r_k. Where all weights lie in layers of type nn.Linear
    that jets move through, one reverse pass of the sum gives the gradients at the layers' outputs row by row, and the
    Jacobian is their outer product with the layers' inputs, at the cost of a step of Adam and of writing the matrix.
    For other trunks torch.func differentiates fields and derivatives row by row, those by nested forward mode.

    Args:
        loss: the residuals and their points.
        weights: of the parts in the loss, 1 where one is not named.
        only: the weights that derivatives are taken in; None is all trainable ones.
    """

    def __init__(
        self, loss: LossParts, weights: Mapping[str, float], *, only: Sequence[nn.Parameter] | None = None
    ) -> None:
        self.loss, self.weights, self.model = loss, weights, loss.model
        chosen = self.model.parameters() if only is None else only
        self.parameters = [part for part in chosen if part.requires_grad]
        self.by_layers = layers_suffice(self.model)

    def values(self) -> Tensor:
        """The vector, (residuals,), without a graph."""
        with torch.no_grad():
            return torch.cat(
                [self._scale(name, found) * found for term in self.loss.terms() for name, found in self._of(term)]
            )

    def values_and_jacobian(self) -> tuple[Tensor, Tensor]:
        """The vector, (residuals,), and its derivatives, (residuals, weights)."""
        scaled = [(self._scale(name, values), values, rows) for name, values, rows in self.apart()]
        jacobian = torch.cat([_times(rows, scale) for scale, _, rows in scaled])
        return torch.cat([scale * values for scale, values, _ in scaled]), jacobian

    def apart(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Name, residuals (n,) and their Jacobian (n, weights) of every part, not scaled."""
        for term in self.loss.terms():
            yield from self._by_layers(term) if self.by_layers else self._by_func(term)

    def _of(self, term: Term) -> Iterator[tuple[str, Tensor]]:
        found = self.model.evaluate(term.points, term.names)
        for name, function in term.functions.items():
            yield name, function(**found)

    def _scale(self, name: str, residual: Tensor) -> Tensor | float:
        scale = math.sqrt(self.weights.get(name, 1.0) / len(residual))
        if name not in self.model.problem.equations:
            return scale
        weights = self.loss.weights_of_points({name: residual.detach().square()})
        return scale if weights is None else scale * weights.sqrt()

    def _by_layers(self, term: Term) -> Iterator[tuple[str, Tensor, Tensor]]:
        with recorded(self.model) as calls:
            found = list(self._of(term))
        for name, residual in found:
            rows = partial(self._rows_of_layers, calls, len(term.points))
            yield name, residual.detach(), _assembled(residual, term, rows)

    def _rows_of_layers(self, calls: Sequence["Call"], n_rows: int, total: Tensor) -> Tensor:
        """What each row contributes to the gradient of a sum, from the gradients at the layers' outputs."""
        starts, size = {}, 0
        for part in self.parameters:
            starts[part], size = size, size + part.numel()
        result = torch.zeros(n_rows, size, dtype=total.dtype, device=total.device)
        live = [call for call in calls if call.output.requires_grad]  # frozen layers at the bottom have no graph
        gradients = torch.autograd.grad(total, [call.output for call in live], retain_graph=True, allow_unused=True)
        for call, gradient in zip(live, gradients, strict=True):
            if gradient is not None:
                for part, rows in call.by_rows(gradient):
                    if part in starts:
                        result[:, starts[part] : starts[part] + part.numel()] += rows
        return result

    def _by_func(self, term: Term) -> Iterator[tuple[str, Tensor, Tensor]]:
        problem = self.model.problem
        trained = [name for name in term.names if problem.derivative(name) is not None or name in problem.scalars]
        rows_of_values = self._rows_of_values(term.points, trained)
        with torch.no_grad():
            values = dict(self.model.evaluate(term.points, term.names))
        leaves = [values[name].clone().requires_grad_() for name in trained]
        values |= dict(zip(trained, leaves, strict=True))

        def rows(total: Tensor) -> Tensor:
            slopes = torch.autograd.grad(total, leaves, retain_graph=True, allow_unused=True, materialize_grads=True)
            return torch.einsum("nr,rnw->rw", torch.stack(slopes), rows_of_values)

        for name, function in term.functions.items():
            residual = function(**values)
            yield name, residual.detach(), _assembled(residual, term, rows)

    def _rows_of_values(self, points: Tensor, names: Sequence[str]) -> Tensor:
        """The derivatives of the values at each row in the weights, (rows, names, weights)."""
        model = copy.copy(self.model)  # shares all weights
        model.derivatives = "forward"
        asked = _Asked(model, names)
        names_of = {id(part): name for name, part in asked.named_parameters()}
        weights = {names_of[id(part)]: part.detach() for part in self.parameters}
        found = vmap(jacrev(partial(_at_row, asked)), (None, 0), chunk_size=CHUNK)(weights, points)
        return torch.cat([found[name].reshape(len(points), len(names), -1) for name in weights], 2).detach()


def _times(rows: Tensor, scale: Tensor | float) -> Tensor:
    return rows * (scale[:, None] if isinstance(scale, Tensor) else scale)


def _assembled(residual: Tensor, term: Term, rows: Callable[[Tensor], Tensor]) -> Tensor:
    """The Jacobian from a function that says what each row contributes to the gradient of a sum of residuals."""
    if term.n_sides == 0:
        return torch.stack([rows(entry).sum(0) for entry in residual])
    blocks = residual.split(len(term.points) // term.n_sides)
    return torch.cat([rows(block.sum()).unflatten(0, (term.n_sides, -1)).sum(0) for block in blocks])


class Call:
    """One use of a layer: its input and its output, jets or tensors; for a scalar, its copies by row."""

    def __init__(self, weight: Tensor, bias: Tensor | None, inputs: Tensor | None, output: Tensor) -> None:
        self.weight, self.bias, self.inputs, self.output = weight, bias, inputs, output

    def by_rows(self, gradient: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The gradients in the weights, (rows, entries)."""
        if self.inputs is None:
            yield self.weight, gradient[:, None]
            return
        outer = torch.einsum("...no,...ni->noi", gradient, self.inputs)
        yield self.weight, outer.flatten(1)
        if self.bias is not None:
            yield self.bias, gradient[0] if gradient.ndim == 3 else gradient


@contextmanager
def recorded(model: Pinn) -> Iterator[list[Call]]:
    """The calls of all layers and scalars of a model while the context lasts."""
    calls: list[Call] = []

    def keep(layer: nn.Module, inputs: tuple, output: Tensor | Jet) -> None:
        given = inputs[0].data if isinstance(inputs[0], Jet) else inputs[0]
        result = output.data if isinstance(output, Jet) else output
        calls.append(Call(layer.weight, layer.bias, given.detach(), result))  # pyright: ignore[reportArgumentType]

    handles = [part.register_forward_hook(keep) for part in model.trunk.modules() if type(part) is nn.Linear]
    model.on_scalar = lambda name, copies: calls.append(Call(model.scalars[name], None, None, copies))
    try:
        yield calls
    finally:
        model.on_scalar = None
        for handle in handles:
            handle.remove()


def layers_suffice(model: Pinn) -> bool:
    """Whether jets and layers of type nn.Linear account for all weights and all that the problem asks for."""
    if model.derivatives != "jets":
        return False
    held = {id(part) for layer in model.trunk.modules() if type(layer) is nn.Linear for part in layer.parameters()}
    if any(id(part) not in held for part in model.trunk.parameters() if part.requires_grad):
        return False
    problem = model.problem
    asked = [*problem.equation_names.values(), *(condition.names for condition in problem.conditions)]
    items = [problem.derivative(name) for names in asked for name in names]
    return all(item is None or item.order <= JET_ORDER for item in items)


class _Asked(nn.Module):
    """Values of a model as a module, so that torch.func can exchange the weights."""

    def __init__(self, model: Pinn, names: Sequence[str]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, points: Tensor) -> Tensor:
        values = self.model.evaluate(points, self.names)
        return torch.stack([values[name] for name in self.names], 1)


def _at_row(asked: _Asked, weights: dict[str, Tensor], point: Tensor) -> Tensor:
    return functional_call(asked, weights, (point[None],))[0]
