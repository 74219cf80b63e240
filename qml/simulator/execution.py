"""The run of a compiled plan in the way that a method of differentiation asks for."""

from typing import Literal

import torch
from torch import Tensor

from qml.checks import needs_plain_operations
from qml.simulator.compiled import Compiled
from qml.simulator.evolve import Evolve, run_plain
from qml.simulator.memory import choose_memory
from qml.simulator.plan import Plan
from qml.simulator.readout import Readout

Method = Literal["auto", "autograd", "adjoint"]


def execute(compiled: Compiled, readout: Readout, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
    """Compute the readout's rows, (rows, batch or 1), differentiable in the way that `method` asks for."""
    plan = compiled.plan
    if method == "autograd" or needs_plain_operations() or not _has_pullback(plan):
        return run_plain(compiled, readout, data, weights)
    if method == "adjoint":
        _require_reversible(plan, data, weights)
        return Evolve.apply(compiled, readout, "adjoint only", data, weights)
    memory = choose_memory(compiled, len(data), reversible=_is_reversible(plan))
    return Evolve.apply(compiled, readout, memory, data, weights)


def _has_pullback(plan: Plan) -> bool:
    """Tell whether `Evolve` applies: density matrices are quadratic in amplitudes that are data, left to autograd."""
    return plan.request.levels == 2 or not plan.takes_amplitudes


def _is_reversible(plan: Plan) -> bool:
    return plan.request.levels == 2 and not plan.has_projection


def _require_reversible(plan: Plan, data: Tensor, weights: Tensor) -> None:
    if _is_reversible(plan) or not (torch.is_grad_enabled() and (data.requires_grad or weights.requires_grad)):
        return
    raise ValueError(
        'Gradients with Native(method="adjoint") must be of circuits of unitary gates on state vectors, whose states '
        "can be recomputed backwards, but this circuit projects, resets, measures or has noise. Use Native()."
    )
