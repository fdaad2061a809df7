"""Who writes a run: a process that can be asked whether it still lives, as long as it is on this machine."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

HOURS_OF_SILENCE = 24  # after which a run of another machine is taken for abandoned


def this_process() -> str:
    """What a run says about the process that writes it: the machine, the process, and when that was born."""
    return f"{_machine()} {os.getpid()} {_birth(os.getpid())}"


def is_gone(owner: str, started: int) -> bool:
    """Whether the writer of a run can no longer finish it.

    Parameters
    ----------
    owner : str
        What :func:`this_process` said; empty for runs that nobody signed.
    started : int
        When the run began, in milliseconds since 1970.

    Returns
    -------
    bool
        For a process of this machine, whether it is dead, or is this very one; for one elsewhere, whether the run is
        older than a day.
    """
    machine, _, process = owner.rpartition(" ")[0].rpartition(" ")
    if not owner or owner == this_process():
        return True
    if machine != _machine() or not process.isdecimal():  # elsewhere, or somebody has edited it
        return time.time() - started / 1000 > HOURS_OF_SILENCE * 3600
    return _birth(int(process)) != owner.rpartition(" ")[2]


def of_this_machine(owner: str) -> bool:
    """Whether it can be asked here if the process still lives."""
    return owner.rpartition(" ")[0].rpartition(" ")[0] == _machine()


def owner_words(owner: str) -> str:
    """Who writes a run, in words.

    >>> owner_words("elsewhere/x/1 77 123"), owner_words("")
    ('process 77 on elsewhere', 'somebody')
    """
    machine, _, process = owner.rpartition(" ")[0].rpartition(" ")
    where = "this machine" if of_this_machine(owner) else "".join(filter(str.isprintable, machine.partition("/")[0]))
    return f"process {process} on {where}" if process.isdecimal() and machine else "somebody"


def _machine() -> str:
    """This machine since it was started, and the container in it: processes are numbered anew in each."""
    boot, processes = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    name = socket.gethostname().replace(" ", "-")
    try:
        return f"{name}/{boot.read_text()[:8]}/{processes.stat().st_ino}"
    except OSError:  # not Linux
        return name


def _birth(process: int) -> str:
    """When a process was born, in ticks since the machine was; `gone` where there is none, or it is dead."""
    try:
        if not Path("/proc/self/stat").exists():
            os.kill(process, 0)
            return "alive"
        told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return "gone"
    return "gone" if told[0] in "ZX" else told[19]
