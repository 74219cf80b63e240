"""The choice between routes: the cheapest that fits into memory, planned once."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from circuits import Circuit, Y, Z, data, weight
from qml.backends import Native
from qml.nn import QNNClassifier
from qml.simulator import memory
from qml.simulator.memory import MemoryNeed
from qml.simulator.plan import Request, batch_step
from qml.simulator.routes import DISTRIBUTIONS, EXPECTATIONS, JETS
from qml.simulator.routes.choice import RouteChoice
from qml.simulator.routes.factorised import FactorisedRoute
from qml.simulator.routes.halves import HalvesRoute
from qml.simulator.routes.register import RegisterRoute
from qml.simulator.routes.route import DistributionRoute, ExpectationRoute, JetRoute
from qml.simulator.routes.stepwise import StepwiseRoute
from tests.helpers import assert_close
from tests.test_simulator_cut import inputs_of, layered

DATA = torch.zeros(3, 2)


@dataclass(frozen=True)
class StandIn:
    """A route of some cost that needs a state of some qubits."""

    cost: float
    n_sites: int
    is_final: bool = False

    def needs(self, data: Tensor) -> tuple[MemoryNeed, ...]:
        return (MemoryNeed(self.n_sites, 2, len(data), data.dtype, data.device),)


def choice(*routes: StandIn | None) -> RouteChoice[Any]:
    return RouteChoice(*(lambda *_, route=route: route for route in routes), refusal="none to {n_qubits} qubits")


def request(batch: int = 3) -> Request:
    return Request(2, (Z(0).terms,), shared_data=batch == 1, batch=batch_step(batch))


@pytest.mark.parametrize("route", [FactorisedRoute, HalvesRoute, RegisterRoute])
def test_routes_to_expectation_values_keep_the_contract(route: type) -> None:
    assert issubclass_by_methods(route, ExpectationRoute)


def test_other_routes_keep_their_contracts() -> None:
    assert issubclass_by_methods(RegisterRoute, DistributionRoute)
    assert issubclass_by_methods(StepwiseRoute, JetRoute)
    assert not issubclass_by_methods(HalvesRoute, DistributionRoute)


def issubclass_by_methods(route: type, protocol: type) -> bool:
    names = {name for kind in protocol.__mro__ for name in vars(kind) if not name.startswith("_")}
    return all(hasattr(route, name) for name in names)


def test_the_cheapest_route_is_chosen_and_the_first_of_equal_ones() -> None:
    dear, cheap, equal = StandIn(3.0, 2), StandIn(1.0, 2), StandIn(1.0, 3)
    assert choice(dear, None, cheap, equal).find(Circuit(2), request(), DATA) is cheap


def test_a_route_that_does_not_fit_gives_way_to_a_dearer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, narrow = StandIn(1.0, 30), StandIn(2.0, 2)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 2**25)
    assert choice(wide, narrow).find(Circuit(2), request(), DATA) is narrow
    wider = StandIn(2.0, 31)
    assert choice(wide, wider).find(Circuit(2), request(), DATA) is wide  # which says what it would need


def test_candidates_after_a_final_route_are_not_planned_and_it_serves_all_batches() -> None:
    n_planned, final = [], StandIn(9.0, 2, is_final=True)

    def plan(*_: Any) -> StandIn:
        n_planned.append(1)
        return final

    def fail(*_: Any) -> StandIn:
        raise AssertionError

    routes: RouteChoice[Any] = RouteChoice(plan, fail, refusal="")
    circuit = Circuit(2)
    assert all(routes.find(circuit, request(batch), DATA) is final for batch in (2, 40, 3, 600))
    assert len(n_planned) == 1


def test_what_no_candidate_answers_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="none to 2 qubits"):
        choice(None).find(Circuit(2), request(), DATA)
    with pytest.raises(NotImplementedError, match="8 qubits at most"):
        JETS.find(layered(9, 1), request(), DATA)


def test_each_kind_of_circuit_takes_its_route() -> None:
    star = QNNClassifier(7, "zx").circuit
    assert isinstance(EXPECTATIONS.find(star, Request(2, (Y(7).terms,), False, 2), torch.zeros(3, 7)), FactorisedRoute)
    small = Circuit(2).ry(data(0), 0).cx(0, 1).ry(weight(0), 1)
    assert isinstance(EXPECTATIONS.find(small, request(), DATA), RegisterRoute)
    assert isinstance(DISTRIBUTIONS.find(star, Request(2, None, False, 2), DATA), RegisterRoute)
    assert isinstance(JETS.find(small, request(), DATA[None]), StepwiseRoute)


def test_a_register_that_does_not_fit_is_cut_where_it_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    circuit = layered(10, 2)
    inputs = tuple(values.detach() for values in inputs_of(circuit, 1))
    asked = Request(2, (Z(0).terms,), shared_data=True, batch=1)
    routes = EXPECTATIONS.planned(circuit, asked)
    assert [type(route) for route in routes] == [RegisterRoute, HalvesRoute]
    whole = Native().expectation(circuit, *inputs, [Z(0)])
    needed = [max(need.n_bytes for need in route.needs(inputs[0])) for route in routes]
    monkeypatch.setattr(memory, "UNASKED_BYTES", 0)
    monkeypatch.setattr(memory, "available_bytes", lambda device: needed[0] - 1)
    assert_close(Native().expectation(circuit, *inputs, [Z(0)]), whole, 1e-12)
    monkeypatch.setattr(memory, "available_bytes", lambda device: 1)
    with pytest.raises(ValueError, match="must fit into memory, but state vectors of 10 qubits"):
        Native().expectation(circuit, *inputs, [Z(0)])
