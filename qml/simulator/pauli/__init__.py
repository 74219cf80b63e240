"""Pauli propagation: observables as tables of Pauli strings that move backwards through a circuit."""
