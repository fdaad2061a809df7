"""Thresholds that are numbers.

When two versions count as different: by their first number, their first two, or at all.
"""

from __future__ import annotations

import math
import re
from typing import Any


def positive(threshold: Any, meaning: str) -> float:
    """The threshold as a float.

    Raises
    ------
    ValueError
        If it is not a finite number above 0; the message has what was found and ``meaning``.
    """
    is_number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not is_number or not math.isfinite(threshold) or threshold <= 0:
        raise ValueError(f"{threshold!r} was found; a number above 0 is needed: {meaning}")
    return float(threshold)


_DEPTHS: dict[str, int | None] = {"major": 1, "minor": 2, "any": None}
_NUMBERS = re.compile(r"v?(\d+)((?:\.\d+)*)")
WORDS = {
    "major": "the first number of its version",
    "minor": "one of the first two numbers of its version",
    "any": "anything in its version",
}


def level(threshold: Any) -> str:
    """The threshold itself, if it names a level.

    Raises
    ------
    ValueError
        If it does not.
    """
    if not isinstance(threshold, str) or threshold not in WORDS:
        raise ValueError(f"{threshold!r} was found; major, minor or any is needed")
    return threshold


def same(left: str, right: str, depth: str, *, extra: int = 0) -> bool:
    """Whether two versions agree down to a level; versions without numbers agree only if they are equal.

    Parameters
    ----------
    left, right : str
    depth : str
        ``major``, ``minor`` or ``any``.
    extra : int
        How many numbers more a level holds, for software whose second number is its major one.

    Examples
    --------
    >>> same("1.2.0", "1.3", "major"), same("1.2.0", "1.3", "minor"), same("1.2", "1.2.0", "any")
    (True, False, True)
    >>> same("gpt-4o", "gpt-5", "major")
    False
    """
    numbers = _DEPTHS[depth]
    first, second = _NUMBERS.match(left), _NUMBERS.match(right)
    if first is None or second is None:
        return left == right
    if numbers is None:
        return _normal(left) == _normal(right)
    return _leading(first, numbers + extra) == _leading(second, numbers + extra)


def _leading(match: re.Match[str], n_numbers: int) -> list[int]:
    numbers = [int(part) for part in (match[1] + match[2]).split(".")]
    return (numbers + [0] * n_numbers)[:n_numbers]


def _normal(version: str) -> str:
    bare = version.removeprefix("v")
    while bare.endswith(".0"):
        bare = bare[:-2]
    return bare
