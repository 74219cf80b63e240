"""Feature maps whose angles are products of inputs: Pauli feature maps and IQP embeddings."""

import math
from collections.abc import Sequence
from itertools import combinations

from circuits import _checks
from circuits.ansatzes.patterns import Pattern, pairs_of
from circuits.circuit import Circuit
from circuits.computed import ComputedCircuit
from circuits.polynomials import Polynomial, inputs
from circuits.slots import data

Subset = tuple[int, ...]


def zz(n_inputs: int, n_layers: int = 2, *, pattern: Pattern = "all", alpha: float | int = 2.0) -> ComputedCircuit:
    """Encode inputs by rotations about Z, and products (pi - x_i)(pi - x_j) by rotations about ZZ.

    Args:
        n_inputs: number of inputs and of qubits, at least 2.
        n_layers: number of repetitions.
        pattern: the pairs, as for `ansatzes.hardware_efficient`.
        alpha: the factor of all angles.

    Returns:
        The circuit of Qiskit's `zz_feature_map` up to its global phase, one data slot an input and one a pair.

    Reference:
        Havlicek et al., arXiv:1804.11326, equation 2.

    Example:
        >>> from circuits import feature_maps
        >>> feature_maps.zz(2).angles
        (2*x0, 2*x1, 19.7392 - 6.28319*x0 - 6.28319*x1 + 2*x0*x1)
    """
    pairs_of(pattern, n_inputs)
    return pauli(n_inputs, n_layers, paulis=("Z", "ZZ"), pattern=pattern, alpha=alpha)


def pauli(
    n_inputs: int,
    n_layers: int = 2,
    *,
    paulis: Sequence[str] = ("Z", "ZZ"),
    pattern: Pattern = "all",
    alpha: float | int = 2.0,
) -> ComputedCircuit:
    """Encode inputs by Hadamard gates and rotations exp(-i alpha phi_S P_S / 2), for Pauli strings P on subsets S.

    The angle phi_S is x_i on one qubit, and the product of (pi - x_i) over S on several.

    Args:
        n_inputs: number of inputs and of qubits.
        n_layers: number of repetitions.
        paulis: strings of X, Y and Z, one group of rotations each. The first letter acts on the first qubit of a
            subset; Qiskit's strings read the other way.
        pattern: the pairs, as for `ansatzes.hardware_efficient`. Strings of one letter act on every qubit; those of
            three or more need `"all"` (every subset) or `"line"` (neighbours).
        alpha: the factor of all angles.

    Returns:
        The circuit of Qiskit's `pauli_feature_map` up to its global phase.

    Raises:
        ValueError: strings that are empty, of other letters or longer than there are qubits; an unknown pattern.

    Reference:
        Havlicek et al., arXiv:1804.11326, equations 2 and 32.

    Example:
        >>> from circuits import feature_maps
        >>> feature_maps.pauli(3, 1, paulis=["Y", "XZ"], pattern="line").circuit.n_data
        5
    """
    n_inputs = _checks.as_int(n_inputs, "n_inputs", minimum=1)
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    factor = _checks.as_number(alpha, "alpha")
    groups = [(word, _subsets(pattern, n_inputs, len(word))) for word in _words(paulis, n_inputs)]
    subsets = dict.fromkeys(subset for _, group in groups for subset in group)
    slots = {subset: number for number, subset in enumerate(subsets)}
    circuit = Circuit(n_inputs)
    for _ in range(n_layers):
        for qubit in range(n_inputs):
            circuit.h(qubit)
        for word, group in groups:
            for subset in group:
                circuit.pauli_rotation(data(slots[subset]), word, subset)
    values = inputs(n_inputs)
    return ComputedCircuit(circuit, tuple(factor * _distance(values, subset) for subset in subsets), n_inputs)


def iqp(n_inputs: int, n_layers: int = 1, *, pattern: Pattern = "all") -> ComputedCircuit:
    """Encode inputs by Hadamard gates and RZ(x_i), and their products by RZZ(x_i x_j).

    Args:
        n_inputs: number of inputs and of qubits, at least 1; one input has no pairs.
        n_layers: number of repetitions.
        pattern: the pairs, as for `ansatzes.hardware_efficient`.

    Returns:
        The circuit of PennyLane's `IQPEmbedding`, one data slot an input and one a pair.

    Reference:
        Havlicek et al., arXiv:1804.11326; Bowles et al., arXiv:2403.07059, the IQP kernel.

    Example:
        >>> from circuits import feature_maps
        >>> feature_maps.iqp(3, pattern="line").angles
        (x0, x1, x2, x0*x1, x1*x2)
    """
    n_inputs = _checks.as_int(n_inputs, "n_inputs", minimum=1)
    pairs = pairs_of(pattern, n_inputs) if n_inputs > 1 else ()
    n_layers = _checks.as_int(n_layers, "n_layers", minimum=1)
    products = {frozenset(pair): n_inputs + number for number, pair in enumerate(dict.fromkeys(map(frozenset, pairs)))}
    circuit = Circuit(n_inputs)
    for _ in range(n_layers):
        for qubit in range(n_inputs):
            circuit.h(qubit).rz(data(qubit), qubit)
        for pair in pairs:
            circuit.rzz(data(products[frozenset(pair)]), *pair)
    values = inputs(n_inputs)
    angles = [values[min(pair)] * values[max(pair)] for pair in products]
    return ComputedCircuit(circuit, (*values, *angles), n_inputs)


def _words(paulis: Sequence[str], n_inputs: int) -> list[str]:
    words = [_checks.as_pauli(word, "paulis") for word in _checks.as_texts(paulis, "paulis")]
    if not words:
        raise ValueError("Argument `paulis` must hold at least one string, but is empty.")
    for word in words:
        if "I" in word or len(word) > n_inputs:
            raise ValueError(
                f"Argument `paulis` must hold strings of X, Y and Z on at most {n_inputs} qubits, but holds {word!r}."
            )
    return words


def _subsets(pattern: Pattern, n_inputs: int, size: int) -> list[Subset]:
    if size == 1:
        return [(qubit,) for qubit in range(n_inputs)]
    if size == 2:
        return list(pairs_of(pattern, n_inputs))
    if pattern not in ("all", "line"):
        raise ValueError(
            f'Argument `pattern` must be "all" or "line" for strings of {size} letters, but is {pattern!r}.'
        )
    windows = [tuple(range(start, start + size)) for start in range(n_inputs - size + 1)]
    return windows if pattern == "line" else list(combinations(range(n_inputs), size))


def _distance(values: Sequence[Polynomial], subset: Subset) -> Polynomial:
    if len(subset) == 1:
        return values[subset[0]]
    product = Polynomial.of(1.0)
    for qubit in subset:
        product = product * (math.pi - values[qubit])
    return product
