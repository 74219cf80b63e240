"""Rings with fed-back measurements, run through a backend."""

import torch
from torch import Tensor

from circuits import reservoir as ring_circuits
from circuits.gates import Channel
from qml.backends import Backend
from qml.nn.reservoirs._feedback_states import MAX_QUBITS, factor_places, outcome_probabilities, pairs_table
from qml.nn.reservoirs._ring_group import RingGroup
from qml.nn.reservoirs.persistent import parity_signs
from qml.nn.reservoirs.rings import FeedbackRing

INITIAL_Z = 0.5  # <Z> of every qubit before the first step (arXiv:2505.22837)


class FeedbackReservoir(RingGroup):
    """A group of feedback rings of one size, whose steps are one call of the backend for all rings and series.

    A backend with a closed form takes a shorter way where there is no noise, some matrix products a step.

    The state holds the measured <Z> of every ring and qubit.
    """

    def __init__(
        self,
        rings: tuple[FeedbackRing, ...],
        n_inputs: int,
        *,
        backend: Backend,
        shots: int | None,
        noise: Channel | None,
        generator: torch.Generator | None,
        wide: bool,
        dtype: torch.dtype,
    ) -> None:
        self.n_qubits = rings[0].n_qubits
        one = ring_circuits.feedback_ring(self.n_qubits, n_inputs, noise=noise)
        n_features = self.n_qubits * (self.n_qubits + 1) // 2
        super().__init__(n_inputs, len(rings) * n_features, len(rings) * self.n_qubits, dtype)
        self.rings, self.backend, self.shots, self.generator, self.wide = rings, backend, shots, generator, wide
        copies = len(rings) if wide else 1
        self.circuit = ring_circuits.side_by_side([one] * copies)
        starts = [copy * self.n_qubits for copy in range(copies)]
        self.observables = [o for s in starts for o in ring_circuits.correlators(self.n_qubits, 2, first=s)]
        self.has_noise = noise is not None
        self.tables()

    def cpu_tables(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """Compute the scales of all rings, and the tables of the short way."""
        scales = [(ring.input_scale * ring.feedback_scale, ring.feedback_scale) for ring in self.rings]
        tables = {"scales": torch.tensor(scales, dtype=dtype)}
        if self.n_qubits > MAX_QUBITS:
            return tables
        left, right = factor_places(self.n_qubits)
        signs = parity_signs(self.n_qubits).to(dtype)
        return tables | {"signs": signs, "pairs": pairs_table(self.n_qubits), "left": left, "right": right}

    @property
    def is_short(self) -> bool:
        """Tell whether steps run as matrix products instead of circuits on the backend."""
        exact = self.backend.capabilities.closed_form and self.shots is None and not self.has_noise
        return exact and self.n_qubits <= MAX_QUBITS

    def initial_state(self, batch: int, like: Tensor) -> Tensor:
        """Return <Z> = 0.5 everywhere."""
        return self.tables()["scales"].new_full((batch, self.state_size), INITIAL_Z)

    def advance(self, inputs: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Run the rings along series; see `Reservoir`."""
        batch, time, _ = inputs.shape
        n, rings, tables = self.n_qubits, len(self.rings), self.tables()
        scales, is_short = tables["scales"], self.is_short
        input_angles = scales[:, :1] * inputs.to(scales.dtype)[:, :, None]  # (batch, time, rings, inputs)
        state, weights, features = state.to(scales.dtype), scales.new_zeros(0), []
        places = (tables["left"].unbind(), tables["right"].unbind()) if is_short else ((), ())
        for step in range(time):
            measured = state.reshape(batch, rings, n).clamp(-1.0, 1.0)  # rounding, and shots, may leave the interval
            feedback = scales[:, 1:] * torch.arccos(measured)
            if is_short:
                first = torch.cat([input_angles[:, step], feedback[:, :, : n - self.n_inputs]], -1).view(-1, n)
                values = outcome_probabilities(first, feedback.view(-1, n), tables["pairs"], places) @ tables["signs"]
            else:
                angles = torch.cat([input_angles[:, step], feedback], -1)
                values = self._measure(angles.reshape(batch if self.wide else batch * rings, -1), weights)
            values = values.reshape(batch, rings, -1)
            state = values[:, :, :n].reshape(batch, rings * n)
            features.append(values.flatten(1))
        return torch.stack(features, 1), state

    def _measure(self, rows: Tensor, weights: Tensor) -> Tensor:
        if self.shots is None:
            return self.backend.expectation(self.circuit, rows, weights, self.observables)
        samples = self.backend.sample(self.circuit, rows, weights, self.shots, generator=self.generator)
        signs = 1.0 - 2.0 * samples.qubits.to(rows.dtype)  # (rows, shots, qubits)
        values = []
        for start in range(0, self.circuit.n_qubits, self.n_qubits):
            part = signs[:, :, start : start + self.n_qubits]
            pairs = part.mT @ part / self.shots
            row, column = torch.triu_indices(self.n_qubits, self.n_qubits, 1, device=rows.device)
            values += [part.mean(1), pairs[:, row, column]]
        return torch.cat(values, 1)
