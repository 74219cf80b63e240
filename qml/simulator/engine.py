"""Expectations, probabilities and states of a circuit for a batch of data: the entry of the simulator."""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from circuits import Circuit, Observable
from qml.checks import hides_values, needs_plain_operations
from qml.simulator.compiled import Compiled, compile_plan, readout_for
from qml.simulator.cone_run import cone_expectation
from qml.simulator.cones import Cones, find_cones
from qml.simulator.contraction import Contractions, contracted_expectation, find_contractions
from qml.simulator.cut import CutPlan, find_cut
from qml.simulator.evolve import Evolve, evolve_plain, run_plain
from qml.simulator.factorised import FactorisedPlan, find_factorised
from qml.simulator.factorised_run import factorised_expectation
from qml.simulator.gram import gram_readout, joined_values
from qml.simulator.idle import without_idle, without_unread
from qml.simulator.jets import Orders, jet_values
from qml.simulator.marginals import find_components, joint_probabilities
from qml.simulator.memory import choose_memory, require_fits
from qml.simulator.plan import Plan, PlanCache, Request, batch_step, make_plan
from qml.simulator.readout import Readout, StateReadout, Terms
from qml.simulator.weight_rows import slopes_fit

Method = Literal["auto", "autograd", "adjoint"]

FEW_QUBITS = 3  # a state of so few is as good as its factors
JET_QUBITS = 8  # above, states with all components no longer fit into caches, and nested passes are quicker

_CACHE = PlanCache()


def expectation(
    circuit: Circuit,
    data: Tensor,
    weights: Tensor,
    observables: tuple[Observable, ...],
    *,
    levels: int,
    method: Method,
) -> Tensor:
    """Expectation values; data (batch, inputs), weights (weights,) to (batch, observables)."""
    circuit, terms = without_idle(circuit, _terms(observables))
    cones = _CACHE.get(circuit, ("cones", levels, terms), lambda: find_cones(circuit, terms, levels))
    if not isinstance(cones, Cones):
        return _on_one_register(circuit, data, weights, terms, levels=levels, method=method)

    def evaluate(part: Circuit, inputs: Tensor, angles: Tensor, terms: Terms) -> Tensor:
        return _on_one_register(part, inputs, angles, terms, levels=levels, method=method)

    def require_possible(part: Circuit, inputs: Tensor, angles: Tensor) -> None:
        chance = success_probability(part, inputs, angles, levels=levels, method=method)
        _require_possible(chance, levels=levels)

    return cone_expectation(cones, data, weights, evaluate, require_possible)


def _on_one_register(
    circuit: Circuit, data: Tensor, weights: Tensor, terms: Terms, *, levels: int, method: Method
) -> Tensor:
    """Expectation values of a circuit that is not taken to pieces."""
    request = Request(levels, terms, shared_data=data.shape[0] == 1, batch=0)
    factorised = _CACHE.get(circuit, ("factorised", request), lambda: find_factorised(circuit, request))
    if isinstance(factorised, FactorisedPlan):
        return factorised_expectation(factorised, data, weights)
    if method != "adjoint":
        key = ("contractions", levels, terms, batch_step(data.shape[0]))
        contractions = _CACHE.get(circuit, key, lambda: find_contractions(circuit, terms, levels, data.shape[0]))
        if isinstance(contractions, Contractions):
            values, norm = contracted_expectation(contractions, data, weights)
            return values if norm is None else _normalised(torch.cat([values, norm], 1), levels)
    cut_request = replace(request, batch=batch_step(data.shape[0]))
    cut = _CACHE.get(circuit, ("cut", cut_request), lambda: find_cut(circuit, cut_request))
    if isinstance(cut, CutPlan):
        return cut_expectation(cut, data, weights, method=method)
    values, plan = _values(circuit, data, weights, terms, None, levels=levels, method=method)
    return _normalised(values, levels) if plan.has_projection else values


def expectation_jet(
    circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...], orders: Orders
) -> Tensor:
    """Expectation values and their derivatives, (components, batch, observables); see `qml.simulator.jets`.

    Args:
        circuit: of unitary gates.
        data: (components, batch, inputs).
        weights: (weights,), or one vector a sample, (batch, weights).
        observables: what is read.
        orders: of the components.

    Raises:
        NotImplementedError: a circuit that projects, or whose amplitudes are data, or one too wide for a state vector.
    """
    circuit, terms = without_idle(circuit, _terms(observables))
    compiled = _compiled_for_jets(circuit, data, terms)
    # One row that was expanded to all samples needs no states of its own for each.
    is_one_row = weights.ndim == 2 and (len(weights) == 1 or weights.stride(0) == 0)
    if weights.ndim == 2 and not (is_one_row and slopes_fit(compiled)):
        still = torch.cat([weights[None], weights.new_zeros(data.shape[0] - 1, *weights.shape)])
        data, weights = torch.cat([data, still], -1), weights.new_empty(0)
        compiled = _compiled_for_jets(circuit.weights_as_data(), data, terms)
    readout = readout_for(compiled, None, with_norm=False)
    if not isinstance(readout, StateReadout):
        raise TypeError("Expectation values of a state vector must have a readout of states.")
    return jet_values(compiled, readout, data, weights, orders)


def _terms(observables: tuple[Observable, ...]) -> Terms:
    """The weighted Pauli strings of every observable."""
    return tuple(observable.terms for observable in observables)


def _compiled_for_jets(circuit: Circuit, data: Tensor, terms: Terms) -> Compiled:
    """The circuit with every gate as a step, where that is what serves it best."""
    n_states = data.shape[0] * data.shape[1]
    request = Request(2, terms, shared_data=False, batch=batch_step(n_states))
    if circuit.n_qubits > JET_QUBITS or (circuit.n_qubits > FEW_QUBITS and _factorises(circuit, request)):
        raise NotImplementedError(
            f"Derivatives along directions need a circuit of {JET_QUBITS} qubits at most that does not factorise, but "
            f"this one has {circuit.n_qubits}."
        )
    require_fits(circuit.n_qubits, 2, n_states, data.dtype, data.device)
    request = replace(request, only_steps=True)
    plan: Plan = _CACHE.get(circuit, request, lambda: make_plan(circuit, request))  # pyright: ignore[reportAssignmentType]
    if plan.has_projection or plan.takes_amplitudes:
        raise NotImplementedError(
            "Derivatives along directions need a circuit of unitary gates that starts in |0...0>."
        )
    return compile_plan(plan, dtype=data.dtype, device=data.device)


def _factorises(circuit: Circuit, request: Request) -> bool:
    """Whether a star of qubits, or all of them, can be simulated one by one."""
    factorised = _CACHE.get(circuit, ("factorised", request), lambda: find_factorised(circuit, request))
    plan: Plan = _CACHE.get(circuit, request, lambda: make_plan(circuit, request))  # pyright: ignore[reportAssignmentType]
    return isinstance(factorised, FactorisedPlan) or not plan.steps


def cut_expectation(cut: CutPlan, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
    """Expectation values of a circuit in two halves; see `expectation`."""
    for side, plan in enumerate(cut.halves):
        what = f"each half of a circuit of {sum(cut.n_own)} qubits, {plan.n_sites} with branches,"
        dtype = data.dtype if plan.is_real else data.dtype.to_complex()
        tables = cut.table_bytes(side, data.dtype)
        require_fits(plan.n_sites, 2, data.shape[0], dtype, data.device, what=what, n_states=6, more=tables)
    grams = []
    for side, plan in enumerate(cut.halves):
        compiled = compile_plan(plan, dtype=data.dtype, device=data.device)
        readout = gram_readout(cut, side, compiled)
        grams.append(_run(compiled, readout, data, weights, method=method))
    return joined_values(cut, *grams).expand(data.shape[0], -1).clone(memory_format=torch.contiguous_format)


def probabilities(
    circuit: Circuit, data: Tensor, weights: Tensor, qubits: tuple[int, ...], *, levels: int, method: Method
) -> Tensor:
    """Probabilities of the outcomes of `qubits`, the first the most significant; (batch, 2**k)."""
    components = _CACHE.get(circuit, ("components", levels, qubits), lambda: find_components(circuit, qubits, levels))

    def on_one_register(part: Circuit, inputs: Tensor, angles: Tensor, chosen: tuple[int, ...]) -> Tensor:
        part, chosen = without_unread(part, chosen)
        values, plan = _values(part, inputs, angles, None, chosen, levels=levels, method=method)
        return _normalised(values, levels) if plan.has_projection else values[:, :-1]

    if not isinstance(components, tuple):
        return on_one_register(circuit, data, weights, qubits)
    require_fits(len(qubits), 2, data.shape[0], data.dtype, data.device, what=f"{len(qubits)} outcomes")
    return joint_probabilities(components, len(qubits), data, weights, on_one_register)


def _normalised(values: Tensor, levels: int) -> Tensor:
    """All rows divided by the last, the probability that every post-selection succeeds."""
    _require_possible(values[:, -1:], levels=levels)
    return values[:, :-1] / values[:, -1:]


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


def success_probability(circuit: Circuit, data: Tensor, weights: Tensor, *, levels: int, method: Method) -> Tensor:
    """The probability that every post-selection succeeds; (batch,)."""
    components = _CACHE.get(circuit, ("components", levels, ()), lambda: find_components(circuit, (), levels))

    def on_one_register(part: Circuit, inputs: Tensor, angles: Tensor, _: tuple[int, ...] = ()) -> Tensor:
        part, terms = without_idle(part, (((1.0, ()),),))
        return _values(part, inputs, angles, terms, None, levels=levels, method=method)[0][:, :1]

    if not isinstance(components, tuple):
        return on_one_register(circuit, data, weights)[:, 0]
    chances = [component.evaluate(on_one_register, data, weights) for component in components]
    return torch.cat([data.new_ones(data.shape[0], 1), *chances], 1).prod(1)


def final_state(circuit: Circuit, data: Tensor, weights: Tensor) -> Tensor:
    """The normalised state vector; (batch, 2**n)."""
    compiled = _compiled(circuit, data, None, levels=2)
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


def _values(
    circuit: Circuit,
    data: Tensor,
    weights: Tensor,
    terms: Terms | None,
    qubits: tuple[int, ...] | None,
    *,
    levels: int,
    method: Method,
) -> tuple[Tensor, Plan]:
    """The readout's rows for every sample, the norm last where it is read."""
    compiled = _compiled(circuit, data, terms, levels=levels)
    plan, batch = compiled.plan, data.shape[0]
    readout = readout_for(compiled, qubits, with_norm=plan.has_projection)
    values = _run(compiled, readout, data, weights, method=method)
    # memory of its own: a user may write into the answer, and rows must not share storage
    return values.mT.expand(batch, -1).clone(memory_format=torch.contiguous_format), plan


def _run(compiled: Compiled, readout: Readout, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
    """What a readout gives, differentiable in the way that `method` asks for."""
    plan = compiled.plan
    if method == "autograd" or needs_plain_operations() or not _has_pullback(plan):
        return run_plain(compiled, readout, data, weights)
    if method == "adjoint":
        _require_reversible(plan, data, weights)
    memory = "adjoint only" if method == "adjoint" else None
    memory = memory or choose_memory(compiled, len(data), reversible=_reversible(plan))
    return Evolve.apply(compiled, readout, memory, data, weights)


def _compiled(circuit: Circuit, data: Tensor, terms: Terms | None, *, levels: int) -> Compiled:
    batch = data.shape[0]
    require_fits(circuit.n_qubits, levels, batch, data.dtype, data.device)  # before any table of that size is made
    request = Request(levels, terms, shared_data=batch == 1, batch=batch_step(batch))
    plan = _CACHE.get(circuit, request, lambda: make_plan(circuit, request))
    compiled = compile_plan(plan, dtype=data.dtype, device=data.device)  # pyright: ignore[reportArgumentType]
    require_fits(circuit.n_qubits, levels, batch, compiled.dtype, data.device)
    return compiled


def _reversible(plan: Plan) -> bool:
    return plan.request.levels == 2 and not plan.has_projection


def _require_reversible(plan: Plan, data: Tensor, weights: Tensor) -> None:
    if _reversible(plan) or not (torch.is_grad_enabled() and (data.requires_grad or weights.requires_grad)):
        return
    raise ValueError(
        'Gradients with Native(method="adjoint") must be of circuits of unitary gates on state vectors, whose states '
        "can be recomputed backwards, but this circuit projects, resets, measures or has noise. Use Native()."
    )


def _has_pullback(plan: Plan) -> bool:
    """Density matrices of amplitudes that are data are quadratic in them; autograd takes those."""
    return plan.request.levels == 2 or all(preparation.amplitudes is not None for preparation in plan.preparations)
