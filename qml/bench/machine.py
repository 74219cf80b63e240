"""The peak rates of this machine, and the operations and bytes of a step of ours."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

MATRIX_SIDE = 2048
COPY_BYTES = 2**28
REPEATS = 5
COMPLEX_FACTOR = 4  # a complex multiply-add is 8 real operations, a real one 2


@dataclass(frozen=True)
class Machine:
    """A machine's measured peaks.

    Args:
        float32_gflops: Rate of a matrix product in float32, in 1e9 operations a second.
        complex64_gflops: Rate of one in complex64, in 1e9 real operations a second.
        copy_gbytes: Rate of a copy of a large tensor, bytes read and written, in 1e9 a second.
        load: Processes that wanted a core during the last minute, 0 where the system does not tell.
    """

    float32_gflops: float
    complex64_gflops: float
    copy_gbytes: float
    load: float


def measure_machine() -> Machine:
    """Measure the peaks with the current number of threads; the best of a few repeats. Takes about 2 s."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    source = torch.ones(COPY_BYTES // 4)
    target = torch.empty_like(source)
    copy = 2 * COPY_BYTES / _best(lambda: target.copy_(source)) / 1e9
    return Machine(_matmul_gflops(torch.float32), _matmul_gflops(torch.complex64), copy, load)


def _matmul_gflops(dtype: torch.dtype) -> float:
    side = MATRIX_SIDE // 2 if dtype.is_complex else MATRIX_SIDE
    matrix = torch.ones(side, side, dtype=dtype)
    operations = 2 * side**3 * (COMPLEX_FACTOR if dtype.is_complex else 1)
    return operations / _best(lambda: matrix @ matrix) / 1e9


def _best(action: Callable[[], Any]) -> float:
    """Return the seconds of the fastest repeat after a first one."""
    action()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return min(times)


def measure_traffic(step: Callable[[], Any]) -> tuple[int, int]:
    """Count operations in matrix products, and bytes read and written, by the torch operators of one step.

    Every operator counts as reading its arguments from memory and writing its result there, so where caches
    hold them the bytes a second may exceed the machine's copy bandwidth. Element-wise arithmetic is not
    counted as operations.
    """
    with _Traffic() as traffic:
        step()
    return traffic.operations, traffic.moved


class _Traffic(TorchDispatchMode):
    """A context that counts while torch operators run, those of the backward pass included."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.moved = 0

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.moved += _n_bytes(args) + _n_bytes(result)
            self.operations += _matmul_operations(func, args, result)
        return result


MATMUL_FACTORS = {  # operator to the position of its first matrix
    torch.ops.aten.mm.default: 0,
    torch.ops.aten.bmm.default: 0,
    torch.ops.aten.mv.default: 0,
    torch.ops.aten.addmm.default: 1,
    torch.ops.aten.baddbmm.default: 1,
}


def _matmul_operations(func: torch._ops.OpOverload, args: tuple[Any, ...], result: object) -> int:
    position = MATMUL_FACTORS.get(func)
    if position is None or not isinstance(result, torch.Tensor):
        return 0
    return 2 * result.numel() * args[position].shape[-1] * (COMPLEX_FACTOR if result.is_complex() else 1)


def _n_bytes(values: object) -> int:
    if isinstance(values, torch.Tensor):
        return values.numel() * values.element_size()
    if isinstance(values, (tuple, list)):
        return sum(_n_bytes(value) for value in values)
    return 0
