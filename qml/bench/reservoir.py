"""`qml bench reservoir`: persistent and feedback rings, and echo state networks, driven by series."""

from dataclasses import dataclass

import numpy as np
import torch

from qml.baselines import EchoStateNetwork
from qml.bench.bench import Bench, Case, Peer, Step
from qml.bench.peers import reservoirs
from qml.data import damped_waves
from qml.data.waves import CONTEXT, FEEDBACK_SCALE, HORIZON, INPUT_SCALES, N_QUBITS, RIDGE, WARM_UP
from qml.nn import FeedbackRing, OnionReservoir, PersistentRing, QuantumReservoir
from qml.reservoir import Forecaster, Reservoir

SEED = 0
N_MEASURED = 2
STEPS = {4: 50, 6: 50, 8: 10, 10: 2}  # length of a series by qubits, so that no peer needs minutes
ESN_STEPS = 100


@dataclass(frozen=True)
class Work:
    """Series that drive a reservoir.

    Args:
        inputs: Series, (batch, time, 1), float64.
        qubits: Qubits of the ring, or None.
        units: Units of the network, or None.
    """

    inputs: np.ndarray
    qubits: int | None = None
    units: int | None = None


def make_work(case: str) -> Work:
    """Draw the work of a case such as `"8"`, `"8,64"` (qubits, batch), `"esn 500"` or `"esn 500,64"` (units, batch)."""
    kind, _, size = case.rpartition(" ")
    number, _, batch = size.partition(",")
    time = ESN_STEPS if kind else STEPS[int(number)]
    inputs = np.random.default_rng(SEED).standard_normal((int(batch or 1), time, 1))
    return Work(inputs, units=int(number)) if kind else Work(inputs, qubits=int(number))


def ring(work: Work) -> PersistentRing:
    """Build the ring that ours and the peers simulate."""
    return PersistentRing(work.qubits or 1, N_MEASURED, seed=SEED)


def reference_rings() -> OnionReservoir:
    """Build the three rings of the published task."""
    return OnionReservoir([FeedbackRing(N_QUBITS, scale, FEEDBACK_SCALE) for scale in INPUT_SCALES])


def network(work: Work) -> EchoStateNetwork:
    """Build the network that ours and the peer run: a tenth of the entries of W is not zero, the peer's default."""
    return EchoStateNetwork(1, work.units or 1, seed=SEED)


def ours(case: str) -> Step:
    """Build a step of the package's own reservoir."""
    if case == "reference":
        return reference_step(reference_rings())
    work = make_work(case)
    reservoir = QuantumReservoir(ring(work)) if work.qubits else network(work)
    inputs = torch.from_numpy(work.inputs)

    def step() -> dict[str, torch.Tensor]:
        with torch.no_grad():
            return {"features": reservoir(inputs)[0]}

    return step


def reference_step(reservoir: Reservoir) -> Step:
    """Build a step of the published task: drive ten series, fit, drive four, forecast twenty steps in closed loop."""
    waves = damped_waves()

    def step() -> dict[str, torch.Tensor]:
        model = Forecaster(reservoir, alphas=RIDGE, warm_up=WARM_UP).fit(waves.train)
        return {"forecast": model.forecast(waves.test[:, :CONTEXT], HORIZON)}

    return step


RING_PEERS = ("aer.density_matrix", "default.mixed")
ESN_SIZES = ("500", "1000", "2000")
BENCH = Bench(
    title=f"a persistent ring of {N_MEASURED} measured qubits, driven by a series ({STEPS} steps by qubits); the "
    f"reference run with fed-back measurements; an echo state network, {ESN_STEPS} steps; float64; case is qubits, or "
    "qubits,series, or units,series",
    ours=ours,
    peers={
        "aer.density_matrix": Peer(
            lambda case: reservoirs.aer(make_work(case).inputs, ring(make_work(case))),
            ("qiskit", "qiskit_aer"),
            "qiskit-aer",
        ),
        "default.mixed": Peer(
            lambda case: reservoirs.default_mixed(make_work(case).inputs, ring(make_work(case))),
            ("pennylane",),
            "pennylane",
        ),
        "default.qubit": Peer(
            lambda case: reference_step(reservoirs.default_qubit(reference_rings())), ("pennylane",), "pennylane"
        ),
        "reservoirpy": Peer(
            lambda case: reservoirs.reservoirpy(make_work(case).inputs, network(make_work(case))),
            ("reservoirpy",),
            "reservoirpy",
        ),
    },
    cases={
        **{str(qubits): Case(RING_PEERS) for qubits in STEPS},
        **{f"{qubits},64": Case(RING_PEERS[:1], {"default.mixed": "it takes minutes"}) for qubits in (4, 6, 8)},
        "reference": Case(("default.qubit",)),
        **{f"esn {units}": Case(("reservoirpy",)) for units in ESN_SIZES},
        **{f"esn {units},64": Case(("reservoirpy",)) for units in ESN_SIZES},
    },
)
