"""Operator networks with classical and quantum parts, and the finite differences they learn from."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.nn import QKAN, QuantumLayer
from qml.pinn import MLP, DeepONet, OperatorData, operator_error, reaction_diffusion, train_operator

DOUBLE = torch.float64


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mlp(n_inputs: int, n_outputs: int, hidden: int = 16) -> nn.Module:
    return MLP(n_inputs, (hidden,), n_outputs, dtype=DOUBLE, generator=seeded())


def circuit(n_inputs: int, n_outputs: int) -> nn.Module:
    program = Circuit(2)
    for layer in range(2):
        program = program.ry(data(0), 0).ry(data(1), 1).rz(weight(2 * layer), 0).ry(weight(2 * layer + 1), 1).cx(0, 1)
    layer = QuantumLayer(program, [Z(0), Z(1)], dtype=DOUBLE, generator=seeded())
    affine = [
        MLP(sizes[0], (sizes[1],), dtype=DOUBLE, generator=seeded()).layers[0]
        for sizes in ((n_inputs, 2), (2, n_outputs))
    ]
    return nn.Sequential(affine[0], layer, affine[1])


PARTS: dict[str, Callable[[], DeepONet]] = {
    "mlps": lambda: DeepONet(mlp(8, 6), mlp(2, 6), dtype=DOUBLE),
    "circuit as the trunk": lambda: DeepONet(mlp(8, 4), circuit(2, 4), dtype=DOUBLE),
    "circuit as the branch": lambda: DeepONet(circuit(8, 4), mlp(2, 4), dtype=DOUBLE),
    "QKAN as the branch": lambda: DeepONet(
        QKAN([8, 4], reps=2, dtype=DOUBLE, generator=seeded()), mlp(2, 4), dtype=DOUBLE
    ),
}


@pytest.mark.parametrize("parts", PARTS)
def test_an_operator_is_learnt_by_any_parts(parts: str) -> None:
    pairs = reaction_diffusion(20, seed=1, n_sensors=8, n_places=5, n_cells=16)
    model = PARTS[parts]()
    first = operator_error(model, pairs)
    losses = train_operator(model, pairs, n_steps=60, learning_rate=2e-2)
    assert first > 0.5
    assert operator_error(model, pairs) < 0.7 * first
    assert losses[-1] < losses[0]


def test_a_polish_goes_on_where_adam_has_become_slow() -> None:
    pairs = reaction_diffusion(20, seed=1, n_sensors=8, n_places=5, n_cells=16)
    plain, polished = PARTS["circuit as the trunk"](), PARTS["circuit as the trunk"]()
    told: list[tuple[float, str]] = []
    by_adam = train_operator(plain, pairs, n_steps=260)
    losses = train_operator(
        polished, pairs, n_steps=60, n_polish=200, on_step=lambda share, text: told.append((share, text))
    )
    assert losses[:60] == pytest.approx(train_operator(PARTS["circuit as the trunk"](), pairs, n_steps=60))
    assert losses[-1] < 0.4 * by_adam[-1]
    assert all(after <= before for before, after in pairwise(losses[60:]))
    assert operator_error(polished, pairs) < 0.7 * operator_error(plain, pairs)
    assert len(told) == len(losses)
    assert told[59][0] == pytest.approx(60 / 260)
    with pytest.raises(ValueError, match=r"weights in float64 for `n_polish`. Call `model.double\(\)` first"):
        train_operator(PARTS["mlps"]().float(), pairs, n_steps=1, n_polish=1)


def test_coupled_fields_share_a_trunk() -> None:
    model = DeepONet(mlp(5, 6), mlp(2, 3), 2, dtype=DOUBLE)
    functions, places = torch.rand(4, 5, dtype=DOUBLE), torch.rand(7, 2, dtype=DOUBLE)
    found = model(functions, places)
    coefficients, basis = model.branch(functions), model.trunk(places)
    assert torch.allclose(found[..., 0], coefficients[:, :3] @ basis.T)
    assert torch.allclose(found[..., 1], coefficients[:, 3:] @ basis.T)
    with pytest.raises(ValueError, match="2 fields times 3 outputs"):
        DeepONet(mlp(5, 5), mlp(2, 3), 2, dtype=DOUBLE)(functions, places)


def test_finite_differences_converge_to_the_linear_solution() -> None:
    """Without reaction each wave obeys c' = f - D n^2 pi^2 c."""
    pairs = reaction_diffusion(3, seed=2, rate=0.0, n_places=5, n_cells=64)
    sizes = np.random.default_rng(2).standard_normal((3, 4)) / np.arange(1, 5)
    x, t = pairs.places.T
    decay = 0.01 * np.pi**2 * np.arange(1, 5) ** 2
    waves = np.sin(np.pi * np.outer(np.arange(1, 5), x)) * (1 - np.exp(-np.outer(decay, t))) / decay[:, None]
    assert np.abs(pairs.values[..., 0] - sizes @ waves).max() < 1e-3


def test_the_reaction_adds_what_its_square_says() -> None:
    """At first u = t f, so the reaction adds k f^2 t^3 / 3 where f is flat; here at the middle of sin(pi x)."""
    options = {"seed": 4, "n_places": 33, "n_cells": 64, "modes": (1,), "diffusivity": 1e-6}
    plain, reacting = (reaction_diffusion(2, rate=rate, **options) for rate in (0.0, 0.5))  # pyright: ignore[reportArgumentType]
    x, t = plain.places.T
    chosen = (np.abs(x - 0.5) < 1e-9) & (t > 0.1) & (t < 0.3)
    size = np.random.default_rng(4).standard_normal((2, 1))
    expected = 0.5 * size**2 * t[chosen] ** 3 / 3
    found = (reacting.values - plain.values)[:, chosen, 0]
    assert np.allclose(found, expected, rtol=0.15, atol=1e-6)  # the next term is 2 k f t / 5 of it


def test_pairs_that_do_not_fit_are_refused_before_they_are_broadcast() -> None:
    functions, places, values = np.ones((5, 8)), np.ones((5, 2)), np.ones((5, 5, 1))
    for wrong in (values[:, :, 0], values[:1], values[:, :4]):  # the first two were broadcast
        with pytest.raises(ValueError, match=r"must have shapes \(samples, sensors\)"):
            OperatorData(functions, places, wrong)
    with pytest.raises(ValueError, match="`values` must be finite"):
        OperatorData(functions, places, np.nan * values)
    model = PARTS["mlps"]()
    for use in (operator_error, lambda *pair: train_operator(*pair, n_steps=1)):
        with pytest.raises(ValueError, match="must have 1 fields, as the model, but has 2"):
            use(model, OperatorData(functions, places, np.ones((5, 5, 2))))
        with pytest.raises(ValueError, match="all are 0 everywhere"):
            use(model, OperatorData(functions, places, 0 * values))
    with pytest.raises(ValueError, match=r"keep u finite, but at t = 0\.0\d+ it is beyond 1e\+06"):
        reaction_diffusion(2, seed=0, n_cells=16, rate=1e6)
    with pytest.raises(ValueError, match=r"`modes\[0\]` must be at least 1"):
        reaction_diffusion(2, seed=0, modes=(0,))
    with pytest.raises(ValueError, match=r"one dtype, but give torch\.float64 and torch\.float32"):
        DeepONet(mlp(8, 3), nn.Linear(2, 3))(torch.ones(1, 8, dtype=DOUBLE), torch.ones(1, 2))
