"""Gradient descent in the geometry of quantum states."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit
from qml import checks
from qml.nn.quantum_fisher import quantum_fisher
from qml.nn.quantum_layer import QuantumLayer

Structure = Literal["full", "block", "diagonal"]
STRUCTURES = ("full", "block", "diagonal")


class NaturalGradient(torch.optim.Optimizer):
    r"""An optimiser of a `QuantumLayer`'s weights that follows the natural gradient.

    w <- w - lr (g + damping 1)^-1 dL/dw, with the Fubini-Study metric g (a quarter of the quantum Fisher information)
    averaged over the samples of the step. The metric is that of the circuit alone, whatever noise the layer's backend
    adds. Parameters elsewhere, of `layer.angles` for example, need an optimiser of their own.

    Args:
        layer: the layer; its circuit must be without measurement, noise and reset.
        lr: the step size.
        damping: what is added to the metric's diagonal.
        structure: `"full"`, `"block"` (weights whose gates stand side by side share a block) or `"diagonal"`.

    Raises:
        TypeError: something else than a `QuantumLayer`.
        ValueError: a step size or damping that is not positive, an unknown structure, a second group of parameters.

    Reference:
        Stokes et al., arXiv:1909.02108, equation 14; blocks: its section 4.

    Example:
        >>> import torch
        >>> from circuits import Z, ansatzes
        >>> from qml.nn import NaturalGradient, QuantumLayer
        >>> layer = QuantumLayer(ansatzes.real_amplitudes(2, 1), [Z(0)])
        >>> optimizer, inputs = NaturalGradient(layer, lr=0.1), torch.zeros(1, 0)
        >>> layer(inputs).sum().backward()
        >>> optimizer.step(inputs=inputs)
    """

    def __init__(
        self,
        layer: QuantumLayer,
        *,
        lr: float | int = 0.01,
        damping: float | int = 1e-3,
        structure: Structure = "full",
    ) -> None:
        checks.require_kind(layer, "layer", QuantumLayer)
        checks.require_choice(structure, "structure", STRUCTURES)
        options = {
            "lr": checks.as_number(lr, "lr", above=0.0),
            "damping": checks.as_number(damping, "damping", above=0.0),
        }
        self.layer, self.structure = layer, structure
        self.blocks = blocks_of(layer.circuit, structure)
        super().__init__([layer.weights], options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Take the layer's weights, once: other parameters have no metric here, and would never move."""
        if self.param_groups:
            raise ValueError(
                "A NaturalGradient must have the weights of its layer alone, but was given more parameters. Give those "
                "to an optimiser of their own."
            )
        super().add_param_group(param_group)

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy or a pickle needs; torch's own method keeps nothing of a subclass."""
        return super().__getstate__() | {"layer": self.layer, "structure": self.structure, "blocks": self.blocks}

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Callable[[], Any] | None = None, *, inputs: Float[Tensor, "*batch inputs"]
    ) -> Any:
        """Move the weights once.

        Args:
            closure: computes the loss and its gradient anew; see torch.
            inputs: the samples over which the metric is averaged, as the layer takes them.

        Raises:
            TypeError: inputs that are no dense tensor of the layer's dtype.
            ValueError: no samples, or inputs of another shape; a layer whose weights are another parameter by now.
        """
        if self.param_groups[0]["params"][0] is not self.layer.weights:
            raise ValueError(
                "The layer's weights must be the parameter that this optimiser was made for, but were replaced, as "
                "load_state_dict(assign=True) does. Make a new NaturalGradient."
            )
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        layer, gradient = self.layer, self.layer.weights.grad
        if gradient is None:
            return loss
        data = layer._with_angles(checks.as_inputs(inputs, layer.weights))
        rows = data.reshape(math.prod(data.shape[:-1]), layer.circuit.n_data)
        if len(rows) == 0:
            raise ValueError("Argument `inputs` must hold at least one sample for the metric, but is empty.")
        group = self.param_groups[0]
        metric = quantum_fisher(layer.circuit, rows, layer.weights).mean(0) / 4.0
        for block in self.blocks:
            places = torch.tensor(block, device=gradient.device)
            matrix = metric[places][:, places]
            matrix = matrix + group["damping"] * torch.eye(len(places), dtype=matrix.dtype, device=matrix.device)
            layer.weights[places] -= group["lr"] * torch.linalg.solve(matrix, gradient[places])
        return loss


def blocks_of(circuit: Circuit, structure: Structure) -> tuple[Sequence[int], ...]:
    """Return the blocks of weights: all, those whose gates stand side by side, or one by one."""
    if structure == "full":
        return (range(circuit.n_weights),) if circuit.n_weights else ()
    if structure == "diagonal":
        return tuple((number,) for number in range(circuit.n_weights))
    levels = [0] * circuit.n_qubits  # gates with weights in the past of each qubit
    blocks: dict[int, list[int]] = {}
    seen: set[int] = set()
    for op in circuit:
        numbers = [slot.index for slot in op.slots if slot.kind == "weight"]
        level = max(levels[qubit] for qubit in op.all_qubits) + bool(numbers)
        for qubit in op.all_qubits:
            levels[qubit] = level
        for number in numbers:
            if number not in seen:
                seen.add(number)
                blocks.setdefault(level, []).append(number)
    return tuple(blocks.values())
