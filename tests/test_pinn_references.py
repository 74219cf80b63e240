"""References that the errors of networks are taken against, beside independent computations and published tables."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from qml.pinn import find_problem
from qml.pinn.problems.cavity import cavity_stream_function, cavity_velocity
from qml.pinn.problems.cavity_reference import solve_cavity
from qml.pinn.problems.references import allen_cahn_solution

# Ghia, Ghia and Shin, J. Comput. Phys. 48 (1982) 387, tables I and II: some places of the centre lines.
HEIGHTS = (0.0547, 0.1016, 0.1719, 0.2813, 0.4531, 0.5, 0.6172, 0.7344, 0.8516, 0.9531, 0.9766)
GHIA_U = {
    100.0: (-0.03717, -0.06434, -0.1015, -0.15662, -0.2109, -0.20581, -0.13641, 0.00332, 0.23151, 0.68717, 0.84123),
    400.0: (-0.08186, -0.14612, -0.24299, -0.32726, -0.17119, -0.11477, 0.02135, 0.16256, 0.29093, 0.55892, 0.75837),
}
PLACES = (0.0625, 0.0938, 0.1563, 0.2266, 0.5, 0.8047, 0.8594, 0.9453, 0.9688)
GHIA_V = {
    100.0: (0.09233, 0.12317, 0.16077, 0.17507, 0.05454, -0.24533, -0.22445, -0.10313, -0.05906),
    400.0: (0.1836, 0.22965, 0.28124, 0.30203, 0.05186, -0.38598, -0.44993, -0.22847, -0.12146),
}
# The table is of second-order differences on 129^2 points: at Re = 100 its least v, -0.24533, is 0.0085 above that of
# Botella and Peyret's spectral method, which the reference has to 1e-6 (test_pinn_cavity.py).
GHIA_ERROR = 1e-2


def on_line(values: tuple[float, ...], *, across: bool) -> np.ndarray:
    middle = np.full(len(values), 0.5)
    return np.stack([values, middle] if across else [middle, values], 1)


@pytest.mark.parametrize("reynolds", [100.0, 400.0])
def test_the_cavity_has_ghias_centre_lines(reynolds: float) -> None:
    flow = solve_cavity(reynolds, 32)
    np.testing.assert_allclose(flow.velocity(on_line(HEIGHTS, across=False))[:, 0], GHIA_U[reynolds], atol=GHIA_ERROR)
    np.testing.assert_allclose(flow.velocity(on_line(PLACES, across=True))[:, 1], GHIA_V[reynolds], atol=GHIA_ERROR)


def test_the_cavity_converges_and_keeps_its_walls() -> None:
    """The error falls tenfold with every eight modes, as measured; walls hold to rounding by construction."""
    grid = find_problem("cavity-stream").domain.grid(33)
    streams = [solve_cavity(100.0, n_modes).stream(grid) for n_modes in (16, 24, 32)]
    changes = [np.linalg.norm(later - one) / np.linalg.norm(later) for one, later in pairwise(streams)]
    assert changes[1] < 0.2 * changes[0]
    assert changes[1] < 1e-5
    flow, places = solve_cavity(100.0, 24), np.linspace(0.0, 1.0, 7)
    ones = np.ones(7)
    for x, y, u in (
        (places, ones, 1.0),
        (places, 0 * ones, 0.0),
        (0 * ones, 0.9 * places, 0.0),
        (ones, 0.9 * places, 0.0),
    ):
        points = np.stack([x, y], 1)
        np.testing.assert_allclose(flow.velocity(points), np.stack([u * ones, 0 * ones], 1), atol=1e-9)
        np.testing.assert_allclose(flow.stream(points), 0.0, atol=1e-9)


def test_the_stream_function_and_the_velocity_are_those_of_one_flow() -> None:
    points, step = np.array([[0.3, 0.4], [0.8, 0.95]]), 1e-5
    velocity = cavity_velocity(points, 100.0)
    for axis, column, sign in ((1, 0, 1.0), (0, 1, -1.0)):
        shift = step * np.eye(2)[axis]
        slope = (cavity_stream_function(points + shift, 100.0) - cavity_stream_function(points - shift, 100.0)) / (
            2 * step
        )
        np.testing.assert_allclose(velocity[:, column], sign * slope[:, 0], atol=1e-7)


def test_a_cavity_of_too_few_modes_is_refused() -> None:
    with pytest.raises(ValueError, match="must end within 30 steps"):
        solve_cavity(3000.0, 6)


def allen_cahn_by_fourier(x: np.ndarray, start: np.ndarray, times: tuple[float, float]) -> np.ndarray:
    """The same equation by complex Fourier series on a periodic grid, and scipy's DOP853 at 1e-11."""
    square = (np.pi * np.fft.rfftfreq(len(x), 1 / len(x))) ** 2

    def slope(time: float, values: np.ndarray) -> np.ndarray:
        return np.fft.irfft(-1e-4 * square * np.fft.rfft(values), len(x)) + 5 * values - 5 * values**3

    return solve_ivp(slope, times, start, method="DOP853", rtol=1e-11, atol=1e-11).y[:, -1]


@pytest.mark.parametrize(
    # The kink at the start has waves of k^-2, taken from 2^18 points: aliases of 1e-11 each, in step at the kink.
    ("n_points", "times", "atol"),
    [pytest.param(2048, (0.0, 0.02), 1e-8, marks=pytest.mark.slow), (512, (0.3, 0.35), 2e-10)],
)
def test_allen_cahns_reference_is_that_of_another_method(
    n_points: int, times: tuple[float, float], atol: float
) -> None:
    x = -1 + 2 * np.arange(n_points) / n_points
    fine = -1 + 2 * np.arange(2**18) / 2**18
    waves = np.fft.rfft(allen_cahn_solution(fine, np.full(len(fine), times[0])))[: n_points // 2 + 1]
    start = np.fft.irfft(waves, n_points) * (n_points / len(fine))
    expected = allen_cahn_solution(x, np.full(n_points, times[1]))
    np.testing.assert_allclose(allen_cahn_by_fourier(x, start, times), expected, atol=atol)


def test_allen_cahns_reference_starts_from_its_initial_values() -> None:
    x = np.linspace(-1, 1, 11)
    np.testing.assert_array_equal(allen_cahn_solution(x, np.zeros(11)), x**2 * np.cos(np.pi * x))
    mixed = allen_cahn_solution(x, np.linspace(0, 1, 11)[::-1])  # times in any order
    single = [allen_cahn_solution(x[k : k + 1], np.array([1 - k / 10]))[0] for k in range(11)]
    np.testing.assert_allclose(mixed, single, atol=1e-12)


@pytest.mark.parametrize("name", ["infinite-well-energy", "finite-well", "barrier"])
def test_waves_have_norm_one(name: str) -> None:
    from scipy.integrate import quad

    problem = find_problem(name)
    reference, box = problem.reference, problem.domain
    assert reference is not None
    low, high = box.intervals["x"]
    breaks = box.breaks.get("x", ())
    norm, _ = quad(lambda x: reference(np.array([[x]]))[0, 0] ** 2, low, high, points=breaks or None, epsabs=1e-13)
    assert norm == pytest.approx(1.0, abs=1e-11)
