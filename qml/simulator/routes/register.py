"""The route that always exists: all qubits as one register, a state vector or a density matrix."""

import torch
from torch import Tensor

from circuits import Circuit
from qml.checks import hides_values
from qml.simulator.draft import Draft, draft_circuit
from qml.simulator.evolve import evolve_plain
from qml.simulator.execution import Method, execute
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request
from qml.simulator.routes.plan_tables import PlanTables


class RegisterRoute:
    """A simulation of the register as a whole; see `ExpectationRoute` and `DistributionRoute`."""

    is_final = False

    def __init__(self, draft: Draft) -> None:
        self._draft, self._tables = draft, PlanTables(draft)

    @property
    def cost(self) -> float:
        """Return what the draft costs."""
        return self._draft.cost

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of the states."""
        return (self._tables.needs(data),)

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute expectation values, divided by the probability of success where the circuit projects."""
        values = self._values(data, weights, None, method=method)
        return self._normalised(values) if self._draft.has_projection else values

    def probabilities(self, data: Tensor, weights: Tensor, qubits: tuple[int, ...], *, method: Method) -> Tensor:
        """Compute probabilities, divided by the probability of success where the circuit projects."""
        values = self._values(data, weights, qubits, method=method)
        return self._normalised(values) if self._draft.has_projection else values[:, :-1]

    def success_probability(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute the norm, which is the request's only observable."""
        return self._values(data, weights, None, method=method)[:, 0]

    def state(self, data: Tensor, weights: Tensor) -> Tensor:
        """Compute the normalised state vector, its qubits in order."""
        self._tables.needs(data).require()
        compiled = self._tables.compiled(data)
        state = evolve_plain(compiled, data, weights)
        layout, n = compiled.plan.layout, compiled.plan.n_sites
        order = [layout.index(site) for site in range(n)]
        state = state.reshape(*(2,) * n, -1).permute(n, *order).reshape(-1, 2**n)
        state = state.expand(data.shape[0], -1)
        if compiled.plan.has_projection:
            norms = state.abs().square().sum(1, keepdim=True)
            _require_possible(norms, levels=2)
            state = state / norms.sqrt()
        return state.to(data.dtype.to_complex())

    def _values(self, data: Tensor, weights: Tensor, qubits: tuple[int, ...] | None, *, method: Method) -> Tensor:
        """Compute the readout's rows for every sample, (batch, rows), the norm last where it is read."""
        self._tables.needs(data).require()
        compiled = self._tables.compiled(data)
        readout = self._tables.readout(compiled, qubits, with_norm=self._draft.has_projection)
        values = execute(compiled, readout, data, weights, method=method)
        # memory of its own: a user may write into the answer, and rows must not share storage
        return values.mT.expand(data.shape[0], -1).clone(memory_format=torch.contiguous_format)

    def _normalised(self, values: Tensor) -> Tensor:
        """Divide all columns by the last, the probability that every post-selection succeeds."""
        _require_possible(values[:, -1:], levels=self._draft.request.levels)
        return values[:, :-1] / values[:, -1:]


def find_register(circuit: Circuit, request: Request) -> RegisterRoute:
    """Draft the register of a circuit."""
    return RegisterRoute(draft_circuit(circuit, request))


def _require_possible(chance: Tensor, *, levels: int) -> None:
    """Refuse a success probability that is zero within rounding."""
    epsilon = torch.finfo(chance.dtype).eps
    impossible = 100 * epsilon**2 if levels == 2 else 100 * epsilon  # rounding noise of a squared norm, of a trace
    if not hides_values() and bool((chance.detach() < impossible).any()):
        raise ValueError(
            "Post-selection must be possible, but for some sample its probability is zero within the rounding "
            f"of {chance.dtype} ({chance.detach().min().item():.3g}, below {impossible:.1g}). Check the values that "
            "are post-selected and the angles before them, or use float64."
        )
