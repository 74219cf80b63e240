"""A network that writes the weights of a small solver: from an equation's coefficients and source to its solution."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.pinn.model import EDGE_ROUNDING
from qml.pinn.solvers.linear_family import SQUARE, TERMS, LinearFamily
from qml.pinn.trunks.dense import MLP

N_IN = 2


class HyperNetwork(nn.Module):
    """Network from a linear equation on [0, 1]^2, its coefficients and its source on a grid, to the weights of an MLP.

    The MLP N has tanh units, and u = 16 x (1 - x) y (1 - y) N(2 x - 1, 2 y - 1) is the solution, which is 0 on all
    sides. Sources are read divided by their root mean square s, and u is multiplied by s.

    Args:
        hidden_sizes: of the hypernetwork itself.
        solver_sizes: of the hidden layers whose weights it writes.
        n_grid: places along each side at which the source is read, without the sides.
        dtype: of its parameters.
        generator: of the first weights; None takes torch's own.

    Shape:
        Coefficients (batch, 5) and sources (batch, n_grid^2) to weights (batch, weights).

    Attributes:
        body: the MLP that writes; its last biases begin as the weights of an MLP, its last weights small.

    Reference:
        HyPINO, arXiv:2509.05117: the operator, samples with chosen solutions, and refinement. There a Swin transformer
        reads sources and boundaries of any shape; here an MLP reads sources alone.
    """

    def __init__(
        self,
        hidden_sizes: int | Sequence[int] = (64, 64),
        *,
        solver_sizes: int | Sequence[int] = (16, 16),
        n_grid: int = 8,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        self.n_grid = checks.as_int(n_grid, "n_grid", 2)
        self.sizes = (N_IN, *checks.as_widths(solver_sizes, "solver_sizes"), 1)
        n_weights = sum((size + 1) * following for size, following in pairwise(self.sizes))
        self.body = MLP(len(TERMS) + self.n_grid**2, hidden_sizes, n_weights, dtype=dtype, generator=generator)
        first = MLP(N_IN, self.sizes[1:-1], dtype=dtype, generator=generator)
        with torch.no_grad():
            last = self.body.layers[-1]
            last.weight.mul_(0.1)  # pyright: ignore[reportCallIssue]
            last.bias.copy_(nn.utils.parameters_to_vector(first.parameters()))  # pyright: ignore[reportCallIssue]

    @property
    def places(self) -> Float[np.ndarray, "places 2"]:
        """Return where the source is read, the last coordinate fastest."""
        axis = np.arange(1, self.n_grid + 1) / (self.n_grid + 1)
        return np.stack(np.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)

    def forward(self, coefficients: Float[Tensor, "batch inputs"], sources: Float[Tensor, "batch places"]) -> Tensor:
        """Return the weights of the solvers, (batch, weights), for sources of a root mean square of 1."""
        if coefficients.shape[-1] != len(TERMS) or sources.shape[-1] != self.n_grid**2:
            raise ValueError(
                f"Arguments `coefficients` and `sources` must have {len(TERMS)} and {self.n_grid**2} columns, but have "
                f"{coefficients.shape[-1]} and {sources.shape[-1]}."
            )
        return self.body(torch.cat([coefficients, sources], -1))  # pyright: ignore[reportReturnType]

    def solver(self, weights: Float[Tensor, " weights"]) -> MLP:
        """Return the MLP of a sample's weights, for coordinates 2 x - 1 and 2 y - 1, to be trained further."""
        solver = MLP(N_IN, self.sizes[1:-1], dtype=weights.dtype, device=weights.device)
        with torch.no_grad():
            nn.utils.vector_to_parameters(weights.detach(), solver.parameters())
        return solver

    def evaluate(self, weights: Float[Tensor, "batch weights"], points: Float[Tensor, "points 2"]) -> dict[str, Tensor]:
        """Return u, u_x, u_y, u_xx and u_yy of each sample at points, (batch, points)."""
        x, y = points.T
        ones, zeros = torch.ones_like(x), torch.zeros_like(x)
        start = torch.stack([2 * points - 1, 2 * torch.stack([ones, zeros], 1), 2 * torch.stack([zeros, ones], 1)])
        hidden = torch.cat([start, torch.zeros_like(start[:2])])[:, None]  # u, u_x, u_y, u_xx, u_yy of both inputs
        begin = 0
        for index, (size, following) in enumerate(pairwise(self.sizes)):
            matrix = weights[:, begin : begin + size * following].unflatten(1, (following, size))
            bias = weights[:, begin + size * following : begin + (size + 1) * following]
            begin += (size + 1) * following
            hidden = hidden @ matrix.mT
            hidden = torch.cat([hidden[:1] + bias[:, None], hidden[1:]])
            if index < len(self.sizes) - 2:
                hidden = _tanh(hidden)
        n, n_x, n_y, n_xx, n_yy = hidden[..., 0]
        a, b = 4 * x * (1 - x), 4 * y * (1 - y)
        a_x, b_y = 4 - 8 * x, 4 - 8 * y
        return {
            "u": a * b * n,
            "u_x": b * (a_x * n + a * n_x),
            "u_y": a * (b_y * n + b * n_y),
            "u_xx": b * (a * n_xx + 2 * a_x * n_x - 8 * n),
            "u_yy": a * (b * n_yy + 2 * b_y * n_y - 8 * n),
        }


@dataclass(frozen=True)
class RefinedSolution:
    """Solutions of a family's samples: sums of networks, each for what the ones before have left of the source.

    Attributes:
        network: the hypernetwork.
        weights: of each round, (samples, weights).
        scales: of each round, (samples,).
        residuals: root mean square of what is left of the source after each round, (rounds + 1, samples), as a share.
    """

    network: HyperNetwork
    weights: tuple[Tensor, ...]
    scales: tuple[Tensor, ...]
    residuals: np.ndarray

    def predict(self, points: Float[np.ndarray, "points 2"], n_rounds: int | None = None) -> np.ndarray:
        """Return u after some rounds of refinement, None for all: (samples, points).

        Raises:
            ValueError: more rounds than there were, or points outside [0, 1]^2.
        """
        SQUARE.require_inside(np.asarray(points), "Argument `points`", slack=EDGE_ROUNDING)
        stop = len(self.weights) if n_rounds is None else 1 + checks.as_int(n_rounds, "n_rounds", 0)
        if stop > len(self.weights):
            raise ValueError(f"Argument `n_rounds` must be at most {len(self.weights) - 1}, but is {n_rounds}.")
        with torch.no_grad():
            at = _tensor(points, self.weights[0])
            total = _applied(self.network, self.weights[:stop], self.scales[:stop], at)["u"]
        return total.double().cpu().numpy()

    def relative_l2(self, family: LinearFamily, points: np.ndarray, n_rounds: int | None = None) -> np.ndarray:
        """Return ||u - solution|| / ||solution|| of each sample."""
        expected = family.solution(points)
        return np.linalg.norm(self.predict(points, n_rounds) - expected, axis=1) / np.linalg.norm(expected, axis=1)


def train_hypernetwork(
    network: HyperNetwork,
    family: LinearFamily,
    *,
    n_steps: int,
    batch_size: int = 32,
    n_points: int = 64,
    learning_rate: float = 2e-3,
    solution_weight: float = 100.0,
    seed: int = 0,
) -> list[float]:
    """Train by Adam on samples whose solutions are known; return the losses.

    The loss is the mean square of L u - f at random points plus `solution_weight` times that of the error of u. The
    learning rate falls to a hundredth.
    """
    n_steps, batch_size = checks.as_int(n_steps, "n_steps", 0), checks.as_int(batch_size, "batch_size", 1)
    n_points = checks.as_int(n_points, "n_points", 1)
    checks.as_number(learning_rate, "learning_rate", above=0)
    rng = np.random.default_rng(seed)
    like = next(network.parameters())
    sources = family.source(network.places)
    sizes = np.sqrt((sources**2).mean(1, keepdims=True))
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / max(1, n_steps)))
    losses = []
    for _ in range(n_steps):
        rows = rng.choice(len(family), min(batch_size, len(family)), replace=False)
        part = LinearFamily(family.coefficients[rows], family.amplitudes[rows] / sizes[rows][..., None])
        points = rng.random((n_points, 2))
        c, read, wanted, known = (
            _tensor(array, like)
            for array in (part.coefficients, sources[rows] / sizes[rows], part.source(points), part.solution(points))
        )
        values = network.evaluate(network(c, read), _tensor(points, like))
        loss = (_operator(c, values) - wanted).square().mean()
        loss = loss + solution_weight * (values["u"] - known).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return losses


def solve_by_hypernetwork(network: HyperNetwork, family: LinearFamily, *, n_rounds: int = 0) -> RefinedSolution:
    """Solve samples by one pass of the hypernetwork, and refine: it solves again for what is left of the source.

    Each round is u <- u + v with L v = f - L u, which holds since the equation is linear. The amplitudes of the family
    are read for the source on the grid alone.
    """
    n_rounds = checks.as_int(n_rounds, "n_rounds", 0)
    like = next(network.parameters())
    places, c = _tensor(network.places, like), _tensor(family.coefficients, like)
    source = _tensor(family.source(network.places), like)
    left, weights, scales = source, list[Tensor](), list[Tensor]()
    sizes = [left.square().mean(1).sqrt()]
    tiny = torch.finfo(like.dtype).tiny
    with torch.no_grad():
        for _ in range(n_rounds + 1):
            scale = sizes[-1].clamp_min(tiny)
            weights.append(network(c, left / scale[:, None]))
            scales.append(scale)
            left = source - _operator(c, _applied(network, weights, scales, places))
            sizes.append(left.square().mean(1).sqrt())
    shares = torch.stack(sizes[1:]) / sizes[0]
    return RefinedSolution(network, tuple(weights), tuple(scales), shares.double().cpu().numpy())


def _applied(
    network: HyperNetwork, weights: Sequence[Tensor], scales: Sequence[Tensor], points: Tensor
) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for one, scale in zip(weights, scales, strict=True):
        for name, value in network.evaluate(one, points).items():
            total[name] = total[name] + scale[:, None] * value if name in total else scale[:, None] * value
    return total


def _operator(coefficients: Tensor, values: dict[str, Tensor]) -> Tensor:
    return torch.stack([c[:, None] * values[name] for c, name in zip(coefficients.T, TERMS, strict=True)]).sum(0)


def _tanh(data: Tensor) -> Tensor:
    """Apply tanh to a value, its first and its pure second derivatives, stacked."""
    value = torch.tanh(data[0])
    slope = 1 - value * value
    firsts, seconds = data[1:3], data[3:]
    return torch.cat([value[None], slope * firsts, slope * seconds - 2 * value * slope * firsts * firsts])


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.as_tensor(array, dtype=like.dtype, device=like.device)
