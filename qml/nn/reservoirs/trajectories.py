"""Persistent rings by trajectories: state vectors of single runs, for rings too large for density matrices."""

import torch
from torch import Tensor

from circuits import Circuit, data
from circuits import reservoir as ring_circuits
from circuits.gates import Channel
from circuits.slots import Slot
from qml.backends import Native
from qml.nn.reservoirs._ring_group import RingGroup
from qml.nn.reservoirs.persistent import parity_signs, real_superoperator, ring_angles
from qml.nn.reservoirs.rings import PersistentRing
from qml.simulator.shots import draw


class TrajectoryReservoir(RingGroup):
    """A group of persistent rings of one shape, simulated as a batch of state vectors, `n_runs` runs of each ring.

    At every step an outcome of the measured qubits is drawn for each run with its Born probability, and the memory's
    state is projected. Features are the mean over runs of the exact expectation values before the draw, or with `shots`
    of the drawn outcomes. Their error falls as 1 / sqrt(n_runs). Cost of a step: n_runs * 2**n a gate.

    The state holds the memory's state vector of every ring and run.
    """

    def __init__(
        self,
        rings: tuple[PersistentRing, ...],
        n_inputs: int,
        *,
        n_runs: int,
        shots: int | None,
        noise: Channel | None,
        readout_error: tuple[float, float] | None,
        generator: torch.Generator | None,
        dtype: torch.dtype,
    ) -> None:
        first = rings[0]
        self.n_qubits, self.n_measured, self.n_rounds = first.n_qubits, first.n_measured, first.n_rounds
        if n_inputs > self.n_measured:
            raise ValueError(
                f"Argument `n_inputs` must be at most the {self.n_measured} measured qubits, but is {n_inputs}."
            )
        if shots is not None and shots != n_runs:
            raise ValueError(
                f"Arguments `shots` and `trajectories` must be equal, as a run is a shot, but are {shots} and {n_runs}."
            )
        n_features = self.n_measured * (self.n_measured + 1) // 2
        self.memory, self.outcomes = 2 ** (self.n_qubits - self.n_measured), 2**self.n_measured
        n_features *= len(rings) * self.n_rounds
        super().__init__(n_inputs, n_features, len(rings) * n_runs * self.memory, dtype)
        self.rings, self.n_runs, self.shots, self.generator = rings, n_runs, shots, generator
        self.readout_error = readout_error
        self.circuits = [_step_circuit(ring, noise) for ring in rings]
        self.noise = noise
        self.tables()

    def cpu_tables(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Compute the rings' scales and angles, the signs of outcomes, and the channel's operators."""
        tables = {
            "signs": parity_signs(self.n_measured),
            "scales": torch.tensor([ring.input_scale for ring in self.rings], dtype=torch.float64),
            "angles": torch.stack([ring_angles(ring) for ring in self.rings]),
        }
        if self.noise is not None:
            tables["kraus"] = _real_kraus(self.noise)
        return {name: table.to(dtype) for name, table in tables.items()}

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """Return states with every memory qubit in |0>."""
        state = self.tables()["scales"].new_zeros(batch, len(self.rings) * self.n_runs, self.memory)
        state[:, :, 0] = 1.0
        return state.flatten(1)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reservoir`."""
        batch, time, _ = inputs.shape
        dtype = self.tables()["scales"].dtype
        memory = state.to(dtype).reshape(batch, len(self.rings), self.n_runs, self.memory)
        repeated = inputs.to(dtype).repeat_interleave(self.n_rounds, 1)
        all_features = []
        for step in repeated.unbind(1):
            features, parts = [], []
            for number in range(len(self.rings)):
                feature, part = self._step(number, step, memory[:, number].flatten(0, 1))
                features.append(feature)
                parts.append(part.reshape(batch, self.n_runs, -1))
            memory = torch.stack(parts, 1)
            all_features.append(torch.stack(features, 1))
        stacked = torch.stack(all_features, 1).reshape(batch, time, self.n_rounds, len(self.rings), -1)
        return stacked.transpose(2, 3).reshape(batch, time, self.n_features), memory.reshape(batch, -1)

    def _step(self, number: int, inputs: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Run one ring for a step: features (batch, features) and memory (batch * runs, amplitudes)."""
        tables = self.tables()
        order = torch.arange(self.n_measured, device=inputs.device) % self.n_inputs
        angles = (tables["scales"][number] * inputs[:, order]).repeat_interleave(self.n_runs, 0)
        states = memory
        for layer, circuit in enumerate(self.circuits[number]):
            columns = torch.cat([states[:, : self.memory * (self.memory > 1)], angles], 1) if layer == 0 else states
            # only the built-in simulator gives state vectors; `OnionReservoir` refuses other backends for these rings
            states = Native().state(circuit, columns, tables["angles"][number, layer]).real
            states = self._jump(states, tables["kraus"]) if self.noise is not None else states
        split = states.reshape(len(states), self.outcomes, self.memory)
        chances = split.square().sum(-1)
        drawn = draw(chances, 1, self.generator)[:, 0]
        left = split[torch.arange(len(split), device=split.device), drawn]
        left = left / torch.linalg.vector_norm(left, dim=1, keepdim=True)
        read = chances if self.shots is None else torch.nn.functional.one_hot(drawn, self.outcomes).to(chances.dtype)
        features = self._read(read) @ tables["signs"]
        return features.reshape(len(inputs), self.n_runs, -1).mean(1), left

    def _read(self, outcomes: Tensor) -> Tensor:
        """Apply read-out errors to outcome probabilities; draw one reading of each drawn outcome."""
        if self.readout_error is None:
            return outcomes
        up, down = self.readout_error
        confusion = torch.tensor([[1.0 - up, up], [down, 1.0 - down]], dtype=outcomes.dtype, device=outcomes.device)
        spread = outcomes.reshape(len(outcomes), *(2,) * self.n_measured)
        for axis in range(1, self.n_measured + 1):
            spread = torch.einsum("b...i,ij->b...j", spread.movedim(axis, -1), confusion).movedim(-1, axis)
        spread = spread.reshape(outcomes.shape)
        if self.shots is None:
            return spread
        read = draw(spread, 1, self.generator)[:, 0]
        return torch.nn.functional.one_hot(read, self.outcomes).to(outcomes.dtype)

    def _jump(self, states: Tensor, kraus: Tensor) -> Tensor:
        """Draw one Kraus operator of the channel for every qubit and run, and apply it."""
        for qubit in range(self.n_qubits):
            split = states.reshape(len(states), 2**qubit, 2, -1)
            branches = torch.einsum("kij,bljr->bklir", kraus, split).flatten(2)
            drawn = draw(branches.square().sum(2), 1, self.generator)[:, 0]
            chosen = branches[torch.arange(len(states), device=states.device), drawn]
            states = chosen / torch.linalg.vector_norm(chosen, dim=1, keepdim=True)
        return states


def _step_circuit(ring: PersistentRing, noise: Channel | None) -> list[Circuit]:
    """Build circuits that take amplitudes as data: all layers of a step as one, or one a layer where noise is between.

    The first encodes the inputs on the measured qubits, which are |0>, and takes the memory's amplitudes.
    """
    n, side = ring.n_qubits, 2**ring.n_qubits
    memory = 2 ** (n - ring.n_measured)
    circuits = []
    for layer in range(ring.n_layers):
        circuit = Circuit(n)
        if layer == 0:
            if memory > 1:
                circuit.prepare_slots([data(k) for k in range(memory)], range(ring.n_measured, n))
            for qubit in range(ring.n_measured):
                circuit.ry(data((memory if memory > 1 else 0) + qubit), qubit)
        else:
            circuit.prepare_slots([Slot("data", k) for k in range(side)])
        circuits.append(circuit.compose(ring_circuits.persistent_layer(n, layer)))
    return circuits


def _real_kraus(noise: Channel) -> Tensor:
    """Return real Kraus operators of a channel that keeps real states real up to a phase.

    Raises:
        ValueError: there is none with these operators.
    """
    real_superoperator(noise)  # refuses channels on more qubits, and complex ones
    kraus = noise.kraus.values
    phases = [operator.flat[abs(operator).argmax()] for operator in kraus]
    rotated = [
        operator * (abs(phase) / phase if phase != 0 else 1.0) for operator, phase in zip(kraus, phases, strict=True)
    ]
    if max(abs(operator.imag).max() for operator in rotated) > 1e-12:
        raise ValueError("Argument `noise` must have Kraus operators that are real up to a phase, but has others.")
    return torch.stack([torch.from_numpy(operator.real.copy()) for operator in rotated])
