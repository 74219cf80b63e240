"""More uploads for trained activations, without a change of the function."""

import math

import torch

from qml.nn.qkan.activations import Activations

# Angles of an added block that, with nothing uploaded, make it the identity; `pz` and `rpz` need no zero upload either,
# because what they add commutes with the read-out.
COMMUTING = ("pz", "rpz")
IDENTITY_ANGLES = {"pz": (0.0, 0.0), "rpz": (0.0,), "mix": (0.0, 0.0), "real": (math.pi,)}


def extend_into(old: Activations, new: Activations) -> None:
    """Copy angles and pre-activations into a set with more uploads, so that every activation stays the same function.

    Raises:
        ValueError: an ansatz that has no such extension.
    """
    if old.ansatz not in IDENTITY_ANGLES:
        raise ValueError(
            f"Argument `ansatz` must be one of {', '.join(IDENTITY_ANGLES)} to be extended, but is {old.ansatz!r}. "
            "Build a layer of more uploads instead."
        )
    if old.input_weight is None and old.ansatz not in COMMUTING:
        raise ValueError(
            f"Argument `train_preactivation` must be True to extend ansatz {old.ansatz!r} without a change of the "
            'function, but is False. Use "pz" or "rpz".'
        )
    angles = IDENTITY_ANGLES[old.ansatz]
    with torch.no_grad():
        pattern = old.weights.new_tensor(angles).repeat(new.program.n_weights // len(angles))
        new.weights.copy_(pattern.expand_as(new.weights))
        new.weights[..., : old.program.n_weights] = old.weights
        if old.input_weight is not None and new.input_weight is not None:
            new.input_weight.fill_(1.0 if old.ansatz in COMMUTING else 0.0)
            new.input_weight[..., : old.reps] = old.input_weight
        if old.input_bias is not None and new.input_bias is not None:
            new.input_bias.zero_()
            new.input_bias[..., : old.reps] = old.input_bias
