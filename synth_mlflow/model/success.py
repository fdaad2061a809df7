"""Whether a sweep is what the statement calls a success: the only judge of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from synth_mlflow.errors import UsageError, closest
from synth_mlflow.model.curve import Curve

Kind = Literal["gain_at_least", "at_least"]


@dataclass(frozen=True)
class Success:
    """What the statement calls a success, and what was measured against it."""

    kind: Kind
    threshold: float
    measured: float
    """The gain or the score at the chosen ratio, corrected for the luck of having been chosen."""
    low: float
    """95 % interval of the expected score on new data, or of its gain, moved to the corrected estimate."""
    high: float

    @property
    def met(self) -> bool:
        """Whether the corrected estimate reaches the threshold; NaN never does."""
        return self.measured >= self.threshold

    @property
    def certain(self) -> bool:
        """Whether the whole interval lies on the same side of the threshold."""
        return self.low >= self.threshold if self.met else self.high < self.threshold

    @property
    def outcome(self) -> str:
        """``success`` or ``no success``, with ``, not certain`` where the interval holds the threshold."""
        return f"{'success' if self.met else 'no success'}{'' if self.certain else ', not certain'}"


def judge_success(curve: Curve, asked: Mapping[str, float]) -> Success:
    """Hold the corrected gain, or the corrected score, against what the statement demands.

    Parameters
    ----------
    curve : Curve
    asked : mapping
        ``{"gain_at_least": x}`` or ``{"at_least": x}``.

    Raises
    ------
    UsageError
        If it is neither.
    """
    point = curve.at(curve.chosen)
    if asked.keys() == {"gain_at_least"}:
        luck = point.gain - curve.corrected_gain
        needed = float(asked["gain_at_least"])
        return Success("gain_at_least", needed, curve.corrected_gain, point.gain_low - luck, point.gain_high - luck)
    if asked.keys() == {"at_least"}:
        luck = point.score - curve.corrected
        return Success("at_least", float(asked["at_least"]), curve.corrected, point.low - luck, point.high - luck)
    hint = closest(next(iter(asked), ""), ["gain_at_least", "at_least"])
    raise UsageError(f"success {dict(asked)!r} is neither `gain_at_least` nor `at_least`. {hint}")
