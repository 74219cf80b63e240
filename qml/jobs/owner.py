"""Which process works on a run, and whether it still lives."""

import json
import os
import platform
import uuid
from pathlib import Path

SAME_START = 2.0  # seconds: two readings of when a process started differ by less


def new_owner() -> str:
    """A name for this caller in this process."""
    import psutil

    pid = os.getpid()
    started = psutil.Process(pid).create_time()
    return json.dumps({"machine": _machine(), "pid": pid, "started": started, "token": uuid.uuid4().hex})


def is_gone(owner: str, lease: float, now: float) -> bool:
    """Whether an owner has ended: looked up on this machine, by its lease (a time) on another one."""
    import psutil

    known = json.loads(owner)
    if known["machine"] != _machine():
        return now > lease
    try:
        process = psutil.Process(known["pid"])
        if process.status() == psutil.STATUS_ZOMBIE:  # it was killed, and nobody has asked how it ended
            return True
        return abs(process.create_time() - known["started"]) > SAME_START
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return now > lease


def describe(owner: str) -> str:
    """An owner in words."""
    known = json.loads(owner)
    return f"process {known['pid']} on {known['machine'].partition('/')[0]}"


def _machine() -> str:
    """The host and, where processes live in containers, the name space of their numbers."""
    name_space = Path("/proc/self/ns/pid")
    inside = name_space.readlink() if name_space.is_symlink() else ""
    return f"{platform.node()}/{inside}"
