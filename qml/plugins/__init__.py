"""Other packages' programs on the built-in simulator: a PennyLane device, and Qiskit's primitives and a backend."""
