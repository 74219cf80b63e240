"""Circuits on a device: never on what its calibration calls broken, and what reports say of their place."""

import json
from math import isfinite, nan, prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from qiskit.circuit import Measure, Parameter
from qiskit.circuit.library import CXGate, RZGate, SXGate, XGate
from qiskit.primitives import BackendEstimatorV2, StatevectorEstimator
from qiskit.providers import BackendV2, Options
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp, Statevector
from qiskit.transpiler import InstructionProperties, QubitProperties, Target
from qiskit_aer.noise import NoiseModel
from typer.testing import CliRunner

from circuits import Circuit, X, Z, weight
from qml import remote
from qml.backends import IBM, Aer, Native, NoisyNative, Qiskit
from qml.backends.primitives import targets, transpile
from qml.backends.primitives.noise import fake_device
from qml.commands.main import app
from qml.jobs import DirectRunner
from qml.nn import QNNClassifier, save_layer
from tests.helpers import assert_close

NOTHING = torch.zeros(1, 0, dtype=torch.float64)
BROKEN_DEVICES = ["fake_torino", "fake_cusco", "fake_manhattan", "fake_sherbrooke", "fake_kingston", "fake_cairo"]


def chain(n_qubits: int, *, closed: bool = True) -> Circuit:
    """RY on each qubit and a ring or a line of CX."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(weight(qubit), qubit)
    for qubit in range(n_qubits if closed and n_qubits > 2 else n_qubits - 1):
        circuit.cx(qubit, (qubit + 1) % n_qubits)
    return circuit


def uses(circuit: Circuit, compiler: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Each operation of the transpiled circuit on the device's qubits, and the read-out of each of ours."""
    isa, places, qubits = transpile.transpiled(circuit.n_qubits, circuit.operations, compiler)
    found = [(item.operation.name, tuple(qubits[isa.find_bit(q).index] for q in item.qubits)) for item in isa.data]
    return found + [("measure", (qubits[place],)) for place in places]


def error_of(device: Any, name: str, where: tuple[int, ...]) -> float:
    return device.target[name][where].error or 0.0


class Line(BackendV2):
    """Six qubits in a line with equal errors, except for what a test changes."""

    def __init__(self, flags: Any = None, **changes: Any) -> None:
        super().__init__(name="line", backend_version="2")
        times = [QubitProperties(t1=1e-4, t2=1e-4) for _ in range(6)]
        for qubit, value in changes.pop("times", {}).items():
            times[qubit] = value
        self._target = Target(num_qubits=6, qubit_properties=times)
        pairs = [pair for k in range(5) for pair in ((k, k + 1), (k + 1, k))]
        gates = {"rz": (RZGate(Parameter("t")), 0.0), "sx": (SXGate(), 1e-3), "x": (XGate(), 1e-3)}
        gates |= {"cx": (CXGate(), 1e-2), "measure": (Measure(), 2e-2)}
        for name, (gate, error) in gates.items():
            places = pairs if name == "cx" else [(qubit,) for qubit in range(6)]
            errors = dict.fromkeys(places, error) | changes.get(name, {})
            known = {where: None if e == "none" else InstructionProperties(1e-7, e) for where, e in errors.items()}
            self._target.add_instruction(gate, {where: what for where, what in known.items() if errors[where] != -1})
        if flags is not None:
            self.properties = lambda: flags

    @property
    def target(self) -> Target:  # pyright: ignore[reportIncompatibleMethodOverride]  # the base has no annotation
        return self._target

    @property
    def max_circuits(self) -> None:
        return None

    @classmethod
    def _default_options(cls) -> Options:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        raise NotImplementedError


# --- nothing runs on what is broken -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["calibration", "connectivity"])
@pytest.mark.parametrize("name", BROKEN_DEVICES)
def test_no_operation_is_on_a_broken_qubit_or_coupler(name: str, layout: Any) -> None:
    device = fake_device(name)
    for n_qubits in range(2, 9):
        for closed in (False, True):
            for gate, where in uses(chain(n_qubits, closed=closed), Aer(noise=name, layout=layout).compiler()):
                assert error_of(device, gate, where) < (0.5 if len(where) == 1 else 0.75), (n_qubits, gate, where)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_every_level_lays_out_by_errors_and_off_what_is_broken(level: int) -> None:
    """By errors is never worse than by couplings alone."""
    device, layer = fake_device("fake_torino"), QNNClassifier(5, "zxzx")
    for circuit in (chain(6), layer.circuit):
        fidelities = {}
        for layout in ("calibration", "connectivity"):
            errors = [
                error_of(device, *use)
                for use in uses(circuit, Aer(noise=device, level=level, layout=layout).compiler())
            ]
            assert max(errors) < 0.5
            fidelities[layout] = prod(1.0 - error for error in errors)
        assert fidelities["calibration"] >= fidelities["connectivity"]


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"cx": {(1, 2): 1.0, (2, 1): 1.0}}, {("cx", 1, 2), ("cx", 2, 1)}),
        ({"cx": {(1, 2): 0.75}}, {("cx", 1, 2)}),
        ({"cx": {(1, 2): nan, (2, 1): None}}, {("cx", 1, 2), ("cx", 2, 1)}),
        ({"cx": {(1, 2): "none"}}, {("cx", 1, 2)}),
        ({"sx": {(1,): 1.0}}, {1}),
        ({"x": {(1,): None}}, {1}),
        ({"measure": {(1,): 0.5}}, {1}),
        ({"measure": {(1,): -1}}, {1}),
        ({"times": {1: QubitProperties(t1=None, t2=1e-4)}}, {1}),
        ({"times": {1: QubitProperties(t1=1e-4, t2=0.0)}}, {1}),
        ({"times": {5: QubitProperties()}}, {5}),
        (
            {
                "flags": SimpleNamespace(
                    faulty_qubits=lambda: [1], faulty_gates=lambda: [SimpleNamespace(gate="cx", qubits=[3, 4])]
                )
            },
            {1, ("cx", 3, 4)},
        ),
    ],
)
def test_every_sign_of_a_fault_is_understood(changes: dict[str, Any], broken: set[Any]) -> None:
    """Whatever two-qubit circuit is laid out keeps off it, and working parts are missed by none."""
    device = Line(**changes)
    qubits = {item for item in broken if isinstance(item, int)}
    for n_qubits in (1, 2, 3):
        for layout in ("calibration", "connectivity"):
            found = uses(chain(n_qubits, closed=False), transpile.Compiler(device, layout=layout, compact=True))
            assert not {q for _, where in found for q in where} & qubits
            assert not {(name, *where) for name, where in found} & broken
    working = targets.working_part(device)
    assert working is not None
    assert working.qubits == tuple(qubit for qubit in range(6) if qubit not in qubits)
    n_pairs = 10 - sum(qubit in qubits for pair in range(5) for qubit in (pair, pair + 1)) * 2
    n_pairs -= sum(isinstance(item, tuple) for item in broken)
    assert len(working.target["cx"]) == n_pairs


def test_a_ring_on_broken_couplers_reads_and_learns_again() -> None:
    """At x = 0 every <Z> of the ring is 1 without noise, and loses no more than all gates and read-outs together do."""
    circuit, observables = chain(6), [Z(qubit) for qubit in range(6)]
    backend = NoisyNative("fake_torino")
    angles = torch.full((6,), 0.3, dtype=torch.float64, requires_grad=True)
    slopes = {}
    for name, where in (("noisy", backend), ("ideal", Native())):
        value = where.expectation(circuit, NOTHING, angles, observables).mean()
        (slopes[name],) = torch.autograd.grad(value, angles)
    assert slopes["noisy"].norm() > 0.7 * slopes["ideal"].norm() > 0.2
    values = backend.expectation(circuit, NOTHING, torch.zeros_like(angles), observables)
    assert values.min() > 0.8
    report = backend.layout_report(circuit)
    assert report.expected_fidelity is not None
    assert values.min() > 2.0 * report.expected_fidelity - 1.0


def test_devices_that_mix_couplers_are_transpiled_right() -> None:
    """CX stands on some couplers of this device and ECR on others, each in one direction."""
    circuit = chain(5).h(2).cx(4, 2).ry(0.4, 3)
    angles = torch.linspace(-1.0, 1.3, 5, dtype=torch.float64)
    observables = [Z(0) @ Z(3), X(2) @ Z(1), Z(4)]
    isa, places, _ = transpile.transpiled(5, circuit.operations, Aer(noise="fake_cairo").compiler())
    assert {item.operation.name for item in isa.data if len(item.qubits) == 2} <= {"cx", "ecr"}
    state = Statevector(isa.assign_parameters([angles[parameter.index].item() for parameter in isa.parameters]))
    for observable in observables:
        ((coefficient, factors),) = observable.terms
        where = SparsePauliOp.from_sparse_list(
            [("".join(letter for _, letter in factors), [places[qubit] for qubit, _ in factors], coefficient)],
            num_qubits=isa.num_qubits,
        )
        expected = Native().expectation(circuit, NOTHING, angles, [observable]).item()
        assert state.expectation_value(where).real == pytest.approx(expected, abs=1e-9)


def test_circuits_for_whole_devices_keep_off_what_is_broken_too() -> None:
    device = fake_device("fake_torino")
    backend = Qiskit(estimator=BackendEstimatorV2(backend=device), shots=100)
    isa, places, qubits = transpile.transpiled(6, chain(6).operations, backend.compiler())
    assert isa.num_qubits == 133
    assert qubits == list(range(133))
    for name, where in uses(chain(6), backend.compiler()):
        assert error_of(device, name, where) < 0.5
    assert backend.layout_report(chain(6)).qubits == tuple(places)


def test_one_circuit_always_gets_one_layout() -> None:
    found = []
    for _ in range(2):
        transpile.transpiler.cache_clear()
        targets.working_part.cache_clear()
        found.append(uses(chain(7), Aer(noise="fake_torino").compiler()))
    assert found[0] == found[1]


@pytest.mark.filterwarnings("ignore:.*no QubitProperties")
def test_devices_without_calibration_run_as_before() -> None:
    device = GenericBackendV2(5, coupling_map=[[k, k + 1] for k in range(4)], noise_info=False, seed=0)
    working = targets.working_part(device)
    assert working is not None
    assert working.qubits == (0, 1, 2, 3, 4)
    backend = Aer(noise=device)
    angles = torch.linspace(0.1, 0.9, 4, dtype=torch.float64)
    values = backend.expectation(chain(4), NOTHING, angles, [Z(0), Z(3)])
    assert_close(values, Native().expectation(chain(4), NOTHING, angles, [Z(0), Z(3)]), 1e-9)
    report = backend.layout_report(chain(4))
    assert report.expected_fidelity is None
    assert len(set(report.qubits)) == 4


# --- what is refused --------------------------------------------------------------------------------------------------


def call(backend: Any, circuit: Circuit) -> Any:
    return backend.expectation(circuit, NOTHING, torch.zeros(circuit.n_weights, dtype=torch.float64), [Z(0)])


PAIR = chain(2)
DEAD = Line(cx={(1, 2): 1.0, (2, 1): 1.0}, measure={(5,): 0.6})


@pytest.mark.parametrize(
    "make", [lambda layout: Aer(noise=DEAD, layout=layout), lambda layout: NoisyNative(DEAD, layout=layout)]
)
@pytest.mark.parametrize(
    ("layout", "circuit", "message"),
    [
        (
            (1, 2),
            PAIR,
            r"must put cx on a working coupler of line, but .* calls cx on \(1, 2\) broken \(cx has error 1\)",
        ),
        ([2, 1], PAIR, "must put cx on a working coupler"),
        ((0, 2), PAIR, r"where working couplers connect them, but on line none lead .* \[0, 2\]"),
        ((4, 5), PAIR, r"working qubits of line, but its calibration calls qubit 5 broken \(read-out has error 0.6\)"),
        ((0,), PAIR, "`layout` must name 2 of the 6 qubits of line"),
        ((0, 6), PAIR, "`layout` must name 2 of the 6 qubits of line"),
        ("calibration", chain(6), r"at most 5 qubits, .*Broken: qubit 5 \(read-out has error 0.6\), cx on \(1, 2\)"),
        (
            "calibration",
            chain(4),
            "no more of its qubits than working couplers connect, at most 3, but this one joins 4",
        ),
    ],
)
def test_circuits_that_need_what_is_broken_are_refused(make: Any, layout: Any, circuit: Circuit, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(make(layout), circuit)


@pytest.mark.parametrize("layout", ["trivial", (), (0, 0), (-1, 2), (0.5, 1), (True, False), 3, None])
@pytest.mark.parametrize(
    "make",
    [
        lambda layout: Aer(noise="fake_manila", layout=layout),
        lambda layout: NoisyNative("fake_manila", layout=layout),
        lambda layout: IBM("fake_manila", layout=layout),
        lambda layout: Qiskit(estimator=StatevectorEstimator(), layout=layout),
    ],
)
def test_a_layout_is_checked_where_it_is_written(make: Any, layout: Any) -> None:
    with pytest.raises(ValueError, match="`layout` must be one of 'calibration', 'connectivity'"):
        make(layout)


def test_a_layout_of_working_qubits_is_taken_as_it_is() -> None:
    for layout in ((4, 3), [4, 3], np.array([4, 3])):
        report = Aer(noise=DEAD, layout=layout).layout_report(PAIR)
        assert report.qubits == (4, 3)
        assert {item.qubits for item in report.operations if item.name == "cx"} <= {(4, 3), (3, 4)}


def test_a_device_whose_couplers_are_all_broken_runs_single_qubits() -> None:
    """Every coupler of this one has error 1."""
    with pytest.raises(ValueError, match=r"fake_kyoto .* at most 1, but this one joins 2.*and 140 more"):
        call(Aer(noise="fake_kyoto"), PAIR)
    apart = Circuit(2).ry(weight(0), 0).ry(weight(1), 1)
    assert call(Aer(noise="fake_kyoto"), apart).item() > 0.95


@pytest.mark.parametrize(
    "backend", [Aer(), Qiskit(estimator=StatevectorEstimator()), NoisyNative(NoiseModel(["rz", "sx", "cx"]))]
)
def test_where_there_is_no_device_there_is_no_report(backend: Any) -> None:
    with pytest.raises(ValueError, match="must have a device for a layout"):
        backend.layout_report(PAIR)


# --- reports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", [Aer(noise=DEAD), NoisyNative(DEAD), Aer(noise=DEAD, shots=10), IBM(DEAD)])
def test_the_expected_fidelity_is_the_product_of_what_succeeds(backend: Any) -> None:
    """Two RY take two sx each at most; a CX has error 0.01, a read-out 0.02."""
    report = backend.layout_report(PAIR)
    counts = {
        name: sum(item.count for item in report.operations if item.name == name)
        for name in ("sx", "x", "cx", "measure")
    }
    assert counts["cx"] == 1
    assert counts["measure"] == 2
    assert 2 <= counts["sx"] + counts["x"] <= 4
    expected = 0.999 ** (counts["sx"] + counts["x"]) * 0.99 * 0.98**2
    assert report.expected_fidelity == pytest.approx(expected, rel=1e-12)
    assert backend.layout_report(PAIR, [1]).expected_fidelity == pytest.approx(expected / 0.98, rel=1e-12)
    assert report.device == "line"
    assert report.two_qubit_errors == (0.01,)
    assert report.readout_errors == (0.02, 0.02)


def test_packed_and_deferred_circuits_are_reported_as_they_run() -> None:
    """Side by side there are two circuits; with shots a measurement inside is counted, and the read-out at the end."""
    assert len(Aer(noise="fake_torino", pack=2).layout_report(PAIR).qubits) == 4
    measured = Circuit(2).h(0).measure(0).cx(0, 1)
    report = Aer(noise="fake_torino", shots=10).layout_report(measured, [1])
    assert sum(item.count for item in report.operations if item.name == "measure") == 2


@pytest.mark.parametrize(
    "backend", [Aer(noise="fake_manila"), Aer(noise="fake_manila", shots=20), IBM("fake_manila", shots=20)]
)
def test_results_say_where_they_come_from(backend: Any) -> None:
    kept: list[Any] = []

    class Keeping(DirectRunner):
        def run(self, submission: Any) -> Any:
            kept.extend(super().run(submission))
            return kept

    call(backend.with_runner(Keeping(backend.service)), PAIR)
    (result,) = kept
    layout = json.loads(json.dumps(result.metadata["layout"]))
    report = backend.layout_report(PAIR, [0])
    assert layout["device"] == "fake_manila"
    assert layout["qubits"] == list(report.qubits)
    assert layout["expected_fidelity"] == pytest.approx(report.expected_fidelity, rel=1e-12)
    assert sum(item["count"] for item in layout["operations"] if item["name"] == "measure") == 1


def test_estimates_say_where_a_circuit_will_run(tmp_path: Path) -> None:
    save_layer(QNNClassifier(3, "zx", generator=torch.Generator().manual_seed(0)), tmp_path / "model.safetensors")
    np.save(tmp_path / "data.npy", np.random.default_rng(0).random((2, 3)))
    command = ["estimate", str(tmp_path / "model.safetensors"), str(tmp_path / "data.npy"), "--shots", "50"]
    found = json.loads(CliRunner().invoke(app, [*command, "--backend", "ibm:fake_torino", "--json"]).stdout)["layout"]
    assert found["device"] == "fake_torino"
    assert len(set(found["qubits"])) == 4
    expected = prod((1.0 - item["error"]) ** item["count"] for item in found["operations"] if item["error"] is not None)
    assert found["expected_fidelity"] == pytest.approx(expected, rel=1e-12)
    assert 0.5 < expected < 1.0
    device = fake_device("fake_torino")
    for item in found["operations"]:
        assert item["error"] == error_of(device, item["name"], tuple(item["qubits"]))
        assert isfinite(item["error"])
    text = " ".join(CliRunner().invoke(app, [*command, "--backend", "ibm:fake_torino"]).stdout.split())
    assert "qubits of the device " + ", ".join(map(str, found["qubits"])) in text
    assert f"expected fidelity {expected:.3g}, the product of 1 - error" in text
    assert "layout" not in json.loads(CliRunner().invoke(app, [*command, "--backend", "aer", "--json"]).stdout)
    size = remote.estimate(QNNClassifier(2, "zx"), torch.rand(2, 2), IBM(DEAD), backward=True)
    assert size.layout is not None
    assert size.layout.readout_errors == (0.02,)  # one qubit is read
