"""The base of Aer, Qiskit and IBM: rows become pubs of a submission that a runner runs."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch

from circuits import Circuit, Observable
from qml.backends import inputs
from qml.backends.shift.evaluation import Means, Part
from qml.backends.shift.rows import RowBackend
from qml.jobs import JobFailed, LayoutReport, LocalService, PubResult, Runner, Service, Submission, answers

Kind = Literal["estimator", "sampler"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PubBackend(RowBackend):
    """The base class of backends that send circuits to Qiskit's primitives.

    Args:
        runner: of submissions, for example a durable one; None runs them at once.
    """

    runner: Runner | None = None

    @property
    def service(self) -> Service:
        """Return the service that its submissions go to."""
        from qml.backends.primitives.submissions import circuit_cost

        return LocalService(self.name, self.run, circuit_cost)

    def with_runner(self, runner: Runner) -> "PubBackend":
        """Return the same backend with another runner, which gets all its submissions."""
        return replace(self, runner=runner)

    @abstractmethod
    def run(self, submission: Submission) -> list[PubResult]:
        """Run a submission in this process; a backend is its own `Runner`."""

    @abstractmethod
    def compiler(self) -> Any:
        """Return how circuits are transpiled, a `qml.backends.primitives.transpile.Compiler`."""

    def layout_report(self, circuit: Circuit, qubits: Sequence[int] | None = None) -> LayoutReport:
        """Report which qubits of the device a circuit takes, their errors, and the expected fidelity.

        No circuit is run. Where expectation values come from samples, the circuit is measured in Z.

        Args:
            circuit: any that the backend runs.
            qubits: those of the circuit that are read at the end; None for all.

        Raises:
            ValueError: the backend has no device, or the circuit does not fit onto the device's working part.
        """
        from qml.backends.primitives.run_report import report_of_estimate, report_of_sampling

        read, compiler = inputs.as_qubits(qubits, circuit.n_qubits), self.compiler()
        report = (
            report_of_estimate(circuit, read, compiler, channels=self._channels, n_copies=self.pack)
            if self._estimates(circuit)
            else report_of_sampling(circuit, read, compiler, n_copies=self.pack)
        )
        if report is None:
            raise ValueError(
                f"Backend {self.name} must have a device for a layout, but has none. Name one, as in "
                'Aer(noise="fake_torino").'
            )
        return report

    def options(self, kind: Kind, generator: torch.Generator | None = None) -> Mapping[str, Any]:
        """Return the options of a submission, values of JSON."""
        return {}

    def overhead(self, kind: Kind) -> int:
        """Return how many runs mitigation makes for each one that is asked for."""
        return 1

    def _means_of_rows(self, circuit: Circuit, parts: Sequence[Part], observables: Sequence[Observable]) -> list[Means]:
        from qml.backends.primitives import submissions, transpile

        transpiled = transpile.transpiled_circuit(circuit, self.compiler())
        # Some primitives refuse an observable that is zero, which needs no run.
        nonzero = [place for place, item in enumerate(observables) if any(value != 0.0 for value, _ in item.terms)]
        means = [
            (np.zeros((len(rows), len(observables))), np.zeros((len(rows), len(observables)))) for rows, _ in parts
        ]
        if nonzero:
            sent = [observables[place] for place in nonzero]
            options, overhead = self.options("estimator"), self.overhead("estimator")
            results = self._send(submissions.submission("estimator", transpiled, parts, sent, options, overhead))
            for (values, errors), result in zip(means, results, strict=True):
                if "stds" not in result.arrays:
                    raise JobFailed(f"{self.name} must answer with standard deviations, but answered {result.arrays}.")
                values[:, nonzero], errors[:, nonzero] = result.arrays["evs"], result.arrays["stds"]
        return list(means)

    def _bits_of_rows(
        self, circuit: Circuit, parts: Sequence[Part], generator: torch.Generator | None
    ) -> list[np.ndarray]:
        from qml.backends.primitives import submissions, transpile

        transpiled = transpile.transpiled_circuit(circuit, self.compiler())
        options = self.options("sampler", generator)
        results = self._send(submissions.submission("sampler", transpiled, parts, (), options))
        return [submissions.measured_bits(result) for result in results]

    def _send(self, submission: Submission) -> list[PubResult]:
        return answers.checked(submission, (self.runner or self).run(submission))
