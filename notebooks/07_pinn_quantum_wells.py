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
# # Physics-informed networks and quantum trunks for quantum wells
#
# A bound state of a particle on a line fulfils $-\psi'' + V\psi = E\psi$, with units in which $\hbar^2/2m = 1$. A
# physics-informed network is a function $\psi(x)$ with trained weights, and its loss is how badly it fulfils the
# equation; the energy $E$ is one more trained number ([arXiv:2504.05367](https://arxiv.org/abs/2504.05367)). Here an
# MLP and two quantum trunks of its size solve wells, beside references from transcendental equations.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.baselines import count_parameters
from qml.nn import QKANLayer, QuantumLayer
from qml.pinn import MLP, EdgeJets, Pinn, Problem, Solution, Training, find_problem, recipe_of, relative_l2, train

torch.set_num_threads(1)  # matrices this small gain nothing from a second one
DOUBLE = torch.float64

# %% [markdown]
# ## A well with infinite walls
#
# On $[0, 1]$ the ground state is $\sqrt 2 \sin \pi x$ with $E = \pi^2$. The factor $x (1 - x)$ in front of the
# network makes $\psi$ vanish at the walls exactly; a second part of the loss keeps $\int \psi^2 = 1$, by
# Gauss-Legendre quadrature.

# %%
problem = find_problem("infinite-well-energy")
for condition in problem.conditions:
    print(f"{condition.name:6} exact: {condition.exact}")
print("E starts from", problem.scalars["E"])


# %% [markdown]
# Three trunks of nearly one size. The circuit turns four qubits by the same affine function of $x$ three times, with
# trained turns and a ring of CX between; the QKAN is a sum of one-qubit circuits.


# %%
def circuit() -> Circuit:
    built = Circuit(4)
    for repeat in range(3):
        for qubit in range(4):
            first = 2 * (4 * repeat + qubit)
            built = built.ry(data(qubit), qubit).rz(weight(first), qubit).ry(weight(first + 1), qubit)
        for qubit in range(4):
            built = built.cx(qubit, (qubit + 1) % 4)
    return built


def affine(n_inputs: int, n_outputs: int, generator: torch.Generator) -> nn.Module:
    return MLP(n_inputs, (n_outputs,), dtype=DOUBLE, generator=generator).layers[0]


def trunks(seed: int) -> dict[str, nn.Module]:
    generator = torch.Generator().manual_seed(seed)
    layer = QuantumLayer(circuit(), [Z(qubit) for qubit in range(4)], dtype=DOUBLE, generator=generator)
    edges = QKANLayer(2, 1, dtype=DOUBLE, generator=generator)
    return {
        "QNN": nn.Sequential(affine(1, 4, generator), layer, affine(4, 1, generator)),
        "QKAN": nn.Sequential(affine(1, 2, generator), EdgeJets(edges)),
        "MLP": MLP(1, (12,), dtype=DOUBLE, generator=generator),
    }


# %% [markdown]
# Steps of Levenberg-Marquardt train them: they use the derivative of every single residual in every weight, and reach
# many digits where steps along the gradient reach few.


# %%
def solve(trunk: nn.Module, problem: Problem, n_steps: int = 40) -> Solution:
    training = Training(n_adam=0, n_marquardt=n_steps, n_points=24, collocation="quadrature")
    return train(Pinn(problem, trunk), training, seed=0)


solutions = {name: solve(trunk, problem) for name, trunk in trunks(0).items()}
grid = problem.domain.grid(201)
for name, solution in solutions.items():
    energy = abs(solution.scalars["E"] / math.pi**2 - 1)
    error = relative_l2(solution.model, grid)
    print(f"{name:5} {count_parameters(solution.model):3} parameters: psi {error:.1e}, E {energy:.1e}")
    assert error < 1e-4
    assert energy < 1e-5

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
reference = problem.reference(grid)[:, 0]
for name, solution in solutions.items():
    found = solution.model.predict(grid)[:, 0]
    found = found * np.sign(found @ reference)  # minus a solution is one too
    left.semilogy(grid[:, 0], np.abs(found - reference) + 1e-12, label=name)
    history = solution.history
    right.semilogy(history["step"], history["schroedinger"], label=name)
left.set(title="error of psi", xlabel="x")
right.set(title="loss of the equation", xlabel="step")
right.legend()
# %% [markdown]
# ## A finite well: three states at once
#
# Depth 20 on $[-1, 1]$, with walls far outside at $\pm 3$. There are three bound states, and one network has three
# outputs for them. They are kept apart by $\int \psi_i \psi_j = 0$. In the first steps the energies stay at a guess
# (those of an infinite well two penetration depths wider), so that each output finds the state whose energy is
# nearest; then they are trained. The references are roots of $k \tan k = \kappa \coth 2\kappa$ and $k \cot k =
# -\kappa \coth 2\kappa$.

# %%
problem = find_problem("finite-well-states")
recipe = recipe_of(problem)
model = Pinn(problem, recipe.trunk(problem, torch.Generator().manual_seed(0)))
solution = train(model, recipe.training, seed=0)
for name, reference in problem.reference_scalars.items():
    found, guess = solution.scalars[name], problem.scalars[name]
    print(f"{name}: guess {guess:8.4f}, found {found:10.6f}, reference {reference:10.6f}")
    assert abs(found / reference - 1) < 1e-3
assert relative_l2(model, problem.domain.grid(201)) < 5e-3

# %%
points = problem.domain.grid(301)
states = model.predict(points)
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.plot(points[:, 0], 20.0 * (np.abs(points[:, 0]) > 1), color="0.6", label="V")
for index, energy in enumerate(solution.scalars.values()):
    axes.plot(points[:, 0], energy + 3 * states[:, index], label=f"E = {energy:.4f}")
axes.set(xlabel="x", ylabel="energy; psi on its level")
axes.legend(loc="upper right")
# %% [markdown]
# ## Does the circuit help?
#
# On these smooth states all three trunks reach far more digits than anybody asks for, and the MLP does so in a
# fraction of the time: a second derivative of a circuit costs more than one of 12 tanh units. `qml compare pinn` asks
# the same question on every problem, over several seeds, with whoever wins in the table.

# %%
times = {name: found.seconds for name, found in solutions.items()}
for name, seconds in times.items():
    print(f"{name:5} {seconds / times['MLP']:6.1f} times the MLP's time")
assert times["QNN"] > times["MLP"]
