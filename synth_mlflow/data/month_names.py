"""Names of months in dates of any language, as the texts of a column write them."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Mapping

import pandas as pd

from synth_mlflow.data.value_formats import MONTHS

LOCALES = (
    "en", "de", "fr", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "is", "pl", "cs", "sk", "sl", "hr", "hu", "ro",
    "et", "lv", "lt", "ca", "el", "tr", "ru", "uk", "bg", "sr", "id", "ms", "vi", "he", "ar", "hi", "th",
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]{3,}\.?")
_NO_MONTHS = frozenset({"utc", "gmt"})
_STANDARD = frozenset({*MONTHS, "January", "February", "March", "April", "June", "July", "August", "September",
                       "October", "November", "December"})  # fmt: skip


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
    found = [[word for word in _WORD.findall(text) if word.lower() not in _NO_MONTHS] for text in sample]
    if any(len(words) != 1 for words in found):
        return ()
    counts = Counter(words[0] for words in found)
    if set(counts) <= _STANDARD:
        return ()
    for locale in LOCALES:
        names, wide = _names(locale)
        places = {word: _place(word, names) for word in counts}
        if all(places.values()):
            return _written(counts, places, wide, names)
    return ()


def _place(word: str, names: Mapping[str, int]) -> int:
    """The number of a month, 0 for no name of one; beginnings of three letters and more count if one month has them."""
    bare = word.lower().rstrip(".")
    if bare in names:
        return names[bare]
    begun = {place for name, place in names.items() if name.startswith(bare)}
    return begun.pop() if len(begun) == 1 else 0


@functools.cache
def _names(locale: str) -> tuple[Mapping[str, int], tuple[str, ...]]:
    """Every name to its month, and the twelve long ones."""
    from babel.dates import get_month_names

    names: dict[str, int] = {}
    for width in ("wide", "abbreviated"):
        for context in ("format", "stand-alone"):
            for place, name in get_month_names(width, context, locale).items():
                names.setdefault(name.lower().rstrip("."), place)
    return names, tuple(get_month_names("wide", "format", locale)[place] for place in range(1, 13))


def _written(
    counts: Counter[str], places: Mapping[str, int], wide: tuple[str, ...], names: Mapping[str, int]
) -> tuple[str, ...]:
    known: dict[int, str] = {}
    for word, _ in counts.most_common():
        known.setdefault(places[word], word)
    first = next(iter(known.values()))
    case: Callable[[str], str] = str.upper if first.isupper() else str.lower if first.islower() else str.capitalize
    is_short = any(len(word.rstrip(".")) < len(wide[place - 1]) for place, word in known.items())
    short = {place: min((name for name, at in names.items() if at == place), key=len) for place in range(1, 13)}
    dot = "." if is_short and any(word.endswith(".") for word in known.values()) else ""
    others = (
        f"{case(short[place])}{dot if len(short[place]) < len(wide[place - 1]) else ''}"
        if is_short
        else case(wide[place - 1])
        for place in range(1, 13)
    )
    return tuple(known.get(place, other) for place, other in enumerate(others, start=1))
