"""Training of a model: its options, phases, steps, and the file that a run is kept in."""
