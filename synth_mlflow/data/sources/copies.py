"""Local copies of tables that are elsewhere: made once a command, in the private room of its process.

They are removed when the command ends; after a kill the next command clears them, as it does all private rows.

What is known of a local copy of a table: where it lies, and what its source says of itself.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path

from synth_mlflow.data.addresses import Address, Place, from_environment, place_of
from synth_mlflow.errors import UsageError

_READERS = {"delta": "delta_tables", "sql": "databases", "http": "web", "https": "web", "frame": "frames"}
_copies: dict[Address, Copy] = {}


class Outermost:
    """A block that may be entered again inside itself, and by several threads: the last one out ends it.

    Parameters
    ----------
    begin : callable
        Called by the first one in; gives what the last one out calls.
    """

    def __init__(self, begin: Callable[[], Callable[[], None]]) -> None:
        self.lock = threading.RLock()
        self._begin = begin
        self._end: Callable[[], None] | None = None
        self.depth = 0
        """How many are inside."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """One way in and out."""
        with self.lock:
            if self._end is None:
                self._end = self._begin()
            self.depth += 1
        try:
            yield
        finally:
            with self.lock:
                self.depth -= 1
                if self.depth == 0:
                    end, self._end = self._end, None
                    end()


def _clear() -> None:
    for copy in _copies.values():
        shutil.rmtree(copy.folder, ignore_errors=True)
    _copies.clear()


_command = Outermost(lambda: _clear)


def one_command() -> AbstractContextManager[None]:
    """Keep the copies that are made inside until its end; may be entered again inside itself."""
    return _command.entered()


def copy_of(address: Address) -> Copy:
    """The local copy of a table, made if this command has none.

    Raises
    ------
    UsageError
        If it cannot be read, or not as a whole; then nothing of it is kept.
    """
    with _command.lock:
        known = _copies.get(address)
        if known is None:
            known = _fetched(address)
            if _command.depth:
                _copies[address] = known
        return known


def _fetched(address: Address) -> Copy:
    if address.scheme == "env":
        variable = address.name
        place = place_of(from_environment(variable, str(address)))
        if not isinstance(place, Address) or place.scheme in {"env", "sql"}:
            raise UsageError(
                f"{variable} holds no address of a table.", "Set it to one such as `https://host/rows.csv`."
            )
        return copy_of(place).asked_as(address)
    from synth_mlflow.data.private import private_room  # takes long to import

    folder = Path(tempfile.mkdtemp(prefix="source-", dir=private_room()))
    try:
        return _reader(address)(address, folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UsageError(
            f"{address} cannot be copied to {folder.parent}: {error.strerror or type(error).__name__}.",
            "Free some space there, or name another folder: `TMPDIR=…`.",
        ) from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _reader(address: Address) -> Callable[[Address, Path], Copy]:
    module = import_module(f"synth_mlflow.data.sources.{_READERS.get(address.scheme, 'object_stores')}")
    reader: Callable[[Address, Path], Copy] = module.fetch
    return reader


@contextmanager
def opened(place: Place) -> Iterator[Path]:
    """A table as a file, a folder or a pattern of this machine; what is said of a copy names its address.

    Raises
    ------
    UsageError
        As `copy_of`, and what is raised inside.
    """
    place = place_of(place)
    if isinstance(place, Path):
        yield place
        return
    with one_command():
        copy = copy_of(place)
        try:
            yield copy.path
        except UsageError as error:
            message, fix = (text.replace(str(copy.path), str(place)) for text in (error.found, error.fix))
            raise type(error)(message, fix) from error


@dataclass(frozen=True)
class Copy:
    """One local copy."""

    path: Path
    """A file, a folder of Parquet files or a pattern."""
    folder: Path
    """What is removed with it."""
    pinned: Address
    """By which the same rows are read again: of a Delta table with its version."""
    facts: Mapping[str, str | int] = field(default_factory=dict)
    """What the source says of itself, such as ``etag`` and ``version``; holds no secret."""

    def asked_as(self, address: Address) -> Copy:
        """The same copy for an address that stands for another one, whose masked form is among the facts."""
        return replace(self, pinned=address, facts={"address": str(self.pinned), **self.facts})
