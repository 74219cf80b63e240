"""The part of the space of states that an ansatz reaches, and the entanglement of those states."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Complex
from torch import Tensor

from circuits import Circuit, X, Y, Z
from circuits.pictures import ShowsPlot, axes_of
from qml import checks
from qml.analysis._sampling import random_angles, require_samples, with_data_slots_only
from qml.backends import Native

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CHUNK_AMPLITUDES = 2**22  # amplitudes of the states that are held at once
CHUNK_SAMPLES = 128  # of circuits that are too wide for states
NORM_TOLERANCE = 10.0  # roots of the rounding: 1e-7 in double precision, 3e-3 in single
MAX_PAIR_QUBITS = 30  # of a circuit whose states are compared
MAX_STATE_QUBITS = 16  # of a circuit whose entanglement is read from its state


@dataclass(frozen=True, eq=False)
class Expressibility(ShowsPlot):
    """The distribution of fidelities between random states of an ansatz, beside that of Haar-random states.

    Args:
        divergence: sum_k p_k ln(p_k / q_k) >= 0, in nats; 0 for an ansatz that covers the states evenly. With s
            samples and k bins even Haar-random states give about (k - 1) / (2 s).
        edges: Edges of the bins of the fidelity, in [0, 1], shape (n_bins + 1,).
        observed: Share of the samples in each bin, p_k.
        haar: Share of Haar-random states in each bin, q_k.
    """

    divergence: float
    edges: np.ndarray
    observed: np.ndarray
    haar: np.ndarray

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw both distributions as steps."""
        axes = axes_of(ax)
        axes.stairs(self.observed, self.edges, fill=True, alpha=0.4, label="ansatz")
        axes.stairs(self.haar, self.edges, color="black", label="Haar-random")
        axes.set(xlabel="fidelity of two random states", ylabel="share of pairs", yscale="log")
        axes.set_title(f"Divergence {self.divergence:.3g} nats")
        axes.legend()
        return axes.figure  # pyright: ignore[reportReturnType]


@dataclass(frozen=True, eq=False)
class EntanglingCapability(ShowsPlot):
    """The Meyer-Wallach measure over random states of an ansatz.

    Args:
        mean: Mean of the measure, in [0, 1]: 0 for product states, 1 where every qubit is maximally mixed.
        standard_error: Standard error of the mean.
        values: The measure of every sampled state.
    """

    mean: float
    standard_error: float
    values: np.ndarray

    def plot(self, ax: "Axes | None" = None) -> "Figure":
        """Draw a histogram of the measure."""
        axes = axes_of(ax)
        axes.hist(self.values, bins=30, range=(0.0, 1.0))
        axes.axvline(self.mean, color="black")
        axes.set(xlabel="Meyer-Wallach measure Q", ylabel="states", title=f"Mean {self.mean:.3f}")
        return axes.figure  # pyright: ignore[reportReturnType]


def expressibility(
    circuit: Circuit, *, n_samples: int = 2000, n_bins: int = 75, generator: torch.Generator | None = None
) -> Expressibility:
    r"""Compute the expressibility of an ansatz: the distance of its random states from Haar-random ones.

    Angles of all slots are drawn from [0, 2 pi); the fidelities F = |<psi|phi>|^2 of `n_samples` independent pairs are
    binned, and compared with P(F) = (N - 1)(1 - F)^(N - 2), N = 2^n.

    Args:
        circuit: unitary, with data and weight slots for angles.
        n_samples: Number of pairs of states.
        n_bins: Number of bins of the fidelity; 75 in the paper.
        generator: Source of the angles.

    Raises:
        ValueError: If samples or bins are fewer than 2, there are more than 30 qubits, amplitudes come from slots, or
            the circuit is not unitary.

    Reference:
        Sim, Johnson and Aspuru-Guzik, arXiv:1905.10876, equations 9 and 11.
    """
    require_samples(n_samples)
    checks.require_kind(circuit, "circuit", Circuit)
    if circuit.n_qubits > MAX_PAIR_QUBITS:
        raise ValueError(
            f"Argument `circuit` must have at most {MAX_PAIR_QUBITS} qubits, since pairs of states are compared, but "
            f"has {circuit.n_qubits}. Use entangling_capability or gradient_variance, which simulate light cones."
        )
    n_bins = checks.as_int(n_bins, "n_bins", 2)
    fidelities = [
        (states[0::2].conj() * states[1::2]).sum(1).abs().square().numpy()
        for states in _random_states(circuit, 2 * n_samples, generator)
    ]
    values = np.clip(np.concatenate(fidelities), 0.0, 1.0)
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    observed = np.histogram(values, edges)[0] / len(values)
    log_haar = haar_log_shares(edges, circuit.n_qubits)
    seen = observed > 0
    divergence = float((observed[seen] * (np.log(observed[seen]) - log_haar[seen])).sum())
    return Expressibility(divergence, edges, observed, np.exp(log_haar))


def entangling_capability(
    circuit: Circuit, *, n_samples: int = 1000, generator: torch.Generator | None = None
) -> EntanglingCapability:
    r"""Compute the mean Meyer-Wallach entanglement of an ansatz over random angles of all slots.

    Q = 2 (1 - (1/n) sum_k tr rho_k^2), with rho_k the state of qubit k alone. Above 16 qubits the purities come from
    the expectation values of X, Y and Z of every qubit, so that only light cones are simulated.

    Args:
        circuit: unitary, with data and weight slots for angles.
        n_samples: Number of states.
        generator: Source of the angles.

    Raises:
        ValueError: If there are fewer than 2 samples, amplitudes come from slots, or the circuit is not unitary.

    Reference:
        Meyer and Wallach, doi:10.1063/1.1497700; as the mean over an ansatz in arXiv:1905.10876, equation 18. The
        form with purities is that of Brennen, arXiv:quant-ph/0305094.
    """
    require_samples(n_samples)
    checks.require_kind(circuit, "circuit", Circuit)
    measure = _measures if circuit.n_qubits <= MAX_STATE_QUBITS else _measures_by_expectation
    values = np.concatenate([part.numpy() for part in measure(circuit, n_samples, generator)])
    return EntanglingCapability(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), values)


def meyer_wallach(states: Complex[Tensor, "batch amplitudes"]) -> Tensor:
    """Compute Q of normalised state vectors; shape (batch,).

    Raises:
        TypeError: no dense tensor of amplitudes.
        ValueError: another shape, NaN, or a state whose norm is not 1.
    """
    checks.require_tensor(states, "states")
    if not (states.is_complex() or states.is_floating_point()):
        raise TypeError(f"Argument `states` must be complex or floating, but is {states.dtype}.")
    if states.ndim != 2 or states.shape[1] < 2 or states.shape[1].bit_count() != 1:
        raise ValueError(
            f"Argument `states` must have shape (batch, 2**n_qubits), but has shape {tuple(states.shape)}."
        )
    _require_norm(states)
    n_qubits = states.shape[1].bit_length() - 1
    purities = []
    for qubit in range(n_qubits):
        digits = states.reshape(len(states), 2**qubit, 2, states.shape[1] >> (qubit + 1))
        zero, one = (digits[:, :, value].flatten(1) for value in (0, 1))
        weights = [part.abs().square().sum(1) for part in (zero, one)]
        overlap = (zero * one.conj()).sum(1).abs().square()
        purities.append(weights[0].square() + weights[1].square() + 2 * overlap)
    return 2.0 * (1.0 - torch.stack(purities).mean(0))


def _require_norm(states: Tensor) -> None:
    error = (states.detach().abs().square().sum(1) - 1.0).abs()
    if not bool((error <= NORM_TOLERANCE * torch.finfo(states.dtype).eps ** 0.5).all()):  # NaN too
        raise ValueError(
            f"Argument `states` must have norm 1, but a squared norm differs from 1 by {float(error.max()):.2g}. "
            "Divide by torch.linalg.vector_norm(states, dim=1, keepdim=True)."
        )


def haar_log_shares(edges: np.ndarray, n_qubits: int) -> np.ndarray:
    """Compute ln of the share of Haar-random pairs in each bin, (1 - a)^(N-1) - (1 - b)^(N-1), without underflow."""
    checks.require_kind(edges, "edges", np.ndarray)
    if (
        edges.ndim != 1
        or edges.dtype.kind != "f"
        or not (((edges >= 0) & (edges <= 1)).all() and (np.diff(edges) > 0).all())
    ):
        raise ValueError("Argument `edges` must be one row of ascending numbers in [0, 1], but is not.")
    n_qubits = checks.as_int(n_qubits, "n_qubits", 1)
    power = 2.0**n_qubits - 1.0
    with np.errstate(divide="ignore"):
        log_rest = power * np.log1p(-edges)  # -inf at 1
    return log_rest[:-1] + np.log(-np.expm1(log_rest[1:] - log_rest[:-1]))


def _measures(circuit: Circuit, n_samples: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Yield Q of random states in chunks."""
    yield from map(meyer_wallach, _random_states(circuit, n_samples, generator))


def _measures_by_expectation(circuit: Circuit, n_samples: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Yield the same from Bloch vectors r, tr rho^2 = (1 + |r|^2) / 2, of circuits that are too wide for states."""
    free, none = with_data_slots_only(circuit), torch.zeros(0, dtype=torch.float64)
    if not circuit.is_unitary:
        raise ValueError("Argument `circuit` must be unitary, but resets, measures, post-selects or has noise.")
    n_qubits = circuit.n_qubits
    letters = [pauli(qubit) for qubit in range(n_qubits) for pauli in (X, Y, Z)]
    for start in range(0, n_samples, CHUNK_SAMPLES):
        angles = random_angles(min(CHUNK_SAMPLES, n_samples - start), free.n_data, generator)
        bloch = Native().expectation(free, angles, none, letters)
        yield 1.0 - bloch.square().sum(1) / n_qubits


def _random_states(circuit: Circuit, n_samples: int, generator: torch.Generator | None) -> Iterator[Tensor]:
    """Yield random states in chunks of an even number."""
    free = with_data_slots_only(circuit)
    none = torch.zeros(0, dtype=torch.float64)
    chunk = max(2, CHUNK_AMPLITUDES // 2**circuit.n_qubits // 2 * 2)
    for start in range(0, n_samples, chunk):
        angles = random_angles(min(chunk, n_samples - start), free.n_data, generator)
        yield Native().state(free, angles, none)
