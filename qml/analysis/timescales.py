"""Eigenvalues of reservoirs and their time scales."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from circuits.pictures import axes_of
from qml import checks
from qml.nn.reservoirs.onion import OnionReservoir
from qml.reservoir import HybridReservoir, Reservoir

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CONSERVED = 1e-9  # an eigenvalue this near to 1 is the trace's, which every channel keeps: it is no memory
ZERO_MODULUS = 1e-12  # smaller moduli are 0 within rounding


@dataclass(frozen=True, eq=False)
class ReservoirSpectrum:
    """The eigenvalues of the map of the state over one step, at constant input, where it has settled.

    Args:
        name: Name of the reservoir or ring.
        eigenvalues: Complex eigenvalues, largest modulus first.
    """

    name: str
    eigenvalues: np.ndarray

    @property
    def time_scales(self) -> np.ndarray:
        """Return -1 / ln |lambda| in steps, longest first, without the eigenvalue 1 that every quantum channel has."""
        moduli = np.abs(self.eigenvalues)
        moduli = moduli[np.abs(self.eigenvalues - 1.0) > CONSERVED]
        moduli = moduli[moduli > ZERO_MODULUS]
        with np.errstate(divide="ignore"):
            return -1.0 / np.log(moduli)


def spectra(reservoir: Reservoir, *, value: float = 0.0, settle: int = 500) -> list[ReservoirSpectrum]:
    """Compute the spectrum of every ring of an onion, or of the reservoir as a whole.

    Eigenvalues are those of the Jacobian of the map of the state, by autograd. For a persistent quantum ring that map
    is linear, and its Jacobian is the memory's channel; a feedback ring and an echo state network are linearised where
    they settle.

    Args:
        reservoir: An `OnionReservoir` gives a spectrum for each ring, a `HybridReservoir` those of its parts (side by
            side).
        value: The constant input.
        settle: Number of steps before, from the reset state.

    Raises:
        ValueError: If a hybrid is in a row, so that its parts have no maps of their own, or the reservoir has shots,
            which have no derivative.

    Example:
        >>> from qml.nn import PersistentRing, QuantumReservoir
        >>> spectra(QuantumReservoir(PersistentRing(3, 2)))[0].eigenvalues.shape
        (4,)
    """
    checks.require_kind(reservoir, "reservoir", Reservoir)
    settle, value = checks.as_int(settle, "settle", 0), checks.as_number(value, "value")
    if isinstance(reservoir, HybridReservoir):
        if reservoir.feed:
            raise ValueError(
                "Spectra must be of reservoirs side by side, but these are in a row. Take one of its parts."
            )
        return [spectrum for part in reservoir.parts for spectrum in spectra(part, value=value, settle=settle)]
    if isinstance(reservoir, OnionReservoir):
        if reservoir.shots is not None:
            raise ValueError("Spectra must be of a reservoir without shots, which have no derivative. Use shots=None.")
        return [_spectrum(single, value, settle, repr(ring)) for ring, single in reservoir.single_rings()]
    return [_spectrum(reservoir, value, settle, type(reservoir).__name__)]


def _spectrum(reservoir: Reservoir, value: float, settle: int, name: str) -> ReservoirSpectrum:
    constant = torch.full((1, max(settle, 1), reservoir.n_inputs), value, dtype=torch.float64)
    with torch.no_grad():
        state = reservoir(constant)[1] if settle else reservoir.initial_state(1, constant)

    def step(flat: Tensor) -> Tensor:
        return reservoir.advance(constant[:, :1], flat[None])[1][0]

    jacobian = torch.autograd.functional.jacobian(step, state[0])
    eigenvalues = np.linalg.eigvals(torch.as_tensor(jacobian).double().numpy())
    return ReservoirSpectrum(name, eigenvalues[np.argsort(-np.abs(eigenvalues))])


def plot_spectra(reservoir_spectra: list[ReservoirSpectrum], ax: "Axes | None" = None) -> "Figure":
    """Draw eigenvalues in the complex plane, with the unit circle."""
    axes = axes_of(ax)
    angles = np.linspace(0.0, 2.0 * math.pi, 200)
    axes.plot(np.cos(angles), np.sin(angles), color="grey", lw=0.8)
    for number, spectrum in enumerate(reservoir_spectra):
        values = spectrum.eigenvalues
        axes.scatter(np.real(values), np.imag(values), s=12, label=f"{number}")
    axes.set(xlabel="real part", ylabel="imaginary part", aspect="equal", title="Eigenvalues of each ring's map")
    axes.legend(title="ring")
    return axes.figure  # pyright: ignore[reportReturnType]


def plot_time_scales(reservoir_spectra: list[ReservoirSpectrum], ax: "Axes | None" = None) -> "Figure":
    """Draw the time scales of every ring, on a logarithmic axis."""
    axes = axes_of(ax)
    for number, spectrum in enumerate(reservoir_spectra):
        scales = spectrum.time_scales
        scales = scales[np.isfinite(scales) & (scales > 0)]
        axes.scatter(scales, np.full(len(scales), number), s=14)
    axes.set(xscale="log", xlabel="time scale (steps)", ylabel="ring", yticks=range(len(reservoir_spectra)))
    return axes.figure  # pyright: ignore[reportReturnType]
