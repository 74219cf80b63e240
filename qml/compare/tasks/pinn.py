"""Differential equations: trunks of physics-informed networks and ways to train them, on one problem."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.baselines import count_parameters
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tasks.pinn_figures import error_figure, solution_figure
from qml.compare.training import one_thread
from qml.nn import QKAN, QuantumLayer
from qml.pinn import (
    MLP,
    PROBLEMS,
    Annealing,
    Causal,
    FourierFeatures,
    ModifiedMLP,
    Pinn,
    Problem,
    Resampling,
    Solution,
    Training,
    find_problem,
    relative_l2,
    train,
)
from qml.pinn.names import arguments_of

N_QUBITS, N_REPEATS = 4, 3
QKAN_HIDDEN = 2
HIDDEN = (32, 32, 32)
N_LINE, N_PLANE = 401, 61  # points a coordinate of the grid that errors are taken on
N_SHOWN = 41  # of which so many a coordinate are kept for the figures of plane problems
Build = Callable[[Problem, torch.Generator], nn.Module]
DTYPE = torch.float64


def prepare(options: Options) -> Problem:
    """The problem."""
    return find_problem(str(options["problem"]))


def split(problem: Problem, seed: int) -> Problem:
    """The same for every seed, which draws weights and points."""
    return problem


def models(options: Options) -> dict[str, Model]:
    """A circuit as the trunk, an MLP of its size, larger classical trunks, and the MLP under other trainings."""
    problem = prepare(options)
    size = count_parameters(_qnn(problem, torch.Generator()))
    found = {
        "qnn": _model(
            "QNN",
            "quantum",
            f"An affine map to the angles of {N_QUBITS} qubits, {N_REPEATS} times encoded before rotations and a "
            f"ring of CX; an affine map of the <Z>: {size} parameters.",
            _qnn,
        ),
        "qkan": _model(
            "QKAN",
            "quantum",
            f"An affine map to {QKAN_HIDDEN} features, and one QKAN layer (2509.14026): near the QNN's size.",
            _qkan,
        ),
        "mlp-small": _model("Small MLP", "classical", "One hidden layer of tanh, as large as the QNN.", _small),
        "mlp": _model("MLP", "classical", "Three hidden layers of 32 tanh units.", _mlp),
        "modified-mlp": _model("Modified MLP", "classical", "The same with two encoders (2001.04536).", _modified),
        "fourier": _model("Fourier MLP", "classical", "16 random frequencies before the MLP (2006.10739).", _fourier),
    }
    conditions = [condition for condition in problem.conditions if not condition.exact]
    if conditions:
        found["mlp-annealed"] = _model(
            "MLP, annealed",
            "classical",
            "Weights of conditions from gradients (2001.04536).",
            _mlp,
            annealing=Annealing(),
        )
    if "t" in problem.coordinates:
        found["mlp-causal"] = _model(
            "MLP, causal", "classical", "Weights over slices of time (2203.07404).", _mlp, causal=Causal()
        )
    found["mlp-resampled"] = _model(
        "MLP, resampled", "classical", "Points where the residual is large (2207.10289).", _mlp, resampling=Resampling()
    )
    return found


def sections(problem: Problem, records: list[Record], options: Options) -> list[Section]:
    """Solutions and errors of the first seed, and the trained scalars beside their references."""
    text = f"Reference: {problem.source or 'given by the problem'}. First seed of each model."
    return [
        Section("Solution", text + _scalars(problem, records), solution_figure(problem, records)),
        Section("Error", "Found minus reference, on the same points.", error_figure(problem, records)),
    ]


def _model(title: str, kind: str, recipe: str, build: Build, **methods: Any) -> Model:
    return Model(title, kind, recipe, partial(_fit, build, methods), settings=("as in the recipe",))


def _fit(
    build: Build, methods: Mapping[str, Any], problem: Problem, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    """Adam, then half as many iterations of L-BFGS, in float64; the error is taken once, at the end."""
    model = Pinn(problem, build(problem, torch.Generator().manual_seed(seed)))
    training = replace(_training(problem, preset), **methods)
    with one_thread():
        solution = train(model, training, seed=seed, on_step=on_step)
    error = relative_l2(model, problem.domain.grid(N_LINE if len(problem.coordinates) == 1 else N_PLANE))
    scalars = solution.scalars
    errors = {f"{name}_error": abs(value / problem.reference_scalars[name] - 1) for name, value in scalars.items()}
    return Outcome(
        value=error,
        n_parameters=count_parameters(model),
        seconds=solution.seconds,
        extras={"derivatives": model.derivatives, "epoch": int(solution.history["step"][-1]), **scalars, **errors},
        details={"curves": _curves(solution), "values": _shown(model).round(6).tolist()},
    )


def _training(problem: Problem, preset: Preset) -> Training:
    on_a_line = len(problem.coordinates) == 1
    return Training(
        n_adam=preset.n_epochs,
        learning_rate=5e-3,
        n_lbfgs=preset.n_epochs // 2,
        n_points=64 if on_a_line else 2048,
        collocation="quadrature" if on_a_line else "sobol",
    )


def _curves(solution: Solution) -> dict[str, list[float]]:
    """Decadic logarithms of the loss: of the equations, and of the conditions."""
    history, names = solution.history, solution.model.problem.equations
    conditions = [name for name in history if name not in names and name != "step"]
    parts = {"log10_of_equations": list(names), "log10_of_conditions": conditions}
    return {
        title: [
            round(math.log10(max(sum(values), 1e-30)), 4)
            for values in zip(*(history[name] for name in named), strict=True)
        ]
        for title, named in parts.items()
        if named
    }


def _shown(model: Pinn) -> np.ndarray:
    """The first field on the grid of the figures, with the sign of the reference."""
    problem = model.problem
    points = shown_points(problem)
    found = model.predict(points)[:, 0]
    if problem.sign_free and problem.reference is not None and float(found @ problem.reference(points)[:, 0]) < 0:
        return -found
    return found


def shown_points(problem: Problem) -> np.ndarray:
    """The grid of the figures."""
    return problem.domain.grid(N_LINE if len(problem.coordinates) == 1 else N_SHOWN)


def _scalars(problem: Problem, records: list[Record]) -> str:
    """The trained scalars in words."""
    words = ""
    for name, reference in problem.reference_scalars.items():
        listed = [
            f"{record.model} {record.outcome.extras[name]:.6g} (error {record.outcome.extras[f'{name}_error']:.1e})"
            for record in records
            if record.seed == 0 and name in record.outcome.extras
        ]
        words += f" {name}: reference {reference:.8g}; {', '.join(listed)}."
    return words


def _n_features(problem: Problem) -> int:
    if problem.features is None:
        return len(problem.coordinates)
    probe = {name: torch.zeros(1) for name in arguments_of(problem.features, "features")}
    return len(problem.features(**probe))


def _circuit() -> Circuit:
    """Data re-uploading: RY of the angles, RZ and RY of weights, a ring of CX, over and over."""
    circuit = Circuit(N_QUBITS)
    for repeat in range(N_REPEATS):
        for qubit in range(N_QUBITS):
            first = 2 * (repeat * N_QUBITS + qubit)
            circuit = circuit.ry(data(qubit), qubit).rz(weight(first), qubit).ry(weight(first + 1), qubit)
        for qubit in range(N_QUBITS):
            circuit = circuit.cx(qubit, (qubit + 1) % N_QUBITS)
    return circuit


def _qnn(problem: Problem, generator: torch.Generator) -> nn.Module:
    observables = [Z(qubit) for qubit in range(N_QUBITS)]
    layer = QuantumLayer(_circuit(), observables, dtype=DTYPE, generator=generator)
    return nn.Sequential(
        _affine(_n_features(problem), N_QUBITS, generator), layer, _affine(N_QUBITS, len(problem.fields), generator)
    )


def _qkan(problem: Problem, generator: torch.Generator) -> nn.Module:
    network = QKAN((QKAN_HIDDEN, len(problem.fields)), dtype=DTYPE, generator=generator)
    return nn.Sequential(_affine(_n_features(problem), QKAN_HIDDEN, generator), network)


def _affine(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Module:
    """An affine map that is drawn as those of an MLP."""
    return MLP(n_inputs, (n_outputs,), dtype=DTYPE, generator=generator).layers[0]


def _small(problem: Problem, generator: torch.Generator) -> nn.Module:
    n_features, n_fields = _n_features(problem), len(problem.fields)
    size = count_parameters(_qnn(problem, torch.Generator()))
    hidden = max(1, round((size - n_fields) / (n_features + 1 + n_fields)))
    return MLP(n_features, (hidden,), n_fields, dtype=DTYPE, generator=generator)


def _mlp(problem: Problem, generator: torch.Generator) -> nn.Module:
    return MLP(_n_features(problem), HIDDEN, len(problem.fields), dtype=DTYPE, generator=generator)


def _modified(problem: Problem, generator: torch.Generator) -> nn.Module:
    return ModifiedMLP(
        _n_features(problem), HIDDEN[0], len(HIDDEN), len(problem.fields), dtype=DTYPE, generator=generator
    )


def _fourier(problem: Problem, generator: torch.Generator) -> nn.Module:
    features = FourierFeatures(_n_features(problem), 16, scale=2.0, dtype=DTYPE, generator=generator)
    return nn.Sequential(features, MLP(32, HIDDEN, len(problem.fields), dtype=DTYPE, generator=generator))


PINN = Task(
    name="pinn",
    title="Physics-informed networks",
    question="How near to the reference does each trunk come, trained on the equations alone? Every model gets the "
    "same points, steps of Adam and iterations of L-BFGS, in float64. The error is the relative L2 norm.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(3, 1, 3000), "demo": Preset(2, 1, 200)},
    sections=sections,
    options={"problem": tuple(PROBLEMS)},
    metric=Metric("relative_l2", "Relative L2 error", larger_is_better=False, percent=False),
)
