"""The sweep that moves a table of strings backwards through a circuit, and writes down what happens as steps."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from circuits import Operation
from qml.simulator.light_cone import action_on
from qml.simulator.pauli.options import PauliPropagation
from qml.simulator.pauli.rules import ROUNDING, RotationRule, TransferRule, rules_of
from qml.simulator.pauli.start import Angles, Block, Start, split_start
from qml.simulator.pauli.steps import Keep, PauliStep, Rotation, Transfer
from qml.simulator.pauli.table import PauliTable

SPREAD_BY_SIZE = 4.0  # standard deviations for strings that a coefficient drops (measured, see docs/simulator.md)
SPREAD_BY_RANK = 1.5  # for strings that are dropped because they are heavy or have many factors
BYTES_AN_ENTRY = 25  # of a step: two indices, a sign, and the two numbers that a pullback keeps
LIKEST_SHARE = 0.7  # of the strings that are kept, which are taken to be like those that are dropped


@dataclass(frozen=True, eq=False)
class Propagation:
    """The fixed structure of a propagation.

    Attributes:
        steps: in the order backwards in time.
        start: how the last table is read.
        angles: of steps and start.
        n_strings: of the largest table.
    """

    steps: tuple[PauliStep, ...]
    start: Start
    angles: Angles
    n_strings: int


@dataclass(frozen=True, eq=False)
class Numbers:
    """Values at which coefficients are followed while strings are moved.

    Attributes:
        data, weights: values of the slots.
        coefficients: (strings, observables) of the first table.
    """

    data: np.ndarray
    weights: np.ndarray
    coefficients: np.ndarray


def propagate(
    operations: Sequence[Operation],
    strings: Sequence[Mapping[int, str]],
    n_qubits: int,
    options: PauliPropagation,
    numbers: Numbers | None = None,
    max_bytes: float | int = math.inf,
) -> Propagation:
    """Move distinct strings backwards through operations.

    Raises:
        ValueError: more strings than the options allow, or steps that need more than `max_bytes`.
    """
    blocks, others = split_start(operations)
    sweep = _Sweep(PauliTable.of(strings, n_qubits), options, numbers, max_bytes)
    dead_after = _dead_after(others, blocks, n_qubits)
    sweep.drop_dead(dead_after.get(-1, ()))
    for back, operation in enumerate(reversed(others)):
        for rule in reversed(rules_of(operation)):
            if isinstance(rule, RotationRule):
                sweep.rotate(rule)
            else:
                sweep.transfer(rule)
        sweep.drop_dead(dead_after.get(len(others) - 1 - back, ()))
    return sweep.finish(blocks)


def _dead_after(operations: Sequence[Operation], blocks: Sequence[Block], n_qubits: int) -> dict[int, list[int]]:
    """Qubits on which X and Y have the value 0 before an operation, by its number; -1 for those of no operation.

    Whatever is still to come keeps a string with X or Y there so, and on the state of the start that is 0.
    """
    blocked = {
        qubit
        for block in blocks
        for place, qubit in enumerate(block.qubits)
        if len(block.qubits) > 1 or block.nonzero[[1, 2]].any()
    }
    first: dict[int, int] = {}
    for number, operation in enumerate(operations):
        keeps = action_on(operation).keeps_basis
        for qubit, kept in zip(operation.all_qubits, keeps, strict=True):
            if not kept:
                first.setdefault(qubit, number)
    result: dict[int, list[int]] = {}
    for qubit in sorted(set(range(n_qubits)) - blocked):
        result.setdefault(first.get(qubit, -1), []).append(qubit)
    return result


class _Sweep:
    """A table on its way. Coefficients are those of `sign` times a string."""

    def __init__(
        self, table: PauliTable, options: PauliPropagation, numbers: Numbers | None, max_bytes: float | int
    ) -> None:
        self._n_bytes, self._max_bytes = 0, max_bytes
        self._table, self._options, self._numbers = table, options, numbers
        self._signs = np.ones(len(table), dtype=np.int8)
        self._sines, self._splits = (np.zeros(len(table), dtype=np.int32) for _ in range(2))
        self._coefficients = None if numbers is None else numbers.coefficients.copy()
        self._steps: list[PauliStep] = []
        self._angles = Angles()
        self._largest, self._weights_changed = len(table), True

    def rotate(self, rule: RotationRule) -> None:
        """Move through a rotation about one string."""
        axis = PauliTable.of([dict(rule.letters)], self._table.n_qubits)
        if rule.slot is None and abs(np.sin(2 * rule.factor)) < ROUNDING:
            self._turn(axis, rule.factor)
            return
        self._cut_weights()
        chosen = self._table.anticommuting(axis)
        limit = self._options.max_frequency
        if limit is not None and (self._splits[chosen] >= limit).any():
            kept = np.ones(len(self._table), dtype=bool)
            kept[chosen[self._splits[chosen] >= limit]] = False
            self._keep(kept, self._splits, None)
            chosen = self._table.anticommuting(axis)
        if len(chosen):
            self._split(axis, chosen, rule)
            self._prune()

    def _turn(self, axis: PauliTable, angle: float) -> None:
        """Move through a rotation by a multiple of pi / 2, in place."""
        chosen = self._table.anticommuting(axis)
        if abs(np.sin(angle)) < ROUNDING:
            self._signs[chosen] *= np.int8(np.rint(np.cos(angle)))
            return
        products, signs = self._table.take(chosen).times(axis)
        self._table.x[:, chosen], self._table.z[:, chosen] = products.x, products.z
        self._table.hashes[chosen] = products.hashes
        self._signs[chosen] *= signs * np.int8(round(np.sin(angle)))
        self._weights_changed = True

    def _split(self, axis: PauliTable, chosen: np.ndarray, rule: RotationRule) -> None:
        n_before = len(self._table)
        own = self._table.take(chosen)
        products, signs = own.times(axis)
        signs = signs * self._signs[chosen]
        places = products.places_in(own)
        is_old = places >= 0
        sines = self._sines[chosen] + 1
        splits = self._splits[chosen] + 1
        is_made = ~is_old & self._wanted(products, sines, chosen, rule)
        targets = np.where(is_old, chosen[places], -1)
        targets[is_made] = n_before + np.arange(is_made.sum())
        signs[is_old] *= self._signs[chosen[places[is_old]]]
        order = np.concatenate([np.flatnonzero(targets >= 0), np.flatnonzero(targets < 0)])
        sources, kept = chosen[order], order[: (targets >= 0).sum()]
        number = None if rule.slot is None else self._angles.number(rule.slot, rule.factor)
        constant = (float(np.cos(rule.factor)), float(np.sin(rule.factor)))
        step = Rotation(
            n_before,
            n_before + int(is_made.sum()),
            number,
            constant if number is None else (1.0, 0.0),
            _indices(sources),
            _indices(targets[kept]),
            torch.from_numpy(signs[order]),
            self._spread(),
        )
        self._steps.append(step)
        self._follow(rule, sources, targets[kept], signs[order], step.n_after)
        self._sines[chosen[is_old]] = np.minimum(self._sines[chosen[is_old]], sines[places[is_old]])
        self._splits[chosen] = np.where(is_old, np.minimum(splits, splits[places]), splits)
        self._table = self._table.joined(products.take(is_made))
        self._signs = np.concatenate([self._signs, np.ones(is_made.sum(), dtype=np.int8)])
        self._sines = np.concatenate([self._sines, sines[is_made]])
        self._splits = np.concatenate([self._splits, splits[is_made]])
        self._count(len(sources))

    def _wanted(self, products: PauliTable, sines: np.ndarray, chosen: np.ndarray, rule: RotationRule) -> np.ndarray:
        """Tell which new strings no rule drops."""
        options = self._options
        wanted = np.ones(len(products), dtype=bool)
        if options.max_weight is not None:
            wanted &= products.weights() <= options.max_weight
        if options.max_sines is not None:
            wanted &= sines <= options.max_sines
        if options.min_coefficient is not None and self._coefficients is not None:
            sizes = np.abs(self._coefficients[chosen]).max(1)
            wanted &= abs(np.sin(self._angle(rule))) * sizes >= options.min_coefficient
        return wanted

    def _spread(self) -> float | None:
        """The standard deviations to which the estimate of strings amounts that rotations would make."""
        if self._options.max_sines is not None:
            return None
        return SPREAD_BY_RANK if self._coefficients is None else SPREAD_BY_SIZE

    def _follow(
        self, rule: RotationRule, sources: np.ndarray, targets: np.ndarray, signs: np.ndarray, n_after: int
    ) -> None:
        if self._coefficients is None:
            return
        angle = self._angle(rule)
        own = self._coefficients[sources]
        self._coefficients[sources] = np.cos(angle) * own
        extra = np.zeros((n_after - len(self._coefficients), own.shape[1]))
        self._coefficients = np.concatenate([self._coefficients, extra])
        moved = len(targets)
        self._coefficients[targets] += np.sin(angle) * signs[:moved, None] * own[:moved]

    def _angle(self, rule: RotationRule | TransferRule, factor: float = 1.0) -> float:
        if self._numbers is None or rule.slot is None:
            return rule.factor if isinstance(rule, RotationRule) else 0.0
        values = self._numbers.data if rule.slot.kind == "data" else self._numbers.weights
        return float((rule.factor if isinstance(rule, RotationRule) else factor) * values[rule.slot.index])

    def transfer(self, rule: TransferRule) -> None:
        """Move through an operation that is given by its transfer matrix."""
        entries = rule.entries
        codes = self._table.codes(rule.qubits)
        if entries.is_signed_permutation:
            self._table = self._table.with_codes(rule.qubits, entries.columns[codes])
            self._signs *= entries.constant[codes].astype(np.int8)
            self._weights_changed = True
            return
        self._cut_weights()
        codes = self._table.codes(rule.qubits)
        counts = np.diff(entries.starts)[codes]
        if entries.is_diagonal and not counts.all():
            self._keep(counts > 0)
            codes, counts = self._table.codes(rule.qubits), np.ones(len(self._table), dtype=np.int64)
        if entries.is_diagonal and (entries.constant[entries.starts[codes]] == 1.0).all():
            return
        sources = np.repeat(np.arange(len(self._table)), counts)
        within = np.arange(len(sources)) - np.repeat(np.cumsum(counts) - counts, counts)
        chosen = entries.starts[codes[sources]] + within
        images = self._table.take(sources).with_codes(rule.qubits, entries.columns[chosen])
        first, targets = images.distinct()
        self._add_transfer(rule, sources, targets, chosen, first)
        splits = (counts > 1)[sources].astype(np.int32)
        moved = splits * (entries.columns[chosen] != codes[sources])
        self._sines = _least(self._sines[sources] + moved, targets, len(first))
        self._splits = _least(self._splits[sources] + splits, targets, len(first))
        self._table, self._signs = images.take(first), np.ones(len(first), dtype=np.int8)
        self._weights_changed = True
        self._count(len(sources))
        self._cut_weights()
        self._cut_counts()
        self._prune()

    def _add_transfer(
        self, rule: TransferRule, sources: np.ndarray, targets: np.ndarray, chosen: np.ndarray, first: np.ndarray
    ) -> None:
        entries, signs = rule.entries, self._signs[sources]
        terms, total = [], signs * entries.constant[chosen]
        for frequency, cosine, sine in entries.terms:
            if rule.slot is None:
                raise TypeError("A transfer matrix that varies must have a slot.")
            parts = signs * cosine[chosen], signs * sine[chosen]
            terms.append((self._angles.number(rule.slot, frequency), *map(torch.from_numpy, parts)))
            angle = self._angle(rule, frequency)
            if self._coefficients is not None:
                total = total + np.cos(angle) * parts[0] + np.sin(angle) * parts[1]
        constant = torch.from_numpy(signs * entries.constant[chosen])
        self._steps.append(
            Transfer(len(self._table), len(first), _indices(sources), _indices(targets), constant, tuple(terms))
        )
        if self._coefficients is not None:
            result = np.zeros((len(first), self._coefficients.shape[1]))
            np.add.at(result, targets, total[:, None] * self._coefficients[sources])
            self._coefficients = result

    def drop_dead(self, qubits: Sequence[int]) -> None:
        """Drop strings with X or Y on qubits where nothing can make it I or Z any more; their value is 0."""
        kept = np.ones(len(self._table), dtype=bool)
        for qubit in qubits:
            codes = self._table.codes((qubit,))
            kept &= (codes == 0) | (codes == 3)
        self._keep(kept)

    def finish(self, blocks: Sequence[Block]) -> Propagation:
        """Read the strings that are left."""
        self._cut_weights()
        kept = np.ones(len(self._table), dtype=bool)
        for block in blocks:
            kept &= block.nonzero[self._table.codes(block.qubits)]
        self._keep(kept)
        if (self._signs < 0).any():
            numbers = np.arange(len(self._table))
            signs = torch.from_numpy(self._signs.astype(float))
            self._steps.append(Transfer(len(signs), len(signs), _indices(numbers), _indices(numbers), signs, ()))
        return Propagation(tuple(self._steps), Start(blocks, self._table, self._angles), self._angles, self._largest)

    def _cut_weights(self) -> None:
        limit = self._options.max_weight
        if limit is not None and self._weights_changed:
            weights = self._table.weights()
            self._keep(weights <= limit, weights)
        self._weights_changed = False

    def _cut_counts(self) -> None:
        options = self._options
        if options.max_sines is not None:
            self._keep(self._sines <= options.max_sines, self._sines, None)
        if options.max_frequency is not None:
            self._keep(self._splits <= options.max_frequency, self._splits, None)

    def _prune(self) -> None:
        """Drop small coefficients."""
        cut = self._options.min_coefficient
        if cut is not None and self._coefficients is not None:
            sizes = np.abs(self._coefficients).max(1)
            self._keep(sizes >= cut, np.zeros(len(sizes)), SPREAD_BY_SIZE)

    def _keep(self, kept: np.ndarray, rank: np.ndarray | None = None, spread: float | None = SPREAD_BY_RANK) -> None:
        """Keep some strings. The others have a value of 0, or, with a rank, are dropped because theirs is high."""
        if kept.all():
            return
        dropped = likest = np.zeros(0, dtype=np.int64)
        if rank is not None:
            dropped, ranks = np.flatnonzero(~kept), rank[kept]
            if len(ranks):
                likest = np.flatnonzero(ranks >= np.quantile(ranks, 1.0 - LIKEST_SHARE))
        indices = _indices(np.flatnonzero(kept)), _indices(dropped), _indices(likest)
        self._steps.append(Keep(len(kept), indices[0], indices[1], indices[2], spread))
        self._table, self._signs = self._table.take(kept), self._signs[kept]
        self._sines, self._splits = self._sines[kept], self._splits[kept]
        if self._coefficients is not None:
            self._coefficients = self._coefficients[kept]

    def _count(self, n_entries: int) -> None:
        self._largest = max(self._largest, len(self._table))
        self._n_bytes += n_entries * BYTES_AN_ENTRY
        if self._n_bytes > self._max_bytes:
            raise ValueError(
                f"Pauli propagation must fit into memory, but its steps need more than the {self._max_bytes} bytes "
                "that are free. Use PauliPropagation(max_weight=...), max_sines or min_coefficient, which drop strings "
                "and report the error, or Native() where the light cone of the observable fits."
            )
        if len(self._table) > self._options.max_strings:
            raise ValueError(
                f"Pauli propagation must have at most {self._options.max_strings} strings (`max_strings`), but the "
                f"circuit makes {len(self._table)}. Use PauliPropagation(max_weight=...), max_sines or "
                "min_coefficient, which drop strings and report the error, a larger `max_strings`, or Native() where "
                "the light cone of the observable fits."
            )


def _indices(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values.astype(np.int32))


def _least(values: np.ndarray, targets: np.ndarray, n_targets: int) -> np.ndarray:
    """The least value of each target."""
    result = np.full(n_targets, np.iinfo(np.int32).max, dtype=np.int32)
    np.minimum.at(result, targets, values.astype(np.int32))
    return result
