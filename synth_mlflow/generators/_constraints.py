"""Fit and draw so that declared constraints hold in every row.

Columns that follow from others, taken apart before a generator learns and put together after it has drawn.

Rows that keep declared constraints: by construction where a column follows from others, else by rejection.

A column that must not lie below another is modelled as its distance from it, a sum as what its parts leave over, which
is nothing, and columns with fixed combinations as one. Columns that are found to follow from others without
exception are left out, and computed again. Whatever is drawn is put together again and looked at; rows that
break a constraint, or that leave the members' range by being put together, are drawn again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from synth_mlflow.data.constraints import Constraint, Constraints, Fixed, Order, Total, combinations
from synth_mlflow.data.date_orders import date_orders
from synth_mlflow.data.grids import Chain, floats_of, grid_step, moments_grid, on_grid, time_unit_us
from synth_mlflow.data.slices import Mask, Slice
from synth_mlflow.data.task import Task
from synth_mlflow.errors import GeneratorError
from synth_mlflow.generators import Generator, Sampler
from synth_mlflow.generators._dependencies import dependencies
from synth_mlflow.generators._followers import Follower, Line
from synth_mlflow.generators._identifiers import roles_of
from synth_mlflow.generators._numeric import Floats, Ints
from synth_mlflow.generators._table_sampler import CONSTANT_COLUMNS

Others = tuple[tuple[int, str], ...]
"""Sign and name of the columns that another one follows from."""
Way = tuple[str, Others]
"""A column, and those that it may follow from."""


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
        rest = (floats_of(frame[self.column]) - self._taken(frame)) / self.unit
        present = rest[~np.isnan(rest)]
        step = grid_step(np.unique(present))
        rest = rest if step is None else on_grid(rest, step)
        is_whole = step == 1.0 and len(present) == len(rest)
        return frame.assign(**{self.column: rest.astype("int64") if is_whole else rest})

    def put_together(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The column itself; missing where a piece is missing, or where it would leave the range of its values."""
        values = self._taken(frame) + self.unit * floats_of(frame[self.column])
        values = values if self.step is None else on_grid(values, self.step)
        values = np.where((values >= self.low) & (values <= self.high), values, np.nan)
        return frame.assign(**{self.column: _dates(values) if self.dtype.startswith("datetime") else values})

    def is_out_of_range(self, apart: pd.DataFrame, together: pd.DataFrame) -> Mask:
        """Rows whose pieces were all there but gave no value that may be kept."""
        pieces = apart[self.column].notna() & together[[name for _, name in self.others]].notna().all(axis=1)
        return (pieces & together[self.column].isna()).to_numpy(dtype=bool)

    def _taken(self, frame: pd.DataFrame) -> Floats:
        return np.asarray(np.sum([sign * floats_of(frame[name]) for sign, name in self.others], axis=0))


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


@dataclass(frozen=True)
class Later(Remainder):
    """A date as its distance from another one that it never lies before, or after, in any real row.

    Where both keep to weekdays, the distance is one in weekdays.
    """

    own: Chain
    """What the dates of real rows keep to, such as weekdays."""
    both: Chain
    """What they and the dates of the other column keep to."""

    def take_apart(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The column replaced by its distance."""
        rest = self._places(frame[self.column]) - self._places(frame[self.others[0][1]])
        return frame.assign(**{self.column: rest if np.isnan(rest).any() else rest.astype("int64")})

    def put_together(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The date itself; missing where a piece is missing, or where it would leave the range of its values."""
        places = self._places(frame[self.others[0][1]]) + np.rint(floats_of(frame[self.column]))
        there = (places >= self.both.first) & (places <= self.both.last)
        values = self.both.values(np.where(there, places, self.both.first).astype(np.int64)).astype(np.float64)
        there &= (values >= self.low) & (values <= self.high)
        return frame.assign(**{self.column: _dates(np.where(there, values, np.nan))})

    def is_out_of_range(self, apart: pd.DataFrame, together: pd.DataFrame) -> Mask:
        """Also rows whose date would leave the grid."""
        dates = together[self.column]
        off = ~self.own.holds(_ticks(dates)) & dates.notna().to_numpy(dtype=bool)
        return super().is_out_of_range(apart, together) | off

    def _places(self, dates: pd.Series) -> Floats:
        return np.where(dates.isna(), np.nan, self.both.places(_ticks(dates)).astype(np.float64))


Construction = Remainder | Joint
UNEVEN = 0.1  # total variation from equal shares


def ordered_dates(members: pd.DataFrame, task: Task, closed: Iterable[str]) -> tuple[Later, ...]:
    """Dates that are learned as distances from others, in the order in which they are taken apart.

    Parameters
    ----------
    members : DataFrame
        With every column that the generator would be shown as it is.
    closed : iterable of str
        Columns that stay: the target, those of the slice, and those that declared constraints have taken apart.
    """
    taken, steps = set(closed), list[Remainder]()
    for found in date_orders(members, group=task.group):
        order = Order(found.text, found.low, found.high, is_strict=False)
        ways = sorted(_ways(order, members), key=lambda way: _calendar(members[way[0]]))
        step = _remainder(order, ways, members, taken, steps)
        if step is not None:
            steps.append(step)
            taken.add(step.column)
    return tuple(_later(step, members) for step in _dependents_first(steps))


def _calendar(dates: pd.Series) -> tuple[int, int]:
    """The unit of dates, and how many of weekdays and hours are uneven: a distance from finer dates keeps neither."""
    present = dates.dropna()
    parts = ((present.dt.day_of_week, 7), (present.dt.hour, 24))
    shares = [np.bincount(part, minlength=size) / len(present) for part, size in parts if part.nunique() > 1]
    n_uneven = sum(bool(0.5 * np.abs(share - 1 / len(share)).sum() > UNEVEN) for share in shares)
    return time_unit_us(_ticks(present)), n_uneven


def _later(step: Remainder, members: pd.DataFrame) -> Later:
    both = [members[step.column].dropna(), members[step.others[0][1]].dropna()]
    return Later(**vars(step), own=_grid_of(both[0]), both=_grid_of(pd.concat(both)))


def _grid_of(dates: pd.Series) -> Chain:
    return moments_grid(*np.unique(_ticks(dates), return_counts=True))


def _ticks(dates: pd.Series) -> Ints:
    """Microseconds since 1970; 0 where missing."""
    return np.nan_to_num(floats_of(dates)).astype(np.int64)


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
        remainder = _remainder(one, _ways(one, members), members, closed, remainders)
        if remainder is not None:
            remainders.append(remainder)
            closed.add(remainder.column)
    return (*_dependents_first(remainders), *joints)


def _remainder(
    one: Constraint, ways: Sequence[Way], members: pd.DataFrame, closed: set[str], earlier: Sequence[Remainder]
) -> Remainder | None:
    for column, others in ways:
        names = [name for _, name in others]
        stands_alone = members[column].notna() & members[names].isna().any(axis=1)
        if column not in closed and not stands_alone.any() and not _leads_to(column, names, earlier):
            return _remainder_of(one, column, others, members)
    return None


def _ways(one: Constraint, members: pd.DataFrame) -> list[Way]:
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
    values = floats_of(members[column])
    unit = 1.0
    if _is_date(members[column]):
        gaps = values - np.sum([sign * floats_of(members[name]) for sign, name in others], axis=0)
        unit = float(time_unit_us(gaps[~np.isnan(gaps)].astype(np.int64)))
    low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if np.isfinite(values).any() else (0.0, 0.0)
    return Remainder(one.text, column, others, unit, _own_step(members[column]), str(members[column].dtype), low, high)


def _own_step(column: pd.Series) -> float | None:
    present = np.unique(floats_of(column.dropna()))
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


def _dates(values: Floats) -> pd.Series:
    missing = np.isnan(values)
    moments = np.where(missing, 0.0, values).astype(np.int64).astype("datetime64[us]")
    moments[missing] = np.datetime64("NaT")
    return pd.Series(moments)


def _is_date(column: pd.Series) -> bool:
    return pd.api.types.is_datetime64_any_dtype(column.dtype)


MIN_DRAWS = 20_000  # before hope is given up
MAX_DRAWS_PER_ROW = 200
MAX_CHUNK = 200_000
CHUNK_ROWS = 100_000
MIN_ACCEPTANCE = 0.2  # sums and dates that are found, and not declared, are left to the generator below it
TRIAL_ROWS = 500


def fit_within(
    generator: Generator,
    members: pd.DataFrame,
    task: Task,
    rng: np.random.Generator,
    *,
    slice: Slice | None,  # noqa: A002 (the contract's name)
    constraints: Constraints,
    may_construct: bool,
) -> Sampler:
    """Fit a generator so that its rows keep the constraints.

    Parameters
    ----------
    may_construct : bool
        Whether the generator may be shown rows with other columns than the members'; without, all is rejection.

    Raises
    ------
    UsageError
        If the members themselves break a constraint, with the number of them.
    GeneratorError
        If the generator cannot learn from them.
    """
    seen = constraints.seen_in(members) if constraints else constraints
    whole = {task.target, *(slice.columns if slice else ())}
    steps: tuple[Step, ...] = constructions(seen, members, whole) if may_construct else ()
    if may_construct:
        closed = {name for one in seen if one.text in {step.text for step in steps} for name in one.columns}
        steps += dependencies(members, task, whole | closed)
        left = members.drop(columns=[*closed, *(step.column for step in steps if step.column not in closed)])
        steps += ordered_dates(left, task, whole)
    if not seen and not steps:
        return generator.fit(members, task, rng, slice=slice)
    sampler = _fitted(generator, members, task, rng, slice, seen, steps)
    if any(isinstance(step, Line | Later) for step in steps) and sampler.acceptance(rng) < MIN_ACCEPTANCE:
        steps = tuple(step for step in steps if not isinstance(step, Line | Later))
        sampler = _fitted(generator, members, task, rng, slice, seen, steps)
    return sampler


def _fitted(
    generator: Generator,
    members: pd.DataFrame,
    task: Task,
    rng: np.random.Generator,
    slice: Slice | None,  # noqa: A002 (the contract's name)
    seen: Constraints,
    steps: tuple[Step, ...],
) -> ConstrainedSampler:
    shown = members
    for step in steps:
        shown = step.take_apart(shown)
    roles = roles_of(members, task.target, task.roles)
    return ConstrainedSampler(
        inner=generator.fit(shown, task, rng, slice=slice),
        steps=tuple(reversed(steps)),
        constraints=seen,
        order=tuple(members.columns),
        whole_numbers=tuple(str(name) for name in members if members[name].dtype == "int64"),
        never_missing=tuple(str(name) for name in members if members[name].notna().all()),
        unique=tuple(name for name, role in roles.items() if role == "identifier"),
        constant=tuple(name for name, role in roles.items() if role == "constant"),
    )


Step = Construction | Follower


@dataclass
class RejectionStats:
    """How many rows were drawn, and how many of them kept each constraint, and all."""

    drawn: int = 0
    n_kept: int = 0
    by_constraint: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ConstrainedSampler:
    """A fitted generator whose rows keep the constraints; keeps the Sampler contract."""

    inner: Sampler
    steps: tuple[Step, ...]
    """The last one first."""
    constraints: Constraints
    order: tuple[str, ...]
    whole_numbers: tuple[str, ...]
    never_missing: tuple[str, ...]
    unique: tuple[str, ...]
    """Identifiers; further draws of the inner sampler know nothing of earlier ones."""
    constant: tuple[str, ...]
    """Of the members' columns; what the inner sampler was shown in the place of a sum is constant, too."""
    tally: RejectionStats = field(default_factory=RejectionStats)

    @property
    def notes(self) -> Mapping[str, Any]:
        """The inner sampler's, and how the constraints were kept in all rows drawn so far."""
        constructed = {step.text for step in self.steps}
        declared = [one.text for one in self.constraints]
        undeclared = [text for text in sorted(constructed) if text not in declared]
        counts = {
            "rows_drawn": self.tally.drawn,
            "rows_kept": self.tally.n_kept,
            "acceptance_rate": round(self.tally.n_kept / self.tally.drawn, 6) if self.tally.drawn else None,
        }
        notes = {
            "declared": declared,
            "kept_by_construction": [text for text in declared if text in constructed],
            "kept_by_rejection": [text for text in declared if text not in constructed],
            **counts,
        }
        return {
            **self._inner_notes(),
            **({"dependencies": {"found": undeclared, **({} if declared else counts)}} if undeclared else {}),
            **({"constraints": notes} if declared else {}),
        }

    def _inner_notes(self) -> dict[str, Any]:
        notes = dict(self.inner.notes)
        if self.steps:
            notes.pop(CONSTANT_COLUMNS, None)
            notes |= {CONSTANT_COLUMNS: list(self.constant)} if self.constant else {}
        return notes

    def acceptance(self, rng: np.random.Generator) -> float:
        """The share of some further rows that can be put together."""
        return float(self._whole(self.inner.sample(TRIAL_ROWS, rng))[1].mean())

    def sample(self, n_rows: int, rng: np.random.Generator) -> pd.DataFrame:
        """``n_rows`` rows that keep the constraints.

        Raises
        ------
        GeneratorError
            If the model hardly ever draws such a row.
        """
        return next(self.chunks(n_rows, rng, chunk_rows=n_rows))

    def chunks(self, n_rows: int, rng: np.random.Generator, *, chunk_rows: int = CHUNK_ROWS) -> Iterator[pd.DataFrame]:
        """The same in pieces; identifiers are unique across all of them.

        Raises
        ------
        GeneratorError
            If the model hardly ever draws such a row.
        """
        taken: dict[str, set[Any]] = {name: set() for name in self.unique}
        for start in range(0, max(n_rows, 1), max(chunk_rows, 1)):
            yield self._piece(min(chunk_rows, n_rows - start), taken, rng)

    def _piece(self, n_rows: int, taken: dict[str, set[Any]], rng: np.random.Generator) -> pd.DataFrame:
        parts = [self._kept(0, taken, rng)] if n_rows == 0 else []
        n_found = n_drawn = 0
        while n_found < n_rows:
            if n_drawn >= (MIN_DRAWS if n_found == 0 else max(MIN_DRAWS, MAX_DRAWS_PER_ROW * n_rows)):
                raise self._hardly_ever()
            n_chunk = _next_chunk(n_rows - n_found, n_found, n_drawn)
            parts.append(self._kept(n_chunk, taken, rng))
            n_drawn += n_chunk
            n_found += len(parts[-1])
        return pd.concat(parts, ignore_index=True).iloc[:n_rows] if len(parts) > 1 else parts[0].iloc[:n_rows]

    def _kept(self, n_rows: int, taken: dict[str, set[Any]], rng: np.random.Generator) -> pd.DataFrame:
        """Those of ``n_rows`` draws that keep everything."""
        rows, is_kept = self._whole(self.inner.sample(n_rows, rng))
        is_kept &= rows[list(self.never_missing)].notna().all(axis=1).to_numpy(dtype=bool)
        for one in self.constraints:
            held = one.holds(rows)
            self.tally.by_constraint[one.text] = self.tally.by_constraint.get(one.text, 0) + int(held.sum())
            is_kept &= held
        self.tally.drawn += n_rows
        self.tally.n_kept += int(is_kept.sum())
        for name, values in taken.items():
            is_kept &= ~rows[name].isin(values).to_numpy(dtype=bool)
            values.update(rows[name][is_kept].dropna())
        return rows[is_kept].reset_index(drop=True).astype(dict.fromkeys(self.whole_numbers, "int64"))

    def _whole(self, rows: pd.DataFrame) -> tuple[pd.DataFrame, Mask]:
        """Rows with the members' columns, and which of them could be put together."""
        could = np.ones(len(rows), dtype=np.bool_)
        for step in self.steps:
            apart, rows = rows, step.put_together(rows)
            could &= ~step.is_out_of_range(apart, rows)
        return rows[list(self.order)], could

    def _hardly_ever(self) -> GeneratorError:
        drawn = self.tally.drawn
        held = "; ".join(f"{text!r} {n_rows:,}" for text, n_rows in self.tally.by_constraint.items())
        return GeneratorError(
            f"{self.tally.n_kept:,} of {drawn:,} drawn rows keep all constraints ({self.tally.n_kept / drawn:.4%}); "
            f"rows that keep each: {held or 'none is declared'}.",
            "Loosen `constraints` in problem.md, or take a generator that learns them (`forest`).",
        )


def _next_chunk(n_missing: int, n_found: int, n_drawn: int) -> int:
    if n_drawn == 0:
        return min(n_missing, MAX_CHUNK)
    if n_found == 0:
        return MIN_DRAWS - n_drawn
    return int(min(1.05 * n_missing * n_drawn / n_found + 10, MAX_CHUNK))
