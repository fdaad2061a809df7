"""Thresholds that are numbers."""

from __future__ import annotations

import math
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
