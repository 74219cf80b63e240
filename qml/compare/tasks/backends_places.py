"""The backends that layers are trained and tested on in `qml compare backends`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from qml.backends import IBM, Backend, Native, NoisyNative

DEVICE = "fake_torino"  # 133 qubits, with the errors of a day in 2024
SHOTS = 4000
ZNE = (1, 3)


@dataclass(frozen=True)
class Place:
    """A pair of backends: one that a layer is trained on, and one that it is tested on.

    Args:
        title: Its name in the table.
        recipe: Its description in words.
        train: Makes the backend of training.
        test: Makes the backend of testing.
    """

    title: str
    recipe: str
    train: Callable[[], Backend]
    test: Callable[[], Backend]


PLACES = {
    "ideal": Place("ideal", "trained and tested without noise, exactly", Native, Native),
    "noisy": Place(
        "noisy",
        f"trained without noise, tested on {DEVICE} with {SHOTS} shots",
        Native,
        partial(IBM, DEVICE, shots=SHOTS),
    ),
    "mitigated": Place(
        "mitigated",
        f"the same, with the Runtime client's read-out mitigation and zero-noise extrapolation at factors {ZNE}",
        Native,
        partial(IBM, DEVICE, shots=SHOTS, readout_mitigation=True, zne=ZNE),
    ),
    "trained": Place(
        "trained with noise",
        f"trained on the noise model of {DEVICE} in our density-matrix simulator, tested as the noisy one",
        partial(NoisyNative, DEVICE),
        partial(IBM, DEVICE, shots=SHOTS),
    ),
}
