"""The arrays of the instructions while they grow, block by block or level by level."""

from dataclasses import replace

import numpy as np

from qml.simulator.fuse import reorder_table
from qml.simulator.jit import instructions as columns
from qml.simulator.jit.gate_blocks import GateBlock, by_sample, rotation_of
from qml.simulator.jit.instructions import Instructions
from qml.simulator.jit.levels import LevelBlock, Phase, monomial, moved_phases, phases_of
from qml.simulator.linear import NEGLIGIBLE, Linear, Preparation
from qml.simulator.tables import matrix_stack

OPERATIONS = {  # an amplitude: counted, but of the last two, which wait for memory, as many as their time is worth
    columns.PERMUTATION: 2.0,
    columns.SINGLE: 14.0,
    columns.DIAGONAL: 6.0,
    columns.TURN: 11.0,
    columns.PHASED: 25.0,
    columns.ROTATION: 14.0,
}
ANGLE_OPERATIONS = 50.0  # a cosine and a sine, in the same measure
FACTOR_OPERATIONS = 20.0  # of a product of rotations that differs between samples
ROW_OPERATIONS = 400.0  # an instruction, beside its arithmetic, of each of 32 samples that share its loops
REAL_SHARE = 0.5  # of the operations, where states have no imaginary parts


class Writer:
    """Arrays while they grow."""

    def __init__(self, n_sites: int) -> None:
        self.n_sites = n_sites
        self.rows: list[list[int]] = []
        self.factors: list[tuple[int, int, int]] = []
        self.frequencies: list[float] = []
        self.constants: list[np.ndarray] = []
        self.index: list[np.ndarray] = []
        self.n_constants = self.n_index = self.n_entries = self.n_by_sample = 0
        self.starts: list[list[int]] = []
        self.is_real = True
        self.operations = 0.0
        self._known: dict[tuple, int] = {}

    @property
    def total(self) -> float:
        """Return the operations on the states of one sample."""
        return self.operations * (REAL_SHARE if self.is_real else 1.0)

    def write(self, block: GateBlock, *, is_first: bool) -> None:
        """Append the instruction of a block; `is_first` where all more significant sites are still in 0."""
        row = self._new_row()
        if block.kind == "permutation":
            self._write_permutation(block, row)
        elif block.kind == "rotation" and block.by_sample:
            self._write_rotation(block, row, is_first=is_first)
        else:
            self._write_matrix(block, row, is_first=is_first)

    def write_level(self, blocks: list[LevelBlock], *, is_first: bool) -> None:
        """Append the instructions of a level; `is_first` where no site was touched before."""
        turns = [block for block in blocks if block.is_turn]
        if is_first:  # the least significant site first, see `product_first`
            for block in sorted(turns, key=lambda block: -block.sites[0]):
                self._write_turn(block, is_first=not block.controls)
        else:
            free = [block for block in turns if not (block.controls or block.by_sample)]
            for block in turns:
                if block not in free:
                    self._write_turn(block)
            free.sort(key=lambda block: block.sites[0])
            rows = [self._write_turn(block) for block in free]
            for place in range(0, len(free) - 1, 2):
                rows[place][columns.KIND], rows[place + 1][columns.KIND] = columns.PAIR, columns.SECOND
                sites = free[place].sites + free[place + 1].sites
                self._write_groups(replace(free[place], sites=sites), rows[place], is_first=False)
        for block in blocks:
            if not block.is_turn:
                self._write_phased(block, self._new_row())

    def _write_turn(self, block: LevelBlock, *, is_first: bool = False) -> list[int]:
        row = self._new_row()
        maps, stacks = _folded(block.maps, [matrix_stack(linear) for linear in block.maps])
        self._write_stacks(block, row, maps, stacks, columns.TURN, is_first=is_first)
        return row

    def prepare(self, preparation: Preparation, layout: tuple[int, ...], empty: int) -> None:
        """Append amplitudes that sites of the layout start with; `empty` are the bits of sites that start in 0."""
        bits = [layout.index(site) for site in preparation.sites]
        rows, digits = np.arange(2**self.n_sites), np.zeros(2**self.n_sites, dtype=np.int64)
        for bit in bits:
            digits = 2 * digits + (rows >> (self.n_sites - 1 - bit) & 1)
        start = [self._add_index(np.where(rows & empty == 0, digits, -1)), 2 ** len(bits), columns.GIVEN, 0]
        if preparation.amplitudes is None:
            start[columns.SOURCE] = columns.COMPLEX_DATA if preparation.is_complex else columns.REAL_DATA
            start[columns.AMPLITUDES] = self._add_index(np.array([slot.index for slot in preparation.slots]))
            self.is_real &= not preparation.is_complex
        else:
            start[columns.AMPLITUDES] = self._add_constants(preparation.amplitudes)
            self.is_real &= bool(np.abs(np.imag(preparation.amplitudes)).max() == 0.0)
        self.starts.append(start)

    def _new_row(self) -> list[int]:
        row = [0] * columns.N_COLUMNS
        self.rows.append(row)
        row[columns.PHASES] = -1
        return row

    def finish(self, strings: dict[tuple[int, int], np.ndarray], n_observables: int) -> Instructions:
        """Return the instructions with the observables `strings`."""
        size = 2**self.n_sites
        table = [
            (mask, observable, number * size, _parts(coefficients))
            for number, ((mask, observable), coefficients) in enumerate(strings.items())
        ]
        return Instructions(
            n_qubits=self.n_sites,
            n_observables=n_observables,
            n_entries=self.n_entries,
            n_by_sample=self.n_by_sample,
            table=np.array(self.rows, dtype=np.int64).reshape(-1, columns.N_COLUMNS),
            factors=np.array(self.factors, dtype=np.int64).reshape(-1, columns.N_FACTOR_COLUMNS),
            frequencies=np.array(self.frequencies, dtype=float),
            constants=np.concatenate([np.zeros(0, dtype=complex), *self.constants]),
            index=np.concatenate([np.zeros(0, dtype=np.int64), *self.index]),
            starts=np.array(self.starts, dtype=np.int64).reshape(-1, columns.N_START_COLUMNS),
            is_real=self.is_real,
            strings=np.array(table, dtype=np.int64).reshape(-1, columns.N_STRING_COLUMNS),
            coefficients=np.concatenate([np.zeros(0, dtype=complex), *strings.values()]),
            operations=self.total,
        )

    def _write_permutation(self, block: GateBlock, row: list[int]) -> None:
        sources, phases = np.arange(2**self.n_sites), np.ones(2**self.n_sites, dtype=complex)
        for linear in block.maps:
            later, factor = self._register_rows(linear)
            sources, phases = sources[later], factor * phases[later]
        self._add_move(row, columns.PERMUTATION, sources, phases)

    def _write_rotation(self, block: GateBlock, row: list[int], *, is_first: bool) -> None:
        row[columns.KIND], row[columns.SIDE], row[columns.BY_SAMPLE] = columns.ROTATION, 2, 1
        self._write_groups(block, row, is_first=is_first)
        row[columns.FACTORS], row[columns.N_FACTORS] = len(self.factors), len(block.maps)
        for linear in block.maps:
            rotation = rotation_of(linear)
            if rotation is None:
                raise ValueError("A block of rotations must hold rotations about an axis, but holds another map.")
            self.factors.append((*_angle(linear), rotation[0]))
            self.frequencies.append(rotation[1])
            self.operations += FACTOR_OPERATIONS + (ANGLE_OPERATIONS if by_sample(linear) else 0.0)
        self.is_real = False
        self.operations += OPERATIONS[columns.ROTATION] * 2 * row[columns.N_BASES] * row[columns.RUN]

    def _write_phased(self, block: LevelBlock, row: list[int]) -> None:
        sources, constants = np.arange(2**self.n_sites), np.ones(2**self.n_sites, dtype=complex)
        phases: list[Phase] = []
        for linear in block.maps:
            if linear.slot is not None:
                phases += phases_of(linear, self.n_sites) or []
                continue
            later, factor = self._register_rows(linear)
            sources, constants = sources[later], factor * constants[later]
            if not np.array_equal(later, np.arange(len(later))):
                phases = moved_phases(phases, later, self.n_sites)
        together: dict[tuple[int, int, int], float] = {}
        for phase in phases:
            key = (*_angle(phase.linear), phase.mask)
            together[key] = together.get(key, 0.0) + phase.coefficient
        is_real = not together and bool(np.abs(constants.imag).max() == 0.0)
        self._add_move(row, columns.PERMUTATION if is_real else columns.PHASED, sources, constants)
        if is_real:
            return
        self.is_real = False
        row[columns.FACTORS], row[columns.N_FACTORS] = len(self.factors), len(together)
        self.factors += together
        self.frequencies += together.values()
        if block.by_sample:
            row[columns.BY_SAMPLE] = 1
            self.operations += (self.n_sites + ANGLE_OPERATIONS) * 2**self.n_sites
        else:
            row[columns.ENTRIES] = self.n_entries
            self.n_entries += 2**self.n_sites

    def _add_move(self, row: list[int], kind: int, sources: np.ndarray, phases: np.ndarray) -> None:
        size = 2**self.n_sites
        row[columns.KIND], row[columns.SIDE], row[columns.N_BASES], row[columns.BASES] = kind, 1, size, -1
        if not np.array_equal(sources, np.arange(size)):
            row[columns.BASES] = self._add_index(sources)
        if not np.array_equal(phases, np.ones(size)):
            row[columns.PHASES] = self._add_constants(phases)
            self.is_real &= bool(np.abs(np.imag(phases)).max() == 0.0)
        self.operations += OPERATIONS[kind] * size

    def _register_rows(self, linear: Linear) -> tuple[np.ndarray, np.ndarray]:
        """Return sources and phases in the whole register."""
        local = monomial(linear.constant)
        if local is None:
            raise ValueError("A permutation must have one entry a row, but this matrix has more.")
        sources, phases = local
        rows = np.arange(2**self.n_sites)
        digit = np.zeros_like(rows)
        places = [self.n_sites - 1 - site for site in linear.sites]
        for place in places:
            digit = 2 * digit + (rows >> place & 1)
        moved = rows.copy()
        for k, place in enumerate(places):
            bit = sources[digit] >> (len(places) - 1 - k) & 1
            moved = moved & ~(1 << place) | bit << place
        mask = sum(1 << (self.n_sites - 1 - site) for site in linear.controls)
        active = rows & mask == mask
        return np.where(active, moved, rows), np.where(active, phases[digit], 1.0)

    def _write_matrix(self, block: GateBlock, row: list[int], *, is_first: bool) -> None:
        stacks = [self._stack(linear, block.sites) for linear in block.maps]
        maps, stacks = _folded(block.maps, stacks)
        side = 2 ** len(block.sites)
        has_diagonal = all(np.abs(stack[:, ~np.eye(side, dtype=bool)]).max() < NEGLIGIBLE for stack in stacks)
        if has_diagonal:
            stacks = [np.diagonal(stack, axis1=1, axis2=2) for stack in stacks]
        kind = columns.DIAGONAL if has_diagonal else columns.SINGLE if side == 2 else columns.DENSE
        self._write_stacks(block, row, maps, stacks, kind, is_first=is_first)

    def _write_stacks(
        self,
        block: GateBlock | LevelBlock,
        row: list[int],
        maps: list[Linear],
        stacks: list[np.ndarray],
        kind: int,
        *,
        is_first: bool,
    ) -> None:
        side = stacks[0].shape[1]
        size = side if kind == columns.DIAGONAL else side * side
        row[columns.KIND], row[columns.SIDE] = kind, side
        self._write_groups(block, row, is_first=is_first)
        row[columns.FACTORS], row[columns.N_FACTORS] = len(self.factors), len(maps)
        if block.by_sample:
            row[columns.BY_SAMPLE], row[columns.ENTRIES] = 1, self.n_by_sample
            self.n_by_sample += size
        else:
            row[columns.ENTRIES] = self.n_entries
            self.n_entries += size
        for linear, stack in zip(maps, stacks, strict=True):
            angle, slot = _angle(linear)
            self.factors.append((angle, slot, self._add_constants(stack.reshape(-1))))
            self.frequencies.append(linear.terms[0][0] if linear.terms else 0.0)
        self.is_real &= kind == columns.TURN
        n_rows = row[columns.N_BASES] * row[columns.RUN] * side
        self.operations += OPERATIONS.get(kind, 8.0 * side) * n_rows

    def _write_groups(self, block: GateBlock | LevelBlock, row: list[int], *, is_first: bool) -> None:
        places = [self.n_sites - 1 - site for site in block.sites]
        fixed = [self.n_sites - 1 - site for site in block.controls]
        lowest = min([*places, *fixed])
        offsets = np.zeros(1, dtype=np.int64)
        for place in places:
            offsets = np.add.outer(offsets, np.array([0, 1 << place])).reshape(-1)
        if is_first:
            bases = np.zeros(1, dtype=np.int64)
        else:
            starts = np.arange(0, 2**self.n_sites, 1 << lowest)
            zeros, ones = sum(1 << place for place in places), sum(1 << place for place in fixed)
            bases = starts[(starts & zeros == 0) & (starts & ones == ones)]
        row[columns.BASES], row[columns.N_BASES] = self._add_index(bases), len(bases)
        row[columns.OFFSETS], row[columns.RUN] = self._add_index(offsets), 1 << lowest

    def _stack(self, linear: Linear, sites: tuple[int, ...]) -> np.ndarray:
        """Stack the matrices of a map, with its sites in the order of the block's."""
        stack = matrix_stack(linear)
        if linear.sites == sites:
            return stack
        order = reorder_table(linear.sites, sites, 2)
        return stack[:, order][:, :, order]

    def _add_constants(self, values: np.ndarray) -> int:
        values = np.ascontiguousarray(values, dtype=complex)
        key = ("constants", values.tobytes())
        if key not in self._known:
            self._known[key] = self.n_constants
            self.constants.append(values)
            self.n_constants += len(values)
        return self._known[key]

    def _add_index(self, values: np.ndarray) -> int:
        values = np.ascontiguousarray(values, dtype=np.int64)
        key = ("index", values.tobytes())
        if key not in self._known:
            self._known[key] = self.n_index
            self.index.append(values)
            self.n_index += len(values)
        return self._known[key]


def _parts(coefficients: np.ndarray) -> int:
    """Return which parts of coefficients are not all 0."""
    parts = (columns.REAL_PART, np.real(coefficients)), (columns.IMAGINARY_PART, np.imag(coefficients))
    return sum(bit for bit, part in parts if part.any())


def _angle(linear: Linear) -> tuple[int, int]:
    """Return the kind of a map's angle and its slot."""
    if linear.slot is None:
        return columns.NO_ANGLE, 0
    return columns.DATA if linear.slot.kind == "data" else columns.WEIGHT, linear.slot.index


def _folded(maps: list[Linear], stacks: list[np.ndarray]) -> tuple[list[Linear], list[np.ndarray]]:
    """Multiply neighbouring constant maps."""
    kept: list[Linear] = []
    folded: list[np.ndarray] = []
    for linear, stack in zip(maps, stacks, strict=True):
        if kept and linear.slot is None and kept[-1].slot is None:
            folded[-1] = stack @ folded[-1]
        else:
            kept.append(linear)
            folded.append(stack)
    return kept, folded
