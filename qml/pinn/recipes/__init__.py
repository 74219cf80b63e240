"""Recipes that solve the problems of the catalogue in seconds or minutes, and the poses that they use."""
