"""Classical models that stand beside the quantum ones: they know nothing of circuits."""

from qml.baselines.classifiers import (
    LogisticRegression,
    MLPClassifier,
    SineClassifier,
    count_parameters,
    hidden_size_for,
)

__all__ = ["LogisticRegression", "MLPClassifier", "SineClassifier", "count_parameters", "hidden_size_for"]
