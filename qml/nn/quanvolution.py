"""The quanvolution: a convolution over images whose filters are circuits."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from circuits import Circuit, Observable, Z, ansatzes, data, weight
from qml import checks
from qml.backends import Backend, resolve
from qml.backends.inputs import as_observables, require_circuit

MAX_WINDOW = 16  # qubits of the default circuit
Pair = int | tuple[int, int]
Padding = Pair | Literal["same", "valid"]


def quanvolution_circuit(n_qubits: int, n_layers: int, rotation: str = "y") -> Circuit:
    """Build a rotation of each qubit by its window entry, then strongly entangling layers (for one qubit RZ RY RZ)."""
    checks.require_choice(rotation, "rotation", ("x", "y"))
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.pauli_rotation(data(qubit), rotation.upper(), qubit)
    if n_qubits > 1:
        return circuit.compose(ansatzes.strongly_entangling(n_qubits, n_layers))
    for layer in range(n_layers):
        for place, axis in enumerate("ZYZ"):
            circuit.pauli_rotation(weight(3 * layer + place), axis, 0)
    return circuit


class Quanvolution(nn.Module):
    r"""A layer with the shapes of `nn.Conv2d` whose filters are circuits: each output pixel is an expectation value.

    A circuit reads each window of the image, one qubit an entry by default, as angles `scale` times the entry. Each
    output channel has weights of its own, and reads the mean of <Z> over the qubits unless `observables` are given.
    There are no groups and no bias, and the padding is zeros.

    Args:
        in_channels: channels of the images.
        out_channels: filters.
        kernel_size: of the window, a number or (height, width); so are `stride`, `padding` and `dilation`.
        stride: between windows.
        padding: zeros at each side, `"valid"` for none, or `"same"` for outputs of the inputs' size (stride 1).
        dilation: between the entries of a window.
        circuit: of a filter; its data slots are the entries of a window by channel, row and column, and it has a weight
            or more. None: a rotation by each entry, then strongly entangling layers.
        n_layers: of the default circuit, 1 by default.
        rotation: of the default circuit, `"x"` or `"y"` (the default).
        scale: radians for a pixel of 1.
        observables: one for every channel or one for each; None reads the mean of <Z> over all qubits.
        trainable: whether the weights are parameters; if not, they are random and fixed, as in the paper.
        backend: a backend or its name.
        device: of the weights.
        dtype: of the weights, float32 or float64.
        generator: for the initial weights, uniform in [-pi, pi).

    Shape:
        (N, in_channels, H, W) to (N, out_channels, H', W'), or without N; H' and W' are those of `nn.Conv2d`.

    Attributes:
        weights: angles in radians, shape (out_channels, circuit.n_weights); a buffer if they are not trained.

    Raises:
        ValueError: numbers that are too small, windows of more than 16 entries without a circuit of your own, a circuit
            with another number of data slots than entries or without weights, `n_layers` or `rotation` beside it.

    Reference:
        Henderson et al., arXiv:1904.04767, section 2; there the circuits are random and fixed.

    Example:
        >>> import torch
        >>> from qml.nn import Quanvolution
        >>> Quanvolution(1, 3, kernel_size=2, stride=2)(torch.rand(5, 1, 8, 8)).shape
        torch.Size([5, 3, 4, 4])
    """

    weights: Tensor

    def __init__(  # noqa: PLR0913 - those of nn.Conv2d, and one for each choice
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        *,
        circuit: Circuit | None = None,
        n_layers: int | None = None,
        rotation: str | None = None,
        scale: float | int = math.pi,
        observables: Sequence[Observable] | None = None,
        trainable: bool = True,
        backend: Backend | str = "native",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_precision(dtype)
        checks.require_generator(generator)
        self.in_channels = checks.as_int(in_channels, "in_channels", 1)
        self.out_channels = checks.as_int(out_channels, "out_channels", 1)
        self.kernel_size = _as_pair(kernel_size, "kernel_size", 1)
        self.stride, self.dilation = _as_pair(stride, "stride", 1), _as_pair(dilation, "dilation", 1)
        self.padding = _as_padding(padding, self.stride)
        self.scale = checks.as_number(scale, "scale")
        self.trainable = checks.as_flag(trainable, "trainable")
        self._own, self.n_layers, self.rotation = circuit, n_layers, rotation
        self.circuit = self._make_circuit()
        self.observables = self._as_observables(observables)
        self._read = self._observables_of_channels()  # kept, as compiled graphs know the objects of a layer only
        self.backend = resolve(backend)
        weights = torch.empty(self.out_channels, self.circuit.n_weights, device=device, dtype=dtype)
        if self.trainable:
            self.weights = nn.Parameter(weights)
        else:
            self.register_buffer("weights", weights)
        self.reset_parameters(generator)

    def _make_circuit(self) -> Circuit:
        """Return the circuit of a filter: the caller's, or the default one."""
        n_entries = self.in_channels * math.prod(self.kernel_size)
        if self._own is None:
            if n_entries > MAX_WINDOW:
                raise ValueError(
                    f"A window must have at most {MAX_WINDOW} entries, a qubit each, but has {self.in_channels} * "
                    f"{self.kernel_size[0]} * {self.kernel_size[1]} = {n_entries}. Pass a smaller kernel_size, put "
                    "nn.Conv2d(in_channels, 1, 1) before the layer, or pass a `circuit` with several entries a qubit."
                )
            self.n_layers = 1 if self.n_layers is None else checks.as_int(self.n_layers, "n_layers", 1)
            self.rotation = "y" if self.rotation is None else self.rotation
            return quanvolution_circuit(n_entries, self.n_layers, self.rotation)
        require_circuit(self._own)
        if self.n_layers is not None or self.rotation is not None:
            raise ValueError("Arguments `n_layers` and `rotation` must be left out where a `circuit` is given.")
        if self._own.n_data != n_entries:
            raise ValueError(
                f"Argument `circuit` must have {n_entries} data slots, one for each entry of a window, but has "
                f"{self._own.n_data}."
            )
        if self._own.n_weights == 0:
            raise ValueError(
                "Argument `circuit` must have weights, by which the channels differ, but has none. Make its angles "
                "weight slots; trainable=False draws them once."
            )
        return self._own

    def _as_observables(self, observables: Any) -> tuple[Observable, ...] | None:
        if observables is None:
            return None
        result = as_observables(observables, self.circuit.n_qubits)
        if len(result) not in (1, self.out_channels):
            raise ValueError(
                f"Argument `observables` must hold 1 observable or {self.out_channels}, one a channel, but holds "
                f"{len(result)}."
            )
        return result

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw all angles anew, those that are not trained too."""
        with torch.no_grad():
            self.weights.uniform_(-math.pi, math.pi, generator=generator)

    def forward(
        self, inputs: Float[Tensor, "*batch channels height width"]
    ) -> Float[Tensor, "*batch filters new_height new_width"]:
        """Compute the filtered images; see the class.

        Raises:
            TypeError: inputs that are not a dense tensor of the layer's dtype.
            ValueError: inputs of another shape or device, smaller than the window, or with NaN or infinity.
        """
        inputs = checks.as_inputs(inputs, self.weights)
        if inputs.ndim not in (3, 4) or inputs.shape[-3] != self.in_channels:
            raise ValueError(
                f"Argument `inputs` must have shape (batch, {self.in_channels}, height, width) or "
                f"({self.in_channels}, height, width), but has shape {tuple(inputs.shape)}."
            )
        images = inputs if inputs.ndim == 4 else inputs[None]
        images = functional.pad(images, self._sides())
        height, width = (self._size(images.shape[axis - 2], axis) for axis in (0, 1))
        windows = functional.unfold(images, self.kernel_size, self.dilation, 0, self.stride)
        rows = self.scale * windows.transpose(1, 2).reshape(-1, self.circuit.n_data)
        # A call a channel: the windows of a channel share their weights, so that gates are matrices for all of them.
        channels = [
            self.backend.expectation(self.circuit, rows, own, [observable])[:, 0]
            for own, observable in zip(self.weights.unbind(), self._read, strict=True)
        ]
        result = torch.stack(channels).reshape(self.out_channels, images.shape[0], height, width).transpose(0, 1)
        return result if inputs.ndim == 4 else result[0]

    def _observables_of_channels(self) -> list[Observable]:
        """Return the observable of each channel."""
        n_qubits = self.circuit.n_qubits
        if self.observables is None:
            mean = sum((Z(qubit) for qubit in range(1, n_qubits)), Z(0)) * (1 / n_qubits)
            return [mean] * self.out_channels
        return list(self.observables) * (self.out_channels // len(self.observables))

    def _sides(self) -> list[int]:
        """Return the zeros at left, right, top and bottom; `"same"` puts an odd one to the right and bottom."""
        if self.padding == "valid":
            return [0, 0, 0, 0]
        if not isinstance(self.padding, str):
            vertical, horizontal = self.padding
            return [horizontal, horizontal, vertical, vertical]
        vertical, horizontal = (
            distance * (size - 1) for distance, size in zip(self.dilation, self.kernel_size, strict=True)
        )
        return [horizontal // 2, horizontal - horizontal // 2, vertical // 2, vertical - vertical // 2]

    def _size(self, padded: int, axis: int) -> int:
        """Return the number of windows along an axis of the padded images."""
        window = self.dilation[axis] * (self.kernel_size[axis] - 1) + 1
        if padded < window:
            raise ValueError(
                f"Argument `inputs` must be, with its padding, at least as large as the window, {window} pixels in "
                f"{('height', 'width')[axis]}, but has {padded}."
            )
        return (padded - window) // self.stride[axis] + 1

    __prepare_scriptable__ = checks.refuse_scripting

    def config(self) -> dict[str, Any]:
        """Return the constructor arguments but for backend, device, dtype and generator, and those left out."""
        names = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "scale", "trainable")
        optional = {
            "circuit": self._own,
            "n_layers": self.n_layers,
            "rotation": self.rotation,
            "observables": self.observables,
        }
        chosen = {name: value for name, value in optional.items() if value is not None}
        return {name: getattr(self, name) for name in names} | chosen

    def to_backend(self, backend: Backend | str) -> "Quanvolution":
        """Run on another backend from now on, with the same weights; return the layer."""
        self.backend = resolve(backend)
        return self

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding!r}"
        read = "" if self.observables is None else f", observables={list(self.observables)}"
        return (
            f"{self.in_channels}, {self.out_channels}, {sizes}, dilation={self.dilation}, scale={self.scale:g}, "
            f"trainable={self.trainable}, {self.circuit!r}{read}, backend={self.backend.name!r}"
        )


def _as_pair(value: Any, name: str, minimum: int) -> tuple[int, int]:
    """Return (height, width) of one number for both, or of two."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        number = checks.as_int(value, name, minimum)
        return number, number
    numbers = checks.as_ints(value, name, minimum, at_least=2)
    if len(numbers) != 2:
        raise ValueError(f"Argument `{name}` must be a number or (height, width), but is {numbers}.")
    return numbers[0], numbers[1]


def _as_padding(value: Any, stride: tuple[int, int]) -> Literal["same", "valid"] | tuple[int, int]:
    if not isinstance(value, str):
        return _as_pair(value, "padding", 0)
    checks.require_choice(value, "padding", ("same", "valid"))
    if value == "same" and stride != (1, 1):
        raise ValueError(f'Argument `padding` must be numbers where stride is not 1, but is "same" beside {stride}.')
    return "same" if value == "same" else "valid"
