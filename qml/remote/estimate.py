"""Estimates of what a run costs, from a dry run that makes every submission and sends none."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from qml.backends.primitives.layouts import report_of_pub
from qml.jobs import (
    CircuitCost,
    LayoutReport,
    PubResult,
    Service,
    Submission,
    SubmissionLimits,
    SubmittingBackend,
    split,
)
from qml.jobs.budget import SECONDS_A_JOB
from qml.nn.move import places_of, restore_places, to_backend


@dataclass(frozen=True)
class Estimate:
    """The size of a run.

    Args:
        backend: the backend's name.
        jobs: number of jobs.
        circuits: number of circuits, each with its own angles and measured bases.
        shots: runs of all circuits together, those of mitigation (noise factors) included; 0 if values are exact.
        n_qubits: qubits of the widest circuit.
        depth: depth of the deepest circuit.
        two_qubit_gates: two-qubit gates of the circuit that has most of them.
        seconds: seconds of the device; None if the time of a circuit is not known.
        layout: qubits on the device and their errors, for the circuit with the lowest expected fidelity; None on a
            simulator that stands for no device.
    """

    backend: str
    jobs: int
    circuits: int
    shots: int
    n_qubits: int
    depth: int
    two_qubit_gates: int
    seconds: float | None
    layout: LayoutReport | None = None


@dataclass
class DryRunner:
    """A runner that keeps submissions and answers with values of the right form: an observable's largest, or bits.

    One of three shots has zeros alone, one has ones alone, and one has random bits, so that post-selection on equal
    bits always keeps some shots, and post-selection on other bits keeps some if there are many.
    """

    service: Service
    submissions: list[Submission] = field(default_factory=list)

    def run(self, submission: Submission) -> list[PubResult]:
        """Return results of the right form that mean nothing."""
        self.submissions.append(submission)
        generator = np.random.default_rng(0)
        results = []
        for pub in submission.pubs:
            if submission.kind == "estimator":
                largest = [sum(abs(weight) for _, weight in terms) for terms in pub.observables]
                evs = np.ones((len(pub.values), 1)) * largest  # post-selection refuses a success of 0
                results.append(PubResult({"evs": evs, "stds": np.ones_like(evs)}))
                continue
            cost = self.service.circuit_cost(pub.circuit)
            shape = (len(pub.values), pub.shots or 1)
            kind = np.arange(shape[1])[:, None] % 3
            bits = {}
            for name, n in cost.registers:
                drawn = np.where(kind == 2, generator.integers(0, 2, (shape[1], n)), kind).astype(np.uint8)
                bits[name] = np.broadcast_to(drawn, (*shape, n))
            results.append(PubResult(bits))
        return results


def estimate(
    layer: nn.Module,
    inputs: Tensor,
    backend: SubmittingBackend,
    *,
    backward: bool = False,
    limits: SubmissionLimits | None = None,
) -> Estimate:
    """Estimate the cost of one forward pass of `layer` on `backend`, and of its backward pass.

    Nothing is sent. A device needs about 2 s for a job, and for each execution the circuit's duration and the pause
    before the next one. If later circuits depend on earlier results, which mean nothing in a dry run, the estimate is
    that of a run of the same form. Not counted are the circuit that calibrates the read-out, one a job if read-out
    errors are mitigated, and the longer time of gates that are folded to amplify their noise.

    Args:
        layer: a layer or a whole model; its quantum layers keep the backends that they have.
        inputs: the inputs that the layer will get.
        backend: the backend on which it will run.
        backward: whether gradients are taken as well.
        limits: limits of one job; None for those of a device, and for none on a simulator.
    """
    runner = DryRunner(backend.service)
    before = places_of(layer)
    generator: torch.Generator | None = getattr(backend, "generator", None)
    drawn = None if generator is None else generator.get_state()
    try:
        to_backend(layer, backend.with_runner(runner))
        with torch.set_grad_enabled(backward):
            values = predictions(layer, inputs)
            if backward:
                trained = [parameter for parameter in layer.parameters() if parameter.requires_grad]
                torch.autograd.grad(values.sum(), trained, allow_unused=True)
    finally:
        restore_places(before)
        if generator is not None and drawn is not None:  # the real run draws the seeds that it would have drawn
            generator.set_state(drawn)
    return size_of(runner.submissions, backend.service, limits)


def predictions(layer: nn.Module, inputs: Tensor) -> Tensor:
    """Return the predictions of a layer: its output, or the first one of a recurrent layer that returns states too."""
    outputs = layer(inputs)
    return outputs[0] if isinstance(outputs, tuple) else outputs


def size_of(submissions: Sequence[Submission], service: Service, limits: SubmissionLimits | None) -> Estimate:
    """Return the size of submissions."""
    circuits, shots, seconds = 0, 0, 0.0
    known, simulated = True, True
    costs: dict[bytes, CircuitCost] = {}
    layouts: list[LayoutReport] = []
    for submission in submissions:
        for pub in submission.pubs:
            cost = costs.setdefault(pub.circuit, service.circuit_cost(pub.circuit))
            layout = report_of_pub(pub, cost.layout, cost.device_qubits)
            layouts += [] if layout is None else [layout]
            executions = len(pub.values) * split.executions_of_row(pub, submission)
            circuits += executions // (pub.shots or 1)
            shots += executions if pub.shots else 0
            known = known and cost.seconds is not None
            simulated = simulated and cost.seconds == 0.0
            seconds += executions * (cost.seconds or 0.0)
    limits = limits or (split.UNLIMITED if simulated else SubmissionLimits())
    jobs = sum(len(split.plan(submission, limits)) for submission in submissions)
    return Estimate(
        backend=service.name,
        jobs=jobs,
        circuits=circuits,
        shots=shots,
        n_qubits=max((cost.n_qubits for cost in costs.values()), default=0),
        depth=max((cost.depth for cost in costs.values()), default=0),
        two_qubit_gates=max((cost.two_qubit_gates for cost in costs.values()), default=0),
        seconds=(0.0 if simulated else SECONDS_A_JOB * jobs + seconds) if known else None,
        layout=min(layouts, key=_fidelity, default=None),
    )


def _fidelity(report: LayoutReport) -> float:
    return 1.0 if report.expected_fidelity is None else report.expected_fidelity
