# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
#

# %% [markdown]
# # Recurrent quantum neurons
#
# [Bausch](https://arxiv.org/abs/2006.14619) builds a recurrent network from quantum neurons: rotations of one qubit by
# an angle that depends on all others. A register of workspace qubits is the memory; a word of bits is written
# onto in/out qubits, the neurons turn the memory, and the next word is measured. All amplitudes stay real.

# %%
import math

import matplotlib.pyplot as plt
import torch
from pytorch_optimizer import SOAP
from torch import nn

from circuits.neuron import neuron_circuit
from qml.nn import QRNN, word_loss

# %% [markdown]
# ## The neuron
#
# A neuron of order $o$ turns its target by amplitudes $\cos(\eta/2)^{2^o}$ and $\sin(\eta/2)^{2^o}$, renormalised. A
# plain rotation is linear in the state; the higher the order, the closer the neuron comes to a step, which is what
# makes it an activation.

# %%
eta = torch.linspace(0, math.pi, 200)
for order in (0, 1, 2):
    cosine, sine = torch.cos(eta / 2) ** 2**order, torch.sin(eta / 2) ** 2**order
    plt.plot(eta, sine**2 / (cosine**2 + sine**2), label=f"order {order}" if order else "plain rotation")
plt.xlabel("angle $\\eta$")
plt.ylabel("probability that the target flips")
plt.legend()
plt.show()

# %% [markdown]
# As a circuit a neuron needs an ancilla an order, which is post-selected on 0. Here it is with two source qubits,
# order 1 and degree 2: an angle for each source and one for the pair.

# %%
circuit = neuron_circuit(2, order=1, degree=2)
print(f"{circuit.n_weights} weights: bias, two sources, one pair")
assert circuit.n_weights == 4
circuit.draw("mpl")

# %% [markdown]
# ## Memorising two sequences
#
# The paper's first task: reproduce 0123 0123 ... and 444 ... from their beginning. In training every measurement is
# post-selected on the right word, as teacher forcing does. The loss is the cross-entropy of the probabilities
# themselves, taken as logits, less its lowest value. A neuron's weights belong to overlapping subsets of its sources,
# so that their gradients go together; [SOAP](https://arxiv.org/abs/2409.11321), Adam in the eigenvectors of the
# gradients' second moments, sees that. We start from three different initial weights.

# %%
words = torch.stack([torch.arange(20) % 4, torch.full((20,), 4)])


def train(seed: int, n_steps: int = 120) -> tuple[QRNN, list[float], list[float]]:
    """A network on 5 workspace and 3 in/out qubits; its losses and the norms of its gradients."""
    layer = QRNN(3, 5, n_stages=2, degree=3, batch_first=True, generator=torch.Generator().manual_seed(seed))
    optimizer = SOAP(layer.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.0, precondition_frequency=5)
    losses, norms = [], []
    for _ in range(n_steps):
        optimizer.zero_grad()
        probabilities, _ = layer(words[:, :-1], targets=words[:, 1:])
        loss = word_loss(probabilities, words[:, 1:])
        loss.backward()
        norms.append(nn.utils.clip_grad_norm_(layer.parameters(), 0.5).item())
        optimizer.step()
        losses.append(loss.item())
    return layer, losses, norms


runs = [train(seed) for seed in range(3)]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
for seed, (_, losses, norms) in enumerate(runs):
    left.semilogy(losses, label=f"seed {seed}")
    right.semilogy(norms, label=f"seed {seed}")
left.set(xlabel="step", ylabel="loss less its lowest value")
right.set(xlabel="step", ylabel="norm of the gradient")
left.legend()
plt.show()

# %% [markdown]
# All of them get there. With AdamW of the same rate 400 steps are not enough for some, which settle on one sequence and
# lose the other. We go on with the best.

# %%
layer, losses, _ = min(runs, key=lambda run: run[1][-1])
lasts = [run[1][-1] for run in runs]
print(f"{sum(p.numel() for p in layer.parameters())} parameters, losses {', '.join(f'{last:.2g}' for last in lasts)}")
assert max(lasts) < 1e-2

# %% [markdown]
# ## Going on by itself
#
# Three words to begin with; then every measured word is the next input.

# %%
generated = layer.generate(words[:, :3], 9, greedy=True)
print(generated)
assert generated.tolist() == [[3, 0, 1, 2, 3, 0, 1, 2, 3], [4] * 9]

# %% [markdown]
# ## How often it would succeed
#
# On a device all ancillas of a step must read 0, or the step is repeated. The simulator knows the chance:

# %%
chance = layer.success_probability(words[:, :-1], targets=words[:, 1:])
print(f"success of a step, mean {chance.mean():.3g}, least {chance.min():.3g}")
assert 0 < chance.min() <= chance.max() <= 1 + 1e-6

# %% [markdown]
# ## Numbers instead of words
#
# `QRNNRegressor` turns an in/out qubit by an angle between that of the bit 0 and that of the bit 1, so that everything
# has derivatives in the inputs too, and reads its probabilities by an affine map. Here it foretells the next value of a
# damped pendulum from four values; the last third of the series is never trained on.

# %%
from qml.data import damped_pendulum, split_series
from qml.nn import QRNNRegressor

series = split_series(damped_pendulum(), length=4, train=0.67)
regressor = QRNNRegressor(
    1, 3, n_stages=2, low=-1.1, high=1.1, batch_first=True, generator=torch.Generator().manual_seed(0)
)
optimizer = torch.optim.LBFGS(regressor.parameters(), max_iter=60, line_search_fn="strong_wolfe")
inputs, targets = series.train_inputs.float(), series.train_targets.float()


def closure() -> torch.Tensor:
    """The mean squared error, with its gradients."""
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(regressor(inputs)[0][:, -1], targets)
    loss.backward()
    return loss


optimizer.step(closure)
with torch.no_grad():
    forecast = regressor(series.test_inputs.float())[0][:, -1]
error = nn.functional.mse_loss(forecast, series.test_targets.float()).item()
plt.plot(series.test_targets, label="series")
plt.plot(forecast, "--", label="a step ahead")
plt.xlabel("step of the test part")
plt.legend()
plt.show()
print(f"{sum(p.numel() for p in regressor.parameters())} parameters, test MSE {error:.2g}")
assert error < 0.02 * series.test_targets.var().item()
