"""Rotations by data and by weights in one product of the compiled kernel: the same numbers as the oracle."""

import pytest
import torch
from hypothesis import HealthCheck, given

from circuits import Circuit, X, Y, Z, data, weight
from qml.backends import Native
from qml.simulator.jit import instructions as columns
from qml.simulator.jit import lowering
from qml.simulator.jit.writer import Writer
from qml.simulator.plan import Request
from qml.simulator.routes.kernel import MIN_WIDE_BATCH, find_kernel
from tests.strategies import Recipe, build, examples, recipes
from tests.test_compiled_route import require_right

COMPILED, PLAIN = Native(compiled=True), Native(compiled=False)
pytest.importorskip("numba")

ROTATION_KINDS = ("rx", "ry", "rz", "rz", "rx", "cx", "cz", "s", "h", "rzz")


def with_products(writers: list[Writer]) -> Writer:
    """Choose the instructions with products of rotations, where there are some."""
    kinds = [{row[columns.KIND] for row in writer.rows} for writer in writers]
    return next((one for one, kind in zip(writers, kinds, strict=True) if columns.ROTATION in kind), writers[0])


@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=recipes(ROTATION_KINDS, min_batch=2, max_steps=20))
def test_products_of_rotations_are_right(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "_least", with_products)
    require_right(build(recipe))


def uploads(n_qubits: int, n_layers: int) -> Circuit:
    """Build a circuit that takes its data again in each layer, by rotations about all axes beside those by weights."""
    circuit = Circuit(n_qubits)
    for layer in range(n_layers):
        for qubit in range(n_qubits):
            slot = 2 * (layer * n_qubits + qubit)
            circuit.rx(data(qubit), qubit).rz(weight(slot), qubit).ry(data(layer), qubit)
            circuit.rx(0.3, qubit).ry(weight(slot + 1), qubit).rz(data(qubit), qubit)
        for qubit in range(layer % 2, n_qubits - 1, 2):
            circuit.cz(qubit, qubit + 1)
    return circuit


@pytest.mark.parametrize("n_qubits", [1, 4, 9])
@pytest.mark.parametrize("batch", [2, 40], ids=["block", "blocks"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_uploads_run_as_products_of_rotations(n_qubits: int, batch: int, dtype: torch.dtype) -> None:
    circuit = uploads(n_qubits, 3 if n_qubits > 2 else 1)  # at 9 qubits 40 samples are two blocks, of two sizes
    observables = [Z(0) + 0.5 * Y(n_qubits - 1), X(0)]
    request = Request(2, tuple(one.terms for one in observables), False, MIN_WIDE_BATCH, compiled=True)
    route = find_kernel(circuit, request)
    assert route is not None
    assert columns.ROTATION in route.instructions.table[:, columns.KIND]
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(batch, circuit.n_data, dtype=dtype, generator=generator, requires_grad=True)
    weights = torch.randn(circuit.n_weights, dtype=dtype, generator=generator, requires_grad=True)
    results = []
    for backend, kind in ((COMPILED, dtype), (PLAIN, torch.float64)):
        values = backend.expectation(circuit, inputs.to(kind), weights.to(kind), observables)
        scale = torch.linspace(0.3, 1.7, values.numel(), dtype=values.dtype).reshape(values.shape)
        results.append((values, *torch.autograd.grad((values * scale).sum(), [inputs, weights])))
    error = 1e-11 if dtype == torch.float64 else 1e-4  # a hundred gates, and sums over 40 samples
    for found, plain in zip(*results, strict=True):
        torch.testing.assert_close(found, plain.to(dtype), atol=error, rtol=0)
