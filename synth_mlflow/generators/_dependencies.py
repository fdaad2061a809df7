"""Columns that follow from others, found in real rows: a label of a code, a bin of a number, a unit, a sum.

Such a column is taken away before a generator learns, and computed after it has drawn, so that synthetic rows keep what
every real row keeps. A dependency is found only if chance would hardly give it, and only if its values are shared by so
many rows that handing them out as they are points at nobody.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import gammaln

from synth_mlflow.data.columns import CATEGORICAL_KINDS, Kind, schema_of
from synth_mlflow.data.grids import EXACT, floats_of, grid_step
from synth_mlflow.data.task import Task
from synth_mlflow.generators._followers import PARTS, Curve, Follower, Line, Lookup, part_of
from synth_mlflow.generators._identifiers import roles_of
from synth_mlflow.generators._numeric import Floats, Ints

MIN_ROWS = 50
MAX_COLUMNS = 150  # pairs of more columns are not looked at
SAMPLE_ROWS = 2_000  # that must agree before all rows are looked at
MIN_SHARED = 20  # rows that share a value, as for a value that generators hand out
MIN_SHARED_LABELS = 5  # of a text given a text
SHARED = 0.9  # of the rows
LOG_CHANCE = float(np.log(1e-8))  # that a pair of columns may look so without a dependency
DENSE = 0.9  # of the grid between least and largest value
MIN_CURVE_VALUES = 30
MIN_ROWS_PER_TERM = 5  # of a sum
MAX_TERMS = 12
EXACT_SUM = 1e-7  # of the standard deviation
NEGLIGIBLE = 1e-7


@dataclass(frozen=True)
class _Coded:
    """A column of distinct rows as numbers of its distinct values, ascending for numbers; missing is the last."""

    name: str
    kind: Kind
    codes: Ints
    n_levels: int
    floats: Floats | None
    """None for categories."""

    @property
    def is_category(self) -> bool:
        return self.floats is None

    @property
    def merit(self) -> int:
        """How well it stands for others of as many values: numbers without gaps, then texts, then other numbers."""
        if self.floats is None:
            return 1
        present = np.unique(self.floats[~np.isnan(self.floats)])
        step = grid_step(present)
        return 2 if step and len(present) >= DENSE * (np.ptp(present) / step + 1) else 0


def dependencies(members: pd.DataFrame, task: Task, whole: Iterable[str]) -> tuple[Follower, ...]:
    """The columns that follow from others, in the order in which they are taken away.

    Parameters
    ----------
    members : DataFrame
        Normalised real rows.
    task : Task
        Rows of one value of its group count once: what never changes within a person is no law of all people.
    whole : iterable of str
        Columns that stay: the target, those of a slice, and those that declared constraints have taken apart.
    """
    roles, closed, group = roles_of(members, task.target, task.roles), set(whole), task.group
    names = [name for name, role in roles.items() if role in {"number", "category"} and name != group]
    columns = names if group is None else [*names, group]
    rows = members[columns].drop_duplicates(ignore_index=True)
    if len(rows) < MIN_ROWS or len(names) > MAX_COLUMNS:
        return ()
    kinds = schema_of(rows).kinds
    coded = [one for name in names if (one := _coded(rows[name], kinds[name])) is not None and one.n_levels > 1]
    groups = None if group is None else pd.factorize(rows[group], use_na_sentinel=False)[0]
    search = _Search(rows, coded, groups)
    followers: list[Follower] = []
    left = list(coded)
    for one in sorted(coded, key=lambda one: (one.n_levels, one.merit, -names.index(one.name))):
        if one.name not in closed and (follower := search.follower(one, [x for x in left if x is not one])):
            followers.append(follower)
            left.remove(one)
    return (*followers, *_sums(rows, left, closed))


@dataclass(frozen=True)
class _Search:
    """Real rows, each distinct one once."""

    rows: pd.DataFrame
    coded: Sequence[_Coded]
    groups: Ints | None

    def follower(self, one: _Coded, sources: Sequence[_Coded]) -> Follower | None:
        """The column as it follows from the one with fewest values that determines it; None if none does."""
        dates = [source for source in sources if source.kind == "datetime"]
        for source, part in itertools.product(dates, PARTS):
            coded = _coded(part_of(self.rows[source.name], part), "number")
            if coded is not None and coded.n_levels > 1 and self._is_lookup(coded, one):
                return self._lookup(source, one, part)
        for source in sorted((x for x in sources if x.n_levels >= one.n_levels), key=lambda x: x.n_levels):
            if self._is_lookup(source, one):
                return self._lookup(source, one, "")
            if _is_curve(source, one):
                return Curve.of(one.name, source.name, self.rows)
        return None

    def _lookup(self, source: _Coded, one: _Coded, part: str) -> Lookup:
        return Lookup.of(one.name, source.name, part, self.rows, is_ordered=not source.is_category)

    def _is_lookup(self, source: _Coded, one: _Coded) -> bool:
        a, b = source.codes, one.codes
        some = np.linspace(0, len(a) - 1, min(len(a), SAMPLE_ROWS)).astype(np.int64)
        if not _is_function(a[some], b[some]) or not _is_function(a, b):
            return False
        if self.groups is not None:
            a, b = _one_a_group(self.groups, a, b, one.n_levels)
        present = np.bincount(a, minlength=source.n_levels)
        value = np.zeros(source.n_levels, dtype=np.int64)
        value[a] = b
        run = np.arange(source.n_levels)
        if not source.is_category:
            run = np.cumsum(np.r_[0, np.diff(value) != 0])
        shared = np.bincount(run, weights=present)[run][a]
        least = MIN_SHARED_LABELS if source.is_category and one.is_category else MIN_SHARED
        n_runs = int(run[-1]) + 1
        return bool(np.mean(shared >= least) >= SHARED) and _log_chance(b, source, n_runs) < LOG_CHANCE


def _coded(column: pd.Series, kind: Kind) -> _Coded | None:
    """None for whole numbers that floats do not hold."""
    if kind in CATEGORICAL_KINDS:
        codes, levels = pd.factorize(column, use_na_sentinel=False)
        return _Coded(str(column.name), kind, codes.astype(np.int64), len(levels), None)
    floats = floats_of(column)
    if kind == "integer" and np.nanmax(np.abs(floats), initial=0.0) > EXACT:
        return None
    values, codes = np.unique(floats, return_inverse=True)
    return _Coded(str(column.name), kind, codes.astype(np.int64), len(values), floats)


def _is_function(a: Ints, b: Ints) -> bool:
    """Whether rows with the same code of ``a`` have the same of ``b``."""
    last = np.empty(int(a.max()) + 1, dtype=np.int64)
    last[a] = b
    return bool((last[a] == b).all())


def _one_a_group(groups: Ints, a: Ints, b: Ints, n_levels: int) -> tuple[Ints, Ints]:
    _, first = np.unique(np.column_stack([groups, a * n_levels + b]), axis=0, return_index=True)
    return a[first], b[first]


def _log_chance(b: Ints, source: _Coded, n_runs: int) -> float:
    """Bound of the log probability that a random order of ``b`` follows from the source in so many runs.

    Of all orders of the values, no more follow than there are ways to give a value to each level of the source, or to
    divide the levels into runs and to give a value to each.
    """
    counts = np.unique(b, return_counts=True)[1]
    n_orders = gammaln(len(b) + 1) - gammaln(counts + 1).sum()
    ways = source.n_levels * np.log(len(counts))
    if not source.is_category:
        u = source.n_levels
        ways = min(ways, n_runs * np.log(len(counts)) + gammaln(u) - gammaln(n_runs) - gammaln(u - n_runs + 1))
    return float(ways - n_orders)


def _is_curve(source: _Coded, one: _Coded) -> bool:
    """Whether a number rises or falls with another that is at least as fine, without exception."""
    x, y = source.floats, one.floats
    if x is None or y is None or one.n_levels < MIN_CURVE_VALUES:
        return False
    present = ~np.isnan(x)
    if (np.isnan(y) == present).any():
        return False
    order = np.argsort(source.codes[present], kind="stable")
    a, b = source.codes[present][order], one.codes[present][order]
    steps, ties = np.diff(b), np.diff(a) == 0
    return bool((steps[ties] == 0).all() and ((steps >= 0).all() or (steps <= 0).all()))


def _sums(rows: pd.DataFrame, left: Sequence[_Coded], closed: set[str]) -> Iterator[Line]:
    """Numbers that are exact linear combinations of others, such as totals; those of the largest spread first."""
    numbers = {one.name: one.floats for one in left if one.floats is not None and one.kind != "datetime"}
    used: set[str] = set()
    for name in sorted(numbers, key=lambda name: -float(np.nanstd(numbers[name]))):
        if name not in closed | used:
            line = _line(rows, name, {other: floats for other, floats in numbers.items() if other != name})
            if line is not None:
                used |= {other for _, other in line.terms}
                del numbers[name]
                yield line


def _line(rows: pd.DataFrame, name: str, others: Mapping[str, Floats]) -> Line | None:
    names = list(others)
    matrix = np.column_stack([floats_of(rows[name]), *others.values()])
    complete = matrix[~np.isnan(matrix).any(axis=1)]
    if len(names) < 2 or len(complete) < max(MIN_ROWS, MIN_ROWS_PER_TERM * len(names)):
        return None
    centred = complete - complete.mean(axis=0)
    spread = centred.std(axis=0)
    if not spread.all():
        return None
    scaled = centred / spread
    weights = np.linalg.lstsq(scaled[:, 1:], scaled[:, 0], rcond=1e-10)[0]
    if np.abs(scaled[:, 1:] @ weights - scaled[:, 0]).max() > EXACT_SUM:
        return None
    chosen = [at for at in range(len(names)) if abs(weights[at]) > NEGLIGIBLE]
    if not 2 <= len(chosen) <= MAX_TERMS:
        return None
    line = Line.of(name, {names[at]: float(weights[at] * spread[0] / spread[1 + at]) for at in chosen}, rows)
    return line if line.holds(rows) else None
