"""Circuits cut in two: where few gates join two halves of a register, the halves are simulated apart.

A gate across the cut that is diagonal in a Pauli axis of its qubits on one side acts there as a measurement would: a
branch, an additional site, takes a copy of the qubit in that axis, and on the other side a site that runs over both
values stands in for the qubit. With m branches the state is a sum over their 2**m values,

    |psi> = sum_b |L_b> |R_b>,   <P_L P_R> = sum_{b, b'} <L_b| P_L |L_b'> <R_b| P_R |R_b'>,

so that two registers of n / 2 + m sites take the place of one of n: exact, and cheaper where the circuit is shallow.
This is the bipartite form of Markov, Fatima, Isakov and Boixo, arXiv:1807.10749; here the branches stay in the
register, and the planner finds the cut.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from circuits import Circuit
from circuits.observables import PauliFactors
from qml.simulator.cost import gram_cost
from qml.simulator.draft import Draft, draft_maps, reduced_maps
from qml.simulator.linear import NEGLIGIBLE, Linear, linear_maps
from qml.simulator.map_matrices import AXIS_BASES, Axis, matrices_of
from qml.simulator.plan import Request
from qml.simulator.readout import Terms

MAX_BRANCHES = 12  # of a half: the overlaps of all pairs of branches are held
CUT_OFFSETS = (0, 1, -1, 2, -2)  # of the cut from the middle of the register
COPY = np.eye(4)[[0, 1, 3, 2]].astype(complex)  # CX: the branch starts in |0> and takes over the value
OPEN = np.array([[1, 0], [1, 0]], dtype=complex)  # |0> to |0> + |1>: the branch runs over both values


@dataclass(frozen=True, eq=False)
class Cut:
    """A circuit in two halves.

    Attributes:
        halves: the drafts of both registers, own sites first, then the branches.
        n_own: own sites of each half.
        n_branches: branches, the same in both.
        strings: for each half the distinct Pauli strings that are read, on its own sites.
        terms: (observable, coefficient, string of the left half, string of the right half).
        n_observables: how many observables there are.
    """

    halves: tuple[Draft, Draft]
    n_own: tuple[int, int]
    n_branches: int
    strings: tuple[tuple[PauliFactors, ...], tuple[PauliFactors, ...]]
    terms: tuple[tuple[int, float, int, int], ...]
    n_observables: int

    def table_bytes(self, side: int, dtype: torch.dtype) -> int:
        """Count the bytes of the signs of a half's strings, and of making them, in double precision and two pieces."""
        n_signed = sum(any(letter in "YZ" for _, letter in factors) for factors in self.strings[side])
        return 2 ** self.n_own[side] * (n_signed * dtype.itemsize + 2 * torch.float64.itemsize * (n_signed > 0))


def best_cut(circuit: Circuit, request: Request, *, largest: float | int = math.inf) -> Cut | None:
    """Find the cut with the smallest registers, at any cost; None where none has fewer than `largest` amplitudes."""
    unfit = any(op.is_preparation or op.gate.name == "post_select" for op in circuit.operations)
    if request.levels != 2 or request.terms is None or unfit:
        return None
    maps, terms = reduced_maps(linear_maps(circuit, 2)[1], request, circuit.n_weights)
    if not terms or not any(terms):
        return None
    middles = {circuit.n_qubits // 2 + offset for offset in CUT_OFFSETS} & set(range(1, circuit.n_qubits))
    candidates = [_Cutter(middle, circuit.n_qubits).cut(maps) for middle in sorted(middles)]
    small = [halves for halves in candidates if halves is not None and _amplitudes(halves) < largest]
    if not small:
        return None
    halves = min(small, key=_amplitudes)
    left, right = halves
    drafts = [draft_maps(half.maps, half.n_sites, request, n_weights=circuit.n_weights) for half in halves]
    strings, pairs = _split_terms(terms, left.n_own)
    n_branches = left.n_sites - left.n_own
    return Cut((drafts[0], drafts[1]), (left.n_own, right.n_own), n_branches, strings, pairs, len(terms))


def _amplitudes(halves: "tuple[_Half, _Half]") -> int:
    """Count the amplitudes of both registers."""
    return sum(2**half.n_sites for half in halves)


def cut_cost(cut: Cut) -> float:
    """Estimate the nanoseconds of one forward pass through both halves and of their overlaps."""
    return sum(
        draft.cost + gram_cost(n_own, cut.n_branches, n_strings=len(strings), batch=draft.request.batch)
        for draft, n_own, strings in zip(cut.halves, cut.n_own, cut.strings, strict=True)
    )


def _split_terms(
    terms: Terms, middle: int
) -> tuple[tuple[tuple[PauliFactors, ...], tuple[PauliFactors, ...]], tuple[tuple[int, float, int, int], ...]]:
    left: dict[PauliFactors, int] = {}
    right: dict[PauliFactors, int] = {}
    pairs = []
    for observable, strings in enumerate(terms):
        for coefficient, factors in strings:
            on_left = tuple((site, letter) for site, letter in factors if site < middle)
            on_right = tuple((site - middle, letter) for site, letter in factors if site >= middle)
            places = left.setdefault(on_left, len(left)), right.setdefault(on_right, len(right))
            pairs.append((observable, coefficient, *places))
    return (tuple(left), tuple(right)), tuple(pairs)


@dataclass(eq=False)
class _Half:
    """A half while it grows: its maps, on own sites counted from 0 and branches behind them."""

    first: int
    n_own: int
    n_sites: int
    maps: list[Linear] = field(default_factory=list)

    def local(self, linear: Linear) -> Linear:
        """Return a map of this half with its sites counted from the half's first."""
        sites, controls = (tuple(site - self.first for site in group) for group in (linear.sites, linear.controls))
        return replace(linear, sites=sites, controls=controls)


class _Cutter:
    """A cut at one place, which goes through a circuit's maps and hands each to its half."""

    def __init__(self, middle: int, n_sites: int) -> None:
        self.middle = middle
        self.halves = (_Half(0, middle, middle), _Half(middle, n_sites - middle, n_sites - middle))
        self.copies: dict[int, dict[Axis, int]] = {}  # for each site the axes of which some branch still holds a copy

    def cut(self, maps: list[Linear]) -> tuple[_Half, _Half] | None:
        """Return both halves; None where a gate across the cut is not diagonal on either side."""
        for linear in maps:
            sides = {site >= self.middle for site in linear.all_sites}
            if len(sides) == 1:
                half = self.halves[sides.pop()]
                half.maps.append(half.local(linear))
            elif not self._cross(linear):
                return None
            self._forget(linear)
        return self.halves

    def _cross(self, linear: Linear) -> bool:
        """Split a map across the cut; return False where that cannot be done."""
        if linear.controls:
            return False
        options = [axes for right in (False, True) if (axes := self._axes(linear, right)) is not None]
        if not options:
            return False
        # of equally many branches those along Z: there gates like CX stay permutations
        axes = min(options, key=lambda axes: (self._new_branches(axes), sum(axis != "Z" for axis in axes.values())))
        if self.halves[0].n_sites - self.middle + self._new_branches(axes) > MAX_BRANCHES:
            return False
        self._split(linear, axes)
        return True

    def _axes(self, linear: Linear, right: bool) -> dict[int, Axis] | None:
        """Find for each site on one side an axis in which the map is diagonal, one with a copy first; else None."""
        axes: dict[int, Axis] = {}
        for site in linear.sites:
            if (site >= self.middle) == right:
                copied = self.copies.get(site, {})
                copied_first: list[Axis] = sorted(AXIS_BASES, key=lambda axis: axis not in copied)
                axis: Axis | None = next((axis for axis in copied_first if is_diagonal(linear, site, axis)), None)
                if axis is None:
                    return None
                axes[site] = axis
        return axes

    def _new_branches(self, axes: dict[int, Axis]) -> int:
        return sum(axis not in self.copies.get(site, {}) for site, axis in axes.items())

    def _split(self, linear: Linear, axes: dict[int, Axis]) -> None:
        """Copy the sites in `axes` into branches, and let the branches stand in for them on the other side."""
        source, target = self.halves if min(axes) < self.middle else self.halves[::-1]
        stand_in = {}
        for site, axis in axes.items():
            branches = self.copies.setdefault(site, {})
            if axis not in branches:
                branches[axis] = self._branch(source, target, site - source.first, axis)
            stand_in[site] = branches[axis] + target.n_own
            linear = in_axis(linear, site, axis)
        sites = tuple(stand_in.get(site, site - target.first) for site in linear.sites)
        target.maps.append(replace(linear, sites=sites))

    def _branch(self, source: _Half, target: _Half, site: int, axis: Axis) -> int:
        """Open a branch in both halves, a copy of `site` in the source, and return its number."""
        number = source.n_sites - source.n_own
        basis = AXIS_BASES[axis]
        into_axis = [] if axis == "Z" else [Linear((site,), basis.conj().T)]
        out_of_axis = [] if axis == "Z" else [Linear((site,), basis)]
        source.maps += [*into_axis, Linear((site, source.n_sites), COPY), *out_of_axis]
        target.maps.append(Linear((target.n_sites,), OPEN))
        source.n_sites += 1
        target.n_sites += 1
        return number

    def _forget(self, linear: Linear) -> None:
        """Drop the copies of sites that a map changes."""
        for site in linear.sites:
            branches = self.copies.get(site, {})
            self.copies[site] = {axis: branch for axis, branch in branches.items() if is_diagonal(linear, site, axis)}


def is_diagonal(linear: Linear, site: int, axis: Axis) -> bool:
    """Tell whether a map leaves the eigenstates of a Pauli axis of one of its sites alone, at every angle."""
    place = linear.sites.index(site)
    for matrix in matrices_of(in_axis(linear, site, axis)):
        digits = matrix.reshape(2**place, 2, -1, 2**place, 2, matrix.shape[0] // 2 ** (place + 1))
        if max(np.abs(digits[:, 0, :, :, 1]).max(), np.abs(digits[:, 1, :, :, 0]).max()) > NEGLIGIBLE:
            return False
    return True


def in_axis(linear: Linear, site: int, axis: Axis) -> Linear:
    """Return the map with one of its sites in the eigenbasis of a Pauli axis."""
    if axis == "Z":
        return linear
    place = linear.sites.index(site)
    left, right = np.eye(2**place), np.eye(2 ** (len(linear.sites) - place - 1))
    basis = np.kron(np.kron(left, AXIS_BASES[axis]), right)

    def in_basis(matrix: np.ndarray) -> np.ndarray:
        return basis.conj().T @ matrix @ basis

    terms = tuple((frequency, in_basis(cosine), in_basis(sine)) for frequency, cosine, sine in linear.terms)
    return replace(linear, constant=in_basis(linear.constant), terms=terms, kind=None)
