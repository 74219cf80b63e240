"""The quantum reservoirs that forecasting tasks compare: one ring, and an onion with as many qubits."""

from collections.abc import Mapping

from qml.nn import FeedbackRing, OnionReservoir, QuantumReservoir
from qml.reservoir import Reservoir

N_RINGS, RING_QUBITS = 3, 3  # the single ring has as many qubits as all rings together
RING_SPREAD = (1.0, 1.25, 1.125)  # factors of the rings' input scales, as in arXiv:2505.22837


def single(setting: Mapping[str, float], n_inputs: int) -> Reservoir:
    """Build one ring with the setting's `input_scale` and `feedback_scale`."""
    return QuantumReservoir(_ring(N_RINGS * RING_QUBITS, setting, 1.0), n_inputs)


def onion(setting: Mapping[str, float], n_inputs: int) -> Reservoir:
    """Build rings whose input scales are spread around the setting's."""
    return OnionReservoir([_ring(RING_QUBITS, setting, spread) for spread in RING_SPREAD], n_inputs)


def _ring(n_qubits: int, setting: Mapping[str, float], spread: float) -> FeedbackRing:
    return FeedbackRing(n_qubits, spread * setting["input_scale"], setting["feedback_scale"])
