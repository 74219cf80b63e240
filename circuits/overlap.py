"""The circuit of an overlap: compute one state, uncompute the other."""

from circuits.circuit import Circuit
from circuits.slots import Slot, data


def overlap_circuit(feature_map: Circuit) -> Circuit:
    """Build U(x), then U(x')^dagger, where x' has the data slots behind those of x.

    The probability of all zeros is |<0| U(x')^dagger U(x) |0>|^2.
    """
    n_data, inverse = feature_map.n_data, feature_map.inverse()
    result = feature_map.copy()
    for operation in inverse.operations:
        angles = [
            data(n_data + angle.index) if isinstance(angle, Slot) and angle.kind == "data" else angle
            for angle in operation.angles
        ]
        result.append(operation.gate, operation.qubits, controls=operation.controls, angles=angles)
    return result
