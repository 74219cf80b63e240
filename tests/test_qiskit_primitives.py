"""Qiskit's V2 primitives on our simulator; Qiskit's own statevector primitives are the reference for every value."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Gate, Instruction, Parameter, ParameterVector, library
from qiskit.circuit.exceptions import CircuitError
from qiskit.circuit.library import pauli_feature_map, real_amplitudes, zz_feature_map
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector, random_unitary
from qiskit.transpiler import generate_preset_pass_manager
from scipy.stats import chisquare, norm

from qml.plugins.qiskit import Estimator, Sampler, program, structure
from tests.strategies import examples

FALSE_ALARM = 1e-6  # of one statistical test
RANDOM = np.random.default_rng(11)
LABELS = ["".join(letters) for letters in RANDOM.choice(list("IXYZ"), size=(6, 3))]


def model(n_qubits: int = 3) -> QuantumCircuit:
    return zz_feature_map(n_qubits, reps=1).compose(real_amplitudes(n_qubits, reps=1))


def values(pub: Any, **options: Any) -> np.ndarray:
    return Estimator(**options).run([pub]).result()[0].data.evs


@examples(15)
@given(
    st.sampled_from([((), ()), ((4,), ()), ((), (3,)), ((4,), (4,)), ((4,), (3, 1)), ((2, 1, 4), (3, 1)), ((0,), ())]),
    st.integers(0, 2**32 - 1),
)
def test_pubs_of_any_shape_equal_those_of_qiskit(shapes: tuple[tuple[int, ...], ...], seed: int) -> None:
    random = np.random.default_rng(seed)
    circuit = model()
    parameters = random.normal(size=(*shapes[0], circuit.num_parameters))
    observables = np.empty(shapes[1], dtype=object)
    for place in np.ndindex(shapes[1]):
        observables[place] = SparsePauliOp(list(random.choice(LABELS, 2)), random.normal(size=2))
    observables = observables.tolist()
    ours = Estimator().run([(circuit, observables, parameters)]).result()[0]
    theirs = StatevectorEstimator().run([(circuit, observables, parameters)]).result()[0]
    assert ours.data.shape == theirs.data.shape
    np.testing.assert_allclose(ours.data.evs, theirs.data.evs, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(ours.data.stds, np.zeros(ours.data.shape))
    assert ours.metadata == theirs.metadata


def test_pubs_of_one_run_get_their_own_values_in_order() -> None:
    first, second = model(), pauli_feature_map(2, paulis=["X", "ZY"])
    pubs = [
        (first, "ZZI", RANDOM.normal(size=(2, first.num_parameters))),
        (second, [["XX"], ["ZI"]], RANDOM.normal(size=(3, 2))),
        (first, ["IIX", "YIZ"], RANDOM.normal(size=(2, first.num_parameters))),
    ]
    for ours, theirs in zip(Estimator().run(pubs).result(), StatevectorEstimator().run(pubs).result(), strict=True):
        np.testing.assert_allclose(ours.data.evs, theirs.data.evs, rtol=0, atol=1e-12)


def test_equal_rows_of_several_pubs_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = model()
    rows = RANDOM.normal(size=(4, circuit.num_parameters))
    shapes: list[Any] = []
    split = program.Program.split
    monkeypatch.setattr(program.Program, "split", lambda self, v: shapes.append(tuple(v.shape)) or split(self, v))
    Estimator().run([(circuit, label, rows) for label in ("ZII", "IXI", "IIY")]).result()
    Estimator().run([(circuit, "ZII", row) for row in rows]).result()
    assert [shape[0] for shape in shapes] == [4, 4]


def test_circuits_of_one_structure_are_converted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_programs", type(program._programs)())
    made: list[int] = []
    convert = program._converted
    monkeypatch.setattr(program, "_converted", lambda *arguments: made.append(1) or convert(*arguments))
    circuit = model()
    for copy in (circuit, circuit.copy(), circuit.compose(QuantumCircuit(3))):
        values((copy, "ZZZ", np.zeros(circuit.num_parameters)))
    assert len(made) == 1
    values((circuit.compose(library.XGate(), [0]), "ZZZ", np.zeros(circuit.num_parameters)))
    assert len(made) == 2


def functions(a: Any, b: Any) -> list[Any]:
    return [
        2 * a - b / 3 + 0.1, a * b, (np.pi - a) * (np.pi - b), a.sin() ** 2 / b, a.cos() * b.exp(), b.log() + a.tan(),
        abs(a) + a.sign(), a.arctan() - (a / 3).arcsin() + (a / 3).arccos(), b**-1.5, a**3, a.conjugate(), a**b,
    ]  # fmt: skip


def test_parameter_expressions_equal_qiskits() -> None:
    a, b = Parameter("a"), Parameter("b")
    circuit = QuantumCircuit(3)
    for number, angle in enumerate(functions(a, b)):
        circuit.rx(angle, number % 3)
        circuit.cu(angle, 0.3, a, b, number % 3, (number + 1) % 3)
    circuit.global_phase = a * b
    points = np.array([[0.7, 1.9], [1.4, 0.2]])
    expected = StatevectorEstimator().run([(circuit, [["ZZX"], ["IYI"]], points)]).result()[0].data.evs
    np.testing.assert_allclose(values((circuit, [["ZZX"], ["IYI"]], points)), expected, rtol=0, atol=1e-11)


# Qiskit's own matrix of a PauliEvolutionGate goes through scipy in a form that scipy warns about.
@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
def test_instructions_of_all_kinds_equal_qiskits() -> None:
    circuit = QuantumCircuit(4)
    circuit.initialize([0.6, 0.0, 0.0, 0.8j], [2, 0])
    circuit.initialize("10", [1, 3])
    circuit.append(library.PauliEvolutionGate(SparsePauliOp(["XX", "ZZ"], [0.3, 0.2]), time=0.7), [1, 2])
    circuit.append(random_unitary(4, seed=3).to_instruction(), [3, 1])
    circuit.append(library.QFTGate(3).control(1, ctrl_state=0), [3, 0, 2, 1])
    circuit.append(library.MCXGate(2, ctrl_state=1).inverse(), [0, 3, 2])
    circuit.append(model(2).assign_parameters(np.arange(6) / 3).to_instruction(), [2, 3])
    circuit.prepare_state([0.8, 0.6], 0)
    circuit.barrier()
    circuit.delay(100, 0)
    circuit.rccx(0, 1, 2)
    circuit.ecr(2, 3)
    labels = ["ZXYI", "IIZZ", "YIIX", "XXXX"]
    expected = [Statevector(circuit).expectation_value(SparsePauliOp(label)).real for label in labels]
    np.testing.assert_allclose(values((circuit, labels)), expected, rtol=0, atol=1e-10)


def test_projectors_are_observables_too() -> None:
    circuit = QuantumCircuit(3)
    circuit.ry(0.7, 0)
    circuit.cx(0, 1)
    circuit.rx(0.4, 1)
    terms = {"0+1": 0.5, "1rI": 2.0, "Ilr": -1.0, "--I": 0.25}
    half = {
        "0": [("I", 0.5), ("Z", 0.5)], "1": [("I", 0.5), ("Z", -0.5)], "+": [("I", 0.5), ("X", 0.5)],
        "-": [("I", 0.5), ("X", -0.5)], "r": [("I", 0.5), ("Y", 0.5)], "l": [("I", 0.5), ("Y", -0.5)],
        "I": [("I", 1.0)],
    }  # fmt: skip
    sums = [
        (a + b + c, value * x * y * z)
        for label, value in terms.items()
        for a, x in half[label[0]]
        for b, y in half[label[1]]
        for c, z in half[label[2]]
    ]
    expected = Statevector(circuit).expectation_value(SparsePauliOp.from_list(sums)).real
    assert values((circuit, terms)) == pytest.approx(expected, abs=1e-12)


def test_an_idle_qubit_costs_nothing_and_reads_zero() -> None:
    circuit = QuantumCircuit(60)
    circuit.h(41)
    labels = [SparsePauliOp.from_sparse_list([(letter, [place], 1.0)], 60) for letter, place in
              (("X", 41), ("Z", 41), ("Z", 7), ("Y", 7))]  # fmt: skip
    assert values((circuit, labels)).tolist() == pytest.approx([1.0, 0.0, 1.0, 0.0])
    assert program.program_of(circuit).circuit.n_qubits == 1


# --- precision and seeds --------------------------------------------------------------------------------------------


def test_precision_is_the_deviation_of_seeded_noise() -> None:
    circuit = QuantumCircuit(1)
    circuit.h(0)
    pub = (circuit, ["X"] * 4000)
    first, again, other = (Estimator(seed=seed).run([pub], precision=0.1).result()[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.data.evs, again.data.evs)
    assert not np.array_equal(first.data.evs, other.data.evs)
    assert (first.data.stds == 0.1).all()
    assert first.metadata["target_precision"] == 0.1
    # mean and deviation of 4000 values within the bounds that chance passes once in 1 / FALSE_ALARM
    bound = -norm.ppf(FALSE_ALARM / 2)
    noise = (first.data.evs - 1.0) / 0.1
    assert abs(noise.mean()) < bound / np.sqrt(4000)
    assert abs(noise.var() - 1.0) < bound * np.sqrt(2 / 4000)


def test_precision_of_a_pub_goes_before_that_of_the_run() -> None:
    circuit = QuantumCircuit(1)
    results = Estimator(default_precision=0.5, seed=3).run([(circuit, "Z", [], 0.0), (circuit, "Z")]).result()
    assert float(results[0].data.evs) == 1.0
    assert float(results[1].data.evs) != 1.0
    assert float(results[1].data.stds) == 0.5


@pytest.mark.parametrize("precision", [-0.1, float("nan"), float("inf")])
def test_precisions_that_are_none_are_refused(precision: float) -> None:
    with pytest.raises(ValueError, match="`default_precision` must be a number of at least 0"):
        Estimator(default_precision=precision)
    with pytest.raises(ValueError, match="`precision` must be a number of at least 0"):
        Estimator().run([], precision=precision)


# --- sampler --------------------------------------------------------------------------------------------------------


def registers() -> QuantumCircuit:
    high, low, idle = ClassicalRegister(9, "high"), ClassicalRegister(2, "low"), ClassicalRegister(1, "idle")
    circuit = QuantumCircuit(QuantumRegister(3, "q"), high, low, idle)
    circuit.ry(Parameter("a"), 0)
    circuit.cx(0, 2)
    circuit.rx(Parameter("b"), 1)
    circuit.measure([2, 1, 0], [high[8], low[1], low[0]])
    return circuit


def test_registers_come_by_name_with_qiskits_order_of_bits() -> None:
    circuit, points = registers(), np.array([[[np.pi, 0.0], [0.0, np.pi]]])
    ours = Sampler().run([(circuit, points)], shots=7).result()[0].data
    theirs = StatevectorSampler().run([(circuit, points)], shots=7).result()[0].data
    assert ours.shape == theirs.shape == (1, 2)
    for name in ("high", "low", "idle"):
        assert ours[name] == theirs[name]
    assert ours.high.get_counts((0, 0)) == {"100000000": 7}


def test_samples_have_the_probabilities_of_the_state() -> None:
    circuit, shots = registers(), 20_000
    points = np.array([[0.7, 1.1], [1.9, -0.4], [0.7, 1.1]])
    data = Sampler(seed=np.random.default_rng(1)).run([(circuit, points)], shots=shots).result()[0].data
    for place, (a, b) in enumerate(points):
        first, second = np.sin(a / 2) ** 2, np.sin(b / 2) ** 2
        expected = [(1 - first) * (1 - second), first * (1 - second), (1 - first) * second, first * second]
        counts = data.low.get_int_counts(place)
        observed = [counts.get(value, 0) for value in range(4)]
        assert chisquare(observed, shots * np.array(expected)).pvalue > FALSE_ALARM
    assert not np.array_equal(data.low.array[0], data.low.array[2])  # equal rows are drawn apart
    joint = data.high.array[..., 0] == (data.low.array[..., 0] & 1)
    assert joint.all()  # bits of one shot belong together


def test_seeds_of_samples() -> None:
    circuit = registers()
    pubs = [(circuit, [0.7, 1.1]), (circuit, [0.3, 0.2], 50)]
    first, again, other = (Sampler(seed=seed).run(pubs, shots=100).result() for seed in (5, 5, 6))
    assert [each.data.low.num_shots for each in first] == [100, 50]
    assert all(mine.data.low == yours.data.low for mine, yours in zip(first, again, strict=True))
    assert first[0].data.low != other[0].data.low
    going_on = Sampler(seed=np.random.default_rng(5))
    assert going_on.run(pubs).result()[0].data.low != going_on.run(pubs).result()[0].data.low


@pytest.mark.parametrize("seed", [0, 7])
def test_a_seed_gives_the_noise_and_the_samples_of_qiskits_own_primitives(seed: int) -> None:
    circuit, observables = model(), [["ZZI"], ["IXY"]]
    points = RANDOM.normal(size=(3, circuit.num_parameters))
    pubs = [(circuit, observables, points), (circuit, "ZIZ", points[0]), (circuit, "ZIZ", points[0])]
    ours = Estimator(seed=seed).run(pubs, precision=0.1).result()
    theirs = StatevectorEstimator(seed=seed).run(pubs, precision=0.1).result()
    for mine, yours in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.data.evs, yours.data.evs, rtol=0, atol=1e-12)
    assert ours[1].data.evs == ours[2].data.evs
    measured, rows = registers(), [[0.7, 1.1], [1.9, -0.4], [0.7, 1.1]]
    asked = [(measured, rows), (measured, rows[1], 50), (model().measure_all(inplace=False), points)]
    sampled = Sampler(seed=seed).run(asked, shots=300).result()
    expected = StatevectorSampler(seed=seed).run(asked, shots=300).result()
    for mine, yours in zip(sampled, expected, strict=True):
        for name in yours.data:
            assert mine.data[name] == yours.data[name], name


def test_seeds_of_what_qiskits_sampler_cannot_run_start_afresh_for_each_pub() -> None:
    wide = QuantumCircuit(17, 17)
    wide.h(range(17))
    wide.measure(range(17), range(17))
    dynamic = QuantumCircuit(2, 2)
    dynamic.h(0)
    dynamic.measure(0, 1)
    with dynamic.if_test((1, 1)):
        dynamic.x(1)
    dynamic.measure([0, 1], [0, 1])
    results = Sampler(seed=3).run([wide, wide, dynamic, dynamic], shots=200).result()
    for first, second in ((results[0], results[1]), (results[2], results[3])):
        assert first.data.c == second.data.c
    assert set(results[2].data.c.get_counts()) == {"00", "11"}
    noisy = Sampler(seed=3, noise=GenericBackendV2(2, seed=1))
    bell = generate_preset_pass_manager(1, GenericBackendV2(2, seed=1)).run(model(2).measure_all(inplace=False))
    first, second = noisy.run([(bell, [0.1] * bell.num_parameters)] * 2, shots=100).result()
    assert first.data.meas == second.data.meas


def test_a_sampler_without_shots_gives_probabilities() -> None:
    circuit = registers()
    result = (
        Sampler(default_shots=None).run([(circuit, [[0.7, 1.1], [np.pi, 0.0]]), (circuit, [0.7, 1.1], 10)]).result()
    )
    first, second = np.sin(0.35) ** 2, np.sin(0.55) ** 2
    expected = {"00": (1 - first) * (1 - second), "01": first * (1 - second), "10": (1 - first) * second,
                "11": first * second}  # fmt: skip
    assert result[0].data.low.get_counts(0) == pytest.approx(expected)
    assert result[0].data.high[1].get_counts() == pytest.approx({"100000000": 1.0})
    joined = result[0].join_data(["low", "idle", "high"])
    assert joined.get_counts(1) == pytest.approx({"100000000001": 1.0})
    assert result[0].data.low.num_shots is None
    assert result[1].data.low.num_shots == 10
    with pytest.raises(ValueError, match="must name registers among"):
        result[0].join_data(["lower"])


def test_exact_probabilities_of_many_bits_are_refused() -> None:
    circuit = QuantumCircuit(17)
    circuit.measure_all()
    with pytest.raises(ValueError, match="at most 16 bits, but a circuit has 17"):
        Sampler(default_shots=None).run([circuit]).result()


def test_a_wide_circuit_is_sampled() -> None:
    circuit = QuantumCircuit(40)
    circuit.x(range(0, 40, 3))
    circuit.measure_all()
    (word,) = Sampler().run([circuit], shots=3).result()[0].data.meas.get_counts()
    assert word == "".join("1" if place % 3 == 0 else "0" for place in reversed(range(40)))


def test_a_circuit_without_registers_warns() -> None:
    with pytest.warns(UserWarning, match="without classical registers"):
        data = Sampler().run([QuantumCircuit(1)]).result()[0].data
    assert len(data) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Sampler().run([QuantumCircuit(1, 2)], shots=4).result()[0].data.c.get_counts() == {"00": 4}


@pytest.mark.parametrize("shots", [0, -3, 1.5, True])
@pytest.mark.plain
def test_shots_that_are_none_are_refused(shots: Any) -> None:
    with pytest.raises(ValueError, match="`default_shots` must be a whole number of at least 1"):
        Sampler(default_shots=shots)
    with pytest.raises(ValueError, match="`shots` must be a whole number of at least 1"):
        Sampler().run([], shots=shots)


# --- what is refused ------------------------------------------------------------------------------------------------


def with_instruction(op: Any) -> QuantumCircuit:
    circuit = QuantumCircuit(op.num_qubits, op.num_clbits)
    circuit.append(op, range(op.num_qubits), range(op.num_clbits))
    return circuit


@pytest.mark.parametrize(
    "op", [Gate("riddle", 1, []), Instruction("save_state", 2, 0, []), Instruction("snap", 1, 1, [])]
)
def test_instructions_without_a_meaning_are_refused_by_name(op: Any) -> None:
    with pytest.raises(ValueError, match=f"but holds {op.name}"):
        values((with_instruction(op), "I" * op.num_qubits))


class KnownWhenBound(Instruction):
    """As RawFeatureVector of qiskit-machine-learning: it can be written as gates at numbers only."""

    def __init__(self, angle: Any) -> None:
        super().__init__("known_when_bound", 1, 0, [angle])

    def _define(self) -> None:
        if not isinstance(self.params[0], float):
            raise CircuitError("unbound parameters")
        self.definition = QuantumCircuit(1)
        self.definition.ry(self.params[0], 0)


def test_an_instruction_that_is_known_when_bound_is_refused_before() -> None:
    circuit = QuantumCircuit(1)
    circuit.append(KnownWhenBound(Parameter("x")), [0])
    with pytest.raises(ValueError, match=r"holds known_when_bound .*unbound.* Bind it with assign_parameters"):
        values((circuit, "Z", [0.4]))
    assert values((circuit.assign_parameters([0.4]), "Z")) == pytest.approx(np.cos(0.4))


def test_angles_without_a_real_value_are_refused() -> None:
    x = ParameterVector("x", 2)
    circuit = QuantumCircuit(1)
    circuit.rx((x[0] - x[1]).log(), 0)
    assert values((circuit, "Z", [2.0, 1.0])) == pytest.approx(1.0)
    with pytest.raises(ValueError, match=r"give log\(x\[0\] - x\[1\]\) a real and finite value, but row 0"):
        values((circuit, "Z", [1.0, 2.0]))
    turned = QuantumCircuit(1)
    turned.rx(1j * x[0] * x[1], 0)
    with pytest.raises(ValueError, match="must have real angles"):
        values((turned, "Z", [1.0, 2.0]))


def test_observables_that_are_too_long_are_refused() -> None:
    circuit = QuantumCircuit(16)
    circuit.h(range(16))
    with pytest.raises(ValueError, match="at most 16384 Pauli strings"):
        values((circuit, {"0" * 16: 1.0}))


def test_keys_tell_apart_what_differs() -> None:
    def circuit(change: Any) -> QuantumCircuit:
        result = QuantumCircuit(2, 1)
        change(result)
        return result

    changes = [
        lambda c: c.rx(0.1, 0), lambda c: c.rx(0.2, 0), lambda c: c.rx(0.1, 1), lambda c: c.ry(0.1, 0),
        lambda c: c.cx(0, 1), lambda c: c.cx(1, 0), lambda c: c.cx(0, 1, ctrl_state=0), lambda c: c.measure(0, 0),
        lambda c: c.measure(1, 0), lambda c: c.unitary(np.eye(2), 0), lambda c: c.unitary(np.diag([1, -1]), 0),
        lambda c: c.initialize([0, 1], 0), lambda c: c.initialize([1, 0], 0), lambda c: c.reset(0),
        lambda c: c.append(library.PauliEvolutionGate(SparsePauliOp(["ZZ"]), 0.1), [0, 1]),
        lambda c: c.append(library.PauliEvolutionGate(SparsePauliOp(["XX"]), 0.1), [0, 1]),
        lambda c: c.append(library.RXGate(0.1).control(annotated=True), [0, 1]),
        lambda c: c.append(library.RXGate(0.1).control(annotated=True, ctrl_state=0), [0, 1]),
        lambda c: c.append(library.PermutationGate([1, 0]), [0, 1]),
    ]  # fmt: skip
    keys = [structure.circuit_key(circuit(change)) for change in changes]
    assert len(set(keys)) == len(changes)
    assert keys == [structure.circuit_key(circuit(change)) for change in changes]


def test_runs_in_threads_share_small_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in threads: what one of them drops from a cache another one may be about to use."""
    monkeypatch.setattr(program, "MAX_PROGRAMS", 1)
    monkeypatch.setattr(program, "MAX_VARIANTS", 1)
    monkeypatch.setattr(program, "_programs", type(program._programs)())
    circuits = [QuantumCircuit(2) for _ in range(3)]
    for number, circuit in enumerate(circuits):
        circuit.rx(Parameter("a"), 0)
        circuit.rx(Parameter("b"), 1)
        circuit.rz(0.1 * number, 0)
    programs = [program.program_of(circuit) for circuit in circuits]

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        for _ in range(100):
            number = random.integers(3)
            program.program_of(circuits[number])
            values = torch.rand(2, 2, dtype=torch.float64)
            values[:, random.integers(2)] = 0.5  # which is shared, so that there are two variants
            variant, data, weights = programs[number].split(values)
            assert (variant.n_data, variant.n_weights) == (data.shape[1], len(weights)) == (1, 1)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
    finally:
        sys.setswitchinterval(interval)
    assert len(program._programs) == 1


@pytest.mark.parametrize("options", [{"seed": 1}, {}, {"default_shots": None}], ids=["seeded", "unseeded", "exact"])
@pytest.mark.parametrize("shape", [(0,), (2, 0)], ids=str)
def test_a_pub_without_parameter_values_has_an_empty_result(shape: tuple[int, ...], options: dict[str, Any]) -> None:
    circuit = QuantumCircuit(2)
    circuit.ry(Parameter("x"), 0)
    values = Estimator().run([(circuit, "ZI", np.zeros((*shape, 1)))]).result()[0].data
    assert values.evs.shape == values.stds.shape == shape
    circuit.measure_all()
    sampler = Sampler(**options)
    empty, filled = sampler.run([(circuit, np.zeros((*shape, 1))), (circuit, [[np.pi]])]).result()
    assert empty.data.shape == empty.data.meas.shape == shape
    assert empty.data.meas.num_bits == 2
    assert list(filled.data.meas.get_counts()) == ["01"]
    assert len(sampler.run([]).result()) == 0
