"""Elementary arithmetic before and behind the kernel of a circuit; see `qml.simulator.jit.chain`.

On tables as small as these NumPy spends its time before its loops. All arrays have a dimension of groups in front, of
size 1 where all groups share them. Sums are in double precision.
"""

from qml.simulator.jit.compiling import Array, kernel


@kernel
def scale(inputs: Array, scales: Array, products: Array) -> None:
    """Write the products of inputs (groups, batch, inputs) and scales (groups, layers, slots) of the same column.

    Args:
        inputs: at most as many as slots.
        scales: the factors.
        products: zeros, (groups, batch, layers, slots).
    """
    one_inputs, one_scales = len(inputs) == 1, len(scales) == 1
    for group in range(len(products)):
        rows, factors = inputs[0 if one_inputs else group], scales[0 if one_scales else group]
        for sample in range(rows.shape[0]):
            for layer in range(factors.shape[0]):
                for column in range(rows.shape[1]):
                    products[group, sample, layer, column] = rows[sample, column] * factors[layer, column]


@kernel
def pull_scales(grad: Array, inputs: Array, of_scales: Array) -> None:
    """Add the gradient of the scales.

    Args:
        grad: of the products, (groups, batch, layers, slots).
        inputs: (groups, batch, inputs).
        of_scales: zeros, (groups, layers, slots).
    """
    one_inputs = len(inputs) == 1
    for group in range(len(grad)):
        rows = inputs[0 if one_inputs else group]
        for sample in range(rows.shape[0]):
            for layer in range(grad.shape[2]):
                for column in range(rows.shape[1]):
                    of_scales[group, layer, column] += grad[group, sample, layer, column] * rows[sample, column]


@kernel
def sum_squares(values: Array, labels: Array, sums: Array) -> None:
    """Add the squares of values (groups, batch, outputs) less labels (groups, batch) of each group."""
    one_labels = len(labels) == 1
    for group in range(len(values)):
        signs, total = labels[0 if one_labels else group], 0.0
        for sample in range(values.shape[1]):
            for output in range(values.shape[2]):
                difference = values[group, sample, output] - signs[sample]
                total += difference * difference
        sums[group] += total


@kernel
def pull_squares(grad: Array, factor: float, values: Array, labels: Array, of_values: Array) -> None:
    """Write the gradient of the values from that of `factor` / 2 times the sums of squares."""
    one_labels = len(labels) == 1
    for group in range(len(values)):
        signs, slope = labels[0 if one_labels else group], factor * grad[group]
        for sample in range(values.shape[1]):
            for output in range(values.shape[2]):
                of_values[group, sample, output] = slope * (values[group, sample, output] - signs[sample])
