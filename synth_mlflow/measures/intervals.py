"""Exact intervals and tests for counts, ranks and guesses."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

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
    """Spread of the area under the ROC curve when both samples come from one law.

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
