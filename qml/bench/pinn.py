"""`qml bench pinn`: an iteration of Adam on a physics-informed loss, beside DeepXDE with its PyTorch backend."""

from dataclasses import replace

import torch
from torch import Generator, Tensor, nn
from torch.func import functional_call, jacrev, jvp, vmap

from circuits import Z, data, weight
from qml.bench.bench import Bench, Case, Peer, Step
from qml.bench.peers import deepxde, pennylane
from qml.bench.pinn_work import LEARNING_RATE, SEED, Build, make_work
from qml.bench.work import BenchGate, as_circuit
from qml.nn import QKAN, QuantumLayer
from qml.pinn import MLP, EdgeJets, Observations, Pinn, find_problem
from qml.pinn.training.jacobian import Residuals
from qml.pinn.training.loss import LossParts, weighed_total

N_RESIDUAL, N_ROWS = 1024, 256  # points of the residual and of the Jacobian
N_QUBITS, N_REPEATS = 4, 8


def ours(case: str) -> Step:
    """Build a step: jets, values of conditions in the same pass, fused Adam; quantum trunks: residual or Jacobian."""
    if case in TRUNKS:
        return residual(TRUNKS[case])
    if case in JACOBIANS:
        return jacobian(JACOBIANS[case])
    work, problem = make_work(case), find_problem(case)
    seen = Observations("conditions", "u", work.edges.astype(float), work.values.astype(float))
    trunk = MLP(2, work.hidden_sizes)
    weights = list(trunk.parameters())
    for mine, given in zip(weights, work.state, strict=True):
        mine.data.copy_(given)
    posed = replace(problem, conditions=(*problem.conditions, seen))
    loss = LossParts(Pinn(posed, trunk), work.points, n_condition_points=1, seed=SEED, only=("conditions",))
    optimizer = torch.optim.Adam(weights, LEARNING_RATE, fused=True)

    def step() -> dict[str, Tensor]:
        for part in weights:
            part.grad = None
        total = weighed_total(loss.parts(), {})
        total.backward()
        gradients = {f"gradient {n}": part.grad for n, part in enumerate(weights) if part.grad is not None}
        optimizer.step()
        return {"loss": total.detach(), **gradients}

    return step


def theirs(case: str) -> Step:
    """Build DeepXDE's own training step."""
    return deepxde.training_step(make_work(case), LEARNING_RATE)


def residual(trunk: Build, derivatives: str = "auto") -> Step:
    """Build a step: the mean squared residual of Burgers' equation at 1024 points in float64, and its gradient."""
    model = Pinn(find_problem("burgers"), trunk(torch.Generator().manual_seed(SEED)), derivatives=derivatives)
    points = model.problem.domain.sample(N_RESIDUAL, SEED)
    loss = LossParts(model, points, n_condition_points=1, seed=SEED, only=())
    weights = list(model.parameters())

    def step() -> dict[str, Tensor]:
        total = loss.parts()["burgers"]
        gradients = torch.autograd.grad(total, weights)
        return {"loss": total.detach(), **{f"gradient {n}": part for n, part in enumerate(gradients)}}

    return step


def jacobian(trunk: Build) -> Step:
    """Build a step: the residuals of Burgers' equation at 256 points in float64, and the derivatives of each."""
    model = Pinn(find_problem("burgers"), trunk(torch.Generator().manual_seed(SEED)))
    points = model.problem.domain.sample(N_ROWS, SEED)
    rows = Residuals(LossParts(model, points, n_condition_points=1, seed=SEED, only=()), {})

    def step() -> dict[str, Tensor]:
        ((_, values, derivatives),) = rows.apart()
        return {"residuals": values, "jacobian": derivatives}

    return step


def by_rows(case: str) -> Step:
    """Build the Jacobian's step by torch.func: reverse mode over nested forward mode, row by row."""
    problem = find_problem("burgers")
    trunk = PLAIN[case](torch.Generator().manual_seed(SEED))
    weights = {name: part.detach() for name, part in trunk.named_parameters()}
    points = torch.as_tensor(problem.domain.sample(N_ROWS, SEED))
    along_x, along_t = torch.eye(2, dtype=torch.float64)
    viscosity = -problem.operators["diffusion"]["u_xx"]

    def at_row(weights: dict[str, Tensor], point: Tensor) -> tuple[Tensor, Tensor]:
        def u(at: Tensor) -> Tensor:
            return functional_call(trunk, weights, (at[None],))[0, 0]

        def u_x(at: Tensor) -> Tensor:
            return jvp(u, (at,), (along_x,))[1]

        in_space, in_time = jvp(u_x, (point,), (along_x,)), jvp(u, (point,), (along_t,))
        value = in_time[1] + in_time[0] * in_space[0] - viscosity * in_space[1]
        return value, value

    def step() -> dict[str, Tensor]:
        derivatives, values = vmap(jacrev(at_row, has_aux=True), (None, 0))(weights, points)
        return {"residuals": values, "jacobian": torch.cat([derivatives[name].flatten(1) for name in weights], 1)}

    return step


def nested(case: str) -> Step:
    """Build the residual's step of the same network by nested reverse passes."""
    return residual(PLAIN[case], "nested")


def by_pennylane(case: str) -> Step:
    """Build the residual's step of the circuit on default.qubit with backpropagation, by nested reverse passes."""

    def trunk(generator: Generator) -> nn.Module:
        network = circuit(generator)
        network[1] = pennylane.Expectations(N_QUBITS, gates(), network[1].weights)  # pyright: ignore[reportArgumentType]
        return network

    return residual(trunk, "nested")


def plain_qkan(generator: Generator) -> nn.Module:
    """Build a QKAN of 255 parameters."""
    return QKAN([2, 5, 1], dtype=torch.float64, generator=generator)


def qkan(generator: Generator) -> nn.Module:
    """Build the layers of that QKAN with jets."""
    return nn.Sequential(*map(EdgeJets, QKAN([2, 5, 1], dtype=torch.float64, generator=generator).layers))


def gates() -> list[BenchGate]:
    """Return RY of an angle, RZ and RY of weights on every qubit, and a ring of CX, over and over."""
    listed = []
    for repeat in range(N_REPEATS):
        for qubit in range(N_QUBITS):
            first = 2 * (repeat * N_QUBITS + qubit)
            slots = ("ry", data(qubit)), ("rz", weight(first)), ("ry", weight(first + 1))
            listed += [BenchGate(name, (qubit,), slot) for name, slot in slots]
        listed += [BenchGate("cx", (qubit, (qubit + 1) % N_QUBITS)) for qubit in range(N_QUBITS)]
    return listed


def circuit(generator: Generator) -> nn.Sequential:
    """Build an affine map to angles, the circuit, and an affine map of <Z> on every qubit: 81 parameters."""
    observables = [Z(qubit) for qubit in range(N_QUBITS)]
    layer = QuantumLayer(as_circuit(N_QUBITS, gates()), observables, dtype=torch.float64, generator=generator)
    first, last = (MLP(n, (m,), dtype=torch.float64, generator=generator).layers[0] for n, m in ((2, 4), (4, 1)))
    return nn.Sequential(first, layer, last)


def mlp_of_its_size(case: str) -> Step:
    """Build the residual's step of two hidden layers of tanh, 14 and 13 units: 251 parameters."""
    return residual(lambda generator: MLP(2, (14, 13), dtype=torch.float64, generator=generator))


TRUNKS: dict[str, Build] = {"qkan": qkan, "circuit": circuit}
JACOBIANS: dict[str, Build] = {"jacobian": qkan, "circuit-jacobian": circuit}
PLAIN: dict[str, Build] = {
    "qkan": plain_qkan,
    "jacobian": plain_qkan,
    "circuit": circuit,
    "circuit-jacobian": circuit,
}
DEEPXDE = ("deepxde",)
BENCH = Bench(
    title="Adam's iteration on a physics-informed loss, MLP with tanh, float32: the equation at collocation points and "
    "the values on faces; burgers is 20-20-20 at 2540 + 240 points, helmholtz is 50-50-50 at 1024 + 400; qkan is "
    "Burgers' residual alone at 1024 points in float64, by a QKAN and by an MLP of its size, circuit that of 4 qubits "
    "with 8 uploads; the Jacobians are of 256 residuals",
    ours=ours,
    peers={
        "deepxde": Peer(theirs, ("deepxde",), "deepxde"),
        "nested": Peer(nested, (), "qml-circuits"),
        "pennylane": Peer(by_pennylane, ("pennylane",), "pennylane"),
        "mlp": Peer(mlp_of_its_size, (), "qml-circuits", same_work=False),
        "torch.func": Peer(by_rows, (), "torch"),
    },
    cases={
        "burgers": Case(DEEPXDE),
        "helmholtz": Case(DEEPXDE),
        "qkan": Case(("nested", "mlp")),
        "circuit": Case(("nested", "pennylane")),
        "jacobian": Case(("torch.func",)),
        "circuit-jacobian": Case(("torch.func",)),
    },
)
