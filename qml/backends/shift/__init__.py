"""Backends that only give values: gradients by the parameter-shift rule and SPSA, and allocation of shots."""
