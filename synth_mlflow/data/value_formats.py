"""Texts that are values: how money, percent, dates, times and durations are read, and written back in their own form.

A format turns the distinct texts of a column into values and back. Money and numbers become numbers; times of day and
durations become seconds; dates become datetimes in UTC. What a format cannot read becomes a missing value, and what it
writes it can read again. This file and ``duration_format`` are copied into the saved model's code folder as well, so
they import nothing else of the package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import pandas as pd

from .duration_format import DAY_SECONDS, DurationText

_FRACTION, _COLON, _BARE, _MONTH, _NTH = "\1", "\2", "\3", "\4", "\5"  # for what strftime does not write itself
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}
_LATER = frozenset({"months", "ordinal", "units", "singular", "gap", "between", "zeros"})  # formats before had none


class ValueFormat(Protocol):
    """One way in which values are written as texts."""

    name: ClassVar[str]

    @property
    def kind(self) -> Literal["integer", "number", "datetime"]:
        """Of the values."""
        ...

    @property
    def words(self) -> str:
        """The format as a person reads it in a table."""
        ...

    def parse(self, texts: pd.Series) -> pd.Series:
        """The values of texts, float64 or datetime64[us] of the same index; missing where a text is none."""
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
    negative: Literal["-", "inner", "brackets"] = "-"
    """Where the sign stands: before the currency, behind it, or as brackets around all."""

    @property
    def kind(self) -> Literal["integer", "number"]:
        """Whole numbers where no decimals are written."""
        return "integer" if self.decimals == 0 else "number"

    @property
    def words(self) -> str:
        """Such as ``like $1,234.56``."""
        example = (
            1234.0 if self.decimals == 0 else 1234.56 if self.decimals is None else round(1234.5678, self.decimals)
        )
        return f"like {self._one(example)}"

    def parse(self, texts: pd.Series) -> pd.Series:
        """The numbers that texts of exactly this form say."""
        found = texts.str.strip()
        fits = found.str.fullmatch(self._pattern())
        minus = found.str.contains(r"[-−(]", regex=True)
        for literal in (self.prefix, self.suffix):
            found = found.str.replace(literal, "", regex=False) if literal else found
        found = found.str.replace(r"[-−+()\s]", "", regex=True)
        if self.thousands.strip():
            found = found.str.replace(self.thousands, "", regex=False)
        numbers = pd.to_numeric(found.str.replace(self.decimal, ".", regex=False), errors="coerce").astype("float64")
        sign = pd.Series(np.where(minus, -1.0, 1.0), texts.index)
        signed: pd.Series = numbers.where(fits, np.nan).mul(sign).add(0.0)
        return signed

    def write(self, values: pd.Series) -> pd.Series:
        """Each number in this form."""
        return pd.Series([self._one(float(value)) for value in values], index=values.index, dtype="str")

    def _pattern(self) -> str:
        digits = r"\d+"
        if self.thousands:
            mark = r"[\s  ]" if not self.thousands.strip() else re.escape(self.thousands)
            digits = rf"(?:\d{{1,3}}(?:{mark}\d{{3}})+|\d+)"
        fraction = "" if self.decimals == 0 else rf"(?:{re.escape(self.decimal)}\d+)?"
        body = rf"{digits}{fraction}"
        head, tail = re.escape(self.prefix), re.escape(self.suffix)
        signed = rf"[-+−]?{head}[-+−]?{body}{tail}"
        return rf"{signed}|\({head}{body}{tail}\)" if self.negative == "brackets" else signed

    def _one(self, value: float) -> str:
        size = abs(value)
        if self.decimals is None:
            text = np.format_float_positional(size, trim="-")
            whole, _, rest = text.partition(".")
            text = f"{int(whole):,}" + (f".{rest}" if rest else "")
        else:
            text = f"{size:,.{self.decimals}f}"
        text = text.replace(",", "\0").replace(".", self.decimal).replace("\0", self.thousands)
        if value >= 0 or not re.search(r"[1-9]", text):
            return f"{self.prefix}{text}{self.suffix}"
        if self.negative == "brackets":
            return f"({self.prefix}{text}{self.suffix})"
        return (
            f"{self.prefix}-{text}{self.suffix}" if self.negative == "inner" else f"-{self.prefix}{text}{self.suffix}"
        )


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

    @property
    def kind(self) -> Literal["datetime"]:
        """Always datetime."""
        return "datetime"

    @property
    def words(self) -> str:
        """The format, with its zone."""
        language = f" ({self.months[0]} to {self.months[-1]})" if self.months else ""
        return f"{self.format} {self.zone}".strip() + language

    def parse(self, texts: pd.Series) -> pd.Series:
        """The moments in UTC."""
        format_ = self.format.replace("%:z", "%z")
        if self.ordinal:
            texts = texts.str.replace(r"(?<=\d)(?:st|nd|rd|th)\b", "", regex=True)
        if self.months:
            format_, texts = format_.replace("%B", "%b"), self.in_english(texts)
        found = pd.to_datetime(texts, format=format_, errors="coerce", utc=True)
        return found.dt.tz_localize(None).astype("datetime64[us]")

    def in_english(self, texts: pd.Series) -> pd.Series:
        """The texts with English names of months."""
        english = dict(zip((name.lower() for name in self.months), MONTHS, strict=True))
        names = "|".join(re.escape(name) for name in sorted(self.months, key=len, reverse=True))
        changed: pd.Series = texts.str.replace(
            rf"(?<![^\W\d_])(?:{names})(?![^\W\d_])",
            lambda found: english[found[0].lower()],
            regex=True,
            flags=re.IGNORECASE,
        )
        return changed

    def write(self, values: pd.Series) -> pd.Series:
        """Each moment in this form."""
        local = values.dt.tz_localize("UTC").dt.tz_convert(self.zone) if self.zone else values
        format_ = self.format.replace("%f", _FRACTION).replace("%:z", f"%z{_COLON}")
        if not self.padded:
            format_ = re.sub(r"%[dmHI]", lambda code: _BARE + code.group(), format_)
        if self.ordinal:
            format_ = format_.replace("%d", f"%d{_NTH}")
        if self.months:
            format_ = re.sub("%[bB]", f"{_MONTH}%m", format_)
        texts = local.dt.strftime(format_).astype("str")
        texts = texts.str.replace(f"{_BARE}0?", "", regex=True)
        texts = texts.str.replace(f"{_MONTH}(\\d\\d)", lambda found: self.months[int(found[1]) - 1], regex=True)
        texts = texts.str.replace(
            f"(\\d+){_NTH}", lambda found: found[1] + _ENDINGS.get(int(found[1]), "th"), regex=True
        )
        texts = texts.str.replace(rf"(\d\d){_COLON}", r":\1", regex=True)
        if _FRACTION in format_:
            micro = values.astype("datetime64[us]").astype("int64") % 1_000_000
            digits = micro.astype(str).str.zfill(6).str[: self.fraction]
            texts = pd.Series([a.replace(_FRACTION, b) for a, b in zip(texts, digits, strict=True)], index=values.index)
        return pd.Series(texts, values.index, dtype="str")


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
        found = pd.to_datetime("2000-01-01 " + texts, format=f"%Y-%m-%d {self.format}", errors="coerce")
        seconds: pd.Series = (found - pd.Timestamp("2000-01-01")).dt.total_seconds()
        return seconds

    def write(self, values: pd.Series) -> pd.Series:
        """Each time of day; beyond midnight the clock begins anew."""
        unit = 60.0 if "%S" not in self.format else 10.0**-self.fraction
        seconds = np.floor(values.astype("float64") / unit + 1e-9) * unit % DAY_SECONDS
        moments = pd.Series(pd.to_timedelta(seconds.round(6), unit="s") + pd.Timestamp("2000-01-01"), values.index)
        return DateText(self.format, fraction=self.fraction, padded=self.padded).write(moments)


_FORMATS: Mapping[str, type[Any]] = {each.name: each for each in (NumberText, DateText, ClockText, DurationText)}


def format_as_json(found: ValueFormat) -> dict[str, Any]:
    """A format as a JSON object; :func:`format_from_json` reads it back."""
    told = asdict(found)  # type: ignore[call-overload]
    return {"is": found.name, **{name: value for name, value in told.items() if value or name not in _LATER}}


def format_from_json(told: Mapping[str, Any]) -> ValueFormat:
    """A format out of JSON.

    >>> format_from_json(format_as_json(ClockText("%H:%M"))) == ClockText("%H:%M")
    True
    """
    facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
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
