"""Layer-wise training: a circuit that grows while it learns."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor

from circuits import Circuit, ComputedCircuit, Observable
from qml import checks
from qml.nn.quantum_layer import QuantumLayer


class LayerwiseStage(NamedTuple):
    """A part of layer-wise training.

    Attributes:
        layer: the layer to train now, with an optimiser of its own.
        n_layers: the depth of its circuit.
        trained: the weights that learn; gradients of all others are zero.
    """

    layer: QuantumLayer
    n_layers: int
    trained: slice


def layerwise_stages(
    make_circuit: Callable[[int], Circuit | ComputedCircuit],
    n_layers: int,
    observables: Sequence[Observable],
    *,
    first: int = 1,
    step: int = 1,
    window: int = 1,
    parts: int = 2,
    sweeps: int = 1,
    **options: Any,
) -> Iterator[LayerwiseStage]:
    """Yield the stages of layer-wise training, one after another, to be trained in between.

    The circuit starts with `first` layers, whose weights are zero, and grows by `step` layers at a time, whose weights
    are zero too. Of these only the last `window` layers learn. Then, at full depth, `parts` contiguous parts of the
    layers learn in turn, `sweeps` times. Each stage has a new layer that starts from the weights of the last one, so
    give it a new optimiser. Zero weights are a good start where a layer at zero is near the identity, and where its
    gradient does not vanish there by symmetry.

    Args:
        make_circuit: a function from the number of layers to the circuit; a deeper circuit must begin with the
            weights of a shallower one, as templates of `circuits.ansatzes` do.
        n_layers: the final depth, at least `first`.
        observables: whose expectation values the layer returns.
        first: the depth of the first stage, at least 1.
        step: the layers that are added at a time, at least 1.
        window: the layers at the end that learn while the circuit grows, at least `step`; at the first stage all learn.
        parts: the parts of the circuit at full depth, from 1 to `n_layers`.
        sweeps: how often they take turns; 0 leaves that phase out.
        options: further ones of `QuantumLayer`.

    Raises:
        ValueError: a depth below `first`, parts without a layer, a circuit that gets no more weights with its depth,
            weights that a stage has trained to NaN or infinity.
        RuntimeError: weights that should rest were moved, for example by an optimiser with weight decay.

    Reference:
        Skolik et al., arXiv:2006.14904, section 3 and figure 2.

    Example:
        >>> import torch
        >>> from circuits import X, ansatzes
        >>> from qml.nn import layerwise_stages
        >>> make = lambda depth: ansatzes.hardware_efficient(3, depth)
        >>> for stage in layerwise_stages(make, 3, [X(0)], parts=2):
        ...     optimizer = torch.optim.Adam(stage.layer.parameters(), lr=0.1)
        ...     stage.layer(torch.zeros(1, 0)).sum().backward()
        ...     optimizer.step()
        ...     print(stage.n_layers, stage.layer.weights.count_nonzero().item() > 0)
        1 True
        2 True
        3 True
        3 True
        3 True
    """
    checks.require_function(make_circuit, "make_circuit", "from a number of layers to a circuit")
    first, step = checks.as_int(first, "first", 1), checks.as_int(step, "step", 1)
    window = checks.as_int(window, "window", step, " So every new layer learns.")
    sweeps = checks.as_int(sweeps, "sweeps", 0)
    n_layers = checks.as_int(n_layers, "n_layers", first, " That is the depth of the first stage.")
    parts = checks.as_int(parts, "parts", 1)
    if parts > n_layers:
        raise ValueError(f"Argument `parts` must be at most the {n_layers} layers, but is {parts}.")
    return _stages(make_circuit, n_layers, observables, (first, step, window, parts, sweeps), options)


def _stages(
    make_circuit: Callable[[int], Circuit | ComputedCircuit],
    n_layers: int,
    observables: Sequence[Observable],
    counts: tuple[int, int, int, int, int],
    options: dict[str, Any],
) -> Iterator[LayerwiseStage]:
    first, step, window, parts, sweeps = counts
    depths = [*range(first, n_layers, step), n_layers]
    edges = [round(n_layers * part / parts) for part in range(parts + 1)]
    plan = [(depth, max(0, depth - window) if place else 0, depth) for place, depth in enumerate(depths)]
    plan += [(n_layers, low, high) for _ in range(sweeps) for low, high in pairwise(edges)]
    known: Tensor | None = None
    for depth, low, high in plan:
        layer = QuantumLayer(make_circuit(depth), observables, **options)
        start = torch.zeros_like(layer.weights)
        trained = slice(_n_weights(make_circuit, low), _n_weights(make_circuit, high))
        if not trained.start < trained.stop <= len(start) or (known is not None and len(known) > len(start)):
            raise ValueError(f"Argument `make_circuit` must add weights with each layer, but adds none below {depth}.")
        if known is not None:
            start[: len(known)] = known
        with torch.no_grad():
            layer.weights.copy_(start)
        layer.weights.register_hook(_only(trained))
        yield LayerwiseStage(layer, depth, trained)
        known = layer.weights.detach()
        checks.require_finite(known, "weights")
        _require_rest(known, start, trained)


def _n_weights(make_circuit: Callable[[int], Circuit | ComputedCircuit], n_layers: int) -> int:
    made = make_circuit(n_layers) if n_layers else Circuit(1)
    return (made.circuit if isinstance(made, ComputedCircuit) else made).n_weights


def _only(trained: slice) -> Callable[[Tensor], Tensor]:
    def mask(gradient: Tensor) -> Tensor:
        kept = torch.zeros_like(gradient)
        kept[trained] = gradient[trained]
        return kept

    return mask


def _require_rest(weights: Tensor, start: Tensor, trained: slice) -> None:
    moved = weights != start
    moved[trained] = False
    if moved.any():
        raise RuntimeError(
            f"{int(moved.sum())} weights that should rest at this stage have moved. Train each stage with a new "
            "optimiser without weight decay, and do not write to the others."
        )
