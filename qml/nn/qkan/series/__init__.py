"""Activations as trigonometric series, evaluated in a basis."""
