"""The sampler: bits of all classical registers, drawn from exact probabilities."""

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from qiskit.primitives import BaseSamplerV2, BitArray, DataBin, PrimitiveJob, PrimitiveResult, SamplerPubResult
from qiskit.primitives.containers.sampler_pub import SamplerPub
from torch import Tensor

from qml import checks
from qml.plugins.qiskit.estimator import Seed
from qml.plugins.qiskit.exact import ExactResult
from qml.plugins.qiskit.noise import DeviceNoise
from qml.plugins.qiskit.program import NATIVE, Program, program_of, rows_of
from qml.simulator.readout_error import flip_bits

MAX_DRAWN = 2**24  # bits that are drawn at once
MAX_EXACT_BITS = 16  # whose values all get a probability
SEED_LIMIT = 2**63 - 1


class Sampler(BaseSamplerV2):
    """Qiskit's sampler on the built-in simulator.

    Samples come from exact probabilities, those of measurements, resets and conditions on the way included. Parameter
    values of all PUBs with the same circuit and number of shots run as one batch. With `noise` a circuit must be
    transpiled for the device; samples then have its gate and read-out errors.

    Args:
        default_shots: of PUBs and runs that say nothing; None for exact probabilities, which stand where a `BitArray`
            has counts (`data.meas.get_counts()`), as far as registers have at most 16 bits together.
        seed: of the samples, at the beginning of every PUB. As in Qiskit's `StatevectorSampler`, all parameter values
            of a PUB then share their random numbers, up to 16 measured qubits and without noise; samples of last
            measurements are the same as Qiskit's, up to rounding. A generator goes on from run to run.
        noise: the name of a fake device, a Qiskit backend whose properties are taken, or an Aer `NoiseModel`.

    Raises:
        ValueError: a number of shots below 1, an unknown device.

    Example:
        >>> from qiskit import QuantumCircuit
        >>> from qml.plugins.qiskit import Sampler
        >>> circuit = QuantumCircuit(2)
        >>> _ = circuit.x(1), circuit.measure_all()
        >>> Sampler().run([circuit], shots=5).result()[0].data.meas.get_counts()
        {'10': 5}
    """

    def __init__(self, *, default_shots: int | None = 1024, seed: Seed = None, noise: Any = None) -> None:
        self._default_shots = None if default_shots is None else as_shots(default_shots, "default_shots")
        self._seed = seed
        self._noise = noise if noise is None or isinstance(noise, DeviceNoise) else DeviceNoise(noise)

    @property
    def default_shots(self) -> int | None:
        """Return the shots of PUBs and runs that say nothing; None for exact probabilities."""
        return self._default_shots

    @property
    def seed(self) -> Seed:
        """Return the seed of the samples."""
        return self._seed

    @property
    def noise(self) -> DeviceNoise | None:
        """Return the device's noise."""
        return self._noise

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> PrimitiveJob[PrimitiveResult[SamplerPubResult]]:
        """Start a run.

        Args:
            pubs: circuits, or tuples (circuit, parameter values, shots), of which the last two may be missing.
            shots: of PUBs that have none.

        Returns:
            A job whose result holds for each PUB a `BitArray` for each classical register, by its name, or without
            shots an `ExactBits`. Bits that nothing writes are 0.
        """
        chosen = self._default_shots if shots is None else as_shots(shots, "shots")
        coerced = [SamplerPub.coerce(pub, chosen) for pub in pubs]
        if any(not pub.circuit.cregs for pub in coerced):
            warnings.warn(
                "A circuit without classical registers has an empty result. Add measurements, such as measure_all().",
                stacklevel=2,
            )
        job = PrimitiveJob(self._run, coerced)
        job._submit()
        return job

    def _run(self, pubs: list[SamplerPub]) -> PrimitiveResult[SamplerPubResult]:
        draws = Draws(self._seed)
        groups: dict[tuple[int, int | None], list[int]] = {}
        programs: dict[int, Program] = {}
        for number, pub in enumerate(pubs):
            if id(pub.circuit) not in programs:
                programs[id(pub.circuit)] = program_of(pub.circuit, self._noise)
            groups.setdefault((id(programs[id(pub.circuit)]), pub.shots), []).append(number)
        results: dict[int, SamplerPubResult] = {}
        for (_, shots), group in groups.items():
            program = programs[id(pubs[group[0]].circuit)]
            rows = [rows_of(pubs[k].parameter_values.as_array(pubs[k].circuit.parameters)) for k in group]
            own = [pubs[number] for number in group]
            made = (
                _exact_results(own, program, rows)
                if shots is None
                else _sampled_results(own, program, rows, shots, draws)
            )
            results |= zip(group, made, strict=True)
        return PrimitiveResult([results[number] for number in range(len(pubs))], metadata={"version": 2})


class Draws:
    """The random numbers of a run.

    Args:
        seed: a whole number starts them afresh for every PUB, a generator goes on, None takes any.
    """

    def __init__(self, seed: Seed) -> None:
        self.seed = seed
        self._generator = seeded(np.random.default_rng(seed))

    @property
    def starts_afresh(self) -> bool:
        """Tell whether every PUB gets the same numbers."""
        return self.seed is not None and not isinstance(self.seed, np.random.Generator)

    def generator(self) -> torch.Generator:
        """Return the generator of the next PUB."""
        return seeded(np.random.default_rng(self.seed)) if self.starts_afresh else self._generator

    def uniform(self, shots: int) -> Tensor:
        """Return the numbers in [0, 1) that Qiskit draws for every row of parameter values."""
        return torch.from_numpy(np.random.default_rng(self.seed).random(shots))


def _sampled_results(
    pubs: Sequence[SamplerPub], program: Program, rows: Sequence[Tensor], shots: int, draws: Draws
) -> list[SamplerPubResult]:
    """Return the results of PUBs of one program; `rows` are the parameters of each."""
    if draws.starts_afresh and not has_shared_draws(program):
        parts = [sampled_registers(program, own, shots, draws.generator()) for own in rows]
        arrays = {name: BitArray.concatenate([part[name] for part in parts]) for name in parts[0]}
    elif draws.starts_afresh:
        arrays = packed(program, shared_bits(program, torch.cat(list(rows)), draws.uniform(shots)))
    else:
        arrays = sampled_registers(program, torch.cat(list(rows)), shots, draws.generator())
    results, start = [], 0
    for pub, own in zip(pubs, rows, strict=True):
        end = start + len(own)
        data = {
            name: BitArray(bits.array[start:end].reshape(*pub.shape, *bits.array.shape[1:]), bits.num_bits)
            for name, bits in arrays.items()
        }
        results.append(SamplerPubResult(DataBin(**data, shape=pub.shape), metadata=_metadata(pub)))
        start = end
    return results


def _exact_results(pubs: Sequence[SamplerPub], program: Program, rows: Sequence[Tensor]) -> list[SamplerPubResult]:
    """Return the results of PUBs of one program without shots."""
    bits = list(dict.fromkeys(bit for own in program.registers.values() for bit in own))
    if len(bits) > MAX_EXACT_BITS:
        raise ValueError(
            f"Exact probabilities must be of at most {MAX_EXACT_BITS} bits, but a circuit has {len(bits)}. Ask for "
            "shots, or measure fewer qubits."
        )
    with torch.no_grad():
        parts = [probabilities_of(program, part, bits) for part in torch.cat(list(rows)).split(program.max_rows)]
    joint = torch.cat(parts).numpy()
    results, start = [], 0
    for pub, own in zip(pubs, rows, strict=True):
        end = start + len(own)
        table = joint[start:end].reshape(*pub.shape, joint.shape[1])
        results.append(ExactResult(table, bits, program.registers, _metadata(pub)))
        start = end
    return results


def _metadata(pub: SamplerPub) -> dict[str, Any]:
    return {"shots": pub.shots, "circuit_metadata": pub.circuit.metadata}


def seeded(random: np.random.Generator) -> torch.Generator:
    """Return a generator of torch with a seed that is drawn."""
    return torch.Generator().manual_seed(int(random.integers(SEED_LIMIT)))


def sampled_registers(
    program: Program, parameters: Tensor, shots: int, generator: torch.Generator
) -> dict[str, BitArray]:
    """Return samples of each classical register, of shape (rows,)."""
    return packed(program, sampled_bits(program, parameters, shots, generator))


def packed(program: Program, drawn: Iterable[np.ndarray]) -> dict[str, BitArray]:
    """Return the values of all classical bits, (rows, shots, bits), as samples of each register, of shape (rows,)."""
    parts: dict[str, list[np.ndarray]] = {name: [] for name in program.registers}
    for bits in drawn:
        for name, places in program.registers.items():
            packed = BitArray.from_bool_array(bits[:, :, list(places)].astype(bool), order="little")
            parts[name].append(packed.array)
    return {
        name: BitArray(np.concatenate(arrays), len(program.registers[name])) for name, arrays in parts.items() if arrays
    }


def sampled_bits(program: Program, parameters: Tensor, shots: int, generator: torch.Generator) -> Iterable[np.ndarray]:
    """Draw the values of all classical bits, (rows, shots, bits) of int8, some rows at once."""
    written = sorted(program.bit_wires)
    wires = sorted({program.bit_wires[bit] for bit in written})
    columns = [wires.index(program.bit_wires[bit]) for bit in written]
    size = max(1, min(program.max_rows, MAX_DRAWN // (shots * max(1, len(wires)))))
    for part in parameters.split(size):
        bits = np.zeros((len(part), shots, program.n_bits), dtype=np.int8)
        if wires:
            drawn = _drawn(program, part, shots, wires, generator)
            for bit, column in zip(written, columns, strict=True):
                column_bits, errors = drawn[:, :, column], program.errors_of(bit)
                bits[:, :, bit] = flip_bits(column_bits, errors, generator) if any(errors) else column_bits
        yield bits


def has_shared_draws(program: Program) -> bool:
    """Tell whether `shared_bits` can draw the samples of a program."""
    return program.noise is None and len(set(program.bit_wires.values())) <= MAX_EXACT_BITS


def shared_bits(program: Program, parameters: Tensor, uniform: Tensor) -> Iterable[np.ndarray]:
    """Draw the values of all classical bits from the same random numbers at all parameters, some rows at once.

    Outcomes are numbered by the measured qubits, the first the lowest bit, and found in cumulated probabilities,
    as NumPy's `Generator.choice` does for Qiskit's `StatevectorSampler`.

    Args:
        program: what runs, without noise.
        parameters: (rows, parameters).
        uniform: (shots,), in [0, 1).
    """
    by_wire: dict[int, list[int]] = {}
    for bit, wire in program.bit_wires.items():
        by_wire.setdefault(wire, []).append(bit)
    first = sorted((own[0] for own in by_wire.values()), key=lambda bit: (program.last.get(bit, -1), bit))
    size = max(1, min(program.max_rows, MAX_DRAWN // (len(uniform) * max(1, len(first)))))
    for part in parameters.split(size):
        with torch.no_grad():
            sums = probabilities_of(program, part, first).double().cumsum(1)
        outcomes = torch.searchsorted(sums / sums[:, -1:], uniform.expand(len(part), -1).contiguous(), right=True)
        outcomes = outcomes.clamp_max(sums.shape[1] - 1).numpy()
        bits = np.zeros((len(part), len(uniform), program.n_bits), dtype=np.int8)
        for place, bit in enumerate(first):
            for same in by_wire[program.bit_wires[bit]]:
                bits[:, :, same] = outcomes >> place & 1
        yield bits


def _drawn(
    program: Program, parameters: Tensor, shots: int, wires: Sequence[int], generator: torch.Generator
) -> Tensor:
    """Draw the bits of wires, (rows, shots, wires)."""
    with torch.no_grad():
        circuit, data, weights = program.split(program.expressions.values(parameters))
        if data.shape[1] == 0 and len(data) > 1:  # equal rows share one distribution
            samples = NATIVE.sample(circuit, data[:1], weights, len(data) * shots, qubits=wires, generator=generator)
            return samples.qubits.reshape(len(data), shots, len(wires))
        return NATIVE.sample(circuit, data, weights, shots, qubits=wires, generator=generator).qubits


def as_shots(value: Any, name: str) -> int:
    """Return a number of shots.

    Raises:
        ValueError: it is no whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"Argument `{name}` must be a whole number of at least 1, but is {value!r}.")
    return checks.as_shots(value, name)


def probabilities_of(program: Program, parameters: Tensor, bits: Sequence[int]) -> Tensor:
    """Return the probabilities of the values of some bits, (rows, 2**bits), differentiable.

    Args:
        program: what runs.
        parameters: (rows, parameters).
        bits: numbers of classical bits, the first the lowest of a value.
    """
    written = [bit for bit in bits if bit in program.bit_wires]
    wires = [program.bit_wires[bit] for bit in written]
    values = program.expressions.values(parameters)
    if not written:
        result = values.new_zeros(len(values), 2 ** len(bits))
        result[:, 0] = 1.0
        return result
    distinct = sorted(set(wires))
    joint = NATIVE.probabilities(program.circuit, values, values.new_zeros(0), distinct)
    joint = _with_errors(joint, [_errors_of_wire(program, wire) for wire in distinct])
    place = torch.arange(joint.shape[1])
    outcomes = torch.zeros_like(place)
    for number, bit in enumerate(bits):
        if bit in program.bit_wires:
            shift = len(distinct) - 1 - distinct.index(program.bit_wires[bit])
            outcomes |= (place >> shift & 1) << number
    return joint.new_zeros(len(joint), 2 ** len(bits)).index_add(1, outcomes, joint)


def _errors_of_wire(program: Program, wire: int) -> tuple[float, float]:
    (errors,) = {program.errors_of(bit) for bit, place in program.bit_wires.items() if place == wire}
    return errors


def _with_errors(joint: Tensor, errors: Sequence[tuple[float, float]]) -> Tensor:
    """Return probabilities after read-out errors of each bit, the first the most significant."""
    shape = joint.shape
    for place, (wrong_zero, wrong_one) in enumerate(errors):
        if wrong_zero or wrong_one:
            confusion = joint.new_tensor([[1.0 - wrong_zero, wrong_one], [wrong_zero, 1.0 - wrong_one]])
            joint = (confusion @ joint.reshape(-1, 2, shape[1] >> (place + 1))).reshape(shape)
    return joint
