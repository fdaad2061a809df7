"""Make rows in a process of its own, with limits of time and memory.

A program that is run within a time limit, and killed with all that it started.

A generator that is run in a process of its own, so that it can be killed at a time limit.

A hanging call cannot be ended from inside of its own process: a thread cannot be killed, and a signal waits until
native code returns. So where a limit is asked for, the generator runs in a second process, with the same code and the
same seed, and sends its tables back as they come: it reads a job from stdin and writes messages to stdout.
"""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd

from synth_mlflow.backends.base import GeneratedRows, GenerationRequest, GeneratorRunner
from synth_mlflow.data.fit_commands import TIMEOUT_SECONDS as TIMEOUT_SECONDS
from synth_mlflow.data.private import private_room, without_secrets
from synth_mlflow.errors import GeneratorError, SynthError, UsageError

SHOWN_LINES = 10
SHOWN_BYTES = 4_000


def run_within(
    seconds: float,
    words: Sequence[str],
    stderr: Path,
    *,
    what: str,
    folder: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> int | None:
    """The exit code of a program; None where it was killed at the time limit.

    Parameters
    ----------
    seconds : float
        The limit.
    words : sequence of str
        The program and its arguments; no shell reads them.
    stderr : Path
        Takes what it says there; what it prints to stdout is dropped.
    what : str
        How a message calls it.
    folder, env : optional
        Its working directory and environment; this process's own by default.

    Raises
    ------
    UsageError
        If it cannot be started.
    """
    with stderr.open("wb") as file:
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                cwd=folder,
                env=None if env is None else dict(env),
                start_new_session=True,  # a process group of its own, so that all of it can be killed
            )
        except OSError as error:
            raise UsageError(
                f"{what} cannot be started: {error}.", "Give the path of its program, or activate its environment."
            ) from error
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:  # also on Ctrl-C, which the program's own group does not see, and for what it left running
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def ending(exit_code: int | None, seconds: float) -> str | None:
    """How a program ended badly, in words; None if it did not.

    Examples
    --------
    >>> ending(-9, 5), ending(None, 5), ending(0, 5)
    ('was ended by signal 9', 'was killed at its time limit of 5 s', None)
    """
    if exit_code is None:
        return f"was killed at its time limit of {seconds:g} s"
    if exit_code < 0:
        return f"was ended by signal {-exit_code}"
    return f"ended with exit code {exit_code}" if exit_code else None


def last_lines(stderr: Path) -> str:
    """What a program said last, without the secrets of this environment."""
    with stderr.open("rb") as file:
        file.seek(max(0, stderr.stat().st_size - SHOWN_BYTES))
        text = without_secrets(file.read().decode(errors="replace"))
    return "\n".join(f"  {line}" for line in text.strip().splitlines()[-SHOWN_LINES:])


def refuse_time_limit(seconds: float) -> None:
    """A UsageError for what is no time limit."""
    if not 0 < seconds < math.inf:
        raise UsageError(f"a time limit of {seconds:g} s was given, a positive number was needed.")


_START = "import sys; sys.path[:] = sys.argv[1:]; from synth_mlflow.backends.subprocess import main; main()"
Again = Callable[[], GeneratorRunner]
"""Finds the maker once more, in the other process; picklable."""


@dataclass(frozen=True)
class _Job:
    again: Again
    version: str
    members: pd.DataFrame
    request: GenerationRequest


def in_subprocess(
    maker: GeneratorRunner, again: Again, seconds: float
) -> Callable[[pd.DataFrame, GenerationRequest], GeneratedRows]:
    """How a maker makes its rows in another process, which is killed after so many seconds.

    Parameters
    ----------
    maker : GeneratorRunner
    again : callable
        Finds the same maker in the other process.
    """

    def make(members: pd.DataFrame, request: GenerationRequest) -> GeneratedRows:
        notes: dict[str, Any] = {}
        return GeneratedRows(
            _received(maker, _Job(again, maker.version, members, request), seconds, notes), lambda: notes
        )

    return make


def _received(maker: GeneratorRunner, job: _Job, seconds: float, notes: dict[str, Any]) -> Iterator[object]:
    with tempfile.TemporaryDirectory(prefix="synth-limited-", dir=private_room()) as folder:
        stderr = Path(folder) / "stderr.txt"
        with stderr.open("wb") as said:
            process = subprocess.Popen(
                [sys.executable, "-c", _START, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                start_new_session=True,
            )
        is_over = threading.Event()
        watch = threading.Timer(seconds, _end, (process, is_over))
        watch.start()
        try:
            yield from _messages(process, job, notes)
        except (EOFError, OSError, pickle.UnpicklingError) as error:  # it died in the middle of a message
            exit_code = None if is_over.is_set() else process.wait()
            stderr_text = last_lines(stderr)
            raise GeneratorError(
                f"generator {maker.title} {ending(exit_code, seconds) or 'ended without its rows'}."
                + (f" The last lines of its stderr:\n{stderr_text}" if stderr_text else ""),
                "Give it longer: `--timeout SECONDS`." if is_over.is_set() else "Nothing was recorded.",
            ) from error
        finally:
            watch.cancel()
            _end(process)


def _messages(process: subprocess.Popen[bytes], job: _Job, notes: dict[str, Any]) -> Iterator[object]:
    if process.stdin is None or process.stdout is None:
        raise OSError("the other process has no pipes")
    with process.stdin as out:
        pickle.dump(job, out)
    with process.stdout as messages:
        while True:
            kind, value = pickle.load(messages)
            if kind == "error":
                kind_of_error, message, fix = value
                raise kind_of_error(message, fix)
            if kind == "notes":
                notes.update(value)
                return
            yield value


def _end(process: subprocess.Popen[bytes], is_over: threading.Event | None = None) -> None:
    if is_over is not None:
        is_over.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _serve(job: _Job, out: IO[bytes]) -> None:
    def send(kind: str, value: object) -> None:
        pickle.dump((kind, value), out)
        out.flush()

    try:
        maker = job.again()
        if maker.version != job.version:
            raise GeneratorError(f"generator {maker.title} was changed while it was started.", "Generate again.")
        notes: Mapping[str, Any] = maker.run(job.members, job.request, lambda frame: send("frame", frame))
    except SynthError as error:
        send("error", (type(error), error.found, error.fix))
    else:
        send("notes", dict(notes))


def main() -> None:
    """Run the job on stdin; what the generator prints goes to stderr, since stdout carries its tables."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _serve(pickle.load(sys.stdin.buffer), out)
