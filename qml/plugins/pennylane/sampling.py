"""Tapes with shots: samples of our simulator, which PennyLane's measurements make into results."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from pennylane.measurements import ClassicalShadowMP, ShadowExpvalMP
from pennylane.wires import Wires
from torch import Tensor

from circuits import Circuit
from qml.plugins.pennylane.execution import Loaded, as_result, labels_of, load
from qml.plugins.pennylane.program import NATIVE, with_rotations

SEED_LIMIT = 2**63 - 1
SHADOWS = (ClassicalShadowMP, ShadowExpvalMP)


def run_with_shots(
    tape: Any, wires: Wires | None, dtype: torch.dtype, generator: np.random.Generator, postselect_mode: str | None
) -> Any:
    """Return the results of a tape whose measurements commute, nested by its shot vector where it has one.

    Args:
        tape: whose measurements share one basis.
        wires: of the device.
        dtype: of the simulation.
        generator: of the seed of the samples.
        postselect_mode: `"fill-shots"` for as many samples as shots; else as many as succeed by chance.
    """
    labels = labels_of(tape, wires)
    measured = tape.copy(measurements=[], shots=None)
    loaded = load(measured, Wires(labels), dtype)
    with torch.no_grad():
        data, weights = loaded.program.layout.inputs(loaded.values, loaded.structure.batch, dtype)
        if isinstance(tape.measurements[0], SHADOWS):
            return _shadow(tape, loaded, data, weights, generator)
        circuit = with_rotations(loaded.program.circuit, tape.diagonalizing_gates, labels)
        read = _measured(tape, labels)
        shots = _successful(tape, circuit, data, weights, generator, postselect_mode)
        samples = _samples(circuit, data, weights, sum(shots), [labels.index(label) for label in read], generator)
    if loaded.structure.batch is None:
        samples = samples[0]
    results, start = [], 0
    for count in shots:
        part = samples[..., start : start + count, :]
        results.append(as_result([m.process_samples(part, Wires(read)) for m in tape.measurements]))
        start += count
    return tuple(results) if tape.shots.has_partitioned_shots else results[0]


def _measured(tape: Any, labels: tuple[Any, ...]) -> list[Any]:
    """Return the wires that are read, in the order of the circuit."""
    if any(not measurement.wires for measurement in tape.measurements):
        return list(labels)
    wanted = Wires.all_wires([measurement.wires for measurement in tape.measurements])
    return [label for label in labels if label in wanted]


def _successful(
    tape: Any,
    circuit: Circuit,
    data: Tensor,
    weights: Tensor,
    generator: np.random.Generator,
    postselect_mode: str | None,
) -> list[int]:
    """Return how many shots of each part of the shot vector pass all post-selections."""
    asked = list(tape.shots)
    if postselect_mode == "fill-shots" or not any(op.is_mid_circuit for op in circuit.operations):
        return asked
    chance = float(NATIVE.success_probability(circuit, data, weights)[0])
    return [int(generator.binomial(count, min(chance, 1.0))) for count in asked]


def _samples(
    circuit: Circuit,
    data: Tensor,
    weights: Tensor,
    shots: int,
    qubits: Sequence[int],
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw bits, (batch, shots, qubits)."""
    if shots == 0 or not qubits:
        return np.zeros((len(data), shots, len(qubits)), dtype=np.int64)
    seeded = torch.Generator(device=data.device).manual_seed(int(generator.integers(SEED_LIMIT)))
    drawn = NATIVE.sample(circuit, data, weights, shots, qubits=qubits, generator=seeded)
    return drawn.qubits.cpu().numpy().astype(np.int64)


def _shadow(tape: Any, loaded: Loaded, data: Tensor, weights: Tensor, generator: np.random.Generator) -> Any:
    """Return classical shadows, which draw a basis a shot."""
    state = NATIVE.state(loaded.program.circuit, data, weights)[0].cpu().numpy()
    n_qubits = loaded.program.circuit.n_qubits
    state = state.reshape((2,) * n_qubits)
    wires = Wires(range(n_qubits))
    places = loaded.program.places
    results = [
        as_result(
            [
                measurement.map_wires(places).process_state_with_shots(state, wires, count, rng=generator)
                for measurement in tape.measurements
            ]
        )
        for count in tape.shots
    ]
    return tuple(results) if tape.shots.has_partitioned_shots else results[0]
