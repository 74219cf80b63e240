"""The common part of quantum and classical reservoirs: series in, features out, linear read-outs that forecast."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from qml.reservoir.checkpoint import load as load
    from qml.reservoir.checkpoint import save as save
    from qml.reservoir.ensemble import Ensemble as Ensemble
    from qml.reservoir.ensemble import Forecast as Forecast
    from qml.reservoir.forecaster import Forecaster as Forecaster
    from qml.reservoir.hybrid import HybridReservoir as HybridReservoir
    from qml.reservoir.ranges import ForecastRangeWarning as ForecastRangeWarning
    from qml.reservoir.recursive import RecursiveLeastSquares as RecursiveLeastSquares
    from qml.reservoir.reservoir import Reservoir as Reservoir
    from qml.reservoir.ridge import RidgeReadout as RidgeReadout
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "qml.reservoir.checkpoint": ("load", "save"),
            "qml.reservoir.ensemble": ("Ensemble", "Forecast"),
            "qml.reservoir.forecaster": ("Forecaster",),
            "qml.reservoir.hybrid": ("HybridReservoir",),
            "qml.reservoir.ranges": ("ForecastRangeWarning",),
            "qml.reservoir.recursive": ("RecursiveLeastSquares",),
            "qml.reservoir.reservoir": ("Reservoir",),
            "qml.reservoir.ridge": ("RidgeReadout",),
        },
    )
