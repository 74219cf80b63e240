"""The backend, and a device's noise: Aer with the same device is the reference."""

from typing import Any

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import real_amplitudes
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error
from scipy.stats import chi2_contingency, norm

from qml.plugins.qiskit import Estimator, NativeBackend, Sampler, program

FALSE_ALARM = 1e-6  # of one statistical test
SHOTS = 8_000
DEVICE = GenericBackendV2(4, coupling_map=[[0, 1], [1, 0], [1, 2], [2, 1], [2, 3], [3, 2]], seed=5, control_flow=True)


def compiled(circuit: QuantumCircuit, backend: Any = DEVICE) -> QuantumCircuit:
    return generate_preset_pass_manager(optimization_level=1, backend=backend, seed_transpiler=3).run(circuit)


def dynamic() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 3)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.ry(0.4, 2)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.reset(2)
    circuit.cx(1, 2)
    circuit.measure([1, 2], [1, 2])
    return circuit


def same_distribution(first: dict[str, int], second: dict[str, int]) -> None:
    """Counts of two samples; outcomes that are seldom in both are put together."""
    keys = sorted(first.keys() | second.keys())
    table = np.array([[each.get(key, 0) for key in keys] for each in (first, second)])
    often = table.sum(0) >= 20
    rest = table[:, ~often].sum(1, keepdims=True)
    table = np.hstack([table[:, often], rest]) if rest.sum() >= 20 else table[:, often]
    assert chi2_contingency(table).pvalue > FALSE_ALARM


# --- the backend ----------------------------------------------------------------------------------------------------


def test_counts_have_the_form_of_a_result() -> None:
    circuit = QuantumCircuit(3, name="mine")
    circuit.x([0, 2])
    circuit.measure_all()
    backend = NativeBackend()
    job = backend.run([circuit, transpile(circuit, backend)], shots=9, memory=True)
    result = job.result()
    assert job.done()
    assert job.backend() is backend
    assert result.success
    assert result.get_counts(0) == {"101": 9}
    assert result.get_memory(1) == ["101"] * 9
    assert result.results[0].header["name"] == "mine"
    assert "memory" not in backend.run(circuit).result().data(0)


def test_counts_of_several_registers_are_spaced_as_qiskits() -> None:
    counts = NativeBackend().run(dynamic(), shots=SHOTS, seed_simulator=2).result().get_counts()
    same_distribution(counts, AerSimulator(seed_simulator=4).run(dynamic(), shots=SHOTS).result().get_counts())


def test_seeds_repeat_a_run() -> None:
    circuit, backend = dynamic(), NativeBackend()
    first, again, other = (backend.run(circuit, shots=500, seed_simulator=seed).result() for seed in (1, 1, 2))
    assert first.get_counts() == again.get_counts() != other.get_counts()
    assert first.results[0].seed == 1


def test_bound_circuits_of_one_structure_run_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_programs", type(program._programs)())
    circuit, backend = real_amplitudes(3, reps=1).measure_all(inplace=False), NativeBackend()
    points = np.random.default_rng(2).normal(size=(5, circuit.num_parameters))
    isa = transpile(circuit, backend)
    sampler = BackendSamplerV2(backend=backend, options={"seed_simulator": 3})
    data = sampler.run([(isa, points)], shots=SHOTS).result()[0].data.meas
    assert len(program._programs) == 1
    for place, point in enumerate(points):
        expected = SHOTS * Statevector(real_amplitudes(3, reps=1).assign_parameters(point)).probabilities()
        observed = np.array([data.get_int_counts(place).get(value, 0) for value in range(8)])
        statistic = ((observed - expected) ** 2 / expected).sum()
        assert statistic < 60.0  # chi-square of 7 degrees of freedom: passed by chance less than once in 1e9


def test_the_estimator_of_qiskit_runs_on_it() -> None:
    circuit, backend = real_amplitudes(2, reps=1), NativeBackend()
    point = [0.3, 1.2, -0.4, 0.9]
    pub = (transpile(circuit, backend), ["ZI", "XX"], point)
    estimate = BackendEstimatorV2(backend=backend, options={"seed_simulator": 1}).run([pub], precision=0.01).result()
    exact = Estimator().run([(circuit, ["ZI", "XX"], point)]).result()[0].data.evs
    bound = -norm.ppf(FALSE_ALARM / 2)
    assert (abs(estimate[0].data.evs - exact) < bound * 0.01).all()


def test_options_and_parameters_that_it_lacks_are_refused() -> None:
    backend, circuit = NativeBackend(), QuantumCircuit(1, 1)
    with pytest.raises(ValueError, match="but got noise_model"):
        backend.run(circuit, noise_model=None)
    with pytest.raises(ValueError, match="whole number of at least 1"):
        backend.run(circuit, shots=0)
    circuit.rx(Parameter("a"), 0)
    with pytest.raises(ValueError, match="one has the parameters a"):
        backend.run(circuit)


# --- noise ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [DEVICE, NoiseModel.from_backend(DEVICE)], ids=["device", "model"])
def test_noisy_samples_of_a_dynamic_circuit_equal_aers(noise: Any) -> None:
    circuit = compiled(dynamic())
    model = NoiseModel.from_backend(DEVICE)
    theirs = AerSimulator(noise_model=model, seed_simulator=7).run(circuit, shots=SHOTS).result().get_counts()
    ours = Sampler(seed=3, noise=noise).run([circuit], shots=SHOTS).result()[0].data.c.get_counts()
    same_distribution(ours, theirs)
    backend = NativeBackend(noise=noise)
    same_distribution(backend.run(circuit, shots=SHOTS, seed_simulator=1).result().get_counts(), theirs)
    ideal = Sampler(seed=3).run([circuit], shots=SHOTS).result()[0].data.c.get_counts()
    with pytest.raises(AssertionError):
        same_distribution(ideal, theirs)


def test_noisy_values_hold_gate_and_readout_errors() -> None:
    model = NoiseModel(basis_gates=["ry", "cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), ["cx"])
    model.add_readout_error(ReadoutError([[0.9, 0.1], [0.3, 0.7]]), [0])
    circuit = QuantumCircuit(2)
    circuit.ry(0.8, 0)
    circuit.cx(0, 1)
    values = Estimator(noise=model).run([(circuit, ["IZ", "ZI", "ZZ"])]).result()[0].data.evs
    first, pair = 0.9 * np.cos(0.8), 0.9  # what depolarisation leaves
    assert values == pytest.approx([0.6 * first + 0.2, first, 0.6 * pair + 0.2 * first], abs=1e-12)


def test_noise_of_a_device_counts_where_a_circuit_lies_on_it() -> None:
    circuit = real_amplitudes(2, reps=2)
    point = np.linspace(-1.0, 1.0, circuit.num_parameters)
    pass_manager = generate_preset_pass_manager(1, DEVICE, initial_layout=[3, 2], seed_transpiler=1)
    isa, observable = pass_manager.run(circuit), SparsePauliOp(["ZZ", "XI"], [1.0, 0.5])
    ours = Estimator(noise=DEVICE).run([(isa, observable.apply_layout(isa.layout), point)]).result()[0].data.evs
    bound = isa.assign_parameters(point)
    bound.save_density_matrix()
    simulator = AerSimulator(method="density_matrix", noise_model=NoiseModel.from_backend(DEVICE))
    state = simulator.run(bound).result().data(0)["density_matrix"]
    errors = {qubit: DEVICE.target["measure"][(qubit,)].error for qubit in (2, 3)}
    # Read-out errors of this device are symmetric: a factor on a qubit shrinks by 1 - 2 p.
    expected = 0.0
    for label, coefficient in observable.apply_layout(isa.layout).to_list():
        touched = [len(label) - 1 - place for place, letter in enumerate(label) if letter != "I"]
        scale = float(np.prod([1.0 - 2.0 * errors[qubit] for qubit in touched]))
        expected += scale * coefficient.real * state.expectation_value(SparsePauliOp(label)).real
    assert float(ours) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("noise", [DEVICE, NoiseModel.from_backend(DEVICE)], ids=["device", "model"])
def test_a_delay_relaxes_its_qubit(noise: Any) -> None:
    circuit = QuantumCircuit(2)
    circuit.x(1)
    circuit.sx(0)
    circuit.delay(135_000, 0, "dt")
    circuit.delay(100_000, 1, "dt")
    values = Estimator(noise=noise).run([(compiled(circuit, DEVICE), ["IIZI", "IIIY", "IIIX"])]).result()[0].data.evs
    # GenericBackendV2 sets T1 and T2; sx and x have errors of their own, which are read off without the delays.
    plain = QuantumCircuit(2)
    plain.x(1)
    plain.sx(0)
    before = Estimator(noise=noise).run([(compiled(plain, DEVICE), ["IIZI", "IIIY", "IIIX"])]).result()[0].data.evs
    misread = {qubit: 2 * DEVICE.target["measure"][(qubit,)].error for qubit in (0, 1)}
    first, second = (DEVICE.target.qubit_properties[qubit] for qubit in (0, 1))
    decay = np.exp(-100_000 * DEVICE.target.dt / second.t1)
    ground = 1.0 - misread[1]  # what Z reads in |0>
    assert float(values[0]) == pytest.approx(ground + (float(before[0]) - ground) * decay, abs=1e-6)
    np.testing.assert_allclose(
        values[1:], before[1:] * np.exp(-135_000 * DEVICE.target.dt / min(first.t2, 2 * first.t1)), atol=1e-6
    )


def test_a_delay_after_a_measurement_leaves_its_bit() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.measure(0, 0)
    plain = Sampler(default_shots=None, noise=DEVICE).run([compiled(circuit)]).result()[0].data.c.get_counts()
    circuit.delay(10**9, 0, "dt")
    circuit = compiled(circuit)
    assert Sampler(default_shots=None, noise=DEVICE).run([circuit]).result()[0].data.c.get_counts() == pytest.approx(
        plain
    )
    state = Estimator(noise=DEVICE).run([(circuit, "IIIZ")]).result()[0].data.evs
    assert float(state) > 0.9  # in the ground state after 0.2 s


def test_a_delay_of_unknown_length_is_refused_where_it_relaxes() -> None:
    circuit = QuantumCircuit(1)
    circuit.delay(Parameter("length"), 0, "ns")
    assert float(Estimator().run([(circuit, "Z", [1.0])]).result()[0].data.evs) == 1.0
    with pytest.raises(ValueError, match="delays of a known length where noise is taken, but has length"):
        Estimator(noise=NoiseModel.from_backend(DEVICE)).run([(circuit, "Z", [1.0])]).result()


def test_an_error_of_several_gates_follows_each_of_them() -> None:
    model = NoiseModel(basis_gates=["x", "h"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 1), ["x", "h"])
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.h(1)
    values = Estimator(noise=model).run([(circuit, ["IZ", "XI", "XZ"])]).result()[0].data.evs
    np.testing.assert_allclose(values, [-0.9, 0.9, -0.81], atol=1e-7)


def test_circuits_that_were_not_made_for_the_device_are_refused() -> None:
    circuit = QuantumCircuit(4)
    circuit.h(0)
    with pytest.raises(ValueError, match=r"holds h on qubits \(0,\). Transpile it first"):
        Estimator(noise=DEVICE).run([(circuit, "IIIZ")]).result()
    far = QuantumCircuit(4)
    far.cx(0, 3)
    with pytest.raises(ValueError, match=r"holds cx on qubits \(0, 3\)"):
        Estimator(noise=DEVICE).run([(far, "IIIZ")]).result()
    wide = QuantumCircuit(6)
    wide.x(5)
    with pytest.raises(ValueError, match="must use the 4 qubits"):
        Estimator(noise=DEVICE).run([(wide, "IIIIIZ")]).result()


def test_noise_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="must be the name of a fake device"):
        Sampler(noise=0.1)
