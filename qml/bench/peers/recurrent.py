"""The recurrent quantum network as its research code runs it: gate by gate, by einsum on a real state vector.

That code cannot be installed, so its method stands here, written plainly from the paper (arXiv:2006.14619): every gate
and neuron acts on the whole register of in/out and workspace qubits, and its operator is made when it acts. It shares
no code with the layers of this package, and the tests compare those with it.
"""

import math
from itertools import combinations, product

import torch
from torch import Tensor

LETTERS = "abcdefghijklmnopqrstuvw"


class PlainRecurrent:
    """A network on qubits 0..W-1 (workspace) and W..W+I-1 (in/out).

    Args:
        n_outputs: in/out qubits I.
        hidden_size: workspace qubits W.
        n_stages: stages.
        order: order of the neurons.
        degree: degree of the neurons.
    """

    def __init__(self, n_outputs: int, hidden_size: int, n_stages: int, order: int, degree: int) -> None:
        self.n_outputs, self.hidden_size, self.n_stages = n_outputs, hidden_size, n_stages
        self.n_qubits, self.order, self.degree = n_outputs + hidden_size, order, degree
        n_sources = self.n_qubits - 1
        rows = []
        for size in range(1, degree + 1):
            for chosen in combinations(range(n_sources), size):
                bits = list(product((0, 1), repeat=n_sources))
                rows.append([float(all(string[source] for source in chosen)) for string in bits])
        self.masks = torch.tensor(rows).reshape(-1, *(2,) * n_sources)

    def probabilities(
        self, bias: Tensor, weights: Tensor, rotations: Tensor, inputs: Tensor, targets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return outcome probabilities (batch, time, 2**I) and the last state (batch, 2**(W + I)), post-selected.

        Args:
            bias: (n_neurons,).
            weights: (n_neurons, n_subsets).
            rotations: (n_stages, W).
            inputs: bits (batch, time, I).
            targets: bits (batch, time, I).
        """
        state = weights.new_zeros(len(inputs), 2**self.n_qubits)
        state[:, 0] = 1.0
        state = state.reshape(len(inputs), *(2,) * self.n_qubits)
        shares = []
        for step in range(inputs.shape[1]):
            state = self._step(state, bias, weights, rotations, inputs[:, step])
            born = (state * state).sum(tuple(range(1, self.hidden_size + 1))).flatten(1)
            shares.append(born / born.sum(1, keepdim=True))
            for qubit in range(self.n_outputs):
                bit = targets[:, step, qubit]
                keep = weights.new_zeros(len(inputs), 2, 2)  # |0><bit|: project, and flip back to |0>
                keep[torch.arange(len(inputs)), 0, bit] = 1.0
                state = self._each(state, keep, self.hidden_size + qubit)
            state = self._normalised(state)
        return torch.stack(shares, 1), state.flatten(1)

    def _step(self, state: Tensor, bias: Tensor, weights: Tensor, rotations: Tensor, bits: Tensor) -> Tensor:
        state = self._flip(state, bits)
        neuron = 0
        for stage in range(1 + self.n_stages):
            if stage:
                for qubit in range(self.hidden_size):
                    state = self._rotate(state, rotations[stage - 1, qubit], qubit)
            for qubit in range(self.hidden_size):
                state = self._neuron(state, bias[neuron], weights[neuron], qubit)
                neuron += 1
        state = self._flip(state, bits)
        for qubit in range(self.hidden_size, self.n_qubits):
            state = self._neuron(state, bias[neuron], weights[neuron], qubit)
            neuron += 1
        return state

    def _flip(self, state: Tensor, bits: Tensor) -> Tensor:
        one = torch.eye(2, dtype=state.dtype)
        for qubit in range(self.n_outputs):
            flips = torch.where(bits[:, qubit, None, None] == 1, one.flip(0), one)
            state = self._each(state, flips, self.hidden_size + qubit)
        return state

    def _each(self, state: Tensor, matrices: Tensor, qubit: int) -> Tensor:
        letters = LETTERS[: self.n_qubits]
        after = letters.replace(letters[qubit], "y")
        return torch.einsum(f"z{letters},zy{letters[qubit]}->z{after}", state, matrices)

    def _rotate(self, state: Tensor, angle: Tensor, qubit: int) -> Tensor:
        letters = LETTERS[: self.n_qubits]
        cosine, sine = torch.cos(angle / 2), torch.sin(angle / 2)
        gate = torch.stack([cosine, -sine, sine, cosine]).reshape(2, 2)
        return torch.einsum(f"z{letters},y{letters[qubit]}->z{letters.replace(letters[qubit], 'y')}", state, gate)

    def _neuron(self, state: Tensor, bias: Tensor, weights: Tensor, target: int) -> Tensor:
        masks = self.masks.to(weights.dtype)
        eta = math.pi / 2 + bias + torch.tensordot(weights, masks, 1)
        cosine, sine = torch.cos(eta / 2) ** (2**self.order), torch.sin(eta / 2) ** (2**self.order)
        gate = torch.stack([torch.stack([cosine, -sine]), torch.stack([sine, cosine])])
        letters = LETTERS[: self.n_qubits]
        sources = letters.replace(letters[target], "")
        after = letters.replace(letters[target], "y")
        return self._normalised(torch.einsum(f"z{letters},y{letters[target]}{sources}->z{after}", state, gate))

    def _normalised(self, state: Tensor) -> Tensor:
        norms = torch.linalg.vector_norm(state.flatten(1), dim=1)
        return state / norms.reshape(-1, *(1,) * self.n_qubits)
