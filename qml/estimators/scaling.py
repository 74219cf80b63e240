"""Features in the range that circuits want; the scale is learned from the training set."""

from typing import Any

import numpy as np
from jaxtyping import Float
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from circuits.plain_checks import require_choice

SCALINGS = ("minmax", "standard", None)


def make_scaler(scaling: Any) -> MinMaxScaler | StandardScaler | None:
    """Return the scaler of a name: `"minmax"` to [-pi/2, pi/2], `"standard"` to mean 0 and deviation 1, None.

    Raises:
        ValueError: If there is no such scaling.
    """
    require_choice(scaling, "scaling", SCALINGS)
    if scaling == "minmax":
        return MinMaxScaler((-np.pi / 2, np.pi / 2))
    return StandardScaler() if scaling == "standard" else None


def scaled(scaler: MinMaxScaler | StandardScaler | None, inputs: Float[np.ndarray, "batch inputs"]) -> np.ndarray:
    """Apply a fitted scaler."""
    return inputs if scaler is None else np.asarray(scaler.transform(inputs))
