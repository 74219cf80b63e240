"""Derivatives of every single residual in every weight, as a Gauss-Newton step needs them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from qml.jets import Jet, RowWeightsModule, fulfils
from qml.pinn.model import Pinn
from qml.pinn.training.loss import LossParts, Term
from qml.pinn.trunks.dense import HOOKS

ROWS_MEMORY_LIMIT = 2**29  # bytes that operations save on rows with weights of their own; the peak is up to twice that
N_PROBE_ROWS = 16  # rows whose graph tells how much a row takes
CONTAINERS = (nn.Sequential,)
EVERY = slice(None)


class Residuals:
    """The vector whose squared length is the loss, and its Jacobian.

    Entry k of a part of n residuals with weight w is sqrt(w / n) r_k. Where all weights lie in layers of type nn.Linear
    that jets move through, one reverse pass of the sum gives the gradients at the layers' outputs row by row, and the
    Jacobian is their outer product with the layers' inputs, at the cost of a step of Adam and of writing the matrix.
    Layers that take weights by row, as `qml.nn.QuantumLayer`, may stand among them: they get copies of theirs, whose
    gradients are the rows. Other trunks get copies of all weights (`torch.vmap`), and nested passes for derivatives.

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
        self.copies = not self.by_layers or any(map(takes_weights_by_row, self.model.trunk.modules()))
        self._at_once: dict[tuple[str, ...], int] = {}

    def values(self) -> Tensor:
        """Return the vector, (residuals,), without a graph."""
        with torch.no_grad():
            residuals = [pair for term in self.loss.terms() for pair in self._of(term)]
            return torch.cat([self._scale(name, residual) * residual for name, residual in residuals])

    def values_and_jacobian(self) -> tuple[Tensor, Tensor]:
        """Return the vector, (residuals,), and its derivatives, (residuals, weights)."""
        scaled = [(self._scale(name, values), values, rows) for name, values, rows in self.apart()]
        jacobian = torch.cat([_times(rows, scale) for scale, _, rows in scaled])
        return torch.cat([scale * values for scale, values, _ in scaled]), jacobian

    def apart(self) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield name, residuals (n,) and their Jacobian (n, weights) of every part, not scaled."""
        for term in self.loss.terms():
            yield from self._of_term(term)

    def pieces(self, n_rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield entries of the vector and their rows of the Jacobian, some points at a time; together they are all.

        Periodic conditions and integrals, whose residuals belong to several points, come in one piece each.
        """
        for term in self.loss.terms():
            starts = range(0, len(term.points), n_rows) if term.n_sides == 1 else [0]
            size = n_rows if term.n_sides == 1 else len(term.points)
            for start in starts:
                part = term._replace(points=term.points[start : start + size])
                for name, values, rows in self._of_term(part):
                    share = len(part.points) / len(term.points)
                    scale = self._scale(name, values, slice(start, start + size), n_all=round(len(values) / share))
                    yield scale * values, _times(rows, scale)

    def _of(self, term: Term) -> Iterator[tuple[str, Tensor]]:
        values = self.model.evaluate(term.points, term.names)
        for name, function in term.functions.items():
            yield name, function(**values)

    def _scale(self, name: str, residual: Tensor, rows: slice = EVERY, *, n_all: int | None = None) -> Tensor | float:
        """Return sqrt(w / n) for the residuals of a part, or for those of some of its n points.

        Causal weights are those of all points together, and have to be fixed where only some are given.
        """
        scale = math.sqrt(self.weights.get(name, 1.0) / (len(residual) if n_all is None else n_all))
        if name not in self.model.problem.equations:
            return scale
        weights = self.loss.weights_of_points({name: residual.detach().square()})
        return scale if weights is None else scale * weights[rows].sqrt()

    def _of_term(self, term: Term) -> Iterator[tuple[str, Tensor, Tensor]]:
        """Yield the parts of a term; where every residual belongs to one row, from some rows at a time."""
        in_pieces = self.copies and term.n_sides == 1
        pieces = term.points.split(self._rows_at_once(term)) if in_pieces else (term.points,)
        values: dict[str, list[Tensor]] = {name: [] for name in term.functions}
        jacobians: dict[str, list[Tensor]] = {name: [] for name in term.functions}
        for points in pieces:
            with self._calls(len(points)) as calls:
                residuals = list(self._of(term._replace(points=points)))
            for name, residual in residuals:
                blocks = self._blocks(calls, residual, len(points), term.n_sides)
                values[name].append(residual.detach().unflatten(0, (len(blocks), -1)))
                jacobians[name].append(torch.stack(blocks) if len(blocks) > 1 else blocks[0][None])
        for name in term.functions:
            yield name, _joined(values[name]).flatten(), _joined(jacobians[name]).flatten(0, 1)

    def _rows_at_once(self, term: Term) -> int:
        """Return the number of rows that memory allows, found once for each set of names from the graph of a few."""
        if term.names not in self._at_once:
            few, sizes = term.points[:N_PROBE_ROWS], list[int]()

            def note(saved: Tensor) -> Tensor:
                sizes.append(saved.nbytes)
                return saved

            hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda saved: saved)
            with hooks, self._calls(len(few)):
                list(self._of(term._replace(points=few)))
            self._at_once[term.names] = max(N_PROBE_ROWS, ROWS_MEMORY_LIMIT * len(few) // max(sum(sizes), 1))
        return self._at_once[term.names]

    def _calls(self, n_rows: int) -> AbstractContextManager[list["LayerCall"]]:
        if self.by_layers and self.model.derivatives == "jets":
            return recorded(self.model)
        return weights_by_row(self.model, self.parameters, n_rows)

    def _blocks(self, calls: Sequence["LayerCall"], residual: Tensor, n_rows: int, n_sides: int) -> list[Tensor]:
        """Return the Jacobian in blocks: for a residual of a row, of a pair of rows, or (without sides) of all rows."""
        if n_sides == 0:
            return [self._rows(calls, n_rows, entry).sum(0)[None] for entry in residual]
        blocks = residual.split(n_rows // n_sides)
        return [self._rows(calls, n_rows, block.sum()).unflatten(0, (n_sides, -1)).sum(0) for block in blocks]

    def _rows(self, calls: Sequence["LayerCall"], n_rows: int, total: Tensor) -> Tensor:
        """Return the share of each row in the gradient of a sum of residuals, (rows, weights)."""
        starts, size = {}, 0
        for part in self.parameters:
            starts[part], size = size, size + part.numel()
        result = torch.zeros(n_rows, size, dtype=total.dtype, device=total.device)
        live = [call for call in calls if call.output.requires_grad]  # frozen layers at the bottom have no graph
        if not live or not total.requires_grad:  # no trained weight has a part in it
            return result
        gradients = torch.autograd.grad(total, [call.output for call in live], retain_graph=True, allow_unused=True)
        for call, gradient in zip(live, gradients, strict=True):
            if gradient is not None:
                for part, rows in call.by_rows(gradient):
                    if part in starts:
                        result[:, starts[part] : starts[part] + part.numel()] += rows
        return result


def _joined(pieces: Sequence[Tensor]) -> Tensor:
    """Join pieces along the second dimension, without a copy where there is one."""
    return torch.cat(list(pieces), 1) if len(pieces) > 1 else pieces[0]


def _times(rows: Tensor, scale: Tensor | float) -> Tensor:
    return rows * (scale[:, None] if isinstance(scale, Tensor) else scale)


class LayerCall:
    """A use of a layer, with its input and output as tensors; of other weights, with their copies by row."""

    def __init__(self, weight: Tensor, bias: Tensor | None, inputs: Tensor | None, output: Tensor) -> None:
        self.weight, self.bias, self.inputs, self.output = weight, bias, inputs, output

    def by_rows(self, gradient: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the weights with their gradients by row, (rows, entries)."""
        if self.inputs is None:
            yield self.weight, gradient.reshape(len(gradient), -1)
            return
        outer = torch.einsum("...no,...ni->noi", gradient, self.inputs)
        yield self.weight, outer.flatten(1)
        if self.bias is not None:
            yield self.bias, gradient[0] if gradient.ndim == 3 else gradient


@contextmanager
def recorded(model: Pinn) -> Iterator[list[LayerCall]]:
    """Record the calls of all layers and scalars of a model within the block; some take copies of their weights."""
    calls: list[LayerCall] = []

    def keep(layer: nn.Module, inputs: tuple, output: Tensor | Jet) -> None:
        given = inputs[0].data if isinstance(inputs[0], Jet) else inputs[0]
        result = output.data if isinstance(output, Jet) else output
        calls.append(LayerCall(layer.weight, layer.bias, given.detach(), result))  # pyright: ignore[reportArgumentType]

    def copy(layer: nn.Module, inputs: tuple) -> tuple:
        weights = layer.weights
        copies = weights.detach().expand(*inputs[0].shape[:-1], -1).requires_grad_()  # pyright: ignore[reportCallIssue]
        calls.append(LayerCall(weights, None, None, copies))  # pyright: ignore[reportArgumentType]
        return *inputs, copies

    handles = [part.register_forward_hook(keep) for part in model.trunk.modules() if type(part) is nn.Linear]
    handles += [part.register_forward_pre_hook(copy) for part in model.trunk.modules() if takes_weights_by_row(part)]
    model.on_scalar = lambda name, copies: calls.append(LayerCall(model.scalars[name], None, None, copies))
    try:
        yield calls
    finally:
        model.on_scalar = None
        for handle in handles:
            handle.remove()


@contextmanager
def weights_by_row(model: Pinn, parameters: Sequence[Tensor], n_rows: int) -> Iterator[list[LayerCall]]:
    """Give a model copies of weights for every row, which it uses within the block for points of that number."""
    trunk, derivatives = model.trunk, model.derivatives
    wanted = {id(part) for part in parameters}
    held = {
        f"{path}.{name}".lstrip("."): part
        for path, module in trunk.named_modules()  # every module once
        for name, part in module._parameters.items()
        if part is not None and id(part) in wanted
    }
    calls = [
        LayerCall(part, None, None, part.detach().expand(n_rows, *part.shape).requires_grad_())
        for part in dict.fromkeys(held.values())
    ]
    copies = {id(call.weight): call.output for call in calls}
    model.trunk = _ByRow(trunk, {name: copies[id(part)] for name, part in held.items()})
    model.derivatives = "nested" if derivatives == "jets" else derivatives
    model.on_scalar = lambda name, rows: calls.append(LayerCall(model.scalars[name], None, None, rows))
    try:
        yield calls
    finally:
        model.trunk, model.derivatives, model.on_scalar = trunk, derivatives, None


def takes_weights_by_row(module: nn.Module) -> bool:
    """Return True if a module takes its one parameter, `weights`, row by row as an argument after the inputs."""
    return fulfils(module, RowWeightsModule) and [name for name, _ in module.named_parameters()] == ["weights"]


def layers_suffice(model: Pinn) -> bool:
    """Return True if jets and layers of type nn.Linear account for all weights and all that the problem asks for."""
    if model.derivatives != "jets":
        return False
    parts = list(model.trunk.modules())
    layers = [part for part in parts if type(part) is nn.Linear]
    circuits = [part for part in parts if takes_weights_by_row(part)]
    held = {id(part) for layer in (*layers, *circuits) for part in layer.parameters()}
    if any(id(part) not in held for part in model.trunk.parameters() if part.requires_grad):
        return False
    if circuits and not _are_called_by_torch(circuits, parts):
        return False
    problem = model.problem
    asked = [*problem.equation_names.values(), *(condition.names for condition in problem.conditions)]
    items = [problem.derivative(name) for names in asked for name in names]
    return model.takes_jets_of([item for item in items if item is not None])


def _are_called_by_torch(chosen: Sequence[nn.Module], parts: Sequence[nn.Module]) -> bool:
    """Return True if nothing but torch's containers calls these modules, and nothing else holds their weights.

    Copies of weights reach a module as it is called; who uses them otherwise would use the weights themselves.
    """
    weights = {id(part) for module in chosen for part in module.parameters()}
    for part in parts:
        is_container = type(part) in CONTAINERS
        if part not in chosen and not is_container and any(module in chosen for module in part.modules()):
            return False
        is_known = is_container or part in chosen or type(part) is nn.Linear
        if not is_known and any(id(own) in weights for own in part._parameters.values()):
            return False
    return True


class _ByRow(nn.Module):
    """A trunk with other weights at every row.

    Args:
        trunk: as in `Pinn`.
        weights: by name, (rows, ...).
    """

    def __init__(self, trunk: nn.Module, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.trunk, self.weights = trunk, weights
        every = list(trunk.named_parameters(remove_duplicate=False))
        self.by_parts = len(every) == len(list(trunk.parameters()))  # or a weight would be missed at its second place

    def forward(self, points: Tensor) -> Tensor:
        return _by_row(self.trunk, self.weights, points, by_parts=self.by_parts)


def _by_row(module: nn.Module, weights: Mapping[str, Tensor], inputs: Tensor, *, by_parts: bool) -> Tensor:
    """Apply a module to rows with weights of their own; with `by_parts` the parts of a sequence one by one."""
    if not weights:
        return module(inputs)
    if by_parts and type(module) is nn.Sequential and not any(map(vars(module).get, HOOKS)):
        for name, part in module._modules.items():  # named_children leaves out what stands there twice
            start = f"{name}."
            held = {key.removeprefix(start): rows for key, rows in weights.items() if key.startswith(start)}
            inputs = inputs if part is None else _by_row(part, held, inputs, by_parts=True)
        return inputs
    if takes_weights_by_row(module) and set(weights) == {"weights"}:
        return module(inputs, weights["weights"])

    def at_row(weights: dict[str, Tensor], row: Tensor) -> Tensor:
        # Without tie_weights, which leaves a module that stands at two places with the weights of one row.
        return functional_call(module, weights, (row[None],), tie_weights=False)[0]

    return vmap(at_row)(dict(weights), inputs)
