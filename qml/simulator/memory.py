"""The memory that a run takes, and the refusal of one that will not fit."""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import torch

from qml.simulator.compiled import Compiled
from qml.simulator.evolve import Memory

UNASKED_BYTES = 2**24  # so few are not worth asking the operating system about
CONTAINER_FILES = (  # of control groups, version 2 and version 1: the folder, the limit in it, the bytes in use
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
STORE_SHARE = 0.5  # of the free memory that stored states may take before the adjoint method is chosen


class MemoryNeed(NamedTuple):
    """A need of memory: some batches of states, by default three: before a step, after it, and for the readout.

    Attributes:
        n_sites: qubits of the register.
        levels: 2 for state vectors, 4 for density matrices.
        batch: samples.
        dtype: of an amplitude.
        device: where the memory is.
        register: the register in words, if it is not the circuit's.
        n_states: batches of states that are held at once.
        more: bytes that are needed beside states.
    """

    n_sites: int
    levels: int
    batch: int
    dtype: torch.dtype
    device: torch.device
    register: str = ""
    n_states: int = 3
    more: int = 0

    @property
    def n_bytes(self) -> int:
        """Compute how many bytes are needed."""
        return self.n_states * state_bytes(self.n_sites, self.levels, self.batch, self.dtype) + self.more

    def fits(self) -> bool:
        """Tell whether so many bytes are free; a few are not worth asking for."""
        return self.n_bytes < UNASKED_BYTES or self.n_bytes <= available_bytes(self.device)

    def require(self) -> None:
        """Refuse states that do not fit.

        Raises:
            ValueError: with the number of bytes.
        """
        if self.n_bytes < UNASKED_BYTES:
            return
        free = available_bytes(self.device)
        if self.n_bytes > free:
            states = "state vectors" if self.levels == 2 else "density matrices"
            ways = ["fewer qubits"] + ["a smaller batch"] * (self.batch > 1)
            ways += ["float32"] * (self.dtype.to_real() == torch.float64)
            raise ValueError(
                f"The simulator must fit into memory, but {states} of {self.register or f'{self.n_sites} qubits'} for "
                f"a batch of {self.batch} need {in_words(self.n_bytes)} in {self.dtype} and {in_words(free)} are free, "
                f"and no other exact way is cheaper. Use {', '.join(ways)} or a device with more memory; or fewer "
                "layers or more local observables, which depend on fewer qubits (see qml.analysis.light_cones); "
                "or, for expectation values, Native(method=PauliPropagation(...)), which drops Pauli strings and "
                "estimates the error."
            )


def in_words(n_bytes: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:,.3g} {unit}" if n_bytes < 1e15 else f"{n_bytes / size:.1e} {unit}"
    return f"{n_bytes} bytes"


def state_bytes(n_sites: int, levels: int, batch: int, dtype: torch.dtype) -> int:
    """Count the bytes of one batch of states."""
    return levels**n_sites * max(batch, 1) * dtype.itemsize


def available_bytes(device: torch.device) -> int:
    """Return the memory that can be had on a device: free or held by caches, within the limits of this process."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min(_free_bytes(), *(limit - used for limit, used in _limits()))


def _limits() -> list[tuple[int, int]]:
    """Read the limits on memory, the container's and that of `ulimit -v`, and the bytes that count towards each."""
    limits = [(sys.maxsize, 0)]
    for group, limit, used in CONTAINER_FILES:
        if (group / limit).exists() and (group / used).exists():
            text = (group / limit).read_text(encoding="ascii").strip()
            if text != "max":
                reclaimable = _container_caches(group)
                limits.append((int(text), int((group / used).read_text(encoding="ascii")) - reclaimable))
    if sys.platform == "linux":
        import resource

        soft = resource.getrlimit(resource.RLIMIT_AS)[0]
        if soft != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            limits.append((soft, pages * resource.getpagesize()))
    return limits


def _container_caches(group: Path) -> int:
    """Read the bytes of cached files of a container, which the kernel gives up before it runs out of memory."""
    lines = dict(line.split() for line in (group / "memory.stat").read_text(encoding="ascii").splitlines())
    return int(lines.get("inactive_file", 0))


def _free_bytes() -> int:
    """Read the memory of the machine that is free or held by caches."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return sys.maxsize  # nothing to ask on this system: torch's own allocation error remains


def choose_memory(compiled: Compiled, batch: int, *, reversible: bool) -> Memory:
    """Store the states between steps where they fit, else recompute them backwards."""
    if not reversible:
        return "store"
    n_stored = sum(step.needs_input for step in compiled.steps)
    plan = compiled.plan
    size = state_bytes(plan.n_sites, plan.request.levels, batch, compiled.dtype)
    if size * n_stored < UNASKED_BYTES:
        return "store"
    fits = size * n_stored < STORE_SHARE * available_bytes(compiled.device)
    return "store" if fits else "adjoint"
