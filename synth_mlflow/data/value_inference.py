"""Tell numbers and dates in the texts of a column.

Names of months in dates of any language, as the texts of a column write them.

In which form numbers are written: currency, unit, percent, thousands, decimal comma.

In which form dates and moments are written.
"""

from __future__ import annotations

import functools
import itertools
import re
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd

from synth_mlflow.data.value_formats import BLANKS, MONTHS, UNIT_SECONDS, WEEKDAYS, DateText, NumberText, in_english

LOCALES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "is", "pl", "cs", "sk", "sl", "hr", "hu", "ro",
    "et", "lv", "lt", "ca", "el", "tr", "ru", "uk", "bg", "sr", "id", "ms", "vi", "he", "ar", "hi", "th",
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]{3,}\.?")
_WEEKDAY_WORD = re.compile(r"[^\W\d_]+\.?")
_NO_MONTHS = frozenset({"utc", "gmt"})
_STANDARD = frozenset({*MONTHS, "January", "February", "March", "April", "June", "July", "August", "September",
                       "October", "November", "December"})  # fmt: skip
_STANDARD_DAYS = frozenset({*WEEKDAYS, "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"})


def month_names(sample: pd.Series) -> tuple[str, ...]:
    """The twelve names of months as texts write them; empty where each text has none or a usual English one.

    Names that do not occur are written like those that do. Two languages that fit but disagree give none.

    Examples
    --------
    >>> month_names(pd.Series(["3. März 2024", "1. Mai 2024", "24. Okt. 2023"]))[9:]
    ('Okt.', 'Nov.', 'Dez.')
    >>> month_names(pd.Series(["03 Mar 2024"]))
    ()
    """
    words_by_text = [[word for word in _WORD.findall(text) if word.lower() not in _NO_MONTHS] for text in sample]
    if any(len(words) != 1 for words in words_by_text):
        return ()
    counts = Counter(words[0] for words in words_by_text)
    return () if set(counts) <= _STANDARD else _names_like(counts, "months")


def weekday_names(sample: pd.Series) -> tuple[str, ...]:
    """The seven names of weekdays as texts write them, Monday first; empty where they have none or usual English ones.

    Examples
    --------
    >>> weekday_names(pd.Series(["do 3 jan 2019", "vr 4 jan 2019", "wo 2 jan 2019", "za 5 jan 2019"]))[:3]
    ('ma', 'di', 'wo')
    """
    words_by_text = [_WEEKDAY_WORD.findall(text) for text in sample]
    if not words_by_text or any(not 0 < len(words) < 6 for words in words_by_text):
        return ()
    for at in (0, -1):  # before the date, or behind it
        counts = Counter(words[at] for words in words_by_text)
        is_other = 1 < len(counts) <= 2 * len(WEEKDAYS) and not set(counts) <= _STANDARD_DAYS
        if is_other and (made := _names_like(counts, "days")):
            return made
    return ()


def _names_like(counts: Counter[str], what: str) -> tuple[str, ...]:
    """The names of months or weekdays of the first language that has all words, written as they are."""
    for locale in LOCALES:
        names, wide = _names(locale, what)
        places = {word: _place(word, names, whole=what == "days") for word in counts}
        if all(places.values()):
            return _written(counts, places, wide, names)
    return ()


def _place(word: str, names: Mapping[str, int], *, whole: bool) -> int:
    """The number of a month or weekday, 0 for no name of one; beginnings count if one has them, unless ``whole``."""
    bare = word.lower().rstrip(".")
    if bare in names or whole:
        return names.get(bare, 0)
    begun = {place for name, place in names.items() if name.startswith(bare)}
    return begun.pop() if len(begun) == 1 else 0


@functools.cache
def _names(locale: str, what: str) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Every name to its month, or to its weekday from 1 for Monday, and the long ones."""
    from babel.dates import get_day_names, get_month_names

    read, first, last = (get_month_names, 1, 12) if what == "months" else (get_day_names, 0, 6)
    names: dict[str, int] = {}
    for width in ("wide", "abbreviated") if what == "months" else ("wide", "abbreviated", "short"):
        for context in ("format", "stand-alone"):
            for place, name in read(width, context, locale).items():
                names.setdefault(name.lower().rstrip("."), place - first + 1)
    wide = read("wide", "format", locale)
    return names, tuple(wide[place] for place in range(first, last + 1))


def _written(
    counts: Counter[str], places: Mapping[str, int], wide: tuple[str, ...], names: Mapping[str, int]
) -> tuple[str, ...]:
    known: dict[int, str] = {}
    for word, _ in counts.most_common():
        known.setdefault(places[word], word)
    first = next(iter(known.values()))
    case: Callable[[str], str] = str.upper if first.isupper() else str.lower if first.islower() else str.capitalize
    is_short = any(len(word.rstrip(".")) < len(wide[place - 1]) for place, word in known.items())
    every = range(1, len(wide) + 1)
    length = min(len(word.rstrip(".")) for word in known.values())
    short = {
        place: min((name for name, at in names.items() if at == place), key=lambda name: abs(len(name) - length))
        for place in every
    }
    dot = "." if is_short and any(word.endswith(".") for word in known.values()) else ""
    others = (
        f"{case(short[place])}{dot if len(short[place]) < len(wide[place - 1]) else ''}"
        if is_short
        else case(wide[place - 1])
        for place in every
    )
    return tuple(known.get(place, other) for place, other in enumerate(others, start=1))


CURRENCY = (
    r"[$¢£¤¥฿៛\u20a0-\u20cf]|[A-Z]{1,3}[$£]|"
    r"(?:Rs\.?|Rp\.?|RM|Kč|zł|kr\.?|Ft|lei|K[Ss]h\.?|TSh|USh|Tk\.?|Bs\.?|Gs\.?|S/\.?|B/\.?|руб\.?|р\.|лв\.?|грн\.?|元|円|원)"
)
_CODE = r"[A-Z]{3}"  # of ISO 4217
_WORD_BEFORE = r"[^\W\d_]{1,4}\.?"  # of a currency that is not listed
UNITS = (
    "%|‰|°C|°F|°|kg|g|mg|t|lbs?|oz|km|m|cm|mm|mi|ft|in|km/h|mph|kW|kWh|MW|W|V|A|Hz|MHz|GHz|kB|KB|MB|GB|TB|ms|s|sec|"
    "k|K|M|bn|mn|Mio|Mrd|min|h|hrs?|hours?|days?|years?|yrs?|L|l|ml|mL|cc|hp|bhp|bar|Pa|hPa|kPa|mpg|kcal|cal|sqft|px|pt"
)
TIME_UNITS = "|".join(sorted(map(re.escape, UNIT_SECONDS), key=len, reverse=True))
_KNOWN_SUFFIX = rf"[{BLANKS}]?(?:{UNITS}|(?:{TIME_UNITS})\.?|y|yo|{CURRENCY})|[,.:][-–—]|/(?:5|10|20|100)|[+\"'″′]"
_ABOUT = r"(?:[~≈<>≤≥±]|[<>]=)[ ]?|(?:c|ca|approx)(?:\.[ ]?|[ ])|(?:circa|about|approximately)[ ]"
MANY_NUMBERS = 20
_ANY_SUFFIX = (
    rf"[{BLANKS}]?[^\W\d_][^\d()]{{0,19}}|[{BLANKS}]?(?:{CURRENCY})[^\w\s()-][^\d()]{{1,12}}|[★☆*+]|"
    rf"[{BLANKS}]out of \d+(?: [a-z]+)?"
)
_NUMBER = re.compile(
    rf"(?P<open>\()?(?P<outer>[-+−]?)(?P<prefix>(?:{CURRENCY}|{_CODE})[{BLANKS}]?|{_ABOUT}|{_WORD_BEFORE}[{BLANKS}]?|)(?P<inner>[-+−]?)"
    rf"(?P<digits>\d[\d.,'’{BLANKS}]*\d|\d)(?P<suffix>{_KNOWN_SUFFIX}|{_ANY_SUFFIX}|)(?P<close>\))?(?P<last>[-−])?"
)


_WITH_POWER = r"[-+]?\d(?:,(\d+))?([eE])[-+]?\d+"


def number_format(sample: pd.Series) -> tuple[NumberText | None, NumberText | None]:
    """The format of texts that are numbers of one form, and another that would read them too, differently.

    None and None where they are no such numbers, or plain ones without any mark.
    """
    texts = sample.str.strip()
    if re.fullmatch(_WITH_POWER, texts.iloc[0]) and texts.str.fullmatch(_WITH_POWER).all():
        return _with_power(texts), None
    parts = texts.str.extract(_NUMBER.pattern.join(("^(?:", ")$")))
    if parts["digits"].isna().any():
        return None, None
    parts = parts.fillna("")
    prefix, suffix = (_only(parts[side]) for side in ("prefix", "suffix"))
    if prefix is None or suffix is None or (parts["digits"].str.match(r"0\d").any()):
        return None, None
    decimals_shown = bool(parts["digits"].str.contains(r"[.,]", regex=True).any())
    marks = _marks(parts["digits"])
    if marks is None:
        return None, None
    thousands, decimal, other = marks
    if not _is_money(prefix, bool(thousands), decimals_shown) or not _is_unit(suffix, parts["digits"], decimals_shown):
        return None, None
    is_marked = bool((parts["close"].ne("") | parts["last"].ne("")).any())
    signs = parts["outer"] + parts["inner"]
    has_plus = bool((signs == "+").any())
    if not (prefix or suffix or thousands or decimal == "," or decimals_shown or is_marked or has_plus):
        return None, None
    if has_plus and parts["digits"].str.fullmatch(r"\d{9,15}").all():
        return None, None  # telephone numbers
    n_decimals = _decimals(parts["digits"], decimal)
    lakhs = bool(thousands) and not parts["digits"].str.fullmatch(_grouped(thousands, decimal)).all()
    dash = "−" if parts[["outer", "inner", "last"]].isin(["−"]).any(axis=None) else ""
    is_positive = (signs != "-") & (signs != "−") & parts["close"].eq("") & parts["last"].eq("")
    is_positive &= parts["digits"].str.contains("[1-9]", regex=True)
    plus = has_plus and bool((signs[is_positive] == "+").all())
    zero = bool(((signs == "+") & ~parts["digits"].str.contains("[1-9]", regex=True)).any())
    made = NumberText(prefix, suffix, thousands, decimal, n_decimals, _negative(parts), lakhs, dash, plus, zero)
    if other is None:
        return made, None
    return made, replace(
        made, thousands=other[0], decimal=other[1], decimals=_decimals(parts["digits"], other[1]), lakhs=False
    )


def _with_power(texts: pd.Series) -> NumberText | None:
    """The format of numbers such as ``1,4E+02``; None where they have a point, as every reader knows them."""
    marks = texts.str.extract(_WITH_POWER)
    decimals, letters = marks[0].fillna("").str.len().unique(), set(marks[1])
    if marks[0].isna().all() or len(letters) > 1:
        return None
    n_decimals = int(decimals[0]) if len(decimals) == 1 else None
    return NumberText(decimal=",", decimals=n_decimals, power="E" if "E" in letters else "e")


def _is_money(prefix: str, thousands: bool, decimals_shown: bool) -> bool:
    """Whether what stands before all numbers is a currency, rather than the beginning of a code."""
    word = prefix.strip(BLANKS)
    if not word or re.fullmatch(CURRENCY, word) or re.fullmatch(_ABOUT, prefix):
        return True
    if re.fullmatch(_CODE, word):
        from babel.numbers import list_currencies

        if word in list_currencies():
            return True
    return thousands or (decimals_shown and word != prefix)


def _is_unit(suffix: str, digits: pd.Series, decimals_shown: bool) -> bool:
    """Whether what stands behind all numbers is a unit: ``12 abc`` may be a code, unless its numbers vary in length."""
    if not suffix or decimals_shown or re.fullmatch(_KNOWN_SUFFIX, suffix):
        return True
    return suffix[0] in BLANKS and digits.str.len().nunique() > 1 and len(digits) > MANY_NUMBERS


def number_text(example: str, sample: pd.Series) -> NumberText | None:
    """The format of one example cell, such as ``1.234,56``, with as many decimals as the sample has."""
    made, _ = number_format(pd.Series([example]))
    if made is None:
        return None
    body = sample.str.extract(r"(\d[\d.,'’\s]*)", expand=False).str.strip().dropna()
    return replace(made, decimals=_decimals(body, made.decimal))


def _only(values: pd.Series) -> str | None:
    distinct = values.unique()
    return str(distinct[0]) if len(distinct) == 1 else None


def _marks(digits: pd.Series) -> tuple[str, str, tuple[str, str] | None] | None:
    """Separator of thousands, decimal mark, and what they could be instead."""
    used = {mark for mark in f".,'’{BLANKS}" if digits.str.contains(mark, regex=False).any()}
    if not used:
        return "", ".", None
    if len(used) == 1:
        return _one_mark(digits, used.pop())
    if len(used) > 2:
        return None
    first, second = sorted(used, key=lambda mark: digits.str.find(mark).replace(-1, 0).max())
    for thousands, decimal in ((first, second), (second, first)):
        if decimal in ".," and _are_grouped(digits, thousands, decimal):
            return thousands, decimal, None
    return None


def _one_mark(digits: pd.Series, mark: str) -> tuple[str, str, tuple[str, str] | None] | None:
    grouped = _are_grouped(digits, mark, "")
    if mark not in ".,":
        return (mark, ".", None) if grouped else None
    single = bool((digits.str.count(re.escape(mark)) <= 1).all())
    if grouped and single and bool(digits.str.contains(mark, regex=False).all()):
        other = "," if mark == "." else "."
        return (mark, other, ("", mark)) if mark == "," else ("", mark, (mark, other))
    if grouped:
        return mark, "," if mark == "." else ".", None
    return ("", mark, None) if single else None


def _are_grouped(digits: pd.Series, thousands: str, decimal: str) -> bool:
    """Whether groups of digits have the length that they have in numbers of the West, or in lakhs and crores."""
    return any(bool(digits.str.fullmatch(_grouped(thousands, decimal, lakhs=each)).all()) for each in (False, True))


def _grouped(thousands: str, decimal: str, *, lakhs: bool = False) -> str:
    fraction = rf"(?:{re.escape(decimal)}\d+)?" if decimal else ""
    mark = re.escape(thousands)
    groups = rf"[1-9]\d?(?:{mark}\d{{2}})*{mark}\d{{3}}" if lakhs else rf"[1-9]\d{{0,2}}(?:{mark}\d{{3}})+"
    return rf"(?:{groups}|\d{{1,3}}){fraction}"


def _decimals(digits: pd.Series, decimal: str) -> int | None:
    counts = digits.str.rpartition(decimal)[2].str.len().where(digits.str.contains(decimal, regex=False), 0).unique()
    return int(counts[0]) if len(counts) == 1 else None


def _negative(parts: pd.DataFrame) -> Literal["-", "inner", "brackets", "last"]:
    if parts["last"].ne("").any():
        return "last"
    if (parts["open"] == "(").any():
        return "brackets"
    return "inner" if parts["inner"].isin(["-", "−", "+"]).any() and parts["prefix"].ne("").all() else "-"


_DATES = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y",
    "%d/%m/%y", "%m/%d/%y", "%d-%m-%y", "%m-%d-%y", "%d %b %Y", "%d %B %Y", "%d. %B %Y", "%d-%b-%Y", "%d-%b-%y",
    "%d%b%Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%a, %d %b %Y", "%A, %B %d, %Y", "%Y-%m", "%b %Y", "%B %Y",
    "%b-%y", "%b-%Y", "%m/%Y", "%Y/%m", "%d. %b %Y", "%d.%b.%Y", "%d de %b de %Y", "%d de %b %Y", "%d/%b/%Y",
    "%Y %b %d",
    "%Y年%m月%d日", "%Y년 %m월 %d일", "%Y년%m월%d일", "%b de %Y",
)  # fmt: skip
_TIMES = (
    "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%H時%M分", "%H時%M分%S秒", "%H시 %M분",
    "%H点%M分",
)  # fmt: skip
_ZONES = ("", "Z", "%z", "%:z", " %z", " %:z", " UTC", " GMT", " %Z")
PIVOT = 69  # the years of two digits that strptime reads as the first of its hundred
LONGEST_DATE = 200  # letters; a longer text is none, and would be taken apart at each of its numbers
MANY_SEASONS = 5  # different texts that each join a year with the next
FEW_YEARS = 5  # without a date, below which the years of a century cannot be told
_CODES = {
    "%Y": r"\d{4}", "%m": r"\d{1,2}", "%d": r"\d{1,2}", "%y": r"\d{2}", "%b": r"[A-Za-z]{3}", "%B": r"[A-Za-z]{3,9}",
    "%a": r"[A-Za-z]{3}", "%A": r"[A-Za-z]{6,9}", "%H": r"\d{1,2}", "%M": r"\d{2}", "%S": r"\d{2}", "%f": r"\d{1,9}",
    "%I": r"\d{1,2}", "%p": r"[AaPp]\.?\s?[Mm]\.?", "%j": r"\d{3}", "%%": "%",
    "%z": r"[+-]\d{4}", "%:z": r"[+-]\d{2}:\d{2}", "%Z": "[A-Z]{3,4}", "%q": "[1-4]", "%G": r"\d{4}", "%V": r"\d{1,2}",
    "%u": "[1-7]", "%n": r"\d{2}", "%N": r"\d{4}",
}  # fmt: skip
_COMMON_ZONES = (
    "Europe/London", "Europe/Berlin", "Europe/Athens", "America/New_York", "America/Chicago", "America/Denver",
    "America/Los_Angeles", "America/Sao_Paulo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip


def date_formats(sample: pd.Series) -> list[DateText]:
    """The formats that read every text of a sample, each with the padding, the fraction and the zone of the texts.

    Two where day and month could be either; none where these are no dates.
    """
    if sample.str.len().max() > LONGEST_DATE:
        return []
    ordinal = bool(sample.str.contains(r"\d(?:st|nd|rd|th)\b", regex=True).all())
    plain = sample.str.replace(r"(?<=\d)(?:st|nd|rd|th)\b", "", regex=True) if ordinal else sample
    days = weekday_names(plain)
    plain = in_english(plain, days, WEEKDAYS) if days else plain
    months = month_names(plain.str.replace(_ENGLISH_DAYS, "", regex=True))
    if months:
        plain = in_english(plain, months, MONTHS)
    words = DateText("", months=months, ordinal=ordinal, halves=halves_of(plain), days=days)
    seasons = _fitted_all(_seasons, plain, sample, words)
    if len(plain) >= MANY_SEASONS and seasons:
        return seasons  # months would hardly all be those that follow their years
    for possible in (_candidates, composed, _periods):
        formats = _fitted_all(possible, plain, sample, words)
        if formats:
            faithful = [each for each in formats if (each.write(each.parse(sample)) == sample).mean() > 0.5]
            return _without_twins(faithful or formats) + seasons
    return seasons


def _fitted_all(
    possible: Callable[[str], Sequence[str]], plain: pd.Series, sample: pd.Series, words: DateText
) -> list[DateText]:
    first = str(plain.iloc[0])
    fits = [each for each in possible(first) if _pattern(each).fullmatch(first)]
    fits = [each for each in fits if plain.str.fullmatch(_pattern(each).pattern).all()]
    return [made for made in (_fitted(each, sample, words=words) for each in fits) if made is not None]


_ENGLISH_DAYS = rf"\b(?:{'|'.join(WEEKDAYS)})\b"
_WEEK = re.compile(r"((?:KW|CW|W|Wk|Week|Woche)\.? ?)(\d{1,2})([-/, ]{1,2})(\d{4})", re.IGNORECASE)
_SEASON = re.compile(r"((?:FY|GJ|WJ) ?|)(\d{2}|\d{4})(?:([-/–])(\d{2}|\d{4}))?")
_QUARTER = re.compile(r"(?P<before>.*?)(?P<year>(?:19|20)\d\d)(?P<after>.*)")


def _periods(text: str) -> list[str]:
    """Formats of quarters such as ``2024Q1`` or ``Q1/2024``, of weeks such as ``2024-W05`` and of months, ``2024m11``.

    >>> _periods("2024Q1"), _periods("2024-W05-3"), _periods("KW 05/2024"), _periods("2024m11")
    (['%YQ%q'], ['%G-W%V-%u'], ['KW %V/%G'], ['%Ym%m'])
    """
    if match := _WEEK.fullmatch(text):
        return [f"{match[1]}%V{match[3]}%G"]
    if match := re.fullmatch(r"(?:19|20)\d\d([mM])\d{1,2}", text):
        return [f"%Y{match[1]}%m"]
    if match := re.fullmatch(r"(\d{4})(-?)W(\d\d)(?:(-?)([1-7]))?", text):
        return [f"%G{match[2]}W%V" + (f"{match[4]}%u" if match[5] else "")]
    year = _QUARTER.fullmatch(text)
    if year is None:
        return []
    before, after = (re.sub(r"(?<!\d)[1-4](?!\d)", "%q", year[side]) for side in ("before", "after"))
    rest = f"{before}%Y{after}"
    is_quarter = re.search(
        r"[QqT]%q|(?:Qtr\.?|Quarter|Quartal|Trimestre|Kvartal) ?%q|%q(?:Q|\. ?(?:Quartal|kvartal))", rest
    )
    return [rest] if is_quarter and rest.count("%q") == 1 and not re.search(r"\d", rest) else []


def _seasons(text: str) -> list[str]:
    """Formats of years that begin in one and end in the next, ``FY2023/24`` or ``2023-2024``, and of ``FY24``.

    >>> _seasons("FY2023/24"), _seasons("2023-2024"), _seasons("FY24"), _seasons("2024")
    (['FY%Y/%n'], ['%Y-%N'], ['FY%y'], [])
    """
    match = _SEASON.fullmatch(text)
    if match is None or not (match[1] or (match[3] and len(match[2]) == 4)):
        return []
    following = "" if not match[3] else match[3] + ("%n" if len(match[4]) == 2 else "%N")
    return [f"{match[1]}{'%Y' if len(match[2]) == 4 else '%y'}{following}"]


def nearly_formats(sample: pd.Series, share: float) -> list[DateText]:
    """Formats that read at least this share of a sample, but not all of it."""
    shapes = sample.str.replace(r"\d", "9", regex=True)
    usual = sample[shapes == shapes.mode().iloc[0]].head(20)
    if usual.str.len().max() > LONGEST_DATE:
        return []
    first = next((text for text in usual if re.search("[1-9]", text)), str(usual.iloc[0]))
    possible = dict.fromkeys([*_candidates(first), *composed(first)])
    fits = [each for each in possible if usual.str.fullmatch(_pattern(each).pattern).mean() >= share]
    formats = [DateText(each) for each in fits]
    return [each for each in formats if share <= each.parse(sample).notna().mean() < 1]


def date_text(format_: str, sample: pd.Series, first_year: int = 0) -> DateText | None:
    """A format that somebody named, with the padding, fraction and zone of a sample; None if it does not read them."""
    words, _, zone = format_.partition(" zone ")
    days = weekday_names(sample)
    rest = in_english(sample, days, WEEKDAYS) if days else sample
    months = month_names(rest.str.replace(_ENGLISH_DAYS, "", regex=True))
    return _fitted(words, sample, zone, words=DateText("", months=months, days=days, first_year=first_year))


_PART = re.compile(
    r"(?P<clock>(?<![\d:])\d{1,2}:\d{2}(?!\d)(?::\d{2}(?!\d)(?:[.,]\d{1,9})?)?"
    r"|(?<![\d.])\d{1,2}\.\d{2}(?:\.\d{2}(?:\.\d{1,9})?)?(?=\s?[AaPp]\.?\s?[Mm]\b))(?P<half>\s?[AaPp]\.?\s?[Mm]\b\.?)?"
    r"|(?P<offset>(?<![\d/.-])[+-]\d{2}:?\d{2}(?![\d:-]))|(?P<word>[^\W\d_]+)|(?P<number>\d+)|(?P<other>.)"
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_WORD_CODES = {
    **dict.fromkeys((name[:3].lower() for name in _WEEKDAYS), "%a"),
    **dict.fromkeys((name.lower() for name in _WEEKDAYS), "%A"),
    **{name.lower(): "%b" if len(name) == 3 else "%B" for name in _STANDARD},
}
_COMPACT = {
    (6,): ("%Y%m", "%m%Y"), (8,): ("%Y%m%d", "%d%m%Y", "%m%d%Y"), (8, 6): ("%Y%m%d %H%M%S",), (8, 4): ("%Y%m%d %H%M",),
    (12,): ("%Y%m%d%H%M",), (14,): ("%Y%m%d%H%M%S",), (4, 3): ("%Y %j",), (7,): ("%Y%j",),
}  # fmt: skip
COMPACT_YEARS = (1850, 2150)  # of dates without a mark between their parts: other codes have digits as well


def composed(text: str) -> list[str]:
    """Formats made of the parts of a date: its clock, offset, names, and its numbers in the orders that are usual.

    All other characters stand as they are.

    >>> composed("19.05.2021, 08:29 Uhr"), composed("20210519T082939Z")
    (['%d.%m.%Y, %H:%M Uhr', '%m.%d.%Y, %H:%M Uhr'], ['%Y%m%dT%H%M%SZ'])
    """
    parts, numbers, has_month, has_clock, has_word = list[str](), list[str](), False, False, False
    for match in _PART.finditer(text):
        kind, part = str(match.lastgroup), match[0]
        if match["clock"]:
            has_clock, code = True, _clock_code(match["clock"], match["half"])
        elif kind == "offset":
            code = "%:z" if ":" in part else "%z"
        elif kind == "number":
            numbers, code = [*numbers, part], "%s"
        else:
            code = _WORD_CODES.get(part.lower(), part.replace("%", "%%"))
            has_month |= code in {"%b", "%B"}
            has_word |= kind == "word"
        parts.append(code)
    if has_word and not (has_month or has_clock or len(numbers) > 2 or {len(each) for each in numbers} & {8}):
        return []  # such as 2024Q1, or a number after a year
    made = [_with_numbers(parts, order) for order in _orders(numbers, has_month, has_clock)]
    made += [each.replace("%b", "%B") for each in made if re.search(r"\bmay\b", text, re.IGNORECASE)]
    return [each for each in made if len(set(codes := re.findall("%:?[A-Za-z]", each))) == len(codes)]


def _clock_code(clock: str, half: str | None) -> str:
    seconds, fraction = clock.count(":") == 2, re.search("[.,]", clock)
    code = f"{'%I' if half else '%H'}:%M{':%S' if seconds else ''}{fraction[0] + '%f' if fraction else ''}"
    if ":" not in clock:  # as Oracle writes it: 12.06.14.000000 PM
        code = ".".join(("%I", "%M", "%S", "%f")[: clock.count(".") + 1])
    return code if half is None else f"{code}{' ' if half[0].isspace() else ''}%p"


def _orders(numbers: Sequence[str], has_month: bool, has_clock: bool) -> list[str]:
    """The codes of the numbers beside a clock and names, in each usual order."""
    lengths = tuple(map(len, numbers))
    if not has_month and (lengths[:1] if has_clock else lengths) in _COMPACT and len(lengths) <= 2:
        return [] if has_clock and len(lengths) > 1 else list(_COMPACT[lengths])
    if has_month:
        usual = {2: ("%d %Y", "%Y %d", "%d %y"), 1: ("%Y",)}
    else:
        usual = {3: ("%Y %m %d", "%d %m %Y", "%m %d %Y"), 2: ("%Y %m", "%m %Y")} if 4 in lengths else {}
    sizes = {"%Y": (4,), "%y": (2,), "%d": (1, 2), "%m": (1, 2)}
    orders = usual.get(len(numbers), ())
    return [each for each in orders if all(n in sizes[code] for code, n in zip(each.split(), lengths, strict=True))]


def _with_numbers(parts: Sequence[str], order: str) -> str:
    codes = iter(order.split())
    return "".join(next(codes) if part == "%s" else part for part in parts)


def halves_of(sample: pd.Series) -> tuple[str, ...]:
    """How texts write the halves of a day; empty where they say AM and PM or nothing.

    >>> halves_of(pd.Series(["08:29 a.m.", "3:10 p.m."])), halves_of(pd.Series(["08:29 AM"]))
    (('a.m.', 'p.m.'), ())
    """
    halves = sample.str.extract(r"\d\s?([AaPp]\.?\s?[Mm]\b\.?)", expand=False)
    if halves.isna().any() or halves.isin(["AM", "PM"]).all():
        return ()
    usual = str(halves.mode().iloc[0])
    pair = [re.sub("[ap]", letter, usual, flags=re.IGNORECASE) for letter in ("a", "p")]
    pair = [half.upper() if usual.isupper() else half for half in pair]
    return tuple(pair) if halves.isin(pair).all() else ()


def _candidates(text: str) -> Sequence[str]:
    """The formats with the marks of a text between their letters and digits: no other can read it."""
    return _formats_by_marks().get(_marks_between(text), ())


@functools.cache
def _formats_by_marks() -> Mapping[str, Sequence[str]]:
    moments = [f"{day}{gap}{time}" for day, gap, time in itertools.product(_DATES, (" ", "T", ", "), _TIMES)]
    moments += [f"{day}:{time}" for day in ("%d/%b/%Y", "%d%b%Y", "%d%b%y") for time in _TIMES]
    by_marks: dict[str, list[str]] = {}
    for each in (*_DATES, *(f"{moment}{zone}" for moment in moments for zone in _ZONES)):
        without_codes = re.sub("%(:?)([A-Za-z])", lambda code: f"+{code[1]}" if code[2] == "z" else "", each)
        by_marks.setdefault(_marks_between(without_codes), []).append(each)
    return by_marks


def _marks_between(text: str) -> str:
    """What is neither letter nor digit; a zone may be ahead or behind."""
    return re.sub(r"\w", "", text).replace("+", "-")


@functools.cache
def _pattern(format_: str) -> re.Pattern[str]:
    parts = re.split(r"(%:?[A-Za-z])", format_)
    return re.compile("".join(_CODES[part] if part in _CODES else re.escape(part) for part in parts))


def _fitted(format_: str, sample: pd.Series, zone: str = "", *, words: DateText) -> DateText | None:
    """The format with what the texts show; ``words`` says in which language and with which endings they are."""
    digits = 0
    if "%f" in format_:
        digits = int(min(sample.str.extract(r"(?::\d\d|\.\d\d\.\d\d)[.,](\d+)", expand=False).str.len().max(), 6))
    date_text = replace(words, format=format_, fraction=digits, zone=zone)
    if "%Z" in format_:
        named = _zone_of_names(date_text, sample)
        return None if named is None else _with_bare(named, sample, named.parse(sample))
    values = date_text.parse(sample)
    if values.isna().any():
        return None
    if "%y" in format_ and not date_text.first_year:
        date_text = replace(date_text, first_year=first_year_of(values))
        values = date_text.parse(sample)
    if "%z" in format_ or "%:z" in format_:
        zone = zone or _zone(sample, values)
        if not zone:
            return replace(date_text, zone="UTC", mixed=True)
        date_text = replace(date_text, zone=zone)
    return _with_bare(date_text, sample, values)


def _with_bare(date_text: DateText, sample: pd.Series, values: pd.Series) -> DateText:
    """The same with the numbers that texts write without a zero before them."""
    if (date_text.write(values) == sample).all():
        return date_text
    codes = [code for code in ("%d", "%m", "%H", "%I", "%V") if code in date_text.format]
    chosen = [replace(date_text, padded=False)]
    chosen += [replace(date_text, bare=some) for n in range(1, len(codes)) for some in itertools.combinations(codes, n)]
    return max((date_text, *chosen), key=lambda each: int((each.write(values) == sample).sum()))


def first_year_of(values: pd.Series) -> int:
    """The first of the hundred years in which dates of two-digit years lie next to each other; 0 if 1969 is.

    The years stand in a circle of a hundred; where nobody is born or nothing ends is the widest gap of it. Births from
    1935 to 2005 have theirs from 2006 to 2034, and not where 1968 meets 1969.

    >>> first_year_of(pd.Series(pd.to_datetime(["2035-01-01", "2051-01-01", "1970-01-01", "1999-01-01"])))
    1935
    """
    years = np.unique(values.dropna().dt.year.to_numpy() % 100)
    if len(years) < 2:
        return 0
    gaps = np.diff(years, append=years[0] + 100)
    widest = int(np.argmax(gaps))
    before, after = int(years[widest]), int(years[(widest + 1) % len(years)])
    is_usual = (before - PIVOT) % 100 > (after - PIVOT) % 100  # nothing on both sides of 1968 and 1969
    return 0 if is_usual or gaps[widest] < FEW_YEARS else 1900 + after


def _zone_of_names(date_text: DateText, sample: pd.Series) -> DateText | None:
    """The format with the zone whose clocks have the names of the texts, such as ``CET`` and ``CEST``; None if none."""
    names = set(sample.str.extract(r"\b([A-Z]{2,5})\b(?!.*\b[A-Z]{2,5}\b)", expand=False).dropna()) - {"AM", "PM"}
    if len(names) == 1:  # all the year round: the clock of the texts
        return replace(date_text, format=date_text.format.replace("%Z", names.pop()))
    for zone in _zones():
        both = {pd.Timestamp(day, tz=zone).tzname() for day in ("2021-01-15", "2021-07-15")}
        if names and names <= both:
            made = replace(date_text, zone=zone)
            if made.parse(sample).notna().all():
                return made
    return None


def _zone(sample: pd.Series, values: pd.Series) -> str:
    """The zone whose clocks have the offsets of the texts; empty if there is none."""
    offsets = sample.str.extract(r"^.*([+-]\d{2}:?\d{2})(?!\d)", expand=False).str.replace(":", "")
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
    first: dict[str, DateText] = {}
    for each in formats:
        first.setdefault(each.format.replace("%B", "%b").replace("%A", "%a"), each)
    return list(first.values())
