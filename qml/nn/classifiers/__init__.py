"""Quantum classifiers of two classes, one family a file; `qml.nn` has their public names."""
