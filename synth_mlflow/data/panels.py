"""Panels: the same groups observed again and again, each at most once at any time, as patients at their visits are."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.roles import FEW_GROUPS, SURPRISE, is_named_as_key, is_named_as_time

NAMED = frozenset({"target", "weight", "group key", "identifier", "constant"})
"""Roles of columns that name no group of rows, or are made afresh already."""


@dataclass(frozen=True)
class Panel:
    """What names the groups of rows, and when each was observed."""

    group: str
    time: str
    constant: tuple[str, ...]
    """Further columns that are the same in every row of a group."""
    n_groups: int = field(default=0, compare=False)

    @property
    def words(self) -> str:
        """What makes the table a panel."""
        same = f", and {', '.join(map(repr, self.constant))} never change within one" if self.constant else ""
        return f"the table is a panel: no two rows share {self.group!r} and {self.time!r}{same}"

    @property
    def ways_out(self) -> str:
        """What can be done about it, in lines to paste."""
        by_group = (
            f"or cut it by `synth-mlflow freeze --group {shlex.quote(self.group)}`: each synthetic row is then of a "
            "new group. "
            if self.n_groups > FEW_GROUPS
            else ""
        )
        return (
            "Start a new project (another `name` in problem.md) and leave the column out:\n"
            f"  columns:\n    {json.dumps(self.group)}: {{role: ignored}}\n"
            f"{by_group}Whole groups are made by generators of sequences, such as SDV's "
            "PARSynthesizer; take their file in with `synth-mlflow generate --from FILE --record RECORD`."
        )


def panel_of(rows: pd.DataFrame, roles: Mapping[str, str]) -> Panel | None:
    """The panel that a normalised table is; None if there is none, or its group key has that role already.

    A column of texts, or of whole numbers that is named as a key, names groups if no two rows share its value and a
    time (a date, or a whole number that is named as a time, such as a year), where independent columns of their
    frequencies would share more than `roles.SURPRISE` (the birthday problem), so that chance alone gives a panel to one
    table in a thousand.

    Examples
    --------
    >>> days = pd.Series(pd.date_range("2024-01-01", periods=10)).repeat(10).reset_index(drop=True)
    >>> panel_of(pd.DataFrame({"who": list("abcdefghij") * 10, "day": days}), {"who": "category"})
    Panel(group='who', time='day', constant=(), n_groups=10)
    """
    schema = schema_of(rows)
    groups = [name for name in schema.of_kind("string") if roles.get(name) not in NAMED and not is_named_as_time(name)]
    groups += [
        name
        for name in schema.of_kind("integer")
        if is_named_as_key(name) and roles.get(name) in {"number", "category"}
    ]
    numbered = [name for name in schema.of_kind("integer") if is_named_as_time(name)]
    for time in (*schema.of_kind("datetime"), *numbered):
        for group in groups:
            if group != time and _are_crossed(rows[group], rows[time]):
                others = [name for name in schema if name not in {group, time}]
                levels = rows.groupby(group)[others].nunique(dropna=False)
                same = tuple(name for name in others if (levels[name] <= 1).all())
                return Panel(group, time, same, len(levels))
    return None


def panel_words(rows: pd.DataFrame, roles: Mapping[str, str]) -> str:
    """Which generators cannot make a table, and what can be done; empty where the table is no panel.

    It is said before the evaluation set is frozen, while the split can still be chosen, and again after.
    """
    panel = panel_of(rows, roles)
    if panel is None:
        return ""
    return (
        f"{panel.words}. Generators that make each row by itself (`forest` and all others that are built in, "
        f"`sdv:GaussianCopulaSynthesizer` and other single-table peers) would break that. {panel.ways_out}"
    )


def _are_crossed(group: pd.Series, time: pd.Series) -> bool:
    present = pd.DataFrame({"group": group, "time": time}).dropna()
    if len(present) < 2:
        return False
    alike = [_pairs(np.asarray(present[name].value_counts(), dtype=np.float64)).sum() for name in present]
    expected = alike[0] * alike[1] / _pairs(np.array([float(len(present))])).sum()
    return bool(expected > SURPRISE) and not present.duplicated().any()


def _pairs(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How many pairs of rows there are among so many."""
    return counts * (counts - 1.0) / 2.0
