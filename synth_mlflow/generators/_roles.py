"""What part each column plays in a generator: modelled, held constant, or regenerated as an identifier."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
import pandas as pd

from synth_mlflow.data.columns import CATEGORICAL_KINDS, Kind, schema_of

Role = Literal["number", "category", "constant", "identifier", "text"]

MIN_ROWS = 50  # below it, values that are all different say little about what a column is
UNIQUE_SHARE = 0.9  # of the present values
TEXT_WORDS = 4  # mean number of words from which a nearly unique column is prose
TEXT_LENGTH = 60  # mean number of characters, likewise
SURPRISE = 7.0  # expected ties among integers; none at all has then a chance of e^-7
_ID_NAME = re.compile(r"(^|[_\W])(id|uuid|guid|key)$|(?<=[a-z])(Id|ID|Uuid|Key)$", re.ASCII)


def roles_of(members: pd.DataFrame, target: str) -> Mapping[str, Role]:
    """The role of each column of a normalised table; the target is always modelled unless it is constant.

    Examples
    --------
    >>> roles_of(pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "x"], "y": [True, False]}), "y")
    {'a': 'number', 'b': 'constant', 'y': 'category'}
    """
    kinds = schema_of(members)
    return {name: _role(members[name], kinds[name], is_target=name == target) for name in kinds}


def _role(column: pd.Series, kind: Kind, *, is_target: bool) -> Role:
    present = column.dropna()
    if present.empty or (len(present) == len(column) and present.nunique() == 1):
        return "constant"
    if not is_target and len(present) >= MIN_ROWS:
        if kind == "string" and present.nunique() > UNIQUE_SHARE * len(present):
            return "text" if _is_prose(present) else "identifier"
        if _is_whole(present, kind) and present.is_unique and _is_numbering(present):
            return "identifier"
    return "category" if kind in CATEGORICAL_KINDS else "number"


def _is_prose(present: pd.Series) -> bool:
    words = float((present.str.count(" ") + 1).mean())
    return words >= TEXT_WORDS or float(present.str.len().mean()) >= TEXT_LENGTH


def _is_whole(present: pd.Series, kind: Kind) -> bool:
    return kind == "integer" or (kind == "number" and bool((present == present.round()).all()))


def _is_numbering(present: pd.Series) -> bool:
    """Whether distinct integers are too many to be all different by chance (the birthday problem), or are named so."""
    if _ID_NAME.search(str(present.name)):
        return True
    values = present.to_numpy(dtype="float64")
    n_possible = float(np.ptp(values)) + 1.0
    return bool(values.min() >= 0 and len(values) ** 2 / (2.0 * n_possible) > SURPRISE)
