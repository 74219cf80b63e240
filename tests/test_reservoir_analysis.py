import math
from typing import Any

import numpy as np
import pytest
import torch

from circuits import channels
from qml.analysis import (
    echo_check,
    information_capacity,
    largest_lyapunov,
    memory_capacity,
    plot_spectra,
    plot_time_scales,
    sampling_cost,
    spectra,
    valid_prediction_time,
)
from qml.baselines import EchoStateNetwork
from qml.data import henon_step, mackey_glass
from qml.nn import FeedbackRing, HybridReservoir, OnionReservoir, PersistentRing, QuantumReservoir
from tests import oracle
from tests.helpers import assert_close

WAVE = torch.sin(torch.arange(30.0).double())[None, :, None]


def linear(units: int = 20) -> EchoStateNetwork:
    return EchoStateNetwork(1, units, density=0.6, spectral_radius=0.9, activation="identity", seed=1)


def test_a_linear_network_of_n_units_has_a_memory_capacity_of_nearly_n() -> None:
    found = memory_capacity(linear(), 60, n_steps=3000)
    assert 19.5 < found.total < 20.4  # targets of 3000 random steps are orthogonal to about 1 / sqrt(3000) only
    assert found.n_features == 20
    assert found.by_delay()[:5] == pytest.approx(np.ones(5), abs=0.01)


def test_a_linear_network_has_no_other_capacity_and_a_shift_has_exactly_its_own() -> None:
    by_degree = information_capacity(linear(), {1: 30, 2: 5}, n_steps=3000).by_degree()
    assert by_degree[2] < 0.05
    shift = np.diag(np.ones(4), -1)  # unit k holds the input of k steps before
    register = EchoStateNetwork.from_matrices(np.eye(5)[:, :1] @ [[0.0, 1.0]], shift, activation="identity")
    values = memory_capacity(register, 9, n_steps=2000).values
    assert_close(values, np.repeat([1.0, 0.0], 5), 1e-8)


def test_capacity_never_exceeds_the_features_and_quantum_rings_have_some_of_every_degree() -> None:
    found = information_capacity(QuantumReservoir(PersistentRing(4, 2, seed=1)), {1: 8, 2: 4, 3: 2}, n_steps=2000)
    assert found.total <= found.n_features == 3
    assert found.by_degree()[1] > 0.1
    assert found.by_degree()[2] > 0.1


def test_echo_check_sees_who_forgets() -> None:
    assert echo_check(EchoStateNetwork(1, 30, density=0.5, spectral_radius=0.5)).holds
    wild = EchoStateNetwork(1, 60, density=0.5, spectral_radius=3.0, input_scaling=0.01)
    assert not echo_check(wild, n_steps=60).holds
    exact = echo_check(linear(), n_steps=120)
    assert abs(exact.rate - 0.9) < 0.02  # its spectral radius
    assert echo_check(QuantumReservoir(PersistentRing(3, 3))).rate == 0.0  # nothing is remembered


def channel_by_oracle(ring: PersistentRing, noise: Any = None) -> np.ndarray:
    """Eigenvalues of the memory's channel at input 0, from the Kronecker products of its Kraus operators."""
    from circuits.reservoir import persistent_layer
    from qml.nn.reservoirs.persistent import ring_angles

    side, outcomes = 2**ring.n_qubits, 2**ring.n_measured
    matrix = np.eye(side)
    for layer, angles in enumerate(ring_angles(ring).numpy()):
        matrix = oracle.unitary_of(persistent_layer(ring.n_qubits, layer), (), angles) @ matrix
    blocks = matrix.reshape(outcomes, side // outcomes, outcomes, side // outcomes)[:, :, 0]
    return np.linalg.eigvals(sum(np.kron(block, block.conj()) for block in blocks))


def test_eigenvalues_are_those_of_the_memorys_channel() -> None:
    ring = PersistentRing(4, 2, seed=2)
    (found,) = spectra(QuantumReservoir(ring))
    expected = channel_by_oracle(ring)
    assert_close(np.sort(np.abs(found.eigenvalues)), np.sort(np.abs(expected)), 1e-6)  # of a matrix that is not normal
    assert abs(found.eigenvalues[0] - 1) < 1e-10  # the trace is kept
    assert found.time_scales[0] == pytest.approx(-1 / math.log(np.sort(np.abs(expected))[-2]), rel=1e-5)


def test_noise_shortens_the_memory_and_rings_come_one_by_one() -> None:
    ring = PersistentRing(4, 1, weight_scale=0.3, seed=2)
    clean, noisy = (
        spectra(QuantumReservoir(ring, noise=noise))[0].time_scales[0] for noise in (None, channels.depolarizing(0.05))
    )
    assert noisy < clean
    both = HybridReservoir(OnionReservoir([ring, FeedbackRing(2, 0.5, -0.4)]), EchoStateNetwork(1, 9, density=0.9))
    found = spectra(both)
    assert [len(item.eigenvalues) for item in found] == [64, 2, 9]
    assert abs(found[2].eigenvalues[0]) <= 0.9 + 1e-9
    with pytest.raises(ValueError, match="without shots"):
        spectra(QuantumReservoir(ring, shots=5))


def test_lyapunov_exponents_of_known_maps() -> None:
    halving = largest_lyapunov(lambda s: 0.5 * s, torch.ones(2), n_steps=20, washout=2)
    assert halving.exponent == pytest.approx(math.log(0.5), rel=1e-5)  # a distance of 1e-8 beside numbers near 1
    found = largest_lyapunov(henon_step, torch.tensor([0.1, 0.1]), n_steps=4000)
    assert abs(found.exponent - 0.419) < 0.02  # the mean over 4000 steps scatters by about 0.01
    slower = largest_lyapunov(henon_step, torch.tensor([0.1, 0.1]), n_steps=4000, time_step=0.5)
    assert slower.exponent == pytest.approx(2 * found.exponent)
    (running, mean) = found.plot().axes[0].get_lines()
    assert running.get_ydata()[-1] == pytest.approx(found.exponent)
    assert mean.get_ydata()[0] == found.exponent
    with pytest.raises(ValueError, match="leaves them after"):
        largest_lyapunov(lambda s: s / 0.0, torch.full((1,), 9.0))
    with pytest.raises(ValueError, match=r"of 1e-08 is 0 left at 3.87e\+08. .* stay bounded"):
        largest_lyapunov(lambda s: s**9, torch.full((1,), 9.0))


def test_valid_prediction_time_counts_until_the_error_is_too_large() -> None:
    truth = torch.sin(torch.arange(40.0))[:, None]
    forecast = truth.clone()
    forecast[25:] += 1.0
    assert valid_prediction_time(truth, forecast).n_steps == 25
    assert valid_prediction_time(truth, truth).time == 40
    found = valid_prediction_time(truth, forecast, time_step=0.1, lyapunov=2.0)
    assert found.time == pytest.approx(5.0)
    axes = found.plot().axes[0]
    assert axes.get_lines()[0].get_xdata()[25] == pytest.approx(5.0)
    assert axes.get_lines()[0].get_ydata()[30] == pytest.approx(1.0 / float(truth.std(correction=0)))
    assert axes.get_xlabel() == "Lyapunov times"
    with pytest.raises(ValueError, match="is constant"):
        valid_prediction_time(torch.ones(5, 1), torch.ones(5, 1))
    with pytest.raises(ValueError, match="one shape"):
        valid_prediction_time(truth, truth[:3])


def test_errors_fall_with_the_root_of_the_shots_and_a_transferred_readout_pays_most() -> None:
    wave = mackey_glass(400)
    wave = ((wave - wave.mean()) / wave.std())[None]
    ring = PersistentRing(3, 2, seed=1)

    def build(shots: int | None, seed: int) -> QuantumReservoir:
        return QuantumReservoir(ring, shots=shots, seed=seed)

    cost = sampling_cost(build, wave[:, :250], wave[:, 250:], shots=(100, 10_000), washout=20)
    assert cost.exponent == pytest.approx(-0.5, abs=0.07)  # 4 standard errors: 6 % for either error of 150 steps
    assert cost.limit == cost.ideal
    assert bool((cost.fitted[0] > cost.fitted[1]).all())
    assert bool((cost.fitted[1] > 0.9 * cost.limit).all())
    assert bool((cost.transferred[0] > cost.fitted[0]).all())
    assert cost.plot().axes
    noisy = QuantumReservoir(ring, noise=channels.depolarizing(0.2))
    blurred = sampling_cost(lambda n, s: noisy, wave[:, :40], wave[:, :40], ideal=QuantumReservoir(ring), washout=10)
    assert blurred.exponent == pytest.approx(0.0, abs=1e-9)  # no shots take the noise away
    assert blurred.limit != blurred.ideal


def test_everything_can_be_drawn() -> None:
    ring = QuantumReservoir(PersistentRing(3, 2))
    figures = [
        memory_capacity(ring, 5, n_steps=300).plot(),
        echo_check(ring, n_steps=20).plot(),
        plot_spectra(spectra(ring)),
        plot_time_scales(spectra(ring)),
    ]
    assert all(figure.axes for figure in figures)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: memory_capacity(EchoStateNetwork(2, 5, density=0.9), 5), "must have one input"),
        (lambda: information_capacity(linear(), {}), "at least one degree"),
        (lambda: memory_capacity(linear(), 5, n_steps=20), "must exceed the 20 features"),
        (lambda: largest_lyapunov(henon_step, torch.zeros(2), distance=0.0), "`distance` must be above 0"),
        (lambda: largest_lyapunov(henon_step, torch.zeros(2), distance=1e-20), "of 1e-20 is 0 left"),
        (lambda: largest_lyapunov(lambda s: s.float(), torch.zeros(2)), r"shape \(2,\) and torch.float32"),
        (lambda: largest_lyapunov(lambda s: s[:1], torch.zeros(2)), r"gives shape \(1,\)"),
        (lambda: valid_prediction_time(WAVE[0], WAVE[0], threshold=-1.0), "`threshold` must be above 0"),
        (lambda: valid_prediction_time(WAVE[0], WAVE[0] * math.nan), "`forecast` must be finite"),
        (lambda: echo_check(linear(), n_starts=1), "`n_starts` must be at least 2"),
        (lambda: sampling_cost(lambda n, s: linear(), WAVE, WAVE, shots=(10,)), "`shots` must hold at least 2"),
        (lambda: sampling_cost(lambda n, s: linear(), WAVE, WAVE, shots=(0, 1)), r"`shots\[0\]` must be at least 1"),
        (lambda: sampling_cost(lambda n, s: linear(), WAVE, WAVE, n_repeats=0), "`n_repeats` must be at least 1"),
        (lambda: sampling_cost(lambda n, s: linear(), WAVE, WAVE, shots=(9, 9)), "at least two different numbers"),
        (lambda: sampling_cost(lambda n, s: linear(), WAVE, WAVE[:, :9], washout=8), "vary behind the washout of 8"),
        (lambda: sampling_cost(lambda n, s: linear(), WAVE, 0 * WAVE), "such values, or equal ones"),
    ],
)
def test_bad_options_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("dtype", "scale"), [(torch.float32, 1e25), (torch.float64, 1e-200), (torch.float16, 6e4)])
def test_a_wrong_forecast_of_large_or_small_numbers_is_no_good_one(dtype: torch.dtype, scale: float) -> None:
    truth = (scale * torch.sin(1.0 + torch.arange(50.0, dtype=torch.float64))[:, None]).to(dtype)
    assert valid_prediction_time(truth, truth).n_steps == 50
    assert valid_prediction_time(truth, -truth).n_steps == 0
