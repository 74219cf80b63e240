"""Jets of wide circuits: every component of the light cones apart."""

import pytest
import torch
from torch import Tensor

from circuits import Circuit, Observable, X, Z, data, weight
from qml.backends import Native
from qml.jets import Orders
from qml.nn import QuantumLayer
from tests.helpers import assert_close
from tests.test_wide_circuits import EXACT, SAME

ORDERS = Orders(2, (((0, 1.0), (1, 0.5)),))


def chain(n_qubits: int) -> Circuit:
    """A layer of data and weights on a chain; every qubit has an angle of its own."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(data(qubit % 3), qubit).rx(weight(qubit), qubit)
    for qubit in range(n_qubits - 1):
        circuit.cz(qubit, qubit + 1)
    for qubit in range(n_qubits):
        circuit.ry(weight(n_qubits + qubit), qubit)
    return circuit


def observables(n_qubits: int) -> list[Observable]:
    """One qubit, a product of distant ones, and a sum."""
    distant = Z(2) @ X(n_qubits // 2) @ Z(n_qubits - 2)
    return [Z(4), distant, 0.5 * Z(0) + X(n_qubits - 1) @ Z(0) + 2.0]


def nested(circuit: Circuit, inputs: Tensor, weights: Tensor, chosen: list[Observable]) -> Tensor:
    """The same components by forward mode."""
    value, first, second = inputs[0], inputs[1:3], inputs[3]

    def function(rows: Tensor) -> Tensor:
        return Native(method="autograd").expectation(circuit, rows, weights, chosen)

    result, slopes, curved = function(value), [], torch.func.jvp(function, (value,), (second,))[1]
    for direction, scale in zip(first, (1.0, 0.5), strict=True):

        def slope(rows: Tensor, direction: Tensor = direction) -> Tensor:
            return torch.func.jvp(function, (rows,), (direction,))[1]

        slopes.append(slope(value))
        curved = curved + scale * torch.func.jvp(slope, (value,), (direction,))[1]
    return torch.stack([result, *slopes, curved])


@pytest.mark.parametrize("n_qubits", [40, 100])
def test_jets_of_wide_circuits_are_those_of_nested_passes(n_qubits: int) -> None:
    circuit, chosen = chain(n_qubits), observables(n_qubits)
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(4, 3, 3, dtype=torch.float64, generator=generator)
    weights = torch.rand(circuit.n_weights, dtype=torch.float64, generator=generator).requires_grad_()
    jets = Native().expectation_jet(circuit, inputs, weights, chosen, ORDERS)
    expected = nested(circuit, inputs, weights, chosen)
    assert_close(jets, expected, EXACT)
    scale = torch.rand(jets.shape, dtype=torch.float64, generator=generator)
    slopes = (torch.autograd.grad((scale * part).sum(), weights)[0] for part in (jets, expected))
    assert_close(next(slopes), next(slopes), SAME)


def test_rows_of_weights_of_a_wide_circuit() -> None:
    circuit, chosen = chain(40), observables(40)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(4, 2, 3, dtype=torch.float64, generator=generator)
    rows = torch.rand(2, circuit.n_weights, dtype=torch.float64, generator=generator)
    jets = Native().expectation_jet(circuit, inputs, rows, chosen, ORDERS)
    for k in range(2):
        single = Native().expectation_jet(circuit, inputs[:, k : k + 1], rows[k], chosen, ORDERS)
        assert_close(jets[:, k : k + 1], single, EXACT)
    same = rows[:1].expand(2, -1).clone().requires_grad_()
    expanded = rows[0].clone().requires_grad_()
    values = [
        Native().expectation_jet(circuit, inputs, part, chosen, ORDERS) for part in (same, expanded.expand(2, -1))
    ]
    assert_close(values[0], values[1], EXACT)
    first, second = (
        torch.autograd.grad(value.square().sum(), part)[0] for value, part in zip(values, (same, expanded), strict=True)
    )
    assert_close(first.sum(0), second, SAME)


def test_layers_on_wide_circuits_have_jets() -> None:
    layer = QuantumLayer(chain(60), observables(60), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    inputs = torch.rand(4, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    assert_close(layer.jet(inputs, ORDERS)[0], layer(inputs[0]), EXACT)


def test_wide_components_have_no_jets_and_are_refused() -> None:
    circuit = chain(40)
    for qubit in range(39):
        circuit.cx(qubit, qubit + 1).ry(weight(79 + qubit), qubit)
    inputs, weights = torch.zeros(4, 2, 3), torch.zeros(circuit.n_weights)
    with pytest.raises(NotImplementedError, match="light cones have components"):
        Native().expectation_jet(circuit, inputs, weights, [Z(20)], ORDERS)
    selected = chain(40).post_select(3, 0)
    with pytest.raises(NotImplementedError, match="unitary gates"):
        Native().expectation_jet(selected, inputs, torch.zeros(80), [Z(20)], ORDERS)
