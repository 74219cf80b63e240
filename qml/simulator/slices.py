"""Slices of a contraction: some variables are fixed, and the sum over their values is taken outside.

Every fixed variable halves the largest tables and doubles the number of contractions; work that does not hold the
variable is repeated. The variable is fixed first whose tables cost most.
"""

from collections.abc import Iterable

from qml.simulator.contract import Contraction, planned_contraction
from qml.simulator.network import LARGEST_EXPONENT, Order, TensorNetwork, neighbours_of

MOST_FIXED = 10  # variables: 1024 slices


def sliced(plan: Contraction) -> Contraction | None:
    """Fix one variable more; None where there are too many slices already, or nothing is left to fix."""
    network, fixed = plan.network, plan.fixed
    if len(fixed) == MOST_FIXED:
        return None
    costs: dict[int, float] = {}
    for bag in _bags(network, plan.order.variables, fixed):
        for variable in bag:
            costs[variable] = costs.get(variable, 0.0) + 2.0 ** min(len(bag), LARGEST_EXPONENT)
    candidates = costs.keys() - set(network.read)
    if not candidates:
        return None
    fixed = (*fixed, max(sorted(candidates), key=costs.__getitem__))
    variables = tuple(variable for variable in plan.order.variables if variable not in fixed)
    bags = _bags(network, variables, fixed)
    entries = sum(2.0 ** min(len(bag) - 1, LARGEST_EXPONENT) for bag in bags)
    width = max((len(bag) - 1 for bag in bags), default=len(network.read))
    order = Order(variables, max(width, len(network.read)), 2.0 ** len(fixed) * 2.0 * entries, entries)
    return planned_contraction(network, order, fixed)


def _bags(network: TensorNetwork, variables: Iterable[int], fixed: Iterable[int]) -> list[set[int]]:
    """Return for every variable that is summed the variables of the product that it is summed in."""
    neighbours = neighbours_of(network)
    for variable in fixed:
        for other in neighbours.pop(variable):
            neighbours[other].discard(variable)
    bags = []
    for variable in variables:
        around = neighbours.pop(variable)
        bags.append(around | {variable})
        for other in around:
            neighbours[other].discard(variable)
            neighbours[other] |= around - {other}
    return bags
