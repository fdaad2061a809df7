"""Leave one batch out: what each synthetic batch does to the score, with rows of the others in its place.

Both mixes of a comparison hold as many synthetic rows, so that what is judged is the rows of a batch and not their
number: past the best ratio, *any* batch that goes without a replacement lifts the score, and none of them is to blame.
It is also what a sweep without the batch would do. Where the other batches have too few rows to stand in, both mixes
are made smaller; a batch that has no others is held against real rows alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats
from scipy.linalg import block_diag

from synth_mlflow.data.mixing import Mix, check_supply, mix_counts
from synth_mlflow.data.slices import Slice
from synth_mlflow.data.task import ModelSpec, Task
from synth_mlflow.errors import UsageError
from synth_mlflow.sweep.bootstrap import resample
from synth_mlflow.sweep.evaluator import Evaluator
from synth_mlflow.sweep.inference import ALPHA, Uncertainty, Vector, max_t, uncertainty
from synth_mlflow.sweep.plan import REPEAT_SHARE, Fit, FitKey, SweepPlan
from synth_mlflow.sweep.runner import OnFit, run_fits

BatchVerdict = Literal["to blame", "helps", "cannot tell"]
POWER = 0.8
COLUMNS = ("batch", "verdict", "effect", "low", "high", "p_harm", "p_help", "detectable", "ratio", "rows")


@dataclass(frozen=True)
class LeaveOneOutEffect:
    """What a batch does to one score, on average over the repeats."""

    score: float
    """With the batch."""
    without: float
    effect: float
    """``score - without``: below 0 the batch harms."""
    low: float
    high: float
    """Simultaneous 95 % interval: it lies off 0 just where the batch can be told from noise."""
    p_harm: float
    p_help: float
    """One-sided, adjusted for all batches, both directions and all scores."""
    detectable: float
    """The harm or help that would be found with 80 % probability."""

    @property
    def verdict(self) -> BatchVerdict:
        """Whether the batch harms or helps this score beyond chance."""
        if self.p_harm <= ALPHA:
            return "to blame"
        return "helps" if self.p_help <= ALPHA else "cannot tell"


@dataclass(frozen=True)
class BatchEffect:
    """One batch, left out."""

    batch: str
    ratio: float
    """Of both mixes; smaller than the one asked for where the other batches lack the rows to stand in."""
    n_synthetic: int
    """In the mix with all real rows."""
    n_rows: int
    """Of the batch, among them."""
    overall: LeaveOneOutEffect
    slices: Mapping[str, LeaveOneOutEffect | None]
    """None where a slice is too small for the metric."""


@dataclass(frozen=True)
class LeaveOneOutResult:
    """Every batch that was left out, the most harmful one first."""

    metric: str
    ratio: float
    mix: Mix
    n_repeats: int
    seed: int
    n_real: int
    n_evaluation: int
    effects: tuple[BatchEffect, ...]

    @property
    def to_blame(self) -> tuple[str, ...]:
        """The batches that harm the metric beyond chance."""
        return tuple(each.batch for each in self.effects if each.overall.verdict == "to blame")

    def frame(self) -> pd.DataFrame:
        """One row a batch, the most harmful one first; the effect on each slice stands behind the ``COLUMNS``."""
        rows = []
        for each in self.effects:
            part = each.overall
            row = [part.effect, part.low, part.high, part.p_harm, part.p_help, part.detectable]
            on_slices = [part and part.effect for part in each.slices.values()]
            rows.append([each.batch, part.verdict, *row, each.ratio, each.n_rows, *on_slices])
        slices = [f"slice {name}" for name in self.effects[0].slices]
        return pd.DataFrame(rows, columns=[*COLUMNS, *slices])

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> LeaveOneOutResult:
        """The inverse of :meth:`to_json`."""
        return cls(**{**record, "effects": tuple(_effect_from_json(each) for each in record["effects"])})


def _effect_from_json(record: Mapping[str, Any]) -> BatchEffect:
    slices = {name: part and LeaveOneOutEffect(**part) for name, part in record["slices"].items()}
    return BatchEffect(**{**record, "overall": LeaveOneOutEffect(**record["overall"]), "slices": slices})


def leave_out(
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    evaluation: pd.DataFrame,
    task: Task,
    metric: str,
    spec: ModelSpec,
    plan: SweepPlan,
    *,
    batches: npt.ArrayLike,
    suspects: Sequence[str] = (),
    slices: Mapping[str, Slice] | None = None,
    on_fit: OnFit | None = None,
) -> LeaveOneOutResult:
    """Fit the mix of the plan's greatest ratio with all batches and without each.

    Parameters
    ----------
    real, synthetic, evaluation, task, metric, spec, slices, on_fit
        As in :func:`synth_mlflow.sweep.runner.run_sweep`.
    plan : SweepPlan
        Its greatest ratio is the one to look at; its repeats and seed draw the rows as the sweep drew them.
    batches : array-like of shape (n_synthetic,)
        The batch of each synthetic row.
    suspects : sequence of str
        The batches to leave out, each in turn; by default every one.

    Raises
    ------
    GateError
        If the ratio needs more synthetic rows than there are.
    UsageError
        If a score is undefined, or the estimator fails.

    Notes
    -----
    Each repeat draws 80 % of the real rows, and synthetic rows of every batch in proportion; both mixes share them.
    What is judged is the mean over the repeats, by the covariance of the evaluation rows plus that of the recipe: the
    spread of single repeats times ``1 / n_repeats + f / (1 - f)``, at most 1. The first term is what averages out; the
    second is the luck of a batch's rows, which stays the same in every repeat, where ``f`` is the greatest share of
    them that a repeat draws (delete-d jackknife: J. Shao, C. F. J. Wu, Annals of Statistics 17 (1989),
    doi:10.1214/aos/1176347263). Of the chance of any false word, half goes to the metric and half to the slices.
    """
    labels, ratio = np.asarray(batches), plan.ratios[-1]
    check_supply([ratio], len(real), len(synthetic), plan.mix)
    pairs = {batch: _pair(batch, labels, ratio, len(real), plan.mix) for batch in suspects or np.unique(labels)}
    bench = Evaluator.build(real, evaluation, task, metric, spec, synthetic=synthetic, slices=slices)
    arms = tuple(dict.fromkeys(key for pair in pairs.values() for key in pair))
    keys = [replace(arm, repeat=repeat) for arm in arms for repeat in range(plan.repeats)]
    sources = {_without(batch): np.flatnonzero(labels != batch) for batch in pairs}
    fits = run_fits(bench, plan, keys, labels, finished={}, on_fit=on_fit, keep=True, sources=sources)
    effects = _Reading(bench, plan, arms, fits, _recipe_weight(pairs, labels, len(real), plan)).effects(pairs, labels)
    return LeaveOneOutResult(metric, ratio, plan.mix, plan.repeats, plan.seed, len(real), len(bench.truth), effects)


def _pair(batch: str, labels: npt.NDArray[np.str_], ratio: float, n_real: int, mix: Mix) -> tuple[FitKey, FitKey]:
    """The mix with a batch, and the one without it."""
    needed, others = mix_counts(ratio, n_real, mix)[1], int((labels != batch).sum())
    if not others:
        return FitKey("synthetic", ratio, 0), FitKey("synthetic", 0.0, 0)
    if others < needed:
        ratio = others / (n_real + others) if mix == "augment" else others / n_real
    return FitKey("synthetic", ratio, 0), FitKey("synthetic", ratio, 0, _without(batch))


def _without(batch: str) -> str:
    """The source that holds the rows of all batches but one."""
    return f"all but {batch}"


def _recipe_weight(
    pairs: Mapping[str, tuple[FitKey, FitKey]], labels: npt.NDArray[np.str_], n_real: int, plan: SweepPlan
) -> float:
    """What the spread of single repeats has to be weighted with for their mean; see the notes of :func:`leave_out`."""
    shares = []
    for batch, (whole, without) in pairs.items():
        n_rows = int((labels != batch).sum()) if without.ratio else len(labels)
        shares.append(mix_counts(whole.ratio, round(n_real * REPEAT_SHARE), plan.mix)[1] / n_rows)
    drawn = max(shares)
    return 1.0 if drawn >= 0.5 else min(1.0, 1 / plan.repeats + drawn / (1 - drawn))


@dataclass(frozen=True)
class _Reading:
    """The fits, read as one vector of mean scores: one place an arm."""

    bench: Evaluator
    plan: SweepPlan
    arms: tuple[FitKey, ...]
    fits: Mapping[FitKey, Fit]
    recipe_weight: float

    def effects(
        self, pairs: Mapping[str, tuple[FitKey, FitKey]], labels: npt.NDArray[np.str_]
    ) -> tuple[BatchEffect, ...]:
        share = 0.5 if self.bench.slices else 1.0
        contrasts = np.array([self._contrast(pair) for pair in pairs.values()])
        overall = _judged(*self._overall(), contrasts, share)
        on_slices = self._on_slices(contrasts, share)
        by_batch = []
        for at, (batch, (whole, _)) in enumerate(pairs.items()):
            n_synthetic = mix_counts(whole.ratio, self.bench.n_real, self.plan.mix)[1]
            n_rows = round(n_synthetic * float((labels == batch).mean()))
            parts = {name: effects[at] if effects else None for name, effects in on_slices.items()}
            by_batch.append(BatchEffect(str(batch), whole.ratio, n_synthetic, n_rows, overall[at], parts))
        return tuple(sorted(by_batch, key=lambda each: each.overall.effect))

    def _contrast(self, pair: tuple[FitKey, FitKey]) -> Vector:
        contrast = np.zeros(len(self.arms))
        contrast[self.arms.index(pair[0])], contrast[self.arms.index(pair[1])] = 1.0, -1.0
        return contrast

    def _overall(self) -> tuple[Vector, Uncertainty]:
        repeats = self._repeats(lambda fit: fit.score)
        everyone = np.ones(len(self.bench.truth), dtype=np.bool_)
        spread = uncertainty(self._resampled(everyone, 5), repeats)
        return repeats.mean(axis=0), replace(spread, recipe=spread.recipe * self.recipe_weight)

    def _on_slices(self, contrasts: Vector, share: float) -> dict[str, list[LeaveOneOutEffect] | None]:
        """All slices as one vector; their evaluation rows are drawn apart, which errs to the safe side."""
        read = {name: self._slice(name) for name in self.bench.slices}
        parts = {name: part for name, part in read.items() if part is not None}
        by_slice: dict[str, list[LeaveOneOutEffect] | None] = dict.fromkeys(read)
        if not parts:
            return by_slice
        repeats = np.concatenate([repeats for repeats, _ in parts.values()], axis=1)
        covariance = block_diag(*(uncertain.evaluation for _, uncertain in parts.values()))
        recipe = np.atleast_2d(np.cov(repeats, rowvar=False))
        everything = Uncertainty(covariance, recipe * self.recipe_weight, self.plan.repeats)
        effects = _judged(
            repeats.mean(axis=0),
            everything,
            np.asarray(np.kron(np.eye(len(parts)), contrasts), dtype=np.float64),
            share,
        )
        for at, name in enumerate(parts):
            by_slice[name] = effects[at * len(contrasts) : (at + 1) * len(contrasts)]
        return by_slice

    def _slice(self, name: str) -> tuple[Vector, Uncertainty] | None:
        repeats = self._repeats(lambda fit: fit.slices[name])
        if not np.isfinite(repeats).all():
            return None
        try:
            return repeats, uncertainty(self._resampled(self.bench.slices[name], 6), repeats)
        except UsageError:  # a slice may be too small for an interval
            return None

    def _repeats(self, read: Callable[[Fit], float]) -> Vector:
        """Shape (n_repeats, n_arms)."""
        numbers = range(self.plan.repeats)
        return np.array([[read(self.fits[replace(arm, repeat=n)]) for arm in self.arms] for n in numbers])

    def _resampled(self, rows: npt.NDArray[np.bool_], stream: int) -> Vector:
        """Mean scores of each arm over bootstrap draws of some evaluation rows, shape (n_draws, n_arms)."""
        numbers = range(self.plan.repeats)
        predictions = [self.fits[replace(arm, repeat=n)].predictions[rows] for arm in self.arms for n in numbers]
        rng = np.random.default_rng([self.plan.seed, stream])
        groups = None if self.bench.groups is None else self.bench.groups[rows]
        draws = resample(
            self.bench.metric, self.bench.task, self.bench.truth[rows], predictions, rng, groups=groups
        ).inside
        return np.asarray(draws.reshape(len(draws), len(self.arms), self.plan.repeats).mean(axis=2))


def _judged(scores: Vector, uncertain: Uncertainty, contrasts: Vector, share: float) -> list[LeaveOneOutEffect]:
    """The effects of one family of comparisons, which may be wrong anywhere with ``share`` of the allowed chance."""
    tested = max_t(scores, np.concatenate([-contrasts, contrasts]), uncertain, alpha=ALPHA * share)
    p_values = np.minimum(tested.p_values / share, 1.0)
    effects = []
    for at, contrast in enumerate(contrasts):
        error = uncertain.standard_error(contrast)
        effect, half = float(contrast @ scores), float(tested.critical[at]) * error
        effects.append(
            LeaveOneOutEffect(
                score=float(scores[contrast > 0][0]),
                without=float(scores[contrast < 0][0]),
                effect=effect,
                low=effect - half,
                high=effect + half,
                p_harm=float(p_values[at]),
                p_help=float(p_values[at + len(contrasts)]),
                detectable=half + float(stats.norm.ppf(POWER)) * error,
            )
        )
    return effects
