"""Several threads at once get the values and gradients that one thread gets, whatever they share.

A race shows seldom, so threads alternate every 10 microseconds here. With the memory of a pull-back handed back too
early, more than one gradient in ten of the circuits below is wrong.
"""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, X, Z, data, weight
from qml.backends import Native
from qml.buffers import BufferPool
from qml.nn import DARUAN, QKAN, QKANGRU, QKANLSTM, QLSTM, QNNClassifier, QRNNRegressor, QuantumLayer
from qml.pinn import MLP, Box, Face, Pinn, Problem

N_THREADS, N_CALLS, N_INPUTS = 4, 48, 4
SAME = 1e-12  # the same operations in float64


@pytest.fixture(autouse=True)
def restless_threads() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(interval)


def chain(n_qubits: int, n_layers: int = 2, *, noisy: bool = False) -> Circuit:
    """RY of data, then layers of CX and RX of weights; a qubit is reset where mixed states are wanted."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(data(qubit), qubit)
    for layer in range(n_layers):
        for qubit in range(n_qubits - 1):
            circuit.cx(qubit, qubit + 1)
        for qubit in range(n_qubits):
            circuit.rx(weight(layer * n_qubits + qubit), qubit)
    return circuit.reset(0).ry(data(0), 0).cx(0, 1) if noisy else circuit


def star(n_qubits: int) -> Circuit:
    """A hub that is joined to every other qubit: simulated qubit by qubit."""
    circuit = Circuit(n_qubits).h(0)
    for qubit in range(1, n_qubits):
        circuit.ry(data(qubit - 1), qubit).cx(0, qubit).rx(weight(qubit - 1), qubit)
    return circuit


def shallow(n_qubits: int) -> Circuit:
    """One layer of neighbours: simulated in two halves."""
    circuit = Circuit(n_qubits)
    for qubit in range(n_qubits):
        circuit.ry(data(qubit), qubit)
    for qubit in range(n_qubits - 1):
        circuit.cx(qubit, qubit + 1)
        circuit.ry(weight(qubit), qubit + 1)
    return circuit


def read(circuit: Circuit, **options: object) -> nn.Module:
    return QuantumLayer(circuit, [Z(0), X(0) @ Z(1)], dtype=torch.float64, generator=seeded(1), **options)  # pyright: ignore[reportArgumentType]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


FLAT, SERIES = (4, 3), (2, 3, 3)
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "state vectors": (lambda: read(chain(6)), (4, 6)),
    "adjoint": (lambda: read(chain(6), backend=Native(method="adjoint")), (4, 6)),
    "tensors": (lambda: read(chain(6), backend=Native(compiled=False)), (4, 6)),
    "density matrices": (lambda: read(chain(3, noisy=True)), FLAT),
    "probabilities": (
        lambda: QuantumLayer(chain(3), probabilities_of=[2, 0], dtype=torch.float64, generator=seeded(1)),
        FLAT,
    ),
    "qubit by qubit": (lambda: read(star(7)), (4, 6)),
    "two halves": (lambda: read(shallow(12)), (2, 12)),
    "QNNClassifier": (lambda: QNNClassifier(3, "zxy", dtype=torch.float64, generator=seeded(1)), FLAT),
    "DARUAN": (lambda: DARUAN(3, dtype=torch.float64, generator=seeded(1)), FLAT),
    "QKAN, few samples": (lambda: QKAN([3, 4, 2], dtype=torch.float64, generator=seeded(1)), FLAT),
    "QKAN, many samples": (lambda: QKAN([3, 4, 2], dtype=torch.float64, generator=seeded(1)), (256, 3)),
    "QKANLSTM": (lambda: QKANLSTM(3, 2, dtype=torch.float64, generator=seeded(1)), SERIES),
    "QKANGRU": (lambda: QKANGRU(3, 2, dtype=torch.float64, generator=seeded(1)), SERIES),
    "QLSTM": (lambda: QLSTM(3, 2, dtype=torch.float64, generator=seeded(1)), SERIES),
    "QRNNRegressor": (lambda: QRNNRegressor(3, 2, dtype=torch.float64, generator=seeded(1)), SERIES),
}


def gradients(layer: nn.Module, inputs: Tensor) -> list[Tensor]:
    """The output, and gradients of its sum of squares by the inputs and by all parameters."""
    inputs = inputs.clone().requires_grad_()
    output = layer(inputs)
    output = output[0] if isinstance(output, tuple) else output
    return [output.detach(), *torch.autograd.grad(output.square().sum(), [inputs, *layer.parameters()])]


def in_threads(work: Callable[[int], list[Tensor]]) -> None:
    """Compare `work(k)` of one thread with many calls of several threads."""
    expected = [work(k) for k in range(N_INPUTS)]
    with ThreadPoolExecutor(N_THREADS) as pool:
        results = list(pool.map(lambda call: work(call % N_INPUTS), range(N_CALLS)))
    for call, result in enumerate(results):
        torch.testing.assert_close(result, expected[call % N_INPUTS], rtol=SAME, atol=SAME)


@pytest.mark.parametrize("name", LAYERS)
def test_threads_that_share_a_layer_get_its_values_and_gradients(name: str) -> None:
    make, shape = LAYERS[name]
    layer, generator = make(), seeded(2)
    inputs = [torch.rand(shape, dtype=torch.float64, generator=generator) for _ in range(N_INPUTS)]
    in_threads(lambda k: gradients(layer, inputs[k]))


def test_threads_with_layers_of_their_own_share_only_memory() -> None:
    make, shape = LAYERS["state vectors"]
    inputs = torch.rand(shape, dtype=torch.float64, generator=seeded(2))
    in_threads(lambda k: gradients(make(), inputs + k))


def test_threads_without_gradients_share_kept_coefficients() -> None:
    layer = QKAN([3, 4, 2], dtype=torch.float64, generator=seeded(1))
    inputs = [scale * torch.rand(64, 3, dtype=torch.float64, generator=seeded(2)) for scale in (0.5, 1.0, 2.0, 4.0)]
    with torch.no_grad():
        in_threads(lambda k: [layer(inputs[k])])


def burgers() -> Problem:
    return Problem(
        name="burgers",
        domain=Box({"x": (-1.0, 1.0), "t": (0.0, 1.0)}),
        fields=("u",),
        equations={"burgers": lambda u, u_x, u_t, u_xx: u_t + u * u_x - 0.01 * u_xx},
        conditions=(
            Face("start", {"t": 0.0}, lambda u, x: u + torch.sin(torch.pi * x)),
            Face("left", {"x": -1.0}, lambda u: u),
            Face("right", {"x": 1.0}, lambda u: u),
        ),
    )


TRUNKS: dict[str, Callable[[], nn.Module]] = {
    "fused layers": lambda: MLP(2, (7, 5), dtype=torch.float64, generator=seeded(1)),
    "a circuit": lambda: nn.Sequential(read(chain(2)), nn.Linear(2, 1, dtype=torch.float64)),
    "edges": lambda: QKAN([2, 3, 1], dtype=torch.float64, generator=seeded(1)),
}


@pytest.mark.parametrize("name", TRUNKS)
def test_threads_that_share_a_physics_informed_network_get_its_residuals(name: str) -> None:
    model = Pinn(burgers(), TRUNKS[name]())
    points = [torch.as_tensor(burgers().domain.sample(16, seed)) for seed in range(N_INPUTS)]
    names = ("u", "u_x", "u_t", "u_xx")

    def work(k: int) -> list[Tensor]:
        values = model.evaluate(points[k], names)
        total = torch.stack([values[name].square().sum() for name in names]).sum()
        return [total.detach(), *torch.autograd.grad(total, list(model.parameters()))]

    in_threads(work)


def test_a_pool_that_many_threads_use_never_lends_a_buffer_twice() -> None:
    pool = BufferPool(idle_bytes_limit=10_000)

    def work(call: int) -> bool:
        lent = [pool.lend("key", lambda: torch.empty(8, 4, dtype=torch.float64)) for _ in range(3)]
        for k, buffer in enumerate(lent):
            buffer.fill_(3 * call + k)
        whole = all(bool((buffer == 3 * call + k).all()) for k, buffer in enumerate(lent))
        pool.take_back("key", lent)
        return whole

    with ThreadPoolExecutor(N_THREADS) as threads:
        assert all(threads.map(work, range(400)))
    assert pool.idle_bytes <= pool.idle_bytes_limit
