"""A lock that admits one comparison to a folder at a time; the operating system drops it when the process ends."""

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

LOCK = "running.lock"
LOCKED_BYTE = 1 << 30  # its offset on Windows, where locked bytes cannot be read, is beyond the text


@contextmanager
def held(folder: Path) -> Iterator[list[str]]:
    """Keep other processes out of a folder of results; yield warnings.

    Args:
        folder: An existing folder.

    Raises:
        ValueError: If another comparison is working there; the message names its process, its host and since when.
    """
    path = folder / LOCK
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            locked = _try_to_lock(file)
            if locked is False:
                raise ValueError(_refusal(folder, path))
            if locked and not _is_still(file, path):  # the one before was just about to delete it
                os.close(file)
                continue
        except BaseException:
            os.close(file)
            raise
        break
    try:
        if locked:
            _say_who(file)
        warning = f"{folder} cannot be locked on its file system: start no second comparison in it."
        yield [] if locked else [warning]
    finally:
        if sys.platform != "win32":
            path.unlink(missing_ok=True)
        os.close(file)
        if sys.platform == "win32":
            with suppress(OSError):  # the next one has it open already
                path.unlink()


def _try_to_lock(file: int) -> bool | None:
    """Take the lock, and tell whether it is ours now; None where the file system has no locks."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(file, LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _is_still(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _say_who(file: int) -> None:
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    os.lseek(file, 0, os.SEEK_SET)
    os.ftruncate(file, 0)
    os.write(file, json.dumps({"pid": os.getpid(), "host": platform.node(), "since": since}).encode())


def _refusal(folder: Path, path: Path) -> str:
    known: Any = None
    with suppress(OSError, ValueError, RecursionError):
        known = json.loads(path.read_bytes())
    who = "another process"
    if isinstance(known, dict):
        who = f"process {known.get('pid')} on {known.get('host')}, since {known.get('since')}"
    return (
        f"Argument `out` must be a folder that no other comparison is working in, but {folder} is in use by {who}. "
        "Wait for it, or name another folder with --out."
    )
