"""Tables of choices: several rows for each person, one for each alternative, and exactly one of them chosen.

Generators that make each row by itself cannot keep that exactly one row of a person is chosen. As one row for each
person, with the chosen alternative as target, the table has nothing that they could break.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from synth_mlflow.data.addresses import is_rewritable
from synth_mlflow.data.columns import n_distinct
from synth_mlflow.data.csv_format import CsvFormat
from synth_mlflow.data.mapped import let_go
from synth_mlflow.data.rewriting import pivoted

MIN_GROUPS = 20
MAX_ALTERNATIVES = 20


@dataclass(frozen=True)
class ChoiceSets:
    """Which columns say who chooses, among what, and what was chosen."""

    group: str
    alternative: str
    target: str
    chosen: Any
    """The value of the target in the one row of a group that was chosen."""
    n_groups: int
    n_alternatives: int
    constant: tuple[str, ...]
    """Further columns that never differ within a group."""
    varying: tuple[str, ...]

    @property
    def words(self) -> str:
        """What was found."""
        return (
            f"{self.n_groups:,} values of {self.group!r} have {self.n_alternatives} rows each, one for each "
            f"{self.alternative!r}, and exactly one of them has {self.target!r} {self.chosen!s}"
        )

    @property
    def advice(self) -> str:
        """What was found, why that is a difficulty, and what helps."""
        return (
            f"{self.words}. Generators make each row by itself and cannot keep that. Begin with a table of one row for "
            f"each {self.group!r}, whose target is the chosen {self.alternative!r}"
        )

    def commands(self, path: str, form: CsvFormat) -> tuple[str, ...]:
        """Write that table, and begin a project with it; what to do instead, where the table is a query.

        Parameters
        ----------
        path : str
            The table at hand, as the reader may name it.
        form : CsvFormat
            Of a table of texts.
        """
        if not is_rewritable(path):
            return (f"Make it where this table is made: one row for each {self.group!r}.",)
        copy = pivoted(self, path, form)
        return copy.command, f"synth-mlflow init --from {shlex.quote(copy.path)} --target {shlex.quote(self.target)}"

    def as_in_file(self, rows: pd.DataFrame, column: Any) -> ChoiceSets:
        """With the value of the target as the file holds it.

        Parameters
        ----------
        rows : DataFrame
            As they were normalised.
        column : Series or ChunkedArray of shape (n_rows,)
            The target in the file.
        """
        cell = column[int((rows[self.target] == self.chosen).to_numpy().argmax())]
        return replace(self, chosen=cell.as_py() if hasattr(cell, "as_py") else cell)


def choice_sets_of(rows: pd.DataFrame, target: str | None) -> ChoiceSets | None:
    """The choice sets that a normalised table is made of; None if it is not.

    Examples
    --------
    >>> rows = pd.DataFrame({"who": sorted([*range(30)] * 2), "by": ["car", "bus"] * 30, "taken": ["1", "0"] * 30})
    >>> choice_sets_of(rows, "taken").words
    "30 values of 'who' have 2 rows each, one for each 'by', and exactly one of them has 'taken' 1"
    """
    if target is None or target not in rows or rows[target].isna().any() or rows[target].nunique() != 2:
        return None
    for group, n_groups in _groups(rows, target):
        chosen = _chosen(rows, group, target, n_groups)
        alternative = next(_alternatives(rows, group, target, len(rows) // n_groups), None)
        if chosen is None or alternative is None:
            continue
        others = [str(name) for name in rows if name not in {group, alternative, target}]
        same = rows.groupby(group)[others].nunique(dropna=False).le(1).all()
        constant = tuple(name for name in others if same[name])
        varying = tuple(name for name in others if not same[name])
        return ChoiceSets(group, alternative, target, chosen, n_groups, len(rows) // n_groups, constant, varying)
    return None


def _groups(rows: pd.DataFrame, target: str) -> Iterator[tuple[str, int]]:
    """Columns whose every value has equally many rows, and how many values."""
    for name in rows:
        let_go()
        if name == target or rows[name].isna().any():
            continue
        n_groups = n_distinct(rows[name])
        n_each, remainder = divmod(len(rows), n_groups)
        if n_groups < MIN_GROUPS or remainder or not 2 <= n_each <= MAX_ALTERNATIVES:
            continue
        sizes = rows[name].value_counts()
        if sizes.iloc[0] == sizes.iloc[-1]:
            yield str(name), n_groups


def _chosen(rows: pd.DataFrame, group: str, target: str, n_groups: int) -> Any | None:
    """The value that exactly one row of every group has."""
    for value, count in rows[target].value_counts().items():
        if count == n_groups == rows.loc[rows[target] == value, group].nunique():
            return value
    return None


def _alternatives(rows: pd.DataFrame, group: str, target: str, n_alternatives: int) -> Iterator[str]:
    """Columns of which every group has every value once."""
    for name in rows:
        is_complete = rows[name].nunique(dropna=False) == n_alternatives
        if is_complete and name not in (group, target) and not rows.duplicated([group, name]).any():
            yield str(name)
