"""The choice of a route: candidates are planned once for a circuit and a request, and the cheapest that fits runs."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, TypeVar

from torch import Tensor

from circuits import Circuit
from qml.simulator.kept import KeptByCircuit
from qml.simulator.plan import Request
from qml.simulator.routes.route import Route

MAX_REQUESTS = 12  # of one circuit, whose routes are kept: each may hold tables of the size of the register
ANY_BATCH = 0  # the batch of a request whose routes serve batches of every size
R = TypeVar("R", bound=Route)
Planner = Callable[[Circuit, Request], R | None]  # None where the circuit is not of the route's kind


class RouteChoice(Generic[R]):
    """A list of candidates for one kind of answer, and the routes that were planned.

    Routes are kept by circuit and request. A circuit that has grown is planned again, a dead one is forgotten, and of a
    circuit the most recently used requests are kept. Threads that ask for new routes at once may each plan them; the
    routes are equal.

    Args:
        planners: of all candidates, in the order in which they are asked; among equally cheap ones the first is taken.
        refusal: the message of the error where no candidate answers, with a place for `n_qubits`.
    """

    def __init__(self, *planners: Planner[R], refusal: str) -> None:
        self._planners, self._refusal = planners, refusal
        self._routes: KeptByCircuit[dict[Request, tuple[R, ...]]] = KeptByCircuit(dict)
        self._lock = threading.Lock()

    def find(self, circuit: Circuit, request: Request, data: Tensor) -> R:
        """Return the cheapest route whose states fit into memory; the cheapest of all where none fits, which says so.

        Args:
            circuit: what runs.
            request: what is asked.
            data: of which batch size, dtype and device count.

        Raises:
            NotImplementedError: no candidate answers.
        """
        routes = self.planned(circuit, request)
        if len(routes) == 1:
            return routes[0]
        if not routes:
            raise NotImplementedError(self._refusal.format(n_qubits=circuit.n_qubits))
        for route in routes:
            if all(need.fits() for need in route.needs(data)):
                return route
        return routes[0]

    def planned(self, circuit: Circuit, request: Request) -> tuple[R, ...]:
        """Return the routes that answer the request, the cheapest first."""
        kept = self._routes.of(circuit)
        routes = kept.get(request)
        if routes is not None:
            if len(kept) > MAX_REQUESTS // 2:  # the most recently used come last; few stay where they are
                with self._lock:
                    kept.pop(request, None)
                    kept[request] = routes
            return routes
        for_any_batch = replace(request, batch=ANY_BATCH)
        routes = kept.get(for_any_batch)
        if routes is None:
            routes = self._plan(circuit, request)
        with self._lock:
            if len(routes) == 1 and routes[0].is_final:
                kept[for_any_batch] = routes
            kept[request] = routes
            while len(kept) > MAX_REQUESTS:
                kept.pop(next(iter(kept)))
        return routes

    def n_kept(self, circuit: Circuit) -> int:
        """Return the number of requests of a circuit whose routes are kept."""
        return len(self._routes.get(circuit) or ())

    def n_circuits(self) -> int:
        """Return the number of circuits whose routes are kept."""
        return len(self._routes)

    def _plan(self, circuit: Circuit, request: Request) -> tuple[R, ...]:
        routes: list[R] = []
        for planner in self._planners:
            route = planner(circuit, request)
            if route is not None:
                routes.append(route)
                if route.is_final:
                    return (route,)
        return tuple(sorted(routes, key=lambda route: route.cost)) if len(routes) > 1 else tuple(routes)
