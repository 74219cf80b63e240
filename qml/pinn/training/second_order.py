"""Options of the steps of Levenberg and Marquardt: rows sketched, dampings probed, momentum, orthogonal factors."""

from dataclasses import dataclass

from qml import checks


@dataclass(frozen=True)
class RowSketch:
    """A count sketch of the rows of the Jacobian, so that many collocation points cost little more than few.

    Every row of [J, r] is added, with a random sign and divided by sqrt(n_hashes), to n_hashes random rows of a smaller
    matrix, drawn anew at every step. J is built some rows at a time and never stored whole. A step minimises the
    sketched model, and is taken only if the loss on all points falls. A J without more rows than that stays as it is.

    Args:
        n_buckets: rows of the sketch for every weight; 3 or 4 suffice.
        n_hashes: buckets that a row is added to.
        n_rows: rows of J at a time.

    Reference:
        Webb, Jerad, Cartis, DSGNAR, arXiv:2607.02194, the left sketch, with 4 hashes. Their right sketch, of the
        weights, is left out: it would save nothing at a few thousand of them.
    """

    n_buckets: float = 4.0
    n_hashes: int = 4
    n_rows: int = 2048

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("n_hashes", "n_rows"), floats=("n_buckets",))
        if not self.n_buckets >= 1 or self.n_hashes < 1 or self.n_rows < 1:
            raise ValueError(
                f"Arguments `n_buckets`, `n_hashes` and `n_rows` must be at least 1, but are {self.n_buckets}, "
                f"{self.n_hashes} and {self.n_rows}."
            )


@dataclass(frozen=True)
class Probing:
    """A damping chosen by the gain ratio: actual over foretold fall of the loss, at several dampings of one Jacobian.

    One decomposition serves all candidates, each of which costs an evaluation of the residuals. The least damping whose
    gain ratio, made to fall with the damping, is at least the target gives the step. A low target takes long steps,
    which pays far from the solution; once the damping rises in spite of it, a high one takes over to the end.

    Args:
        n_candidates: dampings a step, 2 to 24, geometric around the last one.
        spread: factor from the last damping to the largest candidate, and from the least one to it; above 1.
        first: target of the gain ratio at the beginning, in (0, 1).
        last: target once the damping rises, in (0, 1).
        patience: steps before which the target stays.
        memory: last steps over which a rise of the damping is judged: by a line through its logarithm.

    Reference:
        Webb, Jerad, Cartis, DSGNAR, arXiv:2607.02194, with radii in place of dampings, 24 of them, targets of 0.075 and
        0.5 and a spread of 3.
    """

    n_candidates: int = 7
    spread: float = 10.0
    first: float = 0.1
    last: float = 0.5
    patience: int = 80
    memory: int = 30

    def __post_init__(self) -> None:
        checks.settle_numbers(self, ints=("n_candidates", "patience", "memory"), floats=("spread", "first", "last"))
        if not 2 <= self.n_candidates <= 24 or not self.spread > 1 or self.patience < 0 or self.memory < 3:
            raise ValueError(
                "Arguments `n_candidates`, `spread`, `patience` and `memory` must be 2 to 24, above 1, at least 0 and "
                f"at least 3, but are {self.n_candidates}, {self.spread}, {self.patience} and {self.memory}."
            )
        if not 0 < self.first < 1 or not 0 < self.last < 1:
            raise ValueError(f"Arguments `first` and `last` must be in (0, 1), but are {self.first} and {self.last}.")

    @property
    def factors(self) -> tuple[float, ...]:
        """Return the candidates over the last damping, rising."""
        exponents = (2 * k / (self.n_candidates - 1) - 1 for k in range(self.n_candidates))
        return tuple(self.spread**exponent for exponent in exponents)


@dataclass(frozen=True)
class Momentum:
    """A step that is damped towards a share of the step before, and not towards none.

    The step d minimises |r - J d|^2 + mu |d - share d_old|^2, so that directions which the present points leave open go
    on as before. A step that does not lower the loss is tried once more without, and then with larger damping.

    Args:
        share: of the last step, in [0, 1); with 0 it is the plain method.

    Reference:
        Goldshlager, Abrahamsen, Lin, a Kaczmarz-inspired approach (SPRING), J. Comput. Phys. 516 (2024) 113351,
        arXiv:2401.10190, equation 23. They take steps of a fixed length and refuse none.
    """

    share: float = 0.9

    def __post_init__(self) -> None:
        checks.settle_numbers(self, floats=("share",))
        if not 0 <= self.share < 1:
            raise ValueError(f"Argument `share` must be in [0, 1), but is {self.share}.")


@dataclass(frozen=True)
class Orthogonal:
    """Steps by a QR decomposition of J, in place of a Cholesky factor of J^T J, whose condition is the square of J's.

    Below a loss of about 1e-13, or with fixed features, J is worse conditioned than 1e8 and J^T J no longer tells its
    small singular values from rounding. QR takes about four times as long as the normal equations.

    Args:
        below: loss from which on it takes the place of the normal equations; None is from the first step on.
        damping: mu at the first step, as a share of the largest diagonal entry of J^T J; None leaves it as it is.
            1e-24 or so are steps of Gauss and Newton, which suit trunks whose read-out alone is trained.

    Reference:
        Golub, Numerische Mathematik 7 (1965) 206; Bjorck, Numerical Methods for Least Squares Problems, section 2.4.
    """

    below: float | None = None
    damping: float | None = None

    def __post_init__(self) -> None:
        checks.settle_numbers(self, floats=("below", "damping"), optional=("below", "damping"))
        if any(value is not None and not value > 0 for value in (self.below, self.damping)):
            raise ValueError(
                f"Arguments `below` and `damping` must be above 0 or None, but are {self.below} and {self.damping}."
            )

    def is_due(self, loss: float) -> bool:
        """Return True if it takes the place of the normal equations at this loss."""
        return self.below is None or loss < self.below
