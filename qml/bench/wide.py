"""`qml bench wide`: circuits of 25 to 1000 qubits, of which light cones, components and contraction leave little."""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from circuits import Circuit, Observable, weight
from qml.backends import Native
from qml.bench.bench import Bench, Case, Limits, Peer, Step
from qml.bench.peers import pauli_strings, pennylane, tensorcircuit

ANGLE = 0.3
ROW_LENGTHS = (14, 15, 15, 15, 15, 15, 14)  # of the 127 qubits of IBM's Eagle processors
WEIGHT_10 = "X13 X29 X31 Y9 Y30 Z8 Z12 Z17 Z28 Z32"
WEIGHT_17 = "X37 X41 X52 X56 X57 X58 X62 X79 Y75 Z38 Z40 Z42 Z63 Z72 Z80 Z90 Z91"


class WideWork(NamedTuple):
    """A circuit whose weights are all trained, and what is read.

    Attributes:
        circuit: without data.
        strings: each as (qubit, letter) pairs; their sum is differentiated.
    """

    circuit: Circuit
    strings: tuple[tuple[tuple[int, str], ...], ...]


def chain(n_qubits: int, n_layers: int) -> Circuit:
    """Build layers of RY on every qubit and CZ on neighbours, even pairs before odd ones."""
    circuit = Circuit(n_qubits)
    for layer in range(n_layers):
        for qubit in range(n_qubits):
            circuit.ry(weight(layer * n_qubits + qubit), qubit)
        for first in (*range(0, n_qubits - 1, 2), *range(1, n_qubits - 1, 2)):
            circuit.cz(first, first + 1)
    return circuit


def grid(side: int, n_layers: int) -> Circuit:
    """Build layers of RY on every qubit of a square and CZ on neighbours."""
    circuit = Circuit(side * side)
    for layer in range(n_layers):
        for qubit in range(side * side):
            circuit.ry(weight(layer * side * side + qubit), qubit)
        for qubit in range(side * side):
            if (qubit + 1) % side:
                circuit.cz(qubit, qubit + 1)
            if qubit + side < side * side:
                circuit.cz(qubit, qubit + side)
    return circuit


def utility(n_layers: int) -> Circuit:
    """Build the kicked Ising circuit on 127 qubits: RX on all, then RZZ(-pi/2) on all couplers.

    Reference:
        Kim et al., Nature 618, 500 (2023), https://doi.org/10.1038/s41586-023-06096-3.
    """
    circuit = Circuit(127)
    for layer in range(n_layers):
        for qubit in range(127):
            circuit.rx(weight(127 * layer + qubit), qubit)
        for first, second in heavy_hex():
            circuit.rzz(-np.pi / 2, first, second)
    return circuit


def heavy_hex() -> list[tuple[int, int]]:
    """Return the 144 couplers of IBM's Eagle processors: rows of qubits, joined by four qubits between two rows."""
    couplers, rows, start = [], [], 0
    for length in ROW_LENGTHS:
        rows.append(range(start, start + length))
        couplers += list(pairwise(rows[-1]))
        start += length + 4
    for number, (upper, lower) in enumerate(pairwise(rows)):
        for k in range(4):
            column, joint = 4 * k + 2 * (number % 2), upper[-1] + 1 + k
            below = column - (len(lower) < len(upper))  # the last row begins a column later
            couplers += [(upper[column], joint), (joint, lower[below])]
    return sorted(couplers)


def _string(text: str) -> tuple[tuple[int, str], ...]:
    return tuple(sorted((int(part[1:]), part[0]) for part in text.split()))


CASES: dict[str, Callable[[], WideWork]] = {
    "chain-100": lambda: WideWork(chain(100, 3), (_string("Z50"),)),
    "chain-1000": lambda: WideWork(chain(1000, 5), (_string("Z500"),)),
    "chain-1000-all": lambda: WideWork(chain(1000, 3), tuple(((qubit, "Z"),) for qubit in range(1000))),
    "grid-25": lambda: WideWork(grid(5, 4), (_string("Z12"),)),
    "grid-36": lambda: WideWork(grid(6, 4), (_string("Z21"),)),
    "utility-Z62": lambda: WideWork(utility(5), (_string("Z62"),)),
    "utility-w10": lambda: WideWork(utility(5), (_string(WEIGHT_10),)),
    "utility-w17": lambda: WideWork(utility(5), (_string(WEIGHT_17),)),
    "utility-mean": lambda: WideWork(utility(5), tuple(((qubit, "Z"),) for qubit in range(127))),
}


def make_work(case: str) -> WideWork:
    """Build the circuit of a case."""
    return CASES[case]()


def ours(case: str) -> Step:
    """Build a step on the built-in simulator, float64."""
    work = make_work(case)
    angles = torch.full((work.circuit.n_weights,), ANGLE, dtype=torch.float64, requires_grad=True)
    nothing, total = torch.zeros(1, 0, dtype=torch.float64), Observable(tuple((1.0, item) for item in work.strings))

    def step() -> dict[str, torch.Tensor]:
        value = Native().expectation(work.circuit, nothing, angles, [total])
        (gradient,) = torch.autograd.grad(value.sum(), angles)
        return {"value": value.detach()[0, 0], "gradient": gradient}

    return step


def _peer(
    step: Callable[..., Step], modules: tuple[str, ...], install: str, *results: str, truncates: bool = False
) -> Peer:
    def prepare(case: str) -> Step:
        work = make_work(case)
        return step(work.circuit, work.strings, ANGLE)

    return Peer(prepare, modules, install, torch_facing=False, results=results or None, truncates=truncates)


def _tensor_of(case: str) -> Step:
    """Build a step of default.tensor, by the method that is quicker there: matrix products for chains."""
    work = make_work(case)
    method = "mps" if case.startswith("chain") else "tn"
    return pennylane.tensor(work.circuit, work.strings, ANGLE, method=method)


PEERS = {
    "tensorcircuit": _peer(tensorcircuit.jitted, ("tensorcircuit", "jax", "cotengra"), "tensorcircuit-ng jax cotengra"),
    "tencirpauli": _peer(pauli_strings.tencirpauli, ("tencirpauli",), "tencirpauli"),
    "pauli-prop": _peer(pauli_strings.pauli_prop, ("qiskit", "pauli_prop"), "pauli-prop", "value", truncates=True),
    "default.tensor": Peer(
        _tensor_of, ("pennylane", "quimb"), "pennylane quimb", torch_facing=False, results=("value",)
    ),
}
BENCH = Bench(
    title="expectation values of circuits on 25 to 1000 qubits and the gradients of all weights, float64; pauli-prop "
    "and default.tensor compute the value alone",
    ours=ours,
    peers=PEERS,
    cases=dict.fromkeys(CASES, Case(tuple(PEERS))),
    limits=Limits(seconds=120, memory=8 * 2**30),
)
