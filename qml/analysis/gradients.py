"""The size of a circuit's gradients at random angles, and its decay with the number of qubits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from circuits import Circuit, Observable
from circuits.pictures import ShowsPlot, axes_of
from qml import checks
from qml.analysis._sampling import random_angles, require_samples, with_data_slots_only
from qml.backends import Native

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHUNK_AMPLITUDES = 2**20  # amplitudes of the states whose gradients are taken at once


@dataclass(frozen=True, eq=False)
class GradientVariance:
    """The variances of the derivatives of one expectation value by each weight, at random angles.

    Args:
        n_qubits: Qubits of the circuit.
        variances: Variance for each weight slot, shape (n_weights,).
        standard_errors: Standard errors of the variances, shape (n_weights,).
    """

    n_qubits: int
    variances: np.ndarray
    standard_errors: np.ndarray

    @property
    def mean(self) -> float:
        """Return the mean over the weights."""
        return float(self.variances.mean())


@dataclass(frozen=True, eq=False)
class GradientScaling(ShowsPlot):
    """The mean gradient variance as a function of the number of qubits.

    Args:
        results: Variances at each size.
        base: b of the least-squares line ln Var = ln a - n ln b. A base clearly above 1 is a barren plateau: 2 is a
            global observable after random rotations.
        factor: a.
    """

    results: tuple[GradientVariance, ...]
    base: float
    factor: float

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw variances on a logarithmic axis, with the line."""
        axes = axes_of(ax)
        sizes = np.array([result.n_qubits for result in self.results])
        axes.plot(sizes, [result.mean for result in self.results], "o", label="mean over weights")
        axes.plot(sizes, self.factor * self.base**-sizes, color="black", label=f"{self.factor:.2g} / {self.base:.3g}^n")
        axes.set(xlabel="qubits", ylabel="variance of the gradient", yscale="log")
        axes.legend()
        return axes.figure  # pyright: ignore[reportReturnType]


def gradient_variance(
    circuit: Circuit, observable: Observable, *, n_samples: int = 200, generator: torch.Generator | None = None
) -> GradientVariance:
    """Estimate the variance of d<O>/dw for every weight w, all angles uniform in [0, 2 pi).

    Args:
        circuit: A circuit with weight slots; data slots are drawn too.
        observable: O.
        n_samples: Number of random points.
        generator: Source of the angles.

    Raises:
        ValueError: If there are fewer than 2 samples, the circuit has no weights, or amplitudes come from slots.

    Reference:
        McClean et al., arXiv:1803.11173.
    """
    require_samples(n_samples)
    checks.require_kind(circuit, "circuit", Circuit)
    if circuit.n_weights == 0:
        raise ValueError("Argument `circuit` must have weight slots, but has none. Use circuits.weight for its angles.")
    free, none = with_data_slots_only(circuit), torch.zeros(0, dtype=torch.float64)
    chunk = max(1, CHUNK_AMPLITUDES // 2**circuit.n_qubits)
    parts = []
    for start in range(0, n_samples, chunk):
        angles = random_angles(min(chunk, n_samples - start), free.n_data, generator).requires_grad_()
        total = Native().expectation(free, angles, none, [observable]).sum()
        (grad,) = torch.autograd.grad(total, angles)
        parts.append(grad[:, circuit.n_data :].numpy())
    gradients = np.concatenate(parts)
    squares = (gradients - gradients.mean(0)) ** 2
    errors = squares.std(0, ddof=1) / np.sqrt(n_samples)
    return GradientVariance(circuit.n_qubits, gradients.var(0, ddof=1), errors)


def gradient_scaling(
    make_circuit: Callable[[int], Circuit],
    make_observable: Callable[[int], Observable],
    sizes: Sequence[int],
    *,
    n_samples: int = 200,
    generator: torch.Generator | None = None,
) -> GradientScaling:
    """Run `gradient_variance` over sizes, and fit its decay: the test for a barren plateau.

    Args:
        make_circuit: from the number of qubits to the circuit.
        make_observable: from the number of qubits to the observable.
        sizes: at least two different numbers of qubits.
        n_samples: Number of random points for each size.
        generator: Source of the angles.

    Raises:
        ValueError: If there are fewer than two sizes, a circuit has another size, or a variance is 0, which has no
            logarithm.

    Reference:
        McClean et al., arXiv:1803.11173, figure 3.
    """
    checks.require_function(make_circuit, "make_circuit", "from a number of qubits to a Circuit")
    checks.require_function(make_observable, "make_observable", "from a number of qubits to an Observable")
    sizes = checks.as_ints(sizes, "sizes", 1)
    if len(set(sizes)) < 2:
        raise ValueError(f"Argument `sizes` must hold at least two different numbers of qubits, but is {list(sizes)}.")
    results = tuple(
        gradient_variance(make_circuit(n), make_observable(n), n_samples=n_samples, generator=generator) for n in sizes
    )
    found = tuple(result.n_qubits for result in results)
    if found != sizes:
        raise ValueError(
            f"Argument `make_circuit` must make circuits of {list(sizes)} qubits, as asked, but makes some of "
            f"{list(found)}."
        )
    means = np.array([result.mean for result in results])
    if not (means > 0).all():
        raise ValueError(
            f"The gradient must vary at every size, but its variances are {means}. Choose an observable that depends "
            "on the weights."
        )
    slope, intercept = np.polyfit(np.asarray(sizes, dtype=float), np.log(means), 1)
    return GradientScaling(results, float(np.exp(-slope)), float(np.exp(intercept)))
