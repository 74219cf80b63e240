"""Persistent rings on any backend: all rings and series in one call."""

from collections.abc import Sequence
from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from circuits import Circuit
from circuits import reservoir as ring_circuits
from circuits.gates import Channel
from qml.backends import Backend, resolve
from qml.checks import as_shots, require_tensor
from qml.nn.reservoirs.persistent import ring_angles
from qml.nn.reservoirs.rings import PersistentRing, Ring, as_rings
from qml.reservoir.series_checks import require_series


def sampled_features(
    rings: Sequence[Ring],  # only persistent ones, which is checked below
    inputs: Tensor,  # (batch, time, inputs), checked below with a message
    *,
    backend: Backend | str = "native",
    shots: int = 1000,
    noise: Channel | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "batch time features"]:
    """Measure features of persistent rings from the bits that a device records: one wide circuit, one call of `sample`.

    The whole series is one circuit with measurement and reset at every step, and the rings are side by side in it. The
    features are those of `OnionReservoir(rings)`, with the correlated noise of `shots` runs. A step that a simulator
    repeats costs 2**n for all n qubits together; a device runs the rings at the same time.

    Args:
        rings: persistent rings, at least one.
        inputs: series of one length, (batch, time, inputs).
        backend: anything that measures and resets inside a circuit.
        shots: runs of each series.
        noise: a channel on every qubit after every layer, where the backend simulates channels.
        generator: of the samples, where the backend takes one.

    Raises:
        TypeError: rings that feed back, inputs that are no dense floating tensor.
        ValueError: no rings, a backend that cannot measure inside a circuit, shots below 1.
    """
    target = resolve(backend)
    chosen = _persistent(rings)
    if not (target.capabilities.mid_circuit and target.capabilities.shots):
        raise ValueError(
            f"Backend {target.name} must measure and reset qubits inside a circuit and give shots, but does not. Use "
            'backend="native".'
        )
    shots = as_shots(shots)
    require_tensor(inputs, "inputs")
    if inputs.ndim != 3:
        raise ValueError(
            f"Argument `inputs` must have shape (batch, time, inputs), but has shape {tuple(inputs.shape)}. Pass one "
            "series as inputs[None]."
        )
    if inputs.is_meta:
        raise ValueError("Argument `inputs` must have values, but is on the meta device.")
    require_series(inputs, inputs.shape[-1])
    circuit = wide_series(chosen, inputs.shape[1], noise=noise)
    angles = [_input_angles(ring, inputs) for ring in chosen]
    weights = torch.cat([ring_angles(ring).flatten() for ring in chosen]).to(inputs)
    samples = target.sample(circuit, torch.cat(angles, 1), weights, shots, generator=generator)
    signs = 1.0 - 2.0 * samples.bits.to(inputs.dtype)
    all_features, start = [], 0
    for ring in chosen:
        size = inputs.shape[1] * ring.n_rounds * ring.n_measured
        bits = signs[:, :, start : start + size].reshape(len(inputs), shots, -1, ring.n_measured)
        pairs = [bits[..., i] * bits[..., j] for i, j in combinations(range(ring.n_measured), 2)]
        features = torch.stack([*bits.unbind(-1), *pairs], -1).mean(1)
        all_features.append(features.reshape(len(inputs), inputs.shape[1], -1))
        start += size
    return torch.cat(all_features, -1)


def wide_series(rings: Sequence[PersistentRing], n_steps: int, *, noise: Channel | None = None) -> Circuit:
    """Build the circuit of `sampled_features`: every ring's whole series, side by side."""
    return ring_circuits.side_by_side(
        [
            ring_circuits.persistent_series(
                ring.n_qubits, ring.n_measured, n_steps * ring.n_rounds, n_layers=ring.n_layers, noise=noise
            )
            for ring in rings
        ]
    )


def _persistent(rings: Sequence[Ring]) -> list[PersistentRing]:
    chosen = as_rings(rings)
    for ring in chosen:
        if not isinstance(ring, PersistentRing):
            raise TypeError(
                f"Argument `rings` must hold PersistentRing objects, but holds {type(ring).__name__}. Feedback rings "
                "run on a backend as OnionReservoir(rings, backend=...)."
            )
    return [ring for ring in chosen if isinstance(ring, PersistentRing)]


def _input_angles(ring: PersistentRing, inputs: Tensor) -> Tensor:
    """Compute the angles of the data slots of a ring's series, (batch, steps * measured)."""
    n_inputs = inputs.shape[-1]
    if n_inputs > ring.n_measured:
        raise ValueError(
            f"Argument `inputs` must have at most {ring.n_measured} columns, the measured qubits, but has {n_inputs}."
        )
    order = torch.arange(ring.n_measured, device=inputs.device) % n_inputs
    repeated = inputs.repeat_interleave(ring.n_rounds, 1)
    return ring.input_scale * repeated[:, :, order].flatten(1)
