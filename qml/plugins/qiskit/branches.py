"""Blocks of a dynamic circuit that run on a condition: which values select them, and their steps under controls."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

import numpy as np
from qiskit.circuit import Clbit, ControlFlowOp, QuantumCircuit

from circuits import channels, steps
from circuits.gates import Channel, Fixed, Reset
from circuits.steps import LinearStep
from qml.backends.convert.qiskit_flow import Choices

PASSED_OVER = ("barrier", "delay")


def conditional(inner: Sequence[LinearStep], controls: Sequence[int], values: Sequence[int]) -> list[LinearStep]:
    """Return steps where every control reads its value; resets are of spare wires, and happen in any case."""
    gates = [step for step in inner if not isinstance(step.gate, Reset)]
    if len(gates) == len(inner) and not any(isinstance(step.gate, Channel) for step in inner):
        return steps.controlled(inner, controls, values=values)
    result: list[LinearStep] = []
    for step in inner:
        if isinstance(step.gate, Reset):
            result.append(step)
        elif isinstance(step.gate, Channel):
            result.append(_conditional_channel(step, step.gate, controls, values))
        else:
            result += steps.controlled([step], controls, values=values)
    return result


def _conditional_channel(
    step: LinearStep, channel: Channel, controls: Sequence[int], values: Sequence[int]
) -> LinearStep:
    """Return a channel that acts where classical controls have their values."""
    chosen = reduce(np.kron, [np.diag([1.0 - value, float(value)]) for value in values])
    operators = channel.kraus.values
    idle = np.kron(np.eye(len(chosen)) - chosen, np.eye(operators.shape[-1]))
    kraus = [np.kron(chosen, operator) for operator in operators]
    return replace(step, gate=channels.kraus(np.array([idle, *kraus])), qubits=(*controls, *step.qubits))


def misread(wrong_zero: float, wrong_one: float) -> Channel:
    """Return the read-out errors of a classical bit: the probabilities that 0 reads 1 and that 1 reads 0."""
    rates = {(0, 0): 1.0 - wrong_zero, (1, 0): wrong_zero, (1, 1): 1.0 - wrong_one, (0, 1): wrong_one}
    operators = np.zeros((len(rates), 2, 2))
    for number, (place, rate) in enumerate(rates.items()):
        operators[number][place] = np.sqrt(rate)
    return channels.kraus(operators)


def flag_steps(flag: int, wires: Sequence[int], choices: Choices) -> list[LinearStep]:
    """Return the steps that flip a wire where others have one of some values; they are their own inverse."""
    flip = LinearStep(Fixed("x"), (flag,))
    others = 2 ** len(wires) - len(choices)
    if others < len(choices):
        missing = frozenset(_all_choices(len(wires))) - choices
        return [flip, *flag_steps(flag, wires, missing)] if missing else [flip]
    return [step for values in sorted(choices) for step in steps.controlled([flip], wires, values=values)]


def _all_choices(n_bits: int) -> Iterator[tuple[int, ...]]:
    return (tuple(number >> place & 1 for place in range(n_bits)) for number in range(2**n_bits))


def restricted(choices: Choices, known: Mapping[int, int | None]) -> Choices:
    """Return the values at the places that are not known, of the choices that agree with what is known."""
    return frozenset(
        tuple(value for place, value in enumerate(choice) if known[place] is None)
        for choice in choices
        if all(known[place] in (None, value) for place, value in enumerate(choice))
    )


def written_bits(circuit: QuantumCircuit, bits: Sequence[int]) -> Iterator[int]:
    """Return the bits that a circuit measures into, those of its branches included."""
    places: dict[Clbit, int] = dict(zip(circuit.clbits, bits, strict=True))
    for item in circuit.data:
        inner = [places[bit] for bit in item.clbits]
        if isinstance(item.operation, ControlFlowOp):
            for block in item.operation.blocks:
                yield from written_bits(block, inner)
        else:
            yield from inner


def last_measurements(circuit: QuantumCircuit, *, passed_over: Sequence[str]) -> set[int]:
    """Return the numbers of the measurements whose qubit and bit no later instruction uses.

    Args:
        circuit: what runs.
        passed_over: names of instructions that do nothing.
    """
    result: set[int] = set()
    used: set[Any] = set()
    for number in range(len(circuit.data) - 1, -1, -1):
        item = circuit.data[number]
        if item.name in passed_over:
            continue
        touched = {*item.qubits, *item.clbits}
        if item.name == "measure" and used.isdisjoint(touched):
            result.add(number)
        used |= touched
    return result
