"""The classical twins of the QNN classifier: logistic regression, small multi-layer perceptrons, a sine."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qml import checks


class LogisticRegression(nn.Module):
    """An affine map that classifies, with `n_inputs + 1` parameters for two classes.

    Args:
        n_inputs: Features a sample.
        n_classes: Two give one logit, more give one a class.
        device: Where the parameters live.
        dtype: Their type.
        generator: Source of the initial weights; None takes torch's own.

    Shape:
        (..., n_inputs) to (...) for two classes, (..., n_classes) for more.

    Attributes:
        linear: The map, weights and bias from U(-k, k) with k = 1/sqrt(n_inputs).
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        n_classes: int = 2,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        n_inputs, self.n_classes = checks.as_int(n_inputs, "n_inputs", 1), _as_classes(n_classes)
        self.linear = _linear(n_inputs, _n_outputs(self.n_classes), device, dtype)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        _reset(self.linear, generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "..."]:
        """Compute the logits of `inputs`."""
        return _squeeze(_finite(self, self.linear(_features(inputs, self.linear))), self.n_classes)


class MLPClassifier(nn.Module):
    """A multi-layer perceptron: layers of tanh units that an affine map reads out.

    Args:
        n_inputs: Features a sample.
        hidden_sizes: Units of each hidden layer, at least one layer; a number alone is one layer.
        n_classes: Two give one logit, more give one a class.
        device: Where the parameters live.
        dtype: Their type.
        generator: Source of the initial weights; None takes torch's own.

    Shape:
        (..., n_inputs) to (...) for two classes, (..., n_classes) for more.

    Attributes:
        layers: The affine maps, initialised as in `LogisticRegression`.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_sizes: int | Sequence[int],
        *,
        n_classes: int = 2,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        widths = _as_widths(hidden_sizes)
        n_inputs, self.n_classes = checks.as_int(n_inputs, "n_inputs", 1), _as_classes(n_classes)
        sizes = (n_inputs, *widths, _n_outputs(self.n_classes))
        self.layers = nn.ModuleList(_linear(size, next_size, device, dtype) for size, next_size in pairwise(sizes))
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        for layer in self.layers:
            _reset(layer, generator)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "..."]:
        """Compute the logits of `inputs`."""
        hidden = _features(inputs, self.layers[0])
        for layer in self.layers[:-1]:
            hidden = torch.tanh(layer(hidden))
        return _squeeze(_finite(self, self.layers[-1](hidden)), self.n_classes)


class SineClassifier(nn.Module):
    """A classifier by sin(w . x + b), which is what a QNN of commuting gates computes, without a circuit.

    One layer of ZX gates on bits reads out sin(2 sum_j theta_j z_j) (Farhi and Neven, arXiv 1802.06002): this
    model assumes about its data what that quantum one does.

    Args:
        n_inputs: Features a sample.
        spread: Initial weights are uniform in [-spread, spread].
        phase: Initial bias; pi/2 makes a cosine.
        device: Where the parameters live.
        dtype: Their type.
        generator: Source of the initial weights; None takes torch's own.

    Shape:
        (..., n_inputs) to (...), in [-1, 1].

    Attributes:
        linear: The map inside the sine.
    """

    def __init__(
        self,
        n_inputs: int,
        *,
        spread: float,
        phase: float = 0.0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        checks.require_generator(generator)
        n_inputs = checks.as_int(n_inputs, "n_inputs", 1)
        self.spread = checks.as_number(spread, "spread", at_least=0.0)
        self.phase = checks.as_number(phase, "phase")
        self.linear = _linear(n_inputs, 1, device, dtype)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Draw the initial weights anew."""
        nn.init.uniform_(self.linear.weight, -self.spread, self.spread, generator=generator)
        nn.init.constant_(self.linear.bias, self.phase)

    def forward(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch"]:
        """Compute predictions for `inputs`."""
        return torch.sin(_finite(self, self.linear(_features(inputs, self.linear)))).squeeze(-1)


def hidden_size_for(n_parameters: int, n_inputs: int) -> int:
    """Return the units of the one hidden layer that brings a two-class MLP nearest to `n_parameters`.

    Such a network has `h (n_inputs + 2) + 1` parameters, so 16 inputs and 2 units make 37.
    """
    return max(1, round((n_parameters - 1) / (n_inputs + 2)))


def count_parameters(module: nn.Module) -> int:
    """Count the trainable numbers in `module`."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def _features(inputs: Any, layer: nn.Module) -> Tensor:
    """Return inputs that `layer`, an affine map, can take: of its dtype, device and size, and finite."""
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"Argument `layer` must be an nn.Linear, but is {type(layer).__name__}.")
    inputs = checks.as_like(inputs, layer.weight)
    checks.require_last_dimension(inputs, layer.in_features, "inputs")
    checks.require_finite(inputs, "inputs")
    return inputs


def _finite(module: nn.Module, outputs: Tensor) -> Tensor:
    """Return the outputs of finite inputs, unless they show that a parameter is not finite."""
    checks.require_finite_result(outputs, module)
    return outputs


def _linear(n_inputs: int, n_outputs: int, device: torch.device | str | None, dtype: torch.dtype | None) -> nn.Linear:
    """Build an affine map without initial values: nn.Linear alone would draw from torch's global generator."""
    place = torch.get_default_device() if device is None else device
    return nn.Linear(n_inputs, n_outputs, device="meta", dtype=dtype).to_empty(device=place)


def _reset(layer: nn.Module, generator: torch.Generator | None) -> None:
    """Draw from U(-k, k) with k = 1/sqrt(n_inputs), as nn.Linear does."""
    if not isinstance(layer, nn.Linear):
        raise TypeError(f"Argument `layer` must be an nn.Linear, but is {type(layer).__name__}.")
    bound = 1.0 / math.sqrt(layer.in_features)
    nn.init.uniform_(layer.weight, -bound, bound, generator=generator)
    nn.init.uniform_(layer.bias, -bound, bound, generator=generator)


def _n_outputs(n_classes: int) -> int:
    return 1 if n_classes == 2 else n_classes


def _squeeze(logits: Float[Tensor, "*batch outputs"], n_classes: int) -> Float[Tensor, "..."]:
    return logits.squeeze(-1) if n_classes == 2 else logits


def _as_classes(n_classes: Any) -> int:
    return checks.as_int(n_classes, "n_classes", 2, " Pass 2 for yes and no.")


def _as_widths(hidden_sizes: Any) -> tuple[int, ...]:
    """Return the units of every hidden layer; a number alone is one layer."""
    if isinstance(hidden_sizes, Sequence) and not hidden_sizes:
        raise ValueError(
            "Argument `hidden_sizes` must hold at least one size, but is empty. Use LogisticRegression for a model "
            "without hidden units."
        )
    return checks.as_widths(hidden_sizes, "hidden_sizes")
