"""The trunks of the comparison: circuits and their classical twins of one size, and larger classical ones."""

from collections.abc import Callable, Iterable

import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.baselines import KAN, KANLayer, count_parameters
from qml.nn import DARUAN, QKAN, QuantumLayer
from qml.pinn import (
    MLP,
    AttentionTrunk,
    EdgeJets,
    FourierFeatures,
    GaussianFeatures,
    LSTMTrunk,
    ModifiedMLP,
    Pieces,
    Problem,
    Separable,
)
from qml.pinn.names import arguments_of

N_QUBITS, N_REPEATS = 4, 8
HIDDEN = (32, 32, 32)
KAN_RANGE = (-3.0, 3.0)  # range of the splines: inputs are affine maps of coordinates of order 1
DTYPE = torch.float64
Build = Callable[[Problem, torch.Generator], nn.Module]


def qnn(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build an affine map to angles, a circuit, and an affine map of its expectation values."""
    observables = [Z(qubit) for qubit in range(N_QUBITS)]
    layer = QuantumLayer(_circuit(), observables, dtype=DTYPE, generator=generator)
    return nn.Sequential(
        _affine(problem.n_features, N_QUBITS, generator), layer, _affine(N_QUBITS, len(problem.fields), generator)
    )


def qkan(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build two QKAN layers with h units between them and r uploads for each edge."""

    def build(hidden: int, reps: int) -> nn.Module:
        widths = [problem.n_features, hidden, len(problem.fields)]
        network = QKAN(widths, reps=reps, dtype=DTYPE, generator=generator)
        return nn.Sequential(*map(EdgeJets, network.layers))

    return _nearest(problem, build, ((hidden, reps) for hidden in range(1, 7) for reps in range(2, 6)))


def daruan(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build a network of two hidden layers whose activations are one-qubit circuits with r uploads."""

    def build(hidden: int, reps: int) -> nn.Module:
        def activations() -> nn.Module:
            return DARUAN(hidden, reps=reps, dtype=DTYPE, generator=generator)

        return nn.Sequential(
            _affine(problem.n_features, hidden, generator),
            activations(),
            _affine(hidden, hidden, generator),
            activations(),
            _affine(hidden, len(problem.fields), generator),
        )

    return _nearest(problem, build, ((hidden, reps) for hidden in range(1, 9) for reps in range(2, 5)))


def small_kan(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build the QKAN's form with cubic B-splines."""

    def build(hidden: int, grid: int) -> nn.Module:
        widths = [problem.n_features, hidden, len(problem.fields)]
        return KAN(widths, grid=grid, domain=KAN_RANGE, dtype=DTYPE, generator=generator)

    return _nearest(problem, build, ((hidden, grid) for hidden in range(1, 7) for grid in range(4, 20)))


def small_mlp(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build two hidden layers of tanh."""

    def build(first: int, second: int) -> nn.Module:
        return MLP(problem.n_features, (first, second), len(problem.fields), dtype=DTYPE, generator=generator)

    return _nearest(problem, build, ((size, size - less) for size in range(2, 12) for less in (0, 1)))


def separable(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build an MLP of one hidden layer for each coordinate, and sums of products of their outputs."""

    def build(hidden: int, rank: int) -> nn.Module:
        n_inputs, n_fields = problem.n_features, len(problem.fields)
        return Separable.of_mlps(n_inputs, hidden, rank, n_fields, dtype=DTYPE, generator=generator)

    return _nearest(problem, build, ((hidden, rank) for hidden in range(1, 12) for rank in range(1, 9)))


def mlp(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build three hidden layers of 32."""
    return MLP(problem.n_features, HIDDEN, len(problem.fields), dtype=DTYPE, generator=generator)


def modified(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build the MLP's form with two encoders."""
    return ModifiedMLP(
        problem.n_features, HIDDEN[0], len(HIDDEN), len(problem.fields), dtype=DTYPE, generator=generator
    )


def fourier(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build the MLP on cosines and sines of 16 random frequencies."""
    features = FourierFeatures(problem.n_features, 16, scale=2.0, dtype=DTYPE, generator=generator)
    return nn.Sequential(features, MLP(32, HIDDEN, len(problem.fields), dtype=DTYPE, generator=generator))


def lstm(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build three layers of 16 units with a memory over depth."""
    return LSTMTrunk(problem.n_features, 16, 3, len(problem.fields), dtype=DTYPE, generator=generator)


def attention(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build 16 units that attend to three times, a twentieth of the scaled interval apart."""
    return AttentionTrunk(
        problem.n_features,
        16,
        len(problem.fields),
        column=_column_of_time(problem),
        dtype=DTYPE,
        generator=generator,
    )


def _column_of_time(problem: Problem) -> int:
    """Return the trunk's input that moves with t; the last of several."""
    low, high = problem.domain.intervals["t"]
    if problem.features is None:
        return problem.coordinates.index("t")
    points = problem.domain.sample(2, 0, fixed={})[:1].repeat(2, 0)
    points[:, problem.coordinates.index("t")] = (low, high)
    columns = {name: torch.as_tensor(points[:, index]) for index, name in enumerate(problem.coordinates)}
    asked = arguments_of(problem.features, "features")
    moved = [bool(one[0] != one[1]) for one in problem.features(**{name: columns[name] for name in asked})]
    return len(moved) - 1 - moved[::-1].index(True)


def kan(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build splines on edges, with 8 hidden units."""
    first = KANLayer(4, 8, grid=8, domain=KAN_RANGE, dtype=DTYPE, generator=generator)
    last = KANLayer(8, len(problem.fields), grid=8, domain=KAN_RANGE, dtype=DTYPE, generator=generator)
    return nn.Sequential(_affine(problem.n_features, 4, generator), first, last)


def gaussians(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build 100 trainable Gaussians and one layer of 16; the trunk's inputs must be the coordinates themselves."""
    low, high = zip(*problem.domain.intervals.values(), strict=True)
    features = GaussianFeatures(len(low), 100, low=low, high=high, width=0.1, dtype=DTYPE, generator=generator)
    return nn.Sequential(features, MLP(100, (16,), len(problem.fields), dtype=DTYPE, generator=generator))


def pieces(problem: Problem, generator: torch.Generator) -> nn.Module:
    """Build an MLP of 12-12 for every piece between the breaks of the first coordinate."""
    places = problem.domain.breaks[problem.coordinates[0]]
    trunks = [
        MLP(problem.n_features, (12, 12), len(problem.fields), dtype=DTYPE, generator=generator)
        for _ in range(len(places) + 1)
    ]
    return Pieces(trunks, places)


def _nearest(problem: Problem, build: Callable[..., nn.Module], sizes: Iterable[tuple[int, ...]]) -> nn.Module:
    """Build the network whose number of parameters is nearest to the QNN's; of equal ones the first."""
    target = count_parameters(qnn(problem, torch.Generator()))
    counted = {size: count_parameters(build(*size)) for size in sizes}
    return build(*min(counted, key=lambda size: abs(counted[size] - target)))


def _circuit() -> Circuit:
    """Build a circuit of data re-uploading: RY of the angles, RZ and RY of weights, a ring of CX, over and over."""
    circuit = Circuit(N_QUBITS)
    for repeat in range(N_REPEATS):
        for qubit in range(N_QUBITS):
            first = 2 * (repeat * N_QUBITS + qubit)
            circuit = circuit.ry(data(qubit), qubit).rz(weight(first), qubit).ry(weight(first + 1), qubit)
        for qubit in range(N_QUBITS):
            circuit = circuit.cx(qubit, (qubit + 1) % N_QUBITS)
    return circuit


def _affine(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Module:
    """Build an affine map that is drawn as those of an MLP."""
    return MLP(n_inputs, (n_outputs,), dtype=DTYPE, generator=generator).layers[0]
