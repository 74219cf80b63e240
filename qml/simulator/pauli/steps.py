"""The steps of a propagation: sparse linear maps between the coefficients of two tables of strings.

Backwards in time, coefficients c of strings become those of other strings (`push`). The transpose, forwards in time,
takes the expectation values u of the strings in the later table to those of the earlier one (`pull`), for all
observables at once. Tensors are (strings, ..., samples); angles come as cosines and sines, (angles, samples).
"""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from torch import Tensor


class Trigonometry(NamedTuple):
    """Cosines and sines of all distinct angles, each a tuple of (samples,) tensors."""

    cosines: tuple[Tensor, ...]
    sines: tuple[Tensor, ...]


class Drops(NamedTuple):
    """Sums over the dropped coefficients of one step, (observables, samples).

    Attributes:
        moduli: sum of |c|.
        squares: sum of c^2 v, where v is the mean square of the expectation value that is assumed of each.
    """

    moduli: Tensor
    squares: Tensor


@dataclass(frozen=True, eq=False)
class Rotation:
    """c_P -> cos c_P, and c_Q gains sign sin c_P, for each P that anticommutes with the axis and Q, its partner.

    Attributes:
        n_before, n_after: strings of both tables; the new ones come last.
        angle: number of the angle; None for a constant one.
        constant: cosine and sine of a constant angle.
        sources: (m,) the strings P, first those whose partner is kept.
        targets: (k,) partners, k <= m.
        signs: (m,) int8.
        spread: standard deviations to which the estimate of what is dropped amounts; None if strings like those that
            are dropped are not known, whose expectation values then count as 1.
    """

    n_before: int
    n_after: int
    angle: int | None
    constant: tuple[float, float]
    sources: Tensor
    targets: Tensor
    signs: Tensor
    spread: float | None

    def pull(self, values: Tensor, trig: Trigonometry) -> Tensor:
        """Return the expectation values of the earlier table by plain operations."""
        cosine, sine = self._factors(trig)
        own, partner = self._gathered(values)
        n_kept = len(self.targets)
        result = values[: self.n_before].index_add(0, self.sources, (cosine - 1.0) * own)
        return result.index_add(0, self.sources[:n_kept], sine * partner)

    def pull_in_place(self, values: Tensor, trig: Trigonometry) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Overwrite `values`; return the earlier table's, and what a pullback needs."""
        cosine, sine = self._factors(trig)
        own, partner = self._gathered(values)
        n_kept = len(self.targets)
        change = (cosine - 1.0) * own
        change[:n_kept] += sine * partner
        result = values[: self.n_before]
        result.index_add_(0, self.sources, change)
        return result, () if self.angle is None else (own, partner)

    def push_in_place(self, coefficients: Tensor, trig: Trigonometry) -> tuple[Tensor, Tensor]:
        """Return the coefficients of the later table, and those of the sources before the step."""
        cosine, sine = self._factors(trig)
        own = coefficients.index_select(0, self.sources)
        n_kept = len(self.targets)
        n_new = self.n_after - self.n_before
        coefficients.index_add_(0, self.sources, (cosine - 1.0) * own)
        if n_new:
            coefficients = torch.cat([coefficients, coefficients.new_zeros(n_new, *coefficients.shape[1:])])
        signs = self.signs[:n_kept].reshape(-1, *(1,) * (own.ndim - 1))
        coefficients.index_add_(0, self.targets, sine * (own[:n_kept] * signs))
        return coefficients, own

    def slopes(self, own: Tensor, saved: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return the derivatives in the cosine and in the sine, (samples,)."""
        values, partner = saved
        return (own * values).sum(0), (own[: len(self.targets)] * partner).sum(0)

    def peers(self, squares: Tensor) -> Tensor | None:
        """Return for each dropped string the mean square of its source, (dropped, samples); None if none is."""
        lost = self.sources[len(self.targets) :]
        return squares.index_select(0, lost) if len(lost) else None

    def drops(self, own: Tensor, trig: Trigonometry, peers: Tensor) -> Drops:
        """Return what is lost with partners that are dropped."""
        return _drops(self._factors(trig)[1] * own[len(self.targets) :], peers, self.spread)

    def squared(self) -> "Rotation":
        """Return the step of squares, c_P^2 -> cos^2 c_P^2 and so on."""
        cosine, sine = self.constant
        return replace(self, constant=(cosine**2, sine**2), signs=self.signs.abs())

    @property
    def n_dropped(self) -> int:
        """Return the number of partners that are dropped."""
        return len(self.sources) - len(self.targets)

    def _factors(self, trig: Trigonometry) -> tuple[Tensor, Tensor]:
        if self.angle is None:
            like = trig.cosines[0]
            return like.new_tensor(self.constant[0]), like.new_tensor(self.constant[1])
        return trig.cosines[self.angle], trig.sines[self.angle]

    def _gathered(self, values: Tensor) -> tuple[Tensor, Tensor]:
        signs = self.signs[: len(self.targets)].reshape(-1, *(1,) * (values.ndim - 1))
        return values.index_select(0, self.sources), values.index_select(0, self.targets) * signs


@dataclass(frozen=True, eq=False)
class Keep:
    """A selection: only some strings remain.

    Attributes:
        n_before: strings of the table before it.
        kept: (n_after,) numbers of strings that remain.
        dropped: numbers of strings that are dropped, without those whose expectation value is 0 in any case.
        likest: numbers, in the table after the step, of the strings that are most like the dropped ones.
        spread: standard deviations to which the estimate of what is dropped amounts; None if strings like those that
            are dropped are not known, whose expectation values then count as 1.
    """

    n_before: int
    kept: Tensor
    dropped: Tensor
    likest: Tensor
    spread: float | None

    @property
    def n_dropped(self) -> int:
        """Return the number of strings that are dropped."""
        return len(self.dropped)

    def pull(self, values: Tensor, trig: Trigonometry) -> Tensor:
        """Return the expectation values of the earlier table, 0 for what is dropped."""
        return values.new_zeros(self.n_before, *values.shape[1:]).index_add(0, self.kept, values)

    def push(self, coefficients: Tensor, trig: Trigonometry) -> Tensor:
        """Return the coefficients that remain."""
        return coefficients.index_select(0, self.kept)

    def peers(self, squares: Tensor) -> Tensor | None:
        """Return the mean square of the strings most like the dropped ones, (1, samples), 1 if there are none."""
        if not len(self.dropped):
            return None
        if not len(self.likest):
            return squares.new_ones(1, squares.shape[1])
        return squares.index_select(0, self.likest).mean(0, keepdim=True)

    def drops(self, coefficients: Tensor, peers: Tensor) -> Drops:
        """Return what is lost."""
        return _drops(coefficients.index_select(0, self.dropped), peers, self.spread)


@dataclass(frozen=True, eq=False)
class Transfer:
    """Strings become sums of strings: c'_target = sum of entry c_source.

    Attributes:
        n_before, n_after: strings of both tables.
        sources, targets: (entries,).
        constant: (entries,); an entry is constant + sum of cos * cosine + sin * sine over `terms`.
        terms: (number of an angle, cosine (entries,), sine (entries,)).
    """

    n_before: int
    n_after: int
    sources: Tensor
    targets: Tensor
    constant: Tensor
    terms: tuple[tuple[int, Tensor, Tensor], ...]

    def entries(self, trig: Trigonometry) -> Tensor:
        """Return the entries, (entries, samples)."""
        total = self.constant[:, None]
        for angle, cosine, sine in self.terms:
            total = total + cosine[:, None] * trig.cosines[angle] + sine[:, None] * trig.sines[angle]
        return total

    def pull(self, values: Tensor, trig: Trigonometry) -> Tensor:
        """Return the expectation values of the earlier table."""
        parts = self.entries(trig) * values.index_select(0, self.targets)
        return values.new_zeros(self.n_before, *parts.shape[1:]).index_add(0, self.sources, parts)

    def push(self, coefficients: Tensor, trig: Trigonometry) -> Tensor:
        """Return the coefficients of the later table."""
        entries = self.entries(trig)
        if coefficients.ndim == 3:
            entries = entries[:, None]
        parts = entries * coefficients.index_select(0, self.sources)
        return coefficients.new_zeros(self.n_after, *parts.shape[1:]).index_add_(0, self.targets, parts)

    def slopes(self, own: Tensor, values: Tensor) -> list[tuple[int, Tensor, Tensor]]:
        """Return (angle, derivative in the cosine, derivative in the sine) for every term."""
        products = own.index_select(0, self.sources) * values.index_select(0, self.targets)
        return [(angle, (c[:, None] * products).sum(0), (s[:, None] * products).sum(0)) for angle, c, s in self.terms]


def _drops(lost: Tensor, peers: Tensor, spread: float | None) -> Drops:
    squares = lost.square() if spread is None else spread**2 * lost.square() * peers[:, None]
    return Drops(lost.abs().sum(0), squares.sum(0))


PauliStep = Rotation | Keep | Transfer


def moved(step: PauliStep, dtype: torch.dtype, device: torch.device) -> PauliStep:
    """Return the step with its tables on a device and in a precision."""

    def to(value: object) -> object:
        if isinstance(value, Tensor):
            return value.to(device, dtype if value.is_floating_point() else None)
        return tuple(map(to, value)) if isinstance(value, tuple) else value

    changes = {entry.name: to(getattr(step, entry.name)) for entry in fields(step)}
    return replace(step, **changes)
