"""The route of small circuits: the whole pass in one compiled call (see `qml.simulator.jit`)."""

from functools import cached_property

from torch import Tensor

from circuits import Circuit
from circuits.gates import KrausGate, StatePreparation
from qml.simulator.draft import draft_circuit, reduced_maps
from qml.simulator.execution import Method
from qml.simulator.jit.instructions import Instructions
from qml.simulator.jit.lowering import lower
from qml.simulator.jit.values import KernelInput, KernelValues
from qml.simulator.linear import linear_maps
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request
from qml.simulator.routes.register import RegisterRoute

MAX_QUBITS = 14  # above, states leave the caches, and matrix products on all cores are quicker
CALL_NS = 30_000.0  # of the call from Python, and of autograd around it
STEP_NS = 60.0  # of one instruction, beside its arithmetic
ONE_SAMPLE_RATE = 8.0  # floating-point operations a nanosecond, where loops over neighbouring rows are short
BATCH_RATE = 30.0  # the same with 16 samples side by side


class KernelRoute:
    """A simulation of state vectors by the compiled kernel; see `ExpectationRoute`."""

    is_final = False

    def __init__(self, circuit: Circuit, request: Request, instructions: Instructions) -> None:
        self._circuit, self._request, self._kernel = (
            circuit,
            request,
            KernelInput(instructions, one_sample=request.shared_data),
        )

    @property
    def cost(self) -> float:
        """Estimate the calls and the arithmetic."""
        made = self._kernel.instructions
        batch = self._request.batch if made.takes_data else 1
        rate = BATCH_RATE if batch >= 8 else ONE_SAMPLE_RATE
        return CALL_NS + STEP_NS * len(made.table) + made.operations * batch / rate

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        """Return the memory of the states that are kept for the backward pass."""
        return (MemoryNeed(self._kernel.instructions.n_qubits, 2, data.shape[0], data.dtype.to_complex(), data.device),)

    def expectation(self, data: Tensor, weights: Tensor, *, method: Method) -> Tensor:
        """Compute expectation values; samples that cannot differ are computed once."""
        for need in self.needs(data):
            need.require()
        batch = data.shape[0]
        if batch > 1 and not self._kernel.instructions.takes_data:
            return self._values(data[:1], weights, method).expand(batch, -1).clone()
        return self._values(data, weights, method)

    def _values(self, data: Tensor, weights: Tensor, method: Method) -> Tensor:
        return KernelValues.apply(self._kernel, self._plain_values, method == "adjoint", data, weights)

    def _plain_values(self, data: Tensor, weights: Tensor) -> Tensor:
        return self._plain.expectation(data, weights, method="autograd")

    @cached_property
    def _plain(self) -> RegisterRoute:
        """The register in tensor operations, for derivatives of the derivative."""
        return RegisterRoute(draft_circuit(self._circuit, self._request))


def find_kernel(circuit: Circuit, request: Request) -> KernelRoute | None:
    """Write the instructions of a circuit; None where the request is not for the kernel, or it cannot take them."""
    if request.terms is None or request.levels != 2 or request.compiled is False:
        return None
    if circuit.n_qubits > MAX_QUBITS or not _is_unitary(circuit):
        return None
    _, maps = linear_maps(circuit, 2)
    maps, terms = reduced_maps(maps, request, circuit.n_weights)
    instructions = lower(maps, terms if terms is not None else ())
    return None if instructions is None else KernelRoute(circuit, request, instructions)


def _is_unitary(circuit: Circuit) -> bool:
    return not any(isinstance(operation.gate, KrausGate | StatePreparation) for operation in circuit.operations)
