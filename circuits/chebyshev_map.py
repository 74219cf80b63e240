"""The feature map whose angles are multiples of arccos(x), so that expectation values are Chebyshev polynomials."""

from typing import Literal

from circuits import _checks
from circuits.circuit import Circuit
from circuits.computed import ComputedCircuit
from circuits.polynomials import function_of, inputs
from circuits.slots import data

DEGREES = ("tower", "sparse")


def chebyshev(n_qubits: int, n_inputs: int = 1, *, degrees: Literal["tower", "sparse"] = "tower") -> ComputedCircuit:
    """Encode inputs in [-1, 1] by RY(2 m arccos(x)), so that <Z> is the Chebyshev polynomial T_{2m}(x).

    Qubit q takes input q mod n_inputs, and is the m-th qubit of that input, m = q // n_inputs + 1. With an ansatz
    behind the map, expectation values are sums of T_k(x) and sqrt(1 - x^2) U_{k-1}(x) with even k, at most the sum of
    all 2 m of an input.

    Args:
        n_qubits: number of qubits, at least `n_inputs`.
        n_inputs: number of inputs.
        degrees: `"tower"` has the multiple m on the m-th qubit of an input, so that the degree grows as the square of
            the number of qubits; `"sparse"` has m = 1 on each.

    Returns:
        The circuit, with one data slot a qubit. Its derivative in an input is infinite at -1 and 1.

    Raises:
        ValueError: fewer qubits than inputs, or degrees that are not known.

    Reference:
        Kyriienko, Paine and Elfving, arXiv:2011.10395, the tower and the sparse Chebyshev feature map.

    Example:
        >>> from circuits import feature_maps
        >>> feature_maps.chebyshev(3).angles
        (2*arccos(x0), 4*arccos(x0), 6*arccos(x0))
    """
    n_inputs = _checks.as_int(n_inputs, "n_inputs", minimum=1)
    n_qubits = _checks.as_int(n_qubits, "n_qubits", n_inputs, " Each input takes a qubit or more.")
    _checks.require_choice(degrees, "degrees", DEGREES)
    arcs = [function_of("arccos", value) for value in inputs(n_inputs)]
    circuit, angles = Circuit(n_qubits), []
    for qubit in range(n_qubits):
        multiple = qubit // n_inputs + 1 if degrees == "tower" else 1
        circuit.ry(data(qubit), qubit)
        angles.append(2.0 * multiple * arcs[qubit % n_inputs])
    return ComputedCircuit(circuit, tuple(angles), n_inputs)
