"""How much memory a run takes, and the refusal of what will not fit."""

import os
import sys
from pathlib import Path

import torch

from qml.simulator.compiled import Compiled
from qml.simulator.evolve import Memory

SMALL_BYTES = 2**24  # not worth asking the operating system about
STORE_SHARE = 0.5  # of the free memory that stored states may take before the adjoint method is chosen


def state_bytes(n_sites: int, levels: int, batch: int, dtype: torch.dtype) -> int:
    """Bytes of one batch of states."""
    return levels**n_sites * max(batch, 1) * dtype.itemsize


def available_bytes(device: torch.device) -> int:
    """Memory that can be had on a device: free or held by caches."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize  # nothing to ask on this system: torch's own allocation error remains


def require_fits(
    n_sites: int, levels: int, batch: int, dtype: torch.dtype, device: torch.device, *, what: str = ""
) -> None:
    """Refuse a register of which even three copies (before, after, readout) do not fit.

    Args:
        n_sites: qubits of the register.
        levels: 2 for state vectors, 4 for density matrices.
        batch: samples.
        dtype: of an amplitude.
        device: where.
        what: the register in words, if it is not the circuit's.

    Raises:
        ValueError: with the number of bytes.
    """
    needed = 3 * state_bytes(n_sites, levels, batch, dtype)
    if needed < SMALL_BYTES:
        return
    free = available_bytes(device)
    if needed > free:
        kind = f"{'state vectors' if levels == 2 else 'density matrices'} of {what or f'{n_sites} qubits'}"
        raise ValueError(
            f"The simulator must fit into memory, but {kind} for a batch of {batch} need {needed} "
            f"bytes and {free} are free. Use fewer qubits, a smaller batch, float32 or a device with more memory."
        )


def choose_memory(compiled: Compiled, batch: int, *, reversible: bool) -> Memory:
    """Store the states between steps where they fit, else recompute them backwards."""
    if not reversible:
        return "store"
    n_stored = sum(step.needs_input for step in compiled.steps)
    plan = compiled.plan
    size = state_bytes(plan.n_sites, plan.request.levels, batch, compiled.dtype)
    if size * n_stored < SMALL_BYTES:
        return "store"
    fits = size * n_stored < STORE_SHARE * available_bytes(compiled.device)
    return "store" if fits else "adjoint"
