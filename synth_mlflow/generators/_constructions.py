"""Columns that follow from others, taken apart before a generator learns and put together after it has drawn."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.constraints import Constraint, Constraints, Fixed, Order, Total, combinations
from synth_mlflow.data.grids import time_unit_us
from synth_mlflow.data.resolution import grid_step, on_grid
from synth_mlflow.data.slices import Mask
from synth_mlflow.generators._numbers import Floats

Others = tuple[tuple[int, str], ...]
"""Sign and name of the columns that another one follows from."""


@dataclass(frozen=True)
class Remainder:
    """A column as what is left of it when others are taken away; it is never present where one of them is missing."""

    text: str
    column: str
    others: Others
    unit: float
    """What 1.0 of the remainder stands for: microseconds for dates, else 1."""
    step: float | None
    """The grid of the column's own values, in microseconds for dates; None if they are continuous."""
    dtype: str
    """Of the column."""
    low: float
    """The smallest of the column's values; nothing is put together that lies below it."""
    high: float

    def take_apart(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The column replaced by its remainder."""
        rest = (_floats(frame[self.column]) - self._taken(frame)) / self.unit
        present = rest[~np.isnan(rest)]
        step = grid_step(np.unique(present))
        rest = rest if step is None else on_grid(rest, step)
        is_whole = step == 1.0 and len(present) == len(rest)
        return frame.assign(**{self.column: rest.astype("int64") if is_whole else rest})

    def put_together(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The column itself; missing where a piece is missing, or where it would leave the range of its values."""
        values = self._taken(frame) + self.unit * _floats(frame[self.column])
        values = values if self.step is None else on_grid(values, self.step)
        values = np.where((values >= self.low) & (values <= self.high), values, np.nan)
        return frame.assign(**{self.column: _dates(values) if self.dtype.startswith("datetime") else values})

    def is_out_of_range(self, apart: pd.DataFrame, together: pd.DataFrame) -> Mask:
        """Rows whose pieces were all there but gave no value that may be kept."""
        pieces = apart[self.column].notna() & together[[name for _, name in self.others]].notna().all(axis=1)
        return (pieces & together[self.column].isna()).to_numpy(dtype=bool)

    def _taken(self, frame: pd.DataFrame) -> Floats:
        return np.asarray(np.sum([sign * _floats(frame[name]) for sign, name in self.others], axis=0))


@dataclass(frozen=True)
class Joint:
    """Several columns as one whose levels are their combinations."""

    text: str
    column: str
    """The one that stands for all."""
    known: pd.DataFrame
    """A combination a row."""

    def take_apart(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns replaced by the position of each row's combination among the known ones, as text."""
        names = list(self.known.columns)
        at = combinations(pd.concat([self.known, frame[names]], ignore_index=True))[len(self.known) :]
        levels = pd.Series(at, index=frame.index).map("c{}".format).astype("str")
        return frame.drop(columns=names).assign(**{self.column: levels})

    def put_together(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns themselves."""
        at = frame[self.column].str.removeprefix("c").astype("int64").to_numpy()
        return frame.assign(**dict(self.known.iloc[at].set_axis(frame.index)))

    def is_out_of_range(self, apart: pd.DataFrame, together: pd.DataFrame) -> Mask:  # noqa: ARG002 (as of a remainder)
        """None: every level is a combination."""
        return np.zeros(len(apart), dtype=np.bool_)


Construction = Remainder | Joint


def constructions(constraints: Constraints, members: pd.DataFrame, whole: Iterable[str]) -> tuple[Construction, ...]:
    """What can be had by construction, in the order in which columns are taken apart; the rest is up to rejection.

    Parameters
    ----------
    whole : iterable of str
        Columns that the generator must be shown as they are: the target, and those of the slice.
    """
    closed = set(whole)
    joints: list[Joint] = []
    for one in constraints:
        if isinstance(one, Fixed) and one.known is not None and not closed & set(one.names):
            joints.append(Joint(one.text, one.names[0], one.known))
            closed |= set(one.names)
    remainders: list[Remainder] = []
    for one in constraints:
        remainder = _remainder(one, members, closed, remainders)
        if remainder is not None:
            remainders.append(remainder)
            closed.add(remainder.column)
    return (*_dependents_first(remainders), *joints)


def _remainder(
    one: Constraint, members: pd.DataFrame, closed: set[str], earlier: Sequence[Remainder]
) -> Remainder | None:
    for column, others in _ways(one, members):
        names = [name for _, name in others]
        stands_alone = members[column].notna() & members[names].isna().any(axis=1)
        if column not in closed and not stands_alone.any() and not _leads_to(column, names, earlier):
            return _remainder_of(one, column, others, members)
    return None


def _ways(one: Constraint, members: pd.DataFrame) -> list[tuple[str, Others]]:
    """Which column may follow from which others; of a sum only one whose grid is as fine as any."""
    if isinstance(one, Order):
        return [(one.high, ((1, one.low),)), (one.low, ((1, one.high),))]
    if not isinstance(one, Total):
        return []
    steps = {name: _own_step(members[name]) or 0.0 for name in one.columns}
    ways = [(one.column, one.parts)]
    for sign, name in reversed(one.parts):
        rest = ((-other_sign * sign, other) for other_sign, other in one.parts if other != name)
        ways.append((name, ((sign, one.column), *rest)))
    return [(column, others) for column, others in ways if steps[column] == min(steps.values())]


def _remainder_of(one: Constraint, column: str, others: Others, members: pd.DataFrame) -> Remainder:
    values = _floats(members[column])
    unit = 1.0
    if _is_date(members[column]):
        gaps = values - np.sum([sign * _floats(members[name]) for sign, name in others], axis=0)
        unit = float(time_unit_us(gaps[~np.isnan(gaps)].astype(np.int64)))
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else (0.0, 0.0)
    return Remainder(one.text, column, others, unit, _own_step(members[column]), str(members[column].dtype), low, high)


def _own_step(column: pd.Series) -> float | None:
    present = np.unique(_floats(column.dropna()))
    return float(time_unit_us(present.astype(np.int64))) if _is_date(column) else grid_step(present)


def _leads_to(column: str, names: Sequence[str], steps: Sequence[Remainder]) -> bool:
    """Whether one of ``names`` follows from ``column``, directly or not."""
    if column in names:
        return True
    sources = {step.column: [name for _, name in step.others] for step in steps}
    return any(_leads_to(column, sources[name], steps) for name in names if name in sources)


def _dependents_first(steps: list[Remainder]) -> list[Remainder]:
    """Each column before those that it follows from: they must still be whole when it is taken apart."""
    left, ordered = list(steps), []
    while left:
        needed = {name for step in left for _, name in step.others}
        ordered += [step for step in left if step.column not in needed]
        left = [step for step in left if step.column in needed]
    return ordered


def _floats(column: pd.Series) -> Floats:
    """Numbers as they are, dates in microseconds, NaN where missing."""
    if not _is_date(column):
        return np.asarray(column.to_numpy(dtype="float64", na_value=np.nan))
    ticks = column.to_numpy(dtype="datetime64[us]").astype(np.int64).astype(np.float64)
    return np.where(column.isna().to_numpy(dtype=bool), np.nan, ticks)


def _dates(values: Floats) -> pd.Series:
    missing = np.isnan(values)
    moments = np.where(missing, 0.0, values).astype(np.int64).astype("datetime64[us]")
    moments[missing] = np.datetime64("NaT")
    return pd.Series(moments)


def _is_date(column: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(column.dtype)
