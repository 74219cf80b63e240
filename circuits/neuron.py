"""The quantum neuron and the recurrent cell as circuits: ancillas, multi-controlled rotations, post-selection.

A neuron of order 1 turns its ancilla by RY(eta(x)), eta a polynomial in the source bits; turns the target by RY(pi)
where the ancilla reads 1; turns the ancilla back; and keeps the runs in which it then reads 0. That takes the target by
C + S RY(pi), C = cos(eta/2)^2, S = sin(eta/2)^2. Order o nests this: the ancilla itself is turned by a neuron of order
o - 1. Two forms:

- repeat until success (`rounds=0`): o ancillas, each post-selected and used again, 2^o - 1 post-selections a neuron;
- fixed-point oblivious amplitude amplification (`rounds=1, 2, ...`): 2^o - 1 ancillas that stay coherent, so that the
  neuron is a block A of a unitary U, with A'A = r^2 = C^2 + S^2 for each source word. A round replaces U by U R U' R U,
  R = exp(i (pi/3) Z_s P) with P the projector on ancillas 0 and s a further qubit between two Hadamard gates, and so A
  by A (3 - r^2) / 2: r grows towards its fixed point 1 and never overshoots. A round makes three neurons of one.

Reference:
    Bausch, arXiv:2006.14619, section 3 and figure 2; Cao, Guerreschi and Aspuru-Guzik, arXiv:1711.11240; Grover's pi/3
    search, arXiv:quant-ph/0503205, and Guerreschi, arXiv:1808.02900, for oblivious amplification. The sign qubit s,
    which keeps amplitudes real, is ours: without it the gain is 1 + exp(-i pi/3)(1 - r^2), whose phase depends on the
    word.
"""

import math
from collections.abc import Sequence
from itertools import combinations

from circuits import _checks
from circuits.circuit import Circuit
from circuits.gates import PauliRotation
from circuits.slots import Slot, data, weight


def neuron_circuit(n_inputs: int, *, order: int = 1, degree: int = 2, rounds: int = 0, bias: bool = True) -> Circuit:
    """Return a neuron from sources 0..n-1 onto target n; ancillas follow, and are post-selected on 0.

    Weights: the bias (if any), then one a subset of 1 to `degree` sources, by size, then lexicographically.

    Args:
        n_inputs: number of sources, at least 1.
        order: order of the neuron, at least 1.
        degree: largest subset, from 1 to n_inputs.
        rounds: rounds of amplitude amplification, at least 0.
        bias: whether there is a bias.

    Example:
        >>> circuit = neuron_circuit(2)
        >>> circuit.n_qubits, circuit.n_weights
        (4, 4)
    """
    _checks.as_int(n_inputs, "n_inputs", minimum=1)
    neuron = _Neuron(n_inputs, order, degree, rounds, bias=bias)
    circuit = Circuit(n_inputs + 1 + neuron.n_ancillas)
    return neuron.onto(circuit, range(n_inputs), n_inputs, range(n_inputs + 1, circuit.n_qubits), 0)


def recurrent_circuit(  # noqa: PLR0913 - the sizes of the network
    input_size: int,
    hidden_size: int,
    n_steps: int,
    *,
    n_stages: int = 1,
    order: int = 2,
    degree: int = 2,
    rounds: int = 0,
    bias: bool = True,
    measured: bool = False,
) -> Circuit:
    """Return steps of the recurrent network: workspace qubits 0..W-1, in/out qubits W..W+I-1, ancillas behind them.

    The circuit ends before a read-out: the network's probabilities are those of the in/out qubits after the last step.
    Outcomes of earlier steps are post-selected, or measured, recorded and reset.

    Weights: `QRNNCell.vector`, neuron by neuron its bias and weights, then the rotations of all stages.
    Data: data(t I + k) is pi times input bit k of step t; where outcomes are post-selected, data(n_steps I + t I + k)
    is pi times bit k of the outcome of step t < n_steps - 1.

    Args:
        input_size: bits I of a word, at least 1.
        hidden_size: workspace qubits W, at least 1.
        n_steps: number of steps, at least 1.
        n_stages: stages, at least 0.
        order: order of the neurons, at least 1.
        degree: degree of the neurons, from 1 to W + I - 1.
        rounds: rounds of amplitude amplification.
        bias: whether the neurons have biases.
        measured: measure outcomes into classical bit t I + k instead of post-selecting them.

    Example:
        >>> circuit = recurrent_circuit(1, 2, 3)
        >>> circuit.n_qubits, circuit.n_data, circuit.n_weights
        (5, 5, 22)
    """
    _checks.as_int(input_size, "input_size", minimum=1)
    _checks.as_int(hidden_size, "hidden_size", minimum=1)
    _checks.as_int(n_steps, "n_steps", minimum=1)
    _checks.as_int(n_stages, "n_stages", minimum=0)
    neuron = _Neuron(input_size + hidden_size - 1, order, degree, rounds, bias=bias)
    circuit = Circuit(hidden_size + input_size + neuron.n_ancillas)
    cell = _Cell(circuit, neuron, range(hidden_size), range(hidden_size, hidden_size + input_size), n_stages)
    for step in range(n_steps):
        cell.step([data(step * input_size + place) for place in range(input_size)])
        if step < n_steps - 1:
            first_slot = None if measured else (n_steps + step) * input_size
            cell.end_step(step * input_size, first_slot)
    return circuit


class _Cell:
    """A recurrent cell on its qubits, growing a circuit step by step."""

    def __init__(self, circuit: Circuit, neuron: "_Neuron", workspace: range, ends: range, n_stages: int) -> None:
        self.circuit, self.neuron, self.workspace, self.ends, self.n_stages = circuit, neuron, workspace, ends, n_stages
        self.n_hidden = len(workspace) * (1 + n_stages)

    def step(self, inputs: Sequence[Slot]) -> None:
        """Append all gates between two measurements."""
        _write(self.circuit, inputs, self.ends)
        for layer in range(1 + self.n_stages):
            if layer:
                self._rotate(layer - 1)
            for qubit in self.workspace:
                self._onto(qubit, layer * len(self.workspace) + qubit)
        _write(self.circuit, inputs, self.ends, back=True)
        for place, end in enumerate(self.ends):
            self._onto(end, self.n_hidden + place)

    def end_step(self, first_bit: int, first_slot: int | None) -> None:
        """Post-select the in/out qubits on data from `first_slot` on; without it measure, record and reset them."""
        if first_slot is None:
            for place, end in enumerate(self.ends):
                self.circuit.measure(end, bit=first_bit + place).reset(end)
            return
        _write(self.circuit, [data(first_slot + place) for place in range(len(self.ends))], self.ends, back=True)
        for end in self.ends:
            self.circuit.post_select(end, 0)

    def _rotate(self, stage: int) -> None:
        first = (self.n_hidden + len(self.ends)) * self.neuron.n_weights + stage * len(self.workspace)
        for qubit in self.workspace:
            self.circuit.ry(weight(first + qubit), qubit)

    def _onto(self, target: int, number: int) -> None:
        sources = [qubit for qubit in (*self.workspace, *self.ends) if qubit != target]
        ancillas = range(self.ends.stop, self.circuit.n_qubits)
        self.neuron.onto(self.circuit, sources, target, ancillas, number * self.neuron.n_weights)


def _write(circuit: Circuit, slots: Sequence[Slot], qubits: Sequence[int], *, back: bool = False) -> None:
    """Append RY(pi bit): a word onto |0...0>, or off again."""
    for slot, qubit in zip(slots, qubits, strict=True):
        circuit.append(PauliRotation("Y", factor=0.5 if back else -0.5), qubit, angles=(slot,))


class _Neuron:
    """A kind of neuron that can be put onto any qubits."""

    def __init__(self, n_inputs: int, order: int, degree: int, rounds: int, *, bias: bool) -> None:
        _checks.as_int(order, "order", minimum=1)
        _checks.as_int(degree, "degree", minimum=1)
        _checks.as_int(rounds, "rounds", minimum=0)
        if degree > n_inputs:
            raise ValueError(
                f"Argument `degree` must be at most {n_inputs}, the number of sources, but is {degree}. Lower it."
            )
        self.order, self.rounds, self.bias = order, rounds, bias
        self.subsets = [subset for size in range(1, degree + 1) for subset in combinations(range(n_inputs), size)]

    @property
    def n_weights(self) -> int:
        return len(self.subsets) + int(self.bias)

    @property
    def n_ancillas(self) -> int:
        return 2**self.order - 1 + self.rounds if self.rounds else self.order

    def onto(
        self, circuit: Circuit, sources: Sequence[int], target: int, ancillas: Sequence[int], first: int
    ) -> Circuit:
        """Append the neuron; its weights are weight(first), weight(first + 1), ..."""
        place = _Place(self, circuit, sources, first)
        if not self.rounds:
            place.nested(self.order, target, list(ancillas), sign=1)
            return circuit
        n_coherent = 2**self.order - 1
        place.circuit = Circuit(circuit.n_qubits)
        place.nested(self.order, target, list(ancillas[:n_coherent]), sign=1, coherent=True)
        amplified = place.circuit
        for number in range(self.rounds):
            amplified = _amplified(amplified, ancillas[: n_coherent + number], ancillas[n_coherent + number])
        circuit.compose(amplified)
        for ancilla in ancillas:
            circuit.post_select(ancilla, 0)
        return circuit


class _Place:
    """A neuron on its sources, growing a circuit."""

    def __init__(self, neuron: _Neuron, circuit: Circuit, sources: Sequence[int], first: int) -> None:
        self.neuron, self.circuit, self.sources, self.first = neuron, circuit, sources, first

    def nested(self, order: int, target: int, ancillas: list[int], *, sign: int, coherent: bool = False) -> None:
        """Turn the target by C + S RY(sign pi) of this order; ancillas are used up where they stay coherent."""
        if order == 0:
            self.rotation(target, sign)
            return
        ancilla = ancillas.pop() if coherent else ancillas[order - 1]
        self.nested(order - 1, ancilla, ancillas, sign=1, coherent=coherent)
        self.circuit.ry(sign * math.pi, target, controls=ancilla)
        self.nested(order - 1, ancilla, ancillas, sign=-1, coherent=coherent)
        if not coherent:
            self.circuit.post_select(ancilla, 0)

    def rotation(self, target: int, sign: int) -> None:
        """Append RY(sign eta) where the sources say so."""
        gate, number = PauliRotation("Y", factor=-0.5 * sign), self.first
        self.circuit.append(gate, target, angles=(math.pi / 2,))
        if self.neuron.bias:
            self.circuit.append(gate, target, angles=(weight(number),))
            number += 1
        for place, subset in enumerate(self.neuron.subsets):
            controls = [self.sources[index] for index in subset]
            self.circuit.append(gate, target, controls=controls, angles=(weight(number + place),))


def _amplified(once: Circuit, ancillas: Sequence[int], sign: int) -> Circuit:
    """Append a round around a circuit that succeeds where all ancillas read 0; then the sign qubit must read 0 too."""
    circuit = Circuit(once.n_qubits).h(sign)
    for part in (once, once.inverse(), once):
        if len(circuit) > 1:
            for ancilla in ancillas:
                circuit.x(ancilla)
            circuit.rz(-2.0 * math.pi / 3.0, sign, controls=ancillas)
            for ancilla in ancillas:
                circuit.x(ancilla)
        circuit.compose(part)
    return circuit.rz(4.0 * math.pi / 3.0, sign).h(sign)
