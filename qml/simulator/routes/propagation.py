"""The route by Pauli propagation: strings move backwards through their light cone (see `qml.simulator.pauli`)."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from circuits import Circuit, Operation
from qml.checks import hides_values
from qml.simulator.execution import Method
from qml.simulator.light_cone import light_cone, projections
from qml.simulator.memory import MemoryNeed, available_bytes
from qml.simulator.pauli.options import PauliPropagation
from qml.simulator.pauli.rules import require_known
from qml.simulator.pauli.run import pulled, pushed
from qml.simulator.pauli.steps import PauliStep, Transfer, moved
from qml.simulator.pauli.sweep import Numbers, Propagation, propagate
from qml.simulator.plan import Request
from qml.simulator.tables import TableCache

Where = tuple[torch.dtype, torch.device]
MAX_KEPT = 4  # structures at given angles that are kept


class Bounded(NamedTuple):
    """Expectation values whose error is known within limits, (batch, observables) each.

    Attributes:
        values: expectation values.
        estimates: of the typical error, 0 where nothing was dropped.
        bounds: on the error.
    """

    values: Tensor
    estimates: Tensor
    bounds: Tensor


class Structure:
    """A propagation with its tables for each dtype and device.

    Args:
        propagation: the steps.
        matrix: (strings, observables).
        first_order_only: whether second derivatives are refused, since the steps depend on the angles.
    """

    def __init__(self, propagation: Propagation, matrix: np.ndarray, *, first_order_only: bool) -> None:
        self.propagation, self._matrix, self._first_order_only = propagation, matrix, first_order_only
        self._drops = any(step.n_dropped for step in propagation.steps if not isinstance(step, Transfer))
        self._steps: TableCache[Where, tuple[PauliStep, ...]] = TableCache()
        self._matrices: TableCache[Where, Tensor] = TableCache()

    def expectation(self, data: Tensor, weights: Tensor) -> Tensor:
        """Compute expectation values, (batch or 1, observables)."""
        cosines, sines = self._trigonometry(data, weights)
        final = self.propagation.start.values(cosines, sines)
        if not len(final) and self._drops and not self._first_order_only:  # a cut by coefficient drops what is small
            warnings.warn(
                "PauliPropagation has dropped every string of the observables, so that their values are 0 and tell "
                "nothing. Allow more strings; Native.expectation_with_error returns an estimate of the error.",
                RuntimeWarning,
                stacklevel=2,
            )
        values = pulled(self._moved(data), final, cosines, sines, first_order_only=self._first_order_only)
        return values.mT @ self._observables(data)

    def bounded(self, data: Tensor, weights: Tensor) -> Bounded:
        """Compute expectation values with their errors, (batch or 1, observables); no gradients."""
        with torch.no_grad():
            cosines, sines = self._trigonometry(data, weights)
            final = self.propagation.start.values(cosines, sines)
            first = self._observables(data)[..., None].expand(-1, -1, cosines.shape[1])
            return Bounded(*(part.mT for part in pushed(self._moved(data), first, final, cosines, sines)))

    def _trigonometry(self, data: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        angles = self.propagation.angles.values(data, weights)
        return angles.cos(), angles.sin()

    def _moved(self, like: Tensor) -> tuple[PauliStep, ...]:
        dtype, device = like.dtype, like.device
        return self._steps.get(
            (dtype, device), lambda: tuple(moved(step, dtype, device) for step in self.propagation.steps)
        )

    def _observables(self, like: Tensor) -> Tensor:
        """The coefficient of every string in every observable."""
        where = (like.dtype, like.device)
        return self._matrices.get(where, lambda: torch.as_tensor(self._matrix).to(like.device, like.dtype))


class PropagationRoute:
    """A propagation of all strings of a request; see `ExpectationRoute`.

    Args:
        operations: the light cone of all strings, on qubits that are numbered anew.
        strings: distinct, as they are after the light cone.
        matrix: (strings, observables).
        n_qubits: of the operations.
        options: what is dropped.
    """

    is_final = True

    def __init__(
        self,
        operations: Sequence[Operation],
        strings: Sequence[dict[int, str]],
        matrix: np.ndarray,
        n_qubits: int,
        options: PauliPropagation,
    ) -> None:
        self._operations, self._strings, self._matrix = operations, strings, matrix
        self._n_qubits, self._options = n_qubits, options
        self._fixed = None if options.min_coefficient is not None else self._plan(None)
        self._takes_data = any(slot.kind == "data" for operation in operations for slot in operation.slots)
        self._kept: dict[bytes, Structure] = {}

    @property
    def cost(self) -> float:
        """Return the number of operations; nothing is compared with it."""
        return float(len(self._operations))

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return nothing: strings are limited by their number."""
        return ()

    def n_strings(self, data: Tensor, weights: Tensor) -> int:
        """Return the number of strings of the largest table."""
        return max(part.propagation.n_strings for part, _ in self._structures(data, weights))

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute expectation values; derivatives are those of the fixed structure, whatever the method."""
        parts = [part.expectation(rows, weights) for part, rows in self._structures(data, weights)]
        return torch.cat(parts).expand(len(data), -1) + 0.0 * (data.sum(1, keepdim=True) + weights.sum())

    def bounded(self, data: Tensor, weights: Tensor) -> Bounded:
        """Compute expectation values with estimates and bounds of their errors, without gradients."""
        answers = [part.bounded(rows, weights) for part, rows in self._structures(data, weights)]
        size = torch.as_tensor(np.abs(self._matrix).sum(0)).to(data)
        values, estimates, bounds = (torch.cat(parts).expand(len(data), -1) for parts in zip(*answers, strict=True))
        bounds = torch.minimum(bounds, 2 * size)
        return Bounded(values.clone(), torch.minimum(estimates, bounds), bounds)

    def _structures(self, data: Tensor, weights: Tensor) -> list[tuple[Structure, Tensor]]:
        """Return the structure of all samples, or one for each where it depends on angles."""
        if self._fixed is not None:
            return [(self._fixed, data)]
        if hides_values():
            raise NotImplementedError(
                "Argument `min_coefficient` must see the angles, but here they are hidden by a transform or a trace. "
                "Use max_weight, max_sines or max_frequency, which do not look at them."
            )
        rows = data.detach().cpu().double().numpy()
        angles = weights.detach().cpu().double().numpy()
        if not self._takes_data:
            return [(self._at(rows[0], angles), data[:1])]
        return [(self._at(row, angles), data[k : k + 1]) for k, row in enumerate(rows)]

    def _at(self, row: np.ndarray, angles: np.ndarray) -> Structure:
        key = row.tobytes() + b"|" + angles.tobytes() if self._takes_data else angles.tobytes()
        structure = self._kept.pop(key, None) or self._plan(Numbers(row, angles, self._matrix))
        self._kept[key] = structure
        while len(self._kept) > MAX_KEPT:
            self._kept.pop(next(iter(self._kept)))
        return structure

    def _plan(self, numbers: Numbers | None) -> Structure:
        free = available_bytes(torch.device("cpu"))
        propagation = propagate(self._operations, self._strings, self._n_qubits, self._options, numbers, free)
        return Structure(propagation, self._matrix, first_order_only=numbers is not None)


def find_propagation(circuit: Circuit, request: Request) -> PropagationRoute | None:
    """Find the light cone of a request's strings and move them through it; None where it asks for something else.

    Raises:
        NotImplementedError: a post-selection anywhere, or in the light cone another operation through which strings
            are not moved.
        ValueError: more strings than the options allow.
    """
    options = request.propagation
    if request.terms is None or options is None:
        return None
    for number in projections(circuit):
        require_known(circuit.operations[number])
    distinct = list(dict.fromkeys(factors for weighted in request.terms for _, factors in weighted))
    cone = light_cone(circuit, [dict(factors) for factors in distinct])
    places: dict[tuple[tuple[int, str], ...], int] = {}
    matrix = np.zeros((len(distinct), len(request.terms)))
    for observable, weighted in enumerate(request.terms):
        for coefficient, factors in weighted:
            number = distinct.index(factors)
            image = tuple(sorted(cone.strings[number].items()))
            matrix[places.setdefault(image, len(places)), observable] += coefficient * cone.scales[number]
    operations = [circuit.operations[number] for number in cone.operations]
    for operation in operations:
        require_known(operation)
    qubits = sorted(
        {qubit for operation in operations for qubit in operation.all_qubits}
        | {qubit for image in places for qubit, _ in image}
    )
    new = {qubit: place for place, qubit in enumerate(qubits)}
    renumbered = [
        Operation(op.gate, tuple(new[q] for q in op.qubits), tuple(new[q] for q in op.controls), op.angles)
        for op in operations
    ]
    strings = [{new[qubit]: letter for qubit, letter in image} for image in places]
    return PropagationRoute(renumbered, strings, matrix[: len(places)], max(1, len(qubits)), options)
