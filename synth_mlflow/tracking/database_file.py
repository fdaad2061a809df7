"""SQLite files: made in full before they stand in their place, and waited for while somebody else writes to them."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import event

from synth_mlflow.errors import ServerError

SECONDS_WAITING = 60.0
"""For another writer; MLflow waits for 5 when it opens a file, and for 20 afterwards."""
SECONDS_UNSAID = 1.0  # a short wait is not worth a line
SCHEMA_FAILURE = re.compile(
    r"already exists|duplicate column|out-of-date database|locate revision|no such (table|column)"
)
WORDS_SHOWN = 4  # of the command that writes


def database_file(uri: str) -> Path | None:
    """The file of an SQLite URI; None for other stores, databases in memory, and SQLite's own kind of URI.

    Examples
    --------
    >>> str(database_file("sqlite:///mlflow.db?timeout=9")), database_file("http://host"), database_file("sqlite://")
    ('mlflow.db', None, None)
    """
    parts = urlsplit(uri)
    path = parts.path.removeprefix("/")
    if parts.scheme.partition("+")[0] != "sqlite" or parts.netloc or path in ("", ":memory:") or "file:" in path:
        return None
    return Path(path)


def prepare(uri: str, say: Callable[[str], None]) -> None:
    """Make a missing database with all of its tables, and wait until an existing one can be read.

    Raises
    ------
    ServerError
        If somebody else keeps the file to themselves for longer than `SECONDS_WAITING`.
    """
    path = database_file(uri)
    if path is None or not path.resolve().parent.is_dir():  # for MLflow to refuse
        return
    if not path.is_file() or not path.stat().st_size or any(path.parent.glob(f".{path.name}.*.new*")):
        _make(path)
    _wait(path, "PRAGMA schema_version", say)


def wait_until_free(uri: str, say: Callable[[str], None]) -> None:
    """Wait until nobody else writes to a database, and say who does; see :func:`prepare`."""
    path = database_file(uri)
    if path is not None and path.is_file() and os.access(path, os.W_OK):
        _wait(path, "BEGIN IMMEDIATE", say)


def wait_longer(engine: Any) -> None:
    """Let MLflow wait as long in the middle of a verb; ``engine`` is the one of its store."""
    if not event.contains(engine, "before_cursor_execute", _longer):
        event.listen(engine, "before_cursor_execute", _longer, retval=True)


def writers(path: Path) -> str:
    """Who holds a lock on a file, in words; the system tells it on Linux alone."""
    processes = [_process(pid) for pid in _lockers(path)]
    return " and ".join(processes) or "another process"


def half_made(path: Path) -> tuple[str, str] | None:
    """What is wrong with a file whose tables MLflow does not know, and what to do; None where it cannot be read."""
    try:
        with closing(sqlite3.connect(f"file:{path.as_posix()}?mode=ro", uri=True)) as connection:
            tables = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            n_runs = connection.execute("SELECT count(*) FROM runs").fetchone()[0] if "runs" in tables else 0
    except sqlite3.Error:
        return None
    if n_runs:
        return (
            f"the tables of {path}, which holds {n_runs:,} runs, are not those of this version of MLflow",
            "It is of another version, or moving it to a new one was interrupted. Put the copy back that was made "
            f"before, or make one (`cp {path} {path}.backup`) and move it on: `mlflow db upgrade sqlite:///{path}`.",
        )
    return (
        f"{path} was left half made by a command that was ended while MLflow made its tables; it holds no run",
        f"Put it away, and run the same command again: `mv {path} {path}.half`.",
    )


def _make(path: Path) -> None:
    """Make all tables in a file of our own, then give it the name: whoever is killed leaves nothing under it."""
    own = path.with_name(f".{path.name}.{os.getpid()}.new")
    with _alone(path.resolve().parent):
        for left in path.parent.glob(f".{path.name}.*.new*"):  # of those who were killed
            left.unlink(missing_ok=True)
        if path.is_file() and path.stat().st_size:  # somebody else made it in this moment
            return
        try:
            _migrate(own)
            if path.is_file():  # empty: SQLite makes such a file for whoever only looks
                own.replace(path)
            else:
                with suppress(FileExistsError):  # MLflow's own command made it in this moment
                    os.link(own, path)
        finally:
            for file in path.parent.glob(f"{own.name}*"):
                file.unlink(missing_ok=True)


def _migrate(path: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from mlflow.tracking._tracking_service.utils import _get_sqlalchemy_store

    uri = f"sqlite:///{path}"
    try:
        _get_sqlalchemy_store(uri, None)  # type: ignore[no-untyped-call]
    finally:
        engine = SqlAlchemyStore._engine_map.pop(uri, None)  # which would keep the file open
        if engine is not None:
            engine.dispose()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, which the system takes back from whoever dies; where there are none, the link decides."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(place, fcntl.LOCK_EX)
        yield
    finally:
        os.close(place)


def _wait(path: Path, statement: str, say: Callable[[str], None]) -> None:
    began, said = time.monotonic(), False
    while _is_locked(path, statement):
        waited = time.monotonic() - began
        if waited > SECONDS_WAITING:
            raise ServerError(
                f"{path} has been locked for {waited:.0f} s by {writers(path)}.",
                "Let it come to its end, or end it, and run the same command again. Several people at once need a "
                "server: `mlflow server`.",
            )
        if not said and waited > SECONDS_UNSAID:
            said = True
            say(f"{path} is being written by {writers(path)}: waiting for up to {SECONDS_WAITING:.0f} s")
        time.sleep(0.05)


def _is_locked(path: Path, statement: str) -> bool:
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
            connection.execute(statement)
    except sqlite3.OperationalError as error:
        return "locked" in str(error)  # anything else is for MLflow to say
    except sqlite3.DatabaseError:
        return False
    return False


def _longer(_: Any, __: Any, statement: str, parameters: Any, ___: Any, ____: Any) -> tuple[str, Any]:
    if statement.startswith("PRAGMA busy_timeout"):
        statement = f"PRAGMA busy_timeout = {int(SECONDS_WAITING * 1_000)}"
    return statement, parameters


def _lockers(path: Path) -> list[int]:
    """The processes that hold locks on a file, but for this one."""
    try:
        inodes = {file.stat().st_ino for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm")) if file.exists()}
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        held = {int(words[4]) for words in lines if words[1] != "->" and int(words[5].rpartition(":")[2]) in inodes}
    except (OSError, ValueError, IndexError):
        return []
    return sorted(held - {os.getpid()})


def _process(pid: int) -> str:
    """A process by its number and the first words of its command, without what follows: that may be secret."""
    import psutil  # once somebody else is in the way: every command loads this file

    try:
        words = psutil.Process(pid).cmdline()
    except psutil.Error:
        words = []
    plain = [word for word in words if word and "://" not in word and "=" not in word][:WORDS_SHOWN]
    return f"process {pid} ({' '.join(plain)})" if plain else f"process {pid}"
