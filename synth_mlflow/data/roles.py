"""What part a column plays: a measurement, a category, a text, an identifier; whatever its type is."""

from __future__ import annotations

import re
from typing import Literal, get_args

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import CATEGORICAL_KINDS, EXACT, Kind
from synth_mlflow.data.identifier_forms import known_form

Role = Literal[
    "number", "category", "boolean", "datetime", "time of day", "duration", "text", "identifier", "group key",
    "constant", "target", "weight", "ignored",
]  # fmt: skip
ROLES: tuple[Role, ...] = get_args(Role)

MIN_ROWS = 50  # below it, values that are all different say little about what a column is
UNIQUE_SHARE = 0.9  # of the present values
TEXT_WORDS = 4  # mean number of words from which a nearly unique column is prose
TEXT_LENGTH = 60  # mean number of characters, likewise
SURPRISE = 7.0  # expected ties among integers; none at all has then a chance of e^-7
FEW_GROUPS = 20
"""A group key of more groups than this names them; of fewer, it is a category like region."""
NO_FEATURES: frozenset[str] = frozenset({"identifier", "group key", "weight", "ignored"})
"""Roles of columns that no model learns from."""
_ID_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|key)$|(?<=[a-z])(Id|ID|Uuid|Key)$", re.ASCII)
_WORDS = r"(^|[_\W\d])({})s?([_\W\d]|$)"
_YEAR_NAME = re.compile(_WORDS.format("year|yr|jahr|date|time|period|month|week|day"), re.IGNORECASE)
_ROUND_NAME = re.compile(_WORDS.format("quarter|visit|wave"), re.IGNORECASE)


def role_of(column: pd.Series, kind: Kind) -> Role:
    """The role of one column of a normalised table, from its values and its name.

    Examples
    --------
    >>> role_of(pd.Series([1.5, 2.5]), "number"), role_of(pd.Series(["x", "x"]), "string")
    ('number', 'constant')
    """
    present = column.dropna()
    if is_constant(column):
        return "constant"
    if kind == "string" and known_form(present):
        return "identifier"
    if len(present) >= MIN_ROWS:
        if kind == "string" and present.nunique() > UNIQUE_SHARE * len(present):
            return "text" if _is_prose(present) else "identifier"
        if _is_whole(present, kind) and present.is_unique and _is_numbering(present):
            return "identifier"
        if kind == "integer" and present.is_unique and max(present.max(), -present.min()) > EXACT:
            return "identifier"  # nothing is measured to so many digits
    if kind == "boolean":
        return "boolean"
    return "category" if kind in CATEGORICAL_KINDS else "datetime" if kind == "datetime" else "number"


def is_named_as_key(name: str) -> bool:
    """Whether a column's name says that it is a key.

    >>> is_named_as_key("patient_id"), is_named_as_key("paid")
    (True, False)
    """
    return _ID_NAME.search(name) is not None


def is_named_as_time(name: str) -> bool:
    """Whether a column's name says that it is a time, or a number of a time.

    >>> is_named_as_time("survey_year"), is_named_as_time("Visit"), is_named_as_time("yearly_pay")
    (True, True, False)
    """
    return bool(_YEAR_NAME.search(name) or _ROUND_NAME.search(name))


def is_constant(column: pd.Series) -> bool:
    """Whether there is nothing to learn: no value at all, or one value in every row."""
    present = column.dropna()
    return present.empty or (len(present) == len(column) and present.nunique() == 1)


def _is_prose(present: pd.Series) -> bool:
    words = float((present.str.count(" ") + 1).mean())
    return words >= TEXT_WORDS or float(present.str.len().mean()) >= TEXT_LENGTH


def _is_whole(present: pd.Series, kind: Kind) -> bool:
    return kind == "integer" or (kind == "number" and bool((present == present.round()).all()))


def _is_numbering(present: pd.Series) -> bool:
    """Whether distinct integers are too many to be all different by chance (the birthday problem), or are named so."""
    if is_named_as_key(str(present.name)):
        return True
    if _YEAR_NAME.search(str(present.name)):
        return False
    values = present.to_numpy(dtype="float64")
    n_possible = float(np.ptp(values)) + 1.0
    return bool(values.min() >= 0 and len(values) ** 2 / (2.0 * n_possible) > SURPRISE)
