"""Sizes that a file gives to a reservoir, compared with its tensors before anything is built."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from qml import checks

MAX_TABLE = 2**27  # numbers in the tables of a ring, which are not in the file
MAX_LAYERS = 4096  # of a ring


def require_forecaster(description: Any, tensors: Mapping[str, Tensor]) -> None:
    """Refuse a description of a forecaster whose sizes are not those of the tensors beside it.

    Raises:
        ValueError: sizes that differ, or that are not in the file at all and too large.
        LookupError, TypeError: a description of another form.
    """
    weight = tensors["readout.weight"]
    options = description["forecaster"]
    n_features = _n_features(description["reservoir"], tensors, "reservoir.")
    n_outputs = checks.as_int(options["n_outputs"], "n_outputs", 1)
    if tuple(weight.shape) != (n_outputs, n_features):
        raise ValueError(
            f"`readout.weight` must have shape {(n_outputs, n_features)} by its description, but has "
            f"{tuple(weight.shape)}"
        )
    covariance = tensors.get("readout.covariance")
    if ("online" in options) != (covariance is not None):
        raise ValueError(
            "a read-out must be described as one that learns online where it has a covariance, and only there"
        )
    if covariance is not None and tuple(covariance.shape) != (1 + n_features, 1 + n_features):
        raise ValueError(f"`readout.covariance` must be of {1 + n_features} rows, but is {tuple(covariance.shape)}")


def _n_features(reservoir: Any, tensors: Mapping[str, Tensor], prefix: str) -> int:
    """Count the features of a described reservoir, by arithmetic alone."""
    if not isinstance(reservoir, dict):
        raise TypeError(f"a reservoir must be described by an object, but is {type(reservoir).__name__}")
    if "backend" in reservoir:
        raise ValueError("`backend` must not be in a file: it is chosen with to_backend after loading")
    if "reservoirs" in reservoir:
        parts = enumerate(_items(reservoir["reservoirs"], "reservoirs"))
        return sum(_n_features(part, tensors, f"{prefix}reservoirs.{number}.") for number, part in parts)
    if "rings" in reservoir:
        exact = reservoir.get("trajectories") is None
        return sum(_ring_features(ring, exact) for ring in _items(reservoir["rings"], "rings"))
    units, n_inputs = (checks.as_int(reservoir[name], name, 1) for name in ("units", "n_inputs"))
    wanted = {
        "input_weight": (units, 1 + n_inputs),
        "row_starts": (units + 1,),
        "columns": (checks.as_int(reservoir["n_entries"], "n_entries", 0),),
    }
    for name, shape in wanted.items():
        if tuple(tensors[prefix + name].shape) != shape:
            raise ValueError(f"`{prefix}{name}` must have shape {shape}, but has {tuple(tensors[prefix + name].shape)}")
    for name in ("input_scaling", "start", "leak_rate"):
        checks.as_number(reservoir[name], name)
    checks.require_choice(reservoir["dtype"], "dtype", ("float32", "float64"))
    return units + n_inputs * checks.as_flag(reservoir["include_inputs"], "include_inputs")


def _ring_features(ring: Any, exact: bool) -> int:
    """Count the features of one ring; its tables grow exponentially with its qubits, which no file bounds."""
    n_qubits = checks.as_int(ring["n_qubits"], "n_qubits", 1)
    n_read = checks.as_int(ring.get("n_measured", n_qubits), "n_measured", 1)
    n_layers, n_rounds = (checks.as_int(ring.get(name, 1), name, 1) for name in ("n_layers", "n_rounds"))
    if max(n_qubits, n_read) > MAX_TABLE.bit_length() or n_layers > MAX_LAYERS:
        raise ValueError(
            f"a ring must have at most {MAX_TABLE.bit_length()} qubits and {MAX_LAYERS} layers, unlike {ring}"
        )
    by_matrices = exact and ring.get("kind") != "feedback"
    table = max(2**n_read * n_read * (n_read + 1) // 2, n_layers * 4**n_qubits if by_matrices else 0)
    if table > MAX_TABLE:
        raise ValueError(f"a ring's tables must hold at most {MAX_TABLE} numbers, but would hold {table}")
    return n_rounds * n_read * (n_read + 1) // 2


def _items(values: Any, name: str) -> list[Any]:
    if not isinstance(values, list):
        raise TypeError(f"`{name}` must be a list, but is {type(values).__name__}")
    return values
