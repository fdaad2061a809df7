"""Durations as texts: ``49:30:00``, ``2 days 01:30:00``, ``P2DT1H30M`` or ``1h 20m``; as values they are seconds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

DAY_SECONDS = 86_400
DurationStyle = Literal["clock", "days", "iso", "units"]
UNIT_SECONDS = {
    "w": 604_800, "wk": 604_800, "wks": 604_800, "week": 604_800, "weeks": 604_800,
    "d": DAY_SECONDS, "day": DAY_SECONDS, "days": DAY_SECONDS, "tag": DAY_SECONDS, "tage": DAY_SECONDS,
    "j": DAY_SECONDS, "jour": DAY_SECONDS, "jours": DAY_SECONDS, "día": DAY_SECONDS, "días": DAY_SECONDS,
    "h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600, "std": 3600, "stunde": 3600, "stunden": 3600,
    "heure": 3600, "heures": 3600, "hora": 3600, "horas": 3600,
    "m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60, "minuten": 60, "minuto": 60, "minutos": 60,
    "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1, "sek": 1, "sekunde": 1, "sekunden": 1, "seconde": 1,
    "secondes": 1, "segundo": 1, "segundos": 1,
}  # fmt: skip
PIECE = re.compile(r"(\d+(?:\.\d+)?)(\s?)([^\W\d_]+\.?)")
_CLOCK = re.compile(r"(-?)(\d+):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")
_ISO_DURATION = re.compile(r"(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_DAYS = re.compile(r"(-?\d+) days?(?:,? \+?(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?))?")


@dataclass(frozen=True)
class DurationText:
    """Durations as seconds: ``49:30:00``, ``2 days 01:30:00``, ``P2DT1H30M`` or ``1h 20m``.

    >>> DurationText("clock").parse(pd.Series(["49:30:00"])).tolist()
    [178200.0]
    """

    name: ClassVar[str] = "duration"
    style: DurationStyle
    with_seconds: bool = True
    """Of the style ``clock``: whether seconds are written."""
    fraction: int = 0
    padded: bool = False
    """Of the style ``clock``: whether hours below ten have a zero before them; of ``iso``: whether days are hours."""
    units: tuple[str, ...] = ()
    """Of the style ``units``: how each unit is written, the longest first."""
    singular: tuple[str, ...] = ()
    """The same of one of them."""
    gap: str = ""
    """Between a number and its unit."""
    between: str = ""
    """Between a unit and the next number."""
    zeros: bool = False
    """Whether units of zero are written."""

    @property
    def kind(self) -> Literal["integer", "number"]:
        """Whole seconds where no fraction is written."""
        return "number" if self.fraction else "integer"

    @property
    def words(self) -> str:
        """An example."""
        if self.style == "units":
            return f"like {self.write(pd.Series([sum(map(_seconds, self.units))])).iloc[0]}"
        return {"clock": "hours:minutes:seconds" if self.with_seconds else "hours:minutes", "days": "N days HH:MM:SS",
                "iso": "ISO 8601 duration"}[self.style]  # fmt: skip

    def parse(self, texts: pd.Series) -> pd.Series:
        """Seconds."""
        read: Mapping[str, Callable[[str], float]] = {"clock": _clock, "days": _days, "iso": _iso, "units": _units}
        return pd.Series([read[self.style](str(text)) for text in texts], index=texts.index, dtype="float64")

    def write(self, values: pd.Series) -> pd.Series:
        """Each duration in this form."""
        return pd.Series([self._one(float(value)) for value in values], index=values.index, dtype="str")

    def _in_units(self, value: float) -> str:
        left, parts = round(abs(value), max(self.fraction, 0)), list[str]()
        for at, unit in enumerate(self.units):
            size = _seconds(unit)
            is_last = at == len(self.units) - 1
            if is_last and not (self.fraction and size == 1):
                left = round(left / size) * size
            number = left / size if is_last else left // size
            left -= number * size
            if number or self.zeros or (is_last and not parts):
                word = self.singular[at] if number == 1 else unit
                shown = f"{number:.{self.fraction}f}" if is_last and size == 1 else f"{number:.0f}"
                parts.append(f"{shown}{self.gap}{word}")
        return ("-" if value < 0 else "") + self.between.join(parts)

    def _one(self, value: float) -> str:
        if self.style == "units":
            return self._in_units(value)
        unit = 60.0 if self.style == "clock" and not self.with_seconds else 1.0
        size = round(round(abs(value) / unit, self.fraction if unit == 1.0 else 0) * unit, 6)
        minutes, seconds = divmod(size, 60)
        hours, minutes = divmod(int(minutes), 60)
        sign = "-" if value < 0 and size else ""
        second = f"{seconds:0{3 + self.fraction if self.fraction else 2}.{self.fraction}f}"
        if self.style == "clock":
            start = f"{sign}{hours:0{2 if self.padded else 1}d}:{minutes:02d}"
            return f"{start}:{second}" if self.with_seconds else start
        days, hours = (0, hours) if self.style == "iso" and self.padded else divmod(hours, 24)
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


def _units(text: str) -> float:
    """Seconds of ``1h 20m``; missing where a unit is unknown, stands twice, or the units do not descend."""
    pieces = PIECE.findall(text)
    rest = PIECE.sub("", text)
    sizes = [_seconds(unit) for _, _, unit in pieces]
    if not pieces or rest.strip(" ,-") or 0 in sizes or any(a <= b for a, b in itertools.pairwise(sizes)):
        return np.nan
    total = sum(float(number) * size for (number, _, _), size in zip(pieces, sizes, strict=True))
    return -total if text.strip().startswith("-") else total


def _seconds(unit: str) -> int:
    return UNIT_SECONDS.get(unit.lower().rstrip("."), 0)


def unit_style(sample: pd.Series) -> DurationText | None:
    """Durations of two units or more, written as a sample writes them; None where these are none.

    Examples
    --------
    >>> style = unit_style(pd.Series(["1h 20m", "45m", "3h 5m"]))
    >>> style.parse(pd.Series(["2h 1m"])).tolist(), style.write(pd.Series([7260, 300, 3600])).tolist()
    ([7260.0], ['2h 1m', '5m', '1h'])
    """
    if sample.map(_units).isna().any():
        return None
    pieces = [piece for text in sample for piece in PIECE.findall(text)]
    plural: dict[int, str] = {}
    single: dict[int, str] = {}
    for number, _, unit in pieces:
        (single if float(number) == 1 else plural).setdefault(_seconds(unit), unit)
    sizes = sorted({*plural, *single}, reverse=True)
    if len(sizes) < 2:
        return None
    betweens = sample.str.extract(r"[^\W\d_]\.?([\s,]*)\d", expand=False).dropna()
    fractions = [len(number.partition(".")[2]) for number, _, _ in pieces]
    return DurationText(
        "units",
        fraction=max(fractions),
        units=tuple(plural.get(size) or single[size] for size in sizes),
        singular=tuple(single.get(size) or plural[size] for size in sizes),
        gap=pieces[0][1],
        between=str(betweens.mode().iloc[0]) if len(betweens) else " ",
        zeros=bool((sample.str.count(PIECE.pattern) == len(sizes)).all()),
    )
