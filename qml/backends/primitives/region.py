"""A few qubits of a device as a device of their own, and its simulator."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

try:
    from qiskit.circuit.controlflow import get_control_flow_name_mapping
    from qiskit.providers import BackendV2, Options
    from qiskit.transpiler import Target
except ImportError as error:
    raise ImportError('Backend Qiskit needs qiskit. Install it with: pip install "qiskit>=2.1"') from error


from qml.backends.primitives.targets import part_of


class Region(BackendV2):
    """A device of its own that is some qubits of another, with the same gates, errors and times.

    A simulator of a circuit needs only the qubits that the circuit uses.
    """

    def __init__(self, device: Any, qubits: Sequence[int]) -> None:
        super().__init__(name=f"{device.name}[{','.join(map(str, qubits))}]", backend_version="2")
        self._target = part_of(device.target, qubits, skip=get_control_flow_name_mapping())

    @property
    def target(self) -> Target:  # pyright: ignore[reportIncompatibleMethodOverride]  # the base has no annotation
        """Return its gates and errors."""
        return self._target

    @property
    def max_circuits(self) -> None:
        """Return None: there is no limit."""
        return

    @classmethod
    def _default_options(cls) -> Options:  # pyright: ignore[reportIncompatibleMethodOverride]
        return Options()

    def run(self, run_input: Any, **options: Any) -> Any:
        """Simulate circuits with the noise; the client before 0.50 calls this in its local testing mode."""
        return simulator_of(self).run(run_input, **options)


@lru_cache(maxsize=64)
def region(device: Any, qubits: tuple[int, ...]) -> Region:
    """Return the region of a device, made once."""
    return Region(device, qubits)


def simulator_of(device: Any) -> Any:
    """Make an Aer simulator with the gates, couplings and errors of a Qiskit backend."""
    from qiskit_aer import AerSimulator

    return AerSimulator.from_backend(device)
