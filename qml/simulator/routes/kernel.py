"""The route of small circuits: the whole pass in one compiled call (see `qml.simulator.jit`)."""

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial

import torch
from torch import Tensor

from circuits import Circuit
from circuits.gates import KrausGate
from qml.checks import in_one_vmap, require_finite
from qml.plain_pullback import in_groups
from qml.simulator.draft import Draft, draft_maps, reduced_maps
from qml.simulator.execution import Method
from qml.simulator.jit import instructions as columns
from qml.simulator.jit.chain import After, Before, Chain, ChainValues
from qml.simulator.jit.instructions import Instructions
from qml.simulator.jit.lowering import lower
from qml.simulator.jit.values import (
    KernelCall,
    KernelInput,
    KernelStates,
    KernelValues,
    kernel_values,
    load_kernels,
)
from qml.simulator.linear import linear_maps
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request
from qml.simulator.routes.register import RegisterRoute

MAX_QUBITS = 18  # above, states of a few samples leave the last cache, and the register is as quick
# nanoseconds, and operations a nanosecond, measured with the backward pass in mind, which takes three times as long
CALL_NS = 6_000.0  # the call from Python, in the measure of `CALL_NS` in `qml.simulator.cost`
SAVED_NS = (
    130_000.0  # of every other route: Python and autograd around its tensor operations, which its cost leaves out
)
STEP_NS = 120.0  # an instruction, beside its arithmetic
FACTOR_NS = 80.0  # the matrix of a factor that the batch shares
PHASE_NS = 50.0  # the phases of a factor for one sample
ONE_SAMPLE_RATE = 14.0  # of registers so wide that arithmetic counts
FEW_SAMPLES_RATE = 40.0  # less than they take, as other routes take more than their cost where data differ
BATCH_RATE = 60.0  # where 16 samples run side by side
MIN_WIDE_BATCH = 8  # samples, from which the last rate is closer


class KernelRoute:
    """A simulation of state vectors by the compiled kernel; see `ExpectationRoute`."""

    is_final = False

    def __init__(self, request: Request, instructions: Instructions, plain: Callable[[], Draft]) -> None:
        self._request, self._kernel = request, KernelInput(instructions, one_sample=request.shared_data)
        self._draft = plain
        self._calls: dict[tuple[bool, bool], KernelCall] = {}
        self._chains: dict[tuple[Before, After], Chain] = {}
        self._need = MemoryNeed(0, 2, 0, torch.complex64, torch.device("cpu"))

    @property
    def instructions(self) -> Instructions:
        """Return what the kernel runs."""
        return self._kernel.instructions

    @property
    def n_qubits(self) -> int:
        """Return the number of qubits that are simulated."""
        return self.instructions.n_qubits

    @property
    def cost(self) -> float:
        """Estimate the call, the matrices and the arithmetic, less what other routes take beside their cost."""
        made = self.instructions
        batch = self._request.batch if made.takes_data else 1
        n_by_sample = int((made.factors[:, columns.ANGLE] == columns.DATA).sum())
        matrices = FACTOR_NS * (len(made.factors) - n_by_sample) + PHASE_NS * n_by_sample * batch
        few_rate = ONE_SAMPLE_RATE if batch == 1 else FEW_SAMPLES_RATE
        rate = BATCH_RATE if batch >= MIN_WIDE_BATCH else few_rate
        return CALL_NS - SAVED_NS + STEP_NS * len(made.table) + matrices + made.operations * batch / rate

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of the states that are kept for the backward pass."""
        batch, dtype = data.shape[0], data.dtype.to_complex()
        need = self._need  # of the last call, which was often for as many
        if need.batch != batch or need.dtype != dtype:
            need = self._need = MemoryNeed(self.instructions.n_qubits, 2, batch, dtype, data.device)
        return (need,)

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute expectation values; samples that cannot differ are computed once."""
        for need in self.needs(data):
            need.require()
        batch = data.shape[0]
        if batch > 1 and not self.instructions.takes_data:
            require_finite(data, "data")  # of which the kernel sees one sample
            return self._values(data[:1], weights, method).expand(batch, -1).clone()
        return self._values(data, weights, method)

    def _values(self, data: Tensor, weights: Tensor, method: Method) -> Tensor:
        weights = weights if weights.numel() else weights.detach()  # nothing is derived in no weights
        if in_one_vmap():
            return in_groups(partial(KernelValues.apply, self._call(method, hidden=True)), data, weights)
        call = self._call(method)
        if not (torch.is_grad_enabled() and (data.requires_grad or weights.requires_grad)):
            return kernel_values(call, data, weights)  # without what autograd would keep
        return KernelValues.apply(call, data, weights)

    def _call(self, method: Method, *, hidden: bool = False) -> KernelCall:
        key = method == "adjoint", hidden
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = KernelCall(self._kernel, self._plain_values, *key)
        return call

    def for_each(self, data: Tensor, weights: Tensor) -> Tensor:
        """Compute expectation values of the same data for several vectors of weights, in one call.

        Args:
            data: (batch, inputs).
            weights: (vectors, weights).

        Returns:
            Values, (vectors, batch, observables).
        """
        need = self.needs(data)[0]
        need._replace(batch=len(weights) * need.batch).require()
        return KernelValues.apply(self._call("auto"), data[None], weights)

    def copies(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute expectation values of copies of the circuit that have data and weights of their own, in one call.

        Args:
            data: (copies, batch, inputs).
            weights: (copies, weights).
            method: how derivatives are taken.

        Returns:
            Values, (copies, batch, observables).
        """
        for need in self.needs(data.flatten(0, 1)):
            need.require()
        function = partial(self._grouped_copies, self._call(method, hidden=in_one_vmap()))
        return in_groups(function, data, weights) if in_one_vmap() else function(data[None], weights[None])[0]

    def _grouped_copies(self, call: KernelCall, data: Tensor, weights: Tensor) -> Tensor:
        """Compute values: (groups or 1, copies, ...) to (groups, copies, batch, observables)."""
        groups = max(len(data), len(weights))
        flat = (part.expand(groups, *part.shape[1:]).flatten(0, 1) for part in (data, weights))
        return KernelValues.apply(call, *flat).unflatten(0, (groups, -1))

    def chained(
        self,
        circuit: Circuit,
        weights: Tensor,
        before: tuple[Before, tuple[Tensor, ...]],
        after: tuple[After, tuple[Tensor, ...]],
    ) -> Tensor:
        """Compute expectation values of a batch with arithmetic around them, see `qml.simulator.jit.chain`.

        Args:
            circuit: for which the route was planned.
            weights: (weights,).
            before: computes the data of these tensors, of which the first is (batch, inputs).
            after: takes the values and these tensors.
        """
        for need in self.needs(before[1][0]):
            need.require()
        key = before[0], after[0]
        chain = self._chains.get(key)
        if chain is None:
            arithmetic = before[0], len(before[1]), after[0]
            chain = self._chains[key] = Chain(self._kernel, self._plain_values, circuit.n_data, *arithmetic)
        if in_one_vmap():
            return in_groups(partial(ChainValues.apply, chain, True), weights, *before[1], *after[1])
        return ChainValues.apply(chain, False, weights, *before[1], *after[1])

    def state(self, data: Tensor, weights: Tensor) -> Tensor:
        """Compute the state vector, (batch, 2**n)."""
        for need in self.needs(data):
            need.require()
        weights = weights if weights.numel() else weights.detach()
        call = KernelCall(self._kernel, self._plain_state)
        if in_one_vmap():
            return in_groups(partial(KernelStates.apply, call), data, weights)
        return KernelStates.apply(call, data, weights)

    def _plain_values(self, data: Tensor, weights: Tensor) -> Tensor:
        nothing = 0.0 * (
            data.sum() + weights.sum()
        )  # so that values that are constant have derivatives, which are zero
        return self._plain.expectation(data, weights, method="autograd") + nothing

    def _plain_state(self, data: Tensor, weights: Tensor) -> Tensor:
        return self._plain.state(data, weights) + 0.0 * (data.sum() + weights.sum())  # as above

    @cached_property
    def _plain(self) -> RegisterRoute:
        """The register in tensor operations, for derivatives of the derivative."""
        return RegisterRoute(self._draft())


def find_kernel(circuit: Circuit, request: Request) -> KernelRoute | None:
    """Write the instructions of a circuit; None where the request is not for the kernel, or it cannot take them."""
    return None if request.terms is None else _find(circuit, request)


def find_state_kernel(circuit: Circuit, request: Request) -> KernelRoute | None:
    """Do the same for the state vector; None where some qubit is not touched, too."""
    route = _find(circuit, request) if request.terms is None else None
    return None if route is None or route.n_qubits != circuit.n_qubits else route


def _find(circuit: Circuit, request: Request) -> KernelRoute | None:
    if request.levels != 2 or request.compiled is False:
        return None
    if circuit.n_qubits > MAX_QUBITS or not _is_unitary(circuit) or load_kernels() is None:
        return None
    preparations, maps = linear_maps(circuit, 2)
    maps, terms = reduced_maps(maps, request, circuit.n_weights)
    by_levels = request.batch >= MIN_WIDE_BATCH
    instructions = lower(maps, terms if terms is not None else (), preparations, by_levels=by_levels)
    n_qubits, n_weights = circuit.n_qubits, circuit.n_weights  # a plan that held the circuit would keep it alive

    def plain() -> Draft:
        draft = draft_maps(maps, n_qubits, request, n_weights=n_weights, preparations=preparations)
        return replace(draft, terms=terms)

    return None if instructions is None else KernelRoute(request, instructions, plain)


def _is_unitary(circuit: Circuit) -> bool:
    return not any(isinstance(operation.gate, KrausGate) for operation in circuit.operations)
