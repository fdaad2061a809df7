"""The frozen set in two fixed splits: *select* chooses, *confirm* gives the expected score, once a handoff.

The expected score on new data that a handoff states, wider with each earlier use of the frozen set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.slices import Mask
from synth_mlflow.data.splits import Positions, group_codes
from synth_mlflow.data.task import Task
from synth_mlflow.models.labels import Labels, target_values
from synth_mlflow.models.scoring import best_score, score_codes
from synth_mlflow.sweep.bootstrap import resample
from synth_mlflow.sweep.curve import Curve
from synth_mlflow.sweep.holdout_estimate import HoldoutEstimate as HoldoutEstimate
from synth_mlflow.sweep.inference import ALPHA
from synth_mlflow.sweep.score_interval import Sizes, score_interval

MIN_ROWS = 2_000  # below, halving costs more precision than a fresh half is worth
MIN_CLASS_ROWS = 200
MIN_GROUPS = 200  # of a set that was split by group: its groups are what is independent, not its rows
_SEED = 20_240_229  # fixed: the halves of a frozen set are the same in every sweep of every project


@dataclass(frozen=True)
class HoldoutSplit:
    """Which rows may choose and which may confirm; in a small set, all do both."""

    select: Mask
    confirm: Mask
    is_classification: bool = True
    by_group: bool = False

    @property
    def shared(self) -> bool:
        """Whether the rows that confirm are those that chose."""
        return bool((self.select & self.confirm).any())

    @property
    def words(self) -> str:
        """For the report."""
        if self.shared:
            needed = f"{MIN_ROWS:,} rows"
            needed += f" and {MIN_CLASS_ROWS} of each class" if self.is_classification else ""
            needed += f" in {MIN_GROUPS} groups" if self.by_group else ""
            return (
                f"The frozen set is small ({len(self.select):,} rows; {needed} would do): "
                "the same rows choose and confirm, and the score is corrected for the choice."
            )
        return f"{int(self.select.sum()):,} rows of the frozen set choose, {int(self.confirm.sum()):,} others confirm."


def halve(truth: npt.NDArray[np.float64], is_classification: bool, groups: Positions | None = None) -> HoldoutSplit:
    """Split the frozen set, within each class; always in the same way.

    Parameters
    ----------
    truth : array of shape (n_rows,)
        Class codes, or numbers.
    is_classification : bool
    groups : array of shape (n_rows,), optional
        The group of each row where the set was split by group: whole groups then go to one half.
    """
    strata = np.unique(truth, return_inverse=True)[1] if is_classification else np.zeros(len(truth), dtype=np.int64)
    n_groups = len(truth) if groups is None else len(np.unique(groups))
    small = len(truth) < MIN_ROWS or (is_classification and np.bincount(strata).min() < MIN_CLASS_ROWS)
    if small or (groups is not None and n_groups < MIN_GROUPS):
        return _shared(len(truth), is_classification, groups is not None)
    if groups is not None:
        return _halved_groups(strata, groups, is_classification)
    position = np.random.default_rng(_SEED).permutation(len(truth))
    order = np.lexsort([position, strata])
    select = np.zeros(len(truth), dtype=bool)
    select[order[::2]] = True
    return HoldoutSplit(select, ~select, is_classification)


def _shared(n_rows: int, is_classification: bool, by_group: bool) -> HoldoutSplit:
    everyone = np.ones(n_rows, dtype=bool)
    return HoldoutSplit(everyone, everyone, is_classification, by_group)


def _halved_groups(strata: Positions, groups: Positions, is_classification: bool) -> HoldoutSplit:
    """Whole groups, the largest first, each to the half that it leaves more alike in rows of every class."""
    codes = np.unique(groups, return_inverse=True)[1]
    rows = np.zeros((codes.max() + 1, strata.max() + 1))
    np.add.at(rows, (codes, strata), 1)
    position = np.random.default_rng(_SEED).permutation(len(rows))
    ahead, selected = np.zeros(rows.shape[1]), np.zeros(len(rows), dtype=bool)
    for group in np.lexsort([position, -rows.sum(axis=1)]):
        selected[group] = ahead @ rows[group] <= 0
        ahead += rows[group] if selected[group] else -rows[group]
    if (np.abs(ahead) > rows.sum(axis=0) / 3).any():  # one half would hold more than two thirds of a class
        return _shared(len(groups), is_classification, by_group=True)
    select = selected[codes]
    return HoldoutSplit(select, ~select, is_classification, by_group=True)


def halves_of(rows: pd.DataFrame, task: Task) -> HoldoutSplit:
    """Split a frozen set as :func:`halve` does, where no model with an order of classes is at hand.

    Parameters
    ----------
    rows : DataFrame
        The whole frozen set with its target.
    task : Task
    """
    truth = pd.factorize(task.targets(rows), sort=True)[0].astype(np.float64)
    return halve(truth, task.is_classification, group_codes(rows, task))


def estimate_on_confirmation_split(
    curve: Curve,
    evaluation: pd.DataFrame,
    task: Task,
    classes: Labels,
    predictions: npt.NDArray[np.float64],
    *,
    other_sweeps: Sequence[int] = (),
    earlier_openings: Sequence[int] = (),
) -> HoldoutEstimate:
    """Open the half of the frozen set that chose nothing, and score the final model on it.

    In a small set, whose rows both chose and confirm, the estimate is the score corrected for the choice.

    Parameters
    ----------
    curve : Curve
    evaluation : DataFrame
        The whole frozen set.
    task : Task
    classes : tuple
        Labels in the order of the probabilities; empty for regression.
    predictions : array of shape (n_rows,) or (n_rows, n_classes)
        Of the final model on the whole frozen set.
    other_sweeps, earlier_openings : sequence of int
        Of every other sweep that chose on these rows, and of those whose model was expected a score on them: between
        how many ratios it decided. The former widen the interval where the rows are shared, else the latter.
    """
    truth, groups = target_values(evaluation, task, classes), group_codes(evaluation, task)
    halves = halve(truth, task.is_classification, groups)
    truth, said = truth[halves.confirm], predictions[halves.confirm]
    groups = None if groups is None else groups[halves.confirm]
    score = curve.corrected if halves.shared else score_codes(curve.metric, task, truth, said)
    earlier = tuple(sorted(other_sweeps if halves.shared else earlier_openings))
    rng = np.random.default_rng([curve.seed, 4])
    draws = resample(curve.metric, task, truth, [said], rng, groups=groups).inside
    error = float(np.nanstd(draws[:, 0], ddof=1)) * reuse_adjusted_quantile(earlier) / reuse_adjusted_quantile([])
    sizes, best = Sizes.of(task, truth, groups), best_score(curve.metric, task, truth)
    low, high = score_interval(curve.metric, score, error, sizes, best=best, design=curve.design)
    words = (
        f"Expected of this model on further rows: {curve.metric} {score:.4g} (95 % interval {low:.4g} to {high:.4g}). "
        f"{curve.halves} {_use_words(len(earlier), len(other_sweeps), halves.shared)}"
    )
    return HoldoutEstimate(score, low, high, len(truth), halves.shared, earlier, len(other_sweeps), words)


def provisional_estimate(curve: Curve, best: float) -> tuple[float, float, float]:
    """The provisional score of the chosen model, before the confirmation split is used: score, low and high end.

    The score corrected for the choice, and around it the interval of this very model on further rows.

    Parameters
    ----------
    curve : Curve
    best : float
        What predictions that are all right would score.
    """
    point = curve.at(curve.chosen)
    below, above = point.of_model - point.model_low, point.model_high - point.of_model
    return curve.corrected, curve.corrected - below, min(curve.corrected + above, best)


def reuse_adjusted_quantile(earlier_answers: Sequence[int], alpha: float = ALPHA) -> float:
    """Half-width of an interval, in standard errors, that holds however the earlier uses were reacted to.

    Parameters
    ----------
    earlier_answers : sequence of int
        Of every earlier use of the same rows: between how many answers it decided, one a ratio.

    Notes
    -----
    Whoever acts on what earlier uses have shown, by taking another ratio of that sweep or by keeping to its choice, can
    arrive at as many models as the product of the numbers of their ratios at most; the interval holds for all of them
    at once (union bound over descriptions: C. Dwork et al., Generalization in Adaptive Data Analysis and Holdout Reuse,
    NeurIPS 2015, arXiv:1506.02629). Unlike the Ladder (A. Blum, M. Hardt, ICML 2015, arXiv:1502.04585) it needs no
    noise and no rounding of what people see.

    Examples
    --------
    >>> [round(reuse_adjusted_quantile(sizes), 2) for sizes in ([], [4], [4] * 10)]
    [1.96, 2.5, 5.46]
    """
    log_tail = np.log(alpha / 2) - np.log(np.array(earlier_answers, dtype=float)).sum()
    return float(-stats.norm.ppf(np.exp(log_tail))) if log_tail > -700 else float(np.sqrt(-2 * log_tail))


def _use_words(n_earlier: int, n_other_sweeps: int, shared: bool) -> str:
    """How often the rows were used before: those that are shared to choose, a half of their own for other estimates."""
    widened = "; the interval is widened accordingly." if n_earlier else "."
    if shared:
        return f"They chose in {_others(n_earlier, 'sweep')} before{widened}"
    opened = f"were opened for {_others(n_earlier, 'model')} before" if n_earlier else "are opened for the first time"
    return f"The former chose in {_others(n_other_sweeps, 'sweep')}, the latter {opened}{widened}"


def _others(n: int, noun: str) -> str:
    """Counted others.

    >>> _others(0, "sweep"), _others(1, "model"), _others(2, "model")
    ('no other sweep', 'one other model', '2 other models')
    """
    return f"{n:,} other {noun}s" if n > 1 else f"{'one' if n else 'no'} other {noun}"
