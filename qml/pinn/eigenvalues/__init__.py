"""Eigenvalues of an equation by finite differences, and the state that a trained one belongs to."""
