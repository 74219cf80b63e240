"""The plan of a circuit on a register: what is prepared, fused, moved and read.

A plan depends on the circuit, on what is read, on the number of levels and on whether the batch shares its data (one
sample), never on angles.
"""

from dataclasses import dataclass, field

from qml.simulator.expressions import Expressions
from qml.simulator.fuse import FusedBlock
from qml.simulator.linear import Linear, Preparation
from qml.simulator.pauli.options import PauliPropagation
from qml.simulator.readout import Terms

BATCH_STEPS = (1, 2, 8, 32, 128, 512, 2048)  # plans are shared between batches of similar size


@dataclass(frozen=True)
class Request:
    """A request to plan for: all that a plan depends on beside the circuit.

    Attributes:
        levels: 2 for state vectors, 4 for density matrices.
        terms: the observables' weighted Pauli strings; None where probabilities or states are read.
        shared_data: whether the batch is one sample, whose data are as weights.
        batch: the representative size of the batch (`batch_step`).
        only_steps: whether no gate is taken into the initial state, and states are complex, so that gates of data are
            phases.
        only_registers: whether no tensor network is contracted, since the adjoint method is one of states.
        propagation: the options of Pauli propagation; None where that is not asked for.
        compiled: whether the compiled kernel runs the circuit: always (True), never (False), or where it is quicker.
        outcomes: qubits of a wide circuit whose outcomes are read; None where the request is not about those alone.
    """

    levels: int
    terms: Terms | None
    shared_data: bool
    batch: int
    only_steps: bool = False
    only_registers: bool = False
    propagation: PauliPropagation | None = None
    compiled: bool | None = False
    outcomes: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class PlannedStep:
    """A step of a plan: the fused block, the layout before it, and the node of its matrix if it is shared."""

    block: FusedBlock
    layout: tuple[int, ...]
    position: int
    node: int | None


@dataclass(frozen=True, eq=False)
class PlannedMove:
    """A new order of the register's sites."""

    old: tuple[int, ...]
    new: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """A plan of all that does not depend on angles, dtype or device.

    Attributes:
        n_sites: sites of the register.
        n_weights: weight slots; with shared data the data slots follow them.
        is_real: whether all amplitudes are real.
        preparations: given amplitudes.
        chains: for every other site its one-site maps before anything else, consecutive shared maps as one node.
        steps: blocks and moves in order.
        layout: the order of sites at the end.
        terms: the observables after the end of the circuit was moved into them.
        expressions: all matrices that depend on weights.
        has_projection: whether the norm can differ from 1.
        extra_nodes: further expressions that the program evaluates.
    """

    request: Request
    n_sites: int
    n_weights: int
    is_real: bool
    preparations: list[Preparation]
    chains: list[tuple[int, list[int | Linear]]]
    steps: list[PlannedStep | PlannedMove]
    layout: tuple[int, ...]
    terms: Terms | None
    expressions: Expressions
    has_projection: bool
    extra_nodes: list[int] = field(default_factory=list)

    @property
    def takes_amplitudes(self) -> bool:
        """Tell whether amplitudes come with the data."""
        return any(preparation.amplitudes is None for preparation in self.preparations)


def batch_step(batch: int) -> int:
    """Return the representative batch size for which a plan is made."""
    return max((step for step in BATCH_STEPS if step <= batch), default=1)
