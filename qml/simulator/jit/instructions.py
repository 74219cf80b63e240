"""The form in which a circuit reaches the kernel: arrays of numbers, in the order of application.

A register of n qubits is held for a block of samples at once: row i of a state is its amplitude i for each of them. An
instruction acts on groups of rows. A group is `side` rows, at distances `offsets` from its base; `run` consecutive
bases follow each number in its list of bases, so that a loop over samples and neighbouring rows is one loop.

Every instruction but a permutation is a product of factors, and every factor is constant + cos(f t) C + sin(f t) S. The
derivative in t is the factor times a constant generator: dF/dt F^-1 = f S, since F is unitary, and the identity at 0.
Matrices are shared by the batch. What depends on data is diagonal, between constant matrices that make it so. The data
of a batch of one sample are further weights.

numba keeps what it has compiled as long as the file `kernels.py` stays the same: change it with the numbers here.
"""

from dataclasses import dataclass

import numpy as np

MAX_SIDE = 16  # of a matrix

# kinds of instructions
PERMUTATION = 0  # out[i] = phases[i] * in[source[i]]
SINGLE = 1  # a dense matrix of side 2
DENSE = 2  # a dense matrix of any side
DIAGONAL = 3  # a diagonal of any side

# columns of `Instructions.table`
KIND = 0
SIDE = 1
BASES = 2  # where the bases begin in `index`; the sources of a permutation
N_BASES = 3
OFFSETS = 4  # where the offsets begin in `index`
RUN = 5
ENTRIES = 6  # where the entries of the matrix begin, among those of the batch or among those of each sample
FACTORS = 7  # the first factor
N_FACTORS = 8
BY_SAMPLE = 9  # 1 for a diagonal that differs between samples
PHASES = 10  # where the phases of a permutation begin in `constants`; -1 where all are 1
N_COLUMNS = 11

# columns of `Instructions.factors`
ANGLE = 0  # the kind of its angle
SLOT = 1
MATRICES = 2  # where constant, cosine and sine matrix begin in `constants`, one after another
N_FACTOR_COLUMNS = 3

# kinds of angles
NO_ANGLE = 0
WEIGHT = 1
DATA = 2

# columns of `Instructions.strings`
MASK = 0  # row i of the state meets row i ^ mask
OBSERVABLE = 1
COEFFICIENTS = 2  # where the 2**n coefficients begin
N_STRING_COLUMNS = 3


@dataclass(frozen=True, eq=False)
class Instructions:
    """A circuit and its observables as the kernel takes them.

    Attributes:
        n_qubits: of the register.
        n_observables: rows of the answer.
        n_entries: of all matrices that the batch shares.
        n_by_sample: of all diagonals that each sample has for itself.
        table: the instructions, (instructions, columns).
        factors: (factors, columns).
        frequencies: of the factors.
        constants: matrices of the factors, and phases, complex.
        index: bases, offsets and sources.
        strings: the observables, by the bits that they flip.
        coefficients: of the strings, one for each amplitude, complex.
        operations: floating-point operations on the states of one sample, forward.
    """

    n_qubits: int
    n_observables: int
    n_entries: int
    n_by_sample: int
    table: np.ndarray
    factors: np.ndarray
    frequencies: np.ndarray
    constants: np.ndarray
    index: np.ndarray
    strings: np.ndarray
    coefficients: np.ndarray
    operations: float

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the arrays in the order in which the kernel takes them."""
        return (
            self.table,
            self.factors,
            self.frequencies,
            self.constants,
            self.index,
            self.strings,
            self.coefficients,
        )

    @property
    def takes_data(self) -> bool:
        """Tell whether samples differ."""
        return bool((self.factors[:, ANGLE] == DATA).any())
