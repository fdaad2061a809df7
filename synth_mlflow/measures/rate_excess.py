"""Is a batch nearer to evaluation rows than chance explains? Counts of matches, and the two tests that judge them.

A match is an evaluation row, distinct from every other real row, that some row of the batch equals or nearly equals.
Two references say how many there would be without a leak: how often real rows match one another, and how many training
rows the same batch matches.
"""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

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

    @property
    def expected(self) -> float:
        """Evaluation rows that as many further real rows would match."""
        return self.real_pairs * self.batch_exposure / self.real_exposure if self.real_exposure else 0.0

    @property
    def expected_from_training(self) -> float:
        """Evaluation rows that the batch would match as often as it matches training rows."""
        return self.training * self.side_share / (1 - self.side_share) if self.side_share < 1 else 0.0

    @property
    def natural_p_value(self) -> float:
        """How often further real rows would match so many evaluation rows, by the matches of real rows."""
        return rate_p_value(self.evaluation, self.batch_exposure, self.real_pairs, self.real_exposure)

    @property
    def side_p_value(self) -> float:
        """How often so many of the matched rows would be evaluation rows if the batch did not know the split.

        Notes
        -----
        Exact given a random split: which of the matched rows are evaluation rows is then a draw.
        """
        together = self.evaluation + self.training
        return float(stats.binom.sf(self.evaluation - 1, together, self.side_share)) if self.evaluation else 1.0

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
    found = stats.poisson_means_test(k, exposure / unit, k_reference, reference_exposure / unit, alternative="greater")
    return float(min(found.pvalue, 1.0))


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
