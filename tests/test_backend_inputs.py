"""What the native backend refuses, and in which words: the value, the rule and the way out."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor

from circuits import Circuit, X, Y, Z, data, pauli_string, weight
from qml.backends import Native, resolve
from tests.helpers import tensors
from tests.named import CASES

CIRCUIT = Circuit(2).ry(data(0), 0).rx(data(1), 1).rz(weight(0), 0).cx(1, 0)
GOOD = torch.zeros(3, 2), torch.zeros(1)
NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        ((torch.zeros(3, 3), GOOD[1]), ValueError, r"`data` must have shape \(batch, 2\).*has shape \(3, 3\)"),
        ((torch.zeros(3, 1), GOOD[1]), ValueError, r"`data` must have shape \(batch, 2\).*has shape \(3, 1\)"),
        ((GOOD[0], torch.zeros(2)), ValueError, r"`weights` must have shape \(1,\).*has shape \(2,\)"),
        ((GOOD[0], torch.zeros(0)), ValueError, r"`weights` must have shape \(1,\).*has shape \(0,\)"),
        ((torch.full((3, 2), NAN), GOOD[1]), ValueError, "`data` must be finite"),
        ((GOOD[0], torch.tensor([INFINITY])), ValueError, "`weights` must be finite"),
        ((GOOD[0].double(), GOOD[1]), TypeError, "both be float32 or both float64.*torch.float64 and torch.float32"),
        ((GOOD[0].bfloat16(), GOOD[1].bfloat16()), TypeError, "both be float32 or both float64"),
    ],
)
def test_bad_inputs_are_refused(bad: tuple[Tensor, Tensor], error: type[Exception], message: str) -> None:
    for call in (
        lambda: Native().expectation(CIRCUIT, *bad, [Z(0)]),
        lambda: Native().probabilities(CIRCUIT, *bad),
        lambda: Native().sample(CIRCUIT, *bad, 3),
    ):
        with pytest.raises(error, match=message):
            call()


# These shapes and types contradict the annotations, so in tests beartype refuses them first.
@pytest.mark.parametrize(
    "bad", [(torch.zeros(2), GOOD[1]), (GOOD[0], torch.zeros(1, 1)), (GOOD[0].int(), GOOD[1].int())]
)
def test_inputs_of_another_rank_or_type_are_refused(bad: tuple[Tensor, Tensor]) -> None:
    with pytest.raises((TypeError, ValueError), match=r"data|weights"):
        Native().expectation(CIRCUIT, *bad, [Z(0)])


@pytest.mark.parametrize(
    ("observables", "error", "message"),
    [
        ([Z(0), X(2)], ValueError, r"qubits 0\.\.1, but 1\*X2 acts on 2"),
        ([Z(0) @ Y(5)], ValueError, r"qubits 0\.\.1.*acts on 5"),
    ],
)
def test_observables_on_missing_qubits_are_refused(observables: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Native().expectation(CIRCUIT, *GOOD, observables)


@pytest.mark.parametrize("observables", [Z(0), ["Z"], [None]])
def test_what_is_no_list_of_observables_is_refused(observables: Any) -> None:
    with pytest.raises(TypeError, match="observables"):
        Native().expectation(CIRCUIT, *GOOD, observables)


@pytest.mark.parametrize("qubits", [[2], [-1], [0, 0], []])
def test_bad_qubits_of_probabilities_are_refused(qubits: list[int]) -> None:
    message = r"`qubits` must be distinct and lie in 0\.\.1, at least one, but is " + re.escape(str(tuple(qubits)))
    with pytest.raises(ValueError, match=message):
        Native().probabilities(CIRCUIT, *GOOD, qubits)


def test_amplitudes_that_are_not_normalised_are_refused() -> None:
    circuit = Circuit(1).prepare_slots([data(0), data(1)])
    with pytest.raises(ValueError, match=r"norm 1.*differs from 1 by 0\.078"):
        Native().expectation(circuit, torch.tensor([[0.6, 0.8], [0.6, 0.7]]), torch.zeros(0), [Z(0)])


def test_slot_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match=r"data\(0\) is used nowhere"):
        Native().expectation(Circuit(1).ry(data(1), 0), torch.zeros(1, 2), torch.zeros(0), [Z(0)])


@pytest.mark.parametrize(
    ("n_qubits", "representation", "bytes_at_least"),
    [(60, "auto", 2**60), (30, "density", 4**30), (50, "state", 2**50)],
)
def test_a_register_that_will_not_fit_is_refused_with_its_bytes(
    n_qubits: int, representation: Any, bytes_at_least: int
) -> None:
    circuit = Circuit(n_qubits)
    for _ in range(8):  # so deep that no cut in two halves helps
        for qubit in range(n_qubits):
            circuit.u3(0.1, weight(0), 0.3, qubit).cx(qubit, (qubit + 1) % n_qubits)
    backend = Native(representation=representation)
    with pytest.raises((MemoryError, ValueError), match="bytes") as caught:
        backend.expectation(circuit, torch.zeros(2, 0), torch.zeros(1), [Z(0)])
    numbers = [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]{8,}", str(caught.value))]
    numbers += [2 ** int(power) for power in re.findall(r"2\*\*(\d+) bytes", str(caught.value))]
    assert max(numbers, default=0) >= bytes_at_least, str(caught.value)


def test_halves_that_will_not_fit_are_refused_as_such() -> None:
    circuit = Circuit(80)
    for _ in range(2):
        for qubit in range(80):
            circuit.ry(weight(0), qubit)
        for qubit in range(79):
            circuit.cx(qubit, qubit + 1)
    with pytest.raises(ValueError, match=r"each half of a circuit of 80 qubits, 41 .* need \S+ TB"):
        Native(method="adjoint").expectation(circuit, torch.zeros(1, 0), torch.zeros(1), [Z(79)])


def test_state_of_a_mixed_state_is_refused() -> None:
    with pytest.raises(ValueError, match="must come from a circuit without reset, measurement and noise"):
        Native().state(Circuit(1).reset(0), torch.zeros(1, 0), torch.zeros(0))


@pytest.mark.parametrize("name", ["resets", "measurements", "damping_noise"])
def test_state_vectors_are_refused_for_mixed_states(name: str) -> None:
    case = CASES[name]
    with pytest.raises(ValueError, match='representation="auto" or "density"'):
        Native(representation="state").expectation(case.circuit, *tensors(case), case.observables)


@pytest.mark.parametrize("option", ["method", "representation"])
def test_unknown_option_lists_the_choices(option: str) -> None:
    with pytest.raises((ValueError, TypeError), match=option):
        Native(**{option: "exact"})


@pytest.mark.parametrize("representation", ["state", "density"])
@pytest.mark.parametrize("call", ["expectation", "probabilities", "sample"])
def test_impossible_post_selection_is_refused(call: str, representation: Any) -> None:
    # One of the two samples can be selected, the other cannot.
    circuit = Circuit(1).rx(data(0), 0).post_select(0, 1)
    arguments = {"expectation": ([Z(0)],), "probabilities": (), "sample": (3,)}[call]
    with pytest.raises(ValueError, match=r"[Pp]ost-selection"):
        getattr(Native(representation=representation), call)(
            circuit, torch.tensor([[1.0], [0.0]]), torch.zeros(0), *arguments
        )


def test_impossible_and_unfit_calls_are_refused() -> None:
    data, weights = torch.zeros(1, 0), torch.zeros(0)
    with pytest.raises(ValueError, match="probability is zero within the rounding"):
        Native().state(Circuit(1).post_select(0, 1), data, weights)
    wide = Circuit(40).x(20, controls=(0, 1, 2, 3, 4))
    with pytest.raises(ValueError, match=r"need \S+ [GT]B"):
        Native().probabilities(wide, data, weights)
    with pytest.raises(ValueError, match=r"need \S+ [GT]B|need 2\*\*\d+ bytes"):
        Native(representation="density").probabilities(wide, data, weights)
    with pytest.raises(ValueError, match="at most 10 factors"):
        Native(readout_error=(0.1, 0.2)).expectation(Circuit(18), data, weights, [pauli_string("Z" * 18)])
    with pytest.raises(TypeError, match="must be a Backend, but is the class"):
        resolve(Native)  # pyright: ignore[reportArgumentType]


def test_equal_readout_errors_scale_a_long_string() -> None:
    value = Native(readout_error=(0.1, 0.1)).expectation(
        Circuit(12), torch.zeros(1, 0), torch.zeros(0), [pauli_string("Z" * 12)]
    )
    assert value.item() == pytest.approx(0.8**12, rel=1e-5)  # float32
