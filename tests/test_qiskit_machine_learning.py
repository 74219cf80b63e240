"""qiskit-machine-learning on our primitives: networks, kernels, its connector, and gradients by our backward pass."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import generate_preset_pass_manager

pytest.importorskip("qiskit_machine_learning")

from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_machine_learning.connectors import TorchConnector
from qiskit_machine_learning.gradients import (
    DerivativeType,
    ParamShiftEstimatorGradient,
    ParamShiftSamplerGradient,
)
from qiskit_machine_learning.kernels import FidelityQuantumKernel, FidelityStatevectorKernel
from qiskit_machine_learning.neural_networks import EstimatorQNN, SamplerQNN
from qiskit_machine_learning.primitives import QMLSampler
from qiskit_machine_learning.state_fidelities import ComputeUncompute

from qml.plugins.qiskit import Estimator, EstimatorGradient, Sampler, SamplerGradient

RANDOM = np.random.default_rng(3)
FEATURES, ANSATZ = zz_feature_map(3, reps=1), real_amplitudes(3, reps=1)
INPUTS, WEIGHTS = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=6)
OBSERVABLES = [SparsePauliOp(["ZZI", "IXI"], [1.0, 0.3]), SparsePauliOp("IIY")]
SHIFT = 1e-8  # of derivatives from shifts and from our backward pass


def estimator_network(gradient: Any, estimator: Estimator, **options: Any) -> EstimatorQNN:
    return EstimatorQNN(
        circuit=FEATURES.compose(ANSATZ),
        estimator=estimator,
        observables=OBSERVABLES,
        input_params=FEATURES.parameters,
        weight_params=ANSATZ.parameters,
        gradient=gradient,
        input_gradients=True,
        default_precision=0.0,
        **options,
    )


def sampler_network(gradient: Any, sampler: Sampler) -> SamplerQNN:
    return SamplerQNN(
        circuit=FEATURES.compose(ANSATZ),
        sampler=sampler,
        input_params=FEATURES.parameters,
        weight_params=ANSATZ.parameters,
        gradient=gradient,
        input_gradients=True,
    )


def exact_states() -> list[Statevector]:
    circuit = FEATURES.compose(ANSATZ)
    weights = dict(zip(ANSATZ.parameters, WEIGHTS, strict=True))
    return [
        Statevector(circuit.assign_parameters(dict(zip(FEATURES.parameters, row, strict=True)) | weights))
        for row in INPUTS
    ]


def test_estimator_network_and_its_gradients_equal_the_shift_rule() -> None:
    estimator = Estimator()
    ours = estimator_network(EstimatorGradient(estimator), estimator)
    theirs = estimator_network(ParamShiftEstimatorGradient(estimator), estimator)
    expected = [[state.expectation_value(each).real for each in OBSERVABLES] for state in exact_states()]
    np.testing.assert_allclose(ours.forward(INPUTS, WEIGHTS), expected, atol=1e-12)
    for mine, yours in zip(ours.backward(INPUTS, WEIGHTS), theirs.backward(INPUTS, WEIGHTS), strict=True):
        assert mine.shape == yours.shape
        np.testing.assert_allclose(mine, yours, rtol=0, atol=SHIFT)


def test_sampler_network_and_its_gradients_equal_the_shift_rule() -> None:
    sampler = Sampler(default_shots=None)
    ours = sampler_network(SamplerGradient(sampler), sampler)
    theirs = sampler_network(ParamShiftSamplerGradient(sampler), sampler)
    expected = [state.probabilities() for state in exact_states()]
    np.testing.assert_allclose(ours.forward(INPUTS, WEIGHTS), expected, atol=1e-12)
    for mine, yours in zip(ours.backward(INPUTS, WEIGHTS), theirs.backward(INPUTS, WEIGHTS), strict=True):
        assert mine.shape == yours.shape
        np.testing.assert_allclose(mine, yours, rtol=0, atol=SHIFT)


def test_gradients_of_some_parameters_come_in_the_order_asked() -> None:
    circuit = FEATURES.compose(ANSATZ)
    chosen = [circuit.parameters[4], circuit.parameters[1]]
    point = RANDOM.normal(size=circuit.num_parameters)
    arguments = ([circuit] * 2, [OBSERVABLES[0], OBSERVABLES[1]], [point, point], [chosen, None])
    ours, theirs = (
        kind(Estimator()).run(*arguments).result() for kind in (EstimatorGradient, ParamShiftEstimatorGradient)
    )
    for mine, yours in zip(ours.gradients, theirs.gradients, strict=True):
        np.testing.assert_allclose(mine, yours, rtol=0, atol=SHIFT)
    measured = circuit.measure_all(inplace=False)
    ours, theirs = (
        kind(Sampler(default_shots=None)).run([measured], [point], [chosen]).result()
        for kind in (SamplerGradient, ParamShiftSamplerGradient)
    )
    for mine, yours in zip(ours.gradients[0], theirs.gradients[0], strict=True):
        assert {key: value for key, value in mine.items() if abs(value) > SHIFT} == pytest.approx(
            {key: value for key, value in yours.items() if abs(value) > SHIFT}, abs=SHIFT
        )


def test_gradients_of_a_dynamic_circuit_equal_differences() -> None:
    angles = ParameterVector("x", 2)
    circuit = QuantumCircuit(2, 1)
    circuit.ry(angles[0] * angles[1], 0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)):
        circuit.rx(angles[1], 1)
    circuit.reset(0)
    point, step = np.array([0.7, 1.3]), 1e-5
    (gradient,) = EstimatorGradient().run([circuit], [SparsePauliOp("ZI")], [point]).result().gradients
    moved = [point + sign * step * np.eye(2)[k] for k in range(2) for sign in (1, -1)]
    values = Estimator().run([(circuit, "ZI", moved)]).result()[0].data.evs
    # <Z1> = 1 - sin^2(x0 x1 / 2) (1 - cos x1)
    assert Estimator().run([(circuit, "ZI", point)]).result()[0].data.evs == pytest.approx(
        1.0 - np.sin(0.7 * 1.3 / 2) ** 2 * (1.0 - np.cos(1.3))
    )
    np.testing.assert_allclose(gradient, (values[::2] - values[1::2]) / (2 * step), atol=1e-9)


def test_a_pass_manager_and_a_devices_noise_are_taken() -> None:
    device = GenericBackendV2(3, seed=2)
    pass_manager = generate_preset_pass_manager(1, device, seed_transpiler=1)
    estimator = Estimator(noise=device)
    circuit = FEATURES.compose(ANSATZ)
    point, step = RANDOM.normal(size=circuit.num_parameters), 1e-5
    gradient = EstimatorGradient(estimator, pass_manager=pass_manager)
    (row,) = gradient.run([circuit], [OBSERVABLES[0]], [point]).result().gradients
    isa = pass_manager.run(circuit)
    shifted = [point + sign * step * np.eye(len(point))[k] for k in range(len(point)) for sign in (1, -1)]
    values = estimator.run([(isa, OBSERVABLES[0].apply_layout(isa.layout), shifted)]).result()[0].data.evs
    np.testing.assert_allclose(row, (values[::2] - values[1::2]) / (2 * step), atol=1e-7)


def test_torch_connector_trains() -> None:
    estimator = Estimator()
    network = estimator_network(EstimatorGradient(estimator), estimator)
    layer = TorchConnector(network, initial_weights=WEIGHTS)
    inputs = torch.tensor(INPUTS, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(inputs)[:, 0].sum(), inputs)
    expected, _ = network.backward(INPUTS, WEIGHTS)
    np.testing.assert_allclose(gradient, expected[:, 0], atol=1e-5)  # the connector computes in float32
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = (layer(inputs.detach().float())[:, 0] - 1.0).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_the_program_on_the_page_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parent.parent / "docs" / "plugins" / "qiskit.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```py\n(.*?)```", page, re.DOTALL)
    exec(compile(block, "block of the documentation", "exec"), {})
    (promised,) = re.findall(r"print\(.*\)  # (.*)", block)
    assert promised in capsys.readouterr().out


def test_fidelity_kernel_equals_that_of_states() -> None:
    kernel = FidelityQuantumKernel(
        feature_map=FEATURES, fidelity=ComputeUncompute(Sampler(default_shots=None)), enforce_psd=False
    )
    np.testing.assert_allclose(
        kernel.evaluate(INPUTS), FidelityStatevectorKernel(feature_map=FEATURES).evaluate(INPUTS), atol=1e-7
    )


def test_what_gradients_cannot_do_is_refused() -> None:
    circuit = FEATURES.compose(ANSATZ)
    point = np.zeros(circuit.num_parameters)
    with pytest.raises(ValueError, match=r"must be DerivativeType\.REAL"):
        EstimatorGradient(derivative_type=DerivativeType.IMAG)
    with pytest.raises(ValueError, match="must be empty for exact gradients, but holds shots"):
        EstimatorGradient().run([circuit], [OBSERVABLES[0]], [point], shots=100).result()
    with pytest.raises(ValueError, match="but one measures 0"):
        SamplerGradient().run([circuit], [point]).result()


@pytest.mark.plain
def test_gradients_take_our_primitives_only() -> None:
    with pytest.raises(TypeError, match="`sampler`"):
        SamplerGradient(QMLSampler())
    with pytest.raises(TypeError, match="`estimator`"):
        EstimatorGradient(Sampler())
