"""Operators learnt from pairs of functions: a branch reads the input function, a trunk the place."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks
from qml.pinn.training.broyden import SSBroyden
from qml.pinn.training.options import OnStep

LARGEST = 1e6  # of a solution: the reaction k u^2 blows up in finite time


class DeepONet(nn.Module):
    """An operator network: G_k(a)(x) = b_k + sum_r branch_kr(a(s_1), ..., a(s_m)) trunk_r(x).

    Branch and trunk are any modules: MLPs, KANs, QKANs, circuits. Several fields share one trunk, and the branch of
    coupled fields reads all input functions together.

    Args:
        branch: (batch, sensors) to (batch, fields times rank).
        trunk: (places, coordinates) to (places, rank).
        n_fields: outputs.
        dtype: of the biases b.

    Shape:
        Samples (batch, sensors) and places (places, coordinates) to (batch, places, fields).

    Attributes:
        biases: b, at first 0.

    Raises:
        TypeError: parts that are no modules, functions that are no tensors.
        ValueError: outputs of branch and trunk that do not fit together, or have different dtypes; samples or places of
            another shape, or with NaN or infinity.

    Reference:
        Lu et al., Nature Machine Intelligence 3 (2021) 218, arXiv:1910.03193, equation 2 ("unstacked"); a single branch
        for coupled fields: arXiv:2507.03660.
    """

    def __init__(
        self, branch: nn.Module, trunk: nn.Module, n_fields: int = 1, *, dtype: torch.dtype | None = None
    ) -> None:
        super().__init__()
        checks.require_kind(branch, "branch", nn.Module)
        checks.require_kind(trunk, "trunk", nn.Module)
        checks.require_precision(dtype)
        self.branch, self.trunk = branch, trunk
        self.n_fields = checks.as_int(n_fields, "n_fields", 1)
        self.biases = nn.Parameter(torch.zeros(self.n_fields, dtype=dtype))

    def forward(self, functions: Float[Tensor, "batch inputs"], places: Float[Tensor, "places coordinates"]) -> Tensor:
        """Return the output functions at the places."""
        for values, name in ((functions, "functions"), (places, "places")):
            checks.require_tensor(values, name)
            if values.ndim != 2:
                raise ValueError(
                    f"Argument `{name}` must have two dimensions, see the class, but has shape {tuple(values.shape)}."
                )
            checks.require_finite(values, name)
        basis, coefficients = self.trunk(places), self.branch(functions)
        if basis.dtype != coefficients.dtype:
            raise ValueError(f"Branch and trunk must have one dtype, but give {coefficients.dtype} and {basis.dtype}.")
        if coefficients.shape[-1] != self.n_fields * basis.shape[-1]:
            raise ValueError(
                f"Argument `branch` must have {self.n_fields} fields times {basis.shape[-1]} outputs, those of the "
                f"trunk, but has {coefficients.shape[-1]}."
            )
        coefficients = coefficients.unflatten(-1, (self.n_fields, basis.shape[-1]))
        return torch.einsum("nkr,pr->npk", coefficients, basis) + self.biases


@dataclass(frozen=True)
class OperatorData:
    """Pairs of functions on fixed sensors and places.

    Attributes:
        functions: the inputs at the sensors, (samples, sensors).
        places: coordinates of the outputs, (places, coordinates).
        values: the outputs there, (samples, places, fields).

    Raises:
        TypeError: a part that is no array of real numbers.
        ValueError: shapes that do not fit together, no samples, NaN or infinity.
    """

    functions: np.ndarray
    places: np.ndarray
    values: np.ndarray

    def __post_init__(self) -> None:
        for name in ("functions", "places", "values"):
            part = getattr(self, name)
            if not isinstance(part, np.ndarray) or part.dtype.kind not in "fiu":
                raise TypeError(f"Argument `{name}` must be an array of real numbers, but is {checks.shown(part)}.")
            if not np.isfinite(part).all():
                raise ValueError(f"Argument `{name}` must be finite, but holds NaN or infinity.")
        shapes = self.functions.shape, self.places.shape, self.values.shape
        if (
            [len(shape) for shape in shapes] != [2, 2, 3]
            or shapes[2][:2] != (shapes[0][0], shapes[1][0])
            or not all(map(math.prod, shapes))
        ):
            raise ValueError(
                "Arguments `functions`, `places` and `values` must have shapes (samples, sensors), (places, "
                f"coordinates) and (samples, places, fields), none of them empty, but have {shapes}."
            )


def train_operator(
    model: DeepONet,
    data: OperatorData,
    *,
    n_steps: int,
    learning_rate: float = 1e-2,
    n_polish: int = 0,
    on_step: OnStep | None = None,
) -> list[float]:
    """Train by Adam on all pairs, with a learning rate that falls to a hundredth, and then by SSBroyden.

    The loss is the squared error, as a share of the mean square of the values. The self-scaled Broyden method, see
    `Polish`, takes the error one to two digits further in the same time; it keeps a square matrix of the
    number of weights.

    Args:
        model: in float64 where it is polished.
        data: the pairs.
        n_steps: of Adam.
        learning_rate: of Adam's first step.
        n_polish: steps of SSBroyden after Adam, fewer where none lowers the loss any more.
        on_step: told the share that is done and the loss.

    Returns:
        The losses, at the weights before each step of Adam and after each step of SSBroyden.

    Raises:
        ValueError: another number of fields than the model's, values that are all 0, no steps, a learning rate that is
            not positive, a polish without weights in float64, or a loss that is not finite any more.
    """
    n_steps, n_polish = checks.as_int(n_steps, "n_steps", 1), checks.as_int(n_polish, "n_polish", 0)
    learning_rate = checks.as_number(learning_rate, "learning_rate", above=0.0)
    _require_fields(model, data)
    like = model.biases
    trained = [part for part in model.parameters() if part.requires_grad]
    if n_polish and any(part.dtype != torch.float64 for part in trained):
        raise ValueError("Argument `model` must have weights in float64 for `n_polish`. Call `model.double()` first.")
    functions, places, values = (
        torch.as_tensor(part, dtype=like.dtype, device=like.device)
        for part in (data.functions, data.places, data.values)
    )
    scale = float(values.square().mean())

    def loss_now() -> Tensor:
        return (model(functions, places) - values).square().mean() / scale

    def loss_and_gradient() -> tuple[float, Tensor]:
        loss = loss_now()
        gradients = torch.autograd.grad(loss, trained, allow_unused=True, materialize_grads=True)
        return loss.item(), torch.cat([part.flatten() for part in gradients])

    losses = _train_by_adam(trained, loss_now, n_steps, learning_rate, n_steps + n_polish, on_step)
    broyden = SSBroyden(trained, loss_and_gradient)
    for _ in range(n_polish):
        if not broyden.step():
            break
        losses.append(broyden.loss)
        if on_step is not None:
            on_step(len(losses) / (n_steps + n_polish), f"SSBroyden, loss {losses[-1]:.1e}")
    return losses


def _train_by_adam(
    trained: Sequence[Tensor],
    loss_now: Callable[[], Tensor],
    n_steps: int,
    learning_rate: float,
    n_all: int,
    on_step: OnStep | None,
) -> list[float]:
    optimizer = torch.optim.Adam(trained, learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / max(1, n_steps)))
    losses = []
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss = loss_now()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise ValueError(
                f"The loss must stay finite, but is {losses[-1]} at step {len(losses)}. Use a smaller `learning_rate`."
            )
        if on_step is not None:
            on_step(len(losses) / n_all, f"Adam, loss {losses[-1]:.1e}")
    return losses


def operator_error(model: DeepONet, data: OperatorData) -> float:
    """Return the mean over samples of the relative L2 error of the output functions.

    Raises:
        ValueError: another number of fields than the model's, or an output function that is 0.
    """
    _require_fields(model, data)
    like = model.biases
    with torch.no_grad():
        found = model(
            torch.as_tensor(data.functions, dtype=like.dtype, device=like.device),
            torch.as_tensor(data.places, dtype=like.dtype, device=like.device),
        )
    difference = found.double().cpu().numpy() - data.values
    sizes = np.linalg.norm(data.values, axis=(1, 2))
    if not sizes.all():
        raise ValueError("Argument `data` must have output functions with a scale, but one is 0 everywhere.")
    return float((np.linalg.norm(difference, axis=(1, 2)) / sizes).mean())


def _require_fields(model: DeepONet, data: OperatorData) -> None:
    n_fields = data.values.shape[2]
    if n_fields != model.n_fields:
        raise ValueError(f"Argument `data` must have {model.n_fields} fields, as the model, but has {n_fields}.")
    if not data.values.any():
        raise ValueError("Argument `data` must have output functions with a scale, but all are 0 everywhere.")


def reaction_diffusion(
    n_samples: int,
    *,
    seed: int,
    n_sensors: int = 32,
    n_places: int = 16,
    n_cells: int = 64,
    diffusivity: float = 0.01,
    rate: float = 0.01,
    modes: Sequence[int] = (1, 2, 3, 4),
) -> OperatorData:
    """Solve u_t = D u_xx + k u^2 + f(x) on [0, 1]^2, zero at t = 0 and at both ends, for random sources f.

    f = sum_n c_n sin(n pi x) with normal c_n / n. Crank and Nicolson's steps take the reaction explicitly (second-order
    Adams-Bashforth) on a grid of `n_cells` cells.

    Args:
        n_samples: pairs.
        seed: of the sources.
        n_sensors: places at which f is read.
        n_places: along x and along t at which u is given.
        n_cells: of the grid; there are four times as many steps of time.
        diffusivity: D.
        rate: k.
        modes: n, whole numbers from 1 on.

    Raises:
        ValueError: a number that is too small, or a solution that grows beyond all numbers.

    Reference:
        The task of arXiv:1910.03193, section 4.4, and arXiv:2507.03660.
    """
    n_samples, n_sensors = checks.as_int(n_samples, "n_samples", 1), checks.as_int(n_sensors, "n_sensors", 1)
    n_cells, n_places = checks.as_int(n_cells, "n_cells", 2), checks.as_int(n_places, "n_places", 2)
    diffusivity, rate = checks.as_number(diffusivity, "diffusivity", at_least=0.0), checks.as_number(rate, "rate")
    modes = checks.as_ints(modes, "modes", 1)
    rng = np.random.default_rng(seed)
    sizes = rng.standard_normal((n_samples, len(modes))) / np.array(modes)
    grid = np.linspace(0, 1, n_cells + 1)
    source = (sizes @ np.sin(np.pi * np.outer(modes, grid)))[:, 1:-1]
    n_steps = 4 * n_cells
    step, inner = 1 / n_steps, n_cells - 1
    second = (np.eye(inner, k=1) + np.eye(inner, k=-1) - 2 * np.eye(inner)) * n_cells**2
    backward = np.linalg.inv(np.eye(inner) - step / 2 * diffusivity * second)
    forward = np.eye(inner) + step / 2 * diffusivity * second
    u, before = np.zeros((n_samples, inner)), np.zeros((n_samples, inner))
    history = [u]
    for index in range(n_steps):
        if not np.abs(u).max() < LARGEST:
            raise ValueError(
                f"Arguments `rate` and `diffusivity` must keep u finite, but at t = {index * step:.3g} it is beyond "
                f"{LARGEST:g}. Choose a smaller `rate`."
            )
        reaction = rate * u**2
        mixed = reaction if index == 0 else 1.5 * reaction - 0.5 * before
        u, before = (u @ forward.T + step * (mixed + source)) @ backward.T, reaction
        history.append(u)
    whole = np.pad(np.array(history), ((0, 0), (0, 0), (1, 1)))  # (times, samples, grid)
    columns = np.linspace(0, n_cells, n_places).round().astype(int)
    rows = np.linspace(0, n_steps, n_places).round().astype(int)
    x, t = np.meshgrid(grid[columns], rows * step)
    values = whole[rows][:, :, columns].transpose(1, 0, 2).reshape(n_samples, -1, 1)
    functions = sizes @ np.sin(np.pi * np.outer(modes, np.linspace(0, 1, n_sensors)))
    return OperatorData(functions, np.column_stack([x.ravel(), t.ravel()]), values)
