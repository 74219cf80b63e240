"""What every backend that is not our own simulator shares: calls of `Backend` become rows of angles for one circuit.

A forward pass is one job and a backward pass another one, whatever the batch and the number of angles.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit, Observable, Operation
from qml import checks
from qml.backends import _checks, _uncompiled
from qml.backends.protocol import Capabilities, Samples
from qml.backends.shift import packing, pullback, sampled
from qml.backends.shift.deferred import defer
from qml.backends.shift.expanded import expand
from qml.backends.shift.pullback import SPSA, Evaluation, Means, Part, Spread

MOST_SPREADS = 64  # circuits whose deviations are remembered
MAX_ROUNDS = 20  # of drawing shots until enough have passed post-selection
MOST_SHOTS = 100  # a round draws at most so many times what is asked for
ONE = Observable(((1.0, ()),))
LEAST_KEPT = 1e-12  # smaller probabilities of success are rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class RowBackend(ABC):
    """Base of the backends that run rows of angles.

    Args:
        shots: runs of each circuit and measured basis; None for exact values.
        gradient: `"shift"`, exact (in expectation, with shots); or `SPSA(...)`, two rows a sample and direction.
        split: `"equal"` shots for every circuit, or `"variance"`: the same number together, divided in proportion to
            coefficient times standard deviation, as earlier passes measured it, see `qml.backends.shift.pullback`.
        pack: how many rows run side by side on one wide register.
    """

    shots: int | None = None
    gradient: Literal["shift"] | SPSA = "shift"
    split: Literal["equal", "variance"] = "equal"
    pack: int = 1

    def __post_init__(self) -> None:
        if self.shots is not None:
            object.__setattr__(self, "shots", checks.as_int(self.shots, "shots", 1))
        if self.gradient != "shift" and not isinstance(self.gradient, SPSA):
            raise ValueError(f'Argument `gradient` must be "shift" or an SPSA object, but is {self.gradient!r}.')
        checks.require_choice(self.split, "split", ("equal", "variance"))
        if self.split == "variance" and self.shots is None:
            raise ValueError('Argument `split` must be "equal" where there are no shots to split. Give `shots`.')
        object.__setattr__(self, "pack", checks.as_int(self.pack, "pack", 1))

    def __deepcopy__(self, memo: dict[int, object]) -> "RowBackend":
        """Itself: options do not change, and devices are no data."""
        return self

    # --- what a backend brings ----------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def name(self) -> str:
        """The backend's name."""

    @property
    def capabilities(self) -> Capabilities:
        """First derivatives of everything that it runs."""
        return Capabilities(
            exact=self.shots is None, shots=True, noise=self._channels, mid_circuit=True, derivative_order=1
        )

    @property
    @abstractmethod
    def _channels(self) -> bool:
        """Whether circuits may hold noise channels."""

    @abstractmethod
    def _estimate(self, circuit: Circuit, parts: Sequence[Part], observables: Sequence[Observable]) -> list[Means]:
        """Expectation values (rows, observables) of each part, in one job; the circuit has data slots only."""

    @abstractmethod
    def _sample(self, circuit: Circuit, parts: Sequence[Part], generator: torch.Generator | None) -> list[np.ndarray]:
        """Classical bits (rows, shots, n_bits), uint8, of each part, in one job; the circuit measures what is read."""

    def _estimates(self, circuit: Circuit) -> bool:
        """Whether expectation values of this circuit are asked for as such, and not read off samples."""
        return self.shots is None

    # --- the protocol -------------------------------------------------------------------------------------------------

    def expectation(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        observables: Sequence[Observable],
    ) -> Float[Tensor, "batch observables"]:
        """Expectation values, once differentiable; see `Backend.expectation`."""
        if torch.compiler.is_compiling():
            return _uncompiled.call(self, "expectation", circuit, data, weights, observables)
        chosen = _checks.as_observables(observables, circuit.n_qubits)
        _checks.require_inputs(circuit, data, weights)
        if not chosen or data.shape[0] == 0:
            return _checks.empty_answer(data, weights, len(chosen))
        values, success = self._values(circuit, data, weights, chosen)
        return values if success is None else (values / success[..., None]).sum(1)

    def probabilities(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        qubits: Sequence[int] | None = None,
    ) -> Float[Tensor, "batch outcomes"]:
        """Probabilities, once differentiable: the Walsh transform of all Z strings; see `Backend.probabilities`."""
        if torch.compiler.is_compiling():
            return _uncompiled.call(self, "probabilities", circuit, data, weights, qubits)
        chosen = _checks.as_qubits(qubits, circuit.n_qubits)
        side = 2 ** len(chosen)
        words = np.arange(side)
        strings = [
            Observable(((1.0, tuple((qubit, "Z") for k, qubit in enumerate(chosen[::-1]) if word >> k & 1)),))
            for word in range(side)
        ]
        signs = 1.0 - 2.0 * (np.bitwise_count(words[:, None] & words[None, :]) % 2)
        return self.expectation(circuit, data, weights, strings) @ torch.from_numpy(signs / side).to(data)

    def success_probability(
        self, circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
    ) -> Float[Tensor, " batch"]:
        """The probability that every post-selection succeeds, once differentiable; 1 where there is none."""
        _checks.require_inputs(circuit, data, weights)
        if data.shape[0] == 0 or not _post_selects(circuit):
            return _checks.empty_answer(data, weights, 1)[:, 0] + 1.0
        _, success = self._values(circuit, data, weights, (ONE,))
        return torch.ones_like(data[:, 0]) if success is None else success.mean(1)

    def sample(
        self,
        circuit: Circuit,
        data: Float[Tensor, "batch inputs"],
        weights: Float[Tensor, " weights"],
        shots: int,
        *,
        qubits: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Samples:
        """Outcomes of `shots` runs that pass post-selection; see `Backend.sample`."""
        chosen = _checks.as_qubits(qubits, circuit.n_qubits)
        _checks.require_inputs(circuit, data, weights)
        _checks.require_shots(shots)
        self._require_runnable(circuit)
        expanded = expand(circuit)
        measured, kept = sampled.with_bits(expanded.circuit)
        for qubit in chosen:
            measured.measure(qubit)
        rows, _ = expanded.rows(expanded.points(*_arrays(data, weights)))
        bits = self._kept_bits(measured, kept, rows, shots, generator)
        read = torch.from_numpy(bits.astype(np.int8)).to(data.device)
        return Samples(read[..., read.shape[2] - len(chosen) :], read[..., : circuit.n_bits])

    # --- one evaluation -----------------------------------------------------------------------------------------------

    def _values(
        self, circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Values (batch, observables); or numerators (batch, bases, observables) and successes (batch, bases)."""
        self._require_runnable(circuit)
        evaluation = (
            self._estimated(circuit, observables) if self._estimates(circuit) else self._sampled(circuit, observables)
        )
        values = pullback.Values.apply(evaluation, data, weights)
        if not _post_selects(circuit):
            return values, None
        split = values.reshape(len(data), -1, len(observables) + 1)
        success = split[..., -1]
        if bool((success.detach() <= LEAST_KEPT).any()):
            raise ValueError(
                "Post-selection must succeed sometimes, but kept nothing of a sample. Take more shots, or check the "
                "circuit with success_probability."
            )
        return split[..., :-1], success

    def _estimated(self, circuit: Circuit, observables: tuple[Observable, ...]) -> Evaluation:
        deferred = defer(circuit, channels=self._channels)
        wanted = [deferred.moved(item) for item in observables]
        if deferred.selected:
            wanted = [item @ deferred.projector for item in (*wanted, ONE)]
        expanded = expand(deferred.circuit)
        pack = packing.Packing(expanded.circuit, self.pack)

        def run(parts: Sequence[Part]) -> list[Means]:
            found = self._estimate(pack.circuit, pack.parts(parts), pack.observables(wanted))
            return [pack.means(means, rows) for means, (rows, _) in zip(found, parts, strict=True)]

        return Evaluation(expanded, run, self.shots, self.gradient, self._spread(circuit, tuple(wanted), 1))

    def _sampled(self, circuit: Circuit, observables: tuple[Observable, ...]) -> Evaluation:
        expanded = expand(circuit)
        wanted = (*observables, ONE) if _post_selects(circuit) else observables
        measured = sampled.measure_observables(expanded.circuit, wanted)
        pack = packing.Packing(measured.circuit, self.pack)

        bases, equal = range(measured.n_bases), self.split == "equal"

        def run(parts: Sequence[Part]) -> list[Means]:
            by_basis = [
                (measured.rows(rows, basis), count)
                for rows, shots in parts
                for basis, count in zip(bases, measured.shots(shots or 1, equal=equal), strict=True)
            ]
            found = iter(self._bits(pack, by_basis, None))
            return [measured.means([next(found) for _ in bases]) for _ in parts]

        copies = measured.n_bases if measured.kept else 1
        return Evaluation(expanded, run, self.shots, self.gradient, self._spread(circuit, wanted, copies))

    def _spread(self, circuit: Circuit, observables: tuple[Observable, ...], copies: int) -> Spread | None:
        """What is known of the deviations of this circuit's columns."""
        if self.split == "equal":
            return None
        key = (circuit.n_qubits, circuit.operations, observables)
        known = self._spreads
        if key not in known:
            if len(known) == MOST_SPREADS:
                del known[next(iter(known))]
            norms = [sum(abs(coefficient) for coefficient, _ in item.terms) for item in observables]
            known[key] = Spread(np.array(norms * copies))
        return known[key]

    @cached_property
    def _spreads(self) -> dict[tuple[int, tuple[Operation, ...], tuple[Observable, ...]], Spread]:
        return {}

    def _bits(
        self, pack: packing.Packing, parts: Sequence[Part], generator: torch.Generator | None
    ) -> list[np.ndarray]:
        if pack.circuit.n_bits == 0:  # only constants are read
            return [np.zeros((len(rows), shots or 1, 0), np.uint8) for rows, shots in parts]
        found = self._sample(pack.circuit, pack.parts(parts), generator)
        return [pack.bits(bits, rows) for bits, (rows, _) in zip(found, parts, strict=True)]

    def _kept_bits(
        self,
        circuit: Circuit,
        kept: tuple[tuple[int, int], ...],
        rows: np.ndarray,
        shots: int,
        generator: torch.Generator | None,
    ) -> np.ndarray:
        """Bits (rows, shots, n_bits) of runs that pass post-selection, as many rounds as it takes."""
        pack = packing.Packing(circuit, self.pack)
        found: list[list[np.ndarray]] = [[] for _ in rows]
        open_rows, wanted = list(range(len(rows))), shots
        for _ in range(MAX_ROUNDS if len(rows) else 0):
            (bits,) = self._bits(pack, [(rows[open_rows], wanted)], generator)
            for row, outcome in zip(open_rows, bits, strict=True):
                good = np.all([outcome[:, bit] == value for bit, value in kept], axis=0) if kept else slice(None)
                found[row].append(outcome[good])
            counts = {row: sum(map(len, found[row])) for row in open_rows}
            open_rows = [row for row in open_rows if counts[row] < shots]
            if not open_rows:
                break
            rarest = max(1, min(counts[row] for row in open_rows))
            wanted = min(MOST_SHOTS * shots, -(-shots * wanted // rarest))  # so that most rows are complete next time
        else:
            if len(rows):
                raise ValueError(
                    f"Post-selection must pass {shots} shots, but passed fewer in {MAX_ROUNDS} rounds. Ask "
                    "for fewer shots, or check the circuit with success_probability."
                )
        return np.array([np.concatenate(outcomes)[:shots] for outcomes in found], np.uint8).reshape(
            len(rows), shots, circuit.n_bits
        )

    def _require_runnable(self, circuit: Circuit) -> None:
        if not self._channels and any(operation.is_noise for operation in circuit.operations):
            raise ValueError(
                f"Backend {self.name} must run circuits without noise channels (capability `noise`), but this one has "
                "some. Use Native() or Aer()."
            )


def _post_selects(circuit: Circuit) -> bool:
    return any(operation.gate.name == "post_select" for operation in circuit.operations)


def _arrays(data: Tensor, weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    return data.detach().cpu().double().numpy(), weights.detach().cpu().double().numpy()
