"""Ask about texts that are measures, but of no form that is read: nothing of them would be learned as a number.

Names are texts with digits too. A text is a measure only if all that stands around its numbers is a unit, a scale or
a mark that no name has, as in ``48°51'24"N``, ``$1.2M`` beside ``$340K``, and ``5'11"``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from synth_mlflow.data.schema import UNIQUE_SHARE
from synth_mlflow.data.text_inference import FEW_VALUES, MANY_VALUES, SAMPLE, Levels, Question
from synth_mlflow.data.value_formats import DateText, ValueFormat
from synth_mlflow.data.value_inference import CURRENCY, TIME_UNITS, UNITS

SPREAD = 2  # digits between the shorter and the longer of whole numbers; of random ones hardly one
MANY_FORMS = 10
"""More forms than this, but for their numbers, are texts of many kinds."""
SCALES = (
    "[kKMmBbTLG]|[Cc]r|[Cc]rores?|[Ll]acs?|[Ll]akhs?|[mb]n|[MB]n|[mM]io|Mrd|Tsd|[Dd]ozen|"
    "(?:[Hh]undred|[Tt]housand|[Mm]illion|[BbTt]rillion|[Bb]illion)s?"
)
WORDS = (
    "ft|feet|foot|inch|inches|yds?|miles?|ounces?|pounds?|stone|st|months?|mos?|years?|yrs?|est|approx|ca|c|circa|"
    "about|over|under|above|below|min|max|up to|at least|at most|more than|less than|or more|or less|and|to|x|by"
)
_NUMBER = r"\d+(?:[.,]\d+)*"
_SIGNS = re.compile(rf"[°′″~≈<>≤≥±%‰]|(?:{CURRENCY})|(?<=\d)['\"]")
"""What stands beside numbers in measures, and hardly in names."""
_FOOTNOTE = re.compile(r"(?<=\d)\s?(?:[*†‡^+?!]{1,3}|[\[(]\d{1,2}[\])]|\(?(?:est|e|p|r)\.?\))$")
_VOCABULARY = re.compile(
    rf"(?:{_NUMBER}|(?<![^\W\d_])(?:{UNITS}|{TIME_UNITS}|{SCALES}|{WORDS})\.?(?![^\W\d_])|(?:{CURRENCY})"
    rf"|(?<=[°'\"′″\d\s])[NSEWO](?![^\W\d_])|[°′″~≈<>≤≥±%‰'\"=+\-−–/,;()\[\]×*†‡^?!\s])+"
)
_CODE = re.compile(r"(?<![^\W\d_])[^\W\d_]\d|^0\d+(?!\d|\s?°)")
"""A letter right before a digit, as in ``A4``, and zeros in front: so codes are written."""
_BOX = rf"{_NUMBER}(?:\s?[x×*]\s?{_NUMBER}){{2}}"
_DAYS_BEHIND = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?(?:\s?[AaPp]\.?[Mm]\.?)?"
_HALVES = r"(?:19|20)\d\d[-/ ]?[HhSs][12]|[HhSs][12][-/ ]?(?:(?:19|20)\d\d|\d\d)"
_RANGE = rf"({_NUMBER})\s?(?:[-–]|to|bis|…|\.\.\.?)\s?({_NUMBER})"
CALENDARS = {"Thai": (2400, 2700, 543), "Islamic": (1300, 1500, -579)}
"""First and last years of the calendar that are likely in data, and how far it is ahead of ours, about."""


def unread_measure(levels: Levels) -> Question | None:
    """A question where texts are measures of no form that is read; None for names, categories and prose."""
    has_digit = levels.texts.str.contains(r"\d", regex=True).to_numpy(dtype=bool)
    values = levels.where(has_digit)
    n_words = len(levels.texts) - len(values.texts)
    if len(values.texts) <= MANY_VALUES or n_words > FEW_VALUES or 2 * values.n_cells < levels.n_cells:
        return None
    first = _first(values)
    looks = (_days_behind, _halves, _huge, _ranges, _boxes, _marked, _measures)
    likely = [look for look in looks if look(first) is not None]
    return next((question for look in likely if (question := look(values)) is not None), None)


def _first(levels: Levels) -> Levels:
    """Some plain numbers and some other texts: no look at all texts is needed where these are no measures."""
    is_plain = levels.texts.str.fullmatch(rf"[-+]?{_NUMBER}").to_numpy(dtype=bool)
    is_early = np.where(is_plain, np.cumsum(is_plain), np.cumsum(~is_plain)) <= SAMPLE // 2
    return levels.where(is_early)


def of_another_calendar(levels: Levels, format_: ValueFormat | None, values: pd.Series) -> Question | None:
    """A question where all dates lie in the years that another calendar counts today."""
    present = values.dropna()
    written = format_.format if isinstance(format_, DateText) else "%Y-%m-%d"
    if len(present) <= FEW_VALUES or "%Y" not in written:
        return None
    first, last = int(present.dt.year.min()), int(present.dt.year.max())
    for name, (low, high, ahead) in CALENDARS.items():
        if low <= first and last <= high:
            text = f"the years {first} to {last}, as in {levels.texts.iloc[0]!r}, may be of the {name} calendar, where "
            text += f"{last} is {'about ' if ahead < 0 else ''}{last - ahead}; then write ours in the file"
            return Question(levels.name, text, (f'format: "{written}"', "role: ignored"))
    return None


def _question(levels: Levels, what: str, then: str) -> Question:
    shown = ", ".join(map(repr, _different(levels.texts)))
    text = f"{levels.n_cells:,} cells of {what}, such as {shown}; {then}, or keep them as texts"
    role = "identifier" if len(levels.texts) > UNIQUE_SHARE * levels.n_cells else "category"
    return Question(levels.name, text, (f"role: {role}", "role: ignored"))


def _different(texts: pd.Series) -> Iterator[str]:
    """Up to three texts of different forms, the usual form first."""
    forms = texts.str.replace(_NUMBER, "9", regex=True)
    for form in forms.value_counts().index[:3]:
        yield str(texts[forms == form].iloc[0])


def _days_behind(levels: Levels) -> Question | None:
    """Of times of day, some with a number of days behind them, as ``08:15+1``."""
    behind = levels.texts.str.extract(rf"^{_DAYS_BEHIND}(\s?\(?[+-]\s?\d\s?(?:d|days?)?\)?)?$", expand=False)
    is_time = levels.texts.str.fullmatch(rf"{_DAYS_BEHIND}(?:\s?\(?[+-]\s?\d\s?(?:d|days?)?\)?)?")
    if not is_time.all() or behind.isna().all():
        return None
    return _question(levels, "times of day, some with days behind them", "write moments, or the days as a column")


def _halves(levels: Levels) -> Question | None:
    if not levels.texts.str.fullmatch(_HALVES).all():
        return None
    return _question(levels, "halves of years", "write the first day of each in the file")


def _huge(levels: Levels) -> Question | None:
    """Of whole numbers beyond 64 bits that are no names: of many lengths, or round."""
    texts = levels.texts.str.strip()
    if not texts.str.fullmatch(r"[+-]?\d+").all() or texts.str.match(r"[+-]?0\d").any():
        return None
    lengths = texts.str.lstrip("+-").str.len()
    if lengths.max() < len(str(2**63)):
        return None
    is_spread = lengths.quantile(0.9) - lengths.quantile(0.1) >= SPREAD
    if not is_spread and 2 * texts.str.endswith("000").sum() < len(texts):
        return None
    return _question(levels, "whole numbers beyond 64 bits", "divide them by a power of ten in the file")


def _ranges(levels: Levels) -> Question | None:
    """Of ranges that overlap, ``95-100`` beside ``98-120``; those that do not are bands."""
    if not levels.texts.str.fullmatch(_RANGE).all():
        return None
    ends = levels.texts.str.extract(f"^{_RANGE}$").replace(",", "", regex=True).astype("float64")
    lengths = levels.texts.str.extract(f"^{_RANGE}$").apply(lambda side: side.str.len())
    if ends.isna().any(axis=None) or (ends[0] > ends[1]).any() or (ends[0] == ends[1]).all():
        return None
    is_said = (lengths[0] == lengths[1]) | levels.texts.str.contains(r"\d\.\d")
    low, high = (ends[side].to_numpy() for side in (0, 1))
    by_start = np.lexsort((high, low))
    overlap = low[by_start][1:] < np.maximum.accumulate(high[by_start])[:-1]
    if is_said.sum() <= MANY_VALUES or not overlap.mean() > 0.5:
        return None
    return _question(levels, "ranges of numbers", "give both ends a column of their own")


def _boxes(levels: Levels) -> Question | None:
    """Of three numbers that are multiplied, ``47x51x75``."""
    if not levels.texts.str.fullmatch(_BOX).all() or levels.texts.str.contains(r"(?<![\d.])0\d").any():
        return None
    return _question(levels, "three numbers", "give each a column of its own")


def _marked(levels: Levels) -> Question | None:
    """Of numbers, some with a mark or a footnote, as ``5.12*``, ``473[5]`` and ``<5``."""
    bare = levels.texts.str.replace(_FOOTNOTE, "", regex=True)
    bare = bare.str.replace(r"^(?:[~≈<>≤≥]=?|ca?\.)\s?(?=\d)", "", regex=True)
    is_marked = bare != levels.texts
    is_number = bare.str.fullmatch(rf"[-+−]?{_NUMBER}").all() and not bare.str.match(r"[-+−]?0\d").any()
    if not is_number or is_marked.sum() < 2:
        return None
    return _question(levels, "numbers, some with a mark", "write the marks into a column of their own")


def _measures(levels: Levels) -> Question | None:
    """Of numbers with units, scales and marks of measures."""
    if not _are_measures(levels.texts):
        return None
    then = "write one number and one unit a column in the file"
    return _question(levels, "measures of a form that is not read", then)


def _are_measures(texts: pd.Series) -> bool:
    if not texts.str.fullmatch(_VOCABULARY.pattern).all() or texts.str.contains(_CODE.pattern).any():
        return False
    if texts.str.replace(_NUMBER, "9", regex=True).nunique() > MANY_FORMS:
        return False
    has_unit = texts.map(lambda text: bool(_SIGNS.search(text) or _UNIT_BEHIND.search(text)))
    return 2 * int(has_unit.sum()) >= len(texts)


_UNIT_BEHIND = re.compile(rf"(?:\d[.,]\d+|\d\s)\s?(?:{UNITS}|{TIME_UNITS}|{SCALES}|{WORDS})\.?(?![^\W\d_])|\d[kKM]$")
