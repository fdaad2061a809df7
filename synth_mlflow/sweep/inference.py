"""What several scores and their uncertainty allow to say: intervals, one test over all ratios, the set of the best.

The scores of all arms and ratios are one vector with one covariance: that of the evaluation rows (paired bootstrap)
plus that of the recipe (repeats, each on its own draw of training rows, synthetic rows and seed). The second is the
covariance of single repeats, not of their mean: it tells what another draw would give, once it is made up for the rows
that repeats share (:mod:`synth_mlflow.sweep.inference`).

How much more another draw of the rows would vary than repeats that share most of their rows do.

Repeats draw 80 % of the same real rows without replacement, and often most of the same synthetic ones. A mean over a
part *f* of a table varies between such draws by only (1 − f) of its variance between fresh tables. Were the score
linear in the rows, the variance of the repeats would have to be multiplied by the factor computed here: 4 for real rows
alone, the (n − d) / d of the delete-d jackknife. Scores are not linear. What curves (the excess error of a nearly right
model) needs less, and trees, which jump when a row changes, hardly anything. Which of them a sweep has cannot be read
off eight repeats, so the factor taken is a power of that of a linear score, the one with which intervals cover best
over all oracles of ``tests/benchmarks/sweep_oracles.py``.

What is conditional: the synthetic rows are a sample of what their generator makes, and the generator stays as it is;
one that is fitted again on other real rows may make others.

J. Shao, C. F. J. Wu, Annals of Statistics 17 (1989), doi:10.1214/aos/1176347263 (the factor); W. Cochran, Sampling
Techniques (1977), chapter 2 (the finite table); C. Nadeau, Y. Bengio, Machine Learning 52 (2003),
doi:10.1023/A:1024068626366 (why overlap deceives).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import special, stats

from synth_mlflow.data.mixing import Mix, mix_counts
from synth_mlflow.errors import UsageError
from synth_mlflow.sweep.plan import REPEAT_SHARE, Arm

_SHARE_OF_LINEAR = 0.85  # exponent: 0 takes repeats at face value, 1 takes the score for linear


def inflation(arm: Arm, ratio: float, n_real: int, n_supply: int, mix: Mix, weight: float = 1.0) -> float:
    """By how much to multiply the variance of the repeats: of the score without added rows, else of the gain over it.

    Parameters
    ----------
    arm : {"synthetic", "placebo", "extra", "real"}
    ratio : float
        Share of added rows.
    n_real, n_supply : int
        Real rows at hand, and the rows of which the added ones are drawn.
    mix : {"augment", "replace"}
    weight : float
        How much an added row counts beside a real one.

    Examples
    --------
    Three synthetic rows at hand for each real one: at 75 % a repeat takes most of them, at 25 % few.

    >>> [round(inflation("synthetic", ratio, 100, 300, "augment"), 2) for ratio in (0, 0.25, 0.5, 0.75)]
    [3.25, 1.07, 1.58, 3.25]
    """
    return float(max(1.0, linear_inflation(arm, ratio, n_real, n_supply, mix, weight)) ** _SHARE_OF_LINEAR)


def linear_inflation(arm: Arm, ratio: float, n_real: int, n_supply: int, mix: Mix, weight: float = 1.0) -> float:
    """The same for a score that is the mean of a number per training row.

    Notes
    -----
    The gain is a sum over rows, each with its weight in the mix less its weight without added rows. Its variance is
    that sum of squared weights, in fresh tables with all rows, in repeats with 80 % of them and times the part of the
    table that is left out. Duplicates are drawn anew from the same rows each time and show what they vary by.

    Examples
    --------
    >>> [round(linear_inflation("synthetic", ratio, 100, 300, "augment"), 2) for ratio in (0, 0.25, 0.5, 0.75)]
    [4.0, 1.09, 1.71, 4.0]
    >>> [round(linear_inflation("synthetic", ratio, 100, 300, "replace"), 2) for ratio in (0.25, 0.5, 0.75)]
    [0.92, 1.09, 1.33]
    """
    if arm == "real" or ratio == 0:
        return REPEAT_SHARE / (1 - REPEAT_SHARE)
    if arm == "placebo":
        return 1.0
    n_kept, n_added = mix_counts(ratio, n_real, mix)
    total = n_kept + weight * n_added
    n_dropped = n_real - n_kept
    kept_term = n_kept * (1 / n_real - 1 / total) ** 2
    dropped = n_dropped / n_real**2
    added = n_added * (weight / total) ** 2
    seen = (
        kept_term * (1 - REPEAT_SHARE)
        + dropped * (1 - REPEAT_SHARE * n_dropped / n_real)
        + added * (1 - REPEAT_SHARE * n_added / n_supply)
    )
    return REPEAT_SHARE * (kept_term + dropped + added) / seen if seen > 0 else 1.0


ALPHA = 0.05
NOTHING = 1e-12  # part of a variance that is rounding alone
_SIMULATIONS = 10_000
_MANY = 1e6  # degrees of freedom with which a t statistic is a normal number
_SEED = 7  # of the simulated distributions: same scores, same critical values

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Uncertainty:
    """Covariances of the scores, of shape (n_scores, n_scores), and how many repeats stand behind the second."""

    evaluation: Vector
    recipe: Vector
    n_repeats: int
    unseen: Vector | None = None
    """(n_scores,): variance that differences between scores have besides, since few rows distinguish two models."""

    @property
    def total(self) -> Vector:
        """Of another draw of everything."""
        return self.evaluation + self.recipe

    @cached_property
    def of_differences(self) -> Vector:
        """The same, of contrasts: with what the rows at hand cannot show."""
        return self.total if self.unseen is None else self.total + np.diag(self.unseen)

    def at_least(self, error: float) -> Uncertainty:
        """With no smaller standard error of the difference between any two scores.

        Parameters
        ----------
        error : float
            See :func:`synth_mlflow.sweep.score_interval.least_error`.
        """
        lacking = np.maximum(error**2 - differences(self.total) ** 2, 0.0)
        np.fill_diagonal(lacking, 0.0)
        return replace(self, unseen=lacking.max(axis=1) / 2) if lacking.any() else self

    @cached_property
    def draws(self) -> Vector:
        """Normal draws around 0 with the covariance of differences, of shape (n_simulations, n_scores).

        The covariance of few repeats is singular, so its root is taken by eigenvectors.
        """
        values, vectors = np.linalg.eigh(self.of_differences)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        normal = np.random.default_rng(_SEED).standard_normal((_SIMULATIONS, len(values)))
        return np.asarray(normal @ root.T)

    def of(self, places: Sequence[int]) -> Uncertainty:
        """Of some of the scores."""
        block = np.ix_(list(places), list(places))
        unseen = None if self.unseen is None else self.unseen[list(places)]
        return Uncertainty(self.evaluation[block], self.recipe[block], self.n_repeats, unseen)

    def freedom(self, contrast: Vector) -> float:
        """Degrees of freedom of a contrast's variance.

        F. E. Satterthwaite, Biometrics Bulletin 2 (1946), doi:10.2307/3002019.
        """
        recipe, total = _variance(self.recipe, contrast), _variance(self._of(contrast), contrast)
        if total == 0 or recipe <= NOTHING * total:  # as where every fit takes all rows, and nothing is drawn
            return np.inf
        return (self.n_repeats - 1) * (total / recipe) ** 2

    def standard_error(self, contrast: Vector) -> float:
        """Of a contrast under another draw of everything."""
        return math.sqrt(_variance(self._of(contrast), contrast))

    def _of(self, contrast: Vector) -> Vector:
        """The covariance of a difference, or of a score itself."""
        return self.of_differences if abs(contrast.sum()) < NOTHING else self.total

    def half_width(self, contrast: Vector, level: float = 1 - ALPHA) -> float:
        """Of the interval for a contrast under another draw of everything."""
        return self.standard_error(contrast) * float(stats.t.ppf((1 + level) / 2, self.freedom(contrast)))

    def model_error(self, contrast: Vector) -> float:
        """Standard error for these very models on further evaluation rows."""
        return math.sqrt(_variance(self.evaluation, contrast))


@dataclass(frozen=True)
class MaxT:
    """A simultaneous one-sided test of several contrasts."""

    statistics: Vector
    p_values: Vector
    """Adjusted for all of them."""
    critical: Vector
    """Of each statistic."""


def uncertainty(
    resampled: Vector, repeats: Vector, inflation: Vector | None = None, noise: Vector | None = None
) -> Uncertainty:
    """Both covariances.

    Repeats are scored on the same evaluation rows, and differ there by more than on all rows there are: each meets
    those rows in its own way. The bootstrap of the rows speaks of that already; where ``noise`` is given, it is taken
    off what the repeats show.

    Parameters
    ----------
    resampled : array of shape (n_draws, n_scores)
        Scores over bootstrap draws of the evaluation rows; draws with an undefined score are left out.
    repeats : array of shape (n_repeats, n_scores)
        Scores of the repeats on all evaluation rows.
    inflation : array of shape (n_scores,), optional
        By how much more another draw varies than repeats, which share rows: the first score itself, of the others their
        gain over it.
    noise : array of shape (n_repeats, n_scores, n_draws), optional
        The repeats' scores over the same draws of the evaluation rows, less their scores on the rows themselves.

    Notes
    -----
    The interaction of a two-way layout, repeats by rows: H. Scheffe, The Analysis of Variance (1959), chapter 4. Its
    share of the repeats' mean squares is estimated by the bootstrap; a difference of two estimates may be negative in
    some direction, where it counts as none.

    Raises
    ------
    UsageError
        If the score is undefined in most draws: there are too few evaluation rows.
    """
    defined = resampled[np.isfinite(resampled).all(axis=1)]
    if len(defined) < len(resampled) / 2:
        raise UsageError(
            f"the metric is undefined in {1 - len(defined) / len(resampled):.0%} of the draws of the evaluation rows: "
            "there are too few of them, or too few of a class.",
            "Give more evaluation rows, or take a metric that needs fewer, such as neg_log_loss.",
        )
    recipe = _covariance(_apart(repeats, inflation))
    if noise is not None and (drawn := [each for each in np.moveaxis(noise, 2, 0) if np.isfinite(each).all()]):
        recipe = _positive(recipe - np.mean([_covariance(_apart(each, inflation)) for each in drawn], axis=0))
    return Uncertainty(_covariance(defined), recipe, len(repeats))


def differences(covariance: Vector) -> Vector:
    """Standard error of every difference between two scores, of shape (n_scores, n_scores)."""
    spread = np.diag(covariance)
    variance = spread[:, None] + spread[None, :] - 2 * covariance
    return np.sqrt(np.maximum(variance, 0.0))


def _covariance(scores: Vector) -> Vector:
    return np.atleast_2d(np.cov(scores, rowvar=False))


def _positive(matrix: Vector) -> Vector:
    """The nearest covariance."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)


def _apart(repeats: Vector, inflation: Vector | None) -> Vector:
    """Repeats as far from each other as draws that share no rows would be."""
    if inflation is None:
        return repeats
    first = repeats[:, :1]
    apart = (np.column_stack([first, repeats[:, 1:] - first])) * np.sqrt(inflation)
    return np.column_stack([apart[:, :1], apart[:, :1] + apart[:, 1:]])


@dataclass(frozen=True)
class Searched:
    """What a search has compared: several kinds of rows at one ratio, and the best of them at every ratio.

    Places among the contrasts of a test.
    """

    kinds: tuple[int, ...]
    ratios: tuple[int, ...]


def max_t(
    scores: Vector,
    contrasts: Vector,
    uncertain: Uncertainty,
    alpha: float = ALPHA,
    searched: Searched | None = None,
) -> MaxT:
    """Test each contrast > 0 while keeping the chance of any false alarm at ``alpha``.

    Parameters
    ----------
    scores : array of shape (n_scores,)
    contrasts : array of shape (n_contrasts, n_scores)
    searched : Searched, optional
        Where a search decided which contrasts there are: the test then covers every kind of rows at every ratio, as if
        all had been measured. The unmeasured ones are taken to be correlated by kind as at the one ratio, and by ratio
        as those of the best kind are.

    Notes
    -----
    T. Hothorn, F. Bretz, P. Westfall, Biometrical Journal 50 (2008), doi:10.1002/bimj.200810425: correlated t
    statistics under the null, here simulated. Their degrees of freedom differ, so that the smallest of their tail
    probabilities is what is compared (P. Westfall, S. Young, Resampling-Based Multiple Testing, 1993, section 2.3):
    where little is drawn, few repeats of another ratio cost no power. Of a search all have the fewest.
    """
    errors = np.array([uncertain.standard_error(row) for row in contrasts])
    freedoms = np.array([uncertain.freedom(row) for row in contrasts])
    if searched is not None:
        freedoms = np.full(len(freedoms), freedoms.min())
    statistics = _ratio(contrasts @ scores, errors)
    normal = _simulated(contrasts, uncertain) if searched is None else _unseen(contrasts, uncertain, searched)
    taken = freedoms if searched is None else freedoms[:1]
    least = _tail(_studentised(normal, taken), taken).min(axis=1)
    p_values = np.array([(1 + (least <= tail).sum()) / (1 + len(least)) for tail in _tail(statistics, freedoms)])
    return MaxT(statistics, p_values, np.asarray(stats.t.isf(np.quantile(least, alpha), freedoms)))


def peak_probabilities(scores: Vector, uncertain: Uncertainty) -> Vector:
    """How often each score would be the greatest under another draw of everything.

    The scores at hand are one draw: their spread shows more than the ratios truly differ, so it is shrunk before the
    next draw is imagined around it. Without that, the highest of four equal ratios would be said to win again in 58 %
    of draws, and wins in 25 %.

    Notes
    -----
    Predictive distribution under empirical Bayes: B. Efron, C. Morris, JASA 70 (1975),
    doi:10.1080/01621459.1975.10479864.
    """
    around = scores - scores.mean()
    centre = np.eye(len(scores)) - 1 / len(scores)
    noise = float(np.trace(centre @ uncertain.of_differences @ centre))
    spread = float(around @ around)
    shrinkage = max(0.0, 1.0 - noise / spread) if spread > 0 else 0.0
    winners = (shrinkage * around + math.sqrt(1 + shrinkage) * uncertain.draws).argmax(axis=1)
    return np.bincount(winners, minlength=len(scores)) / len(winners)


def _variance(covariance: Vector, contrast: Vector) -> float:
    """Of a contrast; 0 where rounding alone is left of scores that never differ."""
    variance = float(contrast @ covariance @ contrast)
    return variance if variance > NOTHING * float(np.abs(contrast) @ np.abs(covariance) @ np.abs(contrast)) else 0.0


def _simulated(contrasts: Vector, uncertain: Uncertainty) -> Vector:
    """Draws of all contrasts under the null, each by its standard error, of shape (n_simulations, n_contrasts)."""
    errors = np.array([uncertain.standard_error(row) for row in contrasts])
    normal: Vector = np.zeros((_SIMULATIONS, len(errors)))
    np.divide(uncertain.draws @ contrasts.T, errors, out=normal, where=errors > 0)
    return normal


def _unseen(contrasts: Vector, uncertain: Uncertainty, searched: Searched) -> Vector:
    """The same for every kind of rows at every ratio, also where no fit was made: (n_simulations, n_kinds, n_ratios).

    The correlation is the Kronecker product of that of the kinds and that of the ratios.
    """
    kinds, ratios = (_root(_correlation(contrasts[list(p)], uncertain)) for p in (searched.kinds, searched.ratios))
    rng = np.random.default_rng(_SEED)
    normal = kinds @ rng.standard_normal((_SIMULATIONS, len(kinds), len(ratios))) @ ratios.T
    return np.asarray(normal.reshape(_SIMULATIONS, -1))


def _studentised(normal: Vector, freedoms: Vector) -> Vector:
    """Normal draws as t statistics; one number of degrees of freedom is that of all, with the same error in all."""
    known = np.minimum(freedoms, _MANY)
    rng = np.random.default_rng(_SEED + 1)
    return np.asarray(normal / np.sqrt(rng.chisquare(known, size=(len(normal), len(known))) / known))


def _tail(statistics: Vector, freedoms: Vector) -> Vector:
    """Probability that a t statistic is greater."""
    return np.asarray(special.stdtr(np.minimum(freedoms, _MANY), -statistics))


def _correlation(contrasts: Vector, uncertain: Uncertainty) -> Vector:
    covariance = contrasts @ uncertain.of_differences @ contrasts.T
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    scale = np.outer(spread, spread)
    return np.asarray(np.divide(covariance, scale, out=np.eye(len(spread)), where=scale > 0))


def _root(matrix: Vector) -> Vector:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _ratio(values: Vector, errors: Vector) -> Vector:
    """t statistics; where nothing varies, a difference of 0 is no evidence and any other is certain."""
    certain = np.where(values == 0, 0.0, np.copysign(np.inf, values))
    return np.where(errors > 0, np.divide(values, np.where(errors > 0, errors, 1.0)), certain)
