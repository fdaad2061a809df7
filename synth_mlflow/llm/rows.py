"""The rows in a model's answer: found in whatever stands around them, repaired where it is plain how, else rejected."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from synth_mlflow.data.columns import MAX_INTEGER
from synth_mlflow.llm.columns import Column

NOTHING = frozenset({"", "null", "none", "nan", "n/a", "na", "missing", "unknown"})
TRUE, FALSE = frozenset({"true", "yes", "1"}), frozenset({"false", "no", "0"})
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")


@dataclass
class Tally:
    """What became of the rows of all answers."""

    received: int = 0
    repaired: int = 0
    duplicates: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    """Numbers by reason."""


class MisfitError(ValueError):
    """A value that is none of its column's, with the reason."""


def rows_in(text: str) -> list[object]:
    """The JSON objects of an answer that stand there whole: of a cut answer those before the cut.

    Examples
    --------
    >>> rows_in('Sure! ```json [{"a": 1}, {"a": 2,}, {"a":')
    [{'a': 1}, {'a': 2}]
    >>> rows_in("I cannot do that.")
    []
    """
    plain, found, at = _TRAILING_COMMA.sub(r"\1", text), list[object](), 0
    decoder = json.JSONDecoder()
    while (at := plain.find("{", at)) >= 0:
        try:
            value, end = decoder.raw_decode(plain, at)
        except (ValueError, RecursionError):
            at += 1  # the object around rows of which the last is cut
            continue
        rows = value.get("rows")
        found += rows if isinstance(rows, list) else [value]
        at = end
    return found


def fitted(row: object, columns: Sequence[Column]) -> tuple[dict[str, Any], bool]:
    """A row with the columns and types of the table, and whether it had to be repaired for that.

    Raises
    ------
    MisfitError
        If a column is missing, or a value is none of its column's; says which.
    """
    if not isinstance(row, Mapping):
        raise MisfitError("is no object")
    given = {str(name).strip().casefold(): value for name, value in row.items()}
    values, repaired = {}, len(row) != len(columns)
    for column in columns:
        if column.name not in row and column.name.casefold() not in given:
            raise MisfitError(f"{column.name!r} is missing")
        value = row[column.name] if column.name in row else given[column.name.casefold()]
        values[column.name] = _value(value, column)
        repaired |= column.name not in row or _differs(value, values[column.name], column)
    return values, repaired


def _differs(given: object, kept: object, column: Column) -> bool:
    if column.kind == "datetime":
        return kept is None and given is not None
    return (type(given) is not type(kept) and not (column.kind == "number" and isinstance(given, int))) or given != kept


def _value(value: object, column: Column) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)) or _says_nothing(value, column):
        if not column.may_be_missing:
            raise MisfitError(f"{column.name!r} has no value")
        return None
    try:
        return _READERS[column.kind](value, column)
    except (ValueError, TypeError, OverflowError) as error:
        raise MisfitError(
            f"{column.name!r} {error if isinstance(error, MisfitError) else f'is no {column.kind}'}"
        ) from error


def _says_nothing(value: object, column: Column) -> bool:
    if not isinstance(value, str) or (column.kind == "string" and column.levels is None):
        return False
    return value.strip().casefold() in NOTHING and value not in (column.levels or ())


def _integer(value: Any, _: Column) -> int:
    if isinstance(value, bool):
        raise TypeError
    number = value if isinstance(value, int) else _float(value)
    if number != int(number) or abs(number) > MAX_INTEGER:
        raise MisfitError("is no whole number")
    return int(number)


def _number(value: Any, _: Column) -> float:
    return _float(value)


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value.replace(",", "").replace("_", "") if isinstance(value, str) else value)
    if not math.isfinite(number):
        raise MisfitError("is not finite")
    return number


def _boolean(value: Any, _: Column) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().casefold()
    if text not in TRUE | FALSE:
        raise ValueError
    return text in TRUE


def _text(value: Any, column: Column) -> str:
    if isinstance(value, dict | list):
        raise TypeError
    text = value if isinstance(value, str) else json.dumps(value)
    if column.levels is None or text in column.levels:
        return text
    alike = [level for level in column.levels if level.casefold() == text.strip().casefold()]
    if len(alike) != 1:
        raise MisfitError("is none of its levels")
    return alike[0]


def _moment(value: Any, _: Column) -> pd.Timestamp:
    if not isinstance(value, str):
        raise TypeError
    moment = pd.Timestamp(value.strip())
    return moment.tz_convert("UTC").tz_localize(None) if moment.tzinfo else moment


_READERS: Mapping[str, Callable[[Any, Column], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _text,
    "datetime": _moment,
}
