"""Any estimator and sampler of Qiskit's second version."""

from dataclasses import dataclass
from typing import Any

from circuits import Circuit
from qml.backends.primitives.calibration import as_layout
from qml.backends.primitives.pubs import PubBackend
from qml.jobs import PubResult, Submission


@dataclass(frozen=True, kw_only=True, eq=False)
class Qiskit(PubBackend):
    """The backend that runs circuits on any primitives of Qiskit's second version.

    Unitary circuits go to the estimator, others to the sampler. Without a sampler, and without shots, mid-circuit
    operations are deferred to ancillas; without an estimator all values are computed from samples.

    Args:
        estimator: a `BaseEstimatorV2`, or None.
        sampler: a `BaseSamplerV2`, or None.
        device: the Qiskit backend to transpile for; None takes the primitives' own, where they have one.
        shots: None asks the estimator for exact values (precision 0), which simulators alone can give.
        level: Qiskit's optimisation level, 0 to 3.
        layout: which qubits of a device are taken: `"calibration"` (those with the least errors), `"connectivity"` (by
            the couplings alone), or a tuple of them. Qubits and couplers that the calibration calls broken are never
            taken.

    Example:
        >>> import torch
        >>> from circuits import Circuit, Z
        >>> from qiskit.primitives import StatevectorEstimator
        >>> from qml.backends import Qiskit
        >>> backend = Qiskit(estimator=StatevectorEstimator())
        >>> backend.expectation(Circuit(1).x(0), torch.zeros(1, 0), torch.zeros(0), [Z(0)])
        tensor([[-1.]])
    """

    estimator: Any = None
    sampler: Any = None
    device: Any = None
    level: int = 1
    layout: Any = "calibration"

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "layout", as_layout(self.layout))
        if self.estimator is None and self.sampler is None:
            raise ValueError("Arguments `estimator` and `sampler` must not both be None. Give at least one.")
        if self.estimator is None and self.shots is None:
            raise ValueError("Argument `shots` must be given where there is only a sampler, but is None.")

    @property
    def name(self) -> str:
        """Return `"qiskit"`."""
        return "qiskit"

    @property
    def _channels(self) -> bool:
        return False

    def compiler(self) -> Any:
        """Return the compiler for the device of the primitives, if there is one."""
        from qml.backends.primitives.transpile import Compiler

        return Compiler(
            self.device or _device(self.estimator) or _device(self.sampler), level=self.level, layout=self.layout
        )

    def run(self, submission: Submission) -> list[PubResult]:
        """Run a submission and wait for its results."""
        from qml.backends.primitives.submissions import read_results, run_primitive

        primitive = self.estimator if submission.kind == "estimator" else self.sampler
        if primitive is None:
            raise ValueError(
                f"Argument `{submission.kind}` must be given for samples and mid-circuit operations, but is None. Give "
                "one, or use Aer()."
            )
        return read_results(run_primitive(primitive, submission).result(), submission)

    def _estimates(self, circuit: Circuit) -> bool:
        if self.shots is None or self.sampler is None:
            return True
        return self.estimator is not None and not any(op.is_mid_circuit for op in circuit.operations)


def _device(primitive: Any) -> Any:
    """Return the Qiskit backend that a primitive names, as a property or as a method; None if it names none."""
    backend = getattr(primitive, "backend", None)
    backend = backend() if callable(backend) and not hasattr(backend, "target") else backend
    return backend if hasattr(backend, "target") else None
