"""Intervals and tests of shares and rates.

Exact intervals and tests for counts, ranks and guesses.

Attribute inference: does the batch reveal a value of its members better than that of people it never saw?

Is a batch nearer to evaluation rows than chance explains? Counts of matches, and the two tests that judge them.

A match is an evaluation row, distinct from every other real row, that some row of the batch equals or nearly equals.
Two references say how many there would be without a leak: how often real rows match one another, and how many training
rows the same batch matches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.data.columns import CATEGORICAL_KINDS
from synth_mlflow.data.grids import floats_of
from synth_mlflow.metrics.closest_places import nearest_places
from synth_mlflow.metrics.encoding import Encoding, labels

Floats = npt.NDArray[np.float64]


def clopper_pearson(k: int, n: int, *, confidence: float = 0.95) -> tuple[float, float]:
    """Exact interval of a share of which ``k`` in ``n`` were seen.

    Notes
    -----
    C. J. Clopper, E. S. Pearson, Biometrika 26 (1934).

    Examples
    --------
    >>> low, high = clopper_pearson(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.3085)
    """
    tail = (1 - confidence) / 2
    low = 0.0 if k == 0 else float(stats.beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(stats.beta.ppf(1 - tail, k + 1, n - k))
    return low, high


def excess_p_value(k_members: int, k_control: int, n: int) -> float:
    """How often ``n`` members would show at least ``k_members`` marks if membership did not matter.

    One-sided exact test (R. A. Fisher): the marks are dealt to members and to as many controls at random.

    Examples
    --------
    >>> excess_p_value(0, 0, 10)
    1.0
    >>> round(excess_p_value(5, 0, 10), 4)
    0.0163
    """
    return float(stats.hypergeom.sf(k_members - 1, 2 * n, k_members + k_control, n))


def standard_error_of_auc(n_first: int, n_second: int) -> float:
    """Spread of the area under the ROC curve when both samples come from one distribution.

    Notes
    -----
    H. B. Mann, D. R. Whitney, Annals of Mathematical Statistics 18 (1947), without ties: the largest it can be.
    """
    return float(np.sqrt((n_first + n_second + 1) / (12 * n_first * n_second)))


def detectable_auc(n_first: int, n_second: int, *, alpha: float, power: float = 0.8, inflation: float = 1.0) -> float:
    """The smallest area under the curve that a one-sided test at ``alpha`` finds with the given power.

    Examples
    --------
    >>> round(detectable_auc(5000, 5000, alpha=1e-4), 3)
    0.526
    """
    return 0.5 + inflation * standard_error_of_auc(n_first, n_second) * _needed_deviations(alpha, power)


def rows_for_auc(auc: float, *, alpha: float, power: float = 0.8, inflation: float = 1.0) -> int:
    """How many rows on each side make ``auc`` detectable; the inverse of :func:`detectable_auc` for equal sides.

    Examples
    --------
    >>> n = rows_for_auc(0.65, alpha=1e-4)
    >>> detectable_auc(n, n, alpha=1e-4) <= 0.65 < detectable_auc(n - 1, n - 1, alpha=1e-4)
    True
    """
    ratio = (auc - 0.5) / (inflation * _needed_deviations(alpha, power))
    n = max(int(1 / (6 * ratio**2)) - 2, 1)  # the spread is sqrt((2 n + 1) / (12 n²)), close to sqrt(1 / (6 n))
    while standard_error_of_auc(n, n) > ratio:
        n += 1
    return n


def rows_beside(n_other: int, auc: float, *, alpha: float, power: float = 0.8, inflation: float = 1.0) -> int:
    """How many rows of one side make ``auc`` detectable beside so many of the other side.

    Where no number would do, that of equal sides: see :func:`rows_for_auc`.

    Examples
    --------
    >>> n = rows_beside(400, 0.65, alpha=1e-4)
    >>> detectable_auc(n, 400, alpha=1e-4) <= 0.65 < detectable_auc(n - 1, 400, alpha=1e-4)
    True
    """
    ratio = (auc - 0.5) / (inflation * _needed_deviations(alpha, power))
    left = 12 * n_other * ratio**2 - 1  # (n + m + 1) / (12 n m) is the square of the spread
    return (
        math.ceil((n_other + 1) / left)
        if left > 0
        else rows_for_auc(auc, alpha=alpha, power=power, inflation=inflation)
    )


def epsilon_lower_bound(guesses: Floats, is_member: npt.NDArray[np.bool_], *, confidence: float = 0.95) -> float:
    """The privacy loss that one run's right guesses prove: a lower bound, never a guarantee.

    Parameters
    ----------
    guesses : array of shape (n,)
        Higher where the attacker believes more in membership.
    is_member : array of shape (n,)
        Half of them true.

    Returns
    -------
    float
        A mechanism that is ε-differentially private would guess as well with probability below ``1 - confidence``
        for every smaller ε; 0 if nothing is proved.

    Notes
    -----
    T. Steinke, M. Nasr, M. Jagielski, "Privacy auditing with one (1) training run", arXiv 2305.08846: of r
    guesses, the number of right ones is at most binomial with success e^ε / (1 + e^ε). The attacker abstains on the
    middle; the best of several numbers of guesses is taken at a Bonferroni-corrected level.

    Examples
    --------
    >>> scores, member = np.arange(200.0), np.arange(200) >= 100
    >>> epsilon_lower_bound(scores, member) > 3
    True
    """
    order = np.argsort(guesses, kind="stable")
    right_low, right_high = np.cumsum(~is_member[order]), np.cumsum(is_member[order[::-1]])
    sizes = _guess_sizes(len(guesses))
    tail = (1 - confidence) / (2 * len(sizes))
    bounds = [_proved(int(right_high[r - 1]), r, tail) for r in sizes]
    bounds += [_proved(int(right_low[r - 1]) + int(right_high[r - 1]), 2 * r, tail) for r in sizes]
    return max([0.0, *bounds])


def largest_provable_epsilon(n: int, *, confidence: float = 0.95) -> float:
    """What :func:`epsilon_lower_bound` says when every guess about ``n`` rows is right.

    Examples
    --------
    >>> largest_provable_epsilon(200) < largest_provable_epsilon(20_000)
    True
    """
    half = n // 2
    return epsilon_lower_bound(np.arange(2.0 * half), np.arange(2 * half) >= half, confidence=confidence)


def _needed_deviations(alpha: float, power: float) -> float:
    return float(stats.norm.isf(alpha) + stats.norm.ppf(power))


def _guess_sizes(n: int) -> list[int]:
    return sorted({max(round(n * share), 1) for share in (0.0025, 0.01, 0.05, 0.2, 0.5)})


def _proved(n_right: int, n_guesses: int, tail: float) -> float:
    share = clopper_pearson(n_right, n_guesses, confidence=1 - 2 * tail)[0]
    return float(np.log(share / (1 - share))) if share > 0.5 else 0.0


def inference_scores(targets: pd.DataFrame, batch: pd.DataFrame, column: str, *, n_neighbours: int = 1) -> Floats:
    """How well the batch rows most like a target in all other columns give its value of one column.

    Parameters
    ----------
    targets, batch : DataFrame
        The attacker knows every column of a target but ``column``.
    column : str
    n_neighbours : int

    Returns
    -------
    array of shape (n_targets,)
        Share of the neighbours with the right label; for numbers and dates minus the mean error in ranks. Members score
        like controls where the batch tells only what holds for everybody, which is no leak.

    Notes
    -----
    The nearest-neighbour attack of M. Giomi et al., "A unified framework for quantifying privacy risk in synthetic
    data", arXiv 2211.10459, with controls in place of its residual risk.
    """
    known = [name for name in targets if name != column]
    encoding = Encoding.learn(targets[known])
    nearest = nearest_places(encoding.points(targets), encoding.points(batch), min(n_neighbours, len(batch)))
    whole = Encoding.learn(targets)
    if whole.schema[column] in CATEGORICAL_KINDS:
        return np.asarray((labels(batch[column])[nearest] == labels(targets[column])[:, None]).mean(axis=1))
    return -_rank_error(floats_of(targets[column]), floats_of(batch[column])[nearest])


def _rank_error(truth: Floats, guesses: Floats) -> Floats:
    ordered = np.sort(truth[~np.isnan(truth)])
    at = np.searchsorted(ordered, truth) / max(len(ordered), 1)
    guessed = np.searchsorted(ordered, guesses) / max(len(ordered), 1)
    error = np.abs(guessed - at[:, None])
    both_missing = np.isnan(truth)[:, None] & np.isnan(guesses)
    one_missing = np.isnan(truth)[:, None] ^ np.isnan(guesses)
    return np.asarray(np.where(both_missing, 0.0, np.where(one_missing, 1.0, error)).mean(axis=1))


FEW_COPIES = 3
EXACT_BELOW = 300  # events; above it the conditional test loses nothing


@dataclass(frozen=True)
class Sizes:
    """How many rows were compared."""

    batch: int
    training: int
    evaluation: int

    @property
    def real(self) -> int:
        """Training and evaluation rows together."""
        return self.training + self.evaluation


@dataclass(frozen=True)
class Matches:
    """Matches of a batch with single real rows, beside those of real rows with one another."""

    evaluation: int
    """Evaluation rows that the batch matches."""
    training: int
    """Training rows that the batch matches."""
    real_pairs: int
    """Pairs of real rows that match one another."""
    batch_exposure: float
    """Pairs of a batch row and an evaluation row among which the first were found."""
    real_exposure: float
    """Pairs of real rows among which the last were found."""
    side_share: float
    """Share of evaluation rows among the real rows that could be matched."""
    design_effect: float = 1.0
    """How many matched rows say as much as one would alone: rows of a group lie on one side, and are matched, together
    (L. Kish, Survey Sampling, 1965)."""

    @property
    def expected(self) -> float:
        """Evaluation rows that as many further real rows would match."""
        return self.real_pairs * self.batch_exposure / self.real_exposure if self.real_exposure else 0.0

    @property
    def expected_from_training(self) -> float:
        """Evaluation rows that the batch would match as often as it matches training rows."""
        return self.training * self.side_share / (1 - self.side_share) if self.side_share < 1 else 0.0

    @cached_property
    def natural_p_value(self) -> float:
        """How often further real rows would match so many evaluation rows, by the matches of real rows."""
        seen, by_nature = int(self.evaluation / self.design_effect), math.ceil(self.real_pairs / self.design_effect)
        return rate_p_value(seen, self.batch_exposure, by_nature, self.real_exposure)

    @cached_property
    def side_p_value(self) -> float:
        """How often so many of the matched rows would be evaluation rows if the batch did not know the split.

        Notes
        -----
        Exact given a random split: which of the matched rows are evaluation rows is then a draw. Of a split by group
        it is a draw of groups, and as many rows count as would give the variance of that draw.
        """
        seen, together = (int(n / self.design_effect) for n in (self.evaluation, self.evaluation + self.training))
        return float(stats.binom.sf(seen - 1, together, self.side_share)) if seen else 1.0

    @property
    def p_value(self) -> float:
        """Significant only where real rows and training rows both give fewer matches."""
        return max(self.natural_p_value, self.side_p_value)

    def beyond_chance(self, alpha: float) -> bool:
        """Whether more evaluation rows are equalled than by chance.

        Few suffice where neither two real rows nor the batch and a training row are equal: were rows to repeat so
        seldom by nature that this is seen, three would be equal to evaluation rows in at most 0.5 % of batches.
        """
        if not self.training and not self.real_pairs:
            return self.evaluation >= FEW_COPIES
        return self.evaluation > 0 and self.p_value <= alpha


def rate_p_value(k: int, exposure: float, k_reference: int, reference_exposure: float) -> float:
    """One-sided test that events are more frequent than in a reference.

    Notes
    -----
    K. Krishnamoorthy, J. Thomson, Journal of Statistical Planning and Inference 119 (2004), for few events; for many,
    the conditional test of J. Przyborowski, H. Wilenski, Biometrika 31 (1940).

    Examples
    --------
    >>> rate_p_value(0, 1.0, 0, 1.0)
    1.0
    >>> rate_p_value(6, 1.0, 0, 6.0) < 1e-4
    True
    >>> rate_p_value(100, 1.0, 600, 6.0) > 0.3
    True
    """
    if not k or exposure <= 0 or reference_exposure <= 0:
        return 1.0
    if k + k_reference > EXACT_BELOW:
        return float(stats.binom.sf(k - 1, k + k_reference, exposure / (exposure + reference_exposure)))
    unit = exposure + reference_exposure  # exposures are pairs of rows, far too many for the test's sums
    test = stats.poisson_means_test(k, exposure / unit, k_reference, reference_exposure / unit, alternative="greater")
    return float(min(test.pvalue, 1.0))


def critical_count(k_reference: int, exposure: float, reference_exposure: float, *, alpha: float) -> int:
    """The fewest events that :func:`rate_p_value` calls significant at ``alpha``.

    Examples
    --------
    >>> critical_count(0, 1.0, 6.0, alpha=1e-3)
    4
    """
    if exposure <= 0 or reference_exposure <= 0:
        return 0
    needed = max(int(k_reference * exposure / reference_exposure), 1)
    while rate_p_value(needed, exposure, k_reference, reference_exposure) > alpha:
        needed += max(needed // 50, 1)
    return needed


def smallest_detectable(
    k_reference: int, exposure: float, reference_exposure: float, *, alpha: float, power: float = 0.8
) -> int:
    """The fewest matches, beyond what chance gives, that :func:`rate_p_value` finds at ``alpha`` with the given power.

    Examples
    --------
    >>> smallest_detectable(0, 1.0, 6.0, alpha=1e-3) < smallest_detectable(60, 1.0, 6.0, alpha=1e-3)
    True
    """
    needed = critical_count(k_reference, exposure, reference_exposure, alpha=alpha)
    chance = k_reference * exposure / reference_exposure if reference_exposure > 0 else 0.0
    if chance < 1e-9:
        return needed  # what was planted is there, whatever chance does
    planted = max(needed - int(chance), 1)
    while stats.poisson.sf(needed - planted - 1, chance) < power and planted < needed:
        planted += max(planted // 20, 1)
    return planted
