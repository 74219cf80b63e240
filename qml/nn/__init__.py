"""Quantum layers as torch modules."""

from qml.nn.checkpoint import load_layer as load_layer
from qml.nn.checkpoint import save_layer as save_layer
from qml.nn.daruan import DARUAN as DARUAN
from qml.nn.losses import farhi_neven_loss as farhi_neven_loss
from qml.nn.losses import hinge_loss as hinge_loss
from qml.nn.losses import logistic_loss as logistic_loss
from qml.nn.losses import superposition_loss as superposition_loss
from qml.nn.losses import word_loss as word_loss
from qml.nn.qkan import QKANLayer as QKANLayer
from qml.nn.qnn import QNNClassifier as QNNClassifier
from qml.nn.qrnn import QRNN as QRNN
from qml.nn.qrnn import QRNNSamples as QRNNSamples
from qml.nn.qrnn_cell import CellStep as CellStep
from qml.nn.qrnn_cell import QRNNCell as QRNNCell
from qml.nn.qrnn_continuous import QRNNClassifier as QRNNClassifier
from qml.nn.qrnn_continuous import QRNNRegressor as QRNNRegressor
from qml.nn.quantum_layer import QuantumLayer as QuantumLayer
from qml.nn.quantum_neuron import QuantumNeuron as QuantumNeuron
from qml.nn.reservoir import OnionReservoir as OnionReservoir
from qml.nn.reservoir import QuantumReservoir as QuantumReservoir
from qml.nn.rings import FeedbackRing as FeedbackRing
from qml.nn.rings import PersistentRing as PersistentRing
from qml.reservoir import HybridReservoir as HybridReservoir
