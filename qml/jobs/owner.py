"""The process that works on a run: its name in the records, and whether it still runs."""

import json
import os
import platform
import uuid
from pathlib import Path
from typing import Any

from qml.jobs.codec import damaged

START_TOLERANCE = 2.0  # seconds by which two readings of a process's start may differ
START_FIELD = 19  # place of `starttime` behind the name in /proc/PID/stat, see proc(5)


def new_owner() -> str:
    """Return a new name for this caller in this process."""
    import psutil

    pid = os.getpid()
    started = psutil.Process(pid).create_time()
    since_boot = _since_boot(pid)
    known = {"machine": _machine(), "pid": pid, "started": started, "since_boot": since_boot}
    return json.dumps(known | {"token": uuid.uuid4().hex})


def is_gone(owner: str, lease: float, now: float) -> bool:
    """Tell whether an owner's process has ended: by its process id on this machine, by its lease (a time) on others.

    Raises:
        StoreError: an owner that cannot be read.
    """
    import psutil

    known = _read(owner)
    if known["machine"] != _machine():
        return now > lease
    try:
        process = psutil.Process(known["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:  # it was killed, and its parent has not read how it ended
            return True
        recorded, since_boot = known.get("since_boot"), _since_boot(known["pid"])
        if recorded is not None and since_boot is not None:  # the system's clock may have stepped in between
            return recorded != since_boot
        return abs(process.create_time() - known["started"]) > START_TOLERANCE
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return now > lease


def is_elsewhere(owner: str) -> bool:
    """Tell whether an owner is on another machine, where its process cannot be looked up."""
    return _read(owner)["machine"] != _machine()


def describe(owner: str) -> str:
    """Describe an owner for a message."""
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
    """Return the boot's id and the kernel's ticks from it to a process's start; None if the kernel does not tell."""
    boot, status = Path("/proc/sys/kernel/random/boot_id"), Path(f"/proc/{pid}/stat")
    try:
        fields = status.read_text().rpartition(")")[2].split()  # the name in parentheses may hold anything
        return f"{boot.read_text().strip()}/{fields[START_FIELD]}"
    except (OSError, IndexError):
        return None


def _machine() -> str:
    """Return the host's name and, in a container, the name space of its process ids."""
    name_space = Path("/proc/self/ns/pid")
    container = name_space.readlink() if name_space.is_symlink() else ""
    return f"{platform.node()}/{container}"
