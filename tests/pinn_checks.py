"""What tests of several PINN files ask of a network."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from qml.jets.orders import Orders
from qml.pinn import Pinn, Training, train
from tests.helpers import assert_close

# Derivatives of a few layers of a few units in float64, of the order of 1 to 100.
ROUNDING = 1e-10


def pure(n_first: int, n_second: int) -> Orders:
    """First derivatives along some directions, and the second ones along the first of them."""
    return Orders(n_first, tuple(((index, 1.0),) for index in range(n_second)))


def assert_jets_are_nested_passes(make: Callable[[str], Pinn], points: Tensor, asked: Sequence[str]) -> None:
    """Values by jets and by nested reverse passes agree, and so do gradients of a weighted sum of their squares.

    Args:
        make: the model, on the same network, from how it takes derivatives.
        points: where.
        asked: names of fields and derivatives.
    """
    found = []
    for derivatives in ("jets", "nested"):
        model = make(derivatives)
        values = model.evaluate(points, asked)
        loss = torch.stack([value.square().sum() * (1 + index) for index, value in enumerate(values.values())]).sum()
        found.append((values, torch.autograd.grad(loss, list(model.trunk.parameters()))))
    (jets, of_jets), (nested, of_nested) = found
    for name in asked:
        assert_close(jets[name], nested[name], ROUNDING * (1 + float(nested[name].detach().abs().max())))
    for one, other in zip(of_jets, of_nested, strict=True):
        assert_close(one, other, ROUNDING * (1 + float(other.abs().max())))


def assert_a_stop_changes_nothing(make: Callable[[int], Pinn], training: Training, whole: Pinn, folder: Path) -> None:
    """A run that stops after 70 % and goes on from its checkpoint ends as `whole`, which did not stop.

    Args:
        make: the model from the seed of its weights; `whole` was made with seed 0 and trained with seed 1.
        training: of both.
        whole: the trained model.
        folder: for the checkpoint.
    """

    class Stop(Exception):
        pass

    def stop(share: float, text: str) -> None:
        if share > 0.7:
            raise Stop

    path = folder / "run.safetensors"
    with pytest.raises(Stop):
        train(make(0), training, seed=1, checkpoint=path, on_step=stop)
    resumed = make(9)  # its weights are replaced
    train(resumed, training, seed=1, checkpoint=path)
    for mine, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)
