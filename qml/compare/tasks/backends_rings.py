"""An onion of persistent rings on a device: a whole series is one circuit that measures and resets at every step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from qml.backends import IBM, Backend
from qml.compare.task import Model, OnStep, Outcome, Preset
from qml.compare.tasks.backends_forecast import ALPHAS
from qml.compare.tasks.backends_places import DEVICE
from qml.compare.tasks.onion import r2
from qml.data import Waves
from qml.data.waves import CONTEXT, WARM_UP
from qml.nn import OnionReservoir, PersistentRing, sampled_features
from qml.reservoir import RidgeReadout

SHOTS = 1000  # runs of a series; Aer plays each step by step
WEIGHT_SCALES = (0.5, 1.0, 1.5)  # radians: the smaller, the longer a ring's memory
INPUT_SCALE = 0.02  # radians for each unit of waves that begin at 60
RINGS = tuple(
    PersistentRing(2, 1, INPUT_SCALE, weight_scale, seed=number) for number, weight_scale in enumerate(WEIGHT_SCALES)
)


@dataclass(frozen=True)
class FeatureOrigin:
    """A choice of backends that compute the features of the training waves and of the test waves.

    Args:
        title: Its name in the table.
        recipe: Its description in words.
        train: Makes the backend for the training waves, None for exact features.
        test: Makes that for the test waves, None for exact features.
    """

    title: str
    recipe: str
    train: Callable[[], Backend] | None
    test: Callable[[], Backend] | None


ON_DEVICE = partial(IBM, DEVICE)
ORIGINS = {
    "ideal": FeatureOrigin("ideal", "fitted to and tested with exact features", None, None),
    "noisy": FeatureOrigin(
        "noisy", f"fitted to exact features, tested on {DEVICE} with {SHOTS} shots", None, ON_DEVICE
    ),
    "trained": FeatureOrigin(
        "trained with noise", f"fitted to {SHOTS} shots of {DEVICE} and tested so", ON_DEVICE, ON_DEVICE
    ),
}


def models() -> dict[str, Model[Waves]]:
    """Return the persistent onion with each origin of its features."""
    about = f"{len(RINGS)} persistent rings of 2 qubits, one measured and reset at every step; ridge regression"
    return {
        f"persistent-{name}": Model(
            f"Persistent onion, {origin.title}", "quantum", f"{about}; {origin.recipe}.", partial(_rings, origin)
        )
        for name, origin in ORIGINS.items()
    }


def features(series: Float[Tensor, "series time 1"], backend: Backend | None) -> Float[Tensor, "series time features"]:
    """Compute the features of every step, exactly or by one job with a circuit for each series.

    The first value is fed twice before.
    """
    warmed = torch.cat([series[:, :1].expand(-1, WARM_UP, -1), series], 1)
    if backend is None:
        values, _ = OnionReservoir(RINGS)(warmed)
    else:
        values = sampled_features(RINGS, warmed, backend=backend, shots=SHOTS)
    return values[:, WARM_UP:]


def _rings(origin: FeatureOrigin, waves: Waves, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    started = time.perf_counter()
    train_features = features(waves.train[:, :-1], origin.train and origin.train())
    readout = RidgeReadout(train_features.shape[-1], 1, alphas=ALPHAS)
    readout.fit(lambda: iter([(train_features.flatten(0, 1), waves.train[:, 1:].flatten(0, 1))]))
    trained = time.perf_counter()
    predicted = readout(features(waves.test[:, :-1], origin.test and origin.test()))
    extras: dict[str, float | int | str] = {"test_seconds": time.perf_counter() - trained}
    if origin.test:
        extras["test_jobs"] = 1
    value = r2(waves.test[:, CONTEXT:], predicted[:, CONTEXT - 1 :])
    return Outcome(value, train_features.shape[-1] + 1, trained - started, extras)
