"""The trained numbers of a set of activations, as functions of them take them."""

from typing import NamedTuple

from torch import Tensor

from qml.nn.qkan.points.program import ActivationProgram


class ActivationParameters(NamedTuple):
    """The angles and pre-activations of a set of activations.

    Attributes:
        weights: angles in radians, shape (*edges, n_weights).
        scale: w of the pre-activation w x + b, shape (*edges, n_uploads); None where x itself is uploaded.
        shift: b, of the same shape; None where x itself is uploaded.
    """

    weights: Tensor
    scale: Tensor | None
    shift: Tensor | None

    def at(self, edges: Tensor) -> "ActivationParameters":
        """Return the parameters of the edges with these numbers along the first dimension."""
        return ActivationParameters(*(None if part is None else part[edges] for part in self))  # pyright: ignore[reportArgumentType]


def highest_frequency(program: ActivationProgram, scale: Tensor | None) -> float:
    """Return a bound of the frequencies that the activations have in their input: sum_l |w_l|, of the largest edge."""
    factors = [0.0] * program.n_uploads
    for rotation in program.rotations:
        if rotation.upload:
            factors[rotation.upload[0]] += abs(rotation.upload[1])
    if scale is None:
        return sum(factors)
    scale = scale.detach()
    if any(factor != 1.0 for factor in factors):
        scale = scale * scale.new_tensor(factors)
    return float(scale.abs().sum(-1).amax())
