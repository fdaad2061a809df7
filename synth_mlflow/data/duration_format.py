"""Durations as texts: ``49:30:00``, ``2 days 01:30:00`` or ``P2DT1H30M``; as values they are seconds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

DAY_SECONDS = 86_400
DurationStyle = Literal["clock", "days", "iso"]
_CLOCK = re.compile(r"(-?)(\d+):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")
_ISO_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_DAYS = re.compile(r"(-?\d+) days?(?:,? \+?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?))?")


@dataclass(frozen=True)
class DurationText:
    """Durations as seconds: ``49:30:00``, ``2 days 01:30:00`` or ``P2DT1H30M``.

    >>> DurationText("clock").parse(pd.Series(["49:30:00"])).tolist()
    [178200.0]
    """

    name: ClassVar[str] = "duration"
    style: DurationStyle
    with_seconds: bool = True
    """Of the style ``clock``: whether seconds are written."""
    fraction: int = 0
    padded: bool = False
    """Of the style ``clock``: whether hours below ten have a zero before them."""

    @property
    def kind(self) -> Literal["integer", "number"]:
        """Whole seconds where no fraction is written."""
        return "number" if self.fraction else "integer"

    @property
    def words(self) -> str:
        """An example."""
        return {"clock": "hours:minutes:seconds" if self.with_seconds else "hours:minutes", "days": "N days HH:MM:SS",
                "iso": "ISO 8601 duration"}[self.style]  # fmt: skip

    def parse(self, texts: pd.Series) -> pd.Series:
        """Seconds."""
        read: Mapping[str, Callable[[str], float]] = {"clock": _clock, "days": _days, "iso": _iso}
        return pd.Series([read[self.style](str(text)) for text in texts], index=texts.index, dtype="float64")

    def write(self, values: pd.Series) -> pd.Series:
        """Each duration in this form."""
        return pd.Series([self._one(float(value)) for value in values], index=values.index, dtype="str")

    def _one(self, value: float) -> str:
        unit = 60.0 if self.style == "clock" and not self.with_seconds else 1.0
        size = round(round(abs(value) / unit, self.fraction if unit == 1.0 else 0) * unit, 6)
        minutes, seconds = divmod(size, 60)
        hours, minutes = divmod(int(minutes), 60)
        sign = "-" if value < 0 and size else ""
        second = f"{seconds:0{3 + self.fraction if self.fraction else 2}.{self.fraction}f}"
        if self.style == "clock":
            start = f"{sign}{hours:0{2 if self.padded else 1}d}:{minutes:02d}"
            return f"{start}:{second}" if self.with_seconds else start
        days, hours = divmod(hours, 24)
        if self.style == "days":
            return f"{days} days {hours:02d}:{minutes:02d}:{second}" if not sign else str(pd.Timedelta(seconds=value))
        clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n)
        clock += f"{seconds:.{self.fraction}f}S" if seconds or not (days or clock) else ""
        return f"{sign}P{f'{days}D' if days else ''}{'T' + clock if clock else ''}"


def _clock(text: str) -> float:
    found = _CLOCK.fullmatch(text)
    if found is None:
        return np.nan
    sign, hours, minutes, seconds = found.groups(default="0")
    return (-1.0 if sign == "-" else 1.0) * (int(hours) * 3600 + int(minutes) * 60 + float(seconds)) + 0.0


def _days(text: str) -> float:
    if not _DAYS.fullmatch(text):
        return np.nan
    return float(pd.Timedelta(text.replace(",", "")).total_seconds())


def _iso(text: str) -> float:
    found = _ISO_DURATION.fullmatch(text)
    if found is None or text.endswith(("P", "T")):
        return np.nan
    sign, days, hours, minutes, seconds = found.groups(default="0")
    total = int(days) * DAY_SECONDS + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return (-1.0 if sign == "-" else 1.0) * total + 0.0
