# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Forecasting with a QKAN-LSTM
#
# An LSTM decides by four gates what to forget, what to take in and what to show. Each gate is an affine map of the
# last output $h$ and the new input $x$, pressed through a sigmoid or a tanh. The
# [QKAN-LSTM](https://arxiv.org/abs/2512.05049) puts a sum of one-qubit circuits in the place of the affine map: on
# every edge from $h$ or $x$ to a gate sits a
# [data re-uploading activation](https://arxiv.org/abs/2509.14026), which turns a qubit by its input and by trained
# angles and reads $\langle Z\rangle$. The rest of the cell stays:
#
# $$f, i, o = \sigma(\Phi(h, x)),\quad g = \tanh\Phi(h, x),\quad c' = f c + i g,\quad h' = o \tanh c'.$$
#
# `QKANLSTM` has the arguments, shapes and results of `nn.LSTM`.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch import nn

from qml.data import damped_pendulum, split_series
from qml.nn import QKANLSTM

# %% [markdown]
# ## A damped pendulum
#
# The first series of the paper: the speed of a pendulum that starts at the bottom,
# $\ddot\theta = -0.15\,\dot\theta - 9.81 \sin\theta$. It swings far at first, where $\sin\theta$ is not $\theta$, and
# ever less. From four values the fifth is foretold; models learn from the first two thirds. The series is scaled to
# $[-1, 1]$ by its training part alone: a scale that has seen the test part would leak.

# %%
series = damped_pendulum()
split = split_series(series, length=4, train=0.67)
inputs, targets = split.train_inputs.float(), split.train_targets.float()
test_inputs, test_targets = split.test_inputs.float(), split.test_targets.float()
plt.figure(figsize=(9, 2.5))
plt.plot(torch.linspace(0, 20, len(series)), series)
plt.axvline(20 * (len(targets) + 4) / len(series), color="grey", ls=":")
plt.xlabel("time (s)")
plt.ylabel("speed (rad/s)")
plt.show()
assert (len(targets), len(test_targets)) == (158, 78)
assert test_targets.abs().max() < 0.5  # it has lost more than half of its swing

# %% [markdown]
# ## Two models
#
# The QKAN-LSTM has two hidden units. Its circuits upload the input once, between two trained rotations; beside each
# sits a linear term, which the paper calls the base. The LSTM gets nine units, and with them almost six times as many
# parameters.


# %%
class Forecaster(nn.Module):
    """A recurrent layer, and an affine map of its last output."""

    def __init__(self, layer: nn.Module, hidden_size: int) -> None:
        super().__init__()
        self.layer, self.readout = layer, nn.Linear(hidden_size, 1)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.layer(windows)
        return self.readout(outputs[:, -1])


generator = torch.Generator().manual_seed(0)
options = {"reps": 1, "ansatz": "rpz", "base": "identity", "train_preactivation": False, "train_postactivation": False}
models = {
    "QKAN-LSTM": Forecaster(QKANLSTM(1, 2, batch_first=True, generator=generator, **options), 2),
    "LSTM": Forecaster(nn.LSTM(1, 9, batch_first=True), 9),
}
with torch.no_grad():
    for name, parameter in models["QKAN-LSTM"].named_parameters():
        if "base_weight" in name or "readout" in name:  # all edges start alike otherwise
            parameter.uniform_(-math.sqrt(0.5), math.sqrt(0.5), generator=generator)
    for parameter in models["LSTM"].parameters():
        parameter.uniform_(-1 / 3, 1 / 3, generator=generator)
sizes = {name: sum(p.numel() for p in model.parameters()) for name, model in models.items()}
print(sizes)
assert sizes == {"QKAN-LSTM": 75, "LSTM": 442}

# %% [markdown]
# Before training, these are the circuits on the edges from $x$ to the four gates of the first unit:

# %%
cell = models["QKAN-LSTM"].layer.cells[0]
points = torch.linspace(-math.pi, math.pi, 200)


def edges() -> torch.Tensor:
    """What each edge from x contributes, without and with its linear term, for units 0 of the gates i, f, g, o."""
    with torch.no_grad():
        return cell.input_layer.edge_outputs(points[:, None])[:, ::2, 0]


before = edges()
assert before.shape == (200, 4)

# %% [markdown]
# ## Training
#
# Both learn by Adam for the thirty epochs of the paper, eight windows a step.


# %%
def train(model: nn.Module, n_epochs: int = 30) -> list[float]:
    """The mean squared error of each epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
    errors = []
    for _ in range(n_epochs):
        total = 0.0
        for batch in torch.randperm(len(targets), generator=generator).split(8):
            loss = (model(inputs[batch]) - targets[batch]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch) / len(targets)
        schedule.step()
        errors.append(total)
    return errors


curves = {name: train(model) for name, model in models.items()}
with torch.no_grad():
    forecasts = {name: model(test_inputs) for name, model in models.items()}
errors = {name: (forecast - test_targets).square().mean().item() for name, forecast in forecasts.items()}
errors["last value"] = (test_inputs[:, -1] - test_targets).square().mean().item()
for name, error in errors.items():
    print(f"{name:10s} test error {error:.2e}")
assert errors["QKAN-LSTM"] < 1.02e-3  # what the paper reaches
assert errors["QKAN-LSTM"] < errors["last value"] / 3

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.5), width_ratios=(1, 2))
for name, curve in curves.items():
    left.semilogy(curve, label=name)
left.set(xlabel="epoch", ylabel="mean squared error in training")
left.legend()
right.plot(test_targets[:, 0], color="black", lw=3, alpha=0.4, label="truth")
for name, forecast in forecasts.items():
    right.plot(forecast[:, 0], label=name)
right.set(xlabel="step of the test part", ylabel="scaled speed")
right.legend()
plt.show()

# %% [markdown]
# ## What a gate has learnt
#
# Dashed before, solid after training. Since every circuit is a finite trigonometric polynomial, the layer can write
# down what it has learnt: here what $x$ contributes to the first unit's gate $g$, exactly.

# %%
after = edges()
for place, gate in enumerate("ifgo"):
    (line,) = plt.plot(points, after[:, place], label=f"gate {gate}")
    plt.plot(points, before[:, place], "--", color=line.get_color(), lw=1)
plt.xlabel("x")
plt.ylabel("contribution to the gate")
plt.legend()
plt.show()
formula = cell.input_layer.to_sympy()[4]
print(formula.evalf(3))
value = float(formula.subs(dict.fromkeys(formula.free_symbols, 0.3)))
assert abs(value - cell.input_layer(torch.tensor([0.3]))[4].item()) < 1e-5  # float32

# %% [markdown]
# ## What a forecast is worth
#
# A small error says little by itself. A pendulum that swings a little obeys an almost linear equation, and for a linear
# oscillator two past values determine the next one. Least squares on the same four values finds that:

# %%
with_constant = [torch.cat([part[..., 0], torch.ones(len(part), 1)], 1).double() for part in (inputs, test_inputs)]
weights = torch.linalg.lstsq(with_constant[0], targets.double()).solution
errors["least squares"] = (with_constant[1] @ weights - test_targets).square().mean().item()
print(f"least squares on {len(weights)} numbers: {errors['least squares']:.1e}; weights {weights[:, 0].tolist()}")
assert errors["least squares"] < 1e-6 < errors["QKAN-LSTM"]

# %% [markdown]
# So no network is needed here, quantum or not, and the LSTM is ahead of the QKAN-LSTM too; what the QKAN-LSTM shows is
# that it learns with few parameters what the paper says it learns. `qml compare series` runs this with several seeds,
# a learning rate chosen on a validation part, and GRU, QLSTM and HQKAN-LSTM beside it; `qml compare calls` asks the
# same of real telephone traffic, and `qml.data.milan_activity` reads the public files of Milan that the paper takes.
