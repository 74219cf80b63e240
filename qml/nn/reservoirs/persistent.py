"""Rings with a persistent register, by exact density matrices."""

from itertools import combinations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit, data
from circuits import reservoir as ring_circuits
from circuits.gates import Channel
from qml.backends import Native
from qml.nn.reservoirs._ring_group import RingGroup
from qml.nn.reservoirs.rings import PersistentRing
from qml.simulator.draws import multinomial

MAX_MAP_BYTES = 2**21  # of the maps of one stretch of steps that is worked on at once
MAX_IMAGINARY = 1e-12  # a channel whose map of real density matrices is more imaginary than that is refused


class PersistentReservoir(RingGroup):
    r"""A group of persistent rings of one shape, simulated exactly by density matrices of the memory qubits.

    A step maps the memory's density matrix rho by rho -> sum_b K_b(x) rho K_b(x)^T, where outcomes b of the measured
    qubits have the probabilities tr K_b rho K_b^T. All matrices are real, as the ring's gates are. The maps
    K_b(x) = sum_a phi_a(x) K_ba, with phi the encoded input's amplitudes, of a stretch of steps and all series are
    one matrix product; a step is then two small ones. Cost of a step: 4 * 2**(n + 2 m) multiplications with m memory
    qubits. With noise the whole register's density matrix is evolved layer by layer, 4 * 8**n a layer.

    The state holds the memory's density matrix of every ring, 4**m numbers each.
    """

    def __init__(
        self,
        rings: tuple[PersistentRing, ...],
        n_inputs: int,
        *,
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
                f"Argument `n_inputs` must be at most the {self.n_measured} measured qubits, which take the inputs, "
                f"but is {n_inputs}. Measure more qubits."
            )
        n_features = self.n_measured * (self.n_measured + 1) // 2
        memory = 2 ** (self.n_qubits - self.n_measured)
        super().__init__(n_inputs, len(rings) * self.n_rounds * n_features, len(rings) * memory**2, dtype)
        self.rings, self.shots, self.generator, self.memory, self.outcomes = (
            rings,
            shots,
            generator,
            memory,
            2**self.n_measured,
        )
        self.noise, self.readout_error = noise, readout_error
        self.tables()

    def cpu_tables(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Compute the rings' maps, or layers and channel where there is noise, and the tables of the read-out."""
        matrices = [torch.stack(layer_matrices(ring)) for ring in self.rings]
        layers = torch.stack(matrices).to(dtype)  # (rings, layers, side, side)
        tables = {
            "confusion": _confusion(self.readout_error, self.n_measured).to(dtype),
            "signs": parity_signs(self.n_measured).to(dtype),
            "scales": torch.tensor([ring.input_scale for ring in self.rings], dtype=dtype),
        }
        if self.noise is None:
            return tables | {"maps": _kraus_maps(layers, self.outcomes)}
        return tables | {"layers": layers, "superoperator": real_superoperator(self.noise).to(dtype)}

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """Return states with every memory qubit in |0>."""
        state = self.tables()["scales"].new_zeros(batch, len(self.rings), self.memory**2)
        state[:, :, 0] = 1.0
        return state.flatten(1)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """See `Reservoir`."""
        batch, time, _ = inputs.shape
        rings, tables = len(self.rings), self.tables()
        scales = tables["scales"]
        rho = state.to(scales.dtype).reshape(batch * rings, self.memory, self.memory)
        repeated = inputs.to(scales.dtype).repeat_interleave(self.n_rounds, 1)
        stretch = max(1, MAX_MAP_BYTES // (batch * rings * self.outcomes * self.memory**2 * scales.itemsize))
        run = self._run if self.noise is None else self._run_noisy
        stretches = []
        for start in range(0, time * self.n_rounds, stretch):
            amplitudes = self.amplitudes(repeated[:, start : start + stretch])
            outcomes, rho = run(amplitudes, rho)
            stretches.append(outcomes)
        outcomes = torch.cat(stretches).reshape(time, self.n_rounds, batch, rings, self.outcomes)
        features = self._drawn(outcomes @ tables["confusion"]) @ tables["signs"]
        features = features.permute(2, 0, 3, 1, 4).reshape(batch, time, self.n_features)
        return features, rho.reshape(batch, -1)

    def amplitudes(self, inputs: Float[Tensor, "batch time inputs"]) -> Float[Tensor, "time batch rings outcomes"]:
        """Compute the real amplitudes of the measured qubits after RY(s x), input k mod n_inputs on qubit k."""
        half = self.tables()["scales"][:, None] * inputs.transpose(0, 1)[:, :, None] / 2  # (time, batch, rings, inputs)
        pairs = torch.stack([torch.cos(half), torch.sin(half)], -1)
        result = pairs[..., 0, :]
        for qubit in range(1, self.n_measured):
            other = pairs[..., qubit % self.n_inputs, :]
            result = (result[..., :, None] * other[..., None, :]).flatten(-2)
        return result

    def step_maps(self, amplitudes: Float[Tensor, "time batch rings outcomes"]) -> Tensor:
        """Compute K_b(x) of every step, series and ring: (time, batch * rings, memory, outcomes * memory)."""
        time, batch, rings, outcomes = amplitudes.shape
        maps = self.tables()["maps"]
        parts = [amplitudes[:, :, k].reshape(-1, outcomes) @ maps[k] for k in range(rings)]
        joined = parts[0] if rings == 1 else torch.stack([part.reshape(time * batch, -1) for part in parts], 1)
        return joined.reshape(time, batch * rings, self.memory, outcomes * self.memory)

    def _run(self, amplitudes: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """Compute outcome probabilities (time, batch, rings, outcomes) and the memory's density matrix at the end."""
        maps = self.step_maps(amplitudes)
        time, rows, memory, _ = maps.shape
        # a batched product of one matrix wakes all threads, a plain one only where that pays
        alone = rows == 1
        product, steps, now = (torch.mm, maps[:, 0], rho[0]) if alone else (torch.bmm, maps, rho)
        shape = steps.shape[1:]
        evolved = []
        for step in steps:
            half = product(step.view(*shape[:-2], memory * self.outcomes, memory), now)
            now = product(half.view(shape), step.mT)
            evolved.append(half)
        halves = torch.stack(evolved).view(maps.shape)
        joint = (halves * maps).view(time, rows, memory, self.outcomes, memory).sum((2, 4))
        return joint.reshape(*amplitudes.shape[:3], self.outcomes), now[None] if alone else now

    def _run_noisy(self, amplitudes: Tensor, rho: Tensor) -> tuple[Tensor, Tensor]:
        """Run as `_run`, with the channel on every qubit after every layer."""
        _, batch, rings, outcomes = amplitudes.shape
        side, tables = outcomes * self.memory, self.tables()
        rho = rho.view(batch, rings, self.memory, self.memory)
        measured = []
        for step in amplitudes:
            whole = torch.einsum("bra,brc,brij->braicj", step, step, rho).reshape(batch, rings, side, side)
            for layer in tables["layers"].unbind(1):
                whole = self._noisy(layer @ whole @ layer.mT, tables["superoperator"])
            measured.append(
                torch.diagonal(whole, dim1=-2, dim2=-1).reshape(batch, rings, outcomes, self.memory).sum(-1)
            )
            blocks = whole.view(batch, rings, outcomes, self.memory, outcomes, self.memory)
            rho = torch.diagonal(blocks, dim1=2, dim2=4).sum(-1)
        return torch.stack(measured), rho.reshape(-1, self.memory, self.memory)

    def _noisy(self, rho: Tensor, superoperator: Tensor) -> Tensor:
        """Apply the one-qubit channel to every qubit; rho has shape (..., side, side)."""
        shape = rho.shape
        for qubit in range(self.n_qubits):
            left, right = 2**qubit, 2 ** (self.n_qubits - 1 - qubit)
            split = rho.reshape(-1, left, 2, right * left, 2, right)
            rho = torch.einsum("abij,zliRjr->zlaRbr", superoperator, split)
        return rho.reshape(shape)

    def _drawn(self, probabilities: Tensor) -> Tensor:
        """Return the probabilities themselves, or shares of `shots` draws from them."""
        if self.shots is None:
            return probabilities
        flat = probabilities.reshape(-1, self.outcomes).clamp_min(0.0)
        drawn = multinomial(flat, self.shots, self.generator)
        counts = torch.zeros_like(flat).scatter_add_(1, drawn, torch.ones_like(drawn, dtype=flat.dtype))
        return (counts / self.shots).reshape(probabilities.shape)


def ring_angles(ring: PersistentRing) -> Float[Tensor, "layers weights"]:
    """Return the ring's fixed angles in radians."""
    generator = np.random.default_rng(ring.seed)
    n_weights = ring.n_qubits * (ring.n_qubits + 1) // 2
    return torch.from_numpy(generator.uniform(-ring.weight_scale, ring.weight_scale, (ring.n_layers, n_weights)))


def layer_matrices(ring: PersistentRing) -> list[Float[Tensor, "side side"]]:
    """Compute the orthogonal matrix of every layer, from the native simulator run on all basis states at once."""
    n_qubits, side = ring.n_qubits, 2**ring.n_qubits
    matrices = []
    for layer, angles in enumerate(ring_angles(ring)):
        circuit = Circuit(n_qubits).prepare_slots([data(k) for k in range(side)])
        circuit.compose(ring_circuits.persistent_layer(n_qubits, layer))
        # a table of the ring, whatever runs it: only the built-in simulator gives state vectors
        columns = Native().state(circuit, torch.eye(side, dtype=torch.float64), angles)
        matrices.append(columns.real.mT.contiguous())
    return matrices


def real_superoperator(channel: Channel) -> Float[Tensor, "2 2 2 2"]:
    """Compute S of rho'_ab = sum_ij S_abij rho_ij of a one-qubit channel that keeps real density matrices real.

    Raises:
        ValueError: a channel on more qubits, or one that makes them complex.
    """
    kraus = channel.kraus.values
    if kraus.shape[1:] != (2, 2):
        raise ValueError(f"Argument `noise` must be a channel on one qubit, but acts on {channel.n_qubits}.")
    values = np.einsum("kai,kbj->abij", kraus, kraus.conj())
    symmetric = (values + values.transpose(0, 1, 3, 2)) / 2
    if np.abs(symmetric.imag).max() > MAX_IMAGINARY:
        raise ValueError(
            "Argument `noise` must keep real density matrices real, as damping and bit flips do, but this "
            "one does not. Use Circuit.noise in circuits.reservoir.persistent_series with a backend."
        )
    return torch.from_numpy(values.real.copy())


def parity_signs(n_measured: int) -> Float[Tensor, "outcomes features"]:
    """Return the value of every Z and Z Z in every outcome, in the order of `circuits.reservoir.correlators`."""
    outcomes = np.arange(2**n_measured)
    single = [1.0 - 2.0 * ((outcomes >> (n_measured - 1 - qubit)) & 1) for qubit in range(n_measured)]
    pairs = [single[i] * single[j] for i, j in combinations(range(n_measured), 2)]
    return torch.from_numpy(np.stack([*single, *pairs], 1))


def _kraus_maps(layers: Tensor, outcomes: int) -> Tensor:
    """Compute K_ba by input amplitude a: (rings, outcomes, memory * outcomes * memory), [a, (memory', b, memory)]."""
    rings, _, side, _ = layers.shape
    memory = side // outcomes
    whole = layers[:, 0]
    for layer in layers.unbind(1)[1:]:
        whole = layer @ whole
    split = whole.reshape(rings, outcomes, memory, outcomes, memory)  # outcome, memory'; input, memory
    return split.permute(0, 3, 2, 1, 4).reshape(rings, outcomes, -1).contiguous()


def _confusion(readout_error: tuple[float, float] | None, n_measured: int) -> Tensor:
    """Compute the probability of reading the column when the row is true, for outcomes of all measured qubits."""
    up, down = readout_error or (0.0, 0.0)
    one = torch.tensor([[1.0 - up, up], [down, 1.0 - down]], dtype=torch.float64)
    result = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(n_measured):
        result = torch.kron(result, one)
    return result
