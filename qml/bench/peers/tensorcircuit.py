"""TensorCircuit-NG: tensor networks of dense gates, light cones by cancelling gates, compiled by JAX."""

import importlib
from collections.abc import Sequence
from typing import Any

from circuits import Circuit, Slot
from qml.bench.bench import Step


def jitted(circuit: Circuit, strings: Sequence[Sequence[tuple[int, str]]], angle: float) -> Step:
    """Build a compiled step of the sum of some Pauli strings and its gradient, complex128.

    Its contractor is cotengra with 30 trials and ten seconds; its default, opt_einsum's greedy one, runs out of memory
    earlier.
    """
    tensorcircuit: Any = importlib.import_module("tensorcircuit")
    backend = tensorcircuit.set_backend("jax")
    tensorcircuit.set_dtype("complex128")
    tensorcircuit.set_contractor("cotengra-30-10")

    def total(weights: Any) -> Any:
        written = tensorcircuit.Circuit(circuit.n_qubits)
        for operation in circuit.operations:
            angles = [weights[a.index] if isinstance(a, Slot) else a for a in operation.angles]
            getattr(written, operation.name)(*operation.all_qubits, **({"theta": angles[0]} if angles else {}))
        letters = {"X": tensorcircuit.gates.x, "Y": tensorcircuit.gates.y, "Z": tensorcircuit.gates.z}
        values = [
            written.expectation(*((letters[letter](), [qubit]) for qubit, letter in string), enable_lightcone=True)
            for string in strings
        ]
        return backend.real(sum(values[1:], values[0]))

    compiled = backend.jit(backend.value_and_grad(total))
    weights = backend.ones([circuit.n_weights], dtype="float64") * angle

    def step() -> dict[str, Any]:
        value, gradient = compiled(weights)
        return {"value": value.block_until_ready(), "gradient": gradient.block_until_ready()}

    return step
