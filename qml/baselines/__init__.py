"""Classical models that stand beside the quantum ones: they know nothing of circuits."""

from qml.baselines.classifiers import (
    LogisticRegression,
    MLPClassifier,
    SineClassifier,
    count_parameters,
    hidden_size_for,
)
from qml.baselines.esn import EchoStateNetwork, OnionESN
from qml.baselines.kan import KAN, KANLayer
from qml.baselines.words import WordRNN, word_hidden_size_for

__all__ = [
    "KAN",
    "EchoStateNetwork",
    "KANLayer",
    "LogisticRegression",
    "MLPClassifier",
    "OnionESN",
    "SineClassifier",
    "WordRNN",
    "count_parameters",
    "hidden_size_for",
    "word_hidden_size_for",
]
