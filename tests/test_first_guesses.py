"""What a new user guesses first: it works, or the message says what to write in its place."""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import qml
from circuits import Circuit, X, Z, data, weight
from circuits.gates import GateMethods
from circuits.other_names import OTHER_NAMES
from circuits.polynomials import inputs
from qml.backends import Native, Samples, resolve
from qml.backends.convert.pennylane import from_pennylane
from qml.estimators import LayerClassifier
from qml.nn import QLSTM, DataReuploadingClassifier, QuantumLayer, logistic_loss, save_model
from qml.pinn import MLP, Box, Face, Pinn, Problem, find_problem
from qml.reservoir.ensemble import Forecast

pennylane = pytest.importorskip("pennylane")
qiskit = pytest.importorskip("qiskit")


def circuit() -> Circuit:
    return Circuit(2).ry(data(0), 0).ry(data(1), 1).cx(0, 1).ry(weight(0), 0).rz(weight(1), 1)


def decay(**changes: Any) -> Problem:
    parts: dict[str, Any] = {
        "name": "decay",
        "domain": Box({"t": (0.0, 1.0)}),
        "fields": ("u",),
        "equations": {"decay": lambda u, u_t: u_t + u},
        "conditions": (Face("start", {"t": 0.0}, lambda u: u - 1.0),),
    }
    return Problem(**{**parts, **changes})


GUESSES: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "a multiple of a slot": (lambda: 2 * data(0), TypeError, r"data\(0\) must stand alone.*qml\.nn\.Angles"),  # pyright: ignore[reportOperatorIssue]
    "a sum of slots": (lambda: data(0) + weight(1), TypeError, "without arithmetic"),  # pyright: ignore[reportOperatorIssue]
    "a negative slot": (lambda: -weight(1), TypeError, r"weight\(1\) must stand alone"),  # pyright: ignore[reportOperatorIssue]
    "angle behind the qubit": (lambda: Circuit(2).rx(0, data(0)), TypeError, r"as in rx\(angle, qubit\)"),  # pyright: ignore[reportArgumentType]
    "a gate on several qubits": (lambda: Circuit(2).h((0, 1)), ValueError, "once for each qubit"),  # pyright: ignore[reportArgumentType]
    "Hadamard": (lambda: Circuit(2).Hadamard(0), AttributeError, r"Write h\(qubit\)"),  # pyright: ignore[reportAttributeAccessIssue]
    "a barrier": (lambda: Circuit(2).barrier(), AttributeError, "Leave it out"),  # pyright: ignore[reportAttributeAccessIssue]
    "a misspelt gate": (lambda: Circuit(2).rxxx(0.1, 0, 1), AttributeError, "Did you mean 'rxx'"),  # pyright: ignore[reportAttributeAccessIssue]
    "no observables": (lambda: QuantumLayer(circuit()), ValueError, r"Pass for example \[Z\(0\)\]"),
    "a word for an observable": (lambda: QuantumLayer(circuit(), ["ZZ"]), TypeError, r"example Z\(0\) @ Z\(1\)"),  # pyright: ignore[reportArgumentType]
    "an observable of Qiskit": (
        lambda: QuantumLayer(circuit(), [qiskit.quantum_info.SparsePauliOp("ZZ")]),
        TypeError,
        r"convert\.qiskit\.observable_from_qiskit",
    ),
    "an observable of PennyLane": (
        lambda: QuantumLayer(circuit(), [pennylane.Z(0)]),
        TypeError,
        r"convert\.pennylane\.observable_from_pennylane",
    ),
    "a circuit of Qiskit": (
        lambda: Native().expectation(qiskit.QuantumCircuit(1), torch.zeros(1, 0), torch.zeros(0), [Z(0)]),
        TypeError,
        r"convert\.qiskit\.from_qiskit",
    ),
    "weights before the data": (
        lambda: from_pennylane(lambda weights, inputs: pennylane.RX(inputs[0], wires=0), n_data=1, n_weights=1),
        ValueError,
        r"data first and the weights second, but takes \(weights, inputs\)",
    ),
    "a quantum function without sizes": (
        lambda: from_pennylane(lambda x, w: pennylane.RX(x[0], wires=0)),
        ValueError,
        r"one of \(x, w\)\. Pass the lengths or shapes.*n_data= and n_weights=",
    ),
    "a quantum function of the weights alone": (
        lambda: from_pennylane(lambda weights: pennylane.RX(weights[0], wires=0), n_weights=1),
        ValueError,
        r"lambda data, weights: function\(weights\)",
    ),
    "a device of PennyLane": (lambda: resolve("default.qubit"), ValueError, "Did you mean 'pennylane:default.qubit'"),
    "a fake device": (lambda: resolve("fake_torino"), ValueError, "Did you mean 'aer:fake_torino'"),
    "a misspelt backend": (lambda: resolve("nativ"), ValueError, "Did you mean 'native'"),
    "Qiskit's name of a fake device": (lambda: resolve("aer:FakeTorino"), ValueError, "Did you mean 'fake_torino'"),
    "a layer that is made already": (
        lambda: LayerClassifier(DataReuploadingClassifier(2, 1)).fit(np.eye(4, 2), [0, 1, 0, 1]),
        TypeError,
        "pass lambda n_features: DataReuploadingClassifier",
    ),
    "a misspelt layer": (
        lambda: LayerClassifier("reuploading").fit(np.eye(4, 2), [0, 1, 0, 1]),
        ValueError,
        "Did you mean 're-uploading'",
    ),
    "labels as numbers of classes": (
        lambda: logistic_loss(torch.zeros(2), torch.tensor([0, 1])),
        TypeError,
        r"pass 2 \* labels.float\(\) - 1",
    ),
    "a module of one's own": (
        lambda: save_model(type("Net", (nn.Module,), {})(), "x.safetensors"),
        TypeError,
        "^The model must be a layer that a file can hold, but is Net",
    ),
    "a misspelt problem": (lambda: find_problem("burger"), ValueError, "Did you mean 'burgers'"),
    "a domain as a dict": (lambda: decay(domain={"t": (0.0, 1.0)}), TypeError, r"Pass Box\("),
    "fields as one word": (lambda: decay(fields="uv"), TypeError, "`fields` must be a list of str"),
    "equations as a function": (lambda: decay(equations=lambda u, u_t: u_t + u), TypeError, "mapping from names"),
    "one name to evaluate": (
        lambda: Pinn(decay(), MLP(1, (3,))).evaluate(torch.rand(2, 1), "u_t"),
        TypeError,
        "`names` must be a list of str",
    ),
}


@pytest.mark.plain  # the checks of types would refuse some of these before, without the advice
@pytest.mark.parametrize("guess", GUESSES)
def test_a_wrong_guess_is_answered_with_what_to_write(guess: str) -> None:
    call, kind, message = GUESSES[guess]
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_what_is_said_to_be_written_for_a_gate_exists(name: str) -> None:
    ours = OTHER_NAMES[name].partition("(")[0]
    assert hasattr(Circuit, ours)
    assert not hasattr(GateMethods, name)


def test_a_circuit_that_answers_unknown_names_is_copied_and_pickled() -> None:
    assert pickle.loads(pickle.dumps(circuit())) == circuit() == copy.deepcopy(circuit())
    assert not hasattr(circuit(), "_repr_html_")


def test_a_printed_circuit_is_drawn() -> None:
    assert str(circuit()) == circuit().draw()
    assert repr(circuit()) == "Circuit(n_qubits=2, operations=5)"


def test_polynomials_still_take_slots_on_both_sides() -> None:
    (x,) = inputs(1)
    second: Any = data(1)
    assert second * x == x * second
    assert repr(second + x) == "x0 + x1"


def test_a_sum_of_observables_has_no_term_of_zero() -> None:
    assert sum([Z(0), X(1)]) == Z(0) + X(1)
    assert (Z(0) / 4).terms == ((0.25, ((0, "Z"),)),)


def test_rooms_are_attributes_of_the_package() -> None:
    for room in ("estimators", "kernels", "plugins", "nn", "pinn"):
        assert getattr(qml, room).__name__ == f"qml.{room}"


def test_a_quantum_layer_tells_its_sizes() -> None:
    layer = QuantumLayer(circuit(), [Z(0), Z(1), X(0)])
    assert (layer.n_inputs, layer.n_outputs) == (2, 3)
    assert "n_weights=2" in repr(layer)
    probabilities = QuantumLayer(circuit(), probabilities_of=[0, 1], angles=nn.Sequential(nn.Linear(5, 2), nn.Tanh()))
    assert (probabilities.n_inputs, probabilities.n_outputs) == (5, 4)
    assert probabilities(torch.rand(3, 5)).shape == (3, 4)
    assert QuantumLayer(circuit(), [Z(0)], angles=nn.Tanh()).n_inputs is None


def test_a_recurrent_layer_tells_its_sizes() -> None:
    text = repr(QLSTM(2, 3, batch_first=True))
    assert text.startswith("QLSTM(\n  2, 3, batch_first=True\n")
    assert "QLSTMCell(2, 3, n_weights=100, backend='native')" in text


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none does not\. Make it first"):
        save_model(nn.Sequential(nn.Linear(1, 1)), tmp_path / "none" / "x.safetensors")


def test_a_forecast_is_drawn_beside_arrays() -> None:
    mean = torch.arange(3.0)[:, None]
    forecast = Forecast(mean, mean - 1.0, mean + 1.0, mean[None], torch.ones(3, dtype=torch.bool))
    axes = forecast.plot(context=np.zeros((5, 1)), truth=np.ones((3, 1))).axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    np.testing.assert_array_equal(drawn["what came true"], np.ones(3))
    with pytest.raises(ValueError, match=r"`context` must have shape.*\(5,\).*Add the last dimension"):
        forecast.plot(context=np.zeros(5))


def test_samples_are_counted_by_outcome() -> None:
    nothing = torch.zeros(2, 0), torch.zeros(0)
    samples = Native().sample(Circuit(2).x(0), *nothing, 7)
    assert samples.counts() == [{"10": 7}, {"10": 7}]
    assert repr(samples) == "Samples(batch=2, shots=7, qubits=2, bits=0)"
    uneven = Samples(torch.tensor([[[0, 1], [1, 1], [1, 1]]], dtype=torch.int8), samples.bits[:1, :3])
    assert list(uneven.counts()[0].items()) == [("11", 2), ("01", 1)]
