"""What the texts of a column mean: numbers, dates, times, money, or texts; and what only a person can say.

Nothing is guessed silently. Texts become values only if every one of them does; where most do and a few do not, or two
readings fit, a question is asked.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.identifier_forms import known_form
from synth_mlflow.data.text_forms import LONG_NUMBER, MISSING_WORDS, PLAIN_NUMBER
from synth_mlflow.data.value_formats import (
    ClockText,
    DateText,
    DurationText,
    NumberText,
    ValueFormat,
    marked_days_style,
    unit_style,
)
from synth_mlflow.data.value_inference import date_formats, halves_of, nearly_formats, number_format

FEW_VALUES = 10
"""Texts of so few forms that repeat are categories, whatever they say."""
SAMPLE = 1_000
MANY_PAIRS = 50
"""Distinct texts of two numbers; fewer are categories, such as sizes of screens."""
FAR_YEAR, LAST_CENTURY = 2035, 1999
"""Years of two digits from the first on are asked about, alone or beside years up to the second."""
MANY_VALUES = 20
"""More distinct values than this, beside a few words, make a column of values with stray words."""
MICROSECOND_DIGITS = 6
NEARLY = 0.9  # of the cells, beside which a few others are asked about
FEW_NUMBERS = 5
"""So many distinct ones, most of the cells, are numbers beside words that hardly mean anything but missing."""
SAY_MISSING = frozenset(
    {"n.a.", "n/a", "na", "n.a", "missing", "unknown", "not known", "unk", "none", "null", "nil", "no data",
     "no answer", "not available", "not applicable", "not recorded", "undefined", "k.a.", "k. a.", "keine angabe",
     "unbekannt", "fehlt", "inconnu", "desconocido", "s/d", "n/d", "nd", "nr", "tbd", "\\n", "#nv", "#n/v",
     "#div/0!", "#value!", "#ref!", "(blank)", "(null)"}
)  # fmt: skip
"""Words that a person writes for a missing number, in lower case; only a person can say that they do here."""
_HOUR = r"(?:[01]?\d|2[0-3])"
_PAIR = r"([1-9]\d{0,5}|0)\s?([/x×:])\s?([1-9]\d{0,5}|0)"
_OTHER_DIGIT = re.compile(r"[^\D0-9]")
MOST_DIGITS = 18  # of every whole number of so many, 64 bits hold it
NUMBER = rf"\s*\+?{PLAIN_NUMBER}\s*"
CODE_LIKE = r"\s*[+-]?[0-9]{2,}[eE][0-9]+\s*"
"""Whole numbers before a bare exponent, as in ``12e5``: no program writes numbers so, and codes of hexadecimals do."""


@dataclass(frozen=True)
class Levels:
    """The distinct texts of a column, and how many cells hold each."""

    name: str
    texts: pd.Series
    counts: npt.NDArray[np.int64]

    def where(self, mask: npt.NDArray[np.bool_]) -> Levels:
        """Some of them."""
        return Levels(self.name, self.texts[mask].reset_index(drop=True), self.counts[mask])

    @property
    def n_cells(self) -> int:
        """How many cells hold one of them."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class Question:
    """What only a person can say about a column."""

    column: str
    found: str
    """What was seen, with shares and cells."""
    lines: tuple[str, ...]
    """What to paste under ``columns:``, the likeliest answer first, each a whole line."""


@dataclass(frozen=True)
class Finding:
    """What the texts of a column are."""

    format: ValueFormat | None = None
    """None: texts as they stand, or plain numbers."""
    is_number: bool = False
    """Whether all are plain numbers but for the words."""
    words: tuple[str, ...] = ()
    """Words that stand for missing values."""
    question: Question | None = None


TEXT = Finding()


def find_format(levels: Levels, *, plain_numbers: bool, values_wanted: bool = False) -> Finding:
    """What the texts of a column are: values, or texts, and then whether words for missing stand among names of a form.

    Parameters
    ----------
    levels : Levels
        Of at least one text.
    plain_numbers : bool
        Whether texts such as ``12`` are numbers, as in a CSV file that knows no types.
    values_wanted : bool
        Whether values are needed, so that few distinct ones are no categories.
    """
    formats = _find_values(levels, plain_numbers=plain_numbers, values_wanted=values_wanted)
    return _stray_in_names(levels) if formats == TEXT else formats


def _find_values(levels: Levels, *, plain_numbers: bool, values_wanted: bool) -> Finding:
    if plain_numbers:
        formats = _plain_numbers(levels)
        if formats is not None:
            return formats
    if (finding := _other_digits(levels)) is not None:
        return finding
    few = len(levels.texts) <= FEW_VALUES and levels.n_cells >= 5 * len(levels.texts)
    if few and not values_wanted:
        return TEXT
    has_digit = levels.texts.str.contains(r"\d", regex=True).to_numpy(dtype=bool)
    if has_digit.sum() < 2 and not (values_wanted and has_digit.any()):
        return TEXT
    values, words = levels.where(has_digit), levels.where(~has_digit)
    if len(words.texts) > FEW_VALUES:
        return TEXT
    formats = formats_of(values)
    if formats is None:
        return _nearly_dates(values) or _numbers_in_parts(values) or _mixed_dates(levels)
    stray = [text for text in words.texts if text not in MISSING_WORDS]
    if not stray:
        return Finding(formats.format, words=tuple(words.texts), question=formats.question)
    return _stray(levels, values, words, formats.format) if len(values.texts) > MANY_VALUES else TEXT


def _stray_in_names(levels: Levels) -> Finding:
    """A question where all texts but a few words for missing have a public form, such as e-mail; else a text."""
    lower = levels.texts.str.strip().str.lower()
    says_missing = lower.isin(SAY_MISSING) | levels.texts.isin(MISSING_WORDS) | ~levels.texts.str.contains(r"\w")
    is_word = says_missing.to_numpy(dtype=bool)
    words, names = levels.where(is_word), levels.where(~is_word)
    if not 0 < len(words.texts) <= FEW_VALUES or len(names.texts) <= MANY_VALUES:
        return TEXT
    form = known_form(names.texts) or ("number" if names.texts.str.fullmatch(LONG_NUMBER).all() else "")
    if not form:
        return TEXT
    shown = ", ".join(f"{text!r} ({count:,})" for text, count in zip(words.texts, words.counts, strict=True))
    stray_words = ", ".join(quoted(text) for text in words.texts)
    sentence = (
        f"{names.n_cells:,} of {levels.n_cells:,} cells hold each a name of the form {form}, the others are {shown}"
    )
    return Finding(question=Question(levels.name, sentence, (f"missing: [{stray_words}]", "role: category")))


def _other_digits(levels: Levels) -> Finding | None:
    """A question where most texts are numbers or dates in digits of another script, as in Arabic."""
    foreign = levels.texts[~levels.texts.str.isascii()].head(SAMPLE)
    if not any(_OTHER_DIGIT.search(text) for text in foreign):
        return None
    plain = levels.texts.map(lambda text: unicodedata.normalize("NFKC", text))
    plain = plain.map(lambda text: "".join(str(unicodedata.digit(sign, sign)) for sign in text))
    is_number = plain.str.fullmatch(r"[0-9.,/:+\s-]+").to_numpy(dtype=bool) & (plain != levels.texts).to_numpy(
        dtype=bool
    )
    if 2 * levels.counts[is_number].sum() < levels.n_cells:
        return None
    shown = ", ".join(map(repr, levels.texts[is_number].head(3)))
    sentence = f"values in other digits than 0 to 9, such as {shown}; write 0 to 9 in the file, or keep them as texts"
    return Finding(question=Question(levels.name, sentence, ("role: category",)))


def formats_of(levels: Levels) -> Finding | None:
    """The format that every text has; a question where two fit; None where none does."""
    sample = levels.texts.head(SAMPLE)
    dates = [each for each in date_formats(sample) if _reads(each, levels.texts)]
    if len(dates) > 1:
        return Finding(dates[0], question=_two_dates(levels, dates))
    if dates:
        return Finding(dates[0], question=_which_century(levels, dates[0]) or finer_than_microseconds(levels, dates[0]))
    number, unclear = number_format(sample)
    for time in _times(sample):
        if _reads(time, levels.texts):
            return Finding(time)
    if number is not None and len(levels.texts) > len(sample):  # the sample may not show every form
        number, unclear = number_format(levels.texts)
    if number is None or not _reads(number, levels.texts):
        return None
    return Finding(number, question=None if unclear is None else _unclear(levels, number, unclear))


def _reads(format_: ValueFormat, texts: pd.Series) -> bool:
    return bool(format_.parse(texts.head(SAMPLE)).notna().all()) and bool(format_.parse(texts).notna().all())


def _times(sample: pd.Series) -> list[ValueFormat]:
    first = str(sample.iloc[0]).strip()
    formats: list[ValueFormat] = list(_bare_clocks(sample))
    lengths = sample.str.extract(r":\d\d\.(\d+)|\.(\d+)S", expand=True).bfill(axis=1)[0].str.len()
    digits = int(lengths.max()) if lengths.notna().any() else 0
    clock = re.fullmatch(r"-?(\d+):\d\d(:\d\d)?(\.\d+)?(\s?[AaPp]\.?\s?[Mm]\.?)?(.*)", first)
    padded = bool(sample.str.match(r"-?0\d:").any()) or not bool(sample.str.match(r"-?\d:").any())
    if clock:
        seconds, fraction, half, tail = clock.group(2), clock.group(3), clock.group(4), clock.group(5)
        hour = "%I" if half else "%H"
        blank = "" if not half else " %p" if half[0].isspace() else "%p"
        form = f"{hour}:%M{':%S' if seconds else ''}{'.%f' if fraction else ''}{blank}{tail.replace('%', '%%')}"
        if seconds or not fraction:
            formats += [ClockText(form, digits, padded, halves_of(sample))]
        if not half and not tail:
            formats += [DurationText("clock", bool(seconds), digits, padded)] if seconds or not fraction else []
            formats += [DurationText("lap", fraction=digits, padded=padded)] if not seconds and digits else []
    if sample.str.match(r"-?\d+ days?, \d").any():
        formats += [DurationText("python", fraction=digits)]
    if re.match(r"-?P", first):
        formats += [_iso_duration(sample, digits)]
    if re.match(r"-?\d+ days?", first):
        has_clock = bool(sample.str.contains(":", regex=False).any())
        one = ("day",) if sample.str.fullmatch("-?1 day").any() else ()
        formats += [DurationText("days", has_clock, digits, singular=() if has_clock else one)]
    days = marked_days_style(sample, digits) if re.match(r"-?\d+(d |\.|-|:\d\d:)", first) else None
    formats += [] if days is None else [days]
    by_units = unit_style(sample) if re.match(r"-?\d+(?:\.\d+)?\s?[^\W\d_]", first) else None
    formats += [] if by_units is None else [by_units]
    if re.fullmatch(r"\d{1,2}[hH]\d{2}", first):
        formats += [ClockText(f"%H{first.strip('0123456789')}%M", padded=not bool(sample.str.match(r"\d[hH]").any()))]
    if re.fullmatch(r"\d{1,3}[hH]\d{2}", first):
        is_padded = not bool(sample.str.match(r"\d[hH]").any())
        formats += [DurationText("clock", False, padded=is_padded, between=first.strip("0123456789"))]
    return formats


def _bare_clocks(sample: pd.Series) -> Iterator[ValueFormat]:
    """Times of day without a colon: ``08.15 Uhr``, and as numbers ``0815`` and ``081500``.

    Digits alone are codes as often: they are times only where so many different codes would hardly all be times, and
    hours below ten have their zero. A reader of CSV makes numbers of them, so they are numbers here too.
    """
    if sample.str.fullmatch(rf"{_HOUR}\.[0-5]\d Uhr").all():
        yield ClockText("%H.%M Uhr", padded=not sample.str.match(r"\d\.").any())
    yield from _dotted_clocks(sample)
    for n_digits, shape in ((4, rf"{_HOUR}[0-5]\d"), (6, rf"{_HOUR}[0-5]\d[0-5]\d")):
        has_zero = sample.str.startswith("0").any()
        if len(sample) > MANY_VALUES and has_zero and sample.str.fullmatch(rf"(?=\d{{{n_digits}}}$){shape}").all():
            yield NumberText(decimals=0, pad=n_digits)


def _dotted_clocks(sample: pd.Series) -> Iterator[ClockText]:
    """Times of day with points: ``12.06.14 PM``, ``08.15.59`` and ``08.15``.

    Without a half of the day they are times only where so many texts would hardly all be times, hours have two digits,
    and the texts are no days and months.
    """
    first = re.fullmatch(r"\d{1,2}\.\d\d(\.\d\d)?(\s?)([AaPp]\.?\s?[Mm]\.?)?", str(sample.iloc[0]).strip())
    if first is None:
        return
    seconds = ".%S" if first[1] else ""
    if first[3]:
        padded = not sample.str.match(r"\d\.").any()
        yield ClockText(f"%I.%M{seconds}{first[2]}%p", padded=padded, halves=halves_of(sample))
        return
    parts = sample.str.extract(rf"^([01]\d|2[0-3])\.([0-5]\d){r'[.][0-5][0-9]' if seconds else ''}$")
    if parts.isna().any(axis=None) or len(sample) <= MANY_VALUES or not (parts[0].str[0] == "0").any():
        return
    hours, minutes = (parts[at].astype("int64") for at in (0, 1))
    are_days = any(first.between(1, 31).all() and second.between(1, 12).all() for first, second in
                   ((hours, minutes), (minutes, hours)))  # fmt: skip
    if seconds or not are_days:
        yield ClockText(f"%H.%M{seconds}")


def _iso_duration(sample: pd.Series, digits: int) -> DurationText:
    """ISO 8601 durations with the largest unit that a sample writes."""
    beyond = {
        "H": r"T(?:2[4-9]|[3-9]\d|\d{3,})H",
        "M": r"T(?:[6-9]\d|\d{3,})M",
        "S": r"T(?:[6-9]\d|\d{3,})(?:\.\d+)?S",
    }
    top = next((unit for unit, shape in beyond.items() if sample.str.contains(shape).any()), "")
    larger = {"H": "D", "M": "[DH]", "S": "[DHM]", "": "^$"}[top]
    top = "" if sample.str.contains(larger).any() else top
    clock = sample.str.partition("T")[2]
    always = {"D": sample.str.contains("D"), "H": clock.str.contains("H"), "M": clock.str.contains("M"),
              "S": clock.str.contains("S")}  # fmt: skip
    zeros = sample.str.contains(r"(?<![\d.])0(?:\.0+)?[DHMS]", regex=True).any() and not top
    units = tuple(unit for unit, there in always.items() if zeros and there.all())
    return DurationText("iso", fraction=digits, padded=top == "H", top="" if top == "H" else top, units=units)


def _plain_numbers(levels: Levels) -> Finding | None:
    texts = levels.texts
    is_number = texts.str.fullmatch(NUMBER).to_numpy(dtype=bool)
    if not is_number.any():
        return None
    numbers, words = levels.where(is_number), levels.where(~is_number)
    if numbers.texts.str.fullmatch(CODE_LIKE).any():
        return None
    if numbers.texts.str.fullmatch(LONG_NUMBER).all() and numbers.texts.str.len().max() > MOST_DIGITS:
        return None
    if numbers.texts.str.match(r"\s*[+-]?0\d").any() or _are_telephones(numbers.texts):
        return None  # numbers are not written with a zero in front: these are codes
    stray = [text for text in words.texts if text not in MISSING_WORDS]
    if not stray:
        return Finding(is_number=True, words=tuple(words.texts))
    many = len(numbers.texts) > MANY_VALUES and 2 * numbers.n_cells >= levels.n_cells
    means_missing = all(text.strip().lower() in SAY_MISSING or not re.search(r"\w", text) for text in words.texts)
    many |= means_missing and len(numbers.texts) >= FEW_NUMBERS and 2 * numbers.n_cells >= levels.n_cells
    return _stray(levels, numbers, words, None) if many and len(words.texts) <= FEW_VALUES else None


def _are_telephones(texts: pd.Series) -> bool:
    """Whether all texts are a plus and more digits than a change has."""
    return bool(texts.str.fullmatch(r"\s*\+\d{9,15}\s*").all())


def thousands_or_decimals(levels: Levels) -> Question | None:
    """A question where plain numbers may be whole ones whose thousands are marked by points, as in ``1.250``.

    Groups of three digits stand behind every point, some end in a zero, and numbers below a thousand have no point: so
    do thousands look, and decimals hardly ever.
    """
    texts = levels.texts.str.strip()
    has_point = texts.str.contains(".", regex=False)
    if not texts.str.fullmatch(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})?").all() or has_point.sum() < MANY_VALUES:
        return None
    ends_in_zero = texts[has_point].str.endswith("0").sum()
    if has_point.all() or not ends_in_zero:
        return None
    first = str(texts[has_point].iloc[0])
    text = f"{first!r} can be read as {int(first.replace('.', '')):,} and as {float(first):g}"
    return Question(levels.name, text, ('format: "1.234.567"', "role: number"))


def _stray(levels: Levels, values: Levels, words: Levels, format_: ValueFormat | None) -> Finding:
    share = values.n_cells / levels.n_cells
    shown = ", ".join(f"{text!r} ({count:,})" for text, count in zip(words.texts, words.counts, strict=True))
    what = "numbers" if format_ is None else f"values {format_.words}"
    sentence = f"{values.n_cells:,} of {levels.n_cells:,} cells ({share:.1%}) are {what}, the others are {shown}"
    stray_words = ", ".join(quoted(text) for text in words.texts)
    lines = (f"missing: [{stray_words}]", "role: category")
    return Finding(format_, is_number=format_ is None, question=Question(levels.name, sentence, lines))


def _two_dates(levels: Levels, formats: Sequence[ValueFormat]) -> Question:
    shown = ", ".join(map(repr, levels.texts.head(3)))
    both = " and as ".join(each.words for each in formats)
    lines = tuple(f'format: "{each.words}"' for each in formats)
    return Question(levels.name, f"dates such as {shown} can be read as {both}", lines)


def _which_century(levels: Levels, format_: ValueFormat) -> Question | None:
    """A question where years of two digits may be of this century and of the last one."""
    if not isinstance(format_, DateText) or "%y" not in format_.format or format_.first_year:
        return None
    values = format_.parse(levels.texts)
    years = values.dt.year
    if years.max() < FAR_YEAR or (years.min() < FAR_YEAR and years.min() > LAST_CENTURY):
        return None
    at = int(years.to_numpy().argmax())
    first = 1900 + int(years[years >= FAR_YEAR].min()) % 100
    sentence = f"{levels.texts.iloc[at]!r} can be read as of {years.iloc[at]} and as of {years.iloc[at] - 100}"
    line = f'format: "{format_.format}"'
    return Question(levels.name, sentence, (f"{line}, first_year: {first}", f"{line}, first_year: 1969"))


def finer_than_microseconds(levels: Levels, format_: ValueFormat | None) -> Question | None:
    """A question where moments have digits behind the microseconds, which would be lost."""
    if not isinstance(format_, DateText) or "%f" not in format_.format or format_.fraction < MICROSECOND_DIGITS:
        return None
    digits = levels.texts.str.extract(r"\d[.,]\d{6}(\d{1,3})(?!\d)", expand=False).fillna("")
    is_finer = digits.str.contains("[1-9]", regex=True).to_numpy(dtype=bool)
    if not is_finer.any():
        return None
    finer = levels.where(is_finer)
    sentence = (
        f"{finer.n_cells:,} of {levels.n_cells:,} moments are finer than microseconds, such as {finer.texts.iloc[0]!r}"
    )
    return Question(levels.name, sentence, (f'format: "{format_.format}"', "role: category"))


def _unclear(levels: Levels, format_: ValueFormat, other: ValueFormat) -> Question:
    shown = ", ".join(map(repr, levels.texts.head(3)))
    values = [f"{each.parse(levels.texts.head(1)).iloc[0]:,g}" for each in (format_, other)]
    lines = tuple(f'format: "{each.words.removeprefix("like ")}"' for each in (format_, other))
    return Question(levels.name, f"{shown}: the first can be read as {values[0]} and as {values[1]}", lines)


def _nearly_dates(levels: Levels) -> Finding | None:
    """A question where nearly all texts are dates of one form, and a few others have digits too, as ``00/00/0000``."""
    for format_ in nearly_formats(levels.texts.head(SAMPLE), NEARLY):
        is_date = format_.parse(levels.texts).notna().to_numpy(dtype=bool)
        others = levels.where(~is_date)
        if 0 < len(others.texts) <= FEW_VALUES and others.n_cells <= (1 - NEARLY) * levels.n_cells:
            if date_formats(others.texts):
                return None  # dates of another form
            formats = formats_of(levels.where(is_date))
            if formats is not None and formats.format is not None:
                return _stray(levels, levels.where(is_date), others, formats.format)
    return None


def _numbers_in_parts(levels: Levels) -> Finding | None:
    """A question where each text holds a number with one of several units, or several numbers with decimals.

    Decimal commas with and without a power of ten are one as well: nothing says which numbers are written how.
    """
    number = levels.texts.str.extract(r"^([+-]?\d+(?:,\d+)?)([eE][+-]?\d+)?$")
    is_number, powers = number[0].notna(), number[1]
    if is_number.all() and powers.notna().any() and levels.texts.str.contains(",", regex=False).any():
        sentence = f"decimal commas with a power of ten and without, such as {levels.texts[powers.notna()].iloc[0]!r}"
        sentence += f" and {levels.texts[powers.isna()].iloc[0]!r}" if powers.isna().any() else ""
        sentence += "; write them all in one way in the file, or keep them as texts"
        return Finding(question=Question(levels.name, sentence, ("role: category",)))
    parts = levels.texts.str.extract(r"^[+-]?\d+(?:[.,]\d+)?\s?([^\W\d_]{1,4}|%)$", expand=False)
    if parts.notna().all() and 2 <= parts.nunique() <= FEW_VALUES and levels.texts.str.contains(r"\d[.,]\d").any():
        shown = ", ".join(f"{unit!r} ({count:,})" for unit, count in parts.value_counts().items())
        text = f"numbers with different units: {shown}; convert them to one unit in the file, or keep them as texts"
        return Finding(question=Question(levels.name, text, ("role: category",)))
    pair = _pair(levels)
    if pair is not None:
        return pair
    around = levels.texts.str.split(r"(?<!\d)[+-]?\d{1,30}\.\d+", regex=True).map(tuple)
    inner = around.iloc[0][1:-1]
    are_numbers = inner and all(re.search(r"[\s,;xX|/(–-]", mark) for mark in inner)
    if are_numbers and around.nunique() == 1 and not re.search(r"\d", "".join(around.iloc[0])):
        text = f"several numbers in each cell, such as {levels.texts.iloc[0]!r}; give each a column of its own"
        return Finding(question=Question(levels.name, text, ("role: ignored", "role: category")))
    return None


def _pair(levels: Levels) -> Finding | None:
    """A question where each text holds two whole numbers that vary by themselves, as ``129/81`` or ``640x480``.

    Numbers of files and years, such as ``117/24``, have a first part of their own in each row.
    """
    if not levels.texts.head(MANY_PAIRS).str.fullmatch(_PAIR).all():
        return None
    parts = levels.texts.str.extract(f"^{_PAIR}$")
    if parts[1].isna().any() or parts[1].nunique() > 1 or len(parts) <= MANY_PAIRS:
        return None
    if any(2 * parts[side].nunique() > len(parts) or parts[side].nunique() <= FEW_VALUES for side in (0, 2)):
        return None
    sentence = f"two numbers in each cell, such as {levels.texts.iloc[0]!r}; give each a column of its own"
    return Finding(question=Question(levels.name, sentence, ("role: ignored", "role: category")))


def _mixed_dates(levels: Levels) -> Finding:
    """A question where most texts are dates of one form and the others are dates of another; else a text."""
    biggest = pd.Series(levels.counts).groupby(levels.texts.str.replace(r"\d", "9", regex=True)).sum()
    if len(biggest) > FEW_VALUES or len(levels.texts) <= MANY_VALUES:
        return TEXT
    shapes = levels.texts.str.replace(r"\d", "9", regex=True)
    groups = {str(shape): levels.where((shapes == shape).to_numpy(dtype=bool)) for shape in biggest.index}
    formats = {shape: date_formats(group.texts.head(SAMPLE)) for shape, group in groups.items()}
    if not all(formats.values()) or len(groups) < 2:
        return TEXT
    shown = "; ".join(f"{groups[shape].n_cells:,} like {groups[shape].texts.iloc[0]!r}" for shape in groups)
    text = f"dates of {len(groups)} forms: {shown}; write them in one form in the file, or keep them as texts"
    return Finding(question=Question(levels.name, text, ("role: category",)))


def quoted(text: str) -> str:
    """A text as YAML takes it without misunderstanding."""
    return json.dumps(text, ensure_ascii=False)
