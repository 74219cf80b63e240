"""Other packages' programs on the built-in simulator: a PennyLane device."""
