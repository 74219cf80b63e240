"""Models of the study for images: the CNN, and the two quantum ones that are held against it."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from circuits import Circuit
from qml import checks
from qml.estimators import LayerClassifier
from qml.estimators.scaling import make_scaler, scaled

CHANNELS, HIDDEN = (32, 64), 128
TRUNCATED = 0.87962566103423978  # deviation of a unit normal that is cut at two deviations
DEPTH, N_ROTATIONS, ENTANGLING = 10, 20, 0.3  # of the random filters
FILTER_SEED = 42
SHIFTS = (-1, 0, 1)
WINDOW_LIMIT = 4  # side of a window, 16 qubits


def side_of(n_pixels: int, n_channels: int = 1) -> int:
    """Return the side of square images with so many numbers.

    Raises:
        ValueError: If there are no such images.
    """
    side = math.isqrt(n_pixels // n_channels)
    if n_pixels < 1 or n_channels * side**2 != n_pixels:
        raise ValueError(
            f"Argument `inputs` must be square images, a row each, but has {n_pixels} numbers a row for {n_channels} "
            "channels. Pad the images to a square."
        )
    return side


class StudyCNN(nn.Module):
    """The study's convolutional network: twice a convolution and a pooling of 2 x 2, then 128 ReLU units and one score.

    There is no activation after the convolutions. Filters cover the borders by zeros, with an image of the same size.

    Args:
        n_inputs: Number of pixels, all channels, channel by channel and row by row.
        kernel_size: Side of the filters.
        n_channels: Channels of the images.
        keeps_rest: Whether pooling keeps a last odd row and column; if not, it drops them.
        dtype: Of the weights.
        generator: For the initial weights: LeCun's normal distribution, cut at two deviations; offsets are 0.

    Shape:
        (batch, n_inputs) to (batch,): above 0 for label +1.

    Raises:
        ValueError: If images are not square, or so small that nothing is left after pooling.

    Reference:
        Bowles, Ahmed and Schuld, arXiv:2403.07059, the convolutional network.
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        kernel_size: int,
        n_channels: int = 1,
        keeps_rest: bool = False,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_channels, self.keeps_rest = checks.as_int(n_channels, "n_channels", 1), keeps_rest
        kernel_size = checks.as_int(kernel_size, "kernel_size", 1)
        self.side = side_of(checks.as_int(n_inputs, "n_inputs", 1), self.n_channels)
        left = self._pooled(self._pooled(self.side))
        if left < 1:
            raise ValueError(
                f"Argument `inputs` must be images of 4 x 4 pixels or more, as two poolings halve them, but they have "
                f"side {self.side}."
            )
        sizes = (self.n_channels, *CHANNELS)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, kernel_size, dtype=dtype) for before, after in pairwise(sizes)
        )
        self.hidden = nn.Linear(CHANNELS[1] * left**2, HIDDEN, dtype=dtype)
        self.readout = nn.Linear(HIDDEN, 1, dtype=dtype)
        before = (kernel_size - 1) // 2
        self.border = (before, kernel_size - 1 - before) * 2
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all weights anew, and set all offsets to 0."""
        for layer in (*self.convolutions, self.hidden, self.readout):
            weights: Any = layer.weight
            deviation = 1.0 / math.sqrt(weights[0].numel()) / TRUNCATED
            with torch.no_grad():
                nn.init.trunc_normal_(weights, 0.0, deviation, -2 * deviation, 2 * deviation, generator=generator)
                layer.bias.zero_()  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]

    def forward(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, " batch"]:
        """Compute the score of each image."""
        images = inputs.unflatten(1, (self.n_channels, self.side, self.side))
        for convolution in self.convolutions:
            images = convolution(functional.pad(images, self.border))
            images = functional.max_pool2d(images, 2, ceil_mode=self.keeps_rest)
        return self.readout(functional.relu(self.hidden(images.flatten(1))))[:, 0]

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean cross entropy of sigmoid(f)."""
        return sigmoid_loss(self(inputs), labels)

    def _pooled(self, side: int) -> int:
        return (side + 1) // 2 if self.keeps_rest else side // 2


def sigmoid_loss(scores: Float[Tensor, " batch"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
    """Return the mean of -log sigmoid(y f)."""
    return functional.softplus(-labels * scores).mean()


class WeiNet(nn.Module):
    r"""Pixels as amplitudes, a mixture of shifted images, and a linear model on <Z_i> and <Z_i Z_j>.

    An image of side h, a power of two, is a state of 2 log2 h qubits, half of them for the row. The nine operations
    that stand for a 3 x 3 filter move it by -1, 0 or 1 in either direction, cyclically, and are mixed with trained
    probabilities softmax(s). The least significant qubits of row and column are dropped; what is read is Z and ZZ of
    all others, and 1. The values of the filter cancel, since every operation is divided by its own: three filters are
    one model.

    Args:
        n_inputs: Number of pixels; smaller images are padded with zeros to a power of two.
        is_published: Whether all nine operations are the shift by +1 in both directions, as the study's code has it.
            Then s has no effect.
        dtype: Of the weights.
        generator: For the initial weights.

    Shape:
        (batch, n_inputs) to (batch,): above 0 for label +1.

    Attributes:
        mixture: s, shape (9,), from N(0, 1).
        weights: Factors of what is read, from N(0, 1) divided by their number.

    Raises:
        ValueError: If images are not square, smaller than 4 x 4 pixels, or black.

    Reference:
        Wei et al., arXiv:2104.06918; loss and start as in Bowles et al., arXiv:2403.07059.
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        is_published: bool = False,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.side = side_of(checks.as_int(n_inputs, "n_inputs", 1))
        if self.side < 3:
            raise ValueError(
                f"Argument `inputs` must be images of 3 x 3 pixels or more, of which two qubits are left to read, but "
                f"they have side {self.side}."
            )
        self.size = 2 ** math.ceil(math.log2(self.side))
        self.register_buffer("tables", shifted_tables(self.size, is_published=is_published).to(dtype or torch.float32))
        n_read = self.tables.shape[2]
        self.mixture = nn.Parameter(torch.randn(9, dtype=dtype, generator=generator))
        self.weights = nn.Parameter(torch.randn(n_read, dtype=dtype, generator=generator) / n_read)

    tables: Tensor

    def forward(self, inputs: Float[Tensor, "batch inputs"]) -> Float[Tensor, " batch"]:
        """Compute the score of each image."""
        rest = self.size - self.side
        images = functional.pad(inputs.unflatten(1, (self.side, self.side)), (0, rest, 0, rest)).flatten(1)
        likely = images.square()
        total = likely.sum(1, keepdim=True)
        if not checks.hides_values() and not bool((total > 0.0).all()):  # in a stack a black image makes the loss NaN
            raise ValueError("Argument `inputs` must be images with a pixel that is not 0, but one is black.")
        if len(self.tables) == 1:
            mixed = self.tables[0]
        else:
            mixed = torch.einsum("k,kpo->po", torch.softmax(self.mixture, 0), self.tables)
        return likely / total @ (mixed @ self.weights)

    def loss(self, inputs: Float[Tensor, "batch inputs"], labels: Float[Tensor, " batch"]) -> Float[Tensor, ""]:
        """Return the mean cross entropy of sigmoid(f)."""
        return sigmoid_loss(self(inputs), labels)


def shifted_tables(size: int, *, is_published: bool) -> Float[Tensor, "shifts pixels observables"]:
    """Return the value of each observable in each basis state after each shift; one shift alone where published.

    A shift by k moves pixel i + k to place i: a basis state to another one, where each Z is plus or minus 1.
    """
    n_qubits = 2 * int(math.log2(size))
    kept = [qubit for qubit in range(n_qubits - 1) if qubit != n_qubits // 2 - 1]
    rows, columns = np.divmod(np.arange(size**2), size)
    tables = []
    for down, right in [(1, 1)] if is_published else [(k, j) for k in SHIFTS for j in SHIFTS]:
        states = (rows - down) % size * size + (columns - right) % size
        signs = 1.0 - 2.0 * ((states[:, None] >> (n_qubits - 1 - np.arange(n_qubits))) & 1)
        read = [signs[:, first] for first in kept]
        read += [signs[:, first] * signs[:, second] for first in kept for second in kept if first < second]
        tables.append(np.stack([*read, np.ones(size**2)], 1))
    return torch.from_numpy(np.stack(tables))


class QuanvolutionalClassifier:
    """The study's quanvolutional network: fixed random circuits over black and white windows, then its CNN.

    Pixels are black or white by the middle of their range in the training set. A window is a basis state, on which a
    random circuit acts; the filtered pixel is the number of ones in the most likely result. As windows take few values,
    a circuit becomes a table of them.

    Args:
        window: Side of the windows, 1 to 4.
        n_filters: Number of circuits.
        kernel_size: Side of the filters of the CNN.
        is_published: Whether all circuits have the same gates, those of PennyLane's `RandomLayers` with seed 42, and
            differ in their angles alone, as in the study's code; if not, each has gates of its own.
        training: More arguments of the `LayerClassifier` that trains the CNN.
        seed: Seed of gates, angles, weights and batches.

    Reference:
        Henderson et al., arXiv:1904.04767; sizes as in Bowles et al., arXiv:2403.07059.
    """

    def __init__(
        self, *, window: int, n_filters: int, kernel_size: int, is_published: bool, training: dict[str, Any], seed: int
    ) -> None:
        self.window = checks.as_int(window, "window", 1)
        self.n_filters = checks.as_int(n_filters, "n_filters", 1)
        if self.window > WINDOW_LIMIT:
            raise ValueError(
                f"Argument `window` must be at most {WINDOW_LIMIT}, a qubit a pixel, but is {self.window}."
            )
        self.kernel_size, self.is_published = kernel_size, is_published
        self.training, self.seed = training, seed

    def fit(self, inputs: np.ndarray, labels: np.ndarray) -> "QuanvolutionalClassifier":
        """Train the CNN on the filtered images of samples with labels -1 and +1."""
        features = self.fit_filters(inputs)
        self.classifier = LayerClassifier(
            study_cnn(self.kernel_size, self.n_filters), scaling=None, random_state=self.seed, **self.training
        )
        self.classifier.fit(features, labels)
        self.layers_, self.losses_ = self.classifier.layers_, self.classifier.losses_
        return self

    def fit_filters(self, inputs: Float[np.ndarray, "batch pixels"]) -> Float[np.ndarray, "batch features"]:
        """Learn the range of the pixels, make the circuits, and return the filtered images."""
        side = side_of(inputs.shape[1])
        if not np.isfinite(inputs).all():
            raise ValueError("Argument `inputs` must hold finite pixels, but holds NaN or infinity. Fill the gaps.")
        if side < self.window:
            raise ValueError(
                f"Argument `inputs` must be images at least as large as the window, {self.window} x {self.window} "
                f"pixels, but they have side {side}."
            )
        random = np.random.default_rng(self.seed)
        self.scaler = make_scaler("minmax")
        self.scaler.fit(inputs)  # pyright: ignore[reportOptionalMemberAccess]
        self.tables = np.stack(
            [
                counted_ones(
                    random_filter(
                        self.window**2,
                        random.uniform(0.0, 2 * np.pi, (DEPTH, N_ROTATIONS)),
                        FILTER_SEED if self.is_published else int(random.integers(2**31)),
                    )
                )
                for _ in range(self.n_filters)
            ]
        )
        return self.filtered(inputs)

    def filtered(self, inputs: Float[np.ndarray, "batch pixels"]) -> Float[np.ndarray, "batch features"]:
        """Return the filtered images, channel by channel and row by row."""
        side = side_of(inputs.shape[1])
        bits = (scaled(self.scaler, inputs) > 0.0).reshape(-1, side, side)
        windows = np.lib.stride_tricks.sliding_window_view(bits, (self.window, self.window), axis=(1, 2))
        places = 2 ** np.arange(self.window**2 - 1, -1, -1)
        codes = windows.reshape(*windows.shape[:3], -1) @ places
        return self.tables[:, codes].swapaxes(0, 1).reshape(len(inputs), -1).astype(np.float64)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Predict the labels of images."""
        return self.classifier.predict(self.filtered(inputs))


def study_cnn(kernel_size: int, n_channels: int) -> Callable[..., StudyCNN]:
    """Return a function that makes the CNN of the quanvolutional network."""

    def make(n_inputs: int, **options: Any) -> StudyCNN:
        return StudyCNN(n_inputs, kernel_size=kernel_size, n_channels=n_channels, keeps_rest=True, **options)

    return make


def random_filter(n_qubits: int, angles: Float[np.ndarray, "layers rotations"], seed: int) -> Circuit:
    """Build rotations about random axes of random qubits, with CNOTs between them.

    The gates are those of PennyLane's `RandomLayers` with the same seed: before each rotation, a CNOT of two random
    qubits with probability 0.3, as often as it is drawn.
    """
    random = np.random.default_rng(seed)
    circuit = Circuit(n_qubits)
    for angle in angles.ravel():
        while random.random() <= ENTANGLING:
            if n_qubits > 1:
                first, second = random.choice(n_qubits, 2, replace=False)
                circuit.cx(int(first), int(second))
        axis = "XYZ"[random.choice(3)]
        circuit.pauli_rotation(float(angle), axis, int(random.choice(n_qubits, 1, replace=False)[0]))
    return circuit


def counted_ones(circuit: Circuit) -> np.ndarray:
    """Return the number of ones in the most likely result of a filter, for every window of black and white pixels.

    A window is a basis state, RY(pi bit) on each qubit, so that its results have the probabilities of a column of the
    circuit's matrix. The gates act on all columns at once.
    """
    n_qubits, size = circuit.n_qubits, 2**circuit.n_qubits
    columns = np.eye(size, dtype=complex)
    for operation in circuit.operations:
        rest = [qubit for qubit in range(n_qubits) if qubit not in operation.all_qubits]
        order = (*operation.all_qubits, *rest, n_qubits)
        moved = columns.reshape(*[2] * n_qubits, size).transpose(order).reshape(2 ** len(operation.all_qubits), -1)
        moved = (operation.matrix() @ moved).reshape(*[2] * n_qubits, size)
        columns = moved.transpose(np.argsort(order)).reshape(size, size)
    bits = (np.arange(size)[:, None] >> np.arange(n_qubits - 1, -1, -1)) & 1
    return bits.sum(1)[(np.abs(columns) ** 2).argmax(0)]
