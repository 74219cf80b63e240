"""Tables of a recurrent cell's neurons by input word, and the workspace's map as one matrix a word.

In a step the in/out qubits are first only read: whatever happens to the W workspace qubits is one real matrix for each
word. The neurons on the in/out qubits start from |0> and only read the workspace: they multiply each amplitude by a
number. So a step is u = M[input] v, p(word) ~ |G[word] u|^2, v' ~ G[outcome] u, elementwise (papers' symbols: M the
block-diagonal part of the cell's operator, G its output neurons).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from qml.nn.qrnn.neuron import neuron_amplitudes, neuron_angles


@dataclass(frozen=True)
class NeuronTables:
    """A cell's neurons, each divided by the root mean square of its amplitude, which no probability depends on.

    Attributes:
        cosine: C of the neurons on the workspace, shape (1 + n_stages, W, words, 2**(W - 1)): layer, target qubit, word
            on the in/out qubits, the other workspace qubits.
        sine: S of the same.
        rotations: the matrix of each stage's RY gates, shape (n_stages, 2**W, 2**W).
        output_cosine: C of the neurons on the in/out qubits, shape (I, 2**W, 2**(I - 1)): target, workspace,
            the others.
        output_sine: S of the same.
        readout: G, shape (words, 2**W): those neurons on qubits in |0>.
        log_scale: logarithm of what the amplitudes were divided by in a step, shape ().
    """

    cosine: Tensor
    sine: Tensor
    rotations: Tensor
    output_cosine: Tensor
    output_sine: Tensor
    readout: Tensor
    log_scale: Tensor


def make_tables(
    weights: Tensor,
    bias: Tensor | None,
    rotations: Tensor,
    monomials: Tensor,
    *,
    sizes: tuple[int, int],
    order: int,
    amplification: int,
) -> NeuronTables:
    """Compute the tables of a cell; `sizes` are input_size and hidden_size, see `QRNNCell` for the parameters."""
    input_size, hidden_size = sizes
    n_words, side = 2**input_size, 2**hidden_size
    cosine, sine = neuron_amplitudes(neuron_angles(weights, bias, monomials), order, amplification)
    scale = (cosine * cosine + sine * sine).mean(-1, keepdim=True).rsqrt().detach()
    cosine, sine = cosine * scale, sine * scale
    n_hidden = len(cosine) - input_size
    layers = [part[:n_hidden].reshape(-1, hidden_size, side // 2, n_words).mT for part in (cosine, sine)]
    output_cosine, output_sine = (part[n_hidden:].unflatten(-1, (side, -1)) for part in (cosine, sine))
    turns = rotations[..., None, None].expand(-1, -1, 1, side // 2) / 2
    return NeuronTables(
        layers[0],
        layers[1],
        layer_maps(torch.cos(turns), torch.sin(turns))[:, 0],
        output_cosine,
        output_sine,
        _readout(output_cosine, output_sine),
        -scale.log().sum(),
    )


def word_maps(tables: NeuronTables) -> Tensor:
    """Compute M, shape (words, 2**W, 2**W)."""
    layers = layer_maps(tables.cosine, tables.sine)
    maps = layers[0]
    for rotation, layer in zip(tables.rotations, layers[1:], strict=True):
        maps = layer @ (rotation @ maps)
    return maps


def layer_maps(cosine: Tensor, sine: Tensor) -> Tensor:
    """Multiply neurons onto qubits 0, 1, ... in turn into one matrix a layer and word.

    Shape: (layers, W, words, 2**(W - 1)) to (layers, words, 2**W, 2**W).

    When qubit q turns, the qubits before it have their new bits r and those behind still their old ones c, so that the
    matrix is a product without sums, prod_q turn_q[r_<q, c_>q](r_q, c_q), and grows fourfold a qubit.
    """
    n_layers, n_qubits, n_words, half = cosine.shape
    maps = cosine.new_ones(n_layers, n_words, 1, 1, 2 * half)
    for qubit in range(n_qubits):
        c, s = (part[:, qubit].unflatten(-1, (2**qubit, -1)) for part in (cosine, sine))
        turn = torch.stack([torch.stack([c, -s], -2), torch.stack([s, c], -2)], -3)  # (..., r_<q, r_q, c_q, c_>q)
        grown = maps.unflatten(-1, (2, -1))[:, :, :, None] * turn[:, :, :, :, None]
        maps = grown.flatten(4, 5).flatten(2, 3)
    return maps.squeeze(-1)


def _readout(cosine: Tensor, sine: Tensor) -> Tensor:
    """Compute G from (qubits, 2**W, other in/out qubits): a qubit reads those before it, the rest are in |0>."""
    n_qubits, side, _ = cosine.shape
    amplitudes = cosine.new_ones(side, 1)
    for qubit in range(n_qubits):
        c, s = (part[qubit].unflatten(-1, (2**qubit, -1))[..., 0] for part in (cosine, sine))
        amplitudes = torch.stack([amplitudes * c, amplitudes * s], -1).flatten(1)
    return amplitudes.T


# Costs in seconds on one core, measured once on an ordinary server; only their ratios matter.
SECONDS_A_KERNEL = 5e-6
SECONDS_A_FLOP = 4e-11  # in matrix products
SECONDS_A_NUMBER = 1e-9  # read, multiplied and written


def maps_pay(*, n_words: int, hidden_size: int, n_stages: int, batch: int, n_steps: int) -> bool:
    """Tell whether building M and multiplying by it costs less than the neurons one by one, for whole sequences."""
    side, n_layers = 2**hidden_size, 1 + n_stages
    build = 2 * n_layers * n_words * side**2 * SECONDS_A_NUMBER + 10 * hidden_size * SECONDS_A_KERNEL
    build += 4 * n_stages * n_words * side**3 * SECONDS_A_FLOP
    by_maps = build + n_steps * map_step_cost(n_words=n_words, side=side, batch=batch)
    numbers, kernels = 4 * n_layers * hidden_size * batch * side, 8 * n_layers * hidden_size
    by_neurons = n_steps * (numbers * SECONDS_A_NUMBER + kernels * SECONDS_A_KERNEL)
    return by_maps <= by_neurons


def map_step_cost(*, n_words: int, side: int, batch: int) -> float:
    """Estimate the seconds of multiplying a batch of states by M, the cheaper way."""
    together = 2 * batch * side**2 * n_words * SECONDS_A_FLOP + 2 * SECONDS_A_KERNEL
    return min(together, _grouped_cost(n_words, side, batch))


def groups_pay(*, n_words: int, side: int, batch: int) -> bool:
    """Tell whether samples should be grouped by word, rather than multiplied by the matrices of all words."""
    together = 2 * batch * side**2 * n_words * SECONDS_A_FLOP + 2 * SECONDS_A_KERNEL
    return _grouped_cost(n_words, side, batch) < together


def _grouped_cost(n_words: int, side: int, batch: int) -> float:
    return 2 * batch * side**2 * SECONDS_A_FLOP + 3 * (min(n_words, batch) + 1) * SECONDS_A_KERNEL
