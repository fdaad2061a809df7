"""The rows that a check looks at: inside the slice, of one schema, and few enough to be quick."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from synth_mlflow.checks import CheckInput
from synth_mlflow.data.columns import NUMERIC_KINDS, conform, schema_of
from synth_mlflow.data.digests import Hashes, row_hashes
from synth_mlflow.data.grids import float_width, grid_step
from synth_mlflow.data.scaled_grid import ScaledUnit
from synth_mlflow.data.splits import Positions
from synth_mlflow.metrics.shared_keys import identifying_columns

SIDES = {"batch": "rows of the batch", "members": "training rows", "control": "evaluation rows"}


@dataclass(frozen=True)
class Tables:
    """A batch and the real rows that it is judged against."""

    batch: pd.DataFrame
    members: pd.DataFrame
    control: pd.DataFrame

    @property
    def real(self) -> pd.DataFrame:
        """Members and control together."""
        return pd.concat([self.members, self.control], ignore_index=True)

    def real_column(self, name: str) -> pd.Series:
        """A column of members and control together; a whole table of both would be a copy of all that there is."""
        return pd.concat([self.members[name], self.control[name]], ignore_index=True)

    def real_columns(self) -> Iterator[pd.Series]:
        """Each column of members and control together, one at a time."""
        return (self.real_column(str(name)) for name in self.members)

    @cached_property
    def hashes(self) -> tuple[Hashes, Hashes, Hashes]:
        """The hashes of the rows of batch, members and control."""
        batch, members, control = (row_hashes(rows) for rows in (self.batch, self.members, self.control))
        return batch, members, control

    @property
    def n_real(self) -> int:
        """How many members and control rows there are."""
        return len(self.members) + len(self.control)

    @cached_property
    def identifying(self) -> list[str]:
        """The columns that tell real rows apart by design."""
        return identifying_columns(self.real_columns())

    def real_hashes(self) -> Hashes:
        """The hashes of members, then of control rows."""
        return np.concatenate(self.hashes[1:])

    def without(self, column: str | None) -> Tables:
        """The same rows but for one column: the one of groups says who a row is about, and the two sides share none."""
        if column is None:
            return self
        return Tables(*(rows.drop(columns=column) for rows in (self.batch, self.members, self.control)))


def judged_tables(evidence: CheckInput) -> Tables:
    """The evidence restricted to the slice that the batch was made for.

    Raises
    ------
    UsageError
        If the batch or the control lacks a column of the members, has one more, or holds other kinds of values.
    """
    if "judged_tables" not in evidence.shared:
        evidence.shared["judged_tables"] = _judged_tables(evidence)
    judged: Tables = evidence.shared["judged_tables"]
    return judged


def _judged_tables(evidence: CheckInput) -> Tables:
    schema = schema_of(evidence.members)
    batch = conform(evidence.batch, schema, "the batch")
    control = conform(evidence.control, schema, "the control")
    if evidence.slice is None:
        return _without_dust(Tables(batch, evidence.members, control))
    inside = (rows[evidence.slice.mask(rows)].reset_index(drop=True) for rows in (batch, evidence.members, control))
    return _without_dust(Tables(*inside))


def _without_dust(tables: Tables) -> Tables:
    """The same rows, with equal numbers where shifting and scaling have left differences in the last digits.

    A generator that has not seen a value can meet its place on the grid of a standardised column, not its last bit:
    compared bit by bit, the values of members alone would be found in its batch.
    """
    units = {
        name: unit
        for name in tables.members.columns
        if (unit := _scaled_unit([tables.members[name], tables.control[name]])) is not None
    }
    return Tables(*(_exact(rows, units) for rows in (tables.batch, tables.members, tables.control)))


def _scaled_unit(real: Sequence[pd.Series]) -> ScaledUnit | None:
    if any(values.dtype != "float64" for values in real):
        return None
    distinct, counts = np.unique(pd.concat(real).dropna().to_numpy(), return_counts=True)
    step = grid_step(distinct)
    if step is not None or float_width(distinct, step) is not np.float64:
        return None
    return ScaledUnit.of(distinct, counts)


def _exact(rows: pd.DataFrame, units: Mapping[str, ScaledUnit]) -> pd.DataFrame:
    columns = {
        name: unit.without_dust(rows[name].to_numpy(dtype=np.float64))
        for name, unit in units.items()
        if rows[name].dtype == "float64"
    }
    return rows.assign(**columns)


def without(tables: Tables, columns: Sequence[str]) -> Tables:
    """The same rows without columns that tell them apart by design, as long as some columns are left."""
    if not columns or len(columns) == tables.members.shape[1]:
        return tables
    return Tables(*(rows.drop(columns=list(columns)) for rows in (tables.batch, tables.members, tables.control)))


def subsample(rows: pd.DataFrame, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
    """At most ``n_rows`` rows, drawn without replacement, in their old order."""
    return rows if len(rows) <= n_rows else rows.iloc[thinned(len(rows), n_rows, rng)].reset_index(drop=True)


def thinned(n_all: int, n_rows: int, rng: np.random.Generator) -> Positions:
    """Sorted places of at most ``n_rows`` of ``n_all`` rows, drawn without replacement."""
    return np.arange(n_all) if n_all <= n_rows else np.sort(rng.choice(n_all, size=n_rows, replace=False))


def too_few(tables: Tables, *, needed: int, needed_batch: int, why: str) -> str:
    """Why no verdict can be given, or nothing if there are rows enough on every side."""
    sides = (
        ("batch", tables.batch, needed_batch),
        ("members", tables.members, needed),
        ("control", tables.control, needed),
    )
    return few_rows_in_words(why, {name: (len(rows), n) for name, rows, n in sides})


def few_rows_in_words(why: str, sides: Mapping[str, tuple[int, int]]) -> str:
    """Which sides have fewer rows than needed; empty if none. Each side with its rows and how many are needed."""
    short = [f"{n:,} {SIDES[name]}, {needed:,} needed" for name, (n, needed) in sides.items() if n < needed]
    return f"too few rows to {why}: {'; '.join(short)}" if short else ""


def later_columns(evidence: CheckInput, tables: Tables) -> list[str]:
    """Columns by which every evaluation row comes after all training rows, as in a split by time.

    A batch that was made from training rows cannot have the values of such a column in evaluation rows.
    """
    kinds = schema_of(tables.members).kinds
    ordered = [name for name, kind in kinds.items() if kind in (*NUMERIC_KINDS, "datetime")]
    return [name for name in ordered if evidence.members[name].max() < evidence.control[name].min()]
