"""Feature maps of kernels: products of single qubits, and the evolution of a spin chain."""

from math import pi

from circuits import _checks
from circuits.circuit import Circuit
from circuits.slots import data, weight

SEPARABLE_ANGLE = pi / 4


def separable(n_inputs: int, n_layers: int = 1) -> Circuit:
    """Encode inputs on a qubit each, without entanglement: RX(pi/4) and RY(x_i) in turns.

    Its fidelity kernel is the control of Bowles et al.: an entangled one that is to be worth its gates must do better.

    Args:
        n_inputs: number of inputs and of qubits, at least 1.
        n_layers: number of repetitions.

    Reference:
        Bowles et al., arXiv:2403.07059, the separable kernel. They write |<0| u(x') u(x)^dagger |0>|^2 with
        u(x) = (RX(pi/4) RY(x))^n; Z on every qubit turns u(x)^dagger |0> into the state here.

    Example:
        >>> from circuits import feature_maps
        >>> feature_maps.separable(2, 3).n_data
        2
    """
    n_inputs = _checks.as_int(n_inputs, "n_inputs", minimum=1)
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    circuit = Circuit(n_inputs)
    for qubit in range(n_inputs):
        for _ in range(n_layers):
            circuit.rx(SEPARABLE_ANGLE, qubit).ry(data(qubit), qubit)
    return circuit


def heisenberg(n_inputs: int, n_steps: int = 5) -> Circuit:
    """Encode inputs as couplings of a Heisenberg chain that evolves in Trotter steps, on one qubit more than inputs.

    Every qubit starts in a state that three weights choose, RZ(c) RY(b) RZ(a), usually drawn at random and fixed. A
    step turns each pair of neighbours j and j + 1 by exp(-i p_j XX / 2), the same for YY and for ZZ. The data slots
    hold the angles p_j = x_j t n_inputs / n_steps of an evolution for the time t.

    Args:
        n_inputs: number of inputs, at least 1.
        n_steps: number of Trotter steps.

    Reference:
        Huang et al., arXiv:2011.01938, section "quantum kernels"; sizes as in Bowles et al., arXiv:2403.07059.

    Example:
        >>> from circuits import feature_maps
        >>> circuit = feature_maps.heisenberg(4)
        >>> circuit.n_qubits, circuit.n_data, circuit.n_weights
        (5, 4, 15)
    """
    n_inputs = _checks.as_int(n_inputs, "n_inputs", minimum=1)
    n_steps = _checks.as_int(n_steps, "n_steps", minimum=1)
    circuit = Circuit(n_inputs + 1)
    for qubit in range(n_inputs + 1):
        first = 3 * qubit
        circuit.rz(weight(first), qubit).ry(weight(first + 1), qubit).rz(weight(first + 2), qubit)
    for _ in range(n_steps):
        for number in range(n_inputs):
            slot, pair = data(number), (number, number + 1)
            circuit.rxx(slot, *pair).ryy(slot, *pair).rzz(slot, *pair)
    return circuit
