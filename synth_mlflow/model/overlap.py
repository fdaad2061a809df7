"""How much more another draw of the rows would vary than repeats that share most of their rows do.

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

from synth_mlflow.data.mixes import Mix, mix_counts
from synth_mlflow.model.plan import REPEAT_SHARE, Arm

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
    kept = n_kept * (1 / n_real - 1 / total) ** 2
    dropped = n_dropped / n_real**2
    added = n_added * (weight / total) ** 2
    seen = (
        kept * (1 - REPEAT_SHARE)
        + dropped * (1 - REPEAT_SHARE * n_dropped / n_real)
        + added * (1 - REPEAT_SHARE * n_added / n_supply)
    )
    return REPEAT_SHARE * (kept + dropped + added) / seen if seen > 0 else 1.0
