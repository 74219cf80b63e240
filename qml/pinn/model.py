"""A trunk with the trainable scalars of a problem, which is trained and then evaluated."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.jets.jet import JET_ORDER, TOWER_ORDER, Array, Jet, JetError
from qml.pinn.conditions import QUADRATURE
from qml.pinn.derivatives import by_forward, by_jets, by_nesting, carried_by_jets, without_jets
from qml.pinn.names import Derivative, Wanted, arguments_of
from qml.pinn.problem import Problem

DERIVATIVES = ("auto", "jets", "nested", "forward")
PROBE_SEED = 0
N_PROBES = 3
EDGE_ROUNDING = 1e-6  # of an interval, by which single precision may miss its end
# Allowed differences of rows computed one by one and together, and of exact conditions: rounding of a deep network.
ROUNDING = {torch.float64: 1e-9, torch.float32: 1e-3}


class Pinn(nn.Module):
    """A network that stands for the fields of a problem.

    Args:
        problem: the problem.
        trunk: any module from (batch, features) to (batch, fields) that treats each row by itself. Its parameters give
            the dtype and the device.
        derivatives: "jets" moves first and second derivatives through the trunk with the values, and u_xxx and u_xxxx
            where the trunk has a rule for them, as all but circuits; "nested" takes reverse
            passes of reverse passes and knows no limit of order or module, "forward" nests torch.func's forward mode,
            which other transforms of torch.func may enclose, "auto" takes jets where they can be had, else "nested".

    Fields that are odd in a coordinate (`Problem.odd`) are solved for on one half, and a model continues them to the
    other. Beyond the domain a call and `evaluate` extrapolate, as torch's modules do, and `predict` refuses.

    Shape:
        (batch, coordinates) to (batch, fields).

    Attributes:
        scalars: the trainable scalars by name.
        derivatives: "jets", "nested" or "forward", the way in use. Jets that "auto" chose give way to "nested" once a
            layer has lost its rule, as a circuit that moved to another backend.

    Raises:
        ValueError: a trunk of other sizes, or one whose rows depend on each other; jets asked for where there are none;
            a condition that is declared exact and is not.
    """

    def __init__(self, problem: Problem, trunk: nn.Module, *, derivatives: str = "auto") -> None:
        super().__init__()
        checks.require_kind(problem, "problem", Problem)
        checks.require_kind(trunk, "trunk", nn.Module)
        checks.require_choice(derivatives, "derivatives", tuple(DERIVATIVES))
        self.problem, self.trunk = problem, trunk
        like = next((part for part in trunk.parameters() if part.is_floating_point()), torch.zeros(()))
        self.scalars = nn.ParameterDict(
            {
                name: nn.Parameter(torch.tensor(float(value), dtype=like.dtype, device=like.device))
                for name, value in problem.scalars.items()
            }
        )
        self.on_scalar: Callable[[str, Tensor], None] | None = None  # told of each use, by who records all layers too
        self.derivatives, self._may_change = "nested", derivatives == "auto"
        self._takes_towers: bool | None = None  # found when they are first asked for
        self._require_rows()
        reason = self._why_no_jets()
        if derivatives == "jets" and reason:
            raise ValueError(f"Argument `derivatives` must be 'nested' or 'auto' here, but is 'jets': {reason}")
        best = "nested" if reason else "jets"
        self.derivatives = best if derivatives == "auto" else derivatives
        self._require_exact()

    def forward(self, points: Float[Tensor, "batch inputs"]) -> Float[Tensor, "batch outputs"]:
        """Return the fields at points; beyond the domain they are extrapolated."""
        return torch.stack([_as_tensor(column) for column in self.columns_at(points).values()], -1)

    def evaluate(self, points: Float[Tensor | np.ndarray, "batch inputs"], names: Sequence[str]) -> dict[str, Tensor]:
        """Return fields, derivatives, operators, coordinates and scalars by name, as (batch,) tensors.

        Args:
            points: coordinates in the problem's order, a tensor or an array such as `problem.domain.grid(50)`;
                quadrature weights may stand in one more column.
            names: as in ("u", "u_xx", "x").
        """
        names = checks.as_texts(names, "names")
        points = self.as_points(points) if isinstance(points, np.ndarray) else points
        places, signs = self._folded(points[:, : len(self.problem.coordinates)])
        derivatives = self._differentiate(_as_tensor(places), self._derivatives(names))
        return self._named(points, names, self._continued(derivatives, signs))

    def evaluate_both(
        self, points: Float[Tensor, "batch inputs"], names: Sequence[str], others: Float[Tensor, "more inputs"]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Evaluate names at points, and the fields alone at other points, in one pass if the trunk has one for both."""
        fields, wanted, plain = self.problem.fields, self._derivatives(names), []

        def both(start: Array) -> Mapping[str, Array]:
            jet, values = self.trunk(start, places)
            plain.append(values)
            return self._constructed(start, jet)

        if not (self._fuses_layers and self.derivatives == "jets" and 0 < _highest(wanted) <= JET_ORDER):
            return self.evaluate(points, names), self.evaluate(others, fields)
        first, first_signs = self._folded(points[:, : len(self.problem.coordinates)])
        places, signs = self._folded(others)
        derivatives = by_jets(both, _as_tensor(first), self.problem.coordinates, wanted)
        columns = _mirrored(self._constructed(places, plain[0]), signs)
        named = self._named(points, names, self._continued(derivatives, first_signs))
        return named, {name: _as_tensor(columns[name]) for name in fields}

    def predict(self, points: np.ndarray) -> np.ndarray:
        """Return the fields at points (batch, coordinates), as an array (batch, fields) in float64.

        Raises:
            ValueError: points of another shape, with NaN, or outside the domain, where nothing was solved; a call of
                the model extrapolates to them. Fields that are odd are known on both halves.
        """
        self.problem.whole.require_inside(
            np.asarray(points),
            "Argument `points`",
            slack=EDGE_ROUNDING,
            remedy=" No equation was solved there: to extrapolate, call the model on `model.as_points(points)`.",
        )
        with torch.no_grad():
            return self(self.as_points(points)).double().cpu().numpy()

    def as_points(self, points: np.ndarray) -> Tensor:
        """Return an array as a tensor in the dtype and on the device of the trunk."""
        like = next((part for part in self.trunk.parameters() if part.is_floating_point()), torch.zeros(()))
        return torch.as_tensor(points, dtype=like.dtype, device=like.device)

    def found_scalars(self) -> dict[str, float]:
        """Return the trainable scalars as numbers."""
        return {name: float(value.detach()) for name, value in self.scalars.items()}

    def _scalar(self, name: str, n_rows: int) -> Tensor:
        """Copy a scalar for each row, so that derivatives of single rows can be told apart."""
        copies = self.scalars[name].expand(n_rows)
        if self.on_scalar is not None:
            self.on_scalar(name, copies)
        return copies

    def _derivatives(self, names: Sequence[str]) -> list[Wanted]:
        """Return the fields, derivatives and operators among names, and refuse unbound names."""
        problem, wanted = self.problem, []
        for name in names:
            item = problem.derivative(name)
            if item is not None:
                wanted.append(item)
            elif name not in problem.scalars and name not in problem.coordinates and name != QUADRATURE:
                raise ValueError(f"Argument `names` must name what {problem.name!r} has, but `{name}` is unbound.")
        return wanted

    def _named(self, points: Tensor, names: Sequence[str], derivatives: Mapping[Wanted, Tensor]) -> dict[str, Tensor]:
        """Return the values of names, once the derivatives are known."""
        coordinates, values = self.problem.coordinates, {}
        for name in names:
            item = self.problem.derivative(name)
            if item is not None:
                values[name] = derivatives[item]
            elif name in self.problem.scalars:
                values[name] = self._scalar(name, len(points))
            else:
                values[name] = points[:, len(coordinates) if name == QUADRATURE else coordinates.index(name)]
        return values

    def _differentiate(self, points: Tensor, wanted: Sequence[Wanted]) -> dict[Wanted, Tensor]:
        highest = _highest(wanted)
        if highest == 0:
            columns = self._fields(points) if wanted else {}
            return {item: _as_tensor(columns[item.field]) for item in wanted}
        if self.derivatives == "jets" and self.takes_jets_of(wanted):
            try:
                return by_jets(self._fields, points, self.problem.coordinates, wanted, fused=self.on_scalar is None)
            except JetError:  # a layer that has moved to another backend, or precision
                if not self._may_change or self.on_scalar is not None:
                    raise
                self.derivatives = "nested"
        by = by_forward if self.derivatives == "forward" else by_nesting
        return by(self._fields, points, self.problem.coordinates, wanted)

    def columns_at(self, points: Array) -> Mapping[str, Array]:
        """Return the fields by name, (batch,) each, at points (batch, coordinates); their jets at a jet of points."""
        places, signs = self._folded(points)
        return _mirrored(self._fields(places), signs)

    def _folded(self, points: Array) -> tuple[Array, Tensor | None]:
        """Return points moved to the half that odd fields are solved on, and the sign of the fields at each.

        The signs are constants, so that derivatives at the middle are those of the solution.
        """
        if self.problem.odd is None:
            return points, None
        columns = list(_columns(points))
        index = self.problem.coordinates.index(self.problem.odd)
        folded = columns[index]
        values = (folded.value if isinstance(folded, Jet) else folded).detach()
        signs = torch.where(values < 0, -1.0, 1.0).to(values.dtype)
        columns[index] = folded * signs
        return torch.stack(columns, -1), signs  # pyright: ignore[reportArgumentType, reportCallIssue] - jets take it

    def _continued(self, derivatives: dict[Wanted, Tensor], signs: Tensor | None) -> dict[Wanted, Tensor]:
        """Return derivatives at the points from those at folded ones: odd orders by the odd coordinate are even."""
        axis = self.problem.odd
        if signs is None or axis is None:
            return derivatives
        return {
            item: values if item.terms[0][0].count(axis) % 2 else values * signs for item, values in derivatives.items()
        }

    def takes_jets_of(self, wanted: Sequence[Wanted]) -> bool:
        """Return True if jets carry these derivatives, and the trunk moves them: circuits stop at the second order."""
        if not all(map(carried_by_jets, wanted)):
            return False
        if _highest(wanted) <= JET_ORDER:
            return True
        if self._takes_towers is None:
            self._takes_towers = not self._refusal_of(TOWER_ORDER)
        return self._takes_towers

    @property
    def _fuses_layers(self) -> bool:
        """Return True if the trunk meets the coordinates themselves and has one function for all its layers."""
        free = self.on_scalar is None and self.problem.features is None
        return free and getattr(self.trunk, "fuses_layers", False)

    def _fields(self, points: Array) -> Mapping[str, Array]:
        features = points
        if self.problem.features is not None:
            columns = dict(zip(self.problem.coordinates, _columns(points), strict=True))
            asked = arguments_of(self.problem.features, "features")
            features = torch.stack(self.problem.features(**{name: columns[name] for name in asked}), -1)
        outputs = self.trunk(features)
        expected = (*features.shape[:-1], len(self.problem.fields))
        if tuple(outputs.shape) != expected:
            raise ValueError(
                f"Argument `trunk` must map {tuple(features.shape)} to {expected}, one output a field "
                f"({', '.join(self.problem.fields)}), but maps it to {tuple(outputs.shape)}."
            )
        return self._constructed(points, outputs)

    def _constructed(self, points: Array, outputs: Array) -> Mapping[str, Array]:
        """Make the fields from the trunk's outputs."""
        fields = dict(zip(self.problem.fields, _columns(outputs), strict=True))
        if self.problem.trial is None:
            return fields
        known = dict(zip(self.problem.coordinates, _columns(points), strict=True)) | fields
        columns = self.problem.trial(**{name: known[name] for name in arguments_of(self.problem.trial, "trial")})
        return dict(zip(self.problem.fields, columns if isinstance(columns, tuple) else (columns,), strict=True))

    def _why_no_jets(self) -> str:
        """Return the reason why jets give no derivatives here; empty where they do."""
        part = without_jets(self.trunk)
        if part is not None:
            return f"{type(part).__name__} has no rule for jets."
        return self._refusal_of(JET_ORDER)

    def _refusal_of(self, order: int) -> str:
        """Return the reason why jets give no derivative of this order; empty where they do."""
        item = Derivative(self.problem.fields[0], (self.problem.coordinates[0],) * order)
        try:
            with torch.no_grad():
                by_jets(self._fields, self._probes(), self.problem.coordinates, [item])
        except JetError as error:
            return str(error)
        return ""

    def _probes(self) -> Tensor:
        return self.as_points(self.problem.domain.sample(N_PROBES, PROBE_SEED))

    def _require_rows(self) -> None:
        with torch.no_grad():
            probes = self._probes()
            together = self(probes)
            apart = torch.cat([self(row[None]) for row in probes])
        limit = ROUNDING.get(together.dtype, ROUNDING[torch.float32]) * (1 + float(together.abs().max()))
        difference = float((together - apart).abs().max())
        if not difference <= limit:
            raise ValueError(
                f"Argument `trunk` must treat every row by itself, and alike each time, but its outputs for {N_PROBES} "
                f"points together and apart differ by {difference:.2g}. Leave out batch normalisation and dropout."
            )

    def _require_exact(self) -> None:
        for condition in self.problem.conditions:
            if not condition.exact:
                continue
            points = self.as_points(condition.points(self.problem.domain, N_PROBES, PROBE_SEED))
            with torch.no_grad():
                residual = condition.residual(self.evaluate(points, condition.names))
            worst = float(residual.detach().abs().max())
            if not worst <= ROUNDING.get(residual.dtype, ROUNDING[torch.float32]):
                raise ValueError(
                    f"Condition `{condition.name}` must hold exactly by the trial functions or features of "
                    f"{self.problem.name!r}, but leaves a residual of {worst:.2g}. Mend these, or leave out exact=True."
                )


def _highest(wanted: Sequence[Wanted]) -> int:
    """Return the highest order."""
    return max((item.order for item in wanted), default=0)


def _mirrored(columns: Mapping[str, Array], signs: Tensor | None) -> Mapping[str, Array]:
    """Return fields with the signs of an odd continuation."""
    return columns if signs is None else {name: column * signs for name, column in columns.items()}


def _columns(points: Array) -> Sequence[Array]:
    if isinstance(points, Jet):
        return points.columns()
    return (points.squeeze(-1),) if points.shape[-1] == 1 else points.unbind(-1)


def _as_tensor(column: Array) -> Tensor:
    if not isinstance(column, Tensor):
        raise TypeError("Argument `points` must be a tensor.")
    return column
