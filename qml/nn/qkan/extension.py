"""More uploads for trained activations, without a change of the function."""

import math

import torch

from qml.nn.qkan.points.parameters import ActivationParameters

COMMUTING = ("pz", "rpz")
"""Ansatzes whose added blocks commute with the read-out, so that they may upload their input from the start."""
IDENTITY_ANGLES = {"pz": (0.0, 0.0), "rpz": (0.0,), "mix": (0.0, 0.0), "real": (math.pi,)}
"""Angles with which an added block, uploading 0, is the identity."""


def extend_parameters(ansatz: str, old: ActivationParameters, new: ActivationParameters) -> None:
    """Fill the parameters of a set with more uploads, in place, so that every activation stays the same function.

    Raises:
        ValueError: an ansatz that has no such extension.
    """
    if ansatz not in IDENTITY_ANGLES:
        raise ValueError(
            f"Argument `ansatz` must be one of {', '.join(IDENTITY_ANGLES)} to be extended, but is {ansatz!r}. "
            "Build a layer of more uploads instead."
        )
    if old.scale is None and ansatz not in COMMUTING:
        raise ValueError(
            f"Argument `train_preactivation` must be True to extend ansatz {ansatz!r} without a change of the "
            'function, but is False. Use "pz" or "rpz".'
        )
    angles = IDENTITY_ANGLES[ansatz]
    with torch.no_grad():
        pattern = old.weights.new_tensor(angles).repeat(new.weights.shape[-1] // len(angles))
        new.weights.copy_(pattern.expand_as(new.weights))
        new.weights[..., : old.weights.shape[-1]] = old.weights
        if old.scale is not None and new.scale is not None:
            new.scale.fill_(1.0 if ansatz in COMMUTING else 0.0)
            new.scale[..., : old.scale.shape[-1]] = old.scale
        if old.shift is not None and new.shift is not None:
            new.shift.zero_()
            new.shift[..., : old.shift.shape[-1]] = old.shift
