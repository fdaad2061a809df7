"""Equal rows: what keeping them on one side does to a split, and the ways out where it does too much."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from synth_mlflow.data.digests import row_hashes
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.splits import Split, cut
from synth_mlflow.data.statement import BOTH_SIDES, Evaluation
from synth_mlflow.data.task import Task
from synth_mlflow.errors import UsageError

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
        told = [(name, self.evaluation[name], self.training.get(name, 0.0)) for name in self.evaluation]
        words = [
            f"{name!r} {100 * here:.3g} % of evaluation rows and {100 * there:.3g} % of training rows"
            if not at
            else f"{name!r} {100 * here:.3g} % and {100 * there:.3g} %"
            for at, (name, here, there) in enumerate(told[:MAX_CLASSES])
        ]
        more = [f"and {len(told) - MAX_CLASSES:,} more classes"] if len(told) > MAX_CLASSES else []
        share = f"{100 * self.share:.3g} % of the rows"
        return f"{share}; {', '.join([*words, *more])}" if words else share


def balance_of(rows: pd.DataFrame, task: Task, split: Split) -> Balance:
    """The share and the class balance that a split really has; no classes for a regression."""
    shares = [_shares(rows[task.target].iloc[side], task) for side in (split.training, split.evaluation)]
    return Balance(len(split.evaluation) / (len(split.evaluation) + len(split.training)), *shares)


def n_shared(rows: pd.DataFrame, split: Split) -> int:
    """How many evaluation rows equal a training row."""
    hashes = row_hashes(rows)
    return int(np.isin(hashes[split.evaluation], hashes[split.training]).sum())


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


def _moved(found: Balance, fair: Balance, rows: pd.DataFrame) -> Iterator[str]:
    """What lies more than a fifth from a split that looks at no equal rows."""
    if abs(found.share - fair.share) > max(TOLERANCE * fair.share, ROUNDING_ROWS / len(rows)):
        yield f"{100 * found.share:.3g} % of the rows are held out instead of {100 * fair.share:.3g} %"
    n_held_out = max(found.share * len(rows), 1)
    for label, share in fair.evaluation.items():
        here = found.evaluation.get(label, 0.0)
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
