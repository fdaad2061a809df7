"""Split an evaluation set off the real rows: random, stratified, by group, by time, or by both.

Exact duplicates stay on one side of a random split unless the plan says otherwise, and rows of one group never part.

Equal rows: what keeping them on one side does to a split, and the ways out where it does too much.

Panels: the same groups observed again and again, each at most once at any time, as patients at their visits are.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_mlflow.data.columns import schema_of
from synth_mlflow.data.digests import are_among, row_hashes
from synth_mlflow.data.schema import FEW_GROUPS, SURPRISE, is_named_as_key, is_named_as_time
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.statement import BOTH_SIDES, Evaluation
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError, closest

Positions = npt.NDArray[np.int64]

GROUP_ORDERS = 20  # random orders of groups, of which the best is taken; one may begin with a giant


@dataclass(frozen=True)
class Split:
    """Which rows are held out, and how they were chosen."""

    evaluation: Positions
    """Sorted row positions of the evaluation set."""
    training: Positions
    """Sorted row positions of the rest."""
    how: str
    """In words."""
    n_duplicates: int
    """Rows that are exact copies of another row."""
    unused: Positions = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    """Sorted row positions on neither side: of a split by group and time alone."""


def cut(rows: pd.DataFrame, task: Task, plan: Evaluation, slices: Mapping[str, Slice], seed: int) -> Split:
    """Choose the evaluation rows.

    Parameters
    ----------
    rows : DataFrame
        Normalised real rows.
    task : Task
        Its target is stratified by default when it is a class.
    plan : Evaluation
        The share to hold out, and the way.
    slices : mapping of str to Slice
        Every slice is held out in the same share, as far as its rows allow.
    seed : int
        Of the random ways; a cut by time has no randomness.

    Raises
    ------
    UsageError
        If a column is missing, or one of both sides would be empty.
    """
    units = np.asarray(pd.factorize(row_hashes(rows))[0], dtype=np.int64)
    n_duplicates = len(rows) - int(units.max() + 1)
    if plan.time and plan.group:
        return _refuse_empty(_later_of_other_groups(rows, plan, seed, n_duplicates), len(rows))
    if plan.time:
        evaluation, how = _latest(rows, plan)
    elif plan.group:
        evaluation = _held_out_groups(_column(rows, plan.group), plan.share, seed)
        how = f"whole groups of {plan.group!r} up to {100 * plan.share:.4g}% of the rows, at random with seed {seed}"
    else:
        strata, by = _strata(rows, task, plan, slices)
        alone = plan.equal_rows == BOTH_SIDES
        evaluation = _held_out(np.arange(len(rows)) if alone else units, strata, plan.share, seed)
        how = f"{100 * plan.share:.4g}% of the rows, at random with seed {seed}{by}"
        how += ", equal rows on both sides" if alone else ""
    held_out = np.isin(np.arange(len(rows)), evaluation)
    split = Split(np.flatnonzero(held_out), np.flatnonzero(~held_out), how, n_duplicates)
    return _refuse_empty(split, len(rows))


def group_codes(rows: pd.DataFrame, task: Task) -> Positions | None:
    """The group of each row, for a set that was split by group; None where every row stands for itself.

    Parameters
    ----------
    rows : DataFrame
        Real rows; for codes that agree between several tables, those tables one under the other.
    task : Task
        Names the column of groups, if there is one.

    Returns
    -------
    array of int64 of shape (n_rows,), or None
        Codes 0, 1, …; rows whose group is missing are one group, as they were when the set was split.

    Examples
    --------
    >>> group_codes(pd.DataFrame({"patient": ["b", "a", "b"]}), Task("y", "binary", group="patient")).tolist()
    [0, 1, 0]
    """
    if task.group is None:
        return None
    return np.asarray(pd.factorize(_column(rows, task.group), use_na_sentinel=False)[0], dtype=np.int64)


def _later_of_other_groups(rows: pd.DataFrame, plan: Evaluation, seed: int, n_duplicates: int) -> Split:
    """Evaluation rows of other groups and of later times than all training rows.

    A share of the groups and a time divide the rows into four parts. Later rows of the drawn groups are held out, and
    earlier rows of the other groups are training rows. The two parts between are used by neither side: each shares
    groups with one side, and times with the other. Where the share of groups and the share of times are alike, these
    parts are smallest.
    """
    column = _time_column(rows, plan)
    odds = np.sqrt(plan.share / (1 - plan.share))
    held_out = np.zeros(len(rows), dtype=np.bool_)
    held_out[_held_out_groups(_column(rows, str(plan.group)), odds / (1 + odds), seed)] = True
    times, place = np.unique(column.to_numpy(), return_inverse=True)
    per_time = [np.bincount(place[side], minlength=len(times)) for side in (held_out, ~held_out)]
    n_later = per_time[0].sum() - np.cumsum(per_time[0]) + per_time[0]
    n_earlier = np.cumsum(per_time[1]) - per_time[1]
    shares = n_later / np.maximum(n_later + n_earlier, 1)
    distances = np.where((n_later > 0) & (n_earlier > 0), np.abs(shares - plan.share), 2.0)
    first = int(np.argmin(distances))
    is_later = place >= first
    evaluation, training = np.flatnonzero(held_out & is_later), np.flatnonzero(~held_out & ~is_later)
    unused = np.flatnonzero(held_out != is_later)
    n_groups = rows[str(plan.group)][held_out].nunique(dropna=False)
    how = (
        f"rows of {n_groups:,} groups of {plan.group!r}, drawn at random with seed {seed}, from {plan.time} = "
        f"{column[place == first].iloc[0]} on; training rows are of other groups and earlier; {len(unused):,} of "
        f"{len(rows):,} rows lie between (earlier rows of these groups, later rows of the others) and are used by "
        "neither side"
    )
    return Split(evaluation, training, how, n_duplicates, unused)


def _latest(rows: pd.DataFrame, plan: Evaluation) -> tuple[Positions, str]:
    column = _time_column(rows, plan)
    first = column.sort_values(kind="stable").iloc[min(len(column) - 1, round(len(column) * (1 - plan.share)))]
    return np.flatnonzero((column >= first).to_numpy()), f"the latest rows, from {plan.time} = {first} on"


def _time_column(rows: pd.DataFrame, plan: Evaluation) -> pd.Series:
    column = _column(rows, str(plan.time))
    if column.isna().any() or not _is_ordered(column):
        raise UsageError(
            f"column {plan.time!r} cannot order the rows by time: it holds {int(column.isna().sum()):,} missing values "
            f"and values of type {column.dtype}.",
            "Name a column of dates or numbers without missing values.",
        )
    return column


def _is_ordered(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_datetime64_any_dtype(column.dtype)


def _column(rows: pd.DataFrame, name: str) -> pd.Series:
    if name not in rows:
        raise UsageError(f"the table has no column {name!r}. {closest(name, map(str, rows.columns))}")
    return rows[name]


def _strata(
    rows: pd.DataFrame, task: Task, plan: Evaluation, slices: Mapping[str, Slice]
) -> tuple[npt.NDArray[np.int64], str]:
    stratify = task.is_classification if plan.stratify is None else plan.stratify
    keys = [*(["target"] if stratify else []), *slices]
    if not keys:
        return np.zeros(len(rows), dtype=np.int64), ""
    parts = [part.mask(rows).astype(np.int64) for part in slices.values()]
    if stratify:
        parts.insert(0, _classes(rows[task.target], task))
    _, strata = np.unique(np.column_stack(parts), axis=0, return_inverse=True)
    return strata.reshape(-1), f", stratified by {', '.join(keys)}"


def _classes(target: pd.Series, task: Task) -> npt.NDArray[np.int64]:
    if task.is_classification:
        return pd.factorize(target)[0]
    return pd.qcut(target, 10, labels=False, duplicates="drop").to_numpy(dtype=np.int64)


def _held_out(units: Positions, strata: Positions, share: float, seed: int) -> Positions:
    """Positions of whole units, taken stratum by stratum while a unit's middle row lies within the share."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(int(units.max()) + 1)[units]
    first = pd.Series(strata).groupby(units).transform("first").to_numpy()  # a unit belongs to one stratum
    by_unit = np.lexsort((order, first))
    sorted_units = order[by_unit]
    rank = pd.Series(np.arange(len(units))).groupby(first[by_unit]).cumcount() + 0.5
    middle = rank.groupby(sorted_units).transform("mean")
    quota = pd.Series(first[by_unit]).map(pd.Series(first).value_counts() * share)
    return np.sort(by_unit[(middle <= quota).to_numpy()])


def _held_out_groups(column: pd.Series, share: float, seed: int) -> Positions:
    """Positions of whole groups; of several random orders of groups, the one that comes nearest to the share."""
    groups = pd.factorize(column, use_na_sentinel=False)[0]
    sizes = np.bincount(groups)
    rng = np.random.default_rng(seed)
    tries = [_taken(rng.permutation(len(sizes)), sizes, share * len(groups)) for _ in range(GROUP_ORDERS)]
    best = min(tries, key=lambda taken: abs(sizes[taken].sum() - share * len(groups)))
    return np.flatnonzero(np.isin(groups, best))


def _taken(order: Positions, sizes: Positions, n_wanted: float) -> list[int]:
    """Groups in order, each taken if it brings the number of rows nearer to what is wanted; never all of them."""
    taken: list[int] = []
    for group in order[: len(order) - 1]:
        if sizes[group] / 2 <= n_wanted - sizes[taken].sum():
            taken.append(int(group))
    return taken


def _refuse_empty(split: Split, n_rows: int) -> Split:
    if not len(split.evaluation) or not len(split.training):
        raise UsageError(
            f"cutting {n_rows:,} rows this way leaves {len(split.training):,} for training and "
            f"{len(split.evaluation):,} for evaluation.",
            "Give more rows, another share, or another way to cut.",
        )
    return split


def refuse_negative_seed(seed: int) -> None:
    """A UsageError for a seed that no random number generator takes."""
    if seed < 0:
        raise UsageError(f"seed {seed} was given, a whole number of at least 0 is needed.")


TOLERANCE = 0.2  # of the share that was asked for, and of each class's share
MIN_DISTINCT = 20  # different rows of equal weight that an evaluation set must amount to, where equal rows halve it
MIN_DISTINCT = 20  # different rows of equal weight that an evaluation set must amount to, where equal rows halve it
ROUNDING_ROWS = 3  # by which a split of whole rows may miss a share
MIN_GROUPS = 10  # that a column must have to be offered as the column of groups
MAX_OFFERS = 2
MAX_CLASSES = 20  # whose shares are told


@dataclass(frozen=True)
class Balance:
    """What share of the rows on both sides is held out, and the share of every class on either side."""

    share: float
    training: Mapping[str, float]
    evaluation: Mapping[str, float]

    @property
    def words(self) -> str:
        """For people: the share, and the classes with both of their shares.

        Examples
        --------
        >>> Balance(0.25, {"no": 0.7, "yes": 0.3}, {"no": 0.65, "yes": 0.35}).words
        "25 % of the rows; 'no' 65 % of evaluation rows and 70 % of training rows, 'yes' 35 % and 30 %"
        """
        shares = [(name, self.evaluation[name], self.training.get(name, 0.0)) for name in self.evaluation]
        words = [
            f"{name!r} {100 * here:.3g} % of evaluation rows and {100 * there:.3g} % of training rows"
            if not at
            else f"{name!r} {100 * here:.3g} % and {100 * there:.3g} %"
            for at, (name, here, there) in enumerate(shares[:MAX_CLASSES])
        ]
        more = [f"and {len(shares) - MAX_CLASSES:,} more classes"] if len(shares) > MAX_CLASSES else []
        share = f"{100 * self.share:.3g} % of the rows"
        return f"{share}; {', '.join([*words, *more])}" if words else share


def balance_of(rows: pd.DataFrame, task: Task, split: Split) -> Balance:
    """The share and the class balance that a split really has; no classes for a regression."""
    shares = [_shares(task.targets(rows).iloc[side], task) for side in (split.training, split.evaluation)]
    return Balance(len(split.evaluation) / (len(split.evaluation) + len(split.training)), *shares)


def n_shared(rows: pd.DataFrame, split: Split) -> int:
    """How many evaluation rows equal a training row."""
    hashes = row_hashes(rows)
    return int(are_among(hashes[split.evaluation], hashes[split.training]).sum())


def refuse_moved(
    rows: pd.DataFrame, task: Task, plan: Evaluation, slices: Mapping[str, Slice], seed: int, split: Split
) -> None:
    """Refuse a random split that keeping equal rows together has moved by more than a fifth.

    Parameters
    ----------
    rows, task, plan, slices, seed
        What :func:`synth_mlflow.data.splits.cut` took.
    split : Split
        What it gave.

    Raises
    ------
    UsageError
        With the share or the class that was moved, and the ways out.
    """
    if not _keeps_equal_rows(plan) or not split.n_duplicates:
        return
    apart = replace_plan(plan, equal_rows=BOTH_SIDES)
    fair = balance_of(rows, task, cut(rows, task, apart, slices, seed))
    moved = [*_moved(balance_of(rows, task, split), fair, rows), *_few_distinct(rows, plan.share)]
    if not moved:
        return
    n_equal = int(pd.Series(row_hashes(rows)).duplicated(keep=False).sum())
    raise UsageError(
        f"{n_equal:,} of {len(rows):,} rows equal another row. Equal rows are kept on one side of the split, in case "
        f"they were entered twice, and that changes the split too much: {'; '.join(moved)}.",
        _ways_out(rows, task, plan, slices, seed),
    )


def replace_plan(plan: Evaluation, **changes: object) -> Evaluation:
    """The same plan with other values, checked again."""
    return Evaluation.model_validate({**plan.model_dump(), **changes})


def _keeps_equal_rows(plan: Evaluation) -> bool:
    return not (plan.group or plan.time or plan.equal_rows == BOTH_SIDES)


def _shares(target: pd.Series, task: Task) -> dict[str, float]:
    if not task.is_classification:
        return {}
    shares = target.value_counts(normalize=True)
    return {str(label): float(share) for label, share in sorted(shares.items(), key=lambda item: str(item[0]))}


def _moved(actual: Balance, fair: Balance, rows: pd.DataFrame) -> Iterator[str]:
    """What lies more than a fifth from a split that looks at no equal rows."""
    if abs(actual.share - fair.share) > max(TOLERANCE * fair.share, ROUNDING_ROWS / len(rows)):
        yield f"{100 * actual.share:.3g} % of the rows are held out instead of {100 * fair.share:.3g} %"
    n_held_out = max(actual.share * len(rows), 1)
    for label, share in fair.evaluation.items():
        here = actual.evaluation.get(label, 0.0)
        if abs(here - share) > max(TOLERANCE * share, ROUNDING_ROWS / n_held_out):
            yield f"{label!r} is {100 * here:.3g} % of the evaluation rows instead of {100 * share:.3g} %"


def _few_distinct(rows: pd.DataFrame, share: float) -> Iterator[str]:
    """A held-out share that amounts to a few different rows: which ones decides every score.

    Their number is L. Kish's effective sample size of the sets of equal rows, (Σ size)² / Σ size² (1965).
    """
    sizes = pd.Series(row_hashes(rows)).value_counts().to_numpy(dtype=np.float64)
    n_effective, n_asked = share * sizes.sum() ** 2 / (sizes**2).sum(), share * len(rows)
    if n_effective < min(MIN_DISTINCT, n_asked / 2):
        yield f"the evaluation set would amount to {n_effective:.0f} different rows instead of {n_asked:,.0f}"


def _ways_out(rows: pd.DataFrame, task: Task, plan: Evaluation, slices: Mapping[str, Slice], seed: int) -> str:
    lines = [
        "Choose the line that fits. Equal rows are different things that look alike: split at random, and every page "
        "says that equal rows stand on both sides:",
        f"  synth-mlflow freeze --equal-rows {BOTH_SIDES}",
    ]
    offers = _columns_of_groups(rows, task, plan, slices, seed)
    if offers:
        lines.append(
            "Equal rows are the same thing again: keep all rows of a thing together by the column that names it:"
        )
        lines += [f"  synth-mlflow freeze --group {shlex.quote(name)}" for name in offers]
    else:
        lines.append(
            "Equal rows are the same thing again: add the column that names the thing to the table, run "
            "`synth-mlflow define` again, and keep its rows together (no column of this table does it):"
        )
        lines.append("  synth-mlflow freeze --group COLUMN")
    return "\n".join(lines)


def _columns_of_groups(
    rows: pd.DataFrame, task: Task, plan: Evaluation, slices: Mapping[str, Slice], seed: int
) -> list[str]:
    """Columns whose groups give the share and the balance that were asked for; those of most groups first."""
    fair = balance_of(rows, task, cut(rows, task, replace_plan(plan, equal_rows=BOTH_SIDES), slices, seed))
    sizes = {str(name): rows[name].nunique(dropna=False) for name in rows if name != task.target}
    offers: list[str] = []
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        if sizes[name] < MIN_GROUPS or len(offers) == MAX_OFFERS:
            break
        split = cut(rows, task, Evaluation(share=plan.share, group=name), slices, seed)
        if not list(_moved(balance_of(rows, task, split), fair, rows)):
            offers.append(name)
    return offers


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


FIRST_ROWS = 5_000


def panel_of(rows: pd.DataFrame, roles: Mapping[str, str]) -> Panel | None:
    """The panel that a normalised table is; None if there is none, or its group key has that role already.

    A column of texts or of whole numbers names groups if no two rows share its value and a time (a date, or a whole
    number that is named as a time, such as a year), where independent columns of their frequencies would share more
    than `roles.SURPRISE` (the birthday problem), so that chance alone gives a panel to one table in a thousand. Whole
    numbers that are not named as a key may be a measure: they name groups only if other columns are constant in each.

    Examples
    --------
    >>> days = pd.Series(pd.date_range("2024-01-01", periods=10)).repeat(10).reset_index(drop=True)
    >>> panel_of(pd.DataFrame({"who": list("abcdefghij") * 10, "day": days}), {"who": "category"})
    Panel(group='who', time='day', constant=(), n_groups=10)
    """
    schema = schema_of(rows)
    groups = [name for name in schema.of_kind("string") if roles.get(name) not in NAMED and not is_named_as_time(name)]
    whole = [name for name in schema.of_kind("integer") if roles.get(name) in {"number", "category"}]
    groups += sorted(whole, key=lambda name: not is_named_as_key(name))
    numbered = [name for name in schema.of_kind("integer") if is_named_as_time(name)]
    first = rows.head(FIRST_ROWS)  # most columns meet twice there already
    for time in (*schema.of_kind("datetime"), *numbered):
        for group in groups:
            is_new = group != time and not first[[group, time]].dropna().duplicated().any()
            if not is_new or not _are_crossed(rows[group], rows[time]):
                continue
            others = [name for name in schema if name not in {group, time}]
            levels = rows.groupby(group)[others].nunique(dropna=False)
            same = tuple(name for name in others if (levels[name] <= 1).all())
            may_be_measure = group in whole and not is_named_as_key(group)
            if not may_be_measure or (not is_named_as_time(group) and rows[list(same)].nunique().gt(1).any()):
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
