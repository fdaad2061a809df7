"""How far two samples of one column are apart, and how surprising that is.

Every ``*_distance`` is 0 for identical samples; the ``*_p_value`` functions say how often two samples of one law would
be as far apart.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from synth_mlflow.measures.encoding import numbers

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

Alternative = Literal["two-sided", "less", "greater"]

MIN_EXPECTED = 5.0  # W. G. Cochran, Annals of Mathematical Statistics 23 (1952): below it the chi-squared law is off


def ks_distance(real: pd.Series, synthetic: pd.Series) -> float:
    """Largest gap between two empirical distribution functions.

    Parameters
    ----------
    real, synthetic : Series of shape (n_real,), (n_synthetic,)
        Numbers or dates in the same unit; missing values are left out.

    Returns
    -------
    float
        0 for identical samples, 1 for disjoint ones; NaN if either side is empty.

    Notes
    -----
    F. J. Massey, JASA 46 (1951). Ties are handled as in ``scipy.stats.ks_2samp``.

    Examples
    --------
    >>> ks_distance(pd.Series([1, 2, 3]), pd.Series([1, 2, 3]))
    0.0
    >>> ks_distance(pd.Series([1, 2]), pd.Series([1, 9]))
    0.5
    """
    return sorted_ks_distance(np.sort(_present(real)), np.sort(_present(synthetic)))


def sorted_ks_distance(real: Floats, synthetic: Floats) -> float:
    """:func:`ks_distance` of two sorted arrays without missing values."""
    if not len(real) or not len(synthetic):
        return float("nan")
    at = np.concatenate([real, synthetic])
    below_real = np.searchsorted(real, at, side="right") / len(real)
    below_synthetic = np.searchsorted(synthetic, at, side="right") / len(synthetic)
    return float(np.abs(below_real - below_synthetic).max())


def ks_p_value(distance: float, n_real: int, n_synthetic: int) -> float:
    """How often samples of one continuous law are at least ``distance`` apart; too large, never too small, with ties.

    Notes
    -----
    The limit law with the small-sample correction of M. A. Stephens, JRSS B 32 (1970).

    Examples
    --------
    >>> round(ks_p_value(0.0608, 1000, 1000), 3)
    0.048
    """
    root = np.sqrt(n_real * n_synthetic / (n_real + n_synthetic))
    return float(stats.kstwobign.sf(distance * (root + 0.12 + 0.11 / root)))


def tv_distance(real: pd.Series, synthetic: pd.Series) -> float:
    """Total variation between two samples of labels: half the sum of the gaps between shares.

    Parameters
    ----------
    real, synthetic : Series of shape (n_real,), (n_synthetic,)
        Missing values are left out.

    Returns
    -------
    float
        0 for equal shares, 1 for no common label; NaN if either side is empty.

    Examples
    --------
    >>> tv_distance(pd.Series(["a", "a", "b", "b"]), pd.Series(["a", "b", "b", "b"]))
    0.25
    """
    counts = label_counts(real, synthetic)
    return counted_tv_distance(*counts) if all(side.sum() for side in counts) else float("nan")


def counted_tv_distance(real: Counts, synthetic: Counts) -> float:
    """:func:`tv_distance` of counts of the same labels."""
    return float(np.abs(real / real.sum() - synthetic / synthetic.sum()).sum() / 2)


def label_counts(real: pd.Series, synthetic: pd.Series) -> tuple[Counts, Counts]:
    """How often each label of either sample stands in each, in one order; missing values are left out."""
    codes, labels = pd.factorize(pd.concat([real, synthetic], ignore_index=True))
    sides = codes[: len(real)], codes[len(real) :]
    first, second = (np.bincount(side[side >= 0], minlength=len(labels)) for side in sides)
    return first, second


def pool_rare(real: Counts, synthetic: Counts) -> tuple[Counts, Counts]:
    """The same counts, labels too rare to be compared alone put together at the end.

    Examples
    --------
    >>> [side.tolist() for side in pool_rare(np.array([50, 1, 2]), np.array([50, 2, 1]))]
    [[50, 3], [50, 3]]
    """
    smaller_share = min(real.sum(), synthetic.sum()) / max(real.sum() + synthetic.sum(), 1)
    common = (real + synthetic) * smaller_share >= MIN_EXPECTED
    if common.all():
        return real, synthetic
    first, second = (np.append(side[common], side[~common].sum()) for side in (real, synthetic))
    return first, second


def homogeneity_p_value(real: Counts, synthetic: Counts) -> float:
    """Chi-squared test that two rows of counts come from one law; labels too rare to be tested alone are pooled.

    Parameters
    ----------
    real, synthetic : arrays of shape (n_labels,)

    Returns
    -------
    float
        1 where fewer than two labels are common enough to compare.

    Examples
    --------
    >>> homogeneity_p_value(np.array([50, 50]), np.array([50, 50]))
    1.0
    """
    table = np.vstack(pool_rare(real, synthetic)).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return 1.0
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return float(stats.chi2.sf(statistic, table.shape[1] - 1))


def share_p_value(
    k_real: int, n_real: int, k_synthetic: int, n_synthetic: int, *, alternative: Alternative = "two-sided"
) -> float:
    """Fisher's exact test that a mark is as frequent in both samples; ``alternative`` speaks of the synthetic one.

    Examples
    --------
    >>> round(share_p_value(1, 10, 9, 10), 4)
    0.0011
    """
    if not n_real or not n_synthetic:
        return 1.0
    table = np.array([[k_synthetic, n_synthetic - k_synthetic], [k_real, n_real - k_real]])
    return float(stats.fisher_exact(table, alternative).pvalue)


def _present(values: pd.Series) -> Floats:
    found = numbers(values)
    return found[~np.isnan(found)]
