"""The base of backends that only give values: calls become rows of angles for one circuit.

A forward pass is one job and a backward pass another one, whatever the batch and the number of angles.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit, Observable
from qml import checks
from qml.backends import inputs
from qml.backends.front import CheckedBackend
from qml.backends.protocol import Capabilities, Samples
from qml.backends.shift import sampled
from qml.backends.shift.deferred import defer
from qml.backends.shift.deviations import DeviationMemory, Deviations
from qml.backends.shift.evaluation import Evaluation, Means, Part, as_arrays
from qml.backends.shift.expanded import expand
from qml.backends.shift.packing import Packing
from qml.backends.shift.post_selection import draw_passing
from qml.backends.shift.pullback import Values
from qml.backends.shift.spsa import SPSA

ONE = Observable(((1.0, ()),))
MIN_SUCCESS_PROBABILITY = 1e-12  # a smaller one is rounding


@dataclass(frozen=True, kw_only=True, eq=False)
class RowBackend(CheckedBackend):
    """The base class of backends that run rows of angles; gradients come from further rows.

    Args:
        shots: runs of each circuit and measured basis; None for exact values.
        gradient: `"shift"`, exact (in expectation, with shots); or `SPSA(...)`, two rows a sample and direction.
        split: `"equal"` shots for every circuit, or `"variance"`: the same number together, divided in proportion to
            coefficient times standard deviation, as earlier passes measured it, see `qml.backends.shift.allocation`.
        pack: number of rows that run side by side on one wide register.
    """

    shots: int | None = None
    gradient: Literal["shift"] | SPSA = "shift"
    split: Literal["equal", "variance"] = "equal"
    pack: int = 1

    def __post_init__(self) -> None:
        if self.shots is not None:
            object.__setattr__(self, "shots", checks.as_shots(self.shots))
        if self.gradient != "shift" and not isinstance(self.gradient, SPSA):
            raise ValueError(f'Argument `gradient` must be "shift" or an SPSA object, but is {self.gradient!r}.')
        checks.require_choice(self.split, "split", ("equal", "variance"))
        if self.split == "variance" and self.shots is None:
            raise ValueError('Argument `split` must be "equal" where there are no shots to split. Give `shots`.')
        object.__setattr__(self, "pack", checks.as_int(self.pack, "pack", 1))

    def __deepcopy__(self, memo: dict[int, object]) -> "RowBackend":
        """Return the backend itself: options do not change, and devices are not copied."""
        return self

    # --- the methods of a subclass ------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> Capabilities:
        """Return first derivatives of everything that it runs."""
        return Capabilities(
            exact=self.shots is None, shots=True, noise=self._channels, mid_circuit=True, derivative_order=1
        )

    @property
    @abstractmethod
    def _channels(self) -> bool:
        """Tell whether circuits may hold noise channels."""

    @abstractmethod
    def _means_of_rows(self, circuit: Circuit, parts: Sequence[Part], observables: Sequence[Observable]) -> list[Means]:
        """Return expectation values (rows, observables) of each part, in one job.

        The circuit has data slots only.
        """

    @abstractmethod
    def _bits_of_rows(
        self, circuit: Circuit, parts: Sequence[Part], generator: torch.Generator | None
    ) -> list[np.ndarray]:
        """Return classical bits (rows, shots, n_bits), uint8, of each part, in one job.

        The circuit has data slots only, and measures all that is read.
        """

    def _estimates(self, circuit: Circuit) -> bool:
        """Tell whether expectation values of this circuit are estimated by the device, not computed from samples."""
        return self.shots is None

    # --- the methods of `CheckedBackend` ------------------------------------------------------------------------------

    def _expectation(
        self, circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...]
    ) -> Tensor:
        values, success = self._values(circuit, data, weights, observables)
        return values if success is None else (values / success[..., None]).sum(1)

    def _probabilities(self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: tuple[int, ...]) -> Tensor:
        """Compute the Walsh transform of the expectation values of all Z strings."""
        side = 2 ** len(qubits)
        words = np.arange(side)
        strings = tuple(
            Observable(((1.0, tuple((qubit, "Z") for k, qubit in enumerate(qubits[::-1]) if word >> k & 1)),))
            for word in range(side)
        )
        signs = 1.0 - 2.0 * (np.bitwise_count(words[:, None] & words[None, :]) % 2)
        return self._expectation(circuit, data, weights, strings) @ torch.from_numpy(signs / side).to(data)

    def _sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        qubits: tuple[int, ...],
        generator: torch.Generator | None,
    ) -> Samples:
        self._require_runnable(circuit)
        expanded = expand(circuit)
        measured, kept = sampled.with_bits(expanded.circuit)
        for qubit in qubits:
            measured.measure(qubit)
        pack = Packing(measured, self.pack)
        rows, _ = expanded.rows(expanded.points(*as_arrays(data, weights)))
        bits = draw_passing(lambda part, n_shots: self._bits(pack, [(part, n_shots)], generator)[0], kept, rows, shots)
        read = torch.from_numpy(bits.astype(np.int8)).to(data.device)
        return Samples(read[..., read.shape[2] - len(qubits) :], read[..., : circuit.n_bits])

    def success_probability(
        self, circuit: Circuit, data: Float[Tensor, "batch inputs"], weights: Float[Tensor, " weights"]
    ) -> Float[Tensor, " batch"]:
        """Compute the probability that every post-selection succeeds, once differentiable; 1 where there is none."""
        inputs.require_inputs(circuit, data, weights)
        if data.shape[0] == 0 or not _post_selects(circuit):
            return inputs.empty_answer(data, weights, 1)[:, 0] + 1.0
        _, success = self._values(circuit, data, weights, (ONE,))
        return torch.ones_like(data[:, 0]) if success is None else success.mean(1)

    # --- one evaluation -----------------------------------------------------------------------------------------------

    def _values(
        self, circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...]
    ) -> tuple[Tensor, Tensor | None]:
        """Compute values (batch, observables) and None; under post-selection, numerators and probabilities of success.

        Numerators are (batch, bases, observables), probabilities of success (batch, bases).
        """
        self._require_runnable(circuit)
        evaluation = (
            self._estimated(circuit, observables) if self._estimates(circuit) else self._sampled(circuit, observables)
        )
        values = Values.apply(evaluation, self.gradient, data, weights)
        if not _post_selects(circuit):
            return values, None
        split = values.reshape(len(data), -1, len(observables) + 1)
        success = split[..., -1]
        if bool((success.detach() <= MIN_SUCCESS_PROBABILITY).any()):
            raise ValueError(
                "Post-selection must succeed sometimes, but kept nothing of a sample. Take more shots, or check the "
                "circuit with success_probability."
            )
        return split[..., :-1], success

    def _estimated(self, circuit: Circuit, observables: tuple[Observable, ...]) -> Evaluation:
        deferred = defer(circuit, channels=self._channels)
        columns = [deferred.moved(item) for item in observables]
        if deferred.selected:
            columns = [item @ deferred.projector for item in (*columns, ONE)]
        expanded = expand(deferred.circuit)
        pack = Packing(expanded.circuit, self.pack)

        def run(parts: Sequence[Part]) -> list[Means]:
            packed = self._means_of_rows(pack.circuit, pack.parts(parts), pack.observables(columns))
            return [pack.means(means, rows) for means, (rows, _) in zip(packed, parts, strict=True)]

        return Evaluation(expanded, run, self.shots, self._deviations(circuit, tuple(columns), 1))

    def _sampled(self, circuit: Circuit, observables: tuple[Observable, ...]) -> Evaluation:
        expanded = expand(circuit)
        columns = (*observables, ONE) if _post_selects(circuit) else observables
        measured = sampled.measure_observables(expanded.circuit, columns)
        pack = Packing(measured.circuit, self.pack)

        bases, equal = range(measured.n_bases), self.split == "equal"

        def run(parts: Sequence[Part]) -> list[Means]:
            by_basis = [
                (measured.rows(rows, basis), count)
                for rows, shots in parts
                for basis, count in zip(bases, measured.shots(shots or 1, equal=equal), strict=True)
            ]
            bits = iter(self._bits(pack, by_basis, None))
            return [measured.means([next(bits) for _ in bases]) for _ in parts]

        n_copies = measured.n_bases if measured.kept else 1
        return Evaluation(expanded, run, self.shots, self._deviations(circuit, columns, n_copies))

    def _deviations(self, circuit: Circuit, observables: tuple[Observable, ...], n_copies: int) -> Deviations | None:
        """Return the deviations of this circuit's columns, where shots are split by them."""
        return None if self.split == "equal" else self._memory.of(circuit, observables, n_copies)

    @cached_property
    def _memory(self) -> DeviationMemory:
        return DeviationMemory()

    def _bits(self, pack: Packing, parts: Sequence[Part], generator: torch.Generator | None) -> list[np.ndarray]:
        if pack.circuit.n_bits == 0:  # all observables are constants
            return [np.zeros((len(rows), shots or 1, 0), np.uint8) for rows, shots in parts]
        packed = self._bits_of_rows(pack.circuit, pack.parts(parts), generator)
        return [pack.bits(bits, rows) for bits, (rows, _) in zip(packed, parts, strict=True)]

    def _require_runnable(self, circuit: Circuit) -> None:
        if not self._channels and any(operation.is_noise for operation in circuit.operations):
            raise ValueError(
                f"Backend {self.name} must run circuits without noise channels (capability `noise`), but this one has "
                "some. Use Native() or Aer()."
            )


def _post_selects(circuit: Circuit) -> bool:
    return any(operation.gate.name == "post_select" for operation in circuit.operations)
