"""What the final model of a sweep is expected to score, as its run keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HoldoutEstimate:
    """What one model scores on rows that did not choose it."""

    score: float
    low: float
    high: float
    """Interval of this model on further rows; 95 % however often the set was used before."""
    n_rows: int
    shared: bool
    """Whether these rows chose as well, since the frozen set is small."""
    earlier_answers: tuple[int, ...]
    """What the interval is widened for, ascending: between how many ratios each earlier use of these rows decided."""
    n_other_sweeps: int
    """How many other sweeps chose on the frozen set."""
    words: str
