"""Physics-informed networks: differential equations solved by any module as a trunk. They know no circuits."""

from qml.pinn.conditions import Condition, Face, Integral, Observations, Periodic
from qml.pinn.domain import Box
from qml.pinn.jets import Jet, JetError
from qml.pinn.methods import Annealing, Causal, Resampling
from qml.pinn.model import Pinn
from qml.pinn.options import DivergenceError, Training
from qml.pinn.problem import Problem
from qml.pinn.problems import PROBLEMS, find_problem
from qml.pinn.progress import LiveTraining
from qml.pinn.training import Solution, relative_l2, train
from qml.pinn.trunks import MLP, FourierFeatures, ModifiedMLP

__all__ = [
    "MLP",
    "PROBLEMS",
    "Annealing",
    "Box",
    "Causal",
    "Condition",
    "DivergenceError",
    "Face",
    "FourierFeatures",
    "Integral",
    "Jet",
    "JetError",
    "LiveTraining",
    "ModifiedMLP",
    "Observations",
    "Periodic",
    "Pinn",
    "Problem",
    "Resampling",
    "Solution",
    "Training",
    "find_problem",
    "relative_l2",
    "train",
]
