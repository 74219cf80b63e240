"""The common part of quantum and classical reservoirs: series in, features out, and linear read-outs that forecast."""

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
