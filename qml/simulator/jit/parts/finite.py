"""Whether numbers are finite."""

from qml.simulator.jit.compiling import Array, inlined


@inlined
def are_finite(table: Array) -> bool:
    """Tell whether all numbers of a table are finite: others times 0 are NaN."""
    total = 0.0
    for row in range(len(table)):
        for column in range(table.shape[1]):
            total += table[row, column] * 0.0
    return total == 0.0
