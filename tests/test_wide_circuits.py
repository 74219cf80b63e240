"""Circuits wider than a register: light cones, their components and their copies, against the register as a whole."""

from contextlib import ExitStack
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from torch import Tensor

from circuits import Circuit, Observable, X, Y, Z, channels, data, pauli_string, weight
from qml.backends import Native
from qml.nn import QuantumLayer
from qml.simulator import cones
from qml.simulator.light_cone import light_cone
from tests import oracle
from tests.helpers import assert_close, is_likely, tensors
from tests.strategies import MID_CIRCUIT_KINDS, NOISE_KINDS, UNITARY_KINDS, Recipe, build, recipes

EVERY_KIND = (*UNITARY_KINDS, *MID_CIRCUIT_KINDS, *NOISE_KINDS)
SAME = 1e-10  # float64 algebra, normalised by a success probability
EXACT = 1e-12


def pieces_everywhere() -> ExitStack:
    """Narrow circuits, too, are cut into the pieces that were found, whatever they cost."""
    patches = ExitStack()
    patches.enter_context(mock.patch.object(cones, "NARROW", 0))
    patches.enter_context(mock.patch.object(cones, "GAIN", float("inf")))
    return patches


def values(circuit: Circuit, observables: list[Observable], weights: Tensor, inputs: Tensor | None = None) -> Tensor:
    """Expectation values of a circuit on the built-in simulator."""
    inputs = torch.zeros(1, 0, dtype=torch.float64) if inputs is None else inputs
    return Native().expectation(circuit, inputs, weights, observables)


def numbers(count: int, *, low: float = -1.0, high: float = 1.0) -> Tensor:
    """Distinct weights."""
    return torch.linspace(low, high, count, dtype=torch.float64)


# --- the same numbers as the whole register ---------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(recipes(EVERY_KIND, max_qubits=5))
def test_pieces_give_the_numbers_of_the_oracle(recipe: Recipe) -> None:
    with pieces_everywhere():
        case = build(recipe)
        assume(is_likely(case))
        values = Native().expectation(case.circuit, *tensors(case), case.observables)
        assert_close(values, oracle.expectation(case.circuit, case.data, case.weights, case.observables), SAME)


@settings(max_examples=100, deadline=None)
@given(recipes(EVERY_KIND, preparations=("constant",), max_qubits=4, min_batch=1))
def test_pieces_give_the_gradients_of_the_whole_register(recipe: Recipe) -> None:
    case = build(recipe)
    assume(is_likely(case) and case.circuit.n_weights + case.circuit.n_data)

    def gradients() -> list[Tensor]:
        inputs, weights = (part.requires_grad_() for part in tensors(case))
        total = Native().expectation(case.circuit, inputs, weights, case.observables).square().sum()
        total = total + 0.0 * (inputs.square().sum() + weights.square().sum())  # where all is constant
        first = torch.autograd.grad(total, (inputs, weights), create_graph=True)
        slope = sum((part.square().sum() for part in first), start=torch.zeros((), dtype=torch.float64))
        return [*first, *torch.autograd.grad(slope, (inputs, weights))]

    with mock.patch.object(cones, "NARROW", 99):
        whole = gradients()
    case = case._replace(circuit=case.circuit.copy())
    with pieces_everywhere():
        pieces = gradients()
    for piece, expected in zip(pieces, whole, strict=True):
        assert_close(piece, expected.detach(), 1e-8)
