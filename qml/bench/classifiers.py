"""`qml bench classifiers`: a training step of the classifiers of arXiv:2403.07059, as its authors ran them and as ours.

A step is the loss of a batch of 32 and its gradient in all parameters, in float64. The study ran PennyLane under jax,
jitted and vectorised over the batch; compiling is in the first call, which the table shows apart.
"""

from collections.abc import Callable

import torch
from torch import nn

from qml.bench.bench import Bench, Case, Limits, Peer, Step
from qml.bench.peers import classifiers
from qml.nn import CircuitCentricClassifier, DataReuploadingClassifier, DressedQuantumCircuit, IQPClassifier

BATCH = 32
SEED = 0
COMPILE_SECONDS = 1200.0  # jax needs minutes for ten layers, more where others use the core
MAKERS: dict[str, Callable[..., nn.Module]] = {
    "re-uploading": lambda n, **options: DataReuploadingClassifier(n, 10, **options),
    "dressed": lambda n, **options: DressedQuantumCircuit(n, n_layers=10, **options),
    "iqp": lambda n, **options: IQPClassifier(n, 10, **options),
    "circuit-centric": lambda n, **options: CircuitCentricClassifier(n, 10, **options),
}


def make_work(case: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """Build layer, inputs and labels of a case such as `"dressed,10"`: a classifier and its number of features."""
    name, _, size = case.partition(",")
    generator = torch.Generator().manual_seed(SEED)
    layer = MAKERS[name](int(size), dtype=torch.float64, generator=generator)
    inputs = 3.0 * torch.rand(BATCH, int(size), dtype=torch.float64, generator=generator) - 1.5
    return layer, inputs, torch.where(torch.arange(BATCH) % 3 == 0, 1.0, -1.0).double()


def ours(case: str) -> Step:
    """Build a step of our layer."""
    layer, inputs, labels = make_work(case)

    def step() -> dict[str, torch.Tensor]:
        layer.zero_grad()
        loss = layer.loss(inputs, labels)  # pyright: ignore[reportCallIssue]
        loss.backward()
        gradients = [p.grad.reshape(-1) for p in layer.parameters() if p.grad is not None]
        return {"loss": loss.detach(), "gradient": torch.cat(gradients)}

    return step


PEERS = {
    "jax.jit": Peer(
        lambda case: classifiers.jax_step(*make_work(case)), ("jax", "pennylane"), "jax pennylane", torch_facing=False
    )
}
BENCH = Bench(
    title="a training step of classifiers of arXiv:2403.07059 with 10 layers: loss and gradient of a batch of 32, "
    "float64; case is classifier,features",
    ours=ours,
    peers=PEERS,
    limits=Limits(seconds=COMPILE_SECONDS),
    on_one_core=True,
    cases={f"{name},{size}": Case(tuple(PEERS)) for size in (4, 10) for name in MAKERS},
)
