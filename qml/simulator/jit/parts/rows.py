"""Rows of a state times a number."""

from typing import Any

from qml.simulator.jit.compiling import Array, inlined


@inlined
def multiply_rows(
    real: Array, imag: Array, old: int, size: int, cosine: Any, sine: Any, new_real: Array, new_imag: Array, new: int
) -> None:
    """Write (cosine + i sine) times `size` numbers from `old` on to the place from `new` on."""
    for k in range(size):
        x, y = real[old + k], imag[old + k]
        new_real[new + k] = cosine * x - sine * y
        new_imag[new + k] = cosine * y + sine * x
