"""Damped two-tone waves: the task on which the onion quantum reservoir was published (arXiv:2505.22837)."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks

N_STEPS, N_TRAIN, N_TEST = 26, 10, 4
AMPLITUDE, DAMPING, NOISE_AMPLITUDE = 30.0, 0.05, 0.3

# The published settings of the task.
CONTEXT, HORIZON = 6, 20  # points given of each test series, and points to forecast
RIDGE = 3e-4
WARM_UP = 2  # how often the first value is fed before the series begins
N_QUBITS, FEEDBACK_SCALE = 6, -0.33
INPUT_SCALES = (0.11, 0.11 * 1.25, 0.11 * 1.125)


@dataclass(frozen=True)
class Waves:
    """A task that has series to learn from and series to forecast.

    Attributes:
        train: (series, time, 1).
        test: (series, time, 1).
    """

    train: Float[Tensor, "series time 1"]
    test: Float[Tensor, "others time 1"]


def damped_waves(*, seed: int = 1) -> Waves:
    """Return f(t) = 30 exp(-0.05 t) [cos(w t) + cos(w t / sqrt 2)] + 0.3 N with w = 0.5 + 0.4 N, float64.

    Ten series to learn from and four to forecast, each 26 steps on linspace(0, 26, 26). NumPy's PCG64 draws all 14 w,
    then the noise of the first ten, then that of the others; seed 1 gives the published series.
    """
    seed = checks.as_int(seed, "seed", 0)
    generator = np.random.Generator(np.random.PCG64(seed))
    times = np.linspace(0.0, float(N_STEPS), N_STEPS)
    frequencies = 0.5 + 0.4 * generator.standard_normal(N_TRAIN + N_TEST)
    phases = frequencies[:, None] * times
    clean = AMPLITUDE * np.exp(-DAMPING * times) * (np.cos(phases) + np.cos(phases / np.sqrt(2.0)))
    noise = [generator.standard_normal((count, N_STEPS)) for count in (N_TRAIN, N_TEST)]
    noisy = torch.from_numpy(clean + NOISE_AMPLITUDE * np.concatenate(noise))[:, :, None]
    return Waves(noisy[:N_TRAIN], noisy[N_TRAIN:])
