"""What can go wrong for a user, as a tree; the exit code of the command line stands beside each.

SynthError                1   something failed
├── UsageError            2   what was given cannot be used: a file, a column, an option
│   ├── StatementError    2   problem.md or limits.md is incomplete or wrong
│   └── PluginError       2   a plugin is not installed here, cannot be loaded, or raised
├── GateError             3   a step that must come first is missing, or evidence says no
├── EvidenceError         4   something recorded no longer matches its digest
├── GeneratorError        1   a generator raised, hung or returned what it must not
└── ServerError           1   the tracking server cannot be reached, read or written
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

from synth_mlflow.masks import without_passwords


class SynthError(Exception):
    """Base of every error that is meant for the user's eyes.

    Parameters
    ----------
    found : str
        What was found and what was needed, with the values.
    fix : str
        What to do next, as a sentence or a command.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, found: str, fix: str = "") -> None:
        self.found = without_passwords(found)
        self.fix = without_passwords(fix)
        super().__init__(f"{self.found}\n{self.fix}" if fix else self.found)


class UsageError(SynthError):
    """What was given cannot be used."""

    exit_code = 2


class StatementError(UsageError):
    """The problem statement or the limits are incomplete or wrong."""


class PluginError(UsageError):
    """A plugin is not installed here, cannot be loaded, raised, or returned what it must not."""


class GateError(SynthError):
    """A step that must come first is missing, or the evidence says no."""

    exit_code = 3


class EvidenceError(SynthError):
    """Something recorded no longer matches its digest."""

    exit_code = 4


class GeneratorError(SynthError):
    """A generator raised, hung or returned what it must not."""


class ServerError(SynthError):
    """The tracking server cannot be reached, read or written."""


def missing_library(error: OSError) -> SynthError | None:
    """What to install where LightGBM could not be loaded for want of a library of the system; else None."""
    if "libgomp" not in str(error):
        return None
    return SynthError(
        "LightGBM needs the system's OpenMP library libgomp, which is not on this machine.",
        "Install it: `apt-get install libgomp1` (Debian, Ubuntu), `dnf install libgomp` (Fedora, RHEL), "
        "`apk add libgomp` (Alpine).",
    )


def closest(name: str, known: Iterable[str]) -> str:
    """The part of a message that offers the nearest known name, or lists what is known.

    Examples
    --------
    >>> closest("incme", ["income", "age"])
    "Did you mean 'income'?"
    >>> closest("zzz", ["income", "age"])
    "Known: 'age', 'income'."
    """
    names = sorted(known)
    if not names:
        return "There is none."
    match = difflib.get_close_matches(name, names, n=1)
    if match:
        return f"Did you mean {match[0]!r}?"
    shown = ", ".join(repr(item) for item in names[:12])
    return f"Known: {shown}{', …' if len(names) > 12 else ''}."
