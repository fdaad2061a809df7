"""Choose a ratio from a vector of scores by a stated rule, or none when nothing helps.

The vector holds the baseline, then the synthetic arm at each ratio, then the placebo arm at each ratio. A ratio *helps*
when it beats the baseline in one simultaneous test over all ratios, and beats the placebo of the same ratio too: what
as many duplicated real rows achieve is no merit of the synthetic ones.

The rule asks for the expected score on new data of the model trained on the real rows at hand with synthetic rows of
the batches at hand (:mod:`synth_mlflow.sweep.analysis`). Where no ratio gains, it claims a gain in at most 5 % of
projects (``tests/benchmarks/sweep_oracles.py``).

The guardrail of a statement: no slice may fall by more than it allows, and that must be shown.

A ratio passes when the 95 % interval of every slice's gain lies above the allowed drop: a test of non-inferiority, as
guardrail metrics of experiments are judged (S. Wellek, Testing Statistical Hypotheses of Equivalence and
Noninferiority, 2010). All slices must pass, so that no correction for their number is needed (R. Berger, Technometrics
24 (1982), doi:10.2307/1267823).

Further ratios around the peak of a first sweep; its fits are kept, so that only the new ones are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from synth_mlflow.data.task import Guardrail
from synth_mlflow.sweep.curve import Curve, SlicePoint
from synth_mlflow.sweep.inference import ALPHA, Searched, Uncertainty, Vector, differences, max_t
from synth_mlflow.sweep.plan import Rule

Flags = npt.NDArray[np.bool_]

TOLERANCE = 0.05  # of the gain: what a smaller ratio may lose and still be taken

RULE_WORDS: dict[Rule, str] = {
    "highest": (
        "the ratio with the highest expected score among those that help, or a smaller one that loses less than "
        f"{TOLERANCE:.0%} of its gain"
    ).replace("%", " %"),
    "plateau": "the smallest ratio that helps among those not distinguishable from the peak",
    "peak": "the ratio with the highest score, if it helps",
    "one-standard-error": "the smallest ratio that helps and scores within one standard error of the peak",
    "least": "the smallest ratio that helps",
}


@dataclass(frozen=True)
class Choice:
    """Places in the list of ratios; 0 is the baseline."""

    chosen: int
    peak: int
    plateau: Flags
    """Of every ratio, the baseline included."""
    helps: Flags
    """Of every ratio above 0."""


@dataclass(frozen=True)
class Chooser:
    """The rule with everything that does not depend on the scores, so that it can be applied to many vectors."""

    rule: Rule
    n_ratios: int
    """Above 0."""
    errors: Vector
    """Standard error of every difference between two scores, of shape (n_scores, n_scores)."""
    critical: Vector
    """Of every ratio above 0 in the simultaneous test of all of them against the baseline."""
    critical_placebo: Vector
    """Of the test of each ratio above 0 against its placebo; a ratio must pass both tests, so that one guards each."""
    critical_best: Vector
    """Of every other ratio (a column) in the simultaneous comparison of all others with each ratio (a row)."""
    allowed: Flags
    """Of every ratio above 0: whether the guardrail on slices lets it be chosen."""
    amounts: Vector
    """How much synthetic data each place stands for, the baseline included; several sources may have the same ratio."""

    @classmethod
    def build(
        cls,
        rule: Rule,
        n_ratios: int,
        uncertain: Uncertainty,
        allowed: Flags | None = None,
        amounts: Sequence[float] | None = None,
        searched: Searched | None = None,
    ) -> Chooser:
        """Simulate the critical values; what stands behind the placebo in the vector plays no part.

        By default each place stands for a greater ratio than the one before. ``searched`` says what a search has
        compared, as places among the ratios above 0; both tests then cover the search.
        """
        n_scores = 1 + 2 * n_ratios
        uncertain = uncertain.of(range(n_scores))
        synthetic = range(1, n_ratios + 1)
        none = np.zeros(n_scores)
        critical = max_t(none, _against(synthetic, 0, n_scores), uncertain, searched=searched).critical
        over_placebo = [_difference(place, place + n_ratios, n_scores) for place in synthetic]
        critical_placebo = np.array([stats.t.ppf(1 - ALPHA, uncertain.freedom(row)) for row in over_placebo])
        if searched:  # which kind of rows it is was chosen, and nothing but the test of all of them guards that
            kinds = np.array([over_placebo[place] for place in searched.kinds])
            critical_placebo = np.maximum(critical_placebo, max_t(none, kinds, uncertain).critical.max())
        everyone = range(n_ratios + 1)
        best = np.zeros((n_ratios + 1, n_ratios + 1))
        for i in everyone:
            others = [j for j in everyone if j != i]
            best[i, others] = max_t(none, _against(others, i, n_scores), uncertain).critical
        errors = differences(uncertain.of_differences)
        may = np.ones(n_ratios, dtype=bool) if allowed is None else allowed
        order = np.asarray(range(n_ratios + 1) if amounts is None else amounts, dtype=np.float64)
        return cls(rule, n_ratios, errors, critical, critical_placebo, best, may, order)

    def choose(self, scores: Vector) -> Choice:
        """Apply the rule to one vector of at least 1 + 2 · n_ratios scores.

        The plateau is a 95 % confidence set of the best ratio: all that no other beats in a simultaneous test against
        all others (multiple comparisons with the best: J. C. Hsu, Annals of Statistics 12 (1984),
        doi:10.1214/aos/1176346732).
        """
        last = self.n_ratios + 1
        helps = self._beats_baseline(scores) & self._beats_placebo(scores)
        synthetic = scores[:last]
        peak = int(synthetic.argmax())
        lead = synthetic[None, :] - synthetic[:, None]
        beaten = (lead > self.critical_best * self.errors[:last, :last]) & (lead > 0)
        plateau = np.asarray(~beaten.any(axis=1))
        plateau[0] &= not helps.any()  # what the test of all ratios has beaten is not among the best
        return Choice(self._pick(synthetic, helps, plateau, peak), peak, plateau, helps)

    def deviations(self, place: int, uncertain: Uncertainty, power: float = 0.8) -> float:
        """How many standard errors above 0 a gain lies at one ratio that the test finds with this probability.

        Parameters
        ----------
        place : int
            Of the ratio.
        uncertain : Uncertainty
            Of the scores.
        """
        contrast = _difference(place, 0, len(uncertain.total))
        return float(self.critical[place - 1] + stats.t.ppf(power, uncertain.freedom(contrast)))

    def smallest_detectable(self, place: int, uncertain: Uncertainty, power: float = 0.8) -> float:
        """The gain over the baseline that the test would find with this probability at one ratio."""
        return float(self.errors[0, place]) * self.deviations(place, uncertain, power)

    def _beats_baseline(self, scores: Vector) -> Flags:
        lead = scores[1 : self.n_ratios + 1] - scores[0]
        return np.asarray((lead > 0) & (lead > self.critical * self.errors[1 : self.n_ratios + 1, 0]))

    def _beats_placebo(self, scores: Vector) -> Flags:
        places = np.arange(1, self.n_ratios + 1)
        lead = scores[places] - scores[places + self.n_ratios]
        return np.asarray((lead > 0) & (lead > self.critical_placebo * self.errors[places, places + self.n_ratios]))

    def _pick(self, synthetic: Vector, helps: Flags, plateau: Flags, peak: int) -> int:
        if self.rule == "highest":
            return self._highest(synthetic, np.flatnonzero(np.r_[False, helps & self.allowed]))
        within = {
            "plateau": plateau,
            "peak": np.arange(len(synthetic)) == peak,
            "one-standard-error": synthetic >= synthetic[peak] - self.errors[peak, : len(synthetic)],
            "least": np.ones(len(synthetic), dtype=bool),
        }[self.rule]
        candidates = np.flatnonzero(np.r_[False, helps & self.allowed] & within)
        if not len(candidates):
            return 0
        return self._least(synthetic, candidates)

    def _highest(self, synthetic: Vector, candidates: npt.NDArray[np.int64]) -> int:
        """The highest score, or the smallest ratio that loses less than the tolerance."""
        if not len(candidates):
            return 0
        best = synthetic[candidates].max()
        near = best - synthetic[candidates] <= TOLERANCE * (best - synthetic[0])
        return self._least(synthetic, candidates[near])

    def _least(self, synthetic: Vector, candidates: npt.NDArray[np.int64]) -> int:
        """The smallest ratio; of several sources with that ratio, the one that scores highest."""
        least = candidates[self.amounts[candidates] == self.amounts[candidates].min()]
        return int(least[synthetic[least].argmax()])


@dataclass(frozen=True)
class Corrected:
    """The chosen ratio, corrected for selection bias."""

    score: float
    gain: float
    """Over the baseline."""


def correct(chooser: Chooser, choice: Choice, scores: Vector, inside: Vector, outside: Vector) -> Corrected:
    """Take the luck of the choice out of its score; real rows alone were not chosen for theirs, and keep it.

    In each bootstrap draw the rule chooses by the rows inside and is scored on the rows outside. Draws that decide
    for no synthetic rows are left out: with them, the score of a ratio is mixed with that of the baseline. Some metrics
    (average precision, F1) are higher or lower on fewer rows, whoever is scored: what all draws together show of that
    at a ratio is taken out before.

    Parameters
    ----------
    scores : array of shape (n_scores,)
        On the evaluation rows themselves.
    inside : array of shape (n_draws, n_scores)
    outside : array of shape (n_draws, 1 + n_ratios)

    Notes
    -----
    Bootstrap bias-corrected selection, I. Tsamardinos et al., Machine Learning 107 (2018),
    doi:10.1007/s10994-018-5714-4. In simulations of the closed form (``tests/benchmarks/sweep_oracles.py``) the bias of
    the gain falls to a quarter or a third; keeping the draws that decide otherwise turns it into one of the other sign.
    """
    if choice.chosen == 0:
        return Corrected(float(scores[0]), 0.0)
    defined = np.isfinite(inside).all(axis=1) & np.isfinite(outside).all(axis=1)
    inside, outside = inside[defined], outside[defined]
    chosen = np.array([chooser.choose(scores).chosen for scores in inside], dtype=np.int64)
    again = chosen > 0
    if not again.any():
        return Corrected(float("nan"), float("nan"))
    outside = outside - (outside.mean(axis=0) - scores[: outside.shape[1]])
    shrunk = outside[np.arange(len(chosen)), chosen]
    return Corrected(float(shrunk[again].mean()), float((shrunk - outside[:, 0])[again].mean()))


def _difference(place: int, comparator: int, n_scores: int) -> Vector:
    return np.asarray(_against([place], comparator, n_scores)[0])


def _against(places: range | list[int], comparator: int, n_scores: int) -> Vector:
    contrasts = np.eye(n_scores)[list(places)]
    contrasts[:, comparator] -= 1.0
    return contrasts


def objections(guardrail: Guardrail, slices: Mapping[str, SlicePoint]) -> str:
    """Why a ratio with these slices may not be chosen; empty if it may."""
    texts = [words for name, part in slices.items() if (words := _objection(guardrail, name, part))]
    return f"{'; '.join(texts)} ({guardrail.max_slice_drop:.3g} is allowed)" if texts else ""


def assurance(guardrail: Guardrail, slices: Mapping[str, SlicePoint]) -> str:
    """How a ratio without objections keeps the guardrail, in one sentence."""
    words = f"The guardrail holds: no slice falls by more than the {guardrail.max_slice_drop:.3g} that is allowed"
    left = [repr(name) for name, part in slices.items() if _is_open(guardrail, part)]
    if not left:
        return f"{words}."
    why = guardrail.accept_inconclusive.rstrip(".")
    return f"{words}; {', '.join(left)} cannot show it, which was accepted beforehand: {why}."


def _objection(guardrail: Guardrail, name: str, part: SlicePoint) -> str:
    if part.gain is not None and part.gain < -guardrail.max_slice_drop:
        return f"slice {name!r} falls by {-part.gain:.3g}"
    if guardrail.accept_inconclusive or not _is_open(guardrail, part):
        return ""
    if part.score is None:
        return f"the metric is undefined on slice {name!r} ({part.n_rows:,} evaluation rows)"
    if part.gain_low is None:
        return f"slice {name!r} ({part.n_rows:,} evaluation rows) is too small to tell"
    return f"slice {name!r} may fall by {-part.gain_low:.3g}, the low end of its 95 % interval"


def _is_open(guardrail: Guardrail, part: SlicePoint) -> bool:
    """Whether the slice cannot show that it does not fall further."""
    return part.gain_low is None or part.gain_low < -guardrail.max_slice_drop


_DECIMALS = 4  # halving twice from whole percents


def refined_ratios(curve: Curve) -> tuple[float, ...]:
    """The ratios of the first sweep, and the midpoints between the peak and its neighbours.

    Where the peak is the greatest ratio swept, the midpoint towards 1 is one of them.

    Examples
    --------
    With ratios 0, 25, 50 and 75 % and the peak at 50 %, 37.5 and 62.5 % are added; with the peak at 75 %, 62.5 and
    87.5 %.
    """
    ratios = [point.ratio for point in curve.points]
    place = ratios.index(curve.peak)
    neighbours = [ratios[place - 1]] if place else []
    neighbours.append(ratios[place + 1] if place + 1 < len(ratios) else 1.0)
    added = {round((curve.peak + other) / 2, _DECIMALS) for other in neighbours}
    return tuple(sorted({*ratios, *added}))
