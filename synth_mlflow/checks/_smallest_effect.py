"""The smallest effect that a check would have found in four of five cases, from the spread that it measured itself.

A statistic fails when it is significant and beyond both its limit and what real rows show. So an effect is found in
four of five cases if it lies above the highest of the three by the normal quantile of the power.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from synth_mlflow.checks import Metric

POWER = 0.8  # four of five cases


def smallest_effect(
    standard_error: float, *, alpha: float, limit: float, floor: float = 0.0, degrees: float = np.inf
) -> float:
    """The effect, counted from none, that is found in four of five cases.

    Parameters
    ----------
    standard_error : float
        Of the statistic.
    alpha : float
        The one-sided level at which this statistic alone is significant.
    limit, floor : float
        What the policy allows, and what 99 of 100 draws of real rows keep to; effects too.
    degrees : float
        Of freedom of the standard error, for Student's law.

    Examples
    --------
    >>> round(smallest_effect(0.1, alpha=0.05, limit=0.0), 2)
    0.25
    >>> round(smallest_effect(0.01, alpha=0.05, limit=0.2), 2)
    0.21
    """
    significant = float(stats.t.isf(alpha, degrees)) * standard_error
    return max(significant, limit, floor) + float(stats.norm.ppf(POWER)) * standard_error


def level_of_each(probes: Sequence[Metric], alpha: float) -> float:
    """The level of the first step of Holm's method: that of one statistic that is wrong beside others that are not."""
    return alpha / max(sum(probe.p_value is not None for probe in probes), 1)


def smallest_column_distance(probe: Metric, n_real: int, n_batch: int, alpha: float) -> float:
    """The Kolmogorov–Smirnov distance of one number that is found in four of five cases.

    Parameters
    ----------
    probe : Metric
        With its limit, and with its floor, measured on real rows: where that lies above what independent rows show, as
        where rows come in groups, all spreads are larger in the same ratio.
    n_real, n_batch : int
    alpha : float
        The level of this statistic alone.

    Notes
    -----
    Critical values as in :func:`~synth_mlflow.metrics.distances.ks_p_value`. The spread of the distance is at most that
    of the difference of two shares of one half.
    """
    root = np.sqrt(n_real * n_batch / (n_real + n_batch))
    scale = root + 0.12 + 0.11 / root
    of_rows = float(stats.kstwobign.isf(0.01)) / scale
    inflation = max((probe.floor or 0.0) / of_rows, 1.0)
    critical = float(stats.kstwobign.isf(alpha)) / scale
    reach = float(stats.norm.ppf(POWER)) * 0.5 / root
    return float(max(critical * inflation, probe.limit, probe.floor or 0.0) + reach * inflation)
