"""The PennyLane device `qml.native`: PennyLane's own simulators are the reference for every result."""

import importlib
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pennylane as pl
import pytest
import torch
from pennylane import numpy as pnp
from pennylane.exceptions import DeviceError, QuantumFunctionError, WireError
from scipy.stats import chisquare

from qml.plugins.pennylane import NativeDevice, program, structure

ROOT = Path(__file__).parent.parent
RANDOM = np.random.default_rng(7)
ANGLES, WEIGHTS = RANDOM.normal(size=(4, 3)), RANDOM.normal(size=(2, 3, 3))
FALSE_ALARM = 1e-4


def close(ours: Any, theirs: Any, tolerance: float = 1e-12) -> None:
    """Results of all measurements, equal in shape and value."""
    ours, theirs = (value if isinstance(value, (tuple, list)) else (value,) for value in (ours, theirs))
    assert len(ours) == len(theirs)
    for first, second in zip(ours, theirs, strict=True):
        assert np.shape(first) == np.shape(second)
        np.testing.assert_allclose(np.asarray(first), np.asarray(second), rtol=0, atol=tolerance)


def both(function: Any, *arguments: Any, peer: str = "default.qubit", wires: Any = 4, tolerance: float = 1e-12) -> Any:
    """Result of a quantum function on our device, once it equals that of PennyLane's."""
    ours = pl.QNode(function, NativeDevice(wires=wires))(*arguments)
    close(ours, pl.QNode(function, pl.device(peer, wires=wires))(*arguments), tolerance)
    return ours


def layers(angles: Any, weights: Any) -> None:
    pl.AngleEmbedding(angles, wires=range(3), rotation="Y")
    pl.StronglyEntanglingLayers(weights, wires=range(3))
    pl.CRot(weights[0, 0, 0], 0.2, weights[1, 1, 1], wires=[2, 0])


def test_device_is_found_by_its_entry_point() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    module, _, name = declared["pennylane.plugins"]["qml.native"].partition(":")
    assert getattr(importlib.import_module(module), name) is NativeDevice
    assert NativeDevice(wires=2).name == "qml.native"


@pytest.mark.parametrize("batch", [None, 1, 4])
def test_measurements_equal_those_of_default_qubit(batch: int | None) -> None:
    matrix = np.array([[1.0, 2 - 1j], [2 + 1j, -0.5]])

    def function(angles: Any, weights: Any) -> Any:
        layers(angles, weights)
        return (
            pl.expval(pl.Z(0)),
            pl.expval(pl.X(1) @ pl.Y(2)),
            pl.var(pl.X(1) @ pl.Z(2)),
            pl.var(0.5 * pl.X(0) + pl.Z(1)),
            pl.expval(0.3 * pl.X(0) - 1.2 * pl.Y(1) @ pl.Z(0) + 0.7 * pl.I(2)),
            pl.expval(pl.Hermitian(matrix, 1)),
            pl.var(pl.Hermitian(matrix, 2)),
            pl.expval(pl.Hermitian(matrix, 0) @ pl.Z(2)),
            pl.expval(pl.Projector([1, 0], [2, 1])),
            pl.expval(pl.Projector(np.array([0.6, 0.8j]), [1])),
            pl.probs(wires=[2, 0]),
            pl.probs(op=pl.X(0) @ pl.Z(1)),
            pl.state(),
            pl.density_matrix([2, 0]),
            pl.purity([0]),
            pl.vn_entropy([0, 1]),
            pl.mutual_info([0], [1]),
        )

    angles = ANGLES[0] if batch is None else ANGLES[:batch]
    both(function, angles, WEIGHTS, wires=3, tolerance=1e-10)  # entropies take logarithms of small eigenvalues


OPERATIONS = [
    pl.Rot(0.1, 0.2, 0.3, 1),
    pl.U2(0.4, 0.5, 0),
    pl.U3(0.4, 0.5, 0.6, 2),
    pl.IsingXY(0.7, [0, 2]),
    pl.PSWAP(0.3, [1, 0]),
    pl.PauliRot(0.7, "XYZ", [2, 0, 1]),
    pl.MultiRZ(0.3, [0, 1, 2]),
    pl.DoubleExcitation(0.5, [0, 1, 2, 3]),
    pl.SingleExcitationPlus(0.5, [2, 0]),
    pl.DoubleExcitationMinus(0.4, [3, 1, 2, 0]),
    pl.OrbitalRotation(0.2, [0, 1, 2, 3]),
    pl.ctrl(pl.RX(0.3, 0), control=[1, 2], control_values=[0, 1]),
    pl.ctrl(pl.Rot(0.3, 0.1, 0.2, 0), control=3),
    pl.adjoint(pl.Rot(0.3, 0.1, 0.2, 0)),
    pl.pow(pl.RY(0.3, 1), 3),
    pl.exp(pl.X(0) @ pl.Z(1), 0.3j),
    pl.evolve(pl.X(0) + 0.5 * pl.Z(1), 0.3),
    pl.TrotterProduct(pl.X(0) + 0.5 * pl.Z(1), 0.3, n=2),
    pl.prod(pl.RX(0.2, 0), pl.CNOT([0, 1])),
    pl.QFT([0, 1, 2]),
    pl.IQPEmbedding(np.array([0.1, 0.2, 0.3]), [0, 1, 2]),
    pl.QAOAEmbedding(np.array([0.1, 0.2]), np.array([[0.3, 0.4, 0.5]]), [0, 1]),
    pl.MottonenStatePreparation(np.array([0.6, 0.0, 0.8j, 0.0]), [3, 1]),
    pl.BlockEncode(np.array([[0.1, 0.2], [0.3, 0.4]]), [0, 1]),
    pl.QubitUnitary(pl.Rot(0.3, 0.4, 0.5, 0).matrix(), 2),
    pl.ControlledQubitUnitary(pl.Rot(0.3, 0.4, 0.5, 0).matrix(), wires=[1, 3, 0]),
    pl.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), [2, 1]),
    pl.GlobalPhase(0.4),
    pl.GroverOperator([0, 1, 2]),
    pl.Permute([2, 0, 1], wires=[0, 1, 2]),
    pl.SX(1),
    pl.ECR([1, 0]),
    pl.Barrier([0, 1]),
    pl.Snapshot("here"),
]


@pytest.mark.parametrize("wires", [[2, 0, 1], ["c", "a", "b"], None], ids=["numbers", "names", "none"])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_entropies_do_not_hang_on_the_order_of_the_wires(wires: Any, noise: float) -> None:
    first, second, third = ("a", "b", "c") if wires and "a" in wires else (2, 0, 1)

    def entropies(angle: Any) -> Any:
        pl.RY(angle, first)
        pl.CNOT([first, second])
        pl.CRY(0.9, [second, third])
        if noise:
            pl.BitFlip(noise, second)
        return (
            pl.vn_entropy([third]),
            pl.mutual_info([second], [third]),
            pl.vn_entropy([second, first]),
            pl.purity([third, first]),
            pl.density_matrix([third, first]),
        )

    for angle in (0.5, np.array([0.2, 1.1])):
        both(entropies, angle, wires=wires or 3, peer="default.mixed" if noise else "default.qubit", tolerance=1e-10)


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.name)
def test_operations_keep_their_unitary(op: Any) -> None:
    def function() -> Any:
        for wire in range(4):
            pl.RY(0.3 + wire, wire)
        pl.apply(op)
        return pl.state()

    both(function)


def test_states_that_are_prepared_have_a_batch_axis_and_a_gradient() -> None:
    states = torch.tensor(RANDOM.normal(size=(3, 4)) + 1j * RANDOM.normal(size=(3, 4)))
    states = (states / states.norm(dim=1, keepdim=True)).requires_grad_()

    def function(states: Any) -> Any:
        pl.StatePrep(states, [2, 0])
        pl.BasisState([1], 1)
        pl.CNOT([2, 1])
        return pl.expval(pl.Z(1)), pl.expval(pl.X(0))

    gradients = []
    for device in (NativeDevice(wires=3), pl.device("default.qubit", wires=3)):
        first, second = pl.QNode(function, device)(states)
        gradients.append(torch.autograd.grad((first * second).sum(), states)[0])
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-12)


def test_values_of_one_structure_share_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    make = program._built
    monkeypatch.setattr(program, "_built", lambda *arguments: built.append(1) or make(*arguments))
    node = pl.QNode(
        lambda a, w: (layers(a, w), pl.expval(pl.Z(0) @ pl.Z(2)))[-1], NativeDevice(wires=["a", "b", 0, 1, 2])
    )
    results = [node(ANGLES[k], WEIGHTS * k) for k in range(3)]
    assert len(built) == 1
    assert len({float(result) for result in results}) == 3
    node(ANGLES, WEIGHTS)  # broadcast: another structure
    assert len(built) == 2


def test_tapes_of_one_structure_run_together_and_apart_alike() -> None:
    tapes = [
        pl.tape.QuantumScript([pl.RX(a, 0), pl.CNOT([0, 1]), pl.RY(b, 1)], [pl.expval(pl.Z(1)), pl.state()])
        for a, b, _ in ANGLES
    ]
    together = pl.execute(tapes, NativeDevice())
    for tape, result in zip(tapes, together, strict=True):
        close(result, pl.execute([tape], pl.device("default.qubit"))[0])


def scalar(node: Any) -> Any:
    def cost(angles: Any, weights: Any) -> Any:
        first, second, third = node(angles, weights)
        return (first**2).sum() + (second[..., 1] * second[..., 2]).sum() + third.sum()

    return cost


def three(angles: Any, weights: Any) -> Any:
    layers(angles, weights)
    return pl.expval(pl.Z(0)), pl.probs(wires=[2, 0]), pl.expval(0.3 * pl.X(0) + pl.Y(1) @ pl.Z(0))


@pytest.mark.parametrize("method", ["best", "backprop", "adjoint", "parameter-shift"])
def test_gradients_under_torch(method: str) -> None:
    angles = torch.tensor(ANGLES if method in ("best", "backprop") else ANGLES[0], requires_grad=True)
    weights = torch.tensor(WEIGHTS, requires_grad=True)
    gradients = [
        torch.autograd.grad(scalar(pl.QNode(three, device, diff_method=how))(angles, weights), (angles, weights))
        for device, how in ((NativeDevice(wires=3), method), (pl.device("default.qubit", wires=3), "backprop"))
    ]
    close([g.numpy() for g in gradients[0]], [g.numpy() for g in gradients[1]], 1e-10)


def test_second_derivatives_under_torch() -> None:
    node = pl.QNode(lambda w: (layers(torch.tensor(ANGLES[0]), w), pl.expval(pl.Z(0)))[-1], NativeDevice(wires=3))
    weights = torch.tensor(WEIGHTS[:, :, :1].repeat(3, 2), requires_grad=True)
    assert torch.autograd.gradcheck(node, weights)
    peer = pl.QNode(node.func, pl.device("default.qubit", wires=3))
    hessians = [torch.autograd.functional.hessian(each, weights) for each in (node, peer)]
    close(hessians[0].numpy(), hessians[1].numpy(), 1e-10)


@pytest.mark.parametrize("method", ["best", "adjoint", "parameter-shift"])
def test_gradients_under_autograd(method: str) -> None:
    angles, weights = pnp.array(ANGLES if method == "best" else ANGLES[0]), pnp.array(WEIGHTS)
    ours, theirs = (
        pl.grad(scalar(pl.QNode(three, device, diff_method=how)))(angles, weights)
        for device, how in ((NativeDevice(wires=3), method), (pl.device("default.qubit", wires=3), "backprop"))
    )
    close(ours, theirs, 1e-10)


def test_second_derivatives_under_autograd() -> None:
    weights = pnp.array(WEIGHTS)
    ours, theirs = (
        pl.jacobian(pl.grad(scalar(pl.QNode(three, device)), argnums=1), argnums=1)(ANGLES[0], weights)
        for device in (NativeDevice(wires=3), pl.device("default.qubit", wires=3))
    )
    close(ours, theirs, 1e-10)


def few(angles: Any, weight: Any) -> Any:
    pl.RX(angles[0], 0)
    pl.CRY(angles[1], [0, 1])
    pl.RZ(weight, 1)
    return pl.expval(pl.X(1)), pl.probs(wires=[0])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # PennyLane 0.45 calls what jax has deprecated
@pytest.mark.parametrize("method", ["best", "adjoint"])
def test_gradients_under_jax(method: str) -> None:
    jax = pytest.importorskip("jax")

    def cost(device: Any, how: str) -> Any:
        node = pl.QNode(few, device, diff_method=how)
        return lambda angles, weight: node(angles, weight)[0] ** 2 + node(angles, weight)[1][0]

    with jax.enable_x64(True):
        angles, weight = jax.numpy.array([0.4, 0.9]), jax.numpy.array(0.3)
        ours, theirs = cost(NativeDevice(wires=2), method), cost(pl.device("default.qubit", wires=2), "backprop")
        expected = jax.grad(theirs, (0, 1))(angles, weight)
        close(jax.grad(ours, (0, 1))(angles, weight), expected, 1e-10)
        close(jax.jit(jax.grad(ours, (0, 1)))(angles, weight), expected, 1e-10)
        if method == "best":
            close(*[jax.jacrev(jax.jacrev(each))(angles, weight) for each in (ours, theirs)], 1e-10)


def test_provided_products_agree_with_each_other() -> None:
    tape = pl.tape.QuantumScript(
        [pl.RX(0.3, 0), pl.CNOT([0, 1]), pl.CRY(0.7, [1, 0])], [pl.expval(pl.Z(0)), pl.probs(wires=[1])]
    )
    device = NativeDevice(wires=2)
    (jacobian,) = device.compute_derivatives([tape])
    cotangents, tangents = (0.3, np.array([0.5, -1.0])), (0.7, -0.2)
    (product,) = device.compute_vjp([tape], [cotangents])
    expected = [0.3 * jacobian[0][k] + cotangents[1] @ jacobian[1][k] for k in range(2)]
    np.testing.assert_allclose(product, expected, atol=1e-12)
    (moved,) = device.compute_jvp([tape], [tangents])
    close(moved, tuple(sum(t * part for t, part in zip(tangents, row, strict=True)) for row in jacobian))
    expected = pl.device("default.qubit", wires=2).compute_derivatives([tape.copy(measurements=tape.measurements[:1])])
    close(jacobian[0], expected[0])


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad=True")  # PennyLane does, in its Hamiltonians
def test_coefficients_of_a_hamiltonian_can_be_trained() -> None:
    angles, values = torch.tensor(ANGLES[0], requires_grad=True), torch.tensor([0.5, -1.5], requires_grad=True)

    def function(angles: Any, values: Any) -> Any:
        pl.AngleEmbedding(angles, wires=range(3))
        return pl.expval(pl.Hamiltonian(values, [pl.Z(0) @ pl.Z(1), pl.Y(2)]))

    for method in ("best", "adjoint"):
        gradients = [
            torch.autograd.grad(pl.QNode(function, device, diff_method=how)(angles, values), (angles, values))
            for device, how in ((NativeDevice(wires=3), method), (pl.device("default.qubit", wires=3), "best"))
        ]
        close([g.numpy() for g in gradients[0]], [g.numpy() for g in gradients[1]])


def dynamic(angle: Any) -> None:
    pl.RX(angle, 0)
    first = pl.measure(0)
    pl.cond(first, pl.RY)(0.4, 1)
    pl.CNOT([1, 0])
    second = pl.measure(1, reset=True)
    pl.cond(first + second == 1, pl.RX)(0.8, 0)


def test_measurements_on_the_way_need_no_wire_of_the_device() -> None:
    def function(angle: Any) -> Any:
        dynamic(angle)
        return pl.expval(pl.Z(0)), pl.probs(wires=[0, 1])

    ours = pl.QNode(function, NativeDevice(wires=2))(0.7)
    close(ours, pl.QNode(function, pl.device("default.qubit"))(0.7))


def test_values_of_measurements_on_the_way_are_read() -> None:
    def function(angle: Any) -> Any:
        pl.RX(angle, 0)
        first = pl.measure(0)
        pl.RY(angle, 1)
        second = pl.measure(1, postselect=1)
        pl.Hadamard(0)
        return pl.expval(2 * first - second), pl.probs(op=[first, second]), pl.var(first), pl.expval(pl.Z(0))

    close(pl.QNode(function, NativeDevice(wires=2))(0.7), pl.QNode(function, pl.device("default.qubit"))(0.7))


def test_post_selection_takes_a_batch() -> None:
    def function(angle: Any) -> Any:
        pl.RX(angle, 0)
        pl.CRY(0.9, [0, 1])
        pl.measure(0, postselect=1)
        return pl.expval(pl.Z(1))

    batch = pl.QNode(function, NativeDevice(wires=2))(ANGLES[:, 0])
    singly = [float(pl.QNode(function, pl.device("default.qubit"))(angle)) for angle in ANGLES[:, 0]]
    np.testing.assert_allclose(batch, singly, atol=1e-12)


def test_noise_runs_as_density_matrices() -> None:
    def function(angles: Any) -> Any:
        pl.AngleEmbedding(angles, wires=range(2))
        pl.AmplitudeDamping(0.2, 0)
        pl.DepolarizingChannel(0.1, 1)
        pl.CNOT([0, 1])
        pl.QubitChannel([np.sqrt(0.9) * np.eye(2), np.sqrt(0.1) * pl.Y(0).matrix()], 1)
        return (
            pl.expval(pl.X(0) @ pl.Y(1)), pl.probs(wires=[1]), pl.density_matrix([1]), pl.purity([0]),
            pl.vn_entropy([0]), pl.state(), pl.expval(pl.Hermitian(np.array([[1, 2j], [-2j, 0.3]]), 1)),
        )  # fmt: skip

    both(function, ANGLES[0, :2], peer="default.mixed", wires=2, tolerance=1e-10)
    both(function, ANGLES[:, :2], peer="default.mixed", wires=2, tolerance=1e-10)


def test_samples_follow_the_exact_distribution() -> None:
    def function(angle: Any) -> Any:
        pl.RX(angle, 0)
        pl.RX(0.5, 1)
        pl.CRY(1.1, [0, 1])
        return (
            pl.counts(wires=[1, 0], all_outcomes=True),
            pl.expval(pl.X(0) @ pl.Z(1)),
            pl.var(pl.Y(0)),
            pl.sample(pl.Z(1)),
        )

    shots = 20000
    node = pl.set_shots(pl.QNode(function, NativeDevice(wires=2, seed=5)), shots)
    counts, mean, variance, samples = node(0.9)
    probabilities, expected, spread = pl.QNode(_exact, pl.device("default.qubit"))(0.9)
    assert chisquare([counts[key] for key in sorted(counts)], shots * probabilities).pvalue > FALSE_ALARM
    assert abs(mean - expected) < 5 / np.sqrt(shots)
    assert abs(variance - spread) < 5 / np.sqrt(shots)
    assert samples.shape == (shots,)
    again = pl.set_shots(pl.QNode(function, NativeDevice(wires=2, seed=5)), shots)(0.9)
    assert again[0] == counts


def _exact(angle: Any) -> Any:
    pl.RX(angle, 0)
    pl.RX(0.5, 1)
    pl.CRY(1.1, [0, 1])
    return pl.probs(wires=[1, 0]), pl.expval(pl.X(0) @ pl.Z(1)), pl.var(pl.Y(0))


def test_shot_vectors_batches_and_sums_have_the_shapes_of_default_qubit() -> None:
    def function(angles: Any) -> Any:
        pl.AngleEmbedding(angles, wires=range(2))
        return pl.expval(0.5 * pl.X(0) + pl.Z(1) @ pl.Y(0)), pl.probs(wires=[1]), pl.sample(wires=[0])

    for shots in (50, (20, 30)):
        ours, theirs = (
            pl.set_shots(pl.QNode(function, device), shots)(ANGLES[:, :2])
            for device in (NativeDevice(wires=2, seed=1), pl.device("default.qubit", wires=2, seed=1))
        )
        shapes = [pl.math.shape(leaf) for leaf in pl.pytrees.flatten(ours)[0]]
        assert shapes == [pl.math.shape(leaf) for leaf in pl.pytrees.flatten(theirs)[0]]


@pytest.mark.parametrize(("mode", "few"), [("hw-like", True), ("fill-shots", False)])
def test_post_selection_drops_shots_unless_they_are_filled(mode: str, few: bool) -> None:
    @pl.qnode(NativeDevice(wires=1, seed=3), postselect_mode=mode)
    def node() -> Any:
        pl.Hadamard(0)
        pl.measure(0, postselect=1)
        return pl.sample(wires=[0])

    samples = pl.set_shots(node, 1000)()
    assert samples.all()
    assert (420 < len(samples) < 580) if few else len(samples) == 1000  # five standard deviations


def test_classical_shadows() -> None:
    @pl.qnode(NativeDevice(wires=2, seed=3))
    def node() -> Any:
        pl.Hadamard(0)
        pl.CNOT([0, 1])
        return pl.shadow_expval(pl.X(0) @ pl.X(1), seed=1)

    assert abs(float(pl.set_shots(node, 4000)()) - 1.0) < 5 * 3 / np.sqrt(4000)


def test_what_the_device_cannot_do_is_refused_by_name() -> None:
    node = pl.QNode(lambda: (pl.Z(3), pl.expval(pl.Z(0)))[-1], NativeDevice(wires=2))
    with pytest.raises(WireError, match="not found on the device"):
        node()
    with pytest.raises(ValueError, match="`dtype` must be"):
        NativeDevice(wires=1, dtype=torch.float16)
    with pytest.raises(DeviceError, match="mcm_method must be 'deferred'"):
        pl.set_shots(
            pl.QNode(lambda: (pl.measure(0), pl.expval(pl.Z(0)))[-1], NativeDevice(), mcm_method="one-shot"), 5
        )()
    with pytest.raises(DeviceError, match="not accepted for analytic"):
        pl.QNode(lambda: pl.sample(wires=[0]), NativeDevice())()
    with pytest.raises(QuantumFunctionError, match="does not support backprop"):
        pl.set_shots(pl.QNode(lambda: pl.expval(pl.Z(0)), NativeDevice(), diff_method="backprop"), 5)()


def test_gradients_in_what_is_constant_are_refused() -> None:
    def noisy(strength: Any) -> Any:
        pl.Hadamard(0)
        pl.PhaseDamping(strength, 0)
        return pl.expval(pl.X(0))

    with pytest.raises(DeviceError, match=r"not supported with qml\.native|must be constants"):
        pl.QNode(noisy, NativeDevice(wires=1))(torch.tensor(0.1, requires_grad=True))
    assert abs(float(pl.QNode(noisy, NativeDevice(wires=1))(torch.tensor(0.1))) - np.sqrt(0.9)) < 1e-6

    def measured(matrix: Any) -> Any:
        return pl.expval(pl.Hermitian(matrix, 0))

    with pytest.raises(DeviceError, match="must have constant matrices"):
        pl.QNode(measured, NativeDevice(wires=1))(torch.eye(2, dtype=torch.float64, requires_grad=True))


def test_tracker_counts_executions() -> None:
    device = NativeDevice(wires=1)
    with pl.Tracker(device) as tracker:
        pl.QNode(lambda a: (pl.RX(a, 0), pl.expval(pl.Z(0)))[-1], device)(0.1)
    assert tracker.totals["executions"] == 1


def test_single_precision_is_an_option() -> None:
    node = pl.QNode(lambda a: (pl.RX(a, 0), pl.expval(pl.Z(0)))[-1], NativeDevice(wires=1, dtype=torch.float32))
    value = node(torch.tensor(0.3))
    assert value.dtype == torch.float32
    assert abs(float(value) - np.cos(0.3)) < 1e-6


def test_many_wires_cost_no_state_vector() -> None:
    @pl.qnode(NativeDevice(wires=60))
    def node(weights: Any) -> Any:
        for wire in range(60):
            pl.RY(weights[wire], wire)
        for wire in range(59):
            pl.CZ([wire, wire + 1])
        return pl.expval(pl.X(30))

    weights = RANDOM.normal(size=60)
    expected = np.sin(weights[30]) * np.cos(weights[29]) * np.cos(weights[31])
    assert abs(float(node(weights)) - expected) < 1e-12


def test_steps_of_an_operation_are_read_once() -> None:
    assert structure.is_linear(pl.StronglyEntanglingLayers(WEIGHTS, wires=range(3)))
    assert not structure.is_linear(pl.IQPEmbedding(ANGLES[0], wires=range(3)))
    assert structure.is_by_value(pl.ctrl(pl.QubitUnitary(np.eye(2), 0), 1))


def test_an_empty_batch_has_empty_results() -> None:
    @pl.qnode(NativeDevice(wires=2))
    def circuit(angles: np.ndarray) -> Any:
        pl.RX(angles, 0)
        return pl.expval(pl.Z(0)), pl.probs(wires=[0, 1])

    assert [np.shape(values) for values in circuit(np.zeros(0))] == [(0,), (0, 4)]
