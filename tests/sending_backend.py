"""A backend that sends jobs: the oracle's values, through submissions. What `qml submit` is tested with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from circuits import Circuit, Observable, from_openqasm, observables, to_openqasm
from qml.backends import Capabilities, Native
from qml.jobs import CircuitCost, DirectRunner, LocalService, Pub, PubResult, Runner, Service, Submission

SERVICES: dict[str, Service] = {}  # by name, in place of the one of this process


@dataclass(frozen=True, eq=False)
class Sending:
    """Exact values, or values with the noise of shots; forward only."""

    shots: int | None = None
    generator: torch.Generator | None = None
    runner: Runner | None = None
    name = "sending"
    capabilities = Capabilities(exact=True, shots=True, noise=False, mid_circuit=False, derivative_order=0)

    @property
    def service(self) -> Service:
        """A simulator in this process, unless a test has put another one there."""
        return SERVICES.get(self.name) or LocalService(self.name, simulate, cost)

    def with_runner(self, runner: Runner) -> "Sending":
        """See `SubmittingBackend`."""
        return replace(self, runner=runner)

    def expectation(self, circuit: Circuit, data: Tensor, weights: Tensor, observables: Sequence[Observable]) -> Tensor:
        """See `Backend.expectation`."""
        values = torch.cat([data, weights.expand(len(data), -1)], 1).detach().double().numpy()
        seed = 0 if self.generator is None else int(torch.randint(2**31, (), generator=self.generator))
        sums = tuple(tuple((label(factors, circuit), w) for w, factors in item.terms) for item in observables)
        pub = Pub(to_openqasm(circuit).encode(), values, sums, self.shots)
        submission = Submission("estimator", (pub,), {"seed": seed})
        (result,) = (self.runner or DirectRunner(self.service)).run(submission)
        return torch.from_numpy(result.arrays["evs"]).to(data)

    def probabilities(self, *arguments: Any, **options: Any) -> Tensor:
        """Not needed here."""
        raise NotImplementedError

    def sample(self, *arguments: Any, **options: Any) -> Any:
        """Not needed here."""
        raise NotImplementedError


def label(factors: Sequence[tuple[int, str]], circuit: Circuit) -> str:
    """A Pauli label over all qubits, qubit 0 first."""
    letters = dict(factors)
    return "".join(letters.get(qubit, "I") for qubit in range(circuit.n_qubits))


def simulate(submission: Submission) -> list[PubResult]:
    """Exact values; with shots, a deviation that the seed decides."""
    results = []
    for pub in submission.pubs:
        circuit = from_openqasm(pub.circuit.decode())
        values = torch.from_numpy(pub.values)
        data, weights = values[:, : circuit.n_data], values[0, circuit.n_data :]
        sums = [observables.observable(dict(item)) for item in pub.observables]
        exact = Native().expectation(circuit, data, weights, sums).numpy()
        generator = np.random.default_rng(submission.options["seed"])
        spread = 0.0 if pub.shots is None else pub.shots**-0.5
        evs = exact + spread * generator.normal(size=exact.shape)
        results.append(PubResult({"evs": evs, "stds": np.full_like(evs, spread)}))
    return results


def cost(circuit: bytes) -> CircuitCost:
    """Counted off the text: each gate line a layer, a millisecond an execution."""
    lines = [line for line in circuit.decode().splitlines() if "q[" in line and not line.startswith("qubit")]
    wide = sum(line.count("q[") > 1 for line in lines)
    return CircuitCost(from_openqasm(circuit.decode()).n_qubits, len(lines), wide, seconds=1e-3)
