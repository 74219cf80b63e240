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
# # Quantum Kolmogorov-Arnold networks: fit, plot, prune, extend, formula
#
# A [Kolmogorov-Arnold network](https://arxiv.org/abs/2404.19756) has a trained function of one variable on every edge
# and only sums at its nodes. A [QKAN](https://arxiv.org/abs/2509.14026) takes for these functions the smallest
# quantum circuit there is: one qubit that is turned by the input again and again, with trained turns in between. Few
# edges and curves that can be looked at make it possible to read what such a network has learned, down to a formula.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import sympy
import torch
from torch import Tensor

from circuits.daruan import daruan_circuit
from qml.analysis import activations
from qml.baselines import KAN
from qml.nn import DARUAN, QKAN

torch.set_num_threads(1)  # matrices this small gain nothing from a second one

# %% [markdown]
# ## One activation
#
# This is a data re-uploading activation, DARUAN, with two uploads of its input. Between them stand trained turns;
# what is read is $\langle Z \rangle$, how much the qubit points up.

# %%
daruan_circuit("pz", 2).draw("mpl")

# %% [markdown]
# A turn by an angle $x$ multiplies the two components of the state by $e^{\mp ix/2}$. After $r$ uploads the state
# holds products of $r$ such factors, and $\langle Z \rangle$, in which every component meets the conjugate of
# another, is a trigonometric polynomial $\varphi(x) = \sum_m a_m \cos(f_m x + p_m)$. With plain uploads the
# frequencies are $0 \ldots r$. If the upload is $w_l x + b_l$ with trained $w_l$, they are all sums $\sum_l s_l w_l$
# with $s_l \in \{-1, 0, 1\}$: up to $3^r$ exponentials from $r$ gates. `spectrum()` gives them, exactly.

# %%
plain = DARUAN(1, reps=3, train_preactivation=False, generator=torch.Generator().manual_seed(1))
trained = DARUAN(1, reps=3, generator=torch.Generator().manual_seed(1))
with torch.no_grad():
    trained.input_weight.copy_(torch.tensor([[1.0, 2.3, 4.1]]))
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.2))
points = torch.linspace(-math.pi, math.pi, 300)[:, None]
for module, label in ((plain, "w = 1, 1, 1"), (trained, "w = 1, 2.3, 4.1")):
    spectrum = module.spectrum()
    left.plot(points, module(points).detach(), label=label)
    right.plot(spectrum.frequencies[0], spectrum.amplitudes[0], "o", label=label)
    assert np.abs(spectrum.evaluate(points[:, 0].numpy()) - module(points).detach().numpy()).max() < 1e-5
left.set(xlabel="$x$", ylabel="$\\varphi(x)$")
right.set(xlabel="frequency", ylabel="amplitude")
right.legend()
plt.show()
assert plain.spectrum().frequencies.shape[1] == 4
assert trained.spectrum().frequencies.shape[1] == 14

# %% [markdown]
# ## Fit, with a price on every edge
#
# The function to be found is the papers' example, $e^{\sin(\pi x) + y^2}$. Nothing tells the network that one hidden
# node would do; we give it four. The penalty is that of KANs: the sum of the edges' sizes, and the entropy of their
# shares, which is small if few edges do all the work.


# %%
def target(inputs: Tensor) -> Tensor:
    """exp(sin(pi x) + y**2)."""
    return torch.exp(torch.sin(math.pi * inputs[:, :1]) + inputs[:, 1:] ** 2)


generator = torch.Generator().manual_seed(1)
train, test = (2 * torch.rand(600, 2, dtype=torch.float64, generator=generator) - 1).split(300)


def fit(model: QKAN | KAN, n_steps: int, penalty: float = 0.0) -> float:
    """Steps of L-BFGS, 20 iterations each; the mean squared error on the test points."""
    optimizer = torch.optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (model(train) - target(train)).square().mean()
        if penalty:
            loss = loss + penalty * model.regularisation(train, entropy=2.0)
        loss.backward()
        return loss

    for _ in range(n_steps):
        optimizer.step(closure)
    with torch.no_grad():
        return (model(test) - target(test)).square().mean().item()


network = QKAN([2, 4, 1], reps=3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
errors = {"with the penalty": fit(network, 6, penalty=0.01)}
activations(network, train).plot(inputs=["x", "y"], outputs=["f"])

# %% [markdown]
# ## Prune
#
# An edge is as dark as it is important: its part of the output varies over the data by that standard deviation. One
# node carries everything. What is fainter than 0.1 goes.

# %%
left_over = network.prune(train, edge=0.1, node=0.1)
errors["pruned and refitted"] = fit(network, 6)
print(f"{left_over} edges are left; test error {errors['pruned and refitted']:.2g}")
assert left_over == 3
assert errors["pruned and refitted"] < errors["with the penalty"] / 3
found = activations(network, train)
found.plot(inputs=["x", "y"], outputs=["f"])

# %% [markdown]
# The three curves are the parts of the function, each up to a shift and a factor that the next layer undoes: a sine,
# a parabola, an exponential.

# %%
first, second = found.layers
node = int(first.kept[:, 0].argmax())
parts = {
    "sin(pi x)": (np.sin(math.pi * first.points[:, 0]), first.curves[:, node, 0]),
    "y**2": (first.points[:, 1] ** 2, first.curves[:, node, 1]),
}
for name, (known, learned) in parts.items():
    correlation = abs(np.corrcoef(known, learned)[0, 1])
    print(f"{name}: correlation {correlation:.5f}")
    assert correlation > 0.999

# %% [markdown]
# ## A formula
#
# Every curve is a finite sum, so the network is a formula. This is what reaches the hidden node, without the terms
# that are smaller than 0.2: the training found the sine with its frequency near $\pi$ and its phase near $-\pi/2$ on
# its own, beside waves in $y$ that add up to a parabola. `formula` writes the whole network so, a line
# for each node; `to_sympy` without a tolerance is the network to rounding.

# %%
x, y = sympy.symbols("x y", real=True)
hidden = network.layers[0].to_sympy([x, y], tolerance=0.2)[node]
print(hidden.evalf(3))
print(network.formula(["x", "y"], tolerance=0.1))
(exact,) = network.to_sympy([x, y])
values = sympy.lambdify((x, y), exact, "numpy")(*test.numpy().T)
difference = np.abs(values - network(test).detach().numpy()[:, 0]).max()
print(f"the whole formula differs from the network by {difference:.1g}")
assert difference < 1e-6

# %% [markdown]
# ## Extend
#
# More uploads make finer functions. Added ones start as turns about the axis that is read, which change nothing: the
# extended network is the same function, and training goes on from there.

# %%
before = network(test).detach()
for reps in (6, 10):
    network = network.extended(reps)
    if reps == 6:
        assert (network(test) - before).abs().max() < 1e-12
    errors[f"{reps} uploads"] = fit(network, 8)
plt.figure(figsize=(6, 3.2))
plt.semilogy(list(errors), list(errors.values()), "o-")
plt.ylabel("mean squared error, test points")
plt.show()
print(f"test error {errors['10 uploads']:.2g}")
assert errors["10 uploads"] < 2e-5

# %% [markdown]
# ## To splines and back
#
# The classical twin has B-splines on its edges. A function moves between the two without training. Towards splines
# every edge is a least-squares fit, whose error falls as the fourth power of the interval. Back again it is one too,
# of a trigonometric polynomial; and the angles of a circuit with a given polynomial follow in closed form, because [a
# single qubit can be any polynomial](https://arxiv.org/abs/2205.07848) that stays below 1.

# %%
grids = [10, 20, 40, 80]
to_splines = [KAN.from_network(network, train, grid=grid) for grid in grids]
back = QKAN.from_network(to_splines[-1].network, train, reps=20)
plt.figure(figsize=(6, 3.2))
plt.loglog(grids, [transfer.error for transfer in to_splines], "o-", label="QKAN to KAN")
plt.axhline(back.error, color="k", ls=":", label="and back, 20 uploads")
plt.xlabel("intervals of a spline")
plt.ylabel("largest error at the data")
plt.legend()
plt.show()
print(f"80 intervals: {to_splines[-1].error:.1g}; and back: {back.error:.1g}")
assert to_splines[-1].error < to_splines[0].error / 100
assert back.error < 1e-3

# %% [markdown]
# `qml compare functions` puts such fits beside splines and tanh networks of equal size, over several seeds. Which
# curve is the better one depends on the function: this one, with a sine inside, suits the qubit.
