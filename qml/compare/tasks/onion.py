"""The published task of the onion quantum reservoir, number for number (arXiv:2505.22837)."""

import math
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float
from torch import Tensor

from qml.baselines import EchoStateNetwork
from qml.compare.figures import circuit_figure
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks.forecast_figures import forecasts_figure
from qml.compare.tuning import one_thread
from qml.data import Waves, damped_waves
from qml.data.waves import CONTEXT, FEEDBACK_SCALE, HORIZON, INPUT_SCALES, N_QUBITS, RIDGE, WARM_UP
from qml.nn import FeedbackRing, HybridReservoir, OnionReservoir
from qml.reservoir import Forecaster, Reservoir

UNITS, MATRIX_SEED, INPUT_DIVISOR = 850, 2, 100.0


def quantum_reservoir() -> OnionReservoir:
    """Build three rings of six qubits that differ in the scale of their input."""
    return OnionReservoir([FeedbackRing(N_QUBITS, scale, FEEDBACK_SCALE) for scale in INPUT_SCALES])


def classical_reservoir() -> EchoStateNetwork:
    """Build 850 tanh units; NumPy's legacy generator draws W_in, then W, from (-0.5, 0.5); spectral radius 1."""
    generator = np.random.RandomState(MATRIX_SEED)
    input_weight = generator.uniform(-0.5, 0.5, (UNITS, 2))
    recurrent = generator.uniform(-0.5, 0.5, (UNITS, UNITS))
    recurrent /= np.abs(np.linalg.eigvals(recurrent)).max()
    start = math.tanh(1.0 / math.sqrt(UNITS))
    return EchoStateNetwork.from_matrices(
        input_weight, recurrent, input_scaling=1.0 / INPUT_DIVISOR, include_inputs=True, start=start
    )


def both_reservoirs() -> HybridReservoir:
    """Put the quantum and the classical reservoir side by side."""
    return HybridReservoir(classical_reservoir(), quantum_reservoir())


def r2(target: Float[Tensor, "*shape"], forecast: Float[Tensor, "*shape"]) -> float:
    """Compute 1 - sum (y - yhat)^2 / sum (y - mean y)^2 over all points together."""
    return 1.0 - float((target - forecast).square().sum() / (target - target.mean()).square().sum())


def prepare(options: Options) -> Waves:
    """Load the published series."""
    return damped_waves()


def split(waves: Waves, seed: int) -> Waves:
    """Return the same series for every seed: nothing is random."""
    return waves


def models(options: Options) -> dict[str, Model[Waves]]:
    """Return the onion rings, the classical reservoir, both, and the mean of the training series at each step."""
    return {
        "quantum": Model(
            "Onion quantum reservoir",
            "quantum",
            f"Three rings of {N_QUBITS} qubits with fed-back measurements and their own input scales, ridge {RIDGE:g}.",
            partial(_fit, quantum_reservoir),
        ),
        "both": Model(
            "Onion and classical",
            "quantum",
            f"The features of both, ridge {RIDGE:g}.",
            partial(_fit, both_reservoirs),
        ),
        "classical": Model(
            "Classical reservoir",
            "classical",
            f"{UNITS} tanh units, spectral radius 1, ridge {RIDGE:g}.",
            partial(_fit, classical_reservoir),
        ),
        "mean": Model("Mean", "classical", "The mean of the training series at each step.", _mean),
    }


def sections(waves: Waves, records: list[Record], options: Options) -> list[Section]:
    """Show the forecasts, and a ring's circuit."""
    text = f"Each test series: its first {CONTEXT} points are given, the other {HORIZON} are forecast in closed loop."
    shown = [] if not records else [Section("Forecasts", text, forecasts_figure(waves.test[..., 0], records, CONTEXT))]
    circuit = quantum_reservoir().parts[0]
    return [
        *shown,
        Section(
            "A ring",
            "Data slot 0 is the input's angle, the others are the angles of the values measured a step before.",
            circuit_figure(circuit.circuit),  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
        ),
    ]


def _fit(build: Callable[[], Reservoir], waves: Waves, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    reservoir = build()
    started = time.perf_counter()
    with one_thread():
        model = Forecaster(reservoir, alphas=RIDGE, warm_up=WARM_UP).fit(waves.train)
        seconds = time.perf_counter() - started
        forecast = model.forecast(waves.test[:, :CONTEXT], HORIZON)
    n_parameters = reservoir.n_features + 1
    return _outcome(waves, forecast, n_parameters, seconds)


def _mean(waves: Waves, seed: int, preset: Preset, on_step: OnStep) -> Outcome:
    mean = waves.train[:, CONTEXT : CONTEXT + HORIZON].mean(0)
    return _outcome(waves, mean.expand(len(waves.test), -1, -1), HORIZON, 0.0)


def _outcome(waves: Waves, forecast: Tensor, n_parameters: int, seconds: float) -> Outcome:
    value = r2(waves.test[:, CONTEXT:], forecast)
    return Outcome(value, n_parameters, seconds, details={"forecast": forecast[..., 0].tolist()})


ONION_REFERENCE = Task(
    name="onion-reference",
    title="The published forecast of the onion quantum reservoir",
    question="Damped waves of two tones, ten to learn from; of four others six points are given and twenty are to be "
    "forecast in closed loop. The settings are the published ones (arXiv:2505.22837), nothing is tuned and nothing is "
    "random, so the numbers must be 0.06298721 (classical), 0.37110871 (quantum) and 0.59531067 (both).",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(1, 1, 1), "demo": Preset(1, 1, 1)},
    sections=sections,
    metric=Metric("r2", "R2", larger_is_better=True, percent=False, digits=8),
)
