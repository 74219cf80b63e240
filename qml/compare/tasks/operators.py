"""An operator from sources to solutions, learnt from pairs: DeepONets of MLPs, QKANs and circuits."""

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.baselines import count_parameters
from qml.compare.figures import figure_style, new_figure
from qml.compare.task import Metric, Model, OnStep, Options, Outcome, Preset, Record, Section, Task
from qml.compare.tuning import one_thread
from qml.nn import QKAN, QuantumLayer
from qml.pinn import MLP, DeepONet, OperatorData, operator_error, reaction_diffusion, train_operator

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DTYPE = torch.float64
N_TRAIN, N_TEST, N_SENSORS, N_PLACES, N_CELLS = 100, 50, 16, 10, 32
RANK, HIDDEN, N_QUBITS, N_LAYERS = 8, 24, 4, 6
SEED_OF_TEST = 10_000
ADAM_SHARE = 6  # of all steps one in so many is Adam's, the first ones; the others are SSBroyden's
Pairs = tuple[OperatorData, OperatorData]
Build = Callable[[torch.Generator], nn.Module]


def prepare(options: Options) -> OperatorData:
    """Return the pairs that all models are judged on."""
    return reaction_diffusion(N_TEST, seed=SEED_OF_TEST, n_sensors=N_SENSORS, n_places=N_PLACES, n_cells=N_CELLS)


def split(test: OperatorData, seed: int) -> Pairs:
    """Draw the pairs to train on, and return them with those of the test."""
    return reaction_diffusion(N_TRAIN, seed=seed, n_sensors=N_SENSORS, n_places=N_PLACES, n_cells=N_CELLS), test


def models(options: Options) -> dict[str, Model[Pairs]]:
    """Return DeepONets whose branch or trunk is an MLP, a QKAN or a circuit, and a single MLP on both inputs."""
    return {
        "circuit-trunk": _model(
            "Circuit as trunk", "quantum", "an MLP", f"a circuit of {N_QUBITS} qubits", _branch, _circuit
        ),
        "qkan-trunk": _model("QKAN as trunk", "quantum", "an MLP", "a QKAN", _branch, _qkan(2, 4)),
        "qkan-branch": _model("QKAN as branch", "quantum", "a QKAN", "an MLP", _qkan(N_SENSORS), _trunk),
        "mlp": _model("MLPs", "classical", "an MLP", "an MLP", _branch, _trunk),
        "one-mlp": Model(
            "One MLP",
            "classical",
            "An MLP of 24-24 on source and place together, without a product of branch and trunk.",
            partial(_train, _joint),
            settings=("Adam, 1e-2; SSBroyden",),
        ),
    }


def sections(test: OperatorData, records: list[Record], options: Options) -> list[Section]:
    """Show the sizes and the times."""
    rows = tuple(
        (
            record.model,
            str(record.seed),
            f"{record.outcome.value:.3f}",
            str(record.outcome.n_parameters),
            f"{record.outcome.seconds:.1f}",
        )
        for record in records
    )
    text = (
        f"u_t = 0.01 u_xx + 0.01 u^2 + f(x), by finite differences on {N_CELLS} cells; {N_TRAIN} sources to train on, "
        f"{N_TEST} to judge by (arXiv:1910.03193, section 4.4)."
    )
    header = ("model", "seed", "error", "parameters", "seconds")
    return [Section("Operators", text, pairs_figure(test), header, rows)]


def pairs_figure(pairs: OperatorData) -> "Figure":
    """Draw three sources, and their solutions at t = 1."""
    at_end = pairs.places[:, 1] == pairs.places[:, 1].max()
    sensors = np.linspace(0, 1, pairs.functions.shape[1])
    with figure_style():
        figure = new_figure(8.0, 2.6)
        sources, solutions = figure.subplots(1, 2)
        for source, solution in zip(pairs.functions[:3], pairs.values[:3, at_end, 0], strict=True):
            sources.plot(sensors, source, lw=1.2)
            solutions.plot(pairs.places[at_end, 0], solution, lw=1.2)
        for axes, title in ((sources, "source f(x)"), (solutions, "solution u(x, 1)")):
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("x")
    return figure


class JointNetwork(DeepONet):
    """MLP on the source's values and the place together, in place of a branch and a trunk."""

    def __init__(self, generator: torch.Generator) -> None:
        joint = MLP(N_SENSORS + 2, (HIDDEN, HIDDEN), dtype=DTYPE, generator=generator)
        super().__init__(joint, nn.Identity(), dtype=DTYPE)

    def forward(self, functions: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Return the output functions at the places, (batch, places, 1)."""
        n, m = len(functions), len(places)
        both = torch.cat([functions[:, None].expand(n, m, -1), places[None].expand(n, m, -1)], -1)
        return self.branch(both) + self.biases


def _model(title: str, kind: str, branch: str, trunk: str, build_branch: Build, build_trunk: Build) -> Model[Pairs]:
    def build(generator: torch.Generator) -> DeepONet:
        return DeepONet(build_branch(generator), build_trunk(generator), dtype=DTYPE)

    recipe = f"DeepONet (1910.03193) of rank {RANK}: the branch is {branch}, the trunk {trunk}."
    return Model(title, kind, recipe, partial(_train, build), settings=("Adam, 1e-2; SSBroyden",))


def _train(
    build: Callable[[torch.Generator], DeepONet], pairs: Pairs, seed: int, preset: Preset, on_step: OnStep
) -> Outcome:
    train, test = pairs
    model = build(torch.Generator().manual_seed(seed))
    n_adam = max(1, preset.n_epochs // ADAM_SHARE)
    started = time.perf_counter()
    with one_thread():
        losses = train_operator(model, train, n_steps=n_adam, n_polish=preset.n_epochs - n_adam, on_step=on_step)
    return Outcome(
        value=operator_error(model, test),
        n_parameters=count_parameters(model),
        seconds=time.perf_counter() - started,
        extras={"train_loss": losses[-1], "epoch": len(losses)},
    )


def _branch(generator: torch.Generator) -> nn.Module:
    return MLP(N_SENSORS, (HIDDEN,), RANK, dtype=DTYPE, generator=generator)


def _trunk(generator: torch.Generator) -> nn.Module:
    return MLP(2, (HIDDEN,), RANK, dtype=DTYPE, generator=generator)


def _joint(generator: torch.Generator) -> DeepONet:
    return JointNetwork(generator)


def _qkan(n_inputs: int, *hidden: int) -> Build:
    return lambda generator: QKAN([n_inputs, *hidden, RANK], reps=3, dtype=DTYPE, generator=generator)


def _circuit(generator: torch.Generator) -> nn.Module:
    """Build an affine map to angles, a circuit of data re-uploading, and an affine map of <Z> to the rank."""
    circuit = Circuit(N_QUBITS)
    for layer in range(N_LAYERS):
        for qubit in range(N_QUBITS):
            circuit = circuit.ry(data(qubit), qubit).rz(weight(2 * (layer * N_QUBITS + qubit)), qubit)
            circuit = circuit.ry(weight(2 * (layer * N_QUBITS + qubit) + 1), qubit)
        for qubit in range(N_QUBITS):
            circuit = circuit.cx(qubit, (qubit + 1) % N_QUBITS)
    layer = QuantumLayer(circuit, [Z(qubit) for qubit in range(N_QUBITS)], dtype=DTYPE, generator=generator)
    first = MLP(2, (N_QUBITS,), dtype=DTYPE, generator=generator).layers[0]
    last = MLP(N_QUBITS, (RANK,), dtype=DTYPE, generator=generator).layers[0]
    return nn.Sequential(first, layer, last)


OPERATORS = Task(
    name="operators",
    title="An operator from sources to solutions",
    question="From a source f(x) the solution of u_t = 0.01 u_xx + 0.01 u^2 + f on [0, 1]^2: does a circuit or a QKAN "
    "serve as branch or trunk of a DeepONet? All models get the same pairs and steps. The error is the mean "
    "relative L2 norm over sources that were not trained on.",
    prepare=prepare,
    split=split,
    models=models,
    presets={"full": Preset(3, 1, 3000), "demo": Preset(2, 1, 100)},
    sections=sections,
    metric=Metric("relative_l2", "Relative L2 error", larger_is_better=False, percent=False),
)
