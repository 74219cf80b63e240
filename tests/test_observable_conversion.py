"""Observables to and from PennyLane and Qiskit, judged by their matrices."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from circuits import X, Y, Z
from tests.helpers import FLOAT64, assert_close
from tests.oracle import observable_matrix
from tests.strategies import build, observable_sums

pennylane = pytest.importorskip("pennylane")
qiskit = pytest.importorskip("qiskit")

from qiskit.circuit import Parameter  # noqa: E402
from qiskit.quantum_info import Pauli, SparsePauliOp  # noqa: E402

from qml.backends.convert.pennylane import observable_from_pennylane, observable_to_pennylane  # noqa: E402
from qml.backends.convert.qiskit import observable_from_qiskit, observable_to_qiskit, reverse_qubits  # noqa: E402


def reversed_matrix(operator: Any) -> np.ndarray:
    return reverse_qubits(reverse_qubits(operator.to_matrix()), axis=0)


@given(observable_sums(3))
def test_observables_go_to_qiskit_and_back(terms: Any) -> None:
    ours = build((3, 0, None, (), (terms,), 0)).observables[0]
    theirs = observable_to_qiskit(ours, 3)
    assert_close(reversed_matrix(theirs), observable_matrix(ours, 3), FLOAT64)
    assert_close(observable_matrix(observable_from_qiskit(theirs), 3), observable_matrix(ours, 3), FLOAT64)


@given(observable_sums(3))
def test_observables_go_to_pennylane_and_back(terms: Any) -> None:
    ours = build((3, 0, None, (), (terms,), 0)).observables[0]
    theirs = observable_to_pennylane(ours)
    assert_close(pennylane.matrix(theirs, wire_order=range(3)), observable_matrix(ours, 3), FLOAT64)
    assert_close(observable_matrix(observable_from_pennylane(theirs), 3), observable_matrix(ours, 3), FLOAT64)


def test_operators_of_other_forms_are_read() -> None:
    assert observable_from_qiskit("XIZ") == observable_from_qiskit(Pauli("XIZ")) == Z(0) @ X(2)
    assert observable_from_qiskit(Pauli("-Y")) == -Y(0)
    rounded = SparsePauliOp(["Z"], np.array([0.5 + 1e-17j]))
    assert observable_from_qiskit(rounded) == 0.5 * Z(0)
    hamiltonian = pennylane.Hamiltonian([0.5, 2.0], [pennylane.Z("a") @ pennylane.X("b"), pennylane.Identity("a")])
    assert observable_from_pennylane(hamiltonian, wires=["a", "b"]) == 0.5 * Z(0) @ X(1) + 2.0
    assert observable_from_pennylane(pennylane.expval(pennylane.Y(1))) == Y(1)
    assert pennylane.equal(observable_to_pennylane(Z(1), wires=["a", "b"]), pennylane.Z("b"))


def test_what_is_no_real_sum_of_pauli_strings_is_refused() -> None:
    with pytest.raises(ValueError, match="real coefficients, but a coefficient is 1j"):
        observable_from_qiskit(Pauli("iX"))
    with pytest.raises(ValueError, match=r"numbers as coefficients, but has a\. Bind"):
        observable_from_qiskit(SparsePauliOp(["Z"], np.array([Parameter("a")])))
    with pytest.raises(TypeError, match=r"SparsePauliOp\.from_list"):
        observable_from_qiskit([("Z", 1.0)])
    with pytest.raises(ValueError, match="`n_qubits` must be above 2"):
        observable_to_qiskit(X(2), 2)
    with pytest.raises(ValueError, match=r"real coefficients"):
        observable_from_pennylane(1j * pennylane.Z(0))
    with pytest.raises(ValueError, match=r"(?s)made of Pauli operators.*pauli_decompose"):
        observable_from_pennylane(pennylane.Hermitian(np.eye(2), 0))
    with pytest.raises(ValueError, match=r"acts on 'a'\. Pass wires="):
        observable_from_pennylane(pennylane.Z("a"))
    for measurement in (pennylane.var(pennylane.Z(0)), pennylane.probs(wires=0)):
        with pytest.raises(TypeError, match=r"what stands within expval"):
            observable_from_pennylane(measurement)
