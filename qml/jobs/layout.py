"""The qubits of a device that a compiled circuit uses, and the calibrated errors of its operations."""

import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class OperationError:
    """An operation of a device that a circuit uses.

    Args:
        name: the device's name of the gate, or `"measure"`.
        qubits: the device's qubits.
        error: its calibrated error, 0 to 1; None if the device tells none.
        count: how often the circuit uses it.
    """

    name: str
    qubits: tuple[int, ...]
    error: float | None
    count: int


@dataclass(frozen=True)
class LayoutReport:
    """A report of the qubits of a device that a circuit uses, and of their calibrated errors.

    Args:
        device: its name.
        qubits: the device's qubit that holds each qubit of the circuit at its end (ancillas and packed copies
            included).
        operations: each gate and read-out that the circuit uses, with its error and how often it is used; gates on one
            qubit without any error, which are done by the clock, left out.

    Reference:
        Nishio, Pan, Satoh, Amano and Van Meter, arXiv:1903.10963, for the product of success rates.
    """

    device: str
    qubits: tuple[int, ...]
    operations: tuple[OperationError, ...] = field(repr=False)

    @property
    def expected_fidelity(self) -> float | None:
        """Return the product of 1 - error over all gates and read-outs, each as often as it is used.

        Errors count as independent, the decay of idle qubits is left out, and operations whose error the device does
        not tell count as perfect. The result is None if the device tells no error at all.
        """
        known = [(item.error, item.count) for item in self.operations if item.error is not None]
        return math.prod((1.0 - error) ** count for error, count in known) if known else None

    @property
    def two_qubit_errors(self) -> tuple[float, ...]:
        """Return the known errors of the gates on two qubits and more, one for each gate and place, ascending."""
        return tuple(sorted(item.error for item in self.operations if len(item.qubits) > 1 and item.error is not None))

    @property
    def readout_errors(self) -> tuple[float, ...]:
        """Return the known errors of the read-outs, one for each qubit that is read, ascending."""
        return tuple(
            sorted(item.error for item in self.operations if item.name == "measure" and item.error is not None)
        )

    def reading(self, qubits: Collection[int]) -> "LayoutReport":
        """Return the report of the circuit in which only these qubits of the device are read."""
        kept = (item for item in self.operations if item.name != "measure" or item.qubits[0] in qubits)
        return replace(self, operations=tuple(kept))

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values, the expected fidelity included."""
        fields = asdict(self)
        operations = [{**item, "qubits": list(item["qubits"])} for item in fields["operations"]]
        return {
            "device": self.device,
            "qubits": list(self.qubits),
            "operations": operations,
            "expected_fidelity": self.expected_fidelity,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "LayoutReport":
        """Rebuild the report that `as_json` wrote."""
        operations = (
            OperationError(item["name"], tuple(item["qubits"]), item["error"], item["count"])
            for item in values["operations"]
        )
        return cls(values["device"], tuple(values["qubits"]), tuple(operations))
