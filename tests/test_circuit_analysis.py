"""Analyses of circuits and layers against closed forms."""

import importlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from torch import nn

from circuits import Circuit, Observable, X, Y, Z, ansatzes, data, pauli_string, weight
from qml.analysis import (
    circuit_fourier_series,
    effective_dimension,
    entangling_capability,
    expressibility,
    fourier_series,
    gradient_scaling,
    gradient_variance,
    light_cones,
    meyer_wallach,
    resources,
)
from qml.analysis.expressibility import haar_log_shares
from qml.backends import Native
from qml.nn import QuantumLayer
from tests.helpers import assert_close

EXACT = 1e-12  # float64 algebra
SIGMAS = 5.0  # of a mean; a normal one is off by more in 6 of 10 million runs


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# --- light cones ------------------------------------------------------------------------------------------------------


def test_light_cones_of_a_chain_grow_by_a_neighbour_on_each_side() -> None:
    circuit = Circuit(101)
    for layer in range(3):
        for qubit in range(101):
            circuit.ry(weight(101 * layer + qubit), qubit)
        for qubit in range(100):
            circuit.cz(qubit, qubit + 1)
    found = light_cones(circuit, [Z(50), Z(0), Z(1) + 0.5 * Z(50)])
    assert found.n_qubits == 101
    assert [cone.qubits for cone in found.cones] == [
        tuple(range(48, 53)),
        (0, 1, 2),
        (0, 1, 2, 3),
        (48, 49, 50, 51, 52),
    ]
    assert [cone.observable for cone in found.cones] == [0, 1, 2, 2]
    assert found.widths == (5, 3, 4, 5)
    assert found.cones[1].n_operations == 9  # 1 + 2 + 3 rotations, and 1 + 2 CZ between them


def test_a_light_cone_is_what_the_gradient_sees() -> None:
    circuit = Circuit(6).ry(weight(0), 0).ry(weight(1), 3).cx(0, 1).ry(weight(2), 1).cz(1, 2).ry(weight(3), 4)
    circuit.cx(3, 4).ry(weight(4), 4).ry(weight(5), 5)
    cone = light_cones(circuit, [Z(1) @ X(4)]).cones[0]
    angles = torch.linspace(0.3, 1.3, 6, dtype=torch.float64, requires_grad=True)
    value = Native().expectation(circuit, torch.zeros(1, 0, dtype=torch.float64), angles, [Z(1) @ X(4)])
    (slope,) = torch.autograd.grad(value.sum(), angles)
    assert cone.components == ((0, 1), (3, 4))
    assert cone.width == 2
    assert (slope.abs() > 1e-3).tolist() == [True, True, True, True, True, False]


def test_light_cones_of_constants_are_empty_and_clifford_gates_widen_none() -> None:
    ghz = Circuit(1000).h(0)
    for qubit in range(999):
        ghz.cx(qubit, qubit + 1)
    assert light_cones(ghz, [Z(0) @ Z(999)]).widths == (0,)
    assert light_cones(Circuit(3), []).widths == ()


@pytest.mark.plain
def test_light_cones_are_refused_by_the_argument_that_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"`observables` must act on qubits 0\.\.1"):
        light_cones(Circuit(2), [Z(2)])
    with pytest.raises(TypeError, match="`observables` must be a sequence"):
        light_cones(Circuit(2), Z(0))


# --- resources --------------------------------------------------------------------------------------------------------


def test_resources_count_gates_depth_and_parameters() -> None:
    circuit = Circuit(3).h(0).cx(0, 1).cx(1, 2).ry(weight(0), 0).x(2, controls=(0, 1)).rz(data(0), 2)
    counts = resources(circuit)
    assert counts.gates == {"h": 1, "cx": 2, "ry": 1, "ccx": 1, "rz": 1}
    assert (counts.n_gates, counts.n_two_qubit, counts.n_wider) == (6, 2, 1)
    assert (counts.depth, counts.two_qubit_depth) == (5, 3)
    assert (counts.n_qubits, counts.n_data, counts.n_weights) == (3, 1, 1)


def test_resources_of_an_empty_circuit_are_zero() -> None:
    counts = resources(Circuit(2))
    assert (counts.n_gates, counts.depth, counts.two_qubit_depth) == (0, 0, 0)


# --- expressibility and entanglement ----------------------------------------------------------------------------------


def test_an_idle_circuit_has_the_largest_divergence() -> None:
    """All fidelities are 1, in the last of 75 bins, which holds 1/75 of the Haar-random pairs of one qubit."""
    found = expressibility(Circuit(1).rz(weight(0), 0), n_samples=50, generator=seeded())
    assert found.divergence == pytest.approx(math.log(75), abs=EXACT)


def test_haar_random_states_of_one_qubit_have_almost_no_divergence() -> None:
    """RZ RY RZ with uniform angles is not Haar-random, but RX RZ RX RZ ... soon is; the bias is (bins - 1) / 2 s."""
    circuit = Circuit(1)
    for k in range(12):
        circuit.rx(weight(2 * k), 0).rz(weight(2 * k + 1), 0)
    found = expressibility(circuit, n_samples=4000, n_bins=20, generator=seeded())
    # 2 s KL is chi-square with 19 degrees of freedom: mean 19, and above 76 in 1 of 10 million runs
    assert 2 * 4000 * found.divergence < 76.0
    assert found.haar.sum() == pytest.approx(1.0, abs=EXACT)


def test_haar_shares_do_not_underflow() -> None:
    logs = haar_log_shares(np.linspace(0, 1, 76), 12)
    assert np.isfinite(logs).all()
    assert np.exp(logs).sum() == pytest.approx(1.0, abs=EXACT)


def test_meyer_wallach_of_known_states() -> None:
    ghz, product = torch.zeros(2, 8, dtype=torch.complex128)
    ghz[[0, 7]], product[5] = math.sqrt(0.5), 1.0
    one_pair = torch.zeros(8, dtype=torch.complex128)
    one_pair[[0, 6]] = math.sqrt(0.5)  # qubits 0 and 1 entangled, 2 alone
    assert_close(meyer_wallach(torch.stack([ghz, product, one_pair])), [1.0, 0.0, 2 / 3], EXACT)


def test_entangling_capability_of_a_rotation_and_a_cx_is_one_half() -> None:
    """Q = sin(w)^2, whose mean is 1/2."""
    found = entangling_capability(Circuit(2).ry(weight(0), 0).cx(0, 1), n_samples=2000, generator=seeded())
    assert abs(found.mean - 0.5) < SIGMAS * found.standard_error
    assert entangling_capability(Circuit(2).ry(weight(0), 0), n_samples=10).mean == pytest.approx(0.0, abs=EXACT)


def test_entangling_capability_of_wide_circuits_is_that_of_states(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = Circuit(3).ry(weight(0), 0).rx(data(0), 1).cx(0, 1).rzz(weight(1), 1, 2).ry(weight(2), 2).cx(2, 1)
    by_states = entangling_capability(circuit, n_samples=20, generator=seeded())
    module = importlib.import_module("qml.analysis.expressibility")  # the package has a function of this name
    monkeypatch.setattr(module, "MAX_STATE_QUBITS", 0)
    assert_close(entangling_capability(circuit, n_samples=20, generator=seeded()).values, by_states.values, EXACT)
    with pytest.raises(ValueError, match="must be unitary"):
        entangling_capability(circuit.copy().reset(0), n_samples=2)
    monkeypatch.undo()
    wide = Circuit(100)
    for qubit in range(0, 100, 2):
        wide.ry(weight(qubit // 2), qubit).cx(qubit, qubit + 1)
    assert abs(entangling_capability(wide, n_samples=20, generator=seeded()).mean - 0.5) < 0.1  # 1000 values of sin^2
    with pytest.raises(ValueError, match="at most 30 qubits"):
        expressibility(wide)


# --- gradients --------------------------------------------------------------------------------------------------------


def product_circuit(n_qubits: int) -> Circuit:
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.rx(weight(qubit), qubit)
    return circuit


def all_z(n_qubits: int) -> Observable:
    return pauli_string("Z" * n_qubits, range(n_qubits))


def test_gradient_variance_of_a_product_is_two_to_the_minus_n() -> None:
    found = gradient_variance(product_circuit(3), all_z(3), n_samples=4000, generator=seeded())
    assert (np.abs(found.variances - 1 / 8) < SIGMAS * found.standard_errors).all()


def test_a_global_observable_gives_a_barren_plateau_and_a_local_one_does_not() -> None:
    sizes = (2, 4, 6)
    found = gradient_scaling(product_circuit, all_z, sizes, n_samples=3000, generator=seeded())
    assert found.base == pytest.approx(2.0, rel=0.15)  # three points, each to about 5 %
    local = gradient_scaling(product_circuit, lambda n: sum((Z(k) for k in range(1, n)), Z(0)), sizes, n_samples=500)
    assert local.base == pytest.approx(1.0, rel=0.1)


def test_a_gradient_that_vanishes_everywhere_has_no_scaling() -> None:
    with pytest.raises(ValueError, match="must vary at every size"):
        gradient_scaling(lambda n: Circuit(n).rz(weight(0), 0), lambda n: Z(0), (1, 2), n_samples=4)


def test_a_circuit_without_weights_has_no_gradient_variance() -> None:
    with pytest.raises(ValueError, match="must have weight slots"):
        gradient_variance(Circuit(1).rx(data(0), 0), Z(0))


# --- Fourier series ---------------------------------------------------------------------------------------------------


def test_one_rotation_is_a_cosine() -> None:
    series = circuit_fourier_series(Circuit(1).rx(data(0), 0), Z(0))
    assert_close(series.orders[:, 0], [-1, 0, 1], 0)
    assert_close(series.coefficients, [0.5, 0.0, 0.5], EXACT)


def test_uploading_twice_doubles_the_degree_and_sine_is_imaginary() -> None:
    """<Y> after RX(x) RX(x) is -sin(2x) = (i e^{2ix} - i e^{-2ix}) / 2."""
    series = circuit_fourier_series(Circuit(1).rx(data(0), 0).rx(data(0), 0), Y(0))
    assert_close(series.coefficients, [-0.5j, 0, 0, 0, 0.5j], EXACT)


def test_controlled_rotations_have_half_frequencies() -> None:
    circuit = Circuit(2).h(0).rx(data(0), 1, controls=(0,))
    series = circuit_fourier_series(circuit, X(0) @ Z(1))
    assert_close(series.base, [0.5], EXACT)
    points = np.linspace(-5, 5, 7)[:, None]
    assert_close(series(points), np.cos(points[:, 0] / 2), EXACT)  # Re <0|RX(x)|0>, as a Hadamard test


def test_two_inputs_multiply() -> None:
    circuit = Circuit(2).rx(data(0), 0).exp_pauli(data(1), "X", (1,)).ry(weight(0), 0)
    series = circuit_fourier_series(circuit, Z(0) @ Z(1), torch.zeros(1))
    points = np.random.default_rng(0).normal(size=(5, 2))
    assert_close(series(points), np.cos(points[:, 0]) * np.cos(2 * points[:, 1]), EXACT)
    with pytest.raises(ValueError, match="one input to be drawn"):
        series.plot()


def test_a_degree_that_is_too_low_is_refused_not_aliased() -> None:
    with pytest.raises(ValueError, match="trigonometric polynomial"):
        fourier_series(lambda inputs: torch.cos(3 * inputs[:, 0]), [2])


def test_incommensurable_frequencies_are_refused() -> None:
    circuit = Circuit(1).exp_pauli(data(0), "X", (0,)).rx(data(0), 0)
    circuit.append(type(circuit.operations[0].gate)("Z", factor=math.sqrt(2)), (0,), angles=(data(0),))
    with pytest.raises(ValueError, match="must have a common base"):
        circuit_fourier_series(circuit, Z(0))


# --- effective dimension ----------------------------------------------------------------------------------------------


class Cosine(nn.Module):
    """<Z> after RY(w): the probabilities cos^2(w/2), sin^2(w/2) have Fisher information 1 at every w."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.cos(self.w) * torch.ones(len(inputs), dtype=torch.float64)


class Single(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.float()


def test_effective_dimension_of_one_rotation_has_a_closed_form() -> None:
    n_data = 1000
    kappa = n_data / (2 * math.pi * math.log(n_data))
    found = effective_dimension(
        Cosine(), torch.zeros(3, 1), n_data=n_data, readout="expectation", n_samples=10, generator=seeded()
    )
    assert found.value == pytest.approx(math.log(1 + kappa) / math.log(kappa), abs=1e-9)  # p near 0 loses digits
    assert found.normalised == found.value


def test_effective_dimension_keeps_its_precision_under_autocast() -> None:
    layer = QuantumLayer(ansatzes.strongly_entangling(2, 1), [Z(0), Z(1)], generator=seeded())
    inputs = torch.zeros(1, 0)
    expected = effective_dimension(layer, inputs, n_data=100, n_samples=4, generator=seeded()).value
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = effective_dimension(layer, inputs, n_data=100, n_samples=4, generator=seeded()).value
    assert found == pytest.approx(expected, abs=1e-5)  # float32


def test_effective_dimension_in_float32_where_rounding_makes_a_probability_zero() -> None:
    """1 - cos(w) is 0 in float32 below w = 3e-4, where its slope is not: their quotient must not be the largest."""
    n_data = 1000
    kappa = n_data / (2 * math.pi * math.log(n_data))
    options: dict[str, Any] = {"n_data": n_data, "readout": "expectation", "n_samples": 200, "spread": 1e-2}
    model = nn.Sequential(Cosine(), Single())
    found = effective_dimension(model, torch.zeros(3, 1), generator=seeded(), **options)
    # Of draws below 1e-3, a tenth, float32 tells less than a digit; Fisher information is 1 at all of them.
    assert found.value == pytest.approx(math.log(1 + kappa) / math.log(kappa), abs=0.05)
    assert found.eigenvalues.max() < 2.0


def test_a_parameter_without_effect_adds_no_dimension() -> None:
    torch_model = nn.Linear(2, 2, bias=False, dtype=torch.float64)
    inputs = torch.tensor([[1.0, 0.0]], dtype=torch.float64)  # the second input's weights do nothing
    found = effective_dimension(torch_model, inputs, n_data=10_000, n_samples=20, generator=seeded())
    assert found.n_parameters == 4
    assert (found.eigenvalues[:, :3] < 1e-9).all()  # softmax of two logits has one direction
    assert found.value < 2.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_data": 5}, "n_data"),
        ({"n_data": 100, "readout": "z"}, "readout"),
        ({"n_data": 100, "n_samples": 1}, "n_samp"),
    ],
)
def test_effective_dimension_refuses_bad_input(options: dict[str, object], message: str) -> None:
    with pytest.raises((ValueError, TypeCheckError), match=message):
        effective_dimension(nn.Linear(2, 2), torch.zeros(1, 2), **options)  # pyright: ignore[reportArgumentType]


# --- figures and bad input --------------------------------------------------------------------------------------------


def test_every_result_draws_a_figure() -> None:
    circuit = Circuit(2).ry(weight(0), 0).cx(0, 1).rx(data(0), 1)
    results = [
        expressibility(circuit, n_samples=20, generator=seeded()),
        entangling_capability(circuit, n_samples=20, generator=seeded()),
        gradient_scaling(product_circuit, all_z, (1, 2), n_samples=20, generator=seeded()),
        circuit_fourier_series(circuit, Z(1), torch.zeros(1)),
        effective_dimension(nn.Linear(2, 2), torch.ones(2, 2), n_data=100, n_samples=3, generator=seeded()),
    ]
    for result in results:
        figure = result.plot()
        assert figure.axes[0].get_xlabel()


def test_amplitudes_from_slots_are_refused() -> None:
    circuit = Circuit(1).prepare_slots([data(0), data(1)]).ry(weight(0), 0)
    with pytest.raises(ValueError, match="takes amplitudes from data slots"):
        expressibility(circuit)


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        entangling_capability(Circuit(1), n_samples=1)


def test_states_and_values_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="must have norm 1, but a squared norm differs from 1 by 3"):
        meyer_wallach(torch.ones(1, 4, dtype=torch.complex64))
    assert meyer_wallach(torch.ones(0, 4, dtype=torch.complex64)).shape == (0,)
    with pytest.raises(ValueError, match=r"`function\(inputs\)` must be finite"):
        fourier_series(lambda x: x[:, 0] * math.nan, [1])
    with pytest.raises(TypeError, match="must give real values"):
        fourier_series(lambda x: torch.exp(1j * x[:, 0]), [1])
    with pytest.raises(TypeError, match=r"must compute in float64, .* but gives torch.float32"):
        fourier_series(lambda x: torch.cos(x[:, 0].float()), [1])
    with pytest.raises(ValueError, match=r"must have shape \(batch, 1\), but has shape \(2,\)"):
        fourier_series(lambda x: torch.cos(x[:, 0]), [1])(np.zeros(2))
    with pytest.raises(ValueError, match=r"circuits of \[1, 2\] qubits, as asked, but makes some of \[2, 2\]"):
        gradient_scaling(lambda n: Circuit(2).ry(weight(0), 0), lambda n: Z(0), [1, 2], n_samples=2)
    with pytest.raises(ValueError, match="ascending"):
        haar_log_shares(np.array([0.5, 0.2]), 2)


@pytest.mark.plain
def test_a_name_is_no_circuit() -> None:
    with pytest.raises(TypeError, match="`circuit` must be a Circuit, but is str"):
        entangling_capability("ansatz")  # pyright: ignore[reportArgumentType]


def test_values_beyond_1_are_no_expectation_values() -> None:
    class Beyond(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return super().forward(input)[:, 0]

    with pytest.raises(ValueError, match=r"or expectation values in \[-1, 1\], but probabilities from -"):
        effective_dimension(Beyond(2, 1), torch.ones(3, 2), n_data=50, n_samples=3, readout="expectation")
    with pytest.raises(ValueError, match=r"at least one sample, but has shape \(0, 2\)"):
        effective_dimension(nn.Linear(2, 2), torch.ones(0, 2), n_data=50, n_samples=3)
