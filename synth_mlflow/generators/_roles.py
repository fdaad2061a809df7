"""What part each column plays in a generator: modelled, held constant, or regenerated as an identifier."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pandas as pd

from synth_mlflow.data import roles
from synth_mlflow.data.columns import CATEGORICAL_KINDS, Kind, schema_of

Role = Literal["number", "category", "constant", "identifier", "text"]


def roles_of(members: pd.DataFrame, target: str, known: Mapping[str, roles.Role] | None = None) -> Mapping[str, Role]:
    """The role of each column of a normalised table; the target is always modelled unless it is constant.

    Parameters
    ----------
    members : DataFrame
    target : str
    known : mapping of str to Role, optional
        What the project's schema says; columns that it does not name are judged by their values.

    Examples
    --------
    >>> roles_of(pd.DataFrame({"a": [1.5, 2.5], "b": ["x", "x"], "y": [True, False]}), "y")
    {'a': 'number', 'b': 'constant', 'y': 'category'}
    """
    kinds, known = schema_of(members), known or {}
    return {name: _role(members[name], kinds[name], target, known.get(name)) for name in kinds}


def _role(column: pd.Series, kind: Kind, target: str, known: roles.Role | None) -> Role:
    modelled: Role = "category" if kind in CATEGORICAL_KINDS else "number"
    if roles.is_constant(column):
        return "constant"
    if column.name == target:
        return modelled
    found = known or roles.role_of(column, kind)
    if found in {"identifier", "group key"}:
        return "identifier"
    return "text" if found == "text" else modelled
