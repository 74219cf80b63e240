"""Atmospheric corrosion of aluminium: real hourly weather, and a modelled dose-response on it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qml import checks

STATIONS = {"Sand Point, Alaska": "703165TY.csv", "Greensboro, North Carolina": "723170TYA.CSV"}
HOURS_A_YEAR = 8760
SULPHUR, CHLORIDE = 20.0, 60.0  # deposition in mg/(m2 d): a town near the sea, inside the range of ISO 9223


@dataclass(frozen=True)
class Corrosion:
    """A year that was measured at one station, in steps of some hours.

    Attributes:
        weather: temperature in C and relative humidity in %, the mean of each step, (time, 2). Real.
        loss: metal loss since the beginning, micrometres, at the end of each step, (time,). Modelled.
        reading: what a sensor of the loss would show, with noise, (time,).
        step_hours: hours a step.
    """

    weather: Float[Tensor, "time 2"]
    loss: Float[Tensor, " time"]
    reading: Float[Tensor, " time"]
    step_hours: int


def corrosion(
    station: str = "Greensboro, North Carolina", *, step_hours: int = 6, noise: float = 0.002, seed: int = 0
) -> Corrosion:
    """Return a year of real weather and of the corrosion that ISO 9223 gives for it, with a sensor's noise.

    The weather is a TMY3 year as it ships inside pvlib. The loss is modelled, not measured: the standard's formula,
    made for yearly means, is taken hour by hour and summed.

    Args:
        station: a key of `STATIONS`.
        step_hours: hours a step, a divisor of 8760.
        noise: standard deviation of the sensor, micrometres.
        seed: of the noise.

    Raises:
        ImportError: pvlib is not installed.
        ValueError: another station, hours that do not divide a year.
    """
    if not isinstance(station, str) or station not in STATIONS:
        raise ValueError(f"Argument `station` must be one of {', '.join(STATIONS)}, but is {station!r}.")
    step_hours = checks.as_int(step_hours, "step_hours", 0)
    noise, seed = checks.as_number(noise, "noise"), checks.as_int(seed, "seed", 0)
    if step_hours < 1 or HOURS_A_YEAR % step_hours:
        raise ValueError(f"Argument `step_hours` must divide {HOURS_A_YEAR}, but is {step_hours}. Use 6 or 24.")
    if noise < 0.0:
        raise ValueError(f"Argument `noise` must be at least 0, but is {noise}.")
    hourly = _weather(STATIONS[station])
    rate = aluminium_rate(hourly[:, 0], hourly[:, 1]) / HOURS_A_YEAR
    loss = np.cumsum(rate)[step_hours - 1 :: step_hours]
    mean = hourly.reshape(-1, step_hours, 2).mean(1)
    reading = loss + noise * np.random.default_rng(seed).standard_normal(len(loss))
    return Corrosion(torch.from_numpy(mean), torch.from_numpy(loss.copy()), torch.from_numpy(reading), step_hours)


def aluminium_rate(
    temperature: Any,  # numbers, checked below
    humidity: Any,
    *,
    sulphur: float = SULPHUR,
    chloride: float = CHLORIDE,
) -> Float[np.ndarray, " time"]:
    """Compute ISO 9223's dose-response of aluminium in micrometres a year.

    r = 0.0042 Pd^0.73 exp(0.025 RH + f) + 0.0018 Sd^0.60 exp(0.020 RH + 0.094 T) with f = 0.009 (T - 10) for T <= 10,
    else -0.043 (T - 10).

    Args:
        temperature: T in C, an array or list (time,).
        humidity: RH in %, of the same shape.
        sulphur: Pd, deposition of SO2 in mg/(m2 d).
        chloride: Sd, deposition of chloride in mg/(m2 d).

    Raises:
        TypeError: readings that are no real numbers.
        ValueError: readings that are not finite, or of two shapes; a negative deposition.

    Reference:
        ISO 9223:2012, Corrosivity of atmospheres, equation for aluminium.
    """
    temperature, humidity = _as_readings(temperature, "temperature"), _as_readings(humidity, "humidity")
    if temperature.shape != humidity.shape:
        raise ValueError(
            f"Argument `humidity` must have the shape of `temperature`, {temperature.shape}, but has {humidity.shape}."
        )
    sulphur = checks.as_number(sulphur, "sulphur", at_least=0.0)
    chloride = checks.as_number(chloride, "chloride", at_least=0.0)
    warmer = temperature - 10.0
    f = np.where(warmer <= 0.0, 0.009 * warmer, -0.043 * warmer)
    dry = 0.0042 * sulphur**0.73 * np.exp(0.025 * humidity + f)
    wet = 0.0018 * chloride**0.60 * np.exp(0.020 * humidity + 0.094 * temperature)
    return dry + wet


def _as_readings(values: Any, name: str) -> np.ndarray:
    readings = np.asarray(values)
    if readings.dtype.kind not in "iuf":
        raise TypeError(f"Argument `{name}` must be an array of real numbers, but is {type(values).__name__}.")
    if not np.isfinite(readings).all():
        raise ValueError(f"Argument `{name}` must be finite, but holds NaN or infinity.")
    return readings.astype(float)


@cache
def _weather(name: str) -> Float[np.ndarray, "time 2"]:
    """Read hourly temperature and relative humidity of a TMY3 file."""
    try:
        import pvlib
    except ImportError as error:
        raise ImportError('Weather needs pvlib. Install it with: pip install "qml-circuits[data]".') from error
    path = Path(pvlib.__file__).parent / "data" / name
    table, _ = pvlib.iotools.read_tmy3(path, coerce_year=1990, map_variables=True)
    return table[["temp_air", "relative_humidity"]].to_numpy(dtype=float)
