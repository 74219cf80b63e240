"""Conditions that a solution must fulfil beside its equations: on faces, periodicity, integrals, measurements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from qml.pinn.domain import Box
from qml.pinn.names import Residual, arguments_of

Arrays = Mapping[str, Any]
INTERFACE_GAP = 2.0**-21  # of the domain's width: apart in float32 too, and far below any error asked for


@runtime_checkable
class Condition(Protocol):
    """A condition of a problem, which has a residual at points of its own.

    Attributes:
        name: in the loss parts.
        weight: of its mean squared residual in the loss.
        exact: whether the trial functions or features of the problem fulfil it by construction.
        n_sides: 1 where residual n depends on row n alone; 2 where the rows are two halves, and the residuals blocks
            whose entry n depends on the n-th row of each half; 0 where a residual depends on all rows.
    """

    @property
    def name(self) -> str:
        """Return the name in the loss parts."""
        ...

    @property
    def weight(self) -> float:
        """Return the weight of the mean squared residual in the loss."""
        ...

    @property
    def exact(self) -> bool:
        """Return True if it is fulfilled by construction, so that it has no part in the loss."""
        ...

    @property
    def n_sides(self) -> int:
        """Return how rows and residuals belong together: 0, 1 or 2, see the class."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Return the fields, derivatives, coordinates and scalars that the residual needs."""
        ...

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return the coordinates across which it is a condition."""
        ...

    def require_inside(self, domain: Box) -> None:
        """Refuse what lies outside the domain."""
        ...

    def points(self, domain: Box, n_points: int, seed: int) -> np.ndarray:
        """Return the points where the residual is taken, (batch, coordinates)."""
        ...

    def residual(self, values: Arrays) -> Any:
        """Return what must vanish, from the values of `names` at the points."""
        ...


@dataclass(frozen=True)
class Face:
    """An equation on a face, an edge or a corner of the domain: Dirichlet, Neumann, Robin or initial conditions.

    Args:
        name: in the loss parts.
        at: values of the coordinates that are fixed; the others run over the domain.
        equation: what must vanish there, as in `lambda u, x: u - torch.sin(x)`.
        weight: in the loss.
        exact: whether the trial functions of the problem fulfil it already.
    """

    name: str
    at: Mapping[str, float]
    equation: Residual
    weight: float = 1.0
    exact: bool = False
    n_sides: int = field(default=1, init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that the equation asks for."""
        return arguments_of(self.equation, self.name)

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return the coordinates of `at`."""
        return tuple(self.at)

    def require_inside(self, domain: Box) -> None:
        """Refuse a face that is none of the domain's."""
        if not self.at:
            raise ValueError(f"Condition `{self.name}` must fix a coordinate with `at`, but fixes none.")
        for axis, value in self.at.items():
            low, high = domain.interval(axis, f"condition `{self.name}`")
            if not low <= value <= high:
                raise ValueError(
                    f"Condition `{self.name}` must lie in the domain, where {axis} runs from {low:g} to {high:g}, but "
                    f"is at {axis} = {value:g}."
                )

    def points(self, domain: Box, n_points: int, seed: int) -> np.ndarray:
        """Return low-discrepancy points on the face; a single one on a corner."""
        return domain.sample(n_points, seed, fixed=self.at)

    def residual(self, values: Arrays) -> Any:
        """Evaluate the equation."""
        return self.equation(**values)


@dataclass(frozen=True)
class Periodic:
    """Fields and derivatives that are equal on the two faces of a coordinate.

    Args:
        name: in the loss parts.
        coordinate: across which they are equal.
        equal: their names, as in ("u", "u_x").
        weight: in the loss.
        exact: whether the features of the problem are periodic already.
    """

    name: str
    coordinate: str
    equal: tuple[str, ...]
    weight: float = 1.0
    exact: bool = False
    n_sides: int = field(default=2, init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of what is equal."""
        return self.equal

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return the coordinate."""
        return (self.coordinate,)

    def require_inside(self, domain: Box) -> None:
        """Refuse a coordinate that is none of the domain's."""
        domain.interval(self.coordinate, f"condition `{self.name}`")

    def points(self, domain: Box, n_points: int, seed: int) -> np.ndarray:
        """Return the same points on the lower face, then on the upper one."""
        low, high = domain.interval(self.coordinate, self.name)
        return np.concatenate([domain.sample(n_points, seed, fixed={self.coordinate: value}) for value in (low, high)])

    def residual(self, values: Arrays) -> Any:
        """Return the values on the upper face minus those on the lower one, for every name in turn."""
        return _jumps(values, self.equal)


@dataclass(frozen=True)
class Interface:
    """Fields and derivatives that do not jump where two subdomains meet.

    Args:
        name: in the loss parts.
        coordinate: across which the subdomains meet.
        place: where.
        equal: names of what is equal on both sides, as in ("u", "u_x"): values and fluxes.
        weight: in the loss.

    Reference:
        arXiv:2210.12669: the value and the flux of neighbours are equal at points of their interface.
    """

    name: str
    coordinate: str
    place: float
    equal: tuple[str, ...]
    weight: float = 1.0
    exact: bool = field(default=False, init=False)
    n_sides: int = field(default=2, init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of what is equal."""
        return self.equal

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return no coordinate: an interface joins subdomains and closes none."""
        return ()

    def require_inside(self, domain: Box) -> None:
        """Refuse a place that is not inside the domain."""
        low, high = domain.interval(self.coordinate, f"condition `{self.name}`")
        if not low < self.place < high:
            raise ValueError(
                f"Condition `{self.name}` must lie inside the domain, where {self.coordinate} runs from {low:g} to "
                f"{high:g}, but is at {self.coordinate} = {self.place:g}."
            )

    def points(self, domain: Box, n_points: int, seed: int) -> np.ndarray:
        """Return the same points just before the interface, then on it, which belongs to the later subdomain."""
        low, high = domain.interval(self.coordinate, self.name)
        before = self.place - (high - low) * INTERFACE_GAP
        places = (before, self.place)
        return np.concatenate([domain.sample(n_points, seed, fixed={self.coordinate: place}) for place in places])

    def residual(self, values: Arrays) -> Any:
        """Return the values on the later side minus those on the earlier one, for every name in turn."""
        return _jumps(values, self.equal)


@dataclass(frozen=True)
class Integral:
    """An integral over the domain that has a given value: a normalisation, an orthogonality.

    The quadrature is Gauss-Legendre's in every piece of the domain between its breaks.

    Args:
        name: in the loss parts.
        integrand: as in `lambda psi: psi**2`.
        value: of the integral.
        n_nodes: a piece and coordinate.
        weight: in the loss.
    """

    name: str
    integrand: Residual
    value: float
    n_nodes: int = 64
    weight: float = 1.0
    exact: bool = field(default=False, init=False)
    n_sides: int = field(default=0, init=False)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that the integrand asks for, and that of the quadrature's weights."""
        return (*arguments_of(self.integrand, self.name), QUADRATURE)

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return no coordinate: it holds in the interior."""
        return ()

    def require_inside(self, domain: Box) -> None:
        """Accept any domain, over which the integral is taken."""

    def points(self, domain: Box, n_points: int, seed: int) -> np.ndarray:
        """Return the nodes, with their weights as a last column."""
        return np.column_stack(domain.quadrature(self.n_nodes))

    def residual(self, values: Arrays) -> Any:
        """Return the integral minus its value, as one entry."""
        asked = {name: value for name, value in values.items() if name != QUADRATURE}
        return (values[QUADRATURE] * self.integrand(**asked)).sum()[None] - self.value


QUADRATURE = "quadrature_weight"  # the column beside the coordinates: of weights, or of measured values


@dataclass(frozen=True)
class Observations:
    """Measured values of a field at points, for inverse problems and noisy data.

    Args:
        name: in the loss parts.
        of: the field or derivative that was measured.
        where: coordinates of the points (batch, coordinates), in the problem's order.
        measured: values (batch,), read once.
        weight: in the loss.
    """

    name: str
    of: str
    where: np.ndarray
    measured: np.ndarray
    weight: float = 1.0
    exact: bool = field(default=False, init=False)
    n_sides: int = field(default=1, init=False)

    @classmethod
    def simulated(
        cls,
        of: str,
        domain: Box,
        reference: Callable[[np.ndarray], np.ndarray],
        *,
        noise: float,
        n_observations: int,
        seed: int,
    ) -> "Observations":
        """Sample a known solution of one field and add normal noise; the condition is called "measured".

        Args:
            of: the field.
            domain: where it is measured, at Sobol points.
            reference: points (batch, coordinates) to values (batch, 1).
            noise: standard deviation.
            n_observations: measurements.
            seed: of points and noise.

        Raises:
            ValueError: negative noise, or no measurement.
        """
        if n_observations < 1 or not noise >= 0:
            raise ValueError(
                "Arguments `n_observations` and `noise` must be at least 1 and at least 0, but are "
                f"{n_observations} and {noise}."
            )
        where = domain.sample(n_observations, seed)
        errors = noise * np.random.default_rng(seed).standard_normal(n_observations)
        return cls("measured", of, where, reference(where)[:, 0] + errors)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the name of what was measured, and that of the measured values, which stand beside the points."""
        return (self.of, QUADRATURE)

    @property
    def fixed(self) -> tuple[str, ...]:
        """Return no coordinate: it holds in the interior."""
        return ()

    def require_inside(self, domain: Box) -> None:
        """Refuse points outside the domain, and a list of values of another length."""
        domain.require_inside(self.where, f"Condition `{self.name}`")
        if self.measured.shape != (len(self.where),):
            raise ValueError(
                f"Condition `{self.name}` must have one value a point, but has values of shape {self.measured.shape} "
                f"at {len(self.where)} points."
            )

    def points(self, domain: Box, n_points: int, seed: int) -> np.ndarray:
        """Return all points of the measurements, with the measured values as a last column.

        A row thus holds all that its residual needs, and rows may be taken a few at a time.
        """
        return np.column_stack([self.where, self.measured])

    def residual(self, values: Arrays) -> Any:
        """Return the field minus what was measured."""
        return values[self.of] - values[QUADRATURE]


def _jumps(values: Arrays, names: Sequence[str]) -> Any:
    """Subtract the first half of the rows from the second, for every name in turn."""
    import torch

    half = len(values[names[0]]) // 2
    return torch.cat([values[name][half:] - values[name][:half] for name in names])
