"""In which form numbers are written: currency, unit, percent, thousands, decimal comma."""

from __future__ import annotations

import re
from typing import Literal

import pandas as pd

from synth_mlflow.data.value_formats import NumberText

_BLANKS = "   "
_CURRENCY = (
    r"[$€£¥₹₽₩₺₴฿]|[A-Z]{1,3}\$|"
    r"(?:USD|EUR|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|CAD|AUD|NZD|Rs\.?|Kč|zł|kr\.?)"
)
_UNITS = (
    "%|‰|°C|°F|°|kg|g|mg|t|lbs?|oz|km|m|cm|mm|mi|ft|in|km/h|mph|kW|kWh|MW|W|V|A|Hz|MHz|GHz|kB|KB|MB|GB|TB|ms|s|sec|"
    "k|K|M|bn|mn|Mio|Mrd|min|h|hrs?|hours?|days?|years?|yrs?|L|l|ml|mL|cc|hp|bhp|bar|Pa|hPa|kPa|mpg|kcal|cal|sqft|px|pt"
)
_NUMBER = re.compile(
    rf"(?P<open>\()?(?P<outer>[-+−]?)(?P<prefix>(?:{_CURRENCY})[{_BLANKS}]?|)(?P<inner>[-+−]?)"
    rf"(?P<digits>\d[\d.,'’{_BLANKS}]*\d|\d)(?P<suffix>[{_BLANKS}]?(?:{_UNITS}|{_CURRENCY})|[{_BLANKS}][A-Za-z/²³]{{1,12}}|)"
    r"(?P<close>\))?"
)


def number_format(sample: pd.Series) -> tuple[NumberText | None, NumberText | None]:
    """The format of texts that are numbers of one form, and another that would read them too, differently.

    None and None where they are no such numbers, or plain ones without any mark.
    """
    texts = sample.str.strip()
    parts = texts.str.extract(_NUMBER.pattern.join(("^(?:", ")$")))
    if parts["digits"].isna().any():
        return None, None
    parts = parts.fillna("")
    prefix, suffix = (_only(parts[side]) for side in ("prefix", "suffix"))
    if prefix is None or suffix is None or (parts["digits"].str.match(r"0\d").any()):
        return None, None
    decimals_shown = bool(parts["digits"].str.contains(r"[.,]", regex=True).any())
    if suffix and not re.fullmatch(rf"[{_BLANKS}]?(?:{_UNITS}|{_CURRENCY})", suffix) and not decimals_shown:
        return None, None  # `12 abc` may be a code
    marks = _marks(parts["digits"])
    if marks is None:
        return None, None
    thousands, decimal, other = marks
    if not (prefix or suffix or thousands or decimal == "," or decimals_shown):
        return None, None
    made = NumberText(prefix, suffix, thousands, decimal, _decimals(parts["digits"], decimal), _negative(parts))
    if other is None:
        return made, None
    return made, NumberText(prefix, suffix, *other, _decimals(parts["digits"], other[1]), _negative(parts))


def number_text(example: str, sample: pd.Series) -> NumberText | None:
    """The format of one example cell, such as ``1.234,56``, with as many decimals as the sample has."""
    made, _ = number_format(pd.Series([example]))
    if made is None:
        return None
    body = sample.str.extract(r"(\d[\d.,'’\s]*)", expand=False).str.strip().dropna()
    return NumberText(
        made.prefix, made.suffix, made.thousands, made.decimal, _decimals(body, made.decimal), made.negative
    )


def _only(values: pd.Series) -> str | None:
    found = values.unique()
    return str(found[0]) if len(found) == 1 else None


def _marks(digits: pd.Series) -> tuple[str, str, tuple[str, str] | None] | None:
    """Separator of thousands, decimal mark, and what they could be instead."""
    used = {mark for mark in f".,'’{_BLANKS}" if digits.str.contains(mark, regex=False).any()}
    if not used:
        return "", ".", None
    if len(used) == 1:
        return _one_mark(digits, used.pop())
    if len(used) > 2:
        return None
    first, second = sorted(used, key=lambda mark: digits.str.find(mark).replace(-1, 0).max())
    for thousands, decimal in ((first, second), (second, first)):
        if decimal in ".," and digits.str.fullmatch(_grouped(thousands, decimal)).all():
            return thousands, decimal, None
    return None


def _one_mark(digits: pd.Series, mark: str) -> tuple[str, str, tuple[str, str] | None] | None:
    grouped = bool(digits.str.fullmatch(_grouped(mark, "")).all())
    if mark not in ".,":
        return (mark, ".", None) if grouped else None
    single = bool((digits.str.count(re.escape(mark)) <= 1).all())
    if grouped and single and bool(digits.str.contains(mark, regex=False).all()):
        other = "," if mark == "." else "."
        return (mark, other, ("", mark)) if mark == "," else ("", mark, (mark, other))
    if grouped:
        return mark, "," if mark == "." else ".", None
    return ("", mark, None) if single else None


def _grouped(thousands: str, decimal: str) -> str:
    fraction = rf"(?:{re.escape(decimal)}\d+)?" if decimal else ""
    return rf"(?:[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+|\d{{1,3}}){fraction}"


def _decimals(digits: pd.Series, decimal: str) -> int | None:
    counts = digits.str.rpartition(decimal)[2].str.len().where(digits.str.contains(decimal, regex=False), 0).unique()
    return int(counts[0]) if len(counts) == 1 else None


def _negative(parts: pd.DataFrame) -> Literal["-", "inner", "brackets"]:
    if (parts["open"] == "(").any():
        return "brackets"
    return "inner" if parts["inner"].isin(["-", "−"]).any() and parts["prefix"].ne("").all() else "-"
