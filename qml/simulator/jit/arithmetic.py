"""Elementary arithmetic before and behind the kernel of a circuit; see `qml.simulator.jit.chain`.

On tables as small as these NumPy spends its time before its loops. All arrays have a dimension of groups in front, of
size 1 where all groups share them. Sums are in double precision.
"""

import numpy as np

from qml.simulator.jit.compiling import Array, kernel

SMALLEST_SQUARE = 1e-290  # of a norm: below, numbers lose digits, and rows are refused as not finite


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


@kernel
def write_pairs(inputs: Array, out: Array) -> None:
    """Write inputs (groups, batch, inputs), and behind them the products of all pairs, the first factor slowest."""
    n_inputs = inputs.shape[2]
    for group in range(len(out)):
        for sample in range(out.shape[1]):
            row, place = inputs[group, sample], n_inputs
            for first in range(n_inputs):
                out[group, sample, first] = row[first]
                for second in range(first + 1, n_inputs):
                    out[group, sample, place] = row[first] * row[second]
                    place += 1


@kernel
def pull_pairs(grad: Array, inputs: Array, of_inputs: Array) -> None:
    """Add the gradient of the inputs; they may have one group alone."""
    n_inputs, one_inputs = inputs.shape[2], len(inputs) == 1
    for group in range(len(grad)):
        for sample in range(grad.shape[1]):
            row, place = inputs[0 if one_inputs else group, sample], n_inputs
            for first in range(n_inputs):
                of_inputs[group, sample, first] += grad[group, sample, first]
                for second in range(first + 1, n_inputs):
                    slope = grad[group, sample, place]
                    of_inputs[group, sample, first] += slope * row[second]
                    of_inputs[group, sample, second] += slope * row[first]
                    place += 1


@kernel
def write_amplitudes(inputs: Array, amplitudes: Array) -> None:
    """Write rows (groups, batch, inputs), padded to n amplitudes by 1 / n, over their norms."""
    n_inputs, size = inputs.shape[2], amplitudes.shape[2]
    for group in range(len(amplitudes)):
        for sample in range(amplitudes.shape[1]):
            total = (size - n_inputs) / (size * size)
            for column in range(n_inputs):
                total += inputs[group, sample, column] * inputs[group, sample, column]
            norm = np.sqrt(total if SMALLEST_SQUARE < total < np.inf else np.nan)
            for column in range(size):
                amplitudes[group, sample, column] = 1.0 / (size * norm)
            for column in range(n_inputs):
                amplitudes[group, sample, column] = inputs[group, sample, column] / norm


@kernel
def pull_amplitudes(grad: Array, inputs: Array, of_inputs: Array) -> None:
    """Write the gradient of the inputs, which may have one group alone."""
    n_inputs, size, one_inputs = inputs.shape[2], grad.shape[2], len(inputs) == 1
    for group in range(len(grad)):
        for sample in range(grad.shape[1]):
            row = inputs[0 if one_inputs else group, sample]
            total, along = (size - n_inputs) / (size * size), 0.0
            for column in range(n_inputs):
                total += row[column] * row[column]
                along += row[column] * grad[group, sample, column]
            for column in range(n_inputs, size):
                along += grad[group, sample, column] / size
            norm = np.sqrt(total)
            for column in range(n_inputs):
                of_inputs[group, sample, column] = (grad[group, sample, column] - row[column] * along / total) / norm


@kernel
def write_squashed(inputs: Array, matrix: Array, angles: Array) -> None:
    """Write pi / 2 tanh(A x) of inputs (groups, batch, inputs) and A (groups, angles, inputs)."""
    one_inputs, one_matrix = len(inputs) == 1, len(matrix) == 1
    for group in range(len(angles)):
        rows, factors = inputs[0 if one_inputs else group], matrix[0 if one_matrix else group]
        for sample in range(angles.shape[1]):
            for angle in range(angles.shape[2]):
                total = 0.0
                for column in range(rows.shape[1]):
                    total += factors[angle, column] * rows[sample, column]
                angles[group, sample, angle] = np.pi / 2.0 * np.tanh(total)


@kernel
def pull_squashed(grad: Array, inputs: Array, matrix: Array, of_inputs: Array, of_matrix: Array) -> None:
    """Add the gradients of inputs and matrix, which may have one group alone."""
    one_inputs, one_matrix = len(inputs) == 1, len(matrix) == 1
    for group in range(len(grad)):
        rows, factors = inputs[0 if one_inputs else group], matrix[0 if one_matrix else group]
        for sample in range(grad.shape[1]):
            for angle in range(grad.shape[2]):
                total = 0.0
                for column in range(rows.shape[1]):
                    total += factors[angle, column] * rows[sample, column]
                bent = np.tanh(total)
                slope = np.pi / 2.0 * (1.0 - bent * bent) * grad[group, sample, angle]
                for column in range(rows.shape[1]):
                    of_inputs[group, sample, column] += slope * factors[angle, column]
                    of_matrix[group, angle, column] += slope * rows[sample, column]


@kernel
def sum_entropies(values: Array, matrix: Array, labels: Array, sums: Array) -> None:
    """Add the cross entropies of two classes with logits B v, the second where the label is above 0, of each group.

    Args:
        values: v, (groups, batch, outputs).
        matrix: B, (groups, 2, outputs).
        labels: (groups, batch).
        sums: zeros, (groups,).
    """
    one_matrix, one_labels = len(matrix) == 1, len(labels) == 1
    for group in range(len(values)):
        factors, signs, total = matrix[0 if one_matrix else group], labels[0 if one_labels else group], 0.0
        for sample in range(values.shape[1]):
            margin = 0.0
            for output in range(values.shape[2]):
                margin += (factors[1, output] - factors[0, output]) * values[group, sample, output]
            if signs[sample] > 0.0:
                margin = -margin
            nothing = 0.0 * margin  # or NaN of infinite logits, as in torch
            total += max(margin, 0.0) + np.log1p(np.exp(-abs(margin))) + nothing
        sums[group] += total


@kernel
def pull_entropies(
    grad: Array, factor: float, values: Array, matrix: Array, labels: Array, of_values: Array, of_matrix: Array
) -> None:
    """Write the gradient of the values and add that of the matrix, from that of `factor` times the sums."""
    one_matrix, one_labels = len(matrix) == 1, len(labels) == 1
    for group in range(len(values)):
        factors, signs = matrix[0 if one_matrix else group], labels[0 if one_labels else group]
        for sample in range(values.shape[1]):
            margin = 0.0
            for output in range(values.shape[2]):
                margin += (factors[1, output] - factors[0, output]) * values[group, sample, output]
            sign = -1.0 if signs[sample] > 0.0 else 1.0
            slope = factor * grad[group] * sign / (1.0 + np.exp(-sign * margin)) + 0.0 * margin
            for output in range(values.shape[2]):
                of_values[group, sample, output] = slope * (factors[1, output] - factors[0, output])
                of_matrix[group, 1, output] += slope * values[group, sample, output]
                of_matrix[group, 0, output] -= slope * values[group, sample, output]
