"""Problems with reference solutions from closed forms or other numerical methods, never from a network."""

from qml.pinn.problems.catalogue import PROBLEMS, find_problem
from qml.pinn.problems.wells import barrier, finite_well, infinite_well, oscillator

__all__ = ["PROBLEMS", "barrier", "find_problem", "finite_well", "infinite_well", "oscillator"]
