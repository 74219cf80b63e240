"""The form in which a circuit reaches the kernel: arrays of numbers, in the order of application.

A register of n qubits is held for a block of samples at once: row i of a state is its amplitude i for each of them. An
instruction acts on groups of rows. A group is `side` rows, at distances `offsets` from its base; `run` consecutive
bases follow each number in its list of bases, so that a loop over samples and neighbouring rows is one loop.

Every instruction but a permutation is a product of factors, and every factor is constant + cos(f t) C + sin(f t) S. The
derivative in t is the factor times a constant generator: dF/dt F^-1 = f S, since F is unitary, and the identity at 0.
Matrices are shared by the batch. What depends on data is diagonal, between constant matrices that make it so, or a real
rotation. The data of a batch of one sample are further weights.

A rotation is a product of factors exp(-i w_k t_k P_k) of one site, with Pauli matrices P_k and angles by data and
weights, and differs between samples.

A phased permutation has factors of another form: factor k multiplies row i by exp(i w_k t_k (-1)^|i & m_k|), so that
all its angles are one Walsh-Hadamard transform of the numbers w_k t_k at the places m_k.

Samples come in groups of equal size, each of which has weights of its own.

numba keeps what it has compiled as long as the file `kernels.py` stays the same: change `kernels.VERSION` with the
numbers here and with the parts in `parts/`.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

MAX_SIDE = 16  # of a matrix

# kinds of instructions
PERMUTATION = 0  # out[i] = phases[i] * in[source[i]], of levels with phases 1 and -1 only
SINGLE = 1  # a dense matrix of side 2
DENSE = 2  # a dense matrix of any side
DIAGONAL = 3  # a diagonal of any side
TURN = 4  # a real matrix of side 2
PHASED = 5  # out[i] = phases[i] * exp(i angles[i]) * in[source[i]]
PAIR = 6  # real matrices of two sites: its own and that of the next instruction, whose groups are not used
SECOND = 7  # the second matrix of a pair
ROTATION = 8  # a product of rotations of one site, which differs between samples

# columns of `Instructions.table`
KIND = 0
SIDE = 1
BASES = 2  # where the bases begin in `index`; the sources of a permutation, -1 where nothing moves
N_BASES = 3
OFFSETS = 4  # where the offsets begin in `index`
RUN = 5
ENTRIES = 6  # where the entries of the matrix begin, among those of the batch or among those of each sample
FACTORS = 7  # the first factor
N_FACTORS = 8
BY_SAMPLE = 9  # 1 for what differs between samples
PHASES = 10  # where the phases of a permutation begin in `constants`; -1 where all are 1
N_COLUMNS = 11

# columns of `Instructions.factors`
ANGLE = 0  # the kind of its angle
SLOT = 1
MATRICES = 2  # where constant, cosine and sine matrix begin in `constants`, one after another; the mask m_k
AXIS = 2  # of a factor of a rotation
N_FACTOR_COLUMNS = 3

# kinds of angles
NO_ANGLE = 0
WEIGHT = 1
DATA = 2

# axes of rotations
Z_AXIS = 1
Y_AXIS = 2
X_AXIS = 3

# columns of `Instructions.strings`
MASK = 0  # row i of the state meets row i ^ mask
OBSERVABLE = 1
COEFFICIENTS = 2  # where the 2**n coefficients begin
PARTS = 3  # which parts of them are not all 0
N_STRING_COLUMNS = 4

# bits of PARTS
REAL_PART = 1
IMAGINARY_PART = 2

# columns of `Instructions.starts`
DIGITS = 0  # where the numbers of its amplitudes begin in `index`, one for each row; -1 where the row starts at 0
N_AMPLITUDES = 1
SOURCE = 2
AMPLITUDES = 3  # where they begin in `constants`, or their data slots in `index`, real parts first
N_START_COLUMNS = 4

# sources of amplitudes
GIVEN = 0
REAL_DATA = 1
COMPLEX_DATA = 2


@dataclass(frozen=True, eq=False)
class Instructions:
    """A circuit and its observables as the kernel takes them.

    Attributes:
        n_qubits: of the register.
        n_observables: rows of the answer.
        n_entries: of all matrices and phases that the batch shares.
        n_by_sample: of all matrices that each sample has for itself, phased permutations left out.
        table: the instructions, (instructions, columns).
        factors: (factors, columns).
        frequencies: of the factors.
        constants: matrices of the factors, and phases, complex.
        index: bases, offsets and sources.
        strings: the observables, by the bits that they flip.
        coefficients: of the strings, one for each amplitude, complex.
        starts: the amplitudes that sites start with; all others start in 0.
        is_real: whether all states are real.
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
    starts: np.ndarray
    is_real: bool
    operations: float

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the arrays that every circuit has, in the order in which the kernel takes them."""
        return (
            self.table,
            self.factors,
            self.frequencies,
            self.constants,
            self.index,
            self.strings,
            self.coefficients,
        )

    @cached_property
    def goes_by_levels(self) -> bool:
        """Tell whether the kernel for levels runs it: it has instructions of levels, or real states."""
        return self.is_real or bool(np.isin(self.table[:, KIND], (TURN, PHASED, PAIR)).any())

    @cached_property
    def n_phases(self) -> int | None:
        """Return the rows of phases that a level needs room for; None where the circuit goes by blocks."""
        has_phases = (self.table[:, KIND] == PHASED).any()
        return (2**self.n_qubits if has_phases else 0) if self.goes_by_levels else None

    @cached_property
    def n_turned(self) -> int | None:
        """Return the factors of the longest product of rotations that differ between samples; None where none do."""
        rotations = self.table[self.table[:, KIND] == ROTATION]
        return int(rotations[:, N_FACTORS].max()) if len(rotations) else None

    @cached_property
    def takes_data(self) -> bool:
        """Tell whether samples differ."""
        of_starts = (self.starts[:, SOURCE] != GIVEN).any()
        return bool(of_starts or (self.factors[:, ANGLE] == DATA).any())
