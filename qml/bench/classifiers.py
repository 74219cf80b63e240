"""`qml bench classifiers`: a training step of the classifiers of arXiv:2403.07059, as its authors ran them and as ours.

A step is the loss of a batch of 32 and its gradient in all parameters, in float64. The study ran PennyLane under jax,
jitted and vectorised over the batch; compiling is in the first call, which the table shows apart.

A case such as `"re-uploading,10 x 5 folds"` is a step of each of the five fits of a setting in a grid search. Ours
trains them in one stack (`qml.estimators.together`); the study's, of scikit-learn, one after another, so that the peer
takes the same jitted step five times, with parameters and samples of each fold.
"""

from collections.abc import Callable

import torch
from torch import nn

from qml.bench.bench import Array, Bench, Case, Limits, Peer, Step
from qml.bench.peers import classifiers
from qml.estimators.together import Problem, Stack
from qml.nn import CircuitCentricClassifier, DataReuploadingClassifier, DressedQuantumCircuit, IQPClassifier

BATCH = 32
SEED = 0
FOLDS = " x 5 folds"
COMPILE_SECONDS = 1200.0  # jax needs minutes for ten layers, more where others use the core
MAKERS: dict[str, Callable[..., nn.Module]] = {
    "re-uploading": lambda n, **options: DataReuploadingClassifier(n, 10, **options),
    "dressed": lambda n, **options: DressedQuantumCircuit(n, n_layers=10, **options),
    "iqp": lambda n, **options: IQPClassifier(n, 10, **options),
    "circuit-centric": lambda n, **options: CircuitCentricClassifier(n, 10, **options),
}


Work = tuple[nn.Module, torch.Tensor, torch.Tensor]
"""Layer, inputs and labels."""


def make_work(case: str) -> list[Work]:
    """Build layer, inputs and labels of each fold of a case: a classifier and its number of features."""
    one, _, folds = case.partition(" x ")
    name, _, size = one.partition(",")
    return [_make_fold(name, int(size), SEED + fold) for fold in range(int(folds.split()[0]) if folds else 1)]


def _make_fold(name: str, size: int, seed: int) -> Work:
    generator = torch.Generator().manual_seed(seed)
    layer = MAKERS[name](size, dtype=torch.float64, generator=generator)
    inputs = 3.0 * torch.rand(BATCH, size, dtype=torch.float64, generator=generator) - 1.5
    return layer, inputs, torch.where(torch.arange(BATCH) % 3 == 0, 1.0, -1.0).double()


def ours(case: str) -> Step:
    """Build a step of our layer, or one of all folds."""
    work = make_work(case)
    return _stacked_step(work) if len(work) > 1 else _step(*work[0])


def _step(layer: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> Step:
    parameters = list(layer.parameters())

    def step() -> dict[str, torch.Tensor]:
        for parameter in parameters:
            parameter.grad = None
        loss = layer.loss(inputs, labels)  # pyright: ignore[reportCallIssue]
        loss.backward()
        gradients = [p.grad.reshape(-1) for p in parameters if p.grad is not None]
        return {"loss": loss.detach()[None], "gradient": torch.cat(gradients)[None]}

    return step


def _stacked_step(work: list[Work]) -> Step:
    """Build a step of all folds as a search takes it, up to the gradients."""
    problems = [Problem(*one, _own_loss, torch.Generator()) for one in work]
    stack = Stack(problems, [0.01] * len(problems))
    chosen = [torch.arange(BATCH) for _ in work]

    def step() -> dict[str, Array]:
        losses = stack.differentiate(chosen)
        return {"loss": losses, "gradient": stack.gradients}

    return step


def _own_loss(layer: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return layer.loss(inputs, labels)  # pyright: ignore[reportCallIssue]


PEERS = {
    "jax.jit": Peer(
        lambda case: classifiers.jax_step(make_work(case)), ("jax", "pennylane"), "jax pennylane", torch_facing=False
    )
}
BENCH = Bench(
    title="a training step of classifiers of arXiv:2403.07059 with 10 layers: loss and gradient of a batch of 32, "
    "float64; case is classifier,features, of the five folds of a search where it says so",
    ours=ours,
    peers=PEERS,
    limits=Limits(seconds=COMPILE_SECONDS),
    on_one_core=True,
    cases={f"{name},{size}{folds}": Case(tuple(PEERS)) for folds in ("", FOLDS) for size in (4, 10) for name in MAKERS},
)
