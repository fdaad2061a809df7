"""Where rows lie while a command works: a folder that only its user can read; after a kill the next command clears it.

``synth-mlflow-UID`` in the system's folder for temporary files (`TMPDIR`), with a room for each process. A process
holds a lock on its room, which its end releases, whatever ended it.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import IO

from synth_mlflow.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows, whose temporary files are each user's own
    fcntl = None  # type: ignore[assignment]

LOCK = "in-use"
UNLOCKED_SECONDS = 86_400  # after which a room counts as left behind where there are no locks


@functools.cache
def private_room() -> Path:
    """The room of this process, made when it is first asked for; rooms of dead processes are cleared then.

    Raises
    ------
    UsageError
        If the folder of rooms is another user's or can be read by others.
    """
    house = _house()
    for left in house.iterdir():
        _clear_if_left(left)
    room = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=house))
    lock = (room / LOCK).open("w")
    _is_locked(lock)
    atexit.register(_leave, room, lock, os.getpid())
    return room


def _house() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "rooms"
    house = Path(tempfile.gettempdir()) / f"synth-mlflow-{user}"
    house.mkdir(mode=0o700, exist_ok=True)
    found = house.lstat()
    theirs = os.name == "posix" and (found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077)
    if not stat.S_ISDIR(found.st_mode) or theirs:
        raise UsageError(
            f"{house} is for rows while a command works, and others own it or may read it.",
            f'Remove it, or `chmod 700 "{house}"` if it is yours; or name another folder: `TMPDIR=…`.',
        )
    return house


def _clear_if_left(room: Path) -> None:
    """Remove a room whose process is gone; one that is just being made has no lock yet."""
    try:
        if fcntl is None or not (room / LOCK).exists():
            if time.time() - room.stat().st_mtime < UNLOCKED_SECONDS:
                return
            shutil.rmtree(room, ignore_errors=True)
            return
        with (room / LOCK).open("r+") as lock:
            if _is_locked(lock):
                shutil.rmtree(room, ignore_errors=True)
    except OSError:  # another process has cleared it in this moment
        return


def _is_locked(lock: IO[str]) -> bool:
    """Whether this process holds the lock now."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _leave(room: Path, lock: IO[str], process: int) -> None:
    if os.getpid() != process:  # a fork of the process that it belongs to
        return
    with contextlib.suppress(OSError):
        lock.close()
    shutil.rmtree(room, ignore_errors=True)
