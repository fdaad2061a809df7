"""What must not be seen by others: private folders, masked secrets, hidden rare labels.

Where rows lie while a command works: a folder that only its user can read; after a kill the next command clears it.

``synth-mlflow-UID`` in the system's folder for temporary files (`TMPDIR`), with a room for each process. A process
holds a lock on its room, which its end releases, whatever ended it.

Values of environment variables that look like secrets: never recorded, never shown.

Labels that few real rows have, which stay with the rows where these are kept by reference.

Checks get them under other names, since they never ask what a label says, only where it stands and how often. Models
get them as missing values, which is what a label that a model does not know is to it, also when it is served.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import pandas as pd

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError

try:
    import fcntl
except ImportError:  # Windows, whose temporary files are each user's own
    fcntl = None  # type: ignore[assignment]

LOCK = "in-use"
UNLOCKED_SECONDS = 86_400  # after which a room counts as left behind where there are no locks


def private_room() -> Path:
    """The room of this process, made when it is first asked for; rooms of dead processes are cleared then.

    A fork gets a room of its own, since its parent may end first; so does a process whose room was removed by others,
    as cleaners of temporary files do.

    Raises
    ------
    UsageError
        If the folder of rooms is another user's or can be read by others.
    """
    room = _room(os.getpid())
    if not room.is_dir():
        _room.cache_clear()
        room = _room(os.getpid())
    return room


@functools.cache
def _room(process: int) -> Path:
    house = _house()
    for left in house.iterdir():
        _clear_if_left(left)
    room = Path(tempfile.mkdtemp(prefix=f"{process}-", dir=house))
    lock = _locked(room)
    atexit.register(_leave, room, lock, process)
    return room


def _locked(room: Path) -> IO[str]:
    """The lock of a room, held: it gets its name when it is held, so nobody finds it free while the room is made."""
    unnamed = room / f"{LOCK}.new"
    lock = unnamed.open("w")
    if fcntl is not None:  # without locks, rooms are told by their age
        fcntl.flock(lock, fcntl.LOCK_EX)
        unnamed.rename(room / LOCK)
    return lock


def _house() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "rooms"
    house = Path(tempfile.gettempdir()) / f"synth-mlflow-{user}"
    house.mkdir(mode=0o700, exist_ok=True)
    status = house.lstat()
    theirs = os.name == "posix" and (status.st_uid != os.getuid() or stat.S_IMODE(status.st_mode) & 0o077)
    if not stat.S_ISDIR(status.st_mode) or theirs:
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
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(room, ignore_errors=True)
    except OSError:  # its process lives, or another one has cleared it in this moment
        return


def _leave(room: Path, lock: IO[str], process: int) -> None:
    if os.getpid() != process:  # a fork of the process that it belongs to
        return
    with contextlib.suppress(OSError):
        lock.close()
    shutil.rmtree(room, ignore_errors=True)


_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_LENGTH = 8  # shorter values stand in texts by chance
_PLACEHOLDER = re.compile(
    r"(?:(?:sk-)?no[-_ ]?(?:api[-_ ]?)?key(?:[-_ ](?:needed|required))?|not?[-_ ](?:needed|required|used)|lm-studio"
    r"|anything|whatever|placeholder|unused|undefined|(?:your|fake|dummy|test)[-_ ]?(?:api[-_ ]?)?(?:key|token))",
    re.IGNORECASE,
)


def is_secret(value: str) -> bool:
    """Whether a value opens something: servers on one's own machine take any word for a key, which texts hold too.

    >>> is_secret("x"), is_secret("not-needed"), is_secret("sk-9f86d081884c7d65")
    (False, False, True)
    """
    return len(value) >= _LENGTH and not _PLACEHOLDER.fullmatch(value)


def known_secrets() -> dict[str, str]:
    """The values by the names of their variables."""
    return {name: value for name, value in os.environ.items() if _NAME.search(name) and is_secret(value)}


def without_secrets(text: str) -> str:
    """A text with the name of its variable in place of each secret."""
    for name, value in known_secrets().items():
        text = text.replace(value, f"<{name}>")
    return text


def secret_in(text: str) -> str | None:
    """The variable whose value stands in a text; None if none does."""
    return next((name for name, value in known_secrets().items() if value in text), None)


FEWEST_ROWS = 10
"""Real rows that share a label before anything but a batch may hold it."""
_FORMED = frozenset(
    {"identifier", "group key", "text", "conversation"}
)  # checks compare the form of their values, and show none

Rare = Mapping[str, tuple[str, ...]]
"""Rare labels in order, by column."""


def rare_labels(real: Iterable[pd.DataFrame], task: Task, statement_text: str) -> Rare:
    """The labels of fewer real rows than `FEWEST_ROWS`, of columns that hold categories.

    Parameters
    ----------
    real : iterable of DataFrame
        All real rows, in parts.
    task : Task
        What each column is; the target and the column of groups keep their labels.
    statement_text : str
        The problem statement: a label that its author wrote down is no secret, and stands in its conditions.

    Examples
    --------
    >>> rows = pd.DataFrame({"town": ["Bonn"] * 12 + ["Ulm", "Trier"]})
    >>> rare_labels([rows], Task("sold", "binary"), "slices: trier, Trier")
    {'town': ('Ulm',)}
    """
    rows = pd.concat(list(real), ignore_index=True)
    rare = {}
    for column, kind in schema_of(rows).kinds.items():
        if kind == "string" and column not in {task.target, task.group} and task.roles.get(column) not in _FORMED:
            counts = rows[column].value_counts()
            rare[column] = tuple(sorted(x for x in counts[counts < FEWEST_ROWS].index if x not in statement_text))
    return {column: labels for column, labels in rare.items() if labels}


def renamed(rows: pd.DataFrame, rare: Rare) -> pd.DataFrame:
    """The rows with ``rare label 1``, ``rare label 2``, … for rare labels: no number of a check changes by it."""
    names = {column: {x: f"rare label {at}" for at, x in enumerate(rare[column], start=1)} for column in rare}
    return _with(rows, names)


def as_missing(rows: pd.DataFrame, rare: Rare) -> pd.DataFrame:
    """The rows with missing values for rare labels."""
    return _with(rows, {column: dict.fromkeys(labels) for column, labels in rare.items()})


def _with(rows: pd.DataFrame, names: Mapping[str, Mapping[str, str | None]]) -> pd.DataFrame:
    return rows.assign(**{column: _changed(rows[column], new) for column, new in names.items()}) if names else rows


def _changed(values: pd.Series, new: Mapping[str, str | None]) -> pd.Series:
    return values.map(lambda value: new.get(value, value), na_action="ignore").astype(values.dtype)
