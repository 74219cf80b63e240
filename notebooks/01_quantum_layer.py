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
# # A quantum layer inside a torch model
#
# A quantum layer is a torch module like any other: features go in, expectation values come out, gradients flow through
# it. This notebook puts one between two linear layers, trains it on a curved problem, and looks at what it learned.
# It takes less than a minute.

# %%
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import make_moons
from torch import nn

from circuits import Circuit, Z, data, weight
from qml.nn import QuantumLayer

generator = torch.Generator().manual_seed(0)

# %% [markdown]
# ## The circuit
#
# A circuit knows only angles. `data(i)` is a place for the i-th feature, one value a sample; `weight(i)` is a place for
# a trained angle, one value for the whole batch. Here two features are uploaded twice, with trained rotations and a CX
# between: what can be expressed grows with every upload, because an expectation value is a Fourier series in the angles
# and each upload adds a frequency ([Schuld, Sweke and Meyer](https://arxiv.org/abs/2008.08605)).


# %%
def uploading_circuit(n_uploads: int) -> Circuit:
    """Two qubits; RX by the features, then RY RZ by weights, and a CX."""
    circuit, n = Circuit(2), 0
    for _ in range(n_uploads):
        for qubit in range(2):
            circuit.rx(data(qubit), qubit)
        for qubit in range(2):
            circuit.ry(weight(n), qubit).rz(weight(n + 1), qubit)
            n += 2
        circuit.cx(0, 1)
    return circuit


circuit = uploading_circuit(2)
circuit.draw("mpl")

# %% [markdown]
# ## The model
#
# The layer reads <Z> of both qubits. Angles are computed by plain torch in front of it.

# %%
weights_of = torch.Generator().manual_seed(1)
model = nn.Sequential(nn.Linear(2, 2), QuantumLayer(circuit, [Z(0), Z(1)], generator=weights_of), nn.Linear(2, 1))
with torch.no_grad():
    for layer in (model[0], model[2]):
        layer.weight.normal_(0.0, 1.0, generator=generator)
        layer.bias.zero_()
n_parameters = sum(p.numel() for p in model.parameters())
print(model)
print("parameters:", n_parameters)

# %% [markdown]
# ## Training
#
# Two interleaved half circles, 200 points to learn from and 200 to judge by.

# %%
points, labels = make_moons(400, noise=0.12, random_state=0)
inputs = torch.tensor(points, dtype=torch.float32)
targets = torch.tensor(labels, dtype=torch.float32)
train, test = slice(0, 200), slice(200, 400)

optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
losses = []
for _ in range(300):
    optimizer.zero_grad()
    loss = nn.functional.binary_cross_entropy_with_logits(model(inputs[train])[:, 0], targets[train])
    loss.backward()
    optimizer.step()
    losses.append(loss.item())


def accuracy(some: nn.Module) -> float:
    """Share of the test points on the right side."""
    with torch.no_grad():
        return ((some(inputs[test])[:, 0] > 0) == (targets[test] > 0.5)).float().mean().item()


print(f"test accuracy {accuracy(model):.3f}")
assert losses[-1] < 0.5 * losses[0]
assert accuracy(model) > 0.93

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
left.plot(losses)
left.set(xlabel="step", ylabel="cross-entropy", title="Training")
axis = torch.linspace(-1.6, 2.6, 120)
grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(-1, 2)
with torch.no_grad():
    height = torch.sigmoid(model(grid)[:, 0]).reshape(120, 120)
right.contourf(axis, axis, height, levels=20, cmap="PuOr", alpha=0.55)
right.scatter(*inputs[test].T, c=targets[test], cmap="PuOr", edgecolors="white", linewidths=0.8, s=34)
right.set(title="Test points and the model's probability", ylim=(-1.2, 1.7))
plt.show()

# %% [markdown]
# ## A fair question
#
# Would a small classical model do as well? An MLP with one hidden layer of the same number of parameters, trained the
# same way:

# %%
hidden = (n_parameters - 1) // 4
twin = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1))
with torch.no_grad():
    for layer in (twin[0], twin[2]):
        layer.weight.normal_(0.0, 1.0, generator=generator)
        layer.bias.zero_()
optimizer = torch.optim.Adam(twin.parameters(), lr=0.05)
for _ in range(300):
    optimizer.zero_grad()
    nn.functional.binary_cross_entropy_with_logits(twin(inputs[train])[:, 0], targets[train]).backward()
    optimizer.step()
print(f"{sum(p.numel() for p in twin.parameters())} parameters, test accuracy {accuracy(twin):.3f}")
assert accuracy(twin) > 0.85

# %% [markdown]
# On a problem this small either will do, and one seed decides nothing: comparisons that mean something take the same
# data, the same tuning and several seeds, which is what `qml compare` is for.
#
# ## The same weights elsewhere
#
# The built-in simulator is one backend among several. The trained layer runs on Qiskit's simulator, with the same
# numbers:

# %%
with torch.no_grad():
    ours = model(inputs[:20])
    model[1].to_backend("aer")
    theirs = model(inputs[:20])
print("largest difference", (ours - theirs).abs().max().item())
assert torch.allclose(ours, theirs, atol=1e-5)  # float32 through the last linear layer
