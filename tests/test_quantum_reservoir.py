import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from circuits import Circuit, channels
from circuits import reservoir as ring_circuits
from qml.backends import Native
from qml.compare.tasks import onion
from qml.data import damped_waves
from qml.nn import FeedbackRing, HybridReservoir, OnionReservoir, PersistentRing, QuantumReservoir
from qml.nn.reservoirs.persistent import ring_angles
from qml.reservoir import Forecaster, Reservoir, load, save
from tests import oracle
from tests.helpers import assert_close

FLOAT64 = 1e-10  # promised in float64; arccos of values near 1 magnifies rounding within a few steps
ROUNDING = 1e-12


def series(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- circuits ---------------------------------------------------------------------------------------------------------


def test_a_feedback_ring_has_the_papers_gates() -> None:
    circuit = ring_circuits.feedback_ring(4)
    rotations = [op for op in circuit if op.gate.n_angles]
    pairs = [(op.controls[0], op.qubits[0]) for op in circuit if op.controls]
    lexicographic = [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert pairs == 3 * lexicographic
    assert [op.slots[0].index for op in rotations] == [0, 1, 2, 3] + 4 * [1, 2, 3, 4]
    assert [op.qubits[0] for op in rotations] == 5 * [0, 1, 2, 3]
    assert [op.slots[0].index for op in ring_circuits.feedback_ring(3, 2) if op.gate.n_angles][:3] == [0, 1, 2]


def test_a_persistent_series_measures_resets_and_uses_every_weight() -> None:
    circuit = ring_circuits.persistent_series(3, 2, 4, n_layers=2)
    assert (circuit.n_data, circuit.n_weights, circuit.n_bits) == (8, 2 * 6, 8)
    names = [op.gate.name for op in circuit]
    assert names.count("measure") == 8
    assert names.count("reset") == 6  # not after the last step
    weights = [slot.index for op in circuit for slot in op.slots if slot.kind == "weight"]
    assert sorted(weights) == sorted(4 * list(range(12)))
    controls = [(op.controls[0], op.qubits[0]) for op in circuit if op.controls][:6]
    assert controls == [(0, 1), (0, 2), (1, 2), (1, 0), (2, 0), (2, 1)]


def test_side_by_side_keeps_slots_and_qubits_apart() -> None:
    one = ring_circuits.feedback_ring(2)
    wide = ring_circuits.side_by_side([one, ring_circuits.persistent_series(2, 1, 2), one])
    assert (wide.n_qubits, wide.n_data, wide.n_bits) == (6, 3 + 2 + 3, 2)
    first = [op for op in wide if max(op.all_qubits) < 2]
    assert tuple(first) == one.operations


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ring_circuits.feedback_ring(0), "`n_qubits` must be at least 1"),
        (lambda: ring_circuits.feedback_ring(2, 3), "`n_inputs` must be at most the ring's 2 qubits"),
        (lambda: ring_circuits.persistent_series(2, 3, 1), "`n_measured` must be at most"),
        (lambda: ring_circuits.side_by_side([]), "at least one circuit"),
        (lambda: FeedbackRing(0), "A ring needs qubits"),
        (lambda: PersistentRing(0), "A ring needs qubits"),
        (lambda: PersistentRing(2, 3), "`n_measured` must be at most the ring's 2 qubits"),
        (lambda: PersistentRing(2, 0), "`n_measured` must be at least 1"),
        (lambda: FeedbackRing(2, float("nan")), "`input_scale` must be finite, but is nan"),
        (lambda: OnionReservoir([]), "at least one ring"),
        (lambda: OnionReservoir([FeedbackRing(2)], 3), "`n_inputs` must be at most"),
        (lambda: OnionReservoir([PersistentRing(3, 1)], 2), "`n_inputs` must be at most the 1 measured"),
        (lambda: OnionReservoir([PersistentRing(11, 2)]), "Pass trajectories="),
        (lambda: OnionReservoir([FeedbackRing(2)], shots=0), "`shots` must be at least 1"),
        (lambda: OnionReservoir([FeedbackRing(2)], readout_error=(0.1, 0.1)), "Pass it to the backend"),
        (lambda: OnionReservoir([FeedbackRing(2)], trajectories=5), "no ring persists"),
        (lambda: OnionReservoir([PersistentRing(3)], trajectories=5, shots=6), "a run is a shot"),
        (
            lambda: OnionReservoir([PersistentRing(3)]).to_backend("native"),
            "must have feedback rings.*sampled_features",
        ),
        (lambda: OnionReservoir([PersistentRing(3)], backend="aer"), "`backend` must be left out where no ring feeds"),
        (lambda: OnionReservoir([PersistentRing(3)], layout="wide"), "`layout` must be left out where no ring feeds"),
    ],
)
def test_bad_rings_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build()


# --- the reference task -----------------------------------------------------------------------------------------------

PUBLISHED = {"classical": 0.06298721, "quantum": 0.37110871, "both": 0.59531067}
BUILDERS = {
    "classical": onion.classical_reservoir,
    "quantum": onion.quantum_reservoir,
    "both": onion.both_reservoirs,
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_the_published_forecast_is_reproduced(name: str) -> None:
    waves = damped_waves()
    model = Forecaster(BUILDERS[name](), alphas=onion.RIDGE, warm_up=onion.WARM_UP).fit(waves.train)
    forecast = model.forecast(waves.test[:, : onion.CONTEXT], onion.HORIZON)
    assert abs(onion.r2(waves.test[:, onion.CONTEXT :], forecast) - PUBLISHED[name]) < 1e-6  # the digits printed


def test_the_compared_models_of_the_reference_have_its_names() -> None:
    assert set(PUBLISHED) < set(onion.ONION_REFERENCE.models({}))
    assert onion.ONION_REFERENCE.metric.name == "r2"


# --- feedback rings ---------------------------------------------------------------------------------------------------


def feedback_by_oracle(ring: FeedbackRing, inputs: np.ndarray) -> np.ndarray:
    """One series, by Kronecker products."""
    n, b = ring.n_qubits, ring.feedback_scale
    circuit = ring_circuits.feedback_ring(n, inputs.shape[1])
    measured, found = np.full(n, 0.5), []
    for step in inputs:
        angles = np.concatenate([ring.input_scale * b * step, b * np.arccos(measured)])
        values = oracle.expectation(circuit, angles[None], (), ring_circuits.correlators(n))[0]
        found.append(values)
        measured = values[:n]
    return np.array(found)


@pytest.mark.parametrize(("n_qubits", "n_inputs"), [(1, 1), (3, 1), (3, 2), (4, 1)])
@pytest.mark.parametrize("backend", [Native(), Native(method="autograd")])  # the short way, and circuits
def test_feedback_rings_follow_the_oracle(n_qubits: int, n_inputs: int, backend: Native) -> None:
    rings = [FeedbackRing(n_qubits, 0.7, -0.6), FeedbackRing(n_qubits, 1.1, 0.4)]
    inputs = series(2, 4, n_inputs)
    features, state = OnionReservoir(rings, n_inputs, backend=backend)(inputs)
    for row in range(2):
        expected = [feedback_by_oracle(ring, inputs[row].numpy()) for ring in rings]
        assert_close(features[row], np.concatenate(expected, 1), FLOAT64)
    assert state.shape == (2, 2 * n_qubits)


def test_a_wide_circuit_gives_what_a_batch_gives() -> None:
    rings = [FeedbackRing(3, 0.7, -0.6), FeedbackRing(3, 1.1, 0.4)]
    wide = OnionReservoir(rings, layout="wide", backend=Native(method="autograd"))
    assert_close(wide(series(2, 3, 1))[0], OnionReservoir(rings)(series(2, 3, 1))[0], FLOAT64)
    assert isinstance(wide.parts[0].circuit, Circuit)
    assert wide.parts[0].circuit.n_qubits == 6


def test_shots_scatter_around_the_exact_features() -> None:
    ring, inputs = FeedbackRing(3, 0.5, -0.4), series(1, 1, 1)
    exact = QuantumReservoir(ring)(inputs)[0]
    for layout in ("batched", "wide"):
        drawn = QuantumReservoir(ring, shots=20_000, seed=1, layout=layout)(inputs)[0]
        assert float((drawn - exact).abs().max()) < 5 / 20_000**0.5
        assert not torch.equal(drawn, exact)


def test_noise_of_feedback_rings_is_in_the_circuit() -> None:
    ring, inputs = FeedbackRing(2, 0.5, -0.4), series(1, 1, 1)
    noisy = QuantumReservoir(ring, noise=channels.depolarizing(0.1))
    angles = np.concatenate([[0.5 * -0.4 * float(inputs[0, 0, 0])], np.full(2, -0.4 * np.arccos(0.5))])
    circuit = ring_circuits.feedback_ring(2, noise=channels.depolarizing(0.1))
    expected = oracle.expectation(circuit, angles[None], (), ring_circuits.correlators(2))
    assert_close(noisy(inputs)[0][0], expected, FLOAT64)


# --- persistent rings -------------------------------------------------------------------------------------------------

SMALL = [PersistentRing(3, 1, 0.8, seed=1), PersistentRing(3, 2, 1.3, n_layers=1, seed=2), PersistentRing(2, 2, seed=3)]


def persistent_by_oracle(ring: PersistentRing, inputs: np.ndarray, noise: Any = None) -> np.ndarray:
    """One series: the circuit of the first t steps gives the features of step t, by density matrices."""
    weights, found = ring_angles(ring).numpy().reshape(-1), []
    for length in range(1, len(inputs) + 1):
        circuit = ring_circuits.persistent_series(
            ring.n_qubits, ring.n_measured, length, n_layers=ring.n_layers, noise=noise
        )
        angles = [ring.input_scale * step[k % len(step)] for step in inputs[:length] for k in range(ring.n_measured)]
        readout = ring_circuits.correlators(ring.n_measured)
        found.append(oracle.expectation(circuit, np.array([angles]), weights, readout)[0])
    return np.array(found)


@pytest.mark.parametrize("noise", [None, channels.amplitude_damping(0.2), channels.depolarizing(0.1)])
@pytest.mark.parametrize("ring", SMALL)
def test_persistent_rings_follow_the_oracle(ring: PersistentRing, noise: Any) -> None:
    inputs = series(2, 4, 1)
    features, _ = QuantumReservoir(ring, noise=noise)(inputs)
    for row in range(2):
        assert_close(features[row], persistent_by_oracle(ring, inputs[row].numpy(), noise), ROUNDING)


def test_more_inputs_go_to_the_measured_qubits_in_turn() -> None:
    inputs = series(1, 3, 2)
    features, _ = QuantumReservoir(PersistentRing(4, 3, seed=1), 2)(inputs)
    assert_close(features[0], persistent_by_oracle(PersistentRing(4, 3, seed=1), inputs[0].numpy()), ROUNDING)


def test_rounds_repeat_the_step() -> None:
    inputs = series(1, 4, 1)
    twice, _ = QuantumReservoir(PersistentRing(3, 2, n_rounds=2, seed=1))(inputs)
    plain, _ = QuantumReservoir(PersistentRing(3, 2, seed=1))(inputs.repeat_interleave(2, 1))
    assert_close(twice, plain.reshape(1, 4, -1), ROUNDING)


def test_rings_of_an_onion_are_those_alone_in_their_order() -> None:
    rings = [PersistentRing(3, 2, seed=1), FeedbackRing(2), PersistentRing(3, 2, seed=2), PersistentRing(4, 1)]
    inputs = series(2, 5, 1)
    onion_features, _ = OnionReservoir(rings)(inputs)
    assert_close(onion_features, torch.cat([QuantumReservoir(ring)(inputs)[0] for ring in rings], -1), ROUNDING)


def test_long_stretches_are_the_same_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    reservoir, inputs = QuantumReservoir(PersistentRing(4, 2)), series(2, 9, 1)
    whole = reservoir(inputs)[0]
    monkeypatch.setattr("qml.nn.reservoirs.persistent.MAX_MAP_BYTES", 1)
    assert_close(reservoir(inputs)[0], whole, ROUNDING)


def test_measuring_every_qubit_leaves_no_memory_and_fewer_leave_more() -> None:
    first, second = series(1, 6, 1), series(1, 6, 1, seed=1)
    second[:, 1:] = first[:, 1:]
    forgets = QuantumReservoir(PersistentRing(3, 3, seed=1))
    assert_close(forgets(first)[0][:, 1:], forgets(second)[0][:, 1:], ROUNDING)
    keeps = QuantumReservoir(PersistentRing(3, 1, seed=1))
    assert float((keeps(first)[0] - keeps(second)[0])[:, 1:].abs().max()) > 1e-3


@pytest.mark.parametrize("noise", [None, channels.depolarizing(0.1), channels.amplitude_damping(0.3)])
@pytest.mark.parametrize("ring", SMALL)
def test_trajectories_average_to_the_density_matrix(ring: PersistentRing, noise: Any) -> None:
    inputs, n_runs = series(2, 3, 1), 4000
    exact = QuantumReservoir(ring, noise=noise)(inputs)[0]
    mean = QuantumReservoir(ring, noise=noise, trajectories=n_runs, seed=3)(inputs)[0]
    assert float((mean - exact).abs().max()) < 5 / n_runs**0.5  # features lie in [-1, 1]
    shots = QuantumReservoir(ring, noise=noise, trajectories=n_runs, shots=n_runs, seed=3)(inputs)[0]
    assert float((shots - exact).abs().max()) < 5 / n_runs**0.5


def test_readout_errors_and_shots_of_persistent_rings() -> None:
    ring, inputs, error = PersistentRing(3, 2, seed=1), series(1, 3, 1), (0.1, 0.05)
    exact = QuantumReservoir(ring)(inputs)[0]
    read = QuantumReservoir(ring, readout_error=error)(inputs)[0]
    slope, offset = 1 - 0.1 - 0.05, 0.05 - 0.1  # <Z> becomes slope <Z> + offset
    single = exact[..., :2]
    expected = torch.cat(
        [
            slope * single + offset,
            slope**2 * exact[..., 2:] + slope * offset * single.sum(-1, keepdim=True) + offset**2,
        ],
        -1,
    )
    assert_close(read, expected, ROUNDING)
    for options in ({}, {"trajectories": 20_000}):
        drawn = QuantumReservoir(ring, readout_error=error, shots=20_000, seed=2, **options)(inputs)[0]
        assert float((drawn - expected).abs().max()) < 5 / 20_000**0.5
    runs = QuantumReservoir(ring, readout_error=error, trajectories=20_000, seed=2)(inputs)[0]
    assert float((runs - expected).abs().max()) < 5 / 20_000**0.5


def test_large_rings_run_by_trajectories() -> None:
    features, state = QuantumReservoir(PersistentRing(11, 2), trajectories=3)(series(1, 2, 1))
    assert features.shape == (1, 2, 3)
    assert state.shape == (1, 3 * 2**9)


# --- torch habits -----------------------------------------------------------------------------------------------------

MIXED = [PersistentRing(3, 2, seed=1), FeedbackRing(3, 0.5, -0.4)]


@pytest.mark.parametrize("ring", MIXED)
def test_inputs_have_gradients(ring: Any) -> None:
    reservoir, inputs = QuantumReservoir(ring), series(2, 3, 1).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: reservoir(x)[0], inputs)


def test_copies_pickles_and_empty_batches() -> None:
    reservoir, inputs = OnionReservoir(MIXED), series(2, 3, 1)
    expected = reservoir(inputs)[0]
    assert_close(copy.deepcopy(reservoir)(inputs)[0], expected, ROUNDING)
    assert_close(pickle.loads(pickle.dumps(reservoir))(inputs)[0], expected, ROUNDING)
    assert reservoir(inputs[:0])[0].shape == (0, 3, 9)
    assert reservoir(inputs[:, :0])[0].shape == (2, 0, 9)
    single = OnionReservoir(MIXED, dtype=torch.float32)(inputs.float())[0]
    assert single.dtype == torch.float32
    assert_close(single.double(), expected, 1e-5)  # float32, arccos magnifies it


def test_seeds_leave_the_global_generator_alone() -> None:
    before = torch.get_rng_state()
    QuantumReservoir(MIXED[0], shots=5)(series(1, 2, 1))
    assert torch.equal(before, torch.get_rng_state())


def test_a_hybrid_forecaster_in_a_file_predicts_the_same(tmp_path: Path) -> None:
    noisy = OnionReservoir(SMALL[:2], noise=channels.bit_flip(0.1), readout_error=(0.1, 0.2))
    single: Reservoir = QuantumReservoir(FeedbackRing(2, 0.3, -0.5))
    model = Forecaster(HybridReservoir(noisy, single), washout=2).fit(series(20, 1))
    save(model, tmp_path / "model")
    assert_close(load(tmp_path / "model").predict(series(9, 1)), model.predict(series(9, 1)), ROUNDING)
