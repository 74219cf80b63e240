"""Backends that send circuits to Qiskit's primitives: transpilation, noise and submissions."""
