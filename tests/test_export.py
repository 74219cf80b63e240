"""Layers in programs made by torch.export: the same numbers, in another process too, and no derivative."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from circuits import Circuit, X, Z, channels, data, weight
from qml.backends import Backend, Native
from qml.nn import QNNClassifier
from tests.helpers import assert_close

SAME = 1e-12  # the same operations in float64
RELOADED = """
import sys
import torch
import qml.backends  # registers the operator
inputs, expected = torch.load(sys.argv[2])
torch.testing.assert_close(torch.export.load(sys.argv[1]).module()(inputs), expected, rtol=0, atol=1e-12)
print("same")
"""


class Reader(nn.Module):
    """Whatever a backend's method says of a circuit."""

    def __init__(self, circuit: Circuit, backend: Backend, method: str = "expectation") -> None:
        super().__init__()
        self.circuit, self.backend, self.method = circuit, backend, method
        self.weights = nn.Parameter(torch.full((circuit.n_weights,), 0.3, dtype=torch.float64))

    def forward(self, inputs: Tensor) -> Tensor:
        if self.method == "expectation":
            return self.backend.expectation(self.circuit, inputs, self.weights, [Z(0) @ X(1) + 0.5 * Z(1), X(0)])
        return self.backend.probabilities(self.circuit, inputs, self.weights, [1])


def exported(model: nn.Module, n_inputs: int) -> torch.export.ExportedProgram:
    example = (torch.rand(4, n_inputs, dtype=torch.float64),)
    return torch.export.export(model, example, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))


def circuit_of_two() -> Circuit:
    return Circuit(2).ry(data(0), 0).rx(data(1), 1).cx(0, 1).rzx(weight(0), 1, 0).u3(weight(1), 0.2, 0.1, 1)


@pytest.mark.parametrize("method", ["expectation", "probabilities"])
@pytest.mark.parametrize("backend", [Native(), Native(representation="density", readout_error=(0.02, 0.05))])
def test_exported_circuits_give_the_same_numbers_at_another_batch_size(backend: Native, method: str) -> None:
    model = Reader(circuit_of_two(), backend, method)
    inputs = torch.rand(7, 2, dtype=torch.float64)
    assert_close(exported(model, 2).module()(inputs), model(inputs), SAME)


def test_an_exported_model_runs_in_another_process(tmp_path: Path) -> None:
    layer = QNNClassifier(3, "zx", dtype=torch.float64)
    model = nn.Sequential(nn.Linear(5, 3, dtype=torch.float64), nn.Sigmoid(), layer)
    inputs = torch.rand(6, 5, dtype=torch.float64)
    torch.export.save(exported(model, 5), tmp_path / "model.pt2")
    torch.save((inputs, model(inputs).detach()), tmp_path / "expected.pt")
    paths = [str(tmp_path / name) for name in ("model.pt2", "expected.pt")]
    run = subprocess.run([sys.executable, "-c", RELOADED, *paths], capture_output=True, text=True, check=False)
    assert run.stdout.strip() == "same", run.stderr[-2000:]


def test_a_derivative_of_an_exported_program_is_refused() -> None:
    values = exported(Reader(circuit_of_two(), Native()), 2).module()(torch.rand(3, 2, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="backward through qml_circuits"):
        values.sum().backward()


def test_a_circuit_without_openqasm_text_is_not_exported() -> None:
    noisy = Circuit(2).ry(data(0), 0).rx(data(1), 1).noise(channels.depolarizing(0.1), [0]).rx(weight(0), 0)
    with pytest.raises(ValueError, match="must have OpenQASM text"):
        exported(Reader(noisy, Native()), 2)
