"""A program that is run within a time limit, and killed with all that it started."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from synth_mlflow.data.secrets import without_secrets
from synth_mlflow.errors import UsageError

TIMEOUT_SECONDS = 3600.0
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
