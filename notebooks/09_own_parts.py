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
# # Your own circuit, layer and backend
#
# The package has three kinds of parts. A **circuit** describes operations and knows only angles. A **layer** is a torch
# module that computes those angles. A **backend** turns circuit and angles into numbers. Each can be written in a few
# lines, and each works with all others.

# %%
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from circuits import Circuit, Observable, X, Z, data, to_openqasm, weight
from qml.analysis import circuit_fourier_series, resources
from qml.backends import Backend, Capabilities, Native, Samples, resolve

# %% [markdown]
# ## A circuit
#
# A function from sizes to a `Circuit`. Slots may be used more than once, and angles may be constants.


# %%
def star_circuit(n_qubits: int) -> Circuit:
    """Features on all qubits, then a hub that meets every other qubit through RZX with one weight each."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.h(qubit).rz(data(qubit), qubit)
    for qubit in range(1, n_qubits):
        circuit.rzx(weight(qubit - 1), 0, qubit)
    return circuit.ry(weight(n_qubits - 1), 0)


circuit = star_circuit(3)
print(circuit.draw())
print(resources(circuit))
print(to_openqasm(circuit))

# %% [markdown]
# What such a circuit can express in its features is a finite Fourier series, which can be had exactly:

# %%
series = circuit_fourier_series(star_circuit(2), X(0), torch.tensor([0.4, 0.3]))
for order, coefficient in zip(series.orders, series.coefficients, strict=True):
    if abs(coefficient) > 1e-12:
        print(order, f"{coefficient:.4f}")
assert abs(series.orders).max() == 1

# %% [markdown]
# Bad circuits are refused where they are written, with the way to mend them:

# %%
try:
    Circuit(2).cx(0, 2)
except ValueError as error:
    print(error)
else:
    raise AssertionError("qubit 2 of 2 must be refused")

# %% [markdown]
# ## A layer
#
# An `nn.Module` that computes angles and calls `backend.expectation`. This one learns how strongly each feature turns
# its qubit, so that its spectrum is trained too.


# %%
class ScaledStar(nn.Module):
    """<Z_0> of the star circuit with trained input scales; (..., n_qubits) to (...)."""

    def __init__(self, n_qubits: int, *, backend: Backend | str = "native", generator: torch.Generator) -> None:
        super().__init__()
        self.circuit, self.backend = star_circuit(n_qubits), resolve(backend)
        self.scales = nn.Parameter(torch.ones(n_qubits))
        self.weights = nn.Parameter(0.1 * torch.randn(self.circuit.n_weights, generator=generator))

    def forward(self, inputs: Tensor) -> Tensor:
        flat = (self.scales * inputs).reshape(-1, inputs.shape[-1])
        return self.backend.expectation(self.circuit, flat, self.weights, [Z(0)]).reshape(inputs.shape[:-1])


layer = ScaledStar(3, generator=torch.Generator().manual_seed(0))
inputs = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(1))
layer(inputs).sum().backward()
print(layer(inputs).shape, layer.scales.grad)
assert layer(inputs).shape == (4, 5)

# %% [markdown]
# Derivatives of any order work, and so do the tools of `torch.func`:

# %%
weights = {name: p.detach() for name, p in layer.named_parameters()}
hessian = torch.func.hessian(lambda w: torch.func.functional_call(layer, weights | {"weights": w}, inputs).sum())
matrix = hessian(weights["weights"])
print(matrix)
assert torch.allclose(matrix, matrix.T, atol=1e-5)

# %% [markdown]
# ## A backend
#
# Anything with the methods of the `Backend` protocol. This one adds read-out by finite shots to another backend, counts
# what it is asked, and says honestly what it cannot do: it has no derivatives.


# %%
@dataclass
class CountedShots:
    """Expectation values of Z strings from samples of another backend."""

    inner: Backend = field(default_factory=Native)
    shots: int = 1000
    generator: torch.Generator = field(default_factory=torch.Generator)
    n_circuits: int = 0
    name = "counted shots"
    capabilities = Capabilities(exact=False, shots=True, noise=True, mid_circuit=True, derivative_order=0)

    def expectation(self, circuit: Circuit, data: Tensor, weights: Tensor, observables: Sequence[Observable]) -> Tensor:
        if torch.is_grad_enabled() and (data.requires_grad or weights.requires_grad):
            raise RuntimeError("Backend `counted shots` has no derivatives. Use torch.no_grad(), or Native().")
        if any(letter != "Z" for item in observables for _, factors in item.terms for _, letter in factors):
            raise ValueError("Backend `counted shots` reads strings of Z only. Rotate the circuit, or use Native().")
        signs = 1.0 - 2.0 * self.sample(circuit, data, weights, self.shots).qubits.to(data)
        columns = []
        for item in observables:
            total = torch.zeros(len(data))
            for coefficient, factors in item.terms:
                total += coefficient * signs[..., [qubit for qubit, _ in factors]].prod(-1).mean(1)
            columns.append(total)
        return torch.stack(columns, 1)

    def probabilities(
        self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: Sequence[int] | None = None
    ) -> Tensor:
        self.n_circuits += len(data)
        return self.inner.probabilities(circuit, data, weights, qubits)

    def sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        *,
        qubits: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Samples:
        self.n_circuits += len(data)
        return self.inner.sample(circuit, data, weights, shots, qubits=qubits, generator=generator or self.generator)


backend = CountedShots(generator=torch.Generator().manual_seed(2))
assert isinstance(backend, Backend)
exact = layer(inputs).detach()
layer.backend = resolve(backend)
with torch.no_grad():
    sampled = layer(inputs)
print(f"{backend.n_circuits} circuits, largest deviation {(sampled - exact).abs().max():.3f}")
assert (sampled - exact).abs().max() < 5 / backend.shots**0.5  # one in a million over 20 values

# %%
try:
    layer(inputs)
except RuntimeError as error:
    print(error)
else:
    raise AssertionError("a derivative must be refused")
