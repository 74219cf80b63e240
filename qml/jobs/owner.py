"""Which process works on a run, and whether it still lives."""

import json
import os
import platform
import uuid
from pathlib import Path
from typing import Any

from qml.jobs.codec import damaged

SAME_START = 2.0  # seconds: two readings of when a process started differ by less
TICKS_AT_START = 19  # place of `starttime` behind the name in /proc/PID/stat, see proc(5)


def new_owner() -> str:
    """A name for this caller in this process."""
    import psutil

    pid = os.getpid()
    started = psutil.Process(pid).create_time()
    since_boot = _since_boot(pid)
    known = {"machine": _machine(), "pid": pid, "started": started, "since_boot": since_boot}
    return json.dumps(known | {"token": uuid.uuid4().hex})


def is_gone(owner: str, lease: float, now: float) -> bool:
    """Whether an owner has ended: looked up on this machine, by its lease (a time) on another one.

    Raises:
        StoreError: an owner that cannot be read.
    """
    import psutil

    known = _read(owner)
    if known["machine"] != _machine():
        return now > lease
    try:
        process = psutil.Process(known["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:  # it was killed, and nobody has asked how it ended
            return True
        recorded, since_boot = known.get("since_boot"), _since_boot(known["pid"])
        if recorded is not None and since_boot is not None:  # the system's clock may have stepped in between
            return recorded != since_boot
        return abs(process.create_time() - known["started"]) > SAME_START
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return now > lease


def is_elsewhere(owner: str) -> bool:
    """Whether an owner is on another machine, where its process cannot be looked up."""
    return _read(owner)["machine"] != _machine()


def describe(owner: str) -> str:
    """An owner in words."""
    known = _read(owner)
    return f"process {known['pid']} on {known['machine'].partition('/')[0]}"


def _read(owner: str) -> dict[str, Any]:
    try:
        known = json.loads(owner)
        if not isinstance(known["machine"], str) or not isinstance(known["pid"], int):
            raise TypeError(f"{owner!r} names no process")
        return known
    except (LookupError, RecursionError, TypeError, ValueError) as error:
        raise damaged(error) from error


def _since_boot(pid: int) -> str | None:
    """When a process started, in the kernel's ticks since the boot of this name; None where the kernel does not say."""
    boot, status = Path("/proc/sys/kernel/random/boot_id"), Path(f"/proc/{pid}/stat")
    try:
        fields = status.read_text().rpartition(")")[2].split()  # the name in parentheses may hold anything
        return f"{boot.read_text().strip()}/{fields[TICKS_AT_START]}"
    except (OSError, IndexError):
        return None


def _machine() -> str:
    """The host and, where processes live in containers, the name space of their numbers."""
    name_space = Path("/proc/self/ns/pid")
    inside = name_space.readlink() if name_space.is_symlink() else ""
    return f"{platform.node()}/{inside}"
