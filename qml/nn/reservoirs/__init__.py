"""Quantum reservoirs."""
