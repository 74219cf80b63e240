"""DeepXDE with its PyTorch backend: a training step on the problems of `qml bench pinn`."""

import contextlib
import io
import math
import os
from collections.abc import Callable
from typing import Any

from torch import Tensor

from qml.bench.bench import Step
from qml.bench.pinn_work import PinnWork

VISCOSITY = 0.01 / math.pi
PI = math.pi


def training_step(work: PinnWork, learning_rate: float) -> Step:
    """Build the step that `deepxde.Model.train` runs for an iteration, without its tests, callbacks and printing.

    Args:
        work: The work of the case.
        learning_rate: Adam's step.
    """
    os.environ.setdefault("DDE_BACKEND", "pytorch")  # this process runs nothing else; DeepXDE reads it at import
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        import deepxde

        dde: Any = deepxde  # its modules depend on the backend
        geometry, equation = _posed(dde, work.case)
        seen = dde.icbc.PointSetBC(work.edges, work.values[:, None], component=0)
        data = dde.data.PDE(geometry, equation, [seen], num_domain=0, num_boundary=0, anchors=work.points)
        net = dde.nn.FNN([2, *work.hidden_sizes, 1], "tanh", "Glorot normal")
        model = dde.Model(data, net)
        model.compile("adam", lr=learning_rate)
    weights = list(net.parameters())
    for mine, given in zip(weights, work.state, strict=True):
        mine.data.copy_(given)
    inputs, targets, auxiliary = data.train_next_batch()
    kept: dict[str, Tensor] = {}
    optimise = model.opt.step

    def optimise_and_keep(closure: Callable[[], Tensor]) -> None:
        kept["loss"] = optimise(closure).detach()

    model.opt.step = optimise_and_keep

    def step() -> dict[str, Tensor]:
        model.train_step(inputs, targets, auxiliary)
        return kept | {f"gradient {n}": part.grad for n, part in enumerate(weights)}

    return step


def _posed(dde: Any, case: str) -> tuple[Any, Any]:
    """Pose the domain and the residual as DeepXDE's own examples write them."""
    import torch

    if case == "burgers":

        def burgers(x: Tensor, y: Tensor) -> Tensor:
            dy_x = dde.grad.jacobian(y, x, i=0, j=0)
            dy_t = dde.grad.jacobian(y, x, i=0, j=1)
            dy_xx = dde.grad.hessian(y, x, i=0, j=0)
            return dy_t + y * dy_x - VISCOSITY * dy_xx

        return dde.geometry.Rectangle([-1, 0], [1, 1]), burgers

    def helmholtz(x: Tensor, y: Tensor) -> Tensor:
        dy_xx = dde.grad.hessian(y, x, i=0, j=0)
        dy_yy = dde.grad.hessian(y, x, i=1, j=1)
        source = (17 * PI**2 - 1) * torch.sin(PI * x[:, 0:1]) * torch.sin(4 * PI * x[:, 1:2])
        return dy_xx + dy_yy + y + source

    return dde.geometry.Rectangle([-1, -1], [1, 1]), helmholtz
