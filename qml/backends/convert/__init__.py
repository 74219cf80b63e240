"""Circuits to and from the objects of PennyLane and Qiskit."""
