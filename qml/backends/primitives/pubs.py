"""What Aer, any primitive of Qiskit and IBM's devices share: rows become pubs of a submission that a runner runs."""

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
    """Base of the backends that speak Qiskit's primitives.

    Args:
        runner: what runs submissions, for example a durable one; None runs them at once.
    """

    runner: Runner | None = None

    @property
    def service(self) -> Service:
        """Where its submissions go."""
        from qml.backends.primitives.submissions import circuit_cost

        return LocalService(self.name, self.run, circuit_cost)

    def with_runner(self, runner: Runner) -> "PubBackend":
        """The same backend with all its submissions handed to `runner`."""
        return replace(self, runner=runner)

    @abstractmethod
    def run(self, submission: Submission) -> list[PubResult]:
        """Run a submission in this process; a backend is its own `Runner`."""

    @abstractmethod
    def compiler(self) -> Any:
        """How circuits are transpiled: a `qml.backends.primitives.transpile.Compiler`."""

    def layout_report(self, circuit: Circuit, qubits: Sequence[int] | None = None) -> LayoutReport:
        """Which qubits of the device a circuit takes, their errors, and the fidelity that they let expect.

        Nothing is run. Where expectation values are read off samples, it is that of the circuit measured in Z.

        Args:
            circuit: any that the backend runs.
            qubits: of the circuit, which are read at the end; None for all.

        Raises:
            ValueError: the backend has no device; the circuit does not fit onto what works of it.
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
        """What goes with a submission, as JSON."""
        return {}

    def overhead(self, kind: Kind) -> int:
        """Runs that mitigation makes of each one that is asked for."""
        return 1

    def _means_of_rows(self, circuit: Circuit, parts: Sequence[Part], observables: Sequence[Observable]) -> list[Means]:
        from qml.backends.primitives import submissions, transpile

        transpiled = transpile.transpiled_circuit(circuit, self.compiler())
        # An observable that is zero is refused by some primitives, and needs no run.
        live = [place for place, item in enumerate(observables) if any(value != 0.0 for value, _ in item.terms)]
        found = [
            (np.zeros((len(rows), len(observables))), np.zeros((len(rows), len(observables)))) for rows, _ in parts
        ]
        if live:
            sent = [observables[place] for place in live]
            options, overhead = self.options("estimator"), self.overhead("estimator")
            results = self._send(submissions.submission("estimator", transpiled, parts, sent, options, overhead))
            for (values, errors), result in zip(found, results, strict=True):
                if "stds" not in result.arrays:
                    raise JobFailed(f"{self.name} must answer with standard deviations, but answered {result.arrays}.")
                values[:, live], errors[:, live] = result.arrays["evs"], result.arrays["stds"]
        return list(found)

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
