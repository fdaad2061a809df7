"""Texts that are values: read them, and write them back in their own form.

Durations as texts: ``49:30:00``, ``2 days 01:30:00``, ``P2DT1H30M``, ``1h 20m``; as values they are seconds.

Texts that are values: how money, percent, dates, times and durations are read, and written back in their own form.

A format turns the distinct texts of a column into values and back. Money and numbers become numbers; times of day and
durations become seconds; dates become datetimes in UTC. What a format cannot read becomes a missing value, and what it
writes it can read again. This file is copied into the saved model's code folder as well, so it
imports nothing else of the package but ``json_text``, which is copied too.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd

from .json_text import JsonText

DAY_SECONDS = 86_400
DurationStyle = Literal["clock", "days", "iso", "units", "lap", "python"]
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
BLANKS = " \u00a0\u202f\u2009"
"""What stands between groups of digits and before units: space, no-break space, narrow no-break space, thin space."""
PIECE = re.compile(r"(?<!\d)(\d{1,300}(?:\.\d+)?)(\s?)([^\W\d_]+\.?)")  # tried once for each run of digits
_DIGITS_ALONE = re.compile("(%[YmdHMSj])+")
_CLOCK = re.compile(r"(-?)(\d{1,12}):([0-5]\d)(?::([0-5]\d(?:\.\d+)?))?")
_ISO_DURATION = re.compile(r"(-?)P(?:(\d{1,9})D)?(?:T(?:(\d{1,12})H)?(?:(\d{1,12})M)?(?:(\d{1,15}(?:\.\d+)?)S)?)?")
_LAP = re.compile(r"(-?)(\d{1,12}):([0-5]\d(?:\.\d+)?)")
_DAYS = re.compile(r"(-?\d{1,5}) days?(?:,? \+?(\d{1,5}):([0-5]\d):([0-5]\d(?:\.\d+)?))?")
_PYTHON = re.compile(r"(?:(-?\d{1,9}) days?, )?(\d{1,2}):([0-5]\d):([0-5]\d(?:\.\d+)?)")
_DAY_MARKS = re.compile(r"(-?)(?:(\d{1,5})(d |\.|-))?(\d{1,12}):([0-5]\d):([0-5]\d(?:\.\d+)?)")


@dataclass(frozen=True)
class DurationText:
    """Durations as seconds: ``49:30:00``, ``2 days 01:30:00``, ``P2DT1H30M`` or ``1h 20m``.

    >>> DurationText("clock").parse(pd.Series(["49:30:00"])).tolist()
    [178200.0]
    """

    name: ClassVar[str] = "duration"
    style: DurationStyle
    with_seconds: bool = True
    """Of the style ``clock``: whether seconds are written; of ``days``: whether a clock is."""
    fraction: int = 0
    padded: bool = False
    """Of the style ``clock``: whether hours below ten have a zero before them; of ``iso``: whether days are hours."""
    top: str = ""
    """Of the style ``iso``: the largest unit that is written, ``M`` or ``S``, where it is neither days nor hours."""
    units: tuple[str, ...] = ()
    """Of the style ``units``: how each unit is written, the longest first; of ``iso``: those written when zero."""
    singular: tuple[str, ...] = ()
    """The same of one of them; of the style ``days``: the word for one day."""
    gap: str = ""
    """Between a number and its unit."""
    between: str = ""
    """Between a unit and the next number; of the style ``days``: between days and clock, where it is not ``days``; of
    ``clock``: between hours and minutes, where it is no colon."""
    zeros: bool = False
    """Whether units of zero are written."""
    inner: int = 0
    """Of the style ``units``: the least number of digits after the first unit."""

    @property
    def kind(self) -> Literal["integer", "number"]:
        """Whole seconds where no fraction is written."""
        return "number" if self.fraction else "integer"

    @property
    def words(self) -> str:
        """An example."""
        if self.style == "units":
            return f"like {self.write(pd.Series([sum(map(_seconds, self.units))])).iloc[0]}"
        days = f"N{self.between or ' days '}HH:MM:SS" if self.with_seconds else "N days"
        clock = "hours:minutes:seconds" if self.with_seconds else "hours:minutes"
        clock = f"like {self.write(pd.Series([3900])).iloc[0]}" if self.between else clock
        return {"clock": clock, "days": days, "iso": "ISO 8601 duration", "lap": "minutes:seconds",
                "python": "N days, HH:MM:SS"}[self.style]  # fmt: skip

    def parse(self, texts: pd.Series) -> pd.Series:
        """Seconds."""
        days = _days if not self.between else partial(_marked_days, self.between)
        clock = _clock if not self.between else partial(_marked_clock, self.between)
        read: Mapping[str, Callable[[str], float]] = {
            "clock": clock, "days": days, "iso": _iso, "units": _units, "lap": _lap, "python": _python,
        }  # fmt: skip
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
                shown = shown.zfill(self.inner) if parts else shown
                parts.append(f"{shown}{self.gap}{word}")
        return ("-" if value < 0 else "") + self.between.join(parts)

    def _one(self, value: float) -> str:
        if self.style == "units":
            return self._in_units(value)
        if self.style == "python":
            return self._as_python(value)
        if self.style == "days" and not self.with_seconds:
            days = round(value / DAY_SECONDS)
            return f"{days} {self.singular[0] if self.singular and abs(days) == 1 else 'days'}"
        unit = 60.0 if self.style == "clock" and not self.with_seconds else 1.0
        size = round(round(abs(value) / unit, self.fraction if unit == 1.0 else 0) * unit, 6)
        minutes, seconds = divmod(size, 60)
        hours, minutes = divmod(int(minutes), 60)
        sign = "-" if value < 0 and size else ""
        second = f"{seconds:0{3 + self.fraction if self.fraction else 2}.{self.fraction}f}"
        if self.style == "lap":
            return f"{sign}{60 * hours + minutes:0{2 if self.padded else 1}d}:{second}"
        if self.style == "clock":
            start = f"{sign}{hours:0{2 if self.padded else 1}d}{self.between or ':'}{minutes:02d}"
            return f"{start}:{second}" if self.with_seconds else start
        days, hours = (0, hours) if self.style == "iso" and self.padded else divmod(hours, 24)
        if self.style == "days" and self.between:
            head = f"{days}{self.between}" if days or self.zeros else ""
            return f"{sign}{head}{hours:0{2 if self.padded else 1}d}:{minutes:02d}:{second}"
        if self.style == "days":
            return f"{days} days {hours:02d}:{minutes:02d}:{second}" if not sign else str(pd.Timedelta(seconds=value))
        if self.top:
            minutes, days, hours = int(size // 60), 0, 0
        if self.top == "S":
            seconds, minutes = size, 0
        clock = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M")) if n or unit in self.units)
        clock += f"{seconds:.{self.fraction}f}S" if seconds or "S" in self.units or not (days or clock) else ""
        return f"{sign}P{f'{days}D' if days or 'D' in self.units else ''}{'T' + clock if clock else ''}"

    def _as_python(self, value: float) -> str:
        """As ``str`` of a ``datetime.timedelta``."""
        days, rest = divmod(round(value, self.fraction), DAY_SECONDS)
        minutes, seconds = divmod(rest, 60)
        hours, minutes = divmod(int(minutes), 60)
        head = f"{days:.0f} day{'' if abs(days) == 1 else 's'}, " if days else ""
        return f"{head}{hours}:{minutes:02d}:{seconds:0{3 + self.fraction if self.fraction else 2}.{self.fraction}f}"


def _clock(text: str) -> float:
    match = _CLOCK.fullmatch(text)
    if match is None:
        return np.nan
    sign, hours, minutes, seconds = match.groups(default="0")
    return (-1.0 if sign == "-" else 1.0) * (int(hours) * 3600 + int(minutes) * 60 + float(seconds)) + 0.0


def _marked_clock(mark: str, text: str) -> float:
    """Seconds of ``31h05``; a colon in its place is no such text."""
    return _clock(text.lower().replace(mark.lower(), ":", 1)) if ":" not in text else np.nan


def _python(text: str) -> float:
    """Seconds of ``1 day, 9:37:00``; days may be left out."""
    match = _PYTHON.fullmatch(text)
    if match is None:
        return np.nan
    days, hours, minutes, seconds = match.groups(default="0")
    return float(int(days) * DAY_SECONDS + int(hours) * 3600 + int(minutes) * 60 + float(seconds))


def _lap(text: str) -> float:
    match = _LAP.fullmatch(text)
    if match is None:
        return np.nan
    sign, minutes, seconds = match.groups()
    return (-1.0 if sign else 1.0) * (int(minutes) * 60 + float(seconds)) + 0.0


def _marked_days(mark: str, text: str) -> float:
    """Seconds of ``6d 11:27:30`` or ``6-11:27:30``; days may be left out."""
    match = _DAY_MARKS.fullmatch(text)
    if match is None or match[3] not in (mark, None):
        return np.nan
    sign, days, _, hours, minutes, seconds = match.groups(default="0")
    total = int(days) * DAY_SECONDS + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    return (-1.0 if sign == "-" else 1.0) * total + 0.0


def _days(text: str) -> float:
    if not _DAYS.fullmatch(text):
        return np.nan
    return float(pd.Timedelta(text.replace(",", "")).total_seconds())


def _iso(text: str) -> float:
    match = _ISO_DURATION.fullmatch(text)
    if match is None or text.endswith(("P", "T")):
        return np.nan
    sign, days, hours, minutes, seconds = match.groups(default="0")
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


def marked_days_style(sample: pd.Series, fraction: int) -> DurationText | None:
    """Days before a clock, as ``6d 11:27:30``, ``6.11:27:30`` and ``6-11:27:30``; None where these are none."""
    parts = sample.str.extract(f"^{_DAY_MARKS.pattern}$")
    marks = parts[2].dropna().unique()
    if parts[3].isna().any() or len(marks) != 1:
        return None
    hours = parts[3]
    return DurationText(
        "days",
        fraction=fraction,
        padded=bool(hours.str.match("0").any()) or not bool((hours.str.len() == 1).any()),
        between=str(marks[0]),
        zeros=bool(parts[1].notna().all()),
    )


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
    later = [number for text in sample for number, _, _ in PIECE.findall(text)[1:]]
    betweens = sample.str.extract(r"[^\W\d_]\.?([\s,]*)\d", expand=False).dropna()
    fractions = [len(number.partition(".")[2]) for number, _, _ in pieces]
    return DurationText(
        "units",
        fraction=max(fractions),
        units=tuple(plural.get(size) or single[size] for size in sizes),
        singular=tuple(single.get(size) or plural[size] for size in sizes),
        gap=pieces[0][1],
        between=str(betweens.mode().iloc[0]) if len(betweens) else " ",
        zeros=all(len(PIECE.findall(text)) == len(sizes) for text in sample),
        inner=2 if later and all(len(number.partition(".")[0]) == 2 for number in later) else 0,
    )


_FRACTION, _COLON, _BARE, _MONTH, _NTH, _HALF, _WEEKDAY = map(chr, range(1, 8))  # what strftime does not write itself
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LATER = frozenset(
    {
        "lakhs",
        "power",
        "months",
        "ordinal",
        "units",
        "singular",
        "gap",
        "between",
        "zeros",
        "halves",
        "top",
        "inner",
        "dash",
        "plus",
        "plus_zero",
        "pad",
        "days",
        "bare",
        "first_year",
        "mixed",
    }
)  # formats before had none


class ValueFormat(Protocol):
    """One way in which values are written as texts."""

    name: ClassVar[str]

    @property
    def kind(self) -> Literal["integer", "number", "datetime", "string"]:
        """Of the values."""
        ...

    @property
    def words(self) -> str:
        """The format as a person reads it in a table."""
        ...

    def parse(self, texts: pd.Series) -> pd.Series:
        """The values of texts, float64, datetime64[us] or str of the same index; missing where a text is none."""
        ...

    def write(self, values: pd.Series) -> pd.Series:
        """The texts of present values, of the same index."""
        ...


@dataclass(frozen=True)
class NumberText:
    """Numbers with a currency or a unit, a separator of thousands, or a decimal comma.

    >>> NumberText(prefix="$", thousands=",", decimals=2).write(pd.Series([1093.24, -5])).tolist()
    ['$1,093.24', '-$5.00']
    """

    name: ClassVar[str] = "number"
    prefix: str = ""
    suffix: str = ""
    thousands: str = ""
    decimal: str = "."
    decimals: int | None = None
    """How many are always written; None: as many as the value needs."""
    negative: Literal["-", "inner", "brackets", "last"] = "-"
    """Where the sign stands: before the currency, behind it, as brackets around all, or at the end."""
    lakhs: bool = False
    """Whether the digits before the last three stand in groups of two, as in India: ``12,34,567``."""
    dash: str = ""
    """The sign of negative numbers, where it is not the hyphen."""
    plus: bool = False
    """Whether numbers above zero have a plus."""
    plus_zero: bool = False
    """Whether zero has a plus too, as in ``+0.0``."""
    pad: int = 0
    """The least number of digits, of times such as ``0815``."""
    power: Literal["", "e", "E"] = ""
    """The letter before the power of ten, where every number has one, as in ``1,4E+02``."""

    @property
    def kind(self) -> Literal["integer", "number"]:
        """Whole numbers where no decimals are written."""
        return "integer" if self.decimals == 0 and not self.power else "number"

    @property
    def words(self) -> str:
        """Such as ``like $1,234.56``."""
        example = (
            1234.0 if self.decimals == 0 else 1234.56 if self.decimals is None else round(1234.5678, self.decimals)
        )
        return f"like {self._one(815 if self.pad else example)}"

    def parse(self, texts: pd.Series) -> pd.Series:
        """The numbers that texts of exactly this form say."""
        stripped = texts.str.strip()
        if self.power:
            fits = stripped.str.fullmatch(rf"[-+]?\d(?:{re.escape(self.decimal)}\d+)?{self.power}[-+]?\d+")
            plain = stripped.str.replace(self.decimal, ".", regex=False)
            return pd.to_numeric(plain.where(fits), errors="coerce").astype("float64")
        fits = stripped.str.fullmatch(self._pattern())
        for literal in (self.prefix, self.suffix):
            stripped = stripped.str.replace(literal, "", n=1, regex=False) if literal else stripped
        minus = stripped.str.contains(r"[-−(]", regex=True)
        stripped = stripped.str.replace(rf"[-−+()\s{BLANKS}]", "", regex=True)
        if self.thousands.strip():
            stripped = stripped.str.replace(self.thousands, "", regex=False)
        numbers = pd.to_numeric(stripped.str.replace(self.decimal, ".", regex=False), errors="coerce").astype("float64")
        sign = pd.Series(np.where(minus, -1.0, 1.0), texts.index)
        signed: pd.Series = numbers.where(fits, np.nan).mul(sign).add(0.0)
        return signed

    def write(self, values: pd.Series) -> pd.Series:
        """Each number in this form."""
        return pd.Series([self._one(float(value)) for value in values], index=values.index, dtype="str")

    def _pattern(self) -> str:
        digits = r"\d+"
        if self.thousands:
            mark = f"[{BLANKS}]" if not self.thousands.strip() else re.escape(self.thousands)
            groups = rf"\d{{1,2}}(?:{mark}\d{{2}})*{mark}\d{{3}}" if self.lakhs else rf"\d{{1,3}}(?:{mark}\d{{3}})+"
            digits = rf"(?:{groups}|\d+)"
        fraction = "" if self.decimals == 0 else rf"(?:{re.escape(self.decimal)}\d+)?"
        body = rf"{digits}{fraction}"
        head, tail = re.escape(self.prefix), re.escape(self.suffix)
        signed = rf"[-+−]?{head}[-+−]?{body}{tail}"
        if self.negative == "last":
            return rf"\+?{head}{body}[-−]?{tail}[-−]?"
        return rf"{signed}|\({head}{body}{tail}\)" if self.negative == "brackets" else signed

    def _one(self, value: float) -> str:
        size = abs(value)
        if self.power:
            text = np.format_float_scientific(size, self.decimals, unique=self.decimals is None, exp_digits=2)
            text = text.replace(".e", "e").replace("e", self.power)
        elif self.decimals is None:
            text = np.format_float_positional(size, trim="-")
            whole, _, rest = text.partition(".")
            text = f"{int(whole):,}" + (f".{rest}" if rest else "")
        else:
            text = f"{size:,.{self.decimals}f}" if not self.pad else f"{size:0{self.pad}.0f}"
        if self.lakhs:
            text = _in_lakhs(text)
        text = text.replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        is_zero = not re.search(r"[1-9]", text)
        if not self.plus_zero if is_zero else (value > 0 and not self.plus):
            return f"{self.prefix}{text}{self.suffix}"
        if is_zero or value > 0:
            return (
                f"{self.prefix}+{text}{self.suffix}"
                if self.negative == "inner"
                else f"+{self.prefix}{text}{self.suffix}"
            )
        dash = self.dash or "-"
        return {
            "brackets": f"({self.prefix}{text}{self.suffix})",
            "inner": f"{self.prefix}{dash}{text}{self.suffix}",
            "last": f"{self.prefix}{text}{self.suffix}{dash}",
            "-": f"{dash}{self.prefix}{text}{self.suffix}",
        }[self.negative]


def _in_lakhs(text: str) -> str:
    """``1,234,567.8`` as ``12,34,567.8``."""
    whole, dot, rest = text.replace(",", "").partition(".")
    head = re.sub(r"(?<=\d)(?=(?:\d\d)+$)", ",", whole[:-3])
    return f"{head}{',' if head else ''}{whole[-3:]}{dot}{rest}"


@dataclass(frozen=True)
class DateText:
    """Dates and moments in a form of ``strptime``.

    >>> DateText("%d.%m.%Y").write(pd.Series(pd.to_datetime(["2024-03-24"]))).tolist()
    ['24.03.2024']
    """

    name: ClassVar[str] = "date"
    format: str
    zone: str = ""
    """Where the texts say their offset from UTC: the zone that they are written in, ``+02:00`` or ``Europe/Berlin``."""
    fraction: int = 0
    """Digits of a second's fraction, where ``%f`` stands in the format."""
    padded: bool = True
    """Whether numbers below ten are written with a zero before them."""
    months: tuple[str, ...] = ()
    """The names of the twelve months in the language of the texts; empty for the usual English ones."""
    ordinal: bool = False
    """Whether days are written as ``1st``, ``2nd``."""
    halves: tuple[str, ...] = ()
    """How the halves of a day are written, such as ``a.m.`` and ``p.m.``; empty for ``AM`` and ``PM``."""
    days: tuple[str, ...] = ()
    """The names of the weekdays in the language of the texts, Monday first; empty for the English ones."""
    bare: tuple[str, ...] = ()
    """The codes that are written without a zero before them, where others have one."""
    first_year: int = 0
    """The first of the hundred years that years of two digits stand for; 0 for 1969."""
    mixed: bool = False
    """Whether the texts have offsets of no single zone."""

    @property
    def kind(self) -> Literal["datetime"]:
        """Always datetime."""
        return "datetime"

    @property
    def words(self) -> str:
        """The format, with its zone."""
        language = f" ({self.months[0]} to {self.months[-1]})" if self.months else ""
        offsets = " (offsets of several zones: the moments are kept, and written in UTC)" if self.mixed else ""
        return f"{self.format} {self.zone}".strip() + language + offsets

    def parse(self, texts: pd.Series) -> pd.Series:
        """The moments in UTC."""
        format_, texts = self.format.replace("%:z", "%z"), _plain_halves(texts, self.halves)
        if self.ordinal:
            texts = texts.str.replace(r"(?<=\d)(?:st|nd|rd|th)\b", "", regex=True)
        if self.days:
            format_, texts = format_.replace("%A", "%a"), in_english(texts, self.days, WEEKDAYS)
        if self.months:
            format_, texts = format_.replace("%B", "%b"), in_english(texts, self.months, MONTHS)
        if _DIGITS_ALONE.fullmatch(format_):  # a reader that took them for numbers has left zeros in front out
            texts = texts.str.zfill(2 * format_.count("%") + 2 * format_.count("%Y") + format_.count("%j"))
        if "%q" in format_:
            return _quarters(texts, format_)
        if next_year := re.search("%[nN]", format_):
            format_, texts = _without_next_year(texts, format_, next_year[0])
        if "%Z" in format_:
            return _with_zone_names(texts, format_, self.zone)
        if "%V" in format_ and "%u" not in format_:  # a week is its Monday
            format_, texts = f"{format_} %u", texts + " 1"
        moments = pd.to_datetime(texts, format=format_, errors="coerce", utc=True)
        if self.first_year:
            moments = _in_century(moments, self.first_year)
        return moments.dt.tz_localize(None).astype("datetime64[us]")

    def write(self, values: pd.Series) -> pd.Series:
        """Each moment in this form."""
        local = values.dt.tz_localize("UTC").dt.tz_convert(self.zone) if self.zone else values
        format_ = self.format.replace("%f", _FRACTION).replace("%:z", f"%z{_COLON}")
        if not self.padded or self.bare:
            bare = self.bare or ("%d", "%m", "%H", "%I", "%V")
            format_ = re.sub(r"%[dmHIV]", lambda code: (_BARE if code[0] in bare else "") + code[0], format_)
        if self.ordinal:
            format_ = format_.replace("%d", f"%d{_NTH}")
        if self.months:
            format_ = re.sub("%[bB]", f"{_MONTH}%m", format_)
        if self.days:
            format_ = re.sub("%[aA]", f"{_WEEKDAY}%u", format_)
        if own := re.search("%[qnN]", format_):
            numbers = _own_numbers(local, own[0])
            marked = local.dt.strftime(format_.replace(own[0], _FRACTION)).astype("str")
            written = [text.replace(_FRACTION, number) for text, number in zip(marked, numbers, strict=True)]
            return pd.Series(written, values.index, dtype="str")
        if self.halves:
            format_ = format_.replace("%p", f"{_HALF}%p")
        texts = local.dt.strftime(format_).astype("str")
        texts = texts.str.replace(f"{_BARE}0?", "", regex=True)
        texts = texts.str.replace(f"{_MONTH}(\\d\\d)", lambda found: self.months[int(found[1]) - 1], regex=True)
        texts = texts.str.replace(f"{_WEEKDAY}(\\d)", lambda found: self.days[int(found[1]) - 1], regex=True)
        texts = texts.str.replace(
            f"(\\d+){_NTH}", lambda found: found[1] + _ENDINGS.get(int(found[1]), "th"), regex=True
        )
        texts = texts.str.replace(rf"(\d\d){_COLON}", r":\1", regex=True)
        texts = texts.str.replace(f"{_HALF}(AM|PM)", lambda found: self.halves[found[1] == "PM"], regex=True)
        if _FRACTION in format_:
            micro = values.astype("datetime64[us]").astype("int64") % 1_000_000
            digits = micro.astype(str).str.zfill(6).str[: self.fraction]
            texts = pd.Series([a.replace(_FRACTION, b) for a, b in zip(texts, digits, strict=True)], index=values.index)
        return pd.Series(texts, values.index, dtype="str")


def in_english(texts: pd.Series, names: tuple[str, ...], english: tuple[str, ...]) -> pd.Series:
    """Texts with English names of months or weekdays for those of another language.

    >>> in_english(pd.Series(["do 3 jan"]), ("ma", "di", "wo", "do", "vr", "za", "zo"), WEEKDAYS).tolist()
    ['Thu 3 jan']
    """
    known = dict(zip((name.lower() for name in names), english, strict=True))
    shapes = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    changed: pd.Series = texts.str.replace(
        rf"(?<![^\W\d_])(?:{shapes})(?![^\W\d_])",
        lambda found: known[found[0].lower()],
        regex=True,
        flags=re.IGNORECASE,
    )
    return changed


def _quarters(texts: pd.Series, format_: str) -> pd.Series:
    """The first days of quarters such as ``2024Q1``."""
    shape = re.escape(format_).replace("%Y", r"(?P<year>\d{4})").replace("%q", "(?P<quarter>[1-4])")
    parts = texts.str.extract(f"^{shape}$").astype("float64")
    first = parts["year"] * 100 + parts["quarter"] * 3 - 2
    there = first.notna()
    moments = pd.Series(pd.NaT, texts.index, dtype="datetime64[us]")
    moments[there] = pd.to_datetime(first[there].astype("int64").astype(str), format="%Y%m").astype("datetime64[us]")
    return moments


def _own_numbers(moments: pd.Series, code: str) -> pd.Series:
    """The quarters of moments, ``%q``, or the years after theirs, with two digits, ``%n``, or four, ``%N``."""
    numbers = moments.dt.quarter if code == "%q" else moments.dt.year + 1
    texts: pd.Series = numbers.astype(str).str[-2 if code == "%n" else -4 :]
    return texts


def _without_next_year(texts: pd.Series, format_: str, code: str) -> tuple[str, pd.Series]:
    """Format and texts such as ``2023/24`` without the second year; missing where it is not the one after the first.

    >>> _without_next_year(pd.Series(["FY2023/24", "FY2023/25"]), "FY%Y/%n", "%n")[1].tolist()
    ['FY2023/', nan]
    """
    before, after = format_.split(code)
    sides = (re.sub("%[Yy]", r"\\d+", re.escape(side)) for side in (before, after))
    parts = texts.str.extract("^(" + f"){r'([0-9]{2})' if code == '%n' else r'([0-9]{4})'}(".join(sides) + ")$")
    first, second = parts[0].str.extract("([0-9]+)", expand=False).astype("float64"), parts[1].astype("float64")
    is_next = (first + 1) % (100 if code == "%n" else 10_000) == second
    return before + after, (parts[0] + parts[2]).where(is_next)


def _with_zone_names(texts: pd.Series, format_: str, zone: str) -> pd.Series:
    """Moments in UTC of texts that name a zone's time, such as ``CET`` or ``CEST``; missing where it is another's."""
    shape = re.escape(format_)
    for code in set(re.findall("%[A-Za-z]", format_)) - {"%Z"}:
        shape = shape.replace(code, ".+?")
    names = texts.str.extract(f"^{shape.replace('%Z', '([A-Z]{2,5})')}$", expand=False)
    bare = pd.Series([_without(text, name) for text, name in zip(texts, names, strict=True)], texts.index, dtype="str")
    local = pd.to_datetime(bare, format=format_.replace("%Z", _NAME), errors="coerce")
    year = pd.Timestamp("2021-01-15", tz=zone), pd.Timestamp("2021-07-15", tz=zone)
    summer = max(year, key=lambda moment: moment.utcoffset() or pd.Timedelta(0))
    is_summer = (names == summer.tzname()).to_numpy(dtype=bool)
    there = local.dt.tz_localize(zone, ambiguous=is_summer, nonexistent="NaT")
    named = there.where(there.dt.strftime("%Z") == names)
    return named.dt.tz_convert("UTC").dt.tz_localize(None).astype("datetime64[us]")


_NAME = "ZONE"


def _without(text: object, name: object) -> str:
    return _NAME.join(str(text).rsplit(str(name), 1)) if isinstance(name, str) else ""


def _in_century(moments: pd.Series, first_year: int) -> pd.Series:
    """Moments moved by centuries into the hundred years from ``first_year`` on."""
    years = moments.dt.year
    moved = moments.copy()
    for shift in (-100, 100):
        there = (first_year + (years - first_year) % 100 - years) == shift
        if there.any():
            moved[there] = [moment.replace(year=moment.year + shift) if _has_day(moment, shift) else pd.NaT
                            for moment in moments[there]]  # fmt: skip
    return moved


def _has_day(moment: pd.Timestamp, shift: int) -> bool:
    year = moment.year + shift
    return (moment.month, moment.day) != (2, 29) or (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))


def _plain_halves(texts: pd.Series, halves: tuple[str, ...]) -> pd.Series:
    """Texts with AM and PM for the halves of a day."""
    for written, plain in zip(halves, ("AM", "PM"), strict=False):
        texts = texts.str.replace(written, plain, regex=False)
    return texts


@dataclass(frozen=True)
class ClockText:
    """Times of day, as seconds since midnight.

    >>> ClockText("%H:%M:%S").parse(pd.Series(["23:10:59"])).tolist()
    [83459.0]
    """

    name: ClassVar[str] = "time"
    format: str
    fraction: int = 0
    padded: bool = True
    halves: tuple[str, ...] = ()
    """As of `DateText`."""

    @property
    def kind(self) -> Literal["integer", "number"]:
        """Whole seconds where no fraction is written."""
        return "number" if "%f" in self.format else "integer"

    @property
    def words(self) -> str:
        """The format."""
        return self.format

    def parse(self, texts: pd.Series) -> pd.Series:
        """Seconds since midnight."""
        times = pd.to_datetime(
            "2000-01-01 " + _plain_halves(texts, self.halves), format=f"%Y-%m-%d {self.format}", errors="coerce"
        )
        seconds: pd.Series = (times - pd.Timestamp("2000-01-01")).dt.total_seconds()
        return seconds

    def write(self, values: pd.Series) -> pd.Series:
        """Each time of day; beyond midnight the clock begins anew."""
        unit = 60.0 if "%S" not in self.format else 10.0**-self.fraction
        dust = 1e-3 if self.fraction else 1e-9  # of the division; a day has 8.64e10 microseconds
        seconds = np.floor(values.astype("float64") / unit + dust) * unit % DAY_SECONDS
        moments = pd.Series(pd.to_timedelta(seconds.round(6), unit="s") + pd.Timestamp("2000-01-01"), values.index)
        return DateText(self.format, fraction=self.fraction, padded=self.padded, halves=self.halves).write(moments)


_FORMATS: Mapping[str, type[Any]] = {
    each.name: each for each in (NumberText, DateText, ClockText, DurationText, JsonText)
}


def format_as_json(value_format: ValueFormat) -> dict[str, Any]:
    """A format as a JSON object; :func:`format_from_json` reads it back."""
    fields = asdict(value_format)  # type: ignore[call-overload]
    return {"is": value_format.name, **{name: value for name, value in fields.items() if value or name not in _LATER}}


def format_from_json(recorded: Mapping[str, Any]) -> ValueFormat:
    """A format out of JSON.

    >>> format_from_json(format_as_json(ClockText("%H:%M"))) == ClockText("%H:%M")
    True
    """
    facts: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in recorded.items()
    }
    made: ValueFormat = _FORMATS[str(facts.pop("is"))](**facts)
    return made


def over_distinct(values: pd.Series, change: Callable[[pd.Series], pd.Series]) -> pd.Series:
    """What ``change`` makes of a column, computed once for each distinct value; missing values stay missing."""
    codes, levels = pd.factorize(values)
    changed = change(pd.Series(levels)).reset_index(drop=True)
    places = np.where(codes < 0, len(changed), codes)
    spread: pd.Series = changed.reindex(places).set_axis(values.index)
    spread.name = values.name
    return spread
