"""Routes: the ways in which the simulator computes what is asked of a circuit, one file each."""

from qml.simulator.routes.candidates import COMPILED, DISTRIBUTIONS, EXPECTATIONS, JETS, PROPAGATIONS, STATES

__all__ = ["COMPILED", "DISTRIBUTIONS", "EXPECTATIONS", "JETS", "PROPAGATIONS", "STATES"]
