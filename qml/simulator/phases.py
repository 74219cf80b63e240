"""Data-dependent gates as phases: M(t) = V exp(i t W) V^dagger with a constant V and diagonal W.

The V are shared by the batch and melt into the neighbouring blocks; what is left for each sample is one multiplication
of the state by phases, for all data gates of a layer at once.
"""

from dataclasses import replace

import numpy as np

from qml.simulator.linear import NEGLIGIBLE, Linear
from qml.simulator.map_matrices import matrices_of

MAX_ZERO_EIGENVALUE = 1e-9  # in modulus: a smaller eigenvalue of a generator is 0


def diagonalised(maps: list[Linear]) -> list[Linear]:
    """Return the same maps with every dense data map as V^dagger, phases, V; runs keep their phases together."""
    result: list[Linear] = []
    run: list[Linear] = []
    for linear in maps:
        if not _can_be_phase(linear) or any(not set(linear.sites).isdisjoint(other.sites) for other in run):
            result.extend(_run_of_phases(run))
            run = []
        if _can_be_phase(linear):
            run.append(linear)
        else:
            result.append(linear)
    return result + _run_of_phases(run)


def is_phase(linear: Linear) -> bool:
    """Tell whether a map is a diagonal of phases at every angle."""
    return _can_be_phase(linear) and all(_off_diagonal(matrix) < NEGLIGIBLE for matrix in matrices_of(linear))


def phase_frequencies(linear: Linear) -> np.ndarray:
    """Return W of a diagonal data map, whose entries are exp(i W t); shape (side,)."""
    ((frequency, cosine, sine),) = linear.terms
    cosines, sines = np.real(np.diag(cosine)), np.imag(np.diag(sine))  # cos + i s sin, or constant where both are zero
    return frequency * sines * (np.abs(cosines) > 0.5)


def _can_be_phase(linear: Linear) -> bool:
    is_data = linear.slot is not None and linear.slot.kind == "data"
    return is_data and not linear.controls and len(linear.terms) == 1


def _off_diagonal(matrix: np.ndarray) -> float:
    return float(np.abs(matrix - np.diag(np.diag(matrix))).max())


def _run_of_phases(run: list[Linear]) -> list[Linear]:
    before, phases, after = [], [], []
    for linear in run:
        if is_phase(linear):
            phases.append(linear)
            continue
        basis, diagonal = eigenbasis(linear)
        before.append(Linear(linear.sites, basis.conj().T))
        phases.append(diagonal)
        after.append(Linear(linear.sites, basis))
    return before + phases + after


def eigenbasis(linear: Linear) -> tuple[np.ndarray, Linear]:
    """Return V and the map in its basis. The sine matrix is i times a Hermitian generator with eigenvalues -1, 0, 1."""
    ((frequency, cosine, sine),) = linear.terms
    values, basis = np.linalg.eigh(-1j * sine)
    constant, cosine = (basis.conj().T @ matrix @ basis for matrix in (linear.constant, cosine))
    signs = np.where(np.abs(values) < MAX_ZERO_EIGENVALUE, 0.0, np.sign(values))
    terms = ((frequency, np.diag(np.diag(cosine)), np.diag(1j * signs)),)
    return basis, replace(linear, constant=np.diag(np.diag(constant)), terms=terms, kind=None)
