"""An onion reservoir on a device: the next value of damped waves."""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch

from qml.backends import Backend
from qml.baselines import EchoStateNetwork
from qml.compare.task import Model, OnStep, Outcome, Preset
from qml.compare.tasks.backends_places import DEVICE, PLACES, SHOTS, Place
from qml.compare.tasks.onion import r2
from qml.compare.tuning import one_thread
from qml.data import Waves, damped_waves
from qml.data.waves import CONTEXT, FEEDBACK_SCALE, INPUT_SCALES, WARM_UP
from qml.nn import FeedbackRing, OnionReservoir
from qml.reservoir import Forecaster, Reservoir

N_QUBITS = 3
ALPHAS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # penalties of the ridge, chosen by leave-one-out
INPUT_DIVISOR = 100.0  # inputs are divided by it, as in the published classical reservoir

SAMPLED = replace(
    PLACES["trained"],
    recipe=f"fitted to {SHOTS} samples a step of the noise model of {DEVICE} in our simulator, tested as the noisy one",
)


def onion(shots: int | None = None) -> OnionReservoir:
    """Build three rings of three qubits with the published scales."""
    rings = [FeedbackRing(N_QUBITS, scale, FEEDBACK_SCALE) for scale in INPUT_SCALES]
    return OnionReservoir(rings, shots=shots, seed=None)


def echo_state_network(seed: int) -> EchoStateNetwork:
    """Build an echo state network of as many units as the onion has features."""
    return EchoStateNetwork(1, onion().n_features, input_scaling=1.0 / INPUT_DIVISOR, seed=seed)


def prepare() -> None:
    """Load nothing: every seed has waves of its own."""
    return


def split(data: None, seed: int) -> Waves:
    """Draw ten waves to learn from and four to forecast; the first seed's are the published ones."""
    return damped_waves(seed=seed + 1)


def models() -> dict[str, Model[Waves]]:
    """Return the onion at every place, and an echo state network with as many features."""
    about = f"Three feedback rings of {N_QUBITS} qubits, ridge regression"
    # Mitigated, a job of every step is 384 circuits: minutes, for -8.2 instead of -8.6 (R2, seed 0, read-out alone).
    places = {name: PLACES[name] for name in ("ideal", "noisy")} | {"trained": SAMPLED}
    offered = {
        f"onion-{where}": Model(f"Onion, {place.title}", "quantum", f"{about}; {place.recipe}.", partial(_onion, place))
        for where, place in places.items()
    }
    recipe = f"Echo state network of {onion().n_features} units."
    return offered | {"esn": Model("Echo state network", "classical", recipe, _classical)}


def explained(model: Forecaster, waves: Waves) -> float:
    """Compute R2 of the prediction of each next value of the test waves, from the end of the context on."""
    predicted = torch.as_tensor(model.predict(waves.test[:, :-1]))
    return r2(waves.test[:, CONTEXT:], predicted[:, CONTEXT - 1 :])


def fitted(reservoir: Reservoir, waves: Waves) -> Forecaster:
    """Fit the read-out's weights to the training waves, where the reservoir runs now."""
    with one_thread():
        return Forecaster(reservoir, alphas=ALPHAS, warm_up=WARM_UP).fit(waves.train)


def _onion(place: Place, waves: Waves, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    # Samples give all features of a step from one run.
    reservoir = onion(SHOTS if place is SAMPLED else None)
    outcome = _outcome(reservoir.to_backend(place.train()), lambda: reservoir.to_backend(place.test()), waves)
    jobs = waves.test.shape[1] - 1 + WARM_UP
    return Outcome(outcome.value, outcome.n_parameters, outcome.seconds, outcome.extras | {"test_jobs": jobs})


def _classical(waves: Waves, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    network = echo_state_network(seed)
    return _outcome(network, lambda: network, waves)


def _outcome(reservoir: Reservoir, move: Callable[[], Reservoir | Backend], waves: Waves) -> Outcome:
    started = time.perf_counter()
    model = fitted(reservoir, waves)
    trained = time.perf_counter()
    move()
    value = explained(model, waves)
    seconds = time.perf_counter() - trained
    return Outcome(value, reservoir.n_features + 1, trained - started, {"test_seconds": seconds})
