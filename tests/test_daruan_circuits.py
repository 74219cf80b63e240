"""The activation circuits, and their rotations of the Bloch vector."""

import numpy as np
import pytest
import torch

from circuits import Circuit, Z, data, weight
from circuits.daruan import ANSATZES, daruan_circuit, require_activation
from qml.nn.qkan.points.bloch import Angles, expectation
from qml.nn.qkan.points.program import compile_activation
from tests import oracle
from tests.helpers import FLOAT64, assert_close

N_WEIGHTS = {"pz": 8, "rpz": 4, "real": 3, "px": 4, "mix": 8}


def own_circuits() -> list[Circuit]:
    angle = 0.7
    turned = np.array([[np.cos(angle), 1j * np.sin(angle)], [1j * np.sin(angle), np.cos(angle)]])
    return [
        Circuit(1).ry(data(0), 0),
        Circuit(1).t(0).h(0).s(0).rx(weight(0), 0).y(0).rz(data(1), 0).sdg(0).ry(data(0), 0).unitary(turned, 0),
        Circuit(1).u3(weight(0), data(0), weight(1), 0).h(0).p(data(0), 0).rx(0.3, 0),
        Circuit(1).h(0).exp_pauli(data(0), "Z", 0).exp_pauli(weight(0), "Y", 0).z(0).t(0).rx(data(0), 0),
        Circuit(1).ry(np.pi / 2, 0).rz(data(0), 0).ry(1e-7, 0).rx(np.pi, 0).rz(1.0, 0).ry(np.pi, 0).rx(weight(0), 0),
    ]


@pytest.mark.parametrize("ansatz", list(ANSATZES))
def test_every_weight_and_every_upload_is_used_once(ansatz: str) -> None:
    circuit = daruan_circuit(ansatz, 3)
    slots = [slot for op in circuit for slot in op.slots]
    assert (circuit.n_data, circuit.n_weights) == (3, N_WEIGHTS[ansatz])
    assert len(slots) == len(set(slots)) == 3 + N_WEIGHTS[ansatz]
    assert [slot.index for slot in slots if slot.kind == "data"] == [0, 1, 2]
    assert [slot.index for slot in slots if slot.kind == "weight"] == list(range(N_WEIGHTS[ansatz]))


def test_pz_is_the_circuit_of_the_paper() -> None:
    names = [op.name for op in daruan_circuit("pz", 2)]
    assert names == ["h", "rz", "ry", "rz", "rz", "ry", "rz", "rz", "ry"]


@pytest.mark.parametrize("circuit", [*(daruan_circuit(name, 3) for name in ANSATZES), *own_circuits()])
def test_rotations_of_the_bloch_vector_give_the_oracles_expectation(circuit: Circuit) -> None:
    generator = np.random.default_rng(0)
    angles, weights = generator.normal(size=(6, circuit.n_data)), generator.normal(size=circuit.n_weights)
    expected = oracle.expectation(circuit, angles, weights, [Z(0)])[:, 0]
    program = compile_activation(circuit)
    scale = torch.zeros(circuit.n_data, 1, 1, dtype=torch.float64)
    values = [
        expectation(
            program,
            Angles(
                torch.ones(1, 1, 1, dtype=torch.float64),
                torch.tensor(weights).reshape(-1, 1, 1),
                scale,
                torch.tensor(row).reshape(-1, 1, 1),
            ),
        ).item()
        for row in angles
    ]
    assert_close(values, expected, FLOAT64)


@pytest.mark.parametrize("circuit", own_circuits())
def test_the_degree_bounds_the_spectrum(circuit: Circuit) -> None:
    program = compile_activation(circuit)
    assert program.degree is not None
    points = torch.arange(16, dtype=torch.float64) * 2 * torch.pi / 16
    weights = torch.full((program.n_weights, 1, 1), 0.4, dtype=torch.float64)
    values = expectation(program, Angles(points.reshape(-1, 1, 1), weights, None, None)).flatten()
    assert_close(torch.fft.rfft(values)[program.degree + 1 :].abs() / 16, np.zeros(8 - program.degree), FLOAT64)


def test_a_factor_that_is_no_integer_has_no_degree() -> None:
    circuit = Circuit(1).h(0).exp_pauli(data(0), "Z", 0)
    half = Circuit(1).h(0).append(type(circuit.operations[1].gate)("Z", factor=0.25), 0, angles=(data(0),)).h(0)
    assert compile_activation(half).degree is None


@pytest.mark.parametrize(
    ("circuit", "message"),
    [
        (Circuit(2).ry(data(0), 0), "must be a circuit of one qubit, but has 2"),
        (Circuit(1).ry(weight(0), 0), "has no data slot"),
        (Circuit(1).ry(data(0), 0).reset(0), "must be a unitary circuit, but has `reset`"),
        (Circuit(1).ry(data(0), 0).measure(0), "must be a unitary circuit, but has `measure`"),
    ],
)
def test_what_cannot_be_an_activation_is_refused(circuit: Circuit, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        require_activation(circuit)


@pytest.mark.parametrize("circuit", [Circuit(1).rz(data(0), 0).ry(weight(0), 0), Circuit(1).h(0).rz(data(0), 0)])
def test_an_activation_that_does_not_depend_on_its_input_is_refused(circuit: Circuit) -> None:
    with pytest.raises(ValueError, match="`ansatz` must measure something of its input"):
        compile_activation(circuit)


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="`ansatz` must be one of pz, rpz, real, px, mix, but is 'zz'"):
        daruan_circuit("zz")
    with pytest.raises(ValueError, match="`reps` must be at least 1, but is 0"):
        daruan_circuit("pz", 0)
    with pytest.raises(TypeError, match="`ansatz` must be a name or a Circuit, but is int"):
        require_activation(3)
