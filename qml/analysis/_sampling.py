"""Helpers that the analyses share: circuits whose every angle is drawn."""

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit, Slot
from qml import checks

TURN = 2 * torch.pi


def with_data_slots_only(circuit: Circuit) -> Circuit:
    """Turn weight slot i into data slot n_data + i, so that every sample has angles of its own."""
    checks.require_kind(circuit, "circuit", Circuit)
    if any(op.is_preparation and op.slots for op in circuit.operations):
        raise ValueError(
            "Argument `circuit` must take angles only, but takes amplitudes from data slots. Start it from a constant "
            "state instead."
        )
    result, n_data = Circuit(circuit.n_qubits), circuit.n_data
    for op in circuit.operations:
        angles = [
            Slot("data", n_data + angle.index) if isinstance(angle, Slot) and angle.kind == "weight" else angle
            for angle in op.angles
        ]
        result.append(op.gate, op.qubits, controls=op.controls, angles=angles)
    return result


def random_angles(n_samples: int, n_angles: int, generator: torch.Generator | None) -> Float[Tensor, "batch inputs"]:
    """Draw angles uniformly in [0, 2 pi), in float64."""
    checks.require_generator(generator)
    return TURN * torch.rand(n_samples, n_angles, generator=generator, dtype=torch.float64)


def require_samples(n_samples: int, minimum: int = 2) -> None:
    """Refuse too few samples."""
    checks.as_int(n_samples, "n_samples", minimum)
