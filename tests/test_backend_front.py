"""The front that backends share, and the names by which they are called."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, Observable, X, Z, data, weight
from qml.backends import SPSA, Aer, Capabilities, Native, NoisyNative, PennyLane, Samples, resolve
from qml.backends.exported import run
from qml.backends.front import CheckedBackend
from qml.backends.resolve import BACKENDS, NamedBackend
from qml.entry_points import PlugInError
from qml.nn import QuantumLayer
from tests.helpers import assert_close
from tests.test_cli import run as command
from tests.test_export import Reader, circuit_of_two, exported


@dataclass(frozen=True)
class Constant(CheckedBackend):
    """A backend that returns one number, and refuses an empty batch, which its front keeps away."""

    value: float = 0.5
    place: str = "here"

    @property
    def name(self) -> str:
        """Return the name and the place."""
        return f"constant {self.place}"

    @property
    def capabilities(self) -> Capabilities:
        """Return all but jets."""
        return Capabilities(exact=True, shots=True, noise=True, mid_circuit=True, derivative_order=None)

    def _expectation(
        self, circuit: Circuit, data: Tensor, weights: Tensor, observables: tuple[Observable, ...]
    ) -> Tensor:
        assert len(data)
        return data.new_full((len(data), len(observables)), self.value)

    def _probabilities(self, circuit: Circuit, data: Tensor, weights: Tensor, qubits: tuple[int, ...]) -> Tensor:
        assert len(data)
        return data.new_full((len(data), 2 ** len(qubits)), self.value)

    def _sample(
        self,
        circuit: Circuit,
        data: Tensor,
        weights: Tensor,
        shots: int,
        qubits: tuple[int, ...],
        generator: torch.Generator | None,
    ) -> Samples:
        assert len(data)
        bits = torch.zeros(len(data), shots, len(qubits), dtype=torch.int8)
        return Samples(bits, bits.new_zeros(len(data), shots, circuit.n_bits))


CIRCUIT = Circuit(2).ry(data(0), 0).rx(weight(0), 1)
INPUTS, WEIGHTS = torch.rand(3, 1), torch.rand(1)


# --- one front --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [Constant(), Native(), Aer(), PennyLane(), NoisyNative("fake_manila")])
def test_every_backend_answers_for_an_empty_batch_and_refuses_bad_arguments_alike(backend: CheckedBackend) -> None:
    assert backend.expectation(CIRCUIT, INPUTS[:0], WEIGHTS, [Z(0)]).shape == (0, 1)
    assert backend.probabilities(CIRCUIT, INPUTS[:0], WEIGHTS, [1]).shape == (0, 2)
    samples = backend.sample(CIRCUIT, INPUTS[:0], WEIGHTS, 7, qubits=[1])
    assert (samples.qubits.shape, samples.bits.shape) == ((0, 7, 1), (0, 7, 0))
    for call in (
        lambda values: backend.expectation(CIRCUIT, values, WEIGHTS, [Z(0)]),
        lambda values: backend.probabilities(CIRCUIT, values, WEIGHTS),
        lambda values: backend.sample(CIRCUIT, values, WEIGHTS, 5),
    ):
        with pytest.raises(ValueError, match="`data` must have shape"):
            call(torch.rand(3, 2))
        with pytest.raises(ValueError, match="`data` must be finite"):
            call(INPUTS * torch.nan)
    with pytest.raises(ValueError, match="`observables` must act on qubits"):
        backend.expectation(CIRCUIT, INPUTS, WEIGHTS, [Z(2)])
    with pytest.raises(ValueError, match="`qubits` must be distinct"):
        backend.probabilities(CIRCUIT, INPUTS, WEIGHTS, [0, 0])


@pytest.mark.parametrize("backend", [Aer(), PennyLane()])
def test_autocast_stays_outside_of_every_backend(backend: CheckedBackend) -> None:
    expected = backend.probabilities(CIRCUIT, INPUTS, WEIGHTS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        probabilities = backend.probabilities(CIRCUIT, INPUTS, WEIGHTS)
    assert probabilities.dtype == torch.float32
    assert_close(probabilities, expected, 0.0)


@pytest.mark.parametrize("backend", [Constant(0.25), Aer(), NoisyNative("fake_manila")])
def test_a_backend_of_plain_options_is_written_into_exported_programs(backend: Any) -> None:
    circuit = Circuit(2).ry(data(0), 0).rx(data(1), 1).cx(0, 1)
    for method in ("expectation", "probabilities"):
        model = Reader(circuit, backend, method)
        inputs = torch.rand(7, 2, dtype=torch.float64)
        assert_close(exported(model, 2).module()(inputs), model(inputs), 1e-12)


def test_what_cannot_be_written_into_a_program_is_refused() -> None:
    class Local(Native):
        """A class that no other process can import."""

    for backend, message in ((Aer(gradient=SPSA()), "must be numbers, texts"), (Local(), "dataclasses of a module")):
        with pytest.raises(ValueError, match=message):
            exported(Reader(circuit_of_two(), backend), 2)


def test_programs_of_earlier_versions_run_and_foreign_classes_are_refused() -> None:
    options = {"method": "auto", "representation": "auto", "readout_error": [0.1, 0.1]}
    call = {"backend": options, "circuit": "OPENQASM 3.0;\nqubit[1] q;\n", "method": "probabilities", "asked": [0]}
    nothing = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    assert_close(run(*nothing, json.dumps(call), 2), [[0.9, 0.1]], 1e-12)
    for path, message in (("os.system", "must name the class"), ("qml.nowhere.Native", "needs the backend")):
        with pytest.raises(ValueError, match=message):
            run(*nothing, json.dumps({"class": path, **call}), 2)


# --- layers ask for capabilities --------------------------------------------------------------------------------------


class Inherited(Native):
    """A subclass that computes what `Native` does."""


class Doubled(Native):
    """A subclass whose expectation values are others."""

    def _expectation(self, *inputs: Any) -> Tensor:
        return 2.0 * super()._expectation(*inputs)


class DoubledJets(Doubled):
    """A subclass whose jets are those of its values."""

    def expectation_jet(self, *inputs: Any) -> Tensor:
        """See `JetBackend`."""
        return 2.0 * super().expectation_jet(*inputs)


def test_capabilities_of_options_and_subclasses() -> None:
    for backend, jets, closed_form in (
        (Native(), True, True),
        (Native(method="autograd"), True, False),
        (Native(method="adjoint"), False, False),
        (Native(representation="density"), False, False),
        (Native(readout_error=(0.1, 0.1)), True, False),
        (Inherited(), True, True),
        (Doubled(), False, False),
        (DoubledJets(), True, False),
        (Aer(), False, False),
    ):
        assert (backend.capabilities.jets, backend.capabilities.closed_form) == (jets, closed_form), backend


def layer(backend: Any) -> QuantumLayer:
    circuit = Circuit(2).ry(data(0), 0).rx(data(1), 1).cx(0, 1).ry(weight(0), 1)
    generator = torch.Generator().manual_seed(0)
    return QuantumLayer(circuit, [Z(1), X(0)], backend=backend, dtype=torch.float64, generator=generator)


def derivatives(module: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    leaf = inputs.clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(leaf).square().sum(), leaf, create_graph=True)
    (second,) = torch.autograd.grad(slope.sum(), leaf)
    return slope, second


def test_derivatives_of_a_layer_are_right_or_refused_with_every_option() -> None:
    inputs = torch.rand(3, 2, dtype=torch.float64)
    slope, second = derivatives(layer(Native()), inputs)
    for backend, factor in (
        (Native(representation="density"), 1.0),
        (Inherited(), 1.0),
        (Doubled(), 4.0),
        (DoubledJets(), 4.0),
    ):
        for found, expected in zip(derivatives(layer(backend), inputs), (slope, second), strict=True):
            assert_close(found, factor * expected.detach(), 1e-10)
    leaf = inputs.clone().requires_grad_()
    value = layer(Native(method="adjoint"))(leaf).square().sum()
    (once,) = torch.autograd.grad(value, leaf, retain_graph=True)
    assert_close(once, slope.detach(), 1e-10)
    with pytest.raises(RuntimeError, match="second derivative must not be asked of Native"):
        torch.autograd.grad(value, leaf, create_graph=True)


# --- names ------------------------------------------------------------------------------------------------------------


def test_every_name_makes_its_backend_at_first_use() -> None:
    for name, made in (("native", Native), ("aer", Aer), ("pennylane:lightning.qubit", PennyLane)):
        assert type(resolve(name)) is made
    assert isinstance(resolve("noisy:fake_manila"), NoisyNative)
    assert all(isinstance(named.make, str) for named in BACKENDS.values())


def test_another_package_adds_a_backend_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    information = tmp_path / "other_backends-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: other-backends\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[qml.backends]\n"
        "constant = tests.test_backend_front:Constant\n"
        "chosen = tests.test_backend_front:CHOSEN\n"
        "native = tests.test_backend_front:Constant\n"
        "wrong = tests.test_backend_front:circuit_of_two\n"
        "broken = tests.test_backend_front:nothing.here\n"
        "number = tests.test_backend_front:NUMBER\n"
    )
    with pytest.raises(ValueError, match="must be one of"):
        resolve("constant")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert resolve("constant") == Constant()
    assert resolve("chosen:x") == Constant(place="x")
    assert resolve("native") == Native()  # a name of this package stays its own
    for name, error, message in (
        ("constant:x", ValueError, "takes nothing after a colon"),
        ("chosen", ValueError, "must name a place, as in 'chosen':NAME"),
        (
            "unknown",
            ValueError,
            r"must be one of native, pennylane\[:DEVICE\].*, broken, chosen, constant, number, wrong",
        ),
        ("wrong", PlugInError, "of other-backends 1.0 must make a Backend, but makes a Circuit"),
        ("broken", PlugInError, "of other-backends 1.0 must be importable, but raises AttributeError: .*nothing"),
        ("number", PlugInError, "must be a class of backends or a NamedBackend, but is a int"),
    ):
        with pytest.raises(error, match=message):
            resolve(name)
    monkeypatch.setenv("COLUMNS", "300")
    lines = {line.split()[0]: line for line in command("backends").output.splitlines() if line.strip()}
    assert "qml-circuits" in lines["native"]
    assert "ready" in lines["aer[:DEVICE]"]
    assert re.search(r"a place +other-backends 1.0 +ready", lines["chosen:DEVICE"])
    assert "broken: Plug-in 'broken' (tests.test_backend_front:nothing.here) of other-backends 1.0" in lines["broken"]


def test_a_name_that_two_packages_offer_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package, kind in (("first", "Constant"), ("second", "CHOSEN")):
        information = tmp_path / f"{package}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[qml.backends]\ntwice = tests.test_backend_front:{kind}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        PlugInError, match=r"by one package, but is by .*CHOSEN of second 1.0 and .*Constant of first 1.0"
    ):
        resolve("twice")
    assert resolve("native") == Native()


NUMBER = 3
CHOSEN = NamedBackend(Constant, "place", "a place", required=True)
