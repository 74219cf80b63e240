"""The candidates for every kind of answer. A new route is one file beside this one, and one line in a list here."""

from qml.simulator.routes.choice import RouteChoice
from qml.simulator.routes.contraction import find_contraction
from qml.simulator.routes.factorised import find_factorised
from qml.simulator.routes.halves import find_halves
from qml.simulator.routes.jet_pieces import find_jet_pieces
from qml.simulator.routes.kernel import MAX_QUBITS, KernelRoute, find_kernel, find_state_kernel
from qml.simulator.routes.outcomes import find_outcomes
from qml.simulator.routes.pieces import find_pieces
from qml.simulator.routes.propagation import PropagationRoute, find_propagation
from qml.simulator.routes.register import RegisterRoute, find_register
from qml.simulator.routes.route import DistributionRoute, ExpectationRoute, JetRoute
from qml.simulator.routes.stepwise import MAX_JET_QUBITS, find_stepwise

EXPECTATIONS: RouteChoice[ExpectationRoute] = RouteChoice(
    find_pieces,
    find_factorised,
    find_contraction,
    find_kernel,
    find_register,
    find_halves,
    refusal="Expectation values need a route of the simulator, but there is none to this circuit's {n_qubits} qubits.",
)
COMPILED: RouteChoice[ExpectationRoute] = RouteChoice(
    find_kernel,
    refusal=f"Native(compiled=True) must run unitary circuits of at most {MAX_QUBITS} qubits, "
    "without wide matrices and too many Pauli strings, but this circuit of {n_qubits} qubits is another. Use Native().",
)
DISTRIBUTIONS: RouteChoice[DistributionRoute] = RouteChoice(
    find_outcomes,
    find_register,
    refusal="Probabilities need a route of the simulator, but there is none to this circuit's {n_qubits} qubits.",
)
STATES: RouteChoice[KernelRoute | RegisterRoute] = RouteChoice(
    find_state_kernel,
    find_register,
    refusal="A state vector needs a route of the simulator, but there is none to this circuit's {n_qubits} qubits.",
)
PROPAGATIONS: RouteChoice[PropagationRoute] = RouteChoice(
    find_propagation,
    refusal="Pauli propagation needs observables; a circuit of {n_qubits} qubits is simulated by Native() otherwise.",
)
JETS: RouteChoice[JetRoute] = RouteChoice(
    find_stepwise,
    find_jet_pieces,
    refusal=f"Derivatives along directions need a circuit of {MAX_JET_QUBITS} qubits at most that does not factorise, "
    "but this one has {n_qubits}; or a wide one of unitary gates whose light cones have components of as many. "
    "Differentiate expectation values instead.",
)
