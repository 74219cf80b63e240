"""Quantum layers as torch modules."""

from typing import TYPE_CHECKING

from circuits.lazy import load_at_first_use

if TYPE_CHECKING:
    from qml.nn.angles import Angles as Angles
    from qml.nn.checkpoint import load_layer as load_layer
    from qml.nn.checkpoint import save_layer as save_layer
    from qml.nn.classifiers.boltzmann import QuantumBoltzmannClassifier as QuantumBoltzmannClassifier
    from qml.nn.classifiers.circuit_centric import CircuitCentricClassifier as CircuitCentricClassifier
    from qml.nn.classifiers.convolutional import QCNNClassifier as QCNNClassifier
    from qml.nn.classifiers.dressed import DressedQuantumCircuit as DressedQuantumCircuit
    from qml.nn.classifiers.iqp import IQPClassifier as IQPClassifier
    from qml.nn.classifiers.metric import QuantumMetricLearner as QuantumMetricLearner
    from qml.nn.classifiers.reuploading import DataReuploadingClassifier as DataReuploadingClassifier
    from qml.nn.classifiers.separable import SeparableClassifier as SeparableClassifier
    from qml.nn.classifiers.tree import TreeTensorClassifier as TreeTensorClassifier
    from qml.nn.curves import curves_to as curves_to
    from qml.nn.forecast import forecast_with_interval as forecast_with_interval
    from qml.nn.layerwise import LayerwiseStage as LayerwiseStage
    from qml.nn.layerwise import layerwise_stages as layerwise_stages
    from qml.nn.losses import farhi_neven_loss as farhi_neven_loss
    from qml.nn.losses import floored_likelihood_loss as floored_likelihood_loss
    from qml.nn.losses import hinge_loss as hinge_loss
    from qml.nn.losses import logistic_loss as logistic_loss
    from qml.nn.losses import superposition_loss as superposition_loss
    from qml.nn.losses import word_loss as word_loss
    from qml.nn.model_files import load_model as load_model
    from qml.nn.model_files import register_module as register_module
    from qml.nn.model_files import save_model as save_model
    from qml.nn.move import backends_of as backends_of
    from qml.nn.move import to_backend as to_backend
    from qml.nn.natural_gradient import NaturalGradient as NaturalGradient
    from qml.nn.qkan.cells import HQKANLSTMCell as HQKANLSTMCell
    from qml.nn.qkan.cells import QKANGRUCell as QKANGRUCell
    from qml.nn.qkan.cells import QKANLSTMCell as QKANLSTMCell
    from qml.nn.qkan.daruan import DARUAN as DARUAN
    from qml.nn.qkan.layer import QKANLayer as QKANLayer
    from qml.nn.qkan.network import HQKAN as HQKAN
    from qml.nn.qkan.network import QKAN as QKAN
    from qml.nn.qkan.network import JHCGNet as JHCGNet
    from qml.nn.qkan.recurrent import HQKANLSTM as HQKANLSTM
    from qml.nn.qkan.recurrent import QKANGRU as QKANGRU
    from qml.nn.qkan.recurrent import QKANLSTM as QKANLSTM
    from qml.nn.qlstm import QLSTM as QLSTM
    from qml.nn.qnn import QNNClassifier as QNNClassifier
    from qml.nn.qrnn.cell import CellStep as CellStep
    from qml.nn.qrnn.cell import QRNNCell as QRNNCell
    from qml.nn.qrnn.network import QRNN as QRNN
    from qml.nn.qrnn.network import QRNNSamples as QRNNSamples
    from qml.nn.qrnn.neuron import QuantumNeuron as QuantumNeuron
    from qml.nn.qrnn.numbers import QRNNClassifier as QRNNClassifier
    from qml.nn.qrnn.numbers import QRNNRegressor as QRNNRegressor
    from qml.nn.quantum_layer import QuantumLayer as QuantumLayer
    from qml.nn.quanvolution import Quanvolution as Quanvolution
    from qml.nn.reservoirs.on_device import sampled_features as sampled_features
    from qml.nn.reservoirs.onion import OnionReservoir as OnionReservoir
    from qml.nn.reservoirs.onion import QuantumReservoir as QuantumReservoir
    from qml.nn.reservoirs.rings import FeedbackRing as FeedbackRing
    from qml.nn.reservoirs.rings import PersistentRing as PersistentRing
    from qml.reservoir import HybridReservoir as HybridReservoir
else:
    __getattr__, __dir__ = load_at_first_use(
        __name__,
        {
            "qml.nn.angles": ("Angles",),
            "qml.nn.checkpoint": ("load_layer", "save_layer"),
            "qml.nn.curves": ("curves_to",),
            "qml.nn.forecast": ("forecast_with_interval",),
            "qml.nn.classifiers.boltzmann": ("QuantumBoltzmannClassifier",),
            "qml.nn.classifiers.circuit_centric": ("CircuitCentricClassifier",),
            "qml.nn.classifiers.convolutional": ("QCNNClassifier",),
            "qml.nn.classifiers.dressed": ("DressedQuantumCircuit",),
            "qml.nn.classifiers.iqp": ("IQPClassifier",),
            "qml.nn.classifiers.metric": ("QuantumMetricLearner",),
            "qml.nn.classifiers.reuploading": ("DataReuploadingClassifier",),
            "qml.nn.classifiers.separable": ("SeparableClassifier",),
            "qml.nn.classifiers.tree": ("TreeTensorClassifier",),
            "qml.nn.losses": (
                "farhi_neven_loss",
                "floored_likelihood_loss",
                "hinge_loss",
                "logistic_loss",
                "superposition_loss",
                "word_loss",
            ),
            "qml.nn.layerwise": ("LayerwiseStage", "layerwise_stages"),
            "qml.nn.model_files": ("load_model", "register_module", "save_model"),
            "qml.nn.move": ("backends_of", "to_backend"),
            "qml.nn.natural_gradient": ("NaturalGradient",),
            "qml.nn.qkan.cells": ("HQKANLSTMCell", "QKANGRUCell", "QKANLSTMCell"),
            "qml.nn.qkan.daruan": ("DARUAN",),
            "qml.nn.qkan.layer": ("QKANLayer",),
            "qml.nn.qkan.network": ("HQKAN", "QKAN", "JHCGNet"),
            "qml.nn.qkan.recurrent": ("HQKANLSTM", "QKANGRU", "QKANLSTM"),
            "qml.nn.qlstm": ("QLSTM",),
            "qml.nn.qnn": ("QNNClassifier",),
            "qml.nn.qrnn.cell": ("CellStep", "QRNNCell"),
            "qml.nn.qrnn.network": ("QRNN", "QRNNSamples"),
            "qml.nn.qrnn.neuron": ("QuantumNeuron",),
            "qml.nn.qrnn.numbers": ("QRNNClassifier", "QRNNRegressor"),
            "qml.nn.quantum_layer": ("QuantumLayer",),
            "qml.nn.quanvolution": ("Quanvolution",),
            "qml.nn.reservoirs.on_device": ("sampled_features",),
            "qml.nn.reservoirs.onion": ("OnionReservoir", "QuantumReservoir"),
            "qml.nn.reservoirs.rings": ("FeedbackRing", "PersistentRing"),
            "qml.reservoir": ("HybridReservoir",),
        },
    )
