"""PennyLane: default.qubit under torch and under jax, lightning.qubit with adjoint gradients, and our own device."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from circuits import Circuit, Slot
from qml.bench.bench import Step
from qml.bench.work import BenchGate, CircuitWork, Model, training_step

BACKPROP_LIMIT = 2 * 2**30  # bytes of states that backpropagation may keep, so that no machine swaps

Tensor = Any
"""An array of torch or of jax."""


def backprop(work: CircuitWork) -> Step:
    """Build a step of default.qubit with torch backpropagation, the batch broadcast.

    Where the states of a whole batch would not fit into memory, it runs in micro-batches.
    """
    node = _qnode(work, "default.qubit", interface="torch", diff_method="backprop")
    return training_step(node, work, micro_batch=work.micro_batch(_bytes_an_amplitude(work), BACKPROP_LIMIT))


def lightning(work: CircuitWork) -> Step:
    """Build a step of lightning.qubit in complex64 with adjoint gradients: compiled code, one tape a sample."""
    return training_step(
        _qnode(work, "lightning.qubit", interface="torch", diff_method="adjoint", c_dtype=np.complex64), work
    )


def plugin(work: CircuitWork) -> Step:
    """Build a step of our simulator as a PennyLane device, with its defaults and the batch broadcast."""
    from qml.plugins.pennylane import NativeDevice

    device = NativeDevice(wires=work.n_qubits)
    return training_step(_qnode(work, device, interface="torch", diff_method="best"), work)


def shift(work: CircuitWork, *, device: str) -> Step:
    """Build a step of a device with PennyLane's parameter-shift gradients; the batch is broadcast where it can be."""
    return training_step(_qnode(work, device, interface="torch", diff_method="parameter-shift"), work)


def shift_counts(work: CircuitWork) -> tuple[int, int]:
    """Count the calls of lightning.qubit and the circuits in them, in one step of `shift`."""
    import pennylane as pl

    device = pl.device("lightning.qubit", wires=work.n_qubits)
    node = _qnode(work, device, interface="torch", diff_method="parameter-shift")
    with pl.Tracker(device) as tracker:
        training_step(node, work)()
    return int(tracker.totals["batches"]), int(tracker.totals["executions"])


def jax_jit(work: CircuitWork) -> Step:
    """Build a step of default.qubit under jax.vmap, jax.value_and_grad and jax.jit, the weights as argument."""
    import jax

    node = jax.vmap(_qnode(work, "default.qubit", interface="jax", diff_method="backprop"), (0, None))
    size = work.micro_batch(_bytes_an_amplitude(work), BACKPROP_LIMIT)
    weights = jax.numpy.asarray(work.weights)
    starts = range(0, len(work.inputs), size)
    parts = [tuple(jax.numpy.asarray(a[i : i + size]) for a in (work.inputs, work.targets)) for i in starts]

    def loss(weights: Tensor, inputs: Tensor, targets: Tensor) -> Tensor:
        return ((node(inputs, weights) - targets) ** 2).sum() / len(work.inputs)

    value_and_grad = jax.jit(jax.value_and_grad(loss))

    def step() -> dict[str, Tensor]:
        results = [value_and_grad(weights, inputs, targets) for inputs, targets in parts]
        total, gradient = (sum(values[1:], values[0]) for values in zip(*results, strict=True))
        jax.block_until_ready((total, gradient))
        return {"loss": total, "gradient": gradient}

    return step


def tensor(circuit: Circuit, strings: Sequence[Sequence[tuple[int, str]]], angle: float, *, method: str) -> Step:
    """Build a step of default.tensor: the value alone, since its gradients take two runs for each weight.

    Args:
        circuit: RX, RY, CZ and RZZ.
        strings: Pauli strings, whose sum is read.
        angle: of all weights.
        method: `"mps"`, a matrix-product state, or `"tn"`, a network of gates; both of quimb, without truncation.
    """
    import pennylane as pl

    gates = {"rx": pl.RX, "ry": pl.RY, "cz": pl.CZ, "rzz": pl.IsingZZ}
    words = [[getattr(pl, letter)(qubit) for qubit, letter in string] for string in strings]
    terms: list[Any] = [pl.prod(*word) if len(word) > 1 else word[0] for word in words]

    def written() -> object:
        for operation in circuit.operations:
            angles = [angle if isinstance(given, Slot) else given for given in operation.angles]
            gates[operation.name](*angles, wires=operation.all_qubits)
        return pl.expval(pl.sum(*terms) if len(terms) > 1 else terms[0])

    node: Any = pl.QNode(written, pl.device("default.tensor", wires=circuit.n_qubits, method=method), diff_method=None)
    return lambda: {"value": np.float64(node())}


class Expectations(torch.nn.Module):
    """A module of <Z> of every qubit on default.qubit with backpropagation, the batch broadcast.

    Args:
        n_qubits: qubits.
        gates: in order.
        weights: Angles of the weight slots.
    """

    def __init__(self, n_qubits: int, gates: Sequence[BenchGate], weights: torch.nn.Parameter) -> None:
        super().__init__()
        import pennylane as pl

        def circuit(inputs: Tensor, weights: Tensor) -> list:
            for gate in gates:
                _apply(gate, inputs, weights)
            return [pl.expval(pl.PauliZ(qubit)) for qubit in range(n_qubits)]

        self.weights = weights
        self.node: Any = pl.QNode(circuit, pl.device("default.qubit", wires=n_qubits), "torch", "backprop")

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Map angles (batch, slots) to (batch, n_qubits)."""
        return torch.stack(self.node(inputs, self.weights), -1)


def _bytes_an_amplitude(work: CircuitWork) -> int:
    """Estimate the bytes that backpropagation keeps for each amplitude: about two complex128 states a gate."""
    return 2 * 16 * len(work.gates)


def _qnode(work: CircuitWork, device: Any, *, interface: str, diff_method: str, **options: object) -> Model:
    import pennylane as pl

    def circuit(inputs: Tensor, weights: Tensor) -> object:
        for gate in work.gates:
            _apply(gate, inputs, weights)
        return pl.expval(getattr(pl, work.pauli)(work.readout))

    made = pl.device(device, wires=work.n_qubits, **options) if isinstance(device, str) else device
    node: Any = pl.QNode(circuit, made, interface, diff_method)
    if interface == "jax":
        return node
    return lambda inputs, weights: node(inputs, weights).to(torch.float32)


def _apply(gate: BenchGate, inputs: Tensor, weights: Tensor) -> None:
    import pennylane as pl

    if gate.slot is None:
        pl.CNOT(wires=gate.qubits)
        return
    angle = inputs[..., gate.slot.index] if gate.slot.kind == "data" else weights[gate.slot.index]
    if gate.name in ("rx", "ry", "rz"):
        getattr(pl, gate.name.upper())(angle, wires=gate.qubits)
    elif gate.name in ("xx", "yy", "zz"):  # exp(-i a P / 2)
        getattr(pl, f"Ising{gate.name.upper()}")(-2 * angle, wires=gate.qubits)
    else:
        pl.PauliRot(-2 * angle, gate.name.upper(), wires=gate.qubits)
