"""In which form dates and moments are written."""

from __future__ import annotations

import functools
import itertools
import re
import zoneinfo
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from synth_mlflow.data.month_names import month_names
from synth_mlflow.data.value_formats import DateText

_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d %b %Y", "%d %B %Y", "%d. %B %Y", "%d-%b-%Y", "%d-%b-%y",
    "%d%b%Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%a, %d %b %Y", "%A, %B %d, %Y", "%Y-%m", "%b %Y", "%B %Y",
    "%b-%y", "%b-%Y", "%m/%Y", "%Y/%m", "%d. %b %Y", "%d.%b.%Y", "%d de %b de %Y", "%d de %b %Y", "%d/%b/%Y",
    "%Y %b %d",
    "%Y年%m月%d日", "%Y년 %m월 %d일", "%Y년%m월%d일", "%b de %Y",
)  # fmt: skip
_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
_ZONES = ("", "Z", "%z", "%:z", " %z", " %:z", " UTC", " GMT")
_CODES = {
    "%Y": r"\d{4}", "%m": r"\d{1,2}", "%d": r"\d{1,2}", "%y": r"\d{2}", "%b": r"[A-Za-z]{3}", "%B": r"[A-Za-z]{3,9}",
    "%a": r"[A-Za-z]{3}", "%A": r"[A-Za-z]{6,9}", "%H": r"\d{1,2}", "%M": r"\d{2}", "%S": r"\d{2}", "%f": r"\d{1,9}",
    "%I": r"\d{1,2}", "%p": r"[AaPp][Mm]", "%z": r"[+-]\d{4}", "%:z": r"[+-]\d{2}:\d{2}",
}  # fmt: skip
_COMMON_ZONES = (
    "Europe/London", "Europe/Berlin", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Sao_Paulo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip


def date_formats(sample: pd.Series) -> list[DateText]:
    """The formats that read every text of a sample, each with the padding, the fraction and the zone of the texts.

    Two where day and month could be either; none where these are no dates.
    """
    months, ordinal = month_names(sample), bool(sample.str.contains(r"\d(?:st|nd|rd|th)\b", regex=True).all())
    plain = sample.str.replace(r"(?<=\d)(?:st|nd|rd|th)\b", "", regex=True) if ordinal else sample
    if ordinal and not months:
        months = month_names(plain)
    if months:
        plain = DateText("", months=months).in_english(plain)
    first = str(plain.iloc[0])
    fits = [each for each in _candidates() if _pattern(each).fullmatch(first)]
    fits = [each for each in fits if plain.str.fullmatch(_pattern(each).pattern).all()]
    words = DateText("", months=months, ordinal=ordinal)
    found = [made for made in (_fitted(each, sample, words=words) for each in fits) if made is not None]
    faithful = [each for each in found if (each.write(each.parse(sample)) == sample).mean() > 0.5]
    return _without_twins(faithful or found)


def nearly_formats(sample: pd.Series, share: float) -> list[DateText]:
    """Formats that read at least this share of a sample, but not all of it."""
    shapes = sample.str.replace(r"\d", "9", regex=True)
    usual = sample[shapes == shapes.mode().iloc[0]].head(20)
    fits = [each for each in _candidates() if usual.str.fullmatch(_pattern(each).pattern).mean() >= share]
    found = [DateText(each) for each in fits]
    return [each for each in found if share <= each.parse(sample).notna().mean() < 1]


def date_text(format_: str, sample: pd.Series) -> DateText | None:
    """A format that somebody named, with the padding, fraction and zone of a sample; None if it does not read them."""
    words, _, zone = format_.partition(" zone ")
    return _fitted(words, sample, zone, words=DateText("", months=month_names(sample)))


@functools.cache
def _candidates() -> tuple[str, ...]:
    moments = [f"{day}{gap}{time}" for day, gap, time in itertools.product(_DATES, (" ", "T", ", "), _TIMES)]
    moments += [f"%d/%b/%Y:{time}" for time in _TIMES]
    return (*_DATES, *(f"{moment}{zone}" for moment in moments for zone in _ZONES))


@functools.cache
def _pattern(format_: str) -> re.Pattern[str]:
    parts = re.split(r"(%:?[A-Za-z])", format_)
    return re.compile("".join(_CODES[part] if part in _CODES else re.escape(part) for part in parts))


def _fitted(format_: str, sample: pd.Series, zone: str = "", *, words: DateText) -> DateText | None:
    """The format with what the texts show; ``words`` says in which language and with which endings they are."""
    digits = 0
    if "%f" in format_:
        digits = int(min(sample.str.extract(r"\.(\d+)", expand=False).str.len().max(), 6))
    found = replace(words, format=format_, fraction=digits, zone=zone)
    values = found.parse(sample)
    if values.isna().any():
        return None
    if "%z" in format_ or "%:z" in format_:
        zone = zone or _zone(sample, values)
        if not zone:
            return replace(found, zone="UTC")
        found = replace(found, zone=zone)
    bare = replace(found, padded=False)
    return bare if (bare.write(values) == sample).sum() > (found.write(values) == sample).sum() else found


def _zone(sample: pd.Series, values: pd.Series) -> str:
    """The zone whose clocks have the offsets of the texts; empty if there is none."""
    offsets = sample.str.extract(r"([+-]\d{2}:?\d{2})$", expand=False).str.replace(":", "")
    if offsets.nunique() == 1:
        only = str(offsets.iloc[0])
        return "UTC" if only == "+0000" else f"{only[:3]}:{only[3:]}"
    return next((zone for zone in _zones() if _says(zone, values, offsets)), "")


def _says(zone: str, values: pd.Series, offsets: pd.Series) -> bool:
    return bool((values.dt.tz_localize("UTC").dt.tz_convert(zone).dt.strftime("%z") == offsets).all())


def _zones() -> Iterator[str]:
    yield from _COMMON_ZONES
    yield from sorted(zoneinfo.available_timezones() - set(_COMMON_ZONES))


def _without_twins(formats: Sequence[DateText]) -> list[DateText]:
    """One of each meaning: long and short names of months, one-letter differences of codes that read the same."""
    kept: dict[str, DateText] = {}
    for each in formats:
        kept.setdefault(each.format.replace("%B", "%b").replace("%A", "%a"), each)
    return list(kept.values())
