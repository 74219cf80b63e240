"""Activations at points, simulated: programs, schedules and their derivatives."""
