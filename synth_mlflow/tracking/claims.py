"""Which of several processes does the work that all of them came for: one does it, the others wait for it.

Each makes a run of the work's key, marked as undecided, and then looks at the runs of the others. It gives way to one
that is at work, and to an undecided one whose id is smaller; it waits until those with greater ids have decided. So at
most one process is at work at a time, whatever their clocks say (L. Lamport, CACM 17, 1974: the bakery algorithm).
A process that died holds no claim, and one of another machine holds it while its run changes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from synth_mlflow.tracking import names
from synth_mlflow.tracking.draft import of_this_machine, owner_words
from synth_mlflow.tracking.read import Reader, StoredRun
from synth_mlflow.tracking.server import Server, guard
from synth_mlflow.tracking.write import (
    OPEN,
    NewRun,
    delete_tag,
    discard_run,
    is_abandoned,
    make_run,
    marking_failure,
    resumed,
)

SECONDS_OF_SILENCE = 600.0
"""After which the work of a process on another machine is taken over: no run of its work has changed for so long."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between two looks

_AT_WORK: set[tuple[int, str]] = set()  # by this process: other threads of it give way
_LOCK = threading.Lock()


class Claims:
    """The claims of one command.

    Parameters
    ----------
    server : Server
    say : callable
        Where it is told whom this process waits for.
    """

    def __init__(self, server: Server, say: Callable[[str], None]) -> None:
        self.server = server
        self._say = say
        self._seen: dict[str, tuple[object, float]] = {}
        """How each run of another machine looked, and since when, by this process's own clock."""

    @contextmanager
    def claimed(self, new: NewRun, *, parent: str | None, done: Callable[[], bool]) -> Iterator[str | None]:
        """Claim a piece of work.

        Parameters
        ----------
        new : NewRun
            The run of the work; who has the same key does the same work.
        parent : str, optional
            The run that it hangs under.
        done : callable
            Whether the work is done; asked if a finished run says so, since anybody can write such a run.

        Yields
        ------
        str or None
            The id of the run to write; None if another process does the work, or it is done.
        """
        if not _taken_here(new.key):
            yield None
            return
        try:
            yield self._claim(new, parent, done)
        finally:
            _AT_WORK.discard((os.getpid(), new.key))

    def wait(self, key: str, what: str) -> None:
        """Wait until nobody works under a key any more, whether the work was done or not."""
        message, pause = "", FIRST_PAUSE
        while (others := self._others(key)) or (os.getpid(), key) in _AT_WORK:
            who = owner_words(others[0].tags.get(names.TAG_OWNER, "")) if others else "another thread of this process"
            if who != message:
                self._say(f"waiting for {what}: {who} is at it")
                message = who
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    @guard
    def _claim(self, new: NewRun, parent: str | None, done: Callable[[], bool]) -> str | None:
        if self._others(new.key) or self._is_done(new.key, done):
            return None
        mine = make_run(self.server, new, parent, more={names.TAG_CLAIM: "undecided"})
        with marking_failure(self.server, mine):
            if not self._decided(new.key, mine) or self._is_done(new.key, done):
                discard_run(self.server, mine)
                return None
            known = [run for run in Reader(self.server).find_by_key(new.key) if run.run_id != mine]
            if left := resumed(self.server, new, known):
                discard_run(self.server, mine)
                return left
            delete_tag(self.server, mine, names.TAG_CLAIM)
        return mine

    def _decided(self, key: str, mine: str) -> bool:
        """Whether the work is for this process."""
        pause = FIRST_PAUSE
        while others := [run for run in self._others(key) if run.run_id != mine]:
            if any(names.TAG_CLAIM not in run.tags or run.run_id < mine for run in others):
                return False
            time.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
        return True

    def _others(self, key: str) -> list[StoredRun]:
        """The runs under a key that a living process has not ended."""
        return [run for run in Reader(self.server).find_by_key(key) if run.status in OPEN and self._is_alive(run)]

    def _is_alive(self, run: StoredRun) -> bool:
        owner = run.tags.get(names.TAG_OWNER, "")
        if run.discarded or is_abandoned(run):
            return False
        if of_this_machine(owner):
            return True
        looks, now = (owner, run.status, len(run.params), len(run.tags)), time.monotonic()
        seen, since = self._seen.get(run.run_id, (None, now))
        self._seen[run.run_id] = (looks, since if seen == looks else now)
        return now - self._seen[run.run_id][1] < SECONDS_OF_SILENCE

    def _is_done(self, key: str, done: Callable[[], bool]) -> bool:
        return any(run.counts for run in Reader(self.server).find_by_key(key)) and done()


def _taken_here(key: str) -> bool:
    """Whether no other thread of this process is at it, so that this one is now."""
    with _LOCK:
        if (os.getpid(), key) in _AT_WORK:
            return False
        _AT_WORK.add((os.getpid(), key))
        return True
