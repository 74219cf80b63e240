"""A cost model of plans: floating-point operations and bytes, turned into nanoseconds by rates of two ordinary cores.

Only ratios matter: the planner takes the cheapest variant. The rates were measured with float32 matrix products of the
shapes that occur (a small square matrix times a long state); half the rate holds for float64 in every row alike.
"""

import math
from itertools import pairwise

from qml.simulator.fuse import FusedBlock, gathered

# GFLOP/s of a (side x side) @ (side x long) product, and GB/s of a pass over the state that stays near the caches
PRODUCT_RATES = {2: 14.0, 4: 30.0, 8: 50.0, 16: 90.0, 32: 90.0, 64: 100.0}
TOP_PRODUCT_RATE = 100.0
BANDWIDTH = 25.0
GATHER_NS = 2.5  # one row of an index table
BLOCK_PASSES = 2.0  # a small matrix product reaches about half of the bandwidth
PHASE_NS = 4.0  # cosine and sine of one phase
TRANSPOSE_PASSES = 3.0  # a move of sites, in ordinary passes over the state
CALL_NS = 4000.0  # one tensor operation
CALLS_A_LAYER = 3.0  # batched operations that build one more layer of all blocks' matrices
CUT_CALLS = 40.0  # more tensor operations that a second register takes
STRING_CALLS = 40.0  # tensor operations of one Pauli string of a factorised circuit
SPOKE_OPERATIONS = 24.0  # floating-point operations of one factor: a product of four terms, then a complex product
AMPLITUDE_BYTES = {True: 4, False: 8}  # by whether amplitudes are real


def blocks_cost(blocks: list[FusedBlock], layout: tuple[int, ...], *, levels: int, batch: int, real: bool) -> float:
    """Estimate the nanoseconds of one forward pass through the blocks and of building their matrices."""
    size = _power(levels, len(layout)) * batch
    total = 0.0
    for block in blocks:
        total += _block_cost(block, size, levels, batch, real)
        if block.kind not in ("permutation", "controlled"):
            new = gathered(layout, block.sites)
            if new != layout:
                total += CALL_NS + TRANSPOSE_PASSES * 2 * size * AMPLITUDE_BYTES[real] / BANDWIDTH
                layout = new
    depth = max((_depth(block) for block in blocks if block.kind == "shared"), default=0)
    return total + CALLS_A_LAYER * CALL_NS * depth


def gram_cost(n_own: int, n_branches: int, *, n_strings: int, batch: int) -> float:
    """Estimate the nanoseconds of the overlaps between all branches, forward (see `qml.simulator.gram`)."""
    operations = 8.0 * _power(2, n_own + 2 * n_branches) * batch * n_strings
    return CUT_CALLS * CALL_NS + operations / TOP_PRODUCT_RATE


def factorised_cost(n_spokes: int, pairs_of_strings: list[int], *, batch: int) -> float:
    """Estimate the nanoseconds of products over spokes, for every string its pairs of sectors (see `factorised.py`)."""
    operations = SPOKE_OPERATIONS * n_spokes * sum(pairs_of_strings) * max(batch, 1)
    return STRING_CALLS * CALL_NS * len(pairs_of_strings) + operations / PRODUCT_RATES[2]


def _power(levels: int, n_sites: int) -> float:
    """Return the numbers in a state, infinity where a float cannot hold it."""
    try:
        return float(levels) ** n_sites
    except OverflowError:
        return math.inf


def _block_cost(block: FusedBlock, size: float, levels: int, batch: int, real: bool) -> float:
    pass_ns = 2 * size * AMPLITUDE_BYTES[real] / BANDWIDTH
    if block.kind == "permutation":
        return CALL_NS + max(pass_ns, size / batch * GATHER_NS)
    if block.kind == "phase":
        return 4 * CALL_NS + 3 * pass_ns + levels ** len(block.sites) * batch * PHASE_NS
    if block.kind in ("data", "controlled"):
        return 6 * CALL_NS + 6 * pass_ns
    side = levels ** len(block.sites)
    per_product = 2.0 if real else 8.0
    apply = max(per_product * side * size / PRODUCT_RATES.get(side, TOP_PRODUCT_RATE), BLOCK_PASSES * pass_ns)
    n_products = sum(1 for linear in block.maps if len(linear.sites) > 1 and linear.table is None)
    n_layers = sum(1 for linear in block.maps if len(linear.sites) > 1) / max(1, len(block.sites) - 1)
    build = (n_products + n_layers) * per_product * side**3 / PRODUCT_RATES.get(side, TOP_PRODUCT_RATE)
    return CALL_NS + apply + build


def _depth(block: FusedBlock) -> int:
    """Count the runs of one-site maps and of wider ones in a block: layers that cannot be built together."""
    wide = [len(linear.sites) > 1 for linear in block.maps]
    return 1 + sum(a != b for a, b in pairwise(wide))
