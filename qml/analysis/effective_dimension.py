"""The number of directions of its weights that a classifier really uses."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor, nn

from circuits.pictures import ShowsPlot, axes_of
from qml import checks
from qml.analysis._sampling import require_samples

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROUNDING = 1e-4  # by which an expectation value in single precision may be beyond 1
Readout = Literal["logits", "expectation"]


@dataclass(frozen=True, eq=False)
class EffectiveDimension(ShowsPlot):
    """The effective dimension of a model for a number of samples.

    Args:
        value: The dimension, between 0 and the number of parameters for the sizes of data at which it makes sense.
        n_parameters: Number d of trainable numbers.
        eigenvalues: Eigenvalues of the normalised Fisher information (mean trace d) for every drawn set of weights,
            ascending, shape (draws, d).
    """

    value: float
    n_parameters: int
    eigenvalues: np.ndarray

    @property
    def normalised(self) -> float:
        """Return the share of the parameters, value / d."""
        return self.value / self.n_parameters

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw the distribution of the Fisher eigenvalues: many near 0 are flat directions."""
        axes = axes_of(ax)
        axes.hist(self.eigenvalues.reshape(-1), bins=40)
        axes.set(xlabel="eigenvalue of the normalised Fisher information", ylabel="count", yscale="log")
        axes.set_title(f"Effective dimension {self.value:.2f} of {self.n_parameters}")
        return axes.figure  # pyright: ignore[reportReturnType]


def effective_dimension(
    model: nn.Module,
    inputs: Tensor,
    *,
    n_data: int,
    readout: Readout = "logits",
    n_samples: int = 50,
    spread: float = math.pi,
    generator: torch.Generator | None = None,
) -> EffectiveDimension:
    r"""Compute the effective dimension of a classifier, from its Fisher information at random weights.

    d = 2 ln( mean_w sqrt(det(1 + kappa F(w))) ) / ln kappa, with kappa = n / (2 pi ln n) and the Fisher information F
    normalised so that its trace is d on average.

    Args:
        model: maps inputs to class logits, shape (batch, classes), or to <O> in [-1, 1], shape (batch,). It is left as
            it was.
        inputs: a batch of the data, for the mean over inputs.
        n_data: n, the number of samples that the model would be trained on; at least 20, so that kappa is above 1.
        readout: `"logits"` (softmax) or `"expectation"`: the probabilities (1 - <O>)/2 and (1 + <O>)/2.
        n_samples: sets of weights, uniform in [-spread, spread].
        spread: pi for angles.
        generator: Source of the weights.

    Raises:
        ValueError: If there are too few data or samples, the model has no parameters, its outputs have another form,
            or the Fisher information is 0.

    Reference:
        Abbas et al., arXiv:2011.00027, equations 2 and 3, with gamma = 1.
    """
    require_samples(n_samples)
    checks.require_kind(model, "model", nn.Module)
    checks.require_tensor(inputs, "inputs")
    checks.require_finite(inputs, "inputs")
    if inputs.ndim == 0 or len(inputs) == 0:
        raise ValueError(f"Argument `inputs` must hold at least one sample, but has shape {tuple(inputs.shape)}.")
    checks.require_generator(generator)
    n_data = checks.as_int(n_data, "n_data", 20)  # from here on kappa is above 1
    spread = checks.as_number(spread, "spread", above=0.0)
    checks.require_choice(readout, "readout", ("logits", "expectation"))
    parameters = {name: p.detach() for name, p in model.named_parameters() if p.requires_grad}
    n_parameters = sum(p.numel() for p in parameters.values())
    if n_parameters == 0:
        raise ValueError("Argument `model` must have trainable parameters, but has none.")
    with checks.full_precision(inputs):  # under autocast the gradients would be those of 16 bits
        fishers = torch.stack(
            [
                _fisher(model, _drawn(parameters, spread, generator), inputs, readout).double().cpu()
                for _ in range(n_samples)
            ]
        )
    mean_trace = fishers.diagonal(dim1=1, dim2=2).sum(1).mean()
    if mean_trace <= 0:
        raise ValueError("The Fisher information must not vanish, but the outputs do not depend on the weights.")
    eigenvalues = torch.linalg.eigvalsh(n_parameters / mean_trace * fishers).clamp_min(0.0)
    kappa = n_data / (2 * math.pi * math.log(n_data))
    log_roots = 0.5 * torch.log1p(kappa * eigenvalues).sum(1)
    log_mean = torch.logsumexp(log_roots, 0) - math.log(n_samples)
    return EffectiveDimension(2 * log_mean.item() / math.log(kappa), n_parameters, eigenvalues.numpy())


def _drawn(parameters: dict[str, Tensor], spread: float, generator: torch.Generator | None) -> dict[str, Tensor]:
    return {name: torch.empty_like(p).uniform_(-spread, spread, generator=generator) for name, p in parameters.items()}


def _fisher(model: nn.Module, weights: dict[str, Tensor], inputs: Tensor, readout: Readout) -> Tensor:
    """Compute the mean over inputs of sum_c grad(p_c) grad(p_c)^T / p_c; shape (d, d)."""

    def probabilities(values: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        shares = _probabilities(torch.func.functional_call(model, values, (inputs,)), readout)
        return shares, shares

    jacobian, shares = torch.func.jacrev(probabilities, has_aux=True)(weights)
    if not bool(((shares >= -ROUNDING) & (shares <= 1.0 + ROUNDING)).all()):  # NaN too
        raise ValueError(
            "Argument `model` must give finite logits, or expectation values in [-1, 1], but probabilities from "
            f"{float(shares.min()):.3g} to {float(shares.max()):.3g} come of it. Choose another readout, or a smaller "
            "`spread`."
        )
    rows = torch.cat([part.reshape(shares.numel(), -1) for part in jacobian.values()], 1)
    # Where p is 0 its gradient is 0 too; where rounding has made it 0, p is below eps, and grad(p)^2 of that order.
    floor = torch.finfo(shares.dtype).eps
    scaled = rows / shares.reshape(-1, 1).clamp_min(floor).sqrt()
    return scaled.mT @ scaled / len(inputs)


def _probabilities(outputs: Tensor, readout: Readout) -> Tensor:
    if readout == "expectation":
        if outputs.ndim != 1:
            raise ValueError(f"Expectation values must have shape (batch,), but have {tuple(outputs.shape)}.")
        return torch.stack([(1 - outputs) / 2, (1 + outputs) / 2], 1)
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise ValueError(f"Logits must have shape (batch, classes), but have {tuple(outputs.shape)}.")
    return outputs.softmax(1)
