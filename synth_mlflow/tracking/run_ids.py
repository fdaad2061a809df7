"""Run ids as people have them: whole, or as much of one as a page shows."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 8  # characters that are enough; pages show 12


def spelled_out(given: str, known: Iterable[str]) -> str:
    """The one known id that begins with what was given; what was given where none does, or more than one.

    Examples
    --------
    >>> spelled_out("5f0c1d2e", ["5f0c1d2e9ab3", "77aa01b2c3d4"])
    '5f0c1d2e9ab3'
    >>> spelled_out("5f0c", ["5f0c1d2e9ab3"])
    '5f0c'
    """
    found = [run_id for run_id in known if run_id.startswith(given)] if len(given) >= SHOWN else []
    return found[0] if len(found) == 1 else given
