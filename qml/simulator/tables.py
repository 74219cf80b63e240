"""Constant tables as tensors: how they are made from NumPy arrays, and where they are kept."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

from qml.simulator.linear import Linear

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TableCache(Generic[K, V]):
    """A cache of objects that hold tables, which are made at the first use of their key.

    Threads that ask for a new key at once may each make the object; the objects are equal.
    """

    def __init__(self) -> None:
        self._values: dict[K, V] = {}

    def get(self, key: K, make: Callable[[], V]) -> V:
        """Return the object under `key`; `make` is called once, outside of any transform of the caller."""
        value = self._values.get(key)
        if value is None:
            with plain_tensors():
                value = make()
            self._values[key] = value
        return value


@contextmanager
def plain_tensors() -> Iterator[None]:
    """Make tensors that outlive the call, and so must not belong to its transform or its inference mode."""
    with temporarily_clear_interpreter_stack(), torch.inference_mode(False):
        yield


def as_tensor(values: np.ndarray, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Convert a NumPy array to a tensor; its imaginary part is dropped only for a real dtype, where it is zero."""
    return torch.as_tensor((values if dtype.is_complex else np.real(values)).copy(), device=device).to(dtype)


def matrix_stack(linear: Linear) -> np.ndarray:
    """Stack the constant, cosine and sine matrices of a map; shape (1 + 2 F, side, side)."""
    cosines, sines = ([term[k] for term in linear.terms] for k in (1, 2))
    return np.stack([linear.constant, *cosines, *sines])
