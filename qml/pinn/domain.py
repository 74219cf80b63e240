"""Boxes: where a problem is solved, their points and their quadrature."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from qml import checks


@dataclass(frozen=True)
class Box:
    """A product of intervals with named coordinates.

    Args:
        intervals: coordinate (one letter) to its ends, in the order of the points' columns.
        breaks: coordinate to the places inside its interval where a coefficient jumps; quadrature stops there.

    Raises:
        ValueError: no coordinate, a name of more than a letter, an empty interval, a break outside it.
    """

    intervals: Mapping[str, tuple[float, float]]
    breaks: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.require_kind(self.intervals, "intervals", Mapping, ' Pass for example {"x": (0.0, 1.0)}.')
        if not self.intervals:
            raise ValueError("Argument `intervals` must hold at least one coordinate, but is empty.")
        for axis, ends in self.intervals.items():
            checks.require_kind(ends, f"intervals[{axis!r}]", Sequence, " Pass (low, high).")
        for axis, (low, high) in self.intervals.items():
            if not isinstance(axis, str) or len(axis) != 1 or not axis.isalpha():
                raise ValueError(f"Argument `intervals` must name coordinates by one letter, but has {axis!r}.")
            if not (np.isfinite([low, high]).all() and low < high):
                raise ValueError(f"Argument `intervals` must have finite low < high, but {axis} has {low}, {high}.")
        for axis, places in self.breaks.items():
            low, high = self.interval(axis, "`breaks`")
            if any(not low < place < high for place in places):
                raise ValueError(f"Argument `breaks` must lie inside {axis}'s interval, but holds {places}.")

    @property
    def coordinates(self) -> tuple[str, ...]:
        """Return the names of the coordinates."""
        return tuple(self.intervals)

    def interval(self, axis: str, who: str) -> tuple[float, float]:
        """Return the ends of a coordinate; the error for one that does not exist says that `who` asked."""
        if axis not in self.intervals:
            raise ValueError(f"The coordinate of {who} must be one of {', '.join(self.coordinates)}, but is {axis!r}.")
        return self.intervals[axis]

    def require_inside(self, points: np.ndarray, who: str, *, slack: float = 0.0, remedy: str = "") -> None:
        """Refuse points of another width, outside, or with NaN.

        Args:
            points: (batch, coordinates).
            who: begins the message.
            slack: share of each interval by which points may miss it, for rounding.
            remedy: ends the message.
        """
        if points.ndim != 2 or points.shape[1] != len(self.coordinates):
            raise ValueError(f"{who} must have points of shape (batch, {len(self.coordinates)}), not {points.shape}.")
        lows, highs = np.array(list(self.intervals.values())).T
        allowed = slack * (highs - lows)
        outside = ~((points >= lows - allowed) & (points <= highs + allowed)).all(1)
        if outside.any():
            ranges = ", ".join(f"{axis} in [{low:g}, {high:g}]" for axis, (low, high) in self.intervals.items())
            raise ValueError(
                f"{who} must lie in the domain, but {outside.sum()} points do not: {points[outside][0]}. The domain is "
                f"{ranges}.{remedy}"
            )

    def sample(self, n_points: int, seed: int, *, fixed: Mapping[str, float] | None = None) -> np.ndarray:
        """Draw scrambled Sobol points (n_points, coordinates); with all coordinates fixed there is one point."""
        from scipy.stats import qmc

        fixed = fixed or {}
        free = [axis for axis in self.coordinates if axis not in fixed]
        if not free:
            return np.array([[fixed[axis] for axis in self.coordinates]])
        engine = qmc.Sobol(len(free), rng=np.random.default_rng(seed))
        unit = engine.random_base2(max(0, int(n_points - 1).bit_length()))[:n_points]
        columns = dict(zip(free, unit.T, strict=True))
        lows = {axis: ends[0] for axis, ends in self.intervals.items()}
        widths = {axis: ends[1] - ends[0] for axis, ends in self.intervals.items()}
        return np.column_stack(
            [
                np.full(n_points, fixed[axis]) if axis in fixed else lows[axis] + widths[axis] * columns[axis]
                for axis in self.coordinates
            ]
        )

    def grid(self, n_a_coordinate: int) -> np.ndarray:
        """Return a regular grid with the faces, (n^coordinates, coordinates), the last coordinate fastest."""
        axes = [np.linspace(*ends, n_a_coordinate) for ends in self.intervals.values()]
        return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))

    def quadrature(
        self, n_nodes: int | Mapping[str, int], periodic: Collection[str] = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return Gauss-Legendre nodes (batch, coordinates) and weights (batch,).

        Args:
            n_nodes: a coordinate and piece; alike for all coordinates, or by name.
            periodic: coordinates of periodic functions, whose nodes are equally spaced from the lower end on: sums over
                n of them integrate n - 1 waves of a period exactly. Those with breaks keep their Gauss-Legendre nodes.

        Raises:
            ValueError: numbers by name that leave out a coordinate or name another.
        """
        numbers = dict(n_nodes) if isinstance(n_nodes, Mapping) else dict.fromkeys(self.intervals, n_nodes)
        if numbers.keys() != self.intervals.keys():
            raise ValueError(
                f"Numbers of nodes must be given for {', '.join(self.coordinates)}, but are for {', '.join(numbers)}."
            )
        nodes, weights = [], []
        for axis, (low, high) in self.intervals.items():
            n = numbers[axis]
            if axis in periodic and axis not in self.breaks:
                nodes.append(low + (high - low) * np.arange(n) / n)
                weights.append(np.full(n, (high - low) / n))
                continue
            base, base_weights = np.polynomial.legendre.leggauss(n)
            ends = np.array([low, *sorted(self.breaks.get(axis, ())), high])
            halves, middles = np.diff(ends) / 2, (ends[1:] + ends[:-1]) / 2
            nodes.append((middles[:, None] + halves[:, None] * base).ravel())
            weights.append((halves[:, None] * base_weights).ravel())
        points = np.stack(np.meshgrid(*nodes, indexing="ij"), -1).reshape(-1, len(nodes))
        product = np.stack(np.meshgrid(*weights, indexing="ij"), -1).reshape(-1, len(nodes)).prod(1)
        return points, product
