"""Circuits of MQT Bench (arXiv:2204.13719), where it is installed: written by Qiskit as text, and read."""

import numpy as np
import pytest
import torch
from qiskit import qasm2, qasm3

from circuits import from_openqasm
from qml.backends import Native
from tests import branches
from tests.helpers import assert_close

mqt_bench = pytest.importorskip("mqt.bench", reason="install it with: pip install mqt.bench")
NAMES = [
    "bv", "cdkm_ripple_carry_adder", "dj", "dynamic_qft", "ghz", "ghz_dynamic", "graphstate", "grover", "iqpe", "qaoa",
    "qft", "qftentangled", "qpeexact", "qwalk", "randomcircuit", "vbe_ripple_carry_adder", "vqe_su2", "wstate",
]  # fmt: skip


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("level", ["alg", "indep"])
@pytest.mark.parametrize("name", NAMES)
def test_a_circuit_of_mqt_bench_is_read(name: str, level: str, version: int) -> None:
    is_dynamic = name in ("dynamic_qft", "ghz_dynamic", "iqpe")
    if version == 2 and is_dynamic:
        pytest.skip("Qiskit writes no conditions in version 2")
    circuit = getattr(mqt_bench, f"get_benchmark_{level}")(name, 4)
    text = (qasm2 if version == 2 else qasm3).dumps(circuit)
    none = torch.zeros(1, 0, dtype=torch.float64), torch.zeros(0, dtype=torch.float64)
    places = list(range(circuit.num_qubits))
    read = from_openqasm(text)
    probabilities = Native().probabilities(read, *none, qubits=places)[0].numpy()
    assert_close(probabilities, np.asarray(branches.distribution(circuit)), 1e-9)
